/* relevance.c - see relevance.h. */
#include "field/relevance.h"

#include <math.h>
#include <string.h>

#include "field/dense.h"

omma_status omma_relevance_weights(double *out, const float *weights, const float *gradient,
                                   int64_t heads, int64_t queries, int64_t keys, omma_error *err) {
    const int64_t matrix = queries * keys;
    if (heads < 1 || queries < 1 || keys < 1)
        return omma_fail(err, OMMA_E_RANGE, "no attention has %lld heads, %lld queries, %lld keys",
                         (long long)heads, (long long)queries, (long long)keys);
    for (int64_t i = 0; i < matrix; i++) {
        double sum = 0;
        for (int64_t h = 0; h < heads; h++) {
            const double a = (double)weights[h * matrix + i] * (double)gradient[h * matrix + i];
            if (!isfinite(a))
                return omma_fail(err, OMMA_E_RANGE,
                                 "the weight of head %lld, query %lld, key %lld or its gradient is "
                                 "not finite",
                                 (long long)h, (long long)(i / keys), (long long)(i % keys));
            sum += a > 0 ? a : 0;
        }
        out[i] = sum / (double)heads;
    }
    return OMMA_OK;
}

void omma_relevance_normal(double *out, const double *r, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        double sum = 0; /* of R - I, which has nothing below 0 */
        for (int64_t j = 0; j < n; j++) sum += r[i * n + j] - (i == j);
        for (int64_t j = 0; j < n; j++) {
            const double more = r[i * n + j] - (i == j);
            out[i * n + j] = (sum != 0 ? more / sum : 0) + (i == j);
        }
    }
}

/* --- updates ---------------------------------------------------------------------------------- */

static omma_status update(double *r, int64_t columns, const double *a, int64_t n, omma_arena *tmp,
                          omma_error *err) {
    double *before;
    OMMA_TRY(omma_dense_alloc(&before, tmp, (int64_t[]){n, columns}, 2, "relevance", err));
    memcpy(before, r, (size_t)(n * columns) * sizeof *before);
    omma_dense_product(
        &(omma_product){.c = r, .a = a, .b = before, .m = n, .k = n, .n = columns, .add = true});
    return OMMA_OK;
}

omma_status omma_relevance_self(double *r, int64_t columns, const double *a, int64_t n,
                                omma_arena *arena, omma_error *err) {
    omma_arena tmp;
    omma_arena_init(&tmp, arena->budget);
    const omma_status s = update(r, columns, a, n, &tmp, err);
    omma_arena_free(&tmp);
    return s;
}

static omma_status cross(double *r_qi, const double *a, const double *r_qq, const double *r_ii,
                         const int64_t *dims, omma_arena *tmp, omma_error *err) {
    const int64_t queries = dims[1], keys = dims[2];
    double *n_qq, *n_ii, *right;
    OMMA_TRY(omma_dense_alloc(&n_qq, tmp, dims, 2, "relevance", err));
    OMMA_TRY(omma_dense_alloc(&right, tmp, dims + 1, 2, "relevance", err));
    OMMA_TRY(omma_dense_alloc(&n_ii, tmp, dims + 2, 2, "relevance", err));
    omma_relevance_normal(n_qq, r_qq, queries);
    omma_relevance_normal(n_ii, r_ii, keys);
    omma_dense_product(
        &(omma_product){.c = right, .a = a, .b = n_ii, .m = queries, .k = keys, .n = keys});
    omma_dense_product(&(omma_product){.c = r_qi,
                                       .a = n_qq,
                                       .b = right,
                                       .m = queries,
                                       .k = queries,
                                       .n = keys,
                                       .turned = true,
                                       .add = true});
    return OMMA_OK;
}

omma_status omma_relevance_cross(double *r_qi, const double *a, const double *r_qq,
                                 const double *r_ii, int64_t queries, int64_t keys,
                                 omma_arena *arena, omma_error *err) {
    const int64_t dims[] = {queries, queries, keys, keys};
    omma_arena tmp;
    omma_arena_init(&tmp, arena->budget);
    const omma_status s = cross(r_qi, a, r_qq, r_ii, dims, &tmp, err);
    omma_arena_free(&tmp);
    return s;
}
