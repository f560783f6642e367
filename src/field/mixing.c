/* mixing.c - see mixing.h. Queries are split over threads; each makes every vector from every key
 * in turn, takes its norm, and adds it to the mixed or the preserved one. */
#include "field/mixing.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "base/pool.h"
#include "field/dense.h"

typedef struct work {
    const omma_mixing *m;
    omma_mixed out;
    double *vectors; /* [threads, 3, width]: of a key; mixed, preserved */
    atomic_bool bad; /* something is not finite */
} work;

/* |u| behind the layer norm of query i. */
static double norm_of(const omma_mixing *m, const double *u, int64_t i) {
    double mean = 0, sum = 0;
    for (int64_t c = 0; c < m->width && m->centred && m->scale; c++) mean += u[c];
    mean /= (double)m->width;
    for (int64_t c = 0; c < m->width; c++) {
        const double v = (u[c] - mean) * (m->gamma && m->scale ? (double)m->gamma[c] : 1);
        sum += v * v;
    }
    return sqrt(sum) * (m->scale ? (double)m->scale[i] : 1);
}

/* u = sum_h a_ij^h f_h(x_j). */
static void gather(const omma_mixing *m, double *u, int64_t i, int64_t j) {
    memset(u, 0, (size_t)m->width * sizeof *u);
    for (int64_t h = 0; h < m->heads; h++) {
        const double a = (double)m->weights[(h * m->queries + i) * m->keys + j];
        const float *f = m->transformed + (h * m->keys + j) * m->width;
        for (int64_t c = 0; c < m->width; c++) u[c] += a * (double)f[c];
    }
}

static void add(double *to, const double *u, int64_t n) {
    for (int64_t c = 0; c < n; c++) to[c] += u[c];
}

static void add_residual(const omma_mixing *m, double *u, int64_t i) {
    for (int64_t c = 0; c < m->width && m->residual; c++)
        u[c] += (double)m->residual[i * m->width + c];
}

static void one_query(work *w, int64_t i, double *u) {
    const omma_mixing *m = w->m;
    double *mixed = u + m->width, *kept = mixed + m->width;
    memset(mixed, 0, 2 * (size_t)m->width * sizeof *mixed);
    if (!m->same) add_residual(m, kept, i);
    for (int64_t j = 0; j < m->keys; j++) {
        const bool own = m->same && j == i;
        gather(m, u, i, j);
        if (own) add_residual(m, u, i);
        if (w->out.norm) w->out.norm[i * m->keys + j] = norm_of(m, u, i);
        add(own ? kept : mixed, u, m->width);
    }
    const double a = norm_of(m, mixed, i), b = norm_of(m, kept, i);
    if (w->out.mixed) w->out.mixed[i] = a;
    if (w->out.preserved) w->out.preserved[i] = b;
    if (w->out.ratio) w->out.ratio[i] = a / (a + b);
    if (!isfinite(a) || !isfinite(b)) atomic_store(&w->bad, true);
}

static void some_queries(void *arg, int64_t begin, int64_t end, int worker) {
    work *w = arg;
    double *vectors = w->vectors + 3 * w->m->width * worker;
    for (int64_t i = begin; i < end; i++) one_query(w, i, vectors);
}

omma_status omma_mixing_measure(const omma_mixed *out, const omma_mixing *m, omma_arena *arena,
                                omma_error *err) {
    const int threads = omma_threads_default();
    const int64_t dims[] = {threads, 3, m->width};
    work w = {.m = m, .out = *out};
    if (m->heads < 1 || m->queries < 1 || m->keys < 1)
        return omma_fail(err, OMMA_E_RANGE, "no attention has %lld heads, %lld queries, %lld keys",
                         (long long)m->heads, (long long)m->queries, (long long)m->keys);
    if (m->same && m->queries != m->keys)
        return omma_fail(err, OMMA_E_SHAPE, "self-attention with %lld queries and %lld keys",
                         (long long)m->queries, (long long)m->keys);
    omma_arena tmp;
    omma_arena_init(&tmp, arena->budget);
    const omma_status s = omma_dense_alloc(&w.vectors, &tmp, dims, 3, "mixing", err);
    if (!s) omma_parallel(threads, m->queries, 4, some_queries, &w);
    omma_arena_free(&tmp);
    if (!s && atomic_load(&w.bad))
        return omma_fail(err, OMMA_E_RANGE, "attention moves numbers that are not finite");
    return s;
}

void omma_mixing_weights(double *ratio, const float *weights, int64_t heads, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        double own = 0;
        for (int64_t h = 0; h < heads; h++) own += (double)weights[(h * n + i) * n + i];
        ratio[i] = 1 - own / (double)heads;
    }
}
