/* cascade.c - cascading randomisation: see faithfulness.h. The model's graph is copied, and the
 * weights of its layers are shuffled one after the other, the layer nearest to the target first. */
#include <string.h>

#include "field/chance.h"
#include "field/faithfulness.h"

static omma_status no_memory(omma_error *err) {
    return omma_fail(err, OMMA_E_NOMEM, "no memory to make a model's weights random");
}

typedef struct cascade {
    omma_graph *g; /* whose weights become random */
    omma_arena tmp;
    bool *depends; /* by value index: on an input of the model */
    bool *done;    /* by value index: is random */
    const omma_node **layer;
    int count;
    uint64_t seed;
} cascade;

/* --- layers --------------------------------------------------------------------------------- */

static bool is_product(const char *op) {
    static const char *const names[] = {"Conv",   "ConvTranspose", "DeformConv", "Gemm", "MatMul",
                                        "Einsum", "LSTM",          "GRU",        "RNN"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(op, names[i])) return true;
    return false;
}

/* Does it multiply what depends on the picture by what does not? */
static bool is_layer(const cascade *x, const omma_node *n) {
    bool data = false, weight = false;
    for (int k = 0; k < n->n_in; k++) {
        if (!n->in[k]) continue;
        data |= x->depends[n->in[k]->index];
        weight |= !x->depends[n->in[k]->index];
    }
    return is_product(n->op->name) && data && weight;
}

/* The layers on the way to the target's values, from the top. */
static omma_status find_layers(cascade *x, const omma_target *t, omma_error *err) {
    const omma_graph *g = x->g;
    const char *const name[] = {t->value, t->boxes, t->labels};
    bool *wanted = omma_arena_array(&x->tmp, (size_t)g->n_values, sizeof *wanted);
    x->depends = omma_arena_array(&x->tmp, (size_t)g->n_values, sizeof *x->depends);
    x->done = omma_arena_array(&x->tmp, (size_t)g->n_values, sizeof *x->done);
    x->layer = omma_arena_array(&x->tmp, (size_t)g->n_nodes, sizeof *x->layer);
    if (!wanted || !x->depends || !x->done || !x->layer) return no_memory(err);
    for (int i = 0; i < 3; i++) {
        const omma_value *v = name[i] ? omma_graph_find(g, name[i]) : NULL;
        if (v) wanted[v->index] = true;
    }
    for (int i = 0; i < g->n_inputs; i++) x->depends[g->inputs[i]->index] = true;
    for (int i = 0; i < g->n_nodes; i++) {
        bool any = false;
        for (int k = 0; k < g->nodes[i]->n_in; k++)
            any |= g->nodes[i]->in[k] && x->depends[g->nodes[i]->in[k]->index];
        for (int k = 0; k < g->nodes[i]->n_out; k++)
            if (g->nodes[i]->out[k]) x->depends[g->nodes[i]->out[k]->index] = any;
    }
    for (int i = g->n_nodes - 1; i >= 0; i--) {
        const omma_node *n = g->nodes[i];
        bool any = false;
        for (int k = 0; k < n->n_out; k++) any |= n->out[k] && wanted[n->out[k]->index];
        for (int k = 0; k < n->n_in && any; k++)
            if (n->in[k]) wanted[n->in[k]->index] = true;
        if (any && is_layer(x, n)) x->layer[x->count++] = n;
    }
    if (x->count) return OMMA_OK;
    return omma_fail_node(err, OMMA_E_UNSUPPORTED, t->value, NULL,
                          "no layer with weights leads to it, so none can be made random");
}

/* --- shuffling ------------------------------------------------------------------------------ */

static bool has_weights(const omma_value *v) {
    const omma_dtype t = v->dtype;
    return omma_value_known(v) && omma_value_count(v) > 1 && t != OMMA_I32 && t != OMMA_I64 &&
           t != OMMA_BOOL && t != OMMA_STRING;
}

/* Fisher and Yates. */
static omma_status shuffle(cascade *x, omma_value *v, omma_error *err) {
    const size_t size = omma_dtype_size(v->dtype);
    const int64_t n = omma_value_count(v);
    char *to = omma_arena_array(&x->tmp, (size_t)n, size), one[16];
    if (!to) return no_memory(err);
    memcpy(to, v->data, (size_t)n * size);
    for (int64_t i = n - 1; i > 0; i--) {
        const int64_t j = omma_chance_below(x->seed, v->index, i, i + 1);
        memcpy(one, to + (size_t)i * size, size);
        memcpy(to + (size_t)i * size, to + (size_t)j * size, size);
        memcpy(to + (size_t)j * size, one, size);
    }
    v->data = to;
    return OMMA_OK;
}

/* What v, which depends on no input, is made of. */
static omma_status randomise(cascade *x, omma_value *v, omma_error *err) {
    if (x->done[v->index]) return OMMA_OK;
    x->done[v->index] = true;
    if (v->data) return has_weights(v) ? shuffle(x, v, err) : OMMA_OK;
    for (int k = 0; v->producer && k < v->producer->n_in; k++)
        if (v->producer->in[k]) OMMA_TRY(randomise(x, v->producer->in[k], err));
    return OMMA_OK;
}

static omma_status randomise_layer(cascade *x, const omma_node *n, omma_error *err) {
    for (int k = 0; k < n->n_in; k++)
        if (n->in[k] && !x->depends[n->in[k]->index]) OMMA_TRY(randomise(x, n->in[k], err));
    return OMMA_OK;
}

/* --- maps ----------------------------------------------------------------------------------- */

typedef struct question {
    const char *name;
    const omma_target *target;
    int image, n;
    const omma_tensor *inputs;
    const omma_attribution_how *method;
    const omma_options *opt;
} question;

static omma_status make_map(omma_heat *out, const omma_graph *g, const question *q,
                            omma_arena *arena, omma_error *err) {
    omma_attribution *a;
    OMMA_TRY(omma_attribution_new(&a, g, q->name, q->target, q->image, q->opt, err));
    const omma_status s = omma_attribution_run(a, out, q->inputs, q->n, q->method, arena, err);
    omma_attribution_free(a);
    return s;
}

static omma_status compare(omma_cascade_step *s, const cascade *x, const double *first,
                           const question *q, omma_error *err) {
    omma_arena tmp;
    omma_heat heat;
    omma_arena_init(&tmp, x->tmp.budget);
    omma_status bad = make_map(&heat, x->g, q, &tmp, err);
    if (!bad) {
        s->f = heat.f;
        bad = omma_rank_correlation(&s->correlation, first, heat.map, heat.height * heat.width,
                                    &tmp, err);
    }
    omma_arena_free(&tmp);
    return bad;
}

static omma_status fall(omma_cascade *out, cascade *x, const question *q, int maps,
                        const double *first, omma_arena *arena, omma_error *err) {
    omma_heat made;
    OMMA_TRY(find_layers(x, q->target, err));
    if (!first) OMMA_TRY(make_map(&made, x->g, q, &x->tmp, err));
    if (!first) first = made.map;
    out->layers = x->count;
    out->count = maps < x->count ? maps : x->count;
    out->step = omma_arena_array(arena, (size_t)out->count, sizeof *out->step);
    if (!out->step) return no_memory(err);
    for (int i = 0, layer = 0; i < out->count; i++) {
        omma_cascade_step *s = &out->step[i];
        const int until =
            1 + (int)((int64_t)(x->count - 1) * i / (out->count > 1 ? out->count - 1 : 1));
        for (; layer < (out->count > 1 ? until : x->count); layer++)
            OMMA_TRY(randomise_layer(x, x->layer[layer], err));
        const char *name = x->layer[layer - 1]->name;
        s->layers = layer;
        s->layer = omma_arena_strndup(arena, name, strlen(name));
        if (!s->layer) return no_memory(err);
        OMMA_TRY(compare(s, x, first, q, err));
    }
    return OMMA_OK;
}

omma_status omma_cascade_measure(omma_cascade *out, const omma_graph *graph, const char *name,
                                 const omma_target *target, int image, const omma_tensor *inputs,
                                 int n, const omma_attribution_how *method,
                                 const omma_cascade_how *how, const omma_options *opt,
                                 omma_arena *arena, omma_error *err) {
    const question q = {name, target, image, n, inputs, method, opt};
    cascade x = {.seed = how->seed};
    *out = (omma_cascade){0};
    if (how->maps < 0) return omma_fail(err, OMMA_E_USAGE, "a cascade of %d maps", how->maps);
    omma_arena_init(&x.tmp, arena->budget);
    x.g = omma_graph_clone(graph, &x.tmp);
    omma_status s = x.g ? OMMA_OK : no_memory(err);
    if (!s) s = fall(out, &x, &q, how->maps ? how->maps : 8, how->map, arena, err);
    omma_arena_free(&x.tmp);
    return s;
}
