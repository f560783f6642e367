/* naive.h - what a graph means, the plain way: every node alone through its row, in memory
 * of its own, without passes and without a plan. The measure for what sessions compute. */
#ifndef OMMA_TESTS_NAIVE_H
#define OMMA_TESTS_NAIVE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "op/op.h"

typedef struct naive {
    omma_arena arena;
    omma_graph *g;
} naive;

/* Memory of its own for a value of known shape, with these numbers if there are any. */
static inline void naive_place(naive *x, omma_value *v, const void *data) {
    v->mem = omma_arena_alloc(&x->arena, omma_value_bytes(v));
    assert_non_null(v->mem);
    if (data && omma_value_bytes(v)) memcpy(v->mem, data, omma_value_bytes(v));
}

static inline void naive_node(naive *x, omma_node *n) {
    omma_error err = {0};
    omma_build b = {.arena = &x->arena, .err = &err, .kern = omma_kernels_best()};
    omma_exec e = {.threads = 1, .kern = b.kern, .err = &err};
    if (n->op->infer(&b, n)) fail_msg("naive: %s", err.message);
    if (n->op->prepare && n->op->prepare(&b, n)) fail_msg("naive: %s", err.message);
    n->work = omma_arena_alloc(&x->arena, n->scratch);
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i]) naive_place(x, n->out[i], NULL);
    if (n->op->flags & OMMA_OP_VIEW)
        memcpy(n->out[0]->mem, n->in[0]->mem, omma_value_bytes(n->out[0]));
    else if (n->op->run(&e, n)) fail_msg("naive: %s", err.message);
    for (int i = 0; i < n->n_out; i++) /* integers may decide shapes later on */
        if (n->out[i] && n->out[i]->dtype == OMMA_I64) n->out[i]->data = n->out[i]->mem;
}

/* Run a loaded graph on these inputs; fails the test on an error. Free with naive_free. */
static inline void naive_run(naive *x, const omma_graph *model, const omma_tensor *in) {
    omma_arena_init(&x->arena, NULL);
    omma_graph *g = x->g = omma_graph_clone(model, &x->arena);
    for (int i = 0; i < g->n_values; i++)
        if (g->values[i]->data) {
            naive_place(x, g->values[i], g->values[i]->data);
            g->values[i]->data = g->values[i]->mem;
        }
    for (int i = 0; i < g->n_inputs; i++) {
        omma_value *v = g->inputs[i];
        v->dtype = in[i].dtype, v->rank = in[i].rank;
        memcpy(v->dims, in[i].dims, sizeof v->dims);
        naive_place(x, v, in[i].data);
        if (v->dtype == OMMA_I64) v->data = v->mem;
    }
    for (int i = 0; i < g->n_nodes; i++) naive_node(x, g->nodes[i]);
}

static inline void naive_free(naive *x) { omma_arena_free(&x->arena); }

/* Are the tensors of one type and shape, and their numbers within tolerance of the largest
 * of them? Fails the test, naming what, when not. */
static inline void naive_compare(const omma_tensor *got, const omma_tensor *want, double tolerance,
                                 const char *what) {
    double most = 0, off = 0;
    if (!got || got->dtype != want->dtype || got->rank != want->rank ||
        memcmp(got->dims, want->dims, (size_t)want->rank * 8))
        fail_msg("%s: another type or shape", what);
    int64_t n = omma_tensor_count(want);
    for (int64_t i = 0; i < n; i++) {
        double a = omma_get_number(got->dtype, got->data, i),
               b = omma_get_number(want->dtype, want->data, i);
        if (isnan(a) && isnan(b)) continue;
        most = fmax(most, fabs(b));
        off = isnan(a) || isnan(b) ? INFINITY : fmax(off, fabs(a - b));
    }
    /* What is summed is of the order of 1, and where it cancels its rounding remains. */
    if (off > tolerance * fmax(most, 0.1))
        fail_msg("%s: off by %.3g where the largest number is %.3g", what, off, most);
}

#endif
