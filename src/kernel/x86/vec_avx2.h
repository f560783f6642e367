/* vec_avx2.h - eight floats: the words the *_body.h files are written in, as in
 * vec_avx512.h. Only included by *_avx2.c.
 *
 * v_max and v_min return the second argument when either is NaN (as the instructions do). */
#ifndef OMMA_KERNEL_X86_VEC_AVX2_H
#define OMMA_KERNEL_X86_VEC_AVX2_H

#include <immintrin.h>

#include "kernel/table.h"

#define ISA(name) name##__avx2
#define UNROLL _Pragma("GCC unroll 16")
enum { VL = 8 };
typedef __m256 vf;
typedef __m256 vmask;

static inline vf v_set(float x) { return _mm256_set1_ps(x); }
static inline vf v_load(const float *p) { return _mm256_loadu_ps(p); }
static inline void v_store(float *p, vf a) { _mm256_storeu_ps(p, a); }
/* Past the caches; p is aligned to the vector. A locked instruction, as whoever hands results to
 * another thread executes, orders it. */
static inline void v_stream(float *p, vf a) { _mm256_stream_ps(p, a); }
static inline vf v_spread(const float *p) { return _mm256_set1_ps(*(const omma_f32u *)p); }

/* a, kept in a register: not loaded again where it is used. */
static inline vf v_keep(vf a) {
    __asm__("" : "+v"(a));
    return a;
}

/* The first n lanes, n in [0, VL]; others read as 0 and are not touched in memory. */
static inline unsigned v_first(int n) { return (1u << n) - 1; }
static inline __m256i v_lanes(unsigned bits) {
    const __m256i lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    return _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32((int)bits), lane), lane);
}
static inline vf v_load_bits(const float *p, unsigned bits) {
    return _mm256_maskload_ps(p, v_lanes(bits));
}
static inline vf v_load_n(const float *p, int n) {
    return n == VL ? v_load(p) : v_load_bits(p, v_first(n));
}
static inline void v_store_n(float *p, vf a, int n) {
    if (n == VL) v_store(p, a);
    else _mm256_maskstore_ps(p, v_lanes(v_first(n)), a);
}

/* The first n lanes of a, the others of b. */
static inline vf v_join_n(vf a, vf b, int n) {
    return _mm256_blendv_ps(b, a, _mm256_castsi256_ps(v_lanes(v_first(n))));
}

static inline vf v_add(vf a, vf b) { return _mm256_add_ps(a, b); }
static inline vf v_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
static inline vf v_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
static inline vf v_div(vf a, vf b) { return _mm256_div_ps(a, b); }
static inline vf v_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }   /* a*b + c */
static inline vf v_fnma(vf a, vf b, vf c) { return _mm256_fnmadd_ps(a, b, c); } /* c - a*b */
static inline vf v_max(vf a, vf b) { return _mm256_max_ps(a, b); }
static inline vf v_min(vf a, vf b) { return _mm256_min_ps(a, b); }
static inline vf v_sqrt(vf a) { return _mm256_sqrt_ps(a); }
/* 1/a to 1 ulp or nearly, for a in [1, 2^60]. */
static inline vf v_recip(vf a) { return v_div(v_set(1), a); }
static inline vf v_round(vf a) {
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
static inline vf v_or(vf a, vf b) { return _mm256_or_ps(a, b); }
static inline vf v_and(vf a, vf b) { return _mm256_and_ps(a, b); }
static inline vf v_andnot(vf a, vf b) { return _mm256_andnot_ps(a, b); } /* ~a & b */
static inline vf v_xor(vf a, vf b) { return _mm256_xor_ps(a, b); }

static inline vmask v_less(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
static inline vmask v_equal(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
static inline vmask v_isnan(vf a) { return _mm256_cmp_ps(a, a, _CMP_UNORD_Q); }
static inline vf v_select(vmask m, vf yes, vf no) { return _mm256_blendv_ps(no, yes, m); }

/* p * 2^n for whole n in [-220, 130]: in two steps, of which only the second
 * can round. */
static inline vf v_scale(vf p, vf n) {
    const __m256i all = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(all, 1),
                  bias = _mm256_set1_epi32(127);
    const __m256i rest = _mm256_sub_epi32(all, half);
    const vf a = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
    const vf b = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23));
    return v_mul(v_mul(p, a), b);
}

/* x = m * 2^(*e), m in [0.75, 1.5), for finite x > 0, denormal or not. */
static inline vf v_split(vf x, vf *e) {
    const vmask tiny = v_less(x, v_set(0x1p-126f));
    x = v_select(tiny, v_mul(x, v_set(0x1p32f)), x);
    /* 0.75 is 0x3f400000: what is above it in the exponent is the power */
    const __m256i above = _mm256_sub_epi32(_mm256_castps_si256(x), _mm256_set1_epi32(0x3f400000));
    const __m256i power = _mm256_srai_epi32(above, 23);
    *e = v_sub(_mm256_cvtepi32_ps(power), v_and(tiny, v_set(32)));
    return _mm256_castsi256_ps(
        _mm256_sub_epi32(_mm256_castps_si256(x), _mm256_slli_epi32(power, 23)));
}

static inline float v_sum(vf a) {
    const __m128 q = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 d = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(d, _mm_movehdup_ps(d)));
}

/* Lanes 0, 2, 4, ... of the 2*VL floats lo, hi. */
static inline vf v_even(vf lo, vf hi) {
    const vf mixed = _mm256_shuffle_ps(lo, hi, 0x88); /* lo 0 2, hi 0 2, lo 4 6, hi 4 6 */
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(mixed), 0xd8));
}

/* Lanes 1, 3, 5, ... of them. */
static inline vf v_odd(vf lo, vf hi) {
    const vf mixed = _mm256_shuffle_ps(lo, hi, 0xdd);
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(mixed), 0xd8));
}

/* r[i] lane j becomes r[j] lane i. */
static inline void v_transpose(vf r[VL]) {
    vf t[VL];
    UNROLL for (int i = 0; i < 8; i += 2) { /* pairs of rows, 32-bit */
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    UNROLL for (int i = 0; i < 8; i += 4) { /* four rows, 64-bit */
        const __m256d a = _mm256_castps_pd(t[i]), b = _mm256_castps_pd(t[i + 1]);
        const __m256d c = _mm256_castps_pd(t[i + 2]), d = _mm256_castps_pd(t[i + 3]);
        r[i] = _mm256_castpd_ps(_mm256_unpacklo_pd(a, c));
        r[i + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(a, c));
        r[i + 2] = _mm256_castpd_ps(_mm256_unpacklo_pd(b, d));
        r[i + 3] = _mm256_castpd_ps(_mm256_unpackhi_pd(b, d));
    }
    UNROLL for (int i = 0; i < 4; i++) { /* halves: lanes of 128 bits */
        t[i] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x20);
        t[i + 4] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x31);
    }
    UNROLL for (int i = 0; i < 8; i++) r[i] = t[i];
}

#endif
