/* range.c - see range.h. */
#include "learn/range.h"

#include <math.h>
#include <string.h>

enum { TRIES = 40 }; /* cuts of either end that are tried */

void omma_range_clear(omma_range *r) { *r = (omma_range){.sound = true}; }

void omma_range_see(omma_range *r, const float *x, int64_t n) {
    float lo = r->lo, hi = r->hi, odd = 0;
    for (int64_t i = 0; i < n; i++) {
        lo = x[i] < lo ? x[i] : lo;
        hi = x[i] > hi ? x[i] : hi;
        odd += x[i] * 0; /* 0, or no number */
    }
    r->lo = lo, r->hi = hi;
    if (odd != 0 || !isfinite(hi - lo)) r->sound = false;
    r->seen |= n > 0;
}

void omma_range_count(omma_range *r, const float *x, int64_t n) {
    const float width = r->hi - r->lo;
    if (!r->sound || !(width > 0)) return;
    const float per = (float)OMMA_RANGE_BINS / width;
    for (int64_t i = 0; i < n; i++) {
        const float at = (x[i] - r->lo) * per;
        const int k = at > 0 ? at < OMMA_RANGE_BINS - 1 ? (int)at : OMMA_RANGE_BINS - 1 : 0;
        r->bins[k]++;
    }
}

/* The squared error, summed, of steps over [lo, hi]. */
static double error_of(const omma_range *r, double lo, double hi) {
    const double width = ((double)r->hi - (double)r->lo) / OMMA_RANGE_BINS, step = (hi - lo) / 255;
    double sum = 0, inside = 0;
    for (int i = 0; i < OMMA_RANGE_BINS; i++) {
        const double v = (double)r->lo + (i + 0.5) * width;
        const double off = v < lo ? lo - v : v > hi ? v - hi : 0;
        sum += r->bins[i] * off * off;
        inside += off > 0 ? 0 : r->bins[i];
    }
    return sum + inside * step * step / 12;
}

static omma_steps steps_of(double lo, double hi) {
    omma_steps s = {1, 0};
    if (!(hi - lo > 1e-30)) return s;
    s.scale = (float)((hi - lo) / 255);
    const double zero = rint(-lo / (double)s.scale);
    s.zero = (uint8_t)(zero < 0 ? 0 : zero > 255 ? 255 : zero);
    return s;
}

omma_steps omma_range_choose(const omma_range *r) {
    double lo = (double)r->lo, hi = (double)r->hi, best;
    if (!r->sound) return (omma_steps){1, 0};
    if (!(hi > lo)) return steps_of(0, 0);
    best = error_of(r, lo, hi);
    for (int round = 0; round < 2; round++) /* one end after the other */
        for (int end = 0; end < 2; end++)
            for (int i = 1; i < TRIES; i++) {
                const double cut = 1 - (double)i / TRIES;
                const double a = end ? lo : (double)r->lo * cut, b = end ? (double)r->hi * cut : hi;
                const double e = error_of(r, a, b);
                if (e < best) best = e, lo = a, hi = b;
            }
    return steps_of(lo, hi);
}
