/* pool_last.h - pooling of channels-last maps: x: f32 [N,H,W,C], y: f32 [N,OH,OW,C]. Drivers on top
 * of the table of kernel.h; what is said there of bits and threads holds here. Nothing needs
 * working memory. */
#ifndef OMMA_KERNEL_POOL_LAST_H
#define OMMA_KERNEL_POOL_LAST_H

#include "kernel/kernel.h"

/* Output pixel (oy, ox) joins the pixels (oy*stride_h - pad_top + ky*dilation_h, ox*stride_w -
 * pad_left + kx*dilation_w) that lie in the map, oh and ow say how many there are (so ceil_mode is
 * the caller's). A maximum is NaN when one of them is, and -inf when there are none; a mean is 0
 * then, else their sum divided by their count or, with include_pad, by the count of taps in the map
 * and its declared padding. */
typedef struct omma_pooling {
    int64_t n, c, h, w, oh, ow;
    int kh, kw, stride_h, stride_w, dilation_h, dilation_w;
    int64_t pad_top, pad_left;
    int64_t pad_bottom, pad_right; /* declared; only read with include_pad */
    bool mean, include_pad;        /* mean: else the maximum */
} omma_pooling;

/* x_ld, y_ld: from a pixel to the next [floats]; rows and images follow without gaps. */
void omma_pool_last(const omma_kernels *kern, int threads, const omma_pooling *p, const float *x,
                    int64_t x_ld, float *y, int64_t y_ld);

/* The mean over all pixels, global average pooling: y: [n, c], pixels >= 1. */
void omma_mean_last(const omma_kernels *kern, int threads, int64_t n, int64_t pixels, int64_t c,
                    const float *x, int64_t x_ld, float *y);

#endif
