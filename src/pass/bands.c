/* bands.c - convolutions one behind the other, in bands of rows:
 *
 *   ConvLast | ConvChain -> ConvLast         both 1x1 or depthwise, of float32
 *
 * where the map between them is read by nobody else and too large for the cache near the processor:
 * there it costs more to write and read it than to compute some of its rows twice. Behind all other
 * passes, since those know ConvLast alone. */
#include "op/last_ops.h"
#include "pass/rule.h"

enum { LARGE = 768 << 10 }; /* bytes */

omma_status omma_rule_bands(omma_fuse *f, omma_node *n) {
    omma_node *before = omma_is(n, omma_op_ConvLast.name) ? omma_only(f, n->in[0]) : NULL;
    omma_node *chain;
    if (!before || !n->out[0]) return OMMA_OK;
    if (!omma_is(before, omma_op_ConvLast.name) && !omma_is(before, omma_op_ConvChain.name))
        return OMMA_OK;
    if (omma_value_bytes(n->in[0]) < LARGE) return OMMA_OK;
    const int at = n->index, first = f->g->n_nodes;
    OMMA_TRY(omma_conv_chain(f->b, f->g, before, n, &chain));
    if (!chain) return OMMA_OK;
    omma_node_set_output(chain, 0, n->out[0]);
    f->changed = true;
    return omma_graph_replace(f->g, at, first) ? OMMA_OK : omma_nomem(f->b, n);
}
