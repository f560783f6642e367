/* external.h - numbers that a model keeps in files of their own (ONNX "external data"): the
 * one door for every kind of tensor.
 *
 * A model that was fetched from somewhere names files here, so nothing it says is believed: the
 * name is a plain relative one, it is looked up below the model's own folder without following
 * a link, what is found is a regular file with a single name, and offset and length lie
 * within it. The checks are made on the descriptor that is then mapped, so there is
 * nothing to exchange between check and use. And all of it happens only when the caller
 * asked for it (omma_options.allow_external). Source: ONNX's ExternalData.md. */
#ifndef OMMA_MODEL_EXTERNAL_H
#define OMMA_MODEL_EXTERNAL_H

#include "model/onnx_reader.h"

/* What a TensorProto says of where its numbers are; starts as {0}. */
typedef struct omma_external_ref {
    const char *location; /* NULL: not said */
    bool has_offset, has_length;
    uint64_t offset, length; /* [bytes] */
} omma_external_ref;

/* Read one StringStringEntryProto (field f) into ref. Keys omma does not know are ignored, the
 * checksum among them. Returns OMMA_OK, OMMA_E_FORMAT (a key given twice, a number that is none)
 * or OMMA_E_NOMEM. */
omma_status omma_external_entry(omma_onnx *o, const omma_pb *m, const omma_pb_field *f,
                                omma_external_ref *ref);

/* The bytes of tensor v, of known type and shape: exactly `bytes` of them, in a file that stays
 * mapped while the model lives. Faults are told at field f of m, naming tensor and file. Returns
 * OMMA_OK, OMMA_E_UNSUPPORTED (external data are not allowed), OMMA_E_FORMAT, OMMA_E_IO or
 * OMMA_E_NOMEM. */
omma_status omma_external_data(omma_onnx *o, const omma_pb *m, const omma_pb_field *f,
                               omma_value *v, const omma_external_ref *ref, size_t bytes);

/* Unmap a model's files. */
void omma_external_free(omma_model *m);

/* Open the folder that holds the file `path` -> a descriptor, or -1 and errno. *name is
 * the rest of path. */
int omma_external_folder(const char *path, const char **name);

/* Open a name below a folder for reading -> a descriptor, or -1 and errno. No link is
 * followed, nor does the name lead out: by openat2 where the kernel has it, else, and always
 * when walk is set (for tests), component by component. The caller has checked the name with
 * omma_external_plain. */
int omma_external_open(int folder, const char *name, bool walk);

/* Why a name is not a plain relative one, or NULL when it is. */
const char *omma_external_plain(const char *name);

#endif
