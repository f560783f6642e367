/* depthwise_neon.c - depthwise convolution, channels last; see depthwise_body.h. */
#include <math.h>

#include "kernel/arm/vec_neon.h"
#include "kernel/body/vec_math.h"

#define DW_PIXELS 14
#include "kernel/body/depthwise_body.h"

void omma_fill_depthwise_neon(omma_kernels *k) { fill_depthwise(k); }
