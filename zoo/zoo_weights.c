/* zoo_weights.c - the attention weights of a run of a model, for run.py to compare with PyTorch's,
 * and whether a run that is watched gives the outputs of one that is not, to the bit.
 *
 *     zoo_weights MODEL FOLDER NAME=INPUT.npy... [--external]
 *
 * writes of attention K, in the order of the run, FOLDER/weights_K.npy, [windows of all pictures,
 * heads, queries, keys], and tokens_K.npy, what its block begins with; of the last one that reads
 * other tokens memory.npy, these; and prints a line for each: K, its label. Exit status 1 and a
 * line on stderr when something is wrong, the outputs' bits among it. */
#include <stdio.h>
#include <string.h>

#include "field/sight.h"
#include "file/npy.h"

enum { INPUTS = 8 };

typedef struct job {
    omma_arena arena;
    omma_model *model;
    omma_sight *sight;
    omma_session *plain;
    omma_tensor in[INPUTS];
    int n;
} job;

/* The input whose name stands in front of '='; -1: none. */
static int input_of(const job *j, const char *text) {
    const char *equals = strrchr(text, '=');
    for (int i = 0; equals && i < j->n; i++) {
        const char *name = omma_model_input(j->model, i)->name;
        if (strlen(name) == (size_t)(equals - text) && !strncmp(name, text, strlen(name))) return i;
    }
    return -1;
}

static omma_status read_inputs(job *j, char **texts, int n, omma_error *err) {
    for (int i = 0; i < n; i++) {
        const int at = input_of(j, texts[i]);
        if (at < 0)
            return omma_fail(err, OMMA_E_USAGE, "'%s' is no NAME=FILE of an input", texts[i]);
        const omma_status s = omma_npy_read(&j->in[at], &j->arena, strrchr(texts[i], '=') + 1, err);
        if (s) return s;
    }
    return OMMA_OK;
}

static omma_status same_bits(const job *j, omma_error *err) {
    for (int i = 0; i < omma_model_output_count(j->model); i++) {
        const omma_tensor *a = omma_sight_output(j->sight, i),
                          *b = omma_session_output(j->plain, i);
        const size_t bytes = (size_t)omma_tensor_count(b) * omma_dtype_size(b->dtype);
        if (omma_tensor_count(a) != omma_tensor_count(b) || memcmp(a->data, b->data, bytes))
            return omma_fail(err, OMMA_E_RANGE, "output %d of the watched run has other bits", i);
    }
    return OMMA_OK;
}

static omma_status write_weights(job *j, int k, const char *folder, omma_error *err) {
    omma_sight_part part;
    char path[4096];
    const omma_status s = omma_sight_attention(j->sight, k, &part, err);
    if (s) return s;
    const float *weights = omma_sight_weights(j->sight, k);
    if (!weights) return omma_fail(err, OMMA_E_NOMEM, "no memory for weights");
    const omma_tensor t = {.dtype = OMMA_F32,
                           .rank = 4,
                           .dims = {part.windows, part.heads, part.queries, part.keys},
                           .data = (void *)weights};
    snprintf(path, sizeof path, "%s/weights_%d.npy", folder, k);
    printf("%d %s\n", k, part.label);
    return omma_npy_write(&t, path, err);
}

static omma_status write_value(job *j, const omma_value *v, const char *folder, const char *name,
                               omma_error *err) {
    const omma_tensor *t = omma_sight_tensor(j->sight, v);
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.npy", folder, name);
    return t ? omma_npy_write(t, path, err) : OMMA_OK;
}

static omma_status write_tokens(job *j, int k, const char *folder, omma_error *err) {
    const omma_attention *a = &omma_sight_anatomy(j->sight)->attention[k];
    char name[32];
    snprintf(name, sizeof name, "tokens_%d", k);
    omma_status s = write_value(j, a->in, folder, name, err);
    if (!s && a->kind == OMMA_ATTENTION_CROSS)
        s = write_value(j, a->key.value, folder, "memory", err);
    return s;
}

static omma_status work(job *j, char **argv, int n, omma_error *err) {
    omma_status s = read_inputs(j, argv + 3, n - 3, err);
    if (!s) s = omma_sight_new(&j->sight, j->model, j->in, j->n, NULL, err);
    if (!s) s = omma_session_new(&j->plain, j->model, NULL, err);
    if (!s) s = omma_session_run(j->plain, j->in, j->n, err);
    if (!s) s = same_bits(j, err);
    for (int k = 0; !s && k < omma_sight_attentions(j->sight); k++) {
        s = write_weights(j, k, argv[2], err);
        if (!s) s = write_tokens(j, k, argv[2], err);
    }
    return s;
}

int main(int argc, char **argv) {
    job j = {0};
    omma_error err;
    omma_options opt = {0};
    if (argc > 1 && !strcmp(argv[argc - 1], "--external")) opt.allow_external = 1, argc--;
    if (argc < 4) {
        fputs("usage: zoo_weights MODEL FOLDER NAME=INPUT.npy... [--external]\n", stderr);
        return 2;
    }
    omma_arena_init(&j.arena, NULL);
    omma_status s = omma_model_open(&j.model, argv[1], &opt, &err);
    if (!s && (j.n = omma_model_input_count(j.model)) > INPUTS)
        s = omma_fail(&err, OMMA_E_USAGE, "too many inputs");
    if (!s) s = work(&j, argv, argc, &err);
    if (s) fprintf(stderr, "%s\n", err.message);
    omma_session_free(j.plain);
    omma_sight_free(j.sight);
    omma_model_free(j.model);
    omma_arena_free(&j.arena);
    return s ? 1 : 0;
}
