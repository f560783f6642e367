/* limit_neon.c - the loops of limit.h on ARM's 128 bits; see x86/limit_avx2.c. int8 is by
 * SDOT: signed by signed, at the rate of the mixed one that not all of these processors have. */
#include <arm_neon.h>

#include "base/cpu.h"
#include "kernel/table.h"

enum { CHAINS = 24 };
#define EIGHT(X, A, B, C, D, E, F, G, H) \
    X(A)                                 \
    X(B)                                 \
    X(C)                                 \
    X(D)                                 \
    X(E)                                 \
    X(F)                                 \
    X(G)                                 \
    X(H)
#define EACH(X)                            \
    EIGHT(X, 0, 1, 2, 3, 4, 5, 6, 7)       \
    EIGHT(X, 8, 9, 10, 11, 12, 13, 14, 15) \
    EIGHT(X, 16, 17, 18, 19, 20, 21, 22, 23)
#define ZERO(i) "movi v" #i ".4s, #0\n"
#define FMA(i) "fmla v" #i ".4s, v30.4s, v31.4s\n"
#define BF16(i) "bfdot v" #i ".4s, v30.8h, v31.8h\n"
#define INT8(i) "sdot v" #i ".4s, v30.16b, v31.16b\n"

/* steps times 24 instructions on factors that hold the bits a and b in every 32. */
#define LOOP(name, extension, instruction, a, b, lanes)                                          \
    static double name(int64_t steps) {                                                          \
        int64_t n = steps > 0 ? steps : 1;                                                       \
        const double done = 2.0 * (lanes)*CHAINS * (double)n;                                    \
        __asm__ volatile(extension EACH(ZERO) "dup v30.4s, %w1\n dup v31.4s, %w2\n"              \
                                              "1:\n" EACH(instruction) "subs %0, %0, #1\n"       \
                                                                       "b.ne 1b\n"               \
                         : "+r"(n)                                                               \
                         : "r"(a), "r"(b)                                                        \
                         : "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9",     \
                           "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", \
                           "v20", "v21", "v22", "v23", "v30", "v31");                            \
        return done;                                                                             \
    }

LOOP(fma_f32__neon, "", FMA, 0x3f7fbe77u, 0x3a83126fu, 4)                         /* 0.999, 0.001 */
LOOP(dot_bf16__neon, ".arch armv8.2-a+bf16\n", BF16, 0x3f003f00u, 0x3a833a83u, 8) /* 0.5, 0.001 */
LOOP(dot_int8__neon, ".arch armv8.2-a+dotprod\n", INT8, 0x03030303u, 0x03ff03ffu, 16) /* 3; 3, -1 */

static double read__neon(const float *p, size_t bytes) {
    const uint32_t *q = (const uint32_t *)(const void *)p, *end = q + bytes / 4;
    uint32x4_t a = vdupq_n_u32(0), b = a, c = a, d = a;
    for (; q < end; q += 32) {
        a = vorrq_u32(vorrq_u32(a, vld1q_u32(q)), vld1q_u32(q + 16));
        b = vorrq_u32(vorrq_u32(b, vld1q_u32(q + 4)), vld1q_u32(q + 20));
        c = vorrq_u32(vorrq_u32(c, vld1q_u32(q + 8)), vld1q_u32(q + 24));
        d = vorrq_u32(vorrq_u32(d, vld1q_u32(q + 12)), vld1q_u32(q + 28));
    }
    volatile uint32_t keep = vgetq_lane_u32(vorrq_u32(vorrq_u32(a, b), vorrq_u32(c, d)), 0);
    (void)keep;
    return (double)bytes;
}

void omma_fill_limits_neon(omma_limits *l, unsigned cpu) {
    *l = (omma_limits){.isa = "neon", .fma_f32 = fma_f32__neon, .read = read__neon};
    if (cpu & OMMA_CPU_ARM_BF16) l->dot_bf16 = dot_bf16__neon;
    if (cpu & OMMA_CPU_ARM_DOT) l->dot_int8 = dot_int8__neon;
}
