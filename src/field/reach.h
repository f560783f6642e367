/* reach.h - the field in closed form: along an axis of the image, cell o of a feature map sees
 *
 *     [stride * o + low, stride * o + high]       [px], a pixel's centre is a whole number
 *
 * as if the image had no edges. Numbers of an architecture, for every value at once; the sets of
 * fields.h are the exact ones, with holes and edges. Source: Araujo, Norris, Sim, "Computing
 * Receptive Fields of Convolutional Neural Networks", Distill 2019. */
#ifndef OMMA_FIELD_REACH_H
#define OMMA_FIELD_REACH_H

#include "field/fields.h"

/* Where a cell's index along the image's axis is found in a value: it is the digit
 * (index on `axis` - off) / div % mod. Rows of a feature map are (axis 2, 0, 1, H); of tokens
 * [N,H*W,C] behind a class token (axis 1, 1, W, H). */
typedef struct omma_digit {
    int axis; /* -1: nowhere */
    int64_t off, div, mod;
} omma_digit;

/* A digit of a tensor of rank ra and dims a as one of the same elements under dims b; axis -1: it
 * is on no one axis of them. */
omma_digit omma_digit_see(omma_digit g, int ra, const int64_t *a, int rb, const int64_t *b);

/* What a relation does to a digit of its input's cells. */
typedef enum omma_step {
    OMMA_STEP_LOST, /* the output's cells are no longer counted by any one axis */
    OMMA_STEP_ALL,  /* every output sees all of the cells, or the same of them */
    OMMA_STEP_SAME, /* output cell o sees input cell o */
    OMMA_STEP_MAP   /* output cell o sees the cells that *map gives for o */
} omma_step;

/* g, of the cells of `in`, becomes *to, of those of `out` (axis -1: lost or all). */
omma_step omma_digit_along(const omma_relation *r, const omma_value *in, const omma_value *out,
                           omma_digit g, omma_digit *to, const omma_map **map);

typedef struct omma_reach {
    bool any;         /* is there a path from the image at all? */
    bool whole;       /* one of them sees everything */
    bool odd;         /* one of them sees what no window describes */
    int64_t part;     /* the window is only so many cells' (others come otherwise); 0: all cells' */
    omma_digit digit; /* axis -1: there is no window; of the paths that have one: */
    double stride, low, high;
    double least, most; /* the size along the narrowest and the widest path [px] */
    double astray;      /* the farthest that centres of paths that met lay apart [px] */
} omma_reach;

/* By value index, of f's graph, on arena: the reach along `axis` of value `image` (an input).
 * NULL when memory is at its end. */
omma_reach *omma_reaches(const omma_fields *f, const omma_value *image, int axis, unsigned paths,
                         omma_arena *arena);

/* The middle of cell o's window, and its size. */
static inline double omma_reach_centre(const omma_reach *r, double o) {
    return r->stride * o + (r->low + r->high) / 2;
}
static inline double omma_reach_size(const omma_reach *r) { return r->high - r->low + 1; }

#endif
