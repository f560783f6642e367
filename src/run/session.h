/* session.h - the public omma_session, made on a graph; model/ makes it on a model. */
#ifndef OMMA_RUN_SESSION_H
#define OMMA_RUN_SESSION_H

#include "graph/graph.h"

/* As omma_session_new, on a graph that outlives the session. name is for messages and is
 * kept, not copied. */
omma_status omma_session_on_graph(omma_session **out, const omma_graph *graph, const char *name,
                                  const omma_options *opt, omma_error *err);

#endif
