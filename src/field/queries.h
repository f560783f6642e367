/* queries.h - the object queries of a run, layer by layer through the decoder (decoder.h): box,
 * class and score that each has behind every layer, and which of them became answers.
 *
 *     omma_queries_look(&q, sight, arena, &err)
 *     q.stage[i].step[n].box         query n behind stage i, x0, y0, x1, y1 [px]
 *
 * Behind the last layer they are the model's own answers. Behind earlier ones a box is the model's
 * own where it refines boxes, read off what goes into the next layer's sampling; all else is what
 * the model's last heads (and the norm in front of them) make of the layer's out, everything that
 * joins them from elsewhere being as it was in the run. So it is what DETR's auxiliary losses look
 * at where heads are shared, and a reading through the last layer's heads where each layer had its
 * own in training.
 *
 * Boxes are pixels of the picture as the model got it, from its left and upper edge: 0 to its
 * width, as models give them. How a model writes boxes no graph says outright. Numbers that come
 * from a sigmoid one by one are centre and size of a picture of 1 x 1, as everywhere in DETR's
 * family; others are taken for corners if they are in order for every query, else for centre and
 * size. A factor (a, b, a, b) or one factor that is the last to act on them is the picture's size
 * in their units. What was taken is told. */
#ifndef OMMA_FIELD_QUERIES_H
#define OMMA_FIELD_QUERIES_H

#include "field/sight.h"
#include "field/target.h"

/* Where a stage's boxes or scores come from. */
typedef enum omma_query_origin {
    OMMA_QUERY_NONE,   /* they are not known */
    OMMA_QUERY_ANSWER, /* the model's answers */
    OMMA_QUERY_OWN,    /* the model's own behind this layer */
    OMMA_QUERY_HEADS   /* the last heads, of this layer's out */
} omma_query_origin;

typedef struct omma_query_step {
    float box[4];  /* x0, y0, x1, y1 [px] */
    int64_t label; /* the class with the highest score */
    double score;  /* 0..1 */
} omma_query_step;

typedef struct omma_query_stage {
    int layer; /* of the decoder; -1: in front of the first, no score */
    omma_query_origin box, score;
    const omma_query_step *step; /* [queries] */
} omma_query_stage;

/* How numbers of scores become probabilities. */
typedef enum omma_score_kind {
    OMMA_SCORE_PLAIN,   /* they are */
    OMMA_SCORE_SIGMOID, /* each for itself */
    OMMA_SCORE_SOFTMAX  /* over all classes, the last of which is none */
} omma_score_kind;

typedef struct omma_queries {
    int64_t queries, classes;
    omma_query_stage *stage; /* in the order of the decoder; the last one is of the answers */
    int n_stage;
    omma_box_format format;
    double width, height; /* of the picture, in the units of the model's boxes */
    omma_score_kind kind;
    const int64_t *row; /* by row of the model's outputs of chosen answers: the query it came from;
                           NULL: row r is query r */
    int64_t rows;
    const char *says; /* how boxes and scores were taken, sentences for people */
} omma_queries;

/* Look at the first picture of a run; all is on arena. Returns OMMA_OK (also for a model without a
 * decoder: no stages), OMMA_E_UNSUPPORTED (a way through the heads cannot be run) or OMMA_E_NOMEM.
 * One thread at a time per sight. */
omma_status omma_queries_look(omma_queries *out, omma_sight *s, omma_arena *arena, omma_error *err);

/* Targets (target.h) of a query of the first picture: an edge (0 left, 1 top, 2 right, 3 bottom) of
 * its box, its number for a class. They are of the value that has all queries, not of chosen rows,
 * whose order another picture would change. False: the model has no such value. */
bool omma_queries_edge(omma_target *out, const omma_queries *q, const omma_sight *s, int64_t query,
                       int edge);
bool omma_queries_score(omma_target *out, const omma_queries *q, const omma_sight *s, int64_t query,
                        int64_t label);

/* --- for queries.c and box_format.c ------------------------------------------------------------
 */

/* How the boxes of an answer are written: format, width and height of out. t: its numbers. */
void omma_box_format_find(omma_queries *out, const omma_sight *s, const omma_answer *a,
                          const omma_tensor *t);

/* Element of query q's first number in an answer, of the first picture; and how many it has. */
static inline int64_t omma_answer_at(const omma_answer *a, int64_t q) {
    for (int d = a->axis + 1; d < a->value->rank; d++) q *= a->value->dims[d];
    return q;
}
static inline int64_t omma_answer_width(const omma_answer *a) {
    return a->axis + 1 < a->value->rank ? a->value->dims[a->value->rank - 1] : 1;
}

#endif
