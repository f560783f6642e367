/* report_layers.h - the layers of a model as parts of a report: what the field knows of them,
 * window and jump, and the exact lines of the picture that each line of cells sees. */
#ifndef OMMA_VIEW_REPORT_LAYERS_H
#define OMMA_VIEW_REPORT_LAYERS_H

#include "field/field_table.h"
#include "view/report.h"

/* Add the layers of f's model that have cells, in the model's order, to the model at hand. What an
 * elementwise operator or a move makes is no layer of its own where it sees what its input sees,
 * unless it ends a stage; it counts as that one.
 *   part  int [number of values of f's graph], by a value's index: receives the number of the layer
 *         whose cells are its cells, -1: none. NULL: not wanted.
 *   bound bool, likewise: receives true where the product of the lines may hold more than a cell
 *         sees; zeroed before by the caller. NULL: not wanted.
 * Returns what omma_report_layer does, OMMA_E_UNSUPPORTED (no input is a picture) or OMMA_E_NOMEM.
 */
omma_status omma_report_layers(omma_report *r, const omma_fov *f, int *part, bool *bound,
                               omma_error *err);

/* For plain reports, behind the layers: the cells of each that pixel y, x reaches, as runs of rows
 * and of columns.
 *   part  as omma_report_layers filled it.
 * Returns as it, and OMMA_E_RANGE (the picture has no such pixel). */
omma_status omma_report_reached(omma_report *r, const omma_fov *f, const int *part, int64_t y,
                                int64_t x, omma_error *err);

#endif
