/* convolution_last.c - ConvLast: a convolution on channels-last maps, which the layout pass makes
 * (last_ops.h).
 *
 *   x: f32 [N, H, W, G*C]   w: f32 [M, C, kh, kw], constant   bias: [M]   add, y: [N, OH, OW, M]
 *
 * With the attribute OMMA_CONV_PLANES x is [N, C, H, W], as pictures come.
 *
 * The weights are packed once a session in the form the kernel of this geometry reads
 * (kernel/last.h), in whose place the file's pages are given back. With x in bfloat16 (half_ops.h)
 * the products are of bfloat16 (kernel/bf16.h) but where float32 is as fast, and x may have more
 * channels than the weights, which count for nothing, so that their number is even. */
#include "graph/scaled.h"
#include "op/conv_grad.h"
#include "op/half_ops.h"
#include "op/last_ops.h"
#include "op/window.h"

typedef struct conv_param {
    omma_conv conv;
    omma_epilogue act;
    int workers; /* threads the working memory is for */
    int64_t w_c; /* channels of the weights */
    bool depthwise;
    bool winograd; /* of x in bfloat16 */
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

/* x of a convolution in bfloat16 may have more channels. */
static omma_status find_channels(omma_build *b, const omma_node *n, conv_param *p) {
    const omma_value *x = n->in[0];
    p->w_c = p->conv.c;
    p->depthwise = p->conv.c == 1 && p->conv.m == p->conv.groups;
    if (x->dtype != OMMA_BF16) return OMMA_OK;
    if (p->conv.groups == 1 && !p->depthwise && x->dims[3] > p->w_c) p->conv.c = x->dims[3];
    if (x->dims[3] != p->conv.groups * p->conv.c)
        return omma_bad(b, n, "weights for another number of channels");
    if (p->depthwise) return OMMA_OK;
    p->winograd = p->w_c == p->conv.c && omma_bf16_winograd_fits(b->kern, &p->conv);
    if (!omma_bf16_conv_fits(b->kern, &p->conv) || n->in[1]->dtype != OMMA_F32)
        return omma_unsupported(b, n, "this geometry in bfloat16");
    return OMMA_OK;
}

static omma_status convl_infer(omma_build *b, omma_node *n) {
    const omma_value *w = n->in[1], *add = omma_in(n, 3);
    const bool planes = omma_node_int(n, OMMA_CONV_PLANES, 0) != 0;
    const omma_value x = planes ? *n->in[0] : channels_first(n->in[0]);
    conv_param *p = omma_param(b, n, sizeof *p);
    omma_window win;
    if (!p) return omma_nomem(b, n);
    p->conv = (omma_conv){.n = x.dims[0],
                          .groups = omma_node_int(n, "group", 1),
                          .c = w->dims[1],
                          .m = w->dims[0],
                          .local = omma_node_int(n, OMMA_CONV_LOCAL, 0) != 0,
                          .planes = planes};
    OMMA_TRY(omma_window_read(b, n, &x, w->dims + 2, &win));
    OMMA_TRY(omma_window_slide(b, n, false, &win));
    set_geometry(&p->conv, &win);
    OMMA_TRY(omma_fused_read(b, n, OMMA_F32, &p->act));
    OMMA_TRY(find_channels(b, n, p));
    const int64_t dims[] = {x.dims[0], p->conv.oh, p->conv.ow, p->conv.m};
    if (x.dtype == OMMA_BF16) {
        omma_dtype t = OMMA_NONE;
        int64_t count;
        if (!omma_dims_count(dims, 4, &count)) return omma_bad(b, n, "its size overflows");
        OMMA_TRY(omma_half_check(b, n, count, &t));
        return omma_out(b, n, 0, t, 4, dims);
    }
    OMMA_TRY(omma_out(b, n, 0, x.dtype, 4, dims));
    if (add && omma_value_count(add) != p->conv.n * p->conv.oh * p->conv.ow * p->conv.m)
        return omma_bad(b, n, "what is added ('%s') is not of the result's size", add->name);
    return OMMA_OK;
}

/* w packed for c; w_c: channels of the weights. */
static omma_status pack_weights(omma_build *b, const omma_node *n, const omma_value *w,
                                const omma_conv *c, int64_t w_c, size_t bytes, bool half,
                                void **packed) {
    const char *form =
        omma_arena_printf(b->arena, "%s %lld %lld", half ? "last:bf16" : omma_last_form(b->kern, c),
                          (long long)c->groups, (long long)c->c);
    const void *from;
    *packed = form ? omma_pack(b, w, form, bytes, &from) : NULL;
    if (!*packed) return omma_nomem(b, n);
    if (from) {
        if (half) omma_bf16_conv_pack(b->kern, c, w_c, *packed, from, omma_workers(b));
        else omma_last_pack(b->kern, c, *packed, from, omma_workers(b));
        omma_pack_done(w);
    }
    return OMMA_OK;
}

omma_status omma_conv_last_pack(omma_build *b, const omma_node *n, const omma_value *w,
                                const omma_conv *c, void **packed) {
    size_t bytes;
    if (!omma_last_packed_bytes(b->kern, c, &bytes))
        return omma_bad(b, n, "its packed weights overflow");
    return pack_weights(b, n, w, c, c->c, bytes, false, packed);
}

const omma_conv *omma_conv_last_geometry(const omma_node *n, omma_epilogue *act) {
    const conv_param *p = n->param;
    *act = p->act;
    return &p->conv;
}

/* Are the weights bfloat16? */
static bool half_weights(const omma_node *n, const conv_param *p) {
    return n->in[0]->dtype == OMMA_BF16 && !p->depthwise && !p->winograd;
}

/* Bytes of working memory and of packed weights. */
static bool find_sizes(const omma_kernels *kern, const omma_node *n, const conv_param *p,
                       size_t *work, size_t *packed) {
    const omma_conv *c = &p->conv;
    if (half_weights(n, p)) return omma_bf16_conv_sizes(kern, c, p->workers, packed, work);
    if (!omma_last_packed_bytes(kern, c, packed) ||
        !omma_last_scratch(kern, c, p->workers, work)) /* checks more sizes */
        return false;
    if (n->in[0]->dtype != OMMA_BF16) return true;
    return p->depthwise ? omma_bf16_depthwise_scratch(c, p->workers, work)
                        : omma_bf16_winograd_scratch(kern, c, p->workers, work);
}

static omma_status convl_prepare(omma_build *b, omma_node *n) {
    conv_param *p = (conv_param *)n->param;
    size_t packed;
    p->workers = omma_workers(b);
    if (!find_sizes(b->kern, n, p, &n->scratch, &packed))
        return omma_bad(b, n, "its working memory or packed weights overflow");
    if (omma_in(n, 3)) n->in_place |= 1u << 3;
    n->packed_in |= 1u << 1;
    void *weights;
    OMMA_TRY(pack_weights(b, n, n->in[1], &p->conv, p->w_c, packed, half_weights(n, p), &weights));
    n->packed = weights;
    return OMMA_OK;
}

static void run_half(const omma_exec *x, const omma_node *n, const conv_param *p) {
    const omma_bf16_out o = omma_half_out(n, &p->act, p->conv.m);
    const int threads = x->threads < p->workers ? x->threads : p->workers;
    if (p->depthwise)
        omma_bf16_depthwise(x->kern, threads, &p->conv, n->in[0]->mem, n->packed, n->out[0]->mem,
                            &o, n->work);
    else if (p->winograd)
        omma_bf16_winograd(x->kern, threads, &p->conv, n->in[0]->mem, n->packed, n->out[0]->mem, &o,
                           n->work);
    else
        omma_bf16_conv(x->kern, threads, &p->conv, n->in[0]->mem, n->packed, n->out[0]->mem, &o,
                       n->work);
}

static omma_status convl_run(const omma_exec *x, const omma_node *n) {
    const conv_param *p = n->param;
    const omma_value *bias = omma_in(n, 2), *add = omma_in(n, 3);
    const omma_conv *c = &p->conv;
    omma_epilogue e = p->act;
    if (!n->out[0]) return OMMA_OK;
    if (n->in[0]->dtype == OMMA_BF16) {
        run_half(x, n, p);
        return OMMA_OK;
    }
    e.col_bias = bias ? bias->mem : NULL;
    e.add = add ? add->mem : NULL, e.add_ld = c->m;
    omma_last_run(x->kern, x->threads < p->workers ? x->threads : p->workers, c, n->in[0]->mem,
                  c->groups * c->c, n->packed, n->out[0]->mem, c->m, &e, n->work);
    return OMMA_OK;
}

static double convl_flops(const omma_node *n) {
    const conv_param *p = n->param;
    if (!n->out[0]) return 0;
    return 2.0 * (double)omma_value_count(n->out[0]) * (double)p->w_c * (double)p->conv.kh *
           (double)p->conv.kw;
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
