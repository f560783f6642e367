/* field_job.h - the parts of `omma field`: what was asked for, and the ways to show it. */
#ifndef OMMA_CLI_FIELD_JOB_H
#define OMMA_CLI_FIELD_JOB_H

#include "cli/cli.h"
#include "cli/samples.h"
#include "field/effective.h"
#include "field/field_table.h"

typedef struct omma_field_job {
    const char *path;
    omma_cli_list inputs;
    const char *at, *pixel, *image, *effective, *recipe, *output, *mean, *std;
    int all, json, content, count;
    omma_options opt;
    omma_model *model;
    omma_arena arena;
    omma_tensor *shapes; /* by input; those of the image at hand have data */
    omma_fov *fov;
    unsigned paths;
    omma_field_table table;
    /* of --at */
    const omma_field_row *unit;
    int64_t index[OMMA_MAX_RANK];
    int64_t cell[2]; /* -1: the unit is no cell */
    omma_walk walk;
    bool walked;
    /* of --pixel */
    int64_t pixel_at[2];
    /* of --effective */
    omma_recipe how;
    omma_effective_measures *measured; /* by row, with --at one; images 0: not measured */
    double *map;                       /* with --at: the mean map */
    int done;                          /* images, for the progress */
} omma_field_job;

/* Measure the effective fields of the stages (all rows with --all), or of the unit. */
omma_status omma_field_measure(omma_field_job *j, omma_error *err);

/* How pictures are prepared, from the options. */
void omma_field_samples(const omma_field_job *j, int most, omma_samples_how *how);

void omma_field_print(const omma_field_job *j);
int omma_field_json(const omma_field_job *j);

/* The set of the unit, or the windows of the stages, over the picture: j->output. */
omma_status omma_field_draw(const omma_field_job *j, omma_error *err);

#endif
