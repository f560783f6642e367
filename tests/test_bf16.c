/* test_bf16.c - the bfloat16 kernels: every table this CPU can run, and the one with VDPBF16PS,
 * emulated where the CPU lacks it (bf16_emulate.h; some that do not tell of it run it all the
 * same), against the C reference to the bit, and all of them against sums in double; guard bands,
 * tails, addends in place, any number of threads. */
#include "bf16_emulate.h"
#include "guard.h"

#include <math.h>
#include <stdio.h>

#include "kernel/bf16.h"
#include "kernel/last.h"
#include "kernel/last_way.h"
#include "kernel/table.h"

/* --- tables ------------------------------------------------------------------------------- */

enum { MOST_TABLES = 5 };
static omma_kernels tables[MOST_TABLES];
static int n_tables;

static void fill_tables(void) {
    const omma_kernels *k;
    bool has = false;
    for (int i = 0; (k = omma_kernels_at(i)); i++) {
        tables[n_tables++] = *k;
        has |= !strcmp(k->isa, "avx512bf16");
    }
#ifdef __x86_64__
    if (has || !(k = omma_kernels_named("avx512"))) return;
    if (!bf16_emulate_begin()) return;
    tables[n_tables] = *k;
    tables[n_tables].isa = "avx512bf16, emulated";
    omma_fill_bf16_avx512bf16(&tables[n_tables++]);
#endif
}

static bool is_slow(const omma_kernels *k) { return strstr(k->isa, "emulated") != NULL; }

/* --- numbers ------------------------------------------------------------------------------- */

static void rng_halves(uint16_t *x, size_t n) {
    for (size_t i = 0; i < n; i++) x[i] = omma_bf16_round(rng_float());
}

static void conversions(void **state) {
    static const uint32_t odd[] = {0,          0x80000000, 0x7f800000, 0xff800000, 0x7fc00000,
                                   0x7f800001, 0xffffffff, 0x7f7fffff, 0x3f808000, 0x3f818000,
                                   0x3f807fff, 0x3f808001, 0x3f7fffff};
    enum { N = 77, ODD = sizeof odd / sizeof *odd };
    (void)state;
    for (int t = 0; t < n_tables; t++)
        for (int n = 0; n <= N; n++) {
            guarded gx, gy, gz;
            float *x = guard_new(&gx, (size_t)n * 4, 0);
            uint16_t *y = guard_new(&gy, (size_t)n * 2, 2);
            float *z = guard_new(&gz, (size_t)n * 4, 4);
            rng_fill(x, (size_t)n);
            for (int i = 0; i < n && i < ODD; i++) memcpy(x + i, &odd[i], 4);
            tables[t].bf16_narrow(n, x, y);
            tables[t].bf16_widen(n, y, z);
            for (int i = 0; i < n; i++) {
                const float want = omma_bf16_wide(y[i]);
                if (y[i] != omma_bf16_round(x[i]) || memcmp(&want, &z[i], 4))
                    fail_msg("%s: %g became %04x", tables[t].isa, (double)x[i], y[i]);
            }
            guard_end(&gx), guard_end(&gy), guard_end(&gz);
        }
}

/* --- what is done to sums ------------------------------------------------------------------- */

typedef struct ending {
    omma_bf16_out o;
    float *bias;
    void *add; /* [count] of its type */
} ending;

static ending ending_new(int64_t n, int64_t count, int64_t ld) {
    ending e = {.bias = malloc((size_t)n * 4 + 4), .add = malloc((size_t)count * 4 + 4)};
    assert_true(e.bias && e.add);
    rng_fill(e.bias, (size_t)n);
    e.o =
        (omma_bf16_out){.act = (omma_act)rng_int(0, OMMA_ACT_COUNT - 1), .lo = -0.25f, .hi = 0.5f};
    e.o.y_wide = rng_int(0, 1), e.o.add_wide = rng_int(0, 1);
    if (rng_int(0, 1)) e.o.col_bias = e.bias;
    if (rng_int(0, 1)) e.o.add = e.add, e.o.add_ld = ld;
    if (e.o.add_wide) rng_fill(e.add, (size_t)count);
    else rng_halves(e.add, (size_t)count);
    return e;
}

static void ending_free(ending *e) { free(e->bias), free(e->add); }

static double get(const void *p, bool wide, int64_t i) {
    return (double)(wide ? ((const float *)p)[i] : omma_bf16_wide(((const uint16_t *)p)[i]));
}

/* What must come of a sum: at most off by mass roundings and one of bfloat16. */
static void check_number(const ending *e, const char *what, double sum, double mass, int64_t at,
                         int64_t col, const void *y, int64_t i) {
    const omma_epilogue act = {.act = e->o.act, .lo = e->o.lo, .hi = e->o.hi};
    if (e->o.add) sum += get(e->o.add, e->o.add_wide, at), mass += 1;
    if (e->o.col_bias) sum += (double)e->bias[col], mass += 1;
    const double want = (double)omma_act_apply(&act, (float)sum), got = get(y, e->o.y_wide, i);
    const double limit = 1e-6 * (mass + 1) + (e->o.y_wide ? 0 : 0.0041 * fabs(want));
    if (!(fabs(got - want) <= limit))
        fail_msg("%s, act %d, y_wide %d: %g, not %g", what, (int)e->o.act, e->o.y_wide, got, want);
}

/* --- products -------------------------------------------------------------------------------- */

typedef struct product {
    int64_t m, n, k, lda, ldy;
    uint16_t *a;
    float *b;
    ending e;
} product;

static void check_product(const product *p, const omma_kernels *kern, const void *y) {
    char what[120];
    snprintf(what, sizeof what, "%s: %d x %d x %d", kern->isa, (int)p->m, (int)p->n, (int)p->k);
    for (int64_t i = 0; i < p->m; i++)
        for (int64_t j = 0; j < p->n; j++) {
            double sum = 0, mass = 0;
            for (int64_t l = 0; l < p->k; l++) {
                const double v = (double)omma_bf16_wide(p->a[i * p->lda + l]) *
                                 (double)omma_bf16_wide(omma_bf16_round(p->b[l * p->n + j]));
                sum += v, mass += fabs(v);
            }
            check_number(&p->e, what, sum, mass, i * p->ldy + j, j, y, i * p->ldy + j);
        }
}

/* Into fresh memory; the same bits as `first`, where that is set. */
static void run_product(const product *p, const omma_kernels *kern, int threads, bool add_here,
                        void *first, bool set) {
    guarded gb, gy, gr;
    const size_t size = p->e.o.y_wide ? 4 : 2, bytes = (size_t)(p->m * p->ldy) * size;
    uint16_t *packed = guard_new(&gb, omma_bf16_packed_bytes(kern, p->k, p->n), 0);
    char *y = guard_new(&gy, bytes, 0);
    omma_bf16_out o = p->e.o;
    omma_bf16_pack(kern, packed, p->b, p->n, 1, p->k, p->n, threads);
    memset(y, 0, bytes);
    if (add_here) memcpy(y, o.add, bytes), o.add = y;
    const size_t room = omma_bf16_gemm_room(kern, threads, p->m, p->n, p->k, p->lda);
    void *r = guard_new(&gr, room, 0);
    omma_bf16_gemm(kern, threads, p->m, p->n, p->k, p->a, p->lda, packed, y, p->ldy, &o,
                   room && rng_int(0, 2) ? r : NULL);
    guard_end(&gr);
    for (int64_t i = 0; i < p->m; i++) {
        if (add_here)
            memset(y + (size_t)(i * p->ldy + p->n) * size, 0, (size_t)(p->ldy - p->n) * size);
    }
    if (set) memcpy(first, y, bytes);
    else if (memcmp(first, y, bytes))
        fail_msg("%s: other bits with %d threads, add in place %d", kern->isa, threads, add_here);
    if (set) check_product(p, kern, y);
    guard_end(&gb), guard_end(&gy);
}

static void one_product(bool small) {
    product p = {.m = rng_int(1, small ? 20 : 90), .n = rng_int(1, small ? 40 : 150)};
    guarded ga;
    p.k = 2 * rng_int(1, small ? 12 : 150);
    p.lda = p.k + 2 * rng_int(0, 3), p.ldy = p.n + rng_int(0, 5);
    if (!rng_int(0, 3)) p.lda = 2048; /* rows that share a set of the L1 cache */
    p.a = guard_new(&ga, (size_t)(p.m * p.lda) * 2, 4);
    p.b = malloc((size_t)(p.k * p.n) * 4);
    assert_non_null(p.b);
    rng_halves(p.a, (size_t)(p.m * p.lda)), rng_fill(p.b, (size_t)(p.k * p.n));
    p.e = ending_new(p.n, p.m * p.ldy, p.ldy);
    const size_t bytes = (size_t)(p.m * p.ldy) * 4;
    void *first = malloc(bytes), *reference = malloc(bytes);
    assert_true(first && reference);
    for (int t = 0; t < n_tables; t++) {
        if (!small && is_slow(&tables[t])) continue;
        run_product(&p, &tables[t], 1, false, first, true);
        run_product(&p, &tables[t], 3, false, first, false);
        if (p.e.o.add && p.e.o.add_wide == p.e.o.y_wide)
            run_product(&p, &tables[t], 2, true, first, false);
        if (!t) memcpy(reference, first, bytes);
        else if (p.e.o.act <= OMMA_ACT_CLIP &&
                 memcmp(reference, first, (size_t)(p.m * p.ldy) * (p.e.o.y_wide ? 4 : 2)))
            fail_msg("%s: other bits than the reference", tables[t].isa);
    }
    free(first), free(reference), free(p.b);
    guard_end(&ga);
    ending_free(&p.e);
}

static void products(void **state) {
    (void)state;
    for (int i = 0; i < 60; i++) one_product(true);
    for (int i = 0; i < 40; i++) one_product(false);
}

/* --- convolutions ----------------------------------------------------------------------------- */

typedef enum conv_way { DIRECT, DEPTHWISE, WINOGRAD } conv_way;

static omma_conv random_conv(bool small, conv_way way) {
    if (way == WINOGRAD)
        for (;;) {
            omma_conv p = {.n = rng_int(1, 2), .groups = 1, .h = rng_int(1, 20)};
            p.w = rng_int(1, 24), p.c = rng_int(16, small ? 40 : 150), p.m = rng_int(20, 150);
            p.kh = p.kw = 3, p.stride_h = p.stride_w = p.dilation_h = p.dilation_w = 1;
            p.pad_top = rng_int(0, 2), p.pad_left = rng_int(0, 2);
            p.oh = p.h + p.pad_top - rng_int(0, 2), p.ow = p.w + p.pad_left - rng_int(0, 2);
            bool fits = p.oh > 0 && p.ow > 0;
            for (int t = 0; t < n_tables; t++)
                fits = fits && omma_bf16_winograd_fits(&tables[t], &p);
            if (fits) return p;
        }
    for (;;) {
        omma_conv p = {.n = rng_int(1, 2), .groups = 1, .h = rng_int(1, small ? 7 : 20)};
        p.w = rng_int(1, small ? 9 : 34), p.c = 2 * rng_int(1, small ? 4 : 40);
        p.m = rng_int(1, small ? 40 : 100);
        if (way == DEPTHWISE) p.c = 1, p.groups = p.m;
        else if (!rng_int(0, 3)) p.groups = rng_int(2, 3), p.c = 2 * rng_int(1, 4), p.m *= p.groups;
        p.kh = rng_int(1, 4), p.kw = rng_int(0, 2) ? p.kh : rng_int(1, 5);
        p.stride_h = rng_int(1, 3), p.stride_w = rng_int(0, 2) ? p.stride_h : rng_int(1, 3);
        p.dilation_h = rng_int(0, 2) ? 1 : 2, p.dilation_w = rng_int(0, 2) ? 1 : 3;
        p.pad_top = rng_int(0, 2), p.pad_left = rng_int(0, 3);
        const int64_t h = p.h + p.pad_top + rng_int(0, 2) - (p.kh - 1) * p.dilation_h - 1,
                      w = p.w + p.pad_left + rng_int(0, 3) - (p.kw - 1) * p.dilation_w - 1;
        if (h < 0 || w < 0) continue;
        p.oh = h / p.stride_h + 1, p.ow = w / p.stride_w + 1;
        return p;
    }
}

typedef struct conv {
    omma_conv p;
    int64_t w_c; /* channels of the weights */
    size_t n_x, n_y, n_w;
    uint16_t *x;
    float *w, *want, *mass;
    ending e;
} conv;

/* The plain way on the rounded numbers, and on their absolute values. */
static void find_want(conv *c, bool round) {
    float *x = malloc(c->n_x * 4), *w = calloc(c->n_w, 4);
    const int64_t taps = c->p.kh * (int64_t)c->p.kw;
    assert_true(x && w);
    for (int mass = 0; mass < 2; mass++) {
        for (size_t i = 0; i < c->n_x; i++) x[i] = omma_bf16_wide(c->x[i]);
        for (int64_t m = 0; m < c->p.m; m++)
            for (int64_t i = 0; i < c->w_c * taps; i++) {
                const float v = c->w[m * c->w_c * taps + i];
                w[m * c->p.c * taps + i] = round ? omma_bf16_wide(omma_bf16_round(v)) : v;
            }
        for (size_t i = 0; mass && i < c->n_x; i++) x[i] = fabsf(x[i]);
        for (size_t i = 0; mass && i < c->n_w; i++) w[i] = fabsf(w[i]);
        omma_last_plain.run(&tables[0], 4, &c->p, x, c->p.groups * c->p.c, w,
                            mass ? c->mass : c->want, c->p.m, NULL, NULL);
    }
    free(x), free(w);
}

static void run_conv(const conv *c, const omma_kernels *kern, int threads, conv_way way,
                     void *first, bool set) {
    guarded gp, gy, gs;
    size_t packed_bytes, scratch_bytes;
    const size_t bytes = c->n_y * (c->e.o.y_wide ? 4 : 2);
    if (way != DIRECT) assert_true(omma_last_packed_bytes(kern, &c->p, &packed_bytes));
    if (way == DEPTHWISE) assert_true(omma_bf16_depthwise_scratch(&c->p, threads, &scratch_bytes));
    else if (way == WINOGRAD)
        assert_true(omma_bf16_winograd_scratch(kern, &c->p, threads, &scratch_bytes));
    else assert_true(omma_bf16_conv_sizes(kern, &c->p, threads, &packed_bytes, &scratch_bytes));
    void *packed = guard_new(&gp, packed_bytes, 0), *y = guard_new(&gy, bytes, 0),
         *scratch = guard_new(&gs, scratch_bytes, 0);
    if (way != DIRECT) {
        omma_last_pack(kern, &c->p, packed, c->w, threads);
        (way == DEPTHWISE ? omma_bf16_depthwise : omma_bf16_winograd)(kern, threads, &c->p, c->x,
                                                                      packed, y, &c->e.o, scratch);
    } else {
        omma_bf16_conv_pack(kern, &c->p, c->w_c, packed, c->w, threads);
        omma_bf16_conv(kern, threads, &c->p, c->x, packed, y, &c->e.o, scratch);
    }
    if (set) memcpy(first, y, bytes);
    else if (memcmp(first, y, bytes))
        fail_msg("%s: other bits with %d threads", kern->isa, threads);
    guard_end(&gp), guard_end(&gy), guard_end(&gs);
}

static void one_conv(bool small, conv_way way) {
    conv c = {.p = random_conv(small, way)};
    guarded gx;
    char what[160];
    const omma_conv *p = &c.p;
    c.w_c = way == DIRECT && p->groups == 1 && p->c > 2 ? p->c - rng_int(0, 1) : p->c;
    c.n_x = (size_t)(p->n * p->h * p->w * p->groups * p->c);
    c.n_y = (size_t)(p->n * p->oh * p->ow * p->m);
    c.n_w = (size_t)(p->m * p->c * p->kh * p->kw);
    c.x = guard_new(&gx, c.n_x * 2, 0);
    c.w = malloc(c.n_w * 4), c.want = malloc(c.n_y * 4), c.mass = malloc(c.n_y * 4);
    void *first = malloc(c.n_y * 4);
    assert_true(c.w && c.want && c.mass && first);
    rng_halves(c.x, c.n_x), rng_fill(c.w, c.n_w);
    c.e = ending_new(p->m, (int64_t)c.n_y, p->m);
    find_want(&c, way == DIRECT);
    float most = 0; /* rounding reaches over a whole tile */
    for (size_t i = 0; way == WINOGRAD && i < c.n_y; i++) most = fmaxf(most, c.mass[i]);
    for (int t = 0; t < n_tables; t++) {
        if (!small && is_slow(&tables[t])) continue;
        snprintf(what, sizeof what, "%s: %dx%dx%d k%dx%d s%d,%d g%d m%d", tables[t].isa, (int)p->h,
                 (int)p->w, (int)p->c, p->kh, p->kw, p->stride_h, p->stride_w, (int)p->groups,
                 (int)p->m);
        run_conv(&c, &tables[t], 1, way, first, true);
        run_conv(&c, &tables[t], 3, way, first, false);
        for (int64_t i = 0; i < (int64_t)c.n_y; i++)
            check_number(&c.e, what, (double)c.want[i], (double)fmaxf(most, c.mass[i]), i, i % p->m,
                         first, i);
    }
    free(c.w), free(c.want), free(c.mass), free(first);
    guard_end(&gx);
    ending_free(&c.e);
}

static void convolutions(void **state) {
    (void)state;
    for (int i = 0; i < 40; i++) one_conv(true, DIRECT);
    for (int i = 0; i < 60; i++) one_conv(false, DIRECT);
}

static void depthwise_convolutions(void **state) {
    (void)state;
    for (int i = 0; i < 20; i++) one_conv(true, DEPTHWISE);
    for (int i = 0; i < 60; i++) one_conv(false, DEPTHWISE);
}

static void by_winograd(void **state) {
    (void)state;
    for (int i = 0; i < 10; i++) one_conv(true, WINOGRAD);
    for (int i = 0; i < 20; i++) one_conv(false, WINOGRAD);
}

int main(void) {
    fill_tables();
    if (n_tables < 4) print_message("no AVX-512: VDPBF16PS is not tested\n");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conversions), cmocka_unit_test(products), cmocka_unit_test(convolutions),
        cmocka_unit_test(depthwise_convolutions), cmocka_unit_test(by_winograd)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
