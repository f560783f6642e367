/* expand_to.h - what the rooms share whose operators stand for others (branches, loops,
 * sequences): they write plain nodes in their own place while a graph is specialised. */
#ifndef OMMA_OP_EXPAND_TO_H
#define OMMA_OP_EXPAND_TO_H

#include "op/op.h"

/* The node that is expanded, and where what it becomes goes. */
typedef struct omma_expansion {
    omma_build *b;
    omma_graph *g;
    const omma_node *n;
} omma_expansion;

/* A new node of an operator of the standard domain, by the rules of operator set 11 (axes as
 * attributes), reading k values.
 *   attr, i  the name of its one integer attribute, or of its list of one ("axes"), and its
 *            value; attr NULL: none.
 *   out      what it writes.
 * Returns OMMA_OK or OMMA_E_NOMEM. */
omma_status omma_expand_node(const omma_expansion *x, const char *op, omma_value *const *in, int k,
                             const char *attr, int64_t i, omma_value *out);

/* A new value whose name is the first output's of the node, "~" and what. NULL when out of
 * memory. */
omma_value *omma_expand_value(const omma_expansion *x, const char *what);

/* A new constant of one number. rank 0 or 1; type OMMA_I64 or OMMA_BOOL. NULL when out of memory.
 */
omma_value *omma_expand_number(const omma_expansion *x, const char *what, omma_dtype type, int rank,
                               int64_t number);

/* Let output k of the node be v, a tensor or a list. Nothing to do for an unwanted output. */
omma_status omma_expand_output(const omma_expansion *x, int k, omma_value *v);

/* Let output k of the node be a list of count items. */
omma_status omma_expand_list(const omma_expansion *x, int k, omma_value *const *item, int count);

/* Let out be `count` values of one shape stacked along a new axis, or, when !fresh, joined along
 * the one they have. what makes the names of the values between. count >= 1. */
omma_status omma_expand_stack(const omma_expansion *x, omma_value *const *item, int count,
                              int64_t axis, bool fresh, const char *what, omma_value *out);

#endif
