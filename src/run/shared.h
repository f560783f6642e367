/* shared.h - what all sessions on one graph have in common: the graph made ready as far as that
 * needs no shapes, and weights in the form kernels read. Both are made by the first session that
 * wants them, and live as long as the model. So a hundred streams hold the weights once.
 *
 * A session that watches values has a base graph of its own; it shares the packed weights that
 * were made of the model's own constants, which are nearly all.
 *
 * Plans of the sessions of one model are made one at a time, under the lock; runs take no lock. */
#ifndef OMMA_RUN_SHARED_H
#define OMMA_RUN_SHARED_H

#include <pthread.h>

#include "op/op.h"

typedef struct omma_shared {
    pthread_mutex_t lock;
    const omma_graph *graph; /* the model's */
    omma_budget budget;      /* what is held here; the limit is that of the session at work */
    omma_arena arena;        /* packed weights */
    omma_arena base_arena;
    omma_graph *base; /* NULL until a session wants it */
    omma_packs packs;
} omma_shared;

/* For the sessions on a graph that outlives it; NULL when out of memory. Free it after them. */
omma_shared *omma_shared_new(const omma_graph *graph);
void omma_shared_free(omma_shared *s);

/* Around whatever adds to it. What is added, and what the session's own budget holds, may
 * together not pass the latter's limit. */
void omma_shared_enter(omma_shared *s, const omma_budget *own);
void omma_shared_leave(omma_shared *s);

/* The base graph, made if need be; call it inside. Returns as omma_base_graph. */
omma_status omma_shared_base(omma_shared *s, const omma_graph **out, omma_error *err);

#endif
