/* carry.h - a set along one relation of a node (op/field.h). */
#ifndef OMMA_FIELD_CARRY_H
#define OMMA_FIELD_CARRY_H

#include "field/set.h"

/* x: what the elements y of the output are made from, a set of value `in`. */
bool omma_carry_back(omma_arena *a, omma_set *x, const omma_set *y, const omma_relation *r,
                     const omma_value *in);

/* y: the elements of value `out` that are made from any of x. */
bool omma_carry_forth(omma_arena *a, omma_set *y, const omma_set *x, const omma_relation *r,
                      const omma_value *out);

#endif
