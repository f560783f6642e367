/* test_grad_conv.c - the gradients of convolutions against central differences. */
#include "gradcheck.h"

typedef struct shape {
    int64_t n, c, h, w, m, kh, kw, group, stride, dilation, pad, pad_end;
} shape;

static void conv(void **state) {
    (void)state;
    static const shape shapes[] = {
        {1, 2, 5, 6, 3, 3, 3, 1, 1, 1, 1, 1}, {2, 2, 7, 6, 4, 3, 2, 2, 2, 1, 1, 0},
        {1, 4, 6, 6, 4, 3, 3, 4, 1, 2, 2, 2}, {2, 3, 8, 7, 2, 1, 1, 1, 2, 1, 0, 0},
        {1, 2, 5, 5, 2, 2, 2, 1, 1, 1, 3, 0}, {1, 4, 9, 8, 6, 3, 3, 2, 3, 2, 2, 1}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const shape *s = &shapes[i];
        gradcheck *c = gradcheck_new("Conv", 11, 1);
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(s->n, s->c, s->h, s->w));
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(s->m, s->c / s->group, s->kh, s->kw));
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(s->m));
        gradcheck_int(c, "group", s->group);
        gradcheck_ints(c, "strides", GRADCHECK_DIMS(s->stride, s->stride));
        gradcheck_ints(c, "dilations", GRADCHECK_DIMS(s->dilation, s->dilation));
        gradcheck_ints(c, "pads", GRADCHECK_DIMS(s->pad, s->pad, s->pad_end, s->pad_end));
        gradcheck_run(c);
    }
}

static void conv_1d_same(void **state) {
    (void)state;
    gradcheck *c = gradcheck_new("Conv", 11, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 2, 8));
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 2, 3));
    gradcheck_text(c, "auto_pad", "SAME_UPPER");
    gradcheck_ints(c, "strides", GRADCHECK_DIMS(2));
    gradcheck_run(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(conv), cmocka_unit_test(conv_1d_same)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
