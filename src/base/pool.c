/* pool.c - worker threads that look for work a while, then sleep; see pool.h.
 *
 * A caller takes one of a few slots for its job. The slot's gate says whether the job is open, to
 * how many, and who is in it:
 *
 *     bits 31..16 wanted | 15..8 entered | 7..0 inside
 *
 * The caller fills the job's fields while the gate is closed (wanted 0) and nobody is inside,
 * opens it, and works like the others. A worker enters, while fewer than wanted have, by adding
 * 1 to entered and to inside with a compare-and-swap: entered is its number. It takes chunks, of
 * its own share and then of the others', until none is left and leaves. When the caller finds no
 * chunk left it closes the gate and waits until nobody is inside. So nobody reads a job while it is
 * written; and nobody waits for a worker that was asleep, or never got a processor, while the
 * others did the work.
 *
 * Sleepers wait on a futex, the bell. No wake-up is lost: a worker reads the bell, counts itself
 * a sleeper, looks for an open gate once more and only then waits for the bell to change; a
 * caller opens its gate, looks for sleepers, and then rings (all sequentially consistent). */
#define _GNU_SOURCE
#include "base/pool.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cpus.h"

#if defined(__x86_64__) || defined(__i386__)
#define PAUSE() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define PAUSE() __asm__ volatile("yield")
#else
#define PAUSE() ((void)0)
#endif

/* How long a worker looks for work before it sleeps [ns]: waking one takes some ten microseconds,
 * so a few times that while a plan runs, and hardly at all when none does. */
enum { LOOK_IN_RUN = 200000, LOOK = 20000 };
enum { SLOTS = 16, SHARES = 32, LINE = 64, ONE = 0x101, WAIT = 2000 };

typedef uint32_t gate;
static unsigned wanted_of(gate g) { return g >> 16; }
static unsigned entered_of(gate g) { return g >> 8 & 0xff; }
static unsigned inside_of(gate g) { return g & 0xff; }

/* Chunks that nobody has taken: [next, end). */
typedef struct share {
    _Alignas(LINE) _Atomic int64_t next;
    int64_t end;
} share;

typedef struct slot {
    _Alignas(LINE) _Atomic bool taken; /* by a caller */
    _Atomic gate gate;
    int64_t n, grain, chunks; /* the job */
    omma_chunk fn;
    void *arg;
    int shares;
    share share[SHARES];
} slot;

static struct {
    slot slots[SLOTS];
    _Alignas(LINE) _Atomic uint32_t open; /* slots that may have an open gate, a bit each */
    _Atomic int runs;                     /* begun and not ended */
    _Alignas(LINE) _Atomic int lookers;   /* workers that look for work */
    _Atomic int sleepers;
    _Atomic uint32_t bell;
    _Alignas(LINE) _Atomic int workers; /* threads started; changed under lock */
    pthread_mutex_t lock;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local bool inside; /* a chunk */

void omma_pool_begin(void) { atomic_fetch_add_explicit(&pool.runs, 1, memory_order_relaxed); }
void omma_pool_end(void) { atomic_fetch_sub_explicit(&pool.runs, 1, memory_order_relaxed); }

static void work_on(const slot *s, share *q, int worker) {
    while (atomic_load_explicit(&q->next, memory_order_relaxed) < q->end) {
        const int64_t c = atomic_fetch_add_explicit(&q->next, 1, memory_order_relaxed);
        if (c >= q->end) return;
        const int64_t begin = c * s->grain;
        s->fn(s->arg, begin, c == s->chunks - 1 ? s->n : begin + s->grain, worker);
    }
}

static void work(slot *s, int worker) {
    for (int i = 0; i < s->shares; i++) work_on(s, &s->share[(worker + i) % s->shares], worker);
}

static void deal(slot *s, int threads) {
    s->shares = threads < SHARES ? threads : SHARES;
    for (int i = 0; i < s->shares; i++) {
        atomic_store_explicit(&s->share[i].next, omma_first_chunk(s->chunks, s->shares, i),
                              memory_order_relaxed);
        s->share[i].end = omma_first_chunk(s->chunks, s->shares, i + 1);
    }
}

/* --- workers --------------------------------------------------------------------- */

/* Enter the job of a slot; the number in it, or 0 when there is no room. */
static int enter(slot *s) {
    gate g = atomic_load(&s->gate);
    while (entered_of(g) + 1 < wanted_of(g))
        if (atomic_compare_exchange_weak(&s->gate, &g, g + ONE)) return (int)entered_of(g) + 1;
    return 0;
}

/* Work on whatever is open; false: nothing was. */
static bool help(void) {
    bool helped = false;
    for (uint32_t open = atomic_load(&pool.open); open; open &= open - 1) {
        slot *s = &pool.slots[__builtin_ctz(open)];
        const int number = enter(s);
        if (!number) continue;
        work(s, number);
        atomic_fetch_sub(&s->gate, 1);
        helped = true;
    }
    return helped;
}

/* Would help find something? */
static bool wanted(void) {
    for (uint32_t open = atomic_load(&pool.open); open; open &= open - 1) {
        const gate g = atomic_load(&pool.slots[__builtin_ctz(open)].gate);
        if (entered_of(g) + 1 < wanted_of(g)) return true;
    }
    return false;
}

static int64_t clock_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Look for work as long as that is worth it; false: it is not. Where processors are short it may
 * be the caller that waits for this one: hence the yield. */
static bool look(void) {
    const int64_t start = clock_ns();
    for (;;) {
        for (int i = 0; i < 64; i++) {
            if (wanted()) return true;
            PAUSE();
        }
        sched_yield();
        const bool running = atomic_load_explicit(&pool.runs, memory_order_relaxed) > 0;
        if (clock_ns() - start > (running ? LOOK_IN_RUN : LOOK)) return false;
    }
}

static void futex(int op, uint32_t value) {
    syscall(SYS_futex, &pool.bell, op | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

static void sleep_until_rung(void) {
    const uint32_t bell = atomic_load(&pool.bell);
    atomic_fetch_add(&pool.sleepers, 1);
    while (!wanted() && atomic_load(&pool.bell) == bell) futex(FUTEX_WAIT, bell);
    atomic_fetch_sub(&pool.sleepers, 1);
}

static void *thread_main(void *arg) {
    inside = true;
    for (;;) {
        while (help()) {
        }
        atomic_fetch_add(&pool.lookers, 1);
        const bool found = look();
        atomic_fetch_sub(&pool.lookers, 1);
        if (!found) sleep_until_rung();
    }
    return arg;
}

/* --- callers --------------------------------------------------------------------- */

/* Start workers up to threads - 1; fewer if the system refuses. They take no signals: those
 * are for the program's own threads. */
static void grow(int threads) {
    if (atomic_load_explicit(&pool.workers, memory_order_relaxed) >= threads - 1) return;
    pthread_attr_t attr;
    sigset_t all, old;
    if (pthread_attr_init(&attr)) return;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_mutex_lock(&pool.lock);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    while (pool.workers < threads - 1) {
        pthread_t t;
        if (pthread_create(&t, &attr, thread_main, NULL)) break;
        pool.workers++;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_mutex_unlock(&pool.lock);
    pthread_attr_destroy(&attr);
}

static void serial(int64_t n, int64_t grain, omma_chunk fn, void *arg) {
    for (int64_t begin = 0; begin < n;) {
        const int64_t end = n - begin < grain ? n : begin + grain;
        fn(arg, begin, end, 0);
        begin = end;
    }
}

static slot *take_slot(void) {
    for (int i = 0; i < SLOTS; i++)
        if (!atomic_load_explicit(&pool.slots[i].taken, memory_order_relaxed) &&
            !atomic_exchange(&pool.slots[i].taken, true))
            return &pool.slots[i];
    return NULL;
}

/* Wake as many as are wanted beside those that look already. */
static void ring(int helpers) {
    if (!atomic_load(&pool.sleepers)) return;
    const int more = helpers - atomic_load(&pool.lookers);
    if (more <= 0) return;
    atomic_fetch_add(&pool.bell, 1);
    futex(FUTEX_WAKE, (uint32_t)more);
}

static void close_and_wait(slot *s) {
    const uint32_t bit = 1u << (s - pool.slots);
    atomic_fetch_and(&pool.open, ~bit);
    atomic_fetch_and(&s->gate, 0xffff);
    for (int i = 0; inside_of(atomic_load(&s->gate)); i++)
        if (i < WAIT) PAUSE();
        else sched_yield();
}

void omma_parallel(int threads, int64_t n, int64_t grain, omma_chunk fn, void *arg) {
    if (n <= 0) return;
    if (grain < 1) grain = 1;
    const int64_t chunks = (n - 1) / grain + 1;
    if (threads > OMMA_MAX_THREADS) threads = OMMA_MAX_THREADS;
    if (threads > chunks) threads = (int)chunks;
    slot *s = threads <= 1 || inside ? NULL : take_slot();
    if (!s) {
        serial(n, grain, fn, arg);
        return;
    }
    grow(threads);
    s->n = n, s->grain = grain, s->chunks = chunks;
    s->fn = fn, s->arg = arg;
    deal(s, threads);
    atomic_store(&s->gate, (gate)threads << 16);
    atomic_fetch_or(&pool.open, 1u << (s - pool.slots));
    ring(threads - 1);
    inside = true;
    work(s, 0);
    inside = false;
    close_and_wait(s);
    atomic_store(&s->taken, false);
}

int omma_threads_default(void) {
    const char *s = getenv("OMMA_THREADS");
    if (s) {
        char *end;
        long v = strtol(s, &end, 10);
        if (end != s && !*end && v >= 1 && v <= OMMA_MAX_THREADS) return (int)v;
    }
    const int n = omma_cpus();
    return n < OMMA_MAX_THREADS ? n : OMMA_MAX_THREADS;
}
