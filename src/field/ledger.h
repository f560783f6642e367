/* ledger.h - how global context changed a token: an exact account. Behind a residual addition
 *
 *     x_out = x_in + sum over sources j of c_j + b
 *     c_j   = sum over heads h of alpha_ij^h f_h(x_j)     what source j gave
 *
 * f_h is the affine way from the values to the addition, which the graph itself says: nodes between
 * the product with the attention's weights and the addition are run on one source at a time, so no
 * layout of heads and no projection need be known. Behind feed-forward blocks
 * x_out = x_in + mlp(x_in). Shares are projections on x_out, share(p) = <p, x_out> / |x_out|^2, so
 * they add up to 1; a part may have a negative one. */
#ifndef OMMA_FIELD_LEDGER_H
#define OMMA_FIELD_LEDGER_H

#include "field/sight.h"

/* One part of the sum. */
typedef struct omma_entry {
    int64_t token; /* the source's number among the keys; -1: none (bias) */
    double share;  /* of x_out */
    double norm;   /* of the part itself */
    double weight; /* the mean of the attention's weights over heads */
    double far;    /* from the token [px]; -1: one of the two has no place */
} omma_entry;

typedef struct omma_ledger {
    int64_t token, sources; /* the token looked at; how many sources it can have */
    int64_t width;
    double norm_in, norm_out, norm_change; /* |x_in|, |x_out|, |x_out - x_in| */
    double cosine;                         /* of x_in and x_out */
    double kept, own, context, bias; /* shares of x_in, of what the token gave itself, of what all
                                        others gave, of b */
    omma_entry *entry;               /* sources, largest norm first; on the arena */
    double error;                    /* |x_in + parts - x_out| / |x_out| as the run has it */
} omma_ledger;

/* The account of token `token` at attention a of s. Sources are keys of its window, in whole-
 * sequence numbers. Returns OMMA_OK, OMMA_E_RANGE (no such token), OMMA_E_UNSUPPORTED (no residual
 * addition was found behind it; the way there is not affine: the parts do not add up) or
 * OMMA_E_NOMEM. */
omma_status omma_ledger_attention(omma_ledger *out, const omma_sight *s, const omma_attention *a,
                                  int64_t token, omma_arena *arena, omma_error *err);

/* The account at a feed-forward block: entry has one, what the block made; own is its share. */
omma_status omma_ledger_feed_forward(omma_ledger *out, const omma_sight *s,
                                     const omma_feed_forward *f, int64_t token, omma_arena *arena,
                                     omma_error *err);

/* The share of sources farther than d px, of out->context's entries. */
double omma_ledger_beyond(const omma_ledger *l, double d);

#endif
