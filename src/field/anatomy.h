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
 * What counts tokens, windows and heads is not told by shapes but by what depends on what: an axis
 * of x along which each query depends on one place counts tokens, and weights of one window's heads
 * are those whose queries are made from the same tokens. An attention that depends on no input is a
 * constant of the specialised graph, and no part of it any more: the first self-attention of
 * learned object queries, for one.
 *
 * What is not found is not there: callers say so to the user. */
#ifndef OMMA_FIELD_ANATOMY_H
#define OMMA_FIELD_ANATOMY_H

#include "field/fov.h"

/* A sequence of tokens: which axis of a value counts them, and where each lies in the picture.
 * Channel c of token t of picture b is element b * step_batch + t * step + c * step_width. */
typedef struct omma_tokens {
    const omma_value *value; /* [.., count, width], or width in front of count */
    int axis;                /* that counts them, or the first of */
    int axes;                /* so many neighbouring axes: 2 for [N,H,W,C] and [N,C,H,W] */
    int64_t count;           /* of one picture */
    int64_t width, batch;    /* channels of a token; pictures */
    int64_t step, step_width, step_batch;    /* [elements] */
    bool placed;                             /* do (some of) them have a place in the picture? */
    const int32_t *place;                    /* by token: the number of its place, -1: it has none;
                                                NULL: the token's own number is it */
    omma_digit rows, columns;                /* digits of that number (reach.h), axis as above */
    int64_t special;                         /* tokens in front that have no place: class, distill,
                                                registers */
    int64_t behind;                          /* and behind those that have one */
    double jump_y, jump_x, first_y, first_x; /* centres of the places [px] */
} omma_tokens;

typedef enum omma_attention_kind {
    OMMA_ATTENTION_SELF, /* queries and keys are made from the same tokens */
    OMMA_ATTENTION_CROSS /* from different ones */
} omma_attention_kind;

/* Where the numbers of a window's head are in a value: element
 *     window * w + head * (h / share) + row * r + column * c                [elements]
 * Rows are queries (q, weights, mix) or keys (k, v), columns channels, or keys (weights). share
 * is 1, but for k and v of heads that share them; a step is 0 where all have the same. */
typedef struct omma_heads_layout {
    int64_t window, head, share, row, column;
} omma_heads_layout;

/* One attention: weights [windows, heads, queries, keys] under some shape, nearly always row-major
 * (omma_attention_row_major). */
typedef struct omma_attention {
    char label[96];
    omma_attention_kind kind;
    const omma_node *softmax;
    const omma_node *first;      /* the product of q and k */
    const omma_value *q, *k, *v; /* inputs of the two products, heads apart */
    const omma_value *scores;    /* in front of the softmax, masks added */
    const omma_value *weights;   /* behind it */
    const omma_node *product;    /* weights V */
    const omma_value *mix;       /* its output */
    int64_t windows, heads;      /* windows of all pictures, picture by picture; as many as there
                                    are pictures: none */
    int64_t batch;               /* pictures */
    int64_t queries, keys;       /* of one window */
    int64_t width, mix_width;    /* channels of a head: of q and k, of v and mix */
    omma_heads_layout at_q, at_k, at_v, at_scores, at_weights, at_mix;
    omma_tokens query, key; /* the sequences the whole attention runs over (windowed: before
                               they were cut into windows; count = all tokens) */
    const int32_t *query_token, *key_token; /* omma_attention_token reads them; NULL: in order */
    const omma_node *addition;              /* the residual addition behind it; NULL: none found */
    int skip;                               /* which input of the addition is x */
    const omma_value *in, *branch, *out;    /* x, the other input, the sum; NULL without addition */
    int block;    /* number of the layer it is in: attentions without a feed-forward block between
                     them, as in a decoder, are of one */
    bool decoder; /* its queries are object queries */
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
    const omma_value *map;               /* that is read */
    const omma_value *where;             /* grid or offsets */
    const omma_node *addition;           /* as for an attention: of deformable attention */
    int skip;                            /* its x */
    const omma_value *in, *branch, *out; /* NULL without addition */
} omma_sampling;

/* Values that have one entry for each object query: classes or boxes. They are outputs; where no
 * output has (entries are chosen among all queries' first), the last values in front of that. */
typedef struct omma_answer {
    const omma_value *value; /* [.., queries], with nothing, a width or rows and columns behind */
    int axis;
    bool boxes; /* width 4: cx, cy, w, h or corners */
    bool masks; /* rows and columns; neither: scores */
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
    const omma_value **map; /* feature maps: the last of each stage; where a stage has attention
                               also the last in front of it */
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

/* The token number that query (key) q of window w is, in the whole sequence of its picture; -1:
 * none (padding). For attention without windows: q itself. */
int64_t omma_attention_token(const omma_attention *a, const omma_fov *f, bool key, int64_t window,
                             int64_t q);

/* Do token numbers mean the same at both ends? Not in cross-attention, and not in self-attention
 * whose keys are made from several of the tokens each, as behind a convolution. */
static inline bool omma_attention_same_tokens(const omma_attention *a) {
    return a->kind == OMMA_ATTENTION_SELF && a->key.value == a->query.value &&
           a->key.axis == a->query.axis && a->key.count == a->query.count;
}

/* The element of a value that a layout finds. */
static inline int64_t omma_heads_at(const omma_heads_layout *l, int64_t window, int64_t head,
                                    int64_t row, int64_t column) {
    return window * l->window + head / l->share * l->head + row * l->row + column * l->column;
}

/* Are the weights (and scores) [windows, heads, queries, keys] in row-major order? */
bool omma_attention_row_major(const omma_attention *a);

#endif
