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
                                       cmocka_unit_test(losses), cmocka_unit_test(second_output)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
