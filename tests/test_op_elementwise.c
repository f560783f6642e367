/* test_op_elementwise.c - the rooms unary, cast and binary: values from the definitions and
 * from published tables, every type, every kind of broadcasting against plain index
 * arithmetic, in-place runs, threads, and what must fail. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "optest.h"

static const omma_dtype floats[] = {OMMA_F32, OMMA_F64, OMMA_F16, OMMA_BF16};
static const omma_dtype ints[] = {OMMA_I8, OMMA_I16, OMMA_I32, OMMA_I64,
                                  OMMA_U8, OMMA_U16, OMMA_U32, OMMA_U64};
static const omma_dtype all[] = {OMMA_F32, OMMA_F64, OMMA_F16, OMMA_BF16, OMMA_I8,
                                 OMMA_I16, OMMA_I32, OMMA_I64, OMMA_U8,   OMMA_U16,
                                 OMMA_U32, OMMA_U64, OMMA_BOOL};
enum {
    N_FLOATS = sizeof floats / sizeof *floats,
    N_INTS = sizeof ints / sizeof *ints,
    N_ALL = sizeof all / sizeof *all
};

static bool is_signed(omma_dtype t) {
    return t == OMMA_I8 || t == OMMA_I16 || t == OMMA_I32 || t == OMMA_I64;
}
static bool is_int(omma_dtype t) {
    return is_signed(t) || t == OMMA_U8 || t == OMMA_U16 || t == OMMA_U32 || t == OMMA_U64;
}

/* One unit in the last place of 1, for comparing. */
static double unit(omma_dtype t) {
    return t == OMMA_F64    ? 0x1p-50
           : t == OMMA_F32  ? 0x1p-20
           : t == OMMA_F16  ? 0x1p-10
           : t == OMMA_BF16 ? 0x1p-7
                            : 0;
}

static void same(const char *what, omma_dtype t, double got, double want) {
    if (isnan(want) ? isnan(got)
                    : got == want || fabs(got - want) <= 2 * unit(t) * fmax(1, fabs(want)))
        return;
    fail_msg("%s on %s: %.9g, not %.9g", what, omma_dtype_name(t), got, want);
}

/* Add an input of any type from doubles (rounded to it), n numbers, rank 1. */
static void put(optest *t, omma_dtype type, const double *v, int64_t n) {
    uint64_t raw[64];
    for (int64_t i = 0; i < n; i++) omma_set_number(type, raw, i, v[i]);
    optest_put(t, false, type, raw, 1, &n);
}

static double in_at(const optest *t, int k, int64_t i) {
    return omma_get_number(t->in[k]->dtype, t->in[k]->mem, i);
}
static double out_at(const optest *t, int64_t i) {
    return omma_get_number(t->out[0].dtype, t->out[0].data, i);
}

/* As optest_try with one output that lies on input `on` (-1: on its own). */
static omma_status try_on(optest *t, int on, int threads) {
    const omma_op *op = omma_op_find(t->op);
    omma_node *n = omma_graph_node(t->g, op, "node", t->n_in, 1);
    n->opset = t->opset, n->attrs = t->attrs, n->n_attrs = t->n_attrs;
    for (int i = 0; i < t->n_in; i++) n->in[i] = t->in[i];
    omma_node_set_output(n, 0, omma_graph_value(t->g, "y"));
    omma_build b = {.arena = &t->arena, .err = &t->err, .kern = omma_kernels_best()};
    OMMA_TRY(op->infer(&b, n));
    n->out[0]->mem =
        on < 0 ? omma_arena_alloc(&t->arena, omma_value_bytes(n->out[0])) : n->in[on]->mem;
    omma_exec x = {.threads = threads, .kern = b.kern, .err = &t->err};
    OMMA_TRY(op->run(&x, n));
    t->out[0] = omma_value_tensor(n->out[0]);
    return OMMA_OK;
}

/* --- unary -------------------------------------------------------------------- */

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double softplus(double x) { return x > 30 ? x : log1p(exp(x)); }
static double r_elu(double x) { return x < 0 ? expm1(x) : x; }
static double r_gelu(double x) { return x / 2 * erfc(-x * 0.70710678118654752440); }
static double r_hard_sigmoid(double x) { return fmin(fmax(0.2f * x + 0.5, 0), 1); }
static double r_hard_swish(double x) { return x * fmin(fmax(x / 6 + 0.5, 0), 1); }
static double r_leaky(double x) { return x < 0 ? 0.01f * x : x; }
static double r_mish(double x) { return x * tanh(softplus(x)); }
static double r_neg(double x) { return -x; }
static double r_reciprocal(double x) { return 1 / x; }
static double r_relu(double x) { return x < 0 ? 0 : x; }
static double r_selu(double x) {
    return (double)1.05070102f * (x > 0 ? x : (double)1.67326319f * expm1(x));
}
static double r_sign(double x) { return (x > 0) - (x < 0); }
static double r_softsign(double x) { return x / (1 + fabs(x)); }
static double r_thresholded(double x) { return x > 1 ? x : 0; }

static const struct {
    const char *op;
    double (*f)(double);
} unaries[] = {{"Abs", fabs},
               {"Ceil", ceil},
               {"Cos", cos},
               {"Elu", r_elu},
               {"Erf", erf},
               {"Exp", exp},
               {"Floor", floor},
               {"Gelu", r_gelu},
               {"HardSigmoid", r_hard_sigmoid},
               {"HardSwish", r_hard_swish},
               {"LeakyRelu", r_leaky},
               {"Log", log},
               {"Mish", r_mish},
               {"Neg", r_neg},
               {"Reciprocal", r_reciprocal},
               {"Relu", r_relu},
               {"Round", rint},
               {"Selu", r_selu},
               {"Sigmoid", sigmoid},
               {"Sign", r_sign},
               {"Sin", sin},
               {"Softplus", softplus},
               {"Softsign", r_softsign},
               {"Sqrt", sqrt},
               {"Tan", tan},
               {"Tanh", tanh},
               {"ThresholdedRelu", r_thresholded}};

static void unary_floats(void **state) {
    (void)state;
    const double x[] = {-7,  -3.5, -2.5, -1,  -0.75, -0.5, -0.1, 0, 0.1,
                        0.5, 0.75, 1,    1.5, 2.5,   3.5,  6,    8};
    const int n = (int)(sizeof x / sizeof *x);
    for (size_t k = 0; k < sizeof unaries / sizeof *unaries; k++)
        for (int f = 0; f < N_FLOATS; f++) {
            optest *t = optest_new(unaries[k].op, 22);
            put(t, floats[f], x, n);
            const omma_tensor *y = optest_run(t, 1);
            assert_int_equal(y->dtype, floats[f]);
            for (int i = 0; i < n; i++)
                same(t->op, floats[f], out_at(t, i), unaries[k].f(in_at(t, 0, i)));
            optest_free(t);
        }
}

/* NaN comes out as NaN; infinities come out as the limits. */
static void unary_edges(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof unaries / sizeof *unaries; k++)
        for (int f = 0; f < 2; f++) {
            optest *t = optest_new(unaries[k].op, 22);
            put(t, floats[f], (double[]){NAN, INFINITY, -INFINITY}, 3);
            optest_run(t, 1);
            if (!isnan(out_at(t, 0))) fail_msg("%s: NaN became %g", t->op, out_at(t, 0));
            optest_free(t);
        }
    const struct {
        const char *op;
        double plus, minus;
    } limits[] = {
        {"Relu", INFINITY, 0}, {"Sigmoid", 1, 0},           {"Tanh", 1, -1},
        {"Erf", 1, -1},        {"Exp", INFINITY, 0},        {"Softplus", INFINITY, 0},
        {"Elu", INFINITY, -1}, {"HardSigmoid", 1, 0},       {"Sign", 1, -1},
        {"Reciprocal", 0, 0},  {"Abs", INFINITY, INFINITY}, {"LeakyRelu", INFINITY, -INFINITY}};
    for (size_t k = 0; k < sizeof limits / sizeof *limits; k++)
        for (int f = 0; f < N_FLOATS; f++) {
            optest *t = optest_new(limits[k].op, 22);
            put(t, floats[f], (double[]){INFINITY, -INFINITY}, 2);
            optest_run(t, 1);
            same(t->op, floats[f], out_at(t, 0), limits[k].plus);
            same(t->op, floats[f], out_at(t, 1), limits[k].minus);
            optest_free(t);
        }
}

static void unary_ints(void **state) {
    (void)state;
    const struct {
        const char *op;
        bool unsigned_too;
    } ops[] = {{"Abs", true}, {"Sign", true}, {"Erf", true}, {"Neg", false}, {"Relu", false}};
    for (size_t k = 0; k < sizeof ops / sizeof *ops; k++)
        for (int f = 0; f < N_INTS; f++) {
            optest *t = optest_new(ops[k].op, 14);
            put(t, ints[f], (double[]){-9, -6, -5, -1, 0, 1, 5, 6, 100}, 9);
            if (!is_signed(ints[f]) && !ops[k].unsigned_too) {
                assert_int_equal(optest_try(t, 1, 1), OMMA_E_UNSUPPORTED);
                optest_free(t);
                continue;
            }
            optest_run(t, 1);
            for (int i = 0; i < 9; i++) {
                const double x = in_at(t, 0, i);
                const double want = !strcmp(t->op, "Abs")    ? fabs(x)
                                    : !strcmp(t->op, "Sign") ? r_sign(x)
                                    : !strcmp(t->op, "Erf")  ? trunc(erf(x))
                                    : !strcmp(t->op, "Neg")  ? -x
                                                             : r_relu(x);
                same(t->op, ints[f], out_at(t, i), want);
            }
            optest_free(t);
        }
    optest *t = optest_new("Neg", 13);
    optest_i64(t, (int64_t[]){INT64_MIN, INT64_MAX}, OPTEST_DIMS(2));
    assert_memory_equal(optest_run(t, 1)->data, ((int64_t[]){INT64_MIN, -INT64_MAX}), 16);
    optest_free(t);
}

static void expect_f32(const char *op, int opset, const char *attr, const char *s, const float *x,
                       const float *y, int64_t n) {
    optest *t = optest_new(op, opset);
    optest_f32(t, x, &n, 1);
    if (attr) optest_string(t, attr, s);
    optest_run(t, 1);
    for (int64_t i = 0; i < n; i++)
        if (fabs(out_at(t, i) - (double)y[i]) > 2e-7 * fmax(1, fabs((double)y[i])))
            fail_msg("%s(%g) = %.9g, not %.9g", op, (double)x[i], out_at(t, i), (double)y[i]);
    optest_free(t);
}

static void published_values(void **state) {
    (void)state;
    expect_f32("Gelu", 20, NULL, NULL, (float[]){-1, -.5f, .5f, 1, 2},
               (float[]){-.15865529f, -.15426879f, .34573120f, .84134471f, 1.95449996f}, 5);
    expect_f32("Gelu", 20, "approximate", "none", (float[]){-1, 2},
               (float[]){-.15865529f, 1.95449996f}, 2);
    expect_f32("Gelu", 20, "approximate", "tanh", (float[]){-1, 0, 1, 2},
               (float[]){-.15880801f, 0, .84119199f, 1.95459769f}, 4);
    expect_f32("Round", 11, NULL, NULL,
               (float[]){.1f, .5f, .9f, 1.2f, 1.5f, 1.8f, 2.3f, 2.5f, 2.7f, -1.1f, -1.5f, -2.5f},
               (float[]){0, 0, 1, 1, 2, 2, 2, 2, 3, -1, -2, -2}, 12);
    expect_f32("HardSwish", 14, NULL, NULL, (float[]){-4, -3, -1, 0, 1, 3, 4},
               (float[]){0, 0, -1 / 3.f, 0, 2 / 3.f, 3, 4}, 7);
    optest *t = optest_new("Gelu", 20);
    optest_f32(t, (float[]){1}, OPTEST_DIMS(1));
    optest_string(t, "approximate", "sigmoid");
    assert_int_equal(optest_try(t, 1, 1), OMMA_E_SHAPE);
    optest_free(t);
}

static void attributes(void **state) {
    (void)state;
    const struct {
        const char *op, *b;
        float alpha, beta;
        double want[4];
    } c[] = {{"LeakyRelu", NULL, 0.5f, 0, {-2, -.5, 0, 3}},
             {"LeakyRelu", NULL, 2, 0, {-8, -2, 0, 3}},
             {"LeakyRelu", NULL, 0, 0, {0, 0, 0, 3}},
             {"LeakyRelu", NULL, -1, 0, {4, 1, 0, 3}},
             {"Elu", NULL, 2, 0, {-1.96336872222253164, -1.26424111765711536, 0, 3}},
             {"HardSigmoid", "beta", 0.25f, 0.25f, {0, 0, .25, 1}},
             {"ThresholdedRelu", NULL, -2, 0, {0, -1, 0, 3}},
             {"Selu", "gamma", 1, 2, {-1.96336872222253164, -1.26424111765711536, 0, 6}}};
    for (size_t k = 0; k < sizeof c / sizeof *c; k++)
        for (int f = 0; f < N_FLOATS; f++) {
            optest *t = optest_new(c[k].op, 22);
            put(t, floats[f], (double[]){-4, -1, 0, 3}, 4);
            optest_float(t, "alpha", c[k].alpha);
            if (c[k].b) optest_float(t, c[k].b, c[k].beta);
            optest_run(t, 1);
            for (int i = 0; i < 4; i++) same(c[k].op, floats[f], out_at(t, i), c[k].want[i]);
            optest_free(t);
        }
}

static void clip(void **state) {
    (void)state;
    const double x[] = {-5, -1, 0, 1, 5};
    for (int f = 0; f < N_ALL - 1; f++) /* bounds as inputs, of every type; then only one */
        for (int how = 0; how < 4; how++) {
            optest *t = optest_new("Clip", 13);
            put(t, all[f], x, 5);
            if (how & 1) put(t, all[f], (double[]){1}, 1);
            else optest_skip(t);
            if (how & 2) put(t, all[f], (double[]){2}, 1);
            optest_run(t, 1);
            for (int i = 0; i < 5; i++) {
                double want = in_at(t, 0, i);
                if (how & 1) want = fmax(want, 1);
                if (how & 2) want = fmin(want, 2);
                same("Clip", all[f], out_at(t, i), want);
            }
            optest_free(t);
        }
    optest *t = optest_new("Clip", 6);
    put(t, OMMA_F32, x, 5);
    optest_float(t, "min", -2);
    optest_float(t, "max", 3);
    optest_run(t, 1);
    assert_memory_equal(t->out[0].data, ((float[]){-2, -1, 0, 1, 3}), 20);
    optest_free(t);
    t = optest_new("Clip", 13); /* min above max: max wins; NaN stays */
    put(t, OMMA_F32, (double[]){-5, 2.5, 9, NAN}, 4);
    put(t, OMMA_F32, (double[]){3}, 1);
    put(t, OMMA_F32, (double[]){2}, 1);
    optest_run(t, 1);
    assert_true(out_at(t, 0) == 2 && out_at(t, 1) == 2 && out_at(t, 2) == 2 && isnan(out_at(t, 3)));
    optest_free(t);
    t = optest_new("Clip", 13); /* the bounds are of another type */
    put(t, OMMA_F32, x, 5);
    put(t, OMMA_F64, x, 1);
    assert_int_equal(optest_try(t, 1, 1), OMMA_E_SHAPE);
    optest_free(t);
    t = optest_new("Clip", 13); /* a bound of two numbers */
    put(t, OMMA_F32, x, 5);
    put(t, OMMA_F32, x, 2);
    assert_int_equal(optest_try(t, 1, 1), OMMA_E_SHAPE);
    optest_free(t);
}

static void bools(void **state) {
    (void)state;
    for (int f = 0; f < N_FLOATS; f++)
        for (int how = 0; how < 4; how++) {
            optest *t = optest_new("IsInf", 20);
            put(t, floats[f], (double[]){NAN, INFINITY, -INFINITY, 1}, 4);
            optest_int(t, "detect_positive", how & 1);
            optest_int(t, "detect_negative", how >> 1);
            const omma_tensor *y = optest_run(t, 1);
            assert_int_equal(y->dtype, OMMA_BOOL);
            assert_memory_equal(y->data, ((uint8_t[]){0, how & 1, (uint8_t)(how >> 1), 0}), 4);
            optest_free(t);
            t = optest_new("IsNaN", 20);
            put(t, floats[f], (double[]){NAN, INFINITY, -INFINITY, 1}, 4);
            assert_memory_equal(optest_run(t, 1)->data, ((uint8_t[]){1, 0, 0, 0}), 4);
            optest_free(t);
        }
    optest *t = optest_new("Not", 1);
    put(t, OMMA_BOOL, (double[]){0, 1}, 2);
    assert_memory_equal(optest_run(t, 1)->data, ((uint8_t[]){1, 0}), 2);
    optest_free(t);
    const char *ops[] = {"And", "Or", "Xor", "Equal"};
    const uint8_t want[][4] = {{0, 0, 0, 1}, {0, 1, 1, 1}, {0, 1, 1, 0}, {1, 0, 0, 1}};
    for (int k = 0; k < 4; k++) { /* any byte but 0 is true */
        t = optest_new(ops[k], 7);
        optest_put(t, false, OMMA_BOOL, (uint8_t[]){0, 0, 1, 2}, 1, (int64_t[]){4});
        optest_put(t, false, OMMA_BOOL, (uint8_t[]){0, 1, 0, 255}, 1, (int64_t[]){4});
        assert_memory_equal(optest_run(t, 1)->data, want[k], 4);
        optest_free(t);
    }
}

static void identity_and_dropout(void **state) {
    (void)state;
    optest *t = optest_new("Identity", 16);
    optest_i64(t, (int64_t[]){1, 2, 3}, OPTEST_DIMS(3, 1));
    const omma_tensor *y = optest_run(t, 1);
    assert_int_equal(y->rank, 2);
    assert_ptr_equal(y->data, t->in[0]->mem);
    optest_free(t);
    const int opsets[] = {7, 10, 12, 22};
    for (int k = 0; k < 4; k++) {
        t = optest_new("Dropout", opsets[k]);
        optest_f32(t, (float[]){1, 2, 3}, OPTEST_DIMS(3));
        if (opsets[k] >= 12) put(t, OMMA_F32, (double[]){.75}, 1);
        y = optest_run(t, 2);
        assert_memory_equal(y[0].data, ((float[]){1, 2, 3}), 12);
        assert_int_equal(y[1].dtype, opsets[k] < 10 ? OMMA_F32 : OMMA_BOOL);
        for (int i = 0; i < 3; i++) assert_true(omma_get_number(y[1].dtype, y[1].data, i) == 1);
        optest_free(t);
    }
    for (int training = 0; training < 2; training++)
        for (int ratio = 0; ratio < 2; ratio++) {
            t = optest_new("Dropout", 13);
            optest_f32(t, (float[]){1, 2, 3}, OPTEST_DIMS(3));
            put(t, OMMA_F32, (double[]){ratio}, 1);
            put(t, OMMA_BOOL, (double[]){training}, 1);
            assert_int_equal(optest_try(t, 1, 1), training && ratio ? OMMA_E_RANGE : OMMA_OK);
            optest_free(t);
        }
}

/* --- Cast --------------------------------------------------------------------- */

static void cast(omma_dtype from, omma_dtype to, const void *x, const void *want, int64_t n) {
    optest *t = optest_new("Cast", 13);
    optest_put(t, false, from, x, 1, &n);
    optest_int(t, "to", to);
    const omma_tensor *y = optest_run(t, 1);
    assert_int_equal(y->dtype, to);
    if (memcmp(y->data, want, (size_t)n * omma_dtype_size(to)))
        for (int64_t i = 0; i < n; i++)
            fail_msg("%s to %s, number %lld: %.9g, not %.9g", omma_dtype_name(from),
                     omma_dtype_name(to), (long long)i, omma_get_number(to, y->data, i),
                     omma_get_number(to, want, i));
    optest_free(t);
}

static void casts(void **state) {
    (void)state;
    for (int a = 0; a < N_ALL; a++) /* small whole numbers pass through every pair */
        for (int b = 0; b < N_ALL; b++) {
            uint64_t x[5], want[5];
            for (int i = 0; i < 5; i++) {
                omma_set_number(all[a], x, i, (double[]){0, 1, 2, 100, 127}[i]);
                omma_set_number(all[b], want, i, omma_get_number(all[a], x, i));
            }
            cast(all[a], all[b], x, want, 5);
        }
    const float f[] = {-1.9f, 1.9f, 300, -300, NAN, INFINITY, -INFINITY, 3e9f, -3e9f, 1e19f};
    cast(OMMA_F32, OMMA_I8, f, (int8_t[]){-1, 1, 127, -128, 0, 127, -128, 127, -128, 127}, 10);
    cast(OMMA_F32, OMMA_U8, f, (uint8_t[]){0, 1, 255, 0, 0, 255, 0, 255, 0, 255}, 10);
    cast(OMMA_F32, OMMA_I32, f,
         (int32_t[]){-1, 1, 300, -300, 0, INT32_MAX, INT32_MIN, INT32_MAX, INT32_MIN, INT32_MAX},
         10);
    cast(OMMA_F32, OMMA_I64, f,
         (int64_t[]){-1, 1, 300, -300, 0, INT64_MAX, INT64_MIN, 3000000000, -3000000000, INT64_MAX},
         10);
    cast(OMMA_F32, OMMA_U64, f,
         (uint64_t[]){0, 1, 300, 0, 0, UINT64_MAX, 0, 3000000000, 0, 9999999980506447872u}, 10);
    cast(OMMA_F32, OMMA_BOOL, (float[]){0, -0.f, .1f, NAN, -INFINITY}, (uint8_t[]){0, 0, 1, 1, 1},
         5);
    cast(OMMA_BOOL, OMMA_F32, (uint8_t[]){0, 1, 7}, (float[]){0, 1, 1}, 3);
    cast(OMMA_I32, OMMA_U8, (int32_t[]){-1, 256, 511, 65}, (uint8_t[]){255, 0, 255, 65}, 4);
    cast(OMMA_I64, OMMA_I8, (int64_t[]){128, -129, 1000}, (int8_t[]){-128, 127, -24}, 3);
    cast(OMMA_I64, OMMA_I32, (int64_t[]){INT64_MAX, 1ll << 31}, (int32_t[]){-1, INT32_MIN}, 2);
    cast(OMMA_U64, OMMA_F32, (uint64_t[]){UINT64_MAX, 16777217}, (float[]){0x1p64f, 16777216}, 2);
    /* one rounding only: 2^60 + 2^36 + 1 is above the tie between two floats */
    cast(OMMA_I64, OMMA_F32, (int64_t[]){(1ll << 60) + (1ll << 36) + 1},
         (float[]){0x1p60f + 0x1p37f}, 1);
    /* 1, 65504, the tie to infinity, the smallest subnormal, half of it, NaN */
    cast(OMMA_F32, OMMA_F16,
         (float[]){1, 65504, 65519.9f, 65520, 0x1p-24f, 0x1p-25f, -2, 1.00048828125f,
                   1.00146484375f},
         (uint16_t[]){0x3c00, 0x7bff, 0x7bff, 0x7c00, 1, 0, 0xc000, 0x3c00, 0x3c02}, 9);
    cast(OMMA_F32, OMMA_BF16, (float[]){1, 1.00390625f, 1.01171875f, -INFINITY},
         (uint16_t[]){0x3f80, 0x3f80, 0x3f82, 0xff80}, 4);
    /* just above a tie of float16 and bfloat16, closer than float can say */
    cast(OMMA_F64, OMMA_F16, (double[]){1 + 0x1p-11 + 0x1p-40, -1 - 0x1p-11 - 0x1p-40, 1 + 0x1p-11},
         (uint16_t[]){0x3c01, 0xbc01, 0x3c00}, 3);
    cast(OMMA_F64, OMMA_BF16, (double[]){1 + 0x1p-8 + 0x1p-40, 1e300, 1e-300},
         (uint16_t[]){0x3f81, 0x7f80, 0}, 3);
    const int bad[] = {0, OMMA_STRING, 14, 17, 31, 32, 1000, -1};
    for (int k = 0; k < 8; k++) {
        optest *t = optest_new("Cast", 13);
        optest_f32(t, f, OPTEST_DIMS(2));
        optest_int(t, "to", bad[k]);
        assert_int_equal(optest_try(t, 1, 1), OMMA_E_UNSUPPORTED);
        optest_free(t);
    }
}

/* --- binary ------------------------------------------------------------------- */

static double b_add(double x, double z) { return x + z; }
static double b_sub(double x, double z) { return x - z; }
static double b_mul(double x, double z) { return x * z; }
static double b_div(double x, double z) { return x / z; }
static double b_pow(double x, double z) { return pow(x, z); }
static double b_mod(double x, double z) { return x - z * floor(x / z); }
static double b_prelu(double x, double z) { return x < 0 ? x * z : x; }
static double b_max(double x, double z) { return isnan(x) || isnan(z) ? NAN : fmax(x, z); }
static double b_min(double x, double z) { return isnan(x) || isnan(z) ? NAN : fmin(x, z); }
static double b_mean(double x, double z) { return (x + z) / 2; }
static double b_eq(double x, double z) { return x == z; }
static double b_gt(double x, double z) { return x > z; }
static double b_ge(double x, double z) { return x >= z; }
static double b_lt(double x, double z) { return x < z; }
static double b_le(double x, double z) { return x <= z; }

static const struct {
    const char *op;
    double (*f)(double, double);
    bool floats, ints;
} pairs[] = {{"Add", b_add, 1, 1},       {"Sub", b_sub, 1, 1},           {"Mul", b_mul, 1, 1},
             {"Div", b_div, 1, 1},       {"Pow", b_pow, 1, 1},           {"Mod", b_mod, 0, 1},
             {"PRelu", b_prelu, 1, 1},   {"Max", b_max, 1, 1},           {"Min", b_min, 1, 1},
             {"Sum", b_add, 1, 0},       {"Mean", b_mean, 1, 0},         {"Equal", b_eq, 1, 1},
             {"Greater", b_gt, 1, 1},    {"GreaterOrEqual", b_ge, 1, 1}, {"Less", b_lt, 1, 1},
             {"LessOrEqual", b_le, 1, 1}};

static void pairs_of_types(void **state) {
    (void)state;
    const double x[] = {7, 6, 5, 4, 3, 9, 1, 0, -4, -7, -7, 2},
                 z[] = {2, 3, 4, 4, 2, 1, 5, 3, 3, 2, 3, 2};
    for (size_t k = 0; k < sizeof pairs / sizeof *pairs; k++)
        for (int f = 0; f < N_ALL - 1; f++) {
            const bool whole = is_int(all[f]);
            const int64_t n = whole && !is_signed(all[f]) && !strcmp(pairs[k].op, "Sub") ? 4 : 12;
            optest *t = optest_new(pairs[k].op, 15);
            put(t, all[f], x, n);
            put(t, all[f], z, n);
            if (whole ? !pairs[k].ints : !pairs[k].floats) {
                assert_int_not_equal(optest_try(t, 1, 1), OMMA_OK);
                optest_free(t);
                continue;
            }
            optest_run(t, 1);
            for (int64_t i = 0; i < n; i++) {
                double want = pairs[k].f(in_at(t, 0, i), in_at(t, 1, i));
                if (whole) want = trunc(want); /* and 8 bits wrap around */
                if (all[f] == OMMA_I8) want = (int8_t)(int64_t)want;
                if (all[f] == OMMA_U8) want = (uint8_t)(int64_t)want;
                same(t->op, all[f], out_at(t, i), want);
            }
            optest_free(t);
        }
}

static void int_edges(void **state) {
    (void)state;
    const char *failing[] = {"Div", "Mod"};
    for (int k = 0; k < 2; k++)
        for (int f = 0; f < N_INTS; f++) {
            optest *t = optest_new(failing[k], 14);
            put(t, ints[f], (double[]){1, 2, 3}, 3);
            put(t, ints[f], (double[]){1, 0, 3}, 3);
            assert_int_equal(optest_try(t, 1, 1), OMMA_E_RANGE);
            assert_non_null(strstr(t->err.message, "division by zero"));
            optest_free(t);
            t = optest_new(failing[k], 14); /* nothing is divided, nothing fails */
            optest_put(t, false, ints[f], "", 1, (int64_t[]){0});
            put(t, ints[f], (double[]){0}, 1);
            assert_int_equal(optest_try(t, 1, 1), OMMA_OK);
            optest_free(t);
        }
    for (int f = 0; f < 4; f++) { /* the smallest number by -1 */
        const double low = f == 0 ? -0x1p7 : f == 1 ? -0x1p15 : f == 2 ? -0x1p31 : -0x1p63;
        for (int how = 0; how < 3; how++) {
            optest *t = optest_new(how ? "Mod" : "Div", 14);
            put(t, ints[f], (double[]){5, low}, 2);
            put(t, ints[f], (double[]){-1}, 1);
            optest_int(t, "fmod", how == 2);
            if (how) {
                optest_run(t, 1);
                assert_true(out_at(t, 0) == 0 && out_at(t, 1) == 0);
            } else {
                assert_int_equal(optest_try(t, 1, 1), OMMA_E_RANGE);
            }
            optest_free(t);
        }
    }
    optest *t = optest_new("Mod", 13);
    optest_i64(t, (int64_t[]){-4, 7, 5, 4, -7, 8}, OPTEST_DIMS(6));
    optest_i64(t, (int64_t[]){2, -3, 8, -2, 3, 5}, OPTEST_DIMS(6));
    assert_memory_equal(optest_run(t, 1)->data, ((int64_t[]){0, -2, 5, 0, 2, 3}), 48);
    optest_free(t);
    t = optest_new("Mod", 13);
    optest_i64(t, (int64_t[]){-4, 7, 5, 4, -7, 8}, OPTEST_DIMS(6));
    optest_i64(t, (int64_t[]){2, -3, 8, -2, 3, 5}, OPTEST_DIMS(6));
    optest_int(t, "fmod", 1);
    assert_memory_equal(optest_run(t, 1)->data, ((int64_t[]){0, 1, 5, 0, -1, 3}), 48);
    optest_free(t);
    for (int f = 0; f < N_FLOATS; f++) {
        t = optest_new("Mod", 13);
        put(t, floats[f], (double[]){-4.25, 7.25, 5}, 3);
        put(t, floats[f], (double[]){2, -3, 0}, 3);
        optest_int(t, "fmod", 1);
        optest_run(t, 1);
        assert_true(out_at(t, 0) == -.25 && out_at(t, 1) == 1.25 && isnan(out_at(t, 2)));
        optest_free(t);
    }
    /* all of 64 bits is kept */
    t = optest_new("Max", 13);
    optest_put(t, false, OMMA_U64, (uint64_t[]){UINT64_MAX, 1ull << 63}, 1, (int64_t[]){2});
    optest_put(t, false, OMMA_U64, (uint64_t[]){1, UINT64_MAX - 1}, 1, (int64_t[]){2});
    assert_memory_equal(optest_run(t, 1)->data, ((uint64_t[]){UINT64_MAX, UINT64_MAX - 1}), 16);
    optest_free(t);
    t = optest_new("Less", 13);
    optest_put(t, false, OMMA_U64, (uint64_t[]){UINT64_MAX, (1ull << 63) + 1}, 1, (int64_t[]){2});
    optest_put(t, false, OMMA_U64, (uint64_t[]){1, (1ull << 63) + 2}, 1, (int64_t[]){2});
    assert_memory_equal(optest_run(t, 1)->data, ((uint8_t[]){0, 1}), 2);
    optest_free(t);
    t = optest_new("Mul", 13);
    optest_i64(t, (int64_t[]){INT64_MIN, INT64_MAX}, OPTEST_DIMS(2));
    optest_i64(t, (int64_t[]){-1, 2}, OPTEST_DIMS(2));
    assert_memory_equal(optest_run(t, 1)->data, ((int64_t[]){INT64_MIN, -2}), 16);
    optest_free(t);
}

/* Base and exponent of every two types. */
static void powers(void **state) {
    (void)state;
    const double x[] = {1, 2, 3, 0, 1}, z[] = {3, 2, 4, 0, 0};
    for (int a = 0; a < N_ALL - 1; a++)
        for (int e = 0; e < N_ALL - 1; e++)
            for (int one = 0; one < 2; one++) {
                optest *t = optest_new("Pow", 15);
                put(t, all[a], x, 5);
                put(t, all[e], one ? &z[1] : z, one ? 1 : 5);
                assert_int_equal(optest_run(t, 1)->dtype, all[a]);
                for (int i = 0; i < 5; i++)
                    same("Pow", all[a], out_at(t, i), pow(x[i], one ? 2 : z[i]));
                optest_free(t);
            }
    optest *t = optest_new("Pow", 13); /* negative exponents of integers */
    optest_put(t, false, OMMA_I32, (int32_t[]){1, -1, -1, 5, -2}, 1, (int64_t[]){5});
    optest_i64(t, (int64_t[]){-3, -3, -4, -1, 63}, OPTEST_DIMS(5));
    assert_memory_equal(optest_run(t, 1)->data, ((int32_t[]){1, -1, 1, 0, 0}), 20);
    optest_free(t);
    t = optest_new("Pow", 13);
    optest_i64(t, (int64_t[]){0}, OPTEST_DIMS(1));
    optest_i64(t, (int64_t[]){-1}, OPTEST_DIMS(1));
    assert_int_equal(optest_try(t, 1, 1), OMMA_E_RANGE);
    optest_free(t);
    t = optest_new("Pow", 13);
    optest_i64(t, (int64_t[]){4, 2, -9}, OPTEST_DIMS(3));
    put(t, OMMA_F32, (double[]){.5, 3.5, .5}, 3);
    assert_memory_equal(optest_run(t, 1)->data, ((int64_t[]){2, 11, 0}), 24);
    optest_free(t);
}

static void variadic(void **state) {
    (void)state;
    const char *ops[] = {"Max", "Min", "Sum", "Mean"};
    for (int k = 0; k < 4; k++)
        for (int f = 0; f < N_ALL - 1; f++)
            for (int n = 1; n <= 4; n++) {
                if (k >= 2 && is_int(all[f])) continue;
                optest *t = optest_new(ops[k], 13);
                double want[3];
                for (int i = 0; i < n; i++) {
                    const double v[3] = {i + 1, 9 - i, i % 2 ? 7 : 3};
                    put(t, all[f], v, 3);
                    for (int c = 0; c < 3; c++)
                        want[c] = !i       ? v[c]
                                  : k == 0 ? fmax(want[c], v[c])
                                  : k == 1 ? fmin(want[c], v[c])
                                           : want[c] + v[c];
                }
                optest_run(t, 1);
                for (int c = 0; c < 3; c++)
                    same(ops[k], all[f], out_at(t, c), k == 3 ? want[c] / n : want[c]);
                optest_free(t);
            }
    for (int k = 0; k < 2; k++)
        for (int f = 0; f < N_FLOATS; f++)
            for (int n = 2; n < 4; n++) { /* NaN is handed on from either side */
                optest *t = optest_new(ops[k], 13);
                put(t, floats[f], (double[]){NAN, 1, 1}, 3);
                put(t, floats[f], (double[]){2, NAN, 2}, 3);
                if (n == 3) put(t, floats[f], (double[]){3}, 1);
                optest_run(t, 1);
                assert_true(isnan(out_at(t, 0)) && isnan(out_at(t, 1)) && !isnan(out_at(t, 2)));
                optest_free(t);
            }
}

static void wheres(void **state) {
    (void)state;
    for (int f = 0; f < N_ALL; f++) {
        optest *t = optest_new("Where", 16);
        put(t, OMMA_BOOL, (double[]){1, 0, 1, 0}, 4);
        put(t, all[f], (double[]){1, 1, 0, 0}, 4);
        put(t, all[f], (double[]){0}, 1);
        assert_int_equal(optest_run(t, 1)->dtype, all[f]);
        for (int i = 0; i < 4; i++) assert_true(out_at(t, i) == (i == 0));
        optest_free(t);
    }
    optest *t = optest_new("Where", 16);
    put(t, OMMA_BOOL, (double[]){1}, 1);
    put(t, OMMA_I32, (double[]){1}, 1);
    put(t, OMMA_F32, (double[]){1}, 1);
    assert_int_equal(optest_try(t, 1, 1), OMMA_E_SHAPE);
    optest_free(t);
}

/* --- broadcasting ------------------------------------------------------------- */

static uint32_t seed = 1;
static int rnd(int n) {
    seed = seed * 1664525u + 1013904223u;
    return (int)(seed >> 16) % n;
}

/* Element of input k at the output's place i, by plain index arithmetic. */
static double spread_at(const optest *t, int k, int64_t i) {
    const omma_value *v = t->in[k];
    int64_t off = 0, step = 1;
    for (int d = t->out[0].rank - 1; d >= 0; d--) {
        const int64_t x = i % t->out[0].dims[d];
        i /= t->out[0].dims[d];
        const int e = d - (t->out[0].rank - v->rank);
        if (e < 0) continue;
        if (v->dims[e] > 1) off += x * step;
        step *= v->dims[e];
    }
    return in_at(t, k, off);
}

static void put_random(optest *t, omma_dtype type, int rank, const int64_t *dims) {
    int64_t n = 1;
    for (int d = 0; d < rank; d++) n *= dims[d];
    char *raw = test_malloc((size_t)n * omma_dtype_size(type) + 1);
    for (int64_t i = 0; i < n; i++) omma_set_number(type, raw, i, rnd(type == OMMA_BOOL ? 2 : 100));
    optest_put(t, false, type, raw, rank, dims);
    test_free(raw);
}

static void broadcasting(void **state) {
    (void)state;
    const char *ops[] = {"Sub", "Less", "Where", "Max", "Sum"};
    const omma_dtype types[] = {OMMA_F32, OMMA_I8, OMMA_F16, OMMA_I64, OMMA_F32};
    for (int round = 0; round < 1500; round++) {
        const int o = rnd(5), n = o < 2 ? 2 : 3, rank = rnd(9);
        const omma_dtype type = o == 2 || o == 4 ? types[rnd(2) * 4] : types[rnd(5)];
        int64_t full[OMMA_MAX_RANK], dims[OMMA_MAX_RANK];
        for (int d = 0; d < rank; d++) full[d] = 1 + rnd(3);
        if (rank && rnd(2)) full[rnd(rank)] = 1 + rnd(round % 10 ? 70 : 2100);
        if (rank && !rnd(20)) full[rnd(rank)] = 0;
        optest *t = optest_new(ops[o], 18);
        for (int k = 0; k < n; k++) { /* a suffix of the shape with some ones in it */
            const int own = rnd(4) ? rank : rnd(rank + 1);
            for (int d = 0; d < own; d++) dims[d] = rnd(3) ? full[rank - own + d] : 1;
            put_random(t, o == 2 && k == 0 ? OMMA_BOOL : type, own, dims);
        }
        optest_run(t, 1);
        const int64_t count = omma_tensor_count(&t->out[0]);
        for (int64_t i = 0; i < count; i++) {
            const double a = spread_at(t, 0, i), b = spread_at(t, 1, i),
                         c = n > 2 ? spread_at(t, 2, i) : 0;
            double want = o == 0   ? a - b
                          : o == 1 ? a < b
                          : o == 2 ? (a != 0 ? b : c)
                          : o == 3 ? fmax(fmax(a, b), c)
                                   : a + b + c;
            if (out_at(t, i) != want)
                fail_msg("round %d, %s of rank %d on %s at %lld: %g, not %g", round, ops[o], rank,
                         omma_dtype_name(type), (long long)i, out_at(t, i), want);
        }
        optest_free(t);
    }
}

static void shapes_that_do_not_fit(void **state) {
    (void)state;
    optest *t = optest_new("Add", 14);
    optest_f32(t, (float[6]){0}, OPTEST_DIMS(2, 3));
    optest_f32(t, (float[2]){0}, OPTEST_DIMS(2));
    assert_int_equal(optest_try(t, 1, 1), OMMA_E_SHAPE);
    optest_free(t);
    t = optest_new("PRelu", 16); /* x does not broadcast to the slope */
    optest_f32(t, (float[3]){0}, OPTEST_DIMS(3));
    optest_f32(t, (float[6]){0}, OPTEST_DIMS(2, 3));
    assert_int_equal(optest_try(t, 1, 1), OMMA_E_SHAPE);
    optest_free(t);
    t = optest_new("Add", 14); /* the types differ */
    optest_f32(t, (float[3]){0}, OPTEST_DIMS(3));
    optest_i64(t, (int64_t[3]){0}, OPTEST_DIMS(3));
    assert_int_equal(optest_try(t, 1, 1), OMMA_E_SHAPE);
    optest_free(t);
    t = optest_new("Mod", 13);
    optest_f32(t, (float[3]){0}, OPTEST_DIMS(3));
    optest_f32(t, (float[3]){0}, OPTEST_DIMS(3));
    assert_int_equal(optest_try(t, 1, 1), OMMA_E_SHAPE);
    optest_free(t);
    const char *ops[] = {"Add", "Relu",    "Where", "Clip",     "Cast",
                         "Not", "Dropout", "Pow",   "Identity", "Mod"};
    for (int k = 0; k < 10; k++) { /* required inputs left out */
        t = optest_new(ops[k], 13);
        for (int i = 0; i < 3; i++) optest_skip(t);
        if (k != 2 && k != 3 && k != 6) t->n_in = k == 0 || k >= 7 ? 2 : 1;
        assert_int_not_equal(optest_try(t, 1, 1), OMMA_OK);
        optest_free(t);
    }
    /* 2^40 x 2^40 numbers */
    t = optest_new("Add", 14);
    optest_put(t, false, OMMA_U8, "", 2, (int64_t[]){0, 1});
    t->in[0]->dims[0] = 1ll << 40;
    optest_put(t, false, OMMA_U8, "", 2, (int64_t[]){1, 0});
    t->in[1]->dims[1] = 1ll << 40;
    assert_int_equal(optest_try(t, 1, 1), OMMA_E_SHAPE);
    optest_free(t);
}

/* --- in place, threads, unwanted ---------------------------------------------- */

static void in_place(void **state) {
    (void)state;
    const struct {
        const char *op;
        int n, on;
        omma_dtype type;
    } c[] = {
        {"Relu", 1, 0, OMMA_F32},        {"Gelu", 1, 0, OMMA_F32},   {"LeakyRelu", 1, 0, OMMA_F32},
        {"HardSigmoid", 1, 0, OMMA_F16}, {"Mish", 1, 0, OMMA_F64},   {"Neg", 1, 0, OMMA_I8},
        {"Clip", 1, 0, OMMA_F32},        {"Not", 1, 0, OMMA_BOOL},   {"Sub", 2, 0, OMMA_F32},
        {"Sub", 2, 1, OMMA_F32},         {"Sub", 2, 1, OMMA_F16},    {"Sub", 2, 1, OMMA_I32},
        {"And", 2, 1, OMMA_BOOL},        {"Equal", 2, 0, OMMA_BOOL}, {"Pow", 2, 0, OMMA_F32},
        {"Pow", 2, 1, OMMA_BF16},        {"Sum", 3, 2, OMMA_F32},    {"Sum", 4, 1, OMMA_F16},
        {"Mean", 3, 2, OMMA_F64},        {"Max", 5, 3, OMMA_I64},    {"Where", 3, 1, OMMA_F32},
        {"Where", 3, 2, OMMA_I64},       {"Where", 3, 0, OMMA_BOOL}, {"Cast", 1, 0, OMMA_F32}};
    for (size_t k = 0; k < sizeof c / sizeof *c; k++)
        for (int long_rows = 0; long_rows < 2; long_rows++) {
            optest *t[2];
            const int64_t dims[3] = {3, 5, long_rows ? 1500 : 7};
            for (int copy = 0; copy < 2; copy++) {
                t[copy] = optest_new(c[k].op, 15);
                seed = 7;
                for (int i = 0; i < c[k].n; i++) {
                    const int64_t other[3] = {i % 2 ? 3 : 1, i % 2 ? 1 : 5, i == 4 ? 1 : dims[2]};
                    put_random(t[copy], !strcmp(c[k].op, "Where") && !i ? OMMA_BOOL : c[k].type, 3,
                               i == c[k].on ? dims : other);
                }
                optest_int(t[copy], "to", c[k].type);
                if (try_on(t[copy], copy ? c[k].on : -1, 2))
                    fail_msg("%s: %s", c[k].op, t[copy]->err.message);
            }
            const size_t bytes =
                (size_t)omma_tensor_count(&t[0]->out[0]) * omma_dtype_size(t[0]->out[0].dtype);
            if (memcmp(t[0]->out[0].data, t[1]->out[0].data, bytes))
                fail_msg("%s in place on input %d differs", c[k].op, c[k].on);
            optest_free(t[0]);
            optest_free(t[1]);
        }
}

static void threads(void **state) {
    (void)state;
    const char *ops[] = {"Exp", "Gelu", "Tan", "Clip", "Add", "Pow", "Where", "Mean"};
    for (size_t k = 0; k < sizeof ops / sizeof *ops; k++) {
        optest *t[3];
        for (int i = 0; i < 3; i++) {
            t[i] = optest_new(ops[k], 20);
            seed = 3;
            const int n = k < 4 ? 1 : k < 6 ? 2 : 3;
            if (k == 6) put_random(t[i], OMMA_BOOL, 2, (int64_t[]){70, 1});
            else put_random(t[i], OMMA_F32, 2, (int64_t[]){70, 1533});
            if (n > 1) put_random(t[i], OMMA_F32, 1, (int64_t[]){1533});
            if (n > 2) put_random(t[i], OMMA_F32, 2, (int64_t[]){70, 1});
            assert_int_equal(optest_try(t[i], 1, i == 0 ? 1 : i == 1 ? 2 : 7), OMMA_OK);
            assert_memory_equal(t[0]->out[0].data, t[i]->out[0].data,
                                (size_t)omma_tensor_count(&t[i]->out[0]) * 4);
        }
        for (int i = 0; i < 3; i++) optest_free(t[i]);
    }
}

/* Scalars, empty tensors, and outputs that nobody wants. */
static void small(void **state) {
    (void)state;
    const struct {
        const char *op;
        int n;
        omma_dtype type;
    } c[] = {{"Exp", 1, OMMA_F32},     {"Round", 1, OMMA_F16},  {"Gelu", 1, OMMA_F32},
             {"Clip", 1, OMMA_F32},    {"IsNaN", 1, OMMA_F32},  {"Not", 1, OMMA_BOOL},
             {"Dropout", 1, OMMA_F32}, {"Cast", 1, OMMA_F32},   {"Add", 2, OMMA_F32},
             {"Div", 2, OMMA_I32},     {"Equal", 2, OMMA_BOOL}, {"Pow", 2, OMMA_F64},
             {"Where", 3, OMMA_BOOL},  {"Max", 1, OMMA_F32},    {"Mean", 3, OMMA_F32}};
    for (size_t k = 0; k < sizeof c / sizeof *c; k++)
        for (int how = 0; how < 3; how++) {
            optest *t = optest_new(c[k].op, 20);
            for (int i = 0; i < c[k].n; i++) {
                double one = 1;
                uint64_t raw;
                omma_set_number(c[k].type, &raw, 0, one);
                if (how == 1) optest_put(t, false, c[k].type, "", 3, (int64_t[]){2, 0, 3});
                else optest_put(t, false, c[k].type, &raw, 0, NULL);
            }
            optest_int(t, "to", OMMA_I64);
            if (how < 2) {
                assert_int_equal(optest_run(t, 1)->rank, how ? 3 : 0);
                optest_free(t);
                continue;
            }
            const omma_op *op = omma_op_find(t->op);
            omma_node *n = omma_graph_node(t->g, op, "node", t->n_in, 1);
            n->opset = 20, n->attrs = t->attrs, n->n_attrs = t->n_attrs;
            for (int i = 0; i < t->n_in; i++) n->in[i] = t->in[i];
            omma_build b = {.arena = &t->arena, .err = &t->err, .kern = omma_kernels_best()};
            omma_exec x = {.threads = 1, .kern = b.kern, .err = &t->err};
            assert_int_equal(op->infer(&b, n), OMMA_OK);
            assert_int_equal(op->run(&x, n), OMMA_OK);
            optest_free(t);
        }
}

/* Every row has, for the gradient and the field, either a function or a reason. */
static void columns(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof unaries / sizeof *unaries; k++) {
        const omma_op *op = omma_op_find(unaries[k].op);
        assert_true((op->grad || op->no_grad) && (op->field || op->no_field));
    }
    for (size_t k = 0; k < sizeof pairs / sizeof *pairs; k++) {
        const omma_op *op = omma_op_find(pairs[k].op);
        assert_true((op->grad || op->no_grad) && (op->field || op->no_field));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unary_floats), cmocka_unit_test(unary_edges),
        cmocka_unit_test(unary_ints),   cmocka_unit_test(published_values),
        cmocka_unit_test(attributes),   cmocka_unit_test(clip),
        cmocka_unit_test(bools),        cmocka_unit_test(identity_and_dropout),
        cmocka_unit_test(casts),        cmocka_unit_test(pairs_of_types),
        cmocka_unit_test(int_edges),    cmocka_unit_test(powers),
        cmocka_unit_test(variadic),     cmocka_unit_test(wheres),
        cmocka_unit_test(broadcasting), cmocka_unit_test(shapes_that_do_not_fit),
        cmocka_unit_test(in_place),     cmocka_unit_test(threads),
        cmocka_unit_test(small),        cmocka_unit_test(columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
