/* layout.h - what the rules of the layout pass share; see layout.c.
 *
 * A value v: [N, C, spatial...] may have a twin, which holds the same numbers channels last:
 * [N, spatial..., C]. A rule computes a node's output channels last from the twins of what it
 * reads, and says so; v itself is then the twin moved back, for whoever still asks for it. */
#ifndef OMMA_PASS_LAYOUT_H
#define OMMA_PASS_LAYOUT_H

#include "pass/pass.h"

typedef struct omma_relayout {
    omma_build *b;
    omma_graph *g;
    const int *uses; /* by value of the graph as it was */
    bool watched;    /* the node at hand is there for a watched value alone */
    /* By value index, up to cap; NULL: none. [1]: those that nodes for watched values alone made,
     * which the others never see: watching must not change how they are computed. */
    omma_value **twin[2];
    int cap[2];
    int made;       /* values, for their names */
    const char *of; /* the names begin with that */
} omma_relayout;

/* Rewrite n or leave it: *done says which. */
typedef omma_status omma_layout_rule(omma_relayout *l, omma_node *n, bool *done);

/* The rule for nodes like n, or NULL. */
omma_layout_rule *omma_layout_rule_of(const omma_node *n);

/* v's twin, or NULL. */
omma_value *omma_twin(const omma_relayout *l, const omma_value *v);

/* Does any input of n that is no constant have a twin? */
bool omma_any_twin(const omma_relayout *l, const omma_node *n);

/* v's twin, made if there is none: of a constant another constant, else a Transpose. NULL when
 * out of memory or when the Transpose is refused (b->err says why). v has rank >= 3. */
omma_value *omma_need_twin(omma_relayout *l, omma_value *v);

/* Constant v, of at most `rank` dims (more are put before them), with its dims as those of a twin.
 * NULL when out of memory. */
omma_value *omma_twin_constant(omma_relayout *l, omma_value *v, int rank);

/* A constant list of int64. NULL when out of memory. */
omma_value *omma_layout_ints(omma_relayout *l, const int64_t *list, int count);

/* A constant list of float32, not copied. NULL when out of memory. */
omma_value *omma_layout_floats(omma_relayout *l, const float *list, int64_t count);

/* v's twin is from now on `twin`. False when out of memory. */
bool omma_set_twin(omma_relayout *l, const omma_value *v, omma_value *twin);

/* A new value without type and shape. NULL when out of memory. */
omma_value *omma_layout_value(omma_relayout *l);

/* A new node, not in the graph's list yet, that stands for n: its name, attributes, opset and
 * offset, with n_in empty inputs and n's outputs, all new values. NULL when out of
 * memory. */
omma_node *omma_layout_node(omma_relayout *l, const omma_node *n, const omma_op *op, int n_in);

/* The same attributes, but for an INT or INTS one of that name: count >= 0 makes it the list, -1
 * makes it the integer list[0]. False when out of memory. */
bool omma_layout_attr(omma_relayout *l, omma_node *n, const char *name, const int64_t *list,
                      int count);

/* Put fresh at the end of the graph and infer it. */
omma_status omma_layout_put(omma_relayout *l, omma_node *fresh);

/* Put fresh, whose outputs are twins of n's, and move them back. */
omma_status omma_give_twins(omma_relayout *l, const omma_node *n, omma_node *fresh);

/* Put fresh, whose outputs have the very shapes and numbers of n's, which it
 * writes. */
omma_status omma_take_over(omma_relayout *l, const omma_node *n, omma_node *fresh);

/* v, which n writes, is from now on `twin` seen under other dims, and has a twin of its own with
 * those dims as a twin's. */
omma_status omma_layout_view(omma_relayout *l, const omma_node *n, omma_value *twin, omma_value *v);

/* v, which n writes, is `from` under other dims, or, if that moves numbers, with its dims in the
 * order perm; NULL: no order but a view. */
omma_status omma_layout_move(omma_relayout *l, const omma_node *n, omma_value *from,
                             const int64_t *perm, omma_value *v);

/* Where axis d of a value of that rank is in its twin. */
static inline int64_t omma_twin_axis(int64_t d, int rank) {
    if (d < 0) d += rank;
    return d == 0 ? 0 : d == 1 ? rank - 1 : d - 1;
}

#endif
