/* report_field.c - parts of a report that are fields: layers with what each line of cells sees,
 * sets of single units, heat maps. */
#include <math.h>

#include "base/arena.h"
#include "view/report_write.h"

enum { HEAT_MOST = 400, HEAT_LEVELS = 255 };

static const char *const status_name[] = {[OMMA_FOV_EXACT] = "exact",
                                          [OMMA_FOV_UPPER_BOUND] = "bound",
                                          [OMMA_FOV_DATA] = "data",
                                          [OMMA_FOV_WHOLE] = "whole"};

/* --- layers ----------------------------------------------------------------------------- */

static omma_status make_lines(omma_report_block *b, const omma_report_axis *a, int64_t pixels,
                              omma_error *err) {
    *b = (omma_report_block){0};
    const omma_lines *l = a->lines;
    if (!l) return OMMA_OK;
    if ((l->cells != 1 && l->cells != a->cells) || (l->bits && l->words < omma_bit_words(pixels)))
        return omma_report_wrong("lines of cells", err);
    return omma_report_runs(b, l->bits, l->cells, l->words, pixels, err);
}

static omma_status put_axis(omma_report *r, const char *key, const omma_report_axis *a,
                            omma_report_block *lines, omma_error *err) {
    omma_json_key(&r->json, key);
    omma_json_begin_object(&r->json);
    omma_report_say_int(r, "cells", a->cells);
    omma_report_say_number(r, "jump", a->jump);
    omma_report_say_number(r, "first", a->first);
    omma_report_say_number(r, "size", a->size);
    omma_report_say_number(r, "least", a->least);
    omma_report_say_number(r, "most", a->most);
    OMMA_TRY(omma_report_put(r, "lines", lines, err));
    omma_json_end_object(&r->json);
    return OMMA_OK;
}

static omma_status put_layer(omma_report *r, const omma_report_layer_info *l,
                             omma_report_block lines[2], int *index, omma_error *err) {
    OMMA_TRY(omma_report_part(r, "layer", OMMA_PART_LAYER, index, err));
    omma_report_say(r, "label", l->label);
    omma_report_say(r, "made_by", l->made_by);
    omma_report_say(r, "shape", l->shape);
    omma_report_say_bool(r, "stage", l->stage);
    omma_report_say_bool(r, "whole", l->whole);
    omma_report_say(r, "whole_by", l->whole_by);
    omma_report_say_bool(r, "mixed", l->mixed);
    omma_report_say_bool(r, "bound", l->bound);
    omma_report_say(r, "status", status_name[l->status]);
    OMMA_TRY(put_axis(r, "y", &l->y, &lines[0], err));
    OMMA_TRY(put_axis(r, "x", &l->x, &lines[1], err));
    return omma_report_part_end(r, err);
}

omma_status omma_report_layer(omma_report *r, const omma_report_layer_info *l, int *index,
                              omma_error *err) {
    if ((unsigned)l->status > OMMA_FOV_WHOLE || l->y.cells < 0 || l->x.cells < 0)
        return omma_report_wrong("a layer", err);
    omma_report_block lines[2] = {0};
    omma_status status = make_lines(&lines[0], &l->y, r->height, err);
    if (!status) status = make_lines(&lines[1], &l->x, r->width, err);
    const size_t cost = omma_report_cost(lines, 2);
    if (!status && !omma_report_fits(r, cost))
        status = omma_report_left_out(r, OMMA_REPORT_FIELD, "layer ", l->label, cost, index, err);
    else if (!status) status = put_layer(r, l, lines, index, err);
    omma_report_drop(&lines[0]);
    omma_report_drop(&lines[1]);
    return status;
}

/* --- sets ------------------------------------------------------------------------------- */

omma_status omma_report_set(omma_report *r, const omma_report_unit *unit, const uint64_t *bits,
                            omma_fov_status fov, omma_error *err) {
    OMMA_TRY(omma_report_check_unit(r, unit, err));
    if ((unsigned)fov > OMMA_FOV_WHOLE) return omma_report_wrong("a status", err);
    const int64_t pixels = (int64_t)r->width * r->height;
    omma_report_block b = {0};
    if (bits) OMMA_TRY(omma_report_runs(&b, bits, 1, omma_bit_words(pixels), pixels, err));
    const size_t cost = omma_report_cost(&b, 1);
    omma_status status;
    if (!omma_report_fits(r, cost)) {
        status =
            omma_report_left_out(r, OMMA_REPORT_FIELD, "the set of a unit", NULL, cost, NULL, err);
    } else {
        status = omma_report_part(r, "set", OMMA_PARTS, NULL, err);
        omma_report_say_unit(r, unit);
        omma_report_say(r, "status", status_name[fov]);
        if (!status) status = omma_report_put(r, "pixels", &b, err);
        if (!status) status = omma_report_part_end(r, err);
    }
    omma_report_drop(&b);
    return status;
}

/* --- heat ------------------------------------------------------------------------------- */

/* The map at hand: as given, or of means over squares of k x k of its cells. */
typedef struct reduced {
    float *own;
    const float *map;
    int64_t rows, columns, k;
} reduced;

static float mean_of_square(const omma_report_heat *h, int64_t y, int64_t x, int64_t k) {
    double sum = 0;
    int64_t n = 0;
    for (int64_t i = y * k; i < (y + 1) * k && i < h->rows; i++)
        for (int64_t j = x * k; j < (x + 1) * k && j < h->columns; j++, n++)
            sum += h->map[i * h->columns + j];
    return (float)(sum / (double)n);
}

static omma_status reduce(reduced *m, const omma_report_heat *h, omma_error *err) {
    const int64_t most = h->most ? h->most : HEAT_MOST;
    const int64_t side = h->rows > h->columns ? h->rows : h->columns;
    *m = (reduced){NULL, h->map, h->rows, h->columns, (side + most - 1) / most};
    if (m->k <= 1) return OMMA_OK;
    m->rows = (h->rows + m->k - 1) / m->k;
    m->columns = (h->columns + m->k - 1) / m->k;
    m->map = m->own = omma_mem_alloc_raw((size_t)m->rows * (size_t)m->columns * sizeof *m->own);
    if (!m->own) return omma_fail(err, OMMA_E_NOMEM, "no memory for a map of the report");
    for (int64_t y = 0; y < m->rows; y++)
        for (int64_t x = 0; x < m->columns; x++)
            m->own[y * m->columns + x] = mean_of_square(h, y, x, m->k);
    return OMMA_OK;
}

static void say_places(omma_report *r, const omma_report_heat *h, const reduced *m) {
    const double k = (double)m->k, in = (k - 1) / 2;
    omma_report_say_int(r, "rows", m->rows);
    omma_report_say_int(r, "columns", m->columns);
    omma_report_say_int(r, "means_of", m->k);
    omma_report_say_number(r, "first_y", h->first_y + in * h->jump_y);
    omma_report_say_number(r, "first_x", h->first_x + in * h->jump_x);
    omma_report_say_number(r, "jump_y", h->jump_y * k);
    omma_report_say_number(r, "jump_x", h->jump_x * k);
}

static omma_status put_heat(omma_report *r, const omma_report_heat *h, const reduced *m,
                            omma_report_block *b, int *index, omma_error *err) {
    static const char *const family[] = {[OMMA_REPORT_EFFECTIVE] = "effective",
                                         [OMMA_REPORT_ATTRIBUTION] = "attribution",
                                         [OMMA_REPORT_RELEVANCE] = "relevance"};
    OMMA_TRY(omma_report_part(r, "heat", OMMA_PART_HEAT, index, err));
    omma_report_say(r, "family", family[h->family]);
    omma_report_say_unit(r, &h->unit);
    omma_report_say(r, "method", h->method);
    omma_report_say(r, "settings", h->settings);
    omma_report_say(r, "of", h->unit_name);
    say_places(r, h, m);
    if (h->n_number) omma_report_say_list(r, h->number, h->n_number);
    OMMA_TRY(omma_report_put(r, "map", b, err));
    return omma_report_part_end(r, err);
}

omma_status omma_report_heat_map(omma_report *r, const omma_report_heat *h, int *index,
                                 omma_error *err) {
    OMMA_TRY(omma_report_check_unit(r, &h->unit, err));
    if (h->rows < 1 || h->columns < 1 || h->most < 0 || (unsigned)h->family > OMMA_REPORT_RELEVANCE)
        return omma_report_wrong("a map", err);
    reduced m;
    omma_report_block b = {0};
    OMMA_TRY(reduce(&m, h, err));
    omma_status status =
        omma_report_quantise(&b, m.map, m.rows * m.columns, HEAT_LEVELS, 2, true, err);
    const size_t cost = omma_report_cost(&b, 1) + (size_t)h->n_number * 512;
    const int about = h->family == OMMA_REPORT_EFFECTIVE     ? OMMA_REPORT_FIELD
                      : h->family == OMMA_REPORT_ATTRIBUTION ? OMMA_REPORT_ANSWERS
                                                             : OMMA_REPORT_ATTENTION;
    if (!status && !omma_report_fits(r, cost))
        status = omma_report_left_out(r, about, "a map by ", h->method, cost, index, err);
    else if (!status) status = put_heat(r, h, &m, &b, index, err);
    omma_report_drop(&b);
    omma_mem_free(m.own);
    return status;
}
