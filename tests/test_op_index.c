/* test_op_index.c - the operators that go by index: Gather, GatherElements, GatherND,
 * ScatterElements, ScatterND, OneHot, TopK. Vectors are worked out by hand from the ONNX
 * specification; TopK is held against a plain stable sort. An index out of range must fail
 * cleanly, never read or write outside. */
#include <math.h>
#include <stdlib.h>

#include "movement.h"

/* A run that fails, naming the index. */
static void expect_index(optest *t, const char *index) {
    assert_int_equal(optest_try(t, 1, 2), OMMA_E_RANGE);
    assert_non_null(strstr(t->err.message, index));
    optest_free(t);
}

static const float six[] = {1, 2, 3, 4, 5, 6};

/* --- Gather -------------------------------------------------------------------- */

static void gathers(void **state) {
    (void)state;
    optest *t = optest_new("Gather", 13);
    optest_f32(t, six, OPTEST_DIMS(3, 2));
    optest_i64(t, I(2, 0, -1, -3), OPTEST_DIMS(2, 2));
    expect(optest_run(t, 1), OMMA_F32, F(5, 6, 1, 2, 5, 6, 1, 2), OPTEST_DIMS(2, 2, 2));
    optest_free(t);
    t = optest_new("Gather", 1);
    optest_f32(t, six, OPTEST_DIMS(2, 3));
    optest_put(t, false, OMMA_I32, (int32_t[]){2, 0}, 1, I(2));
    optest_int(t, "axis", -1);
    expect(optest_run(t, 1), OMMA_F32, F(3, 1, 6, 4), OPTEST_DIMS(2, 2));
    optest_free(t);
    t = optest_new("Gather", 11); /* one index of rank 0 takes the axis away */
    optest_f32(t, six, OPTEST_DIMS(6));
    optest_i64(t, I(-2), NULL, 0);
    expect(optest_run(t, 1), OMMA_F32, F(5), NULL, 0);
    optest_free(t);
    t = optest_new("Gather", 13); /* bytes, middle axis */
    optest_put(t, false, OMMA_BOOL, "\0\1\1\0\1\0\0\1", 3, I(2, 2, 2));
    optest_i64(t, I(1), OPTEST_DIMS(1));
    optest_int(t, "axis", 1);
    expect(optest_run(t, 1), OMMA_BOOL, "\1\0\0\1", OPTEST_DIMS(2, 1, 2));
    optest_free(t);
    t = optest_new("Gather", 13);
    optest_f32(t, none_f32, OPTEST_DIMS(0, 2));
    optest_i64(t, none_i64, OPTEST_DIMS(0));
    expect(optest_run(t, 1), OMMA_F32, NULL, OPTEST_DIMS(0, 2));
    optest_free(t);
    t = optest_new("Gather", 13);
    optest_f32(t, none_f32, OPTEST_DIMS(3, 0));
    optest_i64(t, I(2), OPTEST_DIMS(1));
    expect(optest_run(t, 1), OMMA_F32, NULL, OPTEST_DIMS(1, 0));
    optest_free(t);
}

static void gathers_bad(void **state) {
    (void)state;
    static const struct {
        int64_t index;
        const char *text;
    } bad[] = {{3, "index 3 "},
               {-4, "index -4 "},
               {INT64_MAX, "index 9223372036854775807 "},
               {INT64_MIN, "index -9223372036854775808 "}};
    for (int i = 0; i < 4; i++) {
        optest *t = optest_new("Gather", 13);
        optest_f32(t, six, OPTEST_DIMS(3, 2));
        optest_i64(t, (int64_t[]){0, bad[i].index}, OPTEST_DIMS(2));
        expect_index(t, bad[i].text);
    }
    optest *t = optest_new("Gather", 13);
    optest_f32(t, none_f32, OPTEST_DIMS(0, 2));
    optest_i64(t, I(0), OPTEST_DIMS(1));
    expect_index(t, "index 0 ");
    t = optest_new("Gather", 13);
    optest_f32(t, six, OPTEST_DIMS(6));
    optest_f32(t, six, OPTEST_DIMS(1));
    expect_error(t, 1, OMMA_E_SHAPE);
    t = optest_new("Gather", 13);
    optest_f32(t, six, OPTEST_DIMS(6));
    optest_i64(t, I(0), OPTEST_DIMS(1));
    optest_int(t, "axis", INT64_MIN);
    expect_error(t, 1, OMMA_E_SHAPE);
    t = optest_new("Gather", 13);
    optest_f32(t, six, NULL, 0);
    optest_i64(t, I(0), OPTEST_DIMS(1));
    expect_error(t, 1, OMMA_E_SHAPE);
    t = optest_new("Gather", 13);
    optest_f32(t, six, OPTEST_DIMS(1, 1, 1, 1, 6));
    optest_i64(t, I(0), OPTEST_DIMS(1, 1, 1, 1, 1));
    expect_error(t, 1, OMMA_E_UNSUPPORTED);
}

/* --- GatherElements ------------------------------------------------------------ */

static void gather_elements(void **state) {
    (void)state;
    optest *t = optest_new("GatherElements", 11);
    optest_f32(t, six, OPTEST_DIMS(2, 3));
    optest_i64(t, I(0, 0, -1, 1), OPTEST_DIMS(2, 2));
    optest_int(t, "axis", 1);
    expect(optest_run(t, 1), OMMA_F32, F(1, 1, 6, 5), OPTEST_DIMS(2, 2));
    optest_free(t);
    t = optest_new("GatherElements", 13); /* indices shorter than the data off the axis */
    optest_f32(t, six, OPTEST_DIMS(3, 2));
    optest_put(t, false, OMMA_I32, (int32_t[]){2, 0, -2, 1}, 2, I(4, 1));
    expect(optest_run(t, 1), OMMA_F32, F(5, 1, 3, 3), OPTEST_DIMS(4, 1));
    optest_free(t);
    t = optest_new("GatherElements", 13);
    optest_f32(t, six, OPTEST_DIMS(3, 2));
    optest_i64(t, none_i64, OPTEST_DIMS(0, 2));
    expect(optest_run(t, 1), OMMA_F32, NULL, OPTEST_DIMS(0, 2));
    optest_free(t);
    for (int i = 0; i < 3; i++) {
        t = optest_new("GatherElements", 13);
        optest_f32(t, six, OPTEST_DIMS(3, 2));
        if (i == 0) optest_i64(t, I(0, 1, 2), OPTEST_DIMS(1, 3));
        if (i == 1) optest_i64(t, I(0, 1), OPTEST_DIMS(2));
        if (i == 2) optest_f32(t, six, OPTEST_DIMS(1, 2));
        expect_error(t, 1, OMMA_E_SHAPE);
    }
    t = optest_new("GatherElements", 13);
    optest_f32(t, six, OPTEST_DIMS(3, 2));
    optest_i64(t, I(0, -4), OPTEST_DIMS(1, 2));
    expect_index(t, "index -4 (number 1 of 'in1')");
}

/* Rank 3, enough elements for several chunks, against the definition. */
static void gather_elements_large(void **state) {
    (void)state;
    enum { A = 7, B = 90, C = 80, D = 60 };
    float *x = test_malloc(sizeof(float) * A * B * C);
    int64_t *k = test_malloc(sizeof(int64_t) * A * D * C);
    srand(3);
    for (int i = 0; i < A * B * C; i++) x[i] = (float)i;
    for (int i = 0; i < A * D * C; i++) k[i] = rand() % (2 * B) - B;
    for (int threads = 1; threads <= 4; threads++) {
        optest *t = optest_new("GatherElements", 13);
        optest_f32(t, x, OPTEST_DIMS(A, B, C));
        optest_i64(t, k, OPTEST_DIMS(A, D, C));
        optest_int(t, "axis", 1);
        assert_int_equal(optest_try(t, 1, threads), OMMA_OK);
        for (int i = 0; i < A * D * C; i++) {
            const int64_t row = k[i] < 0 ? k[i] + B : k[i];
            assert_true(((float *)t->out[0].data)[i] ==
                        (float)((i / (D * C) * B + row) * C + i % C));
        }
        optest_free(t);
    }
    test_free(x);
    test_free(k);
}

/* --- GatherND ------------------------------------------------------------------ */

static void gather_nd(void **state) {
    (void)state;
    static const float eight[] = {0, 1, 2, 3, 4, 5, 6, 7};
    optest *t = optest_new("GatherND", 11);
    optest_f32(t, eight, OPTEST_DIMS(2, 2, 2));
    optest_i64(t, I(0, 1, -1, 0), OPTEST_DIMS(2, 2));
    expect(optest_run(t, 1), OMMA_F32, F(2, 3, 4, 5), OPTEST_DIMS(2, 2));
    optest_free(t);
    t = optest_new("GatherND", 12);
    optest_f32(t, eight, OPTEST_DIMS(2, 2, 2));
    optest_i64(t, I(1, 0), OPTEST_DIMS(2, 1));
    optest_int(t, "batch_dims", 1);
    expect(optest_run(t, 1), OMMA_F32, F(2, 3, 4, 5), OPTEST_DIMS(2, 2));
    optest_free(t);
    t = optest_new("GatherND", 13);
    optest_f32(t, eight, OPTEST_DIMS(2, 2, 2));
    optest_i64(t, I(1, 0, 1), OPTEST_DIMS(3));
    expect(optest_run(t, 1), OMMA_F32, F(5), NULL, 0);
    optest_free(t);
    t = optest_new("GatherND", 13);
    optest_f32(t, eight, OPTEST_DIMS(2, 4));
    optest_i64(t, none_i64, OPTEST_DIMS(0, 1));
    expect(optest_run(t, 1), OMMA_F32, NULL, OPTEST_DIMS(0, 4));
    optest_free(t);
    t = optest_new("GatherND", 13);
    optest_f32(t, eight, OPTEST_DIMS(2, 4));
    optest_i64(t, I(1, 4), OPTEST_DIMS(1, 2));
    expect_index(t, "index 4 (number 1 of 'in1') is outside an axis of 4");
    static const int64_t batches[] = {1, 2, -1, INT64_MIN, INT64_MAX, 0, 0};
    for (int i = 0; i < 7; i++) {
        t = optest_new("GatherND", 13);
        optest_f32(t, eight, OPTEST_DIMS(2, 4));
        if (i == 5) optest_i64(t, I(0, 0, 0), OPTEST_DIMS(1, 3));
        else if (i == 6) optest_i64(t, none_i64, OPTEST_DIMS(1, 0));
        else optest_i64(t, I(0, 0, 0), OPTEST_DIMS(3, 1));
        optest_int(t, "batch_dims", batches[i]);
        expect_error(t, 1, OMMA_E_SHAPE);
    }
}

/* --- ScatterElements ----------------------------------------------------------- */

static optest *scatter(const char *op, int opset, const char *reduction, omma_dtype type,
                       const void *data, int64_t n, const int64_t *index, int64_t m,
                       const void *updates) {
    optest *t = optest_new(op, opset);
    const int64_t pair[] = {m, 1};
    optest_put(t, false, type, data, 1, &n);
    optest_put(t, false, OMMA_I64, index, !strcmp(op, "ScatterND") ? 2 : 1, pair);
    optest_put(t, false, type, updates, 1, &m);
    if (reduction) optest_string(t, "reduction", reduction);
    return t;
}

static void scatter_case(const char *reduction, omma_dtype type, const void *data, int64_t n,
                         const int64_t *index, int64_t m, const void *updates, const void *want) {
    static const char *const ops[] = {"ScatterElements", "ScatterND"};
    for (int i = 0; i < 2; i++) {
        optest *t = scatter(ops[i], 18, reduction, type, data, n, index, m, updates);
        expect(optest_run(t, 1), type, want, &n, 1);
        optest_free(t);
    }
}

#define SCATTER(red, T, type, ...)                                                             \
    scatter_case(red, type, ((const T[]){1, 2, 3}), 3, I(1, -1, 1), 3, ((const T[]){5, 1, 4}), \
                 ((const T[]){__VA_ARGS__}))

static void scatter_reductions(void **state) {
    (void)state;
    SCATTER(NULL, float, OMMA_F32, 1, 4, 1); /* the last one stays */
    SCATTER("none", double, OMMA_F64, 1, 4, 1);
    SCATTER("none", uint16_t, OMMA_BF16, 1, 4, 1);
    SCATTER("add", float, OMMA_F32, 1, 11, 4);
    SCATTER("mul", float, OMMA_F32, 1, 40, 3);
    SCATTER("min", float, OMMA_F32, 1, 2, 1);
    SCATTER("max", float, OMMA_F32, 1, 5, 3);
    SCATTER("add", double, OMMA_F64, 1, 11, 4);
    SCATTER("mul", int8_t, OMMA_I8, 1, 40, 3);
    SCATTER("add", uint8_t, OMMA_U8, 1, 11, 4);
    SCATTER("max", int16_t, OMMA_I16, 1, 5, 3);
    SCATTER("min", uint16_t, OMMA_U16, 1, 2, 1);
    SCATTER("add", int32_t, OMMA_I32, 1, 11, 4);
    SCATTER("mul", uint32_t, OMMA_U32, 1, 40, 3);
    SCATTER("max", int64_t, OMMA_I64, 1, 5, 3);
    SCATTER("min", uint64_t, OMMA_U64, 1, 2, 1);
    scatter_case("add", OMMA_F16, ((uint16_t[]){0x3c00, 0x4000}), 2, I(0), 1, &(uint16_t){0x3800},
                 ((uint16_t[]){0x3e00, 0x4000})); /* 1 + 0.5 */
    scatter_case("mul", OMMA_BF16, ((uint16_t[]){0x3f80, 0x4000}), 2, I(1), 1, &(uint16_t){0x3f00},
                 ((uint16_t[]){0x3f80, 0x3f80})); /* 2 * 0.5 */
    scatter_case("add", OMMA_BOOL, "\1\0\0", 3, I(0, 1), 2, "\1\1", "\1\1\0");
    /* Integers wrap, and no sanitizer minds. */
    scatter_case("add", OMMA_I64, I(INT64_MAX), 1, I(0), 1, I(1), I(INT64_MIN));
    scatter_case("mul", OMMA_I64, I(INT64_MIN), 1, I(0), 1, I(-1), I(INT64_MIN));
    scatter_case("mul", OMMA_U16, &(uint16_t){65535}, 1, I(0), 1, &(uint16_t){65535},
                 &(uint16_t){1});
    /* min and max hand a NaN on, from either side. */
    for (int i = 0; i < 4; i++) {
        optest *t = scatter("ScatterND", 18, i & 1 ? "min" : "max", OMMA_F32, i & 2 ? F(NAN) : F(1),
                            1, I(0), 1, i & 2 ? F(1) : F(NAN));
        assert_true(isnan(*(const float *)optest_run(t, 1)->data));
        optest_free(t);
    }
}

static void scatter_elements(void **state) {
    (void)state;
    optest *t = optest_new("ScatterElements", 11);
    optest_f32(t, six, OPTEST_DIMS(2, 3));
    optest_i64(t, I(2, 0, -2, 1), OPTEST_DIMS(2, 2));
    optest_f32(t, F(10, 20, 30, 40), OPTEST_DIMS(2, 2));
    optest_int(t, "axis", -1);
    expect(optest_run(t, 1), OMMA_F32, F(20, 2, 10, 4, 40, 6), OPTEST_DIMS(2, 3));
    assert_memory_equal(t->in[0]->mem, six, sizeof six); /* the data are untouched */
    optest_free(t);
    t = optest_new("ScatterElements", 13);
    optest_f32(t, six, OPTEST_DIMS(3, 2));
    optest_put(t, false, OMMA_I32, (int32_t[]){2}, 2, I(1, 1));
    optest_f32(t, F(9), OPTEST_DIMS(1, 1));
    expect(optest_run(t, 1), OMMA_F32, F(1, 2, 3, 4, 9, 6), OPTEST_DIMS(3, 2));
    optest_free(t);
    t = optest_new("ScatterElements", 13);
    optest_f32(t, six, OPTEST_DIMS(3, 2));
    optest_i64(t, none_i64, OPTEST_DIMS(0, 2));
    optest_f32(t, none_f32, OPTEST_DIMS(0, 2));
    expect(optest_run(t, 1), OMMA_F32, six, OPTEST_DIMS(3, 2));
    optest_free(t);
    expect_index(scatter("ScatterElements", 18, NULL, OMMA_F32, six, 3, I(3), 1, six), "index 3 ");
    expect_index(scatter("ScatterElements", 18, "add", OMMA_F32, six, 3, I(INT64_MIN), 1, six),
                 "index -9223");
    expect_error(scatter("ScatterElements", 18, "mean", OMMA_F32, six, 3, I(0), 1, six), 1,
                 OMMA_E_SHAPE);
    for (int i = 0; i < 5; i++) {
        t = optest_new("ScatterElements", 18);
        optest_f32(t, six, OPTEST_DIMS(2, 3));
        if (i == 0) optest_i64(t, I(0, 0), OPTEST_DIMS(2));
        else if (i == 1) optest_i64(t, I(0, 0, 0, 0), OPTEST_DIMS(1, 4));
        else optest_i64(t, I(0, 0), OPTEST_DIMS(1, 2));
        if (i == 1) optest_f32(t, six, OPTEST_DIMS(1, 4));
        else if (i == 2) optest_f32(t, six, OPTEST_DIMS(2, 1));
        else if (i == 3) optest_i64(t, I(0, 0), OPTEST_DIMS(1, 2));
        else optest_f32(t, six, OPTEST_DIMS(1, 2));
        if (i == 4) optest_int(t, "axis", 2);
        expect_error(t, 1, OMMA_E_SHAPE);
    }
}

/* --- ScatterND ----------------------------------------------------------------- */

static void scatter_nd(void **state) {
    (void)state;
    optest *t = optest_new("ScatterND", 11); /* whole rows */
    optest_f32(t, six, OPTEST_DIMS(3, 2));
    optest_i64(t, I(-1, 0), OPTEST_DIMS(2, 1));
    optest_f32(t, F(7, 8, 9, 10), OPTEST_DIMS(2, 2));
    expect(optest_run(t, 1), OMMA_F32, F(9, 10, 3, 4, 7, 8), OPTEST_DIMS(3, 2));
    optest_free(t);
    t = optest_new("ScatterND", 16); /* elements, one twice */
    optest_f32(t, six, OPTEST_DIMS(3, 2));
    optest_i64(t, I(0, 1, 2, 0, 0, -1), OPTEST_DIMS(3, 2));
    optest_f32(t, F(10, 20, 30), OPTEST_DIMS(3));
    optest_string(t, "reduction", "add");
    expect(optest_run(t, 1), OMMA_F32, F(1, 42, 3, 4, 25, 6), OPTEST_DIMS(3, 2));
    optest_free(t);
    t = optest_new("ScatterND", 16); /* a single tuple, indices of rank 1 */
    optest_f32(t, six, OPTEST_DIMS(3, 2));
    optest_i64(t, I(1), OPTEST_DIMS(1));
    optest_f32(t, F(-1, -2), OPTEST_DIMS(2));
    expect(optest_run(t, 1), OMMA_F32, F(1, 2, -1, -2, 5, 6), OPTEST_DIMS(3, 2));
    optest_free(t);
    t = optest_new("ScatterND", 16); /* empty rows are still checked */
    optest_f32(t, none_f32, OPTEST_DIMS(3, 0));
    optest_i64(t, I(3), OPTEST_DIMS(1, 1));
    optest_f32(t, none_f32, OPTEST_DIMS(1, 0));
    expect_index(t, "index 3 ");
    t = optest_new("ScatterND", 16);
    optest_f32(t, six, OPTEST_DIMS(3, 2));
    optest_i64(t, I(0, 2), OPTEST_DIMS(1, 2));
    optest_f32(t, six, OPTEST_DIMS(1));
    expect_index(t, "index 2 (number 1 of 'in1') is outside an axis of 2");
    for (int i = 0; i < 5; i++) {
        t = optest_new("ScatterND", 16);
        optest_f32(t, six, OPTEST_DIMS(3, 2));
        if (i == 0) optest_i64(t, I(0, 0, 0), OPTEST_DIMS(1, 3));
        else if (i == 1) optest_i64(t, none_i64, OPTEST_DIMS(1, 0));
        else if (i == 2) optest_i64(t, I(0), NULL, 0);
        else optest_i64(t, I(0), OPTEST_DIMS(1, 1));
        if (i == 3) optest_f32(t, six, OPTEST_DIMS(1, 3));
        else if (i == 4) optest_f32(t, six, OPTEST_DIMS(2));
        else optest_f32(t, six, OPTEST_DIMS(1, 2));
        expect_error(t, 1, OMMA_E_SHAPE);
    }
}

/* --- OneHot -------------------------------------------------------------------- */

static void one_hot(void **state) {
    (void)state;
    optest *t = optest_new("OneHot", 9);
    optest_i64(t, I(1, -1, 3, INT64_MIN, INT64_MAX), OPTEST_DIMS(5));
    optest_list(t, I(3), 1);
    optest_f32(t, F(0, 7), OPTEST_DIMS(2));
    expect(optest_run(t, 1), OMMA_F32, F(0, 7, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0),
           OPTEST_DIMS(5, 3));
    optest_free(t);
    t = optest_new("OneHot", 11); /* floats as indices and depth, axis in the middle */
    optest_f32(t, F(0, 1.9f, -2, NAN), OPTEST_DIMS(2, 2));
    optest_put(t, true, OMMA_F32, F(2), 0, NULL);
    optest_put(t, false, OMMA_I64, I(-1, 1), 1, I(2));
    optest_int(t, "axis", 1);
    expect(optest_run(t, 1), OMMA_I64, I(1, -1, -1, 1, 1, -1, -1, -1), OPTEST_DIMS(2, 2, 2));
    optest_free(t);
    t = optest_new("OneHot", 11);
    optest_put(t, false, OMMA_U64, I(-1), 0, NULL); /* 2^64 - 1 */
    optest_list(t, I(2), 1);
    optest_f32(t, F(5, 6), OPTEST_DIMS(2));
    expect(optest_run(t, 1), OMMA_F32, F(5, 5), OPTEST_DIMS(2));
    optest_free(t);
    t = optest_new("OneHot", 11);
    optest_i64(t, none_i64, OPTEST_DIMS(0));
    optest_list(t, I(2), 1);
    optest_f32(t, F(5, 6), OPTEST_DIMS(2));
    expect(optest_run(t, 1), OMMA_F32, NULL, OPTEST_DIMS(0, 2));
    optest_free(t);
    static const int64_t depths[] = {0, -1, INT64_MAX, 3, 3};
    for (int i = 0; i < 5; i++) {
        t = optest_new("OneHot", 11);
        optest_i64(t, I(0), OPTEST_DIMS(1));
        optest_list(t, &depths[i], 1);
        optest_f32(t, six, (int64_t[]){i == 3 ? 3 : 2}, 1);
        optest_int(t, "axis", i == 4 ? 2 : -1);
        expect_error(t, 1, OMMA_E_SHAPE);
    }
    t = optest_new("OneHot", 11); /* depth from data */
    optest_i64(t, I(0), OPTEST_DIMS(1));
    optest_i64(t, I(2), NULL, 0);
    optest_f32(t, six, OPTEST_DIMS(2));
    expect_error(t, 1, OMMA_E_UNSUPPORTED);
}

/* --- TopK ---------------------------------------------------------------------- */

static void topk_case(int opset, const float *x, int64_t n, int64_t k, int64_t largest,
                      const float *values, const int64_t *indices) {
    optest *t = optest_new("TopK", opset);
    optest_f32(t, x, OPTEST_DIMS(n));
    if (opset >= 10) optest_list(t, &k, 1);
    else optest_int(t, "k", k);
    if (opset >= 11) optest_int(t, "largest", largest);
    const omma_tensor *y = optest_run(t, 2);
    for (int64_t i = 0; i < k; i++) {
        const float v = ((float *)y[0].data)[i];
        assert_true(v == values[i] || (isnan(v) && isnan(values[i])));
    }
    expect(&y[1], OMMA_I64, indices, &k, 1);
    optest_free(t);
}

static void topk(void **state) {
    (void)state;
    static const int opsets[] = {1, 10, 11};
    for (int i = 0; i < 3; i++)
        topk_case(opsets[i], F(3, 1, 4, 1, 5), 5, 3, 1, F(5, 4, 3), I(4, 2, 0));
    topk_case(11, F(3, 1, 4, 1, 5), 5, 3, 0, F(1, 1, 3), I(1, 3, 0));
    topk_case(11, F(2, 2, 2, 2), 4, 3, 1, F(2, 2, 2), I(0, 1, 2));
    topk_case(11, F(2, 2, 2, 2), 4, 3, 0, F(2, 2, 2), I(0, 1, 2));
    topk_case(11, F(0, -0.0f, 0, -0.0f), 4, 4, 1, F(0, 0, 0, 0), I(0, 1, 2, 3));
    topk_case(11, F(1, NAN, INFINITY, -NAN, -INFINITY), 5, 5, 1,
              F(NAN, NAN, INFINITY, 1, -INFINITY), I(1, 3, 2, 0, 4));
    topk_case(11, F(1, NAN, INFINITY, -NAN, -INFINITY), 5, 5, 0,
              F(-INFINITY, 1, INFINITY, NAN, NAN), I(4, 0, 2, 1, 3));
    topk_case(11, F(1, 2), 2, 0, 1, NULL, NULL);
    optest *t = optest_new("TopK", 11); /* along the first axis; unsorted is sorted too */
    optest_f32(t, six, OPTEST_DIMS(3, 2));
    optest_list(t, I(2), 1);
    optest_int(t, "axis", -2);
    optest_int(t, "sorted", 0);
    const omma_tensor *y = optest_run(t, 2);
    expect(&y[0], OMMA_F32, F(5, 6, 3, 4), OPTEST_DIMS(2, 2));
    expect(&y[1], OMMA_I64, I(2, 2, 1, 1), OPTEST_DIMS(2, 2));
    optest_free(t);
    t = optest_new("TopK", 11); /* no output of indices */
    optest_f32(t, six, OPTEST_DIMS(2, 3));
    optest_list(t, I(1), 1);
    expect(optest_run(t, 1), OMMA_F32, F(3, 6), OPTEST_DIMS(2, 1));
    optest_free(t);
    t = optest_new("TopK", 11);
    optest_f32(t, none_f32, OPTEST_DIMS(0, 3));
    optest_list(t, I(2), 1);
    y = optest_run(t, 2);
    expect(&y[0], OMMA_F32, NULL, OPTEST_DIMS(0, 2));
    optest_free(t);
}

#define TOPK(T, type, ...)                                               \
    do {                                                                 \
        optest *t = optest_new("TopK", 11);                              \
        optest_put(t, false, type, ((const T[]){__VA_ARGS__}), 1, I(4)); \
        optest_list(t, I(4), 1);                                         \
        const omma_tensor *y = optest_run(t, 2);                         \
        expect(&y[1], OMMA_I64, I(3, 1, 0, 2), OPTEST_DIMS(4));          \
        optest_free(t);                                                  \
    } while (0)

static void topk_types(void **state) {
    (void)state;
    TOPK(double, OMMA_F64, -1, 2, -1e300, 1e300);
    TOPK(int8_t, OMMA_I8, -1, 5, -128, 127);
    TOPK(uint8_t, OMMA_U8, 1, 5, 0, 255);
    TOPK(int16_t, OMMA_I16, -1, 5, INT16_MIN, INT16_MAX);
    TOPK(uint16_t, OMMA_U16, 1, 5, 0, UINT16_MAX);
    TOPK(int32_t, OMMA_I32, -1, 5, INT32_MIN, INT32_MAX);
    TOPK(uint32_t, OMMA_U32, 1, 5, 0, UINT32_MAX);
    TOPK(int64_t, OMMA_I64, -1, 5, INT64_MIN, INT64_MAX);
    TOPK(uint64_t, OMMA_U64, 1, 5, 0, UINT64_MAX);
    TOPK(uint16_t, OMMA_F16, 0xbc00, 0x3c00, 0xfc00, 0x4000);  /* -1, 1, -inf, 2 */
    TOPK(uint16_t, OMMA_BF16, 0xbf80, 0x3f80, 0xff80, 0x4000); /* the same */
}

static void topk_bad(void **state) {
    (void)state;
    static const int64_t ks[] = {5, -1, INT64_MAX, INT64_MIN, 1, 1};
    for (int i = 0; i < 6; i++) {
        optest *t = optest_new("TopK", 11);
        optest_f32(t, six, OPTEST_DIMS(4));
        if (i < 5) optest_list(t, &ks[i], 1);
        if (i == 4) optest_int(t, "axis", 1);
        expect_error(t, 2, OMMA_E_SHAPE);
    }
    optest *t = optest_new("TopK", 11);
    optest_f32(t, six, OPTEST_DIMS(4));
    optest_i64(t, I(1), OPTEST_DIMS(1));
    expect_error(t, 2, OMMA_E_UNSUPPORTED);
    t = optest_new("TopK", 11);
    optest_f32(t, six, NULL, 0);
    optest_list(t, I(1), 1);
    expect_error(t, 2, OMMA_E_SHAPE);
}

static const float *sorting; /* what by_value compares through */

static int by_value(const void *a, const void *b) {
    const int64_t i = *(const int64_t *)a, j = *(const int64_t *)b;
    if (sorting[i] != sorting[j]) return sorting[i] > sorting[j] ? -1 : 1;
    return i < j ? -1 : 1;
}

/* Random lines with many equal numbers, every kind of k, 1 to 4 threads. */
static void topk_random(void **state) {
    (void)state;
    enum { ROWS = 12, N = 1500 };
    static const int64_t ks[] = {1, 2, 17, 300, N - 1, N};
    float *x = test_malloc(sizeof(float) * ROWS * N);
    int64_t *order = test_malloc(sizeof(int64_t) * ROWS * N);
    srand(5);
    for (int i = 0; i < ROWS * N; i++) x[i] = (float)(rand() % 400 - 200);
    for (int r = 0; r < ROWS; r++) {
        for (int i = 0; i < N; i++) order[r * N + i] = i;
        sorting = x + r * N;
        qsort(order + r * N, N, sizeof *order, by_value);
    }
    for (int i = 0; i < 6; i++)
        for (int threads = 1; threads <= 4; threads++) {
            optest *t = optest_new("TopK", 11);
            optest_f32(t, x, OPTEST_DIMS(ROWS, N));
            optest_list(t, &ks[i], 1);
            assert_int_equal(optest_try(t, 2, threads), OMMA_OK);
            for (int64_t r = 0; r < ROWS; r++)
                for (int64_t k = 0; k < ks[i]; k++) {
                    assert_int_equal(((int64_t *)t->out[1].data)[r * ks[i] + k], order[r * N + k]);
                    assert_true(((float *)t->out[0].data)[r * ks[i] + k] ==
                                x[r * N + order[r * N + k]]);
                }
            optest_free(t);
        }
    test_free(x);
    test_free(order);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gathers),          cmocka_unit_test(gathers_bad),
        cmocka_unit_test(gather_elements),  cmocka_unit_test(gather_elements_large),
        cmocka_unit_test(gather_nd),        cmocka_unit_test(scatter_reductions),
        cmocka_unit_test(scatter_elements), cmocka_unit_test(scatter_nd),
        cmocka_unit_test(one_hot),          cmocka_unit_test(topk),
        cmocka_unit_test(topk_types),       cmocka_unit_test(topk_bad),
        cmocka_unit_test(topk_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
