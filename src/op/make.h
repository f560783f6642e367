/* make.h - new nodes, written as formulas. What an operator's gradient is, and which plainer
 * operators it stands for, a room says by making nodes; each is inferred at once, so its shape is
 * known to whoever goes on from it.
 *
 *     omma_value *s = omma_make_1(m, "Sigmoid", x);
 *     omma_value *y = omma_make_2(m, "Mul", s, omma_make_2(m, "Sub", omma_make_number(m, x, 1),
 * s)); return m->status;
 *
 * The first failure is kept in m->status and in the error; from then on everything is NULL, and
 * NULL goes in and comes out, so a formula needs no checks between its parts. */
#ifndef OMMA_OP_MAKE_H
#define OMMA_OP_MAKE_H

#include "op/op.h"

struct omma_maker {
    omma_build *b;
    omma_graph *g;
    const omma_node *of; /* the node that is written anew, or differentiated: names, messages */
    omma_status status;
    const char *tag; /* of the pass at work, and */
    int made;        /* a number: they make the new names unique in g */
};

/* Attributes for omma_make. */
#define OMMA_A_INT(name_, v) \
    ((omma_attr){.name = (name_), .kind = OMMA_ATTR_INT, .i = (v), .s = ""})
#define OMMA_A_FLOAT(name_, v) \
    ((omma_attr){.name = (name_), .kind = OMMA_ATTR_FLOAT, .f = (v), .s = ""})
#define OMMA_A_STRING(name_, v) ((omma_attr){.name = (name_), .kind = OMMA_ATTR_STRING, .s = (v)})
#define OMMA_A_INTS(name_, v, n) \
    ((omma_attr){.name = (name_), .kind = OMMA_ATTR_INTS, .ints = (v), .count = (n), .s = ""})

/* A node of this row at the end of m->g, inferred.
 *   opset   the operator set by whose rules its attributes are written
 *   in      k inputs; entries may be NULL where an input is left out (op says how many it needs)
 *   attrs   n_attrs of them, copied with their lists; names and strings are kept
 *   outs    how many outputs it has
 * Returns the node, whose outputs are all made, or NULL. */
omma_node *omma_make_node(omma_maker *m, const omma_op *op, int opset, omma_value *const *in, int k,
                          const omma_attr *attrs, int n_attrs, int outs);

/* The same by ONNX's name, by the rules of set 13, with one output, which it returns. */
omma_value *omma_make(omma_maker *m, const char *op, omma_value *const *in, int k,
                      const omma_attr *attrs, int n_attrs);

/* Without attributes. */
omma_value *omma_make_1(omma_maker *m, const char *op, omma_value *a);
omma_value *omma_make_2(omma_maker *m, const char *op, omma_value *a, omma_value *b);
omma_value *omma_make_3(omma_maker *m, const char *op, omma_value *a, omma_value *b, omma_value *c);

/* The constant x of like's type, of rank 0. */
omma_value *omma_make_number(omma_maker *m, const omma_value *like, double x);

/* The constant list of n int64. */
omma_value *omma_make_ints(omma_maker *m, const int64_t *v, int n);

/* x times k, x plus k, x times x. */
omma_value *omma_make_scaled(omma_maker *m, omma_value *x, double k);
omma_value *omma_make_shifted(omma_maker *m, omma_value *x, double k);
omma_value *omma_make_squared(omma_maker *m, omma_value *x);

/* k everywhere in the shape and type of like. */
omma_value *omma_make_full(omma_maker *m, const omma_value *like, double k);

/* x under other dims of the same number of elements; x itself where they are its own. */
omma_value *omma_make_reshape(omma_maker *m, omma_value *x, int rank, const int64_t *dims);
omma_value *omma_make_shaped(omma_maker *m, omma_value *x, const omma_value *like);

/* Axis d of the result is axis perm[d] of x; x itself where nothing moves. */
omma_value *omma_make_transpose(omma_maker *m, omma_value *x, const int64_t *perm);

/* x with its last two axes exchanged. */
omma_value *omma_make_turned(omma_maker *m, omma_value *x);

/* x summed over the axes of the set bits, which stay with size 1 if keep; x itself for no bits. */
omma_value *omma_make_sum(omma_maker *m, omma_value *x, unsigned axes, bool keep);

/* x: [begin, end) along axis, every step-th. */
omma_value *omma_make_slice(omma_maker *m, omma_value *x, int axis, int64_t begin, int64_t end,
                            int64_t step);

/* count values joined along axis. */
omma_value *omma_make_concat(omma_maker *m, omma_value *const *x, int count, int axis);

/* x expanded to like's shape (which it broadcasts to). */
omma_value *omma_make_spread(omma_maker *m, omma_value *x, const omma_value *like);

/* The other way: x summed over what broadcasting like to x's shape repeats, in like's shape. */
omma_value *omma_make_fitted(omma_maker *m, omma_value *x, const omma_value *like);

/* x as type t; x itself if it is. */
omma_value *omma_make_cast(omma_maker *m, omma_value *x, omma_dtype t);

/* Let output k of the node that stands for others (m->of) be v. Nothing to do for an unwanted
 * output. */
void omma_make_output(omma_maker *m, int k, omma_value *v);

#endif
