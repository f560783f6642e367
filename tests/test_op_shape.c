/* test_op_shape.c - the operators that read or change a shape (Shape, Size, Reshape, Flatten,
 * Squeeze, Unsqueeze) and those that make numbers from settings (Constant, ConstantOfShape,
 * Range, EyeLike). Vectors are worked out by hand from the ONNX specification. */
#include <math.h>

#include "movement.h"

/* --- Shape, Size --------------------------------------------------------------- */

static void shape_case(int64_t start, int64_t end, const int64_t *want, int count) {
    optest *t = optest_new("Shape", 15);
    put_iota(t, OPTEST_DIMS(2, 3, 4));
    optest_int(t, "start", start);
    optest_int(t, "end", end);
    expect(optest_run(t, 1), OMMA_I64, want, (int64_t[]){count}, 1);
    optest_free(t);
}

static void shapes(void **state) {
    (void)state;
    optest *t = optest_new("Shape", 7);
    put_iota(t, OPTEST_DIMS(2, 0, 4));
    expect(optest_run(t, 1), OMMA_I64, I(2, 0, 4), OPTEST_DIMS(3));
    optest_free(t);
    t = optest_new("Shape", 13);
    put_iota(t, NULL, 0);
    expect(optest_run(t, 1), OMMA_I64, NULL, OPTEST_DIMS(0));
    optest_free(t);
    shape_case(1, 3, LIST(3, 4));
    shape_case(-1, 3, LIST(4));
    shape_case(0, -1, LIST(2, 3));
    shape_case(-100, 100, LIST(2, 3, 4));
    shape_case(INT64_MIN, INT64_MAX, LIST(2, 3, 4));
    shape_case(INT64_MAX, INT64_MIN, NULL, 0);
    shape_case(2, 1, NULL, 0);
    t = optest_new("Size", 13);
    put_iota(t, OPTEST_DIMS(2, 3, 4));
    expect(optest_run(t, 1), OMMA_I64, I(24), NULL, 0);
    optest_free(t);
}

/* --- views --------------------------------------------------------------------- */

static void reshape_case(const int64_t *shape, int n, int64_t allowzero, const int64_t *dims,
                         int rank) {
    optest *t = optest_new("Reshape", 14);
    put_iota(t, OPTEST_DIMS(2, 3, 4));
    optest_list(t, shape, n);
    optest_int(t, "allowzero", allowzero);
    const omma_tensor *y = optest_run(t, 1);
    float want[24];
    for (int i = 0; i < 24; i++) want[i] = (float)i;
    expect(y, OMMA_F32, want, dims, rank);
    assert_ptr_equal(y->data, t->in[0]->mem);
    optest_free(t);
}

static void reshape_bad(const int64_t *from, int rank, const int64_t *shape, int n,
                        int64_t allowzero) {
    optest *t = optest_new("Reshape", 14);
    put_iota(t, from, rank);
    optest_list(t, shape, n);
    optest_int(t, "allowzero", allowzero);
    expect_error(t, 1, OMMA_E_SHAPE);
}

static void reshapes(void **state) {
    (void)state;
    reshape_case(LIST(4, 6), 0, OPTEST_DIMS(4, 6));
    reshape_case(LIST(-1), 0, OPTEST_DIMS(24));
    reshape_case(LIST(0, -1), 0, OPTEST_DIMS(2, 12));
    reshape_case(LIST(0, 0, -1), 0, OPTEST_DIMS(2, 3, 4));
    reshape_case(LIST(1, 1, 1, 1, 1, 1, 1, -1), 1, OPTEST_DIMS(1, 1, 1, 1, 1, 1, 1, 24));
    reshape_bad(LIST(2, 3, 4), LIST(5, -1), 0);
    reshape_bad(LIST(2, 3, 4), LIST(-1, -1), 0);
    reshape_bad(LIST(2, 3, 4), LIST(2, 3, 5), 0);
    reshape_bad(LIST(2, 3, 4), LIST(2, 3, 4, 0), 0);
    reshape_bad(LIST(2, 3, 4), LIST(-2, 12), 0);
    reshape_bad(LIST(2, 3, 4), LIST(INT64_MIN, 12), 0);
    reshape_bad(LIST(2, 3, 4), LIST(INT64_MAX, INT64_MAX), 0);
    reshape_bad(LIST(2, 3, 4), LIST(0, -1), 1);
    reshape_bad(LIST(2, 0), LIST(0, 0, -1), 0);
    reshape_bad(LIST(24), LIST(1, 1, 1, 1, 1, 1, 1, 1, 24), 0);
    optest *t = optest_new("Reshape", 14);
    put_iota(t, OPTEST_DIMS(0, 3));
    optest_list(t, LIST(3, 0));
    optest_int(t, "allowzero", 1);
    expect(optest_run(t, 1), OMMA_F32, NULL, OPTEST_DIMS(3, 0));
    optest_free(t);
    t = optest_new("Reshape", 5);
    put_iota(t, OPTEST_DIMS(1, 1));
    optest_list(t, none_i64, 0);
    expect(optest_run(t, 1), OMMA_F32, F(0), NULL, 0);
    optest_free(t);
    t = optest_new("Reshape", 13); /* a shape that is data */
    put_iota(t, OPTEST_DIMS(4));
    optest_i64(t, I(4), OPTEST_DIMS(1));
    expect_error(t, 1, OMMA_E_UNSUPPORTED);
}

static void flatten_case(int opset, int64_t axis, int64_t rows, int64_t cols) {
    optest *t = optest_new("Flatten", opset);
    put_iota(t, OPTEST_DIMS(2, 3, 4));
    optest_int(t, "axis", axis);
    const omma_tensor *y = optest_run(t, 1);
    assert_int_equal(y->rank, 2);
    assert_int_equal(y->dims[0], rows);
    assert_int_equal(y->dims[1], cols);
    optest_free(t);
}

static void flattens(void **state) {
    (void)state;
    flatten_case(9, 0, 1, 24);
    flatten_case(9, 1, 2, 12);
    flatten_case(9, 3, 24, 1);
    flatten_case(13, -1, 6, 4);
    flatten_case(13, -3, 1, 24);
    for (int i = 0; i < 2; i++) {
        optest *t = optest_new("Flatten", 13);
        put_iota(t, OPTEST_DIMS(2, 3));
        optest_int(t, "axis", i ? 3 : INT64_MIN);
        expect_error(t, 1, OMMA_E_SHAPE);
    }
    optest *t = optest_new("Flatten", 13);
    put_iota(t, OPTEST_DIMS(0, 3));
    expect(optest_run(t, 1), OMMA_F32, NULL, OPTEST_DIMS(0, 3));
    optest_free(t);
}

/* axes NULL: left out; opset 13 takes them as an input, older ones as an attribute. */
static optest *axes_of(const char *op, int opset, const int64_t *from, int rank,
                       const int64_t *axes, int n) {
    optest *t = optest_new(op, opset);
    put_iota(t, from, rank);
    if (axes && opset >= 13) optest_list(t, axes, n);
    else if (axes) optest_ints(t, "axes", axes, n);
    return t;
}

static void axes_case(const char *op, const int64_t *from, int rank, const int64_t *axes, int n,
                      const int64_t *dims, int to) {
    for (int opset = 11; opset <= 13; opset += 2) {
        optest *t = axes_of(op, opset, from, rank, axes, n);
        const omma_tensor *y = optest_run(t, 1);
        expect(y, OMMA_F32, t->in[0]->mem, dims, to);
        optest_free(t);
    }
}

static void axes_bad(const char *op, const int64_t *from, int rank, const int64_t *axes, int n,
                     omma_status s) {
    for (int opset = 11; opset <= 13; opset += 2)
        expect_error(axes_of(op, opset, from, rank, axes, n), 1, s);
}

static void squeezes(void **state) {
    (void)state;
    axes_case("Squeeze", LIST(1, 3, 1, 2), NULL, 0, OPTEST_DIMS(3, 2));
    axes_case("Squeeze", LIST(1, 3, 1, 2), LIST(2), OPTEST_DIMS(1, 3, 2));
    axes_case("Squeeze", LIST(1, 3, 1, 2), LIST(-2, 0), OPTEST_DIMS(3, 2));
    axes_case("Squeeze", LIST(1, 1), NULL, 0, NULL, 0);
    axes_case("Squeeze", LIST(1, 0), NULL, 0, OPTEST_DIMS(0));
    axes_bad("Squeeze", LIST(1, 3), LIST(1), OMMA_E_SHAPE);
    axes_bad("Squeeze", LIST(1, 3), LIST(2), OMMA_E_SHAPE);
    axes_bad("Squeeze", LIST(1, 3), LIST(INT64_MIN), OMMA_E_SHAPE);
    axes_bad("Squeeze", LIST(1, 3), LIST(0, -2), OMMA_E_SHAPE);
}

static void unsqueezes(void **state) {
    (void)state;
    axes_case("Unsqueeze", LIST(3, 4), LIST(0), OPTEST_DIMS(1, 3, 4));
    axes_case("Unsqueeze", LIST(3, 4), LIST(-1), OPTEST_DIMS(3, 4, 1));
    axes_case("Unsqueeze", LIST(3, 4), LIST(3, 0), OPTEST_DIMS(1, 3, 4, 1));
    axes_case("Unsqueeze", LIST(3, 4), LIST(0, 3, -3), OPTEST_DIMS(1, 3, 1, 1, 4));
    axes_case("Unsqueeze", NULL, 0, LIST(0), OPTEST_DIMS(1));
    axes_case("Unsqueeze", LIST(2, 0), LIST(1), OPTEST_DIMS(2, 1, 0));
    axes_case("Unsqueeze", LIST(2), LIST(0, 1, 2, 3, 4, 5, 6), OPTEST_DIMS(1, 1, 1, 1, 1, 1, 1, 2));
    axes_bad("Unsqueeze", LIST(2), LIST(0, 0), OMMA_E_SHAPE);
    axes_bad("Unsqueeze", LIST(2), LIST(2), OMMA_E_SHAPE);
    axes_bad("Unsqueeze", LIST(2), LIST(INT64_MAX), OMMA_E_SHAPE);
    axes_bad("Unsqueeze", LIST(2), LIST(0, 1, 2, 3, 4, 5, 6, 7), OMMA_E_UNSUPPORTED);
    axes_bad("Unsqueeze", LIST(2), NULL, 0, OMMA_E_SHAPE);
}

/* --- Constant, ConstantOfShape, Range, EyeLike --------------------------------- */

static void constants(void **state) {
    (void)state;
    optest *t = optest_new("Constant", 12);
    optest_float(t, "value_float", 2.5f);
    expect(optest_run(t, 1), OMMA_F32, F(2.5f), NULL, 0);
    optest_free(t);
    t = optest_new("Constant", 12);
    optest_int(t, "value_int", -3);
    expect(optest_run(t, 1), OMMA_I64, I(-3), NULL, 0);
    optest_free(t);
    t = optest_new("Constant", 12);
    optest_ints(t, "value_ints", LIST(1, 2));
    expect(optest_run(t, 1), OMMA_I64, I(1, 2), OPTEST_DIMS(2));
    optest_free(t);
    t = optest_new("Constant", 12);
    t->attrs[t->n_attrs++] = (omma_attr){
        .name = "value_floats", .kind = OMMA_ATTR_FLOATS, .floats = F(1, 2, 3), .count = 3};
    expect(optest_run(t, 1), OMMA_F32, F(1, 2, 3), OPTEST_DIMS(3));
    optest_free(t);
    char raw[9] = "\0\1\2\3\4\5\6\7"; /* unaligned on purpose */
    const omma_value v = {.name = "v", .dtype = OMMA_U16, .rank = 1, .dims = {3}, .data = raw + 1};
    t = optest_new("Constant", 9);
    t->attrs[t->n_attrs++] = (omma_attr){.name = "value", .kind = OMMA_ATTR_TENSOR, .tensor = &v};
    expect(optest_run(t, 1), OMMA_U16, raw + 1, OPTEST_DIMS(3));
    optest_free(t);
    expect_error(optest_new("Constant", 13), 1, OMMA_E_UNSUPPORTED);
    t = optest_new("Constant", 13);
    optest_string(t, "value_string", "eye");
    expect_error(t, 1, OMMA_E_UNSUPPORTED);
    t = optest_new("Constant", 13);
    optest_int(t, "value_float", 3); /* of the wrong kind */
    expect_error(t, 1, OMMA_E_UNSUPPORTED);
}

static void constants_of_shape(void **state) {
    (void)state;
    optest *t = optest_new("ConstantOfShape", 9);
    optest_list(t, LIST(2, 2));
    expect(optest_run(t, 1), OMMA_F32, F(0, 0, 0, 0), OPTEST_DIMS(2, 2));
    optest_free(t);
    const omma_value one = {.name = "v", .dtype = OMMA_I64, .rank = 1, .dims = {1}, .data = I(-5)};
    t = optest_new("ConstantOfShape", 9);
    optest_list(t, none_i64, 0);
    t->attrs[t->n_attrs++] = (omma_attr){.name = "value", .kind = OMMA_ATTR_TENSOR, .tensor = &one};
    expect(optest_run(t, 1), OMMA_I64, I(-5), NULL, 0);
    optest_free(t);
    t = optest_new("ConstantOfShape", 20);
    optest_list(t, LIST(3, 0));
    expect(optest_run(t, 1), OMMA_F32, NULL, OPTEST_DIMS(3, 0));
    optest_free(t);
    static const int64_t bad[][2] = {{-1, 2}, {INT64_MAX, INT64_MAX}, {INT64_MIN, 0}};
    for (int i = 0; i < 3; i++) {
        t = optest_new("ConstantOfShape", 9);
        optest_list(t, bad[i], 2);
        expect_error(t, 1, OMMA_E_SHAPE);
    }
}

static optest *range_of(omma_dtype type, const void *start, const void *limit, const void *delta) {
    optest *t = optest_new("Range", 11);
    optest_put(t, true, type, start, 0, NULL);
    optest_put(t, true, type, limit, 0, NULL);
    optest_put(t, true, type, delta, 0, NULL);
    return t;
}

static void range_case(omma_dtype type, const void *start, const void *limit, const void *delta,
                       const void *want, int64_t n) {
    optest *t = range_of(type, start, limit, delta);
    expect(optest_run(t, 1), type, want, (int64_t[]){n}, 1);
    optest_free(t);
}

static void ranges(void **state) {
    (void)state;
    range_case(OMMA_F32, F(1), F(5), F(1.5f), F(1, 2.5f, 4), 3);
    range_case(OMMA_F32, F(0), F(1), F(0.25f), F(0, 0.25f, 0.5f, 0.75f), 4);
    range_case(OMMA_F32, F(0), F(1), F(-1), NULL, 0);
    range_case(OMMA_F64, &(double){2}, &(double){0}, &(double){-1}, ((double[]){2, 1}), 2);
    range_case(OMMA_I64, I(10), I(4), I(-2), I(10, 8, 6), 3);
    range_case(OMMA_I32, &(int32_t){-2}, &(int32_t){3}, &(int32_t){2}, ((int32_t[]){-2, 0, 2}), 3);
    range_case(OMMA_I16, &(int16_t){0}, &(int16_t){2}, &(int16_t){1}, ((int16_t[]){0, 1}), 2);
    range_case(OMMA_I64, I(5), I(5), I(1), NULL, 0);
    range_case(OMMA_I64, I(INT64_MIN), I(INT64_MAX), I(INT64_MAX), I(INT64_MIN, -1, INT64_MAX - 1),
               3);
    range_case(OMMA_I64, I(INT64_MAX), I(INT64_MIN), I(INT64_MIN), I(INT64_MAX, -1), 2);
    range_case(OMMA_I64, I(INT64_MAX), I(INT64_MIN), I(1), NULL, 0);
    expect_error(range_of(OMMA_I64, I(0), I(5), I(0)), 1, OMMA_E_SHAPE);
    expect_error(range_of(OMMA_F32, F(0), F(5), F(0)), 1, OMMA_E_SHAPE);
    expect_error(range_of(OMMA_F32, F(0), F(NAN), F(1)), 1, OMMA_E_SHAPE);
    expect_error(range_of(OMMA_F32, F(0), F(INFINITY), F(1)), 1, OMMA_E_SHAPE);
    expect_error(range_of(OMMA_F32, F(0), F(5), F(NAN)), 1, OMMA_E_SHAPE);
    expect_error(range_of(OMMA_I64, I(INT64_MIN), I(INT64_MAX), I(1)), 1, OMMA_E_SHAPE);
    expect_error(range_of(OMMA_U8, "\0", "\5", "\1"), 1, OMMA_E_UNSUPPORTED);
    optest *t = optest_new("Range", 11);
    optest_i64(t, I(0), NULL, 0);
    optest_i64(t, I(1), NULL, 0);
    optest_i64(t, I(1), NULL, 0);
    expect_error(t, 1, OMMA_E_UNSUPPORTED);
}

static void eye_case(int64_t k, const float *want) {
    optest *t = optest_new("EyeLike", 9);
    put_iota(t, OPTEST_DIMS(2, 3));
    optest_int(t, "k", k);
    expect(optest_run(t, 1), OMMA_F32, want, OPTEST_DIMS(2, 3));
    optest_free(t);
}

static void eyes(void **state) {
    (void)state;
    eye_case(0, F(1, 0, 0, 0, 1, 0));
    eye_case(1, F(0, 1, 0, 0, 0, 1));
    eye_case(2, F(0, 0, 1, 0, 0, 0));
    eye_case(-1, F(0, 0, 0, 1, 0, 0));
    eye_case(INT64_MAX, F(0, 0, 0, 0, 0, 0));
    eye_case(INT64_MIN, F(0, 0, 0, 0, 0, 0));
    optest *t = optest_new("EyeLike", 9);
    put_iota(t, OPTEST_DIMS(2, 2));
    optest_int(t, "dtype", OMMA_I64);
    expect(optest_run(t, 1), OMMA_I64, I(1, 0, 0, 1), OPTEST_DIMS(2, 2));
    optest_free(t);
    for (int i = 0; i < 3; i++) {
        t = optest_new("EyeLike", 9);
        put_iota(t, OPTEST_DIMS(2, 2));
        optest_int(t, "dtype", i == 0 ? OMMA_STRING : i == 1 ? 14 : INT64_MIN);
        expect_error(t, 1, OMMA_E_UNSUPPORTED);
    }
    t = optest_new("EyeLike", 9);
    put_iota(t, OPTEST_DIMS(2));
    expect_error(t, 1, OMMA_E_SHAPE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes),
        cmocka_unit_test(reshapes),
        cmocka_unit_test(flattens),
        cmocka_unit_test(squeezes),
        cmocka_unit_test(unsqueezes),
        cmocka_unit_test(constants),
        cmocka_unit_test(constants_of_shape),
        cmocka_unit_test(ranges),
        cmocka_unit_test(eyes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
