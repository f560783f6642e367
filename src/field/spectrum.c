/* spectrum.c - feature maps in similarity.h: Fourier log-amplitudes and variance. The transform is
 * made the plain way, along rows, then along columns, with a table of roots of unity: maps are
 * small. */
#include <math.h>

#include "field/dense.h"
#include "field/similarity.h"

static omma_status check_map(const omma_feature_map *m, omma_error *err) {
    if (m->height > 0 && m->width > 0 && m->channels > 0) return OMMA_OK;
    return omma_fail(err, OMMA_E_RANGE, "no feature map has %lldx%lld cells, %lld channels",
                     (long long)m->width, (long long)m->height, (long long)m->channels);
}

static double at(const omma_feature_map *m, int64_t y, int64_t x, int64_t c) {
    return (double)m->data[y * m->step_y + x * m->step_x + c * m->step_c];
}

/* --- the transform ---------------------------------------------------------------------------- */

/* n numbers (real and imaginary parts apart), each `step` from the last, to their transform. */
typedef struct axis {
    int64_t n, step;
    double *cosine, *sine; /* [n] of -2 pi k / n */
    double *re, *im;       /* [n] working memory */
} axis;

static omma_status make_axis(axis *a, int64_t n, int64_t step, omma_arena *tmp, omma_error *err) {
    double **const tables[] = {&a->cosine, &a->sine, &a->re, &a->im};
    for (int i = 0; i < 4; i++) OMMA_TRY(omma_dense_alloc(tables[i], tmp, &n, 1, "Fourier", err));
    for (int64_t k = 0; k < n; k++) {
        const double angle = -2 * acos(-1) * (double)k / (double)n;
        a->cosine[k] = cos(angle);
        a->sine[k] = sin(angle);
    }
    a->n = n, a->step = step;
    return OMMA_OK;
}

static void transform(const axis *a, double *re, double *im) {
    for (int64_t v = 0; v < a->n; v++) {
        double sum_re = 0, sum_im = 0;
        for (int64_t k = 0, turn = 0; k < a->n; k++, turn = (turn + v) % a->n) {
            const double x = re[k * a->step], y = im[k * a->step];
            sum_re += x * a->cosine[turn] - y * a->sine[turn];
            sum_im += x * a->sine[turn] + y * a->cosine[turn];
        }
        a->re[v] = sum_re, a->im[v] = sum_im;
    }
    for (int64_t v = 0; v < a->n; v++) re[v * a->step] = a->re[v], im[v * a->step] = a->im[v];
}

static omma_status fourier_log(double *out, const omma_feature_map *m, omma_arena *tmp,
                               omma_error *err) {
    const int64_t dims[] = {m->height, m->width}, cells = m->height * m->width;
    axis along, across;
    double *re, *im;
    OMMA_TRY(omma_dense_alloc(&re, tmp, dims, 2, "Fourier", err));
    OMMA_TRY(omma_dense_alloc(&im, tmp, dims, 2, "Fourier", err));
    OMMA_TRY(make_axis(&along, m->width, 1, tmp, err));
    OMMA_TRY(make_axis(&across, m->height, m->width, tmp, err));
    for (int64_t i = 0; i < cells; i++) out[i] = 0;
    for (int64_t c = 0; c < m->channels; c++) {
        for (int64_t i = 0; i < cells; i++) {
            re[i] = at(m, i / m->width, i % m->width, c), im[i] = 0;
            if (!isfinite(re[i]))
                return omma_fail(err, OMMA_E_RANGE,
                                 "channel %lld of a feature map has a number that is not finite",
                                 (long long)c);
        }
        for (int64_t y = 0; y < m->height; y++)
            transform(&along, re + y * m->width, im + y * m->width);
        for (int64_t x = 0; x < m->width; x++) transform(&across, re + x, im + x);
        for (int64_t i = 0; i < cells; i++)
            out[i] += log(sqrt(re[i] * re[i] + im[i] * im[i]) + 1e-6) / (double)m->channels;
    }
    return OMMA_OK;
}

omma_status omma_fourier_log(double *out, const omma_feature_map *m, omma_arena *arena,
                             omma_error *err) {
    OMMA_TRY(check_map(m, err));
    omma_arena tmp;
    omma_arena_init(&tmp, arena->budget);
    const omma_status s = fourier_log(out, m, &tmp, err);
    omma_arena_free(&tmp);
    return s;
}

/* --- by radius -------------------------------------------------------------------------------- */

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

/* The frequency of row or column v of n: 1 is the highest there can be. */
static double frequency(int64_t v, int64_t n) {
    return 2 * (double)(v <= n / 2 ? v : n - v) / (double)n;
}

static int64_t bin_of(double fy, double fx, int64_t side) {
    return (int64_t)floor(sqrt(fy * fy + fx * fx) * (double)side / 2 + 0.5);
}

int64_t omma_radial_bins(int64_t height, int64_t width) {
    return 1 + bin_of(frequency(height / 2, height), frequency(width / 2, width),
                      larger(height, width));
}

void omma_fourier_radial(double *out, const double *log, int64_t height, int64_t width) {
    const int64_t bins = omma_radial_bins(height, width), side = larger(height, width);
    for (int64_t k = 0; k < bins; k++) { /* each bin looks for its own: no memory for counts */
        double sum = 0, count = 0;
        for (int64_t i = 0; i < height * width; i++)
            if (bin_of(frequency(i / width, height), frequency(i % width, width), side) == k)
                sum += log[i], count++;
        out[k] = sum / count;
    }
}

/* --- variance --------------------------------------------------------------------------------- */

omma_status omma_feature_variance(double *out, const omma_feature_map *m, omma_error *err) {
    const int64_t cells = m->height * m->width;
    double all = 0;
    OMMA_TRY(check_map(m, err));
    for (int64_t c = 0; c < m->channels; c++) {
        double mean = 0, sum = 0;
        for (int64_t i = 0; i < cells; i++) mean += at(m, i / m->width, i % m->width, c);
        mean /= (double)cells;
        for (int64_t i = 0; i < cells; i++) {
            const double v = at(m, i / m->width, i % m->width, c) - mean;
            sum += v * v;
        }
        all += sum / (double)(cells - 1);
    }
    *out = all / (double)m->channels;
    if (isnan(*out) && cells > 1)
        return omma_fail(err, OMMA_E_RANGE, "a feature map has a number that is not finite");
    return OMMA_OK;
}
