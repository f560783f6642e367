/* attribution.h - where in the picture a target comes from, as a heat map: one number a pixel, by
 * one of the methods in use. They answer different questions and disagree, so a map carries the
 * name of its method, its parameters and what its numbers mean, and is worth no more than what
 * faithfulness.h measures of it.
 *
 *     omma_attribution_new(&a, graph, "model", &target, image, NULL, &err)
 *     omma_attribution_run(a, &heat, inputs, n, &(omma_attribution_how){0}, arena, &err)
 *     heat.map[y * heat.width + x]
 *     omma_attribution_free(a)
 *
 * x is the picture, f the target, b a baseline (baseline.h), c runs over colours.
 *
 *     gradient             sqrt(sum_c (df/dx_c)^2). Simonyan, Vedaldi, Zisserman 2014
 *     gradient-x-input     sum_c (x - b)_c df/dx_c. Shrikumar et al. 2016
 *     smoothgrad           as gradient, of the mean df/dx over copies of x with noise. Smilkov et
 *                          al. 2017
 *     integrated           sum_c (x - b)_c times the mean of df/dx_c on the way from b to x. Its
 *                          sum is f(x) - f(b) but for the steps: the gap is told. Sundararajan,
 *                          Taly, Yan 2017
 *     grad-cam             of a feature map A with channels k: relu(sum_k w_k A_k), w_k the mean of
 *                          df/dA_k over cells. Selvaraju et al. 2017
 *     grad-cam++           the same with w_k = sum over cells of a relu(df/dA_k), where a = g^2 /
 *                          (2 g^2 + g^3 sum A_k), g = df/dA_k. Chattopadhay et al. 2018
 *     hirescam             sum_k A_k df/dA_k, cell by cell. Draelos, Carin 2020
 *     score-cam            relu(sum_k w_k A_k), w: the softmax of f where x is kept under A_k
 * alone. Wang et al. 2020 occlusion            how much f falls when a window is hidden, mean over
 * the windows a pixel is in. Zeiler, Fergus 2014 rise                 the mean of f over random
 * masks, weighted by how much they show of the pixel. Petsiuk, Das, Saenko 2018 random, centre,
 * edges   no attributions: what any must beat. Numbers by chance; a Gaussian in the middle of the
 * picture; the length of Sobel's gradient
 *
 * The same question gives the same answer, to the bit, on any number of threads. */
#ifndef OMMA_FIELD_ATTRIBUTION_H
#define OMMA_FIELD_ATTRIBUTION_H

#include "field/baseline.h"
#include "field/target.h"

typedef enum omma_method {
    OMMA_METHOD_DEFAULT, /* occlusion, which docs/faithfulness.md measured */
    OMMA_METHOD_GRADIENT,
    OMMA_METHOD_GRADIENT_INPUT,
    OMMA_METHOD_SMOOTHGRAD,
    OMMA_METHOD_INTEGRATED,
    OMMA_METHOD_GRADCAM,
    OMMA_METHOD_GRADCAM_PP,
    OMMA_METHOD_HIRESCAM,
    OMMA_METHOD_SCORECAM,
    OMMA_METHOD_OCCLUSION,
    OMMA_METHOD_RISE,
    OMMA_METHOD_RANDOM,
    OMMA_METHOD_CENTRE,
    OMMA_METHOD_EDGES,
    OMMA_METHODS
} omma_method;

/* Its name (of DEFAULT: of the method it is); and the method of a name, OMMA_METHODS: none. */
const char *omma_method_name(omma_method m);
omma_method omma_method_find(const char *name);

/* Zeroed: the default throughout, which is in brackets. What a method does not use is not read. */
typedef struct omma_attribution_how {
    omma_method method;
    uint64_t seed;          /* smoothgrad, rise, random; any */
    omma_baseline baseline; /* what hidden pixels are [zero: gradient-x-input, integrated; else the
                               mean colour] */
    int samples;            /* smoothgrad: copies [16] */
    double sigma;    /* smoothgrad: of the noise, in ranges (largest - smallest) of x [0.15] */
    int steps;       /* integrated: [32] */
    const char *map; /* cam: the name of the feature map [the last with more than one cell that the
                        target depends on] */
    int window;      /* occlusion: side [px] [an eighth of the shorter side] */
    int stride;      /* occlusion: [half a window] */
    int masks;       /* rise: [512] */
    int cells;       /* rise: of a mask, along each axis [8] */
    double keep;     /* rise: the chance of a cell to be shown [0.5] */
} omma_attribution_how;

/* What the numbers of a map stand for. */
typedef enum omma_heat_kind {
    OMMA_HEAT_SLOPE, /* how much f changes for a change of the pixel */
    OMMA_HEAT_SHARE, /* the pixel's share of f(x) - f(b) */
    OMMA_HEAT_RANK   /* which pixels matter more; sums mean nothing */
} omma_heat_kind;

typedef struct omma_heat {
    const char *method, *target;
    const char *says;  /* the method's parameters, for people; "" if there are none */
    const char *scale; /* what a number of the map is */
    omma_heat_kind kind;
    int64_t height, width; /* [px] */
    double *map;           /* [height, width] */
    int64_t channels;
    double *element;   /* [channels, height, width], what the map was made of, signed; NULL: nothing
                          by colour */
    double f;          /* the target for x */
    bool has_baseline; /* then: */
    omma_baseline baseline;
    /* SHARE: the sum of the map, f(x) - f(b), and the first minus the second; else NaN. */
    double sum, difference, gap;
    const char *feature_map; /* cam: its name; else NULL */
    int64_t rows, columns;   /* and its cells */
    int64_t forward, back;   /* what it cost: runs of the model, runs of gradients */
} omma_heat;

typedef struct omma_attribution omma_attribution;

/* Begin with a model and a target.
 *   out     free with omma_attribution_free.
 *   graph   the model; it and name outlive out. name is for messages.
 *   target  copied.
 *   image   which of the model's inputs is the picture, [1, C, H, W] or [1, H, W, C].
 *   opt     may be NULL.
 * Returns OMMA_OK, OMMA_E_USAGE, OMMA_E_NOTFOUND (a value), OMMA_E_NOMEM or as omma_session_new. */
omma_status omma_attribution_new(omma_attribution **out, const omma_graph *graph, const char *name,
                                 const omma_target *target, int image, const omma_options *opt,
                                 omma_error *err);
void omma_attribution_free(omma_attribution *a);

/* The target's number. Returns as omma_ask_begin (ask.h). */
omma_status omma_attribution_value(omma_attribution *a, double *f, const omma_tensor *inputs, int n,
                                   omma_error *err);

/* A heat map.
 *   out     what it points to lives on arena.
 *   inputs  n tensors, as for omma_session_run.
 * Returns OMMA_OK, OMMA_E_USAGE (a parameter), OMMA_E_NOTFOUND (a feature map), OMMA_E_RANGE (an
 * index; the map is not finite), OMMA_E_UNSUPPORTED (something has no gradient; no feature map is
 * to be found: the message says which methods remain), or as omma_session_run. One thread at a
 * time. */
omma_status omma_attribution_run(omma_attribution *a, omma_heat *out, const omma_tensor *inputs,
                                 int n, const omma_attribution_how *how, omma_arena *arena,
                                 omma_error *err);

#endif
