/* depthwise_avx512.c - depthwise convolution, channels last; see depthwise_body.h. */
#include <math.h>

#include "kernel/x86/vec_avx512.h"
#include "kernel/body/vec_math.h"

#define DW_PIXELS 14
#include "kernel/body/depthwise_body.h"

void omma_fill_depthwise_avx512(omma_kernels *k) { fill_depthwise(k); }
