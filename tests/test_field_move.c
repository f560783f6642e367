/* test_field_move.c - the fields of operators that move elements without indices, against what
 * changes: views, transposes, slices, joins, repeats, pads, running sums. */
#include "fieldcheck.h"

static void views(void **state) {
    (void)state;
    gradcheck *c = gradcheck_new("Reshape", 14, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3, 4));
    gradcheck_list(c, (int64_t[]){4, -1}, 2);
    fieldcheck_run(c, FIELDCHECK_EXACT);
    c = gradcheck_new("Flatten", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3, 4));
    gradcheck_int(c, "axis", -1);
    fieldcheck_run(c, FIELDCHECK_EXACT);
    c = gradcheck_new("Squeeze", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(1, 3, 1, 2));
    fieldcheck_run(c, FIELDCHECK_EXACT);
    c = gradcheck_new("Unsqueeze", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(3, 2));
    gradcheck_list(c, (int64_t[]){-1, 0}, 2);
    fieldcheck_run(c, FIELDCHECK_EXACT);
    c = gradcheck_new("Identity", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(3, 2));
    fieldcheck_run(c, FIELDCHECK_EXACT);
    c = gradcheck_new("Unsqueeze", 13, 1);
    gradcheck_float(c, -1, 1, 0, NULL);
    gradcheck_list(c, (int64_t[]){0}, 1);
    fieldcheck_run(c, FIELDCHECK_EXACT);
}

static void transposes(void **state) {
    (void)state;
    static const char *const modes[] = {"DCR", "CRD"};
    gradcheck *c = gradcheck_new("Transpose", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3, 4, 2));
    gradcheck_ints(c, "perm", GRADCHECK_DIMS(2, 0, 3, 1));
    fieldcheck_run(c, FIELDCHECK_EXACT);
    c = gradcheck_new("Transpose", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3, 4));
    fieldcheck_run(c, FIELDCHECK_EXACT);
    for (int i = 0; i < 2; i++) {
        c = gradcheck_new("DepthToSpace", 13, 1);
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 8, 2, 3));
        gradcheck_int(c, "blocksize", 2);
        gradcheck_text(c, "mode", modes[i]);
        fieldcheck_run(c, FIELDCHECK_EXACT);
    }
    c = gradcheck_new("SpaceToDepth", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 2, 4, 6));
    gradcheck_int(c, "blocksize", 2);
    fieldcheck_run(c, FIELDCHECK_EXACT);
}

static void slices(void **state) {
    (void)state;
    static const struct {
        int64_t start, end, step;
    } cuts[] = {{2, 7, 1}, {1, 7, 2}, {6, 0, -1}, {-1, INT64_MIN, -2}, {5, 2, -3}, {0, 7, 100}};
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
            fieldcheck_run(c, FIELDCHECK_EXACT);
        }
    for (int upper = 0; upper < 2; upper++)
        for (int64_t k = -4; k <= 6; k += 2) {
            gradcheck *c = gradcheck_new("Trilu", 14, 1);
            gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3, 5));
            if (k != 6) gradcheck_list(c, &k, 1);
            gradcheck_int(c, "upper", upper);
            fieldcheck_run(c, FIELDCHECK_EXACT);
        }
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
        fieldcheck_run(c, FIELDCHECK_EXACT);
        int64_t dims[] = {2, 3, 2};
        dims[at] = 6;
        c = gradcheck_new("Split", 13, 3);
        gradcheck_float(c, -1, 1, 3, dims);
        gradcheck_list(c, (int64_t[]){3, 1, 2}, 3);
        gradcheck_int(c, "axis", axis);
        fieldcheck_run(c, FIELDCHECK_EXACT);
    }
}

static void repeats(void **state) {
    (void)state;
    gradcheck *c = gradcheck_new("Expand", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(3, 1));
    gradcheck_list(c, (int64_t[]){2, 1, 4}, 3);
    fieldcheck_run(c, FIELDCHECK_EXACT);
    c = gradcheck_new("Expand", 13, 1);
    gradcheck_float(c, -1, 1, 0, NULL);
    gradcheck_list(c, (int64_t[]){2, 3}, 2);
    fieldcheck_run(c, FIELDCHECK_EXACT);
    c = gradcheck_new("Tile", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3, 2));
    gradcheck_list(c, (int64_t[]){2, 1, 3}, 3);
    fieldcheck_run(c, FIELDCHECK_EXACT);
    c = gradcheck_new("Tile", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(1, 2, 1, 2, 1, 2, 1, 2));
    gradcheck_list(c, (int64_t[]){2, 1, 2, 2, 1, 1, 2, 2}, 8);
    fieldcheck_run(c, FIELDCHECK_EXACT);
}

static void pad_case(const char *mode, int64_t a, int64_t b, int64_t len, bool value) {
    gradcheck *c = gradcheck_new("Pad", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, len, 3));
    gradcheck_list(c, (int64_t[]){0, a, 1, 1, b, 1}, 6);
    if (value) gradcheck_float(c, -1, 1, 0, NULL);
    gradcheck_text(c, "mode", mode);
    fieldcheck_run(c, FIELDCHECK_EXACT);
}

static void pads(void **state) {
    (void)state;
    static const char *const modes[] = {"constant", "reflect", "edge", "wrap"};
    for (int i = 0; i < 4; i++) {
        pad_case(modes[i], 1, 1, 4, i == 0);
        pad_case(modes[i], -1, 2, 5, i == 0);
        pad_case(modes[i], 2, -2, 5, false);
        pad_case(modes[i], 2, 2, 1, i == 0);
        pad_case(modes[i], 7, 9, 3, false);
        pad_case(modes[i], 0, 0, 3, i == 0);
    }
    gradcheck *c = gradcheck_new("Pad", 18, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3, 4));
    gradcheck_list(c, (int64_t[]){1, 2, 0, 1}, 4);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(1));
    gradcheck_list(c, (int64_t[]){-1, 0}, 2);
    fieldcheck_run(c, FIELDCHECK_EXACT);
    for (int64_t h = 1; h <= 7; h++) {
        c = gradcheck_new("CenterCropPad", 18, 1);
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 4, 3));
        gradcheck_list(c, (int64_t[]){8 - h, h}, 2);
        gradcheck_ints(c, "axes", GRADCHECK_DIMS(-1, 1));
        fieldcheck_run(c, FIELDCHECK_EXACT);
    }
}

static void runs(void **state) {
    (void)state;
    for (int64_t axis = -3; axis < 3; axis++)
        for (int64_t how = 0; how < 8; how++) {
            gradcheck *c = gradcheck_new(how >> 2 ? "CumProd" : "CumSum", 14, 1);
            gradcheck_float(c, 0.5, 1.5, GRADCHECK_DIMS(2, 5, 3));
            gradcheck_list(c, &axis, 1);
            gradcheck_int(c, "exclusive", how & 1);
            gradcheck_int(c, "reverse", how >> 1 & 1);
            fieldcheck_run(c, FIELDCHECK_EXACT);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(views),   cmocka_unit_test(transposes),
                                       cmocka_unit_test(slices),  cmocka_unit_test(joins),
                                       cmocka_unit_test(repeats), cmocka_unit_test(pads),
                                       cmocka_unit_test(runs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
