/* test_effective.c - effective fields against closed forms, through the gradients of real graphs;
 * what is told when something is wrong. */
#include "convmodel.h"
#include "run/session.h"

static bool near(double a, double b) { return fabs(a - b) < 1e-9; }

/* --- closed forms ---------------------------------------------------------------------------- */

/* A stack of n 3x3 convolutions whose weights are all 1: the taps along an axis are those of n
 * boxes, their variance n (k^2 - 1) / 12. */
static void stack(int n, omma_recipe recipe) {
    enum { SIDE = 31 };
    double map[SIDE * SIDE], tap[SIDE] = {0};
    const char *name = NULL;
    model *m = begin(1, SIDE, SIDE);
    for (int i = 0; i < n; i++) name = add_conv(m, (conv){1, 1, 3, 1, 1, 1, 1});
    fill(m);
    omma_effective *e = made(m, name, -1, -1, recipe);
    add(e, m);
    read_map(e, OMMA_SCALE_RAW, map, NULL);
    tap[SIDE / 2] = 1;
    for (int i = 0; i < n; i++) {
        double wider[SIDE] = {0};
        for (int k = 1; k < SIDE - 1; k++) wider[k] = tap[k - 1] + tap[k] + tap[k + 1];
        memcpy(tap, wider, sizeof tap);
    }
    for (int i = 0; i < SIDE * SIDE; i++) {
        const double want = tap[i / SIDE] * tap[i % SIDE];
        assert_true(fabs(map[i] - want) <= want * (n < 10 ? 0 : 1e-6));
    }
    const omma_effective_measures x = measures(e);
    const double sigma = sqrt(n * 8 / 12.0);
    assert_int_equal(x.field, (2 * n + 1) * (2 * n + 1));
    assert_true(x.centre_y == 15 && x.centre_x == 15 && !omma_effective_unit(e)->adrift);
    assert_true(fabs(x.is.sigma_y - sigma) < 1e-4 && fabs(x.is.sigma_x - sigma) < 1e-4);
    assert_true(fabs(x.is.sigma - sigma) < 1e-4);
    assert_true(fabs(x.is.sum / pow(9, n) - 1) < 1e-6);
    assert_true(isnan(x.error.sigma)); /* of one image */
    omma_effective_free(e);
    finish(m);
}

static void stacks(void **state) {
    (void)state;
    static const int n[] = {1, 2, 3, 5, 10};
    static const double sigma[] = {0.8165, 1.1547, 1.4142, 1.8257, 2.5820}; /* published */
    for (int i = 0; i < 5; i++) {
        assert_true(fabs(sqrt(n[i] * 8 / 12.0) - sigma[i]) < 1e-4);
        stack(n[i], OMMA_RECIPE_DEFAULT);
        stack(n[i], OMMA_RECIPE_LUO);
    }
}

static void taps_of_five(void **state) {
    (void)state;
    static const double taps[] = {1, 5, 15, 30, 45, 51, 45, 30, 15, 5, 1};
    double map[21 * 21];
    const char *name = NULL;
    model *m = begin(1, 21, 21);
    for (int i = 0; i < 5; i++) name = add_conv(m, (conv){1, 1, 3, 1, 1, 1, 1});
    omma_effective *e = made(m, name, 10, 9, OMMA_RECIPE_LUO);
    add(e, m);
    read_map(e, OMMA_SCALE_RAW, map, NULL);
    for (int y = 0; y < 21; y++)
        for (int x = 0; x < 21; x++) {
            const double want = y < 5 || y > 15 || x < 4 || x > 14 ? 0 : taps[y - 5] * taps[x - 4];
            assert_true(map[y * 21 + x] == want);
        }
    omma_effective_free(e);
    finish(m);
}

/* Dilations leave holes; strides and padding move the centre. */
static void holes(void **state) {
    (void)state;
    double map[40 * 40];
    model *m = begin(1, 40, 40);
    add_conv(m, (conv){1, 2, 3, 1, 2, 2, 0});
    add_conv(m, (conv){2, 3, 3, 1, 4, 4, 0});
    const char *name = add_conv(m, (conv){3, 4, 3, 1, 8, 8, 0});
    fill(m);
    omma_effective *e = made(m, name, -1, -1, OMMA_RECIPE_DEFAULT);
    add(e, m);
    read_map(e, OMMA_SCALE_RAW, map, NULL);
    int n = 0;
    for (int i = 0; i < 40 * 40; i++) {
        const bool seen = omma_bit(omma_effective_unit(e)->seen, i);
        if (map[i] > 0) assert_true(seen);
        n += map[i] > 0;
    }
    assert_int_equal(n, 15 * 15); /* of 29 x 29 */
    assert_int_equal(measures(e).field, 15 * 15);
    omma_effective_free(e);
    finish(m);
}

static void centres(void **state) {
    (void)state;
    model *m = begin(1, 33, 33);
    add_conv(m, (conv){1, 2, 2, 2, 1, 0, 0});
    const char *name = add_conv(m, (conv){2, 2, 3, 2, 1, 1, 0});
    fill(m);
    omma_effective *e = made(m, name, 0, 2, OMMA_RECIPE_DEFAULT);
    add(e, m);
    const omma_effective_measures x = measures(e);
    assert_true(x.centre_y == 0.5 && x.centre_x == 8.5); /* not the middle of what is seen */
    assert_int_equal(x.field, 4 * 6);
    omma_effective_free(e);
    finish(m);
}

/* A tile of Winograd's convolution would leave traces of rounding beside the field. */
static void no_traces(void **state) {
    (void)state;
    model *m = begin(3, 64, 64);
    add_conv(m, (conv){3, 64, 3, 1, 1, 1, 0});
    add_conv(m, (conv){64, 64, 3, 1, 1, 1, 0});
    add_conv(m, (conv){64, 96, 3, 2, 1, 1, 0});
    const char *name = add_conv(m, (conv){96, 64, 3, 1, 1, 1, 0});
    fill(m);
    omma_effective *e = made(m, name, 10, 15, OMMA_RECIPE_DEFAULT);
    add(e, m);
    assert_int_equal(measures(e).field, 11 * 11);
    omma_effective_free(e);
    finish(m);
}

/* --- random signs ---------------------------------------------------------------------------- */

enum { SIGNS_SIDE = 9, SIGNS_SIZE = SIGNS_SIDE * SIGNS_SIDE };

static const char *two_layers(model **m, int64_t channels) {
    *m = begin(3, SIGNS_SIDE, SIGNS_SIDE);
    add_conv(*m, (conv){3, 8, 3, 1, 1, 1, 0});
    const char *name = add_conv(*m, (conv){8, channels, 3, 1, 1, 1, 0});
    fill(*m);
    return name;
}

/* The sum of squares of the Jacobian over channels and colours, by a seed at each channel. */
static void squares(const model *m, const char *name, int64_t channels, double *sum) {
    omma_error err;
    memset(sum, 0, SIGNS_SIZE * sizeof *sum);
    for (int64_t k = 0; k < channels; k++) {
        omma_effective *e;
        const omma_effective_what what = {
            .unit = {.value = name, .y = 4, .x = 5}, .recipe = OMMA_RECIPE_LUO, .channel = k};
        if (omma_effective_new(&e, m->g, "test", &what, NULL, &err)) fail_msg("%s", err.message);
        add(e, m);
        const double *g = omma_effective_last(e);
        for (int i = 0; i < 3 * SIGNS_SIZE; i++) sum[i % SIGNS_SIZE] += g[i] * g[i];
        omma_effective_free(e);
    }
}

/* E (J^T v)^2 = sum g^2. */
static void signs(void **state) {
    (void)state;
    enum { IMAGES = 600, CHANNELS = 6 };
    static double square[IMAGES][SIGNS_SIZE];
    double want[SIGNS_SIZE];
    model *m;
    const char *name = two_layers(&m, CHANNELS);
    squares(m, name, CHANNELS, want);
    omma_effective *e = made(m, name, 4, 5, OMMA_RECIPE_DEFAULT);
    for (int n = 0; n < IMAGES; n++) {
        add(e, m);
        for (int i = 0; i < SIGNS_SIZE; i++) square[n][i] = pow(omma_effective_last(e)[i], 2);
    }
    for (int i = 0; i < SIGNS_SIZE; i++) {
        double mean = 0, var = 0;
        for (int n = 0; n < IMAGES; n++) mean += square[n][i] / IMAGES;
        for (int n = 0; n < IMAGES; n++) var += pow(square[n][i] - mean, 2) / (IMAGES - 1);
        const double error = sqrt(var / IMAGES);
        if (!(fabs(mean - want[i]) <= 5 * error))
            fail_msg("pixel %d: %g with an error of %g, not %g", i, mean, error, want[i]);
        assert_true((want[i] > 0) == (error > 0)); /* fresh signs for each image */
    }
    omma_effective_free(e);
    finish(m);
}

static void same_signs_again(void **state) {
    (void)state;
    double map[3][SIGNS_SIZE];
    omma_error err;
    model *m;
    const char *name = two_layers(&m, 6);
    for (int k = 0; k < 3; k++) {
        omma_effective *e;
        const omma_effective_what what = {.unit = {.value = name, .y = 4, .x = 5},
                                          .seed = k < 2 ? 7 : 8};
        if (omma_effective_new(&e, m->g, "test", &what, NULL, &err)) fail_msg("%s", err.message);
        for (int n = 0; n < 3; n++) add(e, m);
        read_map(e, OMMA_SCALE_RAW, map[k], NULL);
        omma_effective_free(e);
    }
    assert_memory_equal(map[0], map[1], sizeof map[0]);
    assert_memory_not_equal(map[0], map[2], sizeof map[0]);
    finish(m);
}

/* --- standard errors -------------------------------------------------------------------------- */

static void errors_shrink(void **state) {
    (void)state;
    static const int until[] = {25, 100, 400};
    double map[SIGNS_SIZE], error[SIGNS_SIZE], before = 0, sigma = 0;
    model *m;
    const char *name = two_layers(&m, 6);
    omma_effective *e = made(m, name, 4, 5, OMMA_RECIPE_DEFAULT);
    for (int k = 0, n = 0; k < 3; k++) {
        double sum = 0;
        for (; n < until[k]; n++) add(e, m);
        read_map(e, OMMA_SCALE_RAW, map, error);
        for (int i = 0; i < SIGNS_SIZE; i++) sum += error[i];
        if (k) assert_true(sum > 0.4 * before && sum < 0.6 * before);
        before = sum;
        const omma_effective_measures x = measures(e);
        assert_int_equal(x.images, until[k]);
        assert_true(x.error.sigma > 0 && x.error.sigma < 0.2 / sqrt(until[k]));
        if (k) assert_true(fabs(x.is.sigma - sigma) < 0.1);
        sigma = x.is.sigma;
    }
    omma_effective_free(e);
    finish(m);
}

/* The sum of the map is a mean over images: there the jackknife is the usual standard error. */
static void error_of_a_mean(void **state) {
    (void)state;
    enum { IMAGES = 7 };
    double sum[IMAGES] = {0}, mean = 0, var = 0;
    model *m;
    const char *name = two_layers(&m, 6);
    omma_effective *e = made(m, name, 4, 5, OMMA_RECIPE_DEFAULT);
    for (int n = 0; n < IMAGES; n++) {
        add(e, m);
        for (int i = 0; i < SIGNS_SIZE; i++) sum[n] += omma_effective_last(e)[i];
        mean += sum[n] / IMAGES;
    }
    for (int n = 0; n < IMAGES; n++) var += pow(sum[n] - mean, 2) / (IMAGES - 1);
    const omma_effective_measures x = measures(e);
    assert_true(fabs(x.is.sum / mean - 1) < 1e-12);
    assert_true(fabs(x.error.sum / sqrt(var / IMAGES) - 1) < 1e-9);
    assert_true(fabs(x.ratio - x.is.area[OMMA_SHARE_95] * SIGNS_SIZE / 25) < 1e-12);
    omma_effective_free(e);
    finish(m);
}

/* --- replk ------------------------------------------------------------------------------------ */

/* Channels that are negative at the cell count nothing, nor do negative gradients. */
static void replk(void **state) {
    (void)state;
    double map[SIGNS_SIZE], error[SIGNS_SIZE], want[SIGNS_SIZE] = {0};
    model *m;
    const char *name = two_layers(&m, 6);
    omma_session *s;
    omma_error err;
    if (omma_session_on_graph(&s, m->g, "test", NULL, &err)) fail_msg("%s", err.message);
    omma_effective *e = made(m, name, 4, 5, OMMA_RECIPE_REPLK);
    int positive = 0, negative = 0;
    for (int n = 0; n < 2; n++) {
        fill(m);
        add(e, m);
        if (omma_session_run(s, &m->image, 1, &err)) fail_msg("%s", err.message);
        double sum[3 * SIGNS_SIZE] = {0};
        for (int64_t k = 0; k < 6; k++) {
            const float *y = omma_session_output(s, 0)->data;
            const bool counts = y[k * SIGNS_SIZE + 4 * SIGNS_SIDE + 5] > 0;
            positive += counts, negative += !counts;
            if (!counts) continue;
            omma_effective *one;
            const omma_effective_what what = {
                .unit = {.value = name, .y = 4, .x = 5}, .recipe = OMMA_RECIPE_LUO, .channel = k};
            if (omma_effective_new(&one, m->g, "test", &what, NULL, &err)) fail();
            add(one, m);
            for (int i = 0; i < 3 * SIGNS_SIZE; i++) sum[i] += omma_effective_last(one)[i];
            omma_effective_free(one);
        }
        for (int i = 0; i < 3 * SIGNS_SIZE; i++) want[i % SIGNS_SIZE] += fmax(sum[i], 0) / 2;
    }
    assert_true(positive && negative);
    read_map(e, OMMA_SCALE_RAW, map, error);
    double most = 0;
    for (int i = 0; i < SIGNS_SIZE; i++) {
        assert_true(fabs(map[i] - want[i]) <= 1e-5 * (1 + want[i]));
        most = fmax(most, log10(1 + map[i]));
    }
    double log[SIGNS_SIZE];
    read_map(e, OMMA_SCALE_LOG, log, error);
    for (int i = 0; i < SIGNS_SIZE; i++) assert_true(near(log[i], log10(1 + map[i]) / most));
    omma_effective_measures x, y;
    if (omma_effective_measure(e, OMMA_SCALE_RAW, &x, &err) ||
        omma_effective_measure(e, OMMA_SCALE_LOG, &y, &err))
        fail_msg("%s", err.message);
    assert_true(x.scale == OMMA_SCALE_RAW && y.scale == OMMA_SCALE_LOG);
    assert_true(y.is.area[OMMA_SHARE_50] >= x.is.area[OMMA_SHARE_50]);
    omma_effective_free(e);
    omma_session_free(s);
    finish(m);
}

/* --- what is told ------------------------------------------------------------------------------
 */

static void told(const model *m, omma_effective_what what, omma_status want, const char *text) {
    omma_effective *e;
    omma_error err = {0};
    omma_status s = omma_effective_new(&e, m->g, "the model", &what, NULL, &err);
    if (!s) s = omma_effective_add(e, &m->image, 1, &err);
    if (s != want || !strstr(err.message, text) || !strstr(err.message, "the model"))
        fail_msg("%d, not %d with '%s': %s", s, want, text, err.message);
    omma_effective_free(e);
}

static void mistakes(void **state) {
    (void)state;
    model *m;
    omma_error err;
    const char *name = two_layers(&m, 6);
    const omma_unit unit = {.value = name, .y = 1, .x = 2};
    told(m, (omma_effective_what){.unit = {.value = "layer9"}}, OMMA_E_NOTFOUND, "'layer9'");
    told(m, (omma_effective_what){.unit = {.value = name, .y = 9, .x = 2}}, OMMA_E_RANGE,
         "no cell 9, 2 (row, column); this value has 9 rows and 9 columns");
    told(m, (omma_effective_what){.unit = {.value = name, .y = 1, .x = -2}}, OMMA_E_RANGE,
         "no cell 1, -2");
    told(m, (omma_effective_what){.unit = {.value = name, .by_token = true, .token = 3}},
         OMMA_E_USAGE, "give a cell");
    told(m, (omma_effective_what){.unit = unit, .image = 1}, OMMA_E_USAGE, "1 inputs, no input 1");
    told(m, (omma_effective_what){.unit = unit, .recipe = OMMA_RECIPES}, OMMA_E_USAGE, "recipe");
    told(m, (omma_effective_what){.unit = unit, .recipe = OMMA_RECIPE_LUO, .channel = 6},
         OMMA_E_RANGE, "no channel 6; this unit has 6");
    omma_effective *e = made(m, name, 1, 2, OMMA_RECIPE_DEFAULT);
    omma_effective_measures x;
    double map[SIGNS_SIZE];
    assert_null(omma_effective_last(e));
    assert_null(omma_effective_unit(e));
    assert_int_equal(omma_effective_measure(e, OMMA_SCALE_RAW, &x, &err), OMMA_E_USAGE);
    assert_int_equal(omma_effective_add(e, &m->image, 2, &err), OMMA_E_USAGE);
    add(e, m);
    assert_int_equal(omma_effective_map(e, OMMA_SCALE_LOG, map, NULL, &err), OMMA_E_USAGE);
    assert_non_null(strstr(err.message, "replk"));
    omma_tensor other = m->image;
    other.dims[2] = SIGNS_SIDE - 1;
    assert_int_equal(omma_effective_add(e, &other, 1, &err), OMMA_E_SHAPE);
    assert_non_null(strstr(err.message, "9x8 pixels in 3 channels, those before it 9x9"));
    assert_int_equal(measures(e).images, 1);
    omma_effective_free(e);
    finish(m);
}

/* A row that says less than is true: only the first tap of each window. */
static omma_status first_tap(omma_field *f, const omma_node *n) {
    (void)n;
    omma_relation *r = omma_field_relate(f, 0, 0);
    for (int d = 2; d < 4 && r; d++) r->axis[d] = omma_map_moved(d, -1, 1);
    return f->status;
}

static void outside(void **state) {
    (void)state;
    static omma_op liar;
    omma_error err;
    model *m = begin(1, 12, 12);
    const char *name = add_conv(m, (conv){1, 2, 3, 1, 1, 1, 0});
    liar = *omma_op_find("Conv");
    liar.field = first_tap;
    m->last->producer->op = &liar;
    omma_effective *e = made(m, name, 5, 6, OMMA_RECIPE_DEFAULT);
    assert_int_equal(omma_effective_add(e, &m->image, 1, &err), OMMA_E_INTERNAL);
    assert_non_null(strstr(err.message, "pixel 4, 6 (row, column), colour 0"));
    assert_null(omma_effective_last(e));
    omma_effective_free(e);
    finish(m);
}

static void not_finite(void **state) {
    (void)state;
    omma_error err;
    model *m = begin(1, 12, 12);
    const char *name = add_conv(m, (conv){1, 2, 3, 1, 1, 1, INFINITY});
    omma_effective *e = made(m, name, 5, 6, OMMA_RECIPE_DEFAULT);
    assert_int_equal(omma_effective_add(e, &m->image, 1, &err), OMMA_E_RANGE);
    assert_non_null(strstr(err.message, "pixel"));
    omma_effective_free(e);
    finish(m);
}

static omma_status try_all(const model *m, const char *name) {
    omma_effective *e;
    omma_error err;
    omma_effective_measures x;
    const omma_effective_what what = {.unit = {.value = name, .y = 4, .x = 5}};
    omma_status s = omma_effective_new(&e, m->g, "test", &what, NULL, &err);
    for (int n = 0; n < 3 && !s; n++) s = omma_effective_add(e, &m->image, 1, &err);
    if (!s) s = omma_effective_measure(e, OMMA_SCALE_RAW, &x, &err);
    omma_effective_free(e);
    return s;
}

static void no_memory(void **state) {
    (void)state;
    model *m;
    const char *name = two_layers(&m, 6);
    uint64_t k = 1;
    for (omma_status s = OMMA_E_NOMEM; s; k++) {
        omma_mem_fail_at(k);
        s = try_all(m, name);
        assert_true(s == OMMA_OK || s == OMMA_E_NOMEM);
    }
    omma_mem_fail_at(0);
    assert_true(k > 10);
    finish(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(stacks),
                                       cmocka_unit_test(taps_of_five),
                                       cmocka_unit_test(holes),
                                       cmocka_unit_test(centres),
                                       cmocka_unit_test(no_traces),
                                       cmocka_unit_test(signs),
                                       cmocka_unit_test(same_signs_again),
                                       cmocka_unit_test(errors_shrink),
                                       cmocka_unit_test(error_of_a_mean),
                                       cmocka_unit_test(replk),
                                       cmocka_unit_test(mistakes),
                                       cmocka_unit_test(outside),
                                       cmocka_unit_test(not_finite),
                                       cmocka_unit_test(no_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
