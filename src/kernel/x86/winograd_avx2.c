/* winograd_avx2.c - Winograd's transforms; see winograd_body.h. */
#include "kernel/x86/vec_avx2.h"
#include "kernel/body/vec_math.h"
#include "kernel/body/winograd_body.h"

void omma_fill_winograd_avx2(omma_kernels *k) { fill_winograd(k); }
