/* test_diff.c - what `omma diff` stands on: comparing tensors, matching files with values, one
 * node run by itself. The verb itself is in test_diff_verb.c. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "file/bytes.h"
#include "file/npy.h"
#include "model/model.h"
#include "model/reference.h"
#include "onnxmake.h"
#include "run/alone.h"
#include "run/compare.h"

static const omma_tolerance usual = {1e-3, 1e-7};

/* --- compare --------------------------------------------------------------------------- */

static omma_difference floats(const float *a, const float *b, int n, omma_tolerance t) {
    const omma_tensor got = {OMMA_F32, 1, {n}, (void *)a}, want = {OMMA_F32, 1, {n}, (void *)b};
    omma_difference d;
    omma_compare(&d, &got, &want, &t);
    return d;
}

static void numbers(void **state) {
    (void)state;
    omma_difference d = floats((float[]){1, 2, 3}, (float[]){1, 2, 4}, 3, usual);
    assert_false(d.agrees);
    assert_int_equal(d.count, 3);
    assert_int_equal(d.beyond, 1);
    assert_int_equal(d.at, 2);
    assert_true(d.got == 3 && d.want == 4 && d.largest == 1 && d.magnitude == 4);
    assert_true(d.relative == 0.25 && fabs(d.mean - 1.0 / 3) < 1e-12);
    assert_true(fabs(d.cosine - 17 / sqrt(14.0 * 21)) < 1e-12);
    d = floats((float[]){-5, 0}, (float[]){-5, 0}, 2, usual);
    assert_true(d.agrees && d.cosine == 1 && d.largest == 0 && d.relative == 0);
}

/* The tolerance hangs on the tensor's largest magnitude, not on each number. */
static void tolerance(void **state) {
    (void)state;
    assert_true(floats((float[]){1000, 0.9f}, (float[]){1000, 0}, 2, usual).agrees);
    assert_false(floats((float[]){1000, 1.1f}, (float[]){1000, 0}, 2, usual).agrees);
    assert_true(floats((float[]){1e-8f}, (float[]){0}, 1, usual).agrees);
    omma_difference d = floats((float[]){1e-6f}, (float[]){0}, 1, usual);
    assert_true(!d.agrees && isinf(d.relative) && d.cosine == 0);
    assert_true(floats((float[]){1e-6f}, (float[]){0}, 1, (omma_tolerance){0, 1e-5}).agrees);
    assert_false(floats((float[]){1.0001f}, (float[]){1}, 1, (omma_tolerance){0, 0}).agrees);
}

static void odd_numbers(void **state) {
    (void)state;
    const float inf = INFINITY;
    assert_true(
        floats((float[]){NAN, inf, -inf, 1}, (float[]){NAN, inf, -inf, 1}, 4, usual).agrees);
    omma_difference d = floats((float[]){7, 1, inf, 2}, (float[]){9, 1, -inf, NAN}, 4, usual);
    assert_int_equal(d.odd, 2);
    assert_int_equal(d.beyond, 3);
    assert_int_equal(d.at, 2); /* the first odd one, though 7 was off before */
    assert_true(d.got == inf && d.want == -inf);
    assert_true(d.largest == 2 && d.magnitude == 9);
    d = floats((float[]){-3e38f}, (float[]){-inf}, 1, (omma_tolerance){1e30, 1e38});
    assert_false(d.agrees);
    d = floats((float[]){NAN}, (float[]){NAN}, 1, usual);
    assert_true(d.agrees && d.at == -1 && d.cosine == 1);
}

static void whole_numbers(void **state) {
    (void)state;
    int64_t a[2] = {INT64_C(9007199254740993), INT64_MIN},
            b[2] = {INT64_C(9007199254740992), INT64_MIN};
    omma_tensor got = {OMMA_I64, 1, {2}, a}, want = {OMMA_I64, 1, {2}, b};
    omma_difference d;
    omma_compare(&d, &got, &want, &usual);
    assert_false(d.agrees); /* 2^53 + 1, which no double holds */
    assert_true(d.largest == 1);
    a[0] = INT64_MAX, b[0] = INT64_MIN;
    omma_compare(&d, &got, &want, &usual);
    assert_true(d.largest == 0x1p64);
    uint8_t p[2] = {200, 7}, q[2] = {201, 7};
    got = (omma_tensor){OMMA_U8, 1, {2}, p}, want = (omma_tensor){OMMA_U8, 1, {2}, q};
    omma_compare(&d, &got, &want, &(omma_tolerance){1, 0});
    assert_false(d.agrees); /* rtol is not for integers */
    omma_compare(&d, &got, &want, &(omma_tolerance){0, 1});
    assert_true(d.agrees);
}

static void types_and_shapes(void **state) {
    (void)state;
    float x[6] = {1, 2, 3, 4, 5, 6};
    double y[6] = {1, 2, 3, 4, 5, 6};
    omma_tensor got = {OMMA_F32, 2, {2, 3}, x}, want = {OMMA_F64, 2, {2, 3}, y};
    omma_difference d;
    omma_compare(&d, &got, &want, &usual);
    assert_true(!d.agrees && d.type && !d.shape && !d.beyond);
    assert_int_equal(d.count, 6);
    want = (omma_tensor){OMMA_F32, 2, {3, 2}, x};
    omma_compare(&d, &got, &want, &usual);
    assert_true(!d.agrees && d.shape && !d.type && d.largest == 0);
    want = (omma_tensor){OMMA_F32, 1, {5}, x};
    omma_compare(&d, &got, &want, &usual);
    assert_true(!d.agrees && d.shape && d.count == 0 && d.at == -1);
    got = (omma_tensor){OMMA_F32, 2, {0, 3}, NULL}, want = got;
    omma_compare(&d, &got, &want, &usual);
    assert_true(d.agrees && d.count == 0);
    got = (omma_tensor){OMMA_F32, 0, {0}, x}, want = got;
    omma_compare(&d, &got, &want, &usual);
    assert_true(d.agrees && d.count == 1);
}

/* More than one block, at an odd address. */
static void long_and_unaligned(void **state) {
    (void)state;
    enum { N = 2000 };
    static unsigned char room[N * 4 + 1];
    static float x[N];
    for (int i = 0; i < N; i++) x[i] = (float)i;
    memcpy(room + 1, x, sizeof x);
    x[1777] += 100;
    omma_tensor got = {OMMA_F32, 2, {40, 50}, x}, want = {OMMA_F32, 2, {40, 50}, room + 1};
    omma_difference d;
    omma_compare(&d, &got, &want, &usual);
    assert_int_equal(d.beyond, 1);
    assert_int_equal(d.at, 1777);
    assert_true(d.magnitude == N - 1);
    int64_t at[OMMA_MAX_RANK];
    omma_coordinates(at, want.dims, want.rank, d.at);
    assert_int_equal(at[0], 35);
    assert_int_equal(at[1], 27);
}

/* --- references ------------------------------------------------------------------------ */

/* A model of four nodes with the names that exporters give. */
static omma_model *named_model(void) {
    mk g = {0};
    omma_model *m;
    omma_error err;
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(2));
    mk_op(&g, "Relu", "x", "/enc/layer.0/Relu_output_0", NULL);
    mk_op(&g, "Neg", "/enc/layer.0/Relu_output_0", "blk/a:0", NULL);
    mk_op(&g, "Abs", "blk/a:0", "blk_a_0", NULL);
    mk_op(&g, "Exp", "blk_a_0", "y", NULL);
    mk_port(&g, MK_OUTPUT, "y", OMMA_F32, MK_DIMS(2));
    mk bytes = mk_model(&g, 17);
    if (mk_open(&m, &bytes, NULL, &err)) fail_msg("%s", err.message);
    mk_free(&bytes);
    return m;
}

static void make_file(const char *folder, const char *name, float a) {
    char path[256];
    omma_error err;
    float data[2] = {a, a + 1};
    omma_tensor t = {OMMA_F32, 1, {2}, data};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (omma_npy_write(&t, path, &err)) fail_msg("%s", err.message);
}

static void remove_folder(const char *folder) {
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    assert_int_equal(system(command), 0);
}

static const char *matched(const omma_reference *r, const omma_graph *g, const char *value) {
    return r->by_value[omma_graph_find(g, value)->index];
}

static void file_names(void **state) {
    (void)state;
    char folder[] = "/tmp/omma-reference-XXXXXX";
    assert_non_null(mkdtemp(folder));
    omma_model *m = named_model();
    const omma_graph *g = m->graph;
    omma_arena arena;
    omma_error err;
    omma_reference r;
    omma_arena_init(&arena, NULL);

    make_file(folder, "_enc_layer.0_Relu_output_0.npy", 1);
    make_file(folder, "blk%2Fa%3a0.npy", 2);
    make_file(folder, "blk_a_0.npy", 3);
    make_file(folder, "y.npy", 4);
    make_file(folder, "y.pb", 5); /* .npy goes first: this one is of nobody */
    make_file(folder, "note.txt", 6);
    make_file(folder, "elsewhere.npy", 7);
    make_file(folder, "input_0.npy", 8);
    assert_int_equal(omma_reference_open(&r, g, folder, &arena, &err), OMMA_OK);
    assert_int_equal(r.n_files, 7);
    assert_int_equal(r.n_unused, 2);
    assert_string_equal(matched(&r, g, "/enc/layer.0/Relu_output_0"),
                        "_enc_layer.0_Relu_output_0.npy");
    assert_string_equal(matched(&r, g, "blk/a:0"), "blk%2Fa%3a0.npy");
    assert_string_equal(matched(&r, g, "blk_a_0"), "blk_a_0.npy");
    assert_string_equal(matched(&r, g, "y"), "y.npy");
    assert_string_equal(matched(&r, g, "x"), "input_0.npy");
    omma_tensor t;
    assert_int_equal(omma_reference_read(&t, &r, omma_graph_find(g, "blk/a:0"), &arena, &err),
                     OMMA_OK);
    assert_true(((float *)t.data)[1] == 3);
    remove_folder(folder);
    omma_arena_free(&arena);
    omma_model_free(m);
}

static void loose_names(void **state) {
    (void)state;
    char folder[] = "/tmp/omma-reference-XXXXXX";
    assert_non_null(mkdtemp(folder));
    omma_model *m = named_model();
    const omma_graph *g = m->graph;
    omma_arena arena;
    omma_error err;
    omma_reference r;
    omma_arena_init(&arena, NULL);
    make_file(folder, "enc-layer.0-Relu_output_0.npy", 1);
    make_file(folder, "blk.a-0.npy", 2); /* of nobody: a point is not a sign */
    make_file(folder, "blk-a-0.npy", 3); /* of two values, so of neither */
    make_file(folder, "output_0.npy", 4);
    make_file(folder, "output_1.npy", 5);
    make_file(folder, "output_x.npy", 5);
    assert_int_equal(omma_reference_open(&r, g, folder, &arena, &err), OMMA_OK);
    assert_string_equal(matched(&r, g, "/enc/layer.0/Relu_output_0"),
                        "enc-layer.0-Relu_output_0.npy");
    assert_null(matched(&r, g, "blk/a:0"));
    assert_null(matched(&r, g, "blk_a_0"));
    assert_string_equal(matched(&r, g, "y"), "output_0.npy");
    assert_int_equal(r.n_unused, 4);
    assert_string_equal(omma_reference_near(g, "enc_layer.0_Relu.npy")->name,
                        "/enc/layer.0/Relu_output_0");
    assert_null(omma_reference_near(g, "something quite different.npy"));
    remove_folder(folder);
    assert_int_equal(omma_reference_open(&r, g, folder, &arena, &err), OMMA_E_IO);
    omma_arena_free(&arena);
    omma_model_free(m);
}

/* --- one node by itself ------------------------------------------------------------------ */

static omma_model *alone_model(void) {
    mk g = {0}, attrs = {0};
    omma_model *m;
    omma_error err;
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(-1));
    mk_floats(&g, "w", (float[]){10}, MK_DIMS(1));
    mk_ints(&g, "k", (int64_t[]){2}, 1);
    mk_op(&g, "Relu", "x", "r", NULL);
    mk_op(&g, "Mul", "r,r", "square", NULL);
    mk_op(&g, "Add", "square,w", "sum", NULL);
    mk_op(&g, "Clip", "sum,,w", "clip", NULL);
    mk_attr_int(&attrs, "axis", 0);
    mk_op(&g, "TopK", "clip,k", "values,indices", &attrs);
    mk_port(&g, MK_OUTPUT, "values", OMMA_F32, MK_DIMS(2));
    mk_port(&g, MK_OUTPUT, "indices", OMMA_I64, MK_DIMS(2));
    mk bytes = mk_model(&g, 17);
    if (mk_open(&m, &bytes, NULL, &err)) fail_msg("%s", err.message);
    mk_free(&bytes);
    return m;
}

static const omma_node *node_of(const omma_graph *g, const char *out) {
    return omma_graph_find(g, out)->producer;
}

static void expect_floats(const omma_tensor *t, const float *want, int n) {
    assert_non_null(t);
    assert_int_equal(t->dtype, OMMA_F32);
    assert_int_equal(omma_tensor_count(t), n);
    for (int i = 0; i < n; i++) assert_true(((float *)t->data)[i] == want[i]);
}

static void alone(void **state) {
    (void)state;
    omma_model *m = alone_model();
    omma_alone a;
    omma_error err;
    float data[3] = {-3, 2, 7};
    const omma_tensor x = {OMMA_F32, 1, {3}, data}, none = {0};

    /* one value read twice; what Relu would do to it is not done */
    const omma_node *n = node_of(m->graph, "square");
    assert_int_equal(omma_alone_run(&a, n, (omma_tensor[]){x, x}, NULL, &err), OMMA_OK);
    expect_floats(omma_alone_output(&a, n, 0), (float[]){9, 4, 49}, 3);
    omma_alone_free(&a);

    n = node_of(m->graph, "sum"); /* a constant */
    assert_int_equal(omma_alone_run(&a, n, (omma_tensor[]){x, none}, NULL, &err), OMMA_OK);
    expect_floats(omma_alone_output(&a, n, 0), (float[]){7, 12, 17}, 3);
    assert_null(omma_alone_output(&a, n, 1));
    omma_alone_free(&a);

    n = node_of(m->graph, "clip"); /* an input left out */
    data[2] = 70;
    assert_int_equal(omma_alone_run(&a, n, (omma_tensor[]){x, none, none}, NULL, &err), OMMA_OK);
    expect_floats(omma_alone_output(&a, n, 0), (float[]){-3, 2, 10}, 3);
    omma_alone_free(&a);

    n = node_of(m->graph, "indices"); /* two outputs, an attribute, a constant that is a size */
    assert_int_equal(omma_alone_run(&a, n, (omma_tensor[]){x, none}, NULL, &err), OMMA_OK);
    expect_floats(omma_alone_output(&a, n, 0), (float[]){70, 2}, 2);
    assert_int_equal(((int64_t *)omma_alone_output(&a, n, 1)->data)[1], 1);
    omma_alone_free(&a);

    const omma_tensor wrong = {OMMA_F32, 0, {0}, data}; /* TopK of a scalar is refused */
    assert_int_not_equal(omma_alone_run(&a, n, (omma_tensor[]){wrong, none}, NULL, &err), OMMA_OK);
    assert_null(omma_alone_output(&a, n, 0));
    omma_alone_free(&a);
    omma_model_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(tolerance),
        cmocka_unit_test(odd_numbers),
        cmocka_unit_test(whole_numbers),
        cmocka_unit_test(types_and_shapes),
        cmocka_unit_test(long_and_unaligned),
        cmocka_unit_test(file_names),
        cmocka_unit_test(loose_names),
        cmocka_unit_test(alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
