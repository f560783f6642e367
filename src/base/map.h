/* map.h - from names to pointers: a hash map on an arena, for the names of one file. Names
 * are kept, not copied. Not thread-safe while it changes. */
#ifndef OMMA_BASE_MAP_H
#define OMMA_BASE_MAP_H

#include "base/arena.h"

typedef struct omma_map {
    omma_arena *arena;
    struct omma_map_slot {
        const char *name;
        void *item;
    } * slots;
    uint64_t seed;
    size_t count, cap; /* cap is a power of two, at most 3/4 full */
} omma_map;

void omma_map_init(omma_map *m, omma_arena *arena);

/* The item of that name, or NULL. */
void *omma_map_get(const omma_map *m, const char *name);

/* Set the item of a name, replacing an older one. Returns OMMA_OK or OMMA_E_NOMEM. */
omma_status omma_map_set(omma_map *m, const char *name, void *item);

#endif
