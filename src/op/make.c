/* make.c - see make.h. */
#include "op/make.h"

#include <string.h>

static omma_status no_memory(omma_maker *m) {
    return m->status = omma_fail_node(m->b->err, OMMA_E_NOMEM, m->of->name, m->of->op->name,
                                      "out of memory");
}

/* Attributes that live as long as the graph. */
static const omma_attr *copy_attrs(omma_maker *m, const omma_attr *attrs, int n) {
    omma_attr *copy = omma_arena_array(m->g->arena, (size_t)n, sizeof *copy);
    for (int i = 0; copy && i < n; i++) {
        copy[i] = attrs[i];
        if (attrs[i].kind != OMMA_ATTR_INTS) continue;
        int64_t *ints = omma_arena_array(m->g->arena, (size_t)attrs[i].count + 1, sizeof *ints);
        if (!ints) return NULL;
        if (attrs[i].count) memcpy(ints, attrs[i].ints, (size_t)attrs[i].count * sizeof *ints);
        copy[i].ints = ints;
    }
    return copy;
}

static omma_value *new_value(omma_maker *m) {
    const char *of = m->of->name;
    for (int k = m->of->n_out - 1; k >= 0; k--)
        if (m->of->out[k]) of = m->of->out[k]->name;
    const char *name = omma_arena_printf(m->g->arena, "%s~%s%d", of, m->tag, m->made++);
    return name ? omma_graph_value(m->g, name) : NULL;
}

/* Are all inputs there that the row needs? One that is not says that making it failed. */
static bool complete(omma_maker *m, const omma_op *op, omma_value *const *in, int k) {
    if (m->status) return false;
    for (int i = 0; i < op->min_in && i < k; i++)
        if (!in[i]) return false;
    return true;
}

omma_node *omma_make_node(omma_maker *m, const omma_op *op, int opset, omma_value *const *in, int k,
                          const omma_attr *attrs, int n_attrs, int outs) {
    if (!complete(m, op, in, k)) return NULL;
    while (k > op->min_in && !in[k - 1]) k--;
    omma_node *n = omma_graph_node(m->g, op, m->of->name, k, outs);
    if (!n || !(n->attrs = copy_attrs(m, attrs, n_attrs))) return no_memory(m), NULL;
    n->n_attrs = n_attrs;
    n->opset = opset;
    n->offset = m->of->offset;
    for (int i = 0; i < k; i++) n->in[i] = in[i];
    for (int i = 0; i < outs; i++) {
        omma_value *v = new_value(m);
        if (!v) return no_memory(m), NULL;
        omma_node_set_output(n, i, v);
    }
    m->status = op->infer(m->b, n);
    return m->status ? NULL : n;
}

omma_value *omma_make(omma_maker *m, const char *op, omma_value *const *in, int k,
                      const omma_attr *attrs, int n_attrs) {
    const omma_node *n = omma_make_node(m, omma_op_find(op), 13, in, k, attrs, n_attrs, 1);
    return n ? n->out[0] : NULL;
}

omma_value *omma_make_1(omma_maker *m, const char *op, omma_value *a) {
    return omma_make(m, op, &a, 1, NULL, 0);
}

omma_value *omma_make_2(omma_maker *m, const char *op, omma_value *a, omma_value *b) {
    return omma_make(m, op, (omma_value *[]){a, b}, 2, NULL, 0);
}

omma_value *omma_make_3(omma_maker *m, const char *op, omma_value *a, omma_value *b,
                        omma_value *c) {
    return omma_make(m, op, (omma_value *[]){a, b, c}, 3, NULL, 0);
}

static omma_value *constant(omma_maker *m, omma_dtype t, int rank, int64_t n, void **data) {
    if (m->status) return NULL;
    omma_value *v = new_value(m);
    *data = omma_arena_array(m->g->arena, (size_t)n + 1, omma_dtype_size(t));
    if (!v || !*data) return no_memory(m), NULL;
    v->dtype = t;
    v->rank = rank;
    v->dims[0] = n;
    v->data = *data;
    return v;
}

omma_value *omma_make_number(omma_maker *m, const omma_value *like, double x) {
    void *data;
    if (!like) return NULL;
    omma_value *v = constant(m, like->dtype, 0, 1, &data);
    if (v) omma_set_number(like->dtype, data, 0, x);
    return v;
}

omma_value *omma_make_ints(omma_maker *m, const int64_t *ints, int n) {
    void *data;
    omma_value *v = constant(m, OMMA_I64, 1, n, &data);
    if (v && n) memcpy(data, ints, (size_t)n * sizeof *ints);
    return v;
}

omma_value *omma_make_scaled(omma_maker *m, omma_value *x, double k) {
    return omma_make_2(m, "Mul", x, omma_make_number(m, x, k));
}

omma_value *omma_make_shifted(omma_maker *m, omma_value *x, double k) {
    return omma_make_2(m, "Add", x, omma_make_number(m, x, k));
}

omma_value *omma_make_squared(omma_maker *m, omma_value *x) { return omma_make_2(m, "Mul", x, x); }

omma_value *omma_make_full(omma_maker *m, const omma_value *like, double k) {
    if (!like) return NULL;
    return omma_make_2(m, "Expand", omma_make_number(m, like, k),
                       omma_make_ints(m, like->dims, like->rank));
}

static bool same_dims(const omma_value *x, int rank, const int64_t *dims) {
    return x->rank == rank && (!rank || !memcmp(x->dims, dims, (size_t)rank * sizeof *dims));
}

omma_value *omma_make_reshape(omma_maker *m, omma_value *x, int rank, const int64_t *dims) {
    if (!x || same_dims(x, rank, dims)) return x;
    omma_value *in[] = {x, omma_make_ints(m, dims, rank)};
    const omma_attr literal = OMMA_A_INT("allowzero", 1);
    const omma_node *n = omma_make_node(m, omma_op_find("Reshape"), 14, in, 2, &literal, 1, 1);
    return n ? n->out[0] : NULL;
}

omma_value *omma_make_shaped(omma_maker *m, omma_value *x, const omma_value *like) {
    return like ? omma_make_reshape(m, x, like->rank, like->dims) : NULL;
}

omma_value *omma_make_transpose(omma_maker *m, omma_value *x, const int64_t *perm) {
    if (!x) return NULL;
    bool moves = false;
    for (int d = 0; d < x->rank; d++) moves |= perm[d] != d;
    const omma_attr a = OMMA_A_INTS("perm", perm, x->rank);
    return moves ? omma_make(m, "Transpose", &x, 1, &a, 1) : x;
}

omma_value *omma_make_turned(omma_maker *m, omma_value *x) {
    int64_t perm[OMMA_MAX_RANK];
    if (!x) return NULL;
    for (int d = 0; d < x->rank; d++) perm[d] = d;
    perm[x->rank - 1] = x->rank - 2, perm[x->rank - 2] = x->rank - 1;
    return omma_make_transpose(m, x, perm);
}

omma_value *omma_make_sum(omma_maker *m, omma_value *x, unsigned axes, bool keep) {
    int64_t list[OMMA_MAX_RANK];
    int n = 0;
    if (!x || !axes) return x;
    for (int d = 0; d < x->rank; d++)
        if (axes >> d & 1) list[n++] = d;
    const omma_attr a = OMMA_A_INT("keepdims", keep);
    return omma_make(m, "ReduceSum", (omma_value *[]){x, omma_make_ints(m, list, n)}, 2, &a, 1);
}

omma_value *omma_make_slice(omma_maker *m, omma_value *x, int axis, int64_t begin, int64_t end,
                            int64_t step) {
    omma_value *in[] = {x, omma_make_ints(m, &begin, 1), omma_make_ints(m, &end, 1),
                        omma_make_ints(m, (int64_t[]){axis}, 1), omma_make_ints(m, &step, 1)};
    return omma_make(m, "Slice", in, 5, NULL, 0);
}

omma_value *omma_make_concat(omma_maker *m, omma_value *const *x, int count, int axis) {
    for (int i = 0; i < count; i++)
        if (!x[i]) return NULL;
    const omma_attr a = OMMA_A_INT("axis", axis);
    return count == 1 ? x[0] : omma_make(m, "Concat", x, count, &a, 1);
}

omma_value *omma_make_spread(omma_maker *m, omma_value *x, const omma_value *like) {
    if (!x || !like || same_dims(x, like->rank, like->dims)) return x;
    return omma_make_2(m, "Expand", x, omma_make_ints(m, like->dims, like->rank));
}

omma_value *omma_make_fitted(omma_maker *m, omma_value *x, const omma_value *like) {
    if (!x || !like || same_dims(x, like->rank, like->dims)) return x;
    unsigned axes = 0;
    const int extra = x->rank - like->rank;
    for (int d = 0; d < x->rank; d++)
        if (d < extra || (like->dims[d - extra] == 1 && x->dims[d] != 1)) axes |= 1u << d;
    return omma_make_shaped(m, omma_make_sum(m, x, axes, true), like);
}

omma_value *omma_make_cast(omma_maker *m, omma_value *x, omma_dtype t) {
    if (!x || x->dtype == t) return x;
    const omma_attr a = OMMA_A_INT("to", t);
    return omma_make(m, "Cast", &x, 1, &a, 1);
}

void omma_make_output(omma_maker *m, int k, omma_value *v) {
    omma_value *out = k < m->of->n_out ? m->of->out[k] : NULL;
    if (!out || !v || m->status) return;
    omma_node *n = omma_graph_node(m->g, omma_op_find("Identity"), m->of->name, 1, 1);
    if (!n) {
        no_memory(m);
        return;
    }
    n->opset = 13;
    n->offset = m->of->offset;
    n->in[0] = v;
    omma_node_set_output(n, 0, out);
    m->status = n->op->infer(m->b, n);
}
