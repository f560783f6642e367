/* scatter.c - operators that write by index: ScatterElements (once called Scatter), ScatterND.
 *
 * The output starts as a copy of the data; then the updates are put in, or combined with what
 * is there, one after the other in the order of the indices. That makes the result with
 * repeated indices the same whatever the number of threads; only the copy is shared out.
 * A run that meets a bad index fails and leaves the output half written.
 * Source: the ONNX operator specification (reductions from opset 16, min and max from 18).
 * Traps: integer sums wrap (computed unsigned); min and max hand a NaN on. */
#include "base/checked.h"
#include "base/pool.h"
#include "op/move.h"

enum { GRAIN = 1 << 16 }; /* bytes of one chunk of the copy */

typedef enum reduction { RED_NONE, RED_ADD, RED_MUL, RED_MIN, RED_MAX } reduction;

typedef struct scatter_param {
    reduction red;
    int axis;                       /* ScatterElements */
    int depth;                      /* ScatterND: numbers in an index tuple */
    int64_t tuples;                 /* ScatterND */
    int64_t block;                  /* elements written by an index */
    int64_t strides[OMMA_MAX_RANK]; /* of data; ScatterND: [blocks] over the first depth dims */
} scatter_param;

/* --- combining ----------------------------------------------------------------- */

static float pick_f32(reduction red, float a, float b) {
    switch (red) {
    case RED_ADD: return a + b;
    case RED_MUL: return a * b;
    case RED_MIN: return b < a || b != b ? b : a;
    case RED_MAX: return b > a || b != b ? b : a;
    case RED_NONE: break;
    }
    return b;
}

static double pick_f64(reduction red, double a, double b) {
    switch (red) {
    case RED_ADD: return a + b;
    case RED_MUL: return a * b;
    case RED_MIN: return b < a || b != b ? b : a;
    case RED_MAX: return b > a || b != b ? b : a;
    case RED_NONE: break;
    }
    return b;
}

static int64_t pick_i64(reduction red, int64_t a, int64_t b) {
    switch (red) {
    case RED_ADD: return (int64_t)((uint64_t)a + (uint64_t)b);
    case RED_MUL: return (int64_t)((uint64_t)a * (uint64_t)b);
    case RED_MIN: return b < a ? b : a;
    case RED_MAX: return b > a ? b : a;
    case RED_NONE: break;
    }
    return b;
}

static uint64_t pick_u64(reduction red, uint64_t a, uint64_t b) {
    switch (red) {
    case RED_ADD: return a + b;
    case RED_MUL: return a * b;
    case RED_MIN: return b < a ? b : a;
    case RED_MAX: return b > a ? b : a;
    case RED_NONE: break;
    }
    return b;
}

#define COMBINE(T, pick) \
    for (int64_t i = 0; i < n; i++) ((T *)dst)[i] = (T)pick(red, ((T *)dst)[i], ((const T *)src)[i])
#define COMBINE_HALF(load, store)   \
    for (int64_t i = 0; i < n; i++) \
    ((uint16_t *)dst)[i] =          \
        store(pick_f32(red, load(((uint16_t *)dst)[i]), load(((const uint16_t *)src)[i])))

/* dst[i] = dst[i] red src[i], i < n. */
static void combine(omma_dtype t, reduction red, int64_t n, const void *src, void *dst) {
    if (red == RED_NONE) {
        omma_move_bytes(dst, src, (size_t)n * omma_dtype_size(t));
        return;
    }
    switch (t) {
    case OMMA_F32: COMBINE(float, pick_f32); return;
    case OMMA_F64: COMBINE(double, pick_f64); return;
    case OMMA_I8: COMBINE(int8_t, pick_i64); return;
    case OMMA_I16: COMBINE(int16_t, pick_i64); return;
    case OMMA_I32: COMBINE(int32_t, pick_i64); return;
    case OMMA_I64: COMBINE(int64_t, pick_i64); return;
    case OMMA_U8: COMBINE(uint8_t, pick_u64); return;
    case OMMA_U16: COMBINE(uint16_t, pick_u64); return;
    case OMMA_U32: COMBINE(uint32_t, pick_u64); return;
    case OMMA_U64: COMBINE(uint64_t, pick_u64); return;
    case OMMA_BOOL: /* a sum is "or", a product "and" */
        for (int64_t i = 0; i < n; i++)
            ((uint8_t *)dst)[i] =
                pick_u64(red, ((uint8_t *)dst)[i], ((const uint8_t *)src)[i]) != 0;
        return;
    case OMMA_F16: COMBINE_HALF(omma_f16_to_f32, omma_f32_to_f16); return;
    case OMMA_BF16: COMBINE_HALF(omma_bf16_to_f32, omma_f32_to_bf16); return;
    case OMMA_NONE:
    case OMMA_STRING: return;
    }
}

/* --- shared -------------------------------------------------------------------- */

static omma_status reduction_of(omma_build *b, const omma_node *n, reduction *red) {
    static const char *const names[] = {"none", "add", "mul", "min", "max"};
    const char *s = omma_node_string(n, "reduction", "none");
    for (int i = 0; i < 5; i++)
        if (!strcmp(s, names[i])) {
            *red = (reduction)i;
            return OMMA_OK;
        }
    return omma_bad(b, n, "reduction '%s' is unknown", s);
}

/* Types and the param, with the reduction set. */
static omma_status begin(omma_build *b, omma_node *n, scatter_param **p) {
    if (n->in[2]->dtype != n->in[0]->dtype)
        return omma_bad(b, n, "updates are %s, the data %s", omma_dtype_name(n->in[2]->dtype),
                        omma_dtype_name(n->in[0]->dtype));
    OMMA_TRY(omma_index_type(b, n, 1));
    *p = omma_param(b, n, sizeof **p);
    if (!*p) return omma_nomem(b, n);
    return reduction_of(b, n, &(*p)->red);
}

typedef struct copy_job {
    const char *src;
    char *dst;
} copy_job;

static void copy_chunk(void *arg, int64_t from, int64_t to, int worker) {
    (void)worker;
    const copy_job *j = arg;
    memcpy(j->dst + from, j->src + from, (size_t)(to - from));
}

static void copy_data(const omma_exec *x, const omma_node *n) {
    copy_job j = {n->in[0]->mem, n->out[0]->mem};
    omma_parallel(x->threads, (int64_t)omma_value_bytes(n->in[0]), GRAIN, copy_chunk, &j);
}

static omma_status out_of_range(const omma_exec *x, const omma_node *n, int64_t at, int64_t dim) {
    return omma_run_bad(x, n, "index %lld (number %lld of '%s') is outside an axis of %lld",
                        (long long)omma_index_raw(n->in[1], at), (long long)at, n->in[1]->name,
                        (long long)dim);
}

/* --- ScatterElements ----------------------------------------------------------- */

/* out[i][index[i][j][k]][k] = updates[i][j][k] for axis 1. */
static omma_status elements_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0], *index = n->in[1], *updates = n->in[2];
    scatter_param *p;
    OMMA_TRY(begin(b, n, &p));
    OMMA_TRY(omma_axis(b, n, omma_node_int(n, "axis", 0), x->rank, &p->axis));
    if (index->rank != x->rank || updates->rank != x->rank)
        return omma_bad(b, n, "data, indices and updates differ in rank");
    for (int d = 0; d < x->rank; d++) {
        if (updates->dims[d] != index->dims[d])
            return omma_bad(b, n, "indices and updates differ along axis %d", d);
        if (d != p->axis && index->dims[d] > x->dims[d])
            return omma_bad(b, n, "indices are longer than the data along axis %d", d);
    }
    omma_strides(x->dims, x->rank, p->strides);
    return omma_out_like(b, n, 0, x);
}

static omma_status elements_run(const omma_exec *x, const omma_node *n) {
    const scatter_param *p = n->param;
    const omma_value *data = n->in[0], *index = n->in[1], *updates = n->in[2];
    if (!n->out[0]) return OMMA_OK;
    copy_data(x, n);
    const size_t size = omma_dtype_size(data->dtype);
    const int64_t count = omma_value_count(index), dim = data->dims[p->axis];
    int64_t at[OMMA_MAX_RANK] = {0}, base = 0; /* base: place in data, the axis left out */
    for (int64_t i = 0; i < count; i++) {
        const int64_t k = omma_index(index, i, dim);
        if (k < 0) return out_of_range(x, n, i, dim);
        combine(data->dtype, p->red, 1, (const char *)updates->mem + (size_t)i * size,
                (char *)n->out[0]->mem + (size_t)(base + k * p->strides[p->axis]) * size);
        for (int d = index->rank - 1; d >= 0; d--) {
            const int64_t stride = d == p->axis ? 0 : p->strides[d];
            base += stride;
            if (++at[d] < index->dims[d]) break;
            base -= at[d] * stride;
            at[d] = 0;
        }
    }
    return OMMA_OK;
}

/* --- ScatterND ----------------------------------------------------------------- */

/* indices: I + [depth], updates: I + data.dims[depth:]. */
static omma_status nd_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0], *index = n->in[1], *updates = n->in[2];
    scatter_param *p;
    OMMA_TRY(begin(b, n, &p));
    if (x->rank < 1 || index->rank < 1)
        return omma_bad(b, n, "data and indices need one dimension or more");
    const int64_t depth = index->dims[index->rank - 1];
    if (depth < 1 || depth > x->rank)
        return omma_bad(b, n, "index tuples of %lld numbers for data of rank %d", (long long)depth,
                        x->rank);
    p->depth = (int)depth;
    const int lead = index->rank - 1, tail = x->rank - p->depth;
    if (updates->rank != lead + tail)
        return omma_bad(b, n, "updates of rank %d, not %d", updates->rank, lead + tail);
    for (int d = 0; d < lead + tail; d++)
        if (updates->dims[d] != (d < lead ? index->dims[d] : x->dims[p->depth + d - lead]))
            return omma_bad(b, n, "updates do not fit along axis %d", d);
    if (!omma_dims_count(index->dims, lead, &p->tuples) ||
        !omma_dims_count(x->dims + p->depth, tail, &p->block))
        return omma_bad(b, n, "the size overflows");
    omma_strides(x->dims, p->depth, p->strides);
    return omma_out_like(b, n, 0, x);
}

static omma_status nd_run(const omma_exec *x, const omma_node *n) {
    const scatter_param *p = n->param;
    const omma_value *data = n->in[0], *index = n->in[1], *updates = n->in[2];
    if (!n->out[0]) return OMMA_OK;
    copy_data(x, n);
    const size_t bytes = (size_t)p->block * omma_dtype_size(data->dtype);
    for (int64_t i = 0; i < p->tuples; i++) {
        int64_t to = 0;
        for (int d = 0; d < p->depth; d++) {
            const int64_t k = omma_index(index, i * p->depth + d, data->dims[d]);
            if (k < 0) return out_of_range(x, n, i * p->depth + d, data->dims[d]);
            to += k * p->strides[d];
        }
        if (bytes)
            combine(data->dtype, p->red, p->block, (const char *)updates->mem + (size_t)i * bytes,
                    (char *)n->out[0]->mem + (size_t)to * bytes);
    }
    return OMMA_OK;
}

/* --- rows ---------------------------------------------------------------------- */

const omma_op omma_op_ScatterElements = {.name = "ScatterElements",
                                         .min_in = 3,
                                         .max_in = 3,
                                         .min_out = 1,
                                         .max_out = 1,
                                         .infer = elements_infer,
                                         .run = elements_run,
                                         .flops = omma_move_flops,
                                         .no_grad = OMMA_NOT_YET,
                                         .no_field = OMMA_NOT_YET};

/* The name of ScatterElements before opset 11. */
const omma_op omma_op_Scatter = {.name = "Scatter",
                                 .min_in = 3,
                                 .max_in = 3,
                                 .min_out = 1,
                                 .max_out = 1,
                                 .infer = elements_infer,
                                 .run = elements_run,
                                 .flops = omma_move_flops,
                                 .no_grad = OMMA_NOT_YET,
                                 .no_field = OMMA_NOT_YET};

const omma_op omma_op_ScatterND = {.name = "ScatterND",
                                   .min_in = 3,
                                   .max_in = 3,
                                   .min_out = 1,
                                   .max_out = 1,
                                   .infer = nd_infer,
                                   .run = nd_run,
                                   .flops = omma_move_flops,
                                   .no_grad = OMMA_NOT_YET,
                                   .no_field = OMMA_NOT_YET};
