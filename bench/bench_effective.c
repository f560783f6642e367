/* bench_effective.c - what an image of an effective field costs, in forward runs of the same model:
 * the recipe `default` (or another) at the middle cell, against the whole model run plainly.
 *
 *     bench_effective [--threads T] [--rounds N] [--size S] [--recipe default|luo|replk]
 *                     MODEL.onnx[=VALUE[@TOKEN]]...
 *
 * VALUE is the value that the unit belongs to, without one the first output; @TOKEN a number along
 * a sequence instead of the middle cell. S is the side of pictures whose size the model leaves
 * open [px]. The two are run in turn, after both ran once, and medians are shown; with one thread
 * the processor's time counts, with more the time on the wall. Exit status 1: a model's gradient or
 * field could not be had, which is told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "field/effective.h"
#include "model/inspect.h"
#include "op/op.h"

enum { MAX_ROUNDS = 101 };

static clockid_t watch = CLOCK_MONOTONIC;

static double now(void) {
    struct timespec t;
    clock_gettime(watch, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef struct bench {
    omma_options opt;
    int rounds;
    int64_t size;
    omma_recipe recipe;
    omma_model *model;
    omma_session *session;
    omma_effective *effective;
    omma_arena arena;
    omma_tensor *inputs;
    int n, image;
    double forward[MAX_ROUNDS], both[MAX_ROUNDS], ratio[MAX_ROUNDS];
} bench;

/* Numbers for the inputs; the largest floating one of rank 4 is the picture. */
static omma_status fill(bench *b, omma_error *err) {
    uint32_t state = 1;
    bool open;
    b->n = omma_model_input_count(b->model);
    OMMA_TRY(omma_inspect_shapes(&b->inputs, b->model, b->size, &open, &b->arena, err));
    b->image = -1;
    for (int i = 0; i < b->n; i++) {
        omma_tensor *t = &b->inputs[i];
        const int64_t count = omma_tensor_count(t);
        t->data = omma_arena_array(&b->arena, (size_t)count, omma_dtype_size(t->dtype));
        if (!t->data) return omma_fail(err, OMMA_E_NOMEM, "no memory for an input");
        const bool real = t->dtype == OMMA_F32 || t->dtype == OMMA_F64 || t->dtype == OMMA_F16;
        for (int64_t k = 0; k < count; k++) {
            state = state * 1664525u + 1013904223u;
            omma_set_number(t->dtype, t->data, k, real ? (state >> 8) / 8388608.0 - 1 : 1);
        }
        if (real && t->rank == 4 &&
            (b->image < 0 || count > omma_tensor_count(&b->inputs[b->image])))
            b->image = i;
    }
    if (b->image < 0) return omma_fail(err, OMMA_E_USAGE, "no input is a picture");
    return OMMA_OK;
}

static omma_status open_all(bench *b, const char *path, char *value, omma_error *err) {
    OMMA_TRY(omma_model_open(&b->model, path, &b->opt, err));
    OMMA_TRY(fill(b, err));
    OMMA_TRY(omma_session_new(&b->session, b->model, &b->opt, err));
    char *at = value ? strchr(value, '@') : NULL;
    omma_effective_what what = {.unit = {.y = -1, .x = -1}, .recipe = b->recipe, .image = b->image};
    if (at) *at = 0, what.unit.by_token = true, what.unit.token = atoll(at + 1);
    what.unit.value = value ? value : omma_model_output(b->model, 0)->name;
    return omma_effective_new(&b->effective, b->model->graph, path, &what, &b->opt, err);
}

static omma_status measure(bench *b, omma_error *err) {
    OMMA_TRY(omma_session_run(b->session, b->inputs, b->n, err));
    OMMA_TRY(omma_effective_add(b->effective, b->inputs, b->n, err));
    for (int r = 0; r < b->rounds; r++) {
        const double t0 = now();
        OMMA_TRY(omma_session_run(b->session, b->inputs, b->n, err));
        const double t1 = now();
        OMMA_TRY(omma_effective_add(b->effective, b->inputs, b->n, err));
        const double t2 = now();
        b->forward[r] = t1 - t0, b->both[r] = t2 - t1;
        b->ratio[r] = b->both[r] / b->forward[r];
    }
    qsort(b->forward, (size_t)b->rounds, sizeof(double), ascending);
    qsort(b->both, (size_t)b->rounds, sizeof(double), ascending);
    qsort(b->ratio, (size_t)b->rounds, sizeof(double), ascending);
    return OMMA_OK;
}

/* One model: path, or path=value. */
static bool run(bench *b, char *name) {
    char *value = strchr(name, '=');
    omma_error err = {0};
    if (value) *value++ = 0;
    omma_arena_init(&b->arena, NULL);
    omma_status s = open_all(b, name, value, &err);
    if (!s) s = measure(b, &err);
    const omma_unit_field *u = b->effective ? omma_effective_unit(b->effective) : NULL;
    const int k = b->rounds / 2;
    printf("%s%s%s\n", name, value ? " " : "", value ? value : "");
    if (s) printf("    %s\n", err.message);
    else
        printf("%12.2f %9.2f %7.2f %7.2f %7.2f %9lld\n", 1e3 * b->forward[k], 1e3 * b->both[k],
               b->ratio[k], b->ratio[0], b->ratio[b->rounds - 1], (long long)u->n_seen);
    omma_effective_free(b->effective);
    omma_session_free(b->session);
    omma_model_free(b->model);
    omma_arena_free(&b->arena);
    b->effective = NULL, b->session = NULL, b->model = NULL;
    return !s;
}

static bool set_recipe(bench *b, const char *name) {
    for (int r = 0; r < OMMA_RECIPES; r++)
        if (!strcmp(name, omma_recipe_name((omma_recipe)r))) {
            b->recipe = (omma_recipe)r;
            return true;
        }
    return false;
}

int main(int argc, char **argv) {
    bench b = {.opt = {.threads = 1}, .rounds = 9, .size = 224};
    bool good = true, fine = true;
    int i = 1;
    for (; i + 1 < argc && !strncmp(argv[i], "--", 2) && good; i += 2) {
        const char *v = argv[i + 1];
        if (!strcmp(argv[i], "--threads")) b.opt.threads = atoi(v);
        else if (!strcmp(argv[i], "--rounds")) b.rounds = atoi(v);
        else if (!strcmp(argv[i], "--size")) b.size = atoll(v);
        else good = !strcmp(argv[i], "--recipe") && set_recipe(&b, v);
    }
    if (!good || i >= argc || b.opt.threads < 1 || b.rounds < 1 || b.rounds > MAX_ROUNDS ||
        b.size < 1) {
        fputs("usage: bench_effective [--threads T] [--rounds N] [--size S] [--recipe R]\n"
              "                       MODEL.onnx[=VALUE[@TOKEN]]...\n",
              stderr);
        return 2;
    }
    if (b.opt.threads == 1) watch = CLOCK_THREAD_CPUTIME_ID;
    printf("recipe %s, %d thread%s, medians of %d\n", omma_recipe_name(b.recipe), b.opt.threads,
           b.opt.threads > 1 ? "s" : "", b.rounds);
    printf("%12s %9s %7s %7s %7s %9s\n", "run ms", "image ms", "times", "least", "most",
           "field px");
    for (; i < argc; i++) fine &= run(&b, argv[i]);
    return fine ? 0 : 1;
}
