/* stroke.h - the one rasteriser of lines: straight strokes with round ends, anti-aliased,
 * drawn onto a picture. Boxes, polygons and letters are made of them. */
#ifndef OMMA_VIEW_STROKE_H
#define OMMA_VIEW_STROKE_H

#include "file/image.h"
#include "view/color.h"

/* All points within r of the line from (x0, y0) to (x1, y1) [px]; pixel (i, j) covers
 * [i, i+1) x [j, j+1). A dot has both ends in one place. */
typedef struct omma_stroke {
    float x0, y0, x1, y1, r;
} omma_stroke;

/* Draw the union of n strokes: where they overlap, colour is laid on once.
 *   img      drawn on; strokes are cut at its edges.
 *   strokes  any numbers; those that are not finite are left out.
 * Allocates nothing; thread-safe on different pictures. */
void omma_stroke_draw(omma_image *img, const omma_stroke *strokes, int n, omma_color color);

/* Lay colour c over a pixel with coverage 0..1 (times the colour's own opacity). */
void omma_stroke_blend(unsigned char *rgb, omma_color c, float coverage);

#endif
