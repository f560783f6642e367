/* test_profile.c - the observer of a session's nodes, the profile made with it, what a node
 * costs, and the machine's limits. Nothing here says how fast anything is. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "model/inspect.h"
#include "onnxmake.h"
#include "run/machine.h"
#include "run/profile.h"

static omma_model *model;
static omma_session *session;
static omma_error err;

static void start(mk *graph) {
    mk bytes = mk_model(graph, 17);
    if (mk_open(&model, &bytes, NULL, &err)) fail_msg("%s", err.message);
    mk_free(&bytes);
    if (omma_session_new(&session, model, NULL, &err)) fail_msg("%s", err.message);
}

static void stop(void) {
    omma_session_free(session);
    omma_model_free(model);
}

static omma_status run_x(const float *x, int64_t rows) {
    const omma_tensor t = {OMMA_F32, 2, {rows, 3}, (void *)(uintptr_t)x};
    return omma_session_run(session, &t, 1, &err);
}

/* y = softmax(x w): no cut. */
static void straight(mk *g) {
    mk_port(g, MK_INPUT, "x", OMMA_F32, MK_DIMS(2, 3));
    mk_floats(g, "w", (float[]){1, 0, 0, 1, 1, 1, 2, 0, -1, 3, 1, 0}, MK_DIMS(3, 4));
    mk_op(g, "MatMul", "x,w", "product", NULL);
    mk_op(g, "Softmax", "product", "y", NULL);
    mk_port(g, MK_OUTPUT, "y", OMMA_F32, MK_DIMS(2, 4));
}

/* NonZero's size is the data's, so a cut follows it, and another the second one. */
static void cut_twice(mk *g) {
    mk_port(g, MK_INPUT, "x", OMMA_F32, MK_DIMS(2, 3));
    mk_op(g, "Mul", "x,x", "square", NULL);
    mk_op(g, "NonZero", "square", "first", NULL);
    mk_op(g, "Add", "first,first", "double", NULL);
    mk_op(g, "NonZero", "double", "second", NULL);
    mk_op(g, "Neg", "second", "y", NULL);
    mk_port(g, MK_OUTPUT, "y", OMMA_I64, MK_DIMS(2, -2));
}

static const float two_rows[] = {0, 5, 0, 7, 0, 9}, zeros[6];

typedef struct seen {
    int nodes;
    char ops[256];
    double last;
} seen;

static void see(void *user, const omma_node *n, double from, double to) {
    seen *s = user;
    s->nodes++;
    assert_true(from >= s->last && to >= from); /* in order, on one clock */
    s->last = to;
    strcat(strcat(s->ops, n->op->name), " ");
}

static void observer_sees_all_parts(void **state) {
    (void)state;
    mk g = {0};
    cut_twice(&g);
    start(&g);
    seen s = {0};
    const omma_observer o = {see, &s};
    assert_int_equal(run_x(two_rows, 2), OMMA_OK);
    assert_int_equal(s.nodes, 0);
    omma_session_observe(session, &o);
    assert_int_equal(run_x(two_rows, 2), OMMA_OK);
    assert_string_equal(s.ops, "Mul NonZero Add NonZero Neg ");
    omma_session_observe(session, NULL);
    assert_int_equal(run_x(two_rows, 2), OMMA_OK);
    assert_int_equal(s.nodes, 5);
    stop();
}

static void profile_runs(omma_profile *p, int runs) {
    omma_profile_init(p, runs);
    for (int i = 0; i < runs; i++) {
        omma_profile_begin(p, session);
        if (run_x(two_rows, 2)) fail_msg("%s", err.message);
        if (omma_profile_end(p, session, &err)) fail_msg("%s", err.message);
    }
    omma_profile_settle(p);
}

static void profile_adds_up(void **state) {
    (void)state;
    mk g = {0};
    straight(&g);
    start(&g);
    omma_profile p;
    profile_runs(&p, 5);
    assert_int_equal(p.runs, 5);
    assert_int_equal(p.strayed, 0);
    assert_int_equal(p.count, 2);
    double sum = 0, end = 0;
    for (int i = 0; i < p.count; i++) {
        sum += p.nodes[i].seconds;
        assert_true(p.nodes[i].start >= end && p.nodes[i].end >= p.nodes[i].start);
        end = p.nodes[i].end;
    }
    assert_true(fabs(sum - p.total) <= 1e-12 && sum > 0);
    assert_string_equal(p.nodes[0].op->name, "MatMul");
    assert_int_equal(p.nodes[0].out.rank, 2);
    assert_int_equal(p.nodes[0].out.dims[1], 4);
    assert_string_equal(p.nodes[0].kind, "by weights");
    assert_string_equal(p.nodes[1].kind, "");
    assert_true(p.nodes[0].flops == 2.0 * 2 * 3 * 4);
    assert_true(p.nodes[0].bytes == 4.0 * (2 * 3 + 3 * 4 + 2 * 4)); /* the packed weights, too */
    omma_inspection x;
    assert_int_equal(omma_inspect(&x, model, NULL, &err), OMMA_OK);
    assert_true(x.flops == omma_profile_flops(&p));
    assert_true(x.plan_bytes == omma_session_measure(session).plans);
    assert_true(omma_session_measure(session).all >= x.plan_bytes);
    omma_inspection_free(&x);
    omma_profile_free(&p);
    stop();
}

static void kinds_of_convolutions(void **state) {
    (void)state;
    static const struct {
        int64_t groups, w[4], stride;
        const char *kind;
    } rows[] = {{1, {4, 4, 3, 3}, 1, "3x3"},
                {1, {4, 4, 1, 1}, 2, "1x1/2"},
                {4, {4, 1, 5, 3}, 1, "5x3 depthwise"},
                {2, {4, 2, 3, 3}, 2, "3x3/2 in 2 groups"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mk g = {0}, a = {0};
        mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(1, 4, 8, 8));
        mk_port(&g, MK_INPUT, "w", OMMA_F32,
                MK_DIMS(rows[i].w[0], rows[i].w[1], rows[i].w[2], rows[i].w[3]));
        mk_attr_int(&a, "group", rows[i].groups);
        mk_attr_ints(&a, "strides", (int64_t[]){rows[i].stride, rows[i].stride}, 2);
        mk_op(&g, "Conv", "x,w", "y", &a);
        mk_port(&g, MK_OUTPUT, "y", OMMA_F32, MK_DIMS(-1, -1, -1, -1));
        start(&g);
        static float numbers[256];
        const int64_t *w = rows[i].w;
        const omma_tensor in[] = {{OMMA_F32, 4, {1, 4, 8, 8}, numbers},
                                  {OMMA_F32, 4, {w[0], w[1], w[2], w[3]}, numbers}};
        omma_profile p;
        omma_profile_init(&p, 1);
        omma_profile_begin(&p, session);
        assert_int_equal(omma_session_run(session, in, 2, &err), OMMA_OK);
        assert_int_equal(omma_profile_end(&p, session, &err), OMMA_OK);
        assert_string_equal(p.nodes[0].kind, rows[i].kind);
        omma_profile_free(&p);
        stop();
    }
}

/* The shapes of parts behind cuts are those of the run; a run of another way is left out. */
static void profile_behind_cuts(void **state) {
    (void)state;
    mk g = {0};
    cut_twice(&g);
    start(&g);
    omma_profile p;
    omma_profile_init(&p, 4);
    for (int i = 0; i < 4; i++) {
        omma_profile_begin(&p, session);
        assert_int_equal(run_x(i == 1 ? zeros : two_rows, 2), OMMA_OK);
        assert_int_equal(omma_profile_end(&p, session, &err), OMMA_OK);
    }
    omma_profile_settle(&p);
    assert_int_equal(p.count, 5);
    assert_int_equal(p.runs, 3);
    assert_int_equal(p.strayed, 1);
    assert_int_equal(p.nodes[1].out.dims[1], 3); /* three numbers are not 0 */
    assert_int_equal(p.nodes[2].out.dims[1], 3);
    assert_true(omma_session_measure(session).plans > 0);
    omma_profile_free(&p);
    stop();
}

/* A run that fails leaves a profile that can go on. */
static void profile_after_an_error(void **state) {
    (void)state;
    mk g = {0};
    straight(&g);
    start(&g);
    omma_profile p;
    omma_profile_init(&p, 2);
    omma_profile_begin(&p, session);
    assert_int_equal(run_x(two_rows, 1), OMMA_E_SHAPE);
    omma_session_observe(session, NULL);
    for (int i = 0; i < 3; i++) { /* one more than there is room for */
        omma_profile_begin(&p, session);
        assert_int_equal(run_x(two_rows, 2), OMMA_OK);
        assert_int_equal(omma_profile_end(&p, session, &err), OMMA_OK);
    }
    omma_profile_settle(&p);
    assert_int_equal(p.count, 2);
    assert_int_equal(p.runs, 2);
    omma_profile_free(&p);
    stop();
}

static void positive(const omma_machine_rate *r, bool wanted) {
    assert_true(isfinite(r->one) && isfinite(r->all));
    assert_true(wanted ? r->one > 0 && r->all > 0 : r->one == 0 && r->all == 0);
}

static void machine_has_limits(void **state) {
    (void)state;
    omma_machine m;
    assert_int_equal(omma_machine_measure(&m, 2, 0.1, &err), OMMA_OK);
    const omma_limits *l = omma_limits_of(omma_kernels_best());
    assert_string_equal(m.isa, omma_kernels_best()->isa);
    positive(&m.fma_f32, true);
    positive(&m.dot_bf16, l->dot_bf16 != NULL);
    positive(&m.dot_int8, l->dot_int8 != NULL);
    for (int i = 0; i < OMMA_MACHINE_LEVELS; i++) {
        positive(&m.read[i], true);
        assert_true(m.size[i] > 0 && m.size[i] % 1024 == 0);
        assert_true(strlen(omma_machine_level(i)) > 0);
    }
    assert_true(omma_machine_peak(1, 0.001) > 0);
}

/* Every table this processor can run: the loops end, count in proportion and read all. */
static void loops_of_every_table(void **state) {
    (void)state;
    static _Alignas(64) float block[4096];
    const omma_kernels *kern;
    for (int i = 0; (kern = omma_kernels_at(i)); i++) {
        const omma_limits *l = omma_limits_of(kern);
        double (*const loops[])(int64_t) = {l->fma_f32, l->dot_bf16, l->dot_int8};
        /* avx512bf16 is measured by the loops of avx512 */
        assert_int_equal(strncmp(l->isa, kern->isa, strlen(l->isa)), 0);
        assert_non_null(l->fma_f32);
        for (int k = 0; k < 3; k++)
            if (loops[k]) assert_true(loops[k](1) > 0 && loops[k](100) == 100 * loops[k](1));
        assert_true(l->read(block, sizeof block) == (double)sizeof block);
        assert_true(l->read(block, 1024) == 1024);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(observer_sees_all_parts), cmocka_unit_test(profile_adds_up),
        cmocka_unit_test(kinds_of_convolutions),   cmocka_unit_test(profile_behind_cuts),
        cmocka_unit_test(profile_after_an_error),  cmocka_unit_test(machine_has_limits),
        cmocka_unit_test(loops_of_every_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
