/* frombytes.h - a file that lies in memory: readers that map a file by its path get a copy of
 * just these bytes instead, so that a sanitizer sees a read beyond the end, which behind a map
 * stays unseen up to the end of the page. Takes the linker's --wrap=omma_bytes_map. */
#ifndef OMMA_FUZZ_FROMBYTES_H
#define OMMA_FUZZ_FROMBYTES_H

#include "file/bytes.h"
#include "fuzz.h"

omma_status __real_omma_bytes_map(omma_bytes *out, const char *path, omma_error *err);
omma_status __wrap_omma_bytes_map(omma_bytes *out, const char *path, omma_error *err);

#define FUZZ_PATH "fuzz:bytes"

static const uint8_t *frombytes_data;
static size_t frombytes_size;

omma_status __wrap_omma_bytes_map(omma_bytes *out, const char *path, omma_error *err) {
    if (strcmp(path, FUZZ_PATH)) return __real_omma_bytes_map(out, path, err);
    *out = (omma_bytes){0};
    if (!frombytes_size) return OMMA_OK;
    unsigned char *copy = malloc(frombytes_size);
    FUZZ_CHECK(copy, "no memory");
    memcpy(copy, frombytes_data, frombytes_size);
    *out = (omma_bytes){copy, frombytes_size, false};
    return OMMA_OK;
}

#endif
