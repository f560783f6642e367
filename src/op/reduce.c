/* reduce.c - the Reduce family: a tensor's numbers along some axes made into one.
 *
 * An operator is a rule of three steps: every number is mapped (its absolute value, its
 * square, its exponential), the mapped ones are combined (sum, product, maximum, minimum) and
 * the result is finished (mean, root, logarithm). Axes come as an attribute, or as an input
 * since opset 18 (ReduceSum: 13); without axes all are reduced, or none when
 * noop_with_empty_axes is set, which still maps and finishes. Nothing to reduce gives the
 * identity: 0, 1, -inf, +inf.
 *
 * The shape is collapsed to alternating kept and reduced dimensions. float32 runs on kernels,
 * one of two ways:
 *
 *     rows      the innermost dimension is reduced: blocks of it are summed by a kernel
 *     columns   it is kept: COLS outputs side by side, row after row added to them; long sums
 *               in parts of RUN rows, for threads
 *
 * and blocks or short runs of rows are added up in double, in an order that depends only on
 * the shape. Integers are summed exactly (wrapping around); other floats in double.
 * LogSumExp takes the maximum out first. NaN is handed on by all. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/pool.h"
#include "op/element.h"
#include "op/field.h"
#include "op/norm_grad.h"

enum { BLOCK = 1024, COLS = 256, RUN = 32, SHORT = 16 };

typedef enum { MAP_NONE, MAP_ABS, MAP_SQUARE, MAP_EXP } map_kind;
typedef enum { SUM, PROD, MAX, MIN } combine_kind;
typedef enum { FIN_NONE, FIN_MEAN, FIN_SQRT, FIN_LOG } finish_kind;

typedef struct rule {
    map_kind map; /* MAP_EXP: of the difference to the maximum, which FIN_LOG adds again */
    combine_kind combine;
    finish_kind finish;
} rule;

/* n->param. Dimensions and input strides, outermost first. */
typedef struct reduction {
    rule rule;
    int n_kept, n_red;
    int64_t kept[OMMA_MAX_RANK], kept_stride[OMMA_MAX_RANK];
    int64_t red[OMMA_MAX_RANK], red_stride[OMMA_MAX_RANK];
    int64_t outs, reds; /* outputs, numbers in each */
    bool rows;
    unsigned mask; /* the axes that are reduced, a bit each */
} reduction;

/* --- infer -------------------------------------------------------------------- */

/* Which axes to reduce, a bit each. */
static omma_status axes_of(omma_build *b, const omma_node *n, int input_since, unsigned *mask) {
    const int rank = n->in[0]->rank;
    int64_t axes[OMMA_MAX_RANK];
    int count;
    if (n->opset >= input_since)
        OMMA_TRY(omma_ints_arg(b, n, 1, "axes", axes, OMMA_MAX_RANK, &count));
    else if (omma_in(n, 1)) return omma_bad(b, n, "opset %d gives axes as an attribute", n->opset);
    else OMMA_TRY(omma_ints_attr(b, n, "axes", axes, OMMA_MAX_RANK, &count));
    if (count <= 0 && !(n->opset >= input_since && omma_node_int(n, "noop_with_empty_axes", 0)))
        *mask = (1u << rank) - 1;
    for (int i = 0; i < count; i++) {
        int axis;
        OMMA_TRY(omma_axis(b, n, axes[i], rank, &axis));
        *mask |= 1u << axis;
    }
    return OMMA_OK;
}

static void turn(int n, int64_t *v) {
    for (int a = 0, z = n - 1; a < z; a++, z--) {
        const int64_t t = v[a];
        v[a] = v[z], v[z] = t;
    }
}

/* Collapse x's dims: neighbours of one kind become one dimension. */
static void collapse(reduction *r, const omma_value *x, unsigned mask) {
    int64_t stride[OMMA_MAX_RANK];
    int before = -1; /* kind of the dimension inside, 1 = reduced */
    omma_strides(x->dims, x->rank, stride);
    for (int d = x->rank - 1; d >= 0; d--) {
        const int kind = (int)(mask >> d & 1);
        if (x->dims[d] == 1) continue;
        if (before < 0) r->rows = kind;
        int *n = kind ? &r->n_red : &r->n_kept;
        int64_t *dims = kind ? r->red : r->kept, *strides = kind ? r->red_stride : r->kept_stride;
        if (kind == before) {
            dims[*n - 1] *= x->dims[d];
        } else {
            dims[*n] = x->dims[d];
            strides[(*n)++] = stride[d];
        }
        before = kind;
    }
    turn(r->n_kept, r->kept), turn(r->n_kept, r->kept_stride);
    turn(r->n_red, r->red), turn(r->n_red, r->red_stride);
}

static omma_status infer(omma_build *b, omma_node *n, rule how, int input_since, unsigned types) {
    unsigned mask = 0;
    OMMA_TRY(omma_want(b, n, 0, types));
    OMMA_TRY(axes_of(b, n, input_since, &mask));
    const omma_value *x = n->in[0];
    const bool keep = omma_node_int(n, "keepdims", 1);
    reduction *r = omma_param(b, n, sizeof *r);
    if (!r) return omma_nomem(b, n);
    *r = (reduction){.rule = how, .outs = 1, .reds = 1, .mask = mask};
    int rank = 0;
    int64_t dims[OMMA_MAX_RANK];
    for (int d = 0; d < x->rank; d++) {
        const bool gone = mask >> d & 1;
        if (!omma_dims_count((int64_t[]){gone ? r->reds : r->outs, x->dims[d]}, 2,
                             gone ? &r->reds : &r->outs))
            return omma_bad(b, n, "the size of the output overflows");
        if (!gone || keep) dims[rank++] = gone ? 1 : x->dims[d];
    }
    if (r->outs && r->reds) collapse(r, x, mask);
    return omma_out(b, n, 0, x->dtype, rank, dims);
}

/* --- walking ------------------------------------------------------------------ */

/* Offset of item i of a row-major walk over n dims. */
static int64_t locate(int n, const int64_t *dims, const int64_t *stride, int64_t i) {
    int64_t off = 0;
    for (int d = n - 1; d >= 0; d--) {
        off += i % dims[d] * stride[d];
        i /= dims[d];
    }
    return off;
}

/* The next offset of such a walk; index starts as zeros. */
static int64_t next(int n, const int64_t *dims, const int64_t *stride, int64_t *index,
                    int64_t off) {
    for (int d = n - 1; d >= 0; d--) {
        off += stride[d];
        if (++index[d] < dims[d]) break;
        off -= stride[d] * dims[d];
        index[d] = 0;
    }
    return off;
}

typedef struct job {
    const omma_kernels *kern;
    const reduction *r;
    omma_dtype type;
    const void *x;
    void *y;
    float *parts; /* room for their sums */
} job;

/* --- numbers ------------------------------------------------------------------ */

static double identity(combine_kind c) {
    return c == PROD ? 1 : c == MAX ? -INFINITY : c == MIN ? INFINITY : 0;
}

static inline double combine(combine_kind c, double acc, double v) {
    switch (c) {
    case SUM: return acc + v;
    case PROD: return acc * v;
    case MAX: return v > acc || v != v ? v : acc;
    default: return v < acc || v != v ? v : acc;
    }
}

static double finish(const reduction *r, double v, double shift) {
    switch (r->rule.finish) {
    case FIN_MEAN: return v / (double)r->reds;
    case FIN_SQRT: return sqrt(v);
    case FIN_LOG: return log(v) + shift;
    default: return v;
    }
}

/* What LogSumExp subtracts: the maximum, unless that is infinite or NaN. */
static double shift_of(double max) { return isfinite(max) ? max : 0; }

/* --- float32 ------------------------------------------------------------------ */

/* Map n <= BLOCK numbers, into t if that changes them; shift has stride s. */
static const float *mapped(const omma_kernels *k, map_kind map, int64_t n, const float *x,
                           const float *shift, int s, float *t) {
    switch (map) {
    case MAP_ABS: k->unary[OMMA_UN_ABS](n, x, t); return t;
    case MAP_SQUARE: k->binary[OMMA_BIN_MUL](n, x, 1, x, 1, t); return t;
    case MAP_EXP:
        k->binary[OMMA_BIN_SUB](n, x, 1, shift, s, t);
        k->unary[OMMA_UN_EXP](n, t, t);
        return t;
    default: return x;
    }
}

/* Add a contiguous run to acc. */
static double run_f32(const omma_kernels *k, const rule *how, int64_t n, const float *x,
                      float shift, double acc) {
    float t[BLOCK];
    for (int64_t at = 0; at < n; at += BLOCK) {
        const int64_t m = n - at < BLOCK ? n - at : BLOCK;
        const float *p = mapped(k, how->map, m, x + at, &shift, 0, t);
        switch (how->combine) {
        case SUM: acc += (double)k->sum(m, p); break;
        case MAX: acc = combine(MAX, acc, (double)k->max(m, p)); break;
        case MIN:
            k->unary[OMMA_UN_NEG](m, p, t);
            acc = combine(MIN, acc, -(double)k->max(m, t));
            break;
        case PROD:
            for (int64_t i = 0; i < m; i++) acc *= (double)p[i];
            break;
        }
    }
    return acc;
}

static double row_f32(const job *j, const rule *how, const float *x, double shift) {
    const reduction *r = j->r;
    const int outer = r->n_red - 1;
    const int64_t n = r->red[outer];
    int64_t index[OMMA_MAX_RANK] = {0}, off = 0;
    double acc = identity(how->combine);
    for (int64_t i = 0; i < r->reds; i += n) {
        acc = run_f32(j->kern, how, n, x + off, (float)shift, acc);
        off = next(outer, r->red, r->red_stride, index, off);
    }
    return acc;
}

static const omma_binary kernel_of[] = {
    [SUM] = OMMA_BIN_ADD, [PROD] = OMMA_BIN_MUL, [MAX] = OMMA_BIN_MAX, [MIN] = OMMA_BIN_MIN};

static const rule maximum = {MAP_NONE, MAX, FIN_NONE};

/* Outputs that each reduce a few neighbours, one output after the other: a block of them is
 * transposed, and what was side by side is joined row by row. */
static bool short_runs(const reduction *r) {
    return r->n_red == 1 && r->n_kept == 1 && r->reds <= SHORT && r->kept_stride[0] == r->reds &&
           r->rule.map == MAP_NONE && r->rule.combine != PROD;
}

static void short_f32(const job *j, int64_t begin, int64_t end) {
    const reduction *r = j->r;
    float t[SHORT * COLS];
    for (int64_t o = begin; o < end; o += COLS) {
        const int64_t n = end - o < COLS ? end - o : COLS;
        j->kern->transpose(n, r->reds, (const float *)j->x + o * r->reds, r->reds, t, COLS);
        for (int64_t k = 1; k < r->reds; k++)
            j->kern->binary[kernel_of[r->rule.combine]](n, t, 1, t + k * COLS, 1, t);
        for (int64_t i = 0; i < n; i++) ((float *)j->y)[o + i] = (float)finish(r, (double)t[i], 0);
    }
}

static void rows_f32(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const reduction *r = j->r;
    if (short_runs(r)) {
        short_f32(j, begin, end);
        return;
    }
    for (int64_t o = begin; o < end; o++) {
        const float *x = (const float *)j->x + locate(r->n_kept, r->kept, r->kept_stride, o);
        const double shift = r->rule.map == MAP_EXP ? shift_of(row_f32(j, &maximum, x, 0)) : 0;
        ((float *)j->y)[o] = (float)finish(r, row_f32(j, &r->rule, x, shift), shift);
    }
}

/* n <= COLS outputs side by side, into acc. All but products, which might leave float's
 * range, go through a float for RUN rows. */
static void columns(const job *j, const rule *how, int64_t n, const float *x, const float *shift,
                    double *acc) {
    const reduction *r = j->r;
    const int64_t run = how->combine == PROD ? 1 : RUN;
    float t[COLS], part[COLS];
    int64_t index[OMMA_MAX_RANK] = {0}, off = 0;
    for (int64_t i = 0; i < n; i++) acc[i] = identity(how->combine);
    if (how->map == MAP_NONE && how->combine == SUM && r->n_red == 1) {
        for (int64_t k = 0; k < r->reds; k += RUN) {
            const int64_t rows = r->reds - k < RUN ? r->reds - k : RUN;
            j->kern->sum_rows(rows, n, x + k * r->red_stride[0], r->red_stride[0], part);
            for (int64_t i = 0; i < n; i++) acc[i] += (double)part[i];
        }
        return;
    }
    for (int64_t k = 0; k < r->reds; k++) {
        const float *p = mapped(j->kern, how->map, n, x + off, shift, 1, t);
        off = next(r->n_red, r->red, r->red_stride, index, off);
        if (k % run == 0) memcpy(part, p, (size_t)n * sizeof *part);
        else j->kern->binary[kernel_of[how->combine]](n, part, 1, p, 1, part);
        if (k % run == run - 1 || k == r->reds - 1)
            for (int64_t i = 0; i < n; i++) acc[i] = combine(how->combine, acc[i], (double)part[i]);
    }
}

static void columns_f32(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const reduction *r = j->r;
    const int outer = r->n_kept - 1;
    const int64_t inner = outer < 0 ? 1 : r->kept[outer], blocks = (inner + COLS - 1) / COLS;
    double acc[COLS];
    float shift[COLS] = {0};
    for (int64_t item = begin; item < end; item++) {
        const int64_t row = item / blocks, col = item % blocks * COLS,
                      n = inner - col < COLS ? inner - col : COLS;
        const float *x = (const float *)j->x +
                         (outer < 0 ? 0 : locate(outer, r->kept, r->kept_stride, row)) + col;
        float *y = (float *)j->y + row * inner + col;
        if (r->rule.map == MAP_EXP) {
            columns(j, &maximum, n, x, shift, acc);
            for (int64_t i = 0; i < n; i++) shift[i] = (float)shift_of(acc[i]);
        }
        columns(j, &r->rule, n, x, shift, acc);
        for (int64_t i = 0; i < n; i++) y[i] = (float)finish(r, acc[i], (double)shift[i]);
    }
}

/* Sums over one dimension in parts of RUN rows, which threads share out, so that each finds those
 * it wrote before in its own cache: the parts' sums lie in working memory, [outer][part][inner],
 * and are added as columns adds them. */
static bool has_parts(const reduction *r) {
    return !r->rows && r->n_kept && r->n_red == 1 && r->reds > RUN && r->rule.map == MAP_NONE &&
           r->rule.combine == SUM && r->outs * r->reds >= 2 * OMMA_GRAIN;
}

static int64_t parts_of(const reduction *r) { return (r->reds + RUN - 1) / RUN; }

static omma_status prepare(omma_build *b, omma_node *n) {
    const reduction *r = n->param;
    const int64_t dims[] = {r->outs, parts_of(r)};
    if (n->in[0]->dtype != OMMA_F32 || !has_parts(r) || omma_workers(b) < 2) return OMMA_OK;
    if (!omma_dims_bytes(dims, 2, sizeof(float), &n->scratch))
        return omma_bad(b, n, "its working memory overflows");
    return OMMA_OK;
}

/* Items are parts. */
static void sum_parts(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const reduction *r = j->r;
    const int outer = r->n_kept - 1;
    const int64_t inner = r->kept[outer], parts = parts_of(r), step = r->red_stride[0];
    for (int64_t i = begin; i < end; i++) {
        const int64_t row = i % parts * RUN, rows = r->reds - row < RUN ? r->reds - row : RUN;
        const float *x = (const float *)j->x + locate(outer, r->kept, r->kept_stride, i / parts);
        j->kern->sum_rows(rows, inner, x + row * step, step, j->parts + i * inner);
    }
}

static void add_parts(const job *j) {
    const reduction *r = j->r;
    const int64_t inner = r->kept[r->n_kept - 1], parts = parts_of(r);
    double acc[COLS];
    for (int64_t o = 0, n; o < r->outs; o += n) {
        const float *part = j->parts + o / inner * parts * inner + o % inner;
        n = inner - o % inner < COLS ? inner - o % inner : COLS;
        for (int64_t i = 0; i < n; i++) acc[i] = 0;
        for (int64_t k = 0; k < parts; k++, part += inner)
            for (int64_t i = 0; i < n; i++) acc[i] += (double)part[i];
        for (int64_t i = 0; i < n; i++) ((float *)j->y)[o + i] = (float)finish(r, acc[i], 0);
    }
}

/* --- other types -------------------------------------------------------------- */

static double number(const job *j, const rule *how, int64_t off, double shift) {
    const reduction *r = j->r;
    int64_t index[OMMA_MAX_RANK] = {0};
    double acc = identity(how->combine);
    for (int64_t k = 0; k < r->reds; k++) {
        const double x = omma_get_number(j->type, j->x, off);
        const double v = how->map == MAP_ABS      ? fabs(x)
                         : how->map == MAP_SQUARE ? x * x
                         : how->map == MAP_EXP    ? exp(x - shift)
                                                  : x;
        acc = combine(how->combine, acc, v);
        off = next(r->n_red, r->red, r->red_stride, index, off);
    }
    return acc;
}

static void any_numbers(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const reduction *r = j->r;
    for (int64_t o = begin; o < end; o++) {
        const int64_t off = locate(r->n_kept, r->kept, r->kept_stride, o);
        const double shift = r->rule.map == MAP_EXP ? shift_of(number(j, &maximum, off, 0)) : 0;
        omma_set_number(j->type, j->y, o, finish(r, number(j, &r->rule, off, shift), shift));
    }
}

static void any_integers(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const reduction *r = j->r;
    const rule *how = &r->rule;
    int64_t lo, hi;
    omma_int_limits(j->type, &lo, &hi);
    for (int64_t o = begin; o < end; o++) {
        int64_t off = locate(r->n_kept, r->kept, r->kept_stride, o), index[OMMA_MAX_RANK] = {0};
        uint64_t acc = how->combine == PROD ? 1
                                            : (uint64_t)(how->combine == MAX   ? lo
                                                         : how->combine == MIN ? hi
                                                                               : 0);
        for (int64_t k = 0; k < r->reds; k++) {
            uint64_t v = (uint64_t)omma_get_int(j->type, j->x, off);
            off = next(r->n_red, r->red, r->red_stride, index, off);
            if (how->map == MAP_ABS && omma_int_less(j->type, (int64_t)v, 0)) v = 0 - v;
            if (how->map == MAP_SQUARE) v *= v;
            if (how->combine == SUM) acc += v;
            else if (how->combine == PROD) acc *= v;
            else if (omma_int_less(j->type, (int64_t)(how->combine == MAX ? acc : v),
                                   (int64_t)(how->combine == MAX ? v : acc)))
                acc = v;
        }
        if (how->finish == FIN_MEAN && r->reds)
            acc =
                j->type == OMMA_U64 ? acc / (uint64_t)r->reds : (uint64_t)((int64_t)acc / r->reds);
        omma_set_int(j->type, j->y, o, (int64_t)acc);
    }
}

/* --- run ---------------------------------------------------------------------- */

static omma_status run(const omma_exec *x, const omma_node *n) {
    if (!omma_wanted(n, 0)) return OMMA_OK;
    const reduction *r = n->param;
    job j = {x->kern, r, n->in[0]->dtype, n->in[0]->mem, n->out[0]->mem, n->work};
    const bool whole = omma_type_in(j.type, OMMA_IN_INT | OMMA_IN_BOOL) && r->rule.map != MAP_EXP &&
                       r->rule.finish <= FIN_MEAN;
    if (n->scratch && x->threads > 1) {
        const int64_t each = RUN * r->kept[r->n_kept - 1];
        omma_parallel(x->threads, r->outs / r->kept[r->n_kept - 1] * parts_of(r),
                      each < OMMA_GRAIN ? OMMA_GRAIN / each : 1, sum_parts, &j);
        add_parts(&j);
        return OMMA_OK;
    }
    int64_t items = r->outs, work = r->reds;
    omma_chunk fn = whole ? any_integers : any_numbers;
    if (j.type == OMMA_F32 && r->reds) {
        fn = r->rows ? rows_f32 : columns_f32;
        if (!r->rows && r->n_kept) {
            const int64_t inner = r->kept[r->n_kept - 1], width = inner < COLS ? inner : COLS;
            items = r->outs ? r->outs / inner * ((inner + COLS - 1) / COLS) : 0;
            work = r->reds > OMMA_GRAIN ? r->reds : r->reds * width;
        }
    }
    omma_parallel(x->threads, items, work >= OMMA_GRAIN ? 1 : OMMA_GRAIN / (work + 1), fn, &j);
    return OMMA_OK;
}

/* --- gradients ------------------------------------------------------------------ */

/* v, shaped like the output, with size 1 for the axes that are reduced. */
static omma_value *kept(omma_maker *m, const omma_node *n, omma_value *v) {
    int64_t dims[OMMA_MAX_RANK];
    const omma_value *x = n->in[0];
    const unsigned mask = ((const reduction *)n->param)->mask;
    for (int d = 0; d < x->rank; d++) dims[d] = mask >> d & 1 ? 1 : x->dims[d];
    return omma_make_reshape(m, omma_norm_cast(m, v, x), x->rank, dims);
}

/* a, or 0 where v is `at`. */
static omma_value *zero_where(omma_maker *m, omma_value *v, double at, omma_value *a) {
    omma_value *is = omma_make_2(m, "Equal", v, omma_make_number(m, v, at));
    return omma_make_3(m, "Where", is, omma_make_number(m, v, 0), a);
}

/* Equal ones share. */
static omma_value *chosen(omma_maker *m, omma_value *x, omma_value *y, omma_value *dy,
                          unsigned mask) {
    omma_value *is = x && y ? omma_make_cast(m, omma_make_2(m, "Equal", x, y), x->dtype) : NULL;
    return omma_make_2(m, "Mul", is, omma_make_2(m, "Div", dy, omma_make_sum(m, is, mask, true)));
}

/* x: [kept, reduced] to the product of the others in its row: of all before, times all behind. */
static omma_value *others(omma_maker *m, omma_value *x) {
    omma_value *in[] = {x, omma_make_ints(m, (int64_t[]){1}, 1)};
    omma_attr how[] = {OMMA_A_INT("exclusive", 1), OMMA_A_INT("reverse", 0)};
    omma_value *before = omma_make(m, "CumProd", in, 2, how, 2);
    how[1].i = 1;
    return omma_make_2(m, "Mul", before, omma_make(m, "CumProd", in, 2, how, 2));
}

/* The product of all others with which each number is multiplied; no division, for zeros. */
static omma_value *product(omma_maker *m, omma_value *x, const reduction *r) {
    int64_t perm[OMMA_MAX_RANK], back[OMMA_MAX_RANK], moved[OMMA_MAX_RANK];
    int at = 0;
    if (!x) return NULL;
    for (int last = 0; last < 2; last++)
        for (int d = 0; d < x->rank; d++)
            if ((int)(r->mask >> d & 1) == last) perm[at++] = d;
    for (int d = 0; d < x->rank; d++) back[perm[d]] = d, moved[d] = x->dims[perm[d]];
    omma_value *rows = omma_make_transpose(m, x, perm);
    rows = others(m, omma_make_reshape(m, rows, 2, (int64_t[]){r->outs, r->reds}));
    return omma_make_transpose(m, omma_make_reshape(m, rows, x->rank, moved), back);
}

/* What dy, with size 1 for the axes that are reduced, is multiplied with. */
static omma_value *slope(omma_maker *m, const omma_node *n, const rule *how, omma_value *x,
                         omma_value *y) {
    switch (how->map) {
    case MAP_ABS: return omma_make_1(m, "Sign", x);
    case MAP_SQUARE: return how->finish == FIN_SQRT ? x : omma_make_scaled(m, x, 2);
    case MAP_EXP: /* y is -inf where all x are */
        return omma_make_1(m, "Exp", omma_make_2(m, "Sub", x, zero_where(m, y, -INFINITY, y)));
    default: return product(m, x, n->param);
    }
}

static omma_status grad(omma_grad *g, const omma_node *n) {
    const reduction *r = n->param;
    const rule *how = &r->rule;
    omma_maker *m = &g->m;
    omma_value *x = omma_norm_cast(m, n->in[0], n->in[0]), *y = kept(m, n, n->out[0]),
               *dy = kept(m, n, omma_grad_out(g, n, 0));
    if (how->combine == MAX || how->combine == MIN)
        return omma_grad_add(g, n, 0, chosen(m, x, y, dy, r->mask));
    if (how->finish == FIN_MEAN) dy = omma_make_scaled(m, dy, r->reds ? 1 / (double)r->reds : 0);
    if (how->finish == FIN_SQRT) dy = zero_where(m, y, 0, omma_make_2(m, "Div", dy, y));
    if (how->finish == FIN_LOG && how->map == MAP_NONE) /* y = log of the sum */
        dy = omma_make_2(m, "Mul", dy, omma_make_1(m, "Exp", omma_make_1(m, "Neg", y)));
    if (how->map == MAP_NONE && how->combine == SUM)
        return omma_grad_add(g, n, 0, omma_make_spread(m, dy, x));
    return omma_grad_add(g, n, 0, omma_make_2(m, "Mul", slope(m, n, how, x, y), dy));
}

static omma_status field(omma_field *f, const omma_node *n) {
    const unsigned mask = ((const reduction *)n->param)->mask;
    omma_relation *r = omma_field_relate(f, 0, 0);
    if (!r) return f->status;
    const bool keep = r->out_rank == r->in_rank;
    for (int d = 0, from = 0; d < r->in_rank; d++) {
        const bool gone = mask >> d & 1;
        if (!gone) omma_relation_same(r, d, from);
        from += keep || !gone;
    }
    return f->status;
}

static double flops(const omma_node *n) { return (double)omma_value_count(n->in[0]); }

/* name, rule, opset that made axes an input, further types */
#define REDUCE_LIST(X)                                      \
    X(ReduceL1, MAP_ABS, SUM, FIN_NONE, 18, 0)              \
    X(ReduceL2, MAP_SQUARE, SUM, FIN_SQRT, 18, 0)           \
    X(ReduceLogSum, MAP_NONE, SUM, FIN_LOG, 18, 0)          \
    X(ReduceLogSumExp, MAP_EXP, SUM, FIN_LOG, 18, 0)        \
    X(ReduceMax, MAP_NONE, MAX, FIN_NONE, 18, OMMA_IN_BOOL) \
    X(ReduceMean, MAP_NONE, SUM, FIN_MEAN, 18, 0)           \
    X(ReduceMin, MAP_NONE, MIN, FIN_NONE, 18, OMMA_IN_BOOL) \
    X(ReduceProd, MAP_NONE, PROD, FIN_NONE, 18, 0)          \
    X(ReduceSum, MAP_NONE, SUM, FIN_NONE, 13, 0)            \
    X(ReduceSumSquare, MAP_SQUARE, SUM, FIN_NONE, 18, 0)
#define X(Name, map_, combine_, finish_, since, types_)                                        \
    static omma_status Name##_infer(omma_build *b, omma_node *n) {                             \
        return infer(b, n, (rule){map_, combine_, finish_}, since, OMMA_IN_NUMBER | (types_)); \
    }                                                                                          \
    const omma_op omma_op_##Name = {.name = #Name,                                             \
                                    .min_in = 1,                                               \
                                    .max_in = 2,                                               \
                                    .min_out = 1,                                              \
                                    .max_out = 1,                                              \
                                    .infer = Name##_infer,                                     \
                                    .prepare = prepare,                                        \
                                    .run = run,                                                \
                                    .flops = flops,                                            \
                                    .grad = grad,                                              \
                                    .field = field};
REDUCE_LIST(X)
#undef X
