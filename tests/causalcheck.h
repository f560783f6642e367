/* causalcheck.h - what an attention makes when some of its weights are taken away, counted anew
 * from the weights, values and the way to the addition of a run with nothing shut. Shutting keys
 * off and sharing what is left is one and the same:
 *
 *     softmax over the keys that stay = weights over their sum over the keys that stay */
#ifndef OMMA_TESTS_CAUSALCHECK_H
#define OMMA_TESTS_CAUSALCHECK_H

#include <math.h>

#include "field/causal.h"
#include "field/way.h"

/* Does a query not see a key? By tokens; said anew here, beside causal_shut.c. */
static inline bool causal_is_shut(const omma_attention *a, const omma_shut *what, int64_t query,
                                  int64_t key) {
    bool in = !what->token, from = !what->source;
    double y0, x0, y1, x1;
    for (int i = 0; i < what->n_token; i++) in |= what->token[i] == query;
    for (int i = 0; i < what->n_source; i++) from |= what->source[i] == key;
    if (query < 0 || !in || !from) return false;
    if (omma_attention_same_tokens(a) && query == key) return false;
    if (!(what->radius > 0)) return true;
    return !omma_tokens_place(&a->query, query, &y0, &x0) ||
           !omma_tokens_place(&a->key, key, &y1, &x1) || hypot(y1 - y0, x1 - x0) > what->radius;
}

/* One row of one head of the mix. Returns how many of its keys are shut. */
static inline int64_t causal_mix_row(float *mix, omma_sight *s, int k, const omma_shut *what,
                                     int64_t w, int64_t h, int64_t q) {
    const omma_attention *a = &omma_sight_anatomy(s)->attention[k];
    const omma_fov *f = omma_sight_fov(s);
    const float *v = omma_sight_tensor(s, a->v)->data;
    const float *row = omma_sight_weights(s, k) + ((w * a->heads + h) * a->queries + q) * a->keys;
    const int64_t query = omma_attention_token(a, f, false, w, q);
    int64_t shut = 0;
    double total = 0;
    bool stays[1024];
    assert_true(a->keys <= 1024);
    for (int64_t j = 0; j < a->keys; j++) {
        stays[j] = !causal_is_shut(a, what, query, omma_attention_token(a, f, true, w, j));
        shut += !stays[j];
        total += stays[j] ? (double)row[j] : 0;
    }
    for (int64_t c = 0; c < a->mix_width; c++) {
        double sum = 0;
        for (int64_t j = 0; j < a->keys && total > 0; j++)
            if (stays[j])
                sum += (double)row[j] / total * (double)v[omma_heads_at(&a->at_v, w, h, j, c)];
        mix[omma_heads_at(&a->at_mix, w, h, q, c)] = (float)sum;
    }
    return shut;
}

static inline const omma_tensor *causal_side(const void *user, const omma_value *v) {
    return omma_sight_tensor(user, v);
}

/* The out of attention k with `what` shut there alone, in c's last run: is it what it must be?
 * pairs: as omma_causal_shut said. Returns how far it is off, over the largest number. */
static inline double causal_check(omma_sight *s, int k, const omma_shut *what, const omma_causal *c,
                                  int64_t pairs) {
    const omma_attention *a = &omma_sight_anatomy(s)->attention[k];
    const omma_tensor *is = omma_causal_tensor(c, a->out, false), *branch;
    const float *in = omma_sight_tensor(s, a->in)->data;
    omma_tensor mix = omma_value_tensor(a->mix);
    omma_way way;
    omma_error err;
    int64_t shut = 0;
    double off = 0, largest = 1e-9;
    float *x = calloc((size_t)omma_tensor_count(&mix), sizeof *x);
    assert_non_null(x);
    for (int64_t w = 0; w < a->windows; w++)
        for (int64_t h = 0; h < a->heads; h++)
            for (int64_t q = 0; q < a->queries; q++) shut += causal_mix_row(x, s, k, what, w, h, q);
    assert_int_equal(shut, pairs * a->heads);
    mix.data = x;
    if (omma_way_new(&way, omma_sight_fov(s)->specialised.graph, a->mix, a->branch, causal_side, s,
                     &err) ||
        omma_way_run(&way, &mix, &branch, &err))
        fail_msg("%s", err.message);
    assert_int_equal(omma_tensor_count(is), omma_tensor_count(branch));
    for (int64_t i = 0; i < omma_tensor_count(is); i++) {
        const double due = (double)in[i] + (double)((const float *)branch->data)[i];
        const double d = fabs((double)((const float *)is->data)[i] - due);
        largest = fmax(largest, fabs(due));
        off = d <= off ? off : d; /* NaN stays */
    }
    omma_way_free(&way);
    free(x);
    return off / largest;
}

#endif
