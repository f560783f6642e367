/* test_share.c - what omma.h promises about threads: one model shared by many sessions on many
 * threads, models opened and freed meanwhile, sessions freed by another thread than made them;
 * always the same numbers. `make tsan` runs it under ThreadSanitizer. */
#define _DEFAULT_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/arena.h"
#include "model/model.h"
#include "onnxmake.h"
#include "run/session.h"

enum { THREADS = 8, ROUNDS = 6, WIDTH = 48, SIDE = 160 };

static char path[64];
static omma_model *shared;
static float x[4 * WIDTH * WIDTH];
static float want[3][8]; /* the first outputs by the number of rows */
static _Atomic int faults;

/* Convolution and batch norm (folded), a product with packed weights of 100 KB, softmax. */
static int set_up(void **state) {
    (void)state;
    static float w[SIDE * SIDE];
    mk g = {0}, a = {0};
    for (int i = 0; i < SIDE * SIDE; i++) w[i] = (float)(i % 23 - 11) / 64;
    for (size_t i = 0; i < sizeof x / sizeof *x; i++) x[i] = (float)(i % 17) / 8 - 1;
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(-1, 1, WIDTH, WIDTH));
    mk_floats(&g, "k", w, MK_DIMS(SIDE, 1, 3, 3));
    mk_floats(&g, "f", w, MK_DIMS(SIDE, SIDE));
    for (int i = 0; i < 3; i++) mk_floats(&g, (const char *[]){"s", "b", "m"}[i], w, MK_DIMS(SIDE));
    static float ones[SIDE];
    for (int i = 0; i < SIDE; i++) ones[i] = 1;
    mk_floats(&g, "v", ones, MK_DIMS(SIDE));
    mk_op(&g, "Conv", "x,k", "c", NULL);
    mk_op(&g, "BatchNormalization", "c,s,b,m,v", "n", NULL);
    mk_op(&g, "Relu", "n", "r", NULL);
    mk_op(&g, "GlobalAveragePool", "r", "p", NULL);
    mk_op(&g, "Flatten", "p", "q", NULL);
    mk_op(&g, "MatMul", "q,f", "t", NULL);
    mk_attr_int(&a, "axis", -1);
    mk_op(&g, "Softmax", "t", "y", &a);
    mk_port(&g, MK_OUTPUT, "y", OMMA_F32, MK_DIMS(-1, SIDE));
    mk bytes = mk_model(&g, 17);
    mk_write(path, &bytes);
    mk_free(&bytes);
    return (int)omma_model_open(&shared, path, NULL, NULL);
}

static int tear_down(void **state) {
    (void)state;
    omma_model_free(shared);
    return unlink(path);
}

/* Run on `rows` pictures and look at the first numbers. */
static int run(omma_session *s, int rows, float *out) {
    omma_tensor in = {OMMA_F32, 4, {rows, 1, WIDTH, WIDTH}, x};
    if (omma_session_run(s, &in, 1, NULL)) return 1;
    memcpy(out, omma_session_output(s, 0)->data, 8 * sizeof *out);
    return 0;
}

static void *work(void *arg) {
    const int id = (int)(intptr_t)arg;
    for (int r = 0; r < ROUNDS; r++) {
        omma_model *own = NULL;
        omma_session *s = NULL;
        const omma_options opt = {.threads = 1 + (id + r) % 3};
        const int rows = 1 + (id + r) % 3;
        float got[8];
        if (id % 2 && omma_model_open(&own, path, NULL, NULL)) faults++;
        if (omma_session_new(&s, own ? own : shared, &opt, NULL)) {
            faults++;
            omma_model_free(own);
            continue;
        }
        if (r % 2 && omma_session_watch(s, "r", NULL)) faults++;
        for (int k = 0; k < 2; k++) {
            if (run(s, rows, got) || memcmp(got, want[rows - 1], sizeof got)) faults++;
            if (r % 2 && !omma_session_watched(s, "r")) faults++;
        }
        omma_session_free(s);
        omma_model_free(own);
    }
    return NULL;
}

static void many_sessions_of_one_model(void **state) {
    (void)state;
    omma_session *s;
    assert_int_equal(omma_session_new(&s, shared, &(omma_options){.threads = 1}, NULL), 0);
    for (int rows = 1; rows <= 3; rows++) assert_int_equal(run(s, rows, want[rows - 1]), 0);
    omma_session_free(s);
    pthread_t t[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, work, (void *)(intptr_t)i), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(t[i], NULL);
    assert_int_equal(faults, 0);
}

static omma_session *handed;

static void *use_and_free(void *arg) {
    float got[8];
    (void)arg;
    if (run(handed, 2, got) || memcmp(got, want[1], sizeof got)) faults++;
    omma_session_free(handed);
    return NULL;
}

/* A session may move from thread to thread, as long as one at a time uses it. */
static void a_session_changes_hands(void **state) {
    (void)state;
    float got[8];
    pthread_t t;
    assert_int_equal(omma_session_new(&handed, shared, &(omma_options){.threads = 2}, NULL), 0);
    assert_int_equal(run(handed, 2, got), 0);
    assert_int_equal(pthread_create(&t, NULL, use_and_free, NULL), 0);
    pthread_join(t, NULL);
    assert_int_equal(faults, 0);
}

/* Whatever is made of the model's weights is made once: for any number of sessions and shapes,
 * for sessions that watch, and for those that come when the first are gone. */
static void weights_are_held_once(void **state) {
    (void)state;
    omma_model *m;
    omma_session *s[4];
    float got[8];
    assert_int_equal(omma_model_open(&m, path, NULL, NULL), 0);
    const size_t nothing = atomic_load(&m->shared->budget.used);
    assert_int_equal(omma_session_new(&s[0], m, &(omma_options){.threads = 1}, NULL), 0);
    assert_int_equal(run(s[0], 1, got), 0);
    const size_t once = atomic_load(&m->shared->budget.used);
    assert_true(once - nothing >= SIDE * SIDE * sizeof(float));
    for (int i = 1; i < 4; i++) {
        assert_int_equal(omma_session_new(&s[i], m, &(omma_options){.threads = i}, NULL), 0);
        if (i == 3) assert_int_equal(omma_session_watch(s[i], "r", NULL), 0);
        assert_int_equal(run(s[i], i, got), 0);
        assert_memory_equal(got, want[i - 1], sizeof got);
        const size_t own = omma_session_measure(s[i]).all - omma_session_measure(s[i]).plans - once;
        assert_true(own < SIDE * SIDE * sizeof(float));
    }
    for (int i = 0; i < 4; i++) omma_session_free(s[i]);
    assert_int_equal(omma_session_new(&s[0], m, NULL, NULL), 0);
    assert_int_equal(run(s[0], 2, got), 0);
    assert_memory_equal(got, want[1], sizeof got);
    assert_true(atomic_load(&m->shared->budget.used) == once);
    omma_session_free(s[0]);
    omma_model_free(m);
}

/* A session's limit holds for what it shares, too, whoever made it. */
static void limits_count_what_is_shared(void **state) {
    (void)state;
    omma_model *m;
    omma_session *large, *small;
    omma_error err;
    float got[8];
    assert_int_equal(omma_model_open(&m, path, NULL, NULL), 0);
    const omma_options opt = {.threads = 1, .max_memory = 96 << 10};
    assert_int_equal(omma_session_new(&small, m, &opt, &err), 0);
    const omma_tensor in = {OMMA_F32, 4, {1, 1, WIDTH, WIDTH}, x};
    assert_int_equal(omma_session_run(small, &in, 1, &err), OMMA_E_NOMEM);
    assert_int_equal(omma_session_new(&large, m, NULL, &err), 0);
    assert_int_equal(run(large, 1, got), 0);
    assert_memory_equal(got, want[0], sizeof got);
    assert_int_equal(omma_session_run(small, &in, 1, &err), OMMA_E_NOMEM);
    omma_session_free(small);
    omma_session_free(large);
    omma_model_free(m);
}

/* Prepared for a shape, a session allocates nothing in its first run with it. */
static void prepared_sessions_run_at_once(void **state) {
    (void)state;
    omma_session *s;
    omma_error err;
    float got[8];
    assert_int_equal(omma_session_new(&s, shared, &(omma_options){.threads = 2}, &err), 0);
    omma_tensor in = {OMMA_F32, 4, {2, 1, WIDTH, WIDTH}, NULL};
    assert_int_equal(omma_session_prepare(s, &in, 1, &err), 0);
    assert_null(omma_session_output(s, 0));
    const uint64_t calls = omma_mem_calls();
    assert_int_equal(run(s, 2, got), 0);
    assert_true(omma_mem_calls() == calls);
    assert_memory_equal(got, want[1], sizeof got);
    assert_int_equal(omma_session_prepare(s, &in, 2, &err), OMMA_E_USAGE);
    in.dims[1] = 2;
    assert_int_equal(omma_session_prepare(s, &in, 1, &err), OMMA_E_SHAPE);
    in.dims[1] = 1;
    assert_int_equal(omma_session_run(s, &in, 1, &err), OMMA_E_USAGE); /* no data */
    omma_session_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_sessions_of_one_model), cmocka_unit_test(weights_are_held_once),
        cmocka_unit_test(limits_count_what_is_shared),
        cmocka_unit_test(prepared_sessions_run_at_once), cmocka_unit_test(a_session_changes_hands)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
