/* attention_c.c - the reference step of a softmax over blocks; see kernel.h. */
#include <math.h>

#include "kernel/table.h"

static void step_row(int i, int64_t n, float *x, const omma_softmax *s) {
    const float *a = s->add[0] ? s->add[0] + i * s->add_ld[0] : NULL,
                *b = s->add[1] ? s->add[1] + i * s->add_ld[1] : NULL;
    float top = s->whole ? -INFINITY : s->top[i];
    double sum = 0;
    for (int64_t k = 0; k < n; k++) {
        x[k] *= s->scale;
        if (a) x[k] += a[k];
        if (b) x[k] += b[k];
        if (x[k] > top) top = x[k];
    }
    const float base = top == -INFINITY ? 0 : top; /* e^-inf is 0, not NaN */
    for (int64_t k = 0; k < n; k++) {
        const float e = (float)exp((double)x[k] - (double)base);
        x[k] = e < 0x1p-100f ? 0 : e;
        sum += (double)x[k];
    }
    if (s->whole) {
        for (int64_t k = 0; k < n; k++) x[k] = (float)((double)x[k] / sum);
        return;
    }
    const float by = (float)exp((double)s->top[i] - (double)base);
    s->by[i] = by;
    s->sum[i] = (float)((double)s->sum[i] * (double)by + sum);
    s->top[i] = top;
}

static void softmax_step_f32(int m, int64_t n, float *x, int64_t ldx, const omma_softmax *s) {
    for (int i = 0; i < m; i++) step_row(i, n, x + i * ldx, s);
}

void omma_fill_attention_c(omma_kernels *k) { k->softmax_step = softmax_step_f32; }
