/* spread.h - how far a picture of weights spreads: how many pixels hold how much of it, and how far
 * around a centre one must go. The measures of an effective field. */
#ifndef OMMA_FIELD_SPREAD_H
#define OMMA_FIELD_SPREAD_H

#include <stdint.h>

#include "base/error.h"

/* The parts of the sum that are asked for: 20, 30, 50, 95 and 99 %. */
enum { OMMA_SHARE_20, OMMA_SHARE_30, OMMA_SHARE_50, OMMA_SHARE_95, OMMA_SHARE_99, OMMA_SHARES };
extern const double omma_shares[OMMA_SHARES];

/* All are NaN, but for the sum, when the sum is 0. */
typedef struct omma_spread {
    double sum;
    /* by share: */
    double area[OMMA_SHARES];   /* the fewest pixels that hold it, of all pixels (0 to 1) */
    double side[OMMA_SHARES];   /* of the smallest square around the centre whose whole pixels do
                                   [px]; it may reach over the picture's edge */
    double square[OMMA_SHARES]; /* what of the picture lies in that square (0 to 1) */
    double radius[OMMA_SHARES]; /* the smallest around the centre within which the middles of
                                   pixels do [px]; R50, R95 */
    /* square roots of mean squares of the distance from the centre, not from the mean [px]: */
    double sigma_y, sigma_x;
    double sigma; /* of both axes: what each has when they are the same */
} omma_spread;

enum { OMMA_SPREAD_NUMBERS = sizeof(omma_spread) / sizeof(double) };

/* Measure one.
 *   map     [height, width], no number below 0 or not finite.
 *   cy, cx  the centre, anywhere; a pixel's middle is a whole number [px].
 * Returns OMMA_OK, OMMA_E_RANGE (a size that is 0 or too large) or OMMA_E_NOMEM. Thread-safe. */
omma_status omma_spread_measure(omma_spread *out, const double *map, int64_t height, int64_t width,
                                double cy, double cx, omma_error *err);

#endif
