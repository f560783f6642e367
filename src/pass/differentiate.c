/* differentiate.c - reverse mode: one walk from the last node to the first, in which every node
 * that lies between what is differentiated and what it is differentiated by hands the cotangents of
 * its outputs to its inputs, by making nodes (op/grad.h). Nodes of integers end the walk; a node
 * of floating numbers without a gradient is an error, which names it and says why. */
#include "pass/differentiate.h"

#include <string.h>

typedef struct walk {
    omma_grad grad;
    const omma_node *blocked; /* where integers (or booleans) ended the walk; NULL: nowhere */
} walk;

static bool floats(const omma_value *v) {
    return v->dtype == OMMA_F32 || v->dtype == OMMA_F64 || v->dtype == OMMA_F16 ||
           v->dtype == OMMA_BF16;
}

/* What depends on `by`. What computes `by` does not count. */
static bool *find_wanted(const omma_graph *g, const omma_derivative *d) {
    bool *wanted = omma_arena_array(g->arena, (size_t)g->n_values, sizeof *wanted);
    if (!wanted) return NULL;
    for (int i = 0; i < d->n_by; i++) wanted[d->by[i]->index] = true;
    for (int i = 0; i < g->n_nodes; i++) {
        const omma_node *n = g->nodes[i];
        bool depends = false;
        for (int k = 0; k < n->n_in; k++) depends |= n->in[k] && wanted[n->in[k]->index];
        if (n->op->flags & OMMA_OP_SHAPE_ONLY) depends = false;
        for (int k = 0; k < n->n_out; k++)
            if (n->out[k] && depends) wanted[n->out[k]->index] = true;
    }
    return wanted;
}

static omma_status check(omma_build *b, const omma_value *v, const char *role) {
    if (!floats(v))
        return omma_fail_node(b->err, OMMA_E_UNSUPPORTED, v->name, NULL,
                              "%s is of type %s; only floating numbers have a gradient", role,
                              omma_dtype_name(v->dtype));
    return OMMA_OK;
}

static omma_status plant(walk *w, const omma_derivative *d) {
    omma_maker *m = &w->grad.m;
    for (int i = 0; i < d->n_of; i++) {
        omma_value *v = d->of[i], *seed = d->seed ? d->seed[i] : NULL;
        omma_node root = {.name = v->name, .op = omma_op_find("Identity"), .n_out = 1, .out = &v};
        m->of = &root;
        OMMA_TRY(check(m->b, v, "what is differentiated"));
        if (!seed) seed = omma_make_full(m, v, 1);
        omma_value **sum = &w->grad.cotangent[v->index];
        *sum = *sum ? omma_make_2(m, "Add", *sum, seed) : seed;
        OMMA_TRY(m->status);
    }
    return OMMA_OK;
}

/* Does n lead from `by` to `of`? Then one of its outputs has a cotangent and one of its inputs
 * wants one. */
static bool lies_between(walk *w, const omma_node *n) {
    bool has = false, wants = false, may = false;
    for (int k = 0; k < n->n_out; k++) has |= omma_grad_out(&w->grad, n, k) != NULL;
    for (int k = 0; k < n->n_in; k++) {
        const bool one = omma_grad_wants(&w->grad, n, k);
        may |= one;
        wants |= one && floats(n->in[k]);
    }
    if (has && may && !wants && !(n->op->flags & OMMA_OP_SHAPE_ONLY)) w->blocked = n;
    return has && wants && !(n->op->flags & OMMA_OP_SHAPE_ONLY);
}

static omma_status refuse(walk *w, const omma_node *n) {
    return omma_fail_node(w->grad.m.b->err, OMMA_E_UNSUPPORTED, n->name, n->op->name,
                          "the gradient ends here: %s",
                          n->op->no_grad ? n->op->no_grad : "this operator has none");
}

static omma_status go_back(walk *w, const omma_graph *g) {
    for (int i = g->n_nodes - 1; i >= 0; i--) {
        const omma_node *n = g->nodes[i];
        if (!lies_between(w, n)) continue;
        if (!n->op->grad) return refuse(w, n);
        w->grad.m.of = n;
        OMMA_TRY(n->op->grad(&w->grad, n));
        OMMA_TRY(w->grad.m.status);
    }
    return OMMA_OK;
}

/* From a node where the walk ended at integers to the node that made them of floating numbers. */
static const omma_node *wall_of(const walk *w, const omma_node *n) {
    for (int k = 0; k < n->n_in; k++)
        if (omma_grad_wants(&w->grad, n, k) && floats(n->in[k])) return n;
    for (int k = 0; k < n->n_in; k++)
        if (omma_grad_wants(&w->grad, n, k) && n->in[k]->producer)
            return wall_of(w, n->in[k]->producer);
    return n;
}

/* Numbers that integers keep from reaching `of` have no gradient, which is not a zero one. */
static const omma_node *way_through(const omma_graph *g, const walk *w, const omma_value *v,
                                    const omma_derivative *d) {
    bool led = false;
    const omma_derivative one = {.by = (omma_value *[]){(omma_value *)(uintptr_t)v}, .n_by = 1};
    const bool *from = find_wanted(g, &one);
    for (int i = 0; from && i < d->n_of; i++) led |= from[d->of[i]->index];
    return led && w->blocked ? wall_of(w, w->blocked) : NULL;
}

omma_status omma_pass_gradient(omma_build *b, omma_graph *g, const omma_derivative *d,
                               omma_value **result) {
    const int n_values = g->n_values, n_nodes = g->n_nodes;
    /* the walk appends to g: what it began with is looked at through a copy of the list */
    omma_graph before = *g;
    walk w = {.grad = {.m = {.b = b, .g = g, .tag = "d", .made = n_values}, .n_values = n_values}};
    w.grad.cotangent = omma_arena_array(g->arena, (size_t)n_values, sizeof *w.grad.cotangent);
    w.grad.wanted = find_wanted(g, d);
    before.nodes = omma_arena_array(g->arena, (size_t)n_nodes, sizeof *before.nodes);
    if (!w.grad.cotangent || !w.grad.wanted || !before.nodes)
        return omma_fail(b->err, OMMA_E_NOMEM, "no memory for a gradient");
    if (n_nodes) memcpy(before.nodes, g->nodes, (size_t)n_nodes * sizeof *before.nodes);
    for (int i = 0; i < d->n_by; i++) OMMA_TRY(check(b, d->by[i], "what is differentiated by"));
    OMMA_TRY(plant(&w, d));
    OMMA_TRY(go_back(&w, &before));
    for (int i = 0; i < d->n_by; i++) {
        omma_value *v = d->by[i];
        omma_node root = {.name = v->name, .op = omma_op_find("Identity"), .n_out = 1, .out = &v};
        w.grad.m.of = &root;
        result[i] = w.grad.cotangent[v->index];
        const omma_node *wall = result[i] ? NULL : way_through(&before, &w, v, d);
        if (wall) return refuse(&w, wall);
        if (!result[i]) result[i] = omma_make_full(&w.grad.m, v, 0);
        OMMA_TRY(w.grad.m.status);
    }
    return OMMA_OK;
}
