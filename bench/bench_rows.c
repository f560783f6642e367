/* bench_rows.c - what the kernels reach that are no dense products: depthwise convolution and
 * pooling on channels-last maps and, through the operators' rows, moves, sums, norms and functions
 * of numbers. In GB/s of what is read and written once, and where arithmetic counts in GFLOP/s and
 * per cent of the FMA peak that registers alone reach in the same round.
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
#include "kernel/pool_last.h"
#include "op/op.h"

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
    omma_conv conv; /* depthwise, or of the geometry of a pooling */
    int pool;       /* 1: maximum, 2: mean */
    const char *op; /* or an operator with these inputs and one list of integers */
    int64_t dims[2][5];
    const char *attr;
    int64_t ints[5];
    int n_ints; /* -1: an integer, not a list */
    float *x, *y, *w, *bias;
    omma_node *node;
    double flop, bytes;
    double rate[MAX_ROUNDS], share[MAX_ROUNDS];
} bench;

#define MAP(c, side, out, k, s) \
    { 1, c, 1, side, side, c, out, out, k, k, s, s, 1, 1, k / 2, k / 2 }
#define OP(op_, ...) .name = op_ " " #__VA_ARGS__, .op = op_, .dims = {__VA_ARGS__}

static bench cases[] = {
    {.name = "depthwise 3x3 112 16", .conv = MAP(16, 112, 112, 3, 1)},
    {.name = "depthwise 3x3/2 112 64", .conv = MAP(64, 112, 56, 3, 2)},
    {.name = "depthwise 3x3 56 72", .conv = MAP(72, 56, 56, 3, 1)},
    {.name = "depthwise 5x5/2 56 72", .conv = MAP(72, 56, 28, 5, 2)},
    {.name = "depthwise 5x5 28 120", .conv = MAP(120, 28, 28, 5, 1)},
    {.name = "depthwise 3x3/2 28 240", .conv = MAP(240, 28, 14, 3, 2)},
    {.name = "depthwise 3x3 14 200", .conv = MAP(200, 14, 14, 3, 1)},
    {.name = "depthwise 5x5 14 672", .conv = MAP(672, 14, 14, 5, 1)},
    {.name = "depthwise 5x5/2 14 672", .conv = MAP(672, 14, 7, 5, 2)},
    {.name = "depthwise 5x5 7 960", .conv = MAP(960, 7, 7, 5, 1)},
    {.name = "depthwise 7x7 56 96", .conv = MAP(96, 56, 56, 7, 1)},
    {.name = "depthwise 7x7 28 192", .conv = MAP(192, 28, 28, 7, 1)},
    {.name = "depthwise 7x7 14 384", .conv = MAP(384, 14, 14, 7, 1)},
    {.name = "depthwise 7x7 7 768", .conv = MAP(768, 7, 7, 7, 1)},
    {.name = "depthwise 3x3 320 64", .conv = MAP(64, 320, 320, 3, 1)},
    {.name = "depthwise 5x5 80 128", .conv = MAP(128, 80, 80, 5, 1)},
    {.name = "depthwise 9x9 28 96", .conv = MAP(96, 28, 28, 9, 1)},
    {.name = "max 3x3/2 112 64", .conv = MAP(64, 112, 56, 3, 2), .pool = 1},
    {.name = "max 5x5 20 256", .conv = MAP(256, 20, 20, 5, 1), .pool = 1},
    {.name = "max 2x2/2 56 64", .conv = MAP(64, 56, 28, 2, 2), .pool = 1},
    {.name = "max 2x2 160 16", .conv = MAP(16, 160, 160, 2, 1), .pool = 1},
    {.name = "mean 3x3 56 64", .conv = MAP(64, 56, 56, 3, 1), .pool = 2},
    {OP("Transpose", {1, 64, 56, 56}), .attr = "perm", .ints = {0, 2, 3, 1}, .n_ints = 4},
    {OP("Transpose", {1, 56, 56, 64}), .attr = "perm", .ints = {0, 3, 1, 2}, .n_ints = 4},
    {OP("Transpose", {1, 3, 224, 224}), .attr = "perm", .ints = {0, 2, 3, 1}, .n_ints = 4},
    {OP("Transpose", {1, 224, 224, 3}), .attr = "perm", .ints = {0, 3, 1, 2}, .n_ints = 4},
    {OP("Transpose", {1, 197, 12, 64}), .attr = "perm", .ints = {0, 2, 1, 3}, .n_ints = 4},
    {OP("Transpose", {1, 12, 197, 64}), .attr = "perm", .ints = {0, 1, 3, 2}, .n_ints = 4},
    {OP("Transpose", {8, 7, 8, 7, 96}), .attr = "perm", .ints = {0, 2, 1, 3, 4}, .n_ints = 5},
    {OP("Add", {56, 56, 96}, {56, 56, 96})},
    {OP("Add", {14, 14, 96}, {14, 14, 96})},
    {OP("Add", {56, 56, 96}, {96})},
    {OP("Mul", {1, 28, 28, 120}, {1, 1, 1, 120})},
    {OP("Mul", {8, 14, 14, 120}, {8, 1, 1, 120})},
    {OP("Mul", {1, 112, 112, 16}, {16})},
    {OP("Mul", {1, 120, 28, 28}, {1, 120, 1, 1})},
    {OP("Mul", {1, 960, 7, 7}, {1, 960, 1, 1})},
    {OP("Mul", {56, 56, 96}, {1})},
    {OP("Div", {14, 14, 96}, {1})},
    {OP("Pow", {14, 14, 96}, {1})},
    {OP("Relu", {56, 56, 96})},
    {OP("Relu", {14, 14, 96})},
    {OP("Sigmoid", {14, 14, 96})},
    {OP("HardSigmoid", {14, 14, 96})},
    {OP("HardSwish", {14, 14, 96})},
    {OP("Gelu", {14, 14, 96})},
    {OP("Softmax", {12, 197, 197})},
    {OP("Softmax", {300, 80})},
    {OP("LayerNormalization", {56, 56, 96}, {96})},
    {OP("LayerNormalization", {197, 768}, {768})},
    {OP("LayerNormalization", {197, 64}, {64})},
    {OP("InstanceNormalization", {1, 32, 56, 56}, {32})},
    {OP("ReduceMean", {1, 56, 56, 96}), .attr = "axes", .ints = {1, 2}, .n_ints = 2},
    {OP("ReduceMean", {1, 7, 7, 960}), .attr = "axes", .ints = {1, 2}, .n_ints = 2},
    {OP("ReduceMean", {197, 768}), .attr = "axes", .ints = {1}, .n_ints = 1},
    {OP("GlobalAveragePool", {1, 120, 28, 28})},
    {OP("GlobalAveragePool", {1, 960, 7, 7})},
    {OP("ConvTranspose", {1, 24, 160, 160}, {24, 24, 2, 2}), .attr = "strides", .ints = {2, 2},
     .n_ints = 2},
    {OP("ConvTranspose", {1, 24, 320, 320}, {24, 1, 2, 2}), .attr = "strides", .ints = {2, 2},
     .n_ints = 2},
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

static void setup_map(bench *b, const omma_kernels *kern) {
    const omma_conv *p = &b->conv;
    const size_t in = (size_t)(p->h * p->w * p->groups), out = (size_t)(p->oh * p->ow * p->m);
    size_t bytes = 0;
    if (!b->pool && !omma_last_packed_bytes(kern, p, &bytes)) exit(1);
    b->x = floats(in), b->y = floats(out), b->bias = floats((size_t)p->m);
    b->w = floats(bytes / 4);
    float *w = floats((size_t)(p->m * p->kh * p->kw));
    if (!b->pool) omma_last_pack(kern, p, b->w, w, 1);
    free(w);
    b->flop = 2 * (double)p->m * taps(p->h, p->oh, p->kh, p->stride_h, p->pad_top) *
              taps(p->w, p->ow, p->kw, p->stride_w, p->pad_left);
    b->bytes = 4 * (double)(in + out) + (double)bytes;
}

static omma_arena arena;

static omma_value *operand(omma_graph *g, const int64_t *dims) {
    int rank = 0;
    while (rank < 5 && dims[rank]) rank++;
    omma_value *v = omma_graph_value(g, "x");
    v->dtype = OMMA_F32, v->rank = rank;
    memcpy(v->dims, dims, (size_t)rank * sizeof *dims);
    v->mem = floats((size_t)omma_value_count(v));
    return v;
}

static void setup_op(bench *b, const omma_kernels *kern, int threads) {
    omma_error err = {0};
    omma_build build = {.arena = &arena, .err = &err, .kern = kern, .threads = threads};
    omma_graph *g = omma_graph_new(&arena, "bench");
    const bool norm = strstr(b->op, "Norm");
    const int n_in = norm ? 3 : b->dims[1][0] ? 2 : 1;
    omma_attr attr = {.name = b->attr, .kind = OMMA_ATTR_INTS, .ints = b->ints, .count = b->n_ints};
    omma_attr *kept = omma_arena_alloc(&arena, sizeof attr);
    b->node = omma_graph_node(g, omma_op_find(b->op), "node", n_in, 1);
    b->node->opset = 13 + 7 * !strcmp(b->op, "Gelu") + 4 * norm;
    *kept = attr;
    if (b->attr) b->node->attrs = kept, b->node->n_attrs = 1;
    for (int i = 0; i < n_in; i++) b->node->in[i] = operand(g, b->dims[i ? 1 : 0]);
    omma_value *y = omma_graph_value(g, "y");
    omma_node_set_output(b->node, 0, y);
    if (b->node->op->infer(&build, b->node) ||
        (b->node->op->prepare && b->node->op->prepare(&build, b->node))) {
        fprintf(stderr, "%s: %s\n", b->name, err.message);
        exit(1);
    }
    b->node->work = floats(b->node->scratch / 4 + 1);
    b->y = y->mem = floats((size_t)omma_value_count(y));
    b->bytes = 4 * (double)omma_value_count(y);
    for (int i = 0; i < n_in; i++) b->bytes += 4 * (double)omma_value_count(b->node->in[i]);
    b->x = b->node->in[0]->mem;
}

static void setup(bench *b, const omma_kernels *kern, int threads) {
    if (b->op) setup_op(b, kern, threads);
    else setup_map(b, kern);
}

static void once(const bench *b, const omma_kernels *kern, int threads) {
    const omma_conv *p = &b->conv;
    if (b->op) {
        const omma_exec x = {.threads = threads, .kern = kern};
        b->node->op->run(&x, b->node);
    } else if (b->pool) {
        const omma_pooling q = {.n = 1,
                                .c = p->m,
                                .h = p->h,
                                .w = p->w,
                                .oh = p->oh,
                                .ow = p->ow,
                                .kh = p->kh,
                                .kw = p->kw,
                                .stride_h = p->stride_h,
                                .stride_w = p->stride_w,
                                .dilation_h = 1,
                                .dilation_w = 1,
                                .pad_top = p->kh % 2,
                                .pad_left = p->kw % 2,
                                .mean = b->pool == 2};
        omma_pool_last(kern, threads, &q, b->x, p->m, b->y, p->m);
    } else {
        const omma_epilogue e = {.col_bias = b->bias, .act = OMMA_ACT_RELU};
        omma_last_run(kern, threads, p, b->x, p->m, b->w, b->y, p->m, &e, NULL);
    }
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
    omma_arena_init(&arena, NULL);
    for (int t = 0; t < N_CASES; t++)
        if (strstr(cases[t].name, only)) setup(&cases[t], kern, threads);
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
    printf("%-46s %9s %7s %9s %10s\n", "", "GFLOP/s", "%", "GB/s", "us");
    for (int t = 0; t < N_CASES; t++) {
        bench *b = &cases[t];
        if (!b->x) continue;
        const double rate = median(b->rate, rounds);
        printf("%-46s %9.1f %7.1f %9.1f %10.1f\n", b->name, b->flop * rate * 1e-9,
               100 * median(b->share, rounds), b->bytes * rate * 1e-9, 1e6 / rate);
    }
    return 0;
}
