/* test_kernel_pool.c - pooling of channels-last maps and means over their pixels: every table this
 * CPU can run against naive loops in double, with guard bands and gaps between pixels, NaN among
 * the numbers, and the same bits for any number of threads. */
#include "guard.h"

#include <math.h>
#include <stdio.h>

#include "kernel/pool_last.h"

static const int thread_counts[] = {1, 2, 3, 8};
enum { N_THREADS = sizeof thread_counts / sizeof *thread_counts };

static const char *name_of(const omma_kernels *kern, const omma_pooling *p) {
    static char what[200];
    snprintf(what, sizeof what, "%s %s%s n%d c%d %dx%d -> %dx%d k%dx%d s%d,%d d%d,%d p%d,%d,%d,%d",
             kern->isa, p->mean ? "mean" : "max", p->include_pad ? " with padding" : "", (int)p->n,
             (int)p->c, (int)p->h, (int)p->w, (int)p->oh, (int)p->ow, p->kh, p->kw, p->stride_h,
             p->stride_w, p->dilation_h, p->dilation_w, (int)p->pad_top, (int)p->pad_left,
             (int)p->pad_bottom, (int)p->pad_right);
    return what;
}

static double naive(const omma_pooling *p, const float *x, int64_t x_ld, int64_t pixel, int64_t c) {
    const int64_t ox = pixel % p->ow, oy = pixel / p->ow % p->oh, image = pixel / p->ow / p->oh;
    double sum = 0, best = -INFINITY;
    int inside = 0, declared = 0;
    for (int ky = 0; ky < p->kh; ky++)
        for (int kx = 0; kx < p->kw; kx++) {
            const int64_t iy = oy * p->stride_h + ky * p->dilation_h - p->pad_top;
            const int64_t ix = ox * p->stride_w + kx * p->dilation_w - p->pad_left;
            declared += iy < p->h + p->pad_bottom && ix < p->w + p->pad_right;
            if (iy < 0 || iy >= p->h || ix < 0 || ix >= p->w) continue;
            const double v = (double)x[((image * p->h + iy) * p->w + ix) * x_ld + c];
            inside++, sum += v;
            if (isnan(v) || v > best) best = isnan(best) ? best : v;
        }
    if (!p->mean) return best;
    return inside ? sum / (p->include_pad ? declared : inside) : 0;
}

static bool agree(double a, double b) {
    if (isnan(a) || isnan(b)) return isnan(a) && isnan(b);
    return isinf(b) ? a == b : fabs(a - b) <= 1e-6;
}

static void check(const omma_kernels *kern, const omma_pooling *p) {
    guarded gx, gy;
    const int64_t in = p->n * p->h * p->w, out = p->n * p->oh * p->ow;
    const int64_t x_ld = p->c + (rng_int(0, 1) ? 0 : rng_int(0, 9)),
                  y_ld = p->c + (rng_int(0, 1) ? 0 : rng_int(0, 9));
    const size_t n_x = (size_t)((in - 1) * x_ld + p->c), n_y = (size_t)((out - 1) * y_ld + p->c);
    float *x = guard_new(&gx, n_x * 4, 4 * (size_t)rng_int(0, 3));
    float *y = guard_new(&gy, n_y * 4, 4 * (size_t)rng_int(0, 3));
    float *first = malloc(n_y * 4);
    assert_non_null(first);
    for (int64_t i = 0; i < in; i++) {
        rng_fill(x + i * x_ld, (size_t)p->c);
        if (!rng_int(0, 20))
            x[i * x_ld + rng_int(0, (int)p->c - 1)] = rng_int(0, 1) ? NAN : -INFINITY;
    }
    for (int t = 0; t < N_THREADS; t++) {
        memset(y, 0xA5, n_y * 4);
        omma_pool_last(kern, thread_counts[t], p, x, x_ld, y, y_ld);
        if (!t) memcpy(first, y, n_y * 4);
        else if (memcmp(first, y, n_y * 4))
            fail_msg("%s: other bits with %d threads", name_of(kern, p), thread_counts[t]);
    }
    for (int64_t i = 0; i < out; i++)
        for (int64_t c = 0; c < p->c; c++) {
            const double want = naive(p, x, x_ld, i, c), got = (double)y[i * y_ld + c];
            if (!agree(got, want))
                fail_msg("%s pixel %d channel %d: %g, should be %g", name_of(kern, p), (int)i,
                         (int)c, got, want);
        }
    for (int64_t i = 0; i + 1 < out; i++)
        for (int64_t q = 0; q < (y_ld - p->c) * 4; q++)
            assert_int_equal(((unsigned char *)(y + i * y_ld + p->c))[q], 0xA5);
    guard_end(&gx);
    guard_end(&gy);
    free(first);
}

/* Outputs along an axis, as ceil_mode wants them now and then: the last window may hang out. */
static int64_t out_size(int64_t in, int64_t pads, int k, int stride, int dilation) {
    const int64_t span = in + pads - ((int64_t)dilation * (k - 1) + 1);
    return span < 0 ? 0 : (span + (rng_int(0, 2) ? 0 : stride - 1)) / stride + 1;
}

static omma_pooling random_pooling(void) {
    static const int kernels[] = {1, 2, 2, 3, 3, 3, 5, 7, 9};
    for (;;) {
        omma_pooling p = {.n = rng_int(1, 2), .h = rng_int(1, 20), .w = rng_int(1, 40)};
        p.c = rng_int(0, 1) ? rng_int(1, 40) : rng_int(1, 5) * 16;
        p.kh = kernels[rng_int(0, 8)], p.kw = rng_int(0, 2) ? p.kh : kernels[rng_int(0, 8)];
        p.stride_h = rng_int(1, 3), p.stride_w = rng_int(0, 2) ? p.stride_h : rng_int(1, 4);
        p.dilation_h = rng_int(0, 2) ? 1 : rng_int(1, 3),
        p.dilation_w = rng_int(0, 2) ? p.dilation_h : rng_int(1, 4);
        if (!rng_int(0, 9)) p.w = rng_int(60, 120), p.kw = rng_int(30, 100), p.h = 5;
        p.pad_top = rng_int(0, 3), p.pad_left = rng_int(0, 3);
        p.pad_bottom = rng_int(0, 3), p.pad_right = rng_int(0, 3);
        p.mean = rng_int(0, 1), p.include_pad = rng_int(0, 1);
        p.oh = out_size(p.h, p.pad_top + p.pad_bottom, p.kh, p.stride_h, p.dilation_h);
        p.ow = out_size(p.w, p.pad_left + p.pad_right, p.kw, p.stride_w, p.dilation_w);
        if (p.oh > 0 && p.ow > 0) return p;
    }
}

static void test_pool(void **state) {
    (void)state;
    const omma_kernels *kern;
    for (int t = 0; (kern = omma_kernels_at(t)); t++)
        for (int r = 0; r < rounds(400); r++) {
            const omma_pooling p = random_pooling();
            check(kern, &p);
        }
}

/* Windows that lie in the padding alone, and nothing to do. */
static void test_pool_odd(void **state) {
    (void)state;
    const omma_kernels *kern;
    for (int t = 0; (kern = omma_kernels_at(t)); t++) {
        const float x[2] = {3, 5};
        float y[8] = {9, 9, 9, 9, 9, 9, 9, 9};
        omma_pooling p = {.n = 1, .c = 2, .h = 1, .w = 1, .oh = 2, .ow = 2, .kh = 1, .kw = 1};
        p.stride_h = p.stride_w = p.dilation_h = p.dilation_w = 1;
        p.pad_top = 1, p.mean = true;
        omma_pool_last(kern, 1, &p, x, 2, y, 2);
        assert_memory_equal(y, ((const float[8]){0, 0, 0, 0, 3, 5, 0, 0}), sizeof y);
        p.mean = false;
        omma_pool_last(kern, 1, &p, x, 2, y, 2);
        for (int i = 0; i < 8; i++)
            assert_true(i == 4 || i == 5 ? y[i] == x[i - 4] : y[i] == -INFINITY);
        y[0] = 9, p.n = 0;
        omma_pool_last(kern, 1, &p, x, 2, y, 2);
        omma_mean_last(kern, 1, 0, 1, 2, x, 2, y);
        assert_true(y[0] == 9);
    }
}

static void check_mean(const omma_kernels *kern, int64_t n, int64_t pixels, int64_t c) {
    guarded gx, gy;
    const int64_t ld = c + rng_int(0, 5);
    float *x = guard_new(&gx, (size_t)((n * pixels - 1) * ld + c) * 4, 0);
    float *y = guard_new(&gy, (size_t)(n * c) * 4, 4);
    float *first = malloc((size_t)(n * c) * 4);
    assert_non_null(first);
    for (int64_t i = 0; i < n * pixels; i++) rng_fill(x + i * ld, (size_t)c);
    for (int t = 0; t < N_THREADS; t++) {
        omma_mean_last(kern, thread_counts[t], n, pixels, c, x, ld, y);
        if (!t) memcpy(first, y, (size_t)(n * c) * 4);
        else assert_memory_equal(first, y, (size_t)(n * c) * 4);
    }
    for (int64_t i = 0; i < n * c; i++) {
        double sum = 0;
        for (int64_t q = 0; q < pixels; q++) sum += (double)x[(i / c * pixels + q) * ld + i % c];
        if (fabs(sum / (double)pixels - (double)y[i]) > 1e-6)
            fail_msg("%s mean n%d pixels%d c%d at %d: %g", kern->isa, (int)n, (int)pixels, (int)c,
                     (int)i, (double)y[i]);
    }
    guard_end(&gx);
    guard_end(&gy);
    free(first);
}

static void test_mean(void **state) {
    (void)state;
    const omma_kernels *kern;
    for (int t = 0; (kern = omma_kernels_at(t)); t++)
        for (int r = 0; r < rounds(100); r++)
            check_mean(kern, rng_int(1, 3), rng_int(1, r % 10 ? 60 : 3000), rng_int(1, 150));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pool),
        cmocka_unit_test(test_pool_odd),
        cmocka_unit_test(test_mean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
