/* trig.c - operators on each number alone that have no kernel of their own: the inverse and
 * hyperbolic functions, Swish, SwiGLU, Shrink.
 *
 *     Acos, Acosh, Asin, Asinh, Atan, Atanh, Cosh, Sinh: as in math.h, NaN where undefined
 *     Swish: x * sigmoid(alpha * x)      SwiGLU: the same times a second input of x's shape
 *     Shrink: x + bias below -lambd, x - bias above lambd, 0 between
 *
 * x, y: any shape of floats, Shrink's of any numbers. float16 and bfloat16 go through float, a
 * block at a time. Sources: ONNX Acos, Asin, Atan 7, 22; Acosh, Asinh, Atanh, Cosh, Sinh 9, 22;
 * Shrink 9; Swish 24; SwiGLU 28. Trap: y may be x. */
#include <math.h>

#include "base/pool.h"
#include "op/activation_grad.h"
#include "op/element.h"
#include "op/field.h"
#include "op/grad.h"

enum { BLOCK = 1024 };

typedef struct job job;
struct job {
    const omma_kernels *kern;
    float alpha;
    omma_dtype type;
    const void *x;
    void *y;
    void (*f32)(const job *j, int64_t n, const float *x, float *y);
    double (*f64)(const job *j, double x);
};

#define FROM_MATH(Name, fn)                                                     \
    static void Name##_f32(const job *j, int64_t n, const float *x, float *y) { \
        (void)j;                                                                \
        for (int64_t i = 0; i < n; i++) y[i] = fn##f(x[i]);                     \
    }                                                                           \
    static double Name##_f64(const job *j, double x) {                          \
        (void)j;                                                                \
        return fn(x);                                                           \
    }
FROM_MATH(Acos, acos)
FROM_MATH(Acosh, acosh)
FROM_MATH(Asin, asin)
FROM_MATH(Asinh, asinh)
FROM_MATH(Atan, atan)
FROM_MATH(Atanh, atanh)
FROM_MATH(Cosh, cosh)
FROM_MATH(Sinh, sinh)

static void Swish_f32(const job *j, int64_t n, const float *x, float *y) {
    float t[BLOCK];
    if (j->alpha == 1) {
        j->kern->unary[OMMA_UN_SILU](n, x, y);
        return;
    }
    for (int64_t at = 0; at < n; at += BLOCK) {
        const int64_t m = n - at < BLOCK ? n - at : BLOCK;
        j->kern->binary[OMMA_BIN_MUL](m, x + at, 1, &j->alpha, 0, t);
        j->kern->unary[OMMA_UN_SIGMOID](m, t, t);
        j->kern->binary[OMMA_BIN_MUL](m, x + at, 1, t, 1, y + at);
    }
}

static double Swish_f64(const job *j, double x) { return x / (1 + exp(-(double)j->alpha * x)); }

static omma_status infer(omma_build *b, omma_node *n) {
    OMMA_TRY(omma_want(b, n, 0, OMMA_IN_FLOAT));
    return omma_out_like(b, n, 0, n->in[0]);
}

static void halves(const job *j, int64_t begin, int64_t end) {
    float t[BLOCK];
    for (int64_t at = begin; at < end; at += BLOCK) {
        const int64_t m = end - at < BLOCK ? end - at : BLOCK;
        omma_load_halves(j->type, (const uint16_t *)j->x + at, m, t);
        j->f32(j, m, t, t);
        omma_store_halves(j->type, t, m, (uint16_t *)j->y + at);
    }
}

static void part(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    if (j->type == OMMA_F32)
        j->f32(j, end - begin, (const float *)j->x + begin, (float *)j->y + begin);
    else if (j->type == OMMA_F64)
        for (int64_t i = begin; i < end; i++)
            ((double *)j->y)[i] = j->f64(j, ((const double *)j->x)[i]);
    else halves(j, begin, end);
}

/* --- gradients: dy the cotangent, x the input ---------------------------------- */

#define BACK(Name, expr)                                               \
    static omma_status Name##_grad(omma_grad *g, const omma_node *n) { \
        omma_maker *m = &g->m;                                         \
        omma_value *dy = omma_grad_out(g, n, 0), *x = n->in[0];        \
        return omma_grad_add(g, n, 0, expr);                           \
    }
#define MUL(p, q) omma_make_2(m, "Mul", p, q)
#define DIV(p, q) omma_make_2(m, "Div", p, q)
#define FN(name, p) omma_make_1(m, #name, p)
/* 1 - x^2, and x^2 + k */
#define REST omma_make_2(m, "Sub", omma_make_number(m, x, 1), omma_make_squared(m, x))
#define SQUARE_AND(k) omma_make_shifted(m, omma_make_squared(m, x), k)

BACK(Acos, FN(Neg, DIV(dy, FN(Sqrt, REST))))
BACK(Acosh, DIV(dy, FN(Sqrt, SQUARE_AND(-1))))
BACK(Asin, DIV(dy, FN(Sqrt, REST)))
BACK(Asinh, DIV(dy, FN(Sqrt, SQUARE_AND(1))))
BACK(Atan, DIV(dy, SQUARE_AND(1)))
BACK(Atanh, DIV(dy, REST))
BACK(Cosh, MUL(dy, FN(Sinh, x)))
BACK(Sinh, MUL(dy, FN(Cosh, x)))

static omma_value *swish_grad(omma_maker *m, const omma_node *n, omma_value *dy) {
    const omma_attr alpha = OMMA_A_FLOAT("alpha", omma_node_float(n, "alpha", 1));
    return omma_activation_grad(m, &omma_op_SwishGrad, dy, n->in[0], &alpha);
}

static omma_status Swish_grad(omma_grad *g, const omma_node *n) {
    return omma_grad_add(g, n, 0, swish_grad(&g->m, n, omma_grad_out(g, n, 0)));
}

#define ROW(Name)                                                                    \
    static omma_status Name##_run(const omma_exec *x, const omma_node *n) {          \
        if (!omma_wanted(n, 0)) return OMMA_OK;                                      \
        job j = {.kern = x->kern,                                                    \
                 .alpha = omma_node_float(n, "alpha", 1),                            \
                 .type = n->in[0]->dtype,                                            \
                 .x = n->in[0]->mem,                                                 \
                 .y = n->out[0]->mem,                                                \
                 .f32 = Name##_f32,                                                  \
                 .f64 = Name##_f64};                                                 \
        omma_parallel(x->threads, omma_value_count(n->in[0]), OMMA_GRAIN, part, &j); \
        return OMMA_OK;                                                              \
    }                                                                                \
    const omma_op omma_op_##Name = {.name = #Name,                                   \
                                    .min_in = 1,                                     \
                                    .max_in = 1,                                     \
                                    .min_out = 1,                                    \
                                    .max_out = 1,                                    \
                                    .flags = OMMA_OP_ELEMENTWISE,                    \
                                    .infer = infer,                                  \
                                    .run = Name##_run,                               \
                                    .grad = Name##_grad,                             \
                                    .field = omma_field_elementwise};
ROW(Acos)
ROW(Acosh)
ROW(Asin)
ROW(Asinh)
ROW(Atan)
ROW(Atanh)
ROW(Cosh)
ROW(Sinh)
ROW(Swish)

/* --- SwiGLU, Shrink: number by number, in double ------------------------------ */

typedef struct plain_job {
    const omma_node *n;
    double a, b; /* alpha, or lambd and bias */
    double (*fn)(const struct plain_job *j, int64_t i);
} plain_job;

static double at(const omma_value *v, int64_t i) { return omma_get_number(v->dtype, v->mem, i); }

static double SwiGLU_number(const plain_job *j, int64_t i) {
    const double x = at(j->n->in[0], i);
    return x / (1 + exp(-j->a * x)) * at(j->n->in[1], i);
}

static double Shrink_number(const plain_job *j, int64_t i) {
    const double x = at(j->n->in[0], i);
    return x < -j->a ? x + j->b : x > j->a ? x - j->b : x == x ? 0 : x;
}

static void plain_part(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const plain_job *j = arg;
    const omma_value *y = j->n->out[0];
    for (int64_t i = begin; i < end; i++) omma_set_number(y->dtype, y->mem, i, j->fn(j, i));
}

static omma_status plain_run(const omma_exec *x, plain_job j) {
    if (omma_wanted(j.n, 0))
        omma_parallel(x->threads, omma_value_count(j.n->out[0]), OMMA_GRAIN / 4, plain_part, &j);
    return OMMA_OK;
}

static omma_status SwiGLU_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0], *z = n->in[1];
    OMMA_TRY(omma_want(b, n, 0, OMMA_IN_FLOAT));
    OMMA_TRY(omma_want_same(b, n, 1));
    for (int d = 0; d < x->rank || d < z->rank; d++)
        if (x->rank != z->rank || x->dims[d] != z->dims[d])
            return omma_bad(b, n, "'%s' and '%s' differ in shape", x->name, z->name);
    return omma_out_like(b, n, 0, x);
}

static omma_status SwiGLU_run(const omma_exec *x, const omma_node *n) {
    return plain_run(x, (plain_job){n, (double)omma_node_float(n, "alpha", 1), 0, SwiGLU_number});
}

static omma_status Shrink_infer(omma_build *b, omma_node *n) {
    OMMA_TRY(omma_want(b, n, 0, OMMA_IN_NUMBER));
    return omma_out_like(b, n, 0, n->in[0]);
}

static omma_status Shrink_run(const omma_exec *x, const omma_node *n) {
    return plain_run(x, (plain_job){n, (double)omma_node_float(n, "lambd", 0.5f),
                                    (double)omma_node_float(n, "bias", 0), Shrink_number});
}

static omma_status SwiGLU_grad(omma_grad *g, const omma_node *n) {
    omma_maker *m = &g->m;
    const omma_attr alpha = OMMA_A_FLOAT("alpha", omma_node_float(n, "alpha", 1));
    omma_value *dy = omma_grad_out(g, n, 0), *x = n->in[0];
    if (omma_grad_wants(g, n, 0))
        OMMA_TRY(omma_grad_add(g, n, 0, swish_grad(m, n, MUL(dy, n->in[1]))));
    if (!omma_grad_wants(g, n, 1)) return m->status;
    return omma_grad_add(g, n, 1, MUL(dy, omma_make(m, "Swish", &x, 1, &alpha, 1)));
}

/* 1 beyond lambd on either side, 0 between. */
static omma_status Shrink_grad(omma_grad *g, const omma_node *n) {
    omma_maker *m = &g->m;
    omma_value *dy = omma_grad_out(g, n, 0), *x = n->in[0];
    omma_value *lambd = omma_make_number(m, x, (double)omma_node_float(n, "lambd", 0.5f));
    omma_value *beyond = omma_make_2(m, "Greater", FN(Abs, x), lambd);
    return omma_grad_add(g, n, 0, omma_make_3(m, "Where", beyond, dy, omma_make_number(m, dy, 0)));
}

#define PLAIN_ROW(Name, inputs)                                   \
    const omma_op omma_op_##Name = {.name = #Name,                \
                                    .min_in = inputs,             \
                                    .max_in = inputs,             \
                                    .min_out = 1,                 \
                                    .max_out = 1,                 \
                                    .flags = OMMA_OP_ELEMENTWISE, \
                                    .infer = Name##_infer,        \
                                    .run = Name##_run,            \
                                    .grad = Name##_grad,          \
                                    .field = omma_field_elementwise};
PLAIN_ROW(Shrink, 1)
PLAIN_ROW(SwiGLU, 2)
