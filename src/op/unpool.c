/* unpool.c - MaxUnpool: the maxima of a MaxPool put back where they were, zeros around them.
 *
 *   x: [N, C, spatial...] of floats   indices: int64, as x, as MaxPool gives them
 *   y: [N, C, out...], out = (in - 1) * stride + kernel - pads; or output_shape, all dims
 *
 * An index counts through the tensor of the first shape, whatever output_shape adds behind.
 * Source: ONNX MaxUnpool 9, 11, 22. */
#include <string.h>

#include "base/checked.h"
#include "op/element.h"
#include "op/grad.h"
#include "op/window.h"

typedef struct unpool {
    int rank;
    int64_t count;                /* numbers of the shape that indices count in */
    int64_t dims[OMMA_MAX_RANK];  /* that shape */
    int64_t steps[OMMA_MAX_RANK]; /* strides of y */
} unpool;

static omma_status infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0];
    int64_t kernel[OMMA_MAX_SPATIAL], given[OMMA_MAX_RANK];
    int count;
    bool found;
    omma_window w;
    OMMA_TRY(omma_want(b, n, 0, OMMA_IN_FLOAT));
    OMMA_TRY(omma_want(b, n, 1, OMMA_BIT(OMMA_I64)));
    if (x->rank < 3 || n->in[1]->rank != x->rank ||
        memcmp(x->dims, n->in[1]->dims, (size_t)x->rank * sizeof *x->dims))
        return omma_bad(b, n, "[N, C, spatial...] and an index for each number are needed");
    OMMA_TRY(omma_window_kernel(b, n, x->rank - 2, kernel, &found));
    if (!found) return omma_bad(b, n, "kernel_shape is missing");
    OMMA_TRY(omma_window_read(b, n, x, kernel, &w));
    unpool *u = omma_param(b, n, sizeof *u);
    if (!u) return omma_nomem(b, n);
    u->rank = x->rank;
    memcpy(u->dims, x->dims, sizeof u->dims);
    for (int d = 0; d < w.k; d++)
        u->dims[d + 2] = x->dims[d + 2] ? (x->dims[d + 2] - 1) * w.stride[d] + kernel[d] -
                                              w.pad[d] - w.pad_end[d]
                                        : 0;
    OMMA_TRY(omma_ints_in(b, n, 2, given, OMMA_MAX_RANK, &count));
    if (count < 0) memcpy(given, u->dims, sizeof given);
    else if (count != x->rank)
        return omma_bad(b, n, "output_shape has %d dimensions, not %d", count, x->rank);
    for (int d = 0; d < x->rank; d++)
        if (given[d] < u->dims[d] || u->dims[d] < 0)
            return omma_bad(b, n, "%lld along axis %d; at least %lld are needed",
                            (long long)given[d], d, (long long)u->dims[d]);
    if (!omma_dims_count(u->dims, u->rank, &u->count)) return omma_bad(b, n, "the size overflows");
    OMMA_TRY(omma_out(b, n, 0, x->dtype, x->rank, given));
    if (omma_wanted(n, 0)) omma_strides(given, x->rank, u->steps);
    return OMMA_OK;
}

/* Where index i puts its number in y. */
static int64_t place(const unpool *u, int64_t i) {
    int64_t at[OMMA_MAX_RANK], to = 0;
    omma_unravel(i, u->dims, u->rank, at);
    for (int d = 0; d < u->rank; d++) to += at[d] * u->steps[d];
    return to;
}

static omma_status run(const omma_exec *x, const omma_node *n) {
    const unpool *u = n->param;
    const omma_value *v = n->in[0], *y = omma_wanted(n, 0);
    const int64_t *index = n->in[1]->mem;
    const size_t size = omma_dtype_size(v->dtype);
    if (y && omma_value_bytes(y)) memset(y->mem, 0, omma_value_bytes(y));
    for (int64_t i = 0; i < omma_value_count(v); i++) {
        if (index[i] < 0 || index[i] >= u->count)
            return omma_run_bad(x, n, "index %lld is outside %lld numbers", (long long)index[i],
                                (long long)u->count);
        if (!y) continue;
        memcpy((char *)y->mem + (size_t)place(u, index[i]) * size,
               (const char *)v->mem + (size_t)i * size, size);
    }
    return OMMA_OK;
}

/* --- the readings in reverse -------------------------------------------------------------- */

/* v's numbers at the indices: [count], v in the shape that indices count in. */
static omma_value *fetch(omma_maker *m, omma_value *v, omma_value *indices) {
    if (!v) return NULL;
    return omma_make_2(m, "Gather", omma_make_reshape(m, v, 1, (int64_t[]){omma_value_count(v)}),
                       indices);
}

/* dx: dy at the index. Of several numbers for one place the last stays, and has the cotangent: the
 * numbers' own places are put there as well, and whoever finds his own is the one. */
static omma_status grad(omma_grad *g, const omma_node *n) {
    const unpool *u = n->param;
    omma_maker *m = &g->m;
    omma_value *dy = omma_grad_out(g, n, 0), *x = n->in[0];
    const int64_t count = omma_value_count(x);
    if (!count) return m->status;
    for (int d = 0; d < u->rank; d++)
        if (dy && dy->dims[d] != u->dims[d]) dy = omma_make_slice(m, dy, d, 0, u->dims[d], 1);
    omma_value *indices = omma_make_reshape(m, n->in[1], 1, &count);
    const omma_value wide = {.dtype = OMMA_F64};
    omma_value *range[] = {omma_make_number(m, &wide, 0), omma_make_number(m, &wide, (double)count),
                           omma_make_number(m, &wide, 1)};
    omma_value *own = omma_make(m, "Range", range, 3, NULL, 0);
    omma_value *put[] = {omma_make_shaped(m, own, x), n->in[1]};
    const omma_node *last = omma_make_node(m, n->op, n->opset, put, 2, n->attrs, n->n_attrs, 1);
    omma_value *stays = omma_make_2(m, "Equal", own, fetch(m, last ? last->out[0] : NULL, indices));
    omma_value *dx =
        omma_make_3(m, "Where", stays, fetch(m, dy, indices), omma_make_number(m, x, 0));
    return omma_grad_add(g, n, 0, omma_make_shaped(m, dx, x));
}

/* Known indices say which number stays at which place; else any may. */
static omma_status field(omma_field *f, const omma_node *n) {
    const unpool *u = n->param;
    const int64_t *index = omma_field_numbers(f, n->in[1]);
    omma_relation *r = omma_field_relate(f, 0, 0);
    int32_t *start, *item;
    if (!r) return f->status;
    r->bound = !index;
    if (!index) return omma_field_control(f, 0, 1);
    const int64_t in = omma_value_count(n->in[0]), out = omma_value_count(n->out[0]);
    r->data = !n->in[1]->data;
    omma_relation_view_out(r, 1, &out);
    omma_relation_view_in(r, 1, &in);
    if (!omma_map_list(f, &r->axis[0], 0, out, in, &start, &item)) return f->status;
    int32_t *from = omma_arena_array(f->b->arena, (size_t)out, sizeof *from), k = 0;
    if (!from) return f->status = omma_nomem(f->b, n);
    for (int64_t i = 0; i < in; i++)
        if (index[i] >= 0 && index[i] < u->count) from[place(u, index[i])] = (int32_t)i + 1;
    for (int64_t o = 0; o < out; o++) {
        start[o] = k;
        if (from[o]) item[k++] = from[o] - 1;
    }
    start[out] = k;
    return omma_field_control(f, 0, 1);
}

const omma_op omma_op_MaxUnpool = {.name = "MaxUnpool",
                                   .min_in = 2,
                                   .max_in = 3,
                                   .min_out = 1,
                                   .max_out = 1,
                                   .infer = infer,
                                   .run = run,
                                   .grad = grad,
                                   .field = field};
