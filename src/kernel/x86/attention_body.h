/* attention_body.h - the step of a softmax over blocks, for any vector of vec_*.h; the file that
 * includes it has v_top, the largest lane, and v_raise(p, t, min, x): p with the low bits of t
 * added to its exponent, 0 where x < min. Four running vectors, joined in a fixed order that
 * depends on n alone; a row of at most so many vectors stays in them. */
#include <math.h>

#include "kernel/table.h"

enum { RUNS = 4 };
#define INLINE static inline __attribute__((always_inline))

/* e^x for x <= 0, and 0 below 2^-100: 2^(n + r), |r| <= 1/2, 2^r = 1 + r q(r), error 9e-8. Adding
 * 1.5 * 2^23 rounds to whole numbers and leaves them in the low bits. NaN stays: no comparison
 * holds for it. */
INLINE vf v_weight(vf x) {
    const vf magic = v_set(0x1.8p23f), e = v_set(1.44269504f);
    const vf t = v_fma(x, e, magic), r = v_fma(x, e, v_sub(magic, t));
    const vf q = V_POLY(r, 6.931469776e-01f, 2.402224208e-01f, 5.550733747e-02f, 9.671512666e-03f,
                        1.326472616e-03f);
    return v_raise(v_fma(r, q, v_set(1)), t, v_set(-69.3147181f), x);
}

INLINE float e_to(float x) {
    float y[VL];
    v_store(y, v_weight(v_set(x)));
    return y[0];
}

typedef struct row { /* of scores and what is added to it */
    float *x;
    const float *a, *b; /* or NULL */
    int64_t n;
} row;

INLINE int lanes_at(int64_t i, int64_t n) { return n - i < VL ? (int)(n - i) : VL; }

/* The scores from i on, masked; beyond the row's end -inf. */
INLINE vf masked(const row *r, int64_t i, int lanes, vf scale) {
    vf v = v_load(r->x + i);
    if (r->a) v = v_fma(v, scale, lanes == VL ? v_load(r->a + i) : v_load_n(r->a + i, lanes));
    if (r->b) v = v_add(v, lanes == VL ? v_load(r->b + i) : v_load_n(r->b + i, lanes));
    return lanes == VL ? v : v_join_n(v, v_set(-INFINITY), lanes);
}

/* What is taken off before e^: nothing while nothing was seen, since e^-inf is 0 and not NaN. */
INLINE float base_of(float top) { return top == -INFINITY ? 0 : top; }

/* The new maximum and what that does to the blocks before. */
INLINE void move_top(const omma_softmax *s, int i, float top) {
    s->by[i] = e_to(s->top[i] - base_of(top));
    s->top[i] = top;
}

/* A row of nv vectors. v_max keeps its second argument beside a NaN: a row with one becomes NaN in
 * the sum of its weights. */
INLINE void short_row(const omma_softmax *s, const row *r, int i, int nv) {
    const int last = (int)(r->n - (nv - 1) * VL);
    const vf scale = v_set(s->scale);
    vf v[RUNS], m = v_set(s->whole ? -INFINITY : s->top[i]), sum = v_set(0);
    UNROLL for (int j = 0; j < nv; j++) {
        v[j] = masked(r, j * VL, j == nv - 1 ? last : VL, scale);
        if (!r->a) v[j] = v_mul(v[j], scale);
        m = v_max(v[j], m);
    }
    const float top = v_top(m);
    const vf base = v_set(base_of(top));
    UNROLL for (int j = 0; j < nv; j++) {
        v[j] = v_weight(v_sub(v[j], base));
        if (j == nv - 1) v[j] = v_join_n(v[j], v_set(0), last);
        sum = v_add(sum, v[j]);
    }
    const float all = v_sum(sum);
    if (s->whole) {
        const vf part = v_set(1 / all);
        UNROLL for (int j = 0; j < nv; j++) v_store(r->x + j * VL, v_mul(v[j], part));
        return;
    }
    UNROLL for (int j = 0; j < nv; j++) v_store(r->x + j * VL, v[j]);
    move_top(s, i, top);
    s->sum[i] = s->sum[i] * s->by[i] + all;
}

/* Masks are added; the largest sum, or top. Without masks the scores stay unscaled for a scale
 * above 0, and so is what is returned. */
INLINE float long_top(const row *r, vf scale, float top) {
    vf m[RUNS] = {v_set(top), v_set(top), v_set(top), v_set(top)};
    int64_t i = 0;
    for (; i + RUNS * VL <= r->n; i += RUNS * VL) UNROLL for (int j = 0; j < RUNS; j++) {
            const vf v = masked(r, i + j * VL, VL, scale);
            if (r->a) v_store(r->x + i + j * VL, v);
            m[j] = v_max(v, m[j]);
        }
    for (; i < r->n; i += VL) {
        const vf v = masked(r, i, lanes_at(i, r->n), scale);
        if (r->a) v_store(r->x + i, v);
        m[0] = v_max(v, m[0]);
    }
    return v_top(v_max(v_max(m[0], m[1]), v_max(m[2], m[3])));
}

/* The sum of the weights e^(scale * x - base), which are stored. */
INLINE float long_weights(const row *r, vf scale, float top) {
    const vf zero = v_set(0), down = v_set(-base_of(top));
    vf s[RUNS] = {zero, zero, zero, zero};
    int64_t i = 0;
    for (; i + RUNS * VL <= r->n; i += RUNS * VL) UNROLL for (int j = 0; j < RUNS; j++) {
            const vf w = v_weight(v_fma(v_load(r->x + i + j * VL), scale, down));
            v_store(r->x + i + j * VL, w);
            s[j] = v_add(s[j], w);
        }
    for (; i < r->n; i += VL) {
        const vf all = v_weight(v_fma(v_load(r->x + i), scale, down)),
                 w = v_join_n(all, zero, lanes_at(i, r->n));
        v_store(r->x + i, w);
        s[0] = v_add(s[0], w);
    }
    return v_sum(v_add(v_add(s[0], s[1]), v_add(s[2], s[3])));
}

INLINE void long_row(const omma_softmax *s, const row *r, int i) {
    const float before = s->whole ? -INFINITY : s->top[i];
    const vf scale = v_set(s->scale);
    float top = long_top(r, scale, r->a ? before : -INFINITY);
    if (!r->a) top = s->scale * top > before ? s->scale * top : before;
    const float all = long_weights(r, r->a ? v_set(1) : scale, top);
    if (s->whole) {
        const vf part = v_set(1 / all);
        for (int64_t k = 0; k < r->n; k += VL) v_store(r->x + k, v_mul(v_load(r->x + k), part));
        return;
    }
    move_top(s, i, top);
    s->sum[i] = s->sum[i] * s->by[i] + all;
}

INLINE void rows_of(const omma_softmax *s, int m, int64_t n, float *x, int64_t ldx, bool a, bool b,
                    int nv) {
    for (int i = 0; i < m; i++) {
        const row r = {x + i * ldx, a ? s->add[0] + i * s->add_ld[0] : NULL,
                       b ? s->add[1] + i * s->add_ld[1] : NULL, n};
        if (nv) short_row(s, &r, i, nv);
        else long_row(s, &r, i);
    }
}

INLINE void masked_rows(const omma_softmax *s, int m, int64_t n, float *x, int64_t ldx, int nv) {
    if (s->add[1]) rows_of(s, m, n, x, ldx, true, true, nv);
    else if (s->add[0]) rows_of(s, m, n, x, ldx, true, false, nv);
    else rows_of(s, m, n, x, ldx, false, false, nv);
}

static void ISA(softmax_step_f32)(int m, int64_t n, float *x, int64_t ldx, const omma_softmax *s) {
    switch ((n + VL - 1) / VL) {
    case 1: masked_rows(s, m, n, x, ldx, 1); return;
    case 2: masked_rows(s, m, n, x, ldx, 2); return;
    case 3: masked_rows(s, m, n, x, ldx, 3); return;
    case 4: masked_rows(s, m, n, x, ldx, 4); return;
    default: masked_rows(s, m, n, x, ldx, 0); return;
    }
}
