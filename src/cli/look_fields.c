/* look_fields.c - the layers of a report: what their cells can see. */
#include "cli/look_job.h"
#include "view/report_layers.h"

/* The layers, and the cell that the page begins with: the middle one of the last stage that sees
 * less than a fifth of the picture. */
omma_status omma_look_put_layers(omma_look_job *j, omma_error *err) {
    const omma_fov *f = omma_sight_fov(j->sight);
    omma_report_unit start = {.what = OMMA_REPORT_CELL, .part = -1};
    j->part =
        omma_arena_array(&j->arena, (size_t)f->specialised.graph->n_values + 1, sizeof *j->part);
    if (!j->part) return omma_fail(err, OMMA_E_NOMEM, "no memory for a report");
    OMMA_TRY(omma_report_layers(j->report, f, j->part, err));
    for (int i = 0; i < j->table.count; i++) {
        const omma_field_row *r = &j->table.row[i];
        const int part = j->part[r->value->index];
        if (!r->stage || part < 0 || (start.part >= 0 && r->share >= 0.2)) continue;
        start.part = part, start.y = r->y.cells / 2, start.x = r->x.cells / 2;
    }
    return start.part < 0 ? OMMA_OK : omma_report_start(j->report, &start, err);
}
