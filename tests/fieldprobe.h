/* fieldprobe.h - is everything that influences a unit in its set? A graph is opened in all its
 * readings, and units, elements of values inside it, are probed:
 *
 *     probe p = {.g = graph, .what = "name", .in = inputs, .n_in = 1, .unit = names, .n = 2};
 *     if (probe_open(&p)) ...p.err...                      // the run or a reading says no
 *     probe_pick(&p, 0, at);                               // an element of unit 0, or a few
 *     probe_unit(&p, 0, at, &(probe_how){.trials = 3});    // fails the test
 *     probe_close(&p);
 *
 * A gradient that is not zero must lie in the set of the shape, in that of the numbers at hand,
 * and, where nothing differentiable says where to read, in that without control paths. Elements of
 * the inputs outside the set of the shape may be anything: the unit keeps its bits. Forth is back
 * the other way around. Inputs of whole numbers are left as they are. There is no tolerance. Past a
 * soft mask (of -100, say) all of this is asked of the set without such masks; what they leave over
 * is next to nothing. */
#ifndef OMMA_TESTS_FIELDPROBE_H
#define OMMA_TESTS_FIELDPROBE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#include "dice.h"
#include "field/fov.h"
#include "op/op.h"
#include "run/gradient.h"
#include "run/session.h"

enum { PROBE_IN = 24, PROBE_UNITS = 8 };

typedef struct probe {
    const omma_graph *g;
    const char *what;      /* for messages */
    const omma_tensor *in; /* in the graph's order, with numbers */
    int n_in;
    const char *const *unit;
    int n;
    /* what probe_open makes */
    bool ran; /* what went wrong, if something did, is a reading's fault */
    omma_arena arena;
    omma_tensor moved[PROBE_IN];               /* other numbers */
    const char *by[PROBE_IN];                  /* names of the floating inputs */
    int by_in[PROBE_IN], n_by;                 /* which they are */
    uint64_t *set[PROBE_IN], *other[PROBE_IN]; /* by by */
    omma_tensor base[PROBE_UNITS], seed[PROBE_UNITS];
    bool constant[PROBE_UNITS]; /* no input leads to it */
    omma_session *session;
    omma_gradient *gradient; /* NULL: whole numbers on every way */
    omma_fov *shape, *image;
    omma_fields hard; /* of the shape, without soft masks */
    omma_error err;
    const char *no_gradient; /* why */
} probe;

typedef struct probe_how {
    int trials;  /* with other numbers outside the set */
    bool steers; /* places that are read at have gradients: control paths count */
    bool equal;  /* every derivative is positive: the sets are equal */
    bool calm;   /* no number is chosen or compared: past a soft mask bits stay, too */
    int pairs;   /* elements that are asked where they lead */
} probe_how;

/* What was seen, for a report. */
static struct {
    long units, whole, empty, soft, gradients, none, wild, moves, pairs;
    double support, set;
} probe_seen;

static inline void probe_report(void) {
    print_message(
        "%ld units (%ld see all, %ld nothing, %ld past a soft mask, the mean %.0f numbers), "
        "%ld gradients of %.0f numbers in the mean, %ld not finite; %ld graphs without; "
        "%ld times moved, %ld pairs forth\n",
        probe_seen.units, probe_seen.whole, probe_seen.empty, probe_seen.soft,
        probe_seen.set / (double)(probe_seen.units + !probe_seen.units), probe_seen.gradients,
        probe_seen.support / (double)(probe_seen.gradients + !probe_seen.gradients),
        probe_seen.wild, probe_seen.none, probe_seen.moves, probe_seen.pairs);
}

static inline void probe_fault(const probe *p, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static inline void probe_fault(const probe *p, const char *fmt, ...) {
    char text[1500];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (p->g->n_nodes < 400) omma_graph_print(p->g, stderr);
    fail_msg("%s: %s", p->what, text);
}

static inline bool probe_floats(omma_dtype t) {
    return t == OMMA_F32 || t == OMMA_F64 || t == OMMA_F16 || t == OMMA_BF16;
}

static inline omma_tensor probe_copy(probe *p, const omma_tensor *t) {
    omma_tensor c = *t;
    const size_t bytes = (size_t)omma_tensor_count(t) * omma_dtype_size(t->dtype);
    c.data = omma_arena_alloc(&p->arena, bytes + 8);
    if (bytes) memcpy(c.data, t->data, bytes);
    return c;
}

static inline double probe_number(const omma_tensor *t, int64_t i) {
    return omma_get_number(t->dtype, t->data, i);
}

/* --- opening ------------------------------------------------------------------------------- */

static inline omma_status probe_run(probe *p) {
    const omma_options one = {.threads = 1};
    OMMA_TRY(omma_session_on_graph(&p->session, p->g, p->what, &one, &p->err));
    for (int i = 0; i < p->n; i++) OMMA_TRY(omma_session_watch(p->session, p->unit[i], &p->err));
    OMMA_TRY(omma_session_run(p->session, p->in, p->n_in, &p->err));
    for (int i = 0; i < p->n; i++) {
        p->base[i] = probe_copy(p, omma_session_watched(p->session, p->unit[i]));
        p->seed[i] = probe_copy(p, &p->base[i]);
    }
    return OMMA_OK;
}

static inline omma_status probe_fields(probe *p) {
    const omma_options one = {.threads = 1};
    omma_tensor blank[PROBE_IN];
    for (int i = 0; i < p->n_in; i++) {
        blank[i] = p->in[i];
        if (probe_floats(blank[i].dtype)) blank[i].data = NULL;
    }
    OMMA_TRY(omma_fov_on_graph(&p->shape, p->g, p->what, blank, &one, &p->err));
    OMMA_TRY(omma_fov_on_graph(&p->image, p->g, p->what, p->in, &one, &p->err));
    OMMA_TRY(omma_fields_new_hard(&p->hard, p->shape->specialised.graph, NULL, &p->err));
    for (int i = 0; i < p->n; i++) {
        const omma_value *v;
        const omma_status s = omma_fov_find(&v, p->shape, p->unit[i], &p->err);
        p->constant[i] = s == OMMA_E_NOTFOUND && !p->shape->specialised.cut;
        if (s && !p->constant[i]) return s;
    }
    return OMMA_OK;
}

/* The gradient is made at its first run. */
static inline omma_status probe_gradient(probe *p) {
    const omma_options one = {.threads = 1};
    const omma_gradient_how how = {
        .of = p->unit, .n_of = p->n, .by = p->by, .n_by = p->n_by, .seeded = 1, .local = 1};
    if (!p->n_by) return OMMA_OK;
    OMMA_TRY(omma_gradient_on_graph(&p->gradient, p->g, p->what, &how, &one, &p->err));
    const omma_status s = omma_gradient_run(p->gradient, p->in, p->n_in, p->seed, &p->err);
    if (s != OMMA_E_UNSUPPORTED) return s;
    probe_seen.none++;
    p->no_gradient = omma_arena_printf(&p->arena, "%s", p->err.message);
    omma_gradient_free(p->gradient);
    p->gradient = NULL;
    return OMMA_OK;
}

static inline omma_status probe_open(probe *p) {
    omma_arena_init(&p->arena, NULL);
    assert_true(p->n_in <= PROBE_IN && p->n <= PROBE_UNITS);
    for (int i = 0; i < p->n_in; i++) {
        p->moved[i] = probe_copy(p, &p->in[i]);
        if (!probe_floats(p->in[i].dtype)) continue;
        const size_t words = (size_t)omma_bit_words(omma_tensor_count(&p->in[i])) + 1;
        p->set[p->n_by] = omma_arena_array(&p->arena, words, 8);
        p->other[p->n_by] = omma_arena_array(&p->arena, words, 8);
        p->by_in[p->n_by] = i;
        p->by[p->n_by++] = p->g->inputs[i]->name;
    }
    OMMA_TRY(probe_run(p));
    p->ran = true;
    OMMA_TRY(probe_fields(p));
    return probe_gradient(p);
}

static inline void probe_close(probe *p) {
    omma_session_free(p->session);
    omma_gradient_free(p->gradient);
    omma_fields_free(&p->hard);
    omma_fov_free(p->shape);
    omma_fov_free(p->image);
    omma_arena_free(&p->arena);
}

/* --- units ----------------------------------------------------------------------------------- */

/* A random element of the unit's value; now and then all along some axes. */
static inline void probe_pick(const probe *p, int unit, int64_t *at) {
    const omma_tensor *y = &p->base[unit];
    for (int d = 0; d < y->rank; d++) at[d] = roll(6) && y->dims[d] ? roll(y->dims[d]) : -1;
}

static inline bool probe_within(const omma_tensor *y, const int64_t *at, int64_t i) {
    for (int d = y->rank - 1; d >= 0; d--) {
        if (at[d] >= 0 && i % y->dims[d] != at[d]) return false;
        i /= y->dims[d];
    }
    return true;
}

static inline const char *probe_name(const probe *p, int unit, const int64_t *at) {
    static char text[200];
    int n = snprintf(text, sizeof text, "%.80s[", p->unit[unit]);
    for (int d = 0; d < p->base[unit].rank; d++)
        n += snprintf(text + n, sizeof text - (size_t)n, "%s%lld", d ? "," : "", (long long)at[d]);
    snprintf(text + n, sizeof text - (size_t)n, "]");
    return text;
}

/* The unit's sets of all floating inputs; returns what the walk met. */
static inline unsigned probe_set(probe *p, const omma_fov *f, int unit, const int64_t *at,
                                 unsigned paths, uint64_t **bits) {
    const omma_value *v, *x;
    omma_walk w = {0};
    for (int i = 0; i < p->n_by; i++)
        memset(bits[i], 0, (size_t)omma_bit_words(omma_tensor_count(&p->in[p->by_in[i]])) * 8);
    if (p->constant[unit]) return 0;
    if (omma_fov_find(&v, f, p->unit[unit], &p->err) ||
        omma_fov_walk(&w, f, v, at, paths, true, &p->err))
        probe_fault(p, "%s", p->err.message);
    for (int i = 0; i < p->n_by; i++) {
        if (omma_fov_find(&x, f, p->by[i], &p->err)) continue; /* nobody reads it */
        if (w.at[x->index] && !omma_set_to_bits(&w.arena, w.at[x->index], bits[i]))
            probe_fault(p, "no memory");
    }
    omma_walk_free(&w);
    return w.met;
}

/* --- gradients ---------------------------------------------------------------------------------
 */

/* Of the unit; false when numbers on the way were not finite. */
static inline bool probe_differentiate(probe *p, int unit, const int64_t *at) {
    for (int i = 0; i < p->n; i++)
        for (int64_t k = 0; k < omma_tensor_count(&p->seed[i]); k++)
            omma_set_number(p->seed[i].dtype, p->seed[i].data, k,
                            i == unit && probe_within(&p->seed[i], at, k));
    if (omma_gradient_run(p->gradient, p->in, p->n_in, p->seed, &p->err))
        probe_fault(p, "%s", p->err.message);
    for (int i = 0; i < p->n_by; i++) {
        const omma_tensor *g = omma_gradient_result(p->gradient, i);
        for (int64_t k = 0; k < omma_tensor_count(g); k++)
            if (!isfinite(probe_number(g, k))) return false;
    }
    return true;
}

static inline void probe_holds(probe *p, int unit, const int64_t *at, uint64_t *const *set,
                               double least, bool equal, const char *which) {
    for (int i = 0; i < p->n_by; i++) {
        const omma_tensor *g = omma_gradient_result(p->gradient, i);
        for (int64_t k = 0; k < omma_tensor_count(g); k++) {
            const double x = fabs(probe_number(g, k));
            if (x > least && !omma_bit(set[i], k))
                probe_fault(p, "%s has gradient %g by number %lld of '%s', which its %s set lacks",
                            probe_name(p, unit, at), probe_number(g, k), (long long)k, p->by[i],
                            which);
            if (equal && !(x > 0) && omma_bit(set[i], k))
                probe_fault(p, "%s has no gradient by number %lld of '%s', which is in its set",
                            probe_name(p, unit, at), (long long)k, p->by[i]);
        }
    }
}

/* soft: more than what a mask leaves over is still in the sets. */
static inline void probe_gradients(probe *p, int unit, const int64_t *at, const probe_how *how,
                                   bool soft) {
    const double least = soft ? 1e-24 : 0;
    if (!probe_differentiate(p, unit, at)) {
        probe_seen.wild++;
        return;
    }
    probe_seen.gradients++;
    for (int i = 0; i < p->n_by; i++) {
        const omma_tensor *g = omma_gradient_result(p->gradient, i);
        for (int64_t k = 0; k < omma_tensor_count(g); k++)
            probe_seen.support += probe_number(g, k) != 0;
    }
    probe_holds(p, unit, at, p->set, least, how->equal, "shape's");
    probe_set(p, p->image, unit, at, OMMA_FOV_STRUCTURAL, p->other);
    probe_holds(p, unit, at, p->other, least, false, "image's");
    if (how->steers) return;
    probe_set(p, p->image, unit, at, OMMA_FOV_VALUE | OMMA_FOV_STATISTIC, p->other);
    probe_holds(p, unit, at, p->other, least, false, "control-free");
}

/* --- other numbers ------------------------------------------------------------------------------
 */

/* Some or all of the numbers outside the set become others of the same range; false: there are
 * none. */
static inline bool probe_shake(probe *p) {
    const int part = roll(3) ? 1 : 8;
    bool any = false;
    for (int i = 0; i < p->n_by; i++) {
        const omma_tensor *x = &p->in[p->by_in[i]];
        omma_tensor *y = &p->moved[p->by_in[i]];
        const int64_t n = omma_tensor_count(x);
        memcpy(y->data, x->data, (size_t)n * omma_dtype_size(x->dtype));
        for (int64_t k = 0; k < n; k++) {
            if (omma_bit(p->set[i], k)) continue;
            any = true;
            if (roll(part)) continue;
            omma_set_number(x->dtype, y->data, k, probe_number(x, roll(n)) * real(0.5, 1));
        }
    }
    return any;
}

/* Sets without soft masks. */
static inline void probe_set_hard(probe *p, int unit, const int64_t *at) {
    omma_fov hard = *p->shape;
    hard.fields = p->hard;
    if (probe_set(p, &hard, unit, at, OMMA_FOV_STRUCTURAL, p->set) & OMMA_MET_SOFT)
        probe_fault(p, "%s: a mask is soft yet", probe_name(p, unit, at));
}

static inline void probe_moves(probe *p, int unit, const int64_t *at, int trials) {
    const size_t size = omma_dtype_size(p->base[unit].dtype);
    for (int t = 0; t < trials && probe_shake(p); t++) {
        if (omma_session_run(p->session, p->moved, p->n_in, &p->err)) continue; /* no sense */
        const omma_tensor *y = omma_session_watched(p->session, p->unit[unit]);
        const char *a = y->data, *b = p->base[unit].data;
        for (int64_t k = 0; k < omma_tensor_count(y); k++)
            if (probe_within(y, at, k) && memcmp(a + (size_t)k * size, b + (size_t)k * size, size))
                probe_fault(p, "%s, number %lld: %.9g became %.9g by numbers outside its set",
                            probe_name(p, unit, at), (long long)k, probe_number(&p->base[unit], k),
                            probe_number(y, k));
        probe_seen.moves++;
    }
}

/* --- forth
 * ---------------------------------------------------------------------------------------- */

/* Random elements lead to the unit if they are in its set. */
static inline void probe_forth(probe *p, const omma_fov *f, int unit, const int64_t *at, int pairs,
                               uint64_t *const *set) {
    const omma_tensor *y = &p->base[unit];
    const omma_value *v, *x;
    if (p->constant[unit] || omma_fov_find(&v, f, p->unit[unit], &p->err)) return;
    for (; pairs > 0; pairs--) {
        const int i = roll(p->n_by);
        const omma_tensor *t = &p->in[p->by_in[i]];
        const int64_t n = omma_tensor_count(t), k = roll(n);
        int64_t from[OMMA_MAX_RANK];
        omma_walk w = {0};
        if (!n || omma_fov_find(&x, f, p->by[i], &p->err)) continue;
        for (int64_t d = t->rank - 1, r = k; d >= 0; d--) from[d] = r % t->dims[d], r /= t->dims[d];
        if (omma_fov_walk(&w, f, x, from, OMMA_FOV_STRUCTURAL, false, &p->err))
            probe_fault(p, "%s", p->err.message);
        uint64_t *bits =
            omma_arena_array(&w.arena, (size_t)omma_bit_words(omma_tensor_count(y)) + 1, 8);
        if (w.at[v->index] && !omma_set_to_bits(&w.arena, w.at[v->index], bits))
            probe_fault(p, "no memory");
        bool leads = false;
        for (int64_t e = 0; e < omma_tensor_count(y); e++)
            leads |= omma_bit(bits, e) && probe_within(y, at, e);
        if (leads != omma_bit(set[i], k))
            probe_fault(p, "%s and number %lld of '%s': back and forth differ",
                        probe_name(p, unit, at), (long long)k, p->by[i]);
        omma_walk_free(&w);
        probe_seen.pairs++;
    }
}

/* --- all of it
 * -------------------------------------------------------------------------------------- */

static inline void probe_unit(probe *p, int unit, const int64_t *at, const probe_how *how) {
    const unsigned met = probe_set(p, p->shape, unit, at, OMMA_FOV_STRUCTURAL, p->set);
    const bool soft = met & OMMA_MET_SOFT;
    int64_t all = 0, inside = 0;
    for (int i = 0; i < p->n_by; i++) {
        const int64_t n = omma_tensor_count(&p->in[p->by_in[i]]);
        all += n, inside += omma_bits_count(p->set[i], n);
    }
    probe_seen.units++, probe_seen.whole += inside == all, probe_seen.empty += !inside;
    probe_seen.soft += soft, probe_seen.set += (double)inside;
    if (how->equal && met & OMMA_MET_BOUND)
        probe_fault(p, "%s: its set is a bound", probe_name(p, unit, at));
    probe_set(p, p->image, unit, at, OMMA_FOV_STRUCTURAL, p->other);
    for (int i = 0; i < p->n_by; i++)
        for (int64_t w = 0; w < omma_bit_words(omma_tensor_count(&p->in[p->by_in[i]])); w++)
            if (p->other[i][w] & ~p->set[i][w])
                probe_fault(p, "%s: the image's set is not in the shape's",
                            probe_name(p, unit, at));
    if (how->pairs) probe_forth(p, p->shape, unit, at, how->pairs, p->set);
    if (how->pairs) probe_forth(p, p->image, unit, at, how->pairs, p->other);
    if (p->gradient) probe_gradients(p, unit, at, how, soft);
    if (soft && how->calm) probe_moves(p, unit, at, how->trials);
    if (soft) probe_set_hard(p, unit, at);
    if (soft && p->gradient && probe_differentiate(p, unit, at))
        probe_holds(p, unit, at, p->set, 0, false, "hard");
    probe_moves(p, unit, at, how->trials);
}

#endif
