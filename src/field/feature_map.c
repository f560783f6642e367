/* feature_map.c - see feature_map.h. */
#include "field/feature_map.h"

#include <math.h>
#include <string.h>

#include "op/op.h"
#include "run/specialised.h"

static omma_status no_memory(omma_error *err) {
    return omma_fail(err, OMMA_E_NOMEM, "no memory to find a feature map");
}

/* One search. */
typedef struct search {
    const omma_graph *model;
    const omma_aim *aim;
    const omma_picture *picture;
    omma_specialised s;
    omma_fields f;
    omma_walk w; /* back from the target */
    const omma_reach *rows, *columns;
    bool *weight; /* by value index: becomes weights of an attention and nothing else */
    bool starved; /* of memory, while cells were counted */
    omma_arena tmp;
} search;

/* --- the target's way back ------------------------------------------------------------------ */

/* All of a value, or what of it the target is made of. */
static omma_status set_of(omma_set *s, const search *x, int i, const omma_value *v,
                          omma_arena *arena, omma_error *err) {
    *s = omma_set_all(v->rank, v->dims);
    if (i || !x->aim->count) return OMMA_OK;
    uint64_t *bits = omma_arena_array(arena, (size_t)omma_bit_words(omma_value_count(v)) + 1, 8);
    if (!bits) return no_memory(err);
    for (int64_t k = 0; k < x->aim->count; k++) omma_bit_set(bits, x->aim->element[k]);
    return omma_set_of_bits(arena, s, v->rank, v->dims, bits) ? OMMA_OK : no_memory(err);
}

/* Along numbers and statistics: what only chooses places has no gradient. */
static omma_status walk(search *x, omma_error *err) {
    OMMA_TRY(omma_walk_begin(&x->w, &x->f, 1u << OMMA_PATH_VALUE | 1u << OMMA_PATH_STATISTIC, err));
    for (int i = 0; i < x->aim->n_seeded; i++) {
        const omma_value *v = x->s.graph->outputs[i];
        omma_set s;
        OMMA_TRY(set_of(&s, x, i, v, &x->w.arena, err));
        OMMA_TRY(omma_walk_add(&x->w, v, &s, err));
    }
    return omma_walk_back(&x->w, err);
}

/* --- weights of an attention ---------------------------------------------------------------- */

/* Does a node hand what it is given on to weights (-1: it makes them)? */
static int hands_on(const search *x, const omma_node *n) {
    int data = 0;
    if (!strcmp(n->op->name, "Softmax") || !strcmp(n->op->name, "LogSoftmax")) return -1;
    if (n->op->flags & (OMMA_OP_ELEMENTWISE | OMMA_OP_VIEW) || !strcmp(n->op->name, "Transpose"))
        return 1;
    for (int k = 0; k < n->n_in; k++) data += n->in[k] && x->f.depends[n->in[k]->index];
    return !strcmp(n->op->name, "MatMul") && data > 1; /* scores, of two that depend on data */
}

/* A value is a weight if all who read it, on the target's way, hand it on to a softmax. */
static omma_status find_weights(search *x, omma_error *err) {
    const omma_graph *g = x->s.graph;
    bool *other = omma_arena_array(&x->tmp, (size_t)g->n_values, sizeof *other);
    x->weight = omma_arena_array(&x->tmp, (size_t)g->n_values, sizeof *x->weight);
    if (!other || !x->weight) return no_memory(err);
    for (int i = g->n_nodes - 1; i >= 0; i--) {
        const omma_node *n = g->nodes[i];
        const omma_value *y = n->n_out ? n->out[0] : NULL;
        if (!y || !x->w.at[y->index]) continue;
        const int hands = hands_on(x, n);
        const bool to_weight = hands < 0 || (hands > 0 && x->weight[y->index]);
        for (int k = 0; k < n->n_in; k++) {
            if (!n->in[k]) continue;
            other[n->in[k]->index] |= !to_weight;
            x->weight[n->in[k]->index] = !other[n->in[k]->index];
        }
    }
    return OMMA_OK;
}

/* --- candidates ----------------------------------------------------------------------------- */

static bool floats(omma_dtype t) {
    return t == OMMA_F32 || t == OMMA_F64 || t == OMMA_F16 || t == OMMA_BF16;
}

/* How many cells of v the target depends on: of rows and columns of their own at most so many. */
static int64_t cells_in(search *x, const omma_value *v, const omma_cell_axes *c) {
    int64_t n[2] = {0, 0};
    for (int side = 0; side < 2; side++) {
        const omma_digit *g = side ? &c->column : &c->row;
        const uint64_t *bits = omma_set_along(&x->w.arena, x->w.at[v->index], g->axis, 1);
        uint64_t *seen = omma_arena_array(&x->tmp, (size_t)omma_bit_words(g->mod), sizeof *seen);
        x->starved |= !bits || !seen;
        if (x->starved) return 0;
        for (int64_t i = 0; i < v->dims[g->axis]; i++) {
            const int64_t at = omma_bit(bits, i) ? omma_cell_axes_at(c, v, side, i) : -1;
            if (at >= 0) omma_bit_set(seen, at);
        }
        n[side] = omma_bits_count(seen, g->mod);
    }
    return n[0] * n[1];
}

/* Values that parts or the reading made are no names a gradient could be asked by. */
static bool is_map(search *x, const omma_value *v, omma_cell_axes *c) {
    if (!v || !x->w.at[v->index] || !x->f.depends[v->index] || x->weight[v->index]) return false;
    for (int i = 0; i < x->aim->n; i++)
        if (!strcmp(v->name, x->aim->name[i])) return false;
    omma_cell_axes_find(c, v, &x->rows[v->index], &x->columns[v->index]);
    return floats(v->dtype) && !c->by_looks && c->row.mod * c->column.mod > 1 &&
           cells_in(x, v, c) > 1 && omma_graph_find(x->model, v->name);
}

static omma_status last_map(search *x, const omma_value **out, omma_cell_axes *c, omma_error *err) {
    const omma_graph *g = x->s.graph;
    OMMA_TRY(walk(x, err));
    OMMA_TRY(find_weights(x, err));
    for (int i = g->n_nodes - 1; i >= 0; i--)
        for (int k = 0; k < g->nodes[i]->n_out; k++)
            if (is_map(x, g->nodes[i]->out[k], c)) {
                *out = g->nodes[i]->out[k];
                return OMMA_OK;
            } else if (x->starved) return no_memory(err);
    return omma_fail_node(err, OMMA_E_UNSUPPORTED, x->aim->name[0], NULL,
                          "%s depends on no feature map of more than one cell; name a value with "
                          "cells, or take a method that needs none",
                          x->aim->says);
}

/* --- where the cells are -------------------------------------------------------------------- */

/* The centre of cell 0 and the step to the next, along one side of n pixels. */
static void place(double *first, double *step, const omma_reach *r, bool known, int64_t cells,
                  int64_t n) {
    *step = known ? r->stride : (double)n / (double)cells;
    *first = known ? omma_reach_centre(r, 0) : (*step - 1) / 2;
}

static omma_status list_places(omma_feature_map *m, const omma_value *v, const omma_cell_axes *c,
                               omma_arena *tmp, omma_arena *arena, omma_error *err) {
    const int64_t cells = m->rows * m->columns;
    int64_t behind_row = 1, behind_column = 1, most = 0, placed = 0;
    m->count = omma_value_count(v);
    int64_t *place_of = omma_arena_array(arena, (size_t)m->count, sizeof *place_of);
    int64_t *channels = omma_arena_array(tmp, (size_t)cells, sizeof *channels);
    if (!place_of || !channels) return no_memory(err);
    for (int d = c->row.axis + 1; d < v->rank; d++) behind_row *= v->dims[d];
    for (int d = c->column.axis + 1; d < v->rank; d++) behind_column *= v->dims[d];
    for (int64_t i = 0; i < m->count; i++) {
        const int64_t on_row = i / behind_row % v->dims[c->row.axis],
                      on_column = i / behind_column % v->dims[c->column.axis],
                      y = omma_cell_axes_at(c, v, false, on_row),
                      x = omma_cell_axes_at(c, v, true, on_column), cell = y * m->columns + x;
        place_of[i] = y < 0 || x < 0 ? -1 : channels[cell]++ * cells + cell;
        if (place_of[i] < 0) continue;
        placed++;
        if (channels[cell] > most) most = channels[cell];
    }
    m->place = place_of;
    m->channels = most;
    if (most && placed == most * cells) return OMMA_OK;
    return omma_fail_node(err, OMMA_E_USAGE, v->name, NULL,
                          "its cells have not all the same number of channels");
}

static omma_status describe(omma_feature_map *m, search *x, const omma_value *v,
                            const omma_cell_axes *c, omma_arena *arena, omma_error *err) {
    if (c->row.axis < 0)
        return omma_fail_node(err, OMMA_E_USAGE, v->name, NULL,
                              "this value has no rows and columns of cells");
    if (!floats(v->dtype))
        return omma_fail_node(err, OMMA_E_USAGE, v->name, NULL, "a feature map of %s",
                              omma_dtype_name(v->dtype));
    m->value = omma_value_tensor(v);
    m->value.data = NULL;
    m->rows = c->row.mod;
    m->columns = c->column.mod;
    m->placed = !c->by_looks;
    place(&m->first_y, &m->step_y, &x->rows[v->index], m->placed, m->rows, x->picture->height);
    place(&m->first_x, &m->step_x, &x->columns[v->index], m->placed, m->columns, x->picture->width);
    m->name = omma_arena_strndup(arena, v->name, strlen(v->name));
    return m->name ? list_places(m, v, c, &x->tmp, arena, err) : no_memory(err);
}

static omma_status find(omma_feature_map *out, search *x, const char *name, int image,
                        omma_arena *arena, omma_error *err) {
    const omma_value *at = x->s.graph->inputs[image], *v = x->s.graph->outputs[0];
    omma_cell_axes c;
    OMMA_TRY(omma_fields_new(&x->f, x->s.graph, NULL, arena->budget, err));
    x->rows = omma_reaches(&x->f, at, x->picture->rows, OMMA_FIELD_STRUCTURAL, &x->tmp);
    x->columns = omma_reaches(&x->f, at, x->picture->columns, OMMA_FIELD_STRUCTURAL, &x->tmp);
    if (!x->rows || !x->columns) return no_memory(err);
    if (name) omma_cell_axes_find(&c, v, &x->rows[v->index], &x->columns[v->index]);
    else OMMA_TRY(last_map(x, &v, &c, err));
    return describe(out, x, v, &c, arena, err);
}

omma_status omma_feature_map_find(omma_feature_map *out, const char *name, const omma_graph *model,
                                  const omma_aim *aim, const omma_tensor *inputs, int image,
                                  const omma_picture *picture, omma_arena *arena, omma_error *err) {
    search x = {.model = model, .aim = aim, .picture = picture};
    const omma_specialise_how how = {.of = name ? &name : aim->name,
                                     .n_of = name ? 1 : aim->n_seeded,
                                     .reading = OMMA_READ_FIELD};
    *out = (omma_feature_map){0};
    omma_arena_init(&x.tmp, arena->budget);
    omma_status s = omma_specialise(&x.s, model, inputs, &how, &x.tmp, err);
    if (!s) s = find(out, &x, name, image, arena, err);
    omma_walk_free(&x.w);
    omma_fields_free(&x.f);
    omma_arena_free(&x.tmp);
    return s;
}

/* --- reading and drawing -------------------------------------------------------------------- */

void omma_feature_map_read(double *out, const omma_feature_map *m, const omma_tensor *t) {
    for (int64_t i = 0; i < m->count; i++)
        if (m->place[i] >= 0) out[m->place[i]] = omma_get_number(t->dtype, t->data, i);
}

static void split(double u, int64_t n, int64_t *low, double *part) {
    const double last = (double)(n - 1), v = u < 0 ? 0 : u > last ? last : u;
    *low = (int64_t)v < n - 1 ? (int64_t)v : (n > 1 ? n - 2 : 0);
    *part = n > 1 ? v - (double)*low : 0;
}

void omma_feature_map_draw(double *map, const omma_feature_map *m, const double *cells,
                           const omma_picture *picture) {
    for (int64_t y = 0; y < picture->height; y++)
        for (int64_t x = 0; x < picture->width; x++) {
            int64_t i, j;
            double a, b;
            split(((double)y - m->first_y) / m->step_y, m->rows, &i, &a);
            split(((double)x - m->first_x) / m->step_x, m->columns, &j, &b);
            const double *at = cells + i * m->columns + j;
            const int64_t down = m->rows > 1 ? m->columns : 0, across = m->columns > 1;
            const double top = at[0] + b * (at[across] - at[0]);
            const double bottom = at[down] + b * (at[down + across] - at[down]);
            map[y * picture->width + x] = top + a * (bottom - top);
        }
}
