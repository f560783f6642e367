/* look_target.h - what number of the model an answer of a report is: the target that attributions
 * are of. */
#ifndef OMMA_CLI_LOOK_TARGET_H
#define OMMA_CLI_LOOK_TARGET_H

#include "cli/look_job.h"
#include "field/target.h"
#include "model/model.h"

typedef struct omma_look_target {
    omma_target ask;
    bool boxed;    /* the answer has a box: */
    double box[4]; /* x0, y0, x1, y1, pixels' centres being whole numbers [px] */
} omma_look_target;

/* The target of answer number `answer` (edge: of that edge of its box; NULL: of it all). Returns
 * false where the model has no number that is known to be it. */
bool omma_look_find_target(omma_look_target *t, omma_look_job *j, int answer, const char *edge);

/* The graph that targets are found in, and attributions made of. */
const omma_graph *omma_look_graph(const omma_look_job *j);

#endif
