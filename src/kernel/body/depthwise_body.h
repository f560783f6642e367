/* depthwise_body.h - depthwise convolution on channels-last maps for any vector of vec_*.h; the
 * file that includes it defines DW_PIXELS, the output pixels of a row it sums at once.
 *
 * A vector holds neighbouring channels of one pixel. For kernels 3, 5 and 7 wide with stride 1 or 2
 * a strip of DW_PIXELS sums stays in registers; for each row of the kernel its weights are loaded
 * once, then every input pixel under the strip once, and that meets all the sums that see it. Input
 * pixels outside the map are left out, by one bit for each. Other kernels take the pixels one by
 * one, DW_WIDE vectors of channels at a time. In both a sum is made tap by tap, row by row. */
#include "kernel/table.h"

#define UNROLL_ALL _Pragma("GCC unroll 64")

/* A strip of n output pixels for one vector of channels. */
typedef struct strip {
    const omma_conv *p;
    const float *x; /* input column 0 of the strip in the first row of the kernel that counts */
    const float *w; /* that row's weights */
    int64_t x_ld, pitch; /* from an input pixel, and an input row of the kernel, to the next */
    int rows;            /* of the kernel that lie in the map */
    int n;
    uint64_t inside; /* the input columns that lie in the map */
    float *y;
    int64_t y_ld;
    const float *bias, *add; /* or NULL */
    int64_t add_ld;
    const omma_epilogue *e;
    int lanes;
} strip;

/* Column i of those that p0 begins, ld apart: one pointer for every three takes few additions and
 * few registers. The empty asm keeps the compiler from making a pointer for each. */
#define COLUMN(p0, i, ld) ((i) % 3 == 0 ? (p0) : (i) % 3 == 1 ? (p0) + (ld) : (p0) + 2 * (ld))
#define NEXT_COLUMN(p0, i, ld)  \
    if ((i) % 3 == 2) {         \
        (p0) += 3 * (ld);       \
        __asm__("" : "+r"(p0)); \
    }

/* What is left to do with n sums, and the store. */
static inline __attribute__((always_inline)) void store_strip(const strip *q, const vf *s,
                                                              const int n, const int lanes) {
    const omma_act act = q->e ? q->e->act : OMMA_ACT_NONE;
    const vf lo = v_set(act == OMMA_ACT_RELU   ? 0
                        : act == OMMA_ACT_CLIP ? q->e->lo
                                               : -INFINITY),
             hi = v_set(act == OMMA_ACT_CLIP ? q->e->hi : INFINITY);
    const int64_t y_ld = q->y_ld, add_ld = q->add_ld;
    const float *add = q->add;
    float *y = q->y;
    UNROLL_ALL for (int j = 0; j < DW_PIXELS; j++) if (j < n) {
        vf v = s[j];
        if (add) v = v_add(v, v_load_n(add, lanes)), add += add_ld;
        v_store_n(COLUMN(y, j, y_ld), v_min(hi, v_max(lo, v)), lanes);
        NEXT_COLUMN(y, j, y_ld)
    }
    if (act > OMMA_ACT_CLIP) /* the rest is too long to be here DW_PIXELS times */
        for (int j = 0; j < n; j++) {
            float *at = q->y + j * y_ld;
            v_store_n(at, v_act(q->e, v_load_n(at, lanes)), lanes);
        }
}

static inline __attribute__((always_inline)) void
sum_strip(const strip *q, const int KW, const int S, const bool clip, const int lanes) {
    const vf first = q->bias ? v_load_n(q->bias, lanes) : v_set(0);
    const float *x = q->x, *w = q->w;
    const int64_t ld = q->x_ld, pitch = q->pitch;
    const uint64_t inside = q->inside;
    vf s[DW_PIXELS];
    UNROLL_ALL for (int j = 0; j < DW_PIXELS; j++) s[j] = first;
    for (int ky = q->rows; ky > 0; ky--, x += pitch, w += KW * 16) {
        const float *at = x;
        vf f[7];
        UNROLL_ALL for (int kx = 0; kx < KW; kx++) f[kx] = v_load(w + kx * 16);
        UNROLL_ALL for (int i = 0; i < (DW_PIXELS - 1) * S + KW; i++) {
            if (!clip || inside >> i & 1) {
                const vf v = v_keep(v_load_n(COLUMN(at, i, ld), lanes)); /* not by every product */
                UNROLL_ALL for (int kx = 0; kx < KW;
                                kx++) if (i >= kx && (i - kx) % S == 0 && (i - kx) / S < DW_PIXELS)
                    s[(i - kx) / S] = v_fma(v, f[kx], s[(i - kx) / S]);
            }
            NEXT_COLUMN(at, i, ld)
        }
    }
    store_strip(q, s, clip ? q->n : DW_PIXELS, lanes);
}

#define STRIPS(KW, S)                                                                       \
    static __attribute__((noinline)) void ISA(strip_##KW##_##S)(const strip *q, bool all) { \
        if (q->lanes < VL) sum_strip(q, KW, S, true, q->lanes);                             \
        else if (all) sum_strip(q, KW, S, false, VL);                                       \
        else sum_strip(q, KW, S, true, VL);                                                 \
    }
STRIPS(3, 1)
STRIPS(5, 1)
STRIPS(7, 1)
STRIPS(3, 2)
STRIPS(5, 2)
STRIPS(7, 2)

typedef void strip_fn(const strip *q, bool all);

static strip_fn *strip_for(const omma_conv *p) {
    static strip_fn *const fn[3][2] = {{ISA(strip_3_1), ISA(strip_3_2)},
                                       {ISA(strip_5_1), ISA(strip_5_2)},
                                       {ISA(strip_7_1), ISA(strip_7_2)}};
    const bool odd = p->kw == 3 || p->kw == 5 || p->kw == 7;
    return odd && p->stride_w <= 2 && p->dilation_w == 1 ? fn[p->kw / 2 - 1][p->stride_w - 1]
                                                         : NULL;
}

/* The taps i of n that lie inside: at + i*dilation in [0, size). */
typedef struct reach {
    int begin, end;
} reach;

static inline reach reach_of(int64_t at, int n, int dilation, int64_t size) {
    if (at >= 0 && at + (int64_t)(n - 1) * dilation < size) return (reach){0, n};
    const int64_t begin = at < 0 ? (dilation - 1 - at) / dilation : 0,
                  end = at < size ? (size - at + dilation - 1) / dilation : 0;
    reach r = {begin < n ? (int)begin : n, end < n ? (int)end : n};
    if (r.end < r.begin) r.end = r.begin;
    return r;
}

/* Bits [begin, end) of 64. */
static inline uint64_t bits_between(int64_t begin, int64_t end) {
    const uint64_t below = end >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << (end < 0 ? 0 : end)) - 1;
    const uint64_t skip = begin >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << (begin < 0 ? 0 : begin)) - 1;
    return below & ~skip;
}

/* The strips of output pixels [x0, x1) of all the part's rows. q: p, x_ld, pitch, y_ld, add_ld and
 * e are set. */
static void strip_down(strip q, strip_fn *fn, const omma_part *part, int64_t x0, int64_t x1,
                       const float *x, const float *w, float *y, const float *add) {
    const omma_conv *p = q.p;
    const int64_t ix = x0 * p->stride_w - p->pad_left, taps = (int64_t)p->kh * p->kw;
    const int columns = (int)(x1 - x0 - 1) * p->stride_w + p->kw;
    const bool all = x1 - x0 == DW_PIXELS && ix >= 0 && ix + columns <= p->w;
    q.n = (int)(x1 - x0);
    q.inside = bits_between(-ix, columns < p->w - ix ? columns : p->w - ix);
    for (int64_t oy = part->y0; oy < part->y1; oy++) {
        const int64_t iy = oy * p->stride_h - p->pad_top;
        const reach r = reach_of(iy, p->kh, p->dilation_h, p->h);
        const float *from = x + ((iy + (int64_t)r.begin * p->dilation_h) * p->w + ix) * q.x_ld;
        float *to = y + (oy * p->ow + x0) * q.y_ld;
        q.rows = r.end - r.begin;
        for (int64_t c = part->c0; c < part->c1; c += VL) {
            q.lanes = part->c1 - c < VL ? (int)(part->c1 - c) : VL;
            q.x = from + c;
            q.w = w + c / 16 * taps * 16 + c % 16 + (int64_t)r.begin * p->kw * 16;
            q.y = to + c;
            q.bias = q.e && q.e->col_bias ? q.e->col_bias + c : NULL;
            q.add = add ? add + (oy * p->ow + x0) * q.add_ld + c : NULL;
            fn(&q, all);
        }
    }
}

static void strips(const omma_conv *p, const omma_part *part, strip_fn *fn, const float *x,
                   const float *w, float *y, const omma_epilogue *e) {
    const int64_t cuts = (p->ow + DW_PIXELS - 1) / DW_PIXELS;
    strip q = {.p = p, .x_ld = part->x_ld, .y_ld = part->y_ld, .e = e};
    q.pitch = p->dilation_h * p->w * part->x_ld;
    if (e) q.add_ld = e->add_ld;
    for (int64_t i = 0; i < cuts; i++)
        strip_down(q, fn, part, p->ow * i / cuts, p->ow * (i + 1) / cuts, x, w, y,
                   e ? e->add : NULL);
}

/* --- any kernel ------------------------------------------------------------------------ */

enum { DW_WIDE = 4 }; /* vectors of channels at once */

/* One output pixel, whose tap (0,0) would be at input pixel x; channels [0, n) of the pointers, n
 * <= DW_WIDE vectors; w: of channel 0, c0 that channel. */
static void one_pixel(const omma_conv *p, int64_t x_ld, reach down, reach across, int64_t c0, int n,
                      const float *x, const float *w, float *y, const float *add,
                      const omma_epilogue *e) {
    const int64_t taps = (int64_t)p->kh * p->kw;
    vf s[DW_WIDE];
    int lanes[DW_WIDE];
    const float *f[DW_WIDE];
    UNROLL for (int v = 0; v < DW_WIDE; v++) {
        const int rest = n - v * VL;
        lanes[v] = rest < 0 ? 0 : rest < VL ? rest : VL;
        s[v] = e && e->col_bias ? v_load_n(e->col_bias + c0 + v * VL, lanes[v]) : v_set(0);
        f[v] = w + (lanes[v] ? (c0 + v * VL) / 16 * taps * 16 + (c0 + v * VL) % 16 : 0);
    }
    for (int ky = down.begin; ky < down.end; ky++)
        for (int kx = across.begin; kx < across.end; kx++) {
            const float *at =
                x + ((int64_t)ky * p->dilation_h * p->w + (int64_t)kx * p->dilation_w) * x_ld;
            const int t = (ky * p->kw + kx) * 16;
            UNROLL for (int v = 0; v < DW_WIDE; v++) s[v] =
                v_fma(v_load_n(at + v * VL, lanes[v]), v_load(f[v] + t), s[v]);
        }
    UNROLL for (int v = 0; v < DW_WIDE; v++) {
        if (add) s[v] = v_add(s[v], v_load_n(add + v * VL, lanes[v]));
        if (e) s[v] = v_act(e, s[v]);
        v_store_n(y + v * VL, s[v], lanes[v]);
    }
}

static void any_pixels(const omma_conv *p, const omma_part *part, const float *x, const float *w,
                       float *y, const omma_epilogue *e) {
    for (int64_t oy = part->y0; oy < part->y1; oy++)
        for (int64_t ox = 0; ox < p->ow; ox++) {
            const int64_t iy = oy * p->stride_h - p->pad_top, ix = ox * p->stride_w - p->pad_left;
            const reach down = reach_of(iy, p->kh, p->dilation_h, p->h),
                        across = reach_of(ix, p->kw, p->dilation_w, p->w);
            const int64_t at = oy * p->ow + ox;
            for (int64_t c = part->c0; c < part->c1; c += DW_WIDE * VL) {
                const int64_t n = part->c1 - c < DW_WIDE * VL ? part->c1 - c : DW_WIDE * VL;
                one_pixel(p, part->x_ld, down, across, c, (int)n,
                          x + (iy * p->w + ix) * part->x_ld + c, w, y + at * part->y_ld + c,
                          e && e->add ? e->add + at * e->add_ld + c : NULL, e);
            }
        }
}

static void ISA(depthwise_f32)(const omma_conv *p, const omma_part *part, const float *x,
                               const float *w, float *y, const omma_epilogue *e) {
    strip_fn *fn = strip_for(p);
    if (fn) strips(p, part, fn, x, w, y, e);
    else any_pixels(p, part, x, w, y, e);
}

static void fill_depthwise(omma_kernels *k) { k->depthwise = ISA(depthwise_f32); }
