/* winograd.c - channels-last 3x3 convolution by Winograd's F(4x4,3x3): 36 multiplications make
 * 4x4 outputs, where 144 would (Lavin and Gray, "Fast algorithms for convolutional neural
 * networks", 2015; the matrices are in winograd.h).
 *
 *     x  [tile, 6x6, C]  --B^T d B-->  V [36][tile][C]        a block of tiles at a time,
 *     w  [M, C, 3x3]     --G g G^T-->  U [panel][36][C][nr]   and of it some panels at a time:
 *     V[i] x U[panel][i] ----------->  P [tile][36][panel*nr] P is in the L2 cache, and V or most
 *     P  --A^T P A, bias, add, activation-->  y [tile, 4x4, M]  of it; U streams by
 *
 * U is four times as large as the weights and is read once for every block, from memory as a rule.
 * So while one panel is multiplied, the next is brought into the cache (at 256 channels half as
 * fast again), and blocks are as large as they may be before V costs more than U.
 *
 * Tiles at the border read zeros where the map ends. Tiles of all images of a batch are counted
 * together. Threads share the blocks; where these come out uneven, panels of a block too, and each
 * thread transforms the block's input for itself, which is cheaper than to fetch it from another
 * core. No sum is cut, so neither the blocks nor the threads change the bits.
 *
 * Maps of bfloat16 go the same way, in float32 with weights of float32: a tile is widened before
 * its transform, and its outputs are narrowed behind theirs.
 *
 * Error, beside the outputs' root mean square: 5e-7 for 16 channels, 8e-7 for 64, 1.5e-6 for 256,
 * 2e-6 for 512 (the largest of 6000 about eight times that), which is 1.6 times that of the direct
 * sum in float32; the usual points 0, 1, -1, 2, -2 double it. NaN and infinity in x spread over the
 * tiles that read them, infinity as NaN or infinity; a weight that is NaN or infinite makes its
 * whole output channel NaN or infinite. What is on the way can be fifty times the largest direct
 * sum, so finite numbers overflow that much earlier. */
#include <string.h>

#include "base/checked.h"
#include "base/pool.h"
#include "kernel/bf16.h"
#include "kernel/last_way.h"
#include "kernel/table.h"
#include "kernel/winograd.h"

enum {
    TILES_LEAST = 24, /* in a block, of few channels; one more for every TILES_SLOPE channels */
    TILES_SLOPE = 8,
    TILES_MOST = 168,
    WIDE_LEAST = 64, /* output channels whose products lie in P together; half of the input's */
    WIDE_MOST = 256,
    CACHED = 16 << 20, /* bytes of U that the third cache may still hold */
    PAIRS_GAIN = 2 /* how much faster the direct way is in bfloat16, where that is meant to pay */
};

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t clamp(int64_t v, int64_t lo, int64_t hi) { return v < lo ? lo : v > hi ? hi : v; }

/* --- sizes ------------------------------------------------------------------------- */

typedef struct wino_cut {
    int64_t tiles_y, tiles_x, tiles; /* of an image, and of all of them */
    int64_t row;                     /* channels of a tile in V, rounded up */
    int64_t panels;                  /* of U */
    int64_t wide;                    /* panels in P, at most */
    int64_t blocks, parts;           /* of tiles; of the panels, to share a block among threads */
    int64_t plane;                   /* of V [floats]: never a multiple of the pages' size, where
                                        36 stores would meet in one set of the cache */
    int64_t v, worker;               /* V, and with P all that a worker needs [floats] */
    int64_t wide_in, wide_out;       /* and for bfloat16: a tile's input, its outputs */
} wino_cut;

/* How much one thread of several has to do, in thirds of a panel's products for a block: with them
 * comes the transform of the input, which takes about one. */
static double load(const wino_cut *c, int threads, int64_t blocks, int64_t parts) {
    return (double)ceil_div(blocks * parts, threads) / (double)blocks *
           (double)(3 * ceil_div(c->panels, parts) + 1);
}

/* Some more blocks than needed, or blocks cut into parts, so that threads come out even. */
static void share(wino_cut *c, int threads) {
    const int64_t least = c->blocks, most = min64(least + threads - 1, c->tiles);
    double best = load(c, threads, least, 1);
    for (int64_t blocks = least; blocks <= most; blocks++)
        for (int64_t parts = 1; parts <= min64(c->panels, 2 * threads); parts++) {
            const double here = load(c, threads, blocks, parts) *
                                (1 + 0.1 * (double)(blocks - least) / (double)least);
            if (here < 0.98 * best) best = here, c->blocks = blocks, c->parts = parts;
        }
}

static wino_cut cut(const omma_kernels *kern, const omma_conv *p, int threads) {
    wino_cut c = {.tiles_y = ceil_div(p->oh, WINO_OUT),
                  .tiles_x = ceil_div(p->ow, WINO_OUT),
                  .row = ceil_div(p->c, WINO_PAD) * WINO_PAD,
                  .panels = ceil_div(p->m, kern->nr),
                  .parts = 1};
    c.tiles = p->n * c.tiles_y * c.tiles_x;
    c.wide = min64(c.panels, ceil_div(clamp(p->c / 2, WIDE_LEAST, WIDE_MOST), kern->nr));
    const int64_t most = min64(TILES_LEAST + p->c / TILES_SLOPE, TILES_MOST);
    c.blocks = ceil_div(c.tiles, (most + kern->mr / 2) / kern->mr * kern->mr);
    if (threads > 1) share(&c, threads);
    const int64_t tiles = ceil_div(c.tiles, c.blocks);
    c.plane = tiles * c.row + WINO_PAD;
    c.v = WINO_PLANES * c.plane;
    c.worker = c.v + WINO_PLANES * tiles * c.wide * kern->nr;
    c.wide_in = WINO_PLANES * c.row;
    c.wide_out = WINO_OUT * WINO_OUT * c.wide * kern->nr;
    return c;
}

/* What both ways take, in multiplications, fitted to what was measured: sums reach about 0.9 of the
 * peak here and there, their results cost as much as 6 channels to store, a channel of a tile takes
 * 12 cycles of 32 multiplications to transform, and a tile as much as 16 channels besides. U comes
 * no faster than the products of a number of tiles from the third cache, or from memory. gain: how
 * much faster the direct way is than in float32. */
static bool pays(const omma_kernels *kern, const omma_conv *p, double gain) {
    const wino_cut c = cut(kern, p, 1);
    const int half = kern->nr / 2;
    const double m = (double)(ceil_div(p->m, half) * half), channels = (double)p->c;
    const bool memory = channels * m > CACHED / (WINO_PLANES * sizeof(float));
    const double least = (memory ? 1.5 : 0.875) * kern->nr;
    const double block = (double)c.tiles / (double)c.blocks;
    const double direct = 9 * channels * m * (double)(p->n * p->oh * p->ow);
    const double products =
        36 * m * (double)c.blocks * (block < least ? channels * least : (channels + 6) * block);
    const double transforms = 12 * 32 * 0.9 * (channels + (double)p->m + 16) * (double)c.tiles;
    return 1.1 * (products + transforms) < direct / gain;
}

static bool fits_with(const omma_kernels *kern, const omma_conv *p, double gain) {
    return !p->local && p->groups == 1 && p->kh == 3 && p->kw == 3 && p->stride_h == 1 &&
           p->stride_w == 1 && p->dilation_h == 1 && p->dilation_w == 1 && p->c >= WINO_PAD &&
           pays(kern, p, gain);
}

static bool fits(const omma_kernels *kern, const omma_conv *p) { return fits_with(kern, p, 1); }

static const char *form(const omma_kernels *kern, const omma_conv *p) {
    (void)kern, (void)p;
    return "last:winograd4x3";
}

static bool packed_bytes(const omma_kernels *kern, const omma_conv *p, size_t *bytes) {
    return omma_dims_bytes((int64_t[]){ceil_div(p->m, kern->nr), kern->nr, WINO_PLANES, p->c}, 4,
                           sizeof(float), bytes);
}

/* What a worker needs, and a pixel of zeros. More threads never take larger blocks. */
static bool scratch_for(const omma_kernels *kern, const omma_conv *p, int threads, bool half,
                        size_t *bytes) {
    int64_t floats;
    if (!omma_dims_count((int64_t[]){p->c, TILES_MOST, 2 * WINO_PLANES}, 3, &floats)) return false;
    const wino_cut c = cut(kern, p, 1);
    const int64_t each = c.worker + (half ? c.wide_in + c.wide_out : 0);
    return omma_dims_bytes((int64_t[]){each, threads < 1 ? 1 : threads}, 2, sizeof(float), bytes) &&
           omma_add(*bytes, (size_t)c.row * sizeof(float), bytes);
}

static bool scratch(const omma_kernels *kern, const omma_conv *p, int threads, size_t *bytes) {
    return scratch_for(kern, p, threads, false, bytes);
}

/* --- packing ----------------------------------------------------------------------- */

enum { LANES = 8 }; /* output channels that are transformed at a time */
typedef double lanes __attribute__((vector_size(LANES * sizeof(double))));
typedef float singles __attribute__((vector_size(LANES * sizeof(float))));

typedef struct pack_job {
    const omma_conv *p;
    int nr;
    const omma_f32u *w;        /* [m, c, 3, 3] */
    float *u;                  /* [panel][36][c][nr] */
    double matrix[WINO_IN][3]; /* G */
} pack_job;

static void make_matrix(double matrix[WINO_IN][3]) {
    static const double points[] = {0, WINO_A, -WINO_A, WINO_B, -WINO_B};
    for (int i = 0; i < WINO_IN - 1; i++) {
        double n = 1;
        for (int j = 0; j < WINO_IN - 1; j++)
            if (j != i) n *= points[i] - points[j];
        matrix[i][0] = 1 / n, matrix[i][1] = points[i] / n,
        matrix[i][2] = points[i] * points[i] / n;
    }
    matrix[WINO_IN - 1][0] = matrix[WINO_IN - 1][1] = 0, matrix[WINO_IN - 1][2] = 1;
}

/* to := G x, x three numbers and to six, step apart. Points come in pairs of one size, the
 * first of them is 0 and the last infinite. */
static void by_matrix(const double matrix[WINO_IN][3], const lanes *x, int x_step, lanes *to,
                      int step) {
    const lanes a = x[0], b = x[x_step], c = x[2 * x_step];
    to[0] = matrix[0][0] * a;
    for (int i = 1; i < WINO_IN - 1; i += 2) {
        const lanes even = matrix[i][0] * a + matrix[i][2] * c, odd = matrix[i][1] * b;
        to[i * step] = even + odd;
        to[(i + 1) * step] = even - odd;
    }
    to[(WINO_IN - 1) * step] = c;
}

/* u := G g G^T */
static void transform_weights(const double matrix[WINO_IN][3], const lanes g[9],
                              lanes u[WINO_PLANES]) {
    lanes half[WINO_IN * 3];
    for (int j = 0; j < 3; j++) by_matrix(matrix, g + j, 3, half + j, 3);
    for (int i = 0; i < WINO_IN; i++) by_matrix(matrix, half + i * 3, 1, u + i * WINO_IN, 1);
}

/* Output channels [out, out + n) of one input channel, n <= LANES, side by side from dst on;
 * those from m on are zero. */
static void pack_lanes(const pack_job *job, int64_t channel, int64_t out, int n, float *dst) {
    const int64_t c = job->p->c, m = job->p->m;
    float narrow[9][LANES] = {{0}};
    lanes g[9], u[WINO_PLANES];
    for (int k = 0; k < n && out + k < m; k++)
        for (int q = 0; q < 9; q++) narrow[q][k] = job->w[((out + k) * c + channel) * 9 + q];
    for (int q = 0; q < 9; q++)
        for (int k = 0; k < LANES; k++) g[q][k] = (double)narrow[q][k];
    transform_weights(job->matrix, g, u);
    for (int q = 0; q < WINO_PLANES; q++) {
        const singles y = __builtin_convertvector(u[q], singles);
        memcpy(dst + q * c * job->nr, &y, (size_t)n * sizeof *dst);
    }
}

/* Items are the input channels of one panel after the other. */
static void pack_channels(void *arg, int64_t begin, int64_t end, int worker) {
    const pack_job *job = arg;
    const int64_t c = job->p->c;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t panel = i / c, channel = i % c;
        float *dst = job->u + (panel * WINO_PLANES * c + channel) * job->nr;
        for (int j = 0; j < job->nr; j += LANES)
            pack_lanes(job, channel, panel * job->nr + j, job->nr - j < LANES ? job->nr - j : LANES,
                       dst + j);
    }
}

static void pack(const omma_kernels *kern, const omma_conv *p, void *dst, const void *weights,
                 int threads) {
    pack_job job = {p, kern->nr, weights, dst, {{0}}};
    make_matrix(job.matrix);
    omma_parallel(threads, ceil_div(p->m, kern->nr) * p->c, 16, pack_channels, &job);
}

/* --- running ----------------------------------------------------------------------- */

typedef struct wino_job {
    const omma_kernels *kern;
    const omma_conv *p;
    wino_cut cut;
    const void *x; /* float32, or bfloat16 with half */
    const float *u, *zeros;
    void *y;
    float *memory;
    int64_t worker; /* memory of one [floats] */
    int64_t x_ld, y_ld;
    const omma_epilogue *e;
    const omma_bf16_out *half;       /* what becomes of sums, or NULL: maps are float32 */
    int64_t holds[OMMA_MAX_THREADS]; /* by worker: the block its V is of, or -1 */
} wino_job;

typedef struct wino_place {
    int64_t image, y, x; /* of a tile's first output */
} wino_place;

static wino_place place_of(const wino_cut *c, int64_t tile) {
    return (wino_place){tile / c->tiles_x / c->tiles_y, tile / c->tiles_x % c->tiles_y * WINO_OUT,
                        tile % c->tiles_x * WINO_OUT};
}

/* wide: room for the tile's input as float32 */
static void tile_in(const wino_job *job, int64_t tile, float *wide, float *v) {
    const omma_conv *p = job->p;
    const wino_place at = place_of(&job->cut, tile);
    const int64_t y0 = at.y - p->pad_top, x0 = at.x - p->pad_left;
    const float *px[WINO_PLANES];
    for (int q = 0; q < WINO_PLANES; q++) {
        const int64_t iy = y0 + q / WINO_IN, ix = x0 + q % WINO_IN;
        const int64_t from = ((at.image * p->h + iy) * p->w + ix) * job->x_ld;
        px[q] = job->zeros;
        if (iy < 0 || iy >= p->h || ix < 0 || ix >= p->w) continue;
        px[q] = job->half ? wide + q * job->cut.row : (const float *)job->x + from;
        if (job->half)
            job->kern->bf16_widen(p->c, (const uint16_t *)job->x + from, wide + q * job->cut.row);
    }
    job->kern->wino_in(p->c, px, v, job->cut.plane);
}

/* n numbers of what is added, from element i on. */
static void get(const omma_kernels *kern, const omma_bf16_out *o, int64_t n, int64_t i, float *w) {
    if (o->add_wide) memcpy(w, (const float *)o->add + i, (size_t)n * sizeof *w);
    else kern->bf16_widen(n, (const uint16_t *)o->add + i, w);
}

/* n outputs, to y from element i on. */
static void put(const omma_kernels *kern, const omma_bf16_out *o, int64_t n, const float *w,
                void *y, int64_t i) {
    if (o->y_wide) memcpy((float *)y + i, w, (size_t)n * sizeof *w);
    else kern->bf16_narrow(n, w, (uint16_t *)y + i);
}

static void tile_out(const wino_job *job, int64_t tile, int64_t m0, int64_t width,
                     const float *prod) {
    const omma_conv *p = job->p;
    const wino_place at = place_of(&job->cut, tile);
    const int64_t pixel = (at.image * p->oh + at.y) * p->ow + at.x;
    omma_epilogue e;
    if (job->e) {
        e = *job->e;
        if (e.col_bias) e.col_bias += m0;
        if (e.add) e.add += pixel * e.add_ld + m0;
    }
    const int n = (int)min64(p->m - m0, width);
    job->kern->wino_out(
        n, prod, width, (int)min64(p->oh - at.y, WINO_OUT), (int)min64(p->ow - at.x, WINO_OUT),
        (float *)job->y + pixel * job->y_ld + m0, job->y_ld, p->ow, job->e ? &e : NULL);
}

/* The same by way of wide, room for the tile's outputs, where what is added waits for them. */
static void half_out(const wino_job *job, int64_t tile, int64_t m0, int64_t width,
                     const float *prod, float *wide) {
    const omma_conv *p = job->p;
    const omma_kernels *kern = job->kern;
    const omma_bf16_out *o = job->half;
    const wino_place at = place_of(&job->cut, tile);
    const int64_t rows = min64(p->oh - at.y, WINO_OUT), cols = min64(p->ow - at.x, WINO_OUT),
                  n = min64(p->m - m0, width);
    const omma_epilogue e = {.col_bias = o->col_bias ? o->col_bias + m0 : NULL,
                             .add = o->add ? wide : NULL,
                             .add_ld = width,
                             .act = o->act,
                             .lo = o->lo,
                             .hi = o->hi};
    for (int pass = o->add ? 0 : 1; pass < 2; pass++) {
        if (pass)
            kern->wino_out((int)n, prod, width, (int)rows, (int)cols, wide, width, WINO_OUT, &e);
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < cols; j++) {
                const int64_t pixel = (at.image * p->oh + at.y + i) * p->ow + at.x + j;
                float *w = wide + (i * WINO_OUT + j) * width;
                if (pass) put(kern, o, n, w, job->y, pixel * job->y_ld + m0);
                else get(kern, o, n, pixel * o->add_ld + m0, w);
            }
    }
}

static const float *panel_of(const wino_job *job, int64_t panel, int64_t plane) {
    return job->u + (panel * WINO_PLANES + plane) * job->p->c * job->kern->nr;
}

/* prod: [rows][n of width] = v: [rows][c] x u, a panel; next: the panel that is needed after it.
 * Where half a panel is enough, gemm_tile multiplies no more. */
static void multiply(const wino_job *job, int64_t rows, int n, const float *v, const float *u,
                     const float *next, float *prod, int64_t width) {
    const omma_kernels *kern = job->kern;
    const int64_t c = job->p->c, row = job->cut.row, tiles = ceil_div(rows, kern->mr);
    const int64_t step = ceil_div(kern->nr * (int64_t)sizeof(float), tiles);
    for (int64_t i = 0; i < tiles; i++) {
        const int64_t r0 = rows * i / tiles, r1 = rows * (i + 1) / tiles;
        const int m = (int)(r1 - r0);
        if (kern->wino_tile && 2 * n > kern->nr)
            kern->wino_tile(m, c, v + r0 * row, row, u, prod + r0 * width, width,
                            (const char *)next + i * c * step, step);
        else kern->gemm_tile(m, n, c, v + r0 * row, row, u, prod + r0 * width, width, false, NULL);
    }
}

/* Panels [q0, q1) of output channels of tiles [t0, t1). */
static void panels_out(const wino_job *job, int64_t q0, int64_t q1, int64_t t0, int64_t t1,
                       const float *v, float *prod, float *wide) {
    const int nr = job->kern->nr;
    const int64_t width = (q1 - q0) * nr, last = q1 < job->cut.panels ? q1 : 0;
    for (int i = 0; i < WINO_PLANES; i++)
        for (int64_t q = q0; q < q1; q++) {
            const float *next = q + 1 < q1            ? panel_of(job, q + 1, i)
                                : i + 1 < WINO_PLANES ? panel_of(job, q0, i + 1)
                                                      : panel_of(job, last, 0);
            const int n = (int)min64(job->p->m - q * nr, nr);
            multiply(job, t1 - t0, n, v + i * job->cut.plane, panel_of(job, q, i), next,
                     prod + i * width + (q - q0) * nr, WINO_PLANES * width);
        }
    for (int64_t t = t0; t < t1; t++) {
        const float *of_tile = prod + (t - t0) * WINO_PLANES * width;
        if (job->half) half_out(job, t, q0 * nr, width, of_tile, wide);
        else tile_out(job, t, q0 * nr, width, of_tile);
    }
}

/* Items are the parts of one block after the other. */
static void run_parts(void *arg, int64_t begin, int64_t end, int worker) {
    wino_job *job = arg;
    const wino_cut *c = &job->cut;
    float *v = job->memory + worker * job->worker, *wide = v + c->worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t block = i / c->parts, part = i % c->parts;
        const int64_t t0 = c->tiles * block / c->blocks, t1 = c->tiles * (block + 1) / c->blocks;
        if (job->holds[worker] != block)
            for (int64_t t = t0; t < t1; t++) tile_in(job, t, wide, v + (t - t0) * c->row);
        job->holds[worker] = block;
        const int64_t q1 = c->panels * (part + 1) / c->parts;
        for (int64_t q = c->panels * part / c->parts; q < q1; q += c->wide)
            panels_out(job, q, min64(q + c->wide, q1), t0, t1, v, v + c->v, wide + c->wide_in);
    }
}

/* Fill in the rest and run. */
static void run_job(wino_job *job, int threads, void *memory) {
    wino_cut *c = &job->cut;
    float *zeros = memory;
    *c = cut(job->kern, job->p, threads);
    job->zeros = zeros;
    job->memory = zeros + c->row;
    job->worker = c->worker + (job->half ? c->wide_in + c->wide_out : 0);
    memset(zeros, 0, (size_t)c->row * sizeof(float));
    for (int i = 0; i < OMMA_MAX_THREADS; i++) job->holds[i] = -1;
    omma_parallel(threads, c->blocks * c->parts, 1, run_parts, job);
}

static void run(const omma_kernels *kern, int threads, const omma_conv *p, const float *x,
                int64_t x_ld, const void *packed, float *y, int64_t y_ld, const omma_epilogue *e,
                void *memory) {
    wino_job job = {
        .kern = kern, .p = p, .x = x, .u = packed, .y = y, .x_ld = x_ld, .y_ld = y_ld, .e = e};
    run_job(&job, threads, memory);
}

/* --- maps of bfloat16 ---------------------------------------------------------------- */

bool omma_bf16_winograd_fits(const omma_kernels *kern, const omma_conv *p) {
    return p->n > 0 && p->m > 0 && p->oh > 0 && p->ow > 0 && fits_with(kern, p, PAIRS_GAIN);
}

bool omma_bf16_winograd_scratch(const omma_kernels *kern, const omma_conv *p, int threads,
                                size_t *bytes) {
    return scratch_for(kern, p, threads, true, bytes);
}

void omma_bf16_winograd(const omma_kernels *kern, int threads, const omma_conv *p,
                        const uint16_t *x, const void *packed, void *y, const omma_bf16_out *o,
                        void *memory) {
    wino_job job = {
        .kern = kern, .p = p, .x = x, .u = packed, .y = y, .x_ld = p->c, .y_ld = p->m, .half = o};
    run_job(&job, threads, memory);
}

const omma_last_way omma_last_winograd = {fits, form, packed_bytes, pack, scratch, run};
