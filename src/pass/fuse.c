/* fuse.c - a table of small rules (rule.h) applied until none fits. */
#include "pass/passes.h"
#include "pass/rule.h"

static const struct {
    const char *name; /* passes.h */
    omma_rule *rule;
} rules[] = {{"conv-norm", omma_rule_conv_norm},
             {"conv-scale", omma_rule_conv_scale},
             {"hard-swish", omma_rule_hard_swish},
             {"gelu", omma_rule_gelu},
             {"layer-norm", omma_rule_layer_norm},
             {"bias", omma_rule_bias},
             {"silu", omma_rule_silu},
             {"activation", omma_rule_activation}};
enum { RULES = sizeof rules / sizeof *rules };

omma_status omma_pass_fuse(omma_build *b, omma_graph *g) {
    omma_arena tmp;
    omma_arena_init(&tmp, b->arena->budget);
    omma_fuse f = {.b = b, .g = g, .changed = true};
    omma_status s = OMMA_OK;
    bool on[RULES];
    for (int r = 0; r < RULES; r++) on[r] = omma_pass_on(rules[r].name);
    while (f.changed && !s) {
        f.changed = false;
        omma_graph_sweep(g);
        omma_arena_free(&tmp);
        f.uses = omma_graph_uses(g, &tmp);
        if (!f.uses) s = omma_fail(b->err, OMMA_E_NOMEM, "no memory to fuse");
        for (int i = 0; i < g->n_nodes && !s; i++) {
            /* one rule a node and round: a changed graph needs its uses counted again */
            omma_node *n = g->nodes[i];
            for (int r = 0; r < RULES && !s && g->nodes[i] == n; r++)
                if (on[r]) s = rules[r].rule(&f, n);
        }
    }
    omma_graph_sweep(g);
    omma_arena_free(&tmp);
    return s;
}
