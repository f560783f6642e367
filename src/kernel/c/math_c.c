/* math_c.c - the reference element-wise functions: computed in double by libm and rounded
 * once, so they are right to half an ulp or nearly; see kernel.h. Comparisons are written
 * so that NaN fails them and stays. */
#include <math.h>

#include "kernel/table.h"

#define UNARY(name, expr)                                         \
    static void name##_f32(int64_t n, const float *x, float *y) { \
        for (int64_t i = 0; i < n; i++) {                         \
            const float v = x[i];                                 \
            y[i] = (float)(expr);                                 \
        }                                                         \
    }

static float act(omma_act a, float v) { return omma_act_apply(&(omma_epilogue){.act = a}, v); }

UNARY(exp, exp((double)v))
UNARY(log, log((double)v))
UNARY(sqrt, sqrtf(v))
UNARY(tanh, tanh((double)v))
UNARY(sigmoid, 1 / (1 + exp(-(double)v)))
UNARY(erf, erf((double)v))
UNARY(relu, act(OMMA_ACT_RELU, v))
UNARY(neg, -v)
UNARY(abs, fabsf(v))
UNARY(reciprocal, 1 / v)
UNARY(silu, act(OMMA_ACT_SILU, v))
UNARY(gelu, act(OMMA_ACT_GELU, v))
UNARY(hswish, act(OMMA_ACT_HSWISH, v))

#define BINARY(name, expr)                                                                        \
    static void name##_f32(int64_t n, const float *a, int sa, const float *b, int sb, float *y) { \
        const float a0 = n ? *a : 0, b0 = n ? *b : 0; /* y may be the other one */                \
        for (int64_t i = 0; i < n; i++) {                                                         \
            const float u = sa ? a[i] : a0, v = sb ? b[i] : b0;                                   \
            y[i] = (expr);                                                                        \
        }                                                                                         \
    }                                                                                             \
    static void name##_rows(int64_t rows, int64_t n, const float *a, int64_t ra, int sa,          \
                            const float *b, int64_t rb, int sb, float *y) {                       \
        for (int64_t r = 0; r < rows; r++)                                                        \
            name##_f32(n, a + r * ra, sa, b + r * rb, sb, y + r * n);                             \
    }

BINARY(add, u + v)
BINARY(sub, u - v)
BINARY(mul, u *v)
BINARY(div, u / v)
BINARY(max, isnan(u) || u > v ? u : v)
BINARY(min, isnan(u) || u < v ? u : v)

static void clip_f32(int64_t n, const float *x, float lo, float hi, float *y) {
    const omma_epilogue e = {.act = OMMA_ACT_CLIP, .lo = lo, .hi = hi};
    for (int64_t i = 0; i < n; i++) y[i] = omma_act_apply(&e, x[i]);
}

static void affine_f32(int64_t n, const float *x, const float *scale, const float *shift,
                       int stride, float *y) {
    for (int64_t i = 0; i < n; i++) y[i] = x[i] * scale[i * stride] + shift[i * stride];
}

static void accumulate(int64_t m, int64_t n, const float *x, int64_t x_ld, float *y, int64_t y_ld) {
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) y[i * y_ld + j] += x[i * x_ld + j];
}

static void sum_products(int64_t m, int64_t n, int64_t taps, const float *const *x, int64_t x_ld,
                         const float *const *w, const float *bias, float *y, int64_t y_ld) {
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            float sum = bias ? bias[j] : 0;
            for (int64_t t = 0; t < taps; t++) sum += x[t][i * x_ld + j] * w[t][j];
            y[i * y_ld + j] = sum;
        }
}

void omma_fill_math_c(omma_kernels *k) {
    k->unary[OMMA_UN_EXP] = exp_f32;
    k->unary[OMMA_UN_LOG] = log_f32;
    k->unary[OMMA_UN_SQRT] = sqrt_f32;
    k->unary[OMMA_UN_TANH] = tanh_f32;
    k->unary[OMMA_UN_SIGMOID] = sigmoid_f32;
    k->unary[OMMA_UN_ERF] = erf_f32;
    k->unary[OMMA_UN_RELU] = relu_f32;
    k->unary[OMMA_UN_NEG] = neg_f32;
    k->unary[OMMA_UN_ABS] = abs_f32;
    k->unary[OMMA_UN_RECIPROCAL] = reciprocal_f32;
    k->unary[OMMA_UN_SILU] = silu_f32;
    k->unary[OMMA_UN_GELU] = gelu_f32;
    k->unary[OMMA_UN_HSWISH] = hswish_f32;
    k->binary[OMMA_BIN_ADD] = add_f32;
    k->binary_rows[OMMA_BIN_ADD] = add_rows;
    k->binary[OMMA_BIN_SUB] = sub_f32;
    k->binary_rows[OMMA_BIN_SUB] = sub_rows;
    k->binary[OMMA_BIN_MUL] = mul_f32;
    k->binary_rows[OMMA_BIN_MUL] = mul_rows;
    k->binary[OMMA_BIN_DIV] = div_f32;
    k->binary_rows[OMMA_BIN_DIV] = div_rows;
    k->binary[OMMA_BIN_MAX] = max_f32;
    k->binary_rows[OMMA_BIN_MAX] = max_rows;
    k->binary[OMMA_BIN_MIN] = min_f32;
    k->binary_rows[OMMA_BIN_MIN] = min_rows;
    k->clip = clip_f32;
    k->affine = affine_f32;
    k->accumulate = accumulate;
    k->sum_products = sum_products;
}
