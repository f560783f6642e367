/* machine.h - what this machine can do, measured with the loops of kernel/limit.h.
 *
 * A figure is the median of several short runs, so it is what the machine gives now, beside
 * whatever else it is doing. For a share of the peak, measure the peak between the runs that
 * are compared with it. */
#ifndef OMMA_RUN_MACHINE_H
#define OMMA_RUN_MACHINE_H

#include "base/error.h"
#include "kernel/limit.h"

/* The f32 multiply-add peak that the kernels in use could reach on this many threads, from a
 * single short run of about `seconds` [FLOP/s]. */
double omma_machine_peak(int threads, double seconds);

/* One rate; 0: this processor cannot do it, or there was no memory to read. */
typedef struct omma_machine_rate {
    double one, all; /* on one thread, and on all of omma_machine.threads together */
} omma_machine_rate;

enum { OMMA_MACHINE_LEVELS = 4 }; /* first, second, third level of cache, memory */

typedef struct omma_machine {
    const char *isa;
    int threads;
    omma_machine_rate fma_f32, dot_bf16, dot_int8; /* [operations/s] */
    omma_machine_rate read[OMMA_MACHINE_LEVELS];   /* [bytes/s] */
    size_t size[OMMA_MACHINE_LEVELS];              /* what one thread reads again and again [bytes];
                                                      for memory all threads together */
} omma_machine;

/* Measure all of it; takes about `seconds`.
 * Returns OMMA_OK or OMMA_E_NOMEM (no room for a block larger than the caches). */
omma_status omma_machine_measure(omma_machine *m, int threads, double seconds, omma_error *err);

/* "L1", "L2", "L3", "memory". */
const char *omma_machine_level(int i);

#endif
