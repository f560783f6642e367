/* anatomy_places.c - a sequence of tokens in its value, and the places of its tokens in the
 * picture: digits of their number, where the reach (reach.h) of the value's numbers is known along
 * both axes of the picture. A residual stream keeps them through attention, windowed or not. See
 * anatomist.h. */
#include "field/anatomist.h"

int omma_batch_axis(const omma_anatomist *s, const omma_value *v) {
    if (s->pictures < 2 || !s->batch || !s->batch[v->index].any) return -1;
    const omma_digit g = s->batch[v->index].digit;
    const bool plain = g.axis >= 0 && !g.off && g.div == 1 && g.mod == v->dims[g.axis];
    return plain && g.mod == s->pictures ? g.axis : -1;
}

static int64_t step_of(const omma_value *v, int axis) {
    return omma_digit_step(v, &(omma_digit){axis, 0, 1, v->dims[axis]});
}

/* The axis of the channels: the one that is left; -1: there are several. */
static int width_axis(const omma_value *v, unsigned axes, int batch) {
    int found = -1;
    for (int d = 0; d < v->rank; d++) {
        if (axes >> d & 1 || d == batch || v->dims[d] == 1) continue;
        if (found >= 0) return -1;
        found = d;
    }
    for (int d = v->rank - 1; d >= 0 && found < 0; d--)
        if (!(axes >> d & 1) && d != batch) found = d;
    return found;
}

/* The axes from the first to the last of the bits; 0: others of more than one place lie between. */
static int span(const omma_value *v, unsigned axes, int *first) {
    *first = __builtin_ctz(axes);
    const int last = 31 - __builtin_clz(axes);
    for (int d = *first; d <= last; d++)
        if (!(axes >> d & 1) && v->dims[d] > 1) return 0;
    return last - *first + 1;
}

/* --- places ---------------------------------------------------------------------------------- */

/* Where cells are in a value: digits of numbers that axes [axis, axis + axes) count together. */
typedef struct grid {
    omma_digit rows, columns;
    const omma_reach *y, *x; /* NULL: there is one row (column) */
} grid;

/* A digit of one axis as one of the number; false: it is none. */
static bool of_number(const omma_value *v, int axis, int axes, omma_digit *g) {
    int64_t behind = 1, all = 1;
    if (g->axis < axis || g->axis >= axis + axes) return false;
    for (int d = axis; d < axis + axes; d++) {
        all *= v->dims[d];
        if (d > g->axis) behind *= v->dims[d];
    }
    if (g->off && behind * v->dims[g->axis] != all) return false;
    *g = (omma_digit){axis, g->off * behind, g->div * behind, g->mod};
    return true;
}

/* The other digit of cells that all lie in one row (column). */
static omma_digit one_line(const omma_digit *g) {
    return (omma_digit){g->axis, g->off, g->div * g->mod, 1};
}

/* The cells that these axes of v, of `count` numbers, count; false: they count none. */
static bool grid_of(const omma_anatomist *s, grid *g, const omma_value *v, int axis, int axes,
                    int64_t count) {
    const omma_reach *y = &s->rows[v->index], *x = &s->columns[v->index];
    *g = (grid){.rows = y->digit, .columns = x->digit};
    if (y->any && y->digit.axis >= 0 && y->digit.mod > 1 && of_number(v, axis, axes, &g->rows))
        g->y = y;
    if (x->any && x->digit.axis >= 0 && x->digit.mod > 1 && of_number(v, axis, axes, &g->columns))
        g->x = x;
    if (!g->x && !g->y) return false;
    if (!g->y) g->rows = one_line(&g->columns);
    if (!g->x) g->columns = one_line(&g->rows);
    const omma_digit *low = g->rows.div < g->columns.div ? &g->rows : &g->columns,
                     *high = low == &g->rows ? &g->columns : &g->rows;
    const int64_t end = low->off + low->mod * high->mod;
    return low->off == high->off && low->div == 1 && high->div == low->mod &&
           (g->x && g->y ? end <= count : end == count);
}

static double centre(const omma_reach *r, int64_t length) {
    return r ? omma_reach_centre(r, 0) : (double)(length - 1) / 2;
}

static void put_grid(const omma_anatomist *s, omma_tokens *t, const grid *g) {
    t->placed = true;
    t->rows = g->rows, t->columns = g->columns;
    t->jump_y = g->y ? g->y->stride : 0;
    t->jump_x = g->x ? g->x->stride : 0;
    t->first_y = centre(g->y, s->image->dims[s->down]);
    t->first_x = centre(g->x, s->image->dims[s->across]);
}

bool omma_tokens_of(const omma_anatomist *s, omma_tokens *t, const omma_value *v, unsigned axes,
                    int batch) {
    const int width = width_axis(v, axes, batch);
    grid g;
    *t = (omma_tokens){.value = v, .count = 1, .axes = 1, .batch = 1};
    t->rows.axis = t->columns.axis = -1;
    for (int d = 0; d < v->rank; d++)
        if (axes >> d & 1) t->count *= v->dims[d];
    if (width >= 0) t->width = v->dims[width], t->step_width = step_of(v, width);
    if (batch >= 0) t->batch = v->dims[batch], t->step_batch = step_of(v, batch);
    if (!axes) {
        t->axis = width > 0 ? width - 1 : 0;
        return true;
    }
    t->axes = span(v, axes, &t->axis);
    if (!t->axes) return false;
    t->step = step_of(v, t->axis + t->axes - 1);
    if (!s->image || !grid_of(s, &g, v, t->axis, t->axes, t->count)) return true;
    put_grid(s, t, &g);
    t->special = g.rows.off;
    t->behind = t->count - g.rows.off - g.rows.mod * g.columns.mod;
    return true;
}

bool omma_tokens_place(const omma_tokens *t, int64_t token, double *y, double *x) {
    if (!t->placed || token < 0 || token >= t->count) return false;
    const int64_t i = t->place ? t->place[token] : token - t->rows.off;
    if (i < 0 || i >= t->rows.mod * t->columns.mod) return false;
    *y = t->first_y + t->jump_y * (double)(i / t->rows.div % t->rows.mod);
    *x = t->first_x + t->jump_x * (double)(i / t->columns.div % t->columns.mod);
    return true;
}

/* --- places that were lost on the way -------------------------------------------------------- */

/* The axes of v that count its cells, and these; false: v has no rows and columns. */
static bool cells_of(const omma_anatomist *s, const omma_value *v, grid *g, int *axis, int *axes) {
    const int r = s->rows[v->index].digit.axis, c = s->columns[v->index].digit.axis;
    if (!s->rows[v->index].any || !s->columns[v->index].any || r < 0 || c < 0) return false;
    *axis = r < c ? r : c;
    *axes = (r < c ? c : r) - *axis + 1;
    int64_t count = 1;
    for (int d = *axis; d < *axis + *axes; d++) count *= v->dims[d];
    return *axes <= 2 && grid_of(s, g, v, *axis, *axes, count) && g->x && g->y;
}

/* The place of each token by the traces of the axes of `from`; false: no memory. *fine: any has. */
static bool read_places(omma_anatomist *s, omma_tokens *t, const grid *g, const omma_value *from,
                        int axis, int axes, omma_traced traced[2][2], bool *fine) {
    int32_t *place = omma_arena_array(s->keep, (size_t)t->count + 1, sizeof *place);
    if (!place) return false;
    for (int64_t k = 0; k < t->count; k++) {
        int64_t number = 0;
        for (int d = 0; d < axes; d++) {
            const int32_t at = traced[d][0].index[k * t->step];
            number = at < 0 || number < 0 ? -1 : number * from->dims[axis + d] + at;
        }
        number -= g->rows.off;
        place[k] = number < 0 || number >= g->rows.mod * g->columns.mod ? -1 : (int32_t)number;
        *fine |= place[k] >= 0;
    }
    t->place = place;
    return true;
}

/* Trace the axes of `from` to t's value along the nodes that are marked. */
static omma_status trace_places(omma_anatomist *s, omma_tokens *t, const omma_value *from,
                                const bool *chain, const grid *g, int axis, int axes, bool *fine) {
    omma_traced traced[2][2];
    omma_trace r;
    omma_status bad = omma_trace_begin(&r, s, from, &t->value, 1);
    bool known = true;
    for (int i = 0; i < s->g->n_nodes && !bad; i++) r.on[i] &= chain[i];
    for (int d = 0; d < axes && !bad && known; d++) {
        bad = omma_trace_axis(&r, axis + d, traced[d]);
        known = !bad && traced[d][0].index;
    }
    if (!bad && known && !read_places(s, t, g, from, axis, axes, traced, fine))
        bad = omma_anatomist_nomem(s);
    omma_trace_free(&r);
    return bad;
}

omma_status omma_tokens_follow(omma_anatomist *s, omma_tokens *t) {
    if (!s->image || t->placed || t->count < 2 || !t->step) return OMMA_OK;
    omma_arena tmp;
    omma_status bad = OMMA_OK;
    omma_arena_init(&tmp, s->tmp.budget);
    bool *chain = omma_arena_array(&tmp, (size_t)s->g->n_nodes + 1, sizeof *chain), fine = false;
    if (!chain) bad = omma_anatomist_nomem(s);
    for (const omma_value *v = t->value; v && v->producer && s->depends[v->index] && !bad;) {
        int axis, axes;
        grid g;
        chain[v->producer->index] = true;
        v = s->skip_of[v->index] ? s->skip_of[v->index] : omma_value_before(s, v);
        if (!v || !cells_of(s, v, &g, &axis, &axes)) continue;
        if (g.rows.mod * g.columns.mod <= t->count)
            bad = trace_places(s, t, v, chain, &g, axis, axes, &fine);
        g.rows.off = g.columns.off = 0; /* of places, not of tokens */
        g.rows.axis = g.columns.axis = t->axis;
        if (fine) put_grid(s, t, &g);
        else t->place = NULL;
        break;
    }
    omma_arena_free(&tmp);
    return bad;
}
