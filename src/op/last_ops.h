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

/* ConvTranspose and its attributes, on x: [N, H, W, C], float32 and constant weights w: [C,
 * M/group, kernel...] as the file has them. Inputs x, w, bias [M] or NULL. */
extern const omma_op omma_op_ConvTransposeLast;

/* MaxPool and AveragePool with their attributes, on x: f32 [N, H, W, C]; which of the two says the
 * attribute OMMA_POOL_MEAN. */
extern const omma_op omma_op_PoolLast;
#define OMMA_POOL_MEAN "omma.mean"

#endif
