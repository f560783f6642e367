/* test_kernel.c - products and convolutions: every table this CPU can run against naive
 * loops in double, with guard bands around all that is written, unaligned weights, every
 * epilogue, and the same bits for any number of threads. */
#include "guard.h"

#include <math.h>
#include <stdio.h>

#include "base/cpu.h"
#include "kernel/kernel.h"

static const int thread_counts[] = {1, 2, 3, 8};
enum { N_THREADS = sizeof thread_counts / sizeof *thread_counts };

/* Error allowed for a chain of k products whose absolute values sum to mass. */
static double bound(int64_t k, double mass) {
    return 1.2e-7 * (6 + sqrt((double)k)) * (mass + 0.1);
}

static omma_epilogue random_epilogue(const float *row_bias, const float *col_bias) {
    return (omma_epilogue){.row_bias = rng_int(0, 1) ? row_bias : NULL,
                           .col_bias = rng_int(0, 1) ? col_bias : NULL,
                           .act = (omma_act)rng_int(OMMA_ACT_NONE, OMMA_ACT_COUNT - 1),
                           .lo = -0.25f,
                           .hi = 0.5f};
}

/* --- tables ------------------------------------------------------------------------- */

static void test_tables(void **state) {
    (void)state;
    const omma_kernels *k;
    int n = 0;
    for (; (k = omma_kernels_at(n)); n++) {
        assert_ptr_equal(k, omma_kernels_named(k->isa));
        assert_in_range(k->mr, 1, 16);
        for (int i = 0; i < OMMA_UN_COUNT; i++) assert_non_null(k->unary[i]);
        for (int i = 0; i < OMMA_BIN_COUNT; i++) assert_true(k->binary[i] && k->binary_rows[i]);
    }
    assert_true(n >= 1);
    assert_string_equal(omma_kernels_at(0)->isa, "c");
    assert_null(omma_kernels_at(-1));
    assert_null(omma_kernels_named("no such thing"));
    const unsigned cpu = omma_cpu_features();
    assert_int_equal(n, 1 + !!(cpu & OMMA_CPU_AVX2) + !!(cpu & OMMA_CPU_AVX512) +
                            !!(cpu & OMMA_CPU_BF16) + !!(cpu & OMMA_CPU_NEON));
    const char *forced = getenv("OMMA_CPU");
    const omma_kernels *want = forced ? omma_kernels_named(forced) : NULL;
    /* dot products of bfloat16 that do not pay are there, and not chosen */
    const int usual = n - 1 - (cpu & OMMA_CPU_BF16 && !(cpu & OMMA_CPU_BF16_PAYS));
    assert_ptr_equal(omma_kernels_best(), want ? want : omma_kernels_at(usual));
}

/* --- tile --------------------------------------------------------------------------- */

static void check_tile(const omma_kernels *kern, int m, int n, int64_t k) {
    guarded gc, ga;
    const int64_t lda = k + rng_int(0, 5), ldc = n + rng_int(0, 40);
    void *a = guard_new(&ga, (size_t)(m * lda) * 4, (size_t)rng_int(0, 7));
    float *c = guard_new(&gc, (size_t)((m - 1) * ldc + n) * 4, 4 * (size_t)rng_int(0, 3));
    float *b = aligned_alloc(64, (size_t)(k + 1) * (size_t)kern->nr * 4), before[16 * 64],
          row_bias[16], col_bias[64], add[16 * 64];
    assert_non_null(b);
    rng_fill(a, (size_t)(m * lda));
    for (int64_t i = 0; i < k * kern->nr; i++) b[i] = i % kern->nr < n ? rng_float() : 0;
    rng_fill(row_bias, 16);
    rng_fill(col_bias, 64);
    rng_fill(add, 16 * 64);
    const bool acc = rng_int(0, 1);
    omma_epilogue e = random_epilogue(row_bias, col_bias), *pe = rng_int(0, 3) ? &e : NULL;
    if (rng_int(0, 1)) e.add = add, e.add_ld = 64;
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) before[i * n + j] = acc ? c[i * ldc + j] = rng_float() : 0;
    kern->gemm_tile(m, n, k, a, lda, b, c, ldc, acc, pe);
    for (int i = 0; i < m; i++) {
        for (int j = 0; j < n; j++) {
            double s = (double)before[i * n + j], mass = fabs(s);
            for (int64_t l = 0; l < k; l++) {
                const double v = (double)float_at(a, i * lda + l) * (double)b[l * kern->nr + j];
                s += v;
                mass += fabs(v);
            }
            if (pe && e.add) s += (double)add[i * 64 + j];
            if (pe && e.row_bias) s += (double)row_bias[i];
            if (pe && e.col_bias) s += (double)col_bias[j];
            const double want = pe ? (double)omma_act_apply(&e, (float)s) : s;
            const double off = fabs((double)c[i * ldc + j] - want);
            if (!(off <= 1.5 * bound(k, mass + 3)))
                fail_msg("%s tile %dx%dx%d at %d,%d: off by %g", kern->isa, m, n, (int)k, i, j,
                         off);
        }
        unsigned char *gap = (unsigned char *)(c + i * ldc + n);
        if (i < m - 1)
            for (int64_t q = 0; q < (ldc - n) * 4; q++) assert_int_equal(gap[q], 0xA5);
    }
    guard_end(&gc);
    guard_end(&ga);
    free(b);
}

static void test_tile(void **state) {
    (void)state;
    const omma_kernels *kern;
    for (int t = 0; (kern = omma_kernels_at(t)); t++)
        for (int m = 1; m <= kern->mr; m++)
            for (int n = 1; n <= kern->nr; n++) {
                check_tile(kern, m, n, rng_int(1, 40));
                if (n % 5 == 0) check_tile(kern, m, n, 0);
            }
}

/* --- product ------------------------------------------------------------------------ */

static void check_gemm(const omma_kernels *kern, int64_t m, int64_t n, int64_t k, bool transposed) {
    guarded gc, gp, ga, gb, gr;
    const int64_t lda = k > 700 && rng_int(0, 2) ? (k + 1023) / 1024 * 1024 : k + rng_int(0, 3);
    const int64_t ldc = n % 32 ? n + rng_int(0, 3) : n;
    const int64_t row = transposed ? 1 : n + rng_int(0, 2),
                  col = transposed ? k + rng_int(0, 2) : 1;
    const size_t b_count = (size_t)(k && n ? (k - 1) * row + (n - 1) * col + 1 : 0);
    const size_t packed = omma_gemm_packed_size(kern, k, n),
                 c_bytes = (size_t)((m - 1) * ldc + n) * 4;
    void *a = guard_new(&ga, (size_t)(m * lda) * 4, (size_t)rng_int(0, 7));
    void *b = guard_new(&gb, b_count * 4, (size_t)rng_int(0, 7));
    float *p = guard_new(&gp, packed * 4, 0), *c = guard_new(&gc, c_bytes, 0);
    float *row_bias = malloc((size_t)m * 4), *col_bias = malloc((size_t)n * 4),
          *first = malloc(c_bytes), *add = malloc(c_bytes);
    assert_true(row_bias && col_bias && first && add);
    rng_fill(a, (size_t)(m * lda));
    rng_fill(b, b_count);
    rng_fill(add, c_bytes / 4);
    for (int64_t i = 0; i < m - 1; i++) memset(add + i * ldc + n, 0xA5, (size_t)(ldc - n) * 4);
    rng_fill(row_bias, (size_t)m);
    rng_fill(col_bias, (size_t)n);
    omma_epilogue e = random_epilogue(row_bias, col_bias), *pe = rng_int(0, 3) ? &e : NULL;
    const bool addend = rng_int(0, 1);
    e.add_ld = ldc;
    for (int t = 0; t < N_THREADS; t++) {
        memset(p, 0xA5, packed * 4);
        if (addend && t % 2) memcpy(c, add, c_bytes); /* it is C itself */
        else memset(c, 0xA5, c_bytes);
        if (addend) e.add = t % 2 ? c : add;
        omma_gemm_pack(kern, p, b, row, col, k, n, thread_counts[t]);
        const size_t room = omma_gemm_room(kern, thread_counts[t], m, n, k, lda);
        void *r = guard_new(&gr, room, 0);
        omma_gemm(kern, thread_counts[t], m, n, k, a, lda, p, c, ldc, pe,
                  room && rng_int(0, 2) ? r : NULL);
        guard_end(&gr);
        if (!t) memcpy(first, c, c_bytes);
        else if (memcmp(first, c, c_bytes))
            fail_msg("%s %dx%dx%d: other bits with %d threads", kern->isa, (int)m, (int)n, (int)k,
                     thread_counts[t]);
    }
    for (int64_t i = 0; i < m; i += 1 + m / 3) { /* a row alone */
        omma_epilogue one = e;
        float *alone = malloc((size_t)n * 4);
        assert_non_null(alone);
        one.row_bias = e.row_bias ? e.row_bias + i : NULL;
        one.add = addend ? add + i * ldc : NULL;
        omma_gemm(kern, 1 + (int)(i % 3), 1, n, k, (float *)((char *)a + i * lda * 4), lda, p,
                  alone, n, pe ? &one : NULL, NULL);
        if (memcmp(alone, first + i * ldc, (size_t)n * 4))
            fail_msg("%s %dx%dx%d: row %d alone has other bits", kern->isa, (int)m, (int)n, (int)k,
                     (int)i);
        free(alone);
    }
    const int64_t step = m * n * k > 3000000 ? 37 : 1; /* large ones: some of the numbers */
    for (int64_t q = 0; q < m * n; q += step) {
        const int64_t i = q / n, j = q % n;
        double s = pe && addend ? (double)add[i * ldc + j] : 0, mass = 3;
        for (int64_t l = 0; l < k; l++) {
            const double v =
                (double)float_at(a, i * lda + l) * (double)float_at(b, l * row + j * col);
            s += v;
            mass += fabs(v);
        }
        if (pe && e.row_bias) s += (double)row_bias[i];
        if (pe && e.col_bias) s += (double)col_bias[j];
        const double want = pe ? (double)omma_act_apply(&e, (float)s) : s;
        const double off = fabs((double)c[i * ldc + j] - want);
        if (!(off <= 1.5 * bound(k, mass)))
            fail_msg("%s %dx%dx%d at %d,%d: off by %g", kern->isa, (int)m, (int)n, (int)k, (int)i,
                     (int)j, off);
    }
    for (int64_t i = 0; i < m - 1; i++) /* between the rows */
        for (int64_t q = 0; q < (ldc - n) * 4; q++)
            assert_int_equal(((unsigned char *)(c + i * ldc + n))[q], 0xA5);
    guard_end(&ga);
    guard_end(&gb);
    guard_end(&gp);
    guard_end(&gc);
    free(row_bias);
    free(add);
    free(col_bias);
    free(first);
}

static void test_gemm(void **state) {
    (void)state;
    static const int large[][3] = {
        {197, 130, 771}, {1, 1000, 2048}, {300, 4, 256}, {33, 257, 1025},
        {15, 65, 1024},  {850, 64, 32},   {3200, 992, 8} /* passes by the caches */};
    const omma_kernels *kern;
    for (int t = 0; (kern = omma_kernels_at(t)); t++) {
        for (int r = 0; r < rounds(150); r++)
            check_gemm(kern, rng_int(1, 70), rng_int(1, 70), rng_int(0, 70), rng_int(0, 1));
        for (size_t r = 0; r < sizeof large / sizeof *large; r++)
            check_gemm(kern, large[r][0], large[r][1], large[r][2], r & 1);
    }
}

/* B with both strides free, and nothing to do. */
static void test_gemm_odd(void **state) {
    (void)state;
    const omma_kernels *kern;
    for (int t = 0; (kern = omma_kernels_at(t)); t++) {
        float b[5 * 7 * 6], *p = aligned_alloc(64, 4 * 64 * 16);
        assert_non_null(p);
        rng_fill(b, 210);
        omma_gemm_pack(kern, p, b, 21, 3, 5, 7, 2);
        for (int i = 0; i < 5; i++)
            for (int j = 0; j < kern->nr && j < 7; j++)
                assert_true(p[i * kern->nr + j] == b[i * 21 + j * 3]);
        free(p);
        float c = 7;
        omma_gemm(kern, 4, 0, 5, 3, b, 3, b, &c, 5, NULL, NULL);
        omma_gemm(kern, 4, 5, 0, 3, b, 3, b, &c, 5, NULL, NULL);
        assert_true(c == 7);
    }
}

/* --- convolution --------------------------------------------------------------------- */

static double naive(const omma_conv *p, const float *x, const void *w, int64_t image, int64_t m,
                    int64_t oy, int64_t ox, double *mass) {
    const int64_t g = m / (p->m / p->groups);
    double s = 0;
    *mass = 0;
    for (int64_t c = 0; c < p->c; c++)
        for (int ky = 0; ky < p->kh; ky++)
            for (int kx = 0; kx < p->kw; kx++) {
                const int64_t iy = oy * p->stride_h + ky * p->dilation_h - p->pad_top;
                const int64_t ix = ox * p->stride_w + kx * p->dilation_w - p->pad_left;
                if (iy < 0 || iy >= p->h || ix < 0 || ix >= p->w) continue;
                const double v =
                    (double)x[((image * p->groups + g) * p->c + c) * p->h * p->w + iy * p->w + ix] *
                    (double)float_at(w, ((m * p->c + c) * p->kh + ky) * p->kw + kx);
                s += v;
                *mass += fabs(v);
            }
    return s;
}

static void check_conv(const omma_kernels *kern, const omma_conv *p) {
    guarded gx, gw, gy, gs;
    char what[200];
    snprintf(what, sizeof what,
             "%s conv n%d g%d c%d %dx%d m%d -> %dx%d k%dx%d s%d,%d d%d,%d p%d,%d", kern->isa,
             (int)p->n, (int)p->groups, (int)p->c, (int)p->h, (int)p->w, (int)p->m, (int)p->oh,
             (int)p->ow, p->kh, p->kw, p->stride_h, p->stride_w, p->dilation_h, p->dilation_w,
             (int)p->pad_top, (int)p->pad_left);
    const size_t n_x = (size_t)(p->n * p->groups * p->c * p->h * p->w),
                 n_w = (size_t)(p->m * p->c * p->kh * p->kw);
    const size_t n_y = (size_t)(p->n * p->m * p->oh * p->ow);
    float *x = guard_new(&gx, n_x * 4, 4 * (size_t)rng_int(0, 3)),
          *y = guard_new(&gy, n_y * 4, 4 * (size_t)rng_int(0, 3));
    void *w = guard_new(&gw, n_w * 4, (size_t)rng_int(0, 7));
    float *bias = malloc((size_t)p->m * 4), *first = malloc(n_y * 4 + 1);
    assert_true(bias && first);
    rng_fill(x, n_x);
    rng_fill(w, n_w);
    rng_fill(bias, (size_t)p->m);
    const omma_epilogue e = random_epilogue(bias, NULL), *pe = rng_int(0, 3) ? &e : NULL;
    for (int t = 0; t < N_THREADS; t++) {
        size_t bytes;
        assert_true(omma_conv_scratch(kern, p, thread_counts[t], &bytes));
        void *scratch = guard_new(&gs, bytes, 0);
        memset(y, 0xA5, n_y * 4);
        omma_conv_run(kern, thread_counts[t], p, x, w, y, pe, scratch);
        if (!t) memcpy(first, y, n_y * 4);
        else if (memcmp(first, y, n_y * 4))
            fail_msg("%s: other bits with %d threads", what, thread_counts[t]);
        guard_end(&gs);
    }
    const size_t step = n_y * n_w / (size_t)p->m > 2000000 ? 61 : 1;
    for (size_t i = 0; i < n_y; i += step) {
        const int64_t ox = (int64_t)i % p->ow, oy = (int64_t)i / p->ow % p->oh,
                      im = (int64_t)i / (p->ow * p->oh);
        double mass, s = naive(p, x, w, im / p->m, im % p->m, oy, ox, &mass);
        if (pe && e.row_bias) s += (double)bias[im % p->m];
        const double want = pe ? (double)omma_act_apply(&e, (float)s) : s;
        const double off = fabs((double)y[i] - want);
        if (!(off <= 1.5 * bound(p->c * p->kh * p->kw, mass + 2)))
            fail_msg("%s at %d: off by %g", what, (int)i, off);
    }
    guard_end(&gx);
    guard_end(&gw);
    guard_end(&gy);
    free(bias);
    free(first);
}

/* Output size from paddings, as ONNX computes it; 0 when the kernel does not fit. */
static int64_t out_size(int64_t in, int64_t pad0, int64_t pad1, int k, int stride, int dilation) {
    const int64_t span = in + pad0 + pad1 - ((int64_t)dilation * (k - 1) + 1);
    return span < 0 ? 0 : span / stride + 1;
}

static omma_conv random_conv(void) {
    static const int kernels[] = {1, 1, 2, 3, 3, 3, 5, 7, 9};
    for (;;) {
        omma_conv p = {.n = rng_int(1, 2), .h = rng_int(1, 24), .w = rng_int(1, 40)};
        p.kh = kernels[rng_int(0, 8)], p.kw = rng_int(0, 2) ? p.kh : kernels[rng_int(0, 8)];
        p.stride_h = rng_int(1, 3), p.stride_w = rng_int(0, 2) ? p.stride_h : rng_int(1, 4);
        p.dilation_h = rng_int(0, 2) ? 1 : rng_int(1, 3),
        p.dilation_w = rng_int(0, 2) ? p.dilation_h : rng_int(1, 4);
        switch (rng_int(0, 3)) {
        case 0: /* depthwise, with and without a multiplier */
            p.groups = rng_int(1, 20), p.c = 1, p.m = p.groups * rng_int(1, 3);
            break;
        case 1:
            p.groups = rng_int(2, 4), p.c = rng_int(1, 9), p.m = p.groups * rng_int(1, 9);
            break;
        default: p.groups = 1, p.c = rng_int(1, 40), p.m = rng_int(1, 40);
        }
        const bool pads = rng_int(0, 3);
        p.pad_top = pads ? rng_int(0, 4) : 0, p.pad_left = pads ? rng_int(0, 4) : 0;
        if (!rng_int(0, 15)) p.pad_left = rng_int(20, 60);
        p.oh = out_size(p.h, p.pad_top, pads ? rng_int(0, 4) : 0, p.kh, p.stride_h, p.dilation_h);
        p.ow = out_size(p.w, p.pad_left, pads ? rng_int(0, 4) : 0, p.kw, p.stride_w, p.dilation_w);
        if (!rng_int(0, 9))
            p.h = p.kh, p.w = p.kw, p.oh = p.ow = 1, p.pad_top = p.pad_left = 0,
            p.dilation_h = p.dilation_w = 1;
        if (p.oh > 0 && p.ow > 0) return p;
    }
}

static void test_conv_random(void **state) {
    (void)state;
    const omma_kernels *kern;
    for (int t = 0; (kern = omma_kernels_at(t)); t++)
        for (int r = 0; r < rounds(400); r++) {
            const omma_conv p = random_conv();
            check_conv(kern, &p);
        }
}

static void test_conv_usual(void **state) {
    (void)state;
    static const omma_conv usual[] = {
        {1, 1, 64, 56, 56, 64, 56, 56, 3, 3, 1, 1, 1, 1, 1, 1, 0, 0},  /* ResNet */
        {1, 1, 96, 7, 7, 200, 7, 7, 3, 3, 1, 1, 1, 1, 1, 1, 0, 0},     /* few pixels, long k */
        {2, 1, 130, 9, 13, 70, 9, 13, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0},   /* 1x1 */
        {1, 1, 64, 28, 28, 130, 14, 14, 1, 1, 2, 2, 1, 1, 0, 0, 0, 0}, /* 1x1, stride 2 */
        {1, 1, 3, 112, 112, 64, 56, 56, 7, 7, 2, 2, 1, 1, 3, 3, 0, 0}, /* stem */
        {1, 1, 3, 64, 64, 96, 4, 4, 16, 16, 16, 16, 1, 1, 0, 0, 0, 0}, /* patch embedding */
        {1, 1, 512, 1, 1, 100, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0},    /* squeeze and excite */
        {1, 1, 1024, 5, 5, 33, 5, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0},    /* rows of A that collide */
        {1, 64, 1, 56, 56, 64, 56, 56, 3, 3, 1, 1, 1, 1, 1, 1, 0, 0},  /* depthwise */
        {1, 24, 1, 112, 112, 24, 56, 56, 5, 5, 2, 2, 1, 1, 2, 2, 0, 0},
        {1, 60, 1, 14, 14, 60, 14, 14, 5, 5, 1, 1, 1, 1, 2, 2, 0, 0},
        {1, 32, 4, 14, 14, 128, 14, 14, 3, 3, 1, 1, 1, 1, 1, 1, 0, 0},  /* ResNeXt */
        {1, 1, 2, 40, 40, 5, 40, 40, 31, 31, 1, 1, 1, 1, 15, 15, 0, 0}, /* long reach */
        {1, 2, 1, 40, 200, 2, 40, 200, 31, 31, 1, 1, 1, 1, 15, 15, 0, 0},
        {3, 1, 0, 4, 4, 5, 4, 4, 3, 3, 1, 1, 1, 1, 1, 1, 0, 0}, /* no channels: bias alone */
    };
    const omma_kernels *kern;
    for (int t = 0; (kern = omma_kernels_at(t)); t++)
        for (size_t r = 0; r < sizeof usual / sizeof *usual; r++) check_conv(kern, &usual[r]);
}

static void test_conv_limits(void **state) {
    (void)state;
    const omma_kernels *kern = omma_kernels_best();
    size_t bytes = 1;
    omma_conv p = {1, 1, 8, 16, 16, 8, 0, 16, 3, 3, 1, 1, 1, 1, 1, 1, 0, 0};
    float y = 7;
    assert_true(omma_conv_scratch(kern, &p, 4, &bytes)); /* no pixels: nothing is done */
    assert_int_equal(bytes, 0);
    omma_conv_run(kern, 4, &p, &y, &y, &y, NULL, NULL);
    p.oh = 16, p.n = 0;
    omma_conv_run(kern, 4, &p, &y, &y, &y, NULL, NULL);
    assert_true(y == 7);
    p.n = 1, p.ow = INT64_MAX / 2;
    assert_false(omma_conv_scratch(kern, &p, 4, &bytes));
    p.ow = 16, p.c = INT64_MAX / 128, p.kh = p.kw = 1 << 20;
    assert_false(omma_conv_scratch(kern, &p, 4, &bytes));
    p = (omma_conv){1, 4, 1, 16, 16, 4, 1, 1, 1 << 30, 1 << 30, 1, 1, 1 << 30, 1 << 30, 1, 1, 0, 0};
    assert_false(omma_conv_scratch(kern, &p, 4, &bytes));
}

/* What suffices for many threads suffices for fewer. */
static void test_conv_scratch_grows(void **state) {
    (void)state;
    const omma_kernels *kern;
    for (int t = 0; (kern = omma_kernels_at(t)); t++)
        for (int r = 0; r < rounds(200); r++) {
            const omma_conv p = random_conv();
            size_t before = 0, bytes;
            for (int threads = 1; threads < 12; threads++, before = bytes) {
                assert_true(omma_conv_scratch(kern, &p, threads, &bytes));
                assert_true(bytes >= before);
            }
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),      cmocka_unit_test(test_tile),
        cmocka_unit_test(test_gemm),        cmocka_unit_test(test_gemm_odd),
        cmocka_unit_test(test_conv_random), cmocka_unit_test(test_conv_usual),
        cmocka_unit_test(test_conv_limits), cmocka_unit_test(test_conv_scratch_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
