/* tally.c - see tally.h. Means and deviations are updated picture by picture (Welford 1962), so
 * that pictures that are all the same have an error of exactly zero. */
#include "field/tally.h"

#include <math.h>

static omma_status no_memory(omma_error *err) {
    return omma_fail(err, OMMA_E_NOMEM, "no memory for the mean of pictures");
}

static double *planes_of(const omma_tally *t, int planes) {
    return omma_arena_array(t->arena, (size_t)t->size, (size_t)planes * sizeof(double));
}

omma_status omma_tally_new(omma_tally *t, int planes, int64_t size, omma_arena *arena,
                           omma_error *err) {
    *t = (omma_tally){.planes = planes, .size = size, .arena = arena};
    t->mean = planes_of(t, planes);
    t->cross = planes_of(t, planes * (planes + 1) / 2);
    return t->mean && t->cross ? OMMA_OK : no_memory(err);
}

static void add_pixel(omma_tally *t, const double *picture, int64_t i) {
    double before[OMMA_TALLY_PLANES], after[OMMA_TALLY_PLANES];
    for (int p = 0; p < t->planes; p++) {
        double *mean = &t->mean[p * t->size + i];
        before[p] = picture[p * t->size + i] - *mean;
        *mean += before[p] / (double)t->n;
        after[p] = picture[p * t->size + i] - *mean;
    }
    for (int p = 0, at = 0; p < t->planes; p++)
        for (int q = 0; q <= p; q++, at++) t->cross[at * t->size + i] += before[p] * after[q];
}

omma_status omma_tally_add(omma_tally *t, const double *picture, omma_error *err) {
    const int g = (int)(t->n % OMMA_TALLY_GROUPS);
    if (!t->group[g] && !(t->group[g] = planes_of(t, t->planes))) return no_memory(err);
    if (g >= t->groups) t->groups = g + 1;
    t->n++;
    t->count[g]++;
    for (int64_t i = 0; i < t->size; i++) add_pixel(t, picture, i);
    for (int64_t i = 0; i < t->size * t->planes; i++) t->group[g][i] += picture[i];
    return OMMA_OK;
}

void omma_tally_map(const omma_tally *t, int without, double *map) {
    const double all = (double)t->n;
    for (int64_t i = 0; i < t->size; i++) {
        double sum = 0;
        for (int64_t k = i, p = 0; p < t->planes; p++, k += t->size) {
            double mean = t->mean[k];
            if (without >= 0)
                mean = (mean * all - t->group[without][k]) / (all - (double)t->count[without]);
            sum += fabs(mean);
        }
        map[i] = sum;
    }
}

static double sign(double x) { return x < 0 ? -1 : 1; }

/* Of a sum of absolute values: each plane counts with the sign of its mean. */
static double variance(const omma_tally *t, int64_t i) {
    double sum = 0;
    for (int p = 0, at = 0; p < t->planes; p++)
        for (int q = 0; q <= p; q++, at++)
            sum += (p == q ? 1 : 2) * t->cross[at * t->size + i] * sign(t->mean[p * t->size + i]) *
                   sign(t->mean[q * t->size + i]);
    return fmax(sum, 0) / ((double)t->n * (double)(t->n - 1));
}

void omma_tally_error(const omma_tally *t, double *error) {
    for (int64_t i = 0; i < t->size; i++) error[i] = t->n > 1 ? sqrt(variance(t, i)) : NAN;
}

/* h = n / m_j; the pseudo-value of group j is h all - (h - 1) without_j. */
static double jackknife(const omma_tally *t, double all, const double *without, int step) {
    const double n = (double)t->n;
    double centre = (double)t->groups * all, sum = 0;
    for (int j = 0; j < t->groups; j++) centre -= (1 - (double)t->count[j] / n) * without[j * step];
    for (int j = 0; j < t->groups; j++) {
        const double h = n / (double)t->count[j];
        const double off = h * all - (h - 1) * without[j * step] - centre;
        sum += off * off / (h - 1);
    }
    return sqrt(sum / (double)t->groups);
}

void omma_tally_jackknife(const omma_tally *t, int m, const double *all, const double *without,
                          double *error) {
    for (int k = 0; k < m; k++)
        error[k] = t->groups > 1 ? jackknife(t, all[k], without + k, m) : NAN;
}
