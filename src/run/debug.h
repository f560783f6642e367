/* debug.h - the environment variables for people who work on omma or on a model:
 *   OMMA_DUMP=FOLDER   write the graph after each pass to FOLDER/NN-pass.txt and .dot
 *   OMMA_TRACE=FILE    append a line of time, operator, node and shape per node and run
 * (OMMA_THREADS is in base/pool.h, OMMA_CPU in kernel/kernel.h, OMMA_PASSES in pass/passes.h.) */
#ifndef OMMA_RUN_DEBUG_H
#define OMMA_RUN_DEBUG_H

#include "run/observe.h"

/* Is what the environment asks for something that can be had? Returns OMMA_OK, or OMMA_E_USAGE
 * naming the variable: OMMA_THREADS that is no number from 1 to 256, OMMA_PASSES that names no
 * pass, OMMA_CPU that is no set of kernels. (One that this processor cannot run asks for nothing
 * faster than it, and gets the fastest there is.) An empty variable counts as unset. */
omma_status omma_debug_environment(omma_error *err);

/* After a pass: verify in debug builds, dump when asked to. */
omma_status omma_debug_pass(const omma_graph *g, const char *pass, omma_error *err);

/* What writes the trace file, or NULL. The file is opened once in a process. */
const omma_observer *omma_debug_tracer(void);

/* Seconds from some fixed moment. */
double omma_debug_clock(void);

#endif
