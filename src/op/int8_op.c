/* int8_op.c - ConvInt8 and LinearInt8; see int8_op.h. The work is kernel/int8.h's, but for an
 * addend that broadcasts: there the sums go to working memory as floats, and a plain loop does the
 * rest. */
#include "op/int8_op.h"

#include <string.h>

#include "base/checked.h"
#include "base/pool.h"
#include "graph/scaled.h"
#include "kernel/int8.h"
#include "op/element.h"
#include "op/last_ops.h"
#include "op/window.h"

typedef struct int8_param {
    omma_conv conv;         /* a matrix product is a 1x1 one */
    int64_t m_step, c_step; /* of w, see omma_int8_pack */
    int x_zero;
    float x_scale, y_scale;
    omma_int8_out out;                          /* without the arrays of addends */
    bool apart;                                 /* the addend broadcasts */
    int64_t dims[4], conv_step[4], add_step[4]; /* apart: of y, and strides */
    size_t scratch;                             /* of the kernel; apart: where the sums are */
    int workers;
} int8_param;

static omma_status check_types(omma_build *b, const omma_node *n) {
    OMMA_TRY(omma_want(b, n, OMMA_INT8_X, OMMA_BIT(OMMA_U8)));
    OMMA_TRY(omma_want(b, n, OMMA_INT8_W, OMMA_BIT(OMMA_I8)));
    OMMA_TRY(omma_want(b, n, OMMA_INT8_W_SCALE, OMMA_BIT(OMMA_F32)));
    if (omma_in(n, OMMA_INT8_BIAS)) OMMA_TRY(omma_want(b, n, OMMA_INT8_BIAS, OMMA_BIT(OMMA_F32)));
    if (omma_in(n, OMMA_INT8_ADD))
        OMMA_TRY(omma_want(b, n, OMMA_INT8_ADD, OMMA_BIT(OMMA_F32) | OMMA_BIT(OMMA_U8)));
    if (!n->in[OMMA_INT8_W]->data || !n->in[OMMA_INT8_W_SCALE]->data)
        return omma_unsupported(b, n, "weights that are no constants");
    return OMMA_OK;
}

static omma_status read_attrs(omma_build *b, const omma_node *n, int8_param *p) {
    omma_epilogue e = {0};
    omma_int8_out *o = &p->out;
    OMMA_TRY(omma_fused_read(b, n, OMMA_F32, &e));
    p->x_scale = omma_node_float(n, OMMA_INT8_X_SCALE, 1);
    p->x_zero = (int)omma_node_int(n, OMMA_INT8_X_ZERO, 0);
    p->y_scale = omma_node_float(n, OMMA_INT8_Y_SCALE, 1);
    *o = (omma_int8_out){.act = e.act,
                         .lo = e.lo,
                         .hi = e.hi,
                         .add_scale = omma_node_float(n, OMMA_INT8_ADD_SCALE, 1),
                         .add_zero = (int)omma_node_int(n, OMMA_INT8_ADD_ZERO, 0),
                         .post = omma_node_attr(n, OMMA_INT8_POST_SCALE) != NULL,
                         .post_scale = omma_node_float(n, OMMA_INT8_POST_SCALE, 1),
                         .post_shift = omma_node_float(n, OMMA_INT8_POST_SHIFT, 0),
                         .to_u8 = omma_node_attr(n, OMMA_INT8_Y_SCALE) != NULL,
                         .inverse = 1 / p->y_scale,
                         .zero = (int)omma_node_int(n, OMMA_INT8_Y_ZERO, 0)};
    return OMMA_OK;
}

/* A sum of k products fits an int32. */
static omma_status check_sum(omma_build *b, const omma_node *n, int64_t k) {
    if (k <= OMMA_INT8_MOST) return OMMA_OK;
    return omma_unsupported(b, n, "sums of %lld products of 8 bits", (long long)k);
}

/* One number, or one for each of m channels? */
static omma_status by_channel(omma_build *b, const omma_node *n, int i, int64_t m, bool one) {
    const omma_value *v = omma_in(n, i);
    if (!v || omma_value_count(v) == m || (one && omma_value_count(v) == 1)) return OMMA_OK;
    return omma_bad(b, n, "'%s' must hold one number for each of the %lld output channels", v->name,
                    (long long)m);
}

/* Strides of dims [4] within y [4]: 0 where it broadcasts. */
static bool steps_in(const int64_t *dims, const int64_t *y, int64_t *step) {
    int64_t s = 1;
    for (int d = 3; d >= 0; d--) {
        if (dims[d] != y[d] && dims[d] != 1) return false;
        step[d] = dims[d] == 1 ? 0 : s;
        s *= dims[d];
    }
    return true;
}

/* The addend may be smaller than the convolution, or larger. */
static omma_status fit_addend(omma_build *b, const omma_node *n, int8_param *p, int64_t *dims) {
    const omma_value *add = omma_in(n, OMMA_INT8_ADD);
    if (!add) return OMMA_OK;
    int64_t own[4];
    memcpy(own, dims, sizeof own);
    if (add->rank != 4) return omma_bad(b, n, "an addend of rank %d", add->rank);
    for (int d = 0; d < 4; d++)
        if (dims[d] == 1) dims[d] = add->dims[d];
    if (!steps_in(own, dims, p->conv_step) || !steps_in(add->dims, dims, p->add_step))
        return omma_bad(b, n, "its addend '%s' does not broadcast", add->name);
    memcpy(p->dims, dims, sizeof p->dims);
    p->apart = memcmp(own, dims, sizeof own) || memcmp(add->dims, dims, sizeof own);
    return OMMA_OK;
}

static omma_status conv_infer(omma_build *b, omma_node *n) {
    int8_param *p = omma_param(b, n, sizeof *p);
    const omma_value *x = n->in[OMMA_INT8_X], *w = n->in[OMMA_INT8_W];
    omma_window win;
    if (!p) return omma_nomem(b, n);
    OMMA_TRY(check_types(b, n));
    OMMA_TRY(read_attrs(b, n, p));
    if (x->rank != 4 || w->rank != 4 || x->dims[3] != w->dims[1])
        return omma_bad(b, n, "an input of rank %d whose channels are not those of the weights",
                        x->rank);
    omma_value turned = *x; /* [N,C,H,W], as windows are read */
    turned.dims[1] = x->dims[3], turned.dims[2] = x->dims[1], turned.dims[3] = x->dims[2];
    OMMA_TRY(omma_window_read(b, n, &turned, w->dims + 2, &win));
    OMMA_TRY(omma_window_slide(b, n, false, &win));
    OMMA_TRY(check_sum(b, n, w->dims[1] * win.kernel_count));
    OMMA_TRY(by_channel(b, n, OMMA_INT8_W_SCALE, w->dims[0], true));
    OMMA_TRY(by_channel(b, n, OMMA_INT8_BIAS, w->dims[0], false));
    p->conv = (omma_conv){.n = x->dims[0],
                          .groups = 1,
                          .c = x->dims[3],
                          .h = win.in[0],
                          .w = win.in[1],
                          .m = w->dims[0],
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
    p->m_step = w->dims[1] * w->dims[2] * w->dims[3], p->c_step = w->dims[2] * w->dims[3];
    int64_t dims[4] = {p->conv.n, p->conv.oh, p->conv.ow, p->conv.m};
    OMMA_TRY(fit_addend(b, n, p, dims));
    return omma_out(b, n, 0, p->out.to_u8 ? OMMA_U8 : OMMA_F32, 4, dims);
}

static omma_status linear_infer(omma_build *b, omma_node *n) {
    int8_param *p = omma_param(b, n, sizeof *p);
    const omma_value *x = n->in[OMMA_INT8_X], *w = n->in[OMMA_INT8_W];
    if (!p) return omma_nomem(b, n);
    OMMA_TRY(check_types(b, n));
    OMMA_TRY(read_attrs(b, n, p));
    const bool turned = omma_node_int(n, OMMA_INT8_TRANSPOSED, 0) != 0;
    if (x->rank < 1 || w->rank != 2 || x->dims[x->rank - 1] != w->dims[turned])
        return omma_bad(b, n, "the inner sizes of '%s' and '%s' differ", x->name, w->name);
    const int64_t k = w->dims[turned], m = w->dims[!turned];
    int64_t dims[OMMA_MAX_RANK], rows;
    memcpy(dims, x->dims, sizeof dims);
    dims[x->rank - 1] = m;
    if (!omma_dims_count(dims, x->rank - 1, &rows)) return omma_bad(b, n, "its size overflows");
    OMMA_TRY(check_sum(b, n, k));
    OMMA_TRY(by_channel(b, n, OMMA_INT8_W_SCALE, m, true));
    OMMA_TRY(by_channel(b, n, OMMA_INT8_BIAS, m, false));
    p->conv = omma_int8_rows(rows, k, m);
    p->m_step = turned ? k : 1, p->c_step = turned ? 1 : m;
    return omma_out(b, n, 0, p->out.to_u8 ? OMMA_U8 : OMMA_F32, x->rank, dims);
}

/* --- ready to run ------------------------------------------------------------------ */

/* The packed weights, and behind them the sums of each channel. */
static omma_status pack(omma_build *b, omma_node *n, const int8_param *p, const int32_t **sums) {
    const omma_value *w = n->in[OMMA_INT8_W];
    const omma_conv *c = &p->conv;
    const size_t tail = (size_t)omma_int8_padded(b->kern, c->m) * sizeof **sums;
    size_t bytes, all;
    if (!omma_int8_packed_bytes(b->kern, c, &bytes) || !omma_add(bytes, tail, &all))
        return omma_bad(b, n, "its packed weights overflow");
    const char *form =
        omma_arena_printf(b->arena, "int8 %s %d %lld %lld", b->kern->isa, c->dilation_w == 1,
                          (long long)c->kw, (long long)p->c_step);
    const void *from;
    int8_t *packed = form ? omma_pack(b, w, form, all, &from) : NULL;
    if (!packed) return omma_nomem(b, n);
    int32_t *own = (int32_t *)(void *)(packed + bytes);
    if (from) {
        omma_int8_pack(b->kern, c, packed, own, from, p->m_step, p->c_step);
        omma_pack_done(w);
    }
    *sums = own;
    n->packed = packed;
    return OMMA_OK;
}

static float number(const omma_value *v, int64_t i) {
    float f = 0;
    if (v) memcpy(&f, (const char *)v->data + (omma_value_count(v) > 1 ? i : 0) * 4, 4);
    return f;
}

static omma_status prepare(omma_build *b, omma_node *n) {
    int8_param *p = (int8_param *)(uintptr_t)n->param;
    const int64_t m = p->conv.m;
    const size_t room = (size_t)omma_int8_padded(b->kern, m);
    const omma_value *bias = omma_in(n, OMMA_INT8_BIAS);
    int32_t *init = omma_arena_array(b->arena, room, sizeof *init);
    float *scale = omma_arena_array(b->arena, room, sizeof *scale);
    float *shift = omma_arena_array(b->arena, room, sizeof *shift);
    const int32_t *sums = NULL;
    if (!init || !scale || !shift) return omma_nomem(b, n);
    if (bias && !bias->data) return omma_unsupported(b, n, "a bias that is no constant");
    p->workers = omma_workers(b);
    if (!omma_int8_scratch(b->kern, &p->conv, p->workers, &p->scratch))
        return omma_bad(b, n, "its working memory overflows");
    OMMA_TRY(pack(b, n, p, &sums));
    for (int64_t i = 0; i < m; i++) {
        init[i] = (int32_t)(0u - (uint32_t)p->x_zero * (uint32_t)sums[i]);
        scale[i] = p->x_scale * number(n->in[OMMA_INT8_W_SCALE], i);
        shift[i] = number(bias, i);
    }
    p->out.init = init, p->out.scale = scale, p->out.bias = shift;
    n->packed_in |= 1u << OMMA_INT8_W | 1u << OMMA_INT8_W_SCALE | 1u << OMMA_INT8_BIAS;
    n->scratch = p->scratch;
    const int64_t dims[4] = {p->conv.n, p->conv.oh, p->conv.ow, m};
    size_t sum_bytes;
    if (!p->apart) return OMMA_OK;
    if (!omma_dims_bytes(dims, 4, sizeof(float), &sum_bytes) ||
        !omma_align_up(p->scratch, 64, &p->scratch) ||
        !omma_add(p->scratch, sum_bytes, &n->scratch))
        return omma_bad(b, n, "its working memory overflows");
    return OMMA_OK;
}

/* --- running ----------------------------------------------------------------------- */

typedef struct apart_job {
    const omma_exec *x;
    const omma_node *n;
    const int8_param *p;
    const float *sums;
} apart_job;

/* Items are rows of y, its channels at one place. */
static void apart_rows(void *arg, int64_t begin, int64_t end, int worker) {
    const apart_job *j = arg;
    const int8_param *p = j->p;
    const omma_value *add = j->n->in[OMMA_INT8_ADD];
    const omma_epilogue e = {.act = p->out.act, .lo = p->out.lo, .hi = p->out.hi};
    const int64_t m = p->dims[3];
    (void)worker;
    for (int64_t r = begin; r < end; r++) {
        int64_t at[3], conv = 0, other = 0;
        omma_unravel(r, p->dims, 3, at);
        for (int d = 0; d < 3; d++)
            conv += at[d] * p->conv_step[d], other += at[d] * p->add_step[d];
        for (int64_t c = 0; c < m; c++) {
            const int64_t i = other + c * p->add_step[3];
            float v = j->sums[conv + c * p->conv_step[3]];
            if (add->dtype == OMMA_F32) v = v + ((const float *)add->mem)[i];
            else
                v = v +
                    (float)(((const uint8_t *)add->mem)[i] - p->out.add_zero) * p->out.add_scale;
            v = omma_act_apply(&e, v);
            if (p->out.post) v = v * p->out.post_scale + p->out.post_shift;
            if (p->out.to_u8)
                j->x->kern->quantize(1, &v, p->y_scale, p->out.zero,
                                     (uint8_t *)j->n->out[0]->mem + r * m + c);
            else ((float *)j->n->out[0]->mem)[r * m + c] = v;
        }
    }
}

static omma_status run(const omma_exec *x, const omma_node *n) {
    const int8_param *p = n->param;
    const omma_value *add = omma_in(n, OMMA_INT8_ADD);
    const int threads = x->threads < p->workers ? x->threads : p->workers;
    omma_int8_out o = p->out;
    if (!n->out[0]) return OMMA_OK;
    float *sums = (float *)(void *)((char *)n->work + p->scratch);
    if (p->apart) o.act = OMMA_ACT_NONE, o.post = false, o.to_u8 = false;
    else if (add) {
        o.add = add->dtype == OMMA_F32 ? add->mem : NULL;
        o.add8 = add->dtype == OMMA_U8 ? add->mem : NULL;
        o.add_ld = p->conv.m;
    }
    omma_int8_run(x->kern, threads, &p->conv, n->in[OMMA_INT8_X]->mem, p->x_zero, n->packed, &o,
                  p->apart ? (void *)sums : n->out[0]->mem, n->work);
    if (!p->apart) return OMMA_OK;
    apart_job j = {x, n, p, sums};
    omma_parallel(threads, p->dims[0] * p->dims[1] * p->dims[2], 64, apart_rows, &j);
    return OMMA_OK;
}

static double flops(const omma_node *n) {
    const omma_conv *c = &((const int8_param *)n->param)->conv;
    return 2.0 * (double)c->n * (double)c->oh * (double)c->ow * (double)c->m * (double)c->c *
           (double)c->kh * (double)c->kw;
}

const omma_op omma_op_ConvInt8 = {.name = "omma.ConvInt8",
                                  .min_in = 3,
                                  .max_in = OMMA_INT8_INPUTS,
                                  .min_out = 1,
                                  .max_out = 1,
                                  .infer = conv_infer,
                                  .prepare = prepare,
                                  .run = run,
                                  .flops = flops,
                                  .no_grad = OMMA_MADE_LATE,
                                  .no_field = OMMA_MADE_LATE};

const omma_op omma_op_LinearInt8 = {.name = "omma.LinearInt8",
                                    .min_in = 3,
                                    .max_in = OMMA_INT8_INPUTS,
                                    .min_out = 1,
                                    .max_out = 1,
                                    .infer = linear_infer,
                                    .prepare = prepare,
                                    .run = run,
                                    .flops = flops,
                                    .no_grad = OMMA_MADE_LATE,
                                    .no_field = OMMA_MADE_LATE};
