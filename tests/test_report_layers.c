/* test_report_layers.c - the layers of a model in a report: which there are, what repeats another,
 * and the lines of each against the field of each cell by a walk of its own. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "lookread.h"
#include "onnxmake.h"
#include "view/report_layers.h"

enum { H = 21, W = 17 };

static const unsigned char jpeg[] = {0xff, 0xd8, 0xff, 0xd9};
static float numbers[4096];

static void conv(mk *g, const char *in, const char *w, const char *out, int channels, int from,
                 int k, int stride) {
    mk a = {0};
    char inputs[16];
    snprintf(inputs, sizeof inputs, "%s,%s", in, w);
    mk_floats(g, w, numbers, MK_DIMS(channels, from, k, k));
    mk_attr_ints(&a, "kernel_shape", (int64_t[]){k, k}, 2);
    mk_attr_ints(&a, "strides", (int64_t[]){stride, stride}, 2);
    mk_attr_ints(&a, "pads", (int64_t[]){k / 2, k / 2, k / 2, k / 2}, 4);
    mk_op(g, "Conv", inputs, out, &a);
}

/* 3x3, Relu, 1x1 of stride 2 (holes), two 3x3 that are concatenated, then a gate: the mean of the
 * whole map times the map. */
static void write_model(char *path) {
    mk g = {0}, a = {0};
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(1, 3, H, W));
    conv(&g, "x", "w1", "c1", 4, 3, 3, 1);
    mk_op(&g, "Relu", "c1", "r0", NULL);
    mk_op(&g, "Sigmoid", "r0", "r1", NULL);
    conv(&g, "r1", "w2", "c2", 4, 4, 1, 2);
    conv(&g, "c2", "w3", "c3", 4, 4, 3, 1);
    mk_attr_int(&a, "axis", 1);
    mk_op(&g, "Concat", "c2,c3", "both", &a);
    conv(&g, "both", "w4", "c4", 4, 8, 3, 1);
    mk_op(&g, "GlobalAveragePool", "c4", "mean", NULL);
    mk_op(&g, "Mul", "c4,mean", "y", NULL);
    mk_port(&g, MK_OUTPUT, "y", OMMA_F32, MK_DIMS(1, 4, 11, 9));
    mk m = mk_model(&g, 17);
    mk_write(path, &m);
    mk_free(&m);
}

/* Layer i sees, of every cell, what a walk from the cell finds. */
static void same_as_walks(omma_fov *f, const look_page *p, int i, const char *value, int64_t rows,
                          int64_t columns) {
    const omma_json *l = look_part(p, "layer", i);
    const omma_json *y = omma_json_get(omma_json_get(l, "y"), "lines"),
                    *x = omma_json_get(omma_json_get(l, "x"), "lines");
    unsigned char *down = look_runs(p, y, H), *across = look_runs(p, x, W);
    const bool all_y = look_int(y, "count") == 1, all_x = look_int(x, "count") == 1;
    uint64_t seen[(3 * H * W + 63) / 64];
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++) {
            omma_fov_status status;
            omma_error err;
            if (omma_fov_back(f, value, (int64_t[]){-1, -1, r, c}, OMMA_FOV_STRUCTURAL, "x", seen,
                              &status, &err))
                fail_msg("%s", err.message);
            for (int q = 0; q < H * W; q++) {
                const int want =
                    omma_bit(seen, q) || omma_bit(seen, H * W + q) || omma_bit(seen, 2 * H * W + q);
                const int got =
                    down[(all_y ? 0 : r) * H + q / W] & across[(all_x ? 0 : c) * W + q % W];
                assert_int_equal(got, want);
            }
        }
    free(down), free(across);
}

static void layers(void **state) {
    (void)state;
    char path[64] = "";
    omma_error err;
    omma_model *model;
    omma_fov *f;
    omma_report *r;
    write_model(path);
    assert_int_equal(omma_model_open(&model, path, NULL, &err), OMMA_OK);
    unlink(path);
    const omma_tensor in = {OMMA_F32, 4, {1, 3, H, W}, NULL};
    assert_int_equal(omma_fov_new(&f, model, &in, 1, NULL, &err), OMMA_OK);
    FILE *file = tmpfile();
    const omma_report_about about = {
        .picture = jpeg, .picture_size = sizeof jpeg, .width = W, .height = H};
    const omma_report_about_model m = {.name = "m", .seconds = NAN};
    const omma_graph *g = f->specialised.graph;
    int *part = calloc((size_t)g->n_values, sizeof *part);
    assert_int_equal(omma_report_begin(&r, file, &about, &err), OMMA_OK);
    assert_int_equal(omma_report_model(r, &m, &err), OMMA_OK);
    assert_int_equal(omma_report_layers(r, f, part, NULL, &err), OMMA_OK);
    assert_int_equal(omma_report_end(r, &err), OMMA_OK);
    fflush(file);
    look_page p = look_read(file);

    /* Relu is the same as c1; r1 too, but ends a stage; the mean has no cells. */
    static const struct {
        const char *value, *made_by;
        int64_t rows, columns;
        int size; /* 0: whole */
    } want[] = {{"c1", "Conv 3x3", H, W, 3},
                {"r1", "Sigmoid", H, W, 3},
                {"c2", "Conv 1x1, stride 2x2", 11, 9, 3},
                {"c3", "Conv 3x3", 11, 9, 7},
                {"both", "Concat", 11, 9, 7},
                {"c4", "Conv 3x3", 11, 9, 11},
                {"y", "Mul", 11, 9, 0}};
    enum { N = sizeof want / sizeof *want };
    for (int i = 0; i < N; i++) {
        const omma_json *l = look_part(&p, "layer", i), *y = omma_json_get(l, "y");
        assert_non_null(l);
        assert_string_equal(omma_json_as_text(omma_json_get(l, "made_by")), want[i].made_by);
        assert_int_equal(look_int(y, "cells"), want[i].rows);
        if (want[i].size) assert_int_equal(look_int(y, "size"), want[i].size);
        else assert_string_equal(omma_json_as_text(omma_json_get(y, "size")), "whole");
        bool bound = true;
        assert_true(omma_json_as_bool(omma_json_get(l, "bound"), &bound) && !bound);
        same_as_walks(f, &p, i, want[i].value, want[i].rows, want[i].columns);
        const char *by = omma_json_as_text(omma_json_get(l, "whole_by"));
        if (i == 6) assert_string_equal(by, "GlobalAveragePool");
        else assert_null(by);
    }
    assert_null(look_part(&p, "layer", N));
    for (int i = 0; i < g->n_values; i++) {
        const char *name = g->values[i]->name;
        if (!strcmp(name, "r0") || !strcmp(name, "c1")) assert_int_equal(part[i], 0);
        if (!strcmp(name, "r1")) assert_int_equal(part[i], 1);
        if (!strcmp(name, "y")) assert_int_equal(part[i], N - 1);
        if (!strcmp(name, "mean")) assert_int_equal(part[i], -1);
    }
    look_page_free(&p);
    free(part);
    fclose(file);
    omma_fov_free(f);
    omma_model_free(model);
}

int main(void) {
    for (int i = 0; i < 4096; i++) numbers[i] = (float)(i % 7) * 0.1f - 0.2f;
    const struct CMUnitTest tests[] = {cmocka_unit_test(layers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
