/* test_grad_deform.c - the gradients of deformable convolutions against central differences, by the
 * image, weights, offsets, bias and mask. */
#include "gradcheck.h"

typedef struct shape {
    int64_t n, c, h, w, m, k, group, offset_group, stride, dilation, pad, oh, ow;
    bool bias, mask;
    double reach; /* of the offsets */
} shape;

static void deform(void **state) {
    (void)state;
    static const shape shapes[] = {{1, 2, 5, 6, 3, 3, 1, 1, 1, 1, 1, 5, 6, false, false, 0.9},
                                   {2, 4, 5, 4, 2, 2, 2, 2, 2, 1, 0, 2, 2, true, true, 2},
                                   {1, 4, 4, 4, 4, 2, 4, 2, 1, 2, 1, 4, 4, true, false, 3},
                                   {1, 6, 4, 5, 2, 1, 2, 3, 1, 1, 0, 4, 5, false, true, 1.5},
                                   {1, 1, 3, 3, 1, 3, 1, 1, 1, 1, 2, 5, 5, true, true, 6}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const shape *s = &shapes[i];
        const int64_t taps = s->k * s->k * s->offset_group;
        gradcheck *c = gradcheck_new("DeformConv", 19, 1);
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(s->n, s->c, s->h, s->w));
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(s->m, s->c / s->group, s->k, s->k));
        gradcheck_float(c, -s->reach, s->reach, GRADCHECK_DIMS(s->n, 2 * taps, s->oh, s->ow));
        if (s->bias) gradcheck_float(c, -1, 1, GRADCHECK_DIMS(s->m));
        else gradcheck_skip(c);
        if (s->mask) gradcheck_float(c, 0, 1, GRADCHECK_DIMS(s->n, taps, s->oh, s->ow));
        gradcheck_int(c, "group", s->group);
        gradcheck_int(c, "offset_group", s->offset_group);
        gradcheck_ints(c, "strides", GRADCHECK_DIMS(s->stride, s->stride));
        gradcheck_ints(c, "dilations", GRADCHECK_DIMS(s->dilation, s->dilation));
        gradcheck_ints(c, "pads", GRADCHECK_DIMS(s->pad, s->pad, s->pad, s->pad));
        gradcheck_run(c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(deform)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
