/* bytes.h - whole files in and whole files out.
 *
 * In: a file is mapped (weights) or read (small things), regular files only, its size
 * known before anything is allocated. Out: a file is written beside its final name and
 * moved there when it is complete and on the disk, so a reader never sees half of one
 * and an older file survives a failure. */
#ifndef OMMA_FILE_BYTES_H
#define OMMA_FILE_BYTES_H

#include <stdbool.h>

#include "base/arena.h"

typedef struct omma_bytes {
    const unsigned char *data; /* NULL only when size is 0 */
    size_t size;               /* [bytes] */
    bool mapped;
} omma_bytes;

/* Map a regular file read-only, as omma_bytes_hold does without a budget. Free with
 * omma_bytes_free. Returns OMMA_OK, OMMA_E_IO (missing, a directory, not a regular file, not
 * readable), naming the file, or OMMA_E_NOMEM. */
omma_status omma_bytes_map(omma_bytes *out, const char *path, omma_error *err);

/* Hold the file of an open descriptor, which is closed, for a long time: mapped when it can be
 * expected to stay as it is, copied when anybody at all may write it (mode o+w), since a
 * mapped file that is cut short ends the process.
 *   budget  is charged with the copy before it is made; may be NULL. It is not given back
 *           by omma_bytes_free.
 *   links   the most names (hard links) the file may have; 0: any number.
 *   path    for messages.
 * Returns OMMA_OK, OMMA_E_IO or OMMA_E_NOMEM. */
omma_status omma_bytes_hold(omma_bytes *out, int fd, omma_budget *budget, unsigned links,
                            const char *path, omma_error *err);

/* Read a regular file of at most max bytes into memory. Returns OMMA_OK, OMMA_E_IO,
 * OMMA_E_RANGE (larger than max) or OMMA_E_NOMEM. */
omma_status omma_bytes_read(omma_bytes *out, const char *path, size_t max, omma_error *err);

void omma_bytes_free(omma_bytes *b);

/* Write a whole file atomically: a temporary file in the same folder, fsync, rename. A
 * path that exists and is not a regular file (a device, a pipe) is written in place.
 * Returns OMMA_OK or OMMA_E_IO with the system's reason; on error no new file is left
 * and an old one is untouched. */
omma_status omma_bytes_write(const char *path, const void *data, size_t size, omma_error *err);

/* Could a file be written there? For work that takes long, before it begins. Returns OMMA_OK, or
 * what omma_bytes_write would; nothing is left behind. */
omma_status omma_bytes_writable(const char *path, omma_error *err);

/* As omma_bytes_write, n pieces one behind the other. */
omma_status omma_bytes_write_parts(const char *path, const omma_bytes *parts, size_t n,
                                   omma_error *err);

/* Make a folder and its missing parents (mode 0777 & ~umask). OMMA_OK if it is there
 * already, OMMA_E_IO otherwise. */
omma_status omma_folder_make(const char *path, omma_error *err);

#endif
