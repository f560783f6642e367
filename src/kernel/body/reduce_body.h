/* reduce_body.h - sums, maxima and softmax for any vector of vec_*.h. Four running vectors,
 * joined at the end in a fixed order: the order depends on n alone. */
#include <math.h>

#include "kernel/table.h"

enum { RUNS = 4 }; /* running vectors */

static inline float joined(const vf s[RUNS]) {
    return v_sum(v_add(v_add(s[0], s[1]), v_add(s[2], s[3])));
}
static inline int lanes_at(int64_t i, int64_t n) { return n - i < VL ? (int)(n - i) : VL; }

static float ISA(sum_f32)(int64_t n, const float *x) {
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
    float each[VL], top = -INFINITY;
    v_store(each, larger(larger(m[0], m[1]), larger(m[2], m[3])));
    for (int j = 0; j < VL; j++)
        if (isnan(each[j]) || each[j] > top) top = each[j];
    return top;
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
    const vf part = v_set(1 / joined(s));
    for (i = 0; i < n; i += VL) {
        const int lanes = lanes_at(i, n);
        v_store_n(y + i, v_mul(v_load_n(y + i, lanes), part), lanes);
    }
}

static void fill_reduce(omma_kernels *k) {
    k->sum = ISA(sum_f32);
    k->sum_sq = ISA(sum_sq_f32);
    k->max = ISA(max_f32);
    k->softmax = ISA(softmax_f32);
}
