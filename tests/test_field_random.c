/* test_field_random.c - containment, with no tolerance, on random graphs of every operator
 * (randomwide.h): what fieldprobe.h asks of units inside them; and where all weights are positive
 * and nothing saturates, a gradient that is zero nowhere in a unit's set.
 *
 * Passes leave the gradients as they are: those of a graph that none has touched are the same but
 * for rounding.
 *
 * OMMA_RANDOM_GRAPHS says how many graphs; OMMA_RANDOM_SEED=N makes number N alone, which is what a
 * failure names. */
#define _DEFAULT_SOURCE
#include "randomwide.h"

#include "fieldprobe.h"
#include "guard.h"

enum { TURNS = 12, POSITIVE = 400, UNITS = 3, PICKS = 3, TRIALS = 3 };

static long graphs, nodes, refused, wild, no_reading;
static long used[1024]; /* by operator: nodes on the way to a unit */

/* --- a graph -----------------------------------------------------------------------------------
 */

typedef struct trial {
    wide w;
    char what[64];
    const char *unit[UNITS];
    omma_tensor in;
    probe p;
} trial;

static void choose_units(trial *t) {
    omma_graph *g = t->w.g;
    g->outputs = omma_arena_array(&t->w.arena, UNITS, sizeof *g->outputs);
    for (int tries = 0; tries < 12 && t->p.n < UNITS; tries++) {
        omma_value *v = tries == 0   ? t->w.chosen[1]
                        : tries == 1 ? t->w.v[t->w.n - 1]
                        : tries == 2 ? t->w.chosen[0]
                                     : any(&t->w);
        if (!v || v->dtype != t->w.type || v->is_output || v->is_input) continue;
        v->is_output = true;
        t->unit[t->p.n++] = v->name;
        g->outputs[g->n_outputs++] = v;
    }
}

/* Counts the operators that lead to units; is there one whose places have a gradient? */
static bool count_operators(trial *t) {
    int n;
    const omma_op *const *all = omma_op_all(&n);
    const omma_graph *g = t->w.g;
    bool *lead = omma_arena_array(&t->w.arena, (size_t)g->n_values, 1), steers = false;
    for (int i = 0; i < g->n_outputs; i++) lead[g->outputs[i]->index] = true;
    for (int i = g->n_nodes - 1; i >= 0; i--) {
        const omma_node *m = g->nodes[i];
        bool leads = false;
        for (int k = 0; k < m->n_out; k++) leads |= lead[m->out[k]->index];
        if (!leads) continue;
        for (int k = 0; k < m->n_in; k++)
            if (m->in[k]) lead[m->in[k]->index] = true;
        steers |= !strcmp(m->op->name, "GridSample") || !strcmp(m->op->name, "DeformConv");
        nodes++;
        for (int k = 0; k < n; k++) used[k] += all[k] == m->op;
    }
    return steers;
}

/* Numbers that are far from finite say nothing. */
static bool is_tame(const probe *p) {
    for (int i = 0; i < p->n; i++)
        for (int64_t k = 0; k < omma_tensor_count(&p->base[i]); k++)
            if (!(fabs(probe_number(&p->base[i], k)) < 1e12)) return false;
    return true;
}

/* False: its numbers are wild. */
static bool open_trial(trial *t, double least) {
    t->in = omma_value_tensor(t->w.image);
    t->in.data = omma_arena_array(&t->w.arena, (size_t)count(t->w.image), 8);
    for (int64_t k = 0; k < count(t->w.image); k++)
        omma_set_number(t->in.dtype, t->in.data, k, real(least, 1));
    choose_units(t);
    wide_forget(&t->w);
    graphs++;
    refused += t->w.refused;
    t->p.g = t->w.g, t->p.what = t->what, t->p.in = &t->in, t->p.n_in = 1, t->p.unit = t->unit;
    const omma_status s = t->p.n ? probe_open(&t->p) : OMMA_E_RANGE;
    /* what runs may be too much for a reading: steps of 2^31, say */
    const bool may = t->w.hostile && (!t->p.ran || s == OMMA_E_SHAPE || s == OMMA_E_NOMEM);
    if (s && s != OMMA_E_RANGE && !may) probe_fault(&t->p, "%s", t->p.err.message);
    no_reading += s && t->p.ran;
    if (!s && is_tame(&t->p)) return true;
    wild++;
    return false;
}

/* --- the same without passes
 * ---------------------------------------------------------------------- */

static void check_passes(trial *t) {
    const omma_options one = {.threads = 1};
    const probe *p = &t->p;
    const omma_gradient_how how = {
        .of = p->unit, .n_of = p->n, .by = p->by, .n_by = p->n_by, .seeded = 1};
    omma_gradient *plain;
    omma_error err;
    double most = 0, off = 0;
    setenv("OMMA_PASSES", "-all", 1);
    if (omma_gradient_on_graph(&plain, p->g, p->what, &how, &one, &err) ||
        omma_gradient_run(plain, p->in, p->n_in, p->seed, &err) ||
        omma_gradient_run(p->gradient, p->in, p->n_in, p->seed, &err))
        probe_fault(p, "%s", err.message);
    unsetenv("OMMA_PASSES");
    const omma_tensor *a = omma_gradient_result(plain, 0),
                      *b = omma_gradient_result(p->gradient, 0);
    for (int64_t k = 0; k < omma_tensor_count(a); k++) {
        most = fmax(most, fabs(probe_number(a, k)));
        off = fmax(off, fabs(probe_number(a, k) - probe_number(b, k)));
    }
    if (off > 1e-3 * most + 1e-6)
        probe_fault(p, "passes move the gradient by %g; its largest number is %g", off, most);
    omma_gradient_free(plain);
}

/* --- the tests
 * --------------------------------------------------------------------------------------- */

static void graph_of(uint32_t number, bool hostile) {
    static const wide_choice choices[] = {WIDE_NEAR, WIDE_SAMPLING, WIDE_NEAR, WIDE_ALL};
    const int turn = (int)(number / WIDE_STEPS);
    trial t = {0};
    snprintf(t.what, sizeof t.what, "OMMA_RANDOM_SEED=%u%s", number, hostile ? ", hostile" : "");
    dice_seed = number + ((uint64_t)hostile << 40);
    wide_graph(&t.w, choices[turn % 4], (int)(number % WIDE_STEPS), turn, hostile);
    if (open_trial(&t, -1)) {
        const probe_how how = {.trials = TRIALS, .steers = count_operators(&t), .pairs = 2};
        for (int i = 0; i < t.p.n * PICKS; i++) {
            int64_t at[OMMA_MAX_RANK];
            probe_pick(&t.p, i % t.p.n, at);
            probe_unit(&t.p, i % t.p.n, at, &how);
        }
        if (t.p.gradient && t.w.type == OMMA_F32 && !hostile) check_passes(&t);
    }
    probe_close(&t.p);
    wide_free(&t.w);
}

static void one_graph(uint32_t number) { graph_of(number, false); }
static void one_hostile(uint32_t number) { graph_of(number, true); }

static void one_positive(uint32_t number) {
    trial t = {0};
    snprintf(t.what, sizeof t.what, "OMMA_RANDOM_SEED=%u of the positive ones", number);
    dice_seed = ~(uint64_t)number;
    wide_positive(&t.w, number % 3 ? WIDE_SAMPLING : WIDE_ALL);
    if (open_trial(&t, 0.2)) {
        const probe_how how = {.steers = count_operators(&t), .equal = true};
        if (!t.p.gradient) probe_fault(&t.p, "%s", t.p.no_gradient);
        for (int i = 0; i < t.p.n * PICKS; i++) {
            int64_t at[OMMA_MAX_RANK];
            probe_pick(&t.p, i % t.p.n, at);
            probe_unit(&t.p, i % t.p.n, at, &how);
        }
    }
    probe_close(&t.p);
    wide_free(&t.w);
}

static void every(void (*one)(uint32_t number), long most) {
    const long only = dice_setting("OMMA_RANDOM_SEED", -1),
               from = only >= 0 ? only : dice_setting("OMMA_RANDOM_FROM", 0),
               end = only >= 0 ? only + 1 : dice_setting("OMMA_RANDOM_GRAPHS", most);
    graphs = nodes = refused = wild = no_reading = 0;
    memset(&probe_seen, 0, sizeof probe_seen);
    for (long i = from; i < end; i++) one((uint32_t)i);
    print_message("%ld graphs of %ld nodes (%ld nodes refused, %ld graphs of wild numbers or none, "
                  "%ld that only run)\n",
                  graphs, nodes, refused, wild, no_reading);
    probe_report();
}

static void containment(void **state) {
    (void)state;
    every(one_graph, rounds(TURNS * WIDE_STEPS));
    if (graphs >= TURNS * WIDE_STEPS)
        assert_true(probe_seen.gradients > 5000 && wild < graphs / 50);
}

/* Whatever is let in is read without a fault. */
static void hostility(void **state) {
    (void)state;
    every(one_hostile, rounds(TURNS * WIDE_STEPS / 2));
    assert_true(no_reading <= 1 + graphs / 100);
}

/* A window is as wide as it says, a set walks only what lies inside. */
static void wide_windows(void **state) {
    (void)state;
    static const char *const ops[] = {"AveragePool", "MaxPool", "LpPool"};
    for (int i = 0; i < 6; i++) {
        trial t = {.what = "a wide window"};
        wide *w = &t.w;
        wide_begin(w, false);
        wide_ints(w, "kernel_shape", 2, (int64_t[]){1, INT32_MAX});
        wide_text(w, "auto_pad", i < 3 ? "SAME_UPPER" : "SAME_LOWER");
        push(w, put(w, ops[i % 3], 19, w->image));
        if (open_trial(&t, -1))
            probe_unit(&t.p, 0, (int64_t[]){0, 0, 3, 2}, &(probe_how){.pairs = 2});
        else fail_msg("no trial");
        probe_close(&t.p);
        wide_free(w);
    }
}

static void equality(void **state) {
    (void)state;
    every(one_positive, rounds(POSITIVE));
    assert_true(probe_seen.gradients == probe_seen.units);
}

/* Operators that no graph here has. */
static const struct {
    const char *name, *why;
} left_out[] = {
    {"Compress", "its size is the data's, and what follows is another graph"},
    {"NonMaxSuppression", "its size is the data's"},
    {"NonZero", "its size is the data's"},
    {"Unique", "its size is the data's"},
};

static void every_operator(void **state) {
    (void)state;
    int n, missing = 0;
    const omma_op *const *all = omma_op_all(&n);
    if (graphs < POSITIVE || dice_setting("OMMA_RANDOM_GRAPHS", 0)) skip();
    for (int i = 0; i < n; i++) {
        bool out = !all[i]->field && !all[i]->parts; /* it gives way to others before */
        for (size_t k = 0; k < sizeof left_out / sizeof *left_out; k++)
            out |= !strcmp(all[i]->name, left_out[k].name);
        if (out && all[i]->field && used[i]) fail_msg("%s is in graphs", all[i]->name);
        if (out || used[i]) continue;
        print_error("%s is in no graph\n", all[i]->name);
        missing++;
    }
    assert_int_equal(missing, 0);
}

int main(void) {
    unsetenv("OMMA_PASSES");
    const struct CMUnitTest tests[] = {cmocka_unit_test(containment), cmocka_unit_test(hostility),
                                       cmocka_unit_test(wide_windows), cmocka_unit_test(equality),
                                       cmocka_unit_test(every_operator)};
    cmocka_set_test_filter(getenv("OMMA_TEST_FILTER"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
