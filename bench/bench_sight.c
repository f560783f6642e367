/* bench_sight.c - what one unit more costs when a model has been looked at once: its exact set,
 * what it looks at and is looked at by, its account at every attention, its effective field; in
 * milliseconds, medians of rounds.
 *
 *     bench_sight MODEL.onnx [--input HxW] [--rounds N] [--threads T]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "field/effective.h"
#include "field/ledger.h"
#include "model/inspect.h"

enum { MOST = 101 };

typedef enum measure { SET, LOOK, ACCOUNT, EFFECTIVE, MEASURES } measure;
static const char *const names[] = {"exact set", "attention, all layers and heads, both ways",
                                    "account, all layers", "effective field"};

typedef struct bench {
    omma_options opt;
    int rounds;
    omma_model *model;
    omma_sight *sight;
    const omma_tensor *in;
    int n_in, image;
    omma_effective *effective;
} bench;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The last map before attention, or of the last stage: its cells are the units. */
static const omma_value *map_of(const bench *b) {
    const omma_anatomy *a = omma_sight_anatomy(b->sight);
    return a->n_map ? a->map[0] : NULL;
}

static omma_status set(bench *b, int64_t i, omma_error *err) {
    omma_arena arena;
    omma_unit_field u;
    const omma_unit unit = {.value = map_of(b)->name, .y = -1, .x = i % 3};
    omma_arena_init(&arena, NULL);
    const omma_status s = omma_unit_look(&u, b->model->graph, &unit, b->in, b->image, &arena, err);
    omma_arena_free(&arena);
    return s;
}

static omma_status attentions(bench *b, int64_t i, bool account, omma_error *err) {
    omma_status s = OMMA_OK;
    for (int k = 0; k < omma_sight_attentions(b->sight) && !s; k++) {
        omma_sight_part p;
        omma_account a;
        OMMA_TRY(omma_sight_attention(b->sight, k, &p, err));
        const int64_t n = p.key_tokens > p.query_tokens ? p.key_tokens : p.query_tokens;
        float *line = malloc((size_t)n * sizeof *line);
        if (account) {
            s = omma_sight_account(b->sight, k, i % p.query_tokens, &a, NULL, err);
            if (s == OMMA_E_UNSUPPORTED) s = OMMA_OK; /* no residual addition here */
        }
        for (int h = 0; h < p.heads && !s && !account && line; h++) {
            s = omma_sight_look(b->sight, k, h, i % p.query_tokens, 0, line, err);
            if (!s) s = omma_sight_look(b->sight, k, h, i % p.key_tokens, 1, line, err);
        }
        free(line);
    }
    return s;
}

static omma_status effective(bench *b, omma_error *err) {
    const omma_effective_what what = {.unit = {.value = map_of(b)->name, .y = -1, .x = -1},
                                      .image = b->image};
    if (!b->effective)
        OMMA_TRY(omma_effective_new(&b->effective, b->model->graph, b->model->path, &what, &b->opt,
                                    err));
    return omma_effective_add(b->effective, b->in, b->n_in, err);
}

static omma_status once(bench *b, measure m, int64_t i, omma_error *err) {
    if (m == SET) return set(b, i, err);
    if (m == EFFECTIVE) return effective(b, err);
    return attentions(b, i, m == ACCOUNT, err);
}

static omma_status run(bench *b, omma_error *err) {
    double t[MOST];
    const double t0 = now();
    OMMA_TRY(omma_sight_new(&b->sight, b->model, b->in, b->n_in, &b->opt, err));
    printf("%-46s %8.2f ms\n", "a run with everything watched, parts found", now() - t0);
    for (int m = 0; m < MEASURES; m++) {
        if (!map_of(b) && (m == SET || m == EFFECTIVE)) continue;
        for (int i = -1; i < b->rounds; i++) { /* the first warms up */
            const double from = now();
            OMMA_TRY(once(b, (measure)m, 7 * (int64_t)(i + 1), err));
            if (i >= 0) t[i] = now() - from;
        }
        qsort(t, (size_t)b->rounds, sizeof *t, by_value);
        printf("%-46s %8.2f ms\n", names[m], t[b->rounds / 2]);
    }
    return OMMA_OK;
}

/* A picture of noise; other inputs, sizes of pictures, are 320. */
static bool fill(omma_tensor *t, omma_arena *arena) {
    const int64_t n = omma_tensor_count(t);
    t->data = omma_arena_array(arena, (size_t)n, omma_dtype_size(t->dtype));
    for (int64_t i = 0; i < n && t->data; i++) {
        if (t->dtype == OMMA_F32) ((float *)t->data)[i] = (float)(i * 2654435761u % 1000) / 1000;
        if (t->dtype == OMMA_I64) ((int64_t *)t->data)[i] = 320;
    }
    return t->data;
}

int main(int argc, char **argv) {
    bench b = {.rounds = 11};
    omma_error err;
    omma_arena arena;
    omma_tensor *in;
    const char *path = NULL;
    int h = 0, w = 0;
    bool open;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--input") && i + 1 < argc) sscanf(argv[++i], "%dx%d", &h, &w);
        else if (!strcmp(argv[i], "--rounds") && i + 1 < argc) b.rounds = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--threads") && i + 1 < argc) b.opt.threads = atoi(argv[++i]);
        else path = argv[i];
    }
    if (!path || b.rounds < 1 || b.rounds >= MOST) return 2;
    omma_arena_init(&arena, NULL);
    omma_status s = omma_model_open(&b.model, path, &b.opt, &err);
    if (!s) s = omma_inspect_shapes(&in, b.model, 224, &open, &arena, &err);
    if (!s) {
        if (h > 0 && w > 0) in[0].dims[2] = h, in[0].dims[3] = w;
        b.n_in = omma_model_input_count(b.model), b.in = in;
        for (int i = 0; i < b.n_in; i++)
            if (!fill(&in[i], &arena)) return 1;
            else if (in[i].rank == 4) b.image = i;
        s = run(&b, &err);
    }
    if (s) fprintf(stderr, "bench_sight: %s\n", err.message);
    omma_effective_free(b.effective);
    omma_sight_free(b.sight);
    omma_model_free(b.model);
    omma_arena_free(&arena);
    return s ? 1 : 0;
}
