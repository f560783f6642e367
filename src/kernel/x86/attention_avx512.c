/* attention_avx512.c - the step of a softmax over blocks; see attention_body.h. */
#include "kernel/x86/vec_avx512.h"
#include "kernel/body/vec_math.h"

static inline float v_top(vf a) { return _mm512_reduce_max_ps(a); }

/* Masked lanes take no detour through microcode, as a result below 2^-126 would. */
static inline vf v_power(vf p, vf n, vmask tiny) {
    return _mm512_maskz_scalef_ps(_knot_mask16(tiny), p, n);
}

#include "kernel/body/attention_body.h"

void omma_fill_attention_avx512(omma_kernels *k) { k->softmax_part = softmax_part_f32__avx512; }
