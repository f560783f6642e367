/* test_op_conv.c - Conv, ConvTranspose and the poolings against loops written from their
 * definitions, over random shapes; hand-computed vectors; what must be refused; and the
 * same bits for 1, 2 and 8 threads. */
#include <math.h>
#include <stdlib.h>

#include "optest.h"

static uint32_t seed = 1;

static uint32_t rnd(uint32_t n) {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

static float *noise(int64_t n) {
    float *x = test_malloc((size_t)(n ? n : 1) * sizeof *x);
    for (int64_t i = 0; i < n; i++) x[i] = (float)rnd(2001) / 1000 - 1;
    return x;
}

static void close_to(const float *got, const double *want, int64_t n, double tolerance) {
    for (int64_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - want[i]) <= tolerance * (1 + fabs(want[i]))))
            fail_msg("number %lld is %.9g, not %.9g", (long long)i, (double)got[i], want[i]);
}

/* Run with 1, 2 and 8 threads: the same bits. Leaves the outputs in t->out. */
static void run_all(optest *t, int n_out) {
    omma_tensor first = {0};
    for (int threads = 1; threads <= 8; threads = threads == 1 ? 2 : threads * 4) {
        omma_status s = optest_try(t, n_out, threads);
        if (s) fail_msg("%s: %s", t->op, t->err.message);
        size_t bytes = (size_t)omma_tensor_count(&t->out[0]) * omma_dtype_size(t->out[0].dtype);
        if (threads == 1) first = t->out[0];
        else if (bytes) assert_memory_equal(first.data, t->out[0].data, bytes);
    }
}

static void refused(optest *t, int n_out) {
    assert_int_not_equal(optest_try(t, n_out, 1), OMMA_OK);
    assert_true(t->err.message[0] != 0);
    optest_free(t);
}

/* Constant input i as a plan leaves it when the room packs it: anywhere in the file, and
 * nowhere else. */
static void from_file(optest *t, int i) {
    omma_value *v = t->in[i];
    char *odd = omma_arena_alloc(&t->arena, omma_value_bytes(v) + 1);
    assert_non_null(odd);
    memcpy(odd + 1, v->data, omma_value_bytes(v));
    v->data = odd + 1;
    v->mem = NULL;
}

/* --- Conv ----------------------------------------------------------------------------- */

typedef struct shape {
    int64_t n, g, c, m, h, w, kh, kw, sh, sw, dh, dw, pt, pl, pb, pr, oh, ow;
} shape; /* c, m: channels of a group */

static shape random_shape(void) {
    shape s = {.n = 1 + rnd(2),
               .g = 1 + rnd(3),
               .c = 1 + rnd(5),
               .m = 1 + rnd(5),
               .h = 1 + rnd(12),
               .w = 1 + rnd(20),
               .kh = 1 + rnd(4),
               .kw = 1 + rnd(4),
               .sh = 1 + rnd(3),
               .sw = 1 + rnd(3),
               .dh = 1 + rnd(2),
               .dw = 1 + rnd(3),
               .pt = rnd(3),
               .pl = rnd(3),
               .pb = rnd(3),
               .pr = rnd(3)};
    if (rnd(4) == 0) s.g = s.c * 3, s.c = 1, s.m = 1; /* depthwise */
    while ((s.kh - 1) * s.dh + 1 > s.h + s.pt + s.pb) s.h++;
    while ((s.kw - 1) * s.dw + 1 > s.w + s.pl + s.pr) s.w++;
    s.oh = (s.h + s.pt + s.pb - (s.kh - 1) * s.dh - 1) / s.sh + 1;
    s.ow = (s.w + s.pl + s.pr - (s.kw - 1) * s.dw - 1) / s.sw + 1;
    return s;
}

static void set_window(optest *t, const shape *s, const int64_t *list) {
    optest_ints(t, "strides", list, 2);
    optest_ints(t, "dilations", list + 2, 2);
    optest_ints(t, "pads", list + 4, 4);
    optest_int(t, "group", s->g);
}

static double naive_conv(const shape *s, const float *x, const float *w, int64_t n, int64_t m,
                         int64_t i, int64_t j) {
    double sum = 0;
    for (int64_t c = 0; c < s->c; c++)
        for (int64_t u = 0; u < s->kh; u++)
            for (int64_t v = 0; v < s->kw; v++) {
                int64_t r = i * s->sh - s->pt + u * s->dh, q = j * s->sw - s->pl + v * s->dw;
                if (r < 0 || q < 0 || r >= s->h || q >= s->w) continue;
                sum += (double)x[((n * s->g * s->c + m / s->m * s->c + c) * s->h + r) * s->w + q] *
                       (double)w[((m * s->c + c) * s->kh + u) * s->kw + v];
            }
    return sum;
}

/* kind 0: f32, 1: constant weights, 2: f64, 3: float16. */
static void conv_case(int kind, int act) {
    shape s = random_shape();
    const int64_t list[] = {s.sh, s.sw, s.dh, s.dw, s.pt, s.pl, s.pb, s.pr};
    int64_t nx = s.n * s.g * s.c * s.h * s.w, nw = s.g * s.m * s.c * s.kh * s.kw, nb = s.g * s.m;
    float *x = noise(nx), *w = noise(nw), *bias = noise(nb);
    omma_dtype type = kind == 2 ? OMMA_F64 : kind == 3 ? OMMA_F16 : OMMA_F32;
    optest *t = optest_new("Conv", 11);
    const int64_t dx[] = {s.n, s.g * s.c, s.h, s.w}, dw[] = {s.g * s.m, s.c, s.kh, s.kw};
    const float *src[] = {x, w, bias};
    const int64_t count[] = {nx, nw, nb}, *dims[] = {dx, dw, &nb};
    for (int i = 0; i < 3; i++) {
        void *copy = test_calloc((size_t)count[i], 8);
        for (int64_t k = 0; k < count[i]; k++) omma_set_number(type, copy, k, (double)src[i][k]);
        optest_put(t, kind == 1 && i, type, copy, i == 2 ? 1 : 4, dims[i]);
        test_free(copy);
    }
    if (kind == 1) from_file(t, 1);
    set_window(t, &s, list);
    if (act)
        optest_int(t, "omma.act", act), optest_float(t, "omma.lo", -0.5f),
            optest_float(t, "omma.hi", 0.25f);
    run_all(t, 1);
    omma_epilogue e = {.act = (omma_act)act, .lo = -0.5f, .hi = 0.25f};
    int64_t o = 0;
    for (int64_t n = 0; n < s.n; n++)
        for (int64_t m = 0; m < nb; m++)
            for (int64_t i = 0; i < s.oh; i++)
                for (int64_t j = 0; j < s.ow; j++, o++) {
                    double want = naive_conv(&s, x, w, n, m, i, j) + (double)bias[m];
                    if (act) want = (double)omma_act_apply(&e, (float)want);
                    double got = omma_get_number(type, t->out[0].data, o),
                           tol = kind == 3 ? 4e-3 : 3e-5;
                    if (!(fabs(got - want) <= tol * (1 + fabs(want))))
                        fail_msg("kind %d: %.9g, not %.9g", kind, got, want);
                }
    assert_int_equal(o, omma_tensor_count(&t->out[0]));
    test_free(x), test_free(w), test_free(bias);
    optest_free(t);
}

static void conv_random(void **state) {
    (void)state;
    for (int i = 0; i < 200; i++) conv_case(i % 2, 0);
    for (int i = 0; i < 20; i++) conv_case(2, 0), conv_case(3, 0);
    for (int act = OMMA_ACT_RELU; act < OMMA_ACT_COUNT; act++) conv_case(act % 2, act);
}

/* One and three axes, through the same numbers in two axes: [n,c,w] is [n,c,1,w] and
 * [n,c,1,h,w]. */
static void conv_ranks(void **state) {
    (void)state;
    float *x = noise(2 * 3 * 5 * 9), *w = noise(4 * 3 * 2 * 3);
    optest *two = optest_new("Conv", 11), *three = optest_new("Conv", 11),
           *one = optest_new("Conv", 11), *flat = optest_new("Conv", 11);
    optest_f32(two, x, OPTEST_DIMS(2, 3, 5, 9)), optest_f32(two, w, OPTEST_DIMS(4, 3, 2, 3));
    optest_f32(three, x, OPTEST_DIMS(2, 3, 1, 5, 9)),
        optest_f32(three, w, OPTEST_DIMS(4, 3, 1, 2, 3));
    optest_f32(one, x, OPTEST_DIMS(2, 3, 45)), optest_f32(one, w, OPTEST_DIMS(4, 3, 6));
    optest_f32(flat, x, OPTEST_DIMS(2, 3, 1, 1, 45)),
        optest_f32(flat, w, OPTEST_DIMS(4, 3, 1, 1, 6));
    optest_ints(two, "pads", (const int64_t[]){1, 2, 0, 1}, 4);
    optest_ints(three, "pads", (const int64_t[]){0, 1, 2, 0, 0, 1}, 6);
    optest_ints(one, "pads", (const int64_t[]){3, 1}, 2);
    optest_ints(flat, "pads", (const int64_t[]){0, 0, 3, 0, 0, 1}, 6);
    optest_ints(one, "strides", (const int64_t[]){2}, 1);
    optest_ints(flat, "strides", (const int64_t[]){1, 1, 2}, 3);
    run_all(two, 1), run_all(three, 1), run_all(one, 1), run_all(flat, 1);
    optest *pairs[][2] = {{two, three}, {one, flat}};
    for (int p = 0; p < 2; p++) {
        const omma_tensor *a = &pairs[p][0]->out[0], *b = &pairs[p][1]->out[0];
        int64_t n = omma_tensor_count(a);
        assert_int_equal(n, omma_tensor_count(b));
        for (int64_t i = 0; i < n; i++)
            assert_true(fabsf(((float *)a->data)[i] - ((float *)b->data)[i]) < 1e-4f);
        optest_free(pairs[p][0]), optest_free(pairs[p][1]);
    }
    test_free(x), test_free(w);
}

/* SAME padding of 5 by stride 2 and kernel 3: total 2; of 6 by 2 and 3: total 1. */
static void conv_same(void **state) {
    (void)state;
    const struct {
        const char *how;
        float want[3];
    } cases[] = {{"SAME_UPPER", {6, 12, 11}}, {"SAME_LOWER", {3, 9, 15}}};
    for (int i = 0; i < 2; i++) {
        optest *t = optest_new("Conv", 11);
        optest_f32(t, (const float[]){1, 2, 3, 4, 5, 6}, OPTEST_DIMS(1, 1, 6));
        optest_f32(t, (const float[]){1, 1, 1}, OPTEST_DIMS(1, 1, 3));
        optest_string(t, "auto_pad", cases[i].how);
        optest_ints(t, "strides", (const int64_t[]){2}, 1);
        const omma_tensor *y = optest_run(t, 1);
        assert_int_equal(y->dims[2], 3);
        assert_memory_equal(y->data, cases[i].want, sizeof cases[i].want);
        optest_free(t);
    }
}

static void conv_empty(void **state) {
    (void)state;
    optest *t = optest_new("Conv", 11);
    float *w = noise(12);
    optest_f32(t, w, OPTEST_DIMS(0, 3, 8, 8));
    optest_f32(t, w, OPTEST_DIMS(4, 3, 1, 1));
    const omma_tensor *y = optest_run(t, 1);
    assert_int_equal(y->dims[0], 0);
    assert_int_equal(y->dims[1], 4);
    optest_free(t);
    test_free(w);
}

static optest *broken(const char *op) {
    static const float x[64], w[36];
    optest *t = optest_new(op, 11);
    optest_f32(t, x, OPTEST_DIMS(1, 4, 4, 4));
    optest_f32(t, w, OPTEST_DIMS(4, 1, 3, 3));
    return t;
}

static void conv_refuses(void **state) {
    (void)state;
    const struct {
        const char *attr;
        int64_t v[4];
        int n;
    } cases[] = {{"group", {3}, 0},
                 {"group", {0}, 0},
                 {"group", {-4}, 0},
                 {"group", {INT64_MIN}, 0},
                 {"group", {1}, 0},
                 {"strides", {0, 1}, 2},
                 {"strides", {-1, 1}, 2},
                 {"strides", {1}, 1},
                 {"strides", {INT64_MAX, 1}, 2},
                 {"dilations", {0, 1}, 2},
                 {"dilations", {INT64_MAX, INT64_MAX}, 2},
                 {"dilations", {INT32_MAX, INT32_MAX}, 2},
                 {"dilations", {2, 2}, 2},
                 {"pads", {-1, 0, 0, 0}, 4},
                 {"pads", {0, 0}, 2},
                 {"pads", {INT64_MAX, INT64_MAX, 1, 1}, 4},
                 {"kernel_shape", {3, 2}, 2},
                 {"kernel_shape", {0, 0}, 2},
                 {"omma.act", {77}, 0},
                 {"omma.act", {-1}, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        optest *t = broken("Conv");
        if (strcmp(cases[i].attr, "group") != 0) optest_int(t, "group", 4);
        if (cases[i].n) optest_ints(t, cases[i].attr, cases[i].v, cases[i].n);
        else optest_int(t, cases[i].attr, cases[i].v[0]);
        refused(t, 1);
    }
    optest *t = broken("Conv");
    optest_int(t, "group", 4);
    optest_string(t, "auto_pad", "SAME");
    refused(t, 1);
    t = broken("Conv");
    optest_int(t, "group", 4);
    optest_f32(t, (const float[]){1, 2, 3}, OPTEST_DIMS(3));
    refused(t, 1);
    t = optest_new("Conv", 11);
    optest_f32(t, (const float[]){1, 2}, OPTEST_DIMS(1, 2));
    optest_f32(t, (const float[]){1, 2}, OPTEST_DIMS(1, 2));
    refused(t, 1);
}

/* --- ConvTranspose ---------------------------------------------------------------------- */

/* Spread every input, as the definition says; s->oh and s->ow are set. */
static double *naive_transpose(const shape *s, const float *x, const float *w, const float *bias) {
    double *y = test_calloc((size_t)(s->n * s->g * s->m * s->oh * s->ow), sizeof *y);
    for (int64_t n = 0; n < s->n; n++)
        for (int64_t m = 0; m < s->g * s->m; m++) {
            double *plane = y + (n * s->g * s->m + m) * s->oh * s->ow;
            for (int64_t i = 0; i < s->oh * s->ow; i++) plane[i] = (double)bias[m];
            for (int64_t c = m / s->m * s->c; c < (m / s->m + 1) * s->c; c++)
                for (int64_t i = 0; i < s->h * s->w; i++)
                    for (int64_t k = 0; k < s->kh * s->kw; k++) {
                        int64_t r = i / s->w * s->sh - s->pt + k / s->kw * s->dh,
                                q = i % s->w * s->sw - s->pl + k % s->kw * s->dw;
                        if (r < 0 || q < 0 || r >= s->oh || q >= s->ow) continue;
                        plane[r * s->ow + q] +=
                            (double)x[(n * s->g * s->c + c) * s->h * s->w + i] *
                            (double)w[(c * s->m + m % s->m) * s->kh * s->kw + k];
                    }
        }
    return y;
}

static void transpose_shape(int kind, shape s, const int64_t *extra) {
    s.oh = s.sh * (s.h - 1) + extra[0] + (s.kh - 1) * s.dh + 1 - s.pt - s.pb;
    s.ow = s.sw * (s.w - 1) + extra[1] + (s.kw - 1) * s.dw + 1 - s.pl - s.pr;
    if (s.oh < 1 || s.ow < 1) return;
    const int64_t list[] = {s.sh, s.sw, s.dh, s.dw, s.pt, s.pl, s.pb, s.pr};
    int64_t nx = s.n * s.g * s.c * s.h * s.w, nw = s.g * s.m * s.c * s.kh * s.kw, nb = s.g * s.m;
    float *x = noise(nx), *w = noise(nw), *bias = noise(nb);
    optest *t = optest_new("ConvTranspose", 11);
    optest_put(t, false, OMMA_F32, x, 4, (const int64_t[]){s.n, s.g * s.c, s.h, s.w});
    optest_put(t, kind == 1, OMMA_F32, w, 4, (const int64_t[]){s.g * s.c, s.m, s.kh, s.kw});
    optest_put(t, true, OMMA_F32, bias, 1, &nb);
    if (kind == 1) from_file(t, 1);
    set_window(t, &s, list);
    optest_ints(t, "output_padding", extra, 2);
    run_all(t, 1);
    double *want = naive_transpose(&s, x, w, bias);
    assert_int_equal(t->out[0].dims[2], s.oh);
    assert_int_equal(t->out[0].dims[3], s.ow);
    close_to(t->out[0].data, want, omma_tensor_count(&t->out[0]), 3e-5);
    test_free(x), test_free(w), test_free(bias), test_free(want);
    optest_free(t);
}

static void transpose_random(void **state) {
    (void)state;
    for (int i = 0; i < 200; i++) {
        const shape s = random_shape();
        const int64_t extra[] = {rnd((uint32_t)s.sh), rnd((uint32_t)s.sw)};
        transpose_shape(i % 2, s, extra);
    }
}

/* Kernels no longer than the stride, and so many channels that the rows go in several bands. */
static void transpose_apart(void **state) {
    (void)state;
    for (int i = 0; i < 30; i++) {
        shape s = random_shape();
        s.c = 3, s.m = 40, s.h = 13, s.w = 70, s.dh = s.dw = 1;
        s.kh = s.kw = s.sh = s.sw = 2 + i % 2;
        s.pt = s.pb = s.pl = s.pr = i % 3 == 2;
        if (i % 5 == 4) s.sh = s.sw = 3, s.kw = 2, s.kh = 1;
        const int64_t extra[] = {i % 4 == 3, i % 4 == 2};
        transpose_shape(i % 2, s, extra);
    }
}

/* Taps of eight inputs: how many inputs reach each output. */
static void transpose_taps(void **state) {
    (void)state;
    const struct {
        int64_t k, s, p;
        int n;
        float want[20];
    } cases[] = {{2, 2, 0, 16, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}},
                 {3, 2, 1, 15, {1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1}},
                 {4, 2, 1, 16, {1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1}}};
    const float ones[] = {1, 1, 1, 1, 1, 1, 1, 1};
    for (int i = 0; i < 3; i++)
        for (int rank = 3; rank <= 5; rank += 2) { /* 5: the plain loop */
            optest *t = optest_new("ConvTranspose", 11);
            const int64_t dx[] = {1, 1, 1, 1, 8}, dw[] = {1, 1, 1, 1, cases[i].k},
                          st[] = {1, 1, cases[i].s}, pads[] = {0, 0, cases[i].p, 0, 0, cases[i].p};
            int k = rank - 2;
            const int64_t p1[] = {cases[i].p, cases[i].p};
            optest_put(t, false, OMMA_F32, ones, rank, dx + 5 - rank);
            optest_put(t, false, OMMA_F32, ones, rank, dw + 5 - rank);
            optest_ints(t, "strides", st + 3 - k, k);
            optest_ints(t, "pads", k == 1 ? p1 : pads, 2 * k);
            const omma_tensor *y = optest_run(t, 1);
            assert_int_equal(omma_tensor_count(y), cases[i].n);
            assert_memory_equal(y->data, cases[i].want, (size_t)cases[i].n * sizeof(float));
            optest_free(t);
        }
}

/* output_shape decides the padding; an odd one goes in front unless SAME_UPPER. */
static void transpose_output_shape(void **state) {
    (void)state;
    for (int upper = 0; upper < 2; upper++) {
        optest *t = optest_new("ConvTranspose", 11);
        optest_f32(t, (const float[]){1, 2, 3}, OPTEST_DIMS(1, 1, 3));
        optest_f32(t, (const float[]){1, 10, 100}, OPTEST_DIMS(1, 1, 3));
        optest_ints(t, "strides", (const int64_t[]){2}, 1);
        optest_ints(t, "output_shape", (const int64_t[]){6}, 1); /* 7 of 1 10 102 20 203 30 300 */
        if (upper) optest_string(t, "auto_pad", "SAME_UPPER");
        const omma_tensor *y = optest_run(t, 1);
        const float lower_want[] = {10, 102, 20, 203, 30, 300},
                    upper_want[] = {1, 10, 102, 20, 203, 30};
        assert_int_equal(y->dims[2], 6);
        assert_memory_equal(y->data, upper ? upper_want : lower_want, sizeof lower_want);
        optest_free(t);
    }
}

static void transpose_refuses(void **state) {
    (void)state;
    const struct {
        const char *attr;
        int64_t v[4];
        int n;
    } cases[] = {{"group", {3}, 0},
                 {"group", {0}, 0},
                 {"strides", {0, 1}, 2},
                 {"output_padding", {-1, 0}, 2},
                 {"output_padding", {1}, 1},
                 {"output_padding", {INT64_MAX, 0}, 2},
                 {"output_shape", {-5, 4}, 2},
                 {"output_shape", {INT64_MAX, 4}, 2},
                 {"output_shape", {1, 2, 3}, 3},
                 {"pads", {9, 9, 9, 9}, 4},
                 {"dilations", {INT64_MIN, 1}, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        optest *t = broken("ConvTranspose");
        if (cases[i].n) optest_ints(t, cases[i].attr, cases[i].v, cases[i].n);
        else optest_int(t, cases[i].attr, cases[i].v[0]);
        refused(t, 1);
    }
}

/* --- pooling -------------------------------------------------------------------------------- */

/* kind 0: f32 fast; 1: with Indices or f64 (plain); 2: int8 maximum. */
static void pool_case(bool average, int kind) {
    shape s = random_shape();
    int64_t c = s.g * s.c, nx = s.n * c * s.h * s.w, ceil = rnd(2), include = rnd(2),
            order = rnd(2);
    float *x = noise(nx);
    omma_dtype type = kind == 0 ? OMMA_F32 : kind == 2 ? OMMA_I8 : average ? OMMA_F64 : OMMA_F32;
    for (int64_t i = 0; i < nx; i++) x[i] = roundf(x[i] * 100);
    s.oh = (s.h + s.pt + s.pb - (s.kh - 1) * s.dh - 1 + (ceil ? s.sh - 1 : 0)) / s.sh + 1;
    s.ow = (s.w + s.pl + s.pr - (s.kw - 1) * s.dw - 1 + (ceil ? s.sw - 1 : 0)) / s.sw + 1;
    if (ceil && (s.oh - 1) * s.sh >= s.h + s.pt && s.oh > 1) s.oh--;
    if (ceil && (s.ow - 1) * s.sw >= s.w + s.pl && s.ow > 1) s.ow--;
    const int64_t list[] = {s.sh, s.sw, s.dh, s.dw, s.pt, s.pl, s.pb, s.pr},
                  kernel[] = {s.kh, s.kw};
    optest *t = optest_new(average ? "AveragePool" : "MaxPool", 19);
    void *copy = test_calloc((size_t)nx, 8);
    for (int64_t k = 0; k < nx; k++) omma_set_number(type, copy, k, (double)x[k]);
    optest_put(t, false, type, copy, 4, (const int64_t[]){s.n, c, s.h, s.w});
    set_window(t, &s, list);
    optest_ints(t, "kernel_shape", kernel, 2);
    optest_int(t, "ceil_mode", ceil), optest_int(t, "count_include_pad", include),
        optest_int(t, "storage_order", order);
    int n_out = kind == 1 && !average ? 2 : 1;
    run_all(t, n_out);
    assert_int_equal(t->out[0].dims[2], s.oh);
    assert_int_equal(t->out[0].dims[3], s.ow);
    for (int64_t o = 0; o < omma_tensor_count(&t->out[0]); o++) {
        int64_t plane = o / (s.oh * s.ow), i = o / s.ow % s.oh, j = o % s.ow, best = -1, count = 0,
                real = 0;
        double sum = 0;
        for (int64_t u = 0; u < s.kh; u++)
            for (int64_t v = 0; v < s.kw; v++) {
                int64_t r = i * s.sh - s.pt + u * s.dh, q = j * s.sw - s.pl + v * s.dw;
                if (r < s.h + s.pb && q < s.w + s.pr) count++;
                if (r < 0 || q < 0 || r >= s.h || q >= s.w) continue;
                int64_t at = (plane * s.h + r) * s.w + q;
                real++, sum += (double)x[at];
                if (best < 0 || x[at] > x[best]) best = at;
            }
        double got = omma_get_number(type, t->out[0].data, o);
        if (average) {
            double want = real ? sum / (double)(include ? count : real) : 0;
            if (!(fabs(got - want) < 1e-3)) fail_msg("average %g, not %g", got, want);
            continue;
        }
        if (best < 0) continue; /* a window of nothing but padding */
        assert_true(got == (double)x[best]);
        if (n_out == 1) continue;
        int64_t r = best / s.w % s.h, q = best % s.w,
                want = plane * s.h * s.w + (order ? r + q * s.h : r * s.w + q);
        assert_int_equal(((int64_t *)t->out[1].data)[o], want);
    }
    test_free(copy), test_free(x);
    optest_free(t);
}

static void pool_random(void **state) {
    (void)state;
    for (int i = 0; i < 300; i++) pool_case(i % 2, i % 3 == 2 && i % 2 ? 1 : i % 3);
}

/* ceil_mode: 5 by kernel 2 stride 2: the last window has one number. With a declared pad
 * behind, that counts, what ceil_mode adds does not. */
static void pool_ceil(void **state) {
    (void)state;
    optest *t = optest_new("AveragePool", 19);
    optest_f32(t, (const float[]){1, 2, 3, 4, 8}, OPTEST_DIMS(1, 1, 5));
    optest_ints(t, "kernel_shape", (const int64_t[]){4}, 1);
    optest_ints(t, "strides", (const int64_t[]){3}, 1);
    optest_ints(t, "pads", (const int64_t[]){0, 1}, 2);
    optest_int(t, "ceil_mode", 1), optest_int(t, "count_include_pad", 1);
    const omma_tensor *y = optest_run(t, 1);
    assert_int_equal(y->dims[2], 2);
    assert_true(((float *)y->data)[0] == 2.5f && ((float *)y->data)[1] == 4); /* (4 + 8 + 0) / 3 */
    optest_free(t);
    t = optest_new("MaxPool", 12);
    optest_f32(t, (const float[]){1, NAN, 3, 4, 8, 7}, OPTEST_DIMS(1, 1, 6));
    optest_ints(t, "kernel_shape", (const int64_t[]){2}, 1);
    optest_ints(t, "strides", (const int64_t[]){2}, 1);
    y = optest_run(t, 1);
    assert_true(isnan(((float *)y->data)[0]));
    assert_true(((float *)y->data)[1] == 4 && ((float *)y->data)[2] == 8);
    optest_free(t);
}

static void pool_global(void **state) {
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        bool average = kind & 1, wide = kind & 2;
        float *x = noise(6 * 35);
        double *d = test_calloc(6 * 35, sizeof *d);
        for (int i = 0; i < 6 * 35; i++) d[i] = (double)x[i];
        optest *t = optest_new(average ? "GlobalAveragePool" : "GlobalMaxPool", 13);
        optest_put(t, false, wide ? OMMA_F64 : OMMA_F32, wide ? (void *)d : (void *)x, 5,
                   (const int64_t[]){2, 3, 5, 7, 1});
        run_all(t, 1);
        assert_int_equal(t->out[0].rank, 5);
        for (int i = 0; i < 6; i++) {
            double want = average ? 0 : -INFINITY;
            for (int k = 0; k < 35; k++)
                want = average ? want + d[i * 35 + k] / 35 : fmax(want, d[i * 35 + k]);
            assert_true(fabs(omma_get_number(t->out[0].dtype, t->out[0].data, i) - want) < 1e-6);
        }
        test_free(x), test_free(d);
        optest_free(t);
    }
}

static void pool_refuses(void **state) {
    (void)state;
    static const float x[16];
    static const int64_t two[] = {2, 2};
    const struct {
        const char *attr;
        int64_t v[4];
        int n;
    } cases[] = {{"kernel_shape", {0, 1}, 2},         {"kernel_shape", {5, 1}, 2},
                 {"kernel_shape", {INT64_MAX, 1}, 2}, {"kernel_shape", {3}, 1},
                 {"kernel_shape", {-3, 3}, 2},        {"strides", {0, 1}, 2},
                 {"strides", {INT64_MIN, 1}, 2},      {"other", {0}, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        optest *t = optest_new(i % 2 ? "AveragePool" : "MaxPool", 12);
        optest_f32(t, x, OPTEST_DIMS(1, 1, 4, 4));
        if (!strcmp(cases[i].attr, "strides")) optest_ints(t, "kernel_shape", two, 2);
        if (cases[i].n) optest_ints(t, cases[i].attr, cases[i].v, cases[i].n);
        refused(t, 1);
    }
}

int main(void) {
    setenv("OMMA_THREADS", "8", 1);
    const struct CMUnitTest tests[] = {cmocka_unit_test(conv_random),
                                       cmocka_unit_test(conv_ranks),
                                       cmocka_unit_test(conv_same),
                                       cmocka_unit_test(conv_empty),
                                       cmocka_unit_test(conv_refuses),
                                       cmocka_unit_test(transpose_apart),
                                       cmocka_unit_test(transpose_random),
                                       cmocka_unit_test(transpose_taps),
                                       cmocka_unit_test(transpose_output_shape),
                                       cmocka_unit_test(transpose_refuses),
                                       cmocka_unit_test(pool_random),
                                       cmocka_unit_test(pool_ceil),
                                       cmocka_unit_test(pool_global),
                                       cmocka_unit_test(pool_refuses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
