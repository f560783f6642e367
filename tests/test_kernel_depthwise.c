/* test_kernel_depthwise.c - depthwise convolution on channels-last maps: every table this CPU can
 * run against naive loops in double, with guard bands and gaps between pixels that nobody may
 * touch, every epilogue, addends in place, and the same bits for any number of threads. */
#include "guard.h"

#include <math.h>
#include <stdio.h>

#include "kernel/last.h"

static const int thread_counts[] = {1, 2, 3, 8};
enum { N_THREADS = sizeof thread_counts / sizeof *thread_counts };

static double naive(const omma_conv *p, const float *x, int64_t x_ld, const void *w, int64_t pixel,
                    int64_t c, double *mass) {
    const int64_t ox = pixel % p->ow, oy = pixel / p->ow % p->oh, image = pixel / p->ow / p->oh;
    double s = 0;
    *mass = 0;
    for (int ky = 0; ky < p->kh; ky++)
        for (int kx = 0; kx < p->kw; kx++) {
            const int64_t iy = oy * p->stride_h + ky * p->dilation_h - p->pad_top;
            const int64_t ix = ox * p->stride_w + kx * p->dilation_w - p->pad_left;
            if (iy < 0 || iy >= p->h || ix < 0 || ix >= p->w) continue;
            const double v = (double)x[((image * p->h + iy) * p->w + ix) * x_ld + c] *
                             (double)float_at(w, (c * p->kh + ky) * p->kw + kx);
            s += v;
            *mass += fabs(v);
        }
    return s;
}

static const char *name_of(const omma_kernels *kern, const omma_conv *p) {
    static char what[200];
    snprintf(what, sizeof what, "%s n%d c%d %dx%d -> %dx%d k%dx%d s%d,%d d%d,%d p%d,%d", kern->isa,
             (int)p->n, (int)p->m, (int)p->h, (int)p->w, (int)p->oh, (int)p->ow, p->kh, p->kw,
             p->stride_h, p->stride_w, p->dilation_h, p->dilation_w, (int)p->pad_top,
             (int)p->pad_left);
    return what;
}

/* Numbers in the pixels, 0xA5 between them. */
static void fill_map(float *map, int64_t pixels, int64_t channels, int64_t ld) {
    for (int64_t i = 0; i < pixels; i++) rng_fill(map + i * ld, (size_t)channels);
}
static void gaps_untouched(const float *map, int64_t pixels, int64_t channels, int64_t ld) {
    for (int64_t i = 0; i + 1 < pixels; i++)
        for (int64_t q = 0; q < (ld - channels) * 4; q++)
            assert_int_equal(((const unsigned char *)(map + i * ld + channels))[q], 0xA5);
}
static size_t map_floats(int64_t pixels, int64_t channels, int64_t ld) {
    return (size_t)((pixels - 1) * ld + channels);
}

static void check(const omma_kernels *kern, const omma_conv *p) {
    guarded gx, gw, gp, gy, ga, gb;
    const int64_t c = p->m, in = p->n * p->h * p->w, out = p->n * p->oh * p->ow;
    const int64_t x_ld = c + (rng_int(0, 1) ? 0 : rng_int(0, 9)),
                  y_ld = c + (rng_int(0, 1) ? 0 : rng_int(0, 9));
    const size_t n_y = map_floats(out, c, y_ld);
    size_t packed_bytes, scratch_bytes;
    assert_string_equal(omma_last_form(kern, p), "last:depthwise");
    assert_true(omma_last_packed_bytes(kern, p, &packed_bytes));
    float *x = guard_new(&gx, map_floats(in, c, x_ld) * 4, 4 * (size_t)rng_int(0, 3));
    void *w = guard_new(&gw, (size_t)(c * p->kh * p->kw) * 4, (size_t)rng_int(0, 7));
    void *packed = guard_new(&gp, packed_bytes, 0);
    float *y = guard_new(&gy, n_y * 4, 4 * (size_t)rng_int(0, 3));
    float *addend = guard_new(&ga, n_y * 4, 4 * (size_t)rng_int(0, 3));
    float *bias = guard_new(&gb, (size_t)c * 4, 4 * (size_t)rng_int(0, 3));
    float *first = malloc(n_y * 4);
    assert_non_null(first);
    fill_map(x, in, c, x_ld);
    fill_map(addend, out, c, y_ld);
    rng_fill(w, (size_t)(c * p->kh * p->kw));
    rng_fill(bias, (size_t)c);
    omma_last_pack(kern, p, packed, w, 2);
    const bool has_add = rng_int(0, 1), in_place = rng_int(0, 1), plain = !rng_int(0, 3);
    omma_epilogue e = {.col_bias = rng_int(0, 1) ? bias : NULL,
                       .add = !has_add   ? NULL
                              : in_place ? y
                                         : addend,
                       .add_ld = y_ld,
                       .act = (omma_act)rng_int(OMMA_ACT_NONE, OMMA_ACT_COUNT - 1),
                       .lo = -0.25f,
                       .hi = 0.5f};
    for (int t = 0; t < N_THREADS; t++) {
        assert_true(omma_last_scratch(kern, p, thread_counts[t], &scratch_bytes));
        assert_int_equal(scratch_bytes, 0);
        if (has_add && in_place) memcpy(y, addend, n_y * 4);
        else memset(y, 0xA5, n_y * 4);
        omma_last_run(kern, thread_counts[t], p, x, x_ld, packed, y, y_ld, plain ? NULL : &e, NULL);
        if (!t) memcpy(first, y, n_y * 4);
        else if (memcmp(first, y, n_y * 4))
            fail_msg("%s: other bits with %d threads", name_of(kern, p), thread_counts[t]);
    }
    for (int64_t i = 0; i < out; i++)
        for (int64_t m = 0; m < c; m++) {
            double mass, s = naive(p, x, x_ld, w, i, m, &mass);
            if (!plain && e.col_bias) s += (double)bias[m];
            if (!plain && e.add) s += (double)addend[i * y_ld + m];
            const double want = plain ? s : (double)omma_act_apply(&e, (float)s);
            const double off = fabs((double)y[i * y_ld + m] - want);
            if (!(off <= 2e-7 * (6 + sqrt(p->kh * p->kw)) * (mass + 2)))
                fail_msg("%s pixel %d channel %d: off by %g", name_of(kern, p), (int)i, (int)m,
                         off);
        }
    gaps_untouched(y, out, c, y_ld);
    guard_end(&gx);
    guard_end(&gw);
    guard_end(&gp);
    guard_end(&gy);
    guard_end(&ga);
    guard_end(&gb);
    free(first);
}

/* Output size from paddings, as ONNX computes it; 0 when the kernel does not fit. */
static int64_t out_size(int64_t in, int64_t pad0, int64_t pad1, int k, int stride, int dilation) {
    const int64_t span = in + pad0 + pad1 - ((int64_t)dilation * (k - 1) + 1);
    return span < 0 ? 0 : span / stride + 1;
}

static omma_conv random_conv(void) {
    static const int kernels[] = {1, 2, 3, 3, 3, 5, 5, 7, 7, 9};
    for (;;) {
        omma_conv p = {.n = rng_int(1, 2), .c = 1, .h = rng_int(1, 20), .w = rng_int(1, 40)};
        p.groups = p.m = rng_int(0, 1) ? rng_int(1, 40) : rng_int(1, 8) * 16;
        p.kh = kernels[rng_int(0, 9)], p.kw = rng_int(0, 2) ? p.kh : kernels[rng_int(0, 9)];
        p.stride_h = rng_int(1, 2), p.stride_w = rng_int(0, 2) ? p.stride_h : rng_int(1, 4);
        p.dilation_h = rng_int(0, 2) ? 1 : rng_int(1, 3),
        p.dilation_w = rng_int(0, 2) ? p.dilation_h : rng_int(1, 4);
        const bool same = rng_int(0, 3), far = !rng_int(0, 15);
        p.pad_top = same ? p.kh / 2 * p.dilation_h : rng_int(0, 4);
        p.pad_left = same ? p.kw / 2 * p.dilation_w : far ? rng_int(20, 60) : rng_int(0, 4);
        p.oh = out_size(p.h, p.pad_top, same ? p.pad_top : rng_int(0, 4), p.kh, p.stride_h,
                        p.dilation_h);
        p.ow = out_size(p.w, p.pad_left,
                        same  ? p.pad_left
                        : far ? rng_int(20, 60)
                              : rng_int(0, 4),
                        p.kw, p.stride_w, p.dilation_w);
        if (p.oh > 0 && p.ow > 0) return p;
    }
}

static void test_random(void **state) {
    (void)state;
    const omma_kernels *kern;
    for (int t = 0; (kern = omma_kernels_at(t)); t++)
        for (int r = 0; r < rounds(300); r++) {
            const omma_conv p = random_conv();
            check(kern, &p);
        }
}

static void test_usual(void **state) {
    (void)state;
    static const omma_conv usual[] = {
        {1, 96, 1, 28, 28, 96, 28, 28, 7, 7, 1, 1, 1, 1, 3, 3, 0, 0},
        {1, 200, 1, 7, 7, 200, 7, 7, 7, 7, 1, 1, 1, 1, 3, 3, 0, 0},
        {1, 72, 1, 28, 28, 72, 14, 14, 5, 5, 2, 2, 1, 1, 2, 2, 0, 0},
        {1, 40, 1, 29, 31, 40, 15, 16, 7, 7, 2, 2, 1, 1, 3, 3, 0, 0},
        {2, 16, 1, 33, 57, 16, 17, 29, 3, 3, 2, 2, 1, 1, 1, 1, 0, 0},
        {1, 64, 1, 20, 130, 64, 20, 130, 3, 3, 1, 1, 1, 1, 1, 1, 0, 0},
        {1, 24, 1, 40, 40, 24, 40, 40, 31, 31, 1, 1, 1, 1, 15, 15, 0, 0},
        {1, 600, 1, 1, 1, 600, 1, 1, 3, 3, 1, 1, 1, 1, 1, 1, 0, 0},
        {1, 8, 1, 5, 5, 8, 3, 3, 3, 3, 1, 1, 1, 1, 0, 0, 0, 0},
    };
    const omma_kernels *kern;
    for (int t = 0; (kern = omma_kernels_at(t)); t++)
        for (size_t r = 0; r < sizeof usual / sizeof *usual; r++)
            for (int again = 0; again < rounds(3); again++) check(kern, &usual[r]);
}

/* Where the sums of one pixel are made must not show: the same numbers wherever a map is cut. */
static void test_same_pixels(void **state) {
    (void)state;
    enum { C = 19, SIDE = 23, K = 5 };
    static float wide[SIDE * SIDE * C], part[SIDE * 9 * C], w[C * K * K], packed[32 * K * K];
    static float y[(SIDE - K + 1) * (SIDE - K + 1) * C], z[(SIDE - K + 1) * (9 - K + 1) * C];
    const omma_kernels *kern;
    rng_fill(wide, sizeof wide / 4);
    rng_fill(w, sizeof w / 4);
    for (int i = 0; i < SIDE; i++)
        memcpy(part + i * 9 * C, wide + (i * SIDE + 6) * C, 9 * C * sizeof *part);
    for (int t = 0; (kern = omma_kernels_at(t)); t++) {
        omma_conv p = {1, C, 1, SIDE, SIDE, C, SIDE - K + 1, SIDE - K + 1, K, K, 1, 1,
                       1, 1, 0, 0,    0,    0};
        size_t bytes;
        assert_true(omma_last_packed_bytes(kern, &p, &bytes) && bytes <= sizeof packed);
        omma_last_pack(kern, &p, packed, w, 1);
        omma_last_run(kern, 1, &p, wide, C, packed, y, C, NULL, NULL);
        p.w = 9, p.ow = 9 - K + 1;
        omma_last_run(kern, 1, &p, part, C, packed, z, C, NULL, NULL);
        for (int i = 0; i < SIDE - K + 1; i++)
            assert_memory_equal(y + (i * (SIDE - K + 1) + 6) * C, z + i * (9 - K + 1) * C,
                                (9 - K + 1) * C * sizeof *y);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_usual),
        cmocka_unit_test(test_same_pixels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
