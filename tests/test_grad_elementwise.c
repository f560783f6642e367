/* test_grad_elementwise.c - the gradients of operators on numbers at the same place: against
 * central differences, and at their kinks against what PyTorch takes there. */
#include "gradcheck.h"

/* --- each number alone --------------------------------------------------------------------- */

typedef struct one {
    const char *op;
    int opset;
    double lo, hi;
    const char *attr[2];
    float value[2];
    const char *text, *word; /* an attribute that is a string */
} one;

static const one ones[] = {
    {.op = "Abs", .opset = 13, .lo = -3, .hi = 3},
    {.op = "Acos", .opset = 7, .lo = -0.9, .hi = 0.9},
    {.op = "Acosh", .opset = 9, .lo = 1.1, .hi = 4},
    {.op = "Affine", .opset = 6, .lo = -2, .hi = 2, .attr = {"alpha", "beta"}, .value = {1.5f, 2}},
    {.op = "Asin", .opset = 7, .lo = -0.9, .hi = 0.9},
    {.op = "Asinh", .opset = 9, .lo = -3, .hi = 3},
    {.op = "Atan", .opset = 7, .lo = -3, .hi = 3},
    {.op = "Atanh", .opset = 9, .lo = -0.9, .hi = 0.9},
    {.op = "Ceil", .opset = 13, .lo = -3, .hi = 3},
    {.op = "Celu", .opset = 12, .lo = -3, .hi = 3},
    {.op = "Celu", .opset = 12, .lo = -3, .hi = 3, .attr = {"alpha"}, .value = {2}},
    {.op = "Celu", .opset = 12, .lo = -3, .hi = 3, .attr = {"alpha"}, .value = {-1.5f}},
    {.op = "Clip", .opset = 6, .lo = -3, .hi = 9, .attr = {"min", "max"}, .value = {0, 6}},
    {.op = "Clip", .opset = 6, .lo = -3, .hi = 3, .attr = {"min"}, .value = {-1.25f}},
    {.op = "Clip", .opset = 6, .lo = -3, .hi = 3, .attr = {"max"}, .value = {1.25f}},
    {.op = "Clip", .opset = 6, .lo = -3, .hi = 3},
    {.op = "Cos", .opset = 7, .lo = -3, .hi = 3},
    {.op = "Cosh", .opset = 9, .lo = -2, .hi = 2},
    {.op = "Dropout", .opset = 7, .lo = -2, .hi = 2},
    {.op = "Elu", .opset = 6, .lo = -3, .hi = 3},
    {.op = "Elu", .opset = 6, .lo = -3, .hi = 3, .attr = {"alpha"}, .value = {0.3f}},
    {.op = "Elu", .opset = 6, .lo = -3, .hi = 3, .attr = {"alpha"}, .value = {-2}},
    {.op = "Erf", .opset = 13, .lo = -2, .hi = 2},
    {.op = "Exp", .opset = 13, .lo = -2, .hi = 2},
    {.op = "Floor", .opset = 13, .lo = -3, .hi = 3},
    {.op = "Gelu", .opset = 20, .lo = -4, .hi = 4},
    {.op = "Gelu", .opset = 20, .lo = -4, .hi = 4, .text = "approximate", .word = "tanh"},
    {.op = "HardSigmoid", .opset = 6, .lo = -4, .hi = 4},
    {.op = "HardSigmoid",
     .opset = 6,
     .lo = -4,
     .hi = 4,
     .attr = {"alpha", "beta"},
     .value = {0.25f, 0.4375f}},
    {.op = "HardSwish", .opset = 14, .lo = -5, .hi = 5},
    {.op = "LeakyRelu", .opset = 6, .lo = -3, .hi = 3},
    {.op = "LeakyRelu", .opset = 6, .lo = -3, .hi = 3, .attr = {"alpha"}, .value = {0.3f}},
    {.op = "LeakyRelu", .opset = 6, .lo = -3, .hi = 3, .attr = {"alpha"}, .value = {-0.5f}},
    {.op = "LeakyRelu", .opset = 6, .lo = -3, .hi = 3, .attr = {"alpha"}, .value = {0}},
    {.op = "Log", .opset = 13, .lo = 0.2, .hi = 3},
    {.op = "Mish", .opset = 18, .lo = -4, .hi = 4},
    {.op = "Neg", .opset = 13, .lo = -3, .hi = 3},
    {.op = "ParametricSoftplus",
     .opset = 6,
     .lo = -2,
     .hi = 2,
     .attr = {"alpha", "beta"},
     .value = {1.5f, -0.7f}},
    {.op = "Reciprocal", .opset = 13, .lo = 0.3, .hi = 3},
    {.op = "Relu", .opset = 14, .lo = -3, .hi = 3},
    {.op = "Round", .opset = 11, .lo = -3, .hi = 3},
    {.op = "ScaledTanh",
     .opset = 6,
     .lo = -2,
     .hi = 2,
     .attr = {"alpha", "beta"},
     .value = {1.5f, -0.7f}},
    {.op = "Selu", .opset = 6, .lo = -3, .hi = 3},
    {.op = "Selu", .opset = 6, .lo = -3, .hi = 3, .attr = {"alpha", "gamma"}, .value = {2, 0.5f}},
    {.op = "Shrink", .opset = 9, .lo = -3, .hi = 3},
    {.op = "Shrink",
     .opset = 9,
     .lo = -3,
     .hi = 3,
     .attr = {"lambd", "bias"},
     .value = {1.25f, 1.25f}},
    {.op = "Sigmoid", .opset = 13, .lo = -4, .hi = 4},
    {.op = "Sign", .opset = 13, .lo = -3, .hi = 3},
    {.op = "Sin", .opset = 7, .lo = -3, .hi = 3},
    {.op = "Sinh", .opset = 9, .lo = -2, .hi = 2},
    {.op = "Softplus", .opset = 1, .lo = -4, .hi = 4},
    {.op = "Softsign", .opset = 1, .lo = -3, .hi = 3},
    {.op = "Sqrt", .opset = 13, .lo = 0.2, .hi = 3},
    {.op = "Swish", .opset = 24, .lo = -4, .hi = 4},
    {.op = "Swish", .opset = 24, .lo = -4, .hi = 4, .attr = {"alpha"}, .value = {1.7f}},
    {.op = "Tan", .opset = 7, .lo = -1.2, .hi = 1.2},
    {.op = "Tanh", .opset = 13, .lo = -3, .hi = 3},
    {.op = "ThresholdedRelu", .opset = 10, .lo = -3, .hi = 3},
    {.op = "ThresholdedRelu", .opset = 10, .lo = -3, .hi = 3, .attr = {"alpha"}, .value = {0}},
};

static gradcheck *begin(const one *o) {
    gradcheck *c = gradcheck_new(o->op, o->opset, 1);
    for (int k = 0; k < 2; k++)
        if (o->attr[k]) gradcheck_real(c, o->attr[k], o->value[k]);
    if (o->text) gradcheck_text(c, o->text, o->word);
    return c;
}

static void unary(void **state) {
    (void)state;
    static const int64_t shapes[][4] = {{0}, {7}, {2, 3, 4}, {1, 5, 1, 60}, {2, 0, 3}};
    static const int ranks[] = {0, 1, 3, 4, 3};
    for (size_t i = 0; i < sizeof ones / sizeof *ones; i++)
        for (int s = 0; s < 5; s++) {
            gradcheck *c = begin(&ones[i]);
            gradcheck_float(c, ones[i].lo, ones[i].hi, ranks[s], shapes[s]);
            gradcheck_run(c);
        }
}

/* The gradient at x over the cotangent. */
static void slopes(const one *o, const double *x, const double *want, int n, omma_dtype t) {
    gradcheck *c = begin(o);
    gradcheck_side s;
    gradcheck_data(c, x, 1, (int64_t[]){n});
    gradcheck_build(&s, c, t);
    gradcheck_back(&s, c);
    for (int i = 0; i < n; i++) {
        const double got = gradcheck_number(omma_gradient_result(s.gradient, 0), i) /
                           gradcheck_number(&s.seed[0], i);
        if (!(fabs(got - want[i]) < 1e-6))
            fail_msg("%s: slope %g at %g, not %g", o->op, got, x[i], want[i]);
    }
    gradcheck_drop(&s);
    omma_arena_free(&c->arena);
    test_free(c);
}

static void kinks(void **state) {
    (void)state;
    static const struct {
        one op;
        double x[3], slope[3];
    } at[] = {
        {{.op = "Relu", .opset = 14}, {-1, 0, 1}, {0, 0, 1}},
        {{.op = "Abs", .opset = 13}, {-1, 0, 1}, {-1, 0, 1}},
        {{.op = "LeakyRelu", .opset = 6, .attr = {"alpha"}, .value = {0.125f}},
         {-1, 0, 1},
         {0.125, 0.125, 1}},
        {{.op = "LeakyRelu", .opset = 6, .attr = {"alpha"}, .value = {-0.5f}},
         {-1, 0, 1},
         {-0.5, -0.5, 1}},
        {{.op = "Elu", .opset = 6, .attr = {"alpha"}, .value = {2}},
         {-1, 0, 1},
         {0.7357588823428847, 2, 1}},
        {{.op = "Celu", .opset = 12, .attr = {"alpha"}, .value = {2}},
         {-1, 0, 1},
         {0.6065306597126334, 1, 1}},
        {{.op = "Selu", .opset = 6}, {-1, 0, 1}, {0.646768602, 1.7580993408, 1.0507009873}},
        {{.op = "HardSigmoid", .opset = 6, .attr = {"alpha"}, .value = {0.125f}},
         {-4, 4, 0},
         {0, 0, 0.125}},
        {{.op = "HardSwish", .opset = 14}, {-3, 3, 0}, {0, 1, 0.5}},
        {{.op = "Shrink", .opset = 9}, {-0.5, 0.5, 1}, {0, 0, 1}},
        {{.op = "ThresholdedRelu", .opset = 10}, {1, 2, 0}, {0, 1, 0}},
        {{.op = "Clip", .opset = 6, .attr = {"min", "max"}, .value = {0, 6}}, {0, 6, 3}, {0, 0, 1}},
        {{.op = "Sign", .opset = 13}, {-1, 0, 1}, {0, 0, 0}},
        {{.op = "Gelu", .opset = 20}, {-INFINITY, INFINITY, 0}, {0, 1, 0.5}},
        {{.op = "Gelu", .opset = 20, .text = "approximate", .word = "tanh"},
         {-INFINITY, INFINITY, 0},
         {0, 1, 0.5}},
        {{.op = "Swish", .opset = 24}, {-INFINITY, INFINITY, 0}, {0, 1, 0.5}}};
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        slopes(&at[i].op, at[i].x, at[i].slope, 3, OMMA_F64);
        slopes(&at[i].op, at[i].x, at[i].slope, 3, OMMA_F32);
    }
}

/* The 16-bit floats go through float32: their gradients are the rounded ones. */
static void halves(void **state) {
    (void)state;
    static const char *const ops[] = {"Relu", "Sigmoid", "Tanh", "Gelu", "HardSwish", "Swish"};
    static const omma_dtype types[] = {OMMA_F16, OMMA_BF16};
    for (int i = 0; i < 6; i++)
        for (int t = 0; t < 2; t++) {
            gradcheck *c = gradcheck_new(ops[i], 24, 1);
            gradcheck_side wide, narrow;
            gradcheck_float(c, -4, 4, GRADCHECK_DIMS(3, 100));
            gradcheck_build(&wide, c, OMMA_F64);
            gradcheck_back(&wide, c);
            gradcheck_build(&narrow, c, types[t]);
            gradcheck_back(&narrow, c);
            c->tolerance32 = t ? 4e-2 : 4e-3;
            gradcheck_compare(c, &wide, &narrow, 0);
            gradcheck_drop(&wide);
            gradcheck_drop(&narrow);
            omma_arena_free(&c->arena);
            test_free(c);
        }
}

/* --- bounds, slopes, exponents ------------------------------------------------------------- */

static void clip_bounds(void **state) {
    (void)state;
    static const double lo[] = {-0.75}, hi[] = {0.75, -2};
    for (int which = 1; which < 4; which++)
        for (int crossed = 0; crossed < 2; crossed++)
            for (int rank = 0; rank < 2; rank++) {
                gradcheck *c = gradcheck_new("Clip", 13, 1);
                gradcheck_float(c, -2, 2, GRADCHECK_DIMS(3, 4, 5));
                if (which & 1) gradcheck_data(c, lo, rank, (int64_t[]){1});
                else gradcheck_skip(c);
                if (which & 2) gradcheck_data(c, hi + crossed, rank, (int64_t[]){1});
                gradcheck_run(c);
            }
    gradcheck *c = gradcheck_new("Clip", 13, 1);
    gradcheck_float(c, -2, 2, GRADCHECK_DIMS(6));
    gradcheck_data(c, lo, 0, NULL)->fixed = true;
    gradcheck_run(c);
}

static void prelu(void **state) {
    (void)state;
    static const int64_t slopes_of[][3] = {{3, 4, 5}, {1, 4, 1}, {1, 1, 1}};
    for (int i = 0; i < 3; i++) {
        gradcheck *c = gradcheck_new("PRelu", 9, 1);
        gradcheck_float(c, -2, 2, GRADCHECK_DIMS(3, 4, 5));
        gradcheck_float(c, -1, 1, 3, slopes_of[i]);
        gradcheck_run(c);
    }
    gradcheck *c = gradcheck_new("PRelu", 9, 1);
    gradcheck_float(c, -2, 2, GRADCHECK_DIMS(2, 4, 3, 3));
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(4, 1, 1));
    gradcheck_run(c);
    c = gradcheck_new("PRelu", 6, 1); /* a slope for each channel, by the old rules */
    gradcheck_float(c, -2, 2, GRADCHECK_DIMS(2, 4, 3, 3));
    gradcheck_float(c, -1, 1, GRADCHECK_DIMS(4));
    gradcheck_run(c);
}

/* At x = 0 the slope is the cotangent's, as PyTorch has it. */
static void prelu_at_zero(void **state) {
    (void)state;
    static const double x[] = {-1, 0, 1}, slope[] = {0.25}, want[] = {0.25, 0.25, 1};
    gradcheck *c = gradcheck_new("PRelu", 9, 1);
    gradcheck_side s;
    gradcheck_data(c, x, 1, (int64_t[]){3});
    gradcheck_data(c, slope, 1, (int64_t[]){1});
    gradcheck_build(&s, c, OMMA_F64);
    gradcheck_back(&s, c);
    for (int i = 0; i < 3; i++)
        assert_true(gradcheck_number(omma_gradient_result(s.gradient, 0), i) ==
                    want[i] * gradcheck_number(&s.seed[0], i));
    gradcheck_drop(&s);
    omma_arena_free(&c->arena);
    test_free(c);
}

static void power(void **state) {
    (void)state;
    static const double exponents[] = {0, 1, 2, 3, 0.5, -1, 2.5};
    for (int i = 0; i < 7; i++) {
        gradcheck *c = gradcheck_new("Pow", 13, 1);
        gradcheck_float(c, 0.3, 2, GRADCHECK_DIMS(3, 4));
        gradcheck_data(c, exponents + i, i % 2, (int64_t[]){1})->fixed = true;
        gradcheck_run(c);
        c = gradcheck_new("Pow", 13, 1);
        gradcheck_float(c, 0.3, 2, GRADCHECK_DIMS(3, 4));
        gradcheck_data(c, exponents + i, 0, NULL);
        gradcheck_run(c);
    }
    static const int64_t whole[] = {0, 1, 2, 3};
    gradcheck *c = gradcheck_new("Pow", 13, 1);
    gradcheck_float(c, -2, 2, GRADCHECK_DIMS(2, 3, 4));
    gradcheck_whole(c, whole, GRADCHECK_DIMS(4));
    gradcheck_run(c);
    c = gradcheck_new("Pow", 13, 1);
    gradcheck_float(c, 0.3, 2, GRADCHECK_DIMS(3, 1));
    gradcheck_float(c, -2, 2, GRADCHECK_DIMS(2, 1, 4));
    gradcheck_run(c);
    c = gradcheck_new("Pow", 1, 1);
    gradcheck_float(c, 0.3, 2, GRADCHECK_DIMS(2, 3, 4));
    gradcheck_float(c, -2, 2, GRADCHECK_DIMS(3));
    gradcheck_int(c, "broadcast", 1);
    gradcheck_int(c, "axis", 1);
    gradcheck_run(c);
}

/* At x = 0, as PyTorch: [0, 0, 1] by x for exponents 0, 2, 1, and 0 by the exponent. */
static void power_of_zero(void **state) {
    (void)state;
    static const double x[] = {0, 0, 0}, e[] = {0, 2, 1}, want[] = {0, 0, 1};
    gradcheck *c = gradcheck_new("Pow", 13, 1);
    gradcheck_side s;
    gradcheck_data(c, x, 1, (int64_t[]){3});
    gradcheck_data(c, e, 1, (int64_t[]){3});
    gradcheck_build(&s, c, OMMA_F64);
    gradcheck_back(&s, c);
    for (int i = 0; i < 3; i++) {
        const double seed = gradcheck_number(&s.seed[0], i);
        assert_true(gradcheck_number(omma_gradient_result(s.gradient, 0), i) == want[i] * seed);
        assert_true(gradcheck_number(omma_gradient_result(s.gradient, 1), i) == 0);
    }
    gradcheck_drop(&s);
    omma_arena_free(&c->arena);
    test_free(c);
}

/* --- pairs and more ------------------------------------------------------------------------ */

typedef struct shapes {
    int rank_x, rank_z;
    int64_t x[4], z[4];
} shapes;

static const shapes broadcasts[] = {
    {3, 3, {2, 3, 4}, {2, 3, 4}},    {3, 1, {2, 3, 4}, {4}}, {1, 3, {4}, {2, 3, 4}},
    {3, 0, {2, 3, 4}, {0}},          {0, 0, {0}, {0}},       {3, 3, {2, 1, 4}, {1, 3, 1}},
    {4, 3, {2, 3, 4, 5}, {3, 1, 1}}, {2, 2, {0, 3}, {1, 3}}};

static void pairs(void **state) {
    (void)state;
    static const char *const ops[] = {"Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "Mean"};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        for (size_t s = 0; s < sizeof broadcasts / sizeof *broadcasts; s++)
            for (int fixed = 0; fixed < 3; fixed++) { /* none, x, z */
                const shapes *b = &broadcasts[s];
                gradcheck *c = gradcheck_new(ops[i], 13, 1);
                gradcheck_float(c, 0.3, 2.2, b->rank_x, b->x)->fixed = fixed == 1;
                gradcheck_float(c, 0.3, 2.2, b->rank_z, b->z)->fixed = fixed == 2;
                gradcheck_run(c);
            }
}

static void modulus(void **state) {
    (void)state;
    for (size_t s = 0; s < sizeof broadcasts / sizeof *broadcasts; s++) {
        gradcheck *c = gradcheck_new("Mod", 13, 1);
        gradcheck_float(c, -3, 3, broadcasts[s].rank_x, broadcasts[s].x);
        gradcheck_float(c, 0.7, 1.3, broadcasts[s].rank_z, broadcasts[s].z);
        gradcheck_int(c, "fmod", 1);
        gradcheck_run(c);
    }
}

static void along_an_axis(void **state) {
    (void)state;
    static const char *const ops[] = {"Add", "Sub", "Mul", "Div"};
    for (int i = 0; i < 4; i++)
        for (int axis = -1; axis < 3; axis++) { /* -1: the last */
            gradcheck *c = gradcheck_new(ops[i], 6, 1);
            gradcheck_float(c, 0.3, 2, GRADCHECK_DIMS(3, 3, 3, 2));
            if (axis < 0) gradcheck_float(c, 0.3, 2, GRADCHECK_DIMS(2));
            else if (axis < 2) gradcheck_float(c, 0.3, 2, GRADCHECK_DIMS(3, 3));
            else gradcheck_float(c, 0.3, 2, GRADCHECK_DIMS(1, 2));
            gradcheck_int(c, "broadcast", 1);
            if (axis >= 0) gradcheck_int(c, "axis", axis);
            gradcheck_run(c);
        }
}

static void many(void **state) {
    (void)state;
    static const char *const ops[] = {"Max", "Min", "Sum", "Mean"};
    for (int i = 0; i < 4; i++) {
        gradcheck *c = gradcheck_new(ops[i], 13, 1);
        gradcheck_float(c, -2, 2, GRADCHECK_DIMS(2, 3, 4));
        gradcheck_run(c);
        c = gradcheck_new(ops[i], 13, 1);
        gradcheck_float(c, -2, 2, GRADCHECK_DIMS(2, 3, 4));
        gradcheck_float(c, -2, 2, GRADCHECK_DIMS(3, 1));
        gradcheck_float(c, -2, 2, GRADCHECK_DIMS(4));
        gradcheck_run(c);
        c = gradcheck_new(ops[i], 8, 1);
        for (int k = 0; k < 5; k++) gradcheck_float(c, -2, 2, GRADCHECK_DIMS(3, 3));
        gradcheck_run(c);
    }
}

/* Inputs that tie share the cotangent. */
static void ties(void **state) {
    (void)state;
    static const char *const ops[] = {"Max", "Min"};
    static const double x[] = {1, 2, -1}, z[] = {1, 2, -1}, far[] = {1, 5, -3};
    for (int i = 0; i < 2; i++)
        for (int n = 2; n < 4; n++) {
            const double low = n == 2 ? 0.5 : i ? 0 : 0.5, share = n == 2 ? 0.5 : i ? 0.5 : 0;
            const double want[] = {1.0 / n, share, n == 2 ? 0.5 : low};
            gradcheck *c = gradcheck_new(ops[i], 13, 1);
            gradcheck_side s;
            gradcheck_data(c, x, 1, (int64_t[]){3});
            gradcheck_data(c, z, 1, (int64_t[]){3});
            if (n == 3) gradcheck_data(c, far, 1, (int64_t[]){3});
            gradcheck_build(&s, c, OMMA_F64);
            gradcheck_back(&s, c);
            for (int k = 0; k < 3; k++)
                for (int by = 0; by < 2; by++) {
                    const double got = gradcheck_number(omma_gradient_result(s.gradient, by), k);
                    assert_true(fabs(got - want[k] * gradcheck_number(&s.seed[0], k)) < 1e-12);
                }
            gradcheck_drop(&s);
            omma_arena_free(&c->arena);
            test_free(c);
        }
}

static void where(void **state) {
    (void)state;
    static const unsigned char yes[24] = {1, 0, 0, 1, 1, 0, 1, 0, 1, 1, 0, 0,
                                          0, 1, 0, 1, 1, 1, 0, 0, 1, 0, 1, 1};
    for (size_t s = 0; s < sizeof broadcasts / sizeof *broadcasts; s++)
        for (int fixed = 0; fixed < 2; fixed++) {
            gradcheck *c = gradcheck_new("Where", 16, 1);
            gradcheck_bool(c, yes, broadcasts[s].rank_z, broadcasts[s].z)->fixed = fixed;
            gradcheck_float(c, -2, 2, broadcasts[s].rank_x, broadcasts[s].x);
            gradcheck_float(c, -2, 2, broadcasts[s].rank_z, broadcasts[s].z);
            gradcheck_run(c);
        }
    gradcheck *c = gradcheck_new("Where", 9, 1);
    gradcheck_bool(c, yes, GRADCHECK_DIMS(2, 3, 4));
    gradcheck_float(c, -2, 2, GRADCHECK_DIMS(4));
    gradcheck_float(c, -2, 2, 0, NULL);
    gradcheck_run(c);
}

static void swiglu(void **state) {
    (void)state;
    static const int64_t dims[][3] = {{0}, {7}, {2, 3, 4}};
    static const int ranks[] = {0, 1, 3};
    for (int i = 0; i < 3; i++)
        for (int alpha = 0; alpha < 2; alpha++) {
            gradcheck *c = gradcheck_new("SwiGLU", 28, 1);
            gradcheck_float(c, -3, 3, ranks[i], dims[i]);
            gradcheck_float(c, -3, 3, ranks[i], dims[i]);
            if (alpha) gradcheck_real(c, "alpha", 1.7f);
            gradcheck_run(c);
        }
}

/* --- copies: casts, Dropout, ImageScaler, Crop ------------------------------------------------ */

/* From float32, in which differences would be coarse, to float64, and back. */
static void casts(void **state) {
    (void)state;
    gradcheck_side s;
    gradcheck *c = gradcheck_new("Cast", 13, 1);
    gradcheck_float(c, -2, 2, GRADCHECK_DIMS(2, 3));
    gradcheck_int(c, "to", OMMA_F64);
    gradcheck_build(&s, c, OMMA_F32);
    s.t = OMMA_F64; /* of the cotangent */
    gradcheck_back(&s, c);
    const omma_tensor *got = omma_gradient_result(s.gradient, 0);
    assert_int_equal(got->dtype, OMMA_F32);
    for (int i = 0; i < 6; i++)
        assert_true(gradcheck_number(got, i) == gradcheck_number(&s.seed[0], i));
    gradcheck_drop(&s);
    omma_arena_free(&c->arena);
    test_free(c);
}

static void cast_like(void **state) {
    (void)state;
    gradcheck *c = gradcheck_new("CastLike", 15, 1);
    gradcheck_float(c, -2, 2, GRADCHECK_DIMS(2, 3));
    gradcheck_float(c, -2, 2, GRADCHECK_DIMS(4));
    gradcheck_run(c);
}

static void dropout(void **state) {
    (void)state;
    static const unsigned char on = 1;
    static const double ratio = 0.4;
    for (int masked = 1; masked < 3; masked++) {
        gradcheck *c = gradcheck_new("Dropout", 13, masked);
        gradcheck_float(c, -2, 2, GRADCHECK_DIMS(5, 8));
        gradcheck_data(c, &ratio, 0, NULL)->still = true;
        gradcheck_bool(c, &on, 0, NULL);
        gradcheck_int(c, "seed", 3);
        c->deaf[1] = true;
        gradcheck_run(c);
    }
    gradcheck *c = gradcheck_new("Dropout", 12, 1); /* not in training */
    gradcheck_float(c, -2, 2, GRADCHECK_DIMS(5, 2, 3));
    gradcheck_data(c, &ratio, 0, NULL)->fixed = true;
    gradcheck_run(c);
}

static void image_scaler(void **state) {
    (void)state;
    static const float bias[] = {0.5f, -1, 2};
    gradcheck *c = gradcheck_new("ImageScaler", 6, 1);
    gradcheck_float(c, -2, 2, GRADCHECK_DIMS(2, 3, 4, 2));
    gradcheck_real(c, "scale", 1.5f);
    gradcheck_attr(
        c,
        (omma_attr){.name = "bias", .kind = OMMA_ATTR_FLOATS, .floats = bias, .count = 3, .s = ""});
    gradcheck_run(c);
}

static void crop(void **state) {
    (void)state;
    for (int sized = 0; sized < 2; sized++) {
        gradcheck *c = gradcheck_new("Crop", 6, 1);
        gradcheck_float(c, -2, 2, GRADCHECK_DIMS(2, 2, 5, 6));
        gradcheck_ints(c, "border", GRADCHECK_DIMS(1, 2, 2, 1));
        if (sized) gradcheck_ints(c, "scale", GRADCHECK_DIMS(3, 2));
        gradcheck_run(c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unary),         cmocka_unit_test(kinks),
        cmocka_unit_test(halves),        cmocka_unit_test(clip_bounds),
        cmocka_unit_test(prelu),         cmocka_unit_test(prelu_at_zero),
        cmocka_unit_test(power),         cmocka_unit_test(power_of_zero),
        cmocka_unit_test(pairs),         cmocka_unit_test(modulus),
        cmocka_unit_test(along_an_axis), cmocka_unit_test(many),
        cmocka_unit_test(ties),          cmocka_unit_test(where),
        cmocka_unit_test(swiglu),        cmocka_unit_test(casts),
        cmocka_unit_test(cast_like),     cmocka_unit_test(dropout),
        cmocka_unit_test(image_scaler),  cmocka_unit_test(crop)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
