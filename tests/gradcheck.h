/* gradcheck.h - is an operator's gradient right? A graph of one node in float64 is differentiated
 * with random cotangents, and every number of the gradient is compared with the central difference
 * of the plain run; then the gradient in float32 with the one in float64.
 *
 *     gradcheck *c = gradcheck_new("Conv", 11, 1);           // operator, opset, outputs
 *     gradcheck_float(c, -1, 1, GRADCHECK_DIMS(1, 2, 5, 5)); // random numbers in a range
 *     gradcheck_float(c, -1, 1, GRADCHECK_DIMS(3, 2, 3, 3));
 *     gradcheck_int(c, "group", 1);
 *     gradcheck_run(c);                                      // checks, and frees c
 *
 * Care at kinks: numbers of gradcheck_float keep 0.02 away from whole and half numbers, and no two
 * of one input are nearer than 1e-3, so no maximum is a tie. */
#ifndef OMMA_TESTS_GRADCHECK_H
#define OMMA_TESTS_GRADCHECK_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#include "op/op.h"
#include "run/gradient.h"
#include "run/session.h"

enum { GRADCHECK_IN = 16, GRADCHECK_OUT = 8, GRADCHECK_MOST = 4096 };

typedef struct gradcheck_in {
    omma_dtype type;    /* OMMA_F64: in the type of the check; else as it is */
    bool absent, fixed; /* fixed: a constant; an input otherwise */
    bool still;         /* an input that is not differentiated by */
    int rank;
    int64_t dims[OMMA_MAX_RANK], count;
    void *data;
} gradcheck_in;

typedef struct gradcheck {
    omma_arena arena;
    const omma_op *op;
    const char *what;
    int opset, outs, n_in, n_attrs;
    gradcheck_in in[GRADCHECK_IN];
    omma_attr attrs[GRADCHECK_IN];
    bool deaf[GRADCHECK_OUT]; /* outputs that get no cotangent: whole numbers */
    double tolerance;         /* of float64, relative to 1 + the largest */
    double tolerance32;
    double step;
} gradcheck;

#define GRADCHECK_DIMS(...) \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), ((int64_t[]){__VA_ARGS__})

static uint32_t gradcheck_seed = 1;
static inline double gradcheck_random(double lo, double hi) {
    gradcheck_seed = gradcheck_seed * 1664525u + 1013904223u;
    return lo + (hi - lo) * ((double)(gradcheck_seed >> 8) / 16777216.0);
}

static inline gradcheck *gradcheck_new(const char *op, int opset, int outs) {
    gradcheck *c = test_calloc(1, sizeof *c);
    omma_arena_init(&c->arena, NULL);
    c->op = omma_op_find(op);
    c->what = op;
    assert_non_null(c->op);
    c->opset = opset;
    c->outs = outs;
    c->tolerance = 1e-6;
    c->tolerance32 = 2e-4;
    c->step = 1e-5;
    return c;
}

static inline gradcheck_in *gradcheck_put(gradcheck *c, omma_dtype type, int rank,
                                          const int64_t *dims) {
    assert_true(c->n_in < GRADCHECK_IN);
    gradcheck_in *in = &c->in[c->n_in++];
    *in = (gradcheck_in){.type = type, .rank = rank, .count = 1};
    for (int i = 0; i < rank; i++) in->dims[i] = dims[i], in->count *= dims[i];
    assert_true(in->count <= GRADCHECK_MOST);
    in->data = omma_arena_alloc(&c->arena, (size_t)in->count * 8 + 8);
    return in;
}

/* A value the others of the input keep 1e-3 away from, itself 0.02 from multiples of a half. */
static inline double gradcheck_value(const double *x, int64_t n, double lo, double hi) {
    for (int tries = 0; tries < 200; tries++) {
        const double v = gradcheck_random(lo, hi), near = fabs(v * 2 - nearbyint(v * 2));
        bool good = near > 0.04;
        for (int64_t i = 0; i < n && good; i++) good = fabs(v - x[i]) > (hi - lo) * 1e-3 / 4;
        if (good) return v;
    }
    return gradcheck_random(lo, hi);
}

/* Random numbers in [lo, hi]; the gradient by them is checked. */
static inline gradcheck_in *gradcheck_float(gradcheck *c, double lo, double hi, int rank,
                                            const int64_t *dims) {
    gradcheck_in *in = gradcheck_put(c, OMMA_F64, rank, dims);
    double *x = in->data;
    for (int64_t i = 0; i < in->count; i++) x[i] = gradcheck_value(x, i, lo, hi);
    return in;
}

/* These numbers. */
static inline gradcheck_in *gradcheck_data(gradcheck *c, const double *x, int rank,
                                           const int64_t *dims) {
    gradcheck_in *in = gradcheck_put(c, OMMA_F64, rank, dims);
    memcpy(in->data, x, (size_t)in->count * 8);
    return in;
}

/* A constant list of whole numbers, and an input of them of any shape. */
static inline void gradcheck_list(gradcheck *c, const int64_t *x, int n) {
    gradcheck_in *in = gradcheck_put(c, OMMA_I64, 1, (int64_t[]){n});
    memcpy(in->data, x, (size_t)n * 8);
    in->fixed = true;
}
static inline gradcheck_in *gradcheck_whole(gradcheck *c, const int64_t *x, int rank,
                                            const int64_t *dims) {
    gradcheck_in *in = gradcheck_put(c, OMMA_I64, rank, dims);
    memcpy(in->data, x, (size_t)in->count * 8);
    return in;
}
static inline gradcheck_in *gradcheck_bool(gradcheck *c, const unsigned char *x, int rank,
                                           const int64_t *dims) {
    gradcheck_in *in = gradcheck_put(c, OMMA_BOOL, rank, dims);
    memcpy(in->data, x, (size_t)in->count);
    return in;
}
static inline void gradcheck_skip(gradcheck *c) { c->in[c->n_in++].absent = true; }

static inline void gradcheck_attr(gradcheck *c, omma_attr a) { c->attrs[c->n_attrs++] = a; }
static inline void gradcheck_int(gradcheck *c, const char *name, int64_t v) {
    gradcheck_attr(c, (omma_attr){.name = name, .kind = OMMA_ATTR_INT, .i = v, .s = ""});
}
static inline void gradcheck_real(gradcheck *c, const char *name, float v) {
    gradcheck_attr(c, (omma_attr){.name = name, .kind = OMMA_ATTR_FLOAT, .f = v, .s = ""});
}
static inline void gradcheck_text(gradcheck *c, const char *name, const char *v) {
    gradcheck_attr(c, (omma_attr){.name = name, .kind = OMMA_ATTR_STRING, .s = v});
}
static inline void gradcheck_ints(gradcheck *c, const char *name, int n, const int64_t *v) {
    int64_t *copy = omma_arena_alloc(&c->arena, (size_t)n * 8 + 8);
    memcpy(copy, v, (size_t)n * 8);
    gradcheck_attr(
        c, (omma_attr){.name = name, .kind = OMMA_ATTR_INTS, .ints = copy, .count = n, .s = ""});
}

/* --- the graph in one type ----------------------------------------------------------------- */

typedef struct gradcheck_side {
    omma_dtype t;
    omma_arena arena;
    omma_graph *g;
    omma_tensor in[GRADCHECK_IN];
    int from[GRADCHECK_IN]; /* by graph input: which of the check's */
    const char *by[GRADCHECK_IN], *of[GRADCHECK_OUT];
    int which[GRADCHECK_IN]; /* by gradient: which of the check's inputs */
    int n_by, n_of;
    omma_session *session;
    omma_gradient *gradient;
    omma_tensor seed[GRADCHECK_OUT];
    omma_error err;
} gradcheck_side;

static inline void gradcheck_convert(gradcheck_side *s, const gradcheck_in *in, omma_tensor *t) {
    *t = (omma_tensor){.dtype = in->type == OMMA_F64 ? s->t : in->type, .rank = in->rank};
    memcpy(t->dims, in->dims, sizeof t->dims);
    t->data = omma_arena_alloc(&s->arena, (size_t)in->count * 8 + 8);
    if (in->type == OMMA_F64)
        for (int64_t i = 0; i < in->count; i++)
            omma_set_number(s->t, t->data, i, ((const double *)in->data)[i]);
    else memcpy(t->data, in->data, (size_t)in->count * omma_dtype_size(in->type));
}

static inline omma_value *gradcheck_input(gradcheck_side *s, const gradcheck_in *in, int i) {
    omma_tensor t;
    omma_value *v = omma_graph_value(s->g, omma_arena_printf(&s->arena, "in%d", i));
    gradcheck_convert(s, in, &t);
    v->dtype = t.dtype;
    v->rank = t.rank;
    memcpy(v->dims, t.dims, sizeof v->dims);
    if (in->fixed) {
        v->data = t.data;
        return v;
    }
    v->is_input = true;
    if (in->type == OMMA_F64 && !in->still) s->which[s->n_by] = i, s->by[s->n_by++] = v->name;
    s->from[s->g->n_inputs] = i;
    s->in[s->g->n_inputs] = t;
    s->g->inputs[s->g->n_inputs++] = v;
    return v;
}

static inline void gradcheck_build(gradcheck_side *s, const gradcheck *c, omma_dtype t) {
    *s = (gradcheck_side){.t = t};
    omma_arena_init(&s->arena, NULL);
    omma_graph *g = s->g = omma_graph_new(&s->arena, "check");
    omma_node *n = omma_graph_node(g, c->op, "node", c->n_in, c->outs);
    g->inputs = omma_arena_array(&s->arena, GRADCHECK_IN, sizeof *g->inputs);
    g->outputs = omma_arena_array(&s->arena, GRADCHECK_OUT, sizeof *g->outputs);
    n->opset = c->opset;
    n->attrs = c->attrs;
    n->n_attrs = c->n_attrs;
    for (int i = 0; i < c->n_in; i++)
        n->in[i] = c->in[i].absent ? NULL : gradcheck_input(s, &c->in[i], i);
    for (int i = 0; i < c->outs; i++) {
        omma_value *v = omma_graph_value(g, omma_arena_printf(&s->arena, "out%d", i));
        omma_node_set_output(n, i, v);
        if (c->deaf[i]) continue;
        v->is_output = true;
        s->of[s->n_of++] = v->name;
        g->outputs[g->n_outputs++] = v;
    }
    if (omma_session_on_graph(&s->session, g, "check", NULL, &s->err) ||
        omma_session_run(s->session, s->in, g->n_inputs, &s->err))
        fail_msg("%s: %s", c->what, s->err.message);
}

static inline void gradcheck_drop(gradcheck_side *s) {
    omma_gradient_free(s->gradient);
    omma_session_free(s->session);
    omma_arena_free(&s->arena);
}

static inline double gradcheck_number(const omma_tensor *t, int64_t i) {
    return omma_get_number(t->dtype, t->data, i);
}

static inline int64_t gradcheck_count(const omma_tensor *t) {
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++) n *= t->dims[i];
    return n;
}

/* Differentiate with these cotangents (the same numbers for both types). */
static inline void gradcheck_back(gradcheck_side *s, const gradcheck *c) {
    gradcheck_seed = 77;
    for (int i = 0; i < s->n_of; i++) {
        s->seed[i] = *omma_session_output(s->session, i);
        const int64_t n = gradcheck_count(&s->seed[i]);
        s->seed[i].data = omma_arena_alloc(&s->arena, (size_t)n * 8 + 8);
        for (int64_t k = 0; k < n; k++)
            omma_set_number(s->seed[i].dtype, s->seed[i].data, k,
                            (double)(float)gradcheck_random(-1, 1));
    }
    const omma_gradient_how how = {
        .of = s->of, .n_of = s->n_of, .by = s->by, .n_by = s->n_by, .seeded = 1};
    if (omma_gradient_on_graph(&s->gradient, s->g, "check", &how, NULL, &s->err) ||
        omma_gradient_run(s->gradient, s->in, s->g->n_inputs, s->seed, &s->err))
        fail_msg("%s: %s", c->what, s->err.message);
}

/* <seed, outputs> */
static inline double gradcheck_loss(gradcheck_side *s, const gradcheck *c) {
    double sum = 0;
    if (omma_session_run(s->session, s->in, s->g->n_inputs, &s->err))
        fail_msg("%s: %s", c->what, s->err.message);
    for (int i = 0; i < s->n_of; i++) {
        const omma_tensor *y = omma_session_output(s->session, i);
        for (int64_t k = 0, n = gradcheck_count(y); k < n; k++)
            sum += gradcheck_number(y, k) * gradcheck_number(&s->seed[i], k);
    }
    return sum;
}

static inline void gradcheck_differences(gradcheck_side *s, const gradcheck *c, int by) {
    const omma_tensor *got = omma_gradient_result(s->gradient, by);
    omma_tensor *x = NULL;
    for (int i = 0; i < s->g->n_inputs; i++)
        if (s->from[i] == s->which[by]) x = &s->in[i];
    double largest = 1;
    const int64_t n = gradcheck_count(x);
    assert_int_equal(n, gradcheck_count(got));
    for (int64_t k = 0; k < n; k++) largest = fmax(largest, fabs(gradcheck_number(got, k)));
    for (int64_t k = 0; k < n; k++) {
        double *at = (double *)x->data + k;
        const double old = *at;
        *at = old + c->step;
        const double up = gradcheck_loss(s, c);
        *at = old - c->step;
        const double down = gradcheck_loss(s, c);
        *at = old;
        const double want = (up - down) / (2 * c->step), is = gradcheck_number(got, k);
        if (!(fabs(want - is) <= c->tolerance * largest))
            fail_msg("%s: by input %d, number %lld: gradient %.9g, difference %.9g", c->what,
                     s->which[by], (long long)k, is, want);
    }
}

static inline void gradcheck_compare(const gradcheck *c, const gradcheck_side *a,
                                     const gradcheck_side *b, int by) {
    const omma_tensor *x = omma_gradient_result(a->gradient, by),
                      *y = omma_gradient_result(b->gradient, by);
    double largest = 1;
    const int64_t n = gradcheck_count(x);
    for (int64_t k = 0; k < n; k++) largest = fmax(largest, fabs(gradcheck_number(x, k)));
    for (int64_t k = 0; k < n; k++)
        if (!(fabs(gradcheck_number(x, k) - gradcheck_number(y, k)) <= c->tolerance32 * largest))
            fail_msg("%s: by input %d, number %lld: %.9g in float64, %.9g in float32", c->what,
                     a->which[by], (long long)k, gradcheck_number(x, k), gradcheck_number(y, k));
}

static inline void gradcheck_run(gradcheck *c) {
    gradcheck_side wide, narrow;
    gradcheck_build(&wide, c, OMMA_F64);
    gradcheck_back(&wide, c);
    for (int i = 0; i < wide.n_by; i++) gradcheck_differences(&wide, c, i);
    gradcheck_build(&narrow, c, OMMA_F32);
    gradcheck_back(&narrow, c);
    for (int i = 0; i < wide.n_by; i++) gradcheck_compare(c, &wide, &narrow, i);
    gradcheck_drop(&wide);
    gradcheck_drop(&narrow);
    omma_arena_free(&c->arena);
    test_free(c);
}

#endif
