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

#endif
