/* report_plain.c - plain reports: numbers in the JSON itself, for programs. Of attention they have
 * the lines of chosen tokens: all of it would be hundreds of megabytes of digits. */
#include "base/arena.h"
#include "field/bits.h"
#include "view/report_write.h"

/* --- arrays --------------------------------------------------------------------------- */

void omma_report_put_runs(omma_json_writer *w, const uint64_t *v, int64_t n) {
    omma_json_begin_array(w);
    for (int64_t at = v ? omma_bits_next(v, 0, n) : n; at < n;) {
        int64_t end = at;
        while (end < n && omma_bit(v, end)) end++;
        omma_json_begin_array(w);
        omma_json_put_int(w, at);
        omma_json_put_int(w, end - 1);
        omma_json_end_array(w);
        at = omma_bits_next(v, end, n);
    }
    omma_json_end_array(w);
}

void omma_report_put_plain(omma_report *r, const char *key, const omma_report_block *b) {
    omma_json_writer *w = &r->json;
    omma_json_key(w, key);
    omma_json_begin_array(w);
    for (int64_t i = 0; i < b->count; i++) {
        if (b->floats) omma_json_put_float(w, b->floats[i]);
        else if (b->ints) omma_json_put_int(w, b->ints[i]);
        else omma_report_put_runs(w, b->bits ? b->bits + i * b->words : NULL, b->n_bits);
    }
    omma_json_end_array(w);
}

/* --- lines of attention ------------------------------------------------------------------ */

static int64_t token_at(const int32_t *token, int64_t window, int64_t n, int64_t i) {
    return token ? token[window * n + i] : i;
}

/* The line of one head: what token t of the queries looks at, or (by) of the keys is looked at by.
 * Where several windows have it, the last counts; padding is in none. */
static void put_line(omma_report *r, const omma_report_attention_info *a, int64_t head, int64_t t,
                     bool by, float *line, int64_t count) {
    const int64_t own = by ? a->keys : a->queries, other = by ? a->queries : a->keys;
    const int32_t *mine = by ? a->key_token : a->query_token;
    const int32_t *its = by ? a->query_token : a->key_token;
    for (int64_t i = 0; i < count; i++) line[i] = 0;
    for (int64_t w = 0; w < a->windows; w++)
        for (int64_t k = 0; k < own; k++) {
            if (token_at(mine, w, own, k) != t) continue;
            const float *map = a->weights + (w * a->heads + head) * a->queries * a->keys;
            for (int64_t i = 0; i < other; i++) {
                const int64_t to = token_at(its, w, other, i);
                if (to < 0 || to >= count) continue;
                line[to] = by ? map[i * a->keys + k] : map[k * a->keys + i];
            }
        }
    omma_json_begin_array(&r->json);
    for (int64_t i = 0; i < count; i++) omma_json_put_float(&r->json, line[i]);
    omma_json_end_array(&r->json);
}

static void put_heads(omma_report *r, const omma_report_attention_info *a, int64_t t, bool by,
                      float *line) {
    omma_json_key(&r->json, by ? "looked_at_by" : "looks_at");
    omma_json_begin_array(&r->json);
    for (int64_t h = 0; h < a->heads; h++)
        put_line(r, a, h, t, by, line, r->tokens[by ? a->query : a->key]);
    omma_json_end_array(&r->json);
}

omma_status omma_report_put_looks(omma_report *r, const omma_report_attention_info *a,
                                  omma_error *err) {
    if (!a->weights || a->query < 0 || a->key < 0) return OMMA_OK;
    const int64_t q = r->tokens[a->query], k = r->tokens[a->key];
    float *line = omma_mem_alloc((size_t)(q > k ? q : k) * sizeof *line);
    if (!line) return omma_fail(err, OMMA_E_NOMEM, "no memory for lines of attention");
    omma_json_key(&r->json, "looks");
    omma_json_begin_array(&r->json);
    for (int i = 0; i < a->n_of; i++) {
        const omma_report_unit *u = &a->of[i];
        const bool looks = u->part == a->query && u->y < q, seen = u->part == a->key && u->y < k;
        const bool token = u->what == OMMA_REPORT_TOKEN || u->what == OMMA_REPORT_QUERY;
        if (!token || u->y < 0 || (!looks && !seen)) continue;
        omma_json_begin_object(&r->json);
        omma_report_say_unit(r, u);
        if (looks) put_heads(r, a, u->y, false, line);
        if (seen) put_heads(r, a, u->y, true, line);
        omma_json_end_object(&r->json);
    }
    omma_json_end_array(&r->json);
    omma_mem_free(line);
    return OMMA_OK;
}
