/* roi.c - RoiAlign: cut regions out of a feature map, each brought to the same size by
 * averaging (or taking the largest of) bilinear samples in its bins.
 *
 *   x: [N, C, H, W]   rois: [R, 4] as x1, y1, x2, y2   batch_indices: int64 [R]
 *   y: [R, C, output_height, output_width]
 *
 * A bin is sampled on a grid of sampling_ratio^2 places, or with sampling_ratio 0 of about one
 * a pixel. The grid is regular, so an average is (weights of rows) x (weights of columns) of
 * the pixels it touches: each axis is summed up once and all channels share it. A place
 * beyond -1 or the map's end counts as 0; nearer ones are moved to the edge.
 * Sources: ONNX RoiAlign 10, 16, 22; He et al., Mask R-CNN. Traps: before opset 16 regions
 * are not shifted by half a pixel and are at least 1x1, as output_half_pixel since; "max"
 * takes the largest single weighted corner, not the largest interpolated sample. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/pool.h"
#include "op/window.h"

enum { MAX_RATIO = 1024, MAX_GRID = 1 << 16 }; /* samples along a side of a bin */

typedef struct roi_param {
    int64_t n, c, h, w, rois, out_h, out_w, ratio;
    double scale;
    bool half, max;
    int workers; /* threads the working memory is for */
    size_t each; /* bytes of it for one: the weights of all its rows of bins, then columns */
} roi_param;

/* A region along one axis, in pixels of the map. */
typedef struct span {
    double start, bin;
    int64_t grid; /* samples in a bin, <= 0: none */
} span;

/* Weights of the pixels first..last of an axis, in w. */
typedef struct weights {
    double *w;
    int64_t first, last;
} weights;

static omma_status read_attributes(omma_build *b, const omma_node *n, roi_param *p) {
    const char *mode = omma_node_string(n, "mode", "avg");
    const char *where = omma_node_string(n, "coordinate_transformation_mode",
                                         n->opset < 16 ? "output_half_pixel" : "half_pixel");
    p->max = !strcmp(mode, "max");
    if (!p->max && strcmp(mode, "avg"))
        return omma_bad(b, n, "mode '%s' is neither avg nor max", mode);
    p->half = !strcmp(where, "half_pixel");
    if (!p->half && strcmp(where, "output_half_pixel"))
        return omma_bad(b, n, "coordinate_transformation_mode '%s' is unknown", where);
    p->out_h = omma_node_int(n, "output_height", 1), p->out_w = omma_node_int(n, "output_width", 1);
    p->ratio = omma_node_int(n, "sampling_ratio", 0);
    p->scale = (double)omma_node_float(n, "spatial_scale", 1);
    if (p->out_h < 1 || p->out_w < 1)
        return omma_bad(b, n, "the output's height and width must be 1 or more");
    if (p->ratio < 0 || p->ratio > MAX_RATIO)
        return omma_unsupported(b, n, "sampling_ratio %lld; 0..%d is there", (long long)p->ratio,
                                MAX_RATIO);
    return OMMA_OK;
}

static omma_status infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0], *rois = n->in[1], *batch = n->in[2];
    roi_param *p = omma_param(b, n, sizeof *p);
    if (!p) return omma_nomem(b, n);
    OMMA_TRY(read_attributes(b, n, p));
    if (!omma_is_float(x->dtype) || !omma_is_float(rois->dtype) || batch->dtype != OMMA_I64)
        return omma_unsupported(b, n, "types %s, %s and %s", omma_dtype_name(x->dtype),
                                omma_dtype_name(rois->dtype), omma_dtype_name(batch->dtype));
    if (x->rank != 4 || rois->rank != 2 || rois->dims[1] != 4 || batch->rank != 1 ||
        batch->dims[0] != rois->dims[0])
        return omma_bad(b, n, "[N, C, H, W], [R, 4] and [R] are needed");
    p->n = x->dims[0], p->c = x->dims[1], p->h = x->dims[2], p->w = x->dims[3],
    p->rois = rois->dims[0];
    if (p->h < 1 || p->w < 1 || p->h > INT32_MAX || p->w > INT32_MAX)
        return omma_unsupported(b, n, "a map of %lld x %lld", (long long)p->h, (long long)p->w);
    return omma_out(b, n, 0, x->dtype, 4, (int64_t[]){p->rois, p->c, p->out_h, p->out_w});
}

static omma_status prepare(omma_build *b, omma_node *n) {
    roi_param *p = (roi_param *)n->param;
    size_t y, x;
    p->workers = omma_workers(b);
    if (!omma_dims_bytes((int64_t[]){p->out_h, p->h}, 2, sizeof(double), &y) ||
        !omma_dims_bytes((int64_t[]){p->out_w, p->w}, 2, sizeof(double), &x) ||
        !omma_mul((size_t)p->out_h + (size_t)p->out_w, sizeof(weights), &p->each) ||
        !omma_add(p->each, y, &p->each) || !omma_add(p->each, x, &p->each) ||
        !omma_align_up(p->each, 64, &p->each) ||
        !omma_mul(p->each, (size_t)p->workers, &n->scratch))
        return omma_bad(b, n, "its working memory overflows");
    return OMMA_OK;
}

/* Region r along an axis; axis 0 is x. */
static span span_of(const roi_param *p, const omma_value *rois, int64_t r, int axis) {
    const double shift = p->half ? 0.5 : 0;
    const double from = omma_number(rois->dtype, rois->mem, 4 * r + axis) * p->scale - shift;
    double len = omma_number(rois->dtype, rois->mem, 4 * r + axis + 2) * p->scale - shift - from;
    if (!p->half && len < 1) len = 1;
    span s = {from, len / (double)(axis ? p->out_h : p->out_w), p->ratio};
    if (!p->ratio)
        s.grid = s.bin > -1 && s.bin <= MAX_GRID ? (int64_t)ceil(s.bin) : s.bin <= -1 ? 0 : -1;
    return s;
}

/* The two pixels a place lies between, and the weight of the second; false outside. */
static bool between(double v, int64_t len, int64_t *lo, int64_t *hi, double *part) {
    if (!(v >= -1 && v <= (double)len)) return false;
    if (v < 0) v = 0;
    *lo = (int64_t)v;
    *hi = *lo + 1;
    if (*lo >= len - 1) {
        *lo = *hi = len - 1;
        v = (double)*lo;
    }
    *part = v - (double)*lo;
    return true;
}

static double place(const span *s, int64_t bin, int64_t i) {
    return s->start + (double)bin * s->bin + ((double)i + 0.5) * s->bin / (double)s->grid;
}

/* Sum up the samples of a bin along an axis. */
static void sum_axis(const span *s, int64_t bin, int64_t len, weights *out) {
    int64_t lo, hi;
    double part;
    out->first = len, out->last = -1;
    for (int64_t i = 0; i < s->grid; i++) {
        if (!between(place(s, bin, i), len, &lo, &hi, &part)) continue;
        if (lo < out->first) out->first = lo;
        if (hi > out->last) out->last = hi;
    }
    for (int64_t i = out->first; i <= out->last; i++) out->w[i] = 0;
    for (int64_t i = 0; i < s->grid; i++) {
        if (!between(place(s, bin, i), len, &lo, &hi, &part)) continue;
        out->w[lo] += 1 - part;
        out->w[hi] += part;
    }
}

static double mean_f32(const roi_param *p, const weights *y, const weights *x, const float *plane) {
    double sum = 0;
    for (int64_t i = y->first; i <= y->last; i++) {
        double row = 0;
        for (int64_t k = x->first; k <= x->last; k++) row += x->w[k] * (double)plane[i * p->w + k];
        sum += y->w[i] * row;
    }
    return sum;
}

static double mean_plain(const roi_param *p, const weights *y, const weights *x, omma_dtype t,
                         const void *mem, int64_t plane) {
    double sum = 0;
    for (int64_t i = y->first; i <= y->last; i++) {
        double row = 0;
        for (int64_t k = x->first; k <= x->last; k++)
            row += x->w[k] * omma_number(t, mem, plane + i * p->w + k);
        sum += y->w[i] * row;
    }
    return sum;
}

/* All bins of one region in one plane; from, to: its first number in x and y. */
static void mean_plane(const omma_node *n, const weights *y, const weights *x, double count,
                       int64_t from, int64_t to) {
    const roi_param *p = n->param;
    const omma_value *in = n->in[0], *out = n->out[0];
    for (int64_t by = 0; by < p->out_h; by++)
        for (int64_t bx = 0; bx < p->out_w; bx++, to++)
            if (in->dtype == OMMA_F32)
                ((float *)out->mem)[to] =
                    (float)(mean_f32(p, &y[by], &x[bx], (const float *)in->mem + from) / count);
            else
                omma_set_number(out->dtype, out->mem, to,
                                mean_plain(p, &y[by], &x[bx], in->dtype, in->mem, from) / count);
}

/* The largest weighted corner of any sample of a bin in one plane. */
static double max_one(const omma_node *n, const span *s, int64_t by, int64_t bx, int64_t from) {
    const roi_param *p = n->param;
    const omma_value *in = n->in[0];
    double best = 0;
    bool any = false;
    for (int64_t i = 0; i < s[1].grid; i++)
        for (int64_t k = 0; k < s[0].grid; k++) {
            int64_t y[2] = {0}, x[2] = {0};
            double fy = 0, fx = 0;
            const bool inside = between(place(&s[1], by, i), p->h, &y[0], &y[1], &fy) &&
                                between(place(&s[0], bx, k), p->w, &x[0], &x[1], &fx);
            for (int corner = 0; corner < 4; corner++) {
                const double w = (corner & 2 ? fy : 1 - fy) * (corner & 1 ? fx : 1 - fx);
                const double v = inside
                                     ? w * omma_number(in->dtype, in->mem,
                                                       from + y[corner >> 1] * p->w + x[corner & 1])
                                     : 0;
                if (!any || v > best || v != v) best = v;
                any = true;
            }
        }
    return best;
}

static void max_plane(const omma_node *n, const span *s, int64_t from, int64_t to) {
    const roi_param *p = n->param;
    for (int64_t by = 0; by < p->out_h; by++)
        for (int64_t bx = 0; bx < p->out_w; bx++, to++)
            omma_set_number(n->out[0]->dtype, n->out[0]->mem, to, max_one(n, s, by, bx, from));
}

/* The weights of a region's rows and columns of bins, in memory of the worker's own. */
static void weigh(const roi_param *p, const span *s, void *own, weights **rows, weights **columns) {
    weights *y = *rows = own, *x = *columns = y + p->out_h;
    double *w = (double *)(void *)(x + p->out_w);
    for (int64_t i = 0; i < p->out_h; i++, w += p->h) {
        y[i].w = w;
        sum_axis(&s[1], i, p->h, &y[i]);
    }
    for (int64_t i = 0; i < p->out_w; i++, w += p->w) {
        x[i].w = w;
        sum_axis(&s[0], i, p->w, &x[i]);
    }
}

/* Items are regions. */
static void regions(void *arg, int64_t begin, int64_t end, int worker) {
    const omma_node *n = arg;
    const roi_param *p = n->param;
    const int64_t plane = p->h * p->w, bins = p->out_h * p->out_w;
    weights *y = NULL, *x = NULL;
    for (int64_t r = begin; r < end; r++) {
        const span s[2] = {span_of(p, n->in[1], r, 0), span_of(p, n->in[1], r, 1)};
        const int64_t image = ((const int64_t *)n->in[2]->mem)[r];
        const double count =
            s[0].grid > 0 && s[1].grid > 0 ? (double)s[0].grid * (double)s[1].grid : 1;
        if (!p->max) weigh(p, s, (char *)n->work + (size_t)worker * p->each, &y, &x);
        for (int64_t c = 0; c < p->c; c++) {
            const int64_t from = (image * p->c + c) * plane, to = (r * p->c + c) * bins;
            if (p->max) max_plane(n, s, from, to);
            else mean_plane(n, y, x, count, from, to);
        }
    }
}

static omma_status run(const omma_exec *x, const omma_node *n) {
    const roi_param *p = n->param;
    const int64_t *batch = n->in[2]->mem, most = p->max ? MAX_RATIO : MAX_GRID;
    for (int64_t r = 0; r < p->rois; r++) {
        if (batch[r] < 0 || batch[r] >= p->n)
            return omma_run_bad(x, n, "region %lld is in image %lld of %lld", (long long)r,
                                (long long)batch[r], (long long)p->n);
        for (int axis = 0; axis < 2; axis++) {
            const span s = span_of(p, n->in[1], r, axis);
            if (!isfinite(s.start) || !isfinite(s.bin) || s.grid < 0 || s.grid > most)
                return omma_run_bad(x, n, "region %lld begins at %g with bins of %g pixels",
                                    (long long)r, s.start, s.bin);
        }
    }
    if (!n->out[0] || !omma_value_count(n->out[0])) return OMMA_OK;
    omma_parallel(x->threads < p->workers ? x->threads : p->workers, p->rois, 1, regions,
                  (void *)(uintptr_t)n);
    return OMMA_OK;
}

static double flops(const omma_node *n) {
    const roi_param *p = n->param;
    const double side = p->ratio ? (double)p->ratio + 1 : 3;
    return 2 * side * side * (double)p->rois * (double)p->c * (double)p->out_h * (double)p->out_w;
}

const omma_op omma_op_RoiAlign = {.name = "RoiAlign",
                                  .min_in = 3,
                                  .max_in = 3,
                                  .min_out = 1,
                                  .max_out = 1,
                                  .infer = infer,
                                  .prepare = prepare,
                                  .run = run,
                                  .flops = flops,
                                  .no_grad = OMMA_NOT_YET,
                                  .no_field = OMMA_NOT_YET};
