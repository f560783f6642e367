/* pool_last_neon.c - pooling, channels last; see pool_last_body.h. */
#include "kernel/arm/vec_neon.h"

#include "kernel/body/pool_last_body.h"

void omma_fill_pool_last_neon(omma_kernels *k) { fill_pool_last(k); }
