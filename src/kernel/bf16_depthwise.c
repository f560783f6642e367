/* bf16_depthwise.c - depthwise convolution of bfloat16 maps, computed in float32: a worker widens
 * the rows that a band of output rows sees, in a block of channels, into memory of its own that
 * stays in the L2 cache, runs the table's kernel there, and narrows what it gives. */
#include "base/checked.h"
#include "base/pool.h"
#include "kernel/bf16.h"

enum {
    LINE = 16,              /* channels whose weights are packed together */
    BAND_BYTES = 512 << 10, /* of a worker's memory, aimed at */
    CHUNKS = 4,             /* items for each thread, at least */
    ROWS = 4                /* output rows of a band, before channels are cut */
};

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }

typedef struct layout {
    int64_t rows, rows_in, block; /* of a band: rows of output and input, channels */
    int64_t bands, blocks;        /* of an image */
} layout;

static double bytes_of(const omma_conv *p, int64_t rows, int64_t block) {
    const double in = (double)(rows - 1) * p->stride_h + (double)(p->kh - 1) * p->dilation_h + 1;
    return 4.0 * (double)block * (in * (double)p->w + (double)rows * (double)p->ow);
}

static layout lay_out(const omma_conv *p, int threads) {
    layout l = {.rows = p->oh, .block = p->m};
    while (l.rows > ROWS && bytes_of(p, l.rows, l.block) > BAND_BYTES) l.rows = (l.rows + 1) / 2;
    while (l.block > LINE && bytes_of(p, l.rows, l.block) > BAND_BYTES)
        l.block = ceil_div(ceil_div(l.block, LINE), 2) * LINE;
    l.blocks = ceil_div(p->m, l.block);
    const int64_t want = threads > 1 ? ceil_div(CHUNKS * (int64_t)threads, p->n * l.blocks) : 1;
    l.bands = max64(ceil_div(p->oh, l.rows), min64(want, p->oh));
    l.rows = ceil_div(p->oh, l.bands);
    l.rows_in = min64(p->h, (l.rows - 1) * p->stride_h + (int64_t)(p->kh - 1) * p->dilation_h + 1);
    return l;
}

/* Floats of a worker's two maps; false on overflow. */
static bool map_floats(const layout *l, const omma_conv *p, size_t *in, size_t *out) {
    return omma_dims_bytes((int64_t[]){l->rows_in, p->w, l->block}, 3, 1, in) &&
           omma_align_up(*in, LINE, in) &&
           omma_dims_bytes((int64_t[]){l->rows, p->ow, l->block}, 3, 1, out) &&
           omma_align_up(*out, LINE, out);
}

bool omma_bf16_depthwise_scratch(const omma_conv *p, int threads, size_t *bytes) {
    const int workers = threads < 1 ? 1 : threads;
    size_t most = 0;
    if (p->n <= 0 || p->m <= 0 || p->oh <= 0 || p->ow <= 0) return (*bytes = 0, true);
    for (int t = 1; t <= workers; t++) { /* fewer threads cut larger bands */
        const layout l = lay_out(p, t);
        size_t in, out;
        if (!map_floats(&l, p, &in, &out) || !omma_add(in, out, &in) ||
            !omma_mul(in, (size_t)t * sizeof(float), &in))
            return false;
        if (in > most) most = in;
    }
    *bytes = most;
    return true;
}

typedef struct dw_job {
    const omma_kernels *kern;
    const omma_conv *p;
    layout l;
    const uint16_t *x;
    const float *w;
    char *y;
    const omma_bf16_out *o;
    float *work;
    size_t in, out; /* floats of a worker's maps */
} dw_job;

/* n pixels of a map of `all` channels: c of them, from the first of src on, and back. */
static void widen(const dw_job *j, const void *src, bool wide, int64_t n, int64_t c, float *dst) {
    const int64_t all = j->p->m;
    if (wide)
        for (int64_t i = 0; i < n; i++, dst += c)
            memcpy(dst, (const float *)src + i * all, (size_t)c * sizeof *dst);
    else if (c == all) j->kern->bf16_widen(n * c, src, dst);
    else
        for (int64_t i = 0; i < n; i++, dst += c)
            j->kern->bf16_widen(c, (const uint16_t *)src + i * all, dst);
}

static void put(const dw_job *j, const float *src, int64_t n, int64_t c, void *dst) {
    const int64_t all = j->p->m;
    if (j->o->y_wide)
        for (int64_t i = 0; i < n; i++, src += c)
            memcpy((float *)dst + i * all, src, (size_t)c * sizeof *src);
    else if (c == all) j->kern->bf16_narrow(n * c, src, dst);
    else
        for (int64_t i = 0; i < n; i++, src += c)
            j->kern->bf16_narrow(c, src, (uint16_t *)dst + i * all);
}

/* Rows [y0, y1) of an image, channels [c0, c0 + c). */
static void do_band(const dw_job *j, int64_t image, int64_t y0, int64_t y1, int64_t c0, int64_t c,
                    float *in) {
    const omma_conv *p = j->p;
    float *out = in + j->in;
    const int64_t top = y0 * p->stride_h - p->pad_top;
    const int64_t i0 = min64(p->h, max64(0, top)),
                  i1 = max64(i0, min64(p->h, top + (y1 - y0 - 1) * p->stride_h +
                                                 (int64_t)(p->kh - 1) * p->dilation_h + 1));
    const int64_t pixel = (image * p->oh + y0) * p->ow, n = (y1 - y0) * p->ow;
    omma_conv q = *p;
    q.n = 1, q.groups = q.m = c, q.h = i1 - i0, q.oh = y1 - y0, q.pad_top = i0 - top;
    const omma_part part = {0, c, 0, q.oh, c, c};
    omma_epilogue e = {.act = j->o->act, .lo = j->o->lo, .hi = j->o->hi};
    if (j->o->col_bias) e.col_bias = j->o->col_bias + c0;
    widen(j, j->x + (image * p->h + i0) * p->w * p->m + c0, false, q.h * p->w, c, in);
    if (j->o->add) {
        widen(j, omma_bf16_at(j->o->add, j->o->add_wide, pixel * p->m + c0), j->o->add_wide, n, c,
              out);
        e.add = out, e.add_ld = c;
    }
    j->kern->depthwise(&q, &part, in, j->w + c0 * p->kh * p->kw, out, &e);
    put(j, out, n, c, j->y + (pixel * p->m + c0) * (j->o->y_wide ? 4 : 2));
}

/* Items: bands of blocks of images. */
static void do_bands(void *arg, int64_t begin, int64_t end, int worker) {
    const dw_job *j = arg;
    const layout *l = &j->l;
    float *own = j->work + (size_t)worker * (j->in + j->out);
    for (int64_t i = begin; i < end; i++) {
        const int64_t band = i % l->bands, at = i / l->bands, c0 = at % l->blocks * l->block;
        do_band(j, at / l->blocks, j->p->oh * band / l->bands, j->p->oh * (band + 1) / l->bands, c0,
                min64(l->block, j->p->m - c0), own);
    }
}

void omma_bf16_depthwise(const omma_kernels *kern, int threads, const omma_conv *p,
                         const uint16_t *x, const void *packed, void *y, const omma_bf16_out *o,
                         void *scratch) {
    if (p->n <= 0 || p->m <= 0 || p->oh <= 0 || p->ow <= 0) return;
    if (threads < 1) threads = 1;
    dw_job job = {kern, p, lay_out(p, threads), x, packed, y, o, scratch, 0, 0};
    if (!map_floats(&job.l, p, &job.in, &job.out)) return; /* the caller was told by scratch */
    omma_parallel(threads, p->n * job.l.blocks * job.l.bands, 1, do_bands, &job);
}
