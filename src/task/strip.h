/* strip.h - one line of text as a recogniser wants it: cut out of the picture, upright,
 * 48 pixels high and as wide as its shape asks, then as a tensor.
 *
 * PaddleOCR cuts at the picture's own scale and then resizes to the strip with OpenCV's
 * bilinear filter, which is not antialiased. Here a line smaller than the strip is cut
 * straight into it, one interpolation instead of two; a larger one is cut at its own scale
 * and made smaller with an antialiased filter.
 *
 * Source: PaddleOCR, tools/infer/predict_rec.py (resize_norm_img) and utility.py
 * (get_rotate_crop_image). */
#ifndef OMMA_TASK_STRIP_H
#define OMMA_TASK_STRIP_H

#include "task/contour.h"
#include "task/ribbon.h"

enum {
    OMMA_STRIP_HEIGHT = 48,      /* [px] */
    OMMA_STRIP_MAX_WIDTH = 9600, /* a line longer than 200 times its height is squeezed [px] */
};

typedef struct omma_strip {
    unsigned char *rgb; /* u8 [48, width, 3] */
    int width;          /* 1..OMMA_STRIP_MAX_WIDTH [px] */
} omma_strip;

/* Cut a line.
 *   out   receives the strip; free with omma_strip_free.
 *   rgb   u8 [h, w, 3], dense.
 *   w, h  1..OMMA_IMAGE_MAX_SIDE [px].
 *   q     the line, upright (see page.h), as omma_warp_quad wants it.
 * Returns OMMA_OK, OMMA_E_RANGE (q is no such quadrilateral) or OMMA_E_NOMEM; on error out
 * is empty. Thread-safe. */
omma_status omma_strip_cut(omma_strip *out, const unsigned char *rgb, int w, int h,
                           const omma_quad *q, omma_error *err);

/* As omma_strip_cut, along a ribbon, each part of it as wide as its own height asks.
 * Returns OMMA_E_RANGE when one of the parts is no convex clockwise quadrilateral. */
omma_status omma_strip_cut_ribbon(omma_strip *out, const unsigned char *rgb, int w, int h,
                                  const omma_ribbon *r, omma_error *err);

void omma_strip_free(omma_strip *s);

/* Write the columns of a strip from from (>= 0) on as a tensor, f32 [3, 48, width]: blue,
 * green, red; (v/255 - 0.5) / 0.5; zeros where the strip has ended. Thread-safe. */
void omma_strip_tensor(float *dst, int width, const omma_strip *s, int from);

#endif
