/* pass.h - graph to graph. Passes add nodes and let them take over a value; nodes that
 * became useless are removed by omma_graph_sweep alone. So a value somebody watches stays
 * computed by its own node, and what is computed beside it does not change by a bit.
 *
 *   quantized products of 8 bits between DequantizeLinear and QuantizeLinear into integer ones
 *   cut       a graph in two, where the second part must wait for the first to run
 *   fold      infer shapes; turn what does not depend on the data into constants
 *   fuse      a table of small rules (rule.h): norms into convolutions, biases and
 *             activations into products, patterns of exporters into operators
 *   layout    feature maps channels last, transposes at the edges
 *   bf16      products and what lies between them in bfloat16, where that is asked for
 *   bands     convolutions one behind the other, a few rows at a time
 *   memory    where every value of a plan lies */
#ifndef OMMA_PASS_PASS_H
#define OMMA_PASS_PASS_H

#include "op/op.h"

/* Infer every node whose inputs are all known, in order, and evaluate those that depend on
 * constants and shapes only: their outputs become constants (up to an internal bound on the
 * bytes, beyond which a node is left for the run). Sweeps. b->arena owns what is made.
 *   complete  every node must get known outputs, else the pass fails at the first that does
 *             not; without, nodes of unknown shape are left alone.
 *   cut       NULL, or receives -1, or the index of the first node that cannot be inferred
 *             before the nodes ahead of it have run: it reads a value whose size depends on
 *             the data (b->wanted is NULL then), or it wants the numbers of b->wanted. The
 *             graph is then inferred up to there and not swept.
 * Returns OMMA_OK or what the rooms report, with the node's byte offset in err->offset. */
omma_status omma_pass_fold(omma_build *b, omma_graph *g, bool complete, int *cut);

typedef struct omma_cut {
    omma_graph *tail;      /* from the cut on */
    omma_value **crossing; /* by the tail's inputs: the values of the first part they are */
    struct omma_cut_output {
        omma_value *here; /* in the first part, or NULL */
        int there;        /* which output of the tail */
    } * output;           /* by the whole graph's outputs */
    int n_outputs;
} omma_cut;

/* Cut g before node at (> 0): g keeps what lies ahead, and the values that cross stay until
 * its end. What is made comes from arena. Sweeps both. Returns OMMA_OK or OMMA_E_NOMEM. */
omma_status omma_pass_cut(omma_cut *out, omma_graph *g, int at, omma_arena *arena, omma_error *err);

/* Let products between DequantizeLinear and QuantizeLinear compute in integers: see quantized.c.
 * Before constants are folded. Sweeps when it did something. Returns OMMA_OK or OMMA_E_NOMEM. */
omma_status omma_pass_quantized(omma_build *b, omma_graph *g);

/* Apply the fusion rules until none fits; sweeps. Returns OMMA_OK or OMMA_E_NOMEM. */
omma_status omma_pass_fuse(omma_build *b, omma_graph *g);

/* Only what scales and shifts channels into convolutions: the nodes stay ONNX's. */
omma_status omma_pass_fuse_norms(omma_build *b, omma_graph *g);

/* The same with the rules that need shapes, on a graph that omma_pass_fold completed. What they
 * make is inferred; its memory comes from b->arena. */
omma_status omma_pass_fuse_known(omma_build *b, omma_graph *g);

/* Write the nodes of a completely inferred graph anew so that feature maps lie channels last
 * (layout.c). Sweeps. Returns OMMA_OK, OMMA_E_NOMEM or what the rooms report. */
omma_status omma_pass_layout(omma_build *b, omma_graph *g);

/* The rules for what the layout pass leaves: what is added to a product, and the activation behind.
 * As omma_pass_fuse_known. */
omma_status omma_pass_fuse_last(omma_build *b, omma_graph *g);

/* How a plan computes in bfloat16. */
typedef struct omma_bf16_how {
    bool on;
    bool all;         /* products that should better stay in float32, too: for tests */
    const char *keep; /* names of nodes that stay in float32, one a line; NULL: none */
} omma_bf16_how;

/* Big products and what lies between them in bfloat16 (halves.c), as how says. Sweeps. Returns
 * OMMA_OK, OMMA_E_NOMEM or what the rooms report. */
omma_status omma_pass_bf16(omma_build *b, omma_graph *g, const omma_bf16_how *how);

/* Convolutions one behind the other in bands of rows (bands.c), after all others. As
 * omma_pass_fuse_known. */
omma_status omma_pass_bands(omma_build *b, omma_graph *g);

/* Put a Reshape at the end of g that makes `to` of `from`, whose shape is known, under these dims
 * (none of them 0), and infer it. Its name and offset are those of like. Returns OMMA_OK,
 * OMMA_E_NOMEM or OMMA_E_SHAPE. */
omma_status omma_view_node(omma_build *b, omma_graph *g, const omma_node *like, omma_value *from,
                           int rank, const int64_t *dims, omma_value *to);

/* Where a value of a plan lives. */
typedef enum omma_place_kind {
    OMMA_PLACE_NONE,     /* nowhere: not read while running */
    OMMA_PLACE_CONSTANT, /* in the constant's own bytes */
    OMMA_PLACE_INPUT,    /* in the caller's tensor number `at` */
    OMMA_PLACE_PLAN      /* in the plan's memory at byte `at` */
} omma_place_kind;

typedef struct omma_place {
    omma_place_kind kind;
    size_t at;
} omma_place;

typedef struct omma_layout {
    omma_place *value; /* by value index */
    size_t *work;      /* by node index: offset of its working memory */
    size_t bytes;      /* of the plan's memory */
} omma_layout;

/* Lay out all values and working memory of a completely inferred and prepared graph, so
 * that two things that are needed at the same time never overlap. Everything is 64-byte
 * aligned. The arrays come from arena. Returns OMMA_OK, OMMA_E_NOMEM or OMMA_E_RANGE. */
omma_status omma_pass_memory(omma_layout *out, const omma_graph *g, omma_arena *arena,
                             omma_error *err);

#endif
