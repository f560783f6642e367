/* field.h - which elements of its inputs each element of a node's outputs is made from. A room's
 * field says so with relations, one for every way from an input to an output; the reading
 * (field/) carries sets along them, backward and forward.
 *
 * A relation lets every axis of the input be reached from at most one axis of the output: the
 * element o of the output is made from the product, over the input's axes a, of the indices that
 * axis a's map gives for o's index on map.from. Convolution, say, y: [N,M,H,W] of x: [N,C,H,W]:
 *
 *     axis 0   from 0   the same index
 *     axis 1   from -1  all channels (or the group's, from 1)
 *     axis 2   from 2   o*stride - pad + t*dilation, 0 <= t < kernel, where that lies inside
 *     axis 3   from 3   the same for the columns
 *
 * Where axes are cut or joined on the way (reshape, depth to space, indices in several axes), the
 * relation holds between views: the output and the input under other dims of as many elements.
 * What no product of maps can say is told by several relations (their union), by a map that is a
 * list, or by masks of elements.
 *
 * The convention: a relation is not made narrower by the numbers weights happen to have. It is by
 * constants that are no weights: indices, shapes, masks. */
#ifndef OMMA_OP_FIELD_H
#define OMMA_OP_FIELD_H

#include "op/op.h"

/* What an input does for an output. */
typedef enum omma_path {
    OMMA_PATH_VALUE,     /* its numbers become the output's */
    OMMA_PATH_STATISTIC, /* means, variances, gates: left out of the content field */
    OMMA_PATH_CONTROL    /* it decides which elements are read: offsets, indices, conditions */
} omma_path;

/* From an index o of axis `from` of the output to indices of an axis of the input:
 *     (o / div) * stride + first + t * dilation   for 0 <= t < count, where they lie inside,
 * or, with a list, item[start[o]] to item[start[o + 1] - 1]. from -1: first + t * dilation
 * whatever o. */
typedef struct omma_map {
    int from;
    int64_t div, stride, first, dilation, count;
    const int32_t *start, *item; /* NULL: no list */
    /* of a list that is nearly a window: indices lie in [slope*o + low, slope*o + high] if the
     * input had no ends; slope 0: it is none */
    double slope, low, high;
} omma_map;

typedef struct omma_relation {
    int out, in; /* numbers of the output and the input */
    omma_path path;
    int out_rank, in_rank; /* of the views, at first the values' own */
    int64_t out_dims[OMMA_MAX_RANK], in_dims[OMMA_MAX_RANK];
    omma_map axis[OMMA_MAX_RANK]; /* by axis of the input's view; at first: all, whatever o */
    /* sets of elements as bits, row-major, 64 a word, lowest first; NULL: all. Others on the
     * output's side are made from nothing, others on the input's side are not read. */
    const uint64_t *out_only, *in_only;
    bool data;  /* true for the numbers at hand only */
    bool bound; /* a superset of what is true */
} omma_relation;

struct omma_field {
    omma_build *b; /* arena and error */
    const omma_node *n;
    omma_status status;
    omma_relation **relation; /* of n */
    int count, cap;
    /* What the reading knows of values (omma_field_numbers, omma_field_dead, omma_field_zero). */
    const void *(*numbers)(const omma_field *f, const omma_value *v);
    const uint64_t *(*dead)(const omma_field *f, const omma_value *v, bool zero);
    void *reader;
};

/* A new relation from input i to output k of the node at work: every element of the output is made
 * from every element of the input. NULL when the input or the output is absent or has no
 * elements, when the input is a constant (nothing is behind it), or on failure (f->status). */
omma_relation *omma_field_relate(omma_field *f, int k, int i);

/* Input axis `axis` has the same index as output axis `from`. */
void omma_relation_same(omma_relation *r, int axis, int from);

/* Maps to put into r->axis. */
omma_map omma_map_all(int64_t count);                             /* whatever o, [0, count) */
omma_map omma_map_same(int from);                                 /* o */
omma_map omma_map_moved(int from, int64_t first, int64_t stride); /* o * stride + first */
omma_map omma_map_window(int from, int64_t stride, int64_t first, int64_t dilation, int64_t count);
omma_map omma_map_blocks(int from, int64_t div, int64_t count); /* [o/div*count, +count) */
omma_map omma_map_range(int64_t first, int64_t count); /* whatever o, [first, first + count) */

/* A list, to be filled: start [outs + 1] and item [items] from the arena; false when out of
 * memory. */
bool omma_map_list(omma_field *f, omma_map *map, int from, int64_t outs, int64_t items,
                   int32_t **start, int32_t **item);

/* Look at the output (input) under other dims, of as many elements. Resets nothing: set the maps
 * afterwards. */
void omma_relation_view_out(omma_relation *r, int rank, const int64_t *dims);
void omma_relation_view_in(omma_relation *r, int rank, const int64_t *dims);

/* --- rows that many operators share: each may be a row's field as it stands ---------------- */

/* Every output from every input at the same place, inputs broadcast to the output. An input that
 * is broadcast along axes where the output has many places, while another input is not, is a
 * gate: OMMA_PATH_STATISTIC. */
omma_status omma_field_elementwise(omma_field *f, const omma_node *n);

/* The same for input i and output k only, on this path. */
omma_status omma_field_broadcast(omma_field *f, int k, int i, omma_path path);

/* Output 0 is input 0 in the same row-major order under another shape; other inputs are shapes. */
omma_status omma_field_reshape(omma_field *f, const omma_node *n);

/* Every output depends on all of every input. */
omma_status omma_field_whole(omma_field *f, const omma_node *n);

/* Output depends on no input's numbers. */
omma_status omma_field_none(omma_field *f, const omma_node *n);

/* Input i decides as a whole what output k is made from. */
omma_status omma_field_control(omma_field *f, int k, int i);

/* --- what the reading knows ---------------------------------------------------------------- */

/* The numbers of v if they are known: a constant's, or those of the run at hand (then r->data is
 * to be set); NULL when they are not. Aligned to the element. */
const void *omma_field_numbers(omma_field *f, const omma_value *v);

/* Elements of v that are -inf, or as good as that, whatever the inputs: a mask in front of a
 * softmax blocks them. Bits as in omma_relation; NULL: none is known to be. */
const uint64_t *omma_field_dead(const omma_field *f, const omma_value *v);

/* Elements of v that are 0 whatever the inputs, as a softmax leaves them behind a mask. */
const uint64_t *omma_field_zero(const omma_field *f, const omma_value *v);

#endif
