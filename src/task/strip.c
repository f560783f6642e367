/* strip.c - cut lines out for the recogniser; see strip.h. */
#include "task/strip.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/checked.h"
#include "file/image.h"
#include "task/resize.h"
#include "task/warp.h"

enum {
    H = OMMA_STRIP_HEIGHT,
    MAX_W = OMMA_STRIP_MAX_WIDTH,
    MAX_SIDE = OMMA_IMAGE_MAX_SIDE,
    PARTS = OMMA_RIBBON_PARTS,
};

static double distance(omma_point a, omma_point b) {
    return hypot((double)(b.x - a.x), (double)(b.y - a.y));
}

static omma_quad ribbon_part(const omma_ribbon *r, int k) {
    return (omma_quad){{r->top[k], r->top[k + 1], r->bottom[k + 1], r->bottom[k]}};
}

static omma_status rgb_new(unsigned char **out, int w, int h, omma_error *err) {
    size_t n;
    *out = NULL;
    if (omma_mul((size_t)w, (size_t)h, &n) && omma_mul(n, 3, &n)) *out = omma_mem_alloc(n);
    if (*out) return OMMA_OK;
    return omma_fail(err, OMMA_E_NOMEM, "no memory for a cut of %d x %d pixels", w, h);
}

/* The width that keeps the shape of w x h at the strip's height. */
static int strip_width(int w, int h) {
    double width = ceil((double)H * w / h);
    return width < 1 ? 1 : width > MAX_W ? MAX_W : (int)width;
}

/* Cut at the picture's scale, then make it smaller. */
static omma_status cut_large(omma_strip *s, int cut_w, int cut_h, const unsigned char *rgb, int w,
                             int h, const omma_quad *q, omma_error *err) {
    unsigned char *cut;
    OMMA_TRY(rgb_new(&cut, cut_w, cut_h, err));
    omma_status status = omma_warp_quad(cut, cut_w, cut_h, rgb, w, h, q, err);
    if (!status)
        status = omma_resize_u8(s->rgb, s->width, H, cut, cut_w, cut_h, 3 * (size_t)cut_w, 3,
                                OMMA_FILTER_BILINEAR, err);
    omma_mem_free(cut);
    return status;
}

omma_status omma_strip_cut(omma_strip *out, const unsigned char *rgb, int w, int h,
                           const omma_quad *q, omma_error *err) {
    int cut_w, cut_h;
    omma_quad_size(q, &cut_w, &cut_h);
    if (cut_w > MAX_SIDE) cut_w = MAX_SIDE; /* a diagonal can be longer than any side */
    if (cut_h > MAX_SIDE) cut_h = MAX_SIDE;
    omma_strip s = {.width = strip_width(cut_w, cut_h)};
    *out = (omma_strip){0};
    OMMA_TRY(rgb_new(&s.rgb, s.width, H, err));
    omma_status status = cut_h > H || cut_w > s.width
                             ? cut_large(&s, cut_w, cut_h, rgb, w, h, q, err)
                             : omma_warp_quad(s.rgb, s.width, H, rgb, w, h, q, err);
    if (status) omma_strip_free(&s);
    else *out = s;
    return status;
}

/* The columns, [PARTS + 1], at which the parts of a ribbon begin in a cut of some height. */
static void ribbon_columns(int *columns, const omma_ribbon *r, int height) {
    double at = 0;
    columns[0] = 0;
    for (int k = 0; k < PARTS; k++) {
        omma_quad q = ribbon_part(r, k);
        double along = distance(q.at[0], q.at[1]) + distance(q.at[3], q.at[2]);
        double across = distance(q.at[0], q.at[3]) + distance(q.at[1], q.at[2]);
        at += height * along / fmax(across, 1e-6);
        columns[k + 1] = at < MAX_SIDE ? (int)ceil(at) : MAX_SIDE;
    }
}

/* Cut the parts of a ribbon side by side into u8 [height, columns[PARTS], 3]; part is
 * room for as much. */
static omma_status cut_parts(unsigned char *cut, unsigned char *part, int height,
                             const int *columns, const unsigned char *rgb, int w, int h,
                             const omma_ribbon *r, omma_error *err) {
    size_t row = 3 * (size_t)columns[PARTS];
    for (int k = 0; k < PARTS; k++) {
        int wide = columns[k + 1] - columns[k];
        if (wide < 1) continue;
        omma_quad q = ribbon_part(r, k);
        OMMA_TRY(omma_warp_quad(part, wide, height, rgb, w, h, &q, err));
        for (int y = 0; y < height; y++)
            memcpy(cut + (size_t)y * row + 3 * (size_t)columns[k],
                   part + 3 * (size_t)y * (size_t)wide, 3 * (size_t)wide);
    }
    return OMMA_OK;
}

/* The mean height of a ribbon, to a pixel, but not less than a strip's. */
static int ribbon_height(const omma_ribbon *r) {
    double sum = 0;
    for (int k = 0; k <= PARTS; k++) sum += distance(r->top[k], r->bottom[k]);
    double height = ceil(sum / (PARTS + 1));
    return height < H ? H : height > MAX_SIDE ? MAX_SIDE : (int)height;
}

omma_status omma_strip_cut_ribbon(omma_strip *out, const unsigned char *rgb, int w, int h,
                                  const omma_ribbon *r, omma_error *err) {
    int columns[PARTS + 1], height = ribbon_height(r);
    unsigned char *cut = NULL, *part = NULL;
    ribbon_columns(columns, r, height);
    int width = columns[PARTS];
    omma_strip s = {.width = strip_width(width, height)};
    *out = (omma_strip){0};
    if (width < 1) return omma_fail(err, OMMA_E_RANGE, "a ribbon without length");
    omma_status status = rgb_new(&cut, width, height, err);
    if (!status) status = rgb_new(&part, width, height, err);
    if (!status) status = rgb_new(&s.rgb, s.width, H, err);
    if (!status) status = cut_parts(cut, part, height, columns, rgb, w, h, r, err);
    if (!status)
        status = omma_resize_u8(s.rgb, s.width, H, cut, width, height, 3 * (size_t)width, 3,
                                OMMA_FILTER_BILINEAR, err);
    omma_mem_free(cut);
    omma_mem_free(part);
    if (status) omma_strip_free(&s);
    else *out = s;
    return status;
}

void omma_strip_free(omma_strip *s) {
    omma_mem_free(s->rgb);
    *s = (omma_strip){0};
}

void omma_strip_tensor(float *dst, int width, const omma_strip *s, int from) {
    size_t plane = (size_t)H * (size_t)width;
    int n = s->width - from < width ? s->width - from : width;
    memset(dst, 0, 3 * plane * sizeof *dst);
    for (int y = 0; y < H; y++) {
        const unsigned char *row = s->rgb + 3 * ((size_t)y * (size_t)s->width + (size_t)from);
        float *to = dst + (size_t)y * (size_t)width;
        for (int x = 0; x < n; x++)
            for (int c = 0; c < 3; c++)
                to[(size_t)c * plane + (size_t)x] = ((float)row[3 * x + 2 - c] / 255 - 0.5f) / 0.5f;
    }
}
