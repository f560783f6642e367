/* sampled.h - the points that the samplings of a decoder read in a run (deformable attention, Zhu
 * et al. 2021), as pixels of the picture, and the weight of each.
 *
 * A grid's number g from -1 to 1 is cell ((g + 1) * W - 1) / 2 of a map W cells wide, or with
 * align_corners (g + 1) / 2 * (W - 1); cell c lies at first + jump * c in the picture, by the map's
 * own centres where the graph says them, else as if cells shared the picture evenly. */
#ifndef OMMA_FIELD_SAMPLED_H
#define OMMA_FIELD_SAMPLED_H

#include "field/sight.h"

typedef struct omma_sampled {
    int64_t queries, heads, points; /* of one picture, points of one head */
    float *place;                   /* [queries, heads, points, 2]: y, x [px]; a pixel's centre is a
                                       whole number, points may lie outside */
    float *weight;                  /* [queries, heads, points]; NULL: not found */
    int n_level;
    int64_t level[OMMA_DECODER_SAMPLINGS]; /* points of each map, which follow each other */
    bool placed;                           /* all maps' places are the graph's */
} omma_sampled;

/* Those of a layer of the decoder, all maps together, for the first picture; on arena. Returns
 * OMMA_OK, OMMA_E_NOTFOUND (the layer samples nothing), OMMA_E_UNSUPPORTED (its samplings have
 * different heads) or OMMA_E_NOMEM. */
omma_status omma_sampled_look(omma_sampled *out, omma_sight *s, int layer, omma_arena *arena,
                              omma_error *err);

#endif
