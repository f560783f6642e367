/* safetensors.h - named arrays in one file: weights and checkpoints.
 *
 *     u64 length   header: JSON, padded with spaces           numbers
 *     8 bytes      {"name": {"dtype": "F32", "shape": [2, 3],  little-endian, row-major,
 *                   "data_offsets": [0, 24]}, ...,             one tensor behind the other
 *                   "__metadata__": {"key": "text"}}
 *
 * The file is hostile. The header is at most 100,000,000 bytes and begins with '{'; no name occurs
 * twice; a tensor's bytes are exactly its shape times its element; and the tensors, in the
 * order of their offsets, cover the numbers without a hole and without an overlap. The
 * first fault is told with its byte. Source: the safetensors format, README and
 * safetensors/src/tensor.rs. Test: tests/test_safetensors.c. */
#ifndef OMMA_FILE_SAFETENSORS_H
#define OMMA_FILE_SAFETENSORS_H

#include "file/bytes.h"

enum { OMMA_SAFETENSORS_HEADER = 100000000, OMMA_SAFETENSORS_NAME = 1024 }; /* [bytes] */

/* A tensor of a file, or to be written. t.data must not be written to when it was read. */
typedef struct omma_safetensor {
    const char *name; /* UTF-8, at most OMMA_SAFETENSORS_NAME bytes */
    omma_tensor t;
} omma_safetensor;

/* An entry of __metadata__. */
typedef struct omma_safetensors_note {
    const char *key, *text;
} omma_safetensors_note;

/* An open file. */
typedef struct omma_safetensors {
    omma_arena arena;
    omma_bytes file;
    omma_safetensor *items; /* in the order of their offsets */
    int count;
    omma_safetensors_note *notes;
    int n_notes;
} omma_safetensors;

/* Open a file. It is held as omma_bytes_hold does, mapped as a rule, and tensors point into it
 * where they lie aligned to their elements (as all known writers put them); others are copied. It
 * must not change while it is open. out     free with omma_safetensors_free, also after an error.
 *   budget  is charged with copies and names; may be NULL; outlives out.
 * Returns OMMA_OK, OMMA_E_IO, OMMA_E_FORMAT, OMMA_E_RANGE (a header or name too long),
 * OMMA_E_UNSUPPORTED (an element type omma lacks, by its name; more than OMMA_MAX_RANK
 * dimensions) or OMMA_E_NOMEM. Thread-safe. */
omma_status omma_safetensors_open(omma_safetensors *out, const char *path, omma_budget *budget,
                                  omma_error *err);

/* As omma_safetensors_open, from size bytes at data, which outlive out. name is what messages
 * call them; may be NULL. */
omma_status omma_safetensors_decode(omma_safetensors *out, const void *data, size_t size,
                                    const char *name, omma_budget *budget, omma_error *err);

void omma_safetensors_free(omma_safetensors *s);

/* The tensor of that name, or NULL. */
const omma_tensor *omma_safetensors_find(const omma_safetensors *s, const char *name);

/* The text of __metadata__'s key, or NULL. */
const char *omma_safetensors_text(const omma_safetensors *s, const char *key);

/* Write a file, atomically (file/bytes.h), aligned, without a copy of the numbers in memory.
 *   items  count tensors with different names.
 *   notes  n_notes entries for __metadata__; may be NULL when 0.
 * Returns OMMA_OK, OMMA_E_USAGE (a name given twice, or "__metadata__"), OMMA_E_UNSUPPORTED (an
 * element type the format lacks), OMMA_E_RANGE, OMMA_E_IO or OMMA_E_NOMEM. */
omma_status omma_safetensors_write(const char *path, const omma_safetensor *items, int count,
                                   const omma_safetensors_note *notes, int n_notes,
                                   omma_error *err);

#endif
