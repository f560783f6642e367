/* run.c - `omma run`: raw tensors in and out as .npy. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "file/bytes.h"
#include "file/npy.h"

static const char help_text[] =
    "omma run: run a model on raw tensors.\n\n"
    "usage: omma run MODEL -i NAME=FILE.npy [-i ...] [-o DIR] [--watch VALUE]...\n\n"
    "  -i, --input NAME=FILE  the tensor for an input; NAME= may be left out when the model\n"
    "                         has one input\n"
    "  -o, --output DIR       write each output to DIR/NAME.npy ('/' becomes '_')\n"
    "  -w, --watch VALUE      write this value inside the graph too; may be repeated\n"
    "      --threads N        threads to use; the numbers do not depend on it\n" OMMA_CLI_HALF_HELP
    "  -h, --help             this text\n" OMMA_CLI_MODEL_HELP "\n"
    "Prints the shape and the range of each output. 'omma info MODEL' shows the names.\n\n"
    "example:\n"
    "  omma run vit.onnx -i pixels=cat.npy -o out/ --watch "
    "/encoder/layer.0/attn/Softmax_output_0\n";

typedef struct job {
    const char *path, *output;
    omma_cli_list inputs, watch;
    omma_options opt;
    omma_model *model;
    omma_session *session;
    omma_arena arena;
    omma_tensor *tensors;
} job;

static omma_status all_inputs(job *j, omma_error *err) {
    OMMA_TRY(omma_cli_inputs(&j->tensors, &j->arena, j->model, j->path, &j->inputs, err));
    for (int i = 0; i < omma_model_input_count(j->model); i++)
        if (!j->tensors[i].dtype)
            return omma_fail(err, OMMA_E_USAGE, "the input '%s' is missing: -i %s=FILE.npy",
                             omma_model_input(j->model, i)->name,
                             omma_model_input(j->model, i)->name);
    return OMMA_OK;
}

/* A name in a model says nothing about where its file goes, and nothing odd about its name. */
static char in_file_name(char c) {
    return c == '/' || (unsigned char)c < 0x20 || c == 0x7f ? '_' : c;
}

static omma_status give(const job *j, const char *name, const omma_tensor *t, omma_error *err) {
    omma_cli_put_name(name, 0);
    printf(": %s [", omma_dtype_name(t->dtype));
    for (int i = 0; i < t->rank; i++) printf("%s%lld", i ? ", " : "", (long long)t->dims[i]);
    printf("]");
    int64_t n = omma_tensor_count(t);
    if (t->dtype == OMMA_F32 && n) {
        const float *x = t->data;
        double lo = (double)x[0], hi = lo, sum = 0;
        for (int64_t i = 0; i < n; i++) {
            double v = (double)x[i];
            sum += v;
            if (v < lo) lo = v;
            if (v > hi) hi = v;
        }
        printf("  %g .. %g, mean %g", lo, hi, sum / (double)n);
    }
    printf("\n");
    if (!j->output) return OMMA_OK;
    char *path = malloc(strlen(j->output) + strlen(name) + 8);
    if (!path) return omma_fail(err, OMMA_E_NOMEM, "no memory for a file name");
    size_t base = (size_t)sprintf(path, "%s/", j->output);
    sprintf(path + base, "%s.npy", name);
    for (char *p = path + base; *p; p++) *p = in_file_name(*p);
    omma_status s = omma_npy_write(t, path, err);
    free(path);
    return s;
}

static omma_status watch(job *j, const char *name, omma_error *err) {
    omma_status s = omma_session_watch(j->session, name, err);
    if (s != OMMA_E_NOTFOUND) return s;
    return omma_fail_at(err, s, j->path, -1, "has no value '%s'; 'omma info --graph' lists them",
                        name);
}

/* The name of value i of those to write: outputs, then watched ones. */
static const char *written(const job *j, int i) {
    int n = omma_model_output_count(j->model);
    return i < n ? omma_model_output(j->model, i)->name : j->watch.items[i - n];
}

/* Two values whose files would have the same name? */
static bool clash(const char *a, const char *b) {
    if (!strcmp(a, b)) return false; /* one value, asked for twice */
    while (*a && in_file_name(*a) == in_file_name(*b)) a++, b++;
    return *a == *b;
}

static omma_status check_names(const job *j, omma_error *err) {
    int n = omma_model_output_count(j->model) + j->watch.count;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < i; k++)
            if (clash(written(j, i), written(j, k)))
                return omma_fail(err, OMMA_E_USAGE, "'%s' and '%s' would be written to one file",
                                 written(j, k), written(j, i));
    return OMMA_OK;
}

static omma_status work(job *j, omma_error *err) {
    OMMA_TRY(omma_model_open(&j->model, j->path, &j->opt, err));
    OMMA_TRY(all_inputs(j, err));
    OMMA_TRY(omma_session_new(&j->session, j->model, &j->opt, err));
    for (int i = 0; i < j->watch.count; i++) OMMA_TRY(watch(j, j->watch.items[i], err));
    if (j->output) OMMA_TRY(check_names(j, err));
    if (j->output) OMMA_TRY(omma_folder_make(j->output, err));
    OMMA_TRY(omma_session_run(j->session, j->tensors, omma_model_input_count(j->model), err));
    for (int i = 0; i < omma_model_output_count(j->model); i++)
        OMMA_TRY(
            give(j, omma_model_output(j->model, i)->name, omma_session_output(j->session, i), err));
    for (int i = 0; i < j->watch.count; i++)
        OMMA_TRY(
            give(j, j->watch.items[i], omma_session_watched(j->session, j->watch.items[i]), err));
    return OMMA_OK;
}

int omma_cli_run(int argc, char **argv) {
    job j = {0};
    omma_error err;
    omma_cli_list args;
    int want_help;
    const omma_cli_option options[] = {
        {'i', "input", 'm', &j.inputs}, {'o', "output", 's', &j.output},
        {'w', "watch", 'm', &j.watch},  {0, "threads", 't', &j.opt.threads},
        OMMA_CLI_HALF_OPTIONS(j.opt),   OMMA_CLI_MODEL_OPTIONS(j.opt)};
    int status =
        omma_cli_parse(argc, argv, options, sizeof options / sizeof *options, &args, &want_help);
    if (want_help) fputs(help_text, stdout);
    else if (!status && args.count != 1)
        status = omma_cli_misused("run", args.count ? "one model at a time; tensors go with -i"
                                                    : "no model given");
    else if (!status) {
        j.path = args.items[0];
        omma_arena_init(&j.arena, NULL);
        if (work(&j, &err)) status = omma_cli_failed("run", &err);
        omma_session_free(j.session);
        omma_model_free(j.model);
        omma_arena_free(&j.arena);
    }
    free(args.items);
    free(j.inputs.items);
    free(j.watch.items);
    return omma_cli_finish("run", status);
}
