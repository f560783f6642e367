/* test_grad_product.c - the gradients of matrix products against central differences: MatMul with
 * batches that broadcast and with vectors, Gemm with everything that turns and scales. */
#include "gradcheck.h"

typedef struct operand {
    int rank;
    int64_t dims[5];
} operand;

static void matmul(void **state) {
    (void)state;
    static const operand pairs[][2] = {{{2, {3, 4}}, {2, {4, 5}}},
                                       {{3, {2, 3, 4}}, {2, {4, 5}}},       /* one b for all rows */
                                       {{3, {2, 3, 4}}, {3, {2, 4, 5}}},    /* a batch */
                                       {{4, {2, 1, 3, 4}}, {3, {5, 4, 2}}}, /* both repeated */
                                       {{2, {3, 4}}, {4, {2, 3, 4, 2}}},    /* a repeated */
                                       {{4, {1, 3, 2, 2}}, {4, {2, 1, 2, 3}}}, /* one axis each */
                                       {{1, {4}}, {1, {4}}},                   /* a number */
                                       {{1, {4}}, {2, {4, 3}}},                /* a row */
                                       {{2, {3, 4}}, {1, {4}}},                /* a column */
                                       {{1, {4}}, {3, {2, 4, 3}}}, /* a row for a batch */
                                       {{3, {2, 3, 4}}, {1, {4}}}, /* a column for a batch */
                                       {{5, {2, 1, 2, 3, 2}}, {4, {2, 1, 2, 1}}}, /* ranks apart */
                                       {{2, {1, 1}}, {2, {1, 1}}}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        for (int fixed = 0; fixed < 3; fixed++) { /* one of the operands may be a constant */
            gradcheck *c = gradcheck_new("MatMul", 13, 1);
            for (int k = 0; k < 2; k++)
                gradcheck_float(c, -1, 1, pairs[i][k].rank, pairs[i][k].dims)->fixed =
                    fixed == k + 1;
            gradcheck_run(c);
        }
}

/* Large enough for the kernels' tiles. */
static void matmul_tiles(void **state) {
    (void)state;
    gradcheck *c = gradcheck_new("MatMul", 13, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 17, 35));
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(35, 33));
    gradcheck_run(c);
}

static void gemm(void **state) {
    (void)state;
    static const operand biases[] = {{-1, {0}},   {0, {0}},    {1, {5}},   {1, {1}},
                                     {2, {3, 5}}, {2, {3, 1}}, {2, {1, 5}}};
    for (size_t i = 0; i < sizeof biases / sizeof *biases; i++)
        for (int turn = 0; turn < 4; turn++) {
            gradcheck *c = gradcheck_new("Gemm", 13, 1);
            const int64_t a[2][2] = {{3, 4}, {4, 3}}, b[2][2] = {{4, 5}, {5, 4}};
            gradcheck_float(c, -1, 1, 2, a[turn & 1]);
            gradcheck_float(c, -1, 1, 2, b[turn >> 1]);
            if (biases[i].rank >= 0) gradcheck_float(c, -1, 1, biases[i].rank, biases[i].dims);
            gradcheck_int(c, "transA", turn & 1);
            gradcheck_int(c, "transB", turn >> 1);
            gradcheck_real(c, "alpha", i % 2 ? 0.5F : 1);
            gradcheck_real(c, "beta", i % 3 ? -1.25F : 1);
            gradcheck_run(c);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(matmul), cmocka_unit_test(matmul_tiles),
                                       cmocka_unit_test(gemm)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
