/* resizings.h - the Resize nodes that the tests of its gradient and of its field share. */
#ifndef OMMA_TESTS_RESIZINGS_H
#define OMMA_TESTS_RESIZINGS_H

#include "gradcheck.h"

typedef struct resizing {
    int rank;
    int64_t dims[4], sizes[4];
    double scales[4]; /* 0: by sizes; as good in float32 as in float64 */
} resizing;

enum { RESIZINGS = 7 };
static const resizing resizings[RESIZINGS] = {{4, {1, 2, 4, 3}, {1, 2, 8, 6}, {0}},
                                              {4, {2, 1, 5, 7}, {2, 1, 3, 2}, {0}},
                                              {4, {1, 2, 3, 4}, {0}, {1, 1, 1.75, 0.625}},
                                              {4, {1, 4, 3, 2}, {1, 6, 7, 2}, {0}},
                                              {3, {1, 2, 6}, {1, 2, 13}, {0}},
                                              {1, {5}, {1}, {0}},
                                              {2, {3, 4}, {3, 4}, {0}}};

enum { RESIZE_COORDINATES = 7 };
static const char *const resize_coordinates[RESIZE_COORDINATES] = {
    "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel",  "align_corners",
    "asymmetric", "tf_crop_and_resize",   "tf_half_pixel_for_nn"};

static inline gradcheck *resize_node(const resizing *r, const char *mode, const char *coordinate) {
    static const double roi[][8] = {{0.1, 0.9},
                                    {0.1, -0.2, 0.9, 1.1},
                                    {0, 0.1, -0.2, 1, 0.9, 1.1},
                                    {0, 0, 0.1, -0.2, 1, 1, 0.9, 1.1}};
    gradcheck *c = gradcheck_new("Resize", 19, 1);
    gradcheck_float(c, 0.1, 1, r->rank, r->dims);
    if (!strcmp(coordinate, "tf_crop_and_resize"))
        gradcheck_data(c, roi[r->rank - 1], 1, (int64_t[]){2 * r->rank})->fixed = true;
    else gradcheck_skip(c);
    if (r->scales[0] > 0) gradcheck_data(c, r->scales, 1, (int64_t[]){r->rank})->fixed = true;
    else gradcheck_skip(c), gradcheck_list(c, r->sizes, r->rank);
    gradcheck_text(c, "mode", mode);
    gradcheck_text(c, "coordinate_transformation_mode", coordinate);
    return c;
}

/* Every mode in every coordinate, every rounding, every kind of edge and filter. */
static inline void resize_each(void (*check)(gradcheck *c)) {
    static const char *const modes[] = {"nearest", "linear", "cubic"};
    static const char *const rounding[] = {"round_prefer_floor", "round_prefer_ceil", "floor",
                                           "ceil"};
    for (int i = 0; i < RESIZINGS; i++) {
        for (int k = 0; k < 3 * RESIZE_COORDINATES; k++)
            check(resize_node(&resizings[i], modes[k % 3], resize_coordinates[k / 3]));
        for (int k = 0; k < 8; k++) {
            gradcheck *c =
                resize_node(&resizings[i], "nearest", k < 4 ? "asymmetric" : "half_pixel");
            gradcheck_text(c, "nearest_mode", rounding[k % 4]);
            check(c);
        }
        for (int k = 0; k < 6; k++) {
            gradcheck *c = resize_node(&resizings[i], k < 3 ? "linear" : "cubic", "half_pixel");
            if (k % 3 != 1) gradcheck_int(c, "exclude_outside", 1);
            if (k % 3 > 0) gradcheck_int(c, "antialias", 1);
            if (k == 5) gradcheck_real(c, "cubic_coeff_a", -0.5f);
            check(c);
        }
    }
}

#endif
