/* anatomy_trace.c - which index of an axis each element of another value is made from, found by
 * walks of sets: for every bit of the index one of the places that have it and one of those that
 * have not. An element that both reach, for any bit, is made from several places. So it holds
 * through whatever a graph does between the two values, windows that are rolled and padded, heads
 * that are folded and cut, as long as it is done one place at a time. See anatomist.h. */
#include <string.h>

#include "field/anatomist.h"

omma_status omma_trace_begin(omma_trace *t, omma_anatomist *s, const omma_value *from,
                             const omma_value *const *to, int n) {
    *t = (omma_trace){.s = s, .from = from, .n = n};
    omma_arena_init(&t->arena, s->tmp.budget);
    t->on = omma_arena_array(&t->arena, (size_t)s->g->n_nodes + 1, sizeof *t->on);
    if (!t->on) return omma_anatomist_nomem(s);
    for (int k = 0; k < n; k++) {
        bool leads;
        t->to[k] = to[k];
        const bool *on = omma_nodes_between(s, &t->arena, from, to[k], &leads);
        if (!on) return omma_anatomist_nomem(s);
        for (int i = 0; i < s->g->n_nodes; i++) t->on[i] |= on[i];
    }
    return OMMA_OK;
}

void omma_trace_free(omma_trace *t) { omma_arena_free(&t->arena); }

/* Walk forth from the places of the axis whose bit is set. The walk is the caller's to free. */
static omma_status walk(omma_walk *w, const omma_trace *t, int axis, const uint64_t *places) {
    const omma_graph *g = t->s->g;
    omma_set set = omma_set_all(t->from->rank, t->from->dims);
    OMMA_TRY(omma_walk_begin(w, &t->s->f->fields, OMMA_FIELD_CONTENT, t->s->err));
    set.part[axis].bits = places;
    OMMA_TRY(omma_walk_add(w, t->from, &set, t->s->err));
    for (int i = 0; i < g->n_nodes; i++)
        if (t->on[i]) OMMA_TRY(omma_walk_node(w, g->nodes[i], false, t->s->err));
    return OMMA_OK;
}

/* What a walk found of target k as bits of arena; NULL: no memory. */
static const uint64_t *found(const omma_trace *t, omma_walk *w, int k) {
    const omma_value *v = t->to[k];
    const size_t words = (size_t)omma_bit_words(omma_value_count(v));
    uint64_t *bits = omma_arena_array(&w->arena, words + 1, sizeof *bits);
    if (!bits || !w->at[v->index]) return bits;
    return omma_set_to_bits(&w->arena, w->at[v->index], bits) ? bits : NULL;
}

typedef struct target {
    int32_t *index;
    bool mixed, any;
} target;

/* An element of zero is not made from a place without the bit, one of one from a place with it. */
static void note(target *y, int64_t n, int bit, const uint64_t *zero, const uint64_t *one) {
    for (int64_t i = 0; i < n && !y->mixed; i++) {
        const bool z = omma_bit(zero, i), o = omma_bit(one, i);
        y->mixed = z && o;
        y->any |= z || o;
        if (!z && !o) y->index[i] = -1;
        else if (o && y->index[i] >= 0) y->index[i] |= (int32_t)1 << bit;
    }
}

static omma_status trace_bit(omma_trace *t, int axis, int bit, uint64_t *places[2], target y[2]) {
    omma_walk w[2] = {{0}, {0}};
    omma_status s = OMMA_OK;
    for (int64_t i = 0; i < t->from->dims[axis]; i++) omma_bit_set(places[i >> bit & 1], i);
    for (int b = 0; b < 2 && !s; b++) s = walk(&w[b], t, axis, places[b]);
    for (int k = 0; k < t->n && !s; k++) {
        const uint64_t *zero = found(t, &w[0], k), *one = found(t, &w[1], k);
        if (!zero || !one) s = omma_anatomist_nomem(t->s);
        else note(&y[k], omma_value_count(t->to[k]), bit, zero, one);
    }
    for (int b = 0; b < 2; b++) omma_walk_free(&w[b]);
    return s;
}

omma_status omma_trace_axis(omma_trace *t, int axis, omma_traced out[2]) {
    const int64_t length = t->from->dims[axis];
    const size_t words = (size_t)omma_bit_words(length);
    target y[2] = {{0}, {0}};
    bool all = false;
    for (int k = 0; k < t->n; k++) {
        const size_t n = (size_t)omma_value_count(t->to[k]);
        y[k].index = omma_arena_array(&t->arena, n + 1, sizeof *y[k].index);
        if (!y[k].index || length > INT32_MAX / 2) return omma_anatomist_nomem(t->s);
    }
    for (int bit = 0; !all && (bit == 0 || length > (int64_t)1 << bit); bit++) {
        uint64_t *places[2];
        for (int b = 0; b < 2; b++) {
            places[b] = omma_arena_array(&t->arena, words + 1, sizeof **places);
            if (!places[b]) return omma_anatomist_nomem(t->s);
        }
        OMMA_TRY(trace_bit(t, axis, bit, places, y));
        all = true;
        for (int k = 0; k < t->n; k++) all &= y[k].mixed;
    }
    for (int k = 0; k < t->n; k++)
        out[k] = (omma_traced){y[k].mixed || !y[k].any ? NULL : y[k].index, y[k].any};
    return OMMA_OK;
}

/* Do the places of the axis reach all of the target? */
static omma_status reach_all(const omma_trace *t, int axis, const uint64_t *places, bool *all) {
    omma_walk w = {0};
    const omma_status s = walk(&w, t, axis, places);
    const omma_set *set = s ? NULL : w.at[t->to[0]->index];
    *all = set && omma_set_is_all(set);
    omma_walk_free(&w);
    return s;
}

omma_status omma_trace_local(omma_trace *t, int axis, bool *local) {
    const size_t words = (size_t)omma_bit_words(t->from->dims[axis]);
    uint64_t *first = omma_arena_array(&t->arena, words + 1, sizeof *first);
    bool all, one;
    if (!first) return omma_anatomist_nomem(t->s);
    omma_bit_set(first, 0);
    OMMA_TRY(reach_all(t, axis, NULL, &all));
    OMMA_TRY(reach_all(t, axis, first, &one));
    *local = all && !one;
    return OMMA_OK;
}
