/* table.c - fills one table per instruction set the CPU can run, once, and picks the best;
 * see kernel.h. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "kernel/table.h"

enum { MAX_TABLES = 4 };

static omma_kernels tables[MAX_TABLES];
static int n_tables;
static const omma_kernels *best;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static omma_kernels *next_table(const char *isa) {
    omma_kernels *k = &tables[n_tables];
    if (n_tables) *k = tables[n_tables - 1];
    k->isa = isa;
    n_tables++;
    return k;
}

static const omma_kernels *find(const char *isa) {
    for (int i = 0; i < n_tables; i++)
        if (!strcmp(tables[i].isa, isa)) return &tables[i];
    return NULL;
}

static void fill(void) {
    omma_kernels *k = next_table("c");
    omma_fill_gemm_c(k);
    omma_fill_math_c(k);
    omma_fill_reduce_c(k);
    omma_fill_conv_c(k);
    omma_fill_depthwise_c(k);
    omma_fill_winograd_c(k);
    omma_fill_pool_last_c(k);
    omma_fill_transpose_c(k);
    omma_fill_attention_c(k);
    omma_fill_int8_c(k);
    omma_fill_bf16_c(k);
#ifdef __x86_64__
    const unsigned cpu = omma_cpu_features();
    if (cpu & OMMA_CPU_AVX2) {
        k = next_table("avx2");
        omma_fill_gemm_avx2(k);
        omma_fill_math_avx2(k);
        omma_fill_reduce_avx2(k);
        omma_fill_conv_avx2(k);
        omma_fill_depthwise_avx2(k);
        omma_fill_winograd_avx2(k);
        omma_fill_pool_last_avx2(k);
        omma_fill_transpose_avx2(k);
        omma_fill_attention_avx2(k);
        omma_fill_int8_avx2(k);
        omma_fill_bf16_avx2(k);
    }
    if (cpu & OMMA_CPU_AVX512) {
        k = next_table("avx512");
        omma_fill_gemm_avx512(k);
        omma_fill_math_avx512(k);
        omma_fill_reduce_avx512(k);
        omma_fill_conv_avx512(k);
        omma_fill_depthwise_avx512(k);
        omma_fill_winograd_avx512(k);
        omma_fill_pool_last_avx512(k);
        omma_fill_transpose_avx512(k);
        omma_fill_attention_avx512(k);
        omma_fill_bf16_avx512(k);
        if (cpu & OMMA_CPU_VNNI) omma_fill_int8_vnni(k);
    }
    if (cpu & OMMA_CPU_BF16) {
        k = next_table("avx512bf16");
        omma_fill_bf16_avx512bf16(k);
    }
#endif
#ifdef __aarch64__
    k = next_table("neon"); /* every such processor has it */
    omma_fill_gemm_neon(k);
    omma_fill_math_neon(k);
    omma_fill_reduce_neon(k);
    omma_fill_conv_neon(k);
#endif
    const char *forced = getenv("OMMA_CPU");
    if (forced) best = find(forced);
    if (!best) best = &tables[n_tables - 1];
#ifdef __x86_64__
    if (!forced && !(cpu & OMMA_CPU_BF16_PAYS) && find("avx512bf16")) best = find("avx512");
#endif
}

const omma_kernels *omma_kernels_best(void) {
    pthread_once(&once, fill);
    return best;
}

const omma_kernels *omma_kernels_named(const char *isa) {
    pthread_once(&once, fill);
    return find(isa);
}

const omma_kernels *omma_kernels_at(int i) {
    pthread_once(&once, fill);
    return i >= 0 && i < n_tables ? &tables[i] : NULL;
}
