/* mersenne.c - the generator MT19937; see mersenne.h. */
#include "op/mersenne.h"

enum { N = OMMA_MERSENNE_WORDS, M = 397 };

void omma_mersenne_seed(omma_mersenne *m, uint32_t seed) {
    m->word[0] = seed;
    for (uint32_t i = 1; i < N; i++)
        m->word[i] = 1812433253u * (m->word[i - 1] ^ m->word[i - 1] >> 30) + i;
    m->at = N;
}

/* The next N words. */
static void turn(omma_mersenne *m) {
    for (int i = 0; i < N; i++) {
        const uint32_t y = (m->word[i] & 0x80000000u) | (m->word[(i + 1) % N] & 0x7fffffffu);
        m->word[i] = m->word[(i + M) % N] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
    }
    m->at = 0;
}

uint32_t omma_mersenne_next(omma_mersenne *m) {
    if (m->at >= N) turn(m);
    uint32_t y = m->word[m->at++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

double omma_mersenne_uniform(omma_mersenne *m) {
    const uint32_t high = omma_mersenne_next(m) >> 5, low = omma_mersenne_next(m) >> 6;
    return ((double)high * 67108864.0 + (double)low) / 9007199254740992.0;
}
