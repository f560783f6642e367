/* product_grad.c - see product_grad.h. With y = a b for matrices:
 *
 *     da = dy bT        db = aT dy
 *
 * A vector on the left is a row, on the right a column; where an operand's batch was repeated its
 * gradient is summed. An operand without a batch meets all rows at once, so that sum is part of the
 * product. */
#include "op/product_grad.h"

#include <string.h>

#include "base/checked.h"
#include "op/window.h"

/* --- gradients --------------------------------------------------------------------------- */

/* dy: batch [M] [N] with the axes of vectors put back. */
static omma_value *whole_result(omma_maker *m, omma_value *dy, const omma_value *a,
                                const omma_value *b) {
    int64_t dims[OMMA_MAX_RANK + 2];
    if (!dy) return NULL;
    int rank = dy->rank - (a->rank > 1) - (b->rank > 1);
    memcpy(dims, dy->dims, (size_t)rank * sizeof *dims);
    dims[rank++] = a->rank > 1 ? a->dims[a->rank - 2] : 1;
    dims[rank++] = b->rank > 1 ? b->dims[b->rank - 1] : 1;
    return omma_make_reshape(m, dy, rank, dims);
}

/* v: [..., n] as [rows, n]. */
static omma_value *rows_of(omma_maker *m, omma_value *v) {
    int64_t rows;
    if (!v || !omma_dims_count(v->dims, v->rank - 1, &rows)) return NULL;
    return omma_make_reshape(m, v, 2, (int64_t[]){rows, v->dims[v->rank - 1]});
}

/* A vector as the matrix it stands for; others as they are. */
static omma_value *matrix(omma_maker *m, omma_value *v, bool column) {
    if (v->rank > 1) return v;
    return omma_make_reshape(m, v, 2,
                             (int64_t[]){column ? v->dims[0] : 1, column ? 1 : v->dims[0]});
}

omma_value *omma_product_grad_left(omma_maker *m, omma_value *dy, omma_value *b,
                                   const omma_value *a) {
    dy = whole_result(m, dy, a, b);
    if (b->rank <= 2) {
        const omma_attr turn = OMMA_A_INT("transB", 1);
        omma_value *in[] = {rows_of(m, dy), matrix(m, b, true)};
        return omma_make_shaped(m, omma_make(m, "Gemm", in, 2, &turn, 1), a);
    }
    return omma_make_fitted(m, omma_make_2(m, "MatMul", dy, omma_make_turned(m, b)), a);
}

omma_value *omma_product_grad_right(omma_maker *m, omma_value *dy, omma_value *a,
                                    const omma_value *b) {
    dy = whole_result(m, dy, a, b);
    a = matrix(m, a, false);
    if (b->rank <= 2) {
        omma_value *turned = omma_make_turned(m, rows_of(m, a));
        return omma_make_shaped(m, omma_make_2(m, "MatMul", turned, rows_of(m, dy)), b);
    }
    return omma_make_fitted(m, omma_make_2(m, "MatMul", omma_make_turned(m, a), dy), b);
}

/* --- the field --------------------------------------------------------------------------- */

/* What the two operands' shapes come to. */
typedef struct shapes {
    int batch;                    /* axes of y's batch */
    int64_t rows, inner, columns; /* I, J, D of one product */
} shapes;

static shapes shapes_of(const omma_node *n) {
    const omma_value *a = n->in[0], *b = n->in[1], *y = n->out[0];
    return (shapes){.batch = y->rank - (a->rank > 1) - (b->rank > 1),
                    .rows = a->rank > 1 ? a->dims[a->rank - 2] : 1,
                    .inner = a->dims[a->rank - 1],
                    .columns = b->rank > 1 ? b->dims[b->rank - 1] : 1};
}

/* The batch axes of r's input: the output's, or the one place that is repeated. */
static void relate_batch(omma_relation *r, int batch) {
    const int own = r->in_rank > 2 ? r->in_rank - 2 : 0;
    for (int d = 0; d < own; d++) {
        const int from = batch - own + d;
        if (r->in_dims[d] == r->out_dims[from]) omma_relation_same(r, d, from);
    }
}

/* Where product i of y's batch has its matrix in v, counted in matrices. */
static int64_t matrix_at(const omma_value *v, const omma_value *y, int batch, int64_t i) {
    int64_t at[OMMA_MAX_RANK], k = 0;
    const int own = v->rank > 2 ? v->rank - 2 : 0;
    omma_unravel(i, y->dims, batch, at);
    for (int d = 0; d < own; d++) k = k * v->dims[d] + (v->dims[d] == 1 ? 0 : at[batch - own + d]);
    return k;
}

static bool is_set(const uint64_t *bits, int64_t i) { return bits[i / 64] >> (i % 64) & 1; }

static int64_t count_alive(const omma_value *a, const uint64_t *dead) {
    int64_t alive = 0;
    for (int64_t i = 0, n = omma_value_count(a); i < n; i++) alive += !is_set(dead, i);
    return alive;
}

/* a's elements that are not dead: the others are read by nobody. */
static omma_status mask_left(omma_field *f, omma_relation *r, const uint64_t *dead) {
    const int64_t count = omma_value_count(f->n->in[0]), words = (count + 63) / 64;
    uint64_t *only = omma_arena_array(f->b->arena, (size_t)words, sizeof *only);
    if (!only) return f->status = omma_nomem(f->b, f->n);
    for (int64_t i = 0; i < words; i++) only[i] = ~dead[i];
    r->in_only = only;
    return OMMA_OK;
}

/* Between [batch * I, D] and [b's batch * J, D]: the rows j whose factors are alive. */
static omma_status list_right(omma_field *f, omma_relation *r, const shapes *s,
                              const uint64_t *dead) {
    const omma_value *a = f->n->in[0], *b = f->n->in[1], *y = f->n->out[0];
    const int64_t products = omma_value_count(y) / (s->rows * s->columns);
    const int64_t repeats =
        omma_value_count(y) / s->columns * s->inner / omma_value_count(a); /* of an element of a */
    int32_t *start, *item, k = 0;
    omma_map list;
    if (!omma_map_list(f, &list, 0, products * s->rows, count_alive(a, dead) * repeats, &start,
                       &item))
        return f->status;
    for (int64_t p = 0, o = 0; p < products; p++) {
        const int64_t left = matrix_at(a, y, s->batch, p) * s->rows;
        const int64_t right = matrix_at(b, y, s->batch, p) * s->inner;
        for (int64_t i = 0; i < s->rows; i++) {
            start[o++] = k;
            for (int64_t j = 0; j < s->inner; j++)
                if (!is_set(dead, (left + i) * s->inner + j)) item[k++] = (int32_t)(right + j);
        }
    }
    start[products * s->rows] = k;
    omma_relation_view_out(r, 2, (int64_t[]){products * s->rows, s->columns});
    omma_relation_view_in(r, 2, (int64_t[]){omma_value_count(b) / s->columns, s->columns});
    r->axis[0] = list;
    omma_relation_same(r, 1, 1);
    return OMMA_OK;
}

omma_status omma_product_field(omma_field *f, const omma_node *n) {
    if (!n->out[0]) return f->status;
    const shapes s = shapes_of(n);
    const uint64_t *dead = omma_field_zero(f, n->in[0]);
    omma_relation *r = omma_field_relate(f, 0, 0);
    if (r) relate_batch(r, s.batch);
    if (r && r->in_rank > 1) omma_relation_same(r, r->in_rank - 2, s.batch);
    if (r && dead) OMMA_TRY(mask_left(f, r, dead));
    r = omma_field_relate(f, 0, 1);
    if (!r) return f->status;
    if (dead) return list_right(f, r, &s, dead);
    relate_batch(r, s.batch);
    if (r->in_rank > 1) omma_relation_same(r, r->in_rank - 1, r->out_rank - 1);
    return f->status;
}
