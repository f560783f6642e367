/* quantize_model.c - `omma quantize`: a float model to one that computes in int8, or, with --bf16,
 * which of its nodes shall stay in float32 when it runs in bfloat16. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/samples.h"
#include "file/bytes.h"
#include "learn/halve.h"
#include "learn/quantizer.h"
#include "model/onnx_write.h"

static const char help_text[] =
    "omma quantize: make a model compute in int8, measured on pictures.\n\n"
    "usage: omma quantize MODEL -o OUT.onnx --calibrate FOLDER\n"
    "       omma quantize MODEL --bf16 -o KEEP.txt --calibrate FOLDER\n\n"
    "The float model runs on the folder's pictures; the range of what every convolution and\n"
    "matrix product reads is measured; then each of them is quantised alone, and those that\n"
    "change the model's answers most stay in float. The new file is plain ONNX (QuantizeLinear\n"
    "and DequantizeLinear), which other runtimes run too. Weights get a scale for each channel.\n\n"
    "With --bf16 no file is quantised: each product runs alone in bfloat16, and the names of\n"
    "those that change the answers most are written, for --keep-float of run, detect, read\n"
    "and bench.\n\n"
    "  -o, --output OUT.onnx  the file to write; one that exists is replaced at the end\n"
    "      --calibrate FOLDER pictures like those the model will see, not those it is judged\n"
    "                         by; or .npy files, or for a model with several inputs a folder\n"
    "                         for each sample with NAME.npy for each input\n"
    "      --count N          samples to take, spread over the folder; default 32\n"
    "      --size HxW         of the pictures [px], where the model leaves it open\n"
    "      --mean R,G,B       y = (x/255 - mean) / std; default 0,0,0 and 1,1,1; detectors\n"
    "      --std R,G,B        are fed as 'omma detect' does\n"
    "      --bf16             the list of nodes to keep in float32, see above\n"
    "      --budget F         noise the answers may get, as a share of their energy; default\n"
    "                         0.01, with --bf16 0.0001; less keeps more in float\n"
    "      --small F          products with less than this share of the arithmetic stay in\n"
    "                         float; default 0.001\n"
    "      --json             the report as JSON: each product, its error, int8 or why not\n"
    "      --threads N        threads to use; the file does not depend on it\n"
    "  -h, --help             this text\n" OMMA_CLI_MODEL_HELP "\n"
    "examples:\n"
    "  omma quantize detector.onnx -o detector-int8.onnx --calibrate train2017/\n"
    "  omma quantize resnet50.onnx -o resnet50-int8.onnx --calibrate photos/ \\\n"
    "      --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225\n";

typedef struct job {
    const char *path, *output, *folder, *size, *mean, *std;
    int count, json, bf16;
    double budget, small; /* budget: 0: the default */
    omma_options opt;
    omma_samples_how how;
    omma_model *model;
    omma_arena arena;
    omma_quant q;
    omma_halve halve;  /* with bf16 */
    const char *doing; /* what the progress bar shows */
    omma_cli_progress bar;
} job;

static void progress(void *user, const char *what, int done, int total) {
    job *j = user;
    if (!j->doing || strcmp(j->doing, what)) {
        if (j->doing) omma_cli_progress_end(&j->bar);
        omma_cli_progress_start(&j->bar, what, total);
        j->doing = what;
    }
    omma_cli_progress_step(&j->bar, done);
}

/* --- the report --------------------------------------------------------------------- */

static const char *const fates[] = {"int8", "sensitive", "small", "unfit"};
static const char *const said[] = {"int8", "float: sensitive", "float: small",
                                   "float: no form in int8"};

static int by_error(const void *a, const void *b) {
    const omma_quant_node *x = a, *y = b;
    return (x->error < y->error) - (x->error > y->error);
}

static double share(double part, double all) { return all > 0 ? part / all : 0; }

static void print_text(const job *j) {
    enum { SHOWN = 12 };
    const omma_quant *q = &j->q;
    printf("%d of %d products in int8: %.1f %% of their arithmetic\n", q->n_int8, q->n_nodes,
           100 * share(q->flops_int8, q->flops));
    printf("noise      %.2g of the answers' energy, on %d samples\n\n", q->error, q->judged_on);
    printf("the most sensitive:\n  alone     MFLOP  kept in            operator  node\n");
    for (int i = 0; i < q->n_nodes && i < SHOWN && q->nodes[i].error > 0; i++) {
        const omma_quant_node *n = &q->nodes[i];
        printf("  %-8.2g %6.1f  %-18s %-9s ", n->error, n->flops * 1e-6, said[n->fate], n->op);
        omma_cli_put_name(n->name, 0);
        printf("\n");
    }
}

static int print_json(const job *j) {
    const omma_quant *q = &j->q;
    omma_json_writer w;
    omma_json_writer_file(&w, stdout, true);
    omma_json_begin_object(&w);
    omma_json_key(&w, "model"), omma_json_put_text(&w, j->path);
    omma_json_key(&w, "output"), omma_json_put_text(&w, j->output);
    omma_json_key(&w, "samples"), omma_json_put_int(&w, j->count);
    omma_json_key(&w, "judged_on"), omma_json_put_int(&w, q->judged_on);
    omma_json_key(&w, "noise"), omma_json_put_double(&w, q->error);
    omma_json_key(&w, "int8_products"), omma_json_put_int(&w, q->n_int8);
    omma_json_key(&w, "int8_share"), omma_json_put_double(&w, share(q->flops_int8, q->flops));
    omma_json_key(&w, "products");
    omma_json_begin_array(&w);
    for (int i = 0; i < q->n_nodes; i++) {
        const omma_quant_node *n = &q->nodes[i];
        omma_json_begin_object(&w);
        omma_json_key(&w, "name"), omma_json_put_text(&w, n->name);
        omma_json_key(&w, "operator"), omma_json_put_text(&w, n->op);
        omma_json_key(&w, "flops"), omma_json_put_double(&w, n->flops);
        omma_json_key(&w, "sensitivity"), omma_json_put_double(&w, n->error);
        omma_json_key(&w, "float"), omma_json_put_bool(&w, n->fate != OMMA_QUANT_INT8);
        omma_json_key(&w, "fate"), omma_json_put_text(&w, fates[n->fate]);
        omma_json_end_object(&w);
    }
    omma_json_end_array(&w);
    omma_json_end_object(&w);
    return omma_cli_json_end("quantize", &w);
}

static void print_halves(const job *j) {
    enum { SHOWN = 12 };
    const omma_halve *h = &j->halve;
    printf("%d of %d products in bfloat16: %.1f %% of their arithmetic\n", h->n_half, h->n_nodes,
           100 * share(h->flops_half, h->flops));
    printf("noise      %.2g of the answers' energy, on %d samples\n\n", h->error, h->judged_on);
    printf("the most sensitive:\n  alone     MFLOP  kept in   operator         node\n");
    for (int i = 0; i < h->n_nodes && i < SHOWN; i++) {
        const omma_quant_node *n = &h->nodes[i];
        printf("  %-8.2g %6.1f  %-8s  %-16s ", n->error, n->flops * 1e-6,
               n->fate == OMMA_QUANT_INT8 ? "bfloat16" : "float32", n->op);
        omma_cli_put_name(n->name, 0);
        printf("\n");
    }
}

/* --- options ------------------------------------------------------------------------ */

/* "0.5,0.5,0.5" or one number for all three; false when it is neither, or below least. */
static bool triple(const char *s, double out[3], double least) {
    int n = 0;
    for (char *end; s && n < 3; s = end + 1) {
        out[n++] = strtod(s, &end);
        if (end == s || !(out[n - 1] >= least) || out[n - 1] > 1e6) return false;
        if (!*end) {
            if (n == 1) out[1] = out[2] = out[0];
            return n == 1 || n == 3;
        }
        if (*end != ',') return false;
    }
    return false;
}

static bool sides(const char *s, int *h, int *w) {
    char *end;
    const long a = strtol(s, &end, 10);
    if (end == s || *end != 'x') return false;
    s = end + 1;
    const long b = strtol(s, &end, 10);
    *h = (int)a, *w = (int)b;
    return end != s && !*end && a > 0 && b > 0 && a <= 16384 && b <= 16384;
}

static int check(job *j, const omma_cli_list *args) {
    omma_samples_how *how = &j->how;
    if (args->count != 1)
        return omma_cli_misused("quantize", args->count ? "one model at a time" : "no model given");
    if (!j->output) return omma_cli_misused("quantize", "-o says no file to write");
    if (!j->folder) return omma_cli_misused("quantize", "--calibrate says no folder of pictures");
    if (j->count < 1) return omma_cli_misused("quantize", "--count wants at least 1");
    if (!(j->budget >= 0) || !(j->small >= 0) || j->small > 1)
        return omma_cli_misused("quantize", "--budget and --small want shares above 0");
    if (j->bf16 && j->json) return omma_cli_misused("quantize", "--json goes without --bf16");
    if (j->size && !sides(j->size, &how->h, &how->w))
        return omma_cli_misused("quantize", "--size wants HxW, not '%s'", j->size);
    if (j->mean && !triple(j->mean, how->mean, -1e6))
        return omma_cli_misused("quantize", "--mean wants R,G,B, not '%s'", j->mean);
    if (j->std && !triple(j->std, how->std, 1e-9))
        return omma_cli_misused("quantize", "--std wants R,G,B above 0, not '%s'", j->std);
    j->path = args->items[0];
    return 0;
}

/* --- the whole ---------------------------------------------------------------------- */

static omma_status work(job *j, omma_error *err) {
    const omma_tensor *const *samples;
    OMMA_TRY(omma_bytes_writable(j->output, err));
    OMMA_TRY(omma_model_open(&j->model, j->path, &j->opt, err));
    j->how.model = j->path, j->how.most = j->count, j->how.opt = j->opt;
    j->how.progress = progress, j->how.user = j;
    OMMA_TRY(omma_samples_read(&samples, &j->count, &j->arena, j->model, j->folder, &j->how, err));
    const omma_quant_options o = {.budget = j->budget,
                                  .small = j->small,
                                  .threads = j->opt.threads,
                                  .max_memory = j->opt.max_memory,
                                  .progress = progress,
                                  .user = j};
    if (j->bf16) {
        omma_status chosen =
            omma_halve_choose(&j->halve, j->model->graph, samples, j->count, &o, err);
        if (chosen) omma_error_in_file(err, j->path);
        return chosen ? chosen
                      : omma_bytes_write(j->output, j->halve.keep, strlen(j->halve.keep), err);
    }
    omma_status s = omma_quantize(&j->q, j->model->graph, samples, j->count, &o, err);
    if (s) omma_error_in_file(err, j->path);
    return s ? s : omma_onnx_write(j->output, j->q.graph, j->model, err);
}

static int all(job *j) {
    omma_error err;
    omma_arena_init(&j->arena, NULL);
    omma_status s = work(j, &err);
    int status = OMMA_EXIT_OK;
    if (j->doing) omma_cli_progress_end(&j->bar);
    if (s) status = omma_cli_failed("quantize", &err);
    else if (j->bf16) {
        qsort(j->halve.nodes, (size_t)j->halve.n_nodes, sizeof *j->halve.nodes, by_error);
        print_halves(j);
    } else if (j->json) status = print_json(j);
    else {
        qsort(j->q.nodes, (size_t)j->q.n_nodes, sizeof *j->q.nodes, by_error);
        print_text(j);
    }
    if (j->bf16) omma_halve_free(&j->halve);
    else omma_quant_free(&j->q);
    omma_model_free(j->model);
    omma_arena_free(&j->arena);
    return status;
}

int omma_cli_quantize(int argc, char **argv) {
    job j = {.count = 32, .small = 0.001, .how = {.std = {1, 1, 1}}};
    omma_cli_list args;
    int want_help;
    const omma_cli_option options[] = {
        {'o', "output", 's', &j.output},     {0, "calibrate", 's', &j.folder},
        {0, "count", 'i', &j.count},         {0, "size", 's', &j.size},
        {0, "mean", 's', &j.mean},           {0, "std", 's', &j.std},
        {0, "budget", 'f', &j.budget},       {0, "small", 'f', &j.small},
        {0, "bf16", 'b', &j.bf16},           {0, "json", 'b', &j.json},
        {0, "threads", 't', &j.opt.threads}, OMMA_CLI_MODEL_OPTIONS(j.opt)};
    int status =
        omma_cli_parse(argc, argv, options, sizeof options / sizeof *options, &args, &want_help);
    if (want_help) fputs(help_text, stdout);
    else if (!status) {
        status = check(&j, &args);
        if (!status) status = all(&j);
    }
    free(args.items);
    return omma_cli_finish("quantize", status);
}
