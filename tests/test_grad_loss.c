/* test_grad_loss.c - the gradients of softmaxes and of the losses on top of them. */
#include "gradcheck.h"

static const struct {
    int rank, axis, opset;
    int64_t dims[4];
} lanes[] = {{1, -1, 13, {7}},          {2, 1, 13, {3, 5}},       {2, 0, 13, {3, 5}},
             {4, -1, 13, {2, 2, 3, 9}}, {4, 1, 13, {2, 5, 3, 4}}, {3, -2, 13, {2, 300, 3}},
             {3, 1, 11, {2, 3, 4}},     {3, 0, 11, {2, 3, 4}},    {3, 2, 11, {2, 3, 4}},
             {3, -1, 11, {2, 3, 4}},    {2, 2, 11, {3, 5}},       {2, 1, 13, {3, 1}},
             {0, -1, 13, {0}},          {2, 1, 13, {0, 3}},       {3, 1, 13, {2, 3, 600}},
             {2, 1, 13, {1, 2500}}};

static void softmaxes(void **state) {
    (void)state;
    static const char *const ops[] = {"Softmax", "LogSoftmax", "Hardmax"};
    for (int k = 0; k < 3; k++)
        for (size_t i = 0; i < sizeof lanes / sizeof *lanes; i++) {
            gradcheck *c = gradcheck_new(ops[k], lanes[i].opset, 1);
            gradcheck_float(c, -2, 2, lanes[i].rank, lanes[i].dims);
            gradcheck_int(c, "axis", lanes[i].axis);
            gradcheck_run(c);
        }
}

/* What -inf blocks has weight 0 and gradient 0. */
static void blocked(void **state) {
    (void)state;
    const double x[] = {0.5, -INFINITY, 1, -INFINITY, 2, -INFINITY};
    gradcheck *c = gradcheck_new("Softmax", 13, 1);
    gradcheck_side s;
    gradcheck_data(c, x, 2, (int64_t[]){2, 3});
    for (int t = 0; t < 2; t++) {
        gradcheck_build(&s, c, t ? OMMA_F32 : OMMA_F64);
        gradcheck_back(&s, c);
        const omma_tensor *dx = omma_gradient_result(s.gradient, 0);
        assert_true(gradcheck_number(dx, 1) == 0);
        assert_true(fabs(gradcheck_number(dx, 0) + gradcheck_number(dx, 2)) < 1e-7);
        assert_true(gradcheck_number(dx, 0) != 0);
        for (int i = 3; i < 6; i++) assert_true(gradcheck_number(dx, i) == 0);
        gradcheck_drop(&s);
    }
    omma_arena_free(&c->arena);
    test_free(c);
}

/* --- between convolutions, whose maps a plan lays channels last ------------------------------ */

static omma_value *conv(omma_graph *g, omma_value *x, const char *name, omma_dtype t) {
    enum { C = 8, TAPS = 9 };
    void *w = omma_arena_alloc(g->arena, C * C * TAPS * 8);
    for (int i = 0; i < C * C * TAPS; i++) omma_set_number(t, w, i, sin(i * 1.7) / 5);
    omma_node *n = omma_graph_node(g, omma_op_find("Conv"), name, 2, 1);
    static const int64_t pads[] = {1, 1, 1, 1};
    static const omma_attr a = {
        .name = "pads", .kind = OMMA_ATTR_INTS, .ints = pads, .count = 4, .s = ""};
    n->opset = 11, n->attrs = &a, n->n_attrs = 1;
    n->in[0] = x;
    n->in[1] = omma_graph_constant(g, omma_arena_printf(g->arena, "%s.w", name), t, 4,
                                   (int64_t[]){C, C, 3, 3}, w);
    omma_node_set_output(n, 0, omma_graph_value(g, name));
    return n->out[0];
}

static void build(gradcheck_side *s, const char *op, int axis, omma_dtype t) {
    static const int64_t dims[] = {1, 8, 6, 7};
    *s = (gradcheck_side){.t = t, .n_by = 1, .n_of = 1, .by = {"x"}, .of = {"out"}};
    omma_arena_init(&s->arena, NULL);
    omma_graph *g = s->g = omma_graph_new(&s->arena, "chain");
    omma_value *x = omma_graph_value(g, "x"), *y;
    x->dtype = t, x->rank = 4, x->is_input = true;
    memcpy(x->dims, dims, sizeof dims);
    s->in[0] = (omma_tensor){.dtype = t, .rank = 4, .dims = {1, 8, 6, 7}};
    s->in[0].data = omma_arena_alloc(&s->arena, 8 * 6 * 7 * 8);
    for (int i = 0; i < 8 * 6 * 7; i++) omma_set_number(t, s->in[0].data, i, 2 * sin(i * 0.9));
    omma_value *in = conv(g, x, "first", t);
    omma_node *n = omma_graph_node(g, omma_op_find(op), op, 1, 1);
    omma_attr *a = omma_arena_alloc(&s->arena, sizeof *a);
    *a = (omma_attr){.name = "axis", .kind = OMMA_ATTR_INT, .i = axis, .s = ""};
    n->opset = 13, n->attrs = a, n->n_attrs = 1;
    n->in[0] = in;
    omma_node_set_output(n, 0, omma_graph_value(g, "soft"));
    y = conv(g, n->out[0], "out", t);
    y->is_output = true;
    g->inputs = omma_arena_array(&s->arena, 1, sizeof *g->inputs);
    g->outputs = omma_arena_array(&s->arena, 1, sizeof *g->outputs);
    g->inputs[g->n_inputs++] = x;
    g->outputs[g->n_outputs++] = y;
    if (omma_session_on_graph(&s->session, g, "chain", NULL, &s->err) ||
        omma_session_run(s->session, s->in, 1, &s->err))
        fail_msg("%s", s->err.message);
}

static void channels_last(void **state) {
    (void)state;
    static const char *const ops[] = {"Softmax", "LogSoftmax"};
    for (int k = 0; k < 2; k++)
        for (int axis = -1; axis < 3; axis++) {
            gradcheck c = {.what = ops[k], .tolerance32 = 1e-5};
            gradcheck_side wide, narrow;
            build(&wide, ops[k], axis, OMMA_F64);
            gradcheck_back(&wide, &c);
            build(&narrow, ops[k], axis, OMMA_F32);
            gradcheck_back(&narrow, &c);
            gradcheck_compare(&c, &wide, &narrow, 0);
            gradcheck_drop(&wide);
            gradcheck_drop(&narrow);
        }
}

/* --- losses ---------------------------------------------------------------------------------- */

typedef struct kind {
    const char *op, *reduction;
    bool weights, ignores;
    int64_t ignored;
    int outs;
} kind;

static void one_loss(const kind *k, int rank, const int64_t *dims, const int64_t *labels) {
    int64_t places[4] = {dims[0]};
    for (int d = 2; d < rank; d++) places[d - 1] = dims[d];
    gradcheck *c = gradcheck_new(k->op, 13, k->outs);
    gradcheck_float(c, -2, 2, rank, dims);
    gradcheck_whole(c, labels, rank - 1, places);
    if (k->weights) gradcheck_float(c, 0.2, 2, GRADCHECK_DIMS(dims[1]));
    gradcheck_text(c, "reduction", k->reduction);
    if (k->ignores) gradcheck_int(c, "ignore_index", k->ignored);
    gradcheck_run(c);
}

static void losses(void **state) {
    (void)state;
    static const int64_t labels[] = {1, 0, 2, 1, 2, 2, 0, 1, 0, 0, 2, 1},
                         with_gaps[] = {1, -100, 2, 1, -100, 2, 0, 1, 0, -100, 2, 1};
    static const int64_t dims[][4] = {{4, 3}, {2, 3, 3}, {1, 3, 4, 3}, {2, 4, 2, 3}};
    static const int ranks[] = {2, 3, 4, 4};
    static const char *const ops[] = {"NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"};
    static const char *const reductions[] = {"none", "sum", "mean"};
    for (int op = 0; op < 2; op++)
        for (int r = 0; r < 3; r++)
            for (int w = 0; w < 2; w++)
                for (int i = 0; i < 3; i++) /* none; one beyond the classes; one of them */
                    for (int s = 0; s < 4; s++) {
                        const kind k = {.op = ops[op],
                                        .reduction = reductions[r],
                                        .weights = w,
                                        .ignores = i > 0,
                                        .ignored = i == 1 ? -100 : 2,
                                        .outs = 1 + (op && s % 2)};
                        one_loss(&k, ranks[s], dims[s], i == 1 ? with_gaps : labels);
                    }
}

/* Only the logarithms of softmax, the second output, are differentiated. */
static void second_output(void **state) {
    (void)state;
    static const int64_t labels[] = {1, 0};
    gradcheck *c = gradcheck_new("SoftmaxCrossEntropyLoss", 13, 2);
    gradcheck_float(c, -2, 2, GRADCHECK_DIMS(2, 5));
    gradcheck_whole(c, labels, GRADCHECK_DIMS(2));
    c->deaf[0] = true;
    gradcheck_run(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(softmaxes), cmocka_unit_test(blocked),
                                       cmocka_unit_test(channels_last), cmocka_unit_test(losses),
                                       cmocka_unit_test(second_output)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
