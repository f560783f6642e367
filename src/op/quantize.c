/* quantize.c - QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear.
 *
 *   QuantizeLinear:   y = saturate(round(x / scale) + zero)   x: floats or int32, y: 8 or 16 bits
 *   DequantizeLinear: y = (x - zero) * scale                  x: 8 or 16 bits or int32, y: floats
 *   Dynamic...:       the first over the range of x and 0, into uint8; it gives scale and zero too
 *
 * scale, and zero of the same shape: one number, or one for each place along an axis, or one
 * for each block of block_size places along it (the last block may be shorter).
 *
 * Rounding is to the nearest, ties to even, before zero is added. The type of scale, or the
 * attribute precision, says in which type x / scale is computed; an int32 scale means float64.
 * NaN, also 0 / 0, becomes the lowest number of the type. DequantizeLinear computes in
 * float32 and rounds to its output's type once. A tensor of zeros has the dynamic scale 1.
 * The 4-bit, 2-bit and 8-bit floating types are refused by name. Sources: ONNX
 * QuantizeLinear and DequantizeLinear 10, 13, 19, 21, 23, 24, 25; DynamicQuantizeLinear 11. */
#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "op/element.h"
#include "op/field.h"

enum { TILE = 64 }; /* numbers taken through float at a time */

enum {
    IN_SCALE = OMMA_BIT(OMMA_F32) | OMMA_BIT(OMMA_F16) | OMMA_BIT(OMMA_BF16),
    IN_QUANT = OMMA_BIT(OMMA_U8) | OMMA_BIT(OMMA_I8) | OMMA_BIT(OMMA_U16) | OMMA_BIT(OMMA_I16)
};

typedef enum kind { PER_TENSOR, PER_AXIS, BLOCKED } kind;

/* Which element goes with which scale. The tensor is rows, a row is cut into pieces of len
 * numbers (the last may be shorter); within a piece the scale stays or steps by one. */
typedef struct layout {
    kind kind;
    int axis;                /* but for PER_TENSOR */
    int64_t axis_len, inner; /* of the axis, and the product of the axes behind it */
    int64_t block, blocks;   /* BLOCKED: places in a block, blocks along the axis */
    int64_t rows, row, len, pieces;
    bool steps;
    omma_dtype precision; /* QuantizeLinear: the division's */
} layout;

/* ONNX's numbers for types that omma does not have. */
static const char *type_name(int64_t t) {
    static const char *const small[] = {
        "float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz", "uint4",
        "int4",         "float4e2m1",     "float8e8m0", "uint2",          "int2"};
    if (t >= 17 && t < 27) return small[t - 17];
    return t >= 0 && t < 17 ? omma_dtype_name((omma_dtype)t) : "unknown";
}

static omma_status want(omma_build *b, const omma_node *n, int i, unsigned set) {
    const omma_value *v = omma_in(n, i);
    if (!v) return omma_bad(b, n, "input %d is missing", i);
    if (!omma_type_in(v->dtype, set))
        return omma_unsupported(b, n, "input %d ('%s') is of type %s", i, v->name,
                                type_name(v->dtype));
    return OMMA_OK;
}

/* A type given as an attribute; 0 when left out. */
static omma_status type_attr(omma_build *b, const omma_node *n, const char *name, unsigned set,
                             omma_dtype *t) {
    int64_t v = omma_node_int(n, name, 0);
    if (v && (v < 0 || v >= 32 || !omma_type_in((omma_dtype)v, set)))
        return omma_unsupported(b, n, "%s %lld (%s)", name, (long long)v, type_name(v));
    *t = (omma_dtype)v;
    return OMMA_OK;
}

/* --- shapes ------------------------------------------------------------------------------- */

static omma_status check_scale(omma_build *b, const omma_node *n, int axis, layout *l) {
    const omma_value *x = n->in[0], *s = n->in[1];
    const int64_t len = x->dims[axis];
    if (l->kind == PER_AXIS) {
        if (s->rank == 1 && s->dims[0] == len) return OMMA_OK;
        return omma_bad(b, n,
                        "scale '%s' must be one number or hold the %lld of axis %d; blocks need "
                        "block_size",
                        s->name, (long long)len, axis);
    }
    if (s->rank != x->rank)
        return omma_bad(b, n,
                        "scale '%s' has rank %d; with block_size it must have the input's, %d",
                        s->name, s->rank, x->rank);
    l->blocks = len / l->block + (len % l->block != 0);
    for (int d = 0; d < x->rank; d++) {
        const int64_t fits = d == axis ? l->blocks : x->dims[d];
        if (s->dims[d] != fits)
            return omma_bad(b, n, "scale '%s' is %lld along axis %d, not %lld", s->name,
                            (long long)s->dims[d], d, (long long)fits);
    }
    return OMMA_OK;
}

/* Cut the tensor into pieces that are long and know their scales. */
static void cut(const omma_value *x, int axis, layout *l) {
    const int64_t count = omma_value_count(x);
    l->inner = l->axis_len = 1;
    if (l->kind != PER_TENSOR) {
        l->axis_len = x->dims[axis];
        for (int d = axis + 1; d < x->rank; d++) l->inner *= x->dims[d];
    }
    l->row = l->kind == PER_TENSOR ? count : l->inner > 1 ? l->inner : l->axis_len;
    l->len = OMMA_GRAIN;
    l->steps = l->kind == PER_AXIS ? l->inner == 1 : l->kind == BLOCKED && l->inner > 1;
    if (l->kind == BLOCKED && l->inner == 1) l->len = l->block;
    l->rows = count ? count / l->row : 0;
    l->pieces = l->row / l->len + (l->row % l->len != 0);
}

/* Check the shapes of inputs 1 (scale) and 2 (zero) against input 0. */
static omma_status read_layout(omma_build *b, const omma_node *n, layout *l) {
    const omma_value *x = n->in[0], *s = n->in[1], *z = omma_in(n, 2);
    int axis = 0;
    l->block = omma_node_int(n, "block_size", 0);
    if (l->block < 0) return omma_bad(b, n, "block_size is %lld", (long long)l->block);
    l->kind = omma_value_count(s) == 1 ? PER_TENSOR : l->block ? BLOCKED : PER_AXIS;
    if (l->kind != PER_TENSOR) {
        OMMA_TRY(omma_axis(b, n, omma_node_int(n, "axis", 1), x->rank, &axis));
        OMMA_TRY(check_scale(b, n, axis, l));
    }
    const bool fits = !z || (l->kind == PER_TENSOR ? omma_value_count(z) == 1 : z->rank == s->rank);
    for (int d = 0; z && fits && l->kind != PER_TENSOR && d < s->rank; d++)
        if (z->dims[d] != s->dims[d])
            return omma_bad(b, n, "zero point '%s' and scale '%s' differ along axis %d", z->name,
                            s->name, d);
    if (!fits)
        return omma_bad(b, n, "zero point '%s' must have the shape of scale '%s'", z->name,
                        s->name);
    l->axis = axis;
    cut(x, axis, l);
    return OMMA_OK;
}

static omma_status quantize_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0], *z = omma_in(n, 2);
    layout *l = omma_param(b, n, sizeof *l);
    omma_dtype to;
    if (!l) return omma_nomem(b, n);
    OMMA_TRY(want(b, n, 0, IN_SCALE | OMMA_BIT(OMMA_I32)));
    OMMA_TRY(want(b, n, 1, IN_SCALE | OMMA_BIT(OMMA_I32)));
    if (z) OMMA_TRY(want(b, n, 2, IN_QUANT));
    OMMA_TRY(type_attr(b, n, "output_dtype", IN_QUANT, &to));
    OMMA_TRY(type_attr(b, n, "precision", IN_SCALE, &l->precision));
    if (z && to && to != z->dtype)
        return omma_bad(b, n, "output_dtype is %s, the zero point '%s' is %s", omma_dtype_name(to),
                        z->name, omma_dtype_name(z->dtype));
    if (!l->precision) l->precision = n->in[1]->dtype;
    OMMA_TRY(read_layout(b, n, l));
    return omma_out(b, n, 0, z ? z->dtype : to ? to : OMMA_U8, x->rank, x->dims);
}

static omma_status dequantize_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0], *z = omma_in(n, 2);
    layout *l = omma_param(b, n, sizeof *l);
    omma_dtype to;
    if (!l) return omma_nomem(b, n);
    OMMA_TRY(want(b, n, 0, IN_QUANT | OMMA_BIT(OMMA_I32)));
    OMMA_TRY(want(b, n, 1, IN_SCALE));
    if (z && z->dtype != x->dtype)
        return omma_bad(b, n, "zero point '%s' is of type %s, the input of %s", z->name,
                        type_name(z->dtype), omma_dtype_name(x->dtype));
    OMMA_TRY(type_attr(b, n, "output_dtype", IN_SCALE, &to));
    OMMA_TRY(read_layout(b, n, l));
    return omma_out(b, n, 0, to ? to : n->in[1]->dtype, x->rank, x->dims);
}

/* --- tiles of numbers as float -------------------------------------------------------------- */

/* Loops over a whole tile have a length the compiler knows. */
typedef union raw {
    uint8_t U8[TILE];
    int8_t I8[TILE];
    uint16_t U16[TILE];
    int16_t I16[TILE];
    int32_t I32[TILE];
    float F32[TILE];
} raw;

/* y: [TILE] = n numbers of x from `at`, then zeros. */
static void load(omma_dtype t, const void *x, int64_t at, int64_t n, float *y) {
    raw r;
    if (n < TILE) memset(&r, 0, sizeof r);
    memcpy(&r, omma_at(x, t, at), (size_t)n * omma_dtype_size(t));
    switch (t) {
#define X(tag)                                                 \
    case OMMA_##tag:                                           \
        for (int i = 0; i < TILE; i++) y[i] = (float)r.tag[i]; \
        return;
        X(U8)
        X(I8)
        X(U16)
        X(I16)
        X(I32)
        X(F32)
#undef X
    default: omma_load_halves(t, r.U16, TILE, y);
    }
}

/* The first n numbers of x: [TILE], which are whole and fit t when t is of integers. */
static void store(omma_dtype t, const float *x, int64_t n, void *y, int64_t at) {
    raw r;
    switch (t) {
#define X(tag, T)                                                   \
    case OMMA_##tag:                                                \
        for (int i = 0; i < TILE; i++) r.tag[i] = (T)(int32_t)x[i]; \
        break;
        X(U8, uint8_t)
        X(I8, int8_t)
        X(U16, uint16_t)
        X(I16, int16_t)
#undef X
    case OMMA_F32: memcpy(r.F32, x, sizeof r.F32); break;
    default: omma_store_halves(t, x, TILE, r.U16);
    }
    memcpy((char *)y + (size_t)at * omma_dtype_size(t), &r, (size_t)n * omma_dtype_size(t));
}

static void fill(omma_dtype t, const void *x, int64_t at, float *y) {
    load(t, x, at, 1, y);
    for (int i = 1; i < TILE; i++) y[i] = y[0];
}

/* Through type t and back. */
static void round_to(omma_dtype t, float *x) {
    uint16_t h[TILE];
    if (t != OMMA_F16 && t != OMMA_BF16) return;
    omma_store_halves(t, x, TILE, h);
    omma_load_halves(t, h, TILE, x);
}

/* --- one piece -------------------------------------------------------------------------------- */

typedef struct job {
    const layout *l;
    omma_dtype xt, st, yt;
    const void *x, *s, *z; /* z may be NULL */
    void *y;
    float lo, hi; /* of yt, for quantising */
} job;

static int64_t scale_of(const layout *l, int64_t row, int64_t piece) {
    if (l->kind == PER_TENSOR) return 0;
    if (l->kind == PER_AXIS) return l->inner == 1 ? piece * l->len : row % l->axis_len;
    if (l->inner == 1) return row * l->blocks + piece;
    return (row / l->axis_len * l->blocks + row % l->axis_len / l->block) * l->inner +
           piece * l->len;
}

/* Adding and taking away 1.5 * 2^23 rounds a smaller number to a whole one, ties to even; a
 * comparison with NaN is false. */
static void round_and_saturate(float *x, const float *z, float lo, float hi) {
    const float magic = 12582912;
    for (int i = 0; i < TILE; i++) {
        const float a = lo - z[i], b = hi - z[i];
        float v = x[i] > a ? x[i] : a;
        v = v < b ? v : b;
        x[i] = ((v + magic) - magic) + z[i];
    }
}

/* int32 over int32 is divided and rounded in double; beyond 2^20 it saturates anyway. */
static void divide_whole(const job *j, int64_t at, int64_t s, int64_t n, float *x) {
    for (int64_t i = 0; i < n; i++) {
        const double q = (double)((const int32_t *)j->x)[at + i] /
                         (double)((const int32_t *)j->s)[s + (j->l->steps ? i : 0)];
        x[i] = fabs(q) < 0x1p20 ? (float)rint(q) : (float)q;
    }
}

static void quantize_piece(const job *j, int64_t start, int64_t n, int64_t s) {
    const omma_dtype prec = j->l->precision;
    float x[TILE], scale[TILE], zero[TILE] = {0};
    for (int64_t at = 0; at < n; at += TILE) {
        const int64_t len = n - at < TILE
        ? n - at : TILE;
        if (at == 0 || j->l->steps) {
            const int64_t k = s + (j->l->steps ? at : 0);
            if (j->l->steps) load(j->st, j->s, k, len, scale);
            else fill(j->st, j->s, k, scale);
            if (j->z && j->l->steps) load(j->yt, j->z, k, len, zero);
            else if (j->z) fill(j->yt, j->z, k, zero);
            round_to(prec, scale);
        }
        load(j->xt, j->x, start + at, len, x);
        if (j->xt == OMMA_I32 && prec == OMMA_I32) {
            divide_whole(j, start + at, s + (j->l->steps ? at : 0), len, x);
        } else {
            round_to(prec, x);
            for (int i = 0; i < TILE; i++) x[i] /= scale[i];
            round_to(prec, x);
        }
        round_and_saturate(x, zero, j->lo, j->hi);
        store(j->yt, x, len, j->y, start + at);
    }
}

static void dequantize_piece(const job *j, int64_t start, int64_t n, int64_t s) {
    float x[TILE], scale[TILE], zero[TILE] = {0};
    for (int64_t at = 0; at < n; at += TILE) {
        const int64_t len = n - at < TILE
        ? n - at : TILE;
        if (at == 0 || j->l->steps) {
            const int64_t k = s + (j->l->steps ? at : 0);
            if (j->l->steps) load(j->st, j->s, k, len, scale);
            else fill(j->st, j->s, k, scale);
            if (j->z && j->l->steps) load(j->xt, j->z, k, len, zero);
            else if (j->z) fill(j->xt, j->z, k, zero);
        }
        load(j->xt, j->x, start + at, len, x);
        for (int i = 0; i < TILE; i++) x[i] = (x[i] - zero[i]) * scale[i];
        store(j->yt, x, len, j->y, start + at);
    }
}

/* --- running ------------------------------------------------------------------------------------
 */

/* Items are pieces. */
static void pieces(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const layout *l = j->l;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t row = i / l->pieces, piece = i % l->pieces, at = piece * l->len;
        const int64_t n = l->row - at < l->len ? l->row - at : l->len;
        if (omma_type_in(j->yt, IN_QUANT))
            quantize_piece(j, row * l->row + at, n, scale_of(l, row, piece));
        else dequantize_piece(j, row * l->row + at, n, scale_of(l, row, piece));
    }
}

static void set_limits(job *j) {
    int64_t lo, hi;
    omma_int_limits(j->yt, &lo, &hi);
    j->lo = (float)lo, j->hi = (float)hi;
}

static void run_pieces(const omma_exec *x, job *j) {
    const layout *l = j->l;
    const int64_t len = l->row < l->len ? l->row : l->len;
    set_limits(j);
    if (!l->rows) return;
    omma_parallel(x->threads, l->rows * l->pieces, 1 + OMMA_GRAIN / (len + TILE), pieces, j);
}

/* uint8 and float32 with one scale have kernels, whose bits are those of the pieces. */
typedef struct plain_job {
    const omma_kernels *kern;
    const void *x;
    void *y;
    float scale;
    int zero;
    bool back; /* from uint8 to float32 */
} plain_job;

static void plain_rows(void *arg, int64_t begin, int64_t end, int worker) {
    const plain_job *j = arg;
    (void)worker;
    if (j->back)
        j->kern->dequantize(end - begin, (const uint8_t *)j->x + begin, j->scale, j->zero,
                            (float *)j->y + begin);
    else
        j->kern->quantize(end - begin, (const float *)j->x + begin, j->scale, j->zero,
                          (uint8_t *)j->y + begin);
}

static bool run_plain(const omma_exec *x, const omma_node *n, const omma_value *y) {
    const layout *l = n->param;
    const omma_value *v = n->in[0], *s = n->in[1], *z = omma_in(n, 2);
    const bool back = v->dtype == OMMA_U8 && y->dtype == OMMA_F32;
    if (l->kind != PER_TENSOR || s->dtype != OMMA_F32) return false;
    if (!back && (v->dtype != OMMA_F32 || y->dtype != OMMA_U8 || l->precision != OMMA_F32))
        return false;
    plain_job j = {
        x->kern, v->mem, y->mem, *(const float *)s->mem, z ? *(const uint8_t *)z->mem : 0, back};
    omma_parallel(x->threads, omma_value_count(y), OMMA_GRAIN, plain_rows, &j);
    return true;
}

static omma_status linear_run(const omma_exec *x, const omma_node *n) {
    const omma_value *z = omma_in(n, 2);
    omma_value *y = omma_wanted(n, 0);
    if (!y || run_plain(x, n, y)) return OMMA_OK;
    job j = {.l = n->param,
             .xt = n->in[0]->dtype,
             .st = n->in[1]->dtype,
             .yt = y->dtype,
             .x = n->in[0]->mem,
             .s = n->in[1]->mem,
             .z = z ? z->mem : NULL,
             .y = y->mem};
    run_pieces(x, &j);
    return OMMA_OK;
}

/* --- DynamicQuantizeLinear
 * ------------------------------------------------------------------------ */

static omma_status dynamic_infer(omma_build *b, omma_node *n) {
    layout *l = omma_param(b, n, sizeof *l);
    if (!l) return omma_nomem(b, n);
    OMMA_TRY(want(b, n, 0, OMMA_BIT(OMMA_F32)));
    l->precision = OMMA_F32;
    cut(n->in[0], 0, l);
    OMMA_TRY(omma_out(b, n, 0, OMMA_U8, n->in[0]->rank, n->in[0]->dims));
    OMMA_TRY(omma_out(b, n, 1, OMMA_F32, 0, NULL));
    return omma_out(b, n, 2, OMMA_U8, 0, NULL);
}

/* The range of x and 0, NaN left out. */
static void range_of(const float *x, int64_t n, float *lo, float *hi) {
    float least[TILE] = {0}, most[TILE] = {0}, tile[TILE];
    for (int64_t at = 0; at < n; at += TILE) {
        load(OMMA_F32, x, at, n - at < TILE ? n - at : TILE, tile);
        for (int i = 0; i < TILE; i++) {
            least[i] = tile[i] < least[i] ? tile[i] : least[i];
            most[i] = tile[i] > most[i] ? tile[i] : most[i];
        }
    }
    *lo = *hi = 0;
    for (int i = 0; i < TILE; i++) {
        *lo = least[i] < *lo ? least[i] : *lo;
        *hi = most[i] > *hi ? most[i] : *hi;
    }
}

static omma_status dynamic_run(const omma_exec *x, const omma_node *n) {
    omma_value *y = omma_wanted(n, 0), *s = omma_wanted(n, 1), *z = omma_wanted(n, 2);
    float lo, hi, zero[TILE], none[TILE] = {0};
    range_of(n->in[0]->mem, omma_value_count(n->in[0]), &lo, &hi);
    const float scale = hi > lo ? (hi - lo) / 255 : 1;
    for (int i = 0; i < TILE; i++) zero[i] = 0 - lo / scale;
    round_and_saturate(zero, none, 0, 255);
    const uint8_t whole = (uint8_t)zero[0];
    if (s) *(float *)s->mem = scale;
    if (z) *(uint8_t *)z->mem = whole;
    if (!y) return OMMA_OK;
    job j = {.l = n->param,
             .xt = OMMA_F32,
             .st = OMMA_F32,
             .yt = OMMA_U8,
             .x = n->in[0]->mem,
             .s = &scale,
             .z = &whole,
             .y = y->mem};
    run_pieces(x, &j);
    return OMMA_OK;
}

static double linear_flops(const omma_node *n) { return 2.0 * (double)omma_value_count(n->in[0]); }
static double dynamic_flops(const omma_node *n) { return 4.0 * (double)omma_value_count(n->in[0]); }

#define FLAT "the output is of whole numbers, which change in steps"
#define WHOLE "the input is of whole numbers; the scale is taken as given"

/* --- the field ------------------------------------------------------------------------------ */

/* A scale or zero point is not one of the numbers it is for. */
static omma_status linear_field(omma_field *f, const omma_node *n) {
    const layout *l = n->param;
    OMMA_TRY(omma_field_broadcast(f, 0, 0, OMMA_PATH_VALUE));
    for (int i = 1; i < 3; i++) {
        omma_relation *r = omma_field_relate(f, 0, i);
        if (!r) continue;
        r->path = OMMA_PATH_STATISTIC;
        if (l->kind == PER_AXIS) omma_relation_same(r, 0, l->axis);
        for (int d = 0; l->kind == BLOCKED && d < r->in_rank; d++)
            r->axis[d] = omma_map_blocks(d, d == l->axis ? l->block : 1, 1);
    }
    return f->status;
}

static omma_status dynamic_field(omma_field *f, const omma_node *n) {
    OMMA_TRY(omma_field_broadcast(f, 0, 0, OMMA_PATH_VALUE));
    for (int k = 0; k < n->n_out; k++) { /* scale and zero point are of the range of them all */
        omma_relation *r = omma_field_relate(f, k, 0);
        if (r) r->path = OMMA_PATH_STATISTIC;
    }
    return f->status;
}

const omma_op omma_op_QuantizeLinear = {.name = "QuantizeLinear",
                                        .min_in = 2,
                                        .max_in = 3,
                                        .min_out = 1,
                                        .max_out = 1,
                                        .infer = quantize_infer,
                                        .run = linear_run,
                                        .flops = linear_flops,
                                        .no_grad = FLAT,
                                        .field = linear_field};

const omma_op omma_op_DequantizeLinear = {.name = "DequantizeLinear",
                                          .min_in = 2,
                                          .max_in = 3,
                                          .min_out = 1,
                                          .max_out = 1,
                                          .infer = dequantize_infer,
                                          .run = linear_run,
                                          .flops = linear_flops,
                                          .no_grad = WHOLE,
                                          .field = linear_field};

const omma_op omma_op_DynamicQuantizeLinear = {.name = "DynamicQuantizeLinear",
                                               .min_in = 1,
                                               .max_in = 1,
                                               .min_out = 3,
                                               .max_out = 3,
                                               .infer = dynamic_infer,
                                               .run = dynamic_run,
                                               .flops = dynamic_flops,
                                               .no_grad = FLAT,
                                               .field = dynamic_field};
