/* sha256.h - SHA-256 of memory, of an open file and of a file by name, as the text that
 * tables and people use: 64 lower-case hexadecimal digits. Says whether bytes are the
 * ones they should be. Source: FIPS 180-4; nettle does the work. */
#ifndef OMMA_FILE_SHA256_H
#define OMMA_FILE_SHA256_H

#include "base/error.h"

enum { OMMA_SHA256_TEXT = 65 }; /* 64 digits and a final 0 */

/* The digest of n bytes; data may be NULL when n is 0. Thread-safe. */
void omma_sha256_bytes(char text[OMMA_SHA256_TEXT], const void *data, size_t n);

/* The digest of everything from a descriptor's position to its end: a file, a pipe.
 *   text  receives the digits; untouched on error.
 *   size  receives the bytes read; may be NULL.
 *   name  for the message only; may be NULL.
 * Returns OMMA_OK or OMMA_E_IO. Thread-safe. */
omma_status omma_sha256_stream(char text[OMMA_SHA256_TEXT], size_t *size, int fd, const char *name,
                               omma_error *err);

/* The digest of a regular file; as omma_sha256_stream. Returns OMMA_OK or OMMA_E_IO
 * (missing, not a regular file, not readable). */
omma_status omma_sha256_file(char text[OMMA_SHA256_TEXT], size_t *size, const char *path,
                             omma_error *err);

#endif
