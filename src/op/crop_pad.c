/* crop_pad.c - CenterCropPad: bring axes to given lengths, cutting or adding zeros at both ends.
 *
 *   x: any shape and type   shape: a length for each axis of `axes` (default: all)
 *
 * Of an odd number of elements to cut or add, the end has one more.
 * Source: ONNX CenterCropPad 18. */
#include "base/pool.h"
#include "op/element.h"
#include "op/field.h"
#include "op/grad.h"
#include "op/move.h"
#include "op/move_back.h"

enum { GRAIN = 1 << 16 }; /* bytes */

typedef struct crop_pad {
    omma_move move;
    bool pads;     /* zeros are needed first */
    int64_t bytes; /* of the output */
} crop_pad;

static omma_status infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0];
    int64_t shape[OMMA_MAX_RANK], axes[OMMA_MAX_RANK], dims[OMMA_MAX_RANK], strides[OMMA_MAX_RANK];
    int n_shape, n_axes;
    unsigned seen = 0;
    crop_pad *c = omma_param(b, n, sizeof *c);
    if (!c) return omma_nomem(b, n);
    OMMA_TRY(omma_ints_in(b, n, 1, shape, OMMA_MAX_RANK, &n_shape));
    OMMA_TRY(omma_ints_attr(b, n, "axes", axes, OMMA_MAX_RANK, &n_axes));
    if (n_shape != (n_axes < 0 ? x->rank : n_axes))
        return omma_bad(b, n, "the shape does not have a length for each axis");
    memcpy(dims, x->dims, sizeof dims);
    for (int i = 0; i < n_shape; i++) {
        int d = i;
        if (n_axes >= 0) OMMA_TRY(omma_axis(b, n, axes[i], x->rank, &d));
        if (seen >> d & 1) return omma_bad(b, n, "axis %d is named twice", d);
        seen |= 1u << d;
        dims[d] = shape[i];
    }
    OMMA_TRY(omma_out(b, n, 0, x->dtype, x->rank, dims));
    if (!omma_wanted(n, 0)) return OMMA_OK; /* its size was not checked */
    omma_move *m = &c->move;
    m->size = omma_dtype_size(x->dtype);
    m->rank = x->rank;
    omma_strides(x->dims, x->rank, strides);
    omma_strides(dims, x->rank, m->dst);
    for (int d = 0; d < x->rank; d++) {
        const int64_t more = dims[d] - x->dims[d];
        m->dims[d] = more < 0 ? dims[d] : x->dims[d];
        m->src[d] = strides[d];
        if (!m->dims[d]) m->empty = true;
        if (more > 0) c->pads = true;
    }
    for (int d = 0; d < x->rank && !m->empty; d++) {
        const int64_t more = dims[d] - x->dims[d];
        if (more > 0) m->dst_at += more / 2 * m->dst[d];
        else m->src_at += -more / 2 * strides[d];
    }
    omma_move_ready(m);
    c->bytes = (int64_t)omma_value_bytes(n->out[0]);
    return OMMA_OK;
}

static void clear(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    memset((char *)arg + begin, 0, (size_t)(end - begin));
}

static omma_status run(const omma_exec *x, const omma_node *n) {
    const crop_pad *c = n->param;
    if (!omma_wanted(n, 0)) return OMMA_OK;
    if (c->pads) omma_parallel(x->threads, c->bytes, GRAIN, clear, n->out[0]->mem);
    omma_move_run(x, &c->move, n->in[0]->mem, n->out[0]->mem);
    return OMMA_OK;
}

/* Elements cut off before index 0 along axis d; negative: zeros put there. */
static int64_t cut_before(const omma_node *n, int d) {
    const int64_t more = n->out[0]->dims[d] - n->in[0]->dims[d];
    return more > 0 ? -(more / 2) : -more / 2;
}

static omma_status grad(omma_grad *g, const omma_node *n) {
    const omma_value *x = n->in[0], *y = n->out[0];
    int64_t before[OMMA_MAX_RANK], after[OMMA_MAX_RANK];
    if (!omma_value_count(y)) return omma_grad_add(g, n, 0, omma_make_full(&g->m, x, 0));
    for (int d = 0; d < x->rank; d++) {
        before[d] = cut_before(n, d);
        after[d] = x->dims[d] - y->dims[d] - before[d];
    }
    omma_value *dx = omma_move_padded(&g->m, omma_grad_out(g, n, 0), before, after);
    return omma_grad_add(g, n, 0, dx);
}

static omma_status field(omma_field *f, const omma_node *n) {
    omma_relation *r = omma_field_relate(f, 0, 0);
    for (int d = 0; r && d < r->in_rank; d++) r->axis[d] = omma_map_moved(d, cut_before(n, d), 1);
    return f->status;
}

const omma_op omma_op_CenterCropPad = {.name = "CenterCropPad",
                                       .min_in = 2,
                                       .max_in = 2,
                                       .min_out = 1,
                                       .max_out = 1,
                                       .infer = infer,
                                       .run = run,
                                       .flops = omma_move_flops,
                                       .grad = grad,
                                       .field = field};
