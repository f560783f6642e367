/* fold.c - shapes and constants in one walk. A node is evaluated here when nothing it
 * reads depends on the data: all its inputs are constants, or it only asks for shapes.
 * That is how the shape arithmetic of exported models vanishes. */
#include <string.h>

#include "base/pages.h"
#include "graph/scaled.h"
#include "pass/pass.h"
#include "pass/passes.h"

/* Nodes a graph may have once branches and loops are written out. */
enum { NODES_MAX = 1 << 18 };

/* A folded constant larger than this and larger than what it is made from is computed
 * while running instead: a file must not turn a few bytes into gigabytes here. */
enum { FOLD_MAX = 64 << 20 };

/* What decides shapes is small, and is computed here even when the pass is off. */
enum { SHAPE_MAX = 512 };

static bool inputs_known(const omma_node *n) {
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] && !n->in[i]->list && !omma_value_known(n->in[i])) return false;
    return true;
}

static bool independent(const omma_node *n) {
    if (n->op->flags & OMMA_OP_RANDOM) return false;
    size_t in = 0, out = 0;
    for (int i = 0; i < n->n_in; i++) {
        if (!n->in[i]) continue;
        if (!n->in[i]->data && !(n->op->flags & OMMA_OP_SHAPE_ONLY)) return false;
        in += omma_value_bytes(n->in[i]);
    }
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i]) out += omma_value_bytes(n->out[i]);
    return out <= FOLD_MAX || out <= in;
}

/* Shall n be computed here? All its inputs are known. */
static bool wanted_here(const omma_node *n) {
    size_t out = 0;
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i]) out += omma_value_bytes(n->out[i]);
    return independent(n) && (out <= SHAPE_MAX || omma_pass_on("constants"));
}

/* Constants may lie unaligned in the file: rooms get an aligned copy. */
static omma_status lend_inputs(omma_build *b, omma_node *n, omma_arena *tmp) {
    for (int i = 0; i < n->n_in; i++) {
        omma_value *v = n->in[i];
        if (!v || !v->data) continue;
        size_t size = omma_dtype_size(v->dtype);
        omma_scaled_keep(v);
        v->mem = (void *)(uintptr_t)v->data;
        if (!size || (uintptr_t)v->data % size == 0) continue;
        v->mem = omma_arena_alloc(tmp, omma_value_bytes(v));
        if (!v->mem) return omma_nomem(b, n);
        if (omma_value_bytes(v)) memcpy(v->mem, v->data, omma_value_bytes(v));
    }
    return OMMA_OK;
}

static omma_status compute(omma_build *b, omma_node *n, omma_arena *tmp) {
    omma_build local = {.arena = tmp, .err = b->err, .kern = b->kern};
    n->packed_in = 0;
    if (n->op->prepare) OMMA_TRY(n->op->prepare(&local, n));
    n->work = omma_arena_alloc(tmp, n->scratch);
    if (!n->work) return omma_nomem(b, n);
    for (int i = 0; i < n->n_out; i++) {
        if (!n->out[i]) continue;
        n->out[i]->mem = omma_arena_alloc(b->arena, omma_value_bytes(n->out[i]));
        if (!n->out[i]->mem) return omma_nomem(b, n);
    }
    omma_exec x = {.threads = 1, .kern = b->kern, .err = b->err};
    OMMA_TRY(n->op->run(&x, n));
    for (int i = 0; i < n->n_in; i++) /* most often nobody else reads them */
        if (n->in[i]) omma_pages_give_back(n->in[i]->data, omma_value_bytes(n->in[i]));
    return OMMA_OK;
}

static void become_constant(omma_node *n) {
    for (int i = 0; i < n->n_out; i++) {
        omma_value *v = n->out[i];
        if (!v) continue;
        v->data = v->mem;
        v->mem = NULL;
        v->producer = NULL;
        v->offset = n->offset;
        n->out[i] = NULL;
    }
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i]) n->in[i]->mem = NULL;
}

static omma_status evaluate(omma_build *b, omma_node *n) {
    omma_value *in = omma_in(n, 0), *out = n->out[0];
    if (n->op->flags & OMMA_OP_VIEW && out && in->data && n->n_out == 1) {
        out->mem = (void *)(uintptr_t)in->data;
        become_constant(n);
        return OMMA_OK;
    }
    if (n->op->flags & OMMA_OP_VIEW) return OMMA_OK;
    omma_arena tmp;
    omma_arena_init(&tmp, b->arena->budget);
    omma_status s = lend_inputs(b, n, &tmp);
    if (!s) s = compute(b, n, &tmp);
    if (!s) become_constant(n);
    omma_arena_free(&tmp);
    n->packed = NULL;
    n->packed_in = 0;
    n->scratch = 0;
    n->work = NULL;
    return s;
}

/* Does it read a value whose size only a run can tell? infer would take the largest. */
static bool reads_unsized(const omma_node *n) {
    for (int i = 0; i < n->n_in; i++) {
        const omma_value *v = n->in[i];
        if (v && v->producer && v->producer->op->flags & OMMA_OP_DATA_SHAPE) return true;
    }
    return false;
}

/* A node that stands for others gives way to them; *done: it did. */
static omma_status expand_node(omma_build *b, omma_graph *g, omma_node *n, bool *done) {
    int at = n->index, first = g->n_nodes;
    *done = false;
    if (n->op->expand) OMMA_TRY(n->op->expand(b, g, n, done));
    if (*done && !omma_graph_replace(g, at, first)) return omma_nomem(b, n);
    if (*done && g->n_nodes > NODES_MAX)
        return omma_unsupported(b, n, "written out, the graph has more than %d nodes", NODES_MAX);
    for (int i = 0; i < n->n_in && !*done; i++)
        if (n->in[i] && n->in[i]->list)
            return omma_bad(b, n, "input %d ('%s') is a sequence, not a tensor", i, n->in[i]->name);
    return OMMA_OK;
}

/* *expanded: n gave way to other nodes, the first of them in its place. */
static omma_status fold_node(omma_build *b, omma_graph *g, omma_node *n, bool complete,
                             bool *expanded) {
    *expanded = false;
    if (!inputs_known(n)) {
        if (!complete) return OMMA_OK;
        return omma_fail_node(b->err, OMMA_E_INTERNAL, n->name, n->op->name,
                              "the shape of what it reads was not inferred");
    }
    /* Not for good before the shapes are: a node that only reads shapes may know them all
     * here, while one that needs numbers it does not have would fail. */
    if (!complete && !independent(n)) return OMMA_OK;
    OMMA_TRY(expand_node(b, g, n, expanded));
    if (*expanded) return OMMA_OK;
    OMMA_TRY(n->op->infer(b, n));
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i] && !omma_value_known(n->out[i]))
            return omma_fail_node(b->err, OMMA_E_INTERNAL, n->name, n->op->name,
                                  "its shape was not inferred");
    return wanted_here(n) ? evaluate(b, n) : OMMA_OK;
}

omma_status omma_pass_fold(omma_build *b, omma_graph *g, bool complete, int *cut) {
    if (cut) *cut = -1;
    omma_graph_sweep(g); /* what nobody needs cannot fail */
    for (int i = 0; i < g->n_nodes; i++) {
        omma_node *n = g->nodes[i];
        b->wanted = NULL;
        bool unsized = cut && reads_unsized(n), expanded = false;
        omma_status s = unsized ? OMMA_OK : fold_node(b, g, n, complete, &expanded);
        if (expanded) i--;
        if (unsized || (cut && s == OMMA_E_UNSUPPORTED && b->wanted)) {
            *cut = i;
            return s;
        }
        if (s) {
            if (b->err) b->err->offset = n->offset;
            return s;
        }
    }
    omma_graph_sweep(g);
    return OMMA_OK;
}
