/* test_field_elementwise.c - the fields of operators on numbers at the same place, of softmaxes and
 * of losses, against what changes. */
#include "fieldcheck.h"

/* --- each number alone --------------------------------------------------------------------- */

static void unary(void **state) {
    (void)state;
    static const struct {
        const char *op;
        int opset;
        double lo, hi;
    } ops[] = {{"Abs", 13, -3, 3},
               {"Acos", 7, -0.9, 0.9},
               {"Acosh", 9, 1.1, 4},
               {"Affine", 6, -2, 2},
               {"Asin", 7, -0.9, 0.9},
               {"Asinh", 9, -3, 3},
               {"Atan", 7, -3, 3},
               {"Atanh", 9, -0.9, 0.9},
               {"Ceil", 13, -3, 3},
               {"Celu", 12, -3, 3},
               {"Clip", 6, -3, 3},
               {"Cos", 7, -3, 3},
               {"Cosh", 9, -2, 2},
               {"Elu", 6, -3, 3},
               {"Erf", 13, -2, 2},
               {"Exp", 13, -2, 2},
               {"Floor", 13, -3, 3},
               {"Gelu", 20, -4, 4},
               {"HardSigmoid", 6, 0, 2},
               {"HardSwish", 14, -5, 5},
               {"LeakyRelu", 6, -3, 3},
               {"Log", 13, 0.2, 3},
               {"Mish", 18, -4, 4},
               {"Neg", 13, -3, 3},
               {"Reciprocal", 13, 1, 3},
               {"Relu", 14, -3, 3},
               {"Round", 11, -3, 3},
               {"ScaledTanh", 6, -2, 2},
               {"Selu", 6, -3, 3},
               {"Shrink", 9, -3, 3},
               {"Sigmoid", 13, -4, 4},
               {"Sign", 13, -3, 3},
               {"Sin", 7, -3, 3},
               {"Sinh", 9, -2, 2},
               {"Softplus", 1, -4, 4},
               {"Softsign", 1, -3, 3},
               {"Sqrt", 13, 0.2, 3},
               {"Swish", 24, -4, 4},
               {"Tan", 7, -1.2, 1.2},
               {"Tanh", 13, -3, 3},
               {"ThresholdedRelu", 10, -3, 3},
               {"ParametricSoftplus", 6, -2, 2}};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        gradcheck *c = gradcheck_new(ops[i].op, ops[i].opset, 1);
        gradcheck_float(c, ops[i].lo, ops[i].hi, GRADCHECK_DIMS(2, 3));
        fieldcheck_run(c, FIELDCHECK_EXACT);
        c = gradcheck_new(ops[i].op, ops[i].opset, 1);
        gradcheck_float(c, ops[i].lo, ops[i].hi, 0, NULL);
        fieldcheck_run(c, FIELDCHECK_EXACT);
    }
}

/* Seen number by number, but what is asked of them hardly ever changes. */
static void predicates(void **state) {
    (void)state;
    static const char *const ops[] = {"IsNaN", "IsInf"};
    for (int i = 0; i < 2; i++) {
        gradcheck *c = gradcheck_new(ops[i], 13, 1);
        gradcheck_float(c, -2, 2, GRADCHECK_DIMS(2, 3));
        fieldcheck_run(c, 0);
    }
}

static void clip_bounds(void **state) {
    (void)state;
    static const double lo[] = {-0.75}, hi[] = {0.75};
    for (int rank = 0; rank < 2; rank++) {
        gradcheck *c = gradcheck_new("Clip", 13, 1);
        gradcheck_float(c, -2, 0.5, GRADCHECK_DIMS(3, 4));
        gradcheck_data(c, lo, rank, (int64_t[]){1});
        gradcheck_data(c, hi, rank, (int64_t[]){1});
        fieldcheck_run(c, FIELDCHECK_EXACT);
        c = gradcheck_new("Clip", 13, 1);
        gradcheck_float(c, -2, 2, 0, NULL);
        gradcheck_skip(c);
        gradcheck_data(c, hi, rank, (int64_t[]){1});
        fieldcheck_run(c, FIELDCHECK_EXACT);
    }
}

/* --- pairs and more ------------------------------------------------------------------------ */

typedef struct shapes {
    int rank_x, rank_z;
    int64_t x[4], z[4];
} shapes;

static const shapes broadcasts[] = {{2, 2, {2, 3}, {2, 3}},       {2, 1, {2, 3}, {3}},
                                    {1, 3, {2}, {2, 3, 2}},       {2, 0, {2, 3}, {0}},
                                    {3, 3, {2, 1, 2}, {1, 3, 1}}, {4, 3, {1, 3, 2, 2}, {3, 1, 1}}};

static void pairs(void **state) {
    (void)state;
    static const char *const ops[] = {"Add",         "Sub", "Mul",     "Div",           "Max",
                                      "Min",         "Sum", "Mean",    "Pow",           "Less",
                                      "LessOrEqual", "Mod", "Greater", "GreaterOrEqual"};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        for (size_t s = 0; s < sizeof broadcasts / sizeof *broadcasts; s++) {
            gradcheck *c = gradcheck_new(ops[i], 16, 1);
            const bool mod = !strcmp(ops[i], "Mod"); /* of what is less than z it is no matter */
            gradcheck_float(c, mod ? 3 : 0.3, mod ? 9 : 2.2, broadcasts[s].rank_x, broadcasts[s].x);
            gradcheck_float(c, 0.3, 2.2, broadcasts[s].rank_z, broadcasts[s].z);
            if (mod) gradcheck_int(c, "fmod", 1);
            fieldcheck_run(c, FIELDCHECK_EXACT);
        }
    gradcheck *c = gradcheck_new("Equal", 13, 1);
    gradcheck_float(c, -2, 2, GRADCHECK_DIMS(2, 3));
    gradcheck_float(c, -2, 2, GRADCHECK_DIMS(3));
    fieldcheck_run(c, 0);
}

static void along_an_axis(void **state) {
    (void)state;
    static const char *const ops[] = {"Add", "Mul", "PRelu"};
    for (int i = 0; i < 3; i++)
        for (int axis = 0; axis < 2; axis++) {
            gradcheck *c = gradcheck_new(ops[i], 6, 1);
            gradcheck_float(c, -2, -0.2, GRADCHECK_DIMS(2, 2, 3, 2));
            if (i == 2 || axis) gradcheck_float(c, 0.3, 2, GRADCHECK_DIMS(2));
            else gradcheck_float(c, 0.3, 2, GRADCHECK_DIMS(2, 2));
            gradcheck_int(c, "broadcast", 1);
            gradcheck_int(c, "axis", axis);
            fieldcheck_run(c, FIELDCHECK_EXACT);
        }
}

static void many(void **state) {
    (void)state;
    static const char *const ops[] = {"Max", "Min", "Sum", "Mean"};
    for (int i = 0; i < 4; i++) {
        gradcheck *c = gradcheck_new(ops[i], 13, 1);
        gradcheck_float(c, -2, 2, GRADCHECK_DIMS(2, 2, 3));
        gradcheck_float(c, -2, 2, GRADCHECK_DIMS(2, 1));
        gradcheck_float(c, -2, 2, GRADCHECK_DIMS(3));
        fieldcheck_run(c, FIELDCHECK_EXACT);
    }
}

static void prelu(void **state) {
    (void)state;
    gradcheck *c = gradcheck_new("PRelu", 9, 1);
    gradcheck_float(c, -2, -0.2, GRADCHECK_DIMS(2, 3, 2, 2));
    gradcheck_float(c, 0.3, 1, GRADCHECK_DIMS(3, 1, 1));
    fieldcheck_run(c, FIELDCHECK_EXACT);
}

static void swiglu(void **state) {
    (void)state;
    gradcheck *c = gradcheck_new("SwiGLU", 28, 1);
    gradcheck_float(c, 0.5, 2, GRADCHECK_DIMS(2, 3));
    gradcheck_float(c, 0.5, 2, GRADCHECK_DIMS(2, 3));
    fieldcheck_run(c, FIELDCHECK_EXACT);
}

/* A constant condition says which of the two is read. */
static void where(void **state) {
    (void)state;
    static const unsigned char yes[12] = {1, 0, 0, 1, 1, 0, 1, 0, 1, 1, 0, 0};
    for (size_t s = 0; s < sizeof broadcasts / sizeof *broadcasts; s++)
        for (int fixed = 0; fixed < 2; fixed++) {
            gradcheck *c = gradcheck_new("Where", 16, 1);
            gradcheck_bool(c, yes, broadcasts[s].rank_z, broadcasts[s].z)->fixed = fixed;
            gradcheck_float(c, -2, 2, broadcasts[s].rank_x, broadcasts[s].x);
            gradcheck_float(c, -2, 2, broadcasts[s].rank_z, broadcasts[s].z);
            fieldcheck_run(c, fixed ? FIELDCHECK_EXACT : 0);
        }
}

/* --- copies ---------------------------------------------------------------------------------- */

static void copies(void **state) {
    (void)state;
    static const unsigned char on = 1;
    static const double ratio = 0.4;
    gradcheck *c = gradcheck_new("Cast", 13, 1);
    gradcheck_float(c, -2, 2, GRADCHECK_DIMS(2, 3));
    gradcheck_int(c, "to", OMMA_F32);
    fieldcheck_run(c, FIELDCHECK_EXACT);
    c = gradcheck_new("Cast", 13, 1);
    gradcheck_float(c, -2, 2, GRADCHECK_DIMS(2, 3));
    gradcheck_int(c, "to", OMMA_I32);
    fieldcheck_run(c, FIELDCHECK_EXACT);
    c = gradcheck_new("CastLike", 15, 1);
    gradcheck_float(c, -2, 2, GRADCHECK_DIMS(2, 3));
    gradcheck_float(c, -2, 2, GRADCHECK_DIMS(4));
    fieldcheck_run(c, FIELDCHECK_EXACT);
    c = gradcheck_new("BitCast", 26, 1);
    gradcheck_float(c, -2, 2, GRADCHECK_DIMS(2, 3));
    gradcheck_int(c, "to", OMMA_I64);
    fieldcheck_run(c, FIELDCHECK_EXACT);
    c = gradcheck_new("Dropout", 13, 2);
    gradcheck_float(c, -2, 2, GRADCHECK_DIMS(2, 3));
    fieldcheck_run(c, FIELDCHECK_EXACT);
    c = gradcheck_new("Dropout", 13, 2);
    gradcheck_float(c, -2, 2, GRADCHECK_DIMS(5, 3));
    gradcheck_data(c, &ratio, 0, NULL);
    gradcheck_bool(c, &on, 0, NULL);
    fieldcheck_run(c, 0);
    c = gradcheck_new("ImageScaler", 6, 1);
    gradcheck_float(c, -2, 2, GRADCHECK_DIMS(1, 2, 2, 2));
    fieldcheck_run(c, FIELDCHECK_EXACT);
    for (int sized = 0; sized < 2; sized++) {
        c = gradcheck_new("Crop", 6, 1);
        gradcheck_float(c, -2, 2, GRADCHECK_DIMS(2, 2, 5, 6));
        gradcheck_ints(c, "border", GRADCHECK_DIMS(1, 2, 2, 1));
        if (sized) gradcheck_ints(c, "scale", GRADCHECK_DIMS(3, 2));
        fieldcheck_run(c, FIELDCHECK_EXACT);
    }
}

/* --- softmaxes and losses ----------------------------------------------------------------------
 */

static void softmaxes(void **state) {
    (void)state;
    static const char *const ops[] = {"Softmax", "LogSoftmax", "Hardmax"};
    static const struct {
        int rank, axis, opset;
        int64_t dims[3];
    } lanes[] = {{1, -1, 13, {4}},       {2, 1, 13, {3, 4}},    {2, 0, 13, {3, 4}},
                 {3, -2, 13, {2, 3, 2}}, {3, 1, 11, {2, 3, 2}}, {3, 0, 11, {2, 2, 3}},
                 {3, 2, 11, {2, 3, 2}}};
    for (int k = 0; k < 3; k++)
        for (size_t i = 0; i < sizeof lanes / sizeof *lanes; i++) {
            gradcheck *c = gradcheck_new(ops[k], lanes[i].opset, 1);
            gradcheck_float(c, -1, 1, lanes[i].rank, lanes[i].dims);
            gradcheck_int(c, "axis", lanes[i].axis);
            fieldcheck_run(c, k < 2 ? FIELDCHECK_EXACT : 0);
        }
}

/* how: 0 labels that are constants, 1 known, 2 unknown */
static void one_loss(const char *op, const char *reduction, int how, bool weights, bool ignores) {
    static const int64_t labels[] = {1, 0, 2, 1, 2, 2};
    const bool softmax = *op == 'S';
    gradcheck *c = gradcheck_new(op, 13, 1 + softmax);
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(2, 3, 3));
    gradcheck_whole(c, labels, GRADCHECK_DIMS(2, 3))->fixed = how == 0;
    if (weights) gradcheck_float(c, 0.2, 2, GRADCHECK_DIMS(3));
    gradcheck_text(c, "reduction", reduction);
    if (ignores) gradcheck_int(c, "ignore_index", 2);
    fieldcheck_run(c, (how == 1 ? FIELDCHECK_KNOWN : 0) |
                          (how == 2 || weights ? 0 : FIELDCHECK_EXACT));
}

static void losses(void **state) {
    (void)state;
    static const char *const ops[] = {"NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"};
    static const char *const reductions[] = {"none", "sum", "mean"};
    for (int op = 0; op < 2; op++)
        for (int r = 0; r < 3; r++)
            for (int how = 0; how < 3; how++)
                for (int w = 0; w < 2; w++)
                    for (int i = 0; i < 2; i++) one_loss(ops[op], reductions[r], how, w, i);
}

/* --- masks -------------------------------------------------------------------------------------
 */

static omma_value *put(omma_graph *g, const char *op, const char *name, omma_value *const *in,
                       int k) {
    omma_node *n = omma_graph_node(g, omma_op_find(op), name, k, 1);
    n->opset = 13;
    for (int i = 0; i < k; i++) n->in[i] = in[i];
    omma_node_set_output(n, 0, omma_graph_value(g, name));
    return n->out[0];
}

/* softmax(scores + mask), or with -inf chosen where the mask is: each row reads what comes before,
 * and nothing is behind the zeros. how: 0 added -inf, 1 added -1e4, 2 chosen. */
static void causal(int how) {
    enum { N = 4 };
    static const int64_t dims[] = {N, N};
    static unsigned char seen[N * N];
    static double none = -INFINITY, mask[N * N];
    for (int i = 0; i < N * N; i++) {
        seen[i] = i % N <= i / N;
        mask[i] = seen[i] ? 0 : how ? -1e4 : -INFINITY;
    }
    omma_arena arena;
    omma_arena_init(&arena, NULL);
    omma_graph *g = omma_graph_new(&arena, "causal");
    omma_value *x = omma_graph_value(g, "scores"), *y, *sum;
    x->dtype = OMMA_F64, x->rank = 2, x->is_input = true;
    memcpy(x->dims, dims, sizeof dims);
    if (how == 2) {
        omma_value *in[] = {omma_graph_constant(g, "seen", OMMA_BOOL, 2, dims, seen), x,
                            omma_graph_constant(g, "none", OMMA_F64, 0, NULL, &none)};
        sum = put(g, "Where", "sum", in, 3);
    } else {
        omma_value *in[] = {x, omma_graph_constant(g, "mask", OMMA_F64, 2, dims, mask)};
        sum = put(g, "Add", "sum", in, 2);
    }
    y = put(g, "Softmax", "weights", &sum, 1);
    y->is_output = true;
    g->inputs = &x, g->n_inputs = 1;
    g->outputs = &y, g->n_outputs = 1;
    omma_error err;
    omma_specialised sp;
    omma_fields f;
    double data[N * N] = {0};
    const omma_tensor t = {.dtype = OMMA_F64, .rank = 2, .dims = {N, N}, .data = data};
    const omma_specialise_how all = {.reading = OMMA_READ_FIELD};
    assert_int_equal(omma_specialise(&sp, g, &t, &all, &arena, &err), OMMA_OK);
    assert_int_equal(omma_fields_new(&f, sp.graph, NULL, NULL, &err), OMMA_OK);
    const omma_value *from = omma_graph_find(sp.graph, "weights"),
                     *to = omma_graph_find(sp.graph, "scores");
    for (int64_t i = 0; i < N * N; i++) {
        omma_walk w;
        omma_set one;
        assert_int_equal(omma_walk_begin(&w, &f, OMMA_FIELD_STRUCTURAL, &err), OMMA_OK);
        assert_true(omma_set_one(&w.arena, &one, 2, from->dims, (int64_t[]){i / N, i % N}));
        assert_int_equal(omma_walk_add(&w, from, &one, &err), OMMA_OK);
        assert_int_equal(omma_walk_back(&w, &err), OMMA_OK);
        const omma_set *set = w.at[to->index];
        for (int64_t k = 0; k < N * N; k++) {
            const bool want = k / N == i / N && seen[k] && seen[i];
            assert_int_equal(set && omma_set_has(set, (int64_t[]){k / N, k % N}), want);
        }
        if (seen[i]) assert_int_equal((w.met & OMMA_MET_SOFT) != 0, how == 1);
        omma_walk_free(&w);
    }
    omma_fields_free(&f);
    omma_arena_free(&arena);
}

static void masks(void **state) {
    (void)state;
    for (int how = 0; how < 3; how++) causal(how);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unary),  cmocka_unit_test(predicates),    cmocka_unit_test(clip_bounds),
        cmocka_unit_test(pairs),  cmocka_unit_test(along_an_axis), cmocka_unit_test(many),
        cmocka_unit_test(prelu),  cmocka_unit_test(swiglu),        cmocka_unit_test(where),
        cmocka_unit_test(copies), cmocka_unit_test(softmaxes),     cmocka_unit_test(losses),
        cmocka_unit_test(masks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
