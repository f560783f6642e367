/* slice.c - operators that take or leave parts of a box: Slice, Pad, Trilu.
 *
 * Slice is one strided move. Pad walks output rows: an output index maps, axis by axis, to an
 * input index or to the constant; the trailing axes without padding make up one unit. Trilu
 * copies a run of each row and zeroes the rest.
 * Source: the ONNX operator specification. Traps: a negative step ends before index 0, which
 * an end of -1 cannot say (INT64_MIN is what exporters write); negative pads crop, and they do
 * so before reflecting; reflection may run over more than one period. */
#include "base/pool.h"
#include "op/move.h"

enum { GRAIN = 1 << 15 }; /* bytes of one chunk */

static int64_t clamp(int64_t v, int64_t lo, int64_t hi) { return v < lo ? lo : v > hi ? hi : v; }

/* --- Slice --------------------------------------------------------------------- */

/* How many elements start, start+step, ... before end there are in a dim; start is brought
 * into it. step != 0, any values. */
static int64_t slice_count(int64_t dim, int64_t *start, int64_t end, int64_t *step) {
    if (!dim) return *start = 0;
    if (*start < 0) *start += dim;
    if (end < 0) end += dim;
    *step = clamp(*step, -dim, dim); /* a longer step takes one element too */
    if (*step > 0) {
        *start = clamp(*start, 0, dim);
        end = clamp(end, 0, dim);
        return end <= *start ? 0 : (end - *start - 1) / *step + 1;
    }
    *start = clamp(*start, 0, dim - 1);
    end = clamp(end, -1, dim - 1);
    return end >= *start ? 0 : (*start - end - 1) / -*step + 1;
}

static omma_status slice_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0];
    int64_t start[OMMA_MAX_RANK], end[OMMA_MAX_RANK], axes[OMMA_MAX_RANK], step[OMMA_MAX_RANK];
    int64_t dims[OMMA_MAX_RANK], strides[OMMA_MAX_RANK];
    int n_start, n_end, n_axes, n_step;
    unsigned seen = 0;
    OMMA_TRY(omma_ints_arg(b, n, 1, "starts", start, OMMA_MAX_RANK, &n_start));
    OMMA_TRY(omma_ints_arg(b, n, 2, "ends", end, OMMA_MAX_RANK, &n_end));
    OMMA_TRY(omma_ints_arg(b, n, 3, "axes", axes, OMMA_MAX_RANK, &n_axes));
    OMMA_TRY(omma_ints_in(b, n, 4, step, OMMA_MAX_RANK, &n_step));
    if (n_start < 0 || n_end < 0) return omma_bad(b, n, "starts or ends are missing");
    if (n_end != n_start || (n_axes >= 0 && n_axes != n_start) ||
        (n_step >= 0 && n_step != n_start))
        return omma_bad(b, n, "starts, ends, axes and steps differ in number");
    omma_move *m = omma_param(b, n, sizeof *m);
    if (!m) return omma_nomem(b, n);
    m->size = omma_dtype_size(x->dtype);
    m->rank = x->rank;
    omma_strides(x->dims, x->rank, strides);
    for (int d = 0; d < x->rank; d++) {
        dims[d] = x->dims[d];
        m->src[d] = strides[d];
    }
    const bool empty = !omma_value_count(x);
    for (int i = 0; i < n_start; i++) {
        int d;
        OMMA_TRY(omma_axis(b, n, n_axes < 0 ? i : axes[i], x->rank, &d));
        if (seen >> d & 1) return omma_bad(b, n, "axis %d is named twice", d);
        seen |= 1u << d;
        int64_t by = n_step < 0 ? 1 : step[i];
        if (!by) return omma_bad(b, n, "a step of 0 along axis %d", d);
        dims[d] = slice_count(x->dims[d], &start[i], end[i], &by);
        if (empty || !dims[d]) continue; /* nothing to move */
        m->src_at += start[i] * strides[d];
        m->src[d] = by * strides[d];
    }
    OMMA_TRY(omma_out(b, n, 0, x->dtype, x->rank, dims));
    if (!n->out[0]) return OMMA_OK; /* unwanted: its size was not checked */
    memcpy(m->dims, dims, sizeof dims);
    omma_strides(dims, x->rank, m->dst);
    omma_move_ready(m);
    return OMMA_OK;
}

static omma_status slice_run(const omma_exec *x, const omma_node *n) {
    if (n->out[0]) omma_move_run(x, n->param, n->in[0]->mem, n->out[0]->mem);
    return OMMA_OK;
}

/* --- Pad ----------------------------------------------------------------------- */

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

/* --- Trilu --------------------------------------------------------------------- */

typedef struct trilu_job {
    const char *src;
    char *dst;
    int64_t rows, cols, k;
    size_t size;
    bool upper;
} trilu_job;

static omma_status trilu_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0], *k = omma_in(n, 1);
    if (x->rank < 2)
        return omma_bad(b, n, "the input must have two dimensions or more, not %d", x->rank);
    if (k && (k->dtype != OMMA_I64 || omma_value_count(k) != 1))
        return omma_bad(b, n, "k must be one int64");
    return omma_out_like(b, n, 0, x);
}

static void trilu_rows(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const trilu_job *j = arg;
    const size_t size = j->size, row = (size_t)j->cols * size;
    for (int64_t r = begin; r < end; r++) {
        /* The upper part keeps columns >= row + k, the lower those <= row + k. */
        const int64_t edge = clamp(r % j->rows + j->k + !j->upper, 0, j->cols);
        const size_t cut = (size_t)edge * size;
        const char *src = j->src + (size_t)r * row;
        char *dst = j->dst + (size_t)r * row;
        if (j->upper) {
            memset(dst, 0, cut);
            memcpy(dst + cut, src + cut, row - cut);
        } else {
            memcpy(dst, src, cut);
            memset(dst + cut, 0, row - cut);
        }
    }
}

static omma_status trilu_run(const omma_exec *x, const omma_node *n) {
    const omma_value *v = n->in[0], *k = omma_in(n, 1);
    const int64_t count = omma_value_count(v);
    if (!count || !n->out[0]) return OMMA_OK;
    trilu_job j = {.src = v->mem,
                   .dst = n->out[0]->mem,
                   .rows = v->dims[v->rank - 2],
                   .cols = v->dims[v->rank - 1],
                   .size = omma_dtype_size(v->dtype)};
    j.upper = omma_node_int(n, "upper", 1) != 0;
    if (k) j.k = clamp(*(const int64_t *)k->mem, -j.rows - 1, j.cols + 1);
    const int64_t row = j.cols * (int64_t)j.size;
    omma_parallel(x->threads, count / j.cols, row < GRAIN ? GRAIN / row : 1, trilu_rows, &j);
    return OMMA_OK;
}

/* --- rows ---------------------------------------------------------------------- */

const omma_op omma_op_Slice = {.name = "Slice",
                               .min_in = 1,
                               .max_in = 5,
                               .min_out = 1,
                               .max_out = 1,
                               .infer = slice_infer,
                               .run = slice_run,
                               .flops = omma_move_flops,
                               .no_grad = OMMA_NOT_YET,
                               .no_field = OMMA_NOT_YET};

const omma_op omma_op_Pad = {.name = "Pad",
                             .min_in = 1,
                             .max_in = 4,
                             .min_out = 1,
                             .max_out = 1,
                             .infer = pad_infer,
                             .run = pad_run,
                             .flops = omma_move_flops,
                             .no_grad = OMMA_NOT_YET,
                             .no_field = OMMA_NOT_YET};

const omma_op omma_op_Trilu = {.name = "Trilu",
                               .min_in = 1,
                               .max_in = 2,
                               .min_out = 1,
                               .max_out = 1,
                               .infer = trilu_infer,
                               .run = trilu_run,
                               .flops = omma_move_flops,
                               .no_grad = OMMA_NOT_YET,
                               .no_field = OMMA_NOT_YET};
