/* look_job.h - the parts of `omma look`: what was asked for, and who puts what into the report. A
 * part that a model has not is told in a note, and is no error of the report. */
#ifndef OMMA_CLI_LOOK_JOB_H
#define OMMA_CLI_LOOK_JOB_H

#include "cli/cli.h"
#include "field/field_table.h"
#include "field/sight.h"
#include "view/report.h"

typedef struct omma_look_job {
    const char *image, *path, *output, *size, *mean, *std;
    omma_options opt;
    omma_report *report;
    /* Of the model at hand: */
    omma_arena arena;
    omma_model *model;
    const omma_tensor *in; /* by input, with data */
    omma_sight *sight;
    omma_field_table table;
    int *part;      /* by value of the graph: the layer whose cells it has; -1: none */
    int *tokens;    /* by attention, query then key: parts of the report */
    int *attention; /* by attention */
} omma_look_job;

/* In this order: later parts refer to earlier ones. */
omma_status omma_look_put_layers(omma_look_job *j, omma_error *err);
omma_status omma_look_put_answers(omma_look_job *j, omma_error *err);
omma_status omma_look_put_attentions(omma_look_job *j, omma_error *err);
omma_status omma_look_put_ledgers(omma_look_job *j, omma_error *err);

#endif
