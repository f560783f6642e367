/* look_silence.c - see look_silence.h. */
#include "cli/look_silence.h"

#include <math.h>
#include <stdlib.h>

static omma_status no_memory(omma_error *err) {
    return omma_fail(err, OMMA_E_NOMEM, "no memory for a report");
}

/* One token's runs while they are made. */
typedef struct work {
    omma_look_silence *out;
    omma_look_job *j;
    omma_causal *c;
    int sequence, like; /* like: an attention over these tokens */
    int64_t token;
    int room; /* for runs, of each block */
    omma_error *err;
} work;

static const omma_anatomy *anatomy(const work *w) { return omma_sight_anatomy(w->j->sight); }

static int blocks(const work *w) { return anatomy(w)->n_attention + anatomy(w)->n_feed_forward; }

/* The first self-attention over the tokens that can be shut, else the first attention; -1: none. */
static int find_like(const work *w) {
    int found = -1;
    for (int k = anatomy(w)->n_attention - 1; k >= 0; k--) {
        const bool self = anatomy(w)->attention[k].kind == OMMA_ATTENTION_SELF;
        if (w->j->tokens[2 * k] != w->sequence || !omma_causal_can(w->c, k)) continue;
        if (self || found < 0 || anatomy(w)->attention[found].kind != OMMA_ATTENTION_SELF)
            found = k;
    }
    return found;
}

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Within which a quarter of what the token can look at lies: it is told apart from the rest
 * whatever the attention's reach. */
static omma_status find_radius(work *w) {
    const omma_attention *a = &anatomy(w)->attention[w->like];
    const omma_fov *f = omma_sight_fov(w->j->sight);
    double y0, x0, y1, x1, *far = omma_arena_array(&w->j->arena, (size_t)a->key.count, sizeof *far);
    size_t n = 0;
    w->out->radius = NAN;
    if (!far) return no_memory(w->err);
    if (!omma_tokens_place(&a->query, w->token, &y0, &x0)) return OMMA_OK;
    for (int64_t v = 0; v < a->windows / a->batch; v++)
        for (int64_t q = 0; q < a->queries; q++) {
            if (omma_attention_token(a, f, false, v, q) != w->token) continue;
            for (int64_t k = 0; k < a->keys && n < (size_t)a->key.count; k++)
                if (omma_tokens_place(&a->key, omma_attention_token(a, f, true, v, k), &y1, &x1))
                    far[n++] = hypot(y1 - y0, x1 - x0);
        }
    qsort(far, n, sizeof *far, by_size);
    if (n && far[n / 4] > 0) w->out->radius = far[n / 4];
    return OMMA_OK;
}

/* What the run did behind block b. */
static omma_status measure(work *w, int b, omma_report_silenced *s) {
    const omma_anatomy *all = anatomy(w);
    const omma_feed_forward *ff =
        b < all->n_attention ? NULL : &all->feed_forward[b - all->n_attention];
    const int of = ff ? ff->after : b;
    omma_causal_change d;
    s->change = s->cosine = NAN;
    if (of < 0 || w->j->tokens[2 * of] != w->sequence) return OMMA_OK;
    const omma_value *v = ff ? ff->out : all->attention[of].out;
    const omma_tokens *t = &all->attention[of].query;
    if (!omma_causal_token_change(&d, w->c, v, t, w->token)) return OMMA_OK;
    s->change = d.change, s->cosine = d.cosine;
    float *moved = omma_arena_array(&w->j->arena, (size_t)t->count, sizeof *moved);
    if (!moved) return no_memory(w->err);
    if (omma_causal_moved(moved, w->c, v, t)) s->moved = moved;
    return OMMA_OK;
}

static omma_status run(work *w, omma_report_silenced s, const omma_shut *what) {
    omma_report_effect *effect;
    int64_t pairs;
    const int64_t query = w->j->sequence[w->sequence].queries ? w->token : -1;
    if (w->out->n == w->room) return OMMA_OK;
    omma_causal_clear(w->c);
    OMMA_TRY(omma_causal_shut(w->c, what, &pairs, w->err));
    if (!pairs) return OMMA_OK;
    OMMA_TRY(omma_causal_run(w->c, w->err));
    OMMA_TRY(omma_look_effects(&effect, &s.n_effect, w->j, w->c, query, w->err));
    s.effect = effect;
    for (int b = 0; b < blocks(w); b++) {
        omma_report_silenced *to = &w->out->cut[b * w->room + w->out->n];
        *to = s;
        OMMA_TRY(measure(w, b, to));
    }
    w->out->n++;
    return OMMA_OK;
}

static omma_status run_all(work *w, const int64_t *source, int n) {
    const bool self = anatomy(w)->attention[w->like].kind == OMMA_ATTENTION_SELF;
    omma_shut alone = {.attention = w->like, .token = &w->token, .n_token = 1};
    OMMA_TRY(run(w, (omma_report_silenced){.cut = OMMA_REPORT_CUT_REST}, &alone));
    alone.radius = w->out->radius;
    if (alone.radius > 0)
        OMMA_TRY(run(w, (omma_report_silenced){.cut = OMMA_REPORT_CUT_FAR, .radius = alone.radius},
                     &alone));
    for (int i = 0; i < n && self; i++)
        OMMA_TRY(run(w, (omma_report_silenced){.cut = OMMA_REPORT_CUT_SOURCE, .source = source[i]},
                     &(omma_shut){.attention = w->like, .source = &source[i], .n_source = 1}));
    return OMMA_OK;
}

/* Rows of `room` become rows of n. */
static void close_up(work *w) {
    for (int b = 0; b < blocks(w); b++)
        for (int i = 0; i < w->out->n; i++)
            w->out->cut[b * w->out->n + i] = w->out->cut[b * w->room + i];
}

omma_status omma_look_silence_token(omma_look_silence *out, omma_look_job *j, omma_causal *c,
                                    int sequence, int64_t token, const int64_t *source, int n,
                                    int most, omma_error *err) {
    work w = {.out = out, .j = j, .c = c, .sequence = sequence, .token = token, .err = err};
    *out = (omma_look_silence){.radius = NAN};
    w.like = find_like(&w);
    w.room = most < OMMA_LOOK_CUTS ? most : OMMA_LOOK_CUTS;
    if (w.like < 0 || w.room < 1) return OMMA_OK;
    out->cut = omma_arena_array(&j->arena, (size_t)(w.room * blocks(&w)), sizeof *out->cut);
    if (!out->cut) return no_memory(err);
    omma_status bad = find_radius(&w);
    if (!bad) bad = run_all(&w, source, n);
    if (bad) out->n = 0;
    close_up(&w);
    return bad;
}

omma_status omma_look_silence_every(omma_report_effect **out, int *n, omma_look_job *j,
                                    omma_causal *c, int sequence, omma_error *err) {
    const work w = {.j = j, .c = c, .sequence = sequence, .err = err};
    const omma_shut all = {.attention = find_like(&w)};
    *n = 0;
    if (all.attention < 0) return OMMA_OK;
    omma_causal_clear(c);
    OMMA_TRY(omma_causal_shut(c, &all, NULL, err));
    OMMA_TRY(omma_causal_run(c, err));
    return omma_look_effects(out, n, j, c, -1, err);
}
