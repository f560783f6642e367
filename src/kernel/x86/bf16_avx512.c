/* bf16_avx512.c - the bfloat16 tile 14x32 on processors that have AVX-512 without instructions for
 * it. See bf16_body.h and bf16_shift.h. */
#include "kernel/x86/vec_avx512.h"
#include "kernel/body/vec_math.h"

static inline vf b_load_n(const uint16_t *p, int n) {
    const __m256i h = n < VL ? _mm256_maskz_loadu_epi16((__mmask16)v_first(n), p)
                             : _mm256_loadu_si256((const __m256i *)(const void *)p);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

static inline void b_store_n(uint16_t *p, vf v, int n) {
    const __m512i u = _mm512_castps_si512(v),
                  odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
    __m512i r = _mm512_srli_epi32(
        _mm512_add_epi32(u, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff))), 16);
    r = _mm512_mask_or_epi32(r, v_isnan(v), _mm512_srli_epi32(u, 16), _mm512_set1_epi32(0x40));
    _mm512_mask_cvtepi32_storeu_epi16(p, (__mmask16)v_first(n), r);
}

static inline vf b_high(vf v) {
    return v_and(v, _mm512_castsi512_ps(_mm512_set1_epi32((int)0xffff0000)));
}
static inline vf b_low(vf v) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(v), 16));
}

#define TILE_MR 14
#define TILE_NV 2
#include "kernel/body/bf16_shift.h"
#include "kernel/body/bf16_body.h"
#include "kernel/body/bf16_cast_body.h"

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

void omma_fill_bf16_avx512(omma_kernels *k) {
    k->bf16_tile = bf16_14x32__avx512;
    k->bf16_widen = bf16_widen__avx512;
    k->bf16_narrow = bf16_narrow__avx512;
}
