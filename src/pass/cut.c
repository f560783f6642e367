/* cut.c - a graph in two: what can be specialised now, and the rest, which must wait for
 * numbers or sizes that only a run gives. The rest becomes a graph of its own whose inputs
 * are the values that cross the cut; it is specialised when the first part has run. */
#include <string.h>

#include "pass/pass.h"

/* The copy keeps the nodes from `at` on; everything before is what it is given. */
static void behead(omma_graph *t, int at) {
    for (int i = 0; i < at; i++)
        for (int k = 0; k < t->nodes[i]->n_out; k++)
            if (t->nodes[i]->out[k]) t->nodes[i]->out[k]->producer = NULL;
    t->nodes += at;
    t->n_nodes -= at;
    t->cap_nodes -= at;
    for (int i = 0; i < t->n_nodes; i++) t->nodes[i]->index = i;
    for (int i = 0; i < t->n_values; i++) {
        omma_value *v = t->values[i];
        v->is_input = false;
        if (!v->producer) v->is_output = v->kept = false;
    }
}

/* v crosses unless it is the rest's own or constant; of a list its items do. */
static void cross(omma_cut *c, const omma_graph *g, omma_value *v) {
    omma_graph *t = c->tail;
    if (!v || v->data || v->producer || v->is_input) return;
    for (int i = 0; v->list && i < v->list->count; i++) cross(c, g, v->list->item[i]);
    if (v->list) return;
    v->is_input = true;
    v->rank = -1;
    c->crossing[t->n_inputs] = g->values[v->index];
    t->inputs[t->n_inputs++] = v;
}

/* The values the rest reads that are neither its own nor constant become its inputs. */
static bool find_crossing(omma_cut *c, const omma_graph *g, omma_arena *arena) {
    omma_graph *t = c->tail;
    t->n_inputs = 0;
    t->inputs = omma_arena_array(arena, (size_t)t->n_values, sizeof *t->inputs);
    c->crossing = omma_arena_array(arena, (size_t)t->n_values, sizeof *c->crossing);
    if (!t->inputs || !c->crossing) return false;
    for (int i = 0; i < t->n_nodes; i++)
        for (int k = 0; k < t->nodes[i]->n_in; k++) cross(c, g, t->nodes[i]->in[k]);
    return true;
}

/* Share the outputs out: those the rest writes, and those that are here already. */
static bool share_outputs(omma_cut *c, omma_graph *g, omma_arena *arena) {
    omma_graph *t = c->tail;
    int n = 0;
    c->n_outputs = g->n_outputs;
    c->output = omma_arena_array(arena, (size_t)g->n_outputs, sizeof *c->output);
    if (!c->output) return false;
    for (int i = 0; i < c->n_outputs; i++) {
        omma_value *v = t->values[g->outputs[i]->index];
        c->output[i] = v->producer ? (struct omma_cut_output){NULL, n}
                                   : (struct omma_cut_output){g->outputs[i], -1};
        if (v->producer) t->outputs[n++] = v;
    }
    t->n_outputs = n;
    n = 0;
    for (int i = 0; i < c->n_outputs; i++)
        if (c->output[i].here) g->outputs[n++] = c->output[i].here;
    g->n_outputs = n;
    return true;
}

omma_status omma_pass_cut(omma_cut *c, omma_graph *g, int at, omma_arena *arena, omma_error *err) {
    *c = (omma_cut){.tail = omma_graph_clone(g, arena)};
    bool ok = c->tail != NULL;
    if (ok) {
        behead(c->tail, at);
        ok = find_crossing(c, g, arena) && share_outputs(c, g, arena);
    }
    if (!ok) return omma_fail(err, OMMA_E_NOMEM, "no memory to cut a plan in two");
    for (int i = at; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i]->n_out; k++) {
            omma_value *v = g->nodes[i]->out[k];
            if (v) v->producer = NULL, v->is_output = v->kept = false;
        }
    g->n_nodes = at;
    for (int i = 0; i < c->tail->n_inputs; i++)
        if (!c->crossing[i]->is_input) c->crossing[i]->kept = true;
    omma_graph_sweep(g);
    omma_graph_sweep(c->tail);
    return OMMA_OK;
}
