/* test_op_table.c - the table of operators: in order, complete, and every row with either
 * a function, parts or a reason in each column. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "op/op.h"

static void in_order(void **state) {
    (void)state;
    int n;
    const omma_op *const *ops = omma_op_all(&n);
    assert_true(n >= 136);
    for (int i = 1; i < n; i++)
        if (strcmp(ops[i - 1]->name, ops[i]->name) >= 0)
            fail_msg("%s must come before %s", ops[i]->name, ops[i - 1]->name);
    for (int i = 0; i < n; i++) assert_ptr_equal(omma_op_find(ops[i]->name), ops[i]);
    assert_null(omma_op_find("NoSuchOperator"));
    assert_null(omma_op_find(""));
}

static void complete(void **state) {
    (void)state;
    int n;
    const omma_op *const *ops = omma_op_all(&n);
    for (int i = 0; i < n; i++)
        if (omma_op_fault(ops[i])) fail_msg("%s has %s", ops[i]->name, omma_op_fault(ops[i]));
}

static omma_status do_nothing(omma_build *b, omma_node *n) {
    (void)b, (void)n;
    return OMMA_OK;
}
static omma_status run_nothing(const omma_exec *x, const omma_node *n) {
    (void)x, (void)n;
    return OMMA_OK;
}

/* An operator that is added without a gradient or a field, and without a reason, ends the build. */
static void faults_are_found(void **state) {
    (void)state;
    omma_op o = {.name = "New", .max_in = 1, .max_out = 1, .infer = do_nothing, .run = run_nothing};
    assert_string_equal(omma_op_fault(&o), "no gradient, and not why there is none");
    o.no_grad = "";
    assert_non_null(omma_op_fault(&o));
    o.no_grad = "because";
    assert_string_equal(omma_op_fault(&o), "no field, and not why there is none");
    o.no_field = "because";
    assert_null(omma_op_fault(&o));
    o.run = NULL;
    assert_non_null(omma_op_fault(&o));
    o.run = run_nothing, o.max_in = 0, o.min_in = 1;
    assert_non_null(omma_op_fault(&o));
    o.max_in = -1;
    assert_null(omma_op_fault(&o));
}

/* Every operator that real exports of vision models use most. */
static void do_first(void **state) {
    (void)state;
    static const char *const names[] = {"Add",
                                        "AveragePool",
                                        "Cast",
                                        "Clip",
                                        "Concat",
                                        "Constant",
                                        "ConstantOfShape",
                                        "Conv",
                                        "Cos",
                                        "CumSum",
                                        "Div",
                                        "Dropout",
                                        "Einsum",
                                        "Equal",
                                        "Erf",
                                        "Expand",
                                        "Flatten",
                                        "Gather",
                                        "GatherElements",
                                        "Gemm",
                                        "GlobalAveragePool",
                                        "GridSample",
                                        "HardSigmoid",
                                        "HardSwish",
                                        "Identity",
                                        "InstanceNormalization",
                                        "Log",
                                        "MatMul",
                                        "MaxPool",
                                        "Mod",
                                        "Mul",
                                        "Not",
                                        "Pad",
                                        "Pow",
                                        "Range",
                                        "ReduceMax",
                                        "ReduceMean",
                                        "ReduceSum",
                                        "Relu",
                                        "Reshape",
                                        "Resize",
                                        "ScatterND",
                                        "Shape",
                                        "Sigmoid",
                                        "Sin",
                                        "Slice",
                                        "Softmax",
                                        "Split",
                                        "Sqrt",
                                        "Squeeze",
                                        "Sub",
                                        "Tile",
                                        "TopK",
                                        "Transpose",
                                        "Unsqueeze",
                                        "Where"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!omma_op_find(names[i])) fail_msg("%s is missing", names[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(in_order), cmocka_unit_test(complete),
                                       cmocka_unit_test(faults_are_found),
                                       cmocka_unit_test(do_first)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
