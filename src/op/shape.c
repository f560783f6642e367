/* shape.c - operators that read or change a shape and leave the numbers where they are:
 * Shape, Size, Reshape, Flatten, Squeeze, Unsqueeze.
 *
 * The last four are views: their output is the input's memory under other dims.
 * Source: the ONNX operator specification. Traps: Reshape's 0 copies a dimension unless
 * allowzero says that it means none; Flatten's axis may be the rank itself, and counts as
 * negative only from -rank; Unsqueeze's axes count in the output. */
#include "base/checked.h"
#include "op/field.h"
#include "op/grad.h"
#include "op/move.h"

static int64_t clamp(int64_t v, int64_t lo, int64_t hi) { return v < lo ? lo : v > hi ? hi : v; }

/* --- Shape, Size --------------------------------------------------------------- */

typedef struct shape_param {
    int64_t value[OMMA_MAX_RANK];
    int count;
} shape_param;

/* start, end in [-rank, rank], clamped. */
static omma_status shape_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0];
    int64_t start = omma_node_int(n, "start", 0), end = omma_node_int(n, "end", x->rank);
    start = clamp(start < 0 ? start + x->rank : start, 0, x->rank);
    end = clamp(end < 0 ? end + x->rank : end, 0, x->rank);
    shape_param *p = omma_param(b, n, sizeof *p);
    if (!p) return omma_nomem(b, n);
    for (int64_t d = start; d < end; d++) p->value[p->count++] = x->dims[d];
    return omma_out(b, n, 0, OMMA_I64, 1, (int64_t[]){p->count});
}

static omma_status size_infer(omma_build *b, omma_node *n) {
    shape_param *p = omma_param(b, n, sizeof *p);
    if (!p) return omma_nomem(b, n);
    p->value[0] = omma_value_count(n->in[0]);
    p->count = 1;
    return omma_out(b, n, 0, OMMA_I64, 0, NULL);
}

static omma_status shape_run(const omma_exec *x, const omma_node *n) {
    (void)x;
    const shape_param *p = n->param;
    if (n->out[0] && p->count)
        memcpy(n->out[0]->mem, p->value, (size_t)p->count * sizeof *p->value);
    return OMMA_OK;
}

/* --- views --------------------------------------------------------------------- */

/* Only reached where a plan gives a view memory of its own. */
static omma_status view_run(const omma_exec *x, const omma_node *n) {
    (void)x;
    const size_t bytes = omma_value_bytes(n->in[0]);
    if (bytes && n->out[0] && n->out[0]->mem != n->in[0]->mem)
        memcpy(n->out[0]->mem, n->in[0]->mem, bytes);
    return OMMA_OK;
}

static omma_status reshape_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0];
    const bool allowzero = omma_node_int(n, "allowzero", 0) != 0;
    int64_t dims[OMMA_MAX_RANK], have = omma_value_count(x), want;
    int rank, open = -1;
    bool zero = false;
    if (n->opset < 5) OMMA_TRY(omma_ints_attr(b, n, "shape", dims, OMMA_MAX_RANK, &rank));
    else OMMA_TRY(omma_ints_in(b, n, 1, dims, OMMA_MAX_RANK, &rank));
    if (rank < 0) return omma_bad(b, n, "the shape is missing");
    for (int d = 0; d < rank; d++) {
        if (dims[d] < -1) return omma_bad(b, n, "the shape holds %lld", (long long)dims[d]);
        if (dims[d] == -1) {
            if (open >= 0) return omma_bad(b, n, "the shape holds -1 more than once");
            open = d;
            dims[d] = 1;
        } else if (dims[d] == 0) {
            if (allowzero) zero = true;
            else if (d >= x->rank)
                return omma_bad(b, n, "0 at place %d copies a dimension of an input of rank %d", d,
                                x->rank);
            else dims[d] = x->dims[d];
        }
    }
    if (zero && open >= 0)
        return omma_bad(b, n, "the shape holds both 0 and -1 while allowzero is set");
    if (!omma_dims_count(dims, rank, &want)) return omma_bad(b, n, "the shape's size overflows");
    if (open >= 0) {
        if (!want || have % want)
            return omma_bad(b, n, "%lld elements cannot fill the -1 of a shape of %lld others",
                            (long long)have, (long long)want);
        dims[open] = have / want;
    } else if (want != have)
        return omma_bad(b, n, "%lld elements do not fit a shape of %lld", (long long)have,
                        (long long)want);
    return omma_out(b, n, 0, x->dtype, rank, dims);
}

/* axis in [-rank, rank]. */
static omma_status flatten_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0];
    const int64_t axis = omma_node_int(n, "axis", 1);
    if (axis < -x->rank || axis > x->rank)
        return omma_bad(b, n, "axis %lld is outside a tensor of rank %d", (long long)axis, x->rank);
    const int cut = (int)(axis < 0 ? axis + x->rank : axis);
    int64_t dims[2];
    if (!omma_dims_count(x->dims, cut, &dims[0]) ||
        !omma_dims_count(x->dims + cut, x->rank - cut, &dims[1]))
        return omma_bad(b, n, "the size overflows");
    return omma_out(b, n, 0, x->dtype, 2, dims);
}

/* Read axes (input 1 from opset 13, else the attribute) as a bit mask over rank dims;
 * *count is -1 when they are left out. */
static omma_status read_axes(omma_build *b, const omma_node *n, int rank, unsigned *mask,
                             int *count) {
    int64_t axes[OMMA_MAX_RANK];
    *mask = 0;
    OMMA_TRY(omma_ints_arg(b, n, 1, "axes", axes, OMMA_MAX_RANK, count));
    for (int i = 0; i < *count; i++) {
        int axis;
        OMMA_TRY(omma_axis(b, n, axes[i], rank, &axis));
        if (*mask >> axis & 1)
            return omma_bad(b, n, "axis %lld is named twice", (long long)axes[i]);
        *mask |= 1u << axis;
    }
    return OMMA_OK;
}

static omma_status squeeze_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0];
    unsigned mask;
    int count, rank = 0;
    int64_t dims[OMMA_MAX_RANK];
    OMMA_TRY(read_axes(b, n, x->rank, &mask, &count));
    for (int d = 0; d < x->rank; d++) {
        const bool named = mask >> d & 1;
        if (named && x->dims[d] != 1)
            return omma_bad(b, n, "axis %d is %lld long, not 1", d, (long long)x->dims[d]);
        if (named || (count < 0 && x->dims[d] == 1)) continue;
        dims[rank++] = x->dims[d];
    }
    return omma_out(b, n, 0, x->dtype, rank, dims);
}

static omma_status unsqueeze_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0];
    const omma_value *list = omma_in(n, 1);
    const omma_attr *attr = omma_node_attr(n, "axes");
    if (!list && !attr) return omma_bad(b, n, "axes are missing");
    /* The axes' number must be known before they can be read against the output's rank. */
    const int64_t more = list                          ? omma_value_count(list)
                         : attr->kind == OMMA_ATTR_INT ? 1
                                                       : attr->count;
    if (more > OMMA_MAX_RANK - x->rank)
        return omma_unsupported(b, n, "%lld axes make an output of rank above %d", (long long)more,
                                OMMA_MAX_RANK);
    const int rank = x->rank + (int)more;
    unsigned mask;
    int count, from = 0;
    int64_t dims[OMMA_MAX_RANK];
    OMMA_TRY(read_axes(b, n, rank, &mask, &count));
    for (int d = 0; d < rank; d++) dims[d] = mask >> d & 1 ? 1 : x->dims[from++];
    return omma_out(b, n, 0, x->dtype, rank, dims);
}

static omma_status view_grad(omma_grad *g, const omma_node *n) {
    return omma_grad_add(g, n, 0, omma_make_shaped(&g->m, omma_grad_out(g, n, 0), n->in[0]));
}

/* --- rows ---------------------------------------------------------------------- */

const omma_op omma_op_Shape = {.name = "Shape",
                               .min_in = 1,
                               .max_in = 1,
                               .min_out = 1,
                               .max_out = 1,
                               .flags = OMMA_OP_SHAPE_ONLY,
                               .infer = shape_infer,
                               .run = shape_run,
                               .flops = omma_move_flops,
                               .no_grad = OMMA_MOVE_NO_DATA,
                               .field = omma_field_none};

const omma_op omma_op_Size = {.name = "Size",
                              .min_in = 1,
                              .max_in = 1,
                              .min_out = 1,
                              .max_out = 1,
                              .flags = OMMA_OP_SHAPE_ONLY,
                              .infer = size_infer,
                              .run = shape_run,
                              .flops = omma_move_flops,
                              .no_grad = OMMA_MOVE_NO_DATA,
                              .field = omma_field_none};

const omma_op omma_op_Reshape = {.name = "Reshape",
                                 .min_in = 1, /* before opset 5 the shape is an attribute */
                                 .max_in = 2,
                                 .min_out = 1,
                                 .max_out = 1,
                                 .flags = OMMA_OP_VIEW,
                                 .infer = reshape_infer,
                                 .run = view_run,
                                 .flops = omma_move_flops,
                                 .grad = view_grad,
                                 .field = omma_field_reshape};

const omma_op omma_op_Flatten = {.name = "Flatten",
                                 .min_in = 1,
                                 .max_in = 1,
                                 .min_out = 1,
                                 .max_out = 1,
                                 .flags = OMMA_OP_VIEW,
                                 .infer = flatten_infer,
                                 .run = view_run,
                                 .flops = omma_move_flops,
                                 .grad = view_grad,
                                 .field = omma_field_reshape};

const omma_op omma_op_Squeeze = {.name = "Squeeze",
                                 .min_in = 1,
                                 .max_in = 2,
                                 .min_out = 1,
                                 .max_out = 1,
                                 .flags = OMMA_OP_VIEW,
                                 .infer = squeeze_infer,
                                 .run = view_run,
                                 .flops = omma_move_flops,
                                 .grad = view_grad,
                                 .field = omma_field_reshape};

const omma_op omma_op_Unsqueeze = {.name = "Unsqueeze",
                                   .min_in = 1,
                                   .max_in = 2,
                                   .min_out = 1,
                                   .max_out = 1,
                                   .flags = OMMA_OP_VIEW,
                                   .infer = unsqueeze_infer,
                                   .run = view_run,
                                   .flops = omma_move_flops,
                                   .grad = view_grad,
                                   .field = omma_field_reshape};
