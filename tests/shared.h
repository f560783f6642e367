/* shared.h - where the tests find data that is not part of the tree: OMMA_SHARED from the
 * environment, else ../shared beside the tree. */
#ifndef OMMA_TESTS_SHARED_H
#define OMMA_TESTS_SHARED_H

#include <stdio.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>

/* The path of a shared file; it may not exist. Returns 1 when it does. */
static inline int shared_path(char *out, size_t size, const char *name) {
    const char *base = getenv("OMMA_SHARED");
    struct stat st;
    if (base && *base) snprintf(out, size, "%s/%s", base, name);
    else snprintf(out, size, "%s/../shared/%s", OMMA_TREE, name);
    return !stat(out, &st);
}

#endif
