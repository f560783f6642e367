/* test_op_movement.c - the operators that only move elements: Transpose and its kin, Expand,
 * Tile, Concat, Split, Slice, Pad, Trilu. Vectors are worked out by hand from the ONNX
 * specification; the strided kernel is held against a plain loop on random shapes. */
#include <stdlib.h>

#include "movement.h"

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
            dims[d] = rank <= 2 && rand() % 3 == 0 ? 300 + rand() % 300
                                                   : sides[rand() % (rank > 3 ? 6 : 9)];
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
        unsigned char *x = test_malloc((size_t)count * size),
                      *want = test_malloc((size_t)count * size);
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

static void expand_case(const int64_t *from, int rank, const int64_t *shape, int n,
                        const float *want, const int64_t *dims, int to) {
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
    tile_case(LIST(2, 2), I(2, 2), F(0, 1, 0, 1, 2, 3, 2, 3, 0, 1, 0, 1, 2, 3, 2, 3),
              OPTEST_DIMS(4, 4));
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
static void slice_line(int64_t dim, int64_t start, int64_t end, int64_t step, const float *want,
                       int64_t n) {
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
    static const int64_t bad[][4] = {
        {0, 1, 2, 1}, {0, 1, -3, 1}, {0, 1, INT64_MIN, 1}, {0, 1, 0, 0}};
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

static void pad_line(const char *mode, int64_t before, int64_t after, const float *want,
                     int64_t n) {
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
    expect(optest_run(t, 1), OMMA_F32, F(5, 4, 3, 4, 5, 2, 1, 0, 1, 2, 5, 4, 3, 4, 5),
           OPTEST_DIMS(3, 5));
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
    static const int64_t bad[][2] = {{-4, 0},
                                     {0, -4},
                                     {-2, -2},
                                     {INT64_MIN, 0},
                                     {0, INT64_MIN},
                                     {INT64_MAX, 0},
                                     {0, INT64_MAX},
                                     {INT64_MIN, INT64_MIN},
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transposes_random),
        cmocka_unit_test(transposes),
        cmocka_unit_test(depth_to_space),
        cmocka_unit_test(expands),
        cmocka_unit_test(tiles),
        cmocka_unit_test(expand_large),
        cmocka_unit_test(concats),
        cmocka_unit_test(concats_bad),
        cmocka_unit_test(splits),
        cmocka_unit_test(concat_split_large),
        cmocka_unit_test(slice_lines),
        cmocka_unit_test(slices),
        cmocka_unit_test(slices_bad),
        cmocka_unit_test(pad_lines),
        cmocka_unit_test(pads_of_rank_2),
        cmocka_unit_test(pads_bad),
        cmocka_unit_test(pad_threads),
        cmocka_unit_test(trilus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
