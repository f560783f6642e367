/* pool_last.c - cuts the pooling of channels-last maps into parts for the table's slots; see
 * pool_last.h. */
#include "kernel/pool_last.h"

#include "base/pool.h"

enum {
    SMALL = 32768, /* numbers read that are not worth waking a thread for */
    PARTS_PER_THREAD = 4,
    MEAN_BLOCK = 64 /* channels of one item of a mean */
};

static int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

typedef struct pool_job {
    const omma_kernels *kern;
    const omma_pooling *p;
    const float *x;
    float *y;
    int64_t x_ld, y_ld, bands, pixels;
} pool_job;

/* Items are bands of images. */
static void run_bands(void *arg, int64_t begin, int64_t end, int worker) {
    const pool_job *j = arg;
    const omma_pooling *p = j->p;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t image = i / j->bands, band = i % j->bands;
        const omma_part part = {
            0, p->c, p->oh * band / j->bands, p->oh * (band + 1) / j->bands, j->x_ld, j->y_ld};
        j->kern->pool(p, &part, j->x + image * p->h * p->w * j->x_ld,
                      j->y + image * p->oh * p->ow * j->y_ld);
    }
}

void omma_pool_last(const omma_kernels *kern, int threads, const omma_pooling *p, const float *x,
                    int64_t x_ld, float *y, int64_t y_ld) {
    pool_job job = {kern, p, x, y, x_ld, y_ld, 1, 0};
    if (p->n <= 0 || p->c <= 0 || p->oh <= 0 || p->ow <= 0) return;
    const double work =
        (double)p->n * (double)p->c * (double)p->oh * (double)p->ow * (p->kh + p->kw);
    if (work < SMALL || threads < 1) threads = 1;
    if (threads > 1)
        job.bands = max64(1, min64(p->oh, ceil_div(PARTS_PER_THREAD * (int64_t)threads, p->n)));
    omma_parallel(threads, p->n * job.bands, 1, run_bands, &job);
}

typedef struct mean_job {
    const omma_kernels *kern;
    int64_t pixels, c, blocks;
    const float *x;
    int64_t x_ld;
    float *y;
} mean_job;

/* Items are blocks of channels of images. */
static void run_means(void *arg, int64_t begin, int64_t end, int worker) {
    const mean_job *j = arg;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t image = i / j->blocks, c = i % j->blocks * MEAN_BLOCK;
        const int64_t n = min64(MEAN_BLOCK, j->c - c);
        const float count = (float)j->pixels;
        float *y = j->y + image * j->c + c;
        j->kern->sum_rows(j->pixels, n, j->x + image * j->pixels * j->x_ld + c, j->x_ld, y);
        j->kern->binary[OMMA_BIN_DIV](n, y, 1, &count, 0, y);
    }
}

void omma_mean_last(const omma_kernels *kern, int threads, int64_t n, int64_t pixels, int64_t c,
                    const float *x, int64_t x_ld, float *y) {
    mean_job job = {kern, pixels, c, ceil_div(c, MEAN_BLOCK), x, x_ld, y};
    if (n <= 0 || c <= 0) return;
    if ((double)n * (double)pixels * (double)c < SMALL) threads = 1;
    omma_parallel(threads, n * job.blocks, 1, run_means, &job);
}
