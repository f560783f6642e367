/* warp.c - cut quadrilaterals out of pictures; see warp.h. */
#include "task/warp.h"

#include <math.h>
#include <stdbool.h>

/* x = (a u + b v + c) / (g u + h v + 1), y = (d u + e v + f) / (g u + h v + 1). */
typedef struct projection {
    double a, b, c, d, e, f, g, h;
} projection;

typedef struct picture {
    const unsigned char *rgb; /* u8 [h, w, 3] */
    int w, h;
} picture;

static double cross(omma_point o, omma_point p, omma_point q) {
    return ((double)p.x - (double)o.x) * ((double)q.y - (double)o.y) -
           ((double)p.y - (double)o.y) * ((double)q.x - (double)o.x);
}

/* Finite, convex, clockwise and with an area: every corner turns right. */
static bool is_sound(const omma_quad *q) {
    for (int i = 0; i < 4; i++) {
        double turn = cross(q->at[i], q->at[(i + 1) % 4], q->at[(i + 2) % 4]);
        if (!(turn > 1e-9) || !isfinite(turn)) return false;
    }
    return true;
}

/* From the unit square to a sound quadrilateral. */
static projection to_quad(const omma_quad *q) {
    double x0 = (double)q->at[0].x, x1 = (double)q->at[1].x, x2 = (double)q->at[2].x,
           x3 = (double)q->at[3].x;
    double y0 = (double)q->at[0].y, y1 = (double)q->at[1].y, y2 = (double)q->at[2].y,
           y3 = (double)q->at[3].y;
    double dx1 = x1 - x2, dx2 = x3 - x2, sx = x0 - x1 + x2 - x3;
    double dy1 = y1 - y2, dy2 = y3 - y2, sy = y0 - y1 + y2 - y3;
    double det = dx1 * dy2 - dx2 * dy1; /* twice the triangle 1 2 3: not 0 in a sound one */
    double g = (sx * dy2 - dx2 * sy) / det;
    double h = (dx1 * sy - sx * dy1) / det;
    return (projection){
        x1 - x0 + g * x1, x3 - x0 + h * x3, x0, y1 - y0 + g * y1, y3 - y0 + h * y3, y0, g, h};
}

/* Keys' cubic, a = -1/2: the weights of the pixels at -1, 0, 1, 2 for a place t between
 * the second and the third, 0..1. They sum to 1. */
static void cubic(float t, float out[4]) {
    float s = 1 - t;
    out[0] = -0.5f * t * s * s;
    out[1] = 1 + t * t * (1.5f * t - 2.5f);
    out[2] = 1 + s * s * (1.5f * s - 2.5f);
    out[3] = -0.5f * s * t * t;
}

static int clamp(int v, int most) { return v < 0 ? 0 : v > most ? most : v; }

static unsigned char to_byte(float v) {
    return (unsigned char)(v <= 0 ? 0 : v >= 255 ? 255 : (int)(v + 0.5f));
}

/* The colour at (x, y), in pixel edges. */
static void sample(unsigned char out[3], const picture *p, double x, double y) {
    /* Far outside is the border's colour anyway; clamping first keeps the casts defined. */
    x = fmin(fmax(x - 0.5, -4.0), (double)p->w + 4.0);
    y = fmin(fmax(y - 0.5, -4.0), (double)p->h + 4.0);
    int ix = (int)floor(x), iy = (int)floor(y);
    float wx[4], wy[4], sum[3] = {0};
    cubic((float)(x - ix), wx);
    cubic((float)(y - iy), wy);
    for (int j = 0; j < 4; j++) {
        const unsigned char *row = p->rgb + 3 * (size_t)p->w * (size_t)clamp(iy - 1 + j, p->h - 1);
        for (int i = 0; i < 4; i++) {
            const unsigned char *c = row + 3 * (size_t)clamp(ix - 1 + i, p->w - 1);
            float k = wx[i] * wy[j];
            for (int n = 0; n < 3; n++) sum[n] += k * (float)c[n];
        }
    }
    for (int n = 0; n < 3; n++) out[n] = to_byte(sum[n]);
}

omma_status omma_warp_quad(unsigned char *dst, int w, int h, const unsigned char *src, int src_w,
                           int src_h, const omma_quad *q, omma_error *err) {
    if (w < 1 || h < 1 || src_w < 1 || src_h < 1)
        return omma_fail(err, OMMA_E_RANGE, "a cut of %d x %d from a picture of %d x %d", w, h,
                         src_w, src_h);
    if (!is_sound(q))
        return omma_fail(err, OMMA_E_RANGE, "corners do not make a convex clockwise quadrilateral");
    projection p = to_quad(q);
    picture from = {src, src_w, src_h};
    for (int j = 0; j < h; j++) {
        for (int i = 0; i < w; i++, dst += 3) {
            double u = (i + 0.5) / w, v = (j + 0.5) / h;
            double k = 1 / (p.g * u + p.h * v + 1);
            sample(dst, &from, (p.a * u + p.b * v + p.c) * k, (p.d * u + p.e * v + p.f) * k);
        }
    }
    return OMMA_OK;
}

static float side(const omma_quad *q, int a, int b) {
    return hypotf(q->at[b].x - q->at[a].x, q->at[b].y - q->at[a].y);
}

static int side_pixels(float a, float b) {
    float longer = fmaxf(a, b);
    return longer >= 1 && longer < 1e9f ? (int)(longer + 0.5f) : 1;
}

void omma_quad_size(const omma_quad *q, int *w, int *h) {
    *w = side_pixels(side(q, 0, 1), side(q, 3, 2));
    *h = side_pixels(side(q, 0, 3), side(q, 1, 2));
}

omma_quad omma_quad_turn(const omma_quad *q, int k) {
    omma_quad out;
    int first = ((k % 4) + 4) % 4;
    for (int i = 0; i < 4; i++) out.at[i] = q->at[(first + i) % 4];
    return out;
}

void omma_turn_half(unsigned char *rgb, int w, int h) {
    size_t n = (size_t)w * (size_t)h;
    for (size_t i = 0; i < n / 2; i++) {
        unsigned char *a = rgb + 3 * i, *b = rgb + 3 * (n - 1 - i);
        for (int c = 0; c < 3; c++) {
            unsigned char t = a[c];
            a[c] = b[c];
            b[c] = t;
        }
    }
}
