/* similarity.c - see similarity.h; maps are in spectrum.c. */
#include "field/similarity.h"

#include <math.h>
#include <stdlib.h>

#include "field/dense.h"

/* --- features as doubles ---------------------------------------------------------------------- */

/* The mean of a column: of one that does not vary exactly its number, since sums of so few equal
 * floats are exact in double, and so is what is left of it, 0. */
static double mean_of(const float *x, int64_t n, int64_t step) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i * step];
    return sum / (double)n;
}

/* A copy of x [n, width], or where turned of its transpose, columns centred or not. */
static omma_status copy(double **out, const float *x, int64_t n, int64_t width, bool centred,
                        bool turned, omma_arena *tmp, omma_error *err) {
    OMMA_TRY(omma_dense_alloc(out, tmp, (int64_t[]){n, width}, 2, "features", err));
    for (int64_t c = 0; c < width; c++) {
        const double mean = centred ? mean_of(x + c, n, width) : 0;
        for (int64_t i = 0; i < n; i++) {
            const double v = (double)x[i * width + c] - mean;
            if (!isfinite(v))
                return omma_fail(err, OMMA_E_RANGE, "feature %lld of token %lld is not finite",
                                 (long long)c, (long long)i);
            (*out)[turned ? c * n + i : i * width + c] = v;
        }
    }
    return OMMA_OK;
}

/* out [n, n] = x x^T of x [n, width], through its transpose. */
static omma_status gram(double *out, const float *x, int64_t n, int64_t width, bool centred,
                        omma_arena *tmp, omma_error *err) {
    double *turned;
    OMMA_TRY(copy(&turned, x, n, width, centred, true, tmp, err));
    omma_dense_product(&(omma_product){
        .c = out, .a = turned, .b = turned, .m = n, .k = width, .n = n, .turned = true});
    return OMMA_OK;
}

/* --- cosines ---------------------------------------------------------------------------------- */

omma_status omma_cosine_matrix(double *out, const float *x, int64_t n, int64_t width,
                               omma_arena *arena, omma_error *err) {
    omma_arena tmp;
    omma_arena_init(&tmp, arena->budget);
    const omma_status s = gram(out, x, n, width, false, &tmp, err);
    omma_arena_free(&tmp);
    if (s) return s;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            if (i == j) continue;
            const double size = sqrt(out[i * n + i]) * sqrt(out[j * n + j]);
            out[i * n + j] = size > 0 ? fmax(-1, fmin(1, out[i * n + j] / size)) : 0;
        }
    for (int64_t i = 0; i < n; i++) out[i * n + i] = out[i * n + i] > 0;
    return OMMA_OK;
}

/* --- CKA -------------------------------------------------------------------------------------- */

static double dot(const double *a, const double *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* |Y^T X|^2 is the sum of the products of X X^T and Y Y^T: by whichever is the smaller. */
static omma_status cka_by_tokens(double *out, const float *x, int64_t x_width, const float *y,
                                 int64_t y_width, int64_t n, omma_arena *tmp, omma_error *err) {
    double *k, *l;
    const int64_t dims[] = {n, n};
    OMMA_TRY(omma_dense_alloc(&k, tmp, dims, 2, "CKA", err));
    OMMA_TRY(omma_dense_alloc(&l, tmp, dims, 2, "CKA", err));
    OMMA_TRY(gram(k, x, n, x_width, true, tmp, err));
    OMMA_TRY(gram(l, y, n, y_width, true, tmp, err));
    *out = dot(k, l, n * n) / (sqrt(dot(k, k, n * n)) * sqrt(dot(l, l, n * n)));
    return OMMA_OK;
}

/* *out = |a^T b|^2, a [n, p], b [n, q]. */
static omma_status cross_square(double *out, const double *a, int64_t p, const double *b, int64_t q,
                                int64_t n, omma_arena *tmp, omma_error *err) {
    double *c;
    OMMA_TRY(omma_dense_alloc(&c, tmp, (int64_t[]){p, q}, 2, "CKA", err));
    omma_dense_product(
        &(omma_product){.c = c, .a = a, .b = b, .m = p, .k = n, .n = q, .turned = true});
    *out = dot(c, c, p * q);
    return OMMA_OK;
}

static omma_status cka_by_features(double *out, const float *x, int64_t x_width, const float *y,
                                   int64_t y_width, int64_t n, omma_arena *tmp, omma_error *err) {
    double *a, *b, xy, xx, yy;
    OMMA_TRY(copy(&a, x, n, x_width, true, false, tmp, err));
    OMMA_TRY(copy(&b, y, n, y_width, true, false, tmp, err));
    OMMA_TRY(cross_square(&xy, a, x_width, b, y_width, n, tmp, err));
    OMMA_TRY(cross_square(&xx, a, x_width, a, x_width, n, tmp, err));
    OMMA_TRY(cross_square(&yy, b, y_width, b, y_width, n, tmp, err));
    *out = xy / (sqrt(xx) * sqrt(yy));
    return OMMA_OK;
}

omma_status omma_linear_cka(double *out, const float *x, int64_t x_width, const float *y,
                            int64_t y_width, int64_t n, omma_arena *arena, omma_error *err) {
    const bool by_tokens = n <= x_width || n <= y_width;
    omma_arena tmp;
    omma_arena_init(&tmp, arena->budget);
    const omma_status s =
        (by_tokens ? cka_by_tokens : cka_by_features)(out, x, x_width, y, y_width, n, &tmp, err);
    omma_arena_free(&tmp);
    return s;
}

/* --- effective rank --------------------------------------------------------------------------- */

static double effective_rank(const double *s, int64_t n) {
    double sum = 0, entropy = 0;
    for (int64_t i = 0; i < n; i++) sum += s[i];
    if (sum == 0) return 0;
    for (int64_t i = 0; i < n; i++)
        if (s[i] > 0) entropy -= s[i] / sum * log(s[i] / sum);
    return exp(entropy);
}

static omma_status rank_of(double *out, double *singular, const float *x, int64_t n, int64_t width,
                           bool centred, omma_arena *tmp, omma_error *err) {
    const bool turned = n < width;
    const int64_t few = turned ? n : width, many = turned ? width : n;
    double *a, *s = singular;
    OMMA_TRY(copy(&a, x, n, width, centred, turned, tmp, err));
    if (!s) OMMA_TRY(omma_dense_alloc(&s, tmp, &few, 1, "effective rank", err));
    OMMA_TRY(omma_dense_singular(s, a, many, few, tmp, err));
    *out = effective_rank(s, few);
    return OMMA_OK;
}

omma_status omma_effective_rank(double *out, double *singular, const float *x, int64_t n,
                                int64_t width, bool centred, omma_arena *arena, omma_error *err) {
    omma_arena tmp;
    omma_arena_init(&tmp, arena->budget);
    const omma_status s = rank_of(out, singular, x, n, width, centred, &tmp, err);
    omma_arena_free(&tmp);
    return s;
}

/* --- outliers --------------------------------------------------------------------------------- */

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, int64_t n) {
    qsort(v, (size_t)n, sizeof *v, ascending);
    return (v[(n - 1) / 2] + v[n / 2]) / 2;
}

static omma_status norms(double *norm, const float *x, int64_t n, int64_t width, omma_error *err) {
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int64_t c = 0; c < width; c++)
            sum += (double)x[i * width + c] * (double)x[i * width + c];
        norm[i] = sqrt(sum);
        if (!isfinite(norm[i]))
            return omma_fail(err, OMMA_E_RANGE, "token %lld has a feature that is not finite",
                             (long long)i);
    }
    return OMMA_OK;
}

/* What z is divided by; v [n] is working memory that holds the norms that count. */
static double deviation(omma_outliers *out, double *v, int64_t n) {
    double mean = 0;
    out->median = median(v, n);
    for (int64_t i = 0; i < n; i++) v[i] = fabs(v[i] - out->median);
    for (int64_t i = 0; i < n; i++) mean += v[i] / (double)n;
    out->mad = median(v, n);
    return out->mad > 0 ? out->mad / 0.6745 : mean * 1.2533;
}

static omma_status find_outliers(omma_outliers *out, double *norm, double *z, const float *x,
                                 int64_t n, int64_t width, const uint8_t *counted, double limit,
                                 omma_arena *tmp, omma_error *err) {
    const int64_t dims[] = {n, width};
    double *all, *some;
    int64_t count = 0;
    if (width < 1) return omma_fail(err, OMMA_E_RANGE, "tokens of %lld numbers", (long long)width);
    OMMA_TRY(omma_dense_alloc(&all, tmp, dims, 1, "outliers", err));
    OMMA_TRY(omma_dense_alloc(&some, tmp, dims, 1, "outliers", err));
    OMMA_TRY(norms(all, x, n, width, err));
    for (int64_t i = 0; i < n; i++)
        if (!counted || counted[i]) some[count++] = all[i];
    if (!count) return omma_fail(err, OMMA_E_RANGE, "outliers among no tokens");
    *out = (omma_outliers){0};
    const double unit = deviation(out, some, count);
    for (int64_t i = 0; i < n; i++) {
        const double score = unit > 0 ? (all[i] - out->median) / unit : 0;
        if (norm) norm[i] = all[i];
        if (z) z[i] = score;
        if (counted && !counted[i]) continue;
        out->high += score > limit;
        out->low += score < -limit;
    }
    return OMMA_OK;
}

omma_status omma_outliers_find(omma_outliers *out, double *norm, double *z, const float *x,
                               int64_t n, int64_t width, const uint8_t *counted, double limit,
                               omma_arena *arena, omma_error *err) {
    omma_arena tmp;
    omma_arena_init(&tmp, arena->budget);
    const omma_status s = find_outliers(out, norm, z, x, n, width, counted, limit, &tmp, err);
    omma_arena_free(&tmp);
    return s;
}

/* --- deformable attention --------------------------------------------------------------------- */

static omma_status check_deformed(const omma_deformed *d, int64_t *points, omma_error *err) {
    *points = 0;
    if (d->queries < 1 || d->heads < 1 || d->levels < 1)
        return omma_fail(err, OMMA_E_RANGE,
                         "deformable attention of %lld queries, %lld heads, "
                         "%lld levels",
                         (long long)d->queries, (long long)d->heads, (long long)d->levels);
    if ((d->reference_levels != 1 && d->reference_levels != d->levels) ||
        (d->reference_width != 2 && d->reference_width != 4))
        return omma_fail(
            err, OMMA_E_SHAPE, "references are [queries, 1 or %lld, 2 or 4], not [.., %lld, %lld]",
            (long long)d->levels, (long long)d->reference_levels, (long long)d->reference_width);
    for (int64_t l = 0; l < d->levels; l++) {
        if (d->height[l] < 1 || d->width[l] < 1 || d->points[l] < 1)
            return omma_fail(err, OMMA_E_RANGE, "level %lld has %lldx%lld cells and %lld points",
                             (long long)l, (long long)d->width[l], (long long)d->height[l],
                             (long long)d->points[l]);
        *points += d->points[l];
    }
    return OMMA_OK;
}

/* What one of the offset is in the picture. */
static double unit_of(const omma_deformed *d, const float *reference, int64_t level, int axis) {
    if (d->reference_width == 4)
        return (double)reference[2 + axis] * 0.5 / (double)d->points[level];
    return 1 / (double)(axis ? d->height : d->width)[level];
}

omma_status omma_deformed_places(double *y, double *x, const omma_deformed *d, omma_error *err) {
    const float *offset = d->offset;
    int64_t points;
    OMMA_TRY(check_deformed(d, &points, err));
    for (int64_t i = 0; i < d->queries * d->heads; i++)
        for (int64_t l = 0; l < d->levels; l++) {
            const int64_t row = i / d->heads * d->reference_levels;
            const float *r =
                d->reference + (row + (d->reference_levels > 1 ? l : 0)) * d->reference_width;
            const double unit_x = unit_of(d, r, l, 0), unit_y = unit_of(d, r, l, 1);
            for (int64_t p = 0; p < d->points[l]; p++, offset += 2) {
                *x++ = (double)r[0] + (double)offset[0] * unit_x;
                *y++ = (double)r[1] + (double)offset[1] * unit_y;
            }
        }
    return OMMA_OK;
}
