/* index_map.h - what the rooms share that read or write by index, or choose elements: lists of
 * places, and the maps of a field they make. A field is exact as far as the indices are known
 * (field.h); where they are not it is all that could be read, and a bound. */
#ifndef OMMA_OP_INDEX_MAP_H
#define OMMA_OP_INDEX_MAP_H

#include "op/field.h"

/* For every element of index, in order, its place (row-major) in data, where the coordinate along
 * axis is replaced by the element: ScatterElements, GatherElements. numbers are index's. -1: it
 * lies outside. NULL: out of memory. */
int64_t *omma_index_places(omma_arena *a, const omma_value *data, const omma_value *index,
                           const void *numbers, int axis);

/* The same for tuples of depth numbers, the last axis of index, which point into the first depth
 * dims of dims. With count > 0, the tuples of batch b = tuple / count are counted from place b *
 * (product of these dims) on: GatherND. */
int64_t *omma_index_tuples(omma_arena *a, const int64_t *dims, int depth, const omma_value *index,
                           const void *numbers, int64_t count);

/* Do no two of n places, each below size, coincide? false also when out of memory. */
bool omma_index_distinct(omma_arena *a, const int64_t *place, int64_t n, int64_t size);

/* The o-th index of axis `from`, of n, is made from item[o]; from nothing where that is negative.
 * Failure is in f->status. */
omma_map omma_map_picked(omma_field *f, int from, const int64_t *item, int64_t n);

/* The other way around: the i-th of n sources goes to place[i] of axis `from`, outs long (nowhere
 * if negative). An index is made from all that go there, or only from the last of them. */
omma_map omma_map_placed(omma_field *f, int from, int64_t outs, const int64_t *place, int64_t n,
                         bool last);

/* n bits, all set, for out_only and in_only; NULL when out of memory, which is in f->status. */
uint64_t *omma_field_bits(omma_field *f, int64_t n);

/* Clear bits [from, to). */
void omma_field_bits_clear(uint64_t *bits, int64_t from, int64_t to);

/* As omma_field_relate, with every axis at the same index (the shapes are the same). */
omma_relation *omma_field_relate_same(omma_field *f, int k, int i);

/* As omma_field_whole, where that is more than one image uses: sizes that the data decides. */
omma_status omma_field_whole_bound(omma_field *f, const omma_node *n);

#endif
