/* baseline.h - what a pixel becomes when it is hidden. Hiding is how a model is asked what a part
 * of the picture is worth, and there is no neutral way: each baseline is a picture of its own, to
 * which the answers refer. So it always has a name, which is printed beside whatever was measured
 * with it. Numbers are those of the model's input, as the picture was prepared for it. */
#ifndef OMMA_FIELD_BASELINE_H
#define OMMA_FIELD_BASELINE_H

#include "field/unit.h"

typedef enum omma_baseline_kind {
    OMMA_BASELINE_DEFAULT, /* the method's own, one of the following */
    OMMA_BASELINE_MEAN,    /* the mean colour of the picture at hand */
    OMMA_BASELINE_BLUR,    /* the picture at hand, blurred */
    OMMA_BASELINE_GREY,    /* a number for each colour */
    OMMA_BASELINE_ZERO, /* 0: black, or the mean of the training pictures if that was taken off */
    OMMA_BASELINES
} omma_baseline_kind;

enum { OMMA_PICTURE_COLOURS = 4 };

typedef struct omma_baseline {
    omma_baseline_kind kind;
    double grey[OMMA_PICTURE_COLOURS]; /* GREY: for pictures divided by 255, say, 0.5 */
    double sigma; /* BLUR: of the Gaussian [px]; 0: a sixteenth of the longer side */
} omma_baseline;

/* Returns OMMA_OK or OMMA_E_USAGE (no such kind, a sigma below 0 or not finite). */
omma_status omma_baseline_check(const omma_baseline *b, omma_error *err);

/* Its name with its numbers, as "blur of 20 px". */
void omma_baseline_say(char *out, size_t size, const omma_baseline *b, const omma_picture *p);

/* The hidden picture.
 *   out, x  [channels, height, width]; x: the picture at hand. They must not overlap.
 *   b       not of OMMA_BASELINE_DEFAULT.
 * Returns OMMA_OK or OMMA_E_NOMEM. */
omma_status omma_baseline_fill(double *out, const omma_baseline *b, const double *x,
                               const omma_picture *p, omma_arena *tmp, omma_error *err);

#endif
