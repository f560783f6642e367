/* transpose_avx2.c - transposing a matrix; see transpose_body.h. */
#include "kernel/x86/vec_avx2.h"

#include "kernel/body/transpose_body.h"

void omma_fill_transpose_avx2(omma_kernels *k) { fill_transpose(k); }
