/* test_kernel_math.c - element-wise functions and reductions: every table this CPU can run
 * against libm in double over all magnitudes, the special numbers, guard bands, and the same
 * bits wherever a number stands in its row. */
#include "guard.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

#include "kernel/kernel.h"

static double f_exp(double x) { return exp(x); }
static double f_log(double x) { return log(x); }
static double f_sqrt(double x) { return sqrt(x); }
static double f_tanh(double x) { return tanh(x); }
static double f_sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double f_erf(double x) { return erf(x); }
static double f_relu(double x) { return x < 0 ? 0 : x; }
static double f_neg(double x) { return -x; }
static double f_abs(double x) { return fabs(x); }
static double f_reciprocal(double x) { return 1 / x; }
static double f_silu(double x) { return x == -INFINITY ? 0 : x / (1 + exp(-x)); }
static double f_gelu(double x) { return x == -INFINITY ? 0 : 0.5 * x * erfc(-x * sqrt(0.5)); }
static double f_hswish(double x) { return x <= -3 ? 0 : x >= 3 ? x : x * ((x + 3) / 6); }

static const struct {
    const char *name;
    double (*f)(double);
    double ulp; /* allowed */
} unary[OMMA_UN_COUNT] = {
    [OMMA_UN_EXP] = {"exp", f_exp, 2},
    [OMMA_UN_LOG] = {"log", f_log, 2},
    [OMMA_UN_SQRT] = {"sqrt", f_sqrt, 0.5001},
    [OMMA_UN_TANH] = {"tanh", f_tanh, 4},
    [OMMA_UN_SIGMOID] = {"sigmoid", f_sigmoid, 4},
    [OMMA_UN_ERF] = {"erf", f_erf, 4},
    [OMMA_UN_RELU] = {"relu", f_relu, 0},
    [OMMA_UN_NEG] = {"neg", f_neg, 0},
    [OMMA_UN_ABS] = {"abs", f_abs, 0},
    [OMMA_UN_RECIPROCAL] = {"reciprocal", f_reciprocal, 0.5001},
    [OMMA_UN_SILU] = {"silu", f_silu, 4},
    [OMMA_UN_GELU] = {"gelu", f_gelu, 7},
    [OMMA_UN_HSWISH] = {"hswish", f_hswish, 4},
};

static float from_bits(uint32_t b) {
    float f;
    memcpy(&f, &b, 4);
    return f;
}

/* How far got is from want in units of the last place of a float of that size. */
static double ulps(float got, double want) {
    if (isnan(want) || isnan(got)) return isnan(want) && isnan(got) ? 0 : INFINITY;
    if ((double)got == want) return 0;
    const double top = (double)FLT_MAX * (1 + 0x1p-25); /* beyond, a float is rightly inf */
    if (isinf(got))
        return fabs(want) >= top * (1 - 0x1p-22) && (got > 0) == (want > 0) ? 0 : INFINITY;
    if (isinf(want)) return INFINITY;
    int e;
    frexp(want, &e);
    return fabs((double)got - want) / ldexp(1, e - 24 < -149 ? -149 : e - 24);
}

static void check_unary(const omma_kernels *kern, int f, const float *x, float *y, int n,
                        double *worst, float *at) {
    kern->unary[f](n, x, y);
    for (int i = 0; i < n; i++) {
        const double u = ulps(y[i], unary[f].f((double)x[i]));
        if (u > *worst) *worst = u, *at = x[i];
    }
}

static void test_unary_accuracy(void **state) {
    (void)state;
    enum { N = 4096 };
    static float x[N], y[N];
    const omma_kernels *kern;
    const bool show = getenv("OMMA_TEST_VERBOSE") != NULL;
    for (int t = 0; (kern = omma_kernels_at(t)); t++)
        for (int f = 0; f < OMMA_UN_COUNT; f++) {
            double worst = 0;
            float at = 0;
            uint32_t bits = 0;
            for (bool more = true; more;) { /* all exponents, both signs */
                int n = 0;
                while (n < N && more) {
                    x[n++] = from_bits(bits);
                    more = bits + 19937 > bits;
                    bits += 19937;
                }
                check_unary(kern, f, x, y, n, &worst, &at);
            }
            for (float lo = -20; lo < 20; lo += 1) { /* densely where things happen */
                for (int i = 0; i < N; i++) x[i] = lo + (float)i / N;
                check_unary(kern, f, x, y, N, &worst, &at);
            }
            for (float lo = -110; lo < 95; lo += 5) {
                for (int i = 0; i < N; i++) x[i] = lo + 5 * (float)i / N;
                check_unary(kern, f, x, y, N, &worst, &at);
            }
            if (show)
                printf("%-7s %-10s %.2f ulp at %.9g\n", kern->isa, unary[f].name, worst,
                       (double)at);
            if (!(worst <= unary[f].ulp))
                fail_msg("%s %s: %g ulp at %.9g", kern->isa, unary[f].name, worst, (double)at);
        }
}

static const float special[] = {
    0.0f,        -0.0f,      INFINITY,    -INFINITY, NAN,       1,       -1,       1000,
    -1000,       88.722839f, 88.72284f,   88.8f,     -87.5f,    -103.9f, -104.1f,  -150,
    0x1p-149f,   -0x1p-149f, 0x1p-130f,   FLT_MIN,   -FLT_MIN,  FLT_MAX, -FLT_MAX, 3,
    -3,          2.9999998f, -2.9999998f, 14.4f,     -14.4f,    1e-20f,  -1e-20f,  0.625f,
    0.99999994f, 1.0000001f, 0.75f,       1.5f,      0x1.8p127f};
enum { N_SPECIAL = sizeof special / sizeof *special };

static void test_unary_special(void **state) {
    (void)state;
    const omma_kernels *kern;
    for (int t = 0; (kern = omma_kernels_at(t)); t++)
        for (int f = 0; f < OMMA_UN_COUNT; f++) {
            float y[N_SPECIAL];
            kern->unary[f](N_SPECIAL, special, y);
            for (int i = 0; i < N_SPECIAL; i++) {
                const double want = unary[f].f((double)special[i]), u = ulps(y[i], want);
                if (!(u <= unary[f].ulp))
                    fail_msg("%s %s(%g) = %g, not %g", kern->isa, unary[f].name, (double)special[i],
                             (double)y[i], want);
            }
        }
}

/* Rows of all lengths at all places give what one number alone gives, write nothing
 * beyond themselves, and may be their own input. */
static void test_unary_places(void **state) {
    (void)state;
    const omma_kernels *kern;
    for (int t = 0; (kern = omma_kernels_at(t)); t++)
        for (int f = 0; f < OMMA_UN_COUNT; f++) {
            float x[70], alone[70];
            for (int i = 0; i < 70; i++) {
                x[i] = i < N_SPECIAL ? special[i] : 8 * rng_float();
                kern->unary[f](1, x + i, alone + i);
            }
            for (int n = 0; n <= 70; n++) {
                guarded g;
                float *y = guard_new(&g, (size_t)n * 4, 4 * (size_t)(n % 3));
                kern->unary[f](n, x + 70 - n, y);
                assert_memory_equal(y, alone + 70 - n, (size_t)n * 4);
                if (n) memcpy(y, x, (size_t)n * 4);
                kern->unary[f](n, y, y);
                assert_memory_equal(y, alone, (size_t)n * 4);
                guard_end(&g);
            }
        }
}

static double binary(int f, double a, double b) {
    switch (f) {
    case OMMA_BIN_ADD: return a + b;
    case OMMA_BIN_SUB: return a - b;
    case OMMA_BIN_MUL: return a * b;
    case OMMA_BIN_DIV: return a / b;
    case OMMA_BIN_MAX: return isnan(a) || isnan(b) ? NAN : fmax(a, b);
    default: return isnan(a) || isnan(b) ? NAN : fmin(a, b);
    }
}

static void test_binary(void **state) {
    (void)state;
    const omma_kernels *kern;
    for (int t = 0; (kern = omma_kernels_at(t)); t++)
        for (int f = 0; f < OMMA_BIN_COUNT; f++)
            for (int r = 0; r < 300; r++) {
                const int n = r % 75, sa = rng_int(0, 1), sb = rng_int(0, 1), place = rng_int(0, 2);
                guarded g;
                float a[75], b[75], *y = guard_new(&g, (size_t)n * 4, 4 * (size_t)(n % 3));
                for (int i = 0; i < 75; i++) {
                    a[i] = rng_int(0, 3) ? rng_float() : special[rng_int(0, N_SPECIAL - 1)];
                    b[i] = rng_int(0, 3) ? rng_float() : special[rng_int(0, N_SPECIAL - 1)];
                }
                const float *pa = a, *pb = b;
                if (n && place == 1 && sa) memcpy(y, a, (size_t)n * 4), pa = y;
                if (n && place == 2 && sb) memcpy(y, b, (size_t)n * 4), pb = y;
                kern->binary[f](n, pa, sa, pb, sb, y);
                for (int i = 0; i < n; i++) {
                    const double want = binary(f, (double)a[i * sa], (double)b[i * sb]);
                    if (!(ulps(y[i], want) <= 0.5001))
                        fail_msg("%s binary %d: %g, %g gives %g", kern->isa, f, (double)a[i * sa],
                                 (double)b[i * sb], (double)y[i]);
                }
                guard_end(&g);
            }
}

/* Rows at once give what they give one by one, in place too. */
static void test_binary_rows(void **state) {
    (void)state;
    enum { ROWS = 5, MOST = 40 };
    const omma_kernels *kern;
    for (int t = 0; (kern = omma_kernels_at(t)); t++)
        for (int f = 0; f < OMMA_BIN_COUNT; f++)
            for (int r = 0; r < 200; r++) {
                const int n = r % MOST, rows = rng_int(0, ROWS), place = rng_int(0, 2);
                const int sa = rng_int(0, 1), sb = rng_int(0, 1);
                int64_t ra = rng_int(0, 2) * n, rb = rng_int(0, 2) * n;
                guarded g;
                float a[2 * ROWS * MOST], b[2 * ROWS * MOST], want[ROWS * MOST];
                float *y = guard_new(&g, (size_t)(rows * n) * 4, 4 * (size_t)(n % 3));
                const float *pa = a, *pb = b;
                rng_fill(a, 2 * ROWS * MOST);
                rng_fill(b, 2 * ROWS * MOST);
                if (place == 1 && sa) memcpy(y, a, (size_t)(rows * n) * 4), pa = y, ra = n;
                if (place == 2 && sb) memcpy(y, b, (size_t)(rows * n) * 4), pb = y, rb = n;
                for (int i = 0; i < rows; i++)
                    kern->binary[f](n, a + i * ra, sa, b + i * rb, sb, want + i * n);
                kern->binary_rows[f](rows, n, pa, ra, sa, pb, rb, sb, y);
                assert_memory_equal(y, want, (size_t)(rows * n) * 4);
                guard_end(&g);
            }
}

static void check_norm(const omma_kernels *kern, int64_t rows, int64_t n, float middle) {
    guarded g;
    const size_t bytes = (size_t)(rows * n) * 4;
    float *x = malloc(bytes), *scale = malloc((size_t)n * 4), *bias = malloc((size_t)n * 4);
    float *y = guard_new(&g, bytes, 4), *again = malloc(bytes);
    const float *b = rng_int(0, 3) ? bias : NULL;
    assert_true(x && scale && bias && again);
    rng_fill(x, (size_t)(rows * n));
    rng_fill(scale, (size_t)n);
    rng_fill(bias, (size_t)n);
    for (int64_t i = 0; i < rows * n; i++) x[i] += middle;
    kern->layer_norm(rows, n, x, scale, b, 1e-5, y);
    for (int64_t r = 0; r < rows; r++) {
        double mean = 0, square = 0;
        for (int64_t i = 0; i < n; i++) mean += (double)x[r * n + i] / (double)n;
        for (int64_t i = 0; i < n; i++) square += pow((double)x[r * n + i] - mean, 2) / (double)n;
        for (int64_t i = 0; i < n; i++) {
            const double want =
                ((double)x[r * n + i] - mean) / sqrt(square + 1e-5) * (double)scale[i] +
                (b ? (double)b[i] : 0);
            if (!(fabs((double)y[r * n + i] - want) <= 2e-6 * (1 + fabs(want))))
                fail_msg("%s norm of %d about %g: %g, should be %g", kern->isa, (int)n,
                         (double)middle, (double)y[r * n + i], want);
        }
        kern->layer_norm(1, n, x + r * n, scale, b, 1e-5, again); /* a row alone */
        assert_memory_equal(again, y + r * n, (size_t)n * 4);
    }
    memcpy(again, x, bytes);
    kern->layer_norm(rows, n, again, scale, b, 1e-5, again);
    assert_memory_equal(again, y, bytes);
    x[rows * n / 2] = NAN;
    kern->layer_norm(rows, n, x, scale, b, 1e-5, y);
    for (int64_t i = 0; i < rows * n; i++) assert_true(!isnan(y[i]) == (i / n != rows * n / 2 / n));
    guard_end(&g);
    free(x), free(scale), free(bias), free(again);
}

static void test_layer_norm(void **state) {
    (void)state;
    const omma_kernels *kern;
    for (int t = 0; (kern = omma_kernels_at(t)); t++) {
        for (int n = 1; n < 80; n++) check_norm(kern, rng_int(1, 4), n, 0);
        for (int r = 0; r < 60; r++)
            check_norm(kern, rng_int(1, 3), rng_int(1, 3000), rng_int(0, 1) ? 20 : -300);
    }
}

static void test_clip_affine_finish(void **state) {
    (void)state;
    const omma_kernels *kern;
    for (int t = 0; (kern = omma_kernels_at(t)); t++)
        for (int n = 0; n < 90; n++) {
            guarded g;
            float x[90], s[90], b[90], *y = guard_new(&g, (size_t)n * 4, 0);
            for (int i = 0; i < 90; i++)
                x[i] = 4 * rng_float(), s[i] = rng_float(), b[i] = rng_float();
            x[3] = NAN, x[5] = INFINITY, x[7] = -INFINITY;
            kern->clip(n, x, -1, 2, y);
            for (int i = 0; i < n; i++)
                assert_true(isnan(x[i]) ? isnan(y[i])
                                        : y[i] == (x[i] < -1  ? -1
                                                   : x[i] > 2 ? 2
                                                              : x[i]));
            for (int stride = 0; stride < 2; stride++) {
                kern->affine(n, x, s, b, stride, y);
                for (int i = 0; i < n; i++) {
                    const double want =
                        (double)x[i] * (double)s[i * stride] + (double)b[i * stride];
                    assert_true(isfinite(want) ? fabs((double)y[i] - want) < 1e-6
                                               : ulps(y[i], want) == 0);
                }
                for (int act = OMMA_ACT_NONE; act < OMMA_ACT_COUNT; act++) {
                    const omma_epilogue e = {.act = (omma_act)act, .lo = -0.5f, .hi = 1};
                    const bool bias = rng_int(0, 1);
                    kern->finish(n, x, bias ? b : NULL, stride, act || rng_int(0, 1) ? &e : NULL,
                                 y);
                    for (int i = 0; i < n; i++) {
                        const double want =
                            (double)omma_act_apply(&e, bias ? x[i] + b[i * stride] : x[i]);
                        const bool line = act >= OMMA_ACT_RELU_LINE; /* its sum may cancel */
                        assert_true(ulps(y[i], want) <= 5 ||
                                    (line && fabs((double)y[i] - want) <= 1e-6));
                    }
                }
            }
            guard_end(&g);
        }
}

static void test_reductions(void **state) {
    (void)state;
    enum { MOST = 3000 };
    static float x[MOST], y[MOST];
    const omma_kernels *kern;
    for (int t = 0; (kern = omma_kernels_at(t)); t++)
        for (int r = 0; r < 400; r++) {
            const int n = r < 200 ? r : rng_int(1, MOST);
            double sum = 0, mass = 0, sq = 0, top = -INFINITY, e = 0;
            for (int i = 0; i < n; i++) x[i] = 5 * rng_float();
            const float mean = 0.3f;
            for (int i = 0; i < n; i++) {
                sum += (double)x[i], mass += fabs((double)x[i]);
                sq += ((double)x[i] - (double)mean) * ((double)x[i] - (double)mean);
                if ((double)x[i] > top) top = (double)x[i];
            }
            assert_true(fabs((double)kern->sum(n, x) - sum) <= 1e-6 * mass);
            assert_true(fabs((double)kern->sum_sq(n, x, mean) - sq) <= 2e-6 * sq);
            assert_true((double)kern->max(n, x) == top);
            for (int i = 0; i < n; i++) e += exp((double)x[i] - top);
            kern->softmax(n, x, y);
            for (int i = 0; i < n; i++) {
                const double want = exp((double)x[i] - top) / e;
                assert_true(fabs((double)y[i] - want) <= 1e-6 * want);
            }
            if (!n) continue;
            guarded g;
            float *same = guard_new(&g, (size_t)n * 4, 4);
            memcpy(same, x, (size_t)n * 4);
            kern->softmax(n, same, same);
            assert_memory_equal(same, y, (size_t)n * 4);
            guard_end(&g);
            const int at = rng_int(0, n - 1);
            x[at] = NAN;
            assert_true(isnan(kern->max(n, x)) && isnan(kern->sum(n, x)) &&
                        isnan(kern->sum_sq(n, x, 0)));
            kern->softmax(n, x, y);
            for (int i = 0; i < n; i++) assert_true(isnan(y[i]));
            x[at] = -INFINITY;
            kern->softmax(n, x, y);
            for (int i = 0; i < n; i++)
                assert_true(n == 1 ? isnan(y[i]) : i == at ? y[i] == 0 : y[i] > 0);
            for (int i = 0; i < n; i++) x[i] = -INFINITY;
            assert_true(kern->max(n, x) == -INFINITY);
            kern->softmax(n, x, y);
            for (int i = 0; i < n; i++) assert_true(isnan(y[i]));
        }
}

/* Behind a mask of -100 there is nothing, not a denormal. */
static void test_softmax_small(void **state) {
    (void)state;
    float x[40], y[40];
    const omma_kernels *kern;
    for (int t = 0; (kern = omma_kernels_at(t)); t++)
        for (int n = 4; n < 40; n++) {
            for (int i = 0; i < n; i++) x[i] = i % 4 == 1 ? -100 : i % 4 == 3 ? -80 : 0;
            kern->softmax(n, x, y);
            for (int i = 0; i < n; i++) assert_true(i % 4 == 1 ? y[i] == 0 : y[i] >= 0x1p-126f);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unary_accuracy),     cmocka_unit_test(test_unary_special),
        cmocka_unit_test(test_unary_places),       cmocka_unit_test(test_binary),
        cmocka_unit_test(test_clip_affine_finish), cmocka_unit_test(test_reductions),
        cmocka_unit_test(test_binary_rows),        cmocka_unit_test(test_layer_norm),
        cmocka_unit_test(test_softmax_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
