/* winograd.c - channels-last 3x3 convolution by Winograd's F(4x4,3x3): 36 multiplications make
 * 4x4 outputs, where 144 would (Lavin and Gray, "Fast algorithms for convolutional neural
 * networks", 2015; the matrices are in winograd.h).
 *
 *     x  [tile, 6x6, C]  --B^T d B-->  V [chunk][36][tile][c] a block of tiles at a time,
 *     w  [M, C, 3x3]     --G g G^T-->  U [panel][36][c][nr]   and of it some panels at a time
 *     V[i] x U[panel][i] ----------->  P [tile][36][panel*nr]
 *     P  --A^T P A, bias, add, activation-->  y [tile, 4x4, M]
 *
 * U is four times as large as the weights, so it is made during the run, and they are kept as the
 * direct way packs them, which shares them where a model has maps of several sizes.
 *
 * With few blocks of tiles a worker makes U of one panel and a chunk of channels, which stays in
 * its L2 cache, multiplies the 36 planes of that chunk of V and goes on summing from P with the
 * next. Each block costs as much more as the products of MAKING tiles; meanwhile the weights of the
 * next chunk come from memory.
 *
 * With more blocks all threads make all of U ahead, in scratch memory. It is read once for every
 * block, from the third cache or memory: while one panel is multiplied, the next is brought nearer
 * (at 256 channels half as fast again), and blocks are as large as they may be before V costs more
 * than U.
 *
 * Tiles at the border read zeros where the map ends. Tiles of all images of a batch are counted
 * together. Threads share the blocks; where these come out uneven, panels of a block too, and each
 * thread transforms the block's input for itself, which is cheaper than to fetch it from another
 * core. Chunks depend on the geometry alone, so neither the blocks nor the threads change the bits.
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
    AHEAD_BLOCKS = 2,       /* with more of them U is made ahead */
    AHEAD_CHANNELS = 16,    /* of it are an item then */
    SLOT_BYTES = 300 << 10, /* of U otherwise: beside a chunk of V and P in the L2 cache */
    MAKING = 3,             /* tiles multiplied in the time that takes, by channel and panel */
    MAKING_AHEAD = 10,      /* and into the third cache or memory, to be read from there */
    PAIRS_GAIN = 2 /* how much faster the direct way is in bfloat16, where that is meant to pay */
};

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }
static int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t clamp(int64_t v, int64_t lo, int64_t hi) { return v < lo ? lo : v > hi ? hi : v; }

/* --- sizes ------------------------------------------------------------------------- */

typedef struct wino_cut {
    int64_t tiles_y, tiles_x, tiles; /* of an image, and of all of them */
    int64_t panels;                  /* of U */
    bool ahead;                      /* all of U is made before the products, for all blocks */
    int64_t wide;                    /* panels in P, at most */
    int64_t blocks, parts;           /* of tiles; of the panels, to share a block among threads */
    int64_t pixel;                   /* channels of a pixel, rounded up */
    int64_t chunk, chunks;           /* channels of U that are made and multiplied at a time; the
                                        last chunk may have fewer */
    int64_t plane, u_plane;          /* of V and U [floats]: never a multiple of the pages' size,
                                        where 36 stores would meet in one set of the cache */
    int64_t u, v, prod, slot;        /* [floats]: U if made ahead, V, P, else the chunk of U */
    int64_t worker;                  /* all that a worker needs; */
    int64_t wide_in, wide_out;       /* and for bfloat16: a tile's input, its outputs */
} wino_cut;

/* What making U takes for all blocks, in tiles: it is bound by its 36 stores for 9 loads. */
static double making(const wino_cut *c, int64_t blocks) {
    return c->ahead ? MAKING_AHEAD : MAKING * (double)blocks;
}

/* How much one thread of several has to do, in thirds of a panel's products for a block: with them
 * comes the transform of the input, which takes about one. */
static double load(const wino_cut *c, int threads, int64_t blocks, int64_t parts) {
    const double panels = (double)ceil_div(c->panels, parts);
    const double make = c->ahead ? 0 : making(c, blocks) / (double)c->tiles;
    return (double)ceil_div(blocks * parts, threads) / (double)blocks *
           (3 * panels * (1 + make) + 1);
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

/* Fill in what memory it takes. */
static void size_parts(wino_cut *c, const omma_kernels *kern) {
    const int64_t tiles = ceil_div(c->tiles, c->blocks), width = c->wide * kern->nr;
    c->plane = tiles * c->chunk + WINO_PAD;
    c->u_plane = (c->chunk + 1) * kern->nr;
    c->u = c->ahead ? c->panels * WINO_PLANES * c->u_plane : 0;
    c->slot = c->ahead ? 0 : WINO_PLANES * c->u_plane;
    c->v = c->chunks * WINO_PLANES * c->plane;
    c->prod = WINO_PLANES * tiles * width;
    c->worker = c->v + c->prod + c->slot;
    c->wide_in = WINO_PLANES * c->pixel;
    c->wide_out = WINO_OUT * WINO_OUT * width;
}

static wino_cut cut(const omma_kernels *kern, const omma_conv *p, int threads) {
    wino_cut c = {.tiles_y = ceil_div(p->oh, WINO_OUT),
                  .tiles_x = ceil_div(p->ow, WINO_OUT),
                  .pixel = round_up(p->c, WINO_PAD),
                  .panels = ceil_div(p->m, kern->nr),
                  .parts = 1};
    c.tiles = p->n * c.tiles_y * c.tiles_x;
    const int64_t most = min64(TILES_LEAST + p->c / TILES_SLOPE, TILES_MOST);
    c.blocks = ceil_div(c.tiles, (most + kern->mr / 2) / kern->mr * kern->mr);
    c.ahead = c.blocks > AHEAD_BLOCKS;
    const int64_t slot = SLOT_BYTES / (kern->nr * WINO_PLANES * (int64_t)sizeof(float));
    c.chunks = c.ahead ? 1 : ceil_div(p->c, slot);
    c.chunk = round_up(ceil_div(p->c, c.chunks), WINO_PAD);
    c.chunks = ceil_div(p->c, c.chunk);
    c.wide =
        c.ahead ? min64(c.panels, ceil_div(clamp(p->c / 2, WIDE_LEAST, WIDE_MOST), kern->nr)) : 1;
    if (threads > 1) share(&c, threads);
    size_parts(&c, kern);
    return c;
}

/* What both ways take, in multiplications, fitted to what was measured: sums reach about 0.9 of the
 * peak here and there, their results cost as much as 6 channels to store, a channel of a tile takes
 * 12 cycles of 32 multiplications to transform, and a tile as much as 16 channels besides. U is
 * made of whole panels. gain: how much faster the direct way is than in float32. */
static bool pays(const omma_kernels *kern, const omma_conv *p, double gain) {
    const wino_cut c = cut(kern, p, 1);
    const int half = kern->nr / 2;
    const double m = (double)(ceil_div(p->m, half) * half), channels = (double)p->c;
    const double direct = 9 * channels * m * (double)(p->n * p->oh * p->ow);
    const double products = 36 * m * (channels + 6) * (double)c.tiles;
    const double weights = 36 * channels * (double)(c.panels * kern->nr) * making(&c, c.blocks);
    const double transforms = 12 * 32 * 0.9 * (channels + (double)p->m + 16) * (double)c.tiles;
    return 1.1 * (products + weights + transforms) < direct / gain;
}

static bool fits_with(const omma_kernels *kern, const omma_conv *p, double gain) {
    return !p->local && p->groups == 1 && p->kh == 3 && p->kw == 3 && p->stride_h == 1 &&
           p->stride_w == 1 && p->dilation_h == 1 && p->dilation_w == 1 && p->c >= WINO_PAD &&
           pays(kern, p, gain);
}

static bool fits(const omma_kernels *kern, const omma_conv *p) { return fits_with(kern, p, 1); }

/* What a worker needs, and a pixel of zeros. More threads never take larger blocks. */
static bool scratch_for(const omma_kernels *kern, const omma_conv *p, int threads, bool half,
                        size_t *bytes) {
    int64_t floats;
    if (!omma_dims_count((int64_t[]){p->c, TILES_MOST, 2 * WINO_PLANES}, 3, &floats) ||
        !omma_dims_count((int64_t[]){p->c + 1, p->m + kern->nr, WINO_PLANES, sizeof(float)}, 4,
                         &floats))
        return false;
    const wino_cut c = cut(kern, p, 1);
    const int64_t each = c.worker + (half ? c.wide_in + c.wide_out : 0);
    return omma_dims_bytes((int64_t[]){each, threads < 1 ? 1 : threads}, 2, sizeof(float), bytes) &&
           omma_add(*bytes, (size_t)(c.pixel + c.u) * sizeof(float), bytes);
}

static bool scratch(const omma_kernels *kern, const omma_conv *p, int threads, size_t *bytes) {
    return scratch_for(kern, p, threads, false, bytes);
}

/* --- weights ----------------------------------------------------------------------- */

/* They are packed as those of the direct way, [panel][3,3][c][nr], and shared with it where maps
 * of several sizes meet the same weights. */
static const char *form(const omma_kernels *kern, const omma_conv *p) {
    return omma_last_direct.form(kern, p);
}

static bool packed_bytes(const omma_kernels *kern, const omma_conv *p, size_t *bytes) {
    return omma_last_direct.packed_bytes(kern, p, bytes);
}

static void pack(const omma_kernels *kern, const omma_conv *p, void *dst, const void *weights,
                 int threads) {
    omma_last_direct.pack(kern, p, dst, weights, threads);
}

/* --- running ----------------------------------------------------------------------- */

typedef struct wino_job {
    const omma_kernels *kern;
    const omma_conv *p;
    wino_cut cut;
    const void *x;  /* float32, or bfloat16 with half */
    const float *w; /* as packed */
    float *u;       /* all of it, [panel][36][c + 1][nr], or NULL */
    const float *zeros;
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

/* v: the tile's place in plane 0 of V. wide: room for the tile's input as float32. */
static void tile_in(const wino_job *job, int64_t tile, float *wide, float *v) {
    const omma_conv *p = job->p;
    const wino_cut *c = &job->cut;
    const wino_place at = place_of(c, tile);
    const int64_t y0 = at.y - p->pad_top, x0 = at.x - p->pad_left;
    const float *px[WINO_PLANES];
    for (int q = 0; q < WINO_PLANES; q++) {
        const int64_t iy = y0 + q / WINO_IN, ix = x0 + q % WINO_IN;
        const int64_t from = ((at.image * p->h + iy) * p->w + ix) * job->x_ld;
        px[q] = job->zeros;
        if (iy < 0 || iy >= p->h || ix < 0 || ix >= p->w) continue;
        px[q] = job->half ? wide + q * c->pixel : (const float *)job->x + from;
        if (job->half)
            job->kern->bf16_widen(p->c, (const uint16_t *)job->x + from, wide + q * c->pixel);
    }
    for (int64_t c0 = 0; c0 < p->c; c0 += c->chunk, v += WINO_PLANES * c->plane) {
        job->kern->wino_in(min64(c->chunk, p->c - c0), px, v, c->plane);
        for (int q = 0; q < WINO_PLANES; q++) px[q] += c->chunk;
    }
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

/* Weights of a panel: [3,3][c][nr]. */
static const float *weights_of(const wino_job *job, int64_t panel) {
    return job->w + panel * 9 * job->p->c * job->kern->nr;
}

/* U of channels [c0, c1) of a panel, to u. */
static void make(const wino_job *job, int64_t panel, int64_t c0, int64_t c1, float *u) {
    const int64_t nr = job->kern->nr;
    job->kern->wino_weights((c1 - c0) * nr, weights_of(job, panel) + c0 * nr, job->p->c * nr, u,
                            job->cut.u_plane);
}

/* Items are channels, some at a time, of one panel after the other. */
static void make_ahead(void *arg, int64_t begin, int64_t end, int worker) {
    const wino_job *job = arg;
    const int64_t items = ceil_div(job->p->c, AHEAD_CHANNELS);
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t panel = i / items, c0 = i % items * AHEAD_CHANNELS;
        make(job, panel, c0, min64(c0 + AHEAD_CHANNELS, job->p->c),
             job->u + panel * WINO_PLANES * job->cut.u_plane + c0 * job->kern->nr);
    }
}

/* Panels [q0, q1) of output channels of tiles [t0, t1), and a worker's memory. */
typedef struct wino_part {
    int64_t q0, q1, t0, t1;
    float *v, *prod, *slot, *wide;
} wino_part;

/* What comes after plane i of panel q, or of its chunk of channels from c0 on: of U made ahead the
 * next plane, else that share of the next chunk's weights, nine of each channel, which the 36
 * planes can bring. */
static const float *next_of(const wino_job *job, const wino_part *part, int64_t q, int64_t c0,
                            int i) {
    const wino_cut *c = &job->cut;
    const int64_t nr = job->kern->nr, last = part->q1 < c->panels ? part->q1 : 0;
    if (!job->u) {
        const bool more = c0 + c->chunk < job->p->c;
        return weights_of(job, more ? q : last) +
               (i / 4 * job->p->c + (more ? c0 + c->chunk : 0)) * nr + i % 4 * c->chunk * nr / 4;
    }
    const int64_t next = q + 1 < part->q1 ? q + 1 : i + 1 < WINO_PLANES ? part->q0 : last;
    const int64_t plane = (q + 1 < part->q1 ? i : i + 1) % WINO_PLANES;
    return job->u + (next * WINO_PLANES + plane) * c->u_plane;
}

/* Plane i of panel q, channels [c0, c0 + k): prod (=|+=) v: [rows][k] x u. Where half a panel is
 * enough, gemm_tile multiplies no more. */
static void multiply(const wino_job *job, const wino_part *part, int64_t q, int64_t c0, int i) {
    const omma_kernels *kern = job->kern;
    const wino_cut *c = &job->cut;
    const int64_t rows = part->t1 - part->t0, k = min64(c->chunk, job->p->c - c0), lda = c->chunk;
    const int64_t tiles = ceil_div(rows, kern->mr), width = (part->q1 - part->q0) * kern->nr;
    const int64_t bytes = kern->nr * (int64_t)sizeof(float) / (job->u ? 1 : 4);
    const int64_t step = ceil_div(bytes, tiles), ldc = WINO_PLANES * width;
    const float *v = part->v + (c0 / c->chunk * WINO_PLANES + i) * c->plane;
    const float *u = (job->u ? job->u + q * WINO_PLANES * c->u_plane : part->slot) + i * c->u_plane;
    const char *next = (const char *)next_of(job, part, q, c0, i);
    float *prod = part->prod + i * width + (q - part->q0) * kern->nr;
    const int n = (int)min64(job->p->m - q * kern->nr, kern->nr);
    for (int64_t t = 0; t < tiles; t++) {
        const int64_t r0 = rows * t / tiles, r1 = rows * (t + 1) / tiles;
        const int m = (int)(r1 - r0);
        if (kern->wino_tile && 2 * n > kern->nr)
            kern->wino_tile(m, k, v + r0 * lda, lda, u, prod + r0 * ldc, ldc, c0 > 0,
                            next + t * k * step, step);
        else kern->gemm_tile(m, n, k, v + r0 * lda, lda, u, prod + r0 * ldc, ldc, c0 > 0, NULL);
    }
}

static void panels_out(const wino_job *job, const wino_part *part) {
    const int64_t width = (part->q1 - part->q0) * job->kern->nr, m0 = part->q0 * job->kern->nr;
    for (int64_t c0 = 0; c0 < job->p->c; c0 += job->cut.chunk) {
        if (!job->u) make(job, part->q0, c0, min64(c0 + job->cut.chunk, job->p->c), part->slot);
        for (int i = 0; i < WINO_PLANES; i++)
            for (int64_t q = part->q0; q < part->q1; q++) multiply(job, part, q, c0, i);
    }
    for (int64_t t = part->t0; t < part->t1; t++) {
        const float *of_tile = part->prod + (t - part->t0) * WINO_PLANES * width;
        if (job->half) half_out(job, t, m0, width, of_tile, part->wide);
        else tile_out(job, t, m0, width, of_tile);
    }
}

/* Items are the parts of one block after the other. */
static void run_parts(void *arg, int64_t begin, int64_t end, int worker) {
    wino_job *job = arg;
    const wino_cut *c = &job->cut;
    float *v = job->memory + worker * job->worker, *prod = v + c->v, *slot = prod + c->prod,
          *wide = slot + c->slot;
    for (int64_t i = begin; i < end; i++) {
        const int64_t block = i / c->parts, part = i % c->parts;
        const int64_t t0 = c->tiles * block / c->blocks, t1 = c->tiles * (block + 1) / c->blocks;
        if (job->holds[worker] != block)
            for (int64_t t = t0; t < t1; t++) tile_in(job, t, wide, v + (t - t0) * c->chunk);
        job->holds[worker] = block;
        const int64_t q1 = c->panels * (part + 1) / c->parts;
        for (int64_t q = c->panels * part / c->parts; q < q1; q += c->wide) {
            const wino_part here = {q,    min64(q + c->wide, q1), t0, t1, v, prod,
                                    slot, wide + c->wide_in};
            panels_out(job, &here);
        }
    }
}

/* Fill in the rest and run. */
static void run_job(wino_job *job, int threads, void *memory) {
    wino_cut *c = &job->cut;
    float *zeros = memory;
    *c = cut(job->kern, job->p, threads);
    job->zeros = zeros;
    job->u = c->ahead ? zeros + c->pixel : NULL;
    job->memory = zeros + c->pixel + c->u;
    job->worker = c->worker + (job->half ? c->wide_in + c->wide_out : 0);
    memset(zeros, 0, (size_t)c->pixel * sizeof(float));
    for (int i = 0; i < OMMA_MAX_THREADS; i++) job->holds[i] = -1;
    if (job->u)
        omma_parallel(threads, c->panels * ceil_div(job->p->c, AHEAD_CHANNELS), 1, make_ahead, job);
    omma_parallel(threads, c->blocks * c->parts, 1, run_parts, job);
}

static void run(const omma_kernels *kern, int threads, const omma_conv *p, const float *x,
                int64_t x_ld, const void *packed, float *y, int64_t y_ld, const omma_epilogue *e,
                void *memory) {
    wino_job job = {
        .kern = kern, .p = p, .x = x, .w = packed, .y = y, .x_ld = x_ld, .y_ld = y_ld, .e = e};
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
        .kern = kern, .p = p, .x = x, .w = packed, .y = y, .x_ld = p->c, .y_ld = p->m, .half = o};
    run_job(&job, threads, memory);
}

const omma_last_way omma_last_winograd = {fits, form, packed_bytes, pack, scratch, run};
