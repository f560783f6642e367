/* look_job.h - the parts of `omma look`: what was asked for, and who puts what into the report. A
 * part that a model has not is told in a note, and is no error of the report. */
#ifndef OMMA_CLI_LOOK_JOB_H
#define OMMA_CLI_LOOK_JOB_H

#include "cli/cli.h"
#include "field/field_table.h"
#include "field/queries.h"
#include "view/report.h"

/* A sequence of tokens, as the report has it. */
typedef struct omma_look_tokens {
    const omma_tokens *tokens;
    bool queries; /* they are the object queries */
} omma_look_tokens;

typedef struct omma_look_job {
    const char *image, *output, *size, *mean, *std;
    const char *png, *show; /* a picture of the first unit; as what, NULL: as is usual */
    const char *attribute;  /* methods, as METHOD,METHOD; NULL: as is usual */
    int effort;             /* of heat maps, 0 to 3; -1: by the model's size */
    omma_cli_list models, units;
    int json, layer, head; /* of the picture: which attention, block or layer, -1: any */
    omma_options opt;
    const char *command; /* as it was typed; NULL: not known */
    double told;         /* when its progress was told last [s] */
    omma_report *report;
    /* Of the model at hand: */
    const char *path;
    omma_arena arena;
    omma_model *model;
    const omma_tensor *in; /* by input, with data */
    omma_sight *sight;
    omma_field_table table;
    int image_input;            /* which of the inputs is the picture */
    bool large;                 /* a run is so much arithmetic that maps get few of them unasked */
    int *part;                  /* by value of the graph: the layer whose cells it has; -1: none */
    bool *bound;                /* likewise: its lines may hold more than a cell sees */
    omma_look_tokens *sequence; /* by tokens part of the report */
    int n_sequence;
    int *tokens;                     /* by attention, query then key: parts of the report */
    int *attention;                  /* by attention */
    omma_queries queries;            /* no stages: it has none */
    const char *(*class_name)(int);  /* of a class's number; NULL: not known */
    omma_report_answer_info *answer; /* by answer part */
    int n_answer;
    /* What the report goes into: what was asked for, or a few of each kind. */
    omma_report_unit *unit;
    int n_unit;
} omma_look_job;

/* Put an answer, and keep it in j->answer. */
omma_status omma_look_put_answer(omma_look_job *j, const omma_report_answer_info *a,
                                 omma_error *err);

/* The queries' way through the decoder, before answers are put. */
omma_status omma_look_find_queries(omma_look_job *j, omma_error *err);

/* The query that a row of the model's outputs came from, whose box is this [px]; -1: not known. */
int64_t omma_look_query_of_row(const omma_look_job *j, int64_t row, const float corner[4]);

/* The name of a class, "class N" where none is known. */
const char *omma_look_class(const omma_look_job *j, int64_t label, char room[32]);

/* Answers that are the best queries. done: the model has such. */
omma_status omma_look_put_query_answers(omma_look_job *j, bool *done, omma_error *err);

/* Answers that are text: characters, regions. done: the model's output is of that kind. */
omma_status omma_look_put_text(omma_look_job *j, bool *done, omma_error *err);
omma_status omma_look_put_regions(omma_look_job *j, bool *done, omma_error *err);

/* Find the units asked for, or choose some: when layers, tokens and answers are in the report.
 * Returns OMMA_OK, OMMA_E_USAGE (no unit of that form), OMMA_E_NOTFOUND or OMMA_E_RANGE (the model
 * has no such unit) or OMMA_E_NOMEM. */
omma_status omma_look_choose(omma_look_job *j, omma_error *err);

/* Is a text a unit, by its form? */
bool omma_look_is_unit(const char *text);

/* The chosen tokens of a sequence (its queries too), in order; receives at most OMMA_LOOK_UNITS.
 * Returns how many. */
enum { OMMA_LOOK_UNITS = 64 };
int omma_look_chosen_tokens(const omma_look_job *j, int sequence, int64_t *token);

/* The numbers of an attention's heads, [heads] each; NAN where there is none. */
typedef struct omma_look_heads {
    double *distance, *entropy, *on_self, *on_special;
    double uniform, ceiling;
} omma_look_heads;

/* Measure them; they are on j->arena. Returns OMMA_OK or OMMA_E_NOMEM. */
omma_status omma_look_measure_heads(omma_look_heads *out, omma_look_job *j, const omma_attention *a,
                                    const float *weights, omma_error *err);

/* In this order: later parts refer to earlier ones. */
omma_status omma_look_put_layers(omma_look_job *j, omma_error *err);
omma_status omma_look_put_pixels(omma_look_job *j, omma_error *err); /* chosen ones */
omma_status omma_look_put_tokens(omma_look_job *j, omma_error *err);
omma_status omma_look_put_answers(omma_look_job *j, omma_error *err);
/* (omma_look_choose) */
omma_status omma_look_put_sets(omma_look_job *j, omma_error *err);
omma_status omma_look_put_attentions(omma_look_job *j, omma_error *err);
omma_status omma_look_put_blocks(omma_look_job *j, omma_error *err);
omma_status omma_look_put_ledgers(omma_look_job *j, omma_error *err);
omma_status omma_look_put_queries(omma_look_job *j, omma_error *err); /* and edges of a box */
omma_status omma_look_put_heat(omma_look_job *j, omma_error *err);
omma_status omma_look_put_relevance(omma_look_job *j, omma_error *err);

/* Is a text a list of methods (or all, or none)? */
bool omma_look_are_methods(const char *list);

/* Draw the first unit of a plain report to j->png. Returns OMMA_OK, OMMA_E_NOTFOUND (the report has
 * no such view of it), OMMA_E_RANGE (--head) or as writing the picture. */
omma_status omma_look_draw(const omma_look_job *j, const char *plain, size_t size, omma_error *err);
bool omma_look_is_view(const char *name);

#endif
