/* attention_stats.h - where attention looks, in numbers: how far, how broadly, and how much of it
 * at itself, at the class token and at registers. Always in one of two directions, which answer
 * different questions:
 *
 *     looks at           a row of the weights: what query i takes from each key
 *     is looked at by    a column: what each query takes from key j
 *
 * The other end of a line is called a partner. Weights are as they lie in tensors, behind the
 * softmax; sums are made in double. With p the places of tokens [px], a the weights:
 *
 *     distance      sum_j a_ij |p_i - p_j| / sum_j a_ij, over partners that have a place: tokens
 *                   without one (class, registers) are left out and the row renormalised
 *     raw distance  the same, not renormalised: what goes to tokens without a place counts as 0
 *     uniform       what distance would be if all weights were the same
 *     ratio         distance / uniform
 *     entropy       -sum_j p_j ln p_j, p = a / sum a, over all partners [nats]; at most ln of their
 *                   number (the ceiling)
 *
 * Distance: Dosovitskiy et al. 2021, figure 7; Raghu et al., "Do Vision Transformers See Like
 * Convolutional Neural Networks?", 2021. Traps: raw distances of models with and without a class
 * token cannot be compared; distances of another size of picture cannot, ratios can. */
#ifndef OMMA_FIELD_ATTENTION_STATS_H
#define OMMA_FIELD_ATTENTION_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

typedef enum omma_token_kind {
    OMMA_TOKEN_PLACED,   /* lies in the picture */
    OMMA_TOKEN_CLASS,    /* the class token; a distillation token, if the caller wants */
    OMMA_TOKEN_REGISTER, /* registers (Darcet et al. 2024) */
    OMMA_TOKEN_OTHER,    /* has no place for another reason: queries of objects, words */
    OMMA_TOKEN_PADDING,  /* is no token: fills a window up, or a batch */
    OMMA_TOKEN_KINDS
} omma_token_kind;

/* The tokens at one end, window by window: arrays are [windows, count], where the count is that of
 * queries or of keys. */
typedef struct omma_places {
    const double *y, *x; /* centres [px]; read for placed tokens only; NULL: none has a place */
    const uint8_t *kind; /* omma_token_kind; NULL: all are placed, or other where y is NULL */
} omma_places;

/* The kinds of a sequence that begins with `classes` class tokens, then `registers` registers; the
 * rest, up to count, is placed. */
void omma_token_kinds(uint8_t *kind, int64_t count, int64_t classes, int64_t registers);

typedef struct omma_attention_weights {
    const float *weights; /* [windows, heads, queries, keys], >= 0 */
    int64_t windows, heads, queries, keys;
    omma_places query, key;
    bool same;              /* self-attention: query i and key i of a window are one token */
    const uint8_t *allowed; /* [windows, queries, keys]: 0 where a mask blocks, which narrows what
                               uniform and ceiling are of; NULL: everything is allowed */
} omma_attention_weights;

typedef enum omma_direction { OMMA_LOOKS_AT, OMMA_LOOKED_AT_BY } omma_direction;

/* "looks at", "is looked at by". */
const char *omma_direction_name(omma_direction d);

/* Measures of one line, or their means over lines. NaN: there is none. */
typedef struct omma_look {
    double mass;         /* the sum of the weights. A row: 1 behind a softmax (less, if padding got
                            some). A column: how much it is looked at, queries / keys on average */
    double distance;     /* [px]; NaN: it has no place, or nothing of it goes to a place */
    double distance_raw; /* [px] */
    double uniform;      /* [px]; NaN where distance is */
    double ratio;        /* distance / uniform; of means: the ratio of the means */
    double entropy;      /* [nats]; NaN where mass is 0 */
    double ceiling;      /* [nats] */
    double self;         /* weight between the token and itself; NaN: not self-attention */
    double on_class, on_registers; /* sums of weights; 0 where there are no such tokens */
    int64_t lines, placed;         /* lines the means are over, and of them those with a distance */
} omma_look;

/* Measure one line: query (looks at) or key (is looked at by) `at` of a window.
 * Padding is no partner. Returns OMMA_OK, OMMA_E_USAGE (no such line) or OMMA_E_RANGE (a weight
 * that is negative or not finite, a placed token whose place is not finite). Thread-safe. */
omma_status omma_look_token(omma_look *out, const omma_attention_weights *w, omma_direction d,
                            int64_t window, int64_t head, int64_t at, omma_error *err);

/* The means over all lines of a head, padding left out; distance, ratio: over those that have one.
 * Returns as omma_look_token. */
omma_status omma_look_head(omma_look *out, const omma_attention_weights *w, omma_direction d,
                           int64_t head, omma_error *err);

/* The uniform baseline of n places: the mean of |p_i - p_j| over all pairs, i = j among them [px].
 */
double omma_uniform_distance(const double *y, const double *x, int64_t n);

#endif
