/* unary.c - operators that work on each number alone: y[i] = f(x[i]).
 *
 * One line of UNARY_LIST is one operator. Its numbers come from f32 and f64 functions (f32
 * from a kernel where there is one; float16 and bfloat16 go through the f32 one, a block at a
 * time) and, where ONNX allows integers, from one over every width. Clip, Not, IsNaN and IsInf
 * stand apart below.
 *
 * Traps: NaN must come out of everything as NaN, so comparisons are written so that NaN falls
 * through; -INT_MIN wraps around as in NumPy; y may be x. */
#include <math.h>
#include <string.h>
#include <tgmath.h>

#include "base/pool.h"
#include "op/element.h"

enum { BLOCK = 1024 };

typedef struct unary unary;

/* n->param: the operator and its attributes (alpha, and beta or gamma). */
typedef struct un {
    const unary *op;
    float a, b;
} un;

struct unary {
    unsigned types;
    void (*f32)(const omma_kernels *k, const un *u, int64_t n, const float *x, float *y);
    void (*f64)(const un *u, int64_t n, const double *x, double *y);
    void (*ints)(omma_dtype t, int64_t n, const void *x, void *y);
    const char *a_name, *b_name;
    float a, b;
};

/* --- numbers: x the input, T its type, a and b the attributes ----------------- */

#define LOOP(T_, expr)                \
    typedef T_ T;                     \
    const T a = (T)u->a, b = (T)u->b; \
    (void)a, (void)b;                 \
    for (int64_t i = 0; i < n; i++) { \
        const T x = xs[i];            \
        ys[i] = (T)(expr);            \
    }
#define F64(Name, expr)                                                            \
    static void Name##_f64(const un *u, int64_t n, const double *xs, double *ys) { \
        LOOP(double, expr)                                                         \
    }
#define F32(Name, expr)                                                                    \
    static void Name##_f32(const omma_kernels *k, const un *u, int64_t n, const float *xs, \
                           float *ys) {                                                    \
        (void)k;                                                                           \
        LOOP(float, expr)                                                                  \
    }
#define KERNEL(Name, id)                                                                   \
    static void Name##_f32(const omma_kernels *k, const un *u, int64_t n, const float *xs, \
                           float *ys) {                                                    \
        (void)u;                                                                           \
        k->unary[id](n, xs, ys);                                                           \
    }
#define PLAIN(Name, expr) F32(Name, expr) F64(Name, expr)
#define FAST(Name, id, expr) KERNEL(Name, id) F64(Name, expr)

FAST(Abs, OMMA_UN_ABS, fabs(x))
FAST(Erf, OMMA_UN_ERF, erf(x))
FAST(Exp, OMMA_UN_EXP, exp(x))
FAST(HardSwish, OMMA_UN_HSWISH, fmin(fmax(x / 6 + (T)0.5, (T)0), (T)1) * x)
FAST(Log, OMMA_UN_LOG, log(x))
FAST(Neg, OMMA_UN_NEG, -x)
FAST(Reciprocal, OMMA_UN_RECIPROCAL, 1 / x)
FAST(Relu, OMMA_UN_RELU, x < 0 ? 0 : x)
FAST(Sigmoid, OMMA_UN_SIGMOID, 1 / (1 + exp(-x)))
FAST(Sqrt, OMMA_UN_SQRT, sqrt(x))
FAST(Tanh, OMMA_UN_TANH, tanh(x))
PLAIN(Ceil, ceil(x))
PLAIN(Celu, x < 0 ? a * expm1(x / a) : x)
PLAIN(Cos, cos(x))
PLAIN(Elu, x < 0 ? a * expm1(x) : x)
PLAIN(Floor, floor(x))
PLAIN(Round, rint(x))
PLAIN(Selu, (x > 0 ? x : a * expm1(x)) * b)
PLAIN(Sign, x > 0 ? 1 : x < 0 ? -1 : x)
PLAIN(Sin, sin(x))
PLAIN(Softsign, x / (1 + fabs(x)))
PLAIN(Tan, tan(x))
PLAIN(ThresholdedRelu, x <= a ? 0 : x)
F64(GeluErf, isinf(x) && x < 0 ? -0.0 : x / 2 * erfc(x * -0.70710678118654752440))
KERNEL(GeluErf, OMMA_UN_GELU)
F64(GeluTanh, x / 2 * (1 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x))))
F64(HardSigmoid, b + a * x < 0 ? 0 : b + a * x > 1 ? 1 : b + a * x)
F64(LeakyRelu, x < 0 ? a * x : x)
F64(Mish, tanh(fmax(x, (T)0) + log1p(exp(-fabs(x)))) * x)
F64(Softplus, x != x ? x : fmax(x, (T)0) + log1p(exp(-fabs(x))))

static void GeluTanh_f32(const omma_kernels *k, const un *u, int64_t n, const float *x, float *y) {
    (void)u;
    float t[BLOCK];
    for (int64_t at = 0; at < n; at += BLOCK) {
        const int64_t m = n - at < BLOCK ? n - at : BLOCK;
        for (int64_t i = 0; i < m; i++)
            t[i] = 0.79788456f * (x[at + i] + 0.044715f * x[at + i] * x[at + i] * x[at + i]);
        k->unary[OMMA_UN_TANH](m, t, t);
        for (int64_t i = 0; i < m; i++) y[at + i] = x[at + i] * 0.5f * (1 + t[i]);
    }
}

static void HardSigmoid_f32(const omma_kernels *k, const un *u, int64_t n, const float *x,
                            float *y) {
    for (int64_t at = 0; at < n; at += BLOCK) {
        const int64_t m = n - at < BLOCK ? n - at : BLOCK;
        k->affine(m, x + at, &u->a, &u->b, 0, y + at);
        k->clip(m, y + at, 0, 1, y + at);
    }
}

/* With 0 < a <= 1 it is max(x, a x): two vector kernels. */
static void LeakyRelu_f32(const omma_kernels *k, const un *u, int64_t n, const float *x, float *y) {
    float t[BLOCK];
    if (!(u->a > 0 && u->a <= 1)) {
        for (int64_t i = 0; i < n; i++) y[i] = x[i] < 0 ? u->a * x[i] : x[i];
        return;
    }
    for (int64_t at = 0; at < n; at += BLOCK) {
        const int64_t m = n - at < BLOCK ? n - at : BLOCK;
        k->binary[OMMA_BIN_MUL](m, x + at, 1, &u->a, 0, t);
        k->binary[OMMA_BIN_MAX](m, x + at, 1, t, 1, y + at);
    }
}

/* tanh(log(1 + e)) = m / (m + 2) with e = exp(x), m = e (e + 2); it is 1 long before x = 20. */
static void Mish_f32(const omma_kernels *k, const un *u, int64_t n, const float *x, float *y) {
    (void)u;
    float t[BLOCK];
    for (int64_t at = 0; at < n; at += BLOCK) {
        const int64_t m = n - at < BLOCK ? n - at : BLOCK;
        k->clip(m, x + at, -INFINITY, 20, t);
        k->unary[OMMA_UN_EXP](m, t, t);
        for (int64_t i = 0; i < m; i++) {
            const float e = t[i] * (t[i] + 2);
            y[at + i] = x[at + i] * (e / (e + 2));
        }
    }
}

/* max(x, 0) + log(1 + e) with e = exp(-|x|). What rounding 1 + e to v loses is put back:
 * log(1 + e) = log(v) e / (v - 1), and e itself when v is 1. */
static void Softplus_f32(const omma_kernels *k, const un *u, int64_t n, const float *x, float *y) {
    (void)u;
    float e[BLOCK], v[BLOCK], l[BLOCK];
    for (int64_t at = 0; at < n; at += BLOCK) {
        const int64_t m = n - at < BLOCK ? n - at : BLOCK;
        k->unary[OMMA_UN_ABS](m, x + at, e);
        k->unary[OMMA_UN_NEG](m, e, e);
        k->unary[OMMA_UN_EXP](m, e, e);
        for (int64_t i = 0; i < m; i++) v[i] = 1 + e[i];
        k->unary[OMMA_UN_LOG](m, v, l);
        for (int64_t i = 0; i < m; i++)
            y[at + i] =
                (x[at + i] < 0 ? 0 : x[at + i]) + (v[i] == 1 ? e[i] : l[i] * e[i] / (v[i] - 1));
    }
}

/* Integers: signed and unsigned forms of the same operator on a widened x. */
#define INT_CASE(tag, T, W, expr)           \
    case OMMA_##tag:                        \
        for (int64_t i = 0; i < n; i++) {   \
            const W x = ((const T *)xs)[i]; \
            ((T *)ys)[i] = (T)(expr);       \
        }                                   \
        return;
#define INTS(Name, sexpr, uexpr)                                                \
    static void Name##_int(omma_dtype t, int64_t n, const void *xs, void *ys) { \
        switch (t) {                                                            \
            INT_CASE(I8, int8_t, int64_t, sexpr)                                \
            INT_CASE(I16, int16_t, int64_t, sexpr)                              \
            INT_CASE(I32, int32_t, int64_t, sexpr)                              \
            INT_CASE(I64, int64_t, int64_t, sexpr)                              \
            INT_CASE(U8, uint8_t, uint64_t, uexpr)                              \
            INT_CASE(U16, uint16_t, uint64_t, uexpr)                            \
            INT_CASE(U32, uint32_t, uint64_t, uexpr)                            \
            INT_CASE(U64, uint64_t, uint64_t, uexpr)                            \
        default: return;                                                        \
        }                                                                       \
    }
INTS(Abs, x < 0 ? 0 - (uint64_t)x : (uint64_t)x, x)
INTS(BitwiseNot, ~x, ~x)
INTS(Erf, (x > 5) - (x < -5), x > 5)
INTS(Neg, 0 - (uint64_t)x, 0 - x)
INTS(Relu, x < 0 ? 0 : x, x)
INTS(Sign, (x > 0) - (x < 0), x > 0)

/* --- infer and run ------------------------------------------------------------ */

static omma_status infer(omma_build *b, omma_node *n, const unary *op) {
    OMMA_TRY(omma_want(b, n, 0, op->types));
    un *u = omma_param(b, n, sizeof *u);
    if (!u) return omma_nomem(b, n);
    *u = (un){.op = op, .a = op->a, .b = op->b};
    if (op->a_name) u->a = omma_node_float(n, op->a_name, op->a);
    if (op->b_name) u->b = omma_node_float(n, op->b_name, op->b);
    return omma_out_like(b, n, 0, n->in[0]);
}

typedef struct job {
    const omma_kernels *kern;
    const un *u;
    omma_dtype type;
    const void *x;
    void *y;
} job;

static void halves(const job *j, int64_t begin, int64_t end) {
    float t[BLOCK];
    const uint16_t *x = j->x;
    uint16_t *y = j->y;
    for (int64_t at = begin; at < end; at += BLOCK) {
        const int64_t m = end - at < BLOCK ? end - at : BLOCK;
        omma_load_halves(j->type, x + at, m, t);
        j->u->op->f32(j->kern, j->u, m, t, t);
        omma_store_halves(j->type, t, m, y + at);
    }
}

static void part(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const unary *op = j->u->op;
    const size_t at = (size_t)begin * omma_dtype_size(j->type);
    const void *x = (const char *)j->x + at;
    void *y = (char *)j->y + at;
    switch (j->type) {
    case OMMA_F32: op->f32(j->kern, j->u, end - begin, x, y); return;
    case OMMA_F64: op->f64(j->u, end - begin, x, y); return;
    case OMMA_F16:
    case OMMA_BF16: halves(j, begin, end); return;
    default: op->ints(j->type, end - begin, x, y); return;
    }
}

static omma_status run(const omma_exec *x, const omma_node *n) {
    if (!omma_wanted(n, 0)) return OMMA_OK;
    job j = {x->kern, n->param, n->in[0]->dtype, n->in[0]->mem, n->out[0]->mem};
    omma_parallel(x->threads, omma_value_count(n->in[0]), OMMA_GRAIN, part, &j);
    return OMMA_OK;
}

#define STEPS "piecewise constant: its derivative is zero wherever there is one"
#define SIGNED (OMMA_IN_FLOAT | OMMA_IN_SIGNED)

/* name, types, integer form, attributes with defaults, why no gradient */
#define UNARY_LIST(X)                                                              \
    X(Abs, OMMA_IN_NUMBER, Abs_int, NULL, 0, NULL, 0, OMMA_NOT_YET)                \
    X(Ceil, OMMA_IN_FLOAT, NULL, NULL, 0, NULL, 0, STEPS)                          \
    X(Celu, OMMA_IN_FLOAT, NULL, "alpha", 1, NULL, 0, OMMA_NOT_YET)                \
    X(Cos, OMMA_IN_FLOAT, NULL, NULL, 0, NULL, 0, OMMA_NOT_YET)                    \
    X(Elu, OMMA_IN_FLOAT, NULL, "alpha", 1, NULL, 0, OMMA_NOT_YET)                 \
    X(Erf, OMMA_IN_NUMBER, Erf_int, NULL, 0, NULL, 0, OMMA_NOT_YET)                \
    X(Exp, OMMA_IN_FLOAT, NULL, NULL, 0, NULL, 0, OMMA_NOT_YET)                    \
    X(Floor, OMMA_IN_FLOAT, NULL, NULL, 0, NULL, 0, STEPS)                         \
    X(HardSigmoid, OMMA_IN_FLOAT, NULL, "alpha", 0.2f, "beta", 0.5f, OMMA_NOT_YET) \
    X(HardSwish, OMMA_IN_FLOAT, NULL, NULL, 0, NULL, 0, OMMA_NOT_YET)              \
    X(LeakyRelu, OMMA_IN_FLOAT, NULL, "alpha", 0.01f, NULL, 0, OMMA_NOT_YET)       \
    X(Log, OMMA_IN_FLOAT, NULL, NULL, 0, NULL, 0, OMMA_NOT_YET)                    \
    X(Mish, OMMA_IN_FLOAT, NULL, NULL, 0, NULL, 0, OMMA_NOT_YET)                   \
    X(Neg, SIGNED, Neg_int, NULL, 0, NULL, 0, OMMA_NOT_YET)                        \
    X(Reciprocal, OMMA_IN_FLOAT, NULL, NULL, 0, NULL, 0, OMMA_NOT_YET)             \
    X(Relu, SIGNED, Relu_int, NULL, 0, NULL, 0, OMMA_NOT_YET)                      \
    X(Round, OMMA_IN_FLOAT, NULL, NULL, 0, NULL, 0, STEPS)                         \
    X(Sigmoid, OMMA_IN_FLOAT, NULL, NULL, 0, NULL, 0, OMMA_NOT_YET)                \
    X(Sign, OMMA_IN_NUMBER, Sign_int, NULL, 0, NULL, 0, STEPS)                     \
    X(Sin, OMMA_IN_FLOAT, NULL, NULL, 0, NULL, 0, OMMA_NOT_YET)                    \
    X(Softplus, OMMA_IN_FLOAT, NULL, NULL, 0, NULL, 0, OMMA_NOT_YET)               \
    X(Softsign, OMMA_IN_FLOAT, NULL, NULL, 0, NULL, 0, OMMA_NOT_YET)               \
    X(Sqrt, OMMA_IN_FLOAT, NULL, NULL, 0, NULL, 0, OMMA_NOT_YET)                   \
    X(Tan, OMMA_IN_FLOAT, NULL, NULL, 0, NULL, 0, OMMA_NOT_YET)                    \
    X(Tanh, OMMA_IN_FLOAT, NULL, NULL, 0, NULL, 0, OMMA_NOT_YET)                   \
    X(ThresholdedRelu, OMMA_IN_FLOAT, NULL, "alpha", 1, NULL, 0, OMMA_NOT_YET)

#define ROW(Name, infer_, run_, min_in_, max_in_, max_out_, flags_, no_grad_) \
    const omma_op omma_op_##Name = {.name = #Name,                            \
                                    .min_in = min_in_,                        \
                                    .max_in = max_in_,                        \
                                    .min_out = 1,                             \
                                    .max_out = max_out_,                      \
                                    .flags = flags_,                          \
                                    .infer = infer_,                          \
                                    .run = run_,                              \
                                    .no_grad = no_grad_,                      \
                                    .no_field = OMMA_NOT_YET};

#define X(Name, types_, ints_, a_name_, a_, b_name_, b_, no_grad_)                                 \
    static omma_status Name##_infer(omma_build *b, omma_node *n) {                                 \
        static const unary op = {types_, Name##_f32, Name##_f64, ints_, a_name_, b_name_, a_, b_}; \
        return infer(b, n, &op);                                                                   \
    }                                                                                              \
    ROW(Name, Name##_infer, run, 1, 1, 1, OMMA_OP_ELEMENTWISE, no_grad_)
UNARY_LIST(X)
#undef X

/* Selu: opset 6 gave the constants more digits. */
static omma_status Selu_infer(omma_build *b, omma_node *n) {
    static const unary op = {OMMA_IN_FLOAT, Selu_f32, Selu_f64,    NULL,
                             "alpha",       "gamma",  1.67326319f, 1.05070102f};
    static const unary old = {OMMA_IN_FLOAT, Selu_f32, Selu_f64, NULL,
                              "alpha",       "gamma",  1.6732f,  1.0507f};
    return infer(b, n, n->opset < 6 ? &old : &op);
}
ROW(Selu, Selu_infer, run, 1, 1, 1, OMMA_OP_ELEMENTWISE, OMMA_NOT_YET)

static omma_status BitwiseNot_infer(omma_build *b, omma_node *n) {
    static const unary op = {OMMA_IN_INT, NULL, NULL, BitwiseNot_int, NULL, NULL, 0, 0};
    return infer(b, n, &op);
}
ROW(BitwiseNot, BitwiseNot_infer, run, 1, 1, 1, OMMA_OP_ELEMENTWISE, STEPS)

/* Gelu: by erf, or the tanh formula of Hendrycks and Gimpel. */
static omma_status Gelu_infer(omma_build *b, omma_node *n) {
    static const unary by_erf = {OMMA_IN_FLOAT, GeluErf_f32, GeluErf_f64, NULL, NULL, NULL, 0, 0};
    static const unary by_tanh = {
        OMMA_IN_FLOAT, GeluTanh_f32, GeluTanh_f64, NULL, NULL, NULL, 0, 0};
    const char *how = omma_node_string(n, "approximate", "none");
    if (!strcmp(how, "tanh")) return infer(b, n, &by_tanh);
    if (!strcmp(how, "none")) return infer(b, n, &by_erf);
    return omma_bad(b, n, "attribute 'approximate' is '%s', neither 'none' nor 'tanh'", how);
}
ROW(Gelu, Gelu_infer, run, 1, 1, 1, OMMA_OP_ELEMENTWISE, OMMA_NOT_YET)

/* --- Clip: bounds are attributes up to opset 10, inputs (perhaps computed) since 11 --- */

typedef struct clip {
    float lo, hi; /* the attributes */
} clip;

static omma_status Clip_infer(omma_build *b, omma_node *n) {
    const bool as_inputs = n->opset >= 11;
    OMMA_TRY(omma_want(b, n, 0, as_inputs ? OMMA_IN_NUMBER : OMMA_IN_FLOAT));
    for (int i = 1; i < n->n_in; i++) {
        if (!as_inputs)
            return omma_bad(b, n, "opset %d gives bounds as attributes, not as inputs", n->opset);
        if (!n->in[i]) continue;
        OMMA_TRY(omma_want_same(b, n, i));
        if (omma_value_count(n->in[i]) != 1)
            return omma_bad(b, n, "bound '%s' must be one number", n->in[i]->name);
    }
    clip *c = omma_param(b, n, sizeof *c);
    if (!c) return omma_nomem(b, n);
    c->lo = as_inputs ? -INFINITY : omma_node_float(n, "min", -INFINITY);
    c->hi = as_inputs ? INFINITY : omma_node_float(n, "max", INFINITY);
    return omma_out_like(b, n, 0, n->in[0]);
}

typedef struct clip_job {
    const omma_kernels *kern;
    omma_dtype type;
    double lo, hi;    /* bounds for float types */
    int64_t ilo, ihi; /* for integers; uint64 as its bits */
    const void *x;
    void *y;
} clip_job;

#define CLIP_LOOP(T, lo_, hi_)                                     \
    {                                                              \
        const T lo = (T)(lo_), hi = (T)(hi_);                      \
        for (int64_t i = begin; i < end; i++) {                    \
            const T x = ((const T *)j->x)[i], v = x < lo ? lo : x; \
            ((T *)j->y)[i] = v > hi ? hi : v;                      \
        }                                                          \
        return;                                                    \
    }

static void clip_part(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const clip_job *j = arg;
    switch (j->type) {
#define X(tag, T, min) \
    case OMMA_##tag: CLIP_LOOP(T, j->ilo, j->ihi)
        OMMA_SIGNED_LIST(X)
        OMMA_UNSIGNED_LIST(X)
#undef X
    case OMMA_F32:
        j->kern->clip(end - begin, (const float *)j->x + begin, (float)j->lo, (float)j->hi,
                      (float *)j->y + begin);
        return;
    case OMMA_F64: CLIP_LOOP(double, j->lo, j->hi)
    default: break;
    }
    const uint16_t *x = j->x;
    uint16_t *y = j->y;
    for (int64_t i = begin; i < end; i++) {
        float v;
        omma_load_halves(j->type, x + i, 1, &v);
        v = v < (float)j->lo ? (float)j->lo : v;
        v = v > (float)j->hi ? (float)j->hi : v;
        omma_store_halves(j->type, &v, 1, y + i);
    }
}

static omma_status Clip_run(const omma_exec *x, const omma_node *n) {
    if (!omma_wanted(n, 0)) return OMMA_OK;
    const clip *c = n->param;
    const omma_dtype t = n->in[0]->dtype;
    clip_job j = {x->kern, t, c->lo, c->hi, 0, 0, n->in[0]->mem, n->out[0]->mem};
    const omma_value *lo = omma_in(n, 1), *hi = omma_in(n, 2);
    omma_int_limits(t, &j.ilo, &j.ihi);
    if (lo) j.lo = omma_get_number(t, lo->mem, 0), j.ilo = omma_get_int(t, lo->mem, 0);
    if (hi) j.hi = omma_get_number(t, hi->mem, 0), j.ihi = omma_get_int(t, hi->mem, 0);
    omma_parallel(x->threads, omma_value_count(n->in[0]), OMMA_GRAIN, clip_part, &j);
    return OMMA_OK;
}
ROW(Clip, Clip_infer, Clip_run, 1, 3, 1, OMMA_OP_ELEMENTWISE, OMMA_NOT_YET)

/* --- boolean results ---------------------------------------------------------- */

#define NO_BOOL_GRAD "boolean output: nothing to differentiate"

static omma_status infer_bool(omma_build *b, omma_node *n, unsigned types) {
    OMMA_TRY(omma_want(b, n, 0, types));
    return omma_out(b, n, 0, OMMA_BOOL, n->in[0]->rank, n->in[0]->dims);
}

static omma_status Not_infer(omma_build *b, omma_node *n) { return infer_bool(b, n, OMMA_IN_BOOL); }
static omma_status Is_infer(omma_build *b, omma_node *n) { return infer_bool(b, n, OMMA_IN_FLOAT); }

static omma_status Not_run(const omma_exec *x, const omma_node *n) {
    (void)x;
    if (!omma_wanted(n, 0)) return OMMA_OK;
    const uint8_t *a = n->in[0]->mem;
    uint8_t *y = n->out[0]->mem;
    for (int64_t i = 0, k = omma_value_count(n->in[0]); i < k; i++) y[i] = !a[i];
    return OMMA_OK;
}

/* The kinds of numbers looked for: NaN, +inf, -inf. */
enum { WANT_NAN = 1, WANT_PLUS = 2, WANT_MINUS = 4 };

static void classify(const omma_node *n, unsigned want) {
    if (!omma_wanted(n, 0)) return;
    const omma_dtype t = n->in[0]->dtype;
    uint8_t *y = n->out[0]->mem;
    for (int64_t i = 0, k = omma_value_count(n->in[0]); i < k; i++) {
        const double v = omma_get_number(t, n->in[0]->mem, i);
        const unsigned is = isnan(v) ? WANT_NAN : !isinf(v) ? 0 : v > 0 ? WANT_PLUS : WANT_MINUS;
        y[i] = (is & want) != 0;
    }
}

static omma_status IsNaN_run(const omma_exec *x, const omma_node *n) {
    (void)x;
    classify(n, WANT_NAN);
    return OMMA_OK;
}

static omma_status IsInf_run(const omma_exec *x, const omma_node *n) {
    (void)x;
    classify(n, (omma_node_int(n, "detect_positive", 1) ? WANT_PLUS : 0u) |
                    (omma_node_int(n, "detect_negative", 1) ? WANT_MINUS : 0u));
    return OMMA_OK;
}
ROW(Not, Not_infer, Not_run, 1, 1, 1, OMMA_OP_ELEMENTWISE, NO_BOOL_GRAD)
ROW(IsNaN, Is_infer, IsNaN_run, 1, 1, 1, 0, NO_BOOL_GRAD)
ROW(IsInf, Is_infer, IsInf_run, 1, 1, 1, 0, NO_BOOL_GRAD)
