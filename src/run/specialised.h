/* specialised.h - a model's graph for inputs of given shapes, as the readings in reverse want it:
 * every value known, constants folded, branches and loops written out, no node fused yet. */
#ifndef OMMA_RUN_SPECIALISED_H
#define OMMA_RUN_SPECIALISED_H

#include "pass/differentiate.h"

typedef struct omma_specialised {
    omma_graph *graph;
    omma_value **open; /* by how->open: that value, now an input of the graph if it was constant */
    int n_inputs;      /* of the model: they come first among the graph's inputs */
    const omma_node *cut; /* the first node that waits for numbers only a run gives; it and what
                             follows are left out. NULL: none */
} omma_specialised;

typedef struct omma_specialise_how {
    const char *const *of; /* n_of names of values that become the outputs; NULL: the model's */
    int n_of;
    const char *const *open; /* n_open names of values that must not be folded: parameters */
    int n_open;
    omma_reading reading;
    bool may_cut; /* else a node that waits for numbers of a run is an error */
} omma_specialise_how;

/* Make it on arena.
 *   inputs  the model's, in order; data is read of those of whole numbers of at most 512 bytes,
 *           whose contents may decide shapes, and become part of the graph.
 * Returns OMMA_OK, OMMA_E_NOTFOUND (a name), OMMA_E_SHAPE, OMMA_E_UNSUPPORTED or OMMA_E_NOMEM. */
omma_status omma_specialise(omma_specialised *out, const omma_graph *model,
                            const omma_tensor *inputs, const omma_specialise_how *how,
                            omma_arena *arena, omma_error *err);

/* Is an input of this type and these dims taken by its contents? */
bool omma_specialise_by_value(const omma_tensor *input);

#endif
