/* test_faithfulness.c - measures of heat maps against numbers by hand, on models whose answers are
 * known; what is told when something is wrong. */
#include "attribmodel.h"

/* f: the sum of w x over a picture of 1 x h x w, w given or (NULL) random. */
static model *weighted(int64_t h, int64_t w, const float *weight) {
    model *m = begin(1, h, w);
    float *own = omma_arena_array(&m->arena, (size_t)(h * w), sizeof *own);
    for (int64_t i = 0; i < h * w; i++) own[i] = weight ? weight[i] : (float)unit_random(m);
    add_with(m, "Mul", own, 4, (int64_t[]){1, 1, h, w}, false);
    add_shape(m, "Reshape", (int64_t[]){1, h * w}, 2);
    set_outputs(m, &m->last, 1);
    fill(m);
    return m;
}

static omma_target sum_of(const model *m) {
    return (omma_target){.value = m->last->name, .at = {0, -1}};
}

/* --- curves ----------------------------------------------------------------------------------- */

static omma_curve curve(omma_attribution *a, model *m, const double *map, omma_curve_how how) {
    omma_curve c;
    omma_error err;
    if (omma_curve_measure(a, &c, map, &m->image, 1, &how, &err)) fail_msg("%s", err.message);
    return c;
}

/* f = 1 + 2 + 4 + 8 while all is there; the ranking is given. */
static void curves_by_hand(void **state) {
    (void)state;
    model *m = weighted(2, 2, (float[]){1, 4, 8, 2});
    const double right[4] = {.1, .3, .4, .2}, wrong[4] = {-1, -3, -4, -2};
    for (int i = 0; i < 4; i++) ((float *)m->image.data)[i] = 1;
    omma_attribution *a = asked(m, sum_of(m));
    const omma_baseline zero = {.kind = OMMA_BASELINE_ZERO};
    omma_curve c = curve(a, m, right, (omma_curve_how){.steps = 4, .baseline = zero});
    static const double down[5] = {15, 7, 3, 1, 0}, up[5] = {0, 8, 12, 14, 15};
    for (int k = 0; k < 5; k++) assert_near(c.value[k], down[k], 0);
    assert_near(c.auc, (7.5 + 7 + 3 + 1) / 4, 1e-12);
    assert_string_equal(c.says, "deletion, 4 steps, zero");
    c = curve(a, m, wrong, (omma_curve_how){.steps = 4, .baseline = zero});
    assert_near(c.auc, (7.5 + 14 + 12 + 8) / 4, 1e-12);
    c = curve(a, m, right, (omma_curve_how){.insert = true, .steps = 4, .baseline = zero});
    for (int k = 0; k < 5; k++) assert_near(c.value[k], up[k], 0);
    assert_near(c.auc, (7.5 + 8 + 12 + 14) / 4, 1e-12);
    c = curve(a, m, right, (omma_curve_how){.steps = 2, .baseline = zero});
    assert_near(c.auc, (15 + 3) / 4.0 + 3 / 4.0, 1e-12);
    c = curve(a, m, right, (omma_curve_how){.steps = 8, .baseline = {OMMA_BASELINE_GREY, {2}, 0}});
    assert_near(c.value[8], 30, 0);
    assert_near(c.value[1], 23, 0); /* half a pixel is one */
    c = curve(a, m, right, (omma_curve_how){.steps = 1});
    assert_string_equal(c.says, "deletion, 1 steps, mean colour");
    assert_near(c.auc, 15, 0); /* nothing changes */
    omma_attribution_free(a);
    finish(m);
}

/* Equally hot pixels go by chance, not row by row. */
static void ties(void **state) {
    (void)state;
    enum { N = 64 };
    omma_arena arena;
    omma_error err;
    double map[N] = {0};
    int64_t order[3][N];
    omma_arena_init(&arena, NULL);
    map[9] = 1;
    for (int k = 0; k < 3; k++)
        assert_int_equal(omma_rank_order(order[k], map, N, k < 2 ? 5 : 6, &arena, &err), OMMA_OK);
    assert_memory_equal(order[0], order[1], sizeof order[0]);
    assert_memory_not_equal(order[0], order[2], sizeof order[0]);
    uint64_t seen = 0;
    double early = 0;
    for (int i = 0; i < N; i++) {
        seen |= (uint64_t)1 << order[0][i];
        if (i < N / 2) early += (double)order[0][i] / (N / 2);
    }
    assert_true(order[0][0] == 9 && seen == UINT64_MAX && early > 20 && early < 44);
    omma_arena_free(&arena);
}

static void ranks(void **state) {
    (void)state;
    omma_arena arena;
    omma_error err;
    double r;
    const double a[5] = {1, 2, 3, 4, 5}, b[5] = {5, 6, 7, 8, 7}, c[5] = {1, 1, 1, 1, 1};
    const double d[5] = {-1, -20, -21, -22, -1e9};
    omma_arena_init(&arena, NULL);
    assert_int_equal(omma_rank_correlation(&r, a, b, 5, &arena, &err), OMMA_OK);
    assert_near(r, 0.8207826816681233, 1e-12); /* 8 / sqrt(10 * 9.5) */
    assert_int_equal(omma_rank_correlation(&r, a, d, 5, &arena, &err), OMMA_OK);
    assert_near(r, -1, 1e-12);
    assert_int_equal(omma_rank_correlation(&r, a, c, 5, &arena, &err), OMMA_OK);
    assert_true(isnan(r));
    omma_arena_free(&arena);
}

/* --- pointing --------------------------------------------------------------------------------- */

static void pointing(void **state) {
    (void)state;
    enum { H = 4, W = 5 };
    double map[H * W] = {0};
    unsigned char inside[H * W] = {0};
    omma_pointing p;
    omma_error err;
    map[2 * W + 3] = 6, map[1 * W + 1] = 2, map[0] = -5;
    inside[2 * W + 3] = 1, inside[3 * W + 3] = 7;
    assert_int_equal(omma_pointing_measure(&p, map, H, W, inside, 0, &err), OMMA_OK);
    assert_true(p.hit && p.y == 2 && p.x == 3);
    assert_near(p.share, 0.75, 0);
    assert_near(p.by_area, 0.1, 1e-15);
    inside[2 * W + 3] = 0; /* one below is still inside */
    assert_int_equal(omma_pointing_measure(&p, map, H, W, inside, 0, &err), OMMA_OK);
    assert_true(!p.hit && p.share == 0);
    assert_int_equal(omma_pointing_measure(&p, map, H, W, inside, 0.9, &err), OMMA_OK);
    assert_true(!p.hit);
    assert_int_equal(omma_pointing_measure(&p, map, H, W, inside, 1, &err), OMMA_OK);
    assert_true(p.hit);
    assert_int_equal(omma_pointing_box(&p, map, H, W, (double[]){0.5, 0.5, 3, 2}, 0, &err),
                     OMMA_OK);
    assert_true(p.hit);
    assert_near(p.by_area, 6 / 20.0, 1e-15);
    assert_near(p.share, 1, 0);
    assert_int_equal(omma_pointing_box(&p, map, H, W, (double[]){0, 0, 2.9, 3}, 0, &err), OMMA_OK);
    assert_true(!p.hit);
    assert_int_equal(omma_pointing_box(&p, map, H, W, (double[]){5, 0, 9, 3}, 0, &err),
                     OMMA_E_USAGE);
    assert_non_null(strstr(err.message, "nothing of the picture is inside"));
}

/* --- infidelity ------------------------------------------------------------------------------- */

static omma_infidelity infidelity(omma_attribution *a, model *m, const omma_heat *h,
                                  omma_infidelity_how how) {
    omma_infidelity x;
    omma_error err;
    if (omma_infidelity_measure(a, &x, h, &m->image, 1, &how, &err)) fail_msg("%s", err.message);
    return x;
}

/* A linear model does what its gradient says, whatever is hidden, and so do shares. */
static void infidelity_of_linear(void **state) {
    (void)state;
    static const omma_method methods[] = {OMMA_METHOD_GRADIENT, OMMA_METHOD_GRADIENT_INPUT,
                                          OMMA_METHOD_INTEGRATED};
    model *m = weighted(9, 12, NULL);
    omma_attribution *a = asked(m, sum_of(m));
    for (int k = 0; k < 3; k++)
        for (int kind = 1; kind < OMMA_BASELINES; kind++) {
            const omma_baseline b = {(omma_baseline_kind)kind, {0.25}, 0};
            const omma_heat h =
                heated(a, m, (omma_attribution_how){.method = methods[k], .baseline = b});
            const omma_infidelity x =
                infidelity(a, m, &h, (omma_infidelity_how){.baseline = b, .seed = 5});
            assert_true(x.samples == 64 && x.raw < 1e-10 && x.scaled < 1e-10 && x.rest < 1e-9);
            assert_near(x.factor, 1, 1e-5);
        }
    omma_heat h = heated(a, m, (omma_attribution_how){.method = OMMA_METHOD_GRADIENT});
    omma_infidelity x = infidelity(a, m, &h, (omma_infidelity_how){.sigma = 0.2});
    assert_true(x.raw < 1e-10 && x.rest < 1e-9);
    assert_string_equal(x.says, "infidelity, 64 samples, noise of 0.2 of the range");
    for (int i = 0; i < 9 * 12; i++) h.element[i] *= 2; /* twice as much as is true */
    x = infidelity(a, m, &h, (omma_infidelity_how){.samples = 9, .window = 4});
    assert_string_equal(x.says, "infidelity, 9 squares of 4 px, mean colour");
    assert_near(x.factor, 0.5, 1e-5);
    assert_true(x.raw > 1e-4 && x.rest < 1e-9);
    omma_attribution_free(a);
    finish(m);
}

/* By hand: the only square is the whole picture, so there is one fall. */
static void infidelity_by_hand(void **state) {
    (void)state;
    model *m = weighted(3, 3, (float[]){1, 1, 1, 1, 1, 1, 1, 1, 1});
    for (int i = 0; i < 9; i++) ((float *)m->image.data)[i] = 1;
    omma_attribution *a = asked(m, sum_of(m));
    omma_heat h = heated(a, m, (omma_attribution_how){.method = OMMA_METHOD_RANDOM});
    const omma_infidelity_how how = {.window = 3, .baseline.kind = OMMA_BASELINE_ZERO};
    double said = 0;
    for (int i = 0; i < 9; i++) said += h.map[i];
    omma_infidelity x = infidelity(a, m, &h, how);
    assert_true(isnan(x.raw)); /* sums of random numbers mean nothing */
    assert_near(x.factor, 9 / said, 1e-9);
    assert_near(x.scaled, 0, 1e-9);
    h.kind = OMMA_HEAT_SHARE;
    x = infidelity(a, m, &h, how);
    assert_near(x.raw, (9 - said) * (9 - said), 1e-9);
    for (int i = 0; i < 9; i++) h.map[i] = 0;
    x = infidelity(a, m, &h, how);
    assert_near(x.raw, 81, 1e-9);
    assert_near(x.rest, 1, 1e-12);
    for (int i = 0; i < 9; i++) ((float *)m->image.data)[i] = 0;
    x = infidelity(a, m, &h, how);
    assert_true(isnan(x.rest)); /* it never fell */
    omma_attribution_free(a);
    finish(m);
}

/* --- sensitivity ------------------------------------------------------------------------------ */

static omma_sensitivity sensitivity(omma_attribution *a, model *m, omma_method method,
                                    omma_sensitivity_how how) {
    omma_sensitivity x;
    omma_error err;
    const omma_attribution_how of = {.method = method};
    if (omma_sensitivity_measure(a, &x, &of, &m->image, 1, &how, &err)) fail_msg("%s", err.message);
    return x;
}

static void sensitivity_of_linear(void **state) {
    (void)state;
    model *m = weighted(6, 6, NULL);
    const float *x = m->image.data, *w = m->last->producer->in[0]->producer->in[1]->data;
    omma_attribution *a = asked(m, sum_of(m));
    omma_sensitivity s = sensitivity(a, m, OMMA_METHOD_GRADIENT, (omma_sensitivity_how){0});
    assert_true(s.max == 0 && s.mean == 0 && s.samples == 8);
    assert_string_equal(s.says, "sensitivity, 8 moved pictures, radius 0.02 of the range");
    double ww = 0, wx = 0, least = 1, most = -1;
    for (int i = 0; i < 36; i++) {
        ww += (double)w[i] * w[i], wx += pow((double)w[i] * x[i], 2);
        least = fmin(least, x[i]), most = fmax(most, x[i]);
    }
    /* w moves by w d, d even in [-r, r]: mean square r^2 / 3; never by more than r. */
    const double r = 0.1 * (most - least);
    s = sensitivity(a, m, OMMA_METHOD_GRADIENT_INPUT,
                    (omma_sensitivity_how){.samples = 50, .radius = 0.1, .seed = 2});
    assert_near(s.mean, r * sqrt(ww / wx / 3), 0.1 * s.mean);
    assert_true(s.max > s.mean && s.max < r * sqrt(ww / wx));
    assert_near(value_of(a, m), target_of(m, sum_of(m)), 0); /* the picture is as it was */
    memset(m->image.data, 0, 36 * sizeof *x);
    s = sensitivity(a, m, OMMA_METHOD_GRADIENT_INPUT, (omma_sensitivity_how){0});
    assert_true(isnan(s.max) && isnan(s.mean));
    omma_attribution_free(a);
    finish(m);
}

/* --- cascade ---------------------------------------------------------------------------------- */

enum { PATCH = 4, GRID = 6, SIDE = PATCH * GRID };

/* Patches through two layers, and a sum of a few of them: "trained" to look at one corner. */
static model *looker(void) {
    model *m = begin(1, SIDE, SIDE);
    add_conv(m, (conv){1, 8, PATCH, PATCH, 1, 0, 0});
    layer(m, "Relu", 1);
    add_conv(m, (conv){8, 1, 1, 1, 1, 0, 0});
    for (int i = 0; i < 8; i++) weights(m)[i] = 0.5f + (float)i / 8;
    add_shape(m, "Reshape", (int64_t[]){1, GRID * GRID}, 2);
    float w[GRID * GRID * 2] = {0};
    for (int i = 0; i < GRID * GRID; i++)
        if (i / GRID < 2 && i % GRID < 2) w[2 * i] = w[2 * i + 1] = (float)(1 + i);
    add_with(m, "MatMul", w, 2, (int64_t[]){GRID * GRID, 2}, false);
    fill(m);
    return m;
}

static omma_cascade cascade(model *m, omma_method method, omma_cascade_how how) {
    omma_cascade c;
    omma_error err;
    const omma_target t = {.value = m->last->name, .at = {0, 1}};
    const omma_attribution_how of = {.method = method, .window = PATCH, .stride = PATCH};
    if (omma_cascade_measure(&c, m->g, "test", &t, 0, &m->image, 1, &of, &how, NULL, &m->arena,
                             &err))
        fail_msg("%s", err.message);
    return c;
}

static void randomised(void **state) {
    (void)state;
    model *m = looker();
    omma_attribution *a = asked(m, (omma_target){.value = m->last->name, .at = {0, 1}});
    const omma_attribution_how how = {.method = OMMA_METHOD_GRADIENT};
    const omma_heat before = heated(a, m, how);
    omma_cascade c = cascade(m, OMMA_METHOD_GRADIENT, (omma_cascade_how){.seed = 3});
    assert_true(c.layers == 3 && c.count == 3);
    static const char *const names[] = {"layer4", "layer2", "layer0"}; /* from the top */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(c.step[i].layers, i + 1);
        assert_string_equal(c.step[i].layer, names[i]);
        assert_true(fabs(c.step[i].correlation) < 0.5 && c.step[i].f != before.f);
    }
    assert_true(c.step[0].f != c.step[1].f && c.step[1].f != c.step[2].f);
    omma_cascade same = cascade(m, OMMA_METHOD_GRADIENT, (omma_cascade_how){.seed = 3});
    for (int i = 0; i < 3; i++) assert_true(same.step[i].correlation == c.step[i].correlation);
    c = cascade(m, OMMA_METHOD_EDGES, (omma_cascade_how){0}); /* looks at no weight */
    for (int i = 0; i < 3; i++) assert_near(c.step[i].correlation, 1, 1e-12);
    c = cascade(m, OMMA_METHOD_OCCLUSION, (omma_cascade_how){.maps = 2, .seed = 3});
    assert_true(c.count == 2 && c.step[0].layers == 1 && c.step[1].layers == 3);
    assert_true(fabs(c.step[1].correlation) < 0.5);
    c = cascade(m, OMMA_METHOD_OCCLUSION, (omma_cascade_how){.maps = 1, .seed = 3});
    assert_true(c.count == 1 && c.step[0].layers == 3);
    const omma_heat after = heated(a, m, how);
    assert_memory_equal(before.map, after.map, SIDE * SIDE * sizeof *before.map);
    omma_attribution_free(a);
    finish(m);
}

/* Weights that are made of others: of a transposed, scaled constant the constant is shuffled. */
static void randomised_through_moves(void **state) {
    (void)state;
    enum { N = 16 };
    model *m = begin(1, 1, N);
    add_shape(m, "Reshape", (int64_t[]){1, N}, 2);
    omma_value *x = m->last;
    float w[2 * N];
    for (int i = 0; i < 2 * N; i++) w[i] = (float)(i * i);
    m->last = omma_graph_constant(m->g, "w", OMMA_F32, 2, (int64_t[]){2, N}, w);
    add_shape(m, "Transpose", (int64_t[]){1, 0}, 2);
    omma_value *moved = m->last;
    m->last = x;
    layer(m, "MatMul", 2);
    m->last->producer->in[1] = moved;
    set_outputs(m, &m->last, 1);
    fill(m);
    omma_attribution *a = asked(m, (omma_target){.value = m->last->name, .at = {0, -1}});
    const double f = value_of(a, m);
    const omma_cascade c = cascade(m, OMMA_METHOD_GRADIENT, (omma_cascade_how){0});
    assert_true(c.layers == 1 && c.count == 1 && c.step[0].f != f && c.step[0].correlation < 0.9);
    for (int i = 0; i < 2 * N; i++) assert_true(w[i] == (float)(i * i)); /* the model's own stay */
    assert_near(value_of(a, m), f, 0);
    omma_attribution_free(a);
    finish(m);
}

/* --- what is told ----------------------------------------------------------------------------- */

static void mistakes(void **state) {
    (void)state;
    model *m = weighted(4, 4, NULL);
    omma_attribution *a = asked(m, sum_of(m));
    omma_error err;
    omma_curve c;
    omma_infidelity x;
    omma_sensitivity s;
    omma_cascade d;
    const omma_tensor *in = &m->image;
    const omma_target t = sum_of(m);
    const omma_attribution_how method = {.method = OMMA_METHOD_RANDOM};
    omma_heat h = heated(a, m, method);
#define TOLD(call, status, text)                                     \
    do {                                                             \
        err = (omma_error){0};                                       \
        assert_int_equal(call, status);                              \
        if (!strstr(err.message, text)) fail_msg("%s", err.message); \
    } while (0)
    TOLD(omma_curve_measure(a, &c, h.map, in, 1, &(omma_curve_how){.steps = 1001}, &err),
         OMMA_E_USAGE, "a curve of 1001 steps");
    TOLD(omma_curve_measure(a, &c, h.map, in, 0, &(omma_curve_how){0}, &err), OMMA_E_USAGE,
         "1 inputs, not 0");
    TOLD(omma_infidelity_measure(a, &x, &h, in, 1, &(omma_infidelity_how){.window = 5}, &err),
         OMMA_E_USAGE, "squares of 5 px in a picture of 4 x 4");
    TOLD(omma_infidelity_measure(a, &x, &h, in, 1, &(omma_infidelity_how){.sigma = 1}, &err),
         OMMA_E_USAGE, "not random");
    TOLD(omma_infidelity_measure(a, &x, &h, in, 1, &(omma_infidelity_how){.samples = -3}, &err),
         OMMA_E_USAGE, "-3 samples");
    TOLD(omma_sensitivity_measure(a, &s, &method, in, 1, &(omma_sensitivity_how){.radius = -1},
                                  &err),
         OMMA_E_USAGE, "a radius of -1");
    TOLD(omma_cascade_measure(&d, m->g, "m", &t, 0, in, 1, &method, &(omma_cascade_how){0}, NULL,
                              &m->arena, &err),
         OMMA_E_UNSUPPORTED, "no layer with weights");
    h.height = 3;
    TOLD(omma_infidelity_measure(a, &x, &h, in, 1, &(omma_infidelity_how){0}, &err), OMMA_E_SHAPE,
         "a picture of another size");
    h.map[1] = NAN;
    TOLD(omma_curve_measure(a, &c, h.map, in, 1, &(omma_curve_how){0}, &err), OMMA_E_USAGE,
         "has no order");
#undef TOLD
    omma_attribution_free(a);
    finish(m);
}

/* Everything once: what fails is told, leaks nothing, and the same works again. */
static omma_status all(model *m, omma_method method) {
    omma_attribution *a;
    omma_error err = {0};
    omma_heat h;
    omma_arena arena;
    omma_curve c;
    omma_infidelity x;
    omma_sensitivity v;
    omma_cascade d;
    const omma_target t = {.value = m->last->name, .at = {0, 1}};
    const omma_attribution_how how = {
        .method = method, .samples = 1, .steps = 1, .masks = 1, .cells = 2, .window = 16};
    omma_arena_init(&arena, NULL);
    omma_status s = omma_attribution_new(&a, m->g, "test", &t, 0, NULL, &err);
    if (!s) s = omma_attribution_run(a, &h, &m->image, 1, &how, &arena, &err);
    if (!s)
        s = omma_curve_measure(a, &c, h.map, &m->image, 1,
                               &(omma_curve_how){.insert = true, .steps = 1}, &err);
    if (!s)
        s = omma_infidelity_measure(a, &x, &h, &m->image, 1, &(omma_infidelity_how){.samples = 1},
                                    &err);
    if (!s)
        s = omma_sensitivity_measure(a, &v, &how, &m->image, 1,
                                     &(omma_sensitivity_how){.samples = 1}, &err);
    if (!s)
        s = omma_cascade_measure(&d, m->g, "test", &t, 0, &m->image, 1, &how,
                                 &(omma_cascade_how){.maps = 1}, NULL, &arena, &err);
    if (s) assert_true(*err.message);
    omma_attribution_free(a);
    omma_arena_free(&arena);
    return s;
}

static void no_memory(void **state) {
    (void)state;
    static const omma_method methods[] = {OMMA_METHOD_INTEGRATED, OMMA_METHOD_GRADCAM,
                                          OMMA_METHOD_SCORECAM, OMMA_METHOD_RISE};
    model *m = looker();
    for (int i = 0; i < 4; i++) {
        const uint64_t before = omma_mem_calls();
        assert_int_equal(all(m, methods[i]), OMMA_OK);
        const uint64_t calls = omma_mem_calls() - before;
        assert_true(calls > 20);
        for (uint64_t k = 1; k <= calls; k += 1 + k / 16) {
            omma_mem_fail_at(k);
            const omma_status s = all(m, methods[i]);
            omma_mem_fail_at(0);
            if (s != OMMA_E_NOMEM) fail_msg("request %d of %d: %d", (int)k, (int)calls, s);
        }
    }
    finish(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(curves_by_hand),
        cmocka_unit_test(ties),
        cmocka_unit_test(ranks),
        cmocka_unit_test(pointing),
        cmocka_unit_test(infidelity_of_linear),
        cmocka_unit_test(infidelity_by_hand),
        cmocka_unit_test(sensitivity_of_linear),
        cmocka_unit_test(randomised),
        cmocka_unit_test(randomised_through_moves),
        cmocka_unit_test(mistakes),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
