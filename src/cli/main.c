/* main.c - the omma command: finds the verb and hands over. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *what;
} verbs[] = {
    {"read", omma_cli_read, "read the text in pictures"},
    {"detect", omma_cli_detect, "find the things in pictures"},
    {"info", omma_cli_info, "what a model is: inputs, outputs, operators, cost"},
    {"run", omma_cli_run, "run a model on raw tensors (.npy)"},
    {"field", omma_cli_field, "what each layer of a model can see"},
    {"look", omma_cli_look, "see what a model sees in a picture, in a browser"},
    {"bench", omma_cli_bench, "how fast a model runs here, and where its time goes"},
    {"quantize", omma_cli_quantize, "make a model compute in int8, with pictures to measure on"},
    {"diff", omma_cli_diff, "find the first node that another runtime computes differently"},
    {"check", omma_cli_check, "is this model file sound?"},
    {"eval", omma_cli_eval, "score detections against COCO annotations"},
    {"models", omma_cli_models, "list the models omma knows"},
    {"pull", omma_cli_pull, "fetch one of them"},
};
enum { VERBS = sizeof verbs / sizeof *verbs };

static void help(FILE *f) {
    fputs("omma: run vision models of convolutions and attention, and look into them.\n\n"
          "usage: omma VERB [ARGUMENTS]\n"
          "       omma VERB --help         more about a verb\n"
          "       omma --version\n\n",
          f);
    for (int i = 0; i < VERBS; i++) fprintf(f, "  %-8s %s\n", verbs[i].name, verbs[i].what);
    fputs("\nTo begin:\n"
          "  omma pull ppocrv4            fetch a text reader (16 MB)\n"
          "  omma read page.png           print the text of a picture\n\n"
          "Exit status: 0 done, 1 failed, 2 used wrongly.\n",
          f);
}

static int run_verb(int argc, char **argv) {
    for (int i = 0; i < VERBS; i++)
        if (!strcmp(argv[0], verbs[i].name)) return verbs[i].run(argc, argv);
    fprintf(stderr, "omma: there is no verb '%s'; 'omma --help' lists them\n", argv[0]);
    return OMMA_EXIT_USAGE;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        help(stderr);
        return OMMA_EXIT_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        char *ask[] = {argv[2], (char[]){"--help"}, NULL};
        if (argc > 2) return run_verb(2, ask);
        help(stdout);
        return omma_cli_finish("help", OMMA_EXIT_OK);
    }
    if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "version")) {
        printf("omma %s\n", omma_version());
        return omma_cli_finish("version", OMMA_EXIT_OK);
    }
    return run_verb(argc - 1, argv + 1);
}
