/* causal_shut.c - which scores are shut off, see causal.h: rows of masks, by the tokens that their
 * queries and keys are. */
#include <math.h>
#include <string.h>

#include "field/causal_net.h"
#include "op/op.h"

/* What is shut, by token. */
typedef struct choice {
    const bool *token, *source; /* NULL: all */
    double radius;
} choice;

/* The row of a query. */
typedef struct place {
    int64_t w, q, token;
    bool placed;
    double y, x;
} place;

static void set(const omma_tensor *t, int64_t at, double v) {
    if (t->dtype == OMMA_F32) ((float *)t->data)[at] = (float)v;
    else omma_set_number(t->dtype, t->data, at, v);
}

static bool is_shut(const omma_tensor *t, int64_t at) {
    return omma_get_number(t->dtype, t->data, at) != 0;
}

void omma_causal_net_clear(const omma_causal_net *n) {
    for (int i = 0; i < n->n_gate; i++) {
        const omma_tensor *s = n->gate[i].shut, *h = n->gate[i].heard;
        if (s) memset(s->data, 0, (size_t)omma_tensor_count(s) * omma_dtype_size(s->dtype));
        for (int64_t k = 0; h && k < omma_tensor_count(h); k++) set(h, k, 1);
    }
}

/* --- a row -------------------------------------------------------------------------------------
 */

static bool is_near(const omma_attention *a, const place *p, int64_t key, double radius) {
    double y, x;
    return radius > 0 && p->placed && omma_tokens_place(&a->key, key, &y, &x) &&
           hypot(y - p->y, x - p->x) <= radius;
}

static bool is_chosen(const omma_attention *a, const choice *c, const place *p, int64_t key) {
    if (omma_attention_same_tokens(a) && key == p->token) return false;
    if (c->source && (key < 0 || !c->source[key])) return false;
    return !is_near(a, p, key, c->radius);
}

/* Does head h of the row see anything? */
static bool sees(const omma_causal_gate *g, const omma_attention *a, const place *p, int64_t h) {
    for (int64_t k = 0; k < a->keys; k++)
        if (!is_shut(g->shut, omma_heads_at(&g->at, p->w, h, p->q, k)) &&
            !(g->dead && omma_bit(g->dead, omma_heads_at(&a->at_scores, p->w, h, p->q, k))))
            return true;
    return false;
}

/* A row of nothing but -inf would be NaN: it is left open, and what it mixes is not heard. */
static void deafen(const omma_causal_gate *g, const omma_attention *a, const place *p, int64_t h) {
    const int64_t end = g->heads > 1 ? h + 1 : a->heads;
    for (int64_t k = 0; k < a->keys; k++) set(g->shut, omma_heads_at(&g->at, p->w, h, p->q, k), 0);
    for (; h < end; h++)
        for (int64_t c = 0; c < a->mix_width; c++)
            set(g->heard, omma_heads_at(&a->at_mix, p->w, h, p->q, c), 0);
}

static int64_t shut_row(const omma_causal_gate *g, const omma_attention *a, const omma_fov *f,
                        const choice *c, const place *p) {
    int64_t met = 0;
    for (int64_t k = 0; k < a->keys; k++) {
        if (!is_chosen(a, c, p, omma_attention_token(a, f, true, p->w, k))) continue;
        met++;
        for (int64_t h = 0; h < g->heads; h++)
            set(g->shut, omma_heads_at(&g->at, p->w, h, p->q, k), -INFINITY);
    }
    for (int64_t h = 0; h < g->heads && g->heard && met; h++)
        if (!sees(g, a, p, h)) deafen(g, a, p, h);
    return met;
}

/* Rows of padding are nobody's, and stay as they are. */
static int64_t shut_all(const omma_causal_gate *g, const omma_attention *a, const omma_fov *f,
                        const choice *c) {
    int64_t met = 0;
    for (int64_t w = 0; w < a->windows; w++)
        for (int64_t q = 0; q < a->queries; q++) {
            place p = {.w = w, .q = q, .token = omma_attention_token(a, f, false, w, q)};
            if (p.token < 0 || (c->token && !c->token[p.token])) continue;
            p.placed = omma_tokens_place(&a->query, p.token, &p.y, &p.x);
            met += shut_row(g, a, f, c, &p);
        }
    return met;
}

/* --- which attentions --------------------------------------------------------------------------
 */

bool omma_tokens_alike(const omma_tokens *a, const omma_tokens *b) {
    return a->count == b->count && a->placed == b->placed && a->special == b->special &&
           a->rows.mod == b->rows.mod && a->columns.mod == b->columns.mod &&
           a->jump_y == b->jump_y && a->jump_x == b->jump_x;
}

static bool is_meant(const omma_attention *a, const omma_attention *of, const omma_shut *what) {
    if (a == of || what->here) return a == of;
    if (!omma_tokens_alike(&a->key, &of->key)) return false;
    if (!what->token && what->source) return true; /* from everybody */
    return a->kind == of->kind && omma_tokens_alike(&a->query, &of->query);
}

/* By token, whether it is in the list; *out stays NULL without one. */
static omma_status mark(const bool **out, const int64_t *list, int n, int64_t count,
                        omma_arena *arena, omma_error *err) {
    *out = NULL;
    if (!list) return OMMA_OK;
    bool *is = omma_arena_array(arena, (size_t)count + 1, sizeof *is);
    if (!is) return omma_fail(err, OMMA_E_NOMEM, "no memory for a run with tokens shut off");
    for (int i = 0; i < n; i++) {
        if (list[i] < 0 || list[i] >= count)
            return omma_fail(err, OMMA_E_RANGE, "there are %lld tokens, and no number %lld",
                             (long long)count, (long long)list[i]);
        is[list[i]] = true;
    }
    *out = is;
    return OMMA_OK;
}

omma_status omma_causal_net_shut(const omma_causal_net *n, const omma_sight *s,
                                 const omma_shut *what, int64_t *pairs, omma_error *err) {
    const omma_anatomy *all = omma_sight_anatomy(s);
    choice c = {.radius = what->radius};
    omma_arena tmp;
    if (what->attention < 0 || what->attention >= all->n_attention)
        return omma_fail(err, OMMA_E_RANGE, "there are %d attentions, and no number %d",
                         all->n_attention, what->attention);
    const omma_attention *of = &all->attention[what->attention];
    omma_arena_init(&tmp, NULL);
    omma_status bad = mark(&c.token, what->token, what->n_token, of->query.count, &tmp, err);
    if (!bad) bad = mark(&c.source, what->source, what->n_source, of->key.count, &tmp, err);
    for (int i = 0; i < all->n_attention && !bad; i++) {
        const omma_attention *a = &all->attention[i];
        if (!n->gate[i].shut || !is_meant(a, of, what)) continue;
        *pairs += shut_all(&n->gate[i], a, omma_sight_fov(s), &c);
    }
    omma_arena_free(&tmp);
    return bad;
}
