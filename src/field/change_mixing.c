/* change_mixing.c - mixing in change.h. The way from an attention's mix to the residual addition is
 * run as a model of its own (way.h) on mixes that hold only a part of what they held in the run:
 *
 *     own       alpha_ii^h v_i^h alone           gives  own_i + b
 *     others    what is left of the mix          gives  mixed_i + b
 *     nothing   zeros                            gives  b
 *
 * and own + mixed + b must be the branch, or the way is not affine. For norms of single sources a
 * mix holds in row r the values of source r, of one head. */
#include <math.h>
#include <string.h>

#include "field/change.h"
#include "field/mixing.h"
#include "field/way.h"
#include "op/op.h"

static const double ADDS_UP = 1e-3;

static omma_status no_memory(omma_error *err) {
    return omma_fail(err, OMMA_E_NOMEM, "no memory for what an attention mixes");
}

static const omma_tensor *side(const void *user, const omma_value *v) {
    return omma_sight_tensor(user, v);
}

/* --- an attention whose mix is changed -------------------------------------------------------- */

typedef struct mixer {
    omma_sight *s;
    const omma_attention *a;
    const omma_fov *f;
    const float *weights, *v, *mix; /* as in the run; weights in order, the others as at_.. say */
    const omma_tokens *t;
    omma_way way;
    omma_tensor in; /* of the way */
    float *now;     /* its data */
    float *zero;    /* what nothing gives: all of the branch */
    int64_t size;   /* of the branch [elements] */
    omma_arena *arena;
    omma_error *err;
} mixer;

static const float *floats(const mixer *m, const omma_value *v) {
    const omma_tensor *t = omma_sight_tensor(m->s, v);
    return t && t->dtype == OMMA_F32 ? t->data : NULL;
}

/* The branch for m->now, copied to `to`. */
static omma_status run(mixer *m, float *to) {
    const omma_tensor *y;
    OMMA_TRY(omma_way_run(&m->way, &m->in, &y, m->err));
    if (y->dtype != OMMA_F32 || omma_tensor_count(y) != m->size)
        return omma_fail(m->err, OMMA_E_UNSUPPORTED,
                         "the branch has another shape than the tokens");
    memcpy(to, y->data, (size_t)m->size * sizeof *to);
    return OMMA_OK;
}

static omma_status begin(mixer *m, omma_sight *s, int k, omma_arena *arena, omma_error *err) {
    const omma_attention *a = &omma_sight_anatomy(s)->attention[k];
    *m = (mixer){.s = s, .a = a, .f = omma_sight_fov(s), .t = &a->query, .arena = arena};
    m->err = err;
    if (!a->addition)
        return omma_fail(err, OMMA_E_UNSUPPORTED, "%s: no residual addition was found behind it",
                         a->label);
    m->weights = omma_sight_weights(s, k);
    m->v = floats(m, a->v), m->mix = floats(m, a->mix);
    m->size = omma_value_count(a->branch);
    if (!m->weights || !m->v || !m->mix || !floats(m, a->branch))
        return omma_fail(err, OMMA_E_UNSUPPORTED, "%s: its numbers are not at hand", a->label);
    OMMA_TRY(omma_way_new(&m->way, m->f->specialised.graph, a->mix, a->branch, side, s, err));
    m->in = omma_value_tensor(a->mix);
    m->now = m->in.data = omma_arena_array(arena, (size_t)omma_value_count(a->mix), sizeof *m->now);
    m->zero = omma_arena_array(arena, (size_t)m->size, sizeof *m->zero);
    if (!m->now || !m->zero) return no_memory(err);
    return run(m, m->zero);
}

/* Row of the token, less what nothing gives. */
static void read_row(const mixer *m, double *to, const float *y, int64_t picture, int64_t token) {
    const int64_t first = picture * m->t->step_batch + token * m->t->step;
    for (int64_t c = 0; c < m->t->width; c++) {
        const int64_t at = first + c * m->t->step_width;
        to[c] = (double)y[at] - (double)m->zero[at];
    }
}

static double norm_of(const double *v, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += v[i] * v[i];
    return sqrt(sum);
}

/* --- the norm behind -------------------------------------------------------------------------- */

/* The layer norm over channels that alone reads the sum, as post-norm models have it. */
static const omma_node *norm_behind(const mixer *m) {
    const omma_graph *g = m->f->specialised.graph;
    const omma_node *found = NULL;
    for (int i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i]->n_in; k++) {
            if (g->nodes[i]->in[k] != m->a->out) continue;
            if (found) return NULL;
            found = g->nodes[i];
        }
    if (!found || strcmp(found->op->name, "LayerNormalization") || m->t->step_width != 1 ||
        found->n_in < 2)
        return NULL;
    const omma_value *gamma = found->in[1];
    const bool good =
        gamma && gamma->data && gamma->dtype == OMMA_F32 && omma_value_count(gamma) == m->t->width;
    return good ? found : NULL;
}

/* What the norm makes of a summand, but for the factor that all summands have. */
static void centre_and_scale(double *u, const void *gamma, int64_t n) {
    double mean = 0;
    for (int64_t c = 0; c < n; c++) mean += u[c] / (double)n;
    for (int64_t c = 0; c < n; c++) u[c] = (u[c] - mean) * omma_get_number(OMMA_F32, gamma, c);
}

/* --- ratios ----------------------------------------------------------------------------------- */

/* The key that query q of a window is; -1: none. */
static int64_t own_key(const mixer *m, int64_t w, int64_t q) {
    const omma_attention *a = m->a;
    if (!omma_attention_same_tokens(a)) return -1;
    const int64_t token = omma_attention_token(a, m->f, false, w, q);
    if (token < 0) return -1;
    if (q < a->keys && omma_attention_token(a, m->f, true, w, q) == token) return q;
    for (int64_t j = 0; j < a->keys; j++)
        if (omma_attention_token(a, m->f, true, w, j) == token) return j;
    return -1;
}

static float weight(const mixer *m, int64_t w, int64_t h, int64_t q, int64_t j) {
    return m->weights[((w * m->a->heads + h) * m->a->queries + q) * m->a->keys + j];
}

/* m->now: what every token takes from itself. by_weights is of one picture. */
static void sow_own(mixer *m, double *by_weights, int64_t picture) {
    const omma_attention *a = m->a;
    const int64_t n = a->windows / a->batch;
    memset(m->now, 0, omma_value_bytes(a->mix));
    for (int64_t i = 0; i < a->windows * a->queries; i++) {
        const int64_t w = i / a->queries, q = i % a->queries, j = own_key(m, w, q);
        double sum = 0;
        for (int64_t h = 0; h < a->heads && j >= 0; h++) {
            const float alpha = weight(m, w, h, q, j);
            sum += (double)alpha;
            for (int64_t c = 0; c < a->mix_width; c++)
                m->now[omma_heads_at(&a->at_mix, w, h, q, c)] =
                    alpha * m->v[omma_heads_at(&a->at_v, w, h, j, c)];
        }
        if (j >= 0 && w / n == picture)
            by_weights[omma_attention_token(a, m->f, false, w, q)] = 1 - sum / (double)a->heads;
    }
}

static void leave_others(mixer *m) {
    for (int64_t i = 0; i < omma_value_count(m->a->mix); i++) m->now[i] = m->mix[i] - m->now[i];
}

/* |mixed| / (|mixed| + |kept|). */
static double ratio(const double *mixed, const double *kept, int64_t n) {
    const double a = norm_of(mixed, n), b = norm_of(kept, n);
    return a / (a + b);
}

typedef struct parts {
    float *own, *others; /* branches */
    double *kept, *mixed;
    const float *x; /* [count, width] */
    const omma_node *norm;
} parts;

static void measure_token(const mixer *m, omma_token_mixing *out, parts *p, int64_t picture,
                          int64_t i) {
    const int64_t n = m->t->width;
    read_row(m, p->kept, p->own, picture, i);
    read_row(m, p->mixed, p->others, picture, i);
    if (omma_attention_same_tokens(m->a)) out->mixing[i] = ratio(p->mixed, p->kept, n);
    for (int64_t c = 0; c < n; c++) p->kept[c] += (double)p->x[i * n + c];
    out->residual[i] = ratio(p->mixed, p->kept, n);
    if (!p->norm) return;
    centre_and_scale(p->mixed, p->norm->in[1]->data, n);
    centre_and_scale(p->kept, p->norm->in[1]->data, n);
    out->normed[i] = ratio(p->mixed, p->kept, n);
}

/* How far the parts are from the branch of the run. */
static double parts_error(const mixer *m, const parts *p) {
    const float *branch = floats(m, m->a->branch);
    double off = 0, all = 0;
    for (int64_t i = 0; i < m->size; i++) {
        const double b = (double)branch[i];
        const double d = (double)p->own[i] + (double)p->others[i] - (double)m->zero[i] - b;
        off += d * d, all += b * b;
    }
    return off > 0 ? sqrt(off / all) : 0;
}

static omma_status ratios(mixer *m, omma_token_mixing *out, int64_t picture) {
    const size_t size = (size_t)m->size, n = (size_t)m->t->width;
    parts p = {.own = omma_arena_array(m->arena, size, sizeof(float)),
               .others = omma_arena_array(m->arena, size, sizeof(float)),
               .kept = omma_arena_array(m->arena, n, sizeof(double)),
               .mixed = omma_arena_array(m->arena, n, sizeof(double)),
               .norm = norm_behind(m)};
    if (!p.own || !p.others || !p.kept || !p.mixed) return no_memory(m->err);
    p.x = omma_token_rows(m->s, m->t, m->a->in, picture, m->arena, m->err);
    if (!p.x) return OMMA_E_UNSUPPORTED;
    sow_own(m, out->by_weights, picture);
    OMMA_TRY(run(m, p.own));
    leave_others(m);
    OMMA_TRY(run(m, p.others));
    out->error = parts_error(m, &p);
    if (!(out->error <= ADDS_UP))
        return omma_fail(m->err, OMMA_E_UNSUPPORTED,
                         "%s: the way from its weights to the addition is not affine (off by %.2g)",
                         m->a->label, out->error);
    for (int64_t i = 0; i < m->t->count; i++) measure_token(m, out, &p, picture, i);
    return OMMA_OK;
}

omma_status omma_sight_mixing(omma_token_mixing *out, omma_sight *s, int attention, int64_t picture,
                              omma_arena *arena, omma_error *err) {
    mixer m;
    omma_status status = begin(&m, s, attention, arena, err);
    if (!status) {
        const int64_t n = m.t->count;
        double *room = omma_arena_array(arena, 4 * (size_t)n, sizeof *room);
        for (int64_t i = 0; room && i < 4 * n; i++) room[i] = NAN;
        *out = (omma_token_mixing){room, room + n, room + 2 * n, room + 3 * n, 0};
        status = room ? ratios(&m, out, picture) : no_memory(err);
    }
    omma_way_free(&m.way);
    return status;
}

/* --- norms of single sources ------------------------------------------------------------------ */

/* m->now: row r has the values of source first + r, of head h of the window. */
static void sow_values(mixer *m, int64_t w, int64_t h, int64_t first, int64_t n) {
    const omma_attention *a = m->a;
    memset(m->now, 0, omma_value_bytes(a->mix));
    for (int64_t i = 0; i < n * a->mix_width; i++)
        m->now[omma_heads_at(&a->at_mix, w, h, i / a->mix_width, i % a->mix_width)] =
            m->v[omma_heads_at(&a->at_v, w, h, first + i / a->mix_width, i % a->mix_width)];
}

/* f_h(x_j) of one head: to f32 [keys, width]. */
static omma_status transform(mixer *m, float *to, int64_t w, int64_t h, float *y, double *u) {
    const omma_attention *a = m->a;
    const int64_t width = m->t->width, picture = w / (a->windows / a->batch);
    for (int64_t first = 0; first < a->keys; first += a->queries) {
        const int64_t left = a->keys - first, n = left < a->queries ? left : a->queries;
        sow_values(m, w, h, first, n);
        OMMA_TRY(run(m, y));
        for (int64_t r = 0; r < n; r++) {
            const int64_t token = omma_attention_token(a, m->f, false, w, r);
            if (token < 0) continue; /* padding: of the query, and then of the source */
            read_row(m, u, y, picture, token);
            for (int64_t c = 0; c < width; c++) to[(first + r) * width + c] = (float)u[c];
        }
    }
    return OMMA_OK;
}

/* 1 / s(z_i) of the queries of a window, and their x_i. */
static void read_queries(const mixer *m, int64_t w, const float *in, const float *out,
                         double epsilon, float *x, float *scale) {
    const int64_t n = m->t->width;
    for (int64_t q = 0; q < m->a->queries; q++) {
        const int64_t token = omma_attention_token(m->a, m->f, false, w, q);
        double mean = 0, variance = 0;
        scale[q] = 1;
        if (token < 0) continue;
        memcpy(x + q * n, in + token * n, (size_t)n * sizeof *x);
        for (int64_t c = 0; c < n; c++) mean += (double)out[token * n + c] / (double)n;
        for (int64_t c = 0; c < n; c++) {
            const double d = (double)out[token * n + c] - mean;
            variance += d * d / (double)n;
        }
        scale[q] = (float)(1 / sqrt(variance + epsilon));
    }
}

static omma_status norms(mixer *m, double *norm, int64_t w, bool residual, bool normed) {
    const omma_attention *a = m->a;
    const size_t width = (size_t)m->t->width, keys = (size_t)a->keys, queries = (size_t)a->queries;
    const omma_node *behind = normed ? norm_behind(m) : NULL;
    const int64_t picture = w / (a->windows / a->batch);
    if (normed && !behind)
        return omma_fail(m->err, OMMA_E_UNSUPPORTED, "no layer norm follows %s alone", a->label);
    float *f = omma_arena_array(m->arena, (size_t)a->heads * keys * width, sizeof *f);
    float *y = omma_arena_array(m->arena, (size_t)m->size, sizeof *y);
    double *u = omma_arena_array(m->arena, width, sizeof *u);
    float *x = omma_arena_array(m->arena, queries * width, sizeof *x);
    float *scale = omma_arena_array(m->arena, queries, sizeof *scale);
    float *gamma = omma_arena_array(m->arena, width, sizeof *gamma);
    if (!f || !y || !u || !x || !scale || !gamma) return no_memory(m->err);
    if (behind) memcpy(gamma, behind->in[1]->data, width * sizeof *gamma); /* aligned */
    const float *in = omma_token_rows(m->s, m->t, a->in, picture, m->arena, m->err);
    const float *out = omma_token_rows(m->s, m->t, a->out, picture, m->arena, m->err);
    if (!in || !out) return OMMA_E_UNSUPPORTED;
    for (int64_t h = 0; h < a->heads; h++)
        OMMA_TRY(transform(m, f + h * a->keys * m->t->width, w, h, y, u));
    read_queries(m, w, in, out, behind ? omma_node_float(behind, "epsilon", 1e-5f) : 0, x, scale);
    const omma_mixing mixing = {.weights = m->weights + w * a->heads * a->queries * a->keys,
                                .transformed = f,
                                .heads = a->heads,
                                .queries = a->queries,
                                .keys = a->keys,
                                .width = m->t->width,
                                .same = omma_attention_same_tokens(a) && a->queries == a->keys,
                                .residual = residual ? x : NULL,
                                .scale = behind ? scale : NULL,
                                .gamma = behind ? gamma : NULL,
                                .centred = true};
    return omma_mixing_measure(&(omma_mixed){.norm = norm}, &mixing, m->arena, m->err);
}

omma_status omma_sight_norms(double *norm, omma_sight *s, int attention, int64_t window,
                             bool residual, bool normed, omma_arena *arena, omma_error *err) {
    mixer m;
    omma_status status = begin(&m, s, attention, arena, err);
    if (!status && (window < 0 || window >= m.a->windows))
        status = omma_fail(err, OMMA_E_USAGE, "there are %lld windows, and no number %lld",
                           (long long)m.a->windows, (long long)window);
    if (!status) status = norms(&m, norm, window, residual, normed);
    omma_way_free(&m.way);
    return status;
}
