/* scaled.h - constants that are other constants times a number for each channel, made when they
 * are read: a norm folded into the weights of a convolution is one. Kernels read weights packed,
 * and the scaled ones are wanted only while that is done. Without this they would lie in memory
 * beside the packed ones for as long as the model does.
 *
 * The value's data is an address at once, and what is there may be read between omma_scaled_hold
 * and omma_scaled_release; at other times reading it is a fault. All three are called while a
 * graph is made or a plan is, which for one model is one at a time. On values that are not scaled
 * they do what is right for constants of a file. */
#ifndef OMMA_GRAPH_SCALED_H
#define OMMA_GRAPH_SCALED_H

#include "graph/graph.h"

typedef struct omma_scaled {
    const void *from;     /* float32, at any alignment; outlives this */
    const double *by;     /* [channels] */
    int64_t channels;     /* the middle one of the three dimensions the numbers are seen in */
    int64_t inner, count; /* the last dimension; all numbers */
    float *data;
    bool held;  /* the numbers are there */
    bool stays; /* and are read by runs: they stay */
} omma_scaled;

/* Numbers on arena that are `count` of `from` times by[(i / inner) % channels]; NULL: no memory.
 * Give its data to a value, and it to the value's `scaled`. */
omma_scaled *omma_scaled_new(omma_arena *arena, const void *from, int64_t count, const double *by,
                             int64_t channels, int64_t inner);

/* The numbers of a constant are about to be read; and, for good. */
void omma_scaled_hold(const omma_value *v);
void omma_scaled_keep(const omma_value *v);

/* They were, and are not needed soon: memory goes back to the system. */
void omma_scaled_release(const omma_value *v);

#endif
