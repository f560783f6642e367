/* last_plain.c - the reference of channels-last convolution: any geometry, sums in float32 in the
 * order of taps and channels. What the tests compare the other ways with. */
#include <string.h>

#include "base/checked.h"
#include "base/pool.h"
#include "kernel/last_way.h"
#include "kernel/table.h"

static bool fits(const omma_kernels *kern, const omma_conv *p) {
    (void)kern, (void)p;
    return true;
}

static const char *form(const omma_kernels *kern, const omma_conv *p) {
    (void)kern, (void)p;
    return "last:plain";
}

static bool packed_bytes(const omma_kernels *kern, const omma_conv *p, size_t *bytes) {
    (void)kern;
    return omma_dims_bytes((int64_t[]){p->m, p->c, p->kh, p->kw}, 4, sizeof(float), bytes);
}

static void pack(const omma_kernels *kern, const omma_conv *p, void *dst, const void *weights,
                 int threads) {
    size_t bytes;
    (void)threads;
    if (packed_bytes(kern, p, &bytes)) memcpy(dst, weights, bytes);
}

static bool scratch(const omma_kernels *kern, const omma_conv *p, int threads, size_t *bytes) {
    (void)kern, (void)p, (void)threads;
    *bytes = 0;
    return true;
}

typedef struct plain_job {
    const omma_conv *p;
    const float *x, *w;
    float *y;
    int64_t x_ld, y_ld;
    const omma_epilogue *e;
} plain_job;

/* Output channel m of the pixel in image n at (oy, ox). */
static float one(const plain_job *j, int64_t n, int64_t oy, int64_t ox, int64_t m) {
    const omma_conv *p = j->p;
    const int64_t first = m / (p->m / p->groups) * p->c, taps = (int64_t)p->kh * p->kw;
    float sum = 0;
    for (int64_t t = 0; t < taps; t++) {
        const int64_t y = oy * p->stride_h - p->pad_top + t / p->kw * p->dilation_h,
                      x = ox * p->stride_w - p->pad_left + t % p->kw * p->dilation_w;
        const bool inside = y >= 0 && y < p->h && x >= 0 && x < p->w;
        const int64_t channels = p->groups * p->c, step = p->planes ? p->h * p->w : 1,
                      at = p->planes ? n * channels * step + y * p->w + x
                                     : ((n * p->h + y) * p->w + x) * j->x_ld;
        for (int64_t c = 0; c < p->c; c++)
            sum += j->w[(m * p->c + c) * taps + t] * (inside ? j->x[at + (first + c) * step] : 0);
    }
    return sum;
}

/* Items are output pixels. */
static void run_pixels(void *arg, int64_t begin, int64_t end, int worker) {
    const plain_job *j = arg;
    (void)worker;
    for (int64_t i = begin; i < end; i++)
        for (int64_t m = 0; m < j->p->m; m++) {
            float v = one(j, i / j->p->ow / j->p->oh, i / j->p->ow % j->p->oh, i % j->p->ow, m);
            if (j->e && j->e->add) v += j->e->add[i * j->e->add_ld + m];
            if (j->e && j->e->col_bias) v += j->e->col_bias[m];
            j->y[i * j->y_ld + m] = j->e ? omma_act_apply(j->e, v) : v;
        }
}

static void run(const omma_kernels *kern, int threads, const omma_conv *p, const float *x,
                int64_t x_ld, const void *packed, float *y, int64_t y_ld, const omma_epilogue *e,
                void *scratch_) {
    plain_job job = {p, x, packed, y, x_ld, y_ld, e};
    (void)kern, (void)scratch_;
    omma_parallel(threads, p->n * p->oh * p->ow, 1, run_pixels, &job);
}

const omma_last_way omma_last_plain = {fits, form, packed_bytes, pack, scratch, run};
