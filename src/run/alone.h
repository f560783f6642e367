/* alone.h - one node of a graph, run by itself on tensors of the caller's: is it this operator
 * that is wrong, or what it was given? */
#ifndef OMMA_RUN_ALONE_H
#define OMMA_RUN_ALONE_H

#include "graph/graph.h"

/* A node at work on its own; {0} before and after. */
typedef struct omma_alone {
    omma_arena arena;
    omma_session *session;
} omma_alone;

/* Make a graph of this one node and run it.
 *   n       a node of a graph that stays as it is meanwhile. Constants among its inputs are
 *           read from there.
 *   inputs  n->n_in tensors; those of absent and constant inputs are not looked at. Read
 *           during the call only.
 * Returns as omma_session_run, and OMMA_E_UNSUPPORTED for a node with graphs in it (they may read
 * values of the graph around it). omma_alone_output and omma_alone_free in any case. */
omma_status omma_alone_run(omma_alone *a, const omma_node *n, const omma_tensor *inputs,
                           const omma_options *opt, omma_error *err);

/* Output i of the node, NULL when nobody wants it or the run failed; it lives until
 * omma_alone_free. */
const omma_tensor *omma_alone_output(const omma_alone *a, const omma_node *n, int i);
void omma_alone_free(omma_alone *a);

#endif
