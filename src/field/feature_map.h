/* feature_map.h - a feature map that an attribution looks at: which cell each of its numbers
 * belongs to, in whatever layout (channels first or last, heads apart, a sequence of tokens), and
 * where the cells lie in the picture.
 *
 * A cell is drawn at its centre, which the graph says (reach.h), and between centres bilinearly:
 * enlarging the map would misplace the cells of a ResNet by 15.5 px. */
#ifndef OMMA_FIELD_FEATURE_MAP_H
#define OMMA_FIELD_FEATURE_MAP_H

#include "field/target.h"

typedef struct omma_feature_map {
    const char *name;
    int64_t rows, columns, channels;
    omma_tensor value;    /* its shape; data NULL */
    int64_t count;        /* its numbers */
    const int64_t *place; /* by number: its place in [channels, rows, columns]; -1: it belongs to
                             no cell, as a class token's */
    bool placed;          /* the graph says where cells lie; else they are taken to share the
                             picture evenly */
    double first_y, step_y, first_x, step_x; /* centre of cell r, c: first + step * r [px] */
} omma_feature_map;

/* Find one.
 *   name    a value of the model; NULL: the last with more than one cell that the target depends
 *           on through numbers. Values that only become weights of an attention, or only go through
 *           a softmax, are passed over, as is the target's own value.
 *   inputs  the model's: shapes
 *   arena   what out points to lives there.
 * Returns OMMA_OK, OMMA_E_NOTFOUND, OMMA_E_USAGE (the value has no cells), OMMA_E_UNSUPPORTED
 * (there is none to be found, or an operator has no field) or OMMA_E_NOMEM. */
omma_status omma_feature_map_find(omma_feature_map *out, const char *name, const omma_graph *model,
                                  const omma_aim *aim, const omma_tensor *inputs, int image,
                                  const omma_picture *picture, omma_arena *arena, omma_error *err);

/* Numbers of the value t, [channels, rows * columns]. */
void omma_feature_map_read(double *out, const omma_feature_map *m, const omma_tensor *t);

/* A number for each cell, [rows * columns], over the picture: map [height, width]. */
void omma_feature_map_draw(double *map, const omma_feature_map *m, const double *cells,
                           const omma_picture *picture);

#endif
