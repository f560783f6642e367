/* cli.h - what the verbs of the omma command share. One file per verb, one row per verb
 * in main.c's table. Exit status: 0 done, 1 failed, 2 used wrongly. */
#ifndef OMMA_CLI_CLI_H
#define OMMA_CLI_CLI_H

#include "base/arena.h"
#include "file/json.h"

enum { OMMA_EXIT_OK = 0, OMMA_EXIT_FAILED = 1, OMMA_EXIT_USAGE = 2 };

/* A verb: argv[0] is its name. Prints its own help for -h and --help. */
int omma_cli_detect(int argc, char **argv);
int omma_cli_read(int argc, char **argv);
int omma_cli_info(int argc, char **argv);
int omma_cli_run(int argc, char **argv);
int omma_cli_field(int argc, char **argv);
int omma_cli_look(int argc, char **argv);
int omma_cli_bench(int argc, char **argv);
int omma_cli_quantize(int argc, char **argv);
int omma_cli_diff(int argc, char **argv);
int omma_cli_check(int argc, char **argv);
int omma_cli_models(int argc, char **argv);
int omma_cli_pull(int argc, char **argv);
int omma_cli_eval(int argc, char **argv);

/* "omma VERB: message" on stderr. Returns OMMA_EXIT_FAILED. */
int omma_cli_failed(const char *verb, const omma_error *err);

/* "omma VERB: message; try 'omma VERB --help'" on stderr. Returns OMMA_EXIT_USAGE. */
int omma_cli_misused(const char *verb, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Flush stdout. Returns 0, or -1 when something printed, now or before, did not arrive (a
 * full disk, a closed pipe); omma_cli_finish tells why. A verb with much to do stops then. */
int omma_cli_flush(void);

/* Flush stdout and check that everything printed arrived: status when it did, else a
 * message on stderr and OMMA_EXIT_FAILED. Every verb ends with it. */
int omma_cli_finish(const char *verb, int status);

/* End a JSON document on stdout, with a newline, and free its writer. Returns 0, or
 * OMMA_EXIT_FAILED after a message; what did not arrive on stdout is left to omma_cli_finish, which
 * tells it once. */
int omma_cli_json_end(const char *verb, omma_json_writer *w);

/* Print a name from a file or a folder on stdout, padded to width columns. Control
 * characters, which could drive a terminal, are shown as '?'. */
void omma_cli_put_name(const char *name, int width);

/* --- options: one reader for all verbs ----------------------------------------- */

/* kind 'b': a switch, target int*; 's': a string, const char**; 'i': int*; 'f': double*;
 * 't': a number of threads, 1..256, int*; 'm': may be repeated, target omma_cli_list*; 'z': a
 * memory budget, size_t*: bytes, or with K, M or G behind; it becomes the process's ceiling
 * (base/arena.h) too; 'x': the text of a file, const char**, which lives as long as the process:
 * one a process. */
typedef struct omma_cli_option {
    char letter;      /* 0: none */
    const char *word; /* without the dashes */
    char kind;
    void *target;
} omma_cli_option;

typedef struct omma_cli_list {
    const char **items;
    int count;
} omma_cli_list;

/* The options of every verb that opens a model, for its table (o is the omma_options that it
 * opens models with) and for its help. */
#define OMMA_CLI_MODEL_OPTIONS(o) \
    {0, "max-memory", 'z', &(o).max_memory}, { 0, "allow-external", 'b', &(o).allow_external }
/* The options of those that run it, too. */
#define OMMA_CLI_HALF_OPTIONS(o) \
    {0, "bf16", 'b', &(o).bf16}, { 0, "keep-float", 'x', &(o).keep_float }
#define OMMA_CLI_HALF_HELP                                                                    \
    "      --bf16             compute in bfloat16, sums in float32: half the memory; twice\n" \
    "                         as fast where the processor has AVX512-BF16\n"                  \
    "      --keep-float FILE  with --bf16: names of nodes that stay in float32, one a line\n"
#define OMMA_CLI_MODEL_HELP                                                              \
    "\nfor models and pictures that nobody vouches for:\n"                               \
    "      --max-memory SIZE  fail when more memory is needed: bytes, or with K, M, G\n" \
    "      --allow-external   read weights that the model keeps in other files of its\n" \
    "                         folder\n"

/* Sort argv into options and the rest. "--" ends the options; "--word=value", "-o value" and
 * "-ovalue" are understood; an empty argument or value is refused, since it is most often an
 * unset variable of a shell. *help is set for -h and --help. Returns 0, or
 * OMMA_EXIT_USAGE after a message. Free rest->items and every 'm' list's items. */
int omma_cli_parse(int argc, char **argv, const omma_cli_option *options, int n,
                   omma_cli_list *rest, int *help);

/* --- tensors ------------------------------------------------------------------- */

/* Tensors for a model's inputs from the arguments of -i, each NAME=FILE.npy, or FILE.npy when
 * there is one input.
 *   out    receives an array by input; an input that no argument names has dtype OMMA_NONE.
 *   arena  owns it and the numbers.
 *   model  the model's file, for messages.
 * Returns OMMA_OK, OMMA_E_NOTFOUND (no such input), OMMA_E_USAGE (no file, an input twice) or
 * what reading a file returned. */
omma_status omma_cli_inputs(omma_tensor **out, omma_arena *arena, const omma_model *m,
                            const char *model, const omma_cli_list *args, omma_error *err);

/* Sizes for a model's input from an argument NAME=1x3x640x640, or 1x3x640x640 when there is one
 * input.
 *   shapes  by input, as omma_inspect_shapes gives them; those of the named one are set.
 *   model   the model's file, for messages.
 * Returns OMMA_OK, OMMA_E_NOTFOUND (no such input), OMMA_E_USAGE (no sizes) or OMMA_E_SHAPE (a
 * declared size is another one, or their number is). */
omma_status omma_cli_sizes(omma_tensor *shapes, const omma_model *m, const char *model,
                           const char *arg, omma_error *err);

/* --- many pictures ------------------------------------------------------------- */

typedef struct omma_cli_files {
    char **paths;
    char **stems; /* of the drawings' names, all different */
    int count;
} omma_cli_files;

/* Expand files, folders (their pictures by name, not deeper, without what omma drew) and
 * quoted globs into a list, sorted within each argument. A missing file stays in the list and is
 * reported when it is opened. Returns 0, or OMMA_EXIT_FAILED after a message (a folder without
 * pictures, a glob that matches nothing). */
int omma_cli_files_expand(omma_cli_files *out, const char *verb, const omma_cli_list *args);
void omma_cli_files_free(omma_cli_files *f);

/* The name of an annotated copy of picture i of f: DIR/STEM.VERB.png. Pictures of the same
 * stem get -2, -3, ... in their order, and so does one whose drawing would have the name of
 * a picture of f: no drawing overwrites another or a picture. */
void omma_cli_output_path(char *out, size_t size, const char *dir, const omma_cli_files *f, int i,
                          const char *verb);

/* Progress on stderr: a bar when it is a terminal, a plain line every few seconds
 * otherwise; nothing for a single item, nor when stdout is a terminal too, where the answers
 * themselves show how far it is and a bar would be among them. Call with done = 0..total. */
typedef struct omma_cli_progress {
    const char *what;
    int total;
    double started, shown;
} omma_cli_progress;
void omma_cli_progress_start(omma_cli_progress *p, const char *what, int total);
void omma_cli_progress_step(omma_cli_progress *p, int done);
void omma_cli_progress_end(omma_cli_progress *p);

#endif
