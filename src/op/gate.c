/* gate.c - the activations of recurrent cells; see gate.h. */
#include "op/gate.h"

#include <math.h>
#include <strings.h>

/* Name, does it take alpha and beta, their defaults. */
static const struct {
    const char *name;
    bool takes_a, takes_b;
    float a, b;
} activations[OMMA_GATE_COUNT] = {
    [OMMA_GATE_RELU] = {"Relu", false, false, 0, 0},
    [OMMA_GATE_TANH] = {"Tanh", false, false, 0, 0},
    [OMMA_GATE_SIGMOID] = {"Sigmoid", false, false, 0, 0},
    [OMMA_GATE_AFFINE] = {"Affine", true, true, 1, 0},
    [OMMA_GATE_LEAKY_RELU] = {"LeakyRelu", true, false, 0.01f, 0},
    [OMMA_GATE_THRESHOLDED_RELU] = {"ThresholdedRelu", true, false, 1, 0},
    [OMMA_GATE_SCALED_TANH] = {"ScaledTanh", true, true, 1, 1},
    [OMMA_GATE_HARD_SIGMOID] = {"HardSigmoid", true, true, 0.2f, 0.5f},
    [OMMA_GATE_ELU] = {"Elu", true, false, 1, 0},
    [OMMA_GATE_SOFTSIGN] = {"Softsign", false, false, 0, 0},
    [OMMA_GATE_SOFTPLUS] = {"Softplus", false, false, 0, 0},
};

omma_status omma_gate_find(omma_build *b, const omma_node *n, const char *name, omma_gate *g) {
    for (int i = 0; i < OMMA_GATE_COUNT; i++)
        if (!strcasecmp(name, activations[i].name)) {
            *g = (omma_gate){(omma_gate_kind)i, activations[i].a, activations[i].b};
            return OMMA_OK;
        }
    return omma_bad(b, n, "the activation '%s' is unknown", name);
}

bool omma_gate_takes_a(omma_gate_kind kind) { return activations[kind].takes_a; }
bool omma_gate_takes_b(omma_gate_kind kind) { return activations[kind].takes_b; }

static float activate_one(const omma_gate *a, float x) {
    switch (a->kind) {
    case OMMA_GATE_AFFINE: return a->a * x + a->b;
    case OMMA_GATE_LEAKY_RELU: return x < 0 ? a->a * x : x;
    case OMMA_GATE_THRESHOLDED_RELU: return x <= a->a ? 0 : x;
    case OMMA_GATE_SCALED_TANH: return a->a * tanhf(a->b * x);
    case OMMA_GATE_HARD_SIGMOID: x = a->a * x + a->b; return x < 0 ? 0 : x > 1 ? 1 : x;
    case OMMA_GATE_ELU: return x < 0 ? a->a * expm1f(x) : x;
    case OMMA_GATE_SOFTSIGN: return x / (1 + fabsf(x));
    case OMMA_GATE_SOFTPLUS: return x != x ? x : fmaxf(x, 0) + log1pf(expf(-fabsf(x)));
    default: return x;
    }
}

void omma_gate_apply(const omma_kernels *k, const omma_gate *g, float clip, int64_t n, float *x) {
    if (clip > 0) k->clip(n, x, -clip, clip, x);
    switch (g->kind) {
    case OMMA_GATE_RELU: k->unary[OMMA_UN_RELU](n, x, x); return;
    case OMMA_GATE_TANH: k->unary[OMMA_UN_TANH](n, x, x); return;
    case OMMA_GATE_SIGMOID: k->unary[OMMA_UN_SIGMOID](n, x, x); return;
    default:
        for (int64_t i = 0; i < n; i++) x[i] = activate_one(g, x[i]);
    }
}
