/* convmodel.h - small models of a few layers for the tests of fields, made as graphs, and effective
 * fields of them.
 *
 *     model *m = begin(3, 9, 9);                                     // image: [1, 3, 9, 9]
 *     const char *name = add_conv(m, (conv){3, 8, 3, 1, 1, 1, 0});   // random weights
 *     fill(m);                                                       // random numbers
 *     omma_effective *e = made(m, name, -1, -1, OMMA_RECIPE_DEFAULT);
 *     add(e, m);
 *     finish(m); */
#ifndef OMMA_TESTS_CONVMODEL_H
#define OMMA_TESTS_CONVMODEL_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "field/effective.h"
#include "op/op.h"

/* --- models ---------------------------------------------------------------------------------- */

typedef struct model {
    omma_arena arena;
    omma_graph *g;
    omma_value *last; /* what the next layer reads */
    omma_tensor image;
    int layers;
    uint32_t state;
} model;

static inline double unit_random(model *m) { /* [-1, 1) */
    m->state = m->state * 1664525u + 1013904223u;
    return (double)(m->state >> 8) / 8388608.0 - 1;
}

static inline model *begin(int64_t c, int64_t h, int64_t w) {
    model *m = test_calloc(1, sizeof *m);
    const int64_t dims[] = {1, c, h, w};
    omma_arena_init(&m->arena, NULL);
    m->state = 5;
    m->g = omma_graph_new(&m->arena, "test");
    m->g->inputs = omma_arena_array(&m->arena, 1, sizeof(omma_value *));
    m->g->outputs = omma_arena_array(&m->arena, 1, sizeof(omma_value *));
    omma_value *x = m->last = m->g->inputs[0] = omma_graph_value(m->g, "image");
    m->g->n_inputs = 1;
    x->is_input = true;
    x->dtype = OMMA_F32;
    x->rank = 4;
    memcpy(x->dims, dims, sizeof dims);
    m->image = omma_value_tensor(x);
    m->image.data = omma_arena_array(&m->arena, (size_t)(c * h * w), sizeof(float));
    return m;
}

static inline void fill(model *m) {
    for (int64_t i = 0, n = omma_tensor_count(&m->image); i < n; i++)
        ((float *)m->image.data)[i] = (float)unit_random(m);
}

static inline void finish(model *m) {
    omma_arena_free(&m->arena);
    test_free(m);
}

static inline omma_value *layer(model *m, const char *op, int n_in) {
    const char *name = omma_arena_printf(&m->arena, "layer%d", m->layers++);
    omma_node *n = omma_graph_node(m->g, omma_op_find(op), name, n_in, 1);
    assert_non_null(n->op);
    n->opset = 13;
    n->in[0] = m->last;
    m->last = omma_graph_value(m->g, name);
    omma_node_set_output(n, 0, m->last);
    m->g->outputs[0] = m->last;
    m->g->n_outputs = 1;
    for (int i = 0; i < m->g->n_values; i++) m->g->values[i]->is_output = false;
    m->last->is_output = true;
    return m->last;
}

typedef struct conv {
    int64_t from, to, kernel, stride, dilation, pad;
    double weight; /* of all; 0: random */
} conv;

static inline const char *add_conv(model *m, conv c) {
    layer(m, "Conv", 2);
    omma_node *n = m->last->producer;
    const int64_t dims[] = {c.to, c.from, c.kernel, c.kernel},
                  count = c.to * c.from * dims[2] * dims[3];
    float *w = omma_arena_array(&m->arena, (size_t)count, sizeof *w);
    for (int64_t i = 0; i < count; i++) w[i] = (float)(c.weight != 0 ? c.weight : unit_random(m));
    n->in[1] = omma_graph_constant(m->g, omma_arena_printf(&m->arena, "w%d", m->layers), OMMA_F32,
                                   4, dims, w);
    static const char *const names[] = {"strides", "dilations", "pads"};
    const int64_t each[] = {c.stride, c.dilation, c.pad};
    omma_attr *attrs = omma_arena_array(&m->arena, 3, sizeof *attrs);
    for (int k = 0; k < 3; k++) {
        int64_t *list = omma_arena_array(&m->arena, 4, sizeof *list);
        for (int i = 0; i < 4; i++) list[i] = each[k];
        attrs[k] = (omma_attr){.name = names[k],
                               .kind = OMMA_ATTR_INTS,
                               .ints = list,
                               .count = k < 2 ? 2 : 4,
                               .s = ""};
    }
    n->attrs = attrs;
    n->n_attrs = 3;
    return m->last->name;
}

static inline void add_shape(model *m, const char *op, const int64_t *list, int n) {
    const bool move = !strcmp(op, "Transpose");
    layer(m, op, move ? 1 : 2);
    omma_node *node = m->last->producer;
    int64_t *copy = omma_arena_array(&m->arena, (size_t)n, sizeof *copy);
    memcpy(copy, list, (size_t)n * sizeof *copy);
    if (move) {
        omma_attr *perm = omma_arena_array(&m->arena, 1, sizeof *perm);
        *perm =
            (omma_attr){.name = "perm", .kind = OMMA_ATTR_INTS, .ints = copy, .count = n, .s = ""};
        node->attrs = perm, node->n_attrs = 1;
    } else
        node->in[1] = omma_graph_constant(m->g, omma_arena_printf(&m->arena, "s%d", m->layers),
                                          OMMA_I64, 1, &(int64_t){n}, copy);
}

/* Layer op of the last value and a constant of floats. */
static inline void add_with(model *m, const char *op, const float *x, int rank, const int64_t *dims,
                            bool first) {
    layer(m, op, 2);
    omma_node *n = m->last->producer;
    int64_t count = 1;
    for (int d = 0; d < rank; d++) count *= dims[d];
    float *copy = omma_arena_array(&m->arena, (size_t)count, sizeof *copy);
    memcpy(copy, x, (size_t)count * sizeof *copy);
    omma_value *c = omma_graph_constant(m->g, omma_arena_printf(&m->arena, "c%d", m->layers),
                                        OMMA_F32, rank, dims, copy);
    n->in[1] = first ? n->in[0] : c;
    if (first) n->in[0] = c;
}

/* --- fields ---------------------------------------------------------------------------------- */

static inline omma_effective *made(const model *m, const char *value, int64_t y, int64_t x,
                                   omma_recipe recipe) {
    omma_effective *e;
    omma_error err;
    const omma_effective_what what = {
        .unit = {.value = value, .y = y, .x = x}, .recipe = recipe, .seed = 11};
    if (omma_effective_new(&e, m->g, "test", &what, NULL, &err)) fail_msg("%s", err.message);
    return e;
}

static inline void add(omma_effective *e, const model *m) {
    omma_error err;
    if (omma_effective_add(e, &m->image, 1, &err)) fail_msg("%s", err.message);
}

static inline omma_effective_measures measures(const omma_effective *e) {
    omma_effective_measures x;
    omma_error err;
    if (omma_effective_measure(e, OMMA_SCALE_RAW, &x, &err)) fail_msg("%s", err.message);
    return x;
}

static inline void read_map(const omma_effective *e, omma_scale scale, double *map, double *error) {
    omma_error err;
    if (omma_effective_map(e, scale, map, error, &err)) fail_msg("%s", err.message);
}

#endif
