/* pool.c - worker threads that spin briefly, then sleep; see pool.h.
 *
 * One atomic word, the gate, says which job is open, to whom, and how many are in it:
 *
 *     bits 63..32 epoch | 31..16 wanted | 15..0 inside
 *
 * The caller fills the job's fields while the gate is closed (wanted 0) and empty (inside
 * 0), opens it with a new epoch, and works like the others. A worker whose id is below
 * wanted enters by adding 1 to inside with a compare-and-swap, takes chunks until none is
 * left and leaves. When the caller finds no chunk left it closes the gate and waits until
 * it is empty. So nobody reads a job while it is written; and nobody waits for a worker
 * that was asleep, or never got a processor, while the others did the work. */
#define _GNU_SOURCE
#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#if defined(__x86_64__) || defined(__i386__)
#define PAUSE() __builtin_ia32_pause()
#else
#define PAUSE() ((void)0)
#endif

enum { SPIN = 2000 }; /* some tens of microseconds */

typedef uint64_t gate;
static uint32_t epoch_of(gate g) { return (uint32_t)(g >> 32); }
static unsigned wanted_of(gate g) { return (unsigned)(g >> 16) & 0xffff; }
static unsigned inside_of(gate g) { return (unsigned)g & 0xffff; }

static struct {
    pthread_mutex_t owner; /* held by the caller whose job runs */
    _Atomic gate gate;
    _Atomic int64_t next;     /* next chunk */
    int64_t n, grain, chunks; /* the job */
    omma_chunk fn;
    void *arg;
    int workers;          /* threads started; under owner */
    pthread_mutex_t lock; /* for wake */
    pthread_cond_t wake;
    _Atomic int sleepers; /* changed under lock */
} pool = {.owner = PTHREAD_MUTEX_INITIALIZER,
          .lock = PTHREAD_MUTEX_INITIALIZER,
          .wake = PTHREAD_COND_INITIALIZER};

static _Thread_local bool inside; /* a chunk */

static void work(int worker) {
    for (;;) {
        const int64_t c = atomic_fetch_add_explicit(&pool.next, 1, memory_order_relaxed);
        if (c >= pool.chunks) return;
        const int64_t begin = c * pool.grain;
        pool.fn(pool.arg, begin, c == pool.chunks - 1 ? pool.n : begin + pool.grain, worker);
    }
}

/* Is a job open for this worker that it has not worked on? */
static bool open_for(gate g, unsigned id, uint32_t seen) {
    return epoch_of(g) != seen && id < wanted_of(g);
}

/* A gate that was open for the worker a moment ago. No wake-up is lost: a worker counts
 * itself a sleeper before it looks at the gate for the last time, and the caller opens the
 * gate before it looks for sleepers (both sequentially consistent), then takes the lock,
 * which the worker holds from its look until it waits. */
static gate wait_open(unsigned id, uint32_t seen) {
    gate g;
    for (int i = 0; i < SPIN; i++) {
        if (open_for(g = atomic_load(&pool.gate), id, seen)) return g;
        PAUSE();
    }
    pthread_mutex_lock(&pool.lock);
    atomic_fetch_add(&pool.sleepers, 1);
    while (!open_for(g = atomic_load(&pool.gate), id, seen))
        pthread_cond_wait(&pool.wake, &pool.lock);
    atomic_fetch_sub(&pool.sleepers, 1);
    pthread_mutex_unlock(&pool.lock);
    return g;
}

static void *thread_main(void *arg) {
    const unsigned id = (unsigned)(uintptr_t)arg; /* 1.. ; 0 is the caller */
    uint32_t seen = 0;
    inside = true;
    for (;;) {
        gate g = wait_open(id, seen);
        bool entered;
        do entered = atomic_compare_exchange_weak(&pool.gate, &g, g + 1);
        while (!entered && open_for(g, id, seen));
        if (!entered) continue; /* closed meanwhile */
        seen = epoch_of(g);
        work((int)id);
        atomic_fetch_sub(&pool.gate, 1);
    }
    return NULL;
}

/* Start workers up to threads - 1; fewer if the system refuses. They take no signals: those
 * are for the program's own threads. */
static void grow(int threads) {
    if (pool.workers >= threads - 1) return;
    pthread_attr_t attr;
    sigset_t all, old;
    if (pthread_attr_init(&attr)) return;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    while (pool.workers < threads - 1) {
        pthread_t t;
        if (pthread_create(&t, &attr, thread_main, (void *)(uintptr_t)(pool.workers + 1))) break;
        pool.workers++;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
}

static void serial(int64_t n, int64_t grain, omma_chunk fn, void *arg) {
    for (int64_t begin = 0; begin < n;) {
        const int64_t end = n - begin < grain ? n : begin + grain;
        fn(arg, begin, end, 0);
        begin = end;
    }
}

void omma_parallel(int threads, int64_t n, int64_t grain, omma_chunk fn, void *arg) {
    if (n <= 0) return;
    if (grain < 1) grain = 1;
    const int64_t chunks = (n - 1) / grain + 1;
    if (threads > OMMA_MAX_THREADS) threads = OMMA_MAX_THREADS;
    if (threads > chunks) threads = (int)chunks;
    if (threads <= 1 || inside || pthread_mutex_trylock(&pool.owner)) {
        serial(n, grain, fn, arg);
        return;
    }
    grow(threads);
    pool.n = n, pool.grain = grain, pool.chunks = chunks;
    pool.fn = fn, pool.arg = arg;
    atomic_store(&pool.next, 0);
    uint32_t epoch = epoch_of(atomic_load(&pool.gate)) + 1;
    if (!epoch) epoch = 1; /* 0 is what a new worker has seen */
    atomic_store(&pool.gate, (gate)epoch << 32 | (gate)threads << 16);
    if (atomic_load(&pool.sleepers)) {
        pthread_mutex_lock(&pool.lock);
        pthread_cond_broadcast(&pool.wake);
        pthread_mutex_unlock(&pool.lock);
    }
    inside = true;
    work(0);
    inside = false;
    atomic_fetch_and(&pool.gate, ~((gate)0xffff << 16));
    for (int i = 0; inside_of(atomic_load(&pool.gate)); i++)
        if (i < SPIN) PAUSE();
        else sched_yield();
    pthread_mutex_unlock(&pool.owner);
}

int omma_threads_default(void) {
    const char *s = getenv("OMMA_THREADS");
    if (s) {
        char *end;
        long v = strtol(s, &end, 10);
        if (end != s && !*end && v >= 1 && v <= OMMA_MAX_THREADS) return (int)v;
    }
    cpu_set_t set;
    if (!sched_getaffinity(0, sizeof set, &set)) {
        int n = CPU_COUNT(&set);
        if (n >= 1) return n < OMMA_MAX_THREADS ? n : OMMA_MAX_THREADS;
    }
    return 1;
}
