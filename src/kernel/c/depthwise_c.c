/* depthwise_c.c - the reference of depthwise convolution, channels last; see kernel.h. */
#include "kernel/table.h"

/* Channel c of output pixel (oy, ox); w: [kh,kw][16] of this channel. */
static float one(const omma_conv *p, int64_t x_ld, const float *x, const float *w, int64_t oy,
                 int64_t ox) {
    float sum = 0;
    for (int ky = 0; ky < p->kh; ky++)
        for (int kx = 0; kx < p->kw; kx++) {
            const int64_t iy = oy * p->stride_h + (int64_t)ky * p->dilation_h - p->pad_top;
            const int64_t ix = ox * p->stride_w + (int64_t)kx * p->dilation_w - p->pad_left;
            if (iy >= 0 && iy < p->h && ix >= 0 && ix < p->w)
                sum += w[(ky * p->kw + kx) * 16] * x[(iy * p->w + ix) * x_ld];
        }
    return sum;
}

static void depthwise_f32(const omma_conv *p, const omma_part *part, const float *x, const float *w,
                          float *y, const omma_epilogue *e) {
    const int64_t taps = (int64_t)p->kh * p->kw;
    for (int64_t oy = part->y0; oy < part->y1; oy++)
        for (int64_t ox = 0; ox < p->ow; ox++)
            for (int64_t c = part->c0; c < part->c1; c++) {
                const int64_t at = oy * p->ow + ox;
                float v = one(p, part->x_ld, x + c, w + c / 16 * taps * 16 + c % 16, oy, ox);
                if (e && e->col_bias) v += e->col_bias[c];
                if (e && e->add) v += e->add[at * e->add_ld + c];
                y[at * part->y_ld + c] = e ? omma_act_apply(e, v) : v;
            }
}

void omma_fill_depthwise_c(omma_kernels *k) { k->depthwise = depthwise_f32; }
