/* attention_stats.c - see attention_stats.h. A column is a row of the transposed weights with the
 * ends exchanged: both are read through a stride. */
#include "field/attention_stats.h"

#include <math.h>

static const char *const directions[] = {"looks at", "is looked at by"};

const char *omma_direction_name(omma_direction d) { return directions[d]; }

void omma_token_kinds(uint8_t *kind, int64_t count, int64_t classes, int64_t registers) {
    for (int64_t i = 0; i < count; i++)
        kind[i] = i < classes               ? OMMA_TOKEN_CLASS
                  : i < classes + registers ? OMMA_TOKEN_REGISTER
                                            : OMMA_TOKEN_PLACED;
}

/* --- one line --------------------------------------------------------------------------------- */

typedef struct line {
    const float *weight;    /* of the first partner; the next is step on */
    const uint8_t *allowed; /* NULL: everything is */
    int64_t step, count;
    omma_places partner;
    int64_t first; /* partner 0 in the partner's arrays */
    int64_t own;   /* the partner that is the token itself; -1: none */
    bool placed;   /* the token lies at */
    double y, x;
} line;

/* Sums over a line. */
typedef struct sums {
    double mass, placed, way; /* of weights, of those to places, of those times the distance */
    double log;               /* of a ln a */
    double all_ways;          /* of distances */
    int64_t partners, places;
    double by_kind[OMMA_TOKEN_KINDS];
} sums;

static omma_token_kind kind_of(const omma_places *p, int64_t i) {
    if (p->kind) return p->kind[i];
    return p->y ? OMMA_TOKEN_PLACED : OMMA_TOKEN_OTHER;
}

static omma_status check_place(const omma_places *p, int64_t i, omma_error *err) {
    if (p->y && isfinite(p->y[i]) && isfinite(p->x[i])) return OMMA_OK;
    return omma_fail(err, OMMA_E_RANGE, "token %lld has a place, but it is no finite number",
                     (long long)i);
}

static omma_status find_line(line *l, const omma_attention_weights *w, omma_direction d,
                             int64_t window, int64_t head, int64_t at, omma_error *err) {
    const bool row = d == OMMA_LOOKS_AT;
    const int64_t lines = row ? w->queries : w->keys;
    if (window < 0 || window >= w->windows || head < 0 || head >= w->heads || at < 0 || at >= lines)
        return omma_fail(err, OMMA_E_USAGE,
                         "there is no token %lld in window %lld, head %lld of these weights",
                         (long long)at, (long long)window, (long long)head);
    const omma_places *own = row ? &w->query : &w->key;
    const int64_t matrix = w->queries * w->keys, i = window * lines + at;
    const int64_t start = row ? at * w->keys : at;
    *l = (line){.weight = w->weights + (window * w->heads + head) * matrix + start,
                .allowed = w->allowed ? w->allowed + window * matrix + start : NULL,
                .step = row ? 1 : w->keys,
                .count = row ? w->keys : w->queries,
                .partner = row ? w->key : w->query,
                .own = w->same ? at : -1,
                .placed = kind_of(own, i) == OMMA_TOKEN_PLACED};
    l->first = window * l->count;
    if (!l->placed) return OMMA_OK;
    OMMA_TRY(check_place(own, i, err));
    l->y = own->y[i], l->x = own->x[i];
    return OMMA_OK;
}

static omma_status add_up(sums *s, const line *l, omma_error *err) {
    for (int64_t j = 0; j < l->count; j++) {
        const double a = (double)l->weight[j * l->step];
        const omma_token_kind kind = kind_of(&l->partner, l->first + j);
        const bool allowed = !l->allowed || l->allowed[j * l->step];
        if (!(a >= 0 && isfinite(a)))
            return omma_fail(err, OMMA_E_RANGE, "weight %lld of a line of attention is %g",
                             (long long)j, a);
        if (kind >= OMMA_TOKEN_KINDS)
            return omma_fail(err, OMMA_E_RANGE, "%d is no kind of token", (int)kind);
        if (kind == OMMA_TOKEN_PADDING) continue;
        s->mass += a;
        s->log += a > 0 ? a * log(a) : 0;
        s->by_kind[kind] += a;
        s->partners += allowed;
        if (kind != OMMA_TOKEN_PLACED || !l->placed) continue;
        OMMA_TRY(check_place(&l->partner, l->first + j, err));
        const double dy = l->partner.y[l->first + j] - l->y, dx = l->partner.x[l->first + j] - l->x;
        const double way = sqrt(dy * dy + dx * dx);
        s->placed += a;
        s->way += a * way;
        s->places += allowed;
        s->all_ways += allowed ? way : 0;
    }
    return OMMA_OK;
}

omma_status omma_look_token(omma_look *out, const omma_attention_weights *w, omma_direction d,
                            int64_t window, int64_t head, int64_t at, omma_error *err) {
    line l = {0};
    sums s = {0};
    OMMA_TRY(find_line(&l, w, d, window, head, at, err));
    OMMA_TRY(add_up(&s, &l, err));
    const bool far = s.placed > 0, any = s.mass > 0;
    *out = (omma_look){.mass = s.mass,
                       .distance = far ? s.way / s.placed : NAN,
                       .distance_raw = l.placed && s.places ? s.way : NAN,
                       .uniform = far && s.places ? s.all_ways / (double)s.places : NAN,
                       .entropy = any ? fmax(log(s.mass) - s.log / s.mass, 0) : NAN,
                       .ceiling = s.partners ? log((double)s.partners) : NAN,
                       .self = l.own >= 0 ? (double)l.weight[l.own * l.step] : NAN,
                       .on_class = s.by_kind[OMMA_TOKEN_CLASS],
                       .on_registers = s.by_kind[OMMA_TOKEN_REGISTER],
                       .lines = 1,
                       .placed = far};
    out->ratio = out->distance / out->uniform;
    return OMMA_OK;
}

/* --- means ------------------------------------------------------------------------------------ */

/* The measures that have means, and how many lines each was told by. */
enum { MEASURES = 9 };

static double *measure(omma_look *l, int k) {
    double *const all[MEASURES] = {&l->mass,    &l->distance, &l->distance_raw,
                                   &l->uniform, &l->entropy,  &l->ceiling,
                                   &l->self,    &l->on_class, &l->on_registers};
    return all[k];
}

omma_status omma_look_head(omma_look *out, const omma_attention_weights *w, omma_direction d,
                           int64_t head, omma_error *err) {
    const int64_t lines = d == OMMA_LOOKS_AT ? w->queries : w->keys;
    const omma_places *own = d == OMMA_LOOKS_AT ? &w->query : &w->key;
    int64_t told[MEASURES] = {0};
    *out = (omma_look){0};
    for (int64_t i = 0; i < w->windows * lines; i++) {
        omma_look one;
        if (kind_of(own, i) == OMMA_TOKEN_PADDING) continue;
        OMMA_TRY(omma_look_token(&one, w, d, i / lines, head, i % lines, err));
        out->lines++;
        out->placed += one.placed;
        for (int k = 0; k < MEASURES; k++) {
            const double v = *measure(&one, k);
            if (isnan(v)) continue;
            *measure(out, k) += v;
            told[k]++;
        }
    }
    for (int k = 0; k < MEASURES; k++) *measure(out, k) /= (double)told[k]; /* NaN for none */
    out->ratio = out->distance / out->uniform;
    return OMMA_OK;
}

double omma_uniform_distance(const double *y, const double *x, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < i; j++) {
            const double dy = y[i] - y[j], dx = x[i] - x[j];
            sum += 2 * sqrt(dy * dy + dx * dx);
        }
    return sum / ((double)n * (double)n);
}
