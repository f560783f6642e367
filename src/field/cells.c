/* cells.c - see cells.h. The union of two products is one if each line of one holds the other's,
 * or if they differ in rows or in columns only; otherwise the product of the unions is kept, and
 * is marked as a bound. */
#include "field/cells.h"

#include <string.h>

#include "field/taps.h"

static bool lines_new(omma_lines *l, int64_t cells, int64_t length, omma_arena *arena) {
    l->cells = cells;
    l->words = omma_bit_words(length);
    l->bits = omma_arena_array(arena, (size_t)(cells * l->words) + 1, sizeof *l->bits);
    return l->bits != NULL;
}

static void line_or(omma_lines *y, int64_t to, const omma_lines *x, int64_t from) {
    for (int64_t w = 0; w < x->words; w++)
        y->bits[to * y->words + w] |= x->bits[from * x->words + w];
}

/* Every line of y sees what any of x's lines does. */
static void collapse(omma_lines *y, const omma_lines *x) {
    for (int64_t i = 0; i < x->cells; i++) line_or(y, 0, x, i);
}

static void carry(omma_lines *y, const omma_lines *x, const omma_map *m) {
    for (int64_t o = 0; o < y->cells; o++) {
        const omma_taps taps = omma_taps_of(m, o, x->cells);
        for (int64_t t = taps.begin; t < taps.end; t++) {
            const int64_t i = omma_tap(m, &taps, t);
            if (i >= 0 && i < x->cells) line_or(y, o, x, i);
        }
    }
}

/* What y, a fresh value, sees of x through r; *lost: the cells are not counted by an axis of y. */
static bool along(omma_lines *y, const omma_lines *x, const omma_relation *r, const omma_value *in,
                  const omma_value *out, bool *lost, omma_arena *arena) {
    const omma_map *map = NULL;
    omma_step step = OMMA_STEP_ALL;
    y->digit.axis = -1;
    if (x->digit.axis >= 0) step = omma_digit_along(r, in, out, x->digit, &y->digit, &map);
    *lost = step == OMMA_STEP_LOST;
    const int64_t cells = y->digit.axis < 0 ? 1 : y->digit.mod;
    if (step == OMMA_STEP_SAME && cells == x->cells) {
        y->cells = x->cells, y->words = x->words, y->bits = x->bits;
        return true;
    }
    if (!lines_new(y, cells, x->words * 64, arena)) return false;
    if (step == OMMA_STEP_MAP) carry(y, x, map);
    else collapse(y, x);
    return true;
}

static bool same_digit(omma_digit a, omma_digit b) {
    return a.axis == b.axis && (a.axis < 0 || (a.off == b.off && a.div == b.div && a.mod == b.mod));
}

/* y with as many lines as the digit has, each the same, if it has but one. */
static bool spread(omma_lines *y, const omma_lines *like, omma_arena *arena) {
    if (y->cells == like->cells || y->cells != 1) return true;
    const omma_lines one = *y;
    y->digit = like->digit;
    if (!lines_new(y, like->cells, one.words * 64, arena)) return false;
    for (int64_t i = 0; i < y->cells; i++) line_or(y, i, &one, 0);
    return true;
}

static bool holds(const omma_lines *a, const omma_lines *b) {
    for (int64_t i = 0; i < a->cells * a->words; i++)
        if (b->bits[i] & ~a->bits[i]) return false;
    return true;
}

static bool unite(omma_lines *a, const omma_lines *b, omma_arena *arena) {
    omma_lines y = *a;
    if (holds(a, b)) return true;
    if (!lines_new(&y, a->cells, a->words * 64, arena)) return false;
    for (int64_t i = 0; i < a->cells * a->words; i++) y.bits[i] = a->bits[i] | b->bits[i];
    *a = y;
    return true;
}

/* Lines that two axes count both: all of each. */
static bool agree(omma_lines *a, omma_lines *b, bool *bound, omma_arena *arena) {
    if (same_digit(a->digit, b->digit) && a->cells == b->cells) return true;
    if (a->cells == 1 || b->cells == 1) return spread(a, b, arena) && spread(b, a, arena);
    omma_lines one = {.digit.axis = -1}, two = one;
    *bound = true;
    if (!lines_new(&one, 1, a->words * 64, arena) || !lines_new(&two, 1, a->words * 64, arena))
        return false;
    collapse(&one, a);
    collapse(&two, b);
    *a = one, *b = two;
    return true;
}

static bool meet(omma_cell_field *y, omma_cell_field *z, omma_arena *arena) {
    const bool bound = y->bound || z->bound, mixed = y->mixed || z->mixed;
    bool apart = false;
    if (!y->rows.bits) {
        *y = *z;
        return true;
    }
    if (!agree(&y->rows, &z->rows, &apart, arena) ||
        !agree(&y->columns, &z->columns, &apart, arena))
        return false;
    const bool rows_in = holds(&y->rows, &z->rows), rows_over = holds(&z->rows, &y->rows);
    const bool columns_in = holds(&y->columns, &z->columns),
               columns_over = holds(&z->columns, &y->columns);
    const bool nested = (rows_in && columns_in) || (rows_over && columns_over);
    const bool equal = rows_in && rows_over && columns_in && columns_over;
    const bool line = (rows_in && rows_over) || (columns_in && columns_over);
    y->bound = bound || apart || (!nested && !line);
    y->mixed = mixed || !equal;
    return unite(&y->rows, &z->rows, arena) && unite(&y->columns, &z->columns, arena);
}

/* Do the outputs along the axis that m goes out on read all of input axis d? A part of a
 * concatenation does, wherever it lies in the result. */
static bool reads_all(const omma_map *m, const omma_relation *r, int d) {
    return m->stride == 1 && m->div == 1 && (m->count == 1 || m->dilation == 1) && m->first <= 0 &&
           m->first + r->out_dims[m->from] - 1 + m->count - 1 >= r->in_dims[d] - 1;
}

/* Does r read all channels of each cell it reads? Of a mixed value the others may see more. */
static bool takes_part(const omma_relation *r, const omma_cell_field *x) {
    if (r->in_only || r->out_only) return true;
    for (int d = 0; d < r->in_rank; d++) {
        const omma_map *m = &r->axis[d];
        if (d == x->rows.digit.axis || d == x->columns.digit.axis) continue;
        if (m->item || (m->from < 0 ? m->count < r->in_dims[d] : !reads_all(m, r, d))) return true;
    }
    return false;
}

static bool reach_node(const omma_fields *f, const omma_node *n, const omma_relation *r,
                       omma_cell_field *at, omma_arena *arena) {
    const omma_value *x = n->in[r->in], *y = n->out[r->out];
    const omma_cell_field *from = &at[x->index];
    bool lost_rows, lost_columns;
    omma_cell_field z = {.mixed = from->mixed, .bound = from->bound || r->bound};
    (void)f;
    if (!from->rows.bits) return true;
    if (!along(&z.rows, &from->rows, r, x, y, &lost_rows, arena) ||
        !along(&z.columns, &from->columns, r, x, y, &lost_columns, arena))
        return false;
    z.bound |= lost_rows || lost_columns || (from->mixed && takes_part(r, from));
    return meet(&at[y->index], &z, arena);
}

omma_cell_field *omma_cells(const omma_fields *f, const omma_value *image, int down, int across,
                            unsigned paths, omma_arena *arena) {
    omma_cell_field *at = omma_arena_array(arena, (size_t)f->g->n_values, sizeof *at);
    if (!at) return NULL;
    omma_lines *line[] = {&at[image->index].rows, &at[image->index].columns};
    const int axis[] = {down, across};
    for (int i = 0; i < 2; i++) {
        const int64_t n = image->dims[axis[i]];
        line[i]->digit = (omma_digit){axis[i], 0, 1, n};
        if (!lines_new(line[i], n, n, arena)) return NULL;
        for (int64_t k = 0; k < n; k++) omma_bit_set(line[i]->bits + k * line[i]->words, k);
    }
    for (int i = 0; i < f->g->n_nodes; i++) {
        const struct omma_node_field *nf = &f->node[i];
        for (int k = 0; k < nf->count; k++)
            if (paths >> nf->relation[k]->path & 1 &&
                !reach_node(f, f->g->nodes[i], nf->relation[k], at, arena))
                return NULL;
    }
    return at;
}
