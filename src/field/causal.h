/* causal.h - the run repeated with tokens shut off: a token from all others, from everything beyond
 * a radius, from one source; a source from everybody. What the ledger (ledger.h) only accounts for
 * is taken away here, and the model computes on: the difference is what that context did, to
 * features and to answers.
 *
 *     omma_causal_new(&c, sight, inputs, NULL, &err)
 *     omma_causal_shut(c, &(omma_shut){.attention = 0, .token = &t, .n_token = 1}, &err)
 *     omma_causal_run(c, &err)
 *     omma_causal_token_change(&d, c, a->attention[11].out, &a->attention[11].query, t)
 *     omma_causal_clear(c)                                          ... and the next question
 *
 * Where a query shall not look, -inf is added to its scores: what is left shares the attention, as
 * if the other keys were not there. Rows of other queries stay as they are, but the tokens that
 * they look at may have changed a block before. In self-attention a token always sees itself, if
 * it is a key (omma_attention_same_tokens). A query that has lost all its keys takes nothing: its
 * heads' mix is 0, and the output projection's bias is all that is added to it.
 *
 * Only attention is shut. Tokens that mix otherwise (convolutions between them, windows that are
 * merged, statistics over all of them) still do, and what was mixed before the first attention is.
 *
 * Only what comes behind the first attention is run again. The full run, with nothing shut, is made
 * once by the same graph: changes are of the two runs, and exactly 0 where nothing changed. It is
 * the sight's run but for the rounding of attention, which kernels may compute in another order
 * where there is one mask more; where there is the same kernel, it is that to the bit. */
#ifndef OMMA_FIELD_CAUSAL_H
#define OMMA_FIELD_CAUSAL_H

#include "field/sight.h"

typedef struct omma_causal omma_causal;

/* For the model of a sight, which outlives it.
 *   inputs  those of the sight, read during the call only
 *   opt     may be NULL
 * Returns as omma_session_run; OMMA_E_UNSUPPORTED (no attention that can be shut was found) or
 * OMMA_E_NOMEM. */
omma_status omma_causal_new(omma_causal **out, const omma_sight *s, const omma_tensor *inputs,
                            const omma_options *opt, omma_error *err);
void omma_causal_free(omma_causal *c);

/* Who shall not look at whom. {.attention = a} shuts off all tokens from all others. */
typedef struct omma_shut {
    int attention;        /* its tokens are what numbers mean */
    bool here;            /* in this attention; else in all over the same tokens, that is: for some
                             queries all of its kind with the same queries and keys, for all queries
                             all with the same keys (cross-attention too) */
    const int64_t *token; /* n_token queries; NULL: all. Of every picture */
    int n_token;
    const int64_t *source; /* n_source keys that they shall not look at; NULL: all */
    int n_source;
    double radius; /* above 0: keys no farther than this from the query stay [px]; those
                      without a place do not */
} omma_shut;

/* Shut, beside what is shut already. *pairs (may be NULL) receives how many pairs of a query and a
 * key this met, over windows, pictures and attentions: 0 where they never look at each other.
 * Returns OMMA_OK, OMMA_E_RANGE (no such attention or token) or OMMA_E_NOMEM. */
omma_status omma_causal_shut(omma_causal *c, const omma_shut *what, int64_t *pairs,
                             omma_error *err);

/* Nothing is shut off. */
void omma_causal_clear(omma_causal *c);

/* Can attention a be shut? Not one in a part of the graph that only a run makes. */
bool omma_causal_can(const omma_causal *c, int attention);

/* Run with what is shut. Returns as omma_session_run. */
omma_status omma_causal_run(omma_causal *c, omma_error *err);

/* Of the last run (full: of that with nothing shut) output i of the model, and what a value was
 * that an attention, a feed-forward block or a sampling ends with (its out), or that is an answer.
 * NULL: there is none. */
const omma_tensor *omma_causal_output(const omma_causal *c, int i, bool full);
const omma_tensor *omma_causal_tensor(const omma_causal *c, const omma_value *v, bool full);

/* How far numbers of the last run are from those of the full one. */
typedef struct omma_causal_change {
    double full, now; /* lengths of the vectors */
    double change;    /* |now - full| / |full|; NAN: full is 0 */
    double cosine;    /* of the two; NAN: one is 0 */
    double largest;   /* of the differences, at element `at` */
    int64_t at;
} omma_causal_change;

/* Of token `token` of the first picture; t: the tokens of the attention whose out (or whose
 * feed-forward block's) v is. False: v is not kept, its tokens do not lie as t's, or there is no
 * such token. */
bool omma_causal_token_change(omma_causal_change *out, const omma_causal *c, const omma_value *v,
                              const omma_tokens *t, int64_t token);

/* moved: [t->count] the change of each token. False as above. */
bool omma_causal_moved(float *moved, const omma_causal *c, const omma_value *v,
                       const omma_tokens *t);

/* Of a whole output. False: there is none, or it has another size than before. */
bool omma_causal_output_change(omma_causal_change *out, const omma_causal *c, int i);

#endif
