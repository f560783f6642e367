/* color.h - colours for drawing: 8-bit RGB with opacity, a palette for classes, and which
 * of black and white can be read on a colour. */
#ifndef OMMA_VIEW_COLOR_H
#define OMMA_VIEW_COLOR_H

/* a: 0 invisible .. 255 opaque. */
typedef struct omma_color {
    unsigned char r, g, b, a;
} omma_color;

/* The colour of class i, any int: neighbours differ strongly, the first 20 are told apart
 * at a glance, and the same index always gives the same colour, opaque. Thread-safe. */
omma_color omma_color_of_class(int i);

/* Black or white, whichever stands out more from c (WCAG 2 contrast), opaque. */
omma_color omma_color_text_on(omma_color c);

/* c with opacity a, 0..255. */
omma_color omma_color_fade(omma_color c, int a);

#endif
