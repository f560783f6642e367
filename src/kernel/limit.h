/* limit.h - loops that do nothing but reach a limit of the processor: what kernels are measured
 * against. One table per instruction set, as kernel.h's. run/machine.h times them. */
#ifndef OMMA_KERNEL_LIMIT_H
#define OMMA_KERNEL_LIMIT_H

#include "kernel/kernel.h"

/* Each loop works in registers, on chains enough to hide the latency of its instruction, and
 * returns how many operations it did: a multiply-add counts as two. NULL: this processor has no
 * such instruction. */
typedef struct omma_limits {
    const char *isa;
    double (*fma_f32)(int64_t steps);
    double (*dot_bf16)(int64_t steps); /* products of bfloat16 pairs, summed in f32 */
    double (*dot_int8)(int64_t steps); /* products of four u8 by s8, summed in int32 */
    /* Read bytes (a multiple of 1024) from p, aligned to 64; returns bytes. */
    double (*read)(const float *p, size_t bytes);
} omma_limits;

/* The table of the instruction set of kern. Never NULL. Thread-safe. */
const omma_limits *omma_limits_of(const omma_kernels *kern);

#endif
