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

/* Of an object query: its score of a class, -1: of its best. */
bool omma_look_find_query(omma_look_target *t, const omma_look_job *j, int64_t query,
                          int64_t class_index);

/* The object query that is surest of another class than most queries have (which stands for no
 * thing); -1: there are no queries whose scores are known. */
int64_t omma_look_best_query(const omma_look_job *j);

/* The graph that targets are found in, and attributions made of. */
const omma_graph *omma_look_graph(const omma_look_job *j);

#endif
