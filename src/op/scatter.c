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
#include "op/grad.h"
#include "op/index_map.h"
#include "op/move.h"
#include "op/move_back.h"

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

/* --- gradient ------------------------------------------------------------------ */

/* The node at work, and what writes and reads as it does. */
typedef struct scattering {
    omma_maker *m;
    const omma_node *n;
    const scatter_param *p;
    bool distinct; /* no two updates go to the same place, as far as can be seen now */
} scattering;

static omma_value *put(const scattering *s, omma_value *data, omma_value *updates,
                       const char *how) {
    const omma_attr attrs[] = {OMMA_A_STRING("reduction", how), OMMA_A_INT("axis", s->p->axis)};
    omma_value *in[] = {data, s->n->in[1], updates};
    if (s->p->depth) return omma_make(s->m, "ScatterND", in, 3, attrs, 1);
    return omma_make(s->m, "ScatterElements", in, 3, attrs, 2);
}

/* For every update, what stands in v where it goes. */
static omma_value *take(const scattering *s, omma_value *v) {
    const omma_attr axis = OMMA_A_INT("axis", s->p->axis);
    omma_value *in[] = {v, s->n->in[1]};
    if (s->p->depth) return omma_make(s->m, "GatherND", in, 2, NULL, 0);
    return omma_make(s->m, "GatherElements", in, 2, &axis, 1);
}

static int64_t *places_of(omma_arena *a, const omma_node *n, const void *numbers) {
    const scatter_param *p = n->param;
    const omma_value *x = n->in[0], *index = n->in[1];
    if (!p->depth) return omma_index_places(a, x, index, numbers, p->axis);
    return omma_index_tuples(a, x->dims, p->depth, index, numbers, 0);
}

/* How many places updates may go to, and how many go. */
static int64_t place_count(const omma_node *n) {
    const scatter_param *p = n->param;
    int64_t count = 1;
    for (int d = 0; d < (p->depth ? p->depth : n->in[0]->rank); d++) count *= n->in[0]->dims[d];
    return count;
}
static int64_t source_count(const omma_node *n) {
    const scatter_param *p = n->param;
    return p->depth ? p->tuples : omma_value_count(n->in[1]);
}

static bool all_distinct(omma_arena *a, const omma_node *n) {
    if (!n->in[1]->data) return false;
    return omma_index_distinct(a, places_of(a, n, n->in[1]->data), source_count(n), place_count(n));
}

/* v as 1 where it is a, elsewhere 0: in v's type. */
static omma_value *where_is(omma_maker *m, omma_value *v, omma_value *a) {
    return v ? omma_make_cast(m, omma_make_2(m, "Equal", v, a), v->dtype) : NULL;
}
static omma_value *zeros_of(omma_maker *m, omma_value *v) {
    return where_is(m, v, omma_make_number(m, v, 0));
}

/* c, without those of updates that a later one to the same place overwrote: the number of the last
 * is put down for every place, and each update looks whether it is its own. */
static omma_value *survivors(const scattering *s, omma_value *c) {
    omma_maker *m = s->m;
    const int rank = s->p->depth ? s->p->depth : s->n->in[0]->rank;
    const int lead = s->n->in[1]->rank - (s->p->depth != 0);
    const omma_value like = {.name = "number", .dtype = OMMA_I64};
    int64_t dims[OMMA_MAX_RANK];
    for (int d = 0; d < OMMA_MAX_RANK; d++) dims[d] = d < lead ? s->n->in[1]->dims[d] : 1;
    omma_value *number = omma_make_3(m, "Range", omma_make_number(m, &like, 0),
                                     omma_make_number(m, &like, (double)source_count(s->n)),
                                     omma_make_number(m, &like, 1));
    number = omma_make_reshape(m, number, lead, dims);
    omma_value *last =
        take(s, put(s, omma_move_zeros(m, OMMA_I64, rank, s->n->in[0]->dims), number, "none"));
    omma_value *stays = omma_make_2(m, "Equal", last, number);
    stays = omma_make_reshape(m, stays, s->n->in[2]->rank, dims);
    return omma_make_3(m, "Where", stays, c, omma_make_number(m, c, 0));
}

/* By a factor among others: the product of the others, by a division where none of them is 0. A
 * zero counts as 1 in the product, and is counted. */
static omma_value *factor_grad(const scattering *s, omma_value *dy) {
    omma_maker *m = s->m;
    omma_value *x = s->n->in[0], *u = s->n->in[2];
    if (s->distinct) return take(s, omma_make_2(m, "Mul", dy, x));
    omma_value *x0 = zeros_of(m, x), *u0 = zeros_of(m, u), *safe = omma_make_2(m, "Add", u, u0);
    omma_value *product = put(s, omma_make_2(m, "Add", x, x0), safe, "mul");
    omma_value *zeros = omma_make_2(m, "Sub", take(s, put(s, x0, u0, "add")), u0);
    omma_value *c = take(s, omma_make_2(m, "Mul", dy, product));
    return omma_make_2(m, "Mul", omma_make_2(m, "Div", c, safe), zeros_of(m, zeros));
}

static omma_status product_grad(omma_grad *g, const scattering *s, omma_value *dy) {
    omma_maker *m = s->m;
    omma_value *x = s->n->in[0], *u = s->n->in[2];
    if (omma_grad_wants(g, s->n, 0)) {
        omma_value *others = put(s, omma_make_full(m, x, 1), u, "mul");
        OMMA_TRY(omma_grad_add(g, s->n, 0, omma_make_2(m, "Mul", dy, others)));
    }
    if (!omma_grad_wants(g, s->n, 2)) return OMMA_OK;
    return omma_grad_add(g, s->n, 2, factor_grad(s, dy));
}

/* All that equal the extreme share its cotangent, as in PyTorch's scatter_reduce. */
static omma_status extreme_grad(omma_grad *g, const scattering *s, omma_value *dy) {
    omma_maker *m = s->m;
    omma_value *y = s->n->out[0], *x = where_is(m, s->n->in[0], y);
    omma_value *u = where_is(m, s->n->in[2], take(s, y));
    omma_value *share = omma_make_2(m, "Div", dy, put(s, x, u, "add"));
    OMMA_TRY(omma_grad_add(g, s->n, 0, omma_make_2(m, "Mul", share, x)));
    return omma_grad_add(g, s->n, 2, omma_make_2(m, "Mul", take(s, share), u));
}

static omma_status scatter_grad(omma_grad *g, const omma_node *n) {
    omma_value *dy = omma_grad_out(g, n, 0);
    const scattering s = {&g->m, n, n->param, all_distinct(g->m.b->arena, n)};
    if (!omma_value_count(n->in[2])) return omma_grad_add(g, n, 0, dy);
    if (s.p->red == RED_MUL) return product_grad(g, &s, dy);
    if (s.p->red == RED_MIN || s.p->red == RED_MAX) return extreme_grad(g, &s, dy);
    if (omma_grad_wants(g, n, 0)) {
        omma_value *dx = dy;
        if (s.p->red == RED_NONE) dx = put(&s, dy, omma_make_full(&g->m, n->in[2], 0), "none");
        OMMA_TRY(omma_grad_add(g, n, 0, dx));
    }
    if (!omma_grad_wants(g, n, 2)) return OMMA_OK;
    omma_value *du = take(&s, dy);
    if (s.p->red == RED_NONE && !s.distinct) du = survivors(&s, du);
    return omma_grad_add(g, n, 2, du);
}

/* --- field --------------------------------------------------------------------- */

/* Data and updates as [places, block] and [sources, block]. */
static void view_blocks(omma_relation *r, int64_t places, int64_t sources, int64_t block) {
    const int64_t out[] = {places, block}, in[] = {sources, block};
    omma_relation_view_out(r, 2, out);
    omma_relation_view_in(r, 2, in);
    omma_relation_same(r, 1, 1);
}

/* Of what an update wrote, without a reduction, nothing of the data is left, nor of updates before
 * it. */
static omma_status field_known(omma_field *f, const omma_node *n, const void *numbers) {
    const scatter_param *p = n->param;
    const int64_t places = place_count(n), sources = source_count(n);
    const int64_t block = p->depth ? p->block : 1;
    const bool over = p->red == RED_NONE;
    const int64_t *place = places_of(f->b->arena, n, numbers);
    if (!place) return omma_nomem(f->b, n);
    omma_relation *r = omma_field_relate_same(f, 0, 0);
    if (r && over) {
        uint64_t *only = omma_field_bits(f, places * block);
        for (int64_t i = 0; only && i < sources; i++)
            if (place[i] >= 0)
                omma_field_bits_clear(only, place[i] * block, (place[i] + 1) * block);
        r->out_only = only;
        r->data = !n->in[1]->data;
    }
    r = omma_field_relate(f, 0, 2);
    if (!r) return f->status;
    view_blocks(r, places, sources, block);
    r->axis[0] = omma_map_placed(f, 0, places, place, sources, over);
    r->data = !n->in[1]->data;
    return f->status;
}

/* Updates may go anywhere along the axis, or in the first dims. */
static omma_status field_unknown(omma_field *f, const omma_node *n) {
    const scatter_param *p = n->param;
    omma_relation *r = omma_field_relate_same(f, 0, 0);
    if (r) r->bound = p->red == RED_NONE;
    r = omma_field_relate(f, 0, 2);
    if (!r) return f->status;
    r->bound = true;
    if (p->depth) view_blocks(r, place_count(n), source_count(n), p->block);
    for (int d = 0; d < n->in[0]->rank && !p->depth; d++)
        if (d != p->axis) omma_relation_same(r, d, d);
    return f->status;
}

static omma_status scatter_field(omma_field *f, const omma_node *n) {
    const scatter_param *p = n->param;
    const void *numbers = omma_field_numbers(f, n->in[1]);
    OMMA_TRY(numbers ? field_known(f, n, numbers) : field_unknown(f, n));
    omma_relation *r = omma_field_relate(f, 0, 1);
    if (!r) return f->status;
    r->path = OMMA_PATH_CONTROL;
    for (int d = 0; d < n->in[0]->rank && !p->depth; d++)
        if (d != p->axis) omma_relation_same(r, d, d);
    return f->status;
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
                                         .grad = scatter_grad,
                                         .field = scatter_field};

/* The name of ScatterElements before opset 11. */
const omma_op omma_op_Scatter = {.name = "Scatter",
                                 .min_in = 3,
                                 .max_in = 3,
                                 .min_out = 1,
                                 .max_out = 1,
                                 .infer = elements_infer,
                                 .run = elements_run,
                                 .flops = omma_move_flops,
                                 .grad = scatter_grad,
                                 .field = scatter_field};

const omma_op omma_op_ScatterND = {.name = "ScatterND",
                                   .min_in = 3,
                                   .max_in = 3,
                                   .min_out = 1,
                                   .max_out = 1,
                                   .infer = nd_infer,
                                   .run = nd_run,
                                   .flops = omma_move_flops,
                                   .grad = scatter_grad,
                                   .field = scatter_field};
