/* ask.c - see ask.h. */
#include "field/ask.h"

#include <math.h>
#include <string.h>

#include "run/gradient.h"
#include "run/session.h"

static omma_status no_memory(omma_error *err) {
    return omma_fail(err, OMMA_E_NOMEM, "no memory to ask a model");
}

/* --- making one ----------------------------------------------------------------------------- */

/* A copy of the model that ends at these values. */
static omma_status cut_graph(omma_graph **out, const omma_graph *model, const char *const *value,
                             int n, omma_arena *arena, omma_error *err) {
    omma_graph *g = *out = omma_graph_clone(model, arena);
    if (!g) return no_memory(err);
    for (int i = 0; i < g->n_outputs; i++) g->outputs[i]->is_output = false;
    g->outputs = omma_arena_array(arena, (size_t)n, sizeof *g->outputs);
    if (!g->outputs) return no_memory(err);
    for (int i = 0; i < n; i++) {
        omma_value *v = g->outputs[i] = omma_graph_find(g, value[i]);
        if (!v)
            return omma_fail_node(err, OMMA_E_NOTFOUND, value[i], NULL,
                                  "the model has no value of that name");
        v->is_output = true;
    }
    g->n_outputs = n;
    omma_graph_sweep(g);
    return OMMA_OK;
}

omma_status omma_ask_session(omma_session **out, const omma_ask *k, const char *const *value, int n,
                             omma_arena *arena, omma_error *err) {
    omma_graph *g;
    OMMA_TRY(cut_graph(&g, k->graph, value, n, arena, err));
    return omma_session_on_graph(out, g, k->name, &k->opt, err);
}

omma_status omma_ask_new(omma_ask *k, const omma_graph *graph, const char *name,
                         const omma_target *target, int image, const omma_options *opt,
                         omma_error *err) {
    *k = (omma_ask){.graph = graph, .name = name, .image = image};
    if (opt) k->opt = *opt;
    k->budget.limit = opt && opt->max_memory ? opt->max_memory : omma_memory_default();
    omma_arena_init(&k->arena, &k->budget);
    omma_arena_init(&k->hand, &k->budget);
    omma_arena_init(&k->looked, &k->budget);
    if (image < 0 || image >= graph->n_inputs)
        return omma_fail(err, OMMA_E_USAGE, "%s has %d inputs, no input %d", name, graph->n_inputs,
                         image);
    OMMA_TRY(omma_aim_take(&k->aim, target, graph, &k->arena, err));
    return omma_ask_session(&k->session, k, k->aim.name, k->aim.n, &k->arena, err);
}

void omma_ask_free(omma_ask *k) {
    omma_session_free(k->session);
    omma_gradient_free(k->gradient);
    omma_arena_free(&k->hand);
    omma_arena_free(&k->looked);
    omma_arena_free(&k->arena);
}

/* --- inputs at hand ------------------------------------------------------------------------- */

static size_t bytes_of(const omma_tensor *t) {
    return (size_t)omma_tensor_count(t) * omma_dtype_size(t->dtype);
}

/* Are they those in hand, to the last number? */
static bool in_hand(const omma_ask *k, const omma_tensor *inputs) {
    if (!k->given) return false;
    for (int i = 0; i < k->graph->n_inputs; i++)
        if (k->inputs[i].dtype != inputs[i].dtype || k->inputs[i].rank != inputs[i].rank ||
            memcmp(k->inputs[i].dims, inputs[i].dims,
                   (size_t)inputs[i].rank * sizeof inputs[i].dims[0]) ||
            !inputs[i].data || memcmp(k->given[i], inputs[i].data, bytes_of(&inputs[i])))
            return false;
    return true;
}

/* Other inputs than the picture are read where they are now. */
static void point_at(omma_ask *k, const omma_tensor *inputs) {
    for (int i = 0; i < k->graph->n_inputs; i++)
        if (i != k->image) k->inputs[i].data = inputs[i].data;
}

static omma_status keep_given(omma_ask *k, const omma_tensor *inputs, omma_error *err) {
    const int n = k->graph->n_inputs;
    const void **given = omma_arena_array(&k->hand, (size_t)n, sizeof *given);
    if (!given) return no_memory(err);
    for (int i = 0; i < n; i++) {
        const size_t bytes = inputs[i].data ? bytes_of(&inputs[i]) : 0;
        void *copy = omma_arena_alloc(&k->hand, bytes + 1);
        if (!copy) return no_memory(err);
        if (bytes) memcpy(copy, inputs[i].data, bytes);
        given[i] = copy;
    }
    k->given = given;
    return OMMA_OK;
}

static omma_status take(omma_ask *k, const omma_tensor *inputs, omma_error *err) {
    const omma_tensor *image = &inputs[k->image];
    const char *name = k->graph->inputs[k->image]->name;
    omma_arena_free(&k->hand);
    k->given = NULL;
    k->n_known = 0;
    if (!image->data)
        return omma_fail_node(err, OMMA_E_USAGE, name, NULL, "the picture has no data");
    OMMA_TRY(omma_picture_find(&k->picture, image, name, err));
    k->size = omma_tensor_count(image);
    k->inputs = omma_arena_array(&k->hand, (size_t)k->graph->n_inputs, sizeof *k->inputs);
    k->x = omma_arena_array(&k->hand, (size_t)k->size, sizeof *k->x);
    void *own = omma_arena_alloc(&k->hand, bytes_of(image));
    if (!k->inputs || !k->x || !own) return no_memory(err);
    memcpy(k->inputs, inputs, (size_t)k->graph->n_inputs * sizeof *inputs);
    memcpy(own, image->data, bytes_of(image));
    k->inputs[k->image].data = own;
    omma_picture_read(k->x, &k->picture, image);
    return OMMA_OK;
}

static bool same_shapes(const omma_ask *k) {
    if (!k->shapes) return false;
    for (int i = 0; i < k->graph->n_inputs; i++)
        if (k->shapes[i].dtype != k->inputs[i].dtype || k->shapes[i].rank != k->inputs[i].rank ||
            memcmp(k->shapes[i].dims, k->inputs[i].dims, sizeof k->shapes[i].dims))
            return false;
    for (int i = 0; i < k->aim.n; i++)
        if (k->value[i]->rank != k->aim.shape[i].rank ||
            memcmp(k->value[i]->dims, k->aim.shape[i].dims,
                   (size_t)k->value[i]->rank * sizeof k->value[i]->dims[0]))
            return false;
    return true;
}

static omma_status run(omma_ask *k, omma_error *err) {
    k->forward++;
    k->fresh = false;
    OMMA_TRY(omma_session_run(k->session, k->inputs, k->graph->n_inputs, err));
    for (int i = 0; i < k->aim.n; i++) k->value[i] = omma_session_output(k->session, i);
    return OMMA_OK;
}

static omma_status look(omma_ask *k, omma_error *err) {
    const size_t n = (size_t)k->graph->n_inputs;
    omma_arena_free(&k->looked);
    k->shapes = NULL;
    OMMA_TRY(omma_aim_look(&k->aim, k->value, k->graph, k->inputs, k->image, &k->looked, err));
    for (int i = 0; i < k->aim.n_seeded; i++) {
        k->seed[i] = k->aim.shape[i];
        k->seed[i].data = omma_arena_alloc(&k->looked, bytes_of(&k->seed[i]));
        if (!k->seed[i].data) return no_memory(err);
    }
    omma_tensor *shapes = omma_arena_array(&k->looked, n, sizeof *shapes);
    if (!shapes) return no_memory(err);
    memcpy(shapes, k->inputs, n * sizeof *shapes);
    k->shapes = shapes;
    return OMMA_OK;
}

omma_status omma_ask_begin(omma_ask *k, const omma_tensor *inputs, int n, omma_error *err) {
    if (n != k->graph->n_inputs)
        return omma_fail(err, OMMA_E_USAGE, "%s has %d inputs, not %d", k->name, k->graph->n_inputs,
                         n);
    if (in_hand(k, inputs)) {
        point_at(k, inputs);
        return OMMA_OK;
    }
    OMMA_TRY(take(k, inputs, err));
    OMMA_TRY(run(k, err));
    if (!same_shapes(k)) OMMA_TRY(look(k, err));
    OMMA_TRY(omma_aim_value(&k->aim, &k->target, k->value, err));
    k->fresh = true;
    return keep_given(k, inputs, err);
}

double omma_ask_range(const omma_ask *k) {
    double least = INFINITY, most = -INFINITY;
    for (int64_t i = 0; i < k->size; i++) least = fmin(least, k->x[i]), most = fmax(most, k->x[i]);
    return most - least;
}

/* --- asking --------------------------------------------------------------------------------- */

omma_status omma_ask_value(omma_ask *k, double *f, const double *x, omma_error *err) {
    if (x == k->x) {
        *f = k->target;
        k->forward++;
        return OMMA_OK;
    }
    omma_picture_write(&k->inputs[k->image], &k->picture, x);
    OMMA_TRY(run(k, err));
    return omma_aim_value(&k->aim, f, k->value, err);
}

static bool same_baseline(const omma_baseline *a, const omma_baseline *b) {
    return a->kind == b->kind && a->sigma == b->sigma && !memcmp(a->grey, b->grey, sizeof a->grey);
}

omma_status omma_ask_hidden(omma_ask *k, double *f, const omma_baseline *b, const double *x,
                            omma_error *err) {
    for (int i = 0; i < k->n_known; i++)
        if (same_baseline(&k->known[i].baseline, b)) {
            *f = k->known[i].f;
            k->forward++;
            return OMMA_OK;
        }
    OMMA_TRY(omma_ask_value(k, f, x, err));
    const int at = k->n_known < OMMA_BASELINES ? k->n_known++ : 0;
    k->known[at].baseline = *b;
    k->known[at].f = *f;
    return OMMA_OK;
}

static bool floats(omma_dtype t) {
    return t == OMMA_F32 || t == OMMA_F64 || t == OMMA_F16 || t == OMMA_BF16;
}

/* The values of x itself, which the run that begins with it left, if no other followed. */
static omma_status refresh(omma_ask *k, omma_error *err) {
    if (k->fresh) return OMMA_OK;
    OMMA_TRY(run(k, err));
    k->forward--;
    k->fresh = true;
    return OMMA_OK;
}

omma_status omma_ask_sow(omma_ask *k, const double *x, omma_error *err) {
    for (int i = 0; i < k->aim.n_seeded; i++)
        if (!floats(k->seed[i].dtype))
            return omma_fail_node(err, OMMA_E_UNSUPPORTED, k->aim.name[i], NULL,
                                  "it is of %s, whole numbers, and has no gradient: occlusion and "
                                  "rise need none",
                                  omma_dtype_name(k->seed[i].dtype));
    omma_picture_write(&k->inputs[k->image], &k->picture, x);
    if (!k->aim.linear && x != k->x) OMMA_TRY(run(k, err));
    if (!k->aim.linear && x == k->x) OMMA_TRY(refresh(k, err));
    omma_aim_seed(&k->aim, k->seed, k->value);
    return OMMA_OK;
}

static omma_status make_gradient(omma_ask *k, omma_error *err) {
    const omma_gradient_how how = {.of = k->aim.name,
                                   .n_of = k->aim.n_seeded,
                                   .by = (const char *[]){k->graph->inputs[k->image]->name},
                                   .n_by = 1,
                                   .seeded = 1};
    return k->gradient
               ? OMMA_OK
               : omma_gradient_on_graph(&k->gradient, k->graph, k->name, &how, &k->opt, err);
}

omma_status omma_ask_gradient(omma_ask *k, double *f, double *slope, const double *x,
                              omma_error *err) {
    OMMA_TRY(make_gradient(k, err));
    OMMA_TRY(omma_ask_sow(k, x, err));
    if (!k->aim.linear) OMMA_TRY(omma_aim_value(&k->aim, f, k->value, err));
    k->back++;
    OMMA_TRY(omma_gradient_run(k->gradient, k->inputs, k->graph->n_inputs, k->seed, err));
    omma_picture_read(slope, &k->picture, omma_gradient_result(k->gradient, 0));
    if (!k->aim.linear) return OMMA_OK;
    return omma_aim_value(&k->aim, f, (const omma_tensor *[]){omma_gradient_value(k->gradient, 0)},
                          err);
}
