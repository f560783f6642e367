/* conv_norm.c - what scales and shifts the channels of a convolution goes into its weights:
 *
 *   Conv -> BatchNormalization
 *   Conv -> Mul, Add by a number for each channel    a frozen norm, as exporters write it
 *   Conv -> Mul, Add by one number
 *
 * and the same behind a ConvTranspose of one group, whose weights have the output channels second.
 */
#include <math.h>

#include "graph/scaled.h"
#include "pass/rule.h"

static omma_value *new_constant(omma_fuse *f, const char *what, int rank, const int64_t *dims,
                                const float *data) {
    const char *name = omma_arena_printf(f->b->arena, "omma:fused:%d:%s", f->made++, what);
    return name && data ? omma_graph_constant(f->g, name, OMMA_F32, rank, dims, data) : NULL;
}

/* conv in n's place with other weights and bias; NULL for them: out of memory. */
static omma_status stand_in(omma_fuse *f, omma_node *n, const omma_node *conv, omma_value *w,
                            omma_value *bias) {
    omma_node *fresh = w && bias ? omma_graph_substitute(f->g, n, conv->op, 3) : NULL;
    if (!fresh) return omma_nomem(f->b, n);
    fresh->in[0] = conv->in[0], fresh->in[1] = w, fresh->in[2] = bias;
    fresh->attrs = conv->attrs;
    fresh->n_attrs = conv->n_attrs;
    fresh->opset = conv->opset;
    f->changed = true;
    return OMMA_OK;
}

/* Which axis of a convolution's weights is its output channels. */
static int channel_axis(const omma_node *conv) { return omma_is(conv, "ConvTranspose"); }
static int64_t channels_of(const omma_node *conv) { return conv->in[1]->dims[channel_axis(conv)]; }

/* A convolution whose weights and bias may be replaced. */
static bool pliable(const omma_node *conv) {
    const bool back = omma_is(conv, "ConvTranspose") && omma_node_int(conv, "group", 1) == 1;
    if ((!omma_is(conv, "Conv") && !back) || omma_node_attr(conv, OMMA_FUSED_ACT)) return false;
    const omma_value *w = conv->in[1], *bias = omma_in(conv, 2);
    return w->data && w->dtype == OMMA_F32 && w->rank >= 3 && channels_of(conv) >= 1 &&
           (!bias || omma_const_f32(bias, channels_of(conv)));
}

/* The weights, each times the scale of its output channel; made of the file's when they are
 * read. NULL: no memory. */
static omma_value *scaled_weights(omma_fuse *f, const omma_node *conv, const double *scale) {
    const omma_value *old = conv->in[1];
    int64_t inner = 1;
    for (int d = channel_axis(conv) + 1; d < old->rank; d++) inner *= old->dims[d];
    omma_scaled_keep(old); /* if it is such a constant itself */
    omma_scaled *s = omma_scaled_new(f->b->arena, old->data, omma_value_count(old), scale,
                                     channels_of(conv), inner);
    omma_value *w = s ? new_constant(f, "weight", old->rank, old->dims, s->data) : NULL;
    if (w) w->scaled = s;
    return w;
}

/* --- batch norm ---------------------------------------------------------------------- */

static bool norm_fits(const omma_node *conv, const omma_node *bn) {
    for (int i = 1; i < 5; i++)
        if (!omma_const_f32(omma_in(bn, i), channels_of(conv))) return false;
    return bn->n_out == 1 && !omma_node_int(bn, "training_mode", 0) &&
           omma_node_int(bn, "spatial", 1);
}

/* y = (conv(x) - mean) * scale / sqrt(var + eps) + shift, as scales of weights and a bias. */
static void fold_norm(const omma_node *conv, const omma_node *bn, double *scale, float *b) {
    const omma_value *bias = omma_in(conv, 2);
    const double eps = (double)omma_node_float(bn, "epsilon", 1e-5f);
    for (int64_t i = 0; i < channels_of(conv); i++) {
        const double s =
            omma_load_f32(bn->in[1]->data, i) / sqrt(omma_load_f32(bn->in[4]->data, i) + eps);
        const double b0 = bias ? (double)omma_load_f32(bias->data, i) : 0.0;
        scale[i] = s;
        b[i] = (float)((b0 - omma_load_f32(bn->in[3]->data, i)) * s +
                       omma_load_f32(bn->in[2]->data, i));
    }
}

omma_status omma_rule_conv_norm(omma_fuse *f, omma_node *bn) {
    const omma_node *conv = omma_is(bn, "BatchNormalization") ? omma_only(f, bn->in[0]) : NULL;
    if (!pliable(conv) || !norm_fits(conv, bn)) return OMMA_OK;
    const int64_t m = channels_of(conv);
    float *bias = omma_arena_array(f->b->arena, (size_t)m, sizeof *bias);
    double *scale = omma_arena_array(f->b->arena, (size_t)m, sizeof *scale);
    if (!bias || !scale) return omma_nomem(f->b, bn);
    fold_norm(conv, bn, scale, bias);
    return stand_in(f, bn, conv, scaled_weights(f, conv, scale),
                    new_constant(f, "bias", 1, &m, bias));
}

/* --- a number for each channel ----------------------------------------------------------- */

/* Is c one number, or one for each of the m channels of what conv gives: [m,1,1] or [1,m,1,1]? */
static bool by_channel(const omma_value *c, const omma_node *conv) {
    if (omma_const_f32(c, 1) && c->rank <= conv->in[1]->rank) return true;
    const int axis = c->rank - (conv->in[1]->rank - 1);
    if (axis < 0 || axis > 1 || !omma_const_f32(c, channels_of(conv))) return false;
    return c->dims[axis] == channels_of(conv);
}

/* The convolution in n's place, with its weights times c, or with c added. */
static omma_status scale_conv(omma_fuse *f, omma_node *n, const omma_node *conv,
                              const omma_value *c, bool times) {
    const omma_value *bias = omma_in(conv, 2);
    const int64_t m = channels_of(conv);
    float *b = omma_arena_array(f->b->arena, (size_t)m, sizeof *b);
    double *scale = omma_arena_array(f->b->arena, (size_t)m, sizeof *scale);
    if (!b || !scale) return omma_nomem(f->b, n);
    for (int64_t i = 0; i < m; i++) {
        const float have = bias ? omma_load_f32(bias->data, i) : 0;
        const float by = omma_load_f32(c->data, omma_value_count(c) > 1 ? i : 0);
        b[i] = times ? have * by : have + by;
        scale[i] = (double)by;
    }
    return stand_in(f, n, conv, times ? scaled_weights(f, conv, scale) : conv->in[1],
                    new_constant(f, "bias", 1, &m, b));
}

omma_status omma_rule_conv_scale(omma_fuse *f, omma_node *n) {
    const bool times = omma_is(n, "Mul");
    if ((!times && !omma_is(n, "Add")) || n->opset < 7) return OMMA_OK;
    for (int i = 0; i < 2; i++) {
        const omma_node *conv = omma_only(f, n->in[i]);
        if (pliable(conv) && by_channel(n->in[1 - i], conv))
            return scale_conv(f, n, conv, n->in[1 - i], times);
    }
    return OMMA_OK;
}
