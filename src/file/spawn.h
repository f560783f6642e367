/* spawn.h - run one program to its end: fixed arguments, no shell, a file or nothing on its
 * standard input, the end of what it says on standard error kept for the message, limits
 * on time and on the size of any file it writes. It gets a process group of its own, so
 * that a limit or a stop ends its helpers too. */
#ifndef OMMA_FILE_SPAWN_H
#define OMMA_FILE_SPAWN_H

#include <signal.h>

#include "base/error.h"

/* What to run; zero means the default everywhere but for argv.
 *   argv      the program, looked up in the absolute folders of PATH, and its arguments;
 *             NULL at the end.
 *   folder    working folder; default: the caller's.
 *   in        file it reads on standard input; default: nothing.
 *   out       file that receives standard output, made anew; default: thrown away.
 *   max_file  bytes any file it writes may have; default: no limit.
 *   seconds   time limit [s]; default: none.
 *   stop      ends the program when it becomes non-zero, as a signal handler may set it;
 *             default: never.
 *   tick      called five times a second or so while it runs, with user. */
typedef struct omma_spawn {
    const char *const *argv;
    const char *folder, *in, *out;
    size_t max_file;
    int seconds;
    const volatile sig_atomic_t *stop;
    void (*tick)(void *user);
    void *user;
} omma_spawn;

/* How it ended.
 *   status  its exit status, 128 + N when signal N ended it.
 *   said    the end of its standard error. */
typedef struct omma_ending {
    int status;
    char said[2048];
} omma_ending;

/* Run it and wait. A status other than 0 is for the caller to judge.
 * Returns OMMA_OK, OMMA_E_NOTFOUND (no such program in PATH), OMMA_E_NOMEM or OMMA_E_IO (it
 * cannot be started, took too long, or was stopped). Thread-safe as far as PATH stays. */
omma_status omma_spawn_run(omma_ending *end, const omma_spawn *s, omma_error *err);

#endif
