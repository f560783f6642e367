/* test_field_window.c - the fields of what looks through windows against what changes: transposed,
 * deformable and causal convolutions, poolings, Col2Im, MaxUnpool; and of Det. */
#include "fieldcheck.h"

typedef struct shape {
    int64_t n, c, h, w, m, kh, kw, group, stride, dilation, pad, pad_end, more;
} shape;

static void conv_transpose(void **state) {
    (void)state;
    static const shape shapes[] = {
        {1, 2, 4, 3, 2, 3, 3, 1, 1, 1, 1, 1, 0}, {2, 4, 3, 2, 2, 3, 3, 2, 2, 1, 1, 1, 1},
        {1, 3, 3, 3, 2, 2, 2, 1, 2, 1, 0, 0, 0}, {1, 2, 3, 3, 1, 4, 4, 1, 2, 1, 1, 1, 0},
        {1, 2, 3, 4, 2, 1, 1, 1, 3, 1, 0, 0, 2}, /* some have no tap */
        {1, 4, 3, 3, 1, 3, 2, 4, 2, 2, 2, 1, 1}, {1, 2, 4, 3, 2, 2, 3, 1, 3, 1, 0, 2, 0},
        {1, 1, 3, 3, 2, 3, 3, 1, 2, 1, 0, 0, 4}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const shape *s = &shapes[i];
        gradcheck *c = gradcheck_new("ConvTranspose", 11, 1);
        gradcheck_float(c, 0.1, 1, GRADCHECK_DIMS(s->n, s->c, s->h, s->w));
        gradcheck_float(c, 0.1, 1, GRADCHECK_DIMS(s->c, s->m, s->kh, s->kw));
        if (i % 2) gradcheck_float(c, -1, 1, GRADCHECK_DIMS(s->m * s->group));
        gradcheck_int(c, "group", s->group);
        gradcheck_ints(c, "strides", GRADCHECK_DIMS(s->stride, s->stride));
        gradcheck_ints(c, "dilations", GRADCHECK_DIMS(s->dilation, s->dilation));
        gradcheck_ints(c, "pads", GRADCHECK_DIMS(s->pad, s->pad, s->pad_end, s->pad_end));
        gradcheck_ints(c, "output_padding", GRADCHECK_DIMS(s->more, s->more));
        fieldcheck_run(c, FIELDCHECK_EXACT);
    }
}

static void conv_transpose_sizes(void **state) {
    (void)state;
    static const char *const how[] = {"SAME_UPPER", "SAME_LOWER", "NOTSET"};
    for (int i = 0; i < 3; i++) {
        gradcheck *c = gradcheck_new("ConvTranspose", 11, 1);
        gradcheck_float(c, 0.1, 1, GRADCHECK_DIMS(2, 2, 5));
        gradcheck_float(c, 0.1, 1, GRADCHECK_DIMS(2, 3, 4));
        gradcheck_ints(c, "strides", GRADCHECK_DIMS(3));
        gradcheck_text(c, "auto_pad", how[i]);
        if (i == 2) gradcheck_ints(c, "output_shape", GRADCHECK_DIMS(11));
        fieldcheck_run(c, FIELDCHECK_EXACT);
    }
    gradcheck *c = gradcheck_new("ConvTranspose", 11, 1);
    gradcheck_float(c, 0.1, 1, GRADCHECK_DIMS(1, 2, 2, 2, 2));
    gradcheck_float(c, 0.1, 1, GRADCHECK_DIMS(2, 1, 2, 3, 2));
    gradcheck_ints(c, "strides", GRADCHECK_DIMS(1, 2, 2));
    gradcheck_int(c, "group", 2);
    fieldcheck_run(c, FIELDCHECK_EXACT);
}

static void pools(void **state) {
    (void)state;
    static const struct {
        int64_t h, w, kh, kw, stride, dilation, pad, pad_end;
        int ceil, count;
    } s[] = {{6, 7, 3, 3, 2, 1, 1, 1, 0, 0}, {5, 6, 2, 2, 2, 1, 0, 0, 0, 0},
             {6, 5, 3, 2, 1, 1, 0, 1, 0, 1}, {7, 7, 3, 3, 2, 1, 0, 0, 1, 0},
             {6, 6, 3, 3, 2, 1, 1, 0, 1, 1}, {7, 6, 2, 3, 2, 2, 1, 1, 0, 0},
             {5, 4, 2, 2, 3, 1, 0, 0, 0, 1}};
    static const char *const ops[] = {"MaxPool", "AveragePool", "LpPool"};
    for (size_t i = 0; i < sizeof s / sizeof *s; i++)
        for (int k = 0; k < 4; k++) {
            gradcheck *c = gradcheck_new(ops[k % 3], 19, 1 + (k == 3));
            gradcheck_float(c, 0.1, 1, GRADCHECK_DIMS(1, 2, s[i].h, s[i].w));
            gradcheck_ints(c, "kernel_shape", GRADCHECK_DIMS(s[i].kh, s[i].kw));
            gradcheck_ints(c, "strides", GRADCHECK_DIMS(s[i].stride, s[i].stride));
            gradcheck_ints(c, "dilations", GRADCHECK_DIMS(s[i].dilation, s[i].dilation));
            gradcheck_ints(c, "pads",
                           GRADCHECK_DIMS(s[i].pad, s[i].pad, s[i].pad_end, s[i].pad_end));
            gradcheck_int(c, "ceil_mode", s[i].ceil);
            if (k == 1) gradcheck_int(c, "count_include_pad", s[i].count);
            fieldcheck_run(c, FIELDCHECK_EXACT);
        }
}

static void whole_maps(void **state) {
    (void)state;
    static const char *const ops[] = {"GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"};
    for (int i = 0; i < 3; i++)
        for (int rank = 2; rank < 5; rank++) {
            gradcheck *c = gradcheck_new(ops[i], 2, 1);
            gradcheck_float(c, 0.1, 1, rank, (int64_t[]){2, 3, 3, 2});
            fieldcheck_run(c, FIELDCHECK_EXACT);
        }
}

/* --- deformable --------------------------------------------------------------------------------
 */

typedef struct deformed {
    int64_t n, c, m, k, group, offset_group, stride, pad;
    bool mask;
    double reach;
} deformed;

/* x: [n, c, 5, 4]. image: x alone is changed, some taps read whole pixels, and some masks are 0;
 * known: the offsets are constants. */
static void deform_of(const deformed *s, int how, bool image, bool known) {
    const int64_t oh = (5 + 2 * s->pad - s->k) / s->stride + 1,
                  ow = (4 + 2 * s->pad - s->k) / s->stride + 1,
                  taps = s->k * s->k * s->offset_group;
    gradcheck *c = gradcheck_new("DeformConv", 19, 1);
    gradcheck_float(c, 0.1, 1, GRADCHECK_DIMS(s->n, s->c, 5, 4));
    gradcheck_float(c, 0.1, 1, GRADCHECK_DIMS(s->m, s->c / s->group, s->k, s->k))->fixed = image;
    gradcheck_in *offset =
        gradcheck_float(c, -s->reach, s->reach, GRADCHECK_DIMS(s->n, 2 * taps, oh, ow));
    for (int64_t i = 0; i < offset->count && image; i += 5)
        ((double *)offset->data)[i] = rint(((double *)offset->data)[i]);
    offset->still = image, offset->fixed = known;
    gradcheck_float(c, 0.1, 1, GRADCHECK_DIMS(s->m))->fixed = image;
    if (s->mask) {
        gradcheck_in *mask = gradcheck_float(c, 0.1, 1, GRADCHECK_DIMS(s->n, taps, oh, ow));
        for (int64_t i = 0; i < mask->count && image; i += 4) ((double *)mask->data)[i] = 0;
        mask->still = image;
    }
    gradcheck_int(c, "group", s->group);
    gradcheck_int(c, "offset_group", s->offset_group);
    gradcheck_ints(c, "strides", GRADCHECK_DIMS(s->stride, s->stride));
    gradcheck_ints(c, "pads", GRADCHECK_DIMS(s->pad, s->pad, s->pad, s->pad));
    fieldcheck_run(c, how);
}

static void deform_conv(void **state) {
    (void)state;
    static const deformed shapes[] = {{1, 2, 3, 2, 1, 1, 1, 0, false, 0.7},
                                      {2, 4, 2, 2, 2, 2, 2, 0, true, 0.4},
                                      {1, 4, 4, 2, 4, 2, 1, 1, false, 2},
                                      {2, 6, 2, 1, 2, 3, 1, 0, true, 3}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const deformed *s = &shapes[i];
        if (s->reach < 1) /* all taps are inside, so every offset moves something */
            deform_of(s, FIELDCHECK_EXACT | FIELDCHECK_KNOWN, false, false);
        deform_of(s, FIELDCHECK_EXACT | FIELDCHECK_KNOWN, true, false);
        deform_of(s, FIELDCHECK_EXACT | FIELDCHECK_KNOWN, true, true);
        deform_of(s, 0, false, false); /* anywhere */
    }
}

/* --- the rest ------------------------------------------------------------------------------------
 */

static void col2im(void **state) {
    (void)state;
    static const struct {
        int64_t n, c, image[2], block[2], stride, dilation, pad;
    } s[] = {{1, 2, {5, 4}, {2, 3}, 1, 1, 0},
             {2, 1, {5, 5}, {3, 3}, 2, 1, 1},
             {1, 2, {5, 6}, {2, 2}, 1, 2, 0},
             {1, 1, {4, 4}, {1, 1}, 3, 1, 0}};
    for (size_t i = 0; i < sizeof s / sizeof *s; i++) {
        int64_t blocks = 1;
        for (int d = 0; d < 2; d++)
            blocks *= (s[i].image[d] + 2 * s[i].pad - s[i].dilation * (s[i].block[d] - 1) - 1) /
                          s[i].stride +
                      1;
        gradcheck *c = gradcheck_new("Col2Im", 18, 1);
        gradcheck_float(c, 0.1, 1,
                        GRADCHECK_DIMS(s[i].n, s[i].c * s[i].block[0] * s[i].block[1], blocks));
        gradcheck_list(c, s[i].image, 2);
        gradcheck_list(c, s[i].block, 2);
        gradcheck_ints(c, "strides", GRADCHECK_DIMS(s[i].stride, s[i].stride));
        gradcheck_ints(c, "dilations", GRADCHECK_DIMS(s[i].dilation, s[i].dilation));
        gradcheck_ints(c, "pads", GRADCHECK_DIMS(s[i].pad, s[i].pad, s[i].pad, s[i].pad));
        fieldcheck_run(c, FIELDCHECK_EXACT);
    }
}

static void max_unpool(void **state) {
    (void)state;
    static const int64_t indices[2][12] = {{1, 2, 11, 12, 15, 22, 24, 33, 29, 42, 45, 40},
                                           {1, 2, 11, 1, 15, 1, 24, 33, 33, 42, 45, 24}};
    for (int i = 0; i < 4; i++) {
        gradcheck *c = gradcheck_new("MaxUnpool", 11, 1);
        gradcheck_float(c, 0.1, 1, GRADCHECK_DIMS(1, 2, 2, 3));
        gradcheck_whole(c, indices[i % 2], GRADCHECK_DIMS(1, 2, 2, 3));
        if (i > 1) gradcheck_list(c, (int64_t[]){1, 2, 5, 8}, 4);
        gradcheck_ints(c, "kernel_shape", GRADCHECK_DIMS(2, 2));
        gradcheck_ints(c, "strides", GRADCHECK_DIMS(2, 2));
        fieldcheck_run(c, FIELDCHECK_EXACT | FIELDCHECK_KNOWN);
    }
}

static void causal_conv(void **state) {
    (void)state;
    for (int i = 0; i < 8; i++) {
        const int64_t k = 1 + i % 3;
        gradcheck *c = gradcheck_new("CausalConvWithState", 27, 1 + i % 2);
        gradcheck_float(c, 0.1, 1, GRADCHECK_DIMS(2, 3, 4));
        gradcheck_float(c, 0.1, 1, GRADCHECK_DIMS(3, 1, k))->still = true;
        gradcheck_float(c, 0.1, 1, GRADCHECK_DIMS(3));
        if (i >= 3 && k > 1) gradcheck_float(c, 0.1, 1, GRADCHECK_DIMS(2, 3, k - 1));
        if (i & 4) gradcheck_text(c, "activation", "silu");
        fieldcheck_run(c, FIELDCHECK_EXACT);
    }
}

static void det(void **state) {
    (void)state;
    for (int64_t m = 1; m < 4; m++) {
        gradcheck *c = gradcheck_new("Det", 22, 1);
        gradcheck_float(c, 0.1, 1, GRADCHECK_DIMS(2, 2, m, m));
        fieldcheck_run(c, FIELDCHECK_EXACT);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(conv_transpose),
                                       cmocka_unit_test(conv_transpose_sizes),
                                       cmocka_unit_test(pools),
                                       cmocka_unit_test(whole_maps),
                                       cmocka_unit_test(deform_conv),
                                       cmocka_unit_test(col2im),
                                       cmocka_unit_test(max_unpool),
                                       cmocka_unit_test(causal_conv),
                                       cmocka_unit_test(det)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
