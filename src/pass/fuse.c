/* fuse.c - tables of small rules (rule.h), each applied until none of it fits. */
#include "pass/passes.h"
#include "pass/rule.h"

typedef struct named_rule {
    const char *name; /* passes.h */
    omma_rule *rule;
} named_rule;

/* Before shapes are known; the first NORMS put norms into convolutions. */
static const named_rule first[] = {
    {"conv-norm", omma_rule_conv_norm},       {"conv-scale", omma_rule_conv_scale},
    {"hard-swish", omma_rule_hard_swish},     {"gelu", omma_rule_gelu},
    {"layer-norm", omma_rule_layer_norm},     {"bias", omma_rule_bias},
    {"linear-scale", omma_rule_linear_scale}, {"silu", omma_rule_silu},
    {"activation", omma_rule_activation},     {"line", omma_rule_line}};

/* When they are. These make no constants of their own, which would be packed anew for every plan;
 * what they make is inferred at once. */
static const named_rule known[] = {{"attention", omma_rule_attention},
                                   {"attention-output", omma_rule_attention_output},
                                   {"idle-move", omma_rule_idle_move}};

/* Behind the layout pass; the same is true of them. */
static const named_rule last[] = {{"residual", omma_rule_residual},
                                  {"silu", omma_rule_silu},
                                  {"activation", omma_rule_activation}};

/* Behind all other passes; the same is true of it. */
static const named_rule bands[] = {{"bands", omma_rule_bands}};

enum { NORMS = 2, RULES_MAX = 16 };

/* With `inferred` the shapes are known, and what a rule puts in a node's place is inferred too. */
static omma_status apply(omma_build *b, omma_graph *g, const named_rule *rules, int count,
                         bool inferred) {
    omma_arena tmp;
    omma_arena_init(&tmp, b->arena->budget);
    omma_fuse f = {.b = b, .g = g, .changed = true};
    omma_status s = OMMA_OK;
    bool on[RULES_MAX];
    for (int r = 0; r < count; r++) on[r] = omma_pass_on(rules[r].name);
    while (f.changed && !s) {
        f.changed = false;
        omma_graph_sweep(g);
        omma_arena_free(&tmp);
        f.uses = omma_graph_uses(g, &tmp);
        f.n_uses = g->n_values;
        if (!f.uses) s = omma_fail(b->err, OMMA_E_NOMEM, "no memory to fuse");
        for (int i = 0; i < g->n_nodes && !s; i++) {
            /* one rule a node and round: a changed graph needs its uses counted again */
            omma_node *n = g->nodes[i];
            for (int r = 0; r < count && !s && g->nodes[i] == n; r++)
                if (on[r]) s = rules[r].rule(&f, n);
            if (!s && inferred && g->nodes[i] != n) s = g->nodes[i]->op->infer(b, g->nodes[i]);
        }
    }
    omma_graph_sweep(g);
    omma_arena_free(&tmp);
    return s;
}

#define COUNT(rules) (int)(sizeof(rules) / sizeof *(rules))

omma_status omma_pass_fuse(omma_build *b, omma_graph *g) {
    return apply(b, g, first, COUNT(first), false);
}

omma_status omma_pass_fuse_norms(omma_build *b, omma_graph *g) {
    return apply(b, g, first, NORMS, false);
}

omma_status omma_pass_fuse_known(omma_build *b, omma_graph *g) {
    return apply(b, g, known, COUNT(known), true);
}

omma_status omma_pass_fuse_last(omma_build *b, omma_graph *g) {
    return apply(b, g, last, COUNT(last), true);
}

omma_status omma_pass_bands(omma_build *b, omma_graph *g) {
    return apply(b, g, bands, COUNT(bands), true);
}
