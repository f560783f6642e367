/* test_cut.c - graphs in which the data decides how they go on: values whose size depends
 * on the data, and shapes that are computed from numbers. The session runs them in parts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "model/inspect.h"
#include "onnxmake.h"

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

static void run_x(const float *x, int rank, const int64_t *dims) {
    omma_tensor t = {.dtype = OMMA_F32, .rank = rank, .data = (void *)(uintptr_t)x};
    memcpy(t.dims, dims, (size_t)rank * sizeof *dims);
    if (omma_session_run(session, &t, 1, &err)) fail_msg("%s", err.message);
}

static void expect(const omma_tensor *t, omma_dtype type, int rank, const int64_t *dims,
                   const void *data) {
    assert_non_null(t);
    assert_int_equal(t->dtype, type);
    assert_int_equal(t->rank, rank);
    for (int i = 0; i < rank; i++) assert_int_equal(t->dims[i], dims[i]);
    size_t bytes = (size_t)omma_tensor_count(t) * omma_dtype_size(type);
    if (bytes) assert_memory_equal(t->data, data, bytes);
}

/* places = transpose(NonZero(x)); picked = GatherND(x, places); twice = picked + picked;
 * square = x * x stands beside the cut. */
static void pick_nonzero(mk *g) {
    mk a = {0};
    mk_port(g, MK_INPUT, "x", OMMA_F32, MK_DIMS(-1, 3));
    mk_op(g, "Mul", "x,x", "square", NULL);
    mk_op(g, "NonZero", "x", "nz", NULL);
    mk_attr_ints(&a, "perm", (int64_t[]){1, 0}, 2);
    mk_op(g, "Transpose", "nz", "places", &a);
    mk_op(g, "GatherND", "x,places", "picked", NULL);
    mk_op(g, "Add", "picked,picked", "twice", NULL);
    mk_port(g, MK_OUTPUT, "twice", OMMA_F32, MK_DIMS(-2));
    mk_port(g, MK_OUTPUT, "square", OMMA_F32, MK_DIMS(-1, 3));
    mk_port(g, MK_OUTPUT, "nz", OMMA_I64, MK_DIMS(2, -2));
}

static void sizes_from_data(void **state) {
    (void)state;
    mk g = {0};
    pick_nonzero(&g);
    start(&g);
    for (int round = 0; round < 3; round++) {
        run_x((float[]){0, 5, 0, 7, 0, 9}, 2, (int64_t[]){2, 3});
        expect(omma_session_output(session, 0), OMMA_F32, 1, (int64_t[]){3}, (float[]){10, 14, 18});
        expect(omma_session_output(session, 1), OMMA_F32, 2, (int64_t[]){2, 3},
               (float[]){0, 25, 0, 49, 0, 81});
        expect(omma_session_output(session, 2), OMMA_I64, 2, (int64_t[]){2, 3},
               (int64_t[]){0, 1, 1, 1, 0, 2});
        run_x((float[]){0, 0, 0, 0, 0, 0}, 2, (int64_t[]){2, 3});
        expect(omma_session_output(session, 0), OMMA_F32, 1, (int64_t[]){0}, NULL);
        run_x((float[]){1, 2, 3}, 2, (int64_t[]){1, 3});
        expect(omma_session_output(session, 0), OMMA_F32, 1, (int64_t[]){3}, (float[]){2, 4, 6});
    }
    stop();
}

/* Watched values on both sides of the cut; the others do not change. */
static void watched_across(void **state) {
    (void)state;
    mk g = {0};
    pick_nonzero(&g);
    start(&g);
    assert_int_equal(omma_session_watch(session, "picked", &err), OMMA_OK);
    assert_int_equal(omma_session_watch(session, "nz", &err), OMMA_OK);
    assert_int_equal(omma_session_watch(session, "places", &err), OMMA_OK);
    run_x((float[]){0, 5, 0, 7, 0, 9}, 2, (int64_t[]){2, 3});
    expect(omma_session_watched(session, "picked"), OMMA_F32, 1, (int64_t[]){3},
           (float[]){5, 7, 9});
    expect(omma_session_watched(session, "nz"), OMMA_I64, 2, (int64_t[]){2, 3},
           (int64_t[]){0, 1, 1, 1, 0, 2});
    expect(omma_session_watched(session, "places"), OMMA_I64, 2, (int64_t[]){3, 2},
           (int64_t[]){0, 1, 1, 0, 1, 2});
    expect(omma_session_output(session, 0), OMMA_F32, 1, (int64_t[]){3}, (float[]){10, 14, 18});
    stop();
}

/* y = x reshaped to [sum(x), -1]: a shape that is computed from the numbers. */
static void shape_from_data(void **state) {
    (void)state;
    mk g = {0}, a = {0}, b = {0};
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(600));
    mk_attr_int(&a, "keepdims", 1);
    mk_op(&g, "ReduceSum", "x", "sum", &a);
    mk_attr_int(&a, "to", OMMA_I64);
    mk_op(&g, "Cast", "sum", "rows", &a);
    mk_ints(&g, "rest", (int64_t[]){-1}, 1);
    mk_attr_int(&b, "axis", 0);
    mk_op(&g, "Concat", "rows,rest", "shape", &b);
    mk_op(&g, "Reshape", "x,shape", "y", NULL);
    mk_port(&g, MK_OUTPUT, "y", OMMA_F32, MK_DIMS(-1, -2));
    start(&g);
    static float x[600];
    for (int rows = 1; rows <= 6; rows++) {
        x[0] = (float)rows;
        run_x(x, 1, (int64_t[]){600});
        expect(omma_session_output(session, 0), OMMA_F32, 2, (int64_t[]){rows, 600 / rows}, x);
    }
    x[0] = 7; /* 600 is no multiple of 7 */
    omma_tensor t = {OMMA_F32, 1, {600}, x};
    assert_int_equal(omma_session_run(session, &t, 1, &err), OMMA_E_SHAPE);
    assert_non_null(strstr(err.message, "Reshape"));
    x[0] = 2;
    run_x(x, 1, (int64_t[]){600});
    expect(omma_session_output(session, 0), OMMA_F32, 2, (int64_t[]){2, 300}, x);
    stop();
}

/* Cut upon cut: each NonZero reads what the one before it left. */
static void many_cuts(void **state) {
    (void)state;
    enum { CUTS = 20 };
    mk g = {0};
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(-1));
    static float ones[200];
    char in[16] = "x", out[16], nz[16];
    for (int i = 0; i < CUTS; i++) {
        mk a = {0};
        snprintf(nz, sizeof nz, "n%d", i), snprintf(out, sizeof out, "c%d", i);
        mk_op(&g, "NonZero", in, nz, NULL); /* [1, k]: all but the zeros' places */
        mk_attr_int(&a, "to", OMMA_F32);
        mk_op(&g, "Cast", nz, out, &a);
        strcpy(in, out);
    }
    mk_port(&g, MK_OUTPUT, in, OMMA_F32, MK_DIMS(-1, -2));
    start(&g);
    omma_inspection x;
    if (omma_inspect(&x, model, NULL, &err)) fail_msg("%s", err.message);
    assert_true(x.cut);
    assert_int_equal(x.outputs[0].rank, -1);
    omma_inspection_free(&x);
    for (int i = 0; i < 200; i++) ones[i] = 1;
    run_x(ones, 1, (int64_t[]){200});
    assert_int_equal(omma_session_output(session, 0)->rank, 2);
    stop();
}

/* Deeper than any sound model: an error, not an endless descent. */
static void too_many_cuts(void **state) {
    (void)state;
    mk g = {0};
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(20, 20));
    char in[16] = "x", out[16];
    for (int i = 0; i < 600; i++) {
        snprintf(out, sizeof out, "n%d", i);
        mk_op(&g, "NonZero", in, out, NULL);
        strcpy(in, out);
    }
    mk_port(&g, MK_OUTPUT, in, OMMA_I64, MK_DIMS(-1, -2));
    start(&g);
    static float zeros[400];
    omma_tensor t = {OMMA_F32, 2, {20, 20}, zeros};
    if (omma_session_run(session, &t, 1, &err) != OMMA_E_UNSUPPORTED) fail_msg("%s", err.message);
    stop();
}

/* Once the plans are there, running in parts takes no memory either. */
static void no_memory_taken(void **state) {
    (void)state;
    mk g = {0};
    pick_nonzero(&g);
    start(&g);
    run_x((float[]){0, 5, 0, 7, 0, 9}, 2, (int64_t[]){2, 3});
    uint64_t calls = omma_mem_calls();
    for (int i = 0; i < 10; i++) run_x((float[]){1, 0, 2, 0, 3, 0}, 2, (int64_t[]){2, 3});
    assert_int_equal(omma_mem_calls(), calls);
    expect(omma_session_output(session, 0), OMMA_F32, 1, (int64_t[]){3}, (float[]){2, 4, 6});
    stop();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_from_data), cmocka_unit_test(watched_across),
        cmocka_unit_test(shape_from_data), cmocka_unit_test(many_cuts),
        cmocka_unit_test(too_many_cuts),   cmocka_unit_test(no_memory_taken)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
