/* reference.h - a folder of tensors that another runtime computed, matched by their file names
 * with the values of a graph.
 *
 * A file STEM.npy or STEM.pb (an ONNX TensorProto) belongs to the value whose name
 *   1. is STEM, with '/' as '_', as `omma run -o` writes it;
 *   2. is STEM with %XX decoded, as URLs are written;
 *   3. equals STEM when everything but letters, digits and '.' is one kind of sign, and signs
 *      at the beginning are left out, if no other value does;
 *   4. or, for input_N and output_N as in the ONNX project's tests, is the graph's input or
 *      output N.
 * Earlier rules go before later ones for the whole folder, and .npy before .pb. */
#ifndef OMMA_MODEL_REFERENCE_H
#define OMMA_MODEL_REFERENCE_H

#include "graph/graph.h"

typedef struct omma_reference_file {
    char *name;              /* in the folder */
    const omma_value *value; /* NULL: of no value, or of one that has another file */
} omma_reference_file;

typedef struct omma_reference {
    const char *folder;
    omma_reference_file *files; /* *.npy and *.pb, by name */
    int n_files, n_unused;      /* n_unused: with value NULL */
    const char **by_value;      /* by value index of the graph: the file's name, or NULL */
} omma_reference;

/* List a folder and match it. Nothing is read of the files.
 *   folder  kept, not copied.
 *   arena   what r holds lies there.
 * Returns OMMA_OK (also when nothing matches), OMMA_E_IO, OMMA_E_RANGE (too many files) or
 * OMMA_E_NOMEM. */
omma_status omma_reference_open(omma_reference *r, const omma_graph *g, const char *folder,
                                omma_arena *arena, omma_error *err);

/* Read the tensor of a value that has a file. Returns as omma_npy_read. */
omma_status omma_reference_read(omma_tensor *out, const omma_reference *r, const omma_value *v,
                                omma_arena *arena, omma_error *err);

/* The value whose name comes nearest to a file's, NULL when none is near. */
const omma_value *omma_reference_near(const omma_graph *g, const char *file);

#endif
