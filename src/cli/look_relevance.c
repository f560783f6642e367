/* look_relevance.c - attention carried through the layers of a report: rollout of chosen tokens,
 * relevance of answers. The maps are of tokens that are a grid in the picture. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/look_target.h"
#include "field/context.h"

enum { ANSWERS = 3, FLOWS = 3 };

/* Parameters up to which more answers than one are followed unasked: each is a run forward and
 * back. */
static const int64_t SMALL = 30000000;

/* Layers x tokens^2 up to which flows are made: each is a problem of its own. */
static const double FLOW_WORK = 5e5;

typedef struct following {
    omma_look_job *j;
    omma_context c;
    int *sequence; /* by stack: part of the report */
    bool told;     /* that a rollout is missing */
    omma_arena arena;
    omma_error *err;
} following;

static omma_status no_memory(omma_error *err) {
    return omma_fail(err, OMMA_E_NOMEM, "no memory for a report");
}

/* --- maps of tokens --------------------------------------------------------------------------- */

static bool is_grid(const omma_tokens *t) {
    return t->placed && !t->place && t->rows.mod > 0 && t->columns.mod > 0;
}

/* The token at a row and a column of the grid. */
static int64_t at_grid(const omma_tokens *t, int64_t row, int64_t column) {
    if (t->rows.axis != t->columns.axis) return row * t->columns.mod + column;
    return t->rows.off + row * t->rows.div + column * t->columns.div;
}

/* What of a row is on tokens without a place. */
static double off_grid(const omma_tokens *t, const double *row) {
    double sum = 0, y, x;
    for (int64_t i = 0; i < t->count; i++)
        if (!omma_tokens_place(t, i, &y, &x)) sum += row[i];
    return sum;
}

/* A row of numbers by token, as a map. */
static omma_status put_map(following *f, omma_report_heat *h, const omma_tokens *t,
                           const double *row) {
    float *map = omma_arena_array(&f->arena, (size_t)(t->rows.mod * t->columns.mod), sizeof *map);
    if (!map) return no_memory(f->err);
    for (int64_t i = 0; i < t->rows.mod * t->columns.mod; i++)
        map[i] = (float)row[at_grid(t, i / t->columns.mod, i % t->columns.mod)];
    h->family = OMMA_REPORT_RELEVANCE;
    h->rows = t->rows.mod, h->columns = t->columns.mod;
    h->first_y = t->first_y, h->first_x = t->first_x;
    h->jump_y = t->jump_y, h->jump_x = t->jump_x;
    h->map = map;
    return omma_report_heat_map(f->j->report, h, NULL, f->err);
}

/* --- rollout ---------------------------------------------------------------------------------- */

/* The last step of a stack that is a cross-attention to a grid; -1: there is none. */
static int last_cross(const following *f, int stack) {
    const omma_stack *s = &f->c.stack[stack];
    for (int i = s->n_step - 1; i >= 0; i--)
        if (s->step[i].source != stack && is_grid(f->c.stack[s->step[i].source].tokens)) return i;
    return -1;
}

/* The grid tokens that take part most in a row, and the flow to each. */
typedef struct flows {
    int64_t to[FLOWS];
    double value[FLOWS];
    char name[FLOWS][64];
    int n;
} flows;

static void strongest(flows *s, const omma_tokens *t, const double *row) {
    for (s->n = 0; s->n < FLOWS; s->n++) {
        int64_t best = -1;
        for (int64_t i = 0; i < t->rows.mod * t->columns.mod; i++) {
            const int64_t token = at_grid(t, i / t->columns.mod, i % t->columns.mod);
            bool taken = false;
            for (int k = 0; k < s->n; k++) taken |= s->to[k] == token;
            if (taken || (best >= 0 && row[token] <= row[s->to[s->n]])) continue;
            best = i;
            s->to[s->n] = token;
        }
        if (best < 0) return;
        snprintf(s->name[s->n], sizeof s->name[s->n], "flow to row %d, column %d",
                 (int)(best / t->columns.mod), (int)(best % t->columns.mod));
    }
}

static omma_status find_flows(following *f, flows *s, const omma_context_ask *ask,
                              const double *row) {
    const omma_stack *stack = &f->c.stack[ask->stack];
    const double n = (double)stack->tokens->count;
    s->n = 0;
    if (n * n * stack->n_self > FLOW_WORK) return OMMA_OK;
    strongest(s, stack->tokens, row);
    return omma_context_flow(s->value, &f->c, ask, s->to, s->n, &f->arena, f->err);
}

/* A token of a grid, or the class token in front of one, of what its own layers made it. */
static omma_status put_self(following *f, int stack, int64_t token) {
    const omma_stack *s = &f->c.stack[stack];
    const omma_context_ask ask = {
        .stack = stack, .token = &token, .n_token = 1, .alpha = OMMA_ROLLOUT_ALPHA};
    double *row = omma_arena_array(&f->arena, (size_t)s->tokens->count, sizeof *row);
    flows flow;
    char settings[96];
    if (!row) return no_memory(f->err);
    OMMA_TRY(omma_context_rollout(row, &f->c, &ask, &f->arena, f->err));
    OMMA_TRY(find_flows(f, &flow, &ask, row));
    omma_report_number number[2 + FLOWS] = {
        {"of itself", row[token], NULL, "what the token still has of its own"},
        {"on tokens without a place", off_grid(s->tokens, row), NULL, "class token, registers"}};
    for (int i = 0; i < flow.n; i++)
        number[2 + i] = (omma_report_number){
            flow.name[i], flow.value[i], NULL,
            "the most that can run from there to here through the layers, 0 to 1"};
    snprintf(settings, sizeof settings, "%d layers, mean of heads, residual %g", s->n_self,
             1 - OMMA_ROLLOUT_ALPHA);
    omma_report_heat h = {.unit = {OMMA_REPORT_TOKEN, f->sequence[stack], token, 0, NULL},
                          .method = "rollout",
                          .settings = settings,
                          .unit_name = "share of the token",
                          .number = number,
                          .n_number = 2 + flow.n};
    return put_map(f, &h, s->tokens, row);
}

/* What a query has of the picture's tokens: its last cross-attention times their rollout. */
static omma_status put_query(following *f, int stack, int64_t token, int step) {
    const omma_stack *s = &f->c.stack[stack];
    const omma_stack *source = &f->c.stack[s->step[step].source];
    const omma_attention *a = &omma_sight_anatomy(f->j->sight)->attention[s->step[step].attention];
    const omma_context_ask ask = {
        .stack = stack, .token = &token, .n_token = 1, .alpha = OMMA_ROLLOUT_ALPHA};
    double *row = omma_arena_array(&f->arena, (size_t)source->tokens->count, sizeof *row);
    char settings[192];
    if (!row) return no_memory(f->err);
    OMMA_TRY(omma_context_rollout_cross(row, &f->c, &ask, step, &f->arena, f->err));
    snprintf(settings, sizeof settings, "%s, then %d layers below it, mean of heads", a->label,
             source->n_self);
    omma_report_heat h = {.unit = {OMMA_REPORT_TOKEN, f->sequence[stack], token, 0, NULL},
                          .method = "rollout",
                          .settings = settings,
                          .unit_name = "share of the query"};
    return put_map(f, &h, source->tokens, row);
}

/* The rollout of a token or query. One that cannot be made, of weights that are not finite or not
 * there, is told, once. */
static omma_status put_rollout(following *f, int stack, int64_t token, int step) {
    omma_error why, *err = f->err;
    char note[400];
    f->err = &why;
    const omma_status s = step < 0 ? put_self(f, stack, token) : put_query(f, stack, token, step);
    f->err = err;
    if (!s) return OMMA_OK;
    if (s != OMMA_E_RANGE && s != OMMA_E_UNSUPPORTED) return omma_fail(err, s, "%s", why.message);
    if (f->told) return OMMA_OK;
    f->told = true;
    snprintf(note, sizeof note, "Attention cannot be followed through the layers: %.300s.",
             why.message);
    return omma_report_note(f->j->report, OMMA_REPORT_ATTENTION, note, err);
}

static omma_status put_rollouts(following *f, int stack) {
    const omma_tokens *t = f->c.stack[stack].tokens;
    const int step = last_cross(f, stack);
    int64_t token[OMMA_LOOK_UNITS + 1];
    int n = omma_look_chosen_tokens(f->j, f->sequence[stack], token);
    if (is_grid(t) && t->special) {
        bool there = false;
        for (int i = 0; i < n; i++) there |= token[i] == 0;
        if (!there) token[n++] = 0;
    }
    for (int i = 0; i < n; i++) {
        const bool self = is_grid(t) && f->c.stack[stack].n_self;
        if (self || step >= 0) OMMA_TRY(put_rollout(f, stack, token[i], self ? -1 : step));
    }
    return OMMA_OK;
}

/* --- relevance -------------------------------------------------------------------------------- */

/* The number that an answer is: a query's of its class, or what attributions are of. */
static bool target_of(omma_look_job *j, int answer, omma_target *t) {
    const omma_report_answer_info *a = &j->answer[answer];
    omma_look_target found;
    if (a->query >= 0 && omma_queries_score(t, &j->queries, j->sight, a->query, a->class_index))
        return true;
    if (!omma_look_find_target(&found, j, answer, NULL)) return false;
    *t = found.ask;
    return true;
}

static omma_status put_relevance(following *f, const omma_slopes *s, int answer, int stack,
                                 int source, bool *done) {
    const omma_tokens *t = f->c.stack[source].tokens;
    const omma_relevance_ask ask = {.stack = stack, .source = source, .token = -1};
    double *row = omma_arena_array(&f->arena, (size_t)t->count, sizeof *row);
    int64_t rows;
    char settings[192];
    omma_error why;
    if (!row) return no_memory(f->err);
    const omma_status status = omma_context_relevance(row, &rows, s, &ask, &f->arena, &why);
    if (status == OMMA_E_UNSUPPORTED || status == OMMA_E_RANGE) return OMMA_OK;
    if (status) return omma_fail(f->err, status, "%s", why.message);
    *done = true;
    snprintf(settings, sizeof settings, "Chefer et al. 2021, %s; %d layers of %lld tokens",
             stack == source ? "self-attention" : "encoder and decoder", f->c.stack[source].n_self,
             (long long)t->count);
    const omma_report_number number[] = {
        {"target", s->target, NULL, s->says},
        {"rows", (double)rows, "tokens", "whose relevance this is the mean of"},
        {"on tokens without a place", off_grid(t, row), NULL, "class token, registers"}};
    omma_report_heat h = {.unit = {OMMA_REPORT_ANSWER, answer, 0, 0, NULL},
                          .method = "relevance",
                          .settings = settings,
                          .unit_name = "relevance",
                          .number = number,
                          .n_number = 3};
    return put_map(f, &h, t, row);
}

static bool any_grid(const following *f) {
    for (int i = 0; i < f->c.n_stack; i++)
        for (int k = 0; k < f->c.stack[i].n_step; k++)
            if (is_grid(f->c.stack[f->c.stack[i].step[k].source].tokens)) return true;
    return false;
}

/* From the last stack that reads from a grid and that the target depends on. */
static omma_status put_answer(following *f, const omma_slopes *s, int answer, bool *done) {
    for (int i = f->c.n_stack - 1; i >= 0 && !*done; i--) {
        const omma_stack *stack = &f->c.stack[i];
        for (int k = stack->n_step - 1; k >= 0 && !*done; k--)
            if (is_grid(f->c.stack[stack->step[k].source].tokens))
                OMMA_TRY(put_relevance(f, s, answer, i, stack->step[k].source, done));
    }
    return OMMA_OK;
}

static omma_status put_answers(following *f, omma_slopes *s, char *note, size_t size) {
    omma_look_job *j = f->j;
    if (!any_grid(f)) {
        snprintf(note, size, "no attention is over tokens that are a grid in the picture");
        return OMMA_OK;
    }
    const bool all = j->units.count || j->model->parameters <= SMALL;
    const int most = all ? ANSWERS : 1;
    if (!all && j->n_answer > 1)
        OMMA_TRY(omma_report_note(j->report, OMMA_REPORT_ANSWERS,
                                  "Relevance through attention was asked of the best answer alone, "
                                  "of a model of this size: --unit answer:1 asks for another.",
                                  f->err));
    for (int i = 0, n = 0; i < j->n_unit && n < most; i++) {
        if (j->unit[i].what != OMMA_REPORT_ANSWER || j->unit[i].edge) continue;
        omma_target t;
        omma_error why;
        bool done = false;
        n++;
        if (!target_of(j, j->unit[i].part, &t)) {
            snprintf(note, size, "which of the model's numbers an answer is, is not known");
            continue;
        }
        if (omma_slopes_take(s, &t, &why)) {
            snprintf(note, size, "%.300s", why.message);
            continue;
        }
        OMMA_TRY(put_answer(f, s, j->unit[i].part, &done));
        if (!done) snprintf(note, size, "no answer depends on attention over a grid of tokens");
    }
    return OMMA_OK;
}

/* --- all of it -------------------------------------------------------------------------------- */

/* The part of the report that each stack's tokens are. */
static omma_status find_sequences(following *f) {
    f->sequence = omma_arena_array(&f->arena, (size_t)f->c.n_stack + 1, sizeof *f->sequence);
    if (!f->sequence) return no_memory(f->err);
    for (int i = 0; i < f->c.n_stack; i++)
        for (int k = 0; k < f->c.stack[i].n_step; k++) {
            const omma_stack_step *p = &f->c.stack[i].step[k];
            f->sequence[i] = f->j->tokens[2 * p->attention];
            if (p->source != i) f->sequence[p->source] = f->j->tokens[2 * p->attention + 1];
        }
    return OMMA_OK;
}

static omma_status follow(following *f) {
    char why[320] = "", note[400];
    OMMA_TRY(omma_context_find(&f->c, f->j->sight, &f->arena, f->err));
    OMMA_TRY(find_sequences(f));
    for (int i = 0; i < f->c.n_stack; i++) OMMA_TRY(put_rollouts(f, i));
    omma_slopes s;
    omma_slopes_begin(&s, &f->c, f->j->in, 0, &f->j->opt);
    const omma_status status = put_answers(f, &s, why, sizeof why);
    omma_slopes_free(&s);
    if (status || !*why) return status;
    snprintf(note, sizeof note, "Relevance through attention is missing: %s.", why);
    return omma_report_note(f->j->report, OMMA_REPORT_ATTENTION, note, f->err);
}

omma_status omma_look_put_relevance(omma_look_job *j, omma_error *err) {
    following f = {.j = j, .err = err};
    if (!omma_sight_anatomy(j->sight)->n_attention) return OMMA_OK;
    omma_arena_init(&f.arena, j->arena.budget);
    const omma_status s = follow(&f);
    omma_arena_free(&f.arena);
    return s;
}
