/* randomwide_nets.h - steps of random graphs (randomwide.h): windows, norms, products, attention
 * and recurrent cells. */
#ifndef OMMA_TESTS_RANDOMWIDE_NETS_H
#define OMMA_TESTS_RANDOMWIDE_NETS_H

#include "randomwide_plain.h"

/* --- windows --------------------------------------------------------------------------------- */

enum { NET_AXES = 3 };

/* Random strides, dilations and pads, as attributes; a kernel of at most four in kernel. */
static inline void window(wide *w, const omma_value *x, int64_t *kernel, bool dilated) {
    int64_t strides[NET_AXES], dilations[NET_AXES], pads[2 * NET_AXES];
    const int k = x->rank - 2;
    for (int d = 0; d < k; d++) {
        const int64_t len = x->dims[2 + d];
        kernel[d] = between(1, len < 4 ? len : 4);
        strides[d] = roll(3) ? 1 : between(1, 3);
        dilations[d] = dilated && rare() && (kernel[d] - 1) * 2 < len ? 2 : 1;
        pads[d] = coin() ? 0 : roll(kernel[d]), pads[k + d] = coin() ? 0 : roll(kernel[d]);
    }
    if (coin()) wide_ints(w, "strides", k, strides);
    if (dilated && coin()) wide_ints(w, "dilations", k, dilations);
    if (rare()) wide_text(w, "auto_pad", ONE_OF("SAME_UPPER", "SAME_LOWER", "VALID"));
    else if (coin()) wide_ints(w, "pads", 2 * k, pads);
}

/* Nodes whose attributes are set already get inputs that take nodes to make. */
typedef struct aside {
    omma_attr attrs[WIDE_ATTRS];
    int n;
} aside;
static inline aside put_aside(wide *w) {
    aside a = {.n = w->n_attrs};
    memcpy(a.attrs, w->attrs, sizeof a.attrs);
    w->n_attrs = 0;
    return a;
}
static inline void put_back(wide *w, const aside *a) {
    memcpy(w->attrs, a->attrs, sizeof a->attrs);
    w->n_attrs = a->n;
}

/* Weights: constant, or now and then computed. */
static inline omma_value *kernel_of(wide *w, int64_t terms, int rank, const int64_t *dims) {
    if (w->positive || roll(5)) return weights(w, terms, rank, dims);
    const aside a = put_aside(w);
    omma_value *v = shaped(w, rank, dims);
    put_back(w, &a);
    return v;
}

static void conv_step(wide *w) {
    omma_value *x = spatial(w, rare() ? 1 + roll(3) : 2);
    int64_t dims[2 + NET_AXES], terms = 1;
    if (!x) return;
    const int64_t c = x->dims[1], group = c && rare() ? c : c % 2 == 0 && rare() ? 2 : 1;
    dims[0] = group * between(1, group > 4 ? 1 : 4), dims[1] = c / group;
    window(w, x, dims + 2, true);
    for (int d = 1; d < x->rank; d++) terms *= dims[d];
    if (group > 1) wide_int(w, "group", group);
    omma_value *k = kernel_of(w, terms, x->rank, dims);
    omma_value *bias = coin() ? floats(w, -0.3, 0.3, 1, dims) : NULL;
    push(w, put(w, "Conv", coin() ? 11 : 22, x, k, bias));
}

static void causal_step(wide *w) {
    omma_value *x = ranked(w, 3);
    if (!x || x->dims[1] > 200) return;
    const int64_t c = x->dims[1], k = between(1, 4);
    omma_value *past = coin() ? NULL : shaped(w, DIMS(x->dims[0], c, k - 1));
    omma_value *in[] = {x, weights(w, k, DIMS(c, 1, k)),
                        coin() ? NULL : floats(w, -0.3, 0.3, 1, &c), past};
    if (coin() && !w->positive) wide_text(w, "activation", "silu");
    push_all(w, put_node(w, "CausalConvWithState", 27, 4, in, 2));
}

static void transposed_step(wide *w) {
    omma_value *x = spatial(w, rare() ? 1 + roll(3) : 2);
    if (!x) return;
    const int k = x->rank - 2;
    const int64_t c = x->dims[1], group = c % 2 == 0 && rare() ? 2 : 1;
    int64_t dims[2 + NET_AXES] = {c, between(1, 3)}, strides[NET_AXES], more[NET_AXES],
                     pads[2 * NET_AXES], dilations[NET_AXES], terms = c;
    for (int d = 0; d < k; d++) {
        dims[2 + d] = between(1, 4), strides[d] = between(1, 3), dilations[d] = rare() ? 2 : 1;
        more[d] = coin() ? 0 : roll(strides[d]);
        pads[d] = coin() ? 0 : roll(dims[2 + d]), pads[k + d] = coin() ? 0 : roll(dims[2 + d]);
        terms *= dims[2 + d];
    }
    wide_ints(w, "strides", k, strides);
    if (coin()) wide_ints(w, "output_padding", k, more);
    else if (rare()) {
        for (int d = 0; d < k; d++) more[d] = strides[d] * x->dims[2 + d] - roll(2);
        wide_ints(w, "output_shape", k, more);
    }
    if (rare()) wide_ints(w, "dilations", k, dilations);
    if (rare()) wide_text(w, "auto_pad", ONE_OF("SAME_UPPER", "SAME_LOWER", "VALID"));
    else if (coin()) wide_ints(w, "pads", 2 * k, pads);
    if (group > 1) wide_int(w, "group", group);
    omma_value *weight = kernel_of(w, terms, x->rank, dims);
    omma_value *bias = coin() ? floats(w, -0.3, 0.3, DIMS(dims[1] * group)) : NULL;
    push(w, put(w, "ConvTranspose", 11, x, weight, bias));
}

static void pool_step(wide *w) {
    static const char *const ops[] = {"AveragePool", "MaxPool", "LpPool"};
    const int which = w->positive ? 0 : variant(w, 3);
    omma_value *x = spatial(w, rare() ? 1 + roll(3) : 2);
    int64_t kernel[NET_AXES];
    if (!x) return;
    window(w, x, kernel, true);
    wide_ints(w, "kernel_shape", x->rank - 2, kernel);
    if (rare()) wide_int(w, "ceil_mode", 1);
    if (!which && coin()) wide_int(w, "count_include_pad", 1);
    if (which == 2 && coin()) wide_int(w, "p", between(1, 3));
    const int opset = which == 1 ? 12 : which ? 18 : 19;
    omma_node *n = put_node(w, ops[which], opset, 1, &x, which == 1 && coin() ? 2 : 1);
    if (!n) return;
    push(w, n->out[0]);
    if (n->n_out > 1) push(w, put(w, "Mul", 13, cast(w, n->out[1], OMMA_F32), number(w, 0.01)));
}

/* Maxima, and put back where they were. */
static void unpool_step(wide *w) {
    omma_value *x = shaped(w, DIMS(1, between(1, 3), 2 * between(1, 5), 2 * between(1, 5)));
    if (!x) return;
    wide_ints(w, "kernel_shape", 2, (int64_t[]){2, 2});
    wide_ints(w, "strides", 2, (int64_t[]){2, 2});
    if (rare()) wide_int(w, "storage_order", 1);
    omma_node *n = put_node(w, "MaxPool", 12, 1, &x, 2);
    if (!n) return;
    push(w, n->out[0]);
    wide_ints(w, "kernel_shape", 2, (int64_t[]){2, 2});
    wide_ints(w, "strides", 2, (int64_t[]){2, 2});
    const aside a = put_aside(w);
    omma_value *to = coin() ? list(w, 4, x->dims) : NULL, *at = n->out[1];
    if (rare()) at = index_of(w, shaped(w, 4, n->out[0]->dims), count(x), OMMA_I64); /* others' */
    put_back(w, &a);
    push(w, put(w, "MaxUnpool", 11, n->out[0], at, to));
}

static void global_step(wide *w) {
    omma_value *x = spatial(w, 1 + roll(3));
    const char *op = w->positive ? "GlobalAveragePool"
                                 : VARIANT("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool");
    omma_value *y = put(w, op, op[6] == 'L' ? 2 : 1, x);
    push(w, y);
    if (!w->positive && y && coin()) /* squeeze and excite */
        push(w, put(w, "Mul", 13, x, un(w, "Sigmoid", y)));
}

static void columns_step(wide *w) {
    const int64_t h = between(3, 7), v = between(3, 7), k = between(1, 3), l = between(1, 3);
    const int64_t blocks = (h - k + 1) * (v - l + 1);
    omma_value *x = shaped(w, DIMS(1, between(1, 2) * k * l, blocks));
    push(w, put(w, "Col2Im", 18, x, list(w, 2, (int64_t[]){h, v}), list(w, 2, (int64_t[]){k, l})));
}

/* --- norms -------------------------------------------------------------------------------------
 */

static void channel_norm_step(wide *w) {
    omma_value *x = spatial(w, rare() ? 1 + roll(3) : 2);
    if (!x) return;
    const int64_t c = x->dims[1];
    omma_value *scale = floats(w, 0.5, 1.5, 1, &c), *bias = floats(w, -0.3, 0.3, 1, &c);
    omma_value *in[] = {x, scale, bias, floats(w, -0.3, 0.3, 1, &c), floats(w, 0.5, 1.5, 1, &c)};
    const int which = w->positive ? 0 : variant(w, 5);
    if (which == 0) {
        if (coin()) wide_real(w, "epsilon", 1e-2);
        push(w, put_first(w, "BatchNormalization", 15, 5, in));
    } else if (which == 1) {
        wide_int(w, "training_mode", 1);
        push_all(w, put_node(w, "BatchNormalization", 15, 5, in, 1 + 2 * coin()));
    } else if (which == 2) {
        wide_real(w, "epsilon", 1e-2);
        push(w, put_first(w, "InstanceNormalization", 6, 3, in));
    } else {
        int64_t groups = c % 2 ? c : coin() ? 2 : 1;
        wide_int(w, "num_groups", groups);
        wide_real(w, "epsilon", 1e-2);
        if (which == 3)
            in[1] = floats(w, 0.5, 1.5, 1, &groups), in[2] = floats(w, 0, 1, 1, &groups);
        push(w, put_first(w, "GroupNormalization", which == 3 ? 18 : 21, 3, in));
    }
}

static void row_norm_step(wide *w) {
    omma_value *x = any(w);
    const int rank = x->rank, axis = roll(rank);
    if (!rank) return;
    omma_value *scale = floats(w, 0.5, 1.5, rank - axis, x->dims + axis);
    omma_value *bias = coin() ? floats(w, -0.5, 0.5, rank - axis, x->dims + axis) : NULL;
    int64_t axes[OMMA_MAX_RANK];
    const int n = some_axes(rank, axes, 2);
    switch (variant(w, 4)) {
    case 0:
        wide_int(w, "axis", coin() ? axis : axis - rank), wide_real(w, "epsilon", 1e-2);
        push_all(w, put_node(w, "LayerNormalization", 17, 3, (omma_value *[]){x, scale, bias},
                             1 + 2 * coin()));
        return;
    case 1:
        wide_int(w, "axis", coin() ? axis : axis - rank), wide_real(w, "epsilon", 1e-2);
        push(w, put(w, "RMSNormalization", 23, x, scale));
        return;
    case 2:
        wide_int(w, "axis", an_axis(rank)), wide_int(w, "p", between(1, 2));
        push(w, put(w, "LpNormalization", coin() ? 1 : 22, x));
        return;
    default:
        if (rank != 4 || coin()) wide_ints(w, "axes", n, axes);
        push(w, put(w, "MeanVarianceNormalization", 13, x));
    }
}

static void local_norm_step(wide *w) {
    omma_value *x = spatial(w, 2);
    wide_int(w, "size", between(1, 5));
    wide_real(w, "alpha", 0.5), wide_real(w, "beta", real(0.3, 0.9)), wide_real(w, "bias", 1);
    push(w, put(w, "LRN", 13, x));
}

/* --- products ------------------------------------------------------------------------------------
 */

static void matmul_step(wide *w) {
    omma_value *x = any(w);
    int64_t d[OMMA_MAX_RANK];
    if (!x->rank) return;
    const int64_t k = x->dims[x->rank - 1];
    if (k > 500) return;
    const int way = w->positive ? roll(2) : variant(w, 4);
    if (way == 0) push(w, put(w, "MatMul", 13, x, weights(w, k, 1, &k)));
    if (way == 1) push(w, put(w, "MatMul", 13, x, weights(w, k, DIMS(k, between(1, 6)))));
    if (way < 2) return;
    memcpy(d, x->dims, sizeof d);
    if (x->rank == 1) d[1] = between(1, 4);
    else d[x->rank - 2] = k, d[x->rank - 1] = between(1, 5);
    for (int i = 0; i + 2 < x->rank; i++)
        if (coin()) d[i] = 1;
    omma_value *z = shaped(w, x->rank < 2 ? 2 : x->rank, d);
    push(w,
         z ? put(w, "Mul", 13, put(w, "MatMul", 13, x, z), number(w, 1 / sqrt((double)k))) : NULL);
}

static void gemm_step(wide *w) {
    const bool ta = coin(), tb = coin();
    omma_value *x = ranked(w, 2);
    if (!x) return;
    const int64_t k = x->dims[!ta], m = x->dims[ta], n = between(1, 6);
    if (k > 500 || m * n > WIDE_MOST) return;
    omma_value *b = w->positive || coin() ? weights(w, k, DIMS(tb ? n : k, tb ? k : n))
                                          : tame(w, shaped(w, DIMS(tb ? n : k, tb ? k : n)));
    omma_value *c = rare() ? NULL : coin() ? floats(w, -1, 1, 1, &n) : shaped(w, DIMS(m, 1));
    if (ta) wide_int(w, "transA", 1);
    if (tb) wide_int(w, "transB", 1);
    wide_real(w, "alpha", 1 / sqrt((double)k)), wide_real(w, "beta", coin() ? 1 : 0.5);
    push(w, put(w, "Gemm", 13, x, b, c));
}

static void einsum_step(wide *w) {
    static const char *const equations[] = {
        "ij,jk->ik", "bij,bjk->bik",    "ij->ji", "i,j->ij",      "bhwc,hkc->bhwk", "ijk->jk",
        "ij,ij->",   "bij,bkj->bki",    "ii->i",  "ijj->ij",      "ij,jk,kl->il",   "ij",
        "ijk,k->i",  "bhid,bhjd->bhij", "iji->j", "...i,ij->...j"};
    const char *e = equations[variant(w, 16)], *s = e;
    int64_t length[26];
    omma_value *in[3] = {0};
    int n = 0;
    for (int i = 0; i < 26; i++) length[i] = between(1, 5);
    while (*s && *s != '-') {
        int64_t d[6];
        int rank = 0;
        for (; *s && *s != ',' && *s != '-'; s++) {
            if (*s == '.' && s[1] != '.') d[rank++] = 2, d[rank++] = 3;
            if (*s != '.') d[rank++] = length[*s - 'a'];
        }
        in[n] = n && (w->positive || coin()) ? factors(w, rank, d) : shaped(w, rank, d);
        if (!in[n++]) return;
        if (*s == ',') s++;
    }
    wide_text(w, "equation", e);
    push(w, put_first(w, "Einsum", 12, n, in));
}

static void det_step(wide *w) {
    const int64_t n = between(1, 4);
    omma_value *x = tame(w, shaped(w, DIMS(between(1, 3), n, n)));
    omma_value *y = put(w, "Det", 11, x);
    push(w, y && coin() ? under(w, y, 2, (int64_t[]){1, -1}) : y);
}

static void fourier_step(wide *w) {
    if (coin()) {
        omma_value *x = shaped(w, DIMS(1, between(8, 20), 1));
        wide_int(w, "onesided", roll(2));
        const int64_t frame = between(2, 6);
        omma_value *window = coin() ? NULL : floats(w, 0.2, 1, 1, &frame);
        push(w, put(w, "STFT", 17, x, whole(w, between(1, 3)), window, whole(w, frame)));
        return;
    }
    omma_value *x = ranked(w, 3);
    if (!x) return;
    const bool pairs = x->dims[2] % 2 == 0 && coin();
    x = under(w, x, 4, (int64_t[]){x->dims[0], x->dims[1], -1, pairs ? 2 : 1});
    if (coin()) wide_int(w, "inverse", 1);
    if (!pairs && coin()) wide_int(w, "onesided", 1);
    omma_value *length = coin() ? NULL : whole(w, between(2, 9));
    push(w, put(w, "DFT", 20, x, length, coin() ? whole(w, roll(3)) : NULL));
}

/* --- softmax and attention
 * ------------------------------------------------------------------------- */

/* A mask that blocks some with -inf or a large number: constants that are added, or chosen. */
static inline omma_value *masked(wide *w, omma_value *x) {
    static const float blocks[] = {-INFINITY, -INFINITY, -1e9f, -1e4f, -100};
    int64_t d[OMMA_MAX_RANK], n = 1;
    if (!x) return NULL;
    const int skip = rare() && x->rank ? roll(x->rank) : 0, rank = x->rank - skip;
    for (int i = 0; i < rank; i++) d[i] = rare() ? 1 : x->dims[i + skip], n *= d[i];
    float *mask = omma_arena_array(&w->arena, (size_t)n + 1, sizeof *mask);
    const float block = blocks[roll(5)];
    for (int64_t i = 0; i < n; i++) mask[i] = coin() && (i % 3 || isfinite(block)) ? block : 0;
    if (roll(3)) return put(w, "Add", 13, x, constant(w, OMMA_F32, rank, d, mask));
    omma_value *c = bools(w, rank, d), *k = constant(w, OMMA_F32, 0, NULL, &block);
    return coin() ? put(w, "Where", 16, c, x, k) : put(w, "Where", 16, c, k, x);
}

static void softmax_step(wide *w) {
    omma_value *x = any(w);
    if (!x->rank) return;
    if (coin()) x = masked(w, tame(w, x));
    if (!x) return;
    wide_int(w, "axis", an_axis(x->rank));
    const bool plain = roll(3);
    omma_value *y = put(w, plain ? "Softmax" : "LogSoftmax", coin() ? 13 : 11, x);
    push(w, plain || !y ? y : put(w, "Clip", 13, y, number(w, -50)));
}

/* What is done to numbers on the way to or from a softmax; what is known of them must follow. */
static inline omma_value *on_the_way(wide *w, omma_value *x) {
    int64_t d[OMMA_MAX_RANK];
    if (!x) return NULL;
    const int axis = roll(x->rank);
    switch (roll(11)) {
    case 0: return un(w, ONE_OF("Identity", "Transpose", "Relu", "Neg"), x);
    case 1: return ranked_as(w, x, 1 + roll(4));
    case 2: return put(w, "Add", 13, x, number(w, ((double[]){100, -100, 1e9, 0.5})[roll(4)]));
    case 3: return put(w, ONE_OF("Add", "Mul", "Sub", "Max"), 13, x, fellow(w, x, -1, 1));
    case 4: return put(w, "Add", 13, fellow(w, x, -1, 1), x);
    case 5: return put(w, "Where", 16, some_bools(w, x), x, fellow(w, x, -1, 1));
    case 6: return put(w, "Mul", 13, x, number(w, ((double[]){0.01, -1, 0.5})[roll(3)]));
    case 7: return masked(w, x);
    case 8: memcpy(d, x->dims, sizeof d); return put(w, "Expand", 13, x, list(w, x->rank, d));
    case 9:
        if (!x->rank || x->dims[axis] < 2) return x;
        return put(w, "Slice", 13, x, list(w, 1, (int64_t[]){1}),
                   list(w, 1, (int64_t[]){INT64_MAX}), list(w, 1, (int64_t[]){axis}));
    default: return x;
    }
}

static inline omma_value *mixed(wide *w, omma_value *x) {
    if (!x || !x->rank) return x;
    int64_t d[OMMA_MAX_RANK];
    memcpy(d, x->dims, sizeof d);
    if (x->rank == 1) d[1] = between(1, 3);
    const int rank = x->rank < 2 ? 2 : x->rank;
    if (coin()) { /* on the left, or on the right */
        d[rank - 2] = x->dims[x->rank - 1], d[rank - 1] = between(1, 3);
        return put(w, "MatMul", 13, x, shaped(w, rank, d));
    }
    if (x->rank < 2) return x;
    d[rank - 1] = x->dims[rank - 2], d[rank - 2] = between(1, 3);
    return put(w, "MatMul", 13, shaped(w, rank, d), x);
}

static void mask_step(wide *w) {
    omma_value *x = any(w);
    if (!x->rank || count(x) > 600) return;
    x = masked(w, tame(w, x));
    for (int i = roll(3); i > 0; i--) x = on_the_way(w, x);
    if (!x || !x->rank) return;
    if (roll(5)) {
        wide_int(w, "axis", coin() ? -1 : an_axis(x->rank));
        x = put(w, roll(6) ? "Softmax" : "LogSoftmax", coin() ? 13 : 11, x);
    }
    for (int i = roll(3); i > 0; i--) x = on_the_way(w, x);
    if (coin()) x = mixed(w, x);
    if (x && x->rank && rare()) {
        x = masked(w, x);
        if (x) wide_int(w, "axis", -1), x = put(w, "Softmax", 13, x);
    }
    push(w, x);
}

/* Scores, maybe masked, and what they choose. */
static void attend_step(wide *w) {
    const int64_t h = between(1, 2), t = between(2, 7), s = between(2, 7), d = between(1, 4);
    omma_value *q = tame(w, shaped(w, DIMS(1, h, t, d))), *k = tame(w, shaped(w, DIMS(1, h, d, s)));
    omma_value *v = shaped(w, DIMS(1, h, s, between(1, 4))), *x = put(w, "MatMul", 13, q, k);
    if (roll(3)) x = masked(w, x);
    if (!x || !v) return;
    wide_int(w, "axis", -1);
    x = put(w, "Softmax", 13, x);
    if (rare()) push(w, x), x = put(w, ONE_OF("Add", "Mul"), 13, x, fellow(w, x, -1, 1));
    push(w, put(w, "MatMul", 13, x, v));
}

/* The mask of an Attention; lengths are all multiplied out. */
static inline omma_value *attention_mask(wide *w, int64_t t, int64_t s) {
    static float mask[64];
    for (int i = 0; i < 64; i++) mask[i] = coin() ? -INFINITY : (float)real(-1, 1);
    switch (roll(5)) {
    case 0: return bools(w, DIMS(t, s));
    case 1: return constant(w, OMMA_F32, DIMS(t, s), mask);
    case 2: return shaped(w, DIMS(t, s));
    case 3: return some_bools(w, shaped(w, DIMS(t, s)));
    default: return NULL;
    }
}

static void attention_step(wide *w) {
    const int64_t g = between(1, 2), h = g * between(1, 2), t = between(2, 6), s = between(2, 6),
                  past = rare() ? between(1, 2) : 0, d = between(1, 3), e = between(1, 3);
    const bool flat = coin();
    omma_value *in[] = {tame(w, flat ? shaped(w, DIMS(1, t, h * d)) : shaped(w, DIMS(1, h, t, d))),
                        tame(w, flat ? shaped(w, DIMS(1, s, g * d)) : shaped(w, DIMS(1, g, s, d))),
                        flat ? shaped(w, DIMS(1, s, g * e)) : shaped(w, DIMS(1, g, s, e)),
                        attention_mask(w, t, s + past),
                        past ? tame(w, shaped(w, DIMS(1, g, past, d))) : NULL,
                        past ? shaped(w, DIMS(1, g, past, e)) : NULL,
                        past || roll(3) ? NULL : list(w, 1, (int64_t[]){between(1, s)})};
    if (flat) wide_int(w, "q_num_heads", h), wide_int(w, "kv_num_heads", g);
    if (coin()) wide_int(w, "is_causal", 1);
    if (rare()) wide_real(w, "softcap", 0.8);
    const int mode = roll(4);
    wide_int(w, "qk_matmul_output_mode", mode);
    push_all(w, put_node(w, "Attention", in[6] || coin() ? 24 : 23, in[6] ? 7 : 6, in,
                         rare() && mode != 2 ? 4
                         : past              ? 3
                                             : 1));
}

static void linear_attention_step(wide *w) {
    const int64_t g = between(1, 2), h = g * between(1, 2), t = between(2, 5), d = between(1, 3),
                  e = between(1, 3);
    omma_value *in[] = {tame(w, shaped(w, DIMS(1, t, h * d))),
                        tame(w, shaped(w, DIMS(1, t, g * d))),
                        shaped(w, DIMS(1, t, g * e)),
                        coin() ? shaped(w, DIMS(1, g, d, e)) : NULL,
                        tame(w, shaped(w, DIMS(1, t, coin() ? g : g * d))),
                        tame(w, shaped(w, DIMS(1, t, coin() ? g : 1)))};
    wide_int(w, "q_num_heads", h), wide_int(w, "kv_num_heads", g);
    wide_text(w, "update_rule", VARIANT("linear", "delta", "gated", "gated_delta"));
    push_all(w, put_node(w, "LinearAttention", 27, 6, in, 1 + coin()));
}

static void rotary_step(wide *w) {
    const int64_t h = between(1, 3), s = between(1, 5), d = 2 * between(1, 3);
    const bool flat = coin(), places = coin();
    omma_value *x = flat ? shaped(w, DIMS(1, s, h * d)) : shaped(w, DIMS(1, h, s, d));
    int64_t dims[3] = {1, s, d / 2};
    if (places) dims[0] = 6, dims[1] = d / 2;
    omma_value *c = floats(w, -1, 1, places ? 2 : 3, dims),
               *z = floats(w, -1, 1, places ? 2 : 3, dims);
    omma_value *at = !places  ? NULL
                     : coin() ? index_of(w, shaped(w, DIMS(1, s)), 6, OMMA_I64)
                              : constant(w, OMMA_I64, DIMS(1, s), (int64_t[]){5, 0, 3, 3, 1});
    if (flat) wide_int(w, "num_heads", h);
    if (coin()) wide_int(w, "interleaved", 1);
    push(w, put(w, "RotaryEmbedding", 23, x, c, z, at));
}

/* --- recurrent cells
 * ------------------------------------------------------------------------------- */

static void recurrent_step(wide *w) {
    static const char *const names[] = {"RNN", "GRU", "LSTM"};
    static const int64_t gates[] = {1, 3, 4};
    const int which = variant(w, 3), dir = roll(3);
    const int64_t t = between(1, 5), b = between(1, 2), i = between(1, 4), h = between(1, 4),
                  dirs = dir == 2 ? 2 : 1;
    const bool batch_first = rare();
    omma_value *x = batch_first ? shaped(w, DIMS(b, t, i)) : shaped(w, DIMS(t, b, i));
    omma_value *state = coin()        ? NULL
                        : batch_first ? shaped(w, DIMS(b, dirs, h))
                                      : shaped(w, DIMS(dirs, b, h));
    omma_value *lens = coin()   ? NULL
                       : coin() ? constant(w, OMMA_I32, 1, &b, (int32_t[]){(int32_t)roll(t + 1), 1})
                                : index_of(w, shaped(w, 1, &b), t + 1, OMMA_I32);
    omma_value *in[] = {x,
                        weights(w, i, DIMS(dirs, gates[which] * h, i)),
                        weights(w, h, DIMS(dirs, gates[which] * h, h)),
                        coin() ? NULL : floats(w, -0.3, 0.3, DIMS(dirs, 2 * gates[which] * h)),
                        lens,
                        state,
                        which == 2 ? state : NULL,
                        which == 2 && coin() ? floats(w, -1, 1, DIMS(dirs, 3 * h)) : NULL};
    wide_int(w, "hidden_size", h);
    wide_text(w, "direction", dir == 0 ? "forward" : dir == 1 ? "reverse" : "bidirectional");
    if (batch_first) wide_int(w, "layout", 1);
    if (which == 1 && coin()) wide_int(w, "linear_before_reset", 1);
    if (which == 2 && rare()) wide_int(w, "input_forget", 1);
    if (rare()) wide_real(w, "clip", 0.5);
    static const char *const acts[] = {"HardSigmoid", "Affine", "Softsign",
                                       "Elu",         "Relu",   "Softplus"};
    if (rare() && which < 2) wide_texts(w, "activations", (int)dirs * (which + 1), acts);
    push_all(w, put_node(w, names[which], 14, which == 2 ? 8 : 6, in, which == 2 ? 3 : 2));
}

#endif
