/* broadcast.h - the walk of operators that take tensors number by number, with ONNX's
 * multidirectional broadcasting (and the older one by attributes, before opset 7).
 *
 * omma_broadcast_plan, called by infer, collapses the shapes: neighbouring dimensions along
 * which every operand moves alike become one, so most cases end as one or two dimensions whose
 * innermost stride is 0 or 1. The output is then cut into pieces of at most OMMA_PIECE numbers:
 *
 *     rows at least ROW_MIN long    a piece is a part of one row; operands are read in place
 *     shorter rows                  a piece spans rows; broadcast operands are gathered first
 *
 * and omma_broadcast_walk, called by run, hands every piece to a function, which fetches its
 * operands with stride 0 or 1. Pieces do not depend on the number of threads.
 *
 * Trap: the output may lie on an input of its own type and shape, so every number must be read
 * before the same place is written. */
#ifndef OMMA_OP_BROADCAST_H
#define OMMA_OP_BROADCAST_H

#include <stdatomic.h>

#include "op/element.h"
#include "op/field.h"
#include "op/grad.h"

enum { OMMA_PIECE = 1024 };

/* An operand's strides in the collapsed output. */
typedef struct omma_operand {
    int64_t stride[OMMA_MAX_RANK];
    bool dense; /* laid out as the output is */
} omma_operand;

/* n->param: the collapsed output shape and the operands. */
typedef struct omma_spread {
    const void *op; /* the room's own: what to do */
    int rank;       /* >= 1 */
    int64_t dims[OMMA_MAX_RANK];
    int64_t count, pieces, per_row; /* per_row 0: pieces span rows */
    int64_t grain;
    bool along;                  /* input 1 lies along an axis of its own choice: */
    int64_t wide[OMMA_MAX_RANK]; /* its dims among the output's axes */
    int n_op;
    omma_operand in[];
} omma_spread;

/* A piece: n output numbers from number at; index is the place of its row in rows mode. */
typedef struct omma_piece {
    int64_t at, n, col;
    int64_t index[OMMA_MAX_RANK];
} omma_piece;

/* Room for a piece of any type. */
typedef union omma_piece_room {
    _Alignas(64) char c[8 * OMMA_PIECE];
    float f[OMMA_PIECE];
} omma_piece_room;

typedef struct omma_piece_job omma_piece_job;

/* What is done with a piece; false when a number has no answer (a division by zero). */
typedef bool (*omma_piece_fn)(const omma_piece_job *j, const omma_piece *w);

struct omma_piece_job {
    const omma_exec *x;
    const omma_node *n;
    const omma_spread *p;
    omma_piece_fn fn;
    _Atomic bool fault;
};

/* Broadcast all inputs of n, leave the plan in n->param with op in it, set output 0 to type t. */
omma_status omma_broadcast_plan(omma_build *b, omma_node *n, const void *op, omma_dtype t);

/* The same where input 1 lies along axis and on of input 0, as old opsets have it. */
omma_status omma_broadcast_along(omma_build *b, omma_node *n, const void *op, omma_dtype t,
                                 int axis);

/* Two operands by the rules of n's opset: before 7 by the attributes broadcast and axis. */
omma_status omma_broadcast_pair(omma_build *b, omma_node *n, const void *op, omma_dtype t);

/* Hand all pieces of the output to fn. Fails when fn returned false for one. */
omma_status omma_broadcast_walk(const omma_exec *x, const omma_node *n, omma_piece_fn fn);

/* Operand i's numbers of a piece, with stride 0 or 1; tmp has room for OMMA_PIECE of them. */
const void *omma_piece_get(const omma_piece_job *j, const omma_piece *w, int i, void *tmp,
                           int *stride);

/* The same, as float (in wide) when they are 16 bits wide. */
const void *omma_piece_wide(const omma_piece_job *j, const omma_piece *w, int i, void *tmp,
                            float *wide, int *stride);

/* Where a piece of the output goes. */
static inline void *omma_piece_out(const omma_piece_job *j, const omma_piece *w) {
    const omma_value *y = j->n->out[0];
    return (char *)y->mem + (size_t)w->at * omma_dtype_size(y->dtype);
}

/* --- the readings in reverse ---------------------------------------------------------------- */

/* Input i so that it broadcasts to the output by today's rules. */
omma_value *omma_broadcast_lined(omma_maker *m, const omma_node *n, int i);

/* Add c, of the output's shape, to the cotangent of input i: summed over what is repeated. */
omma_status omma_broadcast_back(omma_grad *g, const omma_node *n, int i, omma_value *c);

/* A row's field: as omma_field_elementwise, by the rules of n's opset. */
omma_status omma_broadcast_field(omma_field *f, const omma_node *n);

#endif
