/* attribution.c - see attribution.h: the table of methods, parameters and what is said of them. */
#include "field/attribution.h"

#include <math.h>
#include <string.h>

#include "field/methods.h"

enum { DEFAULT_METHOD = OMMA_METHOD_OCCLUSION };

/* What a method uses, as bits. */
enum { USES_BASELINE = 1, USES_ZERO = 2 /* as its default baseline */ };

static const struct {
    const char *name;
    omma_method_run *run;
    unsigned uses;
} methods[OMMA_METHODS] = {
    [OMMA_METHOD_GRADIENT] = {"gradient", omma_gradient_map, 0},
    [OMMA_METHOD_GRADIENT_INPUT] = {"gradient-x-input", omma_gradient_input_map,
                                    USES_BASELINE | USES_ZERO},
    [OMMA_METHOD_SMOOTHGRAD] = {"smoothgrad", omma_smoothgrad_map, 0},
    [OMMA_METHOD_INTEGRATED] = {"integrated", omma_integrated_map, USES_BASELINE | USES_ZERO},
    [OMMA_METHOD_GRADCAM] = {"grad-cam", omma_gradcam_map, 0},
    [OMMA_METHOD_GRADCAM_PP] = {"grad-cam++", omma_gradcam_pp_map, 0},
    [OMMA_METHOD_HIRESCAM] = {"hirescam", omma_hirescam_map, 0},
    [OMMA_METHOD_SCORECAM] = {"score-cam", omma_scorecam_map, USES_BASELINE},
    [OMMA_METHOD_OCCLUSION] = {"occlusion", omma_occlusion_map, USES_BASELINE},
    [OMMA_METHOD_RISE] = {"rise", omma_rise_map, USES_BASELINE},
    [OMMA_METHOD_RANDOM] = {"random", omma_random_map, 0},
    [OMMA_METHOD_CENTRE] = {"centre", omma_centre_map, 0},
    [OMMA_METHOD_EDGES] = {"edges", omma_edges_map, 0}};

static omma_status no_memory(omma_error *err) {
    return omma_fail(err, OMMA_E_NOMEM, "no memory for an attribution");
}

const char *omma_method_name(omma_method m) {
    return methods[m == OMMA_METHOD_DEFAULT ? (omma_method)DEFAULT_METHOD : m].name;
}

omma_method omma_method_find(const char *name) {
    for (int m = 1; m < OMMA_METHODS; m++)
        if (!strcmp(name, methods[m].name)) return (omma_method)m;
    return strcmp(name, "default") ? OMMA_METHODS : OMMA_METHOD_DEFAULT;
}

/* --- making one ----------------------------------------------------------------------------- */

omma_status omma_attribution_new(omma_attribution **out, const omma_graph *graph, const char *name,
                                 const omma_target *target, int image, const omma_options *opt,
                                 omma_error *err) {
    *out = NULL;
    omma_attribution *a = omma_mem_alloc(sizeof *a);
    if (!a) return no_memory(err);
    const omma_status s = omma_ask_new(&a->ask, graph, name, target, image, opt, err);
    omma_arena_init(&a->map_arena, &a->ask.budget);
    if (s) {
        omma_error_in_file(err, name);
        omma_attribution_free(a);
        return s;
    }
    *out = a;
    return OMMA_OK;
}

void omma_attribution_free(omma_attribution *a) {
    if (!a) return;
    omma_attribution_forget_map(a);
    omma_ask_free(&a->ask);
    omma_mem_free(a);
}

omma_status omma_attribution_value(omma_attribution *a, double *f, const omma_tensor *inputs, int n,
                                   omma_error *err) {
    const omma_status s = omma_ask_begin(&a->ask, inputs, n, err);
    if (s) omma_error_in_file(err, a->ask.name);
    *f = a->ask.target;
    return s;
}

/* --- parameters ----------------------------------------------------------------------------- */

static void settle(omma_attribution_how *h, const omma_picture *p) {
    const int64_t shorter = p->height < p->width ? p->height : p->width;
    if (h->method == OMMA_METHOD_DEFAULT) h->method = (omma_method)DEFAULT_METHOD;
    if (h->baseline.kind == OMMA_BASELINE_DEFAULT)
        h->baseline.kind =
            methods[h->method].uses & USES_ZERO ? OMMA_BASELINE_ZERO : OMMA_BASELINE_MEAN;
    if (!h->samples) h->samples = 16;
    if (h->sigma == 0) h->sigma = 0.15;
    if (!h->steps) h->steps = 32;
    if (!h->window) h->window = (int)((shorter + 7) / 8);
    if (!h->stride) h->stride = (h->window + 1) / 2;
    if (!h->masks) h->masks = 512;
    if (!h->cells) h->cells = 8;
    if (h->keep == 0) h->keep = 0.5;
}

static omma_status check(const omma_attribution_how *h, omma_error *err) {
    enum { MOST = 1000000 };
    const struct {
        const char *name;
        int value;
    } whole[] = {{"samples", h->samples}, {"steps", h->steps}, {"window", h->window},
                 {"stride", h->stride},   {"masks", h->masks}, {"cells", h->cells}};
    if ((unsigned)h->method >= OMMA_METHODS)
        return omma_fail(err, OMMA_E_USAGE, "there is no method %d", (int)h->method);
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        if (whole[i].value < 0 || whole[i].value > MOST)
            return omma_fail(err, OMMA_E_USAGE, "%s: %d, which is not 1 to %d", whole[i].name,
                             whole[i].value, MOST);
    if (!(h->sigma >= 0 && h->sigma < 1e6))
        return omma_fail(err, OMMA_E_USAGE, "sigma: %g, which is not above 0", h->sigma);
    if (!(h->keep >= 0 && h->keep < 1))
        return omma_fail(err, OMMA_E_USAGE, "keep: %g, which is not between 0 and 1", h->keep);
    if (h->stride > h->window && h->window)
        return omma_fail(err, OMMA_E_USAGE, "a stride of %d px leaves holes between windows of %d",
                         h->stride, h->window);
    return omma_baseline_check(&h->baseline, err);
}

/* The parameters of a method, without the baseline; NULL: no memory. */
static const char *say(const omma_attribution_how *h, const omma_heat *x, omma_arena *arena) {
    const unsigned long long seed = h->seed;
    switch (h->method) {
    case OMMA_METHOD_SMOOTHGRAD:
        return omma_arena_printf(arena, "%d copies, noise of %g of the range, seed %llu",
                                 h->samples, h->sigma, seed);
    case OMMA_METHOD_INTEGRATED: return omma_arena_printf(arena, "%d steps", h->steps);
    case OMMA_METHOD_GRADCAM:
    case OMMA_METHOD_GRADCAM_PP:
    case OMMA_METHOD_HIRESCAM:
    case OMMA_METHOD_SCORECAM:
        return omma_arena_printf(arena, "feature map %s, %lld x %lld cells", x->feature_map,
                                 (long long)x->rows, (long long)x->columns);
    case OMMA_METHOD_OCCLUSION:
        return omma_arena_printf(arena, "window %d px, stride %d px", h->window, h->stride);
    case OMMA_METHOD_RISE:
        return omma_arena_printf(arena, "%d masks of %d x %d cells, %g of them shown, seed %llu",
                                 h->masks, h->cells, h->cells, h->keep, seed);
    case OMMA_METHOD_RANDOM: return omma_arena_printf(arena, "seed %llu", seed);
    default: return "";
    }
}

static omma_status describe(omma_heat *x, const omma_attribution_how *how, const omma_ask *k,
                            omma_arena *arena, omma_error *err) {
    char hidden[96] = "";
    x->method = methods[how->method].name;
    x->has_baseline = methods[how->method].uses & USES_BASELINE;
    x->baseline = how->baseline;
    x->target = omma_arena_strndup(arena, k->aim.says, strlen(k->aim.says));
    x->says = say(how, x, arena);
    if (!x->target || !x->says) return no_memory(err);
    if (!x->has_baseline) return OMMA_OK;
    omma_baseline_say(hidden, sizeof hidden, &how->baseline, &k->picture);
    x->says = omma_arena_printf(arena, "%s%sbaseline %s", x->says, *x->says ? ", " : "", hidden);
    return x->says ? OMMA_OK : no_memory(err);
}

/* --- a map ---------------------------------------------------------------------------------- */

static omma_status begin(omma_method_job *j, omma_error *err) {
    const omma_ask *k = &j->a->ask;
    const omma_picture *p = &k->picture;
    *j->h = (omma_heat){.kind = OMMA_HEAT_RANK,
                        .height = p->height,
                        .width = p->width,
                        .channels = p->channels,
                        .f = k->target,
                        .sum = NAN,
                        .difference = NAN,
                        .gap = NAN};
    j->h->map = omma_arena_array(j->arena, (size_t)(p->height * p->width), sizeof *j->h->map);
    if (!j->h->map) return no_memory(err);
    if (!(methods[j->how->method].uses & USES_BASELINE)) return OMMA_OK;
    j->hidden = omma_arena_array(j->tmp, (size_t)k->size, sizeof *j->hidden);
    if (!j->hidden) return no_memory(err);
    return omma_baseline_fill(j->hidden, &j->how->baseline, k->x, p, j->tmp, err);
}

static omma_status check_map(const omma_heat *x, const char *name, omma_error *err) {
    for (int64_t i = 0; i < x->height * x->width; i++)
        if (!isfinite(x->map[i]))
            return omma_fail_node(err, OMMA_E_RANGE, name, NULL,
                                  "%s of %s is %g at pixel %lld, %lld (row, column)", x->method,
                                  x->target, x->map[i], (long long)(i / x->width),
                                  (long long)(i % x->width));
    return OMMA_OK;
}

static omma_status run(omma_method_job *j, const omma_tensor *inputs, int n,
                       omma_attribution_how *how, omma_error *err) {
    omma_ask *k = &j->a->ask;
    OMMA_TRY(check(how, err));
    OMMA_TRY(omma_ask_begin(k, inputs, n, err));
    settle(how, &k->picture);
    OMMA_TRY(begin(j, err));
    const int64_t forward = k->forward, back = k->back;
    OMMA_TRY(methods[how->method].run(j, err));
    j->h->forward = k->forward - forward + 1, j->h->back = k->back - back;
    OMMA_TRY(describe(j->h, how, k, j->arena, err));
    return check_map(j->h, k->aim.name[0], err);
}

omma_status omma_attribution_run(omma_attribution *a, omma_heat *out, const omma_tensor *inputs,
                                 int n, const omma_attribution_how *how, omma_arena *arena,
                                 omma_error *err) {
    omma_attribution_how settled = *how;
    omma_arena tmp;
    omma_arena_init(&tmp, &a->ask.budget);
    omma_method_job j = {.a = a, .h = out, .how = &settled, .arena = arena, .tmp = &tmp};
    const omma_status s = run(&j, inputs, n, &settled, err);
    omma_arena_free(&tmp);
    if (s) omma_error_in_file(err, a->ask.name);
    return s;
}
