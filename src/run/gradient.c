/* gradient.c - a model differentiated: the graph of its gradient for the shapes at hand, and a
 * session on it. The inputs of that graph are the model's, then one for each seed; its outputs are
 * the values that are differentiated, then the gradients. */
#include "run/gradient.h"

#include <string.h>

#include "base/checked.h"
#include "op/conv_grad.h"
#include "run/session.h"
#include "run/specialised.h"

struct omma_gradient {
    const omma_graph *model;
    const char *name; /* the model's, for messages */
    omma_options opt;
    omma_budget budget;
    omma_arena names; /* of what is asked for */
    const char **of, **by;
    int n_of, n_by;
    bool seeded, local;
    omma_arena arena;  /* of the graph */
    omma_graph *graph; /* NULL until a run */
    omma_session *session;
    omma_tensor *inputs; /* of the graph */
    omma_tensor *shapes; /* that the graph is made for, with copies of contents */
};

static omma_status no_memory(omma_error *err) {
    return omma_fail(err, OMMA_E_NOMEM, "no memory for a gradient");
}

/* --- what is asked for ------------------------------------------------------------------ */

static bool floats(omma_dtype t) {
    return t == OMMA_F32 || t == OMMA_F64 || t == OMMA_F16 || t == OMMA_BF16;
}

/* Copy the names asked for; without any, those of the floating ports. */
static bool take(omma_gradient *g, const char *const *asked, int n, omma_value *const *ports,
                 int n_ports, const char ***names, int *count) {
    const int most = asked ? n : n_ports;
    const char **list = *names = omma_arena_array(&g->names, (size_t)most, sizeof *list);
    *count = 0;
    for (int i = 0; list && i < most; i++) {
        const char *s = asked ? asked[i] : ports[i]->name;
        if (!asked && ports[i]->dtype != OMMA_NONE && !floats(ports[i]->dtype)) continue;
        list[*count] = omma_arena_strndup(&g->names, s, strlen(s));
        if (!list[(*count)++]) return false;
    }
    return list != NULL;
}

omma_status omma_gradient_on_graph(omma_gradient **out, const omma_graph *model, const char *name,
                                   const omma_gradient_how *how, const omma_options *opt,
                                   omma_error *err) {
    static const omma_gradient_how plain = {0};
    *out = NULL;
    omma_gradient *g = omma_mem_alloc(sizeof *g);
    if (!g) return no_memory(err);
    if (!how) how = &plain;
    if (opt) g->opt = *opt;
    g->model = model;
    g->name = name;
    g->seeded = how->seeded;
    g->local = how->local;
    g->budget.limit = opt && opt->max_memory ? opt->max_memory : omma_memory_default();
    omma_arena_init(&g->names, &g->budget);
    omma_arena_init(&g->arena, &g->budget);
    if (!take(g, how->of, how->n_of, model->outputs, model->n_outputs, &g->of, &g->n_of) ||
        !take(g, how->by, how->n_by, model->inputs, model->n_inputs, &g->by, &g->n_by)) {
        omma_gradient_free(g);
        return no_memory(err);
    }
    *out = g;
    return OMMA_OK;
}

static void drop(omma_gradient *g) {
    omma_session_free(g->session);
    omma_arena_free(&g->arena);
    g->session = NULL;
    g->graph = NULL;
}

void omma_gradient_free(omma_gradient *g) {
    if (!g) return;
    drop(g);
    omma_arena_free(&g->names);
    omma_mem_free(g);
}

/* --- the graph -------------------------------------------------------------------------- */

/* An input more for each seed. */
static omma_status add_seeds(omma_gradient *g, omma_graph *q, omma_value **seed, omma_error *err) {
    omma_value **inputs =
        omma_arena_array(&g->arena, (size_t)(q->n_inputs + g->n_of), sizeof *inputs);
    if (!inputs) return no_memory(err);
    if (q->n_inputs) memcpy(inputs, q->inputs, (size_t)q->n_inputs * sizeof *inputs);
    q->inputs = inputs;
    for (int i = 0; i < g->n_of; i++) {
        const omma_value *of = q->outputs[i];
        const char *name = omma_arena_printf(&g->arena, "seed~%d", i);
        omma_value *v = seed[i] = name ? omma_graph_value(q, name) : NULL;
        if (!v) return no_memory(err);
        v->dtype = of->dtype;
        v->rank = of->rank;
        memcpy(v->dims, of->dims, sizeof v->dims);
        v->is_input = true;
        q->inputs[q->n_inputs++] = v;
    }
    return OMMA_OK;
}

/* What was opened and is no input of the model's is a constant again. */
static void close_values(const omma_gradient *g, omma_graph *q, int n_inputs) {
    int kept = n_inputs;
    for (int i = n_inputs; i < q->n_inputs; i++) {
        omma_value *v = q->inputs[i];
        const omma_value *from = omma_graph_find(g->model, v->name);
        if (from && from->data) v->data = from->data, v->is_input = false;
        else q->inputs[kept++] = v;
    }
    q->n_inputs = kept;
}

static omma_status add_results(omma_gradient *g, omma_graph *q, omma_value *const *result,
                               omma_error *err) {
    omma_value **outputs =
        omma_arena_array(&g->arena, (size_t)(g->n_of + g->n_by), sizeof *outputs);
    if (!outputs) return no_memory(err);
    if (g->n_of) memcpy(outputs, q->outputs, (size_t)g->n_of * sizeof *outputs);
    for (int i = 0; i < g->n_by; i++) {
        outputs[g->n_of + i] = result[i];
        result[i]->is_output = true;
    }
    q->outputs = outputs;
    q->n_outputs = g->n_of + g->n_by;
    return OMMA_OK;
}

/* The nodes from first on, which carry cotangents, keep zeros where they are. */
static omma_status keep_local(omma_gradient *g, omma_graph *q, int first, omma_error *err) {
    for (int i = first; i < q->n_nodes; i++) {
        omma_node *n = q->nodes[i];
        if (strcmp(n->op->name, "Conv")) continue;
        omma_attr *attrs = omma_arena_array(&g->arena, (size_t)n->n_attrs + 1, sizeof *attrs);
        if (!attrs) return no_memory(err);
        if (n->n_attrs) memcpy(attrs, n->attrs, (size_t)n->n_attrs * sizeof *attrs);
        attrs[n->n_attrs++] = OMMA_A_INT(OMMA_CONV_LOCAL, 1);
        n->attrs = attrs;
    }
    return OMMA_OK;
}

static omma_status differentiate(omma_gradient *g, omma_specialised *s, omma_error *err) {
    omma_graph *q = s->graph;
    omma_build b = {.arena = &g->arena, .err = err, .kern = omma_kernels_best()};
    omma_value **seed = omma_arena_array(&g->arena, (size_t)g->n_of, sizeof *seed);
    omma_value **result = omma_arena_array(&g->arena, (size_t)g->n_by, sizeof *result);
    if (!seed || !result) return no_memory(err);
    if (g->seeded) OMMA_TRY(add_seeds(g, q, seed, err));
    const omma_derivative d = {.of = q->outputs,
                               .seed = g->seeded ? seed : NULL,
                               .n_of = g->n_of,
                               .by = s->open,
                               .n_by = g->n_by};
    const int forward = q->n_nodes;
    OMMA_TRY(omma_pass_gradient(&b, q, &d, result));
    if (g->local) OMMA_TRY(keep_local(g, q, forward, err));
    for (int i = 0; i < g->n_by; i++) s->open[i]->kept = false;
    close_values(g, q, s->n_inputs);
    OMMA_TRY(add_results(g, q, result, err));
    omma_graph_sweep(q);
    return omma_graph_verify(q, err);
}

static size_t bytes_of(const omma_tensor *t) {
    size_t bytes = 0;
    (void)omma_dims_bytes(t->dims, t->rank, omma_dtype_size(t->dtype), &bytes);
    return bytes;
}

static omma_status copy_shapes(omma_gradient *g, const omma_tensor *inputs, omma_error *err) {
    const int n = g->model->n_inputs;
    g->shapes = omma_arena_array(&g->arena, (size_t)n + 1, sizeof *g->shapes);
    g->inputs = omma_arena_array(&g->arena, (size_t)(n + g->n_of), sizeof *g->inputs);
    if (!g->shapes || !g->inputs) return no_memory(err);
    for (int i = 0; i < n; i++) {
        g->shapes[i] = inputs[i];
        g->shapes[i].data = NULL;
        if (!omma_specialise_by_value(&inputs[i])) continue;
        const size_t bytes = bytes_of(&inputs[i]);
        g->shapes[i].data = omma_arena_alloc(&g->arena, bytes);
        if (!g->shapes[i].data) return no_memory(err);
        if (bytes) memcpy(g->shapes[i].data, inputs[i].data, bytes);
    }
    return OMMA_OK;
}

static omma_status make(omma_gradient *g, const omma_tensor *inputs, omma_error *err) {
    omma_specialised s;
    const omma_specialise_how how = {.of = g->of,
                                     .n_of = g->n_of,
                                     .open = g->by,
                                     .n_open = g->n_by,
                                     .reading = OMMA_READ_GRADIENT};
    OMMA_TRY(copy_shapes(g, inputs, err));
    OMMA_TRY(omma_specialise(&s, g->model, inputs, &how, &g->arena, err));
    OMMA_TRY(differentiate(g, &s, err));
    g->graph = s.graph;
    return omma_session_on_graph(&g->session, g->graph, g->name, &g->opt, err);
}

/* --- running ---------------------------------------------------------------------------- */

static bool fits(const omma_gradient *g, const omma_tensor *inputs) {
    if (!g->session) return false;
    for (int i = 0; i < g->model->n_inputs; i++) {
        const omma_tensor *a = &g->shapes[i], *b = &inputs[i];
        if (a->dtype != b->dtype || a->rank != b->rank ||
            memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims))
            return false;
        if (a->data && (!b->data || memcmp(a->data, b->data, bytes_of(a)))) return false;
    }
    return true;
}

omma_status omma_gradient_run(omma_gradient *g, const omma_tensor *inputs, int n,
                              const omma_tensor *seeds, omma_error *err) {
    if (n != g->model->n_inputs)
        return omma_fail(err, OMMA_E_USAGE, "%s has %d inputs, not %d", g->name, g->model->n_inputs,
                         n);
    if (g->seeded != (seeds != NULL))
        return omma_fail(err, OMMA_E_USAGE, "this gradient is made %s seeds",
                         g->seeded ? "with" : "without");
    if (!fits(g, inputs)) {
        drop(g);
        const omma_status s = make(g, inputs, err);
        if (s) drop(g);
        if (s) omma_error_in_file(err, g->name);
        OMMA_TRY(s);
    }
    memcpy(g->inputs, inputs, (size_t)n * sizeof *inputs);
    if (seeds) memcpy(g->inputs + n, seeds, (size_t)g->n_of * sizeof *seeds);
    return omma_session_run(g->session, g->inputs, g->graph->n_inputs, err);
}

int omma_gradient_count(const omma_gradient *g) { return g->n_by; }
const char *omma_gradient_name(const omma_gradient *g, int i) {
    return i >= 0 && i < g->n_by ? g->by[i] : NULL;
}

const omma_tensor *omma_gradient_value(const omma_gradient *g, int i) {
    return g->session && i >= 0 && i < g->n_of ? omma_session_output(g->session, i) : NULL;
}

const omma_tensor *omma_gradient_result(const omma_gradient *g, int i) {
    return g->session && i >= 0 && i < g->n_by ? omma_session_output(g->session, g->n_of + i)
                                               : NULL;
}
