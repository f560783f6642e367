/* anatomy.h - the parts of a model, found in its graph without being told: tokens and where each
 * lies in the picture, attention with its heads, residual additions, feed-forward blocks, object
 * queries. Found on the specialised graph of an omma_fov, where operators that stand for attention
 * have given way to products and softmax, so one pattern is all there is:
 *
 *     scores = Q K^T (scaled, masked)      a product of two values that both depend on the data,
 *     weights = Softmax(scores)            or on constants (queries that are learned),
 *     mix = weights V                      with moves (reshapes, transposes, slices) between
 *     branch = the affine way from mix to the addition (heads joined, output projection)
 *     y = x + branch                       the residual addition
 *
 * What is not found is not there: callers say so to the user. */
#ifndef OMMA_FIELD_ANATOMY_H
#define OMMA_FIELD_ANATOMY_H

#include "field/fov.h"

/* A sequence of tokens: which axis of a value counts them, and where each lies in the picture. */
typedef struct omma_tokens {
    const omma_value *value; /* [.., count, width], or width in front of count */
    int axis;                /* that counts them */
    int64_t count;
    bool placed;              /* do (some of) them have a place in the picture? then */
    omma_digit rows, columns; /* where in the count (reach.h; axis as above) */
    int64_t special;          /* tokens in front that have no place: class, distill, registers */
    double jump_y, jump_x, first_y, first_x; /* centres of the places [px] */
} omma_tokens;

typedef enum omma_attention_kind {
    OMMA_ATTENTION_SELF, /* queries and keys are made from the same tokens */
    OMMA_ATTENTION_CROSS /* from different ones */
} omma_attention_kind;

/* One attention: weights [batch.., heads, queries, keys] under some shape. */
typedef struct omma_attention {
    char label[96];
    omma_attention_kind kind;
    const omma_node *softmax;
    const omma_value *q, *k, *v; /* inputs of the two products, heads apart */
    const omma_value *scores;    /* in front of the softmax, masks added */
    const omma_value *weights;   /* behind it */
    const omma_node *product;    /* weights V */
    const omma_value *mix;       /* its output */
    int64_t windows, heads;      /* weights are [windows, heads, queries, keys] in row-major
                                    order whatever their rank; windows 1: none */
    int64_t queries, keys;       /* of one window */
    omma_tokens query, key;      /* the sequences the whole attention runs over (windowed: before
                                    they were cut into windows; count = all tokens) */
    const omma_node *addition;   /* the residual addition behind it; NULL: none was found */
    int skip;                    /* which input of the addition is x */
    const omma_value *in, *branch, *out; /* x, the other input, the sum; NULL without addition */
    int block;                           /* number of the layer among the model's attentions */
    bool decoder;                        /* its queries are object queries */
} omma_attention;

/* A residual addition whose branch has no attention in it and mixes no tokens: feed-forward. */
typedef struct omma_feed_forward {
    char label[96];
    const omma_node *addition;
    int skip;
    const omma_value *in, *branch, *out;
    int after; /* the attention it follows, -1: none */
} omma_feed_forward;

/* GridSample or deformable convolution: reads at places the data choose. */
typedef struct omma_sampling {
    char label[96];
    const omma_node *node;
    const omma_value *map;   /* that is read */
    const omma_value *where; /* grid or offsets */
} omma_sampling;

/* Outputs that have one entry for each object query: classes or boxes. */
typedef struct omma_answer {
    const omma_value *value; /* [.., queries, width] */
    int axis;
    bool boxes; /* width 4: cx, cy, w, h or corners; else scores */
} omma_answer;

typedef struct omma_anatomy {
    omma_attention *attention;
    int n_attention;
    omma_feed_forward *feed_forward;
    int n_feed_forward;
    omma_sampling *sampling;
    int n_sampling;
    omma_answer *answer;
    int n_answer;
    const omma_value **map; /* feature maps: the last of each stage */
    int n_map;
    int64_t object_queries; /* 0: none */
    const char *missing;    /* what was looked for and not found, sentences for people; "" */
} omma_anatomy;

/* Look at f's graph; everything is on arena, and refers to f, which outlives it. Returns OMMA_OK or
 * OMMA_E_NOMEM: a model without any of it is no error. */
omma_status omma_anatomy_find(omma_anatomy *out, const omma_fov *f, omma_arena *arena,
                              omma_error *err);

/* Token t of a sequence in the picture: its centre [px]; false: it has none. */
bool omma_tokens_place(const omma_tokens *t, int64_t token, double *y, double *x);

/* The token number that query (key) q of window w is, in the whole sequence; -1: none (padding).
 * For attention without windows: q itself. */
int64_t omma_attention_token(const omma_attention *a, const omma_fov *f, bool key, int64_t window,
                             int64_t q);

#endif
