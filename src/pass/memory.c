/* memory.c - one block for all values of a plan. Values that a view or an in-place
 * operator lets share bytes form one storage with a life from its first writer to its
 * last reader; storages are placed largest first at the lowest offset that no overlapping
 * life occupies. That search takes time by the square of their number: beyond the EXACT
 * largest, storages lie above the others in slots of powers of two. */
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "pass/pass.h"
#include "pass/passes.h"

enum { EXACT = 4096 };

typedef struct storage {
    size_t size, at;
    int first, last;      /* nodes, inclusive */
    struct storage *next; /* in a list of slots */
    bool placed_outside;  /* a constant or a caller's input */
    omma_place outside;
} storage;

typedef struct layout {
    const omma_graph *g;
    storage *s; /* values and working memory */
    int n;
    int *of;        /* value index -> storage, -1 none */
    int *last_read; /* value index -> last node that reads it */
    bool in_place;  /* outputs may lie where an input does */
    bool reuse;     /* storages may share bytes */
} layout;

static void find_last_reads(layout *l) {
    const omma_graph *g = l->g;
    for (int i = 0; i < g->n_values; i++) l->last_read[i] = -1;
    for (int i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i]->n_in; k++)
            if (g->nodes[i]->in[k]) l->last_read[g->nodes[i]->in[k]->index] = i;
    for (int i = 0; i < g->n_values; i++)
        if (g->values[i]->is_output || g->values[i]->kept) l->last_read[i] = g->n_nodes;
}

static bool stays(const omma_value *v) { return v->is_output || v->kept; }

/* Storage of its own for a value; false when its size overflows. */
static bool own(layout *l, const omma_value *v, int first) {
    size_t size;
    if (!omma_align_up(omma_value_bytes(v), 64, &size)) return false;
    l->of[v->index] = l->n;
    l->s[l->n++] = (storage){.size = size ? size : 64, .first = first, .last = first};
    return true;
}

static void outside(layout *l, const omma_value *v, omma_place_kind kind, size_t at) {
    l->of[v->index] = l->n;
    l->s[l->n++] = (storage){.placed_outside = true, .outside = {kind, at}};
}

static void live_until(layout *l, const omma_value *v) {
    storage *s = &l->s[l->of[v->index]];
    if (l->last_read[v->index] > s->last) s->last = l->last_read[v->index];
}

/* May the output share the bytes of input i of node n? */
static bool may_share(const layout *l, const omma_node *n, int i, bool view) {
    const omma_value *in = n->in[i], *out = n->out[0];
    int k = l->of[in->index];
    if (k < 0) return false;
    if (l->s[k].placed_outside)
        return view && !stays(out) && l->s[k].outside.kind == OMMA_PLACE_INPUT;
    if (view) return true;
    /* In place: this node must be the last reader of everything in the storage. All of that
     * is known by now: whoever joins the storage later reads, later, what is in it. */
    return in->dtype == out->dtype && omma_value_bytes(in) == omma_value_bytes(out) &&
           l->s[k].last == n->index && !stays(in);
}

/* Does another input of n lie in the storage of input i? */
static bool read_besides(const layout *l, const omma_node *n, int i) {
    for (int k = 0; k < n->n_in; k++)
        if (k != i && n->in[k] && l->of[n->in[k]->index] == l->of[n->in[i]->index]) return true;
    return false;
}

static bool place_output(layout *l, const omma_node *n) {
    const omma_value *out = n->out[0];
    const bool view = n->op->flags & OMMA_OP_VIEW, any = n->op->flags & OMMA_OP_ELEMENTWISE;
    int tries = !l->in_place ? 0 : view ? 1 : any || n->in_place ? n->n_in : 0;
    for (int i = 0; i < tries; i++) {
        if (!view && !any && !(i < 32 && n->in_place >> i & 1)) continue;
        if (!n->in[i] || n->in[i]->data || !may_share(l, n, i, view)) continue;
        if (!view && !any && read_besides(l, n, i)) continue;
        l->of[out->index] = l->of[n->in[i]->index];
        return true;
    }
    return own(l, out, n->index);
}

static bool assign(layout *l) {
    const omma_graph *g = l->g;
    for (int i = 0; i < g->n_values; i++) l->of[i] = -1;
    for (int i = 0; i < g->n_values; i++)
        if (g->values[i]->data && !g->values[i]->is_input)
            outside(l, g->values[i], OMMA_PLACE_CONSTANT, 0);
    for (int i = 0; i < g->n_inputs; i++) {
        omma_value *v = g->inputs[i];
        if (!stays(v)) outside(l, v, OMMA_PLACE_INPUT, (size_t)i);
        else if (!own(l, v, 0)) return false;
        live_until(l, v);
    }
    for (int i = 0; i < g->n_nodes; i++) {
        const omma_node *n = g->nodes[i];
        for (int k = 0; k < n->n_out; k++) {
            if (!n->out[k]) continue;
            if (k == 0 ? !place_output(l, n) : !own(l, n->out[k], i)) return false;
            live_until(l, n->out[k]);
        }
    }
    for (int i = 0; i < g->n_nodes; i++) {
        size_t size;
        if (!omma_align_up(g->nodes[i]->scratch, 64, &size)) return false;
        l->s[l->n++] = (storage){.size = size, .first = i, .last = i};
    }
    return true;
}

static int larger_first(const void *a, const void *b) {
    const storage *x = *(storage *const *)a, *y = *(storage *const *)b;
    if (x->size != y->size) return x->size < y->size ? 1 : -1;
    return x < y ? -1 : x > y;
}

/* Lowest offset for s beside the k storages placed before it (sorted by offset). */
static size_t lowest(const storage *s, storage *const *placed, int k) {
    size_t at = 0;
    for (int i = 0; i < k; i++) {
        const storage *p = placed[i];
        if (p->last < s->first || s->last < p->first) continue;
        if (p->at >= at + s->size) break;
        if (p->at + p->size > at) at = p->at + p->size;
    }
    return at;
}

static omma_status overflows(omma_error *err) {
    return omma_fail(err, OMMA_E_RANGE, "the memory of the plan overflows; use a smaller input");
}

static int earlier_first(const void *a, const void *b) {
    const storage *x = *(storage *const *)a, *y = *(storage *const *)b;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    return x < y ? -1 : x > y;
}

/* Slots for n storages from *bytes on, each used again after the life of what is in it. */
static omma_status slots(storage **s, int n, int n_nodes, omma_arena *tmp, size_t *bytes,
                         omma_error *err) {
    storage *idle[64] = {0}; /* by the logarithm of the slot's size */
    storage **ends = omma_arena_array(tmp, (size_t)n_nodes + 1, sizeof *ends);
    if (!ends) return omma_fail(err, OMMA_E_NOMEM, "no memory to plan memory");
    qsort(s, (size_t)n, sizeof *s, earlier_first);
    for (int i = 0, now = 0; i < n; i++) {
        for (; now < s[i]->first; now++)
            for (storage *e = ends[now], *next; e; e = next) {
                int c = 64 - __builtin_clzll(e->size - 1);
                next = e->next;
                e->next = idle[c];
                idle[c] = e;
            }
        int c = 64 - __builtin_clzll(s[i]->size - 1);
        storage *slot = idle[c];
        s[i]->at = slot ? slot->at : *bytes;
        if (slot) idle[c] = slot->next;
        else if (!omma_add(*bytes, (size_t)1 << c, bytes) || *bytes > (size_t)PTRDIFF_MAX)
            return overflows(err);
        s[i]->next = ends[s[i]->last];
        ends[s[i]->last] = s[i];
    }
    return OMMA_OK;
}

static omma_status pack(layout *l, omma_arena *tmp, size_t *bytes, omma_error *err) {
    storage **order = omma_arena_array(tmp, (size_t)l->n, sizeof *order);
    storage **placed = omma_arena_array(tmp, (size_t)l->n, sizeof *placed);
    if (!order || !placed) return omma_fail(err, OMMA_E_NOMEM, "no memory to plan memory");
    int n = 0, k = 0;
    for (int i = 0; i < l->n; i++)
        if (!l->s[i].placed_outside && l->s[i].size) order[n++] = &l->s[i];
    qsort(order, (size_t)n, sizeof *order, larger_first);
    for (int i = 0; i < n && !l->reuse; i++) order[i]->first = 0, order[i]->last = l->g->n_nodes;
    int exact = n < EXACT ? n : EXACT;
    for (int i = 0; i < exact; i++) {
        storage *s = order[i];
        s->at = lowest(s, placed, k);
        size_t end;
        if (!omma_add(s->at, s->size, &end) || end > (size_t)PTRDIFF_MAX) return overflows(err);
        if (end > *bytes) *bytes = end;
        int j = k++;
        for (; j > 0 && placed[j - 1]->at > s->at; j--) placed[j] = placed[j - 1];
        placed[j] = s;
    }
    return slots(order + exact, n - exact, l->g->n_nodes, tmp, bytes, err);
}

static omma_status lay_out(omma_layout *out, const omma_graph *g, omma_arena *arena,
                           omma_arena *tmp, omma_error *err) {
    size_t most = (size_t)g->n_values + (size_t)g->n_nodes;
    layout l = {.g = g, .in_place = omma_pass_on("in-place"), .reuse = omma_pass_on("reuse")};
    l.s = omma_arena_array(tmp, most, sizeof *l.s);
    l.of = omma_arena_array(tmp, (size_t)g->n_values, sizeof *l.of);
    l.last_read = omma_arena_array(tmp, (size_t)g->n_values, sizeof *l.last_read);
    out->value = omma_arena_array(arena, (size_t)g->n_values, sizeof *out->value);
    out->work = omma_arena_array(arena, (size_t)g->n_nodes, sizeof *out->work);
    if (!l.s || !l.of || !l.last_read || !out->value || !out->work)
        return omma_fail(err, OMMA_E_NOMEM, "no memory to plan memory");
    find_last_reads(&l);
    if (!assign(&l)) return overflows(err);
    out->bytes = 0;
    OMMA_TRY(pack(&l, tmp, &out->bytes, err));
    for (int i = 0; i < g->n_values; i++) {
        if (l.of[i] < 0) continue;
        const storage *s = &l.s[l.of[i]];
        out->value[i] = s->placed_outside ? s->outside : (omma_place){OMMA_PLACE_PLAN, s->at};
    }
    for (int i = 0; i < g->n_nodes; i++) out->work[i] = l.s[l.n - g->n_nodes + i].at;
    return OMMA_OK;
}

omma_status omma_pass_memory(omma_layout *out, const omma_graph *g, omma_arena *arena,
                             omma_error *err) {
    omma_arena tmp;
    omma_arena_init(&tmp, arena->budget);
    omma_status s = lay_out(out, g, arena, &tmp, err);
    omma_arena_free(&tmp);
    return s;
}
