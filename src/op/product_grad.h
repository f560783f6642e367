/* product_grad.h - the two readings in reverse of matrix products: the gradients of y = a x b by
 * numpy's rules, which are products again, and which elements of the operands a result is made
 * from. */
#ifndef OMMA_OP_PRODUCT_GRAD_H
#define OMMA_OP_PRODUCT_GRAD_H

#include "op/field.h"
#include "op/grad.h"

/* Of y = MatMul(a, b) by a, from the cotangent dy of y; in a's shape. b is read. A matrix b that is
 * a constant is read where it lies, not turned. */
omma_value *omma_product_grad_left(omma_maker *m, omma_value *dy, omma_value *b,
                                   const omma_value *a);

/* The same by b. a is read. */
omma_value *omma_product_grad_right(omma_maker *m, omma_value *dy, omma_value *a,
                                    const omma_value *b);

/* The field of n = MatMul(a, b): element (i, d) of a product is made from row i of a and column d
 * of b. Where factors in a are known to be 0 (behind a softmax of -inf), the rows of b that they
 * meet are not read. */
omma_status omma_product_field(omma_field *f, const omma_node *n);

#endif
