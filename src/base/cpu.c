/* cpu.c - CPU features by cpuid and xgetbv, on ARM from the system; see cpu.h. Bits as in the Intel
 * and AMD manuals (CPUID leaves 1, 7 and 0x80000001; XCR0). A processor may have AVX while the
 * system does not save its registers: without the XCR0 test the first use is a SIGILL. */
#include "base/cpu.h"

#ifdef __x86_64__
#include <cpuid.h>
#include <stdbool.h>
#include <stdint.h>

static uint64_t xcr0(void) {
    uint32_t lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

static bool has(uint64_t set, uint64_t bits) { return (set & bits) == bits; }

/* Intel's Xeons do one dot product of bfloat16 in two cycles and four FMAs, which is less. */
static bool is_amd(void) {
    unsigned a, b, c, d;
    return __get_cpuid(0, &a, &b, &c, &d) && b == signature_AMD_ebx && c == signature_AMD_ecx &&
           d == signature_AMD_edx;
}

/* Beyond a level: dot products of short numbers. c7: ECX of leaf 7. */
static unsigned dot_products(unsigned level, unsigned c7) {
    enum { VNNI = 1 << 11, AVX_VNNI = 1 << 4, BF16 = 1 << 5 };
    unsigned a1 = 0, b, c, d, set = 0;
    if (!__get_cpuid_count(7, 1, &a1, &b, &c, &d)) a1 = 0;
    if (level & OMMA_CPU_AVX2 && has(a1, AVX_VNNI)) set |= OMMA_CPU_AVX_VNNI;
    if (level & OMMA_CPU_AVX512 && has(c7, VNNI)) set |= OMMA_CPU_VNNI;
    if (level & OMMA_CPU_AVX512 && has(a1, BF16)) set |= OMMA_CPU_BF16;
    if (set & OMMA_CPU_BF16 && is_amd()) set |= OMMA_CPU_BF16_PAYS;
    return set;
}

unsigned omma_cpu_features(void) {
    enum { FMA = 1 << 12, MOVBE = 1 << 22, OSXSAVE = 1 << 27, AVX = 1 << 28, F16C = 1 << 29 };
    enum {
        BMI1 = 1 << 3,
        AVX2 = 1 << 5,
        BMI2 = 1 << 8,
        F = 1 << 16,
        DQ = 1 << 17,
        CD = 1 << 28,
        BW = 1 << 30
    };
    enum { LZCNT = 1 << 5 };
    const unsigned vl = 1u << 31;
    unsigned a, b, d, c1, b7, c7, cx;
    if (!__get_cpuid(1, &a, &b, &c1, &d) || !has(c1, OSXSAVE | AVX | FMA | F16C)) return 0;
    if (!__get_cpuid_count(7, 0, &a, &b7, &c7, &d) || !has(b7, AVX2)) return 0;
    const uint64_t saved = xcr0();
    if (!has(saved, 0x6)) return 0; /* XMM and YMM */
    unsigned set = OMMA_CPU_AVX2;
    if (__get_cpuid(0x80000001, &a, &b, &cx, &d) && has(cx, LZCNT) && has(c1, MOVBE) &&
        has(b7, BMI1 | BMI2 | F | DQ | CD | BW | vl) && has(saved, 0xe6)) /* and opmask, ZMM */
        set |= OMMA_CPU_AVX512;
    return set | dot_products(set, c7);
}
#elif defined __aarch64__ && defined __linux__
#include <sys/auxv.h>

/* Bits as the kernel gives them in the auxiliary vector (its asm/hwcap.h). */
unsigned omma_cpu_features(void) {
    enum { DOT = 1 << 20 };                  /* of AT_HWCAP */
    enum { I8MM = 1 << 13, BF16 = 1 << 14 }; /* of AT_HWCAP2 */
    const unsigned long has = getauxval(AT_HWCAP), has2 = getauxval(AT_HWCAP2);
    unsigned set = OMMA_CPU_NEON;
    if (has & DOT) set |= OMMA_CPU_ARM_DOT;
    if (has & DOT && has2 & I8MM) set |= OMMA_CPU_ARM_I8MM;
    if (has2 & BF16) set |= OMMA_CPU_ARM_BF16;
    return set;
}
#elif defined __aarch64__
unsigned omma_cpu_features(void) { return OMMA_CPU_NEON; }
#else
unsigned omma_cpu_features(void) { return 0; }
#endif
