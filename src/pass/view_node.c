/* view_node.c - a Reshape made by a pass: of opset 1, where the shape is an attribute. */
#include <string.h>

#include "pass/pass.h"

omma_status omma_view_node(omma_build *b, omma_graph *g, const omma_node *like, omma_value *from,
                           int rank, const int64_t *dims, omma_value *to) {
    omma_node *n = omma_graph_node(g, omma_op_find("Reshape"), like->name, 1, 1);
    omma_attr *a = omma_arena_array(b->arena, 1, sizeof *a);
    int64_t *copy = omma_arena_array(b->arena, OMMA_MAX_RANK, sizeof *copy);
    if (!n || !a || !copy) return omma_nomem(b, like);
    if (rank) memcpy(copy, dims, (size_t)rank * sizeof *copy);
    *a = (omma_attr){.name = "shape", .kind = OMMA_ATTR_INTS, .count = rank, .ints = copy};
    n->attrs = a, n->n_attrs = 1;
    n->opset = 1;
    n->offset = like->offset;
    n->in[0] = from;
    omma_node_set_output(n, 0, to);
    return n->op->infer(b, n);
}
