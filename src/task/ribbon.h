/* ribbon.h - the shape of a line of text that bends: a strip around a curve.
 *
 * A rectangle around a line on a curled page, or on one seen from the side, holds parts of
 * its neighbours too. A ribbon follows the line: its middle is a cubic along the line's
 * rectangle and its height changes evenly from one end to the other. */
#ifndef OMMA_TASK_RIBBON_H
#define OMMA_TASK_RIBBON_H

#include <stdbool.h>

#include "task/contour.h"

enum { OMMA_RIBBON_PARTS = 16 };

/* The upper and the lower edge, in the way the text runs. part k is the quadrilateral
 * top[k], top[k + 1], bottom[k + 1], bottom[k]. */
typedef struct omma_ribbon {
    omma_point top[OMMA_RIBBON_PARTS + 1], bottom[OMMA_RIBBON_PARTS + 1]; /* [px] */
} omma_ribbon;

/* Fit a ribbon to a region.
 *   out    receives it, in pixel centres.
 *   g      the region.
 *   r      the smallest rectangle around it.
 *   ratio  by which it is grown, D = A ratio / L as in dbnet.h.
 * Returns whether the region is a line that bends: at least 4 times as long as high, and
 * its rectangle a quarter higher than the ribbon. Thread-safe. */
bool omma_ribbon_fit(omma_ribbon *out, const omma_region *g, const omma_turned_rect *r,
                     float ratio);

/* Let a ribbon run the other way, turned by 180 degrees. */
void omma_ribbon_reverse(omma_ribbon *r);

#endif
