/* bf16_c.c - the reference bfloat16 tile: plain loops that are right by inspection; see bf16.h.
 * The product of two bfloat16 is exact in float32, so a multiplication and an addition give what a
 * fused one does. Panels are 16 wide, or 12 for a table that borrows the tile (NEON). */
#include "kernel/bf16.h"
#include "kernel/table.h"

static float sum_pairs(int64_t pairs, const uint16_t *a, const uint16_t *b, int nr, float s) {
    for (int64_t i = 0; i < pairs; i++)
        for (int h = 1; h >= 0; h--)
            s += omma_bf16_wide(a[2 * i + h]) * omma_bf16_wide(b[2 * i * nr + h]);
    return s;
}

static float get(const void *p, bool wide, int64_t i) {
    return wide ? ((const float *)p)[i] : omma_bf16_wide(((const uint16_t *)p)[i]);
}

/* nr: columns of a panel. */
static inline void any_tile(int nr, int m, int n, int64_t taps, const int64_t *off, int64_t pairs,
                            const uint16_t *a, int64_t lda, const uint16_t *b,
                            const omma_bf16_out *o, void *y, int64_t ldy) {
    const omma_epilogue e = {.act = o->act, .lo = o->lo, .hi = o->hi};
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            float s = 0;
            for (int64_t t = 0; t < taps; t++)
                s = sum_pairs(pairs, a + 2 * (i * lda + off[t]), b + 2 * (t * pairs * nr + j), nr,
                              s);
            if (o->add) s += get(o->add, o->add_wide, i * o->add_ld + j);
            if (o->col_bias) s += o->col_bias[j];
            s = omma_act_apply(&e, s);
            if (o->y_wide) ((float *)y)[i * ldy + j] = s;
            else ((uint16_t *)y)[i * ldy + j] = omma_bf16_round(s);
        }
}

#define TILE(NR)                                                                                  \
    static void bf16_tile_##NR##_c(int m, int n, int64_t taps, const int64_t *off, int64_t pairs, \
                                   const uint16_t *a, int64_t lda, const uint16_t *b,             \
                                   const omma_bf16_out *o, void *y, int64_t ldy,                  \
                                   const omma_ahead *next) {                                      \
        (void)next;                                                                               \
        any_tile(NR, m, n, taps, off, pairs, a, lda, b, o, y, ldy);                               \
    }
TILE(16)
TILE(12)

static void widen_c(int64_t n, const uint16_t *x, float *y) {
    for (int64_t i = 0; i < n; i++) y[i] = omma_bf16_wide(x[i]);
}

static void narrow_c(int64_t n, const float *x, uint16_t *y) {
    for (int64_t i = 0; i < n; i++) y[i] = omma_bf16_round(x[i]);
}

void omma_fill_bf16_c(omma_kernels *k) {
    k->bf16_tile = k->nr == 12 ? bf16_tile_12_c : bf16_tile_16_c;
    k->bf16_widen = widen_c;
    k->bf16_narrow = narrow_c;
}
