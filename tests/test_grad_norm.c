/* test_grad_norm.c - the gradients of normalisations against central differences: by the input and
 * by their parameters, and through mean and variance where these are outputs. */
#include "gradcheck.h"

/* --- BatchNormalization ------------------------------------------------------------------- */

static gradcheck *batch(int opset, int outs, int rank, const int64_t *dims, int64_t c) {
    gradcheck *k = gradcheck_new("BatchNormalization", opset, outs);
    gradcheck_float(k, -1, 1, rank, dims);
    gradcheck_float(k, 0.5, 2, GRADCHECK_DIMS(c));
    gradcheck_float(k, -1, 1, GRADCHECK_DIMS(c));
    gradcheck_float(k, -1, 1, GRADCHECK_DIMS(c));
    gradcheck_float(k, 0.5, 2, GRADCHECK_DIMS(c));
    gradcheck_real(k, "epsilon", 0.01f);
    return k;
}

static void batch_given(void **state) {
    (void)state;
    gradcheck_run(batch(9, 1, GRADCHECK_DIMS(2, 3, 4, 5), 3));
    gradcheck_run(batch(14, 1, GRADCHECK_DIMS(3, 2), 2));
    gradcheck_run(batch(15, 1, GRADCHECK_DIMS(1, 4, 3), 4));
    gradcheck_run(batch(15, 1, GRADCHECK_DIMS(5), 1));
    gradcheck_run(batch(15, 1, GRADCHECK_DIMS(2, 1, 1, 3, 2), 1));
}

static void batch_trained(void **state) {
    (void)state;
    static const struct {
        int rank;
        int64_t dims[5], c;
    } shapes[] = {{4, {2, 3, 4, 5}, 3}, {2, {6, 2}, 2}, {3, {3, 4, 2}, 4}, {1, {7}, 1}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int outs = 1; outs <= 3; outs += 2) {
            gradcheck *k = batch(15, outs, shapes[i].rank, shapes[i].dims, shapes[i].c);
            gradcheck_int(k, "training_mode", 1);
            gradcheck_real(k, "momentum", 0.75f);
            gradcheck_run(k);
        }
    gradcheck_run(batch(9, 5, GRADCHECK_DIMS(2, 3, 2, 3), 3)); /* outputs said so */
    gradcheck_run(batch(7, 3, GRADCHECK_DIMS(4, 2, 3), 2));
}

/* Every place of an image is a channel. */
static void batch_apart(void **state) {
    (void)state;
    for (int outs = 1; outs <= 5; outs += 4) {
        gradcheck *k = batch(7, outs, GRADCHECK_DIMS(3, 2, 2, 3), 12);
        gradcheck_int(k, "spatial", 0);
        gradcheck_run(k);
        k = gradcheck_new("BatchNormalization", 7, outs);
        gradcheck_float(k, -1, 1, GRADCHECK_DIMS(4, 2, 3));
        for (int i = 0; i < 4; i++) gradcheck_float(k, 0.5, 2, GRADCHECK_DIMS(2, 3));
        gradcheck_int(k, "spatial", 0);
        gradcheck_run(k);
    }
}

/* With a mean and variance given, what goes back to x is dy scaled: it does not look at x. */
static void batch_scales(void **state) {
    (void)state;
    static const double none[4] = {NAN, NAN, NAN, NAN}, two[2] = {2, 2};
    gradcheck *k = gradcheck_new("BatchNormalization", 15, 1);
    gradcheck_side s;
    gradcheck_data(k, none, GRADCHECK_DIMS(1, 2, 2));
    for (int i = 0; i < 4; i++) gradcheck_data(k, two, GRADCHECK_DIMS(2))->still = true;
    gradcheck_build(&s, k, OMMA_F64);
    gradcheck_back(&s, k);
    for (int i = 0; i < 4; i++) {
        const double dy = gradcheck_number(&s.seed[0], i),
                     is = gradcheck_number(omma_gradient_result(s.gradient, 0), i);
        assert_true(fabs(is - dy * 2 / sqrt(2 + (double)1e-5f)) < 1e-12);
    }
    gradcheck_drop(&s);
    omma_arena_free(&k->arena);
    test_free(k);
}

/* --- InstanceNormalization, GroupNormalization -------------------------------------------- */

static void instance(void **state) {
    (void)state;
    static const struct {
        int rank;
        int64_t dims[5];
    } shapes[] = {{4, {2, 3, 4, 5}}, {3, {1, 2, 7}}, {5, {2, 2, 2, 3, 2}}, {4, {1, 1, 3, 3}}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        gradcheck *k = gradcheck_new("InstanceNormalization", 6, 1);
        gradcheck_float(k, -1, 1, shapes[i].rank, shapes[i].dims);
        gradcheck_float(k, 0.5, 2, 1, shapes[i].dims + 1);
        gradcheck_float(k, -1, 1, 1, shapes[i].dims + 1);
        gradcheck_real(k, "epsilon", 0.01f);
        gradcheck_run(k);
    }
    gradcheck *k = gradcheck_new("InstanceNormalization", 22, 1); /* no places: y is the bias */
    gradcheck_float(k, -1, 1, GRADCHECK_DIMS(2, 3));
    gradcheck_float(k, 0.5, 2, GRADCHECK_DIMS(3));
    gradcheck_float(k, -1, 1, GRADCHECK_DIMS(3));
    gradcheck_run(k);
}

static void group(void **state) {
    (void)state;
    static const struct {
        int rank;
        int64_t dims[5], groups;
    } shapes[] = {{4, {2, 6, 3, 2}, 3},
                  {3, {1, 4, 5}, 1},
                  {4, {1, 4, 2, 3}, 4},
                  {2, {2, 6}, 2},
                  {5, {1, 4, 2, 2, 3}, 2}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int opset = 18; opset <= 21; opset += 3) {
            const int64_t own = opset < 21 ? shapes[i].groups : shapes[i].dims[1];
            gradcheck *k = gradcheck_new("GroupNormalization", opset, 1);
            gradcheck_float(k, -1, 1, shapes[i].rank, shapes[i].dims);
            gradcheck_float(k, 0.5, 2, GRADCHECK_DIMS(own));
            gradcheck_float(k, -1, 1, GRADCHECK_DIMS(own));
            gradcheck_int(k, "num_groups", shapes[i].groups);
            gradcheck_real(k, "epsilon", 0.01f);
            gradcheck_run(k);
        }
}

/* --- LayerNormalization, RMSNormalization --------------------------------------------------- */

typedef struct along {
    int64_t axis;
    int rank;
    int64_t own[4]; /* of scale and bias */
} along;

static const along alongs[] = {{-1, 1, {5}},          {2, 2, {4, 5}},      {-2, 1, {5}},
                               {1, 3, {3, 4, 5}},     {3, 1, {1}},         {-1, 0, {0}},
                               {-1, 4, {2, 1, 1, 5}}, {0, 4, {2, 3, 4, 5}}};
enum { ALONGS = sizeof alongs / sizeof *alongs };

static gradcheck *layer(const along *a, int outs, bool bias) {
    gradcheck *k = gradcheck_new("LayerNormalization", 17, outs);
    gradcheck_float(k, -1, 1, GRADCHECK_DIMS(2, 3, 4, 5));
    gradcheck_float(k, 0.5, 2, a->rank, a->own);
    if (bias) gradcheck_float(k, -1, 1, a->rank, a->own);
    gradcheck_int(k, "axis", a->axis);
    gradcheck_real(k, "epsilon", 0.01f);
    return k;
}

static void layers(void **state) {
    (void)state;
    for (int i = 0; i < ALONGS; i++) {
        gradcheck_run(layer(&alongs[i], 1, i % 2));
        gradcheck *k = layer(&alongs[i], 3, !(i % 2)); /* mean and inverse deviation too */
        gradcheck_int(k, "stash_type", OMMA_F64);
        gradcheck_run(k);
    }
}

static void root_mean_square(void **state) {
    (void)state;
    for (int i = 0; i < ALONGS; i++) {
        gradcheck *k = gradcheck_new("RMSNormalization", 23, 1);
        gradcheck_float(k, -1, 1, GRADCHECK_DIMS(2, 3, 4, 5));
        gradcheck_float(k, 0.5, 2, alongs[i].rank, alongs[i].own);
        gradcheck_int(k, "axis", alongs[i].axis);
        gradcheck_real(k, "epsilon", 0.01f);
        gradcheck_run(k);
    }
}

/* --- LpNormalization, LRN, MeanVarianceNormalization ----------------------------------------- */

static void lp(void **state) {
    (void)state;
    for (int p = 1; p <= 2; p++)
        for (int axis = -3; axis < 3; axis++) {
            gradcheck *k = gradcheck_new("LpNormalization", axis < 0 ? 1 : 22, 1);
            gradcheck_float(k, -1, 1, GRADCHECK_DIMS(3, 4, 2));
            gradcheck_int(k, "p", p);
            gradcheck_int(k, "axis", axis);
            gradcheck_run(k);
        }
    gradcheck *k = gradcheck_new("LpNormalization", 1, 1);
    gradcheck_float(k, -1, 1, GRADCHECK_DIMS(6));
    gradcheck_run(k);
}

static void neighbours(void **state) {
    (void)state;
    static const int64_t dims[][4] = {{2, 5, 3, 2}, {1, 3, 2, 2}, {1, 1, 4, 1}};
    for (int size = 1; size <= 8; size++)
        for (int i = 0; i < 3; i++) {
            gradcheck *k = gradcheck_new("LRN", 13, 1);
            gradcheck_float(k, -2, 2, i == 1 ? 3 : 4, dims[i]);
            gradcheck_int(k, "size", size);
            gradcheck_real(k, "alpha", 0.5f);
            gradcheck_real(k, "beta", 0.6f);
            gradcheck_real(k, "bias", 1.5f);
            gradcheck_run(k);
        }
}

/* As many channels as go another way. */
static void many_neighbours(void **state) {
    (void)state;
    gradcheck *k = gradcheck_new("LRN", 13, 1);
    gradcheck_float(k, -2, 2, GRADCHECK_DIMS(1, 1030, 1));
    gradcheck_int(k, "size", 4);
    gradcheck_real(k, "alpha", 0.5f);
    gradcheck_run(k);
}

static void mean_variance(void **state) {
    (void)state;
    static const int64_t axes[][4] = {{0, 2, 3, 0}, {-1}, {1, 2, 3}, {0, -3, 2, 3}};
    static const int count[] = {3, 1, 3, 4};
    for (int i = 0; i < 4; i++) {
        gradcheck *k = gradcheck_new("MeanVarianceNormalization", i % 2 ? 13 : 9, 1);
        gradcheck_float(k, -1, 1, GRADCHECK_DIMS(2, 3, 4, 3));
        if (i) gradcheck_ints(k, "axes", count[i], axes[i]);
        gradcheck_run(k);
    }
    for (int i = 0; i < 4; i++) { /* the experiment of opset 1 */
        gradcheck *k = gradcheck_new("MeanVarianceNormalization", 1, 1);
        gradcheck_float(k, -1, 1, GRADCHECK_DIMS(2, 3, 5));
        gradcheck_int(k, "across_channels", i % 2);
        gradcheck_int(k, "normalize_variance", i / 2);
        gradcheck_run(k);
    }
}

/* --- types -------------------------------------------------------------------------------------
 */

/* Of 16-bit floats, about what float64 says: sums are taken in float32. */
static void halves(gradcheck *k) {
    static const omma_dtype types[] = {OMMA_F16, OMMA_BF16};
    static const double tolerance[] = {5e-3, 4e-2};
    gradcheck_side wide, narrow;
    gradcheck_build(&wide, k, OMMA_F64);
    gradcheck_back(&wide, k);
    for (int t = 0; t < 2; t++) {
        gradcheck_build(&narrow, k, types[t]);
        gradcheck_back(&narrow, k);
        k->tolerance32 = tolerance[t];
        for (int i = 0; i < wide.n_by; i++) gradcheck_compare(k, &wide, &narrow, i);
        gradcheck_drop(&narrow);
    }
    gradcheck_drop(&wide);
    omma_arena_free(&k->arena);
    test_free(k);
}

static void sixteen_bits(void **state) {
    (void)state;
    halves(layer(&alongs[0], 1, true));
    halves(batch(15, 1, GRADCHECK_DIMS(2, 3, 4), 3));
    gradcheck *k = batch(15, 3, GRADCHECK_DIMS(4, 2, 5), 2);
    gradcheck_int(k, "training_mode", 1);
    halves(k);
    k = gradcheck_new("GroupNormalization", 21, 1);
    gradcheck_float(k, -1, 1, GRADCHECK_DIMS(1, 4, 5));
    gradcheck_float(k, 0.5, 2, GRADCHECK_DIMS(4));
    gradcheck_float(k, -1, 1, GRADCHECK_DIMS(4));
    gradcheck_int(k, "num_groups", 2);
    halves(k);
    k = gradcheck_new("LRN", 13, 1);
    gradcheck_float(k, -1, 1, GRADCHECK_DIMS(1, 4, 5));
    gradcheck_int(k, "size", 3);
    halves(k);
}

/* Parameters of another type than x. */
static void mixed(void **state) {
    (void)state;
    static const float ones[5] = {1, 0.5f, 2, 1.5f, 0.75f};
    static const char *const ops[] = {"BatchNormalization", "BatchNormalization",
                                      "LayerNormalization", "RMSNormalization"};
    static const int opset[] = {15, 15, 17, 23}, n[] = {4, 4, 2, 1};
    for (int i = 0; i < 4; i++) {
        gradcheck *k = gradcheck_new(ops[i], opset[i], i == 1 ? 3 : 1);
        gradcheck_float(k, -1, 1, GRADCHECK_DIMS(3, 5));
        for (int p = 0; p < n[i]; p++)
            memcpy(gradcheck_put(k, OMMA_F32, GRADCHECK_DIMS(5))->data, ones, sizeof ones);
        if (i == 1) gradcheck_int(k, "training_mode", 1);
        k->step = 1e-2, k->tolerance = 1e-2; /* some outputs are float32 */
        gradcheck_run(k);
    }
}

/* --- where a norm has nothing to divide by ---------------------------------------------------- */

/* Every number of the gradient at x, all zeros, is finite: no 0 / 0. */
static void at_zeros(const char *op, double largest) {
    static const double zeros[4] = {0};
    gradcheck *k = gradcheck_new(op, 13, 1);
    gradcheck_side s;
    gradcheck_data(k, zeros, GRADCHECK_DIMS(1, 4));
    gradcheck_ints(k, "axes", GRADCHECK_DIMS(1));
    gradcheck_build(&s, k, OMMA_F64);
    gradcheck_back(&s, k);
    for (int i = 0; i < 4; i++) {
        const double is = gradcheck_number(omma_gradient_result(s.gradient, 0), i);
        if (!(fabs(is) <= largest)) fail_msg("%s: number %d is %g", op, i, is);
    }
    gradcheck_drop(&s);
    omma_arena_free(&k->arena);
    test_free(k);
}

static void nothing(void **state) {
    (void)state;
    at_zeros("LpNormalization", 0);
    at_zeros("MeanVarianceNormalization", 1e10);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(batch_given),
                                       cmocka_unit_test(batch_trained),
                                       cmocka_unit_test(batch_apart),
                                       cmocka_unit_test(batch_scales),
                                       cmocka_unit_test(instance),
                                       cmocka_unit_test(group),
                                       cmocka_unit_test(layers),
                                       cmocka_unit_test(root_mean_square),
                                       cmocka_unit_test(lp),
                                       cmocka_unit_test(neighbours),
                                       cmocka_unit_test(many_neighbours),
                                       cmocka_unit_test(mean_variance),
                                       cmocka_unit_test(sixteen_bits),
                                       cmocka_unit_test(mixed),
                                       cmocka_unit_test(nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
