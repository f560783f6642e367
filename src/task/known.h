/* known.h - the models omma knows by name: what each is for, its licence, where it is
 * fetched from, and the size and SHA-256 of every file. `omma pull NAME` installs one in
 * the user's data folder; tasks find its files here.
 *
 *     char path[OMMA_KNOWN_PATH];
 *     const omma_known *k = omma_known_for_task("read");
 *     OMMA_TRY(omma_known_check(k, OMMA_KNOWN_SIZES, err));  ("... omma pull ppocrv4")
 *     OMMA_TRY(omma_known_path(path, sizeof path, k, "detector", err));
 *
 * The models folder is the first of these that is set:
 *     $OMMA_MODELS                 as it stands, relative to the working folder if relative
 *     $XDG_DATA_HOME/omma/models   only when absolute, as the XDG specification asks
 *     $HOME/.local/share/omma/models
 * and a model's files lie in its subfolder NAME. Source of the rules: XDG Base Directory
 * Specification 0.8. */
#ifndef OMMA_TASK_KNOWN_H
#define OMMA_TASK_KNOWN_H

#include <stdbool.h>

#include "base/error.h"

enum { OMMA_KNOWN_PATH = 4096 }; /* bytes that hold any path made here */

/* One file of a model. It comes from the model's npm package (member) or from the first
 * of its urls that answers; the digest decides either way. */
typedef struct omma_known_file {
    const char *role;        /* "model", or "detector", "angle", "recogniser", "dictionary" */
    const char *name;        /* file name in the model's folder; no '/' */
    size_t size;             /* [bytes] */
    const char *sha256;      /* 64 lower-case hexadecimal digits */
    const char *member;      /* path inside the package's tarball, NULL without a package */
    const char *const *urls; /* https, NULL at the end; NULL with a package */
} omma_known_file;

typedef struct omma_known {
    const char *name;    /* what people type: lower-case letters, digits, '-' */
    const char *what;    /* what it is for, one line */
    const char *task;    /* the verb that uses it: "detect" or "read" */
    const char *licence; /* of the weights, and of the package where that differs */
    const char *source;  /* the public home page */
    const char *npm;     /* "NAME@VERSION" of the package that carries it, or NULL */
    const omma_known_file *files;
    int file_count;
} omma_known;

/* The table; *count receives the number of rows. Static, never NULL. */
const omma_known *omma_known_list(int *count);

/* The model of that name, or NULL. */
const omma_known *omma_known_find(const char *name);

/* The model a verb uses when none is named, or NULL. */
const omma_known *omma_known_for_task(const char *task);

/* The file with that role, or NULL. */
const omma_known_file *omma_known_file_of(const omma_known *k, const char *role);

/* The sum of a model's files [bytes]. */
size_t omma_known_size(const omma_known *k);

/* The models folder. It need not exist.
 *   out   receives the path, size bytes at most (OMMA_KNOWN_PATH suffices).
 * Returns OMMA_OK, OMMA_E_NOTFOUND (none of the variables is set) or OMMA_E_RANGE (the
 * path is too long). Reads the environment: not safe beside setenv. */
omma_status omma_known_root(char *out, size_t size, omma_error *err);

/* A model's folder; as omma_known_root. */
omma_status omma_known_folder(char *out, size_t size, const omma_known *k, omma_error *err);

/* The path of the file with that role, installed or not; as omma_known_root, and
 * OMMA_E_NOTFOUND for a role the model lacks. */
omma_status omma_known_path(char *out, size_t size, const omma_known *k, const char *role,
                            omma_error *err);

/* How much omma_known_check reads. */
typedef enum omma_known_depth {
    OMMA_KNOWN_SIZES,  /* every file is there with its size: cheap, for every start */
    OMMA_KNOWN_DIGESTS /* and has its SHA-256: reads every byte */
} omma_known_depth;

/* Is the model installed? Returns OMMA_OK, OMMA_E_NOTFOUND (a file is missing),
 * OMMA_E_FORMAT (a file has another size or digest) or OMMA_E_IO (one cannot be read);
 * each message names the command that installs it. Thread-safe. */
omma_status omma_known_check(const omma_known *k, omma_known_depth depth, omma_error *err);

/* As omma_known_check, for one file at any path; the message names the path and what
 * differs. */
omma_status omma_known_check_file(const omma_known_file *f, const char *path,
                                  omma_known_depth depth, omma_error *err);

#endif
