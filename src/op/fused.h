/* fused.h - what the rooms on top of the matrix product share: the activation a fusion
 * pass may have folded into a Conv, Gemm or MatMul, and the size of packed operands.
 *
 * The pass leaves it in three attributes of the node: "omma.act" (an omma_act), and for those that
 * have numbers of their own "omma.lo" and "omma.hi". A file may carry the same names, so they are
 * checked like everything else. */
#ifndef OMMA_OP_FUSED_H
#define OMMA_OP_FUSED_H

#include "base/checked.h"
#include "op/op.h"

#define OMMA_FUSED_ACT "omma.act"
#define OMMA_FUSED_LO "omma.lo"
#define OMMA_FUSED_HI "omma.hi"

/* What the passes make of MatMul and the Add of a bias: y = act(a x b + c + d), c: [N] or NULL, d
 * of y's shape or left out. Not in the table, so no file can ask for it. */
extern const omma_op omma_op_Linear;

/* Gemm of matrices of float32 with alpha, beta 1, a as it is, a bias of [N] or none, and the addend
 * d. */
extern const omma_op omma_op_GemmAdd;

/* What they make of softmax(scale * q kT + masks) v at plan time (fused_attention.c). Neither is
 * that. */
extern const omma_op omma_op_FusedAttention;

/* Set act, lo and hi of e, and its biases to NULL. t is the type of the result. */
static inline omma_status omma_fused_read(omma_build *b, const omma_node *n, omma_dtype t,
                                          omma_epilogue *e) {
    int64_t act = omma_node_int(n, OMMA_FUSED_ACT, OMMA_ACT_NONE);
    if (act < OMMA_ACT_NONE || act >= OMMA_ACT_COUNT)
        return omma_bad(b, n, "attribute 'omma.act' is %lld, no activation", (long long)act);
    if (act != OMMA_ACT_NONE && t != OMMA_F32)
        return omma_unsupported(b, n, "a fused activation on %s", omma_dtype_name(t));
    *e = (omma_epilogue){.act = (omma_act)act,
                         .lo = omma_node_float(n, OMMA_FUSED_LO, 0),
                         .hi = omma_node_float(n, OMMA_FUSED_HI, 0)};
    return OMMA_OK;
}

/* Bytes of B[k,n] packed for omma_gemm, rounded up to 64; false on overflow. */
static inline bool omma_packed_bytes(const omma_kernels *kern, int64_t k, int64_t n,
                                     size_t *bytes) {
    int64_t columns;
    if (__builtin_add_overflow(n, kern->nr, &columns)) return false;
    if (!omma_dims_bytes((int64_t[]){k, columns}, 2, sizeof(float), bytes)) return false;
    return omma_align_up(omma_gemm_packed_size(kern, k, n) * sizeof(float), 64, bytes);
}

#endif
