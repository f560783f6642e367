/* bench_conv_grad.c - what the gradient of a convolution by its input costs beside the convolution:
 * milliseconds of the nodes of both, of as many multiplications, and their ratio.
 *
 *     bench_conv_grad [--threads T] [--rounds N] [--only TEXT] [--nodes]
 *
 * Each stands between two small 1x1 convolutions, so that maps lie as they do inside a network; the
 * nodes between those count. The machine may be shared: cases are interleaved over rounds, medians
 * are shown; with one thread its processor time is measured, so that being put aside does not
 * count, with more the time on the wall. --nodes prints what the gradient is made of. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "op/conv_grad.h"
#include "run/session.h"

enum { MAX_ROUNDS = 101, EDGE = 16 }; /* channels outside */

typedef struct bench {
    const char *name;
    int n, c, m, in, k, stride, pad, group;
} bench;

static const bench cases[] = {
    {"stem 7x7 s2 3>64 224", 1, 3, 64, 224, 7, 2, 3, 1},
    {"3x3 s1 64>64 56", 1, 64, 64, 56, 3, 1, 1, 1},
    {"3x3 s2 128>128 56", 1, 128, 128, 56, 3, 2, 1, 1},
    {"1x1 s2 256>512 56", 1, 256, 512, 56, 1, 2, 0, 1},
    {"3x3 s2 256>256 28", 1, 256, 256, 28, 3, 2, 1, 1},
    {"1x1 s2 512>1024 28", 1, 512, 1024, 28, 1, 2, 0, 1},
    {"3x3 s2 512>512 14", 1, 512, 512, 14, 3, 2, 1, 1},
    {"1x1 s2 1024>2048 14", 1, 1024, 2048, 14, 1, 2, 0, 1},
    {"3x3 s2 dw 96 112", 1, 96, 96, 112, 3, 2, 1, 96},
    {"patch 16x16 s16 3>768 224", 1, 3, 768, 224, 16, 16, 0, 1},
    {"3x3 s2 256>256 28 x4", 4, 256, 256, 28, 3, 2, 1, 1},
};
enum { N_CASES = sizeof cases / sizeof *cases };

/* One of the two graphs, and the time of its nodes in the run at hand. */
typedef struct side {
    omma_arena arena;
    omma_graph *g;
    omma_session *session;
    omma_tensor input;
    int edges;
    double last, sum, time[MAX_ROUNDS];
    bool print;
} side;

static clockid_t watch = CLOCK_MONOTONIC;

static double now(void) {
    struct timespec t;
    clock_gettime(watch, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static omma_value *weights(side *s, const char *name, int rank, const int64_t *dims) {
    size_t count = 1;
    for (int i = 0; i < rank; i++) count *= (size_t)dims[i];
    float *w = omma_arena_array(&s->arena, count, sizeof *w);
    if (!w) fail("out of memory");
    for (size_t i = 0; i < count; i++) w[i] = (float)((i * 7919) % 1000) * 0.0004f - 0.2f;
    return omma_graph_constant(s->g, name, OMMA_F32, rank, dims, w);
}

/* A 1x1 convolution of x to m channels. */
static omma_value *edge(omma_maker *m, side *s, const char *name, omma_value *x, int64_t channels) {
    const omma_node of = {.name = name, .op = omma_op_find("Conv"), .n_out = 1, .out = &x};
    omma_value *w = weights(s, name, 4, (int64_t[]){channels, x->dims[1], 1, 1});
    m->of = &of;
    return omma_make_2(m, "Conv", x, w);
}

/* The gradient by x, or the convolution itself. */
static void build(side *s, const bench *b, bool back, int threads) {
    omma_error err;
    omma_arena_init(&s->arena, NULL);
    s->g = omma_graph_new(&s->arena, "bench");
    omma_build build = {.arena = &s->arena, .err = &err, .kern = omma_kernels_best()};
    omma_maker m = {.b = &build, .g = s->g, .tag = "b"};
    const int out = (b->in + 2 * b->pad - b->k) / b->stride + 1, from = back ? out : b->in;
    const int64_t win_dims[] = {b->n, b->c, b->in, b->in}, k[] = {b->k, b->k};
    omma_value *u = omma_graph_value(s->g, "u"), x = {.rank = 4, .name = "x"};
    u->dtype = OMMA_F32, u->rank = 4, u->is_input = true;
    memcpy(u->dims, (int64_t[]){b->n, EDGE, from, from}, 4 * sizeof *u->dims);
    memcpy(x.dims, win_dims, sizeof win_dims);
    omma_value *a = edge(&m, s, "edge", u, back ? b->m : b->c), *w, *y;
    w = weights(s, "w", 4, (int64_t[]){b->m, b->c / b->group, b->k, b->k});
    const int64_t strides[] = {b->stride, b->stride}, pads[] = {b->pad, b->pad, b->pad, b->pad};
    const omma_attr attrs[] = {OMMA_A_INTS("strides", strides, 2), OMMA_A_INTS("pads", pads, 4),
                               OMMA_A_INT("group", b->group)};
    const omma_node of = {.name = "conv",
                          .op = omma_op_find("Conv"),
                          .n_out = 1,
                          .out = &a,
                          .attrs = attrs,
                          .n_attrs = 3};
    m.of = &of;
    if (back) {
        omma_window win;
        if (omma_window_read(&build, &of, &x, k, &win) ||
            omma_window_slide(&build, &of, false, &win))
            fail(err.message);
        y = omma_conv_grad_input(&m, a, w, &x, &win, b->group);
    } else y = omma_make(&m, "Conv", (omma_value *[]){a, w}, 2, attrs, 3);
    y = y ? edge(&m, s, "edge behind", y, EDGE) : NULL;
    if (m.status || !y) fail(err.message);
    y->is_output = true;
    s->g->inputs = omma_arena_array(&s->arena, 1, sizeof *s->g->inputs);
    s->g->outputs = omma_arena_array(&s->arena, 1, sizeof *s->g->outputs);
    s->g->inputs[s->g->n_inputs++] = u, s->g->outputs[s->g->n_outputs++] = y;
    const omma_options opt = {.threads = threads};
    if (omma_session_on_graph(&s->session, s->g, "bench", &opt, &err)) fail(err.message);
    s->input = omma_value_tensor(u);
    s->input.data = omma_arena_array(&s->arena, (size_t)omma_value_count(u), sizeof(float));
    if (!s->input.data) fail("out of memory");
    for (int64_t i = 0; i < omma_value_count(u); i++)
        ((float *)s->input.data)[i] = (float)(i % 977) * 0.002f - 1;
}

/* Between the edges: behind the node "edge", before "edge behind". */
static void told(void *user, const omma_node *n, double start, double end) {
    side *s = user;
    const double t = now(), taken = t - s->last;
    s->last = t;
    (void)start, (void)end;
    const bool moves = !strcmp(n->op->name, "Transpose") || !strcmp(n->op->name, "Reshape");
    if (!strncmp(n->name, "edge", 4) && !moves) {
        s->edges++;
        return;
    }
    if (s->edges != 1) return;
    s->sum += taken;
    if (!s->print) return;
    printf("    %-20s %8.3f ms ", n->op->name, 1e3 * taken);
    for (int d = 0; d < n->out[0]->rank; d++) printf(" %lld", (long long)n->out[0]->dims[d]);
    printf("\n");
}

static void run(side *s, int round) {
    const omma_observer o = {told, s};
    omma_error err;
    s->edges = 0, s->sum = 0;
    s->last = now();
    omma_session_observe(s->session, &o);
    if (omma_session_run(s->session, &s->input, 1, &err)) fail(err.message);
    s->time[round] = s->sum;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(side *s, int rounds) {
    qsort(s->time, (size_t)rounds, sizeof *s->time, ascending);
    return s->time[rounds / 2];
}

int main(int argc, char **argv) {
    static side sides[N_CASES][2];
    int threads = 1, rounds = 21;
    const char *only = "";
    bool nodes = false;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--nodes")) nodes = true;
        else if (!strcmp(argv[i], "--threads") && i + 1 < argc) threads = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--rounds") && i + 1 < argc) rounds = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--only") && i + 1 < argc) only = argv[++i];
        else fail("bench_conv_grad [--threads T] [--rounds N] [--only TEXT] [--nodes]");
    }
    if (threads == 1) watch = CLOCK_PROCESS_CPUTIME_ID;
    if (rounds < 1 || rounds > MAX_ROUNDS) fail("rounds: 1 to 101");
    for (int i = 0; i < N_CASES; i++)
        for (int k = 0; k < 2 && strstr(cases[i].name, only); k++) {
            build(&sides[i][k], &cases[i], k, threads);
            run(&sides[i][k], 0);
            run(&sides[i][k], 0);
        }
    for (int r = 0; r < rounds; r++)
        for (int i = 0; i < N_CASES; i++)
            for (int k = 0; k < 2 && sides[i][k].session; k++) run(&sides[i][k], r);
    printf("%-26s %9s %9s %9s %6s\n", "case", "GFLOP", "forward", "by input", "ratio");
    for (int i = 0; i < N_CASES; i++) {
        if (!sides[i][0].session) continue;
        const bench *b = &cases[i];
        const double out = (double)((b->in + 2 * b->pad - b->k) / b->stride + 1);
        const double flop = 2 * b->n * out * out * b->m * (b->c / b->group) * b->k * b->k;
        const double t = median(&sides[i][0], rounds), back = median(&sides[i][1], rounds);
        printf("%-26s %9.3f %6.3f ms %6.3f ms %6.2f\n", b->name, 1e-9 * flop, 1e3 * t, 1e3 * back,
               back / t);
        sides[i][1].print = nodes;
        if (nodes) run(&sides[i][1], 0);
    }
    for (int i = 0; i < N_CASES; i++)
        for (int k = 0; k < 2; k++) {
            omma_session_free(sides[i][k].session);
            omma_arena_free(&sides[i][k].arena);
        }
    return 0;
}
