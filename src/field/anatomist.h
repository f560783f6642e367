/* anatomist.h - what the files that look for a model's parts (anatomy.h) share: the graph with who
 * reads what, where the picture's rows and columns are, the traces of an axis. One look runs
 *
 *     anatomy.c            begins, and ends with maps and what is missing
 *     anatomy_attention.c  products around a softmax
 *     anatomy_blocks.c     residual additions, feed-forward, what is a decoder, answers
 *     anatomy_tokens.c     the tokens of an attention, its windows and heads
 *     anatomy_layout.c     where windows, heads, tokens and channels are in its values
 *
 * Everything of a search is on its own arena and goes with it; the anatomy's is on the caller's. */
#ifndef OMMA_FIELD_ANATOMIST_H
#define OMMA_FIELD_ANATOMIST_H

#include "field/anatomy.h"

/* Nodes between two products of an attention, at most. */
enum { OMMA_PATH_MAX = 24 };

typedef struct omma_anatomist {
    const omma_fov *f;
    const omma_graph *g;
    const bool *depends; /* by value index: on an input */
    omma_anatomy *out;
    omma_arena *keep; /* the caller's */
    omma_arena tmp;
    omma_error *err;
    const omma_value *image; /* NULL: no picture goes in */
    int down, across;
    int64_t pictures;
    const omma_reach *rows, *columns, *batch; /* by value index; NULL without a picture */
    const int *first, *reader;                /* nodes that read value v: reader[first[v->index]] to
                                                 reader[first[v->index + 1] - 1], in order */
    const omma_value **skip_of; /* by value index: x of the addition it is the sum of */
    int *seen, search;          /* by value index: the number of the last search that was there */
    struct omma_attention_path *path; /* by attention */
} omma_anatomist;

/* A product of two operands: which axis of its output each axis of an operand is; -1: it is summed
 * over. */
typedef struct omma_product {
    const omma_node *n;
    int at[2][OMMA_MAX_RANK];
} omma_product;

/* How an attention's scores come from one product to the other, kept while it is looked at. */
typedef struct omma_attention_path {
    omma_product first, second;
    int q, w;                             /* which operand of first is q, of second the weights */
    int row_axis, key_axis;               /* of first's output */
    const omma_node *node[OMMA_PATH_MAX]; /* from first on, to second, which is left out */
    int in[OMMA_PATH_MAX];                /* which input of it the scores are */
    int n, softmax;                       /* how many there are; where the softmax is */
    int64_t share_rows; /* heads whose queries stand among the rows of one product, behind each
                           other: heads that share keys */
    bool heads_outside; /* windows are counted inside heads: [heads, windows, ..] */
} omma_attention_path;

static inline omma_status omma_anatomist_nomem(const omma_anatomist *s) {
    return omma_fail(s->err, OMMA_E_NOMEM, "no memory for the parts of a model");
}

/* --- the graph (anatomy_graph.c) ----------------------------------------------------------- */

/* Readers; skip_of. False: no memory. */
bool omma_anatomist_read(omma_anatomist *s);

/* Is n a product of two operands of rank 2 or more, each index once? */
bool omma_product_of(omma_product *p, const omma_node *n);

/* Does every element of the result come from one of input i, at its place or moved? Scalings,
 * masks, caps and moves between the products of an attention do. */
bool omma_keeps_elements(const omma_node *n);

/* Which axis a softmax is taken along; -1: along several. */
int omma_softmax_axis(const omma_node *n);

/* A digit on its way through nodes that keep elements. Most keep their order too, under whatever
 * dims: it stays a digit of the value where it was last moved. */
typedef struct omma_moving {
    const omma_value *of;
    omma_digit g;
} omma_moving;
omma_moving omma_moving_axis(const omma_value *v, int axis);

/* Through n, whose input i it is of; false: it does not go on. A softmax is passed. */
bool omma_moving_pass(const omma_anatomist *s, omma_moving *m, const omma_node *n, int i);

/* The digit of v that it has become; false: it is on no one axis of v. */
bool omma_moving_at(const omma_moving *m, const omma_value *v, omma_digit *g);

/* Is it all of an axis of v? Which one; -1: it is not. */
int omma_moving_whole(const omma_moving *m, const omma_value *v);

/* The elements from one index of a digit to the next. */
int64_t omma_digit_step(const omma_value *v, const omma_digit *g);

/* Mark the nodes that lie between from and to, which are included as far as they write: a bool by
 * node index of tmp; NULL: no memory. *leads: does from lead to `to`? */
bool *omma_nodes_between(omma_anatomist *s, omma_arena *tmp, const omma_value *from,
                         const omma_value *to, bool *leads);

/* The input that v's numbers, token by token, are made from: through moves, projections, norms,
 * activations. NULL: there is no such one. */
const omma_value *omma_value_before(const omma_anatomist *s, const omma_value *v);

/* Where the tokens of a stream come from, back along the residual additions. */
typedef enum omma_origin {
    OMMA_ORIGIN_PLACE,    /* the picture, or anything else that has an order of its own */
    OMMA_ORIGIN_CONSTANT, /* they are learned */
    OMMA_ORIGIN_CHOSEN    /* by their numbers, from others */
} omma_origin;
omma_origin omma_origin_of(const omma_anatomist *s, const omma_value *v);

/* --- traces (anatomy_trace.c) -------------------------------------------------------------- */

/* From which index of an axis of `from` the elements of one or two other values are made. */
typedef struct omma_trace {
    omma_anatomist *s;
    omma_arena arena;
    const omma_value *from, *to[2];
    int n;
    bool *on; /* by node index */
} omma_trace;

/* Begin one; free it in any case. */
omma_status omma_trace_begin(omma_trace *t, omma_anatomist *s, const omma_value *from,
                             const omma_value *const *to, int n);
void omma_trace_free(omma_trace *t);

/* What came out for one of the values: the index by element, -1 where it is made from none; NULL if
 * an element is made from several. On t's arena. */
typedef struct omma_traced {
    const int32_t *index;
    bool any; /* is one of its elements made from it at all? */
} omma_traced;
omma_status omma_trace_axis(omma_trace *t, int axis, omma_traced out[2]);

/* Is all of the target (the first) made from the axis, and each element from a part of it only, as
 * behind a convolution? */
omma_status omma_trace_local(omma_trace *t, int axis, bool *local);

/* --- attention (anatomy_attention.c, anatomy_tokens.c, anatomy_layout.c) ------------------- */

/* Every softmax between two products, with its path; sizes, labels and tokens are not known yet. */
omma_status omma_anatomist_attentions(omma_anatomist *s);

/* The tokens of attention k, its kind, windows and heads. *found: it mixes tokens, and they were
 * found out. */
omma_status omma_anatomist_tokens(omma_anatomist *s, int k, bool *found);

/* The layouts of its values; false: its heads are counted in no even steps. */
bool omma_anatomist_layout(const omma_anatomist *s, int k);

/* A sequence: axes of v (bits) that count tokens, the one that counts pictures or -1. False: no
 * neighbouring axes. */
bool omma_tokens_of(const omma_anatomist *s, omma_tokens *t, const omma_value *v, unsigned axes,
                    int batch);

/* Places of tokens whose value has lost them (cut into windows for good, say), from the last value
 * back along the residual stream that has them; it stays without if there is none. */
omma_status omma_tokens_follow(omma_anatomist *s, omma_tokens *t);

/* Which axis of v counts pictures; -1: none. */
int omma_batch_axis(const omma_anatomist *s, const omma_value *v);

/* --- blocks (anatomy_blocks.c, anatomy_answers.c) ------------------------------------------ */

/* The residual addition behind `from`, whose x one of the values q[0..n) is made from. */
typedef struct omma_residual {
    const omma_node *addition;
    int skip;
} omma_residual;
omma_status omma_residual_behind(omma_anatomist *s, omma_residual *r, const omma_node *from,
                                 const omma_value *const *q, int n);

omma_status omma_anatomist_samplings(omma_anatomist *s);
omma_status omma_anatomist_feed_forwards(omma_anatomist *s);

/* Layers, decoders, object queries, answers. */
omma_status omma_anatomist_answers(omma_anatomist *s);

#endif
