/* last.h - kernels on channels-last feature maps: x: f32 [N,H,W,C], y: f32 [N,OH,OW,M]. A map and
 * the matrix of its pixels [N*H*W, C] are the same memory. Drivers on top of the table of kernel.h,
 * as those of gemm.c; what is said there of bits, threads and memory holds here.
 *
 * The geometry is an omma_conv, whose channels lie in groups one after the other. x_ld and y_ld
 * [floats] are from a pixel to its right neighbour, at least the channels of a pixel; rows and
 * images follow one another without gaps. Padding is zeros. With p->planes a convolution reads
 * x: f32 [N,C,H,W], as pictures are, and x_ld counts for nothing. */
#ifndef OMMA_KERNEL_LAST_H
#define OMMA_KERNEL_LAST_H

#include "kernel/kernel.h"

/* --- convolution ------------------------------------------------------------------- */

/* The way this geometry is computed, as the name of the form its weights are packed in: two
 * geometries with the same name and weights can share them. Static text. */
const char *omma_last_form(const omma_kernels *kern, const omma_conv *p);

/* Multiplications and additions of it. */
static inline double omma_conv_flops(const omma_conv *p) {
    return 2.0 * (double)p->n * (double)p->m * (double)p->oh * (double)p->ow * (double)p->c *
           p->kh * p->kw;
}

/* Should x have its channels first if it does so already: a picture's few, under windows that
 * overlap? (Patches are as fast either way.) p->planes is not looked at. */
bool omma_last_planes(const omma_conv *p);

/* Bytes of the packed weights; false on overflow. */
bool omma_last_packed_bytes(const omma_kernels *kern, const omma_conv *p, size_t *bytes);

/* Pack weights f32 [m, c, kh, kw] as in the file (unaligned allowed) into dst, which is aligned to
 * 64 bytes. */
void omma_last_pack(const omma_kernels *kern, const omma_conv *p, void *dst, const void *weights,
                    int threads);

/* Bytes of working memory omma_last_run needs with that many threads or fewer; false on overflow,
 * also of the sizes of x, weights and y. */
bool omma_last_scratch(const omma_kernels *kern, const omma_conv *p, int threads, size_t *bytes);

/* y = act(conv(x) + col_bias + add): e->col_bias is the bias by output channel, e->add is laid out
 * as y with add_ld from a pixel to the next; row_bias is not used; e may be NULL. scratch: as
 * omma_last_scratch says, aligned to 64 bytes. */
void omma_last_run(const omma_kernels *kern, int threads, const omma_conv *p, const float *x,
                   int64_t x_ld, const void *packed, float *y, int64_t y_ld, const omma_epilogue *e,
                   void *scratch);

#endif
