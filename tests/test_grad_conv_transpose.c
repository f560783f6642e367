/* test_grad_conv_transpose.c - the gradients of transposed convolutions against central
 * differences. */
#include "gradcheck.h"

typedef struct shape {
    int64_t n, c, h, w, m, kh, kw, group, stride, dilation, pad, pad_end, more;
} shape;

static void planes(void **state) {
    (void)state;
    static const shape shapes[] = {{1, 2, 4, 5, 3, 3, 3, 1, 1, 1, 1, 1, 0},
                                   {2, 4, 3, 4, 2, 3, 3, 2, 2, 1, 1, 1, 1},
                                   {1, 3, 4, 3, 2, 2, 2, 1, 2, 1, 0, 0, 0}, /* apart */
                                   {1, 2, 3, 3, 1, 4, 4, 1, 2, 1, 1, 1, 0},
                                   {1, 2, 3, 4, 2, 1, 1, 1, 3, 1, 0, 0, 2}, /* holes, more behind */
                                   {1, 4, 4, 4, 1, 3, 2, 4, 2, 2, 2, 1, 1}, /* depthwise, dilated */
                                   {2, 2, 5, 4, 2, 2, 3, 1, 3, 1, 0, 2, 0}, /* cut behind */
                                   {1, 2, 3, 3, 2, 3, 3, 1, 2, 1, 0, 0, 5}}; /* far behind */
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const shape *s = &shapes[i];
        gradcheck *c = gradcheck_new("ConvTranspose", 11, 1);
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(s->n, s->c, s->h, s->w));
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(s->c, s->m, s->kh, s->kw));
        if (i % 2) gradcheck_float(c, -1, 1, GRADCHECK_DIMS(s->m * s->group));
        gradcheck_int(c, "group", s->group);
        gradcheck_ints(c, "strides", GRADCHECK_DIMS(s->stride, s->stride));
        gradcheck_ints(c, "dilations", GRADCHECK_DIMS(s->dilation, s->dilation));
        gradcheck_ints(c, "pads", GRADCHECK_DIMS(s->pad, s->pad, s->pad_end, s->pad_end));
        gradcheck_ints(c, "output_padding", GRADCHECK_DIMS(s->more, s->more));
        gradcheck_run(c);
    }
}

static gradcheck *lines(void) {
    gradcheck *c = gradcheck_new("ConvTranspose", 11, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 2, 5));
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3, 3));
    gradcheck_ints(c, "strides", GRADCHECK_DIMS(2));
    return c;
}

/* The output's size is given: the pads follow from it, or some outputs have no tap. */
static void sizes(void **state) {
    (void)state;
    static const char *const how[] = {"SAME_UPPER", "SAME_LOWER", "VALID"};
    for (int i = 0; i < 3; i++) {
        gradcheck *c = lines();
        gradcheck_text(c, "auto_pad", how[i]);
        gradcheck_run(c);
    }
    for (int64_t out = 7; out < 15; out += 3) {
        gradcheck *c = lines();
        gradcheck_ints(c, "output_shape", GRADCHECK_DIMS(out));
        gradcheck_run(c);
    }
}

static void volumes(void **state) {
    (void)state;
    gradcheck *c = gradcheck_new("ConvTranspose", 11, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(1, 2, 2, 3, 2));
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 1, 2, 3, 2));
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(1));
    gradcheck_ints(c, "strides", GRADCHECK_DIMS(1, 2, 2));
    gradcheck_ints(c, "pads", GRADCHECK_DIMS(0, 1, 0, 1, 0, 0));
    gradcheck_run(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(planes), cmocka_unit_test(sizes),
                                       cmocka_unit_test(volumes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
