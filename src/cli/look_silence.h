/* look_silence.h - what happens to a token and to the answers when something is silenced, for a
 * report: a few runs of the model each (field/causal.h), in which the token sees itself alone, or
 * what is near it, or in which one of its sources is seen by nobody. Silence is in every block over
 * the same tokens at once. */
#ifndef OMMA_CLI_LOOK_SILENCE_H
#define OMMA_CLI_LOOK_SILENCE_H

#include "cli/look_job.h"
#include "field/causal.h"

/* Runs for one token: itself alone, within a radius, and sources. */
enum { OMMA_LOOK_SOURCES = 4, OMMA_LOOK_CUTS = 2 + OMMA_LOOK_SOURCES };

typedef struct omma_look_silence {
    double radius;             /* [px]: of CUT_FAR; NAN: the token has no place, or sees none */
    int n;                     /* runs made, at most OMMA_LOOK_CUTS */
    omma_report_silenced *cut; /* [block][n], blocks being the attentions and then the feed-forward
                                  blocks; of blocks over other tokens change is NAN */
} omma_look_silence;

/* Make them, on j->arena.
 *   c         of j->sight; what is shut in it is cleared
 *   sequence  tokens part of the report, in which token is
 *   source    n of them, in the order in which they are tried
 *   most      runs to make
 * A run that shuts nothing is not made. Returns as omma_causal_run, or OMMA_E_NOMEM. */
omma_status omma_look_silence_token(omma_look_silence *out, omma_look_job *j, omma_causal *c,
                                    int sequence, int64_t token, const int64_t *source, int n,
                                    int most, omma_error *err);

/* One run in which every token of a sequence sees itself alone: what it did to the answers. None
 * where the sequence has no attention that can be shut. Returns as above. */
omma_status omma_look_silence_every(omma_report_effect **out, int *n, omma_look_job *j,
                                    omma_causal *c, int sequence, omma_error *err);

/* What the last run of c did to the answers, on j->arena: detections, classes or
 * text, as the model's outputs are, or how like outputs are to what they were; and to a query's own
 * class (query; -1: none). */
omma_status omma_look_effects(omma_report_effect **out, int *n, omma_look_job *j,
                              const omma_causal *c, int64_t query, omma_error *err);

#endif
