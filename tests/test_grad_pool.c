/* test_grad_pool.c - the gradients of poolings against central differences, and which of equal
 * maxima gets the cotangent. */
#include "gradcheck.h"

typedef struct shape {
    int64_t n, c, h, w, kh, kw, stride, dilation, pad, pad_end;
    int ceil, count; /* count_include_pad */
} shape;

static const shape shapes[] = {
    {1, 2, 6, 7, 3, 3, 2, 1, 1, 1, 0, 0}, /* ResNet's */
    {2, 1, 5, 6, 2, 2, 2, 1, 0, 0, 0, 0}, /* what is left over is not read */
    {1, 2, 6, 5, 3, 2, 1, 1, 0, 1, 0, 1}, /* overlapping */
    {1, 1, 7, 7, 3, 3, 2, 1, 0, 0, 1, 0}, /* a cut window behind */
    {1, 1, 6, 6, 3, 3, 2, 1, 1, 0, 1, 1}, {1, 2, 7, 8, 2, 3, 2, 2, 1, 1, 0, 0}, /* dilated */
    {1, 1, 4, 4, 2, 2, 3, 1, 0, 0, 0, 1},                                       /* gaps */
    {1, 1, 3, 3, 3, 3, 1, 1, 2, 2, 0, 1}};

static void set_window(gradcheck *c, const shape *s) {
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(s->n, s->c, s->h, s->w));
    gradcheck_ints(c, "kernel_shape", GRADCHECK_DIMS(s->kh, s->kw));
    gradcheck_ints(c, "strides", GRADCHECK_DIMS(s->stride, s->stride));
    gradcheck_ints(c, "dilations", GRADCHECK_DIMS(s->dilation, s->dilation));
    gradcheck_ints(c, "pads", GRADCHECK_DIMS(s->pad, s->pad, s->pad_end, s->pad_end));
    gradcheck_int(c, "ceil_mode", s->ceil);
}

static void maximum(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int indices = 0; indices < 2; indices++) {
            gradcheck *c = gradcheck_new("MaxPool", 12, 1 + indices);
            set_window(c, &shapes[i]);
            c->deaf[1] = true;
            gradcheck_run(c);
        }
}

static void average(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        gradcheck *c = gradcheck_new("AveragePool", 19, 1);
        set_window(c, &shapes[i]);
        gradcheck_int(c, "count_include_pad", shapes[i].count);
        gradcheck_run(c);
    }
}

static void powers(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        gradcheck *c = gradcheck_new("LpPool", 18, 1);
        set_window(c, &shapes[i]);
        gradcheck_int(c, "p", 1 + (int)i % 4);
        gradcheck_run(c);
    }
}

/* One and three axes, and sizes that padding follows from. */
static void axes(void **state) {
    (void)state;
    static const char *const ops[] = {"MaxPool", "AveragePool", "LpPool"};
    for (int i = 0; i < 6; i++) {
        gradcheck *c = gradcheck_new(ops[i / 2], 12, 1);
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 2, 9));
        gradcheck_ints(c, "kernel_shape", GRADCHECK_DIMS(4));
        gradcheck_ints(c, "strides", GRADCHECK_DIMS(2));
        gradcheck_text(c, "auto_pad", i % 2 ? "SAME_UPPER" : "SAME_LOWER");
        gradcheck_run(c);
        c = gradcheck_new(ops[i / 2], 12, 1);
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(1, 2, 4, 3, 5));
        gradcheck_ints(c, "kernel_shape", GRADCHECK_DIMS(2, 3, 2));
        gradcheck_ints(c, "strides", GRADCHECK_DIMS(2, 1, 1 + i % 2));
        gradcheck_ints(c, "pads", GRADCHECK_DIMS(0, 1, 1, 0, 1, 0));
        gradcheck_run(c);
    }
}

static void whole(void **state) {
    (void)state;
    static const char *const ops[] = {"GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"};
    for (int i = 0; i < 3; i++)
        for (int rank = 2; rank < 6; rank++) {
            gradcheck *c = gradcheck_new(ops[i], 2, 1);
            gradcheck_float(c, -1, 1, rank, (int64_t[]){2, 3, 4, 3, 2});
            if (i == 2) gradcheck_int(c, "p", rank - 1);
            gradcheck_run(c);
        }
}

/* --- ties ---------------------------------------------------------------------------------- */

static const float tied[2][9] = {{1, 2, 2, 2, 0, 2, 1, 2, 2}, {-1, 3, 0, NAN, 3, NAN, 3, 3, 1}};

/* y.sum() differentiated by x: [1, 1, 3, 3], windows of 2x2. */
static void sum_of_maxima(const float *x, omma_dtype t, double *dx) {
    omma_error err;
    omma_arena a;
    omma_arena_init(&a, NULL);
    omma_graph *g = omma_graph_new(&a, "ties");
    omma_value *in = omma_graph_value(g, "x"), *out = omma_graph_value(g, "y");
    omma_node *n = omma_graph_node(g, omma_op_find("MaxPool"), "pool", 1, 1);
    const omma_attr kernel = {
        .name = "kernel_shape", .kind = OMMA_ATTR_INTS, .ints = (int64_t[]){2, 2}, .count = 2};
    double room[9];
    omma_tensor given = {.dtype = t, .rank = 4, .dims = {1, 1, 3, 3}, .data = room};
    for (int i = 0; i < 9; i++) omma_set_number(t, room, i, (double)x[i]);
    n->attrs = &kernel, n->n_attrs = 1, n->opset = 12, n->in[0] = in;
    omma_node_set_output(n, 0, out);
    in->dtype = t, in->rank = 4, in->is_input = out->is_output = true;
    memcpy(in->dims, given.dims, sizeof in->dims);
    g->inputs = &in, g->n_inputs = 1, g->outputs = &out, g->n_outputs = 1;
    omma_gradient *back;
    assert_int_equal(omma_gradient_on_graph(&back, g, "ties", NULL, NULL, &err), OMMA_OK);
    assert_int_equal(omma_gradient_run(back, &given, 1, NULL, &err), OMMA_OK);
    for (int i = 0; i < 9; i++) dx[i] = gradcheck_number(omma_gradient_result(back, 0), i);
    omma_gradient_free(back);
    omma_arena_free(&a);
}

/* The first of the window's equal maxima, row by row; NaN counts as the largest. */
static void first_of_equals(void **state) {
    (void)state;
    static const double want[2][9] = {{0, 2, 0, 1, 0, 1, 0, 0, 0}, {0, 0, 0, 2, 0, 2, 0, 0, 0}};
    static const omma_dtype types[] = {OMMA_F32, OMMA_F64, OMMA_F16};
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < 3; i++) {
            double dx[9];
            sum_of_maxima(tied[k], types[i], dx);
            for (int q = 0; q < 9; q++)
                if (dx[q] != want[k][q])
                    fail_msg("case %d, type %d, number %d: %g, not %g", k, i, q, dx[q], want[k][q]);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maximum), cmocka_unit_test(average), cmocka_unit_test(powers),
        cmocka_unit_test(axes),    cmocka_unit_test(whole),   cmocka_unit_test(first_of_equals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
