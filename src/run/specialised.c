/* specialised.c - see specialised.h. */
#include "run/specialised.h"

#include <string.h>

#include "base/checked.h"
#include "run/debug.h"
#include "run/plan.h"

bool omma_specialise_by_value(const omma_tensor *t) {
    size_t bytes;
    const bool real = t->dtype == OMMA_F32 || t->dtype == OMMA_F64 || t->dtype == OMMA_F16 ||
                      t->dtype == OMMA_BF16;
    return !real && t->data &&
           omma_dims_bytes(t->dims, t->rank, omma_dtype_size(t->dtype), &bytes) &&
           bytes <= OMMA_BY_VALUE_MAX;
}

static omma_status no_memory(omma_error *err) {
    return omma_fail(err, OMMA_E_NOMEM, "no memory for a copy of the graph");
}

static omma_status set_input(omma_graph *g, omma_value *v, const omma_tensor *t, omma_error *err) {
    v->dtype = t->dtype;
    v->rank = t->rank;
    memcpy(v->dims, t->dims, sizeof v->dims);
    size_t bytes;
    if (!omma_dims_bytes(v->dims, v->rank, omma_dtype_size(v->dtype), &bytes))
        return omma_fail_node(err, OMMA_E_SHAPE, v->name, NULL, "the size of this input overflows");
    if (!omma_specialise_by_value(t)) return OMMA_OK;
    void *copy = omma_arena_alloc(g->arena, bytes);
    if (!copy) return no_memory(err);
    if (bytes) memcpy(copy, t->data, bytes);
    v->data = copy;
    return OMMA_OK;
}

static omma_status find(omma_value **out, const omma_graph *g, const char *name, omma_error *err) {
    *out = omma_graph_find(g, name);
    if (*out) return OMMA_OK;
    return omma_fail_node(err, OMMA_E_NOTFOUND, name, NULL, "the model has no value of that name");
}

static omma_status choose_outputs(omma_graph *g, const omma_specialise_how *how, omma_error *err) {
    if (!how->of) return OMMA_OK;
    for (int i = 0; i < g->n_outputs; i++) g->outputs[i]->is_output = false;
    g->n_outputs = how->n_of;
    g->outputs = omma_arena_array(g->arena, (size_t)how->n_of, sizeof *g->outputs);
    if (!g->outputs) return no_memory(err);
    for (int i = 0; i < how->n_of; i++) {
        OMMA_TRY(find(&g->outputs[i], g, how->of[i], err));
        g->outputs[i]->is_output = true;
    }
    return OMMA_OK;
}

/* Constants that shall not be folded become inputs; what shall be asked for is kept. */
static omma_status open_values(omma_specialised *s, const omma_specialise_how *how,
                               omma_error *err) {
    omma_graph *g = s->graph;
    omma_value **inputs =
        omma_arena_array(g->arena, (size_t)(g->n_inputs + how->n_open), sizeof *inputs);
    s->open = omma_arena_array(g->arena, (size_t)how->n_open, sizeof *s->open);
    if (!inputs || !s->open) return no_memory(err);
    if (g->n_inputs) memcpy(inputs, g->inputs, (size_t)g->n_inputs * sizeof *inputs);
    g->inputs = inputs;
    for (int i = 0; i < how->n_open; i++) {
        omma_value *v;
        OMMA_TRY(find(&v, g, how->open[i], err));
        s->open[i] = v;
        v->kept = true;
        if (!v->data || v->is_input) continue;
        v->data = NULL;
        v->is_input = true;
        g->inputs[g->n_inputs++] = v;
    }
    return OMMA_OK;
}

static omma_status leave_out(omma_specialised *s, int at, omma_error *err) {
    omma_cut cut;
    s->cut = s->graph->nodes[at];
    return omma_pass_cut(&cut, s->graph, at, s->graph->arena, err);
}

omma_status omma_specialise(omma_specialised *out, const omma_graph *model,
                            const omma_tensor *inputs, const omma_specialise_how *how,
                            omma_arena *arena, omma_error *err) {
    *out = (omma_specialised){.graph = omma_graph_clone(model, arena), .n_inputs = model->n_inputs};
    omma_graph *g = out->graph;
    if (!g) return no_memory(err);
    omma_build b = {.arena = arena, .err = err, .kern = omma_kernels_best()};
    int at;
    for (int i = 0; i < model->n_inputs; i++) OMMA_TRY(set_input(g, g->inputs[i], &inputs[i], err));
    OMMA_TRY(choose_outputs(g, how, err));
    OMMA_TRY(open_values(out, how, err));
    const omma_status s = omma_pass_fold(&b, g, true, &at);
    if (s && (at <= 0 || !how->may_cut)) return s;
    if (at >= 0 && !how->may_cut)
        return omma_fail_node(err, OMMA_E_UNSUPPORTED, g->nodes[at]->name, g->nodes[at]->op->name,
                              "it waits for numbers that only a run gives");
    if (at > 0) OMMA_TRY(leave_out(out, at, err));
    OMMA_TRY(omma_debug_pass(g, "specialise", err));
    OMMA_TRY(omma_pass_parts(&b, g, how->reading));
    OMMA_TRY(omma_pass_fold(&b, g, true, NULL)); /* masks that parts made of constants */
    return omma_debug_pass(g, "parts", err);
}
