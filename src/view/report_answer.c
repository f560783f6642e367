/* report_answer.c - parts of a report about what came out: the ledger of a token with its silenced
 * runs, queries through the decoder, answers. */
#include <math.h>

#include "base/arena.h"
#include "view/report_write.h"

enum { LEVELS = 255, JSON_EACH = 256 }; /* bytes of JSON that an item of a list may take */

static omma_json_writer *begin_list(omma_report *r, const char *key) {
    omma_json_key(&r->json, key);
    omma_json_begin_array(&r->json);
    return &r->json;
}

/* --- the ledger ------------------------------------------------------------------------- */

/* Blocks of a ledger: shares by token, numbers before and after on one scale, and for each
 * silenced run how tokens moved. */
enum { FROM, NUMBERS, FIXED };
enum { SILENCED_MAX = 64 };

static omma_status make_numbers(omma_report_block *b, const omma_report_ledger_info *l,
                                omma_error *err) {
    if (!l->before || !l->after) return OMMA_OK;
    float *both = omma_mem_alloc_raw((size_t)l->width * 2 * sizeof *both);
    if (!both) return omma_fail(err, OMMA_E_NOMEM, "no memory for a ledger of the report");
    for (int64_t i = 0; i < l->width; i++) {
        both[i] = l->before[i];
        both[l->width + i] = l->after[i];
    }
    const omma_status status = omma_report_quantise(b, both, l->width * 2, LEVELS, 1, true, err);
    omma_mem_free(both);
    return status;
}

static omma_status make_blocks(omma_report_block *b, const omma_report_ledger_info *l,
                               int64_t tokens, omma_error *err) {
    if (l->from) OMMA_TRY(omma_report_quantise(&b[FROM], l->from, tokens, LEVELS, 2, true, err));
    OMMA_TRY(make_numbers(&b[NUMBERS], l, err));
    for (int i = 0; i < l->n_silenced; i++)
        if (l->silenced[i].moved)
            OMMA_TRY(omma_report_quantise(&b[FIXED + i], l->silenced[i].moved, tokens, LEVELS, 2,
                                          false, err));
    return OMMA_OK;
}

static omma_status put_silenced(omma_report *r, const omma_report_silenced *s,
                                omma_report_block *moved, omma_error *err) {
    static const char *const cut[] = {[OMMA_REPORT_CUT_SOURCE] = "source",
                                      [OMMA_REPORT_CUT_REST] = "rest",
                                      [OMMA_REPORT_CUT_FAR] = "far"};
    omma_json_begin_object(&r->json);
    omma_report_say(r, "cut", cut[s->cut]);
    if (s->cut == OMMA_REPORT_CUT_SOURCE) omma_report_say_int(r, "source", s->source);
    if (s->cut == OMMA_REPORT_CUT_FAR) omma_report_say_number(r, "radius", s->radius);
    omma_report_say_number(r, "change", s->change);
    omma_report_say_number(r, "cosine", s->cosine);
    begin_list(r, "effects");
    for (int i = 0; i < s->n_effect; i++) {
        omma_json_begin_object(&r->json);
        omma_report_say(r, "label", s->effect[i].label);
        omma_report_say_number(r, "before", s->effect[i].before);
        omma_report_say_number(r, "after", s->effect[i].after);
        omma_json_end_object(&r->json);
    }
    omma_json_end_array(&r->json);
    OMMA_TRY(omma_report_put(r, "moved", moved, err));
    omma_json_end_object(&r->json);
    return OMMA_OK;
}

static void say_ledger(omma_report *r, const omma_report_ledger_info *l) {
    const struct {
        const char *key;
        double value;
    } number[] = {{"norm_before", l->norm_before},
                  {"norm_after", l->norm_after},
                  {"cosine", l->cosine},
                  {"own", l->own},
                  {"context", l->context},
                  {"feed_forward", l->feed_forward},
                  {"rest", l->rest},
                  {"far", l->far},
                  {"radius", l->radius},
                  {"mismatch", l->mismatch}};
    omma_report_say(r, "label", l->label);
    omma_report_say_int(r, "tokens", l->tokens);
    omma_report_say_int(r, "token", l->token);
    omma_report_say_int(r, "attention", l->attention);
    omma_report_say_int(r, "block", l->block);
    for (size_t i = 0; i < sizeof number / sizeof *number; i++)
        omma_report_say_number(r, number[i].key, number[i].value);
}

static omma_status put_ledger(omma_report *r, const omma_report_ledger_info *l,
                              omma_report_block *b, int *index, omma_error *err) {
    OMMA_TRY(omma_report_part(r, "ledger", OMMA_PART_LEDGER, index, err));
    say_ledger(r, l);
    OMMA_TRY(omma_report_put(r, "from", &b[FROM], err));
    OMMA_TRY(omma_report_put(r, "numbers", &b[NUMBERS], err));
    begin_list(r, "silenced");
    for (int i = 0; i < l->n_silenced; i++)
        OMMA_TRY(put_silenced(r, &l->silenced[i], &b[FIXED + i], err));
    omma_json_end_array(&r->json);
    return omma_report_part_end(r, err);
}

static size_t json_of(const omma_report_ledger_info *l) {
    size_t n = (size_t)l->n_silenced;
    for (int i = 0; i < l->n_silenced; i++) n += (size_t)l->silenced[i].n_effect;
    return n * JSON_EACH;
}

omma_status omma_report_ledger(omma_report *r, const omma_report_ledger_info *l, int *index,
                               omma_error *err) {
    if (l->tokens < 0 || l->tokens >= r->count[OMMA_PART_TOKENS] || l->n_silenced > SILENCED_MAX ||
        l->attention < -1 || l->attention >= r->count[OMMA_PART_ATTENTION] || l->width < 0)
        return omma_report_wrong("a ledger", err);
    const int64_t tokens = r->tokens[l->tokens];
    if (l->token < 0 || l->token >= tokens) return omma_report_wrong("a token", err);
    omma_report_block b[FIXED + SILENCED_MAX] = {0};
    omma_status status = make_blocks(b, l, tokens, err);
    const size_t cost = omma_report_cost(b, FIXED + l->n_silenced) + json_of(l);
    if (!status && !omma_report_fits(r, cost))
        status =
            omma_report_left_out(r, OMMA_REPORT_LEDGER, "the ledger", l->label, cost, index, err);
    else if (!status) status = put_ledger(r, l, b, index, err);
    for (int i = 0; i < FIXED + SILENCED_MAX; i++) omma_report_drop(&b[i]);
    return status;
}

/* --- queries and answers ------------------------------------------------------------------ */

static void say_step(omma_report *r, const omma_report_step *s) {
    omma_json_begin_object(&r->json);
    omma_report_say(r, "label", s->label);
    if (s->has_box) omma_report_say_floats(r, "box", s->box, 4);
    omma_report_say(r, "name", s->name);
    omma_report_say_number(r, "score", s->score);
    omma_report_say_int(r, "cross", s->cross);
    omma_report_say_int(r, "samples", s->samples);
    omma_json_end_object(&r->json);
}

omma_status omma_report_query(omma_report *r, const omma_report_query_info *q, int *index,
                              omma_error *err) {
    if (q->number < 0 || q->n_step < 0) return omma_report_wrong("a query", err);
    const size_t cost = (size_t)q->n_step * JSON_EACH;
    if (!omma_report_fits(r, cost))
        return omma_report_left_out(r, OMMA_REPORT_QUERIES, "a query", NULL, cost, index, err);
    OMMA_TRY(omma_report_part(r, "query", OMMA_PART_QUERY, index, err));
    omma_report_say_int(r, "number", q->number);
    omma_report_say_int(r, "answer", q->answer);
    begin_list(r, "steps");
    for (int i = 0; i < q->n_step; i++) say_step(r, &q->step[i]);
    omma_json_end_array(&r->json);
    return omma_report_part_end(r, err);
}

omma_status omma_report_answer(omma_report *r, const omma_report_answer_info *a, int *index,
                               omma_error *err) {
    const int most = (int)(sizeof a->corner / sizeof *a->corner / 2);
    if (a->n_corners < 0 || a->n_corners == 1 || a->n_corners > most)
        return omma_report_wrong("an answer", err);
    if (!omma_report_fits(r, JSON_EACH))
        return omma_report_left_out(r, OMMA_REPORT_ANSWERS, "the answer ", a->name, JSON_EACH,
                                    index, err);
    OMMA_TRY(omma_report_part(r, "answer", OMMA_PART_ANSWER, index, err));
    omma_report_say(r, "name", a->name);
    omma_report_say_number(r, "score", a->score);
    omma_report_say_int(r, "class", a->class_index);
    omma_report_say_int(r, "query", a->query);
    if (a->n_corners) omma_report_say_floats(r, "corners", a->corner, a->n_corners * 2);
    return omma_report_part_end(r, err);
}
