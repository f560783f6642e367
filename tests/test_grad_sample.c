/* test_grad_sample.c - the gradients of Resize, Upsample, GridSample, RoiAlign and AffineGrid
 * against central differences. */
#include "resizings.h"

/* --- Resize ------------------------------------------------------------------------------- */

static void resize_modes(void **state) {
    (void)state;
    resize_each(gradcheck_run);
}

static void resize_axes(void **state) {
    (void)state;
    static const char *const policies[] = {"stretch", "not_larger", "not_smaller"};
    for (int k = 0; k < 3; k++) {
        gradcheck *c = gradcheck_new("Resize", 18, 1);
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 4, 3, 2));
        gradcheck_skip(c), gradcheck_skip(c);
        gradcheck_list(c, (const int64_t[]){5, 7}, 2);
        gradcheck_ints(c, "axes", 2, (const int64_t[]){-3, 2});
        gradcheck_text(c, "mode", "linear");
        gradcheck_text(c, "keep_aspect_ratio_policy", policies[k]);
        gradcheck_run(c);
    }
}

static void upsample(void **state) {
    (void)state;
    static const int opsets[] = {9, 13, 7};
    static const float scales[] = {1, 1, 2, 1.5f};
    for (int k = 0; k < 6; k++) {
        gradcheck *c = gradcheck_new("Upsample", opsets[k % 3], 1);
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 2, 3, 4));
        if (k % 3 < 2) gradcheck_data(c, (const double[]){1, 1, 2, 1.5}, 1, (int64_t[]){4});
        else
            gradcheck_attr(c, (omma_attr){.name = "scales",
                                          .kind = OMMA_ATTR_FLOATS,
                                          .floats = scales,
                                          .count = 4,
                                          .s = ""});
        if (k % 3 < 2) c->in[1].fixed = true;
        gradcheck_text(c, "mode", k < 3 ? "nearest" : "linear");
        gradcheck_run(c);
    }
    gradcheck *c = gradcheck_new("Resize", 10, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(1, 3, 4, 4));
    gradcheck_data(c, (const double[]){1, 1, 0.5, 2}, 1, (int64_t[]){4})->fixed = true;
    gradcheck_text(c, "mode", "linear");
    gradcheck_run(c);
}

/* --- GridSample --------------------------------------------------------------------------- */

static const char *const paddings[] = {"zeros", "border", "reflection"};

/* Random places in and about the map, in pixels; kinks are at whole and half ones, and the numbers
 * drawn keep away from those. */
static void places(gradcheck *c, int rank, const int64_t *dims, const int64_t *in, bool align) {
    gradcheck_in *grid = gradcheck_float(c, -3, 8, rank, dims);
    const int k = rank - 2;
    for (int64_t i = 0; i < grid->count; i++) {
        const double len = (double)in[k - 1 - i % k];
        double *v = (double *)grid->data + i;
        *v = align ? 2 * *v / (len - 1) - 1 : (2 * *v + 1) / len - 1;
    }
}

static void grid_sample(void **state) {
    (void)state;
    static const char *const modes[] = {"linear", "cubic", "nearest"};
    static const int64_t in[][2] = {{4, 4}, {3, 5}, {6, 2}};
    for (int k = 0; k < 54; k++) {
        const int64_t *s = in[k % 3];
        gradcheck *c = gradcheck_new("GridSample", 20, 1);
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 1 + k % 2, s[0], s[1]));
        places(c, 4, (int64_t[]){2, 3, 4, 2}, s, k / 27);
        gradcheck_text(c, "mode", modes[k / 3 % 3]);
        gradcheck_text(c, "padding_mode", paddings[k / 9 % 3]);
        gradcheck_int(c, "align_corners", k / 27);
        c->step = 1e-6;
        gradcheck_run(c);
    }
}

static void grid_sample_3d(void **state) {
    (void)state;
    static const int64_t in[] = {2, 3, 4};
    for (int k = 0; k < 12; k++) {
        gradcheck *c = gradcheck_new("GridSample", 20, 1);
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 2, 2, 3, 4));
        places(c, 5, (int64_t[]){2, 2, 2, 3, 3}, in, k % 2);
        gradcheck_text(c, "mode", k < 6 ? "linear" : "nearest");
        gradcheck_text(c, "padding_mode", paddings[k / 2 % 3]);
        gradcheck_int(c, "align_corners", k % 2);
        c->step = 1e-6;
        gradcheck_run(c);
    }
}

/* What the grid's gradient is at kinks, on edges and beyond them; numbers of PyTorch 2. */
static void grid_sample_kinks(void **state) {
    (void)state;
    static const double x[] = {1, 3, 7, 2, 5, 4, 9, 8, 6, 0, 2, 3};
    static const struct {
        int padding, align;
        double at[2], want[2]; /* pixels; d y / d grid */
    } cases[] = {{0, 1, {1, 1}, {7.5, -4}},
                 {0, 1, {0, 0}, {3, 4}},
                 {0, 1, {3, 2}, {-4.5, -3}},
                 {0, 0, {-0.5, 1}, {10, 0.75}},
                 {0, 0, {4.25, 1.25}, {0, 0}},
                 {1, 1, {0, 0}, {0, 0}},
                 {1, 1, {3, 2}, {0, 0}},
                 {1, 1, {3.5, 0.25}, {0, 6}},
                 {1, 0, {-1, 1}, {0, 1.5}},
                 {1, 0, {3, 0.5}, {0, 9}},
                 {1, 0, {-1.25, 2.25}, {0, 0}},
                 {2, 1, {1, 1}, {7.5, -4}},
                 {2, 1, {0, 0.5}, {0, 4}},
                 {2, 1, {3.5, 0.25}, {6, 4}},
                 {2, 1, {4.25, 1.25}, {-6.375, -6.25}},
                 {2, 0, {-0.5, 1}, {0, 1.5}},
                 {2, 0, {3.5, 0.25}, {0, 9}},
                 {2, 0, {4.25, 1.25}, {1, -8.25}},
                 {2, 0, {-1.25, 2.25}, {12, 0}},
                 {1, 1, {4.25, 1.25}, {0, -5}},
                 {2, 1, {3, 2}, {0, 0}},
                 {2, 1, {0, 0}, {0, 0}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const double *at = cases[i].at;
        gradcheck_side s;
        gradcheck *c = gradcheck_new("GridSample", 20, 1);
        gradcheck_data(c, x, GRADCHECK_DIMS(1, 1, 3, 4));
        const double grid[] = {cases[i].align ? 2 * at[0] / 3 - 1 : (2 * at[0] + 1) / 4 - 1,
                               cases[i].align ? at[1] - 1 : (2 * at[1] + 1) / 3 - 1};
        gradcheck_data(c, grid, GRADCHECK_DIMS(1, 1, 1, 2));
        gradcheck_text(c, "padding_mode", paddings[cases[i].padding]);
        gradcheck_int(c, "align_corners", cases[i].align);
        gradcheck_build(&s, c, OMMA_F64);
        gradcheck_back(&s, c);
        for (int d = 0; d < 2; d++) {
            const double got = gradcheck_number(omma_gradient_result(s.gradient, 1), d) /
                               gradcheck_number(&s.seed[0], 0);
            if (!(fabs(got - cases[i].want[d]) <= 1e-9))
                fail_msg("case %zu, number %d: %.9g, not %.9g", i, d, got, cases[i].want[d]);
        }
        gradcheck_drop(&s);
        omma_arena_free(&c->arena);
        test_free(c);
    }
}

/* --- RoiAlign ----------------------------------------------------------------------------- */

static const double regions[] = {0.7, 1.1, 5.3,  4.6, -2.2, 0.3, 3.9,  7.7,  2.15, 2.2,
                                 2.6, 2.7, -9.1, 1.2, -4.7, 3.4, 1.23, -1.1, 9.6,  2.8};

static void roi_align(void **state) {
    (void)state;
    for (int k = 0; k < 24; k++) {
        gradcheck *c = gradcheck_new("RoiAlign", k % 2 ? 16 : 10, 1);
        gradcheck_float(c, k / 12 ? 0.1 : -1, 1, GRADCHECK_DIMS(2, 3, 5, 6));
        gradcheck_data(c, regions, GRADCHECK_DIMS(5, 4))->still = true;
        gradcheck_whole(c, (const int64_t[]){0, 1, 1, 0, 1}, GRADCHECK_DIMS(5));
        gradcheck_text(c, "mode", k / 12 ? "max" : "avg");
        gradcheck_int(c, "sampling_ratio", k % 3);
        gradcheck_int(c, "output_height", 1 + k / 3 % 4);
        gradcheck_int(c, "output_width", 2);
        gradcheck_real(c, "spatial_scale", k % 4 > 1 ? 1.f : 0.75f);
        if (k % 8 == 3) gradcheck_text(c, "coordinate_transformation_mode", "output_half_pixel");
        gradcheck_run(c);
    }
}

/* By the regions it is zero, as in torchvision. */
static void roi_align_regions(void **state) {
    (void)state;
    gradcheck_side s;
    gradcheck *c = gradcheck_new("RoiAlign", 16, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(1, 2, 4, 4));
    gradcheck_data(c, regions, GRADCHECK_DIMS(2, 4));
    gradcheck_whole(c, (const int64_t[]){0, 0}, GRADCHECK_DIMS(2));
    gradcheck_build(&s, c, OMMA_F64);
    gradcheck_back(&s, c);
    assert_int_equal(s.n_by, 2);
    for (int i = 0; i < 8; i++)
        assert_true(gradcheck_number(omma_gradient_result(s.gradient, 1), i) == 0);
    gradcheck_drop(&s);
    omma_arena_free(&c->arena);
    test_free(c);
}

static void affine_grid(void **state) {
    (void)state;
    static const int64_t sizes[][5] = {{2, 3, 4, 5}, {1, 1, 1, 3}, {2, 1, 3, 1, 2}};
    for (int k = 0; k < 6; k++) {
        const int axes = k / 2 == 2 ? 3 : 2;
        gradcheck *c = gradcheck_new("AffineGrid", 20, 1);
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(sizes[k / 2][0], axes, axes + 1));
        gradcheck_list(c, sizes[k / 2], axes + 2);
        gradcheck_int(c, "align_corners", k % 2);
        gradcheck_run(c);
    }
}

/* --- threads and halves ------------------------------------------------------------------- */

static gradcheck *one_of(int k) {
    static const resizing wide = {4, {2, 4, 20, 22}, {2, 4, 31, 40}, {0}};
    const int64_t in[] = {9, 11};
    const char *const op[] = {"Resize", "GridSample", "RoiAlign", "RoiAlign"};
    if (k == 0) return resize_node(&wide, "cubic", "half_pixel");
    gradcheck *c = gradcheck_new(op[k], 20, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 18, 9, 11));
    if (k == 1) places(c, 4, (int64_t[]){2, 17, 23, 2}, in, false);
    else {
        gradcheck_data(c, regions, GRADCHECK_DIMS(5, 4))->still = true;
        gradcheck_whole(c, (const int64_t[]){0, 1, 1, 0, 1}, GRADCHECK_DIMS(5));
        gradcheck_text(c, "mode", k == 2 ? "avg" : "max");
        gradcheck_int(c, "output_height", 7), gradcheck_int(c, "output_width", 6);
        gradcheck_int(c, "sampling_ratio", 2);
    }
    return c;
}

/* The same bits for every number of threads. */
static void threads(void **state) {
    (void)state;
    for (int k = 0; k < 4; k++) {
        gradcheck_side s;
        gradcheck *c = one_of(k);
        gradcheck_build(&s, c, OMMA_F32);
        gradcheck_back(&s, c);
        const omma_gradient_how how = {
            .of = s.of, .n_of = s.n_of, .by = s.by, .n_by = s.n_by, .seeded = 1};
        for (int n = 1; n <= 8; n = n == 1 ? 2 : n + 3) {
            omma_gradient *g;
            const omma_options opt = {.threads = n};
            assert_int_equal(omma_gradient_on_graph(&g, s.g, "check", &how, &opt, &s.err), 0);
            assert_int_equal(omma_gradient_run(g, s.in, s.g->n_inputs, s.seed, &s.err), 0);
            for (int i = 0; i < s.n_by; i++) {
                const omma_tensor *a = omma_gradient_result(s.gradient, i),
                                  *b = omma_gradient_result(g, i);
                assert_memory_equal(a->data, b->data, (size_t)gradcheck_count(a) * sizeof(float));
            }
            omma_gradient_free(g);
        }
        gradcheck_drop(&s);
        omma_arena_free(&c->arena);
        test_free(c);
    }
}

/* In float16, as good as its numbers are. */
static void halves(void **state) {
    (void)state;
    for (int k = 0; k < 3; k++) {
        gradcheck_side wide, half;
        gradcheck *c = one_of(k);
        c->tolerance32 = 0.02;
        gradcheck_build(&wide, c, OMMA_F64);
        gradcheck_back(&wide, c);
        gradcheck_build(&half, c, OMMA_F16);
        gradcheck_back(&half, c);
        for (int i = 0; i < wide.n_by; i++) {
            assert_int_equal(omma_gradient_result(half.gradient, i)->dtype, OMMA_F16);
            gradcheck_compare(c, &wide, &half, i);
        }
        gradcheck_drop(&wide);
        gradcheck_drop(&half);
        omma_arena_free(&c->arena);
        test_free(c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resize_modes),   cmocka_unit_test(resize_axes),
        cmocka_unit_test(upsample),       cmocka_unit_test(grid_sample),
        cmocka_unit_test(grid_sample_3d), cmocka_unit_test(grid_sample_kinks),
        cmocka_unit_test(roi_align),      cmocka_unit_test(roi_align_regions),
        cmocka_unit_test(affine_grid),    cmocka_unit_test(threads),
        cmocka_unit_test(halves)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
