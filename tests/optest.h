/* optest.h - one operator at work, for the tests of the rooms: a graph of one node.
 *
 *     optest *t = optest_new("Add", 14);
 *     optest_f32(t, (float[]){1, 2}, OPTEST_DIMS(2));
 *     optest_f32(t, (float[]){3, 4}, OPTEST_DIMS(2));
 *     optest_int(t, "axis", 0);
 *     const omma_tensor *y = optest_run(t, 1);      // fails the test on an error
 *     optest_free(t);
 */
#ifndef OMMA_TESTS_OPTEST_H
#define OMMA_TESTS_OPTEST_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "op/op.h"

enum { OPTEST_MAX = 16 };

typedef struct optest {
    omma_arena arena;
    omma_graph *g;
    const char *op;
    int opset, n_in, n_attrs;
    omma_value *in[OPTEST_MAX];
    omma_attr attrs[OPTEST_MAX];
    omma_tensor out[OPTEST_MAX];
    omma_error err;
} optest;

static inline optest *optest_new(const char *op, int opset) {
    optest *t = test_calloc(1, sizeof *t);
    omma_arena_init(&t->arena, NULL);
    t->g = omma_graph_new(&t->arena, "test");
    t->op = op;
    t->opset = opset;
    return t;
}

static inline void optest_free(optest *t) {
    omma_arena_free(&t->arena);
    test_free(t);
}

/* Add an input; constant when the operator needs to know it to infer shapes. The data is
 * copied. dims follow rank. */
static inline void optest_put(optest *t, bool constant, omma_dtype type, const void *data, int rank,
                              const int64_t *dims) {
    omma_value *v = omma_graph_value(t->g, omma_arena_printf(&t->arena, "in%d", t->n_in));
    v->dtype = type;
    v->rank = rank;
    for (int i = 0; i < rank; i++) v->dims[i] = dims[i];
    v->mem = omma_arena_alloc(&t->arena, omma_value_bytes(v));
    if (omma_value_bytes(v)) memcpy(v->mem, data, omma_value_bytes(v));
    if (constant) v->data = v->mem;
    t->in[t->n_in++] = v;
}

#define OPTEST_DIMS(...) \
    ((const int64_t[]){__VA_ARGS__}), (int)(sizeof((const int64_t[]){__VA_ARGS__}) / 8)
static inline void optest_f32(optest *t, const float *data, const int64_t *dims, int rank) {
    optest_put(t, false, OMMA_F32, data, rank, dims);
}
static inline void optest_i64(optest *t, const int64_t *data, const int64_t *dims, int rank) {
    optest_put(t, false, OMMA_I64, data, rank, dims);
}
/* A constant list of integers. */
static inline void optest_list(optest *t, const int64_t *data, int n) {
    optest_put(t, true, OMMA_I64, data, 1, (int64_t[]){n});
}
static inline void optest_skip(optest *t) { t->in[t->n_in++] = NULL; }

static inline void optest_int(optest *t, const char *name, int64_t v) {
    t->attrs[t->n_attrs++] = (omma_attr){.name = name, .kind = OMMA_ATTR_INT, .i = v};
}
static inline void optest_float(optest *t, const char *name, float v) {
    t->attrs[t->n_attrs++] = (omma_attr){.name = name, .kind = OMMA_ATTR_FLOAT, .f = v};
}
static inline void optest_string(optest *t, const char *name, const char *v) {
    t->attrs[t->n_attrs++] = (omma_attr){.name = name, .kind = OMMA_ATTR_STRING, .s = v};
}
static inline void optest_ints(optest *t, const char *name, const int64_t *v, int n) {
    t->attrs[t->n_attrs++] =
        (omma_attr){.name = name, .kind = OMMA_ATTR_INTS, .ints = v, .count = n};
}

/* Infer, prepare and run with n_out outputs; the status of the first step that fails. */
static inline omma_status optest_try(optest *t, int n_out, int threads) {
    const omma_op *op = omma_op_find(t->op);
    assert_non_null(op);
    omma_node *n = omma_graph_node(t->g, op, "node", t->n_in, n_out);
    n->opset = t->opset;
    n->attrs = t->attrs;
    n->n_attrs = t->n_attrs;
    for (int i = 0; i < t->n_in; i++) n->in[i] = t->in[i];
    for (int i = 0; i < n_out; i++)
        omma_node_set_output(n, i,
                             omma_graph_value(t->g, omma_arena_printf(&t->arena, "out%d", i)));
    omma_build b = {.arena = &t->arena, .err = &t->err, .kern = omma_kernels_best(), .threads = 8};
    OMMA_TRY(op->infer(&b, n));
    if (op->prepare) OMMA_TRY(op->prepare(&b, n));
    n->work = omma_arena_alloc(&t->arena, n->scratch);
    for (int i = 0; i < n_out; i++) {
        omma_value *v = n->out[i];
        assert_true(omma_value_known(v));
        v->mem = op->flags & OMMA_OP_VIEW && i == 0
                     ? n->in[0]->mem
                     : omma_arena_alloc(&t->arena, omma_value_bytes(v));
    }
    omma_exec x = {.threads = threads, .kern = b.kern, .err = &t->err};
    if (!(op->flags & OMMA_OP_VIEW)) OMMA_TRY(op->run(&x, n));
    for (int i = 0; i < n_out; i++) t->out[i] = omma_value_tensor(n->out[i]);
    return OMMA_OK;
}

static inline const omma_tensor *optest_run(optest *t, int n_out) {
    omma_status s = optest_try(t, n_out, 2);
    if (s) fail_msg("%s: %s", t->op, t->err.message);
    return t->out;
}

#endif
