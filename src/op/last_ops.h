/* last_ops.h - operators on channels-last feature maps, which the layout pass makes of those of the
 * table. None is in the table, so no file can ask for them. */
#ifndef OMMA_OP_LAST_OPS_H
#define OMMA_OP_LAST_OPS_H

#include "kernel/last.h"
#include "op/op.h"

/* Why they have neither gradient nor field. */
#define OMMA_MADE_LATE "made for a plan, after the other readings of the graph"

/* Conv and its attributes, on x: [N, spatial..., C] with two spatial axes, float32 and constant
 * weights w: [M, C/group, kernel...] as the file has them. Inputs x, w, bias [M] or NULL, and add
 * or NULL, of the shape of y, which is added before a fused activation (op/fused.h). */
extern const omma_op omma_op_ConvLast;

/* An attribute of ConvLast, 1: x has its channels first; see omma_last_planes. */
#define OMMA_CONV_PLANES "omma.planes"

/* The geometry of an inferred ConvLast, and its activation. */
const omma_conv *omma_conv_last_geometry(const omma_node *n, omma_epilogue *act);

/* Weights w: [M, C, kernel...] for a convolution of float32, packed once a session. */
omma_status omma_conv_last_pack(omma_build *b, const omma_node *n, const omma_value *w,
                                const omma_conv *c, void **packed);

/* Several ConvLast one behind the other, in bands of rows (kernel/chain.h). Inputs x, then for each
 * weights and bias or NULL, then add or NULL, which is the last one's. */
extern const omma_op omma_op_ConvChain;

/* A ConvChain at the end of g that does what `last`, a ConvLast, makes of what `before`, a ConvLast
 * or a ConvChain, writes; *chain is NULL, and g as it was, if that cannot be or would not be
 * faster. The caller gives it an output and drops both. Returns OMMA_OK or OMMA_E_NOMEM. */
omma_status omma_conv_chain(omma_build *b, omma_graph *g, const omma_node *before,
                            const omma_node *last, omma_node **chain);

/* ConvTranspose and its attributes, on x: [N, H, W, C], float32 and constant weights w: [C,
 * M/group, kernel...] as the file has them. Inputs x, w, bias [M] or NULL. */
extern const omma_op omma_op_ConvTransposeLast;

/* MaxPool and AveragePool with their attributes, on x: f32 [N, H, W, C]; which of the two says the
 * attribute OMMA_POOL_MEAN. */
extern const omma_op omma_op_PoolLast;
#define OMMA_POOL_MEAN "omma.mean"

#endif
