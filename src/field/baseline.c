/* baseline.c - see baseline.h. */
#include "field/baseline.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

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

/* out[i] = sum over k from -reach to reach of tap[|k|] x[i + k step], for n of them. Taps are the
 * outer loop and numbers go by fours, which compilers make vectors of. */
static void blur_line(double *restrict out, const double *restrict x, int64_t n, int64_t step,
                      const double *tap, int64_t reach) {
    for (int64_t i = 0; i < n; i++) out[i] = tap[0] * x[i];
    for (int64_t k = 1; k <= reach; k++) {
        const double *a = x - k * step, *b = x + k * step, t = tap[k];
        int64_t i = 0;
        for (; i + 4 <= n; i += 4) {
            out[i] += t * (a[i] + b[i]);
            out[i + 1] += t * (a[i + 1] + b[i + 1]);
            out[i + 2] += t * (a[i + 2] + b[i + 2]);
            out[i + 3] += t * (a[i + 3] + b[i + 3]);
        }
        for (; i < n; i++) out[i] += t * (a[i] + b[i]);
    }
}

/* The sum of the taps that stay inside, at place i of n: what lies outside has no weight. */
static double weight_at(int64_t i, int64_t n, const double *tap, int64_t reach) {
    double weight = 0;
    for (int64_t k = -reach; k <= reach; k++)
        if (i + k >= 0 && i + k < n) weight += tap[k < 0 ? -k : k];
    return weight;
}

/* One colour. across [h + 2 reach, w], padded [w + 2 reach]: with zeros around what is written. */
static void blur_colour(double *out, const double *x, const omma_picture *p, const double *tap,
                        int64_t reach, double *across, double *padded, double *weight) {
    const int64_t h = p->height, w = p->width;
    for (int64_t i = 0; i < w; i++) weight[i] = weight_at(i, w, tap, reach);
    for (int64_t y = 0; y < h; y++) {
        double *line = across + (reach + y) * w;
        memcpy(padded + reach, x + y * w, (size_t)w * sizeof *x);
        blur_line(line, padded + reach, w, 1, tap, reach);
        for (int64_t i = 0; i < w; i++) line[i] /= weight[i];
    }
    for (int64_t y = 0; y < h; y++) {
        const double all = weight_at(y, h, tap, reach);
        blur_line(out + y * w, across + (reach + y) * w, w, w, tap, reach);
        for (int64_t i = 0; i < w; i++) out[y * w + i] /= all;
    }
}

static omma_status blur(double *out, double sigma, const double *x, const omma_picture *p,
                        omma_arena *tmp, omma_error *err) {
    const int64_t h = p->height, w = p->width, longer = h > w ? h : w;
    const int64_t reach = 3 * sigma < (double)longer ? (int64_t)(3 * sigma) : longer;
    double *tap = omma_arena_array(tmp, (size_t)reach + 1, sizeof *tap);
    double *across = omma_arena_array(tmp, (size_t)((h + 2 * reach) * w), sizeof *across);
    double *padded = omma_arena_array(tmp, (size_t)(w + 2 * reach), sizeof *padded);
    double *weight = omma_arena_array(tmp, (size_t)w, sizeof *weight);
    if (!tap || !across || !padded || !weight)
        return omma_fail(err, OMMA_E_NOMEM, "no memory for a blurred picture");
    for (int64_t k = 0; k <= reach; k++) tap[k] = exp(-(double)(k * k) / (2 * sigma * sigma));
    for (int64_t c = 0; c < p->channels; c++)
        blur_colour(out + c * h * w, x + c * h * w, p, tap, reach, across, padded, weight);
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
