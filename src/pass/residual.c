/* residual.c - what is added to a product goes into it:
 *
 *   ConvLast | Linear | MatMul, Gemm by weights -> views -> Add of a value of the same shape
 *
 * The product is then done where the Add was, when both are there, and may overwrite what is added.
 * Behind the layout pass, where convolutions and what they meet have one form. */
#include "op/last_ops.h"
#include "pass/rule.h"

static bool same_shape(const omma_value *a, const omma_value *b) {
    return a->dtype == b->dtype && a->rank == b->rank &&
           !memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims);
}

/* A Gemm that is a linear layer: nothing but a bias for each column beside the product. */
static bool is_plain_gemm(const omma_node *n) {
    const omma_value *c = omma_in(n, 2);
    return omma_is(n, "Gemm") && !omma_node_int(n, "transA", 0) &&
           omma_node_float(n, "alpha", 1) == 1.0f && omma_node_float(n, "beta", 1) == 1.0f &&
           (!c || (c->rank == 1 && c->dims[0] > 1 && c->dims[0] == n->out[0]->dims[1]));
}

/* What a product with an addend is made of n, or NULL. */
static const omma_op *takes_add(const omma_node *n) {
    if (!n || n->n_in < 2 || omma_node_attr(n, OMMA_FUSED_ACT) || omma_in(n, 3)) return NULL;
    if (omma_is(n, omma_op_ConvLast.name)) return n->op;
    const omma_value *w = n->in[1];
    if (!w || !w->data || w->dtype != OMMA_F32 || w->rank != 2 || !omma_value_count(w)) return NULL;
    if (is_plain_gemm(n)) return &omma_op_GemmAdd;
    const bool linear = omma_is(n, omma_op_Linear.name) || omma_is(n, "MatMul");
    return linear && n->in[0]->rank > 1 ? &omma_op_Linear : NULL;
}

/* The product whose result v is, under other dims perhaps; nobody else reads anything between. */
static omma_node *product_of(const omma_fuse *f, const omma_value *v) {
    omma_node *n = omma_only(f, v);
    while (omma_is(n, "Reshape")) n = omma_only(f, n->in[0]);
    return takes_add(n) ? n : NULL;
}

/* Put what add does in its place: the product with an addend, and a view if its dims are others. */
static omma_status join(omma_fuse *f, omma_node *add, const omma_node *product, omma_value *other) {
    const int at = add->index, first = f->g->n_nodes;
    omma_value *y = add->out[0], *v = y;
    omma_node *n = omma_graph_node(f->g, takes_add(product), add->name, 4, 1);
    if (!n) return omma_nomem(f->b, add);
    for (int i = 0; i < product->n_in; i++) n->in[i] = product->in[i];
    n->in[3] = other;
    n->attrs = product->attrs, n->n_attrs = product->n_attrs;
    n->opset = product->opset, n->offset = product->offset;
    if (!same_shape(product->out[0], y)) {
        const char *name = omma_arena_printf(f->b->arena, "omma:added:%s", y->name);
        if (!name || !(v = omma_graph_value(f->g, name))) return omma_nomem(f->b, add);
    }
    omma_node_set_output(n, 0, v);
    OMMA_TRY(n->op->infer(f->b, n));
    if (v != y) OMMA_TRY(omma_view_node(f->b, f->g, add, v, y->rank, y->dims, y));
    f->changed = true;
    return omma_graph_replace(f->g, at, first) ? OMMA_OK : omma_nomem(f->b, add);
}

omma_status omma_rule_residual(omma_fuse *f, omma_node *add) {
    if (!omma_is(add, "Add") || !add->out[0] || !same_shape(add->in[0], add->in[1])) return OMMA_OK;
    omma_node *p[2] = {product_of(f, add->in[0]), product_of(f, add->in[1])};
    const int i = !p[0] || (p[1] && p[1]->index > p[0]->index); /* the later one, if both can */
    return p[i] ? join(f, add, p[i], add->in[1 - i]) : OMMA_OK;
}
