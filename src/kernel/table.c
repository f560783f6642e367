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

#define FILL(file, isa) omma_fill_##file##_##isa(k);

static void fill(void) {
    omma_kernels *k = next_table("c");
    OMMA_KERNEL_FILES(FILL, c)
    FILL(int8, c)
    FILL(bf16, c)
#ifdef __x86_64__
    const unsigned cpu = omma_cpu_features();
    if (cpu & OMMA_CPU_AVX2) {
        k = next_table("avx2");
        OMMA_KERNEL_FILES(FILL, avx2)
        FILL(int8, avx2)
        FILL(bf16, avx2)
    }
    if (cpu & OMMA_CPU_AVX512) {
        k = next_table("avx512");
        OMMA_KERNEL_FILES(FILL, avx512)
        FILL(bf16, avx512)
        if (cpu & OMMA_CPU_VNNI) FILL(int8, vnni)
    }
    if (cpu & OMMA_CPU_BF16) {
        k = next_table("avx512bf16");
        FILL(bf16, avx512bf16)
    }
#endif
#ifdef __aarch64__
    k = next_table("neon"); /* every such processor has it */
    OMMA_KERNEL_FILES(FILL, neon)
    FILL(bf16, c) /* for tiles of this width */
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
