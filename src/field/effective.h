/* effective.h - the effective field: how much each pixel matters to a unit, by the gradient of the
 * unit's numbers, over a set of images. It lies within the structural field (unit.h), which is
 * checked on every image without any tolerance.
 *
 * The result depends on how the gradient becomes one number a pixel. The ways that are in use give
 * different answers, so each has a name, an effective field is made by one of them, and what is
 * printed says which:
 *
 *     default   mean over images of sqrt(sum over colours c of (d v.F(u) / d x_c)^2), v: 1 or -1
 *               at random for each of the unit's channels, anew for each image. E (J^T v)^2 is the
 *               sum of the channels' squared gradients, so signs do not cancel.
 *     luo       the gradient of one channel, its mean over images with its sign; then the absolute
 *               value, and the sum over colours. Signs that differ between images cancel. Luo, Li,
 *               Urtasun, Zemel, "Understanding the Effective Receptive Field in Deep Convolutional
 *               Neural Networks", 2016.
 *     replk     the gradient of the sum of what is positive of the unit's channels, what is
 * positive of it, summed over colours, its mean over images; to be looked at as it is and as
 *               log10(1 + A) / max. Ding, Zhang, Han, Ding, "Scaling Up Your Kernels to 31x31",
 *               2022, who take the middle cell.
 *
 *     omma_effective_new(&e, graph, "model", &what, NULL, &err)
 *     for each image: omma_effective_add(e, inputs, n, &err)
 *     omma_effective_measure(e, OMMA_SCALE_RAW, &m, &err)
 *     omma_effective_free(e)
 *
 * Each image costs one run forward to the unit and one back. */
#ifndef OMMA_FIELD_EFFECTIVE_H
#define OMMA_FIELD_EFFECTIVE_H

#include "field/spread.h"
#include "field/unit.h"

typedef enum omma_recipe {
    OMMA_RECIPE_DEFAULT,
    OMMA_RECIPE_LUO,
    OMMA_RECIPE_REPLK,
    OMMA_RECIPES
} omma_recipe;

/* Its name; and what it does, in one line for people. */
const char *omma_recipe_name(omma_recipe r);
const char *omma_recipe_says(omma_recipe r);

/* How the mean map is looked at. */
typedef enum omma_scale {
    OMMA_SCALE_RAW, /* as it is */
    OMMA_SCALE_LOG  /* log10(1 + A) / max: replk only */
} omma_scale;

typedef struct omma_effective omma_effective;

typedef struct omma_effective_what {
    omma_unit unit;
    omma_recipe recipe;
    int64_t channel; /* luo: which of the unit's; else not read */
    int image;       /* which of the model's inputs is the picture */
    uint64_t seed;   /* default: of the random signs; any */
} omma_effective_what;

/* Begin one.
 *   graph  outlives it.
 *   name   for messages; kept, not copied.
 *   what   its strings are copied.
 *   opt    may be NULL.
 * Returns OMMA_OK, OMMA_E_USAGE (an input or a recipe that is none), OMMA_E_NOTFOUND (the value)
 * or OMMA_E_NOMEM. What else is wrong with the unit is told by the first image. */
omma_status omma_effective_new(omma_effective **out, const omma_graph *graph, const char *name,
                               const omma_effective_what *what, const omma_options *opt,
                               omma_error *err);
void omma_effective_free(omma_effective *e);

/* One image more: the model's inputs, as for omma_session_run. All images have one size.
 * Returns what omma_gradient_run and omma_unit_look do, OMMA_E_SHAPE (another size), OMMA_E_RANGE
 * (a gradient that is no finite number; a channel) or OMMA_E_INTERNAL: a pixel outside of the
 * structural field has a gradient, which is an error of omma's; the message names it. What was
 * added before stays. */
omma_status omma_effective_add(omma_effective *e, const omma_tensor *inputs, int n,
                               omma_error *err);

/* The unit and its structural field; NULL before an image was looked at. */
const omma_unit_field *omma_effective_unit(const omma_effective *e);

/* Standard errors are over images, NaN for fewer than two: by pixel from the images' own numbers,
 * of the measures by the jackknife (tally.h), since they are no means but measures of a mean. */
typedef struct omma_effective_measures {
    omma_recipe recipe;
    omma_scale scale;
    int64_t images;
    int64_t height, width;     /* of the picture [px] */
    double centre_y, centre_x; /* what the measures are about: omma_unit_field */
    int64_t field;             /* pixels of the structural field */
    omma_spread is, error;
    /* pixels that hold 95 % of the sum, of the pixels of the structural field */
    double ratio, ratio_error;
} omma_effective_measures;

/* Returns OMMA_OK, OMMA_E_USAGE (no image yet; a scale the recipe has not) or OMMA_E_NOMEM. */
omma_status omma_effective_measure(const omma_effective *e, omma_scale scale,
                                   omma_effective_measures *out, omma_error *err);

/* The map [height, width] and, if not NULL, its standard error (on the logarithmic scale to first
 * order, and as if the largest were known). Returns as omma_effective_measure. */
omma_status omma_effective_map(const omma_effective *e, omma_scale scale, double *map,
                               double *error, omma_error *err);

/* Of the last image alone: what the mean is taken of, [height, width]; luo: [colours, height,
 * width]. NULL before the first. */
const double *omma_effective_last(const omma_effective *e);

#endif
