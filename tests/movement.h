/* movement.h - short hands for the tests of operators that move elements: lists, inputs that
 * count 0, 1, 2, ..., and what is expected of an output or an error. */
#ifndef OMMA_TESTS_MOVEMENT_H
#define OMMA_TESTS_MOVEMENT_H

#include "optest.h"

#define LIST(...) \
    ((const int64_t[]){__VA_ARGS__}), (int)(sizeof((const int64_t[]){__VA_ARGS__}) / 8)
#define F(...) ((const float[]){__VA_ARGS__})
#define I(...) ((const int64_t[]){__VA_ARGS__})

/* For tensors without elements. */
static const float none_f32[1];
static const int64_t none_i64[1];

/* The tensor has this shape and, byte for byte, these elements. */
static inline void expect(const omma_tensor *y, omma_dtype type, const void *data,
                          const int64_t *dims, int rank) {
    assert_int_equal(y->dtype, type);
    assert_int_equal(y->rank, rank);
    for (int d = 0; d < rank; d++) assert_int_equal(y->dims[d], dims[d]);
    const size_t bytes = (size_t)omma_tensor_count(y) * omma_dtype_size(type);
    if (bytes) assert_memory_equal(y->data, data, bytes);
}

/* An f32 input 0, 1, 2, ... */
static inline void put_iota(optest *t, const int64_t *dims, int rank) {
    int64_t n = 1;
    for (int d = 0; d < rank; d++) n *= dims[d];
    float *x = test_malloc((size_t)n * 4 + 4);
    for (int64_t i = 0; i < n; i++) x[i] = (float)i;
    optest_f32(t, x, dims, rank);
    test_free(x);
}

/* The operator refuses, naming the node; frees t. */
static inline void expect_error(optest *t, int n_out, omma_status status) {
    assert_int_equal(optest_try(t, n_out, 2), status);
    assert_non_null(strstr(t->err.message, "node 'node'"));
    optest_free(t);
}

#endif
