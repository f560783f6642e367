/* decoder.h - a decoder of object queries layer by layer, found in the graph as the other parts are
 * (anatomy.h): where the queries stand behind each layer, which attention and which sampling are in
 * it, and the boxes that a model which refines them has behind each layer itself.
 *
 *     layer 0        layer 1                    last layer
 *     ... sum -norm-> out ... sum -norm-> out ... sum -norm-> out -heads-> boxes, scores
 *                      |                 |
 *                     box               box       read by the next layer's sampling
 *
 * The out of a layer is what the next one begins with, and that of the last layer what is made of
 * its sum in the same way. Boxes a model refines are known by what reads them: numbers of which
 * each query has four, from which the next layer's sampling takes its places; and the value on the
 * way to the answers that is made as these are is their counterpart behind the last layer. */
#ifndef OMMA_FIELD_DECODER_H
#define OMMA_FIELD_DECODER_H

#include "field/anatomy.h"

enum { OMMA_DECODER_SAMPLINGS = 8 };

typedef struct omma_decoder_layer {
    char label[96];
    int block;       /* as attentions number them */
    int self, cross; /* numbers of its attentions, the last of a kind; -1: none */
    int sampling[OMMA_DECODER_SAMPLINGS], n_sampling; /* numbers of its samplings */
    const omma_value *sum, *out;
    const omma_value *box; /* the model's own boxes behind it [.., queries, 4]; NULL: it has none,
                              and of the last layer: they are the answers */
} omma_decoder_layer;

/* About a sampling: behind it what it read, moved, times the weights of its points (NULL: not
 * found); and where the cells of the map that it reads lie in the picture. */
typedef struct omma_decoder_reading {
    const omma_value *read, *weight;
    bool placed; /* the graph says where; else the cells are taken to share the picture evenly */
    double first_y, first_x, jump_y, jump_x; /* [px] */
} omma_decoder_reading;

typedef struct omma_decoder {
    omma_decoder_layer *layer;
    int n_layer;                    /* 0: the model has no decoder that was understood */
    int64_t queries;                /* of one picture */
    const omma_answer *box, *score; /* NULL: none */
    const omma_value *start;        /* boxes that the first layer begins with; NULL */
    const omma_value *last_box;     /* the counterpart of layers' boxes on the way to the answers;
                                       NULL: no layer has a box of its own */
    const omma_value *row;          /* of the output of chosen boxes: which query row r is, element
                                       r * row_step; NULL: the rows of outputs are the queries */
    int64_t rows, row_step;
    omma_decoder_reading *reading; /* by sampling; zeros for those that are not the decoder's */
    const omma_value **needed;     /* that a run must keep for queries.h and sampled.h */
    int n_needed;
} omma_decoder;

/* Find a's decoder in f's graph; all is on arena and refers to both. Returns OMMA_OK (none is no
 * error) or OMMA_E_NOMEM. */
omma_status omma_decoder_find(omma_decoder *out, const omma_fov *f, const omma_anatomy *a,
                              omma_arena *arena, omma_error *err);

/* --- for decoder*.c ----------------------------------------------------------------------------
 */

typedef struct omma_decoder_search {
    omma_decoder *out;
    const omma_fov *f;
    const omma_graph *g;
    const omma_anatomy *a;
    omma_arena *keep;
    omma_arena tmp;
    int *seen, search; /* by value index: the number of the last comparison that was there */
    omma_error *err;
} omma_decoder_search;

/* By value index: is it made from v, v itself too? Is v made from it? On s->tmp; NULL: no memory.
 */
bool *omma_decoder_behind(omma_decoder_search *s, const omma_value *v);
bool *omma_decoder_ahead(omma_decoder_search *s, const omma_value *v);

/* Two ends of a comparison, and what is made of the first. */
typedef struct omma_decoder_ends {
    const omma_value *at[2];
    const bool *made; /* by value index: from at[0] */
} omma_decoder_ends;

/* How many nodes between e's ends and u and v these are made by alike. */
int omma_decoder_alike(omma_decoder_search *s, const omma_value *u, const omma_value *v,
                       const omma_decoder_ends *e);

/* Does n put elements elsewhere and no more? */
bool omma_decoder_moves(const omma_node *n);

/* Layers are known: the answers and boxes of layers (decoder_boxes.c); what is read where, with
 * which weights, and all that is needed (decoder_reads.c). */
omma_status omma_decoder_find_boxes(omma_decoder_search *s);
omma_status omma_decoder_find_reads(omma_decoder_search *s);
omma_status omma_decoder_find_needs(omma_decoder_search *s);

static inline omma_status omma_decoder_nomem(const omma_decoder_search *s) {
    return omma_fail(s->err, OMMA_E_NOMEM, "no memory for a decoder");
}

#endif
