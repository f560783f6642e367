/* verify.c - is a graph well formed? Run on every loaded model and, in debug builds and
 * tests, after every pass. Finds the first fault and names it. */
#include <stdlib.h>
#include <string.h>

#include "graph/graph.h"

static int by_name(const void *a, const void *b) {
    const omma_value *x = *(omma_value *const *)a, *y = *(omma_value *const *)b;
    return strcmp(x->name, y->name);
}

static omma_status unique_names(const omma_graph *g, omma_error *err) {
    omma_arena tmp;
    omma_arena_init(&tmp, NULL);
    omma_value **v = omma_arena_array(&tmp, (size_t)g->n_values, sizeof *v);
    if (!v) return omma_fail(err, OMMA_E_NOMEM, "no memory to verify the graph");
    if (g->n_values) memcpy(v, g->values, (size_t)g->n_values * sizeof *v);
    qsort(v, (size_t)g->n_values, sizeof *v, by_name);
    omma_status s = OMMA_OK;
    for (int i = 1; i < g->n_values && !s; i++)
        if (!strcmp(v[i - 1]->name, v[i]->name))
            s = omma_fail_node(err, OMMA_E_FORMAT, v[i]->name, NULL,
                               "this name is given to two tensors");
    omma_arena_free(&tmp);
    return s;
}

static omma_status values_sound(const omma_graph *g, omma_error *err) {
    for (int i = 0; i < g->n_values; i++) {
        const omma_value *v = g->values[i];
        const char *why = NULL;
        if (v->index != i) why = "its index is out of step";
        else if (v->rank > OMMA_MAX_RANK) why = "it has too many dimensions";
        else if (v->data && !omma_value_known(v)) why = "a constant without a shape";
        else if (v->data && v->producer) why = "a constant that a node also computes";
        else if (v->is_input && v->producer) why = "a graph input that a node also computes";
        else if (v->list && (v->producer || v->data)) why = "a sequence that is a tensor, too";
        if (why) return omma_fail_node(err, OMMA_E_FORMAT, v->name, NULL, "%s", why);
    }
    return OMMA_OK;
}

static omma_status arity(const omma_node *n, omma_error *err) {
    const omma_op *op = n->op;
    if (n->n_in < op->min_in || (op->max_in >= 0 && n->n_in > op->max_in))
        return omma_fail_node(err, OMMA_E_FORMAT, n->name, op->name,
                              "has %d inputs; %d to %d are allowed", n->n_in, op->min_in,
                              op->max_in);
    if (n->n_out < op->min_out || (op->max_out >= 0 && n->n_out > op->max_out))
        return omma_fail_node(err, OMMA_E_FORMAT, n->name, op->name,
                              "has %d outputs; %d to %d are allowed", n->n_out, op->min_out,
                              op->max_out);
    for (int i = 0; i < op->min_in; i++)
        if (!n->in[i])
            return omma_fail_node(err, OMMA_E_FORMAT, n->name, op->name,
                                  "input %d is required but left out", i);
    return OMMA_OK;
}

/* Is v one of the graph's own values? */
static bool listed(const omma_graph *g, const omma_value *v) {
    return v->index >= 0 && v->index < g->n_values && g->values[v->index] == v;
}

static omma_status ports_sound(const omma_graph *g, omma_error *err) {
    for (int i = 0; i < g->n_inputs; i++)
        if (!listed(g, g->inputs[i]) || !g->inputs[i]->is_input)
            return omma_fail_node(err, OMMA_E_FORMAT, g->inputs[i]->name, NULL,
                                  "is a graph input but no value of the graph");
    for (int i = 0; i < g->n_outputs; i++) {
        const omma_value *v = g->outputs[i];
        if (!listed(g, v) || !v->is_output)
            return omma_fail_node(err, OMMA_E_FORMAT, v->name, NULL,
                                  "is a graph output but no value of the graph");
        if (!v->producer && !v->is_input && !v->data)
            return omma_fail_node(err, OMMA_E_FORMAT, v->name, NULL,
                                  "is a graph output that nothing writes");
    }
    return OMMA_OK;
}

/* Everything read must be an input, a constant, or written by an earlier node. */
static omma_status in_order(const omma_graph *g, omma_error *err) {
    for (int i = 0; i < g->n_nodes; i++) {
        const omma_node *n = g->nodes[i];
        if (n->index != i)
            return omma_fail_node(err, OMMA_E_FORMAT, n->name, n->op->name,
                                  "its index is out of step");
        OMMA_TRY(arity(n, err));
        for (int k = 0; k < n->n_in; k++) {
            const omma_value *v = n->in[k];
            if (v && !listed(g, v))
                return omma_fail_node(err, OMMA_E_FORMAT, n->name, n->op->name,
                                      "reads '%s', no value of the graph", v->name);
            if (!v || v->is_input || v->data || v->list) continue;
            if (!v->producer)
                return omma_fail_node(err, OMMA_E_FORMAT, n->name, n->op->name,
                                      "reads '%s', which nothing writes", v->name);
            if (v->producer->index >= i || g->nodes[v->producer->index] != v->producer)
                return omma_fail_node(
                    err, OMMA_E_FORMAT, n->name, n->op->name,
                    "reads '%s' before it is written (a cycle, or nodes out of order)", v->name);
        }
        for (int k = 0; k < n->n_out; k++) {
            const omma_value *v = n->out[k];
            if (v && !listed(g, v))
                return omma_fail_node(err, OMMA_E_FORMAT, n->name, n->op->name,
                                      "writes '%s', no value of the graph", v->name);
            if (v && v->producer != n)
                return omma_fail_node(err, OMMA_E_FORMAT, n->name, n->op->name,
                                      "writes '%s', which another node writes too", v->name);
        }
    }
    return OMMA_OK;
}

omma_status omma_graph_verify(const omma_graph *g, omma_error *err) {
    OMMA_TRY(values_sound(g, err));
    OMMA_TRY(in_order(g, err));
    OMMA_TRY(ports_sound(g, err));
    return unique_names(g, err);
}
