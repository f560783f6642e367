/* effective.c - see effective.h. One gradient is made at the first image and run for each: its seed
 * is the unit's value, all zeros but at the unit. replk's is of the value behind a Relu, so that
 * what is positive is found on the way and nothing runs twice. */
#include "field/effective.h"

#include <math.h>
#include <string.h>

#include "field/chance.h"
#include "field/tally.h"
#include "op/op.h"
#include "run/gradient.h"

struct omma_effective {
    const char *name;
    const omma_graph *graph;
    omma_effective_what what;
    omma_options opt;
    omma_budget budget;
    omma_arena arena;
    omma_gradient *gradient;
    bool looked; /* what follows is there */
    omma_unit_field unit;
    omma_tensor seed;
    double *colour;  /* [colours][height, width]: an image's gradient */
    double *picture; /* what of it is counted */
    omma_tally tally;
};

static omma_status no_memory(omma_error *err) {
    return omma_fail(err, OMMA_E_NOMEM, "no memory for an effective field");
}

/* --- recipes -------------------------------------------------------------------------------- */

static const struct {
    const char *name, *says;
} recipes[OMMA_RECIPES] = {
    {"default", "mean over images of the gradient's length over colours, random signs by channel"},
    {"luo", "the gradient of one channel, mean over images with its sign, then absolute"},
    {"replk", "the positive gradient of the sum of positive channels, mean over images"}};

const char *omma_recipe_name(omma_recipe r) { return recipes[r].name; }
const char *omma_recipe_says(omma_recipe r) { return recipes[r].says; }

/* The k-th sign of image n, which depends on neither the number of channels nor other images. */
static double sign_of(uint64_t seed, int64_t n, int64_t k) {
    return omma_chance_bits(seed, n, k) >> 63 ? 1 : -1;
}

static void sow(omma_effective *e) {
    for (int64_t k = 0; k < e->unit.channels; k++) {
        double v = 1;
        if (e->what.recipe == OMMA_RECIPE_DEFAULT) v = sign_of(e->what.seed, e->tally.n, k);
        if (e->what.recipe == OMMA_RECIPE_LUO) v = k == e->what.channel;
        omma_set_number(e->seed.dtype, e->seed.data, e->unit.element[k], v);
    }
}

/* What of the gradient is counted. */
static void reap(omma_effective *e) {
    const int64_t size = e->tally.size, n = e->unit.picture.channels;
    for (int64_t i = 0; i < size; i++) {
        double sum = 0;
        for (int64_t c = 0; c < n; c++) {
            const double g = e->colour[c * size + i];
            if (e->what.recipe == OMMA_RECIPE_LUO) e->picture[c * size + i] = g;
            else if (e->what.recipe == OMMA_RECIPE_REPLK) sum += g > 0 ? g : 0;
            else sum += g * g;
        }
        if (e->what.recipe == OMMA_RECIPE_REPLK) e->picture[i] = sum;
        if (e->what.recipe == OMMA_RECIPE_DEFAULT) e->picture[i] = sqrt(sum);
    }
}

/* --- making one ----------------------------------------------------------------------------- */

/* A copy of the model's graph with a Relu behind the unit's value; *of: its output. */
static omma_status add_relu(omma_effective *e, const char **of, omma_error *err) {
    omma_graph *g = omma_graph_clone(e->graph, &e->arena);
    omma_value *v = g ? omma_graph_find(g, e->what.unit.value) : NULL;
    if (!v) return no_memory(err);
    *of = omma_arena_printf(&e->arena, "%s~positive", v->name);
    omma_value *y = *of ? omma_graph_value(g, *of) : NULL;
    omma_node *n = y ? omma_graph_node(g, omma_op_find("Relu"), *of, 1, 1) : NULL;
    if (!n) return no_memory(err);
    n->opset = 14;
    n->in[0] = v;
    omma_node_set_output(n, 0, y);
    e->graph = g;
    return OMMA_OK;
}

static omma_status set_up(omma_effective *e, const omma_effective_what *what, omma_error *err) {
    const char *value = what->unit.value, *of;
    const omma_graph *graph = e->graph;
    e->what = *what;
    e->what.unit.value = of = omma_arena_strndup(&e->arena, value, strlen(value));
    if (!of) return no_memory(err);
    if (!omma_graph_find(graph, value))
        return omma_fail_node(err, OMMA_E_NOTFOUND, value, NULL,
                              "the model has no value of that name");
    if (what->recipe == OMMA_RECIPE_REPLK) OMMA_TRY(add_relu(e, &of, err));
    const omma_gradient_how how = {.of = &of,
                                   .n_of = 1,
                                   .by = (const char *[]){graph->inputs[what->image]->name},
                                   .n_by = 1,
                                   .seeded = 1,
                                   .local = 1};
    return omma_gradient_on_graph(&e->gradient, e->graph, e->name, &how, &e->opt, err);
}

omma_status omma_effective_new(omma_effective **out, const omma_graph *graph, const char *name,
                               const omma_effective_what *what, const omma_options *opt,
                               omma_error *err) {
    *out = NULL;
    if (what->image < 0 || what->image >= graph->n_inputs)
        return omma_fail(err, OMMA_E_USAGE, "%s has %d inputs, no input %d", name, graph->n_inputs,
                         what->image);
    if ((unsigned)what->recipe >= OMMA_RECIPES || !what->unit.value)
        return omma_fail(err, OMMA_E_USAGE, "%s: an effective field takes a value and a recipe",
                         name);
    omma_effective *e = omma_mem_alloc(sizeof *e);
    if (!e) return no_memory(err);
    if (opt) e->opt = *opt;
    e->name = name;
    e->graph = graph;
    e->budget.limit = opt && opt->max_memory ? opt->max_memory : omma_memory_default();
    omma_arena_init(&e->arena, &e->budget);
    const omma_status s = set_up(e, what, err);
    if (s) {
        omma_error_in_file(err, name);
        omma_effective_free(e);
        return s;
    }
    *out = e;
    return OMMA_OK;
}

void omma_effective_free(omma_effective *e) {
    if (!e) return;
    omma_gradient_free(e->gradient);
    omma_arena_free(&e->arena);
    omma_mem_free(e);
}

const omma_unit_field *omma_effective_unit(const omma_effective *e) {
    return e->looked ? &e->unit : NULL;
}

/* --- an image ------------------------------------------------------------------------------- */

/* What depends on the size of the pictures. */
static omma_status look(omma_effective *e, const omma_tensor *inputs, omma_error *err) {
    OMMA_TRY(
        omma_unit_look(&e->unit, e->graph, &e->what.unit, inputs, e->what.image, &e->arena, err));
    const omma_picture *p = &e->unit.picture;
    const int64_t size = p->height * p->width;
    const bool by_colour = e->what.recipe == OMMA_RECIPE_LUO;
    if (by_colour && (e->what.channel < 0 || e->what.channel >= e->unit.channels))
        return omma_fail_node(err, OMMA_E_RANGE, e->what.unit.value, NULL,
                              "there is no channel %lld; this unit has %lld",
                              (long long)e->what.channel, (long long)e->unit.channels);
    e->seed = e->unit.value;
    e->seed.data = omma_arena_array(&e->arena, (size_t)omma_tensor_count(&e->seed),
                                    omma_dtype_size(e->seed.dtype));
    e->colour = omma_arena_array(&e->arena, (size_t)(size * p->channels), sizeof *e->colour);
    e->picture = omma_arena_array(&e->arena, (size_t)(size * p->channels), sizeof *e->picture);
    if (!e->seed.data || !e->colour || !e->picture) return no_memory(err);
    return omma_tally_new(&e->tally, by_colour ? (int)p->channels : 1, size, &e->arena, err);
}

static omma_status check_size(const omma_effective *e, const omma_tensor *inputs, omma_error *err) {
    const char *name = e->graph->inputs[e->what.image]->name;
    const omma_picture *p = &e->unit.picture;
    omma_picture q;
    OMMA_TRY(omma_picture_find(&q, &inputs[e->what.image], name, err));
    if (q.rows == p->rows && q.channels == p->channels && q.height == p->height &&
        q.width == p->width)
        return OMMA_OK;
    return omma_fail_node(err, OMMA_E_SHAPE, name, NULL,
                          "this picture has %lldx%lld pixels in %lld channels, those before it "
                          "%lldx%lld in %lld: the pictures of an effective field have one size",
                          (long long)q.width, (long long)q.height, (long long)q.channels,
                          (long long)p->width, (long long)p->height, (long long)p->channels);
}

static omma_status blame(const omma_effective *e, omma_status s, int64_t at, const char *what,
                         omma_error *err) {
    const int64_t w = e->unit.picture.width, size = e->tally.size;
    return omma_fail_node(err, s, e->what.unit.value, NULL,
                          "its gradient by pixel %lld, %lld (row, column), colour %lld is %g, %s",
                          (long long)(at % size / w), (long long)(at % w), (long long)(at / size),
                          e->colour[at], what);
}

/* Nothing but what the structural field holds has a gradient. */
static omma_status check(const omma_effective *e, omma_error *err) {
    const int64_t size = e->tally.size;
    for (int64_t i = 0; i < size * e->unit.picture.channels; i++) {
        const double g = e->colour[i];
        if (!isfinite(g)) return blame(e, OMMA_E_RANGE, i, "which has no mean", err);
        if (g != 0 && !omma_bit(e->unit.nearly, i % size))
            return blame(e, OMMA_E_INTERNAL, i,
                         "but that pixel is not in its structural field: one of the two is wrong",
                         err);
    }
    return OMMA_OK;
}

static omma_status add(omma_effective *e, const omma_tensor *inputs, int n, omma_error *err) {
    if (n != e->graph->n_inputs)
        return omma_fail(err, OMMA_E_USAGE, "%d inputs are needed, not %d", e->graph->n_inputs, n);
    if (e->looked) OMMA_TRY(check_size(e, inputs, err));
    else OMMA_TRY(look(e, inputs, err));
    e->looked = true;
    sow(e);
    OMMA_TRY(omma_gradient_run(e->gradient, inputs, n, &e->seed, err));
    omma_picture_read(e->colour, &e->unit.picture, omma_gradient_result(e->gradient, 0));
    OMMA_TRY(check(e, err));
    reap(e);
    return omma_tally_add(&e->tally, e->picture, err);
}

omma_status omma_effective_add(omma_effective *e, const omma_tensor *inputs, int n,
                               omma_error *err) {
    const omma_status s = add(e, inputs, n, err);
    if (s) omma_error_in_file(err, e->name);
    return s;
}

/* --- what comes of them --------------------------------------------------------------------- */

static omma_status check_scale(const omma_effective *e, omma_scale scale, omma_error *err) {
    if (!e->tally.n) return omma_fail(err, OMMA_E_USAGE, "an effective field of no image");
    if (scale == OMMA_SCALE_RAW || e->what.recipe == OMMA_RECIPE_REPLK) return OMMA_OK;
    return omma_fail(err, OMMA_E_USAGE, "the logarithmic scale belongs to the recipe replk, not %s",
                     omma_recipe_name(e->what.recipe));
}

/* log10(1 + A) / max, and an error of A likewise (NULL: none). */
static void rescale(int64_t size, double *map, double *error) {
    double most = 0;
    for (int64_t i = 0; i < size; i++) most = fmax(most, log1p(map[i]));
    for (int64_t i = 0; i < size && most > 0; i++) {
        if (error) error[i] /= (1 + map[i]) * most;
        map[i] = log1p(map[i]) / most;
    }
}

omma_status omma_effective_map(const omma_effective *e, omma_scale scale, double *map,
                               double *error, omma_error *err) {
    OMMA_TRY(check_scale(e, scale, err));
    omma_tally_map(&e->tally, -1, map);
    if (error) omma_tally_error(&e->tally, error);
    if (scale == OMMA_SCALE_LOG) rescale(e->tally.size, map, error);
    return OMMA_OK;
}

static omma_status measure(const omma_effective *e, omma_scale scale, int without, double *map,
                           omma_spread *out, omma_error *err) {
    const omma_unit_field *u = &e->unit;
    omma_tally_map(&e->tally, without, map);
    if (scale == OMMA_SCALE_LOG) rescale(e->tally.size, map, NULL);
    return omma_spread_measure(out, map, u->picture.height, u->picture.width, u->centre_y,
                               u->centre_x, err);
}

static omma_status measure_all(const omma_effective *e, omma_scale scale,
                               omma_effective_measures *out, omma_arena *tmp, omma_error *err) {
    const omma_tally *t = &e->tally;
    double *map = omma_arena_array(tmp, (size_t)t->size, sizeof *map);
    omma_spread without[OMMA_TALLY_GROUPS];
    if (!map) return no_memory(err);
    OMMA_TRY(measure(e, scale, -1, map, &out->is, err));
    for (int j = 0; j < t->groups && t->groups > 1; j++)
        OMMA_TRY(measure(e, scale, j, map, &without[j], err));
    omma_tally_jackknife(t, OMMA_SPREAD_NUMBERS, (const double *)&out->is, (const double *)without,
                         (double *)&out->error);
    return OMMA_OK;
}

omma_status omma_effective_measure(const omma_effective *e, omma_scale scale,
                                   omma_effective_measures *out, omma_error *err) {
    const omma_unit_field *u = &e->unit;
    OMMA_TRY(check_scale(e, scale, err));
    *out = (omma_effective_measures){.recipe = e->what.recipe,
                                     .scale = scale,
                                     .images = e->tally.n,
                                     .height = u->picture.height,
                                     .width = u->picture.width,
                                     .centre_y = u->centre_y,
                                     .centre_x = u->centre_x,
                                     .field = u->n_seen};
    omma_arena tmp;
    omma_arena_init(&tmp, e->arena.budget);
    const omma_status s = measure_all(e, scale, out, &tmp, err);
    omma_arena_free(&tmp);
    const double each = (double)e->tally.size / (double)u->n_seen;
    out->ratio = out->is.area[OMMA_SHARE_95] * each;
    out->ratio_error = out->error.area[OMMA_SHARE_95] * each;
    return s;
}

const double *omma_effective_last(const omma_effective *e) {
    return e->tally.n ? e->picture : NULL;
}
