/* pool.h - the threading layer: one pool for the whole process, work in dynamic chunks.
 *
 * A job's chunks are dealt out in equal shares of neighbours. A thread does its own share from the
 * front, then what others have left: so in one job after the other the same thread meets the same
 * part of a map, which is still in its core's cache, and yet no thread waits while there is work.
 *
 * Which thread does which chunk changes from run to run, so a job's chunks must write
 * disjoint memory and must not depend on where the chunks are cut: that is what makes
 * results independent of the number of threads. */
#ifndef OMMA_BASE_POOL_H
#define OMMA_BASE_POOL_H

#include <stdint.h>

enum { OMMA_MAX_THREADS = 256 };

/* One chunk: items [begin, end). worker is in [0, threads) and no two chunks of a job run at the
 * same time with the same worker, so it may index working memory. */
typedef void (*omma_chunk)(void *arg, int64_t begin, int64_t end, int worker);

/* Do items [0, n) in chunks of at most grain (>= 1), on up to threads threads, the
 * calling one among them; returns when all are done. Runs on the calling thread alone when
 * threads is 1, when there is a single chunk, or when called from inside a chunk. Callers at the
 * same time share the pool's threads: who finds none idle does its own work. The pool has as many
 * threads as the largest call asked for, less the caller. Allocates nothing once the pool is warm.
 * Thread-safe. */
void omma_parallel(int threads, int64_t n, int64_t grain, omma_chunk fn, void *arg);

/* The chunk that a worker does first when there are so many, unless others were faster. */
static inline int64_t omma_first_chunk(int64_t chunks, int threads, int worker) {
    const int64_t shares = threads < chunks ? threads : chunks;
    return shares > 0 ? chunks * worker / shares : 0;
}

/* Around a row of such calls with short pauses between them, like the run of a plan: threads
 * without work then look for it a while longer before they sleep. May be nested. Thread-safe. */
void omma_pool_begin(void);
void omma_pool_end(void);

/* Threads to use by default: OMMA_THREADS if set to 1..256, else the CPUs this process
 * may run on, and no more than the time it is granted on them (base/cpus.h). */
int omma_threads_default(void);

#endif
