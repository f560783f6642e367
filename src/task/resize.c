/* resize.c - Pillow's two-pass resampling; see resize.h.
 *
 * Output pixel i looks at centre c = (i + 1/2) s, where s = input / output size. Its
 * taps are the input pixels within support * max(s, 1) of c, weighted by the filter
 * f((x + 1/2 - c) / max(s, 1)), normalised to sum 1 and rounded to 22 bits after the
 * point. Rows are done first, rounded to 8 bits, then columns. A pass whose size does
 * not change is skipped.
 *
 * The order of the floating-point operations decides the last bit of a weight and is
 * Pillow's; it needs IEEE doubles without contraction, as the build asks for. */
#include "task/resize.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/checked.h"
#include "file/image.h"

enum { BITS = 32 - 8 - 2, STRIP = 128 };

static double triangle(double x) {
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

static double cubic(double x) {
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

/* One axis: which input pixels an output pixel looks at, and their weights. */
typedef struct taps {
    int *first, *count; /* [out] */
    int32_t *weight;    /* [out, most], in 1 / 2^BITS */
    size_t most;
} taps;

typedef struct axis {
    int in, out;
    double (*filter)(double);
    double support; /* at scale 1 [px] */
} axis;

static int32_t fixed(double w) { return (int32_t)(w * (1 << BITS) + (w < 0 ? -0.5 : 0.5)); }

/* The weights of output pixel i; raw is room for t->most doubles. */
static void weigh(taps *t, const axis *a, int i, double *raw) {
    double scale = (double)a->in / a->out, widen = scale < 1.0 ? 1.0 : scale;
    double support = a->support * widen, centre = (i + 0.5) * scale, inverse = 1.0 / widen;
    int first = (int)(centre - support + 0.5), end = (int)(centre + support + 0.5);
    if (first < 0) first = 0;
    if (end > a->in) end = a->in;
    double sum = 0.0;
    for (int x = first; x < end; x++) {
        raw[x - first] = a->filter((x - centre + 0.5) * inverse);
        sum += raw[x - first];
    }
    int32_t *weight = t->weight + (size_t)i * t->most;
    for (int k = 0; k < end - first; k++) weight[k] = fixed(sum != 0.0 ? raw[k] / sum : raw[k]);
    t->first[i] = first;
    t->count[i] = end - first;
}

static omma_status taps_make(taps *t, omma_arena *arena, const axis *a, omma_error *err) {
    double scale = (double)a->in / a->out;
    size_t out = (size_t)a->out, n;
    t->most = (size_t)ceil(a->support * (scale < 1.0 ? 1.0 : scale)) * 2 + 1;
    t->first = omma_arena_array(arena, out, sizeof *t->first);
    t->count = omma_arena_array(arena, out, sizeof *t->count);
    t->weight = omma_mul(out, t->most, &n) ? omma_arena_array(arena, n, sizeof *t->weight) : NULL;
    double *raw = omma_arena_array(arena, t->most, sizeof *raw);
    if (!t->first || !t->count || !t->weight || !raw)
        return omma_fail(err, OMMA_E_NOMEM, "no memory to resize %d to %d pixels", a->in, a->out);
    for (int i = 0; i < a->out; i++) weigh(t, a, i, raw);
    return OMMA_OK;
}

/* Weights of a pixel sum to 1 and their magnitudes to less than 2, so |v| < 2^31. */
static unsigned char to_u8(int32_t v) {
    v >>= BITS;
    return (unsigned char)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static void row_1(unsigned char *to, const unsigned char *from, const taps *t, int out) {
    for (int i = 0; i < out; i++) {
        const int32_t *w = t->weight + (size_t)i * t->most;
        const unsigned char *p = from + t->first[i];
        int32_t v = 1 << (BITS - 1);
        for (int k = 0; k < t->count[i]; k++) v += p[k] * w[k];
        to[i] = to_u8(v);
    }
}

static void row_3(unsigned char *to, const unsigned char *from, const taps *t, int out) {
    for (int i = 0; i < out; i++, to += 3) {
        const int32_t *w = t->weight + (size_t)i * t->most;
        const unsigned char *p = from + 3 * (size_t)t->first[i];
        int32_t r = 1 << (BITS - 1), g = r, b = r;
        for (int k = 0; k < t->count[i]; k++, p += 3) {
            r += p[0] * w[k];
            g += p[1] * w[k];
            b += p[2] * w[k];
        }
        to[0] = to_u8(r);
        to[1] = to_u8(g);
        to[2] = to_u8(b);
    }
}

/* n <= STRIP neighbouring bytes of one output row: the sum of count rows, each times its
 * weight. The fixed length lets the compiler use vectors. */
static void column_strip(unsigned char *to, const unsigned char *from, size_t pitch,
                         const int32_t *w, int count) {
    int32_t v[STRIP];
    for (int i = 0; i < STRIP; i++) v[i] = 1 << (BITS - 1);
    for (int k = 0; k < count; k++, from += pitch)
        for (int i = 0; i < STRIP; i++) v[i] += from[i] * w[k];
    for (int i = 0; i < STRIP; i++) to[i] = to_u8(v[i]);
}

static void column_rest(unsigned char *to, const unsigned char *from, size_t pitch,
                        const int32_t *w, int count, size_t n) {
    for (size_t i = 0; i < n; i++) {
        int32_t v = 1 << (BITS - 1);
        for (int k = 0; k < count; k++) v += from[(size_t)k * pitch + i] * w[k];
        to[i] = to_u8(v);
    }
}

static void columns(unsigned char *dst, const unsigned char *src, size_t pitch, size_t width,
                    const taps *t, int out) {
    for (int y = 0; y < out; y++, dst += width) {
        const int32_t *w = t->weight + (size_t)y * t->most;
        const unsigned char *from = src + pitch * (size_t)t->first[y];
        size_t x = 0;
        for (; x + STRIP <= width; x += STRIP)
            column_strip(dst + x, from + x, pitch, w, t->count[y]);
        column_rest(dst + x, from + x, pitch, w, t->count[y], width - x);
    }
}

static void rows(unsigned char *dst, const unsigned char *src, size_t pitch, int height,
                 const taps *t, int out, int channels) {
    for (int y = 0; y < height; y++, src += pitch, dst += (size_t)out * (size_t)channels) {
        if (channels == 3) row_3(dst, src, t, out);
        else row_1(dst, src, t, out);
    }
}

static omma_status resize(unsigned char *dst, const axis *x, const axis *y,
                          const unsigned char *src, size_t pitch, int channels, omma_arena *arena,
                          omma_error *err) {
    size_t width = (size_t)x->out * (size_t)channels;
    taps across, down;
    if (x->in != x->out) OMMA_TRY(taps_make(&across, arena, x, err));
    if (y->in != y->out) OMMA_TRY(taps_make(&down, arena, y, err));
    if (x->in != x->out) {
        unsigned char *to = dst;
        if (y->in != y->out) to = omma_arena_array(arena, (size_t)y->in, width);
        if (!to)
            return omma_fail(err, OMMA_E_NOMEM, "no memory to resize to %d x %d pixels", x->out,
                             y->out);
        rows(to, src, pitch, y->in, &across, x->out, channels);
        src = to;
        pitch = width;
    }
    if (y->in != y->out) columns(dst, src, pitch, width, &down, y->out);
    else if (src != dst)
        for (size_t i = 0; i < (size_t)y->out; i++) memcpy(dst + i * width, src + i * pitch, width);
    return OMMA_OK;
}

static bool side_ok(int n) { return n >= 1 && n <= OMMA_IMAGE_MAX_SIDE; }

omma_status omma_resize_u8(unsigned char *dst, int dst_w, int dst_h, const unsigned char *src,
                           int src_w, int src_h, size_t src_pitch, int channels, omma_filter filter,
                           omma_error *err) {
    if (!side_ok(dst_w) || !side_ok(dst_h) || !side_ok(src_w) || !side_ok(src_h))
        return omma_fail(err, OMMA_E_RANGE,
                         "cannot resize %d x %d to %d x %d pixels: sides are "
                         "1 to %d",
                         src_w, src_h, dst_w, dst_h, OMMA_IMAGE_MAX_SIDE);
    if ((channels != 1 && channels != 3) || src_pitch < (size_t)src_w * (size_t)channels)
        return omma_fail(err, OMMA_E_RANGE, "cannot resize %d channels with rows of %zu bytes",
                         channels, src_pitch);
    if (filter != OMMA_FILTER_BILINEAR && filter != OMMA_FILTER_BICUBIC)
        return omma_fail(err, OMMA_E_USAGE, "no filter %d for resizing", (int)filter);
    bool smooth = filter == OMMA_FILTER_BICUBIC;
    axis x = {src_w, dst_w, smooth ? cubic : triangle, smooth ? 2.0 : 1.0};
    axis y = {src_h, dst_h, x.filter, x.support};
    omma_arena arena;
    omma_arena_init(&arena, NULL);
    omma_status status = resize(dst, &x, &y, src, src_pitch, channels, &arena, err);
    omma_arena_free(&arena);
    return status;
}
