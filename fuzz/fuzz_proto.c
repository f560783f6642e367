/* fuzz_proto.c - files of one TensorProto, in the wire format of protobuf. */
#include "frombytes.h"
#include "model/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    omma_budget budget = {.limit = 64 << 20};
    omma_arena arena;
    omma_tensor t;
    omma_error err = {0};
    frombytes_data = data, frombytes_size = size;
    omma_arena_init(&arena, &budget);
    if (!fuzz_status(omma_onnx_tensor_file(&t, FUZZ_PATH, &arena, &err), &err)) {
        int64_t n = omma_tensor_count(&t);
        FUZZ_CHECK(n >= 0, "no sound shape");
        fuzz_read(t.data, (size_t)n * omma_dtype_size(t.dtype));
    }
    omma_arena_free(&arena);
    return 0;
}
