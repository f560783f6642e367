/* deform_columns.c - what the taps of a deformable convolution see, as columns of a matrix, and the
 * way back: DeformColumns, DeformSpread, DeformMoves (deform.h), which the gradient of
 * deform_conv.c makes.
 *
 * Work is shared out so that no sum is split: columns and moves by image, offset group and tap;
 * planes of DeformSpread whole. A chunk of pixels finds its corners once for all channels. At a
 * whole pixel the derivative by an offset is the one to the right, as in PyTorch. */
#include "op/deform.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/pool.h"
#include "op/element.h"

enum {
    CHUNK = 64, /* pixels that find their corners together */
    BLOCK = 16  /* planes that use them */
};

/* --- geometry ------------------------------------------------------------------------------- */

/* Input v must be [N, per_tap * G * taps, oh, ow]. */
static omma_status check_field(omma_build *b, const omma_node *n, const omma_deform *p,
                               const omma_value *v, int64_t per_tap) {
    int64_t channels;
    if (!v) return OMMA_OK;
    if (v->rank != 4 || !omma_dims_count((int64_t[]){per_tap, p->groups, p->taps}, 3, &channels) ||
        v->dims[0] != p->n || v->dims[1] != channels || v->dims[2] != p->win.out[0] ||
        v->dims[3] != p->win.out[1])
        return omma_bad(b, n, "'%s' must be [%lld, %lld * %lld, %lld, %lld]", v->name,
                        (long long)p->n, (long long)per_tap, (long long)(p->groups * p->taps),
                        (long long)p->win.out[0], (long long)p->win.out[1]);
    return OMMA_OK;
}

omma_status omma_deform_read(omma_build *b, const omma_node *n, const omma_value *image,
                             const int64_t *kernel, const omma_value *offset,
                             const omma_value *mask, omma_deform *p) {
    p->n = image->dims[0], p->channels = image->dims[1];
    p->groups = omma_node_int(n, "offset_group", 1);
    p->type = offset->dtype;
    if (p->groups < 1 || p->channels % p->groups)
        return omma_bad(b, n, "offset_group %lld does not divide %lld channels",
                        (long long)p->groups, (long long)p->channels);
    OMMA_TRY(omma_window_read(b, n, image, kernel, &p->win));
    OMMA_TRY(omma_window_slide(b, n, false, &p->win));
    p->taps = p->win.kernel_count, p->plane = p->win.in_count;
    OMMA_TRY(check_field(b, n, p, offset, 2));
    OMMA_TRY(check_field(b, n, p, mask, 1));
    if (!omma_dims_count(p->win.out, 2, &p->pixels))
        return omma_bad(b, n, "the output's size overflows");
    return OMMA_OK;
}

omma_place omma_deform_place(const omma_deform *p, const void *offset, const void *mask, int64_t n,
                             int64_t g, int64_t t, int64_t o) {
    const omma_window *w = &p->win;
    const int64_t tap = (n * p->groups + g) * p->taps + t, oy = o / w->out[1], ox = o % w->out[1],
                  ty = t / w->kernel[1], tx = t % w->kernel[1];
    const int64_t y = oy * w->stride[0] - w->pad[0] + ty * w->dilation[0],
                  x = ox * w->stride[1] - w->pad[1] + tx * w->dilation[1];
    return (omma_place){.y = (double)y + omma_number(p->type, offset, 2 * tap * p->pixels + o),
                        .x =
                            (double)x + omma_number(p->type, offset, (2 * tap + 1) * p->pixels + o),
                        .scale = mask ? omma_number(p->type, mask, tap * p->pixels + o) : 1};
}

omma_corners omma_deform_corners(const omma_window *win, double y, double x) {
    const int64_t h = win->in[0], w = win->in[1];
    omma_corners c = {{0}, {0}, {0}, 0, 0};
    if (!(y > -1 && y < (double)h && x > -1 && x < (double)w)) return c;
    const int64_t y0 = (int64_t)floor(y), x0 = (int64_t)floor(x);
    c.fy = y - (double)y0, c.fx = x - (double)x0;
    for (int i = 0; i < 4; i++) {
        int64_t cy = y0 + (i >> 1), cx = x0 + (i & 1);
        c.in[i] = cy >= 0 && cy < h && cx >= 0 && cx < w;
        cy = cy < 0 ? 0 : cy >= h ? h - 1 : cy; /* what lies outside reads its neighbour times 0 */
        cx = cx < 0 ? 0 : cx >= w ? w - 1 : cx;
        c.at[i] = cy * w + cx;
        c.w[i] = c.in[i] ? (i >> 1 ? c.fy : 1 - c.fy) * (i & 1 ? c.fx : 1 - c.fx) : 0;
    }
    return c;
}

/* --- infer ------------------------------------------------------------------------------------ */

typedef struct walk {
    omma_deform d;
    int workers;  /* threads the working memory is for */
    size_t plane; /* bytes of a plane of sums, but for f32 */
} walk;

static omma_status read_walk(omma_build *b, omma_node *n, const omma_value *image, int offset) {
    int64_t kernel[OMMA_MAX_SPATIAL];
    bool found;
    walk *p = omma_param(b, n, sizeof *p);
    if (!p) return omma_nomem(b, n);
    for (int i = 0; i <= offset + 1; i++) {
        if (i > offset && !omma_in(n, i)) continue;
        OMMA_TRY(omma_want(b, n, i, OMMA_IN_FLOAT));
        if (i) OMMA_TRY(omma_want_same(b, n, i));
    }
    if (image->rank != 4) return omma_bad(b, n, "[N, C, H, W] is needed");
    OMMA_TRY(omma_window_kernel(b, n, 2, kernel, &found));
    if (!found) return omma_bad(b, n, "kernel_shape is missing");
    return omma_deform_read(b, n, image, kernel, n->in[offset], omma_in(n, offset + 1), &p->d);
}

static omma_status check_columns(omma_build *b, const omma_node *n, const omma_value *v) {
    const omma_deform *p = &((const walk *)n->param)->d;
    const int64_t want[] = {p->n, p->channels, p->taps, p->pixels};
    if (v->rank != 4 || memcmp(v->dims, want, sizeof want))
        return omma_bad(b, n, "'%s' must be [N, C, taps, oh * ow]", v->name);
    return OMMA_OK;
}

static omma_status columns_infer(omma_build *b, omma_node *n) {
    OMMA_TRY(read_walk(b, n, n->in[0], 1));
    const omma_deform *p = &((const walk *)n->param)->d;
    return omma_out(b, n, 0, n->in[0]->dtype, 4,
                    (int64_t[]){p->n, p->channels, p->taps, p->pixels});
}

static omma_status spread_infer(omma_build *b, omma_node *n) {
    omma_value image = *n->in[0];
    int count;
    OMMA_TRY(omma_ints_attr(b, n, OMMA_DEFORM_IMAGE, image.dims + 2, 2, &count));
    if (count != 2 || image.dims[2] < 0 || image.dims[3] < 0)
        return omma_bad(b, n, "the image's dims are needed");
    OMMA_TRY(read_walk(b, n, &image, 1));
    OMMA_TRY(check_columns(b, n, n->in[0]));
    return omma_out(b, n, 0, image.dtype, 4, image.dims);
}

static omma_status spread_prepare(omma_build *b, omma_node *n) {
    walk *p = (walk *)n->param;
    p->workers = omma_workers(b);
    if (n->in[0]->dtype == OMMA_F32) return OMMA_OK;
    if (!omma_dims_bytes(&p->d.plane, 1, sizeof(double), &p->plane) ||
        !omma_align_up(p->plane, 64, &p->plane) ||
        !omma_mul(p->plane, (size_t)p->workers, &n->scratch))
        return omma_bad(b, n, "its working memory overflows");
    return OMMA_OK;
}

static omma_status moves_infer(omma_build *b, omma_node *n) {
    OMMA_TRY(read_walk(b, n, n->in[0], 2));
    OMMA_TRY(check_columns(b, n, n->in[1]));
    OMMA_TRY(omma_out_like(b, n, 0, n->in[2]));
    return omma_in(n, 3) ? omma_out_like(b, n, 1, n->in[3]) : OMMA_OK;
}

/* --- columns ------------------------------------------------------------------------------------
 */

typedef struct job {
    const omma_node *n;
    const walk *p;
    omma_dtype t;
    const void *x, *d; /* the image, or columns */
    const void *offset, *mask;
    void *y, *z; /* outputs */
} job;

/* The corners of `count` pixels from `first`, their weights times the mask. */
static void find_corners(const job *j, int64_t n, int64_t g, int64_t t, int64_t first, int count,
                         omma_corners *c) {
    for (int k = 0; k < count; k++) {
        const omma_place at = omma_deform_place(&j->p->d, j->offset, j->mask, n, g, t, first + k);
        c[k] = omma_deform_corners(&j->p->d.win, at.y, at.x);
        for (int i = 0; i < 4; i++) c[k].w[i] *= at.scale;
    }
}

/* Items are images x offset groups x taps. */
static void columns_items(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const omma_deform *p = &j->p->d;
    const int64_t each = p->channels / p->groups;
    omma_corners c[CHUNK];
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t t = i % p->taps, g = i / p->taps % p->groups, n = i / p->taps / p->groups;
        for (int64_t first = 0; first < p->pixels; first += CHUNK) {
            const int count = (int)(p->pixels - first < CHUNK ? p->pixels - first : CHUNK);
            find_corners(j, n, g, t, first, count, c);
            for (int64_t ch = n * p->channels + g * each, m = ch + each; ch < m; ch++)
                for (int k = 0; k < count; k++) {
                    double v = 0;
                    for (int q = 0; q < 4; q++)
                        v += c[k].w[q] * omma_number(j->t, j->x, ch * p->plane + c[k].at[q]);
                    omma_set_number(j->t, j->y, (ch * p->taps + t) * p->pixels + first + k, v);
                }
        }
    }
}

static job job_of(const omma_node *n, int offset) {
    const omma_value *mask = omma_in(n, offset + 1);
    return (job){.n = n,
                 .p = n->param,
                 .t = n->in[0]->dtype,
                 .offset = n->in[offset]->mem,
                 .mask = mask ? mask->mem : NULL};
}

static omma_status columns_run(const omma_exec *x, const omma_node *n) {
    const omma_deform *p = &((const walk *)n->param)->d;
    job j = job_of(n, 1);
    if (!n->out[0] || !omma_value_count(n->out[0])) return OMMA_OK;
    j.x = n->in[0]->mem, j.y = n->out[0]->mem;
    if (!p->plane) memset(j.y, 0, omma_value_bytes(n->out[0]));
    else omma_parallel(x->threads, p->n * p->groups * p->taps, 1, columns_items, &j);
    return OMMA_OK;
}

/* --- spread --------------------------------------------------------------------------------------
 */

/* Add one chunk of a tap's row of columns to a plane of floats. */
static void spread_f32(const omma_corners *c, int count, const float *d, float *plane) {
    for (int k = 0; k < count; k++)
        for (int q = 0; q < 4; q++)
            if (c[k].in[q]) plane[c[k].at[q]] += (float)c[k].w[q] * d[k];
}

static void spread_any(const job *j, const omma_corners *c, int count, int64_t from,
                       double *plane) {
    for (int k = 0; k < count; k++) {
        const double d = omma_number(j->t, j->d, from + k);
        for (int q = 0; q < 4; q++)
            if (c[k].in[q]) plane[c[k].at[q]] += c[k].w[q] * d;
    }
}

/* Planes [c0, c1) of image n, which share offset group g; sums: a plane of them, unless f32. */
static void spread_planes(const job *j, int64_t n, int64_t g, int64_t c0, int64_t c1,
                          double *sums) {
    const omma_deform *p = &j->p->d;
    omma_corners c[CHUNK];
    for (int64_t t = 0; t < p->taps; t++)
        for (int64_t first = 0; first < p->pixels; first += CHUNK) {
            const int count = (int)(p->pixels - first < CHUNK ? p->pixels - first : CHUNK);
            find_corners(j, n, g, t, first, count, c);
            for (int64_t ch = n * p->channels + c0; ch < n * p->channels + c1; ch++) {
                const int64_t from = (ch * p->taps + t) * p->pixels + first;
                if (sums) spread_any(j, c, count, from, sums);
                else
                    spread_f32(c, count, (const float *)j->d + from, (float *)j->y + ch * p->plane);
            }
        }
}

/* Planes that are done together. */
static int64_t block_of(const job *j) { return j->t == OMMA_F32 ? BLOCK : 1; }

/* Items are images x offset groups x blocks of their channels. */
static void spread_items(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const omma_deform *p = &j->p->d;
    const int64_t each = p->channels / p->groups, block = block_of(j),
                  blocks = (each + block - 1) / block;
    double *sums = NULL;
    if (j->t != OMMA_F32)
        sums = (double *)(void *)((char *)j->n->work + (size_t)worker * j->p->plane);
    for (int64_t i = begin; i < end; i++) {
        const int64_t g = i / blocks % p->groups, n = i / blocks / p->groups,
                      c0 = g * each + i % blocks * block, rest = (g + 1) * each - c0,
                      c1 = c0 + (rest < block ? rest : block);
        const int64_t at = (n * p->channels + c0) * p->plane, count = (c1 - c0) * p->plane;
        if (sums) memset(sums, 0, (size_t)p->plane * sizeof *sums);
        else memset((float *)j->y + at, 0, (size_t)count * sizeof(float));
        spread_planes(j, n, g, c0, c1, sums);
        for (int64_t k = 0; sums && k < count; k++) omma_set_number(j->t, j->y, at + k, sums[k]);
    }
}

static omma_status spread_run(const omma_exec *x, const omma_node *n) {
    const walk *w = n->param;
    job j = job_of(n, 1);
    if (!n->out[0] || !omma_value_count(n->out[0])) return OMMA_OK;
    j.d = n->in[0]->mem, j.y = n->out[0]->mem;
    const int64_t each = w->d.channels / w->d.groups, block = block_of(&j);
    omma_parallel(x->threads < w->workers ? x->threads : w->workers,
                  w->d.n * w->d.groups * ((each + block - 1) / block), 1, spread_items, &j);
    return OMMA_OK;
}

/* --- moves ---------------------------------------------------------------------------------------
 */

/* Of one pixel's tap: what comes back to y, x and the mask. */
typedef struct pull {
    double y, x, mask;
} pull;

static void add_pull(const job *j, const omma_corners *c, int64_t plane, double d, pull *to) {
    double v[4];
    for (int q = 0; q < 4; q++) v[q] = c->in[q] ? omma_number(j->t, j->x, plane + c->at[q]) : 0;
    const double top = v[0] + c->fx * (v[1] - v[0]), bottom = v[2] + c->fx * (v[3] - v[2]);
    to->y += d * (bottom - top);
    to->x += d * ((1 - c->fy) * (v[1] - v[0]) + c->fy * (v[3] - v[2]));
    to->mask += d * (top + c->fy * (bottom - top));
}

/* `count` pixels from `first` of tap t. */
static void move_chunk(const job *j, int64_t n, int64_t g, int64_t t, int64_t first, int count) {
    const omma_deform *p = &j->p->d;
    const int64_t each = p->channels / p->groups, tap = (n * p->groups + g) * p->taps + t;
    omma_corners c[CHUNK];
    double scale[CHUNK];
    pull sum[CHUNK] = {{0, 0, 0}};
    for (int k = 0; k < count; k++) {
        const omma_place at = omma_deform_place(p, j->offset, j->mask, n, g, t, first + k);
        c[k] = omma_deform_corners(&p->win, at.y, at.x);
        scale[k] = at.scale;
    }
    for (int64_t ch = n * p->channels + g * each, m = ch + each; ch < m && p->plane; ch++)
        for (int k = 0; k < count; k++)
            add_pull(j, &c[k], ch * p->plane,
                     omma_number(j->t, j->d, (ch * p->taps + t) * p->pixels + first + k), &sum[k]);
    for (int k = 0; k < count; k++) {
        const int64_t o = first + k;
        if (j->y) omma_set_number(j->t, j->y, 2 * tap * p->pixels + o, scale[k] * sum[k].y);
        if (j->y) omma_set_number(j->t, j->y, (2 * tap + 1) * p->pixels + o, scale[k] * sum[k].x);
        if (j->z) omma_set_number(j->t, j->z, tap * p->pixels + o, sum[k].mask);
    }
}

/* Items are images x offset groups x taps. */
static void moves_items(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const omma_deform *p = &j->p->d;
    (void)worker;
    for (int64_t i = begin; i < end; i++)
        for (int64_t first = 0; first < p->pixels; first += CHUNK)
            move_chunk(j, i / p->taps / p->groups, i / p->taps % p->groups, i % p->taps, first,
                       (int)(p->pixels - first < CHUNK ? p->pixels - first : CHUNK));
}

static omma_status moves_run(const omma_exec *x, const omma_node *n) {
    const omma_deform *p = &((const walk *)n->param)->d;
    job j = job_of(n, 2);
    j.x = n->in[0]->mem, j.d = n->in[1]->mem;
    j.y = n->out[0] ? n->out[0]->mem : NULL;
    j.z = n->n_out > 1 && n->out[1] ? n->out[1]->mem : NULL;
    omma_parallel(x->threads, p->n * p->groups * p->taps, 1, moves_items, &j);
    return OMMA_OK;
}

static double flops(const omma_node *n) {
    const omma_deform *p = &((const walk *)n->param)->d;
    return 8 * (double)p->n * (double)p->channels * (double)p->taps * (double)p->pixels;
}

#define ONLY_BACK "the gradient of a gradient is not built"

const omma_op omma_op_DeformColumns = {.name = "omma.DeformColumns",
                                       .min_in = 2,
                                       .max_in = 3,
                                       .min_out = 1,
                                       .max_out = 1,
                                       .infer = columns_infer,
                                       .run = columns_run,
                                       .flops = flops,
                                       .no_grad = ONLY_BACK,
                                       .no_field = ONLY_BACK};

const omma_op omma_op_DeformSpread = {.name = "omma.DeformSpread",
                                      .min_in = 2,
                                      .max_in = 3,
                                      .min_out = 1,
                                      .max_out = 1,
                                      .infer = spread_infer,
                                      .prepare = spread_prepare,
                                      .run = spread_run,
                                      .flops = flops,
                                      .no_grad = ONLY_BACK,
                                      .no_field = ONLY_BACK};

const omma_op omma_op_DeformMoves = {.name = "omma.DeformMoves",
                                     .min_in = 3,
                                     .max_in = 4,
                                     .min_out = 1,
                                     .max_out = 2,
                                     .infer = moves_infer,
                                     .run = moves_run,
                                     .flops = flops,
                                     .no_grad = ONLY_BACK,
                                     .no_field = ONLY_BACK};
