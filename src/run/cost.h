/* cost.h - what a node comes to: arithmetic and bytes. */
#ifndef OMMA_RUN_COST_H
#define OMMA_RUN_COST_H

#include "graph/graph.h"

/* Arithmetic of one run of a node whose shapes are known [FLOP]; a multiply-add counts as two. */
double omma_cost_flops(const omma_node *n);

/* The least a run of the node moves [bytes]: every input whose numbers it reads and every output,
 * each once; 0 for a view that lies where its input does. A kernel that reads something twice
 * moves more, one that takes a part of its input (Gather) less. */
double omma_cost_bytes(const omma_node *n);

/* What kind of its operator a node is, where that decides how fast it can be: "3x3", "5x5/2",
 * "3x3 depthwise", "7x7 in 32 groups" of a convolution; "by weights" or "of values" of a matrix
 * product. "" for the others. */
enum { OMMA_COST_KIND = 40 };
void omma_cost_kind(char out[OMMA_COST_KIND], const omma_node *n);

#endif
