/* scale_norm.c - normalisations that only divide, taking no mean out: RMSNormalization,
 * LpNormalization and LRN.
 *
 *     RMS   y = x / sqrt(mean(x^2) + epsilon) * scale    mean over the axes from `axis` on
 *     Lp    y = x / norm_p(x)                            along one axis, p 1 or 2
 *     LRN   y = x / (bias + alpha/size * sum(x^2))^beta  sum over `size` neighbouring channels
 *
 * x: any shape; LRN: [N, C, D1, D2, ...]. float32 runs on kernels, other floats in double.
 * Sources: ONNX RMSNormalization 23; LpNormalization 1, 22; LRN 1, 13. Traps: where the Lp norm
 * is 0 the result is 0; LRN's window lies (size-1)/2 channels before and size/2 behind, and
 * alpha is divided by the size even where the window hangs over an end. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/pool.h"
#include "op/element.h"
#include "op/field.h"
#include "op/norm_grad.h"

enum { COLS = 256, BLOCK = 1024, BAND = 1024 };

typedef struct job {
    const omma_kernels *kern;
    const omma_node *n;
} job;

static double at(const omma_value *v, int64_t i) { return omma_get_number(v->dtype, v->mem, i); }
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static double norm_flops(const omma_node *n) { return 4 * (double)omma_value_count(n->in[0]); }

/* Sum of the squares of n contiguous numbers from number i of v. */
static double squares(const omma_kernels *k, const omma_value *v, int64_t i, int64_t n) {
    double sum = 0;
    if (v->dtype == OMMA_F32)
        for (int64_t j = 0; j < n; j += BLOCK)
            sum += (double)k->sum_sq(least(n - j, BLOCK), (const float *)v->mem + i + j, 0);
    else
        for (int64_t j = i; j < i + n; j++) sum += at(v, j) * at(v, j);
    return sum;
}

/* --- RMSNormalization ------------------------------------------------------------------------- */

typedef struct rms {
    int64_t rows, len;
    double eps;
    bool plain;                    /* float32, and scale holds one number for each of a row */
    int64_t stride[OMMA_MAX_RANK]; /* of scale in x's dims, 0 where broadcast */
} rms;

/* Scale as seen from x; r->plain is cleared unless it is laid out as a row. */
static omma_status want_scale(omma_build *b, const omma_node *n, rms *r) {
    const omma_value *x = n->in[0], *v = n->in[1];
    const int shift = x->rank - v->rank;
    int64_t own[OMMA_MAX_RANK], inner = 1;
    if (shift < 0)
        return omma_bad(b, n, "the scale '%s' does not broadcast to '%s'", v->name, x->name);
    omma_strides(v->dims, v->rank, own);
    for (int d = x->rank - 1; d >= 0; d--) {
        const int64_t dim = d < shift ? 1 : v->dims[d - shift];
        if (dim != 1 && dim != x->dims[d])
            return omma_bad(b, n, "the scale '%s' does not broadcast to '%s' along axis %d",
                            v->name, x->name, d);
        r->stride[d] = dim == 1 ? 0 : own[d - shift];
        if (inner < r->len ? dim != x->dims[d] : dim != 1) r->plain = false;
        inner *= x->dims[d];
    }
    return OMMA_OK;
}

static omma_status RMSNormalization_infer(omma_build *b, omma_node *n) {
    int axis = 0;
    OMMA_TRY(omma_want(b, n, 0, OMMA_IN_FLOAT));
    OMMA_TRY(omma_want(b, n, 1, OMMA_IN_FLOAT));
    const omma_value *x = n->in[0], *scale = n->in[1];
    const int64_t stash = omma_node_int(n, "stash_type", OMMA_F32);
    if (stash <= 0 || stash >= 32 || !omma_type_in((omma_dtype)stash, OMMA_IN_FLOAT))
        return omma_unsupported(b, n, "stash_type %lld", (long long)stash);
    OMMA_TRY(omma_axis(b, n, omma_node_int(n, "axis", -1), x->rank, &axis));
    rms *r = omma_param(b, n, sizeof *r);
    if (!r) return omma_nomem(b, n);
    *r = (rms){.rows = 1,
               .len = 1,
               .eps = (double)omma_node_float(n, "epsilon", 1e-5f),
               .plain = x->dtype == OMMA_F32 && scale->dtype == OMMA_F32};
    for (int d = 0; d < x->rank; d++) *(d < axis ? &r->rows : &r->len) *= x->dims[d];
    OMMA_TRY(want_scale(b, n, r));
    return omma_out(b, n, 0, scale->dtype, x->rank, x->dims);
}

/* len numbers from number i, any shape of scale. */
static void scale_row(const omma_node *n, const rms *r, int64_t i, double inv) {
    const omma_value *x = n->in[0], *scale = n->in[1];
    for (int64_t k = i; k < i + r->len; k++) {
        int64_t rest = k, p = 0;
        for (int d = x->rank - 1; d >= 0; d--) {
            p += rest % x->dims[d] * r->stride[d];
            rest /= x->dims[d];
        }
        omma_set_number(scale->dtype, n->out[0]->mem, k, at(x, k) * inv * at(scale, p));
    }
}

static void rms_rows(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const rms *r = j->n->param;
    const omma_value *x = j->n->in[0], *scale = j->n->in[1];
    for (int64_t i = begin; i < end; i++) {
        const double inv =
            1 / sqrt(squares(j->kern, x, i * r->len, r->len) / (double)r->len + r->eps);
        if (!r->plain) {
            scale_row(j->n, r, i * r->len, inv);
            continue;
        }
        const float by = (float)inv;
        float *y = (float *)j->n->out[0]->mem + i * r->len;
        j->kern->binary[OMMA_BIN_MUL](r->len, (const float *)x->mem + i * r->len, 1, &by, 0, y);
        j->kern->binary[OMMA_BIN_MUL](r->len, y, 1, scale->mem, 1, y);
    }
}

static omma_status RMSNormalization_run(const omma_exec *x, const omma_node *n) {
    const rms *r = n->param;
    job j = {x->kern, n};
    if (omma_wanted(n, 0) && r->len)
        omma_parallel(x->threads, r->rows, 1 + OMMA_GRAIN / r->len, rms_rows, &j);
    return OMMA_OK;
}

static int rms_axis(const omma_node *n) {
    const int64_t axis = omma_node_int(n, "axis", -1);
    return (int)(axis < 0 ? axis + n->in[0]->rank : axis);
}

/* With hat = x inv and d of hat: dx = inv (d - hat mean(d hat)). */
static omma_status RMSNormalization_grad(omma_grad *g, const omma_node *n) {
    const rms *r = n->param;
    omma_maker *m = &g->m;
    omma_value *x = omma_norm_cast(m, n->in[0], n->in[0]),
               *dy = omma_norm_cast(m, omma_grad_out(g, n, 0), n->in[0]);
    const unsigned axes = ((1u << n->in[0]->rank) - 1) & ~((1u << rms_axis(n)) - 1);
    omma_value *inv = omma_norm_inverse(m, omma_norm_mean_square(m, x, axes), r->eps);
    omma_value *hat = omma_make_2(m, "Mul", x, inv);
    if (omma_grad_wants(g, n, 1)) {
        omma_value *part = omma_make_2(m, "Mul", dy, hat);
        OMMA_TRY(omma_grad_add(g, n, 1, omma_make_fitted(m, part, n->in[1])));
    }
    if (!omma_grad_wants(g, n, 0)) return m->status;
    omma_value *d = omma_make_2(m, "Mul", dy, omma_norm_cast(m, n->in[1], n->in[0]));
    omma_value *along = omma_norm_mean(m, omma_make_2(m, "Mul", d, hat), axes);
    omma_value *rest = omma_make_2(m, "Sub", d, omma_make_2(m, "Mul", hat, along));
    return omma_grad_add(g, n, 0, omma_make_2(m, "Mul", rest, inv));
}

static omma_status RMSNormalization_field(omma_field *f, const omma_node *n) {
    (void)omma_field_broadcast(f, 0, 0, OMMA_PATH_VALUE);
    (void)omma_field_broadcast(f, 0, 1, OMMA_PATH_VALUE);
    omma_relation *r = omma_field_relate(f, 0, 0);
    if (!r) return f->status;
    r->path = OMMA_PATH_STATISTIC;
    for (int d = 0; d < rms_axis(n); d++) omma_relation_same(r, d, d);
    return f->status;
}

/* --- LpNormalization ---------------------------------------------------------------------------
 */

typedef struct lp {
    int64_t outer, len, inner, p;
} lp;

static omma_status LpNormalization_infer(omma_build *b, omma_node *n) {
    int axis = 0;
    OMMA_TRY(omma_want(b, n, 0, OMMA_IN_FLOAT));
    const omma_value *x = n->in[0];
    OMMA_TRY(omma_axis(b, n, omma_node_int(n, "axis", -1), x->rank, &axis));
    lp *l = omma_param(b, n, sizeof *l);
    if (!l) return omma_nomem(b, n);
    *l = (lp){1, x->dims[axis], 1, omma_node_int(n, "p", 2)};
    if (l->p != 1 && l->p != 2)
        return omma_bad(b, n, "p is %lld, neither 1 nor 2", (long long)l->p);
    for (int d = 0; d < x->rank; d++)
        if (d != axis) *(d < axis ? &l->outer : &l->inner) *= x->dims[d];
    return omma_out_like(b, n, 0, x);
}

/* 1 / norm, or 0 where that is 0. */
static double reciprocal(const lp *l, double sum) {
    return sum == 0 ? 0 : 1 / (l->p == 2 ? sqrt(sum) : sum);
}

/* A contiguous row of float32. */
static void lp_row(const job *j, const lp *l, int64_t row) {
    const float *x = (const float *)j->n->in[0]->mem + row * l->len;
    float *y = (float *)j->n->out[0]->mem + row * l->len, t[BLOCK];
    double sum = 0;
    if (l->p == 2) sum = squares(j->kern, j->n->in[0], row * l->len, l->len);
    for (int64_t k = 0; l->p == 1 && k < l->len; k += BLOCK) {
        const int64_t m = least(l->len - k, BLOCK);
        j->kern->unary[OMMA_UN_ABS](m, x + k, t);
        sum += (double)j->kern->sum(m, t);
    }
    const float by = (float)reciprocal(l, sum);
    j->kern->binary[OMMA_BIN_MUL](l->len, x, 1, &by, 0, y);
}

/* m lanes side by side from number `from`, of any type. */
static void lp_lanes(const job *j, const lp *l, int64_t from, int64_t m) {
    const omma_value *x = j->n->in[0], *y = j->n->out[0];
    double sum[COLS] = {0};
    for (int64_t r = 0; r < l->len; r++)
        for (int64_t i = 0; i < m; i++) {
            const double v = at(x, from + r * l->inner + i);
            sum[i] += l->p == 2 ? v * v : fabs(v);
        }
    for (int64_t i = 0; i < m; i++) sum[i] = reciprocal(l, sum[i]);
    for (int64_t r = 0; r < l->len; r++)
        for (int64_t i = 0; i < m; i++) {
            const int64_t k = from + r * l->inner + i;
            omma_set_number(y->dtype, y->mem, k, at(x, k) * sum[i]);
        }
}

static void lp_items(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const lp *l = j->n->param;
    const int64_t blocks = (l->inner + COLS - 1) / COLS;
    for (int64_t i = begin; i < end; i++) {
        const int64_t col = i % blocks * COLS;
        if (l->inner == 1 && j->n->in[0]->dtype == OMMA_F32) lp_row(j, l, i);
        else lp_lanes(j, l, i / blocks * l->len * l->inner + col, least(l->inner - col, COLS));
    }
}

static omma_status LpNormalization_run(const omma_exec *x, const omma_node *n) {
    const lp *l = n->param;
    job j = {x->kern, n};
    if (!omma_wanted(n, 0) || !omma_value_count(n->in[0])) return OMMA_OK;
    const int64_t each = l->len * least(l->inner, COLS);
    omma_parallel(x->threads, l->outer * ((l->inner + COLS - 1) / COLS), 1 + OMMA_GRAIN / each,
                  lp_items, &j);
    return OMMA_OK;
}

/* dx = (dy - u sum(dy y)) / norm, where u is y, or with p = 1 the sign of x; 0 where the norm is.
 */
static omma_status LpNormalization_grad(omma_grad *g, const omma_node *n) {
    const lp *l = n->param;
    omma_maker *m = &g->m;
    int axis = 0;
    OMMA_TRY(omma_axis(m->b, n, omma_node_int(n, "axis", -1), n->in[0]->rank, &axis));
    omma_value *x = omma_norm_cast(m, n->in[0], n->in[0]),
               *y = omma_norm_cast(m, n->out[0], n->in[0]),
               *dy = omma_norm_cast(m, omma_grad_out(g, n, 0), n->in[0]);
    const omma_attr a = OMMA_A_INTS("axes", &(int64_t){axis}, 1);
    omma_value *norm = omma_make(m, l->p == 2 ? "ReduceL2" : "ReduceL1", &x, 1, &a, 1);
    omma_value *none = omma_make_number(m, norm, 0);
    omma_value *by = omma_make_3(m, "Where", omma_make_2(m, "Equal", norm, none), none,
                                 omma_make_1(m, "Reciprocal", norm));
    omma_value *along = omma_make_sum(m, omma_make_2(m, "Mul", dy, y), 1u << axis, true);
    omma_value *u = l->p == 2 ? y : omma_make_1(m, "Sign", x);
    omma_value *rest = omma_make_2(m, "Sub", dy, omma_make_2(m, "Mul", u, along));
    return omma_grad_add(g, n, 0, omma_make_2(m, "Mul", rest, by));
}

static omma_status LpNormalization_field(omma_field *f, const omma_node *n) {
    int axis = 0;
    OMMA_TRY(omma_axis(f->b, n, omma_node_int(n, "axis", -1), n->in[0]->rank, &axis));
    (void)omma_field_broadcast(f, 0, 0, OMMA_PATH_VALUE);
    omma_relation *r = omma_field_relate(f, 0, 0);
    if (!r) return f->status;
    r->path = OMMA_PATH_STATISTIC;
    for (int d = 0; d < r->in_rank; d++)
        if (d != axis) omma_relation_same(r, d, d);
    return f->status;
}

/* --- LRN ----------------------------------------------------------------------------------------
 */

typedef struct lrn {
    int64_t n, c, plane;     /* x as [n, c, plane] */
    int64_t before, behind;  /* channels of the window */
    float scale, beta, bias; /* scale: alpha / size */
} lrn;

static omma_status LRN_infer(omma_build *b, omma_node *n) {
    OMMA_TRY(omma_want(b, n, 0, OMMA_IN_FLOAT));
    const omma_value *x = n->in[0];
    if (x->rank < 2)
        return omma_bad(b, n, "'%s' is of rank %d; [N, C, ...] is needed", x->name, x->rank);
    const int64_t size = omma_node_int(n, "size", 0);
    if (size < 1) return omma_bad(b, n, "size is %lld; at least 1 is needed", (long long)size);
    lrn *l = omma_param(b, n, sizeof *l);
    if (!l) return omma_nomem(b, n);
    *l = (lrn){.n = x->dims[0], .c = x->dims[1], .plane = 1, .bias = omma_node_float(n, "bias", 1)};
    l->before = least((size - 1) / 2, l->c), l->behind = least(size / 2, l->c);
    l->scale = omma_node_float(n, "alpha", 1e-4f) / (float)size;
    l->beta = omma_node_float(n, "beta", 0.75f);
    for (int d = 2; d < x->rank; d++) l->plane *= x->dims[d];
    return omma_out_like(b, n, 0, x);
}

/* t = (bias + scale * t)^-beta. exp(-beta log) wants a base that cannot be negative. */
static void lrn_power(const omma_kernels *k, const lrn *l, int64_t m, float *t) {
    const float by = -l->beta;
    k->affine(m, t, &l->scale, &l->bias, 0, t);
    if (l->bias > 0 && l->scale >= 0) {
        k->unary[OMMA_UN_LOG](m, t, t);
        k->binary[OMMA_BIN_MUL](m, t, 1, &by, 0, t);
        k->unary[OMMA_UN_EXP](m, t, t);
    } else {
        for (int64_t i = 0; i < m; i++) t[i] = powf(t[i], by);
    }
}

/* m numbers of a plane, channel ch; x and y begin at channel 0. */
static void lrn_f32(const omma_kernels *k, const lrn *l, int64_t ch, int64_t m, const float *x,
                    float *y) {
    float sum[COLS] = {0}, t[COLS];
    const int64_t last = least(ch + l->behind, l->c - 1);
    for (int64_t i = ch > l->before ? ch - l->before : 0; i <= last; i++) {
        k->binary[OMMA_BIN_MUL](m, x + i * l->plane, 1, x + i * l->plane, 1, t);
        k->binary[OMMA_BIN_ADD](m, sum, 1, t, 1, sum);
    }
    lrn_power(k, l, m, sum);
    k->binary[OMMA_BIN_MUL](m, x + ch * l->plane, 1, sum, 1, y + ch * l->plane);
}

static void lrn_plain(const job *j, const lrn *l, int64_t ch, int64_t m, int64_t from) {
    const omma_value *x = j->n->in[0], *y = j->n->out[0];
    const int64_t first = ch > l->before ? ch - l->before : 0,
                  last = least(ch + l->behind, l->c - 1);
    for (int64_t i = from; i < from + m; i++) {
        double sum = 0;
        for (int64_t k = first; k <= last; k++)
            sum += at(x, i + k * l->plane) * at(x, i + k * l->plane);
        const double v = at(x, i + ch * l->plane) /
                         pow((double)l->bias + (double)l->scale * sum, (double)l->beta);
        omma_set_number(y->dtype, y->mem, i + ch * l->plane, v);
    }
}

/* Item: a block of a plane of an image, all its channels. */
static void lrn_items(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const lrn *l = j->n->param;
    const int64_t blocks = (l->plane + COLS - 1) / COLS;
    for (int64_t i = begin; i < end; i++) {
        const int64_t col = i % blocks * COLS, m = least(l->plane - col, COLS),
                      from = i / blocks * l->c * l->plane + col;
        for (int64_t ch = 0; ch < l->c; ch++)
            if (j->n->in[0]->dtype != OMMA_F32) lrn_plain(j, l, ch, m, from);
            else
                lrn_f32(j->kern, l, ch, m, (const float *)j->n->in[0]->mem + from,
                        (float *)j->n->out[0]->mem + from);
    }
}

static omma_status LRN_run(const omma_exec *x, const omma_node *n) {
    const lrn *l = n->param;
    job j = {x->kern, n};
    if (!omma_wanted(n, 0) || !omma_value_count(n->in[0])) return OMMA_OK;
    const int64_t each = l->c * least(l->plane, COLS);
    omma_parallel(x->threads, l->n * ((l->plane + COLS - 1) / COLS), 1 + OMMA_GRAIN / 4 / each,
                  lrn_items, &j);
    return OMMA_OK;
}

/* A matrix [C, C] of ones where column - row is from -from to `to`, zeros elsewhere. */
static omma_value *band(omma_maker *m, const lrn *l, const omma_value *like, int64_t from,
                        int64_t to) {
    const int64_t dims[2] = {l->c, l->c};
    const omma_attr lower = OMMA_A_INT("upper", 0);
    omma_value *v =
        omma_make_2(m, "Expand", omma_make_number(m, like, 1), omma_make_ints(m, dims, 2));
    v = omma_make_2(m, "Trilu", v, omma_make_ints(m, &(int64_t){-from}, 1));
    return omma_make(m, "Trilu", (omma_value *[]){v, omma_make_ints(m, &to, 1)}, 2, &lower, 1);
}

/* v: [N, C, ...] summed over the channels from `from` before to `to` behind each. Few channels go
 * through a product, which is faster than a convolution of one channel. */
static omma_value *window_sum(omma_maker *m, const lrn *l, omma_value *v, int64_t from,
                              int64_t to) {
    const int64_t view[4] = {l->n, 1, l->c, l->plane}, taps[4] = {1, 1, from + to + 1, 1},
                  pads[4] = {from, 0, to, 0};
    const omma_attr a = OMMA_A_INTS("pads", pads, 4);
    if (!v) return NULL;
    omma_value *x = omma_make_reshape(m, v, 4, view), *ones;
    if (l->c <= BAND)
        return omma_make_shaped(m, omma_make_2(m, "MatMul", band(m, l, v, from, to), x), v);
    ones = omma_make_2(m, "Expand", omma_make_number(m, v, 1), omma_make_ints(m, taps, 4));
    return omma_make_shaped(m, omma_make(m, "Conv", (omma_value *[]){x, ones}, 2, &a, 1), v);
}

/* With s the base of the power: dx = dy s^-beta - 2 scale beta x sum(dy y / s), the sum over the
 * channels in whose windows x is. */
static omma_status LRN_grad(omma_grad *g, const omma_node *n) {
    const lrn *l = n->param;
    omma_maker *m = &g->m;
    omma_value *x = omma_norm_cast(m, n->in[0], n->in[0]),
               *y = omma_norm_cast(m, n->out[0], n->in[0]),
               *dy = omma_norm_cast(m, omma_grad_out(g, n, 0), n->in[0]);
    omma_value *s = window_sum(m, l, omma_make_2(m, "Mul", x, x), l->before, l->behind);
    s = omma_make_2(m, "Add", omma_make_scaled(m, s, (double)l->scale),
                    omma_make_number(m, x, (double)l->bias));
    omma_value *power = omma_make_2(m, "Pow", s, omma_make_number(m, x, -(double)l->beta));
    omma_value *part = omma_make_2(m, "Div", omma_make_2(m, "Mul", dy, y), s);
    part = omma_make_2(m, "Mul", x, window_sum(m, l, part, l->behind, l->before));
    part = omma_make_scaled(m, part, 2 * (double)l->scale * (double)l->beta);
    return omma_grad_add(g, n, 0, omma_make_2(m, "Sub", omma_make_2(m, "Mul", dy, power), part));
}

static omma_status LRN_field(omma_field *f, const omma_node *n) {
    const lrn *l = n->param;
    (void)omma_field_broadcast(f, 0, 0, OMMA_PATH_VALUE);
    omma_relation *r = omma_field_relate(f, 0, 0);
    if (!r) return f->status;
    r->path = OMMA_PATH_STATISTIC;
    for (int d = 0; d < r->in_rank; d++) omma_relation_same(r, d, d);
    r->axis[1] = omma_map_window(1, 1, -l->before, 1, l->before + l->behind + 1);
    return f->status;
}

#define ROW(Name, in_)                                     \
    const omma_op omma_op_##Name = {.name = #Name,         \
                                    .min_in = in_,         \
                                    .max_in = in_,         \
                                    .min_out = 1,          \
                                    .max_out = 1,          \
                                    .infer = Name##_infer, \
                                    .run = Name##_run,     \
                                    .flops = norm_flops,   \
                                    .grad = Name##_grad,   \
                                    .field = Name##_field};
ROW(RMSNormalization, 2)
ROW(LpNormalization, 1)
ROW(LRN, 1)
