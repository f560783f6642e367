/* math_avx512.c - element-wise functions; see math_body.h. */
#include "kernel/x86/vec_avx512.h"
#include "kernel/body/vec_math.h"
#include "kernel/body/math_body.h"

void omma_fill_math_avx512(omma_kernels *k) { fill_math(k); }
