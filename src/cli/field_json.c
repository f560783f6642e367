/* field_json.c - the fields of a model's layers, one unit, one pixel: for programs. A set is given
 * by rows: for each row of the picture that has any, its runs of columns [first, last]. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/field_job.h"

static const char *const statuses[] = {"exact", "upper_bound", "data", "whole"};

static void number(omma_json_writer *w, const char *key, double v) {
    omma_json_key(w, key);
    if (isfinite(v)) omma_json_put_double(w, v);
    else omma_json_put_null(w);
}

static void ints(omma_json_writer *w, const char *key, const int64_t *v, int n) {
    omma_json_key(w, key), omma_json_begin_array(w);
    for (int i = 0; i < n; i++) omma_json_put_int(w, v[i]);
    omma_json_end_array(w);
}

static void put_axis(omma_json_writer *w, const char *key, const omma_field_axis *a) {
    omma_json_key(w, key), omma_json_begin_object(w);
    number(w, "field", a->size);
    if (a->cells) {
        omma_json_key(w, "cells"), omma_json_put_int(w, a->cells);
        number(w, "jump", a->jump);
        number(w, "first_centre", a->first);
        number(w, "centre", a->centre);
        number(w, "padding", a->padding);
        omma_json_key(w, "starved"), omma_json_put_int(w, a->starved);
    }
    number(w, "least_path", a->least);
    number(w, "most_path", a->most);
    number(w, "astray", a->astray);
    ints(w, "sees", (int64_t[]){a->lo, a->hi}, a->seen ? 2 : 0);
    omma_json_end_object(w);
}

static void put_effective(omma_json_writer *w, const omma_field_job *j, const omma_field_row *r) {
    const omma_effective_measures *m = j->measured ? &j->measured[r - j->table.row] : NULL;
    if (!m || !m->images) return;
    omma_json_key(w, "effective"), omma_json_begin_object(w);
    omma_json_key(w, "recipe"), omma_json_put_text(w, omma_recipe_name(m->recipe));
    omma_json_key(w, "images"), omma_json_put_int(w, m->images);
    omma_json_key(w, "shares"), omma_json_begin_array(w);
    for (int k = 0; k < OMMA_SHARES; k++) {
        omma_json_begin_object(w);
        number(w, "share", omma_shares[k]);
        number(w, "area", m->is.area[k]), number(w, "area_error", m->error.area[k]);
        number(w, "side", m->is.side[k]), number(w, "side_error", m->error.side[k]);
        number(w, "radius", m->is.radius[k]), number(w, "radius_error", m->error.radius[k]);
        omma_json_end_object(w);
    }
    omma_json_end_array(w);
    number(w, "sigma", m->is.sigma), number(w, "sigma_error", m->error.sigma);
    number(w, "sigma_y", m->is.sigma_y), number(w, "sigma_x", m->is.sigma_x);
    omma_json_key(w, "field_pixels"), omma_json_put_int(w, m->field);
    number(w, "ratio", m->ratio), number(w, "ratio_error", m->ratio_error);
    omma_json_end_object(w);
}

static void put_row(omma_json_writer *w, const omma_field_job *j, const omma_field_row *r) {
    static const char *const advice[] = {"unproductive", "gridding", "astray", "starved"};
    omma_json_begin_object(w);
    omma_json_key(w, "layer"), omma_json_put_text(w, r->label);
    omma_json_key(w, "value"), omma_json_put_text(w, r->value->name);
    omma_json_key(w, "node"), omma_json_put_text(w, r->node->name);
    omma_json_key(w, "op"), omma_json_put_text(w, r->node->op->name);
    ints(w, "shape", r->value->dims, r->value->rank);
    omma_json_key(w, "whole"), omma_json_put_bool(w, r->whole);
    put_axis(w, "y", &r->y);
    put_axis(w, "x", &r->x);
    number(w, "coverage", r->coverage);
    number(w, "share", r->share);
    omma_json_key(w, "status"), omma_json_put_text(w, statuses[r->status]);
    omma_json_key(w, "advice"), omma_json_begin_array(w);
    for (int k = 0; k < 4; k++)
        if (r->advice >> k & 1) omma_json_put_text(w, advice[k]);
    omma_json_end_array(w);
    put_effective(w, j, r);
    omma_json_end_object(w);
}

static void put_layers(omma_json_writer *w, const omma_field_job *j) {
    omma_json_key(w, "lowest_side"), omma_json_put_double(w, j->table.lowest);
    omma_json_key(w, "highest_side"), omma_json_put_double(w, j->table.highest);
    omma_json_key(w, "layers"), omma_json_begin_array(w);
    for (int i = 0; i < j->table.count; i++)
        if (j->all || j->table.row[i].stage) put_row(w, j, &j->table.row[i]);
    omma_json_end_array(w);
}

/* [[row, [[first, last], ...]], ...] of bits [h, width] */
static void put_runs(omma_json_writer *w, const uint64_t *bits, int64_t h, int64_t width) {
    omma_json_begin_array(w);
    for (int64_t y = 0; y < h; y++) {
        if (!omma_bits_any(bits, y * width, width)) continue;
        omma_json_begin_array(w);
        omma_json_put_int(w, y);
        omma_json_begin_array(w);
        for (int64_t x = 0; x < width; x++) {
            if (!omma_bit(bits, y * width + x)) continue;
            const int64_t first = x;
            while (x + 1 < width && omma_bit(bits, y * width + x + 1)) x++;
            omma_json_begin_array(w);
            omma_json_put_int(w, first), omma_json_put_int(w, x);
            omma_json_end_array(w);
        }
        omma_json_end_array(w);
        omma_json_end_array(w);
    }
    omma_json_end_array(w);
}

static void put_unit(omma_json_writer *w, const omma_field_job *j) {
    const omma_value *x = j->table.image;
    const int64_t h = x->dims[j->table.down], width = x->dims[j->table.across];
    const omma_set *s = j->walk.at[x->index];
    omma_arena a;
    omma_arena_init(&a, NULL);
    const uint64_t *plane = s ? omma_set_along(&a, s, j->table.down, 2) : NULL;
    omma_json_key(w, "unit"), omma_json_begin_object(w);
    omma_json_key(w, "layer"), omma_json_put_text(w, j->unit->label);
    omma_json_key(w, "value"), omma_json_put_text(w, j->unit->value->name);
    if (j->cell[0] >= 0) ints(w, "cell", j->cell, 2);
    ints(w, "index", j->index, j->unit->value->rank);
    if (j->cell[0] >= 0 && j->unit->y.jump > 0 && j->unit->x.jump > 0) {
        omma_json_key(w, "centre"), omma_json_begin_array(w);
        omma_json_put_double(w, j->unit->y.first + j->unit->y.jump * (double)j->cell[0]);
        omma_json_put_double(w, j->unit->x.first + j->unit->x.jump * (double)j->cell[1]);
        omma_json_end_array(w);
    }
    omma_json_key(w, "status"), omma_json_put_text(w, statuses[omma_fov_judge(&j->walk, x)]);
    omma_json_key(w, "soft_mask"), omma_json_put_bool(w, (j->walk.met & OMMA_MET_SOFT) != 0);
    omma_json_key(w, "pixels"), omma_json_put_int(w, plane ? omma_bits_count(plane, h * width) : 0);
    omma_json_key(w, "rows");
    if (plane) put_runs(w, plane, h, width);
    else omma_json_begin_array(w), omma_json_end_array(w);
    put_effective(w, j, j->unit);
    omma_json_end_object(w);
    omma_arena_free(&a);
}

static void put_reached(omma_json_writer *w, const omma_field_job *j) {
    ints(w, "pixel", j->pixel_at, 2);
    omma_json_key(w, "reaches"), omma_json_begin_array(w);
    for (int i = 0; i < j->table.count; i++) {
        const omma_field_row *r = &j->table.row[i];
        const omma_set *s = j->walk.at[r->value->index];
        omma_arena a;
        if (!j->all && !r->stage) continue;
        omma_arena_init(&a, NULL);
        omma_json_begin_object(w);
        omma_json_key(w, "layer"), omma_json_put_text(w, r->label);
        omma_json_key(w, "value"), omma_json_put_text(w, r->value->name);
        ints(w, "shape", r->value->dims, r->value->rank);
        omma_json_key(w, "numbers"), omma_json_put_int(w, s ? omma_set_count(s) : 0);
        if (s && r->columns.axis == r->rows.axis + 1 && r->rows.div == 1 && r->columns.div == 1) {
            const uint64_t *plane = omma_set_along(&a, s, r->rows.axis, 2);
            omma_json_key(w, "cells");
            if (plane)
                put_runs(w, plane, r->value->dims[r->rows.axis], r->value->dims[r->columns.axis]);
            else omma_json_put_null(w);
        }
        omma_json_end_object(w);
        omma_arena_free(&a);
    }
    omma_json_end_array(w);
}

int omma_field_json(const omma_field_job *j) {
    const omma_field_table *t = &j->table;
    omma_json_writer w;
    omma_json_writer_file(&w, stdout, true);
    omma_json_begin_object(&w);
    omma_json_key(&w, "file"), omma_json_put_text(&w, j->path);
    omma_json_key(&w, "image"), omma_json_put_text(&w, t->image->name);
    ints(&w, "size", (int64_t[]){t->image->dims[t->down], t->image->dims[t->across]}, 2);
    omma_json_key(&w, "field"), omma_json_put_text(&w, j->content ? "content" : "structural");
    if (j->at) put_unit(&w, j);
    else if (j->pixel) put_reached(&w, j);
    else put_layers(&w, j);
    omma_json_end_object(&w);
    return omma_cli_json_end("field", &w);
}
