/* test_shrink.c - bytes packed for the report come back as they were, whatever they are; what is
 * worth packing becomes smaller, what is not is left alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "lookread.h"
#include "view/shrink.h"

static unsigned next(unsigned *seed) {
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* Pack and unpack; the packed size, or size when it was not worth it. */
static size_t there_and_back(const unsigned char *data, size_t size) {
    unsigned char *packed;
    size_t n;
    assert_int_equal(omma_shrink(&packed, &n, data, size, NULL), OMMA_OK);
    if (!packed) return size;
    assert_true(n < size);
    unsigned char *back = look_unpack(packed, n, size);
    assert_memory_equal(back, data, size);
    free(back);
    omma_mem_free(packed);
    return n;
}

static void nothing_and_little(void **state) {
    (void)state;
    assert_int_equal(there_and_back((const unsigned char *)"", 0), 0);
    assert_int_equal(there_and_back((const unsigned char *)"abc", 3), 3);
}

static void one_symbol(void **state) {
    (void)state;
    unsigned char v[5000];
    memset(v, 0, sizeof v);
    assert_true(there_and_back(v, sizeof v) < 140);
    memset(v, 7, sizeof v); /* a bit each */
    assert_int_equal(there_and_back(v, sizeof v), 136 + 625);
}

/* Runs of every length around the powers of two, and the longest there are. */
static void runs(void **state) {
    (void)state;
    static unsigned char v[400000];
    size_t at = 0;
    for (size_t k = 1; k <= 32768; k *= 2)
        for (size_t n = k - 1; n <= k + 1; n++) {
            at += n;
            v[at++] = (unsigned char)(1 + n % 5);
        }
    at += 70000;
    v[at++] = 1;
    assert_true(at < sizeof v);
    assert_true(there_and_back(v, at) < 1000);
}

static void noise_is_left(void **state) {
    (void)state;
    unsigned char v[4096];
    unsigned seed = 1;
    for (size_t i = 0; i < sizeof v; i++) v[i] = (unsigned char)next(&seed);
    assert_int_equal(there_and_back(v, sizeof v), sizeof v);
}

/* Counts that double from symbol to symbol make the deepest tree: deeper than codes may be. */
static void deep_trees(void **state) {
    (void)state;
    const size_t size = (size_t)1 << 20;
    unsigned char *v = malloc(size);
    size_t at = 0;
    for (int s = 0; s < 20; s++)
        for (size_t n = (size_t)1 << s; n && at < size; n--) v[at++] = (unsigned char)(1 + s);
    while (at < size) v[at++] = 21;
    const size_t n = there_and_back(v, size);
    assert_true(n > 136 && n < size / 3);
    free(v);
}

static void any_data(void **state) {
    (void)state;
    unsigned seed = 9;
    unsigned char v[3000];
    for (int trial = 0; trial < 400; trial++) {
        const unsigned size = next(&seed) % sizeof v, few = 1 + next(&seed) % 200;
        const unsigned zeros = next(&seed) % 100;
        for (unsigned i = 0; i < size; i++)
            v[i] = (unsigned char)(next(&seed) % 100 < zeros ? 0 : next(&seed) % few);
        there_and_back(v, size);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_and_little),
                                       cmocka_unit_test(one_symbol),
                                       cmocka_unit_test(runs),
                                       cmocka_unit_test(noise_is_left),
                                       cmocka_unit_test(deep_trees),
                                       cmocka_unit_test(any_data)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
