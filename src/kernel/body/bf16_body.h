/* bf16_body.h - the bfloat16 tile, for any vector of vec_*.h; the file that includes it defines
 *
 *   TILE_MR, TILE_NV          rows and vectors of the tile
 *   STEP(MR, NV)              one pair of k for all rows: adds to s[r][j] from p0, p3, .. and b
 *   b_load_n(p, n)            n <= VL bfloat16 as floats
 *   b_store_n(p, v, n)        and back, rounded
 *
 * One function per number of rows and vectors, as in gemm_body.h, whose ways of reaching rows and
 * of fetching ahead are the same. */
#include "kernel/bf16.h"
#include "kernel/table.h"

typedef void bf16_fn(int n, int64_t taps, const int64_t *off, int64_t pairs, const uint16_t *a,
                     int64_t lda, const uint16_t *b, const omma_bf16_out *o, void *y, int64_t ldy,
                     const omma_ahead *next);

enum { STEPS = 8 /* pairs between two looks at what to fetch */ };

/* The row of pairs r of A, by one pointer per three rows. */
#define PAIR_ROW(r) ((r < 3 ? p0 : r < 6 ? p3 : r < 9 ? p6 : r < 12 ? p9 : p12) + r % 3 * lda)

static inline vf ISA(bf16_get)(const void *p, bool wide, int64_t i, int n) {
    return wide ? v_load_n((const float *)p + i, n) : b_load_n((const uint16_t *)p + i, n);
}

static inline void ISA(bf16_put)(void *p, bool wide, int64_t i, vf v, int n) {
    if (wide) v_store_n((float *)p + i, v, n);
    else b_store_n((uint16_t *)p + i, v, n);
}

/* Rows of sums, VL*TILE_NV floats apart, that have their bias and addend: the longer activations.*/
static __attribute__((noinline)) void
ISA(bf16_finish)(int m, int n, const float *s, const omma_bf16_out *o, void *y, int64_t ldy) {
    const omma_epilogue e = {.act = o->act, .lo = o->lo, .hi = o->hi};
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j += VL) {
            const int lanes = n - j < VL ? n - j : VL;
            const vf v = v_act(&e, v_load(s + i * TILE_NV * VL + j));
            ISA(bf16_put)(y, o->y_wide, i * ldy + j, v, lanes);
        }
}

#define TILE(MR, NV)                                                                               \
    static __attribute__((noinline)) void ISA(bf16_##MR##x##NV##v)(                                \
        int n, int64_t taps, const int64_t *off, int64_t pairs, const uint16_t *a, int64_t lda,    \
        const uint16_t *b, const omma_bf16_out *o, void *y, int64_t ldy, const omma_ahead *next) { \
        const int last = n - (NV - 1) * VL;                                                        \
        const char *line = next ? next->p : NULL;                                                  \
        int64_t left = next ? next->row : 0;                                                       \
        const int64_t lines = next ? next->lines : 0;                                              \
        vf s[MR][NV];                                                                              \
        UNROLL for (int i = 0; i < MR; i++) {                                                      \
            UNROLL for (int j = 0; j < NV; j++) s[i][j] = v_set(0);                                \
        }                                                                                          \
        for (int64_t t = 0; t < taps; t++) {                                                       \
            const omma_f32u *p0 = (const omma_f32u *)a + off[t], *p3 = p0 + 3 * lda;               \
            const omma_f32u *p6 = p3 + 3 * lda, *p9 = p6 + 3 * lda, *p12 = p9 + 3 * lda;           \
            for (int64_t l = pairs; l > 0; l -= STEPS) {                                           \
                for (int64_t i = lines; i > 0; i--, line += 64) {                                  \
                    __builtin_prefetch(line, 0, 2);                                                \
                    if (!--left) line += next->skip, left = next->row;                             \
                }                                                                                  \
                for (int64_t i = l < STEPS ? l : STEPS; i > 0; i--) {                              \
                    __asm__("" : "+r"(p0), "+r"(p3), "+r"(p6), "+r"(p9), "+r"(p12));               \
                    STEP(MR, NV)                                                                   \
                    b += 2 * TILE_NV * VL;                                                         \
                    p0++, p3++, p6++, p9++, p12++;                                                 \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
        if (o->add) {                                                                              \
            UNROLL for (int i = 0; i < MR; i++) {                                                  \
                UNROLL for (int j = 0; j < NV; j++) s[i][j] =                                      \
                    v_add(s[i][j], ISA(bf16_get)(o->add, o->add_wide, i * o->add_ld + j * VL,      \
                                                 j < NV - 1 ? VL : last));                         \
            }                                                                                      \
        }                                                                                          \
        if (o->col_bias) {                                                                         \
            UNROLL for (int j = 0; j < NV; j++) {                                                  \
                const vf x = v_load_n(o->col_bias + j * VL, j < NV - 1 ? VL : last);               \
                UNROLL for (int i = 0; i < MR; i++) s[i][j] = v_add(s[i][j], x);                   \
            }                                                                                      \
        }                                                                                          \
        if (o->act > OMMA_ACT_CLIP) { /* the rest is too long to be here MR x NV times */          \
            float sums[MR * TILE_NV * VL];                                                         \
            UNROLL for (int i = 0; i < MR; i++) {                                                  \
                UNROLL for (int j = 0; j < NV; j++)                                                \
                    v_store(sums + (i * TILE_NV + j) * VL, s[i][j]);                               \
            }                                                                                      \
            ISA(bf16_finish)(MR, n, sums, o, y, ldy);                                              \
            return;                                                                                \
        }                                                                                          \
        if (o->act) {                                                                              \
            const bool clip = o->act == OMMA_ACT_CLIP;                                             \
            const vf lo = v_set(clip ? o->lo : 0), hi = v_set(clip ? o->hi : __builtin_inff());    \
            UNROLL for (int i = 0; i < MR; i++) UNROLL for (int j = 0; j < NV; j++) s[i][j] =      \
                v_min(hi, v_max(lo, s[i][j]));                                                     \
        }                                                                                          \
        UNROLL for (int i = 0; i < MR; i++) {                                                      \
            UNROLL for (int j = 0; j < NV; j++)                                                    \
                ISA(bf16_put)(y, o->y_wide, i * ldy + j * VL, s[i][j], j < NV - 1 ? VL : last);    \
        }                                                                                          \
    }
