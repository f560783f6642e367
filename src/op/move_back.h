/* move_back.h - makers the rooms share whose operators move elements: what carries a cotangent
 * back where elements were cut out, taken at steps, or read by index. Every move is a linear map
 * of ones and zeros; these are their transposes, written with other moves. */
#ifndef OMMA_OP_MOVE_BACK_H
#define OMMA_OP_MOVE_BACK_H

#include "op/make.h"

/* Zeros of this type and shape. */
omma_value *omma_move_zeros(omma_maker *m, omma_dtype t, int rank, const int64_t *dims);

/* x with before[d] zeros before and after[d] behind along every axis d; negative numbers cut. x
 * itself where nothing changes. */
omma_value *omma_move_padded(omma_maker *m, omma_value *x, const int64_t *before,
                             const int64_t *after);

/* The same along one axis. */
omma_value *omma_move_padded_axis(omma_maker *m, omma_value *x, int axis, int64_t before,
                                  int64_t after);

/* The transpose of a slice: along axis, which becomes dim long, slice i of x stands at first + i *
 * step, zeros elsewhere. step != 0, and all places lie inside. */
omma_value *omma_move_spaced(omma_maker *m, omma_value *x, int axis, int64_t first, int64_t step,
                             int64_t dim);

/* The transpose of Gather: zeros in like's shape, to which the slice of x for each index is added
 * at that index along axis.
 *   x      like's dims before axis, those of index, like's dims behind axis
 *   index  int32 or int64, in [-dim, dim) */
omma_value *omma_move_scattered(omma_maker *m, omma_value *x, omma_value *index,
                                const omma_value *like, int axis);

#endif
