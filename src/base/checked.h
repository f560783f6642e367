/* checked.h - the one place where sizes are multiplied and added: every product of
 * dimensions, counts and element sizes goes through here, so overflow cannot hide. */
#ifndef OMMA_BASE_CHECKED_H
#define OMMA_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* *out = a * b; false on overflow. */
static inline bool omma_mul(size_t a, size_t b, size_t *out) {
    return !__builtin_mul_overflow(a, b, out);
}

/* *out = a + b; false on overflow. */
static inline bool omma_add(size_t a, size_t b, size_t *out) {
    return !__builtin_add_overflow(a, b, out);
}

/* *count = product of dims, each >= 0 (1 when rank is 0); false on overflow or a
 * negative dimension. A zero does not hide an overflow elsewhere. */
static inline bool omma_dims_count(const int64_t *dims, int rank, int64_t *count) {
    int64_t n = 1;
    bool empty = false;
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 0) return false;
        if (dims[i] == 0) empty = true;
        else if (__builtin_mul_overflow(n, dims[i], &n)) return false;
    }
    *count = empty ? 0 : n;
    return true;
}

/* *bytes = product(dims) * size; false on overflow or beyond PTRDIFF_MAX. */
static inline bool omma_dims_bytes(const int64_t *dims, int rank, size_t size, size_t *bytes) {
    int64_t n;
    return omma_dims_count(dims, rank, &n) && omma_mul((size_t)n, size, bytes) &&
           *bytes <= (size_t)PTRDIFF_MAX;
}

/* Round up to a multiple of a power of two; false on overflow. */
static inline bool omma_align_up(size_t n, size_t align, size_t *out) {
    size_t m;
    if (!omma_add(n, align - 1, &m)) return false;
    *out = m & ~(align - 1);
    return true;
}

#endif
