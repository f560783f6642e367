/* overlay.h - what a unit of a model sees, over the picture: sets, maps, places. Pixels are the
 * model's; a small picture is drawn larger, each pixel a square of k x k. */
#ifndef OMMA_VIEW_OVERLAY_H
#define OMMA_VIEW_OVERLAY_H

#include "view/draw.h"

typedef struct omma_overlay {
    omma_image img;
    int64_t height, width; /* of the picture as the model got it [px] */
    int k;
    bool photo; /* there is a picture under it; else pale squares */
} omma_overlay;

/* Begin with a photo, resized to height x width, or (NULL) with pale squares. Free with
 * omma_overlay_free. Returns OMMA_OK, OMMA_E_NOMEM or as omma_image_load. */
omma_status omma_overlay_new(omma_overlay *o, const char *photo, int64_t height, int64_t width,
                             omma_error *err);
void omma_overlay_free(omma_overlay *o);

/* Darken what is not in the set, tint what is.
 *   plane  a bit for each pixel, row by row; NULL: the empty set. */
void omma_overlay_set(omma_overlay *o, const uint64_t *plane);

/* A map [height, width]: from dark over red to yellow by the square root of the share of the
 * largest; what is negative from dark over violet to blue. Numbers that are not finite count as 0.
 */
void omma_overlay_map(omma_overlay *o, const double *map);

/* A cross at a place, and a text in the upper left corner. */
void omma_overlay_cross(omma_overlay *o, double y, double x);
void omma_overlay_title(omma_overlay *o, const char *text);

/* A box x0, y0, x1, y1 [px] with a label (NULL: none) in the colour of class i. */
void omma_overlay_box(omma_overlay *o, const double box[4], int i, const char *label);

#endif
