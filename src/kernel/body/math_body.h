/* math_body.h - element-wise functions of the table for any vector of vec_*.h. The last
 * lanes of a row go through the same instructions as all others, masked: so a number does
 * not depend on where it stands. */
#include "kernel/table.h"

#define UNARY(name, expr)                                              \
    static void ISA(name##_f32)(int64_t n, const float *x, float *y) { \
        int64_t i = 0;                                                 \
        for (; i + VL <= n; i += VL) {                                 \
            const vf v = v_load(x + i);                                \
            v_store(y + i, expr);                                      \
        }                                                              \
        if (i < n) {                                                   \
            const vf v = v_load_n(x + i, (int)(n - i));                \
            v_store_n(y + i, expr, (int)(n - i));                      \
        }                                                              \
    }

UNARY(exp, v_exp(v))
UNARY(log, v_log(v))
UNARY(sqrt, v_sqrt(v))
UNARY(tanh, v_tanh(v))
UNARY(sigmoid, v_sigmoid(v))
UNARY(erf, v_erf(v))
UNARY(relu, v_max(v_set(0), v))
UNARY(neg, v_xor(v_set(-0.0f), v))
UNARY(abs, v_abs(v))
UNARY(reciprocal, v_div(v_set(1), v))
UNARY(silu, v_silu(v))
UNARY(gelu, v_gelu(v))
UNARY(hswish, v_hswish(v))

/* The operands at i, where a stride of 0 repeats the first number. */
#define BINARY(name, expr)                                                                     \
    static inline __attribute__((always_inline)) void name##_row(                              \
        int64_t n, const float *a, int sa, const float *b, int sb, float *y) {                 \
        const vf a0 = v_set(*a), b0 = v_set(*b);                                               \
        int64_t i = 0;                                                                         \
        for (; i + VL <= n; i += VL) {                                                         \
            const vf u = sa ? v_load(a + i) : a0, v = sb ? v_load(b + i) : b0;                 \
            v_store(y + i, expr);                                                              \
        }                                                                                      \
        if (i < n) {                                                                           \
            const int rest = (int)(n - i);                                                     \
            const vf u = sa ? v_load_n(a + i, rest) : a0, v = sb ? v_load_n(b + i, rest) : b0; \
            v_store_n(y + i, expr, rest);                                                      \
        }                                                                                      \
    }                                                                                          \
    static void ISA(name##_f32)(int64_t n, const float *a, int sa, const float *b, int sb,     \
                                float *y) {                                                    \
        if (n > 0) name##_row(n, a, sa, b, sb, y);                                             \
    }                                                                                          \
    static void ISA(name##_rows)(int64_t rows, int64_t n, const float *a, int64_t ra, int sa,  \
                                 const float *b, int64_t rb, int sb, float *y) {               \
        if (n <= 0) return;                                                                    \
        for (; rows > 0; rows--, a += ra, b += rb, y += n) name##_row(n, a, sa, b, sb, y);     \
    }

BINARY(add, v_add(u, v))
BINARY(sub, v_sub(u, v))
BINARY(mul, v_mul(u, v))
BINARY(div, v_div(u, v))
BINARY(max, v_select(v_isnan(u), u, v_max(u, v)))
BINARY(min, v_select(v_isnan(u), u, v_min(u, v)))

static void ISA(clip_f32)(int64_t n, const float *x, float lo, float hi, float *y) {
    const vf low = v_set(lo), high = v_set(hi);
    for (int64_t i = 0; i < n; i += VL) {
        const int lanes = n - i < VL ? (int)(n - i) : VL;
        v_store_n(y + i, v_min(high, v_max(low, v_load_n(x + i, lanes))), lanes);
    }
}

static void ISA(affine_f32)(int64_t n, const float *x, const float *scale, const float *shift,
                            int stride, float *y) {
    if (n <= 0) return;
    const vf s0 = v_set(*scale), t0 = v_set(*shift);
    for (int64_t i = 0; i < n; i += VL) {
        const int lanes = n - i < VL ? (int)(n - i) : VL;
        const vf s = stride ? v_load_n(scale + i, lanes) : s0,
                 t = stride ? v_load_n(shift + i, lanes) : t0;
        v_store_n(y + i, v_fma(v_load_n(x + i, lanes), s, t), lanes);
    }
}

static void ISA(accumulate_f32)(int64_t m, int64_t n, const float *x, int64_t x_ld, float *y,
                                int64_t y_ld) {
    for (; m > 0; m--, x += x_ld, y += y_ld) {
        int64_t i = 0;
        for (; i + VL <= n; i += VL) v_store(y + i, v_add(v_load(y + i), v_load(x + i)));
        if (i < n) {
            const int rest = (int)(n - i);
            v_store_n(y + i, v_add(v_load_n(y + i, rest), v_load_n(x + i, rest)), rest);
        }
    }
}

static void ISA(sum_products_f32)(int64_t m, int64_t n, int64_t taps, const float *const *x,
                                  int64_t x_ld, const float *const *w, const float *bias, float *y,
                                  int64_t y_ld) {
    for (int64_t i = 0; i < m; i++, y += y_ld)
        for (int64_t j = 0; j < n; j += VL) {
            const int lanes = n - j < VL ? (int)(n - j) : VL;
            vf sum = bias ? v_load_n(bias + j, lanes) : v_set(0);
            for (int64_t t = 0; t < taps; t++)
                sum = v_fma(v_load_n(x[t] + i * x_ld + j, lanes), v_load_n(w[t] + j, lanes), sum);
            v_store_n(y + j, sum, lanes);
        }
}

static void fill_math(omma_kernels *k) {
    k->unary[OMMA_UN_EXP] = ISA(exp_f32);
    k->unary[OMMA_UN_LOG] = ISA(log_f32);
    k->unary[OMMA_UN_SQRT] = ISA(sqrt_f32);
    k->unary[OMMA_UN_TANH] = ISA(tanh_f32);
    k->unary[OMMA_UN_SIGMOID] = ISA(sigmoid_f32);
    k->unary[OMMA_UN_ERF] = ISA(erf_f32);
    k->unary[OMMA_UN_RELU] = ISA(relu_f32);
    k->unary[OMMA_UN_NEG] = ISA(neg_f32);
    k->unary[OMMA_UN_ABS] = ISA(abs_f32);
    k->unary[OMMA_UN_RECIPROCAL] = ISA(reciprocal_f32);
    k->unary[OMMA_UN_SILU] = ISA(silu_f32);
    k->unary[OMMA_UN_GELU] = ISA(gelu_f32);
    k->unary[OMMA_UN_HSWISH] = ISA(hswish_f32);
    k->binary[OMMA_BIN_ADD] = ISA(add_f32);
    k->binary_rows[OMMA_BIN_ADD] = ISA(add_rows);
    k->binary[OMMA_BIN_SUB] = ISA(sub_f32);
    k->binary_rows[OMMA_BIN_SUB] = ISA(sub_rows);
    k->binary[OMMA_BIN_MUL] = ISA(mul_f32);
    k->binary_rows[OMMA_BIN_MUL] = ISA(mul_rows);
    k->binary[OMMA_BIN_DIV] = ISA(div_f32);
    k->binary_rows[OMMA_BIN_DIV] = ISA(div_rows);
    k->binary[OMMA_BIN_MAX] = ISA(max_f32);
    k->binary_rows[OMMA_BIN_MAX] = ISA(max_rows);
    k->binary[OMMA_BIN_MIN] = ISA(min_f32);
    k->binary_rows[OMMA_BIN_MIN] = ISA(min_rows);
    k->clip = ISA(clip_f32);
    k->affine = ISA(affine_f32);
    k->accumulate = ISA(accumulate_f32);
    k->sum_products = ISA(sum_products_f32);
}
