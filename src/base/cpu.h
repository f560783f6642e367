/* cpu.h - what this processor and its operating system can run. */
#ifndef OMMA_BASE_CPU_H
#define OMMA_BASE_CPU_H

/* Levels as the kernels are compiled for; a level is reported only when every instruction
 * set it needs is there and the system saves its registers. */
enum {
    OMMA_CPU_AVX2 = 1,       /* AVX2, FMA, F16C */
    OMMA_CPU_AVX512 = 2,     /* x86-64-v4: AVX-512 F, BW, CD, DQ, VL */
    OMMA_CPU_VNNI = 4,       /* that, and AVX-512 VNNI: dot products of int8 */
    OMMA_CPU_BF16 = 8,       /* AVX512, and AVX-512 BF16: dot products of bfloat16 */
    OMMA_CPU_AVX_VNNI = 16,  /* AVX2, and AVX-VNNI: dot products of int8 on 256 bits */
    OMMA_CPU_NEON = 32,      /* AArch64's vectors: every such processor */
    OMMA_CPU_ARM_DOT = 64,   /* that, and SDOT and UDOT: dot products of int8 */
    OMMA_CPU_ARM_I8MM = 128, /* that, and SMMLA and USDOT: matrix products of int8 */
    OMMA_CPU_ARM_BF16 = 256, /* NEON, and BFDOT and BFMMLA: products of bfloat16 */
    OMMA_CPU_BF16_PAYS = 512 /* BF16, as many of them in a cycle as FMAs */
};

/* A set of OMMA_CPU_*; 0 on processors this file does not know. Thread-safe. */
unsigned omma_cpu_features(void);

#endif
