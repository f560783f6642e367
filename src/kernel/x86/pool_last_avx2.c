/* pool_last_avx2.c - pooling, channels last; see pool_last_body.h. */
#include "kernel/x86/vec_avx2.h"

#include "kernel/body/pool_last_body.h"

void omma_fill_pool_last_avx2(omma_kernels *k) { fill_pool_last(k); }
