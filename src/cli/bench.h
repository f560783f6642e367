/* bench.h - what `omma bench` measured, between the files that measure it and those that tell
 * it. */
#ifndef OMMA_CLI_BENCH_H
#define OMMA_CLI_BENCH_H

#include "cli/cli.h"
#include "run/machine.h"
#include "run/profile.h"

/* Many streams at once. */
typedef struct bench_streams {
    int count;           /* 0: not asked for */
    int64_t runs;        /* of all of them */
    double rate;         /* of all of them together [runs/s] */
    double median, late; /* of a run, and what one in a hundred takes longer than [s] */
} bench_streams;

typedef struct bench_report {
    const char *path; /* as the user wrote it */
    const omma_model *model;
    const omma_tensor *inputs; /* by input of the model */
    const char *isa;           /* of the kernels */
    int threads;

    double open, session, first; /* opening the file, making a session, the first run [s] */
    int rounds;
    double median, q1, q3, min, max; /* of a run [s] */
    double flops;                    /* of a run [FLOP] */
    double peak;                     /* what the machine's multiply-adds reach [FLOP/s] */
    int batch;                       /* as asked for; 0: it was not */
    bench_streams streams;
    omma_session_size size;
    size_t memory; /* the most the process held so far [bytes]; 0: not known */

    omma_profile profile; /* one run at least, so that `flops` and the trace can be had */
    int profiled;         /* its times were asked for */
} bench_report;

/* Inputs of these shapes (data NULL where it is to be made): normal numbers, bytes of any
 * value, truth values, other integers 0 or 1; the same ones every time. Returns OMMA_OK,
 * OMMA_E_UNSUPPORTED (texts) or OMMA_E_NOMEM. */
omma_status bench_fill(omma_tensor *inputs, int n, omma_arena *arena, omma_error *err);

/* Run `inputs` on r->count sessions with these options, each on a thread of its own, for some
 * seconds. Returns as omma_session_new and omma_session_run. */
omma_status bench_many(bench_streams *r, const omma_model *model, const omma_options *opt,
                       const omma_tensor *inputs, double seconds, omma_error *err);

/* For people. all: every node of the profile. */
void bench_print(const bench_report *r, bool all);
void bench_print_machine(const omma_machine *m);

/* For programs. Returns 0 or OMMA_EXIT_FAILED. */
int bench_json(const bench_report *r);
int bench_json_machine(const omma_machine *m);

/* Write the profile's last run as a Chrome trace. Returns OMMA_OK, OMMA_E_IO or
 * OMMA_E_NOMEM. */
omma_status bench_trace(const bench_report *r, const char *path, omma_error *err);

/* An operator's part of a profile, or a kind's of it. */
typedef struct bench_group {
    const omma_op *op;
    const char *kind; /* see omma_cost_kind; NULL: the whole operator */
    int nodes;
    double seconds, flops, bytes;
} bench_group;

/* The profile by operator, or by kind for those that have kinds; most time first, *n of them, to
 * be freed; NULL: no memory. */
bench_group *bench_groups(const omma_profile *p, bool by_kind, int *n);

#endif
