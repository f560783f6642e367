/* int8.c - see int8.h. What an output pixel sees are a few runs of neighbouring bytes: without
 * dilation one for each row of the kernel, kw*c long, else one for each tap. Where the picture has
 * a border of padding, or a run is no multiple of four, one picture at a time is copied with its
 * border into scratch; what is read beyond a run there meets weights of zero.
 *
 *   panels of B are packed [run][four numbers of k][nr][4]
 *   one chunk of work: a block of output rows (or of pixels of one) x a few panels */
#include "kernel/int8.h"

#include <string.h>

#include "base/checked.h"
#include "base/pool.h"
#include "kernel/table.h"

enum {
    PIXELS = 112,            /* in one chunk, about */
    PANEL_BYTES = 256 << 10, /* of B in one chunk: stays in the L2 cache */
    SLACK = 64,              /* bytes behind a copied picture that may be read */
    SMALL = 400000,          /* products not worth waking a thread for */
    TILE_MOST = 32 * 64      /* numbers in the largest tile of any table */
};

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }

omma_conv omma_int8_rows(int64_t rows, int64_t k, int64_t n) {
    return (omma_conv){.n = 1,
                       .groups = 1,
                       .c = k,
                       .h = 1,
                       .w = rows,
                       .m = n,
                       .oh = 1,
                       .ow = rows,
                       .kh = 1,
                       .kw = 1,
                       .stride_h = 1,
                       .stride_w = 1,
                       .dilation_h = 1,
                       .dilation_w = 1};
}

int64_t omma_int8_padded(const omma_kernels *kern, int64_t m) {
    return ceil_div(m, kern->int8_nr) * kern->int8_nr;
}

/* --- geometry ---------------------------------------------------------------------- */

/* How a convolution's runs lie. */
typedef struct runs {
    int64_t count, k, groups; /* of runs; numbers in one; fours in one */
} runs;

static runs runs_of(const omma_conv *p) {
    const bool joined = p->dilation_w == 1;
    runs r = {.count = joined ? p->kh : (int64_t)p->kh * p->kw, .k = joined ? p->kw * p->c : p->c};
    r.groups = ceil_div(r.k, 4);
    return r;
}

/* What a picture with its border measures: what the outputs see, no more. */
static int64_t seen_h(const omma_conv *p) {
    return (p->oh - 1) * p->stride_h + (int64_t)(p->kh - 1) * p->dilation_h + 1;
}
static int64_t seen_w(const omma_conv *p) {
    return (p->ow - 1) * p->stride_w + (int64_t)(p->kw - 1) * p->dilation_w + 1;
}

static bool empty(const omma_conv *p) { return p->n <= 0 || p->m <= 0 || p->oh <= 0 || p->ow <= 0; }

static bool copies(const omma_conv *p) {
    return p->pad_top || p->pad_left || seen_h(p) > p->h || seen_w(p) > p->w || runs_of(p).k % 4;
}

/* One line of pixels, however many pictures and rows they are from? */
static bool flat(const omma_conv *p) {
    return p->kh == 1 && p->kw == 1 && p->stride_h == 1 && p->stride_w == 1 && !copies(p) &&
           p->oh == p->h && p->ow == p->w;
}

static bool copy_bytes(const omma_conv *p, size_t *bytes) {
    *bytes = 0;
    if (!copies(p)) return true;
    size_t n;
    return omma_dims_bytes((int64_t[]){seen_h(p), seen_w(p), p->c}, 3, 1, &n) &&
           omma_add(n, SLACK, &n) && omma_align_up(n, 64, bytes);
}

bool omma_int8_scratch(const omma_kernels *kern, const omma_conv *p, int threads, size_t *bytes) {
    size_t copy, segs, n;
    (void)kern, (void)threads;
    *bytes = 0;
    if (!omma_dims_bytes((int64_t[]){p->n, p->h, p->w, p->c}, 4, 1, &n) ||
        !omma_dims_bytes((int64_t[]){p->n, p->oh, p->ow, p->m}, 4, sizeof(float), &n))
        return false;
    if (empty(p)) return true;
    return copy_bytes(p, &copy) &&
           omma_dims_bytes((int64_t[]){runs_of(p).count}, 1, sizeof(int64_t), &segs) &&
           omma_align_up(segs, 64, &segs) && omma_add(copy, segs, bytes);
}

/* --- packing ----------------------------------------------------------------------- */

bool omma_int8_packed_bytes(const omma_kernels *kern, const omma_conv *p, size_t *bytes) {
    const runs r = runs_of(p);
    size_t n;
    return omma_dims_bytes((int64_t[]){r.count, r.groups, omma_int8_padded(kern, p->m)}, 3, 4,
                           &n) &&
           omma_align_up(n, 64, bytes);
}

void omma_int8_pack(const omma_kernels *kern, const omma_conv *p, int8_t *dst, int32_t *sums,
                    const int8_t *w, int64_t m_step, int64_t c_step) {
    const runs r = runs_of(p);
    const int nr = kern->int8_nr;
    const bool joined = p->dilation_w == 1;
    memset(sums, 0, (size_t)omma_int8_padded(kern, p->m) * sizeof *sums);
    for (int64_t first = 0; first < p->m; first += nr)
        for (int64_t s = 0; s < r.count; s++)
            for (int64_t g = 0; g < r.groups; g++)
                for (int j = 0; j < nr; j++)
                    for (int64_t e = g * 4; e < g * 4 + 4; e++, dst++) {
                        const int64_t m = first + j, c = e % p->c, tap = joined ? e / p->c : 0;
                        *dst = m < p->m && e < r.k
                                   ? w[m * m_step + c * c_step + (joined ? s * p->kw : s) + tap]
                                   : 0;
                        if (m < p->m) sums[m] += *dst;
                    }
}

/* --- running ----------------------------------------------------------------------- */

typedef struct job {
    const omma_kernels *kern;
    const omma_conv *p;
    runs r;
    const uint8_t *x; /* the picture, with its border where it was copied */
    const uint8_t *from;
    uint8_t *copy;
    int x_zero;
    int64_t pitch, lda; /* from an output row to the next, and from a pixel to the next [bytes] */
    const int64_t *seg;
    const int8_t *packed;
    const omma_int8_out *o;
    void *y;
    int64_t lines, pixels; /* of output, in this picture */
    int64_t line_block, pixel_block, panel_block, line_blocks, pixel_blocks, panels;
} job;

/* Items are rows of the picture with its border. */
static void copy_rows(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const omma_conv *p = j->p;
    const int64_t wide = seen_w(p), left = min64(p->pad_left, wide);
    const int64_t inside = max64(0, min64(p->w, wide - left));
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t y = i - p->pad_top;
        uint8_t *to = j->copy + i * wide * p->c;
        if (y < 0 || y >= p->h) {
            memset(to, j->x_zero, (size_t)(wide * p->c));
            continue;
        }
        memset(to, j->x_zero, (size_t)(left * p->c));
        memcpy(to + left * p->c, j->from + y * p->w * p->c, (size_t)(inside * p->c));
        memset(to + (left + inside) * p->c, j->x_zero, (size_t)((wide - left - inside) * p->c));
    }
}

/* An activation the tile does not have: sums to float, then row by row. */
static void long_tile(const job *j, int m, int n, const uint8_t *a, const int8_t *b,
                      const omma_int8_out *o, char *y) {
    const omma_kernels *kern = j->kern;
    float v[TILE_MOST];
    omma_int8_out plain = *o;
    plain.act = OMMA_ACT_NONE, plain.post = false, plain.to_u8 = false;
    kern->int8_tile(m, n, (int)j->r.count, j->seg, j->r.groups, a, j->lda, b, &plain, v,
                    kern->int8_nr);
    const omma_epilogue e = {.act = o->act, .lo = o->lo, .hi = o->hi};
    for (int i = 0; i < m; i++) {
        float *row = v + i * kern->int8_nr;
        kern->finish(n, row, NULL, 0, &e, row);
        if (o->post) kern->affine(n, row, &o->post_scale, &o->post_shift, 0, row);
        if (o->to_u8) kern->quantize(n, row, 1 / o->inverse, o->zero, (uint8_t *)y + i * j->p->m);
        else memcpy((float *)(void *)y + i * j->p->m, row, (size_t)n * sizeof *row);
    }
}

/* Pixels [x0, x1) of an output line, one panel. */
static void do_line(const job *j, int64_t line, int64_t x0, int64_t x1, int64_t panel) {
    const omma_kernels *kern = j->kern;
    const int64_t nr = kern->int8_nr, c0 = panel * nr, tiles = ceil_div(x1 - x0, kern->int8_mr);
    const int n = (int)min64(nr, j->p->m - c0);
    const size_t size = j->o->to_u8 ? 1 : sizeof(float);
    const int8_t *b = j->packed + panel * j->r.count * j->r.groups * nr * 4;
    for (int64_t t = 0; t < tiles; t++) {
        const int64_t p0 = x0 + (x1 - x0) * t / tiles, p1 = x0 + (x1 - x0) * (t + 1) / tiles;
        const int64_t at = line * j->pixels + p0;
        omma_int8_out o = *j->o;
        o.init += c0, o.scale += c0, o.bias += c0;
        if (o.add) o.add += at * o.add_ld + c0;
        if (o.add8) o.add8 += at * o.add_ld + c0;
        const uint8_t *a = j->x + line * j->pitch + p0 * j->lda;
        char *y = (char *)j->y + (size_t)(at * j->p->m + c0) * size;
        if (o.act > OMMA_ACT_CLIP) long_tile(j, (int)(p1 - p0), n, a, b, &o, y);
        else
            kern->int8_tile((int)(p1 - p0), n, (int)j->r.count, j->seg, j->r.groups, a, j->lda, b,
                            &o, y, j->p->m);
    }
}

/* Items are chunks; neighbours share panels. */
static void chunks(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const int64_t across = j->line_blocks * j->pixel_blocks;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t pb = i / across, lb = i % across / j->pixel_blocks, xb = i % j->pixel_blocks;
        const int64_t l1 = min64(j->lines, (lb + 1) * j->line_block);
        const int64_t x0 = xb * j->pixel_block, x1 = min64(j->pixels, x0 + j->pixel_block);
        const int64_t c1 = min64(j->panels, (pb + 1) * j->panel_block);
        for (int64_t panel = pb * j->panel_block; panel < c1; panel++)
            for (int64_t line = lb * j->line_block; line < l1; line++)
                do_line(j, line, x0, x1, panel);
    }
}

/* Chunks that fit the caches, and more of them than threads. */
static void cut(job *j, int threads) {
    const int64_t panel = max64(1, j->r.count * j->r.groups * j->kern->int8_nr * 4);
    j->panels = ceil_div(j->p->m, j->kern->int8_nr);
    j->pixel_block = min64(j->pixels, PIXELS);
    j->line_block = max64(1, PIXELS / j->pixels);
    j->panel_block = max64(1, min64(j->panels, PANEL_BYTES / panel));
    for (;;) {
        j->line_blocks = ceil_div(j->lines, j->line_block);
        j->pixel_blocks = ceil_div(j->pixels, j->pixel_block);
        const int64_t n = j->line_blocks * j->pixel_blocks * ceil_div(j->panels, j->panel_block);
        if (n >= 4 * (int64_t)threads || threads == 1) return;
        if (j->panel_block > 1) j->panel_block = ceil_div(j->panel_block, 2);
        else if (j->line_block > 1) j->line_block = ceil_div(j->line_block, 2);
        else return;
    }
}

/* Where the runs begin, from the pixel's first. */
static void set_runs(const job *j, int64_t *seg, int64_t row) {
    const omma_conv *p = j->p;
    const bool joined = p->dilation_w == 1;
    for (int64_t s = 0; s < j->r.count; s++) {
        const int64_t ky = joined ? s : s / p->kw, kx = joined ? 0 : s % p->kw;
        seg[s] = ky * p->dilation_h * row + kx * p->dilation_w * p->c;
    }
}

static void run_picture(job *j, int threads) {
    if (j->copy) {
        j->x = j->copy;
        const int64_t row = seen_w(j->p) * j->p->c;
        omma_parallel(threads, seen_h(j->p), 1 + (16 << 10) / (row + 1), copy_rows, j);
    } else j->x = j->from;
    omma_parallel(threads, j->line_blocks * j->pixel_blocks * ceil_div(j->panels, j->panel_block),
                  1, chunks, j);
}

void omma_int8_run(const omma_kernels *kern, int threads, const omma_conv *p, const uint8_t *x,
                   int x_zero, const int8_t *packed, const omma_int8_out *o, void *y,
                   void *scratch) {
    if (empty(p)) return;
    const runs r = runs_of(p);
    const bool whole = flat(p), copied = copies(p);
    const int64_t row = (copied ? seen_w(p) : p->w) * p->c, pictures = whole ? 1 : p->n;
    const size_t size = o->to_u8 ? 1 : sizeof(float);
    int64_t *seg = scratch;
    size_t segs = 0;
    omma_int8_out part = *o;
    job j = {
        .kern = kern, .p = p, .r = r, .x_zero = x_zero, .seg = seg, .packed = packed, .o = &part};
    if ((double)p->n * (double)p->oh * (double)p->ow * (double)p->m * (double)(r.k * r.count) <
            SMALL ||
        threads < 1)
        threads = 1;
    omma_align_up((size_t)r.count * sizeof *seg, 64, &segs);
    j.copy = copied ? (uint8_t *)scratch + segs : NULL;
    set_runs(&j, seg, row);
    j.pitch = row * p->stride_h, j.lda = p->c * p->stride_w;
    j.lines = whole ? 1 : p->oh;
    j.pixels = whole ? p->n * p->oh * p->ow : p->ow;
    cut(&j, threads);
    for (int64_t i = 0; i < pictures; i++) {
        const int64_t out = p->oh * p->ow;
        j.from = x + i * p->h * p->w * p->c;
        j.y = (char *)y + (size_t)(i * out * p->m) * size;
        if (o->add) part.add = o->add + i * out * o->add_ld;
        if (o->add8) part.add8 = o->add8 + i * out * o->add_ld;
        run_picture(&j, threads);
    }
}
