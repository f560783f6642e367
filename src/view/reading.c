/* reading.c - see reading.h. A line of text is drawn level even where it stands slanted in
 * the picture; its size follows its height there, and its width where that is less. */
#include "view/reading.h"

#include <math.h>
#include <string.h>

#include "view/draw.h"
#include "view/font.h"

enum { ENLARGE_BELOW = 960, ENLARGE_MAX = 8 };

static int enlargement(const omma_image *img) {
    int side = img->width > img->height ? img->width : img->height, k = ENLARGE_BELOW / side;
    return k < 1 ? 1 : k > ENLARGE_MAX ? ENLARGE_MAX : k;
}

/* The picture k times as large at the left, the right half white. */
static void lay_out(omma_image *out, const omma_image *img, int k) {
    size_t pitch = (size_t)out->width * 3;
    for (int y = 0; y < out->height; y++) {
        unsigned char *row = out->rgb + (size_t)y * pitch;
        const unsigned char *from = img->rgb + (size_t)(y / k) * (size_t)img->width * 3;
        for (int x = 0; x < out->width / 2; x++)
            memcpy(row + (size_t)x * 3, from + (size_t)(x / k) * 3, 3);
        memset(row + pitch / 2, 255, pitch - pitch / 2);
    }
}

static float distance(const float *a, const float *b) { return hypotf(a[0] - b[0], a[1] - b[1]); }

/* A size at which the text fits the line's box. */
static int size_for(const omma_text_line *l, float scale) {
    float width = distance(l->quad[0], l->quad[1]) * scale,
          height = distance(l->quad[0], l->quad[3]) * scale;
    int px = (int)(height * 0.9f);
    if (px < OMMA_FONT_MIN) px = OMMA_FONT_MIN;
    if (px > OMMA_FONT_MAX) px = OMMA_FONT_MAX;
    int needed = omma_font_width(l->text, -1, px);
    if (needed > (int)width) px = (int)((float)px * width / (float)needed);
    return px < 11 ? 11 : px;
}

static void put_line(omma_image *out, const omma_text_line *l, int i, float scale) {
    float quad[4][2], left = INFINITY, top = INFINITY, bottom = -INFINITY;
    omma_color color = omma_color_of_class(i);
    for (int c = 0; c < 4; c++) {
        quad[c][0] = l->quad[c][0] * scale;
        quad[c][1] = l->quad[c][1] * scale;
        left = fminf(left, quad[c][0]);
        top = fminf(top, quad[c][1]);
        bottom = fmaxf(bottom, quad[c][1]);
    }
    omma_draw_polygon(out, quad[0], 4, 2.5f, color);
    int px = size_for(l, scale), half = out->width / 2;
    int baseline = (int)((top + bottom) / 2) + omma_font_cap(px) / 2;
    int x = half + (int)left, room = out->width - 8 - omma_font_width(l->text, -1, px);
    if (x > room) x = room;
    if (x < half + 8) x = half + 8;
    omma_draw_fill(out, (float)(half + 2), top + 2, (float)(half + 6), bottom - 2, color);
    omma_font_draw(out, x, baseline, l->text, -1, px, (omma_color){20, 20, 24, 255});
}

omma_status omma_view_reading(omma_image *out, const omma_image *img, const omma_text_lines *lines,
                              omma_error *err) {
    int k = enlargement(img);
    OMMA_TRY(omma_image_new(out, (int64_t)img->width * k * 2, (int64_t)img->height * k, err));
    lay_out(out, img, k);
    for (int i = 0; i < lines->count; i++) put_line(out, &lines->items[i], i, (float)k);
    return OMMA_OK;
}
