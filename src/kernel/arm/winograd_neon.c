/* winograd_neon.c - Winograd's transforms; see winograd_body.h. */
#include "kernel/arm/vec_neon.h"
#include "kernel/body/vec_math.h"
#include "kernel/body/winograd_body.h"

void omma_fill_winograd_neon(omma_kernels *k) { fill_winograd(k); }
