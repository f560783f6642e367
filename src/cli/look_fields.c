/* look_fields.c - the layers of a report: what their cells can see. */
#include "cli/look_job.h"
#include "view/report_layers.h"

omma_status omma_look_put_layers(omma_look_job *j, omma_error *err) {
    const omma_fov *f = omma_sight_fov(j->sight);
    const size_t n = (size_t)f->specialised.graph->n_values + 1;
    j->part = omma_arena_array(&j->arena, n, sizeof *j->part);
    j->bound = omma_arena_array(&j->arena, n, sizeof *j->bound);
    if (!j->part || !j->bound) return omma_fail(err, OMMA_E_NOMEM, "no memory for a report");
    return omma_report_layers(j->report, f, j->part, j->bound, err);
}

omma_status omma_look_put_pixels(omma_look_job *j, omma_error *err) {
    for (int i = 0; i < j->n_unit && (j->json || j->png); i++)
        if (j->unit[i].what == OMMA_REPORT_PIXEL)
            OMMA_TRY(omma_report_reached(j->report, omma_sight_fov(j->sight), j->part, j->unit[i].y,
                                         j->unit[i].x, err));
    return OMMA_OK;
}
