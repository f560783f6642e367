/* test_scaled.c - constants that are made when they are read (graph/scaled.h): the numbers are
 * right whenever they are read, one constant after the other and kept; a model whose norms are
 * folded into large weights computes the same at every size, in whatever form a size wants them. */
#define _DEFAULT_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/pages.h"
#include "file/bytes.h"
#include "graph/scaled.h"
#include "model/model.h"
#include "naive.h"
#include "onnxmake.h"

enum { M = 96, C = 128, K = 9, COUNT = M * C * K };

static float weights[COUNT], norm[4][M], pixels[C * 24 * 24];

static void check(const void *at, const double *by, int64_t channels, int64_t inner) {
    const float *x = at;
    assert_non_null(x);
    for (int64_t i = 0; i < COUNT; i++)
        if (x[i] != (float)(weights[i] * by[i / inner % channels]))
            fail_msg("number %lld is %g", (long long)i, (double)x[i]);
}

/* As weights of a convolution, and of one that goes back. */
static void they_come_and_go(void **state) {
    (void)state;
    static const int64_t middle[][2] = {{M, C * K}, {C, K}};
    omma_arena arena;
    omma_budget budget = {.limit = 2 * sizeof weights};
    omma_staging staging = {.budget = &budget};
    omma_arena_init(&arena, NULL);
    double by[C];
    for (int i = 0; i < C; i++) by[i] = 0.5 + i;
    for (size_t i = 0; i < sizeof middle / sizeof *middle; i++) {
        omma_value v = {.dtype = OMMA_F32, .rank = 1, .dims = {COUNT}};
        v.scaled = omma_scaled_new(&arena, weights, COUNT, by, middle[i][0], middle[i][1]);
        assert_non_null(v.scaled);
        v.data = v.scaled->data;
        for (int round = 0; round < 3; round++)
            check(omma_staging_read(&staging, &v), by, middle[i][0], middle[i][1]);
        assert_true(omma_staging_read(&staging, &v) != v.data);
        omma_scaled_keep(&v);
        check(v.data, by, middle[i][0], middle[i][1]);
        assert_ptr_equal(omma_staging_read(&staging, &v), v.data);
    }
    const omma_value plain = {.dtype = OMMA_F32, .rank = 1, .dims = {COUNT}, .data = weights};
    assert_ptr_equal(omma_staging_read(&staging, &plain), weights);
    assert_ptr_equal(omma_staging_read(NULL, &plain), weights);
    assert_true(budget.used >= sizeof weights);
    omma_staging_free(&staging);
    assert_int_equal(budget.used, 0);
    omma_arena_free(&arena);
}

/* Without staging they are kept; where the budget has no room, that is said. */
static void or_stay_or_do_not_fit(void **state) {
    (void)state;
    omma_arena arena;
    omma_arena_init(&arena, NULL);
    double by[M];
    for (int i = 0; i < M; i++) by[i] = 1 - i;
    omma_value v = {.dtype = OMMA_F32, .rank = 1, .dims = {COUNT}};
    v.scaled = omma_scaled_new(&arena, weights, COUNT, by, M, C * K);
    assert_non_null(v.scaled);
    v.data = v.scaled->data;
    omma_budget budget = {.limit = sizeof weights - 1};
    omma_staging staging = {.budget = &budget};
    assert_null(omma_staging_read(&staging, &v));
    assert_int_equal(budget.used, 0);
    assert_ptr_equal(omma_staging_read(NULL, &v), v.data);
    check(v.data, by, M, C * K);
    omma_arena_free(&arena);
}

/* A file of some megabytes, its numbers at an odd place: they are the same read from the file and
 * where it is mapped, and scaled. */
static void of_a_file(void **state) {
    (void)state;
    enum { ODD = 3, TIMES = 4 };
    char path[] = "/tmp/omma-test-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *f = fdopen(fd, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite("odd", ODD, 1, f), 1);
    for (int i = 0; i < TIMES; i++) assert_int_equal(fwrite(weights, sizeof weights, 1, f), 1);
    assert_int_equal(fclose(f), 0);
    omma_bytes b;
    assert_int_equal(omma_bytes_map(&b, path, NULL), 0);
    unlink(path);
    assert_true(b.mapped && b.size == ODD + TIMES * sizeof weights);
    assert_true(omma_pages_of_file(b.data) && omma_pages_of_file(b.data + b.size - 1));
    assert_false(omma_pages_of_file(weights));
    static char copy[sizeof weights + 64];
    for (size_t at = 0; at + sizeof copy < b.size; at += 100001) {
        omma_pages_copy(copy, b.data + at, sizeof copy);
        assert_memory_equal(copy, b.data + at, sizeof copy);
    }
    omma_pages_copy(copy, b.data + b.size - 7, 7);
    assert_memory_equal(copy, (const char *)weights + sizeof weights - 7, 7);
    omma_pages_copy(copy, weights, sizeof weights); /* of no file */
    assert_memory_equal(copy, weights, sizeof weights);
    omma_arena arena;
    omma_arena_init(&arena, NULL);
    double by[M];
    for (int i = 0; i < M; i++) by[i] = 3 - i;
    omma_staging staging = {.most = 2 * sizeof weights};
    omma_value v = {.dtype = OMMA_F32, .rank = 1, .dims = {COUNT}};
    v.scaled = omma_scaled_new(&arena, b.data + ODD + sizeof weights, COUNT, by, M, C * K);
    assert_non_null(v.scaled);
    v.data = v.scaled->data;
    check(omma_staging_read(&staging, &v), by, M, C * K);
    assert_int_equal(staging.bytes, staging.most);
    omma_staging_free(&staging);
    omma_arena_free(&arena);
    omma_bytes_free(&b);
    assert_false(omma_pages_of_file(b.data));
}

/* Conv, BatchNormalization, Relu, and a frozen norm behind another Conv. */
static void open_model(omma_model **m) {
    mk g = {0}, a = {0};
    omma_error err;
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(1, C, -1, -1));
    mk_floats(&g, "w", weights, MK_DIMS(M, C, 3, 3)),
        mk_floats(&g, "u", weights, MK_DIMS(C, M, 3, 3));
    for (int i = 0; i < 4; i++)
        mk_floats(&g, (const char *[]){"s", "b", "m", "v"}[i], norm[i], MK_DIMS(M));
    mk_floats(&g, "f", weights + 7, MK_DIMS(1, C, 1, 1));
    mk_attr_ints(&a, "pads", (int64_t[]){1, 1, 1, 1}, 4), mk_op(&g, "Conv", "x,w", "c", &a);
    mk_op(&g, "BatchNormalization", "c,s,b,m,v", "n", NULL), mk_op(&g, "Relu", "n", "r", NULL);
    mk_attr_ints(&a, "pads", (int64_t[]){1, 1, 1, 1}, 4), mk_op(&g, "Conv", "r,u", "d", &a);
    mk_op(&g, "Mul", "d,f", "y", NULL);
    mk_port(&g, MK_OUTPUT, "y", OMMA_F32, -1, NULL);
    mk bytes = mk_model(&g, 17);
    if (mk_open(m, &bytes, NULL, &err)) fail_msg("%s", err.message);
    mk_free(&bytes);
}

static void every_size_finds_them(void **state) {
    (void)state;
    static const int64_t sides[][2] = {{24, 24}, {1, 1}, {5, 3}, {24, 24}, {12, 20}, {2, 24}};
    omma_model *m;
    omma_session *s[2];
    omma_error err;
    open_model(&m);
    for (int k = 0; k < 2; k++)
        assert_int_equal(omma_session_new(&s[k], m, &(omma_options){.threads = 1 + k}, &err), 0);
    assert_int_equal(omma_session_watch(s[1], "c", &err), OMMA_OK);
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        const omma_tensor in = {OMMA_F32, 4, {1, C, sides[i][0], sides[i][1]}, pixels};
        naive x;
        naive_run(&x, m->graph, &in);
        const omma_tensor want = omma_value_tensor(x.g->outputs[0]);
        for (int k = 0; k < 2; k++) {
            if (omma_session_run(s[k], &in, 1, &err)) fail_msg("%s", err.message);
            naive_compare(omma_session_output(s[k], 0), &want, 1e-4, "y");
        }
        naive_free(&x);
    }
    for (int k = 0; k < 2; k++) omma_session_free(s[k]);
    omma_model_free(m);
}

int main(void) {
    for (int i = 0; i < COUNT; i++) weights[i] = (float)(i * 37 % 101 - 50) / 1000;
    for (int i = 0; i < 4 * M; i++) norm[i / M][i % M] = 0.5f + (float)(i % 13) / 8;
    for (size_t i = 0; i < sizeof pixels / sizeof *pixels; i++)
        pixels[i] = (float)(i * 29 % 61) / 30 - 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_come_and_go), cmocka_unit_test(or_stay_or_do_not_fit),
        cmocka_unit_test(of_a_file), cmocka_unit_test(every_size_finds_them)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
