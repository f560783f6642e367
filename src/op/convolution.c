/* convolution.c - Conv: y[n,m,o] = bias[m] + sum over c, t of w[m,c,t] * x[n, group(m)*C + c,
 * o*stride - pad + t*dilation].
 *
 *   x: [N, G*C, spatial...]   w: [M, C, kernel...]   bias: [M], optional   y: [N, M, out...]
 *
 * One and two spatial axes in f32 go to the kernels; everything else, and an operator
 * without input channels, to the plain loop, which is also what the tests compare with.
 * Constant f32 weights are read where the file has them, at any alignment, and never
 * copied. Source: ONNX Conv, versions 1, 11, 22. */
#include <string.h>

#include "base/checked.h"
#include "base/pool.h"
#include "graph/scaled.h"
#include "op/conv_grad.h"
#include "op/fused.h"

typedef struct conv_param {
    omma_window win;
    int64_t n, groups, c, m; /* c: input channels of a group; m: all output channels */
    omma_epilogue act;
    bool fast;
    int workers;    /* threads the working memory is for */
    omma_conv conv; /* for the kernels when fast */
} conv_param;

/* The kernels' view; one spatial axis becomes the columns of a single row. */
static omma_conv as_2d(const conv_param *p) {
    const omma_window *w = &p->win;
    int last = w->k - 1;
    omma_conv c = {.n = p->n,
                   .groups = p->groups,
                   .c = p->c,
                   .m = p->m,
                   .h = 1,
                   .oh = 1,
                   .kh = 1,
                   .stride_h = 1,
                   .dilation_h = 1,
                   .w = w->in[last],
                   .ow = w->out[last],
                   .kw = (int)w->kernel[last],
                   .stride_w = (int)w->stride[last],
                   .dilation_w = (int)w->dilation[last],
                   .pad_left = w->pad[last]};
    if (w->k == 2) {
        c.h = w->in[0], c.oh = w->out[0], c.kh = (int)w->kernel[0];
        c.stride_h = (int)w->stride[0], c.dilation_h = (int)w->dilation[0], c.pad_top = w->pad[0];
    }
    return c;
}

static omma_status check_channels(omma_build *b, const omma_node *n, const omma_value *x,
                                  const omma_value *w, conv_param *p) {
    p->groups = omma_node_int(n, "group", 1);
    p->n = x->dims[0], p->m = w->dims[0], p->c = w->dims[1];
    if (p->groups < 1 || x->dims[1] % p->groups || p->m % p->groups)
        return omma_bad(b, n, "group %lld does not divide %lld input and %lld output channels",
                        (long long)p->groups, (long long)x->dims[1], (long long)p->m);
    if (x->dims[1] / p->groups != p->c)
        return omma_bad(
            b, n,
            "the input has %lld channels in %lld groups; the weights '%s' expect %lld a group",
            (long long)x->dims[1], (long long)p->groups, w->name, (long long)p->c);
    return OMMA_OK;
}

static omma_status check_types(omma_build *b, const omma_node *n) {
    const omma_value *x = n->in[0], *w = n->in[1], *bias = omma_in(n, 2);
    if (!omma_is_float(x->dtype))
        return omma_unsupported(b, n, "type %s", omma_dtype_name(x->dtype));
    if (w->dtype != x->dtype || (bias && bias->dtype != x->dtype))
        return omma_bad(b, n, "input, weights and bias must be of one type");
    if (w->rank != x->rank)
        return omma_bad(b, n, "input of rank %d, weights of rank %d", x->rank, w->rank);
    if (bias && (bias->rank != 1 || bias->dims[0] != w->dims[0]))
        return omma_bad(b, n,
                        "the bias '%s' must hold one number for each of the %lld output channels",
                        bias->name, (long long)w->dims[0]);
    return OMMA_OK;
}

static omma_status conv_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0], *w = n->in[1];
    conv_param *p = omma_param(b, n, sizeof *p);
    int64_t kernel[OMMA_MAX_SPATIAL], dims[OMMA_MAX_RANK];
    bool found;
    if (!p) return omma_nomem(b, n);
    if (x->rank < 3)
        return omma_bad(b, n, "input '%s' has rank %d; [N, C, spatial...] is needed", x->name,
                        x->rank);
    OMMA_TRY(check_types(b, n));
    OMMA_TRY(check_channels(b, n, x, w, p));
    OMMA_TRY(omma_window_kernel(b, n, x->rank - 2, kernel, &found));
    if (found && memcmp(kernel, w->dims + 2, (size_t)(x->rank - 2) * sizeof *kernel))
        return omma_bad(b, n, "kernel_shape is not the shape of the weights '%s'", w->name);
    OMMA_TRY(omma_window_read(b, n, x, w->dims + 2, &p->win));
    OMMA_TRY(omma_window_slide(b, n, false, &p->win));
    OMMA_TRY(omma_fused_read(b, n, x->dtype, &p->act));
    dims[0] = p->n, dims[1] = p->m;
    memcpy(dims + 2, p->win.out, (size_t)p->win.k * sizeof *dims);
    p->fast = x->dtype == OMMA_F32 && p->win.k <= 2 && p->n > 0 && p->c > 0 && p->m > 0 &&
              p->win.in_count > 0;
    return omma_out(b, n, 0, x->dtype, x->rank, dims);
}

static omma_status conv_prepare(omma_build *b, omma_node *n) {
    conv_param *p = (conv_param *)n->param;
    if (!p->fast) return OMMA_OK;
    p->conv = as_2d(p);
    p->workers = omma_workers(b);
    if (!omma_conv_scratch(b->kern, &p->conv, p->workers, &n->scratch))
        return omma_bad(b, n, "its working memory overflows");
    if (n->in[1]->data) {
        omma_scaled_keep(n->in[1]);
        n->packed = n->in[1]->data;
        n->packed_in |= 1u << 1;
    }
    return OMMA_OK;
}

/* --- the plain loop: any rank, any floating type --------------------------------- */

typedef struct conv_job {
    const conv_param *p;
    omma_dtype t;
    const void *x, *w, *bias;
    void *y;
    int64_t out_count;
} conv_job;

static double plain_one(const conv_job *j, int64_t n, int64_t m, const int64_t *at) {
    const conv_param *p = j->p;
    const int64_t plane = p->win.in_count, taps = p->win.kernel_count;
    const int64_t first = n * p->groups * p->c + m / (p->m / p->groups) * p->c;
    double sum = j->bias ? omma_number(j->t, j->bias, m) : 0;
    for (int64_t tap = 0; p->c && tap < taps; tap++) {
        int64_t offset = omma_window_at(&p->win, at, tap);
        if (offset < 0) continue;
        for (int64_t c = 0; c < p->c; c++)
            sum += omma_number(j->t, j->x, (first + c) * plane + offset) *
                   omma_number(j->t, j->w, (m * p->c + c) * taps + tap);
    }
    return sum;
}

/* Items are output planes (n, m). */
static void plain_planes(void *arg, int64_t begin, int64_t end, int worker) {
    const conv_job *j = arg;
    (void)worker;
    for (int64_t i = begin; i < end; i++)
        for (int64_t o = 0; o < j->out_count; o++) {
            int64_t at[OMMA_MAX_SPATIAL];
            omma_unravel(o, j->p->win.out, j->p->win.k, at);
            double v = plain_one(j, i / j->p->m, i % j->p->m, at);
            if (j->p->act.act) v = (double)omma_act_apply(&j->p->act, (float)v);
            omma_set_number(j->t, j->y, i * j->out_count + o, v);
        }
}

static omma_status conv_run(const omma_exec *x, const omma_node *n) {
    const conv_param *p = n->param;
    const omma_value *bias = omma_in(n, 2);
    const void *w = n->packed_in & 1u << 1 ? n->packed : n->in[1]->mem;
    omma_value *y = n->out[0];
    if (!y || !omma_value_count(y)) return OMMA_OK;
    if (p->fast) {
        omma_epilogue e = p->act;
        e.row_bias = bias ? bias->mem : NULL;
        omma_conv_run(x->kern, x->threads < p->workers ? x->threads : p->workers, &p->conv,
                      n->in[0]->mem, w, y->mem, &e, n->work);
        return OMMA_OK;
    }
    conv_job j = {p,
                  y->dtype,
                  n->in[0]->mem,
                  w,
                  bias ? bias->mem : NULL,
                  y->mem,
                  omma_value_count(y) / (p->n * p->m)};
    omma_parallel(x->threads, p->n * p->m, 1, plain_planes, &j);
    return OMMA_OK;
}

static double conv_flops(const omma_node *n) {
    const conv_param *p = n->param;
    if (!n->out[0]) return 0;
    return 2.0 * (double)omma_value_count(n->out[0]) * (double)p->c * (double)p->win.kernel_count;
}

static omma_status conv_grad(omma_grad *g, const omma_node *n) {
    const conv_param *p = n->param;
    omma_value *dy = omma_grad_out(g, n, 0);
    if (p->act.act)
        return omma_unsupported(g->m.b, n,
                                "a fused activation is differentiated before it is fused");
    if (omma_grad_wants(g, n, 0))
        OMMA_TRY(omma_grad_add(
            g, n, 0, omma_conv_grad_input(&g->m, dy, n->in[1], n->in[0], &p->win, p->groups)));
    if (omma_grad_wants(g, n, 1))
        OMMA_TRY(omma_grad_add(
            g, n, 1, omma_conv_grad_weights(&g->m, dy, n->in[0], n->in[1], &p->win, p->groups)));
    if (!omma_grad_wants(g, n, 2)) return OMMA_OK;
    return omma_grad_add(g, n, 2, omma_make_sum(&g->m, dy, ~2u & ((1u << dy->rank) - 1), false));
}

static omma_status conv_field(omma_field *f, const omma_node *n) {
    const conv_param *p = n->param;
    omma_relation *r = omma_field_relate(f, 0, 0);
    if (r) omma_relation_same(r, 0, 0);
    if (r && p->groups > 1) r->axis[1] = omma_map_blocks(1, p->m / p->groups, p->c);
    for (int d = 0; d < p->win.k && r; d++) r->axis[2 + d] = omma_window_map(&p->win, d, 2 + d);
    r = omma_field_relate(f, 0, 1); /* of weights that are computed, those of its channel */
    if (r) omma_relation_same(r, 0, 1);
    for (int d = 0; d < p->win.k && r; d++) r->axis[2 + d] = omma_window_taps(f, &p->win, d, 2 + d);
    r = omma_field_relate(f, 0, 2);
    if (r) omma_relation_same(r, 0, 1);
    return f->status;
}

const omma_op omma_op_Conv = {.name = "Conv",
                              .min_in = 2,
                              .max_in = 3,
                              .min_out = 1,
                              .max_out = 1,
                              .infer = conv_infer,
                              .prepare = conv_prepare,
                              .run = conv_run,
                              .flops = conv_flops,
                              .grad = conv_grad,
                              .field = conv_field};
