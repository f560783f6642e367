/* ask.h - a model asked for one target: its number for a picture, and the gradient by the
 * picture, any number of times for changed pictures. The runs of attributions and of measures of
 * their faithfulness all go through here.
 *
 *     omma_ask_begin(&k, inputs, n, &err)             the inputs at hand; k.x is the picture
 *     omma_ask_value(&k, &f, changed, &err)           the target for another picture
 *     omma_ask_gradient(&k, &f, slope, changed, &err)
 *
 * Pictures are [channels, height, width] of doubles whatever the layout and type of the input. The
 * part of the model that the target does not depend on is not run. */
#ifndef OMMA_FIELD_ASK_H
#define OMMA_FIELD_ASK_H

#include "field/baseline.h"
#include "field/target.h"

typedef struct omma_ask {
    const omma_graph *graph;
    const char *name; /* the model's, for messages */
    omma_options opt;
    omma_budget budget;
    omma_arena arena;
    int image; /* which input is the picture */
    omma_aim aim;
    omma_session *session;   /* of the target alone */
    omma_gradient *gradient; /* by the picture; NULL until asked for */
    /* Runs so far, of the model and of gradients (which run forward too). Those are counted, too,
     * that need not be made since others before were the same: what something costs by itself. */
    int64_t forward, back;
    /* Of the inputs at hand: */
    omma_arena hand;
    omma_tensor *inputs; /* the picture's data are its own */
    omma_picture picture;
    int64_t size;       /* numbers of the picture */
    double *x;          /* the picture */
    double target;      /* its number */
    const void **given; /* by input: its data as they were given; NULL: nothing is in hand */
    bool fresh;         /* value is that of x itself */
    struct {
        omma_baseline baseline;
        double f;
    } known[OMMA_BASELINES]; /* targets of hidden pictures */
    int n_known;
    const omma_tensor *value[OMMA_TARGET_VALUES]; /* as the last run left them */
    omma_tensor seed[OMMA_TARGET_VALUES];
    /* While inputs keep their shapes: */
    omma_arena looked;
    omma_tensor *shapes; /* NULL: nothing was looked at */
} omma_ask;

/* Begin; graph and name outlive k. Returns OMMA_OK, what omma_aim_take returns, OMMA_E_USAGE (no
 * such input) or OMMA_E_NOMEM. Free it in any case. */
omma_status omma_ask_new(omma_ask *k, const omma_graph *graph, const char *name,
                         const omma_target *target, int image, const omma_options *opt,
                         omma_error *err);
void omma_ask_free(omma_ask *k);

/* Take inputs in hand (they are copied as far as pictures go; others are read until the next
 * begin) and run the model once; the same inputs as those in hand need no run. Returns as
 * omma_session_run, OMMA_E_SHAPE (the input is no picture), what omma_aim_look and omma_aim_value
 * return. */
omma_status omma_ask_begin(omma_ask *k, const omma_tensor *inputs, int n, omma_error *err);

/* The target for picture x. Returns as omma_session_run and omma_aim_value. */
omma_status omma_ask_value(omma_ask *k, double *f, const double *x, omma_error *err);

/* The same for the picture in hand when all of it is hidden, which is x: once for each baseline. */
omma_status omma_ask_hidden(omma_ask *k, double *f, const omma_baseline *b, const double *x,
                            omma_error *err);

/* And its gradient by the picture, [channels, height, width]. Returns also what omma_gradient_run
 * returns, and OMMA_E_UNSUPPORTED where the target is of whole numbers. */
omma_status omma_ask_gradient(omma_ask *k, double *f, double *slope, const double *x,
                              omma_error *err);

/* For a gradient that differs in what it is by: fill k->inputs with picture x and k->seed with the
 * target's seeds, by a run where they depend on one. */
omma_status omma_ask_sow(omma_ask *k, const double *x, omma_error *err);

/* The largest number of the picture in hand less the smallest. */
double omma_ask_range(const omma_ask *k);

/* A session of model that makes these values and no others. */
omma_status omma_ask_session(omma_session **out, const omma_ask *k, const char *const *value, int n,
                             omma_arena *arena, omma_error *err);

#endif
