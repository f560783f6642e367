/* move_back.c - see move_back.h. */
#include "op/move_back.h"

#include "op/move.h"

omma_value *omma_move_zeros(omma_maker *m, omma_dtype t, int rank, const int64_t *dims) {
    omma_value like = {.name = "zeros", .dtype = t, .rank = rank};
    memcpy(like.dims, dims, (size_t)rank * sizeof *dims);
    return omma_make_full(m, &like, 0);
}

omma_value *omma_move_padded(omma_maker *m, omma_value *x, const int64_t *before,
                             const int64_t *after) {
    int64_t pads[2 * OMMA_MAX_RANK];
    bool any = false;
    for (int d = 0; x && d < x->rank; d++) {
        pads[d] = before[d];
        pads[x->rank + d] = after[d];
        any |= before[d] || after[d];
    }
    if (!x || !any) return x;
    return omma_make_2(m, "Pad", x, omma_make_ints(m, pads, 2 * x->rank));
}

omma_value *omma_move_padded_axis(omma_maker *m, omma_value *x, int axis, int64_t before,
                                  int64_t after) {
    int64_t front[OMMA_MAX_RANK] = {0}, back[OMMA_MAX_RANK] = {0};
    front[axis] = before;
    back[axis] = after;
    return omma_move_padded(m, x, front, back);
}

/* dims before axis, and behind it, multiplied. */
static void sides(const omma_value *v, int axis, int64_t *outer, int64_t *inner) {
    *outer = *inner = 1;
    for (int d = 0; d < axis; d++) *outer *= v->dims[d];
    for (int d = axis + 1; d < v->rank; d++) *inner *= v->dims[d];
}

/* step - 1 zeros behind every slice. */
static omma_value *interleaved(omma_maker *m, omma_value *x, int axis, int64_t step) {
    int64_t dims[4] = {1, x->dims[axis], 1, 1}, full[OMMA_MAX_RANK];
    const int rank = x->rank;
    sides(x, axis, &dims[0], &dims[3]);
    memcpy(full, x->dims, sizeof full);
    full[axis] *= step;
    x = omma_move_padded_axis(m, omma_make_reshape(m, x, 4, dims), 2, 0, step - 1);
    return omma_make_reshape(m, x, rank, full);
}

omma_value *omma_move_spaced(omma_maker *m, omma_value *x, int axis, int64_t first, int64_t step,
                             int64_t dim) {
    if (!x) return NULL;
    int64_t count = x->dims[axis];
    if (!count) first = 0;
    if (step < 0 && count > 1) {
        x = omma_make_slice(m, x, axis, -1, INT64_MIN, -1);
        first += (count - 1) * step;
        step = -step;
    }
    if (x && step > 1 && count > 1) {
        x = interleaved(m, x, axis, step);
        count *= step;
    }
    return omma_move_padded_axis(m, x, axis, first, dim - first - count);
}

/* Are these constants first, first + step, ..., no two the same, all inside an axis of dim? */
static bool evenly(const omma_value *index, int64_t n, int64_t dim, int64_t *first, int64_t *step) {
    *first = omma_index_of(index->dtype, index->data, 0, dim);
    *step = n > 1 ? omma_index_of(index->dtype, index->data, 1, dim) - *first : 1;
    for (int64_t i = 0; i < n; i++) {
        const int64_t k = omma_index_of(index->dtype, index->data, i, dim);
        if (k < 0 || k != *first + i * *step) return false;
    }
    return *step != 0;
}

/* [a, b, c] to [b, a, c] for a > 1; else it is the same memory. */
static omma_value *crossed(omma_maker *m, omma_value *x) {
    static const int64_t perm[] = {1, 0, 2};
    if (!x) return NULL;
    if (x->dims[0] != 1 && x->dims[1] != 1) return omma_make_transpose(m, x, perm);
    return omma_make_reshape(m, x, 3, (int64_t[]){x->dims[1], x->dims[0], x->dims[2]});
}

omma_value *omma_move_scattered(omma_maker *m, omma_value *x, omma_value *index,
                                const omma_value *like, int axis) {
    int64_t outer, inner, first, step, dims[OMMA_MAX_RANK];
    if (!x || !index) return NULL;
    const int64_t n = omma_value_count(index), dim = like->dims[axis];
    if (!omma_value_count(x)) return omma_make_full(m, like, 0);
    sides(like, axis, &outer, &inner);
    if (index->data && evenly(index, n, dim, &first, &step)) {
        memcpy(dims, like->dims, sizeof dims);
        dims[axis] = n;
        x = omma_make_reshape(m, x, like->rank, dims);
        return omma_move_spaced(m, x, axis, first, step, dim);
    }
    x = crossed(m, omma_make_reshape(m, x, 3, (int64_t[]){outer, n, inner}));
    const omma_attr add = OMMA_A_STRING("reduction", "add");
    omma_value *in[] = {omma_move_zeros(m, like->dtype, 3, (int64_t[]){dim, outer, inner}),
                        omma_make_reshape(m, index, 2, (int64_t[]){n, 1}), x};
    return omma_make_shaped(m, crossed(m, omma_make(m, "ScatterND", in, 3, &add, 1)), like);
}
