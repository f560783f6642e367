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
#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "op/deform.h"
#include "op/element.h"
#include "op/field.h"
#include "op/fused.h"

enum { X, W, OFFSET, BIAS, MASK }; /* inputs */
enum { PANEL_BYTES = 512 << 10, MAX_PANELS = 8, MAX_NR = 64 };

typedef struct deform {
    omma_deform d;
    int64_t groups, c, m; /* c: channels of a group; m: of the output */
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
    p->m = w->dims[0], p->c = w->dims[1];
    p->groups = omma_node_int(n, "group", 1);
    if (p->groups < 1 || x->dims[1] % p->groups || p->m % p->groups ||
        x->dims[1] / p->groups != p->c)
        return omma_bad(b, n, "%lld channels in %lld groups do not fit the weights '%s'",
                        (long long)x->dims[1], (long long)p->groups, w->name);
    if (bias && (bias->rank != 1 || bias->dims[0] != p->m))
        return omma_bad(b, n, "the bias '%s' must hold %lld numbers", bias->name, (long long)p->m);
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
    OMMA_TRY(omma_deform_read(b, n, x, w->dims + 2, n->in[OFFSET], omma_in(n, MASK), &p->d));
    p->fast = x->dtype == OMMA_F32 && p->c > 0 && p->m > 0 && p->d.plane > 0;
    return omma_out(b, n, 0, x->dtype, 4,
                    (int64_t[]){p->d.n, p->m, p->d.win.out[0], p->d.win.out[1]});
}

static omma_status prepare(omma_build *b, omma_node *n) {
    deform *p = (deform *)n->param;
    if (!p->fast) return OMMA_OK;
    if (b->kern->nr > MAX_NR) return omma_unsupported(b, n, "tiles of %d columns", b->kern->nr);
    const int64_t k = p->c * p->d.taps;
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

/* The corners of tap t of offset group g for output pixel o of image n, their weights times the
 * mask. */
static omma_corners tap_at(const deform *p, const omma_node *node, int64_t n, int64_t g, int64_t t,
                           int64_t o) {
    const omma_value *mask = omma_in(node, MASK);
    const omma_place at =
        omma_deform_place(&p->d, node->in[OFFSET]->mem, mask ? mask->mem : NULL, n, g, t, o);
    omma_corners c = omma_deform_corners(&p->d.win, at.y, at.x);
    for (int i = 0; i < 4; i++) c.w[i] *= at.scale;
    return c;
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
        const omma_corners c = tap_at(p, j->n, n, g, t, first + k);
        for (int i = 0; i < 4; i++) at[i][k] = c.at[i], w[i][k] = (float)c.w[i];
    }
    const float *x = (const float *)j->n->in[X]->mem + (n * p->groups * p->c + c0) * p->d.plane;
    for (int64_t c = c0; c < c1; c++, x += p->d.plane, row += row_step) {
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
    const int64_t begin = group * p->c, end = begin + p->c, each = p->groups * p->c / p->d.groups;
    const int nr = j->kern->nr;
    for (int64_t c0 = begin; c0 < end;) {
        const int64_t g = c0 / each, stop = (g + 1) * each, c1 = stop < end ? stop : end;
        for (int64_t t = 0; t < p->d.taps; t++)
            sample_tap(j, n, g, t, first, count, c0, c1, p->d.taps * nr,
                       panel + ((c0 - begin) * p->d.taps + t) * nr);
        c0 = c1;
    }
}

/* Items are runs of panels of all groups and images. */
static void panels(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const deform *p = j->p;
    const omma_value *bias = omma_in(j->n, BIAS);
    const int nr = j->kern->nr;
    const int64_t run = p->panels * nr, runs = (p->d.pixels + run - 1) / run, k = p->c * p->d.taps,
                  m = p->m / p->groups;
    float *own = (float *)(void *)((char *)j->n->work + (size_t)worker * p->each);
    for (int64_t i = begin; i < end; i++) {
        const int64_t n = i / runs / p->groups, group = i / runs % p->groups,
                      first = i % runs * run;
        const int64_t count = p->d.pixels - first < run ? p->d.pixels - first : run;
        for (int64_t at = 0; at < count; at += nr)
            fill_panel(j, n, group, first + at, (int)(count - at < nr ? count - at : nr),
                       own + at * k);
        const omma_epilogue e = {.row_bias = bias ? (const float *)bias->mem + group * m : NULL};
        omma_gemm(j->kern, 1, m, count, k,
                  (const float *)(const void *)((const char *)j->w +
                                                (size_t)(group * m * k) * sizeof(float)),
                  k, own, (float *)j->n->out[0]->mem + (n * p->m + group * m) * p->d.pixels + first,
                  p->d.pixels, &e, NULL);
    }
}

/* --- any float -------------------------------------------------------------------------------- */

static double plain_one(const job *j, int64_t n, int64_t m, int64_t o) {
    const deform *p = j->p;
    const omma_value *x = j->n->in[X], *bias = omma_in(j->n, BIAS);
    const int64_t group = m / (p->m / p->groups), each = p->groups * p->c / p->d.groups;
    double sum = bias ? omma_number(bias->dtype, bias->mem, m) : 0;
    for (int64_t c = 0; c < p->c; c++)
        for (int64_t t = 0; t < p->d.taps; t++) {
            const int64_t ch = group * p->c + c;
            const omma_corners k = tap_at(p, j->n, n, ch / each, t, o);
            double v = 0;
            for (int i = 0; i < 4 && p->d.plane; i++)
                v += k.w[i] * omma_number(x->dtype, x->mem,
                                          (n * p->groups * p->c + ch) * p->d.plane + k.at[i]);
            sum += v * omma_number(x->dtype, j->w, (m * p->c + c) * p->d.taps + t);
        }
    return sum;
}

/* Items are output planes. */
static void plain_planes(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const deform *p = j->p;
    for (int64_t i = begin; i < end; i++)
        for (int64_t o = 0; o < p->d.pixels; o++)
            omma_set_number(j->n->out[0]->dtype, j->n->out[0]->mem, i * p->d.pixels + o,
                            plain_one(j, i / p->m, i % p->m, o));
}

static omma_status run(const omma_exec *x, const omma_node *n) {
    const deform *p = n->param;
    job j = {x->kern, n, p, n->packed_in & 1u << W ? n->packed : n->in[W]->mem};
    if (!n->out[0] || !omma_value_count(n->out[0])) return OMMA_OK;
    if (!p->fast) {
        omma_parallel(x->threads, p->d.n * p->m, 1, plain_planes, &j);
        return OMMA_OK;
    }
    const int64_t each = p->panels * x->kern->nr;
    omma_parallel(x->threads < p->workers ? x->threads : p->workers,
                  p->d.n * p->groups * ((p->d.pixels + each - 1) / each), 1, panels, &j);
    return OMMA_OK;
}

static double flops(const omma_node *n) {
    const deform *p = n->param;
    return (2 * (double)p->m + 8 * (double)p->groups) * (double)p->d.n * (double)p->d.pixels *
           (double)p->c * (double)p->d.taps;
}

/* --- the gradient ------------------------------------------------------------------------------
 */

/* The convolution's attributes with kernel_shape, and the image's dims. */
static const omma_attr *attrs_of(omma_maker *m, const omma_node *n, int *count) {
    omma_attr *a = omma_arena_array(m->g->arena, (size_t)n->n_attrs + 2, sizeof *a);
    if (!a) {
        m->status = omma_nomem(m->b, n);
        return NULL;
    }
    if (n->n_attrs) memcpy(a, n->attrs, (size_t)n->n_attrs * sizeof *a);
    a[n->n_attrs] = OMMA_A_INTS("kernel_shape", n->in[W]->dims + 2, 2);
    a[n->n_attrs + 1] = OMMA_A_INTS(OMMA_DEFORM_IMAGE, n->in[X]->dims + 2, 2);
    *count = n->n_attrs + 2;
    return a;
}

/* Cotangents of x, offset and mask from that of the columns, d: [N, C, taps, pixels]. */
static omma_status columns_grad(omma_grad *g, const omma_node *n, omma_value *d,
                                const omma_attr *attrs, int n_attrs) {
    omma_maker *m = &g->m;
    omma_value *offset = n->in[OFFSET], *mask = omma_in(n, MASK);
    omma_value *to_x[] = {d, offset, mask}, *to_field[] = { n->in[X], d, offset, mask };
    const omma_node *made;
    if (omma_grad_wants(g, n, X)) {
        made = omma_make_node(m, &omma_op_DeformSpread, n->opset, to_x, 3, attrs, n_attrs, 1);
        OMMA_TRY(omma_grad_add(g, n, X, made ? made->out[0] : NULL));
    }
    if (!omma_grad_wants(g, n, OFFSET) && !omma_grad_wants(g, n, MASK)) return m->status;
    made = omma_make_node(m, &omma_op_DeformMoves, n->opset, to_field, 4, attrs, n_attrs,
                          mask ? 2 : 1);
    OMMA_TRY(omma_grad_add(g, n, OFFSET, made ? made->out[0] : NULL));
    return mask ? omma_grad_add(g, n, MASK, made ? made->out[1] : NULL) : m->status;
}

/* y is the product of the weights and the columns, group by group; so dw is that of dy and the
 * columns, and what comes back to the columns that of the weights and dy. */
static omma_status grad(omma_grad *g, const omma_node *n) {
    const deform *p = n->param;
    const omma_deform *q = &p->d;
    omma_maker *m = &g->m;
    omma_value *dy = omma_grad_out(g, n, 0), *w = n->in[W];
    int n_attrs = 0;
    const omma_attr *attrs = attrs_of(m, n, &n_attrs);
    const int64_t own = p->m / p->groups, k = p->c * q->taps,
                  by_group[] = {q->n, p->groups, own, q->pixels};
    omma_value *rows = omma_make_reshape(m, dy, 4, by_group);
    if (omma_grad_wants(g, n, X) || omma_grad_wants(g, n, OFFSET) || omma_grad_wants(g, n, MASK)) {
        omma_value *turned =
            omma_make_turned(m, omma_make_reshape(m, w, 3, (int64_t[]){p->groups, own, k}));
        omma_value *d = omma_make_reshape(m, omma_make_2(m, "MatMul", turned, rows), 4,
                                          (int64_t[]){q->n, q->channels, q->taps, q->pixels});
        OMMA_TRY(columns_grad(g, n, d, attrs, n_attrs));
    }
    if (omma_grad_wants(g, n, W)) {
        omma_value *in[] = { n->in[X], n->in[OFFSET], omma_in(n, MASK) };
        const omma_node *made =
            omma_make_node(m, &omma_op_DeformColumns, n->opset, in, 3, attrs, n_attrs, 1);
        omma_value *seen = omma_make_reshape(m, made ? made->out[0] : NULL, 4,
                                             (int64_t[]){q->n, p->groups, k, q->pixels});
        omma_value *dw = omma_make_2(m, "MatMul", rows, omma_make_turned(m, seen));
        OMMA_TRY(omma_grad_add(g, n, W, omma_make_shaped(m, omma_make_sum(m, dw, 1, false), w)));
    }
    if (!omma_grad_wants(g, n, BIAS)) return m->status;
    return omma_grad_add(g, n, BIAS, omma_make_sum(m, dy, 1u | 4u | 8u, false));
}

/* --- the field ----------------------------------------------------------------------------------
 */

/* Output channels to those channels of x (or, with per > 0, channels of offset or mask, `per` a
 * channel group) that lie in their group and in offset groups [g0, g1). */
static bool channel_list(omma_field *f, omma_map *map, const deform *p, int64_t g0, int64_t g1,
                         int64_t per) {
    const int64_t each = p->d.channels / p->d.groups, own = p->m / p->groups;
    int32_t *start, *item, n = 0;
    const int64_t most = per ? per * p->d.groups : p->c;
    if (!omma_map_list(f, map, 1, p->m, p->m * most, &start, &item)) return false;
    for (int64_t m = 0; m < p->m; m++) {
        const int64_t c0 = m / own * p->c, c1 = c0 + p->c;
        start[m] = n;
        for (int64_t g = g0; g < g1; g++) {
            const int64_t from = g * each > c0 ? g * each : c0,
                          to = (g + 1) * each < c1 ? (g + 1) * each : c1;
            if (from >= to) continue;
            for (int64_t i = per ? g * per : from; i < (per ? (g + 1) * per : to); i++)
                item[n++] = (int32_t)i;
        }
    }
    start[p->m] = n;
    return true;
}

/* Image n alone. */
static bool one_image(omma_field *f, omma_map *map, int64_t n, int64_t images) {
    int32_t *start, *item;
    if (!omma_map_list(f, map, 0, images, 1, &start, &item)) return false;
    for (int64_t i = 0; i <= images; i++) start[i] = i > n;
    item[0] = (int32_t)n;
    return true;
}

static int by_place(const void *a, const void *b) {
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* Output pixels to the pixels that the taps of offset group g read in image n: each once. */
static bool pixel_list(omma_field *f, omma_map *map, const deform *p, const void *offset,
                       const void *mask, int64_t n, int64_t g) {
    const omma_deform *q = &p->d;
    int32_t *start, *item, count = 0;
    if (!omma_map_list(f, map, 2, q->pixels, 4 * q->pixels * q->taps, &start, &item)) return false;
    for (int64_t o = 0; o < q->pixels; o++) {
        int32_t *own = item + count, k = 0, kept = 0;
        start[o] = count;
        for (int64_t t = 0; t < q->taps; t++) {
            const omma_place at = omma_deform_place(q, offset, mask, n, g, t, o);
            const omma_corners c = omma_deform_corners(&q->win, at.y, at.x);
            for (int i = 0; i < 4; i++)
                if (c.w[i] != 0 && at.scale != 0) own[k++] = (int32_t)c.at[i];
        }
        qsort(own, (size_t)k, sizeof *own, by_place);
        for (int32_t i = 0; i < k; i++)
            if (!i || own[i] != own[i - 1]) own[kept++] = own[i];
        count += kept;
    }
    start[q->pixels] = count;
    return true;
}

/* What the taps read for these offsets: by image and offset group. */
static omma_status sampled(omma_field *f, const omma_node *n, const void *offset) {
    const deform *p = n->param;
    const omma_deform *q = &p->d;
    const omma_value *m = omma_in(n, MASK);
    const void *mask = m ? omma_field_numbers(f, m) : NULL;
    for (int64_t i = 0; i < q->n * q->groups; i++) {
        omma_relation *r = omma_field_relate(f, 0, X);
        if (!r) return f->status;
        omma_relation_view_out(r, 3, (int64_t[]){q->n, p->m, q->pixels});
        omma_relation_view_in(r, 3, (int64_t[]){q->n, q->channels, q->plane});
        r->data = !n->in[OFFSET]->data || (mask && !m->data);
        if (!one_image(f, &r->axis[0], i / q->groups, q->n) ||
            !channel_list(f, &r->axis[1], p, i % q->groups, i % q->groups + 1, 0) ||
            !pixel_list(f, &r->axis[2], p, offset, mask, i / q->groups, i % q->groups))
            return f->status;
    }
    return f->status;
}

/* Offsets and mask of the same place, of the offset groups that the channel's group meets. */
static omma_status steered(omma_field *f, const deform *p, int input, int64_t per) {
    omma_relation *r = omma_field_relate(f, 0, input);
    if (!r) return f->status;
    r->path = OMMA_PATH_CONTROL;
    for (int d = 0; d < 4; d++)
        if (d != 1) omma_relation_same(r, d, d);
    (void)channel_list(f, &r->axis[1], p, 0, p->d.groups, per);
    return f->status;
}

static omma_status field(omma_field *f, const omma_node *n) {
    const deform *p = n->param;
    const void *offset = omma_field_numbers(f, n->in[OFFSET]);
    omma_relation *r;
    if (offset) OMMA_TRY(sampled(f, n, offset));
    else if ((r = omma_field_relate(f, 0, X))) { /* anywhere */ omma_relation_same(r, 0, 0);
        r->bound = true;
        if (!channel_list(f, &r->axis[1], p, 0, p->d.groups, 0)) return f->status;
    }
    OMMA_TRY(steered(f, p, OFFSET, 2 * p->d.taps));
    OMMA_TRY(steered(f, p, MASK, p->d.taps));
    r = omma_field_relate(f, 0, W);
    if (r) omma_relation_same(r, 0, 1);
    r = omma_field_relate(f, 0, BIAS);
    if (r) omma_relation_same(r, 0, 1);
    return f->status;
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
                                    .grad = grad,
                                    .field = field};
