/* activation_grad.h - the gradients of activations that work on big maps, as operators of one pass
 * each: dx = dy f'(v), with v the activation's output or its input. What else has a gradient is
 * written with the operators of the table. None of these is in the table, so no file can ask for
 * them.
 *
 *     ClipGrad       dy, y, lo, hi   dy where lo < y < hi, alpha dy elsewhere; lo, hi: one number
 *                                    each, of y's type, or left out; attribute alpha, default 0
 *     SigmoidGrad    dy, y           dy y (1 - y)
 *     TanhGrad       dy, y           dy (1 - y^2)
 *     GeluGrad       dy, x           attribute approximate, as Gelu's
 *     SwishGrad      dy, x           attribute alpha, as Swish's
 *     HardSwishGrad  dy, x           at the kinks 0 (x = -3) and 1 (x = 3)
 *
 *     SoftmaxGrad    dy, y           y (dy - sum y dy), attribute axis, as Softmax's (softmax.c)
 *
 * dy, y, x, dx: floats of one type and shape. */
#ifndef OMMA_OP_ACTIVATION_GRAD_H
#define OMMA_OP_ACTIVATION_GRAD_H

#include "op/make.h"

extern const omma_op omma_op_ClipGrad, omma_op_SigmoidGrad, omma_op_TanhGrad, omma_op_GeluGrad,
    omma_op_SwishGrad, omma_op_HardSwishGrad, omma_op_SoftmaxGrad;

/* Why they have no gradient of their own, and no field. */
#define OMMA_NO_SECOND "the gradient of a gradient is not built"

/* A node of one of them with at most one attribute (NULL: none); its output. */
omma_value *omma_activation_grad(omma_maker *m, const omma_op *op, omma_value *dy, omma_value *v,
                                 const omma_attr *attr);

/* ClipGrad; lo and hi may be NULL. */
omma_value *omma_clip_grad(omma_maker *m, omma_value *dy, omma_value *y, omma_value *lo,
                           omma_value *hi, float alpha);

#endif
