/* faithfulness.h - what a heat map is worth, measured on the model: a picture that looks right is
 * no evidence. None of these measures is the truth either (hiding pixels makes pictures the model
 * never saw, and the baseline decides much), so they are printed side by side, each with its
 * parameters, and beside those of maps that know nothing of the model (random, centre, edges).
 *
 *     deletion      the target while pixels are hidden, the hottest first: low is good
 *     insertion     while they are shown over the baseline, the hottest first: high is good.
 *                   Petsiuk, Das, Saenko, "RISE", 2018
 *     pointing      is the hottest pixel in the thing? Zhang et al., "Top-down Neural Attention by
 *                   Excitation Backprop", 2016
 *     infidelity    how far the map is from saying what hiding parts does to the target; and
 *     sensitivity   how far it moves when the picture hardly does: both low is good. Yeh et al.,
 *                   "On the (In)fidelity and Sensitivity of Explanations", 2019
 *     cascade       is the map still the same when the model's weights are random, layer by layer
 *                   from the top? It should not be. Adebayo et al., "Sanity Checks for Saliency
 *                   Maps", 2018
 *
 * Zeroed options are the defaults, which are in brackets. All is the same again for the same seed.
 */
#ifndef OMMA_FIELD_FAITHFULNESS_H
#define OMMA_FIELD_FAITHFULNESS_H

#include "field/attribution.h"

/* --- deletion and insertion ---------------------------------------------------------------------
 */

enum { OMMA_CURVE_STEPS = 1000 };

typedef struct omma_curve_how {
    bool insert;
    int steps;              /* 1 to OMMA_CURVE_STEPS [32] */
    omma_baseline baseline; /* [mean colour; insertion: a blur] */
    uint64_t seed;          /* by which pixels that are equally hot are put in order */
} omma_curve_how;

typedef struct omma_curve {
    int steps;
    double value[OMMA_CURVE_STEPS + 1]; /* the target with the hottest k / steps of the pixels
                                           hidden (shown) */
    double auc;     /* the area under them, the picture's area being 1, by trapezoids: in the
                       target's units */
    char says[128]; /* measure and parameters */
} omma_curve;

/* map: [height, width] of the picture. Returns OMMA_OK, OMMA_E_USAGE or as omma_ask_value. */
omma_status omma_curve_measure(omma_attribution *a, omma_curve *out, const double *map,
                               const omma_tensor *inputs, int n, const omma_curve_how *how,
                               omma_error *err);

/* --- pointing game ------------------------------------------------------------------------------
 */

typedef struct omma_pointing {
    bool hit;       /* is the hottest pixel (of several the one nearest to their middle) inside, or
                       no farther from the inside than `near`? */
    int64_t y, x;   /* where it is [px] */
    double share;   /* of what is positive of the map, how much is inside; NaN: nothing is */
    double by_area; /* the share of the picture that is inside: what chance would get */
} omma_pointing;

/* inside: [height, width], not 0: in the thing. near: 0 or more [px]. Returns OMMA_OK or
 * OMMA_E_USAGE (nothing is inside). */
omma_status omma_pointing_measure(omma_pointing *out, const double *map, int64_t height,
                                  int64_t width, const unsigned char *inside, double near,
                                  omma_error *err);

/* The same for a box x0, y0, x1, y1 [px]: pixels whose centres, at whole numbers, are in it. */
omma_status omma_pointing_box(omma_pointing *out, const double *map, int64_t height, int64_t width,
                              const double box[4], double near, omma_error *err);

/* --- infidelity ---------------------------------------------------------------------------------
 */

typedef struct omma_infidelity_how {
    int samples;            /* [64] */
    int window;             /* side of the squares that are hidden, at random places [px]
                               [a quarter of the shorter side] */
    double sigma;           /* not 0: noise of that many ranges of the picture is taken off instead;
                               only for maps of slopes */
    omma_baseline baseline; /* of hidden pixels [that of the map, else the mean colour] */
    uint64_t seed;
} omma_infidelity_how;

/* For each change I of the picture: what the map says f falls by (slopes: sum I df/dx; others: the
 * sum of the map over what is hidden), against what it does fall by. */
typedef struct omma_infidelity {
    double raw;    /* the mean square of the difference; NaN for maps whose sums mean nothing */
    double factor; /* what the map is to be multiplied by to be nearest */
    double scaled; /* the mean square then */
    double rest;   /* scaled, as a share of the mean square fall: 0 the map says all, 1 nothing;
                      NaN: the target never fell */
    int samples;
    char says[160];
} omma_infidelity;

/* Returns OMMA_OK, OMMA_E_USAGE or as omma_ask_value. */
omma_status omma_infidelity_measure(omma_attribution *a, omma_infidelity *out,
                                    const omma_heat *heat, const omma_tensor *inputs, int n,
                                    const omma_infidelity_how *how, omma_error *err);

/* --- sensitivity --------------------------------------------------------------------------------
 */

typedef struct omma_sensitivity_how {
    int samples;   /* [8] */
    double radius; /* every number of the picture moves by at most so many of its ranges [0.02] */
    uint64_t seed;
    const double *map; /* what the method made of the inputs; NULL: it is made again */
} omma_sensitivity_how;

typedef struct omma_sensitivity {
    double max, mean; /* over samples, of the map's change, as a share of its length; NaN for a map
                         of zeros */
    int samples;
    char says[96];
} omma_sensitivity;

/* method: what made the map. Returns as omma_attribution_run. */
omma_status omma_sensitivity_measure(omma_attribution *a, omma_sensitivity *out,
                                     const omma_attribution_how *method, const omma_tensor *inputs,
                                     int n, const omma_sensitivity_how *how, omma_error *err);

/* --- cascading randomisation --------------------------------------------------------------------
 */

typedef struct omma_cascade_how {
    int maps; /* how many maps to make, spread evenly over the layers; the last is of a model whose
                 layers are all random [8] */
    uint64_t seed;
    const double *map; /* what the method made of the inputs; NULL: it is made again */
} omma_cascade_how;

typedef struct omma_cascade_step {
    int layers;         /* random ones, from the top */
    const char *layer;  /* the name of the last of them */
    double correlation; /* of ranks (Spearman), of its map with the original; NaN where one of the
                           two is the same everywhere */
    double f;           /* the target */
} omma_cascade_step;

typedef struct omma_cascade {
    int layers; /* of the model, on the target's way: nodes that multiply what depends on the
                   picture by weights (convolutions, products, recurrences) */
    int count;
    omma_cascade_step *step;
} omma_cascade;

/* A layer becomes random by shuffling the numbers of each of its weights, which keeps their
 * distribution to the last number; what is computed from weights alone counts as weights.
 *   out  what it points to lives on arena; the other arguments as of omma_attribution_new and
 *        omma_attribution_run.
 * Returns as these, and OMMA_E_UNSUPPORTED (there are no layers). */
omma_status omma_cascade_measure(omma_cascade *out, const omma_graph *graph, const char *name,
                                 const omma_target *target, int image, const omma_tensor *inputs,
                                 int n, const omma_attribution_how *method,
                                 const omma_cascade_how *how, const omma_options *opt,
                                 omma_arena *arena, omma_error *err);

/* --- ranks --------------------------------------------------------------------------------------
 */

/* order [n]: the indices of map, the largest number first; equal ones by chance from seed. Returns
 * OMMA_OK or OMMA_E_NOMEM. */
omma_status omma_rank_order(int64_t *order, const double *map, int64_t n, uint64_t seed,
                            omma_arena *tmp, omma_error *err);

/* Spearman's: the correlation of ranks, equal numbers sharing theirs. NaN: one is the same
 * everywhere. Returns OMMA_OK or OMMA_E_NOMEM. */
omma_status omma_rank_correlation(double *out, const double *a, const double *b, int64_t n,
                                  omma_arena *tmp, omma_error *err);

#endif
