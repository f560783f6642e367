/* int8_c.c - the reference of the 8-bit products: plain loops in the order int8.h gives, which the
 * other tables follow to the bit. */
#include <math.h>

#include "kernel/int8.h"
#include "kernel/table.h"

enum { MR = 4, NR = 16 };

/* Comparisons with NaN are false. */
static uint8_t to_u8(float v, int zero) {
    const float lo = (float)-zero, hi = (float)(255 - zero);
    v = v > lo ? v : lo;
    v = v < hi ? v : hi;
    return (uint8_t)((int)rintf(v) + zero);
}

static float finish(const omma_int8_out *o, int32_t sum, int j, int64_t add) {
    float v = (float)sum * o->scale[j];
    v = v + o->bias[j];
    if (o->add) v = v + o->add[add];
    if (o->add8) v = v + (float)(o->add8[add] - o->add_zero) * o->add_scale;
    if (o->act == OMMA_ACT_RELU) v = v > 0 ? v : 0;
    if (o->act == OMMA_ACT_CLIP) {
        v = v > o->lo ? v : o->lo;
        v = v < o->hi ? v : o->hi;
    }
    if (o->post) {
        v = v * o->post_scale;
        v = v + o->post_shift;
    }
    return v;
}

static void int8_tile_4x16(int m, int n, int segs, const int64_t *seg, int64_t groups,
                           const uint8_t *a, int64_t lda, const int8_t *b, const omma_int8_out *o,
                           void *y, int64_t ldy) {
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            int32_t sum = o->init[j];
            for (int s = 0; s < segs; s++) {
                const uint8_t *x = a + i * lda + seg[s];
                const int8_t *w = b + s * groups * NR * 4 + j * 4;
                for (int64_t g = 0; g < groups; g++)
                    for (int t = 0; t < 4; t++) sum += x[g * 4 + t] * w[g * NR * 4 + t];
            }
            const float v = finish(o, sum, j, i * o->add_ld + j);
            if (o->to_u8) ((uint8_t *)y)[i * ldy + j] = to_u8(v * o->inverse, o->zero);
            else ((float *)y)[i * ldy + j] = v;
        }
}

static void quantize_f32(int64_t n, const float *x, float scale, int zero, uint8_t *y) {
    for (int64_t i = 0; i < n; i++) y[i] = to_u8(x[i] / scale, zero);
}

static void dequantize_u8(int64_t n, const uint8_t *x, float scale, int zero, float *y) {
    for (int64_t i = 0; i < n; i++) y[i] = (float)(x[i] - zero) * scale;
}

void omma_fill_int8_c(omma_kernels *k) {
    k->int8_mr = MR;
    k->int8_nr = NR;
    k->int8_tile = int8_tile_4x16;
    k->quantize = quantize_f32;
    k->dequantize = dequantize_u8;
}
