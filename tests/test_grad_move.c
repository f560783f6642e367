/* test_grad_move.c - the gradients of operators that move elements without indices, against
 * central differences: views, transposes, slices, joins, repeats, pads, running sums. */
#include "gradcheck.h"

static void views(void **state) {
    (void)state;
    gradcheck *c = gradcheck_new("Reshape", 14, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3, 4));
    gradcheck_list(c, (int64_t[]){0, -1, 2}, 3);
    gradcheck_run(c);
    c = gradcheck_new("Flatten", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3, 4));
    gradcheck_int(c, "axis", -1);
    gradcheck_run(c);
    c = gradcheck_new("Squeeze", 11, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(1, 3, 1, 2));
    gradcheck_ints(c, "axes", GRADCHECK_DIMS(-2));
    gradcheck_run(c);
    c = gradcheck_new("Squeeze", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(1, 3, 1, 2));
    gradcheck_run(c);
    c = gradcheck_new("Unsqueeze", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(3, 2));
    gradcheck_list(c, (int64_t[]){-1, 0}, 2);
    gradcheck_run(c);
    c = gradcheck_new("Identity", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(3, 2));
    gradcheck_run(c);
    c = gradcheck_new("Reshape", 14, 1); /* of a number */
    gradcheck_float(c, -1, 1, 0, NULL);
    gradcheck_list(c, (int64_t[]){1, 1}, 2);
    gradcheck_run(c);
}

static void transposes(void **state) {
    (void)state;
    gradcheck *c = gradcheck_new("Transpose", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3, 4));
    gradcheck_run(c);
    c = gradcheck_new("Transpose", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3, 4, 2));
    gradcheck_ints(c, "perm", GRADCHECK_DIMS(2, 0, 3, 1));
    gradcheck_run(c);
    c = gradcheck_new("Transpose", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 1, 2, 1, 2, 2, 2, 3));
    gradcheck_ints(c, "perm", GRADCHECK_DIMS(7, 1, 0, 3, 2, 4, 6, 5));
    gradcheck_run(c);
    static const char *const modes[] = {"DCR", "CRD"};
    for (int i = 0; i < 2; i++)
        for (int64_t s = 1; s <= 3; s++) {
            c = gradcheck_new("DepthToSpace", 13, 1);
            gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 2 * s * s, 2, 3));
            gradcheck_int(c, "blocksize", s);
            gradcheck_text(c, "mode", modes[i]);
            gradcheck_run(c);
        }
    for (int64_t s = 1; s <= 3; s++) {
        c = gradcheck_new("SpaceToDepth", 13, 1);
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3, 2 * s, s));
        gradcheck_int(c, "blocksize", s);
        gradcheck_run(c);
    }
}

static void slice(void **state) {
    (void)state;
    static const struct {
        int64_t start, end, step;
    } cuts[] = {{0, 5, 1}, {2, 7, 1},  {1, 7, 2},           {0, 7, 3},  {-2, 100, 1},
                {1, 6, 4}, {6, 0, -1}, {-1, INT64_MIN, -2}, {5, 2, -3}, {-1, INT64_MIN, -1},
                {3, 4, 5}, {2, 2, 1},  {0, 7, 100},         {6, 5, -1}};
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++)
        for (int64_t axis = 0; axis < 3; axis++) {
            int64_t dims[] = {2, 3, 2};
            dims[axis] = 7;
            gradcheck *c = gradcheck_new("Slice", 13, 1);
            gradcheck_float(c, -1, 1, 3, dims);
            gradcheck_list(c, &cuts[i].start, 1);
            gradcheck_list(c, &cuts[i].end, 1);
            gradcheck_list(c, (int64_t[]){axis - 3}, 1);
            gradcheck_list(c, &cuts[i].step, 1);
            gradcheck_run(c);
        }
    gradcheck *c = gradcheck_new("Slice", 13, 1); /* several axes at once, of rank 8 */
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(1, 2, 5, 1, 4, 2, 6, 1));
    gradcheck_list(c, (int64_t[]){1, 3, 0, 5}, 4);
    gradcheck_list(c, (int64_t[]){5, 1, 1, 0}, 4);
    gradcheck_list(c, (int64_t[]){2, 4, 5, 6}, 4);
    gradcheck_list(c, (int64_t[]){2, -1, 1, -2}, 4);
    gradcheck_run(c);
    c = gradcheck_new("Slice", 9, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(4, 5));
    gradcheck_ints(c, "starts", GRADCHECK_DIMS(1));
    gradcheck_ints(c, "ends", GRADCHECK_DIMS(-1));
    gradcheck_ints(c, "axes", GRADCHECK_DIMS(1));
    gradcheck_run(c);
}

static void trilu(void **state) {
    (void)state;
    for (int upper = 0; upper < 2; upper++)
        for (int64_t k = -4; k <= 6; k += 2) {
            gradcheck *c = gradcheck_new("Trilu", 14, 1);
            gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3, 5));
            gradcheck_list(c, &k, 1);
            gradcheck_int(c, "upper", upper);
            gradcheck_run(c);
        }
    gradcheck *c = gradcheck_new("Trilu", 14, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(4, 3));
    gradcheck_run(c);
}

static void joins(void **state) {
    (void)state;
    for (int64_t axis = -3; axis < 3; axis++) {
        const int at = (int)(axis < 0 ? axis + 3 : axis);
        gradcheck *c = gradcheck_new("Concat", 13, 1);
        for (int64_t i = 0; i < 4; i++) {
            int64_t dims[] = {2, 3, 2};
            dims[at] = (i + 2) % 4;
            gradcheck_float(c, -1, 1, 3, dims);
        }
        gradcheck_int(c, "axis", axis);
        gradcheck_run(c);
        int64_t dims[] = {2, 3, 2};
        dims[at] = 6;
        c = gradcheck_new("Split", 13, 3);
        gradcheck_float(c, -1, 1, 3, dims);
        gradcheck_list(c, (int64_t[]){3, 1, 2}, 3);
        gradcheck_int(c, "axis", axis);
        gradcheck_run(c);
        for (int deaf = 0; deaf < 7; deaf++) { /* outputs without a cotangent */
            c = gradcheck_new("Split", 18, 3);
            dims[at] = 7; /* uneven: 3, 3, 1 */
            gradcheck_float(c, -1, 1, 3, dims);
            gradcheck_int(c, "axis", axis);
            gradcheck_int(c, "num_outputs", 3);
            for (int k = 0; k < 3; k++) c->deaf[k] = deaf >> k & 1;
            gradcheck_run(c);
        }
    }
    gradcheck *c = gradcheck_new("Split", 11, 2);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(4, 3));
    gradcheck_run(c);
}

static void repeats(void **state) {
    (void)state;
    gradcheck *c = gradcheck_new("Expand", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(3, 1));
    gradcheck_list(c, (int64_t[]){2, 1, 4}, 3);
    gradcheck_run(c);
    c = gradcheck_new("Expand", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(1, 2, 1));
    gradcheck_list(c, (int64_t[]){3, 2, 1}, 3);
    gradcheck_run(c);
    c = gradcheck_new("Expand", 13, 1);
    gradcheck_float(c, -1, 1, 0, NULL);
    gradcheck_list(c, (int64_t[]){2, 3}, 2);
    gradcheck_run(c);
    c = gradcheck_new("Tile", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3, 2));
    gradcheck_list(c, (int64_t[]){2, 1, 3}, 3);
    gradcheck_run(c);
    c = gradcheck_new("Tile", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 1, 2, 1, 2, 1, 1, 2));
    gradcheck_list(c, (int64_t[]){2, 1, 2, 3, 1, 1, 2, 2}, 8);
    gradcheck_run(c);
    c = gradcheck_new("Tile", 13, 1); /* nothing is left */
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3));
    gradcheck_list(c, (int64_t[]){2, 0}, 2);
    gradcheck_run(c);
}

static void pad_case(const char *mode, int64_t a, int64_t b, int64_t len, bool value) {
    gradcheck *c = gradcheck_new("Pad", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, len, 3));
    gradcheck_list(c, (int64_t[]){0, a, a, 0, b, 1}, 6);
    if (value) gradcheck_float(c, -1, 1, 0, NULL);
    gradcheck_text(c, "mode", mode);
    gradcheck_run(c);
}

static void pads(void **state) {
    (void)state;
    static const char *const modes[] = {"constant", "reflect", "edge", "wrap"};
    for (int i = 0; i < 4; i++) {
        pad_case(modes[i], 1, 1, 4, i == 0);
        pad_case(modes[i], 3, 0, 4, false);
        pad_case(modes[i], -1, 2, 5, i == 0); /* cut before it is padded */
        pad_case(modes[i], 2, -2, 5, false);
        pad_case(modes[i], -1, -1, 4, i == 0);
        pad_case(modes[i], 2, 2, 1, false);
        pad_case(modes[i], 7, 9, 3, i == 0);  /* more than a period */
        pad_case(modes[i], 30, 25, 2, false); /* so many that they are added by index */
        pad_case(modes[i], 0, 1, 2, false);
    }
    gradcheck *c = gradcheck_new("Pad", 18, 1); /* some axes */
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3, 4));
    gradcheck_list(c, (int64_t[]){1, 2, 0, 1}, 4);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(1));
    gradcheck_list(c, (int64_t[]){-1, 0}, 2);
    gradcheck_run(c);
    c = gradcheck_new("Pad", 2, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3));
    gradcheck_ints(c, "pads", GRADCHECK_DIMS(0, 1, 2, 1));
    gradcheck_run(c);
    c = gradcheck_new("Pad", 13, 1); /* everything is cut off on one axis, and made anew */
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3));
    gradcheck_list(c, (int64_t[]){0, -3, 0, 2}, 4);
    gradcheck_float(c, -1, 1, 0, NULL);
    gradcheck_run(c);
}

static void crop_pads(void **state) {
    (void)state;
    for (int64_t h = 0; h <= 7; h++)
        for (int64_t w = 2; w <= 5; w += 3) {
            gradcheck *c = gradcheck_new("CenterCropPad", 18, 1);
            gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 4, 3));
            gradcheck_list(c, (int64_t[]){w, h}, 2);
            gradcheck_ints(c, "axes", GRADCHECK_DIMS(-1, 1));
            gradcheck_run(c);
        }
    gradcheck *c = gradcheck_new("CenterCropPad", 18, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(3, 4));
    gradcheck_list(c, (int64_t[]){5, 1}, 2);
    gradcheck_run(c);
}

static void running(const char *op, int64_t axis, int64_t exclusive, int64_t reverse, bool zeros) {
    gradcheck *c = gradcheck_new(op, 14, 1);
    gradcheck_in *in = gradcheck_float(c, -1.5, 1.5, GRADCHECK_DIMS(2, 5, 3));
    for (int64_t i = 0; i < in->count && zeros; i += 4) ((double *)in->data)[i] = 0;
    gradcheck_list(c, &axis, 1);
    gradcheck_int(c, "exclusive", exclusive);
    gradcheck_int(c, "reverse", reverse);
    gradcheck_run(c);
}

static void runs(void **state) {
    (void)state;
    for (int64_t axis = -1; axis < 3; axis++)
        for (int64_t how = 0; how < 4; how++) {
            running("CumSum", axis, how & 1, how >> 1, false);
            running("CumProd", axis, how & 1, how >> 1, false);
            running("CumProd", axis, how & 1, how >> 1, true);
        }
}

/* What older operator sets say otherwise. */
static void opsets(void **state) {
    (void)state;
    gradcheck *c = gradcheck_new("Tile", 1, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3));
    gradcheck_data(c, (double[]){3}, 0, NULL)->fixed = true;
    gradcheck_data(c, (double[]){1}, 0, NULL)->fixed = true;
    gradcheck_run(c);
    c = gradcheck_new("Split", 2, 2);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 5));
    gradcheck_ints(c, "split", GRADCHECK_DIMS(4, 1));
    gradcheck_int(c, "axis", 1);
    gradcheck_run(c);
    c = gradcheck_new("Concat", 1, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 2));
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3));
    gradcheck_run(c);
    c = gradcheck_new("Pad", 1, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3));
    gradcheck_ints(c, "paddings", GRADCHECK_DIMS(0, 1, 2, 1));
    gradcheck_run(c);
    c = gradcheck_new("Reshape", 1, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3));
    gradcheck_ints(c, "shape", GRADCHECK_DIMS(3, -1));
    gradcheck_run(c);
    c = gradcheck_new("Unsqueeze", 11, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3));
    gradcheck_ints(c, "axes", GRADCHECK_DIMS(1));
    gradcheck_run(c);
}

/* Without elements there is nothing to check but that it can be done, and where some are made of
 * none, or none of some. */
static void empty(void **state) {
    (void)state;
    gradcheck *c = gradcheck_new("Transpose", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 0, 3));
    gradcheck_run(c);
    c = gradcheck_new("DepthToSpace", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 0, 3, 2));
    gradcheck_int(c, "blocksize", 1 << 20);
    gradcheck_run(c);
    c = gradcheck_new("SpaceToDepth", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 2, 0, 4));
    gradcheck_int(c, "blocksize", 2);
    gradcheck_run(c);
    c = gradcheck_new("Slice", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(0, 4));
    gradcheck_list(c, (int64_t[]){0, 3}, 2);
    gradcheck_list(c, (int64_t[]){2, 0}, 2);
    gradcheck_skip(c);
    gradcheck_list(c, (int64_t[]){1, -2}, 2);
    gradcheck_run(c);
    c = gradcheck_new("Expand", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 1));
    gradcheck_list(c, (int64_t[]){2, 0}, 2);
    gradcheck_run(c);
    c = gradcheck_new("Pad", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(0, 2));
    gradcheck_list(c, (int64_t[]){1, 0, 1, 1}, 4);
    gradcheck_float(c, -1, 1, 0, NULL);
    gradcheck_run(c);
    c = gradcheck_new("Pad", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(3, 2));
    gradcheck_list(c, (int64_t[]){-1, 0, -2, 1}, 4);
    gradcheck_text(c, "mode", "edge");
    gradcheck_run(c);
    c = gradcheck_new("Split", 13, 2);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(0, 4));
    gradcheck_int(c, "axis", 1);
    gradcheck_run(c);
    c = gradcheck_new("CumProd", 26, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(0, 4));
    gradcheck_list(c, (int64_t[]){0}, 1);
    gradcheck_run(c);
    c = gradcheck_new("Trilu", 14, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(3, 0));
    gradcheck_run(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views),  cmocka_unit_test(transposes), cmocka_unit_test(slice),
        cmocka_unit_test(trilu),  cmocka_unit_test(joins),      cmocka_unit_test(repeats),
        cmocka_unit_test(pads),   cmocka_unit_test(crop_pads),  cmocka_unit_test(runs),
        cmocka_unit_test(opsets), cmocka_unit_test(empty)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
