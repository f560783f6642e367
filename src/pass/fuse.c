/* fuse.c - a table of small rules. A rule looks at one node, the last of its pattern, and
 * either replaces it by a node that does the work of the whole pattern or leaves it. The
 * nodes before it are left to the sweep.
 *
 *   Conv -> BatchNormalization                       into the weights
 *   x -> Add 3 -> Clip 0..6 -> Mul x -> Div 6        HardSwish x
 *   x -> Sigmoid -> Mul x                            SiLU x, inside a product's epilogue
 *   Conv | Gemm | MatMul -> Relu | Clip | HardSwish  into the epilogue */
#include <math.h>
#include <string.h>

#include "base/pages.h"
#include "op/fused.h"
#include "pass/pass.h"

typedef struct fuse {
    omma_build *b;
    omma_graph *g;
    int *uses;
    int made; /* constants, for their names */
    bool changed;
} fuse;

static bool is(const omma_node *n, const char *op) { return n && !strcmp(n->op->name, op); }

/* The node that writes v, if v is read nowhere else. */
static omma_node *only(const fuse *f, const omma_value *v) {
    return v && v->producer && f->uses[v->index] == 1 ? v->producer : NULL;
}

/* Is v a constant of one float, equal to x, of rank at most max? */
static bool equals(const omma_value *v, float x, int max) {
    float have;
    if (!v || !v->data || v->dtype != OMMA_F32 || omma_value_count(v) != 1 || v->rank > max)
        return false;
    memcpy(&have, v->data, 4);
    return have == x;
}

/* A rank that v has at least, as far as that is plain before the shapes are known: the
 * numbers 3 and 6 of a HardSwish are [1] in some files, which makes a scalar a list. */
static int least_rank(const omma_value *v, int depth) {
    const omma_node *n = v->producer;
    if (v->rank >= 0 || !n || !depth) return v->rank >= 0 ? v->rank : 0;
    if (is(n, "Conv")) return 3;
    if (!is(n, "Add") && !is(n, "Mul") && !is(n, "BatchNormalization") && !is(n, "Relu")) return 0;
    int rank = least_rank(n->in[0], depth - 1);
    if (is(n, "BatchNormalization") || is(n, "Relu")) return rank;
    int second = least_rank(n->in[1], depth - 1);
    return second > rank ? second : rank;
}

/* The other input of a commutative node of two inputs. */
static omma_value *other(const omma_node *n, const omma_value *v) {
    return n->in[0] == v ? n->in[1] : n->in[1] == v ? n->in[0] : NULL;
}

/* --- convolution and batch norm ------------------------------------------------ */

static bool const_f32(const omma_value *v, int64_t count) {
    return v && v->data && v->dtype == OMMA_F32 && omma_value_count(v) == count;
}

static float load(const void *p, int64_t i) {
    float f;
    memcpy(&f, (const char *)p + (size_t)i * 4, 4);
    return f;
}

static bool norm_fits(const omma_node *conv, const omma_node *bn) {
    const omma_value *w = omma_in(conv, 1), *bias = omma_in(conv, 2);
    if (!w || !w->data || w->dtype != OMMA_F32 || w->rank < 3 || w->dims[0] < 1) return false;
    if (bias && !const_f32(bias, w->dims[0])) return false;
    for (int i = 1; i < 5; i++)
        if (!const_f32(omma_in(bn, i), w->dims[0])) return false;
    return bn->n_out == 1 && !omma_node_int(bn, "training_mode", 0) &&
           omma_node_int(bn, "spatial", 1) && !omma_node_attr(conv, OMMA_FUSED_ACT);
}

/* y = (conv(x) - mean) * scale / sqrt(var + eps) + shift, as weights and a bias. */
static void fold_norm(const omma_node *conv, const omma_node *bn, float *w, float *b) {
    const omma_value *old = conv->in[1], *bias = omma_in(conv, 2);
    double eps = (double)omma_node_float(bn, "epsilon", 1e-5f);
    int64_t m = old->dims[0], k = omma_value_count(old) / m;
    for (int64_t i = 0; i < m; i++) {
        double s = load(bn->in[1]->data, i) / sqrt(load(bn->in[4]->data, i) + eps);
        double b0 = bias ? (double)load(bias->data, i) : 0.0;
        b[i] = (float)((b0 - load(bn->in[3]->data, i)) * s + load(bn->in[2]->data, i));
        for (int64_t j = 0; j < k; j++) w[i * k + j] = (float)(load(old->data, i * k + j) * s);
    }
}

static omma_status conv_norm(fuse *f, omma_node *bn) {
    omma_node *conv = is(bn, "BatchNormalization") ? only(f, bn->in[0]) : NULL;
    if (!is(conv, "Conv") || !norm_fits(conv, bn)) return OMMA_OK;
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

/* --- activations --------------------------------------------------------------- */

static bool clip_bounds(const omma_node *n, float *lo, float *hi) {
    *lo = omma_node_float(n, "min", -INFINITY);
    *hi = omma_node_float(n, "max", INFINITY);
    for (int i = 1; i < 3; i++) {
        const omma_value *v = omma_in(n, i);
        if (!v) continue;
        if (!const_f32(v, 1)) return false;
        *(i == 1 ? lo : hi) = load(v->data, 0);
    }
    return *lo <= *hi;
}

static omma_status hard_swish(fuse *f, omma_node *div) {
    if (!is(div, "Div") || !equals(div->in[1], 6, OMMA_MAX_RANK)) return OMMA_OK;
    omma_node *mul = only(f, div->in[0]);
    if (!is(mul, "Mul")) return OMMA_OK;
    for (int i = 0; i < 2; i++) {
        omma_node *clip = only(f, mul->in[i]),
                  *add = is(clip, "Clip") ? only(f, clip->in[0]) : NULL;
        omma_value *x = mul->in[1 - i];
        float lo, hi;
        if (!is(add, "Add") || !clip_bounds(clip, &lo, &hi) || lo != 0 || hi != 6) continue;
        int rank = least_rank(x, 4);
        if (!equals(other(add, x), 3, rank) || div->in[1]->rank > rank) continue;
        omma_node *n = omma_graph_substitute(f->g, div, omma_op_find("HardSwish"), 1);
        if (!n) return omma_nomem(f->b, div);
        n->in[0] = x;
        f->changed = true;
        return OMMA_OK;
    }
    return OMMA_OK;
}

/* Copy the product's node to the place of `last`, with an activation. */
static omma_status fuse_act(fuse *f, omma_node *product, omma_node *last, omma_act act, float lo,
                            float hi) {
    omma_attr *attrs = omma_arena_array(f->b->arena, (size_t)product->n_attrs + 3, sizeof *attrs);
    omma_node *n = omma_graph_substitute(f->g, last, product->op, product->n_in);
    if (!attrs || !n) return omma_nomem(f->b, last);
    int k = product->n_attrs;
    if (k) memcpy(attrs, product->attrs, (size_t)k * sizeof *attrs);
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
    if (!is(n, "Conv") && !is(n, "Gemm") && !is(n, "MatMul")) return false;
    return n->in[1]->data && n->in[1]->dtype == OMMA_F32 && !omma_node_attr(n, OMMA_FUSED_ACT);
}

static omma_status activation(fuse *f, omma_node *n) {
    float lo = 0, hi = 0;
    omma_act act = is(n, "Relu")        ? OMMA_ACT_RELU
                   : is(n, "HardSwish") ? OMMA_ACT_HSWISH
                                        : OMMA_ACT_NONE;
    if (is(n, "Clip") && clip_bounds(n, &lo, &hi)) act = OMMA_ACT_CLIP;
    omma_node *product = act ? only(f, n->in[0]) : NULL;
    return takes_act(product) ? fuse_act(f, product, n, act, lo, hi) : OMMA_OK;
}

static omma_status silu(fuse *f, omma_node *mul) {
    if (!is(mul, "Mul")) return OMMA_OK;
    for (int i = 0; i < 2; i++) {
        omma_node *sigmoid = only(f, mul->in[i]);
        omma_value *x = mul->in[1 - i];
        if (!is(sigmoid, "Sigmoid") || sigmoid->in[0] != x) continue;
        if (f->uses[x->index] == 2 && takes_act(x->producer))
            return fuse_act(f, x->producer, mul, OMMA_ACT_SILU, 0, 0);
    }
    return OMMA_OK;
}

static omma_status (*const rules[])(fuse *f, omma_node *n) = {conv_norm, hard_swish, silu,
                                                              activation};

omma_status omma_pass_fuse(omma_build *b, omma_graph *g) {
    omma_arena tmp;
    omma_arena_init(&tmp, b->arena->budget);
    fuse f = {.b = b, .g = g, .changed = true};
    omma_status s = OMMA_OK;
    while (f.changed && !s) {
        f.changed = false;
        omma_graph_sweep(g);
        omma_arena_free(&tmp);
        f.uses = omma_graph_uses(g, &tmp);
        if (!f.uses) s = omma_fail(b->err, OMMA_E_NOMEM, "no memory to fuse");
        for (int i = 0; i < g->n_nodes && !s; i++) {
            /* one rule a node and round: a changed graph needs its uses counted again */
            omma_node *n = g->nodes[i];
            for (size_t r = 0; r < sizeof rules / sizeof *rules && !s && g->nodes[i] == n; r++)
                s = rules[r](&f, n);
        }
    }
    omma_graph_sweep(g);
    omma_arena_free(&tmp);
    return s;
}
