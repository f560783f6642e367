/* attention_neon.c - the step of a softmax over blocks; see attention_body.h. */
#include "kernel/arm/vec_neon.h"
#include "kernel/body/vec_math.h"

static inline float v_top(vf a) { return vmaxvq_f32(a); }

static inline vf v_raise(vf p, vf t, vf min, vf x) {
    const uint32x4_t y = vaddq_u32(v_bits(p), vshlq_n_u32(v_bits(t), 23));
    return v_of_bits(vbicq_u32(y, v_less(x, min)));
}

#include "kernel/body/attention_body.h"

void omma_fill_attention_neon(omma_kernels *k) { k->softmax_step = softmax_step_f32__neon; }
