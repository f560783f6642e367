/* attention_avx512.c - the step of a softmax over blocks; see attention_body.h. */
#include "kernel/x86/vec_avx512.h"
#include "kernel/x86/vec_math.h"

static inline float v_top(vf a) { return _mm512_reduce_max_ps(a); }

static inline vf v_raise(vf p, vf t, vf min, vf x) {
    const __m512i n = _mm512_slli_epi32(_mm512_castps_si512(t), 23);
    return _mm512_castsi512_ps(
        _mm512_maskz_add_epi32(_mm512_cmp_ps_mask(x, min, _CMP_NLT_UQ), _mm512_castps_si512(p), n));
}

#include "kernel/x86/attention_body.h"

void omma_fill_attention_avx512(omma_kernels *k) { k->softmax_step = softmax_step_f32__avx512; }
