/* field_table.h - the fields of a model's layers as rows to print, the same for people and
 * programs. */
#ifndef OMMA_FIELD_FIELD_TABLE_H
#define OMMA_FIELD_FIELD_TABLE_H

#include "field/fov.h"

/* Along one axis of the image, for the cell in the middle. */
typedef struct omma_field_axis {
    int64_t cells;      /* how many there are; 0: the layer has no cells along it */
    double jump;        /* from a cell's centre to the next's [px]; 0: none */
    double size;        /* of the window without the image's edges; INFINITY: everything */
    double centre;      /* of the middle cell [px] */
    double first;       /* of cell 0 [px] */
    double padding;     /* pixels that cell 0's window reaches beyond the edge */
    double least, most; /* sizes along the narrowest and the widest path */
    double astray;      /* how far apart centres of paths that met lay [px] */
    int64_t lo, hi;     /* first and last line of the image that the middle cell sees */
    int64_t seen;       /* how many lines it sees, on this axis alone */
    int64_t starved;    /* border cells (at one end) more than half of whose window is padding */
} omma_field_axis;

/* Advice, as bits. */
enum {
    OMMA_ADVICE_UNPRODUCTIVE = 1, /* every path saw the whole picture before; this widens on */
    OMMA_ADVICE_GRIDDING = 2,     /* there are holes in what a cell sees */
    OMMA_ADVICE_ASTRAY = 4,       /* paths met whose centres differ by half a pixel or more */
    OMMA_ADVICE_STARVED = 8       /* border cells that mostly see padding */
};

typedef struct omma_field_row {
    const omma_value *value;
    const omma_node *node;    /* that makes it */
    char label[96];           /* a readable name */
    omma_digit rows, columns; /* where the cells of an element are found */
    bool stage;               /* the last of its stage: the same cells, the same reach of context */
    bool whole;               /* a path sees the whole image */
    bool odd;                 /* one sees what no window describes */
    omma_field_axis y, x;
    double coverage; /* share of the hull of what the middle cell sees that it sees */
    double share;    /* of the image */
    omma_fov_status status;
    unsigned advice;
} omma_field_row;

typedef struct omma_field_table {
    const omma_value *image;
    int down, across; /* its rows' and columns' axes */
    omma_field_row *row;
    int count;
    double lowest, highest; /* feasible sides of inputs: the widest field along narrowest paths,
                               and the widest field [px] */
} omma_field_table;

/* The rows of f's model, on arena.
 *   paths  as for a walk
 *   all    what the middle cell sees (lo, hi, seen, coverage, share, status, advice) is found out
 *          for every row; else for the stages only, which is much less work where walks are needed
 * Returns OMMA_OK, OMMA_E_UNSUPPORTED (no input is a picture) or OMMA_E_NOMEM. */
omma_status omma_field_table_make(omma_field_table *t, const omma_fov *f, unsigned paths, bool all,
                                  omma_arena *arena, omma_error *err);

/* A readable name for v: the path of the module that made it, without what exporters add. */
void omma_field_label(char *out, size_t size, const omma_value *v);

/* The index of cell (y, x) of v for omma_fov_walk: -1 along all other axes. Returns false when it
 * has no such cell. */
bool omma_field_cell(const omma_value *v, const omma_digit *rows, const omma_digit *columns,
                     int64_t y, int64_t x, int64_t *at);

#endif
