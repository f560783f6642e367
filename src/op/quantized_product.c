/* quantized_product.c - MatMulInteger and QLinearMatMul.
 *
 *   MatMulInteger: y = (a - a_zero) x (b - b_zero), int32
 *   QLinearMatMul: y = saturate(round(that * (a_scale * b_scale / y_scale)) + y_zero)
 *   a: u8 or i8 [..., M, K]   b: u8 or i8 [..., K, N]   y: [..., M, N], as MatMul
 *
 * Zero points and scales are one number; for a, or one a row: [M] or [..., M, 1]; for b, or one
 * a column: [N] or [..., 1, N]. The factor is computed in float32, its product with the sum
 * in float64; rounding is to the nearest, ties to even, before y_zero is added. Sums wrap
 * around at 32 bits. Sources: ONNX MatMulInteger 10; QLinearMatMul 10, 21. */
#include <string.h>

#include "base/checked.h"
#include "base/pool.h"
#include "op/field.h"
#include "op/int_rows.h"
#include "op/window.h"

enum { ROWS = 16, COLUMNS = 128 }; /* of y in one item */

/* Which input is what; -1: the operator has none. */
typedef struct slots {
    int a, b, a_zero, b_zero, a_scale, b_scale, y_scale, y_zero;
} slots;

/* Where to look for row or column i of matrix `own`: own * matrix + i * step. */
typedef struct spread {
    int64_t matrix, step;
} spread;

typedef struct product {
    slots in;
    int64_t m, n, k, batch;
    int rank; /* of the batch shape */
    int64_t dims[OMMA_MAX_RANK];
    int64_t a_step[OMMA_MAX_RANK]; /* strides over the batch [matrices], 0 where broadcast */
    int64_t b_step[OMMA_MAX_RANK];
    int64_t b_count; /* matrices in b */
    spread a_zero, b_zero, a_scale, b_scale;
    bool idle;            /* nothing to compute */
    int workers;          /* threads the working memory is for */
    int64_t row;          /* int16 in a row of k numbers */
    size_t a_bytes, b_at; /* working memory: a worker's rows of a; where b's rows are */
} product;

/* --- shapes ------------------------------------------------------------------------------- */

/* Input i holds one number, or one for each place along an axis of input v's matrices: the
 * rows with from_end 2, the columns with 1. */
static omma_status read_spread(omma_build *b, const omma_node *n, int i, int v, int from_end,
                               spread *s) {
    const omma_value *q = omma_in(n, i), *x = n->in[v];
    if (!q || omma_value_count(q) == 1) return OMMA_OK;
    const int64_t len = x->rank > 1 ? x->dims[x->rank - from_end] : 1;
    *s = (spread){0, 1};
    if (q->rank == 1 && q->dims[0] == len) return OMMA_OK;
    s->matrix = len;
    bool fits = q->rank == x->rank && x->rank > 1;
    for (int d = 0; fits && d < x->rank; d++)
        fits = q->dims[d] == (d == x->rank - 3 + from_end ? 1 : x->dims[d]);
    if (fits) return OMMA_OK;
    return omma_bad(b, n, "'%s' must be one number or one for each of the %lld %s of '%s'", q->name,
                    (long long)len, from_end == 2 ? "rows" : "columns", x->name);
}

static omma_status one_number(omma_build *b, const omma_node *n, int i) {
    if (omma_value_count(n->in[i]) == 1) return OMMA_OK;
    return omma_unsupported(b, n, "'%s' of more or less than one number", n->in[i]->name);
}

static void batch_steps(const omma_value *lead, const product *p, int64_t *step) {
    int64_t s = 1;
    for (int d = p->rank - 1, own = lead->rank - 1; d >= 0; d--, own--) {
        const int64_t len = own >= 0 ? lead->dims[own] : 1;
        step[d] = len == 1 ? 0 : s;
        s *= len;
    }
}

static omma_status read_shape(omma_build *b, const omma_node *n, omma_dtype to, product *p) {
    const omma_value *l = n->in[p->in.a], *r = n->in[p->in.b];
    if (l->rank < 1 || r->rank < 1)
        return omma_bad(b, n, "a scalar cannot be multiplied as a matrix");
    p->m = l->rank > 1 ? l->dims[l->rank - 2] : 1;
    p->k = l->dims[l->rank - 1];
    p->n = r->rank > 1 ? r->dims[r->rank - 1] : 1;
    const int64_t k = r->rank > 1 ? r->dims[r->rank - 2] : r->dims[0];
    if (k != p->k)
        return omma_bad(b, n, "the inner sizes differ: %lld in '%s', %lld in '%s'", (long long)p->k,
                        l->name, (long long)k, r->name);
    omma_value lead[2] = {*l, *r}, *both[2] = {&lead[0], &lead[1]};
    for (int i = 0; i < 2; i++) lead[i].rank = lead[i].rank > 2 ? lead[i].rank - 2 : 0;
    OMMA_TRY(omma_broadcast(b, n, both, 2, &p->rank, p->dims));
    int64_t dims[OMMA_MAX_RANK];
    int rank = p->rank;
    memcpy(dims, p->dims, sizeof dims);
    if (l->rank > 1) dims[rank++] = p->m;
    if (r->rank > 1) dims[rank++] = p->n;
    if (!omma_dims_count(p->dims, p->rank, &p->batch) ||
        !omma_dims_count(lead[1].dims, lead[1].rank, &p->b_count))
        return omma_bad(b, n, "the output's size overflows");
    p->idle = !p->batch || !p->m || !p->n;
    batch_steps(&lead[0], p, p->a_step);
    batch_steps(&lead[1], p, p->b_step);
    return omma_out(b, n, 0, to, rank, dims);
}

static omma_status read_inputs(omma_build *b, const omma_node *n, product *p) {
    OMMA_TRY(omma_want(b, n, p->in.a, OMMA_IN_8BIT));
    OMMA_TRY(omma_want(b, n, p->in.b, OMMA_IN_8BIT));
    OMMA_TRY(omma_int_zero_type(b, n, p->in.a_zero, p->in.a));
    OMMA_TRY(omma_int_zero_type(b, n, p->in.b_zero, p->in.b));
    OMMA_TRY(read_spread(b, n, p->in.a_zero, p->in.a, 2, &p->a_zero));
    return read_spread(b, n, p->in.b_zero, p->in.b, 1, &p->b_zero);
}

static omma_status integer_infer(omma_build *b, omma_node *n) {
    product *p = omma_param(b, n, sizeof *p);
    if (!p) return omma_nomem(b, n);
    p->in = (slots){.a = 0,
                    .b = 1,
                    .a_zero = 2,
                    .b_zero = 3,
                    .a_scale = -1,
                    .b_scale = -1,
                    .y_scale = -1,
                    .y_zero = -1};
    OMMA_TRY(read_inputs(b, n, p));
    return read_shape(b, n, OMMA_I32, p);
}

static omma_status linear_infer(omma_build *b, omma_node *n) {
    product *p = omma_param(b, n, sizeof *p);
    if (!p) return omma_nomem(b, n);
    p->in = (slots){.a = 0,
                    .a_scale = 1,
                    .a_zero = 2,
                    .b = 3,
                    .b_scale = 4,
                    .b_zero = 5,
                    .y_scale = 6,
                    .y_zero = 7};
    static const int scales[] = {1, 4, 6}, zeros[] = {2, 5, 7};
    for (int i = 0; i < 3; i++) {
        OMMA_TRY(omma_want(b, n, scales[i], OMMA_IN_SCALE));
        OMMA_TRY(omma_want(b, n, zeros[i], OMMA_IN_8BIT));
    }
    OMMA_TRY(read_inputs(b, n, p));
    OMMA_TRY(read_spread(b, n, p->in.a_scale, p->in.a, 2, &p->a_scale));
    OMMA_TRY(read_spread(b, n, p->in.b_scale, p->in.b, 1, &p->b_scale));
    OMMA_TRY(one_number(b, n, p->in.y_scale));
    OMMA_TRY(one_number(b, n, p->in.y_zero));
    return read_shape(b, n, n->in[p->in.y_zero]->dtype, p);
}

/* --- b as rows ------------------------------------------------------------------------------ */

static int zero_at(const omma_value *z, const void *data, spread s, int64_t own, int64_t i) {
    return z ? (int)omma_get_int(z->dtype, data, own * s.matrix + i * s.step) : 0;
}

/* Columns [begin, end) of b, all matrices counted through, as rows. */
static void columns_to_rows(const omma_node *n, const void *b, const void *zeros, int16_t *dst,
                            int64_t begin, int64_t end) {
    const product *p = n->param;
    const omma_value *z = omma_in(n, p->in.b_zero);
    for (int64_t i = begin; i < end; i++) {
        const int64_t own = i / p->n, c = i % p->n;
        omma_int_widen(dst + i * p->row, n->in[p->in.b]->dtype,
                       (const char *)b + own * p->k * p->n + c, p->n, p->k,
                       zero_at(z, zeros, p->b_zero, own, c), p->row);
    }
}

static omma_status pack_constant(omma_build *b, omma_node *n, const product *p, size_t bytes) {
    const omma_value *v = n->in[p->in.b], *z = omma_in(n, p->in.b_zero);
    const char *form =
        omma_arena_printf(b->arena, "rows of %s %lld %lld", omma_dtype_name(v->dtype),
                          (long long)p->k, (long long)p->n);
    const void *from;
    int16_t *rows = form ? omma_int_pack(b, n, p->in.b, p->in.b_zero, form, bytes, &from) : NULL;
    if (!rows) return omma_nomem(b, n);
    if (from) columns_to_rows(n, from, z ? z->data : NULL, rows, 0, p->b_count * p->n);
    if (from) omma_pack_done(v);
    n->packed = rows;
    n->packed_in |= 1u << p->in.b;
    return OMMA_OK;
}

static omma_status product_prepare(omma_build *b, omma_node *n) {
    product *p = (product *)n->param;
    const omma_value *z = omma_in(n, p->in.b_zero);
    size_t b_bytes;
    int64_t columns;
    if (p->idle) return OMMA_OK;
    p->workers = omma_workers(b);
    if (!omma_dims_count((const int64_t[]){p->b_count, p->n}, 2, &columns) ||
        !omma_int_row_bytes(p->k, ROWS, &p->row, &p->a_bytes) ||
        !omma_int_row_bytes(p->k, columns, &p->row, &b_bytes) ||
        !omma_mul(p->a_bytes, (size_t)p->workers, &p->b_at) ||
        !omma_add(p->b_at, b_bytes, &n->scratch))
        return omma_bad(b, n, "its working memory overflows");
    if (!n->in[p->in.b]->data || (z && !z->data)) return OMMA_OK;
    n->scratch = p->b_at;
    return pack_constant(b, n, p, b_bytes);
}

/* --- running ---------------------------------------------------------------------------------- */

typedef struct product_job {
    const omma_node *n;
    const product *p;
    const int16_t *b;
    int16_t *fresh; /* b, to be filled */
    void *y;
} product_job;

/* Items are columns of b. */
static void fill_b(void *arg, int64_t begin, int64_t end, int worker) {
    const product_job *j = arg;
    const omma_value *z = omma_in(j->n, j->p->in.b_zero);
    (void)worker;
    columns_to_rows(j->n, j->n->in[j->p->in.b]->mem, z ? z->mem : NULL, j->fresh, begin, end);
}

/* A part of y: rows [r0, r0 + rows), columns [c0, c0 + columns) of product i. */
typedef struct tile {
    int64_t i, a, b; /* the product; matrices of a and b */
    int64_t r0, rows, c0, columns;
} tile;

static tile tile_at(const product *p, int64_t item) {
    const int64_t across = (p->n - 1) / COLUMNS + 1, down = (p->m - 1) / ROWS + 1;
    tile t = {.i = item / across / down,
              .r0 = item / across % down * ROWS,
              .c0 = item % across * COLUMNS};
    int64_t at[OMMA_MAX_RANK];
    omma_unravel(t.i, p->dims, p->rank, at);
    for (int d = 0; d < p->rank; d++) t.a += at[d] * p->a_step[d], t.b += at[d] * p->b_step[d];
    t.rows = p->m - t.r0 < ROWS ? p->m - t.r0 : ROWS;
    t.columns = p->n - t.c0 < COLUMNS ? p->n - t.c0 : COLUMNS;
    return t;
}

static float scale_at(const omma_node *n, int in, int64_t i) {
    return (float)omma_number(n->in[in]->dtype, n->in[in]->mem, i);
}

static void requantize(const product_job *j, const tile *t, const uint32_t *sum) {
    const product *p = j->p;
    const omma_node *n = j->n;
    const omma_value *z = n->in[p->in.y_zero];
    const int zero = (int)omma_get_int(z->dtype, z->mem, 0);
    const float to = scale_at(n, p->in.y_scale, 0);
    float b[COLUMNS], factor[COLUMNS];
    for (int64_t c = 0; c < COLUMNS; c++) {
        const int64_t at = t->c0 + (c < t->columns ? c : 0);
        b[c] = scale_at(n, p->in.b_scale, t->b * p->b_scale.matrix + at * p->b_scale.step);
    }
    for (int64_t r = 0; r < t->rows; r++) {
        const float a =
            scale_at(n, p->in.a_scale, t->a * p->a_scale.matrix + (t->r0 + r) * p->a_scale.step);
        for (int c = 0; c < COLUMNS; c++) factor[c] = a * b[c] / to;
        omma_int_requantize(z->dtype, j->y, (t->i * p->m + t->r0 + r) * p->n + t->c0,
                            sum + r * COLUMNS, factor, t->columns, zero);
    }
}

/* Items are tiles. */
static void tiles(void *arg, int64_t begin, int64_t end, int worker) {
    const product_job *j = arg;
    const product *p = j->p;
    const omma_value *a = j->n->in[p->in.a], *z = omma_in(j->n, p->in.a_zero);
    int16_t *rows = (void *)((char *)j->n->work + (size_t)worker * p->a_bytes);
    uint32_t sum[ROWS * COLUMNS];
    for (int64_t item = begin; item < end; item++) {
        const tile t = tile_at(p, item);
        for (int64_t r = 0; r < t.rows; r++)
            omma_int_widen(rows + r * p->row, a->dtype,
                           (const char *)a->mem + (t.a * p->m + t.r0 + r) * p->k, 1, p->k,
                           zero_at(z, z ? z->mem : NULL, p->a_zero, t.a, t.r0 + r), p->row);
        omma_int_rows(t.rows, rows, t.columns, j->b + (t.b * p->n + t.c0) * p->row, p->row, sum,
                      COLUMNS);
        if (p->in.y_scale >= 0) {
            requantize(j, &t, sum);
            continue;
        }
        for (int64_t r = 0; r < t.rows; r++)
            memcpy((int32_t *)j->y + (t.i * p->m + t.r0 + r) * p->n + t.c0, sum + r * COLUMNS,
                   (size_t)t.columns * sizeof *sum);
    }
}

static omma_status product_run(const omma_exec *x, const omma_node *n) {
    const product *p = n->param;
    omma_value *y = omma_wanted(n, 0);
    if (!y || p->idle) return OMMA_OK;
    const bool packed = n->packed_in >> p->in.b & 1;
    const int threads = x->threads < p->workers ? x->threads : p->workers;
    int16_t *own = (void *)((char *)n->work + p->b_at);
    product_job j = {n, p, packed ? n->packed : own, own, y->mem};
    if (!packed) omma_parallel(threads, p->b_count * p->n, 1 + OMMA_GRAIN / (p->k + 1), fill_b, &j);
    omma_parallel(threads, p->batch * ((p->n - 1) / COLUMNS + 1) * ((p->m - 1) / ROWS + 1), 1,
                  tiles, &j);
    return OMMA_OK;
}

static double product_flops(const omma_node *n) {
    const product *p = n->param;
    return 2.0 * (double)p->batch * (double)p->m * (double)p->n * (double)p->k;
}

/* Input i, shaped as the left operand or the right one: the same matrix of the batch, and of it the
 * same row or column. */
static void relate_matrix(omma_field *f, const product *p, int i, bool left, omma_path path) {
    omma_relation *r = i < 0 ? NULL : omma_field_relate(f, 0, i);
    if (!r) return;
    r->path = path;
    for (int d = 0; d + 2 < r->in_rank; d++) {
        const int from = d + 2 - r->in_rank + p->rank;
        if (r->in_dims[d] == p->dims[from]) omma_relation_same(r, d, from);
    }
    if (r->in_rank < 2) return;
    if (left) omma_relation_same(r, r->in_rank - 2, p->rank);
    else omma_relation_same(r, r->in_rank - 1, r->out_rank - 1);
}

/* A scale or zero point: one number, a list for the rows or columns, or shaped as a matrix. */
static void relate_list(omma_field *f, const product *p, int i, bool left) {
    const omma_value *v = i < 0 ? NULL : omma_in(f->n, i);
    if (v && v->rank > 1 && omma_value_count(v) > 1) {
        relate_matrix(f, p, i, left, OMMA_PATH_STATISTIC);
        return;
    }
    omma_relation *r = v ? omma_field_relate(f, 0, i) : NULL;
    if (!r) return;
    r->path = OMMA_PATH_STATISTIC;
    if (omma_value_count(v) > 1) omma_relation_same(r, 0, left ? p->rank : r->out_rank - 1);
}

static omma_status product_field(omma_field *f, const omma_node *n) {
    const product *p = n->param;
    relate_matrix(f, p, p->in.a, true, OMMA_PATH_VALUE);
    relate_matrix(f, p, p->in.b, false, OMMA_PATH_VALUE);
    relate_list(f, p, p->in.a_zero, true);
    relate_list(f, p, p->in.b_zero, false);
    relate_list(f, p, p->in.a_scale, true);
    relate_list(f, p, p->in.b_scale, false);
    relate_list(f, p, p->in.y_scale, true);
    relate_list(f, p, p->in.y_zero, true);
    return f->status;
}

#define INTEGERS "its inputs and outputs are integers"

const omma_op omma_op_MatMulInteger = {.name = "MatMulInteger",
                                       .min_in = 2,
                                       .max_in = 4,
                                       .min_out = 1,
                                       .max_out = 1,
                                       .infer = integer_infer,
                                       .prepare = product_prepare,
                                       .run = product_run,
                                       .flops = product_flops,
                                       .no_grad = INTEGERS,
                                       .field = product_field};

const omma_op omma_op_QLinearMatMul = {.name = "QLinearMatMul",
                                       .min_in = 8,
                                       .max_in = 8,
                                       .min_out = 1,
                                       .max_out = 1,
                                       .infer = linear_infer,
                                       .prepare = product_prepare,
                                       .run = product_run,
                                       .flops = product_flops,
                                       .no_grad = INTEGERS,
                                       .field = product_field};
