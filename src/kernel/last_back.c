/* last_back.c - see last_back.h. A band of pixels of x times the weights of some rows of taps is a
 * matrix of columns, [pixel][ky][kx][m], which stays in the L2 cache and is added to y: with the
 * channels of a pixel side by side, what a pixel gives to one row of y is a single run of kw*m
 * numbers.
 *
 *     x: H x W pixels         columns                y
 *     +-------+                                      a chunk: rows of y, which one thread
 *     | band  |  x weights =  [pixels, ky kx m]  ->  makes; or all threads share a band's
 *     +-------+                                      product, then its rows of y
 *
 * Where no two pixels meet, runs are copied. An operator whose groups have one channel on either
 * side has no columns: there an output is the sum of the taps that reach it, which are the same for
 * all outputs of a phase, a stride apart.
 *
 * A number of y is a sum over bands, within a band over rows of taps, within those over pixels: the
 * bands lie on a grid that depends on the geometry alone, so neither chunks nor threads change its
 * bits. */
#include "kernel/last_back.h"

#include <string.h>

#include "base/checked.h"
#include "base/pool.h"
#include "kernel/table.h"

enum {
    COLUMNS_BYTES = 640 << 10, /* of a band: stays in the L2 cache beside the weights */
    RUN = 512,                 /* rows of taps are joined to have so many columns of weights */
    SMALL = 50000,             /* multiplications not worth waking a thread for */
    CHUNKS = 4,                /* for each thread */
    OVERLAP = 6,               /* a chunk has so many times the rows that two of them share */
    MOST_TAPS = 16,            /* along an axis, where an output's are listed */
    LINE = 16                  /* floats of a cache line */
};

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }

/* How it is cut. */
typedef struct layout {
    int64_t m;    /* output channels of a group */
    int64_t taps; /* rows of taps done at once */
    int64_t rows; /* of x in a band */
    int64_t ld;   /* columns of a pixel, with what keeps them out of one another's lines */
    bool each;    /* a channel of y for each of x: no columns */
    bool apart;   /* no two pixels meet */
    bool covers;  /* and every output has one */
    bool runs;    /* the taps of a row are one run */
} layout;

static layout lay_out(const omma_conv *p, int64_t y_ld) {
    layout l = {.m = p->m / p->groups};
    l.each = l.m == 1 && p->c == 1 && p->kh <= MOST_TAPS && p->kw <= MOST_TAPS;
    const int64_t one = p->kw * l.m, parts = ceil_div(p->kh, max64(1, min64(p->kh, RUN / one)));
    l.taps = ceil_div(p->kh, parts);
    l.ld = l.taps * one + (l.taps * one % RUN == 0 ? LINE : 0);
    const double fit = COLUMNS_BYTES / (4.0 * (double)l.ld * (double)p->w);
    const int64_t rows = fit < 1 ? 1 : fit < (double)p->h ? (int64_t)fit : p->h;
    l.rows = ceil_div(p->h, ceil_div(p->h, rows));
    l.apart = (int64_t)(p->kh - 1) * p->dilation_h < p->stride_h &&
              (int64_t)(p->kw - 1) * p->dilation_w < p->stride_w;
    l.covers = l.apart && p->kh == p->stride_h && p->kw == p->stride_w && p->dilation_h == 1 &&
               p->dilation_w == 1 && p->oh <= p->h * p->stride_h - p->pad_top &&
               p->ow <= p->w * p->stride_w - p->pad_left;
    l.runs = p->groups == 1 && p->dilation_w == 1 && y_ld == l.m;
    return l;
}

/* --- sizes and packing ------------------------------------------------------------------ */

/* Floats of the packed weights of `taps` rows of taps of one group. */
static int64_t part_floats(const omma_kernels *kern, const omma_conv *p, const layout *l,
                           int64_t taps) {
    return (int64_t)omma_gemm_packed_size(kern, p->c, taps * p->kw * l->m);
}

/* The same of one group. */
static int64_t group_floats(const omma_kernels *kern, const omma_conv *p, const layout *l) {
    const int64_t whole = p->kh / l->taps, rest = p->kh % l->taps;
    return whole * part_floats(kern, p, l, l->taps) + part_floats(kern, p, l, rest);
}

static bool is_empty(const omma_conv *p) {
    return p->n <= 0 || p->groups <= 0 || p->m <= 0 || p->oh <= 0 || p->ow <= 0;
}

/* No input: y is the bias. */
static bool has_no_input(const omma_conv *p) { return p->c <= 0 || p->h <= 0 || p->w <= 0; }

bool omma_last_back_sizes(const omma_kernels *kern, const omma_conv *p, int threads, size_t *packed,
                          size_t *scratch) {
    int64_t count;
    *packed = *scratch = 0;
    if (is_empty(p) || has_no_input(p)) return true;
    if (!omma_dims_count((int64_t[]){p->n, p->groups, p->c, p->h, p->w}, 5, &count) ||
        !omma_dims_count((int64_t[]){p->n, p->m, p->oh, p->ow}, 4, &count) ||
        !omma_dims_count((int64_t[]){p->m + kern->nr, p->c, p->kh + 1, p->kw + kern->nr, 4}, 5,
                         &count))
        return false;
    const layout l = lay_out(p, p->m);
    if (l.each) return omma_dims_bytes((int64_t[]){p->m, p->kh, p->kw}, 3, 4, packed);
    const int64_t band[] = {l.rows, p->w, l.ld, 4};
    size_t bytes;
    return omma_dims_bytes((int64_t[]){p->groups, group_floats(kern, p, &l)}, 2, 4, packed) &&
           omma_dims_count(band, 4, &count) && omma_align_up((size_t)count, 64, &bytes) &&
           omma_mul(bytes, (size_t)max64(threads, 1), scratch);
}

/* Rows [t0, t1) of taps of one group, w: [c, m, kh, kw], as panels [k][nr] of columns (ky, kx, m).
 */
static void pack_part(const omma_kernels *kern, const omma_conv *p, const layout *l, int64_t t0,
                      int64_t t1, const omma_f32u *w, float *dst) {
    const int64_t n = (t1 - t0) * p->kw * l->m, taps = (int64_t)p->kh * p->kw, nr = kern->nr;
    memset(dst, 0, omma_gemm_packed_size(kern, p->c, n) * sizeof *dst);
    for (int64_t j = 0; j < n; j++) {
        const int64_t from = j % l->m * taps + t0 * p->kw + j / l->m;
        float *to = dst + j / nr * nr * p->c + j % nr;
        for (int64_t c = 0; c < p->c; c++) to[c * nr] = w[c * l->m * taps + from];
    }
}

void omma_last_back_pack(const omma_kernels *kern, const omma_conv *p, void *dst,
                         const void *weights) {
    if (is_empty(p) || has_no_input(p)) return;
    const layout l = lay_out(p, p->m);
    const omma_f32u *w = weights;
    const int64_t taps = (int64_t)p->kh * p->kw;
    float *to = dst;
    if (l.each)
        for (int64_t t = 0; t < taps; t++)
            for (int64_t m = 0; m < p->m; m++) to[t * p->m + m] = w[m * taps + t];
    for (int64_t g = 0; g < p->groups && !l.each; g++)
        for (int64_t t = 0; t < p->kh; t += l.taps) {
            const int64_t end = min64(t + l.taps, p->kh);
            pack_part(kern, p, &l, t, end, w + g * p->c * l.m * taps, to);
            to += part_floats(kern, p, &l, end - t);
        }
}

/* --- running ------------------------------------------------------------------------------ */

typedef struct back_job {
    const omma_kernels *kern;
    const omma_conv *p;
    layout l;
    const float *x, *w, *bias;
    float *y;
    int64_t x_ld, y_ld;
    char *scratch;
    size_t pitch;   /* bytes for each worker */
    int64_t chunks; /* of an image */
} back_job;

/* What one chunk is: rows [r0, r1) of y of one image, and where image and columns are. */
typedef struct chunk {
    const float *x;
    float *y, *columns;
    int64_t r0, r1;
} chunk;

/* Of `count` taps `step` apart from output `at`: those inside [lo, hi). */
static void clip(int64_t at, int64_t step, int64_t count, int64_t lo, int64_t hi, int64_t *first,
                 int64_t *end) {
    *first = at < lo ? ceil_div(lo - at, step) : 0;
    *end = at < hi ? min64(count, ceil_div(hi - at, step)) : 0;
}

static void fill(const back_job *j, const chunk *c) {
    const omma_conv *p = j->p;
    float *y = c->y + c->r0 * p->ow * j->y_ld;
    const int64_t pixels = (c->r1 - c->r0) * p->ow;
    if (j->bias) j->kern->copy_rows(pixels, p->m, j->bias, 0, y, j->y_ld);
    else if (j->y_ld == p->m) memset(y, 0, (size_t)(pixels * p->m) * sizeof *y);
    else
        for (int64_t i = 0; i < pixels; i++) memset(y + i * j->y_ld, 0, (size_t)p->m * sizeof *y);
}

/* m rows of n columns to their rows of y. */
static void put(const back_job *j, int64_t m, int64_t n, const float *columns, int64_t ld, float *y,
                int64_t y_ld) {
    if (j->l.apart && !j->bias) j->kern->copy_rows(m, n, columns, ld, y, y_ld);
    else j->kern->accumulate(m, n, columns, ld, y, y_ld);
}

/* The columns of row iy of x, for rows [t0, t1) of taps of group g. */
static void place_row(const back_job *j, const chunk *c, int64_t g, int64_t iy, int64_t t0,
                      int64_t t1, const float *columns) {
    const omma_conv *p = j->p;
    const int64_t m = j->l.m, one = p->kw * m, oy = iy * p->stride_h - p->pad_top,
                  down = p->dilation_h * p->ow * j->y_ld;
    int64_t a, b;
    clip(oy + t0 * p->dilation_h, p->dilation_h, t1 - t0, c->r0, c->r1, &a, &b);
    if (a >= b) return;
    float *y = c->y + (oy + (t0 + a) * p->dilation_h) * p->ow * j->y_ld + g * m;
    columns += a * one;
    for (int64_t ix = 0; ix < p->w; ix++, columns += j->l.ld) {
        const int64_t ox = ix * p->stride_w - p->pad_left;
        int64_t k0, k1;
        clip(ox, p->dilation_w, p->kw, 0, p->ow, &k0, &k1);
        if (j->l.runs && k0 < k1)
            put(j, b - a, (k1 - k0) * m, columns + k0 * m, one, y + (ox + k0) * j->y_ld, down);
        for (int64_t k = k0; k < k1 && !j->l.runs; k++)
            put(j, b - a, m, columns + k * m, one, y + (ox + k * p->dilation_w) * j->y_ld, down);
    }
}

/* Columns of rows [i0, i1) of x, on their way to a chunk of y. */
typedef struct placing {
    const back_job *j;
    const chunk *c;
    int64_t g, i0, i1, t0, t1, first; /* first: row of y that is item 0 */
} placing;

/* Items are rows of y. */
static void place_rows(void *arg, int64_t begin, int64_t end, int worker) {
    const placing *q = arg;
    chunk c = *q->c;
    (void)worker;
    c.r0 = q->first + begin, c.r1 = q->first + end;
    for (int64_t i = q->i0; i < q->i1; i++)
        place_row(q->j, &c, q->g, i, q->t0, q->t1,
                  c.columns + (i - q->i0) * q->j->p->w * q->j->l.ld);
}

static void place_band(placing *q, int threads) {
    const omma_conv *p = q->j->p;
    const int64_t low = q->i0 * p->stride_h - p->pad_top + q->t0 * p->dilation_h,
                  high = (q->i1 - 1) * p->stride_h - p->pad_top + (q->t1 - 1) * p->dilation_h + 1;
    q->first = max64(low, q->c->r0);
    const int64_t rows = min64(high, q->c->r1) - q->first;
    if (rows <= 0) return;
    if (threads == 1) place_rows(q, 0, rows, 0);
    else omma_parallel(threads, rows, ceil_div(rows, CHUNKS * (int64_t)threads), place_rows, q);
}

/* Rows [i0, i1) of x, of one band, group by group. */
static void run_band(const back_job *j, const chunk *c, int64_t i0, int64_t i1, int threads) {
    const omma_conv *p = j->p;
    const layout *l = &j->l;
    const float *w = j->w;
    for (int64_t g = 0; g < p->groups; g++)
        for (int64_t t0 = 0; t0 < p->kh; t0 += l->taps) {
            placing q = {j, c, g, i0, i1, t0, min64(t0 + l->taps, p->kh), 0};
            omma_gemm(j->kern, threads, (i1 - i0) * p->w, (q.t1 - t0) * p->kw * l->m, p->c,
                      c->x + i0 * p->w * j->x_ld + g * p->c, j->x_ld, w, c->columns, l->ld, NULL,
                      NULL);
            w += part_floats(j->kern, p, l, q.t1 - t0);
            place_band(&q, threads);
        }
}

/* --- one channel a group -------------------------------------------------------------------- */

/* The taps that reach output `o` along an axis, and the places of x they come from. */
typedef struct reach {
    int64_t n, tap[MOST_TAPS], at[MOST_TAPS];
} reach;

static reach reach_of(int64_t o, int64_t pad, int64_t stride, int64_t dilation, int64_t taps,
                      int64_t in, bool inside) {
    reach r = {0};
    for (int64_t t = 0; t < taps; t++) {
        const int64_t i = o + pad - t * dilation;
        const int64_t at = i >= 0 ? i / stride : -ceil_div(-i, stride);
        if (at * stride != i || (inside && (at < 0 || at >= in))) continue;
        r.tap[r.n] = t;
        r.at[r.n++] = at;
    }
    return r;
}

/* `count` outputs of row oy a stride apart, of which the first, ox, is reached by these taps. */
static void sum_run(const back_job *j, const chunk *c, int64_t oy, const reach *rows, int64_t ox,
                    const reach *columns, int64_t count) {
    const omma_conv *p = j->p;
    const float *x[MOST_TAPS * MOST_TAPS], *w[MOST_TAPS * MOST_TAPS];
    int64_t n = 0;
    for (int64_t a = 0; a < rows->n; a++)
        for (int64_t b = 0; b < columns->n; b++, n++) {
            x[n] = c->x + (rows->at[a] * p->w + columns->at[b]) * j->x_ld;
            w[n] = j->w + (rows->tap[a] * p->kw + columns->tap[b]) * p->m;
        }
    j->kern->sum_products(count, p->m, n, x, j->x_ld, w, j->bias,
                          c->y + (oy * p->ow + ox) * j->y_ld, p->stride_w * j->y_ld);
}

/* The outputs of row oy from ox on, a stride apart: those that all taps of the phase reach in one
 * go, others one by one. */
static void sum_phase(const back_job *j, const chunk *c, int64_t oy, const reach *rows,
                      int64_t ox) {
    const omma_conv *p = j->p;
    while (ox < p->ow) {
        const reach all = reach_of(ox, p->pad_left, p->stride_w, p->dilation_w, p->kw, p->w, false);
        const reach some = reach_of(ox, p->pad_left, p->stride_w, p->dilation_w, p->kw, p->w, true);
        int64_t count = (p->ow - 1 - ox) / p->stride_w + 1;
        if (all.n == some.n && all.n) count = min64(count, p->w - all.at[0]);
        else if (all.n) count = 1;
        sum_run(j, c, oy, rows, ox, &some, count);
        ox += count * p->stride_w;
    }
}

static void sum_rows(const back_job *j, const chunk *c) {
    const omma_conv *p = j->p;
    for (int64_t oy = c->r0; oy < c->r1; oy++) {
        const reach rows = reach_of(oy, p->pad_top, p->stride_h, p->dilation_h, p->kh, p->h, true);
        for (int64_t ox = 0; ox < p->stride_w && ox < p->ow; ox++) sum_phase(j, c, oy, &rows, ox);
    }
}

/* --- chunks ------------------------------------------------------------------------------------
 */

/* Items are rows of y of a chunk. */
static void fill_rows(void *arg, int64_t begin, int64_t end, int worker) {
    const placing *q = arg;
    chunk c = *q->c;
    (void)worker;
    c.r0 = q->c->r0 + begin, c.r1 = q->c->r0 + end;
    fill(q->j, &c);
}

static void run_chunk(const back_job *j, const chunk *c, int threads) {
    const omma_conv *p = j->p;
    const int64_t rows = c->r1 - c->r0;
    placing all = {.j = j, .c = c};
    if (!j->l.covers || j->bias)
        omma_parallel(threads, rows, ceil_div(rows, threads), fill_rows, &all);
    /* the rows of x that reach the chunk: from one by its last tap to one by its first */
    const int64_t low = c->r0 + p->pad_top - (int64_t)(p->kh - 1) * p->dilation_h,
                  i1 = min64(p->h, (c->r1 - 1 + p->pad_top) / p->stride_h + 1);
    for (int64_t i = low > 0 ? ceil_div(low, p->stride_h) : 0; i < i1;) {
        const int64_t stop = min64(i1, (i / j->l.rows + 1) * j->l.rows);
        run_band(j, c, i, stop, threads);
        i = stop;
    }
}

static chunk chunk_at(const back_job *j, int64_t i, int worker) {
    const omma_conv *p = j->p;
    const int64_t n = i / j->chunks, at = i % j->chunks;
    return (chunk){j->x + n * p->h * p->w * j->x_ld, j->y + n * p->oh * p->ow * j->y_ld,
                   (float *)(void *)(j->scratch + (size_t)worker * j->pitch),
                   p->oh * at / j->chunks, p->oh * (at + 1) / j->chunks};
}

/* Items are chunks. */
static void run_chunks(void *arg, int64_t begin, int64_t end, int worker) {
    const back_job *j = arg;
    for (int64_t i = begin; i < end; i++) {
        const chunk c = chunk_at(j, i, worker);
        if (j->l.each) sum_rows(j, &c);
        else run_chunk(j, &c, 1);
    }
}

/* Chunks of an image: what reaches two of them is computed twice, so they are not small. */
static int64_t chunks_of(const back_job *j, int threads) {
    const omma_conv *p = j->p;
    const int64_t high = (int64_t)(p->kh - 1) * p->dilation_h + 1,
                  twice = j->l.each ? 0 : max64(0, ceil_div(high - p->stride_h, p->stride_h)),
                  least = max64(1, twice * p->stride_h * OVERLAP);
    return max64(1, min64(ceil_div(CHUNKS * (int64_t)threads, p->n), p->oh / least));
}

void omma_last_back(const omma_kernels *kern, int threads, const omma_conv *p, const float *x,
                    int64_t x_ld, const void *packed, float *y, int64_t y_ld, const float *bias,
                    void *scratch) {
    if (is_empty(p)) return;
    back_job j = {.kern = kern,
                  .p = p,
                  .x = x,
                  .w = packed,
                  .bias = bias,
                  .y = y,
                  .x_ld = x_ld,
                  .y_ld = y_ld,
                  .scratch = scratch,
                  .chunks = 1};
    if (has_no_input(p)) {
        const chunk all = {.y = y, .r1 = p->n * p->oh};
        fill(&j, &all);
        return;
    }
    j.l = lay_out(p, y_ld);
    size_t bytes = (size_t)(j.l.rows * p->w * j.l.ld) * sizeof(float);
    j.pitch = j.l.each ? 0 : (bytes + 63) & ~(size_t)63;
    if ((double)p->n * (double)p->h * (double)p->w * (double)p->c * (double)p->m * p->kh * p->kw <
        SMALL)
        threads = 1;
    if (threads > 1) j.chunks = chunks_of(&j, threads);
    if (j.l.each || p->n * j.chunks >= threads) {
        omma_parallel(threads, p->n * j.chunks, 1, run_chunks, &j);
        return;
    }
    j.chunks = 1;
    for (int64_t i = 0; i < p->n; i++) { /* all threads at one image */
        const chunk c = chunk_at(&j, i, 0);
        run_chunk(&j, &c, threads);
    }
}
