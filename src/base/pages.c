/* pages.c - a short list of mappings under a lock; see pages.h. */
#define _DEFAULT_SOURCE /* madvise */
#include "base/pages.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/pool.h"

enum {
    MANY = 1 << 20,   /* [bytes] worth asking for at once; threads take a few such pieces. A file
                         of less is read where it is mapped */
    WORTH = 64 << 10, /* [bytes] less is not worth the system call */
    AROUND = 64 << 10 /* [bytes] what Linux maps around a page that is read */
};

typedef struct mapping {
    uintptr_t begin, end;
    int fd; /* of the file; -1: closed */
} mapping;

static struct {
    pthread_mutex_t lock;
    mapping *all;
    size_t count, cap;
} maps = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Room for one more. Without memory the mapping is not remembered: its pages then stay. */
static bool grow(void) {
    if (maps.count < maps.cap) return true;
    size_t cap = maps.cap ? maps.cap * 2 : 16;
    mapping *bigger = omma_mem_alloc(cap * sizeof *bigger);
    if (!bigger) return false;
    if (maps.count) memcpy(bigger, maps.all, maps.count * sizeof *bigger);
    omma_mem_free(maps.all);
    maps.all = bigger;
    maps.cap = cap;
    return true;
}

void omma_pages_add(const void *map, size_t size, int fd) {
#ifdef MADV_NOHUGEPAGE
    madvise((void *)(uintptr_t)map, size, MADV_NOHUGEPAGE);
#endif
    pthread_mutex_lock(&maps.lock);
    const bool room = grow();
    if (!room || size < MANY) close(fd), fd = -1;
    if (room) maps.all[maps.count++] = (mapping){(uintptr_t)map, (uintptr_t)map + size, fd};
    pthread_mutex_unlock(&maps.lock);
}

void omma_pages_drop(const void *map) {
    pthread_mutex_lock(&maps.lock);
    for (size_t i = 0; i < maps.count; i++)
        if (maps.all[i].begin == (uintptr_t)map) {
            if (maps.all[i].fd >= 0) close(maps.all[i].fd);
            maps.all[i] = maps.all[--maps.count];
            break;
        }
    if (!maps.count) {
        omma_mem_free(maps.all);
        maps.all = NULL;
        maps.cap = 0;
    }
    pthread_mutex_unlock(&maps.lock);
}

/* The mapping that holds the byte at p, or NULL; under the lock. */
static const mapping *around(const void *p) {
    const uintptr_t at = (uintptr_t)p;
    for (size_t i = 0; i < maps.count; i++)
        if (at >= maps.all[i].begin && at < maps.all[i].end) return &maps.all[i];
    return NULL;
}

bool omma_pages_of_file(const void *p) {
    pthread_mutex_lock(&maps.lock);
    const bool found = around(p);
    pthread_mutex_unlock(&maps.lock);
    return found;
}

/* A fault brings in the pages around it too, those before it among them, which may have been
 * given back a moment ago: hence AROUND bytes more at the lower end. */
void omma_pages_give_back(const void *p, size_t n) {
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t at = (uintptr_t)p, end = (at + n) & ~(page - 1);
    if (n < WORTH) return;
    pthread_mutex_lock(&maps.lock);
    const mapping *m = around(p);
    if (m && at + n <= m->end) {
        const uintptr_t begin = (at - m->begin > AROUND ? at - AROUND : m->begin) & ~(page - 1);
        if (begin < end) madvise((void *)begin, end - begin, MADV_DONTNEED);
    }
    pthread_mutex_unlock(&maps.lock);
}

/* The descriptor stays open: who reads a mapping has it. */
void omma_pages_copy(void *to, const void *p, size_t n) {
    pthread_mutex_lock(&maps.lock);
    const mapping *m = around(p);
    const int fd = m ? m->fd : -1;
    const off_t at = m ? (off_t)((uintptr_t)p - m->begin) : 0;
    pthread_mutex_unlock(&maps.lock);
    size_t got = 0;
    while (fd >= 0 && got < n) {
        const ssize_t k = pread(fd, (char *)to + got, n - got, at + (off_t)got);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) break;
        got += (size_t)k;
    }
    if (got < n) memcpy((char *)to + got, (const char *)p + got, n - got);
}

void omma_pages_leave(void) {
    pthread_mutex_lock(&maps.lock);
    for (size_t i = 0; i < maps.count; i++)
        madvise((void *)maps.all[i].begin, maps.all[i].end - maps.all[i].begin, MADV_DONTNEED);
    pthread_mutex_unlock(&maps.lock);
}

#ifdef MADV_POPULATE_WRITE
typedef struct span {
    uintptr_t begin, end; /* whole pages */
} span;

/* Items are pieces. */
static void populate(void *arg, int64_t begin, int64_t end, int worker) {
    const span *s = arg;
    const uintptr_t from = s->begin + (uintptr_t)begin * MANY,
                    to = s->begin + (uintptr_t)end * MANY;
    (void)worker;
    madvise((void *)from, (to < s->end ? to : s->end) - from, MADV_POPULATE_WRITE);
}

void omma_pages_expect(void *p, size_t n, int threads) {
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), at = (uintptr_t)p;
    span s = {(at + page - 1) & ~(page - 1), (at + n) & ~(page - 1)};
    if (n < MANY) return;
    omma_parallel(threads, (int64_t)((s.end - s.begin - 1) / MANY + 1), 4, populate, &s);
}
#else
void omma_pages_expect(void *p, size_t n, int threads) { (void)p, (void)n, (void)threads; }
#endif
