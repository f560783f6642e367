/* test_int8.c - 8-bit products: every table this CPU can run against plain loops, to the bit, over
 * random geometries (padding, strides, dilations, channels that are no multiple of four), addends,
 * activations and kinds of output, with guard bands around all that is written and read, and the
 * same bits for any number of threads. */
#include "guard.h"

#include <math.h>
#include <stdio.h>

#include "kernel/int8.h"

/* One convolution with all it needs. */
typedef struct work {
    omma_conv p;
    int x_zero;
    uint8_t *x;
    int8_t *w;
    float *scale, *bias;
    float *add;
    uint8_t *add8;
    omma_int8_out o;
} work;

static int64_t out_count(const omma_conv *p) { return p->n * p->oh * p->ow * p->m; }

static omma_conv random_conv(bool product) {
    if (product) return omma_int8_rows(rng_int(1, 60), rng_int(0, 90), rng_int(1, 80));
    omma_conv p = {.n = rng_int(1, 2),
                   .groups = 1,
                   .c = rng_int(1, 20),
                   .h = rng_int(1, 12),
                   .w = rng_int(1, 34),
                   .m = rng_int(1, 70),
                   .kh = rng_int(1, 3),
                   .kw = rng_int(1, 3),
                   .stride_h = rng_int(1, 2),
                   .stride_w = rng_int(1, 2),
                   .dilation_h = rng_int(1, 2),
                   .dilation_w = rng_int(1, 2),
                   .pad_top = rng_int(0, 2),
                   .pad_left = rng_int(0, 2)};
    if (rng_int(0, 40) == 0) p.c = 0; /* nothing but biases */
    if (rng_int(0, 2) == 0) p.kh = p.kw = 1, p.pad_top = p.pad_left = 0, p.c = 4 * rng_int(1, 9);
    const int64_t tall = p.h + p.pad_top + rng_int(0, (int)p.pad_top),
                  wide = p.w + p.pad_left + rng_int(0, (int)p.pad_left);
    p.oh = (tall - (p.kh - 1) * p.dilation_h - 1) / p.stride_h + 1;
    p.ow = (wide - (p.kw - 1) * p.dilation_w - 1) / p.stride_w + 1;
    if (tall < (p.kh - 1) * p.dilation_h + 1 || wide < (p.kw - 1) * p.dilation_w + 1) p.oh = 0;
    return p;
}

static void *numbers(size_t n, size_t size) {
    unsigned char *p = malloc(n * size + 1);
    assert_non_null(p);
    for (size_t i = 0; i < n * size; i++) p[i] = (unsigned char)rng();
    if (size == 4) rng_fill(p, n);
    return p;
}

static work random_work(bool product, omma_act act) {
    work k = {.p = random_conv(product), .x_zero = rng_int(0, 255)};
    const size_t m = (size_t)k.p.m, out = (size_t)(k.p.oh > 0 ? out_count(&k.p) : 0);
    k.x = numbers((size_t)(k.p.n * k.p.h * k.p.w * k.p.c), 1);
    k.w = numbers(m * (size_t)(k.p.c * k.p.kh * k.p.kw), 1);
    k.scale = numbers(m, 4), k.bias = numbers(m, 4);
    for (size_t i = 0; i < m; i++) k.scale[i] = (k.scale[i] + 1.01f) * 1e-4f;
    k.add = rng_int(0, 2) ? NULL : numbers(out, 4);
    k.add8 = k.add || rng_int(0, 1) ? NULL : numbers(out, 1);
    k.o = (omma_int8_out){.add = k.add,
                          .add8 = k.add8,
                          .add_ld = k.p.m,
                          .add_scale = 0.01f,
                          .add_zero = rng_int(0, 255),
                          .act = act,
                          .lo = -0.25f,
                          .hi = 0.5f,
                          .post = rng_int(0, 1),
                          .post_scale = 1.25f,
                          .post_shift = -0.125f,
                          .to_u8 = rng_int(0, 1),
                          .inverse = 1 / 0.013f,
                          .zero = rng_int(0, 255)};
    return k;
}

static void free_work(work *k) {
    free(k->x), free(k->w), free(k->scale), free(k->bias), free(k->add), free(k->add8);
}

static int64_t sum_at(const work *k, int64_t n, int64_t oy, int64_t ox, int64_t m) {
    const omma_conv *p = &k->p;
    int64_t sum = 0;
    for (int64_t c = 0; c < p->c; c++)
        for (int64_t ky = 0; ky < p->kh; ky++)
            for (int64_t kx = 0; kx < p->kw; kx++) {
                const int64_t y = oy * p->stride_h - p->pad_top + ky * p->dilation_h;
                const int64_t x = ox * p->stride_w - p->pad_left + kx * p->dilation_w;
                if (y < 0 || y >= p->h || x < 0 || x >= p->w) continue;
                sum += (k->x[((n * p->h + y) * p->w + x) * p->c + c] - k->x_zero) *
                       k->w[((m * p->c + c) * p->kh + ky) * p->kw + kx];
            }
    return sum;
}

/* What the header promises, without its bits for the long activations. */
static float want_at(const work *k, int64_t i) {
    const omma_conv *p = &k->p;
    const omma_int8_out *o = &k->o;
    const int64_t m = i % p->m, x = i / p->m % p->ow, y = i / p->m / p->ow % p->oh,
                  n = i / p->m / p->ow / p->oh;
    float v = (float)sum_at(k, n, y, x, m) * k->scale[m];
    v = v + k->bias[m];
    if (o->add) v = v + o->add[i];
    if (o->add8) v = v + (float)(o->add8[i] - o->add_zero) * o->add_scale;
    v = omma_act_apply(&(omma_epilogue){.act = o->act, .lo = o->lo, .hi = o->hi}, v);
    if (o->post) {
        v = v * o->post_scale;
        v = v + o->post_shift;
    }
    return v;
}

static void check_all(const work *k, const void *y, const char *isa) {
    const omma_int8_out *o = &k->o;
    const bool loose = o->act > OMMA_ACT_CLIP;
    for (int64_t i = 0; i < out_count(&k->p); i++) {
        const float v = want_at(k, i);
        if (!o->to_u8) {
            const float have = ((const float *)y)[i];
            if (loose ? fabsf(have - v) > 1e-5f * (1 + fabsf(v)) : have != v)
                fail_msg("%s: %g, not %g, at %d", isa, (double)have, (double)v, (int)i);
            continue;
        }
        const float q = rintf(v * o->inverse) + (float)o->zero;
        const int whole = q < 0 ? 0 : q > 255 ? 255 : (int)q, have = ((const uint8_t *)y)[i];
        if (abs(have - whole) > loose) fail_msg("%s: %d, not %d, at %d", isa, have, whole, (int)i);
    }
}

static void check(const omma_kernels *kern, work *k) {
    const omma_conv *p = &k->p;
    const size_t padded = (size_t)omma_int8_padded(kern, p->m);
    const size_t out = (size_t)out_count(p) * (k->o.to_u8 ? 1 : 4);
    size_t packed_bytes, scratch_bytes;
    assert_true(omma_int8_packed_bytes(kern, p, &packed_bytes));
    guarded gp, gy, gs, gx;
    int8_t *packed = guard_new(&gp, packed_bytes, 0);
    int32_t *init = calloc(padded, 4);
    float *scale = calloc(padded, 4), *bias = calloc(padded, 4);
    const size_t x_bytes = (size_t)(p->n * p->h * p->w * p->c);
    uint8_t *x = guard_new(&gx, x_bytes, (size_t)rng_int(0, 3));
    assert_true(init && scale && bias);
    memcpy(x, k->x, x_bytes);
    memcpy(scale, k->scale, (size_t)p->m * 4), memcpy(bias, k->bias, (size_t)p->m * 4);
    omma_int8_pack(kern, p, packed, init, k->w, p->c * p->kh * p->kw, (int64_t)p->kh * p->kw);
    for (size_t i = 0; i < padded; i++) init[i] *= -k->x_zero;
    omma_int8_out o = k->o;
    o.init = init, o.scale = scale, o.bias = bias;
    static const int threads[] = {1, 2, 5};
    void *first = malloc(out + 1);
    for (int t = 0; t < 3; t++) {
        assert_true(omma_int8_scratch(kern, p, threads[t], &scratch_bytes));
        void *scratch = guard_new(&gs, scratch_bytes, 0);
        void *y = guard_new(&gy, out, 4 * (size_t)rng_int(0, 3));
        omma_int8_run(kern, threads[t], p, x, k->x_zero, packed, &o, y, scratch);
        if (!t) check_all(k, y, kern->isa), memcpy(first, y, out);
        assert_memory_equal(first, y, out);
        guard_end(&gy), guard_end(&gs);
    }
    guard_end(&gx), guard_end(&gp);
    free(first), free(init), free(scale), free(bias);
}

static void random_cases(bool product, int cases) {
    for (int i = 0; i < cases; i++) {
        work k = random_work(product, (omma_act)rng_int(0, OMMA_ACT_COUNT - 1));
        const omma_kernels *kern;
        for (int t = 0; k.p.oh > 0 && (kern = omma_kernels_at(t)); t++) check(kern, &k);
        free_work(&k);
    }
}

static void convolutions(void **state) {
    (void)state;
    random_cases(false, 300);
}

static void products(void **state) {
    (void)state;
    random_cases(true, 150);
}

/* The largest sums there may be. */
static void extremes(void **state) {
    (void)state;
    const omma_kernels *kern;
    for (int t = 0; (kern = omma_kernels_at(t)); t++)
        for (int i = 0; i < 4; i++) {
            work k = random_work(true, OMMA_ACT_NONE);
            k.p = omma_int8_rows(1, OMMA_INT8_MOST, 1);
            free_work(&k);
            k.x = malloc(OMMA_INT8_MOST), k.w = malloc(OMMA_INT8_MOST);
            k.scale = malloc(4), k.bias = calloc(1, 4), k.add = NULL, k.add8 = NULL;
            *k.scale = 1e-4f;
            memset(k.x, i & 1 ? 255 : 0, OMMA_INT8_MOST);
            memset(k.w, i & 2 ? 127 : -128, OMMA_INT8_MOST);
            k.x_zero = i & 1 ? 0 : 255;
            k.o.add = NULL, k.o.add8 = NULL, k.o.to_u8 = false;
            check(kern, &k);
            free_work(&k);
        }
}

static void rows(void **state) {
    (void)state;
    const omma_kernels *kern, *c = omma_kernels_at(0);
    const float odd[] = {NAN, INFINITY, -INFINITY, 1e30f, -1e30f, 0.5f, 1.5f, 2.5f, -0.5f, -0.0f};
    for (int t = 0; (kern = omma_kernels_at(t)); t++)
        for (int n = 0; n < 70; n++) {
            guarded gq, gf;
            float x[80], want_f[80];
            uint8_t want[80];
            rng_fill(x, 80);
            for (int i = 0; i < n; i++) x[i] = rng_int(0, 3) ? x[i] * 300 : odd[rng() % 10];
            const int zero = rng_int(0, 255);
            const float scale = rng_int(0, 1) ? 1 : 0.37f;
            uint8_t *q = guard_new(&gq, (size_t)n, (size_t)rng_int(0, 3));
            float *f = guard_new(&gf, (size_t)n * 4, 4);
            kern->quantize(n, x, scale, zero, q);
            c->quantize(n, x, scale, zero, want);
            if (n) assert_memory_equal(q, want, (size_t)n);
            for (int i = 0; i < n; i++) {
                const float v = rintf(x[i] / scale) + (float)zero;
                assert_int_equal(q[i], !(v > 0) ? 0 : v > 255 ? 255 : (int)v);
            }
            kern->dequantize(n, q, scale, zero, f);
            c->dequantize(n, q, scale, zero, want_f);
            if (n) assert_memory_equal(f, want_f, (size_t)n * 4);
            guard_end(&gq), guard_end(&gf);
        }
}

static void sizes(void **state) {
    (void)state;
    const omma_kernels *kern = omma_kernels_at(0);
    omma_conv p = omma_int8_rows(1, 4, 1);
    size_t bytes;
    p.oh = INT64_MAX / 2;
    assert_false(omma_int8_scratch(kern, &p, 1, &bytes));
    p = omma_int8_rows(1, INT64_MAX / 8, 16);
    assert_false(omma_int8_packed_bytes(kern, &p, &bytes));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(convolutions), cmocka_unit_test(products),
                                       cmocka_unit_test(extremes), cmocka_unit_test(rows),
                                       cmocka_unit_test(sizes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
