/* resample.h - between the files of Resize: what its attributes say, an axis' table of taps,
 * resampling of maps whose pixels are runs of numbers (channels last), and the way back. */
#ifndef OMMA_OP_RESAMPLE_H
#define OMMA_OP_RESAMPLE_H

#include "op/field.h"
#include "op/grad.h"

typedef enum omma_resample_mode {
    OMMA_RESIZE_NEAREST,
    OMMA_RESIZE_LINEAR,
    OMMA_RESIZE_CUBIC
} omma_resample_mode;

typedef enum omma_resample_coordinate {
    OMMA_RESIZE_HALF_PIXEL,
    OMMA_RESIZE_HALF_PIXEL_SYMMETRIC,
    OMMA_RESIZE_PYTORCH_HALF_PIXEL,
    OMMA_RESIZE_ALIGN_CORNERS,
    OMMA_RESIZE_ASYMMETRIC,
    OMMA_RESIZE_TF_CROP,
    OMMA_RESIZE_TF_HALF_PIXEL_FOR_NN
} omma_resample_coordinate;

typedef enum omma_resample_nearest {
    OMMA_RESIZE_PREFER_FLOOR,
    OMMA_RESIZE_PREFER_CEIL,
    OMMA_RESIZE_FLOOR,
    OMMA_RESIZE_CEIL
} omma_resample_nearest;

typedef struct omma_resample_axis {
    int64_t in, out;
    double scale, length; /* length: of the output before rounding */
    double roi_start, roi_end;
    /* the table */
    bool active;   /* not the identity */
    int64_t taps;  /* for each output */
    int64_t *at;   /* [out*taps] inputs, in rising order for each output */
    double *w;     /* [out*taps] */
    float *w32;    /* the same */
    bool *outside; /* [out], or NULL: takes the extrapolation value */
} omma_resample_axis;

/* What a node says. */
typedef struct omma_resample {
    omma_resample_mode mode;
    omma_resample_coordinate coordinate;
    omma_resample_nearest nearest;
    bool antialias, exclude_outside;
    double cubic_a, extrapolation;
    int rank;
    omma_resample_axis axes[OMMA_MAX_RANK];
} omma_resample;

/* Read the attributes and inputs of n, but for input 0, which is of these dims. old: by the rules
 * of Resize 10 and Upsample. Sets everything but the tables. */
omma_status omma_resample_read(omma_build *b, const omma_node *n, int rank, const int64_t *dims,
                               bool old, omma_resample *p);

/* Make the table of a, an axis of p or a copy of one, on b's arena. No weight in it is nearly
 * zero: those that only rounding keeps from 0 are 0. */
omma_status omma_resample_table(omma_build *b, const omma_node *n, const omma_resample *p,
                                omma_resample_axis *a);

/* The window that the taps of a, whose table is made, lie in if the input had no ends:
 * [slope*o + low, slope*o + high] for output o; slope 0 where there is none. */
void omma_resample_reach(const omma_resample *p, const omma_resample_axis *a, double *slope,
                         double *low, double *high);

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

/* The cotangent of input 0 of n, a Resize or Upsample described by p, from its output's. */
omma_value *omma_resample_back(omma_maker *m, const omma_node *n, const omma_resample *p,
                               omma_value *dy);

/* One axis of that way (resample_grad.c). Not in the table of operators. */
extern const omma_op omma_op_ResizeGrad;

#endif
