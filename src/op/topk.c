/* topk.c - TopK: the k largest or smallest numbers along an axis, and where they were.
 *
 * Every number gets an unsigned key whose order is the wanted one (best first), so all types
 * share one algorithm: a heap of the k best so far, worst on top, then sorted in place. Most
 * elements cost one comparison with the top. The heap is the output of indices itself; keys
 * are read through it. Those of short floats stand in it beside the index, 32 bits each, while
 * it is made: one number to compare.
 * Order: equal numbers come by rising index; NaN counts as the largest number, +0 equals -0.
 * Unsorted output (sorted = 0) may be in any order, so it is sorted too: one behaviour, the
 * same on every machine.
 * Source: the ONNX operator specification. */
#include "base/checked.h"
#include "base/pool.h"
#include "op/grad.h"
#include "op/index_map.h"
#include "op/move.h"

enum {
    GRAIN = 1 << 13, /* elements looked at in one chunk */
    FEW = 8          /* kept in a list, not a heap */
};

typedef struct topk_param {
    int axis;
    int64_t outer, dim, inner, k;
    bool largest;
} topk_param;

/* One line along the axis. */
typedef struct line {
    omma_dtype type;
    bool largest;
    const void *x; /* element i of the line at x[at + i * stride] */
    int64_t at, stride;
    int64_t *heap; /* entry i at heap[i * stride]: an index into the line */
} line;

static uint64_t key_signed(int64_t v) { return (uint64_t)v ^ UINT64_C(1) << 63; }

static uint64_t key_f32(float f) {
    if (f != f) return UINT64_MAX;
    uint32_t u;
    f += 0.0f; /* -0 becomes +0 */
    memcpy(&u, &f, 4);
    return u >> 31 ? ~u : u | 1u << 31;
}

static uint64_t key_f64(double f) {
    if (f != f) return UINT64_MAX;
    uint64_t u;
    f += 0.0;
    memcpy(&u, &f, 8);
    return u >> 63 ? ~u : u | UINT64_C(1) << 63;
}

static uint64_t rising_key(omma_dtype t, const void *p, int64_t i) {
    switch (t) {
    case OMMA_F32: return key_f32(((const float *)p)[i]);
    case OMMA_F64: return key_f64(((const double *)p)[i]);
    case OMMA_F16: return key_f32(omma_f16_to_f32(((const uint16_t *)p)[i]));
    case OMMA_BF16: return key_f32(omma_bf16_to_f32(((const uint16_t *)p)[i]));
    case OMMA_I8: return key_signed(((const int8_t *)p)[i]);
    case OMMA_I16: return key_signed(((const int16_t *)p)[i]);
    case OMMA_I32: return key_signed(((const int32_t *)p)[i]);
    case OMMA_I64: return key_signed(((const int64_t *)p)[i]);
    case OMMA_U8:
    case OMMA_BOOL: return ((const uint8_t *)p)[i];
    case OMMA_U16: return ((const uint16_t *)p)[i];
    case OMMA_U32: return ((const uint32_t *)p)[i];
    case OMMA_U64: return ((const uint64_t *)p)[i];
    case OMMA_NONE:
    case OMMA_STRING: break;
    }
    return 0;
}

/* Smaller is better. */
static uint64_t key(const line *l, int64_t i) {
    const uint64_t u = rising_key(l->type, l->x, l->at + i * l->stride);
    return l->largest ? ~u : u;
}

/* Is element a, of key ka, worse than element b of key kb? Indices differ. */
static bool worse(uint64_t ka, int64_t a, uint64_t kb, int64_t b) {
    return ka > kb || (ka == kb && a > b);
}

/* Put element v where entry at of a heap of size entries was, and sink it: worst on top. */
static void sift(const line *l, int64_t size, int64_t at, int64_t v) {
    const uint64_t kv = key(l, v);
    for (;;) {
        int64_t child = 2 * at + 1;
        if (child >= size) break;
        int64_t c = l->heap[child * l->stride];
        uint64_t kc = key(l, c);
        if (child + 1 < size) {
            const int64_t o = l->heap[(child + 1) * l->stride];
            const uint64_t ko = key(l, o);
            if (worse(ko, o, kc, c)) {
                child++;
                c = o;
                kc = ko;
            }
        }
        if (!worse(kc, c, kv, v)) break;
        l->heap[at * l->stride] = c;
        at = child;
    }
    l->heap[at * l->stride] = v;
}

/* The k best of a line of n, best first, into its heap. */
static void select_best(const line *l, int64_t n, int64_t k) {
    for (int64_t i = 0; i < k; i++) l->heap[i * l->stride] = i;
    for (int64_t i = k / 2 - 1; i >= 0; i--) sift(l, k, i, l->heap[i * l->stride]);
    uint64_t top = key(l, l->heap[0]);
    for (int64_t i = k; i < n; i++) {
        if (key(l, i) >= top) continue; /* a later equal one is worse */
        sift(l, k, 0, i);
        top = key(l, l->heap[0]);
    }
    for (int64_t size = k - 1; size > 0; size--) {
        const int64_t last = l->heap[size * l->stride];
        l->heap[size * l->stride] = l->heap[0];
        sift(l, size, 0, last);
    }
}

/* --- keys of 32 bits ------------------------------------------------------------ */

static bool short_key(omma_dtype t) { return t == OMMA_F32 || t == OMMA_F16 || t == OMMA_BF16; }

/* Key and index of element i: smaller is better. */
static uint64_t entry(const line *l, int64_t i) {
    const uint32_t u = (uint32_t)rising_key(l->type, l->x, l->at + i * l->stride);
    return (uint64_t)(l->largest ? ~u : u) << 32 | (uint64_t)i;
}

static void sift_entry(const line *l, int64_t size, int64_t at, uint64_t v) {
    for (;;) {
        int64_t child = 2 * at + 1;
        if (child >= size) break;
        uint64_t c = (uint64_t)l->heap[child * l->stride];
        if (child + 1 < size) {
            const uint64_t o = (uint64_t)l->heap[(child + 1) * l->stride];
            if (o > c) c = o, child++;
        }
        if (c <= v) break;
        l->heap[at * l->stride] = (int64_t)c;
        at = child;
    }
    l->heap[at * l->stride] = (int64_t)v;
}

/* The same for few of a short line: a sorted list every element sinks through, without a branch
 * that depends on it. */
static void select_few(const line *l, int64_t n, int64_t k) {
    uint64_t best[FEW];
    for (int64_t i = 0; i < k; i++) best[i] = UINT64_MAX;
    for (int64_t i = 0; i < n; i++) {
        uint64_t e = entry(l, i);
        for (int64_t q = 0; q < k; q++) {
            const uint64_t b = best[q], less = e < b ? e : b;
            e = e < b ? b : e;
            best[q] = less;
        }
    }
    for (int64_t i = 0; i < k; i++) l->heap[i * l->stride] = (int64_t)(best[i] & UINT32_MAX);
}

/* As select_best; n < 2^32. */
static void select_entries(const line *l, int64_t n, int64_t k) {
    for (int64_t i = 0; i < k; i++) l->heap[i * l->stride] = (int64_t)entry(l, i);
    for (int64_t i = k / 2 - 1; i >= 0; i--) sift_entry(l, k, i, (uint64_t)l->heap[i * l->stride]);
    for (int64_t i = k; i < n; i++) {
        const uint64_t e = entry(l, i);
        if (e < (uint64_t)*l->heap) sift_entry(l, k, 0, e);
    }
    for (int64_t size = k - 1; size > 0; size--) {
        const uint64_t last = (uint64_t)l->heap[size * l->stride];
        l->heap[size * l->stride] = *l->heap;
        sift_entry(l, size, 0, last);
    }
    for (int64_t i = 0; i < k; i++) l->heap[i * l->stride] &= UINT32_MAX;
}

/* k from the attribute before opset 10, then from input 1. */
static omma_status topk_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0];
    int64_t k, dims[OMMA_MAX_RANK];
    int axis, count;
    topk_param *p = omma_param(b, n, sizeof *p);
    if (!p) return omma_nomem(b, n);
    OMMA_TRY(omma_axis(b, n, omma_node_int(n, "axis", -1), x->rank, &axis));
    OMMA_TRY(omma_ints_arg(b, n, 1, "k", &k, 1, &count));
    if (count != 1) return omma_bad(b, n, "k is missing");
    if (k < 0 || k > x->dims[axis])
        return omma_bad(b, n, "k is %lld, the axis %lld long", (long long)k,
                        (long long)x->dims[axis]);
    if (!omma_dtype_size(x->dtype))
        return omma_unsupported(b, n, "an input of type %s", omma_dtype_name(x->dtype));
    memcpy(dims, x->dims, sizeof dims);
    dims[axis] = k;
    OMMA_TRY(omma_out(b, n, 0, x->dtype, x->rank, dims));
    OMMA_TRY(omma_out(b, n, 1, OMMA_I64, x->rank, dims));
    p->axis = axis;
    p->k = k;
    p->dim = x->dims[axis];
    p->largest = omma_node_int(n, "largest", 1) != 0;
    if (!omma_dims_count(x->dims, axis, &p->outer) ||
        !omma_dims_count(x->dims + axis + 1, x->rank - axis - 1, &p->inner))
        return omma_bad(b, n, "the size overflows");
    return OMMA_OK;
}

static bool wants_indices(const omma_node *n) { return n->n_out > 1 && n->out[1]; }

/* Without an output of indices the heaps need memory of their own. */
static omma_status topk_prepare(omma_build *b, omma_node *n) {
    const topk_param *p = n->param;
    if (!wants_indices(n) &&
        !omma_dims_bytes((int64_t[]){p->outer, p->inner, p->k}, 3, sizeof(int64_t), &n->scratch))
        return omma_bad(b, n, "the size overflows");
    return OMMA_OK;
}

typedef struct job {
    const topk_param *p;
    const omma_value *x;
    int64_t *heaps;
    char *values; /* NULL: unwanted */
} job;

static void chunk(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const topk_param *p = j->p;
    const size_t size = omma_dtype_size(j->x->dtype);
    for (int64_t i = begin; i < end; i++) {
        const int64_t outer = i / p->inner, inner = i % p->inner,
                      to = outer * p->k * p->inner + inner;
        const line l = {j->x->dtype, p->largest,   j->x->mem, outer * p->dim * p->inner + inner,
                        p->inner,    j->heaps + to};
        const bool brief = short_key(l.type) && p->dim <= UINT32_MAX;
        if (brief && p->k <= FEW && p->dim <= FEW * FEW) select_few(&l, p->dim, p->k);
        else if (brief) select_entries(&l, p->dim, p->k);
        else select_best(&l, p->dim, p->k);
        for (int64_t r = 0; j->values && r < p->k; r++)
            omma_move_bytes(
                j->values + (size_t)(to + r * p->inner) * size,
                (const char *)l.x + (size_t)(l.at + l.heap[r * p->inner] * p->inner) * size, size);
    }
}

static omma_status topk_run(const omma_exec *x, const omma_node *n) {
    const topk_param *p = n->param;
    job j = {p, n->in[0], wants_indices(n) ? n->out[1]->mem : n->work,
             n->out[0] ? n->out[0]->mem : NULL};
    if (p->k) omma_parallel(x->threads, p->outer * p->inner, GRAIN / p->dim, chunk, &j);
    return OMMA_OK;
}

static double topk_flops(const omma_node *n) { return (double)omma_value_count(n->in[0]); }

/* The indices are those of the node, or, if nobody wanted them, of one like it. */
static omma_status topk_grad(omma_grad *g, const omma_node *n) {
    const topk_param *p = n->param;
    omma_maker *m = &g->m;
    omma_value *indices = wants_indices(n) ? n->out[1] : NULL;
    if (!indices) {
        const omma_node *again =
            omma_make_node(m, n->op, n->opset, n->in, n->n_in, n->attrs, n->n_attrs, 2);
        indices = again ? again->out[1] : NULL;
    }
    const omma_attr axis = OMMA_A_INT("axis", p->axis);
    omma_value *in[] = {omma_make_full(m, n->in[0], 0), indices, omma_grad_out(g, n, 0)};
    return omma_grad_add(g, n, 0, omma_make(m, "ScatterElements", in, 3, &axis, 1));
}

/* Where each of the k best of x, whose numbers are known, is in the whole tensor. */
static int64_t *topk_places(omma_field *f, const omma_node *n, const void *numbers) {
    const topk_param *p = n->param;
    omma_value x = *n->in[0];
    const int64_t count = p->outer * p->k * p->inner;
    int64_t *place = omma_arena_array(f->b->arena, (size_t)count + 1, sizeof *place);
    x.mem = (void *)(uintptr_t)numbers;
    job j = {p, &x, place, NULL};
    if (!place) f->status = omma_nomem(f->b, n);
    if (!place || !count) return place;
    chunk(&j, 0, p->outer * p->inner, 0);
    for (int64_t i = 0; i < count; i++)
        place[i] = (i / (p->k * p->inner) * p->dim + place[i]) * p->inner + i % p->inner;
    return place;
}

/* All of its line can be an output, on this path. */
static omma_relation *topk_line(omma_field *f, const omma_node *n, int k, omma_path path) {
    const topk_param *p = n->param;
    omma_relation *r = omma_field_relate_same(f, k, 0);
    if (!r) return NULL;
    r->axis[p->axis] = omma_map_all(p->dim);
    r->path = path;
    return r;
}

static omma_status topk_field(omma_field *f, const omma_node *n) {
    const void *numbers = omma_field_numbers(f, n->in[0]);
    omma_relation *r = topk_line(f, n, 0, OMMA_PATH_VALUE);
    if (r && numbers) {
        const int64_t all = omma_value_count(n->in[0]), count = omma_value_count(n->out[0]);
        const int64_t *place = topk_places(f, n, numbers);
        if (!place) return f->status;
        omma_relation_view_out(r, 1, &count);
        omma_relation_view_in(r, 1, &all);
        r->axis[0] = omma_map_picked(f, 0, place, count);
    }
    if (r) r->data = numbers != NULL, r->bound = !numbers;
    (void)topk_line(f, n, 0, OMMA_PATH_CONTROL);
    (void)topk_line(f, n, 1, OMMA_PATH_VALUE);
    return f->status;
}

const omma_op omma_op_TopK = {.name = "TopK",
                              .min_in = 1,
                              .max_in = 2,
                              .min_out = 1,
                              .max_out = 2,
                              .infer = topk_infer,
                              .prepare = topk_prepare,
                              .run = topk_run,
                              .flops = topk_flops,
                              .grad = topk_grad,
                              .field = topk_field};
