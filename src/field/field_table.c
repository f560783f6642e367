/* field_table.c - see field_table.h. The advice follows Richter et al., "Should You Go Deeper?
 * Optimizing Convolutional Neural Network Architectures without Training" (2021): a layer behind
 * which every path has already seen the whole input, and which still widens what it sees, does not
 * bring context together any more. */
#include "field/field_table.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static omma_status no_memory(omma_error *err) {
    return omma_fail(err, OMMA_E_NOMEM, "no memory for a table of fields");
}

/* --- names ----------------------------------------------------------------------------------- */

/* Is part (n bytes) what an exporter adds: "Conv_output_0", "Conv_12", the operator's name? */
static bool added(const char *part, size_t n, const char *op) {
    const size_t k = strlen(op);
    if (n < k || strncasecmp(part, op, k)) return false;
    if (n == k) return true;
    if (part[k] != '_') return false;
    for (size_t i = k; i < n; i++)
        if (!isdigit((unsigned char)part[i]) && !strchr("_output", part[i])) return false;
    return true;
}

void omma_field_label(char *out, size_t size, const omma_value *v) {
    const char *op = v->producer ? v->producer->op->name : "", *p = v->name;
    size_t at = 0, last = 0, last_n = 0;
    bool letters = false;
    for (const char *c = p; *c; c++) letters |= isalpha((unsigned char)*c) != 0;
    if (!letters && v->producer) { /* a number: the node may have a name */
        p = v->producer->name;
        for (const char *c = p; *c; c++) letters |= isalpha((unsigned char)*c) != 0;
    }
    if (!letters) {
        snprintf(out, size, "%s %s", op, v->name);
        return;
    }
    out[0] = 0;
    while (*p) {
        const size_t n = strcspn(p, "/");
        const bool more = p[n] == '/';
        if (n && !(added(p, n, op) && !more && at)) {
            /* a module's path often repeats the path of its parent: layer1/layer1.0 */
            if (at && last_n < n && !strncmp(out + last, p, last_n) && p[last_n] == '.') at = last;
            else if (at && at + 1 < size) out[at++] = '.';
            last = at, last_n = n;
            at += (size_t)snprintf(out + at, size - at, "%.*s", (int)n, p);
            if (at >= size) at = size - 1;
        }
        p += n + more;
    }
    if (!at) snprintf(out, size, "%s", v->name);
}

/* --- cells ----------------------------------------------------------------------------------- */

bool omma_field_cell(const omma_value *v, const omma_digit *rows, const omma_digit *columns,
                     int64_t y, int64_t x, int64_t *at) {
    for (int d = 0; d < v->rank; d++) at[d] = -1;
    if (rows->axis < 0 || columns->axis < 0 || y < 0 || x < 0 || y >= rows->mod ||
        x >= columns->mod)
        return false;
    if (rows->axis != columns->axis) {
        if (rows->div != 1 || columns->div != 1) return false;
        at[rows->axis] = y + rows->off, at[columns->axis] = x + columns->off;
    } else at[rows->axis] = rows->off + y * rows->div + x * columns->div;
    return at[rows->axis] < v->dims[rows->axis] && at[columns->axis] < v->dims[columns->axis];
}

/* --- rows ------------------------------------------------------------------------------------ */

typedef struct making {
    omma_field_table *t;
    const omma_fov *f;
    unsigned paths;
    omma_arena *arena;
    omma_error *err;
    const omma_reach *y, *x;
    const omma_cell_field *cells;
} making;

/* Border cells at one end whose window is mostly outside. */
static int64_t starved(const omma_reach *r, int64_t cells, double length) {
    const double size = omma_reach_size(r);
    int64_t n = 0;
    for (int64_t o = 0; o < cells / 2; o++) {
        const double lo = r->stride * (double)o + r->low, hi = lo + size - 1;
        const double inside = fmin(hi, length - 1) - fmax(lo, 0) + 1;
        if (inside >= size / 2) break;
        n++;
    }
    return n;
}

static void closed_form(omma_field_axis *a, const omma_reach *r, int64_t length) {
    a->least = r->least;
    a->most = r->most;
    a->astray = r->astray;
    a->size = r->whole ? INFINITY : r->digit.axis < 0 || r->odd ? 0 : omma_reach_size(r);
    if (r->digit.axis < 0) return;
    a->cells = r->digit.mod;
    a->jump = r->stride;
    a->padding = 0 - r->low;
    a->first = omma_reach_centre(r, 0);
    a->centre = omma_reach_centre(r, (double)(a->cells / 2));
    if (!r->whole && !r->odd) a->starved = starved(r, a->cells, (double)length);
}

/* From a line's bits. */
static void count_line(omma_field_axis *a, const uint64_t *bits, int64_t n) {
    a->seen = omma_bits_count(bits, n);
    a->lo = omma_bits_next(bits, 0, n);
    for (a->hi = n - 1; a->hi > a->lo && !omma_bit(bits, a->hi);) a->hi--;
}

static void finish(const making *m, omma_field_row *r, int64_t pixels) {
    const int64_t h = m->t->image->dims[m->t->down], w = m->t->image->dims[m->t->across];
    const int64_t hull = (r->y.hi - r->y.lo + 1) * (r->x.hi - r->x.lo + 1);
    r->coverage = pixels ? (double)pixels / (double)hull : 0;
    r->share = (double)pixels / ((double)h * (double)w);
    if (pixels == h * w) r->status = OMMA_FOV_WHOLE;
    if (!r->y.size) r->y.size = (double)(r->y.hi - r->y.lo + 1);
    if (!r->x.size) r->x.size = (double)(r->x.hi - r->x.lo + 1);
}

/* What cells.h knows of the middle cell is exact, or it is walked. */
static omma_status middle(const making *m, omma_field_row *r) {
    const omma_cell_field *c = &m->cells[r->value->index];
    const int64_t h = m->t->image->dims[m->t->down], w = m->t->image->dims[m->t->across];
    int64_t at[OMMA_MAX_RANK];
    if (!c->rows.bits) return OMMA_OK;
    if (!c->bound) {
        const int64_t y = c->rows.cells / 2, x = c->columns.cells / 2;
        count_line(&r->y, c->rows.bits + y * c->rows.words, h);
        count_line(&r->x, c->columns.bits + x * c->columns.words, w);
        finish(m, r, r->y.seen * r->x.seen);
        return OMMA_OK;
    }
    omma_walk walk;
    if (!omma_field_cell(r->value, &r->rows, &r->columns, r->rows.mod / 2, r->columns.mod / 2, at))
        for (int d = 0; d < r->value->rank; d++) at[d] = r->value->dims[d] / 2;
    omma_status s = omma_fov_walk(&walk, m->f, r->value, at, m->paths, true, m->err);
    const omma_set *set = s ? NULL : walk.at[m->t->image->index];
    if (set) {
        const uint64_t *rows = omma_set_along(&walk.arena, set, m->t->down, 1);
        const uint64_t *columns = omma_set_along(&walk.arena, set, m->t->across, 1);
        const uint64_t *plane = omma_set_along(&walk.arena, set, m->t->down, 2);
        if (!rows || !columns || !plane) s = no_memory(m->err);
        else {
            count_line(&r->y, rows, h);
            count_line(&r->x, columns, w);
            r->status = omma_fov_judge(&walk, m->t->image);
            finish(m, r, omma_bits_count(plane, h * w));
        }
    }
    omma_walk_free(&walk);
    return s;
}

/* Did the layer's inputs see the whole image along every path already, and does it see further? */
static bool unproductive(const making *m, const omma_node *n, const omma_reach *all,
                         const omma_value *v, int64_t length) {
    const omma_reach *y = &all[v->index];
    for (int i = 0; i < n->n_in; i++) {
        const omma_reach *x = n->in[i] ? &all[n->in[i]->index] : NULL;
        if (!x || !x->any || x->digit.axis < 0) continue;
        if (x->least >= (double)length && y->least > x->least && y->digit.axis >= 0) return true;
    }
    (void)m;
    return false;
}

static void advise(const making *m, omma_field_row *r) {
    const int64_t h = m->t->image->dims[m->t->down], w = m->t->image->dims[m->t->across];
    if (unproductive(m, r->node, m->y, r->value, h) && unproductive(m, r->node, m->x, r->value, w))
        r->advice |= OMMA_ADVICE_UNPRODUCTIVE;
    if (r->coverage > 0 && r->coverage < 1 - 1e-9 && !r->whole) r->advice |= OMMA_ADVICE_GRIDDING;
    if (r->y.astray >= 0.5 || r->x.astray >= 0.5) r->advice |= OMMA_ADVICE_ASTRAY;
    if (r->y.starved || r->x.starved) r->advice |= OMMA_ADVICE_STARVED;
}

static void add(making *m, const omma_node *n, const omma_value *v) {
    omma_field_table *t = m->t;
    const omma_reach *y = &m->y[v->index], *x = &m->x[v->index];
    if (!y->any || !x->any) return;
    omma_field_row *r = &t->row[t->count++];
    *r = (omma_field_row){
        .value = v, .node = n, .whole = y->whole || x->whole, .odd = y->odd || x->odd};
    omma_field_label(r->label, sizeof r->label, v);
    closed_form(&r->y, y, t->image->dims[t->down]);
    closed_form(&r->x, x, t->image->dims[t->across]);
    r->rows = y->digit, r->columns = x->digit;
    if (!r->whole && !r->odd && r->y.cells) {
        t->lowest = fmax(t->lowest, fmin(r->y.least, r->x.least));
        t->highest = fmax(t->highest, fmax(r->y.size, r->x.size));
    }
}

/* What only moves numbers ends no stage. */
static bool moves(const omma_node *n) {
    static const char *const names[] = {"Slice",   "Concat",  "Split",     "Transpose", "Reshape",
                                        "Squeeze", "Flatten", "Unsqueeze", "Identity",  "Pad",
                                        "Gather",  "Expand",  "Cast",      "Tile"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(n->op->name, names[i])) return true;
    return false;
}

static bool same_cells(const omma_field_row *a, const omma_field_row *b) {
    return a->y.cells == b->y.cells && a->x.cells == b->x.cells && a->y.jump == b->y.jump &&
           a->x.jump == b->x.jump;
}

/* Does the middle cell see every row and every column, as far as cells.h knows? */
static bool sees_all(const making *m, const omma_field_row *r) {
    const omma_lines *line[] = {&m->cells[r->value->index].rows,
                                &m->cells[r->value->index].columns};
    const int64_t length[] = {m->t->image->dims[m->t->down], m->t->image->dims[m->t->across]};
    for (int i = 0; i < 2; i++) {
        if (!line[i]->bits) return false;
        const uint64_t *bits = line[i]->bits + line[i]->cells / 2 * line[i]->words;
        if (omma_bits_count(bits, length[i]) < length[i]) return false;
    }
    return true;
}

/* The last row of each run of a stage; the outputs too. Rows without cells (gates, shapes on their
 * way) end no stage. */
static void mark_stages(const making *m) {
    omma_field_table *t = m->t;
    omma_field_row *last = NULL;
    bool whole = false; /* had anything of last's stage seen everything? */
    for (int i = 0; i < t->count; i++) {
        omma_field_row *r = &t->row[i];
        r->stage = r->value->is_output;
        if ((r->y.cells <= 1 && r->x.cells <= 1) || moves(r->node)) continue;
        const bool all = sees_all(m, r), same = last && same_cells(last, r);
        const bool first = all && !whole && (r->whole || r->odd);
        if (last && (!same || first)) last->stage = true;
        whole = all || (same && whole);
        last = r;
    }
    if (last) last->stage = true;
}

omma_status omma_field_table_make(omma_field_table *t, const omma_fov *f, unsigned paths, bool all,
                                  omma_arena *arena, omma_error *err) {
    const omma_graph *g = f->specialised.graph;
    *t = (omma_field_table){0};
    t->image = omma_fov_image(f, &t->down, &t->across);
    if (!t->image)
        return omma_fail(err, OMMA_E_UNSUPPORTED, "%s: no input is a picture [N,C,H,W]", f->name);
    making m = {.t = t, .f = f, .paths = paths, .arena = arena, .err = err};
    m.y = omma_reaches(&f->fields, t->image, t->down, paths, arena);
    m.x = omma_reaches(&f->fields, t->image, t->across, paths, arena);
    m.cells = omma_cells(&f->fields, t->image, t->down, t->across, paths, arena);
    t->row = omma_arena_array(arena, (size_t)g->n_values + 1, sizeof *t->row);
    if (!m.y || !m.x || !m.cells || !t->row) return no_memory(err);
    for (int i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i]->n_out; k++)
            if (g->nodes[i]->out[k]) add(&m, g->nodes[i], g->nodes[i]->out[k]);
    mark_stages(&m);
    for (int i = 0; i < t->count; i++) {
        if (!all && !t->row[i].stage) continue;
        OMMA_TRY(middle(&m, &t->row[i]));
        advise(&m, &t->row[i]);
    }
    return OMMA_OK;
}
