/* contour.h - from a binary map to shapes: its connected regions, the convex hull of
 * each, and the smallest rectangle around a hull.
 *
 * Coordinates are pixel centres: the pixel in column 3 of row 5 is the point (3, 5), so a
 * region 10 pixels wide spans 9. Text detectors are tuned to that convention (OpenCV's
 * findContours and minAreaRect); whoever needs areas of pixels adds the half himself.
 *
 * Borders are not followed: everything asked of a region here depends on its hull alone,
 * and the hull of a region is the hull of the two ends of each of its runs. */
#ifndef OMMA_TASK_CONTOUR_H
#define OMMA_TASK_CONTOUR_H

#include <stdint.h>

#include "base/error.h"

/* A point of the plane, x to the right, y downwards [px]. */
typedef struct omma_point {
    float x, y;
} omma_point;

/* Four corners, clockwise on the screen; at[0] is the top left one of what it frames. */
typedef struct omma_quad {
    omma_point at[4];
} omma_quad;

/* A rectangle turned by any angle: (ux, uy) is the unit vector along its width, (-uy, ux)
 * the one along its height. */
typedef struct omma_turned_rect {
    float cx, cy; /* the centre [px] */
    float ux, uy;
    float w, h; /* >= 0 [px] */
} omma_turned_rect;

/* Pixels x0..x1 of row y, both inclusive. */
typedef struct omma_run {
    int y, x0, x1;
} omma_run;

/* A connected set of pixels; 8-connected, so a diagonal line is one region. What it points
 * to belongs to its omma_regions. */
typedef struct omma_region {
    int x0, y0, x1, y1;     /* the smallest upright box, all inclusive [px] */
    int64_t area;           /* [pixels] */
    const omma_run *runs;   /* its pixels, row by row */
    int run_count;          /* >= 1 */
    const omma_point *hull; /* as omma_hull leaves it */
    int hull_count;         /* >= 1 */
} omma_region;

typedef struct omma_regions {
    omma_region *items; /* in the order of their first pixel, row by row */
    int count;
    omma_run *runs;
    omma_point *points;
} omma_regions;

/* Find the connected regions of a map.
 *   out   receives them; free with omma_regions_free.
 *   mask  u8 [h, w], dense; a pixel belongs to a region when it is not zero.
 *   w, h  >= 1 [px], at most 2^28 pixels together.
 * Returns OMMA_OK (none found is count 0), OMMA_E_RANGE (w, h) or OMMA_E_NOMEM; on error
 * out is empty. Thread-safe.
 * Source: run-based labelling with union-find, He, Chao, Suzuki, IEEE TIP 17(5), 2008. */
omma_status omma_regions_find(omma_regions *out, const unsigned char *mask, int w, int h,
                              omma_error *err);

/* Free what omma_regions_find gave; an empty one is allowed. */
void omma_regions_free(omma_regions *r);

/* Turn a set of points into its convex hull, in place.
 *   points  n points in any order, doubles allowed; no NaN. The first result points are
 *           the hull's corners, without those on a straight edge, clockwise on the screen
 *           beginning with the topmost (of these the leftmost).
 * Returns the number of corners: n for n = 0 or 1; 1 when all points are the same and 2
 * when all are on a line. Thread-safe.
 * Source: Andrew, Inf. Proc. Letters 9(5), 1979 (monotone chain). */
int omma_hull(omma_point *points, int n);

/* The rectangle of least area around a hull.
 *   hull  n >= 1 corners, as omma_hull leaves them. One point gives a rectangle without
 *         size, two one without height.
 * w >= h is not promised. Thread-safe.
 * Source: Freeman and Shapira, Comm. ACM 18(7), 1975: one side lies on an edge. */
omma_turned_rect omma_min_rect(const omma_point *hull, int n);

/* The corners of a rectangle, ordered by omma_quad_order. */
omma_quad omma_rect_corners(const omma_turned_rect *r);

/* Put the corners of a convex quadrilateral in order: top left, top right, bottom right,
 * bottom left. The left two are those with the smallest x, top is the upper of each pair; a
 * line of text up to about 60 degrees steep then begins at at[0].
 * Source: get_mini_boxes of PaddleOCR, db_postprocess.py. */
void omma_quad_order(omma_quad *q);

#endif
