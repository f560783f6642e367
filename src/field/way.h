/* way.h - the part of a graph that leads from one value to another, as a model of its own: given
 * other numbers for the first, what does the second become, everything else as it is? */
#ifndef OMMA_FIELD_WAY_H
#define OMMA_FIELD_WAY_H

#include "graph/graph.h"

typedef struct omma_way {
    omma_arena arena;
    omma_graph *graph;
    omma_session *session;
    int nodes; /* on the way; 0: from and to are one */
} omma_way;

/* What a value that enters from the side was in the run at hand; NULL: not known. */
typedef const omma_tensor *omma_way_side(const void *user, const omma_value *v);

/* Make it.
 *   from, to  values of g with known shapes
 *   side      for values that are no constants and do not come from `from`; may be NULL
 * Returns OMMA_OK, OMMA_E_UNSUPPORTED (nothing leads there; a side value is not known) or
 * OMMA_E_NOMEM. Free with omma_way_free in any case. */
omma_status omma_way_new(omma_way *w, const omma_graph *g, const omma_value *from,
                         const omma_value *to, omma_way_side *side, const void *user,
                         omma_error *err);
void omma_way_free(omma_way *w);

/* The values that join the way from elsewhere, which a run must keep for `side`: list[0..*n), on
 * arena. None if nothing leads there. Returns OMMA_OK or OMMA_E_NOMEM. */
omma_status omma_way_sides(const omma_value ***list, int *n, const omma_graph *g,
                           const omma_value *from, const omma_value *to, omma_arena *arena,
                           omma_error *err);

/* Run it: x has from's type and shape; the answer is to's, valid until the next run. */
omma_status omma_way_run(omma_way *w, const omma_tensor *x, const omma_tensor **y, omma_error *err);

#endif
