/* quantized.h - what the two halves of the pass for quantised graphs share: quantized_match.c finds
 * products between DequantizeLinear and QuantizeLinear, quantized.c puts integer ones in their
 * place. */
#ifndef OMMA_PASS_QUANTIZED_H
#define OMMA_PASS_QUANTIZED_H

#include "op/int8_op.h"
#include "pass/rule.h"

/* One number scales a tensor of 8 bits. Numbers of int8 are kept as uint8, 128 more. */
typedef struct omma_q8 {
    float scale;
    int zero;
} omma_q8;

/* A product and what follows it, up to the node `last`, whose place the integer product takes. */
typedef struct omma_q8_match {
    const omma_node *product, *last;
    omma_value *x, *w, *w_scale, *bias, *add; /* x: the 8-bit value; add: see add_8bit */
    omma_q8 x_q, add_q, y_q;
    bool add_8bit; /* add is an 8-bit value, else a float one */
    bool to_u8;    /* last is a QuantizeLinear */
    bool conv, transposed;
    omma_act act;
    float lo, hi;
    bool post;
    float post_scale, post_shift;
} omma_q8_match;

/* Is n a QuantizeLinear or DequantizeLinear to or from 8 bits with one constant scale? */
bool omma_q8_read(const omma_node *n, omma_q8 *q);

/* Does n begin a match? uses: by value. claimed: by node, those that are inside matches already;
 * the match's are added. */
bool omma_q8_find(const omma_graph *g, const int *uses, const omma_node *n, bool *claimed,
                  omma_q8_match *m);

/* The only node that reads v, or NULL. */
omma_node *omma_q8_reader(const omma_graph *g, const int *uses, const omma_value *v);

#endif
