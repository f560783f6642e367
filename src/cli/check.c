/* check.c - `omma check`: is this model sound? Reads everything, verifies the graph, and
 * specialises it, so that shapes, types and attribute ranges are checked too. Nothing is
 * run. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "model/inspect.h"

static const char help_text[] =
    "omma check: is this model file sound?\n\n"
    "usage: omma check [options] FILE...\n\n"
    "Reads the whole ONNX file, verifies its graph and works out every shape, without\n"
    "running it. Prints 'sound', or the first fault with the name and the byte offset\n"
    "where it is. Exit status 0 if all files are sound, 1 if not.\n\n"
    "  -h, --help    this text\n" OMMA_CLI_MODEL_HELP "\n"
    "example:\n"
    "  omma check downloaded.onnx && omma info downloaded.onnx\n";

static int one(const char *path, const omma_options *opt) {
    omma_error err;
    omma_model *m = NULL;
    omma_inspection x = {0};
    omma_status s = omma_model_open(&m, path, opt, &err);
    if (!s) s = omma_inspect(&x, m, NULL, &err);
    if (!s) {
        omma_cli_put_name(path, 0);
        printf(": sound: %d nodes, %lld parameters\n", m->graph->n_nodes, (long long)m->parameters);
    } else if (m && err.offset >= 0) {
        omma_cli_flush();
        fprintf(stderr, "omma check: %s (byte %lld)\n", err.message, (long long)err.offset);
    } else omma_cli_failed("check", &err);
    omma_inspection_free(&x);
    omma_model_free(m);
    return s ? OMMA_EXIT_FAILED : OMMA_EXIT_OK;
}

int omma_cli_check(int argc, char **argv) {
    omma_cli_list args;
    int want_help;
    omma_options opt = {0};
    const omma_cli_option options[] = {OMMA_CLI_MODEL_OPTIONS(opt)};
    int status =
        omma_cli_parse(argc, argv, options, sizeof options / sizeof *options, &args, &want_help);
    if (want_help) fputs(help_text, stdout);
    else if (!status && !args.count) status = omma_cli_misused("check", "no file given");
    else
        for (int i = 0; i < args.count && status != OMMA_EXIT_USAGE; i++)
            if (one(args.items[i], &opt)) status = OMMA_EXIT_FAILED;
    free(args.items);
    return omma_cli_finish("check", status);
}
