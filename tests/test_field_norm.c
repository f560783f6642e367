/* test_field_norm.c - the fields of normalisations and reductions against what changes. */
#include "fieldcheck.h"

/* Scale, bias, and for Batch mean and variance. */
static void parameters(gradcheck *c, int n, int64_t count) {
    for (int i = 0; i < n; i++) gradcheck_float(c, 0.5, 2, GRADCHECK_DIMS(count));
}

static void batch(void **state) {
    (void)state;
    for (int how = 0; how < 4;
         how++) { /* opset 9; training, with and without means; places apart */
        static const int opset[] = {9, 15, 15, 7}, outs[] = {1, 1, 3, 5};
        gradcheck *c = gradcheck_new("BatchNormalization", opset[how], outs[how]);
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3, 2, 2));
        parameters(c, 4, how == 3 ? 12 : 3);
        if (how == 1 || how == 2) gradcheck_int(c, "training_mode", 1);
        if (how == 3) gradcheck_int(c, "spatial", 0);
        fieldcheck_run(c, FIELDCHECK_EXACT);
    }
    gradcheck *c = gradcheck_new("BatchNormalization", 15, 1);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(4));
    parameters(c, 4, 1);
    fieldcheck_run(c, FIELDCHECK_EXACT);
}

static void groups(void **state) {
    (void)state;
    static const struct {
        const char *op;
        int opset, rank;
        int64_t dims[5], groups, own;
    } shapes[] = {{"InstanceNormalization", 6, 4, {2, 3, 2, 2}, 0, 3},
                  {"InstanceNormalization", 22, 3, {1, 2, 4}, 0, 2},
                  {"GroupNormalization", 18, 4, {2, 6, 2, 2}, 3, 3},
                  {"GroupNormalization", 21, 4, {2, 4, 2, 2}, 2, 4},
                  {"GroupNormalization", 21, 3, {1, 4, 3}, 1, 4}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        gradcheck *c = gradcheck_new(shapes[i].op, shapes[i].opset, 1);
        gradcheck_float(c, -1, 1, shapes[i].rank, shapes[i].dims);
        parameters(c, 2, shapes[i].own);
        if (shapes[i].groups) gradcheck_int(c, "num_groups", shapes[i].groups);
        fieldcheck_run(c, FIELDCHECK_EXACT);
    }
}

static void layers(void **state) {
    (void)state;
    static const struct {
        int64_t axis;
        int rank;
        int64_t own[3];
    } along[] = {{-1, 1, {4}}, {1, 2, {3, 4}}, {-1, 3, {2, 1, 4}}, {0, 3, {2, 3, 4}}, {2, 0, {0}}};
    for (size_t i = 0; i < sizeof along / sizeof *along; i++)
        for (int rms = 0; rms < 2; rms++) {
            gradcheck *c = rms ? gradcheck_new("RMSNormalization", 23, 1)
                               : gradcheck_new("LayerNormalization", 17, 3);
            gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3, 4));
            gradcheck_float(c, 0.5, 2, along[i].rank, along[i].own);
            if (!rms) gradcheck_float(c, -1, 1, along[i].rank, along[i].own);
            gradcheck_int(c, "axis", along[i].axis);
            gradcheck_int(c, "stash_type", OMMA_F64);
            fieldcheck_run(c, FIELDCHECK_EXACT);
        }
}

static void others(void **state) {
    (void)state;
    for (int axis = -1; axis < 2; axis++) {
        gradcheck *c = gradcheck_new("LpNormalization", 22, 1);
        gradcheck_float(c, 0.5, 1, GRADCHECK_DIMS(3, 4, 2));
        gradcheck_int(c, "axis", axis);
        fieldcheck_run(c, FIELDCHECK_EXACT);
        c = gradcheck_new("MeanVarianceNormalization", 13, 1);
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3, 4));
        gradcheck_ints(c, "axes", axis < 0 ? 1 : 2, (int64_t[]){axis, 2});
        fieldcheck_run(c, FIELDCHECK_EXACT);
    }
    for (int size = 1; size <= 7; size++) {
        gradcheck *c = gradcheck_new("LRN", 13, 1);
        gradcheck_float(c, 0.5, 2, GRADCHECK_DIMS(2, 5, 2, 1));
        gradcheck_int(c, "size", size);
        gradcheck_real(c, "alpha", 0.5f);
        fieldcheck_run(c, FIELDCHECK_EXACT);
    }
}

static void reductions(void **state) {
    (void)state;
    static const char *const ops[] = {
        "ReduceL1",   "ReduceL2",   "ReduceLogSum", "ReduceMax", "ReduceLogSumExp",
        "ReduceMean", "ReduceProd", "ReduceMin",    "ReduceSum", "ReduceSumSquare"};
    static const struct {
        int n;
        int64_t axes[3];
    } lists[] = {{1, {1}}, {2, {0, -1}}, {0, {0}}, {2, {1, 0}}, {3, {0, 1, 2}}};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        for (size_t k = 0; k < sizeof lists / sizeof *lists; k++) {
            gradcheck *c = gradcheck_new(ops[i], 18, 1);
            gradcheck_float(c, 0.5, 2, GRADCHECK_DIMS(2, 3, 2));
            gradcheck_list(c, lists[k].axes, lists[k].n);
            gradcheck_int(c, "keepdims", k % 2);
            gradcheck_int(c, "noop_with_empty_axes", k == 2 && i % 2);
            fieldcheck_run(c, FIELDCHECK_EXACT);
        }
}

/* Without means and variances an output is made from the number at its own place. */
static void content(void **state) {
    (void)state;
    static const char *const ops[] = {"InstanceNormalization",
                                      "GroupNormalization",
                                      "LayerNormalization",
                                      "BatchNormalization",
                                      "RMSNormalization",
                                      "LpNormalization",
                                      "LRN",
                                      "MeanVarianceNormalization"};
    static const int opset[] = {22, 21, 17, 15, 23, 22, 13, 13}, own[] = {2, 2, 1, 4, 1, 0, 0, 0};
    for (int i = 0; i < 8; i++) {
        fieldcheck k = {0};
        gradcheck *c = gradcheck_new(ops[i], opset[i], 1);
        gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 4, 3, 4));
        parameters(c, own[i], 4);
        if (i == 1) gradcheck_int(c, "num_groups", 2);
        if (i == 3) gradcheck_int(c, "training_mode", 1);
        if (i == 6) gradcheck_int(c, "size", 3);
        gradcheck_build(&k.s, c, OMMA_F64);
        omma_arena_init(&k.arena, NULL);
        const omma_specialise_how how = {.reading = OMMA_READ_FIELD};
        assert_int_equal(omma_specialise(&k.sp, k.s.g, k.s.in, &how, &k.arena, &k.s.err), 0);
        assert_int_equal(omma_fields_new(&k.f, k.sp.graph, NULL, NULL, &k.s.err), 0);
        omma_walk w;
        omma_set one;
        const omma_value *y = fieldcheck_value(&k, "out0"), *x = fieldcheck_value(&k, "in0");
        const int64_t at[4] = {1, 2, 0, 3};
        assert_int_equal(omma_walk_begin(&w, &k.f, OMMA_FIELD_CONTENT, &k.s.err), 0);
        assert_true(omma_set_one(&w.arena, &one, 4, y->dims, at));
        assert_int_equal(omma_walk_add(&w, y, &one, &k.s.err), 0);
        assert_int_equal(omma_walk_back(&w, &k.s.err), 0);
        assert_int_equal(omma_set_count(w.at[x->index]), 1);
        assert_true(omma_set_has(w.at[x->index], at));
        omma_walk_free(&w);
        omma_fields_free(&k.f);
        gradcheck_drop(&k.s);
        omma_arena_free(&k.arena);
        omma_arena_free(&c->arena);
        test_free(c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(batch),      cmocka_unit_test(groups),
                                       cmocka_unit_test(layers),     cmocka_unit_test(others),
                                       cmocka_unit_test(reductions), cmocka_unit_test(content)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
