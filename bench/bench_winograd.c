/* bench_winograd.c - what Winograd's convolution reaches: per cent of the FMA peak measured in the
 * same round, counted in the multiplications of the direct way, so it may be above 100.
 *
 *     bench_winograd [--threads T] [--rounds N] [--isa c|avx2|avx512] [--only TEXT] [--list]
 *
 * As bench_kernel.c: cases are interleaved over rounds, medians are shown; with one thread its
 * processor time is measured, with more the time on the wall. Weights and maps of a case are cold
 * in the caches of the core the first time and warm after; between cases they are not kept. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/pool.h"
#include "kernel/last_way.h"
#include "kernel/limit.h"

enum { MAX_ROUNDS = 101 };
static const double SLICE = 0.01; /* seconds for one measurement */

static clockid_t watch = CLOCK_MONOTONIC;

static double now(void) {
    struct timespec t;
    clock_gettime(watch, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct burner {
    double (*fn)(int64_t steps);
    double *flop; /* by item */
} burner;

static void burn_items(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const burner *b = arg;
    for (int64_t i = begin; i < end; i++) b->flop[i] = b->fn(10000);
}

static double peak(const omma_kernels *kern, int threads) {
    double flop[OMMA_MAX_THREADS * 4], sum = 0;
    burner b = {omma_limits_of(kern)->fma_f32, flop};
    const double t0 = now();
    omma_parallel(threads, threads * 4, 1, burn_items, &b);
    const double t1 = now();
    for (int i = 0; i < threads * 4; i++) sum += flop[i];
    return sum / (t1 - t0);
}

typedef struct bench {
    int n, h, w, c, m;
} bench;

static const bench cases[] = {
    {1, 56, 56, 64, 64},   {1, 28, 28, 128, 128}, {1, 14, 14, 256, 256}, {1, 7, 7, 512, 512},
    {8, 14, 14, 256, 256}, {8, 7, 7, 512, 512},   {1, 200, 267, 64, 64}, {1, 100, 134, 128, 128},
    {1, 50, 67, 256, 256}, {1, 25, 34, 512, 512}, {1, 64, 64, 256, 256}, {1, 32, 32, 256, 256},
    {1, 16, 16, 256, 256}, {1, 8, 8, 256, 256},   {1, 80, 80, 64, 64},   {1, 40, 40, 128, 128},
    {1, 20, 20, 256, 256}, {1, 160, 160, 32, 32}, {1, 112, 112, 16, 16}, {1, 112, 112, 32, 64},
    {1, 20, 20, 512, 512}, {1, 64, 64, 256, 36},  {1, 16, 16, 96, 96},   {1, 32, 32, 48, 48},
    {1, 13, 13, 128, 128}, {1, 4, 4, 256, 256},   {1, 10, 10, 512, 512}, {1, 16, 16, 512, 512},
    {1, 128, 128, 24, 24}, {1, 7, 7, 128, 128},   {1, 7, 7, 256, 256},   {1, 28, 28, 256, 256},
};
enum { N_CASES = sizeof cases / sizeof *cases };

typedef struct state {
    char name[48];
    omma_conv p;
    float *x, *u, *y, *bias;
    void *scratch;
    double flop, rate[MAX_ROUNDS], share[MAX_ROUNDS];
} state;

static void *floats(size_t n) {
    float *p = aligned_alloc(64, (n * 4 + 64 + 63) & ~(size_t)63);
    if (!p) {
        fputs("out of memory\n", stderr);
        exit(1);
    }
    for (size_t i = 0; i < n; i++) p[i] = (float)((i * 7919) % 1000) * 0.001f - 0.5f;
    return p;
}

static void name_case(const bench *t, state *s) {
    snprintf(s->name, sizeof s->name, "%dx%dx%dx%d-%d", t->n, t->h, t->w, t->c, t->m);
}

static void setup(const bench *t, const omma_kernels *kern, int threads, state *s) {
    s->p = (omma_conv){t->n, 1, t->c, t->h, t->w, t->m, t->h, t->w, 3, 3, 1, 1, 1, 1, 1, 1, 0};
    size_t bytes, packed;
    if (!omma_last_winograd.scratch(kern, &s->p, threads, &bytes) ||
        !omma_last_winograd.packed_bytes(kern, &s->p, &packed))
        exit(1);
    const size_t pixels = (size_t)t->n * (size_t)t->h * (size_t)t->w;
    float *w = floats((size_t)t->m * (size_t)t->c * 9);
    s->x = floats(pixels * (size_t)t->c);
    s->u = floats(packed / 4);
    s->y = floats(pixels * (size_t)t->m);
    s->bias = floats((size_t)t->m);
    s->scratch = floats(bytes / 4 + 1);
    s->flop = 2.0 * (double)pixels * t->m * t->c * 9;
    omma_last_winograd.pack(kern, &s->p, s->u, w, threads);
    free(w);
}

static void once(const bench *t, const omma_kernels *kern, int threads, const state *s) {
    const omma_epilogue e = {.col_bias = s->bias, .act = OMMA_ACT_RELU};
    omma_last_winograd.run(kern, threads, &s->p, s->x, t->c, s->u, s->y, t->m, &e, s->scratch);
}

static void measure(const bench *t, const omma_kernels *kern, int threads, state *s, int round) {
    once(t, kern, threads, s);
    const double top = peak(kern, threads), t0 = now();
    double t1;
    int64_t n = 0;
    do {
        once(t, kern, threads, s);
        n++;
    } while ((t1 = now()) - t0 < SLICE);
    const double top2 = peak(kern, threads);
    s->rate[round] = s->flop * (double)n / (t1 - t0);
    s->share[round] = s->rate[round] / (top > top2 ? top : top2);
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    const omma_kernels *kern = omma_kernels_best();
    int threads = 1, rounds = 9;
    const char *only = "";
    for (int i = 1; i < argc; i++) {
        const char *v = i + 1 < argc ? argv[i + 1] : NULL;
        if (v && !strcmp(argv[i], "--threads")) threads = atoi(v), i++;
        else if (v && !strcmp(argv[i], "--rounds")) rounds = atoi(v), i++;
        else if (v && !strcmp(argv[i], "--isa")) kern = omma_kernels_named(v), i++;
        else if (v && !strcmp(argv[i], "--only")) only = v, i++;
        else kern = NULL;
    }
    if (!kern || threads < 1 || threads > OMMA_MAX_THREADS || rounds < 1 || rounds > MAX_ROUNDS) {
        fputs("usage: bench_winograd [--threads T] [--rounds N] [--isa c|avx2|avx512]"
              " [--only TEXT]\n",
              stderr);
        return 2;
    }
    if (threads == 1) watch = CLOCK_THREAD_CPUTIME_ID;
    static state states[N_CASES];
    for (int t = 0; t < N_CASES; t++) {
        name_case(&cases[t], &states[t]);
        if (strstr(states[t].name, only)) setup(&cases[t], kern, threads, &states[t]);
    }
    for (int r = 0; r < rounds; r++)
        for (int t = 0; t < N_CASES; t++)
            if (states[t].x) measure(&cases[t], kern, threads, &states[t], r);
    printf("%s, %d thread%s, FMA peak %.0f GFLOP/s\n", kern->isa, threads, threads > 1 ? "s" : "",
           peak(kern, threads) * 1e-9);
    printf("%-26s %9s %7s %7s %10s %5s\n", "", "GFLOP/s", "%", "best %", "us", "fits");
    for (int t = 0; t < N_CASES; t++) {
        state *s = &states[t];
        if (!s->x) continue;
        qsort(s->rate, (size_t)rounds, sizeof(double), ascending);
        qsort(s->share, (size_t)rounds, sizeof(double), ascending);
        printf("%-26s %9.1f %7.1f %7.1f %10.1f %5s\n", s->name, s->rate[rounds / 2] * 1e-9,
               100 * s->share[rounds / 2], 100 * s->share[rounds - 1],
               s->flop / s->rate[rounds / 2] * 1e6,
               omma_last_winograd.fits(kern, &s->p) ? "yes" : "no");
        free(s->x), free(s->u), free(s->y), free(s->bias), free(s->scratch);
    }
    return 0;
}
