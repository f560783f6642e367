/* idle_move.c - moves that move nothing: a Transpose of axes of which all but one are 1 long, a
 * Slice of all there is, a Pad by nothing, a Dropout at rest. Exporters write them by the dozen,
 * for shapes that might have been others. They become a Reshape, which costs nothing and which
 * other rules see through. Runs at plan time. */
#include "pass/view.h"

static bool pads_nothing(omma_fuse *f, const omma_node *n) {
    int64_t pads[2 * OMMA_MAX_RANK];
    int count;
    if (!omma_is(n, "Pad") || (n->n_in > 1 && !n->in[1]->data) ||
        omma_ints_arg(f->b, n, 1, "pads", pads, 2 * OMMA_MAX_RANK, &count) || count < 0)
        return false;
    for (int i = 0; i < count; i++)
        if (pads[i]) return false;
    return true;
}

/* Do out 0's elements lie in in 0 as they are? */
static bool moves_nothing(omma_fuse *f, const omma_node *n) {
    omma_view w;
    if (omma_value_count(n->in[0]) != omma_value_count(n->out[0])) return false;
    if (pads_nothing(f, n)) return true;
    omma_view_self(&w, n->in[0]);
    if (!omma_view_through(&w, f->b, n, n->out[0])) return false;
    omma_view_merge(&w);
    return !w.offset && (!w.n || (w.n == 1 && w.f[0].step == 1));
}

omma_status omma_rule_idle_move(omma_fuse *f, omma_node *n) {
    if (n->op->flags & OMMA_OP_VIEW || n->n_out < 1 || !n->out[0] || !n->n_in || !n->in[0] ||
        !omma_value_known(n->in[0]) || !omma_value_count(n->in[0]))
        return OMMA_OK;
    for (int i = 1; i < n->n_out; i++)
        if (n->out[i]) return OMMA_OK;
    if (!moves_nothing(f, n)) return OMMA_OK;
    const omma_value *y = n->out[0];
    omma_attr *a = omma_arena_array(f->b->arena, 1, sizeof *a);
    int64_t *dims = omma_arena_array(f->b->arena, OMMA_MAX_RANK, sizeof *dims);
    omma_value *x = n->in[0];
    omma_node *r = a && dims ? omma_graph_substitute(f->g, n, omma_op_find("Reshape"), 1) : NULL;
    if (!r) return omma_nomem(f->b, n);
    memcpy(dims, y->dims, (size_t)y->rank * sizeof *dims);
    *a = (omma_attr){.name = "shape", .kind = OMMA_ATTR_INTS, .count = y->rank, .ints = dims};
    r->n_out = 1; /* the others are unwanted */
    r->in[0] = x;
    r->attrs = a, r->n_attrs = 1;
    r->opset = 1; /* where the shape is an attribute */
    f->changed = true;
    return r->op->infer(f->b, r);
}
