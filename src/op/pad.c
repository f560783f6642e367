/* pad.c - Pad: an output index maps, axis by axis, to an input index or to the constant; the
 * trailing axes without padding make up one unit, and output rows are walked.
 *
 * Backward, along one axis: what a mode repeats is added up. The indices of the input that the
 * output's read rise or fall by one, or stand still, for stretches (3 as a rule); each is a slice
 * of the cotangent, turned around or summed, and zeros around it.
 * Source: the ONNX operator specification. Traps: negative pads crop, and they do so before
 * reflecting; reflection may run over more than one period. */
#include "base/pool.h"
#include "op/grad.h"
#include "op/index_map.h"
#include "op/move.h"
#include "op/move_back.h"

enum { GRAIN = 1 << 15 }; /* bytes of one chunk */

typedef enum pad_mode { PAD_CONSTANT, PAD_REFLECT, PAD_EDGE, PAD_WRAP } pad_mode;

typedef struct pad_axis {
    int64_t out, stride; /* output length; input stride [units] */
    int64_t crop, len;   /* what is left of the input: [crop, crop + len) */
    int64_t before;      /* >= 0 */
} pad_axis;

typedef struct pad_param {
    pad_mode mode;
    int rank; /* axes but the trailing ones without padding; at least 1 */
    pad_axis axis[OMMA_MAX_RANK];
    size_t size, unit; /* bytes of an element; of what lies under the last axis */
    int64_t rows;      /* of the output; 0: nothing to do */
    char value[8];     /* the constant when it is not an input */
} pad_param;

/* The input index (counted from crop) of output index i, or -1 for the constant. */
static int64_t pad_source(const pad_axis *a, pad_mode mode, int64_t i) {
    const int64_t s = i - a->before;
    if (s >= 0 && s < a->len) return s;
    switch (mode) {
    case PAD_EDGE: return s < 0 ? 0 : a->len - 1;
    case PAD_WRAP: return (s % a->len + a->len) % a->len;
    case PAD_REFLECT: {
        if (a->len == 1) return 0;
        const int64_t period = 2 * (a->len - 1), k = (s % period + period) % period;
        return k < a->len ? k : period - k;
    }
    case PAD_CONSTANT: break;
    }
    return -1;
}

/* pads per axis: before[d], after[d]. */
static omma_status pad_amounts(omma_build *b, const omma_node *n, int64_t *before, int64_t *after) {
    const int rank = n->in[0]->rank;
    int64_t pads[2 * OMMA_MAX_RANK], axes[OMMA_MAX_RANK];
    int n_pads, n_axes;
    unsigned seen = 0;
    OMMA_TRY(omma_ints_arg(b, n, 1, n->opset < 2 ? "paddings" : "pads", pads, 2 * OMMA_MAX_RANK,
                           &n_pads));
    OMMA_TRY(omma_ints_in(b, n, 3, axes, OMMA_MAX_RANK, &n_axes));
    const int k = n_axes < 0 ? rank : n_axes;
    if (n_pads != 2 * k) return omma_bad(b, n, "%d pads for %d axes", n_pads < 0 ? 0 : n_pads, k);
    for (int d = 0; d < rank; d++) before[d] = after[d] = 0;
    for (int i = 0; i < k; i++) {
        int d = i;
        if (n_axes >= 0) OMMA_TRY(omma_axis(b, n, axes[i], rank, &d));
        if (seen >> d & 1) return omma_bad(b, n, "axis %d is named twice", d);
        seen |= 1u << d;
        before[d] = pads[i];
        after[d] = pads[i + k];
    }
    return OMMA_OK;
}

static omma_status pad_mode_of(omma_build *b, const omma_node *n, pad_mode *mode) {
    static const char *const names[] = {"constant", "reflect", "edge", "wrap"};
    const char *s = omma_node_string(n, "mode", "constant");
    for (int i = 0; i < 4; i++)
        if (!strcmp(s, names[i])) {
            *mode = (pad_mode)i;
            return OMMA_OK;
        }
    return omma_bad(b, n, "mode '%s' is unknown", s);
}

static omma_status pad_one(omma_build *b, const omma_node *n, pad_mode mode, int d, int64_t before,
                           int64_t after, pad_axis *a) {
    const int64_t dim = n->in[0]->dims[d];
    if (before < -dim || after < -dim || (before < 0 && after < 0 && before < -dim - after))
        return omma_bad(b, n, "pads %lld and %lld take more than axis %d has (%lld)",
                        (long long)before, (long long)after, d, (long long)dim);
    a->crop = before < 0 ? -before : 0;
    a->before = before > 0 ? before : 0;
    a->len = dim - a->crop - (after < 0 ? -after : 0);
    if (__builtin_add_overflow(a->len, a->before, &a->out) ||
        __builtin_add_overflow(a->out, after > 0 ? after : 0, &a->out))
        return omma_bad(b, n, "the output's size overflows along axis %d", d);
    if (!a->len && a->out && mode != PAD_CONSTANT)
        return omma_bad(b, n, "axis %d has nothing left to pad from", d);
    return OMMA_OK;
}

static omma_status pad_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0], *value = omma_in(n, 2);
    int64_t before[OMMA_MAX_RANK], after[OMMA_MAX_RANK], dims[OMMA_MAX_RANK],
        strides[OMMA_MAX_RANK];
    pad_param *p = omma_param(b, n, sizeof *p);
    if (!p) return omma_nomem(b, n);
    OMMA_TRY(pad_mode_of(b, n, &p->mode));
    OMMA_TRY(pad_amounts(b, n, before, after));
    if (value && (value->dtype != x->dtype || omma_value_count(value) != 1))
        return omma_bad(b, n, "the constant value must be one number of the input's type");
    omma_set_number(x->dtype, p->value, 0, (double)omma_node_float(n, "value", 0));
    for (int d = 0; d < x->rank; d++) {
        OMMA_TRY(pad_one(b, n, p->mode, d, before[d], after[d], &p->axis[d]));
        dims[d] = p->axis[d].out;
    }
    OMMA_TRY(omma_out(b, n, 0, x->dtype, x->rank, dims));
    if (!n->out[0]) return OMMA_OK; /* unwanted: its size was not checked */
    p->size = p->unit = omma_dtype_size(x->dtype);
    p->rank = x->rank;
    for (int d = 0; d < x->rank; d++)
        if (!dims[d]) p->size = 0;
    if (!p->size) return OMMA_OK; /* empty: rows stays 0 */
    if (!p->rank) p->axis[p->rank++] = (pad_axis){.out = 1, .len = 1};
    while (p->rank > 1 && !before[p->rank - 1] && !after[p->rank - 1])
        p->unit *= (size_t)p->axis[--p->rank].out;
    omma_strides(x->dims, p->rank, strides);
    p->rows = 1;
    for (int d = 0; d < p->rank; d++) {
        p->axis[d].stride = x->rank ? strides[d] : 1;
        if (d + 1 < p->rank) p->rows *= p->axis[d].out;
    }
    return OMMA_OK;
}

typedef struct pad_job {
    const pad_param *p;
    const char *src, *value;
    char *dst;
} pad_job;

/* Output units [from, to) of a row, one by one. src: the input row's first unit, NULL where
 * the whole row is the constant. */
static void pad_units(const pad_job *j, const char *src, char *dst, int64_t from, int64_t to) {
    const pad_param *p = j->p;
    const pad_axis *a = &p->axis[p->rank - 1];
    const size_t unit = p->unit;
    for (int64_t i = from; i < to; i++) {
        const int64_t s = src ? pad_source(a, p->mode, i) : -1;
        if (s >= 0)
            omma_move_bytes(dst + (size_t)i * unit, src + (size_t)(s + a->crop) * unit, unit);
        else omma_move_fill(dst + (size_t)i * unit, j->value, p->size, (int64_t)(unit / p->size));
    }
}

static void pad_rows(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const pad_job *j = arg;
    const pad_param *p = j->p;
    const pad_axis *last = &p->axis[p->rank - 1];
    const size_t row = (size_t)last->out * p->unit;
    for (int64_t r = begin; r < end; r++) {
        char *dst = j->dst + (size_t)r * row;
        int64_t left = r, at = 0;
        bool inside = last->len > 0;
        for (int d = p->rank - 2; d >= 0 && inside; d--) {
            const pad_axis *a = &p->axis[d];
            const int64_t s = pad_source(a, p->mode, left % a->out);
            left /= a->out;
            inside = s >= 0;
            at += (s + a->crop) * a->stride;
        }
        if (!inside) {
            omma_move_fill(dst, j->value, p->size, (int64_t)(row / p->size));
            continue;
        }
        const char *src = j->src + (size_t)at * p->unit;
        pad_units(j, src, dst, 0, last->before);
        memcpy(dst + (size_t)last->before * p->unit, src + (size_t)last->crop * p->unit,
               (size_t)last->len * p->unit);
        pad_units(j, src, dst, last->before + last->len, last->out);
    }
}

static omma_status pad_run(const omma_exec *x, const omma_node *n) {
    const pad_param *p = n->param;
    const omma_value *value = omma_in(n, 2);
    if (!p->rows || !n->out[0]) return OMMA_OK;
    pad_job j = {p, n->in[0]->mem, value ? value->mem : p->value, n->out[0]->mem};
    const int64_t row = p->axis[p->rank - 1].out * (int64_t)p->unit;
    omma_parallel(x->threads, p->rows, row < GRAIN ? GRAIN / row : 1, pad_rows, &j);
    return OMMA_OK;
}

/* --- gradient ------------------------------------------------------------------- */

enum { STRETCHES_MAX = 16 }; /* more are scattered by index */

/* Where the stretch that begins at output index i ends; *slope of its sources. */
static int64_t pad_stretch(const pad_axis *a, pad_mode mode, int64_t i, int64_t *slope) {
    const int64_t first = pad_source(a, mode, i);
    int64_t end = i + 1;
    *slope = 1;
    if (end == a->out) return end;
    *slope = pad_source(a, mode, end) - first;
    if (*slope < -1 || *slope > 1) { /* wrapped around at once */
        *slope = 1;
        return end;
    }
    while (end < a->out && pad_source(a, mode, end) == first + (end - i) * *slope) end++;
    return end;
}

/* That stretch of c, brought to where it came from, on an axis of len. */
static omma_value *pad_piece(omma_maker *m, omma_value *c, const pad_axis *a, pad_mode mode, int d,
                             int64_t begin, int64_t end, int64_t slope) {
    const int64_t first = pad_source(a, mode, begin);
    omma_value *piece = omma_make_slice(m, c, d, begin, end, 1);
    if (slope == 0) piece = omma_make_sum(m, piece, 1u << d, true);
    return omma_move_spaced(m, piece, d, first, slope ? slope : 1, a->len);
}

static omma_value *pad_by_index(omma_maker *m, omma_value *c, const pad_axis *a, pad_mode mode,
                                int d) {
    omma_value like = *c;
    like.dims[d] = a->len;
    int64_t *source = omma_arena_array(m->b->arena, (size_t)a->out + 1, sizeof *source);
    if (!source || a->out > INT32_MAX) {
        m->status = omma_nomem(m->b, m->of);
        return NULL;
    }
    for (int64_t i = 0; i < a->out; i++) source[i] = pad_source(a, mode, i);
    return omma_move_scattered(m, c, omma_make_ints(m, source, (int)a->out), &like, d);
}

/* c along axis d, out long, back to the len elements that it repeats. */
static omma_value *pad_folded(omma_maker *m, omma_value *c, const pad_axis *a, pad_mode mode,
                              int d) {
    omma_value *sum = NULL;
    int64_t slope;
    int n = 0;
    if (!c || a->out == a->len) return c; /* nothing is repeated */
    for (int64_t i = 0; i < a->out; n++) i = pad_stretch(a, mode, i, &slope);
    if (n > STRETCHES_MAX) return pad_by_index(m, c, a, mode, d);
    for (int64_t i = 0, end; i < a->out; i = end) {
        end = pad_stretch(a, mode, i, &slope);
        omma_value *piece = pad_piece(m, c, a, mode, d, i, end, slope);
        sum = i ? omma_make_2(m, "Add", sum, piece) : piece;
    }
    return sum;
}

static omma_value *pad_grad_data(omma_maker *m, const omma_node *n, omma_value *c) {
    const pad_param *p = n->param;
    const omma_value *x = n->in[0];
    int64_t before[OMMA_MAX_RANK], after[OMMA_MAX_RANK];
    if (!omma_value_count(n->out[0])) return omma_make_full(m, x, 0);
    for (int d = 0; d < x->rank; d++) {
        const pad_axis *a = &p->axis[d];
        const bool plain = p->mode == PAD_CONSTANT;
        if (!plain) c = pad_folded(m, c, a, p->mode, d);
        before[d] = a->crop - (plain ? a->before : 0);
        after[d] = x->dims[d] - a->crop - a->len - (plain ? a->out - a->len - a->before : 0);
    }
    return omma_move_padded(m, c, before, after);
}

/* The constant gets the sum of all places it was put: in slabs, two an axis, so that nothing is
 * summed to be subtracted again. */
static omma_value *pad_grad_value(omma_maker *m, const omma_node *n, omma_value *c) {
    const pad_param *p = n->param;
    const unsigned all = (1u << n->in[0]->rank) - 1;
    omma_value *sum = omma_make_number(m, n->in[0], 0);
    for (int d = 0; d < n->in[0]->rank; d++) {
        const pad_axis *a = &p->axis[d];
        const int64_t behind = a->before + a->len;
        if (a->before) {
            omma_value *slab = omma_make_slice(m, c, d, 0, a->before, 1);
            sum = omma_make_2(m, "Add", sum, omma_make_sum(m, slab, all, false));
        }
        if (behind < a->out) {
            omma_value *slab = omma_make_slice(m, c, d, behind, a->out, 1);
            sum = omma_make_2(m, "Add", sum, omma_make_sum(m, slab, all, false));
        }
        if (a->len != a->out) c = omma_make_slice(m, c, d, a->before, behind, 1);
    }
    return omma_make_shaped(m, sum, n->in[2]);
}

static omma_status pad_grad(omma_grad *g, const omma_node *n) {
    const pad_param *p = n->param;
    omma_value *dy = omma_grad_out(g, n, 0);
    if (omma_grad_wants(g, n, 0)) OMMA_TRY(omma_grad_add(g, n, 0, pad_grad_data(&g->m, n, dy)));
    if (!omma_grad_wants(g, n, 2) || p->mode != PAD_CONSTANT) return OMMA_OK;
    return omma_grad_add(g, n, 2, pad_grad_value(&g->m, n, dy));
}

/* --- field ---------------------------------------------------------------------- */

/* By constants: index o - before + crop, which lies outside the input where the constant is. */
static omma_map pad_map(omma_field *f, const pad_axis *a, pad_mode mode, int d) {
    const omma_map moved = omma_map_moved(d, a->crop - a->before, 1);
    if (mode == PAD_CONSTANT || a->len == a->out) return moved;
    int64_t *source = omma_arena_array(f->b->arena, (size_t)a->out + 1, sizeof *source);
    if (!source) {
        f->status = omma_nomem(f->b, f->n);
        return moved;
    }
    for (int64_t o = 0; o < a->out; o++) source[o] = a->crop + pad_source(a, mode, o);
    omma_map map = omma_map_picked(f, d, source, a->out);
    if (map.item) map.slope = 1, map.low = map.high = (double)(a->crop - a->before);
    return map;
}

/* The outputs that are the constant. */
static const uint64_t *pad_outside(omma_field *f, const omma_value *y, const pad_param *p) {
    const int64_t all = omma_value_count(y);
    uint64_t *only = omma_field_bits(f, all);
    for (int64_t i = 0; only && i < all; i++) {
        int64_t left = i;
        bool inside = true;
        for (int d = y->rank - 1; d >= 0; d--) {
            const int64_t s = left % y->dims[d] - p->axis[d].before;
            inside &= s >= 0 && s < p->axis[d].len;
            left /= y->dims[d];
        }
        if (inside) omma_field_bits_clear(only, i, i + 1);
    }
    return only;
}

static omma_status pad_field(omma_field *f, const omma_node *n) {
    const pad_param *p = n->param;
    omma_relation *r = omma_field_relate(f, 0, 0);
    for (int d = 0; r && d < r->in_rank; d++) r->axis[d] = pad_map(f, &p->axis[d], p->mode, d);
    if (p->mode != PAD_CONSTANT) return f->status;
    r = omma_field_relate(f, 0, 2);
    if (r) r->out_only = pad_outside(f, n->out[0], p);
    return f->status;
}

const omma_op omma_op_Pad = {.name = "Pad",
                             .min_in = 1,
                             .max_in = 4,
                             .min_out = 1,
                             .max_out = 1,
                             .infer = pad_infer,
                             .run = pad_run,
                             .flops = omma_move_flops,
                             .grad = pad_grad,
                             .field = pad_field};
