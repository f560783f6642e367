/* look_attention.c - tokens and attention of a report: who looks at whom, head by head, how far and
 * how broadly. */
#include <math.h>
#include <stdio.h>

#include "cli/look_job.h"

enum { SPECIAL = 32 }; /* names of tokens without a place */

/* --- tokens --------------------------------------------------------------------------------- */

/* The tokens in front that have no place: which is a distillation token and which are registers no
 * graph says. NULL: no memory. */
static const char **name_special(omma_look_job *j, int64_t n) {
    const char **names = omma_arena_array(&j->arena, (size_t)n + 1, sizeof *names);
    for (int64_t i = 0; i < n && names; i++) {
        names[i] =
            i ? omma_arena_printf(&j->arena, "special token %lld", (long long)i) : "class token";
        if (!names[i]) return NULL;
    }
    return names;
}

static omma_status put_sequence(omma_look_job *j, const omma_look_tokens *s, const char *label,
                                int *index, omma_error *err) {
    const omma_tokens *t = s->tokens;
    const bool grid = t->placed && !t->place;
    const bool one = t->rows.axis == t->columns.axis;
    const omma_report_grid g = {.from = one ? t->rows.off : 0,
                                .rows = t->rows.mod,
                                .columns = t->columns.mod,
                                .row_step = one ? t->rows.div : t->columns.mod,
                                .column_step = one ? t->columns.div : 1,
                                .first_y = t->first_y,
                                .first_x = t->first_x,
                                .jump_y = t->jump_y,
                                .jump_x = t->jump_x,
                                .layer = j->part[t->value->index]};
    const int64_t n = grid && t->special < SPECIAL ? t->special : 0;
    const char **special = name_special(j, n);
    if (!special) return omma_fail(err, OMMA_E_NOMEM, "no memory for a report");
    const omma_report_tokens_info info = {.label = label,
                                          .count = t->count,
                                          .special = special,
                                          .n_special = (int)n,
                                          .grid = grid ? &g : NULL,
                                          .n_grid = grid,
                                          .queries = s->queries};
    return omma_report_tokens(j->report, &info, index, err);
}

static bool same_tokens(const omma_tokens *a, const omma_tokens *b) {
    return a->count == b->count && a->placed == b->placed && a->special == b->special &&
           a->rows.mod == b->rows.mod && a->columns.mod == b->columns.mod && a->jump_y == b->jump_y;
}

/* The part that these tokens are, made if they are new. */
static omma_status put_new(omma_look_job *j, const omma_tokens *t, int64_t object_queries,
                           int *index, omma_error *err) {
    char label[128];
    for (int i = 0; i < j->n_sequence; i++)
        if (same_tokens(j->sequence[i].tokens, t)) {
            *index = i;
            return OMMA_OK;
        }
    omma_look_tokens *s = &j->sequence[j->n_sequence++];
    *s = (omma_look_tokens){t, !t->placed && object_queries == t->count};
    snprintf(label, sizeof label, "%lld %s", (long long)t->count,
             s->queries ? "object queries" : "tokens");
    return put_sequence(j, s, label, index, err);
}

omma_status omma_look_put_tokens(omma_look_job *j, omma_error *err) {
    const omma_anatomy *a = omma_sight_anatomy(j->sight);
    const size_t n = (size_t)a->n_attention;
    j->n_sequence = 0;
    j->tokens = omma_arena_array(&j->arena, 2 * n + 1, sizeof *j->tokens);
    j->attention = omma_arena_array(&j->arena, n + 1, sizeof *j->attention);
    j->sequence = omma_arena_array(&j->arena, 2 * n + 1, sizeof *j->sequence);
    if (!j->tokens || !j->attention || !j->sequence)
        return omma_fail(err, OMMA_E_NOMEM, "no memory for a report");
    for (int i = 0; i < 2 * a->n_attention; i++) {
        const omma_attention *at = &a->attention[i / 2];
        OMMA_TRY(put_new(j, i % 2 ? &at->key : &at->query, a->object_queries, &j->tokens[i], err));
    }
    return OMMA_OK;
}

/* --- attention -------------------------------------------------------------------------------- */

/* What all weights of an attention take in the file, at most [bytes]. */
static double bytes_of(const omma_attention *a) {
    return 1.4 * (double)a->windows * (double)a->heads * (double)a->queries * (double)a->keys;
}

/* How much of the file the weights of attention k may take, when `room` is left for those from k
 * on: all it needs, or as much as all others get that need more. */
static size_t share_of(const omma_anatomy *all, int k, double room) {
    double each = 0;
    for (int round = 0; round <= all->n_attention; round++) {
        double left = room;
        int more = 0;
        for (int i = k; i < all->n_attention; i++)
            if (bytes_of(&all->attention[i]) <= each) left -= bytes_of(&all->attention[i]);
            else more++;
        if (!more || left / more <= each) break;
        each = left / more;
    }
    return (size_t)fmin(each, bytes_of(&all->attention[k])) + 1;
}

/* The units to go into, queries with the sequence they are: n_unit of them; NULL: no memory. */
static const omma_report_unit *units(omma_look_job *j) {
    omma_report_unit *of = omma_arena_array(&j->arena, (size_t)j->n_unit + 1, sizeof *of);
    for (int i = 0; i < j->n_unit && of; i++) {
        of[i] = j->unit[i];
        for (int s = 0; s < j->n_sequence && of[i].what == OMMA_REPORT_QUERY; s++)
            if (j->sequence[s].queries) of[i].part = s;
    }
    return of;
}

static omma_status put_attention(omma_look_job *j, const omma_anatomy *all, int k, double keep,
                                 omma_error *err) {
    const omma_attention *a = &all->attention[k];
    const float *w;
    omma_error why;
    const double room = fmax((double)omma_report_room(j->report) - keep, 0);
    const omma_report_unit *of = units(j);
    omma_look_heads h;
    if (!of) return omma_fail(err, OMMA_E_NOMEM, "no memory for a report");
    const omma_status bad = omma_sight_read_weights(&w, j->sight, k, &why);
    j->attention[k] = -1;
    if (bad == OMMA_E_UNSUPPORTED)
        return omma_report_note(j->report, OMMA_REPORT_ATTENTION, why.message, err);
    if (bad) return omma_fail(err, bad, "%s", why.message);
    OMMA_TRY(omma_look_measure_heads(&h, j, a, w, err));
    const bool windowed = a->windows > a->batch;
    const char *kind = a->kind == OMMA_ATTENTION_CROSS ? "cross"
                       : windowed                      ? "windowed self"
                                                       : "self";
    const omma_report_attention_info info = {.label = a->label,
                                             .kind = kind,
                                             .stack = a->decoder ? "decoder" : NULL,
                                             .block = a->block,
                                             .query = j->tokens[2 * k],
                                             .key = j->tokens[2 * k + 1],
                                             .windows = a->windows,
                                             .heads = a->heads,
                                             .queries = a->queries,
                                             .keys = a->keys,
                                             .weights = w,
                                             .query_token = a->query_token,
                                             .key_token = a->key_token,
                                             .distance = h.distance,
                                             .entropy = h.entropy,
                                             .on_self = h.on_self,
                                             .on_special = h.on_special,
                                             .uniform = h.uniform,
                                             .ceiling = h.ceiling,
                                             .of = of,
                                             .n_of = j->n_unit,
                                             .most = share_of(all, k, room)};
    return omma_report_attention(j->report, &info, &j->attention[k], err);
}

omma_status omma_look_put_attentions(omma_look_job *j, omma_error *err) {
    const omma_anatomy *a = omma_sight_anatomy(j->sight);
    const double keep = (double)omma_report_room(j->report) / 8; /* for the parts to come */
    for (int k = 0; k < a->n_attention; k++) OMMA_TRY(put_attention(j, a, k, keep, err));
    return OMMA_OK;
}
