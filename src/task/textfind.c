/* textfind.c - the text detector on a picture; see textfind.h.
 *
 * Traps: the network was trained on blue, green, red; the means and deviations are
 * ImageNet's but applied in that order, the red ones to blue. */
#include "task/textfind.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/arena.h"
#include "base/checked.h"
#include "file/image.h"
#include "task/page.h"
#include "task/resize.h"
#include "task/warp.h"

enum {
    GRID = 32,            /* the detector's sides are multiples [px] */
    THIN = 64,            /* a side below this gets half of it as room around [px] */
    SIDE = 736,           /* what the shorter side is enlarged to [px] */
    LONG = 1600,          /* unless the longer one came beyond this [px] */
    PIXELS = 2048 * 2048, /* what both may make together */
    AFAR = 640,           /* the longer side, seen from afar [px] */
    HIGH = 36,            /* boxes at least this high are taken from there [px] */
    MAX_SIDE = OMMA_IMAGE_MAX_SIDE / GRID * GRID,
};
static const double MAX_ENLARGE = 4;
static const float ASKEW = 0.2f;  /* sine of the angle from which a page is turned level */
static const double AGREED = 0.8; /* and how far its lines must agree on it */

/* What the detector sees. Its corner (0, 0) is the picture's point (x, y), a step along its
 * rows is (ux, uy) there, and one down its columns (-uy, ux) [px]. */
typedef struct view {
    unsigned char *rgb; /* u8 [h, w, 3] */
    int w, h;           /* multiples of GRID */
    float x, y, ux, uy;
} view;

/* The multiple of GRID that holds a side, with some room around a thin strip, since the
 * detector misses text that touches its borders. */
static int to_grid(int side) {
    int n = side < THIN ? side + THIN / 2 : side;
    n = (n + GRID - 1) / GRID * GRID;
    return n < MAX_SIDE ? n : MAX_SIDE;
}

static omma_status rgb_new(unsigned char **out, int w, int h, omma_error *err) {
    size_t n;
    *out = NULL;
    if (omma_mul((size_t)w, (size_t)h, &n) && omma_mul(n, 3, &n)) *out = omma_mem_alloc(n);
    if (*out) return OMMA_OK;
    return omma_fail(err, OMMA_E_NOMEM, "no memory for a picture of %d x %d pixels", w, h);
}

/* Copy u8 [h, w, 3] into the middle of a view and repeat its border around it. */
static void fill_view(view *v, const unsigned char *rgb, int w, int h) {
    int left = (v->w - w) / 2, top = (v->h - h) / 2;
    for (int y = 0; y < v->h; y++) {
        int from = y < top ? 0 : y - top < h ? y - top : h - 1;
        const unsigned char *row = rgb + 3 * (size_t)w * (size_t)from;
        unsigned char *to = v->rgb + 3 * (size_t)v->w * (size_t)y;
        for (int x = 0; x < left; x++) memcpy(to + 3 * x, row, 3);
        memcpy(to + 3 * left, row, 3 * (size_t)w);
        for (int x = left + w; x < v->w; x++) memcpy(to + 3 * x, row + 3 * (w - 1), 3);
    }
}

/* How much the picture is enlarged, or shrunk, for the first look. */
static double first_scale(int w, int h) {
    double shorter = w < h ? w : h, longer = w < h ? h : w, pixels = (double)w * h;
    double scale = fmin(fmin(SIDE / shorter, LONG / longer), MAX_ENLARGE);
    if (scale < 1) scale = 1;
    return scale * scale * pixels > PIXELS ? sqrt(PIXELS / pixels) : scale;
}

static int scaled(int side, double scale) {
    double n = side * scale;
    return n < 1 ? 1 : n > MAX_SIDE ? MAX_SIDE : (int)n;
}

/* The picture as it lies. */
static omma_status level_view(view *v, const unsigned char *rgb, int w, int h, double scale,
                              omma_error *err) {
    int to_w = scaled(w, scale), to_h = scaled(h, scale);
    *v = (view){.w = to_grid(to_w), .h = to_grid(to_h), .ux = (float)(1 / scale)};
    v->x = -(float)((v->w - to_w) / 2) * v->ux;
    v->y = -(float)((v->h - to_h) / 2) * v->ux;
    unsigned char *resized;
    OMMA_TRY(rgb_new(&resized, to_w, to_h, err));
    omma_status status = rgb_new(&v->rgb, v->w, v->h, err);
    if (!status)
        status = omma_resize_u8(resized, to_w, to_h, rgb, w, h, 3 * (size_t)w, 3,
                                OMMA_FILTER_BILINEAR, err);
    if (!status) fill_view(v, resized, to_w, to_h);
    omma_mem_free(resized);
    return status;
}

/* x: f32 [3, h, w] from u8 [h, w, 3]. */
static void normalise(float *x, const view *v) {
    static const float mean[3] = {0.485f, 0.456f, 0.406f}, std[3] = {0.229f, 0.224f, 0.225f};
    size_t plane = (size_t)v->h * (size_t)v->w;
    for (size_t c = 0; c < 3; c++)
        for (size_t i = 0; i < plane; i++)
            x[c * plane + i] = ((float)v->rgb[3 * i + 2 - c] / 255 - mean[c]) / std[c];
}

/* From a view to the picture. */
static omma_point to_picture(const view *v, omma_point p) {
    return (omma_point){v->x + p.x * v->ux - p.y * v->uy, v->y + p.x * v->uy + p.y * v->ux};
}

/* Move a box from a view to the picture of w x h, clipped; false if its centre lies
 * outside, where a view only repeats the picture's border. */
static bool box_to_picture(omma_text_box *b, const view *v, int w, int h) {
    omma_quad *q = &b->quad;
    float cx = 0, cy = 0;
    for (int k = 0; k <= OMMA_RIBBON_PARTS; k++) {
        b->ribbon.top[k] = to_picture(v, b->ribbon.top[k]);
        b->ribbon.bottom[k] = to_picture(v, b->ribbon.bottom[k]);
    }
    for (int k = 0; k < 4; k++) {
        omma_point p = to_picture(v, q->at[k]);
        cx += p.x / 4;
        cy += p.y / 4;
        q->at[k] = (omma_point){fminf(fmaxf(p.x, 0), (float)w), fminf(fmaxf(p.y, 0), (float)h)};
    }
    return cx >= 0 && cy >= 0 && cx <= (float)w && cy <= (float)h;
}

/* The boxes in a view of a picture of w x h. */
static omma_status look(omma_text_boxes *out, omma_read_net *net, const view *v, int w, int h,
                        omma_error *err) {
    float *x;
    const float *map;
    int64_t dims[4] = {1, 1, v->h, v->w};
    *out = (omma_text_boxes){0};
    OMMA_TRY(omma_read_net_input(&x, v->h, v->w, err));
    normalise(x, v);
    omma_status status = omma_read_net_run(net, &map, dims, 4, x, v->h, v->w, err);
    omma_mem_free(x);
    if (!status) status = omma_dbnet_boxes(out, map, v->w, v->h, v->w, v->h, NULL, err);
    int all = out->count;
    out->count = 0;
    for (int i = 0; i < all; i++) {
        omma_text_box b = out->items[i];
        if (box_to_picture(&b, v, w, h)) out->items[out->count++] = b;
    }
    return status;
}

/* --- a page askew -------------------------------------------------------------------- */

/* Do the boxes agree on an axis that is far from level and from upright? The axis the
 * page's rows should then lie along is at most 45 degrees from level. */
static bool is_askew(omma_point *axis, const omma_text_boxes *b) {
    omma_quad *q = b->count ? omma_mem_alloc((size_t)b->count * sizeof *q) : NULL;
    if (!q) return false; /* no memory: then it is read as it lies */
    for (int i = 0; i < b->count; i++) q[i] = b->items[i].quad;
    double agreement;
    *axis = omma_page_axis(&agreement, q, b->count);
    omma_mem_free(q);
    if (fabsf(axis->x) < fabsf(axis->y)) *axis = (omma_point){axis->y, -axis->x};
    return agreement >= AGREED && fabsf(axis->y) >= ASKEW;
}

/* A view that holds all of view v, its rows along the axis. */
static omma_status turned_view(view *out, const view *v, omma_point axis, omma_error *err) {
    float s = fabsf(axis.y), c = fabsf(axis.x), w = (float)v->w, h = (float)v->h;
    *out = (view){.w = to_grid((int)(w * c + h * s)),
                  .h = to_grid((int)(w * s + h * c)),
                  .ux = axis.x,
                  .uy = axis.y};
    OMMA_TRY(rgb_new(&out->rgb, out->w, out->h, err));
    float tw = (float)out->w, th = (float)out->h;
    omma_point half = to_picture(out, (omma_point){tw / 2, th / 2}); /* with no origin yet */
    out->x = w / 2 - half.x;
    out->y = h / 2 - half.y;
    omma_quad q = {{{0, 0}, {tw, 0}, {tw, th}, {0, th}}};
    for (int k = 0; k < 4; k++) q.at[k] = to_picture(out, q.at[k]);
    OMMA_TRY(omma_warp_quad(out->rgb, out->w, out->h, v->rgb, v->w, v->h, &q, err));
    omma_point corner = to_picture(v, (omma_point){out->x, out->y}); /* v is level */
    out->x = corner.x;
    out->y = corner.y;
    out->ux *= v->ux;
    out->uy *= v->ux;
    return OMMA_OK;
}

/* Look again with the page level, and replace the boxes. */
static omma_status look_level(omma_text_boxes *out, omma_read_net *net, const view *v,
                              omma_point axis, int w, int h, omma_error *err) {
    view turned;
    omma_text_boxes boxes = {0};
    omma_status status = turned_view(&turned, v, axis, err);
    if (!status) status = look(&boxes, net, &turned, w, h, err);
    omma_mem_free(turned.rgb);
    if (status) return status;
    omma_text_boxes_free(out);
    *out = boxes;
    return OMMA_OK;
}

/* --- letters too large --------------------------------------------------------------- */

static float side(const omma_quad *q, int a, int b) {
    return hypotf(q->at[b].x - q->at[a].x, q->at[b].y - q->at[a].y);
}

/* Is the centre of q inside the convex box? */
static bool is_inside(const omma_quad *q, const omma_quad *box) {
    float x = 0, y = 0;
    for (int k = 0; k < 4; k++) {
        x += q->at[k].x / 4;
        y += q->at[k].y / 4;
    }
    for (int k = 0; k < 4; k++) {
        omma_point a = box->at[k], b = box->at[(k + 1) % 4];
        if ((b.x - a.x) * (y - a.y) < (b.y - a.y) * (x - a.x)) return false;
    }
    return true;
}

/* Put boxes in the place of those whose centres they hold. */
static omma_status replace(omma_text_boxes *out, const omma_text_box *by, int n, omma_error *err) {
    size_t bytes;
    omma_text_box *all = NULL;
    if (omma_mul((size_t)out->count + (size_t)n, sizeof *all, &bytes)) all = omma_mem_alloc(bytes);
    if (!all) return omma_fail(err, OMMA_E_NOMEM, "no memory for %d text boxes", out->count + n);
    memcpy(all, by, (size_t)n * sizeof *all);
    int count = n;
    for (int i = 0; i < out->count; i++) {
        bool held = false;
        for (int k = 0; k < n && !held; k++) held = is_inside(&out->items[i].quad, &by[k].quad);
        if (!held) all[count++] = out->items[i];
    }
    omma_text_boxes_free(out);
    *out = (omma_text_boxes){all, count};
    return OMMA_OK;
}

static float long_side(const omma_quad *q) { return fmaxf(side(q, 0, 1), side(q, 0, 3)); }
static float short_side(const omma_quad *q) { return fminf(side(q, 0, 1), side(q, 0, 3)); }

/* Are there whole lines in a box: as long as it and much less high? From afar, lines of
 * small print run together. */
static bool holds_lines(const omma_text_box *box, const omma_text_boxes *lines) {
    for (int i = 0; i < lines->count; i++) {
        const omma_quad *q = &lines->items[i].quad;
        if (long_side(q) > 0.6f * long_side(&box->quad) &&
            short_side(q) < 0.6f * short_side(&box->quad) && is_inside(q, &box->quad))
            return true;
    }
    return false;
}

/* Look at the whole from afar, and let boxes that are high even so replace their pieces. */
static omma_status look_from_afar(omma_text_boxes *out, omma_read_net *net,
                                  const unsigned char *rgb, int w, int h, double scale,
                                  omma_error *err) {
    view v;
    omma_text_boxes boxes = {0};
    omma_status status = level_view(&v, rgb, w, h, scale, err);
    if (!status) status = look(&boxes, net, &v, w, h, err);
    omma_mem_free(v.rgb);
    int high = 0;
    for (int i = 0; i < boxes.count; i++) {
        omma_text_box b = boxes.items[i];
        if (short_side(&b.quad) * (float)scale >= HIGH && !holds_lines(&b, out))
            boxes.items[high++] = b;
    }
    if (!status && high) status = replace(out, boxes.items, high, err);
    omma_text_boxes_free(&boxes);
    return status;
}

omma_status omma_text_find(omma_text_boxes *out, omma_read_net *net, const unsigned char *rgb,
                           int w, int h, omma_error *err) {
    view v;
    omma_point axis;
    double scale = first_scale(w, h), longer = w < h ? h : w;
    *out = (omma_text_boxes){0};
    omma_status status = level_view(&v, rgb, w, h, scale, err);
    if (!status) status = look(out, net, &v, w, h, err);
    if (!status && is_askew(&axis, out)) status = look_level(out, net, &v, axis, w, h, err);
    omma_mem_free(v.rgb);
    if (!status && longer * scale > 2 * AFAR)
        status = look_from_afar(out, net, rgb, w, h, AFAR / longer, err);
    if (status) omma_text_boxes_free(out);
    return status;
}
