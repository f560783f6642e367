/* map.c - open addressing with FNV-1a; see map.h. The hash starts from the map's
 * address, which differs from run to run: nobody can write a file whose names all collide. */
#include "base/map.h"

#include <string.h>

static size_t hash(const omma_map *m, const char *s) {
    uint64_t h = 0xcbf29ce484222325u ^ m->seed;
    for (; *s; s++) h = (h ^ (unsigned char)*s) * 0x100000001b3u;
    h ^= h >> 32;
    return (size_t)(h * 0x9e3779b97f4a7c15u >> 16);
}

void omma_map_init(omma_map *m, omma_arena *arena) {
    *m = (omma_map){.arena = arena, .seed = (uint64_t)(uintptr_t)m * 0x9e3779b97f4a7c15u};
}

static struct omma_map_slot *find(const omma_map *m, const char *name) {
    size_t i = hash(m, name) & (m->cap - 1);
    while (m->slots[i].name && strcmp(m->slots[i].name, name)) i = (i + 1) & (m->cap - 1);
    return &m->slots[i];
}

void *omma_map_get(const omma_map *m, const char *name) {
    return m->cap ? find(m, name)->item : NULL;
}

static omma_status grow(omma_map *m) {
    omma_map bigger = {
        .arena = m->arena, .seed = m->seed, .count = m->count, .cap = m->cap ? m->cap * 2 : 64};
    bigger.slots = omma_arena_array(m->arena, bigger.cap, sizeof *bigger.slots);
    if (!bigger.slots) return OMMA_E_NOMEM;
    for (size_t i = 0; i < m->cap; i++)
        if (m->slots[i].name) *find(&bigger, m->slots[i].name) = m->slots[i];
    *m = bigger;
    return OMMA_OK;
}

omma_status omma_map_set(omma_map *m, const char *name, void *item) {
    if (m->count * 4 >= m->cap * 3) OMMA_TRY(grow(m));
    struct omma_map_slot *s = find(m, name);
    if (!s->name) m->count++;
    *s = (struct omma_map_slot){name, item};
    return OMMA_OK;
}
