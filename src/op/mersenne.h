/* mersenne.h - the generator MT19937 as NumPy's legacy random functions use it, for operators
 * whose random numbers ONNX's reference takes from there.
 *
 * Source: Matsumoto and Nishimura, Mersenne Twister, 1998; seeding by their init_genrand, as
 * numpy.random.seed(seed) does for one integer. Not for secrets. */
#ifndef OMMA_OP_MERSENNE_H
#define OMMA_OP_MERSENNE_H

#include <stdint.h>

enum { OMMA_MERSENNE_WORDS = 624 };

/* The state; 2.5 KB, so it fits a stack. */
typedef struct omma_mersenne {
    uint32_t word[OMMA_MERSENNE_WORDS];
    int at; /* the next word */
} omma_mersenne;

void omma_mersenne_seed(omma_mersenne *m, uint32_t seed);

/* The next 32 bits. */
uint32_t omma_mersenne_next(omma_mersenne *m);

/* The next number of [0, 1), 53 bits of two words: numpy.random.random_sample(). */
double omma_mersenne_uniform(omma_mersenne *m);

#endif
