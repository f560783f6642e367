/* conv_transpose_last.c - ConvTransposeLast: a transposed convolution on channels-last maps, which
 * the layout pass makes (last_ops.h): where a map grows, and on the way back through a convolution
 * with strides.
 *
 *   x: f32 [N, H, W, G*C]   w: f32 [G*C, M, kh, kw], constant   bias: [G*M]   y: [N, OH, OW, G*M]
 *
 * The weights are packed once a session (kernel/last_back.h). */
#include "graph/scaled.h"
#include "kernel/last_back.h"
#include "op/conv_transpose.h"
#include "op/last_ops.h"

typedef struct back_param {
    omma_conv conv;
    int workers; /* threads the working memory is for */
} back_param;

/* x as ConvTranspose would see it. */
static omma_value channels_first(const omma_value *x) {
    omma_value v = *x;
    v.dims[1] = x->dims[3], v.dims[2] = x->dims[1], v.dims[3] = x->dims[2];
    return v;
}

static omma_status infer(omma_build *b, omma_node *n) {
    const omma_value *w = n->in[1], x = channels_first(n->in[0]);
    const int64_t groups = omma_node_int(n, "group", 1);
    back_param *p = omma_param(b, n, sizeof *p);
    omma_window win;
    if (!p) return omma_nomem(b, n);
    OMMA_TRY(omma_transpose_window(b, n, &x, w->dims + 2, &win));
    p->conv = (omma_conv){.n = x.dims[0],
                          .groups = groups,
                          .c = x.dims[1] / groups,
                          .h = win.in[0],
                          .w = win.in[1],
                          .m = w->dims[1] * groups,
                          .oh = win.out[0],
                          .ow = win.out[1],
                          .kh = (int)win.kernel[0],
                          .kw = (int)win.kernel[1],
                          .stride_h = (int)win.stride[0],
                          .stride_w = (int)win.stride[1],
                          .dilation_h = (int)win.dilation[0],
                          .dilation_w = (int)win.dilation[1],
                          .pad_top = win.pad[0],
                          .pad_left = win.pad[1]};
    return omma_out(b, n, 0, x.dtype, 4, (int64_t[]){p->conv.n, p->conv.oh, p->conv.ow, p->conv.m});
}

static omma_status prepare(omma_build *b, omma_node *n) {
    back_param *p = (back_param *)n->param;
    const omma_value *w = n->in[1];
    const char *form = omma_arena_printf(b->arena, "last:back %lld", (long long)p->conv.groups);
    size_t packed;
    const void *from;
    p->workers = omma_workers(b);
    if (!omma_last_back_sizes(b->kern, &p->conv, p->workers, &packed, &n->scratch))
        return omma_bad(b, n, "its working memory or packed weights overflow");
    void *weights = form ? omma_pack(b, w, form, packed, &from) : NULL;
    if (!weights) return omma_nomem(b, n);
    if (from) {
        omma_last_back_pack(b->kern, &p->conv, weights, from);
        omma_pack_done(w);
    }
    n->packed = weights;
    n->packed_in |= 1u << 1;
    return OMMA_OK;
}

static omma_status run(const omma_exec *x, const omma_node *n) {
    const back_param *p = n->param;
    const omma_value *bias = omma_in(n, 2);
    if (n->out[0])
        omma_last_back(x->kern, x->threads < p->workers ? x->threads : p->workers, &p->conv,
                       n->in[0]->mem, p->conv.groups * p->conv.c, n->packed, n->out[0]->mem,
                       p->conv.m, bias ? bias->mem : NULL, n->work);
    return OMMA_OK;
}

static double flops(const omma_node *n) {
    const omma_conv *c = &((const back_param *)n->param)->conv;
    return 2.0 * (double)omma_value_count(n->in[0]) * (double)(c->m / c->groups) * c->kh * c->kw;
}

const omma_op omma_op_ConvTransposeLast = {.name = "ConvTransposeLast",
                                           .min_in = 2,
                                           .max_in = 3,
                                           .min_out = 1,
                                           .max_out = 1,
                                           .infer = infer,
                                           .prepare = prepare,
                                           .run = run,
                                           .flops = flops,
                                           .no_grad = OMMA_MADE_LATE,
                                           .no_field = OMMA_MADE_LATE};
