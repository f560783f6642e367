/* scaled.c - see scaled.h. */
#include "graph/scaled.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/pages.h"

enum {
    WORTH = 256 << 10
}; /* [bytes] an arena gives what is larger a mapping of its own, which can be guarded */

/* The whole pages of the numbers; 0: not worth it. Under AddressSanitizer the memory is the
 * heap's. */
static size_t pages_of(const omma_scaled *s, char **begin) {
#if defined(__SANITIZE_ADDRESS__)
    (void)s, *begin = NULL;
    return 0;
#else
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), at = (uintptr_t)s->data;
    const size_t bytes = (size_t)s->count * sizeof *s->data;
    const uintptr_t from = (at + page - 1) & ~(page - 1), to = (at + bytes) & ~(page - 1);
    *begin = (char *)from;
    return bytes >= WORTH && to > from ? to - from : 0;
#endif
}

static void fill(const omma_scaled *s, float *data) {
    const int64_t rows = s->count / s->inner;
    for (int64_t r = 0; r < rows; r++) {
        const double by = s->by[r % s->channels];
        const char *from = (const char *)s->from + (size_t)(r * s->inner) * sizeof(float);
        float *to = data + r * s->inner;
        for (int64_t i = 0; i < s->inner; i++) {
            float x;
            memcpy(&x, from + (size_t)i * sizeof x, sizeof x);
            to[i] = (float)((double)x * by);
        }
    }
    omma_pages_give_back(s->from, (size_t)s->count * sizeof(float));
}

omma_scaled *omma_scaled_new(omma_arena *arena, const void *from, int64_t count, const double *by,
                             int64_t channels, int64_t inner) {
    omma_scaled *s = omma_arena_alloc(arena, sizeof *s);
    float *data = s ? omma_arena_array(arena, (size_t)count, sizeof *data) : NULL;
    if (!data) return NULL;
    char *begin;
    *s = (omma_scaled){from, by, channels, inner, count, data, false};
    const size_t bytes = pages_of(s, &begin);
    if (bytes) mprotect(begin, bytes, PROT_NONE);
    return s;
}

void omma_scaled_keep(const omma_value *v) {
    omma_scaled *s = v->scaled;
    if (!s || s->held) return;
    char *begin;
    const size_t bytes = pages_of(s, &begin);
    if (bytes) mprotect(begin, bytes, PROT_READ | PROT_WRITE), omma_pages_expect(begin, bytes, 1);
    fill(s, s->data);
    s->held = true;
}

void omma_staging_free(omma_staging *s) {
    omma_mem_free(s->mem);
    omma_budget_give(s->budget, s->bytes);
    *s = (omma_staging){.budget = s->budget};
}

/* Room for so many bytes, and as many again as there were, so that a few sizes are met. */
static float *room(omma_staging *s, size_t bytes) {
    if (bytes <= s->bytes) return s->mem;
    const size_t more = bytes > 2 * s->bytes ? bytes : 2 * s->bytes;
    omma_staging_free(s);
    if (omma_budget_take(s->budget, more, NULL)) return NULL;
    s->bytes = more;
    s->mem = omma_mem_alloc_raw(more);
    if (s->mem) omma_pages_expect(s->mem, more, 1);
    else omma_staging_free(s);
    return s->mem;
}

const void *omma_scaled_read(omma_staging *s, const omma_value *v) {
    const omma_scaled *k = v->scaled;
    if (!k || k->held) return v->data;
    if (!s) {
        omma_scaled_keep(v);
        return v->data;
    }
    float *mem = room(s, (size_t)k->count * sizeof *mem);
    if (mem) fill(k, mem);
    return mem;
}
