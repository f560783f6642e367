/* fieldnets_slim.h - the networks of TensorFlow's model library "slim" whose fields are published
 * (Araujo, Norris, Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill
 * 2019), up to the last map before the global pooling. Outputs have the names of slim's end
 * points. SAME is slim's: the padding depends on the size, its odd half goes behind.
 *
 * What to know: residual networks stride in the last unit of a block, in its 3x3, which then pads
 * by itself on both sides; their shortcut takes every other element by a maximum of 1x1. */
#ifndef OMMA_TESTS_FIELDNETS_SLIM_H
#define OMMA_TESTS_FIELDNETS_SLIM_H

#include "fieldnets_make.h"

static inline void slim_alexnet(net *n, net_map x) {
    net_chain(n, x,
              "11v/4 :conv1 m3v/2 :pool1 5 :conv2 m3v/2 3 :conv3 3 :conv4 3 :conv5 m3v/2 :pool5");
}

static inline void slim_vgg_16(net *n, net_map x) {
    net_chain(n, x,
              "3 :conv1_1 3 m2v/2 :pool1 3 :conv2_1 3 m2v/2 :pool2 "
              "3 :conv3_1 3 :conv3_2 3 m2v/2 :pool3 3 :conv4_1 3 :conv4_2 3 m2v/2 :pool4 "
              "3 :conv5_1 3 :conv5_2 3 m2v/2 :pool5");
}

static inline void slim_mobilenet_v1(net *n, net_map x) {
    n->act = NET_RELU6;
    x = net_chain(n, x, "3/2 :Conv2d_0");
    for (int i = 1; i <= 13; i++) {
        const bool halves = i == 2 || i == 4 || i == 6 || i == 12;
        x = net_chain(n, x, net_text("d3/%d 1 :Conv2d_%d_pointwise", 1 + halves, i));
    }
}

/* --- residual ---------------------------------------------------------------------------- */

static inline net_map slim_unit(net *n, net_map x, bool first, int stride) {
    net_map shortcut = x, y = net_chain(n, x, "1");
    if (first) shortcut = net_chain(n, x, net_text("l1/%d", stride));
    else if (stride > 1) shortcut = net_chain(n, x, net_text("m1/%d", stride));
    if (stride > 1) y = net_chain(n, net_pad(n, y, 1), net_text("3v/%d", stride));
    else y = net_chain(n, y, "3");
    return net_activate(n, net_add(n, shortcut, net_chain(n, y, "l1")));
}

static inline void slim_resnet(net *n, net_map x, const int *units) {
    x = net_batch_norm(n, net_chain(n, net_pad(n, x, 3), "l7v/2"));
    x = net_chain(n, net_activate(n, x), "m3/2");
    for (int block = 0; block < 4; block++) {
        for (int i = 0; i < units[block]; i++)
            x = slim_unit(n, x, i == 0, block < 3 && i == units[block] - 1 ? 2 : 1);
        net_keep(n, x, net_text("block%d", block + 1));
    }
}

static inline void slim_resnet_50(net *n, net_map x) {
    slim_resnet(n, x, (const int[]){3, 4, 6, 3});
}

static inline void slim_resnet_101(net *n, net_map x) {
    slim_resnet(n, x, (const int[]){3, 4, 23, 3});
}

static inline void slim_resnet_152(net *n, net_map x) {
    slim_resnet(n, x, (const int[]){3, 8, 36, 3});
}

static inline void slim_resnet_200(net *n, net_map x) {
    slim_resnet(n, x, (const int[]){3, 24, 36, 3});
}

/* --- inception --------------------------------------------------------------------------- */

typedef const char *slim_branches[5]; /* a chain each, up to a NULL */

static inline net_map slim_join(net *n, net_map x, const char *const *branches) {
    net_map y[4];
    int count = 0;
    for (; branches[count]; count++) y[count] = net_chain_of(n, x, 1, branches[count]);
    return net_concat(n, count, y);
}

/* A module for each letter; the outputs are "Mixed_", the stage and the letter. */
static inline net_map slim_mixed(net *n, net_map x, int stage, const char *letters,
                                 const char *const *branches) {
    for (; *letters; letters++) {
        x = slim_join(n, x, branches);
        net_keep(n, x, net_text("Mixed_%d%c", stage, *letters));
    }
    return x;
}

static inline void slim_inception_v2(net *n, net_map x) {
    static const slim_branches stay = {"1", "1 3", "1 3 3", "a3 1"},
                               last = {"1", "1 3", "1 3 3", "m3 1"},
                               halve = {"1 3/2", "1 3 3/2", "m3/2"};
    /* the first convolution is separable: a depthwise one, then one of 1x1 */
    x = net_chain(n, x, "d7/2 1 :Conv2d_1a_7x7 m3/2 :MaxPool_2a_3x3 1 :Conv2d_2b_1x1");
    x = net_chain(n, x, "3 :Conv2d_2c_3x3 m3/2 :MaxPool_3a_3x3");
    x = slim_mixed(n, x, 3, "bc", stay);
    x = slim_mixed(n, x, 4, "a", halve);
    x = slim_mixed(n, x, 4, "bcde", stay);
    x = slim_mixed(n, x, 5, "a", halve);
    x = slim_mixed(n, x, 5, "b", stay);
    slim_mixed(n, x, 5, "c", last);
}

#define SLIM_STEM                                                                   \
    "3v/2 :Conv2d_1a_3x3 3v :Conv2d_2a_3x3 3 :Conv2d_2b_3x3 m3v/2 :MaxPool_3a_3x3 " \
    "1v :Conv2d_3b_1x1 3v :Conv2d_4a_3x3 m3v/2 :MaxPool_5a_3x3"

static inline void slim_inception_v3(net *n, net_map x) {
    static const slim_branches a = {"1", "1 5", "1 3 3", "a3 1"},
                               b = {"1", "1 1x7 7x1", "1 7x1 1x7 7x1 1x7", "a3 1"},
                               c = {"1", "1 1x3+3x1", "1 3 1x3+3x1", "a3 1"},
                               to_b = {"3v/2", "1 3 3v/2", "m3v/2"},
                               to_c = {"1 3v/2", "1 1x7 7x1 3v/2", "m3v/2"};
    x = net_chain(n, x, SLIM_STEM);
    x = slim_mixed(n, x, 5, "bcd", a);
    x = slim_mixed(n, x, 6, "a", to_b);
    x = slim_mixed(n, x, 6, "bcde", b);
    x = slim_mixed(n, x, 7, "a", to_c);
    x = slim_mixed(n, x, 7, "bc", c);
}

static inline void slim_inception_v4(net *n, net_map x) {
    static const slim_branches a = {"1", "1 3", "1 3 3", "a3 1"},
                               b = {"1", "1 1x7 7x1", "1 7x1 1x7 7x1 1x7", "a3 1"},
                               c = {"1", "1 1x3+3x1", "1 3x1 1x3 1x3+3x1", "a3 1"},
                               stem_3a = {"m3v/2", "3v/2"}, stem_4a = {"1 3v", "1 1x7 7x1 3v"},
                               stem_5a = {"3v/2", "m3v/2"}, to_b = {"3v/2", "1 3 3v/2", "m3v/2"},
                               to_c = {"1 3v/2", "1 1x7 7x1 3v/2", "m3v/2"};
    x = net_chain(n, x, "3v/2 :Conv2d_1a_3x3 3v :Conv2d_2a_3x3 3 :Conv2d_2b_3x3");
    x = slim_mixed(n, x, 3, "a", stem_3a);
    x = slim_mixed(n, x, 4, "a", stem_4a);
    x = slim_mixed(n, x, 5, "a", stem_5a);
    x = slim_mixed(n, x, 5, "bcde", a);
    x = slim_mixed(n, x, 6, "a", to_b);
    x = slim_mixed(n, x, 6, "bcdefgh", b);
    x = slim_mixed(n, x, 7, "a", to_c);
    x = slim_mixed(n, x, 7, "bcd", c);
}

/* A residual block: branches, 1x1 to as many channels as came, scaled and added. */
static inline net_map slim_residual(net *n, net_map x, const char *const *branches, float scale,
                                    bool activate) {
    net_map up = net_chain_of(n, slim_join(n, x, branches), x.c, "l1");
    up = net_pair(n, "Mul", up, net_scalar(n, net_text("scale_%.0f", 100 * (double)scale), scale));
    x = net_add(n, x, up);
    return activate ? net_activate(n, x) : x;
}

static inline void slim_inception_resnet(net *n, net_map x, const char *stem, bool same) {
    static const slim_branches block35 = {"1", "1 3", "1 3 3"}, block17 = {"1", "1 1x7 7x1"},
                               block8 = {"1", "1 1x3 3x1"},
                               mixed_5b = {"1", "1 5", "1 3 3", "a3 1"};
    static const slim_branches to_17[] = {{"3v/2", "1 3 3v/2", "m3v/2"},
                                          {"3/2", "1 3 3/2", "m3/2"}},
                               to_8[] = {{"1 3v/2", "1 3v/2", "1 3 3v/2", "m3v/2"},
                                         {"1 3/2", "1 3/2", "1 3 3/2", "m3/2"}};
    x = slim_mixed(n, net_chain(n, x, stem), 5, "b", mixed_5b);
    for (int i = 0; i < 10; i++) x = slim_residual(n, x, block35, 0.17f, true);
    x = slim_mixed(n, x, 6, "a", to_17[same]);
    for (int i = 0; i < 20; i++) x = slim_residual(n, x, block17, 0.10f, true);
    net_keep(n, x, "PreAuxLogits");
    x = slim_mixed(n, x, 7, "a", to_8[same]);
    for (int i = 0; i < 9; i++) x = slim_residual(n, x, block8, 0.20f, true);
    net_chain(n, slim_residual(n, x, block8, 1, false), "1 :Conv2d_7b_1x1");
}

static inline void slim_inception_resnet_v2(net *n, net_map x) {
    slim_inception_resnet(n, x, SLIM_STEM, false);
}

/* slim's align_feature_maps: SAME everywhere. */
static inline void slim_inception_resnet_v2_same(net *n, net_map x) {
    slim_inception_resnet(n, x,
                          "3/2 :Conv2d_1a_3x3 3 :Conv2d_2a_3x3 3 :Conv2d_2b_3x3 m3/2 "
                          ":MaxPool_3a_3x3 1 :Conv2d_3b_1x1 3 :Conv2d_4a_3x3 m3/2 :MaxPool_5a_3x3",
                          true);
}

#endif
