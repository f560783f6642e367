/* col2im.c - Col2Im: put the columns of sliding blocks back into the picture, adding up where
 * blocks overlap.
 *
 *   x: [N, C * block, L]   image_shape: [spatial...]   block_shape: [spatial...]
 *   y: [N, C, spatial...]  L: the product of how often a block fits along each axis
 *
 * Column l holds the block at (place of l) * stride - pad, its taps dilation apart. f32 adds
 * whole rows tap by tap; other types collect the terms of one pixel, floats in double,
 * integers modulo 2^64. Source: ONNX Col2Im 18. */
#include <string.h>

#include "base/checked.h"
#include "base/pool.h"
#include "op/element.h"
#include "op/grad.h"
#include "op/window.h"

typedef struct col2im {
    omma_window w; /* in: the image, out: how often a block fits */
    int64_t n, c, blocks;
} col2im;

/* k positive integers of constant input i. */
static omma_status sizes_in(omma_build *b, const omma_node *n, int i, int *k, int64_t *out) {
    int count;
    OMMA_TRY(omma_ints_in(b, n, i, out, OMMA_MAX_SPATIAL, &count));
    if (count < 1 || (*k && count != *k))
        return omma_bad(b, n,
                        "image_shape and block_shape must have one or more numbers, both as many");
    for (int d = 0; d < count; d++)
        if (out[d] < 1)
            return omma_bad(b, n, "input %d ('%s') holds %lld; 1 or more is needed", i,
                            n->in[i]->name, (long long)out[d]);
    *k = count;
    return OMMA_OK;
}

static omma_status infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0];
    omma_value image = {.name = n->in[1]->name};
    int64_t block[OMMA_MAX_SPATIAL];
    int k = 0;
    OMMA_TRY(omma_want(b, n, 0, OMMA_IN_ANY));
    if (x->rank != 3)
        return omma_bad(b, n, "'%s' is of rank %d; [N, C * block, L] is needed", x->name, x->rank);
    col2im *c = omma_param(b, n, sizeof *c);
    if (!c) return omma_nomem(b, n);
    OMMA_TRY(sizes_in(b, n, 1, &k, image.dims + 2));
    OMMA_TRY(sizes_in(b, n, 2, &k, block));
    image.rank = k + 2;
    OMMA_TRY(omma_window_read(b, n, &image, block, &c->w));
    OMMA_TRY(omma_window_slide(b, n, false, &c->w));
    if (!omma_dims_count(c->w.out, k, &c->blocks) || c->blocks != x->dims[2])
        return omma_bad(b, n, "%lld columns for %lld places of the block", (long long)x->dims[2],
                        (long long)c->blocks);
    if (x->dims[1] % c->w.kernel_count)
        return omma_bad(b, n, "%lld rows are no multiple of a block of %lld", (long long)x->dims[1],
                        (long long)c->w.kernel_count);
    c->n = image.dims[0] = x->dims[0], c->c = image.dims[1] = x->dims[1] / c->w.kernel_count;
    return omma_out(b, n, 0, x->dtype, image.rank, image.dims);
}

typedef struct job {
    const col2im *c;
    omma_dtype type;
    const void *x;
    void *y;
} job;

/* Add the numbers of tap `tap` at all places whose coordinates but the last are at[]. */
static void add_row(const omma_window *w, const int64_t *tap, const int64_t *at, const float *x,
                    float *y) {
    const int last = w->k - 1;
    int64_t row = 0;
    for (int d = 0; d < last; d++) {
        const int64_t i = at[d] * w->stride[d] - w->pad[d] + tap[d] * w->dilation[d];
        if (i < 0 || i >= w->in[d]) return;
        row = row * w->in[d] + i;
    }
    const int64_t stride = w->stride[last], shift = tap[last] * w->dilation[last] - w->pad[last];
    int64_t first = shift < 0 ? (-shift + stride - 1) / stride : 0, end = 0;
    if (shift < w->in[last]) end = (w->in[last] - 1 - shift) / stride + 1;
    if (end > w->out[last]) end = w->out[last];
    y += row * w->in[last];
    for (int64_t o = first; o < end; o++) y[o * stride + shift] += x[o];
}

/* Items are planes of the output. */
static void planes_f32(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const omma_window *w = &j->c->w;
    const int64_t len = w->out[w->k - 1], rows = j->c->blocks / len;
    for (int64_t i = begin; i < end; i++) {
        float *y = (float *)j->y + i * w->in_count;
        const float *x = (const float *)j->x + i * w->kernel_count * j->c->blocks;
        memset(y, 0, (size_t)w->in_count * sizeof *y);
        for (int64_t t = 0; t < w->kernel_count; t++) {
            int64_t tap[OMMA_MAX_SPATIAL], at[OMMA_MAX_SPATIAL];
            omma_unravel(t, w->kernel, w->k, tap);
            for (int64_t r = 0; r < rows; r++, x += len) {
                omma_unravel(r, w->out, w->k - 1, at);
                add_row(w, tap, at, x, y);
            }
        }
    }
}

/* The column that puts tap `tap` on the pixel at[], or -1. */
static int64_t column(const omma_window *w, const int64_t *tap, const int64_t *at) {
    int64_t l = 0;
    for (int d = 0; d < w->k; d++) {
        const int64_t i = at[d] + w->pad[d] - tap[d] * w->dilation[d];
        if (i < 0 || i % w->stride[d] || i / w->stride[d] >= w->out[d]) return -1;
        l = l * w->out[d] + i / w->stride[d];
    }
    return l;
}

static void plain_pixel(const job *j, int64_t plane, const int64_t *at, int64_t to) {
    const omma_window *w = &j->c->w;
    double sum = 0;
    uint64_t whole = 0;
    for (int64_t t = 0; t < w->kernel_count; t++) {
        int64_t tap[OMMA_MAX_SPATIAL];
        omma_unravel(t, w->kernel, w->k, tap);
        const int64_t l = column(w, tap, at),
                      from = (plane * w->kernel_count + t) * j->c->blocks + l;
        if (l < 0) continue;
        if (omma_is_float(j->type)) sum += omma_number(j->type, j->x, from);
        else if (j->type == OMMA_BOOL) whole |= (uint64_t)omma_get_int(j->type, j->x, from);
        else whole += (uint64_t)omma_get_int(j->type, j->x, from);
    }
    if (omma_is_float(j->type)) omma_set_number(j->type, j->y, to, sum);
    else omma_set_int(j->type, j->y, to, (int64_t)whole);
}

static void planes_plain(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const omma_window *w = &j->c->w;
    for (int64_t i = begin; i < end; i++)
        for (int64_t p = 0; p < w->in_count; p++) {
            int64_t at[OMMA_MAX_SPATIAL];
            omma_unravel(p, w->in, w->k, at);
            plain_pixel(j, i, at, i * w->in_count + p);
        }
}

static omma_status run(const omma_exec *x, const omma_node *n) {
    const col2im *c = n->param;
    if (!omma_wanted(n, 0)) return OMMA_OK;
    job j = {c, n->in[0]->dtype, n->in[0]->mem, n->out[0]->mem};
    omma_parallel(x->threads, c->n * c->c, 1, j.type == OMMA_F32 ? planes_f32 : planes_plain, &j);
    return OMMA_OK;
}

static double flops(const omma_node *n) { return (double)omma_value_count(n->in[0]); }

/* --- the readings in reverse -------------------------------------------------------------- */

/* Where, in a padded plane, the taps of all columns lie: [taps, L]. */
static omma_value *places(omma_maker *m, const omma_window *w, const int64_t *padded) {
    int64_t strides[OMMA_MAX_SPATIAL], blocks = 1;
    for (int d = 0; d < w->k; d++) blocks *= w->out[d];
    const int64_t count = w->kernel_count * blocks;
    int64_t *list = count <= INT32_MAX ? omma_arena_array(m->b->arena, (size_t)count, 8) : NULL;
    if (!list) {
        m->status = omma_nomem(m->b, m->of);
        return NULL;
    }
    omma_strides(padded, w->k, strides);
    for (int64_t i = 0; i < count; i++) {
        int64_t tap[OMMA_MAX_SPATIAL], at[OMMA_MAX_SPATIAL];
        omma_unravel(i / blocks, w->kernel, w->k, tap);
        omma_unravel(i % blocks, w->out, w->k, at);
        list[i] = 0;
        for (int d = 0; d < w->k; d++)
            list[i] += (at[d] * w->stride[d] + tap[d] * w->dilation[d]) * strides[d];
    }
    return omma_make_ints(m, list, (int)count);
}

/* Every column takes its numbers from the picture, zeros from the padding. */
static omma_status grad(omma_grad *g, const omma_node *n) {
    const col2im *c = n->param;
    const omma_window *w = &c->w;
    omma_maker *m = &g->m;
    omma_value *dy = omma_grad_out(g, n, 0);
    int64_t padded[OMMA_MAX_SPATIAL], pads[2 * OMMA_MAX_RANK] = {0}, plane = 1;
    bool pad = false;
    for (int d = 0; d < w->k; d++) {
        pads[2 + d] = w->pad[d], pads[w->k + 4 + d] = w->pad_end[d];
        padded[d] = w->in[d] + w->pad[d] + w->pad_end[d];
        plane *= padded[d];
        pad |= padded[d] > w->in[d];
    }
    if (pad) dy = omma_make_2(m, "Pad", dy, omma_make_ints(m, pads, 2 * (w->k + 2)));
    const omma_attr axis = OMMA_A_INT("axis", 2);
    omma_value *in[] = {omma_make_reshape(m, dy, 3, (int64_t[]){c->n, c->c, plane}),
                        places(m, w, padded)};
    return omma_grad_add(g, n, 0,
                         omma_make_shaped(m, omma_make(m, "Gather", in, 2, &axis, 1), n->in[0]));
}

/* A pixel is made from the taps of the columns that lie on it. */
static omma_status field(omma_field *f, const omma_node *n) {
    const col2im *c = n->param;
    const omma_window *w = &c->w;
    int32_t *start, *item, count = 0;
    omma_relation *r = omma_field_relate(f, 0, 0);
    if (!r) return f->status;
    omma_relation_view_out(r, 3, (int64_t[]){c->n, c->c, w->in_count});
    omma_relation_view_in(r, 3, (int64_t[]){c->n, c->c, w->kernel_count * c->blocks});
    omma_relation_same(r, 0, 0);
    omma_relation_same(r, 1, 1);
    if (!omma_map_list(f, &r->axis[2], 2, w->in_count, w->kernel_count * c->blocks, &start, &item))
        return f->status;
    for (int64_t p = 0; p < w->in_count; p++) {
        int64_t at[OMMA_MAX_SPATIAL], tap[OMMA_MAX_SPATIAL];
        omma_unravel(p, w->in, w->k, at);
        start[p] = count;
        for (int64_t t = 0; t < w->kernel_count; t++) {
            omma_unravel(t, w->kernel, w->k, tap);
            const int64_t l = column(w, tap, at);
            if (l >= 0) item[count++] = (int32_t)(t * c->blocks + l);
        }
    }
    start[w->in_count] = count;
    return f->status;
}

const omma_op omma_op_Col2Im = {.name = "Col2Im",
                                .min_in = 3,
                                .max_in = 3,
                                .min_out = 1,
                                .max_out = 1,
                                .infer = infer,
                                .run = run,
                                .flops = flops,
                                .grad = grad,
                                .field = field};
