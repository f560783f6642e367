/* fieldnets_swin.h - Swin-T as torchvision builds it and PyTorch exports it: windows of 7x7, every
 * other block's shifted by 3 with a mask of -100 between what the shift brought together, merges
 * of 2x2; four channels in every stage, two heads. Values are [N,H,W,C].
 *
 * Outputs, [N,H,W,C]: "embed"; a block's "s1b0" to "s4b1", stage and block; "merge1" to "merge3".
 * In the last stage the window is the map, so no block is shifted (at 224).
 *
 * Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows", 2021. */
#ifndef OMMA_TESTS_FIELDNETS_SWIN_H
#define OMMA_TESTS_FIELDNETS_SWIN_H

#include "fieldnets_make.h"

enum { SWIN_WINDOW = 7, SWIN_SHIFT = 3, SWIN_TOKENS = 49, SWIN_HEADS = 2, SWIN_CHANNELS = 4 };

/* --- index maps -------------------------------------------------------------------------- */

/* begin, begin + step, ... below end, along one axis. */
static inline net_map swin_slice(net *n, net_map x, int axis, int64_t begin, int64_t end,
                                 int64_t step) {
    const int64_t axis_[] = {axis};
    const char *b = net_ints(n, "at", 1, &begin), *e = net_ints(n, "at", 1, &end),
               *a = net_ints(n, "at", 1, axis_), *s = net_ints(n, "at", 1, &step);
    return net_node(n, "Slice", net_text("%s,%s,%s,%s,%s", x.name, b, e, a, s), x.c, NULL);
}

/* The first `by` elements of an axis go to its end, or for a negative number the last ones to its
 * beginning. */
static inline net_map swin_roll(net *n, net_map x, int axis, int64_t by) {
    const net_map tail = swin_slice(n, x, axis, by, INT64_MAX, 1),
                  head = swin_slice(n, x, axis, 0, by, 1);
    mk attrs = {0};
    mk_attr_int(&attrs, "axis", axis);
    return net_node(n, "Concat", net_text("%s,%s", tail.name, head.name), x.c, &attrs);
}

/* [N,H,W,C] to [N windows,49,C] */
static inline net_map swin_partition(net *n, net_map x, int h, int w) {
    const int64_t b = n->o.batch, wh = h / SWIN_WINDOW, ww = w / SWIN_WINDOW;
    x = net_reshape(n, x, 6, (const int64_t[]){b, wh, SWIN_WINDOW, ww, SWIN_WINDOW, x.c});
    x = net_transpose(n, x, 6, (const int64_t[]){0, 1, 3, 2, 4, 5});
    return net_reshape(n, x, 3, (const int64_t[]){b * wh * ww, SWIN_TOKENS, x.c});
}

static inline net_map swin_reverse(net *n, net_map x, int h, int w) {
    const int64_t b = n->o.batch, wh = h / SWIN_WINDOW, ww = w / SWIN_WINDOW;
    x = net_reshape(n, x, 6, (const int64_t[]){b, wh, ww, SWIN_WINDOW, SWIN_WINDOW, x.c});
    x = net_transpose(n, x, 6, (const int64_t[]){0, 1, 3, 2, 4, 5});
    return net_reshape(n, x, 4, (const int64_t[]){b, h, w, x.c});
}

/* --- attention --------------------------------------------------------------------------- */

/* Queries, keys and values, [C,3C]; those of sets: queries and keys that weigh alike. */
static inline const char *swin_qkv(net *n, int c) {
    const int64_t dims[] = {c, 3 * c};
    if (n->o.weights != NET_BOOLEAN) return net_weight(n, "qkv", c, 2, dims);
    bool is_new;
    const char *name = net_const(n, "qkv", 2, dims, &is_new);
    float data[SWIN_CHANNELS * 3 * SWIN_CHANNELS];
    if (c > SWIN_CHANNELS) abort();
    for (int i = 0; i < c * 3 * c; i++) data[i] = i % (3 * c) < 2 * c ? 0.1f : 64;
    if (is_new) mk_floats(&n->g, name, data, 2, dims);
    return name;
}

/* -100 between tokens of a window that a roll brought together, [1,windows,1,49,49]. */
static inline const char *swin_mask(net *n, int h, int w) {
    const int wh = h / SWIN_WINDOW, ww = w / SWIN_WINDOW;
    const int64_t dims[] = {1, wh * ww, 1, SWIN_TOKENS, SWIN_TOKENS};
    bool is_new;
    const char *name = net_const(n, "mask", 5, dims, &is_new);
    if (!is_new) return name;
    float *mask = malloc((size_t)net_count(5, dims) * sizeof *mask), *m = mask;
    if (!mask) abort();
    for (int win = 0; win < wh * ww; win++)
        for (int i = 0; i < SWIN_TOKENS; i++)
            for (int j = 0; j < SWIN_TOKENS; j++) {
                const bool last_row = win / ww == wh - 1, last_column = win % ww == ww - 1;
                const int cut = SWIN_WINDOW - SWIN_SHIFT;
                const bool rows = (i / SWIN_WINDOW < cut) == (j / SWIN_WINDOW < cut),
                           columns = (i % SWIN_WINDOW < cut) == (j % SWIN_WINDOW < cut);
                *m++ = (last_row && !rows) || (last_column && !columns) ? -100 : 0;
            }
    mk_floats(&n->g, name, mask, 5, dims);
    free(mask);
    return name;
}

/* One of queries, keys, values: [N,heads,49,C/heads]. */
static inline net_map swin_take(net *n, net_map qkv, int which, int c) {
    bool is_new;
    const int64_t index = which;
    const char *name = net_const(n, net_text("take_%d", which), 0, NULL, &is_new);
    if (is_new) mk_raw(&n->g, name, OMMA_I64, &index, 0, NULL);
    mk attrs = {0};
    mk_attr_int(&attrs, "axis", 0);
    return net_node(n, "Gather", net_text("%s,%s", qkv.name, name), c, &attrs);
}

static inline net_map swin_scores(net *n, net_map q, net_map k, int windows, int h, int w,
                                  bool shift) {
    const int64_t bias[] = {1, SWIN_HEADS, SWIN_TOKENS, SWIN_TOKENS};
    q = net_pair(n, "Mul", q, net_scalar(n, "scale", 0.70710678f));
    k = net_transpose(n, k, 4, (const int64_t[]){0, 1, 3, 2});
    net_map s = net_pair(n, "MatMul", q, k.name);
    s = net_pair(n, "Add", s, net_fill(n, "position", 0.1f, true, 4, bias));
    if (shift) {
        const int64_t apart[] = {n->o.batch, windows / n->o.batch, SWIN_HEADS, SWIN_TOKENS,
                                 SWIN_TOKENS},
                      together[] = {-1, SWIN_HEADS, SWIN_TOKENS, SWIN_TOKENS};
        s = net_pair(n, "Add", net_reshape(n, s, 5, apart), swin_mask(n, h, w));
        s = net_reshape(n, s, 4, together);
    }
    mk attrs = {0};
    mk_attr_int(&attrs, "axis", -1);
    return net_node(n, "Softmax", s.name, s.c, &attrs);
}

/* x: [windows,49,C] */
static inline net_map swin_attend(net *n, net_map x, int h, int w, bool shift) {
    const int c = x.c, windows = n->o.batch * (h / SWIN_WINDOW) * (w / SWIN_WINDOW);
    net_map qkv = net_node(n, "MatMul", net_text("%s,%s", x.name, swin_qkv(n, c)), 3 * c, NULL);
    if (n->o.weights != NET_BOOLEAN)
        qkv = net_pair(n, "Add", qkv, net_fill(n, "bias", 0.1f, true, 1, (const int64_t[]){3 * c}));
    const int64_t heads[] = {windows, SWIN_TOKENS, 3, SWIN_HEADS, c / SWIN_HEADS};
    qkv = net_transpose(n, net_reshape(n, qkv, 5, heads), 5, (const int64_t[]){2, 0, 3, 1, 4});
    const net_map q = swin_take(n, qkv, 0, c), k = swin_take(n, qkv, 1, c),
                  v = swin_take(n, qkv, 2, c);
    x = net_pair(n, "MatMul", swin_scores(n, q, k, windows, h, w, shift), v.name);
    x = net_transpose(n, x, 4, (const int64_t[]){0, 2, 1, 3});
    x.c = c;
    return net_linear(n, net_reshape(n, x, 3, (const int64_t[]){windows, SWIN_TOKENS, c}), c);
}

/* --- blocks ------------------------------------------------------------------------------ */

/* What is a set stays one: scores of large numbers would choose single keys. */
static inline net_map swin_set(net *n, net_map x) {
    return n->o.weights == NET_BOOLEAN ? net_clip(n, x, 1) : x;
}

static inline net_map swin_block(net *n, net_map x, int h, int w, bool shift) {
    net_map y = net_layer_norm(n, x);
    if (shift) y = swin_roll(n, swin_roll(n, y, 1, SWIN_SHIFT), 2, SWIN_SHIFT);
    y = swin_reverse(n, swin_attend(n, swin_partition(n, y, h, w), h, w, shift), h, w);
    if (shift) y = swin_roll(n, swin_roll(n, y, 1, -SWIN_SHIFT), 2, -SWIN_SHIFT);
    x = swin_set(n, net_add(n, x, y));
    y = net_gelu(n, net_linear(n, net_layer_norm(n, x), 4 * x.c));
    return swin_set(n, net_add(n, x, net_linear(n, y, x.c)));
}

/* Two by two tokens side by side, then a product that makes C channels of 4C. */
static inline net_map swin_merge(net *n, net_map x) {
    net_map parts[4];
    for (int i = 0; i < 4; i++)
        parts[i] = swin_slice(n, swin_slice(n, x, 1, i % 2, INT64_MAX, 2), 2, i / 2, INT64_MAX, 2);
    mk attrs = {0};
    mk_attr_int(&attrs, "axis", -1);
    net_map y = net_node(
        n, "Concat",
        net_text("%s,%s,%s,%s", parts[0].name, parts[1].name, parts[2].name, parts[3].name),
        4 * x.c, &attrs);
    y = net_layer_norm(n, y);
    const int64_t dims[] = {y.c, x.c};
    const char *w = net_weight(n, "m", y.c, 2, dims);
    return swin_set(n, net_node(n, "MatMul", net_text("%s,%s", y.name, w), x.c, NULL));
}

static inline void swin_t(net *n, net_map x) {
    static const int blocks[] = {2, 2, 6, 2};
    int h = n->o.h / 4, w = n->o.w / 4;
    x = net_layer_norm(n, net_channels_last(n, net_chain_of(n, x, SWIN_CHANNELS, "l4p0/4")));
    x = swin_set(n, x);
    net_keep(n, x, "embed");
    for (int stage = 1; stage <= 4; stage++, h /= 2, w /= 2) {
        for (int i = 0; i < blocks[stage - 1]; i++) {
            x = swin_block(n, x, h, w, i % 2 == 1 && h > SWIN_WINDOW);
            net_keep(n, x, net_text("s%db%d", stage, i));
        }
        if (stage == 4) break;
        x = swin_merge(n, x);
        net_keep(n, x, net_text("merge%d", stage));
    }
}

#endif
