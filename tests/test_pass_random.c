/* test_pass_random.c - random models of the blocks vision models are made of (randomblocks.h):
 * every pass switched off, alone and all together, leaves the answer as it is, but for rounding;
 * threads and watching leave it as it is to the bit.
 *
 * How far rounding may take an answer is measured for each model: by what a disturbance of its
 * inputs in their last digits makes of it.
 *
 * OMMA_RANDOM_GRAPHS says how many models; OMMA_RANDOM_SEED=N makes number N alone, which is what
 * a failure names. */
#define _DEFAULT_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "model/model.h"
#include "pass/passes.h"
#include "randomblocks.h"
#include "run/session.h"

enum { OUTPUTS = 6, WATCHED = 12 };

typedef struct subject {
    omma_model *m;
    uint32_t seed;
    omma_tensor in;
    float *pixels, *disturbed;
} subject;

/* The numbers of some outputs. */
typedef struct answer {
    int n;
    int64_t count[OUTPUTS];
    float *x[OUTPUTS];
} answer;

static void answer_free(answer *a) {
    for (int i = 0; i < a->n; i++) free(a->x[i]);
    *a = (answer){0};
}

/* A session of its own: nothing is shared with those made under other switches. */
static omma_session *session(const subject *s, int threads, const char *what) {
    omma_session *out;
    omma_error err;
    const omma_options opt = {.threads = threads};
    if (omma_session_on_graph(&out, s->m->graph, "random", &opt, &err))
        fail_msg("OMMA_RANDOM_SEED=%u, %s: %s", s->seed, what, err.message);
    return out;
}

static void run(const subject *s, omma_session *session_, const char *what) {
    omma_error err;
    if (omma_session_run(session_, &s->in, 1, &err))
        fail_msg("OMMA_RANDOM_SEED=%u, %s: %s", s->seed, what, err.message);
}

static void take(const subject *s, const omma_session *from, answer *out) {
    out->n = s->m->graph->n_outputs;
    assert_in_range(out->n, 1, OUTPUTS);
    for (int i = 0; i < out->n; i++) {
        const omma_tensor *t = omma_session_output(from, i);
        assert_non_null(t);
        assert_int_equal(t->dtype, OMMA_F32);
        out->count[i] = omma_tensor_count(t);
        out->x[i] = malloc((size_t)out->count[i] * sizeof(float) + 1);
        assert_non_null(out->x[i]);
        memcpy(out->x[i], t->data, (size_t)out->count[i] * sizeof(float));
    }
}

static void answer_of(const subject *s, int threads, const char *what, answer *out) {
    omma_session *x = session(s, threads, what);
    run(s, x, what);
    take(s, x, out);
    omma_session_free(x);
}

static double distance(const float *a, const float *b, int64_t n, double *most) {
    double off = 0;
    *most = 0;
    for (int64_t i = 0; i < n; i++) {
        if (isnan(a[i]) && isnan(b[i])) continue;
        *most = fmax(*most, fabs((double)b[i]));
        off = isnan(a[i]) || isnan(b[i]) ? INFINITY : fmax(off, fabs((double)a[i] - (double)b[i]));
    }
    return off;
}

/* noise: by output, what the disturbance made of it. */
static void compare(const subject *s, const answer *got, const answer *want, const double *noise,
                    const char *what) {
    assert_int_equal(got->n, want->n);
    for (int i = 0; i < want->n; i++) {
        double most;
        assert_true(got->count[i] == want->count[i]);
        const double off = distance(got->x[i], want->x[i], want->count[i], &most);
        if (off > 60 * noise[i] + 1e-4 * fmax(most, 1e-3))
            fail_msg("OMMA_RANDOM_SEED=%u, %s: output '%s' is off by %.3g where the largest "
                     "number is %.3g and noise makes %.3g",
                     s->seed, what, s->m->graph->outputs[i]->name, off, most, noise[i]);
    }
}

static void same_bits(const subject *s, const answer *got, const answer *want, const char *what) {
    for (int i = 0; i < want->n; i++)
        if (got->count[i] != want->count[i] ||
            memcmp(got->x[i], want->x[i], (size_t)want->count[i] * sizeof(float)))
            fail_msg("OMMA_RANDOM_SEED=%u, %s: output '%s' has other bits", s->seed, what,
                     s->m->graph->outputs[i]->name);
}

/* --- what is checked ---------------------------------------------------------------- */

/* Without any pass, and what of that is noise. */
static void reference(subject *s, answer *plain, double *noise) {
    answer disturbed;
    setenv("OMMA_PASSES", "-all", 1);
    answer_of(s, 1, "-all", plain);
    s->in.data = s->disturbed;
    answer_of(s, 1, "-all", &disturbed);
    s->in.data = s->pixels;
    for (int i = 0; i < plain->n; i++) {
        double most;
        noise[i] = distance(disturbed.x[i], plain->x[i], plain->count[i], &most);
    }
    answer_free(&disturbed);
}

static void with_passes(const subject *s, const char *list, const answer *plain,
                        const double *noise) {
    answer got;
    setenv("OMMA_PASSES", list, 1);
    answer_of(s, 1 + rnd(2), list, &got);
    compare(s, &got, plain, noise, list);
    answer_free(&got);
}

/* Each of them off, and one of them alone on. */
static void one_by_one(const subject *s, const answer *plain, const double *noise) {
    omma_pass_row row;
    int n = 0;
    while (omma_pass_row_at(&row, n)) with_passes(s, text("-%s", row.name), plain, noise), n++;
    with_passes(s, "-fuse", plain, noise);
    with_passes(s, "-memory", plain, noise);
    omma_pass_row_at(&row, rnd(n));
    with_passes(s, text("-all,+%s", row.name), plain, noise);
}

static void threads_change_nothing(const subject *s, const answer *want) {
    static const int threads[] = {2, 4, 8};
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        const char *what = text("%d threads", threads[i]);
        answer got;
        omma_session *x = session(s, threads[i], what);
        for (int round = 0; round < 2; round++) {
            run(s, x, what);
            take(s, x, &got);
            same_bits(s, &got, want, what);
            answer_free(&got);
        }
        omma_session_free(x);
    }
}

/* Some values are watched; they are what they are without passes, too. */
static void watching_changes_nothing(const subject *s, const answer *want) {
    answer got;
    const char *names[WATCHED];
    int n = 0;
    omma_error err;
    omma_session *x = session(s, 1 + rnd(2), "watched");
    for (int most = 1 + rnd(WATCHED); n < most; n++) {
        names[n] = s->m->graph->values[rnd(s->m->graph->n_values)]->name;
        assert_int_equal(omma_session_watch(x, names[n], &err), OMMA_OK);
    }
    run(s, x, "watched");
    take(s, x, &got);
    same_bits(s, &got, want, text("with '%s' and %d more watched", names[0], n - 1));
    for (int i = 0; i < n; i++) assert_non_null(omma_session_watched(x, names[i]));
    answer_free(&got);
    omma_session_free(x);
}

/* --- the models ----------------------------------------------------------------------- */

static long one_model(uint32_t number_) {
    random_graph r;
    omma_error err;
    random_seed = number_ * 2654435761u + 1;
    mk bytes = random_blocks(&r);
    subject s = {.seed = number_, .in = {OMMA_F32, 4, {1, 3, r.h, r.w}, NULL}};
    if (mk_open(&s.m, &bytes, NULL, &err))
        fail_msg("OMMA_RANDOM_SEED=%u: %s", number_, err.message);
    mk_free(&bytes);
    const size_t n = (size_t)(3 * r.h * r.w);
    s.pixels = malloc(n * sizeof(float)), s.disturbed = malloc(n * sizeof(float));
    assert_true(s.pixels && s.disturbed);
    for (size_t i = 0; i < n; i++) {
        s.pixels[i] = real();
        s.disturbed[i] = s.pixels[i] * (1 + real() * 1e-6f);
    }
    s.in.data = s.pixels;

    answer plain, all;
    double noise[OUTPUTS];
    reference(&s, &plain, noise);
    unsetenv("OMMA_PASSES");
    answer_of(&s, 1, "all passes", &all);
    compare(&s, &all, &plain, noise, "all passes");
    threads_change_nothing(&s, &all);
    watching_changes_nothing(&s, &all);
    one_by_one(&s, &plain, noise);
    unsetenv("OMMA_PASSES");

    const long nodes = s.m->graph->n_nodes;
    answer_free(&plain), answer_free(&all);
    free(s.pixels), free(s.disturbed);
    omma_model_free(s.m);
    return nodes;
}

static long number_in(const char *name, long otherwise) {
    const char *s = getenv(name);
    return s && *s ? strtol(s, NULL, 10) : otherwise;
}

static void random_models(void **state) {
    (void)state;
    const long only = number_in("OMMA_RANDOM_SEED", -1),
               most = number_in("OMMA_RANDOM_GRAPHS", 400);
    long nodes = 0;
    for (long i = only >= 0 ? only : 0; i < (only >= 0 ? only + 1 : most); i++)
        nodes += one_model((uint32_t)i);
    print_message("%ld models of %ld nodes\n", only >= 0 ? 1 : most, nodes);
}

int main(void) {
    unsetenv("OMMA_THREADS");
    unsetenv("OMMA_PASSES");
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_models)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
