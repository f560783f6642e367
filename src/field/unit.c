/* unit.c - see unit.h. Only the part of the graph that the unit's value is made by is read, so
 * operators behind it need no field. */
#include "field/unit.h"

#include <math.h>
#include <string.h>

#include "field/reach.h"
#include "op/op.h"
#include "run/specialised.h"

static omma_status no_memory(omma_error *err) {
    return omma_fail(err, OMMA_E_NOMEM, "no memory for the field of a unit");
}

/* --- the picture ---------------------------------------------------------------------------- */

omma_status omma_picture_find(omma_picture *p, const omma_tensor *t, const char *name,
                              omma_error *err) {
    const int64_t *d = t->dims;
    if (t->rank != 4 || d[0] != 1 || (d[1] > 4 && d[3] > 4) || d[1] * d[2] * d[3] < 1)
        return omma_fail_node(err, OMMA_E_SHAPE, name, NULL,
                              "this input is not one picture: [1, C, H, W] or [1, H, W, C] with at "
                              "most four channels is needed");
    if (d[1] <= 4) *p = (omma_picture){2, 3, d[1], d[2], d[3], d[2] * d[3], d[3], 1};
    else *p = (omma_picture){1, 2, d[3], d[1], d[2], 1, d[2] * d[3], d[3]};
    return OMMA_OK;
}

void omma_picture_read(double *out, const omma_picture *p, const omma_tensor *t) {
    for (int64_t c = 0; c < p->channels; c++)
        for (int64_t y = 0; y < p->height; y++)
            for (int64_t x = 0; x < p->width; x++) {
                const int64_t at = c * p->step_c + y * p->step_y + x * p->step_x;
                *out++ = t->dtype == OMMA_F32 ? (double)((const float *)t->data)[at]
                                              : omma_get_number(t->dtype, t->data, at);
            }
}

void omma_picture_write(omma_tensor *t, const omma_picture *p, const double *from) {
    const bool real = t->dtype == OMMA_F64 || t->dtype == OMMA_F16 || t->dtype == OMMA_BF16;
    for (int64_t c = 0; c < p->channels; c++)
        for (int64_t y = 0; y < p->height; y++)
            for (int64_t x = 0; x < p->width; x++) {
                const int64_t at = c * p->step_c + y * p->step_y + x * p->step_x;
                if (t->dtype == OMMA_F32) ((float *)t->data)[at] = (float)*from++;
                else
                    omma_set_number(t->dtype, t->data, at, real ? *from : nearbyint(*from)), from++;
            }
}

/* --- where the unit is ---------------------------------------------------------------------- */

/* How many indices of an axis, from g->off on, count cells: behind those of a sequence there may be
 * other tokens. */
static int64_t reach_of(const omma_cell_axes *c, const omma_value *v, const omma_digit *g) {
    const int64_t length = v->dims[g->axis];
    int64_t span = 0;
    if (c->row.axis == g->axis) span = c->row.div * c->row.mod;
    if (c->column.axis == g->axis && c->column.div * c->column.mod > span)
        span = c->column.div * c->column.mod;
    return g->off || length % span ? span : length;
}

int64_t omma_cell_axes_at(const omma_cell_axes *c, const omma_value *v, bool column, int64_t i) {
    const omma_digit *g = column ? &c->column : &c->row;
    const int64_t j = i - g->off;
    return j < 0 || j >= reach_of(c, v, g) ? -1 : j / g->div % g->mod;
}

/* Values in which no axis counts cells any more are taken for maps by their looks. */
void omma_cell_axes_find(omma_cell_axes *c, const omma_value *v, const omma_reach *rows,
                         const omma_reach *columns) {
    c->row = rows->any ? rows->digit : (omma_digit){.axis = -1};
    c->column = columns->any ? columns->digit : (omma_digit){.axis = -1};
    c->by_looks = c->row.axis < 0 || c->column.axis < 0;
    if (!c->by_looks) return;
    c->row.axis = c->column.axis = -1;
    if (v->rank != 4 || v->dims[0] != 1) return;
    c->row = (omma_digit){2, 0, 1, v->dims[2]};
    c->column = (omma_digit){3, 0, 1, v->dims[3]};
}

typedef struct place {
    const omma_unit *unit;
    const omma_value *v;
    omma_cell_axes axes;
    bool *take[OMMA_MAX_RANK];    /* by axis: the indices that are the unit's; NULL: all */
    int64_t taken[OMMA_MAX_RANK]; /* how many */
    int64_t *list, n;             /* elements */
} place;

static bool narrow(place *p, omma_arena *a, bool column, int64_t cell) {
    const omma_digit *g = column ? &p->axes.column : &p->axes.row;
    const int64_t length = p->v->dims[g->axis];
    bool **take = &p->take[g->axis];
    const bool fresh = !*take;
    if (fresh) *take = omma_arena_array(a, (size_t)length, sizeof **take);
    if (!*take) return false;
    p->taken[g->axis] = 0;
    for (int64_t i = 0; i < length; i++) {
        (*take)[i] = (fresh || (*take)[i]) && omma_cell_axes_at(&p->axes, p->v, column, i) == cell;
        p->taken[g->axis] += (*take)[i];
    }
    return true;
}

static omma_status take_cell(place *p, omma_unit_field *out, omma_arena *a, omma_error *err) {
    const char *name = p->v->name;
    if (p->axes.row.axis < 0)
        return omma_fail_node(err, OMMA_E_USAGE, name, NULL,
                              "this value has no rows and columns of cells: give the number of a "
                              "token instead");
    out->y = p->unit->y == -1 ? p->axes.row.mod / 2 : p->unit->y;
    out->x = p->unit->x == -1 ? p->axes.column.mod / 2 : p->unit->x;
    if (out->y < 0 || out->y >= p->axes.row.mod || out->x < 0 || out->x >= p->axes.column.mod)
        return omma_fail_node(err, OMMA_E_RANGE, name, NULL,
                              "there is no cell %lld, %lld (row, column); this value has %lld rows "
                              "and %lld columns",
                              (long long)out->y, (long long)out->x, (long long)p->axes.row.mod,
                              (long long)p->axes.column.mod);
    return narrow(p, a, false, out->y) && narrow(p, a, true, out->x) ? OMMA_OK : no_memory(err);
}

/* Which axis counts tokens: of [1, T, C] and [T, 1, C] that with T, of [T, C] the first. */
static int token_axis(const place *p) {
    const omma_value *v = p->v;
    if (v->rank == 3 && v->dims[0] != 1 && v->dims[1] != 1) return -1;
    if (v->rank == 3) return v->dims[0] == 1 ? 1 : 0;
    return v->rank == 2 ? 0 : -1;
}

static omma_status take_token(place *p, omma_unit_field *out, omma_arena *a, omma_error *err) {
    const int axis = token_axis(p);
    const int64_t token = p->unit->token;
    if (axis < 0)
        return omma_fail_node(err, OMMA_E_USAGE, p->v->name, NULL,
                              "this value of rank %d is no sequence of tokens, [1, T, C] or "
                              "[T, 1, C]: give a cell instead",
                              p->v->rank);
    const int64_t length = p->v->dims[axis];
    if (token < 0 || token >= length)
        return omma_fail_node(err, OMMA_E_RANGE, p->v->name, NULL,
                              "there is no token %lld; this value has %lld", (long long)token,
                              (long long)length);
    out->y = p->axes.row.axis == axis ? omma_cell_axes_at(&p->axes, p->v, false, token) : -1;
    out->x = p->axes.column.axis == axis ? omma_cell_axes_at(&p->axes, p->v, true, token) : -1;
    if (out->y < 0 || out->x < 0) out->y = out->x = -1, out->rows = out->columns = 0;
    p->take[axis] = omma_arena_array(a, (size_t)length, sizeof *p->take[axis]);
    if (!p->take[axis]) return no_memory(err);
    p->take[axis][token] = true;
    p->taken[axis] = 1;
    return OMMA_OK;
}

static void collect(place *p, int axis, int64_t at) {
    const omma_value *v = p->v;
    if (axis == v->rank) {
        p->list[p->n++] = at;
        return;
    }
    for (int64_t i = 0; i < v->dims[axis]; i++)
        if (!p->take[axis] || p->take[axis][i]) collect(p, axis + 1, at * v->dims[axis] + i);
}

static omma_status list_elements(place *p, omma_unit_field *out, omma_arena *a, omma_error *err) {
    int64_t n = 1;
    for (int d = 0; d < p->v->rank; d++) n *= p->take[d] ? p->taken[d] : p->v->dims[d];
    if (n < 1)
        return omma_fail_node(err, OMMA_E_RANGE, p->v->name, NULL, "this unit has no numbers");
    p->list = omma_arena_array(a, (size_t)n, sizeof *p->list);
    if (!p->list) return no_memory(err);
    collect(p, 0, 0);
    out->element = p->list;
    out->channels = p->n;
    return OMMA_OK;
}

/* --- what it sees --------------------------------------------------------------------------- */

static bool set_of(omma_set *s, omma_arena *a, const place *p) {
    *s = omma_set_all(p->v->rank, p->v->dims);
    for (int d = 0; d < p->v->rank; d++) {
        if (!p->take[d] || p->taken[d] == p->v->dims[d]) continue;
        uint64_t *bits = omma_arena_array(a, (size_t)omma_bit_words(p->v->dims[d]) + 1, 8);
        if (!bits) return false;
        for (int64_t i = 0; i < p->v->dims[d]; i++)
            if (p->take[d][i]) omma_bit_set(bits, i);
        s->part[d].bits = bits;
    }
    return true;
}

/* The pixels whose bits are set, of arena a. */
static omma_status walk(const uint64_t **seen, unsigned *met, const place *p, const omma_fields *f,
                        const omma_value *image, const omma_picture *picture, omma_arena *a,
                        omma_error *err) {
    const size_t words = (size_t)omma_bit_words(picture->height * picture->width);
    uint64_t *bits = omma_arena_array(a, words + 1, sizeof *bits);
    omma_walk w;
    omma_set s;
    *seen = bits;
    omma_status bad = omma_walk_begin(&w, f, OMMA_FIELD_STRUCTURAL, err);
    if (!bad && (!bits || !set_of(&s, &w.arena, p))) bad = no_memory(err);
    if (!bad) bad = omma_walk_add(&w, p->v, &s, err);
    if (!bad) bad = omma_walk_back(&w, err);
    if (!bad && w.at[image->index]) {
        const uint64_t *there = omma_set_along(&w.arena, w.at[image->index], picture->rows, 2);
        if (there) memcpy(bits, there, words * sizeof *bits);
        else bad = no_memory(err);
    }
    *met = w.met;
    omma_walk_free(&w);
    return bad;
}

/* The same where masks that nearly block are open. */
static omma_status walk_nearly(omma_unit_field *out, const place *p, const omma_graph *g,
                               const omma_value *image, omma_arena *a, omma_error *err) {
    omma_fields f;
    unsigned met;
    omma_status s = omma_fields_new_hard(&f, g, a->budget, err);
    if (!s) s = walk(&out->nearly, &met, p, &f, image, &out->picture, a, err);
    omma_fields_free(&f);
    return s;
}

static void find_middle(omma_unit_field *out) {
    int64_t top = INT64_MAX, bottom = -1, left = INT64_MAX, right = -1;
    const int64_t w = out->picture.width, n = out->picture.height * w;
    for (int64_t i = omma_bits_next(out->seen, 0, n); i < n;
         i = omma_bits_next(out->seen, i + 1, n)) {
        if (i / w < top) top = i / w;
        if (i / w > bottom) bottom = i / w;
        if (i % w < left) left = i % w;
        if (i % w > right) right = i % w;
    }
    if (bottom < 0) top = 0, bottom = out->picture.height - 1, left = 0, right = w - 1;
    out->centre_y = (double)(top + bottom) / 2;
    out->centre_x = (double)(left + right) / 2;
}

static void find_centre(omma_unit_field *out, const omma_reach *rows, const omma_reach *columns) {
    out->adrift = out->rows < 1 || !rows->any || !columns->any || rows->digit.axis < 0 ||
                  columns->digit.axis < 0;
    if (out->adrift) {
        find_middle(out);
        return;
    }
    out->centre_y = omma_reach_centre(rows, (double)out->y);
    out->centre_x = omma_reach_centre(columns, (double)out->x);
}

static omma_status look(omma_unit_field *out, place *p, const omma_fields *f,
                        const omma_value *image, omma_arena *tmp, omma_arena *a, omma_error *err) {
    const omma_reach *rows = omma_reaches(f, image, out->picture.rows, OMMA_FIELD_STRUCTURAL, tmp);
    const omma_reach *columns =
        omma_reaches(f, image, out->picture.columns, OMMA_FIELD_STRUCTURAL, tmp);
    if (!rows || !columns) return no_memory(err);
    rows += p->v->index, columns += p->v->index;
    omma_cell_axes_find(&p->axes, p->v, rows, columns);
    out->rows = p->axes.row.axis < 0 ? 0 : p->axes.row.mod;
    out->columns = p->axes.column.axis < 0 ? 0 : p->axes.column.mod;
    OMMA_TRY(p->unit->by_token ? take_token(p, out, tmp, err) : take_cell(p, out, tmp, err));
    OMMA_TRY(list_elements(p, out, a, err));
    OMMA_TRY(walk(&out->seen, &out->met, p, f, image, &out->picture, a, err));
    out->n_seen = omma_bits_count(out->seen, out->picture.height * out->picture.width);
    out->nearly = out->seen;
    if (out->met & OMMA_MET_SOFT) OMMA_TRY(walk_nearly(out, p, f->g, image, a, err));
    find_centre(out, rows, columns);
    return OMMA_OK;
}

omma_status omma_unit_look(omma_unit_field *out, const omma_graph *model, const omma_unit *unit,
                           const omma_tensor *inputs, int image, omma_arena *arena,
                           omma_error *err) {
    omma_specialised s;
    omma_fields f = {0};
    omma_arena tmp;
    const omma_specialise_how how = {.of = &unit->value, .n_of = 1, .reading = OMMA_READ_FIELD};
    *out = (omma_unit_field){0};
    OMMA_TRY(omma_picture_find(&out->picture, &inputs[image], model->inputs[image]->name, err));
    omma_arena_init(&tmp, arena->budget);
    omma_status bad = omma_specialise(&s, model, inputs, &how, &tmp, err);
    if (!bad) {
        place p = {.unit = unit, .v = s.graph->outputs[0]};
        out->value = omma_value_tensor(p.v);
        out->value.data = NULL;
        bad = omma_fields_new(&f, s.graph, NULL, arena->budget, err);
        if (!bad) bad = look(out, &p, &f, s.graph->inputs[image], &tmp, arena, err);
        omma_fields_free(&f);
    }
    omma_arena_free(&tmp);
    return bad;
}
