/* fuzz_safetensors.c - safetensors files. What reads tiles the numbers exactly, is found by its
 * name, and its element types have sizes. */
#include "file/safetensors.h"
#include "fuzz.h"

static void check(const omma_safetensors *s, size_t size) {
    size_t total = 0;
    for (int i = 0; i < s->count; i++) {
        const omma_tensor *t = &s->items[i].t;
        int64_t n = omma_tensor_count(t);
        FUZZ_CHECK(n >= 0 && t->rank >= 0 && t->rank <= OMMA_MAX_RANK && omma_dtype_size(t->dtype),
                   "'%s' is no tensor", s->items[i].name);
        size_t bytes = (size_t)n * omma_dtype_size(t->dtype);
        FUZZ_CHECK(!bytes || (uintptr_t)t->data % omma_dtype_size(t->dtype) == 0,
                   "'%s' is not aligned", s->items[i].name);
        fuzz_read(t->data, bytes);
        FUZZ_CHECK(omma_safetensors_find(s, s->items[i].name) == t, "'%s' is not found",
                   s->items[i].name);
        total += bytes;
    }
    for (int i = 0; i < s->n_notes; i++) {
        const char *text = omma_safetensors_text(s, s->notes[i].key);
        FUZZ_CHECK(text && !strcmp(text, s->notes[i].text), "note '%s'", s->notes[i].key);
    }
    FUZZ_CHECK(size >= 8 && total <= size - 8, "more numbers than the file has");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    omma_budget budget = {.limit = 64 << 20};
    omma_safetensors s;
    omma_error err = {0};
    if (!fuzz_status(omma_safetensors_decode(&s, data, size, "fuzz", &budget, &err), &err))
        check(&s, size);
    omma_safetensors_free(&s);
    return 0;
}
