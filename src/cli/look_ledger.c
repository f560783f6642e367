/* look_ledger.c - why a token changed: the accounts of a report, block by block. */
#include <math.h>
#include <stdio.h>

#include "cli/look_job.h"
#include "field/ledger.h"

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

static omma_status put_account(omma_look_job *j, const omma_ledger *l, const char *label, int k,
                               const omma_feed_forward *feed, const omma_attention *a,
                               omma_error *err) {
    float *from = omma_arena_array(&j->arena, (size_t)a->key.count, sizeof *from);
    if (!from) return omma_fail(err, OMMA_E_NOMEM, "no memory for a report");
    const omma_value *in = feed ? feed->in : a->in, *out = feed ? feed->out : a->out;
    for (int64_t i = 0; i < l->sources && !feed; i++)
        if (!(a->kind == OMMA_ATTENTION_SELF && l->entry[i].token == l->token))
            from[l->entry[i].token] = (float)l->entry[i].share;
    const bool self = a->kind == OMMA_ATTENTION_SELF;
    const omma_report_ledger_info info = {.tokens = j->tokens[2 * k],
                                          .token = l->token,
                                          .attention = feed ? -1 : j->attention[k],
                                          .label = label,
                                          .block = a->block,
                                          .norm_before = l->norm_in,
                                          .norm_after = l->norm_out,
                                          .cosine = l->cosine,
                                          .own = feed ? l->kept : l->kept + l->own,
                                          .context = feed ? 0 : l->context,
                                          .feed_forward = feed ? l->own : 0,
                                          .rest = l->bias,
                                          .far = NAN,
                                          .radius = NAN,
                                          .mismatch = l->error,
                                          .from = feed || !self ? NULL : from,
                                          .before = numbers(j, &a->query, in, l->token),
                                          .after = numbers(j, &a->query, out, l->token),
                                          .width = l->width};
    return omma_report_ledger(j->report, &info, NULL, err);
}

/* The account of a token at attention k, or at the feed-forward block behind it. One that cannot be
 * made (no residual addition) leaves a note. */
static omma_status put_one(omma_look_job *j, int k, const omma_feed_forward *ff, int64_t token,
                           char note[512], omma_error *err) {
    const omma_attention *at = &omma_sight_anatomy(j->sight)->attention[k];
    omma_ledger l;
    omma_error why;
    const omma_status s = ff ? omma_ledger_feed_forward(&l, j->sight, ff, token, &j->arena, &why)
                             : omma_ledger_attention(&l, j->sight, at, token, &j->arena, &why);
    if (s == OMMA_OK) return put_account(j, &l, ff ? ff->label : at->label, k, ff, at, err);
    if (!*note) snprintf(note, 512, "%.400s", why.message);
    return OMMA_OK;
}

omma_status omma_look_put_ledgers(omma_look_job *j, omma_error *err) {
    const omma_anatomy *a = omma_sight_anatomy(j->sight);
    int64_t token[OMMA_LOOK_UNITS];
    char note[512] = "";
    for (int k = 0; k < a->n_attention + a->n_feed_forward; k++) {
        const omma_feed_forward *ff =
            k < a->n_attention ? NULL : &a->feed_forward[k - a->n_attention];
        const int of = ff ? ff->after : k;
        const int n = of < 0 ? 0 : omma_look_chosen_tokens(j, j->tokens[2 * of], token);
        for (int i = 0; i < n; i++) OMMA_TRY(put_one(j, of, ff, token[i], note, err));
    }
    return *note ? omma_report_note(j->report, OMMA_REPORT_LEDGER, note, err) : OMMA_OK;
}
