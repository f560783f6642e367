/* test_field_random.c - containment, with no tolerance: on random graphs of every operator
 * (randomwide.h) a number of the image that moves a unit, or has a gradient that is not zero, lies in
 * the unit's structural set; forth is back the other way around.
 *
 * The gradient's support is held against the set of the shape, that of the image at hand, and, where
 * nothing differentiable says where to read, that without control paths. Pixels outside the set of the
 * shape may be anything: the unit keeps its bits.
 *
 * OMMA_RANDOM_GRAPHS says how many graphs; OMMA_RANDOM_SEED=N makes number N alone, which is what a
 * failure names, and prints it. */
#define _DEFAULT_SOURCE
#include "randomwide.h"

#include "field/bits.h"
#include "field/fov.h"
#include "guard.h"
#include "run/gradient.h"
#include "run/session.h"

enum { TURNS = 12, UNITS = 3, PICKS = 3, TRIALS = 3, PIXELS = 2 * 4 * 20 * 20, WORDS = PIXELS / 64 + 1 };

typedef struct trial {
    wide w;
    uint32_t number;
    omma_tensor in;
    float pixels[PIXELS], moved[PIXELS];
    const char *unit[UNITS];
    int n;
    omma_tensor base[UNITS], seed[UNITS]; /* copies */
    omma_session *session;
    omma_gradient *gradient; /* NULL: there is none */
    omma_fov *shape, *image;
    omma_error err;
} trial;

/* What was seen, for the report. */
static struct {
    long graphs, nodes, units, whole, empty, gradients, none, nan, moves, pairs, wild, refused;
    double support, set;
} seen;
static long used[1024]; /* by operator: nodes on the way to a unit */

static void fault(const trial *t, const char *what) {
    omma_graph_print(t->w.g, stderr);
    fail_msg("OMMA_RANDOM_SEED=%u: %s", t->number, what);
}

static char *said(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static char *said(const char *fmt, ...) {
    static char buf[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(buf, sizeof buf, fmt, ap);
    va_end(ap);
    return buf;
}

/* --- a graph and its readings ------------------------------------------------------------------ */

static void choose_units(trial *t) {
    omma_graph *g = t->w.g;
    g->outputs = omma_arena_array(&t->w.arena, UNITS, sizeof *g->outputs);
    for (int tries = 0; tries < 12 && t->n < UNITS; tries++) {
        omma_value *v = tries == 0   ? t->w.chosen[1]
                        : tries == 1 ? t->w.v[t->w.n - 1]
                        : tries == 2 ? t->w.chosen[0]
                                     : any(&t->w);
        if (!v || v->dtype != OMMA_F32 || v->is_output || v->is_input) continue;
        v->is_output = true;
        t->unit[t->n++] = v->name;
        g->outputs[g->n_outputs++] = v;
    }
}

/* Counts the operators that lead to units; is there one whose places have a gradient? */
static bool count_operators(const trial *t) {
    int n;
    const omma_op *const *all = omma_op_all(&n);
    const omma_graph *g = t->w.g;
    bool *lead = omma_arena_array((omma_arena *)(uintptr_t)&t->w.arena, (size_t)g->n_values, 1);
    bool steers = false;
    for (int i = 0; i < g->n_outputs; i++) lead[g->outputs[i]->index] = true;
    for (int i = g->n_nodes - 1; i >= 0; i--) {
        const omma_node *m = g->nodes[i];
        bool leads = false;
        for (int k = 0; k < m->n_out; k++) leads |= lead[m->out[k]->index];
        if (!leads) continue;
        for (int k = 0; k < m->n_in; k++)
            if (m->in[k]) lead[m->in[k]->index] = true;
        steers |= !strcmp(m->op->name, "GridSample") || !strcmp(m->op->name, "DeformConv");
        seen.nodes++;
        for (int k = 0; k < n; k++) used[k] += all[k] == m->op;
    }
    return steers;
}

static void copy_output(trial *t, int i) {
    const omma_tensor *y = omma_session_output(t->session, i);
    const size_t bytes = (size_t)omma_tensor_count(y) * sizeof(float);
    t->base[i] = t->seed[i] = *y;
    t->base[i].data = wide_copy(&t->w, y->data, bytes);
    t->seed[i].data = omma_arena_alloc(&t->w.arena, bytes + 8);
}

/* Numbers that are far from finite say nothing. */
static bool is_tame(const trial *t) {
    for (int i = 0; i < t->n; i++) {
        const float *x = t->base[i].data;
        for (int64_t k = 0; k < omma_tensor_count(&t->base[i]); k++)
            if (!(fabsf(x[k]) < 1e12f)) return false;
    }
    return true;
}

/* The same gradient when no pass changes the graph. */
static void check_passes(trial *t, const float *g, const float *seed_unused) {
    (void)seed_unused;
    const omma_options one = {.threads = 1};
    const omma_gradient_how how = {
        .of = t->unit, .n_of = t->n, .by = (const char *[]){"image"}, .n_by = 1, .seeded = 1};
    omma_gradient *plain;
    double most = 0, off = 0;
    int64_t at = 0;
    setenv("OMMA_PASSES", "-all", 1);
    if (omma_gradient_on_graph(&plain, t->w.g, "wide", &how, &one, &t->err) ||
        omma_gradient_run(plain, &t->in, 1, t->seed, &t->err))
        fault(t, t->err.message);
    unsetenv("OMMA_PASSES");
    const float *p = omma_gradient_result(plain, 0)->data;
    for (int64_t k = 0; k < omma_tensor_count(&t->in); k++) {
        most = fmax(most, fabs((double)p[k]));
        if (fabs((double)p[k] - (double)g[k]) > off) off = fabs((double)p[k] - (double)g[k]), at = k;
    }
    if (off > 1e-3 * most + 1e-6)
        fault(t, said("gradient by pixel %lld: %g with passes, %g without, the largest is %g", (long long)at,
                      (double)g[at], (double)p[at], most));
    omma_gradient_free(plain);
}

static bool open_trial(trial *t) {
    const omma_options one = {.threads = 1};
    const omma_gradient_how how = {
        .of = t->unit, .n_of = t->n, .by = (const char *[]){"image"}, .n_by = 1, .seeded = 1};
    const omma_graph *g = t->w.g;
    omma_tensor shape = t->in;
    shape.data = NULL;
    if (omma_session_on_graph(&t->session, g, "wide", &one, &t->err)) fault(t, t->err.message);
    const omma_status ran = omma_session_run(t->session, &t->in, 1, &t->err);
    if (ran == OMMA_E_RANGE) return false; /* a place that is no number */
    if (ran || omma_fov_on_graph(&t->shape, g, "wide", &shape, &one, &t->err) ||
        omma_fov_on_graph(&t->image, g, "wide", &t->in, &one, &t->err))
        fault(t, t->err.message);
    for (int i = 0; i < t->n; i++) copy_output(t, i);
    if (!is_tame(t)) return false;
    const omma_status s = omma_gradient_on_graph(&t->gradient, g, "wide", &how, &one, &t->err);
    const omma_status r = s ? s : omma_gradient_run(t->gradient, &t->in, 1, t->seed, &t->err);
    if (r == OMMA_E_UNSUPPORTED) { /* whole numbers on every way */
        seen.none++;
        omma_gradient_free(t->gradient);
        t->gradient = NULL;
    } else if (r) fault(t, t->err.message);
    return true;
}

static void close_trial(trial *t) {
    omma_session_free(t->session);
    omma_gradient_free(t->gradient);
    omma_fov_free(t->shape);
    omma_fov_free(t->image);
    wide_free(&t->w);
}

/* --- one unit ------------------------------------------------------------------------------------ */

/* The unit: an element, or now and then all along some axes. */
static void pick_unit(const omma_tensor *y, int64_t *at) {
    for (int d = 0; d < y->rank; d++) at[d] = roll(6) ? roll(y->dims[d]) : -1;
}

static bool in_unit(const omma_tensor *y, const int64_t *at, int64_t i) {
    for (int d = y->rank - 1; d >= 0; d--) {
        if (at[d] >= 0 && i % y->dims[d] != at[d]) return false;
        i /= y->dims[d];
    }
    return true;
}

/* Its set; returns what the walk met. A constant's name is not found, and nothing leads to it. */
static unsigned set_of(trial *t, const omma_fov *f, int unit, const int64_t *at, unsigned paths,
                       uint64_t *bits) {
    const omma_value *v, *x;
    omma_walk w;
    memset(bits, 0, WORDS * sizeof *bits);
    const omma_status s = omma_fov_find(&v, f, t->unit[unit], &t->err);
    if (s == OMMA_E_NOTFOUND && !f->specialised.cut) return 0;
    if (s || omma_fov_find(&x, f, "image", &t->err) ||
        omma_fov_walk(&w, f, v, at, paths, true, &t->err) ||
        (w.at[x->index] && !omma_set_to_bits(&w.arena, w.at[x->index], bits)))
        fault(t, t->err.message);
    omma_walk_free(&w);
    return w.met;
}

/* Differentiate the unit; false when numbers on the way were not finite. */
static bool differentiate(trial *t, int unit, const int64_t *at, const float **g) {
    for (int i = 0; i < t->n; i++) {
        float *s = t->seed[i].data;
        for (int64_t k = 0; k < omma_tensor_count(&t->seed[i]); k++)
            s[k] = i == unit && in_unit(&t->seed[i], at, k) ? 1.0f : 0.0f;
    }
    if (omma_gradient_run(t->gradient, &t->in, 1, t->seed, &t->err)) fault(t, t->err.message);
    *g = omma_gradient_result(t->gradient, 0)->data;
    for (int64_t k = 0; k < omma_tensor_count(&t->in); k++)
        if (!isfinite((*g)[k])) return false;
    return true;
}

/* soft: what a mask of -100 leaves over is no gradient. */
static void holds(const trial *t, int unit, const int64_t *at, const float *g, const uint64_t *set,
                  bool soft, const char *which) {
    for (int64_t k = 0; k < omma_tensor_count(&t->in); k++)
        if (fabsf(g[k]) > (soft ? 1e-30f : 0) && !omma_bit(set, k))
            fault(t, said("%s at %lld,%lld,%lld,%lld: gradient %g by pixel %lld, which its %s set lacks",
                          t->unit[unit], (long long)at[0], (long long)at[1], (long long)at[2],
                          (long long)at[3], (double)g[k], (long long)k, which));
}

static void check_gradient(trial *t, int unit, const int64_t *at, const uint64_t *shape, bool steers) {
    uint64_t image[WORDS];
    const float *g;
    const bool soft = set_of(t, t->image, unit, at, OMMA_FOV_STRUCTURAL, image) & OMMA_MET_SOFT;
    for (int64_t w = 0; w < WORDS; w++)
        if (image[w] & ~shape[w]) fault(t, said("%s: the image's set is not in the shape's", t->unit[unit]));
    if (!t->gradient) return;
    if (!differentiate(t, unit, at, &g)) {
        seen.nan++;
        return;
    }
    seen.gradients++;
    if (getenv("OMMA_CHECK_PASSES")) check_passes(t, g, NULL);
    for (int64_t k = 0; k < omma_tensor_count(&t->in); k++) seen.support += g[k] != 0;
    holds(t, unit, at, g, shape, soft, "shape's");
    holds(t, unit, at, g, image, soft, "image's");
    if (steers) return;
    set_of(t, t->image, unit, at, OMMA_FOV_VALUE | OMMA_FOV_STATISTIC, image);
    holds(t, unit, at, g, image, soft, "control-free");
}

/* Change some or all pixels outside the set. */
static void move_pixels(trial *t, const uint64_t *set) {
    const bool all = coin();
    memcpy(t->moved, t->pixels, sizeof t->moved);
    for (int64_t k = 0; k < omma_tensor_count(&t->in); k++)
        if (!omma_bit(set, k) && (all || rare())) t->moved[k] = (float)real(-1.5, 1.5);
}

static void check_moves(trial *t, int unit, const int64_t *at, const uint64_t *set) {
    omma_tensor in = t->in;
    in.data = t->moved;
    for (int i = 0; i < TRIALS; i++) {
        move_pixels(t, set);
        if (omma_session_run(t->session, &in, 1, &t->err)) fault(t, t->err.message);
        const omma_tensor *y = omma_session_output(t->session, unit);
        const float *a = y->data, *b = t->base[unit].data;
        for (int64_t k = 0; k < omma_tensor_count(y); k++)
            if (in_unit(y, at, k) && memcmp(a + k, b + k, sizeof *a))
                fault(t, said("%s, number %lld: %.9g became %.9g by pixels outside its set",
                              t->unit[unit], (long long)k, (double)b[k], (double)a[k]));
        seen.moves++;
    }
}

/* Pixels in and out of the set reach the unit, or not. */
static void check_forth(trial *t, int unit, const int64_t *at, omma_fov *f, const uint64_t *set) {
    uint64_t bits[4 * WIDE_MOST / 64 + 1];
    omma_fov_status status;
    const omma_tensor *y = &t->base[unit];
    int64_t pixel[4];
    for (int i = 0; i < 2; i++) {
        const int64_t k = roll(omma_tensor_count(&t->in));
        for (int64_t d = 3, r = k; d >= 0; d--) pixel[d] = r % t->in.dims[d], r /= t->in.dims[d];
        const omma_status s = omma_fov_forth(f, "image", pixel, OMMA_FOV_STRUCTURAL, t->unit[unit],
                                             bits, &status, &t->err);
        if (s == OMMA_E_NOTFOUND) return;
        if (s) fault(t, t->err.message);
        bool reaches = false;
        for (int64_t e = 0; e < omma_tensor_count(y); e++)
            reaches |= omma_bit(bits, e) && in_unit(y, at, e);
        if (reaches != omma_bit(set, k))
            fault(t, said("%s: pixel %lld, back and forth differ", t->unit[unit], (long long)k));
        seen.pairs++;
    }
}

static void check_unit(trial *t, int unit, bool steers) {
    uint64_t set[WORDS], data[WORDS];
    int64_t at[OMMA_MAX_RANK] = {0};
    pick_unit(&t->base[unit], at);
    const bool soft = set_of(t, t->shape, unit, at, OMMA_FOV_STRUCTURAL, set) & OMMA_MET_SOFT;
    const int64_t n = omma_tensor_count(&t->in), inside = omma_bits_count(set, n);
    seen.units++, seen.whole += inside == n, seen.empty += !inside, seen.set += (double)inside;
    check_gradient(t, unit, at, set, steers);
    if (inside < n && !soft) check_moves(t, unit, at, set);
    check_forth(t, unit, at, t->shape, set);
    set_of(t, t->image, unit, at, OMMA_FOV_STRUCTURAL, data);
    check_forth(t, unit, at, t->image, data);
}

/* --- the graphs ------------------------------------------------------------------------------------ */

static void one_graph(uint32_t number) {
    static trial t;
    static const wide_choice choices[] = {WIDE_NEAR, WIDE_SAMPLING, WIDE_NEAR, WIDE_ALL};
    memset(&t, 0, sizeof t);
    t.number = number;
    wide_seed = number;
    const int turn = (int)(number / WIDE_STEPS);
    wide_graph(&t.w, choices[turn % 4], (int)(number % WIDE_STEPS), turn);
    seen.refused += t.w.refused;
    choose_units(&t);
    t.in = omma_value_tensor(t.w.image);
    t.in.data = t.pixels;
    for (int64_t k = 0; k < omma_tensor_count(&t.in); k++) t.pixels[k] = (float)real(-1, 1);
    wide_forget(&t.w);
    if (getenv("OMMA_RANDOM_SEED")) omma_graph_print(t.w.g, stderr);
    if (!t.n) {
        seen.wild++;
    } else if (open_trial(&t)) {
        const bool steers = count_operators(&t);
        for (int i = 0; i < t.n * PICKS; i++) check_unit(&t, i % t.n, steers);
    } else seen.wild++;
    seen.graphs++;
    close_trial(&t);
}

static long number_in(const char *name, long otherwise) {
    const char *s = getenv(name);
    return s && *s ? strtol(s, NULL, 10) : otherwise;
}

static void containment(void **state) {
    (void)state;
    const long only = number_in("OMMA_RANDOM_SEED", -1),
               most = number_in("OMMA_RANDOM_GRAPHS", rounds(TURNS * WIDE_STEPS));
    for (long i = only >= 0 ? only : number_in("OMMA_RANDOM_FROM", 0); i < (only >= 0 ? only + 1 : most); i++)
        one_graph((uint32_t)i);
    print_message("%ld graphs of %ld nodes (%ld attempts refused, %ld graphs of wild numbers); %ld units "
                  "(%ld see all, %ld nothing, the mean %.0f pixels), %ld gradients of %.0f numbers in "
                  "the mean, %ld not finite, %ld graphs without; %ld times moved, %ld pairs forth\n",
                  seen.graphs, seen.nodes, seen.refused, seen.wild, seen.units, seen.whole, seen.empty,
                  seen.set / (double)seen.units, seen.gradients, seen.support / (double)seen.gradients,
                  seen.nan, seen.none, seen.moves, seen.pairs);
}

static void every_operator(void **state) {
    (void)state;
    int n;
    const omma_op *const *all = omma_op_all(&n);
    for (int i = 0; i < n; i++)
        if (!used[i]) print_message("unused: %s field %d parts %d no_field %s\n", all[i]->name, all[i]->field != NULL, all[i]->parts != NULL, all[i]->no_field ? all[i]->no_field : "-");
}

int main(void) {
    if (!getenv("OMMA_RANDOM_SEED")) unsetenv("OMMA_PASSES");
    const struct CMUnitTest tests[] = {cmocka_unit_test(containment), cmocka_unit_test(every_operator)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
