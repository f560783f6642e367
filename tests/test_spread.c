/* test_spread.c - the measures of maps whose answers are known; means of pictures and their
 * standard errors. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <cmocka.h>

#include "field/spread.h"
#include "field/tally.h"

static double any(void) { /* [-1, 1) */
    static uint32_t state = 5;
    state = state * 1664525u + 1013904223u;
    return (double)(state >> 8) / 8388608.0 - 1;
}

/* --- measures of maps whose answers are known --------------------------------------------------
 */

static omma_spread spread(const double *map, int64_t h, int64_t w, double cy, double cx) {
    omma_spread s;
    omma_error err;
    if (omma_spread_measure(&s, map, h, w, cy, cx, &err)) fail_msg("%s", err.message);
    return s;
}

static bool near(double a, double b) { return fabs(a - b) < 1e-9; }

static void one_pixel(void **state) {
    (void)state;
    double map[10 * 20] = {0};
    map[4 * 20 + 7] = 0.3;
    const omma_spread at = spread(map, 10, 20, 4, 7), off = spread(map, 10, 20, 4, 11.5);
    for (int k = 0; k < OMMA_SHARES; k++) {
        assert_true(near(at.area[k], 1.0 / 200) && near(off.area[k], 1.0 / 200));
        assert_true(near(at.side[k], 1) && near(at.square[k], 1.0 / 200) && near(at.radius[k], 0));
        /* |dx| = 4.5: columns 7 to 16; rows -0.5 to 8.5 as wholes, 0 to 8 */
        assert_true(near(off.side[k], 10) && near(off.radius[k], 4.5));
        assert_true(near(off.square[k], 9 * 10 / 200.0));
    }
    assert_true(near(at.sum, 0.3) && near(at.sigma, 0));
    assert_true(near(off.sigma_y, 0) && near(off.sigma_x, 4.5));
    assert_true(near(off.sigma, 4.5 / sqrt(2)));
}

static void uniform_square(void **state) {
    (void)state;
    enum { SIDE = 40, HELD = 20 };
    double map[SIDE * SIDE] = {0}, all = SIDE * SIDE;
    for (int y = 10; y < 10 + HELD; y++)
        for (int x = 5; x < 5 + HELD; x++) map[y * SIDE + x] = 0.1;
    const omma_spread s = spread(map, SIDE, SIDE, 19.5, 14.5);
    static const double side[] = {10, 12, 16, 20, 20}; /* 100, 144, 256, 400 of 400 */
    static const double pixels[] = {80, 120, 200, 380, 396};
    for (int k = 0; k < OMMA_SHARES; k++) {
        assert_true(near(s.area[k], pixels[k] / all));
        assert_true(near(s.side[k], side[k]) && near(s.square[k], side[k] * side[k] / all));
        double within = 0, less = 0;
        for (int i = 0; i < SIDE * SIDE; i++) {
            const double d = hypot(i / SIDE - 19.5, i % SIDE - 14.5);
            if (map[i] > 0 && d <= s.radius[k] + 1e-9) within++;
            if (map[i] > 0 && d < s.radius[k] - 1e-9) less++;
        }
        assert_true(within >= pixels[k] && less < pixels[k]);
    }
    assert_true(near(s.sigma_y, sqrt((HELD * HELD - 1) / 12.0)) && near(s.sigma_x, s.sigma_y));
    assert_true(near(s.sigma, s.sigma_y) && near(s.sum, 40));
}

static void two_pixels(void **state) {
    (void)state;
    double map[9 * 9] = {0};
    map[4 * 9 + 1] = 1, map[4 * 9 + 6] = 3; /* 3 and 2 away; a quarter and three */
    const omma_spread s = spread(map, 9, 9, 4, 4);
    assert_true(near(s.area[OMMA_SHARE_50], 1.0 / 81) && near(s.area[OMMA_SHARE_95], 2.0 / 81));
    assert_true(near(s.side[OMMA_SHARE_50], 5) && near(s.side[OMMA_SHARE_95], 7));
    assert_true(near(s.square[OMMA_SHARE_50], 25.0 / 81));
    assert_true(near(s.radius[OMMA_SHARE_50], 2) && near(s.radius[OMMA_SHARE_95], 3));
    assert_true(near(s.sigma_y, 0) && near(s.sigma_x, sqrt((9 * 1 + 4 * 3) / 4.0)));
}

static void nothing(void **state) {
    (void)state;
    const double map[4] = {0};
    omma_spread s = spread(map, 2, 2, 0, 0);
    omma_error err;
    assert_true(s.sum == 0 && isnan(s.sigma) && isnan(s.area[0]) && isnan(s.radius[4]));
    assert_int_equal(omma_spread_measure(&s, map, 0, 5, 0, 0, &err), OMMA_E_RANGE);
    assert_int_equal(omma_spread_measure(&s, map, 1 << 20, 1 << 20, 0, 0, &err), OMMA_E_RANGE);
}

/* --- means -------------------------------------------------------------------------------------
 */

/* Of pictures with two planes and groups of unequal size. */
static void tallies(void **state) {
    (void)state;
    enum { PICTURES = 23, SIZE = 3 };
    omma_arena arena;
    omma_tally t;
    double x[PICTURES][2][SIZE], map[SIZE], error[SIZE], without[OMMA_TALLY_GROUPS][SIZE];
    omma_arena_init(&arena, NULL);
    if (omma_tally_new(&t, 2, SIZE, &arena, NULL)) fail();
    for (int n = 0; n < PICTURES; n++) {
        for (int i = 0; i < 2 * SIZE; i++) x[n][i / SIZE][i % SIZE] = any() + (i % 2 ? 3 : -3);
        if (omma_tally_add(&t, x[n][0], NULL)) fail();
    }
    omma_tally_map(&t, -1, map);
    omma_tally_error(&t, error);
    for (int i = 0; i < SIZE; i++) { /* the planes' signs are known */
        double mean = 0, var = 0, v[PICTURES];
        for (int n = 0; n < PICTURES; n++) {
            v[n] = (i % 2 ? 1 : -1) * (x[n][0][i] - x[n][1][i]);
            mean += v[n] / PICTURES;
        }
        for (int n = 0; n < PICTURES; n++) var += pow(v[n] - mean, 2) / (PICTURES - 1);
        assert_true(fabs(map[i] - mean) < 1e-12);
        assert_true(fabs(error[i] - sqrt(var / PICTURES)) < 1e-12);
    }
    for (int g = 0; g < t.groups; g++) omma_tally_map(&t, g, without[g]);
    omma_tally_jackknife(&t, SIZE, map, without[0], error);
    for (int i = 0; i < SIZE; i++) { /* of a mean, pseudo-values are the groups' means */
        double var = 0;
        for (int g = 0; g < OMMA_TALLY_GROUPS; g++) {
            double mean = 0;
            int count = 0;
            for (int n = g; n < PICTURES; n += OMMA_TALLY_GROUPS, count++)
                mean += (i % 2 ? 1 : -1) * (x[n][0][i] - x[n][1][i]);
            var += pow(mean / count - map[i], 2) / ((double)PICTURES / count - 1);
        }
        assert_true(fabs(error[i] - sqrt(var / OMMA_TALLY_GROUPS)) < 1e-12);
    }
    omma_arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_pixel), cmocka_unit_test(uniform_square), cmocka_unit_test(two_pixels),
        cmocka_unit_test(nothing), cmocka_unit_test(tallies)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
