/* bench_pool.c - what the threading layer costs: the time from asking for a job to its end, with
 * every thread doing one chunk, at once and after pauses; and what workers burn when nobody asks.
 *
 *     bench_pool [THREADS]      default 2
 *
 * A job has a chunk for each thread; a chunk waits until all have begun, so the time is that of
 * the slowest to wake. "serial" is the same without other threads. */
#define _GNU_SOURCE
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "base/pool.h"

enum { RUNS = 400 };

static double now(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void pause_for(double seconds) {
    const double until = now(CLOCK_MONOTONIC) + seconds;
    if (seconds >= 1e-3) nanosleep(&(struct timespec){.tv_nsec = (long)(seconds * 1e9)}, NULL);
    while (now(CLOCK_MONOTONIC) < until) {
    }
}

typedef struct meeting {
    _Atomic int there;
    int wanted;
} meeting;

static void meet(void *arg, int64_t begin, int64_t end, int worker) {
    meeting *m = arg;
    (void)begin, (void)end, (void)worker;
    atomic_fetch_add(&m->there, 1);
    const double late = now(CLOCK_MONOTONIC) + 0.02; /* somebody was never given a processor */
    while (atomic_load(&m->there) < m->wanted && now(CLOCK_MONOTONIC) < late) {
    }
}

static void nothing(void *arg, int64_t begin, int64_t end, int worker) {
    (void)arg, (void)begin, (void)end, (void)worker;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void line(const char *what, double *us) {
    qsort(us, RUNS, sizeof *us, ascending);
    printf("%-34s median %8.2f us   90 %% %8.2f us   99 %% %8.2f us\n", what, us[RUNS / 2],
           us[RUNS * 9 / 10], us[RUNS * 99 / 100]);
}

static void latency(int threads, double seconds, bool region) {
    static double meets[RUNS], empties[RUNS];
    char what[64];
    if (region) omma_pool_begin();
    for (int i = 0; i < RUNS; i++) {
        meeting m = {.wanted = threads};
        if (seconds > 0) pause_for(seconds);
        double start = now(CLOCK_MONOTONIC);
        omma_parallel(threads, threads, 1, meet, &m);
        meets[i] = (now(CLOCK_MONOTONIC) - start) * 1e6;
        if (seconds > 0) pause_for(seconds);
        start = now(CLOCK_MONOTONIC);
        omma_parallel(threads, threads, 1, nothing, NULL);
        empties[i] = (now(CLOCK_MONOTONIC) - start) * 1e6;
    }
    if (region) omma_pool_end();
    const char *where = region ? "in a run" : "between runs";
    snprintf(what, sizeof what, "after %4.0f us %s: all there", seconds * 1e6, where);
    line(what, meets);
    snprintf(what, sizeof what, "after %4.0f us %s: empty", seconds * 1e6, where);
    line(what, empties);
}

static void idle(int threads) {
    for (int i = 0; i < 100; i++) omma_parallel(threads, threads, 1, nothing, NULL);
    const double start = now(CLOCK_PROCESS_CPUTIME_ID);
    nanosleep(&(struct timespec){.tv_nsec = 500000000}, NULL);
    printf("idle for 0.5 s after a job: %.3f %% of a core\n",
           (now(CLOCK_PROCESS_CPUTIME_ID) - start) / 0.5 * 100);
    const double busy = now(CLOCK_PROCESS_CPUTIME_ID);
    for (int i = 0; i < 50; i++) {
        omma_pool_begin();
        omma_parallel(threads, threads, 1, nothing, NULL);
        omma_pool_end();
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    printf("an empty job every 10 ms:   %.3f %% of a core\n",
           (now(CLOCK_PROCESS_CPUTIME_ID) - busy) / 0.5 * 100);
}

int main(int argc, char **argv) {
    const int threads = argc > 1 ? atoi(argv[1]) : 2;
    static const double pauses[] = {0, 20e-6, 50e-6, 200e-6, 1e-3, 10e-3};
    printf("%d threads; by default %d\n", threads, omma_threads_default());
    for (size_t i = 0; i < sizeof pauses / sizeof *pauses; i++)
        for (int region = 0; region < 2; region++) latency(threads, pauses[i], region);
    idle(threads);
    return 0;
}
