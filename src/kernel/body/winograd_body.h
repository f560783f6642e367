/* winograd_body.h - the transforms of Winograd's F(4x4,3x3) on vectors of channels; see winograd.h
 * for the matrices. Included by winograd_*.c of each instruction set. */
#include "kernel/winograd.h"

/* d := B^T d */
static inline __attribute__((always_inline)) void transform_in(vf d[WINO_IN]) {
    const vf a = v_set((float)WINO_A), aa = v_set((float)(WINO_A * WINO_A));
    const vf b = v_set((float)WINO_B), bb = v_set((float)(WINO_B * WINO_B));
    const vf aabb = v_set((float)(WINO_A * WINO_A * WINO_B * WINO_B));
    const vf sum = v_set((float)(WINO_A * WINO_A + WINO_B * WINO_B));
    const vf even_a = v_fnma(bb, d[2], d[4]), odd_a = v_fnma(bb, d[1], d[3]);
    const vf even_b = v_fnma(aa, d[2], d[4]), odd_b = v_fnma(aa, d[1], d[3]);
    d[0] = v_fma(aabb, d[0], v_fnma(sum, d[2], d[4]));
    d[5] = v_fma(aabb, d[1], v_fnma(sum, d[3], d[5]));
    d[1] = v_fma(a, odd_a, even_a);
    d[2] = v_fnma(a, odd_a, even_a);
    d[3] = v_fma(b, odd_b, even_b);
    d[4] = v_fnma(b, odd_b, even_b);
}

/* y := A^T d */
static inline __attribute__((always_inline)) void transform_out(const vf d[WINO_IN],
                                                                vf y[WINO_OUT]) {
    const vf a = v_set((float)WINO_A), aa = v_set((float)(WINO_A * WINO_A));
    const vf b = v_set((float)WINO_B), bb = v_set((float)(WINO_B * WINO_B));
    const vf aaa = v_set((float)(WINO_A * WINO_A * WINO_A));
    const vf bbb = v_set((float)(WINO_B * WINO_B * WINO_B));
    const vf sum_a = v_add(d[1], d[2]), diff_a = v_sub(d[1], d[2]);
    const vf sum_b = v_add(d[3], d[4]), diff_b = v_sub(d[3], d[4]);
    y[0] = v_add(d[0], v_add(sum_a, sum_b));
    y[1] = v_fma(a, diff_a, v_mul(b, diff_b));
    y[2] = v_fma(aa, sum_a, v_mul(bb, sum_b));
    y[3] = v_fma(aaa, diff_a, v_fma(bbb, diff_b, d[5]));
}

/* to := G g */
static inline __attribute__((always_inline)) void transform_weights(vf a, vf b, vf c,
                                                                    vf to[WINO_IN]) {
    const double points[] = {WINO_A, WINO_B}, firsts[] = {WINO_G_A, WINO_G_B};
    to[0] = v_mul(v_set((float)WINO_G_0), a);
    UNROLL for (int i = 0; i < 2; i++) {
        const double p = points[i], first = firsts[i];
        const vf odd = v_mul(v_set((float)(first * p)), b);
        const vf even = v_fma(v_set((float)(first * p * p)), c, v_mul(v_set((float)first), a));
        to[2 * i + 1] = v_add(even, odd);
        to[2 * i + 2] = v_sub(even, odd);
    }
    to[WINO_IN - 1] = c;
}

/* The empty asm keeps the compiler from making a pointer for every plane. */
static void ISA(wino_weights_f32)(int64_t n, const float *w, int64_t tap, float *u, int64_t plane) {
    for (int64_t q = 0; q < n; q += VL) {
        const float *g0 = w + q, *g3 = g0 + 3 * tap, *g6 = g3 + 3 * tap;
        float *to = u + q;
        vf t[3][WINO_IN];
        UNROLL for (int j = 0; j < 3; j++) transform_weights(
            v_load(g0 + j * tap), v_load(g3 + j * tap), v_load(g6 + j * tap), t[j]);
        UNROLL for (int i = 0; i < WINO_IN; i++) {
            vf row[WINO_IN];
            transform_weights(t[0][i], t[1][i], t[2][i], row);
            UNROLL for (int j = 0; j < WINO_IN; j += 3) {
                v_store(to, row[j]), v_store(to + plane, row[j + 1]);
                v_store(to + 2 * plane, row[j + 2]);
                to += 3 * plane;
                __asm__("" : "+r"(to));
            }
        }
    }
}

static inline __attribute__((always_inline)) void some_in(const float *const *px, int64_t c, int n,
                                                          float *v, int64_t plane) {
    vf t[WINO_IN][WINO_IN];
    UNROLL for (int j = 0; j < WINO_IN; j++) {
        vf d[WINO_IN];
        UNROLL for (int i = 0; i < WINO_IN; i++) d[i] = v_load_n(px[i * WINO_IN + j] + c, n);
        transform_in(d);
        UNROLL for (int i = 0; i < WINO_IN; i++) t[i][j] = d[i];
    }
    UNROLL for (int i = 0; i < WINO_IN; i++) {
        transform_in(t[i]);
        UNROLL for (int j = 0; j < WINO_IN; j++)
            v_store(v + (i * WINO_IN + j) * plane + c, t[i][j]);
    }
}

static void ISA(wino_in_f32)(int64_t c, const float *const *px, float *v, int64_t plane) {
    int64_t q = 0;
    for (; q + VL <= c; q += VL) some_in(px, q, VL, v, plane);
    if (q < c) some_in(px, q, (int)(c - q), v, plane);
}

/* Channels [q, q + n) of a tile. */
static inline __attribute__((always_inline)) void
some_out(int n, const float *prod, int64_t plane, int rows, int cols, float *y, int64_t y_ld,
         int64_t ow, const float *bias, const float *add, int64_t add_ld, vf lo, vf hi) {
    vf t[WINO_OUT][WINO_IN];
    UNROLL for (int j = 0; j < WINO_IN; j++) {
        vf d[WINO_IN], r[WINO_OUT];
        UNROLL for (int i = 0; i < WINO_IN; i++) d[i] =
            v_load_n(prod + (i * WINO_IN + j) * plane, n);
        transform_out(d, r);
        UNROLL for (int i = 0; i < WINO_OUT; i++) t[i][j] = r[i];
    }
    const vf shift = bias ? v_load_n(bias, n) : v_set(0);
    UNROLL for (int i = 0; i < WINO_OUT; i++) {
        if (i >= rows) break;
        vf r[WINO_OUT];
        transform_out(t[i], r);
        UNROLL for (int j = 0; j < WINO_OUT; j++) {
            if (j >= cols) break;
            const int64_t pixel = i * ow + j;
            vf s = v_add(r[j], shift);
            if (add) s = v_add(s, v_load_n(add + pixel * add_ld, n));
            v_store_n(y + pixel * y_ld, v_min(hi, v_max(lo, s)), n);
        }
    }
}

/* The activations that are too long to be unrolled. */
static void activate(int n, int rows, int cols, float *y, int64_t y_ld, int64_t ow,
                     const omma_epilogue *e) {
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < cols; j++) {
            float *p = y + (i * ow + j) * y_ld;
            for (int q = 0; q < n; q += VL) {
                const int some = n - q < VL ? n - q : VL;
                v_store_n(p + q, v_act(e, v_load_n(p + q, some)), some);
            }
        }
}

static void ISA(wino_out_f32)(int n, const float *prod, int64_t plane, int rows, int cols, float *y,
                              int64_t y_ld, int64_t ow, const omma_epilogue *e) {
    static const omma_epilogue none = {0};
    if (!e) e = &none;
    const float inf = __builtin_inff();
    const bool clip = e->act == OMMA_ACT_CLIP;
    const vf lo = v_set(clip                      ? e->lo
                        : e->act == OMMA_ACT_RELU ? 0
                                                  : -inf),
             hi = v_set(clip ? e->hi : inf);
    for (int q = 0; q < n; q += VL) {
        const float *bias = e->col_bias ? e->col_bias + q : NULL, *add = e->add ? e->add + q : NULL;
        if (n - q >= VL)
            some_out(VL, prod + q, plane, rows, cols, y + q, y_ld, ow, bias, add, e->add_ld, lo,
                     hi);
        else
            some_out(n - q, prod + q, plane, rows, cols, y + q, y_ld, ow, bias, add, e->add_ld, lo,
                     hi);
    }
    if (e->act > OMMA_ACT_CLIP) activate(n, rows, cols, y, y_ld, ow, e);
}

/* --- products ------------------------------------------------------------------------------ */

/* MR rows of two vectors, all of a panel. As TILE of gemm_body.h, where it says why rows have their
 * pointers in threes; those of C come one after the other, else the compiler makes them all before
 * the loop. k times step bytes after next are prefetched. */
#define WINO_TILE(MR)                                                                           \
    static void ISA(wino_f32_##MR##x2v)(int64_t k, const float *a, int64_t lda, const float *b, \
                                        float *c, int64_t ldc, bool acc, const char *next,      \
                                        int64_t step) {                                         \
        vf s[MR][2];                                                                            \
        float *to = c;                                                                          \
        UNROLL for (int i = 0; i < MR; i++) s[i][0] = s[i][1] = v_set(0);                       \
        if (acc) {                                                                              \
            UNROLL for (int i = 0; i < MR; i++, to += ldc) {                                    \
                __asm__("" : "+r"(to));                                                         \
                s[i][0] = v_load(to), s[i][1] = v_load(to + VL);                                \
            }                                                                                   \
            to = c;                                                                             \
        }                                                                                       \
        const float *p0 = a, *p3 = p0 + 3 * lda, *p6 = p0 + 6 * lda;                            \
        const float *p9 = p0 + 9 * lda, *p12 = p0 + 12 * lda;                                   \
        for (; k > 0; k--) {                                                                    \
            __asm__("" : "+r"(p0), "+r"(p3), "+r"(p6), "+r"(p9), "+r"(p12));                    \
            const vf b0 = v_load(b), b1 = v_load(b + VL);                                       \
            __builtin_prefetch(next, 0, 2);                                                     \
            UNROLL for (int i = 0; i < MR; i++) {                                               \
                const float *p = i < 3 ? p0 : i < 6 ? p3 : i < 9 ? p6 : i < 12 ? p9 : p12;      \
                const vf x = v_set(i % 3 == 0 ? p[0] : i % 3 == 1 ? p[lda] : p[2 * lda]);       \
                s[i][0] = v_fma(x, b0, s[i][0]);                                                \
                s[i][1] = v_fma(x, b1, s[i][1]);                                                \
            }                                                                                   \
            b += 2 * VL, next += step;                                                          \
            p0++, p3++, p6++, p9++, p12++;                                                      \
        }                                                                                       \
        UNROLL for (int i = 0; i < MR; i++, to += ldc) {                                        \
            __asm__("" : "+r"(to));                                                             \
            v_store(to, s[i][0]), v_store(to + VL, s[i][1]);                                    \
        }                                                                                       \
    }

typedef void wino_tile_fn(int64_t k, const float *a, int64_t lda, const float *b, float *c,
                          int64_t ldc, bool acc, const char *next, int64_t step);
