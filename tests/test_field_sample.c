/* test_field_sample.c - the fields of Resize, GridSample, RoiAlign and AffineGrid against what
 * changes. */
#include "fieldcheck.h"
#include "field/reach.h"
#include "resizings.h"

static void exact(gradcheck *c) { fieldcheck_run(c, FIELDCHECK_EXACT); }

static void resize_modes(void **state) {
    (void)state;
    resize_each(exact);
}

/* The closed form: output o sees [stride o + low, stride o + high] were there no edges. */
static void resize_reach(void **state) {
    (void)state;
    static const struct {
        const char *mode, *coordinate;
        int64_t in, out;
        int antialias;
        double stride, low, high;
    } cases[] = {{"nearest", "asymmetric", 6, 12, 0, 0.5, -0.5, 0}, /* 0 0 1 1 */
                 {"linear", "half_pixel", 6, 12, 0, 0.5, -1, 0.5},
                 {"linear", "align_corners", 5, 9, 0, 0.5, -0.5, 0.5},
                 {"linear", "half_pixel", 12, 6, 0, 2, 0, 1},
                 {"linear", "half_pixel", 12, 6, 1, 2, -1, 2},
                 {"cubic", "half_pixel", 6, 12, 0, 0.5, -2, 1.5}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const resizing r = {4, {1, 1, cases[i].in, 5}, {1, 1, cases[i].out, 5}, {0}};
        gradcheck *c = resize_node(&r, cases[i].mode, cases[i].coordinate);
        gradcheck_side s;
        omma_fields f;
        omma_specialised sp;
        if (cases[i].antialias) gradcheck_int(c, "antialias", 1);
        gradcheck_build(&s, c, OMMA_F64);
        const omma_specialise_how how = {.reading = OMMA_READ_FIELD};
        assert_int_equal(omma_specialise(&sp, s.g, s.in, &how, &s.arena, &s.err), OMMA_OK);
        assert_int_equal(omma_fields_new(&f, sp.graph, NULL, NULL, &s.err), OMMA_OK);
        const omma_reach *at =
            omma_reaches(&f, sp.graph->inputs[0], 2, OMMA_FIELD_STRUCTURAL, &s.arena);
        assert_non_null(at);
        const omma_reach *y = &at[sp.graph->outputs[0]->index];
        if (y->whole || y->digit.axis != 2 || fabs(y->stride - cases[i].stride) > 1e-12 ||
            fabs(y->low - cases[i].low) > 1e-12 || fabs(y->high - cases[i].high) > 1e-12)
            fail_msg("case %zu: %g o + [%g, %g]", i, y->stride, y->low, y->high);
        omma_fields_free(&f);
        gradcheck_drop(&s);
        omma_arena_free(&c->arena);
        test_free(c);
    }
}

/* --- GridSample --------------------------------------------------------------------------- */

static gradcheck *sampling(int k, const char *mode) {
    static const char *const paddings[] = {"zeros", "border", "reflection"};
    gradcheck *c = gradcheck_new("GridSample", 20, 1);
    gradcheck_float(c, 0.1, 1, GRADCHECK_DIMS(2, 2, 3, 4));
    gradcheck_in *grid = gradcheck_float(c, -1.3, 1.3, GRADCHECK_DIMS(2, 2, 3, 2));
    double *g = grid->data;
    g[0] = -1, g[1] = 1, g[2] = 0, g[3] = 0.5, g[4] = 2, g[5] = 0; /* edges, whole pixels, beyond */
    gradcheck_text(c, "mode", mode);
    gradcheck_text(c, "padding_mode", paddings[k % 3]);
    gradcheck_int(c, "align_corners", k / 3);
    return c;
}

static void grid_sample(void **state) {
    (void)state;
    static const char *const modes[] = {"linear", "cubic", "nearest"};
    for (int k = 0; k < 18; k++) {
        gradcheck *c = sampling(k % 6, modes[k / 6]);
        c->in[1].fixed = true; /* a grid of the model's own */
        fieldcheck_run(c, FIELDCHECK_EXACT);
        c = sampling(k % 6, modes[k / 6]);
        c->in[1].still = true; /* the image's, which stays */
        fieldcheck_run(c, FIELDCHECK_EXACT | FIELDCHECK_KNOWN);
    }
}

/* The grid's own field, and that of a grid nobody knows. */
static void grid_sample_control(void **state) {
    (void)state;
    for (int k = 0; k < 6; k++) {
        gradcheck *c = sampling(k, "linear");
        c->in[0].still = true;
        fieldcheck_run(c, FIELDCHECK_KNOWN);
        fieldcheck_run(sampling(k, "cubic"), 0);
    }
}

static void grid_sample_3d(void **state) {
    (void)state;
    for (int k = 0; k < 4; k++) {
        gradcheck *c = gradcheck_new("GridSample", 20, 1);
        gradcheck_float(c, 0.1, 1, GRADCHECK_DIMS(3, 1, 2, 3, 2));
        gradcheck_float(c, -1.3, 1.3, GRADCHECK_DIMS(3, 2, 1, 2, 3))->still = true;
        gradcheck_text(c, "mode", k % 2 ? "nearest" : "linear");
        gradcheck_text(c, "padding_mode", k < 2 ? "zeros" : "reflection");
        fieldcheck_run(c, FIELDCHECK_EXACT | FIELDCHECK_KNOWN);
    }
}

/* --- RoiAlign ----------------------------------------------------------------------------- */

static gradcheck *aligning(int k) {
    static const double regions[] = {0.7, 1.1, 5.3, 4.6, -2.2, 0.3, 3.9,  7.7,
                                     2.5, 2.5, 2.6, 2.7, -9.1, 1.2, -4.7, 3.4};
    gradcheck *c = gradcheck_new("RoiAlign", k % 2 ? 16 : 10, 1);
    gradcheck_float(c, 0, 1e-3, GRADCHECK_DIMS(2, 2, 5, 6)); /* any can become the largest */
    gradcheck_data(c, regions, GRADCHECK_DIMS(4, 4));
    gradcheck_whole(c, (const int64_t[]){0, 1, 1, 0}, GRADCHECK_DIMS(4));
    gradcheck_text(c, "mode", k / 6 ? "max" : "avg");
    gradcheck_int(c, "sampling_ratio", k % 3);
    gradcheck_int(c, "output_height", 3);
    gradcheck_int(c, "output_width", 2);
    return c;
}

static void roi_align(void **state) {
    (void)state;
    for (int k = 0; k < 12; k++) {
        gradcheck *c = aligning(k);
        c->in[1].still = true;
        fieldcheck_run(c, FIELDCHECK_EXACT | FIELDCHECK_KNOWN);
        c = aligning(k);
        c->in[1].fixed = c->in[2].fixed = true;
        fieldcheck_run(c, FIELDCHECK_EXACT);
        fieldcheck_run(aligning(k), 0);
        c = aligning(k);
        c->in[2].fixed = true; /* the image is known, the place is not */
        fieldcheck_run(c, 0);
    }
}

static void affine_grid(void **state) {
    (void)state;
    static const int64_t sizes[][5] = {{2, 3, 4, 5}, {1, 1, 1, 3}, {2, 1, 3, 1, 2}};
    for (int k = 0; k < 6; k++) {
        const int axes = k / 2 == 2 ? 3 : 2;
        gradcheck *c = gradcheck_new("AffineGrid", 20, 1);
        gradcheck_float(c, 0.1, 1, GRADCHECK_DIMS(sizes[k / 2][0], axes, axes + 1));
        gradcheck_list(c, sizes[k / 2], axes + 2);
        gradcheck_int(c, "align_corners", k % 2);
        fieldcheck_run(c, FIELDCHECK_EXACT);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resize_modes),   cmocka_unit_test(resize_reach),
        cmocka_unit_test(grid_sample),    cmocka_unit_test(grid_sample_control),
        cmocka_unit_test(grid_sample_3d), cmocka_unit_test(roi_align),
        cmocka_unit_test(affine_grid)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
