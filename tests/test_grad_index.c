/* test_grad_index.c - the gradients of operators that read and write by index, or choose elements,
 * against central differences. Indices are given as inputs (known when a graph is specialised), as
 * constants, and as more numbers than a graph is specialised by. */
#include "gradcheck.h"

/* n random indices of an axis of dim, some counted from the end. */
static gradcheck_in *indices(gradcheck *c, int64_t dim, bool fixed, int rank, const int64_t *dims) {
    int64_t list[512], n = 1;
    for (int d = 0; d < rank; d++) n *= dims[d];
    assert_true(n <= 512);
    for (int64_t i = 0; i < n; i++) {
        list[i] = (int64_t)floor(gradcheck_random(0, 1) * (double)(2 * dim)) - dim;
        if (list[i] >= dim) list[i] = dim - 1;
    }
    gradcheck_in *in = gradcheck_whole(c, list, rank, dims);
    in->fixed = fixed;
    return in;
}

static void gather(void **state) {
    (void)state;
    for (int64_t axis = -3; axis < 3; axis++)
        for (int fixed = 0; fixed < 2; fixed++) {
            int64_t dims[] = {2, 3, 4};
            gradcheck *c = gradcheck_new("Gather", 13, 1);
            gradcheck_float(c, -1, 1, 3, dims);
            indices(c, dims[(axis + 3) % 3], fixed, GRADCHECK_DIMS(2, 3));
            gradcheck_int(c, "axis", axis);
            gradcheck_run(c);
            c = gradcheck_new("Gather", 13, 1); /* one */
            gradcheck_float(c, -1, 1, 3, dims);
            indices(c, dims[(axis + 3) % 3], fixed, 0, NULL);
            gradcheck_int(c, "axis", axis);
            gradcheck_run(c);
            c = gradcheck_new("Gather", 13, 1); /* unknown while it is differentiated */
            gradcheck_float(c, -1, 1, 3, dims);
            indices(c, dims[(axis + 3) % 3], false, GRADCHECK_DIMS(10, 7));
            gradcheck_int(c, "axis", axis);
            gradcheck_run(c);
        }
    static const int64_t evenly[][3] = {{0, 2, 4}, {4, 3, 2},    {-1, 0, 1},
                                        {1, 1, 1}, {-1, -3, -5}, {2, 4, 3}};
    for (size_t i = 0; i < sizeof evenly / sizeof *evenly; i++) {
        gradcheck *c = gradcheck_new("Gather", 13, 1);
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 5, 2));
        gradcheck_list(c, evenly[i], 3);
        gradcheck_int(c, "axis", 1);
        gradcheck_run(c);
    }
    gradcheck *c = gradcheck_new("Gather", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 5));
    gradcheck_list(c, (int64_t[]){0}, 0);
    gradcheck_run(c);
}

static void gather_elements(void **state) {
    (void)state;
    for (int64_t axis = -3; axis < 3; axis++)
        for (int fixed = 0; fixed < 2; fixed++) {
            int64_t dims[] = {3, 2, 4}, some[] = {2, 2, 3};
            some[(axis + 3) % 3] = 5;
            gradcheck *c = gradcheck_new("GatherElements", 13, 1);
            gradcheck_float(c, -1, 1, 3, dims);
            indices(c, dims[(axis + 3) % 3], fixed, 3, some);
            gradcheck_int(c, "axis", axis);
            gradcheck_run(c);
        }
    gradcheck *c = gradcheck_new("GatherElements", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(5, 9));
    indices(c, 5, false, GRADCHECK_DIMS(10, 9));
    gradcheck_run(c);
}

static void gather_nd(void **state) {
    (void)state;
    for (int fixed = 0; fixed < 2; fixed++) {
        gradcheck *c = gradcheck_new("GatherND", 13, 1);
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(3, 3, 2));
        indices(c, 3, fixed, GRADCHECK_DIMS(4, 2));
        gradcheck_run(c);
        c = gradcheck_new("GatherND", 13, 1); /* whole elements */
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(3, 3));
        indices(c, 3, fixed, GRADCHECK_DIMS(2, 3, 2));
        gradcheck_run(c);
        c = gradcheck_new("GatherND", 13, 1); /* batches */
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3, 2, 2));
        indices(c, 2, fixed, GRADCHECK_DIMS(2, 3, 4, 1));
        gradcheck_int(c, "batch_dims", 2);
        gradcheck_run(c);
        c = gradcheck_new("GatherND", 13, 1); /* the tuple alone behind them */
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 2, 2, 3));
        indices(c, 2, fixed, GRADCHECK_DIMS(2, 2));
        gradcheck_int(c, "batch_dims", 1);
        gradcheck_run(c);
        c = gradcheck_new("GatherND", 13, 1); /* of rank 8, depth 7 */
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 2, 2, 2, 2, 2, 2, 2));
        indices(c, 2, fixed, GRADCHECK_DIMS(2, 5, 7));
        gradcheck_int(c, "batch_dims", 1);
        gradcheck_run(c);
    }
    gradcheck *c = gradcheck_new("GatherND", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 4, 3));
    indices(c, 4, false, GRADCHECK_DIMS(2, 40, 1));
    gradcheck_int(c, "batch_dims", 1);
    gradcheck_run(c);
}

static const char *const reductions[] = {"none", "add", "mul", "min", "max"};

static void set_zeros(gradcheck_in *in, int64_t every) {
    for (int64_t i = 0; i < in->count && every; i += every) ((double *)in->data)[i] = 0;
}

static void scatter_elements(void **state) {
    (void)state;
    for (int red = 0; red < 5; red++)
        for (int64_t axis = -2; axis < 2; axis++)
            for (int kind = 0; kind < 4; kind++) {
                int64_t dims[] = {3, 4}, some[] = {2, 3};
                some[(axis + 2) % 2] = kind == 3 ? 40 : 4; /* 640 bytes of indices: not known */
                gradcheck *c = gradcheck_new("ScatterElements", 18, 1);
                gradcheck_in *x = gradcheck_float(c, -1.5, 1.5, 2, dims);
                indices(c, dims[(axis + 2) % 2], kind == 1, 2, some);
                gradcheck_in *u = gradcheck_float(c, -1.5, 1.5, 2, some);
                if (red == 2 && kind == 2) set_zeros(x, 3), set_zeros(u, 2);
                if (red == 2 && kind == 3) set_zeros(x, 2);
                gradcheck_int(c, "axis", axis);
                gradcheck_text(c, "reduction", reductions[red]);
                gradcheck_run(c);
            }
    for (int red = 0; red < 5; red++) { /* no two to one place */
        gradcheck *c = gradcheck_new("ScatterElements", 18, 1);
        gradcheck_float(c, -1.5, 1.5, GRADCHECK_DIMS(2, 5));
        gradcheck_whole(c, (int64_t[]){4, 0, -3, 1, -1, 3}, GRADCHECK_DIMS(2, 3));
        set_zeros(gradcheck_float(c, -1.5, 1.5, GRADCHECK_DIMS(2, 3)), 2 * (red == 2));
        gradcheck_int(c, "axis", 1);
        gradcheck_text(c, "reduction", reductions[red]);
        gradcheck_run(c);
    }
    gradcheck *c = gradcheck_new("Scatter", 9, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(4, 2));
    gradcheck_whole(c, (int64_t[]){3, 0, 1, 1}, GRADCHECK_DIMS(2, 2));
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 2));
    gradcheck_run(c);
    c = gradcheck_new("ScatterElements", 18, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(4, 2));
    gradcheck_whole(c, (int64_t[]){0}, GRADCHECK_DIMS(0, 2));
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(0, 2));
    gradcheck_run(c);
}

static void scatter_nd(void **state) {
    (void)state;
    for (int red = 0; red < 5; red++)
        for (int kind = 0; kind < 4; kind++) {
            const int64_t many = kind == 3 ? 11 : 2;
            gradcheck *c = gradcheck_new("ScatterND", 18, 1);
            gradcheck_in *x = gradcheck_float(c, -1.5, 1.5, GRADCHECK_DIMS(3, 3, 2));
            indices(c, 3, kind == 1, GRADCHECK_DIMS(many, 3, 2));
            gradcheck_in *u = gradcheck_float(c, -1.5, 1.5, GRADCHECK_DIMS(many, 3, 2));
            if (red == 2 && kind >= 2) set_zeros(x, 3), set_zeros(u, 4);
            gradcheck_text(c, "reduction", reductions[red]);
            gradcheck_run(c);
            c = gradcheck_new("ScatterND", 18, 1); /* rows */
            gradcheck_float(c, -1.5, 1.5, GRADCHECK_DIMS(5, 2, 2));
            gradcheck_whole(c, (int64_t[]){4, -5, 2}, GRADCHECK_DIMS(3, 1));
            gradcheck_float(c, -1.5, 1.5, GRADCHECK_DIMS(3, 2, 2));
            gradcheck_text(c, "reduction", reductions[red]);
            gradcheck_run(c);
            c = gradcheck_new("ScatterND", 18, 1); /* one tuple */
            gradcheck_float(c, -1.5, 1.5, GRADCHECK_DIMS(2, 3));
            indices(c, 2, kind == 1, GRADCHECK_DIMS(2));
            gradcheck_float(c, -1.5, 1.5, 0, NULL);
            gradcheck_text(c, "reduction", reductions[red]);
            gradcheck_run(c);
        }
}

static void tensor_scatter(void **state) {
    (void)state;
    static const int64_t at[2][2] = {{1, 0}, {3, 4}};
    for (int circular = 0; circular < 2; circular++)
        for (int given = 0; given < 3; given++)
            for (int64_t axis = 1; axis < 3; axis++) {
                int64_t dims[] = {2, 4, 4, 2}, more[] = {2, 4, 4, 2};
                more[axis] = 3;
                gradcheck *c = gradcheck_new("TensorScatter", 24, 1);
                gradcheck_float(c, -1, 1, 4, dims);
                gradcheck_float(c, -1, 1, 4, more);
                if (given) gradcheck_whole(c, at[circular], 1, (int64_t[]){2})->fixed = given == 2;
                gradcheck_text(c, "mode", circular ? "circular" : "linear");
                gradcheck_int(c, "axis", axis - 4);
                gradcheck_run(c);
            }
}

static void reverse_sequence(void **state) {
    (void)state;
    for (int64_t time = 0; time < 2; time++)
        for (int tail = 0; tail < 3; tail++) {
            gradcheck *c = gradcheck_new("ReverseSequence", 10, 1);
            gradcheck_float(c, -1, 1, 2 + tail, (int64_t[]){4, 4, 2, 3});
            gradcheck_whole(c, (int64_t[]){1, 4, 0, 3}, 1, (int64_t[]){4});
            gradcheck_int(c, "time_axis", time);
            gradcheck_int(c, "batch_axis", 1 - time);
            gradcheck_run(c);
        }
}

static void top_k(void **state) {
    (void)state;
    for (int64_t axis = -1; axis < 3; axis++)
        for (int64_t largest = 0; largest < 2; largest++)
            for (int outs = 1; outs < 3; outs++) {
                gradcheck *c = gradcheck_new("TopK", 11, outs);
                gradcheck_float(c, -1, 1, GRADCHECK_DIMS(4, 3, 5));
                gradcheck_list(c, (int64_t[]){largest + 2}, 1);
                gradcheck_int(c, "axis", axis);
                gradcheck_int(c, "largest", largest);
                c->deaf[1] = true;
                gradcheck_run(c);
            }
    gradcheck *c = gradcheck_new("TopK", 1, 2);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 6));
    gradcheck_int(c, "k", 3);
    c->deaf[1] = true;
    gradcheck_run(c);
}

static void one_hot(void **state) {
    (void)state;
    for (int64_t axis = -3; axis < 3; axis++) {
        gradcheck *c = gradcheck_new("OneHot", 11, 1);
        gradcheck_whole(c, (int64_t[]){0, 3, -1, 5, -7, 2}, GRADCHECK_DIMS(2, 3));
        gradcheck_list(c, (int64_t[]){4}, 1);
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2));
        gradcheck_int(c, "axis", axis);
        gradcheck_run(c);
        c = gradcheck_new("OneHot", 11, 1); /* of floating numbers, by which it is flat */
        gradcheck_float(c, -5, 5, GRADCHECK_DIMS(3, 2));
        gradcheck_list(c, (int64_t[]){4}, 1);
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2));
        gradcheck_int(c, "axis", axis);
        gradcheck_run(c);
    }
    gradcheck *c = gradcheck_new("OneHot", 11, 1);
    gradcheck_whole(c, (int64_t[]){1}, 0, NULL);
    gradcheck_list(c, (int64_t[]){3}, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2));
    gradcheck_run(c);
}

static void compress(void **state) {
    (void)state;
    static const unsigned char when[] = {0, 1, 1, 0, 1, 0, 0, 1, 1, 1, 0, 1};
    for (int fixed = 0; fixed < 2; fixed++) {
        for (int64_t axis = -3; axis < 3; axis++)
            for (int64_t len = 2; len <= 4; len++) { /* it may be shorter than the axis */
                gradcheck *c = gradcheck_new("Compress", 11, 1);
                gradcheck_float(c, -1, 1, GRADCHECK_DIMS(4, 4, 4));
                gradcheck_bool(c, when, 1, &len)->fixed = fixed;
                gradcheck_int(c, "axis", axis);
                gradcheck_run(c);
            }
        for (int64_t len = 1; len <= 12; len += 4) {
            gradcheck *c = gradcheck_new("Compress", 11, 1); /* all numbers as a list */
            gradcheck_float(c, -1, 1, GRADCHECK_DIMS(3, 4));
            gradcheck_bool(c, when, 1, &len)->fixed = fixed;
            gradcheck_run(c);
        }
    }
}

static void unique_one(int64_t axis, bool flat, int64_t sorted, int outs) {
    gradcheck *c = gradcheck_new("Unique", 11, outs);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(3, 4, 2));
    if (!flat) gradcheck_int(c, "axis", axis);
    gradcheck_int(c, "sorted", sorted);
    for (int k = 1; k < outs; k++) c->deaf[k] = true;
    gradcheck_run(c);
}

static void unique(void **state) {
    (void)state;
    for (int64_t sorted = 0; sorted < 2; sorted++)
        for (int outs = 1; outs <= 4; outs += 3) {
            unique_one(0, true, sorted, outs);
            for (int64_t axis = -3; axis < 3; axis++) unique_one(axis, false, sorted, outs);
        }
}

/* The gradient of the sum of op's output by x, which must be this. For what is repeated differences
 * say nothing. */
static void sum_is(gradcheck *c, const double *want) {
    gradcheck_side s;
    gradcheck_build(&s, c, OMMA_F64);
    const omma_gradient_how how = {.of = s.of, .n_of = 1, .by = s.by, .n_by = s.n_by};
    assert_false(omma_gradient_on_graph(&s.gradient, s.g, "check", &how, NULL, &s.err));
    if (omma_gradient_run(s.gradient, s.in, s.g->n_inputs, NULL, &s.err))
        fail_msg("%s", s.err.message);
    const omma_tensor *got = omma_gradient_result(s.gradient, 0);
    for (int64_t i = 0; i < gradcheck_count(got); i++)
        assert_float_equal(gradcheck_number(got, i), want[i], 1e-12);
    gradcheck_drop(&s);
    omma_arena_free(&c->arena);
    test_free(c);
}

static void ties(void **state) {
    (void)state;
    gradcheck *c = gradcheck_new("Unique", 11, 1);
    gradcheck_data(c, (double[]){3, 1, 3, 2, 1, 1}, GRADCHECK_DIMS(6));
    sum_is(c, (double[]){1, 1, 0, 1, 0, 0});
    c = gradcheck_new("Unique", 11, 1);
    gradcheck_data(c, (double[]){2, 1, 5, 5, 2, 1}, GRADCHECK_DIMS(3, 2));
    gradcheck_int(c, "axis", 0);
    sum_is(c, (double[]){1, 1, 1, 1, 0, 0});
    c = gradcheck_new("TopK", 11, 1); /* the first of equal numbers */
    gradcheck_data(c, (double[]){1, 2, 2, 2}, GRADCHECK_DIMS(4));
    gradcheck_list(c, (int64_t[]){2}, 1);
    sum_is(c, (double[]){0, 1, 1, 0});
    c = gradcheck_new("ScatterElements", 18, 1); /* all that are the largest, in equal shares */
    gradcheck_data(c, (double[]){2, 1}, GRADCHECK_DIMS(2));
    gradcheck_whole(c, (int64_t[]){0, 0, 1}, GRADCHECK_DIMS(3));
    gradcheck_data(c, (double[]){2, 0, 3}, GRADCHECK_DIMS(3));
    gradcheck_text(c, "reduction", "max");
    sum_is(c, (double[]){0.5, 0});
}

/* A condition that nobody knows when the gradient is made: how long the output is, only a run says.
 */
static void unsized(void **state) {
    (void)state;
    unsigned char when[600];
    double x[600], want[600];
    for (int i = 0; i < 600; i++) when[i] = i % 7 < 3, x[i] = i, want[i] = when[i];
    gradcheck *c = gradcheck_new("Compress", 11, 1);
    gradcheck_data(c, x, GRADCHECK_DIMS(600));
    gradcheck_bool(c, when, GRADCHECK_DIMS(600));
    sum_is(c, want);
}

static void empty(void **state) {
    (void)state;
    gradcheck *c = gradcheck_new("TopK", 11, 2);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3));
    gradcheck_list(c, (int64_t[]){0}, 1);
    c->deaf[1] = true;
    gradcheck_run(c);
    c = gradcheck_new("GatherND", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3, 2));
    gradcheck_whole(c, (int64_t[]){0}, GRADCHECK_DIMS(2, 0, 1));
    gradcheck_int(c, "batch_dims", 1);
    gradcheck_run(c);
    c = gradcheck_new("GatherElements", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3));
    gradcheck_whole(c, (int64_t[]){0}, GRADCHECK_DIMS(0, 3));
    gradcheck_run(c);
    c = gradcheck_new("ScatterND", 18, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 0));
    gradcheck_whole(c, (int64_t[]){1, 0, 1}, GRADCHECK_DIMS(3, 1));
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(3, 0));
    gradcheck_run(c);
    c = gradcheck_new("Gather", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 0));
    gradcheck_whole(c, (int64_t[]){1, 0, 1}, GRADCHECK_DIMS(3));
    gradcheck_run(c);
    c = gradcheck_new("Compress", 11, 1); /* nothing is chosen */
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(3, 2));
    gradcheck_bool(c, (unsigned char[]){0, 0, 0}, GRADCHECK_DIMS(3));
    gradcheck_int(c, "axis", 0);
    gradcheck_run(c);
    c = gradcheck_new("TensorScatter", 24, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3, 2));
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 0, 2));
    gradcheck_run(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gather),           cmocka_unit_test(gather_elements),
        cmocka_unit_test(gather_nd),        cmocka_unit_test(scatter_elements),
        cmocka_unit_test(scatter_nd),       cmocka_unit_test(tensor_scatter),
        cmocka_unit_test(reverse_sequence), cmocka_unit_test(top_k),
        cmocka_unit_test(one_hot),          cmocka_unit_test(compress),
        cmocka_unit_test(unique),           cmocka_unit_test(ties),
        cmocka_unit_test(unsized),          cmocka_unit_test(empty)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
