/* norm_row.h - what normalisations with a mean do to numbers that lie side by side. */
#ifndef OMMA_OP_NORM_ROW_H
#define OMMA_OP_NORM_ROW_H

#include "op/element.h"

/* Mean and 1 / sqrt(var + eps). */
typedef struct omma_stats {
    double mean, inv;
} omma_stats;

/* The sum of n contiguous numbers from number i of v, and of their squares about mean. */
double omma_norm_sum(const omma_kernels *k, const omma_value *v, int64_t i, int64_t n);
double omma_norm_squares(const omma_kernels *k, const omma_value *v, int64_t i, int64_t n,
                         double mean);

/* Those of n contiguous numbers from number i of v, of any floating type. */
omma_stats omma_norm_stats(const omma_kernels *k, const omma_value *v, int64_t i, int64_t n,
                           double eps);

/* y = (x - mean) * inv * scale + bias for n contiguous numbers from number i. */
void omma_norm_row(const omma_kernels *k, const omma_value *x, omma_value *y, int64_t i, int64_t n,
                   omma_stats s, double scale, double bias);

#endif
