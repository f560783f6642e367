/* fieldnets_torch.h - networks as torchvision builds them and PyTorch exports them, and DETR's
 * backbones, up to the last map before the global pooling: explicit padding, the same on both
 * sides, and in residual networks the stride in the first unit of a stage, in its 3x3. */
#ifndef OMMA_TESTS_FIELDNETS_TORCH_H
#define OMMA_TESTS_FIELDNETS_TORCH_H

#include "fieldnets_make.h"

static inline void torch_alexnet(net *n, net_map x) {
    net_chain(n, x, "11p2/4 m3p0/2 5p2 m3p0/2 3p1 3p1 3p1 m3p0/2 :features");
}

/* Five stages of that many convolutions. */
static inline void torch_vgg(net *n, net_map x, const char *convolutions) {
    for (int i = 0; i < 5; i++) {
        for (int k = '0'; k < convolutions[i]; k++) x = net_chain(n, x, "3p1");
        x = net_chain(n, x, net_text("m2p0/2 :pool%d", i + 1));
    }
}

static inline void torch_vgg11(net *n, net_map x) { torch_vgg(n, x, "11222"); }
static inline void torch_vgg16(net *n, net_map x) { torch_vgg(n, x, "22333"); }
static inline void torch_vgg19(net *n, net_map x) { torch_vgg(n, x, "22444"); }

/* --- residual ---------------------------------------------------------------------------- */

typedef struct torch_resnet {
    int units[4];
    bool bottleneck;
    bool detr; /* frozen batch norm, taken to pieces */
    bool dc5;  /* no stride in the last stage, its later units dilated by 2 */
} torch_resnet;

/* A frozen batch norm: a scale and a bias. */
static inline net_map torch_frozen_norm(net *n, net_map x) {
    const int64_t d[] = {1, x.c, 1, 1};
    x = net_pair(n, "Mul", x, net_fill(n, "one", 1, false, 4, d));
    return net_pair(n, "Add", x, net_fill(n, "zero", 0, false, 4, d));
}

static inline net_map torch_unit(net *n, net_map x, bool bottleneck, bool project, int stride,
                                 int dilation) {
    net_map y;
    if (bottleneck)
        y = net_chain(n, x, net_text("1p0 3p%dr%d/%d l1p0", dilation, dilation, stride));
    else y = net_chain(n, x, net_text("3p1/%d l3p1", stride));
    if (project) x = net_chain(n, x, net_text("l1p0/%d", stride));
    return net_activate(n, net_add(n, y, x));
}

static inline net_map torch_resnet_stages(net *n, net_map x, const torch_resnet *r) {
    x = net_chain(n, x, "l7p3/2");
    x = r->detr ? torch_frozen_norm(n, x) : net_batch_norm(n, x);
    x = net_chain(n, net_activate(n, x), "m3p1/2");
    for (int stage = 0; stage < 4; stage++) {
        const bool dilate = r->dc5 && stage == 3;
        for (int i = 0; i < r->units[stage]; i++) {
            const int stride = stage && !i && !dilate ? 2 : 1;
            const bool project = !i && (stage || r->bottleneck);
            x = torch_unit(n, x, r->bottleneck, project, stride, dilate && i ? 2 : 1);
        }
        net_keep(n, x, net_text("layer%d", stage + 1));
    }
    return x;
}

static inline void torch_resnet18(net *n, net_map x) {
    torch_resnet_stages(n, x, &(torch_resnet){.units = {2, 2, 2, 2}});
}

static inline void torch_resnet34(net *n, net_map x) {
    torch_resnet_stages(n, x, &(torch_resnet){.units = {3, 4, 6, 3}});
}

static inline void torch_resnet50(net *n, net_map x) {
    torch_resnet_stages(n, x, &(torch_resnet){.units = {3, 4, 6, 3}, .bottleneck = true});
}

static inline void torch_resnet101(net *n, net_map x) {
    torch_resnet_stages(n, x, &(torch_resnet){.units = {3, 4, 23, 3}, .bottleneck = true});
}

static inline void torch_resnet152(net *n, net_map x) {
    torch_resnet_stages(n, x, &(torch_resnet){.units = {3, 8, 36, 3}, .bottleneck = true});
}

/* With the projection to the transformer's width. */
static inline void torch_detr(net *n, net_map x, bool dc5) {
    const torch_resnet r = {.units = {3, 4, 6, 3}, .bottleneck = true, .detr = true, .dc5 = dc5};
    net_chain(n, torch_resnet_stages(n, x, &r), "l1p0 :input_proj");
}

static inline void torch_detr_r50(net *n, net_map x) { torch_detr(n, x, false); }
static inline void torch_detr_r50_dc5(net *n, net_map x) { torch_detr(n, x, true); }

/* --- dense ------------------------------------------------------------------------------- */

/* Each layer reads all before it in its block and adds one channel. */
static inline net_map torch_dense_block(net *n, net_map x, int layers) {
    net_map all[64] = {x};
    if (layers >= 64) abort();
    for (int i = 1; i <= layers; i++) {
        net_map y = net_activate(n, net_concat(n, i, all));
        all[i] = net_chain_of(n, net_chain(n, y, "1p0"), 1, "l3p1");
    }
    return net_concat(n, layers + 1, all);
}

static inline void torch_densenet(net *n, net_map x, const int *layers) {
    x = net_activate(n, net_batch_norm(n, net_chain(n, x, "l7p3/2")));
    x = net_chain(n, x, "m3p1/2");
    for (int block = 0; block < 4; block++) {
        x = torch_dense_block(n, x, layers[block]);
        net_keep(n, x, net_text("denseblock%d", block + 1));
        if (block < 3) x = net_chain(n, net_activate(n, x), "l1p0 a2p0/2");
    }
    net_keep(n, net_activate(n, net_batch_norm(n, x)), "features");
}

static inline void torch_densenet121(net *n, net_map x) {
    torch_densenet(n, x, (const int[]){6, 12, 24, 16});
}

static inline void torch_densenet161(net *n, net_map x) {
    torch_densenet(n, x, (const int[]){6, 12, 36, 24});
}

static inline void torch_densenet169(net *n, net_map x) {
    torch_densenet(n, x, (const int[]){6, 12, 32, 32});
}

static inline void torch_densenet201(net *n, net_map x) {
    torch_densenet(n, x, (const int[]){6, 12, 48, 32});
}

/* --- inverted bottlenecks ---------------------------------------------------------------- */

/* The whole map decides how much of each channel stays. */
static inline net_map torch_squeeze_excite(net *n, net_map x) {
    net_map gate = net_unary(n, "GlobalAveragePool", x);
    gate = net_chain_of(n, net_chain_of(n, gate, 1, "1p0"), x.c, "l1p0");
    return net_pair(n, "Mul", net_unary(n, "Sigmoid", gate), x.name);
}

typedef struct torch_stage {
    int expand, kernel, stride, units;
} torch_stage;

/* The first unit of a stage strides and changes the channels: no shortcut. */
static inline net_map torch_inverted(net *n, net_map x, const torch_stage *s, bool squeeze) {
    for (int i = 0; i < s->units; i++) {
        const int stride = i ? 1 : s->stride;
        net_map y = x;
        if (s->expand > 1) y = net_chain_of(n, y, 2 * n->width, "1p0");
        y = net_chain(n, y, net_text("d%dp%d/%d", s->kernel, s->kernel / 2, stride));
        if (squeeze) y = torch_squeeze_excite(n, y);
        y = net_chain(n, y, "l1p0");
        x = i ? net_add(n, y, x) : y;
    }
    return x;
}

static inline void torch_mobilenet_v2(net *n, net_map x) {
    static const torch_stage stages[] = {{1, 3, 1, 1}, {6, 3, 2, 2}, {6, 3, 2, 3}, {6, 3, 2, 4},
                                         {6, 3, 1, 3}, {6, 3, 2, 3}, {6, 3, 1, 1}};
    n->act = NET_RELU6;
    x = net_chain(n, x, "3p1/2");
    for (int i = 0; i < 7; i++) x = torch_inverted(n, x, &stages[i], false);
    net_chain(n, x, "1p0 :features");
}

static inline void torch_efficientnet_b0(net *n, net_map x) {
    static const torch_stage stages[] = {{1, 3, 1, 1}, {6, 3, 2, 2}, {6, 5, 2, 2}, {6, 3, 2, 3},
                                         {6, 5, 1, 3}, {6, 5, 2, 4}, {6, 3, 1, 1}};
    n->act = NET_SILU;
    x = net_chain(n, x, "3p1/2");
    for (int i = 0; i < 7; i++) x = torch_inverted(n, x, &stages[i], true);
    net_chain(n, x, "1p0 :features");
}

/* --- ConvNeXt, ViT ----------------------------------------------------------------------- */

static inline net_map torch_layer_norm_2d(net *n, net_map x) {
    return net_channels_first(n, net_layer_norm(n, net_channels_last(n, x)));
}

static inline net_map torch_convnext_block(net *n, net_map x) {
    const net_window depthwise = {'d', 7, 7, 3, 1, 1};
    net_map y = net_channels_last(n, net_conv(n, x, &depthwise));
    y = net_gelu(n, net_linear(n, net_layer_norm(n, y), 4 * x.c));
    y = net_channels_first(n, net_linear(n, y, x.c));
    y = net_pair(n, "Mul", y, net_fill(n, "half", 0.5f, false, 3, (const int64_t[]){x.c, 1, 1}));
    return net_add(n, y, x);
}

static inline void torch_convnext_t(net *n, net_map x) {
    static const int blocks[] = {3, 3, 9, 3};
    for (int stage = 0; stage < 4; stage++) {
        if (stage) x = net_chain(n, torch_layer_norm_2d(n, x), "l2p0/2");
        else x = torch_layer_norm_2d(n, net_chain(n, x, "l4p0/4"));
        for (int i = 0; i < blocks[stage]; i++) x = torch_convnext_block(n, x);
        net_keep(n, x, net_text("stage%d", stage + 1));
    }
}

/* "tokens": a class token, which sees nothing yet, then the patches row by row. */
static inline void torch_vit_patches(net *n, net_map x) {
    x = net_chain(n, x, "l16p0/16 :patches");
    const int count = n->o.h / 16 * (n->o.w / 16);
    x = net_reshape(n, x, 3, (const int64_t[]){n->o.batch, x.c, count});
    x = net_transpose(n, x, 3, (const int64_t[]){0, 2, 1});
    const char *cls = net_fill(n, "cls", 0.5f, true, 3, (const int64_t[]){n->o.batch, 1, x.c});
    mk attrs = {0};
    mk_attr_int(&attrs, "axis", 1);
    x = net_node(n, "Concat", net_text("%s,%s", cls, x.name), x.c, &attrs);
    const int64_t positions[] = {1, count + 1, x.c};
    net_keep(n, net_pair(n, "Add", x, net_fill(n, "pos", 0.1f, true, 3, positions)), "tokens");
}

#endif
