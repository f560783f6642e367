/* rollout.c - see rollout.h; flows are in flow.c. */
#include "field/rollout.h"

#include <math.h>
#include <string.h>

#include "field/dense.h"

static const char *const names[OMMA_HEAD_FUSIONS] = {"mean", "max", "min"};

const char *omma_head_fusion_name(omma_head_fusion f) { return names[f]; }

/* --- heads ------------------------------------------------------------------------------------ */

static bool sound(double a) { return a >= 0 && isfinite(a); }

static omma_status check_sizes(int64_t heads, int64_t queries, int64_t keys, omma_error *err) {
    if (heads > 0 && queries > 0 && keys > 0) return OMMA_OK;
    return omma_fail(err, OMMA_E_RANGE, "no attention has %lld heads, %lld queries, %lld keys",
                     (long long)heads, (long long)queries, (long long)keys);
}

/* One weight of all heads, each `step` from the last; negative where one is not sound. */
static double fuse(const float *weight, int64_t heads, int64_t step, omma_head_fusion how) {
    double sum = 0, most = 0, least = INFINITY;
    for (int64_t h = 0; h < heads; h++) {
        const double a = (double)weight[h * step];
        if (!sound(a)) return -1;
        sum += a;
        most = fmax(most, a);
        least = fmin(least, a);
    }
    return how == OMMA_HEADS_MAX ? most : how == OMMA_HEADS_MIN ? least : sum / (double)heads;
}

static omma_status unsound(int64_t query, int64_t key, omma_error *err) {
    return omma_fail(err, OMMA_E_RANGE,
                     "a weight of query %lld and key %lld is negative or not finite",
                     (long long)query, (long long)key);
}

omma_status omma_heads_fuse(double *fused, const float *weights, int64_t heads, int64_t queries,
                            int64_t keys, omma_head_fusion how, omma_error *err) {
    OMMA_TRY(check_sizes(heads, queries, keys, err));
    for (int64_t i = 0; i < queries * keys; i++) {
        fused[i] = fuse(weights + i, heads, queries * keys, how);
        if (fused[i] < 0) return unsound(i / keys, i % keys, err);
    }
    return OMMA_OK;
}

static omma_status fuse_window(double *fused, const omma_windows *w, int64_t window,
                               omma_head_fusion how, omma_error *err) {
    const int64_t matrix = w->queries * w->keys;
    const float *weights = w->weights + window * w->heads * matrix;
    for (int64_t i = 0; i < matrix; i++) {
        const int64_t q = w->query[window * w->queries + i / w->keys];
        const int64_t k = w->key[window * w->keys + i % w->keys];
        if (q < -1 || q >= w->rows || k < -1 || k >= w->columns)
            return omma_fail(err, OMMA_E_RANGE, "window %lld has a token that is none: %lld, %lld",
                             (long long)window, (long long)q, (long long)k);
        const double a = fuse(weights + i, w->heads, matrix, how);
        if (a < 0) return unsound(q, k, err);
        if (q >= 0 && k >= 0) fused[q * w->columns + k] += a;
    }
    return OMMA_OK;
}

omma_status omma_windows_fuse(double *fused, const omma_windows *w, omma_head_fusion how,
                              omma_error *err) {
    OMMA_TRY(check_sizes(w->heads, w->queries, w->keys, err));
    OMMA_TRY(check_sizes(w->windows, w->rows, w->columns, err));
    memset(fused, 0, (size_t)(w->rows * w->columns) * sizeof *fused);
    for (int64_t i = 0; i < w->windows; i++) OMMA_TRY(fuse_window(fused, w, i, how, err));
    return OMMA_OK;
}

/* --- rollout ---------------------------------------------------------------------------------- */

omma_status omma_rollout_mix(double *mixed, const double *fused, int64_t n, double alpha,
                             omma_error *err) {
    if (!(alpha >= 0 && alpha <= 1))
        return omma_fail(err, OMMA_E_USAGE, "alpha is %g, it must be 0 to 1", alpha);
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int64_t j = 0; j < n; j++) {
            const double a = fused[i * n + j];
            if (!sound(a)) return unsound(i, j, err);
            mixed[i * n + j] = alpha * a + (i == j ? 1 - alpha : 0);
            sum += mixed[i * n + j];
        }
        if (!(sum > 0))
            return omma_fail(err, OMMA_E_RANGE, "query %lld looks at nothing", (long long)i);
        for (int64_t j = 0; j < n; j++) mixed[i * n + j] /= sum;
    }
    return OMMA_OK;
}

static omma_status layer(double *rollout, int64_t columns, const double *fused, int64_t n,
                         double alpha, omma_arena *tmp, omma_error *err) {
    double *mixed, *below;
    const int64_t dims[] = {n, n, columns};
    OMMA_TRY(omma_dense_alloc(&mixed, tmp, dims, 2, "rollout", err));
    OMMA_TRY(omma_dense_alloc(&below, tmp, dims + 1, 2, "rollout", err));
    OMMA_TRY(omma_rollout_mix(mixed, fused, n, alpha, err));
    memcpy(below, rollout, (size_t)(n * columns) * sizeof *below);
    omma_rollout_cross(rollout, mixed, n, below, n, columns);
    return OMMA_OK;
}

omma_status omma_rollout_layer(double *rollout, int64_t columns, const double *fused, int64_t n,
                               double alpha, omma_arena *arena, omma_error *err) {
    omma_arena tmp;
    omma_arena_init(&tmp, arena->budget);
    const omma_status s = layer(rollout, columns, fused, n, alpha, &tmp, err);
    omma_arena_free(&tmp);
    return s;
}

void omma_rollout_cross(double *out, const double *fused, int64_t queries, const double *rollout,
                        int64_t keys, int64_t columns) {
    omma_dense_product(
        &(omma_product){.c = out, .a = fused, .b = rollout, .m = queries, .k = keys, .n = columns});
}
