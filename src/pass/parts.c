/* parts.c - operators that stand for plainer ones give way to them before a reading in reverse:
 * an attention to products and a softmax. See differentiate.h. */
#include "pass/differentiate.h"

static bool by_parts(const omma_op *op, omma_reading reading) {
    if (reading == OMMA_READ_GRADIENT) return op->parts && !op->grad;
    return op->parts && !op->field;
}

static omma_status replace(omma_maker *m, omma_graph *g, omma_node *n) {
    const int at = n->index, first = g->n_nodes;
    m->of = n;
    omma_status s = n->op->parts(m, n);
    if (!s) s = m->status;
    if (!s && !omma_graph_replace(g, at, first)) s = omma_nomem(m->b, n);
    return s;
}

omma_status omma_pass_parts(omma_build *b, omma_graph *g, omma_reading reading) {
    omma_maker m = {.b = b, .g = g, .tag = "p", .made = g->n_values};
    for (int i = 0; i < g->n_nodes; i++) {
        if (!by_parts(g->nodes[i]->op, reading)) continue;
        OMMA_TRY(replace(&m, g, g->nodes[i]));
        i--; /* what came in its place may have parts too */
    }
    omma_graph_sweep(g);
    return OMMA_OK;
}
