/* draw.h - marks on pictures: boxes, filled rectangles, lines, outlines, labels; all
 * anti-aliased, all cut at the picture's edges, none of which can fail.
 *
 * Coordinates are in pixels and continuous: pixel (i, j) covers [i, i+1) x [j, j+1).
 * They may be any numbers, since models give any: what is not finite is not drawn.
 * Nothing is allocated; thread-safe on different pictures. */
#ifndef OMMA_VIEW_DRAW_H
#define OMMA_VIEW_DRAW_H

#include "file/image.h"
#include "view/color.h"

/* How large marks should be on a picture: 1 for about 640 x 480, larger on larger ones,
 * 0.7..12. Good values are a thickness of 3 * scale and text of 18 * scale [px]. */
float omma_draw_scale(const omma_image *img);

/* Fill a rectangle; corners in any order. Pixels it covers in part get part of the
 * colour. */
void omma_draw_fill(omma_image *img, float x0, float y0, float x1, float y1, omma_color color);

/* Draw a rectangle's frame, thickness pixels wide, centred on its edges but moved inwards
 * where it would leave the picture; corners in any order. */
void omma_draw_box(omma_image *img, float x0, float y0, float x1, float y1, float thickness,
                   omma_color color);

/* Draw a line with round ends. */
void omma_draw_line(omma_image *img, float x0, float y0, float x1, float y1, float thickness,
                    omma_color color);

/* Draw the closed outline of a polygon.
 *   xy  f32 [n, 2]; n = 1..OMMA_DRAW_CORNERS, further corners are left out. */
enum { OMMA_DRAW_CORNERS = 256 };
void omma_draw_polygon(omma_image *img, const float *xy, int n, float thickness, omma_color color);

/* Height and width of a label of this text at size px [px]. */
int omma_draw_label_height(int px);
int omma_draw_label_width(const char *text, int px);

/* Draw a label: text, black or white, on a filled box of the given colour. It stands on
 * y with its left side at x, as on a box's upper left corner; where there is no room it
 * hangs below y or moves left, so that it is always inside the picture. Text wider than
 * the picture ends in "...".
 *   text  UTF-8.
 *   px    text size [px]. */
void omma_draw_label(omma_image *img, float x, float y, const char *text, omma_color color, int px);

#endif
