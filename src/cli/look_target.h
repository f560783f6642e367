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
bool omma_look_find_target(omma_look_target *t, const omma_look_job *j, int answer,
                           const char *edge);

/* The graph that targets are found in, and attributions made of. */
const omma_graph *omma_look_graph(const omma_look_job *j);

/* What is read at places of a sequence, [1, places, classes] with the scores of each: the k-th
 * surest of the places that have another class than most (what most have is a text reader's blank).
 * Returns false where there is none. */
typedef struct omma_look_place {
    int64_t place, places, class_index;
    double score;
} omma_look_place;
bool omma_look_find_place(omma_look_place *p, const omma_look_job *j, int k);

#endif
