/* look_heads.c - the numbers of an attention's heads in a report: how far and how broadly they
 * look, how much at the token itself and at tokens without a place (attention_stats.h). */
#include <math.h>
#include <stdatomic.h>

#include "base/pool.h"
#include "cli/look_job.h"
#include "field/attention_stats.h"

/* Weights below this, in all heads, are what a mask of large negative numbers leaves. */
static const float BLOCKED = 1e-30f;

typedef struct ends {
    double *y, *x;
    uint8_t *kind;
} ends;

typedef struct measuring {
    omma_attention_weights w;
    omma_look *head;
    atomic_int status;
} measuring;

static omma_token_kind kind_of(const omma_tokens *t, int64_t token, double *y, double *x) {
    if (token < 0) return OMMA_TOKEN_PADDING;
    if (omma_tokens_place(t, token, y, x)) return OMMA_TOKEN_PLACED;
    if (!t->placed) return OMMA_TOKEN_OTHER;
    return token ? OMMA_TOKEN_REGISTER : OMMA_TOKEN_CLASS;
}

/* Places and kinds of the queries or keys of all windows. */
static bool find_ends(ends *e, const omma_look_job *j, const omma_attention *a, bool key,
                      omma_arena *tmp) {
    const omma_fov *f = omma_sight_fov(j->sight);
    const int64_t each = key ? a->keys : a->queries, n = a->windows * each;
    e->y = omma_arena_array(tmp, (size_t)n, sizeof *e->y);
    e->x = omma_arena_array(tmp, (size_t)n, sizeof *e->x);
    e->kind = omma_arena_array(tmp, (size_t)n, sizeof *e->kind);
    if (!e->y || !e->x || !e->kind) return false;
    for (int64_t i = 0; i < n; i++)
        e->kind[i] = (uint8_t)kind_of(key ? &a->key : &a->query,
                                      omma_attention_token(a, f, key, i / each, i % each), &e->y[i],
                                      &e->x[i]);
    return true;
}

/* Which pairs of a window a mask leaves; NULL: all of them, or no memory. */
static const uint8_t *find_allowed(const omma_attention *a, const float *w, omma_arena *tmp) {
    const int64_t matrix = a->queries * a->keys;
    uint8_t *allowed = omma_arena_array(tmp, (size_t)(a->windows * matrix), 1);
    bool all = true;
    for (int64_t i = 0; allowed && i < a->windows * a->heads * matrix; i++)
        allowed[i / matrix / a->heads * matrix + i % matrix] |= w[i] > BLOCKED;
    for (int64_t i = 0; allowed && i < a->windows * matrix; i++) all &= allowed[i];
    return all ? NULL : allowed;
}

static void measure_some(void *arg, int64_t begin, int64_t end, int worker) {
    measuring *m = arg;
    (void)worker;
    for (int64_t h = begin; h < end; h++) {
        omma_error why;
        const omma_status s = omma_look_head(&m->head[h], &m->w, OMMA_LOOKS_AT, h, &why);
        if (s) atomic_store(&m->status, (int)s);
    }
}

static void read_heads(const omma_attention *a, const measuring *m, omma_look_heads *out) {
    for (int64_t h = 0; h < a->heads; h++) {
        const omma_look *l = &m->head[h];
        out->distance[h] = l->distance;
        out->entropy[h] = l->entropy;
        out->on_self[h] = l->self;
        out->on_special[h] = a->key.placed ? l->on_class + l->on_registers : NAN;
    }
    out->uniform = m->head[0].uniform;
    out->ceiling = m->head[0].ceiling;
}

static omma_status measure(omma_look_heads *out, const omma_look_job *j, const omma_attention *a,
                           const float *w, omma_arena *tmp, omma_error *err) {
    ends query, key;
    measuring m = {0};
    m.head = omma_arena_array(tmp, (size_t)a->heads, sizeof *m.head);
    if (!m.head || !find_ends(&query, j, a, false, tmp) || !find_ends(&key, j, a, true, tmp))
        return omma_fail(err, OMMA_E_NOMEM, "no memory for a report");
    m.w = (omma_attention_weights){.weights = w,
                                   .windows = a->windows,
                                   .heads = a->heads,
                                   .queries = a->queries,
                                   .keys = a->keys,
                                   .query = {query.y, query.x, query.kind},
                                   .key = {key.y, key.x, key.kind},
                                   .same = omma_attention_same_tokens(a) && a->queries == a->keys,
                                   .allowed = find_allowed(a, w, tmp)};
    omma_parallel(omma_threads_default(), a->heads, 1, measure_some, &m);
    if (!atomic_load(&m.status)) read_heads(a, &m, out);
    return OMMA_OK; /* of weights that are not finite there are no numbers */
}

omma_status omma_look_measure_heads(omma_look_heads *out, omma_look_job *j, const omma_attention *a,
                                    const float *weights, omma_error *err) {
    const size_t n = (size_t)a->heads;
    double *room = omma_arena_array(&j->arena, 4 * n, sizeof *room);
    if (!room) return omma_fail(err, OMMA_E_NOMEM, "no memory for a report");
    for (size_t i = 0; i < 4 * n; i++) room[i] = NAN;
    *out = (omma_look_heads){room, room + n, room + 2 * n, room + 3 * n, NAN, NAN};
    omma_arena tmp;
    omma_arena_init(&tmp, j->arena.budget);
    const omma_status s = measure(out, j, a, weights, &tmp, err);
    omma_arena_free(&tmp);
    return s;
}
