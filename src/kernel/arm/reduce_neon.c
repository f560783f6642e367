/* reduce_neon.c - sums, maxima, softmax; see reduce_body.h. */
#include "kernel/arm/vec_neon.h"
#include "kernel/body/vec_math.h"
#include "kernel/body/reduce_body.h"

void omma_fill_reduce_neon(omma_kernels *k) { fill_reduce(k); }
