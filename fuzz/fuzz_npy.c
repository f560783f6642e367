/* fuzz_npy.c - .npy files. What reads must be whole, and read back from what it is written
 * as, bit for bit. */
#include "file/npy.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    omma_budget budget = {.limit = 64 << 20};
    omma_arena arena;
    omma_tensor t, again;
    omma_error err = {0};
    omma_arena_init(&arena, &budget);
    if (!fuzz_status(omma_npy_decode(&t, &arena, data, size, "fuzz", &err), &err)) {
        int64_t n = omma_tensor_count(&t);
        FUZZ_CHECK(n >= 0 && t.rank >= 0 && t.rank <= OMMA_MAX_RANK, "no sound shape");
        size_t bytes = (size_t)n * omma_dtype_size(t.dtype), len;
        FUZZ_CHECK(bytes < size, "more numbers than the file has");
        fuzz_read(t.data, bytes);
        unsigned char *text;
        FUZZ_CHECK(!omma_npy_encode(&text, &len, &arena, &t, &err), "%s", err.message);
        FUZZ_CHECK(!omma_npy_decode(&again, &arena, text, len, "again", &err), "%s", err.message);
        FUZZ_CHECK(again.dtype == t.dtype && again.rank == t.rank &&
                       !memcmp(again.dims, t.dims, (size_t)t.rank * sizeof *t.dims) &&
                       (!bytes || !memcmp(again.data, t.data, bytes)),
                   "what was written reads differently");
    }
    omma_arena_free(&arena);
    return 0;
}
