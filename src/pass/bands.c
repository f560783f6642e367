/* bands.c - convolutions one behind the other, in bands of rows:
 *
 *   ConvLast | ConvChain -> ConvLast         both 1x1 or depthwise, of float32
 *
 * where the map between them is read by nobody else, and kernel/chain.h says that it pays. Behind
 * all other passes, since those know ConvLast alone. */
#include "op/last_ops.h"
#include "pass/rule.h"

omma_status omma_rule_bands(omma_fuse *f, omma_node *n) {
    omma_node *before = omma_is(n, omma_op_ConvLast.name) ? omma_only(f, n->in[0]) : NULL;
    omma_node *chain;
    if (!before || !n->out[0]) return OMMA_OK;
    if (!omma_is(before, omma_op_ConvLast.name) && !omma_is(before, omma_op_ConvChain.name))
        return OMMA_OK;
    const int at = n->index, first = f->g->n_nodes;
    OMMA_TRY(omma_conv_chain(f->b, f->g, before, n, &chain));
    if (!chain) return OMMA_OK;
    omma_node_set_output(chain, 0, n->out[0]);
    f->changed = true;
    return omma_graph_replace(f->g, at, first) ? OMMA_OK : omma_nomem(f->b, n);
}
