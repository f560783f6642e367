/* pooling_last.c - PoolLast: MaxPool and AveragePool on channels-last maps, which the layout pass
 * makes (last_ops.h); attribute "omma.mean" tells which.
 *
 *   x: f32 [N, H, W, C]   y: [N, OH, OW, C] */
#include "kernel/pool_last.h"
#include "op/last_ops.h"
#include "op/window.h"

static omma_status pool_infer(omma_build *b, omma_node *n) {
    const omma_value *in = n->in[0];
    omma_value x = *in;
    omma_window w;
    int64_t kernel[OMMA_MAX_SPATIAL];
    bool found;
    omma_pooling *p = omma_param(b, n, sizeof *p);
    if (!p) return omma_nomem(b, n);
    x.dims[1] = in->dims[3], x.dims[2] = in->dims[1], x.dims[3] = in->dims[2];
    OMMA_TRY(omma_window_kernel(b, n, 2, kernel, &found));
    if (!found) return omma_bad(b, n, "kernel_shape is missing");
    OMMA_TRY(omma_window_read(b, n, &x, kernel, &w));
    OMMA_TRY(omma_window_slide(b, n, omma_node_int(n, "ceil_mode", 0) != 0, &w));
    *p = (omma_pooling){.n = x.dims[0],
                        .c = x.dims[1],
                        .h = w.in[0],
                        .w = w.in[1],
                        .oh = w.out[0],
                        .ow = w.out[1],
                        .kh = (int)w.kernel[0],
                        .kw = (int)w.kernel[1],
                        .stride_h = (int)w.stride[0],
                        .stride_w = (int)w.stride[1],
                        .dilation_h = (int)w.dilation[0],
                        .dilation_w = (int)w.dilation[1],
                        .pad_top = w.pad[0],
                        .pad_left = w.pad[1],
                        .pad_bottom = w.pad_end[0],
                        .pad_right = w.pad_end[1],
                        .mean = omma_node_int(n, OMMA_POOL_MEAN, 0) != 0,
                        .include_pad = omma_node_int(n, "count_include_pad", 0) != 0};
    return omma_out(b, n, 0, x.dtype, 4, (int64_t[]){p->n, p->oh, p->ow, p->c});
}

static omma_status pool_run(const omma_exec *x, const omma_node *n) {
    const omma_pooling *p = n->param;
    if (n->out[0])
        omma_pool_last(x->kern, x->threads, p, n->in[0]->mem, p->c, n->out[0]->mem, p->c);
    return OMMA_OK;
}

static double pool_flops(const omma_node *n) {
    const omma_pooling *p = n->param;
    if (!n->out[0]) return 0;
    return (double)omma_value_count(n->out[0]) * (double)p->kh * (double)p->kw;
}

const omma_op omma_op_PoolLast = {.name = "PoolLast",
                                  .min_in = 1,
                                  .max_in = 1,
                                  .min_out = 1,
                                  .max_out = 1,
                                  .infer = pool_infer,
                                  .run = pool_run,
                                  .flops = pool_flops,
                                  .no_grad = OMMA_MADE_LATE,
                                  .no_field = OMMA_MADE_LATE};
