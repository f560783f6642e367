/* test_op_more.c - operators that detectors and older models bring: normalisations that only
 * divide, Swish and arcs, RoiAlign, DeformConv, Col2Im, CenterCropPad, Scatter, and those
 * whose output is as long as the data says. Each against plain loops or vectors by hand. */
#include <math.h>
#include <stdlib.h>

#include "movement.h"

static uint32_t seed = 3;

static uint32_t rnd(uint32_t n) {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

static double real(void) { return ((double)rnd(4001) - 2000) / 1000; }

/* An input of random numbers; what was put, as double (free it). */
static double *put(optest *t, omma_dtype type, const int64_t *dims, int rank) {
    int64_t n = 1;
    for (int d = 0; d < rank; d++) n *= dims[d];
    double *x = test_malloc((size_t)n * sizeof *x + 1);
    char *data = test_malloc((size_t)n * 8 + 1);
    for (int64_t i = 0; i < n; i++) {
        omma_set_number(type, data, i, real());
        x[i] = omma_get_number(type, data, i);
    }
    optest_put(t, false, type, data, rank, dims);
    test_free(data);
    return x;
}

static void near(const omma_tensor *got, int64_t i, double want, double tolerance) {
    const double v = omma_get_number(got->dtype, got->data, i);
    if (v == want || (isnan(v) && isnan(want)) || fabs(v - want) <= tolerance * fmax(1, fabs(want)))
        return;
    fail_msg("number %lld is %g, not %g", (long long)i, v, want);
}

static const omma_dtype types[] = {OMMA_F32, OMMA_F32, OMMA_F32, OMMA_F64, OMMA_F16, OMMA_BF16};
static const double tolerances[] = {2e-5, 2e-5, 2e-5, 1e-6, 2e-2, 2e-1};

/* --- normalisations -------------------------------------------------------------------------- */

static void rms(void **state) {
    (void)state;
    for (int i = 0; i < 200; i++) {
        const int64_t dims[3] = {1 + rnd(4), 1 + rnd(5), 1 + rnd(40)};
        const int axis = (int)rnd(3), rank = (int)rnd(4);
        int64_t scale[3], len = 1;
        for (int d = 0; d < rank; d++) scale[d] = rnd(3) ? dims[3 - rank + d] : 1;
        for (int d = axis; d < 3; d++) len *= dims[d];
        optest *t = optest_new("RMSNormalization", 23);
        double *x = put(t, types[i % 6], dims, 3), *w = put(t, types[i % 6], scale, rank);
        optest_int(t, "axis", rnd(2) ? axis : axis - 3);
        optest_float(t, "epsilon", 0.01f);
        const omma_tensor *y = optest_run(t, 1);
        for (int64_t k = 0; k < dims[0] * dims[1] * dims[2]; k++) {
            const int64_t at[3] = {k / dims[2] / dims[1], k / dims[2] % dims[1], k % dims[2]};
            double sum = 0;
            int64_t place = 0;
            for (int64_t j = k / len * len; j < k / len * len + len; j++) sum += x[j] * x[j];
            for (int d = 0; d < rank; d++)
                place = place * scale[d] + (scale[d] == 1 ? 0 : at[3 - rank + d]);
            near(y, k, x[k] / sqrt(sum / (double)len + (double)0.01f) * w[place],
                 tolerances[i % 6]);
        }
        test_free(x), test_free(w);
        optest_free(t);
    }
}

static void lp(void **state) {
    (void)state;
    for (int i = 0; i < 200; i++) {
        const int64_t dims[3] = {1 + rnd(4), 1 + rnd(300), 1 + rnd(i % 5 ? 5 : 300)};
        const int axis = (int)rnd(3), p = 1 + (int)rnd(2);
        optest *t = optest_new("LpNormalization", 22);
        double *x = put(t, types[i % 6], dims, 3);
        optest_int(t, "axis", axis), optest_int(t, "p", p);
        const omma_tensor *y = optest_run(t, 1);
        const int64_t inner = axis == 2 ? 1 : axis == 1 ? dims[2] : dims[1] * dims[2];
        for (int64_t k = 0; k < dims[0] * dims[1] * dims[2]; k++) {
            const int64_t first = k / inner / dims[axis] * dims[axis] * inner + k % inner;
            double sum = 0;
            for (int64_t j = 0; j < dims[axis]; j++) sum += pow(fabs(x[first + j * inner]), p);
            near(y, k, sum == 0 ? 0 : x[k] / pow(sum, 1.0 / p), tolerances[i % 6]);
        }
        test_free(x);
        optest_free(t);
    }
    optest *t = optest_new("LpNormalization", 1); /* nothing to divide by */
    optest_f32(t, F(0, 0, 3, -4), OPTEST_DIMS(2, 2));
    expect(optest_run(t, 1), OMMA_F32, F(0, 0, 0.6f, -0.8f), OPTEST_DIMS(2, 2));
    optest_free(t);
    t = optest_new("LpNormalization", 1);
    optest_f32(t, F(0, 0, 3, -4), OPTEST_DIMS(2, 2));
    optest_int(t, "p", 3);
    expect_error(t, 1, OMMA_E_SHAPE);
}

static void lrn(void **state) {
    (void)state;
    for (int i = 0; i < 120; i++) {
        const int64_t dims[3] = {1 + rnd(3), 1 + rnd(9), 1 + rnd(i % 4 ? 4 : 600)},
                      size = 1 + rnd(7);
        const double alpha = rnd(4) ? 0.5 : -0.01, beta = 0.75, bias = rnd(4) ? 1.5 : 0;
        optest *t = optest_new("LRN", 13);
        double *x = put(t, types[i % 6], dims, 3);
        optest_int(t, "size", size);
        optest_float(t, "alpha", (float)alpha), optest_float(t, "bias", (float)bias);
        const omma_tensor *y = optest_run(t, 1);
        for (int64_t k = 0; k < dims[0] * dims[1] * dims[2]; k++) {
            const int64_t c = k / dims[2] % dims[1];
            double sum = 0;
            for (int64_t j = c - (size - 1) / 2; j <= c + size / 2; j++)
                if (j >= 0 && j < dims[1]) sum += pow(x[k + (j - c) * dims[2]], 2);
            near(y, k, x[k] / pow(bias + (double)((float)alpha / (float)size) * sum, beta),
                 5 * tolerances[i % 6]);
        }
        test_free(x);
        optest_free(t);
    }
    optest *t = optest_new("LRN", 13);
    optest_f32(t, F(1, 2), OPTEST_DIMS(1, 2));
    expect_error(t, 1, OMMA_E_SHAPE); /* no size */
}

/* --- each number alone ---------------------------------------------------------------------------
 */

static void arcs_and_swish(void **state) {
    (void)state;
    static const char *const ops[] = {"Asin", "Atan", "Swish", "Swish"};
    for (int i = 0; i < 24; i++) {
        const double alpha = i % 4 == 3 ? 1.5 : 1;
        optest *t = optest_new(ops[i % 4], 24);
        double *x = put(t, types[i / 4], OPTEST_DIMS(7, 500));
        if (i % 4 == 3) optest_float(t, "alpha", (float)alpha);
        const omma_tensor *y = optest_run(t, 1);
        for (int64_t k = 0; k < 3500; k++)
            near(y, k,
                 i % 4 == 0   ? asin(x[k])
                 : i % 4 == 1 ? atan(x[k])
                              : x[k] / (1 + exp(-alpha * x[k])),
                 tolerances[i / 4]);
        test_free(x);
        optest_free(t);
    }
}

/* --- RoiAlign
 * -------------------------------------------------------------------------------------- */

typedef struct map {
    const double *x;
    int64_t h, w;
} map;

/* The sample at (y, x), or the largest of its weighted corners. */
static double sample(const map *m, double y, double x, bool max) {
    if (y < -1 || y > (double)m->h || x < -1 || x > (double)m->w) return 0;
    y = fmin(fmax(y, 0), (double)m->h - 1), x = fmin(fmax(x, 0), (double)m->w - 1);
    const int64_t y0 = (int64_t)y, x0 = (int64_t)x, y1 = y0 + 1 < m->h ? y0 + 1 : y0,
                  x1 = x0 + 1 < m->w ? x0 + 1 : x0;
    const double fy = y - (double)y0, fx = x - (double)x0;
    const double v[4] = {(1 - fy) * (1 - fx) * m->x[y0 * m->w + x0],
                         (1 - fy) * fx * m->x[y0 * m->w + x1], fy * (1 - fx) * m->x[y1 * m->w + x0],
                         fy * fx * m->x[y1 * m->w + x1]};
    return max ? fmax(fmax(v[0], v[1]), fmax(v[2], v[3])) : v[0] + v[1] + v[2] + v[3];
}

static double bin(const map *m, const double *from, const double *size, const int64_t *grid,
                  const int64_t *at, bool max) {
    double sum = 0, most = -INFINITY;
    for (int64_t i = 0; i < grid[1]; i++)
        for (int64_t k = 0; k < grid[0]; k++) {
            const double v = sample(
                m, from[1] + size[1] * ((double)at[1] + ((double)i + 0.5) / (double)grid[1]),
                from[0] + size[0] * ((double)at[0] + ((double)k + 0.5) / (double)grid[0]), max);
            sum += v, most = fmax(most, v);
        }
    if (grid[0] < 1 || grid[1] < 1) return 0;
    return max ? most : sum / (double)(grid[0] * grid[1]);
}

static void roi_align(void **state) {
    (void)state;
    for (int i = 0; i < 200; i++) {
        enum { N = 2, C = 3, R = 4 };
        const int64_t h = 1 + rnd(9), w = 1 + rnd(9), oh = 1 + rnd(4), ow = 1 + rnd(4),
                      ratio = rnd(3);
        const bool max = rnd(2), old = rnd(3) == 0, half = !old && rnd(2);
        optest *t = optest_new("RoiAlign", old ? 10 : 16);
        double *x = put(t, types[i % 6], OPTEST_DIMS(N, C, h, w)), rois[4 * R];
        float as_f32[4 * R];
        int64_t image[R];
        for (int k = 0; k < 4 * R; k++)
            as_f32[k] = (float)rnd(96) / 8 - 1 + (k % 4 > 1 ? 3 : 0), rois[k] = (double)as_f32[k];
        for (int k = 0; k < R; k++) image[k] = rnd(N);
        optest_f32(t, as_f32, OPTEST_DIMS(R, 4));
        optest_i64(t, image, OPTEST_DIMS(R));
        optest_int(t, "output_height", oh), optest_int(t, "output_width", ow),
            optest_int(t, "sampling_ratio", ratio);
        optest_float(t, "spatial_scale", 0.5f), optest_string(t, "mode", max ? "max" : "avg");
        if (!old)
            optest_string(t, "coordinate_transformation_mode",
                          half ? "half_pixel" : "output_half_pixel");
        const omma_tensor *y = optest_run(t, 1);
        for (int64_t k = 0; k < R * C * oh * ow; k++) {
            const int64_t r = k / ow / oh / C, at[2] = {k % ow, k / ow % oh}, out[2] = {ow, oh};
            const map m = {x + (image[r] * C + k / ow / oh % C) * h * w, h, w};
            double from[2], size[2];
            int64_t grid[2];
            for (int a = 0; a < 2; a++) {
                from[a] = rois[4 * r + a] / 2 - (half ? 0.5 : 0);
                double len = (rois[4 * r + 2 + a] - rois[4 * r + a]) / 2;
                if (!half && len < 1) len = 1;
                size[a] = len / (double)out[a];
                grid[a] = ratio ? ratio : (int64_t)ceil(size[a]);
            }
            near(y, k, bin(&m, from, size, grid, at, max), tolerances[i % 6]);
        }
        test_free(x);
        optest_free(t);
    }
}

static void roi_align_bad(void **state) {
    (void)state;
    const float bad[] = {0, NAN, INFINITY, 1e30f, 0, 0};
    for (int i = 0; i < 6; i++) {
        optest *t = optest_new("RoiAlign", 16);
        put_iota(t, OPTEST_DIMS(1, 1, 4, 4));
        optest_f32(t, F(0, 0, bad[i], 2), OPTEST_DIMS(1, 4));
        optest_i64(t, I(i < 4 ? 0 : i == 4 ? 1 : -1), OPTEST_DIMS(1));
        assert_int_equal(optest_try(t, 1, 2), i ? OMMA_E_RANGE : OMMA_OK);
        optest_free(t);
    }
}

/* --- DeformConv
 * -------------------------------------------------------------------------------------- */

/* x at (y, x) with zeros outside. */
static double read_at(const double *plane, int64_t h, int64_t w, double y, double x) {
    double sum = 0;
    for (int64_t i = (int64_t)floor(y); i <= (int64_t)floor(y) + 1; i++)
        for (int64_t k = (int64_t)floor(x); k <= (int64_t)floor(x) + 1; k++)
            if (i >= 0 && i < h && k >= 0 && k < w)
                sum += plane[i * w + k] * (1 - fabs(y - (double)i)) * (1 - fabs(x - (double)k));
    return sum;
}

static void deform_conv(void **state) {
    (void)state;
    for (int i = 0; i < 150; i++) {
        const int64_t g = 1 + rnd(2), og = 1 + rnd(3), c = og * (1 + rnd(2)), m = g * (1 + rnd(5)),
                      h = 4 + rnd(5), w = 4 + rnd(9);
        const int64_t kh = 1 + rnd(3), kw = 1 + rnd(2), sh = 1 + rnd(2), dw = 1 + rnd(2),
                      pad = rnd(2), n = 1 + rnd(2);
        const int64_t oh = (h + 2 * pad - kh) / sh + 1, ow = w + pad - (kw - 1) * dw,
                      taps = kh * kw, pixels = oh * ow;
        optest *t = optest_new("DeformConv", 19);
        double *x = put(t, types[i % 6], OPTEST_DIMS(n, g * c, h, w)),
               *weights = put(t, types[i % 6], OPTEST_DIMS(m, c, kh, kw));
        double *offset = put(t, types[i % 6], OPTEST_DIMS(n, og * taps * 2, oh, ow)), *bias = NULL,
               *mask = NULL;
        if (rnd(2)) bias = put(t, types[i % 6], OPTEST_DIMS(m));
        else optest_skip(t);
        if (rnd(2)) mask = put(t, types[i % 6], OPTEST_DIMS(n, og * taps, oh, ow));
        optest_int(t, "group", g), optest_int(t, "offset_group", og);
        optest_ints(t, "strides", I(sh, 1), 2), optest_ints(t, "dilations", I(1, dw), 2),
            optest_ints(t, "pads", I(pad, pad, pad, 0), 4);
        const omma_tensor *y = optest_run(t, 1);
        assert_int_equal(omma_tensor_count(y), n * m * pixels);
        for (int64_t k = 0; k < n * m * pixels; k++) {
            const int64_t o = k % pixels, ch = k / pixels % m, im = k / pixels / m;
            double sum = bias ? bias[ch] : 0;
            for (int64_t j = 0; j < c * taps; j++) {
                const int64_t tap = j % taps, in = ch / (m / g) * c + j / taps,
                              at = (im * og + in / (g * c / og)) * taps + tap;
                const double py =
                    (double)(o / ow * sh - pad + tap / kw) + offset[2 * at * pixels + o];
                const double px =
                    (double)(o % ow - pad + tap % kw * dw) + offset[(2 * at + 1) * pixels + o];
                sum += weights[ch * c * taps + j] * (mask ? mask[at * pixels + o] : 1) *
                       read_at(x + (im * g * c + in) * h * w, h, w, py, px);
            }
            near(y, k, sum, 4 * tolerances[i % 6]);
        }
        double *all[] = {x, weights, offset, bias, mask};
        for (int a = 0; a < 5; a++)
            if (all[a]) test_free(all[a]);
        optest_free(t);
    }
}

static void deform_conv_bad(void **state) {
    (void)state;
    static const float zeros[64];
    for (int i = 0; i < 5; i++) {
        optest *t = optest_new("DeformConv", 19);
        optest_f32(t, zeros, OPTEST_DIMS(1, 2, 2, 2));
        optest_f32(t, zeros, OPTEST_DIMS(1, i == 0 ? 1 : 2, 1, 1));
        optest_f32(t, zeros, OPTEST_DIMS(1, i == 1 ? 4 : 2, i == 2 ? 1 : 2, 2));
        if (i == 3) optest_f32(t, zeros, OPTEST_DIMS(2));
        if (i == 4) optest_int(t, "offset_group", 0);
        expect_error(t, 1, OMMA_E_SHAPE);
    }
}

/* --- Col2Im, CenterCropPad, Scatter
 * --------------------------------------------------------------------- */

static void col2im(void **state) {
    (void)state;
    static const omma_dtype kinds[] = {OMMA_F32, OMMA_F64, OMMA_F16, OMMA_I32, OMMA_F32, OMMA_U8};
    for (int i = 0; i < 150; i++) {
        const int64_t h = 3 + rnd(6), w = 3 + rnd(9), kh = 1 + rnd(3), kw = 1 + rnd(3),
                      s = 1 + rnd(3), p = rnd(2), d = 1 + (kw < 3 ? rnd(2) : 0);
        const int64_t oh = (h + p - kh) / s + 1, ow = (w + 2 * p - (kw - 1) * d - 1) / 1 + 1,
                      taps = kh * kw;
        optest *t = optest_new("Col2Im", 18);
        double *x = put(t, kinds[i % 6], OPTEST_DIMS(2, 2 * taps, oh * ow)),
               *want = test_calloc((size_t)(4 * h * w), sizeof *want);
        optest_list(t, I(h, w), 2), optest_list(t, I(kh, kw), 2);
        optest_ints(t, "strides", I(s, 1), 2), optest_ints(t, "pads", I(p, p, 0, p), 4),
            optest_ints(t, "dilations", I(1, d), 2);
        for (int64_t k = 0; k < 4 * taps * oh * ow; k++) {
            const int64_t o = k % (oh * ow), tap = k / (oh * ow) % taps,
                          plane = k / (oh * ow) / taps;
            const int64_t y = o / ow * s - p + tap / kw, q = o % ow - p + tap % kw * d;
            if (y >= 0 && y < h && q >= 0 && q < w) want[(plane * h + y) * w + q] += x[k];
        }
        const omma_tensor *y = optest_run(t, 1);
        assert_int_equal(omma_tensor_count(y), 4 * h * w);
        for (int64_t k = 0; k < 4 * h * w; k++) near(y, k, want[k], i % 6 == 2 ? 2e-2 : 1e-5);
        test_free(x), test_free(want);
        optest_free(t);
    }
    optest *t = optest_new("Col2Im", 18); /* three axes; the middle column falls twice on 1 */
    optest_f32(t, F(1, 2, 3, 4), OPTEST_DIMS(1, 2, 2));
    optest_list(t, I(1, 1, 3), 3), optest_list(t, I(1, 1, 2), 3);
    expect(optest_run(t, 1), OMMA_F32, F(1, 5, 4), OPTEST_DIMS(1, 1, 1, 1, 3));
    optest_free(t);
    for (int i = 0; i < 4; i++) {
        t = optest_new("Col2Im", 18);
        put_iota(t, OPTEST_DIMS(1, i == 0 ? 3 : 2, i == 1 ? 3 : 2));
        optest_list(t, I(1, i == 2 ? 0 : 3), 2), optest_list(t, I(1, 2, 2), i == 3 ? 3 : 2);
        expect_error(t, 1, OMMA_E_SHAPE);
    }
}

static void center_crop_pad(void **state) {
    (void)state;
    static const int64_t twice[] = {0, -2};
    optest *t = optest_new("CenterCropPad", 18); /* 5 -> 2 drops 1 and 2; 2 -> 5 adds 1 and 2 */
    put_iota(t, OPTEST_DIMS(5, 2));
    optest_list(t, I(2, 5), 2);
    expect(optest_run(t, 1), OMMA_F32, F(0, 2, 3, 0, 0, 0, 4, 5, 0, 0), OPTEST_DIMS(2, 5));
    optest_free(t);
    t = optest_new("CenterCropPad", 18); /* bytes, one axis, counted from the end */
    optest_put(t, false, OMMA_U8, "\1\2\3\4", 2, I(2, 2));
    optest_list(t, I(1), 1);
    optest_ints(t, "axes", I(-2), 1);
    expect(optest_run(t, 1), OMMA_U8, "\1\2", OPTEST_DIMS(1, 2));
    optest_free(t);
    t = optest_new("CenterCropPad", 18); /* all of nothing */
    optest_f32(t, none_f32, OPTEST_DIMS(0, 2));
    optest_list(t, I(2, 1), 2);
    expect(optest_run(t, 1), OMMA_F32, F(0, 0), OPTEST_DIMS(2, 1));
    optest_free(t);
    for (int i = 0; i < 4; i++) {
        t = optest_new("CenterCropPad", 18);
        put_iota(t, OPTEST_DIMS(2, 2));
        optest_list(t, I(1, i == 0 ? -1 : i == 1 ? INT64_MAX : 1), i == 2 ? 1 : 2);
        if (i == 3) optest_ints(t, "axes", twice, 2);
        expect_error(t, 1, OMMA_E_SHAPE);
    }
}

static void scatter(void **state) {
    (void)state;
    optest *t = optest_new("Scatter", 9);
    optest_f32(t, F(1, 2, 3, 4, 5), OPTEST_DIMS(1, 5));
    optest_i64(t, I(1, 3), OPTEST_DIMS(1, 2));
    optest_f32(t, F(8, 9), OPTEST_DIMS(1, 2));
    optest_int(t, "axis", 1);
    expect(optest_run(t, 1), OMMA_F32, F(1, 8, 3, 9, 5), OPTEST_DIMS(1, 5));
    optest_free(t);
}

/* --- as long as the data says
 * ------------------------------------------------------------------------------ */

static void non_zero(void **state) {
    (void)state;
    optest *t = optest_new("NonZero", 13);
    optest_f32(t, F(0, 1, -0.0f, NAN, 0, 2), OPTEST_DIMS(2, 3));
    expect(optest_run(t, 1), OMMA_I64, I(0, 1, 1, 1, 0, 2), OPTEST_DIMS(2, 3));
    optest_free(t);
    t = optest_new("NonZero", 9);
    optest_put(t, false, OMMA_BOOL, "\0\0\0", 1, I(3));
    expect(optest_run(t, 1), OMMA_I64, NULL, OPTEST_DIMS(1, 0));
    optest_free(t);
    t = optest_new("NonZero", 13);
    optest_put(t, false, OMMA_F16, (uint16_t[]){0x8000, 1, 0, 0x8001}, 3, I(1, 2, 2));
    expect(optest_run(t, 1), OMMA_I64, I(0, 0, 0, 1, 1, 1), OPTEST_DIMS(3, 2));
    optest_free(t);
    t = optest_new("NonZero", 13);
    optest_i64(t, I(INT64_MIN), NULL, 0);
    expect(optest_run(t, 1), OMMA_I64, NULL, OPTEST_DIMS(0, 1));
    optest_free(t);
}

static void compress(void **state) {
    (void)state;
    for (int constant = 0; constant < 2; constant++) {
        optest *t = optest_new("Compress", 11);
        put_iota(t, OPTEST_DIMS(3, 2));
        optest_put(t, constant, OMMA_BOOL, "\0\1\1", 1, I(3));
        optest_int(t, "axis", 0);
        expect(optest_run(t, 1), OMMA_F32, F(2, 3, 4, 5), OPTEST_DIMS(2, 2));
        optest_free(t);
        t = optest_new("Compress", 11); /* a condition shorter than the axis */
        put_iota(t, OPTEST_DIMS(2, 3));
        optest_put(t, constant, OMMA_BOOL, "\0\1", 1, I(2));
        optest_int(t, "axis", -1);
        expect(optest_run(t, 1), OMMA_F32, F(1, 4), OPTEST_DIMS(2, 1));
        optest_free(t);
        t = optest_new("Compress", 9); /* without an axis */
        put_iota(t, OPTEST_DIMS(2, 3));
        optest_put(t, constant, OMMA_BOOL, "\0\1\0\0\1", 1, I(5));
        expect(optest_run(t, 1), OMMA_F32, F(1, 4), OPTEST_DIMS(2));
        optest_free(t);
    }
    optest *t = optest_new("Compress", 11);
    put_iota(t, OPTEST_DIMS(2, 3));
    optest_put(t, false, OMMA_BOOL, "\0\1\1", 1, I(3));
    optest_int(t, "axis", 0);
    expect_error(t, 1, OMMA_E_SHAPE);
}

static float overlap(const float *a, const float *b, bool center) {
    float p[2][4];
    for (int i = 0; i < 2; i++) {
        const float *q = i ? b : a;
        if (center)
            p[i][0] = q[0] - q[2] / 2, p[i][1] = q[1] - q[3] / 2, p[i][2] = q[0] + q[2] / 2,
            p[i][3] = q[1] + q[3] / 2;
        else
            p[i][0] = fminf(q[0], q[2]), p[i][1] = fminf(q[1], q[3]), p[i][2] = fmaxf(q[0], q[2]),
            p[i][3] = fmaxf(q[1], q[3]);
    }
    const float w = fminf(p[0][2], p[1][2]) - fmaxf(p[0][0], p[1][0]),
                h = fminf(p[0][3], p[1][3]) - fmaxf(p[0][1], p[1][1]);
    if (w <= 0 || h <= 0) return 0;
    return w * h /
           ((p[0][2] - p[0][0]) * (p[0][3] - p[0][1]) + (p[1][2] - p[1][0]) * (p[1][3] - p[1][1]) -
            w * h);
}

/* Greedy suppression, the plain way; how many rows of want. */
static int64_t suppress(const float *boxes, const float *scores, int64_t n, int64_t most, float iou,
                        const float *least, bool center, int64_t *want) {
    int64_t k = 0;
    bool used[64] = {false};
    for (int64_t round = 0; round < n && k < most; round++) {
        int64_t best = -1;
        for (int64_t i = 0; i < n; i++)
            if (!used[i] && (!least || scores[i] > *least) &&
                (best < 0 || scores[i] > scores[best]))
                best = i;
        if (best < 0) break;
        used[best] = true;
        bool stays = true;
        for (int64_t i = 0; i < k; i++)
            stays = stays && !(overlap(boxes + 4 * best, boxes + 4 * want[i], center) > iou);
        if (stays) want[k++] = best;
    }
    return k;
}

static void nms(void **state) {
    (void)state;
    for (int i = 0; i < 200; i++) {
        enum { B = 2, C = 3 };
        const int64_t n = 1 + rnd(40), most = (int64_t)rnd(30) - 1;
        const bool center = rnd(2), constant = rnd(2), by_score = rnd(2);
        const float iou = (float)rnd(10) / 10, least = 0.3f;
        float boxes[B * 40 * 4], scores[B * C * 40];
        for (int64_t k = 0; k < B * n * 4; k++) boxes[k] = (float)rnd(20) / 2;
        for (int64_t k = 0; k < B * C * n; k++)
            scores[k] = (float)rnd(11) / 10; /* many are equal */
        optest *t = optest_new("NonMaxSuppression", 11);
        optest_f32(t, boxes, OPTEST_DIMS(B, n, 4)), optest_f32(t, scores, OPTEST_DIMS(B, C, n));
        optest_put(t, constant, OMMA_I64, &most, 1, I(1));
        optest_put(t, constant, OMMA_F32, &iou, 0, NULL);
        if (by_score) optest_put(t, constant, OMMA_F32, &least, 1, I(1));
        if (center) optest_int(t, "center_point_box", 1);
        const omma_tensor *y = optest_run(t, 1);
        int64_t row = 0;
        for (int64_t k = 0; k < B * C; k++) {
            int64_t want[64];
            const int64_t count = suppress(boxes + k / C * n * 4, scores + k * n, n, most, iou,
                                           by_score ? &least : NULL, center, want);
            assert_true(row + count <= y->dims[0]);
            for (int64_t r = 0; r < count; r++, row++)
                assert_memory_equal((const int64_t *)y->data + 3 * row, I(k / C, k % C, want[r]),
                                    24);
        }
        assert_int_equal(y->dims[0], row);
        optest_free(t);
    }
}

static void nms_corners(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        optest *t = optest_new("NonMaxSuppression", 10);
        optest_f32(t, F(0, 0, 1, 1, 1, 1, 0, 0.5f), OPTEST_DIMS(1, 2, 4));
        optest_f32(t, F(NAN, 0.5f), OPTEST_DIMS(1, 1, 2));
        if (i) optest_put(t, i == 1, OMMA_I64, I(i == 3 ? INT64_MAX : 1), 1, I(1));
        if (i == 3) optest_f32(t, F(0.5f), NULL, 0); /* the overlap, to the bit */
        const omma_tensor *y = optest_run(t, 1);
        expect(y, OMMA_I64, I(0, 0, 1, 0, 0, 0),
               OPTEST_DIMS(i == 0   ? 0
                           : i == 3 ? 2
                                    : 1,
                           3)); /* NaN comes last */
        optest_free(t);
    }
    for (int i = 0; i < 3; i++) {
        optest *t = optest_new("NonMaxSuppression", 10);
        optest_f32(t, F(0, 0, 1, 1, 0, 0, 2, 2, 0, 0, 0, 0), OPTEST_DIMS(1, 2, i == 0 ? 3 : 4));
        optest_f32(t, F(0.5f, 0.5f, 0), OPTEST_DIMS(1, 1, i == 1 ? 3 : 2));
        if (i == 2) optest_i64(t, I(1, 2), OPTEST_DIMS(2));
        expect_error(t, 1, OMMA_E_SHAPE);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rms),         cmocka_unit_test(lp),
        cmocka_unit_test(lrn),         cmocka_unit_test(arcs_and_swish),
        cmocka_unit_test(roi_align),   cmocka_unit_test(roi_align_bad),
        cmocka_unit_test(deform_conv), cmocka_unit_test(deform_conv_bad),
        cmocka_unit_test(col2im),      cmocka_unit_test(center_crop_pad),
        cmocka_unit_test(scatter),     cmocka_unit_test(non_zero),
        cmocka_unit_test(compress),    cmocka_unit_test(nms),
        cmocka_unit_test(nms_corners)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
