/* grid_taps.h - between the files of GridSample: what its attributes say, and which pixels a place
 * of the grid reads, by which weights. */
#ifndef OMMA_OP_GRID_TAPS_H
#define OMMA_OP_GRID_TAPS_H

#include "op/window.h"

typedef enum omma_grid_mode { OMMA_GRID_NEAREST, OMMA_GRID_LINEAR, OMMA_GRID_CUBIC } omma_grid_mode;
typedef enum omma_grid_padding {
    OMMA_GRID_ZEROS,
    OMMA_GRID_BORDER,
    OMMA_GRID_REFLECTION
} omma_grid_padding;

enum { OMMA_GRID_AXES = 3, OMMA_GRID_TAPS = 16 };

typedef struct omma_grid {
    omma_grid_mode how;
    omma_grid_padding padding;
    bool align;
    int k;                       /* spatial axes, 2 or 3 */
    int64_t in[OMMA_GRID_AXES];  /* [D,] H, W */
    int64_t n, c, plane, points; /* points: of one image */
} omma_grid;

/* The taps of one place along one axis, and how their weights grow with the grid's number. */
typedef struct omma_grid_line {
    int n;
    int64_t at[4];
    double w[4], slope[4];
} omma_grid_line;

/* Those of all axes together: offsets in a plane. */
typedef struct omma_grid_taps {
    int n;
    int64_t at[OMMA_GRID_TAPS];
    double w[OMMA_GRID_TAPS];
} omma_grid_taps;

/* The most taps a place has. */
static inline int omma_grid_most(const omma_grid *p) {
    static const int each[] = {1, 2, 4};
    const int two = each[p->how] * each[p->how];
    return p->k == 2 ? two : two * each[p->how];
}

/* Read the attributes of n, a GridSample of x by grid, and check both; dims receives y's. */
omma_status omma_grid_read(omma_build *b, const omma_node *n, const omma_value *x,
                           const omma_value *grid, omma_grid *p, int64_t *dims);

/* Place i of all images, x first, out of the grid's numbers. */
static inline void omma_grid_place(const omma_grid *p, omma_dtype t, const void *numbers, int64_t i,
                                   double *g) {
    for (int d = 0; d < p->k; d++) g[d] = omma_number(t, numbers, i * p->k + d);
}

/* Along spatial axis d, of a place. */
omma_grid_line omma_grid_line_at(const omma_grid *p, const double *g, int d);
omma_grid_taps omma_grid_taps_at(const omma_grid *p, const double *g);

/* The cotangents of x and grid from dy (grid_sample_grad.c): inputs x, grid, dy of float32 or
 * float64, outputs of dy's type. Not in the table of operators. */
extern const omma_op omma_op_GridSampleGrad;

#endif
