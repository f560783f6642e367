/* limit_avx2.c - the loops of limit.h on 256 bits. The loops are assembler as a whole: a
 * compiler that keeps one of the chains in memory would measure something else. */
#include <immintrin.h>

#include "base/cpu.h"
#include "kernel/table.h"

enum { CHAINS = 12 };
#define EACH(X) \
    X(0)        \
    X(1)        \
    X(2)        \
    X(3)        \
    X(4)        \
    X(5)        \
    X(6)        \
    X(7)        \
    X(8)        \
    X(9)        \
    X(10)       \
    X(11)
#define ZERO(i) "vpxor %%ymm" #i ", %%ymm" #i ", %%ymm" #i "\n"
#define FMA(i) "vfmadd231ps %%ymm14, %%ymm15, %%ymm" #i "\n"
#define INT8(i) "%{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm" #i "\n"

/* steps times twelve instructions on factors that hold the bits a and b in every 32. */
#define LOOP(name, instruction, a, b, lanes)                                                      \
    static double name(int64_t steps) {                                                           \
        int64_t n = steps > 0 ? steps : 1;                                                        \
        const double done = 2.0 * (lanes)*CHAINS * (double)n;                                     \
        __asm__ volatile(EACH(ZERO) "vmovd %1, %%xmm14\n vpbroadcastd %%xmm14, %%ymm14\n"         \
                                    "vmovd %2, %%xmm15\n vpbroadcastd %%xmm15, %%ymm15\n"         \
                                    "1:\n" EACH(instruction) "dec %0\n jnz 1b\n vzeroupper\n"     \
                         : "+r"(n)                                                                \
                         : "r"(a), "r"(b)                                                         \
                         : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",  \
                           "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"); \
        return done;                                                                              \
    }

LOOP(fma_f32__avx2, FMA, 0x3f7fbe77u, 0x3a83126fu, 8)    /* 0.999, 0.001 */
LOOP(dot_int8__avx2, INT8, 0x03030303u, 0x03ff03ffu, 32) /* 3; 3 and -1 */

static double read__avx2(const float *p, size_t bytes) {
    const __m256i *q = (const __m256i *)(const void *)p, *end = q + bytes / 32;
    __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
    for (; q < end; q += 8) {
        a = _mm256_or_si256(_mm256_or_si256(a, _mm256_load_si256(q)), _mm256_load_si256(q + 4));
        b = _mm256_or_si256(_mm256_or_si256(b, _mm256_load_si256(q + 1)), _mm256_load_si256(q + 5));
        c = _mm256_or_si256(_mm256_or_si256(c, _mm256_load_si256(q + 2)), _mm256_load_si256(q + 6));
        d = _mm256_or_si256(_mm256_or_si256(d, _mm256_load_si256(q + 3)), _mm256_load_si256(q + 7));
    }
    volatile int keep =
        _mm256_cvtsi256_si32(_mm256_or_si256(_mm256_or_si256(a, b), _mm256_or_si256(c, d)));
    (void)keep;
    return (double)bytes;
}

void omma_fill_limits_avx2(omma_limits *l, unsigned cpu) {
    *l = (omma_limits){.isa = "avx2", .fma_f32 = fma_f32__avx2, .read = read__avx2};
    if (cpu & OMMA_CPU_AVX_VNNI) l->dot_int8 = dot_int8__avx2;
}
