/* compare.h - two tensors that ought to be the same: how far apart they are, and where. */
#ifndef OMMA_RUN_COMPARE_H
#define OMMA_RUN_COMPARE_H

#include <stdbool.h>

#include "omma/omma.h"

/* What counts as the same. Real numbers agree when
 *     |got - want| <= atol + rtol * (largest finite |want| of the whole tensor),
 * integers and booleans when |got - want| <= atol. NaN agrees with NaN only, an infinity with
 * the same infinity only. Both are >= 0. */
typedef struct omma_tolerance {
    double rtol, atol;
} omma_tolerance;

/* How got and want differ. Where type or shape do, the numbers are compared only if there are
 * as many of both. */
typedef struct omma_difference {
    bool agrees;      /* the same type and shape, and no number differs */
    bool type, shape; /* these differ */
    int64_t count;    /* numbers compared */
    int64_t beyond;   /* of them, how many differ by more than is allowed */
    int64_t odd;      /* of them, NaN or an infinity on one side only */
    int64_t at;       /* the largest difference, or the first odd one; -1: nothing compared */
    double got, want; /* there */
    double largest;   /* largest |got - want| of finite numbers */
    double mean;      /* their mean */
    double magnitude; /* largest finite |want| */
    double relative;  /* largest / magnitude; 0 when both are 0, infinite when only the latter is */
    double cosine;    /* of got and want as vectors, finite pairs only; 1 when both are 0 */
} omma_difference;

/* Compare two tensors, of any alignment and any type but string. Thread-safe. */
void omma_compare(omma_difference *out, const omma_tensor *got, const omma_tensor *want,
                  const omma_tolerance *t);

/* The coordinates of element i of a tensor of these dims. */
void omma_coordinates(int64_t *out, const int64_t *dims, int rank, int64_t i);

#endif
