/* bench_print.c - what `omma bench` measured, for people. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench.h"

enum { SHOWN = 30 };

static void put_shape(const omma_tensor *t, int width) {
    int used = 0;
    if (t->rank < 0) used = printf("-");
    if (!t->rank) used = printf("1");
    for (int i = 0; i < t->rank; i++) used += printf("%s%lld", i ? "x" : "", (long long)t->dims[i]);
    printf("%*s", used < width ? width - used : 0, "");
}

static double per(double a, double b) { return b > 0 ? a / b : 0; }

/* --- the profile ------------------------------------------------------------------ */

static int by_seconds(const void *a, const void *b) {
    const omma_profile_node *x = *(const omma_profile_node *const *)a;
    const omma_profile_node *y = *(const omma_profile_node *const *)b;
    if (x->seconds != y->seconds) return x->seconds < y->seconds ? 1 : -1;
    return (x > y) - (x < y);
}

static int by_time(const void *a, const void *b) {
    const bench_group *x = a, *y = b;
    return (x->seconds < y->seconds) - (x->seconds > y->seconds);
}

static bool in_group(const bench_group *g, const omma_profile_node *n) {
    return g->op == n->op && (!g->kind || !strcmp(g->kind, n->kind));
}

bench_group *bench_groups(const omma_profile *p, bool by_kind, int *n) {
    bench_group *g = calloc((size_t)p->count + 1, sizeof *g);
    *n = 0;
    for (int i = 0; g && i < p->count; i++) {
        const omma_profile_node *node = &p->nodes[i];
        int k = 0;
        if (by_kind && !*node->kind) continue;
        while (k < *n && !in_group(&g[k], node)) k++;
        if (k == *n) g[(*n)++] = (bench_group){.op = node->op, .kind = by_kind ? node->kind : NULL};
        g[k].nodes++;
        g[k].seconds += node->seconds;
        g[k].flops += node->flops;
        g[k].bytes += node->bytes;
    }
    if (g) qsort(g, (size_t)*n, sizeof *g, by_time);
    return g;
}

static void put_columns(double seconds, double total, double flops, double bytes) {
    printf("%9.3f %6.1f %10.2f %8.1f %9.2f %7.1f  ", seconds * 1e3, 100 * per(seconds, total),
           flops / 1e6, per(flops, seconds) / 1e9, bytes / 1e6, per(bytes, seconds) / 1e9);
}

static void print_nodes(const omma_profile *p, bool all) {
    const omma_profile_node **sorted = calloc((size_t)p->count + 1, sizeof *sorted);
    const int shown = all || p->count < SHOWN ? p->count : SHOWN;
    for (int i = 0; sorted && i < p->count; i++) sorted[i] = &p->nodes[i];
    if (sorted) qsort(sorted, (size_t)p->count, sizeof *sorted, by_seconds);
    printf("\n%9s %6s %10s %8s %9s %7s  %-20s %-18s %s\n", "ms", "%", "MFLOP", "GFLOP/s", "MB",
           "GB/s", "operator", "output", "node");
    for (int i = 0; sorted && i < shown; i++) {
        const omma_profile_node *n = sorted[i];
        put_columns(n->seconds, p->total, n->flops, n->bytes);
        char what[64];
        snprintf(what, sizeof what, "%s %s", n->op->name, n->kind);
        printf("%-20s ", what);
        put_shape(&n->out, 18);
        printf(" ");
        omma_cli_put_name(n->name, 0);
        printf("\n");
    }
    if (shown < p->count) printf("%9s and %d more; --all shows them\n", "...", p->count - shown);
    free(sorted);
}

static void put_group(const bench_group *g, double total) {
    put_columns(g->seconds, total, g->flops, g->bytes);
    printf("%s%-*s %d\n", g->kind ? "  " : "", g->kind ? 22 : 24, g->kind ? g->kind : g->op->name,
           g->nodes);
}

/* By operator, each with its kinds behind it. */
static void print_groups(const omma_profile *p) {
    int n, m;
    bench_group *g = bench_groups(p, false, &n), *kinds = bench_groups(p, true, &m);
    printf("\n%9s %6s %10s %8s %9s %7s  %-24s %s\n", "ms", "%", "MFLOP", "GFLOP/s", "MB", "GB/s",
           "operator", "nodes");
    for (int i = 0; g && i < n; i++) {
        put_group(&g[i], p->total);
        for (int k = 0; kinds && k < m; k++)
            if (kinds[k].op == g[i].op) put_group(&kinds[k], p->total);
    }
    free(g);
    free(kinds);
}

static void print_profile(const bench_report *r, bool all) {
    const omma_profile *p = &r->profile;
    print_nodes(p, all);
    print_groups(p);
    printf("%9.3f  all nodes, medians over %d runs; a run takes %.3f\n", p->total * 1e3, p->runs,
           r->median * 1e3);
    if (p->strayed)
        printf("%9d  runs went another way than the first: the data decides; they are left out\n",
               p->strayed);
}

/* --- the rest ---------------------------------------------------------------------- */

/* Runs by second, and pictures where there are several a run. */
static void put_throughput(double rate, int batch) {
    printf("%.2f runs/s", rate);
    if (batch) printf(", %.2f pictures/s in batches of %d", rate * batch, batch);
}

static void print_streams(const bench_report *r) {
    const bench_streams *s = &r->streams;
    printf("streams     %d at once: ", s->count);
    put_throughput(s->rate, r->batch);
    printf(", %.2f times one alone\n", per(s->rate, per(1, r->median)));
    printf("            a run takes %.3f ms, median of %lld; one in a hundred more than %.3f\n",
           s->median * 1e3, (long long)s->runs, s->late * 1e3);
}

void bench_print(const bench_report *r, bool all) {
    omma_cli_put_name(r->path, 0);
    printf("\nkernels     %s, %d thread%s\n", r->isa, r->threads, r->threads > 1 ? "s" : "");
    for (int i = 0; i < omma_model_input_count(r->model); i++) {
        printf("input       ");
        omma_cli_put_name(omma_model_input(r->model, i)->name, 0);
        printf(" %s ", omma_dtype_name(r->inputs[i].dtype));
        put_shape(&r->inputs[i], 0);
        printf("\n");
    }
    printf("load        %.1f ms: open %.1f, session %.1f, first run %.1f\n",
           (r->open + r->session + r->first) * 1e3, r->open * 1e3, r->session * 1e3,
           r->first * 1e3);
    printf("a run       %.3f ms, median of %d; half within %.3f .. %.3f, min %.3f, max %.3f\n",
           r->median * 1e3, r->rounds, r->q1 * 1e3, r->q3 * 1e3, r->min * 1e3, r->max * 1e3);
    if (r->batch) {
        printf("            ");
        put_throughput(per(1, r->median), r->batch);
        printf("\n");
    }
    if (r->streams.count) print_streams(r);
    printf("arithmetic  %.3f GFLOP, %.1f GFLOP/s: %.1f %% of the %.0f that this machine reaches\n",
           r->flops / 1e9, per(r->flops, r->median) / 1e9,
           100 * per(per(r->flops, r->median), r->peak), r->peak / 1e9);
    printf("memory      %.1f MB for values, %.1f MB held by the session, %.1f MB at most by the "
           "process\n",
           (double)r->size.plans / 1e6, (double)r->size.all / 1e6, (double)r->memory / 1e6);
    if (r->profiled) print_profile(r, all);
}

static void put_rate(const char *what, const omma_machine_rate *rate, const char *unit,
                     const omma_machine *m) {
    if (!(rate->one > 0)) {
        printf("%-22s not on this processor\n", what);
        return;
    }
    printf("%-22s %8.1f %-7s", what, rate->one / 1e9, unit);
    if (m->threads > 1) printf(" %8.1f on %d threads", rate->all / 1e9, m->threads);
    printf("\n");
}

void bench_print_machine(const omma_machine *m) {
    printf("kernels %s, one thread%s\n", m->isa, m->threads > 1 ? " and all" : "");
    put_rate("multiply-add float32", &m->fma_f32, "GFLOP/s", m);
    put_rate("dot product bfloat16", &m->dot_bf16, "GFLOP/s", m);
    put_rate("dot product int8", &m->dot_int8, "GOP/s", m);
    for (int i = 0; i < OMMA_MACHINE_LEVELS; i++) {
        char what[64];
        const double kib = (double)m->size[i] / 1024;
        snprintf(what, sizeof what, "read %s (%.0f %s)", omma_machine_level(i),
                 kib < 1024 ? kib : kib / 1024, kib < 1024 ? "KiB" : "MiB");
        put_rate(what, &m->read[i], "GB/s", m);
    }
}
