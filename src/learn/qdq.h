/* qdq.h - a graph with QuantizeLinear and DequantizeLinear around its products: which nodes can
 * have them, and the graph that has them. See docs/decisions/0009-int8-as-qdq.md.
 *
 *     x -> Quantize -> Dequantize -+
 *     w: int8 -> Dequantize -------+-> Conv -> y      one scale for x, one a channel for w
 *     bias: int32 -> Dequantize ---+ */
#ifndef OMMA_LEARN_QDQ_H
#define OMMA_LEARN_QDQ_H

#include "graph/graph.h"
#include "learn/range.h"

/* Which axis of the weights counts the output channels; -1 when the node cannot be quantised. */
int omma_qdq_axis(const omma_node *n);

/* A copy of g in which the chosen nodes (by node index; omma_qdq_axis is not -1) read quantised
 * values.
 *   steps  by value index: of every activation that a chosen node reads.
 *   means  by value index: its mean in each channel that the node multiplies, or NULL. What
 * rounding the weights does to the mean of an output goes into the bias then. The copy and what it
 * gets are on arena; constants of g are shared. Returns OMMA_OK or OMMA_E_NOMEM. */
omma_status omma_qdq_graph(omma_graph **out, const omma_graph *g, const bool *chosen,
                           const omma_steps *steps, const float *const *means, omma_arena *arena,
                           omma_error *err);

#endif
