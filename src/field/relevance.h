/* relevance.h - relevance through attention for one target (the logit of a class, an edge of a
 * box): which input tokens the target rests on, as attention weights and the target's gradients by
 * them tell. With A the weights of an attention, grad A the gradient of the target by them:
 *
 *     A'   = mean over heads of max(grad A * A, 0)           element by element
 *     self-attention of tokens s, anything t that is kept about them:
 *            R_ss <- R_ss + A' R_ss,   R_st <- R_st + A' R_st
 *     cross-attention of queries q to image tokens i:
 *            R_qi <- R_qi + N(R_qq)^T A' N(R_ii)
 *     N(R) = I + (R - I), the latter divided by the sums of its rows
 *
 * from the first layer to the last, beginning with R_ii = I, R_qq = I, R_qi = 0. For an encoder and
 * a decoder like DETR's: all the encoder's layers into R_ii; then for each decoder layer its
 * self-attention into R_qq and R_qi, its cross-attention into R_qi. The row of R_qi of the
 * object's query, or of R_ss of the class token, is the answer.
 *
 * Chefer, Gur, Wolf, "Generic Attention-model Explainability for Interpreting Bi-Modal and
 * Encoder-Decoder Transformers", 2021, rules 5 to 10. Traps: where a row of R - I is all zero (no
 * gradient came there), its normal form would be 0 / 0: here it stays zero, so N(I) = I; their
 * program lets that become NaN, and afterwards 0, over whole rows and columns of R_qi. The gradient
 * is by the weights behind the softmax. The transpose of N(R_qq) is theirs: query q gets what
 * queries that look at q take from the picture. */
#ifndef OMMA_FIELD_RELEVANCE_H
#define OMMA_FIELD_RELEVANCE_H

#include <stdint.h>

#include "base/arena.h"

/* A' of one attention.
 *   out       f64 [queries, keys], >= 0.
 *   weights   f32 [heads, queries, keys].
 *   gradient  f32 [heads, queries, keys], of the target by the weights.
 * Returns OMMA_OK or OMMA_E_RANGE (a size below 1, a number that is not finite). Thread-safe, as
 * all of this file. */
omma_status omma_relevance_weights(double *out, const float *weights, const float *gradient,
                                   int64_t heads, int64_t queries, int64_t keys, omma_error *err);

/* R_st <- R_st + A' R_st: with columns = n for R_ss, others for R_st.
 *   r      f64 [n, columns].
 *   a      f64 [n, n], A'.
 *   arena  what working memory is charged to; none of it remains (as below).
 * Returns OMMA_OK, OMMA_E_RANGE (a size below 1) or OMMA_E_NOMEM. */
omma_status omma_relevance_self(double *r, int64_t columns, const double *a, int64_t n,
                                omma_arena *arena, omma_error *err);

/* R_qi <- R_qi + N(R_qq)^T A' N(R_ii).
 *   r_qi  f64 [queries, keys].
 *   a     f64 [queries, keys], A'.
 *   r_qq  f64 [queries, queries]; r_ii: f64 [keys, keys].
 * Returns as omma_relevance_self. */
omma_status omma_relevance_cross(double *r_qi, const double *a, const double *r_qq,
                                 const double *r_ii, int64_t queries, int64_t keys,
                                 omma_arena *arena, omma_error *err);

/* N(R): out f64 [n, n] of r f64 [n, n], may be the same memory. */
void omma_relevance_normal(double *out, const double *r, int64_t n);

#endif
