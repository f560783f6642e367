/* test_grad_reduce.c - the gradients of the Reduce family against central differences, and what
 * they are where these say nothing: at zeros in a product, at equal maxima, at a norm of 0. */
#include "gradcheck.h"

/* The name, the set that made axes an input, and a range its numbers may have. */
static const struct {
    const char *name;
    int since;
    double lo, hi;
} ops[] = {{"ReduceL1", 18, -1, 1},      {"ReduceL2", 18, -1, 1},
           {"ReduceLogSum", 18, 0.3, 2}, {"ReduceLogSumExp", 18, -2, 2},
           {"ReduceMax", 18, -1, 1},     {"ReduceMean", 18, -1, 1},
           {"ReduceMin", 18, -1, 1},     {"ReduceProd", 18, -1.5, 1.5},
           {"ReduceSum", 13, -1, 1},     {"ReduceSumSquare", 18, -1, 1}};
enum { OPS = sizeof ops / sizeof *ops };

static const struct {
    int rank, n; /* n axes; -1: left out, 0: an empty list */
    int64_t dims[5], axes[5];
} cases[] = {{3, 1, {2, 3, 4}, {1}},
             {3, 1, {2, 3, 4}, {-1}},
             {4, 2, {2, 3, 2, 3}, {0, -2}},
             {4, 2, {2, 3, 2, 3}, {3, 1}},
             {3, 3, {2, 2, 3}, {0, 1, 2}},
             {2, -1, {3, 4}, {0}},
             {2, 0, {3, 4}, {0}},
             {1, 1, {6}, {0}},
             {0, -1, {0}, {0}},
             {5, 2, {1, 2, 1, 3, 2}, {2, 4}},
             {2, 1, {5, 1}, {1}},
             {3, 1, {2, 0, 3}, {1}}};
enum { CASES = sizeof cases / sizeof *cases };

static gradcheck *reduction(int op, int c, int opset, int64_t keep) {
    gradcheck *k = gradcheck_new(ops[op].name, opset, 1);
    gradcheck_float(k, ops[op].lo, ops[op].hi, cases[c].rank, cases[c].dims);
    gradcheck_int(k, "keepdims", keep);
    if (cases[c].n < 0) return k;
    if (opset >= ops[op].since) gradcheck_list(k, cases[c].axes, cases[c].n);
    else gradcheck_ints(k, "axes", cases[c].n, cases[c].axes);
    return k;
}

static void all(void **state) {
    (void)state;
    for (int op = 0; op < OPS; op++)
        for (int c = 0; c < CASES; c++)
            for (int keep = 0; keep < 2; keep++) {
                gradcheck_run(reduction(op, c, 11, keep));
                gradcheck_run(reduction(op, c, 18, keep));
            }
}

/* No axes, and none wanted: numbers are mapped and finished alone. */
static void no_axes(void **state) {
    (void)state;
    for (int op = 0; op < OPS; op++) {
        gradcheck *k = reduction(op, 6, 18, 1);
        gradcheck_int(k, "noop_with_empty_axes", 1);
        gradcheck_run(k);
        k = reduction(op, 5, 20, 0);
        gradcheck_int(k, "noop_with_empty_axes", 1);
        gradcheck_run(k);
    }
}

/* Of the numbers x: [2, 3] reduced along the last axis, with ones for cotangents. */
static void is(const char *op, const double *x, const double *want) {
    gradcheck *k = gradcheck_new(op, 18, 1);
    gradcheck_side s;
    gradcheck_data(k, x, GRADCHECK_DIMS(2, 3));
    gradcheck_list(k, (int64_t[]){1}, 1);
    gradcheck_build(&s, k, OMMA_F64);
    const omma_gradient_how how = {.of = s.of, .n_of = 1, .by = s.by, .n_by = 1};
    if (omma_gradient_on_graph(&s.gradient, s.g, "check", &how, NULL, &s.err) ||
        omma_gradient_run(s.gradient, s.in, s.g->n_inputs, NULL, &s.err))
        fail_msg("%s: %s", op, s.err.message);
    for (int i = 0; i < 6; i++) {
        const double got = gradcheck_number(omma_gradient_result(s.gradient, 0), i);
        if (!(fabs(got - want[i]) <= 1e-12))
            fail_msg("%s: number %d is %g, not %g", op, i, got, want[i]);
    }
    gradcheck_drop(&s);
    omma_arena_free(&k->arena);
    test_free(k);
}

static void kinks(void **state) {
    (void)state;
    is("ReduceMax", (const double[]){1, 3, 3, 2, 2, 2},
       (const double[]){0, 0.5, 0.5, 1.0 / 3, 1.0 / 3, 1.0 / 3});
    is("ReduceMin", (const double[]){1, 3, 1, -2, 4, 5}, (const double[]){0.5, 0, 0.5, 1, 0, 0});
    is("ReduceProd", (const double[]){0, 3, 5, 0, 0, 7}, (const double[]){15, 0, 0, 0, 0, 0});
    is("ReduceL2", (const double[]){0, 0, 0, 3, 0, 4}, (const double[]){0, 0, 0, 0.6, 0, 0.8});
    is("ReduceL1", (const double[]){0, -2, 3, 0, 0, 0}, (const double[]){0, -1, 1, 0, 0, 0});
    is("ReduceLogSumExp", (const double[]){-INFINITY, -INFINITY, -INFINITY, -INFINITY, 1, 1},
       (const double[]){0, 0, 0, 0, 0.5, 0.5});
    is("ReduceLogSumExp", (const double[]){1000, 1000, -1000, -1e4, -1e4, -2e4},
       (const double[]){0.5, 0.5, 0, 0.5, 0.5, 0});
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(all), cmocka_unit_test(no_axes),
                                       cmocka_unit_test(kinks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
