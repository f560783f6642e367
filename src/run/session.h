/* session.h - the public omma_session, made on a graph; model/ makes it on a model. */
#ifndef OMMA_RUN_SESSION_H
#define OMMA_RUN_SESSION_H

#include "graph/graph.h"
#include "run/observe.h"
#include "run/shared.h"

/* As omma_session_new, with what the sessions on one graph share, which outlives the session.
 * name is for messages and is kept, not copied. */
omma_status omma_session_on_shared(omma_session **out, omma_shared *shared, const char *name,
                                   const omma_options *opt, omma_error *err);

/* The same alone on a graph that outlives it. */
omma_status omma_session_on_graph(omma_session **out, const omma_graph *graph, const char *name,
                                  const omma_options *opt, omma_error *err);

/* Tell o of every node that the session runs from now on, whatever part of the graph it is in;
 * NULL: whom the environment asks to tell (OMMA_TRACE), or nobody. Without an observer a run
 * reads no clock. o outlives its use. */
void omma_session_observe(omma_session *s, const omma_observer *o);

/* What a session holds [bytes].
 *   plans   the blocks of values and working memory of the last run's plan and its tails.
 *   all     that, plans for other shapes, graphs, and the packed weights it shares with the other
 *           sessions on the graph; not the mapped file. */
typedef struct omma_session_size {
    size_t plans, all;
} omma_session_size;
omma_session_size omma_session_measure(const omma_session *s);

#endif
