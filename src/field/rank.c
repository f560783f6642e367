/* rank.c - numbers put in order, and the correlation of two orders: see faithfulness.h. A sort by
 * digits, since maps have as many numbers as a picture has pixels and are put in order often. */
#include <math.h>
#include <string.h>

#include "field/chance.h"
#include "field/faithfulness.h"

enum { DIGIT = 11, PLACES = 1 << DIGIT };

typedef struct ranked {
    uint64_t key;
    int64_t index;
} ranked;

/* Larger numbers have smaller keys; of both zeros it is the same. */
static uint64_t key_of(double v) {
    uint64_t bits;
    v += 0.0;
    memcpy(&bits, &v, sizeof bits);
    return bits >> 63 ? bits : ~bits & INT64_MAX;
}

/* By key, the smallest first; the same keys stay in their order. Returns which of the two lists
 * has them. */
static ranked *sort(ranked *r, ranked *spare, int64_t n) {
    for (int shift = 0; shift < 64; shift += DIGIT) {
        int64_t place[PLACES + 1] = {0};
        for (int64_t i = 0; i < n; i++) place[(r[i].key >> shift & (PLACES - 1)) + 1]++;
        if (n && place[(r[0].key >> shift & (PLACES - 1)) + 1] == n) continue;
        for (int b = 0; b < PLACES; b++) place[b + 1] += place[b];
        for (int64_t i = 0; i < n; i++) spare[place[r[i].key >> shift & (PLACES - 1)]++] = r[i];
        ranked *t = r;
        r = spare, spare = t;
    }
    return r;
}

/* The hottest first, equal ones by chance. */
static ranked *sorted(const double *map, int64_t n, uint64_t seed, omma_arena *tmp,
                      omma_error *err) {
    ranked *both = omma_arena_array(tmp, (size_t)n * 2, sizeof *both);
    if (!both) omma_fail(err, OMMA_E_NOMEM, "no memory to put pixels in order");
    if (!both) return NULL;
    for (int64_t i = 0; i < n; i++) both[i] = (ranked){omma_chance_bits(seed, 1, i), i};
    ranked *r = sort(both, both + n, n);
    for (int64_t i = 0; i < n; i++) r[i].key = key_of(map[r[i].index]);
    return sort(r, r == both ? both + n : both, n);
}

omma_status omma_rank_order(int64_t *order, const double *map, int64_t n, uint64_t seed,
                            omma_arena *tmp, omma_error *err) {
    const ranked *r = sorted(map, n, seed, tmp, err);
    if (!r) return OMMA_E_NOMEM;
    for (int64_t i = 0; i < n; i++) order[i] = r[i].index;
    return OMMA_OK;
}

/* rank [n]: equal numbers get the mean of the places they take together. */
static omma_status ranks(double *rank, const double *map, int64_t n, omma_arena *tmp,
                         omma_error *err) {
    const ranked *r = sorted(map, n, 0, tmp, err); /* by chance or not is the same */
    if (!r) return OMMA_E_NOMEM;
    for (int64_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && r[end].key == r[i].key; end++) continue;
        for (int64_t k = i; k < end; k++) rank[r[k].index] = (double)(i + end - 1) / 2;
    }
    return OMMA_OK;
}

omma_status omma_rank_correlation(double *out, const double *a, const double *b, int64_t n,
                                  omma_arena *tmp, omma_error *err) {
    double *x = omma_arena_array(tmp, (size_t)n, sizeof *x);
    double *y = omma_arena_array(tmp, (size_t)n, sizeof *y);
    const double mean = (double)(n - 1) / 2;
    double xx = 0, yy = 0, xy = 0;
    if (!x || !y) return omma_fail(err, OMMA_E_NOMEM, "no memory to put pixels in order");
    OMMA_TRY(ranks(x, a, n, tmp, err));
    OMMA_TRY(ranks(y, b, n, tmp, err));
    for (int64_t i = 0; i < n; i++) {
        xx += (x[i] - mean) * (x[i] - mean);
        yy += (y[i] - mean) * (y[i] - mean);
        xy += (x[i] - mean) * (y[i] - mean);
    }
    *out = xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : NAN;
    return OMMA_OK;
}
