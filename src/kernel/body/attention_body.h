/* attention_body.h - the step of a softmax over blocks, for any vector of vec_*.h; the file that
 * includes it has v_top, the largest lane, and v_power(p, n, tiny), p * 2^n or 0 where tiny. Four
 * running vectors, joined in a fixed order that depends on n alone. */
#include <math.h>

#include "kernel/table.h"

enum { RUNS = 4 };

static inline int lanes_at(int64_t i, int64_t n) { return n - i < VL ? (int)(n - i) : VL; }

/* e^x for x <= 0, and 0 where that is below 2^-100: 2^(n + r), |r| <= 1/2, 2^r = 1 + r q(r), error
 * 9e-8. NaN stays: no comparison holds for it. */
static inline __attribute__((always_inline)) vf v_weight(vf x) {
    const vf t = v_mul(x, v_set(1.44269504f)), n = v_round(t), r = v_sub(t, n);
    const vf q = V_POLY(r, 6.931469776e-01f, 2.402224208e-01f, 5.550733747e-02f, 9.671512666e-03f,
                        1.326472616e-03f);
    return v_power(v_fma(r, q, v_set(1)), n, v_less(t, v_set(-100)));
}

/* x[i] + a[i] + b[i] for n lanes, stored when anything was added. */
static inline __attribute__((always_inline)) vf v_masked(float *x, const float *a, const float *b,
                                                         int n) {
    vf v = v_load_n(x, n);
    if (a) v = v_add(v, v_load_n(a, n));
    if (b) v = v_add(v, v_load_n(b, n));
    if (a || b) v_store_n(x, v, n);
    return v;
}

/* Masks are added; the largest sum, or top. v_max keeps its second argument beside a NaN: a row
 * with one becomes NaN in the sum of its weights. */
static inline __attribute__((always_inline)) float masked_top(int64_t n, float *x, const float *a,
                                                              const float *b, float top) {
    vf m[RUNS] = {v_set(top), v_set(top), v_set(top), v_set(top)};
    int64_t i = 0;
    for (; i + RUNS * VL <= n; i += RUNS * VL) UNROLL for (int j = 0; j < RUNS; j++) {
            const int64_t at = i + j * VL;
            m[j] = v_max(v_masked(x + at, a ? a + at : NULL, b ? b + at : NULL, VL), m[j]);
        }
    for (; i < n; i += VL) {
        const int lanes = lanes_at(i, n);
        const vf v = v_masked(x + i, a ? a + i : NULL, b ? b + i : NULL, lanes);
        m[0] = v_max(v_join_n(v, m[0], lanes), m[0]);
    }
    return v_top(v_max(v_max(m[0], m[1]), v_max(m[2], m[3])));
}

static float ISA(softmax_part_f32)(int64_t n, float *x, const float *a, const float *b, float *top,
                                   float *sum) {
    const float m = !a  ? masked_top(n, x, NULL, NULL, *top)
                    : b ? masked_top(n, x, a, b, *top)
                        : masked_top(n, x, a, NULL, *top);
    const vf zero = v_set(0), base = v_set(m == -INFINITY ? 0 : m);
    vf s[RUNS] = {zero, zero, zero, zero};
    int64_t i = 0;
    for (; i + RUNS * VL <= n; i += RUNS * VL) UNROLL for (int j = 0; j < RUNS; j++) {
            const vf w = v_weight(v_sub(v_load(x + i + j * VL), base));
            v_store(x + i + j * VL, w);
            s[j] = v_add(s[j], w);
        }
    for (; i < n; i += VL) {
        const int lanes = lanes_at(i, n);
        const vf w = v_join_n(v_weight(v_sub(v_load_n(x + i, lanes), base)), zero, lanes);
        v_store_n(x + i, w, lanes);
        s[0] = v_add(s[0], w);
    }
    float by[VL];
    v_store(by, v_weight(v_sub(v_set(*top), base)));
    *sum = *sum * by[0] + v_sum(v_add(v_add(s[0], s[1]), v_add(s[2], s[3])));
    *top = m;
    return by[0];
}
