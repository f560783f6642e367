/* reach.c - see reach.h. One walk from the image on: a relation's map along the axis at hand turns
 * the input's window into the output's, and windows that meet become their hull. */
#include "field/reach.h"

#include <math.h>
#include <string.h>

static int64_t behind(const int64_t *dims, int rank, int axis) {
    int64_t n = 1;
    for (int d = axis + 1; d < rank; d++) n *= dims[d];
    return n;
}

omma_digit omma_digit_see(omma_digit g, int rank_a, const int64_t *a, int rank_b,
                          const int64_t *b) {
    if (rank_a == rank_b && !memcmp(a, b, (size_t)rank_a * sizeof *a)) return g;
    const int64_t weight = behind(a, rank_a, g.axis) * g.div, length = a[g.axis];
    for (int d = 0; d < rank_b; d++) {
        const int64_t step = behind(b, rank_b, d);
        if (g.off && (b[d] != length || step != behind(a, rank_a, g.axis))) continue;
        if (weight % step || weight >= step * b[d] || b[d] % (weight / step * g.mod)) continue;
        if (b[d] == 1 && g.mod == 1 && length != 1) continue;
        if (!g.off) return (omma_digit){d, 0, weight / step, g.mod};
        return (omma_digit){d, g.off, g.div, g.mod};
    }
    return (omma_digit){.axis = -1};
}

static bool plain(omma_digit g, const int64_t *dims) {
    return g.off == 0 && g.div == 1 && g.mod == dims[g.axis];
}

/* y sees everything that x's cells see along this axis, or an unknown choice of it. */
static omma_reach unordered(const omma_reach *x, bool all) {
    return (omma_reach){.any = true,
                        .whole = all || x->whole,
                        .odd = !all,
                        .digit.axis = -1,
                        .least = x->least,
                        .most = all || x->whole ? INFINITY : x->most,
                        .astray = x->astray};
}

/* The window behind an affine map or a list that is nearly one: y's index o to x's indices. */
static bool window_of(const omma_map *m, double *slope, double *low, double *high) {
    if (m->item) {
        *slope = m->slope, *low = m->low, *high = m->high;
        return m->slope > 0;
    }
    const double first = (double)m->first,
                 last = first + (double)(m->count - 1) * (double)m->dilation;
    *slope = (double)m->stride / (double)m->div;
    *low = first - (m->div > 1 ? *slope * (double)(m->div - 1) : 0);
    *high = last;
    return m->count > 0;
}

static omma_reach behind_map(const omma_reach *x, const omma_map *m) {
    double slope, low, high;
    omma_reach y = *x;
    if (!window_of(m, &slope, &low, &high) || slope == 0) return unordered(x, false);
    const double wider = x->stride * (high - low);
    y.stride = x->stride * slope;
    y.low = x->low + x->stride * low;
    y.high = x->high + x->stride * high;
    y.least += fabs(wider);
    y.most += fabs(wider);
    y.part = 0;
    return y;
}

/* How many cells of the output a shift by `first` brings cells to, of ins and outs; 0: all. */
static int64_t part_of(int64_t first, int64_t ins, int64_t outs) {
    const int64_t from = first < 0 ? -first : 0, to = ins - first < outs ? ins - first : outs;
    return to - from < outs ? to - from : 0;
}

omma_step omma_digit_along(const omma_relation *r, const omma_value *in, const omma_value *out,
                           omma_digit g, omma_digit *to, const omma_map **map) {
    to->axis = -1;
    g = omma_digit_see(g, in->rank, in->dims, r->in_rank, r->in_dims);
    if (g.axis < 0) return OMMA_STEP_LOST;
    const omma_map *m = *map = &r->axis[g.axis];
    if (m->from < 0) return OMMA_STEP_ALL;
    omma_step step = OMMA_STEP_LOST;
    if (plain(g, r->in_dims)) {
        step = OMMA_STEP_MAP;
        g = (omma_digit){m->from, 0, 1, r->out_dims[m->from]};
    } else if (!m->item && m->stride == 1 && m->div == 1 && m->count == 1) {
        step = OMMA_STEP_SAME;
        g = (omma_digit){m->from, g.off - m->first, g.div, g.mod};
    }
    if (step != OMMA_STEP_LOST)
        *to = omma_digit_see(g, r->out_rank, r->out_dims, out->rank, out->dims);
    return to->axis < 0 ? OMMA_STEP_LOST : step;
}

/* Along one relation; false: nothing of the image comes this way. */
static bool along(const omma_reach *x, const omma_relation *r, const omma_value *in,
                  const omma_value *out, omma_reach *y) {
    omma_digit to = {.axis = -1};
    const omma_map *map = NULL;
    omma_step step = OMMA_STEP_LOST;
    if (!x->any) return false;
    if (x->digit.axis >= 0) step = omma_digit_along(r, in, out, x->digit, &to, &map);
    if (step == OMMA_STEP_SAME) *y = *x;
    else if (step == OMMA_STEP_MAP) *y = behind_map(x, map);
    else *y = unordered(x, step == OMMA_STEP_ALL);
    if (y->digit.axis >= 0) y->digit = to;
    if (step == OMMA_STEP_MAP && !map->item && map->count == 1 && map->stride == 1 && map->div == 1)
        y->part = part_of(map->first, x->digit.mod, to.mod);
    y->whole |= x->whole;
    y->odd |= x->odd;
    return true;
}

static bool same_digit(omma_digit a, omma_digit b) {
    return a.axis == b.axis && a.off == b.off && a.div == b.div && a.mod == b.mod;
}

/* Two windows on the same cells become their hull. */
static void hull(omma_reach *y, const omma_reach *z) {
    y->astray = fmax(y->astray, fabs(y->low + y->high - z->low - z->high) / 2);
    y->low = fmin(y->low, z->low);
    y->high = fmax(y->high, z->high);
}

static void take_window(omma_reach *y, const omma_reach *z) {
    y->digit = z->digit;
    y->stride = z->stride, y->low = z->low, y->high = z->high;
    y->part = z->part;
}

static void meet(omma_reach *y, const omma_reach *z) {
    if (!y->any) {
        *y = *z;
        return;
    }
    const bool one = y->digit.axis >= 0, two = z->digit.axis >= 0;
    const bool fit = one && two && same_digit(y->digit, z->digit) &&
                     fabs(y->stride - z->stride) <= 1e-9 * fabs(y->stride);
    const bool same = fit && y->low == z->low && y->high == z->high;
    y->whole |= z->whole;
    y->odd |= z->odd || (one && two && !fit);
    y->least = fmin(y->least, z->least);
    y->most = fmax(y->most, z->most);
    y->astray = fmax(y->astray, z->astray);
    if (same && y->part && z->part) y->part = 0;
    else if (fit && !same && (y->part || z->part)) { /* pieces that were joined: a roll */
        y->odd = true;
        if (z->part > y->part && y->part) take_window(y, z);
    } else if (fit) hull(y, z);
    else if (!one && two) take_window(y, z);
}

omma_reach *omma_reaches(const omma_fields *f, const omma_value *image, int axis, unsigned paths,
                         omma_arena *arena) {
    omma_reach *at = omma_arena_array(arena, (size_t)f->g->n_values, sizeof *at);
    if (!at) return NULL;
    at[image->index] = (omma_reach){
        .any = true, .digit = {axis, 0, 1, image->dims[axis]}, .stride = 1, .least = 1, .most = 1};
    for (int i = 0; i < f->g->n_nodes; i++) {
        const omma_node *n = f->g->nodes[i];
        for (int k = 0; k < f->node[i].count; k++) {
            const omma_relation *r = f->node[i].relation[k];
            const omma_value *x = n->in[r->in], *y = n->out[r->out];
            omma_reach z;
            if (paths >> r->path & 1 && along(&at[x->index], r, x, y, &z)) meet(&at[y->index], &z);
        }
    }
    return at;
}
