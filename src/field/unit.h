/* unit.h - one unit of a network (a cell of a feature map with all its channels, or a token), and
 * which pixels of the picture its value can depend on: what an effective field is measured against.
 *
 *     value "layer2", cell 3, 5      ->  its numbers in [1,128,28,28], 128 of them
 *     value "tokens", token 17       ->  its numbers in [1,197,768], 768 of them
 *
 * Where the rows and columns of cells lie in a value the graph itself says (reach.h), for maps in
 * either layout and for sequences of tokens. */
#ifndef OMMA_FIELD_UNIT_H
#define OMMA_FIELD_UNIT_H

#include "field/reach.h"

typedef struct omma_unit {
    const char *value; /* its name in the model */
    bool by_token;     /* else it is the cell y, x */
    int64_t y, x;      /* -1: the middle one, rows / 2 and columns / 2 */
    int64_t token;     /* its number along the sequence */
} omma_unit;

/* A tensor that is one picture: [1, C, H, W] with at most four channels, else [1, H, W, C]. */
typedef struct omma_picture {
    int rows, columns; /* the axes */
    int64_t channels, height, width;
    int64_t step_c, step_y, step_x; /* [elements] */
} omma_picture;

/* Returns OMMA_OK or OMMA_E_SHAPE; name is for the message. */
omma_status omma_picture_find(omma_picture *p, const omma_tensor *t, const char *name,
                              omma_error *err);

/* Its numbers, colour by colour, [channels, height, width]; and back, rounded to t's type. */
void omma_picture_read(double *out, const omma_picture *p, const omma_tensor *t);
void omma_picture_write(omma_tensor *t, const omma_picture *p, const double *x);

/* Where the rows and columns of cells lie in a value; axis -1: it has none. */
typedef struct omma_cell_axes {
    omma_digit row, column;
    bool by_looks; /* the graph does not say: it is taken for a map [1, C, H, W] */
} omma_cell_axes;

/* Find them in v, of whose rows and columns the reaches are given. */
void omma_cell_axes_find(omma_cell_axes *c, const omma_value *v, const omma_reach *rows,
                         const omma_reach *columns);

/* The row of cells that index i on axis c->row.axis belongs to (column: likewise); -1: none, as a
 * class token. */
int64_t omma_cell_axes_at(const omma_cell_axes *c, const omma_value *v, bool column, int64_t i);

typedef struct omma_unit_field {
    /* the unit's value, and where in it the unit's numbers are [elements], channel by channel */
    omma_tensor value; /* data NULL */
    int64_t channels;
    const int64_t *element;
    int64_t rows, columns, y, x; /* of cells, and which it is; rows 0: it is no cell */
    omma_picture picture;
    /* The structural field of all its channels: a bit for each pixel, row-major, set where any
     * of the pixel's channels is seen. */
    const uint64_t *seen;
    int64_t n_seen;
    const uint64_t *nearly; /* the same, if masks of large finite numbers blocked nothing */
    unsigned met;           /* OMMA_MET_...: what the field is */
    /* Its true centre [px]: of the window that the cell looks through, as if the picture had no
     * edges; where no window describes it (adrift), the middle of what is seen. */
    double centre_y, centre_x;
    bool adrift;
} omma_unit_field;

/* Find a unit in a model for inputs of these shapes.
 *   image  which of the inputs is the picture.
 *   arena  what out points to lives there.
 * Returns OMMA_OK, OMMA_E_NOTFOUND (no such value), OMMA_E_RANGE (no such cell or token),
 * OMMA_E_USAGE (the value has no cells), OMMA_E_SHAPE (no picture), OMMA_E_NOMEM, or what the
 * field reports (fields.h). */
omma_status omma_unit_look(omma_unit_field *out, const omma_graph *model, const omma_unit *unit,
                           const omma_tensor *inputs, int image, omma_arena *arena,
                           omma_error *err);

#endif
