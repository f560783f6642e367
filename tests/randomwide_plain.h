/* randomwide_plain.h - steps of random graphs (randomwide.h): operators on each number alone, on
 * pairs of them, on truth values, bits and quantised numbers; types. */
#ifndef OMMA_TESTS_RANDOMWIDE_PLAIN_H
#define OMMA_TESTS_RANDOMWIDE_PLAIN_H

#include "randomwide_make.h"

/* --- one input -------------------------------------------------------------------------------- */

/* What the numbers must be for the operator to make sense. */
typedef enum plain_range { PLAIN_ANY, PLAIN_INSIDE, PLAIN_ABOVE, PLAIN_BEYOND } plain_range;

typedef struct plain_op {
    const char *name;
    int opset;
    plain_range range;
    const char *reals[2]; /* attributes */
} plain_op;

static const plain_op plain_ops[] = {
    {"Abs", 13, PLAIN_ANY, {0}},
    {"Acos", 22, PLAIN_INSIDE, {0}},
    {"Acosh", 22, PLAIN_BEYOND, {0}},
    {"Affine", 7, PLAIN_ANY, {"alpha", "beta"}},
    {"Asin", 7, PLAIN_INSIDE, {0}},
    {"Asinh", 9, PLAIN_ANY, {0}},
    {"Atan", 7, PLAIN_ANY, {0}},
    {"Atanh", 9, PLAIN_INSIDE, {0}},
    {"Ceil", 13, PLAIN_ANY, {0}},
    {"Celu", 12, PLAIN_ANY, {"alpha"}},
    {"Cos", 7, PLAIN_ANY, {0}},
    {"Cosh", 9, PLAIN_INSIDE, {0}},
    {"Elu", 6, PLAIN_ANY, {"alpha"}},
    {"Erf", 13, PLAIN_ANY, {0}},
    {"Exp", 13, PLAIN_INSIDE, {0}},
    {"Floor", 13, PLAIN_ANY, {0}},
    {"Gelu", 20, PLAIN_ANY, {0}},
    {"HardSigmoid", 6, PLAIN_ANY, {"alpha", "beta"}},
    {"HardSwish", 14, PLAIN_ANY, {0}},
    {"Identity", 13, PLAIN_ANY, {0}},
    {"LeakyRelu", 6, PLAIN_ANY, {"alpha"}},
    {"Log", 13, PLAIN_ABOVE, {0}},
    {"Mish", 18, PLAIN_ANY, {0}},
    {"Neg", 13, PLAIN_ANY, {0}},
    {"ParametricSoftplus", 7, PLAIN_ANY, {"alpha", "beta"}},
    {"Reciprocal", 13, PLAIN_ABOVE, {0}},
    {"Relu", 14, PLAIN_ANY, {0}},
    {"Round", 11, PLAIN_ANY, {0}},
    {"ScaledTanh", 7, PLAIN_ANY, {"alpha", "beta"}},
    {"Selu", 6, PLAIN_ANY, {"alpha", "gamma"}},
    {"Shrink", 9, PLAIN_ANY, {"lambd", "bias"}},
    {"Sigmoid", 13, PLAIN_ANY, {0}},
    {"Sign", 13, PLAIN_ANY, {0}},
    {"Sin", 7, PLAIN_ANY, {0}},
    {"Sinh", 9, PLAIN_INSIDE, {0}},
    {"Softplus", 1, PLAIN_ANY, {0}},
    {"Softsign", 1, PLAIN_ANY, {0}},
    {"Sqrt", 13, PLAIN_ABOVE, {0}},
    {"Swish", 24, PLAIN_ANY, {"alpha"}},
    {"Tan", 7, PLAIN_INSIDE, {0}},
    {"Tanh", 13, PLAIN_ANY, {0}},
    {"ThresholdedRelu", 10, PLAIN_ANY, {"alpha"}},
};

static inline omma_value *plain_input(wide *w, omma_value *x, plain_range range) {
    if (range == PLAIN_INSIDE) return put(w, "Mul", 13, tame(w, x), number(w, 0.9));
    if (range == PLAIN_ABOVE) return above(w, x, 0.3);
    if (range == PLAIN_BEYOND) return above(w, x, 1.1);
    return x;
}

enum { PLAIN_OPS = (int)(sizeof plain_ops / sizeof *plain_ops) };

static inline omma_value *plain_of(wide *w, omma_value *x, int which) {
    const plain_op *p = &plain_ops[which];
    x = plain_input(w, x, p->range);
    for (int i = 0; i < 2 && p->reals[i]; i++)
        if (coin()) wide_real(w, p->reals[i], real(0.1, 0.9));
    if (!strcmp(p->name, "Gelu") && coin()) wide_text(w, "approximate", "tanh");
    return put(w, p->name, p->opset, x);
}

static void plain_step(wide *w) { push(w, plain_of(w, any(w), variant(w, PLAIN_OPS))); }

/* Operators that rise everywhere, if slowly, and sums. */
static void rising_step(wide *w) {
    omma_value *x = any(w);
    switch (variant(w, 8)) {
    case 0: push(w, un(w, "Asinh", x)); return;
    case 1: push(w, un(w, "Softsign", x)); return;
    case 2: push(w, un(w, "Softplus", x)); return;
    case 3: push(w, put(w, "LeakyRelu", 6, x)); return;
    case 4: push(w, put(w, "Selu", 6, x)); return;
    case 5: push(w, put(w, "Mul", 13, x, factors(w, x->rank, x->dims))); return;
    case 6: push(w, put(w, "Div", 13, x, factors(w, x->rank, x->dims))); return;
    default: push(w, put(w, VARIANT("Add", "Sum", "Mean"), 13, x, fellow(w, x, -1, 1)));
    }
}

static void clip_step(wide *w) {
    omma_value *x = any(w);
    if (rare()) {
        wide_real(w, "min", -0.4), wide_real(w, "max", 0.7);
        push(w, put(w, "Clip", 6, x));
        return;
    }
    omma_value *lo = rare() ? NULL : number(w, -0.5), *hi = rare() ? NULL : number(w, 0.8);
    if (rare()) lo = shaped(w, 0, NULL); /* computed bounds */
    push(w, put(w, "Clip", 13, x, lo, hi));
}

static void scaler_step(wide *w) {
    omma_value *x = map_of(w, 1);
    float bias[64];
    if (x->dims[1] > 64) return;
    for (int i = 0; i < 64; i++) bias[i] = (float)real(-1, 1);
    wide_reals(w, "bias", (int)x->dims[1], bias);
    wide_real(w, "scale", real(0.5, 1.5));
    push(w, put(w, "ImageScaler", 7, x));
}

static void dropout_step(wide *w) {
    omma_value *x = any(w);
    const int way = variant(w, 3);
    omma_value *in[] = {x, number(w, 0.3),
                        constant(w, OMMA_BOOL, 0, NULL, &(char){!w->positive && rare()})};
    omma_node *n = put_node(w, "Dropout", way ? 13 : 10, way ? 1 + way : 1, in, 1 + coin());
    push_all(w, n);
}

/* --- two inputs and more ------------------------------------------------------------------------
 */

static void binary_step(wide *w) {
    static const char *const ops[] = {"Add", "Sub", "Mul", "Max",  "Min",
                                      "Div", "Mod", "Pow", "PRelu"};
    const char *op = ops[variant(w, 9)];
    omma_value *x = any(w), *z = fellow(w, x, -1, 1);
    if (!strcmp(op, "Div") || !strcmp(op, "Mod")) z = above(w, z, 0.4);
    if (!strcmp(op, "Pow")) x = above(w, x, 0.3), z = coin() ? tame(w, z) : number(w, 2);
    if (!strcmp(op, "Mod")) wide_int(w, "fmod", 1);
    if (coin() && *op != 'D' && *op != 'P' && strcmp(op, "Mod")) push(w, put(w, op, 13, z, x));
    else push(w, put(w, op, !strcmp(op, "PRelu") ? 16 : 15, x, z));
}

static void several_step(wide *w) {
    omma_value *x = any(w), *in[4] = {x};
    const int n = 1 + roll(4);
    for (int i = 1; i < n; i++) in[i] = fellow(w, x, -1, 1);
    push(w, put_first(w, VARIANT("Sum", "Mean", "Max", "Min"), 13, n, in));
}

static void gated_step(wide *w) {
    omma_value *x = any(w), *z = shaped(w, x->rank, x->dims);
    if (coin()) wide_real(w, "alpha", real(0.5, 1.5));
    push(w, put(w, "SwiGLU", 28, x, z));
}

/* --- truth values -------------------------------------------------------------------------------
 */

/* Few different numbers, so that some are equal, and some zero. */
static inline omma_value *rounded(wide *w, omma_value *x) {
    return un(w, "Round", put(w, "Mul", 13, tame(w, x), number(w, 2)));
}

static inline omma_value *some_bools(wide *w, omma_value *x) {
    omma_value *z;
    if (!x) return NULL;
    switch (variant(w, 5)) {
    case 0: return un(w, "IsInf", un(w, "Reciprocal", rounded(w, x)));
    case 1: z = rounded(w, x); return un(w, "IsNaN", put(w, "Div", 13, z, z));
    case 2: {
        const int skip = roll(x->rank + 1);
        return bools(w, x->rank - skip, x->dims + skip);
    }
    case 3: return put(w, "Equal", 13, rounded(w, x), rounded(w, fellow(w, x, -1, 1)));
    default:
        return put(w, ONE_OF("Greater", "GreaterOrEqual", "Less", "LessOrEqual"), 16, x,
                   fellow(w, x, -0.5, 0.5));
    }
}

/* What is chosen by them may be the numbers they are made of, others, or constants. */
static void logic_step(wide *w) {
    omma_value *x = any(w), *c = some_bools(w, x);
    if (coin())
        c = put(w, VARIANT("And", "Or", "Xor"), 7, c, some_bools(w, shaped(w, x->rank, x->dims)));
    if (coin()) c = c ? un(w, "Not", c) : NULL;
    if (rare()) push(w, c ? cast(w, c, OMMA_F32) : NULL);
    else if (coin()) push(w, put(w, "Where", 16, c, x, fellow(w, x, -1, 1)));
    else push(w, put(w, "Where", 16, c, number(w, real(-1, 1)), fellow(w, x, -1, 1)));
}

/* --- whole numbers ------------------------------------------------------------------------------
 */

/* x as whole numbers of that type, small ones. */
static inline omma_value *as_whole(wide *w, omma_value *x, omma_dtype t) {
    x = put(w, "Mul", 13, tame(w, x), number(w, 50));
    if (t == OMMA_U8 || t == OMMA_U32) x = x ? un(w, "Abs", x) : NULL;
    return x ? cast(w, x, t) : NULL;
}

static void bits_step(wide *w) {
    const omma_dtype t = (omma_dtype[]){OMMA_U8, OMMA_U32, OMMA_I32, OMMA_I64}[roll(4)];
    omma_value *x = any(w), *a = as_whole(w, x, t), *b = as_whole(w, fellow(w, x, -1, 1), t);
    const int way = variant(w, 5);
    if (way == 0) a = a ? un(w, "BitwiseNot", a) : NULL;
    else if (way == 1 && (t == OMMA_U8 || t == OMMA_U32)) {
        wide_text(w, "direction", ONE_OF("LEFT", "RIGHT"));
        a = put(w, "BitShift", 11, a, constant(w, t, 0, NULL, &(int64_t){1 + roll(2)}));
    } else if (way == 2) a = put(w, "Mod", 13, a, constant(w, t, 0, NULL, &(int64_t){3}));
    else
        a = put(w, VARIANT("BitwiseAnd", "BitwiseOr", "BitwiseXor", "Add", "Mul", "Max"), 18, a, b);
    push(w, a ? cast(w, a, OMMA_F32) : NULL);
}

static void type_step(wide *w) {
    static const omma_dtype types[] = {OMMA_F64, OMMA_F16, OMMA_BF16, OMMA_I32,
                                       OMMA_U8,  OMMA_I64, OMMA_BOOL};
    const omma_dtype t = types[variant(w, 7)];
    omma_value *x = any(w), *y;
    if (rare()) {
        wide_int(w, "to", OMMA_I32);
        y = put(w, "BitCast", 26, x);
        if (y) wide_int(w, "to", OMMA_F32);
        if (y) push(w, put(w, "BitCast", 26, y));
        return;
    }
    y = t == OMMA_U8 ? cast(w, un(w, "Abs", tame(w, x)), t) : cast(w, x, t);
    if (y && t == OMMA_F64 && coin()) y = un(w, ONE_OF("Sin", "Tanh", "Relu"), y);
    push(w, y && coin() ? put(w, "CastLike", 19, y, coin() ? any(w) : number(w, 1))
            : y ? cast(w, y, OMMA_F32)
                        : NULL);
}

/* --- quantised numbers
 * ---------------------------------------------------------------------------- */

static inline omma_value *scalar_of(wide *w, omma_dtype t, int v) {
    const unsigned char c = (unsigned char)v;
    return constant(w, t, 0, NULL, &c);
}

static inline omma_value *quantised(wide *w, omma_value *x, omma_dtype t) {
    return put(w, "QuantizeLinear", 13, tame(w, x), number(w, 0.01),
               scalar_of(w, t, t == OMMA_U8 ? 128 : 0));
}

static inline omma_value *restored(wide *w, omma_value *q, omma_dtype t) {
    return put(w, "DequantizeLinear", 13, q, number(w, 0.02),
               scalar_of(w, t, t == OMMA_U8 ? 128 : 0));
}

static void quantise_step(wide *w) {
    const omma_dtype t = coin() ? OMMA_U8 : OMMA_I8;
    omma_value *x = any(w);
    if (roll(3)) {
        push(w, restored(w, quantised(w, x, t), t));
        return;
    }
    if (coin() && x->rank) { /* a scale for every place along an axis */
        const int axis = roll(x->rank);
        omma_value *scale = floats(w, 0.01, 0.05, 1, x->dims + axis), *q;
        x = tame(w, x);
        wide_int(w, "axis", axis);
        q = put(w, "QuantizeLinear", 13, x, scale);
        wide_int(w, "axis", axis);
        push(w, put(w, "DequantizeLinear", 13, q, scale));
        return;
    }
    omma_node *n = put_node(w, "DynamicQuantizeLinear", 11, 1, &x, 3);
    if (n) push(w, put(w, "DequantizeLinear", 13, n->out[0], n->out[1], n->out[2]));
}

static inline omma_value *bytes(wide *w, omma_dtype t, int rank, const int64_t *dims) {
    unsigned char data[4096];
    int64_t n = 1;
    for (int i = 0; i < rank; i++) n *= dims[i];
    if (n > 4096) return NULL;
    for (int64_t i = 0; i < n; i++) data[i] = (unsigned char)roll(256);
    return constant(w, t, rank, dims, data);
}

static void whole_conv_step(wide *w) {
    omma_value *x = spatial(w, 1 + roll(2));
    if (!x) return;
    const int64_t c = x->dims[1], dims[] = {1 + roll(4), c, 1 + roll(3), 1 + roll(3)};
    omma_value *q = quantised(w, x, OMMA_U8), *k = bytes(w, OMMA_I8, x->rank, dims);
    omma_value *zero = scalar_of(w, OMMA_U8, 128), *scale = number(w, 0.02);
    if (!q || !k) return;
    if (coin()) wide_ints(w, "pads", 2 * (x->rank - 2), (int64_t[]){1, 0, 0, 1});
    if (coin()) wide_ints(w, "strides", x->rank - 2, (int64_t[]){2, 1});
    omma_value *none = scalar_of(w, OMMA_I8, 0);
    if (coin()) {
        q = put(w, "ConvInteger", 10, q, k, zero, none);
        push(w, q ? put(w, "Mul", 13, cast(w, q, OMMA_F32), number(w, 1e-4)) : NULL);
    } else
        push(w,
             restored(w,
                      put(w, "QLinearConv", 10, q, scale, zero, k, scale, none, number(w, 1), zero),
                      OMMA_U8));
}

static void whole_product_step(wide *w) {
    omma_value *x = ranked(w, 2 + roll(2));
    if (!x || x->dims[x->rank - 1] > 200) return;
    const int64_t dims[] = {x->dims[x->rank - 1], 1 + roll(6)};
    omma_value *a = quantised(w, x, OMMA_U8), *b = bytes(w, OMMA_I8, 2, dims);
    omma_value *zero = scalar_of(w, OMMA_U8, 128), *none = scalar_of(w, OMMA_I8, 0);
    omma_value *scale = number(w, 0.02);
    if (coin()) {
        a = put(w, "MatMulInteger", 10, a, b, zero, none);
        push(w, a ? put(w, "Mul", 13, cast(w, a, OMMA_F32), number(w, 1e-4)) : NULL);
    } else
        push(w,
             restored(
                 w, put(w, "QLinearMatMul", 10, a, scale, zero, b, scale, none, number(w, 1), zero),
                 OMMA_U8));
}

#endif
