/* bf16_avx512bf16.c - the bfloat16 tile 14x32 by VDPBF16PS, which multiplies and adds a pair for
 * each of sixteen columns: twice the work of an FMA. See bf16_body.h. What turns numbers to
 * bfloat16 and back stays that of AVX-512: VCVTNEPS2BF16 makes zeros of the smallest. */
#include "kernel/x86/vec_avx512.h"
#include "kernel/body/vec_math.h"

static inline vf b_load_n(const uint16_t *p, int n) {
    const __m256i h = n < VL ? _mm256_maskz_loadu_epi16((__mmask16)v_first(n), p)
                             : _mm256_loadu_si256((const __m256i *)(const void *)p);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

static inline void b_store_n(uint16_t *p, vf v, int n) {
    const __m256i h = (__m256i)_mm512_cvtneps_pbh(v);
    if (n < VL) _mm256_mask_storeu_epi16(p, (__mmask16)v_first(n), h);
    else _mm256_storeu_si256((__m256i *)(void *)p, h);
}

#define STEP(MR, NV)                                                  \
    vf row[NV];                                                       \
    UNROLL for (int j = 0; j < NV; j++) {                             \
        row[j] = v_load((const float *)(const void *)b + j * VL);     \
        __builtin_prefetch(b + 2 * (16 * TILE_NV * VL + j * VL));     \
    }                                                                 \
    UNROLL for (int r = 0; r < MR; r++) {                             \
        const vf x = v_spread((const float *)PAIR_ROW(r));            \
        UNROLL for (int j = 0; j < NV; j++) s[r][j] =                 \
            _mm512_dpbf16_ps(s[r][j], (__m512bh)x, (__m512bh)row[j]); \
    }

#define TILE_MR 14
#define TILE_NV 2
#include "kernel/body/bf16_body.h"

TILE(1, 1)
TILE(2, 1)
TILE(3, 1)
TILE(4, 1)
TILE(5, 1)
TILE(6, 1)
TILE(7, 1)
TILE(8, 1)
TILE(9, 1)
TILE(10, 1)
TILE(11, 1)
TILE(12, 1)
TILE(13, 1)
TILE(14, 1)
TILE(1, 2)
TILE(2, 2)
TILE(3, 2)
TILE(4, 2)
TILE(5, 2)
TILE(6, 2)
TILE(7, 2)
TILE(8, 2)
TILE(9, 2)
TILE(10, 2)
TILE(11, 2)
TILE(12, 2)
TILE(13, 2)
TILE(14, 2)

#define ROW(MR) \
    { bf16_##MR##x1v__avx512, bf16_##MR##x2v__avx512 }
static bf16_fn *const tiles[TILE_MR][TILE_NV] = {ROW(1),  ROW(2),  ROW(3),  ROW(4), ROW(5),
                                                 ROW(6),  ROW(7),  ROW(8),  ROW(9), ROW(10),
                                                 ROW(11), ROW(12), ROW(13), ROW(14)};
#undef ROW

static void bf16_14x32__avx512(int m, int n, int64_t taps, const int64_t *off, int64_t pairs,
                               const uint16_t *a, int64_t lda, const uint16_t *b,
                               const omma_bf16_out *o, void *y, int64_t ldy,
                               const omma_ahead *next) {
    tiles[m - 1][n > VL](n, taps, off, pairs, a, lda, b, o, y, ldy, next);
}

void omma_fill_bf16_avx512bf16(omma_kernels *k) { k->bf16_tile = bf16_14x32__avx512; }
