/* splice.c - one graph put into another: a branch or a loop's body takes the place of the node
 * that holds it. */
#include <string.h>

#include "graph/graph.h"

/* One splicing: what of the body became what of g. */
typedef struct splice {
    omma_graph *g;
    const omma_graph *body;
    omma_value **of; /* by the body's values */
    const char *prefix;
} splice;

static omma_value *copy_value(const splice *s, const omma_value *from) {
    const char *name = omma_arena_printf(s->g->arena, "%s%s", s->prefix, from->name);
    omma_value *v = name ? omma_graph_value(s->g, name) : NULL;
    if (!v) return NULL;
    int index = v->index;
    *v = *from;
    v->name = name;
    v->index = index;
    v->producer = NULL;
    v->is_input = v->is_output = v->kept = false;
    v->lasting = v->shared = v->data != NULL; /* it is the model's */
    return v;
}

static bool copy_node(const splice *s, const omma_node *from) {
    omma_node *n = omma_graph_node(s->g, from->op, from->name, from->n_in, from->n_out);
    if (!n) return false;
    n->opset = from->opset;
    n->attrs = from->attrs;
    n->n_attrs = from->n_attrs;
    n->offset = from->offset;
    for (int k = 0; k < n->n_in; k++) n->in[k] = from->in[k] ? s->of[from->in[k]->index] : NULL;
    for (int k = 0; k < n->n_out; k++)
        if (from->out[k]) omma_node_set_output(n, k, s->of[from->out[k]->index]);
    return true;
}

bool omma_graph_splice(omma_graph *g, const omma_graph *body, omma_value *const *actual,
                       omma_value **result, const char *prefix) {
    splice s = {.g = g, .body = body, .prefix = prefix};
    omma_arena tmp;
    omma_arena_init(&tmp, g->arena->budget);
    s.of = omma_arena_array(&tmp, (size_t)body->n_values, sizeof *s.of);
    bool ok = s.of != NULL;
    for (int i = 0; i < body->n_inputs && ok; i++) s.of[body->inputs[i]->index] = actual[i];
    for (int i = 0; i < body->n_values && ok; i++) {
        const omma_value *v = body->values[i];
        if (v->is_input) continue;
        s.of[i] = copy_value(&s, v);
        ok = s.of[i] != NULL;
    }
    for (int i = 0; i < body->n_nodes && ok; i++) ok = copy_node(&s, body->nodes[i]);
    for (int i = 0; i < body->n_outputs && ok; i++) result[i] = s.of[body->outputs[i]->index];
    omma_arena_free(&tmp);
    return ok;
}

bool omma_graph_replace(omma_graph *g, int at, int first) {
    int fresh = g->n_nodes - first, rest = first - at - 1;
    omma_arena tmp;
    omma_arena_init(&tmp, g->arena->budget);
    omma_node **moved = omma_arena_array(&tmp, (size_t)rest, sizeof *moved);
    if (!moved) return false;
    if (rest) memcpy(moved, g->nodes + at + 1, (size_t)rest * sizeof *moved);
    if (fresh) memmove(g->nodes + at, g->nodes + first, (size_t)fresh * sizeof *moved);
    if (rest) memcpy(g->nodes + at + fresh, moved, (size_t)rest * sizeof *moved);
    g->n_nodes--;
    for (int i = at; i < g->n_nodes; i++) g->nodes[i]->index = i;
    omma_arena_free(&tmp);
    return true;
}
