/* graph.c - building, copying, changing and searching a graph; see graph.h. */
#include "graph/graph.h"

#include <string.h>

#include "base/checked.h"

/* Grow a pointer list on the arena by doubling; false when out of memory. */
static bool grow(omma_arena *arena, void *list, int count, int *cap, size_t size) {
    if (count < *cap) return true;
    if (count > INT32_MAX / 2) return false;
    int bigger = *cap ? *cap * 2 : 64;
    void *fresh = omma_arena_array(arena, (size_t)bigger, size);
    if (!fresh) return false;
    void **old = list;
    if (count) memcpy(fresh, *old, (size_t)count * size);
    *old = fresh;
    *cap = bigger;
    return true;
}

omma_graph *omma_graph_new(omma_arena *arena, const char *name) {
    omma_graph *g = omma_arena_alloc(arena, sizeof *g);
    if (g) *g = (omma_graph){.arena = arena, .name = name};
    return g;
}

omma_value *omma_graph_value(omma_graph *g, const char *name) {
    omma_value *v = omma_arena_alloc(g->arena, sizeof *v);
    if (!v || !grow(g->arena, &g->values, g->n_values, &g->cap_values, sizeof *g->values))
        return NULL;
    *v = (omma_value){.name = name, .rank = -1, .index = g->n_values, .offset = -1};
    g->values[g->n_values++] = v;
    return v;
}

omma_value *omma_graph_constant(omma_graph *g, const char *name, omma_dtype dtype, int rank,
                                const int64_t *dims, const void *data) {
    omma_value *v = omma_graph_value(g, name);
    if (!v) return NULL;
    v->dtype = dtype;
    v->rank = rank;
    for (int i = 0; i < rank; i++) v->dims[i] = dims[i];
    v->data = data;
    return v;
}

omma_node *omma_graph_node(omma_graph *g, const omma_op *op, const char *name, int n_in,
                           int n_out) {
    omma_node *n = omma_arena_alloc(g->arena, sizeof *n);
    if (!n || !grow(g->arena, &g->nodes, g->n_nodes, &g->cap_nodes, sizeof *g->nodes)) return NULL;
    *n = (omma_node){
        .name = name, .op = op, .n_in = n_in, .n_out = n_out, .index = g->n_nodes, .offset = -1};
    n->in = omma_arena_array(g->arena, (size_t)n_in, sizeof *n->in);
    n->out = omma_arena_array(g->arena, (size_t)n_out, sizeof *n->out);
    if (!n->in || !n->out) return NULL;
    g->nodes[g->n_nodes++] = n;
    return n;
}

bool omma_graph_append(omma_graph *g, omma_node *n) {
    if (!grow(g->arena, &g->nodes, g->n_nodes, &g->cap_nodes, sizeof *g->nodes)) return false;
    n->index = g->n_nodes;
    g->nodes[g->n_nodes++] = n;
    return true;
}

void omma_node_set_output(omma_node *n, int i, omma_value *v) {
    n->out[i] = v;
    v->producer = n;
}

static bool clone_list(omma_graph *g, omma_value ***to, omma_value *const *from, int n) {
    *to = omma_arena_array(g->arena, (size_t)n, sizeof **to);
    if (!*to) return false;
    for (int i = 0; i < n; i++) (*to)[i] = from[i] ? g->values[from[i]->index] : NULL;
    return true;
}

/* v was copied with the list of the graph it comes from: give it one of its own. */
static bool clone_items(omma_graph *g, omma_value *v) {
    omma_list *list = omma_arena_alloc(g->arena, sizeof *list);
    if (!list || !clone_list(g, &list->item, v->list->item, v->list->count)) return false;
    list->count = v->list->count;
    v->list = list;
    return true;
}

omma_graph *omma_graph_clone(const omma_graph *from, omma_arena *arena) {
    omma_graph *g = omma_graph_new(arena, from->name);
    if (!g) return NULL;
    for (int i = 0; i < from->n_values; i++) {
        omma_value *v = omma_graph_value(g, from->values[i]->name);
        if (!v) return NULL;
        *v = *from->values[i];
        v->producer = NULL;
    }
    for (int i = 0; i < from->n_nodes; i++) {
        const omma_node *o = from->nodes[i];
        omma_node *n = omma_graph_node(g, o->op, o->name, 0, 0);
        if (!n) return NULL;
        *n = *o;
        if (!clone_list(g, &n->in, o->in, o->n_in) || !clone_list(g, &n->out, o->out, o->n_out))
            return NULL;
        for (int k = 0; k < n->n_out; k++)
            if (n->out[k]) n->out[k]->producer = n;
    }
    for (int i = 0; i < g->n_values; i++)
        if (g->values[i]->list && !clone_items(g, g->values[i])) return NULL;
    g->n_inputs = from->n_inputs;
    g->n_formal = from->n_formal;
    g->ports = from->ports;
    g->n_outputs = from->n_outputs;
    if (!clone_list(g, &g->inputs, from->inputs, from->n_inputs)) return NULL;
    return clone_list(g, &g->outputs, from->outputs, from->n_outputs) ? g : NULL;
}

omma_node *omma_graph_substitute(omma_graph *g, omma_node *old, const omma_op *op, int n_in) {
    omma_node *n = omma_graph_node(g, op, old->name, n_in, old->n_out);
    if (!n) return NULL;
    g->n_nodes--;
    n->opset = old->opset;
    n->offset = old->offset;
    n->index = old->index;
    g->nodes[n->index] = n;
    for (int i = 0; i < old->n_out; i++)
        if (old->out[i]) omma_node_set_output(n, i, old->out[i]);
    return n;
}

int *omma_graph_uses(const omma_graph *g, omma_arena *arena) {
    int *uses = omma_arena_array(arena, (size_t)g->n_values, sizeof *uses);
    if (!uses) return NULL;
    for (int i = 0; i < g->n_outputs; i++) uses[g->outputs[i]->index]++;
    for (int i = g->n_nodes - 1; i >= 0; i--) {
        const omma_node *n = g->nodes[i];
        bool live = false;
        for (int k = 0; k < n->n_out; k++) live |= n->out[k] && uses[n->out[k]->index];
        for (int k = 0; k < n->n_in && live; k++)
            if (n->in[k]) uses[n->in[k]->index]++;
    }
    return uses;
}

/* During a sweep, index < 0 marks what has not been reached from the outputs. */
static void mark(omma_value *v) {
    if (!v || v->index == 0) return;
    v->index = 0;
    for (int i = 0; v->list && i < v->list->count; i++) mark(v->list->item[i]);
}

static void reach(omma_graph *g) {
    for (int i = 0; i < g->n_values; i++) g->values[i]->index = -1;
    for (int i = 0; i < g->n_values; i++) {
        omma_value *v = g->values[i];
        if (v->is_output || v->is_input || v->kept) mark(v);
    }
    for (int i = g->n_nodes - 1; i >= 0; i--) {
        omma_node *n = g->nodes[i];
        n->index = -1;
        for (int k = 0; k < n->n_out; k++)
            if (n->out[k] && n->out[k]->index >= 0) n->index = 0;
        for (int k = 0; k < n->n_in && n->index == 0; k++) mark(n->in[k]);
    }
}

void omma_graph_sweep(omma_graph *g) {
    reach(g);
    int kept = 0;
    for (int i = 0; i < g->n_nodes; i++) {
        omma_node *n = g->nodes[i];
        if (n->index < 0) continue;
        for (int k = 0; k < n->n_out; k++)
            if (n->out[k] && n->out[k]->index < 0) n->out[k] = NULL;
        n->index = kept;
        g->nodes[kept++] = n;
    }
    g->n_nodes = kept;
    kept = 0;
    for (int i = 0; i < g->n_values; i++) {
        omma_value *v = g->values[i];
        if (v->index < 0) continue;
        v->index = kept;
        g->values[kept++] = v;
    }
    g->n_values = kept;
}

omma_value *omma_graph_find(const omma_graph *g, const char *name) {
    for (int i = 0; i < g->n_values; i++)
        if (!strcmp(g->values[i]->name, name)) return g->values[i];
    return NULL;
}

const omma_attr *omma_node_attr(const omma_node *n, const char *name) {
    for (int i = 0; i < n->n_attrs; i++)
        if (!strcmp(n->attrs[i].name, name)) return &n->attrs[i];
    return NULL;
}

int64_t omma_node_int(const omma_node *n, const char *name, int64_t fallback) {
    const omma_attr *a = omma_node_attr(n, name);
    return a && a->kind == OMMA_ATTR_INT ? a->i : fallback;
}

float omma_node_float(const omma_node *n, const char *name, float fallback) {
    const omma_attr *a = omma_node_attr(n, name);
    return a && a->kind == OMMA_ATTR_FLOAT ? a->f : fallback;
}

const char *omma_node_string(const omma_node *n, const char *name, const char *fallback) {
    const omma_attr *a = omma_node_attr(n, name);
    return a && a->kind == OMMA_ATTR_STRING ? a->s : fallback;
}

bool omma_value_known(const omma_value *v) {
    if (v->rank < 0 || v->dtype == OMMA_NONE) return false;
    for (int i = 0; i < v->rank; i++)
        if (v->dims[i] < 0) return false;
    return true;
}

int64_t omma_value_count(const omma_value *v) {
    int64_t n = 0;
    return v->rank >= 0 && omma_dims_count(v->dims, v->rank, &n) ? n : 0;
}

size_t omma_value_bytes(const omma_value *v) {
    size_t n = 0;
    return v->rank >= 0 && omma_dims_bytes(v->dims, v->rank, omma_dtype_size(v->dtype), &n) ? n : 0;
}

omma_tensor omma_value_tensor(const omma_value *v) {
    omma_tensor t = {.dtype = v->dtype, .rank = v->rank};
    for (int i = 0; i < v->rank; i++) t.dims[i] = v->dims[i];
    t.data = v->mem ? v->mem : (void *)(uintptr_t)v->data;
    return t;
}
