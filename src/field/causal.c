/* causal.c - see causal.h: runs of the graph of causal_net.h, and what they changed. */
#include "field/causal.h"

#include <math.h>
#include <string.h>

#include "field/causal_net.h"
#include "op/op.h"
#include "run/session.h"

/* A value that is compared. */
typedef struct kept {
    const omma_value *v;
    bool again; /* else it is as the sight has it */
    omma_tensor full;
} kept;

struct omma_causal {
    const omma_sight *sight;
    omma_budget budget;
    omma_arena arena;
    omma_causal_net net;
    omma_session *session;
    kept *kept;
    int n_kept;
    omma_tensor *full; /* by output */
};

static omma_status no_memory(omma_error *err) {
    return omma_fail(err, OMMA_E_NOMEM, "no memory for a run with tokens shut off");
}

/* --- the full run ------------------------------------------------------------------------------
 */

static omma_status watch(omma_causal *c, const omma_value *v, omma_error *err) {
    if (!v || (v->data && !v->is_input)) return OMMA_OK;
    const omma_value *there = omma_graph_find(c->net.graph, v->name);
    const bool again = there && there->producer;
    c->kept[c->n_kept++] = (kept){.v = v, .again = again};
    return again ? omma_session_watch(c->session, v->name, err) : OMMA_OK;
}

static omma_status watch_all(omma_causal *c, omma_error *err) {
    const omma_anatomy *all = omma_sight_anatomy(c->sight);
    const int n = all->n_attention + all->n_feed_forward + all->n_sampling + all->n_answer;
    c->kept = omma_arena_array(&c->arena, (size_t)n, sizeof *c->kept);
    c->full = omma_arena_array(&c->arena, (size_t)c->net.n_outputs, sizeof *c->full);
    if (!c->kept || !c->full) return no_memory(err);
    for (int i = 0; i < all->n_attention; i++) OMMA_TRY(watch(c, all->attention[i].out, err));
    for (int i = 0; i < all->n_feed_forward; i++) OMMA_TRY(watch(c, all->feed_forward[i].out, err));
    for (int i = 0; i < all->n_sampling; i++) OMMA_TRY(watch(c, all->sampling[i].out, err));
    for (int i = 0; i < all->n_answer; i++) OMMA_TRY(watch(c, all->answer[i].value, err));
    return OMMA_OK;
}

static omma_status copy(omma_causal *c, omma_tensor *to, const omma_tensor *from, omma_error *err) {
    if (!from) return OMMA_OK;
    const size_t bytes = (size_t)omma_tensor_count(from) * omma_dtype_size(from->dtype);
    void *data = omma_arena_alloc(&c->arena, bytes);
    if (!data) return no_memory(err);
    if (bytes) memcpy(data, from->data, bytes);
    *to = *from;
    to->data = data;
    return OMMA_OK;
}

static omma_status run_full(omma_causal *c, omma_error *err) {
    OMMA_TRY(omma_session_run(c->session, c->net.inputs, c->net.n_inputs, err));
    for (int i = 0; i < c->n_kept; i++)
        OMMA_TRY(copy(c, &c->kept[i].full, omma_causal_tensor(c, c->kept[i].v, false), err));
    for (int i = 0; i < c->net.n_outputs; i++)
        OMMA_TRY(copy(c, &c->full[i], omma_causal_output(c, i, false), err));
    return OMMA_OK;
}

static omma_status build(omma_causal *c, const omma_tensor *inputs, const omma_options *opt,
                         omma_error *err) {
    OMMA_TRY(omma_causal_net_make(&c->net, c->sight, inputs, opt, &c->arena, err));
    OMMA_TRY(
        omma_session_on_graph(&c->session, c->net.graph, omma_sight_fov(c->sight)->name, opt, err));
    OMMA_TRY(watch_all(c, err));
    return run_full(c, err);
}

omma_status omma_causal_new(omma_causal **out, const omma_sight *s, const omma_tensor *inputs,
                            const omma_options *opt, omma_error *err) {
    *out = NULL;
    omma_causal *c = omma_mem_alloc(sizeof *c);
    if (!c) return no_memory(err);
    c->sight = s;
    c->budget.limit = opt && opt->max_memory ? opt->max_memory : omma_memory_default();
    omma_arena_init(&c->arena, &c->budget);
    const omma_status bad = build(c, inputs, opt, err);
    if (bad) omma_causal_free(c);
    else *out = c;
    return bad;
}

void omma_causal_free(omma_causal *c) {
    if (!c) return;
    omma_session_free(c->session);
    omma_arena_free(&c->arena);
    omma_mem_free(c);
}

/* --- runs --------------------------------------------------------------------------------------
 */

omma_status omma_causal_shut(omma_causal *c, const omma_shut *what, int64_t *pairs,
                             omma_error *err) {
    int64_t met = 0;
    const omma_status s = omma_causal_net_shut(&c->net, c->sight, what, &met, err);
    if (pairs) *pairs = met;
    return s;
}

void omma_causal_clear(omma_causal *c) { omma_causal_net_clear(&c->net); }

bool omma_causal_can(const omma_causal *c, int attention) {
    return c->net.gate[attention].shut != NULL;
}

omma_status omma_causal_run(omma_causal *c, omma_error *err) {
    return omma_session_run(c->session, c->net.inputs, c->net.n_inputs, err);
}

const omma_tensor *omma_causal_output(const omma_causal *c, int i, bool full) {
    if (i < 0 || i >= c->net.n_outputs) return NULL;
    if (full) return c->full[i].data ? &c->full[i] : NULL;
    return c->net.output[i] < 0 ? c->net.early[i]
                                : omma_session_output(c->session, c->net.output[i]);
}

const omma_tensor *omma_causal_tensor(const omma_causal *c, const omma_value *v, bool full) {
    for (int i = 0; v && i < c->n_kept; i++) {
        const kept *k = &c->kept[i];
        if (k->v != v) continue;
        if (full) return k->full.data ? &k->full : NULL;
        return k->again ? omma_session_watched(c->session, v->name)
                        : omma_sight_tensor(c->sight, v);
    }
    return NULL;
}

/* --- changes -----------------------------------------------------------------------------------
 */

/* n numbers of a and b, at first + i * step. */
static omma_causal_change compare(const omma_tensor *a, const omma_tensor *b, int64_t first,
                                  int64_t step, int64_t n) {
    omma_causal_change c = {.at = first};
    double dot = 0, off = 0;
    for (int64_t i = 0, at = first; i < n; i++, at += step) {
        const double x = omma_get_number(a->dtype, a->data, at),
                     y = omma_get_number(b->dtype, b->data, at), d = fabs(y - x);
        c.full += x * x, c.now += y * y;
        dot += x * y, off += d * d;
        if (!(d <= c.largest)) c.largest = d, c.at = at;
    }
    c.full = sqrt(c.full), c.now = sqrt(c.now);
    c.change = c.full > 0 ? sqrt(off) / c.full : NAN;
    c.cosine = c.full > 0 && c.now > 0 ? dot / (c.full * c.now) : NAN;
    return c;
}

/* Both runs' numbers of a value whose tokens lie as t's do. */
static bool pair_of(const omma_causal *c, const omma_value *v, const omma_tokens *t,
                    const omma_tensor *pair[2]) {
    pair[0] = omma_causal_tensor(c, v, true), pair[1] = omma_causal_tensor(c, v, false);
    return pair[0] && pair[1] && v->rank == t->value->rank &&
           !memcmp(v->dims, t->value->dims, (size_t)v->rank * sizeof *v->dims);
}

bool omma_causal_token_change(omma_causal_change *out, const omma_causal *c, const omma_value *v,
                              const omma_tokens *t, int64_t token) {
    const omma_tensor *p[2];
    if (token < 0 || token >= t->count || !pair_of(c, v, t, p)) return false;
    *out = compare(p[0], p[1], token * t->step, t->step_width, t->width);
    return true;
}

bool omma_causal_moved(float *moved, const omma_causal *c, const omma_value *v,
                       const omma_tokens *t) {
    const omma_tensor *p[2];
    if (!pair_of(c, v, t, p)) return false;
    for (int64_t i = 0; i < t->count; i++)
        moved[i] = (float)compare(p[0], p[1], i * t->step, t->step_width, t->width).change;
    return true;
}

bool omma_causal_output_change(omma_causal_change *out, const omma_causal *c, int i) {
    const omma_tensor *a = omma_causal_output(c, i, true), *b = omma_causal_output(c, i, false);
    if (!a || !b || omma_tensor_count(a) != omma_tensor_count(b)) return false;
    *out = compare(a, b, 0, 1, omma_tensor_count(a));
    return true;
}
