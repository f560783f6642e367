/* gradient_maps.c - attributions by the gradient of the target by the picture: the gradient itself,
 * times the input, averaged over noise (SmoothGrad), averaged on the way from a baseline
 * (integrated gradients). */
#include <math.h>

#include "field/chance.h"
#include "field/methods.h"

static omma_status no_memory(omma_error *err) {
    return omma_fail(err, OMMA_E_NOMEM, "no memory for an attribution");
}

/* The length over colours of h->element. */
static void take_length(omma_heat *h) {
    const int64_t n = h->height * h->width;
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int64_t c = 0; c < h->channels; c++) {
            const double g = h->element[c * n + i];
            sum += g * g;
        }
        h->map[i] = sqrt(sum);
    }
}

/* Gradients become shares: times x - b, summed over colours; and what they should add up to. */
static omma_status take_shares(omma_method_job *j, omma_error *err) {
    omma_ask *k = &j->a->ask;
    omma_heat *h = j->h;
    const int64_t n = h->height * h->width;
    double at_baseline;
    OMMA_TRY(omma_ask_hidden(k, &at_baseline, &j->how->baseline, j->hidden, err));
    h->sum = 0;
    for (int64_t i = 0; i < k->size; i++) {
        h->element[i] *= k->x[i] - j->hidden[i];
        h->map[i % n] += h->element[i];
        h->sum += h->element[i];
    }
    h->difference = h->f - at_baseline;
    h->gap = h->sum - h->difference;
    h->kind = OMMA_HEAT_SHARE;
    h->scale = "share of the target's difference from the baseline, signed, summed over colours";
    return OMMA_OK;
}

static omma_status begin(omma_method_job *j, omma_error *err) {
    j->h->kind = OMMA_HEAT_SLOPE;
    j->h->scale = "change of the target by change of the pixel, length over colours";
    j->h->element = omma_arena_array(j->arena, (size_t)j->a->ask.size, sizeof *j->h->element);
    return j->h->element ? OMMA_OK : no_memory(err);
}

omma_status omma_gradient_map(omma_method_job *j, omma_error *err) {
    double f;
    OMMA_TRY(begin(j, err));
    OMMA_TRY(omma_ask_gradient(&j->a->ask, &f, j->h->element, j->a->ask.x, err));
    take_length(j->h);
    return OMMA_OK;
}

omma_status omma_gradient_input_map(omma_method_job *j, omma_error *err) {
    double f;
    OMMA_TRY(begin(j, err));
    OMMA_TRY(omma_ask_gradient(&j->a->ask, &f, j->h->element, j->a->ask.x, err));
    return take_shares(j, err);
}

/* --- means of gradients --------------------------------------------------------------------- */

/* Add to h->element a part of the gradient at picture x. */
static omma_status add_gradient(omma_method_job *j, const double *x, double *slope, double part,
                                omma_error *err) {
    omma_ask *k = &j->a->ask;
    double f;
    OMMA_TRY(omma_ask_gradient(k, &f, slope, x, err));
    for (int64_t i = 0; i < k->size; i++) j->h->element[i] += part * slope[i];
    return OMMA_OK;
}

omma_status omma_smoothgrad_map(omma_method_job *j, omma_error *err) {
    const omma_ask *k = &j->a->ask;
    const int n = j->how->samples;
    const double sigma = j->how->sigma * omma_ask_range(k);
    double *x = omma_arena_array(j->tmp, (size_t)k->size, sizeof *x);
    double *slope = omma_arena_array(j->tmp, (size_t)k->size, sizeof *slope);
    OMMA_TRY(begin(j, err));
    if (!x || !slope) return no_memory(err);
    for (int s = 0; s < n; s++) {
        for (int64_t i = 0; i < k->size; i++)
            x[i] = k->x[i] + sigma * omma_chance_normal(j->how->seed, s, i);
        OMMA_TRY(add_gradient(j, x, slope, 1.0 / n, err));
    }
    take_length(j->h);
    return OMMA_OK;
}

/* The middles of equal steps, whose error falls with the square of their number. */
omma_status omma_integrated_map(omma_method_job *j, omma_error *err) {
    const omma_ask *k = &j->a->ask;
    const int n = j->how->steps;
    double *x = omma_arena_array(j->tmp, (size_t)k->size, sizeof *x);
    double *slope = omma_arena_array(j->tmp, (size_t)k->size, sizeof *slope);
    OMMA_TRY(begin(j, err));
    if (!x || !slope) return no_memory(err);
    for (int s = 0; s < n; s++) {
        const double part = (s + 0.5) / n;
        for (int64_t i = 0; i < k->size; i++) x[i] = j->hidden[i] + part * (k->x[i] - j->hidden[i]);
        OMMA_TRY(add_gradient(j, x, slope, 1.0 / n, err));
    }
    return take_shares(j, err);
}
