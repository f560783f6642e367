/* int8_vnni.c - 8-bit products by AVX-512 VNNI: 14 rows by 32 columns, 28 of 32 registers hold
 * sums. For each four numbers of k: two vectors of B, and the four of each row of A in all lanes.
 * There is one function per number of rows and vectors, as in gemm_body.h. */
#include "kernel/int8.h"
#include "kernel/x86/vec_avx512.h"

enum { MR = 14, NV = 2, NR = NV * VL };

typedef void tile_fn(int n, int segs, const int64_t *seg, int64_t groups, const uint8_t *a,
                     int64_t lda, const int8_t *b, const omma_int8_out *o, void *y, int64_t ldy);

/* An integer at any address, of memory declared as anything. */
typedef int32_t i32u __attribute__((aligned(1), may_alias));

static inline __m128i to_u8(__m512 v, int zero) {
    v = v_max(v, v_set((float)-zero));
    v = v_min(v, v_set((float)(255 - zero)));
    return _mm512_cvtepi32_epi8(_mm512_add_epi32(_mm512_cvtps_epi32(v), _mm512_set1_epi32(zero)));
}

/* Sums of row i, columns from j on, lanes of bits. */
static inline void store(const omma_int8_out *o, __m512i sum, int64_t i, int j, unsigned bits,
                         void *y, int64_t ldy) {
    const __mmask16 k = (__mmask16)bits;
    const int64_t at = i * ldy + j, add = i * o->add_ld + j;
    vf v = v_mul(_mm512_cvtepi32_ps(sum), v_load(o->scale + j));
    v = v_add(v, v_load(o->bias + j));
    if (o->add) v = v_add(v, v_load_bits(o->add + add, bits));
    if (o->add8) {
        const __m512i q =
            _mm512_sub_epi32(_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(k, o->add8 + add)),
                             _mm512_set1_epi32(o->add_zero));
        v = v_add(v, v_mul(_mm512_cvtepi32_ps(q), v_set(o->add_scale)));
    }
    if (o->act == OMMA_ACT_RELU) v = v_max(v, v_set(0));
    if (o->act == OMMA_ACT_CLIP) v = v_min(v_max(v, v_set(o->lo)), v_set(o->hi));
    if (o->post) v = v_add(v_mul(v, v_set(o->post_scale)), v_set(o->post_shift));
    if (o->to_u8)
        _mm_mask_storeu_epi8((uint8_t *)y + at, k, to_u8(v_mul(v, v_set(o->inverse)), o->zero));
    else _mm512_mask_storeu_ps((float *)y + at, k, v);
}

/* Through memory: one copy of this for all tiles, which keeps the sums in registers until then. */
static __attribute__((noinline)) void store_all(int rows, int vecs, int n, const int32_t *sums,
                                                const omma_int8_out *o, void *y, int64_t ldy) {
    for (int j = 0; j < vecs; j++) {
        const unsigned bits = v_first(j < vecs - 1 ? VL : n - j * VL);
        for (int i = 0; i < rows; i++)
            store(o, _mm512_load_si512(sums + (i * vecs + j) * VL), i, j * VL, bits, y, ldy);
    }
}

/* Rows are reached from one pointer per three, by the offsets 0, lda, 2*lda. */
#define TILE(ROWS, VECS)                                                                         \
    static __attribute__((noinline)) void int8_##ROWS##x##VECS##v__vnni(                         \
        int n, int segs, const int64_t *seg, int64_t groups, const uint8_t *a, int64_t lda,      \
        const int8_t *b, const omma_int8_out *o, void *y, int64_t ldy) {                         \
        int32_t sums[ROWS * VECS * VL] __attribute__((aligned(64)));                             \
        __m512i s[ROWS][VECS];                                                                   \
        UNROLL for (int j = 0; j < VECS; j++) {                                                  \
            const __m512i init = _mm512_loadu_si512(o->init + j * VL);                           \
            UNROLL for (int i = 0; i < ROWS; i++) s[i][j] = init;                                \
        }                                                                                        \
        for (int q = 0; q < segs; q++) {                                                         \
            const uint8_t *p0 = a + seg[q], *p3 = p0 + 3 * lda, *p6 = p0 + 6 * lda;              \
            const uint8_t *p9 = p0 + 9 * lda, *p12 = p0 + 12 * lda;                              \
            for (int64_t g = groups; g > 0; g--) {                                               \
                __asm__("" : "+r"(p0), "+r"(p3), "+r"(p6), "+r"(p9), "+r"(p12));                 \
                __m512i w[VECS];                                                                 \
                UNROLL for (int j = 0; j < VECS; j++) w[j] = _mm512_load_si512(b + j * 64);      \
                UNROLL for (int i = 0; i < ROWS; i++) {                                          \
                    const uint8_t *p = i < 3 ? p0 : i < 6 ? p3 : i < 9 ? p6 : i < 12 ? p9 : p12; \
                    const i32u *four = (const i32u *)(const void *)(i % 3 == 0   ? p             \
                                                                    : i % 3 == 1 ? p + lda       \
                                                                                 : p + 2 * lda); \
                    const __m512i x = _mm512_set1_epi32(*four);                                  \
                    UNROLL for (int j = 0; j < VECS; j++) s[i][j] =                              \
                        _mm512_dpbusd_epi32(s[i][j], x, w[j]);                                   \
                }                                                                                \
                b += NR * 4;                                                                     \
                p0 += 4, p3 += 4, p6 += 4, p9 += 4, p12 += 4;                                    \
            }                                                                                    \
        }                                                                                        \
        UNROLL for (int i = 0; i < ROWS; i++) UNROLL for (int j = 0; j < VECS; j++)              \
            _mm512_store_si512(sums + (i * VECS + j) * VL, s[i][j]);                             \
        store_all(ROWS, VECS, n, sums, o, y, ldy);                                               \
    }

#define BOTH(ROWS) \
    TILE(ROWS, 1)  \
    TILE(ROWS, 2)
BOTH(1)
BOTH(2)
BOTH(3)
BOTH(4)
BOTH(5)
BOTH(6)
BOTH(7)
BOTH(8)
BOTH(9)
BOTH(10)
BOTH(11)
BOTH(12)
BOTH(13)
BOTH(14)

static void int8_tile_14x32__vnni(int m, int n, int segs, const int64_t *seg, int64_t groups,
                                  const uint8_t *a, int64_t lda, const int8_t *b,
                                  const omma_int8_out *o, void *y, int64_t ldy) {
#define ROW(ROWS) \
    { int8_##ROWS##x1v__vnni, int8_##ROWS##x2v__vnni }
    static tile_fn *const tiles[MR][NV] = {ROW(1),  ROW(2),  ROW(3),  ROW(4), ROW(5),
                                           ROW(6),  ROW(7),  ROW(8),  ROW(9), ROW(10),
                                           ROW(11), ROW(12), ROW(13), ROW(14)};
#undef ROW
    tiles[m - 1][n > VL](n, segs, seg, groups, a, lda, b, o, y, ldy);
}

static void quantize_f32__vnni(int64_t n, const float *x, float scale, int zero, uint8_t *y) {
    const vf by = v_set(scale);
    for (int64_t i = 0; i < n; i += VL) {
        const unsigned bits = v_first(n - i < VL ? (int)(n - i) : VL);
        _mm_mask_storeu_epi8(y + i, (__mmask16)bits,
                             to_u8(v_div(v_load_bits(x + i, bits), by), zero));
    }
}

static void dequantize_u8__vnni(int64_t n, const uint8_t *x, float scale, int zero, float *y) {
    const __m512i z = _mm512_set1_epi32(zero);
    const vf by = v_set(scale);
    for (int64_t i = 0; i < n; i += VL) {
        const int lanes = n - i < VL ? (int)(n - i) : VL;
        const __m128i q = _mm_maskz_loadu_epi8((__mmask16)v_first(lanes), x + i);
        const vf v = _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_cvtepu8_epi32(q), z));
        v_store_n(y + i, v_mul(v, by), lanes);
    }
}

void omma_fill_int8_vnni(omma_kernels *k) {
    k->int8_mr = MR;
    k->int8_nr = NR;
    k->int8_tile = int8_tile_14x32__vnni;
    k->quantize = quantize_f32__vnni;
    k->dequantize = dequantize_u8__vnni;
}
