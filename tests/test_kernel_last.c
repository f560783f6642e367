/* test_kernel_last.c - channels-last convolution: every table this CPU can run and every way that
 * fits against the plain way, with guard bands around all that is written, pixels further apart
 * than their channels, unaligned weights, every epilogue, an addend that is the output itself, and
 * the same bits for any number of threads. */
#include "guard.h"

#include <math.h>
#include <stdio.h>

#include "kernel/last.h"
#include "kernel/last_way.h"

static const int thread_counts[] = {1, 2, 3, 8};
enum { N_THREADS = sizeof thread_counts / sizeof *thread_counts };

static const omma_last_way *const ways[] = {&omma_last_direct};
enum { N_WAYS = sizeof ways / sizeof *ways };

static float *floats(size_t n) {
    float *p = malloc((n + 1) * sizeof(float));
    assert_non_null(p);
    return p;
}

/* One problem: what goes in, what must come out, and how far off each number may be. */
typedef struct problem {
    omma_conv p;
    int64_t x_ld, y_ld, pixels; /* pixels: of the output */
    size_t n_x, n_w, n_y;
    guarded gx, gw;
    float *x, *bias, *before, *want, *mass;
    void *w;
    omma_epilogue e, *pe;
    char text[200];
} problem;

/* The plain way on the absolute values, no epilogue: the mass of the sum in every number. */
static void find_mass(problem *t) {
    float *x = floats(t->n_x), *w = floats(t->n_w);
    for (size_t i = 0; i < t->n_x; i++) x[i] = fabsf(t->x[i]);
    for (size_t i = 0; i < t->n_w; i++) w[i] = fabsf(float_at(t->w, (int64_t)i));
    omma_last_plain.run(omma_kernels_at(0), 8, &t->p, x, t->x_ld, w, t->mass, t->y_ld, NULL, NULL);
    free(x), free(w);
}

static void problem_new(problem *t, const omma_conv *p) {
    const int64_t in = p->groups * p->c;
    *t = (problem){.p = *p, .pixels = p->n * p->oh * p->ow};
    t->x_ld = in + (rng_int(0, 1) && !p->planes ? rng_int(1, 40) : 0);
    t->y_ld = p->m + (rng_int(0, 1) ? rng_int(1, 40) : 0);
    t->n_x = (size_t)((p->n * p->h * p->w - 1) * t->x_ld + in);
    t->n_w = (size_t)(p->m * p->c * p->kh * p->kw);
    t->n_y = (size_t)((t->pixels - 1) * t->y_ld + p->m);
    t->x = guard_new(&t->gx, t->n_x * 4, 4 * (size_t)rng_int(0, 3));
    t->w = guard_new(&t->gw, t->n_w * 4, (size_t)rng_int(0, 7));
    t->bias = floats((size_t)p->m), t->before = floats(t->n_y);
    t->want = floats(t->n_y), t->mass = floats(t->n_y);
    rng_fill(t->x, t->n_x);
    rng_fill(t->w, t->n_w);
    rng_fill(t->bias, (size_t)p->m);
    rng_fill(t->before, t->n_y);
    memcpy(t->want, t->before, t->n_y * 4);
    t->e = (omma_epilogue){.col_bias = rng_int(0, 1) ? t->bias : NULL,
                           .act = (omma_act)rng_int(OMMA_ACT_NONE, OMMA_ACT_COUNT - 1),
                           .lo = -0.25f,
                           .hi = 0.5f};
    if (rng_int(0, 1)) t->e.add = t->before, t->e.add_ld = t->y_ld;
    t->pe = rng_int(0, 3) ? &t->e : NULL;
    snprintf(t->text, sizeof t->text,
             "%sn%d g%d c%d/%d %dx%d m%d/%d -> %dx%d k%dx%d s%d,%d d%d,%d p%d,%d e%d add %d",
             p->planes ? "planes " : "", (int)p->n, (int)p->groups, (int)p->c, (int)t->x_ld,
             (int)p->h, (int)p->w, (int)p->m, (int)t->y_ld, (int)p->oh, (int)p->ow, p->kh, p->kw,
             p->stride_h, p->stride_w, p->dilation_h, p->dilation_w, (int)p->pad_top,
             (int)p->pad_left, t->pe ? (int)t->e.act : -1, t->pe && t->e.add);
    float *w = floats(t->n_w);
    omma_last_plain.pack(omma_kernels_at(0), p, w, t->w, 1);
    omma_last_plain.run(omma_kernels_at(0), 8, p, t->x, t->x_ld, w, t->want, t->y_ld, t->pe, NULL);
    free(w);
    find_mass(t);
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
        const double off = fabs((double)y[i] - (double)t->want[i]);
        if (!(off <= 2e-7 * (6 + sqrt(k)) * ((double)t->mass[i] + 2)))
            fail_msg("%s %s at %d: off by %g", isa, t->text, (int)i, off);
    }
}

/* A run into fresh memory; add_here: the addend is the output itself. */
static void run_into(const problem *t, const omma_kernels *kern, const omma_last_way *way,
                     int threads, const void *packed, float *y, bool add_here) {
    guarded gs;
    size_t bytes = 0;
    assert_true(way->scratch(kern, &t->p, threads, &bytes));
    void *scratch = guard_new(&gs, bytes, 0);
    omma_epilogue e = t->e;
    if (add_here) e.add = y;
    memcpy(y, t->before, t->n_y * 4);
    way->run(kern, threads, &t->p, t->x, t->x_ld, packed, y, t->y_ld, t->pe ? &e : NULL, scratch);
    guard_end(&gs);
}

static void check_way(const problem *t, const omma_kernels *kern, const omma_last_way *way) {
    guarded gp, gy;
    size_t bytes = 0;
    assert_true(way->packed_bytes(kern, &t->p, &bytes));
    void *packed = guard_new(&gp, bytes, 0);
    float *y = guard_new(&gy, t->n_y * 4, 4 * (size_t)rng_int(0, 3)), *first = floats(t->n_y);
    for (int i = 0; i < N_THREADS; i++) {
        way->pack(kern, &t->p, packed, t->w, thread_counts[i]);
        run_into(t, kern, way, thread_counts[i], packed, y, false);
        if (!i) memcpy(first, y, t->n_y * 4);
        else if (memcmp(first, y, t->n_y * 4))
            fail_msg("%s %s: other bits with %d threads", kern->isa, t->text, thread_counts[i]);
    }
    check_numbers(t, kern->isa, y);
    if (t->pe && t->e.add) {
        run_into(t, kern, way, 2, packed, y, true);
        if (memcmp(first, y, t->n_y * 4))
            fail_msg("%s %s: other bits when the addend is the output", kern->isa, t->text);
    }
    guard_end(&gp);
    guard_end(&gy);
    free(first);
}

static void check_conv(const omma_conv *p) {
    const omma_kernels *kern;
    problem t;
    problem_new(&t, p);
    for (int i = 0; (kern = omma_kernels_at(i)); i++)
        for (int j = 0; j < N_WAYS; j++)
            if (ways[j]->fits(kern, p)) check_way(&t, kern, ways[j]);
    problem_end(&t);
}

/* Output size from paddings, as ONNX computes it; 0 when the kernel does not fit. */
static int64_t out_size(int64_t in, int64_t pad0, int64_t pad1, int k, int stride, int dilation) {
    const int64_t span = in + pad0 + pad1 - ((int64_t)dilation * (k - 1) + 1);
    return span < 0 ? 0 : span / stride + 1;
}

static void random_channels(omma_conv *p) {
    switch (rng_int(0, 4)) {
    case 0: /* depthwise, with and without a multiplier */
        p->groups = rng_int(1, 20), p->c = 1, p->m = p->groups * rng_int(1, 3);
        break;
    case 1:
        p->groups = rng_int(2, 4), p->c = rng_int(1, 9), p->m = p->groups * rng_int(1, 9);
        break;
    case 2: p->groups = 1, p->c = 16 * rng_int(1, 9), p->m = 16 * rng_int(1, 9); break;
    default: p->groups = 1, p->c = rng_int(1, 40), p->m = rng_int(1, 100);
    }
}

static omma_conv random_conv(void) {
    static const int kernels[] = {1, 1, 2, 3, 3, 3, 4, 5, 7};
    for (;;) {
        omma_conv p = {.n = rng_int(1, 2), .h = rng_int(1, 20), .w = rng_int(1, 34)};
        p.kh = kernels[rng_int(0, 8)], p.kw = rng_int(0, 2) ? p.kh : kernels[rng_int(0, 8)];
        p.stride_h = rng_int(1, 3), p.stride_w = rng_int(0, 2) ? p.stride_h : rng_int(1, 4);
        p.dilation_h = rng_int(0, 2) ? 1 : rng_int(1, 3),
        p.dilation_w = rng_int(0, 2) ? p.dilation_h : rng_int(1, 4);
        random_channels(&p);
        if (!rng_int(0, 3))
            p.groups = 1, p.c = rng_int(1, 4), p.m = rng_int(2, 70), p.dilation_w = 1,
            p.planes = omma_last_planes(&p);
        const bool pads = rng_int(0, 3);
        p.pad_top = pads ? rng_int(0, 4) : 0, p.pad_left = pads ? rng_int(0, 4) : 0;
        if (!rng_int(0, 15)) p.pad_left = rng_int(20, 60);
        p.oh = out_size(p.h, p.pad_top, pads ? rng_int(0, 4) : 0, p.kh, p.stride_h, p.dilation_h);
        p.ow = out_size(p.w, p.pad_left, pads ? rng_int(0, 4) : 0, p.kw, p.stride_w, p.dilation_w);
        if (p.oh > 0 && p.ow > 0) return p;
    }
}

static void test_random(void **state) {
    (void)state;
    for (int r = 0; r < rounds(250); r++) {
        const omma_conv p = random_conv();
        check_conv(&p);
    }
}

static void test_usual(void **state) {
    (void)state;
    static const omma_conv usual[] = {
        {1, 1, 64, 20, 30, 64, 20, 30, 3, 3, 1, 1, 1, 1, 1, 1, 0, 0},  /* ResNet */
        {1, 1, 512, 7, 7, 40, 7, 7, 3, 3, 1, 1, 1, 1, 1, 1, 0, 0},     /* k in several parts */
        {2, 1, 130, 9, 13, 70, 9, 13, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0},   /* 1x1 */
        {1, 1, 64, 28, 28, 130, 14, 14, 1, 1, 2, 2, 1, 1, 0, 0, 0, 0}, /* 1x1, stride 2 */
        {1, 1, 512, 9, 9, 33, 5, 5, 1, 1, 2, 2, 1, 1, 0, 0, 0, 0},     /* pixels that collide */
        {1, 1, 1024, 5, 5, 33, 5, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0},
        {1, 1, 3, 60, 60, 64, 30, 30, 7, 7, 2, 2, 1, 1, 3, 3, 0, 0},     /* stem */
        {1, 1, 3, 64, 64, 96, 4, 4, 16, 16, 16, 16, 1, 1, 0, 0, 0, 0},   /* patch embedding */
        {2, 1, 3, 60, 60, 64, 30, 30, 7, 7, 2, 2, 1, 1, 3, 3, 0, 1},     /* the same of planes */
        {2, 1, 3, 61, 64, 40, 30, 31, 3, 3, 2, 2, 1, 1, 0, 0, 0, 1},     /* where they are */
        {1, 1, 4, 300, 300, 16, 150, 150, 3, 3, 2, 2, 1, 1, 1, 1, 0, 1}, /* in bands */
        {1, 1, 96, 12, 12, 50, 6, 6, 2, 2, 2, 2, 1, 1, 0, 0, 0, 0},      /* patches merged */
        {1, 1, 300, 1, 1, 100, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0},      /* squeeze and excite */
        {1, 1, 100, 7, 7, 20, 1, 1, 7, 7, 1, 1, 1, 1, 0, 0, 0, 0},       /* the whole map */
        {1, 32, 4, 14, 14, 128, 14, 14, 3, 3, 1, 1, 1, 1, 1, 1, 0, 0},   /* ResNeXt */
        {2, 3, 40, 9, 9, 120, 5, 5, 3, 3, 2, 2, 1, 1, 1, 1, 0, 0},       /* RegNet */
        {1, 1, 4, 24, 24, 3, 24, 24, 31, 31, 1, 1, 1, 1, 15, 15, 0, 0},  /* long reach */
        {1, 1, 600, 4, 270, 8, 4, 270, 3, 3, 1, 1, 1, 1, 1, 1, 0, 0},    /* bands side by side */
        {1, 1, 520, 30, 30, 8, 10, 10, 3, 3, 3, 3, 2, 2, 1, 1, 0, 0},    /* dense, in bands */
        {3, 1, 0, 4, 4, 5, 4, 4, 3, 3, 1, 1, 1, 1, 1, 1, 0, 0},          /* no channels */
    };
    for (size_t r = 0; r < sizeof usual / sizeof *usual; r++) check_conv(&usual[r]);
}

static void test_planes(void **state) {
    (void)state;
    omma_conv p = {1, 1, 3, 64, 64, 16, 32, 32, 3, 3, 2, 2, 1, 1, 1, 1, 0, 0};
    assert_true(omma_last_planes(&p));
    p.c = 5;
    assert_false(omma_last_planes(&p));
    p.c = 1, p.m = 1; /* depthwise */
    assert_false(omma_last_planes(&p));
    p.m = 16, p.dilation_w = 2;
    assert_false(omma_last_planes(&p));
    p.dilation_w = 1, p.kh = p.kw = 1;
    assert_false(omma_last_planes(&p));
    p.kh = p.kw = p.stride_h = p.stride_w = 16; /* patches */
    assert_false(omma_last_planes(&p));
}

static void test_limits(void **state) {
    (void)state;
    const omma_kernels *kern = omma_kernels_best();
    size_t bytes = 1;
    omma_conv p = {1, 1, 8, 16, 16, 8, 0, 16, 3, 3, 1, 1, 1, 1, 1, 1, 0, 0};
    float y = 7;
    assert_true(omma_last_scratch(kern, &p, 4, &bytes)); /* no pixels: nothing is done */
    assert_int_equal(bytes, 0);
    omma_last_run(kern, 4, &p, &y, 8, &y, &y, 8, NULL, NULL);
    p.oh = 16, p.n = 0;
    omma_last_run(kern, 4, &p, &y, 8, &y, &y, 8, NULL, NULL);
    assert_true(y == 7);
    p.n = 1, p.ow = INT64_MAX / 2;
    assert_false(omma_last_scratch(kern, &p, 4, &bytes));
    p.ow = 16, p.c = INT64_MAX / 128, p.kh = p.kw = 1 << 20;
    assert_false(omma_last_scratch(kern, &p, 4, &bytes));
    assert_false(omma_last_packed_bytes(kern, &p, &bytes));
    p = (omma_conv){1, 4, 1, 16, 16, 4, 1, 1, 1 << 30, 1 << 30, 1, 1, 1 << 30, 1 << 30, 1, 1, 0, 0};
    assert_false(omma_last_packed_bytes(kern, &p, &bytes));
}

/* What suffices for many threads suffices for fewer. */
static void test_scratch_grows(void **state) {
    (void)state;
    const omma_kernels *kern;
    for (int t = 0; (kern = omma_kernels_at(t)); t++)
        for (int r = 0; r < rounds(200); r++) {
            const omma_conv p = random_conv();
            size_t before = 0, bytes;
            for (int threads = 1; threads < 12; threads++, before = bytes) {
                assert_true(omma_last_scratch(kern, &p, threads, &bytes));
                assert_true(bytes >= before);
            }
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),        cmocka_unit_test(test_usual),
        cmocka_unit_test(test_planes),        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_scratch_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
