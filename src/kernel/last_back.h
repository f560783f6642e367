/* last_back.h - transposed convolution on channels-last feature maps: x: f32 [N,H,W,G*C],
 * w: f32 [G*C, M/G, kh, kw], y: f32 [N,OH,OW,M]. Every pixel of x spreads its kernel over y; so
 * goes the gradient of a convolution back to its input. A driver on top of the table of kernel.h,
 * as those of last.h; what is said there of layout and leading dimensions holds here.
 *
 * The geometry is an omma_conv, read the other way around: pixel i of x reaches the outputs
 * i*stride - pad + t*dilation, of which some may have no pixel. */
#ifndef OMMA_KERNEL_LAST_BACK_H
#define OMMA_KERNEL_LAST_BACK_H

#include "kernel/kernel.h"

/* Bytes of packed weights, and of working memory for that many threads or fewer; false on overflow,
 * also of the sizes of x, weights and y. */
bool omma_last_back_sizes(const omma_kernels *kern, const omma_conv *p, int threads, size_t *packed,
                          size_t *scratch);

/* Pack weights as in the file (unaligned allowed) into dst, which is aligned to 64 bytes. */
void omma_last_back_pack(const omma_kernels *kern, const omma_conv *p, void *dst,
                         const void *weights);

/* y = spread(x) + bias, by output channel or NULL. scratch: aligned to 64 bytes. */
void omma_last_back(const omma_kernels *kern, int threads, const omma_conv *p, const float *x,
                    int64_t x_ld, const void *packed, float *y, int64_t y_ld, const float *bias,
                    void *scratch);

#endif
