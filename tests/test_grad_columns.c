/* test_grad_columns.c - the gradients of what is made of windows in other ways, against central
 * differences: Col2Im, MaxUnpool, CausalConvWithState; and of Det. */
#include "gradcheck.h"

static void col2im(void **state) {
    (void)state;
    static const struct {
        int64_t n, c, image[2], block[2], stride, dilation, pad;
    } s[] = {{1, 2, {5, 6}, {2, 3}, 1, 1, 0},
             {2, 1, {5, 5}, {3, 3}, 2, 1, 1},
             {1, 2, {6, 7}, {2, 2}, 1, 2, 0},
             {1, 1, {4, 4}, {1, 1}, 3, 1, 0}};
    for (size_t i = 0; i < sizeof s / sizeof *s; i++) {
        int64_t blocks = 1;
        for (int d = 0; d < 2; d++)
            blocks *= (s[i].image[d] + 2 * s[i].pad - s[i].dilation * (s[i].block[d] - 1) - 1) /
                          s[i].stride +
                      1;
        gradcheck *c = gradcheck_new("Col2Im", 18, 1);
        gradcheck_float(c, -1, 1,
                        GRADCHECK_DIMS(s[i].n, s[i].c * s[i].block[0] * s[i].block[1], blocks));
        gradcheck_list(c, s[i].image, 2);
        gradcheck_list(c, s[i].block, 2);
        gradcheck_ints(c, "strides", GRADCHECK_DIMS(s[i].stride, s[i].stride));
        gradcheck_ints(c, "dilations", GRADCHECK_DIMS(s[i].dilation, s[i].dilation));
        gradcheck_ints(c, "pads", GRADCHECK_DIMS(s[i].pad, s[i].pad, s[i].pad, s[i].pad));
        gradcheck_run(c);
    }
}

static void col2im_axes(void **state) {
    (void)state;
    gradcheck *c = gradcheck_new("Col2Im", 18, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3, 8));
    gradcheck_list(c, (int64_t[]){6}, 1);
    gradcheck_list(c, (int64_t[]){3}, 1);
    gradcheck_ints(c, "pads", GRADCHECK_DIMS(3, 1));
    gradcheck_run(c);
    c = gradcheck_new("Col2Im", 18, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(1, 12, 8));
    gradcheck_list(c, (int64_t[]){3, 4, 3}, 3);
    gradcheck_list(c, (int64_t[]){2, 1, 3}, 3);
    gradcheck_ints(c, "strides", GRADCHECK_DIMS(1, 1, 1));
    gradcheck_run(c);
}

/* x: [1, 2, 2, 3], as a MaxPool of 2x2 with stride 2 gives indices; two may be the same. */
static gradcheck *unpool(const int64_t *indices) {
    gradcheck *c = gradcheck_new("MaxUnpool", 11, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(1, 2, 2, 3));
    gradcheck_whole(c, indices, GRADCHECK_DIMS(1, 2, 2, 3));
    gradcheck_ints(c, "kernel_shape", GRADCHECK_DIMS(2, 2));
    gradcheck_ints(c, "strides", GRADCHECK_DIMS(2, 2));
    return c;
}

static void max_unpool(void **state) {
    (void)state;
    static const int64_t plain[] = {1, 2, 11, 12, 15, 22, 24, 33, 29, 42, 45, 40},
                         twice[] = {1, 2, 11, 1, 15, 1, 24, 33, 33, 42, 45, 24};
    gradcheck_run(unpool(plain));
    gradcheck_run(unpool(twice)); /* the last of them stays */
    gradcheck *c = unpool(twice);
    gradcheck_list(c, (int64_t[]){1, 2, 5, 8}, 4); /* room behind */
    gradcheck_run(c);
}

static void causal_conv(void **state) {
    (void)state;
    for (int i = 0; i < 12; i++) {
        const int64_t k = 1 + i % 3, len = i == 11 ? 2 : 5;
        gradcheck *c = gradcheck_new("CausalConvWithState", 27, 1 + i % 2);
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3, len));
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(3, 1, k));
        if (i / 3 % 2) gradcheck_float(c, -1, 1, GRADCHECK_DIMS(3));
        else gradcheck_skip(c);
        if (i >= 4 && k > 1) gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3, k - 1));
        if (i & 4) gradcheck_text(c, "activation", "silu");
        gradcheck_run(c);
    }
}

static void det(void **state) {
    (void)state;
    for (int64_t m = 1; m < 7; m++) {
        gradcheck *c = gradcheck_new("Det", 22, 1);
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3, m, m));
        gradcheck_run(c);
    }
    gradcheck *c = gradcheck_new("Det", 22, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(4, 4));
    gradcheck_run(c);
}

/* No inverse: rank 3, 2 and 0 of 4. */
static void det_singular(void **state) {
    (void)state;
    static const double stack[3][16] = {{1, 2, 3, 4, 2, 4, 6, 8, 0, 1, -1, 2, 5, 0, 1, 1},
                                        {1, 2, 3, 4, 2, 4, 6, 8, 0, 1, -1, 2, 0, 2, -2, 4},
                                        {0}};
    gradcheck *c = gradcheck_new("Det", 22, 1);
    gradcheck_data(c, stack[0], GRADCHECK_DIMS(3, 4, 4));
    gradcheck_run(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(col2im),     cmocka_unit_test(col2im_axes),
        cmocka_unit_test(max_unpool), cmocka_unit_test(causal_conv),
        cmocka_unit_test(det),        cmocka_unit_test(det_singular)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
