/* decodernets.h - small decoders of object queries: learned queries and cross-attention as in DETR,
 * norms behind or in front; or chosen queries, samplings of two maps and boxes that are refined
 * from layer to layer as in RT-DETR, each layer with heads of its own. With `all` the same network
 * also tells what it has at every layer, which is what there is to be found without.
 *
 * All take "x", f32 [1,3,32,48]; outputs "boxes" and "scores". */
#ifndef OMMA_TESTS_DECODERNETS_H
#define OMMA_TESTS_DECODERNETS_H

#include "anatomynets.h"

enum {
    DN_H = 32,
    DN_W = 48,
    DN_Q = 5,
    DN_P = 5,
    DN_NEAR = 3,
    DN_LAYERS = 3,
    DN_CLASSES = 5,
    DN_T = 24
};

typedef struct dn_options {
    bool pre;         /* norms in front of attention, one more behind the last layer */
    bool samples;     /* the other kind */
    bool corners;     /* boxes in a picture of 96 x 64 */
    bool rows;        /* the boxes of the best queries, in order */
    bool probable;    /* scores behind a sigmoid */
    float bias, none; /* of all classes' logits, of the last one's besides */
    bool all;
} dn_options;

typedef struct dn {
    net n;
    dn_options o;
    net_map map, coarse, tokens; /* maps [1,8,4,6] and [1,8,2,3]; tokens [1,24,8] */
    net_map box;                 /* that samplings are taken around [1,5,4] */
} dn;

static inline void dn_tell(dn *d, net_map x, const char *what, int layer) {
    if (d->o.all) net_keep(&d->n, x, net_text("%s%d", what, layer));
}

static inline net_map dn_norm(dn *d, net_map x) {
    mk attrs = {0};
    char in[3 * NET_NAME];
    const int64_t c = AN_C;
    snprintf(in, sizeof in, "%s,%s", x.name, an_numbers(&d->n, 2, 1, &c));
    mk_attr_int(&attrs, "axis", -1);
    return net_node(&d->n, "LayerNormalization", in, AN_C, &attrs);
}

static inline net_map dn_conv(dn *d, net_map x, int k, int stride, int pad) {
    mk attrs = {0};
    const char *w = an_numbers(&d->n, 0.5f, 4, (const int64_t[]){AN_C, x.c, k, k});
    mk_attr_ints(&attrs, "kernel_shape", (const int64_t[]){k, k}, 2);
    mk_attr_ints(&attrs, "strides", (const int64_t[]){stride, stride}, 2);
    mk_attr_ints(&attrs, "pads", (const int64_t[]){pad, pad, pad, pad}, 4);
    return net_node(&d->n, "Conv", net_text("%s,%s", x.name, w), AN_C, &attrs);
}

/* [from, to) of an axis. */
static inline net_map dn_slice(dn *d, net_map x, int axis, int from, int to) {
    net *n = &d->n;
    const int64_t a[] = {from}, b[] = {to}, c[] = {axis};
    const char *s = net_ints(n, net_text("at%d", from), 1, a),
               *e = net_ints(n, net_text("at%d", to), 1, b),
               *w = net_ints(n, net_text("axis%d", axis), 1, c);
    return net_node(n, "Slice", net_text("%s,%s,%s,%s", x.name, s, e, w), x.c, NULL);
}

static inline net_map dn_join(dn *d, int count, const net_map *x) {
    char in[8 * NET_NAME] = "";
    mk attrs = {0};
    for (int i = 0; i < count; i++) {
        if (i) strcat(in, ",");
        strcat(in, x[i].name);
    }
    mk_attr_int(&attrs, "axis", -1);
    return net_node(&d->n, "Concat", in, 4, &attrs);
}

/* --- queries --------------------------------------------------------------------------------- */

static inline net_map dn_learned(dn *d) {
    net_map c = {.c = AN_C};
    snprintf(c.name, sizeof c.name, "%s",
             an_numbers(&d->n, 2, 3, (const int64_t[]){1, DN_Q, AN_C}));
    return c;
}

/* The best `count` of x's rows by `score` [1,rows]; their number becomes the value named `at`. */
static inline net_map dn_best(dn *d, net_map x, net_map score, int count, const char *at) {
    net *n = &d->n;
    const int64_t k[] = {count}, last[] = {-1}, to[] = {1, count, x.c};
    mk axis = {0}, along = {0};
    mk_attr_int(&axis, "axis", 1);
    mk_op(&n->g, "TopK", net_text("%s,%s", score.name, net_ints(n, net_text("k%d", count), 1, k)),
          net_text("%s_score,%s", at, at), &axis);
    net_map index = {.c = x.c};
    snprintf(index.name, sizeof index.name, "%s", at);
    index = net_pair(n, "Unsqueeze", index, net_ints(n, "last", 1, last));
    index = net_pair(n, "Expand", index, net_ints(n, net_text("e%d_%d", count, x.c), 3, to));
    mk_attr_int(&along, "axis", 1);
    return net_node(n, "GatherElements", net_text("%s,%s", x.name, index.name), x.c, &along);
}

static inline net_map dn_chosen(dn *d) {
    const int64_t last[] = {-1};
    const net_map score = net_pair(&d->n, "Squeeze", an_linear(&d->n, d->tokens, 1),
                                   net_ints(&d->n, "last", 1, last));
    return dn_best(d, d->tokens, score, DN_Q, "chosen");
}

/* --- a layer --------------------------------------------------------------------------------- */

/* One map's values at [heads,queries,points,2], each head its own channels. */
static inline net_map dn_read(dn *d, net_map map, int h, int w, net_map grid) {
    mk attrs = {0};
    mk_attr_str(&attrs, "mode", "bilinear");
    mk_attr_int(&attrs, "align_corners", 0);
    map = AN_TO(&d->n, map, AN_HEADS, AN_D, h, w);
    return net_node(&d->n, "GridSample", net_text("%s,%s", map.name, grid.name), AN_D, &attrs);
}

static inline net_map dn_sample(dn *d, net_map x, int layer) {
    net *n = &d->n;
    net_map off = AN_TO(n, an_linear(n, x, AN_HEADS * DN_P * 2), 1, DN_Q, AN_HEADS, DN_P, 2);
    net_map w = AN_TO(n, an_linear(n, x, AN_HEADS * DN_P), 1, DN_Q, AN_HEADS, DN_P);
    const net_map box = AN_TO(n, d->box, 1, DN_Q, 1, 1, 4);
    off = net_pair(n, "Mul", an_scaled(n, off, 0.1f), dn_slice(d, box, 4, 2, 4).name);
    const net_map at = net_pair(n, "Add", dn_slice(d, box, 4, 0, 2), off.name);
    net_map grid = net_pair(n, "Sub", an_scaled(n, at, 2), net_scalar(n, "one", 1));
    w = an_softmax(n, w, -1);
    dn_tell(d, at, "at", layer);
    dn_tell(d, w, "weight", layer);
    grid = AN_TO(n, AN_TURN(n, grid, 0, 2, 1, 3, 4), AN_HEADS, DN_Q, DN_P, 2);
    w = AN_TO(n, AN_TURN(n, w, 0, 2, 1, 3), AN_HEADS, 1, DN_Q, DN_P);
    const net_map both[] = {dn_read(d, d->map, 4, 6, dn_slice(d, grid, 2, 0, DN_NEAR)),
                            dn_read(d, d->coarse, 2, 3, dn_slice(d, grid, 2, DN_NEAR, DN_P))};
    mk attrs = {0};
    const int64_t last[] = {-1};
    mk_attr_int(&attrs, "keepdims", 0);
    net_map y = net_pair(n, "Mul", dn_join(d, 2, both), w.name);
    y = net_node(n, "ReduceSum", net_text("%s,%s", y.name, net_ints(n, "last", 1, last)), AN_C,
                 &attrs);
    y = AN_TURN(n, AN_TO(n, y, 1, AN_C, DN_Q), 0, 2, 1);
    y.c = AN_C;
    return an_linear(n, y, AN_C);
}

static inline net_map dn_context(dn *d, net_map x, int layer) {
    return d->o.samples ? dn_sample(d, x, layer) : an_plain(&d->n, x, d->tokens, DN_Q, DN_T);
}

static inline net_map dn_layer(dn *d, net_map x, int layer) {
    net *n = &d->n;
    if (d->o.pre) {
        net_map y = dn_norm(d, x);
        x = net_add(n, x, an_plain(n, y, y, DN_Q, DN_Q));
        x = net_add(n, x, dn_context(d, dn_norm(d, x), layer));
        y = net_unary(n, "Relu", an_linear(n, dn_norm(d, x), 2 * AN_C));
        return net_add(n, x, an_linear(n, y, AN_C));
    }
    x = dn_norm(d, net_add(n, x, an_plain(n, x, x, DN_Q, DN_Q)));
    x = dn_norm(d, net_add(n, x, dn_context(d, x, layer)));
    const net_map y = net_unary(n, "Relu", an_linear(n, x, 2 * AN_C));
    return dn_norm(d, net_add(n, x, an_linear(n, y, AN_C)));
}

/* --- answers --------------------------------------------------------------------------------- */

/* Weights that every layer shares, made once. */
typedef struct dn_heads {
    char norm[NET_NAME], box[NET_NAME], score[NET_NAME], bias[NET_NAME];
} dn_heads;

static inline void dn_make_heads(dn *d, dn_heads *h) {
    net *n = &d->n;
    const int64_t c = AN_C, classes = DN_CLASSES;
    float bias[DN_CLASSES];
    for (int i = 0; i < DN_CLASSES; i++) bias[i] = d->o.bias;
    bias[DN_CLASSES - 1] += d->o.none;
    strcpy(h->norm, an_numbers(n, 2, 1, &c));
    strcpy(h->box, an_numbers(n, 0.7f, 2, (const int64_t[]){c, 4}));
    strcpy(h->score, an_numbers(n, 0.7f, 2, (const int64_t[]){c, classes}));
    strcpy(h->bias, "class_bias");
    mk_floats(&n->g, h->bias, bias, 1, &classes);
}

static inline net_map dn_by(dn *d, net_map x, const char *w, int c) {
    return net_node(&d->n, "MatMul", net_text("%s,%s", x.name, w), c, NULL);
}

/* log(b / (1 - b)), as exporters write it. */
static inline net_map dn_logit(dn *d, net_map b) {
    net *n = &d->n;
    const net_map rest =
        net_node(n, "Sub", net_text("%s,%s", net_scalar(n, "one", 1), b.name), 4, NULL);
    return net_unary(n, "Log", net_pair(n, "Div", b, rest.name));
}

static inline net_map dn_corners(dn *d, net_map b) {
    net *n = &d->n;
    const float size[] = {96, 64, 96, 64};
    net_map part[4], corner[4];
    for (int k = 0; k < 4; k++) part[k] = dn_slice(d, b, 2, k, k + 1);
    for (int k = 0; k < 4; k++)
        corner[k] = net_pair(n, k < 2 ? "Sub" : "Add", part[k % 2],
                             an_scaled(n, part[k % 2 + 2], 0.5f).name);
    bool is_new;
    const int64_t four = 4;
    const char *by = net_const(n, "size", 1, &four, &is_new);
    if (is_new) mk_floats(&n->g, by, size, 1, &four);
    return net_pair(n, "Mul", dn_join(d, 4, corner), by);
}

/* The layer's box, around which the next one samples. */
static inline void dn_refine(dn *d, net_map x) {
    const net_map box = net_add(&d->n, an_linear(&d->n, x, 4), dn_logit(d, d->box));
    d->box = net_unary(&d->n, "Sigmoid", box);
}

/* The answers behind a layer. */
static inline void dn_answer(dn *d, const dn_heads *h, net_map x, net_map *box, net_map *score) {
    net *n = &d->n;
    if (d->o.pre) {
        mk attrs = {0};
        mk_attr_int(&attrs, "axis", -1);
        x = net_node(n, "LayerNormalization", net_text("%s,%s", x.name, h->norm), AN_C, &attrs);
    }
    if (!d->o.samples) *box = net_unary(n, "Sigmoid", dn_by(d, x, h->box, 4));
    if (d->o.corners) *box = dn_corners(d, *box);
    *score = net_pair(n, "Add", dn_by(d, x, h->score, DN_CLASSES), h->bias);
    if (d->o.probable) *score = net_unary(n, "Sigmoid", *score);
}

static inline void dn_choose_rows(dn *d, net_map *box, net_map *score) {
    mk attrs = {0};
    mk_attr_ints(&attrs, "axes", (const int64_t[]){-1}, 1);
    mk_attr_int(&attrs, "keepdims", 0);
    const net_map most = net_node(&d->n, "ReduceMax", score->name, 1, &attrs);
    *box = dn_best(d, *box, most, DN_Q - 1, "rows");
    snprintf(score->name, sizeof score->name, "rows_score");
}

static inline mk decodernet(dn_options o) {
    static dn d;
    dn_heads h;
    net_map out[DN_LAYERS], box[DN_LAYERS], score;
    d = (dn){.o = o};
    net *n = &d.n;
    const net_map x = net_begin(n, (net_options){.batch = 1, .h = DN_H, .w = DN_W}, 3);
    d.map = dn_conv(&d, x, 3, 8, 1);
    d.coarse = dn_conv(&d, d.map, 3, 2, 1);
    d.tokens = AN_TURN(n, AN_TO(n, d.map, 1, AN_C, DN_T), 0, 2, 1);
    d.tokens.c = AN_C;
    dn_make_heads(&d, &h);
    net_map q = o.samples ? dn_chosen(&d) : dn_learned(&d);
    if (o.samples) d.box = net_unary(n, "Sigmoid", an_linear(n, q, 4));
    if (o.samples) dn_tell(&d, d.box, "start", 0);
    for (int i = 0; i < DN_LAYERS; i++) {
        out[i] = q = dn_layer(&d, q, i);
        if (o.samples) dn_refine(&d, q);
        box[i] = d.box;
    }
    /* The last layer's come first: what is told besides changes no weights. */
    for (int i = DN_LAYERS - 1; i >= 0 && (o.all || i == DN_LAYERS - 1); i--) {
        dn_answer(&d, &h, out[i], &box[i], &score);
        dn_tell(&d, box[i], "box", i);
        dn_tell(&d, score, "score", i);
        if (o.all) continue;
        if (o.rows) dn_choose_rows(&d, &box[i], &score);
        net_keep(n, box[i], "boxes");
        net_keep(n, score, "scores");
    }
    return mk_model(&n->g, 17);
}

#endif
