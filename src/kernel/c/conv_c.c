/* conv_c.c - the reference pieces of convolution: taps, patches, planes; see kernel.h. */
#include "kernel/table.h"

static void taps_f32(int64_t n, int n_taps, const float *w, const float *x, const int64_t *rows,
                     int stride, float *y) {
    for (int64_t o = 0; o < n; o++) {
        float s = 0;
        for (int t = 0; t < n_taps; t++) s += ((const omma_f32u *)w)[t] * x[rows[t] + o * stride];
        y[o] = s;
    }
}

void omma_patches_plain(const omma_conv *p, const float *x, int64_t c0, int64_t c1, int64_t first,
                        int n, float *panel, int nr) {
    for (int64_t ch = c0; ch < c1; ch++)
        for (int ky = 0; ky < p->kh; ky++)
            for (int kx = 0; kx < p->kw; kx++, panel += nr) {
                int64_t oy = first / p->ow, ox = first % p->ow;
                for (int j = 0; j < n; j++) {
                    const int64_t iy = oy * p->stride_h + (int64_t)ky * p->dilation_h - p->pad_top;
                    const int64_t ix = ox * p->stride_w + (int64_t)kx * p->dilation_w - p->pad_left;
                    const bool inside = iy >= 0 && iy < p->h && ix >= 0 && ix < p->w;
                    panel[j] = inside ? x[(ch * p->h + iy) * p->w + ix] : 0;
                    if (++ox == p->ow) ox = 0, oy++;
                }
                for (int j = n; j < nr; j++) panel[j] = 0;
            }
}

static void patches_f32(const omma_conv *p, const float *x, int64_t c0, int64_t c1, int64_t first,
                        int n, float *panel) {
    omma_patches_plain(p, x, c0, c1, first, n, panel, 16);
}

static void plane_f32(const omma_conv *p, const omma_plane *l, const float *x, const float *w,
                      const float *bias, const omma_epilogue *e, int64_t y0, int64_t y1, float *y,
                      float *work) {
    (void)l, (void)work;
    for (int64_t oy = y0; oy < y1; oy++)
        for (int64_t ox = 0; ox < p->ow; ox++) {
            float s = 0;
            for (int ky = 0; ky < p->kh; ky++)
                for (int kx = 0; kx < p->kw; kx++) {
                    const int64_t iy = oy * p->stride_h + (int64_t)ky * p->dilation_h - p->pad_top;
                    const int64_t ix = ox * p->stride_w + (int64_t)kx * p->dilation_w - p->pad_left;
                    const bool inside = iy >= 0 && iy < p->h && ix >= 0 && ix < p->w;
                    s += ((const omma_f32u *)w)[ky * p->kw + kx] * (inside ? x[iy * p->w + ix] : 0);
                }
            if (bias) s += *bias;
            *y++ = e ? omma_act_apply(e, s) : s;
        }
}

void omma_fill_conv_c(omma_kernels *k) {
    k->taps = taps_f32;
    k->patches = patches_f32;
    k->plane = plane_f32;
}
