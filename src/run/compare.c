/* compare.c - how far two tensors are apart. Two walks over blocks of doubles: the first finds
 * the reference's largest magnitude, which the tolerance hangs on, the second compares. 64-bit
 * integers, which doubles cannot tell apart, are subtracted as integers. */
#include <math.h>
#include <string.h>

#include "op/op.h"
#include "run/compare.h"

enum { BLOCK = 512 };

static bool is_real(omma_dtype t) {
    return t == OMMA_F32 || t == OMMA_F64 || t == OMMA_F16 || t == OMMA_BF16;
}

/* n <= BLOCK numbers from i on. */
static void take(double *out, const omma_tensor *t, int64_t i, int n) {
    const unsigned char *p = t->data;
    if (t->dtype == OMMA_F32) {
        float x[BLOCK];
        memcpy(x, p + (size_t)i * sizeof *x, (size_t)n * sizeof *x);
        for (int k = 0; k < n; k++) out[k] = (double)x[k];
        return;
    }
    size_t size = omma_dtype_size(t->dtype);
    for (int k = 0; k < n; k++) { /* one at a time, since they may lie at any address */
        double one;
        memcpy(&one, p + (size_t)(i + k) * size, size);
        out[k] = omma_get_number(t->dtype, &one, 0);
    }
}

static double magnitude_of(const omma_tensor *t, int64_t count) {
    double x[BLOCK], most = 0;
    for (int64_t i = 0; i < count; i += BLOCK) {
        int n = count - i < BLOCK ? (int)(count - i) : BLOCK;
        take(x, t, i, n);
        for (int k = 0; k < n; k++)
            if (isfinite(x[k]) && fabs(x[k]) > most) most = fabs(x[k]);
    }
    return most;
}

/* |got - want| of 64-bit integers, exact before it becomes a double. */
static double apart_64(const omma_tensor *got, const omma_tensor *want, int64_t i) {
    uint64_t a, b;
    memcpy(&a, (const unsigned char *)got->data + (size_t)i * 8, 8);
    memcpy(&b, (const unsigned char *)want->data + (size_t)i * 8, 8);
    bool more = got->dtype == OMMA_U64 ? a > b : (int64_t)a > (int64_t)b;
    return (double)(more ? a - b : b - a);
}

typedef struct sums {
    double apart, dot, aa, bb;
    int64_t finite;
} sums;

static void compare_one(omma_difference *d, sums *s, int64_t i, double a, double b, double apart,
                        double allowed) {
    if (!isfinite(a) || !isfinite(b)) {
        if ((isnan(a) && isnan(b)) || a == b) return;
        d->beyond++;
        if (!d->odd++) d->at = i, d->got = a, d->want = b;
        return;
    }
    s->finite++;
    s->apart += apart;
    s->dot += a * b;
    s->aa += a * a;
    s->bb += b * b;
    d->beyond += apart > allowed;
    if (apart > d->largest || d->at < 0) {
        d->largest = apart;
        if (!d->odd) d->at = i, d->got = a, d->want = b;
    }
}

static void finish(omma_difference *d, const sums *s) {
    d->mean = s->finite ? s->apart / (double)s->finite : 0;
    d->relative = d->magnitude > 0 ? d->largest / d->magnitude : d->largest > 0 ? HUGE_VAL : 0;
    if (s->aa > 0 && s->bb > 0) d->cosine = s->dot / (sqrt(s->aa) * sqrt(s->bb));
    else d->cosine = s->aa > 0 || s->bb > 0 ? 0 : 1;
    d->agrees = !d->type && !d->shape && !d->beyond;
}

void omma_compare(omma_difference *out, const omma_tensor *got, const omma_tensor *want,
                  const omma_tolerance *t) {
    omma_difference *d = out;
    sums s = {0};
    double a[BLOCK], b[BLOCK];
    *d = (omma_difference){.at = -1, .cosine = 1};
    d->type = got->dtype != want->dtype;
    d->shape = got->rank != want->rank ||
               memcmp(got->dims, want->dims, (size_t)got->rank * sizeof *got->dims);
    int64_t count = omma_tensor_count(want);
    if (count == omma_tensor_count(got) && count > 0) d->count = count;
    d->magnitude = magnitude_of(want, d->count);
    bool real = is_real(want->dtype) || is_real(got->dtype);
    bool wide = !d->type && (got->dtype == OMMA_I64 || got->dtype == OMMA_U64);
    double allowed = t->atol + (real ? t->rtol * d->magnitude : 0);
    for (int64_t i = 0; i < d->count; i += BLOCK) {
        int n = d->count - i < BLOCK ? (int)(d->count - i) : BLOCK;
        take(a, got, i, n);
        take(b, want, i, n);
        for (int k = 0; k < n; k++)
            compare_one(d, &s, i + k, a[k], b[k],
                        wide ? apart_64(got, want, i + k) : fabs(a[k] - b[k]), allowed);
    }
    finish(d, &s);
}

void omma_coordinates(int64_t *out, const int64_t *dims, int rank, int64_t i) {
    for (int d = rank - 1; d >= 0; d--) {
        out[d] = dims[d] > 0 ? i % dims[d] : 0;
        if (dims[d] > 0) i /= dims[d];
    }
}
