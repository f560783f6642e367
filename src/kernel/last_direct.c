/* last_direct.c - channels-last convolution as products, without an im2col matrix: an output pixel
 * is the sum over taps of (the c numbers it sees through the tap) x (that tap's weights), and the
 * tile of kernel.h sums over taps while C stays in registers. Any geometry.
 *
 *   product  1x1, stride 1: the pixels of all images are the rows of one omma_gemm.
 *   bare     nothing is padded: the tiles read the map where it lies.
 *   rows     a band of the map is copied with its zero border into the worker's own memory, which
 *            stays in the L2 cache: [rows_in, wide, pixel].
 *   dense    the band is copied once per column of taps, only the pixels that column sees:
 *            [slot, kx, row, col, pixel]; slots are the remainders of input rows by stride_h.
 *            All output pixels of a band are evenly spaced then, so a tile may span rows: for
 *            narrow maps, and for strides that skip pixels.
 *
 * A map with its channels first (planes) is one of a single channel: where a row of taps sees kw
 * numbers of a row of pixels, and there are c*kh such rows of taps. It is bare, or copied as rows
 * with a slot for each channel.
 *
 * Weights are packed as [groups][ceil(m/groups / nr)][kh*kw*c][nr], k = (ky, kx, c), or with planes
 * (c, ky, kx). One item of work is a band x a range of these panels; within it each part of k of a
 * panel meets all tiles of the band, so it comes from the L2 cache all but once. The parts depend
 * on the geometry alone: neither bands nor threads change the bits.
 *
 * A map of bfloat16 is one of pairs, each as large as a float (bf16.h): all of this holds for it,
 * but that k is one part. */
#include <string.h>

#include "base/checked.h"
#include "base/pool.h"
#include "kernel/bf16.h"
#include "kernel/last_way.h"
#include "kernel/table.h"

enum {
    BAND_BYTES = 512 << 10,   /* of the input in one band: stays in the L2 cache */
    PACKED_BYTES = 640 << 10, /* of weights that can stay there, too */
    K_PART = 2304,            /* aim for one part of k: whole rows of taps */
    SMALL = 50000,            /* multiplications not worth waking a thread for */
    LINE = 16,                /* floats of a cache line */
    MERGE = 64,               /* fewer channels than this: a row of taps is one tap */
    FEW = 4,                  /* channels of planes, at most */
    CHUNKS = 4,               /* items for each thread, at least */
    HEADER = 64               /* of a worker's memory: which band is in it */
};

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }

bool omma_last_planes(const omma_conv *p) {
    const bool overlap = p->kh > p->stride_h && p->kw > p->stride_w;
    return p->groups == 1 && p->c >= 1 && p->c <= FEW && p->m > 1 && overlap &&
           p->dilation_w == 1 && p->c * p->kh * p->kw <= K_PART;
}

/* --- how it is cut ----------------------------------------------------------------- */

typedef enum kind { PRODUCT, BARE, ROWS, DENSE } kind;

typedef struct layout {
    kind kind;
    int64_t tap_rows, row;  /* rows of taps, numbers in one */
    int64_t taps_x, k;      /* taps in a row of taps, numbers in a tap */
    int64_t part;           /* rows of taps in a part of k */
    int64_t rows, cols;     /* output pixels of a band */
    int64_t bands, bands_x; /* in one image, and how many of them are side by side */
    int64_t pixel;          /* from a pixel to the next, as copied [floats] */
    int64_t rows_in, wide;  /* of a copy: rows, and pixels in a row, of each slot and kx */
    int64_t slots;
} layout;

/* No tap of any output pixel falls outside the map. */
static bool is_bare(const omma_conv *p) {
    return !p->pad_top && !p->pad_left &&
           (p->oh - 1) * p->stride_h + (int64_t)(p->kh - 1) * p->dilation_h < p->h &&
           (p->ow - 1) * p->stride_w + (int64_t)(p->kw - 1) * p->dilation_w < p->w;
}

/* Do rows of A that lie so far apart meet in the same lines of the L1 cache? */
static bool collides(int64_t floats) { return floats % 512 == 0; }

static kind kind_of(const omma_kernels *kern, const omma_conv *p) {
    if (omma_conv_is_product(p)) return PRODUCT;
    if (p->planes) return ROWS;
    const int64_t tiles = ceil_div(p->ow, kern->mr);
    const bool narrow = p->oh > 1 && p->ow * 4 < tiles * kern->mr * 3;
    const bool skips = p->stride_h > p->kh && p->stride_w > p->kw;
    return narrow || skips ? DENSE : ROWS;
}

/* Rows and pixels of the copy that a band of rows x cols needs. */
static void size_band(layout *l, const omma_conv *p, int64_t rows, int64_t cols) {
    const int64_t reach = (int64_t)(p->kh - 1) * p->dilation_h;
    l->rows = rows, l->cols = cols;
    if (l->kind == DENSE) l->rows_in = rows + reach / p->stride_h, l->wide = cols;
    else
        l->rows_in = (rows - 1) * p->stride_h + reach + 1,
        l->wide = (cols - 1) * p->stride_w + (int64_t)(p->kw - 1) * p->dilation_w + 1;
}

static double band_bytes(const layout *l, const omma_conv *p) {
    const double copies = (double)l->slots * (l->kind == DENSE ? p->kw : 1);
    return 4.0 * copies * (double)l->rows_in * (double)l->wide * (double)l->pixel;
}

/* The largest band that fits the cache: of whole rows if eight of them do. */
static void cut_bands(layout *l, const omma_kernels *kern, const omma_conv *p) {
    int64_t rows = min64(p->oh, 8), cols = p->ow;
    size_band(l, p, rows, cols);
    while (cols > 2 * kern->mr && band_bytes(l, p) > BAND_BYTES)
        size_band(l, p, rows, cols = (cols + 1) / 2);
    while (rows > 1 && band_bytes(l, p) > BAND_BYTES) size_band(l, p, --rows, cols);
    while (rows < p->oh && band_bytes(l, p) <= BAND_BYTES) size_band(l, p, ++rows, cols);
    if (rows > 1 && band_bytes(l, p) > BAND_BYTES) rows--;
    l->bands_x = ceil_div(p->ow, cols);
    const int64_t bands_y = ceil_div(p->oh, rows);
    l->bands = l->bands_x * bands_y;
    size_band(l, p, ceil_div(p->oh, bands_y), ceil_div(p->ow, l->bands_x));
}

/* After how many rows of taps the remainder of the input row by the stride comes again. */
static int period(int stride, int dilation) {
    int n = 1;
    while (n * (int64_t)dilation % stride) n++;
    return n;
}

static layout lay_out(const omma_kernels *kern, const omma_conv *p) {
    layout l = {.kind = kind_of(kern, p),
                .slots = 1,
                .pixel = p->groups * p->c,
                .tap_rows = p->kh,
                .row = p->kw * p->c};
    if (p->planes) {
        l.tap_rows = l.part = p->c * p->kh;
        l.slots = p->c, l.pixel = l.taps_x = 1, l.k = l.row = p->kw;
        cut_bands(&l, kern, p);
        return l;
    }
    const bool merge = p->c < MERGE && p->groups == 1 && p->dilation_w == 1 && l.kind == ROWS;
    l.taps_x = merge ? 1 : p->kw;
    l.k = merge ? p->kw * p->c : p->c;
    l.part = max64(1, K_PART / max64(1, p->kw * p->c));
    if (l.kind == PRODUCT) return l;
    if (l.kind == DENSE) l.slots = min64(p->kh, period(p->stride_h, p->dilation_h));
    if (!merge && collides(l.pixel * (l.kind == DENSE ? 1 : p->stride_w))) l.pixel += LINE;
    cut_bands(&l, kern, p);
    return l;
}

/* --- the way's sizes --------------------------------------------------------------- */

static bool fits(const omma_kernels *kern, const omma_conv *p) {
    const double limit = (double)(1 << 30);
    (void)kern;
    return (!p->planes || omma_last_planes(p)) &&
           (double)p->oh * p->stride_h + (double)p->kh * p->dilation_h < limit &&
           (double)p->ow * p->stride_w + (double)p->kw * p->dilation_w < limit &&
           (double)p->pad_top < limit && (double)p->pad_left < limit &&
           (double)p->groups * (double)p->c < limit && (double)p->kh * p->kw < limit;
}

static const char *form(const omma_kernels *kern, const omma_conv *p) {
    (void)kern;
    return p->planes ? "last:planes" : "last:direct";
}

static int64_t panels_of(const omma_kernels *kern, const omma_conv *p) {
    return ceil_div(p->m / p->groups, kern->nr);
}

static bool packed_bytes(const omma_kernels *kern, const omma_conv *p, size_t *bytes) {
    return omma_dims_bytes((int64_t[]){p->groups, panels_of(kern, p), p->kh, p->kw, p->c, kern->nr},
                           6, sizeof(float), bytes);
}

static size_t offsets_bytes(const omma_conv *p) {
    const size_t taps = (size_t)p->kh * (size_t)(p->planes ? p->c : p->kw);
    return (taps * sizeof(int64_t) + 63) & ~(size_t)63;
}

/* What one worker holds. */
static bool worker_bytes(const layout *l, const omma_conv *p, size_t *bytes) {
    const int64_t copies = l->kind == DENSE ? p->kw : 1;
    return omma_dims_bytes((int64_t[]){l->slots, copies, l->rows_in, l->wide, l->pixel}, 5,
                           sizeof(float), bytes) &&
           omma_align_up(*bytes, 64, bytes) && omma_add(*bytes, HEADER, bytes);
}

static int threads_for(const omma_conv *p, int threads) {
    const double work = (double)p->n * (double)p->m * (double)p->oh * (double)p->ow * (double)p->c *
                        (double)p->kh * (double)p->kw;
    return work < SMALL || threads < 1  ? 1
           : threads > OMMA_MAX_THREADS ? OMMA_MAX_THREADS
                                        : threads;
}

static bool scratch(const omma_kernels *kern, const omma_conv *p, int threads, size_t *bytes) {
    const layout l = lay_out(kern, p);
    if (l.kind == PRODUCT) {
        *bytes = omma_gemm_room(kern, threads, p->n * p->oh * p->ow, p->m, p->c, p->c);
        return true;
    }
    return worker_bytes(&l, p, bytes) && omma_mul(*bytes, (size_t)threads_for(p, threads), bytes) &&
           omma_add(*bytes, offsets_bytes(p), bytes);
}

/* --- packing ----------------------------------------------------------------------- */

typedef struct pack_job {
    const omma_kernels *kern;
    const omma_conv *p;
    float *dst;
    const omma_f32u *w;
} pack_job;

enum { PACK_ROWS = 64, MAX_NR = 64 };

/* Rows of a panel come in the order of the file, (c, ky, kx), and go to that of (ky, kx, c). */
static void pack_panel(const pack_job *job, const omma_f32u *w, int n, float *panel) {
    const int64_t taps = (int64_t)job->p->kh * job->p->kw, k = taps * job->p->c;
    const int nr = job->kern->nr;
    if (taps == 1 || job->p->planes) {
        job->kern->pack_cols(k, n, (const float *)w, k, panel);
        return;
    }
    float block[PACK_ROWS * MAX_NR];
    for (int64_t k0 = 0; k0 < k; k0 += PACK_ROWS) {
        const int64_t rows = min64(PACK_ROWS, k - k0);
        job->kern->pack_cols(rows, n, (const float *)(w + k0), k, block);
        for (int64_t i = k0; i < k0 + rows; i++)
            memcpy(panel + (i % taps * job->p->c + i / taps) * nr, block + (i - k0) * nr,
                   (size_t)nr * sizeof(float));
    }
}

static void pack_panels(void *arg, int64_t begin, int64_t end, int worker) {
    const pack_job *job = arg;
    const omma_conv *p = job->p;
    const int nr = job->kern->nr;
    const int64_t per_group = panels_of(job->kern, p), group_m = p->m / p->groups,
                  k = (int64_t)p->kh * p->kw * p->c;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t m = i % per_group * nr;
        pack_panel(job, job->w + (i / per_group * group_m + m) * k, (int)min64(nr, group_m - m),
                   job->dst + i * k * nr);
    }
}

static void pack(const omma_kernels *kern, const omma_conv *p, void *dst, const void *weights,
                 int threads) {
    pack_job job = {kern, p, dst, weights};
    if (kern->nr > MAX_NR) return;
    omma_parallel(threads_for(p, threads), p->groups * panels_of(kern, p), 1, pack_panels, &job);
}

/* --- copying a band ---------------------------------------------------------------- */

typedef struct direct_job {
    const omma_kernels *kern;
    const omma_conv *p;
    layout l;
    const float *x, *packed;
    float *y;
    int64_t x_ld, y_ld;
    const omma_epilogue *e;
    int64_t *offsets; /* [tap_rows, taps_x] */
    char *workers;
    size_t worker_bytes;
    int64_t panels, panel_chunks;
    int threads;
    unsigned stream;            /* OMMA_TILE_STREAM or 0 */
    bool packed_fits;           /* in the L2 cache, beside two bands */
    const omma_bf16_out *pairs; /* the map is one of pairs, and y what this says; else NULL */
} direct_job;

typedef struct band {
    int64_t image, y0, y1, x0, x1;
} band;

/* n pixels, step apart in the input row iy from column ix on, which may all lie outside. */
static void copy_pixels(const direct_job *job, const float *image, int64_t iy, int64_t ix,
                        int64_t step, int64_t n, float *dst) {
    const omma_conv *p = job->p;
    const int64_t size = p->planes ? 1 : p->groups * p->c, pixel = job->l.pixel;
    const int64_t before = iy < 0 || iy >= p->h ? n : min64(n, max64(0, ceil_div(-ix, step)));
    const int64_t inside = min64(n, max64(before, ceil_div(p->w - ix, step)));
    memset(dst, 0, (size_t)(before * pixel) * sizeof(float));
    if (before < inside) {
        const float *src = image + (iy * p->w + ix + before * step) * job->x_ld;
        const int64_t all = inside - before;
        float *to = dst + before * pixel;
        if (step == 1 && pixel == size && job->x_ld == size)
            memcpy(to, src, (size_t)(all * size) * sizeof(float));
        else
            for (int64_t i = 0; i < all; i++)
                memcpy(to + i * pixel, src + i * step * job->x_ld, (size_t)size * sizeof(float));
    }
    memset(dst + inside * pixel, 0, (size_t)((n - inside) * pixel) * sizeof(float));
}

static void copy_rows(const direct_job *job, const band *b, const float *image, float *dst) {
    const omma_conv *p = job->p;
    const layout *l = &job->l;
    const int64_t rows = (b->y1 - b->y0 - 1) * p->stride_h + (p->kh - 1) * (int64_t)p->dilation_h,
                  cols = (b->x1 - b->x0 - 1) * p->stride_w + (p->kw - 1) * (int64_t)p->dilation_w;
    for (int64_t s = 0; s < l->slots; s++)
        for (int64_t i = 0; i <= rows; i++)
            copy_pixels(job, image + s * p->h * p->w, b->y0 * p->stride_h - p->pad_top + i,
                        b->x0 * p->stride_w - p->pad_left, 1, cols + 1,
                        dst + (s * l->rows_in + i) * l->wide * l->pixel);
}

/* Rows of taps whose input rows have the same remainder share a slot. */
static void copy_dense(const direct_job *job, const band *b, const float *image, float *dst) {
    const omma_conv *p = job->p;
    const layout *l = &job->l;
    const int64_t pitch = l->wide * l->pixel;
    const int64_t rows = b->y1 - b->y0 + (int64_t)(p->kh - 1) * p->dilation_h / p->stride_h;
    for (int64_t s = 0; s < l->slots; s++)
        for (int64_t kx = 0; kx < p->kw; kx++, dst += l->rows_in * pitch)
            for (int64_t i = 0; i < rows; i++)
                copy_pixels(job, image, (b->y0 + i) * p->stride_h - p->pad_top + s * p->dilation_h,
                            b->x0 * p->stride_w - p->pad_left + kx * p->dilation_w, p->stride_w,
                            b->x1 - b->x0, dst + i * pitch);
}

/* From an output pixel's first number to what it sees through each tap; pitch: of a row, pixel:
 * of a pixel [floats]. */
static void find_offsets(const direct_job *job, int64_t pitch, int64_t pixel) {
    const omma_conv *p = job->p;
    const layout *l = &job->l;
    const int64_t plane = (l->kind == BARE ? p->h : l->rows_in) * pitch;
    for (int64_t i = 0; i < l->tap_rows && p->planes; i++)
        job->offsets[i] = i / p->kh * plane + i % p->kh * p->dilation_h * pitch;
    if (p->planes) return;
    for (int64_t ky = 0; ky < p->kh; ky++)
        for (int64_t kx = 0; kx < l->taps_x; kx++) {
            const int64_t s = ky % l->slots, copy = (s * p->kw + kx) * l->rows_in;
            job->offsets[ky * l->taps_x + kx] =
                l->kind == DENSE ? (copy + (ky - s) * p->dilation_h / p->stride_h) * pitch
                                 : ky * p->dilation_h * pitch + kx * p->dilation_w * pixel;
        }
}

static band band_at(const direct_job *job, int64_t i) {
    const omma_conv *p = job->p;
    const layout *l = &job->l;
    const int64_t bands_y = l->bands / l->bands_x, y = i / l->bands_x % bands_y, x = i % l->bands_x;
    return (band){i / l->bands, p->oh * y / bands_y, p->oh * (y + 1) / bands_y,
                  p->ow * x / l->bands_x, p->ow * (x + 1) / l->bands_x};
}

/* --- multiplying ------------------------------------------------------------------- */

/* Evenly spaced output pixels of a band, all under the same offsets. */
typedef struct run {
    int64_t n, step; /* pixels, and from one to the next in the input [floats] */
    const float *a;  /* what the first sees through a tap of offset 0 */
    int64_t pixel;   /* the first one's number in the output */
} run;

static omma_fetch next_part(const direct_job *job, int64_t panel, int64_t part, int64_t tiles) {
    const layout *l = &job->l;
    const int64_t row = l->row * job->kern->nr, ky = min64(l->tap_rows, (part + 1) * l->part);
    return (omma_fetch){(const char *)(job->packed + (panel * l->tap_rows + ky) * row),
                        l->part * row / LINE, 1, 64, tiles};
}

/* The part of the map that this worker's next band is likely to be. */
static omma_fetch next_band(const direct_job *job, int64_t at, int64_t tiles) {
    const omma_conv *p = job->p;
    const band b = band_at(job, at + 1);
    const int64_t y0 = max64(0, b.y0 * p->stride_h - p->pad_top),
                  y1 = min64(p->h, (b.y1 - 1) * p->stride_h - p->pad_top +
                                       (p->kh - 1) * (int64_t)p->dilation_h + 1);
    const bool all =
        b.image < p->n && job->l.bands_x == 1 && !p->planes && job->x_ld < 2 * p->groups * p->c;
    return (omma_fetch){(const char *)(job->x + (b.image * p->h + y0) * p->w * job->x_ld),
                        all && y1 > y0 ? (y1 - y0) * p->w * job->x_ld / LINE : 0, 1, 64, tiles};
}

/* Rows [i0, i1) of a run, in pairs, from output column m on. */
static void multiply_pairs(const direct_job *job, const run *r, int64_t i0, int64_t i1, int64_t g,
                           int64_t m, const float *b, const omma_ahead *ahead) {
    const omma_conv *p = job->p;
    const int64_t at = r->pixel + i0, end = (g + 1) * (p->m / p->groups);
    omma_bf16_out o = *job->pairs;
    if (o.add) o.add = omma_bf16_at(o.add, o.add_wide, at * o.add_ld + m);
    if (o.col_bias) o.col_bias += m;
    job->kern->bf16_tile(
        (int)(i1 - i0), (int)min64(job->kern->nr, end - m), job->l.tap_rows * job->l.taps_x,
        job->offsets, job->l.k, (const uint16_t *)(const void *)(r->a + i0 * r->step + g * p->c),
        r->step, (const uint16_t *)(const void *)b, &o,
        (void *)(uintptr_t)omma_bf16_at(job->y, o.y_wide, at * job->y_ld + m), job->y_ld, ahead);
}

/* The pixels of a run under one part of one panel: columns [m, m + n) of the output. */
static void multiply_run(const direct_job *job, const run *r, int64_t panel, int64_t part,
                         omma_fetch *f) {
    const omma_kernels *kern = job->kern;
    const omma_conv *p = job->p;
    const layout *l = &job->l;
    const int64_t per_group = panels_of(kern, p), group_m = p->m / p->groups, g = panel / per_group;
    const int64_t first = panel % per_group * kern->nr, m = g * group_m + first;
    const int64_t ky0 = part * l->part, ky1 = min64(l->tap_rows, ky0 + l->part);
    const int64_t tiles = ceil_div(r->n, kern->mr);
    const float *b = job->packed + (panel * l->tap_rows + ky0) * l->row * kern->nr;
    omma_epilogue room, here;
    const omma_epilogue *e = omma_epilogue_part(job->e, !ky0, ky1 == l->tap_rows, &room);
    if (e) here = *e, here.row_bias = NULL, here.col_bias = e->col_bias ? e->col_bias + m : NULL;
    const int64_t taps = (ky1 - ky0) * l->taps_x, looks = max64(1, taps * ceil_div(l->k, 8));
    for (int64_t i = 0; i < tiles; i++) {
        const omma_ahead ahead = omma_fetch_share(f, looks);
        const int64_t i0 = r->n * i / tiles, i1 = r->n * (i + 1) / tiles, at = r->pixel + i0;
        if (job->pairs) {
            multiply_pairs(job, r, i0, i1, g, m, b, ahead.lines ? &ahead : NULL);
            continue;
        }
        if (e && e->add) here.add = e->add + at * e->add_ld + m;
        kern->conv_tile((int)(i1 - i0), (int)min64(kern->nr, group_m - first), taps,
                        job->offsets + ky0 * l->taps_x, l->k, r->a + i0 * r->step + g * p->c,
                        r->step, b, job->y + at * job->y_ld + m, job->y_ld, ky0 > 0,
                        e ? &here : NULL, ahead.lines ? &ahead : NULL);
    }
}

/* a: where the band's first output pixel begins to see. Meanwhile the tiles fetch the next part of
 * the weights, or the next band where all the weights are in the cache and stay there. first: of
 * this worker. */
static void multiply(const direct_job *job, int64_t at, const float *a, int64_t p0, int64_t p1,
                     bool first) {
    const band here = band_at(job, at), *b = &here;
    const omma_conv *p = job->p;
    const layout *l = &job->l;
    const int64_t parts = ceil_div(l->tap_rows, l->part), row = l->wide * l->pixel;
    const bool whole = l->kind == DENSE && l->bands_x == 1; /* one run */
    const int64_t pitch = l->kind == BARE   ? p->stride_h * p->w * job->x_ld
                          : l->kind == ROWS ? p->stride_h * row
                                            : row;
    const int64_t step = l->kind == BARE   ? p->stride_w * job->x_ld
                         : l->kind == ROWS ? p->stride_w * l->pixel
                                           : l->pixel;
    const int64_t pixel = (b->image * p->oh + b->y0) * p->ow + b->x0,
                  runs = whole ? 1 : b->y1 - b->y0;
    const int64_t n = whole ? (b->y1 - b->y0) * p->ow : b->x1 - b->x0;
    const int64_t tiles = runs * ceil_div(n, job->kern->mr);
    const bool stays = job->packed_fits && !first;
    omma_fetch f = next_band(job, at, tiles * parts * (p1 - p0));
    for (int64_t panel = p0; panel < p1; panel++)
        for (int64_t part = 0; part < parts; part++) {
            if (!stays) f = next_part(job, panel, part, tiles);
            for (int64_t i = 0; i < runs; i++) {
                const run r = {n, step, a + i * pitch, pixel + i * p->ow};
                multiply_run(job, &r, panel, part, &f);
            }
        }
}

/* --- running ----------------------------------------------------------------------- */

/* Items: bands, and for each of them ranges of panels one after the other: a worker that gets
 * several of a band copies it once. */
static void run_items(void *arg, int64_t begin, int64_t end, int worker) {
    const direct_job *job = arg;
    const omma_conv *p = job->p;
    char *memory = job->workers + (size_t)worker * job->worker_bytes;
    int64_t *held = (int64_t *)(void *)memory;
    float *copy = (float *)(void *)(memory + HEADER);
    const int64_t first =
        omma_first_chunk(p->n * job->l.bands * job->panel_chunks, job->threads, worker);
    for (int64_t i = begin; i < end; i++) {
        const int64_t at = i / job->panel_chunks, chunk = i % job->panel_chunks;
        const band b = band_at(job, at);
        const int64_t planes = p->planes ? p->c : 1;
        const float *image = job->x + b.image * planes * p->h * p->w * job->x_ld, *a = copy;
        if (job->l.kind == BARE)
            a = image + (b.y0 * p->stride_h * p->w + b.x0 * p->stride_w) * job->x_ld;
        else if (*held != at) {
            if (job->l.kind == ROWS) copy_rows(job, &b, image, copy);
            else copy_dense(job, &b, image, copy);
            *held = at;
        }
        multiply(job, at, a, job->panels * chunk / job->panel_chunks,
                 job->panels * (chunk + 1) / job->panel_chunks, i == first);
    }
}

/* Fewer pixels or fewer panels in an item when there are not enough for the threads: what is more
 * memory, the input or the weights, should not go through both. */
static void share(direct_job *job, int threads) {
    const omma_conv *p = job->p;
    layout *l = &job->l;
    const int64_t want = CHUNKS * (int64_t)threads;
    job->panel_chunks = 1;
    if (threads == 1) return;
    const double weights = (double)p->kh * p->kw * (double)p->c * (double)p->m,
                 input = (double)p->h * (double)p->w * (double)p->c * (double)p->groups;
    if (weights > input) job->panel_chunks = min64(job->panels, ceil_div(want, p->n * l->bands));
    const int64_t have = p->n * l->bands * job->panel_chunks;
    if (have < want) {
        const int64_t rows = max64(1, l->rows / ceil_div(want, have));
        const int64_t bands_y = ceil_div(p->oh, rows);
        l->bands = l->bands_x * bands_y;
        l->rows = ceil_div(p->oh, bands_y);
    }
    if (p->n * l->bands * job->panel_chunks < want)
        job->panel_chunks = min64(job->panels, ceil_div(want, p->n * l->bands));
}

static void run_product(const direct_job *job, int threads, void *memory) {
    const omma_conv *p = job->p;
    omma_epilogue e;
    if (job->pairs) {
        omma_bf16_gemm(job->kern, threads, p->n * p->oh * p->ow, p->m, 2 * p->c,
                       (const uint16_t *)(const void *)job->x, 2 * job->x_ld,
                       (const uint16_t *)(const void *)job->packed, job->y, job->y_ld, job->pairs,
                       memory);
        return;
    }
    if (job->e) e = *job->e, e.row_bias = NULL;
    /* what scratch knew: rows as dense as they can be */
    const int64_t rows = p->n * p->oh * p->ow;
    if (!omma_gemm_room(job->kern, 1, rows, p->m, p->c, p->c)) memory = NULL;
    omma_gemm(job->kern, threads, rows, p->m, p->c, job->x, job->x_ld, job->packed, job->y,
              job->y_ld, job->e ? &e : NULL, memory);
}

/* Fill in the rest and run. */
static void run_job(direct_job *job, int threads, void *memory) {
    const omma_kernels *kern = job->kern;
    const omma_conv *p = job->p;
    const int64_t x_ld = job->x_ld = p->planes ? 1 : job->x_ld;
    layout *l = &job->l;
    size_t bytes;
    *l = lay_out(kern, p);
    if (job->pairs) l->part = p->kh;
    if (l->kind == PRODUCT) {
        run_product(job, threads, memory);
        return;
    }
    if (!worker_bytes(l, p, &job->worker_bytes)) return; /* the caller was told by scratch */
    threads = threads_for(p, threads);
    job->threads = threads;
    job->offsets = memory;
    if (l->part >= l->tap_rows && !job->pairs)
        job->stream = omma_tile_stream(p->n * p->oh * p->ow, p->m, job->y, job->e);
    job->packed_fits = packed_bytes(kern, p, &bytes) && bytes <= PACKED_BYTES;
    job->workers = (char *)memory + offsets_bytes(p);
    job->panels = p->groups * panels_of(kern, p);
    if (l->kind == ROWS && is_bare(p) && !collides(x_ld * p->stride_w) &&
        (l->taps_x == p->kw || x_ld == p->c || p->planes))
        l->kind = BARE;
    share(job, threads);
    find_offsets(job, l->kind == BARE ? p->w * x_ld : l->wide * l->pixel,
                 l->kind == BARE ? x_ld : l->pixel);
    for (int i = 0; i < threads; i++)
        *(int64_t *)(void *)(job->workers + (size_t)i * job->worker_bytes) = -1;
    omma_parallel(threads, p->n * l->bands * job->panel_chunks, 1, run_items, job);
}

static void run_direct(const omma_kernels *kern, int threads, const omma_conv *p, const float *x,
                       int64_t x_ld, const void *packed, float *y, int64_t y_ld,
                       const omma_epilogue *e, void *memory) {
    direct_job job = {
        .kern = kern, .p = p, .x = x, .packed = packed, .y = y, .x_ld = x_ld, .y_ld = y_ld, .e = e};
    run_job(&job, threads, memory);
}

void omma_last_direct_pairs(const omma_kernels *kern, int threads, const omma_conv *p,
                            const void *x, const void *packed, void *y, const omma_bf16_out *o,
                            void *scratch_memory) {
    direct_job job = {.kern = kern,
                      .p = p,
                      .x = x,
                      .packed = packed,
                      .y = y,
                      .x_ld = p->groups * p->c,
                      .y_ld = p->m,
                      .pairs = o};
    run_job(&job, threads, scratch_memory);
}

const omma_last_way omma_last_direct = {fits, form, packed_bytes, pack, scratch, run_direct};
