/* strip.c - cut lines out for the recogniser; see strip.h. */
#include "task/strip.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/checked.h"
#include "file/image.h"
#include "task/resize.h"
#include "task/warp.h"

enum { H = OMMA_STRIP_HEIGHT, MAX_W = OMMA_STRIP_MAX_WIDTH, MAX_SIDE = OMMA_IMAGE_MAX_SIDE };

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
    if (status)
        omma_strip_free(&s);
    else
        *out = s;
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
