/* cam.c - attributions by a feature map: its channels, each weighted by what the target's gradient
 * (Grad-CAM, Grad-CAM++, HiResCAM) or the target itself (Score-CAM) makes of it, drawn over the
 * picture at the cells' centres. */
#include <math.h>
#include <string.h>

#include "field/methods.h"
#include "run/gradient.h"

static omma_status no_memory(omma_error *err) {
    return omma_fail(err, OMMA_E_NOMEM, "no memory for an attribution by a feature map");
}

/* --- the feature map ------------------------------------------------------------------------ */

static bool is_found(const omma_method_job *j) {
    const omma_attribution *a = j->a;
    const char *asked = j->how->map ? j->how->map : "";
    if (!a->map_asked || strcmp(a->map_asked, asked)) return false;
    for (int i = 0; i < a->ask.graph->n_inputs; i++)
        if (a->map_shapes[i].rank != a->ask.inputs[i].rank ||
            memcmp(a->map_shapes[i].dims, a->ask.inputs[i].dims, sizeof a->map_shapes[i].dims))
            return false;
    return true;
}

void omma_attribution_forget_map(omma_attribution *a) {
    omma_gradient_free(a->by_map);
    omma_session_free(a->to_map);
    omma_arena_free(&a->map_arena);
    a->by_map = NULL, a->to_map = NULL, a->map_asked = NULL;
}

/* Find it, if it is not the one of the last run. */
static omma_status find(omma_method_job *j, omma_error *err) {
    omma_attribution *a = j->a;
    const omma_ask *k = &a->ask;
    const char *asked = j->how->map ? j->how->map : "";
    const size_t n = (size_t)k->graph->n_inputs;
    if (!is_found(j)) {
        omma_attribution_forget_map(a);
        OMMA_TRY(omma_feature_map_find(&a->map, j->how->map, k->graph, &k->aim, k->inputs, k->image,
                                       &k->picture, &a->map_arena, err));
        a->map_shapes = omma_arena_array(&a->map_arena, n, sizeof *a->map_shapes);
        char *copy = omma_arena_strndup(&a->map_arena, asked, strlen(asked));
        if (!a->map_shapes || !copy) return no_memory(err);
        memcpy(a->map_shapes, k->inputs, n * sizeof *a->map_shapes);
        a->map_asked = copy;
    }
    j->h->feature_map = omma_arena_strndup(j->arena, a->map.name, strlen(a->map.name));
    j->h->rows = a->map.rows, j->h->columns = a->map.columns;
    return j->h->feature_map ? OMMA_OK : no_memory(err);
}

/* The map and the target's gradient by it, each [channels, cells]. */
typedef struct activations {
    int64_t channels, cells;
    double *a, *g;
} activations;

static omma_status make_room(activations *x, omma_method_job *j, omma_error *err) {
    const omma_feature_map *m = &j->a->map;
    *x = (activations){.channels = m->channels, .cells = m->rows * m->columns};
    x->a = omma_arena_array(j->tmp, (size_t)(x->channels * x->cells), sizeof *x->a);
    x->g = omma_arena_array(j->tmp, (size_t)(x->channels * x->cells), sizeof *x->g);
    return x->a && x->g ? OMMA_OK : no_memory(err);
}

/* Which of the target's values the map is; n_seeded: none. */
static int own_value(const omma_attribution *a) {
    int i = 0;
    while (i < a->ask.aim.n_seeded && strcmp(a->ask.aim.name[i], a->map.name)) i++;
    return i;
}

static omma_status make_gradient(omma_attribution *a, omma_error *err) {
    const omma_ask *k = &a->ask;
    const char *of[OMMA_TARGET_VALUES + 1];
    const int at = own_value(a);
    memcpy(of, k->aim.name, sizeof k->aim.name);
    of[at] = a->map.name;
    const omma_gradient_how how = {.of = of,
                                   .n_of =
                                       at < k->aim.n_seeded ? k->aim.n_seeded : k->aim.n_seeded + 1,
                                   .by = &a->map.name,
                                   .n_by = 1,
                                   .seeded = 1};
    return a->by_map ? OMMA_OK
                     : omma_gradient_on_graph(&a->by_map, k->graph, k->name, &how, &k->opt, err);
}

/* The map itself is differentiated too, by a seed of zeros, only to have its numbers. */
static omma_status differentiate(activations *x, omma_method_job *j, omma_error *err) {
    omma_attribution *a = j->a;
    omma_ask *k = &a->ask;
    omma_tensor seed[OMMA_TARGET_VALUES + 1];
    OMMA_TRY(find(j, err));
    OMMA_TRY(make_room(x, j, err));
    OMMA_TRY(make_gradient(a, err));
    OMMA_TRY(omma_ask_sow(k, k->x, err));
    memcpy(seed, k->seed, sizeof k->seed);
    const int at = own_value(a);
    if (at == k->aim.n_seeded) {
        seed[at] = a->map.value;
        seed[at].data =
            omma_arena_array(j->tmp, (size_t)a->map.count, omma_dtype_size(a->map.value.dtype));
        if (!seed[at].data) return no_memory(err);
    }
    k->back++;
    OMMA_TRY(omma_gradient_run(a->by_map, k->inputs, k->graph->n_inputs, seed, err));
    omma_feature_map_read(x->a, &a->map, omma_gradient_value(a->by_map, at));
    omma_feature_map_read(x->g, &a->map, omma_gradient_result(a->by_map, 0));
    return OMMA_OK;
}

/* --- by gradients --------------------------------------------------------------------------- */

/* The sum over channels of weight times map; positive: what of it is. */
static omma_status draw(omma_method_job *j, const activations *x, const double *weight,
                        bool positive, omma_error *err) {
    double *cell = omma_arena_array(j->tmp, (size_t)x->cells, sizeof *cell);
    if (!cell) return no_memory(err);
    for (int64_t k = 0; k < x->channels; k++)
        for (int64_t i = 0; i < x->cells; i++) {
            const double by = weight ? weight[k] : x->g[k * x->cells + i];
            cell[i] += by * x->a[k * x->cells + i];
        }
    for (int64_t i = 0; i < x->cells && positive; i++) cell[i] = fmax(cell[i], 0);
    omma_feature_map_draw(j->h->map, &j->a->map, cell, &j->a->ask.picture);
    j->h->kind = OMMA_HEAT_RANK;
    j->h->scale = positive ? "channels of the feature map by their weight, what is positive"
                           : "channels of the feature map by their gradients, signed";
    return OMMA_OK;
}

static double mean_slope(const activations *x, int64_t k) {
    double sum = 0;
    for (int64_t i = 0; i < x->cells; i++) sum += x->g[k * x->cells + i];
    return sum / (double)x->cells;
}

static double weight_pp(const activations *x, int64_t k) {
    const double *a = x->a + k * x->cells, *g = x->g + k * x->cells;
    double all = 0, sum = 0;
    for (int64_t i = 0; i < x->cells; i++) all += a[i];
    for (int64_t i = 0; i < x->cells; i++) {
        const double below = 2 * g[i] * g[i] + all * g[i] * g[i] * g[i];
        if (g[i] > 0 && below != 0) sum += g[i] * g[i] / below * g[i];
    }
    return sum;
}

static omma_status weigh(omma_method_job *j, double (*weight_of)(const activations *, int64_t),
                         omma_error *err) {
    activations x;
    OMMA_TRY(differentiate(&x, j, err));
    double *weight = omma_arena_array(j->tmp, (size_t)x.channels, sizeof *weight);
    if (!weight) return no_memory(err);
    for (int64_t k = 0; k < x.channels; k++) weight[k] = weight_of(&x, k);
    return draw(j, &x, weight, true, err);
}

omma_status omma_gradcam_map(omma_method_job *j, omma_error *err) {
    return weigh(j, mean_slope, err);
}

omma_status omma_gradcam_pp_map(omma_method_job *j, omma_error *err) {
    return weigh(j, weight_pp, err);
}

omma_status omma_hirescam_map(omma_method_job *j, omma_error *err) {
    activations x;
    OMMA_TRY(differentiate(&x, j, err));
    return draw(j, &x, NULL, false, err);
}

/* --- by the target itself ------------------------------------------------------------------- */

static omma_status run_to_map(activations *x, omma_method_job *j, omma_error *err) {
    omma_attribution *a = j->a;
    omma_ask *k = &a->ask;
    OMMA_TRY(find(j, err));
    OMMA_TRY(make_room(x, j, err));
    if (!a->to_map) OMMA_TRY(omma_ask_session(&a->to_map, k, &a->map.name, 1, &a->map_arena, err));
    k->forward++;
    OMMA_TRY(omma_session_run(a->to_map, k->inputs, k->graph->n_inputs, err));
    omma_feature_map_read(x->a, &a->map, omma_session_output(a->to_map, 0));
    return OMMA_OK;
}

/* Channel k between 0 and 1; false: it is the same everywhere. */
static bool normalise(const activations *x, int64_t k, double *cell) {
    double least = INFINITY, most = -INFINITY;
    memcpy(cell, x->a + k * x->cells, (size_t)x->cells * sizeof *cell);
    for (int64_t i = 0; i < x->cells; i++) least = fmin(least, cell[i]), most = fmax(most, cell[i]);
    for (int64_t i = 0; i < x->cells && most > least; i++)
        cell[i] = (cell[i] - least) / (most - least);
    return most > least;
}

/* The picture where mask is 1, the baseline where it is 0. */
static void show(double *out, const omma_method_job *j, const double *mask) {
    const omma_ask *k = &j->a->ask;
    const int64_t n = j->h->height * j->h->width;
    for (int64_t i = 0; i < k->size; i++)
        out[i] = j->hidden[i] + mask[i % n] * (k->x[i] - j->hidden[i]);
}

static void softmax(double *w, int64_t n) {
    double most = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++) most = fmax(most, w[i]);
    for (int64_t i = 0; i < n; i++) {
        w[i] = w[i] > -INFINITY ? exp(w[i] - most) : 0;
        sum += w[i];
    }
    for (int64_t i = 0; i < n && sum > 0; i++) w[i] /= sum;
}

omma_status omma_scorecam_map(omma_method_job *j, omma_error *err) {
    omma_ask *k = &j->a->ask;
    activations x;
    OMMA_TRY(run_to_map(&x, j, err));
    double *weight = omma_arena_array(j->tmp, (size_t)x.channels, sizeof *weight);
    double *cell = omma_arena_array(j->tmp, (size_t)x.cells, sizeof *cell);
    double *mask = omma_arena_array(j->tmp, (size_t)(j->h->height * j->h->width), sizeof *mask);
    double *shown = omma_arena_array(j->tmp, (size_t)k->size, sizeof *shown);
    if (!weight || !cell || !mask || !shown) return no_memory(err);
    for (int64_t c = 0; c < x.channels; c++) {
        weight[c] = -INFINITY;
        if (!normalise(&x, c, cell)) continue;
        omma_feature_map_draw(mask, &j->a->map, cell, &k->picture);
        show(shown, j, mask);
        OMMA_TRY(omma_ask_value(k, &weight[c], shown, err));
    }
    softmax(weight, x.channels);
    return draw(j, &x, weight, true, err);
}
