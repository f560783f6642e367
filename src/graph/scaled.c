/* scaled.c - see scaled.h. */
#include "graph/scaled.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/pages.h"

enum {
    WORTH = 256 << 10, /* [bytes] an arena gives what is larger a mapping of its own, which can be
                          guarded */
    BLOCK = 16 << 10   /* numbers read at a time */
};

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
    float block[BLOCK];
    const char *from = s->from;
    for (int64_t i = 0; i < s->count;) {
        const int64_t n = s->count - i < BLOCK ? s->count - i : BLOCK;
        omma_pages_copy(block, from + (size_t)i * sizeof(float), (size_t)n * sizeof(float));
        for (int64_t end = i + n; i < end;) {
            const int64_t r = i / s->inner,
                          stop = (r + 1) * s->inner < end ? (r + 1) * s->inner : end;
            const double by = s->by[r % s->channels];
            for (const float *x = block + (i + n - end); i < stop; i++)
                data[i] = (float)((double)*x++ * by);
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
    s->mem = NULL;
    s->bytes = s->used = 0;
}

void *omma_staging_room(omma_staging *s, size_t bytes) {
    if (bytes > s->bytes) {
        const size_t all = bytes > s->most ? bytes : s->most;
        omma_staging_free(s);
        if (omma_budget_take(s->budget, all, NULL)) return NULL;
        s->bytes = all;
        s->mem = omma_mem_alloc_raw(all);
        if (!s->mem) omma_staging_free(s);
    }
    if (s->mem && bytes > s->used) {
        omma_pages_expect((char *)s->mem + s->used, bytes - s->used, 1);
        s->used = bytes;
    }
    return s->mem;
}

const void *omma_staging_read(omma_staging *s, const omma_value *v) {
    const omma_scaled *k = v->scaled;
    if (!s) omma_scaled_keep(v);
    if (!k || k->held) return v->data;
    float *mem = omma_staging_room(s, (size_t)k->count * sizeof *mem);
    if (mem) fill(k, mem);
    return mem;
}
