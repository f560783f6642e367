/* conv_body.h - the pieces of convolution for any vector of vec_*.h; the file that includes
 * it defines TILE_NV, the vectors in a row of a packed panel. */
#include "kernel/table.h"

/* --- taps ------------------------------------------------------------------------------ */

/* VL numbers of x, stride 1 or 2; reads no further than the last of them. */
static inline vf load_strided(const float *x, int stride) {
    return stride == 1 ? v_load(x)
                       : v_even(v_load(x), v_load_bits(x + VL, 0x5555u & ((1u << VL) - 1)));
}

/* The first n of them, n < VL. */
static inline vf load_strided_n(const float *x, int stride, int n) {
    if (stride == 1) return v_load_n(x, n);
    const unsigned bits = 0x55555555u & (unsigned)((1ull << 2 * n) - 1);
    return v_even(v_load_bits(x, bits & ((1u << VL) - 1)), v_load_bits(x + VL, bits >> VL));
}

enum { TAPS_V = 4 }; /* vectors of output at once */

static inline __attribute__((always_inline)) void taps_strided(int64_t n, int n_taps,
                                                               const float *w, const float *x,
                                                               const int64_t *rows,
                                                               const int stride, float *y) {
    int64_t o = 0;
    for (; o + TAPS_V * VL <= n; o += TAPS_V * VL) {
        vf s[TAPS_V] = {v_set(0), v_set(0), v_set(0), v_set(0)};
        for (int t = 0; t < n_taps; t++) {
            const vf f = v_spread(w + t);
            const float *p = x + rows[t] + o * stride;
            UNROLL for (int j = 0; j < TAPS_V; j++) s[j] =
                v_fma(f, load_strided(p + j * VL * stride, stride), s[j]);
        }
        UNROLL for (int j = 0; j < TAPS_V; j++) v_store(y + o + j * VL, s[j]);
    }
    for (; o + VL <= n; o += VL) {
        vf s = v_set(0);
        for (int t = 0; t < n_taps; t++)
            s = v_fma(v_spread(w + t), load_strided(x + rows[t] + o * stride, stride), s);
        v_store(y + o, s);
    }
    if (o < n) {
        const int rest = (int)(n - o);
        vf s = v_set(0);
        for (int t = 0; t < n_taps; t++)
            s = v_fma(v_spread(w + t), load_strided_n(x + rows[t] + o * stride, stride, rest), s);
        v_store_n(y + o, s, rest);
    }
}

static void ISA(taps_f32)(int64_t n, int n_taps, const float *w, const float *x,
                          const int64_t *rows, int stride, float *y) {
    if (stride == 1) {
        taps_strided(n, n_taps, w, x, rows, 1, y);
    } else if (stride == 2) {
        taps_strided(n, n_taps, w, x, rows, 2, y);
    } else {
        for (int64_t o = 0; o < n; o++) {
            float s = 0;
            for (int t = 0; t < n_taps; t++)
                s = __builtin_fmaf(((const omma_f32u *)w)[t], x[rows[t] + o * stride], s);
            y[o] = s;
        }
    }
}

/* --- patches --------------------------------------------------------------------------- */

/* Where VL neighbouring output pixels find their numbers under one tap, in any channel: a
 * vector is put together from one piece per output row it touches. Lanes outside the piece
 * or in the padding are not read and give 0. */
typedef struct piece {
    int64_t at;      /* of lane 0, from the channel's first number; may point before it */
    unsigned lo, hi; /* lanes to read at `at` and, for stride 2, at `at` + VL */
} piece;

enum { MAX_PIECES = 640 }; /* of all taps of a panel; beyond, the plain way */

/* Every second bit: bit i of the result 2*i is bit i of b. */
static inline unsigned spread_bits(unsigned b) {
    b = (b | b << 8) & 0x00ff00ffu;
    b = (b | b << 4) & 0x0f0f0f0fu;
    b = (b | b << 2) & 0x33333333u;
    return (b | b << 1) & 0x55555555u;
}

/* The piece of a run of lanes [l0, l1), whose first pixel under this tap is (iy, ix). */
static inline piece piece_of(const omma_conv *p, int64_t iy, int64_t ix, int l0, int l1) {
    if (iy < 0 || iy >= p->h) return (piece){0, 0, 0};
    const int stride = p->stride_w;
    int64_t skip = ix < 0 ? (stride - 1 - ix) / stride : 0;          /* lanes left of the row */
    int64_t end = ix < p->w ? (p->w - ix + stride - 1) / stride : 0; /* first lane right of it */
    if (end > l1 - l0) end = l1 - l0;
    if (skip >= end) return (piece){0, 0, 0};
    const unsigned bits = ((1u << (l0 + end)) - 1) & ~((1u << (l0 + skip)) - 1);
    const int64_t at = iy * p->w + ix - (int64_t)l0 * stride;
    if (stride == 1) return (piece){at, bits, 0};
    const unsigned spread = spread_bits(bits);
    return (piece){at, spread & ((1u << VL) - 1), spread >> VL};
}

/* Fill out[tap][piece]; counts[v] pieces make vector v. Returns pieces per tap, 0 when they
 * are too many. */
static int find_pieces(const omma_conv *p, int64_t first, int n, piece *out, int counts[TILE_NV]) {
    struct run {
        int64_t oy, ox;
        int l0, l1;
    } runs[TILE_NV * VL];
    int n_runs = 0;
    int64_t oy = first / p->ow, ox = first % p->ow;
    for (int v = 0; v < TILE_NV; v++) {
        const int lanes = n - v * VL < VL ? n - v * VL : VL;
        counts[v] = 0;
        for (int l = 0; l < lanes;) {
            const int len = p->ow - ox < lanes - l ? (int)(p->ow - ox) : lanes - l;
            runs[n_runs++] = (struct run){oy, ox, l, l + len};
            counts[v]++;
            l += len, ox += len;
            if (ox == p->ow) ox = 0, oy++;
        }
    }
    if ((int64_t)n_runs * p->kh * p->kw > MAX_PIECES) return 0;
    for (int ky = 0; ky < p->kh; ky++)
        for (int kx = 0; kx < p->kw; kx++)
            for (int r = 0; r < n_runs; r++)
                *out++ =
                    piece_of(p, runs[r].oy * p->stride_h + (int64_t)ky * p->dilation_h - p->pad_top,
                             runs[r].ox * p->stride_w + (int64_t)kx * p->dilation_w - p->pad_left,
                             runs[r].l0, runs[r].l1);
    return n_runs;
}

static inline vf load_piece(const float *x, const piece *q, const int stride) {
    const float *at = x + q->at;
    return stride == 1 ? v_load_bits(at, q->lo)
                       : v_even(v_load_bits(at, q->lo), v_load_bits(at + VL, q->hi));
}

static inline __attribute__((always_inline)) void
gather(const float *x, int64_t plane, int64_t channels, int taps, const piece *pieces,
       const int counts[TILE_NV], const int stride, float *panel) {
    for (int64_t ch = 0; ch < channels; ch++, x += plane) {
        const piece *q = pieces;
        for (int t = 0; t < taps; t++) UNROLL for (int v = 0; v < TILE_NV; v++, panel += VL) {
                vf row = v_set(0);
                for (const piece *end = q + counts[v]; q < end; q++)
                    row = v_or(row, load_piece(x, q, stride));
                v_store(panel, row);
            }
    }
}

static void ISA(patches_f32)(const omma_conv *p, const float *x, int64_t c0, int64_t c1,
                             int64_t first, int n, float *panel) {
    piece pieces[MAX_PIECES];
    int counts[TILE_NV];
    if (p->stride_w > 2 || !find_pieces(p, first, n, pieces, counts)) {
        omma_patches_plain(p, x, c0, c1, first, n, panel, TILE_NV * VL);
        return;
    }
    const int64_t plane = p->h * p->w;
    if (p->stride_w == 1)
        gather(x + c0 * plane, plane, c1 - c0, p->kh * p->kw, pieces, counts, 1, panel);
    else gather(x + c0 * plane, plane, c1 - c0, p->kh * p->kw, pieces, counts, 2, panel);
}

/* --- planes ---------------------------------------------------------------------------- */

/* VL numbers of an input row from column ix on, 0 outside [0, w). */
static inline vf load_padded(const float *row, int64_t ix, int64_t w) {
    if (ix >= 0 && ix + VL <= w) return v_load(row + ix);
    const int64_t left = ix < 0 ? -ix : 0, right = w - ix;
    if (left >= VL || right <= 0) return v_set(0);
    const unsigned bits = right < VL ? v_first((int)right) : v_first(VL);
    return v_load_bits(row + ix, bits & ~v_first((int)left));
}

/* One padded input row, cut into its phases. */
static inline void lay_row(const omma_conv *p, const omma_plane *l, const float *row, float *dst) {
    const int stride = p->stride_w;
    for (int64_t q = 0; q < l->pitch; q += VL) {
        const int64_t ix = q * stride - p->pad_left;
        if (stride == 1) {
            v_store(dst + q, load_padded(row, ix, p->w));
        } else if (stride == 2) {
            const vf lo = load_padded(row, ix, p->w), hi = load_padded(row, ix + VL, p->w);
            v_store(dst + q, v_even(lo, hi));
            v_store(dst + l->phase + q, v_odd(lo, hi));
        } else {
            for (int64_t i = 0; i < (int64_t)VL * stride; i++)
                dst[i % stride * l->phase + q + i / stride] =
                    ix + i >= 0 && ix + i < p->w ? row[ix + i] : 0;
        }
    }
}

/* The input rows that output rows [y0, y1) see. */
static void lay_plane(const omma_conv *p, const omma_plane *l, const float *x, int64_t y0,
                      int64_t y1, float *work) {
    const int64_t rows = (y1 - y0 - 1) * p->stride_h + (int64_t)(p->kh - 1) * p->dilation_h + 1;
    int64_t iy = y0 * p->stride_h - p->pad_top;
    int phase = 0;
    for (int64_t r = 0; r < rows; r++, iy++) {
        float *dst = work + phase * p->stride_w * l->phase;
        if (iy >= 0 && iy < p->h) lay_row(p, l, x + iy * p->w, dst);
        else
            for (int f = 0; f < p->stride_w; f++)
                for (int64_t q = 0; q < l->pitch; q += VL)
                    v_store(dst + f * l->phase + q, v_set(0));
        if (++phase == p->stride_h) phase = 0, work += l->pitch;
    }
}

/* VL columns of R output rows, tap by tap; all output rows but the last R - 1 find their
 * inputs one pitch below those of the row before. */
static inline __attribute__((always_inline)) void sum_taps(const omma_conv *p, const omma_plane *l,
                                                           const float *at, const float *w,
                                                           const int R, vf *s) {
    const int taps = p->kh * p->kw;
    const int64_t pitch = l->pitch;
    for (int t = 0; t < taps; t++) {
        const vf f = v_spread((const float *)((const omma_f32u *)w + t));
        const float *q = at + l->offsets[t];
        UNROLL for (int r = 0; r < R; r++) s[r] = v_fma(f, v_load(q + r * pitch), s[r]);
    }
}

/* The same for kernels KH high whose rows touch (stride and dilation 1 downwards): a row of
 * input is loaded once for all the output rows that see it. */
static inline __attribute__((always_inline)) void sum_columns(const omma_conv *p,
                                                              const omma_plane *l, const float *at,
                                                              const float *w, const int R,
                                                              const int KH, vf *s) {
    const int64_t pitch = l->pitch;
    const int kw = p->kw;
    for (int kx = 0; kx < kw; kx++) {
        const float *q = at + l->offsets[kx];
        vf f[5];
        UNROLL for (int ky = 0; ky < KH; ky++) f[ky] =
            v_spread((const float *)((const omma_f32u *)w + ky * kw + kx));
        UNROLL for (int i = 0; i < R + KH - 1; i++) {
            const vf v = v_load(q);
            q += pitch;
            __asm__("" : "+r"(q)); /* one pointer, and not one for every row */
            UNROLL for (int r = 0; r < R; r++) if (i - r >= 0 && i - r < KH) s[r] =
                v_fma(f[i - r], v, s[r]);
        }
    }
}

static inline __attribute__((always_inline)) void
plane_rows(const omma_conv *p, const omma_plane *l, const float *w, const float *bias,
           const omma_epilogue *e, const float *work, const int R, const int KH, float *y) {
    const vf b = bias ? v_set(*bias) : v_set(0);
    const bool act = e && e->act != OMMA_ACT_NONE;
    for (int64_t ox = 0; ox < p->ow; ox += VL) {
        const int lanes = p->ow - ox < VL ? (int)(p->ow - ox) : VL;
        vf s[4] = {v_set(0), v_set(0), v_set(0), v_set(0)};
        if (KH) sum_columns(p, l, work + ox, w, R, KH, s);
        else sum_taps(p, l, work + ox, w, R, s);
        UNROLL for (int r = 0; r < R; r++) {
            if (bias) s[r] = v_add(s[r], b);
            if (act) s[r] = v_act(e, s[r]);
            v_store_n(y + r * p->ow + ox, s[r], lanes);
        }
    }
}

static inline __attribute__((always_inline)) void
plane_high(const omma_conv *p, const omma_plane *l, const float *w, const float *bias,
           const omma_epilogue *e, int64_t rows, const float *work, const int KH, float *y) {
    for (; rows >= 4; rows -= 4, work += 4 * l->pitch, y += 4 * p->ow)
        plane_rows(p, l, w, bias, e, work, 4, KH, y);
    if (rows == 3) plane_rows(p, l, w, bias, e, work, 3, KH, y);
    if (rows == 2) plane_rows(p, l, w, bias, e, work, 2, KH, y);
    if (rows == 1) plane_rows(p, l, w, bias, e, work, 1, KH, y);
}

static void ISA(plane_f32)(const omma_conv *p, const omma_plane *l, const float *x, const float *w,
                           const float *bias, const omma_epilogue *e, int64_t y0, int64_t y1,
                           float *y, float *work) {
    lay_plane(p, l, x, y0, y1, work);
    const bool touch = p->stride_h == 1 && p->dilation_h == 1;
    if (touch && p->kh == 3) plane_high(p, l, w, bias, e, y1 - y0, work, 3, y);
    else if (touch && p->kh == 5) plane_high(p, l, w, bias, e, y1 - y0, work, 5, y);
    else plane_high(p, l, w, bias, e, y1 - y0, work, 0, y);
}

static void fill_conv(omma_kernels *k) {
    k->taps = ISA(taps_f32);
    k->patches = ISA(patches_f32);
    k->plane = ISA(plane_f32);
}
