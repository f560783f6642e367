/* dbnet.c - text boxes from a probability map; see dbnet.h. */
#include "task/dbnet.h"

#include <math.h>

#include "base/arena.h"
#include "base/checked.h"

omma_dbnet_options omma_dbnet_defaults(void) {
    return (omma_dbnet_options){0.3f, 0.7f, 1.8f, 3.0f, 3000};
}

static omma_status threshold(unsigned char **mask, const float *map, int w, int h, float t,
                             omma_error *err) {
    size_t n = (size_t)w * (size_t)h;
    *mask = omma_mem_alloc(n);
    if (!*mask) return omma_fail(err, OMMA_E_NOMEM, "no memory for a map of %d x %d", w, h);
    for (size_t i = 0; i < n; i++) (*mask)[i] = map[i] > t;
    return OMMA_OK;
}

/* The map's mean over a region. */
static float region_score(const omma_region *g, const float *map, int w) {
    double sum = 0;
    for (int i = 0; i < g->run_count; i++) {
        const float *row = map + (size_t)g->runs[i].y * (size_t)w;
        for (int x = g->runs[i].x0; x <= g->runs[i].x1; x++) sum += (double)row[x];
    }
    return (float)(sum / (double)g->area);
}

omma_turned_rect omma_dbnet_unclip(omma_turned_rect r, float ratio) {
    float perimeter = 2 * (r.w + r.h);
    if (perimeter <= 0) return r;
    float d = r.w * r.h * ratio / perimeter;
    r.w += 2 * d;
    r.h += 2 * d;
    return r;
}

/* From pixel centres of the map to pixel edges of the picture. */
static void scale_points(omma_point *p, int n, float sx, float sy) {
    for (int i = 0; i < n; i++) p[i] = (omma_point){(p[i].x + 0.5f) * sx, (p[i].y + 0.5f) * sy};
}

static void to_picture(omma_text_box *b, int w, int h, int to_w, int to_h) {
    float sx = (float)to_w / (float)w, sy = (float)to_h / (float)h;
    scale_points(b->quad.at, 4, sx, sy);
    scale_points(b->ribbon.top, OMMA_RIBBON_PARTS + 1, sx, sy);
    scale_points(b->ribbon.bottom, OMMA_RIBBON_PARTS + 1, sx, sy);
    for (int i = 0; i < 4; i++) {
        omma_point *p = &b->quad.at[i];
        p->x = fminf(fmaxf(p->x, 0.0f), (float)to_w);
        p->y = fminf(fmaxf(p->y, 0.0f), (float)to_h);
    }
}

/* The box of one region, in the map; false if the region is too small or too weak. */
static bool region_box(omma_text_box *out, const omma_region *g, const float *map, int w,
                       const omma_dbnet_options *opt) {
    omma_turned_rect r = omma_min_rect(g->hull, g->hull_count);
    if (fminf(r.w, r.h) < opt->min_side) return false;
    out->score = region_score(g, map, w);
    if (!(out->score >= opt->accept)) return false;
    out->bends = omma_ribbon_fit(&out->ribbon, g, &r, opt->unclip);
    r = omma_dbnet_unclip(r, opt->unclip);
    if (fminf(r.w, r.h) < opt->min_side + 2) return false;
    out->quad = omma_rect_corners(&r);
    return true;
}

static omma_status region_boxes(omma_text_boxes *out, const omma_regions *regions, const float *map,
                                int w, const omma_dbnet_options *opt, omma_error *err) {
    int most = regions->count < opt->max_boxes ? regions->count : opt->max_boxes;
    if (most < 1) return OMMA_OK;
    size_t bytes;
    if (!omma_mul((size_t)most, sizeof *out->items, &bytes) ||
        !(out->items = omma_mem_alloc(bytes)))
        return omma_fail(err, OMMA_E_NOMEM, "no memory for %d text boxes", most);
    for (int i = 0; i < regions->count && out->count < most; i++)
        if (region_box(&out->items[out->count], &regions->items[i], map, w, opt)) out->count++;
    return OMMA_OK;
}

omma_status omma_dbnet_boxes(omma_text_boxes *out, const float *map, int w, int h, int to_w,
                             int to_h, const omma_dbnet_options *opt, omma_error *err) {
    *out = (omma_text_boxes){0};
    omma_dbnet_options defaults = omma_dbnet_defaults();
    if (!opt) opt = &defaults;
    if (w < 1 || h < 1 || to_w < 1 || to_h < 1)
        return omma_fail(err, OMMA_E_RANGE, "a map of %d x %d for a picture of %d x %d", w, h, to_w,
                         to_h);
    unsigned char *mask;
    omma_regions regions;
    OMMA_TRY(threshold(&mask, map, w, h, opt->threshold, err));
    omma_status status = omma_regions_find(&regions, mask, w, h, err);
    omma_mem_free(mask);
    if (status) return status;
    status = region_boxes(out, &regions, map, w, opt, err);
    omma_regions_free(&regions);
    for (int i = 0; i < out->count; i++) to_picture(&out->items[i], w, h, to_w, to_h);
    return status;
}

void omma_text_boxes_free(omma_text_boxes *b) {
    omma_mem_free(b->items);
    *b = (omma_text_boxes){0};
}
