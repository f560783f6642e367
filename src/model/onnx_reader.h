/* onnx_reader.h - what the files of the ONNX door share: the state of one reading.
 *
 * A file has scopes: the graph, the body of each branch and loop (a graph of its own, which
 * may read the values of the graphs around it), and each call of a function the file defines
 * (read into the caller's graph, where it sees nothing but its arguments). Each is an
 * omma_onnx; what belongs to the file as a whole is the omma_onnx_file they share.
 *
 *   onnx.c         the file: its head, operator sets, functions
 *   onnx_graph.c   GraphProto: inputs, outputs, weights, values by name
 *   onnx_node.c    NodeProto and AttributeProto
 *   onnx_call.c    FunctionProto, where it is called
 *   onnx_tensor.c  TensorProto */
#ifndef OMMA_MODEL_ONNX_READER_H
#define OMMA_MODEL_ONNX_READER_H

#include "base/map.h"
#include "file/protobuf.h"
#include "model/model.h"

enum {
    OMMA_ONNX_NAME_MAX = 1024,
    OMMA_ONNX_DEPTH_MAX = 64,       /* bodies in bodies, functions in functions */
    OMMA_ONNX_INLINED_MAX = 1 << 17 /* nodes read in calls of functions */
};

/* Of a file. */
typedef struct omma_onnx_file {
    omma_map unknown; /* "op" -> omma_onnx_missing, operators omma lacks */
    struct omma_onnx_missing *missing, **missing_end;
    int n_missing;
    omma_map functions; /* "domain:name:overload" -> omma_onnx_function */
    int n_functions;
    int inlined; /* nodes read in calls so far */
    int domains; /* imported beside the standard one */
} omma_onnx_file;

/* A call of a function that is being read: what its body's attributes refer to. */
typedef struct omma_onnx_call {
    const omma_attr *given; /* by the calling node */
    int n_given;
    const omma_attr *fallback; /* the function's own values for those not given */
    int n_fallback;
} omma_onnx_call;

/* A value a body takes from outside. */
typedef struct omma_onnx_capture {
    omma_value *outside, *inside;
    struct omma_onnx_capture *next;
} omma_onnx_capture;

/* A scope. */
typedef struct omma_onnx {
    omma_model *model;
    omma_arena *arena;
    omma_onnx_file *file;
    omma_graph *graph;
    omma_map values;            /* name -> omma_value */
    const char *prefix;         /* goes before the names of new values; "" outside functions */
    int opset;                  /* of the standard domain; 0: not imported */
    int depth;                  /* of nesting */
    struct omma_onnx *outer;    /* of a body: the scope around it */
    const omma_onnx_call *call; /* inside a function, else NULL */
    omma_port *inputs, *outputs;
    omma_onnx_capture *captures, **captures_end;
    int n_captures;
} omma_onnx;

/* A name or string of field f as a 0-terminated copy. Fails when it holds a 0 byte or is
 * longer than max. */
omma_status omma_onnx_string(omma_onnx *o, const omma_pb *m, const omma_pb_field *f, size_t max,
                             const char **out);

/* Read a TensorProto. The value gets type, shape and data; data points into the file
 * where its layout allows. *name is "" when the tensor has none. The value is not part of
 * the graph yet. */
omma_status omma_onnx_tensor(omma_onnx *o, const omma_pb *m, const omma_pb_field *f, omma_value *v);

/* Read a GraphProto into o->graph, whose values o->values are to be; o->outer is NULL for the
 * model's own. */
omma_status omma_onnx_graph(omma_onnx *o, omma_pb m);

/* Read a graph attribute: a body with a scope of its own inside o. The values it takes from
 * o's are in *captures, by its inputs behind n_formal. */
omma_status omma_onnx_body(omma_onnx *o, const omma_pb *m, const omma_pb_field *f, omma_graph **out,
                           const omma_onnx_capture **captures);

/* Read a NodeProto into the graph. */
omma_status omma_onnx_node(omma_onnx *o, const omma_pb *m, const omma_pb_field *f);

/* Read an AttributeProto; *absent when it refers to an attribute the call does not give. */
omma_status omma_onnx_attr(omma_onnx *o, const omma_pb *m, const omma_pb_field *f, omma_attr *a,
                           bool *absent);

/* Remember where a FunctionProto is. */
omma_status omma_onnx_function_note(omma_onnx *o, const omma_pb *m, const omma_pb_field *f);

/* The function a node calls, or NULL. */
const struct omma_onnx_function *omma_onnx_function_find(const omma_onnx *o, const char *domain,
                                                         const char *name, const char *overload);

/* Read the function's body in the place of n, which is not in the graph: a node that has its
 * inputs, outputs (NULL where left out) and attributes. m, f: the node's record. */
omma_status omma_onnx_inline(omma_onnx *o, const omma_pb *m, const omma_pb_field *f,
                             const struct omma_onnx_function *fn, const omma_node *n);

/* An OperatorSetIdProto: sets *opset when it is the standard domain's. */
omma_status omma_onnx_opset(omma_onnx *o, const omma_pb *m, const omma_pb_field *f, int *opset);

/* The value of that name in this very scope, made if it is new. */
omma_status omma_onnx_value(omma_onnx *o, const omma_pb *m, const omma_pb_field *f,
                            const char *name, omma_value **out);

/* The value a reader of that name means: the scope's own, else one from around it, else a
 * new one of the scope. NULL for an argument the call leaves out. */
omma_status omma_onnx_value_read(omma_onnx *o, const omma_pb *m, const omma_pb_field *f,
                                 const char *name, omma_value **out);

/* Let a name of a function's scope mean a value of the caller, or NULL. */
omma_status omma_onnx_value_bind(omma_onnx *o, const char *name, omma_value *v);

/* Make a value of the graph the constant that omma_onnx_tensor read. Fails when something
 * writes it already. */
omma_status omma_onnx_settle(omma_onnx *o, const omma_pb *m, const omma_pb_field *f, omma_value *v,
                             const omma_value *tensor);

/* Remember an operator omma does not have, used by that node. */
omma_status omma_onnx_miss(omma_onnx *o, const char *op, const char *node);

/* The one message that lists them all; OMMA_OK when there are none. */
omma_status omma_onnx_missing_report(const omma_onnx *o, omma_error *err);

#endif
