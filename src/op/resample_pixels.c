/* resample_pixels.c - Resize of maps whose pixels are runs of numbers, as channels last are: every
 * output pixel is a copy of one run, or the sum of a few, weighted by the products of the rows' and
 * the columns' weights, by the kernel of taps.
 *
 * The weights are multiplied before, not after, they meet a number, so a result may differ in its
 * last bits from that of the same map with its channels first. */
#include "op/resample.h"

#include <string.h>

#include "base/pool.h"

enum { MAX_TAPS = 16, GRAIN = 1 << 14 }; /* of an output pixel; numbers of one chunk */

typedef struct pixels_job {
    const omma_kernels *kern;
    const omma_resample_pixels *p;
    const float *src;
    float *dst;
} pixels_job;

static int64_t taps_of(const omma_resample_axis *a) { return a->active ? a->taps : 1; }

/* Tap i of output o: which input, and its weight; an axis that stays as it is has one. */
static int64_t input_of(const omma_resample_axis *a, int64_t o, int64_t i) {
    return a->active ? a->at[o * a->taps + i] : o;
}
static float weight_of(const omma_resample_axis *a, int64_t o, int64_t i) {
    return a->active ? a->w32[o * a->taps + i] : 1;
}

bool omma_resample_pixels_fit(const omma_resample_pixels *p) {
    return taps_of(p->rows) <= MAX_TAPS && taps_of(p->cols) <= MAX_TAPS / taps_of(p->rows);
}

/* Output row o; x: the plane. */
static void nearest_row(const omma_resample_pixels *p, int64_t o, const float *x, float *y) {
    const size_t bytes = (size_t)p->unit * sizeof *y;
    x += input_of(p->rows, o, 0) * p->cols->in * p->unit;
    for (int64_t i = 0; i < p->cols->out; i++, y += p->unit)
        memcpy(y, x + input_of(p->cols, i, 0) * p->unit, bytes);
}

static void smooth_row(const pixels_job *j, int64_t o, const float *x, float *y) {
    const omma_resample_pixels *p = j->p;
    const int rows = (int)taps_of(p->rows), cols = (int)taps_of(p->cols);
    for (int64_t i = 0; i < p->cols->out; i++, y += p->unit) {
        float w[MAX_TAPS];
        int64_t at[MAX_TAPS];
        int n = 0;
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < cols; c++, n++) {
                w[n] = weight_of(p->rows, o, r) * weight_of(p->cols, i, c);
                at[n] = (input_of(p->rows, o, r) * p->cols->in + input_of(p->cols, i, c)) * p->unit;
            }
        j->kern->taps(p->unit, n, w, x, at, 1, y);
    }
}

/* Items are output rows. One like the one before is copied. */
static void pixel_rows(void *arg, int64_t begin, int64_t end, int worker) {
    const pixels_job *j = arg;
    const omma_resample_pixels *p = j->p;
    const int64_t row = p->cols->out * p->unit;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t plane = i / p->rows->out, o = i % p->rows->out;
        const float *x = j->src + plane * p->rows->in * p->cols->in * p->unit;
        float *y = j->dst + i * row;
        if (!p->nearest) smooth_row(j, o, x, y);
        else if (i > begin && o && input_of(p->rows, o, 0) == input_of(p->rows, o - 1, 0))
            memcpy(y, y - row, (size_t)row * sizeof *y);
        else nearest_row(p, o, x, y);
    }
}

void omma_resample_pixels_run(const omma_exec *x, const omma_resample_pixels *p, const float *src,
                              float *dst) {
    pixels_job j = {x->kern, p, src, dst};
    const int64_t row = p->cols->out * p->unit;
    omma_parallel(x->threads, p->planes * p->rows->out, row && row < GRAIN ? GRAIN / row : 1,
                  pixel_rows, &j);
}
