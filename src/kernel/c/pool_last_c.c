/* pool_last_c.c - the reference of pooling, channels last, in double; see kernel.h. */
#include <math.h>

#include "kernel/pool_last.h"
#include "kernel/table.h"

/* Channel 0 of x, of output pixel (oy, ox). */
static float one(const omma_pooling *p, int64_t x_ld, const float *x, int64_t oy, int64_t ox) {
    double sum = 0, best = -INFINITY;
    int64_t inside = 0, count = 0;
    for (int ky = 0; ky < p->kh; ky++)
        for (int kx = 0; kx < p->kw; kx++) {
            const int64_t iy = oy * p->stride_h + (int64_t)ky * p->dilation_h - p->pad_top;
            const int64_t ix = ox * p->stride_w + (int64_t)kx * p->dilation_w - p->pad_left;
            if (iy < p->h + p->pad_bottom && ix < p->w + p->pad_right) count++;
            if (iy < 0 || iy >= p->h || ix < 0 || ix >= p->w) continue;
            const double v = (double)x[(iy * p->w + ix) * x_ld];
            sum += v;
            if (isnan(v) || v > best) best = v;
            inside++;
        }
    if (!p->mean) return (float)best;
    return inside ? (float)(sum / (double)(p->include_pad ? count : inside)) : 0;
}

static void pool_f32(const omma_pooling *p, const omma_part *part, const float *x, float *y) {
    for (int64_t oy = part->y0; oy < part->y1; oy++)
        for (int64_t ox = 0; ox < p->ow; ox++)
            for (int64_t c = part->c0; c < part->c1; c++)
                y[(oy * p->ow + ox) * part->y_ld + c] = one(p, part->x_ld, x + c, oy, ox);
}

static void sum_rows_f32(int64_t rows, int64_t n, const float *x, int64_t ld, float *y) {
    for (int64_t c = 0; c < n; c++) {
        double sum = 0;
        for (int64_t i = 0; i < rows; i++) sum += (double)x[i * ld + c];
        y[c] = (float)sum;
    }
}

void omma_fill_pool_last_c(omma_kernels *k) {
    k->pool = pool_f32;
    k->sum_rows = sum_rows_f32;
}
