/* fuse.c - a table of small rules (rule.h) applied until none fits. */
#include "pass/rule.h"

static omma_rule *const rules[] = {omma_rule_conv_norm, omma_rule_conv_scale, omma_rule_hard_swish,
                                   omma_rule_gelu,      omma_rule_layer_norm, omma_rule_bias,
                                   omma_rule_silu,      omma_rule_activation};

static omma_status apply(omma_build *b, omma_graph *g, omma_rule *const *list, size_t count) {
    omma_arena tmp;
    omma_arena_init(&tmp, b->arena->budget);
    omma_fuse f = {.b = b, .g = g, .changed = true};
    omma_status s = OMMA_OK;
    while (f.changed && !s) {
        f.changed = false;
        omma_graph_sweep(g);
        omma_arena_free(&tmp);
        f.uses = omma_graph_uses(g, &tmp);
        if (!f.uses) s = omma_fail(b->err, OMMA_E_NOMEM, "no memory to fuse");
        for (int i = 0; i < g->n_nodes && !s; i++) {
            /* one rule a node and round: a changed graph needs its uses counted again */
            omma_node *n = g->nodes[i];
            for (size_t r = 0; r < count && !s && g->nodes[i] == n; r++) s = list[r](&f, n);
        }
    }
    omma_graph_sweep(g);
    omma_arena_free(&tmp);
    return s;
}

omma_status omma_pass_fuse(omma_build *b, omma_graph *g) {
    return apply(b, g, rules, sizeof rules / sizeof *rules);
}

omma_status omma_pass_fuse_norms(omma_build *b, omma_graph *g) {
    static omma_rule *const norms[] = {omma_rule_conv_norm, omma_rule_conv_scale};
    return apply(b, g, norms, sizeof norms / sizeof *norms);
}
