/* transpose_avx512.c - transposing a matrix; see transpose_body.h. */
#include "kernel/x86/vec_avx512.h"

#include "kernel/body/transpose_body.h"

void omma_fill_transpose_avx512(omma_kernels *k) { fill_transpose(k); }
