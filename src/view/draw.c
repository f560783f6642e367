/* draw.c - see draw.h. Rectangles along the axes are drawn by the area they cover of each
 * pixel; everything else by stroke.c. */
#include "view/draw.h"

#include <math.h>
#include <string.h>

#include "view/font.h"
#include "view/stroke.h"

static float between(float v, float low, float high) { return v < low ? low : v > high ? high : v; }

float omma_draw_scale(const omma_image *img) {
    return between(sqrtf((float)img->width * (float)img->height / (640.f * 480.f)), 0.7f, 12.f);
}

/* x0 <= x1, y0 <= y1, within the picture. */
typedef struct rect {
    float x0, y0, x1, y1;
} rect;

static bool finite4(float a, float b, float c, float d) {
    return isfinite(a) && isfinite(b) && isfinite(c) && isfinite(d);
}

static rect rect_of(const omma_image *img, float x0, float y0, float x1, float y1) {
    float w = (float)img->width, h = (float)img->height;
    return (rect){between(fminf(x0, x1), 0, w), between(fminf(y0, y1), 0, h),
                  between(fmaxf(x0, x1), 0, w), between(fmaxf(y0, y1), 0, h)};
}

/* How much of [i, i+1) lies in [low, high). */
static float overlap(int i, float low, float high) {
    return fmaxf(0, fminf((float)i + 1, high) - fmaxf((float)i, low));
}

/* Fill r except what lies in hole (inside r; may be empty). */
static void fill(omma_image *img, rect r, rect hole, omma_color color) {
    for (int y = (int)r.y0; y < img->height && (float)y < r.y1; y++) {
        float tall = overlap(y, r.y0, r.y1), hole_tall = overlap(y, hole.y0, hole.y1);
        unsigned char *row = img->rgb + 3 * (size_t)img->width * (size_t)y;
        for (int x = (int)r.x0; x < img->width && (float)x < r.x1; x++) {
            float area = tall * overlap(x, r.x0, r.x1) - hole_tall * overlap(x, hole.x0, hole.x1);
            if (area > 0) omma_stroke_blend(row + 3 * x, color, fminf(area, 1));
            if (hole_tall >= 1 && (float)x >= hole.x0 && hole.x1 - (float)x > 2)
                x = (int)hole.x1 - 1; /* the next x is at the hole's right end */
        }
    }
}

void omma_draw_fill(omma_image *img, float x0, float y0, float x1, float y1, omma_color color) {
    if (finite4(x0, y0, x1, y1)) fill(img, rect_of(img, x0, y0, x1, y1), (rect){0}, color);
}

void omma_draw_box(omma_image *img, float x0, float y0, float x1, float y1, float thickness,
                   omma_color color) {
    if (!finite4(x0, y0, x1, y1) || !isfinite(thickness) || thickness <= 0) return;
    float t = thickness, half = t / 2, w = (float)img->width, h = (float)img->height;
    float left = fminf(x0, x1), right = fmaxf(x0, x1), top = fminf(y0, y1), bottom = fmaxf(y0, y1);
    if (right < 0 || bottom < 0 || left > w || top > h) return;
    rect r = rect_of(img, left - half, top - half, right + half, bottom + half);
    rect hole = {r.x0 + t, r.y0 + t, r.x1 - t, r.y1 - t}; /* the frame lies within r */
    if (hole.x0 >= hole.x1 || hole.y0 >= hole.y1) hole = (rect){0};
    fill(img, r, hole, color);
}

void omma_draw_line(omma_image *img, float x0, float y0, float x1, float y1, float thickness,
                    omma_color color) {
    omma_stroke s = {x0, y0, x1, y1, thickness / 2};
    omma_stroke_draw(img, &s, 1, color);
}

void omma_draw_polygon(omma_image *img, const float *xy, int n, float thickness, omma_color color) {
    omma_stroke s[OMMA_DRAW_CORNERS];
    if (n > OMMA_DRAW_CORNERS) n = OMMA_DRAW_CORNERS;
    for (int i = 0; i < n; i++) {
        const float *a = xy + 2 * i, *b = xy + 2 * ((i + 1) % n);
        s[i] = (omma_stroke){a[0], a[1], b[0], b[1], thickness / 2};
    }
    omma_stroke_draw(img, s, n, color);
}

/* --- labels --------------------------------------------------------------------- */

static int size_of(int px) {
    return px < OMMA_FONT_MIN ? OMMA_FONT_MIN : px > OMMA_FONT_MAX ? OMMA_FONT_MAX : px;
}

static int pad(int px) { return (size_of(px) + 2) / 5; }

int omma_draw_label_height(int px) { return (size_of(px) * 14 + 5) / 10; }

int omma_draw_label_width(const char *text, int px) {
    return omma_font_width(text, -1, px) + 2 * pad(px);
}

/* The text to show on a label at most width wide: all of it, or a start and "...". */
static void shorten(char *out, size_t size, const char *text, int px, int width) {
    static const char dots[] = "...";
    size_t n = strnlen(text, size), keep = n;
    if (n >= size || omma_font_width(text, (int)n, px) > width) {
        int room = width - omma_font_width(dots, -1, px);
        keep = (size_t)omma_font_fit(text, px, room > 0 ? room : 0);
        if (keep > size - sizeof dots) keep = size - sizeof dots;
    }
    memcpy(out, text, keep);
    memcpy(out + keep, dots, sizeof dots);
    if (keep == n) out[keep] = 0;
}

void omma_draw_label(omma_image *img, float x, float y, const char *text, omma_color color,
                     int px) {
    if (!isfinite(x) || !isfinite(y)) return;
    char shown[512];
    shorten(shown, sizeof shown, text, px, img->width - 2 * pad(px));
    float w = (float)omma_draw_label_width(shown, px), h = (float)omma_draw_label_height(px);
    float left = floorf(between(x, 0, fmaxf(0, (float)img->width - w)));
    float top = floorf(y) - h;
    if (top < 0) top = floorf(y);
    top = between(top, 0, fmaxf(0, (float)img->height - h));
    omma_draw_fill(img, left, top, left + w, top + h, color);
    int cap = omma_font_cap(px), above = ((int)h - cap) / 2;
    omma_font_draw(img, (int)left + pad(px), (int)top + above + cap, shown, -1, px,
                   omma_color_text_on(color));
}
