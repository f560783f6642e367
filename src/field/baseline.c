/* baseline.c - see baseline.h. */
#include "field/baseline.h"

#include <math.h>
#include <stdio.h>

omma_status omma_baseline_check(const omma_baseline *b, omma_error *err) {
    if ((unsigned)b->kind >= OMMA_BASELINES)
        return omma_fail(err, OMMA_E_USAGE, "there is no baseline %d", (int)b->kind);
    if (!(b->sigma >= 0 && b->sigma < 1e6))
        return omma_fail(err, OMMA_E_USAGE, "a blur of %g px: it must be 0 or more", b->sigma);
    for (int c = 0; c < OMMA_PICTURE_COLOURS; c++)
        if (!isfinite(b->grey[c]))
            return omma_fail(err, OMMA_E_USAGE, "a grey of %g is no colour", b->grey[c]);
    return OMMA_OK;
}

static double sigma_of(const omma_baseline *b, const omma_picture *p) {
    const double longer = (double)(p->height > p->width ? p->height : p->width);
    return b->sigma > 0 ? b->sigma : longer / 16;
}

void omma_baseline_say(char *out, size_t size, const omma_baseline *b, const omma_picture *p) {
    const double *g = b->grey;
    const char *plain = b->kind == OMMA_BASELINE_MEAN ? "mean colour" : "zero";
    if (b->kind == OMMA_BASELINE_BLUR) snprintf(out, size, "blur of %g px", sigma_of(b, p));
    else if (b->kind != OMMA_BASELINE_GREY) snprintf(out, size, "%s", plain);
    else if (p->channels == 1) snprintf(out, size, "grey %g", g[0]);
    else if (p->channels == 2) snprintf(out, size, "grey %g, %g", g[0], g[1]);
    else if (p->channels == 3) snprintf(out, size, "grey %g, %g, %g", g[0], g[1], g[2]);
    else snprintf(out, size, "grey %g, %g, %g, %g", g[0], g[1], g[2], g[3]);
}

/* out [n] += by * x [n]. */
static void add_scaled(double *restrict out, const double *restrict x, double by, int64_t n) {
    for (int64_t i = 0; i < n; i++) out[i] += by * x[i];
}

/* Across n lines of `step` numbers, line i in the place of number i; step 1: along one line. What
 * lies outside the picture has no weight. Whole lines are added at a time. */
static void blur_lines(double *out, const double *x, int64_t n, int64_t step, const double *tap,
                       int64_t reach) {
    for (int64_t i = 0; i < n * step; i++) out[i] = tap[0] * x[i];
    for (int64_t k = 1; k <= reach && k < n; k++) {
        add_scaled(out, x + k * step, tap[k], (n - k) * step);
        add_scaled(out + k * step, x, tap[k], (n - k) * step);
    }
    for (int64_t i = 0; i < n; i++) {
        double weight = 0;
        for (int64_t k = -reach; k <= reach; k++)
            if (i + k >= 0 && i + k < n) weight += tap[k < 0 ? -k : k];
        for (int64_t l = 0; l < step; l++) out[i * step + l] /= weight;
    }
}

static omma_status blur(double *out, double sigma, const double *x, const omma_picture *p,
                        omma_arena *tmp, omma_error *err) {
    const int64_t h = p->height, w = p->width, longer = h > w ? h : w;
    const int64_t reach = 3 * sigma < (double)longer ? (int64_t)(3 * sigma) : longer;
    double *tap = omma_arena_array(tmp, (size_t)reach + 1, sizeof *tap);
    double *across = omma_arena_array(tmp, (size_t)(h * w), sizeof *across);
    if (!tap || !across) return omma_fail(err, OMMA_E_NOMEM, "no memory for a blurred picture");
    for (int64_t k = 0; k <= reach; k++) tap[k] = exp(-(double)(k * k) / (2 * sigma * sigma));
    for (int64_t c = 0; c < p->channels; c++) {
        const double *from = x + c * h * w;
        for (int64_t i = 0; i < h; i++) blur_lines(across + i * w, from + i * w, w, 1, tap, reach);
        blur_lines(out + c * h * w, across, h, w, tap, reach);
    }
    return OMMA_OK;
}

static double mean(const double *x, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i];
    return sum / (double)n;
}

omma_status omma_baseline_fill(double *out, const omma_baseline *b, const double *x,
                               const omma_picture *p, omma_arena *tmp, omma_error *err) {
    const int64_t n = p->height * p->width;
    if (b->kind == OMMA_BASELINE_BLUR) return blur(out, sigma_of(b, p), x, p, tmp, err);
    for (int64_t c = 0; c < p->channels; c++) {
        double v = 0;
        if (b->kind == OMMA_BASELINE_MEAN) v = mean(x + c * n, n);
        if (b->kind == OMMA_BASELINE_GREY) v = b->grey[c];
        for (int64_t i = 0; i < n; i++) out[c * n + i] = v;
    }
    return OMMA_OK;
}
