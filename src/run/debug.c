/* debug.c - see debug.h. */
#include "run/debug.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/pool.h"
#include "kernel/kernel.h"

omma_status omma_debug_environment(omma_error *err) {
    const char *threads = getenv("OMMA_THREADS"), *cpu = getenv("OMMA_CPU");
    if (threads && *threads) {
        char *end;
        const long n = strtol(threads, &end, 10);
        if (end == threads || *end || n < 1 || n > OMMA_MAX_THREADS)
            return omma_fail(err, OMMA_E_USAGE,
                             "OMMA_THREADS in the environment is '%.40s'; it wants 1 to %d, or to "
                             "be unset",
                             threads, (int)OMMA_MAX_THREADS);
    }
    if (!cpu || !*cpu || omma_kernels_named(cpu)) return OMMA_OK;
    return omma_fail(
        err, OMMA_E_USAGE, "OMMA_CPU in the environment is '%.40s'; this machine has c%s%s", cpu,
        omma_kernels_named("avx2") ? ", avx2" : "", omma_kernels_named("avx512") ? ", avx512" : "");
}

static void dump(const omma_graph *g, const char *folder, int number, const char *pass,
                 const char *ext, void (*print)(const omma_graph *, FILE *)) {
    char path[1024];
    int n = snprintf(path, sizeof path, "%s/%02d-%s.%s", folder, number, pass, ext);
    if (n < 0 || (size_t)n >= sizeof path) return;
    FILE *f = fopen(path, "w");
    if (!f) return;
    print(g, f);
    fclose(f);
}

omma_status omma_debug_pass(const omma_graph *g, const char *pass, omma_error *err) {
    static _Atomic int number;
    const char *folder = getenv("OMMA_DUMP");
    if (folder && *folder) {
        int k = atomic_fetch_add(&number, 1);
        dump(g, folder, k, pass, "txt", omma_graph_print);
        dump(g, folder, k, pass, "dot", omma_graph_print_dot);
    }
#if defined(OMMA_DEBUG)
    return omma_graph_verify(g, err);
#else
    (void)err;
    return OMMA_OK;
#endif
}

static FILE *trace_file;
static void trace_open(void) {
    const char *path = getenv("OMMA_TRACE");
    if (path && *path) trace_file = fopen(path, "a");
}

FILE *omma_debug_trace(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, trace_open);
    return trace_file;
}

double omma_debug_clock(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}
