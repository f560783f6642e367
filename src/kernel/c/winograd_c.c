/* winograd_c.c - the reference of Winograd's transforms: plain loops; see winograd.h for the
 * matrices. */
#include "kernel/table.h"
#include "kernel/winograd.h"

static const float a = (float)WINO_A, b = (float)WINO_B, aa = (float)(WINO_A * WINO_A),
                   bb = (float)(WINO_B * WINO_B), aaa = (float)(WINO_A * WINO_A * WINO_A),
                   bbb = (float)(WINO_B * WINO_B * WINO_B),
                   aabb = (float)(WINO_A * WINO_A * WINO_B * WINO_B),
                   sum = (float)(WINO_A * WINO_A + WINO_B * WINO_B);

/* d[0], d[step], ... := B^T d */
static void transform_in(float *d, int step) {
    const float d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step],
                d5 = d[5 * step];
    const float even_a = d4 - bb * d2, odd_a = d3 - bb * d1;
    const float even_b = d4 - aa * d2, odd_b = d3 - aa * d1;
    d[0] = aabb * d0 + (d4 - sum * d2);
    d[step] = even_a + a * odd_a;
    d[2 * step] = even_a - a * odd_a;
    d[3 * step] = even_b + b * odd_b;
    d[4 * step] = even_b - b * odd_b;
    d[5 * step] = aabb * d1 + (d5 - sum * d3);
}

/* The first four of d[0], d[step], ... := A^T d */
static void transform_out(float *d, int step) {
    const float sum_a = d[step] + d[2 * step], diff_a = d[step] - d[2 * step];
    const float sum_b = d[3 * step] + d[4 * step], diff_b = d[3 * step] - d[4 * step];
    d[0] += sum_a + sum_b;
    d[step] = a * diff_a + b * diff_b;
    d[2 * step] = aa * sum_a + bb * sum_b;
    d[3 * step] = aaa * diff_a + (bbb * diff_b + d[5 * step]);
}

/* to := G g, three numbers and six, each their step apart */
static void transform_weights(const float *g, int g_step, float *to, int step) {
    static const double points[] = {WINO_A, WINO_B}, firsts[] = {WINO_G_A, WINO_G_B};
    to[0] = (float)WINO_G_0 * g[0];
    for (int i = 0; i < 2; i++) {
        const double p = points[i], first = firsts[i];
        const float odd = (float)(first * p) * g[g_step];
        const float even = (float)first * g[0] + (float)(first * p * p) * g[2 * g_step];
        to[(2 * i + 1) * step] = even + odd;
        to[(2 * i + 2) * step] = even - odd;
    }
    to[(WINO_IN - 1) * step] = g[2 * g_step];
}

static void wino_weights_f32(int64_t n, const float *w, int64_t tap, float *u, int64_t plane) {
    for (int64_t q = 0; q < n; q++) {
        float g[9], t[WINO_IN * 3], all[WINO_PLANES];
        for (int k = 0; k < 9; k++) g[k] = w[k * tap + q];
        for (int j = 0; j < 3; j++) transform_weights(g + j, 3, t + j, 3);
        for (int i = 0; i < WINO_IN; i++) transform_weights(t + i * 3, 1, all + i * WINO_IN, 1);
        for (int i = 0; i < WINO_PLANES; i++) u[i * plane + q] = all[i];
    }
}

static void wino_in_f32(int64_t c, const float *const *px, float *v, int64_t plane) {
    for (int64_t q = 0; q < c; q++) {
        float d[WINO_PLANES];
        for (int i = 0; i < WINO_PLANES; i++) d[i] = px[i][q];
        for (int i = 0; i < WINO_IN; i++) transform_in(d + i, WINO_IN);
        for (int i = 0; i < WINO_IN; i++) transform_in(d + i * WINO_IN, 1);
        for (int i = 0; i < WINO_PLANES; i++) v[i * plane + q] = d[i];
    }
}

static void wino_out_f32(int n, const float *prod, int64_t plane, int rows, int cols, float *y,
                         int64_t y_ld, int64_t ow, const omma_epilogue *e) {
    for (int q = 0; q < n; q++) {
        float d[WINO_PLANES];
        for (int i = 0; i < WINO_PLANES; i++) d[i] = prod[i * plane + q];
        for (int i = 0; i < WINO_IN; i++) transform_out(d + i, WINO_IN);
        for (int i = 0; i < rows; i++) {
            transform_out(d + i * WINO_IN, 1);
            for (int j = 0; j < cols; j++) {
                const int64_t pixel = i * ow + j;
                float s = d[i * WINO_IN + j];
                if (e && e->col_bias) s += e->col_bias[q];
                if (e && e->add) s += e->add[pixel * e->add_ld + q];
                y[pixel * y_ld + q] = e ? omma_act_apply(e, s) : s;
            }
        }
    }
}

void omma_fill_winograd_c(omma_kernels *k) {
    k->wino_in = wino_in_f32;
    k->wino_weights = wino_weights_f32;
    k->wino_out = wino_out_f32;
}
