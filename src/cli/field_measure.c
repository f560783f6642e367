/* field_measure.c - `omma field --effective`: what cells do see, measured on pictures. A gradient
 * is made for one layer at a time, so memory is that of the largest. */
#include <string.h>

#include "cli/field_job.h"

static int image_index(const omma_field_job *j) {
    const omma_graph *g = j->fov->specialised.graph;
    for (int i = 0; i < j->fov->specialised.n_inputs; i++)
        if (g->inputs[i] == j->table.image) return i;
    return 0;
}

/* The unit of --at, or the middle cell of a row. */
static omma_status choose(const omma_field_job *j, const omma_field_row *r, omma_unit *u,
                          omma_error *err) {
    *u = (omma_unit){.value = r->value->name, .y = -1, .x = -1};
    if (!j->at) return OMMA_OK;
    if (j->cell[0] >= 0) {
        u->y = j->cell[0], u->x = j->cell[1];
        return OMMA_OK;
    }
    u->by_token = true;
    for (int d = 0; d < r->value->rank; d++) /* an index for every axis: the one of the sequence */
        if (d == r->value->rank - 2) u->token = j->index[d];
    if (r->value->rank >= 2) return OMMA_OK;
    return omma_fail_node(err, OMMA_E_USAGE, r->label, NULL,
                          "an effective field is of a cell or a token; this has neither");
}

static omma_status one(omma_field_job *j, const omma_field_row *r, omma_effective_measures *m,
                       const omma_tensor *const *samples, int n, omma_cli_progress *bar,
                       omma_error *err) {
    omma_effective *e;
    omma_effective_what what = {.recipe = j->how, .image = image_index(j), .seed = 1};
    OMMA_TRY(choose(j, r, &what.unit, err));
    OMMA_TRY(omma_effective_new(&e, j->model->graph, j->path, &what, &j->opt, err));
    omma_status s = OMMA_OK;
    for (int i = 0; i < n && !s; i++) {
        s = omma_effective_add(e, samples[i], omma_model_input_count(j->model), err);
        omma_cli_progress_step(bar, ++j->done);
    }
    if (!s) s = omma_effective_measure(e, OMMA_SCALE_RAW, m, err);
    if (!s && j->at) {
        j->map = omma_arena_array(&j->arena, (size_t)(m->height * m->width), sizeof *j->map);
        s = j->map ? omma_effective_map(e, OMMA_SCALE_RAW, j->map, NULL, err)
                   : omma_fail(err, OMMA_E_NOMEM, "no memory for a map");
    }
    omma_effective_free(e);
    return s;
}

static bool wanted(const omma_field_job *j, const omma_field_row *r) {
    if (j->at) return r == j->unit;
    return (j->all || r->stage) && r->y.cells > 0 && r->x.cells > 0 && r->y.jump > 0;
}

omma_status omma_field_measure(omma_field_job *j, omma_error *err) {
    const omma_tensor *const *samples;
    omma_samples_how how;
    omma_cli_progress bar;
    int n, rows = 0;
    if (!j->effective) return OMMA_OK;
    omma_field_samples(j, j->count, &how);
    OMMA_TRY(omma_samples_read(&samples, &n, &j->arena, j->model, j->effective, &how, err));
    j->measured = omma_arena_array(&j->arena, (size_t)j->table.count, sizeof *j->measured);
    if (!j->measured) return omma_fail(err, OMMA_E_NOMEM, "no memory for measures");
    for (int i = 0; i < j->table.count; i++) rows += wanted(j, &j->table.row[i]);
    omma_cli_progress_start(&bar, "gradients", rows * n);
    omma_status s = OMMA_OK;
    for (int i = 0; i < j->table.count && !s; i++)
        if (wanted(j, &j->table.row[i]))
            s = one(j, &j->table.row[i], &j->measured[i], samples, n, &bar, err);
    omma_cli_progress_end(&bar);
    return s;
}
