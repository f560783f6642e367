/* onnx_write.h - a graph to an ONNX file: the way back through the door of onnx.c. */
#ifndef OMMA_MODEL_ONNX_WRITE_H
#define OMMA_MODEL_ONNX_WRITE_H

#include "model/model.h"

/* Write a graph as an ONNX model, atomically. Weights go from where they lie to the file.
 *   path   the file; one that exists is replaced when the new one is complete.
 *   g      operators of ONNX's standard domain, all of the model's operator set. Bodies of
 *          branches and loops are written too. Names that begin with "omma:", which a file may not
 *          have, begin with "omma_" there.
 *   like   the model that tells what the inputs and outputs (g's have their names), the IR version
 *          and the operator set are.
 * Returns OMMA_OK, OMMA_E_UNSUPPORTED (an operator of omma's own, two operator sets), OMMA_E_RANGE
 * (more than the 2 GiB a file of this kind may have), OMMA_E_IO or OMMA_E_NOMEM. On error no new
 * file is left. */
omma_status omma_onnx_write(const char *path, const omma_graph *g, const omma_model *like,
                            omma_error *err);

#endif
