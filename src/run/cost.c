/* cost.c - see cost.h. */
#include "run/cost.h"

static bool is_view(const omma_node *n) { return n->op->flags & OMMA_OP_VIEW && n->n_out == 1; }

double omma_cost_flops(const omma_node *n) {
    if (n->op->flops) return n->op->flops(n);
    return n->out[0] && !(n->op->flags & OMMA_OP_VIEW) ? (double)omma_value_count(n->out[0]) : 0;
}

double omma_cost_bytes(const omma_node *n) {
    if (is_view(n)) {
        const bool in_place = n->in[0]->mem == n->out[0]->mem;
        return in_place ? 0 : 2 * (double)omma_value_bytes(n->out[0]);
    }
    double sum = 0;
    for (int i = 0; i < n->n_in && !(n->op->flags & OMMA_OP_SHAPE_ONLY); i++)
        if (n->in[i]) sum += (double)omma_value_bytes(n->in[i]);
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i]) sum += (double)omma_value_bytes(n->out[i]);
    return sum;
}
