/* arena.c - arenas, budgets and the one counted door to the heap. */
#define _DEFAULT_SOURCE /* madvise */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/checked.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define POISON(p, n) __asan_poison_memory_region(p, n)
#define UNPOISON(p, n) __asan_unpoison_memory_region(p, n)
#else
#define POISON(p, n) ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#endif

enum { ALIGN = 64, BLOCK_MIN = 16 << 10, BLOCK_MAX = 1 << 20, MAPPED = 128 << 10 };

struct omma_block {
    omma_block *next;
    size_t size; /* usable bytes after the header */
    size_t used;
};
#define HEADER ((size_t)ALIGN)
_Static_assert(sizeof(omma_block) <= ALIGN, "the header fits in one line");

static _Atomic uint64_t mem_calls;
static _Atomic uint64_t mem_fail;
static _Atomic size_t mem_held, mem_ceiling;

uint64_t omma_mem_calls(void) { return atomic_load(&mem_calls); }
void omma_mem_fail_at(uint64_t k) { atomic_store(&mem_fail, k ? atomic_load(&mem_calls) + k : 0); }

/* Count a request; false when it is the one that a test wants to fail. */
static bool granted(void) { return atomic_fetch_add(&mem_calls, 1) + 1 != atomic_load(&mem_fail); }

void omma_mem_ceiling(size_t bytes) { atomic_store(&mem_ceiling, bytes); }

size_t omma_mem_room(void) {
    const size_t ceiling = atomic_load(&mem_ceiling), held = atomic_load(&mem_held);
    return !ceiling ? SIZE_MAX : held < ceiling ? ceiling - held : 0;
}

/* What lies before a block: held is known by the block itself, so that memory from before the
 * ceiling counts too. */
typedef struct block_head {
    size_t size; /* of the block with its head */
    bool mapped; /* else it is the heap's */
} block_head;
_Static_assert(sizeof(block_head) <= ALIGN, "the head fits in one line");

static block_head *head_of(void *p) { return (block_head *)(void *)((char *)p - ALIGN); }

/* Large blocks are mappings of their own: they come zeroed, so nothing is touched before it is
 * used, and go back to the system when freed. (Huge pages were tried: they make loading faster
 * on some machines and slower on others, where the system must first get hold of them.) */
#if defined(__SANITIZE_ADDRESS__)
static void *map_block(size_t size) { return (void)size, NULL; }
#else
static void *map_block(size_t size) {
    if (size < MAPPED) return NULL;
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) return NULL;
    *(block_head *)map = (block_head){size, true};
    return map;
}
#endif

static void *heap_block(size_t size) {
    block_head *h = aligned_alloc(ALIGN, size);
    if (h) *h = (block_head){size, false};
    return h;
}

void *omma_mem_alloc_raw(size_t n) {
    size_t size;
    if (!granted()) return NULL;
    if (!omma_add(n ? n : 1, ALIGN, &size) || !omma_align_up(size, ALIGN, &size)) return NULL;
    if (size > (size_t)PTRDIFF_MAX) return NULL;
    const size_t ceiling = atomic_load(&mem_ceiling);
    const size_t held = atomic_fetch_add(&mem_held, size) + size;
    char *p = ceiling && held > ceiling ? NULL : map_block(size);
    if (!p && (!ceiling || held <= ceiling)) p = heap_block(size);
    if (!p) {
        atomic_fetch_sub(&mem_held, size);
        return NULL;
    }
    POISON(p, ALIGN);
    return p + ALIGN;
}

void *omma_mem_alloc(size_t n) {
    void *p = omma_mem_alloc_raw(n);
    if (!p) return NULL;
    UNPOISON(head_of(p), ALIGN);
    const bool zero = head_of(p)->mapped;
    POISON(head_of(p), ALIGN);
    if (!zero) memset(p, 0, n);
    return p;
}

void omma_mem_free(void *p) {
    if (!p) return;
    block_head *h = head_of(p);
    UNPOISON(h, ALIGN);
    atomic_fetch_sub(&mem_held, h->size);
    if (h->mapped) munmap(h, h->size);
    else free(h);
}

size_t omma_memory_default(void) {
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    if (pages <= 0 || size <= 0) return (size_t)1 << 31;
    return (size_t)pages / 4 * 3 * (size_t)size;
}

omma_status omma_budget_take(omma_budget *b, size_t n, omma_error *err) {
    if (!b) return OMMA_OK;
    const size_t other = b->beside ? atomic_load(&b->beside->used) : 0;
    size_t now = atomic_fetch_add(&b->used, n) + n;
    if (b->limit && (now > b->limit || now < n || b->limit - now < other)) {
        atomic_fetch_sub(&b->used, n);
        return omma_fail(err, OMMA_E_NOMEM,
                         "needs %.1f MiB more, but the memory budget is %.1f MiB and %.1f MiB are "
                         "taken; allow more memory or use a smaller input",
                         (double)n / 1048576.0, (double)b->limit / 1048576.0,
                         (double)(now - n + other) / 1048576.0);
    }
    size_t peak = atomic_load(&b->peak);
    while (now > peak && !atomic_compare_exchange_weak(&b->peak, &peak, now)) {
    }
    return OMMA_OK;
}

void omma_budget_give(omma_budget *b, size_t n) {
    if (b) atomic_fetch_sub(&b->used, n);
}

void omma_arena_init(omma_arena *a, omma_budget *budget) {
    a->head = NULL;
    a->budget = budget;
}

static omma_block *block_new(omma_arena *a, size_t size) {
    size_t total;
    if (!omma_add(size, HEADER, &total)) return NULL;
    if (omma_budget_take(a->budget, total, NULL)) return NULL;
    omma_block *b = omma_mem_alloc(total);
    if (!b) {
        omma_budget_give(a->budget, total);
        return NULL;
    }
    b->size = size;
    POISON((char *)b + HEADER, size);
    return b;
}

void *omma_arena_alloc(omma_arena *a, size_t n) {
    size_t need;
    if (!granted()) return NULL;
    if (!omma_align_up(n ? n : 1, ALIGN, &need)) return NULL;
    omma_block *b = a->head;
    if (!b || b->size - b->used < need) {
        size_t grow = b ? b->size * 2 : BLOCK_MIN;
        if (grow > BLOCK_MAX) grow = BLOCK_MAX;
        bool large = need > grow / 2 && b;
        omma_block *fresh = block_new(a, need > grow / 2 ? need : grow);
        if (!fresh) return NULL;
        if (large) { /* keep filling the current block */
            fresh->next = b->next;
            b->next = fresh;
        } else {
            fresh->next = b;
            a->head = fresh;
        }
        b = fresh;
    }
    char *p = (char *)b + HEADER + b->used;
    b->used += need;
    UNPOISON(p, n ? n : 1);
    return p;
}

void *omma_arena_array(omma_arena *a, size_t count, size_t size) {
    size_t n;
    return omma_mul(count, size, &n) ? omma_arena_alloc(a, n) : NULL;
}

char *omma_arena_strndup(omma_arena *a, const char *s, size_t n) {
    char *p = omma_arena_alloc(a, n + 1);
    if (p && n) memcpy(p, s, n);
    return p;
}

char *omma_arena_printf(omma_arena *a, const char *fmt, ...) {
    char buf[512];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(buf, sizeof buf, fmt, ap);
    va_end(ap);
    if (n < 0) return NULL;
    return omma_arena_strndup(a, buf, (size_t)n < sizeof buf ? (size_t)n : sizeof buf - 1);
}

void omma_arena_free(omma_arena *a) {
    for (omma_block *b = a->head, *next; b; b = next) {
        next = b->next;
        size_t size = b->size;
        UNPOISON((char *)b + HEADER, size);
        omma_mem_free(b);
        omma_budget_give(a->budget, size + HEADER);
    }
    a->head = NULL;
}
