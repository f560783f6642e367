/* gemm_c.c - the reference matrix tile, packing, and what is done to a value before it is
 * stored: plain loops that are right by inspection; see kernel.h. */
#include <math.h>

#include "kernel/table.h"

enum { MR = 4, NR = 16 };

/* x times the normal distribution function; erfc keeps its small values on the left exact. */
static double gelu(double v) {
    if (isinf(v)) return v < 0 ? -0.0 : v;
    return 0.5 * v * erfc(-v * 0.70710678118654752440);
}

static float hswish(float v) {
    const float part = v + 3 < 0 ? 0 : v + 3 > 6 ? 6 : v + 3;
    return (v < -3 ? -3 : v) * (part / 6);
}

/* y * scale + shift, rounded once. */
static float line(const omma_epilogue *e, float y) {
    return (float)((double)y * (double)e->lo + (double)e->hi);
}

/* Comparisons are written so that NaN fails them and stays. Activations that multiply x by
 * a factor going to 0 give -0 at -inf, their limit, and not NaN. */
float omma_act_apply(const omma_epilogue *e, float v) {
    switch (e->act) {
    case OMMA_ACT_NONE: break;
    case OMMA_ACT_RELU: return v < 0 ? 0 : v;
    case OMMA_ACT_CLIP: v = v < e->lo ? e->lo : v; return v > e->hi ? e->hi : v;
    case OMMA_ACT_HSWISH: return hswish(v);
    case OMMA_ACT_SILU: return (float)((v < -200 ? -200 : (double)v) / (1 + exp(-(double)v)));
    case OMMA_ACT_GELU: return (float)gelu((double)v);
    case OMMA_ACT_RELU_LINE: return line(e, v < 0 ? 0 : v);
    case OMMA_ACT_HSWISH_LINE: return line(e, hswish(v));
    case OMMA_ACT_COUNT: break;
    }
    return v;
}

static void conv_f32_4x16(int m, int n, int64_t taps, const int64_t *off, int64_t k, const float *a,
                          int64_t lda, const float *b, float *c, int64_t ldc, unsigned flags,
                          const omma_epilogue *e, const omma_ahead *next) {
    (void)next;
    for (int i = 0; i < m; i++) {
        const omma_f32u *row = (const omma_f32u *)a + i * lda;
        for (int j = 0; j < n; j++) {
            float s = 0;
            for (int64_t t = 0; t < taps; t++)
                for (int64_t l = 0; l < k; l++) s += row[off[t] + l] * b[(t * k + l) * NR + j];
            if (flags & OMMA_TILE_ACC) s += c[i * ldc + j];
            if (e && e->add) s += e->add[i * e->add_ld + j];
            if (e && e->row_bias) s += e->row_bias[i];
            if (e && e->col_bias) s += e->col_bias[j];
            c[i * ldc + j] = e ? omma_act_apply(e, s) : s;
        }
    }
}

static void gemm_f32_4x16(int m, int n, int64_t k, const float *a, int64_t lda, const float *b,
                          float *c, int64_t ldc, bool acc, const omma_epilogue *e) {
    static const int64_t none = 0;
    conv_f32_4x16(m, n, 1, &none, k, a, lda, b, c, ldc, acc ? OMMA_TILE_ACC : 0, e, NULL);
}

static void finish_f32(int64_t n, const float *x, const float *bias, int stride,
                       const omma_epilogue *e, float *y) {
    for (int64_t i = 0; i < n; i++) {
        const float v = bias ? x[i] + bias[i * stride] : x[i];
        y[i] = e ? omma_act_apply(e, v) : v;
    }
}

static void gemm_row_f32(int n, int64_t k, const float *a, const float *b, int64_t panel, float *c,
                         bool acc, const omma_epilogue *e) {
    for (int j = 0; j < n; j += NR, b += panel) {
        omma_epilogue here = e ? *e : (omma_epilogue){0};
        if (here.add) here.add += j;
        if (here.col_bias) here.col_bias += j;
        gemm_f32_4x16(1, n - j < NR ? n - j : NR, k, a, k, b, c + j, NR, acc, e ? &here : NULL);
    }
}

static void gemv_f32(int64_t m, int64_t k, const float *a, int64_t lda, const float *x, float *y) {
    for (int64_t i = 0; i < m; i++) {
        const omma_f32u *row = (const omma_f32u *)a + i * lda;
        float s = 0;
        for (int64_t l = 0; l < k; l++) s += row[l] * x[l];
        y[i] = s;
    }
}

static void pack_cols_f32(int64_t k, int n, const float *b, int64_t col, float *panel) {
    const omma_f32u *src = (const omma_f32u *)b;
    for (int64_t i = 0; i < k; i++)
        for (int j = 0; j < NR; j++) panel[i * NR + j] = j < n ? src[i + j * col] : 0;
}

void omma_fill_gemm_c(omma_kernels *k) {
    k->mr = MR;
    k->nr = NR;
    k->gemm_tile = gemm_f32_4x16;
    k->conv_tile = conv_f32_4x16;
    k->finish = finish_f32;
    k->gemm_row = gemm_row_f32;
    k->gemv = gemv_f32;
    k->pack_cols = pack_cols_f32;
}
