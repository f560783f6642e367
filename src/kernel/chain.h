/* chain.h - channels-last convolutions one behind the other, in bands of rows: what one makes of a
 * band the next reads while it is in the L2 cache, and no map between them is ever whole. Drivers
 * on top of last.h; what is said there of bits, threads and memory holds here, and the bits are
 * those of the convolutions one after the other.
 *
 *   x -> 1x1 -> depthwise -> 1x1 -> y          a band of y needs a few rows more of what is before
 *
 * A worker goes down a piece of an image; the rows that its next band needs again are kept. Where a
 * piece begins they are computed twice. */
#ifndef OMMA_KERNEL_CHAIN_H
#define OMMA_KERNEL_CHAIN_H

#include "kernel/last.h"

enum { OMMA_CHAIN_MAX = 8 };

/* A convolution of a chain. Each reads the map that the one before makes. */
typedef struct omma_link {
    omma_conv conv;
    const void *packed; /* weights, as omma_last_pack does them */
    omma_epilogue e;    /* as omma_last_run wants it; add: of the last link alone */
} omma_link;

/* Can this be a link: is it 1x1 with stride 1, or depthwise? */
bool omma_chain_takes(const omma_conv *p);

/* Is it worth it to join the last of these n links to those before it, which were found worth it,
 * with that many threads? Where the map between them is large, little is computed for each of its
 * numbers, a band stays in the L2 cache, and pieces for all threads have few rows twice. Only conv
 * is looked at, in all but omma_chain_run. */
bool omma_chain_pays(const omma_link *links, int n, int threads);

/* Bytes of working memory omma_chain_run needs with that many threads or fewer; false on
 * overflow. */
bool omma_chain_scratch(const omma_kernels *kern, const omma_link *links, int n, int threads,
                        size_t *bytes);

/* y = what the last link makes of ... what the first makes of x; maps are dense. n is from 1 to
 * OMMA_CHAIN_MAX. scratch: as omma_chain_scratch says, aligned to 64 bytes. */
void omma_chain_run(const omma_kernels *kern, int threads, const omma_link *links, int n,
                    const float *x, float *y, void *scratch);

#endif
