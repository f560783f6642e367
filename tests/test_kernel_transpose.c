/* test_kernel_transpose.c - transposing and copying matrices of four-byte numbers: every table this
 * CPU can run moves every bit, those of numbers that are none included, and touches nothing else.
 */
#include "guard.h"

#include "kernel/kernel.h"

static void check(const omma_kernels *kern, int64_t m, int64_t n) {
    guarded gx, gy;
    const int64_t x_ld = n + rng_int(0, 9), y_ld = m + rng_int(0, 9);
    uint32_t *x = guard_new(&gx, (size_t)((m - 1) * x_ld + n) * 4, 4 * (size_t)rng_int(0, 3));
    uint32_t *y = guard_new(&gy, (size_t)((n - 1) * y_ld + m) * 4, 4 * (size_t)rng_int(0, 3));
    for (int64_t i = 0; i < (m - 1) * x_ld + n; i++) x[i] = rng() | (i % 3 ? 0 : 0x7f800000u);
    kern->transpose(m, n, x, x_ld, y, y_ld);
    for (int64_t j = 0; j < n; j++) {
        for (int64_t i = 0; i < m; i++)
            if (y[j * y_ld + i] != x[i * x_ld + j])
                fail_msg("%s %dx%d at %d,%d", kern->isa, (int)m, (int)n, (int)i, (int)j);
        for (int64_t i = m; j + 1 < n && i < y_ld; i++)
            assert_int_equal(y[j * y_ld + i], 0xA5A5A5A5u);
    }
    guard_end(&gx);
    guard_end(&gy);
}

static void check_copy(const omma_kernels *kern, int64_t m, int64_t n) {
    guarded gx, gy;
    const int64_t x_ld = n + rng_int(0, 9), y_ld = n + rng_int(0, 9);
    uint32_t *x = guard_new(&gx, (size_t)((m - 1) * x_ld + n) * 4, 4 * (size_t)rng_int(0, 3));
    uint32_t *y = guard_new(&gy, (size_t)((m - 1) * y_ld + n) * 4, 4 * (size_t)rng_int(0, 3));
    for (int64_t i = 0; i < (m - 1) * x_ld + n; i++) x[i] = rng() | (i % 3 ? 0 : 0x7f800000u);
    kern->copy_rows(m, n, x, x_ld, y, y_ld);
    for (int64_t i = 0; i < m; i++) {
        assert_memory_equal(y + i * y_ld, x + i * x_ld, (size_t)n * 4);
        for (int64_t j = n; i + 1 < m && j < y_ld; j++)
            assert_int_equal(y[i * y_ld + j], 0xA5A5A5A5u);
    }
    guard_end(&gx);
    guard_end(&gy);
}

static void test_copy_rows(void **state) {
    (void)state;
    const omma_kernels *kern;
    for (int t = 0; (kern = omma_kernels_at(t)); t++) {
        for (int n = 1; n <= 70; n++) check_copy(kern, rng_int(1, 5), n);
        kern->copy_rows(0, 5, NULL, 5, NULL, 5);
    }
}

static void test_transpose(void **state) {
    (void)state;
    const omma_kernels *kern;
    for (int t = 0; (kern = omma_kernels_at(t)); t++) {
        for (int m = 1; m <= 34; m++)
            for (int n = 1; n <= 34; n++) check(kern, m, n);
        for (int r = 0; r < rounds(50); r++) check(kern, rng_int(1, 200), rng_int(1, 200));
        kern->transpose(0, 5, NULL, 5, NULL, 0);
        kern->transpose(5, 0, NULL, 0, NULL, 5);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_transpose),
                                       cmocka_unit_test(test_copy_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
