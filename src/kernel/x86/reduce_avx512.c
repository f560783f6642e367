/* reduce_avx512.c - sums, maxima, softmax; see reduce_body.h. */
#include "kernel/x86/vec_avx512.h"
#include "kernel/body/vec_math.h"
#include "kernel/body/reduce_body.h"

void omma_fill_reduce_avx512(omma_kernels *k) { fill_reduce(k); }
