/* test_grad_sample.c - the gradients of Resize, Upsample, GridSample, RoiAlign and AffineGrid
 * against central differences. */
#include "resizings.h"

/* --- Resize ------------------------------------------------------------------------------- */

static void resize_modes(void **state) {
    (void)state;
    resize_each(gradcheck_run);
}

static void resize_axes(void **state) {
    (void)state;
    static const char *const policies[] = {"stretch", "not_larger", "not_smaller"};
    for (int k = 0; k < 3; k++) {
        gradcheck *c = gradcheck_new("Resize", 18, 1);
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 4, 3, 2));
        gradcheck_skip(c), gradcheck_skip(c);
        gradcheck_list(c, (const int64_t[]){5, 7}, 2);
        gradcheck_ints(c, "axes", 2, (const int64_t[]){-3, 2});
        gradcheck_text(c, "mode", "linear");
        gradcheck_text(c, "keep_aspect_ratio_policy", policies[k]);
        gradcheck_run(c);
    }
}

static void upsample(void **state) {
    (void)state;
    static const int opsets[] = {9, 13, 7};
    static const float scales[] = {1, 1, 2, 1.5f};
    for (int k = 0; k < 6; k++) {
        gradcheck *c = gradcheck_new("Upsample", opsets[k % 3], 1);
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 2, 3, 4));
        if (k % 3 < 2) gradcheck_data(c, (const double[]){1, 1, 2, 1.5}, 1, (int64_t[]){4});
        else
            gradcheck_attr(c, (omma_attr){.name = "scales",
                                          .kind = OMMA_ATTR_FLOATS,
                                          .floats = scales,
                                          .count = 4,
                                          .s = ""});
        if (k % 3 < 2) c->in[1].fixed = true;
        gradcheck_text(c, "mode", k < 3 ? "nearest" : "linear");
        gradcheck_run(c);
    }
    gradcheck *c = gradcheck_new("Resize", 10, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(1, 3, 4, 4));
    gradcheck_data(c, (const double[]){1, 1, 0.5, 2}, 1, (int64_t[]){4})->fixed = true;
    gradcheck_text(c, "mode", "linear");
    gradcheck_run(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(resize_modes),
                                       cmocka_unit_test(resize_axes), cmocka_unit_test(upsample)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
