/* winograd.c - channels-last 3x3 convolution by Winograd's F(4x4,3x3): 36 multiplications make
 * 4x4 outputs, where 144 would (Lavin and Gray, "Fast algorithms for convolutional neural
 * networks", 2015; the matrices are in winograd.h).
 *
 *     x  [tile, 6x6, C]  --B^T d B-->  V [36][tile][C]        a block of tiles at a time:
 *     w  [M, C, 3x3]     --G g G^T-->  U [panel][36][C][nr]   V and the products of a panel stay
 *     V[i] x U[panel][i] ----------->  P [tile][36][nr]       in the L2 cache, U streams by
 *     P  --A^T P A, bias, add, activation-->  y [tile, 4x4, nr]
 *
 * Tiles at the border read zeros where the map ends. Tiles of all images of a batch are counted
 * together. Threads share the blocks; where there are too few blocks, their panels, and each thread
 * transforms the block's input for itself, which is cheaper than to fetch it from another core. No
 * sum is cut, so neither the blocks nor the threads change the bits. */
#include <string.h>

#include "base/checked.h"
#include "base/pool.h"
#include "kernel/last_way.h"
#include "kernel/table.h"
#include "kernel/winograd.h"

enum {
    BLOCK_BYTES = 1400 << 10, /* of V and P: they share the L2 cache with a stream of U */
    BLOCK_MOST = 112,         /* tiles in a block */
    PARTS = 4                 /* pieces of work for a thread where blocks are cut */
};

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }

/* --- sizes ------------------------------------------------------------------------- */

typedef struct wino_cut {
    int64_t tiles_y, tiles_x, tiles; /* of an image, and of all of them */
    int64_t row;                     /* channels of a tile in V, rounded up */
    int64_t panels;                  /* of U */
    int64_t blocks, most;            /* of tiles, and tiles in the largest */
    int64_t plane;                   /* of V [floats]: never a multiple of the pages' size, where
                                        36 stores would meet in one set of the cache */
    int64_t worker;                  /* working memory of one [floats] */
} wino_cut;

static wino_cut cut(const omma_kernels *kern, const omma_conv *p) {
    wino_cut c = {.tiles_y = ceil_div(p->oh, WINO_OUT), .tiles_x = ceil_div(p->ow, WINO_OUT)};
    c.tiles = p->n * c.tiles_y * c.tiles_x;
    c.row = ceil_div(p->c, WINO_PAD) * WINO_PAD;
    c.panels = ceil_div(p->m, kern->nr);
    int64_t most = BLOCK_BYTES / ((int64_t)sizeof(float) * WINO_PLANES * (c.row + kern->nr));
    most = most / kern->mr * kern->mr;
    most = most < kern->mr ? kern->mr : most > BLOCK_MOST ? BLOCK_MOST : most;
    c.blocks = ceil_div(c.tiles, most);
    c.most = ceil_div(c.tiles, c.blocks);
    c.plane = c.most * c.row + WINO_PAD;
    c.worker = WINO_PLANES * (c.plane + c.most * kern->nr);
    return c;
}

static bool fits(const omma_kernels *kern, const omma_conv *p) {
    (void)kern;
    return p->groups == 1 && p->kh == 3 && p->kw == 3 && p->stride_h == 1 && p->stride_w == 1 &&
           p->dilation_h == 1 && p->dilation_w == 1 && p->c >= 16 && p->m >= 16;
}

static const char *form(const omma_kernels *kern, const omma_conv *p) {
    (void)kern, (void)p;
    return "last:winograd4x3";
}

static bool packed_bytes(const omma_kernels *kern, const omma_conv *p, size_t *bytes) {
    return omma_dims_bytes((int64_t[]){ceil_div(p->m, kern->nr), kern->nr, WINO_PLANES, p->c}, 4,
                           sizeof(float), bytes);
}

/* What a worker needs, and a pixel of zeros. */
static bool scratch(const omma_kernels *kern, const omma_conv *p, int threads, size_t *bytes) {
    int64_t floats;
    if (!omma_dims_count((int64_t[]){p->c, BLOCK_MOST, 2 * WINO_PLANES}, 3, &floats)) return false;
    const wino_cut c = cut(kern, p);
    return omma_dims_bytes((int64_t[]){c.worker, threads < 1 ? 1 : threads}, 2, sizeof(float),
                           bytes) &&
           omma_add(*bytes, (size_t)c.row * sizeof(float), bytes);
}

/* --- packing ----------------------------------------------------------------------- */

typedef struct pack_job {
    const omma_conv *p;
    int nr;
    const omma_f32u *w; /* [m, c, 3, 3] */
    float *u;           /* [panel][36][c][nr] */
} pack_job;

/* u := G g G^T */
static void transform_weights(const omma_f32u *g, double u[WINO_PLANES]) {
    static const double points[] = {0, WINO_A, -WINO_A, WINO_B, -WINO_B};
    double matrix[WINO_IN][3] = {[WINO_IN - 1] = {0, 0, 1}}, half[WINO_IN][3];
    for (int i = 0; i < WINO_IN - 1; i++) {
        double n = 1;
        for (int j = 0; j < WINO_IN - 1; j++)
            if (j != i) n *= points[i] - points[j];
        matrix[i][0] = 1 / n, matrix[i][1] = points[i] / n,
        matrix[i][2] = points[i] * points[i] / n;
    }
    for (int i = 0; i < WINO_IN; i++)
        for (int j = 0; j < 3; j++)
            half[i][j] = matrix[i][0] * (double)g[j] + matrix[i][1] * (double)g[3 + j] +
                         matrix[i][2] * (double)g[6 + j];
    for (int i = 0; i < WINO_IN; i++)
        for (int j = 0; j < WINO_IN; j++)
            u[i * WINO_IN + j] =
                half[i][0] * matrix[j][0] + half[i][1] * matrix[j][1] + half[i][2] * matrix[j][2];
}

/* Items are the input channels of one panel after the other. */
static void pack_channels(void *arg, int64_t begin, int64_t end, int worker) {
    const pack_job *job = arg;
    const int64_t c = job->p->c, m = job->p->m;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t panel = i / c, channel = i % c;
        float *dst = job->u + (panel * WINO_PLANES * c + channel) * job->nr;
        for (int64_t j = 0; j < job->nr; j++) {
            const int64_t out = panel * job->nr + j;
            double u[WINO_PLANES] = {0};
            if (out < m) transform_weights(job->w + (out * c + channel) * 9, u);
            for (int q = 0; q < WINO_PLANES; q++) dst[q * c * job->nr + j] = (float)u[q];
        }
    }
}

static void pack(const omma_kernels *kern, const omma_conv *p, void *dst, const void *weights,
                 int threads) {
    pack_job job = {p, kern->nr, weights, dst};
    omma_parallel(threads, ceil_div(p->m, kern->nr) * p->c, 16, pack_channels, &job);
}

/* --- running ----------------------------------------------------------------------- */

typedef struct wino_job {
    const omma_kernels *kern;
    const omma_conv *p;
    wino_cut cut;
    const float *x, *u, *zeros;
    float *y, *memory;
    int64_t x_ld, y_ld;
    const omma_epilogue *e;
    int64_t parts;                   /* pieces the panels of a block are cut into */
    int64_t holds[OMMA_MAX_THREADS]; /* by worker: the block its V is of, or -1 */
} wino_job;

typedef struct wino_place {
    int64_t image, y, x; /* of a tile's first output */
} wino_place;

static wino_place place_of(const wino_cut *c, int64_t tile) {
    return (wino_place){tile / c->tiles_x / c->tiles_y, tile / c->tiles_x % c->tiles_y * WINO_OUT,
                        tile % c->tiles_x * WINO_OUT};
}

static void tile_in(const wino_job *job, int64_t tile, float *v) {
    const omma_conv *p = job->p;
    const wino_place at = place_of(&job->cut, tile);
    const float *px[WINO_PLANES], *image = job->x + at.image * p->h * p->w * job->x_ld;
    for (int i = 0; i < WINO_PLANES; i++) {
        const int64_t y = at.y - p->pad_top + i / WINO_IN, x = at.x - p->pad_left + i % WINO_IN;
        const bool inside = y >= 0 && y < p->h && x >= 0 && x < p->w;
        px[i] = inside ? image + (y * p->w + x) * job->x_ld : job->zeros;
    }
    job->kern->wino_in(p->c, px, v, job->cut.plane);
}

static void tile_out(const wino_job *job, int64_t tile, int64_t m0, int n, const float *prod) {
    const omma_conv *p = job->p;
    const wino_place at = place_of(&job->cut, tile);
    const int64_t pixel = (at.image * p->oh + at.y) * p->ow + at.x;
    omma_epilogue e;
    if (job->e) {
        e = *job->e;
        if (e.col_bias) e.col_bias += m0;
        if (e.add) e.add += pixel * e.add_ld + m0;
    }
    job->kern->wino_out(n, prod, job->kern->nr, (int)min64(p->oh - at.y, WINO_OUT),
                        (int)min64(p->ow - at.x, WINO_OUT), job->y + pixel * job->y_ld + m0,
                        job->y_ld, p->ow, job->e ? &e : NULL);
}

/* One panel of output channels of tiles [t0, t1). */
static void panel_of(const wino_job *job, int64_t panel, int64_t t0, int64_t t1, const float *v,
                     float *prod) {
    const int nr = job->kern->nr;
    const int64_t c = job->p->c, m0 = panel * nr, n = min64(job->p->m - m0, nr);
    const float *u = job->u + panel * WINO_PLANES * c * nr;
    for (int i = 0; i < WINO_PLANES; i++)
        omma_gemm_block(job->kern, t1 - t0, n, c, v + i * job->cut.plane, job->cut.row,
                        u + i * c * nr, 0, prod + i * nr, WINO_PLANES * nr, false, NULL);
    for (int64_t t = t0; t < t1; t++)
        tile_out(job, t, m0, (int)n, prod + (t - t0) * WINO_PLANES * nr);
}

/* Items are the parts of one block after the other. */
static void run_parts(void *arg, int64_t begin, int64_t end, int worker) {
    wino_job *job = arg;
    const wino_cut *c = &job->cut;
    float *v = job->memory + worker * c->worker, *prod = v + WINO_PLANES * c->plane;
    for (int64_t i = begin; i < end; i++) {
        const int64_t block = i / job->parts, part = i % job->parts;
        const int64_t t0 = c->tiles * block / c->blocks, t1 = c->tiles * (block + 1) / c->blocks;
        if (job->holds[worker] != block)
            for (int64_t t = t0; t < t1; t++) tile_in(job, t, v + (t - t0) * c->row);
        job->holds[worker] = block;
        const int64_t end_panel = c->panels * (part + 1) / job->parts;
        for (int64_t q = c->panels * part / job->parts; q < end_panel; q++)
            panel_of(job, q, t0, t1, v, prod);
    }
}

static void run(const omma_kernels *kern, int threads, const omma_conv *p, const float *x,
                int64_t x_ld, const void *packed, float *y, int64_t y_ld, const omma_epilogue *e,
                void *scratch_) {
    const wino_cut c = cut(kern, p);
    float *zeros = scratch_;
    wino_job job = {.kern = kern,
                    .p = p,
                    .cut = c,
                    .x = x,
                    .u = packed,
                    .zeros = zeros,
                    .y = y,
                    .memory = zeros + c.row,
                    .x_ld = x_ld,
                    .y_ld = y_ld,
                    .e = e,
                    .parts = 1};
    memset(zeros, 0, (size_t)c.row * sizeof(float));
    for (int i = 0; i < OMMA_MAX_THREADS; i++) job.holds[i] = -1;
    if (threads > 1 && c.blocks < PARTS * threads && c.blocks % threads)
        job.parts = min64(c.panels, ceil_div((int64_t)PARTS * threads, c.blocks));
    omma_parallel(threads, c.blocks * job.parts, 1, run_parts, &job);
}

const omma_last_way omma_last_winograd = {fits, form, packed_bytes, pack, scratch, run};
