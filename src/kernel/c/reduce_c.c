/* reduce_c.c - the reference reductions and softmax, accumulated in double; see kernel.h. */
#include <math.h>

#include "kernel/table.h"

static float sum_f32(int64_t n, const float *x) {
    double s = 0;
    for (int64_t i = 0; i < n; i++) s += (double)x[i];
    return (float)s;
}

static float sum_sq_f32(int64_t n, const float *x, float mean) {
    double s = 0;
    for (int64_t i = 0; i < n; i++) {
        const double d = (double)x[i] - (double)mean;
        s += d * d;
    }
    return (float)s;
}

static float max_f32(int64_t n, const float *x) {
    float m = -INFINITY;
    for (int64_t i = 0; i < n; i++)
        if (isnan(x[i]) || x[i] > m) m = x[i];
    return m;
}

static void softmax_f32(int64_t n, const float *x, float *y) {
    const double top = (double)max_f32(n, x);
    double s = 0;
    for (int64_t i = 0; i < n; i++) {
        const double v = exp((double)x[i] - top);
        s += v;
        y[i] = (float)v;
    }
    for (int64_t i = 0; i < n; i++) {
        const double v = (double)y[i] / s;
        y[i] = v < 0x1p-126 ? 0 : (float)v;
    }
}

static void layer_norm_f32(int64_t rows, int64_t n, const float *x, const float *scale,
                           const float *bias, double eps, float *y) {
    for (; rows > 0; rows--, x += n, y += n) {
        double mean = 0, square = 0;
        for (int64_t i = 0; i < n; i++) mean += (double)x[i] / (double)n;
        for (int64_t i = 0; i < n; i++)
            square += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)n;
        const double inv = 1 / sqrt(square + eps);
        for (int64_t i = 0; i < n; i++)
            y[i] = (float)(((double)x[i] - mean) * inv * (double)scale[i] +
                           (bias ? (double)bias[i] : 0));
    }
}

void omma_fill_reduce_c(omma_kernels *k) {
    k->sum = sum_f32;
    k->sum_sq = sum_sq_f32;
    k->max = max_f32;
    k->softmax = softmax_f32;
    k->layer_norm = layer_norm_f32;
}
