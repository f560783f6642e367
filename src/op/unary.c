/* unary.c - operators that work on each number alone: y[i] = f(x[i]).
 *
 * One line of UNARY_LIST is one operator. Its numbers come from f32 and f64 functions (f32
 * from a kernel where there is one; float16 and bfloat16 go through the f32 one, a block at a
 * time) and, where ONNX allows integers, from one over every width. Its gradient is a formula.
 *
 * Traps: NaN must come out of everything as NaN, so comparisons are written so that NaN falls
 * through; -INT_MIN wraps around as in NumPy; y may be x. */
#include <math.h>
#include <string.h>
#include <tgmath.h>

#include "base/pool.h"
#include "op/activation_grad.h"
#include "op/element.h"
#include "op/field.h"
#include "op/grad.h"

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
PLAIN(Sign, fabs(x) > 0 ? copysign((T)1, x) : x)
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

/* --- gradients: dy the cotangent, x the input, y the output, a alpha --------- */

#define BACK(Name, expr)                                                        \
    static omma_status Name##_grad(omma_grad *g, const omma_node *n) {          \
        omma_maker *m = &g->m;                                                  \
        const double a = (double)((const un *)n->param)->a;                     \
        omma_value *dy = omma_grad_out(g, n, 0), *x = n->in[0], *y = n->out[0]; \
        (void)a, (void)x, (void)y;                                              \
        return omma_grad_add(g, n, 0, expr);                                    \
    }
#define MUL(p, q) omma_make_2(m, "Mul", p, q)
#define DIV(p, q) omma_make_2(m, "Div", p, q)
#define FN(name, p) omma_make_1(m, #name, p)
#define SCALED(p, k) omma_make_scaled(m, p, k)
#define PLUS(p, k) omma_make_shifted(m, p, k)
#define SQUARED(p) omma_make_squared(m, p)
#define NUMBER(k) omma_make_number(m, x, k)
#define WHERE_ABOVE_0(v, p, q) \
    omma_make_3(m, "Where", omma_make_2(m, "Greater", v, NUMBER(0)), p, q)
#define ROW_OF(name, v) omma_activation_grad(m, &omma_op_##name##Grad, dy, v, NULL)

BACK(Abs, MUL(dy, FN(Sign, x)))
BACK(Cos, MUL(dy, FN(Neg, FN(Sin, x))))
BACK(Erf, MUL(dy, SCALED(FN(Exp, FN(Neg, SQUARED(x))), 1.12837916709551257390)))
BACK(Exp, MUL(dy, y))
BACK(HardSigmoid, SCALED(omma_clip_grad(m, dy, y, NUMBER(0), NUMBER(1), 0), a))
BACK(HardSwish, ROW_OF(HardSwish, x))
BACK(LeakyRelu, omma_clip_grad(m, dy, a > 0 ? y : x, NUMBER(0), NULL, (float)a))
BACK(Log, DIV(dy, x))
BACK(Neg, FN(Neg, dy))
BACK(Reciprocal, MUL(dy, FN(Neg, SQUARED(y))))
BACK(Relu, omma_clip_grad(m, dy, y, NUMBER(0), NULL, 0))
BACK(Sigmoid, ROW_OF(Sigmoid, y))
BACK(Sin, MUL(dy, FN(Cos, x)))
BACK(Softplus, MUL(dy, FN(Sigmoid, x)))
BACK(Softsign, DIV(dy, SQUARED(PLUS(FN(Abs, x), 1))))
BACK(Sqrt, DIV(SCALED(dy, 0.5), y))
BACK(Tan, MUL(dy, PLUS(SQUARED(y), 1)))
BACK(Tanh, ROW_OF(Tanh, y))
BACK(ThresholdedRelu, omma_clip_grad(m, dy, x, NUMBER(a), NULL, 0))

/* Behind 0 the slope is a e^(x / a) / a = y / a + 1, before it 1. */
BACK(Celu, MUL(dy, PLUS(omma_make_2(m, a > 0 ? "Min" : "Max", SCALED(y, 1 / a), NUMBER(0)), 1)))
BACK(Elu, MUL(dy, WHERE_ABOVE_0(x, NUMBER(1), PLUS(y, a))))

static omma_status Selu_grad(omma_grad *g, const omma_node *n) {
    omma_maker *m = &g->m;
    const un *u = n->param;
    const double a = (double)u->a, b = (double)u->b;
    omma_value *dy = omma_grad_out(g, n, 0), *x = n->in[0], *y = n->out[0];
    return omma_grad_add(g, n, 0, MUL(dy, WHERE_ABOVE_0(x, NUMBER(b), PLUS(y, a * b))));
}

/* t + x (1 - t^2) sigmoid(x) with t = tanh(softplus(x)). */
static omma_status Mish_grad(omma_grad *g, const omma_node *n) {
    omma_maker *m = &g->m;
    omma_value *x = n->in[0], *t = FN(Tanh, FN(Softplus, x));
    omma_value *rest = omma_make_2(m, "Sub", NUMBER(1), SQUARED(t));
    omma_value *slope = omma_make_2(m, "Add", t, MUL(MUL(x, FN(Sigmoid, x)), rest));
    return omma_grad_add(g, n, 0, MUL(omma_grad_out(g, n, 0), slope));
}

static omma_status Gelu_grad(omma_grad *g, const omma_node *n) {
    const omma_attr how = OMMA_A_STRING("approximate", omma_node_string(n, "approximate", "none"));
    return omma_grad_add(
        g, n, 0,
        omma_activation_grad(&g->m, &omma_op_GeluGrad, omma_grad_out(g, n, 0), n->in[0], &how));
}

/* --- rows -------------------------------------------------------------------------------- */

#define STEPS omma_grad_zero /* piecewise constant */
#define SIGNED (OMMA_IN_FLOAT | OMMA_IN_SIGNED)

/* name, types, integer form, attributes with defaults, gradient */
#define UNARY_LIST(X)                                                                  \
    X(Abs, OMMA_IN_NUMBER, Abs_int, NULL, 0, NULL, 0, Abs_grad)                        \
    X(Ceil, OMMA_IN_FLOAT, NULL, NULL, 0, NULL, 0, STEPS)                              \
    X(Celu, OMMA_IN_FLOAT, NULL, "alpha", 1, NULL, 0, Celu_grad)                       \
    X(Cos, OMMA_IN_FLOAT, NULL, NULL, 0, NULL, 0, Cos_grad)                            \
    X(Elu, OMMA_IN_FLOAT, NULL, "alpha", 1, NULL, 0, Elu_grad)                         \
    X(Erf, OMMA_IN_NUMBER, Erf_int, NULL, 0, NULL, 0, Erf_grad)                        \
    X(Exp, OMMA_IN_FLOAT, NULL, NULL, 0, NULL, 0, Exp_grad)                            \
    X(Floor, OMMA_IN_FLOAT, NULL, NULL, 0, NULL, 0, STEPS)                             \
    X(HardSigmoid, OMMA_IN_FLOAT, NULL, "alpha", 0.2f, "beta", 0.5f, HardSigmoid_grad) \
    X(HardSwish, OMMA_IN_FLOAT, NULL, NULL, 0, NULL, 0, HardSwish_grad)                \
    X(LeakyRelu, OMMA_IN_FLOAT, NULL, "alpha", 0.01f, NULL, 0, LeakyRelu_grad)         \
    X(Log, OMMA_IN_FLOAT, NULL, NULL, 0, NULL, 0, Log_grad)                            \
    X(Mish, OMMA_IN_FLOAT, NULL, NULL, 0, NULL, 0, Mish_grad)                          \
    X(Neg, SIGNED, Neg_int, NULL, 0, NULL, 0, Neg_grad)                                \
    X(Reciprocal, OMMA_IN_FLOAT, NULL, NULL, 0, NULL, 0, Reciprocal_grad)              \
    X(Relu, SIGNED, Relu_int, NULL, 0, NULL, 0, Relu_grad)                             \
    X(Round, OMMA_IN_FLOAT, NULL, NULL, 0, NULL, 0, STEPS)                             \
    X(Sigmoid, OMMA_IN_FLOAT, NULL, NULL, 0, NULL, 0, Sigmoid_grad)                    \
    X(Sign, OMMA_IN_NUMBER, Sign_int, NULL, 0, NULL, 0, STEPS)                         \
    X(Sin, OMMA_IN_FLOAT, NULL, NULL, 0, NULL, 0, Sin_grad)                            \
    X(Softplus, OMMA_IN_FLOAT, NULL, NULL, 0, NULL, 0, Softplus_grad)                  \
    X(Softsign, OMMA_IN_FLOAT, NULL, NULL, 0, NULL, 0, Softsign_grad)                  \
    X(Sqrt, OMMA_IN_FLOAT, NULL, NULL, 0, NULL, 0, Sqrt_grad)                          \
    X(Tan, OMMA_IN_FLOAT, NULL, NULL, 0, NULL, 0, Tan_grad)                            \
    X(Tanh, OMMA_IN_FLOAT, NULL, NULL, 0, NULL, 0, Tanh_grad)                          \
    X(ThresholdedRelu, OMMA_IN_FLOAT, NULL, "alpha", 1, NULL, 0, ThresholdedRelu_grad)

#define ROW(Name, grad_)                                          \
    const omma_op omma_op_##Name = {.name = #Name,                \
                                    .min_in = 1,                  \
                                    .max_in = 1,                  \
                                    .min_out = 1,                 \
                                    .max_out = 1,                 \
                                    .flags = OMMA_OP_ELEMENTWISE, \
                                    .infer = Name##_infer,        \
                                    .run = run,                   \
                                    .grad = grad_,                \
                                    .field = omma_field_elementwise};

#define X(Name, types_, ints_, a_name_, a_, b_name_, b_, grad_)                                    \
    static omma_status Name##_infer(omma_build *b, omma_node *n) {                                 \
        static const unary op = {types_, Name##_f32, Name##_f64, ints_, a_name_, b_name_, a_, b_}; \
        return infer(b, n, &op);                                                                   \
    }                                                                                              \
    ROW(Name, grad_)
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
ROW(Selu, Selu_grad)

static omma_status BitwiseNot_infer(omma_build *b, omma_node *n) {
    static const unary op = {OMMA_IN_INT, NULL, NULL, BitwiseNot_int, NULL, NULL, 0, 0};
    return infer(b, n, &op);
}
const omma_op omma_op_BitwiseNot = {.name = "BitwiseNot",
                                    .min_in = 1,
                                    .max_in = 1,
                                    .min_out = 1,
                                    .max_out = 1,
                                    .flags = OMMA_OP_ELEMENTWISE,
                                    .infer = BitwiseNot_infer,
                                    .run = run,
                                    .no_grad = "bits of integers: nothing to differentiate",
                                    .field = omma_field_elementwise};

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
ROW(Gelu, Gelu_grad)
