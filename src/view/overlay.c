/* overlay.c - see overlay.h. */
#include "view/overlay.h"

#include <math.h>
#include <string.h>

#include "field/bits.h"
#include "task/resize.h"

#define MOST_COVER 0.8 /* of a map over the picture, which stays to be seen */
enum { LARGE = 512 };  /* [px]: smaller pictures are enlarged to about that */

static int enlargement(int64_t h, int64_t w) {
    const int64_t side = h > w ? h : w;
    return side >= LARGE ? 1 : (int)((LARGE + side - 1) / side);
}

static unsigned char *pixel(omma_image *img, int y, int x) {
    return img->rgb + ((size_t)y * (size_t)img->width + (size_t)x) * 3;
}

static void chequer(omma_image *img, int k) {
    for (int y = 0; y < img->height; y++)
        for (int x = 0; x < img->width; x++)
            memset(pixel(img, y, x), (y / (16 * k) + x / (16 * k)) & 1 ? 214 : 228, 3);
}

omma_status omma_overlay_new(omma_overlay *o, const char *photo, int64_t height, int64_t width,
                             omma_error *err) {
    omma_image src;
    const int k = enlargement(height, width);
    *o = (omma_overlay){.height = height, .width = width, .k = k, .photo = photo};
    OMMA_TRY(omma_image_new(&o->img, (int)width * k, (int)height * k, err));
    if (!photo) {
        chequer(&o->img, k);
        return OMMA_OK;
    }
    omma_status s = omma_image_load(&src, photo, err);
    if (!s)
        s = omma_resize_u8(o->img.rgb, o->img.width, o->img.height, src.rgb, src.width, src.height,
                           (size_t)src.width * 3, 3, OMMA_FILTER_BILINEAR, err);
    omma_image_free(&src);
    if (s) omma_overlay_free(o);
    return s;
}

void omma_overlay_free(omma_overlay *o) { omma_image_free(&o->img); }

void omma_overlay_set(omma_overlay *o, const uint64_t *plane) {
    for (int y = 0; y < o->img.height; y++)
        for (int x = 0; x < o->img.width; x++) {
            unsigned char *p = pixel(&o->img, y, x);
            const bool in = plane && omma_bit(plane, y / o->k * o->width + x / o->k);
            if (!in)
                for (int c = 0; c < 3; c++) p[c] = (unsigned char)(p[c] * (o->photo ? 5 : 9) / 16);
            else if (!o->photo)
                p[0] = (unsigned char)(p[0] * 3 / 8), p[1] = (unsigned char)(p[1] * 13 / 16);
        }
}

/* The colour of a share -1..1 of the largest. */
static void heat(double v, double rgb[3]) {
    const double a = fabs(v), high = 255 * fmin(1, 0.35 + 2 * a),
                 middle = 235 * fmin(1, fmax(0, 2 * a - 0.7)), low = 40 * a;
    rgb[0] = v < 0 ? low + 90 * a : high;
    rgb[1] = middle;
    rgb[2] = v < 0 ? high : low;
}

void omma_overlay_map(omma_overlay *o, const double *map) {
    double most = 0, rgb[3];
    for (int64_t i = 0; i < o->height * o->width; i++)
        if (isfinite(map[i])) most = fmax(most, fabs(map[i]));
    for (int y = 0; y < o->img.height; y++)
        for (int x = 0; x < o->img.width; x++) {
            unsigned char *p = pixel(&o->img, y, x);
            const double is = map[y / o->k * o->width + x / o->k];
            const double v = most > 0 && isfinite(is) ? sqrt(fabs(is) / most) : 0;
            const double cover = fmin(MOST_COVER, 1.6 * v);
            heat(is < 0 ? -v : v, rgb);
            for (int c = 0; c < 3; c++) p[c] = (unsigned char)(p[c] * (1 - cover) + rgb[c] * cover);
        }
}

void omma_overlay_cross(omma_overlay *o, double y, double x) {
    const float s = omma_draw_scale(&o->img), cy = (float)((y + 0.5) * o->k),
                cx = (float)((x + 0.5) * o->k);
    const omma_color red = {220, 30, 40, 255};
    omma_draw_line(&o->img, cx - 8 * s, cy, cx + 8 * s, cy, 2 * s, red);
    omma_draw_line(&o->img, cx, cy - 8 * s, cx, cy + 8 * s, 2 * s, red);
}

void omma_overlay_title(omma_overlay *o, const char *text) {
    omma_draw_label(&o->img, 0, 0, text, (omma_color){20, 20, 24, 220},
                    (int)(16 * omma_draw_scale(&o->img)));
}

void omma_overlay_box(omma_overlay *o, const double box[4], int i, const char *label) {
    const float s = omma_draw_scale(&o->img);
    float b[4];
    for (int c = 0; c < 4; c++) b[c] = (float)(box[c] * o->k);
    omma_draw_box(&o->img, b[0], b[1], b[2], b[3], 2.5f * s, omma_color_of_class(i));
    if (label) omma_draw_label(&o->img, b[0], b[1], label, omma_color_of_class(i), (int)(13 * s));
}
