/* norm_grad.h - what gradients of normalisations share: the closed form
 *
 *     hat = (x - mean) * inv                    inv = 1 / sqrt(var + epsilon)
 *     dx  = inv * (d - mean(d) - hat * mean(d * hat))
 *
 * for a cotangent d of hat, all means over the axes that x's is taken of. It is written in the
 * operators of the table: the sums stay where feature maps lie channels last. */
#ifndef OMMA_OP_NORM_GRAD_H
#define OMMA_OP_NORM_GRAD_H

#include "op/grad.h"

/* v in the type that sums over x are taken in: float32 where x is of 16 bits. */
omma_value *omma_norm_cast(omma_maker *m, omma_value *v, const omma_value *x);

/* The mean of x over the axes of the set bits, which stay with size 1. */
omma_value *omma_norm_mean(omma_maker *m, omma_value *x, unsigned axes);

/* The same of its squares. */
omma_value *omma_norm_mean_square(omma_maker *m, omma_value *x, unsigned axes);

/* 1 / sqrt(v + eps). */
omma_value *omma_norm_inverse(omma_maker *m, omma_value *v, double eps);

/* A tensor x without mean and with variance 1. */
typedef struct omma_normed {
    omma_value *hat; /* of x's shape */
    omma_value *inv; /* the axes have size 1 */
    unsigned axes;   /* that mean and variance are taken of, a bit each */
} omma_normed;

omma_normed omma_norm_of(omma_maker *m, omma_value *x, unsigned axes, double eps);

/* The cotangent of x from those of hat, mean and var; the last two of inv's shape, or NULL for
 * none. */
omma_value *omma_norm_back(omma_maker *m, const omma_normed *h, omma_value *dhat, omma_value *dmean,
                           omma_value *dvar);

#endif
