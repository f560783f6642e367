/* bench.c - `omma bench`: how fast a model runs here, and where its time goes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/pool.h"
#include "cli/bench.h"
#include "model/inspect.h"
#include "run/debug.h"

static const char help_text[] =
    "omma bench: how fast a model runs on this machine, and where its time goes.\n\n"
    "usage: omma bench MODEL [options]\n"
    "       omma bench --peak [--threads N] [--seconds S] [--json]\n\n"
    "Runs the model again and again for some seconds and prints the time of a run, its\n"
    "arithmetic and the part of this machine's multiply-add peak that it reaches, the time\n"
    "to load it, and memory.\n\n"
    "      --threads N          threads to use; default all cores\n"
    "      --seconds S          how long to measure; default 3\n"
    "      --rounds N           measure N runs instead\n"
    "  -i, --input NAME=FILE    a tensor for an input (.npy); others are made: normal numbers,\n"
    "                           bytes of any value, other integers 0 or 1\n"
    "      --shape NAME=SIZES   sizes for an input with open dimensions, like x=1x3x640x640;\n"
    "                           NAME= may be left out when the model has one input\n"
    "      --batch N            as many pictures a run, where the file leaves that open\n"
    "      --streams N          also run N sessions at once, each on a thread of its own; then\n"
    "                           --threads is for each of them, default 1\n"
    "      --profile            the time of every node, and by operator\n"
    "      --all                with --profile: all nodes, not the 30 that take longest\n"
    "      --trace FILE         write one run as a Chrome trace, for Perfetto\n"
    "      --peak               measure the machine: arithmetic and reading memory\n"
    "      --json               the same for programs\n" OMMA_CLI_HALF_HELP
    "  -h, --help               this text\n" OMMA_CLI_MODEL_HELP "\n"
    "examples:\n"
    "  omma bench model.onnx --threads 1 --profile\n"
    "  omma bench detector.onnx --shape image=1x3x800x1066\n"
    "  omma bench model.onnx --streams 4 --batch 8\n";

enum {
    MOST_ROUNDS = 100000,
    MOST_PROFILED = 1000,
    MOST_STREAMS = 256,
    MOST_BATCH = 1 << 16,
    PEAKS = 16,
    UNSET = INT32_MIN
};

typedef struct job {
    omma_cli_list inputs, shapes;
    int rounds;         /* UNSET: for so many seconds */
    int streams, batch; /* UNSET: not asked for */
    int peak, json, all;
    double seconds;
    const char *trace;
    omma_options opt;
    omma_model *model;
    omma_session *session;
    omma_arena arena;
    omma_tensor *given; /* by -i */
    double *times;
    double peaks[PEAKS];
    int n_peaks;
    bench_report r;
} job;

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* --- the inputs, and the first run on them ---------------------------------------- */

static omma_status first_run(job *j, const omma_tensor *inputs, omma_error *err) {
    const double start = omma_debug_clock();
    OMMA_TRY(omma_session_run(j->session, inputs, omma_model_input_count(j->model), err));
    j->r.first = omma_debug_clock() - start;
    return OMMA_OK;
}

/* The first dimension of every input that leaves it open. */
static omma_status set_batch(const job *j, omma_tensor *inputs, omma_error *err) {
    bool any = j->batch == UNSET;
    for (int i = 0; i < omma_model_input_count(j->model) && j->batch != UNSET; i++) {
        const omma_port *p = omma_model_input(j->model, i);
        if (p->rank < 1 || p->dims[0] >= 0) continue;
        inputs[i].dims[0] = j->batch;
        any = true;
    }
    return any ? OMMA_OK
               : omma_fail_at(err, OMMA_E_USAGE, j->r.path, -1,
                              "no input leaves its first dimension open: the batch is fixed");
}

/* Inputs with open sizes of `size`. */
static omma_status inputs_of(job *j, omma_tensor **out, int64_t size, bool *open, omma_error *err) {
    const int n = omma_model_input_count(j->model);
    OMMA_TRY(omma_inspect_shapes(out, j->model, size, open, &j->arena, err));
    OMMA_TRY(set_batch(j, *out, err));
    for (int i = 0; i < j->shapes.count; i++)
        OMMA_TRY(omma_cli_sizes(*out, j->model, j->r.path, j->shapes.items[i], err));
    for (int i = 0; i < n; i++)
        if (j->given[i].dtype) (*out)[i] = j->given[i];
    return bench_fill(*out, n, &j->arena, err);
}

/* The first of a few common sizes that the model runs with, as `omma info` chooses them. */
static omma_status choose_inputs(job *j, omma_error *err) {
    omma_error later, *e = err;
    for (int i = 0; i < OMMA_INSPECT_SIZES; i++, e = &later) {
        omma_tensor *inputs;
        bool open;
        OMMA_TRY(inputs_of(j, &inputs, omma_inspect_sizes[i], &open, err));
        const omma_status s = first_run(j, inputs, e);
        j->r.inputs = inputs;
        if (!s) return OMMA_OK;
        if (!open || (s != OMMA_E_SHAPE && s != OMMA_E_UNSUPPORTED && s != OMMA_E_RANGE)) {
            if (e != err) *err = *e;
            return s;
        }
    }
    return err->status; /* of the first size */
}

static omma_status load(job *j, omma_error *err) {
    const double start = omma_debug_clock();
    OMMA_TRY(omma_model_open(&j->model, j->r.path, &j->opt, err));
    const double opened = omma_debug_clock();
    OMMA_TRY(omma_session_new(&j->session, j->model, &j->opt, err));
    j->r.open = opened - start;
    j->r.session = omma_debug_clock() - opened;
    j->r.model = j->model;
    OMMA_TRY(omma_cli_inputs(&j->given, &j->arena, j->model, j->r.path, &j->inputs, err));
    return choose_inputs(j, err);
}

/* --- measuring ------------------------------------------------------------------- */

static omma_status run(job *j, double *seconds, omma_error *err) {
    const double start = omma_debug_clock();
    OMMA_TRY(omma_session_run(j->session, j->r.inputs, omma_model_input_count(j->model), err));
    *seconds = omma_debug_clock() - start;
    return OMMA_OK;
}

static omma_status warm_up(job *j, omma_error *err) {
    double spent = 0, seconds;
    for (int i = 0; i < 2 || (spent < j->seconds / 10 && i < 1000); i++) {
        OMMA_TRY(run(j, &seconds, err));
        spent += seconds;
    }
    return OMMA_OK;
}

/* The peak, beside the runs that are compared with it: a machine is not always equally fast. */
static void sample_peak(job *j) {
    if (j->n_peaks < PEAKS)
        j->peaks[j->n_peaks++] = omma_machine_peak(j->r.threads, j->seconds / 100);
}

static omma_status measure(job *j, omma_error *err) {
    bench_report *r = &j->r;
    double spent = 0, since = 0;
    sample_peak(j);
    for (r->rounds = 0;
         j->rounds > 0 ? r->rounds < j->rounds
                       : r->rounds < MOST_ROUNDS && (r->rounds < 3 || spent < j->seconds);
         r->rounds++) {
        double *t = &j->times[r->rounds];
        OMMA_TRY(run(j, t, err));
        spent += *t;
        since += *t;
        if (since > j->seconds / 10) sample_peak(j), since = 0;
    }
    qsort(j->times, (size_t)r->rounds, sizeof *j->times, ascending);
    qsort(j->peaks, (size_t)j->n_peaks, sizeof *j->peaks, ascending);
    r->min = j->times[0];
    r->q1 = j->times[r->rounds / 4];
    r->median = j->times[r->rounds / 2];
    r->q3 = j->times[(int)(3 * (int64_t)r->rounds / 4)];
    r->max = j->times[r->rounds - 1];
    r->peak = j->peaks[j->n_peaks / 2];
    return OMMA_OK;
}

static omma_status profile(job *j, omma_error *err) {
    bench_report *r = &j->r;
    const int rounds = !r->profiled ? 1 : r->rounds < MOST_PROFILED ? r->rounds : MOST_PROFILED;
    omma_profile_init(&r->profile, rounds);
    for (int i = 0; i < rounds; i++) {
        omma_profile_begin(&r->profile, j->session);
        OMMA_TRY(omma_session_run(j->session, r->inputs, omma_model_input_count(j->model), err));
        OMMA_TRY(omma_profile_end(&r->profile, j->session, err));
    }
    omma_profile_settle(&r->profile);
    r->flops = omma_profile_flops(&r->profile);
    return OMMA_OK;
}

/* The most the process held [bytes], as Linux tells it: getrusage would count what its parent
 * held when it started us, too. */
static size_t most_memory(void) {
    FILE *f = fopen("/proc/self/status", "r");
    char line[128];
    unsigned long kib = 0;
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %lu", &kib) == 1) break;
    if (f) fclose(f);
    struct rusage use;
    if (!kib && !getrusage(RUSAGE_SELF, &use)) kib = (unsigned long)use.ru_maxrss;
    return (size_t)kib * 1024;
}

static omma_status work(job *j, omma_error *err) {
    bench_report *r = &j->r;
    r->isa = omma_kernels_best()->isa;
    r->threads = j->opt.threads ? j->opt.threads : omma_threads_default();
    j->times = omma_arena_array(&j->arena, j->rounds > 0 ? (size_t)j->rounds : MOST_ROUNDS,
                                sizeof *j->times);
    if (!j->times) return omma_fail(err, OMMA_E_NOMEM, "no memory for the times");
    OMMA_TRY(load(j, err));
    OMMA_TRY(warm_up(j, err));
    OMMA_TRY(measure(j, err));
    if (r->streams.count)
        OMMA_TRY(bench_many(&r->streams, j->model, &j->opt, r->inputs, j->seconds, err));
    r->size = omma_session_measure(j->session);
    r->memory = most_memory();
    OMMA_TRY(profile(j, err));
    return j->trace ? bench_trace(r, j->trace, err) : OMMA_OK;
}

static int machine(const job *j) {
    omma_error err;
    omma_machine m;
    const int threads = j->opt.threads ? j->opt.threads : omma_threads_default();
    if (omma_debug_environment(&err) || omma_machine_measure(&m, threads, j->seconds, &err))
        return omma_cli_failed("bench", &err);
    if (j->json) return bench_json_machine(&m);
    bench_print_machine(&m);
    return OMMA_EXIT_OK;
}

static int model(job *j) {
    omma_error err;
    int status = OMMA_EXIT_OK;
    omma_arena_init(&j->arena, NULL);
    if (work(j, &err)) status = omma_cli_failed("bench", &err);
    else if (j->json) status = bench_json(&j->r);
    else bench_print(&j->r, j->all);
    omma_profile_free(&j->r.profile);
    omma_session_free(j->session);
    omma_model_free(j->model);
    omma_arena_free(&j->arena);
    return status;
}

static int check(const job *j, const omma_cli_list *args) {
    const bool for_models = j->inputs.count || j->shapes.count || j->rounds != UNSET || j->trace ||
                            j->r.profiled || j->all || j->streams != UNSET || j->batch != UNSET;
    if (!(j->seconds > 0 && j->seconds <= 3600))
        return omma_cli_misused("bench", "--seconds wants more than 0, 3600 at most");
    if (j->rounds != UNSET && (j->rounds < 1 || j->rounds > MOST_ROUNDS))
        return omma_cli_misused("bench", "--rounds wants 1 to %d", (int)MOST_ROUNDS);
    if (j->streams != UNSET && (j->streams < 1 || j->streams > MOST_STREAMS))
        return omma_cli_misused("bench", "--streams wants 1 to %d", (int)MOST_STREAMS);
    if (j->batch != UNSET && (j->batch < 1 || j->batch > MOST_BATCH))
        return omma_cli_misused("bench", "--batch wants 1 to %d", (int)MOST_BATCH);
    if (j->peak && (args->count || for_models))
        return omma_cli_misused("bench",
                                "--peak measures the machine: no model, and nothing of it");
    if (!j->peak && args->count != 1)
        return omma_cli_misused("bench", args->count ? "one model at a time" : "no model given");
    if (j->all && !j->r.profiled) return omma_cli_misused("bench", "--all goes with --profile");
    return 0;
}

int omma_cli_bench(int argc, char **argv) {
    job j = {.rounds = UNSET, .streams = UNSET, .batch = UNSET, .seconds = 3};
    omma_cli_list args;
    int want_help;
    const omma_cli_option options[] = {{0, "threads", 't', &j.opt.threads},
                                       {0, "seconds", 'f', &j.seconds},
                                       {0, "rounds", 'i', &j.rounds},
                                       {'i', "input", 'm', &j.inputs},
                                       {0, "shape", 'm', &j.shapes},
                                       {0, "batch", 'i', &j.batch},
                                       {0, "streams", 'i', &j.streams},
                                       {0, "profile", 'b', &j.r.profiled},
                                       {0, "all", 'b', &j.all},
                                       {0, "trace", 's', &j.trace},
                                       {0, "peak", 'b', &j.peak},
                                       {0, "json", 'b', &j.json},
                                       OMMA_CLI_HALF_OPTIONS(j.opt),
                                       OMMA_CLI_MODEL_OPTIONS(j.opt)};
    int status =
        omma_cli_parse(argc, argv, options, sizeof options / sizeof *options, &args, &want_help);
    if (want_help) fputs(help_text, stdout);
    else if (!status && !(status = check(&j, &args))) {
        j.r.path = args.count ? args.items[0] : NULL;
        if (j.batch != UNSET) j.r.batch = j.batch;
        if (j.streams != UNSET) j.r.streams.count = j.streams;
        if (j.streams != UNSET && !j.opt.threads) j.opt.threads = 1;
        status = j.peak ? machine(&j) : model(&j);
    }
    free(args.items);
    free(j.inputs.items);
    free(j.shapes.items);
    return omma_cli_finish("bench", status);
}
