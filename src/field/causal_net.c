/* causal_net.c - see causal_net.h. What is made from the tokens of an attention is run again;
 * everything else is given: by the sight where it keeps that, else by one run of the rest. */
#include "field/causal_net.h"

#include <string.h>

#include "op/op.h"
#include "run/session.h"

typedef struct making {
    omma_causal_net *net;
    const omma_sight *s;
    const omma_graph *base;
    const omma_tensor *inputs;
    const omma_options *opt;
    omma_arena *arena;
    omma_error *err;
    bool *again;         /* by value of base: it is made again */
    bool *given;         /* by value of base: it is read by what is made again, and is not itself */
    omma_tensor *number; /* by value of base: of what is given */
} making;

static omma_status no_memory(omma_error *err) {
    return omma_fail(err, OMMA_E_NOMEM, "no memory for a run with tokens shut off");
}

static bool is_cut(const making *m) { return m->base != omma_sight_fov(m->s)->specialised.graph; }

/* What stands for a value of the specialised graph in g, base or a copy; NULL: nothing. */
static omma_value *there(const making *m, const omma_graph *g, const omma_value *v) {
    if (!v) return NULL;
    return is_cut(m) ? omma_graph_find(g, v->name) : g->values[v->index];
}

static bool is_constant(const omma_value *v) { return v->data || (!v->producer && !v->is_input); }

/* --- what is made again ------------------------------------------------------------------------
 */

/* Can attention a be shut in g? A cut graph may have an operator in the softmax's place, or have
 * it in a body. */
static omma_node *softmax_of(const making *m, const omma_graph *g, const omma_attention *a) {
    const omma_value *v = there(m, g, a->softmax->out[0]);
    omma_node *n = v ? v->producer : NULL;
    return n && n->op == a->softmax->op && n->in[0] ? n : NULL;
}

static omma_status mark_again(making *m) {
    const omma_anatomy *all = omma_sight_anatomy(m->s);
    const omma_graph *g = m->base;
    const size_t n = (size_t)g->n_values + 1;
    m->again = omma_arena_array(m->arena, n, sizeof *m->again);
    m->given = omma_arena_array(m->arena, n, sizeof *m->given);
    m->number = omma_arena_array(m->arena, n, sizeof *m->number);
    bool *tokens = omma_arena_array(m->arena, n, sizeof *tokens), any = false;
    if (!m->again || !m->given || !m->number || !tokens) return no_memory(m->err);
    for (int i = 0; i < all->n_attention; i++) {
        const omma_attention *a = &all->attention[i];
        const omma_node *soft = softmax_of(m, g, a);
        const omma_value *of[] = {there(m, g, a->query.value), there(m, g, a->key.value)};
        if (!soft) continue;
        any = tokens[soft->in[0]->index] = true; /* where nothing else is found */
        for (int k = 0; k < 2; k++)
            if (of[k]) tokens[of[k]->index] = true;
    }
    for (int i = 0; i < g->n_nodes; i++) {
        const omma_node *x = g->nodes[i];
        bool behind = false;
        for (int k = 0; k < x->n_in; k++)
            behind |= x->in[k] && (m->again[x->in[k]->index] || tokens[x->in[k]->index]);
        for (int k = 0; k < x->n_out; k++)
            if (x->out[k]) m->again[x->out[k]->index] = behind;
    }
    if (any) return OMMA_OK;
    return omma_fail(m->err, OMMA_E_UNSUPPORTED, "no attention that can be shut was found");
}

static bool is_again(const making *m, const omma_node *n) {
    for (int k = 0; k < n->n_out; k++)
        if (n->out[k] && m->again[n->out[k]->index]) return true;
    return false;
}

/* --- what is given ---------------------------------------------------------------------------- */

static omma_status keep(making *m, const omma_value *v, const omma_tensor *t) {
    omma_tensor *to = &m->number[v->index];
    const size_t bytes = (size_t)omma_tensor_count(t) * omma_dtype_size(t->dtype);
    *to = *t;
    to->data = omma_arena_alloc(m->arena, bytes);
    if (!to->data) return no_memory(m->err);
    if (bytes) memcpy(to->data, t->data, bytes);
    return OMMA_OK;
}

/* The numbers of the sight, which stay, or an input's; else it is listed. */
static omma_status give(making *m, const omma_value *v, const omma_value **list, int *n) {
    const omma_tensor *seen = is_cut(m) ? NULL : omma_sight_tensor(m->s, v);
    m->given[v->index] = true;
    for (int i = 0; i < m->base->n_inputs; i++)
        if (m->base->inputs[i] == v) return keep(m, v, &m->inputs[i]);
    if (seen) m->number[v->index] = *seen;
    else list[(*n)++] = v;
    return OMMA_OK;
}

/* One run of what is in front, for what the sight does not keep. */
static omma_status run_front(making *m, const omma_value **list, int n) {
    omma_arena tmp;
    omma_session *session = NULL;
    omma_arena_init(&tmp, m->arena->budget);
    omma_graph *g = omma_graph_clone(m->base, &tmp);
    omma_value **out = g ? omma_arena_array(&tmp, (size_t)n, sizeof *out) : NULL;
    omma_status s = out ? OMMA_OK : no_memory(m->err);
    if (out) {
        for (int i = 0; i < g->n_outputs; i++) g->outputs[i]->is_output = false;
        for (int i = 0; i < n; i++) out[i] = g->values[list[i]->index];
        for (int i = 0; i < n; i++) out[i]->is_output = true;
        g->outputs = out, g->n_outputs = n;
        omma_graph_sweep(g);
        s = omma_session_on_graph(&session, g, omma_sight_fov(m->s)->name, m->opt, m->err);
    }
    if (!s) s = omma_session_run(session, m->inputs, g->n_inputs, m->err);
    for (int i = 0; i < n && !s; i++) s = keep(m, list[i], omma_session_output(session, i));
    omma_session_free(session);
    omma_arena_free(&tmp);
    return s;
}

static omma_status give_all(making *m) {
    const omma_graph *g = m->base;
    int n = 0;
    const omma_value **list = omma_arena_array(m->arena, (size_t)g->n_values + 1, sizeof *list);
    if (!list) return no_memory(m->err);
    for (int i = 0; i < g->n_nodes; i++) {
        const omma_node *x = g->nodes[i];
        for (int k = 0; k < x->n_in && is_again(m, x); k++) {
            const omma_value *v = x->in[k];
            if (!v || is_constant(v) || m->again[v->index] || m->given[v->index]) continue;
            OMMA_TRY(give(m, v, list, &n));
        }
    }
    return n ? run_front(m, list, n) : OMMA_OK;
}

/* --- the graph ----------------------------------------------------------------------------------
 */

/* Only the nodes that are made again; what is given becomes inputs, and nothing else is one. */
static omma_status behead(making *m) {
    omma_graph *g = m->net->graph;
    int nodes = 0, n = 0;
    for (int i = 0; i < g->n_nodes; i++) {
        omma_node *x = g->nodes[i];
        const bool stays = is_again(m, m->base->nodes[i]);
        for (int k = 0; k < x->n_out && !stays; k++)
            if (x->out[k]) x->out[k]->producer = NULL;
        if (stays) x->index = nodes, g->nodes[nodes++] = x;
    }
    g->n_nodes = nodes;
    for (int i = 0; i < g->n_values; i++) n += m->given[i];
    const size_t most = (size_t)(n + 2 * omma_sight_anatomy(m->s)->n_attention);
    g->inputs = omma_arena_array(m->arena, most, sizeof *g->inputs);
    m->net->inputs = omma_arena_array(m->arena, most, sizeof *m->net->inputs);
    if (!g->inputs || !m->net->inputs) return no_memory(m->err);
    g->n_inputs = 0;
    for (int i = 0; i < g->n_values; i++) {
        omma_value *v = g->values[i];
        v->is_input = m->given[i];
        if (!m->again[i]) v->is_output = v->kept = false;
        if (!m->given[i]) continue;
        const omma_tensor *t = &m->number[i];
        v->dtype = t->dtype, v->rank = t->rank;
        memcpy(v->dims, t->dims, sizeof v->dims);
        g->inputs[g->n_inputs++] = v;
        m->net->inputs[m->net->n_inputs++] = *t;
    }
    return OMMA_OK;
}

static omma_status share_outputs(making *m) {
    omma_causal_net *net = m->net;
    omma_graph *g = net->graph;
    const int n = m->base->n_outputs;
    omma_value **out = omma_arena_array(m->arena, (size_t)n, sizeof *out);
    net->output = omma_arena_array(m->arena, (size_t)n, sizeof *net->output);
    net->early = omma_arena_array(m->arena, (size_t)n, sizeof *net->early);
    if (!out || !net->output || !net->early) return no_memory(m->err);
    net->n_outputs = n;
    g->n_outputs = 0;
    for (int i = 0; i < n; i++) {
        const int v = m->base->outputs[i]->index;
        net->output[i] = m->again[v] ? g->n_outputs : -1;
        net->early[i] = m->again[v] ? NULL : omma_sight_output(m->s, i);
        if (m->again[v]) out[g->n_outputs++] = g->values[v];
    }
    g->outputs = out;
    return OMMA_OK;
}

/* --- gates -------------------------------------------------------------------------------------
 */

/* An input of v's shape and type, but that axis `one` (-1: none) has one element. *t: its numbers.
 */
static omma_value *add_input(making *m, const omma_value *v, int one, const char *what, int i,
                             omma_tensor **t) {
    omma_graph *g = m->net->graph;
    const char *name = omma_arena_printf(m->arena, "%s~%d", what, i);
    omma_value *x = name ? omma_graph_value(g, name) : NULL;
    if (!x) return NULL;
    x->dtype = v->dtype, x->rank = v->rank;
    memcpy(x->dims, v->dims, sizeof x->dims);
    if (one >= 0) x->dims[one] = 1;
    x->is_input = true;
    g->inputs[g->n_inputs++] = x;
    *t = &m->net->inputs[m->net->n_inputs++];
    **t = omma_value_tensor(x);
    (*t)->data = omma_arena_alloc(m->arena, omma_value_bytes(x));
    return (*t)->data ? x : NULL;
}

static omma_node *copy_of(omma_graph *g, const omma_node *n) {
    omma_node *c = omma_graph_node(g, n->op, n->name, n->n_in, n->n_out);
    if (!c) return NULL;
    c->opset = n->opset, c->attrs = n->attrs, c->n_attrs = n->n_attrs, c->offset = n->offset;
    for (int k = 0; k < n->n_in; k++) c->in[k] = n->in[k];
    return c;
}

/* y = op(x, with), whichever of the two is to be made last in node n's place: in front of it its
 * input 0 becomes that, behind it its output 0. */
static bool insert(making *m, omma_node *n, const char *op, omma_value *with, bool in_front) {
    omma_graph *g = m->net->graph;
    const int at = n->index, first = g->n_nodes;
    const char *name = omma_arena_printf(m->arena, "%s~with", with->name);
    omma_value *between = name ? omma_graph_value(g, name) : NULL, *y = n->out[0];
    omma_node *c = NULL, *extra = NULL;
    if (!between) return false;
    if (!in_front) c = copy_of(g, n);
    extra = omma_graph_node(g, omma_op_find(op), n->name, 2, 1);
    if (in_front) c = copy_of(g, n);
    if (!c || !extra) return false;
    extra->opset = 13;
    extra->in[0] = in_front ? n->in[0] : between, extra->in[1] = with;
    omma_node_set_output(extra, 0, in_front ? between : y);
    omma_node_set_output(c, 0, in_front ? y : between);
    if (in_front) c->in[0] = between;
    return omma_graph_replace(g, at, first);
}

static int64_t step_of(const omma_value *v, int axis) {
    int64_t step = 1;
    for (int d = axis + 1; d < v->rank; d++) step *= v->dims[d];
    return step;
}

/* The axis that counts heads and nothing else; -1: there is none. */
static int head_axis(const omma_attention *a) {
    const omma_heads_layout *l = &a->at_scores;
    if (a->heads < 2 || l->share != 1) return -1;
    for (int d = 0; d < a->scores->rank; d++)
        if (a->scores->dims[d] == a->heads && step_of(a->scores, d) == l->head) return d;
    return -1;
}

/* A step where heads are one: what lies outside of them has come closer. */
static int64_t without(int64_t step, const omma_attention *a) {
    return step > a->at_scores.head ? step / a->heads : step;
}

/* Does the model itself forbid a token to see itself, for some head? */
static bool forbids_self(const omma_attention *a, const uint64_t *dead, const omma_fov *f) {
    for (int64_t w = 0; w < a->windows; w++)
        for (int64_t q = 0; q < a->queries; q++) {
            const int64_t token = omma_attention_token(a, f, false, w, q);
            bool open = token < 0; /* padding is nobody's */
            for (int64_t k = 0; k < a->keys && !open; k++) {
                bool sees = omma_attention_token(a, f, true, w, k) == token;
                for (int64_t h = 0; h < a->heads && sees && dead; h++)
                    sees = !omma_bit(dead, omma_heads_at(&a->at_scores, w, h, q, k));
                open = sees;
            }
            if (!open) return true;
        }
    return false;
}

static omma_status add_gate(making *m, int i) {
    const omma_attention *a = &omma_sight_anatomy(m->s)->attention[i];
    const omma_fov *f = omma_sight_fov(m->s);
    omma_causal_gate *gate = &m->net->gate[i];
    omma_node *soft = softmax_of(m, m->net->graph, a);
    omma_value *mix = there(m, m->net->graph, a->mix);
    if (!soft || !mix || !mix->producer) return OMMA_OK;
    gate->dead = f->fields.zero[a->scores->index] ? NULL : f->fields.dead[a->scores->index];
    const bool deaf = !omma_attention_same_tokens(a) || forbids_self(a, gate->dead, f);
    const int one = deaf && gate->dead ? -1 : head_axis(a);
    gate->at = a->at_scores;
    gate->heads = one < 0 ? a->heads : 1;
    if (one >= 0) {
        gate->at.window = without(gate->at.window, a);
        gate->at.row = without(gate->at.row, a), gate->at.column = without(gate->at.column, a);
        gate->at.head = 0;
    }
    omma_value *shut = add_input(m, a->scores, one, "shut", i, &gate->shut);
    if (!shut || !insert(m, soft, "Add", shut, true)) return no_memory(m->err);
    if (!deaf) return OMMA_OK;
    omma_value *heard = add_input(m, a->mix, -1, "heard", i, &gate->heard);
    return heard && insert(m, mix->producer, "Mul", heard, false) ? OMMA_OK : no_memory(m->err);
}

omma_status omma_causal_net_make(omma_causal_net *out, const omma_sight *s,
                                 const omma_tensor *inputs, const omma_options *opt,
                                 omma_arena *arena, omma_error *err) {
    const int n = omma_sight_anatomy(s)->n_attention;
    making m = {.net = out,
                .s = s,
                .base = omma_sight_graph(s),
                .inputs = inputs,
                .opt = opt,
                .arena = arena,
                .err = err};
    *out = (omma_causal_net){0};
    OMMA_TRY(mark_again(&m));
    OMMA_TRY(give_all(&m));
    out->gate = omma_arena_array(arena, (size_t)n, sizeof *out->gate);
    out->n_gate = n;
    out->graph = omma_graph_clone(m.base, arena);
    if (!out->gate || !out->graph) return no_memory(err);
    OMMA_TRY(behead(&m));
    OMMA_TRY(share_outputs(&m));
    for (int i = 0; i < n; i++) OMMA_TRY(add_gate(&m, i));
    omma_graph_sweep(out->graph);
    omma_causal_net_clear(out);
    return omma_graph_verify(out->graph, err);
}
