/* warp.h - cut a quadrilateral out of a picture and make it an upright rectangle, and
 * turn pictures by quarters.
 *
 * The map from the rectangle to the quadrilateral is the projective one through four
 * corners, in closed form; sampling is Keys' cubic, and pixels beyond the border repeat
 * the border. There is no prefilter: a cut should be made about as large as what it
 * shows and then be resized with an antialiased filter.
 *
 * Coordinates are pixel edges: the pixel in column 3 spans 3..4, its centre is 3.5.
 *
 * Source: Heckbert, "Fundamentals of Texture Mapping and Image Warping", UCB/CSD 89/516,
 * 1989, section 2.2.3; Keys, IEEE Trans. ASSP 29(6), 1981, a = -1/2. */
#ifndef OMMA_TASK_WARP_H
#define OMMA_TASK_WARP_H

#include "task/contour.h"

/* Cut out a quadrilateral.
 *   dst           u8 [h, w, 3], caller's memory; must not overlap src.
 *   w, h          >= 1 [px].
 *   src           u8 [src_h, src_w, 3], dense.
 *   src_w, src_h  >= 1 [px].
 *   q             goes to the corners of dst in its order: at[0] top left, clockwise.
 *                 Convex, clockwise, with an area; it may reach beyond the picture.
 * Returns OMMA_OK or OMMA_E_RANGE (a size; q is not such a quadrilateral); on error dst
 * is untouched. Thread-safe. */
omma_status omma_warp_quad(unsigned char *dst, int w, int h, const unsigned char *src, int src_w,
                           int src_h, const omma_quad *q, omma_error *err);

/* The size a cut needs to be as large as what it shows: the longer of each two opposite
 * sides, rounded, at least 1 [px]. */
void omma_quad_size(const omma_quad *q, int *w, int *h);

/* Begin the quadrilateral k quarters further clockwise: the cut of the result is the cut
 * of q turned by 90 k degrees counter-clockwise. k may be negative. */
omma_quad omma_quad_turn(const omma_quad *q, int k);

/* Turn a picture, u8 [h, w, 3], by 180 degrees in place. */
void omma_turn_half(unsigned char *rgb, int w, int h);

#endif
