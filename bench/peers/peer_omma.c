/* peer_omma.c - omma as one of those that bench/compare.py compares: a process that stays alive
 * and answers lines on stdin with lines of JSON on stdout.
 *
 *     peer_omma MODEL THREADS INPUTS OUTPUTS [bf16]
 *
 * INPUTS holds in0.npy, in1.npy, ... in the model's order; out0.npy, ... of the first run go to
 * OUTPUTS. Says at first {"version", "load_ms", "ready_ms", "first_ms", "flops", "plan_bytes"}: the
 * time to open the model and make a session; that, and the plan with its packed weights; the first
 * run, which finds them made. Then answers run K     {"ms": [K times]} peak S    {"flops_per_s":
 * what multiply-adds reach in a run of about S seconds} and ends with its input. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file/npy.h"
#include "run/debug.h"
#include "run/machine.h"
#include "run/profile.h"

static int failed(const omma_error *err) {
    fprintf(stderr, "peer_omma: %s\n", err->message);
    return 1;
}

typedef struct peer {
    omma_options opt;
    omma_model *model;
    omma_session *session;
    omma_arena arena;
    omma_tensor *inputs;
    int n;
    double load, ready, first;
} peer;

static omma_status run(peer *p, double *seconds, omma_error *err) {
    const double start = omma_debug_clock();
    OMMA_TRY(omma_session_run(p->session, p->inputs, p->n, err));
    *seconds = omma_debug_clock() - start;
    return OMMA_OK;
}

static omma_status read_inputs(peer *p, const char *folder, omma_error *err) {
    p->n = omma_model_input_count(p->model);
    p->inputs = omma_arena_array(&p->arena, (size_t)p->n, sizeof *p->inputs);
    if (!p->inputs) return omma_fail(err, OMMA_E_NOMEM, "no memory for the inputs");
    for (int i = 0; i < p->n; i++) {
        const char *path = omma_arena_printf(&p->arena, "%s/in%d.npy", folder, i);
        if (!path) return omma_fail(err, OMMA_E_NOMEM, "no memory for a path");
        OMMA_TRY(omma_npy_read(&p->inputs[i], &p->arena, path, err));
    }
    return OMMA_OK;
}

static omma_status load(peer *p, const char *model, const char *inputs, omma_error *err) {
    double start = omma_debug_clock();
    OMMA_TRY(omma_model_open(&p->model, model, &p->opt, err));
    OMMA_TRY(omma_session_new(&p->session, p->model, &p->opt, err));
    p->load = omma_debug_clock() - start;
    OMMA_TRY(read_inputs(p, inputs, err));
    start = omma_debug_clock();
    OMMA_TRY(omma_session_prepare(p->session, p->inputs, p->n, err));
    p->ready = p->load + omma_debug_clock() - start;
    return run(p, &p->first, err);
}

static omma_status give(peer *p, const char *folder, omma_error *err) {
    for (int i = 0; i < omma_model_output_count(p->model); i++) {
        const char *path = omma_arena_printf(&p->arena, "%s/out%d.npy", folder, i);
        if (!path) return omma_fail(err, OMMA_E_NOMEM, "no memory for a path");
        OMMA_TRY(omma_npy_write(omma_session_output(p->session, i), path, err));
    }
    return OMMA_OK;
}

/* A run that is counted, not timed. */
static omma_status count(peer *p, double *flops, omma_error *err) {
    omma_profile profile;
    omma_profile_init(&profile, 1);
    omma_profile_begin(&profile, p->session);
    omma_status s = omma_session_run(p->session, p->inputs, p->n, err);
    if (!s) s = omma_profile_end(&profile, p->session, err);
    *flops = omma_profile_flops(&profile);
    omma_profile_free(&profile);
    return s;
}

static omma_status answer(peer *p, const char *line, omma_error *err) {
    int k = 0;
    double seconds;
    if (sscanf(line, "run %d", &k) == 1) {
        printf("{\"ms\": [");
        for (int i = 0; i < k; i++) {
            OMMA_TRY(run(p, &seconds, err));
            printf("%s%.6f", i ? ", " : "", seconds * 1e3);
        }
        printf("]}\n");
    } else if (sscanf(line, "peak %lf", &seconds) == 1) {
        printf("{\"flops_per_s\": %.6g}\n", omma_machine_peak(p->opt.threads, seconds));
    } else return omma_fail(err, OMMA_E_USAGE, "does not know '%.20s'", line);
    fflush(stdout);
    return OMMA_OK;
}

int main(int argc, char **argv) {
    const bool bf16 = argc == 6 && !strcmp(argv[5], "bf16");
    if (argc != 5 && !bf16) {
        fputs("usage: peer_omma MODEL THREADS INPUTS OUTPUTS [bf16]\n", stderr);
        return 2;
    }
    omma_error err;
    peer p = {.opt = {.threads = atoi(argv[2]), .bf16 = bf16}};
    double flops;
    char line[64];
    omma_arena_init(&p.arena, NULL);
    if (load(&p, argv[1], argv[3], &err) || give(&p, argv[4], &err) || count(&p, &flops, &err))
        return failed(&err);
    printf("{\"version\": \"%s\", \"load_ms\": %.3f, \"ready_ms\": %.3f, \"first_ms\": %.3f, "
           "\"flops\": %.6g, "
           "\"plan_bytes\": %zu}\n",
           omma_version(), p.load * 1e3, p.ready * 1e3, p.first * 1e3, flops,
           omma_session_measure(p.session).plans);
    fflush(stdout);
    while (fgets(line, sizeof line, stdin))
        if (answer(&p, line, &err)) return failed(&err);
    omma_session_free(p.session);
    omma_model_free(p.model);
    omma_arena_free(&p.arena);
    return 0;
}
