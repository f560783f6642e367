/* gemm.c - matrix products on top of the tile of the table: packing, cutting into blocks
 * that fit the caches, threads. See kernel.h for what goes in and out.
 *
 *         n ->                       one chunk of work: rows x panels
 *      +----+----+----+----+           for each part of k (K_BLOCK long)
 *    m | chunk   |         |             for each panel (nr)             A: rows in L2
 *    | +----+----+----+----+               for each tile of rows (mr)    B: panel in L1 or L2
 *    v | panel ..|         |                 conv_tile
 *      +----+----+----+----+
 *
 * Rows of A that lie a multiple of 4 KiB apart share one set of the L1 cache, which holds fewer
 * lines than a tile has rows: a chunk of them is copied, a line further apart, where there is room
 * for it.
 *
 * While a tile computes it fetches into the L2 cache what comes next: the next panel of B, or, when
 * B as a whole stays in that cache, the next rows of A. So weights or activations that come from
 * memory, once, cost little time as long as there is enough to compute. A product of one row has
 * not: it is as fast as B comes, and reads several panels at once.
 *
 * Each number of C is a sum of parts of k, each a chain of additions in the order of k. The
 * parts depend on k alone: so neither the other cuts nor the threads change its bits. */
#include <string.h>

#include "base/pool.h"
#include "kernel/table.h"

enum {
    K_BLOCK = 1024,       /* longest part of k */
    A_BYTES = 1 << 20,    /* of A in one chunk: stays in the L2 cache, */
    A_SHARE = 16 << 10,   /* or so much where B does and A passes by */
    B_BYTES = 1280 << 10, /* of B: can stay in the L2 cache */
    SMALL = 100000,       /* multiplications not worth waking a thread for, */
    CHUNK = 200000,       /* and worth a chunk */
    CHUNKS = 8            /* for each thread: the last ones end at about the same time */
};

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }

const omma_epilogue *omma_epilogue_part(const omma_epilogue *e, bool first, bool last,
                                        omma_epilogue *room) {
    if (!e || (first && last)) return e;
    if (!last && !(first && e->add)) return NULL;
    *room = last ? *e : (omma_epilogue){.add_ld = e->add_ld};
    room->add = first ? e->add : NULL;
    return room;
}

void omma_gemm_block(const omma_kernels *kern, int64_t m, int64_t n, int64_t k, const float *a,
                     int64_t lda, const float *b, int64_t panel, float *c, int64_t ldc, bool acc,
                     const omma_epilogue *e) {
    const int64_t tiles = ceil_div(m, kern->mr);
    for (int64_t i = 0; i < tiles; i++) {
        const int64_t r0 = m * i / tiles, r1 = m * (i + 1) / tiles;
        const omma_f32u *rows = (const omma_f32u *)a + r0 * lda;
        for (int64_t j = 0; j < n; j += kern->nr) {
            omma_epilogue part;
            if (e) {
                part = *e;
                if (e->add) part.add += r0 * e->add_ld + j;
                if (e->row_bias) part.row_bias += r0;
                if (e->col_bias) part.col_bias += j;
            }
            kern->gemm_tile((int)(r1 - r0), (int)min64(n - j, kern->nr), k, (const float *)rows,
                            lda, b + j / kern->nr * panel, c + r0 * ldc + j, ldc, acc,
                            e ? &part : NULL);
        }
    }
}

/* --- packing --------------------------------------------------------------------- */

size_t omma_gemm_packed_size(const omma_kernels *kern, int64_t k, int64_t n) {
    return (size_t)ceil_div(n, kern->nr) * (size_t)kern->nr * (size_t)k;
}

typedef struct pack_job {
    const omma_kernels *kern;
    float *dst;
    const omma_f32u *b;
    int64_t row, col, k, n;
} pack_job;

static void pack_panels(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const pack_job *job = arg;
    const int nr = job->kern->nr;
    for (int64_t p = begin; p < end; p++) {
        const omma_f32u *src = job->b + p * nr * job->col;
        float *dst = job->dst + p * nr * job->k;
        const int n = (int)min64(job->n - p * nr, nr);
        if (job->row == 1) {
            job->kern->pack_cols(job->k, n, (const float *)src, job->col, dst);
            continue;
        }
        for (int64_t i = 0; i < job->k; i++, src += job->row, dst += nr) {
            if (job->col == 1) memcpy(dst, src, (size_t)n * 4);
            else
                for (int j = 0; j < n; j++) dst[j] = src[j * job->col];
            for (int j = n; j < nr; j++) dst[j] = 0;
        }
    }
}

void omma_gemm_pack(const omma_kernels *kern, float *dst, const void *b, int64_t row, int64_t col,
                    int64_t k, int64_t n, int threads) {
    pack_job job = {kern, dst, b, row, col, k, n};
    const int64_t panels = ceil_div(n, kern->nr);
    if (threads < 1 || (double)k * (double)n < SMALL) threads = 1;
    omma_parallel(threads, panels, ceil_div(panels, 8 * (int64_t)threads), pack_panels, &job);
}

/* --- product --------------------------------------------------------------------- */

typedef struct gemm_job {
    const omma_kernels *kern;
    int threads;
    int64_t m, n, k;
    const float *a;
    int64_t lda;
    const float *b;
    float *c;
    int64_t ldc;
    const omma_epilogue *e;
    int64_t m_chunks, n_chunks, panels, parts;
    bool rows_inside; /* neighbouring chunks share columns, not rows */
    bool b_fits;      /* in the L2 cache, as a whole */
    unsigned stream;  /* OMMA_TILE_STREAM or 0 */
    float *room;      /* of every worker for its rows of A, or NULL: they are read where they lie */
    int64_t room_each;
} gemm_job;

/* Rows [m0, m1) of C in one panel, for one part of k. */
typedef struct block {
    int64_t m0, m1, panel, k0, k1;
} block;

static const float *a_at(const gemm_job *job, int64_t row, int64_t k) {
    return (const float *)((const omma_f32u *)job->a + row * job->lda + k);
}

/* Rows of A, from k0 on. */
static omma_rows rows_here(const gemm_job *job, const block *b, int worker) {
    const omma_rows a = {(const omma_f32u *)a_at(job, b->m0, b->k0), job->lda};
    if (!job->room) return a;
    return omma_rows_copied(a, b->m1 - b->m0, b->k1 - b->k0, job->room + worker * job->room_each);
}

static void multiply_block(const gemm_job *job, const block *b, const omma_rows *a, omma_fetch f) {
    static const int64_t none = 0;
    const omma_kernels *kern = job->kern;
    const int64_t n0 = b->panel * kern->nr, k = b->k1 - b->k0, m = b->m1 - b->m0;
    const int64_t tiles = f.n = ceil_div(m, kern->mr), looks = ceil_div(k, 8) + !k;
    omma_epilogue room, part;
    const omma_epilogue *e = omma_epilogue_part(job->e, !b->k0, b->k1 == job->k, &room);
    if (e) part = *e, part.col_bias = e->col_bias ? e->col_bias + n0 : NULL;
    for (int64_t i = 0; i < tiles; i++) {
        const int64_t r0 = b->m0 + m * i / tiles, r1 = b->m0 + m * (i + 1) / tiles;
        const omma_ahead ahead = omma_fetch_share(&f, looks);
        if (e && e->add) part.add = e->add + r0 * e->add_ld + n0;
        if (e && e->row_bias) part.row_bias = e->row_bias + r0;
        kern->conv_tile((int)(r1 - r0), (int)min64(job->n - n0, kern->nr), 1, &none, k,
                        (const float *)(a->p + (r0 - b->m0) * a->ld), a->ld,
                        job->b + (b->panel * job->k + b->k0) * kern->nr,
                        job->c + r0 * job->ldc + n0, job->ldc,
                        (b->k0 ? OMMA_TILE_ACC : 0) | job->stream, e ? &part : NULL,
                        ahead.lines ? &ahead : NULL);
    }
}

/* The panel after b. */
static omma_fetch next_panel(const gemm_job *job, const block *b) {
    const int64_t nr = job->kern->nr;
    return (omma_fetch){(const char *)(job->b + ((b->panel + 1) * job->k + b->k0) * nr),
                        (b->k1 - b->k0) * nr / 64, 4, 256, 0};
}

/* Share i of n of the rows of A that come after b: its next part of k, or the rows of the next
 * chunk, which this thread is likely to get. */
static omma_fetch next_rows(const gemm_job *job, const block *b, int64_t i, int64_t n) {
    const bool more = b->k1 < job->k;
    const int64_t k = more ? b->k1 : 0, rows = b->m1 - b->m0;
    const int64_t skip = more ? 0 : job->rows_inside ? rows : job->m;
    const int64_t r0 = min64(job->m, b->m0 + skip + rows * i / n),
                  r1 = min64(job->m, b->m0 + skip + rows * (i + 1) / n);
    return (omma_fetch){(const char *)a_at(job, r0, k), r1 - r0,
                        ceil_div(min64(b->k1 - b->k0, job->k - k), 16), job->lda * 4, 0};
}

/* The only row of C, in panels [p0, p1). */
static void multiply_row(const gemm_job *job, int64_t p0, int64_t p1) {
    const int64_t nr = job->kern->nr, groups = ceil_div(p1 - p0, OMMA_ROW_PANELS);
    for (int64_t i = 0; i < job->parts; i++) {
        const int64_t k0 = job->k * i / job->parts, k1 = job->k * (i + 1) / job->parts;
        omma_epilogue room, here;
        const omma_epilogue *e = omma_epilogue_part(job->e, !k0, k1 == job->k, &room);
        for (int64_t g = 0; g < groups; g++) {
            const int64_t at = p0 + (p1 - p0) * g / groups, end = p0 + (p1 - p0) * (g + 1) / groups;
            if (e) here = *e;
            if (e && e->add) here.add += at * nr;
            if (e && e->col_bias) here.col_bias += at * nr;
            job->kern->gemm_row((int)(min64(job->n, end * nr) - at * nr), k1 - k0, a_at(job, 0, k0),
                                job->b + (at * job->k + k0) * nr, job->k * nr, job->c + at * nr,
                                k0 > 0, e ? &here : NULL);
        }
    }
}

/* first: of this worker. */
static void multiply_chunk(const gemm_job *job, int64_t mi, int64_t ni, bool first, int worker) {
    const int64_t p0 = job->panels * ni / job->n_chunks,
                  p1 = job->panels * (ni + 1) / job->n_chunks;
    if (job->m == 1) {
        multiply_row(job, p0, p1);
        return;
    }
    const bool b_here = job->b_fits && !first; /* from an earlier chunk */
    block b = {.m0 = job->m * mi / job->m_chunks, .m1 = job->m * (mi + 1) / job->m_chunks};
    for (int64_t i = 0; i < job->parts; i++) {
        b.k0 = job->k * i / job->parts, b.k1 = job->k * (i + 1) / job->parts;
        const omma_rows a = rows_here(job, &b, worker);
        for (b.panel = p0; b.panel < p1; b.panel++) {
            omma_fetch f = b_here              ? next_rows(job, &b, b.panel - p0, p1 - p0)
                           : b.panel + 1 == p1 ? next_rows(job, &b, 0, 1)
                                               : next_panel(job, &b);
            multiply_block(job, &b, &a, f);
        }
    }
}

static void multiply_chunks(void *arg, int64_t begin, int64_t end, int worker) {
    const gemm_job *job = arg;
    const int64_t chunks = job->m_chunks * job->n_chunks;
    for (int64_t i = begin; i < end; i++) {
        const bool first = i == omma_first_chunk(chunks, job->threads, worker);
        if (job->rows_inside)
            multiply_chunk(job, i % job->m_chunks, i / job->m_chunks, first, worker);
        else multiply_chunk(job, i / job->n_chunks, i % job->n_chunks, first, worker);
    }
}

/* How many rows and panels make a chunk: as many as the caches hold, fewer when that would
 * leave a thread without work near the end. */
static void cut(gemm_job *job) {
    const int64_t mr = job->kern->mr, nr = job->kern->nr, tiles = ceil_div(job->m, mr);
    const double work = (double)job->m * (double)job->n * (double)job->k / CHUNK;
    const int64_t most = CHUNKS * (int64_t)job->threads,
                  want = work < (double)most ? (int64_t)work : most;
    const double b_bytes = 4.0 * (double)job->n * (double)job->k;
    job->parts = job->k ? ceil_div(job->k, K_BLOCK) : 1;
    job->b_fits = b_bytes <= B_BYTES;
    int64_t rows =
        (job->b_fits ? A_SHARE : A_BYTES) / ((ceil_div(job->k, job->parts) + 1) * mr * 4);
    int64_t panels = job->panels;
    rows = rows < 1 ? 1 : min64(rows, tiles);
    while (job->threads > 1 && ceil_div(tiles, rows) * ceil_div(job->panels, panels) < want) {
        if (rows > 2 && rows * mr >= panels * nr) rows = (rows + 1) / 2;
        else if (panels > 1) panels = (panels + 1) / 2;
        else if (rows > 1) rows = (rows + 1) / 2;
        else break;
    }
    job->m_chunks = ceil_div(tiles, rows);
    job->n_chunks = ceil_div(job->panels, panels);
    /* threads take rows where they can, as elsewhere: what a thread reads it wrote a moment ago */
    const bool by_rows =
        job->threads > 1 && job->b_fits && job->n_chunks > 1 && job->m_chunks >= 2 * job->threads;
    job->rows_inside =
        !by_rows && job->n + job->m * job->n_chunks < job->m + job->n * job->m_chunks;
}

/* The product with its chunks; room: NULL for one that copies nothing. */
static gemm_job job_of(const omma_kernels *kern, int threads, int64_t m, int64_t n, int64_t k,
                       int64_t lda, void *room) {
    if (threads < 1 || (double)m * (double)n * (double)k < SMALL) threads = 1;
    gemm_job job = {.kern = kern,
                    .threads = threads,
                    .m = m,
                    .n = n,
                    .k = k,
                    .lda = lda,
                    .panels = ceil_div(n, kern->nr)};
    cut(&job);
    if (!omma_rows_crowded(lda) || m < 2 || job.panels < 2) return job;
    job.room = room;
    job.room_each = ceil_div(m, job.m_chunks) * omma_rows_copied_ld(ceil_div(k, job.parts));
    return job;
}

size_t omma_gemm_room(const omma_kernels *kern, int threads, int64_t m, int64_t n, int64_t k,
                      int64_t lda) {
    int64_t most = 0;
    if (m <= 0 || n <= 0) return 0;
    for (int t = 1; t <= threads || t == 1; t++) {
        const int64_t each = job_of(kern, t, m, n, k, lda, NULL).room_each;
        most = each * t > most ? each * t : most;
    }
    return (size_t)most * sizeof(float);
}

void omma_gemm(const omma_kernels *kern, int threads, int64_t m, int64_t n, int64_t k,
               const float *a, int64_t lda, const float *b_packed, float *c, int64_t ldc,
               const omma_epilogue *e, void *room) {
    if (m <= 0 || n <= 0) return;
    gemm_job job = job_of(kern, threads, m, n, k, lda, room);
    job.a = a, job.b = b_packed, job.c = c, job.ldc = ldc, job.e = e;
    if (job.parts == 1) job.stream = omma_tile_stream(m, n, c, e);
    omma_parallel(job.threads, job.m_chunks * job.n_chunks, 1, multiply_chunks, &job);
}
