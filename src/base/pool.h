/* pool.h - the threading layer: one pool for the whole process, work in dynamic chunks.
 *
 * Which thread does which chunk changes from run to run, so a job's chunks must write
 * disjoint memory and must not depend on where the chunks are cut: that is what makes
 * results independent of the number of threads. */
#ifndef OMMA_BASE_POOL_H
#define OMMA_BASE_POOL_H

#include <stdint.h>

enum { OMMA_MAX_THREADS = 256 };

/* One chunk: items [begin, end). worker is in [0, threads) and no two chunks run at the
 * same time with the same worker, so it may index working memory. */
typedef void (*omma_chunk)(void *arg, int64_t begin, int64_t end, int worker);

/* Do items [0, n) in chunks of at most grain (>= 1), on up to threads threads, the
 * calling one among them; returns when all are done. Runs on the calling thread alone when
 * threads is 1, when there is a single chunk, when called from inside a chunk, or when
 * another caller is using the pool. Allocates nothing once the pool is warm.
 * Thread-safe. */
void omma_parallel(int threads, int64_t n, int64_t grain, omma_chunk fn, void *arg);

/* Threads to use by default: OMMA_THREADS if set to 1..256, else the CPUs this process
 * may run on. */
int omma_threads_default(void);

#endif
