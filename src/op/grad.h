/* grad.h - what a room's gradient is written with. The pass that differentiates
 * (pass/differentiate.c) walks the graph backward and calls each row's grad once all that reads its
 * outputs has spoken; the row makes nodes (make.h) that carry the cotangents of its outputs to its
 * inputs:
 *
 *     static omma_status sigmoid_grad(omma_grad *g, const omma_node *n) {
 *         omma_maker *m = &g->m;
 *         omma_value *y = n->out[0], *rest = omma_make_2(m, "Sub", omma_make_number(m, y, 1), y);
 *         omma_value *slope = omma_make_2(m, "Mul", y, rest);
 *         return omma_grad_add(g, n, 0, omma_make_2(m, "Mul", omma_grad_out(g, n, 0), slope));
 *     }
 *
 * A cotangent has the shape and type of its value. Only floating values have one. Where a formula
 * may use an output or an input, the output is better: what is fused with a product afterwards
 * stays fused. At kinks a gradient is what PyTorch takes: relu'(0) = 0, |x|' = sign(x), the first
 * of equal maxima. */
#ifndef OMMA_OP_GRAD_H
#define OMMA_OP_GRAD_H

#include "op/make.h"

struct omma_grad {
    omma_maker m;           /* m.of: the node at work */
    omma_value **cotangent; /* by value index; NULL: none yet, which is zero */
    const bool *wanted;     /* by value index: does it depend on what is differentiated by? */
    int n_values;           /* of both */
};

/* The cotangent of output k: NULL when it is zero, or the output is not wanted. grad is called
 * only when one of a node's outputs has one. */
omma_value *omma_grad_out(const omma_grad *g, const omma_node *n, int k);

/* The cotangent of output k, zeros when there is none. */
omma_value *omma_grad_full(omma_grad *g, const omma_node *n, int k);

/* Is a cotangent for input i of any use? Saves nodes; omma_grad_add drops what is not wanted. */
bool omma_grad_wants(const omma_grad *g, const omma_node *n, int i);

/* Add c to the cotangent of input i; NULL adds nothing (or something failed). Its shape is the
 * input's; it is cast to the input's type. Returns g->m.status. */
omma_status omma_grad_add(omma_grad *g, const omma_node *n, int i, omma_value *c);

/* A row's grad where every derivative is zero: steps, and what only reads shapes. */
omma_status omma_grad_zero(omma_grad *g, const omma_node *n);

#endif
