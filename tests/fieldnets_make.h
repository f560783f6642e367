/* fieldnets_make.h - a maker of convolutional networks as ONNX files in memory, for the tests of
 * fields: few channels, but every window, branch and sum. Most of a network is a line of text:
 *
 *     net n;
 *     net_map x = net_begin(&n, (net_options){.h = 224, .w = 224}, 3);
 *     x = net_chain(&n, x, "7p3/2 m3p1/2 :pool1 1 l3p1 :out");
 *     mk bytes = net_end(&n);
 *
 * A word is a layer, [KIND]HEIGHT[xWIDTH][v|pPAD][rDILATION][/STRIDE]:
 *   KIND    none: convolution and activation; l: convolution alone; d: depthwise convolution and
 *           activation; m: maximum, a: average of a window.
 *   v, p    padding VALID or PAD on every side; without either SAME, the odd half behind.
 *   A+B     both, side by side, their channels joined.
 *   :NAME   what there is so far becomes the output NAME.
 *
 * Weights are positive. VARIED ones sum to about 1 for each output, so numbers stay small and no
 * two channels are alike; UNIFORM ones are all the same. BOOLEAN turns the network into a
 * calculus of sets that any runtime can do: weights of 64, activations that clip to 0..1, no
 * norms over channels. On an image of zeros and ones a number is 0 where no one reaches, and at
 * least 1 before and exactly 1 behind an activation where one does. */
#ifndef OMMA_TESTS_FIELDNETS_MAKE_H
#define OMMA_TESTS_FIELDNETS_MAKE_H

#include <stdarg.h>
#include <stdbool.h>

#include "onnxmake.h"

typedef enum net_weights { NET_VARIED, NET_UNIFORM, NET_BOOLEAN } net_weights;
typedef enum net_act { NET_RELU, NET_RELU6, NET_SILU } net_act;

enum { NET_CONSTS = 128, NET_NAME = 32 };

/* What to make: the input's sizes and the kind of weights; batch 0 is 1. only: the one output to
 * have; NULL: all. */
typedef struct net_options {
    int batch, h, w;
    net_weights weights;
    const char *only;
} net_options;

typedef struct net {
    mk g;
    net_options o;
    net_act act;
    int width; /* channels a convolution makes */
    int values, consts;
    char made[NET_CONSTS][NET_NAME]; /* names of the constants so far */
} net;

/* A value: [N,C,H,W], or with the channels last. */
typedef struct net_map {
    char name[NET_NAME];
    int c;
} net_map;

/* Good for the next eight calls. */
static inline const char *net_text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static inline const char *net_text(const char *fmt, ...) {
    static char buf[8][4 * NET_NAME];
    static int k;
    char *s = buf[k++ % 8];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(s, sizeof buf[0], fmt, ap);
    va_end(ap);
    return s;
}

/* --- constants, each made once --------------------------------------------------------- */

/* The name of the constant of that kind and shape; *is_new: it is to be made. */
static inline const char *net_const(net *n, const char *what, int rank, const int64_t *dims,
                                    bool *is_new) {
    char name[NET_NAME];
    int at = snprintf(name, sizeof name, "%s", what);
    for (int i = 0; i < rank && at < NET_NAME; i++)
        at += snprintf(name + at, sizeof name - (size_t)at, "_%lld", (long long)dims[i]);
    for (int i = 0; i < n->consts; i++)
        if (!strcmp(n->made[i], name)) return *is_new = false, n->made[i];
    if (n->consts == NET_CONSTS || at >= NET_NAME) abort();
    *is_new = true;
    return strcpy(n->made[n->consts++], name);
}

static inline int64_t net_count(int rank, const int64_t *dims) {
    int64_t count = 1;
    for (int i = 0; i < rank; i++) count *= dims[i];
    return count;
}

/* All elements v, or spread about it by up to a half; `what` says which v and whether. */
static inline const char *net_fill(net *n, const char *what, float v, bool spread, int rank,
                                   const int64_t *dims) {
    bool is_new;
    const char *name = net_const(n, what, rank, dims, &is_new);
    if (!is_new) return name;
    const int64_t count = net_count(rank, dims);
    float *data = malloc((size_t)count * sizeof *data + 1);
    if (!data) abort();
    for (int64_t i = 0; i < count; i++)
        data[i] = spread ? v * (0.5f + (float)(i * 37 % 101) / 101) : v;
    mk_floats(&n->g, name, data, rank, dims);
    free(data);
    return name;
}

/* Weights of a product whose outputs each sum `terms` of them. */
static inline const char *net_weight(net *n, const char *what, int64_t terms, int rank,
                                     const int64_t *dims) {
    if (n->o.weights == NET_BOOLEAN) return net_fill(n, what, 64, false, rank, dims);
    return net_fill(n, what, 1 / (float)terms, n->o.weights == NET_VARIED, rank, dims);
}

static inline const char *net_scalar(net *n, const char *what, float v) {
    return net_fill(n, what, v, false, 0, NULL);
}

static inline const char *net_ints(net *n, const char *what, int count, const int64_t *v) {
    bool is_new;
    const char *name = net_const(n, what, count, v, &is_new);
    if (is_new) mk_ints(&n->g, name, v, count);
    return name;
}

/* --- nodes ---------------------------------------------------------------------------- */

static inline net_map net_node(net *n, const char *op, const char *in, int c, mk *attrs) {
    net_map y = {.c = c};
    snprintf(y.name, sizeof y.name, "v%d", n->values++);
    mk_op(&n->g, op, in, y.name, attrs);
    return y;
}

static inline net_map net_unary(net *n, const char *op, net_map x) {
    return net_node(n, op, x.name, x.c, NULL);
}

static inline net_map net_pair(net *n, const char *op, net_map a, const char *b) {
    return net_node(n, op, net_text("%s,%s", a.name, b), a.c, NULL);
}

static inline net_map net_add(net *n, net_map a, net_map b) {
    return net_pair(n, "Add", a, b.name);
}

static inline net_map net_clip(net *n, net_map x, float most) {
    const char *lo = net_scalar(n, "zero", 0),
               *hi = net_scalar(n, most > 1 ? "six" : "one", most > 1 ? 6 : 1);
    return net_node(n, "Clip", net_text("%s,%s,%s", x.name, lo, hi), x.c, NULL);
}

static inline net_map net_activate(net *n, net_map x) {
    if (n->o.weights == NET_BOOLEAN) return net_clip(n, x, 1);
    if (n->act == NET_RELU) return net_unary(n, "Relu", x);
    if (n->act == NET_RELU6) return net_clip(n, x, 6);
    return net_pair(n, "Mul", x, net_unary(n, "Sigmoid", x).name);
}

/* x Φ(x), as exporters take it to pieces. */
static inline net_map net_gelu(net *n, net_map x) {
    if (n->o.weights == NET_BOOLEAN) return net_clip(n, x, 1);
    net_map y = net_pair(n, "Div", x, net_scalar(n, "root2", 1.41421356f));
    y = net_pair(n, "Add", net_unary(n, "Erf", y), net_scalar(n, "one", 1));
    y = net_pair(n, "Mul", x, y.name);
    return net_pair(n, "Mul", y, net_scalar(n, "half", 0.5f));
}

static inline net_map net_concat(net *n, int count, const net_map *x) {
    char in[64 * 8] = "";
    int c = 0;
    size_t at = 0;
    for (int i = 0; i < count; i++) {
        at += (size_t)snprintf(in + at, sizeof in - at, "%s%s", i ? "," : "", x[i].name);
        if (at >= sizeof in) abort();
        c += x[i].c;
    }
    mk attrs = {0};
    mk_attr_int(&attrs, "axis", 1);
    return net_node(n, "Concat", in, c, &attrs);
}

static inline net_map net_reshape(net *n, net_map x, int rank, const int64_t *dims) {
    return net_pair(n, "Reshape", x, net_ints(n, "to", rank, dims));
}

static inline net_map net_transpose(net *n, net_map x, int rank, const int64_t *perm) {
    mk attrs = {0};
    mk_attr_ints(&attrs, "perm", perm, rank);
    return net_node(n, "Transpose", x.name, x.c, &attrs);
}

static inline net_map net_channels_last(net *n, net_map x) {
    return net_transpose(n, x, 4, (const int64_t[]){0, 2, 3, 1});
}

static inline net_map net_channels_first(net *n, net_map x) {
    return net_transpose(n, x, 4, (const int64_t[]){0, 3, 1, 2});
}

/* A norm that changes nothing but its sign of existence: scale 1, mean 0, variance 1. */
static inline net_map net_batch_norm(net *n, net_map x) {
    const int64_t c = x.c;
    const char *one = net_fill(n, "one", 1, false, 1, &c),
               *zero = net_fill(n, "zero", 0, false, 1, &c);
    const char *in = net_text("%s,%s,%s,%s,%s", x.name, one, zero, zero, one);
    return net_node(n, "BatchNormalization", in, x.c, NULL);
}

/* Over the channels, which are last. Sets do without: it would make something of nothing. */
static inline net_map net_layer_norm(net *n, net_map x) {
    if (n->o.weights == NET_BOOLEAN) return x;
    const int64_t c = x.c;
    const char *scale = net_fill(n, "one", 1, false, 1, &c),
               *bias = net_fill(n, "bias", 0.1f, true, 1, &c);
    mk attrs = {0};
    mk_attr_int(&attrs, "axis", -1);
    return net_node(n, "LayerNormalization", net_text("%s,%s,%s", x.name, scale, bias), x.c,
                    &attrs);
}

/* [..., C] to [..., c], with a bias that sets do without. */
static inline net_map net_linear(net *n, net_map x, int c) {
    const char *w = net_weight(n, "m", x.c, 2, (const int64_t[]){x.c, c});
    net_map y = net_node(n, "MatMul", net_text("%s,%s", x.name, w), c, NULL);
    if (n->o.weights == NET_BOOLEAN) return y;
    return net_pair(n, "Add", y, net_fill(n, "bias", 0.1f, true, 1, (const int64_t[]){c}));
}

static inline net_map net_pad(net *n, net_map x, int pad) {
    const int64_t pads[] = {0, 0, pad, pad, 0, 0, pad, pad};
    return net_pair(n, "Pad", x, net_ints(n, "pads", 8, pads));
}

/* --- windows -------------------------------------------------------------------------- */

enum { NET_SAME = -1, NET_VALID = -2 };

typedef struct net_window {
    char kind; /* of the word; 0: convolution and activation */
    int h, w, pad, dilation, stride;
} net_window;

static inline void net_window_attrs(mk *attrs, const net_window *w) {
    const int64_t k[] = {w->h, w->w}, s[] = {w->stride, w->stride},
                  d[] = {w->dilation, w->dilation}, p[] = {w->pad, w->pad, w->pad, w->pad};
    mk_attr_ints(attrs, "kernel_shape", k, 2);
    mk_attr_ints(attrs, "strides", s, 2);
    if (w->dilation > 1) mk_attr_ints(attrs, "dilations", d, 2);
    if (w->pad >= 0) mk_attr_ints(attrs, "pads", p, 4);
    else mk_attr_str(attrs, "auto_pad", w->pad == NET_SAME ? "SAME_UPPER" : "VALID");
}

static inline net_map net_conv(net *n, net_map x, const net_window *w) {
    const int c = w->kind == 'd' ? x.c : n->width, group = w->kind == 'd' ? x.c : 1;
    const int64_t dims[] = {c, x.c / group, w->h, w->w};
    const char *in = net_weight(n, "w", dims[1] * w->h * w->w, 4, dims);
    mk attrs = {0};
    net_window_attrs(&attrs, w);
    if (group > 1) mk_attr_int(&attrs, "group", group);
    return net_node(n, "Conv", net_text("%s,%s", x.name, in), c, &attrs);
}

static inline net_map net_layer(net *n, net_map x, const net_window *w) {
    if (w->kind == 'm' || w->kind == 'a') {
        mk attrs = {0};
        net_window_attrs(&attrs, w);
        return net_node(n, w->kind == 'm' ? "MaxPool" : "AveragePool", x.name, x.c, &attrs);
    }
    x = net_conv(n, x, w);
    return w->kind == 'l' ? x : net_activate(n, x);
}

/* A word up to its end or a '+'; p goes behind it. */
static inline net_window net_word(const char **p) {
    net_window w = {.pad = NET_SAME, .dilation = 1, .stride = 1};
    char *end;
    if (strchr("ldma", **p)) w.kind = *(*p)++;
    w.h = w.w = (int)strtol(*p, &end, 10);
    for (*p = end; **p && **p != ' ' && **p != '+'; *p = end) {
        const char c = *(*p)++;
        const int v = (int)strtol(*p, &end, 10);
        if (c == 'x') w.w = v;
        else if (c == 'v') w.pad = NET_VALID;
        else if (c == 'p') w.pad = v;
        else if (c == 'r') w.dilation = v;
        else if (c == '/') w.stride = v;
        else abort();
    }
    return w;
}

/* x becomes an output of that name. */
static inline void net_keep(net *n, net_map x, const char *name) {
    if (n->o.only && strcmp(n->o.only, name)) return;
    mk_op(&n->g, "Identity", x.name, name, NULL);
    mk_port(&n->g, MK_OUTPUT, name, OMMA_F32, -1, NULL);
}

static inline net_map net_chain(net *n, net_map x, const char *words) {
    char line[512]; /* words may be of net_text */
    if ((size_t)snprintf(line, sizeof line, "%s", words) >= sizeof line) abort();
    for (const char *p = line; *p; p += *p == ' ') {
        if (*p == ':') {
            const int length = (int)strcspn(++p, " ");
            net_keep(n, x, net_text("%.*s", length, p));
            p += length;
            continue;
        }
        net_map sides[4];
        int count = 0;
        for (bool more = true; more; p += more) {
            const net_window w = net_word(&p);
            if (count == 4) abort();
            sides[count++] = net_layer(n, x, &w);
            more = *p == '+';
        }
        x = count > 1 ? net_concat(n, count, sides) : sides[0];
    }
    return x;
}

/* A chain whose convolutions make that many channels. */
static inline net_map net_chain_of(net *n, net_map x, int width, const char *words) {
    const int before = n->width;
    n->width = width;
    x = net_chain(n, x, words);
    n->width = before;
    return x;
}

/* --- models --------------------------------------------------------------------------- */

/* A network of one input "x", f32 [batch,channels,h,w]. */
static inline net_map net_begin(net *n, net_options o, int channels) {
    *n = (net){.o = o, .width = 2};
    if (!n->o.batch) n->o.batch = 1;
    mk_port(&n->g, MK_INPUT, "x", OMMA_F32, MK_DIMS(n->o.batch, channels, o.h, o.w));
    return (net_map){.name = "x", .c = channels};
}

static inline mk net_end(net *n) { return mk_model(&n->g, 17); }

#endif
