/* epilogues.c - what follows a product, done before its result is stored:
 *
 *   MatMul -> Add of a constant row                          Linear, a product with a bias
 *   Conv | Gemm | MatMul | Linear -> Relu | Clip | HardSwish | Gelu
 *   the same -> x Sigmoid(x)                                 SiLU
 *   Relu or HardSwish in a product -> Mul, Add by a number   the same activation and a line */
#include <math.h>

#include "op/last_ops.h"
#include "pass/rule.h"

/* Only products of float32 go into omma_op_Linear, which their constant weights show. */
omma_status omma_rule_bias(omma_fuse *f, omma_node *add) {
    for (int i = 0; omma_is(add, "Add") && i < 2; i++) {
        const omma_node *mul = omma_only(f, add->in[i]);
        omma_value *bias = add->in[1 - i], *w = omma_is(mul, "MatMul") ? mul->in[1] : NULL;
        if (!w || !w->data || w->dtype != OMMA_F32 || w->rank != 2 || bias->rank != 1 ||
            !omma_const_f32(bias, w->dims[1]) || omma_node_attr(mul, OMMA_FUSED_ACT))
            continue;
        omma_node *n = omma_graph_substitute(f->g, add, &omma_op_Linear, 3);
        if (!n) return omma_nomem(f->b, add);
        n->in[0] = mul->in[0], n->in[1] = w, n->in[2] = bias;
        n->opset = mul->opset;
        f->changed = true;
        return OMMA_OK;
    }
    return OMMA_OK;
}

static bool about_act(const omma_attr *a) {
    return !strcmp(a->name, OMMA_FUSED_ACT) || !strcmp(a->name, OMMA_FUSED_LO) ||
           !strcmp(a->name, OMMA_FUSED_HI);
}

/* Copy the product's node to the place of `last`, with an activation. */
static omma_status with_act(omma_fuse *f, omma_node *product, omma_node *last, omma_act act,
                            float lo, float hi) {
    omma_attr *attrs = omma_arena_array(f->b->arena, (size_t)product->n_attrs + 3, sizeof *attrs);
    omma_node *n = omma_graph_substitute(f->g, last, product->op, product->n_in);
    if (!attrs || !n) return omma_nomem(f->b, last);
    int k = 0;
    for (int i = 0; i < product->n_attrs; i++)
        if (!about_act(&product->attrs[i])) attrs[k++] = product->attrs[i];
    attrs[k++] = (omma_attr){.name = OMMA_FUSED_ACT, .kind = OMMA_ATTR_INT, .i = act};
    attrs[k++] = (omma_attr){.name = OMMA_FUSED_LO, .kind = OMMA_ATTR_FLOAT, .f = lo};
    attrs[k++] = (omma_attr){.name = OMMA_FUSED_HI, .kind = OMMA_ATTR_FLOAT, .f = hi};
    memcpy(n->in, product->in, (size_t)product->n_in * sizeof *n->in);
    n->attrs = attrs;
    n->n_attrs = k;
    n->opset = product->opset;
    f->changed = true;
    return OMMA_OK;
}

/* Only products of float32 do, which their constant weights show. */
static bool takes_act(const omma_node *n) {
    if (!omma_is(n, "Conv") && !omma_is(n, "Gemm") && !omma_is(n, "MatMul") &&
        !omma_is(n, omma_op_Linear.name) && !omma_is(n, omma_op_ConvLast.name) &&
        !omma_is(n, omma_op_GemmAdd.name))
        return false;
    return n->in[1]->data && n->in[1]->dtype == OMMA_F32 && !omma_node_attr(n, OMMA_FUSED_ACT);
}

static bool by_erf(const omma_node *n) {
    return omma_is(n, "Gelu") && !strcmp(omma_node_string(n, "approximate", "none"), "none");
}

omma_status omma_rule_activation(omma_fuse *f, omma_node *n) {
    float lo = 0, hi = 0;
    omma_act act = omma_is(n, "Relu")        ? OMMA_ACT_RELU
                   : omma_is(n, "HardSwish") ? OMMA_ACT_HSWISH
                   : by_erf(n)               ? OMMA_ACT_GELU
                                             : OMMA_ACT_NONE;
    if (omma_is(n, "Clip") && omma_clip_bounds(n, &lo, &hi)) act = OMMA_ACT_CLIP;
    omma_node *product = act ? omma_only(f, n->in[0]) : NULL;
    return takes_act(product) ? with_act(f, product, n, act, lo, hi) : OMMA_OK;
}

omma_status omma_rule_silu(omma_fuse *f, omma_node *mul) {
    if (!omma_is(mul, "Mul")) return OMMA_OK;
    for (int i = 0; i < 2; i++) {
        omma_node *sigmoid = omma_only(f, mul->in[i]);
        omma_value *x = mul->in[1 - i];
        if (!omma_is(sigmoid, "Sigmoid") || sigmoid->in[0] != x) continue;
        if (f->uses[x->index] == 2 && takes_act(x->producer))
            return with_act(f, x->producer, mul, OMMA_ACT_SILU, 0, 0);
    }
    return OMMA_OK;
}

/* The other input of n when one is a constant number of a rank that is no greater than any a
 * product's result has, *number that; else NULL. */
static omma_value *with_number(const omma_node *n, float *number) {
    for (int i = 0; i < 2; i++) {
        const omma_value *c = n->in[i];
        if (!omma_const_f32(c, 1) || c->rank > 1) continue;
        *number = omma_load_f32(c->data, 0);
        return n->in[1 - i];
    }
    return NULL;
}

omma_status omma_rule_line(omma_fuse *f, omma_node *add) {
    float scale = 0, shift = 0;
    if (!omma_is(add, "Add") || add->opset < 7) return OMMA_OK;
    const omma_node *mul = omma_only(f, with_number(add, &shift));
    if (!omma_is(mul, "Mul") || mul->opset < 7) return OMMA_OK;
    omma_node *product = omma_only(f, with_number(mul, &scale));
    const int64_t act = product ? omma_node_int(product, OMMA_FUSED_ACT, OMMA_ACT_NONE) : 0;
    if (!omma_is(product, "Conv") || (act != OMMA_ACT_RELU && act != OMMA_ACT_HSWISH))
        return OMMA_OK;
    return with_act(f, product, add,
                    act == OMMA_ACT_RELU ? OMMA_ACT_RELU_LINE : OMMA_ACT_HSWISH_LINE, scale, shift);
}
