/* test_op_movement.c - the operators that only move elements or make them from settings:
 * views, Transpose and its kin, Expand, Tile, Concat, Split, Slice, Pad, Trilu, Constant,
 * ConstantOfShape, Range, EyeLike. Vectors are worked out by hand from the ONNX
 * specification; the strided kernel is held against a plain loop on random shapes. */
#include "optest.h"

#include <math.h>
#include <stdlib.h>

#define LIST(...) ((const int64_t[]){__VA_ARGS__}), (int)(sizeof((const int64_t[]){__VA_ARGS__}) / 8)
#define F(...) ((const float[]){__VA_ARGS__})
#define I(...) ((const int64_t[]){__VA_ARGS__})

/* For tensors without elements. */
static const float none_f32[1];
static const int64_t none_i64[1];

/* The tensor has this shape and, byte for byte, these elements. */
static void expect(const omma_tensor *y, omma_dtype type, const void *data, const int64_t *dims, int rank) {
    assert_int_equal(y->dtype, type);
    assert_int_equal(y->rank, rank);
    for (int d = 0; d < rank; d++) assert_int_equal(y->dims[d], dims[d]);
    const size_t bytes = (size_t)omma_tensor_count(y) * omma_dtype_size(type);
    if (bytes) assert_memory_equal(y->data, data, bytes);
}

/* An f32 input 0, 1, 2, ... */
static void put_iota(optest *t, const int64_t *dims, int rank) {
    int64_t n = 1;
    for (int d = 0; d < rank; d++) n *= dims[d];
    float *x = test_malloc((size_t)n * 4 + 4);
    for (int64_t i = 0; i < n; i++) x[i] = (float)i;
    optest_f32(t, x, dims, rank);
    test_free(x);
}

static void expect_error(optest *t, int n_out, omma_status status) {
    assert_int_equal(optest_try(t, n_out, 2), status);
    assert_non_null(strstr(t->err.message, "node 'node'"));
    optest_free(t);
}

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

static void reshape_case(const int64_t *shape, int n, int64_t allowzero, const int64_t *dims, int rank) {
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

static void reshape_bad(const int64_t *from, int rank, const int64_t *shape, int n, int64_t allowzero) {
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
static optest *axes_of(const char *op, int opset, const int64_t *from, int rank, const int64_t *axes, int n) {
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

static void axes_bad(const char *op, const int64_t *from, int rank, const int64_t *axes, int n, omma_status s) {
    for (int opset = 11; opset <= 13; opset += 2) expect_error(axes_of(op, opset, from, rank, axes, n), 1, s);
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

/* --- the strided kernel -------------------------------------------------------- */

/* Transpose of random shapes and orders in every element size, with one thread and with
 * three, against the definition. */
static void transposes_random(void **state) {
    (void)state;
    static const omma_dtype types[] = {OMMA_U8, OMMA_F16, OMMA_F32, OMMA_F64};
    static const int64_t sides[] = {1, 2, 3, 7, 8, 9, 16, 33, 40};
    srand(7);
    for (int round = 0; round < 300; round++) {
        const int rank = 1 + rand() % 5;
        int64_t dims[8], perm[8], strides[8], to[8], count = 1;
        for (int d = 0; d < rank; d++) {
            dims[d] = rank <= 2 && rand() % 3 == 0 ? 300 + rand() % 300 : sides[rand() % (rank > 3 ? 6 : 9)];
            perm[d] = d;
            count *= dims[d];
        }
        for (int d = rank - 1; d > 0; d--) {
            const int o = rand() % (d + 1);
            const int64_t keep = perm[d];
            perm[d] = perm[o];
            perm[o] = keep;
        }
        const omma_dtype type = types[rand() % 4];
        const size_t size = omma_dtype_size(type);
        unsigned char *x = test_malloc((size_t)count * size), *want = test_malloc((size_t)count * size);
        for (size_t i = 0; i < (size_t)count * size; i++) x[i] = (unsigned char)rand();
        omma_strides(dims, rank, strides);
        for (int d = 0; d < rank; d++) to[d] = dims[perm[d]];
        for (int64_t i = 0; i < count; i++) {
            int64_t left = i, from = 0;
            for (int d = rank - 1; d >= 0; d--) {
                from += left % to[d] * strides[perm[d]];
                left /= to[d];
            }
            memcpy(want + (size_t)i * size, x + (size_t)from * size, size);
        }
        for (int threads = 1; threads <= 3; threads += 2) {
            optest *t = optest_new("Transpose", 13);
            optest_put(t, false, type, x, rank, dims);
            optest_ints(t, "perm", perm, rank);
            assert_int_equal(optest_try(t, 1, threads), OMMA_OK);
            expect(t->out, type, want, to, rank);
            optest_free(t);
        }
        test_free(x);
        test_free(want);
    }
}

static void transposes(void **state) {
    (void)state;
    optest *t = optest_new("Transpose", 1);
    put_iota(t, OPTEST_DIMS(2, 3));
    expect(optest_run(t, 1), OMMA_F32, F(0, 3, 1, 4, 2, 5), OPTEST_DIMS(3, 2));
    optest_free(t);
    t = optest_new("Transpose", 21);
    put_iota(t, NULL, 0);
    expect(optest_run(t, 1), OMMA_F32, F(0), NULL, 0);
    optest_free(t);
    t = optest_new("Transpose", 21);
    put_iota(t, OPTEST_DIMS(2, 0, 3));
    expect(optest_run(t, 1), OMMA_F32, NULL, OPTEST_DIMS(3, 0, 2));
    optest_free(t);
    t = optest_new("Transpose", 21); /* rank 8, reversed: bits of the index reversed */
    put_iota(t, OPTEST_DIMS(2, 2, 2, 2, 2, 2, 2, 2));
    const float *y = optest_run(t, 1)->data;
    for (unsigned i = 0; i < 256; i++) {
        unsigned r = 0;
        for (int k = 0; k < 8; k++) r |= (i >> k & 1) << (7 - k);
        assert_true(y[i] == (float)r);
    }
    optest_free(t);
    static const int64_t bad[][2] = {{0, 0}, {0, 2}, {-1, 0}, {INT64_MIN, INT64_MAX}};
    for (int i = 0; i < 5; i++) {
        t = optest_new("Transpose", 13);
        put_iota(t, OPTEST_DIMS(2, 3));
        optest_ints(t, "perm", bad[i % 4], i < 4 ? 2 : 1);
        expect_error(t, 1, OMMA_E_SHAPE);
    }
}

static void depth_to_space(void **state) {
    (void)state;
    for (int crd = 0; crd < 2; crd++) {
        optest *t = optest_new("DepthToSpace", 13);
        put_iota(t, OPTEST_DIMS(1, 8, 1, 2));
        optest_int(t, "blocksize", 2);
        if (crd) optest_string(t, "mode", "CRD");
        const float *want = crd ? F(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15)
                                : F(0, 4, 1, 5, 8, 12, 9, 13, 2, 6, 3, 7, 10, 14, 11, 15);
        expect(optest_run(t, 1), OMMA_F32, want, OPTEST_DIMS(1, 2, 2, 4));
        optest_free(t);
    }
    static const int64_t bad[] = {0, -1, 3, INT64_MAX, INT64_MIN, INT32_MAX};
    for (int i = 0; i < 12; i++) {
        optest *t = optest_new(i < 6 ? "DepthToSpace" : "SpaceToDepth", 13);
        put_iota(t, OPTEST_DIMS(1, 8, 1, 2));
        optest_int(t, "blocksize", bad[i % 6]);
        expect_error(t, 1, OMMA_E_SHAPE);
    }
    optest *t = optest_new("DepthToSpace", 11);
    put_iota(t, OPTEST_DIMS(1, 0, 3, 3));
    optest_int(t, "blocksize", 2);
    expect(optest_run(t, 1), OMMA_F32, NULL, OPTEST_DIMS(1, 0, 6, 6));
    optest_free(t);
    t = optest_new("SpaceToDepth", 13);
    put_iota(t, OPTEST_DIMS(1, 2, 2, 4));
    optest_int(t, "blocksize", 2);
    expect(optest_run(t, 1), OMMA_F32, F(0, 2, 8, 10, 1, 3, 9, 11, 4, 6, 12, 14, 5, 7, 13, 15),
           OPTEST_DIMS(1, 8, 1, 2));
    optest_free(t);
}

static void expand_case(const int64_t *from, int rank, const int64_t *shape, int n, const float *want,
                        const int64_t *dims, int to) {
    optest *t = optest_new("Expand", 8);
    put_iota(t, from, rank);
    optest_list(t, shape, n);
    expect(optest_run(t, 1), OMMA_F32, want, dims, to);
    optest_free(t);
}

static void expands(void **state) {
    (void)state;
    expand_case(LIST(3, 1), LIST(1, 2), F(0, 0, 1, 1, 2, 2), OPTEST_DIMS(3, 2));
    expand_case(LIST(3), LIST(2, 1), F(0, 1, 2, 0, 1, 2), OPTEST_DIMS(2, 3));
    expand_case(LIST(2, 1, 2), LIST(2, 1), F(0, 1, 0, 1, 2, 3, 2, 3), OPTEST_DIMS(2, 2, 2));
    expand_case(NULL, 0, LIST(2, 2), F(0, 0, 0, 0), OPTEST_DIMS(2, 2));
    expand_case(LIST(3), NULL, 0, F(0, 1, 2), OPTEST_DIMS(3));
    expand_case(LIST(1, 3), LIST(0, 3), NULL, OPTEST_DIMS(0, 3));
    static const int64_t bad[][2] = {{2, 2}, {-1, 3}, {INT64_MIN, 3}, {INT64_MAX, 3}};
    for (int i = 0; i < 4; i++) {
        optest *t = optest_new("Expand", 13);
        put_iota(t, OPTEST_DIMS(3));
        optest_list(t, bad[i], 2);
        expect_error(t, 1, OMMA_E_SHAPE);
    }
}

static void tile_case(const int64_t *from, int rank, const int64_t *repeats, const float *want,
                      const int64_t *dims, int to) {
    optest *t = optest_new("Tile", 6);
    put_iota(t, from, rank);
    optest_list(t, repeats, rank);
    expect(optest_run(t, 1), OMMA_F32, want, dims, to);
    optest_free(t);
}

static void tiles(void **state) {
    (void)state;
    tile_case(LIST(2, 2), I(2, 2), F(0, 1, 0, 1, 2, 3, 2, 3, 0, 1, 0, 1, 2, 3, 2, 3), OPTEST_DIMS(4, 4));
    tile_case(LIST(2, 1), I(1, 3), F(0, 0, 0, 1, 1, 1), OPTEST_DIMS(2, 3));
    tile_case(LIST(1, 2), I(3, 1), F(0, 1, 0, 1, 0, 1), OPTEST_DIMS(3, 2));
    tile_case(LIST(2), I(0), NULL, OPTEST_DIMS(0));
    tile_case(LIST(0, 2), I(3, 2), NULL, OPTEST_DIMS(0, 4));
    tile_case(LIST(1, 2, 1, 1, 1, 1, 1, 1), I(2, 1, 1, 1, 1, 1, 1, 2), F(0, 0, 1, 1, 0, 0, 1, 1),
              OPTEST_DIMS(2, 2, 1, 1, 1, 1, 1, 2));
    static const int64_t bad[][2] = {{-1, 1}, {INT64_MAX, 2}, {INT64_MIN, 1}, {INT64_MAX / 4, 4}};
    for (int i = 0; i < 4; i++) {
        optest *t = optest_new("Tile", 13);
        put_iota(t, OPTEST_DIMS(3, 3));
        optest_list(t, bad[i], 2);
        expect_error(t, 1, OMMA_E_SHAPE);
    }
    optest *t = optest_new("Tile", 13);
    put_iota(t, OPTEST_DIMS(3, 3));
    optest_list(t, LIST(1));
    expect_error(t, 1, OMMA_E_SHAPE);
}

/* A box large enough to be cut over threads, of big rows and of rows of stride 0. */
static void expand_large(void **state) {
    (void)state;
    enum { N = 300000 };
    for (int threads = 1; threads <= 4; threads++) {
        optest *t = optest_new("Expand", 13);
        put_iota(t, OPTEST_DIMS(N));
        optest_list(t, LIST(3, 1));
        assert_int_equal(optest_try(t, 1, threads), OMMA_OK);
        const float *y = t->out[0].data;
        for (int i = 0; i < 3 * N; i++) assert_true(y[i] == (float)(i % N));
        optest_free(t);
        t = optest_new("Expand", 13);
        put_iota(t, OPTEST_DIMS(3, 1));
        optest_list(t, LIST(1, N));
        assert_int_equal(optest_try(t, 1, threads), OMMA_OK);
        y = t->out[0].data;
        for (int i = 0; i < 3 * N; i++) assert_true(y[i] == (float)(i / N));
        optest_free(t);
    }
}

/* --- Concat, Split ------------------------------------------------------------- */

static void concats(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        optest *t = optest_new("Concat", i ? 13 : 4);
        optest_f32(t, F(1, 2, 3, 4), OPTEST_DIMS(2, 2));
        optest_f32(t, F(5, 6), OPTEST_DIMS(2, 1));
        optest_f32(t, none_f32, OPTEST_DIMS(2, 0));
        optest_int(t, "axis", i ? -1 : 1);
        expect(optest_run(t, 1), OMMA_F32, F(1, 2, 5, 3, 4, 6), OPTEST_DIMS(2, 3));
        optest_free(t);
    }
    optest *t = optest_new("Concat", 13);
    optest_i64(t, I(7), OPTEST_DIMS(1));
    optest_int(t, "axis", 0);
    expect(optest_run(t, 1), OMMA_I64, I(7), OPTEST_DIMS(1));
    optest_free(t);
    t = optest_new("Concat", 13);
    put_iota(t, OPTEST_DIMS(0, 2));
    put_iota(t, OPTEST_DIMS(0, 3));
    optest_int(t, "axis", 1);
    expect(optest_run(t, 1), OMMA_F32, NULL, OPTEST_DIMS(0, 5));
    optest_free(t);
}

static void concats_bad(void **state) {
    (void)state;
    for (int i = 0; i < 7; i++) {
        optest *t = optest_new("Concat", 13);
        put_iota(t, OPTEST_DIMS(2, 2));
        if (i == 0) put_iota(t, OPTEST_DIMS(3, 1));
        if (i == 1) put_iota(t, OPTEST_DIMS(2));
        if (i == 2) optest_i64(t, I(1, 2), OPTEST_DIMS(2, 1));
        if (i == 3) optest_skip(t);
        if (i != 6) optest_int(t, "axis", i == 4 ? 2 : i == 5 ? INT64_MIN : 1);
        expect_error(t, 1, OMMA_E_SHAPE);
    }
    optest *t = optest_new("Concat", 13); /* empty, yet of sizes that overflow when added */
    optest_f32(t, none_f32, OPTEST_DIMS(0, INT64_MAX));
    optest_f32(t, none_f32, OPTEST_DIMS(0, INT64_MAX));
    optest_int(t, "axis", 1);
    expect_error(t, 1, OMMA_E_SHAPE);
}

static void split_case(optest *t, int n, const int64_t *sizes) {
    const omma_tensor *y = optest_run(t, n);
    float next = 0; /* the input is iota [dim, 2], split along axis 0 */
    for (int i = 0; i < n; i++) {
        assert_int_equal(y[i].rank, 2);
        assert_int_equal(y[i].dims[0], sizes[i]);
        for (int64_t k = 0; k < 2 * sizes[i]; k++) assert_true(((float *)y[i].data)[k] == next++);
    }
    optest_free(t);
}

static optest *split_of(int opset, int64_t dim, const int64_t *sizes, int n, int64_t outputs) {
    optest *t = optest_new("Split", opset);
    put_iota(t, OPTEST_DIMS(dim, 2));
    if (sizes && opset >= 13) optest_list(t, sizes, n);
    else if (sizes) optest_ints(t, "split", sizes, n);
    if (outputs) optest_int(t, "num_outputs", outputs);
    return t;
}

static void splits(void **state) {
    (void)state;
    split_case(split_of(2, 6, NULL, 0, 0), 3, I(2, 2, 2));
    split_case(split_of(11, 6, LIST(1, 5), 0), 2, I(1, 5));
    split_case(split_of(13, 6, LIST(4, 0, 2), 0), 3, I(4, 0, 2));
    split_case(split_of(13, 0, NULL, 0, 0), 3, I(0, 0, 0));
    split_case(split_of(18, 7, NULL, 0, 4), 4, I(2, 2, 2, 1));
    split_case(split_of(18, 7, NULL, 0, 2), 2, I(4, 3));
    expect_error(split_of(13, 7, NULL, 0, 0), 2, OMMA_E_SHAPE);
    expect_error(split_of(13, 6, LIST(1, 4), 0), 2, OMMA_E_SHAPE);
    expect_error(split_of(13, 6, LIST(7, -1), 0), 2, OMMA_E_SHAPE);
    expect_error(split_of(13, 6, LIST(INT64_MAX, INT64_MAX), 0), 2, OMMA_E_SHAPE);
    expect_error(split_of(13, 6, LIST(6), 0), 2, OMMA_E_SHAPE);
    expect_error(split_of(18, 6, NULL, 0, 3), 2, OMMA_E_SHAPE);
    expect_error(split_of(18, 6, NULL, 0, INT64_MIN), 2, OMMA_E_SHAPE);
    expect_error(split_of(18, 5, NULL, 0, 4), 4, OMMA_E_SHAPE);
    optest *t = optest_new("Split", 13); /* inner axis */
    put_iota(t, OPTEST_DIMS(2, 3));
    optest_list(t, LIST(1, 2));
    optest_int(t, "axis", -1);
    const omma_tensor *y = optest_run(t, 2);
    expect(&y[0], OMMA_F32, F(0, 3), OPTEST_DIMS(2, 1));
    expect(&y[1], OMMA_F32, F(1, 2, 4, 5), OPTEST_DIMS(2, 2));
    optest_free(t);
}

/* Concat of large parts equals itself whatever the threads, and Split undoes it. */
static void concat_split_large(void **state) {
    (void)state;
    for (int threads = 1; threads <= 4; threads++) {
        optest *t = optest_new("Concat", 13);
        put_iota(t, OPTEST_DIMS(50, 700));
        put_iota(t, OPTEST_DIMS(50, 33));
        put_iota(t, OPTEST_DIMS(50, 1001));
        optest_int(t, "axis", 1);
        assert_int_equal(optest_try(t, 1, threads), OMMA_OK);
        optest *s = optest_new("Split", 13);
        optest_f32(s, t->out[0].data, OPTEST_DIMS(50, 1734));
        optest_list(s, LIST(700, 33, 1001));
        optest_int(s, "axis", 1);
        assert_int_equal(optest_try(s, 3, threads), OMMA_OK);
        for (int i = 0; i < 3; i++)
            assert_memory_equal(s->out[i].data, t->in[i]->mem, omma_value_bytes(t->in[i]));
        optest_free(t);
        optest_free(s);
    }
}

/* --- Slice --------------------------------------------------------------------- */

/* x[start:end:step] of 0..dim-1. */
static void slice_line(int64_t dim, int64_t start, int64_t end, int64_t step, const float *want, int64_t n) {
    optest *t = optest_new("Slice", 10);
    put_iota(t, OPTEST_DIMS(dim));
    optest_list(t, LIST(start));
    optest_list(t, LIST(end));
    optest_list(t, LIST(0));
    optest_list(t, LIST(step));
    expect(optest_run(t, 1), OMMA_F32, want, (int64_t[]){n}, 1);
    optest_free(t);
}

static void slice_lines(void **state) {
    (void)state;
    slice_line(5, 1, 4, 1, F(1, 2, 3), 3);
    slice_line(5, 0, 5, 2, F(0, 2, 4), 3);
    slice_line(5, -3, -1, 1, F(2, 3), 2);
    slice_line(5, -100, 100, 1, F(0, 1, 2, 3, 4), 5);
    slice_line(5, 2, INT64_MAX, 1, F(2, 3, 4), 3);
    slice_line(5, 4, 1, -1, F(4, 3, 2), 3);
    slice_line(5, -1, INT64_MIN, -1, F(4, 3, 2, 1, 0), 5);
    slice_line(5, INT64_MAX, INT64_MIN, -2, F(4, 2, 0), 3);
    slice_line(5, INT64_MAX, INT64_MIN, INT64_MIN, F(4), 1);
    slice_line(5, INT64_MIN, INT64_MAX, INT64_MAX, F(0), 1);
    slice_line(5, INT64_MIN, INT64_MAX, -1, NULL, 0);
    slice_line(5, -6, 3, -1, NULL, 0);
    slice_line(5, 0, -6, -1, F(0), 1);
    slice_line(5, 5, 100, 1, NULL, 0);
    slice_line(5, 3, 3, 1, NULL, 0);
    slice_line(5, 3, -1, -1, NULL, 0);
    slice_line(0, 0, 5, 1, NULL, 0);
    slice_line(0, INT64_MAX, INT64_MIN, -1, NULL, 0);
}

static void slices(void **state) {
    (void)state;
    optest *t = optest_new("Slice", 1); /* attributes, axes left out */
    put_iota(t, OPTEST_DIMS(3, 4));
    optest_ints(t, "starts", LIST(1, -2));
    optest_ints(t, "ends", LIST(1000, 4));
    expect(optest_run(t, 1), OMMA_F32, F(6, 7, 10, 11), OPTEST_DIMS(2, 2));
    optest_free(t);
    t = optest_new("Slice", 9);
    put_iota(t, OPTEST_DIMS(3, 4));
    optest_ints(t, "starts", LIST(1));
    optest_ints(t, "ends", LIST(2));
    optest_ints(t, "axes", LIST(1));
    expect(optest_run(t, 1), OMMA_F32, F(1, 5, 9), OPTEST_DIMS(3, 1));
    optest_free(t);
    t = optest_new("Slice", 13); /* int32, negative axis, steps both ways */
    put_iota(t, OPTEST_DIMS(3, 4));
    optest_put(t, true, OMMA_I32, (int32_t[]){-1, 0}, 1, I(2));
    optest_put(t, true, OMMA_I32, (int32_t[]){INT32_MIN, 4}, 1, I(2));
    optest_put(t, true, OMMA_I32, (int32_t[]){-2, -1}, 1, I(2));
    optest_put(t, true, OMMA_I32, (int32_t[]){-2, 3}, 1, I(2));
    expect(optest_run(t, 1), OMMA_F32, F(8, 11, 0, 3), OPTEST_DIMS(2, 2));
    optest_free(t);
    t = optest_new("Slice", 13); /* bytes, whole inner rows */
    optest_put(t, false, OMMA_U8, "abcdefgh", 2, I(4, 2));
    optest_list(t, LIST(1));
    optest_list(t, LIST(3));
    expect(optest_run(t, 1), OMMA_U8, "cdef", OPTEST_DIMS(2, 2));
    optest_free(t);
}

static void slices_bad(void **state) {
    (void)state;
    static const int64_t bad[][4] = {{0, 1, 2, 1}, {0, 1, -3, 1}, {0, 1, INT64_MIN, 1}, {0, 1, 0, 0}};
    for (int i = 0; i < 4; i++) {
        optest *t = optest_new("Slice", 13);
        put_iota(t, OPTEST_DIMS(2, 3));
        for (int k = 0; k < 4; k++) optest_list(t, &bad[i][k], 1);
        expect_error(t, 1, OMMA_E_SHAPE);
    }
    for (int i = 0; i < 3; i++) {
        optest *t = optest_new("Slice", 13);
        put_iota(t, OPTEST_DIMS(2, 3));
        if (i < 2) optest_list(t, LIST(0, 0));
        if (i < 2) optest_list(t, I(1, 1), i ? 2 : 1); /* fewer ends; an axis twice; no starts */
        if (i == 1) optest_list(t, LIST(1, -1));
        expect_error(t, 1, OMMA_E_SHAPE);
    }
    optest *t = optest_new("Slice", 13); /* an empty tensor of large dims */
    optest_f32(t, none_f32, OPTEST_DIMS(0, 1, 1, INT64_MAX));
    optest_list(t, LIST(1, 1, INT64_MAX));
    optest_list(t, LIST(2, 2, INT64_MAX));
    optest_list(t, LIST(1, 2, 3));
    expect(optest_run(t, 1), OMMA_F32, NULL, OPTEST_DIMS(0, 0, 0, 0));
    optest_free(t);
}

/* --- Pad ----------------------------------------------------------------------- */

static void pad_line(const char *mode, int64_t before, int64_t after, const float *want, int64_t n) {
    const int64_t pads[] = {before, after};
    for (int opset = 2; opset <= 19; opset += 17) {
        optest *t = optest_new("Pad", opset);
        optest_f32(t, F(1, 2, 3), OPTEST_DIMS(3));
        if (opset >= 11) optest_list(t, pads, 2);
        else optest_ints(t, "pads", pads, 2);
        optest_string(t, "mode", mode);
        expect(optest_run(t, 1), OMMA_F32, want, (int64_t[]){n}, 1);
        optest_free(t);
    }
}

static void pad_lines(void **state) {
    (void)state;
    pad_line("constant", 2, 1, F(0, 0, 1, 2, 3, 0), 6);
    pad_line("edge", 2, 1, F(1, 1, 1, 2, 3, 3), 6);
    pad_line("reflect", 2, 1, F(3, 2, 1, 2, 3, 2), 6);
    pad_line("reflect", 5, 4, F(2, 1, 2, 3, 2, 1, 2, 3, 2, 1, 2, 3), 12);
    pad_line("wrap", 2, 4, F(2, 3, 1, 2, 3, 1, 2, 3, 1), 9);
    pad_line("wrap", 4, 0, F(3, 1, 2, 3, 1, 2, 3), 7);
    pad_line("constant", -1, 2, F(2, 3, 0, 0), 4);
    pad_line("constant", -1, -1, F(2), 1);
    pad_line("constant", -3, 0, NULL, 0);
    pad_line("constant", -3, 2, F(0, 0), 2);
    pad_line("edge", -2, 2, F(3, 3, 3), 3);
    pad_line("reflect", -1, 1, F(2, 3, 2), 3);
}

static void pads_of_rank_2(void **state) {
    (void)state;
    optest *t = optest_new("Pad", 13); /* a value known only when running */
    put_iota(t, OPTEST_DIMS(2, 2));
    optest_list(t, LIST(1, 0, 0, 1));
    optest_f32(t, F(9), NULL, 0);
    expect(optest_run(t, 1), OMMA_F32, F(9, 9, 9, 0, 1, 9, 2, 3, 9), OPTEST_DIMS(3, 3));
    optest_free(t);
    t = optest_new("Pad", 2);
    put_iota(t, OPTEST_DIMS(1, 2));
    optest_ints(t, "pads", LIST(0, 1, 0, 0));
    optest_float(t, "value", -1.5f);
    expect(optest_run(t, 1), OMMA_F32, F(-1.5f, 0, 1), OPTEST_DIMS(1, 3));
    optest_free(t);
    t = optest_new("Pad", 18); /* axes; the last axis is a unit of its own */
    optest_put(t, false, OMMA_I64, I(1, 2, 3, 4), 2, I(2, 2));
    optest_list(t, LIST(1, 1));
    optest_put(t, false, OMMA_I64, I(-7), 0, NULL);
    optest_list(t, LIST(-2));
    expect(optest_run(t, 1), OMMA_I64, I(-7, -7, 1, 2, 3, 4, -7, -7), OPTEST_DIMS(4, 2));
    optest_free(t);
    t = optest_new("Pad", 18); /* a corner, reflected along both axes */
    put_iota(t, OPTEST_DIMS(2, 3));
    optest_list(t, LIST(1, 2, 0, 0));
    optest_string(t, "mode", "reflect");
    expect(optest_run(t, 1), OMMA_F32, F(5, 4, 3, 4, 5, 2, 1, 0, 1, 2, 5, 4, 3, 4, 5), OPTEST_DIMS(3, 5));
    optest_free(t);
    t = optest_new("Pad", 18); /* nothing becomes something */
    put_iota(t, OPTEST_DIMS(2, 0));
    optest_list(t, LIST(0, 1, 0, 1));
    expect(optest_run(t, 1), OMMA_F32, F(0, 0, 0, 0), OPTEST_DIMS(2, 2));
    optest_free(t);
    t = optest_new("Pad", 18);
    put_iota(t, NULL, 0);
    optest_list(t, none_i64, 0);
    expect(optest_run(t, 1), OMMA_F32, F(0), NULL, 0);
    optest_free(t);
}

static void pads_bad(void **state) {
    (void)state;
    static const int64_t bad[][2] = {{-4, 0},         {0, -4},          {-2, -2},        {INT64_MIN, 0},
                                     {0, INT64_MIN},  {INT64_MAX, 0},   {0, INT64_MAX},  {INT64_MIN, INT64_MIN},
                                     {INT64_MAX, INT64_MAX}};
    for (int i = 0; i < 9; i++) {
        optest *t = optest_new("Pad", 13);
        put_iota(t, OPTEST_DIMS(3));
        optest_list(t, bad[i], 2);
        expect_error(t, 1, OMMA_E_SHAPE);
    }
    for (int i = 0; i < 6; i++) {
        optest *t = optest_new("Pad", 18);
        put_iota(t, OPTEST_DIMS(3, 3));
        optest_list(t, I(1, 1, 1, 1), i == 0 ? 2 : 4);
        if (i == 1) optest_i64(t, I(1), OPTEST_DIMS(1));
        else if (i == 2) optest_f32(t, F(1, 2), OPTEST_DIMS(2));
        else optest_skip(t);
        if (i == 3) optest_list(t, LIST(0, -2));
        if (i == 4) optest_list(t, LIST(0, 2));
        if (i == 5) optest_string(t, "mode", "mirror");
        expect_error(t, 1, OMMA_E_SHAPE);
    }
    optest *t = optest_new("Pad", 18);
    put_iota(t, OPTEST_DIMS(0));
    optest_list(t, LIST(1, 1));
    optest_string(t, "mode", "edge");
    expect_error(t, 1, OMMA_E_SHAPE);
}

/* A feature map, padded with 1 to 4 threads, against the definition. */
static void pad_threads(void **state) {
    (void)state;
    enum { C = 16, H = 40, W = 50 };
    for (int threads = 1; threads <= 4; threads++) {
        optest *t = optest_new("Pad", 13);
        put_iota(t, OPTEST_DIMS(1, C, H, W));
        optest_list(t, LIST(0, 0, 1, 2, 0, 0, 3, 4));
        assert_int_equal(optest_try(t, 1, threads), OMMA_OK);
        const float *y = t->out[0].data;
        for (int c = 0; c < C; c++)
            for (int h = 0; h < H + 4; h++)
                for (int w = 0; w < W + 6; w++) {
                    const bool in = h >= 1 && h < H + 1 && w >= 2 && w < W + 2;
                    assert_true(*y++ == (in ? (float)((c * H + h - 1) * W + w - 2) : 0));
                }
        optest_free(t);
    }
}

/* --- Trilu --------------------------------------------------------------------- */

static void trilu_case(int64_t upper, int64_t k, const float *want) {
    optest *t = optest_new("Trilu", 14);
    optest_f32(t, F(1, 2, 3, 4, 5, 6), OPTEST_DIMS(2, 3));
    optest_i64(t, &k, NULL, 0);
    optest_int(t, "upper", upper);
    expect(optest_run(t, 1), OMMA_F32, want, OPTEST_DIMS(2, 3));
    optest_free(t);
}

static void trilus(void **state) {
    (void)state;
    trilu_case(1, 0, F(1, 2, 3, 0, 5, 6));
    trilu_case(1, 1, F(0, 2, 3, 0, 0, 6));
    trilu_case(1, -1, F(1, 2, 3, 4, 5, 6));
    trilu_case(1, INT64_MAX, F(0, 0, 0, 0, 0, 0));
    trilu_case(1, INT64_MIN, F(1, 2, 3, 4, 5, 6));
    trilu_case(0, 0, F(1, 0, 0, 4, 5, 0));
    trilu_case(0, 1, F(1, 2, 0, 4, 5, 6));
    trilu_case(0, -1, F(0, 0, 0, 4, 0, 0));
    trilu_case(0, INT64_MAX, F(1, 2, 3, 4, 5, 6));
    trilu_case(0, INT64_MIN, F(0, 0, 0, 0, 0, 0));
    optest *t = optest_new("Trilu", 14); /* a batch; k left out */
    optest_put(t, false, OMMA_U8, "abcdefgh", 3, I(2, 2, 2));
    expect(optest_run(t, 1), OMMA_U8, "ab\0def\0h", OPTEST_DIMS(2, 2, 2));
    optest_free(t);
    t = optest_new("Trilu", 14);
    put_iota(t, OPTEST_DIMS(3, 0));
    expect(optest_run(t, 1), OMMA_F32, NULL, OPTEST_DIMS(3, 0));
    optest_free(t);
    t = optest_new("Trilu", 14);
    put_iota(t, OPTEST_DIMS(3));
    expect_error(t, 1, OMMA_E_SHAPE);
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
    t->attrs[t->n_attrs++] = (omma_attr){.name = "value_floats", .kind = OMMA_ATTR_FLOATS, .floats = F(1, 2, 3), .count = 3};
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
    range_case(OMMA_I64, I(INT64_MIN), I(INT64_MAX), I(INT64_MAX), I(INT64_MIN, -1, INT64_MAX - 1), 3);
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
        cmocka_unit_test(shapes),         cmocka_unit_test(reshapes),
        cmocka_unit_test(flattens),       cmocka_unit_test(squeezes),
        cmocka_unit_test(unsqueezes),     cmocka_unit_test(transposes),
        cmocka_unit_test(transposes_random), cmocka_unit_test(depth_to_space),
        cmocka_unit_test(expands),        cmocka_unit_test(tiles),
        cmocka_unit_test(expand_large),   cmocka_unit_test(concats),
        cmocka_unit_test(concats_bad),    cmocka_unit_test(splits),
        cmocka_unit_test(concat_split_large), cmocka_unit_test(slice_lines),
        cmocka_unit_test(slices),         cmocka_unit_test(slices_bad),
        cmocka_unit_test(pad_lines),      cmocka_unit_test(pads_of_rank_2),
        cmocka_unit_test(pads_bad),       cmocka_unit_test(pad_threads),
        cmocka_unit_test(trilus),         cmocka_unit_test(constants),
        cmocka_unit_test(constants_of_shape), cmocka_unit_test(ranges),
        cmocka_unit_test(eyes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
