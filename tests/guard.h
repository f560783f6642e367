/* guard.h - memory with canaries on both sides, and numbers from a fixed seed, for the
 * tests of the kernels. */
#ifndef OMMA_TESTS_GUARD_H
#define OMMA_TESTS_GUARD_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD = 4096 }; /* bytes on either side: more than any vector or row reaches */

typedef struct guarded {
    unsigned char *base;
    size_t bytes;
} guarded;

/* bytes of memory at a 64-byte boundary plus shift bytes, filled with 0xA5. */
static inline void *guard_new(guarded *g, size_t bytes, size_t shift) {
    const size_t all = (2 * (size_t)GUARD + bytes + shift + 63) & ~(size_t)63;
    g->base = aligned_alloc(64, all);
    assert_non_null(g->base);
    memset(g->base, 0xA5, all);
    g->bytes = bytes + shift;
    return g->base + GUARD + shift;
}

/* Check the canaries and free. */
static inline void guard_end(guarded *g) {
    for (size_t i = 0; i < GUARD; i++)
        if (g->base[i] != 0xA5 || g->base[GUARD + g->bytes + i] != 0xA5)
            fail_msg("written out of bounds");
    free(g->base);
}

static uint64_t rng_state = 0x9E3779B97F4A7C15u;
static inline uint32_t rng(void) {
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return (uint32_t)(rng_state >> 32);
}
static inline int rng_int(int lo, int hi) { return lo + (int)(rng() % (uint32_t)(hi - lo + 1)); }
static inline float rng_float(void) { return (float)(rng() >> 8) * 0x1p-23f - 1; } /* [-1, 1) */

/* How often to try something at random: n times, or with OMMA_TEST_PERCENT that part of n, where
 * an emulator makes everything thirty times slower. */
static inline int rounds(int n) {
    const char *percent = getenv("OMMA_TEST_PERCENT");
    const int part = percent ? n * atoi(percent) / 100 : n;
    return part > 0 ? part : 1;
}

/* n random floats at any address. */
static inline void rng_fill(void *dst, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const float v = rng_float();
        memcpy((char *)dst + 4 * i, &v, 4);
    }
}
static inline float float_at(const void *p, int64_t i) {
    float v;
    memcpy(&v, (const char *)p + 4 * i, 4);
    return v;
}

#endif
