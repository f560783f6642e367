/* pool_last_body.h - pooling on channels-last maps for any vector of vec_*.h.
 *
 * A vector holds neighbouring channels. For a few output pixels of a row the columns of input
 * under them are joined first, each once, then every output joins its columns: so a number is
 * made column by column, each from the top down, wherever the row is cut. Windows so wide that
 * not even one fits are joined pixel by pixel, in the same order. */
#include <math.h>

#include "kernel/pool_last.h"
#include "kernel/table.h"

enum { POOL_COLUMNS = 64 }; /* joined at once */

/* The larger of two; NaN when either is. */
static inline vf pool_join(vf a, vf b, const bool mean) {
    return mean ? v_add(a, b) : v_select(v_isnan(a), a, v_max(a, b));
}

/* The taps [begin, end) of n that lie in the map along one axis, where tap 0 is at `at`, and how
 * many lie in the map with its padding behind it, which is what counts. */
typedef struct taps {
    int64_t begin, end, count;
} taps;

static inline int64_t taps_below(int64_t at, int n, int dilation, int64_t size) {
    const int64_t left = at < size ? size - at : 0;
    const int64_t end = dilation == 1 ? left : (left + dilation - 1) / dilation;
    return end < n ? end : n;
}
static taps taps_at(int64_t at, int n, int dilation, int64_t size, int64_t pad) {
    taps t = {at < 0 ? (dilation - 1 - at) / dilation : 0, taps_below(at, n, dilation, size),
              taps_below(at, n, dilation, size + pad)};
    if (t.begin > t.end) t.begin = t.end;
    return t;
}

/* One row of output for one vector of channels. */
typedef struct pool_row {
    const omma_pooling *p;
    const float *x;            /* the row of the first tap that lies in the map */
    int64_t x_ld, y_ld, pitch; /* pitch: from a tap's row to the next's */
    int64_t rows, divisor;     /* taps in the map, and what counts of them, downwards */
    int lanes;
} pool_row;

static inline __attribute__((always_inline)) vf pool_column(const pool_row *r, int64_t ix,
                                                            const bool mean, const int lanes) {
    const float *at = r->x + ix * r->x_ld;
    vf v = v_load_n(at, lanes);
    if (r->rows == 2) return pool_join(v, v_load_n(at + r->pitch, lanes), mean);
    if (r->rows == 3) {
        v = pool_join(v, v_load_n(at + r->pitch, lanes), mean);
        return pool_join(v, v_load_n(at + 2 * r->pitch, lanes), mean);
    }
    for (int64_t k = 1; k < r->rows; k++) v = pool_join(v, v_load_n(at += r->pitch, lanes), mean);
    return v;
}

static inline vf pool_finish(const pool_row *r, vf v, taps t, const bool mean) {
    const omma_pooling *p = r->p;
    const bool none = t.begin == t.end || !r->rows;
    if (!mean) return none ? v_set(-INFINITY) : v;
    const int64_t across = p->include_pad ? t.count : t.end - t.begin;
    return none ? v_set(0) : v_div(v, v_set((float)(across * r->divisor)));
}

/* Output pixels [x0, x1), whose columns fit. */
static inline __attribute__((always_inline)) void
pool_pixels(const pool_row *r, int64_t x0, int64_t x1, float *y, const bool mean, const int lanes) {
    const omma_pooling *p = r->p;
    const int64_t first = x0 * p->stride_w - p->pad_left,
                  reach = (int64_t)(p->kw - 1) * p->dilation_w + 1;
    int64_t begin = first < 0 ? 0 : first, end = (x1 - 1) * p->stride_w - p->pad_left + reach;
    vf columns[POOL_COLUMNS];
    if (end > p->w) end = p->w;
    if (!r->rows) end = begin;
    for (int64_t ix = begin; ix < end; ix++) columns[ix - first] = pool_column(r, ix, mean, lanes);
    const taps all = {0, p->kw, p->kw};
    for (int64_t ox = x0; ox < x1; ox++) {
        const int64_t at = ox * p->stride_w - p->pad_left;
        const bool inside = at >= 0 && at + reach <= p->w;
        const taps t = inside ? all : taps_at(at, p->kw, p->dilation_w, p->w, p->pad_right);
        const vf *from = columns + (at - first) + t.begin * p->dilation_w;
        vf v = v_set(0);
        if (r->rows && t.begin < t.end) {
            v = *from;
            for (int64_t k = t.begin + 1; k < t.end; k++)
                v = pool_join(v, *(from += p->dilation_w), mean);
        }
        v_store_n(y + ox * r->y_ld, pool_finish(r, v, t, mean), lanes);
    }
}

/* One output pixel, whose columns need not fit. */
static void pool_pixel(const pool_row *r, int64_t ox, float *y) {
    const omma_pooling *p = r->p;
    const int64_t at = ox * p->stride_w - p->pad_left;
    const taps t = taps_at(at, p->kw, p->dilation_w, p->w, p->pad_right);
    vf v = v_set(0);
    for (int64_t k = t.begin; r->rows && k < t.end; k++) {
        const vf column = pool_column(r, at + k * p->dilation_w, p->mean, r->lanes);
        v = k == t.begin ? column : pool_join(v, column, p->mean);
    }
    v_store_n(y + ox * r->y_ld, pool_finish(r, v, t, p->mean), r->lanes);
}

static void pool_run(const pool_row *r, int64_t x0, int64_t x1, float *y) {
    if (r->lanes < VL) {
        if (r->p->mean) pool_pixels(r, x0, x1, y, true, r->lanes);
        else pool_pixels(r, x0, x1, y, false, r->lanes);
    } else {
        if (r->p->mean) pool_pixels(r, x0, x1, y, true, VL);
        else pool_pixels(r, x0, x1, y, false, VL);
    }
}

static void ISA(pool_f32)(const omma_pooling *p, const omma_part *part, const float *x, float *y) {
    const int64_t reach = (int64_t)(p->kw - 1) * p->dilation_w + 1;
    const int64_t step = reach > POOL_COLUMNS ? 0 : (POOL_COLUMNS - reach) / p->stride_w + 1;
    pool_row r = {.p = p, .x_ld = part->x_ld, .y_ld = part->y_ld};
    r.pitch = p->dilation_h * p->w * part->x_ld;
    for (int64_t oy = part->y0; oy < part->y1; oy++) {
        const int64_t iy = oy * p->stride_h - p->pad_top;
        const taps t = taps_at(iy, p->kh, p->dilation_h, p->h, p->pad_bottom);
        r.rows = t.end - t.begin;
        r.divisor = p->include_pad ? t.count : r.rows;
        const float *from = x + (iy + t.begin * p->dilation_h) * p->w * part->x_ld;
        float *to = y + oy * p->ow * part->y_ld;
        for (int64_t x0 = 0; x0 < p->ow; x0 += step ? step : 1)
            for (int64_t c = part->c0; c < part->c1; c += VL) {
                r.lanes = part->c1 - c < VL ? (int)(part->c1 - c) : VL;
                r.x = from + c;
                if (step) pool_run(&r, x0, x0 + step < p->ow ? x0 + step : p->ow, to + c);
                else pool_pixel(&r, x0, to + c);
            }
    }
}

/* --- sums of columns --------------------------------------------------------------------- */

enum {
    SUM_WIDE = 4,  /* vectors at once */
    SUM_RUN = 128, /* rows added before they join the sum: keeps its error small */
};

/* n <= SUM_WIDE vectors; two chains each, of even and odd rows. */
static inline __attribute__((always_inline)) void
sum_columns_of(int64_t rows, int n, const float *x, int64_t ld, float *y, const bool whole) {
    vf all[SUM_WIDE];
    int lanes[SUM_WIDE];
    UNROLL for (int v = 0; v < SUM_WIDE; v++) {
        const int rest = n - v * VL;
        lanes[v] = whole ? VL : rest < 0 ? 0 : rest < VL ? rest : VL;
        all[v] = v_set(0);
    }
    while (rows > 0) {
        const int64_t run = rows < SUM_RUN ? rows : SUM_RUN;
        vf even[SUM_WIDE], odd[SUM_WIDE];
        UNROLL for (int v = 0; v < SUM_WIDE; v++) even[v] = odd[v] = v_set(0);
        for (int64_t i = 0; i + 2 <= run; i += 2, x += 2 * ld)
            UNROLL for (int v = 0; v < SUM_WIDE; v++) {
                even[v] = v_add(even[v], v_load_n(x + v * VL, lanes[v]));
                odd[v] = v_add(odd[v], v_load_n(x + ld + v * VL, lanes[v]));
            }
        if (run % 2) {
            UNROLL for (int v = 0; v < SUM_WIDE; v++) even[v] =
                v_add(even[v], v_load_n(x + v * VL, lanes[v]));
            x += ld;
        }
        UNROLL for (int v = 0; v < SUM_WIDE; v++) all[v] = v_add(all[v], v_add(even[v], odd[v]));
        rows -= run;
    }
    UNROLL for (int v = 0; v < SUM_WIDE; v++) v_store_n(y + v * VL, all[v], lanes[v]);
}

static void ISA(sum_rows_f32)(int64_t rows, int64_t n, const float *x, int64_t ld, float *y) {
    int64_t c = 0;
    for (; c + SUM_WIDE * VL <= n; c += SUM_WIDE * VL)
        sum_columns_of(rows, SUM_WIDE * VL, x + c, ld, y + c, true);
    if (c < n) sum_columns_of(rows, (int)(n - c), x + c, ld, y + c, false);
}

static void fill_pool_last(omma_kernels *k) {
    k->pool = ISA(pool_f32);
    k->sum_rows = ISA(sum_rows_f32);
}
