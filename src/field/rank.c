/* rank.c - numbers put in order, and the correlation of two orders: see faithfulness.h. */
#include <math.h>
#include <stdlib.h>

#include "field/chance.h"
#include "field/faithfulness.h"

typedef struct ranked {
    double value;
    uint64_t tie;
    int64_t index;
} ranked;

static int hotter(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->value != y->value) return x->value > y->value ? -1 : 1;
    if (x->tie != y->tie) return x->tie < y->tie ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

static ranked *sorted(const double *map, int64_t n, uint64_t seed, omma_arena *tmp,
                      omma_error *err) {
    ranked *r = omma_arena_array(tmp, (size_t)n, sizeof *r);
    if (!r) omma_fail(err, OMMA_E_NOMEM, "no memory to put pixels in order");
    for (int64_t i = 0; r && i < n; i++) r[i] = (ranked){map[i], omma_chance_bits(seed, 1, i), i};
    if (r) qsort(r, (size_t)n, sizeof *r, hotter);
    return r;
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
    const ranked *r = sorted(map, n, 0, tmp, err);
    if (!r) return OMMA_E_NOMEM;
    for (int64_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && r[end].value == r[i].value; end++) continue;
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
