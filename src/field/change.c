/* change.c - see change.h: tokens before and after each block. Mixing is in change_mixing.c. */
#include "field/change.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "base/pool.h"

static omma_status no_memory(omma_error *err) {
    return omma_fail(err, OMMA_E_NOMEM, "no memory to measure blocks");
}

static bool same_shape(const omma_value *a, const omma_value *b) {
    return a->rank == b->rank && !memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims);
}

const float *omma_token_rows(const omma_sight *s, const omma_tokens *t, const omma_value *v,
                             int64_t picture, omma_arena *arena, omma_error *err) {
    const omma_tensor *x = omma_sight_tensor(s, v);
    if (!x || x->dtype != OMMA_F32 || !same_shape(v, t->value)) {
        (void)omma_fail(err, OMMA_E_UNSUPPORTED,
                        "the addition's tokens do not lie as the attention's");
        return NULL;
    }
    const float *from = (const float *)x->data + picture * t->step_batch;
    if (t->step_width == 1 && t->step == t->width) return from;
    float *rows = omma_arena_array(arena, (size_t)(t->count * t->width) + 1, sizeof *rows);
    for (int64_t i = 0; rows && i < t->count * t->width; i++)
        rows[i] = from[i / t->width * t->step + i % t->width * t->step_width];
    if (!rows) (void)no_memory(err);
    return rows;
}

/* --- one state -------------------------------------------------------------------------------- */

/* The mean cosine of all pairs: of n unit vectors with sum u it is (|u|^2 - n) / (n (n - 1)). */
static omma_status measure_alike(omma_state *s, const float *x, omma_arena *tmp, omma_error *err) {
    const int64_t n = s->tokens->count, width = s->tokens->width;
    double *u = omma_arena_array(tmp, (size_t)width, sizeof *u), square = 0;
    int64_t units = 0; /* tokens that are not all zero */
    if (!u) return no_memory(err);
    for (int64_t i = 0; i < n; i++) {
        double norm = 0;
        for (int64_t c = 0; c < width; c++) norm += (double)x[i * width + c] * x[i * width + c];
        norm = sqrt(norm);
        units += norm > 0;
        for (int64_t c = 0; c < width && norm > 0; c++) u[c] += (double)x[i * width + c] / norm;
    }
    for (int64_t c = 0; c < width; c++) square += u[c] * u[c];
    s->alike = n > 1 ? (square - (double)units) / ((double)n * (double)(n - 1)) : NAN;
    return OMMA_OK;
}

static omma_status measure_norms(omma_state *s, const float *x, omma_arena *tmp, omma_error *err) {
    const omma_tokens *t = s->tokens;
    uint8_t *counted = omma_arena_array(tmp, (size_t)t->count, sizeof *counted);
    double *z = omma_arena_array(tmp, (size_t)t->count, sizeof *z), y, across;
    if (!counted || !z) return no_memory(err);
    for (int64_t i = 0; i < t->count; i++)
        counted[i] = !t->placed || omma_tokens_place(t, i, &y, &across);
    OMMA_TRY(omma_outliers_find(&s->outliers, NULL, z, x, t->count, t->width, counted,
                                OMMA_OUTLIER_Z, tmp, err));
    s->norm = s->outliers.median;
    s->farthest = -1;
    for (int64_t i = 0; i < t->count; i++)
        if (counted[i] && (s->farthest < 0 || z[i] > s->z)) s->farthest = i, s->z = z[i];
    return OMMA_OK;
}

/* The tokens with a place as a map, false: they are no grid. Rows and columns are digits of the
 * tokens' number, or axes of their own. */
static bool grid_of(omma_feature_map *m, const omma_tokens *t, const float *x) {
    if (!t->placed || t->place || t->rows.axis < 0 || t->columns.axis < 0) return false;
    const bool one = t->rows.axis == t->columns.axis;
    const int64_t off = one ? t->rows.off : 0, down = one ? t->rows.div : t->columns.mod,
                  along = one ? t->columns.div : 1; /* [tokens] */
    *m = (omma_feature_map){.data = x + off * t->width,
                            .height = t->rows.mod,
                            .width = t->columns.mod,
                            .channels = t->width,
                            .step_y = down * t->width,
                            .step_x = along * t->width,
                            .step_c = 1};
    return off + (m->height - 1) * down + (m->width - 1) * along < t->count;
}

static omma_status measure_map(omma_state *s, const float *x, omma_arena *tmp, omma_error *err) {
    const omma_tokens *t = s->tokens;
    omma_feature_map m;
    if (!grid_of(&m, t, x)) {
        m = (omma_feature_map){x, t->count, 1, t->width, t->width, t->width, 1};
        return omma_feature_variance(&s->variance, &m, err);
    }
    OMMA_TRY(omma_feature_variance(&s->variance, &m, err));
    const int64_t bins = omma_radial_bins(m.height, m.width);
    const int64_t side = m.height > m.width ? m.height : m.width;
    double *log = omma_arena_array(tmp, (size_t)(m.height * m.width), sizeof *log);
    double *radial = omma_arena_array(tmp, (size_t)bins, sizeof *radial);
    if (!log || !radial) return no_memory(err);
    OMMA_TRY(omma_fourier_log(log, &m, tmp, err));
    omma_fourier_radial(radial, log, m.height, m.width);
    if (side > 1) s->high = radial[side / 2] - log[0];
    return OMMA_OK;
}

static omma_status measure_state(omma_state *s, const float *x, bool spared, omma_arena *tmp,
                                 omma_error *err) {
    const int64_t n = s->tokens->count, width = s->tokens->width;
    OMMA_TRY(measure_norms(s, x, tmp, err));
    OMMA_TRY(measure_alike(s, x, tmp, err));
    OMMA_TRY(measure_map(s, x, tmp, err));
    if (spared) return OMMA_OK;
    return omma_effective_rank(&s->rank, NULL, x, n, width, true, tmp, err);
}

/* --- one block -------------------------------------------------------------------------------- */

static void measure_pairs(omma_change *c, const omma_tokens *t, const float *x, const float *y) {
    c->change = c->cosine = 0;
    for (int64_t i = 0; i < t->count; i++, x += t->width, y += t->width) {
        double xx = 0, xy = 0, yy = 0, off = 0;
        for (int64_t k = 0; k < t->width; k++) {
            const double a = (double)x[k], b = (double)y[k];
            xx += a * a, xy += a * b, yy += b * b, off += (b - a) * (b - a);
        }
        c->change += sqrt(off / xx) / (double)t->count;
        c->cosine += xy / sqrt(xx * yy) / (double)t->count;
    }
}

static omma_status measure_change(const omma_changes *all, omma_change *c, const float *const *rows,
                                  omma_arena *tmp, omma_error *err) {
    const omma_tokens *t = all->state[c->before].tokens;
    const float *x = rows[c->before], *y = rows[c->after];
    if (!x || !y) return OMMA_OK;
    measure_pairs(c, t, x, y);
    if (all->spared) return OMMA_OK;
    return omma_linear_cka(&c->cka, x, t->width, y, t->width, t->count, tmp, err);
}

/* --- all of them ------------------------------------------------------------------------------ */

typedef struct measuring {
    omma_changes *out;
    omma_sight *s;
    int64_t picture;
    const float **rows; /* by state; NULL: not at hand */
    omma_arena *arena;
    omma_error *err;
    atomic_bool nomem;
} measuring;

static int state_of(measuring *m, const omma_tokens *t, const omma_value *v) {
    for (int i = 0; i < m->out->n_state; i++)
        if (m->out->state[i].value == v) return i;
    omma_error none;
    m->out->state[m->out->n_state] =
        (omma_state){.value = v,
                     .tokens = t,
                     .farthest = -1,
                     .norm = NAN,
                     .z = NAN,
                     .alike = NAN,
                     .rank = NAN,
                     .variance = NAN,
                     .high = NAN,
                     .most_rank = (double)(t->count < t->width ? t->count : t->width)};
    m->rows[m->out->n_state] = omma_token_rows(m->s, t, v, m->picture, m->arena, &none);
    return m->out->n_state++;
}

static void add_change(measuring *m, const omma_tokens *t, int attention, int feed_forward) {
    const omma_anatomy *a = omma_sight_anatomy(m->s);
    const omma_attention *at = attention < 0 ? NULL : &a->attention[attention];
    const omma_feed_forward *ff = at ? NULL : &a->feed_forward[feed_forward];
    m->out->change[m->out->n_change++] =
        (omma_change){.label = at ? at->label : ff->label,
                      .attention = attention,
                      .feed_forward = feed_forward,
                      .block = at ? at->block : a->attention[ff->after].block,
                      .before = state_of(m, t, at ? at->in : ff->in),
                      .after = state_of(m, t, at ? at->out : ff->out),
                      .change = NAN,
                      .cosine = NAN,
                      .cka = NAN,
                      .by_weights = NAN,
                      .mixing = NAN,
                      .residual = NAN,
                      .normed = NAN};
}

/* An attention, then the feed-forward blocks that follow it. */
static omma_status list(measuring *m) {
    const omma_anatomy *a = omma_sight_anatomy(m->s);
    const size_t n = (size_t)(a->n_attention + a->n_feed_forward);
    m->out->change = omma_arena_array(m->arena, n + 1, sizeof *m->out->change);
    m->out->state = omma_arena_array(m->arena, 2 * n + 1, sizeof *m->out->state);
    m->rows = omma_arena_array(m->arena, 2 * n + 1, sizeof *m->rows);
    if (!m->out->change || !m->out->state || !m->rows) return no_memory(m->err);
    for (int k = 0; k < a->n_attention; k++) {
        const omma_tokens *t = &a->attention[k].query;
        if (a->attention[k].addition) add_change(m, t, k, -1);
        for (int i = 0; i < a->n_feed_forward; i++)
            if (a->feed_forward[i].after == k) add_change(m, t, -1, i);
    }
    return OMMA_OK;
}

/* Multiplications of ranks and CKA. */
static double work_of(const omma_changes *c) {
    double sum = 0;
    for (int i = 0; i < c->n_state; i++) {
        const double n = (double)c->state[i].tokens->count, w = (double)c->state[i].tokens->width,
                     few = fmin(n, w);
        sum += 4 * n * w * few + 3 * n * w * few; /* a state is in two blocks at most, as a rule */
    }
    return sum;
}

/* States, then blocks. Numbers that are not finite leave the rest NaN. */
static void measure_some(void *arg, int64_t begin, int64_t end, int worker) {
    measuring *m = arg;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        omma_arena tmp;
        omma_error none;
        omma_status s = OMMA_OK;
        omma_arena_init(&tmp, m->arena->budget);
        if (i >= m->out->n_state)
            s = measure_change(m->out, &m->out->change[i - m->out->n_state], m->rows, &tmp, &none);
        else if (m->rows[i])
            s = measure_state(&m->out->state[i], m->rows[i], m->out->spared, &tmp, &none);
        if (s == OMMA_E_NOMEM) atomic_store(&m->nomem, true);
        omma_arena_free(&tmp);
    }
}

static double mean(const double *v, int64_t n) {
    double sum = 0;
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++)
        if (!isnan(v[i])) sum += v[i], count++;
    return count ? sum / (double)count : NAN;
}

static omma_status measure_mixing(measuring *m, omma_change *c) {
    omma_arena tmp;
    omma_token_mixing mix;
    omma_error why;
    omma_arena_init(&tmp, m->arena->budget);
    const omma_status s = omma_sight_mixing(&mix, m->s, c->attention, m->picture, &tmp, &why);
    if (!s) {
        const int64_t n = omma_sight_anatomy(m->s)->attention[c->attention].query.count;
        c->by_weights = mean(mix.by_weights, n);
        c->mixing = mean(mix.mixing, n);
        c->residual = mean(mix.residual, n);
        c->normed = mean(mix.normed, n);
    } else if (!*m->out->missing) {
        const char *text = omma_arena_strndup(m->arena, why.message, strlen(why.message));
        if (text) m->out->missing = text;
    }
    omma_arena_free(&tmp);
    return s == OMMA_E_NOMEM ? no_memory(m->err) : OMMA_OK;
}

omma_status omma_changes_measure(omma_changes *out, omma_sight *s, int64_t picture, double most,
                                 omma_arena *arena, omma_error *err) {
    const omma_anatomy *a = omma_sight_anatomy(s);
    measuring m = {.out = out, .s = s, .picture = picture, .arena = arena, .err = err};
    *out = (omma_changes){.missing = ""};
    if (picture < 0 || (a->n_attention && picture >= a->attention[0].batch))
        return omma_fail(err, OMMA_E_USAGE, "there is no picture %lld", (long long)picture);
    OMMA_TRY(list(&m));
    out->spared = work_of(out) > most;
    omma_parallel(omma_threads_default(), out->n_state + out->n_change, 1, measure_some, &m);
    if (atomic_load(&m.nomem)) return no_memory(err);
    for (int i = 0; i < out->n_change; i++)
        if (out->change[i].attention >= 0) OMMA_TRY(measure_mixing(&m, &out->change[i]));
    return OMMA_OK;
}
