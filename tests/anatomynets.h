/* anatomynets.h - small networks with attention in all the forms that graphs have for it: heads
 * folded into the batch or kept apart, products by MatMul and by Einsum, turned around, with
 * windows, shared heads, masks and caps; and things that look like attention and are none.
 *
 *     mk m = anatomynet("folded", 2);     by name, and the number of pictures
 *
 * Each takes "x", f32 [N,3,32,32], cuts it into 4x4 patches of 8 pixels, and has 8 channels in 2
 * heads (but where its comment says otherwise) and one output "y". */
#ifndef OMMA_TESTS_ANATOMYNETS_H
#define OMMA_TESTS_ANATOMYNETS_H

#include <math.h>

#include "fieldnets_make.h"

enum { AN_C = 8, AN_HEADS = 2, AN_D = 4, AN_T = 16, AN_SIDE = 4 };

/* --- pieces ---------------------------------------------------------------------------------- */

/* A constant of its own, numbers of both signs between -scale and scale. */
static inline const char *an_numbers(net *n, float scale, int rank, const int64_t *dims) {
    static char name[8][NET_NAME];
    static int k;
    char *s = name[k++ % 8];
    const int64_t count = net_count(rank, dims);
    float *data = malloc((size_t)count * sizeof *data + 1);
    if (!data) abort();
    snprintf(s, NET_NAME, "w%d", n->values++);
    for (int64_t i = 0; i < count; i++) {
        const uint32_t h = ((uint32_t)i * 2654435761u + (uint32_t)n->values * 40503u) ^ 0x5bd1e995u;
        data[i] = scale * ((float)(h * 2246822519u >> 8) * 0x1p-23f - 1);
    }
    mk_floats(&n->g, s, data, rank, dims);
    free(data);
    return s;
}

static inline net_map an_linear(net *n, net_map x, int c) {
    const char *w = an_numbers(n, 1, 2, (const int64_t[]){x.c, c});
    net_map y = net_node(n, "MatMul", net_text("%s,%s", x.name, w), c, NULL);
    return net_pair(n, "Add", y, an_numbers(n, 0.5f, 1, (const int64_t[]){c}));
}

static inline net_map an_softmax(net *n, net_map x, int axis) {
    mk attrs = {0};
    mk_attr_int(&attrs, "axis", axis);
    return net_node(n, "Softmax", x.name, x.c, &attrs);
}

static inline net_map an_matmul(net *n, net_map a, net_map b) {
    return net_pair(n, "MatMul", a, b.name);
}

static inline net_map an_scaled(net *n, net_map x, float by) {
    char name[NET_NAME];
    snprintf(name, sizeof name, "by%d", (int)(by * 1000));
    return net_pair(n, "Mul", x, net_scalar(n, name, by));
}

#define AN_TO(n, x, ...)                                                         \
    net_reshape(n, x, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), \
                (const int64_t[]){__VA_ARGS__})
#define AN_TURN(n, x, ...)                                                         \
    net_transpose(n, x, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), \
                  (const int64_t[]){__VA_ARGS__})

/* The picture's patches as a map [N,8,4,4], and as tokens [N,16,8]. */
static inline net_map an_map(net *n, net_map x) {
    const char *w = an_numbers(n, 0.3f, 4, (const int64_t[]){AN_C, 3, 8, 8});
    mk attrs = {0};
    mk_attr_ints(&attrs, "kernel_shape", (const int64_t[]){8, 8}, 2);
    mk_attr_ints(&attrs, "strides", (const int64_t[]){8, 8}, 2);
    return net_node(n, "Conv", net_text("%s,%s", x.name, w), AN_C, &attrs);
}

static inline net_map an_flat(net *n, net_map x) {
    return AN_TURN(n, AN_TO(n, x, n->o.batch, AN_C, AN_T), 0, 2, 1);
}

static inline net_map an_tokens(net *n, net_map x) { return an_flat(n, an_map(n, x)); }

/* y + the two layers, GELU between. */
static inline net_map an_feed_forward(net *n, net_map x) {
    const net_map y = net_gelu(n, an_linear(n, net_layer_norm(n, x), 4 * AN_C));
    return net_add(n, x, an_linear(n, y, AN_C));
}

/* --- attention, x: [N,T,8] of queries, m: [N,S,8] of keys ------------------------------------ */

typedef net_map an_attend(net *n, net_map x, net_map m, int t, int s);

/* [N,heads,T,d] */
static inline net_map an_heads(net *n, net_map x, int t) {
    return AN_TURN(n, AN_TO(n, an_linear(n, x, AN_C), n->o.batch, t, AN_HEADS, AN_D), 0, 2, 1, 3);
}

static inline net_map an_join(net *n, net_map x, int t) {
    x = AN_TO(n, AN_TURN(n, x, 0, 2, 1, 3), n->o.batch, t, AN_C);
    x.c = AN_C;
    return an_linear(n, x, AN_C);
}

static inline net_map an_plain(net *n, net_map x, net_map m, int t, int s) {
    const net_map q = an_heads(n, x, t), k = AN_TURN(n, an_heads(n, m, s), 0, 1, 3, 2),
                  v = an_heads(n, m, s);
    const net_map w = an_softmax(n, an_scaled(n, an_matmul(n, q, k), 0.5f), -1);
    return an_join(n, an_matmul(n, w, v), t);
}

/* [N*heads,T,d] of tokens first, as PyTorch's multi-head attention has it. */
static inline net_map an_fold(net *n, net_map x, int t) {
    const int b = n->o.batch;
    x = an_linear(n, AN_TURN(n, x, 1, 0, 2), AN_C);
    return AN_TURN(n, AN_TO(n, x, t, b * AN_HEADS, AN_D), 1, 0, 2);
}

static inline net_map an_folded(net *n, net_map x, net_map m, int t, int s) {
    const int b = n->o.batch;
    const net_map q = an_scaled(n, an_fold(n, x, t), 0.5f),
                  k = AN_TURN(n, an_fold(n, m, s), 0, 2, 1), v = an_fold(n, m, s);
    net_map y = an_matmul(n, an_softmax(n, an_matmul(n, q, k), -1), v);
    y = AN_TO(n, AN_TURN(n, y, 1, 0, 2), t, b, AN_C);
    y.c = AN_C;
    return AN_TURN(n, an_linear(n, y, AN_C), 1, 0, 2);
}

static inline net_map an_einsum(net *n, const char *equation, net_map a, net_map b) {
    mk attrs = {0};
    mk_attr_str(&attrs, "equation", equation);
    return net_node(n, "Einsum", net_text("%s,%s", a.name, b.name), a.c, &attrs);
}

/* Heads where the projection leaves them; half the scale on each of q and k. */
static inline net_map an_by_einsum(net *n, net_map x, net_map m, int t, int s) {
    const int b = n->o.batch;
    net_map q = AN_TO(n, an_linear(n, x, AN_C), b, t, AN_HEADS, AN_D);
    net_map k = AN_TO(n, an_linear(n, m, AN_C), b, s, AN_HEADS, AN_D);
    const net_map v = AN_TO(n, an_linear(n, m, AN_C), b, s, AN_HEADS, AN_D);
    q = an_scaled(n, q, 0.7071f), k = an_scaled(n, k, 0.7071f);
    const net_map w = an_softmax(n, an_einsum(n, "bihd,bjhd->bhij", q, k), -1);
    net_map y = AN_TO(n, an_einsum(n, "bhij,bjhd->bihd", w, v), b, t, AN_C);
    y.c = AN_C;
    return an_linear(n, y, AN_C);
}

/* Weights [N,heads,keys,queries]: k q^T, then v^T w. */
static inline net_map an_turned(net *n, net_map x, net_map m, int t, int s) {
    const net_map k = an_heads(n, m, s), q = AN_TURN(n, an_heads(n, x, t), 0, 1, 3, 2),
                  v = AN_TURN(n, an_heads(n, m, s), 0, 1, 3, 2);
    const net_map w = an_softmax(n, an_scaled(n, an_matmul(n, k, q), 0.5f), 2);
    return an_join(n, AN_TURN(n, an_matmul(n, v, w), 0, 1, 3, 2), t);
}

/* A cap, a mask that is added and one that chooses, biases by rows and columns of both. */
static inline net_map an_masked(net *n, net_map x, net_map m, int t, int s) {
    const int b = n->o.batch;
    const net_map q = an_heads(n, x, t), k = AN_TURN(n, an_heads(n, m, s), 0, 1, 3, 2);
    net_map w = net_unary(n, "Tanh", an_scaled(n, an_matmul(n, q, k), 0.1f));
    w = an_scaled(n, w, 5);
    w = net_pair(n, "Add", w, an_numbers(n, 1, 4, (const int64_t[]){1, AN_HEADS, t, s}));
    w = AN_TO(n, w, b, 1, AN_HEADS, 4, t / 4, 4, s / 4);
    w = net_pair(n, "Add", w, an_numbers(n, 1, 7, (const int64_t[]){1, 1, 1, 4, 1, 4, 1}));
    w = AN_TO(n, w, -1, AN_HEADS, t, s);
    bool seen[AN_T * AN_T];
    for (int i = 0; i < t * s; i++) seen[i] = i % s <= i / s || i % 3 == 0;
    mk_raw(&n->g, "seen", OMMA_BOOL, seen, 2, (const int64_t[]){t, s});
    w = net_node(n, "Where", net_text("seen,%s,%s", w.name, net_scalar(n, "blocked", -INFINITY)),
                 w.c, NULL);
    w = net_unary(n, "Identity", an_softmax(n, w, -1));
    return an_join(n, an_matmul(n, w, an_heads(n, m, s)), t);
}

/* [heads*N,T,d]: pictures are counted inside heads. */
static inline net_map an_outside(net *n, net_map x, int t) {
    return AN_TO(n, AN_TURN(n, an_heads(n, x, t), 1, 0, 2, 3), n->o.batch * AN_HEADS, t, AN_D);
}

static inline net_map an_heads_first(net *n, net_map x, net_map m, int t, int s) {
    const net_map q = an_outside(n, x, t), k = AN_TURN(n, an_outside(n, m, s), 0, 2, 1),
                  v = an_outside(n, m, s);
    net_map y = an_matmul(n, an_softmax(n, an_matmul(n, q, k), -1), v);
    y = AN_TURN(n, AN_TO(n, y, AN_HEADS, n->o.batch, t, AN_D), 1, 0, 2, 3);
    return an_join(n, y, t);
}

/* ONNX's own operator, 2 heads of queries to each of 1 of keys. */
static inline net_map an_operator(net *n, net_map x, net_map m, int t, int s) {
    (void)t, (void)s;
    const net_map q = an_linear(n, x, AN_C), k = an_linear(n, m, AN_D), v = an_linear(n, m, AN_D);
    mk attrs = {0};
    mk_attr_int(&attrs, "q_num_heads", AN_HEADS);
    mk_attr_int(&attrs, "kv_num_heads", 1);
    const net_map y =
        net_node(n, "Attention", net_text("%s,%s,%s", q.name, k.name, v.name), AN_C, &attrs);
    return an_linear(n, y, AN_C);
}

/* No attention among tokens: channels [N,heads,d,d]. */
static inline net_map an_channels(net *n, net_map x, net_map m, int t, int s) {
    const net_map q = AN_TURN(n, an_heads(n, x, t), 0, 1, 3, 2), k = an_heads(n, m, s),
                  v = AN_TURN(n, an_heads(n, m, s), 0, 1, 3, 2);
    const net_map w = an_softmax(n, an_matmul(n, q, k), -1);
    return an_join(n, AN_TURN(n, an_matmul(n, w, v), 0, 1, 3, 2), t);
}

/* --- blocks ---------------------------------------------------------------------------------- */

static inline net_map an_block(net *n, net_map x, an_attend *attend) {
    const net_map y = net_layer_norm(n, x);
    return an_feed_forward(n, net_add(n, x, attend(n, y, y, AN_T, AN_T)));
}

/* x + attention + feed-forward, both of x. */
static inline net_map an_parallel(net *n, net_map x) {
    const net_map y = net_layer_norm(n, x);
    const net_map a = an_plain(n, y, y, AN_T, AN_T),
                  b = an_linear(n, net_gelu(n, an_linear(n, y, 4 * AN_C)), AN_C);
    return net_add(n, x, net_add(n, a, b));
}

/* Keys of four tokens each. */
static inline net_map an_reduced(net *n, net_map map) {
    const char *w = an_numbers(n, 0.5f, 4, (const int64_t[]){AN_C, AN_C, 2, 2});
    mk attrs = {0};
    mk_attr_ints(&attrs, "kernel_shape", (const int64_t[]){2, 2}, 2);
    mk_attr_ints(&attrs, "strides", (const int64_t[]){2, 2}, 2);
    const net_map x = an_flat(n, map);
    net_map m = AN_TO(n, AN_TURN(n, x, 0, 2, 1), n->o.batch, AN_C, AN_SIDE, AN_SIDE);
    m = net_node(n, "Conv", net_text("%s,%s", m.name, w), AN_C, &attrs);
    m = AN_TURN(n, AN_TO(n, m, n->o.batch, AN_C, 4), 0, 2, 1);
    return an_feed_forward(n, net_add(n, x, an_plain(n, x, net_layer_norm(n, m), AN_T, 4)));
}

/* A class token asks the patches and itself. */
static inline net_map an_class(net *n, net_map x) {
    mk attrs = {0};
    mk_attr_int(&attrs, "axis", 1);
    net_map c = {.c = AN_C};
    snprintf(c.name, sizeof c.name, "%s",
             an_numbers(n, 1, 3, (const int64_t[]){n->o.batch, 1, AN_C}));
    const net_map all = net_node(n, "Concat", net_text("%s,%s", c.name, x.name), AN_C, &attrs);
    c = net_add(n, c, an_plain(n, c, all, 1, AN_T + 1));
    return an_feed_forward(n, c);
}

/* Learned queries, twice: self-attention in between. */
static inline net_map an_queries(net *n, net_map x) {
    net_map c = {.c = AN_C};
    snprintf(c.name, sizeof c.name, "%s",
             an_numbers(n, 1, 3, (const int64_t[]){n->o.batch, 3, AN_C}));
    for (int i = 0; i < 2; i++) {
        c = net_layer_norm(n, net_add(n, c, an_folded(n, c, c, 3, 3)));
        c = net_layer_norm(n, net_add(n, c, an_folded(n, c, x, 3, AN_T)));
        c = an_feed_forward(n, c);
    }
    return an_linear(n, c, 4);
}

/* The three best tokens ask all. */
static inline net_map an_best(net *n, net_map x) {
    bool is_new;
    const int64_t three[] = {3}, minus[] = {-1};
    const char *k = net_ints(n, "three", 1, three), *last = net_ints(n, "last", 1, minus);
    net_map score = an_linear(n, x, 1), best = {.c = AN_C};
    mk axis = {0}, along = {0};
    mk_attr_int(&axis, "axis", 1);
    score = net_pair(n, "Squeeze", score, last);
    mk_op(&n->g, "TopK", net_text("%s,%s", score.name, k), ",best", &axis);
    const char *to = net_const(n, "spread", 0, NULL, &is_new);
    mk_ints(&n->g, to, (const int64_t[]){n->o.batch, 3, AN_C}, 3);
    const net_map at = {.name = "best", .c = AN_C};
    const net_map index = net_pair(n, "Expand", net_pair(n, "Unsqueeze", at, last), to);
    mk_attr_int(&along, "axis", 1);
    best = net_node(n, "GatherElements", net_text("%s,%s", x.name, index.name), AN_C, &along);
    best = net_add(n, best, an_plain(n, best, x, 3, AN_T));
    return an_feed_forward(n, best);
}

/* Windows of 3x3 in a map [N,4,4,8] that is padded to 6x6. */
static inline net_map an_padded(net *n, net_map map) {
    const int b = n->o.batch;
    const net_map x = net_channels_last(n, map);
    const int64_t pads[] = {0, 0, 0, 0, 0, 2, 2, 0}, ends[] = {AN_SIDE, AN_SIDE}, zero[] = {0, 0},
                  axes[] = {1, 2};
    net_map y = net_pair(n, "Pad", x, net_ints(n, "pads", 8, pads));
    y = AN_TURN(n, AN_TO(n, y, b, 2, 3, 2, 3, AN_C), 0, 1, 3, 2, 4, 5);
    y = AN_TO(n, y, b * 4, 9, AN_C);
    n->o.batch = b * 4; /* as many as there are windows */
    y = an_plain(n, y, y, 9, 9);
    n->o.batch = b;
    y = AN_TURN(n, AN_TO(n, y, b, 2, 2, 3, 3, AN_C), 0, 1, 3, 2, 4, 5);
    y = AN_TO(n, y, b, 6, 6, AN_C);
    y = net_node(n, "Slice",
                 net_text("%s,%s,%s,%s", y.name, net_ints(n, "zero", 2, zero),
                          net_ints(n, "ends", 2, ends), net_ints(n, "axes", 2, axes)),
                 AN_C, NULL);
    return an_feed_forward(n, net_add(n, x, y));
}

/* Attention within windows of 2x2, twice, whose sums are within them too: [N,4 windows,4,8]. */
static inline net_map an_windows(net *n, net_map map) {
    const int b = n->o.batch;
    net_map y = AN_TO(n, net_channels_last(n, map), b, 2, 2, 2, 2, AN_C);
    y = AN_TO(n, AN_TURN(n, y, 0, 1, 3, 2, 4, 5), b, 4, 4, AN_C);
    for (int i = 0; i < 2; i++) {
        const net_map z = net_layer_norm(n, y);
        net_map q = AN_TO(n, an_linear(n, z, AN_C), b * 4, 4, AN_HEADS, AN_D),
                k = AN_TO(n, an_linear(n, z, AN_C), b * 4, 4, AN_HEADS, AN_D),
                v = AN_TO(n, an_linear(n, z, AN_C), b * 4, 4, AN_HEADS, AN_D);
        q = AN_TURN(n, q, 0, 2, 1, 3), k = AN_TURN(n, k, 0, 2, 3, 1), v = AN_TURN(n, v, 0, 2, 1, 3);
        q = an_matmul(n, an_softmax(n, an_matmul(n, q, k), -1), v);
        q = AN_TO(n, AN_TURN(n, q, 0, 2, 1, 3), b, 4, 4, AN_C);
        q.c = AN_C;
        y = an_feed_forward(n, net_add(n, y, an_linear(n, q, AN_C)));
    }
    return y;
}

/* Attention and nothing else, a class token and two others around the patches. */
static inline net_map an_bare(net *n, net_map x) {
    mk attrs = {0};
    mk_attr_int(&attrs, "axis", 1);
    char in[3 * NET_NAME];
    const int b = n->o.batch;
    snprintf(in, sizeof in, "%s,%s,", an_numbers(n, 1, 3, (const int64_t[]){b, 1, AN_C}), x.name);
    strcat(in, an_numbers(n, 1, 3, (const int64_t[]){b, 2, AN_C}));
    const net_map all = net_node(n, "Concat", in, AN_C, &attrs);
    return an_plain(n, all, all, AN_T + 3, AN_T + 3);
}

/* Behind the attention an output "z" whose length the data decide. */
static inline net_map an_cut(net *n, net_map x) {
    mk attrs = {0};
    const net_map y = an_block(n, x, an_plain);
    mk_attr_int(&attrs, "keepdims", 0);
    net_map end = net_node(n, "ReduceMax", y.name, 1, &attrs);
    end = net_pair(n, "Add", an_scaled(n, end, 0), net_scalar(n, "three", 3));
    const char *from = net_scalar(n, "zero", 0), *step = net_scalar(n, "one", 1);
    net_keep(n, net_node(n, "Range", net_text("%s,%s,%s", from, end.name, step), 1, NULL), "z");
    return y;
}

/* A layer of weights behind a softmax of a layer of weights: no attention. */
static inline net_map an_layers(net *n, net_map x) {
    const net_map y = an_linear(n, an_softmax(n, an_linear(n, x, AN_T), -1), AN_C);
    return net_add(n, x, y);
}

/* --- by name --------------------------------------------------------------------------------- */

typedef struct an_entry {
    const char *name;
    an_attend *attend; /* a block of tokens, or: */
    net_map (*of_tokens)(net *n, net_map x);
    net_map (*of_map)(net *n, net_map x);
    int opset;
} an_entry;

static const an_entry an_entries[] = {
    {"plain", an_plain, NULL, NULL, 17},       {"folded", an_folded, NULL, NULL, 17},
    {"einsum", an_by_einsum, NULL, NULL, 17},  {"turned", an_turned, NULL, NULL, 17},
    {"masked", an_masked, NULL, NULL, 17},     {"heads first", an_heads_first, NULL, NULL, 17},
    {"operator", an_operator, NULL, NULL, 23}, {"channels", an_channels, NULL, NULL, 17},
    {"parallel", NULL, an_parallel, NULL, 17}, {"reduced", NULL, NULL, an_reduced, 17},
    {"class", NULL, an_class, NULL, 17},       {"queries", NULL, an_queries, NULL, 17},
    {"best", NULL, an_best, NULL, 17},         {"padded", NULL, NULL, an_padded, 17},
    {"windows", NULL, NULL, an_windows, 17},   {"bare", NULL, an_bare, NULL, 17},
    {"layers", NULL, an_layers, NULL, 17},     {"cut", NULL, an_cut, NULL, 17},
};

static inline mk anatomynet(const char *name, int batch) {
    static net n;
    const an_entry *e = an_entries;
    while (strcmp(e->name, name))
        if (++e == an_entries + sizeof an_entries / sizeof *an_entries) abort();
    const net_map x = net_begin(&n, (net_options){.batch = batch, .h = 32, .w = 32}, 3);
    net_map y;
    if (e->attend) y = an_block(&n, an_tokens(&n, x), e->attend);
    else if (e->of_tokens) y = e->of_tokens(&n, an_tokens(&n, x));
    else y = e->of_map(&n, an_map(&n, x));
    net_keep(&n, y, "y");
    return mk_model(&n.g, e->opset);
}

#endif
