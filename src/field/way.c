/* way.c - see way.h. */
#include "field/way.h"

#include <string.h>

#include "run/session.h"

static omma_status no_memory(omma_error *err) {
    return omma_fail(err, OMMA_E_NOMEM, "no memory for a part of the graph");
}

/* By value: made from `from`; and of these, `to` is made of. */
typedef struct marks {
    bool *behind, *ahead;
} marks;

static bool mark(marks *m, const omma_graph *g, const omma_value *from, const omma_value *to,
                 omma_arena *arena) {
    m->behind = omma_arena_array(arena, (size_t)g->n_values, sizeof *m->behind);
    m->ahead = omma_arena_array(arena, (size_t)g->n_values, sizeof *m->ahead);
    if (!m->behind || !m->ahead) return false;
    m->behind[from->index] = m->ahead[to->index] = true;
    for (int i = 0; i < g->n_nodes; i++) {
        const omma_node *n = g->nodes[i];
        bool any = false;
        for (int k = 0; k < n->n_in; k++) any |= n->in[k] && m->behind[n->in[k]->index];
        for (int k = 0; k < n->n_out; k++)
            if (n->out[k] && any) m->behind[n->out[k]->index] = true;
    }
    for (int i = g->n_nodes - 1; i >= 0; i--) {
        const omma_node *n = g->nodes[i];
        bool any = false;
        for (int k = 0; k < n->n_out; k++) any |= n->out[k] && m->ahead[n->out[k]->index];
        for (int k = 0; k < n->n_in; k++)
            if (n->in[k] && any && n->out[0] != from) m->ahead[n->in[k]->index] = true;
    }
    return true;
}

static bool on_the_way(const marks *m, const omma_node *n, const omma_value *from) {
    bool in = false, out = false;
    for (int k = 0; k < n->n_out; k++) {
        if (n->out[k] == from) return false;
        out |= n->out[k] && m->ahead[n->out[k]->index] && m->behind[n->out[k]->index];
    }
    for (int k = 0; k < n->n_in; k++) in |= n->in[k] && m->behind[n->in[k]->index];
    return in && out;
}

omma_status omma_way_sides(const omma_value ***list, int *n, const omma_graph *g,
                           const omma_value *from, const omma_value *to, omma_arena *arena,
                           omma_error *err) {
    marks at;
    omma_arena tmp;
    *n = 0;
    omma_arena_init(&tmp, arena->budget);
    *list = omma_arena_array(arena, (size_t)g->n_values + 1, sizeof **list);
    bool *taken = omma_arena_array(&tmp, (size_t)g->n_values + 1, sizeof *taken);
    const bool fine = *list && taken && mark(&at, g, from, to, &tmp);
    for (int i = 0; i < g->n_nodes && fine && at.behind[to->index]; i++) {
        const omma_node *x = g->nodes[i];
        for (int k = 0; k < x->n_in && on_the_way(&at, x, from); k++) {
            const omma_value *v = x->in[k];
            if (!v || v->data || at.behind[v->index] || taken[v->index]) continue;
            taken[v->index] = true;
            (*list)[(*n)++] = v;
        }
    }
    omma_arena_free(&tmp);
    return fine ? OMMA_OK : no_memory(err);
}

typedef struct making {
    omma_way *w;
    omma_value **stands; /* by value of the whole graph; NULL: not there yet */
    omma_way_side *side;
    const void *user;
    omma_error *err;
} making;

static omma_value *value_like(making *m, const omma_value *v) {
    omma_value *x = omma_graph_value(m->w->graph, v->name);
    if (!x) return NULL;
    const int index = x->index;
    *x = (omma_value){
        .name = v->name, .dtype = v->dtype, .rank = v->rank, .index = index, .offset = -1};
    memcpy(x->dims, v->dims, sizeof x->dims);
    m->stands[v->index] = x;
    return x;
}

/* What stands for v, which enters from the side if it is not there. */
static omma_status stand_in(making *m, const omma_value *v, omma_value **out) {
    *out = m->stands[v->index];
    if (*out) return OMMA_OK;
    *out = value_like(m, v);
    if (!*out) return no_memory(m->err);
    (*out)->data = v->data;
    (*out)->scaled = v->scaled;
    if (v->data) return OMMA_OK;
    const omma_tensor *t = m->side ? m->side(m->user, v) : NULL;
    if (!t)
        return omma_fail_node(m->err, OMMA_E_UNSUPPORTED, v->name, NULL,
                              "it joins the way from elsewhere, and its numbers are not at hand");
    (*out)->data = t->data;
    return OMMA_OK;
}

static omma_status add(making *m, const omma_node *n) {
    omma_node *c = omma_graph_node(m->w->graph, n->op, n->name, n->n_in, n->n_out);
    if (!c) return no_memory(m->err);
    c->opset = n->opset;
    c->attrs = n->attrs;
    c->n_attrs = n->n_attrs;
    c->offset = n->offset;
    for (int k = 0; k < n->n_in; k++)
        if (n->in[k]) OMMA_TRY(stand_in(m, n->in[k], &c->in[k]));
    for (int k = 0; k < n->n_out; k++) {
        omma_value *v = n->out[k] ? value_like(m, n->out[k]) : NULL;
        if (n->out[k] && !v) return no_memory(m->err);
        if (v) omma_node_set_output(c, k, v);
    }
    m->w->nodes++;
    return OMMA_OK;
}

static omma_status ends(making *m, omma_value *from, omma_value *to) {
    omma_graph *g = m->w->graph;
    g->inputs = omma_arena_array(&m->w->arena, 1, sizeof *g->inputs);
    g->outputs = omma_arena_array(&m->w->arena, 1, sizeof *g->outputs);
    if (!g->inputs || !g->outputs) return no_memory(m->err);
    from->is_input = to->is_output = true;
    g->inputs[g->n_inputs++] = from;
    g->outputs[g->n_outputs++] = to;
    return OMMA_OK;
}

omma_status omma_way_new(omma_way *w, const omma_graph *g, const omma_value *from,
                         const omma_value *to, omma_way_side *side, const void *user,
                         omma_error *err) {
    marks at;
    making m = {.w = w, .side = side, .user = user, .err = err};
    *w = (omma_way){0};
    omma_arena_init(&w->arena, g->arena->budget);
    w->graph = omma_graph_new(&w->arena, "way");
    m.stands = omma_arena_array(&w->arena, (size_t)g->n_values, sizeof *m.stands);
    if (!w->graph || !m.stands || !mark(&at, g, from, to, &w->arena)) return no_memory(err);
    if (!at.behind[to->index])
        return omma_fail_node(err, OMMA_E_UNSUPPORTED, to->name, NULL,
                              "nothing leads there from '%s'", from->name);
    omma_value *first = value_like(&m, from);
    if (!first) return no_memory(err);
    for (int i = 0; i < g->n_nodes; i++)
        if (on_the_way(&at, g->nodes[i], from)) OMMA_TRY(add(&m, g->nodes[i]));
    OMMA_TRY(ends(&m, first, m.stands[to->index]));
    return omma_session_on_graph(&w->session, w->graph, "a part of the model", NULL, err);
}

void omma_way_free(omma_way *w) {
    omma_session_free(w->session);
    omma_arena_free(&w->arena);
    *w = (omma_way){0};
}

omma_status omma_way_run(omma_way *w, const omma_tensor *x, const omma_tensor **y,
                         omma_error *err) {
    OMMA_TRY(omma_session_run(w->session, x, 1, err));
    *y = omma_session_output(w->session, 0);
    return OMMA_OK;
}
