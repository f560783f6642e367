/* taps.h - the indices that a map gives for one index of an output, those that lie inside: a window
 * may be 2^31 wide, and an input is not. */
#ifndef OMMA_FIELD_TAPS_H
#define OMMA_FIELD_TAPS_H

#include "op/field.h"

/* Taps [begin, end); tap t is omma_tap(m, &taps, t). A list's may lie outside all the same. */
typedef struct omma_taps {
    int64_t begin, end, base;
} omma_taps;

/* Of output o, for an input of length n. */
static inline omma_taps omma_taps_of(const omma_map *m, int64_t o, int64_t n) {
    if (m->item) return (omma_taps){m->start[o], m->start[o + 1], 0};
    const int64_t d = m->dilation;
    omma_taps t = {0, m->count, o / m->div * m->stride + m->first};
    if (d <= 0) return t;
    if (t.base < 0) t.begin = (d - 1 - t.base) / d;
    const int64_t inside = t.base < n ? (n - 1 - t.base) / d + 1 : 0;
    if (inside < t.end) t.end = inside;
    return t;
}

static inline int64_t omma_tap(const omma_map *m, const omma_taps *t, int64_t k) {
    return m->item ? m->item[k] : t->base + k * m->dilation;
}

#endif
