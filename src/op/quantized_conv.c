/* quantized_conv.c - ConvInteger and QLinearConv.
 *
 *   ConvInteger: y = sum of (x - x_zero) * (w - w_zero), int32
 *   QLinearConv: y = saturate(round((that + bias) * (x_scale * w_scale / y_scale)) + y_zero)
 *   x: u8 or i8 [N, G*C, spatial...]   w: u8 or i8 [M, C, kernel...]   bias: i32 [M], optional
 *   y: [N, M, out...], as Conv
 *
 * Zero points and scales are one number; those of w may be one a channel: [M]. Padding is
 * x_zero, so it adds nothing. The factor is computed in float32, its product with the sum in
 * float64; rounding is to the nearest, ties to even, before y_zero is added. Sums wrap around
 * at 32 bits.
 *
 * One picture at a time is turned, less its zero point, to channels last; what an output pixel
 * sees is then a row of a few copies, and the weights are rows in the same order [kernel, C].
 * With one channel a group (depthwise) such rows are too short to pay: there the lines that
 * PIXELS neighbours see are laid out with their padding, and tap by tap added up.
 * Sources: ONNX ConvInteger 10; QLinearConv 10. */
#include <string.h>

#include "base/checked.h"
#include "base/pool.h"
#include "op/field.h"
#include "op/int_rows.h"
#include "op/window.h"

enum { PIXELS = 16, CHANNELS = 64 }; /* of y in one item */
enum { TURN = 64, ACROSS = 16 };     /* pixels of x in one item; channels turned at a time */
/* Limits of the way by lines: taps of the last axis, of the kernel (so many products of 255 * 255
 * fit an int32), and numbers in all lines. */
enum { MAX_TAPS = 64, MAX_KERNEL = 32768, MAX_LINES = 1 << 20 };

/* Which input is what; -1: the operator has none. */
typedef struct slots {
    int x, w, x_zero, w_zero, x_scale, w_scale, y_scale, y_zero, bias;
} slots;

typedef struct conv {
    slots in;
    omma_window win;
    int64_t n, groups, c, m; /* c: input channels of a group; m: all output channels */
    int64_t out_count;       /* pixels of an output plane */
    bool idle;               /* nothing to compute */
    int workers;             /* threads the working memory is for */
    int64_t row;             /* int16 in a row of kernel_count * c numbers */
    size_t see_bytes;        /* a worker's rows, what PIXELS outputs see, or its lines */
    bool by_lines;           /* the way for one channel a group */
    int64_t lines;           /* by_lines: of the kernel, taps along the last axis each */
    int64_t phase;           /* numbers in a line at one place modulo the stride */
    size_t x_at, w_at;       /* where the turned picture and the rows of w are */
} conv;

/* --- shapes ------------------------------------------------------------------------------- */

static omma_status check_shapes(omma_build *b, const omma_node *n, conv *p) {
    const omma_value *x = n->in[p->in.x], *w = n->in[p->in.w], *bias = omma_in(n, p->in.bias);
    if (x->rank < 3 || w->rank != x->rank)
        return omma_bad(b, n,
                        "input of rank %d, weights of rank %d; both must be [N, C, spatial...]",
                        x->rank, w->rank);
    p->groups = omma_node_int(n, "group", 1);
    p->n = x->dims[0], p->m = w->dims[0], p->c = w->dims[1];
    if (p->groups < 1 || x->dims[1] % p->groups || p->m % p->groups)
        return omma_bad(b, n, "group %lld does not divide %lld input and %lld output channels",
                        (long long)p->groups, (long long)x->dims[1], (long long)p->m);
    if (x->dims[1] / p->groups != p->c)
        return omma_bad(
            b, n,
            "the input has %lld channels in %lld groups; the weights '%s' expect %lld a "
            "group",
            (long long)x->dims[1], (long long)p->groups, w->name, (long long)p->c);
    if (bias && (bias->dtype != OMMA_I32 || bias->rank != 1 || bias->dims[0] != p->m))
        return omma_bad(b, n,
                        "the bias '%s' must hold an int32 for each of the %lld output channels",
                        bias->name, (long long)p->m);
    return OMMA_OK;
}

/* Input i holds one number, or with most > 1 a list of that many. */
static omma_status numbers(omma_build *b, const omma_node *n, int i, int64_t most) {
    const omma_value *v = omma_in(n, i);
    if (!v || omma_value_count(v) == 1) return OMMA_OK;
    if (most != 1 && v->rank == 1 && v->dims[0] == most) return OMMA_OK;
    return omma_bad(b, n, "'%s' must be one number%s", v->name,
                    most == 1 ? "" : " or one for each output channel");
}

static omma_status read_window(omma_build *b, const omma_node *n, conv *p) {
    const omma_value *x = n->in[p->in.x], *w = n->in[p->in.w];
    int64_t kernel[OMMA_MAX_SPATIAL];
    bool found;
    OMMA_TRY(omma_window_kernel(b, n, x->rank - 2, kernel, &found));
    if (found && memcmp(kernel, w->dims + 2, (size_t)(x->rank - 2) * sizeof *kernel))
        return omma_bad(b, n, "kernel_shape is not the shape of the weights '%s'", w->name);
    OMMA_TRY(omma_window_read(b, n, x, w->dims + 2, &p->win));
    return omma_window_slide(b, n, false, &p->win);
}

static omma_status conv_infer(omma_build *b, omma_node *n, omma_dtype to, conv *p) {
    int64_t dims[OMMA_MAX_RANK], count;
    OMMA_TRY(omma_want(b, n, p->in.x, OMMA_IN_8BIT));
    OMMA_TRY(omma_want(b, n, p->in.w, OMMA_IN_8BIT));
    OMMA_TRY(omma_int_zero_type(b, n, p->in.x_zero, p->in.x));
    OMMA_TRY(omma_int_zero_type(b, n, p->in.w_zero, p->in.w));
    OMMA_TRY(check_shapes(b, n, p));
    OMMA_TRY(numbers(b, n, p->in.x_zero, 1));
    OMMA_TRY(numbers(b, n, p->in.w_zero, p->m));
    OMMA_TRY(read_window(b, n, p));
    dims[0] = p->n, dims[1] = p->m;
    memcpy(dims + 2, p->win.out, (size_t)p->win.k * sizeof *dims);
    if (!omma_dims_count(dims, p->win.k + 2, &count) ||
        !omma_dims_count(p->win.out, p->win.k, &p->out_count))
        return omma_bad(b, n, "the output's size overflows");
    p->idle = !count;
    return omma_out(b, n, 0, to, p->win.k + 2, dims);
}

static omma_status integer_infer(omma_build *b, omma_node *n) {
    conv *p = omma_param(b, n, sizeof *p);
    if (!p) return omma_nomem(b, n);
    p->in = (slots){.x = 0,
                    .w = 1,
                    .x_zero = 2,
                    .w_zero = 3,
                    .x_scale = -1,
                    .w_scale = -1,
                    .y_scale = -1,
                    .y_zero = -1,
                    .bias = 4}; /* it never has an input 4 */
    return conv_infer(b, n, OMMA_I32, p);
}

static omma_status linear_infer(omma_build *b, omma_node *n) {
    static const int scales[] = {1, 4, 6}, zeros[] = {2, 5, 7};
    conv *p = omma_param(b, n, sizeof *p);
    if (!p) return omma_nomem(b, n);
    p->in = (slots){.x = 0,
                    .x_scale = 1,
                    .x_zero = 2,
                    .w = 3,
                    .w_scale = 4,
                    .w_zero = 5,
                    .y_scale = 6,
                    .y_zero = 7,
                    .bias = 8};
    for (int i = 0; i < 3; i++) {
        OMMA_TRY(omma_want(b, n, scales[i], OMMA_IN_SCALE));
        OMMA_TRY(omma_want(b, n, zeros[i], OMMA_IN_8BIT));
    }
    OMMA_TRY(conv_infer(b, n, n->in[p->in.y_zero]->dtype, p));
    OMMA_TRY(numbers(b, n, p->in.x_scale, 1));
    OMMA_TRY(numbers(b, n, p->in.w_scale, p->m));
    OMMA_TRY(numbers(b, n, p->in.y_scale, 1));
    return numbers(b, n, p->in.y_zero, 1);
}

/* --- weights as rows -------------------------------------------------------------------------- */

/* Number i of the zero points z, which may be NULL, in data. */
static int zero_at(const omma_value *z, const void *data, int64_t i) {
    return z ? (int)omma_get_int(z->dtype, data, omma_value_count(z) > 1 ? i : 0) : 0;
}

/* Channels [begin, end) of w, [C, kernel], as rows [kernel, C]. */
static void weights_to_rows(const omma_node *n, const void *w, const void *zeros, int16_t *dst,
                            int64_t begin, int64_t end) {
    const conv *p = n->param;
    const int64_t taps = p->win.kernel_count;
    for (int64_t m = begin; m < end; m++) {
        const int zero = zero_at(omma_in(n, p->in.w_zero), zeros, m);
        int16_t *to = dst + m * p->row;
        for (int64_t t = 0; p->c && t < taps; t++, to += p->c)
            omma_int_widen(to, n->in[p->in.w]->dtype, (const char *)w + m * p->c * taps + t, taps,
                           p->c, zero, p->c);
        memset(to, 0, (size_t)(p->row - p->c * taps) * sizeof *to);
    }
}

static omma_status pack_constant(omma_build *b, omma_node *n, const conv *p, size_t bytes) {
    const omma_value *v = n->in[p->in.w], *z = omma_in(n, p->in.w_zero);
    const char *form =
        omma_arena_printf(b->arena, "channels of %s %lld %lld %lld", omma_dtype_name(v->dtype),
                          (long long)p->m, (long long)p->c, (long long)p->win.kernel_count);
    const void *from;
    int16_t *rows = form ? omma_int_pack(b, n, p->in.w, p->in.w_zero, form, bytes, &from) : NULL;
    if (!rows) return omma_nomem(b, n);
    if (from) weights_to_rows(n, from, z ? z->data : NULL, rows, 0, p->m);
    if (from) omma_pack_done(v);
    n->packed = rows;
    n->packed_in |= 1u << p->in.w;
    return OMMA_OK;
}

/* Decide for the way by lines, where a line covers PIXELS outputs at a time with the padding. */
static void plan_lines(conv *p) {
    const omma_window *w = &p->win;
    const int last = w->k - 1;
    const int64_t taps = w->kernel[last], stride = w->stride[last], dilation = w->dilation[last];
    if (p->c != 1 || taps > MAX_TAPS || w->out[last] > MAX_LINES || stride > MAX_LINES) return;
    if (dilation > MAX_LINES || w->kernel_count > MAX_KERNEL) return;
    p->lines = w->kernel_count / taps;
    p->phase = (w->out[last] - 1) / PIXELS * PIXELS + PIXELS + (taps - 1) * dilation / stride + 1;
    const int64_t all = p->phase * stride;
    p->by_lines = all <= MAX_LINES && all * p->lines <= MAX_LINES;
    if (p->by_lines) p->see_bytes = (size_t)(all * p->lines) * sizeof(int16_t);
}

static omma_status conv_prepare(omma_build *b, omma_node *n) {
    conv *p = (conv *)n->param;
    const omma_value *z = omma_in(n, p->in.w_zero);
    size_t all_see, x_bytes, w_bytes;
    int64_t k, pixels, row;
    if (p->idle) return OMMA_OK;
    p->workers = omma_workers(b);
    if (!omma_dims_count((const int64_t[]){p->win.kernel_count, p->c}, 2, &k) ||
        !omma_dims_count((const int64_t[]){p->groups, p->win.in_count}, 2, &pixels) ||
        !omma_dims_count((const int64_t[]){p->c, pixels}, 2, &pixels) ||
        !omma_int_row_bytes(k, PIXELS, &p->row, &p->see_bytes) ||
        !omma_int_row_bytes(k, p->m, &p->row, &w_bytes) ||
        !omma_int_row_bytes(pixels, 1, &row, &x_bytes))
        return omma_bad(b, n, "its working memory overflows");
    plan_lines(p);
    if (!omma_mul(p->see_bytes, (size_t)p->workers, &all_see) ||
        !omma_add(all_see, x_bytes, &p->w_at) || !omma_add(p->w_at, w_bytes, &n->scratch))
        return omma_bad(b, n, "its working memory overflows");
    p->x_at = all_see;
    if (!n->in[p->in.w]->data || (z && !z->data)) return OMMA_OK;
    n->scratch = p->w_at;
    return pack_constant(b, n, p, w_bytes);
}

/* --- running ---------------------------------------------------------------------------------- */

typedef struct conv_job {
    const omma_node *n;
    const conv *p;
    const int16_t *w;
    int16_t *fresh;  /* w, to be filled */
    int16_t *turned; /* the picture [G, pixel, C] */
    int64_t image;
    void *y;
} conv_job;

/* Items are output channels. */
static void fill_w(void *arg, int64_t begin, int64_t end, int worker) {
    const conv_job *j = arg;
    const omma_value *z = omma_in(j->n, j->p->in.w_zero);
    (void)worker;
    weights_to_rows(j->n, j->n->in[j->p->in.w]->mem, z ? z->mem : NULL, j->fresh, begin, end);
}

/* Items are parts of TURN pixels of the groups. */
static void turn(void *arg, int64_t begin, int64_t end, int worker) {
    const conv_job *j = arg;
    const conv *p = j->p;
    const omma_value *x = j->n->in[p->in.x], *z = omma_in(j->n, p->in.x_zero);
    const int64_t plane = p->win.in_count, parts = (plane - 1) / TURN + 1;
    const int zero = zero_at(z, z ? z->mem : NULL, 0);
    int16_t lines[ACROSS][TURN];
    (void)worker;
    for (int64_t item = begin; item < end; item++) {
        const int64_t g = item / parts, at = item % parts * TURN;
        const int64_t len = plane - at < TURN ? plane - at : TURN;
        const uint8_t *src =
            (const uint8_t *)x->mem + (j->image * p->groups + g) * p->c * plane + at;
        int16_t *dst = j->turned + (g * plane + at) * p->c;
        for (int64_t c = 0; c < p->c; c += ACROSS) {
            const int64_t channels = p->c - c < ACROSS ? p->c - c : ACROSS;
            for (int64_t k = 0; k < channels; k++)
                omma_int_widen(lines[k], x->dtype, src + (c + k) * plane, 1, len, zero, len);
            for (int64_t i = 0; i < len; i++)
                if (channels == ACROSS)
                    for (int k = 0; k < ACROSS; k++) dst[i * p->c + c + k] = lines[k][i];
                else
                    for (int64_t k = 0; k < channels; k++) dst[i * p->c + c + k] = lines[k][i];
        }
    }
}

static void copy(int16_t *restrict dst, const int16_t *restrict src, int64_t n) {
    if (n > 16) memcpy(dst, src, (size_t)n * sizeof *dst);
    else
        for (int64_t i = 0; i < n; i++) dst[i] = src[i];
}

static void clear(int16_t *dst, int64_t n) {
    for (int64_t i = 0; i < n; i++) dst[i] = 0;
}

/* The taps of a kernel's last axis, dst: [kernel, C], over a line of x that starts at `from`;
 * a line outside the picture is NULL. Without dilation neighbours lie side by side. */
static void see_line(const conv *p, const int16_t *line, int64_t from, int16_t *dst) {
    const omma_window *w = &p->win;
    const int last = w->k - 1;
    const int64_t taps = w->kernel[last], dilation = w->dilation[last], width = w->in[last];
    int64_t lo = from < 0 ? (dilation - 1 - from) / dilation : 0;
    int64_t hi = from < width ? (width - 1 - from) / dilation + 1 : 0;
    if (!line || hi <= 0 || lo >= taps) {
        clear(dst, taps * p->c);
        return;
    }
    if (hi > taps) hi = taps;
    clear(dst, lo * p->c);
    if (dilation == 1) copy(dst + lo * p->c, line + (from + lo) * p->c, (hi - lo) * p->c);
    else
        for (int64_t t = lo; t < hi; t++)
            copy(dst + t * p->c, line + (from + t * dilation) * p->c, p->c);
    clear(dst + hi * p->c, (taps - hi) * p->c);
}

/* dst: [row] = what the output pixel at `at` sees of x: [pixel, C]. */
static void see(const conv *p, const int16_t *x, const int64_t *at, int16_t *dst) {
    const omma_window *w = &p->win;
    const int last = w->k - 1;
    const int64_t lines = w->kernel_count / w->kernel[last];
    int64_t from[OMMA_MAX_SPATIAL], t[OMMA_MAX_SPATIAL] = {0};
    int16_t *end = dst + p->row;
    for (int d = 0; d < w->k; d++) from[d] = at[d] * w->stride[d] - w->pad[d];
    for (int64_t i = 0; p->c && i < lines; i++, dst += w->kernel[last] * p->c) {
        int64_t line = 0;
        bool inside = true;
        for (int d = 0; d < last; d++) {
            const int64_t y = from[d] + t[d] * w->dilation[d];
            inside = inside && y >= 0 && y < w->in[d];
            line = inside ? line * w->in[d] + y : 0;
        }
        see_line(p, inside ? x + line * w->in[last] * p->c : NULL, from[last], dst);
        for (int d = last - 1; d >= 0 && ++t[d] == w->kernel[d]; d--) t[d] = 0;
    }
    clear(dst, end - dst);
}

/* What the output pixels from o on see, as rows. */
static void see_all(const conv *p, const int16_t *x, int64_t o, int64_t pixels, int16_t *rows) {
    const omma_window *w = &p->win;
    int64_t at[OMMA_MAX_SPATIAL];
    omma_unravel(o, w->out, w->k, at);
    for (int64_t i = 0; i < pixels; i++) {
        see(p, x, at, rows + i * p->row);
        for (int d = w->k - 1; d >= 0 && ++at[d] == w->out[d]; d--) at[d] = 0;
    }
}

static float scale_at(const omma_node *n, int in, int64_t i) {
    const omma_value *v = n->in[in];
    return (float)omma_number(v->dtype, v->mem, omma_value_count(v) > 1 ? i : 0);
}

/* Sums of an output channel to y, from place `at`. */
static void put_sums(const conv_job *j, int64_t m, int64_t at, int64_t pixels, uint32_t *sum) {
    const slots *in = &j->p->in;
    const omma_value *bias = omma_in(j->n, in->bias);
    if (in->y_scale < 0) {
        memcpy((int32_t *)j->y + at, sum, (size_t)pixels * sizeof *sum);
        return;
    }
    const omma_value *z = j->n->in[in->y_zero];
    float factor[PIXELS];
    factor[0] = scale_at(j->n, in->x_scale, 0) * scale_at(j->n, in->w_scale, m) /
                scale_at(j->n, in->y_scale, 0);
    for (int i = 1; i < PIXELS; i++) factor[i] = factor[0];
    for (int i = 0; bias && i < PIXELS; i++) sum[i] += ((const uint32_t *)bias->mem)[m];
    omma_int_requantize(z->dtype, j->y, at, sum, factor, pixels, zero_at(z, z->mem, 0));
}

/* Items are parts of y: in each group CHANNELS channels of PIXELS pixels. */
static void parts(void *arg, int64_t begin, int64_t end, int worker) {
    const conv_job *j = arg;
    const conv *p = j->p;
    const int64_t each = p->m / p->groups, across = (p->out_count - 1) / PIXELS + 1;
    const int64_t down = (each - 1) / CHANNELS + 1;
    int16_t *rows = (void *)((char *)j->n->work + (size_t)worker * p->see_bytes);
    uint32_t sum[CHANNELS * PIXELS] = {0};
    for (int64_t item = begin; item < end; item++) {
        const int64_t g = item / across / down, o = item / down % across * PIXELS;
        const int64_t m = item % down * CHANNELS, first = g * each + m;
        const int64_t pixels = p->out_count - o < PIXELS ? p->out_count - o : PIXELS;
        const int64_t channels = each - m < CHANNELS ? each - m : CHANNELS;
        see_all(p, j->turned + g * p->win.in_count * p->c, o, pixels, rows);
        if (channels == 1) omma_int_rows(pixels, rows, 1, j->w + first * p->row, p->row, sum, 1);
        else omma_int_rows(channels, j->w + first * p->row, pixels, rows, p->row, sum, PIXELS);
        for (int64_t i = 0; i < channels; i++) {
            const int64_t at = (j->image * p->m + first + i) * p->out_count + o;
            put_sums(j, first + i, at, pixels, sum + i * PIXELS);
        }
    }
}

/* --- by lines -----------------------------------------------------------------------------------
 */

/* dst: [stride, phase] = a line of x with its padding, the numbers sorted by their place modulo
 * the stride. line: NULL outside the picture. */
static void lay_line(const conv *p, const int16_t *line, int16_t *dst) {
    const omma_window *w = &p->win;
    const int last = w->k - 1;
    const int64_t stride = w->stride[last], width = w->in[last];
    if (!line) {
        memset(dst, 0, (size_t)(stride * p->phase) * sizeof *dst);
        return;
    }
    for (int64_t s = 0; s < stride; s++, dst += p->phase) {
        const int64_t first = s - w->pad[last]; /* where dst[0] lies in the line */
        int64_t lo = first < 0 ? (stride - 1 - first) / stride : 0;
        int64_t hi = first < width ? (width - 1 - first) / stride + 1 : 0;
        lo = lo < p->phase ? lo : p->phase;
        hi = hi < p->phase ? hi : p->phase;
        hi = hi > lo ? hi : lo;
        clear(dst, lo);
        if (stride == 1) copy(dst + lo, line + first + lo, hi - lo);
        else
            for (int64_t i = lo; i < hi; i++) dst[i] = line[first + i * stride];
        clear(dst + hi, p->phase - hi);
    }
}

/* All lines that output line `out` sees of the plane x. */
static void lay_lines(const conv *p, const int16_t *x, int64_t out, int16_t *dst) {
    const omma_window *w = &p->win;
    const int last = w->k - 1;
    int64_t from[OMMA_MAX_SPATIAL], t[OMMA_MAX_SPATIAL];
    omma_unravel(out, w->out, last, from);
    for (int64_t i = 0; i < p->lines; i++, dst += w->stride[last] * p->phase) {
        int64_t line = 0;
        bool inside = true;
        omma_unravel(i, w->kernel, last, t);
        for (int d = 0; d < last; d++) {
            const int64_t y = from[d] * w->stride[d] - w->pad[d] + t[d] * w->dilation[d];
            inside = inside && y >= 0 && y < w->in[d];
            line = inside ? line * w->in[d] + y : 0;
        }
        lay_line(p, inside && w->in[last] ? x + line * w->in[last] : NULL, dst);
    }
}

/* Sums of PIXELS outputs of a line from pixel o on; place[t]: where tap t of the last axis begins
 * in a line. */
static void add_taps(const conv *p, const int16_t *lines, const int64_t *place, const int16_t *w,
                     int64_t o, uint32_t *sum) {
    const int last = p->win.k - 1;
    const int64_t taps = p->win.kernel[last], pitch = p->win.stride[last] * p->phase;
    int32_t s[PIXELS] = {0};
    for (int64_t i = 0; i < p->lines; i++)
        for (int64_t t = 0; t < taps; t++) {
            const int16_t *x = lines + i * pitch + place[t] + o, by = *w++;
            for (int k = 0; k < PIXELS; k++) s[k] += x[k] * by;
        }
    for (int k = 0; k < PIXELS; k++) sum[k] = (uint32_t)s[k];
}

/* Items are lines of y. */
static void whole_lines(void *arg, int64_t begin, int64_t end, int worker) {
    const conv_job *j = arg;
    const conv *p = j->p;
    const int last = p->win.k - 1;
    const int64_t width = p->win.out[last], down = p->out_count / width, each = p->m / p->groups;
    int16_t *lines = (void *)((char *)j->n->work + (size_t)worker * p->see_bytes);
    int64_t place[MAX_TAPS];
    uint32_t sum[PIXELS];
    for (int64_t t = 0; t < p->win.kernel[last]; t++) {
        const int64_t at = t * p->win.dilation[last], stride = p->win.stride[last];
        place[t] = at % stride * p->phase + at / stride;
    }
    for (int64_t item = begin; item < end; item++) {
        const int64_t m = item / down, at = (j->image * p->m * down + item) * width;
        lay_lines(p, j->turned + m / each * p->win.in_count, item % down, lines);
        for (int64_t o = 0; o < width; o += PIXELS) {
            add_taps(p, lines, place, j->w + m * p->row, o, sum);
            put_sums(j, m, at + o, width - o < PIXELS ? width - o : PIXELS, sum);
        }
    }
}

/* --- the operators
 * --------------------------------------------------------------------------------- */

static omma_status conv_run(const omma_exec *x, const omma_node *n) {
    const conv *p = n->param;
    omma_value *y = omma_wanted(n, 0);
    if (!y || p->idle) return OMMA_OK;
    const bool packed = n->packed_in >> p->in.w & 1;
    const int threads = x->threads < p->workers ? x->threads : p->workers;
    const int64_t each = p->m / p->groups;
    const int64_t items =
        p->groups * ((p->out_count - 1) / PIXELS + 1) * ((each - 1) / CHANNELS + 1);
    const int64_t in_parts = p->win.in_count && p->c ? (p->win.in_count - 1) / TURN + 1 : 0;
    int16_t *own = (void *)((char *)n->work + p->w_at);
    conv_job j = {n, p,     packed ? n->packed : own, own, (void *)((char *)n->work + p->x_at),
                  0, y->mem};
    if (!packed) omma_parallel(threads, p->m, 1 + OMMA_GRAIN / (p->row + 1), fill_w, &j);
    for (j.image = 0; j.image < p->n; j.image++) {
        omma_parallel(threads, p->groups * in_parts, 1 + OMMA_GRAIN / (p->c * TURN + 1), turn, &j);
        if (p->by_lines)
            omma_parallel(threads, p->m * (p->out_count / p->win.out[p->win.k - 1]), 4, whole_lines,
                          &j);
        else omma_parallel(threads, items, 1 + 512 / (p->row + 1), parts, &j);
    }
    return OMMA_OK;
}

static double conv_flops(const omma_node *n) {
    const conv *p = n->param;
    if (!omma_wanted(n, 0)) return 0;
    return 2.0 * (double)omma_value_count(n->out[0]) * (double)p->c * (double)p->win.kernel_count;
}

/* As Conv; a scale or zero point is one number, or one for each output channel. */
static omma_status conv_field(omma_field *f, const omma_node *n) {
    const conv *p = n->param;
    const int others[] = {p->in.x_zero,  p->in.w_zero,  p->in.x_scale,
                          p->in.w_scale, p->in.y_scale, p->in.y_zero};
    omma_relation *r = omma_field_relate(f, 0, p->in.x);
    if (r) omma_relation_same(r, 0, 0);
    if (r && p->groups > 1) r->axis[1] = omma_map_blocks(1, p->m / p->groups, p->c);
    for (int d = 0; d < p->win.k && r; d++) r->axis[2 + d] = omma_window_map(&p->win, d, 2 + d);
    r = omma_field_relate(f, 0, p->in.w);
    if (r) omma_relation_same(r, 0, 1);
    for (int d = 0; d < p->win.k && r; d++) r->axis[2 + d] = omma_window_taps(f, &p->win, d, 2 + d);
    r = omma_field_relate(f, 0, p->in.bias);
    if (r) omma_relation_same(r, 0, 1);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        r = others[i] < 0 ? NULL : omma_field_relate(f, 0, others[i]);
        if (!r) continue;
        r->path = OMMA_PATH_STATISTIC;
        if (r->in_rank && r->in_dims[0] == p->m) omma_relation_same(r, 0, 1);
    }
    return f->status;
}

#define INTEGERS "its inputs and outputs are integers"

const omma_op omma_op_ConvInteger = {.name = "ConvInteger",
                                     .min_in = 2,
                                     .max_in = 4,
                                     .min_out = 1,
                                     .max_out = 1,
                                     .infer = integer_infer,
                                     .prepare = conv_prepare,
                                     .run = conv_run,
                                     .flops = conv_flops,
                                     .no_grad = INTEGERS,
                                     .field = conv_field};

const omma_op omma_op_QLinearConv = {.name = "QLinearConv",
                                     .min_in = 8,
                                     .max_in = 9,
                                     .min_out = 1,
                                     .max_out = 1,
                                     .infer = linear_infer,
                                     .prepare = conv_prepare,
                                     .run = conv_run,
                                     .flops = conv_flops,
                                     .no_grad = INTEGERS,
                                     .field = conv_field};
