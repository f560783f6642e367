/* bf16_avx2.c - the bfloat16 tile 6x16 on AVX2 and FMA. See bf16_body.h and bf16_shift.h. */
#include "kernel/x86/vec_avx2.h"
#include "kernel/body/vec_math.h"

static inline vf b_load_n(const uint16_t *p, int n) {
    __m128i h;
    if (n == VL) h = _mm_loadu_si128((const __m128i *)(const void *)p);
    else {
        uint16_t t[VL] = {0};
        for (int i = 0; i < n; i++) t[i] = p[i];
        h = _mm_loadu_si128((const __m128i *)(const void *)t);
    }
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}

static inline void b_store_n(uint16_t *p, vf v, int n) {
    const __m256i u = _mm256_castps_si256(v), top = _mm256_srli_epi32(u, 16),
                  odd = _mm256_and_si256(top, _mm256_set1_epi32(1)),
                  up = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)),
                  rounded = _mm256_srli_epi32(_mm256_add_epi32(u, up), 16),
                  quiet = _mm256_or_si256(top, _mm256_set1_epi32(0x40));
    const __m256i r = _mm256_blendv_epi8(rounded, quiet, _mm256_castps_si256(v_isnan(v)));
    const __m128i h = _mm_packus_epi32(_mm256_castsi256_si128(r), _mm256_extracti128_si256(r, 1));
    if (n == VL) {
        _mm_storeu_si128((__m128i *)(void *)p, h);
        return;
    }
    uint16_t t[VL];
    _mm_storeu_si128((__m128i *)(void *)t, h);
    for (int i = 0; i < n; i++) p[i] = t[i];
}

static inline vf b_high(vf v) {
    return v_and(v, _mm256_castsi256_ps(_mm256_set1_epi32((int)0xffff0000)));
}
static inline vf b_low(vf v) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(v), 16));
}

#define TILE_MR 6
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
TILE(1, 2)
TILE(2, 2)
TILE(3, 2)
TILE(4, 2)
TILE(5, 2)
TILE(6, 2)

#define ROW(MR) \
    { bf16_##MR##x1v__avx2, bf16_##MR##x2v__avx2 }
static bf16_fn *const tiles[TILE_MR][TILE_NV] = {ROW(1), ROW(2), ROW(3), ROW(4), ROW(5), ROW(6)};
#undef ROW

static void bf16_6x16__avx2(int m, int n, int64_t taps, const int64_t *off, int64_t pairs,
                            const uint16_t *a, int64_t lda, const uint16_t *b,
                            const omma_bf16_out *o, void *y, int64_t ldy, const omma_ahead *next) {
    tiles[m - 1][n > VL](n, taps, off, pairs, a, lda, b, o, y, ldy, next);
}

void omma_fill_bf16_avx2(omma_kernels *k) {
    k->bf16_tile = bf16_6x16__avx2;
    k->bf16_widen = bf16_widen__avx2;
    k->bf16_narrow = bf16_narrow__avx2;
}
