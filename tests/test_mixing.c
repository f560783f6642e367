/* test_mixing.c - norm-based attention and mixing ratios against numpy's numbers and what must
 * hold. */
#include "field/mixing.h"

#include "attentiongold.h"

static omma_error err;
static omma_arena arena;

static int set_up(void **state) {
    (void)state;
    omma_arena_init(&arena, NULL);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    omma_arena_free(&arena);
    return 0;
}

static void ok(omma_status s) {
    if (s) fail_msg("%s", err.message);
}

enum { HEADS = 3, N = 5, WIDTH = 7 };

static void check(const omma_mixing *m, const char *name) {
    double norm[N * N], mixed[N], preserved[N], ratio[N];
    char what[64];
    ok(omma_mixing_measure(&(omma_mixed){norm, mixed, preserved, ratio}, m, &arena, &err));
    snprintf(what, sizeof what, "mixing.%s.norm", name);
    gold_check(what, norm, N * N, 1e-13);
    snprintf(what, sizeof what, "mixing.%s.ratio", name);
    gold_check(what, ratio, N, 1e-13);
    for (int i = 0; i < N; i++) {
        NEAR(ratio[i], mixed[i] / (mixed[i] + preserved[i]), 1e-15);
        NEAR(norm[i * N + i], preserved[i], 1e-15);
    }
}

static void recorded(void **state) {
    (void)state;
    float a[HEADS * N * N], f[HEADS * N * WIDTH], x[N * WIDTH], b_o[WIDTH], gamma[WIDTH], scale[N];
    double inverse[N], ratio[N];
    noise n = {4};
    fill_attention(&n, a, HEADS, N, N);
    noise_fill(&n, f, HEADS * N * WIDTH, true);
    noise_fill(&n, x, N * WIDTH, true);
    noise_fill(&n, b_o, WIDTH, true);
    noise_fill(&n, gamma, WIDTH, false);
    for (int c = 0; c < WIDTH; c++) gamma[c] += .5f;
    gold_read("mixing.scale", inverse, N);
    for (int i = 0; i < N; i++) scale[i] = (float)inverse[i];
    omma_mixing m = {a, f, HEADS, N, N, WIDTH, true, NULL, NULL, NULL, false};
    check(&m, "plain");
    m.gamma = gamma; /* belongs to a norm, and there is none */
    check(&m, "plain");
    m.residual = x;
    check(&m, "residual");
    m.scale = scale;
    check(&m, "rms");
    m.centred = true;
    check(&m, "norm");
    omma_mixing_weights(ratio, a, HEADS, N);
    gold_check("mixing.weights", ratio, N, 1e-14);
}

/* --- what must hold --------------------------------------------------------------------------- */

/* One head: the norm is the weight times the vector's. */
static void one_head(void **state) {
    (void)state;
    const float a[] = {.25f, .75f, 1, 0}, f[] = {3, 4, 0, 2};
    double norm[4], ratio[2];
    const omma_mixing m = {a, f, 1, 2, 2, 2, true, NULL, NULL, NULL, false};
    ok(omma_mixing_measure(&(omma_mixed){norm, NULL, NULL, ratio}, &m, &arena, &err));
    assert_true(norm[0] == 1.25 && norm[1] == 1.5 && norm[2] == 5 && norm[3] == 0);
    NEAR(ratio[0], 1.5 / 2.75, 1e-15);
    assert_true(ratio[1] == 1);
}

/* Heads that cancel move nothing, whatever their weights; nothing at all has no ratio. */
static void heads_cancel(void **state) {
    (void)state;
    const float a[] = {.5f, .5f, .5f, .5f, .5f, .5f, .5f, .5f}, f[] = {1, 2, -1, -2};
    double norm[4], ratio[2], weights[2];
    const omma_mixing m = {a, f, 2, 2, 2, 1, true, NULL, NULL, NULL, false};
    ok(omma_mixing_measure(&(omma_mixed){norm, NULL, NULL, ratio}, &m, &arena, &err));
    omma_mixing_weights(weights, a, 2, 2);
    for (int i = 0; i < 4; i++) assert_true(norm[i] == 0);
    for (int i = 0; i < 2; i++) assert_true(isnan(ratio[i]) && weights[i] == .5);
}

/* A longer residual preserves more; the scale of a norm moves norms, not ratios; a layer norm takes
 * what all channels share away. */
static void residuals(void **state) {
    (void)state;
    for (int trial = 0; trial < rounds(50); trial++) {
        float a[HEADS * N * N], f[HEADS * N * WIDTH], x[N * WIDTH], scale[N];
        double ratio[2][N], norm[2][N * N];
        noise n = {rng()};
        fill_attention(&n, a, HEADS, N, N);
        noise_fill(&n, f, HEADS * N * WIDTH, true);
        noise_fill(&n, x, N * WIDTH, true);
        omma_mixing m = {a, f, HEADS, N, N, WIDTH, true, x, NULL, NULL, true};
        for (int i = 0; i < N * WIDTH; i++) x[i] *= 10;
        ok(omma_mixing_measure(&(omma_mixed){.ratio = ratio[0]}, &m, &arena, &err));
        for (int i = 0; i < N * WIDTH; i++) x[i] *= 100;
        ok(omma_mixing_measure(&(omma_mixed){.ratio = ratio[1]}, &m, &arena, &err));
        for (int i = 0; i < N; i++) assert_true(ratio[1][i] < ratio[0][i] && ratio[0][i] < 1);
        m.scale = scale;
        for (int k = 0; k < 2; k++) {
            for (int i = 0; i < N; i++) scale[i] = k ? 1 : .25f;
            for (int i = 0; i < HEADS * N * WIDTH && k; i++) f[i] += (float)(i / WIDTH % 3);
            ok(omma_mixing_measure(&(omma_mixed){.ratio = ratio[k], .norm = norm[k]}, &m, &arena,
                                   &err));
        }
        for (int i = 0; i < N; i++) NEAR(ratio[1][i], ratio[0][i], 1e-5);
        for (int i = 0; i < N * N; i++) NEAR(norm[1][i], 4 * norm[0][i], 1e-5);
    }
}

/* Cross-attention: the residual is all that is preserved, and no column's. */
static void across(void **state) {
    (void)state;
    const float a[] = {.25f, .5f, .25f}, f[] = {4, 0, 0, 2, 0, 4}, x[] = {3, 4};
    double norm[3], mixed, preserved, ratio;
    omma_mixing m = {a, f, 1, 1, 3, 2, false, x, NULL, NULL, false};
    ok(omma_mixing_measure(&(omma_mixed){norm, &mixed, &preserved, &ratio}, &m, &arena, &err));
    assert_true(norm[0] == 1 && norm[1] == 1 && norm[2] == 1 && preserved == 5);
    NEAR(mixed, sqrt(5), 1e-15);
    m.residual = NULL;
    ok(omma_mixing_measure(&(omma_mixed){norm, &mixed, &preserved, &ratio}, &m, &arena, &err));
    assert_true(ratio == 1 && preserved == 0);
}

static void faults(void **state) {
    (void)state;
    float a[4] = {1, 0, 0, 1}, f[2] = {1, NAN};
    double ratio[2];
    const omma_mixed out = {.ratio = ratio};
    omma_mixing m = {a, f, 1, 2, 2, 1, true, NULL, NULL, NULL, false};
    assert_int_equal(omma_mixing_measure(&out, &m, &arena, &err), OMMA_E_RANGE);
    f[1] = 1;
    assert_int_equal(omma_mixing_measure(&out, &m, &arena, &err), OMMA_OK);
    m.width = 0;
    assert_int_equal(omma_mixing_measure(&out, &m, &arena, NULL), OMMA_E_RANGE);
    m.width = 1, m.queries = 1;
    assert_int_equal(omma_mixing_measure(&out, &m, &arena, &err), OMMA_E_SHAPE);
    m.queries = 0;
    assert_int_equal(omma_mixing_measure(&out, &m, &arena, &err), OMMA_E_RANGE);
    omma_budget budget = {.limit = 64};
    omma_arena small;
    omma_arena_init(&small, &budget);
    m.queries = 2;
    assert_int_equal(omma_mixing_measure(&out, &m, &small, &err), OMMA_E_NOMEM);
    assert_int_equal(budget.used, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(recorded),     cmocka_unit_test(one_head),
                                       cmocka_unit_test(heads_cancel), cmocka_unit_test(residuals),
                                       cmocka_unit_test(across),       cmocka_unit_test(faults)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
