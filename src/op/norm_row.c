/* norm_row.c - see norm_row.h. float32 goes to kernels by blocks, whose sums are added up in
 * double; other floats are summed in double. */
#include "op/norm_row.h"

#include <math.h>

enum { BLOCK = 1024 };

static double at(const omma_value *v, int64_t i) { return omma_get_number(v->dtype, v->mem, i); }

double omma_norm_sum(const omma_kernels *k, const omma_value *v, int64_t i, int64_t n) {
    double sum = 0;
    if (v->dtype == OMMA_F32)
        for (int64_t j = 0; j < n; j += BLOCK)
            sum += (double)k->sum(n - j < BLOCK ? n - j : BLOCK, (const float *)v->mem + i + j);
    else
        for (int64_t j = 0; j < n; j++) sum += at(v, i + j);
    return sum;
}

double omma_norm_squares(const omma_kernels *k, const omma_value *v, int64_t i, int64_t n,
                         double mean) {
    double sum = 0;
    if (v->dtype == OMMA_F32)
        for (int64_t j = 0; j < n; j += BLOCK)
            sum += (double)k->sum_sq(n - j < BLOCK ? n - j : BLOCK, (const float *)v->mem + i + j,
                                     (float)mean);
    else
        for (int64_t j = 0; j < n; j++) sum += (at(v, i + j) - mean) * (at(v, i + j) - mean);
    return sum;
}

omma_stats omma_norm_stats(const omma_kernels *k, const omma_value *v, int64_t i, int64_t n,
                           double eps) {
    const double mean = omma_norm_sum(k, v, i, n) / (double)n;
    return (omma_stats){mean, 1 / sqrt(omma_norm_squares(k, v, i, n, mean) / (double)n + eps)};
}

/* The mean goes first: x * mul + (bias - mean * mul) would lose digits where the variance is small.
 * What rounding the mean to float leaves goes into the shift. */
void omma_norm_row(const omma_kernels *k, const omma_value *x, omma_value *y, int64_t i, int64_t n,
                   omma_stats s, double scale, double bias) {
    const float mean = (float)s.mean, mul = (float)(s.inv * scale);
    const float add = (float)(bias + ((double)mean - s.mean) * s.inv * scale);
    if (x->dtype != OMMA_F32) {
        for (int64_t j = i; j < i + n; j++)
            omma_set_number(y->dtype, y->mem, j, (at(x, j) - s.mean) * s.inv * scale + bias);
        return;
    }
    for (int64_t j = i; j < i + n; j += BLOCK) {
        const int64_t m = i + n - j < BLOCK ? i + n - j : BLOCK;
        float *to = (float *)y->mem + j;
        k->binary[OMMA_BIN_SUB](m, (const float *)x->mem + j, 1, &mean, 0, to);
        k->affine(m, to, &mul, &add, 0, to);
    }
}
