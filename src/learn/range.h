/* range.h - the range of an activation and the 8 bits that stand for it best.
 *
 * Seen twice: omma_range_see finds the least and the largest number, omma_range_count then sorts
 * all numbers into BINS between them. omma_range_choose looks for the part [lo, hi] of that range
 * whose 256 steps have the least mean squared error: numbers inside are off by step^2/12, those
 * outside by how far they are clipped. */
#ifndef OMMA_LEARN_RANGE_H
#define OMMA_LEARN_RANGE_H

#include <stdbool.h>
#include <stdint.h>

enum { OMMA_RANGE_BINS = 2048 };

typedef struct omma_range {
    bool seen, sound; /* any number; none that is infinite or no number */
    float lo, hi;     /* of what was seen, 0 among it */
    double bins[OMMA_RANGE_BINS];
} omma_range;

/* y = (q - zero) * scale, q in 0..255. */
typedef struct omma_steps {
    float scale;
    uint8_t zero;
} omma_steps;

/* Start with omma_range_clear; see everything, then count everything. n numbers of x. */
void omma_range_clear(omma_range *r);
void omma_range_see(omma_range *r, const float *x, int64_t n);
void omma_range_count(omma_range *r, const float *x, int64_t n);

/* The best steps; 0 is among what they stand for. scale is 1 when nothing but 0 was seen. */
omma_steps omma_range_choose(const omma_range *r);

#endif
