/* rollout.h - attention through all layers: how much of each input token is in each token at the
 * top, if attention and residual additions were all there is. With A the weights of a layer, heads
 * fused into one matrix, rows = queries:
 *
 *     M_l = alpha A_l + (1 - alpha) I, each row divided by its sum
 *     rollout   R = M_L .. M_2 M_1, the later layer on the left: shares, rows sum to 1
 *     flow      the most that can run from token i at the top to token j at the bottom through
 *               pipes of capacity M: a maximum flow, for chosen pairs
 *
 * alpha is 0.5 in the paper: attention and the residual count alike. Rows are divided by their sums
 * because heads fused by max sum to more than 1, by min to less.
 *
 * Abnar, Zuidema, "Quantifying Attention Flow in Transformers", 2020. Traps: fusing by max inflates
 * attention against the residual; neither method knows values, feed-forward layers or what the
 * model was asked. Their program divides a token's flows by their sum over the input tokens it was
 * asked for; here flows are what runs, 0 to 1. */
#ifndef OMMA_FIELD_ROLLOUT_H
#define OMMA_FIELD_ROLLOUT_H

#include <stdint.h>

#include "base/arena.h"

typedef enum omma_head_fusion {
    OMMA_HEADS_MEAN, /* the paper's */
    OMMA_HEADS_MAX,
    OMMA_HEADS_MIN,
    OMMA_HEAD_FUSIONS
} omma_head_fusion;

#define OMMA_ROLLOUT_ALPHA 0.5 /* of the paper */

/* "mean", "max", "min". */
const char *omma_head_fusion_name(omma_head_fusion f);

/* Fuse the heads of one attention.
 *   fused    f64 [queries, keys].
 *   weights  f32 [heads, queries, keys], >= 0.
 * Returns OMMA_OK or OMMA_E_RANGE (a size below 1; a weight that is negative or not finite).
 * Thread-safe, as all of this file. */
omma_status omma_heads_fuse(double *fused, const float *weights, int64_t heads, int64_t queries,
                            int64_t keys, omma_head_fusion how, omma_error *err);

/* Attention in windows, and where its tokens are in the whole sequences. */
typedef struct omma_windows {
    const float *weights; /* [windows, heads, queries, keys], >= 0 */
    int64_t windows, heads, queries, keys;
    const int64_t *query, *key; /* [windows, queries], [windows, keys]: which token of the sequence;
                                   -1: none (padding) */
    int64_t rows, columns;      /* tokens of the sequences */
} omma_windows;

/* Fuse heads, and put the windows into one matrix of all tokens: fused f64 [rows, columns], 0 where
 * no window has both. Where several have, their weights are added.
 * Returns as omma_heads_fuse; OMMA_E_RANGE too where a token is none of the sequence. */
omma_status omma_windows_fuse(double *fused, const omma_windows *w, omma_head_fusion how,
                              omma_error *err);

/* M of one layer: mixed f64 [n, n] of fused f64 [n, n] (may be the same memory). alpha: 0 to 1.
 * Returns OMMA_OK, OMMA_E_USAGE (alpha) or OMMA_E_RANGE (a negative or infinite number, a row whose
 * sum is 0). */
omma_status omma_rollout_mix(double *mixed, const double *fused, int64_t n, double alpha,
                             omma_error *err);

/* One layer more: R <- M R.
 *   rollout  f64 [n, columns], of the layers below; the identity below the first (dense.h). Other
 *            columns than n where the number of tokens changed below.
 *   fused    f64 [n, n], fused heads.
 *   arena    what working memory is charged to; none of it remains.
 * Returns as omma_rollout_mix, or OMMA_E_NOMEM. */
omma_status omma_rollout_layer(double *rollout, int64_t columns, const double *fused, int64_t n,
                               double alpha, omma_arena *arena, omma_error *err);

/* What object queries are made of: out [queries, columns] = cross-attention fused [queries, keys]
 * times the encoder's rollout [keys, columns]. Rows sum to what those of fused do. */
void omma_rollout_cross(double *out, const double *fused, int64_t queries, const double *rollout,
                        int64_t keys, int64_t columns);

/* Which flows are asked for. */
typedef struct omma_flow_ask {
    const double *const *fused; /* [layers] of f64 [n, n], fused heads, the first layer first */
    int64_t layers, n;          /* each 1 or more */
    double alpha;
    const int64_t *from; /* [n_from] tokens at the top */
    const int64_t *to;   /* [n_to] tokens at the bottom */
    int64_t n_from, n_to;
} omma_flow_ask;

/* The maximum flow of each pair, which is a problem of its own.
 *   flow   f64 [n_from, n_to], 0 to 1, never below the rollout.
 *   arena  what working memory is charged to (24 bytes layers n^2); none of it remains.
 * Errors up to some 1e-15 n. Dinic's algorithm (1970). Returns as omma_rollout_mix, OMMA_E_NOMEM or
 * OMMA_E_USAGE (a token that is none). */
omma_status omma_flow(double *flow, const omma_flow_ask *ask, omma_arena *arena, omma_error *err);

#endif
