/* page.h - how lines of text lie on a page: which way they run, and in which order they
 * are read.
 *
 * A line is a quadrilateral; once it is upright, at[0] to at[1] is the way its text runs
 * and at[0] to at[3] is down. A page photographed at any angle has a direction, the one
 * most text runs in; rows and their order are found in its frame, so a page on its side
 * reads as an upright one does. */
#ifndef OMMA_TASK_PAGE_H
#define OMMA_TASK_PAGE_H

#include "task/contour.h"

/* The axis most lines lie along, before it is known which end is the beginning: the mean
 * over all long sides, each counted by how much longer than high its line is. Returns a
 * unit vector that points right, or down when it is steeper than 45 degrees; (1, 0) when
 * no line is longer than high.
 *   agreement  receives how far they agree: 1 all along one axis, 0 none; may be NULL.
 *   q          n quadrilaterals with at[0] to at[1] along either side. Thread-safe. */
omma_point omma_page_axis(double *agreement, const omma_quad *q, int n);

/* Turn a quadrilateral so that at[0] to at[1] is the way its text most likely runs: along
 * the longer side, or, when it is hardly longer than high (a short word, one character),
 * the side nearer to the axis; of the two ways the one along the axis, and for a line
 * across the axis the one to the right or down. Thread-safe. */
omma_quad omma_page_upright(const omma_quad *q, omma_point axis);

/* The direction of a page of upright lines: the mean of their directions, each counted by
 * its length; (1, 0) when there are none or they cancel out. Thread-safe. */
omma_point omma_page_direction(const omma_quad *q, int n);

/* The order in which upright lines are read: rows from the top to the bottom of the page,
 * each from its beginning to its end.
 *   order      receives n indices.
 *   q          n upright quadrilaterals.
 *   direction  the page's.
 * Two lines share a row when their facing ends are at the same height, to half of the
 * smaller line's height; a row may bend or climb slowly. Columns are not told apart.
 * Returns OMMA_OK or OMMA_E_NOMEM. Thread-safe. */
omma_status omma_page_order(int *order, const omma_quad *q, int n, omma_point direction,
                            omma_error *err);

#endif
