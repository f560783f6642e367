/* conv_norm.c - Conv -> BatchNormalization: the norm goes into the convolution's weights. */
#include <math.h>

#include "base/pages.h"
#include "pass/rule.h"

static bool norm_fits(const omma_node *conv, const omma_node *bn) {
    const omma_value *w = omma_in(conv, 1), *bias = omma_in(conv, 2);
    if (!w || !w->data || w->dtype != OMMA_F32 || w->rank < 3 || w->dims[0] < 1) return false;
    if (bias && !omma_const_f32(bias, w->dims[0])) return false;
    for (int i = 1; i < 5; i++)
        if (!omma_const_f32(omma_in(bn, i), w->dims[0])) return false;
    return bn->n_out == 1 && !omma_node_int(bn, "training_mode", 0) &&
           omma_node_int(bn, "spatial", 1) && !omma_node_attr(conv, OMMA_FUSED_ACT);
}

/* y = (conv(x) - mean) * scale / sqrt(var + eps) + shift, as weights and a bias. */
static void fold_norm(const omma_node *conv, const omma_node *bn, float *w, float *b) {
    const omma_value *old = conv->in[1], *bias = omma_in(conv, 2);
    double eps = (double)omma_node_float(bn, "epsilon", 1e-5f);
    int64_t m = old->dims[0], k = omma_value_count(old) / m;
    for (int64_t i = 0; i < m; i++) {
        double s =
            omma_load_f32(bn->in[1]->data, i) / sqrt(omma_load_f32(bn->in[4]->data, i) + eps);
        double b0 = bias ? (double)omma_load_f32(bias->data, i) : 0.0;
        b[i] = (float)((b0 - omma_load_f32(bn->in[3]->data, i)) * s +
                       omma_load_f32(bn->in[2]->data, i));
        for (int64_t j = 0; j < k; j++)
            w[i * k + j] = (float)(omma_load_f32(old->data, i * k + j) * s);
    }
}

omma_status omma_rule_conv_norm(omma_fuse *f, omma_node *bn) {
    omma_node *conv = omma_is(bn, "BatchNormalization") ? omma_only(f, bn->in[0]) : NULL;
    if (!omma_is(conv, "Conv") || !norm_fits(conv, bn)) return OMMA_OK;
    const omma_value *w = conv->in[1];
    float *weights = omma_arena_alloc(f->b->arena, omma_value_bytes(w));
    float *bias = omma_arena_array(f->b->arena, (size_t)w->dims[0], sizeof *bias);
    if (!weights || !bias) return omma_nomem(f->b, bn);
    fold_norm(conv, bn, weights, bias);
    omma_pages_give_back(w->data, omma_value_bytes(w));
    const char *wn = omma_arena_printf(f->b->arena, "omma:fused:%d:weight", f->made);
    const char *bnn = omma_arena_printf(f->b->arena, "omma:fused:%d:bias", f->made++);
    if (!wn || !bnn) return omma_nomem(f->b, bn);
    omma_value *vw = omma_graph_constant(f->g, wn, OMMA_F32, w->rank, w->dims, weights);
    omma_value *vb = omma_graph_constant(f->g, bnn, OMMA_F32, 1, w->dims, bias);
    omma_node *n = omma_graph_substitute(f->g, bn, conv->op, 3);
    if (!vw || !vb || !n) return omma_nomem(f->b, bn);
    n->in[0] = conv->in[0], n->in[1] = vw, n->in[2] = vb;
    n->attrs = conv->attrs;
    n->n_attrs = conv->n_attrs;
    n->opset = conv->opset;
    f->changed = true;
    return OMMA_OK;
}
