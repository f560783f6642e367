/* view.h - where the elements of a value lie in another one. A chain of nodes that only move
 * numbers (Transpose, Reshape, Slice, Split, a Gather of one index) is one view of its source:
 *
 *     element i of the value = element offset + sum of at[k] * f[k].step of src,
 *
 * at: i taken apart, row-major, by the factors' dims. Axes are groups of neighbouring factors: so a
 * Reshape changes nothing, and factors are split only where an axis ends inside one. Shapes must be
 * known, so this is for rules that run at plan time. */
#ifndef OMMA_PASS_VIEW_H
#define OMMA_PASS_VIEW_H

#include "pass/rule.h"

enum { OMMA_VIEW_MAX = 16 };

typedef struct omma_factor {
    int64_t dim, step; /* dim > 1; step in elements, 0 where one element stands for all */
} omma_factor;

typedef struct omma_view {
    omma_value *src;
    int64_t offset;
    int n;
    omma_factor f[OMMA_VIEW_MAX];
} omma_view;

/* v as a view of itself. */
void omma_view_self(omma_view *w, omma_value *v);

/* Make the view of n's input 0 one of its output y. False where n does more than move, or cannot be
 * told so. */
bool omma_view_through(omma_view *w, omma_build *b, const omma_node *n, const omma_value *y);

/* v as a view of what it comes from, through as many nodes as can be seen through. With scale,
 * products and quotients with a constant number are seen through too: the elements are those of
 * the view times *scale, which this multiplies. */
void omma_view_trace(omma_view *w, omma_build *b, omma_value *v, double *scale);

/* Make the view of a value of shape from one of that value broadcast to shape to. False: it has no
 * room. */
bool omma_view_broadcast(omma_view *w, int from_rank, const int64_t *from, int rank,
                         const int64_t *to);

/* Split factors so that axes of these sizes, whose product is the number of elements, are whole
 * groups: axis i has the factors first[i] to first[i + 1] - 1. False when one cannot be split. */
bool omma_view_group(omma_view *w, int rank, const int64_t *dims, int *first);

/* Join neighbours that are one run of steps. */
void omma_view_merge(omma_view *w);

/* The input that n, a Mul or Div, multiplies by one constant number *by, or NULL. */
omma_value *omma_scaled(const omma_node *n, double *by);

/* Is n a Dropout that copies, as outside training? */
bool omma_is_idle_dropout(const omma_node *n);

#endif
