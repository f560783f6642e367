/* dense.h - dense matrices of doubles, row-major: products and singular values, for what is
 * measured of attention and of features. No sum is split over threads, so that results do not
 * depend on their number. */
#ifndef OMMA_FIELD_DENSE_H
#define OMMA_FIELD_DENSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

/* One product; c overlaps neither a nor b. Sizes >= 0. */
typedef struct omma_product {
    double *c;       /* [m, n] */
    const double *a; /* [m, k], or [k, m] where it is turned */
    const double *b; /* [k, n] */
    int64_t m, k, n;
    bool turned; /* c = a^T b */
    bool add;    /* to what c holds */
} omma_product;

void omma_dense_product(const omma_product *p);

/* a [n, n] = I. */
void omma_dense_identity(double *a, int64_t n);

/* count * size bytes on an arena for numbers; OMMA_E_RANGE when a size is below 1 (name says
 * whose), OMMA_E_NOMEM. dims: rank of them, whose product is the count. */
omma_status omma_dense_alloc(double **out, omma_arena *arena, const int64_t *dims, int rank,
                             const char *name, omma_error *err);

/* Singular values.
 *   s      [columns], from large to small.
 *   a      [rows, columns], rows >= columns >= 1, finite; is destroyed.
 *   arena  what working memory is charged to; none of it remains.
 * Errors up to 1e-15 of the largest: a Householder bidiagonalisation, then bisection with Sturm
 * sequences of the tridiagonal matrix that has the singular values and their negatives as
 * eigenvalues (Golub, Kahan 1965). Costs 4 rows columns^2. Returns OMMA_OK or OMMA_E_NOMEM. */
omma_status omma_dense_singular(double *s, double *a, int64_t rows, int64_t columns,
                                omma_arena *arena, omma_error *err);

#endif
