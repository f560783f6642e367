/* mixing.h - attention by what it moves rather than by its weights: a large weight on a short
 * vector moves little. With f_h(x_j) = (x_j W_V + b_V) W_O the vector that head h takes from token
 * j:
 *
 *     norm_ij        |sum_h a_ij^h f_h(x_j)|                   from token j into token i
 *     mixed_i        |sum_(j != i) sum_h a_ij^h f_h(x_j)|      from all others
 *     preserved_i    |sum_h a_ii^h f_h(x_i) + x_i|             from itself, the residual with it
 *     mixing ratio   mixed / (mixed + preserved)
 *
 * without the residual: without the x_i. With a layer norm behind the addition, both vectors go
 * through what that is for a summand, since the norm of a sum z is linear in its summands u once
 * the deviation of z is known:
 *
 *     (u - mean(u)) / s(z_i) * gamma,     s(z) = sqrt(variance(z) + epsilon)
 *
 * (the mean is not taken away in RMS norms). The bias b_O belongs to no token and is in neither;
 * so is beta. Kobayashi, Kuribayashi, Yokoi, Inui, "Attention is Not Only a Weight", 2020, and
 * "Incorporating Residual and Normalization Layers into Analysis of Masked Language Models", 2021.
 * Trap: with the norm in front of the attention (ViT), f_h is of the normed x_j, the residual
 * is x_i itself, and there is no norm behind. */
#ifndef OMMA_FIELD_MIXING_H
#define OMMA_FIELD_MIXING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

typedef struct omma_mixing {
    const float *weights;     /* [heads, queries, keys] */
    const float *transformed; /* [heads, keys, width] f_h(x_j) */
    int64_t heads, queries, keys, width;
    bool same;             /* self-attention: query i is key i, queries = keys; else all keys are
                              others and the residual alone is preserved */
    const float *residual; /* [queries, width] x_i; NULL: without */
    /* The layer norm behind the addition: */
    const float *scale; /* [queries] 1 / s(z_i), > 0; NULL: none */
    const float *gamma; /* [width]; NULL: 1 */
    bool centred;       /* layer norm; false: RMS norm */
} omma_mixing;

/* Each may be NULL. */
typedef struct omma_mixed {
    double *norm;              /* [queries, keys]; where key j is the query itself, of the whole
                                  preserved vector */
    double *mixed, *preserved; /* [queries] */
    double *ratio;             /* [queries] 0 to 1; NaN where nothing moves at all */
} omma_mixed;

/* Norms and mixing ratios; sums in double.
 *   arena  what working memory is charged to; none of it remains.
 * Costs heads queries keys width. Returns OMMA_OK, OMMA_E_RANGE (a size below 1, a number that is
 * not finite), OMMA_E_SHAPE (same with other keys than queries) or OMMA_E_NOMEM. Thread-safe. */
omma_status omma_mixing_measure(const omma_mixed *out, const omma_mixing *m, omma_arena *arena,
                                omma_error *err);

/* The mixing ratio that weights alone would tell: 1 - mean over heads of a_ii, by token.
 *   ratio f64 [n]; weights f32 [heads, n, n], rows sum to 1. */
void omma_mixing_weights(double *ratio, const float *weights, int64_t heads, int64_t n);

#endif
