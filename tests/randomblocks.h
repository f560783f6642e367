/* randomblocks.h - random models made of the blocks that vision models are made of, as exporters
 * write them: residual blocks, inverted ones with squeeze and excite, branches that meet again,
 * pyramids, layer norms, GELUs and attention taken to pieces, maps that become tokens and back.
 *
 *     random_seed = 7;
 *     random_graph r;
 *     mk bytes = random_blocks(&r);   // one input v0: f32 [1,3,r.h,r.w]
 */
#ifndef OMMA_TESTS_RANDOMBLOCKS_H
#define OMMA_TESTS_RANDOMBLOCKS_H

#include "randomgraph.h"

enum { MOST_CHANNELS = 40, MOST_TOKENS = 260 };

static const char *const block_acts[] = {"Relu", "HardSwish", "Sigmoid", "Silu", "Clip", ""};

/* A node of one output. */
static int node(random_graph *r, const char *op, const char *in, int rank, const int64_t *d,
                mk *attrs) {
    int y = value(r, rank, d);
    mk_op(&r->g, op, in, name_of(r, y), attrs);
    return y;
}

static int node_like(random_graph *r, const char *op, const char *in, int x, mk *attrs) {
    return node(r, op, in, r->v[x].rank, r->v[x].d, attrs);
}

static int64_t out_of(int64_t in, int64_t k, int64_t stride, int64_t pad) {
    return (in + 2 * pad - k) / stride + 1;
}

/* --- maps: [1,C,H,W] --------------------------------------------------------------------- */

/* A convolution of k x k, padded so that stride 1 keeps the size. */
static int conv_of(random_graph *r, int x, int64_t m, int64_t k, int64_t stride, int64_t group) {
    const int64_t *d = r->v[x].d, c = d[1] / group, pad = k / 2;
    const int64_t out[4] = {1, m, out_of(d[2], k, stride, pad), out_of(d[3], k, stride, pad)};
    mk a = {0};
    mk_attr_ints(&a, "pads", (int64_t[]){pad, pad, pad, pad}, 4);
    mk_attr_ints(&a, "strides", (int64_t[]){stride, stride}, 2);
    if (group > 1) mk_attr_int(&a, "group", group);
    const char *w = weight(r, 1.7f / sqrtf((float)(c * k * k)), 0, MK_DIMS(m, c, k, k));
    const char *in = rnd(2) ? text("%s,%s", use(r, x), w)
                            : text("%s,%s,%s", use(r, x), w, weight(r, 0.4f, 0, MK_DIMS(m)));
    return node(r, "Conv", in, 4, out, &a);
}

static int norm_of(random_graph *r, int x) {
    const int64_t c = r->v[x].d[1];
    const char *s = weight(r, 0.4f, 1, MK_DIMS(c)), *b = weight(r, 0.3f, 0, MK_DIMS(c));
    const char *m = weight(r, 0.3f, 0, MK_DIMS(c)), *v = weight(r, 0.4f, 1, MK_DIMS(c));
    if (rnd(4) == 0) { /* frozen: taken to pieces */
        s = weight(r, 0.4f, 1, MK_DIMS(1, c, 1, 1)), b = weight(r, 0.3f, 0, MK_DIMS(1, c, 1, 1));
        int y = node_like(r, "Mul", text("%s,%s", use(r, x), s), x, NULL);
        return node_like(r, "Add", text("%s,%s", use(r, y), b), y, NULL);
    }
    return node_like(r, "BatchNormalization", text("%s,%s,%s,%s,%s", use(r, x), s, b, m, v), x,
                     NULL);
}

static int pieces_of_hard_swish(random_graph *r, int x) {
    int add = node_like(r, "Add", text("%s,%s", use(r, x), number(r, 3, 0)), x, NULL);
    int clip = node_like(r, "Clip", text("%s,%s,%s", use(r, add), number(r, 0, 0), number(r, 6, 0)),
                         x, NULL);
    int mul = node_like(r, "Mul", text("%s,%s", use(r, x), use(r, clip)), x, NULL);
    return node_like(r, "Div", text("%s,%s", use(r, mul), number(r, 6, 0)), x, NULL);
}

static int act_of(random_graph *r, int x, const char *act) {
    if (!*act) return x;
    if (!strcmp(act, "HardSwish") && rnd(2)) return pieces_of_hard_swish(r, x);
    if (!strcmp(act, "Clip"))
        return node_like(r, act, text("%s,%s,%s", use(r, x), number(r, 0, 0), number(r, 6, 0)), x,
                         NULL);
    if (strcmp(act, "Silu")) return node_like(r, act, use(r, x), x, NULL);
    int s = node_like(r, "Sigmoid", use(r, x), x, NULL);
    return node_like(r, "Mul", text("%s,%s", use(r, x), use(r, s)), x, NULL);
}

static int add_of(random_graph *r, int x, int z) {
    return node_like(r, "Add",
                     rnd(2) ? text("%s,%s", use(r, x), use(r, z))
                            : text("%s,%s", use(r, z), use(r, x)),
                     x, NULL);
}

static int squeeze_excite(random_graph *r, int x) {
    const int64_t c = r->v[x].d[1], pooled[4] = {1, c, 1, 1};
    mk a = {0};
    int p;
    if (rnd(2)) p = node(r, "GlobalAveragePool", use(r, x), 4, pooled, NULL);
    else {
        mk_attr_ints(&a, "axes", (int64_t[]){2, 3}, 2);
        p = node(r, "ReduceMean", use(r, x), 4, pooled, &a);
    }
    int s = act_of(r, conv_of(r, p, 4 + 4 * rnd(2), 1, 1, 1), "Relu");
    s = act_of(r, conv_of(r, s, c, 1, 1, 1), rnd(2) ? "Sigmoid" : "HardSigmoid");
    return node_like(r, "Mul",
                     rnd(2) ? text("%s,%s", use(r, x), use(r, s))
                            : text("%s,%s", use(r, s), use(r, x)),
                     x, NULL);
}

static void stem(random_graph *r) {
    int x = pick(r, 4);
    if (x < 0) return;
    int y = conv_of(r, x, 8 + rnd(17), 1 + 2 * rnd(4), 1 + rnd(2), 1);
    act_of(r, rnd(3) ? norm_of(r, y) : y, block_acts[rnd(6)]);
}

static void bottleneck(random_graph *r) { /* ResNet */
    int x = pick(r, 4);
    if (x < 0) return;
    const int64_t c = r->v[x].d[1], mid = 4 + rnd(13), m = rnd(2) ? c : 8 + 4 * rnd(8);
    const int64_t stride = 1 + (rnd(3) == 0), group = mid % 4 == 0 && rnd(3) == 0 ? 4 : 1;
    int y = act_of(r, norm_of(r, conv_of(r, x, mid, 1, 1, 1)), "Relu");
    y = act_of(r, norm_of(r, conv_of(r, y, mid, 3, stride, group)), "Relu");
    y = norm_of(r, conv_of(r, y, m, 1, 1, 1));
    int z = m == c && stride == 1 ? x : norm_of(r, conv_of(r, x, m, 1, stride, 1));
    act_of(r, add_of(r, y, z), rnd(4) ? "Relu" : "");
}

static void inverted(random_graph *r) { /* MobileNetV3 */
    int x = pick(r, 4);
    if (x < 0) return;
    const char *act = block_acts[rnd(5)];
    const int64_t c = r->v[x].d[1], mid = 8 + rnd(25), k = 3 + 2 * rnd(2),
                  stride = 1 + (rnd(3) == 0);
    int y = act_of(r, norm_of(r, conv_of(r, x, mid, 1, 1, 1)), act);
    y = act_of(r, norm_of(r, conv_of(r, y, mid, k, stride, mid)), act);
    if (rnd(2)) y = squeeze_excite(r, y);
    y = norm_of(r, conv_of(r, y, stride == 1 ? c : 8 + rnd(17), 1, 1, 1));
    if (stride == 1) add_of(r, y, x);
}

static void branches(random_graph *r) { /* of a CSP block: split or not, meet again */
    int x = pick(r, 4);
    if (x < 0) return;
    const int64_t c = r->v[x].d[1], *d = r->v[x].d;
    const char *act = block_acts[rnd(5)];
    int a, b;
    if (c % 2 == 0 && rnd(2)) {
        mk s = {0};
        mk_attr_int(&s, "axis", 1);
        const int64_t half[4] = {1, c / 2, d[2], d[3]};
        a = value(r, 4, half), b = value(r, 4, half);
        mk_op(&r->g, "Split", use(r, x), text("%s,%s", name_of(r, a), name_of(r, b)), &s);
    } else a = x, b = act_of(r, norm_of(r, conv_of(r, x, 8, 1, 1, 1)), act);
    b = act_of(r, norm_of(r, conv_of(r, b, r->v[b].d[1], 3, 1, 1)), act);
    const int64_t m = r->v[a].d[1] + r->v[b].d[1];
    if (m > MOST_CHANNELS) return;
    mk s = {0};
    mk_attr_int(&s, "axis", 1);
    int y = node(r, "Concat", text("%s,%s", use(r, a), use(r, b)), 4, (int64_t[]){1, m, d[2], d[3]},
                 &s);
    act_of(r, norm_of(r, conv_of(r, y, 8 + rnd(17), 1, 1, 1)), act);
}

static void pooling(random_graph *r) {
    int x = pick(r, 4);
    if (x < 0) return;
    const int64_t *d = r->v[x].d, k = 2 + rnd(2), stride = 1 + rnd(2), pad = k == 3 && rnd(2);
    if (d[2] < k || d[3] < k) return;
    const int64_t out[4] = {1, d[1], out_of(d[2], k, stride, pad), out_of(d[3], k, stride, pad)};
    const bool average = rnd(2);
    mk a = {0};
    mk_attr_ints(&a, "kernel_shape", (int64_t[]){k, k}, 2);
    mk_attr_ints(&a, "strides", (int64_t[]){stride, stride}, 2);
    mk_attr_ints(&a, "pads", (int64_t[]){pad, pad, pad, pad}, 4);
    if (average && rnd(2)) mk_attr_int(&a, "count_include_pad", 1);
    node(r, average ? "AveragePool" : "MaxPool", use(r, x), 4, out, &a);
}

/* Twice as large, and what was there before the size was halved. */
static void pyramid(random_graph *r) {
    int x = pick(r, 4);
    if (x < 0 || r->v[x].d[2] < 2 || r->v[x].d[3] < 2) return;
    const int64_t *d = r->v[x].d, m = 8 + 4 * rnd(3);
    const bool even = d[2] % 2 == 0 && d[3] % 2 == 0;
    int up = conv_of(r, conv_of(r, x, m, 3, 2, 1), m, 1, 1, 1);
    const int64_t out[4] = {1, m, r->v[up].d[2] * 2, r->v[up].d[3] * 2};
    mk a = {0};
    const int kind = rnd(3);
    mk_attr_str(&a, "mode", kind ? "linear" : "nearest");
    mk_attr_str(&a, "coordinate_transformation_mode",
                kind == 0   ? "asymmetric"
                : kind == 1 ? "half_pixel"
                            : "align_corners");
    if (!kind) mk_attr_str(&a, "nearest_mode", "floor");
    char *scales = text("w%d", r->consts++);
    mk_floats(&r->g, scales, (float[]){1, 1, 2, 2}, MK_DIMS(4));
    int y = node(r, "Resize", text("%s,,%s", use(r, up), scales), 4, out, &a);
    if (even) add_of(r, y, conv_of(r, x, m, 1, 1, 1));
}

/* --- tokens: [1,T,C] ---------------------------------------------------------------------- */

static int linear_of(random_graph *r, int x, int64_t m, bool bias) {
    const int64_t *d = r->v[x].d, out[3] = {1, d[1], m};
    int y =
        node(r, "MatMul",
             text("%s,%s", use(r, x), weight(r, 1.7f / sqrtf((float)d[2]), 0, MK_DIMS(d[2], m))), 3,
             out, NULL);
    const char *b = bias ? weight(r, 0.4f, 0, MK_DIMS(m)) : "";
    if (!bias) return y;
    return node_like(r, "Add", rnd(2) ? text("%s,%s", use(r, y), b) : text("%s,%s", b, use(r, y)),
                     y, NULL);
}

static int pieces_of_layer_norm(random_graph *r, int x, const char *gamma, const char *beta) {
    const int64_t *d = r->v[x].d, one[3] = {1, d[1], 1};
    mk a = {0};
    mk_attr_ints(&a, "axes", (int64_t[]){-1}, 1);
    int mean = node(r, "ReduceMean", use(r, x), 3, one, &a);
    int sub = node_like(r, "Sub", text("%s,%s", use(r, x), use(r, mean)), x, NULL);
    int square = node_like(r, "Pow", text("%s,%s", use(r, sub), number(r, 2, 0)), x, NULL);
    mk_attr_ints(&a, "axes", (int64_t[]){-1}, 1);
    int var = node(r, "ReduceMean", use(r, square), 3, one, &a);
    int eps = node(r, "Add", text("%s,%s", use(r, var), number(r, 1e-3f, 0)), 3, one, NULL);
    int root = node(r, "Sqrt", use(r, eps), 3, one, NULL);
    int div = node_like(r, "Div", text("%s,%s", use(r, sub), use(r, root)), x, NULL);
    int mul = node_like(r, "Mul", text("%s,%s", use(r, div), gamma), x, NULL);
    return node_like(r, "Add", text("%s,%s", use(r, mul), beta), x, NULL);
}

static int layer_norm_of(random_graph *r, int x) {
    const int64_t c = r->v[x].d[2];
    const char *gamma = weight(r, 0.4f, 1, MK_DIMS(c)), *beta = weight(r, 0.4f, 0, MK_DIMS(c));
    if (rnd(2)) return pieces_of_layer_norm(r, x, gamma, beta);
    mk a = {0};
    mk_attr_float(&a, "epsilon", 1e-3f);
    return node_like(r, "LayerNormalization", text("%s,%s,%s", use(r, x), gamma, beta), x, &a);
}

static int gelu_of(random_graph *r, int x) {
    const int order = rnd(3);
    int div = node_like(r, "Div", text("%s,%s", use(r, x), number(r, 1.41421356f, 0)), x, NULL);
    int erf = node_like(r, "Erf", use(r, div), x, NULL);
    int add = node_like(r, "Add", text("%s,%s", use(r, erf), number(r, 1, 0)), x, NULL);
    if (order == 0) { /* (x * gate) / 2 */
        int mul = node_like(r, "Mul", text("%s,%s", use(r, x), use(r, add)), x, NULL);
        return node_like(r, "Mul", text("%s,%s", use(r, mul), number(r, 0.5f, 0)), x, NULL);
    }
    if (order == 1) { /* (x / 2) * gate */
        int half = node_like(r, "Mul", text("%s,%s", number(r, 0.5f, 0), use(r, x)), x, NULL);
        return node_like(r, "Mul", text("%s,%s", use(r, half), use(r, add)), x, NULL);
    }
    int half = node_like(r, "Mul", text("%s,%s", use(r, add), number(r, 0.5f, 0)), x, NULL);
    return node_like(r, "Mul", text("%s,%s", use(r, x), use(r, half)), x, NULL);
}

static void feed_forward(random_graph *r) {
    int x = pick(r, 3);
    if (x < 0 || r->v[x].d[2] > MOST_CHANNELS) return;
    int y = rnd(4) ? layer_norm_of(r, x) : x;
    y = linear_of(r, y, 8 + 8 * rnd(5), true);
    y = rnd(3) ? gelu_of(r, y) : act_of(r, y, block_acts[rnd(4)]);
    add_of(r, linear_of(r, y, r->v[x].d[2], true), x);
}

/* [1,T,C] as [1,H,T,C/H], or with the last two turned. */
static int heads_of(random_graph *r, int x, int64_t h, bool turned) {
    const int64_t *d = r->v[x].d, t = d[1], k = d[2] / h;
    mk a = {0};
    const char *shape = list(r, (int64_t[]){1, rnd(2) ? -1 : t, h, k}, 4);
    int y = apart(r, 4, (int64_t[]){1, t, h, k}), z;
    mk_op(&r->g, "Reshape", text("%s,%s", use(r, x), shape), name_of(r, y), NULL);
    z = turned ? apart(r, 4, (int64_t[]){1, h, k, t}) : apart(r, 4, (int64_t[]){1, h, t, k});
    mk_attr_ints(&a, "perm", turned ? (int64_t[]){0, 2, 3, 1} : (int64_t[]){0, 2, 1, 3}, 4);
    mk_op(&r->g, "Transpose", use(r, y), name_of(r, z), &a);
    return z;
}

static int apart_node(random_graph *r, const char *op, const char *in, const int64_t *d, mk *a) {
    int y = apart(r, 4, d);
    mk_op(&r->g, op, in, name_of(r, y), a);
    return y;
}

/* Scores, scaled before or after, a mask now and then, and what they choose. */
static int attend(random_graph *r, int q, int k, int v) {
    const int64_t h = r->v[q].d[1], t = r->v[q].d[2], c = r->v[q].d[3], s = r->v[k].d[3];
    const float scale = 1 / sqrtf((float)c);
    const int64_t scores[4] = {1, h, t, s};
    const int where = rnd(3);
    mk a = {0};
    if (where == 0)
        q = apart_node(r, "Mul", text("%s,%s", use(r, q), number(r, scale, 0)), r->v[q].d, NULL);
    int x = apart_node(r, "MatMul", text("%s,%s", use(r, q), use(r, k)), scores, NULL);
    if (where == 1)
        x = apart_node(r, "Mul", text("%s,%s", use(r, x), number(r, scale, 0)), scores, NULL);
    if (where == 2)
        x = apart_node(r, "Div", text("%s,%s", use(r, x), number(r, 1 / scale, 0)), scores, NULL);
    if (t * s <= 4096 && rnd(3) == 0)
        x = apart_node(r, "Add", text("%s,%s", use(r, x), weight(r, 1, 0, MK_DIMS(1, 1, t, s))),
                       scores, NULL);
    mk_attr_int(&a, "axis", rnd(2) ? -1 : 3);
    x = apart_node(r, "Softmax", use(r, x), scores, &a);
    return apart_node(r, "MatMul", text("%s,%s", use(r, x), use(r, v)), (int64_t[]){1, h, t, c},
                      NULL);
}

static void many_heads(random_graph *r) {
    int x = pick(r, 3);
    if (x < 0 || r->v[x].d[1] > MOST_TOKENS || r->v[x].d[2] > MOST_CHANNELS) return;
    const int64_t h = 1 + rnd(4), k = 4 + 4 * rnd(3), c = h * k, t = r->v[x].d[1];
    int from = rnd(3) ? layer_norm_of(r, x) : x, other = from;
    for (int i = 0; i < 8 && other == from && rnd(3) == 0; i++) { /* across two sequences */
        int z = pick(r, 3);
        if (z >= 0 && r->v[z].d[1] <= MOST_TOKENS && r->v[z].d[2] <= MOST_CHANNELS) other = z;
    }
    int q = heads_of(r, linear_of(r, from, c, rnd(2)), h, false);
    int key = heads_of(r, linear_of(r, other, c, rnd(2)), h, true);
    int v = heads_of(r, linear_of(r, other, c, rnd(2)), h, false);
    int y = attend(r, q, key, v);
    mk a = {0};
    mk_attr_ints(&a, "perm", (int64_t[]){0, 2, 1, 3}, 4);
    y = apart_node(r, "Transpose", use(r, y), (int64_t[]){1, t, h, k}, &a);
    y = node(r, "Reshape", text("%s,%s", use(r, y), list(r, (int64_t[]){1, t, c}, 3)), 3,
             (int64_t[]){1, t, c}, NULL);
    add_of(r, linear_of(r, y, r->v[x].d[2], true), x);
}

/* --- from one to the other ------------------------------------------------------------------ */

static int tokens_of(random_graph *r, int x) {
    const int64_t c = r->v[x].d[1], t = r->v[x].d[2] * r->v[x].d[3];
    mk a = {0};
    int flat = apart(r, 3, (int64_t[]){1, c, t});
    mk_op(&r->g, "Reshape", text("%s,%s", use(r, x), list(r, (int64_t[]){1, c, -1}, 3)),
          name_of(r, flat), NULL);
    mk_attr_ints(&a, "perm", (int64_t[]){0, 2, 1}, 3);
    return node(r, "Transpose", use(r, flat), 3, (int64_t[]){1, t, c}, &a);
}

static void patches(random_graph *r) { /* of a vision transformer, with what tells them apart */
    int x = pick(r, 4);
    if (x < 0) return;
    const int64_t c = 8 + 4 * rnd(5);
    int y = tokens_of(r, conv_of(r, x, c, 1 + 2 * rnd(2), 1 + rnd(2), 1));
    const int64_t t = r->v[y].d[1];
    if (t * c > WEIGHT_MAX) return;
    node_like(r, "Add", text("%s,%s", use(r, y), weight(r, 0.3f, 0, MK_DIMS(1, t, c))), y, NULL);
}

static void back_to_map(random_graph *r) {
    int x = pick(r, 3);
    if (x < 0) return;
    const int64_t t = r->v[x].d[1], c = r->v[x].d[2];
    int64_t h = 1;
    for (int64_t k = 2; k * k <= t; k++)
        if (t % k == 0) h = k;
    mk a = {0};
    mk_attr_ints(&a, "perm", (int64_t[]){0, 2, 1}, 3);
    int y = apart(r, 3, (int64_t[]){1, c, t});
    mk_op(&r->g, "Transpose", use(r, x), name_of(r, y), &a);
    node(r, "Reshape", text("%s,%s", use(r, y), list(r, (int64_t[]){1, c, h, t / h}, 4)), 4,
         (int64_t[]){1, c, h, t / h}, NULL);
}

/* ConvNeXt: depthwise, then channels last for a norm and two products, and back. */
static void next_block(random_graph *r) {
    int x = pick(r, 4);
    if (x < 0) return;
    const int64_t *d = r->v[x].d, c = d[1], last[4] = {1, d[2], d[3], c}, m = 8 + 8 * rnd(4);
    const int64_t wide[4] = {1, d[2], d[3], m};
    mk a = {0};
    int y = conv_of(r, x, c, 3 + 4 * rnd(2), 1, c);
    mk_attr_ints(&a, "perm", (int64_t[]){0, 2, 3, 1}, 4);
    y = apart_node(r, "Transpose", use(r, y), last, &a);
    const char *g = weight(r, 0.4f, 1, MK_DIMS(c)), *b = weight(r, 0.4f, 0, MK_DIMS(c));
    mk_attr_float(&a, "epsilon", 1e-3f);
    y = apart_node(r, "LayerNormalization", text("%s,%s,%s", use(r, y), g, b), last, &a);
    const char *w = weight(r, 1.7f / sqrtf((float)c), 0, MK_DIMS(c, m));
    y = apart_node(r, "MatMul", text("%s,%s", use(r, y), w), wide, NULL);
    y = apart_node(r, "Add", text("%s,%s", use(r, y), weight(r, 0.3f, 0, MK_DIMS(m))), wide, NULL);
    y = gelu_of(r, y);
    w = weight(r, 1.7f / sqrtf((float)m), 0, MK_DIMS(m, c));
    y = apart_node(r, "MatMul", text("%s,%s", use(r, y), w), last, NULL);
    y = apart_node(r, "Mul", text("%s,%s", use(r, y), weight(r, 0.5f, 0, MK_DIMS(c))), last, NULL);
    mk_attr_ints(&a, "perm", (int64_t[]){0, 3, 1, 2}, 4);
    y = node(r, "Transpose", use(r, y), 4, d, &a);
    add_of(r, y, x);
}

static void classify(random_graph *r) {
    int x = pick(r, 4);
    if (x < 0) return;
    const int64_t c = r->v[x].d[1];
    mk a = {0};
    int p = node(r, "GlobalAveragePool", use(r, x), 4, (int64_t[]){1, c, 1, 1}, NULL);
    int f = node(r, "Flatten", use(r, p), 2, (int64_t[]){1, c}, NULL);
    mk_attr_int(&a, "transB", 1);
    const char *w = weight(r, 1.7f / sqrtf((float)c), 0, MK_DIMS(10, c)),
               *b = weight(r, 0.4f, 0, MK_DIMS(10));
    f = node(r, "Gemm", text("%s,%s,%s", use(r, f), w, b), 2, (int64_t[]){1, 10}, &a);
    mk_attr_int(&a, "axis", -1);
    node_like(r, "Softmax", use(r, f), f, &a);
}

static inline mk random_blocks(random_graph *r) {
    static random_step *const steps[] = {
        stem,         stem,       bottleneck, bottleneck, inverted,   inverted,    branches,
        pooling,      pyramid,    patches,    patches,    many_heads, many_heads,  feed_forward,
        feed_forward, next_block, classify,   activation, conv,       back_to_map, batch_norm};
    *r = (random_graph){.h = 5 + rnd(20), .w = 5 + rnd(20)};
    value(r, 4, (const int64_t[]){1, 3, r->h, r->w});
    mk_port(&r->g, MK_INPUT, "v0", OMMA_F32, MK_DIMS(1, 3, r->h, r->w));
    stem(r);
    for (int n = 3 + rnd(8); r->n < VALUES - 60 && n > 0; n--)
        steps[(size_t)rnd(sizeof steps / sizeof *steps)](r);
    return random_end(r);
}

#endif
