/* gradient.h - the public omma_gradient, made on a graph; model/ makes it on a model. */
#ifndef OMMA_RUN_GRADIENT_H
#define OMMA_RUN_GRADIENT_H

#include "graph/graph.h"

/* As omma_gradient_new, on a graph that outlives it. name is for messages and is kept, not
 * copied. */
omma_status omma_gradient_on_graph(omma_gradient **out, const omma_graph *graph, const char *name,
                                   const omma_gradient_how *how, const omma_options *opt,
                                   omma_error *err);

#endif
