/* test_op_sample.c - Resize, Upsample and GridSample: vectors computed by hand or by
 * PyTorch, loops written from the definitions over random shapes, what must be refused,
 * and the same bits for 1, 2 and 8 threads. */
#include <math.h>
#include <stdlib.h>

#include "optest.h"

static uint32_t seed = 3;

static uint32_t rnd(uint32_t n) {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

static float *noise(int64_t n, float scale) {
    float *x = test_malloc((size_t)(n ? n : 1) * sizeof *x);
    for (int64_t i = 0; i < n; i++) x[i] = ((float)rnd(2001) / 1000 - 1) * scale;
    return x;
}

static void close_to(const omma_tensor *y, const double *want, int64_t n, double tolerance) {
    assert_int_equal(omma_tensor_count(y), n);
    for (int64_t i = 0; i < n; i++) {
        double got = omma_get_number(y->dtype, y->data, i);
        if (!(fabs(got - want[i]) <= tolerance))
            fail_msg("number %lld is %.9g, not %.9g", (long long)i, got, want[i]);
    }
}

static void run_all(optest *t) {
    omma_tensor first = {0};
    for (int threads = 1; threads <= 8; threads = threads == 1 ? 2 : threads * 4) {
        omma_status s = optest_try(t, 1, threads);
        if (s) fail_msg("%s: %s", t->op, t->err.message);
        size_t bytes = (size_t)omma_tensor_count(&t->out[0]) * omma_dtype_size(t->out[0].dtype);
        if (threads == 1) first = t->out[0];
        else if (bytes) assert_memory_equal(first.data, t->out[0].data, bytes);
    }
}

static void refused(optest *t) {
    assert_int_not_equal(optest_try(t, 1, 1), OMMA_OK);
    assert_true(t->err.message[0] != 0);
    optest_free(t);
}

static void put_floats(optest *t, const float *x, int64_t n) {
    optest_put(t, true, OMMA_F32, x, 1, &n);
}

/* A Resize of x with sizes, or with scales when sizes is NULL. */
static optest *resize(const float *x, int rank, const int64_t *dims, const int64_t *sizes,
                      const float *scales) {
    optest *t = optest_new("Resize", 19);
    optest_f32(t, x, dims, rank);
    optest_skip(t);
    if (scales) put_floats(t, scales, rank);
    else optest_skip(t), optest_list(t, sizes, rank);
    return t;
}

/* --- vectors ------------------------------------------------------------------------------ */

static void one_to_sixteen(float *x) {
    for (int i = 0; i < 16; i++) x[i] = (float)(i + 1);
}

static void resize_vectors(void **state) {
    (void)state;
    float x[16];
    one_to_sixteen(x);
    const struct {
        const char *mode, *coordinate, *nearest;
        int64_t h, w;
        double want[15];
    } cases[] = {
        {"cubic",
         "half_pixel",
         "floor",
         2,
         3,
         {2.75115776, 4.125, 5.49884367, 11.50115967, 12.875, 14.24884510}},
        {"linear",
         "half_pixel",
         "floor",
         2,
         3,
         {3.16666675, 4.5, 5.83333349, 11.16666698, 12.5, 13.83333302}},
        {"linear",
         "pytorch_half_pixel",
         "floor",
         2,
         3,
         {3.16666675, 4.5, 5.83333349, 11.16666698, 12.5, 13.83333302}},
        {"nearest", "asymmetric", "floor", 3, 5, {1, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 9, 10, 11, 12}},
        {"linear", "align_corners", "floor", 2, 2, {1, 4, 13, 16}},
        {"linear", "align_corners", "floor", 1, 3, {1, 2.5, 4}},
        {"nearest", "half_pixel", "round_prefer_floor", 2, 2, {1, 3, 9, 11}},
        {"nearest", "half_pixel", "round_prefer_ceil", 2, 2, {6, 8, 14, 16}},
        {"nearest", "half_pixel", "ceil", 2, 2, {6, 8, 14, 16}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int64_t sizes[] = {1, 1, cases[i].h, cases[i].w};
        optest *t = resize(x, 4, (const int64_t[]){1, 1, 4, 4}, sizes, NULL);
        optest_string(t, "mode", cases[i].mode);
        optest_string(t, "coordinate_transformation_mode", cases[i].coordinate);
        optest_string(t, "nearest_mode", cases[i].nearest);
        run_all(t);
        close_to(&t->out[0], cases[i].want, cases[i].h * cases[i].w, 4e-6);
        optest_free(t);
    }
}

/* The taps of 4 -> 8 by half pixels, read off with unit impulses. */
static void resize_taps(void **state) {
    (void)state;
    const double want[4][8] = {{1, .75, .25, 0, 0, 0, 0, 0},
                               {0, .25, .75, .75, .25, 0, 0, 0},
                               {0, 0, 0, .25, .75, .75, .25, 0},
                               {0, 0, 0, 0, 0, .25, .75, 1}};
    for (int i = 0; i < 4; i++)
        for (int rank = 1; rank <= 4; rank++) {
            float x[4] = {0};
            const int64_t dims[] = {1, 1, 1, 4}, sizes[] = {1, 1, 1, 8};
            x[i] = 1;
            optest *t = resize(x, rank, dims + 4 - rank, sizes + 4 - rank, NULL);
            optest_string(t, "mode", "linear");
            run_all(t);
            close_to(&t->out[0], want[i], 8, 0);
            optest_free(t);
        }
}

static void resize_lengths(void **state) {
    (void)state;
    float x[16];
    one_to_sixteen(x);
    /* keep_aspect_ratio_policy: 2x8 into 4x4: scale 0.5 or 2, lengths 1x4 or 4x16 */
    const struct {
        const char *policy;
        int64_t h, w;
    } cases[] = {{"stretch", 4, 4}, {"not_larger", 1, 4}, {"not_smaller", 4, 16}};
    for (int i = 0; i < 3; i++) {
        optest *t = optest_new("Resize", 18);
        optest_f32(t, x, OPTEST_DIMS(1, 1, 2, 8));
        optest_skip(t), optest_skip(t), optest_list(t, (const int64_t[]){4, 4}, 2);
        optest_ints(t, "axes", (const int64_t[]){-2, 3}, 2);
        optest_string(t, "keep_aspect_ratio_policy", cases[i].policy);
        run_all(t);
        assert_int_equal(t->out[0].dims[2], cases[i].h);
        assert_int_equal(t->out[0].dims[3], cases[i].w);
        optest_free(t);
    }
    /* scales: floor(4 * 0.6) = 2, floor(10 * 0.7f) in float = 7 */
    optest *t = resize(x, 2, (const int64_t[]){1, 10}, NULL, (const float[]){1, 0.7f});
    run_all(t);
    assert_int_equal(t->out[0].dims[1], 7);
    optest_free(t);
    /* versions 7, 9 of Upsample and 10 of Resize: asymmetric, rounding down */
    for (int version = 7; version <= 10; version += version == 7 ? 2 : 1) {
        t = optest_new(version == 10 ? "Resize" : "Upsample", version);
        static const float scales[] = {1, 1.6f};
        omma_attr a = {.name = "scales", .kind = OMMA_ATTR_FLOATS, .floats = scales, .count = 2};
        optest_f32(t, x, OPTEST_DIMS(1, 5));
        if (version == 7) t->attrs[t->n_attrs++] = a;
        else put_floats(t, scales, 2);
        run_all(t);
        close_to(&t->out[0], (const double[]){1, 1, 2, 2, 3, 4, 4, 5}, 8, 0);
        optest_free(t);
    }
}

/* tf_crop_and_resize: the middle of the map, and beyond it the extrapolation value. */
static void resize_crop(void **state) {
    (void)state;
    for (int nearest = 0; nearest < 2; nearest++) {
        optest *t = optest_new("Resize", 13);
        optest_f32(t, (const float[]){0, 1, 2, 3, 4}, OPTEST_DIMS(1, 5));
        put_floats(t, (const float[]){0, 0.25f, 1, 1.5f}, 4); /* x = 1 .. 6 */
        optest_skip(t), optest_list(t, (const int64_t[]){1, 6}, 2);
        optest_string(t, "mode", nearest ? "nearest" : "linear");
        optest_string(t, "coordinate_transformation_mode", "tf_crop_and_resize");
        optest_float(t, "extrapolation_value", 9);
        run_all(t);
        close_to(&t->out[0], (const double[]){1, 2, 3, 4, 9, 9}, 6, 1e-6);
        optest_free(t);
    }
}

/* Antialiased linear 8 -> 4: the triangle 1 3 3 1 over 8, edges renormalised or repeated. */
static void resize_antialias(void **state) {
    (void)state;
    const float x[] = {8, 0, 0, 16, 0, 0, 0, 8};
    for (int exclude = 0; exclude < 2; exclude++) {
        optest *t = resize(x, 2, (const int64_t[]){1, 8}, (const int64_t[]){1, 4}, NULL);
        optest_string(t, "mode", "linear");
        optest_int(t, "antialias", 1), optest_int(t, "exclude_outside", exclude);
        run_all(t);
        const double edge = exclude ? 24 / 7. : 4; /* 3*8/7, (1+3)*8/8 */
        close_to(&t->out[0], (const double[]){edge, 6, 2, edge}, 4, 1e-5);
        optest_free(t);
    }
}

/* --- against the definition ------------------------------------------------------------------ */

static double coordinate(int how, double o, double in, double out) {
    switch (how) {
    case 0: return (o + 0.5) * in / out - 0.5;
    case 1: return out > 1 ? (o + 0.5) * in / out - 0.5 : 0;
    case 2: return out > 1 ? o * (in - 1) / (out - 1) : 0;
    default: return o * in / out;
    }
}

static double kernel(int mode, double t) {
    const double a = -0.75;
    t = fabs(t);
    if (mode == 1) return t < 1 ? 1 - t : 0;
    if (t <= 1) return (a + 2) * pow(t, 3) - (a + 3) * pow(t, 2) + 1;
    return t < 2 ? a * pow(t, 3) - 5 * a * pow(t, 2) + 8 * a * t - 4 * a : 0;
}

/* Along the middle axis of x [outer, in, inner]; mode 0 nearest (round half down). */
static double *naive_axis(const double *x, int64_t outer, int64_t in, int64_t inner, int64_t out,
                          int mode, int how) {
    double *y = test_calloc((size_t)(outer * out * inner), sizeof *y);
    for (int64_t o = 0; o < out; o++) {
        double at = coordinate(how, (double)o, (double)in, (double)out);
        for (int64_t i = -3; i < in + 3; i++) {
            double w = mode ? kernel(mode, at - (double)i) : ceil(at - 0.5) == (double)i;
            int64_t from = i < 0 ? 0 : i >= in ? in - 1 : i;
            for (int64_t p = 0; p < outer; p++)
                for (int64_t q = 0; q < inner; q++)
                    y[(p * out + o) * inner + q] += w * x[(p * in + from) * inner + q];
        }
    }
    return y;
}

static void resize_case(omma_dtype type) {
    static const char *const modes[] = {"nearest", "linear", "cubic"};
    static const char *const hows[] = {"half_pixel", "pytorch_half_pixel", "align_corners",
                                       "asymmetric"};
    int mode = (int)rnd(3), how = (int)rnd(4), fixed = (int)rnd(2), rank = 4;
    const bool last = rnd(3) == 0; /* [N, H, W, C] */
    int64_t dims[4], sizes[4], count = 1;
    for (int d = 0; d < rank; d++) {
        dims[d] = 1 + rnd(d < 2 ? 4 : last && d == 3 ? 40 : 14);
        sizes[d] = d < 2 && fixed ? dims[d] : 1 + rnd(d < 2 ? 4 : 20);
        if (last && d == 1) dims[d] = 1 + rnd(10), sizes[d] = 1 + rnd(20);
        if (rnd(4) == 0 || (last && d % 3 == 0)) sizes[d] = dims[d];
        count *= dims[d];
    }
    float *x = noise(count, 50);
    double *y = test_calloc((size_t)count, sizeof *y);
    void *copy = test_calloc((size_t)count, 8);
    for (int64_t i = 0; i < count; i++)
        omma_set_number(type, copy, i, (double)(type == OMMA_I8 ? roundf(x[i]) : x[i])),
            y[i] = omma_get_number(type, copy, i);
    optest *t = optest_new("Resize", 13);
    optest_put(t, false, type, copy, rank, dims);
    optest_skip(t), optest_skip(t), optest_list(t, sizes, rank);
    optest_string(t, "mode", modes[mode]),
        optest_string(t, "coordinate_transformation_mode", hows[how]);
    run_all(t);
    for (int d = 0; d < rank; d++) {
        int64_t outer = 1, inner = 1;
        for (int i = 0; i < rank; i++)
            *(i < d ? &outer : &inner) *= i < d ? sizes[i] : i > d ? dims[i] : 1;
        double *next = naive_axis(y, outer, dims[d], inner, sizes[d], mode, how);
        test_free(y);
        y = next;
    }
    close_to(&t->out[0], y, sizes[0] * sizes[1] * sizes[2] * sizes[3],
             type == OMMA_I8    ? 0.5001
             : type == OMMA_F16 ? 0.05
                                : 1e-4);
    test_free(x), test_free(y), test_free(copy);
    optest_free(t);
}

static void resize_random(void **state) {
    (void)state;
    for (int i = 0; i < 300; i++) resize_case(OMMA_F32);
    for (int i = 0; i < 40; i++) resize_case(i % 2 ? OMMA_F64 : OMMA_F16);
    for (int i = 0; i < 40; i++) resize_case(OMMA_I8);
}

static void resize_refuses(void **state) {
    (void)state;
    static const float x[16];
    const float scales[][2] = {{1, 0}, {1, -1}, {1, NAN}, {1, INFINITY}, {1, 1e30f}};
    for (int i = 0; i < 5; i++) refused(resize(x, 2, (const int64_t[]){4, 4}, NULL, scales[i]));
    const int64_t sizes[][2] = {{4, -1}, {4, INT64_MAX}, {INT64_MIN, 4}};
    for (int i = 0; i < 3; i++) refused(resize(x, 2, (const int64_t[]){4, 4}, sizes[i], NULL));
    refused(resize(x, 2, (const int64_t[]){4, 0}, (const int64_t[]){4, 4}, NULL));
    optest *t = optest_new("Resize", 13); /* neither */
    optest_f32(t, x, OPTEST_DIMS(4, 4));
    refused(t);
    t = optest_new("Resize", 13); /* both */
    optest_f32(t, x, OPTEST_DIMS(4, 4)), optest_skip(t);
    put_floats(t, (const float[]){1, 1}, 2), optest_list(t, (const int64_t[]){4, 4}, 2);
    refused(t);
    t = optest_new("Resize", 13); /* too few */
    optest_f32(t, x, OPTEST_DIMS(4, 4)), optest_skip(t), put_floats(t, (const float[]){1}, 1);
    refused(t);
    const struct {
        const char *name, *value;
    } strings[] = {{"mode", "quintic"},
                   {"coordinate_transformation_mode", "?"},
                   {"nearest_mode", ""},
                   {"keep_aspect_ratio_policy", "x"}};
    for (int i = 0; i < 4; i++) {
        t = resize(x, 2, (const int64_t[]){4, 4}, (const int64_t[]){2, 2}, NULL);
        optest_string(t, strings[i].name, strings[i].value);
        refused(t);
    }
    const int64_t axes[][2] = {{0, 0}, {0, 2}, {-3, 0}};
    for (int i = 0; i < 3; i++) {
        t = resize(x, 2, (const int64_t[]){4, 4}, (const int64_t[]){2, 2}, NULL);
        optest_ints(t, "axes", axes[i], 2);
        refused(t);
    }
    t = resize(x, 2, (const int64_t[]){4, 4}, (const int64_t[]){2, 2}, NULL); /* no roi */
    optest_string(t, "coordinate_transformation_mode", "tf_crop_and_resize");
    refused(t);
}

/* --- GridSample --------------------------------------------------------------------------------
 */

/* Deformable attention's vector: value 1..12 as [1, 6, 1, 2] over a map of 2x3, places
 * (.25, .5) and (.9, .1), weights .75 and .25. */
static void sample_msda(void **state) {
    (void)state;
    const float value[] = {1, 3, 5, 7, 9, 11, 2, 4, 6, 8, 10, 12};
    const float grid[] = {2 * .25f - 1, 2 * .5f - 1, 2 * .9f - 1, 2 * .1f - 1};
    optest *t = optest_new("GridSample", 16);
    optest_f32(t, value, OPTEST_DIMS(1, 2, 2, 3)), optest_f32(t, grid, OPTEST_DIMS(1, 1, 2, 2));
    run_all(t);
    const float *y = t->out[0].data;
    assert_true(fabsf(.75f * y[0] + .25f * y[1] - 4.075f) < 1e-5f);
    assert_true(fabsf(.75f * y[2] + .25f * y[3] - 4.965f) < 1e-5f);
    optest_free(t);
}

static double fold(double v, double lo, double hi) {
    if (hi <= lo) return lo;
    while (v < lo || v > hi) v = v < lo ? 2 * lo - v : 2 * hi - v;
    return v;
}

/* The place in pixels with padding applied, as PyTorch does for nearest and linear. */
static double place(double g, double len, int padding, bool align) {
    double v = align ? (g + 1) / 2 * (len - 1) : ((g + 1) * len - 1) / 2;
    if (padding == 2) v = align ? fold(v, 0, len - 1) : fold(v, -0.5, len - 0.5);
    if (padding >= 1) v = fmin(fmax(v, 0), len - 1);
    return v;
}

/* k axes; mode 0 nearest, 1 linear, 2 cubic (zeros only). */
static void sample_case(int k, int mode, int padding, bool align) {
    static const char *const modes[][2] = {
        {"nearest", "nearest"}, {"bilinear", "linear"}, {"bicubic", "cubic"}};
    static const char *const paddings[] = {"zeros", "border", "reflection"};
    int64_t n = 1 + rnd(2), c = 1 + rnd(4), points = 1, plane = 1, dims[5] = {n, c},
            grid_dims[5] = {n};
    for (int d = 0; d < k; d++)
        dims[d + 2] = 1 + rnd(7), grid_dims[d + 1] = 1 + rnd(9), plane *= dims[d + 2],
                 points *= grid_dims[d + 1];
    grid_dims[k + 1] = k;
    float *x = noise(n * c * plane, 1), *g = noise(n * points * k, 1.7f);
    optest *t = optest_new("GridSample", mode == 1 && k == 2 && rnd(2) ? 16 : 20);
    optest_f32(t, x, dims, k + 2), optest_f32(t, g, grid_dims, k + 2);
    optest_string(t, "mode", modes[mode][t->opset == 20]),
        optest_string(t, "padding_mode", paddings[padding]);
    optest_int(t, "align_corners", align);
    run_all(t);
    const float *y = t->out[0].data;
    for (int64_t i = 0; i < n * points; i++) {
        double at[3];
        for (int d = 0; d < k; d++)
            at[d] = place((double)g[i * k + k - 1 - d], (double)dims[d + 2], padding, align);
        for (int64_t ch = 0; ch < c; ch++) {
            double want = 0;
            for (int64_t p = 0; p < plane; p++) {
                double w = 1;
                int64_t rest = p;
                for (int d = k - 1; d >= 0; d--) {
                    double at_d = (double)(rest % dims[d + 2]);
                    w *= mode ? kernel(mode, at[d] - at_d) : nearbyint(at[d]) == at_d;
                    rest /= dims[d + 2];
                }
                want += w * (double)x[(i / points * c + ch) * plane + p];
            }
            double got = (double)y[(i / points * c + ch) * points + i % points];
            if (!(fabs(got - want) < 2e-5))
                fail_msg("%d axes, %s, %s, align %d: %.9g, not %.9g", k, modes[mode][1],
                         paddings[padding], align, got, want);
        }
    }
    test_free(x), test_free(g);
    optest_free(t);
}

static void sample_random(void **state) {
    (void)state;
    for (int i = 0; i < 240; i++) sample_case(2 + i % 2, i / 2 % 2, i / 4 % 3, i / 12 % 2);
    for (int i = 0; i < 40; i++) sample_case(2, 2, 0, i % 2);
}

/* Places no pixel answers to. */
static void sample_wild(void **state) {
    (void)state;
    static const float x[] = {1, 2, 3, 4};
    const float wild[] = {NAN, INFINITY, -INFINITY, 1e30f, -1e30f, 3e9f};
    for (int padding = 0; padding < 3; padding++)
        for (int mode = 0; mode < 3; mode++)
            for (int align = 0; align < 2; align++) {
                optest *t = optest_new("GridSample", 20);
                float g[12];
                for (int i = 0; i < 6; i++) g[2 * i] = wild[i], g[2 * i + 1] = wild[5 - i];
                optest_f32(t, x, OPTEST_DIMS(1, 1, 2, 2)),
                    optest_f32(t, g, OPTEST_DIMS(1, 6, 1, 2));
                optest_string(t, "mode", (const char *const[]){"nearest", "linear", "cubic"}[mode]);
                optest_string(t, "padding_mode",
                              (const char *const[]){"zeros", "border", "reflection"}[padding]);
                optest_int(t, "align_corners", align);
                run_all(t);
                for (int i = 0; i < 6; i++) {
                    float v = ((float *)t->out[0].data)[i];
                    assert_true(padding ? v > 0 && v < 5 : v == 0);
                }
                optest_free(t);
            }
}

static void sample_refuses(void **state) {
    (void)state;
    static const float x[64];
    const struct {
        int64_t x[5], g[5];
        int rx, rg;
    } cases[] = {{{1, 1, 4, 4}, {1, 2, 2, 3}, 4, 4},
                 {{1, 1, 4, 4}, {2, 2, 2, 2}, 4, 4},
                 {{1, 1, 4}, {1, 2, 1}, 3, 3},
                 {{1, 1, 4, 4}, {1, 2, 2}, 4, 3},
                 {{1, 1, 0, 4}, {1, 2, 2, 2}, 4, 4}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        optest *t = optest_new("GridSample", 20);
        optest_f32(t, x, cases[i].x, cases[i].rx), optest_f32(t, x, cases[i].g, cases[i].rg);
        refused(t);
    }
    for (int i = 0; i < 2; i++) {
        optest *t = optest_new("GridSample", 20);
        optest_f32(t, x, OPTEST_DIMS(1, 1, 4, 4)), optest_f32(t, x, OPTEST_DIMS(1, 2, 2, 2));
        optest_string(t, i ? "mode" : "padding_mode", "odd");
        refused(t);
    }
    optest *t = optest_new("GridSample", 20);
    optest_f32(t, x, OPTEST_DIMS(1, 1, 2, 2, 2)), optest_f32(t, x, OPTEST_DIMS(1, 1, 1, 1, 3));
    optest_string(t, "mode", "cubic");
    refused(t);
}

int main(void) {
    setenv("OMMA_THREADS", "8", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resize_vectors),   cmocka_unit_test(resize_taps),
        cmocka_unit_test(resize_lengths),   cmocka_unit_test(resize_crop),
        cmocka_unit_test(resize_antialias), cmocka_unit_test(resize_random),
        cmocka_unit_test(resize_refuses),   cmocka_unit_test(sample_msda),
        cmocka_unit_test(sample_random),    cmocka_unit_test(sample_wild),
        cmocka_unit_test(sample_refuses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
