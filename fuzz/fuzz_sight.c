/* fuzz_sight.c - ONNX files whose parts are looked for: tokens, attention, decoders (sight.h), and
 * every reading of what is found. What is found in a hostile graph may be nonsense, but it must be
 * read within its bounds, and what a header promises must hold: a watched run is an unwatched one
 * to the bit, rows of attention sum to 1, shares of an account add up, what is shut off and opened
 * again is as before, no gradient lies outside of a structural field.
 *
 * Seeds are small networks that have such parts; the other targets' have none. */
#include <math.h>

#include "field/change.h"
#include "field/causal.h"
#include "field/context.h"
#include "field/effective.h"
#include "field/ledger.h"
#include "field/queries.h"
#include "field/sampled.h"
#include "frombytes.h"
#include "onnxmutate.h"
#include "smallrun.h"

enum {
    INPUT = 8192, /* numbers: two pictures of 3 x 32 x 32 */
    SOME = 3,     /* of everything that there are many of */
    FEW = 40      /* tokens that flows are followed through */
};

typedef struct subject {
    const omma_model *m;
    const omma_tensor *in;
    omma_options opt;
    omma_sight *s;
    const omma_anatomy *a;
    omma_arena arena; /* of one reading */
    omma_budget budget;
} subject;

static bool spent(void) { return smallrun_flops > smallrun_most / 2; }

static void *room(size_t n, size_t size) {
    void *p = calloc(n + 1, size);
    FUZZ_CHECK(p, "no memory");
    return p;
}

static bool all_finite(const float *v, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(v[i])) return false;
    return true;
}

/* A number of 0..n - 1: the first, one in the middle, the last. */
static int64_t choose(int64_t n, int k) { return k ? k == 1 ? n / 2 : n - 1 : 0; }

/* --- a watched run is an unwatched one ---------------------------------------------------------
 */

static void same_outputs(const subject *x) {
    omma_error err = {0};
    omma_session *s = NULL;
    const omma_graph *g = omma_sight_graph(x->s);
    if (!fuzz_status(omma_session_on_graph(&s, g, "unwatched", &x->opt, &err), &err) &&
        !fuzz_status(omma_session_run(s, x->in, g->n_inputs, &err), &err) && !smallrun_random)
        for (int i = 0; i < g->n_outputs; i++) {
            const omma_tensor *a = omma_session_output(s, i), *b = omma_sight_output(x->s, i);
            FUZZ_CHECK(a && b, "output %d is missing", i);
            const size_t bytes = smallrun_bytes(a);
            FUZZ_CHECK(bytes == smallrun_bytes(b), "output %d has another size", i);
            FUZZ_CHECK(!bytes || !memcmp(a->data, b->data, bytes), "watching changes output %d", i);
        }
    omma_session_free(s);
}

/* --- weights, lines, accounts ------------------------------------------------------------------
 */

/* How far a sum of n weights may be from 1. */
static double off_by(const omma_attention *a) {
    return a->weights->dtype == OMMA_F32 || a->weights->dtype == OMMA_F64 ? 1e-4 : 0.1;
}

static void read_weights(const subject *x, int k) {
    const omma_attention *a = &x->a->attention[k];
    const float *w = omma_sight_weights(x->s, k);
    if (!w) return; /* no memory */
    for (int64_t i = 0; i < a->windows * a->heads * a->queries; i++, w += a->keys) {
        double sum = 0;
        if (!all_finite(w, a->keys)) continue;
        for (int64_t j = 0; j < a->keys; j++) {
            FUZZ_CHECK(w[j] >= 0, "%s: weight %g", a->label, (double)w[j]);
            sum += (double)w[j];
        }
        FUZZ_CHECK(fabs(sum - 1) <= off_by(a), "%s: row %lld sums to %g", a->label, (long long)i,
                   sum);
    }
}

static void read_lines(const subject *x, int k) {
    omma_sight_part p;
    omma_error err = {0};
    FUZZ_CHECK(!omma_sight_attention(x->s, k, &p, &err), "%s", err.message);
    const float *w = omma_sight_weights(x->s, k);
    const bool finite = w && all_finite(w, p.windows * p.heads * p.queries * p.keys);
    for (int by = 0; by < 2; by++) {
        const int64_t own = by ? p.key_tokens : p.query_tokens,
                      other = by ? p.query_tokens : p.key_tokens;
        float *line = room((size_t)other, sizeof *line);
        for (int i = 0; i < SOME; i++) {
            double y, at;
            const int64_t token = choose(own, i);
            if (omma_sight_place(x->s, k, by, token, &y, &at))
                FUZZ_CHECK(isfinite(y) && isfinite(at), "%s: a place %g, %g", p.label, y, at);
            if (fuzz_status(
                    omma_sight_look(x->s, k, i - 1 < p.heads ? i - 1 : 0, token, by, line, &err),
                    &err))
                continue;
            for (int64_t j = 0; j < other && finite; j++)
                FUZZ_CHECK(line[j] >= 0, "%s: a line has %g", p.label, (double)line[j]);
        }
        free(line);
    }
}

static void read_accounts(const subject *x, int k) {
    const omma_attention *a = &x->a->attention[k];
    omma_error err = {0};
    for (int i = 0; i < SOME && !spent(); i++) {
        omma_account c;
        double *from = room((size_t)a->key.count, sizeof *from), sum = 0;
        if (!fuzz_status(omma_sight_account(x->s, k, choose(a->query.count, i), &c, from, &err),
                         &err)) {
            FUZZ_CHECK(c.mismatch <= 1e-3, "%s: parts are off by %g", a->label, c.mismatch);
            for (int64_t j = 0; j < a->key.count; j++) sum += fabs(from[j]);
            const double off = fabs(c.own + c.context + c.rest - 1);
            FUZZ_CHECK(off <= 2e-3 * (1 + sum), "%s: shares are off by %g", a->label, off);
        }
        free(from);
    }
}

static void read_blocks(subject *x) {
    omma_error err = {0};
    for (int i = 0; i < x->a->n_feed_forward; i++) {
        const omma_feed_forward *f = &x->a->feed_forward[i];
        omma_ledger l;
        if (f->after < 0) continue;
        const int64_t n = x->a->attention[f->after].query.count;
        for (int k = 0; k < SOME; k++)
            fuzz_status(omma_ledger_feed_forward(&l, x->s, f, choose(n, k), &x->arena, &err), &err);
    }
}

/* --- changes ------------------------------------------------------------------------------------
 */

static void within(double v, double low, double high, const char *what) {
    FUZZ_CHECK(isnan(v) || (v >= low - 1e-6 && v <= high + 1e-6), "%s is %g", what, v);
}

static void read_changes(subject *x) {
    omma_changes c;
    omma_error err = {0};
    if (fuzz_status(omma_changes_measure(&c, x->s, 0, 1e6, &x->arena, &err), &err)) return;
    for (int i = 0; i < c.n_state; i++) {
        within(c.state[i].alike, -1, 1, "the cosine of all pairs");
        within(c.state[i].rank, 0, c.state[i].most_rank, "an effective rank");
        FUZZ_CHECK(c.state[i].farthest < c.state[i].tokens->count, "the farthest token is none");
    }
    for (int i = 0; i < c.n_change; i++) {
        const omma_change *g = &c.change[i];
        FUZZ_CHECK(g->before >= 0 && g->before < c.n_state && g->after < c.n_state, "a state");
        within(g->cosine, -1, 1, "a cosine");
        within(g->cka, 0, 1, "CKA");
        within(g->mixing, 0, 1, "a mixing ratio");
        within(g->residual, 0, 1, "a mixing ratio with the residual");
        within(g->normed, 0, 1, "a mixing ratio behind the norm");
    }
}

static void read_norms(subject *x, int k) {
    const omma_attention *a = &x->a->attention[k];
    omma_error err = {0};
    if (a->queries > 4096 / a->keys) return;
    double *norm = room((size_t)(a->queries * a->keys), sizeof *norm);
    for (int i = 0; i < 3 && !spent(); i++)
        if (!fuzz_status(omma_sight_norms(norm, x->s, k, choose(a->windows, i), i > 0, i > 1,
                                          &x->arena, &err),
                         &err))
            fuzz_read(norm, (size_t)(a->queries * a->keys) * sizeof *norm);
    free(norm);
}

/* --- what is shut off ---------------------------------------------------------------------------
 */

static void as_before(const subject *x, const omma_causal *c) {
    for (int i = 0; i < omma_sight_graph(x->s)->n_outputs; i++) {
        const omma_tensor *a = omma_causal_output(c, i, true), *b = omma_causal_output(c, i, false);
        if (!a || !b || smallrun_random) continue;
        const size_t bytes = smallrun_bytes(a);
        FUZZ_CHECK(bytes == smallrun_bytes(b) && (!bytes || !memcmp(a->data, b->data, bytes)),
                   "with nothing shut off output %d is another", i);
    }
}

static void read_moved(const subject *x, const omma_causal *c) {
    omma_causal_change to;
    for (int k = 0; k < x->a->n_attention; k++) {
        const omma_attention *a = &x->a->attention[k];
        float *moved = room((size_t)a->query.count, sizeof *moved);
        for (int i = 0; i < SOME && a->out; i++)
            omma_causal_token_change(&to, c, a->out, &a->query, choose(a->query.count, i));
        if (a->out) omma_causal_moved(moved, c, a->out, &a->query);
        free(moved);
    }
    for (int i = 0; i < omma_sight_graph(x->s)->n_outputs; i++) {
        const omma_tensor *t = omma_causal_output(c, i, false);
        if (t) fuzz_read(t->data, smallrun_bytes(t));
        omma_causal_output_change(&to, c, i);
    }
}

static void read_causal(subject *x) {
    omma_causal *c;
    omma_error err = {0};
    if (!x->a->n_attention || fuzz_status(omma_causal_new(&c, x->s, x->in, &x->opt, &err), &err))
        return;
    for (int i = 0; i < 4 && !spent(); i++) {
        const int k = (int)choose(x->a->n_attention, i % 3);
        const int64_t q = choose(x->a->attention[k].query.count, i % 3), key = 0;
        const omma_shut what = {.attention = k,
                                .here = i & 1,
                                .token = i & 1 ? &q : NULL,
                                .n_token = 1,
                                .source = i & 2 ? &key : NULL,
                                .n_source = 1,
                                .radius = i ? 0 : 9};
        int64_t pairs;
        if (fuzz_status(omma_causal_shut(c, &what, &pairs, &err), &err)) continue;
        FUZZ_CHECK(pairs >= 0, "%lld pairs", (long long)pairs);
        if (fuzz_status(omma_causal_run(c, &err), &err)) break;
        read_moved(x, c);
        omma_causal_clear(c);
    }
    if (!fuzz_status(omma_causal_run(c, &err), &err)) as_before(x, c);
    omma_causal_free(c);
}

/* --- decoders and targets -----------------------------------------------------------------------
 */

/* Relevance of a target in every stack and what it reads from. */
static void read_relevance(subject *x, const omma_slopes *s) {
    const omma_context *c = s->c;
    omma_error err = {0};
    for (int i = 0; i < c->n_stack && i < SOME; i++)
        for (int k = 0; k < c->n_stack; k++) {
            const int64_t n = c->stack[k].tokens->count;
            double *out = room((size_t)n, sizeof *out);
            const omma_relevance_ask ask = {i, k, 0, k & 1 ? 0 : -1};
            if (!fuzz_status(omma_context_relevance(out, NULL, s, &ask, &x->arena, &err), &err))
                fuzz_read(out, (size_t)n * sizeof *out);
            free(out);
        }
}

static void read_target(subject *x, omma_slopes *s, const omma_target *t) {
    omma_error err = {0};
    if (spent() || fuzz_status(omma_slopes_take(s, t, &err), &err)) return;
    read_relevance(x, s);
}

static void read_queries(subject *x, omma_slopes *s) {
    omma_queries q;
    omma_error err = {0};
    omma_target t;
    if (fuzz_status(omma_queries_look(&q, x->s, &x->arena, &err), &err)) return;
    for (int i = 0; i < q.n_stage; i++)
        for (int64_t k = 0; k < q.queries; k++) {
            const omma_query_step *p = &q.stage[i].step[k];
            FUZZ_CHECK(p->label >= -1 && (p->label < q.classes || !p->label), "class %lld of %lld",
                       (long long)p->label, (long long)q.classes);
            fuzz_read(p, sizeof *p);
        }
    for (int64_t i = 0; q.row && i < q.rows; i++)
        FUZZ_CHECK(q.row[i] >= 0 && q.row[i] < q.queries, "a row of query %lld",
                   (long long)q.row[i]);
    if (!q.n_stage) return;
    if (omma_queries_edge(&t, &q, x->s, q.queries - 1, 2)) read_target(x, s, &t);
    if (omma_queries_score(&t, &q, x->s, 0, q.classes - 1)) read_target(x, s, &t);
}

static void read_sampled(subject *x) {
    const omma_decoder *d = omma_sight_decoder(x->s);
    omma_error err = {0};
    for (int i = 0; i < d->n_layer; i++) {
        omma_sampled s;
        if (fuzz_status(omma_sampled_look(&s, x->s, i, &x->arena, &err), &err)) continue;
        const size_t n = (size_t)(s.queries * s.heads * s.points);
        fuzz_read(s.place, 2 * n * sizeof *s.place);
        if (s.weight) fuzz_read(s.weight, n * sizeof *s.weight);
    }
}

/* --- context ------------------------------------------------------------------------------------
 */

/* Rows of shares, of which none is negative. */
static void rows_of_one(const double *rows, int64_t n, int64_t width, bool whole) {
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int64_t k = 0; k < width; k++) {
            FUZZ_CHECK(rows[i * width + k] >= 0, "a rollout of %g", rows[i * width + k]);
            sum += rows[i * width + k];
        }
        FUZZ_CHECK(!whole || fabs(sum - 1) < 1e-6, "a row of a rollout sums to %g", sum);
    }
}

static void read_rollout(subject *x, const omma_context *c, int stack) {
    const omma_stack *s = &c->stack[stack];
    const int64_t n = s->tokens->count, token[] = {0, n - 1};
    omma_error err = {0};
    for (int how = 0; how < OMMA_HEAD_FUSIONS; how++) {
        const omma_context_ask ask = {stack, 0, token, 2, (omma_head_fusion)how, 0.5};
        double *out = room(2 * (size_t)n, sizeof *out);
        if (!fuzz_status(omma_context_rollout(out, c, &ask, &x->arena, &err), &err))
            rows_of_one(out, 2, n, true);
        if (n <= FEW && s->n_self < 4)
            fuzz_status(omma_context_flow(out, c, &ask, token, 1, &x->arena, &err), &err);
        free(out);
        for (int i = 0; i < s->n_step && i < SOME; i++) {
            const int64_t keys = c->stack[s->step[i].source].tokens->count;
            double *cross = room(2 * (size_t)keys, sizeof *cross);
            if (!fuzz_status(omma_context_rollout_cross(cross, c, &ask, i, &x->arena, &err), &err))
                rows_of_one(cross, 2, keys, false);
            free(cross);
        }
    }
}

static void read_context(subject *x) {
    const omma_graph *g = omma_sight_graph(x->s);
    omma_context c;
    omma_slopes s;
    omma_error err = {0};
    if (fuzz_status(omma_context_find(&c, x->s, &x->arena, &err), &err)) return;
    for (int i = 0; i < c.n_stack && i < SOME; i++) read_rollout(x, &c, i);
    omma_slopes_begin(&s, &c, x->in, 0, &x->opt);
    read_queries(x, &s);
    for (int i = 0; i < g->n_outputs && i < SOME; i++)
        read_target(x, &s, &(omma_target){.value = g->outputs[i]->name});
    omma_slopes_free(&s);
}

/* The effective field of a token: what lies outside of the structural one is an internal error. */
static void read_effective(subject *x, int k) {
    const omma_tokens *t = &x->a->attention[k].query;
    omma_error err = {0};
    omma_effective *e = NULL;
    if (!t->value || spent()) return;
    const omma_effective_what what = {.unit = {.value = t->value->name, .by_token = true}};
    if (!fuzz_status(omma_effective_new(&e, x->m->graph, "a model", &what, &x->opt, &err), &err))
        fuzz_status(omma_effective_add(e, x->in, x->m->graph->n_inputs, &err), &err);
    omma_effective_free(e);
}

/* --- one model ----------------------------------------------------------------------------------
 */

static void read_all(subject *x) {
    void (*const whole[])(subject *) = {read_blocks, read_changes, read_causal, read_sampled,
                                        read_context};
    same_outputs(x);
    for (int k = 0; k < x->a->n_attention && k < 2 * SOME; k++) {
        omma_arena_init(&x->arena, &x->budget);
        read_weights(x, k), read_lines(x, k), read_accounts(x, k);
        read_norms(x, k);
        if (k < SOME) read_effective(x, k);
        omma_arena_free(&x->arena);
    }
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
        omma_arena_init(&x->arena, &x->budget);
        if (!spent()) whole[i](x);
        omma_arena_free(&x->arena);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    subject x = {.opt = {.max_memory = 16 << 20, .threads = 1}, .budget = {.limit = 16 << 20}};
    omma_error err = {0};
    omma_model *m;
    frombytes_data = data, frombytes_size = size, smallrun_begin();
    if (fuzz_status(omma_model_open(&m, FUZZ_PATH, &x.opt, &err), &err)) return 0;
    const int n = omma_model_input_count(m);
    omma_tensor *in = smallrun_inputs(m, INPUT);
    x.m = m, x.in = in;
    if (!fuzz_status(omma_sight_new(&x.s, m, in, n, &x.opt, &err), &err)) {
        x.a = omma_sight_anatomy(x.s);
        read_all(&x);
    }
    omma_sight_free(x.s);
    smallrun_free(in, n);
    omma_model_free(m);
    return 0;
}
