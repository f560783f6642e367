/* bf16.c - packing, matrix products and convolutions of bfloat16; see bf16.h. A convolution is
 * last_direct.c's, whose map of floats is here one of pairs. A product is cut into chunks of rows
 * and panels; in a chunk each panel meets all rows while it stays in the L2 cache, and the next
 * panel is fetched meanwhile. Rows that share a set of the L1 cache are copied, as in gemm.c. */
#include "kernel/bf16.h"

#include "base/checked.h"
#include "base/pool.h"
#include "kernel/last_way.h"
#include "kernel/table.h"

enum {
    A_BYTES = 640 << 10, /* of A in one chunk: stays in the L2 cache */
    SMALL = 100000,      /* multiplications not worth waking a thread for, */
    CHUNK = 400000,      /* and worth a chunk */
    CHUNKS = 8,          /* for each thread: the last ones end at about the same time */
    MAX_NR = 64
};

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }

/* --- packing ------------------------------------------------------------------------------ */

size_t omma_bf16_packed_bytes(const omma_kernels *kern, int64_t k, int64_t n) {
    return (size_t)ceil_div(n, kern->nr) * (size_t)kern->nr * (size_t)k * sizeof(uint16_t);
}

/* Row i of a panel from nr floats. */
static void put_row(uint16_t *panel, int nr, int64_t i, const float *row) {
    uint16_t *dst = panel + i / 2 * 2 * nr + i % 2;
    for (int j = 0; j < nr; j++) dst[2 * j] = omma_bf16_round(row[j]);
}

typedef struct pack_job {
    const omma_kernels *kern;
    uint16_t *dst;
    const omma_f32u *b;
    int64_t row, col, k, n;
} pack_job;

static void pack_panels(void *arg, int64_t begin, int64_t end, int worker) {
    const pack_job *job = arg;
    const int nr = job->kern->nr;
    (void)worker;
    for (int64_t p = begin; p < end; p++) {
        const omma_f32u *src = job->b + p * nr * job->col;
        const int n = (int)min64(job->n - p * nr, nr);
        for (int64_t i = 0; i < job->k; i++, src += job->row) {
            float row[MAX_NR] = {0};
            for (int j = 0; j < n; j++) row[j] = src[j * job->col];
            put_row(job->dst + p * nr * job->k, nr, i, row);
        }
    }
}

void omma_bf16_pack(const omma_kernels *kern, uint16_t *dst, const void *b, int64_t row,
                    int64_t col, int64_t k, int64_t n, int threads) {
    pack_job job = {kern, dst, b, row, col, k, n};
    if (threads < 1 || (double)k * (double)n < SMALL) threads = 1;
    omma_parallel(threads, ceil_div(n, kern->nr), 1, pack_panels, &job);
}

/* --- product ------------------------------------------------------------------------------- */

typedef struct gemm_job {
    const omma_kernels *kern;
    int64_t m, n, pairs;
    const uint16_t *a;
    int64_t lda; /* [pairs] */
    const uint16_t *b;
    char *y;
    int64_t ldy;
    const omma_bf16_out *o;
    int64_t m_chunks, n_chunks, panels;
    float *room; /* of every worker for its rows of A, or NULL: they are read where they lie */
    int64_t room_each;
} gemm_job;

static omma_rows rows_here(const gemm_job *job, int64_t m0, int64_t m1, int worker) {
    const omma_rows a = {(const omma_f32u *)(const void *)(job->a + m0 * job->lda * 2), job->lda};
    if (!job->room) return a;
    return omma_rows_copied(a, m1 - m0, job->pairs, job->room + worker * job->room_each);
}

static void multiply_panel(const gemm_job *job, const omma_rows *a, int64_t m0, int64_t m1,
                           int64_t panel) {
    static const int64_t none = 0;
    const omma_kernels *kern = job->kern;
    const int64_t n0 = panel * kern->nr, tiles = ceil_div(m1 - m0, kern->mr);
    const int64_t bytes = job->pairs * kern->nr * 4;
    const char *b = (const char *)job->b + panel * bytes, *next = b + bytes;
    omma_bf16_out o = *job->o;
    if (o.col_bias) o.col_bias += n0;
    for (int64_t i = 0; i < tiles; i++) {
        const int64_t r0 = m0 + (m1 - m0) * i / tiles, r1 = m0 + (m1 - m0) * (i + 1) / tiles;
        const int64_t l0 = bytes / 64 * i / tiles, l1 = bytes / 64 * (i + 1) / tiles;
        const omma_ahead ahead = {next + l0 * 64, ceil_div(l1 - l0, ceil_div(job->pairs, 8)), 4, 0};
        if (o.add) o.add = omma_bf16_at(job->o->add, o.add_wide, r0 * o.add_ld + n0);
        kern->bf16_tile((int)(r1 - r0), (int)min64(job->n - n0, kern->nr), 1, &none, job->pairs,
                        (const uint16_t *)(const void *)(a->p + (r0 - m0) * a->ld), a->ld,
                        (const uint16_t *)(const void *)b, &o,
                        job->y + (r0 * job->ldy + n0) * (o.y_wide ? 4 : 2), job->ldy,
                        panel + 1 < job->panels ? &ahead : NULL);
    }
}

static void multiply_chunks(void *arg, int64_t begin, int64_t end, int worker) {
    const gemm_job *job = arg;
    for (int64_t i = begin; i < end; i++) {
        const int64_t mi = i / job->n_chunks, ni = i % job->n_chunks;
        const int64_t m0 = job->m * mi / job->m_chunks, m1 = job->m * (mi + 1) / job->m_chunks;
        const omma_rows a = rows_here(job, m0, m1, worker);
        for (int64_t p = job->panels * ni / job->n_chunks;
             p < job->panels * (ni + 1) / job->n_chunks; p++)
            multiply_panel(job, &a, m0, m1, p);
    }
}

/* Rows as the cache holds them, fewer rows or panels where a thread would be left without work. */
static void cut(gemm_job *job, int threads) {
    const int64_t mr = job->kern->mr, tiles = ceil_div(job->m, mr);
    const double work = (double)job->m * (double)job->n * (double)job->pairs * 2 / CHUNK;
    const int64_t most = CHUNKS * (int64_t)threads,
                  want = work < (double)most ? (int64_t)work : most;
    int64_t rows = A_BYTES / ((job->pairs + 1) * mr * 4), panels = job->panels;
    rows = rows < 4 ? 4 : min64(rows, tiles);
    while (threads > 1 && ceil_div(tiles, rows) * ceil_div(job->panels, panels) < want) {
        if (rows > 2 && rows * mr >= panels * job->kern->nr) rows = (rows + 1) / 2;
        else if (panels > 1) panels = (panels + 1) / 2;
        else if (rows > 1) rows = (rows + 1) / 2;
        else break;
    }
    job->m_chunks = ceil_div(tiles, rows);
    job->n_chunks = ceil_div(job->panels, panels);
}

/* The product with its chunks, of so many threads; room: NULL for one that copies nothing. */
static gemm_job job_of(const omma_kernels *kern, int *threads, int64_t m, int64_t n, int64_t k,
                       int64_t lda, void *room) {
    if (*threads < 1 || (double)m * (double)n * (double)k < SMALL) *threads = 1;
    gemm_job job = {.kern = kern,
                    .m = m,
                    .n = n,
                    .pairs = k / 2,
                    .lda = lda / 2,
                    .panels = ceil_div(n, kern->nr)};
    cut(&job, *threads);
    if (!omma_rows_crowded(job.lda) || m < 2 || job.panels < 2) return job;
    job.room = room;
    job.room_each = ceil_div(m, job.m_chunks) * omma_rows_copied_ld(job.pairs);
    return job;
}

size_t omma_bf16_gemm_room(const omma_kernels *kern, int threads, int64_t m, int64_t n, int64_t k,
                           int64_t lda) {
    int64_t most = 0;
    if (m <= 0 || n <= 0) return 0;
    for (int t = 1; t <= threads || t == 1; t++) {
        int wanted = t;
        const int64_t each = job_of(kern, &wanted, m, n, k, lda, NULL).room_each;
        most = each * t > most ? each * t : most;
    }
    return (size_t)most * sizeof(float);
}

void omma_bf16_gemm(const omma_kernels *kern, int threads, int64_t m, int64_t n, int64_t k,
                    const uint16_t *a, int64_t lda, const uint16_t *packed, void *y, int64_t ldy,
                    const omma_bf16_out *o, void *room) {
    if (m <= 0 || n <= 0) return;
    gemm_job job = job_of(kern, &threads, m, n, k, lda, room);
    job.a = a, job.b = packed, job.y = y, job.ldy = ldy, job.o = o;
    omma_parallel(threads, job.m_chunks * job.n_chunks, 1, multiply_chunks, &job);
}

/* --- convolution ---------------------------------------------------------------------------- */

/* The same geometry, counted in pairs. */
static omma_conv in_pairs(const omma_conv *p) {
    omma_conv q = *p;
    q.c /= 2;
    return q;
}

bool omma_bf16_conv_fits(const omma_kernels *kern, const omma_conv *p) {
    const omma_conv q = in_pairs(p);
    return p->n > 0 && p->groups > 0 && p->m > 0 && p->oh > 0 && p->ow > 0 && p->c >= 2 &&
           p->c % 2 == 0 && kern->nr <= MAX_NR && omma_last_direct.fits(kern, &q);
}

bool omma_bf16_conv_sizes(const omma_kernels *kern, const omma_conv *p, int threads, size_t *packed,
                          size_t *scratch) {
    const omma_conv q = in_pairs(p);
    int64_t count;
    *packed = *scratch = 0;
    if (!omma_dims_count((int64_t[]){p->n, p->groups, p->c, p->h, p->w}, 5, &count) ||
        !omma_dims_count((int64_t[]){p->n, p->m, p->oh, p->ow}, 4, &count) ||
        !omma_last_direct.packed_bytes(kern, &q, packed) ||
        !omma_last_direct.scratch(kern, &q, threads, scratch))
        return false;
    if (p->kh * p->kw > 1) return true;
    const size_t room = /* if it is a product */
        omma_bf16_gemm_room(kern, threads, p->n * p->oh * p->ow, p->m, p->c, p->c);
    if (room > *scratch) *scratch = room;
    return true;
}

typedef struct conv_pack {
    const omma_kernels *kern;
    const omma_conv *p;
    int64_t w_c, per_group; /* panels */
    uint16_t *dst;
    const omma_f32u *w;
} conv_pack;

/* Filters are read as they lie in the file, (c, ky, kx), and go to (ky, kx, c). */
static void pack_filters(void *arg, int64_t begin, int64_t end, int worker) {
    const conv_pack *job = arg;
    const omma_conv *p = job->p;
    const int nr = job->kern->nr;
    const int64_t taps = (int64_t)p->kh * p->kw, group_m = p->m / p->groups, each = job->w_c * taps;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t m = i % job->per_group * nr, n = min64(nr, group_m - m);
        const omma_f32u *w = job->w + (i / job->per_group * group_m + m) * each;
        uint16_t *panel = job->dst + i * p->c * taps * nr;
        memset(panel, 0, (size_t)(p->c * taps * nr) * sizeof *panel);
        for (int64_t j = 0; j < n; j++)
            for (int64_t c = 0; c < job->w_c; c++)
                for (int64_t t = 0; t < taps; t++) {
                    const int64_t k = t * p->c + c;
                    panel[(k / 2 * nr + j) * 2 + k % 2] = omma_bf16_round(*w++);
                }
    }
}

void omma_bf16_conv_pack(const omma_kernels *kern, const omma_conv *p, int64_t w_c, uint16_t *dst,
                         const void *weights, int threads) {
    conv_pack job = {kern, p, w_c, ceil_div(p->m / p->groups, kern->nr), dst, weights};
    omma_parallel(threads, p->groups * job.per_group, 1, pack_filters, &job);
}

void omma_bf16_conv(const omma_kernels *kern, int threads, const omma_conv *p, const uint16_t *x,
                    const uint16_t *packed, void *y, const omma_bf16_out *o, void *scratch) {
    const omma_conv q = in_pairs(p);
    omma_last_direct_pairs(kern, threads, &q, x, packed, y, o, scratch);
}
