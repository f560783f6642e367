/* move.h - what the rooms that only move elements share: one kernel for every copy between
 * two strided boxes, reading of indices, and small copies.
 *
 * A move is a box of dims elements, walked with one stride list in the source and one in the
 * destination. Transpose permutes strides, Expand sets source strides to 0, Slice multiplies
 * them by its steps, DepthToSpace is a Transpose of rank 6. Element types do not matter,
 * only their size: 1, 2, 4 or 8 bytes. */
#ifndef OMMA_OP_MOVE_H
#define OMMA_OP_MOVE_H

#include <string.h>

#include "op/op.h"

enum { OMMA_MOVE_RANK = 2 * OMMA_MAX_RANK };

/* The first block is filled by the room's infer, the second by omma_move_ready. Strides and
 * offsets are in elements; source strides may be 0 or negative, destination strides are
 * positive and no two elements share a destination. */
typedef struct omma_move {
    size_t size;
    int rank;
    int64_t dims[OMMA_MOVE_RANK], src[OMMA_MOVE_RANK], dst[OMMA_MOVE_RANK];
    int64_t src_at, dst_at; /* of the first element */

    bool empty, tiled;
    int64_t rows;            /* > 0: short rows of whole words, so many to a work item */
    int outer;               /* leading dims walked one by one */
    int64_t pieces, per_row; /* work items per outer position; of them in a row of tiles */
    int64_t items, grain;
} omma_move;

/* Simplify m (drop dims of 1, join dims that run on) and choose how to walk it. */
void omma_move_ready(omma_move *m);

/* Copy the box. The result does not depend on threads. */
void omma_move_run(const omma_exec *x, const omma_move *m, const void *src, void *dst);

/* Copy n bytes, quickly for the sizes of single elements. */
static inline void omma_move_bytes(void *dst, const void *src, size_t n) {
    switch (n) {
    case 4: memcpy(dst, src, 4); return;
    case 8: memcpy(dst, src, 8); return;
    case 1: memcpy(dst, src, 1); return;
    case 2: memcpy(dst, src, 2); return;
    default: memcpy(dst, src, n);
    }
}

/* n copies of one element of size bytes. */
void omma_move_fill(void *dst, const void *element, size_t size, int64_t n);

/* Index i of the int32 or int64 tensor v as it stands there. */
static inline int64_t omma_index_raw(const omma_value *v, int64_t i) {
    return v->dtype == OMMA_I32 ? ((const int32_t *)v->mem)[i] : ((const int64_t *)v->mem)[i];
}

/* The same brought from [-n, n) into [0, n), or -1 when it is outside. */
static inline int64_t omma_index(const omma_value *v, int64_t i, int64_t n) {
    int64_t k = omma_index_raw(v, i);
    return k >= n || k < -n ? -1 : k < 0 ? k + n : k;
}

/* The same of a list of type t, int32 or int64, which may lie at any address. */
static inline int64_t omma_index_of(omma_dtype t, const void *list, int64_t i, int64_t n) {
    int64_t k;
    int32_t half;
    memcpy(&half, (const char *)list + i * (t == OMMA_I32 ? 4 : 8), sizeof half);
    if (t == OMMA_I32) k = half;
    else memcpy(&k, (const char *)list + i * 8, sizeof k);
    return k >= n || k < -n ? -1 : k < 0 ? k + n : k;
}

/* Fail unless input i holds int32 or int64. */
omma_status omma_index_type(omma_build *b, const omma_node *n, int i);

/* The flops column of everything that only moves. */
static inline double omma_move_flops(const omma_node *n) {
    (void)n;
    return 0;
}

/* Why operators that make numbers from shapes or settings have no gradient and no field. */
#define OMMA_MOVE_NO_DATA "the output does not depend on the numbers of the input"

#endif
