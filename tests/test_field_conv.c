/* test_field_conv.c - the fields of convolutions against what changes. */
#include "fieldcheck.h"

static void conv(void **state) {
    (void)state;
    static const struct {
        int64_t n, c, h, w, m, k, group, stride, dilation, pad;
    } shapes[] = {{1, 2, 5, 6, 3, 3, 1, 1, 1, 1},
                  {2, 4, 7, 5, 4, 2, 2, 2, 1, 0},
                  {1, 3, 7, 7, 6, 3, 3, 1, 2, 2},
                  {1, 2, 6, 6, 2, 1, 1, 2, 1, 0}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        gradcheck *c = gradcheck_new("Conv", 11, 1);
        gradcheck_float(c, 0.1, 1,
                        GRADCHECK_DIMS(shapes[i].n, shapes[i].c, shapes[i].h, shapes[i].w));
        gradcheck_float(
            c, 0.1, 1,
            GRADCHECK_DIMS(shapes[i].m, shapes[i].c / shapes[i].group, shapes[i].k, shapes[i].k));
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(shapes[i].m));
        gradcheck_int(c, "group", shapes[i].group);
        gradcheck_ints(c, "strides", GRADCHECK_DIMS(shapes[i].stride, shapes[i].stride));
        gradcheck_ints(c, "dilations", GRADCHECK_DIMS(shapes[i].dilation, shapes[i].dilation));
        gradcheck_ints(c, "pads",
                       GRADCHECK_DIMS(shapes[i].pad, shapes[i].pad, shapes[i].pad, shapes[i].pad));
        fieldcheck_run(c, FIELDCHECK_EXACT);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(conv)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
