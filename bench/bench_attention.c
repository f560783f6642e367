/* bench_attention.c - what fused attention reaches: GFLOP/s (2 per multiplication of its two
 * products; the softmax counts as nothing), per cent of the FMA peak that registers alone reach in
 * the same round, and how the time grows with the tokens.
 *
 *     bench_attention [--threads T] [--rounds N] [--isa c|avx2|avx512] [--only TEXT]
 *
 * The machine may be shared: cases are interleaved over rounds, each is timed beside the peak, and
 * medians are shown; "best" is the best round. With one thread its processor time is measured, so
 * that being put aside does not count; with more, the time on the wall. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/pool.h"
#include "kernel/attend.h"
#include "kernel/limit.h"

enum { MAX_ROUNDS = 101, STEPS = 10000 };
static const double SLICE = 0.01; /* seconds for one measurement */

static clockid_t watch = CLOCK_MONOTONIC;

static double now(void) {
    struct timespec t;
    clock_gettime(watch, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* --- the peak ------------------------------------------------------------------------ */

typedef struct burner {
    double (*fn)(int64_t steps);
    double *flop; /* by item */
} burner;

static void burn_items(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const burner *b = arg;
    for (int64_t i = begin; i < end; i++) b->flop[i] = b->fn(STEPS);
}

static double peak(const omma_kernels *kern, int threads) {
    double flop[OMMA_MAX_THREADS * 4], sum = 0;
    burner b = {omma_limits_of(kern)->fma_f32, flop};
    const int items = threads * 4;
    const double t0 = now();
    omma_parallel(threads, items, 1, burn_items, &b);
    const double t1 = now();
    for (int i = 0; i < items; i++) sum += flop[i];
    return sum / (t1 - t0);
}

/* --- the cases ------------------------------------------------------------------------ */

/* Heads are read from a projection of [windows, tokens, 3, heads, d] when queries and keys are as
 * many, else from rows of [heads, d]. */
typedef struct bench {
    const char *name;
    int windows, heads, m, n, d;
    bool masked; /* a bias of [heads, m, n] and a mask of [windows, m, n] */
} bench;

static const bench cases[] = {
    {"vit 12x64 197", 1, 12, 197, 197, 64, false},
    {"detr 8x32 850", 1, 8, 850, 850, 32, false},
    {"detr 8x32 256", 1, 8, 256, 256, 32, false},
    {"detr cross 8x32 100x850", 1, 8, 100, 850, 32, false},
    {"swin 64x3x32 49", 64, 3, 49, 49, 32, true},
    {"swin 16x6x32 49", 16, 6, 49, 49, 32, true},
    {"swin 1x24x32 49", 1, 24, 49, 49, 32, true},
    {"ocr 8x15 40", 1, 8, 40, 40, 15, false},
    {"deimv2 8x8 100", 1, 8, 100, 100, 8, false},
    {"one head 256 1024", 1, 1, 1024, 1024, 256, false},
    {"one query 12x64 1024", 1, 12, 1, 1024, 64, false},
    {"tokens 256 4x64", 1, 4, 256, 256, 64, false},
    {"tokens 1024 4x64", 1, 4, 1024, 1024, 64, false},
    {"tokens 4096 1x64", 1, 1, 4096, 4096, 64, false},
    {"tokens 16384 1x64", 1, 1, 16384, 16384, 64, false},
};
enum { N_CASES = sizeof cases / sizeof *cases };

typedef struct state {
    omma_attention p;
    omma_attention_data x;
    float *q, *k, *o, *bias, *mask;
    void *scratch;
    size_t bytes;
} state;

static float *floats(size_t n) {
    float *p = aligned_alloc(64, (n * 4 + 64 + 63) & ~(size_t)63);
    if (!p) {
        fputs("out of memory\n", stderr);
        exit(1);
    }
    for (size_t i = 0; i < n; i++) p[i] = (float)((i * 7919) % 1000) * 0.004f - 2;
    return p;
}

static omma_attention_at rows_of(const bench *t, int rows, int width) {
    return (omma_attention_at){{(int64_t)rows * width, 0, t->d}, width, 1};
}

static double setup(const bench *t, const omma_kernels *kern, int threads, state *s) {
    const int width = t->heads * t->d;
    const size_t one = (size_t)t->windows * (size_t)width;
    const bool joint = t->m == t->n;
    *s = (state){.p = {.outer = {t->windows, 1, t->heads},
                       .m = t->m,
                       .n = t->n,
                       .d = t->d,
                       .dv = t->d,
                       .scale = 0.125f}};
    s->p.q = rows_of(t, t->m, joint ? 3 * width : width);
    s->p.k = s->p.v = rows_of(t, t->n, joint ? 3 * width : 2 * width);
    s->p.o = rows_of(t, t->m, width);
    s->q = floats(one * (size_t)t->m * 3), s->k = floats(one * (size_t)t->n * 3);
    s->o = floats(one * (size_t)t->m);
    s->x = (omma_attention_data){.q = s->q, .k = s->k, .v = s->k + width, .o = s->o};
    if (joint) s->x.k = s->q + width, s->x.v = s->q + 2 * width;
    if (t->masked) {
        const int64_t all = (int64_t)t->m * t->n;
        s->x.mask[0] = s->bias = floats((size_t)(t->heads * all));
        s->x.mask[1] = s->mask = floats((size_t)(t->windows * all));
        for (int64_t i = 0; i < t->windows * all; i++) s->mask[i] = i % 5 ? 0 : -100;
        s->p.mask[0] = (omma_attention_at){{0, 0, all}, t->n, 1};
        s->p.mask[1] = (omma_attention_at){{all, 0, 0}, t->n, 1};
    }
    if (!omma_attention_scratch(kern, &s->p, threads, &s->bytes)) exit(1);
    s->scratch = floats(s->bytes / 4 + 1);
    return 4.0 * (double)t->windows * t->m * t->n * width;
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
        fputs("usage: bench_attention [--threads T] [--rounds N] [--isa c|avx2|avx512] "
              "[--only TEXT]\n",
              stderr);
        return 2;
    }
    if (threads == 1) watch = CLOCK_THREAD_CPUTIME_ID;
    static double rate[N_CASES][MAX_ROUNDS], share[N_CASES][MAX_ROUNDS], peaks[MAX_ROUNDS];
    static state states[N_CASES];
    double flop[N_CASES];
    for (int t = 0; t < N_CASES; t++)
        if (strstr(cases[t].name, only)) flop[t] = setup(&cases[t], kern, threads, &states[t]);
    for (int r = 0; r < rounds; r++)
        for (int t = 0; t < N_CASES; t++) {
            state *s = &states[t];
            if (!strstr(cases[t].name, only)) continue;
            omma_attention_run(kern, threads, &s->p, &s->x, s->scratch);
            const double top = peak(kern, threads), t0 = now();
            double t1;
            int64_t n = 0;
            do {
                omma_attention_run(kern, threads, &s->p, &s->x, s->scratch);
                n++;
            } while ((t1 = now()) - t0 < SLICE);
            const double top2 = peak(kern, threads);
            rate[t][r] = flop[t] * (double)n / (t1 - t0);
            peaks[r] = top > top2 ? top : top2;
            share[t][r] = rate[t][r] / peaks[r];
        }
    qsort(peaks, (size_t)rounds, sizeof(double), ascending);
    printf("%s, %d thread%s, FMA peak %.0f GFLOP/s\n", kern->isa, threads, threads > 1 ? "s" : "",
           peaks[rounds / 2] * 1e-9);
    printf("%-26s %9s %7s %7s %10s %9s\n", "", "GFLOP/s", "%", "best %", "us", "KiB");
    for (int t = 0; t < N_CASES; t++) {
        state *s = &states[t];
        if (!strstr(cases[t].name, only)) continue;
        qsort(rate[t], (size_t)rounds, sizeof(double), ascending);
        qsort(share[t], (size_t)rounds, sizeof(double), ascending);
        printf("%-26s %9.1f %7.1f %7.1f %10.1f %9.0f\n", cases[t].name, rate[t][rounds / 2] * 1e-9,
               100 * share[t][rounds / 2], 100 * share[t][rounds - 1],
               flop[t] / rate[t][rounds / 2] * 1e6, (double)s->bytes / 1024);
        free(s->q), free(s->k), free(s->o), free(s->bias), free(s->mask), free(s->scratch);
    }
    return 0;
}
