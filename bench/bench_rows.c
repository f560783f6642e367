/* bench_rows.c - what the kernels reach that are no dense products: depthwise convolution on
 * channels-last maps, in GFLOP/s and per cent of the FMA peak that registers alone reach in the
 * same round, and in GB/s of what is read and written once.
 *
 *     bench_rows [--threads T] [--rounds N] [--isa c|avx2|avx512] [--only TEXT]
 *
 * Measured as in bench_kernel.c: cases interleaved over rounds, medians; processor time with one
 * thread, the time on the wall with more. */
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

/* FMAs on one thread: what others are compared with is this times their number. */
static double peak(const omma_kernels *kern, int threads) {
    const double t0 = now();
    double flop = 0;
    for (int i = 0; i < 4; i++) flop += omma_limits_of(kern)->fma_f32(10000);
    return flop / (now() - t0) * threads;
}

typedef struct bench {
    const char *name;
    omma_conv conv;
    float *x, *y, *w, *bias;
    double flop, bytes;
    double rate[MAX_ROUNDS], share[MAX_ROUNDS];
} bench;

#define DEPTHWISE(c, side, out, k, s) \
    { 1, c, 1, side, side, c, out, out, k, k, s, s, 1, 1, k / 2, k / 2 }

static bench cases[] = {
    {.name = "depthwise 3x3 112 16", .conv = DEPTHWISE(16, 112, 112, 3, 1)},
    {.name = "depthwise 3x3/2 112 64", .conv = DEPTHWISE(64, 112, 56, 3, 2)},
    {.name = "depthwise 3x3 56 72", .conv = DEPTHWISE(72, 56, 56, 3, 1)},
    {.name = "depthwise 5x5/2 56 72", .conv = DEPTHWISE(72, 56, 28, 5, 2)},
    {.name = "depthwise 5x5 28 120", .conv = DEPTHWISE(120, 28, 28, 5, 1)},
    {.name = "depthwise 3x3/2 28 240", .conv = DEPTHWISE(240, 28, 14, 3, 2)},
    {.name = "depthwise 3x3 14 200", .conv = DEPTHWISE(200, 14, 14, 3, 1)},
    {.name = "depthwise 5x5 14 672", .conv = DEPTHWISE(672, 14, 14, 5, 1)},
    {.name = "depthwise 5x5/2 14 672", .conv = DEPTHWISE(672, 14, 7, 5, 2)},
    {.name = "depthwise 5x5 7 960", .conv = DEPTHWISE(960, 7, 7, 5, 1)},
    {.name = "depthwise 7x7 56 96", .conv = DEPTHWISE(96, 56, 56, 7, 1)},
    {.name = "depthwise 7x7 28 192", .conv = DEPTHWISE(192, 28, 28, 7, 1)},
    {.name = "depthwise 7x7 14 384", .conv = DEPTHWISE(384, 14, 14, 7, 1)},
    {.name = "depthwise 7x7 7 768", .conv = DEPTHWISE(768, 7, 7, 7, 1)},
    {.name = "depthwise 3x3 320 64", .conv = DEPTHWISE(64, 320, 320, 3, 1)},
    {.name = "depthwise 5x5 80 128", .conv = DEPTHWISE(128, 80, 80, 5, 1)},
    {.name = "depthwise 9x9 28 96", .conv = DEPTHWISE(96, 28, 28, 9, 1)},
};
enum { N_CASES = sizeof cases / sizeof *cases };

static void *floats(size_t n) {
    float *p = aligned_alloc(64, (n * 4 + 64 + 63) & ~(size_t)63);
    if (!p) {
        fputs("out of memory\n", stderr);
        exit(1);
    }
    for (size_t i = 0; i < n; i++) p[i] = (float)((i * 7919) % 1000) * 0.001f - 0.5f;
    return p;
}

/* Taps that lie in the map, over the outputs of one axis. */
static double taps(int64_t in, int64_t out, int k, int stride, int64_t pad) {
    double n = 0;
    for (int64_t o = 0; o < out; o++)
        for (int t = 0; t < k; t++) n += o * stride + t - pad >= 0 && o * stride + t - pad < in;
    return n;
}

static void setup(bench *b, const omma_kernels *kern) {
    const omma_conv *p = &b->conv;
    const size_t in = (size_t)(p->h * p->w * p->groups), out = (size_t)(p->oh * p->ow * p->m);
    size_t bytes;
    if (!omma_last_packed_bytes(kern, p, &bytes)) exit(1);
    b->x = floats(in), b->y = floats(out), b->bias = floats((size_t)p->m);
    b->w = floats(bytes / 4);
    float *w = floats((size_t)(p->m * p->kh * p->kw));
    omma_last_pack(kern, p, b->w, w, 1);
    free(w);
    b->flop = 2 * (double)p->m * taps(p->h, p->oh, p->kh, p->stride_h, p->pad_top) *
              taps(p->w, p->ow, p->kw, p->stride_w, p->pad_left);
    b->bytes = 4 * (double)(in + out) + (double)bytes;
}

static void once(const bench *b, const omma_kernels *kern, int threads) {
    const omma_epilogue e = {.col_bias = b->bias, .act = OMMA_ACT_RELU};
    omma_last_run(kern, threads, &b->conv, b->x, b->conv.m, b->w, b->y, b->conv.m, &e, NULL);
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}
static double median(double *v, int n) {
    qsort(v, (size_t)n, sizeof *v, ascending);
    return v[n / 2];
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
        fputs("usage: bench_rows [--threads T] [--rounds N] [--isa c|avx2|avx512] [--only TEXT]\n",
              stderr);
        return 2;
    }
    if (threads == 1) watch = CLOCK_THREAD_CPUTIME_ID;
    for (int t = 0; t < N_CASES; t++)
        if (strstr(cases[t].name, only)) setup(&cases[t], kern);
    for (int r = 0; r < rounds; r++)
        for (int t = 0; t < N_CASES; t++) {
            bench *b = &cases[t];
            if (!b->x) continue;
            once(b, kern, threads);
            const double top = peak(kern, threads), t0 = now();
            double t1;
            int64_t n = 0;
            do once(b, kern, threads), n++;
            while ((t1 = now()) - t0 < SLICE);
            const double top2 = peak(kern, threads);
            b->rate[r] = (double)n / (t1 - t0);
            b->share[r] = b->flop * b->rate[r] / (top > top2 ? top : top2);
        }
    printf("%s, %d thread%s\n", kern->isa, threads, threads > 1 ? "s" : "");
    printf("%-26s %9s %7s %9s %10s\n", "", "GFLOP/s", "%", "GB/s", "us");
    for (int t = 0; t < N_CASES; t++) {
        bench *b = &cases[t];
        if (!b->x) continue;
        const double rate = median(b->rate, rounds);
        printf("%-26s %9.1f %7.1f %9.1f %10.1f\n", b->name, b->flop * rate * 1e-9,
               100 * median(b->share, rounds), b->bytes * rate * 1e-9, 1e6 / rate);
        free(b->x), free(b->y), free(b->w), free(b->bias);
    }
    return 0;
}
