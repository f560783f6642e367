/* attention_c.c - the reference step of a softmax over blocks; see kernel.h. */
#include <math.h>

#include "kernel/table.h"

static float softmax_part_f32(int64_t n, float *x, const float *a, const float *b, float *top,
                              float *sum) {
    float m = *top;
    for (int64_t i = 0; i < n; i++) {
        if (a) x[i] += a[i];
        if (b) x[i] += b[i];
        if (x[i] > m) m = x[i];
    }
    const float base = m == -INFINITY ? 0 : m; /* nothing seen so far: e^-inf is 0, not NaN */
    double s = 0;
    for (int64_t i = 0; i < n; i++) {
        const float e = (float)exp((double)x[i] - (double)base);
        x[i] = e < 0x1p-100f ? 0 : e;
        s += (double)x[i];
    }
    const float by = (float)exp((double)*top - (double)base);
    *sum = (float)((double)*sum * (double)by + s);
    *top = m;
    return by;
}

void omma_fill_attention_c(omma_kernels *k) { k->softmax_part = softmax_part_f32; }
