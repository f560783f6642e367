/* activation_grad.c - see activation_grad.h. Numbers of float32 and the 16-bit floats are taken a
 * tile at a time: loops of a length the compiler knows, from memory into a tile of their own, which
 * may then go where the numbers came from.
 *
 * Traps: dx may be dy or v. f'(v) of the last three has a limit at -inf and +inf, which the plain
 * formula misses: x is brought near enough first. */
#include "op/activation_grad.h"

#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "op/element.h"
#include "op/last_ops.h"

enum { TILE = 256 };

typedef struct job {
    const omma_kernels *kern;
    const struct slope *slope;
    omma_dtype type;
    const void *dy, *v;
    void *dx;
    double a, lo, hi; /* alpha, and ClipGrad's bounds */
} job;

typedef struct slope {
    /* d, v, y: [TILE] of dy, v, dx */
    void (*f32)(const job *j, const float *d, const float *v, float *restrict y);
    double (*f64)(const job *j, double d, double v); /* dx of one number */
} slope;

/* --- the formulas ------------------------------------------------------------------------ */

static void Clip_f32(const job *j, const float *d, const float *v, float *restrict y) {
    const float lo = (float)j->lo, hi = (float)j->hi, a = (float)j->a;
    if (a == 0)
        for (int i = 0; i < TILE; i++) {
            const float in = d[i], x = v[i];
            y[i] = (x <= lo) | (x >= hi) ? 0 : in;
        }
    else
        for (int i = 0; i < TILE; i++) {
            const float in = d[i], x = v[i], less = a * in;
            y[i] = (x <= lo) | (x >= hi) ? less : in;
        }
}

static double Clip_f64(const job *j, double d, double v) {
    return !(v <= j->lo || v >= j->hi) ? d : j->a == 0 ? 0 : j->a * d;
}

static void Sigmoid_f32(const job *j, const float *d, const float *v, float *restrict y) {
    (void)j;
    for (int i = 0; i < TILE; i++) y[i] = d[i] * (v[i] * (1 - v[i]));
}

static double Sigmoid_f64(const job *j, double d, double v) {
    (void)j;
    return d * (v * (1 - v));
}

static void Tanh_f32(const job *j, const float *d, const float *v, float *restrict y) {
    (void)j;
    for (int i = 0; i < TILE; i++) y[i] = d[i] * (1 - v[i] * v[i]);
}

static double Tanh_f64(const job *j, double d, double v) {
    (void)j;
    return d * (1 - v * v);
}

/* Phi(x) + x phi(x), of the normal distribution. */
static void GeluErf_f32(const job *j, const float *d, const float *v, float *restrict y) {
    float x[TILE], e[TILE], g[TILE];
    j->kern->clip(TILE, v, -100, 100, x);
    for (int i = 0; i < TILE; i++) e[i] = x[i] * 0.70710678f;
    for (int i = 0; i < TILE; i++) g[i] = -e[i] * e[i];
    j->kern->unary[OMMA_UN_ERF](TILE, e, e);
    j->kern->unary[OMMA_UN_EXP](TILE, g, g);
    for (int i = 0; i < TILE; i++) y[i] = d[i] * (0.5f * (1 + e[i]) + x[i] * 0.39894228f * g[i]);
}

static double GeluErf_f64(const job *j, double d, double v) {
    (void)j;
    v = v < -100 ? -100 : v > 100 ? 100 : v;
    return d *
           (0.5 * erfc(v * -0.70710678118654752440) + v * 0.39894228040143267794 * exp(-v * v / 2));
}

/* Of x/2 (1 + t), t = tanh(u), u = c (x + k x^3). */
static void GeluTanh_f32(const job *j, const float *d, const float *v, float *restrict y) {
    const float c = 0.79788456f, k = 0.044715f;
    float x[TILE], t[TILE];
    j->kern->clip(TILE, v, -100, 100, x);
    for (int i = 0; i < TILE; i++) t[i] = c * (x[i] + k * x[i] * x[i] * x[i]);
    j->kern->unary[OMMA_UN_TANH](TILE, t, t);
    for (int i = 0; i < TILE; i++)
        y[i] = d[i] * 0.5f * (1 + t[i] + x[i] * (1 - t[i] * t[i]) * c * (1 + 3 * k * x[i] * x[i]));
}

static double GeluTanh_f64(const job *j, double d, double v) {
    const double c = 0.79788456080286535588, k = 0.044715;
    (void)j;
    v = v < -100 ? -100 : v > 100 ? 100 : v;
    const double t = tanh(c * (v + k * v * v * v));
    return d * 0.5 * (1 + t + v * (1 - t * t) * c * (1 + 3 * k * v * v));
}

/* s (1 + z (1 - s)), z = alpha x, s = sigmoid(z). */
static void Swish_f32(const job *j, const float *d, const float *v, float *restrict y) {
    const float a = (float)j->a;
    float z[TILE], s[TILE];
    for (int i = 0; i < TILE; i++) z[i] = a * v[i];
    j->kern->clip(TILE, z, -100, 100, z);
    j->kern->unary[OMMA_UN_SIGMOID](TILE, z, s);
    for (int i = 0; i < TILE; i++) y[i] = d[i] * (s[i] * (1 + z[i] * (1 - s[i])));
}

static double Swish_f64(const job *j, double d, double v) {
    const double z = j->a * v < -700 ? -700 : j->a * v > 700 ? 700 : j->a * v;
    const double s = 1 / (1 + exp(-z));
    return d * (s * (1 + z * (1 - s)));
}

static void HardSwish_f32(const job *j, const float *d, const float *v, float *restrict y) {
    (void)j;
    for (int i = 0; i < TILE; i++) {
        const float in = d[i], x = v[i], mid = in * (x / 3 + 0.5f), most = x >= 3 ? in : mid;
        y[i] = x <= -3 ? 0 : most;
    }
}

static double HardSwish_f64(const job *j, double d, double v) {
    (void)j;
    return v <= -3 ? 0 : v >= 3 ? d : d * (v / 3 + 0.5);
}

/* --- infer and run ----------------------------------------------------------------------- */

static omma_status infer(omma_build *b, omma_node *n, const slope *s) {
    const omma_value *dy = n->in[0], *v = n->in[1];
    OMMA_TRY(omma_want(b, n, 0, OMMA_IN_FLOAT));
    for (int i = 1; i < n->n_in; i++)
        if (n->in[i]) OMMA_TRY(omma_want_same(b, n, i));
    if (v->rank != dy->rank || memcmp(v->dims, dy->dims, (size_t)v->rank * sizeof *v->dims))
        return omma_bad(b, n, "'%s' and '%s' differ in shape", dy->name, v->name);
    for (int i = 2; i < n->n_in; i++)
        if (n->in[i] && omma_value_count(n->in[i]) != 1)
            return omma_bad(b, n, "bound '%s' must be one number", n->in[i]->name);
    n->param = s;
    return omma_out_like(b, n, 0, v);
}

/* n numbers of x from at on, as a tile: where they lie, or in room. */
static const float *load(omma_dtype t, const void *x, int64_t at, int64_t n, float *room) {
    if (t == OMMA_F32 && n == TILE) return (const float *)x + at;
    if (n < TILE) memset(room, 0, TILE * sizeof *room);
    if (t == OMMA_F32) memcpy(room, (const float *)x + at, (size_t)n * sizeof *room);
    else omma_load_halves(t, (const uint16_t *)x + at, n, room);
    return room;
}

static void tiles(const job *j, int64_t begin, int64_t end) {
    float d[TILE], v[TILE], y[TILE];
    for (int64_t at = begin; at < end; at += TILE) {
        const int64_t m = end - at < TILE
        ? end - at : TILE;
        j->slope->f32(j, load(j->type, j->dy, at, m, d), load(j->type, j->v, at, m, v), y);
        if (j->type == OMMA_F32) memcpy((float *)j->dx + at, y, (size_t)m * sizeof *y);
        else omma_store_halves(j->type, y, m, (uint16_t *)j->dx + at);
    }
}

static void part(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    (void)worker;
    if (j->type != OMMA_F64) {
        tiles(j, begin, end);
        return;
    }
    for (int64_t i = begin; i < end; i++)
        ((double *)j->dx)[i] =
            j->slope->f64(j, ((const double *)j->dy)[i], ((const double *)j->v)[i]);
}

static double bound(const omma_value *v, double none) {
    return v ? omma_get_number(v->dtype, v->mem, 0) : none;
}

/* Without a bound nothing is beyond it: no number is <= or >= NaN. */
static omma_status run(const omma_exec *x, const omma_node *n, float alpha) {
    if (!omma_wanted(n, 0)) return OMMA_OK;
    job j = {.kern = x->kern,
             .slope = n->param,
             .type = n->in[0]->dtype,
             .dy = n->in[0]->mem,
             .v = n->in[1]->mem,
             .dx = n->out[0]->mem,
             .a = (double)omma_node_float(n, "alpha", alpha),
             .lo = bound(omma_in(n, 2), NAN),
             .hi = bound(omma_in(n, 3), NAN)};
    omma_parallel(x->threads, omma_value_count(n->in[0]), OMMA_GRAIN, part, &j);
    return OMMA_OK;
}

/* --- rows -------------------------------------------------------------------------------- */

static omma_status Gelu_infer(omma_build *b, omma_node *n) {
    static const slope by_erf = {GeluErf_f32, GeluErf_f64}, by_tanh = {GeluTanh_f32, GeluTanh_f64};
    return infer(b, n,
                 strcmp(omma_node_string(n, "approximate", "none"), "tanh") ? &by_erf : &by_tanh);
}

#define INFER(Name)                                                \
    static omma_status Name##_infer(omma_build *b, omma_node *n) { \
        static const slope s = {Name##_f32, Name##_f64};           \
        return infer(b, n, &s);                                    \
    }
INFER(Clip)
INFER(Sigmoid)
INFER(Tanh)
INFER(Swish)
INFER(HardSwish)

/* name, default of alpha, the most inputs */
#define ROW(Name, alpha, most)                                              \
    static omma_status Name##_run(const omma_exec *x, const omma_node *n) { \
        return run(x, n, alpha);                                            \
    }                                                                       \
    const omma_op omma_op_##Name##Grad = {.name = "omma." #Name "Grad",     \
                                          .min_in = 2,                      \
                                          .max_in = most,                   \
                                          .min_out = 1,                     \
                                          .max_out = 1,                     \
                                          .flags = OMMA_OP_ELEMENTWISE,     \
                                          .infer = Name##_infer,            \
                                          .run = Name##_run,                \
                                          .no_grad = OMMA_NO_SECOND,        \
                                          .no_field = OMMA_MADE_LATE};
ROW(Clip, 0, 4)
ROW(Sigmoid, 0, 2)
ROW(Tanh, 0, 2)
ROW(Gelu, 0, 2)
ROW(Swish, 1, 2)
ROW(HardSwish, 0, 2)

/* --- making them ------------------------------------------------------------------------- */

omma_value *omma_activation_grad(omma_maker *m, const omma_op *op, omma_value *dy, omma_value *v,
                                 const omma_attr *attr) {
    const omma_node *n =
        omma_make_node(m, op, 13, (omma_value *[]){dy, v}, 2, attr, attr != NULL, 1);
    return n ? n->out[0] : NULL;
}

omma_value *omma_clip_grad(omma_maker *m, omma_value *dy, omma_value *y, omma_value *lo,
                           omma_value *hi, float alpha) {
    const omma_attr a = OMMA_A_FLOAT("alpha", alpha);
    const omma_node *n = omma_make_node(m, &omma_op_ClipGrad, 13, (omma_value *[]){dy, y, lo, hi},
                                        4, &a, alpha != 0, 1);
    return n ? n->out[0] : NULL;
}
