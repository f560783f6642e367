/* bits.h - rows of bits, 64 a word, lowest first; any bit may begin a row. */
#ifndef OMMA_FIELD_BITS_H
#define OMMA_FIELD_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline int64_t omma_bit_words(int64_t n) { return (n + 63) / 64; }

static inline bool omma_bit(const uint64_t *b, int64_t i) { return b[i >> 6] >> (i & 63) & 1; }

static inline void omma_bit_set(uint64_t *b, int64_t i) { b[i >> 6] |= (uint64_t)1 << (i & 63); }

/* The lowest n bits (0 to 64) set. */
static inline uint64_t omma_bit_mask(int64_t n) {
    return n >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << n) - 1;
}

/* n bits (1 to 64) from bit at on. */
static inline uint64_t omma_bits_get(const uint64_t *b, int64_t at, int64_t n) {
    const int64_t w = at >> 6, s = at & 63;
    uint64_t v = b[w] >> s;
    if (s && s + n > 64) v |= b[w + 1] << (64 - s);
    return v & omma_bit_mask(n);
}

/* Or n bits (1 to 64; those of v above are 0) to bit at on. */
static inline void omma_bits_or(uint64_t *b, int64_t at, int64_t n, uint64_t v) {
    const int64_t w = at >> 6, s = at & 63;
    b[w] |= v << s;
    if (s && s + n > 64) b[w + 1] |= v >> (64 - s);
}

/* Or n bits of src from bit `from` on into dst from bit `to` on. */
static inline void omma_bits_or_row(uint64_t *dst, int64_t to, const uint64_t *src, int64_t from,
                                    int64_t n) {
    for (int64_t i = 0; i < n; i += 64) {
        const int64_t k = n - i < 64 ? n - i : 64;
        omma_bits_or(dst, to + i, k, omma_bits_get(src, from + i, k));
    }
}

/* Set bits [from, to). */
static inline void omma_bits_fill(uint64_t *b, int64_t from, int64_t to) {
    for (int64_t i = from; i < to;) {
        const int64_t k = to - i < 64 - (i & 63) ? to - i : 64 - (i & 63);
        b[i >> 6] |= omma_bit_mask(k) << (i & 63);
        i += k;
    }
}

static inline bool omma_bits_same(const uint64_t *a, int64_t at, const uint64_t *b, int64_t from,
                                  int64_t n) {
    for (int64_t i = 0; i < n; i += 64) {
        const int64_t k = n - i < 64 ? n - i : 64;
        if (omma_bits_get(a, at + i, k) != omma_bits_get(b, from + i, k)) return false;
    }
    return true;
}

static inline bool omma_bits_any(const uint64_t *b, int64_t at, int64_t n) {
    for (int64_t i = 0; i < n; i += 64)
        if (omma_bits_get(b, at + i, n - i < 64 ? n - i : 64)) return true;
    return false;
}

static inline int64_t omma_bits_count(const uint64_t *b, int64_t n) {
    int64_t sum = 0;
    for (int64_t i = 0; i < n; i += 64)
        sum += __builtin_popcountll(omma_bits_get(b, i, n - i < 64 ? n - i : 64));
    return sum;
}

/* The first set bit in [from, n), or n. */
static inline int64_t omma_bits_next(const uint64_t *b, int64_t from, int64_t n) {
    for (int64_t i = from; i < n; i += 64) {
        const int64_t k = n - i < 64 ? n - i : 64;
        const uint64_t v = omma_bits_get(b, i, k);
        if (v) return i + __builtin_ctzll(v);
    }
    return n;
}

#endif
