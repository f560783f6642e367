/* bench_kernel.c - what the kernels reach: GFLOP/s (2 per multiplication) and per cent of
 * the FMA peak that registers alone reach in the same round.
 *
 *     bench_kernel [--threads T] [--rounds N] [--isa c|avx2|avx512] [--only TEXT]
 *
 * The machine may be shared: cases are interleaved over rounds, each is timed beside the
 * peak, and medians are shown; "best" is the best round. With one thread its processor time
 * is measured, so that being put aside does not count; with more, the time on the wall. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/pool.h"
#include "kernel/last.h"
#include "kernel/limit.h"

enum { MAX_ROUNDS = 101 };
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

enum { STEPS = 10000 }; /* of an item */

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

typedef struct bench {
    const char *name;
    int m, n, k; /* product when m > 0, else convolution: channels-last if its name says "last" */
    omma_conv conv;
} bench;

#define CONV(n_g, c_, side, m_, out, kernel, stride, pad) \
    { 1, n_g, c_, side, side, m_, out, out, kernel, kernel, stride, stride, 1, 1, pad, pad, 0, 0 }
#define WIDE(c_, h_, w_, m_, oh_, ow_, kernel, stride, pad) \
    { 1, 1, c_, h_, w_, m_, oh_, ow_, kernel, kernel, stride, stride, 1, 1, pad, pad, 0, 0 }

static const bench cases[] = {
    {"gemm 850x256x256", 850, 256, 256, {0}},
    {"gemm 197x3072x768", 197, 3072, 768, {0}},
    {"gemm 197x768x3072", 197, 768, 3072, {0}},
    {"gemm 49x512x2048", 49, 512, 2048, {0}},
    {"gemm 1x1000x2048", 1, 1000, 2048, {0}},
    {"gemm 300x4x256", 300, 4, 256, {0}},
    {"conv 3x3 56 64", 0, 0, 0, CONV(1, 64, 56, 64, 56, 3, 1, 1)},
    {"conv 3x3 28 128", 0, 0, 0, CONV(1, 128, 28, 128, 28, 3, 1, 1)},
    {"conv 3x3 14 256", 0, 0, 0, CONV(1, 256, 14, 256, 14, 3, 1, 1)},
    {"conv 3x3 7 512", 0, 0, 0, CONV(1, 512, 7, 512, 7, 3, 1, 1)},
    {"conv 3x3/2 56 128", 0, 0, 0, CONV(1, 128, 56, 128, 28, 3, 2, 1)},
    {"conv 1x1 56 64-256", 0, 0, 0, CONV(1, 64, 56, 256, 56, 1, 1, 0)},
    {"conv 1x1 56 256-64", 0, 0, 0, CONV(1, 256, 56, 64, 56, 1, 1, 0)},
    {"conv 1x1 14 1024-256", 0, 0, 0, CONV(1, 1024, 14, 256, 14, 1, 1, 0)},
    {"conv 1x1/2 56 256-512", 0, 0, 0, CONV(1, 256, 56, 512, 28, 1, 2, 0)},
    {"conv 7x7/2 224 3-64", 0, 0, 0, CONV(1, 3, 224, 64, 112, 7, 2, 3)},
    {"conv 16x16/16 224 3-768", 0, 0, 0, CONV(1, 3, 224, 768, 14, 16, 16, 0)},
    {"conv 1x1 1 240-960", 0, 0, 0, CONV(1, 240, 1, 960, 1, 1, 1, 0)},
    {"depthwise 3x3 112 64", 0, 0, 0, CONV(64, 1, 112, 64, 112, 3, 1, 1)},
    {"depthwise 5x5 28 240", 0, 0, 0, CONV(240, 1, 28, 240, 28, 5, 1, 2)},
    {"depthwise 3x3/2 112 64", 0, 0, 0, CONV(64, 1, 112, 64, 56, 3, 2, 1)},
    {"depthwise 5x5/2 28 240", 0, 0, 0, CONV(240, 1, 28, 240, 14, 5, 2, 2)},
    {"depthwise 5x5 14 672", 0, 0, 0, CONV(672, 1, 14, 672, 14, 5, 1, 2)},
    {"depthwise 5x5 7 960", 0, 0, 0, CONV(960, 1, 7, 960, 7, 5, 1, 2)},
    {"last 3x3 56 64", 0, 0, 0, CONV(1, 64, 56, 64, 56, 3, 1, 1)},
    {"last 3x3 28 128", 0, 0, 0, CONV(1, 128, 28, 128, 28, 3, 1, 1)},
    {"last 3x3 14 256", 0, 0, 0, CONV(1, 256, 14, 256, 14, 3, 1, 1)},
    {"last 3x3 7 512", 0, 0, 0, CONV(1, 512, 7, 512, 7, 3, 1, 1)},
    {"last 3x3/2 56 128", 0, 0, 0, CONV(1, 128, 56, 128, 28, 3, 2, 1)},
    {"last 3x3/2 14 512", 0, 0, 0, CONV(1, 512, 14, 512, 7, 3, 2, 1)},
    {"last 3x3/2 200x267 128", 0, 0, 0, WIDE(128, 200, 267, 128, 100, 134, 3, 2, 1)},
    {"last 3x3 200x267 64", 0, 0, 0, WIDE(64, 200, 267, 64, 200, 267, 3, 1, 1)},
    {"last 1x1 56 64-256", 0, 0, 0, CONV(1, 64, 56, 256, 56, 1, 1, 0)},
    {"last 1x1 56 256-64", 0, 0, 0, CONV(1, 256, 56, 64, 56, 1, 1, 0)},
    {"last 1x1 28 128-512", 0, 0, 0, CONV(1, 128, 28, 512, 28, 1, 1, 0)},
    {"last 1x1 28 512-128", 0, 0, 0, CONV(1, 512, 28, 128, 28, 1, 1, 0)},
    {"last 1x1 14 256-1024", 0, 0, 0, CONV(1, 256, 14, 1024, 14, 1, 1, 0)},
    {"last 1x1 14 1024-256", 0, 0, 0, CONV(1, 1024, 14, 256, 14, 1, 1, 0)},
    {"last 1x1 7 512-2048", 0, 0, 0, CONV(1, 512, 7, 2048, 7, 1, 1, 0)},
    {"last 1x1 7 2048-512", 0, 0, 0, CONV(1, 2048, 7, 512, 7, 1, 1, 0)},
    {"last 1x1/2 56 256-512", 0, 0, 0, CONV(1, 256, 56, 512, 28, 1, 2, 0)},
    {"last 1x1/2 14 1024-2048", 0, 0, 0, CONV(1, 1024, 14, 2048, 7, 1, 2, 0)},
    {"last 1x1 200x267 64-256", 0, 0, 0, WIDE(64, 200, 267, 256, 200, 267, 1, 1, 0)},
    {"last 1x1 200x267 256-64", 0, 0, 0, WIDE(256, 200, 267, 64, 200, 267, 1, 1, 0)},
    {"last 1x1 50x67 1024-256", 0, 0, 0, WIDE(1024, 50, 67, 256, 50, 67, 1, 1, 0)},
    {"last 7x7/2 224 3-64", 0, 0, 0, CONV(1, 3, 224, 64, 112, 7, 2, 3)},
    {"last 7x7/2 800x1066 3-64", 0, 0, 0, WIDE(3, 800, 1066, 64, 400, 533, 7, 2, 3)},
    {"last 16x16/16 224 3-768", 0, 0, 0, CONV(1, 3, 224, 768, 14, 16, 16, 0)},
    {"last 4x4/4 224 3-96", 0, 0, 0, CONV(1, 3, 224, 96, 56, 4, 4, 0)},
    {"last 3x3/2 224 3-16", 0, 0, 0, CONV(1, 3, 224, 16, 112, 3, 2, 1)},
    {"last 3x3/2 224 3-32", 0, 0, 0, CONV(1, 3, 224, 32, 112, 3, 2, 1)},
    {"last 2x2/2 28 192-384", 0, 0, 0, CONV(1, 192, 28, 384, 14, 2, 2, 0)},
    {"last 3x3 28 32g4", 0, 0, 0, CONV(32, 4, 28, 128, 28, 3, 1, 1)},
    {"last 3x3 28 32g16", 0, 0, 0, CONV(32, 16, 28, 512, 28, 3, 1, 1)},
    {"last 3x3 14 7g64", 0, 0, 0, CONV(7, 64, 14, 448, 14, 3, 1, 1)},
};
enum { N_CASES = sizeof cases / sizeof *cases };

static bool is_last(const bench *t) { return !strncmp(t->name, "last", 4); }

typedef struct state {
    float *a, *b, *c, *bias;
    void *scratch;
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

static double setup(const bench *t, const omma_kernels *kern, int threads, state *s) {
    if (t->m) {
        float *b = floats((size_t)t->n * (size_t)t->k);
        s->a = floats((size_t)t->m * (size_t)t->k);
        s->b = floats(omma_gemm_packed_size(kern, t->k, t->n));
        s->c = floats((size_t)t->m * (size_t)t->n);
        s->bias = floats((size_t)t->n);
        s->scratch = floats(omma_gemm_room(kern, threads, t->m, t->n, t->k, t->k) / 4 + 1);
        omma_gemm_pack(kern, s->b, b, t->n, 1, t->k, t->n, threads);
        free(b);
        return 2.0 * t->m * t->n * t->k;
    }
    const omma_conv *p = &t->conv;
    size_t bytes, packed;
    if (is_last(t) ? !omma_last_scratch(kern, p, threads, &bytes)
                   : !omma_conv_scratch(kern, p, threads, &bytes))
        exit(1);
    s->a = floats((size_t)(p->groups * p->c * p->h * p->w));
    s->b = floats((size_t)(p->m * p->c * p->kh * p->kw));
    if (is_last(t)) {
        float *weights = s->b;
        if (!omma_last_packed_bytes(kern, p, &packed)) exit(1);
        s->b = floats(packed / 4);
        omma_last_pack(kern, p, s->b, weights, threads);
        free(weights);
    }
    s->c = floats((size_t)(p->m * p->oh * p->ow));
    s->bias = floats((size_t)p->m);
    s->scratch = floats(bytes / 4 + 1);
    return 2.0 * (double)p->m * (double)p->oh * (double)p->ow * (double)p->c * p->kh * p->kw;
}

static void once(const bench *t, const omma_kernels *kern, int threads, const state *s) {
    if (t->m) {
        const omma_epilogue e = {.col_bias = s->bias};
        omma_gemm(kern, threads, t->m, t->n, t->k, s->a, t->k, s->b, s->c, t->n, &e, s->scratch);
    } else if (is_last(t)) {
        const omma_conv *p = &t->conv;
        const omma_epilogue e = {.col_bias = s->bias, .act = OMMA_ACT_RELU};
        omma_last_run(kern, threads, p, s->a, p->groups * p->c, s->b, s->c, p->m, &e, s->scratch);
    } else {
        const omma_epilogue e = {.row_bias = s->bias, .act = OMMA_ACT_RELU};
        omma_conv_run(kern, threads, &t->conv, s->a, s->b, s->c, &e, s->scratch);
    }
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
        else if (strcmp(argv[i], "--bench")) kern = NULL;
    }
    if (!kern || threads < 1 || threads > OMMA_MAX_THREADS || rounds < 1 || rounds > MAX_ROUNDS) {
        fputs(
            "usage: bench_kernel [--threads T] [--rounds N] [--isa c|avx2|avx512] [--only TEXT]\n",
            stderr);
        return 2;
    }
    if (threads == 1) watch = CLOCK_THREAD_CPUTIME_ID;
    static double rate[N_CASES][MAX_ROUNDS], share[N_CASES][MAX_ROUNDS], peaks[MAX_ROUNDS];
    state states[N_CASES];
    double flop[N_CASES];
    for (int t = 0; t < N_CASES; t++)
        if (strstr(cases[t].name, only)) flop[t] = setup(&cases[t], kern, threads, &states[t]);
    for (int r = 0; r < rounds; r++)
        for (int t = 0; t < N_CASES; t++) {
            if (!strstr(cases[t].name, only)) continue;
            once(&cases[t], kern, threads, &states[t]);
            const double top = peak(kern, threads), t0 = now();
            double t1;
            int64_t n = 0;
            do {
                once(&cases[t], kern, threads, &states[t]);
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
    printf("%-26s %9s %7s %7s %10s\n", "", "GFLOP/s", "%", "best %", "us");
    for (int t = 0; t < N_CASES; t++) {
        if (!strstr(cases[t].name, only)) continue;
        qsort(rate[t], (size_t)rounds, sizeof(double), ascending);
        qsort(share[t], (size_t)rounds, sizeof(double), ascending);
        printf("%-26s %9.1f %7.1f %7.1f %10.1f\n", cases[t].name, rate[t][rounds / 2] * 1e-9,
               100 * share[t][rounds / 2], 100 * share[t][rounds - 1],
               flop[t] / rate[t][rounds / 2] * 1e6);
        free(states[t].a), free(states[t].b), free(states[t].c), free(states[t].bias),
            free(states[t].scratch);
    }
    return 0;
}
