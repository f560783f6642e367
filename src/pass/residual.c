/* residual.c - what is added to a product goes into it:
 *
 *   ConvLast | Linear | MatMul by weights -> Add of a value of the same shape
 *
 * The product is then done where the Add was, when both are there, and may overwrite what is added.
 * Behind the layout pass, where convolutions and what they meet have one form. */
#include "op/last_ops.h"
#include "pass/rule.h"

static bool same_shape(const omma_value *a, const omma_value *b) {
    return a->dtype == b->dtype && a->rank == b->rank &&
           !memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims);
}

/* What a product with an addend is made of n, or NULL. */
static const omma_op *takes_add(const omma_node *n) {
    if (!n || n->n_in < 2 || omma_node_attr(n, OMMA_FUSED_ACT) || omma_in(n, 3)) return NULL;
    if (omma_is(n, omma_op_ConvLast.name)) return n->op;
    const omma_value *w = n->in[1];
    const bool linear = omma_is(n, omma_op_Linear.name) || omma_is(n, "MatMul");
    return linear && w->data && w->dtype == OMMA_F32 && w->rank == 2 && w->dims[0] &&
                   n->in[0]->rank > 1
               ? &omma_op_Linear
               : NULL;
}

static omma_status join(omma_fuse *f, omma_node *add, const omma_node *product, omma_value *other) {
    omma_node *n = omma_graph_substitute(f->g, add, takes_add(product), 4);
    if (!n) return omma_nomem(f->b, add);
    for (int i = 0; i < product->n_in; i++) n->in[i] = product->in[i];
    n->in[3] = other;
    n->attrs = product->attrs, n->n_attrs = product->n_attrs;
    n->opset = product->opset;
    f->changed = true;
    return OMMA_OK;
}

omma_status omma_rule_residual(omma_fuse *f, omma_node *add) {
    if (!omma_is(add, "Add") || !add->out[0] || !same_shape(add->in[0], add->in[1])) return OMMA_OK;
    omma_node *p[2] = {omma_only(f, add->in[0]), omma_only(f, add->in[1])};
    for (int i = 0; i < 2; i++)
        if (!takes_add(p[i])) p[i] = NULL;
    const int i = !p[0] || (p[1] && p[1]->index > p[0]->index); /* the later one, if both can */
    return p[i] ? join(f, add, p[i], add->in[1 - i]) : OMMA_OK;
}
