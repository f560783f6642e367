/* onnx_reader.h - what the files of the ONNX door share: the state of one reading. */
#ifndef OMMA_MODEL_ONNX_READER_H
#define OMMA_MODEL_ONNX_READER_H

#include "base/map.h"
#include "file/protobuf.h"
#include "model/model.h"

enum { OMMA_ONNX_NAME_MAX = 1024, OMMA_ONNX_DEPTH_MAX = 64 };

typedef struct omma_onnx {
    omma_model *model;
    omma_graph *graph;
    omma_arena *arena;
    omma_map values;  /* name -> omma_value */
    omma_map unknown; /* "op" -> omma_onnx_missing, operators omma lacks */
    struct omma_onnx_missing *missing, **missing_end;
    int n_missing;
} omma_onnx;

/* A name or string of field f as a 0-terminated copy. Fails when it holds a 0 byte or is
 * longer than max. */
omma_status omma_onnx_string(omma_onnx *o, const omma_pb *m, const omma_pb_field *f, size_t max,
                             const char **out);

/* Read a TensorProto. The value gets type, shape and data; data points into the file
 * where its layout allows. *name is "" when the tensor has none. The value is not part of
 * the graph yet. */
omma_status omma_onnx_tensor(omma_onnx *o, const omma_pb *m, const omma_pb_field *f, omma_value *v);

/* Read a NodeProto into the graph. */
omma_status omma_onnx_node(omma_onnx *o, const omma_pb *m, const omma_pb_field *f);

/* The value of that name, made if it is new. */
omma_status omma_onnx_value(omma_onnx *o, const omma_pb *m, const omma_pb_field *f,
                            const char *name, omma_value **out);

/* Put a constant read by omma_onnx_tensor into the graph under name. Fails when the name
 * is already written by something. */
omma_status omma_onnx_constant(omma_onnx *o, const omma_pb *m, const omma_pb_field *f,
                               const char *name, const omma_value *tensor);

/* Remember an operator omma does not have, used by that node. */
omma_status omma_onnx_miss(omma_onnx *o, const char *op, const char *node);

/* The one message that lists them all; OMMA_OK when there are none. */
omma_status omma_onnx_missing_report(const omma_onnx *o, omma_error *err);

#endif
