/* norm_grad.h - what gradients of normalisations and reductions share. They are written in the
 * operators of the table, with sums over axes: these stay where feature maps lie channels last.
 * Where hat = (x - mean) inv and d is its cotangent, all means over the same axes,
 *
 *     dx = inv * (d - mean(d) - hat * mean(d * hat))                inv = 1 / sqrt(var + epsilon)
 *
 * and a cotangent of the mean of n numbers adds dmean / n, one of their variance
 * dvar * 2 (x - mean) / n. */
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

/* How many numbers the axes of the set bits have in x; 1 for none. */
double omma_norm_count(const omma_value *x, unsigned axes);

#endif
