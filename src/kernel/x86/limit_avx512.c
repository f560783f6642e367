/* limit_avx512.c - the loops of limit.h on 512 bits; see limit_avx2.c. */
#include <immintrin.h>

#include "base/cpu.h"
#include "kernel/table.h"

enum { CHAINS = 24 };
#define TEN(X) \
    X(0)       \
    X(1)       \
    X(2)       \
    X(3)       \
    X(4)       \
    X(5)       \
    X(6)       \
    X(7)       \
    X(8)       \
    X(9)
#define TEENS(X) \
    X(10)        \
    X(11)        \
    X(12)        \
    X(13)        \
    X(14)        \
    X(15)        \
    X(16)        \
    X(17)        \
    X(18)        \
    X(19)
#define EACH(X)           \
    TEN(X) TEENS(X) X(20) \
    X(21)                 \
    X(22)                 \
    X(23)
#define ZERO(i) "vpxord %%zmm" #i ", %%zmm" #i ", %%zmm" #i "\n"
#define FMA(i) "vfmadd231ps %%zmm30, %%zmm31, %%zmm" #i "\n"
#define BF16(i) "vdpbf16ps %%zmm30, %%zmm31, %%zmm" #i "\n"
#define INT8(i) "vpdpbusd %%zmm30, %%zmm31, %%zmm" #i "\n"

/* steps times 24 instructions on factors that hold the bits a and b in every 32. */
#define LOOP(name, instruction, a, b, lanes)                                                       \
    static double name(int64_t steps) {                                                            \
        int64_t n = steps > 0 ? steps : 1;                                                         \
        const double done = 2.0 * (lanes)*CHAINS * (double)n;                                      \
        __asm__ volatile(EACH(ZERO) "vpbroadcastd %1, %%zmm30\n vpbroadcastd %2, %%zmm31\n"        \
                                    "1:\n" EACH(instruction) "dec %0\n jnz 1b\n vzeroupper\n"      \
                         : "+r"(n)                                                                 \
                         : "r"(a), "r"(b)                                                          \
                         : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",   \
                           "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15",   \
                           "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", \
                           "xmm30", "xmm31");                                                      \
        return done;                                                                               \
    }

LOOP(fma_f32__avx512, FMA, 0x3f7fbe77u, 0x3a83126fu, 16)   /* 0.999, 0.001 */
LOOP(dot_bf16__avx512, BF16, 0x3f003f00u, 0x3a833a83u, 32) /* 0.5, 0.001 */
LOOP(dot_int8__avx512, INT8, 0x03030303u, 0x03ff03ffu, 64) /* 3; 3 and -1 */

static double read__avx512(const float *p, size_t bytes) {
    const __m512i *q = (const __m512i *)(const void *)p, *end = q + bytes / 64;
    __m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;
    for (; q < end; q += 8) {
        a = _mm512_or_si512(_mm512_or_si512(a, _mm512_load_si512(q)), _mm512_load_si512(q + 4));
        b = _mm512_or_si512(_mm512_or_si512(b, _mm512_load_si512(q + 1)), _mm512_load_si512(q + 5));
        c = _mm512_or_si512(_mm512_or_si512(c, _mm512_load_si512(q + 2)), _mm512_load_si512(q + 6));
        d = _mm512_or_si512(_mm512_or_si512(d, _mm512_load_si512(q + 3)), _mm512_load_si512(q + 7));
    }
    const __m512i all = _mm512_or_si512(_mm512_or_si512(a, b), _mm512_or_si512(c, d));
    volatile int keep = _mm_cvtsi128_si32(_mm512_castsi512_si128(all));
    (void)keep;
    return (double)bytes;
}

void omma_fill_limits_avx512(omma_limits *l, unsigned cpu) {
    *l = (omma_limits){.isa = "avx512", .fma_f32 = fma_f32__avx512, .read = read__avx512};
    if (cpu & OMMA_CPU_BF16) l->dot_bf16 = dot_bf16__avx512;
    if (cpu & OMMA_CPU_VNNI) l->dot_int8 = dot_int8__avx512;
}
