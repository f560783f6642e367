/* stroke.c - see stroke.h. A pixel's coverage is taken from its centre's distance d to the
 * stroke: r + 1/2 - d, between 0 and 1, which is exact for edges along the axes. Row by
 * row, in spans of fixed length, the largest coverage of all strokes is found and then
 * blended once. */
#include "view/stroke.h"

#include <math.h>

enum { SPAN = 256 };
#define FAR 1e6f /* beyond any picture, and floats still tell pixels apart */

void omma_stroke_blend(unsigned char *rgb, omma_color c, float coverage) {
    float a = coverage * (float)c.a / 255.f;
    const unsigned char to[3] = {c.r, c.g, c.b};
    for (int i = 0; i < 3; i++)
        rgb[i] = (unsigned char)((float)rgb[i] + ((float)to[i] - (float)rgb[i]) * a + 0.5f);
}

static float between(float v, float low, float high) { return v < low ? low : v > high ? high : v; }

/* The part of a stroke, as t from 0 to 1 along it, whose y lies within reach of y. */
static bool part_near_row(const omma_stroke *s, float y, float reach, float *t0, float *t1) {
    float dy = s->y1 - s->y0;
    *t0 = 0, *t1 = 1;
    if (fabsf(dy) < 1e-3f) return fabsf(s->y0 - y) <= reach + 1e-3f;
    float a = (y - reach - s->y0) / dy, b = (y + reach - s->y0) / dy;
    *t0 = fmaxf(0, fminf(a, b));
    *t1 = fminf(1, fmaxf(a, b));
    return *t0 <= *t1;
}

/* Raise cover, for the n pixels from (x, y) on, to what stroke s covers. */
static void cover_span(float *cover, int x, int n, int y, const omma_stroke *s) {
    float reach = s->r + 0.5f, py = (float)y + 0.5f, t0, t1;
    if (!part_near_row(s, py, reach, &t0, &t1)) return;
    float dx = s->x1 - s->x0, dy = s->y1 - s->y0, length2 = dx * dx + dy * dy;
    float xa = s->x0 + t0 * dx, xb = s->x0 + t1 * dx;
    float left = fminf(xa, xb) - reach - (float)x, right = fmaxf(xa, xb) + reach - (float)x;
    int from = (int)between(floorf(left), 0, (float)n);
    int to = (int)between(ceilf(right), 0, (float)n);
    float inverse = length2 > 1e-12f ? 1 / length2 : 0; /* 0: a dot */
    for (int i = from; i < to; i++) {
        float px = (float)(x + i) + 0.5f - s->x0, qy = py - s->y0;
        float t = between((px * dx + qy * dy) * inverse, 0, 1);
        float ex = px - t * dx, ey = qy - t * dy;
        float c = between(reach - sqrtf(ex * ex + ey * ey), 0, 1);
        if (c > cover[i]) cover[i] = c;
    }
}

static bool sound(const omma_stroke *s) {
    return isfinite(s->x0) && isfinite(s->y0) && isfinite(s->x1) && isfinite(s->y1) &&
           isfinite(s->r) && s->r > 0;
}

static omma_stroke tamed(const omma_stroke *s) {
    return (omma_stroke){between(s->x0, -FAR, FAR), between(s->y0, -FAR, FAR),
                         between(s->x1, -FAR, FAR), between(s->y1, -FAR, FAR),
                         between(s->r, 0, FAR)};
}

/* A rectangle of pixels: [x0, x1) x [y0, y1). */
typedef struct area {
    int x0, y0, x1, y1;
} area;

static area area_of(const omma_image *img, const omma_stroke *strokes, int n) {
    float x0 = FAR, y0 = FAR, x1 = -FAR, y1 = -FAR;
    for (int i = 0; i < n; i++) {
        if (!sound(&strokes[i])) continue;
        omma_stroke s = tamed(&strokes[i]);
        float reach = s.r + 1;
        x0 = fminf(x0, fminf(s.x0, s.x1) - reach);
        y0 = fminf(y0, fminf(s.y0, s.y1) - reach);
        x1 = fmaxf(x1, fmaxf(s.x0, s.x1) + reach);
        y1 = fmaxf(y1, fmaxf(s.y0, s.y1) + reach);
    }
    float w = (float)img->width, h = (float)img->height;
    return (area){(int)between(floorf(x0), 0, w), (int)between(floorf(y0), 0, h),
                  (int)between(ceilf(x1), 0, w), (int)between(ceilf(y1), 0, h)};
}

void omma_stroke_draw(omma_image *img, const omma_stroke *strokes, int n, omma_color color) {
    area a = area_of(img, strokes, n);
    for (int y = a.y0; y < a.y1; y++)
        for (int x = a.x0; x < a.x1; x += SPAN) {
            float cover[SPAN] = {0};
            int length = a.x1 - x < SPAN ? a.x1 - x : SPAN;
            for (int i = 0; i < n; i++) {
                if (!sound(&strokes[i])) continue;
                omma_stroke s = tamed(&strokes[i]);
                cover_span(cover, x, length, y, &s);
            }
            unsigned char *p = img->rgb + 3 * ((size_t)y * (size_t)img->width + (size_t)x);
            for (int i = 0; i < length; i++, p += 3)
                if (cover[i] > 0) omma_stroke_blend(p, color, cover[i]);
        }
}
