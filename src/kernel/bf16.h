/* bf16.h - products of bfloat16 numbers, summed in float32. Drivers on top of the table of
 * kernel.h, as those of gemm.c; what is said there of bits, threads and memory holds here.
 *
 * A bfloat16 is the upper half of a float32. Numbers are read in pairs that follow one another: a
 * map of pixels of c numbers, c even, is one of c/2 words of four bytes, and that is how the
 * drivers count: "pairs". A sum over pairs is, in the order of the pairs,
 *
 *     s = fma(a[2i+1], b[2i+1], s), then s = fma(a[2i], b[2i], s)
 *
 * as the instruction VDPBF16PS has it, which moreover takes denormals for zero, those it reads and
 * those it makes. So tables give the same bits as long as no denormal is met, but for activations
 * beyond OMMA_ACT_CLIP. The sum over k is never cut into parts: C may be bfloat16, and is rounded
 * once. */
#ifndef OMMA_KERNEL_BF16_H
#define OMMA_KERNEL_BF16_H

#include <string.h>

#include "kernel/kernel.h"

/* What becomes of a sum before it is stored: + add + col_bias, the activation, one rounding. */
typedef struct omma_bf16_out {
    const float *col_bias; /* by column, or NULL */
    const void *add;       /* laid out as y, or NULL; may be y itself */
    int64_t add_ld;        /* [elements] */
    bool add_wide, y_wide; /* float32, else bfloat16 */
    omma_act act;
    float lo, hi; /* as in omma_epilogue */
} omma_bf16_out;

static inline float omma_bf16_wide(uint16_t h) {
    const uint32_t u = (uint32_t)h << 16;
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

/* To nearest, ties to even; NaN stays one. */
static inline uint16_t omma_bf16_round(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    if ((u & 0x7fffffff) > 0x7f800000) return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

/* Element i of what add and y are. */
static inline const void *omma_bf16_at(const void *p, bool wide, int64_t i) {
    return (const char *)p + i * (wide ? 4 : 2);
}

/* Bytes of B packed: [ceil(n/nr)][k/2][nr][2]; k even. */
size_t omma_bf16_packed_bytes(const omma_kernels *kern, int64_t k, int64_t n);

/* Pack B[k,n], f32 with element (i,j) at b + (i*row + j*col) floats (unaligned allowed). */
void omma_bf16_pack(const omma_kernels *kern, uint16_t *dst, const void *b, int64_t row,
                    int64_t col, int64_t k, int64_t n, int threads);

/* As omma_gemm_room. */
size_t omma_bf16_gemm_room(const omma_kernels *kern, int threads, int64_t m, int64_t n, int64_t k,
                           int64_t lda);

/* y[m,n] = o(A[m,k] x B[k,n]), k and lda even, a aligned to 4 bytes. lda, ldy [elements]. room: as
 * for omma_gemm. */
void omma_bf16_gemm(const omma_kernels *kern, int threads, int64_t m, int64_t n, int64_t k,
                    const uint16_t *a, int64_t lda, const uint16_t *packed, void *y, int64_t ldy,
                    const omma_bf16_out *o, void *room);

/* --- convolution, channels last, as last.h ------------------------------------------------ */

/* Can it be computed? x has p->c channels in each group, an even number. */
bool omma_bf16_conv_fits(const omma_kernels *kern, const omma_conv *p);

/* Bytes of the packed weights and of working memory; false on overflow. */
bool omma_bf16_conv_sizes(const omma_kernels *kern, const omma_conv *p, int threads, size_t *packed,
                          size_t *scratch);

/* Pack weights f32 [m, w_c, kh, kw], w_c <= p->c; those of the channels beyond are zeros. */
void omma_bf16_conv_pack(const omma_kernels *kern, const omma_conv *p, int64_t w_c, uint16_t *dst,
                         const void *weights, int threads);

/* x and y are dense. */
void omma_bf16_conv(const omma_kernels *kern, int threads, const omma_conv *p, const uint16_t *x,
                    const uint16_t *packed, void *y, const omma_bf16_out *o, void *scratch);

/* 3x3 without strides where Winograd's way in float32 is the faster one (winograd.c), with float32
 * weights as omma_last_pack packs them; x and y are dense. scratch: as for omma_bf16_depthwise. */
bool omma_bf16_winograd_fits(const omma_kernels *kern, const omma_conv *p);
bool omma_bf16_winograd_scratch(const omma_kernels *kern, const omma_conv *p, int threads,
                                size_t *bytes);
void omma_bf16_winograd(const omma_kernels *kern, int threads, const omma_conv *p,
                        const uint16_t *x, const void *packed, void *y, const omma_bf16_out *o,
                        void *scratch);

/* Depthwise (p->c is 1, p->m is p->groups), computed in float32, with float32 weights as
 * omma_last_pack packs them. scratch: as many bytes as the first says for that many threads or
 * fewer; it returns false on overflow. */
bool omma_bf16_depthwise_scratch(const omma_conv *p, int threads, size_t *bytes);
void omma_bf16_depthwise(const omma_kernels *kern, int threads, const omma_conv *p,
                         const uint16_t *x, const void *packed, void *y, const omma_bf16_out *o,
                         void *scratch);

#endif
