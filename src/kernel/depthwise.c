/* depthwise.c - channels-last convolution with one input channel per output channel: vectors run
 * over channels, so that any stride and dilation reads whole vectors; see last_way.h.
 *
 * The table's slot does a part of an image; here the weights are packed for it and the image is
 * cut: into blocks of channels whose rows under the kernel stay in the L1 cache while the slot
 * walks down, and for threads into bands of rows. Taps in the padding are left out, so there an
 * infinite weight gives no NaN, unlike in the plain way. */
#include <string.h>

#include "base/checked.h"
#include "base/pool.h"
#include "kernel/last_way.h"
#include "kernel/table.h"

enum {
    LINE = 16,              /* channels of packed weights that lie together */
    STRIP = 14,             /* output pixels the slots do at once, about */
    STRIP_BYTES = 32 << 10, /* of input under the kernel for them */
    SMALL = 50000,          /* multiplications not worth waking a thread for */
    PARTS_PER_THREAD = 4
};

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }

static bool fits(const omma_kernels *kern, const omma_conv *p) {
    (void)kern;
    return omma_conv_is_depthwise(p);
}

static const char *form(const omma_kernels *kern, const omma_conv *p) {
    (void)kern, (void)p;
    return "last:depthwise";
}

static bool packed_bytes(const omma_kernels *kern, const omma_conv *p, size_t *bytes) {
    (void)kern;
    return omma_dims_bytes((int64_t[]){ceil_div(p->m, LINE), p->kh, p->kw, LINE}, 4, sizeof(float),
                           bytes);
}

/* dst: [m/16][kh*kw][16], zeros behind the last channel. */
static void pack(const omma_kernels *kern, const omma_conv *p, void *dst, const void *weights,
                 int threads) {
    const int64_t taps = (int64_t)p->kh * p->kw;
    const omma_f32u *w = weights;
    float *out = dst;
    (void)kern, (void)threads;
    for (int64_t m = 0; m < p->m; m += LINE)
        for (int64_t t = 0; t < taps; t++)
            for (int64_t i = m; i < m + LINE; i++) *out++ = i < p->m ? w[i * taps + t] : 0;
}

static bool scratch(const omma_kernels *kern, const omma_conv *p, int threads, size_t *bytes) {
    (void)kern, (void)p, (void)threads;
    *bytes = 0;
    return true;
}

typedef struct dw_job {
    const omma_kernels *kern;
    const omma_conv *p;
    const float *x, *w;
    float *y;
    int64_t x_ld, y_ld;
    const omma_epilogue *e;
    int64_t block, blocks, bands; /* channels of a block, blocks and bands of an image */
} dw_job;

/* Channels of a block: a multiple of LINE. */
static int64_t block_of(const omma_conv *p) {
    const int64_t columns = STRIP * p->stride_w + (int64_t)p->kw * p->dilation_w;
    const int64_t pixels = max64(1, min64(columns, p->w)) * max64(1, min64(p->kh, p->h));
    const int64_t most = max64(1, STRIP_BYTES / (LINE * 4) / pixels), lines = ceil_div(p->m, LINE);
    return ceil_div(lines, ceil_div(lines, most)) * LINE;
}

/* Items are blocks of bands of images: threads share out rows, as products do. */
static void run_parts(void *arg, int64_t begin, int64_t end, int worker) {
    const dw_job *j = arg;
    const omma_conv *p = j->p;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t at = i / j->blocks, c0 = i % j->blocks * j->block;
        const int64_t image = at / j->bands, band = at % j->bands, out = image * p->oh * p->ow;
        const omma_part part = {c0,
                                min64(c0 + j->block, p->m),
                                p->oh * band / j->bands,
                                p->oh * (band + 1) / j->bands,
                                j->x_ld,
                                j->y_ld};
        omma_epilogue e = {0};
        if (j->e) e = *j->e;
        if (e.add) e.add += out * e.add_ld;
        j->kern->depthwise(p, &part, j->x + image * p->h * p->w * j->x_ld, j->w,
                           j->y + out * j->y_ld, j->e ? &e : NULL);
    }
}

static void run(const omma_kernels *kern, int threads, const omma_conv *p, const float *x,
                int64_t x_ld, const void *packed, float *y, int64_t y_ld, const omma_epilogue *e,
                void *scratch_) {
    dw_job job = {.kern = kern, .p = p, .x = x, .w = packed, .y = y, .e = e};
    (void)scratch_;
    const double work = (double)p->n * (double)p->m * (double)p->oh * (double)p->ow * p->kh * p->kw;
    if (work < SMALL || threads < 1) threads = 1;
    job.x_ld = x_ld, job.y_ld = y_ld;
    job.block = block_of(p);
    job.blocks = ceil_div(p->m, job.block);
    job.bands = 1;
    if (threads > 1)
        job.bands = max64(
            1, min64(p->oh, ceil_div(PARTS_PER_THREAD * (int64_t)threads, p->n * job.blocks)));
    omma_parallel(threads, p->n * job.blocks * job.bands, 1, run_parts, &job);
}

const omma_last_way omma_last_depthwise = {fits, form, packed_bytes, pack, scratch, run};
