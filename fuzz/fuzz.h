/* fuzz.h - what the fuzz targets share. A target is one file fuzz_NAME.c that exports
 * LLVMFuzzerTestOneInput; clang links it with libFuzzer (make fuzz), and tests/test_corpus.c
 * runs it over tests/corpus/NAME with any compiler.
 *
 * A target ends the process by abort when something omma promises does not hold: that is what
 * libFuzzer takes for a finding. Crashes, leaks and undefined behaviour the sanitizers see. */
#ifndef OMMA_FUZZ_FUZZ_H
#define OMMA_FUZZ_FUZZ_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Abort, saying why, unless it holds. */
#define FUZZ_CHECK(holds, ...)                                          \
    do {                                                                \
        if (!(holds)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #holds); \
            fprintf(stderr, __VA_ARGS__), fputc('\n', stderr);          \
            abort();                                                    \
        }                                                               \
    } while (0)

/* A call that failed has said why, in one line, with the status it returned. */
static inline omma_status fuzz_status(omma_status s, const omma_error *err) {
    if (!s) return s;
    FUZZ_CHECK(s == err->status, "returned %d, the error says %d", (int)s, (int)err->status);
    FUZZ_CHECK(memchr(err->message, 0, sizeof err->message), "the message has no end");
    FUZZ_CHECK(*err->message && !strchr(err->message, '\n'), "message '%s'", err->message);
    FUZZ_CHECK(s != OMMA_E_INTERNAL, "%s", err->message);
    return s;
}

/* Read every byte, so that a sanitizer sees one that is not there. */
static inline unsigned fuzz_read(const void *p, size_t n) {
    unsigned sum = 0;
    for (size_t i = 0; i < n; i++) sum += ((const volatile unsigned char *)p)[i];
    return sum;
}

#endif
