/* machine.c - see machine.h. Every figure comes from jobs of many items on the pool, so that a
 * thread that comes late or is put aside does less instead of making the others wait. */
#include "run/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/pool.h"
#include "run/debug.h"

enum { RUNS = 7, ITEMS = 8 }; /* ITEMS: of a job, by thread */

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* --- arithmetic ------------------------------------------------------------------ */

typedef struct burn {
    double (*loop)(int64_t steps);
    int64_t steps; /* of an item */
    double done[OMMA_MAX_THREADS];
} burn;

static void burn_items(void *arg, int64_t begin, int64_t end, int worker) {
    burn *b = arg;
    for (int64_t i = begin; i < end; i++) b->done[worker] += b->loop(b->steps);
}

static double sum(const double *x, int n) {
    double s = 0;
    for (int i = 0; i < n; i++) s += x[i];
    return s;
}

/* Operations a second of a job of about `seconds`. */
static double burn_once(double (*loop)(int64_t steps), int threads, double seconds) {
    burn b = {loop, 1000, {0}};
    double start = omma_debug_clock();
    loop(b.steps);
    const double step = (omma_debug_clock() - start) / (double)b.steps;
    b.steps = (int64_t)(seconds / ITEMS / (step > 1e-10 ? step : 1e-10)) + 1;
    start = omma_debug_clock();
    omma_parallel(threads, (int64_t)threads * ITEMS, 1, burn_items, &b);
    return sum(b.done, threads) / (omma_debug_clock() - start);
}

static double burn_rate(double (*loop)(int64_t steps), int threads, double seconds) {
    double rate[RUNS];
    if (!loop) return 0;
    for (int i = 0; i < RUNS; i++) rate[i] = burn_once(loop, threads, seconds / RUNS);
    qsort(rate, RUNS, sizeof *rate, ascending);
    return rate[RUNS / 2];
}

static omma_machine_rate burn_both(double (*loop)(int64_t steps), int threads, double seconds) {
    omma_machine_rate r = {burn_rate(loop, 1, seconds), 0};
    r.all = threads > 1 ? burn_rate(loop, threads, seconds) : r.one;
    return r;
}

double omma_machine_peak(int threads, double seconds) {
    return burn_once(omma_limits_of(omma_kernels_best())->fma_f32, threads, seconds);
}

/* --- reading --------------------------------------------------------------------- */

typedef struct reader {
    double (*loop)(const float *p, size_t bytes);
    const char *block;
    size_t size;   /* of an item [bytes] */
    bool own;      /* an item is the worker's part, again and again; else part i of the block */
    int64_t parts; /* of the block, when not own */
    int64_t times; /* an item is read so often */
    double done[OMMA_MAX_THREADS];
} reader;

static void read_items(void *arg, int64_t begin, int64_t end, int worker) {
    reader *r = arg;
    for (int64_t i = begin; i < end; i++) {
        const int64_t part = r->own ? worker : i % r->parts;
        const float *p = (const float *)(const void *)(r->block + (size_t)part * r->size);
        for (int64_t k = 0; k < r->times; k++) r->done[worker] += r->loop(p, r->size);
    }
}

static double read_once(reader *r, int threads, int64_t items) {
    memset(r->done, 0, sizeof r->done);
    const double start = omma_debug_clock();
    omma_parallel(threads, items, 1, read_items, r);
    return sum(r->done, threads) / (omma_debug_clock() - start);
}

static double read_rate(reader *r, int threads, double seconds) {
    double rate[RUNS];
    int64_t items = r->parts;
    r->times = 1;
    if (r->own) {
        items = (int64_t)threads * ITEMS;
        const double guess = read_once(r, threads, items) / threads; /* warms the caches, too */
        const double times = seconds / RUNS / ITEMS * guess / (double)r->size;
        r->times = times > 1 ? (int64_t)times : 1;
    }
    for (int i = 0; i < RUNS; i++) rate[i] = read_once(r, threads, items);
    qsort(rate, RUNS, sizeof *rate, ascending);
    return rate[RUNS / 2];
}

/* --- caches ---------------------------------------------------------------------- */

/* What Linux tells of the first processor's cache number i: "level", "type" or "size". */
static bool told(char word[16], int i, const char *what) {
    char path[96];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/%s", i, what);
    FILE *f = fopen(path, "r");
    if (!f) return false;
    const bool got = fscanf(f, "%15s", word) == 1;
    fclose(f);
    return got;
}

/* The size of the data cache of a level [bytes]; 0: not told. */
static size_t told_size(int level) {
    char word[16];
    for (int i = 0; told(word, i, "level"); i++) {
        if (atoi(word) != level || !told(word, i, "type") || !strcmp(word, "Instruction")) continue;
        const long k = told(word, i, "size") ? strtol(word, NULL, 10) : 0; /* "48K" */
        return k > 0 && k < 1l << 22 ? (size_t)k << 10 : 0;
    }
    return 0;
}

/* Half of a private cache; of the shared one a thread's part of half, but more than fits the
 * private ones; memory: four times all caches, within reason. */
static void choose_sizes(size_t *size, int threads) {
    const size_t usual[3] = {(size_t)32 << 10, (size_t)512 << 10, (size_t)8 << 20};
    size_t cache[3];
    for (int i = 0; i < 3; i++)
        if (!(cache[i] = told_size(i + 1))) cache[i] = usual[i];
    size[0] = cache[0] / 2;
    size[1] = cache[1] / 2;
    size[2] = cache[2] / 2 / (size_t)threads;
    if (size[2] < 2 * cache[1]) size[2] = 2 * cache[1];
    size[3] = 4 * cache[2];
    if (size[3] < (size_t)128 << 20) size[3] = (size_t)128 << 20;
    if (size[3] > (size_t)1 << 30) size[3] = (size_t)1 << 30;
    for (int i = 0; i < 4; i++) size[i] &= ~(size_t)4095;
}

static const size_t MEMORY_PART = (size_t)1 << 20;

omma_status omma_machine_measure(omma_machine *m, int threads, double seconds, omma_error *err) {
    const omma_limits *l = omma_limits_of(omma_kernels_best());
    *m = (omma_machine){.isa = omma_kernels_best()->isa, .threads = threads};
    choose_sizes(m->size, threads);
    size_t bytes = m->size[3];
    for (int i = 0; i < 3; i++)
        if (bytes < m->size[i] * (size_t)threads) bytes = m->size[i] * (size_t)threads;
    char *block = omma_mem_alloc_raw(bytes);
    if (!block)
        return omma_fail(err, OMMA_E_NOMEM, "no memory to read: %.0f MiB",
                         (double)bytes / 1048576.0);
    memset(block, 1, bytes);
    const double share = seconds / (2 * (3 + OMMA_MACHINE_LEVELS));
    m->fma_f32 = burn_both(l->fma_f32, threads, share);
    m->dot_bf16 = burn_both(l->dot_bf16, threads, share);
    m->dot_int8 = burn_both(l->dot_int8, threads, share);
    for (int i = 0; i < OMMA_MACHINE_LEVELS; i++) {
        const bool own = i < OMMA_MACHINE_LEVELS - 1;
        reader r = {.loop = l->read,
                    .block = block,
                    .size = own ? m->size[i] : MEMORY_PART,
                    .own = own,
                    .parts = (int64_t)(m->size[OMMA_MACHINE_LEVELS - 1] / MEMORY_PART)};
        m->read[i].one = read_rate(&r, 1, share);
        m->read[i].all = threads > 1 ? read_rate(&r, threads, share) : m->read[i].one;
    }
    omma_mem_free(block);
    return OMMA_OK;
}

const char *omma_machine_level(int i) {
    static const char *const names[OMMA_MACHINE_LEVELS] = {"L1", "L2", "L3", "memory"};
    return i >= 0 && i < OMMA_MACHINE_LEVELS ? names[i] : "";
}
