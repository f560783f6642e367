/* cli.h - what the verbs of the omma command share. One file per verb, one row per verb
 * in main.c's table. Exit status: 0 done, 1 failed, 2 used wrongly. */
#ifndef OMMA_CLI_CLI_H
#define OMMA_CLI_CLI_H

#include "base/error.h"

enum { OMMA_EXIT_OK = 0, OMMA_EXIT_FAILED = 1, OMMA_EXIT_USAGE = 2 };

/* A verb: argv[0] is its name. Prints its own help for -h and --help. */
int omma_cli_detect(int argc, char **argv);
int omma_cli_read(int argc, char **argv);
int omma_cli_info(int argc, char **argv);
int omma_cli_run(int argc, char **argv);
int omma_cli_check(int argc, char **argv);
int omma_cli_models(int argc, char **argv);
int omma_cli_pull(int argc, char **argv);
int omma_cli_eval(int argc, char **argv);

/* "omma VERB: message" on stderr. Returns OMMA_EXIT_FAILED. */
int omma_cli_failed(const char *verb, const omma_error *err);

/* "omma VERB: message; try 'omma VERB --help'" on stderr. Returns OMMA_EXIT_USAGE. */
int omma_cli_misused(const char *verb, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Flush stdout and check that everything printed arrived (a full disk, a closed pipe):
 * status when it did, else a message on stderr and OMMA_EXIT_FAILED. Every verb ends
 * with it. */
int omma_cli_finish(const char *verb, int status);

/* --- options: one reader for all verbs ----------------------------------------- */

/* kind 'b': a switch, target int*; 's': a string, const char**; 'i': int*; 'f': double*;
 * 'm': may be repeated, target omma_cli_list*. */
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

/* Sort argv into options and the rest. "--" ends the options; "--word=value" and
 * "-o value" are understood. *help is set for -h and --help. Returns 0, or
 * OMMA_EXIT_USAGE after a message. Free rest->items and every 'm' list's items. */
int omma_cli_parse(int argc, char **argv, const omma_cli_option *options, int n,
                   omma_cli_list *rest, int *help);

/* --- many pictures ------------------------------------------------------------- */

typedef struct omma_cli_files {
    char **paths;
    int count;
} omma_cli_files;

/* Expand files, folders (their pictures by name, not deeper) and quoted globs into a
 * list, sorted within each argument. A missing file stays in the list and is reported
 * when it is opened. Returns 0, or OMMA_EXIT_FAILED after a message (a folder without
 * pictures, a glob that matches nothing). */
int omma_cli_files_expand(omma_cli_files *out, const char *verb, const omma_cli_list *args);
void omma_cli_files_free(omma_cli_files *f);

/* The name of an annotated copy of picture i of f: DIR/STEM.VERB.png. Pictures of the same
 * stem get -2, -3, ... in their order, so that none overwrites another, and the verb in the
 * name keeps it from overwriting the picture itself. */
void omma_cli_output_path(char *out, size_t size, const char *dir, const omma_cli_files *f, int i,
                          const char *verb);

/* Progress on stderr: a bar when it is a terminal, a plain line every few seconds
 * otherwise; nothing for a single item. Call with done = 0..total. */
typedef struct omma_cli_progress {
    const char *what;
    int total;
    double started, shown;
} omma_cli_progress;
void omma_cli_progress_start(omma_cli_progress *p, const char *what, int total);
void omma_cli_progress_step(omma_cli_progress *p, int done);
void omma_cli_progress_end(omma_cli_progress *p);

#endif
