/* test_kernel_chain.c - convolutions in bands of rows: the bits of the same convolutions one after
 * the other, in every table this CPU can run and for any number of threads, with guard bands around
 * all that is written. */
#include "guard.h"

#include <stdio.h>

#include "kernel/chain.h"

static const int thread_counts[] = {1, 2, 3, 8};
enum { N_THREADS = sizeof thread_counts / sizeof *thread_counts, WIDE = 150 };

typedef struct chain {
    int n;
    omma_link link[OMMA_CHAIN_MAX];
    guarded packed[OMMA_CHAIN_MAX];
    float *bias[OMMA_CHAIN_MAX];
    char text[600];
} chain;

static int64_t count_in(const omma_conv *p) { return p->n * p->h * p->w * p->groups * p->c; }
static int64_t count_out(const omma_conv *p) { return p->n * p->oh * p->ow * p->m; }

static omma_conv product(int64_t c, int64_t m, int64_t n, int64_t h, int64_t w) {
    return (omma_conv){n, 1, c, h, w, m, h, w, 1, 1, 1, 1, 1, 1, 0, 0, false, false};
}

static omma_conv depthwise(int64_t c, int64_t n, int64_t h, int64_t w) {
    omma_conv p = {n, c, 1, h, w, c, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0, false, false};
    p.kh = 1 + 2 * rng_int(0, 3), p.kw = rng_int(0, 3) ? p.kh : rng_int(1, 4);
    p.stride_h = rng_int(1, 2), p.stride_w = rng_int(0, 3) ? p.stride_h : rng_int(1, 3);
    if (!rng_int(0, 5)) p.stride_h = 4; /* rows that nothing sees */
    if (!rng_int(0, 3)) p.dilation_h = rng_int(1, 3), p.dilation_w = rng_int(1, 3);
    p.pad_top = rng_int(0, (p.kh - 1) * p.dilation_h), p.pad_left = rng_int(0, p.kw / 2);
    p.oh = (h + 2 * p.pad_top - (p.kh - 1) * p.dilation_h - 1) / p.stride_h + 1;
    p.ow = (w + 2 * p.pad_left - (p.kw - 1) * p.dilation_w - 1) / p.stride_w + 1;
    return p;
}

/* Maps are narrow and wide in turn, so that several bands are needed and the tables of plain C keep
 * up. */
static void make_chain(chain *c) {
    int64_t n = rng_int(1, 2), h = rng_int(1, 90), w = rng_int(1, 60), channels = rng_int(1, 24);
    const int links = rng_int(2, 5);
    size_t at = 0;
    *c = (chain){0};
    while (c->n < links) {
        omma_conv *p = &c->link[c->n].conv;
        if (rng_int(0, 1)) *p = depthwise(channels, n, h, w);
        else *p = product(channels, channels > 24 ? rng_int(1, 24) : rng_int(1, WIDE), n, h, w);
        if (!rng_int(0, 20)) *p = product(channels, 1024, n, h, w); /* rows that crowd a set */
        if (p->oh < 1 || p->ow < 1 || !omma_chain_takes(p)) continue;
        h = p->oh, w = p->ow, channels = p->m;
        at += (size_t)snprintf(c->text + at, sizeof c->text - at, "%dx%dx%d k%dx%d s%d,%d p%d; ",
                               (int)p->h, (int)p->w, (int)p->m, p->kh, p->kw, p->stride_h,
                               p->stride_w, (int)p->pad_top);
        c->n++;
    }
}

static void make_weights(chain *c, const omma_kernels *kern) {
    for (int i = 0; i < c->n; i++) {
        omma_link *l = &c->link[i];
        const size_t n = (size_t)(l->conv.m * l->conv.c * l->conv.kh * l->conv.kw);
        float *w = malloc(n * 4);
        size_t bytes;
        c->bias[i] = malloc((size_t)l->conv.m * 4);
        assert_true(w && c->bias[i] && omma_last_packed_bytes(kern, &l->conv, &bytes));
        rng_fill(w, n), rng_fill(c->bias[i], (size_t)l->conv.m);
        void *packed = guard_new(&c->packed[i], bytes, 0);
        omma_last_pack(kern, &l->conv, packed, w, 1);
        l->packed = packed;
        l->e = (omma_epilogue){.col_bias = rng_int(0, 1) ? c->bias[i] : NULL,
                               .act = (omma_act)rng_int(OMMA_ACT_NONE, OMMA_ACT_COUNT - 1),
                               .lo = -0.25f,
                               .hi = 0.5f};
        free(w);
    }
}

/* One after the other; the result is the caller's. */
static float *one_by_one(const chain *c, const omma_kernels *kern, const float *x) {
    float *from = NULL;
    for (int i = 0; i < c->n; i++) {
        const omma_conv *p = &c->link[i].conv;
        float *y = malloc((size_t)count_out(p) * 4);
        size_t bytes;
        guarded g;
        assert_true(y && omma_last_scratch(kern, p, 1, &bytes));
        void *scratch = guard_new(&g, bytes, 0);
        omma_last_run(kern, 1, p, from ? from : x, p->groups * p->c, c->link[i].packed, y, p->m,
                      &c->link[i].e, scratch);
        guard_end(&g);
        free(from);
        from = y;
    }
    return from;
}

/* Does one worker hold less than the maps between the links? Then there are several bands. */
static bool in_bands(const chain *c) {
    size_t maps = 0, bytes;
    for (int i = 0; i < c->n - 1; i++) maps += (size_t)count_out(&c->link[i].conv) * 4;
    assert_true(omma_chain_scratch(omma_kernels_at(0), c->link, c->n, 1, &bytes));
    return bytes * (size_t)c->link[0].conv.n < maps;
}

static void check(chain *c, const omma_kernels *kern) {
    const omma_conv *last = &c->link[c->n - 1].conv;
    const size_t n_x = (size_t)count_in(&c->link[0].conv), n_y = (size_t)count_out(last);
    float *x = malloc(n_x * 4 + 1), *add = malloc(n_y * 4);
    assert_true(x && add);
    rng_fill(x, n_x), rng_fill(add, n_y);
    make_weights(c, kern);
    omma_epilogue *e = &c->link[c->n - 1].e;
    if (rng_int(0, 1)) e->add = add, e->add_ld = last->m;
    float *want = one_by_one(c, kern, x);
    for (int t = 0; t < N_THREADS; t++) {
        guarded gs, gy;
        size_t bytes;
        assert_true(omma_chain_scratch(kern, c->link, c->n, thread_counts[t], &bytes));
        void *scratch = guard_new(&gs, bytes, 0);
        float *y = guard_new(&gy, n_y * 4, 0);
        if (e->add && t % 2) { /* the addend is the output itself */
            memcpy(y, add, n_y * 4);
            e->add = y;
        }
        omma_chain_run(kern, thread_counts[t], c->link, c->n, x, y, scratch);
        if (e->add) e->add = add;
        if (memcmp(y, want, n_y * 4))
            fail_msg("%s, %d threads: %sother bits", kern->isa, thread_counts[t], c->text);
        guard_end(&gs), guard_end(&gy);
    }
    for (int i = 0; i < c->n; i++) guard_end(&c->packed[i]), free(c->bias[i]);
    free(x), free(add), free(want);
}

static void test_random(void **state) {
    (void)state;
    const omma_kernels *kern;
    int banded = 0;
    for (int r = 0; r < rounds(120); r++) {
        chain c;
        make_chain(&c);
        banded += in_bands(&c);
        for (int t = 0; (kern = omma_kernels_at(t)); t++) check(&c, kern);
    }
    print_message("%d of %d in several bands\n", banded, rounds(120));
    assert_true(banded > 0 || rounds(120) < 20);
}

static void test_takes(void **state) {
    (void)state;
    omma_conv p = product(8, 16, 1, 10, 10);
    assert_true(omma_chain_takes(&p));
    p.stride_h = 2, p.oh = 5;
    assert_false(omma_chain_takes(&p));
    p = (omma_conv){1, 1, 8, 10, 10, 8, 10, 10, 3, 3, 1, 1, 1, 1, 1, 1, false, false};
    assert_false(omma_chain_takes(&p)); /* dense */
    p.groups = 8, p.c = 1;
    assert_true(omma_chain_takes(&p));
    p.pad_top = 3, p.oh = 14; /* the first row of output sees padding alone */
    assert_false(omma_chain_takes(&p));
}

static bool pays(int64_t c, int64_t m, int64_t h, int64_t w, int k, int threads) {
    omma_link l[2] = {
        {.conv = product(c, m, 1, h, w)},
        {.conv = {1, m, 1, h, w, m, h, w, k, k, 1, 1, 1, 1, k / 2, k / 2, false, false}}};
    return omma_chain_pays(l, 2, threads);
}

static void test_pays(void **state) {
    (void)state;
    assert_true(pays(16, 64, 112, 112, 3, 1));
    assert_false(pays(16, 64, 40, 40, 3, 1));     /* small */
    assert_false(pays(240, 240, 112, 112, 3, 1)); /* much to compute */
    assert_false(pays(8, 2048, 60, 100, 3, 1));   /* three rows are 2.4 MB */
    assert_true(pays(16, 64, 112, 112, 5, 2));
    assert_false(pays(16, 64, 112, 112, 5, 16)); /* pieces of seven rows, and four more */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_takes),
        cmocka_unit_test(test_pays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
