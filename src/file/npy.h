/* npy.h - NumPy's .npy files: one array each.
 *
 * Read: versions 1.0, 2.0 and 3.0; little- and big-endian; C and Fortran order (turned
 * into C order); every omma_dtype except string and bfloat16, which .npy does not have.
 * Written: version 1.0, little-endian, C order, the header byte for byte as numpy 1.24
 * writes it. Booleans other than 0 and 1 are read as 1.
 * Source: numpy.lib.format. The file is hostile: its length must be exactly what its
 * header says. */
#ifndef OMMA_FILE_NPY_H
#define OMMA_FILE_NPY_H

#include "base/arena.h"

/* Read an array.
 *   out    receives type, shape and data.
 *   arena  owns out->data.
 * Returns OMMA_OK, OMMA_E_IO, OMMA_E_FORMAT (with the byte), OMMA_E_RANGE (rank above
 * OMMA_MAX_RANK, a product of dimensions that overflows), OMMA_E_UNSUPPORTED (text,
 * records, complex numbers, objects) or OMMA_E_NOMEM. */
omma_status omma_npy_read(omma_tensor *out, omma_arena *arena, const char *path, omma_error *err);

/* As omma_npy_read, from memory.
 *   data  size bytes, read during the call only.
 *   name  what messages call it; may be NULL. */
omma_status omma_npy_decode(omma_tensor *out, omma_arena *arena, const void *data, size_t size,
                            const char *name, omma_error *err);

/* Write an array, atomically. Returns OMMA_OK, OMMA_E_UNSUPPORTED (string, bfloat16),
 * OMMA_E_RANGE, OMMA_E_IO or OMMA_E_NOMEM. */
omma_status omma_npy_write(const omma_tensor *t, const char *path, omma_error *err);

/* As omma_npy_write, into memory: *out is size bytes of the arena's. */
omma_status omma_npy_encode(unsigned char **out, size_t *size, omma_arena *arena,
                            const omma_tensor *t, omma_error *err);

#endif
