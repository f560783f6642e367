/* fieldnets_rows.h - what is known of the fields of the networks of fieldnets.h.
 *
 * field, stride and padding as Araujo, Norris and Sim count them: unit u of the output sees the
 * input from u * stride - padding on, `field` elements, not clipped. */
#ifndef OMMA_TESTS_FIELDNETS_ROWS_H
#define OMMA_TESTS_FIELDNETS_ROWS_H

#include <stdint.h>

/* --- convolutional networks -------------------------------------------------------------- */

typedef struct field_row {
    const char *net;
    int size; /* of the input, square; the padding of SAME depends on it */
    const char *output;
    int cells; /* along a side of the output */
    int field, stride, pad;
} field_row;

/* Published: the receptive field table of github.com/google-research/receptive_field, which is
 * that of "Computing Receptive Fields of Convolutional Neural Networks", Distill 2019; every end
 * point at 224, and at 321 where the padding is another. Cells are not in it. */
static const field_row field_rows[] = {
    {"alexnet_v2", 224, "conv1", 54, 11, 4, 0},
    {"alexnet_v2", 224, "pool1", 26, 19, 8, 0},
    {"alexnet_v2", 224, "conv2", 26, 51, 8, 16},
    {"alexnet_v2", 224, "conv3", 12, 99, 16, 32},
    {"alexnet_v2", 224, "conv4", 12, 131, 16, 48},
    {"alexnet_v2", 224, "conv5", 12, 163, 16, 64},
    {"alexnet_v2", 224, "pool5", 5, 195, 32, 64},
    {"vgg_16", 224, "conv1_1", 224, 3, 1, 1},
    {"vgg_16", 224, "pool1", 112, 6, 2, 2},
    {"vgg_16", 224, "conv2_1", 112, 10, 2, 4},
    {"vgg_16", 224, "pool2", 56, 16, 4, 6},
    {"vgg_16", 224, "conv3_1", 56, 24, 4, 10},
    {"vgg_16", 224, "conv3_2", 56, 32, 4, 14},
    {"vgg_16", 224, "pool3", 28, 44, 8, 18},
    {"vgg_16", 224, "conv4_1", 28, 60, 8, 26},
    {"vgg_16", 224, "conv4_2", 28, 76, 8, 34},
    {"vgg_16", 224, "pool4", 14, 100, 16, 42},
    {"vgg_16", 224, "conv5_1", 14, 132, 16, 58},
    {"vgg_16", 224, "conv5_2", 14, 164, 16, 74},
    {"vgg_16", 224, "pool5", 7, 212, 32, 90},
    {"mobilenet_v1", 224, "Conv2d_0", 112, 3, 2, 0},
    {"mobilenet_v1", 224, "Conv2d_1_pointwise", 112, 7, 2, 2},
    {"mobilenet_v1", 224, "Conv2d_2_pointwise", 56, 11, 4, 2},
    {"mobilenet_v1", 224, "Conv2d_3_pointwise", 56, 19, 4, 6},
    {"mobilenet_v1", 224, "Conv2d_4_pointwise", 28, 27, 8, 6},
    {"mobilenet_v1", 224, "Conv2d_5_pointwise", 28, 43, 8, 14},
    {"mobilenet_v1", 224, "Conv2d_6_pointwise", 14, 59, 16, 14},
    {"mobilenet_v1", 224, "Conv2d_7_pointwise", 14, 91, 16, 30},
    {"mobilenet_v1", 224, "Conv2d_8_pointwise", 14, 123, 16, 46},
    {"mobilenet_v1", 224, "Conv2d_9_pointwise", 14, 155, 16, 62},
    {"mobilenet_v1", 224, "Conv2d_10_pointwise", 14, 187, 16, 78},
    {"mobilenet_v1", 224, "Conv2d_11_pointwise", 14, 219, 16, 94},
    {"mobilenet_v1", 224, "Conv2d_12_pointwise", 7, 251, 32, 94},
    {"mobilenet_v1", 224, "Conv2d_13_pointwise", 7, 315, 32, 126},
    {"resnet_v1_50", 224, "block1", 28, 35, 8, 15},
    {"resnet_v1_50", 224, "block2", 14, 99, 16, 47},
    {"resnet_v1_50", 224, "block3", 7, 291, 32, 143},
    {"resnet_v1_50", 224, "block4", 7, 483, 32, 239},
    {"resnet_v1_101", 224, "block1", 28, 35, 8, 15},
    {"resnet_v1_101", 224, "block2", 14, 99, 16, 47},
    {"resnet_v1_101", 224, "block3", 7, 835, 32, 415},
    {"resnet_v1_101", 224, "block4", 7, 1027, 32, 511},
    {"resnet_v1_152", 224, "block1", 28, 35, 8, 15},
    {"resnet_v1_152", 224, "block2", 14, 163, 16, 79},
    {"resnet_v1_152", 224, "block3", 7, 1315, 32, 655},
    {"resnet_v1_152", 224, "block4", 7, 1507, 32, 751},
    {"resnet_v1_200", 224, "block1", 28, 35, 8, 15},
    {"resnet_v1_200", 224, "block2", 14, 419, 16, 207},
    {"resnet_v1_200", 224, "block3", 7, 1571, 32, 783},
    {"resnet_v1_200", 224, "block4", 7, 1763, 32, 879},
    {"inception_v2", 224, "Conv2d_1a_7x7", 112, 7, 2, 2},
    {"inception_v2", 224, "MaxPool_2a_3x3", 56, 11, 4, 2},
    {"inception_v2", 224, "Conv2d_2b_1x1", 56, 11, 4, 2},
    {"inception_v2", 224, "Conv2d_2c_3x3", 56, 19, 4, 6},
    {"inception_v2", 224, "MaxPool_3a_3x3", 28, 27, 8, 6},
    {"inception_v2", 224, "Mixed_3b", 28, 59, 8, 22},
    {"inception_v2", 224, "Mixed_3c", 28, 91, 8, 38},
    {"inception_v2", 224, "Mixed_4a", 14, 123, 16, 46},
    {"inception_v2", 224, "Mixed_4b", 14, 187, 16, 78},
    {"inception_v2", 224, "Mixed_4c", 14, 251, 16, 110},
    {"inception_v2", 224, "Mixed_4d", 14, 315, 16, 142},
    {"inception_v2", 224, "Mixed_4e", 14, 379, 16, 174},
    {"inception_v2", 224, "Mixed_5a", 7, 443, 32, 190},
    {"inception_v2", 224, "Mixed_5b", 7, 571, 32, 254},
    {"inception_v2", 224, "Mixed_5c", 7, 699, 32, 318},
    {"inception_v3", 224, "Conv2d_1a_3x3", 111, 3, 2, 0},
    {"inception_v3", 224, "Conv2d_2a_3x3", 109, 7, 2, 0},
    {"inception_v3", 224, "Conv2d_2b_3x3", 109, 11, 2, 2},
    {"inception_v3", 224, "MaxPool_3a_3x3", 54, 15, 4, 2},
    {"inception_v3", 224, "Conv2d_3b_1x1", 54, 15, 4, 2},
    {"inception_v3", 224, "Conv2d_4a_3x3", 52, 23, 4, 2},
    {"inception_v3", 224, "MaxPool_5a_3x3", 25, 31, 8, 2},
    {"inception_v3", 224, "Mixed_5b", 25, 63, 8, 18},
    {"inception_v3", 224, "Mixed_5c", 25, 95, 8, 34},
    {"inception_v3", 224, "Mixed_5d", 25, 127, 8, 50},
    {"inception_v3", 224, "Mixed_6a", 12, 159, 16, 58},
    {"inception_v3", 224, "Mixed_6b", 12, 351, 16, 154},
    {"inception_v3", 224, "Mixed_6c", 12, 543, 16, 250},
    {"inception_v3", 224, "Mixed_6d", 12, 735, 16, 346},
    {"inception_v3", 224, "Mixed_6e", 12, 927, 16, 442},
    {"inception_v3", 224, "Mixed_7a", 5, 1055, 32, 490},
    {"inception_v3", 224, "Mixed_7b", 5, 1183, 32, 554},
    {"inception_v3", 224, "Mixed_7c", 5, 1311, 32, 618},
    {"inception_v4", 224, "Conv2d_1a_3x3", 111, 3, 2, 0},
    {"inception_v4", 224, "Conv2d_2a_3x3", 109, 7, 2, 0},
    {"inception_v4", 224, "Conv2d_2b_3x3", 109, 11, 2, 2},
    {"inception_v4", 224, "Mixed_3a", 54, 15, 4, 2},
    {"inception_v4", 224, "Mixed_4a", 52, 47, 4, 14},
    {"inception_v4", 224, "Mixed_5a", 25, 55, 8, 14},
    {"inception_v4", 224, "Mixed_5b", 25, 87, 8, 30},
    {"inception_v4", 224, "Mixed_5c", 25, 119, 8, 46},
    {"inception_v4", 224, "Mixed_5d", 25, 151, 8, 62},
    {"inception_v4", 224, "Mixed_5e", 25, 183, 8, 78},
    {"inception_v4", 224, "Mixed_6a", 12, 215, 16, 86},
    {"inception_v4", 224, "Mixed_6b", 12, 407, 16, 182},
    {"inception_v4", 224, "Mixed_6c", 12, 599, 16, 278},
    {"inception_v4", 224, "Mixed_6d", 12, 791, 16, 374},
    {"inception_v4", 224, "Mixed_6e", 12, 983, 16, 470},
    {"inception_v4", 224, "Mixed_6f", 12, 1175, 16, 566},
    {"inception_v4", 224, "Mixed_6g", 12, 1367, 16, 662},
    {"inception_v4", 224, "Mixed_6h", 12, 1559, 16, 758},
    {"inception_v4", 224, "Mixed_7a", 5, 1687, 32, 806},
    {"inception_v4", 224, "Mixed_7b", 5, 1815, 32, 870},
    {"inception_v4", 224, "Mixed_7c", 5, 1943, 32, 934},
    {"inception_v4", 224, "Mixed_7d", 5, 2071, 32, 998},
    {"inception_resnet_v2", 224, "Conv2d_1a_3x3", 111, 3, 2, 0},
    {"inception_resnet_v2", 224, "Conv2d_2a_3x3", 109, 7, 2, 0},
    {"inception_resnet_v2", 224, "Conv2d_2b_3x3", 109, 11, 2, 2},
    {"inception_resnet_v2", 224, "MaxPool_3a_3x3", 54, 15, 4, 2},
    {"inception_resnet_v2", 224, "Conv2d_3b_1x1", 54, 15, 4, 2},
    {"inception_resnet_v2", 224, "Conv2d_4a_3x3", 52, 23, 4, 2},
    {"inception_resnet_v2", 224, "MaxPool_5a_3x3", 25, 31, 8, 2},
    {"inception_resnet_v2", 224, "Mixed_5b", 25, 63, 8, 18},
    {"inception_resnet_v2", 224, "Mixed_6a", 12, 415, 16, 186},
    {"inception_resnet_v2", 224, "PreAuxLogits", 12, 2335, 16, 1146},
    {"inception_resnet_v2", 224, "Mixed_7a", 5, 2399, 32, 1162},
    {"inception_resnet_v2", 224, "Conv2d_7b_1x1", 5, 3039, 32, 1482},
    {"inception_resnet_v2-same", 224, "Conv2d_1a_3x3", 112, 3, 2, 0},
    {"inception_resnet_v2-same", 224, "Conv2d_2a_3x3", 112, 7, 2, 2},
    {"inception_resnet_v2-same", 224, "Conv2d_2b_3x3", 112, 11, 2, 4},
    {"inception_resnet_v2-same", 224, "MaxPool_3a_3x3", 56, 15, 4, 4},
    {"inception_resnet_v2-same", 224, "Conv2d_3b_1x1", 56, 15, 4, 4},
    {"inception_resnet_v2-same", 224, "Conv2d_4a_3x3", 56, 23, 4, 8},
    {"inception_resnet_v2-same", 224, "MaxPool_5a_3x3", 28, 31, 8, 8},
    {"inception_resnet_v2-same", 224, "Mixed_5b", 28, 63, 8, 24},
    {"inception_resnet_v2-same", 224, "Mixed_6a", 14, 415, 16, 192},
    {"inception_resnet_v2-same", 224, "PreAuxLogits", 14, 2335, 16, 1152},
    {"inception_resnet_v2-same", 224, "Mixed_7a", 7, 2399, 32, 1168},
    {"inception_resnet_v2-same", 224, "Conv2d_7b_1x1", 7, 3039, 32, 1488},
    {"alexnet_v2", 321, "conv1", 78, 11, 4, 0},
    {"alexnet_v2", 321, "pool1", 38, 19, 8, 0},
    {"alexnet_v2", 321, "conv2", 38, 51, 8, 16},
    {"alexnet_v2", 321, "conv3", 18, 99, 16, 32},
    {"alexnet_v2", 321, "conv4", 18, 131, 16, 48},
    {"alexnet_v2", 321, "conv5", 18, 163, 16, 64},
    {"alexnet_v2", 321, "pool5", 8, 195, 32, 64},
    {"mobilenet_v1", 321, "Conv2d_0", 161, 3, 2, 1},
    {"mobilenet_v1", 321, "Conv2d_1_pointwise", 161, 7, 2, 3},
    {"mobilenet_v1", 321, "Conv2d_2_pointwise", 81, 11, 4, 5},
    {"mobilenet_v1", 321, "Conv2d_3_pointwise", 81, 19, 4, 9},
    {"mobilenet_v1", 321, "Conv2d_4_pointwise", 41, 27, 8, 13},
    {"mobilenet_v1", 321, "Conv2d_5_pointwise", 41, 43, 8, 21},
    {"mobilenet_v1", 321, "Conv2d_6_pointwise", 21, 59, 16, 29},
    {"mobilenet_v1", 321, "Conv2d_7_pointwise", 21, 91, 16, 45},
    {"mobilenet_v1", 321, "Conv2d_8_pointwise", 21, 123, 16, 61},
    {"mobilenet_v1", 321, "Conv2d_9_pointwise", 21, 155, 16, 77},
    {"mobilenet_v1", 321, "Conv2d_10_pointwise", 21, 187, 16, 93},
    {"mobilenet_v1", 321, "Conv2d_11_pointwise", 21, 219, 16, 109},
    {"mobilenet_v1", 321, "Conv2d_12_pointwise", 11, 251, 32, 125},
    {"mobilenet_v1", 321, "Conv2d_13_pointwise", 11, 315, 32, 157},
    {"resnet_v1_50", 321, "block1", 41, 35, 8, 17},
    {"resnet_v1_50", 321, "block2", 21, 99, 16, 49},
    {"resnet_v1_50", 321, "block3", 11, 291, 32, 145},
    {"resnet_v1_50", 321, "block4", 11, 483, 32, 241},
    {"resnet_v1_101", 321, "block1", 41, 35, 8, 17},
    {"resnet_v1_101", 321, "block2", 21, 99, 16, 49},
    {"resnet_v1_101", 321, "block3", 11, 835, 32, 417},
    {"resnet_v1_101", 321, "block4", 11, 1027, 32, 513},
    {"resnet_v1_152", 321, "block1", 41, 35, 8, 17},
    {"resnet_v1_152", 321, "block2", 21, 163, 16, 81},
    {"resnet_v1_152", 321, "block3", 11, 1315, 32, 657},
    {"resnet_v1_152", 321, "block4", 11, 1507, 32, 753},
    {"resnet_v1_200", 321, "block1", 41, 35, 8, 17},
    {"resnet_v1_200", 321, "block2", 21, 419, 16, 209},
    {"resnet_v1_200", 321, "block3", 11, 1571, 32, 785},
    {"resnet_v1_200", 321, "block4", 11, 1763, 32, 881},
    {"inception_v2", 321, "Conv2d_1a_7x7", 161, 7, 2, 3},
    {"inception_v2", 321, "MaxPool_2a_3x3", 81, 11, 4, 5},
    {"inception_v2", 321, "Conv2d_2b_1x1", 81, 11, 4, 5},
    {"inception_v2", 321, "Conv2d_2c_3x3", 81, 19, 4, 9},
    {"inception_v2", 321, "MaxPool_3a_3x3", 41, 27, 8, 13},
    {"inception_v2", 321, "Mixed_3b", 41, 59, 8, 29},
    {"inception_v2", 321, "Mixed_3c", 41, 91, 8, 45},
    {"inception_v2", 321, "Mixed_4a", 21, 123, 16, 61},
    {"inception_v2", 321, "Mixed_4b", 21, 187, 16, 93},
    {"inception_v2", 321, "Mixed_4c", 21, 251, 16, 125},
    {"inception_v2", 321, "Mixed_4d", 21, 315, 16, 157},
    {"inception_v2", 321, "Mixed_4e", 21, 379, 16, 189},
    {"inception_v2", 321, "Mixed_5a", 11, 443, 32, 221},
    {"inception_v2", 321, "Mixed_5b", 11, 571, 32, 285},
    {"inception_v2", 321, "Mixed_5c", 11, 699, 32, 349},
    {"inception_resnet_v2-same", 321, "Conv2d_1a_3x3", 161, 3, 2, 1},
    {"inception_resnet_v2-same", 321, "Conv2d_2a_3x3", 161, 7, 2, 3},
    {"inception_resnet_v2-same", 321, "Conv2d_2b_3x3", 161, 11, 2, 5},
    {"inception_resnet_v2-same", 321, "MaxPool_3a_3x3", 81, 15, 4, 7},
    {"inception_resnet_v2-same", 321, "Conv2d_3b_1x1", 81, 15, 4, 7},
    {"inception_resnet_v2-same", 321, "Conv2d_4a_3x3", 81, 23, 4, 11},
    {"inception_resnet_v2-same", 321, "MaxPool_5a_3x3", 41, 31, 8, 15},
    {"inception_resnet_v2-same", 321, "Mixed_5b", 41, 63, 8, 31},
    {"inception_resnet_v2-same", 321, "Mixed_6a", 21, 415, 16, 207},
    {"inception_resnet_v2-same", 321, "PreAuxLogits", 21, 2335, 16, 1167},
    {"inception_resnet_v2-same", 321, "Mixed_7a", 11, 2399, 32, 1199},
    {"inception_resnet_v2-same", 321, "Conv2d_7b_1x1", 11, 3039, 32, 1519},
    /* Calculated, and the same for the graphs PyTorch exports. Of efficientnet_b0 this is the
     * field of the content: its gates see the whole map. */
    {"resnet18", 224, "layer4", 7, 435, 32, 217},
    {"resnet34", 224, "layer4", 7, 899, 32, 449},
    {"resnet50", 224, "layer4", 7, 427, 32, 213},
    {"resnet101", 224, "layer4", 7, 971, 32, 485},
    {"resnet152", 224, "layer4", 7, 1451, 32, 725},
    {"densenet121", 224, "features", 7, 2071, 32, 1021},
    {"densenet161", 224, "features", 7, 2967, 32, 1469},
    {"densenet169", 224, "features", 7, 3351, 32, 1661},
    {"densenet201", 224, "features", 7, 3863, 32, 1917},
    {"vgg11", 224, "pool5", 7, 150, 32, 59},
    {"vgg16", 224, "pool5", 7, 212, 32, 90},
    {"vgg19", 224, "pool5", 7, 268, 32, 118},
    {"alexnet", 224, "features", 6, 195, 32, 66},
    {"mobilenet_v2", 224, "features", 7, 491, 32, 245},
    {"efficientnet_b0", 224, "features", 7, 851, 32, 425},
    {"convnext_t", 224, "stage1", 56, 76, 4, 36},
    {"convnext_t", 224, "stage2", 28, 224, 8, 108},
    {"convnext_t", 224, "stage3", 14, 1096, 16, 540},
    {"convnext_t", 224, "stage4", 7, 1688, 32, 828},
    {"detr_r50", 224, "input_proj", 7, 427, 32, 213},
    {"detr_r50_dc5", 224, "input_proj", 14, 427, 16, 213},
    {"vit_patches", 224, "patches", 14, 16, 16, 0},
};

/* Pixels from the centre of a cell's field to where plain upsampling of the map puts the cell,
 * (stride - 1) / 2 less the centre of the first cell's field. Calculated. */
typedef struct field_misplacement {
    const char *net, *output;
    double pixels;
} field_misplacement;

static const field_misplacement field_misplaced[] = {
    {"resnet18", "layer4", 15.5},        {"resnet34", "layer4", 15.5},
    {"resnet50", "layer4", 15.5},        {"resnet101", "layer4", 15.5},
    {"resnet152", "layer4", 15.5},       {"detr_r50", "input_proj", 15.5},
    {"detr_r50_dc5", "input_proj", 7.5}, {"vgg16", "pool5", 0},
    {"convnext_t", "stage4", 0},         {"vit_patches", "patches", 0},
    {"densenet121", "features", 1.5},    {"alexnet", "features", -15.5},
};

/* --- small graphs ------------------------------------------------------------------------- */

/* Convolutions of 3x3 in one dimension: how wide, how many elements of that are seen, the first
 * distances from the middle that are not, and the share of the square that is [%]. */
typedef struct field_dilation {
    const char *net;
    int field, taps, holes[2];
    double share;
} field_dilation;

static const field_dilation field_dilated[] = {
    {"dilated_1_2_4", 15, 15, {0, 0}, 100},   {"dilated_2_2_2", 13, 7, {1, 3}, 28.99},
    {"dilated_1_2_5", 17, 17, {0, 0}, 100},   {"dilated_1_2_9", 25, 21, {4, 5}, 70.56},
    {"dilated_2_4_8", 29, 15, {1, 3}, 26.75}, {"gaps", 5, 3, {1, 0}, 36},
};

/* Stacks of n 3x3 of equal weights: field, and the deviation of the effective field. */
typedef struct field_stack {
    const char *net;
    int n, field;
    double sigma;
} field_stack;

static const field_stack field_stacks[] = {
    {"stack_1", 1, 3, 0.8165},  {"stack_2", 2, 5, 1.1547},   {"stack_3", 3, 7, 1.4142},
    {"stack_5", 5, 11, 1.8257}, {"stack_10", 10, 21, 2.582},
};

/* The weights of stack_5's effective field along an axis, times 243. */
static const int field_stack_5[] = {1, 5, 15, 30, 45, 51, 45, 30, 15, 5, 1};

/* How many of 8 inputs each output of a transposed convolution sees. */
typedef struct field_phase {
    const char *net;
    int size, taps[16];
} field_phase;

static const field_phase field_phases[] = {
    {"deconv_k2s2p0", 8, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}},
    {"deconv_k3s2p1", 8, {1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 0}}, /* 15 outputs */
    {"deconv_k4s2p1", 8, {1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1}},
};

/* "bilinear", 4 to 8, half_pixel: the weights of input `low` and of the one behind it. */
typedef struct field_lerp {
    int output, low;
    double first, second;
} field_lerp;

static const field_lerp field_bilinear[] = {
    {0, 0, 1, 0},       {1, 0, 0.75, 0.25}, {2, 0, 0.25, 0.75}, {3, 1, 0.75, 0.25},
    {4, 1, 0.25, 0.75}, {5, 2, 0.75, 0.25}, {6, 2, 0.25, 0.75}, {7, 3, 1, 0},
};

/* --- Swin-T at 224 ------------------------------------------------------------------------ */

/* What a token sees along an axis, clipped: the middle one (cells / 2) `middle` pixels from `low`
 * on, the first one `corner` pixels from 0 on. Calculated; torchvision's gradients agree. */
typedef struct field_span {
    const char *output;
    int cells, low, middle, corner;
} field_span;

static const field_span field_swin[] = {
    {"embed", 56, 112, 4, 4},    {"s1b0", 56, 112, 28, 28},  {"s1b1", 56, 84, 56, 28},
    {"merge1", 28, 84, 56, 28},  {"s2b0", 28, 84, 112, 84},  {"s2b1", 28, 28, 168, 84},
    {"merge2", 14, 28, 168, 84}, {"s3b0", 14, 28, 196, 196}, {"s3b1", 14, 0, 224, 196},
    {"s3b2", 14, 0, 224, 224},   {"s3b5", 14, 0, 224, 224},  {"merge3", 7, 0, 224, 224},
    {"s4b1", 7, 0, 224, 224},
};

#endif
