/* graph.h - the one graph type everything reads: nodes, values, attributes.
 *
 * A graph is two lists: values (tensors by name) and nodes (operators that read values
 * and write values), nodes in an order in which every value is written before it is
 * read. A value is a graph input, a constant (data != NULL, often pointing into the
 * mapped model file) or the output of exactly one node.
 *
 *     value "x" ---+
 *     value "w" ---+--> node Conv "c1" --> value "y"
 *
 * Everything hangs on one arena and dies with it. A graph is changed by one thread at a
 * time. Constants may lie at any address: read them with memcpy or after
 * omma_value_aligned. */
#ifndef OMMA_GRAPH_GRAPH_H
#define OMMA_GRAPH_GRAPH_H

#include <stdbool.h>
#include <stdio.h>

#include "base/arena.h"

typedef struct omma_op omma_op;
typedef struct omma_build omma_build; /* op/op.h: what infer and prepare may use */
typedef struct omma_exec omma_exec;   /* op/op.h: what run may use */
typedef struct omma_maker omma_maker; /* op/make.h: writes nodes */
typedef struct omma_grad omma_grad;   /* op/grad.h: carries cotangents back */
typedef struct omma_field omma_field; /* op/field.h: collects which elements read which */
typedef struct omma_node omma_node;
typedef struct omma_value omma_value;
typedef struct omma_graph omma_graph;
typedef struct omma_list omma_list;

/* An operator: its row of the table in op/, which op/op.h explains column by column. */
enum {
    OMMA_OP_VIEW = 1,        /* out 0 is in 0's bytes under another shape: run does nothing */
    OMMA_OP_ELEMENTWISE = 2, /* out 0 may overwrite an input of the same size and type */
    OMMA_OP_SHAPE_ONLY = 4,  /* reads its inputs' shapes, never their numbers */
    OMMA_OP_RANDOM = 8,      /* differs from run to run: never folded */
    OMMA_OP_DATA_SHAPE = 16  /* infer gives the largest shape its outputs can have; run sets the
                                true one in n->out[i]->dims */
};

struct omma_op {
    const char *name;   /* ONNX op_type */
    int min_in, max_in; /* max -1: any number */
    int min_out, max_out;
    unsigned flags;
    omma_status (*infer)(omma_build *b, omma_node *n);
    omma_status (*prepare)(omma_build *b, omma_node *n); /* may be NULL */
    omma_status (*run)(const omma_exec *x, const omma_node *n);
    /* NULL, or for operators that stand for others (branches, loops, sequences): called before
     * infer when a graph is specialised. It adds nodes at the end of g that write n's outputs
     * and sets *done, and n is taken out; or it leaves everything as it is, and infer follows. */
    omma_status (*expand)(omma_build *b, omma_graph *g, omma_node *n, bool *done);
    double (*flops)(const omma_node *n); /* NULL: one per output element */
    /* The two readings in reverse. A row without one of them may say which plainer operators it
     * stands for: parts makes nodes that write its outputs (omma_make_output), and they are read
     * instead. */
    omma_status (*parts)(omma_maker *m, const omma_node *n);
    omma_status (*grad)(omma_grad *g, const omma_node *n);
    omma_status (*field)(omma_field *f, const omma_node *n);
    const char *no_grad, *no_field; /* why there is none */
};

/* What a value stands for that is no tensor: a sequence, or an optional of one item or none.
 * Lists exist while a graph is specialised, and are resolved then: no kernel sees one. */
struct omma_list {
    int count;
    omma_value **item; /* values of the same graph; an item may be a list itself */
};

/* A tensor of the graph. */
struct omma_value {
    const char *name;                  /* unique in its graph */
    omma_dtype dtype;                  /* OMMA_NONE: not known yet */
    int rank;                          /* -1: not known yet */
    int64_t dims[OMMA_MAX_RANK];       /* -1: open */
    const char *symbol[OMMA_MAX_RANK]; /* names of open dimensions, or NULL */
    const void *data;                  /* the constant, or NULL; any alignment */
    struct omma_scaled *scaled;        /* not NULL: a constant made when it is read (scaled.h) */
    const omma_list *list;             /* not NULL: a sequence or optional, not a tensor */
    omma_node *producer;               /* NULL for inputs, constants and lists */
    int index;                         /* in graph->values */
    bool is_input, is_output;          /* of the graph */
    bool kept;                         /* watched: must exist after a run */
    bool lasting;                      /* a constant that outlives the plans of its session */
    bool shared;                       /* a constant that outlives the sessions of its model */
    int64_t offset;                    /* of the constant or node in the file [bytes], -1: none */
    void *mem;                         /* where a plan keeps it while running */
};

/* The kinds of attributes; the values are ONNX's. */
typedef enum omma_attr_kind {
    OMMA_ATTR_FLOAT = 1,
    OMMA_ATTR_INT = 2,
    OMMA_ATTR_STRING = 3,
    OMMA_ATTR_TENSOR = 4,
    OMMA_ATTR_GRAPH = 5,
    OMMA_ATTR_FLOATS = 6,
    OMMA_ATTR_INTS = 7,
    OMMA_ATTR_STRINGS = 8
} omma_attr_kind;

typedef struct omma_attr {
    const char *name;
    omma_attr_kind kind;
    int count; /* of the lists */
    float f;
    int64_t i;
    const char *s; /* 0-terminated */
    const float *floats;
    const int64_t *ints;
    const char **strings;
    const omma_value *tensor; /* a constant */
    omma_graph *graph;        /* a body: never changed, shared by all copies of the node */
    int capture_at; /* which input of the node is the first that the graph takes from outside */
} omma_attr;

/* An operator at work. */
struct omma_node {
    const char *name; /* never NULL; "" is replaced when loading */
    const omma_op *op;
    int opset;       /* the version of the operator set it was written for */
    omma_value **in; /* NULL entries: optional inputs left out */
    int n_in;
    omma_value **out; /* NULL entries: outputs nobody wants */
    int n_out;
    const omma_attr *attrs;
    int n_attrs;
    int index;          /* in graph->nodes */
    int64_t offset;     /* of its record in the file [bytes], -1: made by a pass */
    const void *param;  /* attributes made ready by the room's infer; the room's own type */
    const void *packed; /* constants made ready by the room's prepare, or NULL */
    unsigned packed_in; /* bit i: input i is not read while running, packed replaces it */
    unsigned in_place;  /* bit i: output 0 may overwrite input i, of the same size and type; set by
                           prepare */
    size_t scratch;     /* bytes of working memory its run wants, set by prepare */
    void *work;         /* that memory, 64-byte aligned, set by the plan */
};

struct omma_graph {
    omma_arena *arena;
    const char *name;
    omma_value **values;
    int n_values, cap_values;
    omma_node **nodes;
    int n_nodes, cap_nodes;
    omma_value **inputs; /* what a caller supplies, in order */
    int n_inputs;
    int n_formal; /* of a body: inputs the file declares; the rest it takes from outside */
    omma_value **outputs;
    int n_outputs;
    const omma_port *ports; /* of a body: its outputs as the file declares them */
};

/* --- building ------------------------------------------------------------------ */

/* A new empty graph on an arena, or NULL. */
omma_graph *omma_graph_new(omma_arena *arena, const char *name);

/* Add a value of unknown type and shape; NULL when out of memory. name is kept, not
 * copied, and not checked for uniqueness (the verifier does). */
omma_value *omma_graph_value(omma_graph *g, const char *name);

/* Add a constant; data is kept, not copied. */
omma_value *omma_graph_constant(omma_graph *g, const char *name, omma_dtype dtype, int rank,
                                const int64_t *dims, const void *data);

/* Add a node at the end, with room for its inputs and outputs (all NULL); NULL when out
 * of memory. Set outputs with omma_node_set_output. */
omma_node *omma_graph_node(omma_graph *g, const omma_op *op, const char *name, int n_in, int n_out);

/* Put n, which belongs to g but is in its list no more, at the end. False when out of memory. */
bool omma_graph_append(omma_graph *g, omma_node *n);

/* Make v output i of n. */
void omma_node_set_output(omma_node *n, int i, omma_value *v);

/* A copy of g on another arena; constants' data is shared, not copied. Value i of the
 * copy stands for value i of g. NULL when out of memory. */
omma_graph *omma_graph_clone(const omma_graph *g, omma_arena *arena);

/* --- changing ------------------------------------------------------------------ */

/* Put a copy of body's nodes at the end of g; constants' data is shared.
 *   actual  by body's inputs: the values of g they stand for.
 *   result  by body's outputs: receives what stands for them in g.
 *   prefix  goes before the names of the values that are made.
 * False when out of memory. */
bool omma_graph_splice(omma_graph *g, const omma_graph *body, omma_value *const *actual,
                       omma_value **result, const char *prefix);

/* Take the nodes from first on, which stand at the end, to the place of node at, which is dropped.
 * False when out of memory. */
bool omma_graph_replace(omma_graph *g, int at, int first);

/* A new node in old's place that writes old's outputs, with old's name, opset and offset
 * and n_in empty inputs; old is gone from the graph. The values keep their names, so
 * whoever reads or watches them sees no difference. NULL when out of memory. */
omma_node *omma_graph_substitute(omma_graph *g, omma_node *old, const omma_op *op, int n_in);

/* Drop nodes whose outputs nobody reads and values nobody mentions; renumbers. */
void omma_graph_sweep(omma_graph *g);

/* How many times each value is read (by nodes, and once if it is an output), counting
 * only nodes that the graph's outputs need: what exists for a watched value alone does not
 * count, so that watching never changes what a pass decides. An array by value index on
 * arena, or NULL. */
int *omma_graph_uses(const omma_graph *g, omma_arena *arena);

/* --- looking ------------------------------------------------------------------- */

omma_value *omma_graph_find(const omma_graph *g, const char *name);

/* The attribute of that name, or NULL. */
const omma_attr *omma_node_attr(const omma_node *n, const char *name);
int64_t omma_node_int(const omma_node *n, const char *name, int64_t fallback);
float omma_node_float(const omma_node *n, const char *name, float fallback);
const char *omma_node_string(const omma_node *n, const char *name, const char *fallback);

/* True when the value is a tensor of a known rank and no open dimension. */
bool omma_value_known(const omma_value *v);

/* Number of elements of a known value. */
int64_t omma_value_count(const omma_value *v);

/* Bytes of a known value; 0 for strings. Known values' sizes never overflow. */
size_t omma_value_bytes(const omma_value *v);

/* As a public tensor (data = mem, else the constant). */
omma_tensor omma_value_tensor(const omma_value *v);

/* Check the whole graph: unique names, one producer, order, inputs present, indices in
 * step, arity of operators. Returns OMMA_OK or OMMA_E_FORMAT naming the node or value. */
omma_status omma_graph_verify(const omma_graph *g, omma_error *err);

/* Print as text, one node a line: y:f32[1,8,4,4] = Conv(x, w) "name" {stride=..}. */
void omma_graph_print(const omma_graph *g, FILE *f);

/* Print in Graphviz DOT. */
void omma_graph_print_dot(const omma_graph *g, FILE *f);

#endif
