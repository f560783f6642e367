/* cells.h - the field of every cell of every layer at once: for each value that has rows and
 * columns of cells, which rows of the image each row of cells sees, and which columns each
 * column. A cell (all its channels together) sees the product. One walk from the image on, so all
 * of a network costs what a few units would one by one. */
#ifndef OMMA_FIELD_CELLS_H
#define OMMA_FIELD_CELLS_H

#include "field/reach.h"

/* Along one axis of the image. */
typedef struct omma_lines {
    omma_digit digit; /* which line of cells an element belongs to; axis -1: all see the same */
    int64_t cells;    /* how many lines there are; 1 where axis is -1 */
    int64_t words;    /* of a line's bits */
    uint64_t *bits;   /* [cells][words]: the image's lines that each sees; NULL: none of them */
} omma_lines;

typedef struct omma_cell_field {
    omma_lines rows, columns;
    bool mixed; /* some channels see less than the others of their cell */
    bool bound; /* the product holds more than the cell sees */
} omma_cell_field;

/* By value index, on arena; rows are axis `down` of the image, columns axis `across`. NULL when
 * memory is at its end. */
omma_cell_field *omma_cells(const omma_fields *f, const omma_value *image, int down, int across,
                            unsigned paths, omma_arena *arena);

#endif
