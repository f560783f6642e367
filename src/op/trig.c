/* trig.c - operators on each number alone that have no kernel of their own: Asin, Atan, Swish.
 *
 *     Asin, Atan: as in math.h, NaN outside [-1, 1] for Asin     Swish: x * sigmoid(alpha * x)
 *
 * x, y: any shape of floats. float16 and bfloat16 go through float, a block at a time.
 * Sources: ONNX Asin, Atan 7, 22; Swish 24. Trap: y may be x. */
#include <math.h>

#include "base/pool.h"
#include "op/element.h"

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

static void Asin_f32(const job *j, int64_t n, const float *x, float *y) {
    (void)j;
    for (int64_t i = 0; i < n; i++) y[i] = asinf(x[i]);
}

static void Atan_f32(const job *j, int64_t n, const float *x, float *y) {
    (void)j;
    for (int64_t i = 0; i < n; i++) y[i] = atanf(x[i]);
}

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

static double Asin_f64(const job *j, double x) {
    (void)j;
    return asin(x);
}

static double Atan_f64(const job *j, double x) {
    (void)j;
    return atan(x);
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
                                    .no_grad = OMMA_NOT_YET,                         \
                                    .no_field = OMMA_NOT_YET};
ROW(Asin)
ROW(Atan)
ROW(Swish)
