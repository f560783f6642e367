/* chance.h - numbers by chance that can be had again: each is mixed from a seed and two numbers
 * that say what it is for (a sample and a pixel, say), so it depends on no other and on no order.
 * The mixing is that of splitmix64: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number
 * Generators", 2014. */
#ifndef OMMA_FIELD_CHANCE_H
#define OMMA_FIELD_CHANCE_H

#include <math.h>
#include <stdint.h>

static inline uint64_t omma_chance_bits(uint64_t seed, int64_t a, int64_t b) {
    uint64_t z = seed;
    for (int i = 0; i < 2; i++) {
        z += 0x9e3779b97f4a7c15u * ((uint64_t)(i ? b : a) + 1);
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        z ^= z >> 31;
    }
    return z;
}

/* In [0, 1), a multiple of 2^-53. */
static inline double omma_chance(uint64_t seed, int64_t a, int64_t b) {
    return (double)(omma_chance_bits(seed, a, b) >> 11) * 0x1p-53;
}

/* 0 to n - 1, n of at least 1. */
static inline int64_t omma_chance_below(uint64_t seed, int64_t a, int64_t b, int64_t n) {
    return (int64_t)(omma_chance(seed, a, b) * (double)n);
}

/* From the normal distribution (Box and Muller 1958). */
static inline double omma_chance_normal(uint64_t seed, int64_t a, int64_t b) {
    const uint64_t z = omma_chance_bits(seed, a, b);
    const double u = ((double)(z >> 32) + 1) * 0x1p-32, v = (double)(z & 0xffffffffu) * 0x1p-32;
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

#endif
