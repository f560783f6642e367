/* test_dense.c - products of dense matrices against plain sums, bit for bit and on any number of
 * threads; singular values of matrices that are known, or hard. */
#include "field/dense.h"

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

static void products(void **state) {
    (void)state;
    enum { MOST = 130 };
    static double a[MOST * MOST], b[MOST * MOST], c[MOST * MOST], before[MOST * MOST];
    for (int trial = 0; trial < rounds(60); trial++) {
        const int64_t m = rng_int(1, MOST), k = rng_int(1, MOST), n = rng_int(1, MOST);
        const bool turned = trial & 1, add = trial & 2;
        for (int i = 0; i < MOST * MOST; i++) {
            a[i] = rng_float(), b[i] = rng_float(), before[i] = c[i] = rng_float();
        }
        assert_int_equal(setenv("OMMA_THREADS", trial & 4 ? "3" : "1", 1), 0);
        omma_dense_product(&(omma_product){c, a, b, m, k, n, turned, add});
        for (int64_t i = 0; i < m * n; i++) {
            double sum = add ? before[i] : 0;
            for (int64_t j = 0; j < k; j++)
                sum += (turned ? a[j * m + i / n] : a[i / n * k + j]) * b[j * n + i % n];
            if (c[i] != sum) fail_msg("%lld: %.17g, not %.17g", (long long)i, c[i], sum);
        }
        for (int64_t i = m * n; i < MOST * MOST; i++) assert_true(c[i] == before[i]);
    }
    unsetenv("OMMA_THREADS");
}

static void singular(double *s, double *a, int64_t rows, int64_t columns) {
    if (omma_dense_singular(s, a, rows, columns, &arena, &err)) fail_msg("%s", err.message);
}

/* Upper bidiagonal, 1 and 1, whose singular values are 2 cos(k pi / (2 n + 1)). */
static void bidiagonal(void **state) {
    (void)state;
    enum { N = 40 };
    double a[N * N] = {0}, s[N];
    for (int i = 0; i < N; i++) {
        a[i * N + i] = 1;
        if (i + 1 < N) a[i * N + i + 1] = 1;
    }
    singular(s, a, N, N);
    for (int k = 1; k <= N; k++) NEAR(s[k - 1], 2 * cos(k * acos(-1) / (2 * N + 1)), 1e-14);
}

/* Hilbert's 6 x 6, of condition 1.5e7. */
static void hilbert(void **state) {
    (void)state;
    static const double want[] = {1.6188998589243,     0.24236087057520,      0.016321521319876,
                                  0.00061574835418266, 1.2570757122625194e-5, 1.0827994845656e-7};
    double a[36], s[6];
    for (int i = 0; i < 36; i++) a[i] = 1. / (i / 6 + i % 6 + 1);
    singular(s, a, 6, 6);
    for (int i = 0; i < 6; i++) assert_true(fabs(s[i] - want[i]) < 1e-13);
}

/* A column alone, zeros among columns, nothing, and sizes at both ends of the doubles. */
static void edges(void **state) {
    (void)state;
    double one[] = {3, 0, -4}, gaps[] = {0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 12, 0}, none[6] = {0}, s[3];
    singular(s, one, 3, 1);
    NEAR(s[0], 5, 1e-15);
    singular(s, gaps, 4, 3);
    NEAR(s[0], 13, 1e-15);
    assert_true(s[1] < 1e-14 && s[2] < 1e-14);
    singular(s, none, 3, 2);
    assert_true(s[0] == 0 && s[1] == 0);
    for (int k = 0; k < 2; k++) {
        const double size = k ? 1e300 : 1e-300;
        double a[] = {3 * size, 0, 0, 2 * size, 0, 0};
        singular(s, a, 3, 2);
        assert_true(fabs(s[0] / size - 3) < 1e-14 && fabs(s[1] / size - 2) < 1e-14);
    }
}

static void sizes(void **state) {
    (void)state;
    double *p;
    const int64_t none[] = {3, 0}, large[] = {INT64_MAX / 2, 4};
    assert_int_equal(omma_dense_alloc(&p, &arena, none, 2, "x", &err), OMMA_E_RANGE);
    assert_int_equal(omma_dense_alloc(&p, &arena, large, 2, "x", &err), OMMA_E_RANGE);
    assert_int_equal(omma_dense_alloc(&p, &arena, large, 1, "x", &err), OMMA_E_NOMEM);
    assert_int_equal(omma_dense_alloc(&p, &arena, none, 1, "x", &err), OMMA_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(products), cmocka_unit_test(bidiagonal),
                                       cmocka_unit_test(hilbert), cmocka_unit_test(edges),
                                       cmocka_unit_test(sizes)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
