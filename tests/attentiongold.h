/* attentiongold.h - for the tests of what is measured of attention: the inputs and the recorded
 * numbers of golden/attention_rules.py, and random weights.
 *
 *     noise n = {2};
 *     fill_attention(&n, a, layers * heads, queries, keys);   // f32, rows sum to 1
 *     gold_check("flow", flow, 25, 1e-12);
 */
#ifndef OMMA_TESTS_ATTENTIONGOLD_H
#define OMMA_TESTS_ATTENTIONGOLD_H

#include <math.h>
#include <stdio.h>

#include "base/arena.h"
#include "guard.h"

typedef struct noise {
    uint32_t x;
} noise;

/* [0, 1), 24 bits. */
static inline double noise_next(noise *n) {
    n->x = 1664525u * n->x + 1013904223u;
    return (n->x >> 8) / 16777216.0;
}

static inline void noise_fill(noise *n, float *v, int64_t count, bool with_sign) {
    for (int64_t i = 0; i < count; i++) {
        const double x = noise_next(n);
        v[i] = (float)(with_sign ? 2 * x - 1 : x);
    }
}

static inline void fill_attention(noise *n, float *a, int64_t matrices, int64_t queries,
                                  int64_t keys) {
    double row[256];
    assert_true(keys <= 256);
    for (int64_t i = 0; i < matrices * queries; i++) {
        double sum = 0;
        for (int64_t j = 0; j < keys; j++) sum += row[j] = pow(noise_next(n), 4) + 1e-3;
        for (int64_t j = 0; j < keys; j++) a[i * keys + j] = (float)(row[j] / sum);
    }
}

/* The numbers recorded under a name; there must be as many. */
static inline void gold_read(const char *name, double *v, int count) {
    char word[64];
    int n;
    FILE *f = fopen(OMMA_TREE "/tests/golden/attention_rules.txt", "r");
    assert_non_null(f);
    while (fscanf(f, "%63s %d", word, &n) == 2) {
        const bool here = !strcmp(word, name);
        if (here && n != count) fail_msg("%s has %d numbers, not %d", name, n, count);
        for (int i = 0; i < n; i++) {
            double x;
            assert_int_equal(fscanf(f, "%lf", &x), 1);
            if (here) v[i] = x;
        }
        if (here) {
            fclose(f);
            return;
        }
    }
    fail_msg("nothing is recorded as %s", name);
}

static inline void check_near(const char *what, int64_t i, double is, double want, double by) {
    if (isnan(want) ? isnan(is) : fabs(is - want) <= by * (1 + fabs(want))) return;
    fail_msg("%s, number %lld: %.17g, not %.17g", what, (long long)i, is, want);
}

static inline void gold_check(const char *name, const double *is, int count, double by) {
    double want[256];
    assert_true(count <= 256);
    gold_read(name, want, count);
    for (int i = 0; i < count; i++) check_near(name, i, is[i], want[i], by);
}

#define NEAR(is, want, by) check_near(#is, __LINE__, is, want, by)

#endif
