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
    for (int i = 0; i < n; i++) {
        const omma_op *o = ops[i];
        if (!o->expand && (!o->infer || !o->run)) fail_msg("%s lacks infer or run", o->name);
        if (!(o->grad || o->parts) == !(o->no_grad && *o->no_grad))
            fail_msg("%s: a gradient, or why there is none", o->name);
        if (!(o->field || o->parts) == !(o->no_field && *o->no_field))
            fail_msg("%s: a field, or why there is none", o->name);
        if (o->min_in < 0 || o->min_out < 0 || (o->max_in >= 0 && o->max_in < o->min_in) ||
            (o->max_out >= 0 && o->max_out < o->min_out))
            fail_msg("%s: numbers of inputs and outputs", o->name);
        if (o->flags & OMMA_OP_VIEW && o->min_in < 1) fail_msg("%s: a view of nothing", o->name);
    }
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
                                       cmocka_unit_test(do_first)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
