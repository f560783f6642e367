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

/* Along a line of n numbers that lie `step` apart; what lies outside the picture has no weight. */
static void blur_line(double *out, const double *x, int64_t n, int64_t step, const double *tap,
                      int64_t reach) {
    for (int64_t i = 0; i < n; i++) {
        const int64_t from = i < reach ? -i : -reach, to = n - 1 - i < reach ? n - 1 - i : reach;
        double sum = 0, weight = 0;
        for (int64_t k = from; k <= to; k++) {
            const double t = tap[k < 0 ? -k : k];
            sum += t * x[(i + k) * step];
            weight += t;
        }
        out[i * step] = sum / weight;
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
        double *to = out + c * h * w;
        for (int64_t i = 0; i < h; i++) blur_line(across + i * w, from + i * w, w, 1, tap, reach);
        for (int64_t j = 0; j < w; j++) blur_line(to + j, across + j, h, w, tap, reach);
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
