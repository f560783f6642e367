/* int8_avx2.c - 8-bit products without dot product instructions: 3 rows by 8 columns. The numbers
 * are widened to 16 bits, whose products are summed by pairs exactly; vpmaddubsw, which does it
 * from 8 bits, would saturate. A vector of sums holds four columns, two halves each. */
#include <immintrin.h>

#include "kernel/int8.h"
#include "kernel/table.h"

enum { MR = 3, NR = 8 };

static inline __m256 finish(const omma_int8_out *o, __m256i sum, int j, const float *add,
                            const uint8_t *add8) {
    __m256 v = _mm256_mul_ps(_mm256_cvtepi32_ps(sum), _mm256_loadu_ps(o->scale + j));
    v = _mm256_add_ps(v, _mm256_loadu_ps(o->bias + j));
    if (add) v = _mm256_add_ps(v, _mm256_loadu_ps(add));
    if (add8) {
        const __m256i q = _mm256_sub_epi32(
            _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)add8)),
            _mm256_set1_epi32(o->add_zero));
        v = _mm256_add_ps(v, _mm256_mul_ps(_mm256_cvtepi32_ps(q), _mm256_set1_ps(o->add_scale)));
    }
    if (o->act == OMMA_ACT_RELU) v = _mm256_max_ps(v, _mm256_setzero_ps());
    if (o->act == OMMA_ACT_CLIP) {
        v = _mm256_max_ps(v, _mm256_set1_ps(o->lo));
        v = _mm256_min_ps(v, _mm256_set1_ps(o->hi));
    }
    if (o->post) {
        v = _mm256_mul_ps(v, _mm256_set1_ps(o->post_scale));
        v = _mm256_add_ps(v, _mm256_set1_ps(o->post_shift));
    }
    return v;
}

/* Eight bytes; NaN gives the lowest. */
static inline __m128i to_u8(__m256 v, int zero) {
    v = _mm256_max_ps(v, _mm256_set1_ps((float)-zero));
    v = _mm256_min_ps(v, _mm256_set1_ps((float)(255 - zero)));
    const __m256i q = _mm256_add_epi32(_mm256_cvtps_epi32(v), _mm256_set1_epi32(zero));
    const __m128i h = _mm_packs_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1));
    return _mm_packus_epi16(h, h);
}

static void store(const omma_int8_out *o, __m256i sum, int n, int64_t i, void *y, int64_t ldy) {
    float add[NR] = {0}, out[NR];
    uint8_t add8[NR] = {0}, bytes[NR];
    for (int j = 0; o->add && j < n; j++) add[j] = o->add[i * o->add_ld + j];
    for (int j = 0; o->add8 && j < n; j++) add8[j] = o->add8[i * o->add_ld + j];
    const __m256 v = finish(o, sum, 0, o->add ? add : NULL, o->add8 ? add8 : NULL);
    if (o->to_u8) {
        _mm_storel_epi64((__m128i *)(void *)bytes,
                         to_u8(_mm256_mul_ps(v, _mm256_set1_ps(o->inverse)), o->zero));
        for (int j = 0; j < n; j++) ((uint8_t *)y)[i * ldy + j] = bytes[j];
        return;
    }
    _mm256_storeu_ps(out, v);
    for (int j = 0; j < n; j++) ((float *)y)[i * ldy + j] = out[j];
}

static inline __m256i four(const uint8_t *p) {
    int32_t v;
    __builtin_memcpy(&v, p, 4);
    return _mm256_cvtepu8_epi16(_mm_set1_epi32(v));
}

static void int8_tile_3x8__avx2(int m, int n, int segs, const int64_t *seg, int64_t groups,
                                const uint8_t *a, int64_t lda, const int8_t *b,
                                const omma_int8_out *o, void *y, int64_t ldy) {
    __m256i s[MR][2];
    const int64_t r1 = m > 1 ? lda : 0, r2 = m > 2 ? 2 * lda : r1; /* rows beyond m: any */
    for (int i = 0; i < MR; i++) s[i][0] = s[i][1] = _mm256_setzero_si256();
    for (int q = 0; q < segs; q++) {
        const uint8_t *x = a + seg[q];
        for (int64_t g = 0; g < groups; g++, x += 4, b += NR * 4) {
            const __m256i w0 =
                _mm256_cvtepi8_epi16(_mm_load_si128((const __m128i *)(const void *)b));
            const __m256i w1 =
                _mm256_cvtepi8_epi16(_mm_load_si128((const __m128i *)(const void *)(b + 16)));
            const __m256i x0 = four(x), x1 = four(x + r1), x2 = four(x + r2);
            s[0][0] = _mm256_add_epi32(s[0][0], _mm256_madd_epi16(x0, w0));
            s[0][1] = _mm256_add_epi32(s[0][1], _mm256_madd_epi16(x0, w1));
            s[1][0] = _mm256_add_epi32(s[1][0], _mm256_madd_epi16(x1, w0));
            s[1][1] = _mm256_add_epi32(s[1][1], _mm256_madd_epi16(x1, w1));
            s[2][0] = _mm256_add_epi32(s[2][0], _mm256_madd_epi16(x2, w0));
            s[2][1] = _mm256_add_epi32(s[2][1], _mm256_madd_epi16(x2, w1));
        }
    }
    const __m256i init = _mm256_loadu_si256((const __m256i *)(const void *)o->init);
    for (int i = 0; i < m; i++) {
        const __m256i sum = _mm256_permute4x64_epi64(_mm256_hadd_epi32(s[i][0], s[i][1]), 0xd8);
        store(o, _mm256_add_epi32(sum, init), n, i, y, ldy);
    }
}

static void quantize_f32__avx2(int64_t n, const float *x, float scale, int zero, uint8_t *y) {
    const __m256 by = _mm256_set1_ps(scale);
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm_storel_epi64((__m128i *)(void *)(y + i),
                         to_u8(_mm256_div_ps(_mm256_loadu_ps(x + i), by), zero));
    if (i == n) return;
    float last[8] = {0};
    uint8_t bytes[8];
    for (int64_t j = i; j < n; j++) last[j - i] = x[j];
    _mm_storel_epi64((__m128i *)(void *)bytes,
                     to_u8(_mm256_div_ps(_mm256_loadu_ps(last), by), zero));
    for (int64_t j = i; j < n; j++) y[j] = bytes[j - i];
}

static void dequantize_u8__avx2(int64_t n, const uint8_t *x, float scale, int zero, float *y) {
    const __m256i z = _mm256_set1_epi32(zero);
    const __m256 by = _mm256_set1_ps(scale);
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        const __m128i q = _mm_loadl_epi64((const __m128i *)(const void *)(x + i));
        _mm256_storeu_ps(
            y + i,
            _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_cvtepu8_epi32(q), z)), by));
    }
    for (; i < n; i++) y[i] = (float)(x[i] - zero) * scale;
}

void omma_fill_int8_avx2(omma_kernels *k) {
    k->int8_mr = MR;
    k->int8_nr = NR;
    k->int8_tile = int8_tile_3x8__avx2;
    k->quantize = quantize_f32__avx2;
    k->dequantize = dequantize_u8__avx2;
}
