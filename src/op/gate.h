/* gate.h - the activations of recurrent cells: names, defaults, and their work on a row. */
#ifndef OMMA_OP_GATE_H
#define OMMA_OP_GATE_H

#include "op/op.h"

typedef enum omma_gate_kind {
    OMMA_GATE_RELU,
    OMMA_GATE_TANH,
    OMMA_GATE_SIGMOID,
    OMMA_GATE_AFFINE,
    OMMA_GATE_LEAKY_RELU,
    OMMA_GATE_THRESHOLDED_RELU,
    OMMA_GATE_SCALED_TANH,
    OMMA_GATE_HARD_SIGMOID,
    OMMA_GATE_ELU,
    OMMA_GATE_SOFTSIGN,
    OMMA_GATE_SOFTPLUS,
    OMMA_GATE_COUNT
} omma_gate_kind;

typedef struct omma_gate {
    omma_gate_kind kind;
    float a, b;
} omma_gate;

/* The activation of that name, in any case, with the alpha and beta it has by default. Fails
 * when there is none. */
omma_status omma_gate_find(omma_build *b, const omma_node *n, const char *name, omma_gate *g);

/* Does it take an alpha, a beta? */
bool omma_gate_takes_a(omma_gate_kind kind);
bool omma_gate_takes_b(omma_gate_kind kind);

/* x = g(x) for n numbers, brought into [-clip, clip] before if clip is more than 0. */
void omma_gate_apply(const omma_kernels *k, const omma_gate *g, float clip, int64_t n, float *x);

#endif
