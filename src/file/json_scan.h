/* json_scan.h - the syntax of JSON over bytes in memory, without values: what json.c and
 * json_stream.c share. The scanner finds where a value ends, checks its grammar (RFC 8259)
 * and its depth, and takes no memory; texts are not checked for UTF-8. */
#ifndef OMMA_FILE_JSON_SCAN_H
#define OMMA_FILE_JSON_SCAN_H

#include "file/json.h"

typedef struct omma_json_scan {
    const unsigned char *data;
    size_t size, at; /* [bytes]; at <= size */
    const char *file;
    int depth; /* open objects and arrays */
    omma_error *err;
} omma_json_scan;

/* Bytes from..to of the data, to excluded. */
typedef struct omma_json_span {
    size_t from, to;
} omma_json_span;

/* OMMA_E_FORMAT at byte `at`, or at the end of the text when at is beyond it. */
omma_status omma_json_fault(omma_json_scan *s, size_t at, const char *what);

/* The next byte that is not white space, left in place; -1 at the end. */
int omma_json_peek(omma_json_scan *s);

/* Step over one value of any kind. */
omma_status omma_json_skip(omma_json_scan *s);

/* Step into an object ('{') or array ('['), which must be next. */
omma_status omma_json_enter(omma_json_scan *s, char open);

/* Step to the next item up to the closing byte, which is stepped over: *more tells which.
 * *first must be true before the first call. */
omma_status omma_json_item(omma_json_scan *s, char close, bool *first, bool *more);

/* Step over a member's name and its colon; *name is the name's span with its quotes. */
omma_status omma_json_name(omma_json_scan *s, omma_json_span *name);

/* Check that nothing follows but white space. */
omma_status omma_json_finish(omma_json_scan *s);

/* Make a tree of a text whose syntax was checked; base is added to offsets in faults. */
omma_status omma_json_build(omma_json **out, const void *data, size_t size, const char *file,
                            size_t base, omma_error *err);

#endif
