/* linear_attention.c - LinearAttention: attention without softmax, by a state carried along the
 * sequence.
 *
 *   q: [B, T, H*D]   k: [B, T, G*D]   v: [B, T, G*E]      decay: [B, T, G*D] or [B, T, G]
 *   past: [B, G, D, E], zeros when left out               beta: [B, T, G] or [B, T, 1]
 *   y: [B, T, H*E]   present: [B, G, D, E], the last state
 *
 * With S: [D, E] of a head of keys, q, k, v, g (decay) and b (beta) of a step, by update_rule:
 *
 *     linear       S += k vT                            gated        S = exp(g) S + k vT
 *     delta        S += b k (v - ST k)T                 gated_delta  S = exp(g) S, then as delta
 *     y = scale * ST q                                  scale: 1 / sqrt(D) when 0
 *
 * H heads of queries share G of keys (G divides H). Floats, computed in double.
 * Source: ONNX LinearAttention 27. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/pool.h"
#include "op/element.h"
#include "op/unroll.h"

enum { Q, K, V, PAST, DECAY, BETA }; /* inputs */

typedef struct linear {
    bool gated, delta;
    int64_t batch, len, heads, groups, d, e;
    int64_t decays, betas; /* numbers of a row of decay and beta */
    double scale;
    size_t each; /* bytes of a worker's state and of a row of v behind it */
    int workers;
} linear;

/* A rule by name: is it gated, does it correct? */
static omma_status read_rule(omma_build *b, const omma_node *n, linear *p) {
    const char *rule = omma_node_string(n, "update_rule", "gated_delta");
    p->gated = !strncmp(rule, "gated", 5);
    p->delta = !strcmp(rule, "delta") || !strcmp(rule, "gated_delta");
    if (!p->delta && strcmp(rule, "linear") && strcmp(rule, "gated"))
        return omma_bad(b, n, "update_rule '%s' is unknown", rule);
    if (p->gated && !omma_in(n, DECAY)) return omma_bad(b, n, "'%s' needs a decay", rule);
    if (p->delta && !omma_in(n, BETA)) return omma_bad(b, n, "'%s' needs a beta", rule);
    return OMMA_OK;
}

/* Input i must be [B, T, something]. */
static omma_status want_rows(omma_build *b, const omma_node *n, int i) {
    const omma_value *v = n->in[i], *q = n->in[Q];
    OMMA_TRY(omma_want_same(b, n, i));
    if (v->rank != 3 || v->dims[0] != q->dims[0] || v->dims[1] != q->dims[1])
        return omma_bad(b, n, "'%s' must be [B, T, ...] as the queries", v->name);
    return OMMA_OK;
}

static omma_status shapes(omma_build *b, const omma_node *n, linear *p) {
    const omma_value *q = n->in[Q], *past = omma_in(n, PAST);
    p->batch = q->dims[0], p->len = q->dims[1];
    p->heads = omma_node_int(n, "q_num_heads", 0), p->groups = omma_node_int(n, "kv_num_heads", 0);
    if (p->heads < 1 || p->groups < 1 || p->heads % p->groups || q->dims[2] % p->heads ||
        n->in[V]->dims[2] % p->groups)
        return omma_bad(b, n, "%lld heads of queries and %lld of keys do not fit the inputs",
                        (long long)p->heads, (long long)p->groups);
    p->d = q->dims[2] / p->heads, p->e = n->in[V]->dims[2] / p->groups;
    if (p->d < 1 || p->e < 1) return omma_bad(b, n, "heads of no numbers");
    if (n->in[K]->dims[2] / p->groups != p->d || n->in[K]->dims[2] % p->groups)
        return omma_bad(b, n, "queries and keys differ in length");
    if (past && (past->rank != 4 || past->dims[0] != p->batch || past->dims[1] != p->groups ||
                 past->dims[2] != p->d || past->dims[3] != p->e))
        return omma_bad(b, n, "'%s' must be [B, G, D, E]", past->name);
    if (p->gated) p->decays = n->in[DECAY]->dims[2];
    if (p->delta) p->betas = n->in[BETA]->dims[2];
    if ((p->gated && p->decays != p->groups && p->decays != n->in[K]->dims[2]) ||
        (p->delta && p->betas != p->groups && p->betas != 1))
        return omma_bad(b, n, "decay or beta do not fit the heads");
    return OMMA_OK;
}

static omma_status infer(omma_build *b, omma_node *n) {
    const omma_value *q = n->in[Q];
    OMMA_TRY(omma_want(b, n, Q, OMMA_IN_FLOAT));
    if (omma_in(n, PAST)) OMMA_TRY(omma_want(b, n, PAST, OMMA_IN_FLOAT));
    if (q->rank != 3) return omma_bad(b, n, "'%s' must be [B, T, H*D]", q->name);
    linear *p = omma_param(b, n, sizeof *p);
    if (!p) return omma_nomem(b, n);
    OMMA_TRY(read_rule(b, n, p));
    for (int i = K; i <= BETA; i++)
        if (i != PAST && omma_in(n, i)) OMMA_TRY(want_rows(b, n, i));
    OMMA_TRY(shapes(b, n, p));
    p->scale = (double)omma_node_float(n, "scale", 0);
    if (p->scale == 0) p->scale = 1 / sqrt((double)p->d);
    int64_t width;
    if (__builtin_mul_overflow(p->heads, p->e, &width)) return omma_bad(b, n, "the size overflows");
    OMMA_TRY(omma_out(b, n, 1, omma_in(n, PAST) ? n->in[PAST]->dtype : q->dtype, 4,
                      (int64_t[]){p->batch, p->groups, p->d, p->e}));
    return omma_out(b, n, 0, q->dtype, 3, (int64_t[]){p->batch, p->len, width});
}

static omma_status prepare(omma_build *b, omma_node *n) {
    linear *p = (linear *)n->param;
    p->workers = omma_workers(b);
    if (p->d == INT64_MAX ||
        !omma_dims_bytes((int64_t[]){p->d + 1, p->e}, 2, sizeof(double), &p->each) ||
        !omma_align_up(p->each, 64, &p->each) ||
        !omma_mul(p->each, (size_t)p->workers, &n->scratch))
        return omma_bad(b, n, "its working memory overflows");
    return OMMA_OK;
}

static double at(const omma_value *v, int64_t i) { return omma_get_number(v->dtype, v->mem, i); }

/* The state s one step on; row: of the step in [B, T], g: the head. add: room for E numbers. */
static void step(const omma_node *n, const linear *p, int64_t row, int64_t g, double *s,
                 double *add) {
    const int64_t k = (row * p->groups + g) * p->d, v = (row * p->groups + g) * p->e;
    for (int64_t i = 0; p->gated && i < p->d; i++) {
        const int64_t own = p->decays == p->groups ? g : g * p->d + i;
        const double by = exp(at(n->in[DECAY], row * p->decays + own));
        for (int64_t j = 0; j < p->e; j++) s[i * p->e + j] *= by;
    }
    for (int64_t j = 0; j < p->e; j++) {
        add[j] = at(n->in[V], v + j);
        if (!p->delta) continue;
        for (int64_t i = 0; i < p->d; i++) add[j] -= s[i * p->e + j] * at(n->in[K], k + i);
        add[j] *= at(n->in[BETA], row * p->betas + (p->betas == 1 ? 0 : g));
    }
    for (int64_t i = 0; i < p->d; i++)
        for (int64_t j = 0; j < p->e; j++) s[i * p->e + j] += at(n->in[K], k + i) * add[j];
}

/* y of one head of queries. */
static void look(const omma_node *n, const linear *p, int64_t row, int64_t h, const double *s) {
    const omma_value *y = n->out[0];
    for (int64_t j = 0; j < p->e; j++) {
        double sum = 0;
        for (int64_t i = 0; i < p->d; i++)
            sum += s[i * p->e + j] * at(n->in[Q], (row * p->heads + h) * p->d + i);
        omma_set_number(y->dtype, y->mem, (row * p->heads + h) * p->e + j, p->scale * sum);
    }
}

/* Items are heads of keys of all batches. */
static void heads(void *arg, int64_t begin, int64_t end, int worker) {
    const omma_node *n = arg;
    const linear *p = n->param;
    const omma_value *past = omma_in(n, PAST), *present = omma_wanted(n, 1);
    double *s = (double *)(void *)((char *)n->work + (size_t)worker * p->each);
    const int64_t size = p->d * p->e, share = p->heads / p->groups;
    for (int64_t item = begin; item < end; item++) {
        const int64_t g = item % p->groups;
        for (int64_t i = 0; i < size; i++) s[i] = past ? at(past, item * size + i) : 0;
        for (int64_t t = 0; t < p->len; t++) {
            const int64_t row = item / p->groups * p->len + t;
            step(n, p, row, g, s, s + size);
            for (int64_t h = g * share; omma_wanted(n, 0) && h < (g + 1) * share; h++)
                look(n, p, row, h, s);
        }
        for (int64_t i = 0; present && i < size; i++)
            omma_set_number(present->dtype, present->mem, item * size + i, s[i]);
    }
}

static omma_status run(const omma_exec *x, const omma_node *n) {
    const linear *p = n->param;
    omma_parallel(x->threads < p->workers ? x->threads : p->workers, p->batch * p->groups, 1, heads,
                  (void *)(uintptr_t)n);
    return OMMA_OK;
}

static double flops(const omma_node *n) {
    const linear *p = n->param;
    return 2 * (double)p->batch * (double)p->len * (double)p->d * (double)p->e *
           (double)(3 * p->groups + p->heads);
}

/* --- the plainer operators it stands for --------------------------------------- */

/* A step's pieces; [B, ...]. */
typedef struct pieces {
    omma_value **q, **k, **row, **v, **decay, **beta; /* row: k lying */
} pieces;

/* v: [B, T, ...] times scale as [T*B, heads, d, e], cut into T steps. */
static omma_value **by_steps(omma_maker *m, const linear *p, omma_value *v, int64_t heads,
                             int64_t d, int64_t e) {
    omma_value **list = omma_unroll_list(m, p->len);
    const int64_t dims[4] = {p->len * p->batch, heads, d, e};
    v = omma_make_transpose(m, v, (int64_t[]){1, 0, 2});
    if (p->len) (void)omma_unroll_cut(m, omma_make_reshape(m, v, 4, dims), 0, p->len, list);
    return list;
}

static omma_value *wide(omma_maker *m, omma_value *v) {
    return omma_make_cast(m, v, m->of->in[Q]->dtype == OMMA_F64 ? OMMA_F64 : OMMA_F32);
}

static pieces cut_up(omma_maker *m, const omma_node *n, const linear *p) {
    const int64_t g = p->groups, share = p->heads / g, d = p->d, e = p->e;
    omma_value *k = wide(m, n->in[K]), *q = omma_make_scaled(m, wide(m, n->in[Q]), p->scale);
    pieces s = {.q = by_steps(m, p, q, g, share, d),
                .k = by_steps(m, p, k, g, d, 1),
                .v = by_steps(m, p, wide(m, n->in[V]), g, 1, e)};
    if (p->delta) s.row = by_steps(m, p, k, g, 1, d);
    if (p->delta) s.beta = by_steps(m, p, wide(m, n->in[BETA]), p->betas, 1, 1);
    if (p->gated)
        s.decay = by_steps(m, p, omma_make_1(m, "Exp", wide(m, n->in[DECAY])), g, p->decays / g, 1);
    return s;
}

/* The state one step on; NULL: zeros, which nothing is multiplied with. */
static omma_value *next_state(omma_maker *m, const pieces *s, int64_t t, omma_value *state) {
    omma_value *add = s->v[t];
    if (s->decay && state) state = omma_make_2(m, "Mul", state, s->decay[t]);
    if (s->row && state)
        add = omma_make_2(m, "Sub", add, omma_make_2(m, "MatMul", s->row[t], state));
    if (s->beta) add = omma_make_2(m, "Mul", add, s->beta[t]);
    add = omma_make_2(m, "Mul", s->k[t], add);
    return state ? omma_make_2(m, "Add", state, add) : add;
}

static omma_status parts(omma_maker *m, const omma_node *n) {
    enum { NODES = 8 }; /* of a step */
    const linear *p = n->param;
    const int64_t state[4] = {p->batch, p->groups, p->d, p->e},
                  rows[3] = {p->len, p->batch, p->heads * p->e};
    OMMA_TRY(omma_unroll_check(m, p->len, NODES));
    const pieces s = cut_up(m, n, p);
    omma_value **y = omma_unroll_list(m, p->len), *at = wide(m, omma_in(n, PAST));
    for (int64_t t = 0; t < p->len && !m->status; t++) {
        at = next_state(m, &s, t, at);
        y[t] = omma_make_2(m, "MatMul", s.q[t], at);
    }
    OMMA_TRY(m->status);
    if (!at)
        at =
            omma_make_2(m, "Expand", omma_make_number(m, n->in[Q], 0), omma_make_ints(m, state, 4));
    if (n->n_out > 1 && n->out[1]) omma_make_output(m, 1, omma_make_cast(m, at, n->out[1]->dtype));
    if (!n->out[0]) return m->status;
    omma_value *all = p->len ? omma_make_concat(m, y, (int)p->len, 0) : wide(m, n->in[V]);
    all = omma_make_reshape(m, all, 3, rows);
    all = omma_make_transpose(m, all, (int64_t[]){1, 0, 2});
    omma_make_output(m, 0, omma_make_cast(m, all, n->out[0]->dtype));
    return m->status;
}

const omma_op omma_op_LinearAttention = {.name = "LinearAttention",
                                         .min_in = 3,
                                         .max_in = 6,
                                         .min_out = 1,
                                         .max_out = 2,
                                         .infer = infer,
                                         .prepare = prepare,
                                         .run = run,
                                         .flops = flops,
                                         .parts = parts};
