/* conv_transpose.h - the window of a transposed convolution, which conv_transpose.c and
 * conv_transpose_last.c share. */
#ifndef OMMA_OP_CONV_TRANSPOSE_H
#define OMMA_OP_CONV_TRANSPOSE_H

#include "op/window.h"

/* Read and settle everything of a ConvTranspose of x: [N, C, spatial...]: the sizes of the output
 * and the pads, which output_padding, output_shape and auto_pad decide. Pixel i of x reaches the
 * outputs i*stride - pad + t*dilation. */
omma_status omma_transpose_window(omma_build *b, const omma_node *n, const omma_value *x,
                                  const int64_t *kernel, omma_window *w);

#endif
