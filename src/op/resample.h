/* resample.h - between the files of Resize: an axis' table of taps, and resampling of maps whose
 * pixels are runs of numbers (channels last). */
#ifndef OMMA_OP_RESAMPLE_H
#define OMMA_OP_RESAMPLE_H

#include "op/op.h"

typedef struct omma_resample_axis {
    int64_t in, out;
    double scale, length; /* length: of the output before rounding */
    double roi_start, roi_end;
    bool active;   /* not the identity */
    int64_t taps;  /* for each output */
    int64_t *at;   /* [out*taps] inputs */
    double *w;     /* [out*taps] */
    float *w32;    /* the same */
    bool *outside; /* [out], or NULL: takes the extrapolation value */
} omma_resample_axis;

/* x: f32 [planes, rows->in, cols->in, unit], y: f32 [planes, rows->out, cols->out, unit]. */
typedef struct omma_resample_pixels {
    const omma_resample_axis *rows, *cols;
    int64_t planes, unit;
    bool nearest;
} omma_resample_pixels;

/* Can it be done so? */
bool omma_resample_pixels_fit(const omma_resample_pixels *p);

void omma_resample_pixels_run(const omma_exec *x, const omma_resample_pixels *p, const float *src,
                              float *dst);

#endif
