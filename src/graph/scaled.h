/* scaled.h - constants that are other constants times a number for each channel, made when they
 * are read: a norm folded into the weights of a convolution is one. Kernels read weights packed,
 * and the scaled ones are wanted only while that is done. Without this they would lie in memory
 * beside the packed ones for as long as the model does.
 *
 * The value's data is an address at once, but to read what is there before omma_scaled_keep is a
 * fault: whoever packs it finds the numbers in a staging area, one constant after the other. All
 * this happens while a graph or a plan is made, which for one model is one at a time. */
#ifndef OMMA_GRAPH_SCALED_H
#define OMMA_GRAPH_SCALED_H

#include "graph/graph.h"

typedef struct omma_scaled {
    const void *from;     /* float32, at any alignment; outlives this */
    const double *by;     /* [channels] */
    int64_t channels;     /* the middle one of the three dimensions the numbers are seen in */
    int64_t inner, count; /* the last dimension; all numbers */
    float *data;
    bool held; /* the numbers are there */
} omma_scaled;

/* Memory for the numbers of one constant at a time; starts as {.budget = budget}. Taking it once
 * is cheaper than a little more again and again: whoever knows says how much it will be. */
typedef struct omma_staging {
    omma_budget *budget; /* may be NULL */
    size_t most;         /* [bytes] taken at once; 0: not known */
    void *mem;
    size_t bytes, used; /* of mem; and how many were asked for at most */
} omma_staging;

/* Numbers on arena that are `count` of `from` times by[(i / inner) % channels]; NULL: no memory.
 * Give its data to a value, and it to the value's `scaled`. */
omma_scaled *omma_scaled_new(omma_arena *arena, const void *from, int64_t count, const double *by,
                             int64_t channels, int64_t inner);

/* Make the numbers of a constant for good, where its data is. Nothing is done to others. */
void omma_scaled_keep(const omma_value *v);

/* Where the numbers of constant v can be read now: where its data is, or for a scaled one in s
 * until the next call with s; without s it is kept. NULL: no memory. */
const void *omma_staging_read(omma_staging *s, const omma_value *v);

/* Memory in s until the next call with it; NULL: there is none. */
void *omma_staging_room(omma_staging *s, size_t bytes);

void omma_staging_free(omma_staging *s);

#endif
