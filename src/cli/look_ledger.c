/* look_ledger.c - why a token changed: the accounts of a report, block by block, and what happens
 * when something of them is silenced. */
#include <math.h>
#include <stdio.h>

#include "cli/look_silence.h"
#include "field/ledger.h"

/* Runs with something silenced, all tokens of a report together: unasked, and where a person has
 * asked for units. Two more are of all tokens of a sequence. */
enum { RUNS = 12, RUNS_ASKED = 48 };

/* A token that is gone into. */
typedef struct subject {
    int sequence;
    int64_t token;
    omma_ledger *ledger; /* by block: attentions, then feed-forward blocks; of width 0: none */
    omma_look_silence silence;
} subject;

typedef struct work {
    omma_look_job *j;
    const omma_anatomy *all;
    subject *subject;
    int n, blocks, runs;
    char note[512];
    omma_error *err;
} work;

static omma_status no_memory(omma_error *err) {
    return omma_fail(err, OMMA_E_NOMEM, "no memory for a report");
}

/* The feed-forward block that block b is, or NULL, and the attention whose tokens it is over; -1:
 * none. */
static const omma_feed_forward *block_of(const work *w, int b, int *attention) {
    const omma_feed_forward *ff =
        b < w->all->n_attention ? NULL : &w->all->feed_forward[b - w->all->n_attention];
    *attention = ff ? ff->after : b;
    return ff;
}

/* --- accounts ----------------------------------------------------------------------------------
 */

/* Those of a token, in all blocks over its sequence. One that cannot be made (no residual addition)
 * leaves a note. */
static omma_status account(work *w, subject *s) {
    s->ledger = omma_arena_array(&w->j->arena, (size_t)w->blocks + 1, sizeof *s->ledger);
    if (!s->ledger) return no_memory(w->err);
    for (int b = 0; b < w->blocks; b++) {
        int of;
        omma_error why;
        const omma_feed_forward *ff = block_of(w, b, &of);
        omma_ledger *l = &s->ledger[b];
        if (of < 0 || w->j->tokens[2 * of] != s->sequence) continue;
        const omma_status bad =
            ff ? omma_ledger_feed_forward(l, w->j->sight, ff, s->token, &w->j->arena, &why)
               : omma_ledger_attention(l, w->j->sight, &w->all->attention[of], s->token,
                                       &w->j->arena, &why);
        if (!bad) continue;
        l->width = 0;
        if (!*w->note) snprintf(w->note, sizeof w->note, "%.400s", why.message);
    }
    return OMMA_OK;
}

static omma_status find_subjects(work *w) {
    int64_t token[OMMA_LOOK_UNITS];
    for (int s = 0; s < w->j->n_sequence; s++) {
        const int n = omma_look_chosen_tokens(w->j, s, token);
        for (int i = 0; i < n && w->n < OMMA_LOOK_UNITS; i++)
            w->subject[w->n++] = (subject){.sequence = s, .token = token[i]};
    }
    for (int i = 0; i < w->n; i++) OMMA_TRY(account(w, &w->subject[i]));
    return OMMA_OK;
}

/* --- silence -----------------------------------------------------------------------------------
 */

/* The sources that gave a token most, over all its blocks: by the size of their shares. */
static omma_status find_sources(const work *w, const subject *s, int64_t *source, int *n) {
    const int64_t count = w->j->sequence[s->sequence].tokens->count;
    double *sum = omma_arena_array(&w->j->arena, (size_t)count, sizeof *sum);
    if (!sum) return no_memory(w->err);
    for (int b = 0; b < w->all->n_attention; b++) {
        const omma_ledger *l = &s->ledger[b];
        if (!l->width || !omma_attention_same_tokens(&w->all->attention[b])) continue;
        for (int64_t i = 0; i < l->sources; i++)
            if (l->entry[i].token >= 0 && l->entry[i].token != s->token)
                sum[l->entry[i].token] += fabs(l->entry[i].share);
    }
    for (*n = 0; *n < OMMA_LOOK_SOURCES; sum[source[(*n)++]] = 0) {
        int64_t best = 0;
        for (int64_t t = 1; t < count; t++)
            if (sum[t] > sum[best]) best = t;
        if (!(sum[best] > 0)) break;
        source[*n] = best;
    }
    return OMMA_OK;
}

/* What becomes of the answers when no token of a sequence sees another, as a note. */
static omma_status silence_every(work *w, omma_causal *c, int sequence) {
    omma_report_effect *e;
    int n, at;
    char note[640];
    OMMA_TRY(omma_look_silence_every(&e, &n, w->j, c, sequence, w->err));
    if (!n) return OMMA_OK;
    w->runs++;
    const omma_look_tokens *t = &w->j->sequence[sequence];
    at = snprintf(note, sizeof note,
                  "If none of the %lld %s saw another one: ", (long long)t->tokens->count,
                  t->queries ? "object queries" : "tokens");
    for (int i = 0; i < n && i < 3; i++)
        at += snprintf(note + at, sizeof note - (size_t)at, "%s%s %.4g instead of %.4g",
                       i ? "; " : "", e[i].label, e[i].after, e[i].before);
    snprintf(note + at, sizeof note - (size_t)at, ".");
    return omma_report_note(w->j->report, OMMA_REPORT_LEDGER, note, w->err);
}

static omma_status silence_all(work *w, omma_causal *c) {
    const int limit = w->j->units.count ? RUNS_ASKED : RUNS, each = limit / w->n;
    for (int i = 0; i < w->n && w->runs < limit; i++) {
        subject *s = &w->subject[i];
        int64_t source[OMMA_LOOK_SOURCES];
        int n = 0;
        OMMA_TRY(find_sources(w, s, source, &n));
        OMMA_TRY(omma_look_silence_token(&s->silence, w->j, c, s->sequence, s->token, source, n,
                                         each ? each : 1, w->err));
        w->runs += s->silence.n;
    }
    const int first = w->subject[0].sequence, last = w->subject[w->n - 1].sequence;
    OMMA_TRY(silence_every(w, c, first));
    return last == first ? OMMA_OK : silence_every(w, c, last);
}

/* Runs that cannot be made are told, and are no error of the report. */
static omma_status silence(work *w) {
    omma_causal *c;
    omma_error why;
    char note[400];
    if (!w->n || !w->blocks || w->j->png) return OMMA_OK;
    omma_error *err = w->err;
    w->err = &why;
    omma_status bad = omma_causal_new(&c, w->j->sight, w->j->in, &w->j->opt, &why);
    if (!bad) bad = silence_all(w, c);
    omma_causal_free(c);
    w->err = err;
    if (bad) snprintf(note, sizeof note, "Silencing ended early: %.300s", why.message);
    else
        snprintf(note, sizeof note,
                 "Silence is in every block over the same tokens at once, and only in attention: "
                 "what mixes tokens otherwise still does. %d runs were made for it; --unit asks "
                 "for other tokens and queries.",
                 w->runs);
    return bad || w->runs ? omma_report_note(w->j->report, OMMA_REPORT_LEDGER, note, err) : OMMA_OK;
}

/* --- into the report ---------------------------------------------------------------------------
 */

/* The numbers of a token in a value that lies as t says; NULL: no memory, or not kept. */
static const float *numbers(omma_look_job *j, const omma_tokens *t, const omma_value *v,
                            int64_t token) {
    const omma_tensor *x = omma_sight_tensor(j->sight, v);
    float *out = omma_arena_array(&j->arena, (size_t)t->width, sizeof *out);
    if (!x || x->dtype != OMMA_F32 || !out) return NULL;
    const float *from = (const float *)x->data + token * t->step;
    for (int64_t c = 0; c < t->width; c++) out[c] = from[c * t->step_width];
    return out;
}

static omma_status put_account(const work *w, const subject *s, int b) {
    int k;
    const omma_feed_forward *feed = block_of(w, b, &k);
    const omma_attention *a = &w->all->attention[k];
    const omma_ledger *l = &s->ledger[b];
    const omma_value *in = feed ? feed->in : a->in, *out = feed ? feed->out : a->out;
    const bool self = omma_attention_same_tokens(a);
    const double radius = self && !feed ? s->silence.radius : NAN;
    float *from = omma_arena_array(&w->j->arena, (size_t)a->key.count, sizeof *from);
    if (!from) return no_memory(w->err);
    for (int64_t i = 0; i < l->sources && !feed; i++)
        if (!(self && l->entry[i].token == l->token))
            from[l->entry[i].token] += (float)l->entry[i].share;
    const int n = s->silence.n;
    const omma_report_ledger_info info = {.tokens = w->j->tokens[2 * k],
                                          .token = l->token,
                                          .attention = feed ? -1 : w->j->attention[k],
                                          .label = feed ? feed->label : a->label,
                                          .block = a->block,
                                          .norm_before = l->norm_in,
                                          .norm_after = l->norm_out,
                                          .cosine = l->cosine,
                                          .own = feed ? l->kept : l->kept + l->own,
                                          .context = feed ? 0 : l->context,
                                          .feed_forward = feed ? l->own : 0,
                                          .rest = l->bias,
                                          .far = radius > 0 ? omma_ledger_beyond(l, radius) : NAN,
                                          .radius = radius,
                                          .mismatch = l->error,
                                          .from = feed || !self ? NULL : from,
                                          .before = numbers(w->j, &a->query, in, l->token),
                                          .after = numbers(w->j, &a->query, out, l->token),
                                          .width = l->width,
                                          .silenced = n ? &s->silence.cut[b * n] : NULL,
                                          .n_silenced = n};
    return omma_report_ledger(w->j->report, &info, NULL, w->err);
}

omma_status omma_look_put_ledgers(omma_look_job *j, omma_error *err) {
    const omma_anatomy *a = omma_sight_anatomy(j->sight);
    work w = {.j = j, .all = a, .blocks = a->n_attention + a->n_feed_forward, .err = err};
    w.subject = omma_arena_array(&j->arena, OMMA_LOOK_UNITS, sizeof *w.subject);
    if (!w.subject) return no_memory(err);
    OMMA_TRY(find_subjects(&w));
    OMMA_TRY(silence(&w));
    for (int b = 0; b < w.blocks; b++)
        for (int i = 0; i < w.n; i++)
            if (w.subject[i].ledger[b].width) OMMA_TRY(put_account(&w, &w.subject[i], b));
    return *w.note ? omma_report_note(j->report, OMMA_REPORT_LEDGER, w.note, err) : OMMA_OK;
}
