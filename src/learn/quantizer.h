/* quantizer.h - from a float model to one that computes in int8, guided by calibration pictures.
 *
 *   1  calibrate   run the float model on the samples; the range of every activation that a
 *                  product reads, and the 8 bits that stand for it with the least squared error
 *   2  sensitivity quantise each product alone; how far do the model's answers move?
 *   3  choose      the products with the most error for the least arithmetic stay in float until
 *                  the errors of all others together are within the budget
 *   4  check       quantise all chosen ones together, measure, and give up more where needed
 *
 * An answer's error is the energy of what changed over the energy about its mean (noise to signal).
 * Where the model orders its own values (TopK and its like) a change of the order says nothing of
 * how far the values moved: so a product is judged by the values in front of the next ordering, and
 * only those behind the last one by the model's outputs. */
#ifndef OMMA_LEARN_QUANTIZER_H
#define OMMA_LEARN_QUANTIZER_H

#include "graph/graph.h"

/* Why a product stays in float. */
typedef enum omma_quant_fate {
    OMMA_QUANT_INT8,
    OMMA_QUANT_SENSITIVE, /* it costs more accuracy than it is worth */
    OMMA_QUANT_SMALL,     /* too little arithmetic to pay for going to 8 bits and back */
    OMMA_QUANT_UNFIT      /* groups, weights that are no constants, an odd range */
} omma_quant_fate;

typedef struct omma_quant_node {
    const char *name, *op;
    double flops; /* of one sample */
    double error; /* noise to signal when it is quantised alone; 0: not measured */
    omma_quant_fate fate;
} omma_quant_node;

/* Zero means the default.
 *   budget    noise to signal that all chosen products may cause together; 0.01.
 *   small     share of the arithmetic below which a product stays in float; 0.001.
 *   threads, max_memory  as in omma_options.
 *   progress  called with what is done, steps done and their number; may be NULL. */
typedef struct omma_quant_options {
    double budget, small;
    int threads;
    size_t max_memory;
    void (*progress)(void *user, const char *what, int done, int total);
    void *user;
} omma_quant_options;

typedef struct omma_quant {
    omma_arena arena;
    omma_graph *graph; /* ready for omma_onnx_write */
    omma_quant_node *nodes;
    int n_nodes, n_int8; /* products, and those quantised */
    int judged_on;       /* samples the sensitivity was measured on */
    double flops, flops_int8;
    double error; /* noise to signal, all chosen ones together, where it is largest */
} omma_quant;

/* Quantise a model's graph.
 *   samples  n_samples >= 1 of them, each an array of tensors by the graph's inputs.
 * Free with omma_quant_free in any case. Returns OMMA_OK, OMMA_E_UNSUPPORTED (an operator set
 * before 13, nothing to quantise) or what running returns. */
omma_status omma_quantize(omma_quant *q, const omma_graph *g, const omma_tensor *const *samples,
                          int n_samples, const omma_quant_options *opt, omma_error *err);
void omma_quant_free(omma_quant *q);

#endif
