/* conv_avx2.c - pieces of convolution; see conv_body.h. */
#include "kernel/x86/vec_avx2.h"
#include "kernel/body/vec_math.h"

#define TILE_NV 2
#include "kernel/body/conv_body.h"

void omma_fill_conv_avx2(omma_kernels *k) { fill_conv(k); }
