/* vec_avx512.h - sixteen floats: the words the *_body.h files are written in. vec_avx2.h
 * says the same for eight. Only included by *_avx512.c.
 *
 * v_max and v_min return the second argument when either is NaN (as the instructions do). */
#ifndef OMMA_KERNEL_X86_VEC_AVX512_H
#define OMMA_KERNEL_X86_VEC_AVX512_H

#include <immintrin.h>

#include "kernel/table.h"

#define ISA(name) name##__avx512
#define UNROLL _Pragma("GCC unroll 16")
enum { VL = 16 };
typedef __m512 vf;
typedef __mmask16 vmask;

static inline vf v_set(float x) { return _mm512_set1_ps(x); }
static inline vf v_load(const float *p) { return _mm512_loadu_ps(p); }
static inline void v_store(float *p, vf a) { _mm512_storeu_ps(p, a); }
/* Past the caches; p is aligned to the vector. A locked instruction, as whoever hands results to
 * another thread executes, orders it. */
static inline void v_stream(float *p, vf a) { _mm512_stream_ps(p, a); }
static inline vf v_spread(const float *p) { return _mm512_set1_ps(*(const omma_f32u *)p); }

/* a, kept in a register: not loaded again where it is used. */
static inline vf v_keep(vf a) {
    __asm__("" : "+v"(a));
    return a;
}

/* The first n lanes, n in [0, VL]; others read as 0 and are not touched in memory. */
static inline unsigned v_first(int n) { return (1u << n) - 1; }
static inline vf v_load_bits(const float *p, unsigned bits) {
    return _mm512_maskz_loadu_ps((__mmask16)bits, p);
}
static inline vf v_load_n(const float *p, int n) { return v_load_bits(p, v_first(n)); }
static inline void v_store_n(float *p, vf a, int n) {
    _mm512_mask_storeu_ps(p, (__mmask16)v_first(n), a);
}

/* The first n lanes of a, the others of b. */
static inline vf v_join_n(vf a, vf b, int n) {
    return _mm512_mask_blend_ps((__mmask16)v_first(n), b, a);
}

static inline vf v_add(vf a, vf b) { return _mm512_add_ps(a, b); }
static inline vf v_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
static inline vf v_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
static inline vf v_div(vf a, vf b) { return _mm512_div_ps(a, b); }
static inline vf v_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }   /* a*b + c */
static inline vf v_fnma(vf a, vf b, vf c) { return _mm512_fnmadd_ps(a, b, c); } /* c - a*b */
static inline vf v_max(vf a, vf b) { return _mm512_max_ps(a, b); }
static inline vf v_min(vf a, vf b) { return _mm512_min_ps(a, b); }
static inline vf v_sqrt(vf a) { return _mm512_sqrt_ps(a); }
/* 1/a to 1 ulp or nearly, for a in [1, 2^60]. */
static inline vf v_recip(vf a) {
    const vf r = _mm512_rcp14_ps(a);
    return _mm512_fmadd_ps(_mm512_fnmadd_ps(a, r, _mm512_set1_ps(1)), r, r);
}
static inline vf v_round(vf a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
static inline vf v_or(vf a, vf b) { return _mm512_or_ps(a, b); }
static inline vf v_and(vf a, vf b) { return _mm512_and_ps(a, b); }
static inline vf v_andnot(vf a, vf b) { return _mm512_andnot_ps(a, b); } /* ~a & b */
static inline vf v_xor(vf a, vf b) { return _mm512_xor_ps(a, b); }

static inline vmask v_less(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
static inline vmask v_equal(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
static inline vmask v_isnan(vf a) { return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q); }
static inline vf v_select(vmask m, vf yes, vf no) { return _mm512_mask_blend_ps(m, no, yes); }

/* Of a table of VL numbers, aligned to the vector, those that the lowest bits of i name. */
#define V_PICK
static inline vf v_pick(const float *table, vf i) {
    return _mm512_permutexvar_ps(_mm512_castps_si512(i), _mm512_load_ps(table));
}
static inline bool v_some(vmask m) { return m; }

/* p * 2^n for whole n in [-220, 130], rounded once. */
static inline vf v_scale(vf p, vf n) { return _mm512_scalef_ps(p, n); }

/* x = m * 2^(*e), m in [0.75, 1.5), for finite x > 0, denormal or not. */
static inline vf v_split(vf x, vf *e) {
    const vf m = _mm512_getmant_ps(x, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_src);
    *e = v_sub(_mm512_getexp_ps(x), _mm512_getexp_ps(m));
    return m;
}

static inline float v_sum(vf a) {
    const __m256 h = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    const __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    const __m128 d = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(d, _mm_movehdup_ps(d)));
}

/* Lanes 0, 2, 4, ... of the 2*VL floats lo, hi. */
static inline vf v_even(vf lo, vf hi) {
    const __m512i i = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    return _mm512_permutex2var_ps(lo, i, hi);
}

/* Lanes 1, 3, 5, ... of them. */
static inline vf v_odd(vf lo, vf hi) {
    const __m512i i = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    return _mm512_permutex2var_ps(lo, i, hi);
}

/* r[i] lane j becomes r[j] lane i. */
static inline void v_transpose(vf r[VL]) {
    vf t[VL];
    UNROLL for (int i = 0; i < 16; i += 2) { /* pairs of rows, 32-bit */
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    UNROLL for (int i = 0; i < 16; i += 4) { /* four rows, 64-bit */
        const __m512d a = _mm512_castps_pd(t[i]), b = _mm512_castps_pd(t[i + 1]);
        const __m512d c = _mm512_castps_pd(t[i + 2]), d = _mm512_castps_pd(t[i + 3]);
        r[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
        r[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
        r[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
        r[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
    }
    UNROLL for (int i = 0; i < 4; i++) { /* quarters: lanes of 128 bits */
        t[i] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xdd);
    }
    UNROLL for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd);
        r[i + 4] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0x88);
        r[i + 12] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0xdd);
    }
}

#endif
