/* chain.c - see chain.h. */
#include "kernel/chain.h"

#include <string.h>

#include "base/checked.h"
#include "base/pool.h"
#include "kernel/last_way.h"

enum {
    LARGE = 768 << 10,      /* bytes of a map that does not stay in the L2 cache */
    LIGHT = 32,             /* FLOP for a byte of it: more than that hides what it costs */
    BAND_BYTES = 384 << 10, /* of the maps between the links: half of an L2 cache, or less */
    PIECES = 2              /* of all images for each thread, if not too much is done twice */
};
#define TWICE 0.1 /* of all work */

static int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }
static size_t align64(size_t n) { return (n + 63) & ~(size_t)63; }
static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* Does every output row see a row of the map, or could if it were not for the dilation? */
static bool sees(const omma_conv *p) {
    return p->pad_top <= (p->kh - 1) * (int64_t)p->dilation_h &&
           (double)(p->oh - 1) * p->stride_h - (double)p->pad_top < (double)p->h;
}

bool omma_chain_takes(const omma_conv *p) {
    return (omma_conv_is_product(p) || (omma_conv_is_depthwise(p) && sees(p))) && p->n > 0 &&
           p->m > 0 && p->c > 0 && p->h > 0 && p->w > 0 && p->oh > 0 && p->ow > 0;
}

/* --- how it is cut ----------------------------------------------------------------- */

/* Rows [begin, end) of the input that the output rows [y0, y1) see. */
typedef struct span {
    int64_t begin, end;
} span;

static span seen(const omma_conv *p, int64_t y0, int64_t y1) {
    const int64_t begin = y0 * p->stride_h - p->pad_top,
                  end = (y1 - 1) * p->stride_h - p->pad_top + (p->kh - 1) * (int64_t)p->dilation_h;
    return (span){min64(p->h, max64(0, begin)), min64(p->h, max64(0, end + 1))};
}

typedef struct layout {
    int64_t band;                 /* rows of y */
    int64_t rows[OMMA_CHAIN_MAX]; /* that are held of what link i makes; of the last: the band */
} layout;

static int64_t row_floats(const omma_conv *p) { return p->ow * p->m; }

/* Rows held for bands of that many; the bytes they take. */
static double size_band(layout *l, const omma_link *links, int n, int64_t band) {
    double bytes = 0;
    l->band = l->rows[n - 1] = band;
    for (int i = n - 1; i > 0; i--) {
        const omma_conv *p = &links[i].conv;
        const double rows =
            (double)(l->rows[i] - 1) * p->stride_h + (double)(p->kh - 1) * p->dilation_h + 1;
        l->rows[i - 1] = rows < (double)p->h ? (int64_t)rows : p->h;
        bytes += 4.0 * (double)l->rows[i - 1] * (double)row_floats(&links[i - 1].conv);
    }
    return bytes;
}

static layout lay_out(const omma_link *links, int n) {
    const int64_t oh = links[n - 1].conv.oh;
    layout l;
    int64_t band = 1;
    while (band < oh && size_band(&l, links, n, band + 1) <= BAND_BYTES) band++;
    band = ceil_div(oh, ceil_div(oh, band)); /* about the same in each */
    size_band(&l, links, n, band);
    return l;
}

/* Is what so many pieces of an image do twice little? */
static bool few_twice(const omma_link *links, int n, int64_t pieces) {
    double all = 0, more = 0;
    layout l;
    size_band(&l, links, n, ceil_div(links[n - 1].conv.oh, pieces));
    for (int i = 0; i < n; i++) {
        const double part = (double)l.rows[i] / (double)links[i].conv.oh;
        all += omma_conv_flops(&links[i].conv);
        more += omma_conv_flops(&links[i].conv) * ((double)pieces * part - 1);
    }
    return more <= TWICE * all;
}

bool omma_chain_pays(const omma_link *links, int n, int threads) {
    const omma_conv *last = &links[n - 1].conv, *before = &links[n - 2].conv;
    const double bytes = 4.0 * (double)last->n * (double)last->h * (double)row_floats(before);
    layout l;
    return bytes >= LARGE && omma_conv_flops(before) + omma_conv_flops(last) <= LIGHT * bytes &&
           size_band(&l, links, n, 1) <= BAND_BYTES &&
           few_twice(links, n, ceil_div(threads, last->n));
}

/* What link i is for output rows [y0, y1) of one image, given the rows that they see. */
static omma_conv part_of(const omma_conv *p, int64_t y0, int64_t y1) {
    const span in = seen(p, y0, y1);
    omma_conv part = *p;
    part.n = 1, part.h = in.end - in.begin, part.oh = y1 - y0;
    part.pad_top = in.begin - (y0 * p->stride_h - p->pad_top);
    return part;
}

/* Memory for the rows of each link but the last, and what the links need themselves. */
static bool worker_bytes(const omma_kernels *kern, const omma_link *links, int n, const layout *l,
                         size_t *rows, size_t *work) {
    *rows = *work = 0;
    for (int i = 0; i < n; i++) {
        const omma_conv *p = &links[i].conv;
        size_t bytes;
        for (int64_t r = l->rows[i]; r > 0 && !omma_conv_is_depthwise(p);
             r--) { /* which needs none */
            omma_conv part = *p;
            part.n = 1, part.h = part.oh = r;
            if (!omma_last_scratch(kern, &part, 1, &bytes)) return false;
            if (!bytes) break; /* then fewer rows need none either */
            if (bytes > *work) *work = bytes;
        }
        if (i == n - 1) break;
        if (!omma_dims_bytes((int64_t[]){l->rows[i], p->ow, p->m}, 3, sizeof(float), &bytes) ||
            !omma_align_up(bytes, 64, &bytes) || !omma_add(*rows, bytes, rows))
            return false;
    }
    return omma_align_up(*work, 64, work);
}

bool omma_chain_scratch(const omma_kernels *kern, const omma_link *links, int n, int threads,
                        size_t *bytes) {
    const layout l = lay_out(links, n);
    size_t work;
    return worker_bytes(kern, links, n, &l, bytes, &work) && omma_add(*bytes, work, bytes) &&
           omma_mul(*bytes, (size_t)(threads > 1 ? threads : 1), bytes);
}

/* --- running ----------------------------------------------------------------------- */

typedef struct chain_job {
    const omma_kernels *kern;
    const omma_link *links;
    int n;
    layout l;
    const float *x;
    float *y;
    char *scratch;
    size_t rows_bytes, work_bytes; /* of a worker */
    int64_t pieces;                /* of an image */
} chain_job;

/* Rows [begin, end) of what a link makes, dense, at p. */
typedef struct held {
    float *p;
    int64_t begin, end;
} held;

/* Drop the rows before `first`. */
static void drop(held *h, int64_t first, int64_t row) {
    if (first <= h->begin) return;
    if (first < h->end)
        memmove(h->p, h->p + (first - h->begin) * row,
                (size_t)((h->end - first) * row) * sizeof *h->p);
    h->begin = first;
    h->end = max64(h->end, first);
}

/* Output rows [y0, y1) of link i of one image. from: the rows of its input from row `begin` on. */
static void run_rows(const chain_job *job, int i, int64_t image, int64_t y0, int64_t y1,
                     const float *from, int64_t begin, float *to, void *work) {
    const omma_link *link = &job->links[i];
    const omma_conv *p = &link->conv, part = part_of(p, y0, y1);
    const int64_t pixel = p->groups * p->c;
    omma_epilogue e = link->e;
    if (e.add) e.add += (image * p->oh + y0) * p->ow * e.add_ld;
    omma_last_run(job->kern, 1, &part, from + (seen(p, y0, y1).begin - begin) * p->w * pixel, pixel,
                  link->packed, to, p->m, &e, work);
}

/* Rows [y0, y1) of y, which the last link makes, and what they need of the others. */
static void run_band(const chain_job *job, int64_t image, held *maps, int64_t y0, int64_t y1,
                     void *work) {
    const int last = job->n - 1;
    const omma_conv *first = &job->links[0].conv, *end = &job->links[last].conv;
    const float *from = job->x + image * first->h * first->w * first->groups * first->c;
    int64_t from_begin = 0;
    span need[OMMA_CHAIN_MAX];
    need[last] = (span){y0, y1};
    for (int i = last; i > 0; i--)
        need[i - 1] = seen(&job->links[i].conv, need[i].begin, need[i].end);
    for (int i = 0; i < last; i++) {
        const int64_t row = row_floats(&job->links[i].conv);
        held *to = &maps[i];
        drop(to, need[i].begin, row);
        if (to->end < need[i].end)
            run_rows(job, i, image, to->end, need[i].end, from, from_begin,
                     to->p + (to->end - to->begin) * row, work);
        to->end = max64(to->end, need[i].end);
        from = to->p, from_begin = to->begin;
    }
    run_rows(job, last, image, y0, y1, from, from_begin,
             job->y + (image * end->oh + y0) * row_floats(end), work);
}

/* Items are pieces of images. */
static void run_pieces(void *arg, int64_t begin, int64_t end, int worker) {
    const chain_job *job = arg;
    const int64_t oh = job->links[job->n - 1].conv.oh;
    char *work = job->scratch + (size_t)worker * (job->rows_bytes + job->work_bytes);
    for (int64_t at = begin; at < end; at++) {
        const int64_t image = at / job->pieces, piece = at % job->pieces,
                      y0 = oh * piece / job->pieces, y1 = oh * (piece + 1) / job->pieces;
        held maps[OMMA_CHAIN_MAX];
        char *memory = work + job->work_bytes;
        for (int i = 0; i < job->n - 1; i++) {
            maps[i] = (held){(float *)(void *)memory, 0, 0};
            memory += align64((size_t)(job->l.rows[i] * row_floats(&job->links[i].conv)) * 4);
        }
        for (int64_t y = y0; y < y1; y += job->l.band)
            run_band(job, image, maps, y, min64(y1, y + job->l.band), work);
    }
}

void omma_chain_run(const omma_kernels *kern, int threads, const omma_link *links, int n,
                    const float *x, float *y, void *scratch) {
    const omma_conv *last = &links[n - 1].conv;
    chain_job job = {kern, links, n, lay_out(links, n), x, y, scratch, 0, 0, 1};
    if (!worker_bytes(kern, links, n, &job.l, &job.rows_bytes, &job.work_bytes)) return;
    if (threads > 1) job.pieces = min64(last->oh, ceil_div(PIECES * (int64_t)threads, last->n));
    while (job.pieces > 1 && !few_twice(links, n, job.pieces)) job.pieces--;
    omma_parallel(threads, last->n * job.pieces, 1, run_pieces, &job);
}
