/* fetch.h - bring a file here with the clients that are on the machine: curl for https,
 * npm and tar for a package's files. They know the user's proxies, certificates and
 * registry; omma only says what is wanted and how large it may be. Whether the bytes are
 * the right ones is for the caller to check (sha256.h).
 *
 * OMMA_MIRROR in the environment, "https://HOST[:PORT][/FOLDER]" or http://..., takes the
 * place of scheme and host of every address; the rest of the address stays. Without it
 * only https is spoken. */
#ifndef OMMA_FILE_FETCH_H
#define OMMA_FILE_FETCH_H

#include <signal.h>

#include "base/error.h"

enum { OMMA_FETCH_ADDRESS = 2048 }; /* bytes that hold any address */

/* Options; NULL or zero means the default everywhere.
 *   seconds  time limit of one fetch [s]; default 3600. A transfer that stands still for
 *            30 s is given up before that.
 *   stop     gives up when it becomes non-zero, as a signal handler may set it.
 *   step     called a few times a second with user and the bytes there so far. */
typedef struct omma_fetch {
    int seconds;
    const volatile sig_atomic_t *stop;
    void (*step)(void *user, size_t done);
    void *user;
} omma_fetch;

/* The address that is really asked for: OMMA_MIRROR applied.
 *   out  OMMA_FETCH_ADDRESS bytes.
 * Returns OMMA_OK, OMMA_E_USAGE (OMMA_MIRROR is not of that form) or OMMA_E_RANGE. */
omma_status omma_fetch_address(char *out, const char *url, omma_error *err);

/* Fetch an address into a new file; redirections are followed.
 *   path      the file; must not exist. What is there after a failure is for the caller
 *             to remove.
 *   max_size  bytes it may have; more is refused, at the latest when they arrive.
 *   opt       may be NULL.
 * Returns OMMA_OK, OMMA_E_USAGE (OMMA_MIRROR), OMMA_E_NOTFOUND (curl is missing, or the
 * server has no such file) or OMMA_E_IO, each saying what to do. */
omma_status omma_fetch_url(const char *path, const char *url, size_t max_size,
                           const omma_fetch *opt, omma_error *err);

/* Fetch a package's tarball with npm.
 *   out       receives the tarball's path; size bytes.
 *   folder    an empty folder for it.
 *   package   "NAME@VERSION".
 *   max_size, opt  as above.
 * Returns as omma_fetch_url does, for npm. */
omma_status omma_fetch_npm(char *out, size_t size, const char *folder, const char *package,
                           size_t max_size, const omma_fetch *opt, omma_error *err);

/* Write one member of a gzip-compressed tarball to a new file, with tar. Nothing else of the
 * archive touches the disk, and no name out of it is used: a hostile one can only give
 * wrong bytes.
 *   path      the file; must not exist.
 *   member    its name inside, as the caller knows it.
 *   max_size, opt  as above.
 * Returns OMMA_OK, OMMA_E_NOTFOUND (tar is missing), OMMA_E_FORMAT (no such member, not a
 * tarball, or the member is too large) or OMMA_E_IO. */
omma_status omma_fetch_unpack(const char *path, const char *tarball, const char *member,
                              size_t max_size, const omma_fetch *opt, omma_error *err);

#endif
