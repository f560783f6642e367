/* look_sets.c - the exact sets of cells whose layer's lines are no more than bounds. Behind
 * attention what a cell sees is often no product of rows and columns (Swin's windows), or is
 * everything but cannot be told from the lines (ViT's tokens, which lie on one axis). Each cell
 * asked is one walk back; three things make that affordable:
 *   - a walk that comes to a cell which is known to see everything is at its end;
 *   - one that comes to a single cell whose set is known has that set;
 *   - where a layer neither ends a block nor a stage, only these two are waited for.
 * How much is asked is bounded by the nodes that walks pass, not by a clock: the same report on any
 * machine. */
#include <stdio.h>
#include <string.h>

#include "cli/look_job.h"

enum {
    VISITS = 60000, /* of nodes, all walks together; where a walk ends early, its sets are small, */
    EARLY = 8,      /* and so many visits count as one */
    BRIEFLY = 8,    /* visits of a walk from a layer that ends nothing */
    EVERY = 1024,   /* cells of a layer of which every one is asked, if they all see everything */
    EVERY_SET = 64, /* if they do not: each set takes some hundred bytes of the file */
    CHOSEN = 5 + OMMA_LOOK_UNITS
};

typedef struct known {
    int64_t y, x;
    omma_fov_status status;
    const uint64_t *bits; /* of pixels; NULL: all */
} known;

typedef struct layer {
    const omma_field_row *row;
    int part;
    bool ends; /* a block or a stage */
    known cell[CHOSEN];
    int n_cell;
    int64_t cost, visits; /* of the dearest of them */
    uint64_t *whole;      /* by cell: it is known to see everything */
    int64_t n_whole;
} layer;

typedef struct asking {
    omma_look_job *j;
    const omma_fov *fov;
    const omma_value *image;
    int down;
    int64_t pixels;
    layer *layer;
    int n;
    int *of; /* by value: its layer; -1: none */
    int64_t visits;
    bool soft; /* a mask that only nearly blocks was met */
} asking;

static omma_status no_memory(omma_error *err) {
    return omma_fail(err, OMMA_E_NOMEM, "no memory for a report");
}

static int64_t cells_of(const layer *l) { return l->row->y.cells * l->row->x.cells; }

/* --- one walk -------------------------------------------------------------------------------- */

typedef struct answer {
    bool found;
    omma_fov_status status;
    const uint64_t *bits; /* NULL: all */
    int64_t visits, cost; /* cost: of VISITS */
} answer;

/* The numbers of one cell, on the walk's arena; false: the layer has no such cell. */
static bool set_of_cell(omma_set *s, omma_walk *w, const layer *l, int64_t y, int64_t x) {
    int64_t at[OMMA_MAX_RANK];
    return omma_field_cell(l->row->value, &l->row->rows, &l->row->columns, y, x, at) &&
           !omma_fov_set(s, &w->arena, l->row->value, at, NULL);
}

/* Is all of cell (y, x) in s? */
static bool has_cell(omma_walk *w, const omma_set *s, const layer *l, int64_t y, int64_t x) {
    int64_t at[OMMA_MAX_RANK];
    omma_set cell;
    if (!omma_field_cell(l->row->value, &l->row->rows, &l->row->columns, y, x, at)) return false;
    for (int d = 0; d < l->row->value->rank; d++) at[d] = at[d] < 0 ? 0 : at[d];
    return omma_set_has(s, at) && set_of_cell(&cell, w, l, y, x) &&
           omma_set_holds(&w->arena, s, &cell);
}

/* Has the walk come to a cell that sees everything? */
static bool sees_whole(const asking *a, omma_walk *w, const omma_value *v) {
    const int i = a->of[v->index];
    if (i < 0 || !a->layer[i].n_whole) return false;
    const layer *l = &a->layer[i];
    const int64_t n = cells_of(l), columns = l->row->x.cells;
    for (int64_t c = omma_bits_next(l->whole, 0, n); c < n; c = omma_bits_next(l->whole, c + 1, n))
        if (has_cell(w, w->at[v->index], l, c / columns, c % columns)) return true;
    return false;
}

/* Is it a cell that is known, that cell and no more? */
static const known *is_known(const asking *a, omma_walk *w, const omma_value *v) {
    const int i = a->of[v->index];
    const omma_set *s = w->at[v->index];
    if (i < 0) return NULL;
    for (int k = 0; k < a->layer[i].n_cell; k++) {
        const known *c = &a->layer[i].cell[k];
        omma_set cell;
        if (has_cell(w, s, &a->layer[i], c->y, c->x) &&
            set_of_cell(&cell, w, &a->layer[i], c->y, c->x) && omma_set_holds(&w->arena, &cell, s))
            return c;
    }
    return NULL;
}

/* Through one node. *live: how many values wait to be walked from. */
static omma_status step(const asking *a, omma_walk *w, const omma_node *n, int *live, answer *out,
                        omma_error *err) {
    bool was[64];
    if (n->n_in > 64) *live += n->n_in; /* too many to be counted: never down to one again */
    for (int i = 0; i < n->n_in && i < 64; i++) was[i] = n->in[i] && w->at[n->in[i]->index];
    OMMA_TRY(omma_walk_node(w, n, true, err));
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i] && w->at[n->out[i]->index]) --*live;
    for (int i = 0; i < n->n_in && i < 64 && !out->found; i++) {
        const omma_value *v = n->in[i];
        if (!v || !w->at[v->index]) continue;
        bool again = was[i];
        for (int k = 0; k < i; k++) again |= n->in[k] == v;
        if (!again) ++*live;
        if (sees_whole(a, w, v)) *out = (answer){true, OMMA_FOV_WHOLE, NULL, out->visits, 0};
    }
    for (int i = 0; i < n->n_in && *live == 1 && !out->found; i++) {
        const omma_value *v = n->in[i];
        const known *c = v && w->at[v->index] ? is_known(a, w, v) : NULL;
        if (c && !(w->met & OMMA_MET_BOUND))
            *out = (answer){true, c->status, c->bits, out->visits, 0};
    }
    return OMMA_OK;
}

/* What has come to the picture. */
static omma_status arrive(asking *a, omma_walk *w, answer *out, omma_error *err) {
    const size_t words = (size_t)omma_bit_words(a->pixels);
    uint64_t *bits = omma_arena_array(&a->j->arena, words + 1, sizeof *bits);
    const omma_set *s = w->at[a->image->index];
    const uint64_t *there = s ? omma_set_along(&w->arena, s, a->down, 2) : bits;
    if (!bits || (s && !there)) return no_memory(err);
    memcpy(bits, there, words * sizeof *bits);
    out->found = true;
    out->status = omma_fov_judge(w, a->image);
    if (omma_bits_count(bits, a->pixels) == a->pixels) {
        if (out->status == OMMA_FOV_EXACT) out->status = OMMA_FOV_WHOLE;
        if (out->status == OMMA_FOV_WHOLE) bits = NULL;
    }
    out->bits = bits;
    return OMMA_OK;
}

/* What cell (y, x) of a layer sees, walking over at most `most` nodes. */
static omma_status ask(asking *a, answer *out, const layer *l, int64_t y, int64_t x, int64_t most,
                       omma_error *err) {
    const omma_graph *g = a->fov->specialised.graph;
    omma_walk w;
    omma_set s;
    int live = 1, i = l->row->node->index;
    *out = (answer){0};
    OMMA_TRY(omma_walk_begin(&w, &a->fov->fields, OMMA_FIELD_STRUCTURAL, err));
    omma_status bad = OMMA_OK;
    if (set_of_cell(&s, &w, l, y, x)) bad = omma_walk_add(&w, l->row->value, &s, err);
    else most = i = -1;
    for (; i >= 0 && !bad && !out->found && out->visits < most; i--) {
        bool here = false;
        for (int k = 0; k < g->nodes[i]->n_out; k++)
            here |= g->nodes[i]->out[k] && w.at[g->nodes[i]->out[k]->index];
        if (!here) continue;
        out->visits++;
        bad = step(a, &w, g->nodes[i], &live, out, err);
    }
    const bool early = out->found || out->visits >= most;
    if (!early && most >= 0 && !bad) bad = arrive(a, &w, out, err);
    out->cost = early ? (out->visits + EARLY - 1) / EARLY : out->visits;
    a->visits -= out->cost;
    a->soft |= w.met & OMMA_MET_SOFT;
    omma_walk_free(&w);
    return bad;
}

/* --- which cells ------------------------------------------------------------------------------ */

static const known *find_known(const layer *l, int64_t y, int64_t x) {
    for (int k = 0; k < l->n_cell; k++)
        if (l->cell[k].y == y && l->cell[k].x == x) return &l->cell[k];
    return NULL;
}

static void mark_whole(layer *l, int64_t y, int64_t x) {
    const int64_t c = y * l->row->x.cells + x;
    if (!omma_bits_get(l->whole, c, 1)) l->n_whole++;
    omma_bit_set(l->whole, c);
}

static omma_status ask_one(asking *a, layer *l, int64_t y, int64_t x, bool wanted,
                           omma_error *err) {
    answer it;
    if (l->n_cell == CHOSEN || a->visits <= 0 || find_known(l, y, x)) return OMMA_OK;
    OMMA_TRY(ask(a, &it, l, y, x, l->ends || wanted ? a->visits : BRIEFLY, err));
    if (it.cost > l->cost) l->cost = it.cost;
    if (it.visits > l->visits) l->visits = it.visits;
    if (!it.found) return OMMA_OK;
    l->cell[l->n_cell++] = (known){y, x, it.status, it.bits};
    if (it.status == OMMA_FOV_WHOLE) mark_whole(l, y, x);
    return OMMA_OK;
}

/* The middle, the corners, and what the report goes into. */
static omma_status ask_few(asking *a, layer *l, omma_error *err) {
    const int64_t h = l->row->y.cells, w = l->row->x.cells;
    const int64_t few[][2] = {{h / 2, w / 2}, {0, 0}, {0, w - 1}, {h - 1, 0}, {h - 1, w - 1}};
    for (int i = 0; i < a->j->n_unit; i++) {
        const omma_report_unit *u = &a->j->unit[i];
        if (u->what == OMMA_REPORT_CELL && u->part == l->part)
            OMMA_TRY(ask_one(a, l, u->y, u->x, true, err));
    }
    for (int i = 0; i < 5; i++) OMMA_TRY(ask_one(a, l, few[i][0], few[i][1], false, err));
    return OMMA_OK;
}

/* Does every cell see everything? *all is false when it does not, or is not known. */
static omma_status ask_whole(asking *a, layer *l, bool *all, omma_error *err) {
    const int64_t n = cells_of(l), columns = l->row->x.cells;
    *all = false;
    if (n > EVERY || l->n_whole < l->n_cell || !l->n_cell || l->cost * n > a->visits)
        return OMMA_OK;
    for (int64_t c = 0; c < n; c++) {
        answer it;
        if (omma_bits_get(l->whole, c, 1)) continue;
        OMMA_TRY(ask(a, &it, l, c / columns, c % columns, l->visits + BRIEFLY, err));
        if (!it.found || it.status != OMMA_FOV_WHOLE) return OMMA_OK;
        mark_whole(l, c / columns, c % columns);
    }
    *all = true;
    return OMMA_OK;
}

/* --- into the report ---------------------------------------------------------------------------
 */

static omma_status put(asking *a, const layer *l, int64_t y, int64_t x, omma_fov_status status,
                       const uint64_t *bits, omma_error *err) {
    const omma_report_unit u = {OMMA_REPORT_CELL, l->part, y, x, NULL};
    return omma_report_set(a->j->report, &u, bits, status, err);
}

/* Every cell of a small map that ends a block. */
static omma_status put_every(asking *a, const layer *l, bool *done, omma_error *err) {
    const int64_t n = cells_of(l), columns = l->row->x.cells;
    *done = l->ends && n <= EVERY_SET && l->cost * n <= a->visits;
    for (int64_t c = 0; c < n && *done; c++) {
        answer it;
        OMMA_TRY(ask(a, &it, l, c / columns, c % columns, l->visits * 2, err));
        if (it.found) OMMA_TRY(put(a, l, c / columns, c % columns, it.status, it.bits, err));
    }
    return OMMA_OK;
}

typedef struct counts {
    int every, few, none;
} counts;

static omma_status put_layer(asking *a, layer *l, counts *n, omma_error *err) {
    bool every;
    OMMA_TRY(ask_whole(a, l, &every, err));
    n->every += every;
    if (every) return put(a, l, -1, -1, OMMA_FOV_WHOLE, NULL, err);
    OMMA_TRY(put_every(a, l, &every, err));
    n->every += every;
    if (every) return OMMA_OK;
    if (!l->n_cell) n->none++;
    else n->few++;
    for (int k = 0; k < l->n_cell; k++)
        OMMA_TRY(put(a, l, l->cell[k].y, l->cell[k].x, l->cell[k].status, l->cell[k].bits, err));
    return OMMA_OK;
}

static omma_status tell(const asking *a, const counts *n, omma_error *err) {
    char text[512];
    int at = snprintf(text, sizeof text,
                      "In %d layers, behind attention and where paths meet, what a cell sees is no "
                      "product of rows and columns. Exact sets are here for every cell of %d of "
                      "them",
                      n->every + n->few + n->none, n->every);
    if (n->few)
        at += snprintf(text + at, sizeof text - (size_t)at,
                       ", for the middle, the corners and what was asked for of %d", n->few);
    if (n->none) at += snprintf(text + at, sizeof text - (size_t)at, ", for none of %d", n->none);
    at += snprintf(text + at, sizeof text - (size_t)at, "%s.%s",
                   n->few || n->none ? "; other cells have a bound" : "",
                   a->soft ? " Masks of large finite numbers count as blocking." : "");
    return omma_report_note(a->j->report, OMMA_REPORT_FIELD, text, err);
}

/* --- layers --------------------------------------------------------------------------------------
 */

/* A layer that joins two, as a residual addition does. */
static bool joins(const omma_field_row *r) {
    int n = 0;
    for (int i = 0; i < r->node->n_in; i++) n += r->node->in[i] && !r->node->in[i]->data;
    return n > 1 && (r->node->op->flags & OMMA_OP_ELEMENTWISE);
}

static omma_status find_layers(asking *a, omma_error *err) {
    const omma_look_job *j = a->j;
    const int values = a->fov->specialised.graph->n_values;
    int last = -1;
    a->of = omma_arena_array(&a->j->arena, (size_t)values + 1, sizeof *a->of);
    a->layer = omma_arena_array(&a->j->arena, (size_t)j->table.count + 1, sizeof *a->layer);
    if (!a->of || !a->layer) return no_memory(err);
    for (int i = 0; i < values; i++) a->of[i] = -1;
    for (int i = 0; i < j->table.count; i++) {
        const omma_field_row *r = &j->table.row[i];
        const int part = j->part[r->value->index];
        if (part <= last || !r->node) continue; /* it repeats a layer, or is none */
        last = part;
        if (!j->bound[r->value->index]) continue;
        layer *l = &a->layer[a->n];
        *l = (layer){.row = r, .part = part, .ends = r->stage || !a->n || joins(r)};
        l->whole = omma_arena_array(&a->j->arena, (size_t)omma_bit_words(cells_of(l)) + 1, 8);
        if (!l->whole) return no_memory(err);
        a->of[r->value->index] = a->n++;
    }
    return OMMA_OK;
}

omma_status omma_look_put_sets(omma_look_job *j, omma_error *err) {
    asking a = {.j = j, .fov = omma_sight_fov(j->sight), .image = j->table.image, .visits = VISITS};
    counts n = {0};
    a.down = j->table.down;
    if (j->table.across != a.down + 1) return OMMA_OK; /* pixels are no neighbours */
    a.pixels = a.image->dims[j->table.down] * a.image->dims[j->table.across];
    OMMA_TRY(find_layers(&a, err));
    for (int i = 0; i < a.n; i++) OMMA_TRY(ask_few(&a, &a.layer[i], err));
    for (int i = 0; i < a.n; i++) OMMA_TRY(put_layer(&a, &a.layer[i], &n, err));
    return a.n ? tell(&a, &n, err) : OMMA_OK;
}
