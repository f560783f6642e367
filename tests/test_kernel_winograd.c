/* test_kernel_winograd.c - Winograd's convolution on channels-last maps: every table this CPU can
 * run against the plain way, over random geometries with tails, with guard bands around all that
 * is written, every epilogue, the same bits for any number of threads; and how large its error
 * is. */
#include "guard.h"

#include <math.h>
#include <stdio.h>

#include "kernel/last_way.h"
#include "kernel/winograd.h"

enum { MOST_THREADS = 8 };

typedef struct setup {
    omma_conv p;
    int64_t x_ld, y_ld, add_ld;
    size_t n_x, n_y, n_w, pixels; /* floats; pixels of y */
    guarded gx, gy, gw, gu;
    float *x, *y, *u, *add, *bias;
    void *w;
} setup;

static size_t span(int64_t pixels, int64_t ld, int64_t channels) {
    return (size_t)((pixels - 1) * ld + channels);
}

static void begin(setup *s, const omma_kernels *kern, const omma_conv *p, int slack) {
    size_t bytes;
    s->p = *p;
    s->x_ld = p->c + rng_int(0, slack), s->y_ld = p->m + rng_int(0, slack);
    s->pixels = (size_t)(p->n * p->oh * p->ow);
    s->n_x = span(p->n * p->h * p->w, s->x_ld, p->c);
    s->n_y = span((int64_t)s->pixels, s->y_ld, p->m);
    s->n_w = (size_t)(p->m * p->c * 9);
    s->x = guard_new(&s->gx, s->n_x * 4, 4 * (size_t)rng_int(0, 3));
    s->y = guard_new(&s->gy, s->n_y * 4, 4 * (size_t)rng_int(0, 3));
    s->w = guard_new(&s->gw, s->n_w * 4, (size_t)rng_int(0, 7));
    assert_true(omma_last_winograd.packed_bytes(kern, p, &bytes));
    s->u = guard_new(&s->gu, bytes, 0);
    s->add_ld = s->y_ld + rng_int(0, slack);
    s->add = malloc(s->pixels * (size_t)s->add_ld * 4);
    s->bias = malloc((size_t)p->m * 4);
    assert_true(s->add && s->bias);
    rng_fill(s->x, s->n_x);
    rng_fill(s->w, s->n_w);
    rng_fill(s->add, s->pixels * (size_t)s->add_ld);
    rng_fill(s->bias, (size_t)p->m);
}

static void end(setup *s) {
    guard_end(&s->gx);
    guard_end(&s->gy);
    guard_end(&s->gw);
    guard_end(&s->gu);
    free(s->add);
    free(s->bias);
}

/* y of the way, with scratch that is what it asked for, between canaries. */
static void run_way(const omma_last_way *way, const omma_kernels *kern, setup *s, const void *w,
                    float *y, const omma_epilogue *e, int threads) {
    guarded g;
    size_t bytes;
    assert_true(way->scratch(kern, &s->p, threads, &bytes));
    void *scratch = guard_new(&g, bytes, 0);
    way->run(kern, threads, &s->p, s->x, s->x_ld, w, y, s->y_ld, e, scratch);
    guard_end(&g);
}

/* Fill y with canaries, or with what is added where the addend is y itself. */
static void prepare(const setup *s, float *y, const omma_epilogue *e, bool alias) {
    memset(y, 0xA5, s->n_y * 4);
    if (!alias) return;
    for (size_t i = 0; i < s->pixels; i++)
        memcpy(y + (int64_t)i * s->y_ld, s->add + (int64_t)i * e->add_ld, (size_t)s->p.m * 4);
}

/* The gaps between the pixels of y hold canaries still. */
static void check_gaps(const setup *s) {
    for (size_t i = 0; i + 1 < s->pixels; i++) {
        const unsigned char *gap = (const unsigned char *)(s->y + (int64_t)i * s->y_ld + s->p.m);
        for (int64_t q = 0; q < (s->y_ld - s->p.m) * 4; q++) assert_int_equal(gap[q], 0xA5);
    }
}

static void check_conv(const omma_kernels *kern, const omma_conv *p, int most_threads) {
    setup s;
    char what[160];
    begin(&s, kern, p, rng_int(0, 1) * 9);
    float *first = malloc(s.n_y * 4), *want = malloc(s.n_y * 4), *w = malloc(s.n_w * 4);
    assert_true(first && want && w);
    omma_epilogue e = {.col_bias = rng_int(0, 1) ? s.bias : NULL,
                       .add = rng_int(0, 1) ? s.add : NULL,
                       .add_ld = s.add_ld,
                       .act = (omma_act)rng_int(OMMA_ACT_NONE, OMMA_ACT_COUNT - 1),
                       .lo = -0.25f,
                       .hi = 0.5f};
    const omma_epilogue *pe = rng_int(0, 4) ? &e : NULL;
    const bool alias = pe && e.add && rng_int(0, 1);
    snprintf(what, sizeof what, "%s n%d %dx%dx%d -> %dx%dx%d pad %d,%d add %d%d act %d", kern->isa,
             (int)p->n, (int)p->h, (int)p->w, (int)p->c, (int)p->oh, (int)p->ow, (int)p->m,
             (int)p->pad_top, (int)p->pad_left, pe && e.add, alias, pe ? (int)e.act : -1);
    prepare(&s, want, &e, false);
    omma_last_plain.pack(kern, p, w, s.w, 1);
    run_way(&omma_last_plain, kern, &s, w, want, pe, 2);
    for (int t = 1; t <= most_threads; t++) {
        if (alias) e.add = s.add, e.add_ld = s.add_ld;
        prepare(&s, s.y, &e, alias);
        if (alias) e.add = s.y, e.add_ld = s.y_ld;
        omma_last_winograd.pack(kern, p, s.u, s.w, t);
        run_way(&omma_last_winograd, kern, &s, s.u, s.y, pe, t);
        if (t == 1) memcpy(first, s.y, s.n_y * 4);
        else if (memcmp(first, s.y, s.n_y * 4)) fail_msg("%s: other bits with %d threads", what, t);
    }
    check_gaps(&s);
    const double bound = 6e-7 * (6 + sqrt(9.0 * (double)p->c)) * sqrt(9.0 * (double)p->c);
    for (size_t i = 0; i < s.pixels; i++)
        for (int64_t m = 0; m < p->m; m++) {
            const int64_t at = (int64_t)i * s.y_ld + m;
            if (!(fabs((double)s.y[at] - (double)want[at]) <= bound))
                fail_msg("%s pixel %d channel %d: %g, not %g", what, (int)i, (int)m,
                         (double)s.y[at], (double)want[at]);
        }
    free(first);
    free(want);
    free(w);
    end(&s);
}

static omma_conv random_conv(void) {
    omma_conv p = {.n = rng_int(1, 3), .groups = 1, .kh = 3, .kw = 3};
    p.stride_h = p.stride_w = p.dilation_h = p.dilation_w = 1;
    for (;;) {
        p.h = rng_int(1, 19), p.w = rng_int(1, 19);
        p.c = rng_int(0, 2) ? rng_int(1, 70) : 16 * rng_int(1, 4);
        p.m = rng_int(0, 2) ? rng_int(1, 70) : 16 * rng_int(1, 5);
        const bool pads = rng_int(0, 3);
        p.pad_top = pads ? rng_int(0, 3) : 0, p.pad_left = pads ? rng_int(0, 3) : 0;
        if (!rng_int(0, 15)) p.pad_left = rng_int(7, 12);
        p.oh = p.h + p.pad_top + (pads ? rng_int(0, 3) : 0) - 2;
        p.ow = p.w + p.pad_left + (pads ? rng_int(0, 3) : 0) - 2;
        if (p.oh > 0 && p.ow > 0) return p;
    }
}

static void test_random(void **state) {
    (void)state;
    const omma_kernels *kern;
    for (int t = 0; (kern = omma_kernels_at(t)); t++)
        for (int r = 0; r < rounds(150); r++) {
            const omma_conv p = random_conv();
            check_conv(kern, &p, MOST_THREADS);
        }
}

/* Shapes of models: many blocks of tiles, many panels, and both few. */
static void test_usual(void **state) {
    (void)state;
    static const omma_conv usual[] = {
        {1, 1, 64, 56, 56, 64, 56, 56, 3, 3, 1, 1, 1, 1, 1, 1, 0, 0},
        {2, 1, 130, 14, 14, 200, 14, 14, 3, 3, 1, 1, 1, 1, 1, 1, 0, 0},
        {1, 1, 48, 70, 61, 40, 70, 61, 3, 3, 1, 1, 1, 1, 1, 1, 0, 0},
        {1, 1, 300, 5, 5, 33, 5, 5, 3, 3, 1, 1, 1, 1, 1, 1, 0, 0},
        {5, 1, 64, 7, 7, 64, 5, 5, 3, 3, 1, 1, 1, 1, 0, 0, 0, 0},
        {1, 1, 512, 7, 7, 70, 7, 7, 3, 3, 1, 1, 1, 1, 1, 1, 0, 0},
        {1, 1, 150, 30, 31, 100, 30, 31, 3, 3, 1, 1, 1, 1, 1, 1, 0, 0},
    };
    const omma_kernels *kern;
    for (int t = 1; (kern = omma_kernels_at(t)); t++)
        for (size_t r = 0; r < sizeof usual / sizeof *usual; r++)
            check_conv(kern, &usual[r], MOST_THREADS);
}

/* --- weights ----------------------------------------------------------------------- */

/* The matrix G of winograd.h, by the points. */
static void make_g(double g[6][3]) {
    static const double points[] = {0, WINO_A, -WINO_A, WINO_B, -WINO_B};
    for (int i = 0; i < 5; i++) {
        double n = 1;
        for (int j = 0; j < 5; j++) n *= j == i ? 1 : points[i] - points[j];
        for (int k = 0; k < 3; k++) g[i][k] = pow(points[i], k) / n;
    }
    g[5][0] = g[5][1] = 0, g[5][2] = 1;
}

/* Plane [i,j] of channel q, and the sum of what is added to it regardless of signs. */
static double exact_weight(double g[6][3], const float *w, int64_t tap, int64_t q, int i, int j,
                           double *mass) {
    double sum = 0;
    *mass = 0;
    for (int t = 0; t < 9; t++) {
        const double part = g[i][t / 3] * g[j][t % 3] * (double)w[t * tap + q];
        sum += part, *mass += fabs(part);
    }
    return sum;
}

/* Every table's transform beside numbers of double, planes and taps with gaps between them. */
static void test_weights(void **state) {
    (void)state;
    double g[6][3], mass;
    const omma_kernels *kern;
    make_g(g);
    for (int t = 0; (kern = omma_kernels_at(t)); t++)
        for (int r = 0; r < rounds(40); r++) {
            const int64_t n = kern->nr * rng_int(1, 5), tap = n + rng_int(0, 3) * kern->nr,
                          plane = n + rng_int(0, 9);
            const size_t n_w = (size_t)(8 * tap + n), n_u = (size_t)(35 * plane + n);
            guarded gw, gu;
            float *w = guard_new(&gw, n_w * 4, 0), *u = guard_new(&gu, n_u * 4, 0);
            rng_fill(w, n_w);
            kern->wino_weights(n, w, tap, u, plane);
            for (int i = 0; i < 36; i++) {
                for (int64_t q = 0; q < n; q++) {
                    const double want = exact_weight(g, w, tap, q, i / 6, i % 6, &mass);
                    if (!(fabs((double)u[i * plane + q] - want) <= 4e-7 * mass))
                        fail_msg("%s plane %d: %g, not %g", kern->isa, i, (double)u[i * plane + q],
                                 want);
                }
                const unsigned char *gap = (const unsigned char *)(u + i * plane + n);
                for (int64_t q = 0; i < 35 && q < (plane - n) * 4; q++)
                    assert_int_equal(gap[q], 0xA5);
            }
            guard_end(&gw), guard_end(&gu);
        }
}

/* Weights stay as large as they are, whole panels of them, and are those of the direct way. */
static void test_packed(void **state) {
    (void)state;
    const omma_kernels *kern;
    for (int t = 0; (kern = omma_kernels_at(t)); t++)
        for (int r = 0; r < rounds(100); r++) {
            const omma_conv p = random_conv();
            size_t bytes, direct;
            assert_true(omma_last_winograd.packed_bytes(kern, &p, &bytes));
            assert_true(omma_last_direct.packed_bytes(kern, &p, &direct));
            const int64_t panels = (p.m + kern->nr - 1) / kern->nr;
            assert_int_equal(bytes, panels * kern->nr * p.c * 9 * 4);
            assert_int_equal(bytes, direct);
            assert_string_equal(omma_last_winograd.form(kern, &p), omma_last_direct.form(kern, &p));
        }
}

/* --- error ------------------------------------------------------------------------- */

static double exact(const setup *s, int64_t pixel, int64_t m) {
    const omma_conv *p = &s->p;
    const int64_t oy = pixel / p->ow % p->oh, ox = pixel % p->ow, n = pixel / p->ow / p->oh;
    double sum = 0;
    for (int64_t t = 0; t < 9; t++) {
        const int64_t y = oy - p->pad_top + t / 3, x = ox - p->pad_left + t % 3;
        if (y < 0 || y >= p->h || x < 0 || x >= p->w) continue;
        for (int64_t c = 0; c < p->c; c++)
            sum += (double)s->x[((n * p->h + y) * p->w + x) * s->x_ld + c] *
                   (double)float_at(s->w, (m * p->c + c) * 9 + t);
    }
    return sum;
}

/* The error beside the outputs' root mean square, as winograd.c states it. */
static void test_error(void **state) {
    (void)state;
    static const int64_t channels[] = {16, 64, 256, 512};
    const omma_kernels *kern;
    for (int t = 0; (kern = omma_kernels_at(t)); t++)
        for (int i = 0; i < 4; i++) {
            const omma_conv p = {1, 1, channels[i], 16, 16, 24, 16, 16, 3,
                                 3, 1, 1,           1,  1,  1,  1,  0,  0};
            setup s;
            double power = 0, off = 0, most = 0;
            begin(&s, kern, &p, 0);
            omma_last_winograd.pack(kern, &p, s.u, s.w, 1);
            run_way(&omma_last_winograd, kern, &s, s.u, s.y, NULL, 1);
            for (int64_t q = 0; q < 256; q++)
                for (int64_t m = 0; m < p.m; m++) {
                    const double want = exact(&s, q, m), d = fabs((double)s.y[q * p.m + m] - want);
                    power += want * want, off += d * d;
                    if (d > most) most = d;
                }
            const double rms = sqrt(power / (256.0 * 24)), error = sqrt(off / (256.0 * 24)) / rms;
            print_message("%s %d channels: error %.2e rms, %.2e at most\n", kern->isa,
                          (int)channels[i], error, most / rms);
            const double bound = 4e-7 + 1e-7 * sqrt((double)p.c);
            if (!(error < bound && most / rms < 12 * bound)) fail_msg("error too large");
            end(&s);
        }
}

/* --- numbers that are none ----------------------------------------------------------- */

/* NaN and infinity in x reach what they reach in the direct way, and nothing beyond their tiles. */
static void test_not_finite(void **state) {
    (void)state;
    const omma_conv p = {1, 1, 20, 13, 14, 35, 13, 14, 3, 3, 1, 1, 1, 1, 1, 1, 0, 0};
    const float bad[] = {NAN, INFINITY, -INFINITY};
    const omma_kernels *kern;
    for (int t = 0; (kern = omma_kernels_at(t)); t++)
        for (unsigned r = 0; r < 60; r++) {
            setup s;
            begin(&s, kern, &p, 3);
            const int y = rng_int(0, 12), x = rng_int(0, 13);
            s.x[(y * p.w + x) * s.x_ld + rng_int(0, 19)] = bad[r % 3];
            omma_last_winograd.pack(kern, &p, s.u, s.w, 1);
            run_way(&omma_last_winograd, kern, &s, s.u, s.y, NULL, 1);
            for (int oy = 0; oy < 13; oy++)
                for (int ox = 0; ox < 14; ox++)
                    for (int m = 0; m < 35; m++) {
                        const float v = s.y[(oy * p.ow + ox) * s.y_ld + m];
                        const bool reached = abs(oy - y) <= 1 && abs(ox - x) <= 1;
                        const int y0 = oy / 4 * 4 - 1, x0 = ox / 4 * 4 - 1; /* its tile reads */
                        const bool may = y >= y0 && y < y0 + 6 && x >= x0 && x < x0 + 6;
                        const bool finite = isfinite(v), none = isnan(v);
                        if (reached) assert_false(finite);
                        if (reached && isnan(bad[r % 3])) assert_true(none);
                        if (!may) assert_true(finite);
                    }
            end(&s);
        }
}

/* A weight that is no number spoils its output channel and no other. */
static void test_weight_not_finite(void **state) {
    (void)state;
    const omma_conv p = {1, 1, 20, 9, 9, 35, 9, 9, 3, 3, 1, 1, 1, 1, 1, 1, 0, 0};
    const float bad[] = {NAN, INFINITY, -INFINITY};
    const omma_kernels *kern;
    for (int t = 0; (kern = omma_kernels_at(t)); t++)
        for (unsigned r = 0; r < 60; r++) {
            setup s;
            begin(&s, kern, &p, 3);
            const int spoilt = rng_int(0, 34);
            memcpy((char *)s.w + 4 * (spoilt * 180 + rng_int(0, 179)), &bad[r % 3], 4);
            omma_last_winograd.pack(kern, &p, s.u, s.w, 1);
            run_way(&omma_last_winograd, kern, &s, s.u, s.y, NULL, 1);
            for (int i = 0; i < 81; i++)
                for (int m = 0; m < 35; m++) {
                    const bool finite = isfinite(s.y[i * s.y_ld + m]);
                    assert_int_equal(finite, m != spoilt);
                }
            end(&s);
        }
}

/* --- limits -------------------------------------------------------------------------- */

static void test_limits(void **state) {
    (void)state;
    const omma_kernels *kern;
    size_t bytes;
    for (int t = 0; (kern = omma_kernels_at(t)); t++) {
        omma_conv p = {1, 1, INT64_MAX / 64, 8, 8, 64, 8, 8, 3, 3, 1, 1, 1, 1, 1, 1, 0, 0};
        assert_false(omma_last_winograd.scratch(kern, &p, 2, &bytes));
        assert_false(omma_last_winograd.packed_bytes(kern, &p, &bytes));
        p.c = INT64_MAX;
        assert_false(omma_last_scratch(kern, &p, 2, &bytes));
        for (int r = 0; r < rounds(100);
             r++) { /* what suffices for many threads suffices for fewer */
            size_t before = 0;
            p = random_conv();
            for (int threads = 1; threads < 12; threads++, before = bytes) {
                assert_true(omma_last_winograd.scratch(kern, &p, threads, &bytes));
                assert_true(bytes >= before);
            }
        }
    }
}

static omma_conv square(int64_t n, int64_t side, int64_t channels) {
    return (omma_conv){n, 1, channels, side, side, channels, side, side, 3,
                       3, 1, 1,        1,    1,    1,        1,    0,    0};
}

/* It is taken for what it is made for, and for nothing that it cannot do. */
static void test_fits(void **state) {
    (void)state;
    static const int64_t good[][3] = {{1, 56, 64},  {1, 28, 128}, {1, 14, 256}, {1, 64, 256},
                                      {1, 16, 256}, {1, 32, 512}, {8, 7, 512},  {1, 112, 16},
                                      {1, 7, 512},  {1, 8, 256}};
    static const int64_t bad[][3] = {{1, 4, 512}, {1, 5, 256}, {1, 4, 256}, {1, 56, 3}, {1, 1, 64}};
    const omma_kernels *kern;
    omma_conv p;
    for (int t = 1; (kern = omma_kernels_at(t)); t++) {
        for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
            p = square(good[i][0], good[i][1], good[i][2]);
            size_t taken, bytes; /* this is the way that is taken */
            assert_true(omma_last_winograd.fits(kern, &p));
            assert_true(omma_last_scratch(kern, &p, 2, &taken));
            assert_true(omma_last_winograd.scratch(kern, &p, 2, &bytes));
            assert_int_equal(taken, bytes);
            assert_true(omma_last_direct.scratch(kern, &p, 2, &bytes));
            assert_int_not_equal(taken, bytes);
        }
        p = square(1, 56, 64), p.stride_h = 2, p.oh = 28;
        assert_false(omma_last_winograd.fits(kern, &p));
        p = square(1, 56, 64), p.dilation_w = 2, p.ow = 54;
        assert_false(omma_last_winograd.fits(kern, &p));
        p = square(1, 56, 64), p.kw = 1;
        assert_false(omma_last_winograd.fits(kern, &p));
        p = square(1, 56, 128), p.groups = 2, p.c = 64;
        assert_false(omma_last_winograd.fits(kern, &p));
        if (!strcmp(kern->isa, "neon")) continue; /* slower products pay in smaller maps, too */
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            p = square(bad[i][0], bad[i][1], bad[i][2]);
            assert_false(omma_last_winograd.fits(kern, &p));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_usual),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_packed),
        cmocka_unit_test(test_error),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_weight_not_finite),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
