/* halve.h - which products of a model shall stay in float32 when it runs in bfloat16
 * (omma_options.bf16), measured on pictures: each product alone in bfloat16, how far do the model's
 * answers move? Those that cost most for their arithmetic are given up until all others together
 * are within the budget. How far is as in quantizer.h: noise to signal at the points of points.h.
 */
#ifndef OMMA_LEARN_HALVE_H
#define OMMA_LEARN_HALVE_H

#include "learn/quantizer.h"

typedef struct omma_halve {
    omma_arena arena;
    omma_quant_node *nodes; /* products in bfloat16; fate: INT8 stands for bfloat16, or SENSITIVE */
    int n_nodes, n_half;
    int judged_on; /* samples */
    double flops, flops_half;
    double error;     /* noise to signal, all chosen ones together, where it is largest */
    const char *keep; /* for omma_options.keep_float */
} omma_halve;

/* Measure a model's graph. samples: n_samples >= 1, each an array of tensors by the graph's inputs.
 * opt as in quantizer.h; budget: default 1e-4. Free with omma_halve_free in any case. Returns
 * OMMA_OK, OMMA_E_UNSUPPORTED (no product in bfloat16) or what running returns. */
omma_status omma_halve_choose(omma_halve *h, const omma_graph *g, const omma_tensor *const *samples,
                              int n_samples, const omma_quant_options *opt, omma_error *err);
void omma_halve_free(omma_halve *h);

#endif
