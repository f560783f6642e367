/* deform_conv.c - DeformConv: a convolution whose taps are moved by offsets from the data.
 *
 *   y[n,m,o] = bias[m] + sum over c, t of w[m,c,t] * mask[n,g,t,o] * x[n,c](place)
 *   place    = o * stride - pad + t * dilation + offset[n,g,t,o]
 *
 *   x: [N, C, H, W]   w: [M, C/group, kh, kw]   offset: [N, G * kh*kw * 2, oh, ow], (y, x) pairs
 *   bias: [M], optional   mask: [N, G * kh*kw, oh, ow], optional   y: [N, M, oh, ow]
 *
 * G is offset_group: so many runs of channels have offsets of their own. x is read bilinearly,
 * with zeros outside. f32: the samples of a few panels of output pixels are written where the
 * matrix product wants them, then multiplied with the weights, which are read where the file
 * has them; other floats go number by number in double. Two spatial axes only, as in every
 * known model. Sources: ONNX DeformConv 19, 22; Zhu et al., Deformable ConvNets v2. Trap: at
 * an edge a sample is part zero, so it fades out over one pixel. */
#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "op/element.h"
#include "op/fused.h"
#include "op/window.h"

enum { X, W, OFFSET, BIAS, MASK }; /* inputs */
enum { PANEL_BYTES = 512 << 10, MAX_PANELS = 8, MAX_NR = 64 };

typedef struct deform {
    omma_window win;
    int64_t n, groups, c, m, offset_groups; /* c: channels of a group; m: of the output */
    int64_t taps, pixels, plane;            /* pixels: of an output plane */
    bool fast;
    int workers;    /* threads the working memory is for */
    int64_t panels; /* done at once */
    size_t each;    /* bytes of working memory for one thread */
} deform;

static omma_status check_inputs(omma_build *b, const omma_node *n) {
    for (int i = X; i <= MASK; i++) {
        if (i > OFFSET && !omma_in(n, i)) continue;
        OMMA_TRY(omma_want(b, n, i, OMMA_IN_FLOAT));
        if (i) OMMA_TRY(omma_want_same(b, n, i));
        if (i != BIAS && n->in[i]->rank != 4)
            return omma_unsupported(b, n, "'%s' of rank %d; two spatial axes are there",
                                    n->in[i]->name, n->in[i]->rank);
    }
    return OMMA_OK;
}

static omma_status check_channels(omma_build *b, const omma_node *n, deform *p) {
    const omma_value *x = n->in[X], *w = n->in[W], *bias = omma_in(n, BIAS);
    p->n = x->dims[0], p->m = w->dims[0], p->c = w->dims[1];
    p->groups = omma_node_int(n, "group", 1);
    p->offset_groups = omma_node_int(n, "offset_group", 1);
    if (p->groups < 1 || x->dims[1] % p->groups || p->m % p->groups ||
        x->dims[1] / p->groups != p->c)
        return omma_bad(b, n, "%lld channels in %lld groups do not fit the weights '%s'",
                        (long long)x->dims[1], (long long)p->groups, w->name);
    if (p->offset_groups < 1 || x->dims[1] % p->offset_groups)
        return omma_bad(b, n, "offset_group %lld does not divide %lld channels",
                        (long long)p->offset_groups, (long long)x->dims[1]);
    if (bias && (bias->rank != 1 || bias->dims[0] != p->m))
        return omma_bad(b, n, "the bias '%s' must hold %lld numbers", bias->name, (long long)p->m);
    return OMMA_OK;
}

/* Input i must be [N, per_tap * G * taps, oh, ow]. */
static omma_status check_field(omma_build *b, const omma_node *n, const deform *p, int i,
                               int64_t per_tap) {
    const omma_value *v = omma_in(n, i);
    int64_t channels;
    if (!v) return OMMA_OK;
    if (!omma_dims_count((int64_t[]){per_tap, p->offset_groups, p->taps}, 3, &channels) ||
        v->dims[0] != p->n || v->dims[1] != channels || v->dims[2] != p->win.out[0] ||
        v->dims[3] != p->win.out[1])
        return omma_bad(b, n, "'%s' must be [%lld, %lld * %lld, %lld, %lld]", v->name,
                        (long long)p->n, (long long)per_tap,
                        (long long)(p->offset_groups * p->taps), (long long)p->win.out[0],
                        (long long)p->win.out[1]);
    return OMMA_OK;
}

static omma_status infer(omma_build *b, omma_node *n) {
    int64_t kernel[OMMA_MAX_SPATIAL];
    bool found;
    OMMA_TRY(check_inputs(b, n));
    const omma_value *x = n->in[X], *w = n->in[W];
    deform *p = omma_param(b, n, sizeof *p);
    if (!p) return omma_nomem(b, n);
    OMMA_TRY(check_channels(b, n, p));
    OMMA_TRY(omma_window_kernel(b, n, 2, kernel, &found));
    if (found && memcmp(kernel, w->dims + 2, 2 * sizeof *kernel))
        return omma_bad(b, n, "kernel_shape is not the shape of the weights '%s'", w->name);
    OMMA_TRY(omma_window_read(b, n, x, w->dims + 2, &p->win));
    OMMA_TRY(omma_window_slide(b, n, false, &p->win));
    p->taps = p->win.kernel_count, p->plane = p->win.in_count;
    OMMA_TRY(check_field(b, n, p, OFFSET, 2));
    OMMA_TRY(check_field(b, n, p, MASK, 1));
    if (!omma_dims_count(p->win.out, 2, &p->pixels))
        return omma_bad(b, n, "the output's size overflows");
    p->fast = x->dtype == OMMA_F32 && p->c > 0 && p->m > 0 && p->plane > 0;
    return omma_out(b, n, 0, x->dtype, 4, (int64_t[]){p->n, p->m, p->win.out[0], p->win.out[1]});
}

static omma_status prepare(omma_build *b, omma_node *n) {
    deform *p = (deform *)n->param;
    if (!p->fast) return OMMA_OK;
    if (b->kern->nr > MAX_NR) return omma_unsupported(b, n, "tiles of %d columns", b->kern->nr);
    const int64_t k = p->c * p->taps;
    size_t panel;
    if (!omma_packed_bytes(b->kern, k, b->kern->nr, &panel))
        return omma_bad(b, n, "its working memory overflows");
    p->panels = PANEL_BYTES / (int64_t)panel;
    p->panels = p->panels < 1 ? 1 : p->panels > MAX_PANELS ? MAX_PANELS : p->panels;
    p->workers = omma_workers(b);
    if (!omma_mul(panel, (size_t)p->panels, &p->each) ||
        !omma_mul(p->each, (size_t)p->workers, &n->scratch))
        return omma_bad(b, n, "its working memory overflows");
    if (n->in[W]->data) {
        n->packed = n->in[W]->data;
        n->packed_in |= 1u << W;
    }
    return OMMA_OK;
}

/* --- where a tap reads ------------------------------------------------------------------------ */

/* Four pixels of a plane and their weights; all 0 outside. */
typedef struct corners {
    int64_t at[4];
    double w[4];
} corners;

static corners corners_at(const omma_window *win, double y, double x, double scale) {
    const int64_t h = win->in[0], w = win->in[1];
    corners c = {{0}, {0}};
    if (!(y > -1 && y < (double)h && x > -1 && x < (double)w)) return c;
    const int64_t y0 = (int64_t)floor(y), x0 = (int64_t)floor(x);
    const double fy = y - (double)y0, fx = x - (double)x0;
    for (int i = 0; i < 4; i++) {
        int64_t cy = y0 + (i >> 1), cx = x0 + (i & 1);
        const bool in = cy >= 0 && cy < h && cx >= 0 && cx < w;
        cy = cy < 0 ? 0 : cy >= h ? h - 1 : cy; /* what lies outside reads its neighbour times 0 */
        cx = cx < 0 ? 0 : cx >= w ? w - 1 : cx;
        c.at[i] = cy * w + cx;
        c.w[i] = in ? (i >> 1 ? fy : 1 - fy) * (i & 1 ? fx : 1 - fx) * scale : 0;
    }
    return c;
}

/* Tap t of offset group g for output pixel o of image n. */
static corners tap_at(const deform *p, const omma_node *node, int64_t n, int64_t g, int64_t t,
                      int64_t o) {
    const omma_value *offset = node->in[OFFSET], *mask = omma_in(node, MASK);
    const int64_t tap = (n * p->offset_groups + g) * p->taps + t;
    const int64_t oy = o / p->win.out[1], ox = o % p->win.out[1], ty = t / p->win.kernel[1],
                  tx = t % p->win.kernel[1];
    const int64_t y = oy * p->win.stride[0] - p->win.pad[0] + ty * p->win.dilation[0];
    const int64_t x = ox * p->win.stride[1] - p->win.pad[1] + tx * p->win.dilation[1];
    const double dy = omma_number(offset->dtype, offset->mem, 2 * tap * p->pixels + o);
    const double dx = omma_number(offset->dtype, offset->mem, (2 * tap + 1) * p->pixels + o);
    const double scale = mask ? omma_number(mask->dtype, mask->mem, tap * p->pixels + o) : 1;
    return corners_at(&p->win, (double)y + dy, (double)x + dx, scale);
}

/* --- f32 -------------------------------------------------------------------------------------- */

typedef struct job {
    const omma_kernels *kern;
    const omma_node *n;
    const deform *p;
    const void *w;
} job;

/* The samples of one tap for count pixels from `first`, for channels c0..c1 of the image that
 * share its offsets; a channel's row of the panel is row_step behind the last one's. */
static void sample_tap(const job *j, int64_t n, int64_t g, int64_t t, int64_t first, int count,
                       int64_t c0, int64_t c1, int64_t row_step, float *row) {
    const deform *p = j->p;
    const int nr = j->kern->nr;
    int64_t at[4][MAX_NR];
    float w[4][MAX_NR];
    for (int k = 0; k < count; k++) {
        const corners c = tap_at(p, j->n, n, g, t, first + k);
        for (int i = 0; i < 4; i++) at[i][k] = c.at[i], w[i][k] = (float)c.w[i];
    }
    const float *x = (const float *)j->n->in[X]->mem + (n * p->groups * p->c + c0) * p->plane;
    for (int64_t c = c0; c < c1; c++, x += p->plane, row += row_step) {
        for (int k = 0; k < count; k++)
            row[k] = w[0][k] * x[at[0][k]] + w[1][k] * x[at[1][k]] + w[2][k] * x[at[2][k]] +
                     w[3][k] * x[at[3][k]];
        for (int k = count; k < nr; k++) row[k] = 0;
    }
}

/* A panel: row c*taps + t, column k is what pixel first + k sees through tap t in channel c of
 * the group. */
static void fill_panel(const job *j, int64_t n, int64_t group, int64_t first, int count,
                       float *panel) {
    const deform *p = j->p;
    const int64_t begin = group * p->c, end = begin + p->c,
                  each = p->groups * p->c / p->offset_groups;
    const int nr = j->kern->nr;
    for (int64_t c0 = begin; c0 < end;) {
        const int64_t g = c0 / each, stop = (g + 1) * each, c1 = stop < end ? stop : end;
        for (int64_t t = 0; t < p->taps; t++)
            sample_tap(j, n, g, t, first, count, c0, c1, p->taps * nr,
                       panel + ((c0 - begin) * p->taps + t) * nr);
        c0 = c1;
    }
}

/* Items are runs of panels of all groups and images. */
static void panels(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const deform *p = j->p;
    const omma_value *bias = omma_in(j->n, BIAS);
    const int nr = j->kern->nr;
    const int64_t run = p->panels * nr, runs = (p->pixels + run - 1) / run, k = p->c * p->taps,
                  m = p->m / p->groups;
    float *own = (float *)(void *)((char *)j->n->work + (size_t)worker * p->each);
    for (int64_t i = begin; i < end; i++) {
        const int64_t n = i / runs / p->groups, group = i / runs % p->groups,
                      first = i % runs * run;
        const int64_t count = p->pixels - first < run ? p->pixels - first : run;
        for (int64_t at = 0; at < count; at += nr)
            fill_panel(j, n, group, first + at, (int)(count - at < nr ? count - at : nr),
                       own + at * k);
        const omma_epilogue e = {.row_bias = bias ? (const float *)bias->mem + group * m : NULL};
        omma_gemm(j->kern, 1, m, count, k,
                  (const float *)(const void *)((const char *)j->w +
                                                (size_t)(group * m * k) * sizeof(float)),
                  k, own, (float *)j->n->out[0]->mem + (n * p->m + group * m) * p->pixels + first,
                  p->pixels, &e);
    }
}

/* --- any float -------------------------------------------------------------------------------- */

static double plain_one(const job *j, int64_t n, int64_t m, int64_t o) {
    const deform *p = j->p;
    const omma_value *x = j->n->in[X], *bias = omma_in(j->n, BIAS);
    const int64_t group = m / (p->m / p->groups), each = p->groups * p->c / p->offset_groups;
    double sum = bias ? omma_number(bias->dtype, bias->mem, m) : 0;
    for (int64_t c = 0; c < p->c; c++)
        for (int64_t t = 0; t < p->taps; t++) {
            const int64_t ch = group * p->c + c;
            const corners k = tap_at(p, j->n, n, ch / each, t, o);
            double v = 0;
            for (int i = 0; i < 4 && p->plane; i++)
                v += k.w[i] * omma_number(x->dtype, x->mem,
                                          (n * p->groups * p->c + ch) * p->plane + k.at[i]);
            sum += v * omma_number(x->dtype, j->w, (m * p->c + c) * p->taps + t);
        }
    return sum;
}

/* Items are output planes. */
static void plain_planes(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const deform *p = j->p;
    for (int64_t i = begin; i < end; i++)
        for (int64_t o = 0; o < p->pixels; o++)
            omma_set_number(j->n->out[0]->dtype, j->n->out[0]->mem, i * p->pixels + o,
                            plain_one(j, i / p->m, i % p->m, o));
}

static omma_status run(const omma_exec *x, const omma_node *n) {
    const deform *p = n->param;
    job j = {x->kern, n, p, n->packed_in & 1u << W ? n->packed : n->in[W]->mem};
    if (!n->out[0] || !omma_value_count(n->out[0])) return OMMA_OK;
    if (!p->fast) {
        omma_parallel(x->threads, p->n * p->m, 1, plain_planes, &j);
        return OMMA_OK;
    }
    const int64_t each = p->panels * x->kern->nr;
    omma_parallel(x->threads < p->workers ? x->threads : p->workers,
                  p->n * p->groups * ((p->pixels + each - 1) / each), 1, panels, &j);
    return OMMA_OK;
}

static double flops(const omma_node *n) {
    const deform *p = n->param;
    return (2 * (double)p->m + 8 * (double)p->groups) * (double)p->n * (double)p->pixels *
           (double)p->c * (double)p->taps;
}

const omma_op omma_op_DeformConv = {.name = "DeformConv",
                                    .min_in = 3,
                                    .max_in = 5,
                                    .min_out = 1,
                                    .max_out = 1,
                                    .infer = infer,
                                    .prepare = prepare,
                                    .run = run,
                                    .flops = flops,
                                    .no_grad = OMMA_NOT_YET,
                                    .no_field = OMMA_NOT_YET};
