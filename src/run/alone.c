/* alone.c - a graph of one node: its variable inputs become the graph's, of the tensors' types
 * and shapes, its outputs the graph's outputs. */
#include <string.h>

#include "run/alone.h"
#include "run/session.h"

/* The value that stands for v in the new graph; a value read twice is one input. */
static omma_value *stand_in(omma_graph *g, const omma_value *v, const omma_tensor *t,
                            const omma_tensor **given) {
    omma_value *w = omma_graph_find(g, v->name);
    if (w) return w;
    if (v->data) return omma_graph_constant(g, v->name, v->dtype, v->rank, v->dims, v->data);
    w = omma_graph_value(g, v->name);
    if (!w) return NULL;
    w->dtype = t->dtype;
    w->rank = t->rank;
    memcpy(w->dims, t->dims, sizeof w->dims);
    w->is_input = true;
    given[g->n_inputs] = t;
    g->inputs[g->n_inputs++] = w;
    return w;
}

static bool take_inputs(omma_graph *g, omma_node *m, const omma_node *n, const omma_tensor *inputs,
                        const omma_tensor **given) {
    g->inputs = omma_arena_array(g->arena, (size_t)n->n_in + 1, sizeof *g->inputs);
    if (!g->inputs) return false;
    for (int i = 0; i < n->n_in; i++) {
        if (!n->in[i]) continue;
        m->in[i] = stand_in(g, n->in[i], &inputs[i], given);
        if (!m->in[i]) return false;
    }
    return true;
}

static bool take_outputs(omma_graph *g, omma_node *m, const omma_node *n) {
    g->outputs = omma_arena_array(g->arena, (size_t)n->n_out + 1, sizeof *g->outputs);
    if (!g->outputs) return false;
    for (int i = 0; i < n->n_out; i++) {
        if (!n->out[i]) continue;
        omma_value *v = omma_graph_value(g, n->out[i]->name);
        if (!v) return false;
        v->is_output = true;
        omma_node_set_output(m, i, v);
        g->outputs[g->n_outputs++] = v;
    }
    return true;
}

static omma_graph *graph_of(const omma_node *n, omma_arena *arena, const omma_tensor *inputs,
                            const omma_tensor **given) {
    omma_graph *g = omma_graph_new(arena, n->name);
    omma_node *m = g ? omma_graph_node(g, n->op, n->name, n->n_in, n->n_out) : NULL;
    if (!m) return NULL;
    m->opset = n->opset;
    m->attrs = n->attrs;
    m->n_attrs = n->n_attrs;
    m->offset = n->offset;
    return take_inputs(g, m, n, inputs, given) && take_outputs(g, m, n) ? g : NULL;
}

omma_status omma_alone_run(omma_alone *a, const omma_node *n, const omma_tensor *inputs,
                           const omma_options *opt, omma_error *err) {
    *a = (omma_alone){0};
    omma_arena_init(&a->arena, NULL);
    for (int i = 0; i < n->n_attrs; i++)
        if (n->attrs[i].kind == OMMA_ATTR_GRAPH)
            return omma_fail_node(err, OMMA_E_UNSUPPORTED, n->name, n->op->name,
                                  "a node with graphs in it does not run by itself");
    size_t room = (size_t)n->n_in + 1;
    const omma_tensor **given = omma_arena_array(&a->arena, room, sizeof *given);
    omma_tensor *tensors = omma_arena_array(&a->arena, room, sizeof *tensors);
    const omma_graph *g = given && tensors ? graph_of(n, &a->arena, inputs, given) : NULL;
    if (!g) return omma_fail(err, OMMA_E_NOMEM, "no memory for a graph of one node");
    for (int i = 0; i < g->n_inputs; i++) tensors[i] = *given[i];
    OMMA_TRY(omma_session_on_graph(&a->session, g, n->name, opt, err));
    return omma_session_run(a->session, tensors, g->n_inputs, err);
}

const omma_tensor *omma_alone_output(const omma_alone *a, const omma_node *n, int i) {
    if (!a->session || i < 0 || i >= n->n_out || !n->out[i]) return NULL;
    int k = 0;
    for (int j = 0; j < i; j++) k += n->out[j] != NULL;
    return omma_session_output(a->session, k);
}

void omma_alone_free(omma_alone *a) {
    omma_session_free(a->session);
    omma_arena_free(&a->arena);
    *a = (omma_alone){0};
}
