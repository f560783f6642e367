/* attribmodel.h - attributions of the small models of convmodel.h: a target, a map, and what is
 * told when something is wrong. */
#ifndef OMMA_TESTS_ATTRIBMODEL_H
#define OMMA_TESTS_ATTRIBMODEL_H

#include "convmodel.h"
#include "field/faithfulness.h"
#include "run/session.h"

/* Layer op of the last value and k constants more; returns the node, for attributes. */
static inline omma_node *add_node(model *m, const char *op, int outs) {
    const char *name = omma_arena_printf(&m->arena, "layer%d", m->layers++);
    omma_node *n = omma_graph_node(m->g, omma_op_find(op), name, 1, outs);
    assert_non_null(n->op);
    n->opset = 13;
    n->in[0] = m->last;
    for (int i = 0; i < outs; i++)
        omma_node_set_output(
            n, i,
            omma_graph_value(m->g, i ? omma_arena_printf(&m->arena, "%s.%d", name, i) : name));
    m->last = n->out[0];
    return n;
}

/* Make n's constant i, a list of whole numbers; n has room for one input more than it had. */
static inline void give_ints(model *m, omma_node *n, int i, const int64_t *list, int count) {
    omma_value **in = omma_arena_array(&m->arena, (size_t)i + 1, sizeof *in);
    memcpy(in, n->in, (size_t)n->n_in * sizeof *in);
    int64_t *copy = omma_arena_array(&m->arena, (size_t)count, sizeof *copy);
    memcpy(copy, list, (size_t)count * sizeof *copy);
    in[i] = omma_graph_constant(m->g, omma_arena_printf(&m->arena, "%s~%d", n->name, i), OMMA_I64,
                                1, &(int64_t){count}, copy);
    n->in = in;
    n->n_in = i + 1;
}

static inline void give_int(model *m, omma_node *n, const char *name, int64_t v) {
    omma_attr *a = omma_arena_array(&m->arena, (size_t)n->n_attrs + 1, sizeof *a);
    if (n->n_attrs) memcpy(a, n->attrs, (size_t)n->n_attrs * sizeof *a);
    a[n->n_attrs++] = (omma_attr){.name = name, .kind = OMMA_ATTR_INT, .i = v, .s = ""};
    n->attrs = a;
}

/* The weights of the last convolution, [to, from, k, k]. */
static inline float *weights(const model *m) { return (float *)m->last->producer->in[1]->data; }

/* Values of the model that sessions hand out. */
static inline void set_outputs(model *m, omma_value *const *v, int n) {
    for (int i = 0; i < m->g->n_values; i++) m->g->values[i]->is_output = false;
    m->g->outputs = omma_arena_array(&m->arena, (size_t)n, sizeof *m->g->outputs);
    for (int i = 0; i < n; i++) m->g->outputs[i] = v[i], v[i]->is_output = true;
    m->g->n_outputs = n;
}

static inline omma_attribution *asked(const model *m, omma_target t) {
    omma_attribution *a;
    omma_error err;
    if (omma_attribution_new(&a, m->g, "test", &t, 0, NULL, &err)) fail_msg("%s", err.message);
    return a;
}

static inline omma_heat heated(omma_attribution *a, model *m, omma_attribution_how how) {
    omma_heat h;
    omma_error err;
    if (omma_attribution_run(a, &h, &m->image, 1, &how, &m->arena, &err))
        fail_msg("%s", err.message);
    assert_string_equal(h.method, omma_method_name(how.method));
    return h;
}

static inline double value_of(omma_attribution *a, const model *m) {
    double f;
    omma_error err;
    if (omma_attribution_value(a, &f, &m->image, 1, &err)) fail_msg("%s", err.message);
    return f;
}

/* The target alone of a model; all is freed. */
static inline double target_of(const model *m, omma_target t) {
    omma_attribution *a = asked(m, t);
    const double f = value_of(a, m);
    omma_attribution_free(a);
    return f;
}

static inline void assert_near(double x, double want, double by) {
    if (!(fabs(x - want) <= by)) fail_msg("%.12g, not %.12g to %g", x, want, by);
}

/* Making or running it fails so, with these words. */
static inline void refused(const model *m, omma_target t, omma_attribution_how how,
                           omma_status want, const char *text) {
    omma_attribution *a;
    omma_error err = {0};
    omma_heat h;
    omma_arena arena;
    omma_arena_init(&arena, NULL);
    omma_status s = omma_attribution_new(&a, m->g, "the model", &t, 0, NULL, &err);
    if (!s) s = omma_attribution_run(a, &h, &m->image, 1, &how, &arena, &err);
    if (s != want || !strstr(err.message, text) || !strstr(err.message, "the model"))
        fail_msg("%d, not %d with '%s': %s", s, want, text, err.message);
    omma_attribution_free(a);
    omma_arena_free(&arena);
}

#endif
