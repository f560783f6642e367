/* dice.h - random numbers for tests that make things at random, the same on every machine. */
#ifndef OMMA_TESTS_DICE_H
#define OMMA_TESTS_DICE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

static uint64_t dice_seed = 1;

static inline uint32_t dice_bits(void) {
    uint64_t z = dice_seed += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (uint32_t)(z >> 32);
}

/* From [0, n). */
static inline int roll(int64_t n) {
    return n > 0 ? (int)(dice_bits() % (uint32_t)(n < INT32_MAX ? n : INT32_MAX)) : 0;
}
static inline bool coin(void) { return roll(2); }
static inline bool rare(void) { return roll(4) == 0; }

/* From [lo, hi]. */
static inline int64_t between(int64_t lo, int64_t hi) { return lo + roll(hi - lo + 1); }
static inline double real(double lo, double hi) {
    return lo + (hi - lo) * (double)(dice_bits() >> 8) / 16777216.0;
}

/* A number from the environment: which of many random cases, how many. */
static inline long dice_setting(const char *name, long otherwise) {
    const char *s = getenv(name);
    return s && *s ? strtol(s, NULL, 10) : otherwise;
}

#endif
