/* set.h - a set of elements of a tensor, exact, with holes. Sets that convolutions and attention
 * make are nearly always products: some rows by some columns by all channels. So a set is a
 * product of parts; a part is a set of its own over one axis, or over several neighbouring ones
 * when no product will do:
 *
 *     x: [1, 64, 56, 56]      parts  {batch}  {all channels}  {rows 3..9}  {columns 5, 7, 9}
 *     the same, a ring        parts  {batch}  {all channels}  {a bit for each of 56*56 places}
 *
 * The union of two products that differ in one part is a product; if they differ in more, these
 * parts (and those between) become one. Bits never change once a set has them, so copies share
 * them; all memory is the arena's. A function that returns bool returns false when that is at its
 * end. */
#ifndef OMMA_FIELD_SET_H
#define OMMA_FIELD_SET_H

#include "field/bits.h"
#include "op/field.h"

typedef struct omma_set_part {
    int axes;             /* how many neighbouring axes */
    int64_t size;         /* the product of their dims */
    const uint64_t *bits; /* NULL: all of them */
} omma_set_part;

typedef struct omma_set {
    int rank;
    int64_t dims[OMMA_MAX_RANK];
    bool empty; /* then the parts say nothing */
    int n;
    omma_set_part part[OMMA_MAX_RANK];
} omma_set;

omma_set omma_set_all(int rank, const int64_t *dims);
omma_set omma_set_none(int rank, const int64_t *dims);

/* The one element with these indices. */
bool omma_set_one(omma_arena *a, omma_set *s, int rank, const int64_t *dims, const int64_t *at);

/* Those elements whose bit is set, row-major. */
bool omma_set_of_bits(omma_arena *a, omma_set *s, int rank, const int64_t *dims,
                      const uint64_t *bits);

/* s united with t, of the same dims. */
bool omma_set_unite(omma_arena *a, omma_set *s, const omma_set *t);

/* Only those of s whose bit is set, row-major. */
bool omma_set_restrict(omma_arena *a, omma_set *s, const uint64_t *only);

/* The same elements in the same row-major order under other dims. */
bool omma_set_reshape(omma_arena *a, omma_set *s, int rank, const int64_t *dims);

/* Axis d becomes axis perm[d] of what s was. */
bool omma_set_permute(omma_arena *a, omma_set *s, const int *perm);

/* Along axis: what its elements are made from (back), an axis of length n; or which of n are made
 * from its elements (forth). */
bool omma_set_map(omma_arena *a, omma_set *s, int axis, const omma_map *map, int64_t n, bool back);

/* Without axis: an element is there if any along the axis was. */
bool omma_set_drop(omma_arena *a, omma_set *s, int axis);

/* A new axis of length n before axis `at`, on which [first, first + count * step) are there. */
bool omma_set_insert(omma_arena *a, omma_set *s, int at, int64_t n, int64_t first, int64_t step,
                     int64_t count);

/* Is t in s? Same dims. False also when memory is at its end. */
bool omma_set_holds(omma_arena *a, const omma_set *s, const omma_set *t);

bool omma_set_has(const omma_set *s, const int64_t *at);
int64_t omma_set_count(const omma_set *s);

/* Is it everything? */
bool omma_set_is_all(const omma_set *s);

/* As bits, row-major, into memory of zeros: omma_bit_words(elements) words. */
bool omma_set_to_bits(omma_arena *a, const omma_set *s, uint64_t *bits);

/* What s is along axes [first, first + count): bits over their product, of the arena; an element
 * is there if any with these indices is. NULL when memory is at its end. */
const uint64_t *omma_set_along(omma_arena *a, const omma_set *s, int first, int count);

#endif
