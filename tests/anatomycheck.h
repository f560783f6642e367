/* anatomycheck.h - what must be true of the parts of any model, however it is written: the mix is
 * what weights and values make, sums are of x and branch, a query is made from the token that it
 * is said to be, and a token sees the place it is said to have. */
#ifndef OMMA_TESTS_ANATOMYCHECK_H
#define OMMA_TESTS_ANATOMYCHECK_H

#include <math.h>
#include <string.h>

#include "field/sight.h"

static inline double number_of(const omma_tensor *t, int64_t i) {
    assert_int_equal(t->dtype, OMMA_F32);
    return (double)((const float *)t->data)[i];
}

/* mix = weights V, and each query's weights sum to 1. */
static inline void check_mix(omma_sight *s, int k) {
    const omma_attention *a = &omma_sight_anatomy(s)->attention[k];
    const omma_tensor *v = omma_sight_tensor(s, a->v), *mix = omma_sight_tensor(s, a->mix);
    const float *w = omma_sight_weights(s, k);
    double largest = 1e-9, off = 0;
    assert_non_null(w);
    for (int64_t i = 0; i < a->windows * a->heads * a->queries; i++, w += a->keys) {
        const int64_t head = i / a->queries % a->heads, window = i / a->queries / a->heads;
        double total = 0;
        for (int64_t j = 0; j < a->keys; j++) total += (double)w[j];
        if (fabs(total - 1) > 1e-5) fail_msg("%s: weights sum to %g", a->label, total);
        for (int64_t c = 0; c < a->mix_width; c++) {
            double sum = 0;
            for (int64_t j = 0; j < a->keys; j++)
                sum += (double)w[j] * number_of(v, omma_heads_at(&a->at_v, window, head, j, c));
            const double is =
                number_of(mix, omma_heads_at(&a->at_mix, window, head, i % a->queries, c));
            largest = fmax(largest, fabs(is));
            off = fmax(off, fabs(is - sum));
        }
    }
    if (!(off <= 1e-5 * largest)) fail_msg("%s: the mix is off by %g", a->label, off);
}

/* weights = softmax(factor * q k^T), where nothing else is done to the scores. */
static inline void check_scores(omma_sight *s, int k, double factor) {
    const omma_attention *a = &omma_sight_anatomy(s)->attention[k];
    const omma_tensor *q = omma_sight_tensor(s, a->q), *key = omma_sight_tensor(s, a->k);
    const float *w = omma_sight_weights(s, k);
    double e[512];
    assert_true(a->keys <= 512);
    for (int64_t i = 0; i < a->windows * a->heads * a->queries; i++, w += a->keys) {
        const int64_t head = i / a->queries % a->heads, window = i / a->queries / a->heads;
        double total = 0;
        for (int64_t j = 0; j < a->keys; j++) {
            double sum = 0;
            for (int64_t c = 0; c < a->width; c++)
                sum += number_of(q, omma_heads_at(&a->at_q, window, head, i % a->queries, c)) *
                       number_of(key, omma_heads_at(&a->at_k, window, head, j, c));
            total += e[j] = exp(factor * sum);
        }
        for (int64_t j = 0; j < a->keys; j++)
            if (!(fabs(e[j] / total - (double)w[j]) <= 1e-5))
                fail_msg("%s: weight %g, q and k make %g", a->label, (double)w[j], e[j] / total);
    }
}

static inline void check_sum(omma_sight *s, const omma_value *in, const omma_value *branch,
                             const omma_value *out) {
    const omma_tensor *x = omma_sight_tensor(s, in), *f = omma_sight_tensor(s, branch),
                      *y = omma_sight_tensor(s, out);
    assert_true(x && f && y);
    for (int64_t i = 0; i < omma_tensor_count(y); i++)
        if (fabs(number_of(x, i) + number_of(f, i) - number_of(y, i)) >
            1e-6 * (1 + fabs(number_of(y, i))))
            fail_msg("%s is not the sum of %s and %s", out->name, in->name, branch->name);
}

/* The set of `to` that element i of `from` is made from, by values; the walk is the caller's. */
static inline const omma_set *made_of(omma_walk *w, const omma_fov *f, const omma_value *from,
                                      int64_t i, const omma_value *to) {
    int64_t at[OMMA_MAX_RANK];
    omma_error err;
    for (int d = from->rank - 1; d >= 0; d--) at[d] = i % from->dims[d], i /= from->dims[d];
    if (omma_fov_walk(w, f, from, at, OMMA_FIELD_CONTENT, true, &err)) fail_msg("%s", err.message);
    return w->at[to->index];
}

/* The element of a sequence's channel c. */
static inline int64_t token_at(const omma_tokens *t, int64_t picture, int64_t token, int64_t c) {
    return picture * t->step_batch + token * t->step + c * t->step_width;
}

static inline bool has_element(const omma_set *set, const omma_value *v, int64_t i) {
    int64_t at[OMMA_MAX_RANK];
    for (int d = v->rank - 1; d >= 0; d--) at[d] = i % v->dims[d], i /= v->dims[d];
    return set && omma_set_has(set, at);
}

/* Row r of window w is made from the token it is said to be, and no other. */
static inline void check_row(const omma_fov *f, const omma_attention *a, bool key, int64_t window,
                             int64_t head, int64_t r) {
    const omma_value *v = key ? a->k : a->q;
    const omma_tokens *t = key ? &a->key : &a->query;
    const omma_heads_layout *l = key ? &a->at_k : &a->at_q;
    const int64_t token = omma_attention_token(a, f, key, window, r);
    const int64_t picture = window / (a->windows / a->batch);
    omma_walk w;
    if (!f->fields.depends[t->value->index] || t->value == v) return;
    const omma_set *set = made_of(&w, f, v, omma_heads_at(l, window, head, r, 0), t->value);
    for (int64_t b = 0; b < t->batch; b++)
        for (int64_t k = 0; k < t->count; k++) {
            const bool there = has_element(set, t->value, token_at(t, b, k, t->width - 1));
            const bool due = k == token && (t->batch == 1 || b == picture);
            if (there != due)
                fail_msg("%s: %s %lld of window %lld: token %lld of picture %lld %s", a->label,
                         key ? "key" : "query", (long long)r, (long long)window, (long long)k,
                         (long long)b, there ? "is in it" : "is not in it");
        }
    omma_walk_free(&w);
}

/* Some rows of some windows and heads. */
static inline void check_rows(const omma_fov *f, const omma_attention *a) {
    for (int key = 0; key < 2; key++) {
        const int64_t rows = key ? a->keys : a->queries;
        for (int64_t w = 0; w < a->windows; w += 1 + a->windows / 3)
            for (int64_t r = 0; r < rows; r += 1 + rows / 5)
                check_row(f, a, key, w, (w + r) % a->heads, r);
    }
}

/* A token sees its place; before any attention, what it sees lies around it. */
static inline void check_place(const omma_fov *f, const omma_tokens *t, int64_t token,
                               bool around) {
    double place[2];
    int axis[2];
    omma_walk w;
    const omma_value *image = omma_fov_image(f, &axis[0], &axis[1]);
    if (!omma_tokens_place(t, token, &place[0], &place[1])) return;
    const omma_set *set = made_of(&w, f, t->value, token_at(t, 0, token, 0), image);
    assert_non_null(set);
    for (int i = 0; i < 2; i++) {
        const int64_t n = image->dims[axis[i]];
        const uint64_t *bits = omma_set_along(&w.arena, set, axis[i], 1);
        const int64_t lo = omma_bits_next(bits, 0, n);
        int64_t hi = n - 1;
        while (hi > lo && !omma_bit(bits, hi)) hi--;
        const bool edge = lo == 0 || hi == n - 1;
        if ((double)lo > place[i] || (double)hi < place[i] ||
            (around && !edge && fabs((double)(lo + hi) / 2 - place[i]) > 1e-9))
            fail_msg("%s: token %lld lies at %g, and sees %lld to %lld", t->value->name,
                     (long long)token, place[i], (long long)lo, (long long)hi);
    }
    omma_walk_free(&w);
}

static inline void check_places(const omma_fov *f, const omma_tokens *t, bool around) {
    if (!t->placed || !f->fields.depends[t->value->index]) return;
    for (int64_t i = 0; i < t->count; i += 1 + t->count / 7) check_place(f, t, i, around);
}

/* Everything of a model. */
static inline void check_parts(omma_sight *s) {
    const omma_anatomy *a = omma_sight_anatomy(s);
    const omma_fov *f = omma_sight_fov(s);
    for (int k = 0; k < a->n_attention; k++) {
        const omma_attention *p = &a->attention[k];
        check_mix(s, k);
        check_rows(f, p);
        check_places(f, &p->query, k == 0);
        check_places(f, &p->key, k == 0);
        if (p->addition) check_sum(s, p->in, p->branch, p->out);
    }
    for (int k = 0; k < a->n_feed_forward; k++) {
        const omma_feed_forward *p = &a->feed_forward[k];
        check_sum(s, p->in, p->branch, p->out);
    }
    for (int k = 0; k < a->n_sampling; k++) {
        const omma_sampling *p = &a->sampling[k];
        if (p->addition) check_sum(s, p->in, p->branch, p->out);
    }
}

#endif
