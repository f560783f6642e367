/* vec_neon.h - four floats: the words the *_body.h files are written in, as in
 * x86/vec_avx512.h. Only included by *_neon.c.
 *
 * v_max and v_min return the second argument when either is NaN, and when both are zeros:
 * written as a comparison and a choice, since the instructions FMAX and FMIN give NaN, and
 * FMAXNM and FMINNM the number, on either side. The processor flushes no denormals unless
 * told to, and nobody here tells it. */
#ifndef OMMA_KERNEL_ARM_VEC_NEON_H
#define OMMA_KERNEL_ARM_VEC_NEON_H

#include <arm_neon.h>

#include "kernel/table.h"

#define ISA(name) name##__neon
#define UNROLL _Pragma("GCC unroll 16")
enum { VL = 4 };
typedef float32x4_t vf;
typedef uint32x4_t vmask;

static inline vf v_set(float x) { return vdupq_n_f32(x); }
static inline vf v_load(const float *p) { return vld1q_f32(p); }
static inline void v_store(float *p, vf a) { vst1q_f32(p, a); }
static inline void v_stream(float *p, vf a) { vst1q_f32(p, a); } /* no way past the caches alone */
/* The empty asm keeps the number a scalar, so that products take it by element: LD1R, which
 * the compiler would choose, costs the pipes of the products a slot on most cores. */
static inline vf v_spread(const float *p) {
    float x = *(const omma_f32u *)p;
    __asm__("" : "+w"(x));
    return vdupq_n_f32(x);
}

/* a, kept in a register: not loaded again where it is used. */
static inline vf v_keep(vf a) {
    __asm__("" : "+w"(a));
    return a;
}

/* The lanes whose bits are set; others read as 0 and are not touched in memory. */
static inline vf v_load_bits(const float *p, unsigned bits) {
    if (bits == 15) return v_load(p);
    vf v = vdupq_n_f32(0);
    if (bits & 1) v = vld1q_lane_f32(p, v, 0);
    if (bits & 2) v = vld1q_lane_f32(p + 1, v, 1);
    if (bits & 4) v = vld1q_lane_f32(p + 2, v, 2);
    if (bits & 8) v = vld1q_lane_f32(p + 3, v, 3);
    return v;
}

/* The first n lanes, n in [0, VL]. */
static inline unsigned v_first(int n) { return (1u << n) - 1; }
static inline vf v_load_n(const float *p, int n) { return v_load_bits(p, v_first(n)); }
static inline void v_store_n(float *p, vf a, int n) {
    if (n == VL) {
        v_store(p, a);
        return;
    }
    if (n & 2) vst1_f32(p, vget_low_f32(a));
    if (n == 3) vst1q_lane_f32(p + 2, a, 2);
    if (n == 1) vst1q_lane_f32(p, a, 0);
}

/* The first n lanes of a, the others of b. */
static inline vf v_join_n(vf a, vf b, int n) {
    const uint32x4_t lane = {0, 1, 2, 3};
    return vbslq_f32(vcltq_u32(lane, vdupq_n_u32((unsigned)n)), a, b);
}

static inline vf v_add(vf a, vf b) { return vaddq_f32(a, b); }
static inline vf v_sub(vf a, vf b) { return vsubq_f32(a, b); }
static inline vf v_mul(vf a, vf b) { return vmulq_f32(a, b); }
static inline vf v_div(vf a, vf b) { return vdivq_f32(a, b); }
static inline vf v_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }  /* a*b + c */
static inline vf v_fnma(vf a, vf b, vf c) { return vfmsq_f32(c, a, b); } /* c - a*b */
static inline vf v_max(vf a, vf b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
static inline vf v_min(vf a, vf b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
static inline vf v_sqrt(vf a) { return vsqrtq_f32(a); }
/* 1/a to 1 ulp or nearly, for a in [1, 2^60]. */
static inline vf v_recip(vf a) { return v_div(v_set(1), a); }
static inline vf v_round(vf a) { return vrndnq_f32(a); }

static inline uint32x4_t v_bits(vf a) { return vreinterpretq_u32_f32(a); }
static inline vf v_of_bits(uint32x4_t a) { return vreinterpretq_f32_u32(a); }
static inline vf v_or(vf a, vf b) { return v_of_bits(vorrq_u32(v_bits(a), v_bits(b))); }
static inline vf v_and(vf a, vf b) { return v_of_bits(vandq_u32(v_bits(a), v_bits(b))); }
static inline vf v_andnot(vf a, vf b) { /* ~a & b */
    return v_of_bits(vbicq_u32(v_bits(b), v_bits(a)));
}
static inline vf v_xor(vf a, vf b) { return v_of_bits(veorq_u32(v_bits(a), v_bits(b))); }

static inline vmask v_less(vf a, vf b) { return vcltq_f32(a, b); }
static inline vmask v_equal(vf a, vf b) { return vceqq_f32(a, b); }
static inline vmask v_isnan(vf a) { return vmvnq_u32(vceqq_f32(a, a)); }
static inline vf v_select(vmask m, vf yes, vf no) { return vbslq_f32(m, yes, no); }

/* p * 2^n for whole n in [-220, 130]: in two steps, of which only the second
 * can round. */
static inline vf v_scale(vf p, vf n) {
    const int32x4_t all = vcvtnq_s32_f32(n), half = vshrq_n_s32(all, 1), bias = vdupq_n_s32(127);
    const int32x4_t rest = vsubq_s32(all, half);
    const vf a = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(half, bias), 23));
    const vf b = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(rest, bias), 23));
    return v_mul(v_mul(p, a), b);
}

/* x = m * 2^(*e), m in [0.75, 1.5), for finite x > 0, denormal or not. */
static inline vf v_split(vf x, vf *e) {
    const vmask tiny = v_less(x, v_set(0x1p-126f));
    x = v_select(tiny, v_mul(x, v_set(0x1p32f)), x);
    /* 0.75 is 0x3f400000: what is above it in the exponent is the power */
    const int32x4_t bits = vreinterpretq_s32_f32(x);
    const int32x4_t power = vshrq_n_s32(vsubq_s32(bits, vdupq_n_s32(0x3f400000)), 23);
    *e = v_sub(vcvtq_f32_s32(power), v_and(v_of_bits(tiny), v_set(32)));
    return vreinterpretq_f32_s32(vsubq_s32(bits, vshlq_n_s32(power, 23)));
}

/* (a0 + a2) + (a1 + a3) */
static inline float v_sum(vf a) { return vpadds_f32(vadd_f32(vget_low_f32(a), vget_high_f32(a))); }

/* Lanes 0, 2, 4, 6 of the 2*VL floats lo, hi; and lanes 1, 3, 5, 7. */
static inline vf v_even(vf lo, vf hi) { return vuzp1q_f32(lo, hi); }
static inline vf v_odd(vf lo, vf hi) { return vuzp2q_f32(lo, hi); }

/* r[i] lane j becomes r[j] lane i. */
static inline void v_transpose(vf r[VL]) {
    const float64x2_t a = vreinterpretq_f64_f32(vtrn1q_f32(r[0], r[1])); /* 00 10 02 12 */
    const float64x2_t b = vreinterpretq_f64_f32(vtrn2q_f32(r[0], r[1])); /* 01 11 03 13 */
    const float64x2_t c = vreinterpretq_f64_f32(vtrn1q_f32(r[2], r[3]));
    const float64x2_t d = vreinterpretq_f64_f32(vtrn2q_f32(r[2], r[3]));
    r[0] = vreinterpretq_f32_f64(vzip1q_f64(a, c));
    r[1] = vreinterpretq_f32_f64(vzip1q_f64(b, d));
    r[2] = vreinterpretq_f32_f64(vzip2q_f64(a, c));
    r[3] = vreinterpretq_f32_f64(vzip2q_f64(b, d));
}

#endif
