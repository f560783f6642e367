/* field_draw.c - fields on a picture: one unit's set, every pixel it sees bright and what it does
 * not see dark, holes and all; or the windows of the stages. The picture is the image at hand, or
 * a chequer of pale squares; small ones are drawn larger, a pixel a square. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/field_job.h"
#include "task/resize.h"
#include "view/draw.h"

enum { LARGE = 512 }; /* [px]: smaller pictures are enlarged to about that */

static int enlargement(int64_t h, int64_t w) {
    const int64_t side = h > w ? h : w;
    return side >= LARGE ? 1 : (int)((LARGE + side - 1) / side);
}

static void chequer(omma_image *img, int k) {
    for (int y = 0; y < img->height; y++)
        for (int x = 0; x < img->width; x++) {
            const int cell = (y / (16 * k) + x / (16 * k)) & 1;
            memset(img->rgb + ((size_t)y * (size_t)img->width + (size_t)x) * 3, cell ? 214 : 228,
                   3);
        }
}

static omma_status background(omma_image *out, const omma_field_job *j, int64_t h, int64_t w, int k,
                              omma_error *err) {
    omma_image src;
    OMMA_TRY(omma_image_new(out, w * k, h * k, err));
    if (!j->image || !omma_image_is_picture_name(j->image)) {
        chequer(out, k);
        return OMMA_OK;
    }
    omma_status s = omma_image_load(&src, j->image, err);
    if (!s)
        s = omma_resize_u8(out->rgb, out->width, out->height, src.rgb, src.width, src.height,
                           (size_t)src.width * 3, 3, OMMA_FILTER_BILINEAR, err);
    omma_image_free(&src);
    if (s) omma_image_free(out);
    return s;
}

/* Darken what is not in the set, tint what is. */
static void shade(omma_image *img, const uint64_t *plane, int64_t w, int k, bool photo) {
    for (int y = 0; y < img->height; y++)
        for (int x = 0; x < img->width; x++) {
            unsigned char *p = img->rgb + ((size_t)y * (size_t)img->width + (size_t)x) * 3;
            const bool in = plane && omma_bit(plane, y / k * w + x / k);
            if (!in)
                for (int c = 0; c < 3; c++) p[c] = (unsigned char)(p[c] * (photo ? 5 : 9) / 16);
            else if (!photo)
                p[0] = (unsigned char)(p[0] * 3 / 8), p[1] = (unsigned char)(p[1] * 13 / 16);
        }
}

/* The effective field: from dark over red to yellow by the square root of the share of the largest,
 * laid over what is behind. */
static void glow(omma_image *img, const double *map, int64_t h, int64_t w, int k) {
    double most = 0;
    for (int64_t i = 0; i < h * w; i++) most = fmax(most, map[i]);
    for (int y = 0; y < img->height; y++)
        for (int x = 0; x < img->width; x++) {
            unsigned char *p = img->rgb + ((size_t)y * (size_t)img->width + (size_t)x) * 3;
            const double v = most > 0 ? sqrt(map[y / k * w + x / k] / most) : 0;
            const double hot[] = {255 * fmin(1, 0.35 + 2 * v), 235 * fmin(1, fmax(0, 2 * v - 0.7)),
                                  40 * v};
            for (int c = 0; c < 3; c++)
                p[c] = (unsigned char)(p[c] * (1 - fmin(1, 1.6 * v)) + hot[c] * fmin(1, 1.6 * v));
        }
}

static void cross(omma_image *img, double y, double x, int k) {
    const float s = omma_draw_scale(img), cy = (float)((y + 0.5) * k), cx = (float)((x + 0.5) * k);
    const omma_color red = {220, 30, 40, 255};
    omma_draw_line(img, cx - 8 * s, cy, cx + 8 * s, cy, 2 * s, red);
    omma_draw_line(img, cx, cy - 8 * s, cx, cy + 8 * s, 2 * s, red);
}

static omma_status draw_unit(const omma_field_job *j, omma_image *img, int k, omma_error *err) {
    const omma_field_row *r = j->unit;
    const omma_value *x = j->table.image;
    const omma_set *s = j->walk.at[x->index];
    char text[160];
    omma_arena a;
    omma_arena_init(&a, NULL);
    const uint64_t *plane = s ? omma_set_along(&a, s, j->table.down, 2) : NULL;
    if (s && !plane) {
        omma_arena_free(&a);
        return omma_fail(err, OMMA_E_NOMEM, "no memory for a picture");
    }
    shade(img, plane, x->dims[j->table.across], k, j->image != NULL);
    if (j->map) glow(img, j->map, x->dims[j->table.down], x->dims[j->table.across], k);
    if (j->cell[0] >= 0 && r->y.jump > 0)
        cross(img, r->y.first + r->y.jump * (double)j->cell[0],
              r->x.first + r->x.jump * (double)j->cell[1], k);
    snprintf(text, sizeof text, "%s", r->label);
    if (j->cell[0] >= 0)
        snprintf(text, sizeof text, "%.100s: cell %lld,%lld", r->label, (long long)j->cell[0],
                 (long long)j->cell[1]);
    omma_draw_label(img, 0, 0, text, (omma_color){20, 20, 24, 220},
                    (int)(16 * omma_draw_scale(img)));
    omma_arena_free(&a);
    return OMMA_OK;
}

/* Labels of windows that begin at the same place stand one below the other. */
static void put_labels(const omma_field_job *j, omma_image *img, int k) {
    const int size = (int)(13 * omma_draw_scale(img));
    char text[160];
    for (int i = j->table.count - 1, m = 0; i >= 0; i--) {
        const omma_field_row *r = &j->table.row[i];
        int below = 0;
        if (!r->stage || !r->y.seen) continue;
        for (int e = i + 1; e < j->table.count; e++)
            below += j->table.row[e].stage && j->table.row[e].y.seen &&
                     j->table.row[e].y.lo == r->y.lo && j->table.row[e].x.lo == r->x.lo;
        if (r->status == OMMA_FOV_WHOLE) snprintf(text, sizeof text, "%.100s: whole", r->label);
        else snprintf(text, sizeof text, "%.100s: %g px", r->label, r->y.size);
        omma_draw_label(img, (float)(r->x.lo * k),
                        (float)(r->y.lo * k + below * omma_draw_label_height(size)), text,
                        omma_color_of_class(m++), size);
    }
}

/* The windows of the stages' middle cells, the narrow ones on top. */
static void draw_stages(const omma_field_job *j, omma_image *img, int k) {
    const float scale = omma_draw_scale(img);
    int n = 0;
    for (int i = j->table.count - 1; i >= 0; i--) {
        const omma_field_row *r = &j->table.row[i];
        if (!r->stage || !r->y.seen) continue;
        const omma_color c = omma_color_of_class(n++);
        omma_draw_box(img, (float)(r->x.lo * k), (float)(r->y.lo * k), (float)((r->x.hi + 1) * k),
                      (float)((r->y.hi + 1) * k), 2.5f * scale, c);
    }
    put_labels(j, img, k);
}

omma_status omma_field_draw(const omma_field_job *j, omma_error *err) {
    const omma_value *x = j->table.image;
    const int64_t h = x->dims[j->table.down], w = x->dims[j->table.across];
    const int k = enlargement(h, w);
    omma_image img;
    OMMA_TRY(background(&img, j, h, w, k, err));
    omma_status s = OMMA_OK;
    if (j->at) s = draw_unit(j, &img, k, err);
    else draw_stages(j, &img, k);
    if (!s) s = omma_image_write(&img, j->output, err);
    omma_image_free(&img);
    return s;
}
