/* causal_net.h - the part of a model's graph behind its first attention, in which attention can be
 * shut: an input is added to every attention's scores, and where queries may lose all their keys,
 * another one multiplies what they mixed.
 *
 *     softmax(scores)      becomes    softmax(scores + shut)
 *     weights V                       (weights V) * heard
 *
 * For causal.c and causal_shut.c. */
#ifndef OMMA_FIELD_CAUSAL_NET_H
#define OMMA_FIELD_CAUSAL_NET_H

#include "field/causal.h"

/* The inputs of one attention. */
typedef struct omma_causal_gate {
    omma_tensor *shut;    /* 0 or -inf, of the scores' shape or with one for all heads; NULL: it
                             cannot be shut */
    omma_heads_layout at; /* where a query's row is in it */
    int64_t heads;        /* 1: one for all */
    omma_tensor *heard;   /* 1 or 0, of the mix's shape; NULL: no query can lose all its keys */
    const uint64_t *dead; /* scores that the model itself blocks, bits by element; NULL: none */
} omma_causal_gate;

typedef struct omma_causal_net {
    omma_graph *graph;
    omma_tensor *inputs; /* with data */
    int n_inputs;
    omma_causal_gate *gate; /* by attention */
    int n_gate;
    int *output;               /* by output of the model: its number among the graph's, -1: */
    const omma_tensor **early; /* by output of the model: it does not depend on attention */
    int n_outputs;
} omma_causal_net;

/* Make it on arena, which holds copies of what the graph begins with where s does not keep that.
 * Returns as omma_causal_new. */
omma_status omma_causal_net_make(omma_causal_net *out, const omma_sight *s,
                                 const omma_tensor *inputs, const omma_options *opt,
                                 omma_arena *arena, omma_error *err);

/* Nothing is shut. */
void omma_causal_net_clear(const omma_causal_net *n);

/* As omma_causal_shut. */
omma_status omma_causal_net_shut(const omma_causal_net *n, const omma_sight *s,
                                 const omma_shut *what, int64_t *pairs, omma_error *err);

/* Do two sequences have the same tokens, as far as can be told? */
bool omma_tokens_alike(const omma_tokens *a, const omma_tokens *b);

#endif
