/* ledger.c - see ledger.h. */
#include "field/ledger.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "field/way.h"

/* Parts that do not add up to better than this were not found right. */
static const double ADDS_UP = 1e-3;

static omma_status no_memory(omma_error *err) {
    return omma_fail(err, OMMA_E_NOMEM, "no memory for a ledger");
}

/* --- rows of tokens ------------------------------------------------------------------------ */

/* Row t of numbers x, laid out as the tokens are, as doubles: width of them. */
static void row(double *to, const omma_tokens *l, const float *x, int64_t t) {
    for (int64_t c = 0; c < l->width; c++) to[c] = (double)x[t * l->step + c * l->step_width];
}

static bool same_shape(const omma_value *a, const omma_value *b) {
    return a->rank == b->rank && !memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims);
}

static double dot(const double *a, const double *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* --- what both kinds share ------------------------------------------------------------------- */

typedef struct account {
    omma_ledger *l;
    const omma_sight *s;
    omma_arena *arena;
    omma_error *err;
    const omma_tokens *t;          /* how they lie in x, branch and sum */
    double *in, *out, *sum, *part; /* of the token, width each */
} account;

static const float *floats(const account *c, const omma_value *v) {
    const omma_tensor *t = v ? omma_sight_tensor(c->s, v) : NULL;
    return t && t->dtype == OMMA_F32 ? t->data : NULL;
}

static omma_status begin(account *c, const omma_tokens *t, const omma_value *in,
                         const omma_value *out, int64_t token, int64_t sources) {
    const float *x = floats(c, in), *y = floats(c, out);
    if (!x || !y)
        return omma_fail(c->err, OMMA_E_UNSUPPORTED,
                         "no residual addition was found behind this part");
    if (token < 0 || token >= t->count)
        return omma_fail(c->err, OMMA_E_RANGE, "there are %lld tokens, and no number %lld",
                         (long long)t->count, (long long)token);
    if (!same_shape(in, t->value) || !same_shape(out, t->value))
        return omma_fail(c->err, OMMA_E_UNSUPPORTED,
                         "the addition's tokens do not lie as the attention's");
    c->t = t;
    omma_ledger *l = c->l;
    *l = (omma_ledger){.token = token, .width = t->width};
    double *room = omma_arena_array(c->arena, (size_t)(4 * l->width), sizeof *room);
    l->entry = omma_arena_array(c->arena, (size_t)sources, sizeof *l->entry);
    if (!room || !l->entry) return no_memory(c->err);
    c->in = room, c->out = room + l->width, c->sum = room + 2 * l->width;
    c->part = room + 3 * l->width;
    row(c->in, t, x, token);
    row(c->out, t, y, token);
    memcpy(c->sum, c->in, (size_t)l->width * sizeof *room);
    return OMMA_OK;
}

/* The share of c->part, which is added to the sum. */
static double enter(account *c, double *norm) {
    const int64_t n = c->l->width;
    for (int64_t i = 0; i < n; i++) c->sum[i] += c->part[i];
    *norm = sqrt(dot(c->part, c->part, n));
    return dot(c->part, c->out, n) / dot(c->out, c->out, n);
}

static int by_norm(const void *a, const void *b) {
    const omma_entry *x = a, *y = b;
    if (x->norm != y->norm) return x->norm < y->norm ? 1 : -1;
    return (x->token > y->token) - (x->token < y->token);
}

static omma_status finish(account *c) {
    omma_ledger *l = c->l;
    const int64_t n = l->width;
    double change = 0, off = 0;
    for (int64_t i = 0; i < n; i++) {
        change += (c->out[i] - c->in[i]) * (c->out[i] - c->in[i]);
        off += (c->sum[i] - c->out[i]) * (c->sum[i] - c->out[i]);
    }
    l->norm_in = sqrt(dot(c->in, c->in, n));
    l->norm_out = sqrt(dot(c->out, c->out, n));
    l->norm_change = sqrt(change);
    l->cosine = dot(c->in, c->out, n) / (l->norm_in * l->norm_out);
    l->kept = dot(c->in, c->out, n) / dot(c->out, c->out, n);
    l->error = sqrt(off) / l->norm_out;
    qsort(l->entry, (size_t)l->sources, sizeof *l->entry, by_norm);
    if (l->error <= ADDS_UP) return OMMA_OK;
    return omma_fail(c->err, OMMA_E_UNSUPPORTED,
                     "the parts do not add up (off by %.2g): the way from the attention's weights "
                     "to the addition is not affine, or mixes tokens",
                     l->error);
}

/* --- attention ------------------------------------------------------------------------------ */

static const omma_tensor *side(const void *user, const omma_value *v) {
    return omma_sight_tensor(user, v);
}

/* Window w and row q of the token, or false. */
static bool find_row(const omma_attention *a, const omma_fov *f, int64_t token, int64_t *w,
                     int64_t *q) {
    for (*w = 0; *w < a->windows; ++*w)
        for (*q = 0; *q < a->queries; ++*q)
            if (omma_attention_token(a, f, false, *w, *q) == token) return true;
    return false;
}

typedef struct giving {
    account *c;
    const omma_attention *a;
    const float *alpha, *v; /* laid out as a->at_weights and a->at_v say */
    int64_t w, q, dh;
    float *mix; /* as a->at_mix says */
    omma_tensor x;
    omma_way way;
} giving;

static float weight(const giving *g, int64_t h, int64_t key) {
    return g->alpha[omma_heads_at(&g->a->at_weights, g->w, h, g->q, key)];
}

/* Row r of the mix holds what source first + r gives to the token, for all heads. */
static void sow(giving *g, int64_t first, int64_t n) {
    const omma_attention *a = g->a;
    memset(g->mix, 0, omma_value_bytes(a->mix));
    for (int64_t h = 0; h < a->heads; h++)
        for (int64_t r = 0; r < n; r++)
            for (int64_t k = 0; k < a->mix_width; k++)
                g->mix[omma_heads_at(&a->at_mix, g->w, h, r, k)] =
                    weight(g, h, first + r) * g->v[omma_heads_at(&a->at_v, g->w, h, first + r, k)];
}

static double mean_weight(const giving *g, int64_t j) {
    double sum = 0;
    for (int64_t h = 0; h < g->a->heads; h++) sum += (double)weight(g, h, j);
    return sum / (double)g->a->heads;
}

static double distance(const omma_attention *a, int64_t query, int64_t key) {
    double y0, x0, y1, x1;
    if (!omma_tokens_place(&a->query, query, &y0, &x0) ||
        !omma_tokens_place(&a->key, key, &y1, &x1))
        return -1;
    return hypot(y1 - y0, x1 - x0);
}

static void enter_source(giving *g, const float *y, const float *zero, int64_t r, int64_t j) {
    account *c = g->c;
    const omma_fov *f = omma_sight_fov(c->s);
    omma_ledger *l = c->l;
    const int64_t place = omma_attention_token(g->a, f, false, g->w, r);
    if (omma_attention_token(g->a, f, true, g->w, j) < 0) return; /* padding */
    if (place < 0) return; /* it could not be given to: what it gave is missing from the sum */
    row(c->part, c->t, y, place);
    for (int64_t k = 0; k < l->width; k++)
        c->part[k] -= (double)zero[place * c->t->step + k * c->t->step_width];
    omma_entry *e = &l->entry[l->sources++];
    e->token = omma_attention_token(g->a, f, true, g->w, j);
    e->share = enter(c, &e->norm);
    e->weight = mean_weight(g, j);
    e->far = distance(g->a, l->token, e->token);
    if (omma_attention_same_tokens(g->a) && e->token == l->token) l->own += e->share;
    else l->context += e->share;
}

/* What every source gives; `zero` is the branch where nothing is given: the bias. */
static omma_status give(giving *g) {
    account *c = g->c;
    const omma_tensor *y;
    const size_t bytes = omma_value_bytes(g->a->branch);
    float *zero = omma_arena_alloc(&g->way.arena, bytes);
    if (!zero) return no_memory(c->err);
    sow(g, 0, 0);
    OMMA_TRY(omma_way_run(&g->way, &g->x, &y, c->err));
    if ((size_t)omma_tensor_count(y) * sizeof(float) != bytes)
        return omma_fail(c->err, OMMA_E_UNSUPPORTED,
                         "the branch has another shape than the token's");
    memcpy(zero, y->data, bytes);
    row(c->part, c->t, zero, c->l->token);
    double norm;
    c->l->bias = enter(c, &norm);
    for (int64_t first = 0; first < g->a->keys; first += g->a->queries) {
        const int64_t left = g->a->keys - first, n = left < g->a->queries ? left : g->a->queries;
        sow(g, first, n);
        OMMA_TRY(omma_way_run(&g->way, &g->x, &y, c->err));
        for (int64_t r = 0; r < n; r++) enter_source(g, y->data, zero, r, first + r);
    }
    return OMMA_OK;
}

omma_status omma_ledger_attention(omma_ledger *out, const omma_sight *s, const omma_attention *a,
                                  int64_t token, omma_arena *arena, omma_error *err) {
    account c = {.l = out, .s = s, .arena = arena, .err = err};
    giving g = {.c = &c, .a = a};
    if (!a->addition)
        return omma_fail(err, OMMA_E_UNSUPPORTED, "%s: no residual addition was found behind it",
                         a->label);
    OMMA_TRY(begin(&c, &a->query, a->in, a->out, token, a->keys));
    g.alpha = floats(&c, a->weights), g.v = floats(&c, a->v);
    if (!g.alpha || !g.v || !same_shape(a->branch, a->in))
        return omma_fail(err, OMMA_E_UNSUPPORTED, "%s: its numbers are not at hand", a->label);
    if (!find_row(a, omma_sight_fov(s), token, &g.w, &g.q))
        return omma_fail(err, OMMA_E_RANGE, "token %lld is in no window", (long long)token);
    omma_status status =
        omma_way_new(&g.way, omma_sight_fov(s)->specialised.graph, a->mix, a->branch, side, s, err);
    if (!status) {
        g.mix = omma_arena_array(&g.way.arena, (size_t)omma_value_count(a->mix), sizeof *g.mix);
        g.x = omma_value_tensor(a->mix);
        g.x.data = g.mix;
        status = g.mix ? give(&g) : no_memory(err);
    }
    omma_way_free(&g.way);
    return status ? status : finish(&c);
}

omma_status omma_ledger_feed_forward(omma_ledger *out, const omma_sight *s,
                                     const omma_feed_forward *f, int64_t token, omma_arena *arena,
                                     omma_error *err) {
    account c = {.l = out, .s = s, .arena = arena, .err = err};
    const omma_anatomy *all = omma_sight_anatomy(s);
    if (f->after < 0)
        return omma_fail(err, OMMA_E_UNSUPPORTED, "%s follows no attention", f->label);
    OMMA_TRY(begin(&c, &all->attention[f->after].query, f->in, f->out, token, 1));
    const float *b = floats(&c, f->branch);
    if (!b) return omma_fail(err, OMMA_E_UNSUPPORTED, "%s: its numbers are not at hand", f->label);
    row(c.part, c.t, b, token);
    out->entry[0].token = token;
    out->entry[0].share = out->own = enter(&c, &out->entry[0].norm);
    out->sources = 1;
    return finish(&c);
}

double omma_ledger_beyond(const omma_ledger *l, double d) {
    double sum = 0;
    for (int64_t i = 0; i < l->sources; i++)
        if (l->entry[i].far > d) sum += l->entry[i].share;
    return sum;
}
