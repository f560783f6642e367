/* math_avx2.c - element-wise functions; see math_body.h. */
#include "kernel/x86/vec_avx2.h"
#include "kernel/body/vec_math.h"
#include "kernel/body/math_body.h"

void omma_fill_math_avx2(omma_kernels *k) { fill_math(k); }
