/* frombytes.h - a file that lies in memory: readers that hold a file by its path get a copy of
 * just these bytes instead, so that a sanitizer sees a read beyond the end, which behind a map
 * stays unseen up to the end of the page. Takes the linker's --wrap of both functions. */
#ifndef OMMA_FUZZ_FROMBYTES_H
#define OMMA_FUZZ_FROMBYTES_H

#include <unistd.h>

#include "file/bytes.h"
#include "fuzz.h"

omma_status __real_omma_bytes_map(omma_bytes *out, const char *path, omma_error *err);
omma_status __wrap_omma_bytes_map(omma_bytes *out, const char *path, omma_error *err);
omma_status __real_omma_bytes_hold(omma_bytes *out, int fd, omma_budget *budget, unsigned links,
                                   const char *path, omma_error *err);
omma_status __wrap_omma_bytes_hold(omma_bytes *out, int fd, omma_budget *budget, unsigned links,
                                   const char *path, omma_error *err);

#define FUZZ_PATH "/dev/null" /* can be opened */

static const uint8_t *frombytes_data;
static size_t frombytes_size;

static void frombytes_copy(omma_bytes *out) {
    *out = (omma_bytes){0};
    if (!frombytes_size) return;
    unsigned char *copy = omma_mem_alloc(frombytes_size); /* as omma_bytes_free frees it */
    FUZZ_CHECK(copy, "no memory");
    memcpy(copy, frombytes_data, frombytes_size);
    *out = (omma_bytes){copy, frombytes_size, false};
}

omma_status __wrap_omma_bytes_map(omma_bytes *out, const char *path, omma_error *err) {
    if (strcmp(path, FUZZ_PATH)) return __real_omma_bytes_map(out, path, err);
    frombytes_copy(out);
    return OMMA_OK;
}

omma_status __wrap_omma_bytes_hold(omma_bytes *out, int fd, omma_budget *budget, unsigned links,
                                   const char *path, omma_error *err) {
    if (!path || strcmp(path, FUZZ_PATH))
        return __real_omma_bytes_hold(out, fd, budget, links, path, err);
    close(fd);
    frombytes_copy(out);
    return OMMA_OK;
}

#endif
