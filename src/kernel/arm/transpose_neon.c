/* transpose_neon.c - transposing a matrix; see transpose_body.h. */
#include "kernel/arm/vec_neon.h"

#include "kernel/body/transpose_body.h"

void omma_fill_transpose_neon(omma_kernels *k) { fill_transpose(k); }
