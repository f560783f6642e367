/* differentiate.h - differentiation: a pass that appends nodes. What comes out is a graph like any
 * other, which is fused, planned and run like any other. */
#ifndef OMMA_PASS_DIFFERENTIATE_H
#define OMMA_PASS_DIFFERENTIATE_H

#include "op/grad.h"
#include "pass/pass.h"

/* Which reading is to come. */
typedef enum omma_reading { OMMA_READ_GRADIENT, OMMA_READ_FIELD } omma_reading;

/* Let plainer operators stand in the place of those nodes that the reading can only read that way
 * (their rows' parts). g is completely inferred, and is so afterwards. Returns OMMA_OK,
 * OMMA_E_NOMEM or what the rooms report. */
omma_status omma_pass_parts(omma_build *b, omma_graph *g, omma_reading reading);

/* What is differentiated, and by what: values of the graph. */
typedef struct omma_derivative {
    omma_value *const *of;   /* n_of floating values, differentiated together */
    omma_value *const *seed; /* by of: its cotangent, of its shape and type; NULL: ones */
    int n_of;
    omma_value *const *by; /* n_by floating values */
    int n_by;
} omma_derivative;

/* Append the nodes that compute sum over of of <seed, d of / d by>.
 *   g       completely inferred, its nodes read by gradient (omma_pass_parts). What computes
 *           `by` is left out of account: it need not be differentiable.
 *   result  receives, by `by`, the value of the gradient, of its shape and type; a constant of
 *           zeros where nothing leads from it to `of`.
 * Returns OMMA_OK, OMMA_E_NOMEM, OMMA_E_UNSUPPORTED naming the node that blocks, or what the
 * rooms report. */
omma_status omma_pass_gradient(omma_build *b, omma_graph *g, const omma_derivative *d,
                               omma_value **result);

#endif
