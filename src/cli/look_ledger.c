/* look_ledger.c - why a token changed: the accounts of a report, block by block. */
#include <math.h>
#include <stdio.h>

#include "cli/look_job.h"
#include "field/ledger.h"

/* A token to begin with: the middle one of those with a place, else the first. */
static int64_t middle_token(const omma_tokens *t) {
    double y, x;
    for (int64_t i = t->count / 2 + t->columns.mod / 2; i < t->count; i++)
        if (omma_tokens_place(t, i, &y, &x)) return i;
    return 0;
}

static omma_status put_account(omma_look_job *j, const omma_ledger *l, const char *label, int k,
                               bool feed, const omma_attention *a, omma_error *err) {
    float *from = omma_arena_array(&j->arena, (size_t)a->key.count, sizeof *from);
    if (!from) return omma_fail(err, OMMA_E_NOMEM, "no memory for a report");
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
                                          .width = l->width};
    return omma_report_ledger(j->report, &info, NULL, err);
}

/* Accounts that cannot be made (no residual addition) are told in a note, once. */
omma_status omma_look_put_ledgers(omma_look_job *j, omma_error *err) {
    const omma_anatomy *a = omma_sight_anatomy(j->sight);
    char note[512] = "";
    for (int k = 0; k < a->n_attention + a->n_feed_forward; k++) {
        const bool feed = k >= a->n_attention;
        const omma_feed_forward *ff = feed ? &a->feed_forward[k - a->n_attention] : NULL;
        const int of = feed ? ff->after : k;
        omma_ledger l;
        omma_error why;
        if (of < 0) continue;
        const omma_attention *at = &a->attention[of];
        const int64_t token = middle_token(&at->query);
        const omma_status s =
            feed ? omma_ledger_feed_forward(&l, j->sight, ff, token, &j->arena, &why)
                 : omma_ledger_attention(&l, j->sight, at, token, &j->arena, &why);
        if (s == OMMA_OK)
            OMMA_TRY(put_account(j, &l, feed ? ff->label : at->label, of, feed, at, err));
        else if (!*note) snprintf(note, sizeof note, "%.400s", why.message);
    }
    return *note ? omma_report_note(j->report, OMMA_REPORT_LEDGER, note, err) : OMMA_OK;
}
