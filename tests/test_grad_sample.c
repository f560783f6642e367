/* test_grad_sample.c - the gradients of Resize, Upsample, GridSample, RoiAlign and AffineGrid
 * against central differences. */
#include "gradcheck.h"

/* --- Resize ------------------------------------------------------------------------------- */

typedef struct resizing {
    int rank;
    int64_t dims[4], sizes[4];
    double scales[4]; /* 0: by sizes; as good in float32 as in float64 */
} resizing;

static const resizing resizings[] = {{4, {1, 2, 4, 3}, {1, 2, 8, 6}, {0}},
                                     {4, {2, 1, 5, 7}, {2, 1, 3, 2}, {0}},
                                     {4, {1, 2, 3, 4}, {0}, {1, 1, 1.75, 0.625}},
                                     {4, {1, 4, 3, 2}, {1, 6, 7, 2}, {0}},
                                     {3, {1, 2, 6}, {1, 2, 13}, {0}},
                                     {1, {5}, {1}, {0}},
                                     {2, {3, 4}, {3, 4}, {0}}};

static gradcheck *resize(const resizing *r, const char *mode, const char *coordinate) {
    gradcheck *c = gradcheck_new("Resize", 19, 1);
    const double roi[] = {0, 0, 0.1, -0.2, 1, 1, 0.9, 1.1};
    const bool crop = !strcmp(coordinate, "tf_crop_and_resize");
    gradcheck_float(c, -1, 1, r->rank, r->dims);
    if (crop) gradcheck_data(c, roi + (4 - r->rank) * (r->rank < 4), 1, (int64_t[]){2 * r->rank});
    else gradcheck_skip(c);
    if (crop) c->in[1].fixed = true;
    if (r->scales[0] > 0) gradcheck_data(c, r->scales, 1, (int64_t[]){r->rank})->fixed = true;
    else gradcheck_skip(c), gradcheck_list(c, r->sizes, r->rank);
    gradcheck_text(c, "mode", mode);
    gradcheck_text(c, "coordinate_transformation_mode", coordinate);
    return c;
}

static void resize_modes(void **state) {
    (void)state;
    static const char *const modes[] = {"nearest", "linear", "cubic"};
    static const char *const coordinates[] = {
        "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel",  "align_corners",
        "asymmetric", "tf_crop_and_resize",   "tf_half_pixel_for_nn"};
    for (size_t i = 0; i < sizeof resizings / sizeof *resizings; i++)
        for (int m = 0; m < 3; m++)
            for (int k = 0; k < 7; k++)
                gradcheck_run(resize(&resizings[i], modes[m], coordinates[k]));
}

static void resize_rounding(void **state) {
    (void)state;
    static const char *const rounding[] = {"round_prefer_floor", "round_prefer_ceil", "floor",
                                           "ceil"};
    for (size_t i = 0; i < sizeof resizings / sizeof *resizings; i++)
        for (int k = 0; k < 4; k++) {
            gradcheck *c = resize(&resizings[i], "nearest", k % 2 ? "asymmetric" : "half_pixel");
            gradcheck_text(c, "nearest_mode", rounding[k]);
            gradcheck_run(c);
        }
}

static void resize_smooth(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof resizings / sizeof *resizings; i++)
        for (int k = 0; k < 6; k++) {
            gradcheck *c = resize(&resizings[i], k < 3 ? "linear" : "cubic", "half_pixel");
            if (k % 3 != 1) gradcheck_int(c, "exclude_outside", 1);
            if (k % 3 > 0) gradcheck_int(c, "antialias", 1);
            if (k == 5) gradcheck_real(c, "cubic_coeff_a", -0.5f);
            gradcheck_run(c);
        }
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resize_modes), cmocka_unit_test(resize_rounding),
        cmocka_unit_test(resize_smooth), cmocka_unit_test(resize_axes), cmocka_unit_test(upsample)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
