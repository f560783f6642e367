/* faithfulness.c - deletion and insertion, the pointing game, infidelity, sensitivity: see
 * faithfulness.h. */
#include "field/faithfulness.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "field/chance.h"
#include "field/methods.h"

static omma_status no_memory(omma_error *err) {
    return omma_fail(err, OMMA_E_NOMEM, "no memory to measure an attribution");
}

/* What all measures that run the model begin with: the inputs in hand, a second picture, a baseline
 * (of the kind `fallback` where none was asked for), and a text of that. */
typedef struct ground {
    omma_ask *k;
    omma_arena tmp;
    omma_baseline baseline;
    double *x, *hidden;
    int64_t pixels;
    char says[96];
} ground;

static omma_status begin(ground *g, omma_attribution *a, const omma_tensor *inputs, int n,
                         const omma_baseline *b, omma_baseline_kind fallback, omma_error *err) {
    omma_ask *k = g->k = &a->ask;
    omma_arena_init(&g->tmp, &k->budget);
    OMMA_TRY(omma_baseline_check(b, err));
    OMMA_TRY(omma_ask_begin(k, inputs, n, err));
    g->baseline = *b;
    if (b->kind == OMMA_BASELINE_DEFAULT) g->baseline.kind = fallback;
    g->pixels = k->picture.height * k->picture.width;
    g->x = omma_arena_array(&g->tmp, (size_t)k->size, sizeof *g->x);
    g->hidden = omma_arena_array(&g->tmp, (size_t)k->size, sizeof *g->hidden);
    if (!g->x || !g->hidden) return no_memory(err);
    omma_baseline_say(g->says, sizeof g->says, &g->baseline, &k->picture);
    return omma_baseline_fill(g->hidden, &g->baseline, k->x, &k->picture, &g->tmp, err);
}

static omma_status end(ground *g, omma_status s, omma_error *err) {
    omma_arena_free(&g->tmp);
    if (s) omma_error_in_file(err, g->k->name);
    return s;
}

/* --- deletion and insertion ----------------------------------------------------------------- */

static omma_status check_curve(const omma_curve_how *how, const double *map, int64_t n,
                               omma_error *err) {
    if (how->steps < 0 || how->steps > OMMA_CURVE_STEPS)
        return omma_fail(err, OMMA_E_USAGE, "a curve of %d steps, which are not 1 to %d",
                         how->steps, OMMA_CURVE_STEPS);
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(map[i]))
            return omma_fail(err, OMMA_E_USAGE, "the map is %g somewhere and has no order", map[i]);
    return OMMA_OK;
}

/* The target for g->x, where so many pixels are shown: the ends of all curves are the same. */
static omma_status ask_shown(ground *g, double *f, int64_t shown, omma_error *err) {
    if (!shown) return omma_ask_hidden(g->k, f, &g->baseline, g->hidden, err);
    return omma_ask_value(g->k, f, shown == g->pixels ? g->k->x : g->x, err);
}

static omma_status walk_curve(ground *g, omma_curve *out, const double *map,
                              const omma_curve_how *how, omma_error *err) {
    omma_ask *k = g->k;
    const double *from = how->insert ? g->hidden : k->x, *to = how->insert ? k->x : g->hidden;
    int64_t *order = omma_arena_array(&g->tmp, (size_t)g->pixels, sizeof *order), done = 0;
    if (!order) return no_memory(err);
    OMMA_TRY(check_curve(how, map, g->pixels, err));
    OMMA_TRY(omma_rank_order(order, map, g->pixels, how->seed, &g->tmp, err));
    memcpy(g->x, from, (size_t)k->size * sizeof *from);
    out->auc = 0;
    out->steps = how->steps ? how->steps : 32;
    for (int s = 0; s <= out->steps; s++) {
        const int64_t until = (g->pixels * s + out->steps / 2) / out->steps;
        for (; done < until; done++)
            for (int64_t i = order[done]; i < k->size; i += g->pixels) g->x[i] = to[i];
        OMMA_TRY(ask_shown(g, &out->value[s], how->insert ? done : g->pixels - done, err));
        if (s) out->auc += (out->value[s - 1] + out->value[s]) / 2 / out->steps;
    }
    snprintf(out->says, sizeof out->says, "%s, %d steps, %s",
             how->insert ? "insertion" : "deletion", out->steps, g->says);
    return OMMA_OK;
}

omma_status omma_curve_measure(omma_attribution *a, omma_curve *out, const double *map,
                               const omma_tensor *inputs, int n, const omma_curve_how *how,
                               omma_error *err) {
    ground g = {0};
    omma_status s = begin(&g, a, inputs, n, &how->baseline,
                          how->insert ? OMMA_BASELINE_BLUR : OMMA_BASELINE_MEAN, err);
    if (!s) s = walk_curve(&g, out, map, how, err);
    return end(&g, s, err);
}

/* --- pointing game -------------------------------------------------------------------------- */

/* Is a pixel inside no farther than `near`? */
static bool close_by(const unsigned char *inside, int64_t h, int64_t w, int64_t y, int64_t x,
                     double near) {
    for (int64_t i = 0; i < h * w; i++)
        if (inside[i] && hypot((double)(i / w - y), (double)(i % w - x)) <= near) return true;
    return false;
}

/* The hottest pixel; of several, as in a map of windows, that nearest to the middle of them all. */
static int64_t hottest(const double *map, int64_t h, int64_t w) {
    double most = -INFINITY, y = 0, x = 0, n = 0, least = INFINITY;
    int64_t best = 0;
    for (int64_t i = 0; i < h * w; i++) {
        if (map[i] < most) continue;
        if (map[i] > most) most = map[i], y = x = n = 0;
        y += (double)(i / w), x += (double)(i % w), n++;
    }
    for (int64_t i = 0; i < h * w; i++) {
        const double d = hypot((double)(i / w) - y / n, (double)(i % w) - x / n);
        if (map[i] < most || d >= least) continue;
        least = d, best = i;
    }
    return best;
}

omma_status omma_pointing_measure(omma_pointing *out, const double *map, int64_t height,
                                  int64_t width, const unsigned char *inside, double near,
                                  omma_error *err) {
    double all = 0, in = 0;
    const int64_t best = hottest(map, height, width);
    int64_t count = 0;
    for (int64_t i = 0; i < height * width; i++) {
        const double v = fmax(map[i], 0);
        all += v;
        in += inside[i] ? v : 0;
        count += inside[i] != 0;
    }
    if (!count) return omma_fail(err, OMMA_E_USAGE, "nothing of the picture is inside");
    *out = (omma_pointing){.hit = inside[best],
                           .y = best / width,
                           .x = best % width,
                           .share = all > 0 ? in / all : NAN,
                           .by_area = (double)count / (double)(height * width)};
    if (!out->hit && near > 0) out->hit = close_by(inside, height, width, out->y, out->x, near);
    return OMMA_OK;
}

omma_status omma_pointing_box(omma_pointing *out, const double *map, int64_t height, int64_t width,
                              const double box[4], double near, omma_error *err) {
    omma_arena tmp;
    omma_arena_init(&tmp, NULL);
    unsigned char *inside = omma_arena_alloc(&tmp, (size_t)(height * width));
    omma_status s = inside ? OMMA_OK : no_memory(err);
    for (int64_t i = 0; i < height * width && !s; i++) {
        const double y = (double)(i / width), x = (double)(i % width);
        inside[i] = x >= box[0] && x <= box[2] && y >= box[1] && y <= box[3];
    }
    if (!s) s = omma_pointing_measure(out, map, height, width, inside, near, err);
    omma_arena_free(&tmp);
    return s;
}

/* --- infidelity ----------------------------------------------------------------------------- */

/* Sums over samples of what the map says (m), what the target does (f), and their products. */
typedef struct falls {
    double ff, fm, mm;
} falls;

/* A square at a random place. */
typedef struct square {
    int64_t y, x, side;
} square;

static square place_square(const omma_heat *h, uint64_t seed, int64_t side, int64_t sample) {
    return (square){omma_chance_below(seed, sample, -1, h->height - side + 1),
                    omma_chance_below(seed, sample, -2, h->width - side + 1), side};
}

static void paste(ground *g, const double *from, square q, int64_t wide) {
    for (int64_t c = 0; c < g->k->size; c += g->pixels)
        for (int64_t y = q.y; y < q.y + q.side; y++) {
            const int64_t at = c + y * wide + q.x;
            memcpy(g->x + at, from + at, (size_t)q.side * sizeof *from);
        }
}

/* What the map says f falls by when the square is hidden. */
static double said_of(const ground *g, const omma_heat *h, square q) {
    const double *x = g->k->x;
    double said = 0;
    for (int64_t c = 0; c < (h->kind == OMMA_HEAT_SLOPE ? g->k->size : 1); c += g->pixels)
        for (int64_t y = q.y; y < q.y + q.side; y++)
            for (int64_t i = c + y * h->width + q.x; i < c + y * h->width + q.x + q.side; i++)
                said +=
                    h->kind == OMMA_HEAT_SLOPE ? (x[i] - g->hidden[i]) * h->element[i] : h->map[i];
    return said;
}

static double add_noise(ground *g, const omma_heat *h, double sigma, uint64_t seed,
                        int64_t sample) {
    double said = 0;
    for (int64_t i = 0; i < g->k->size; i++) {
        const double noise = sigma * omma_chance_normal(seed, sample, i);
        g->x[i] = g->k->x[i] - noise;
        said += noise * h->element[i];
    }
    return said;
}

static void conclude(omma_infidelity *out, const omma_heat *h, falls s) {
    const double n = out->samples;
    out->factor = s.mm > 0 ? s.fm / s.mm : 0;
    out->raw = h->kind == OMMA_HEAT_RANK ? NAN : fmax(s.mm - 2 * s.fm + s.ff, 0) / n;
    out->scaled = fmax(s.ff - out->factor * s.fm, 0) / n;
    out->rest = s.ff > 0 ? out->scaled / (s.ff / n) : NAN;
}

static omma_status measure_infidelity(ground *g, omma_infidelity *out, const omma_heat *h,
                                      const omma_infidelity_how *how, omma_error *err) {
    const int64_t shorter = h->height < h->width ? h->height : h->width;
    const int64_t window = how->window ? how->window : (shorter + 3) / 4;
    const double sigma = how->sigma * omma_ask_range(g->k);
    falls s = {0};
    out->samples = how->samples ? how->samples : 64;
    if (window > shorter)
        return omma_fail(err, OMMA_E_USAGE, "squares of %lld px in a picture of %lld x %lld",
                         (long long)window, (long long)h->width, (long long)h->height);
    memcpy(g->x, g->k->x, (size_t)g->k->size * sizeof *g->x);
    for (int i = 0; i < out->samples; i++) {
        double f, m;
        const square q = place_square(h, how->seed, window, i);
        if (how->sigma > 0) m = add_noise(g, h, sigma, how->seed, i);
        else m = said_of(g, h, q), paste(g, g->hidden, q, h->width);
        OMMA_TRY(omma_ask_value(g->k, &f, g->x, err));
        if (how->sigma <= 0) paste(g, g->k->x, q, h->width);
        const double fall = g->k->target - f;
        s.ff += fall * fall, s.fm += fall * m, s.mm += m * m;
    }
    conclude(out, h, s);
    if (how->sigma > 0)
        snprintf(out->says, sizeof out->says, "infidelity, %d samples, noise of %g of the range",
                 out->samples, how->sigma);
    else
        snprintf(out->says, sizeof out->says, "infidelity, %d squares of %lld px, %s", out->samples,
                 (long long)window, g->says);
    return OMMA_OK;
}

omma_status omma_infidelity_measure(omma_attribution *a, omma_infidelity *out,
                                    const omma_heat *heat, const omma_tensor *inputs, int n,
                                    const omma_infidelity_how *how, omma_error *err) {
    ground g = {0};
    omma_baseline b = how->baseline;
    if (how->samples < 0 || how->window < 0 || !(how->sigma >= 0 && how->sigma < 1e6))
        return omma_fail(err, OMMA_E_USAGE, "infidelity: %d samples, squares of %d px, noise of %g",
                         how->samples, how->window, how->sigma);
    if (how->sigma > 0 && heat->kind != OMMA_HEAT_SLOPE)
        return omma_fail(err, OMMA_E_USAGE,
                         "infidelity by noise is of maps of slopes (gradient, smoothgrad), not %s",
                         heat->method);
    if (b.kind == OMMA_BASELINE_DEFAULT && heat->has_baseline) b = heat->baseline;
    omma_status s = begin(&g, a, inputs, n, &b, OMMA_BASELINE_MEAN, err);
    if (!s && (heat->height != g.k->picture.height || heat->width != g.k->picture.width))
        s = omma_fail(err, OMMA_E_SHAPE, "the map is of a picture of another size");
    if (!s) s = measure_infidelity(&g, out, heat, how, err);
    return end(&g, s, err);
}

/* --- sensitivity ---------------------------------------------------------------------------- */

static double length_of(const double *a, const double *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const double d = a[i] - (b ? b[i] : 0);
        sum += d * d;
    }
    return sqrt(sum);
}

/* The inputs with a picture of their own, which is all that changes. */
static omma_status copy_inputs(omma_tensor **out, const omma_ask *k, const omma_tensor *inputs,
                               omma_arena *arena, omma_error *err) {
    const size_t n = (size_t)k->graph->n_inputs;
    omma_tensor *own = *out = omma_arena_array(arena, n, sizeof *own);
    void *data = omma_arena_array(arena, (size_t)k->size, omma_dtype_size(inputs[k->image].dtype));
    if (!own || !data) return no_memory(err);
    memcpy(own, inputs, n * sizeof *own);
    own[k->image].data = data;
    return OMMA_OK;
}

static omma_status move(omma_attribution *a, omma_sensitivity *out,
                        const omma_attribution_how *method, const omma_tensor *inputs, int n,
                        const omma_sensitivity_how *how, omma_arena *tmp, omma_error *err) {
    const omma_ask *k = &a->ask;
    const double radius = how->radius > 0 ? how->radius : 0.02;
    omma_heat first = {0};
    omma_tensor *moved;
    OMMA_TRY(omma_ask_begin(&a->ask, inputs, n, err));
    if (!how->map) OMMA_TRY(omma_attribution_run(a, &first, inputs, n, method, tmp, err));
    OMMA_TRY(copy_inputs(&moved, k, inputs, tmp, err));
    const double *map = how->map ? how->map : first.map;
    const int64_t size = k->size, pixels = k->picture.height * k->picture.width;
    const double by = radius * omma_ask_range(k), length = length_of(map, NULL, pixels);
    double *from = omma_arena_array(tmp, (size_t)size, sizeof *from);
    double *x = omma_arena_array(tmp, (size_t)size, sizeof *x);
    if (!from || !x) return no_memory(err);
    memcpy(from, k->x, (size_t)size * sizeof *x);
    *out = (omma_sensitivity){.samples = how->samples ? how->samples : 8};
    for (int s = 0; s < out->samples; s++) {
        omma_heat heat;
        omma_arena one;
        omma_arena_init(&one, tmp->budget);
        for (int64_t i = 0; i < size; i++)
            x[i] = from[i] + by * (2 * omma_chance(how->seed, s, i) - 1);
        omma_picture_write(&moved[k->image], &k->picture, x);
        const omma_status bad = omma_attribution_run(a, &heat, moved, n, method, &one, err);
        const double change = bad ? 0 : length_of(heat.map, map, pixels) / length;
        omma_arena_free(&one);
        if (bad) return bad;
        out->max = fmax(out->max, change);
        out->mean += change / out->samples;
    }
    if (!(length > 0)) out->max = out->mean = NAN;
    snprintf(out->says, sizeof out->says, "sensitivity, %d moved picture%s, radius %g of the range",
             out->samples, out->samples == 1 ? "" : "s", radius);
    return OMMA_OK;
}

omma_status omma_sensitivity_measure(omma_attribution *a, omma_sensitivity *out,
                                     const omma_attribution_how *method, const omma_tensor *inputs,
                                     int n, const omma_sensitivity_how *how, omma_error *err) {
    if (how->samples < 0 || !(how->radius >= 0 && how->radius < 1e6))
        return omma_fail(err, OMMA_E_USAGE, "sensitivity: %d samples, a radius of %g", how->samples,
                         how->radius);
    omma_arena tmp;
    omma_arena_init(&tmp, &a->ask.budget);
    const omma_status s = move(a, out, method, inputs, n, how, &tmp, err);
    omma_arena_free(&tmp);
    return s;
}
