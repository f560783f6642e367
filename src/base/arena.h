/* arena.h - memory with a plain life span: everything allocated from an arena is freed
 * with it. Blocks are chained; a large request gets a block of its own.
 *
 *     block 0                      block 1
 *     +--------+----+---------+    +--------+-------------------+
 *     | header | a  | b ...   | <- | header | one large array   |
 *     +--------+----+---------+    +--------+-------------------+
 *
 * Every block is charged to a budget before it is allocated; under AddressSanitizer
 * the unused part of a block is poisoned. Not thread-safe. */
#ifndef OMMA_BASE_ARENA_H
#define OMMA_BASE_ARENA_H

#include <stdatomic.h>

#include "base/error.h"

/* Bytes a set of arenas may hold together; limit 0 means no limit. */
typedef struct omma_budget {
    size_t limit;
    _Atomic size_t used;
    _Atomic size_t peak;
    const struct omma_budget *beside; /* what it holds counts against the limit too; NULL: none */
} omma_budget;

/* Charge n bytes; OMMA_E_NOMEM, naming both sizes, when that would pass the limit. */
omma_status omma_budget_take(omma_budget *b, size_t n, omma_error *err);
void omma_budget_give(omma_budget *b, size_t n);

/* The default budget: three quarters of the machine's memory [bytes]. */
size_t omma_memory_default(void);

typedef struct omma_block omma_block;

typedef struct omma_arena {
    omma_block *head;
    omma_budget *budget; /* may be NULL */
} omma_arena;

void omma_arena_init(omma_arena *a, omma_budget *budget);

/* n zeroed bytes, aligned to 64, or NULL (out of memory or over budget; n = 0 gives a
 * unique pointer). Freed with the arena. */
void *omma_arena_alloc(omma_arena *a, size_t n);

/* count * size bytes, overflow-checked. */
void *omma_arena_array(omma_arena *a, size_t count, size_t size);

/* A copy of n bytes with a final 0 added, or NULL. */
char *omma_arena_strndup(omma_arena *a, const char *s, size_t n);

/* A printf into the arena, or NULL. */
char *omma_arena_printf(omma_arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Free everything; the arena is empty and usable again. */
void omma_arena_free(omma_arena *a);

/* Zeroed 64-byte-aligned memory outside any arena, through the same counted door as the
 * arenas' blocks; NULL when out of memory. Free with omma_mem_free. */
void *omma_mem_alloc(size_t n);
void omma_mem_free(void *p);

/* As omma_mem_alloc, but what the memory holds is anything: for large working memory. */
void *omma_mem_alloc_raw(size_t n);

/* A ceiling for the whole process: from now on requests that would bring what is held through
 * this door (arenas and omma_mem_alloc, of all models, sessions, pictures) above `bytes`
 * fail. 0: none. Mapped files do not count. For programs that want one number to hold for all
 * they do; the library never sets it. */
void omma_mem_ceiling(size_t bytes);

/* Bytes left below the ceiling, for what others allocate on our behalf; SIZE_MAX: no ceiling. */
size_t omma_mem_room(void);

/* Test hooks: requests for memory so far, of arenas and through omma_mem_alloc, and the
 * request (counted from now, 1 = next) that shall fail; 0 = none. */
uint64_t omma_mem_calls(void);
void omma_mem_fail_at(uint64_t k);

#endif
