/* conv_grad.h - the gradients of sliding products, which are sliding products again: what Conv and
 * ConvTranspose share. */
#ifndef OMMA_OP_CONV_GRAD_H
#define OMMA_OP_CONV_GRAD_H

#include "op/field.h"
#include "op/grad.h"
#include "op/window.h"

/* An attribute of Conv, 1: what is zero for want of numbers in its window is zero to the last bit.
 * A tile of Winograd's mixes neighbouring windows; what must cancel does so but for rounding. */
#define OMMA_CONV_LOCAL "omma.local"

/* Of y = Conv(x, w) by x.
 *   dy: [N, M, out...]   w: [M, C, kernel...]   x: [N, G*C, in...], its shape is read
 * Returns [N, G*C, in...]. Stride 1 becomes a Conv with the kernel turned around, which has the
 * fast kernels; other strides a ConvTranspose. */
omma_value *omma_conv_grad_input(omma_maker *m, omma_value *dy, omma_value *w, const omma_value *x,
                                 const omma_window *win, int64_t groups);

/* The same by w: the Conv of x with dy for a kernel, batch and channels exchanged, strides and
 * dilations too. Returns w's shape. */
omma_value *omma_conv_grad_weights(omma_maker *m, omma_value *dy, omma_value *x,
                                   const omma_value *w, const omma_window *win, int64_t groups);

#endif
