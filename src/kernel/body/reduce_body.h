/* reduce_body.h - sums, maxima and softmax for any vector of vec_*.h. Four running vectors,
 * joined at the end in a fixed order: the order depends on n alone. */
#include <math.h>

#include "kernel/table.h"

enum { RUNS = 4 }; /* running vectors */

static inline float joined(const vf s[RUNS]) {
    return v_sum(v_add(v_add(s[0], s[1]), v_add(s[2], s[3])));
}
static inline int lanes_at(int64_t i, int64_t n) { return n - i < VL ? (int)(n - i) : VL; }

static inline float ISA(sum_f32)(int64_t n, const float *x) {
    vf s[RUNS] = {v_set(0), v_set(0), v_set(0), v_set(0)};
    int64_t i = 0;
    for (; i + RUNS * VL <= n; i += RUNS * VL)
        UNROLL for (int j = 0; j < RUNS; j++) s[j] = v_add(s[j], v_load(x + i + j * VL));
    for (; i < n; i += VL) s[0] = v_add(s[0], v_load_n(x + i, lanes_at(i, n)));
    return joined(s);
}

static float ISA(sum_sq_f32)(int64_t n, const float *x, float mean) {
    const vf mu = v_set(mean), zero = v_set(0);
    vf s[RUNS] = {zero, zero, zero, zero};
    int64_t i = 0;
    for (; i + RUNS * VL <= n; i += RUNS * VL) UNROLL for (int j = 0; j < RUNS; j++) {
            const vf d = v_sub(v_load(x + i + j * VL), mu);
            s[j] = v_fma(d, d, s[j]);
        }
    for (; i < n; i += VL) {
        const int lanes = lanes_at(i, n);
        const vf d = v_join_n(v_sub(v_load_n(x + i, lanes), mu), zero, lanes);
        s[0] = v_fma(d, d, s[0]);
    }
    return joined(s);
}

/* The larger of two; NaN when either is. */
static inline vf larger(vf a, vf b) { return v_select(v_isnan(a), a, v_max(a, b)); }

static float ISA(max_f32)(int64_t n, const float *x) {
    const vf least = v_set(-INFINITY);
    vf m[RUNS] = {least, least, least, least};
    int64_t i = 0;
    for (; i + RUNS * VL <= n; i += RUNS * VL)
        UNROLL for (int j = 0; j < RUNS; j++) m[j] = larger(m[j], v_load(x + i + j * VL));
    for (; i < n; i += VL) {
        const int lanes = lanes_at(i, n);
        m[0] = larger(m[0], v_join_n(v_load_n(x + i, lanes), least, lanes));
    }
    float each[VL];
    const vf all = larger(larger(m[0], m[1]), larger(m[2], m[3]));
    if (v_sum(v_select(v_isnan(all), v_set(1), v_set(0))) > 0) return NAN;
    v_store(each, all);
    UNROLL for (int half = VL / 2; half; half /= 2) UNROLL for (int j = 0; j < half; j++) each[j] =
        each[j] > each[j + half] ? each[j] : each[j + half];
    return each[0];
}

static void ISA(softmax_f32)(int64_t n, const float *x, float *y) {
    const vf top = v_set(ISA(max_f32)(n, x)), zero = v_set(0);
    vf s[RUNS] = {zero, zero, zero, zero};
    int64_t i = 0;
    for (; i + RUNS * VL <= n; i += RUNS * VL) UNROLL for (int j = 0; j < RUNS; j++) {
            const vf v = v_exp(v_sub(v_load(x + i + j * VL), top));
            v_store(y + i + j * VL, v);
            s[j] = v_add(s[j], v);
        }
    for (; i < n; i += VL) {
        const int lanes = lanes_at(i, n);
        const vf v = v_join_n(v_exp(v_sub(v_load_n(x + i, lanes), top)), zero, lanes);
        v_store_n(y + i, v, lanes);
        s[0] = v_add(s[0], v);
    }
    const vf part = v_set(1 / joined(s)), least = v_set(0x1p-126f);
    for (i = 0; i < n; i += VL) {
        const int lanes = lanes_at(i, n);
        const vf v = v_mul(v_load_n(y + i, lanes), part);
        v_store_n(y + i, v_select(v_less(v, least), zero, v), lanes);
    }
}

/* The mean is taken in a first pass; the second, about it, finds what rounding it has left. */
static inline __attribute__((always_inline)) void
norm_row(int64_t n, const float *x, const float *scale, const float *bias, double eps, float *y) {
    const float mean = ISA(sum_f32)(n, x) / (float)n;
    const vf mu = v_set(mean), zero = v_set(0);
    vf s[2] = {zero, zero}, q[2] = {zero, zero};
    int64_t i = 0;
    for (; i + 2 * VL <= n; i += 2 * VL) UNROLL for (int j = 0; j < 2; j++) {
            const vf d = v_sub(v_load(x + i + j * VL), mu);
            s[j] = v_add(s[j], d), q[j] = v_fma(d, d, q[j]);
        }
    for (; i < n; i += VL) {
        const int lanes = lanes_at(i, n);
        const vf d = v_join_n(v_sub(v_load_n(x + i, lanes), mu), zero, lanes);
        s[0] = v_add(s[0], d), q[0] = v_fma(d, d, q[0]);
    }
    const double left = (double)v_sum(v_add(s[0], s[1])) / (double)n,
                 square = (double)v_sum(v_add(q[0], q[1])) / (double)n - left * left,
                 inv = 1 / sqrt((square > 0   ? square
                                 : square < 0 ? 0
                                              : square) +
                                eps);
    const vf by = v_set((float)inv), shift = v_set((float)(-left * inv));
    for (i = 0; i < n; i += VL) {
        const int lanes = lanes_at(i, n);
        const vf d = v_sub(v_load_n(x + i, lanes), mu), f = v_load_n(scale + i, lanes);
        const vf t = v_fma(d, by, shift);
        v_store_n(y + i, bias ? v_fma(t, f, v_load_n(bias + i, lanes)) : v_mul(t, f), lanes);
    }
}

static void ISA(layer_norm_f32)(int64_t rows, int64_t n, const float *x, const float *scale,
                                const float *bias, double eps, float *y) {
    for (int64_t r = 0; r < rows; r++) norm_row(n, x + r * n, scale, bias, eps, y + r * n);
}

static void fill_reduce(omma_kernels *k) {
    k->sum = ISA(sum_f32);
    k->sum_sq = ISA(sum_sq_f32);
    k->max = ISA(max_f32);
    k->softmax = ISA(softmax_f32);
    k->layer_norm = ISA(layer_norm_f32);
}
