/* int8.h - products of 8-bit numbers: u8 activations by s8 weights, summed exactly in int32 and
 * brought back to u8 or float as they leave the registers. Drivers on top of the table of kernel.h;
 * what is said there of threads and memory holds here. For the plain activations (none, ReLU, clip)
 * every table gives the same bits: the sums are exact, and what follows is done in float32, number
 * by number, in one order.
 *
 *   sum = init[m] + sum over k of x * w            exact; |sum| < 2^31 when k <= OMMA_INT8_MOST
 *   v   = sum * scale[m] + bias[m] + addend        the addend is float, or (u8 - zero) * scale
 *   v   = act(v), then v * post_scale + post_shift
 *   y   = v, or saturate(round(v * inverse) + zero), ties to even, NaN to 0
 *
 * init is what the zero point of x adds: -x_zero * sum of w. Padding is x_zero. */
#ifndef OMMA_KERNEL_INT8_H
#define OMMA_KERNEL_INT8_H

#include "kernel/kernel.h"

enum { OMMA_INT8_MOST = 1 << 16 }; /* products in one sum */

/* What becomes of the sums. The arrays are by output channel, with room for a whole panel. */
typedef struct omma_int8_out {
    const int32_t *init;
    const float *scale, *bias;
    const float *add;    /* addend, laid out as y, or NULL */
    const uint8_t *add8; /* or this one */
    int64_t add_ld;      /* from a pixel's addends to the next [elements] */
    float add_scale;
    int add_zero;
    omma_act act;
    float lo, hi; /* of OMMA_ACT_CLIP */
    bool post;
    float post_scale, post_shift;
    bool to_u8; /* else to float */
    float inverse;
    int zero;
} omma_int8_out;

/* A convolution of one group, channels last: x u8 [n,h,w,c], y [n,oh,ow,m]. A matrix product is
 * one with a 1x1 kernel: omma_int8_rows. */
typedef omma_conv omma_int8_conv;
omma_conv omma_int8_rows(int64_t rows, int64_t k, int64_t n);

/* The numbers of init, scale and bias for m channels: whole panels. */
int64_t omma_int8_padded(const omma_kernels *kern, int64_t m);

/* Bytes of packed weights; false on overflow. */
bool omma_int8_packed_bytes(const omma_kernels *kern, const omma_conv *p, size_t *bytes);

/* Pack weights s8; channel i's weight for input channel c and tap t (ky*kw + kx) is at
 * w[i*m_step + c*c_step + t]. dst is aligned to 64 bytes. sums: by channel, receives the sum of its
 * weights. */
void omma_int8_pack(const omma_kernels *kern, const omma_conv *p, int8_t *dst, int32_t *sums,
                    const int8_t *w, int64_t m_step, int64_t c_step);

/* Bytes of working memory of omma_int8_run with that many threads or fewer; false on overflow,
 * also of the sizes of x and y. */
bool omma_int8_scratch(const omma_kernels *kern, const omma_conv *p, int threads, size_t *bytes);

/* y: u8 or float by o->to_u8. The addends' and o's pointers are those of the first pixel and
 * channel; the addend may be y itself. x is not written. */
void omma_int8_run(const omma_kernels *kern, int threads, const omma_conv *p, const uint8_t *x,
                   int x_zero, const int8_t *packed, const omma_int8_out *o, void *y,
                   void *scratch);

#endif
