/* conv.c - convolution NCHW on top of the table; see kernel.h. Three ways:
 *
 *   whole    one output pixel that sees the whole unpadded map (linear heads, squeeze and
 *            excite): a matrix times a vector.
 *   plane    one input channel per output channel (depthwise): bands of the channel are
 *            copied with their zero border into scratch, then every output row is a sum of
 *            shifted rows.
 *   patches  all others: the patches that a block of output pixels sees are packed as
 *            panels [k][nr] (never the whole im2col matrix) and multiplied by the weights
 *            as they lie in the file, k = (channel, ky, kx) in that order.
 *
 * Padding is multiplied like any other number, so an infinite weight gives NaN there in
 * every way and on every table. */
#include <limits.h>

#include "base/checked.h"
#include "base/pool.h"
#include "kernel/table.h"

enum {
    K_BLOCK = 640,           /* aim for one part of k: whole channels */
    PANEL_BYTES = 200 << 10, /* patches of one chunk: stay in the L2 cache */
    BAND_BYTES = 24 << 10,   /* padded rows of one channel: half of L1 */
    LINE = 16,               /* floats in the widest vector: rows of planes begin at such */
    SMALL = 50000            /* multiplications not worth waking a thread for */
};

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }

typedef enum way { WHOLE, PLANE, PATCHES } way;

static way way_of(const omma_conv *p) {
    if (p->oh == 1 && p->ow == 1 && !p->pad_top && !p->pad_left && p->kh == p->h && p->kw == p->w &&
        p->dilation_h == 1 && p->dilation_w == 1)
        return WHOLE;
    return p->c == 1 && p->m / p->groups <= 2 ? PLANE : PATCHES;
}

static bool empty(const omma_conv *p) {
    return p->n <= 0 || p->groups <= 0 || p->m <= 0 || p->oh <= 0 || p->ow <= 0;
}

static int threads_for(const omma_conv *p, int threads) {
    const double work = (double)p->n * (double)p->m * (double)p->oh * (double)p->ow * (double)p->c *
                        (double)p->kh * (double)p->kw;
    return work < SMALL || threads < 1  ? 1
           : threads > OMMA_MAX_THREADS ? OMMA_MAX_THREADS
                                        : threads;
}

typedef struct conv_job {
    const omma_kernels *kern;
    omma_conv p;
    const float *x;
    const omma_f32u *weights;
    float *y;
    const omma_epilogue *e;
    int64_t group_m, pixels, taps;
    char *scratch;
    size_t worker_bytes; /* of scratch */
    /* patches */
    int64_t channels; /* in one part of k */
    int64_t panels, panel_chunks, m_chunks;
    /* plane */
    int64_t *offsets; /* = layout.offsets */
    omma_plane layout;
    int64_t bands; /* of output rows, in one channel */
} conv_job;

/* The bias of output channels from m on, or NULL. */
static const float *bias_at(const omma_epilogue *e, int64_t m) {
    return e && e->row_bias ? e->row_bias + m : NULL;
}

/* --- whole ----------------------------------------------------------------------- */

enum { WHOLE_ROWS = 16 };

static void run_whole(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const conv_job *job = arg;
    const int64_t k = job->p.c * job->taps, per_group = ceil_div(job->group_m, WHOLE_ROWS);
    for (int64_t i = begin; i < end; i++) {
        const int64_t image_group = i / per_group, g = image_group % job->p.groups;
        const int64_t m0 = i % per_group * WHOLE_ROWS, rows = min64(WHOLE_ROWS, job->group_m - m0);
        const int64_t m = g * job->group_m + m0;
        float *y = job->y + image_group * job->group_m + m0;
        job->kern->gemv(rows, k, (const float *)(job->weights + m * k), k, job->x + image_group * k,
                        y);
        job->kern->finish(rows, y, bias_at(job->e, m), 1, job->e, y);
    }
}

/* --- plane ----------------------------------------------------------------------- */

static void run_plane(void *arg, int64_t begin, int64_t end, int worker) {
    const conv_job *job = arg;
    const omma_conv *p = &job->p;
    float *work = (float *)(job->scratch + (size_t)worker * job->worker_bytes);
    for (int64_t i = begin; i < end; i++) {
        const int64_t image_m = i / job->bands, m = image_m % p->m, image = image_m / p->m;
        const int64_t y0 = p->oh * (i % job->bands) / job->bands,
                      y1 = p->oh * (i % job->bands + 1) / job->bands;
        const float *x = job->x + (image * p->groups + m / job->group_m) * p->h * p->w;
        job->kern->plane(p, &job->layout, x, (const float *)(job->weights + m * job->taps),
                         bias_at(job->e, m), job->e, y0, y1,
                         job->y + image_m * job->pixels + y0 * p->ow, work);
    }
}

/* Fill job->offsets, in job->scratch: the phase a tap falls in, and where in it. */
static void find_offsets(const conv_job *job) {
    const omma_conv *p = &job->p;
    for (int64_t t = 0; t < job->taps; t++) {
        const int64_t row = t / p->kw * p->dilation_h, col = t % p->kw * p->dilation_w;
        const int64_t phase = row % p->stride_h * p->stride_w + col % p->stride_w;
        job->offsets[t] =
            phase * job->layout.phase + row / p->stride_h * job->layout.pitch + col / p->stride_w;
    }
}

/* --- patches --------------------------------------------------------------------- */

static void run_patches(void *arg, int64_t begin, int64_t end, int worker) {
    const conv_job *job = arg;
    const omma_conv *p = &job->p;
    const omma_kernels *kern = job->kern;
    const int64_t nr = kern->nr, k = p->c * job->taps;
    float *panels = (float *)(job->scratch + (size_t)worker * job->worker_bytes);
    for (int64_t i = begin; i < end; i++) {
        int64_t at = i;
        const int64_t mi = at % job->m_chunks;
        at /= job->m_chunks;
        const int64_t pi = at % job->panel_chunks, image_group = at / job->panel_chunks;
        const int64_t m0 = job->group_m * mi / job->m_chunks,
                      m1 = job->group_m * (mi + 1) / job->m_chunks;
        const int64_t n0 = job->panels * pi / job->panel_chunks * nr;
        const int64_t n1 = min64(job->panels * (pi + 1) / job->panel_chunks * nr, job->pixels);
        const int64_t m = image_group % p->groups * job->group_m + m0;
        const float *x = job->x + image_group * p->c * p->h * p->w;
        float *y = job->y + (image_group * job->group_m + m0) * job->pixels + n0;
        omma_epilogue e = {0};
        if (job->e) e = *job->e, e.row_bias = bias_at(job->e, m), e.col_bias = NULL, e.add = NULL;
        int64_t c0 = 0;
        do {
            const int64_t c1 = min64(c0 + job->channels, p->c), part = (c1 - c0) * job->taps;
            for (int64_t j = n0; j < n1; j += nr)
                kern->patches(p, x, c0, c1, j, (int)min64(nr, n1 - j), panels + (j - n0) * part);
            omma_gemm_block(kern, m1 - m0, n1 - n0, part,
                            (const float *)(job->weights + m * k + c0 * job->taps), k, panels,
                            part * nr, y, job->pixels, c0 > 0, job->e && c1 == p->c ? &e : NULL);
            c0 = c1;
        } while (c0 < p->c);
    }
}

/* --- both ------------------------------------------------------------------------ */

/* How the work is cut and the scratch of one worker; false on overflow. The scratch does
 * not shrink with threads, so what suffices for many suffices for fewer. */
static bool plan_plane(conv_job *job, size_t *bytes) {
    const omma_conv *p = &job->p;
    /* a phase of an output row or column: the outputs, and how far the last tap reaches */
    const int64_t below = (int64_t)(p->kh - 1) * p->dilation_h / p->stride_h;
    const int64_t wide = p->ow + (int64_t)(p->kw - 1) * p->dilation_w / p->stride_w;
    const int64_t pitch = (wide + LINE - 1) / LINE * LINE,
                  phases = (int64_t)p->stride_h * p->stride_w;
    const int64_t fit =
        BAND_BYTES / 4 / max64(1, min64(pitch, BAND_BYTES)) / phases; /* rows of a phase */
    const int64_t band = min64(p->oh, max64(1, fit - below));
    job->bands = ceil_div(p->oh, band);
    const int64_t rows = ceil_div(p->oh, job->bands) + below;
    job->layout = (omma_plane){pitch, rows * pitch, job->offsets};
    return omma_dims_bytes((int64_t[]){rows, pitch, p->stride_h, p->stride_w}, 4, 4, bytes) &&
           omma_add(*bytes, LINE * 4, bytes);
}

static bool plan_patches(conv_job *job, int threads, size_t *bytes) {
    const omma_conv *p = &job->p;
    const int64_t nr = job->kern->nr;
    const int64_t parts = ceil_div(p->c, max64(1, K_BLOCK / job->taps));
    job->channels = parts ? ceil_div(p->c, parts) : 0;
    const int64_t panel = max64(1, job->channels * job->taps * nr * 4);
    job->panels = ceil_div(job->pixels, nr);
    int64_t per_chunk = min64(job->panels, max64(1, PANEL_BYTES / panel));
    if (!omma_dims_bytes((int64_t[]){per_chunk, nr, job->channels, job->taps}, 4, 4, bytes))
        return false;
    const int64_t outer = p->n * p->groups;
    job->m_chunks = 1;
    if (threads > 1) {
        /* Enough chunks to share: first fewer pixels in each, then fewer channels, though
         * the same patches are then packed once for each cut. */
        const int64_t want = ceil_div(4 * (int64_t)threads, outer);
        if (ceil_div(job->panels, per_chunk) < want)
            per_chunk = max64(min64(2, per_chunk), job->panels / want);
        const int64_t have = ceil_div(job->panels, per_chunk);
        if (have < want) job->m_chunks = max64(1, min64(ceil_div(want, have), job->group_m / 64));
    }
    job->panel_chunks = ceil_div(job->panels, per_chunk);
    return true;
}

/* Without padding, stride or reach an image is one long row. */
static void flatten(omma_conv *p) {
    if (p->kh != 1 || p->kw != 1 || p->stride_h != 1 || p->stride_w != 1 || p->pad_top ||
        p->pad_left || p->oh != p->h || p->ow != p->w)
        return;
    p->w *= p->h;
    p->ow = p->w;
    p->h = p->oh = 1;
}

/* job->p, kern and scratch filled; *bytes: of all scratch. False on overflow. */
static bool plan(conv_job *job, const omma_conv *p, int threads, way w, size_t *bytes) {
    int64_t sizes;
    job->p = *p;
    *bytes = 0;
    if (!omma_dims_count((int64_t[]){p->n, p->groups, p->c, p->h, p->w}, 5, &sizes) ||
        !omma_dims_count((int64_t[]){p->n, p->m, p->oh, p->ow}, 4, &sizes) ||
        !omma_dims_count((int64_t[]){p->m, p->c, p->kh, p->kw}, 4, &sizes))
        return false;
    if (w == PATCHES) flatten(&job->p);
    job->group_m = p->m / p->groups;
    job->pixels = p->oh * p->ow;
    job->taps = (int64_t)p->kh * p->kw;
    if (job->taps > INT_MAX) return false;
    if (w == WHOLE) return true;
    if (!(w == PLANE ? plan_plane(job, &job->worker_bytes)
                     : plan_patches(job, threads, &job->worker_bytes)))
        return false;
    size_t offsets = 0, all;
    if (w == PLANE && (!omma_mul((size_t)job->taps, sizeof(int64_t), &offsets) ||
                       !omma_align_up(offsets, 64, &offsets)))
        return false;
    job->layout.offsets = job->offsets = (int64_t *)(void *)job->scratch;
    if (job->scratch) job->scratch += offsets;
    return omma_align_up(job->worker_bytes, 64, &job->worker_bytes) &&
           omma_mul(job->worker_bytes, (size_t)threads, &all) && omma_add(all, offsets, bytes);
}

bool omma_conv_scratch(const omma_kernels *kern, const omma_conv *p, int threads, size_t *bytes) {
    *bytes = 0;
    if (empty(p)) return true;
    conv_job job = {.kern = kern};
    return plan(&job, p, threads_for(p, threads), way_of(p), bytes);
}

void omma_conv_run(const omma_kernels *kern, int threads, const omma_conv *p, const float *x,
                   const void *weights, float *y, const omma_epilogue *e, void *scratch) {
    if (empty(p)) return;
    const way w = way_of(p);
    conv_job job = {.kern = kern, .x = x, .weights = weights, .y = y, .e = e, .scratch = scratch};
    size_t bytes;
    threads = threads_for(p, threads);
    if (!plan(&job, p, threads, w, &bytes)) return; /* the caller was told by omma_conv_scratch */
    if (w == WHOLE) {
        omma_parallel(threads, p->n * p->groups * ceil_div(job.group_m, WHOLE_ROWS), 1, run_whole,
                      &job);
    } else if (w == PLANE) {
        find_offsets(&job);
        const int64_t items = p->n * p->m * job.bands;
        omma_parallel(threads, items, max64(1, items / (16 * (int64_t)threads)), run_plane, &job);
    } else {
        omma_parallel(threads, p->n * p->groups * job.panel_chunks * job.m_chunks, 1, run_patches,
                      &job);
    }
}
