/* field_draw.c - fields on a picture: one unit's set, every pixel it sees bright and what it does
 * not see dark, holes and all; or the windows of the stages. The picture is the image at hand, or
 * a chequer of pale squares. */
#include <stdio.h>

#include "cli/field_job.h"
#include "view/overlay.h"

static omma_status draw_unit(const omma_field_job *j, omma_overlay *o, omma_error *err) {
    const omma_field_row *r = j->unit;
    const omma_set *s = j->walk.at[j->table.image->index];
    char text[160];
    omma_arena a;
    omma_arena_init(&a, NULL);
    const uint64_t *plane = s ? omma_set_along(&a, s, j->table.down, 2) : NULL;
    if (s && !plane) {
        omma_arena_free(&a);
        return omma_fail(err, OMMA_E_NOMEM, "no memory for a picture");
    }
    omma_overlay_set(o, plane);
    if (j->map) omma_overlay_map(o, j->map);
    if (j->cell[0] >= 0 && r->y.jump > 0)
        omma_overlay_cross(o, r->y.first + r->y.jump * (double)j->cell[0],
                           r->x.first + r->x.jump * (double)j->cell[1]);
    snprintf(text, sizeof text, "%s", r->label);
    if (j->cell[0] >= 0)
        snprintf(text, sizeof text, "%.100s: cell %lld,%lld", r->label, (long long)j->cell[0],
                 (long long)j->cell[1]);
    omma_overlay_title(o, text);
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
    const bool photo = j->image && omma_image_is_picture_name(j->image);
    omma_overlay o;
    OMMA_TRY(omma_overlay_new(&o, photo ? j->image : NULL, x->dims[j->table.down],
                              x->dims[j->table.across], err));
    omma_status s = OMMA_OK;
    if (j->at) s = draw_unit(j, &o, err);
    else draw_stages(j, &o.img, o.k);
    if (!s) s = omma_image_write(&o.img, j->output, err);
    omma_overlay_free(&o);
    return s;
}
