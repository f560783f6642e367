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

static omma_status run(const omma_exec *x, const omma_node *n) {
    const unpool *u = n->param;
    const omma_value *v = n->in[0], *y = omma_wanted(n, 0);
    const int64_t *index = n->in[1]->mem;
    const size_t size = omma_dtype_size(v->dtype);
    if (y && omma_value_bytes(y)) memset(y->mem, 0, omma_value_bytes(y));
    for (int64_t i = 0; i < omma_value_count(v); i++) {
        int64_t at[OMMA_MAX_RANK], to = 0;
        if (index[i] < 0 || index[i] >= u->count)
            return omma_run_bad(x, n, "index %lld is outside %lld numbers", (long long)index[i],
                                (long long)u->count);
        if (!y) continue;
        omma_unravel(index[i], u->dims, u->rank, at);
        for (int d = 0; d < u->rank; d++) to += at[d] * u->steps[d];
        memcpy((char *)y->mem + (size_t)to * size, (const char *)v->mem + (size_t)i * size, size);
    }
    return OMMA_OK;
}

const omma_op omma_op_MaxUnpool = {.name = "MaxUnpool",
                                   .min_in = 2,
                                   .max_in = 3,
                                   .min_out = 1,
                                   .max_out = 1,
                                   .infer = infer,
                                   .run = run,
                                   .no_grad = OMMA_NOT_YET,
                                   .no_field = OMMA_NOT_YET};
