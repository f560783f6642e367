/* attention_avx2.c - the step of a softmax over blocks; see attention_body.h. */
#include "kernel/x86/vec_avx2.h"
#include "kernel/x86/vec_math.h"

static inline float v_top(vf a) {
    const __m128 q = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 d = _mm_max_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_max_ss(d, _mm_movehdup_ps(d)));
}

static inline vf v_raise(vf p, vf t, vf min, vf x) {
    const __m256i n = _mm256_slli_epi32(_mm256_castps_si256(t), 23);
    const vf y = _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), n));
    return v_andnot(v_less(x, min), y);
}

#include "kernel/x86/attention_body.h"

void omma_fill_attention_avx2(omma_kernels *k) { k->softmax_step = softmax_step_f32__avx2; }
