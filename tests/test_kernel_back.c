/* test_kernel_back.c - channels-last transposed convolution: every table this CPU can run against
 * the plain sum, with guard bands around all that is written, pixels further apart than their
 * channels, unaligned weights, and the same bits for any number of threads; and the row kernels it
 * is made of. */
#include "guard.h"

#include <math.h>
#include <stdio.h>

#include "kernel/last_back.h"

static const int thread_counts[] = {1, 2, 3, 8};
enum { N_THREADS = sizeof thread_counts / sizeof *thread_counts };

static float *floats(size_t n) {
    float *p = malloc((n + 1) * sizeof(float));
    assert_non_null(p);
    return p;
}

/* --- rows ---------------------------------------------------------------------------------- */

static void test_accumulate(void **state) {
    (void)state;
    const omma_kernels *kern;
    for (int t = 0; (kern = omma_kernels_at(t)); t++)
        for (int r = 0; r < rounds(300); r++) {
            const int m = rng_int(0, 4), n = r % 60, x_ld = rng_int(0, 1) ? 0 : n + 3,
                      y_ld = n + rng_int(0, 5);
            const size_t n_y = m ? (size_t)((m - 1) * y_ld + n) : 0;
            float x[5 * 64], want[5 * 64];
            guarded g;
            float *y = guard_new(&g, n_y * 4, 4 * (size_t)rng_int(0, 3));
            rng_fill(x, 5 * 64);
            rng_fill(y, n_y);
            memcpy(want, y, n_y * 4);
            for (int i = 0; i < m; i++)
                for (int k = 0; k < n; k++) want[i * y_ld + k] += x[i * x_ld + k];
            kern->accumulate(m, n, x, x_ld, y, y_ld);
            assert_memory_equal(y, want, n_y * 4);
            guard_end(&g);
        }
}

static void test_sum_products(void **state) {
    (void)state;
    enum { MOST = 5 };
    const omma_kernels *kern;
    for (int t = 0; (kern = omma_kernels_at(t)); t++)
        for (int r = 0; r < rounds(300); r++) {
            const int m = rng_int(0, 3), n = r % 60, taps = rng_int(0, MOST), x_ld = n + 2,
                      y_ld = n + rng_int(0, 5);
            const size_t n_y = m ? (size_t)((m - 1) * y_ld + n) : 0;
            float x[MOST][3 * 64], w[MOST][64], bias[64];
            const float *px[MOST], *pw[MOST], *pb = rng_int(0, 1) ? bias : NULL;
            guarded g;
            float *y = guard_new(&g, n_y * 4, 4 * (size_t)rng_int(0, 3));
            rng_fill(x, MOST * 3 * 64);
            rng_fill(w, MOST * 64);
            rng_fill(bias, 64);
            for (int k = 0; k < MOST; k++) px[k] = x[k], pw[k] = w[k];
            kern->sum_products(m, n, taps, px, x_ld, pw, pb, y, y_ld);
            for (int i = 0; i < m; i++)
                for (int k = 0; k < n; k++) {
                    double sum = pb ? (double)bias[k] : 0;
                    for (int q = 0; q < taps; q++)
                        sum += (double)x[q][i * x_ld + k] * (double)w[q][k];
                    assert_true(fabs(sum - (double)y[i * y_ld + k]) < 2e-6);
                }
            for (int i = 0; i + 1 < m; i++)
                for (int k = n; k < y_ld; k++)
                    assert_int_equal(((uint8_t *)(y + i * y_ld + k))[0], 0xA5);
            guard_end(&g);
        }
}

/* --- the operator ---------------------------------------------------------------------------- */

typedef struct problem {
    omma_conv p;
    int64_t x_ld, y_ld;
    size_t n_x, n_w, n_y;
    guarded gx, gw;
    float *x, *bias, *before;
    double *want, *mass;
    void *w;
    char text[200];
} problem;

static float float_of(const void *p, int64_t i) {
    float v;
    memcpy(&v, (const char *)p + i * 4, 4);
    return v;
}

/* One pixel's taps to their places. */
static void spread(problem *t, int64_t n, int64_t c, int64_t iy, int64_t ix) {
    const omma_conv *p = &t->p;
    const int64_t m = p->m / p->groups, g = c / p->c;
    const double v = (double)t->x[((n * p->h + iy) * p->w + ix) * t->x_ld + c];
    for (int64_t q = 0; q < m * p->kh * p->kw; q++) {
        const int64_t oy = iy * p->stride_h - p->pad_top + q / p->kw % p->kh * p->dilation_h,
                      ox = ix * p->stride_w - p->pad_left + q % p->kw * p->dilation_w;
        if (oy < 0 || oy >= p->oh || ox < 0 || ox >= p->ow) continue;
        const int64_t at = ((n * p->oh + oy) * p->ow + ox) * t->y_ld + g * m + q / p->kw / p->kh;
        const double a = v * (double)float_of(t->w, c * m * p->kh * p->kw + q);
        t->want[at] += a;
        t->mass[at] += fabs(a);
    }
}

static void find_want(problem *t) {
    const omma_conv *p = &t->p;
    for (int64_t i = 0; i < p->n * p->oh * p->ow; i++)
        for (int64_t m = 0; m < p->m; m++) {
            t->want[i * t->y_ld + m] = t->bias ? (double)t->bias[m] : 0;
            t->mass[i * t->y_ld + m] = 1;
        }
    for (int64_t i = 0; i < p->n * p->h * p->w; i++)
        for (int64_t c = 0; c < p->groups * p->c; c++)
            spread(t, i / p->w / p->h, c, i / p->w % p->h, i % p->w);
}

static void problem_new(problem *t, const omma_conv *p) {
    const int64_t in = p->groups * p->c;
    *t = (problem){.p = *p};
    t->x_ld = in + (rng_int(0, 1) ? rng_int(1, 40) : 0);
    t->y_ld = p->m + (rng_int(0, 1) ? rng_int(1, 40) : 0);
    t->n_x = (size_t)((p->n * p->h * p->w - 1) * t->x_ld + in);
    t->n_w = (size_t)(in * (p->m / p->groups) * p->kh * p->kw);
    t->n_y = (size_t)((p->n * p->oh * p->ow - 1) * t->y_ld + p->m);
    t->x = guard_new(&t->gx, t->n_x * 4, 4 * (size_t)rng_int(0, 3));
    t->w = guard_new(&t->gw, t->n_w * 4, (size_t)rng_int(0, 7));
    t->before = floats(t->n_y);
    t->bias = rng_int(0, 1) ? floats((size_t)p->m) : NULL;
    t->want = calloc(t->n_y, sizeof(double)), t->mass = calloc(t->n_y, sizeof(double));
    assert_true(t->want && t->mass);
    rng_fill(t->x, t->n_x);
    rng_fill(t->w, t->n_w);
    rng_fill(t->before, t->n_y);
    if (t->bias) rng_fill(t->bias, (size_t)p->m);
    snprintf(t->text, sizeof t->text,
             "n%d g%d c%d/%d %dx%d m%d/%d -> %dx%d k%dx%d s%d,%d d%d,%d p%d,%d bias %d", (int)p->n,
             (int)p->groups, (int)p->c, (int)t->x_ld, (int)p->h, (int)p->w, (int)p->m, (int)t->y_ld,
             (int)p->oh, (int)p->ow, p->kh, p->kw, p->stride_h, p->stride_w, p->dilation_h,
             p->dilation_w, (int)p->pad_top, (int)p->pad_left, t->bias != NULL);
    find_want(t);
}

static void problem_end(problem *t) {
    guard_end(&t->gx);
    guard_end(&t->gw);
    free(t->bias), free(t->before), free(t->want), free(t->mass);
}

static void check_numbers(const problem *t, const char *isa, const float *y) {
    const double k = (double)t->p.c * t->p.kh * t->p.kw;
    for (size_t i = 0; i < t->n_y; i++) {
        if ((int64_t)i % t->y_ld >= t->p.m) { /* between the pixels */
            if (memcmp(y + i, t->before + i, 4))
                fail_msg("%s %s: written between pixels, at %d", isa, t->text, (int)i);
            continue;
        }
        const double off = fabs((double)y[i] - t->want[i]);
        if (!(off <= 2e-7 * (6 + sqrt(k)) * (t->mass[i] + 1)))
            fail_msg("%s %s at %d: off by %g", isa, t->text, (int)i, off);
    }
}

static void check_table(const problem *t, const omma_kernels *kern) {
    guarded gp, gy, gs;
    size_t packed_bytes, bytes;
    assert_true(omma_last_back_sizes(kern, &t->p, 1, &packed_bytes, &bytes));
    void *packed = guard_new(&gp, packed_bytes, 0);
    float *y = guard_new(&gy, t->n_y * 4, 4 * (size_t)rng_int(0, 3)), *first = floats(t->n_y);
    omma_last_back_pack(kern, &t->p, packed, t->w);
    for (int i = 0; i < N_THREADS; i++) {
        assert_true(omma_last_back_sizes(kern, &t->p, thread_counts[i], &packed_bytes, &bytes));
        void *scratch = guard_new(&gs, bytes, 0);
        memcpy(y, t->before, t->n_y * 4);
        omma_last_back(kern, thread_counts[i], &t->p, t->x, t->x_ld, packed, y, t->y_ld, t->bias,
                       scratch);
        guard_end(&gs);
        if (!i) memcpy(first, y, t->n_y * 4);
        else if (memcmp(first, y, t->n_y * 4))
            fail_msg("%s %s: other bits with %d threads", kern->isa, t->text, thread_counts[i]);
    }
    check_numbers(t, kern->isa, y);
    guard_end(&gp);
    guard_end(&gy);
    free(first);
}

static void check_conv(const omma_conv *p) {
    const omma_kernels *kern;
    problem t;
    problem_new(&t, p);
    for (int i = 0; (kern = omma_kernels_at(i)); i++) check_table(&t, kern);
    problem_end(&t);
}

static void random_channels(omma_conv *p) {
    switch (rng_int(0, 4)) {
    case 0: p->groups = rng_int(1, 40), p->c = 1, p->m = p->groups * rng_int(1, 2); break;
    case 1:
        p->groups = rng_int(2, 4), p->c = rng_int(1, 9), p->m = p->groups * rng_int(1, 9);
        break;
    case 2: p->groups = 1, p->c = 16 * rng_int(1, 5), p->m = 16 * rng_int(1, 5); break;
    default: p->groups = 1, p->c = rng_int(1, 40), p->m = rng_int(1, 50);
    }
}

/* Outputs may lie anywhere: before the first tap, behind the last. */
static omma_conv random_conv(void) {
    static const int kernels[] = {1, 1, 2, 2, 3, 3, 4, 5, 7, 17};
    omma_conv p = {.n = rng_int(1, 2), .h = rng_int(1, 9), .w = rng_int(1, 12)};
    p.kh = kernels[rng_int(0, 8)], p.kw = rng_int(0, 2) ? p.kh : kernels[rng_int(0, 9)];
    p.stride_h = rng_int(1, 4), p.stride_w = rng_int(0, 2) ? p.stride_h : rng_int(1, 4);
    p.dilation_h = rng_int(0, 2) ? 1 : rng_int(1, 3);
    p.dilation_w = rng_int(0, 2) ? p.dilation_h : rng_int(1, 4);
    random_channels(&p);
    p.pad_top = rng_int(0, 2) ? 0 : rng_int(0, 6), p.pad_left = rng_int(0, 2) ? 0 : rng_int(0, 6);
    p.oh = (p.h - 1) * p.stride_h + (p.kh - 1) * p.dilation_h + 1 - p.pad_top + rng_int(-3, 3);
    p.ow = (p.w - 1) * p.stride_w + (p.kw - 1) * p.dilation_w + 1 - p.pad_left + rng_int(-3, 3);
    p.oh = p.oh < 1 ? 1 : p.oh, p.ow = p.ow < 1 ? 1 : p.ow;
    return p;
}

static void test_random(void **state) {
    (void)state;
    for (int r = 0; r < rounds(300); r++) {
        const omma_conv p = random_conv();
        check_conv(&p);
    }
}

static void test_usual(void **state) {
    (void)state;
    static const omma_conv usual[] = {
        {1, 1, 64, 28, 28, 3, 56, 56, 7, 7, 2, 2, 1, 1, 3, 3, false, 0},  /* ResNet's first, back */
        {1, 1, 96, 14, 14, 96, 28, 28, 3, 3, 2, 2, 1, 1, 1, 1, false, 0}, /* several bands */
        {1, 1, 1100, 7, 7, 40, 14, 14, 1, 1, 2, 2, 1, 1, 0, 0, false, 0}, /* k in parts */
        {1, 1, 64, 20, 30, 32, 40, 60, 2, 2, 2, 2, 1, 1, 0, 0, false, 0}, /* a map that doubles */
        {2, 1, 48, 9, 11, 170, 18, 22, 4, 4, 2, 2, 1, 1, 1, 1, false,
         0}, /* taps that are not joined */
        {1, 48, 1, 28, 28, 48, 56, 56, 3, 3, 2, 2, 1, 1, 1, 1, false, 0}, /* depthwise */
        {1, 8, 16, 7, 7, 128, 14, 14, 3, 3, 2, 2, 1, 1, 1, 1, false, 0}}; /* groups */
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) check_conv(&usual[i]);
}

/* Nothing to read: the bias alone. Nothing to write: nothing is. */
static void test_empty(void **state) {
    (void)state;
    const omma_kernels *kern = omma_kernels_best();
    omma_conv p = {1, 1, 0, 3, 3, 4, 2, 2, 3, 3, 1, 1, 1, 1, 0, 0, false, 0};
    const float bias[] = {1, 2, 3, 4};
    float y[16] = {0};
    size_t packed, scratch;
    assert_true(omma_last_back_sizes(kern, &p, 2, &packed, &scratch));
    assert_int_equal(packed + scratch, 0);
    omma_last_back(kern, 2, &p, NULL, 0, NULL, y, 4, bias, NULL);
    for (int i = 0; i < 16; i++) assert_true(y[i] == bias[i % 4]);
    p.c = 4, p.oh = 0;
    assert_true(omma_last_back_sizes(kern, &p, 2, &packed, &scratch));
    omma_last_back_pack(kern, &p, NULL, NULL);
    omma_last_back(kern, 2, &p, NULL, 4, NULL, NULL, 4, NULL, NULL);
    p = (omma_conv){1, 1, INT32_MAX, 1 << 20, 1 << 20, INT32_MAX, 1 << 20, 1 << 20, 3,
                    3, 1, 1,         1,       1,       0,         0,       false,   0};
    assert_false(omma_last_back_sizes(kern, &p, 2, &packed, &scratch));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accumulate), cmocka_unit_test(test_sum_products),
        cmocka_unit_test(test_random), cmocka_unit_test(test_usual), cmocka_unit_test(test_empty)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
