/* conv_neon.c - pieces of convolution; see conv_body.h. */
#include "kernel/arm/vec_neon.h"
#include "kernel/body/vec_math.h"

#define TILE_NV 3
#include "kernel/body/conv_body.h"

void omma_fill_conv_neon(omma_kernels *k) { fill_conv(k); }
