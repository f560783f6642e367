/* error.h - how a fault is reported: omma_error of the public header, filled here.
 *
 * A function that can fail returns omma_status and takes an omma_error *err that may
 * be NULL. It fails with `return omma_fail(err, OMMA_E_..., "what, where, what to do")`.
 * Callers that know more (the file, the node) add it on the way up. */
#ifndef OMMA_BASE_ERROR_H
#define OMMA_BASE_ERROR_H

#include "omma/omma.h"

/* Fill err (may be NULL) with status and a printf-style message of one line; offset is
 * set to -1, file and node to "". Control characters in the message become '?', since
 * names come from hostile files. Returns status. */
omma_status omma_fail(omma_error *err, omma_status status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* As omma_fail, for a fault at a byte of a file; the message should not repeat them:
 * "FILE: byte N: message" is composed here. file may be NULL, offset -1. */
omma_status omma_fail_at(omma_error *err, omma_status status, const char *file, int64_t offset,
                         const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* As omma_fail, for a fault at a node or tensor: "node 'NAME' (OP): message". op may be
 * NULL. */
omma_status omma_fail_node(omma_error *err, omma_status status, const char *node, const char *op,
                           const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* Put "FILE: " before a message that does not name its file yet; keeps the rest. Does
 * nothing if err is NULL or a file is already set. */
void omma_error_in_file(omma_error *err, const char *file);

#define OMMA_TRY(call)                       \
    do {                                     \
        omma_status try_status_ = (call);    \
        if (try_status_) return try_status_; \
    } while (0)

#endif
