/* sight_of.c - the public face of a sight (omma.h): attentions, lines of their weights over whole
 * sequences, accounts of tokens. */
#include "field/ledger.h"

int omma_sight_attentions(const omma_sight *s) { return omma_sight_anatomy(s)->n_attention; }

/* NULL: there is none. */
static const omma_attention *find(const omma_sight *s, int attention, omma_error *err) {
    const omma_anatomy *a = omma_sight_anatomy(s);
    if (attention >= 0 && attention < a->n_attention) return &a->attention[attention];
    (void)omma_fail(err, OMMA_E_RANGE, "attention %d: the model has %d", attention, a->n_attention);
    return NULL;
}

omma_status omma_sight_attention(const omma_sight *s, int attention, omma_sight_part *out,
                                 omma_error *err) {
    const omma_attention *a = find(s, attention, err);
    if (!a) return OMMA_E_RANGE;
    *out = (omma_sight_part){.label = a->label,
                             .cross = a->kind == OMMA_ATTENTION_CROSS,
                             .decoder = a->decoder,
                             .block = a->block,
                             .windows = a->windows,
                             .heads = a->heads,
                             .queries = a->queries,
                             .keys = a->keys,
                             .query_tokens = a->query.count,
                             .key_tokens = a->key.count};
    return OMMA_OK;
}

int omma_sight_place(const omma_sight *s, int attention, int key, int64_t token, double *y,
                     double *x) {
    const omma_attention *a = find(s, attention, NULL);
    if (!a) return 0;
    const omma_tokens *t = key ? &a->key : &a->query;
    return token >= 0 && token < t->count && omma_tokens_place(t, token, y, x);
}

/* One window's part of a line. */
static void add_line(float *line, const omma_attention *a, const omma_fov *f, const float *map,
                     int64_t window, int64_t at, int by, float share) {
    const int64_t n = by ? a->queries : a->keys;
    for (int64_t i = 0; i < n; i++) {
        const int64_t to = omma_attention_token(a, f, !by, window, i);
        if (to >= 0) line[to] += share * (by ? map[i * a->keys + at] : map[at * a->keys + i]);
    }
}

omma_status omma_sight_look(omma_sight *s, int attention, int head, int64_t token, int by,
                            float *line, omma_error *err) {
    const omma_attention *a = find(s, attention, err);
    if (!a) return OMMA_E_RANGE;
    const float *w;
    const omma_fov *f = omma_sight_fov(s);
    const int64_t own = by ? a->key.count : a->query.count, n = by ? a->keys : a->queries,
                  other = by ? a->query.count : a->key.count;
    if (head < -1 || head >= a->heads || token < 0 || token >= own)
        return omma_fail(err, OMMA_E_RANGE, "head %d, token %lld: attention %d has %lld and %lld",
                         head, (long long)token, attention, (long long)a->heads, (long long)own);
    OMMA_TRY(omma_sight_read_weights(&w, s, attention, err));
    for (int64_t i = 0; i < other; i++) line[i] = 0;
    for (int64_t v = 0; v < a->windows / a->batch; v++) /* of the first picture */
        for (int64_t i = 0; i < n; i++) {
            if (omma_attention_token(a, f, by, v, i) != token) continue;
            for (int64_t h = head < 0 ? 0 : head; h < (head < 0 ? a->heads : head + 1); h++)
                add_line(line, a, f, w + (v * a->heads + h) * a->queries * a->keys, v, i, by,
                         head < 0 ? 1 / (float)a->heads : 1);
        }
    return OMMA_OK;
}

omma_status omma_sight_account(const omma_sight *s, int attention, int64_t token, omma_account *out,
                               double *from, omma_error *err) {
    const omma_attention *a = find(s, attention, err);
    omma_ledger l;
    omma_arena arena;
    if (!a) return OMMA_E_RANGE;
    omma_arena_init(&arena, NULL);
    const omma_status bad = omma_ledger_attention(&l, s, a, token, &arena, err);
    if (!bad) {
        *out = (omma_account){.norm_before = l.norm_in,
                              .norm_after = l.norm_out,
                              .cosine = l.cosine,
                              .own = l.kept + l.own,
                              .context = l.context,
                              .rest = l.bias,
                              .mismatch = l.error};
        for (int64_t i = 0; i < a->key.count && from; i++) from[i] = 0;
        for (int64_t i = 0; i < l.sources && from; i++)
            if (l.entry[i].token >= 0) from[l.entry[i].token] += l.entry[i].share;
    }
    omma_arena_free(&arena);
    return bad;
}
