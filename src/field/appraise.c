/* appraise.c - see appraise.h. Measures of the picture in hand come first, so that none of them
 * begins anew; sensitivity, which takes other pictures in hand, is last. */
#include "field/appraise.h"

#include <string.h>

#include "field/methods.h"

typedef struct appraising {
    omma_appraisal *out;
    omma_attribution *a;
    const omma_tensor *inputs;
    int n;
    const omma_appraise_how *how;
    omma_arena *arena;
} appraising;

static omma_status measure_curve(const appraising *x, omma_curve *c, const double *map, bool insert,
                                 omma_error *err) {
    const omma_curve_how how = {.insert = insert, .steps = x->how->steps, .seed = x->how->seed};
    return omma_curve_measure(x->a, c, map, x->inputs, x->n, &how, err);
}

/* The deletion of maps that know nothing. */
static omma_status measure_blind(const appraising *x, omma_error *err) {
    static const omma_method methods[OMMA_BLINDS] = {OMMA_METHOD_RANDOM, OMMA_METHOD_CENTRE};
    if (x->how->blind) memcpy(x->out->blind, x->how->blind, sizeof x->out->blind);
    for (int k = 0; k < OMMA_BLINDS && !x->how->blind; k++) {
        const omma_attribution_how how = {.method = methods[k], .seed = x->how->seed};
        omma_arena tmp;
        omma_heat h;
        omma_curve c;
        omma_arena_init(&tmp, x->arena->budget);
        omma_status s = omma_attribution_run(x->a, &h, x->inputs, x->n, &how, &tmp, err);
        if (!s) s = measure_curve(x, &c, h.map, false, err);
        omma_arena_free(&tmp);
        if (s) return s;
        x->out->blind[k] = c.auc;
    }
    return OMMA_OK;
}

/* A model of random weights may have no finite answer, and one without weights none to shuffle. */
static omma_status measure_cascade(const appraising *x, omma_error *err) {
    const omma_ask *k = &x->a->ask;
    const omma_cascade_how how = {
        .maps = x->how->falls, .seed = x->how->seed, .map = x->out->heat.map};
    omma_error why;
    const omma_status s =
        omma_cascade_measure(&x->out->cascade, k->graph, k->name, &k->aim.what, k->image, x->inputs,
                             x->n, &x->how->method, &how, &k->opt, x->arena, &why);
    if (s != OMMA_E_RANGE && s != OMMA_E_UNSUPPORTED) {
        if (s && err) *err = why;
        return s;
    }
    x->out->cascade.count = 0;
    x->out->no_cascade = omma_arena_strndup(x->arena, why.message, strlen(why.message));
    return x->out->no_cascade ? OMMA_OK : omma_fail(err, OMMA_E_NOMEM, "no memory for a heat map");
}

static omma_status appraise(const appraising *x, omma_error *err) {
    omma_appraisal *o = x->out;
    const omma_appraise_how *w = x->how;
    const omma_infidelity_how squares = {
        .samples = w->squares, .baseline.kind = OMMA_BASELINE_MEAN, .seed = w->seed};
    OMMA_TRY(omma_attribution_run(x->a, &o->heat, x->inputs, x->n, &w->method, x->arena, err));
    OMMA_TRY(measure_curve(x, &o->deletion, o->heat.map, false, err));
    OMMA_TRY(measure_curve(x, &o->insertion, o->heat.map, true, err));
    OMMA_TRY(measure_blind(x, err));
    OMMA_TRY(
        omma_infidelity_measure(x->a, &o->infidelity, &o->heat, x->inputs, x->n, &squares, err));
    if (w->box)
        OMMA_TRY(omma_pointing_box(&o->pointing, o->heat.map, o->heat.height, o->heat.width, w->box,
                                   0, err));
    if (w->falls) OMMA_TRY(measure_cascade(x, err));
    if (!w->moves) return OMMA_OK;
    const omma_sensitivity_how moves = {.samples = w->moves, .seed = w->seed, .map = o->heat.map};
    return omma_sensitivity_measure(x->a, &o->sensitivity, &w->method, x->inputs, x->n, &moves,
                                    err);
}

omma_status omma_appraise(omma_appraisal *out, omma_attribution *a, const omma_tensor *inputs,
                          int n, const omma_appraise_how *how, omma_arena *arena, omma_error *err) {
    const appraising x = {out, a, inputs, n, how, arena};
    const int64_t before = a->ask.forward + a->ask.back;
    *out = (omma_appraisal){0};
    const omma_status s = appraise(&x, err);
    out->runs = a->ask.forward + a->ask.back - before;
    return s;
}

double omma_appraise_share(const omma_appraisal *x, double auc) {
    return x->heat.f > 0 ? auc / x->heat.f : auc;
}
