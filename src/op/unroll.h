/* unroll.h - sequences written out a step at a time, for nodes that carry a state along them. */
#ifndef OMMA_OP_UNROLL_H
#define OMMA_OP_UNROLL_H

#include "op/make.h"

/* The most nodes that one node may become. */
enum { OMMA_UNROLL_MAX = 1 << 16 };

/* Would steps of so many nodes each be too many? Then m fails, and says so; returns m->status. */
omma_status omma_unroll_check(omma_maker *m, int64_t steps, int64_t nodes);

/* Room for a value by step, from the maker's arena; NULL: m fails. */
omma_value **omma_unroll_list(omma_maker *m, int64_t steps);

/* v cut along axis into count equal pieces; false when it failed, or v is NULL. */
bool omma_unroll_cut(omma_maker *m, omma_value *v, int axis, int64_t count, omma_value **piece);

#endif
