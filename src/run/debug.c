/* debug.c - see debug.h. */
#include "run/debug.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/pool.h"
#include "pass/passes.h"

static const char *const kernel_sets[] = {"c", "avx2", "avx512", "avx512bf16", "neon"};

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
    OMMA_TRY(omma_passes_check(err));
    if (!cpu || !*cpu) return OMMA_OK;
    for (size_t i = 0; i < sizeof kernel_sets / sizeof *kernel_sets; i++)
        if (!strcmp(cpu, kernel_sets[i])) return OMMA_OK;
    return omma_fail(
        err, OMMA_E_USAGE,
        "OMMA_CPU in the environment is '%.40s'; it wants c, avx2, avx512, avx512bf16 or "
        "neon, or to be unset",
        cpu);
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

static void trace_node(void *file, const omma_node *n, double start, double end) {
    const omma_value *v = n->out[0];
    flockfile(file); /* a line is one session's */
    fprintf(file, "%.1f us\t%s\t%s\t", (end - start) * 1e6, n->op->name, n->name);
    for (int i = 0; v && i < v->rank; i++)
        fprintf(file, "%s%lld", i ? "x" : "", (long long)v->dims[i]);
    fputc('\n', file);
    funlockfile(file);
}

static omma_observer tracer = {trace_node, NULL};
static void trace_open(void) {
    const char *path = getenv("OMMA_TRACE");
    if (path && *path) tracer.user = fopen(path, "a");
}

const omma_observer *omma_debug_tracer(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, trace_open);
    return tracer.user ? &tracer : NULL;
}

double omma_debug_clock(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}
