/* test_relevance.c - the rules of relevance against numpy's numbers and plain formulas; gradients
 * that are zero. */
#include "field/dense.h"
#include "field/relevance.h"

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

enum { HEADS = 3, NI = 6, NQ = 4 };

static void step(noise *n, double *a, int q, int k) {
    float weights[HEADS * NI * NI], gradient[HEADS * NI * NI];
    noise_fill(n, weights, HEADS * q * k, false);
    noise_fill(n, gradient, HEADS * q * k, true);
    ok(omma_relevance_weights(a, weights, gradient, HEADS, q, k, &err));
}

/* An encoder of two layers, a decoder of two. */
static void recorded(void **state) {
    (void)state;
    double a[NI * NI], ii[NI * NI], qq[NQ * NQ], qi[NQ * NI] = {0}, normal[NI * NI];
    noise n = {1};
    omma_dense_identity(ii, NI);
    omma_dense_identity(qq, NQ);
    for (int layer = 0; layer < 2; layer++) {
        step(&n, a, NI, NI);
        if (!layer) gold_check("relevance.weights", a, NI * NI, 1e-15);
        ok(omma_relevance_self(ii, NI, a, NI, &arena, &err));
    }
    for (int layer = 0; layer < 2; layer++) {
        step(&n, a, NQ, NQ);
        ok(omma_relevance_self(qq, NQ, a, NQ, &arena, &err));
        ok(omma_relevance_self(qi, NI, a, NQ, &arena, &err));
        step(&n, a, NQ, NI);
        ok(omma_relevance_cross(qi, a, qq, ii, NQ, NI, &arena, &err));
    }
    omma_relevance_normal(normal, ii, NI);
    gold_check("relevance.normal", normal, NI * NI, 1e-13);
    gold_check("relevance.ii", ii, NI * NI, 1e-13);
    gold_check("relevance.qq", qq, NQ * NQ, 1e-13);
    gold_check("relevance.qi", qi, NQ * NI, 1e-13);
    omma_relevance_normal(ii, ii, NI); /* in place */
    assert_memory_equal(ii, normal, sizeof ii);
}

/* By hand: heads (1, 3), gradients (2, -1) and (.5, 1): A' = ((2 + .5 * 3) / 2, (0 + 5) / 2). */
static void by_hand(void **state) {
    (void)state;
    const float weights[] = {1, 3, 3, 5}, gradient[] = {2, -1, .5f, 1};
    double a[2], r[] = {1, 2};
    ok(omma_relevance_weights(a, weights, gradient, 2, 1, 2, &err));
    assert_true(a[0] == 1.75 && a[1] == 2.5);
    /* cross: R_qq = I + [[0, 1], [0, 0]]: its normal form is itself, its transpose lets query 1
     * have what query 0 took */
    const double qq[] = {1, 1, 0, 1}, ii[] = {1}, taken[] = {3, 0};
    ok(omma_relevance_cross(r, taken, qq, ii, 2, 1, &arena, &err));
    assert_true(r[0] == 1 + 3 && r[1] == 2 + 3);
}

/* No gradient, or none that is positive: relevance stays with each token, and no NaN comes. */
static void no_gradient(void **state) {
    (void)state;
    float weights[HEADS * NI * NI], gradient[HEADS * NI * NI] = {0};
    double a[NI * NI], ii[NI * NI], qq[NQ * NQ], qi[NQ * NI] = {0}, want[NI * NI], cross[NQ * NI];
    noise n = {5};
    noise_fill(&n, weights, HEADS * NI * NI, false);
    for (int negative = 0; negative < 2; negative++) {
        for (int i = 0; i < HEADS * NI * NI; i++) gradient[i] = -(float)negative;
        ok(omma_relevance_weights(a, weights, gradient, HEADS, NI, NI, &err));
        omma_dense_identity(ii, NI);
        omma_dense_identity(want, NI);
        ok(omma_relevance_self(ii, NI, a, NI, &arena, &err));
        assert_memory_equal(ii, want, sizeof ii);
    }
    omma_dense_identity(qq, NQ);
    ok(omma_relevance_cross(qi, a, qq, ii, NQ, NI, &arena, &err));
    for (int i = 0; i < NQ * NI; i++) assert_true(qi[i] == 0);
    step(&n, cross, NQ, NI); /* N(I) = I: the first cross-attention comes through as it is */
    ok(omma_relevance_cross(qi, cross, qq, ii, NQ, NI, &arena, &err));
    assert_memory_equal(qi, cross, sizeof qi);
    qq[1] = .5; /* one row has something, the others not */
    ok(omma_relevance_cross(qi, cross, qq, ii, NQ, NI, &arena, &err));
    for (int i = 0; i < NQ * NI; i++) assert_true(isfinite(qi[i]));
    NEAR(qi[NI], 2 * cross[NI] + cross[0], 1e-15);
    NEAR(qi[0], 2 * cross[0], 1e-15);
}

/* --- at random -------------------------------------------------------------------------------- */

static double plain_normal(const double *r, int n, int i, int j) {
    double sum = 0;
    for (int k = 0; k < n; k++) sum += r[i * n + k] - (i == k);
    return (r[i * n + j] - (i == j)) / sum + (i == j);
}

static void random_crosses(void **state) {
    (void)state;
    enum { MOST = 40 };
    static double qq[MOST * MOST], ii[MOST * MOST], a[MOST * MOST], qi[MOST * MOST],
        before[MOST * MOST];
    for (int trial = 0; trial < rounds(20); trial++) {
        const int q = rng_int(1, MOST), k = rng_int(1, MOST);
        for (int i = 0; i < q * q; i++) qq[i] = rng_float() / 2 + .5 + (i / q == i % q);
        for (int i = 0; i < k * k; i++) ii[i] = rng_float() / 2 + .5 + (i / k == i % k);
        for (int i = 0; i < q * k; i++) before[i] = qi[i] = rng_float(), a[i] = rng_float();
        ok(omma_relevance_cross(qi, a, qq, ii, q, k, &arena, &err));
        for (int t = 0; t < 20; t++) {
            const int i = rng_int(0, q - 1), j = rng_int(0, k - 1);
            double sum = before[i * k + j];
            for (int u = 0; u < q; u++)
                for (int v = 0; v < k; v++)
                    sum += plain_normal(qq, q, u, i) * a[u * k + v] * plain_normal(ii, k, v, j);
            NEAR(qi[i * k + j], sum, 1e-12);
        }
        memcpy(before, qi, sizeof before);
        ok(omma_relevance_self(qi, k, qq, q, &arena, &err));
        for (int t = 0; t < 20; t++) {
            const int i = rng_int(0, q - 1), j = rng_int(0, k - 1);
            double sum = before[i * k + j];
            for (int u = 0; u < q; u++) sum += qq[i * q + u] * before[u * k + j];
            NEAR(qi[i * k + j], sum, 1e-12);
        }
    }
}

static void faults(void **state) {
    (void)state;
    const float weights[2] = {1, INFINITY}, gradient[2] = {1, 0};
    double a[2], r[1] = {1};
    assert_int_equal(omma_relevance_weights(a, weights, gradient, 1, 1, 2, &err), OMMA_E_RANGE);
    assert_non_null(strstr(err.message, "key 1"));
    assert_int_equal(omma_relevance_weights(a, weights, gradient, 0, 1, 2, NULL), OMMA_E_RANGE);
    assert_int_equal(omma_relevance_self(r, 0, r, 1, &arena, &err), OMMA_E_RANGE);
    omma_budget budget = {.limit = 64};
    omma_arena small;
    omma_arena_init(&small, &budget);
    assert_int_equal(omma_relevance_self(r, 1, r, 1, &small, &err), OMMA_E_NOMEM);
    assert_int_equal(omma_relevance_cross(r, r, r, r, 1, 1, &small, &err), OMMA_E_NOMEM);
    assert_int_equal(budget.used, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(recorded), cmocka_unit_test(by_hand),
                                       cmocka_unit_test(no_gradient),
                                       cmocka_unit_test(random_crosses), cmocka_unit_test(faults)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
