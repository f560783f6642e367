/* change.h - what each block of a model did to all tokens, in numbers: residual additions behind
 * attentions and feed-forward blocks of a run (sight.h), the tokens before and after, and how much
 * of an attention's work was mixing (mixing.h). The account of one token is the ledger's.
 *
 *     omma_changes_measure(&c, sight, picture, OMMA_CHANGES_WORK, &arena, &err)
 *     c.state[c.change[i].before], c.state[c.change[i].after]
 *
 * What cannot be found is NaN: there is no residual addition, its tokens lie in memory otherwise
 * than the attention's, a token has no place in the picture. */
#ifndef OMMA_FIELD_CHANGE_H
#define OMMA_FIELD_CHANGE_H

#include "field/sight.h"
#include "field/similarity.h"

/* All tokens of a picture at one place of the model. */
typedef struct omma_state {
    const omma_value *value;
    const omma_tokens *tokens;
    double norm;            /* the median of the tokens' L2 norms */
    omma_outliers outliers; /* by norm, of tokens with a place (of all where none has) */
    int64_t farthest;       /* of those the token whose norm is farthest above the median; */
    double z;               /* its robust z-score */
    double alike;           /* mean cosine of all pairs of tokens, -1 to 1; NaN for one token */
    double rank, most_rank; /* effective rank, centred; min(tokens, width) */
    double variance;        /* over places, mean over channels */
    double high;            /* mean Fourier log-amplitude at the highest frequency along an axis,
                               relative to frequency 0 [nats]; NaN: tokens are no grid */
} omma_state;

typedef struct omma_change {
    const char *label;
    int attention, feed_forward; /* of the anatomy; the other is -1 */
    int block;                   /* number of the layer */
    int before, after;           /* states */
    double change;               /* |x_out - x_in| / |x_in|, mean over tokens */
    double cosine;               /* of x_in and x_out, likewise */
    double cka;                  /* linear CKA of all tokens before and after */
    /* Mixing ratios, means over tokens, 0 to 1; of attentions: */
    double by_weights; /* 1 - the weight a token gives itself; NaN of cross-attention */
    double mixing;     /* norm-based */
    double residual;   /* with the residual as preserved */
    double normed;     /* and behind the layer norm that follows; NaN: none does */
} omma_change;

typedef struct omma_changes {
    omma_state *state;
    int n_state;
    omma_change *change; /* in order of the graph's nodes */
    int n_change;
    bool spared;         /* rank and CKA are left out: they would have been too much work */
    const char *missing; /* why mixing ratios are missing, the first reason; "" */
} omma_changes;

#define OMMA_CHANGES_WORK 2e10 /* multiplications that ranks and CKA may take in all */

/* Measure them all; on arena. Returns OMMA_OK, OMMA_E_USAGE (no such picture) or OMMA_E_NOMEM. */
omma_status omma_changes_measure(omma_changes *out, omma_sight *s, int64_t picture, double most,
                                 omma_arena *arena, omma_error *err);

/* Numbers of all tokens of a picture, f32 [count, width]: of v, laid out as t's own value is; on
 * arena. NULL: not kept in the run, of another shape or type (*err says so), or no memory. */
const float *omma_token_rows(const omma_sight *s, const omma_tokens *t, const omma_value *v,
                             int64_t picture, omma_arena *arena, omma_error *err);

/* --- mixing ----------------------------------------------------------------------------------- */

/* By token of the query, each [count]; NaN where there is none. */
typedef struct omma_token_mixing {
    double *by_weights, *mixing, *residual, *normed; /* as in omma_change */
    double error; /* of the parts' sum against the branch, relative to it */
} omma_token_mixing;

/* The mixing ratios of an attention: what a token gets from all others against what it has from
 * itself. f_h is the way from the values to the addition, which the graph says (way.h); two runs of
 * it, one with only own weights, one with the others', are all that is needed. Everything is on
 * arena. Returns OMMA_OK, OMMA_E_UNSUPPORTED (no residual addition was found, or the way there is
 * not affine) or OMMA_E_NOMEM. */
omma_status omma_sight_mixing(omma_token_mixing *out, omma_sight *s, int attention, int64_t picture,
                              omma_arena *arena, omma_error *err);

/* Norm-based attention: norm f64 [queries, keys] = |sum_h a_ij^h f_h(x_j)| of one window; where
 * residual, of the token itself with x_i added; where normed, behind the layer norm that follows.
 * Takes a run for each head (and more where there are more keys than queries). Returns as
 * omma_sight_mixing; OMMA_E_UNSUPPORTED too where no layer norm follows. */
omma_status omma_sight_norms(double *norm, omma_sight *s, int attention, int64_t window,
                             bool residual, bool normed, omma_arena *arena, omma_error *err);

#endif
