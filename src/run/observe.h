/* observe.h - who is told of the nodes that run: the trace, the profile. */
#ifndef OMMA_RUN_OBSERVE_H
#define OMMA_RUN_OBSERVE_H

#include "graph/graph.h"

/* node is called after each node that ran, on the thread that runs the session.
 *   n           alive during the call; its outputs have their final shapes.
 *   start, end  when it ran, by omma_debug_clock [s]. */
typedef struct omma_observer {
    void (*node)(void *user, const omma_node *n, double start, double end);
    void *user;
} omma_observer;

#endif
