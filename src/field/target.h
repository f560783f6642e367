/* target.h - what is asked about: one number made of a model's values, of which an attribution says
 * where in the picture it comes from. It may be made of an output or of any value inside:
 *
 *     a class's logit          {OMMA_TARGET_ELEMENT, .value = "logits", .at = {0, 207}}
 *     all scores of a query    {OMMA_TARGET_ELEMENT, .value = "logits", .at = {0, 3, -1}}
 *     one logit over another   {OMMA_TARGET_SUM, .value = "logits", .term = two, .n_terms = 2}
 *     the right edge of a box  {OMMA_TARGET_EDGE, .value = "boxes", .at = {0, 3}, .edge = 2}
 *     a box's overlap          {OMMA_TARGET_IOU, .value = "boxes", .at = {0, 3}, .box = {..}}
 *     part of a mask           {OMMA_TARGET_REGION, .value = "masks", .at = {0, 3}, .region = ..}
 *     a cell's channel         {OMMA_TARGET_CHANNEL, .value = "layer2", .unit = {.y = 3, .x = 5}}
 *     a token's length         {OMMA_TARGET_NORM, .value = "tokens", .unit = {.by_token = true}}
 *     a thing that was found   {OMMA_TARGET_DETECTION, .value = "scores", .boxes = "boxes", ..}
 *
 * A target is a function of the values' numbers that is written down with its derivative, the seed
 * of a gradient; where it is not linear the seed depends on a run. */
#ifndef OMMA_FIELD_TARGET_H
#define OMMA_FIELD_TARGET_H

#include "field/unit.h"

typedef enum omma_target_kind {
    OMMA_TARGET_ELEMENT,   /* one number; with -1 in `at` the sum along that axis */
    OMMA_TARGET_SUM,       /* of terms, each a factor and an `at` */
    OMMA_TARGET_EDGE,      /* an edge of the box at `at`, whatever way the model writes boxes */
    OMMA_TARGET_IOU,       /* area shared of the box at `at` and `box`, over that of both */
    OMMA_TARGET_REGION,    /* the sum over a region of the last two axes */
    OMMA_TARGET_CHANNEL,   /* one channel of a cell or token */
    OMMA_TARGET_NORM,      /* the Euclidean length of a cell or token */
    OMMA_TARGET_DETECTION, /* most of score x IoU with `box` that any row of a class has: a thing in
                              the picture, whatever row of a sorted list it is in. Petsiuk et al.,
                              "Black-box Explanation of Object Detectors via Saliency Maps", 2021 */
    OMMA_TARGETS
} omma_target_kind;

/* The four numbers of a box as a model writes them. */
typedef enum omma_box_format {
    OMMA_BOX_CORNERS, /* x0, y0, x1, y1 */
    OMMA_BOX_CENTRE,  /* centre x, centre y, width, height */
    OMMA_BOX_SIZED,   /* x0, y0, width, height */
    OMMA_BOX_FORMATS
} omma_box_format;

typedef struct omma_target_term {
    int64_t at[OMMA_MAX_RANK];
    double by;
} omma_target_term;

typedef struct omma_target {
    omma_target_kind kind;
    const char *value; /* the name of a value in the model; DETECTION: of the scores */
    /* Its index, a number an axis; -1: all along it. EDGE and IOU read no last axis, which has the
     * four numbers; REGION not the last two. */
    int64_t at[OMMA_MAX_RANK];
    const omma_target_term *term; /* SUM */
    int n_terms;
    omma_box_format format; /* EDGE, IOU, DETECTION */
    int edge;               /* EDGE: 0 left, 1 top, 2 right, 3 bottom */
    double box[4];          /* IOU, DETECTION: x0, y0, x1, y1 in the units of the model's boxes */
    const unsigned char *region; /* REGION: [region_h, region_w], not 0: inside */
    int64_t region_h, region_w;
    omma_unit unit;     /* CHANNEL, NORM: which; its value is not read */
    int64_t channel;    /* CHANNEL */
    const char *boxes;  /* DETECTION: the value with boxes [.., rows, 4] */
    const char *labels; /* and the value with a class for each row; NULL: scores are [.., rows,
                           classes], or there is one class */
    int64_t label;      /* which class */
} omma_target;

enum { OMMA_TARGET_VALUES = 3 };

/* A target found in a model. */
typedef struct omma_aim {
    omma_target what;                     /* with copies of what it points to */
    const char *name[OMMA_TARGET_VALUES]; /* of the values it is made of */
    int n, n_seeded;                      /* how many; those that have a seed come first */
    bool linear;                          /* the seed does not depend on a run */
    /* When inputs of some shapes were looked at: */
    omma_tensor shape[OMMA_TARGET_VALUES]; /* data NULL */
    int64_t *element;                      /* what it is made of, in name[0] (EDGE, IOU: the box) */
    double *by;                            /* linear: times what */
    int64_t count;
    const char *says; /* for people, as "scores[0, 0]" */
} omma_aim;

/* Take a target in; copies go to arena. Returns OMMA_OK, OMMA_E_USAGE (no such kind, something is
 * missing), OMMA_E_NOTFOUND (a value) or OMMA_E_NOMEM. */
omma_status omma_aim_take(omma_aim *a, const omma_target *t, const omma_graph *model,
                          omma_arena *arena, omma_error *err);

/* Find its elements, after a run.
 *   value   by a->name: the values as the run left them
 *   inputs  of the run; image: which is the picture
 *   arena   what was found lives there
 * Returns OMMA_OK, OMMA_E_RANGE (an index), OMMA_E_SHAPE (a value is not what such a target is made
 * of), what omma_unit_look returns, or OMMA_E_NOMEM. */
omma_status omma_aim_look(omma_aim *a, const omma_tensor *const *value, const omma_graph *model,
                          const omma_tensor *inputs, int image, omma_arena *arena, omma_error *err);

/* The target, of a run's values. Returns OMMA_OK, OMMA_E_SHAPE (a value has other dims than when
 * it was looked at) or OMMA_E_RANGE (it is not finite). */
omma_status omma_aim_value(const omma_aim *a, double *out, const omma_tensor *const *value,
                           omma_error *err);

/* The derivative of the target by its values.
 *   seed   [n_seeded], with memory; of the values' shapes and types
 *   value  of the run; not read if linear
 * Where the target has a kink (two boxes equally good, edges at the same place) it is that of one
 * side; of boxes that do not meet, and of the length of zeros, zero. */
void omma_aim_seed(const omma_aim *a, omma_tensor *seed, const omma_tensor *const *value);

/* IoU of box p with g, both x0, y0, x1, y1, and (not NULL) its derivative by p. */
double omma_iou(const double p[4], const double g[4], double slope[4]);

#endif
