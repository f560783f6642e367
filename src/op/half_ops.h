/* half_ops.h - operators on bfloat16 activations with float32 weights, which the bf16 pass makes of
 * those of the table. None is in the table, so no file can ask for them. ConvLast (last_ops.h) is
 * one too, when its input is bfloat16. */
#ifndef OMMA_OP_HALF_OPS_H
#define OMMA_OP_HALF_OPS_H

#include "kernel/bf16.h"
#include "op/fused.h"

/* The type a product writes, an omma_dtype: OMMA_F32, or OMMA_BF16, which is what it is without. */
#define OMMA_HALF_OUT "omma.out"

/* y = act(x w + bias + add), all as in fused.h's omma_op_Linear.
 *   x: bf16 [..., K], K even   w: f32 [K, N], constant; with transB [N, K]
 *   bias: f32 [N] or NULL   add: bf16 or f32, of y's size, or NULL   y: bf16 or f32 [..., N] */
extern const omma_op omma_op_HalfLinear;

/* y: bf16 [..., C'] = x: f32 [..., C], with zeros for those of C' channels (attribute "channels";
 * default C) that x has not. */
extern const omma_op omma_op_Narrow;

/* Fill o from the activation, the bias and the addend of a product: inputs 2 and 3, n columns. */
static inline omma_bf16_out omma_half_out(const omma_node *node, const omma_epilogue *act,
                                          int64_t n) {
    const omma_value *bias = omma_in(node, 2), *add = omma_in(node, 3);
    return (omma_bf16_out){.col_bias = bias ? bias->mem : NULL,
                           .add = add ? add->mem : NULL,
                           .add_ld = n,
                           .add_wide = add && add->dtype == OMMA_F32,
                           .y_wide = node->out[0]->dtype == OMMA_F32,
                           .act = act->act,
                           .lo = act->lo,
                           .hi = act->hi};
}

/* Type and size of what is added, and the type a product of bfloat16 writes. */
static inline omma_status omma_half_check(omma_build *b, const omma_node *n, int64_t count,
                                          omma_dtype *out) {
    const omma_value *add = omma_in(n, 3);
    const int64_t t = omma_node_int(n, OMMA_HALF_OUT, OMMA_BF16);
    if (t != OMMA_F32 && t != OMMA_BF16)
        return omma_unsupported(b, n, "type %lld of its result", (long long)t);
    if (add &&
        ((add->dtype != OMMA_F32 && add->dtype != OMMA_BF16) || omma_value_count(add) != count))
        return omma_bad(b, n, "what is added ('%s') is not of the result's size", add->name);
    *out = (omma_dtype)t;
    return OMMA_OK;
}

#endif
