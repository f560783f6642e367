/* grad.c - see grad.h. */
#include "op/grad.h"

#include <assert.h>
#include <string.h>

omma_value *omma_grad_out(const omma_grad *g, const omma_node *n, int k) {
    const omma_value *v = k < n->n_out ? n->out[k] : NULL;
    return v ? g->cotangent[v->index] : NULL;
}

omma_value *omma_grad_full(omma_grad *g, const omma_node *n, int k) {
    omma_value *c = omma_grad_out(g, n, k);
    return c ? c : omma_make_full(&g->m, n->out[k], 0);
}

bool omma_grad_wants(const omma_grad *g, const omma_node *n, int i) {
    const omma_value *v = omma_in(n, i);
    return v && v->index < g->n_values && g->wanted[v->index];
}

omma_status omma_grad_add(omma_grad *g, const omma_node *n, int i, omma_value *c) {
    if (!c || g->m.status || !omma_grad_wants(g, n, i)) return g->m.status;
    const omma_value *v = n->in[i];
    assert(c->rank == v->rank && !memcmp(c->dims, v->dims, (size_t)v->rank * sizeof *v->dims));
    c = omma_make_cast(&g->m, c, v->dtype);
    omma_value **sum = &g->cotangent[v->index];
    *sum = *sum ? omma_make_2(&g->m, "Add", *sum, c) : c;
    return g->m.status;
}

omma_status omma_grad_zero(omma_grad *g, const omma_node *n) {
    (void)n;
    return g->m.status;
}
