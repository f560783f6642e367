/* int8_op.h - the products of 8-bit numbers that the passes make of QuantizeLinear,
 * DequantizeLinear and what stands between them. Not in the table, so no file can ask for them.
 *
 *   ConvInt8    x: u8 [N,H,W,C]   w: s8 [M,C,kh,kw]          y: u8 or f32 [N,OH,OW,M]
 *   LinearInt8  x: u8 [..., K]    w: s8 [K,N], or [N,K]      y: u8 or f32 [..., N]
 *
 *   inputs  x, w, scale of w (f32, one or one a channel), bias (f32 by channel), addend (u8 or
 *           f32, laid out as y, or what broadcasts to it); the last two may be left out
 *   y = Q(post(act((x - x_zero) * x_scale . w * w_scale + bias + addend))) */
#ifndef OMMA_OP_INT8_OP_H
#define OMMA_OP_INT8_OP_H

#include "op/fused.h"

extern const omma_op omma_op_ConvInt8, omma_op_LinearInt8;

enum {
    OMMA_INT8_X,
    OMMA_INT8_W,
    OMMA_INT8_W_SCALE,
    OMMA_INT8_BIAS,
    OMMA_INT8_ADD,
    OMMA_INT8_INPUTS
};

/* Their attributes, beside those of fused.h and a convolution's. */
#define OMMA_INT8_X_SCALE "omma.x_scale"
#define OMMA_INT8_X_ZERO "omma.x_zero"
#define OMMA_INT8_ADD_SCALE "omma.add_scale"
#define OMMA_INT8_ADD_ZERO "omma.add_zero"
#define OMMA_INT8_Y_SCALE "omma.y_scale" /* given: y is u8 */
#define OMMA_INT8_Y_ZERO "omma.y_zero"
#define OMMA_INT8_POST_SCALE "omma.post_scale" /* given, with the next: after act */
#define OMMA_INT8_POST_SHIFT "omma.post_shift"
#define OMMA_INT8_TRANSPOSED "omma.transposed" /* LinearInt8: w is [N,K] */

#endif
