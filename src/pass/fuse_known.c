/* fuse_known.c - the fusion rules that must know every shape: they run once a plan, when the graph
 * is specialised. What they add is inferred at once. Constants of their own they make none, for
 * those would be packed anew for every plan. */
#include "pass/rule.h"

static omma_rule *const rules[] = {omma_rule_attention, omma_rule_attention_output,
                                   omma_rule_idle_move};

omma_status omma_pass_fuse_known(omma_build *b, omma_graph *g) {
    return omma_rules_apply(b, g, rules, sizeof rules / sizeof *rules);
}
