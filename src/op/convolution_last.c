/* convolution_last.c - ConvLast: a convolution on channels-last maps, which the layout pass makes
 * (last_ops.h).
 *
 *   x: f32 [N, H, W, G*C]   w: f32 [M, C, kh, kw], constant   bias: [M]   add, y: [N, OH, OW, M]
 *
 * The weights are packed once a session in the form the kernel of this geometry reads
 * (kernel/last.h), in whose place the file's pages are given back. */
#include "graph/scaled.h"
#include "op/fused.h"
#include "op/last_ops.h"
#include "op/window.h"

typedef struct conv_param {
    omma_conv conv;
    omma_epilogue act;
    int workers; /* threads the working memory is for */
} conv_param;

/* x as Conv would see it. */
static omma_value channels_first(const omma_value *x) {
    omma_value v = *x;
    v.dims[1] = x->dims[3], v.dims[2] = x->dims[1], v.dims[3] = x->dims[2];
    return v;
}

static void set_geometry(omma_conv *c, const omma_window *w) {
    c->h = w->in[0], c->w = w->in[1];
    c->oh = w->out[0], c->ow = w->out[1];
    c->kh = (int)w->kernel[0], c->kw = (int)w->kernel[1];
    c->stride_h = (int)w->stride[0], c->stride_w = (int)w->stride[1];
    c->dilation_h = (int)w->dilation[0], c->dilation_w = (int)w->dilation[1];
    c->pad_top = w->pad[0], c->pad_left = w->pad[1];
}

static omma_status convl_infer(omma_build *b, omma_node *n) {
    const omma_value *w = n->in[1], *add = omma_in(n, 3), x = channels_first(n->in[0]);
    conv_param *p = omma_param(b, n, sizeof *p);
    omma_window win;
    if (!p) return omma_nomem(b, n);
    p->conv = (omma_conv){
        .n = x.dims[0], .groups = omma_node_int(n, "group", 1), .c = w->dims[1], .m = w->dims[0]};
    OMMA_TRY(omma_window_read(b, n, &x, w->dims + 2, &win));
    OMMA_TRY(omma_window_slide(b, n, false, &win));
    set_geometry(&p->conv, &win);
    OMMA_TRY(omma_fused_read(b, n, x.dtype, &p->act));
    OMMA_TRY(
        omma_out(b, n, 0, x.dtype, 4, (int64_t[]){x.dims[0], p->conv.oh, p->conv.ow, p->conv.m}));
    if (add && omma_value_count(add) != p->conv.n * p->conv.oh * p->conv.ow * p->conv.m)
        return omma_bad(b, n, "what is added ('%s') is not of the result's size", add->name);
    return OMMA_OK;
}

static omma_status pack_weights(omma_build *b, omma_node *n, const omma_conv *c) {
    const omma_value *w = n->in[1];
    const char *form =
        omma_arena_printf(b->arena, "%s %lld", omma_last_form(b->kern, c), (long long)c->groups);
    size_t bytes;
    bool fresh;
    if (!omma_last_packed_bytes(b->kern, c, &bytes))
        return omma_bad(b, n, "its packed weights overflow");
    void *packed = form ? omma_pack(b, w, form, bytes, &fresh) : NULL;
    if (!packed) return omma_nomem(b, n);
    if (fresh) {
        omma_last_pack(b->kern, c, packed, w->data, omma_workers(b));
        omma_scaled_release(w);
    }
    n->packed = packed;
    n->packed_in |= 1u << 1;
    return OMMA_OK;
}

static omma_status convl_prepare(omma_build *b, omma_node *n) {
    conv_param *p = (conv_param *)n->param;
    p->workers = omma_workers(b);
    if (!omma_last_scratch(b->kern, &p->conv, p->workers, &n->scratch))
        return omma_bad(b, n, "its working memory overflows");
    if (omma_in(n, 3)) n->in_place |= 1u << 3;
    return pack_weights(b, n, &p->conv);
}

static omma_status convl_run(const omma_exec *x, const omma_node *n) {
    const conv_param *p = n->param;
    const omma_value *bias = omma_in(n, 2), *add = omma_in(n, 3);
    const omma_conv *c = &p->conv;
    omma_epilogue e = p->act;
    if (!n->out[0]) return OMMA_OK;
    e.col_bias = bias ? bias->mem : NULL;
    e.add = add ? add->mem : NULL, e.add_ld = c->m;
    omma_last_run(x->kern, x->threads < p->workers ? x->threads : p->workers, c, n->in[0]->mem,
                  c->groups * c->c, n->packed, n->out[0]->mem, c->m, &e, n->work);
    return OMMA_OK;
}

static double convl_flops(const omma_node *n) {
    const omma_conv *c = &((const conv_param *)n->param)->conv;
    if (!n->out[0]) return 0;
    return 2.0 * (double)omma_value_count(n->out[0]) * (double)c->c * (double)c->kh * (double)c->kw;
}

const omma_op omma_op_ConvLast = {.name = "ConvLast",
                                  .min_in = 2,
                                  .max_in = 4,
                                  .min_out = 1,
                                  .max_out = 1,
                                  .infer = convl_infer,
                                  .prepare = convl_prepare,
                                  .run = convl_run,
                                  .flops = convl_flops,
                                  .no_grad = OMMA_MADE_LATE,
                                  .no_field = OMMA_MADE_LATE};
