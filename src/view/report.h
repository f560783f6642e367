/* report.h - the report of `omma look`: one HTML file that opens offline in any browser and shows,
 * for any pixel, cell, token, query or answer of a model, what it sees. This is the writer: it
 * takes what was found out as the structs below and streams the file. It computes nothing but how
 * to keep numbers small; the page (src/view/look/) does the drawing. What the file is made of is
 * said in docs/report-format.md.
 *
 *     omma_report_begin(&r, file, &about, &err)
 *     omma_report_model(r, &model, &err)          what follows belongs to this model
 *     omma_report_layer(r, &layer, NULL, &err)    parts in any order, the most wanted ones first;
 *     ...                                         units refer to parts added before
 *     omma_report_model(r, &second, &err)         one model more on the same picture: side by side
 *     ...
 *     omma_report_end(r, &err)
 *
 * The file has a limit. A part whose blocks do not fit any more is left out, and the page says so:
 * that is no error, and the part's index is then -1. Parts may refer to an index of -1.
 *
 * Coordinates are pixels of the picture as the model gets it; a pixel's centre is a whole number
 * (docs/field.md). Numbers that are not known are NAN, and the page then leaves them out. Texts are
 * UTF-8, may come from hostile files and may be NULL where it says so. Nothing is kept: all that is
 * handed in may go when the call returns. One thread at a time per report.
 *
 * Functions return OMMA_OK, OMMA_E_IO (the file cannot be written), OMMA_E_RANGE (a count that
 * makes no sense, a unit of a part that is not there) or OMMA_E_NOMEM; after an error only
 * omma_report_free makes sense. Test: tests/test_report.c, tests/test_look_page.sh. */
#ifndef OMMA_VIEW_REPORT_H
#define OMMA_VIEW_REPORT_H

#include <stdbool.h>
#include <stdio.h>

#include "field/cells.h"

#define OMMA_REPORT_LIMIT ((size_t)15 * 1000 * 1000) /* [bytes] of the whole file */

typedef struct omma_report omma_report;

/* --- the file ---------------------------------------------------------------------- */

typedef struct omma_report_about {
    const void *picture; /* a PNG, JPEG or WebP file in memory, as the model gets the picture */
    size_t picture_size; /* [bytes] */
    int width, height;   /* of the picture [px] */
    const char *name;    /* the picture's */
    const char *command; /* that made the report, for the reader to repeat; NULL: not said */
    size_t limit;        /* of the file [bytes]; 0: OMMA_REPORT_LIMIT, plain ones 1 GiB */
    /* For programs: the JSON alone, without page and picture, and numbers where a report for people
     * has references to blocks. */
    bool plain;
} omma_report_about;

/* Begin a report: writes all up to and including the picture. file is the caller's and is neither
 * closed nor flushed. *out is NULL on error, else omma_report_end or omma_report_free frees it. */
omma_status omma_report_begin(omma_report **out, FILE *file, const omma_report_about *about,
                              omma_error *err);

/* How many bytes of the file are left for parts: to share them out among parts to come. */
size_t omma_report_room(const omma_report *r);

/* Write the rest and free the report, on errors too. */
omma_status omma_report_end(omma_report *r, omma_error *err);
void omma_report_free(omma_report *r);

/* What could not be found, was left out or should be known: a sentence for people. about: which of
 * the page's views it belongs to, OMMA_REPORT_... below. */
enum {
    OMMA_REPORT_ALL,
    OMMA_REPORT_FIELD,
    OMMA_REPORT_ATTENTION,
    OMMA_REPORT_LEDGER,
    OMMA_REPORT_QUERIES,
    OMMA_REPORT_ANSWERS
};
omma_status omma_report_note(omma_report *r, int about, const char *text, omma_error *err);

/* A number with a name, for people. */
typedef struct omma_report_number {
    const char *name; /* "deletion AUC" */
    double value;
    const char *unit; /* "px", "%"; NULL: none */
    const char *says; /* one line: what it means, or against what it was measured; NULL */
} omma_report_number;

typedef struct omma_report_about_model {
    const char *name;
    int64_t file_bytes, parameters; /* 0: not known */
    const char *input;              /* "1x3x224x224", the shape it was run on; NULL */
    int width, height; /* of the picture as this model got it, which its parts' coordinates are of
                          [px]; 0: as the report's first */
    double seconds;    /* of one run; NAN */
} omma_report_about_model;

omma_status omma_report_model(omma_report *r, const omma_report_about_model *m, omma_error *err);

/* --- fields -------------------------------------------------------------------------- */

/* Along one axis of the picture. */
typedef struct omma_report_axis {
    int64_t cells;      /* how many; 0: the layer has none along it */
    double jump, first; /* between neighbouring cells' centres, and the first one's centre [px] */
    double size;        /* of the window without the picture's edges; INFINITY: everything; NAN: no
                           window describes what a cell sees */
    double least, most; /* along the narrowest and the widest path [px] */
    /* The exact lines of the picture that each line of cells sees: lines->cells is 1 (all see the
     * same) or `cells`, the bits are lines of the picture. NULL: not known. */
    const omma_lines *lines;
} omma_report_axis;

typedef struct omma_report_layer_info {
    const char *label;
    const char *made_by; /* the operator: "Conv 3x3, stride 2"; NULL */
    const char *shape;   /* "1x256x28x28" */
    omma_report_axis y, x;
    bool stage;           /* the last of its stage */
    bool whole;           /* a cell sees the whole picture along some path */
    const char *whole_by; /* the first layer that does, or that sees what no window describes: what
                             made it so, "attention"; NULL */
    bool mixed;           /* some channels see less than others */
    bool bound;           /* the product of the lines holds more than a cell sees */
    omma_fov_status status;
} omma_report_layer_info;

/* index, here and below: receives the part's number among those of its kind and model, from 0; -1:
 * left out; NULL: not wanted. */
omma_status omma_report_layer(omma_report *r, const omma_report_layer_info *l, int *index,
                              omma_error *err);

/* What can be pointed at. */
typedef enum omma_report_what {
    OMMA_REPORT_NOTHING,
    OMMA_REPORT_PIXEL, /* y, x */
    OMMA_REPORT_CELL,  /* part: layer; y, x */
    OMMA_REPORT_TOKEN, /* part: tokens; y: number of the token */
    OMMA_REPORT_QUERY, /* y: number of the object query */
    OMMA_REPORT_ANSWER /* part: answer */
} omma_report_what;

typedef struct omma_report_unit {
    omma_report_what what;
    int part;
    int64_t y, x;
    const char *edge; /* "left edge": only this of it; NULL: all */
} omma_report_unit;

/* The exact set of pixels that a unit sees, where it is no product of rows and columns. A cell
 * whose y and x are -1 is every cell of its layer. bits  a bit for each pixel, row-major
 * (omma_unit_field.seen); NULL: all of them. */
omma_status omma_report_set(omma_report *r, const omma_report_unit *unit, const uint64_t *bits,
                            omma_fov_status status, omma_error *err);

/* The unit of the model at hand that the page begins with, if it is the first model or is chosen;
 * the last call counts. */
omma_status omma_report_start(omma_report *r, const omma_report_unit *unit, omma_error *err);

/* What a heat map shows. */
typedef enum omma_report_family {
    OMMA_REPORT_EFFECTIVE,   /* an effective field */
    OMMA_REPORT_ATTRIBUTION, /* what made an answer */
    OMMA_REPORT_RELEVANCE    /* attention carried through the layers: rollout, flow, relevance */
} omma_report_family;

/* A map over the picture, for a unit. */
typedef struct omma_report_heat {
    omma_report_family family;
    omma_report_unit unit;
    const char *method;   /* "default", "integrated gradients", "rollout": always shown */
    const char *settings; /* "20 steps, black baseline, seed 1"; NULL */
    int64_t rows, columns;
    double first_y, first_x, jump_y, jump_x; /* centres of its cells [px]; pixels: 0, 0, 1, 1 */
    const float *map;                        /* [rows, columns]; may have negative numbers */
    const char *unit_name;                   /* of the numbers; NULL */
    const omma_report_number *number;        /* beside the map: faithfulness, R50, ... */
    int n_number;
    int most; /* cells along a side that are kept, larger maps become means of squares; 0: 400 */
} omma_report_heat;

omma_status omma_report_heat_map(omma_report *r, const omma_report_heat *h, int *index,
                                 omma_error *err);

/* --- tokens and attention ------------------------------------------------------------ */

/* Tokens from, from + column_step, ... lie in the picture as rows x columns. */
typedef struct omma_report_grid {
    int64_t from, rows, columns, row_step, column_step;
    double first_y, first_x, jump_y, jump_x; /* [px] */
    int layer; /* whose cells these are: what a token sees; -1: not known */
} omma_report_grid;

/* A sequence of tokens. Those of no grid have no place: class token, registers, queries. */
typedef struct omma_report_tokens_info {
    const char *label;
    int64_t count;
    const omma_report_grid *grid;
    int n_grid;
    const char *const *special; /* names of the tokens in front; NULL */
    int n_special;
    bool queries; /* they are the object queries */
} omma_report_tokens_info;

omma_status omma_report_tokens(omma_report *r, const omma_report_tokens_info *t, int *index,
                               omma_error *err);

typedef struct omma_report_attention_info {
    const char *label;
    const char *kind;  /* "self", "cross", "windowed self", "rollout": for people */
    const char *stack; /* "encoder", "decoder"; NULL */
    int block;         /* number of the layer, from 0 */
    int query, key;    /* parts: tokens */
    int64_t windows, heads, queries, keys; /* windows 1: none; queries and keys of one window */
    const float *weights; /* [windows, heads, queries, keys], rows sum to 1; NULL: only numbers */
    /* The token that a window's query (key) is, -1: padding. [windows, queries] and [windows,
     * keys]; NULL: query i is token i. */
    const int32_t *query_token, *key_token;
    /* [heads], each may be NULL; NAN where there is none. */
    const double *distance;   /* mean attention distance [px] */
    const double *entropy;    /* mean over queries [nats] */
    const double *on_self;    /* mass on the token itself, 0..1 */
    const double *on_special; /* mass on tokens without a place, 0..1 */
    double uniform;           /* the mean distance if all weights were the same [px]; NAN */
    double ceiling;           /* the entropy then [nats]; NAN */
    /* Plain reports have no weights but the lines of these tokens and queries: what each looks at
     * and what looks at it. */
    const omma_report_unit *of;
    int n_of;
    size_t most; /* bytes of the file that the weights may take; 0: all that is left. Where that
                    is too little, they are kept more coarsely, then only their mean over heads,
                    then not at all; the page says which */
} omma_report_attention_info;

omma_status omma_report_attention(omma_report *r, const omma_report_attention_info *a, int *index,
                                  omma_error *err);

/* Places that data choose (deformable attention and convolution, GridSample). */
typedef struct omma_report_samples_info {
    const char *label;
    int query;                      /* part: tokens whose places these are */
    int block;                      /* number of the layer, from 0 */
    int64_t queries, heads, points; /* points of a head, over all levels */
    const float *place;             /* [queries, heads, points, 2], y and x [px] */
    const float *weight;            /* [queries, heads, points]; NULL: all the same */
} omma_report_samples_info;

omma_status omma_report_samples(omma_report *r, const omma_report_samples_info *s, int *index,
                                omma_error *err);

/* What each block did to all tokens of a sequence: a table, a line for each block, in order. */
typedef struct omma_report_blocks_row {
    const char *label;   /* of the block */
    const char *kind;    /* "attention", "feed-forward", "before": for people */
    int attention;       /* part: the attention it is; -1 */
    const double *value; /* [n_column], NAN where there is none */
} omma_report_blocks_row;

typedef struct omma_report_blocks_info {
    int tokens;                       /* part */
    const omma_report_number *column; /* name, unit, says; values are not read */
    int n_column;
    const omma_report_blocks_row *row;
    int n_row;
} omma_report_blocks_info;

omma_status omma_report_blocks(omma_report *r, const omma_report_blocks_info *b, int *index,
                               omma_error *err);

/* --- why did it change? ---------------------------------------------------------------- */

/* An answer's number, before and after. */
typedef struct omma_report_effect {
    const char *label; /* "tabby cat" */
    double before, after;
} omma_report_effect;

typedef enum omma_report_cut {
    OMMA_REPORT_CUT_SOURCE, /* one token is silenced: nobody sees it */
    OMMA_REPORT_CUT_REST,   /* the token sees itself alone */
    OMMA_REPORT_CUT_FAR     /* it sees what is within a radius */
} omma_report_cut;

/* The run again with something silenced. */
typedef struct omma_report_silenced {
    omma_report_cut cut;
    int64_t source;     /* CUT_SOURCE: the token */
    double radius;      /* CUT_FAR [px] */
    double change;      /* of the token behind the block: ||difference|| / ||full|| */
    double cosine;      /* of the two */
    const float *moved; /* [tokens] how much each token's numbers changed, relative; NULL */
    const omma_report_effect *effect; /* on the answer */
    int n_effect;
} omma_report_silenced;

/* The exact account of one token in one block: new value = own + context + feed-forward + rest.
 * Shares are parts' projections on the new value, over its length: they add up to 1 and may be
 * negative. */
typedef struct omma_report_ledger_info {
    int tokens;
    int64_t token;
    int attention;     /* part: the attention of the block; -1 */
    const char *label; /* of the block */
    int block;
    double norm_before, norm_after, cosine;  /* of the token's numbers */
    double own, context, feed_forward, rest; /* shares; rest: biases */
    double far, radius; /* of context, what came from farther than radius [px]; NAN: not split */
    double mismatch;    /* ||sum of the parts - new value|| / ||new value|| */
    const float *from;  /* [tokens] share fused from each token (the sum is context); NULL */
    const float *before, *after; /* [width] its numbers; NULL */
    int64_t width;
    const omma_report_silenced *silenced;
    int n_silenced;
} omma_report_ledger_info;

omma_status omma_report_ledger(omma_report *r, const omma_report_ledger_info *l, int *index,
                               omma_error *err);

/* --- queries and answers ------------------------------------------------------------------ */

/* A query behind one layer of the decoder. */
typedef struct omma_report_step {
    const char *label; /* of the layer */
    bool has_box;
    float box[4];       /* x0, y0, x1, y1 [px] */
    const char *name;   /* of the best class; NULL */
    double score;       /* 0..1 */
    int cross, samples; /* parts: its cross-attention, its sampling places; -1 */
} omma_report_step;

typedef struct omma_report_query_info {
    int64_t number; /* of the query */
    int answer;     /* part: the answer it became; -1: none */
    const omma_report_step *step;
    int n_step;
} omma_report_query_info;

omma_status omma_report_query(omma_report *r, const omma_report_query_info *q, int *index,
                              omma_error *err);

typedef struct omma_report_answer_info {
    const char *name; /* class, or what was read */
    double score;     /* 0..1; NAN */
    int class_index;  /* for its colour */
    int n_corners;    /* 0: no place; 2: box x0, y0, x1, y1; else a polygon */
    float corner[16]; /* x, y [px] */
    int64_t query;    /* the object query it came from; -1 */
} omma_report_answer_info;

omma_status omma_report_answer(omma_report *r, const omma_report_answer_info *a, int *index,
                               omma_error *err);

#endif
