/* fieldnets.h - the networks whose fields are known, by name: those of fieldnets_slim.h,
 * fieldnets_torch.h and fieldnets_swin.h, and small graphs. What is known of them is in
 * fieldnets_rows.h.
 *
 *     mk m = fieldnet("resnet_v1_50", (net_options){.h = 224, .w = 224});
 */
#ifndef OMMA_TESTS_FIELDNETS_H
#define OMMA_TESTS_FIELDNETS_H

#include "fieldnets_slim.h"
#include "fieldnets_swin.h"
#include "fieldnets_torch.h"

/* --- small graphs: one channel, the output is "y" ------------------------------------------ */

static inline void small_deconv(net *n, net_map x, int k, int stride, int pad) {
    const net_window window = {0, k, k, pad, 1, stride};
    const int64_t dims[] = {1, 1, k, k};
    mk attrs = {0};
    net_window_attrs(&attrs, &window);
    const char *w = net_weight(n, "t", k * k, 4, dims);
    net_keep(n, net_node(n, "ConvTranspose", net_text("%s,%s", x.name, w), 1, &attrs), "y");
}

static inline void small_deconv_k2s2p0(net *n, net_map x) { small_deconv(n, x, 2, 2, 0); }
static inline void small_deconv_k3s2p1(net *n, net_map x) { small_deconv(n, x, 3, 2, 1); }
static inline void small_deconv_k4s2p1(net *n, net_map x) { small_deconv(n, x, 4, 2, 1); }

/* Bilinear, twice the size, pixels' centres at half numbers. */
static inline void small_bilinear(net *n, net_map x) {
    const char *scales = net_const(n, "scales", 0, NULL, &(bool){true});
    mk_floats(&n->g, scales, (float[]){1, 1, 2, 2}, MK_DIMS(4));
    mk attrs = {0};
    mk_attr_str(&attrs, "mode", "linear");
    mk_attr_str(&attrs, "coordinate_transformation_mode", "half_pixel");
    net_keep(n, net_node(n, "Resize", net_text("%s,,%s", x.name, scales), 1, &attrs), "y");
}

/* --- by name ------------------------------------------------------------------------------- */

typedef struct fieldnet_entry {
    const char *name;
    void (*make)(net *n, net_map x);
    const char *chain; /* instead: a chain of convolutions without activation, one channel */
} fieldnet_entry;

static const fieldnet_entry fieldnet_entries[] = {
    {"alexnet_v2", slim_alexnet, NULL},
    {"vgg_16", slim_vgg_16, NULL},
    {"mobilenet_v1", slim_mobilenet_v1, NULL},
    {"resnet_v1_50", slim_resnet_50, NULL},
    {"resnet_v1_101", slim_resnet_101, NULL},
    {"resnet_v1_152", slim_resnet_152, NULL},
    {"resnet_v1_200", slim_resnet_200, NULL},
    {"inception_v2", slim_inception_v2, NULL},
    {"inception_v3", slim_inception_v3, NULL},
    {"inception_v4", slim_inception_v4, NULL},
    {"inception_resnet_v2", slim_inception_resnet_v2, NULL},
    {"inception_resnet_v2-same", slim_inception_resnet_v2_same, NULL},
    {"resnet18", torch_resnet18, NULL},
    {"resnet34", torch_resnet34, NULL},
    {"resnet50", torch_resnet50, NULL},
    {"resnet101", torch_resnet101, NULL},
    {"resnet152", torch_resnet152, NULL},
    {"densenet121", torch_densenet121, NULL},
    {"densenet161", torch_densenet161, NULL},
    {"densenet169", torch_densenet169, NULL},
    {"densenet201", torch_densenet201, NULL},
    {"vgg11", torch_vgg11, NULL},
    {"vgg16", torch_vgg16, NULL},
    {"vgg19", torch_vgg19, NULL},
    {"alexnet", torch_alexnet, NULL},
    {"mobilenet_v2", torch_mobilenet_v2, NULL},
    {"efficientnet_b0", torch_efficientnet_b0, NULL},
    {"convnext_t", torch_convnext_t, NULL},
    {"detr_r50", torch_detr_r50, NULL},
    {"detr_r50_dc5", torch_detr_r50_dc5, NULL},
    {"vit_patches", torch_vit_patches, NULL},
    {"swin_t", swin_t, NULL},
    {"dilated_1_2_4", NULL, "l3p1 l3p2r2 l3p4r4 :y"},
    {"dilated_2_2_2", NULL, "l3p2r2 l3p2r2 l3p2r2 :y"},
    {"dilated_1_2_5", NULL, "l3p1 l3p2r2 l3p5r5 :y"},
    {"dilated_1_2_9", NULL, "l3p1 l3p2r2 l3p9r9 :y"},
    {"dilated_2_4_8", NULL, "l3p2r2 l3p4r4 l3p8r8 :y"},
    {"gaps", NULL, "l1p0/2 l3p1 :y"},
    {"stack_1", NULL, "l3p1 :y"},
    {"stack_2", NULL, "l3p1 l3p1 :y"},
    {"stack_3", NULL, "l3p1 l3p1 l3p1 :y"},
    {"stack_5", NULL, "l3p1 l3p1 l3p1 l3p1 l3p1 :y"},
    {"stack_10", NULL, "l3p1 l3p1 l3p1 l3p1 l3p1 l3p1 l3p1 l3p1 l3p1 l3p1 :y"},
    {"deconv_k2s2p0", small_deconv_k2s2p0, NULL},
    {"deconv_k3s2p1", small_deconv_k3s2p1, NULL},
    {"deconv_k4s2p1", small_deconv_k4s2p1, NULL},
    {"bilinear", small_bilinear, NULL},
};

enum { FIELDNETS = (int)(sizeof fieldnet_entries / sizeof *fieldnet_entries) };

static inline bool fieldnet_small(const fieldnet_entry *e) {
    return e->chain || strstr(e->name, "deconv") || !strcmp(e->name, "bilinear");
}

/* The network as an ONNX file: one input "x", f32 [batch,3,h,w], of small ones [batch,1,h,w]. */
static inline mk fieldnet(const char *name, net_options o) {
    static net n;
    const fieldnet_entry *e = fieldnet_entries;
    while (strcmp(e->name, name))
        if (++e == fieldnet_entries + FIELDNETS) abort();
    const bool small = fieldnet_small(e);
    const net_map x = net_begin(&n, o, small ? 1 : 3);
    if (small) n.width = 1;
    if (e->chain) net_chain(&n, x, e->chain);
    else e->make(&n, x);
    return net_end(&n);
}

#endif
