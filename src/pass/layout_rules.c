/* layout_rules.c - what becomes of each operator when feature maps lie channels last; see layout.h.
 * A node that has no twin to read stays as it is, but for those the pass is made for: convolutions
 * and poolings. */
#include <math.h>
#include <string.h>

#include "op/last_ops.h"
#include "op/window.h"
#include "pass/layout.h"

/* Put n's inputs, or their twins, into fresh; constants of several numbers too. */
static omma_status twin_inputs(omma_relayout *l, const omma_node *n, omma_node *fresh) {
    const int rank = n->out[0]->rank;
    for (int i = 0; i < n->n_in; i++) {
        omma_value *v = n->in[i];
        if (!v) continue;
        if (v->data && omma_value_count(v) == 1) fresh->in[i] = v;
        else if (v->data) fresh->in[i] = omma_twin_constant(l, v, rank);
        else fresh->in[i] = omma_need_twin(l, v);
        if (!fresh->in[i]) return omma_nomem(l->b, n);
    }
    return OMMA_OK;
}

static bool only_output(const omma_node *n) {
    for (int i = 1; i < n->n_out; i++)
        if (n->out[i]) return false;
    return n->out[0] != NULL;
}

/* --- convolutions and poolings ------------------------------------------------------- */

/* May a convolution read its map where it is? One that has a twin anyway is read there. */
static omma_status reads_planes(const omma_relayout *l, const omma_node *n, bool *planes) {
    const omma_value *w = n->in[1];
    omma_window win;
    OMMA_TRY(omma_window_read(l->b, n, n->in[0], w->dims + 2, &win));
    const omma_conv c = {.groups = omma_node_int(n, "group", 1),
                         .c = w->dims[1],
                         .m = w->dims[0],
                         .kh = (int)win.kernel[0],
                         .kw = (int)win.kernel[1],
                         .stride_h = (int)win.stride[0],
                         .stride_w = (int)win.stride[1],
                         .dilation_w = (int)win.dilation[1]};
    *planes = omma_last_planes(&c) && !omma_twin(l, n->in[0]);
    return OMMA_OK;
}

static omma_status rule_conv(omma_relayout *l, omma_node *n, bool *done) {
    omma_value *w = n->in[1];
    bool planes;
    if (n->in[0]->rank != 4 || n->in[0]->dtype != OMMA_F32 || !w->data || n->in[0]->data ||
        !omma_value_count(n->in[0]) || !omma_value_count(w) || !omma_value_count(n->out[0]))
        return OMMA_OK;
    omma_node *fresh = omma_layout_node(l, n, &omma_op_ConvLast, 4);
    if (!fresh) return omma_nomem(l->b, n);
    OMMA_TRY(reads_planes(l, n, &planes));
    fresh->in[0] = planes ? n->in[0] : omma_need_twin(l, n->in[0]);
    const int64_t flag = planes; /* never the file's */
    if (!fresh->in[0] || !omma_layout_attr(l, fresh, OMMA_CONV_PLANES, &flag, -1))
        return omma_nomem(l->b, n);
    fresh->in[1] = w, fresh->in[2] = omma_in(n, 2);
    *done = true;
    return omma_give_twins(l, n, fresh);
}

/* One that has no twin to read stays as it is: moving the map would cost what is gained. */
static omma_status rule_conv_transpose(omma_relayout *l, omma_node *n, bool *done) {
    omma_value *w = n->in[1];
    if (n->in[0]->rank != 4 || n->in[0]->dtype != OMMA_F32 || !w->data || !omma_any_twin(l, n) ||
        !omma_value_count(n->in[0]) || !omma_value_count(w) || !omma_value_count(n->out[0]))
        return OMMA_OK;
    omma_node *fresh = omma_layout_node(l, n, &omma_op_ConvTransposeLast, 3);
    if (!fresh) return omma_nomem(l->b, n);
    fresh->in[0] = omma_twin(l, n->in[0]), fresh->in[1] = w, fresh->in[2] = omma_in(n, 2);
    *done = true;
    return omma_give_twins(l, n, fresh);
}

static omma_status rule_pool(omma_relayout *l, omma_node *n, bool *done) {
    const int64_t mean = !strcmp(n->op->name, "AveragePool");
    if (!only_output(n) || n->in[0]->rank != 4 || n->in[0]->dtype != OMMA_F32 ||
        !omma_any_twin(l, n) || !omma_value_count(n->in[0]))
        return OMMA_OK;
    omma_node *fresh = omma_layout_node(l, n, &omma_op_PoolLast, 1);
    if (!fresh || !omma_layout_attr(l, fresh, OMMA_POOL_MEAN, &mean, -1))
        return omma_nomem(l->b, n);
    fresh->in[0] = omma_twin(l, n->in[0]);
    *done = true;
    return omma_give_twins(l, n, fresh);
}

/* Of the whole map: a mean or a maximum over its axes. */
static omma_status rule_global(omma_relayout *l, omma_node *n, bool *done) {
    const bool mean = !strcmp(n->op->name, "GlobalAveragePool");
    const int rank = n->in[0]->rank;
    int64_t axes[OMMA_MAX_RANK];
    if (!omma_any_twin(l, n) || n->in[0]->dtype != OMMA_F32 || !omma_value_count(n->in[0]))
        return OMMA_OK;
    omma_node *fresh = omma_layout_node(l, n, omma_op_find(mean ? "ReduceMean" : "ReduceMax"), 2);
    for (int d = 0; d < rank - 2; d++) axes[d] = d + 1;
    if (!fresh || !(fresh->in[1] = omma_layout_ints(l, axes, rank - 2))) return omma_nomem(l->b, n);
    fresh->in[0] = omma_twin(l, n->in[0]);
    fresh->opset = 18;
    fresh->n_attrs = 0;
    *done = true;
    return omma_give_twins(l, n, fresh);
}

/* --- element by element -------------------------------------------------------------- */

static omma_status rule_elementwise(omma_relayout *l, omma_node *n, bool *done) {
    if (!only_output(n) || n->out[0]->rank < 3 || !omma_any_twin(l, n)) return OMMA_OK;
    for (int i = 0; i < n->n_in; i++) {
        const omma_value *v = n->in[i];
        if (v && !v->data && v->rank != n->out[0]->rank) return OMMA_OK;
    }
    omma_node *fresh = omma_layout_node(l, n, n->op, n->n_in);
    if (!fresh) return omma_nomem(l->b, n);
    *done = true;
    OMMA_TRY(twin_inputs(l, n, fresh));
    return omma_give_twins(l, n, fresh);
}

/* y = scale (x - mean) / sqrt(var + eps) + shift: a factor and an addend for each channel. */
static void norm_factors(const omma_node *n, int64_t c, float *factor, float *addend) {
    const double eps = (double)omma_node_float(n, "epsilon", 1e-5f);
    for (int64_t i = 0; i < c; i++) {
        double p[4];
        for (int k = 0; k < 4; k++) {
            float f;
            memcpy(&f, (const char *)n->in[1 + k]->data + (size_t)i * sizeof f, sizeof f);
            p[k] = (double)f;
        }
        const double scale = p[0] / sqrt(p[3] + eps);
        factor[i] = (float)scale;
        addend[i] = (float)(p[1] - p[2] * scale);
    }
}

static bool norm_fits(const omma_node *n) {
    if (!only_output(n) || n->in[0]->rank < 3 || n->in[0]->dtype != OMMA_F32 ||
        omma_node_int(n, "training_mode", 0) || !omma_node_int(n, "spatial", 1))
        return false;
    for (int i = 1; i < 5; i++)
        if (!n->in[i]->data || n->in[i]->dtype != OMMA_F32) return false;
    return true;
}

/* A norm that no convolution took in becomes a product and a sum. */
static omma_status rule_batch_norm(omma_relayout *l, omma_node *n, bool *done) {
    if (!norm_fits(n) || !omma_any_twin(l, n)) return OMMA_OK;
    const int64_t c = n->in[0]->dims[1];
    float *factors = omma_arena_array(l->b->arena, (size_t)c, 2 * sizeof *factors);
    omma_value *v = omma_twin(l, n->in[0]);
    if (!factors) return omma_nomem(l->b, n);
    norm_factors(n, c, factors, factors + c);
    omma_node *fresh = NULL;
    for (int i = 0; i < 2; i++) {
        fresh = omma_layout_node(l, n, omma_op_find(i ? "Add" : "Mul"), 2);
        if (!fresh || !(fresh->in[1] = omma_layout_floats(l, factors + i * c, c)))
            return omma_nomem(l->b, n);
        fresh->in[0] = v;
        fresh->opset = 14;
        fresh->n_attrs = 0;
        if (!i) OMMA_TRY(omma_layout_put(l, fresh));
        v = fresh->out[0];
    }
    *done = true;
    return omma_give_twins(l, n, fresh);
}

/* --- along axes -------------------------------------------------------------------------- */

/* Attribute `axis` names an axis of all inputs and outputs. */
static omma_status along_axis(omma_relayout *l, omma_node *n, int64_t fallback, bool *done) {
    const int rank = n->in[0]->rank;
    const int64_t axis = omma_node_int(n, "axis", fallback);
    if (rank < 3 || !omma_any_twin(l, n)) return OMMA_OK;
    omma_node *fresh = omma_layout_node(l, n, n->op, n->n_in);
    const int64_t moved = omma_twin_axis(axis, rank);
    if (!fresh || !omma_layout_attr(l, fresh, "axis", &moved, -1)) return omma_nomem(l->b, n);
    *done = true;
    for (int i = 0; i < n->n_in; i++) {
        const bool map = n->in[i] && n->in[i]->rank == rank;
        fresh->in[i] = map ? omma_need_twin(l, n->in[i]) : n->in[i];
        if (n->in[i] && !fresh->in[i]) return omma_nomem(l->b, n);
    }
    return omma_give_twins(l, n, fresh);
}

static omma_status rule_concat(omma_relayout *l, omma_node *n, bool *done) {
    return along_axis(l, n, 1, done);
}

static omma_status rule_split(omma_relayout *l, omma_node *n, bool *done) {
    return along_axis(l, n, 0, done);
}

/* Before opset 13 the axes from `axis` on were one. */
static omma_status rule_softmax(omma_relayout *l, omma_node *n, bool *done) {
    return n->opset < 13 ? OMMA_OK : along_axis(l, n, -1, done);
}

/* The axes that input i or the attribute lists, as those of the twin; count 0: none are listed. */
static omma_status twin_axes(omma_relayout *l, const omma_node *n, int i, int64_t *axes,
                             int *count) {
    OMMA_TRY(omma_ints_arg(l->b, n, i, "axes", axes, OMMA_MAX_RANK, count));
    if (*count < 0) *count = 0;
    for (int k = 0; k < *count; k++) axes[k] = omma_twin_axis(axes[k], n->in[0]->rank);
    return OMMA_OK;
}

/* fresh reads n's inputs, but for the twin of the first, and axes where n gives them. */
static omma_status put_axes(omma_relayout *l, const omma_node *n, omma_node *fresh, int i,
                            const int64_t *axes, int count) {
    for (int k = 1; k < n->n_in; k++) fresh->in[k] = n->in[k];
    fresh->in[0] = omma_twin(l, n->in[0]);
    if (omma_node_attr(n, "axes"))
        return omma_layout_attr(l, fresh, "axes", axes, count) ? OMMA_OK : omma_nomem(l->b, n);
    fresh->in[i] = omma_layout_ints(l, axes, count);
    return fresh->in[i] ? OMMA_OK : omma_nomem(l->b, n);
}

static omma_status rule_slice(omma_relayout *l, omma_node *n, bool *done) {
    int64_t axes[OMMA_MAX_RANK], starts[OMMA_MAX_RANK];
    int count, n_starts;
    if (!omma_any_twin(l, n) || n->in[0]->rank < 3) return OMMA_OK;
    OMMA_TRY(omma_ints_arg(l->b, n, 1, "starts", starts, OMMA_MAX_RANK, &n_starts));
    OMMA_TRY(twin_axes(l, n, 3, axes, &count));
    for (int k = 0; !count && k < n_starts; k++) axes[k] = omma_twin_axis(k, n->in[0]->rank);
    omma_node *fresh = omma_layout_node(l, n, n->op, n->n_in > 4 ? n->n_in : 4);
    if (!fresh) return omma_nomem(l->b, n);
    *done = true;
    if (n->opset < 10) {
        fresh->n_in = 1;
        fresh->in[0] = omma_twin(l, n->in[0]);
        if (!omma_layout_attr(l, fresh, "axes", axes, n_starts)) return omma_nomem(l->b, n);
    } else OMMA_TRY(put_axes(l, n, fresh, 3, axes, n_starts));
    return omma_give_twins(l, n, fresh);
}

static omma_status rule_pad(omma_relayout *l, omma_node *n, bool *done) {
    const int rank = n->in[0]->rank;
    int64_t pads[2 * OMMA_MAX_RANK], moved[2 * OMMA_MAX_RANK];
    int count;
    if (!omma_any_twin(l, n) || rank < 3 || omma_in(n, 3)) return OMMA_OK;
    OMMA_TRY(omma_ints_arg(l->b, n, 1, "pads", pads, 2 * OMMA_MAX_RANK, &count));
    if (count != 2 * rank) return OMMA_OK;
    for (int d = 0; d < rank; d++) {
        moved[omma_twin_axis(d, rank)] = pads[d];
        moved[rank + omma_twin_axis(d, rank)] = pads[rank + d];
    }
    omma_node *fresh = omma_layout_node(l, n, n->op, n->n_in);
    if (!fresh) return omma_nomem(l->b, n);
    *done = true;
    fresh->in[0] = omma_twin(l, n->in[0]);
    if (omma_in(n, 2)) fresh->in[2] = n->in[2];
    if (omma_in(n, 1)) fresh->in[1] = omma_layout_ints(l, moved, count);
    else if (!omma_layout_attr(l, fresh, "pads", moved, count)) return omma_nomem(l->b, n);
    if (omma_in(n, 1) && !fresh->in[1]) return omma_nomem(l->b, n);
    return omma_give_twins(l, n, fresh);
}

/* The scales and sizes stay as they are: attribute `axes` tells what they are for. */
static omma_status rule_resize(omma_relayout *l, omma_node *n, bool *done) {
    const int rank = n->in[0]->rank;
    int64_t axes[OMMA_MAX_RANK];
    int count;
    if (!omma_any_twin(l, n) || rank < 3) return OMMA_OK;
    OMMA_TRY(omma_ints_attr(l->b, n, "axes", axes, OMMA_MAX_RANK, &count));
    for (int d = 0; count < 0 && d < rank; d++) axes[d] = d;
    if (count < 0) count = rank;
    for (int i = 0; i < count; i++) axes[i] = omma_twin_axis(axes[i], rank);
    omma_node *fresh = omma_layout_node(l, n, n->op, n->n_in);
    if (!fresh || !omma_layout_attr(l, fresh, "axes", axes, count)) return omma_nomem(l->b, n);
    *done = true;
    for (int i = 1; i < n->n_in; i++) fresh->in[i] = n->in[i];
    fresh->in[0] = omma_twin(l, n->in[0]);
    return omma_give_twins(l, n, fresh);
}

/* Do the axes that are left of a twin without those of mask stand in the order of the original's?
 * They do when the channels are gone, or nothing is left behind them. */
static bool order_stays(unsigned mask, int rank) {
    const unsigned spatial = ((1u << (rank - 1)) - 1) & ~1u;
    return mask >> (rank - 1) & 1 || (mask & spatial) == spatial;
}

static omma_status rule_reduce(omma_relayout *l, omma_node *n, bool *done) {
    const int rank = n->in[0]->rank;
    const bool keep = omma_node_int(n, "keepdims", 1) != 0;
    int64_t axes[OMMA_MAX_RANK];
    int count;
    if (!only_output(n) || !omma_any_twin(l, n) || rank < 3) return OMMA_OK;
    OMMA_TRY(twin_axes(l, n, 1, axes, &count));
    if (!count) return OMMA_OK;
    unsigned mask = 0;
    for (int i = 0; i < count; i++) mask |= 1u << axes[i];
    if (!keep && (!order_stays(mask, rank))) return OMMA_OK;
    omma_node *fresh = omma_layout_node(l, n, n->op, n->n_in);
    if (!fresh) return omma_nomem(l->b, n);
    *done = true;
    OMMA_TRY(put_axes(l, n, fresh, 1, axes, count));
    return keep ? omma_give_twins(l, n, fresh) : omma_take_over(l, n, fresh);
}

static omma_status rule_arg(omma_relayout *l, omma_node *n, bool *done) {
    const int rank = n->in[0]->rank;
    const int64_t axis = omma_twin_axis(omma_node_int(n, "axis", 0), rank);
    const bool keep = omma_node_int(n, "keepdims", 1) != 0;
    if (!omma_any_twin(l, n) || rank < 3 || (!keep && !order_stays(1u << axis, rank)))
        return OMMA_OK;
    omma_node *fresh = omma_layout_node(l, n, n->op, 1);
    if (!fresh || !omma_layout_attr(l, fresh, "axis", &axis, -1)) return omma_nomem(l->b, n);
    *done = true;
    fresh->in[0] = omma_twin(l, n->in[0]);
    return keep ? omma_give_twins(l, n, fresh) : omma_take_over(l, n, fresh);
}

/* --- the same numbers elsewhere ------------------------------------------------------------ */

/* A Transpose of what has a twin is one of the twin; one that brings the channels forward shows
 * its input to be a twin. */
static omma_status rule_transpose(omma_relayout *l, omma_node *n, bool *done) {
    omma_value *x = n->in[0], *t = omma_twin(l, x), *y = n->out[0];
    int64_t perm[OMMA_MAX_RANK];
    int count;
    if (!y || x->data) return OMMA_OK;
    OMMA_TRY(omma_ints_attr(l->b, n, "perm", perm, OMMA_MAX_RANK, &count));
    for (int d = 0; count < 0 && d < x->rank; d++) perm[d] = x->rank - 1 - d;
    if (t) {
        for (int d = 0; d < x->rank; d++) perm[d] = omma_twin_axis(perm[d], x->rank);
        *done = true;
        return omma_layout_move(l, n, t, perm, y);
    }
    bool forward = x->rank >= 3;
    for (int d = 0; d < x->rank; d++) forward &= perm[d] == omma_twin_axis(d, x->rank);
    if (forward && !omma_set_twin(l, y, x)) return omma_nomem(l->b, n);
    return OMMA_OK;
}

/* Spatial axes that are cut or joined are so in the twin; a map of one pixel is its channels. */
static omma_status rule_reshape(omma_relayout *l, omma_node *n, bool *done) {
    const omma_value *x = n->in[0];
    omma_value *t = omma_twin(l, x), *y = n->out[0];
    if (!t || !y || x->data) return OMMA_OK;
    if (y->rank >= 3 && y->dims[0] == x->dims[0] && y->dims[1] == x->dims[1]) {
        *done = true;
        return omma_layout_view(l, n, t, y);
    }
    for (int d = 2; d < x->rank; d++)
        if (x->dims[d] != 1) return OMMA_OK;
    *done = true;
    return omma_layout_move(l, n, t, NULL, y);
}

/* --- the table ------------------------------------------------------------------------------ */

static const struct {
    const char *op;
    omma_layout_rule *rule;
} rules[] = {{"Conv", rule_conv},
             {"ConvTranspose", rule_conv_transpose},
             {"MaxPool", rule_pool},
             {"AveragePool", rule_pool},
             {"GlobalAveragePool", rule_global},
             {"GlobalMaxPool", rule_global},
             {"BatchNormalization", rule_batch_norm},
             {"Concat", rule_concat},
             {"Split", rule_split},
             {"Softmax", rule_softmax},
             {"LogSoftmax", rule_softmax},
             {"omma.SoftmaxGrad", rule_softmax},
             {"Slice", rule_slice},
             {"Pad", rule_pad},
             {"Resize", rule_resize},
             {"Upsample", rule_resize},
             {"ReduceMean", rule_reduce},
             {"ReduceSum", rule_reduce},
             {"ReduceMax", rule_reduce},
             {"ReduceMin", rule_reduce},
             {"ReduceL2", rule_reduce},
             {"ReduceSumSquare", rule_reduce},
             {"ArgMax", rule_arg},
             {"ArgMin", rule_arg},
             {"Transpose", rule_transpose},
             {"Reshape", rule_reshape},
             {"Flatten", rule_reshape},
             {"Squeeze", rule_reshape},
             {"Unsqueeze", rule_reshape}};

/* Old operator sets line a smaller operand up with an axis of their own choice, one of these has a
 * number for each channel, and one that trains drops numbers by their place in row-major order. */
static bool truly_elementwise(const omma_node *n) {
    const bool trains = !strcmp(n->op->name, "Dropout") && omma_in(n, 2);
    return n->op->flags & OMMA_OP_ELEMENTWISE && n->opset >= 7 && !trains &&
           strcmp(n->op->name, "ImageScaler");
}

omma_layout_rule *omma_layout_rule_of(const omma_node *n) {
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (!strcmp(n->op->name, rules[i].op)) return rules[i].rule;
    return truly_elementwise(n) ? rule_elementwise : NULL;
}
