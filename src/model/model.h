/* model.h - a loaded model: its file, its graph, what it declares. The file, and those that
 * hold its external data, stay mapped while the model lives, since the graph's constants
 * point into them. */
#ifndef OMMA_MODEL_MODEL_H
#define OMMA_MODEL_MODEL_H

#include "file/bytes.h"
#include "graph/graph.h"
#include "run/shared.h"

struct omma_model {
    char *path;
    omma_bytes file;
    bool allow_external;
    int folder;                     /* the file's, while it is read; -1: none */
    struct omma_external *external; /* files with the numbers of tensors; model/external.h */
    omma_budget budget;
    omma_arena arena;
    omma_graph *graph;
    omma_shared *shared; /* what its sessions share */
    omma_port *inputs, *outputs;
    int64_t ir_version;
    int opset;
    const char *producer; /* "" when the file does not say */
    int64_t parameters;   /* elements of all constants with more than one element */
    size_t parameter_bytes;
};

/* Read an ONNX file that is mapped at m->file into m->graph (its arena is ready).
 * Returns as omma_model_open. */
omma_status omma_onnx_read(omma_model *m, omma_error *err);

/* Read a file that holds one TensorProto (as the ONNX project's test data do). The data
 * is on arena and aligned. Returns OMMA_OK, OMMA_E_IO, OMMA_E_FORMAT, OMMA_E_UNSUPPORTED or
 * OMMA_E_NOMEM. */
omma_status omma_onnx_tensor_file(omma_tensor *out, const char *path, omma_arena *arena,
                                  omma_error *err);

#endif
