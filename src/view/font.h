/* font.h - omma's own letters: a round, even-weighted stroke font drawn for small sizes on
 * pictures, for ASCII 32..126; every other character shows as an empty box. It scales to
 * any size; heights are fitted to whole pixels so that small text stays crisp. */
#ifndef OMMA_VIEW_FONT_H
#define OMMA_VIEW_FONT_H

#include "view/stroke.h"

enum { OMMA_FONT_MIN = 8, OMMA_FONT_MAX = 400 }; /* sizes; others are brought to these */

/* Height of a capital, and how far a 'g' goes below the line, at size px [px]. */
int omma_font_cap(int px);
int omma_font_descent(int px);

/* Width of a text [px], the space around its ends included.
 *   text  UTF-8; bytes that are not UTF-8 count as one box each.
 *   n     how many bytes of it, or -1 for all up to its final 0.
 *   px    size: the distance of lines of plain text [px]. */
int omma_font_width(const char *text, int n, int px);

/* Draw a text on one line.
 *   x         its left end [px].
 *   baseline  the row below the last one a capital covers [px].
 * Cut at the picture's edges. Allocates nothing; thread-safe on different pictures. */
void omma_font_draw(omma_image *img, int x, int baseline, const char *text, int n, int px,
                    omma_color color);

/* The length [bytes] of the longest start of text, whole characters only, that is at most
 * width pixels wide. */
int omma_font_fit(const char *text, int px, int width);

#endif
