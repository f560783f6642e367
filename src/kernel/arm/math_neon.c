/* math_neon.c - element-wise functions; see math_body.h. */
#include "kernel/arm/vec_neon.h"
#include "kernel/body/vec_math.h"
#include "kernel/body/math_body.h"

void omma_fill_math_neon(omma_kernels *k) { fill_math(k); }
