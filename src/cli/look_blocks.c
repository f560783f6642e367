/* look_blocks.c - what each block of a model did to all tokens: a table of a report for each
 * sequence of tokens. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/look_job.h"
#include "field/change.h"

/* The columns, in order. */
enum {
    CHANGED,
    COSINE,
    CKA,
    MIXED,
    MIXED_RESIDUAL,
    MIXED_NORM,
    BY_WEIGHTS,
    LENGTH,
    OUTLIERS,
    FARTHEST,
    ALIKE,
    RANK,
    VARIANCE,
    HIGH,
    COLUMNS
};

static const omma_report_number columns[COLUMNS] = {
    [CHANGED] = {"changed", 0, "%", "length of the change by length before, mean of tokens"},
    [COSINE] = {"cosine", 0, "-1 to 1", "of a token before and after, mean of tokens"},
    [CKA] = {"CKA", 0, "0 to 1",
             "linear: how alike all tokens are before and after, up to turning "
             "and scaling"},
    [MIXED] = {"mixing", 0, "%",
               "mixing ratio by norms: what comes from other tokens, of what the "
               "attention moves (Kobayashi et al. 2020)"},
    [MIXED_RESIDUAL] = {"with residual", 0, "%", "mixing ratio with the token itself as kept"},
    [MIXED_NORM] = {"with norm", 0, "%", "the same behind the layer norm that follows"},
    [BY_WEIGHTS] = {"by weights", 0, "%", "mixing ratio that weights alone would tell"},
    [LENGTH] = {"length", 0, "L2", "the median token's, behind the block"},
    [OUTLIERS] = {"outliers", 0, "tokens", "robust z-score of the length above 3.5"},
    [FARTHEST] = {"largest z", 0, NULL, "robust z-score of the longest token"},
    [ALIKE] = {"tokens alike", 0, "-1 to 1", "mean cosine of all pairs of tokens"},
    [RANK] = {"rank", 0, "directions", "effective rank of all tokens, their mean taken away"},
    [VARIANCE] = {"variance", 0, NULL, "over places, mean over channels (Park, Kim 2022)"},
    [HIGH] = {"high frequencies", 0, "ln",
              "Fourier log-amplitude at the highest frequency along an "
              "axis, relative to frequency 0 (Park, Kim 2022)"}};

static void say_state(double *v, const omma_state *s) {
    const bool known = !isnan(s->norm);
    v[LENGTH] = s->norm;
    v[OUTLIERS] = known ? (double)s->outliers.high : NAN;
    v[FARTHEST] = s->z;
    v[ALIKE] = s->alike;
    v[RANK] = s->rank;
    v[VARIANCE] = s->variance;
    v[HIGH] = s->high;
}

static void say_change(double *v, const omma_change *c) {
    v[CHANGED] = 100 * c->change;
    v[COSINE] = c->cosine;
    v[CKA] = c->cka;
    v[MIXED] = 100 * c->mixing;
    v[MIXED_RESIDUAL] = 100 * c->residual;
    v[MIXED_NORM] = 100 * c->normed;
    v[BY_WEIGHTS] = 100 * c->by_weights;
}

/* The attention whose tokens a block's are. */
static int attention_of(const omma_anatomy *a, const omma_change *c) {
    return c->attention < 0 ? a->feed_forward[c->feed_forward].after : c->attention;
}

/* A table while it is filled. */
typedef struct table {
    double *value;
    omma_report_blocks_row *row;
    int n;
} table;

static double *add_row(table *t, const char *label, const char *kind, int attention) {
    double *v = t->value + (size_t)t->n * COLUMNS;
    for (int i = 0; i < COLUMNS; i++) v[i] = NAN;
    t->row[t->n++] = (omma_report_blocks_row){label, kind, attention, v};
    return v;
}

/* The blocks of one sequence, with the tokens in front of them first. */
static void fill(table *t, const omma_look_job *j, const omma_changes *c, int sequence) {
    const omma_anatomy *a = omma_sight_anatomy(j->sight);
    t->n = 0;
    for (int i = 0; i < c->n_change; i++) {
        const omma_change *b = &c->change[i];
        if (j->tokens[2 * attention_of(a, b)] != sequence) continue;
        if (!t->n) say_state(add_row(t, "in front", "before", -1), &c->state[b->before]);
        double *v = b->attention < 0
                        ? add_row(t, b->label, "feed-forward", -1)
                        : add_row(t, b->label, "attention", j->attention[b->attention]);
        say_change(v, b);
        say_state(v, &c->state[b->after]);
    }
}

/* Columns that have a number somewhere; the rest goes. */
static int keep_columns(table *t, omma_report_number *kept) {
    int n = 0;
    for (int c = 0; c < COLUMNS; c++) {
        bool any = false;
        for (int i = 0; i < t->n; i++) any |= !isnan(t->value[i * COLUMNS + c]);
        if (!any) continue;
        for (int i = 0; i < t->n; i++) t->value[i * COLUMNS + n] = t->value[i * COLUMNS + c];
        kept[n++] = columns[c];
    }
    return n;
}

static omma_status put_table(omma_look_job *j, table *t, int sequence, omma_error *err) {
    omma_report_number kept[COLUMNS];
    const omma_report_blocks_info info = {.tokens = sequence,
                                          .column = kept,
                                          .n_column = keep_columns(t, kept),
                                          .row = t->row,
                                          .n_row = t->n};
    return info.n_column ? omma_report_blocks(j->report, &info, NULL, err) : OMMA_OK;
}

static omma_status tell(omma_look_job *j, const omma_changes *c, omma_error *err) {
    char text[512];
    if (c->spared)
        OMMA_TRY(omma_report_note(j->report, OMMA_REPORT_ATTENTION,
                                  "Ranks and CKA are left out: of so many tokens and channels they "
                                  "would take long.",
                                  err));
    if (!*c->missing) return OMMA_OK;
    snprintf(text, sizeof text, "Mixing ratios are missing: %.400s.", c->missing);
    return omma_report_note(j->report, OMMA_REPORT_ATTENTION, text, err);
}

static omma_status put(omma_look_job *j, omma_arena *tmp, omma_error *err) {
    omma_changes c;
    OMMA_TRY(omma_changes_measure(&c, j->sight, 0, OMMA_CHANGES_WORK, tmp, err));
    if (!c.n_change) return OMMA_OK;
    const size_t rows = (size_t)c.n_change + 1;
    table t = {omma_arena_array(tmp, rows * COLUMNS, sizeof(double)),
               omma_arena_array(tmp, rows, sizeof(omma_report_blocks_row)), 0};
    if (!t.value || !t.row) return omma_fail(err, OMMA_E_NOMEM, "no memory for a report");
    for (int i = 0; i < j->n_sequence; i++) {
        fill(&t, j, &c, i);
        if (t.n) OMMA_TRY(put_table(j, &t, i, err));
    }
    return tell(j, &c, err);
}

omma_status omma_look_put_blocks(omma_look_job *j, omma_error *err) {
    omma_arena tmp;
    omma_arena_init(&tmp, j->arena.budget);
    const omma_status s = put(j, &tmp, err);
    omma_arena_free(&tmp);
    return s;
}
