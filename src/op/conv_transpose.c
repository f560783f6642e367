/* conv_transpose.c - ConvTranspose: every input spreads its kernel over the output,
 * y[n,m,s*i - pad + d*t] += x[n,c,i] * w[c,m,t], within groups, plus bias[m].
 *
 *   x: [N, G*C, spatial...]   w: [G*C, M, kernel...]   bias: [G*M]   y: [N, G*M, out...]
 *   out = s*(in - 1) + output_padding + d*(kernel - 1) + 1 - pad - pad_end
 *
 * f32 with one or two spatial axes: for each image and group one matrix product
 * columns[M*taps, in] = w^T x, then every output plane gathers its numbers from the
 * columns, in the order of the taps, so threads never add into the same place. Where the kernel
 * is no longer than the stride no two inputs meet in an output: then bands of input rows go from
 * the product to their places one by one, while they are in the cache. The plain loop does the
 * rest. Source: ONNX ConvTranspose, versions 1, 11, 22. Traps: with
 * output_shape the odd half of the padding goes in front unless auto_pad is SAME_UPPER;
 * outputs that no input reaches hold the bias alone. */
#include <string.h>

#include "base/checked.h"
#include "base/pool.h"
#include "graph/scaled.h"
#include "op/conv_grad.h"
#include "op/conv_transpose.h"
#include "op/fused.h"

enum { BAND_BYTES = 256 << 10 }; /* of a band's columns */

typedef struct transpose_param {
    omma_window win;
    int64_t n, groups, c, m; /* c, m: input and output channels of a group */
    bool fast;
    bool apart;           /* no two inputs meet in an output */
    int64_t band;         /* input rows done at once: all, unless apart */
    int workers;          /* bands in work at the same time */
    size_t pack_at, w_at; /* floats into the working memory: packed x, transposed w */
    size_t pitch;         /* floats of columns and packed x for each worker */
} transpose_param;

static omma_status check_channels(omma_build *b, const omma_node *n, transpose_param *p) {
    const omma_value *x = n->in[0], *w = n->in[1], *bias = omma_in(n, 2);
    if (!omma_is_float(x->dtype))
        return omma_unsupported(b, n, "type %s", omma_dtype_name(x->dtype));
    if (w->dtype != x->dtype || (bias && bias->dtype != x->dtype))
        return omma_bad(b, n, "input, weights and bias must be of one type");
    if (x->rank < 3 || w->rank != x->rank)
        return omma_bad(b, n, "input of rank %d, weights of rank %d", x->rank, w->rank);
    p->groups = omma_node_int(n, "group", 1);
    p->n = x->dims[0], p->m = w->dims[1];
    if (p->groups < 1 || x->dims[1] % p->groups || w->dims[0] != x->dims[1])
        return omma_bad(b, n,
                        "%lld input channels, weights for %lld, group %lld do not fit together",
                        (long long)x->dims[1], (long long)w->dims[0], (long long)p->groups);
    p->c = x->dims[1] / p->groups;
    int64_t all;
    if (__builtin_mul_overflow(p->m, p->groups, &all))
        return omma_bad(b, n, "too many output channels");
    if (bias && (bias->rank != 1 || bias->dims[0] != all))
        return omma_bad(b, n,
                        "the bias '%s' must hold one number for each of the %lld output channels",
                        bias->name, (long long)all);
    return OMMA_OK;
}

/* One axis' output size, and its pads when output_shape or auto_pad decides them. */
static omma_status settle(omma_build *b, const omma_node *n, omma_window *w, int d, int64_t extra,
                          int64_t wanted) {
    int64_t reach = (w->kernel[d] - 1) * w->dilation[d] + 1;
    if (reach > INT32_MAX)
        return omma_bad(b, n, "the dilated kernel is too long along spatial axis %d", d);
    int64_t full = w->in[d] ? w->stride[d] * (w->in[d] - 1) + reach + extra : 0;
    if (wanted < 0 && (w->auto_pad == OMMA_PAD_UPPER || w->auto_pad == OMMA_PAD_LOWER))
        wanted = w->in[d] * w->stride[d];
    if (wanted >= 0) {
        int64_t total = full > wanted ? full - wanted : 0;
        w->pad[d] = w->auto_pad == OMMA_PAD_UPPER ? total / 2 : total - total / 2;
        w->pad_end[d] = total - w->pad[d];
        w->out[d] = wanted;
        return OMMA_OK;
    }
    w->out[d] = full - w->pad[d] - w->pad_end[d];
    if (w->in[d] && w->out[d] < 0)
        return omma_bad(
            b, n, "the pads %lld and %lld cut more than the %lld outputs along spatial axis %d",
            (long long)w->pad[d], (long long)w->pad_end[d], (long long)full, d);
    if (w->out[d] < 0) w->out[d] = 0;
    return OMMA_OK;
}

omma_status omma_transpose_window(omma_build *b, const omma_node *n, const omma_value *x,
                                  const int64_t *kernel, omma_window *w) {
    OMMA_TRY(omma_window_read(b, n, x, kernel, w));
    int64_t extra[OMMA_MAX_SPATIAL], shape[OMMA_MAX_RANK];
    int n_extra, n_shape, k = w->k;
    OMMA_TRY(omma_ints_attr(b, n, "output_padding", extra, OMMA_MAX_SPATIAL, &n_extra));
    OMMA_TRY(omma_ints_attr(b, n, "output_shape", shape, OMMA_MAX_RANK, &n_shape));
    if (n_extra >= 0 && n_extra != k)
        return omma_bad(b, n, "output_padding has %d numbers; %d are needed", n_extra, k);
    if (n_shape >= 0 && n_shape != k && n_shape != k + 2)
        return omma_bad(b, n, "output_shape has %d numbers; %d are needed", n_shape, k);
    for (int d = 0; d < k; d++) {
        int64_t e = n_extra >= 0 ? extra[d] : 0, s = n_shape >= 0 ? shape[d + n_shape - k] : -1;
        if (e < 0 || e > INT32_MAX)
            return omma_bad(b, n, "output_padding holds %lld", (long long)e);
        if (n_shape >= 0 && (s < 0 || s > INT32_MAX))
            return omma_bad(b, n, "output_shape holds %lld", (long long)s);
        OMMA_TRY(settle(b, n, w, d, e, s));
    }
    return OMMA_OK;
}

static omma_status transpose_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0], *w = n->in[1];
    transpose_param *p = omma_param(b, n, sizeof *p);
    int64_t kernel[OMMA_MAX_SPATIAL], dims[OMMA_MAX_RANK];
    bool found;
    if (!p) return omma_nomem(b, n);
    OMMA_TRY(check_channels(b, n, p));
    OMMA_TRY(omma_window_kernel(b, n, x->rank - 2, kernel, &found));
    if (found && memcmp(kernel, w->dims + 2, (size_t)(x->rank - 2) * sizeof *kernel))
        return omma_bad(b, n, "kernel_shape is not the shape of the weights '%s'", w->name);
    OMMA_TRY(omma_transpose_window(b, n, x, w->dims + 2, &p->win));
    dims[0] = p->n, dims[1] = p->m * p->groups;
    memcpy(dims + 2, p->win.out, (size_t)p->win.k * sizeof *dims);
    p->fast = x->dtype == OMMA_F32 && p->win.k <= 2 && p->n > 0 && p->c > 0 && p->m > 0 &&
              p->win.in_count > 0;
    p->apart = p->fast;
    for (int d = 0; d < p->win.k; d++)
        if ((p->win.kernel[d] - 1) * p->win.dilation[d] >= p->win.stride[d]) p->apart = false;
    return omma_out(b, n, 0, x->dtype, x->rank, dims);
}

/* --- f32 by matrix product --------------------------------------------------------- */

/* dst[g][m*taps][c] from w[g*c][m*taps]. */
static void transpose_weights(const transpose_param *p, const void *w, float *dst) {
    const int64_t rows = p->m * p->win.kernel_count;
    const char *src = w;
    for (int64_t g = 0; g < p->groups; g++)
        for (int64_t c = 0; c < p->c; c++)
            for (int64_t r = 0; r < rows; r++)
                memcpy(&dst[(g * rows + r) * p->c + c], src + ((g * p->c + c) * rows + r) * 4, 4);
}

/* Input rows of a band whose columns stay in the cache. */
static int64_t band_of(const transpose_param *p) {
    const int64_t rows = p->win.k == 2 ? p->win.in[0] : 1;
    const double row = (double)p->m * (double)p->win.kernel_count * (double)p->win.in_count /
                       (double)rows * sizeof(float);
    const int64_t fit = row < BAND_BYTES ? (int64_t)(BAND_BYTES / row) : 1;
    return fit < rows ? fit : rows;
}

static omma_status transpose_prepare(omma_build *b, omma_node *n) {
    transpose_param *p = (transpose_param *)n->param;
    size_t columns, panel, total;
    int64_t w_count = omma_value_count(n->in[1]);
    if (!p->fast) return OMMA_OK;
    bool constant = n->in[1]->data != NULL;
    const int64_t rows = p->win.k == 2 ? p->win.in[0] : 1;
    p->band = p->apart ? band_of(p) : rows;
    p->workers = p->apart ? omma_workers(b) : 1;
    const int64_t in = p->win.in_count / rows * p->band;
    if (!omma_dims_bytes((int64_t[]){p->m, p->win.kernel_count, in}, 3, sizeof(float), &columns) ||
        !omma_align_up(columns, 64, &columns) || !omma_packed_bytes(b->kern, p->c, in, &panel) ||
        !omma_add(columns, panel, &total) || !omma_align_up(total, 64, &total))
        return omma_bad(b, n, "its working memory overflows");
    p->pack_at = columns / sizeof(float);
    p->pitch = total / sizeof(float);
    if (!omma_mul(total, (size_t)p->workers, &total))
        return omma_bad(b, n, "its working memory overflows");
    p->w_at = total / sizeof(float);
    if (!constant && !omma_add(total, (size_t)w_count * sizeof(float), &total))
        return omma_bad(b, n, "its working memory overflows");
    n->scratch = total;
    if (!constant) return OMMA_OK;
    const void *from;
    const char *form = omma_arena_printf(b->arena, "conv_transpose %lld %lld", (long long)p->groups,
                                         (long long)p->c);
    float *packed =
        form ? omma_pack(b, n->in[1], form, (size_t)w_count * sizeof(float), &from) : NULL;
    if (!packed) return omma_nomem(b, n);
    if (from) {
        transpose_weights(p, from, packed);
        omma_pack_done(n->in[1]);
    }
    n->packed = packed;
    n->packed_in |= 1u << 1;
    return OMMA_OK;
}

typedef struct gather_job {
    const float *columns, *bias; /* bias by the plane, or NULL */
    float *y;
    int64_t plane, h, w, oh, ow, kh, kw;
    int64_t stride_h, stride_w, dilation_h, dilation_w, pad_h, pad_w;
} gather_job;

/* Add one row of columns (one tap) to an output row: y[i*stride + at] += src[i]. */
static void spread(const float *src, int64_t n, int64_t stride, int64_t at, float *y, int64_t ow) {
    int64_t first = at < 0 ? (-at + stride - 1) / stride : 0;
    int64_t last = ow - at <= 0 ? 0 : (ow - at - 1) / stride + 1;
    if (last > n) last = n;
    for (int64_t i = first; i < last; i++) y[i * stride + at] += src[i];
}

/* Items are the output planes of one image and group. */
static void gather_planes(void *arg, int64_t begin, int64_t end, int worker) {
    const gather_job *j = arg;
    (void)worker;
    for (int64_t m = begin; m < end; m++) {
        float *y = j->y + m * j->plane, b = j->bias ? j->bias[m] : 0;
        for (int64_t i = 0; i < j->plane; i++) y[i] = b;
        for (int64_t t = 0; t < j->kh * j->kw; t++) {
            const float *src = j->columns + (m * j->kh * j->kw + t) * j->h * j->w;
            int64_t at_w = t % j->kw * j->dilation_w - j->pad_w;
            for (int64_t i = 0; i < j->h; i++) {
                int64_t row = i * j->stride_h + t / j->kw * j->dilation_h - j->pad_h;
                if (row < 0 || row >= j->oh) continue;
                spread(src + i * j->w, j->w, j->stride_w, at_w, y + row * j->ow, j->ow);
            }
        }
    }
}

static gather_job as_2d(const omma_window *w) {
    int l = w->k - 1;
    gather_job j = {.h = 1,
                    .oh = 1,
                    .kh = 1,
                    .stride_h = 1,
                    .dilation_h = 1,
                    .w = w->in[l],
                    .ow = w->out[l],
                    .kw = w->kernel[l],
                    .stride_w = w->stride[l],
                    .dilation_w = w->dilation[l],
                    .pad_w = w->pad[l]};
    if (w->k == 2) {
        j.h = w->in[0], j.oh = w->out[0], j.kh = w->kernel[0];
        j.stride_h = w->stride[0], j.dilation_h = w->dilation[0], j.pad_h = w->pad[0];
    }
    j.plane = j.oh * j.ow;
    return j;
}

/* --- f32, bands ------------------------------------------------------------------------ */

typedef struct band_job {
    const omma_exec *x;
    const omma_node *n;
    const float *w, *bias; /* bias: of all output channels, or NULL */
    gather_job shape;      /* but columns, bias and y */
    int64_t bands;         /* of an image and group */
} band_job;

/* The columns of two neighbouring taps to places two apart: the usual doubling of a map. */
static void place_pairs(const float *even, const float *odd, int64_t n, float b, float *y) {
    for (int64_t q = 0; q < n; q++) {
        y[2 * q] = even[q] + b;
        y[2 * q + 1] = odd[q] + b;
    }
}

/* An input row's columns of output channel m to their places. */
static void place_row(const gather_job *j, const float *columns, int64_t pixels, int64_t i,
                      int64_t m, float b, float *plane) {
    const bool pairs =
        j->kw == 2 && j->stride_w == 2 && j->dilation_w == 1 && !j->pad_w && j->ow >= 2 * j->w;
    for (int64_t t = 0; t < j->kh * j->kw; t++) {
        const float *src = columns + (m * j->kh * j->kw + t) * pixels;
        const int64_t at = t % j->kw * j->dilation_w - j->pad_w, s = j->stride_w;
        const int64_t row = i * j->stride_h + t / j->kw * j->dilation_h - j->pad_h;
        if (row < 0 || row >= j->oh) continue;
        const int64_t first = at < 0 ? (-at + s - 1) / s : 0;
        const int64_t reach = j->ow - at <= 0 ? 0 : (j->ow - at - 1) / s + 1;
        const int64_t last = reach < j->w ? reach : j->w;
        float *y = plane + row * j->ow;
        if (pairs) {
            place_pairs(src, src + pixels, j->w, b, y);
            t++;
            continue;
        }
        for (int64_t q = first; q < last; q++) y[q * s + at] = src[q] + b;
    }
}

/* Items are bands of input rows of all images and groups. */
static void run_bands(void *arg, int64_t begin, int64_t end, int worker) {
    const band_job *j = arg;
    const transpose_param *p = j->n->param;
    const gather_job *s = &j->shape;
    const int64_t in = p->win.in_count, rows = p->m * p->win.kernel_count;
    float *columns = (float *)j->n->work + (size_t)worker * p->pitch, *panel = columns + p->pack_at;
    for (int64_t i = begin; i < end; i++) {
        const int64_t image = i / j->bands, g = image % p->groups, i0 = i % j->bands * p->band;
        const int64_t i1 = i0 + p->band < s->h ? i0 + p->band : s->h, pixels = (i1 - i0) * s->w;
        const float *src = (const float *)j->n->in[0]->mem + image * p->c * in + i0 * s->w;
        omma_gemm_pack(j->x->kern, panel, src, in, 1, p->c, pixels, 1);
        omma_gemm(j->x->kern, 1, rows, pixels, p->c, j->w + g * rows * p->c, p->c, panel, columns,
                  pixels, NULL, NULL);
        for (int64_t m = 0; m < p->m; m++)
            for (int64_t r = i0; r < i1; r++)
                place_row(s, columns + (r - i0) * s->w, pixels, r, m,
                          j->bias ? j->bias[g * p->m + m] : 0,
                          (float *)j->n->out[0]->mem + (image * p->m + m) * s->plane);
    }
}

/* Items are output planes. */
static void fill_planes(void *arg, int64_t begin, int64_t end, int worker) {
    const band_job *j = arg;
    const transpose_param *p = j->n->param;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        float *y = (float *)j->n->out[0]->mem + i * j->shape.plane;
        const float b = j->bias ? j->bias[i % (p->m * p->groups)] : 0;
        for (int64_t q = 0; q < j->shape.plane; q++) y[q] = b;
    }
}

/* Does every output have an input? */
static bool covered(const gather_job *j) {
    return j->kh == j->stride_h && j->kw == j->stride_w && j->dilation_h == 1 &&
           j->dilation_w == 1 && j->oh <= j->h * j->stride_h - j->pad_h &&
           j->ow <= j->w * j->stride_w - j->pad_w;
}

static void run_apart(const omma_exec *x, const omma_node *n, const float *w, const float *bias) {
    const transpose_param *p = n->param;
    const gather_job shape = as_2d(&p->win);
    band_job j = {x, n, w, bias, shape, (shape.h - 1) / p->band + 1};
    const int threads = x->threads < p->workers ? x->threads : p->workers;
    if (!covered(&shape)) omma_parallel(threads, p->n * p->m * p->groups, 1, fill_planes, &j);
    omma_parallel(threads, p->n * p->groups * j.bands, 1, run_bands, &j);
}

static void run_fast(const omma_exec *x, const omma_node *n, const float *bias) {
    const transpose_param *p = n->param;
    const int64_t rows = p->m * p->win.kernel_count, in = p->win.in_count;
    float *columns = n->work, *panel = columns + p->pack_at;
    const float *w = n->packed;
    if (!w) {
        transpose_weights(p, n->in[1]->mem, columns + p->w_at);
        w = columns + p->w_at;
    }
    if (p->apart) {
        run_apart(x, n, w, bias);
        return;
    }
    gather_job j = as_2d(&p->win);
    j.columns = columns;
    for (int64_t i = 0; i < p->n * p->groups; i++) {
        int64_t g = i % p->groups;
        const float *src = (const float *)n->in[0]->mem + i * p->c * in;
        omma_gemm_pack(x->kern, panel, src, in, 1, p->c, in, x->threads);
        omma_gemm(x->kern, x->threads, rows, in, p->c, w + g * rows * p->c, p->c, panel, columns,
                  in, NULL, NULL);
        j.bias = bias ? bias + g * p->m : NULL;
        j.y = (float *)n->out[0]->mem + i * p->m * j.plane;
        omma_parallel(x->threads, p->m, 1, gather_planes, &j);
    }
}

/* --- the plain loop ------------------------------------------------------------------ */

typedef struct plain_job {
    const transpose_param *p;
    omma_dtype t;
    const void *x, *w, *bias;
    void *y;
    int64_t out_count;
} plain_job;

/* Offset of the input that reaches output `at` through a tap, or -1 when none does. */
static int64_t source(const omma_window *w, const int64_t *at, int64_t tap) {
    int64_t t[OMMA_MAX_SPATIAL], offset = 0;
    omma_unravel(tap, w->kernel, w->k, t);
    for (int d = 0; d < w->k; d++) {
        int64_t i = at[d] + w->pad[d] - t[d] * w->dilation[d];
        if (i < 0 || i % w->stride[d] || i / w->stride[d] >= w->in[d]) return -1;
        offset = offset * w->in[d] + i / w->stride[d];
    }
    return offset;
}

static double plain_one(const plain_job *j, int64_t n, int64_t m, const int64_t *at) {
    const transpose_param *p = j->p;
    const int64_t g = m / p->m, taps = p->win.kernel_count;
    double sum = j->bias ? omma_number(j->t, j->bias, m) : 0;
    for (int64_t tap = 0; p->c && tap < taps; tap++) {
        int64_t offset = source(&p->win, at, tap);
        if (offset < 0) continue;
        for (int64_t c = g * p->c; c < (g + 1) * p->c; c++)
            sum += omma_number(j->t, j->x, (n * p->groups * p->c + c) * p->win.in_count + offset) *
                   omma_number(j->t, j->w, (c * p->m + m % p->m) * taps + tap);
    }
    return sum;
}

static void plain_planes(void *arg, int64_t begin, int64_t end, int worker) {
    const plain_job *j = arg;
    const int64_t all = j->p->m * j->p->groups;
    (void)worker;
    for (int64_t i = begin; i < end; i++)
        for (int64_t o = 0; o < j->out_count; o++) {
            int64_t at[OMMA_MAX_SPATIAL];
            omma_unravel(o, j->p->win.out, j->p->win.k, at);
            omma_set_number(j->t, j->y, i * j->out_count + o, plain_one(j, i / all, i % all, at));
        }
}

static omma_status transpose_run(const omma_exec *x, const omma_node *n) {
    const transpose_param *p = n->param;
    const omma_value *bias = omma_in(n, 2);
    omma_value *y = n->out[0];
    if (!y || !omma_value_count(y)) return OMMA_OK;
    if (p->fast) {
        run_fast(x, n, bias ? bias->mem : NULL);
        return OMMA_OK;
    }
    const int64_t planes = p->n * p->m * p->groups;
    plain_job j = {p,
                   y->dtype,
                   n->in[0]->mem,
                   n->in[1]->mem,
                   bias ? bias->mem : NULL,
                   y->mem,
                   omma_value_count(y) / planes};
    omma_parallel(x->threads, planes, 1, plain_planes, &j);
    return OMMA_OK;
}

static double transpose_flops(const omma_node *n) {
    const transpose_param *p = n->param;
    return 2.0 * (double)omma_value_count(n->in[0]) * (double)p->m * (double)p->win.kernel_count;
}

/* --- the readings in reverse ------------------------------------------------------------ */

/* The Conv whose gradient by the input this operator is: it goes from y to x. */
static omma_window reversed(const omma_window *w) {
    omma_window r = *w;
    r.in_count = 1;
    for (int d = 0; d < w->k; d++) {
        r.in[d] = w->out[d], r.out[d] = w->in[d];
        r.in_count *= r.in[d];
    }
    return r;
}

/* How many places of y, from the first on, some input could reach if y went on behind; 0 or less:
 * so much is cut off in front that none reaches any. */
static int64_t reached(const omma_window *w, int d) {
    return w->stride[d] * (w->in[d] - 1) + w->dilation[d] * (w->kernel[d] - 1) + 1 - w->pad[d];
}

static bool reaches(const omma_window *w) {
    for (int d = 0; d < w->k; d++)
        if (reached(w, d) <= 0) return false;
    return true;
}

/* dx: that Conv of dy. Outputs behind the last tap, which hold the bias alone, are left out. */
static omma_value *input_grad(omma_maker *m, omma_value *dy, const omma_node *n) {
    const transpose_param *p = n->param;
    const omma_window *w = &p->win;
    int64_t pads[2 * OMMA_MAX_SPATIAL];
    for (int d = 0; d < w->k; d++) {
        const int64_t full = reached(w, d);
        pads[d] = w->pad[d];
        pads[w->k + d] = full > w->out[d] ? full - w->out[d] : 0;
        if (full < w->out[d]) dy = omma_make_slice(m, dy, 2 + d, 0, full, 1);
    }
    const omma_attr attrs[] = {OMMA_A_INTS("strides", w->stride, w->k),
                               OMMA_A_INTS("dilations", w->dilation, w->k),
                               OMMA_A_INTS("pads", pads, 2 * w->k), OMMA_A_INT("group", p->groups)};
    return omma_make(m, "Conv", (omma_value *[]){dy, n->in[1]}, 2, attrs, 4);
}

static omma_status transpose_grad(omma_grad *g, const omma_node *n) {
    const transpose_param *p = n->param;
    omma_value *dy = omma_grad_out(g, n, 0), *x = n->in[0];
    const bool empty = !omma_value_count(x) || !omma_value_count(dy) || !reaches(&p->win);
    if (omma_grad_wants(g, n, 0) && !empty)
        OMMA_TRY(omma_grad_add(g, n, 0, input_grad(&g->m, dy, n)));
    if (omma_grad_wants(g, n, 1) && !empty) {
        const omma_window back = reversed(&p->win);
        OMMA_TRY(omma_grad_add(g, n, 1,
                               omma_conv_grad_weights(&g->m, x, dy, n->in[1], &back, p->groups)));
    }
    if (!omma_grad_wants(g, n, 2)) return OMMA_OK;
    return omma_grad_add(g, n, 2, omma_make_sum(&g->m, dy, ~2u & ((1u << dy->rank) - 1), false));
}

/* Along spatial axis d, what output o is made from: inputs i (or the taps t that bring them) with
 * o = s i - pad + d t. Depends on the phase of o; where the kernel is shorter than the stride some
 * outputs have none. */
static bool phases(omma_field *f, omma_map *map, const omma_window *w, int d, bool taps) {
    const int64_t s = w->stride[d], dil = w->dilation[d], k = w->kernel[d];
    int32_t *start, *item, n = 0;
    const int64_t each = k < w->in[d] ? k : w->in[d];
    if (!omma_map_list(f, map, 2 + d, w->out[d], w->out[d] * each, &start, &item)) return false;
    for (int64_t o = 0; o < w->out[d]; o++) {
        start[o] = n;
        for (int64_t q = 0; q < k; q++) {
            const int64_t t = taps ? q : k - 1 - q, i = o + w->pad[d] - t * dil;
            if (i < 0 || i % s || i / s >= w->in[d]) continue;
            item[n++] = (int32_t)(taps ? t : i / s);
        }
    }
    start[w->out[d]] = n;
    if (taps) return true;
    map->slope = 1 / (double)s;
    map->low = (double)(w->pad[d] - dil * (k - 1)) / (double)s;
    map->high = (double)w->pad[d] / (double)s;
    return true;
}

/* Of the weights: those of the output channel, its group's, and the taps that reach the place. With
 * groups, seen as [G, C, M, kernel...] beside [N, G, M, out...]; with more axes than that leaves
 * room for, of any channel. */
static omma_status weights_field(omma_field *f, omma_relation *r, const transpose_param *p) {
    const int rank = r->in_rank;
    int64_t in[OMMA_MAX_RANK + 1] = {p->groups, p->c, p->m},
                               out[OMMA_MAX_RANK + 1] = {p->n, p->groups, p->m};
    const bool split = p->groups > 1 && rank < OMMA_MAX_RANK;
    memcpy(in + 3, p->win.kernel, (size_t)p->win.k * sizeof *in);
    memcpy(out + 3, p->win.out, (size_t)p->win.k * sizeof *out);
    if (split) omma_relation_view_in(r, rank + 1, in), omma_relation_view_out(r, rank + 1, out);
    if (split) omma_relation_same(r, 0, 1);
    r->bound = p->groups > 1 && !split;
    if (!r->bound) omma_relation_same(r, 1 + split, 1 + split);
    for (int d = 0; d < p->win.k; d++) {
        omma_map *map = &r->axis[2 + split + d];
        if (!phases(f, map, &p->win, d, true)) return f->status;
        map->from += split;
    }
    return f->status;
}

static omma_status transpose_field(omma_field *f, const omma_node *n) {
    const transpose_param *p = n->param;
    omma_relation *r = omma_field_relate(f, 0, 0);
    if (r) {
        omma_relation_same(r, 0, 0);
        if (p->groups > 1) r->axis[1] = omma_map_blocks(1, p->m, p->c);
        for (int d = 0; d < p->win.k; d++)
            if (!phases(f, &r->axis[2 + d], &p->win, d, false)) return f->status;
    }
    r = omma_field_relate(f, 0, 1);
    if (r) OMMA_TRY(weights_field(f, r, p));
    r = omma_field_relate(f, 0, 2);
    if (r) omma_relation_same(r, 0, 1);
    return f->status;
}

const omma_op omma_op_ConvTranspose = {.name = "ConvTranspose",
                                       .min_in = 2,
                                       .max_in = 3,
                                       .min_out = 1,
                                       .max_out = 1,
                                       .infer = transpose_infer,
                                       .prepare = transpose_prepare,
                                       .run = transpose_run,
                                       .flops = transpose_flops,
                                       .grad = transpose_grad,
                                       .field = transpose_field};
