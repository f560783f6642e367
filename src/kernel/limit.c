/* limit.c - the tables of limit.h, and their plain C loops. */
#include "kernel/limit.h"

#include <pthread.h>
#include <string.h>

#include "base/cpu.h"
#include "kernel/table.h"

/* Eight vectors by name: an array of them could stay in memory. */
typedef float f4 __attribute__((vector_size(16)));
typedef uint64_t u2 __attribute__((vector_size(16), may_alias));

static double fma_f32__c(int64_t steps) {
    const f4 m = {0.999f, 0.999f, 0.999f, 0.999f}, t = {0.001f, 0.001f, 0.001f, 0.001f};
    f4 a = t, b = t, c = t, d = t, e = m, f = m, g = m, h = m;
    for (int64_t i = 0; i < steps; i++) {
        a = a * m + t, b = b * m + t, c = c * m + t, d = d * m + t;
        e = e * m + t, f = f * m + t, g = g * m + t, h = h * m + t;
    }
    volatile float keep = (a + b + c + d + e + f + g + h)[0];
    (void)keep;
    return 2.0 * 8 * 4 * (double)steps;
}

static double read__c(const float *p, size_t bytes) {
    const u2 *q = (const u2 *)(const void *)p, *end = q + bytes / sizeof *q;
    u2 a = {0, 0}, b = a, c = a, d = a;
    for (; q < end; q += 4) a |= q[0], b |= q[1], c |= q[2], d |= q[3];
    volatile uint64_t keep = (a | b | c | d)[0];
    (void)keep;
    return (double)bytes;
}

static const omma_limits plain = {"c", fma_f32__c, NULL, NULL, read__c};

#ifdef __x86_64__
static omma_limits avx2, avx512;
static void fill(void) {
    omma_fill_limits_avx2(&avx2, omma_cpu_features());
    omma_fill_limits_avx512(&avx512, omma_cpu_features());
}

const omma_limits *omma_limits_of(const omma_kernels *kern) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, fill);
    /* a table of AVX-512 with more, such as avx512bf16, is one of AVX-512 */
    return !strncmp(kern->isa, "avx512", 6) ? &avx512 : !strcmp(kern->isa, "avx2") ? &avx2 : &plain;
}
#elif defined __aarch64__
static omma_limits neon;
static void fill(void) { omma_fill_limits_neon(&neon, omma_cpu_features()); }

const omma_limits *omma_limits_of(const omma_kernels *kern) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, fill);
    return !strcmp(kern->isa, "neon") ? &neon : &plain;
}
#else
const omma_limits *omma_limits_of(const omma_kernels *kern) {
    (void)kern;
    return &plain;
}
#endif
