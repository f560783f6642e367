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
 * takes the largest single weighted corner, not the largest interpolated sample.
 *
 * The gradient is a row of its own, omma.RoiAlignGrad of x, rois, batch_indices and dy, by x alone:
 * the regions have none, as in torchvision. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/pool.h"
#include "op/field.h"
#include "op/grad.h"
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

static omma_status read_inputs(omma_build *b, const omma_node *n, roi_param *p) {
    const omma_value *x = n->in[0], *rois = n->in[1], *batch = n->in[2];
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
    return OMMA_OK;
}

static omma_status infer(omma_build *b, omma_node *n) {
    roi_param *p = omma_param(b, n, sizeof *p);
    if (!p) return omma_nomem(b, n);
    OMMA_TRY(read_inputs(b, n, p));
    return omma_out(b, n, 0, n->in[0]->dtype, 4, (int64_t[]){p->rois, p->c, p->out_h, p->out_w});
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

/* Region r of rois along an axis; axis 0 is x. */
static span span_of(const roi_param *p, omma_dtype t, const void *rois, int64_t r, int axis) {
    const double shift = p->half ? 0.5 : 0;
    const double from = omma_number(t, rois, 4 * r + axis) * p->scale - shift;
    double len = omma_number(t, rois, 4 * r + axis + 2) * p->scale - shift - from;
    if (!p->half && len < 1) len = 1;
    span s = {from, len / (double)(axis ? p->out_h : p->out_w), p->ratio};
    if (!p->ratio)
        s.grid = s.bin > -1 && s.bin <= MAX_GRID ? (int64_t)ceil(s.bin) : s.bin <= -1 ? 0 : -1;
    return s;
}

static bool sound(const roi_param *p, const span *s) {
    return isfinite(s->start) && isfinite(s->bin) && s->grid >= 0 &&
           s->grid <= (p->max ? MAX_RATIO : MAX_GRID);
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
typedef struct corner {
    double v, w;
    int64_t at; /* in the plane; -1: none, v is 0 */
} corner;

static corner max_one(const omma_node *n, const span *s, int64_t by, int64_t bx, int64_t from) {
    const roi_param *p = n->param;
    const omma_value *in = n->in[0];
    corner best = {.at = -1};
    bool any = false;
    for (int64_t i = 0; i < s[1].grid; i++)
        for (int64_t k = 0; k < s[0].grid; k++) {
            int64_t y[2] = {0}, x[2] = {0};
            double fy = 0, fx = 0;
            const bool inside = between(place(&s[1], by, i), p->h, &y[0], &y[1], &fy) &&
                                between(place(&s[0], bx, k), p->w, &x[0], &x[1], &fx);
            for (int q = 0; q < 4; q++) {
                const double w = (q & 2 ? fy : 1 - fy) * (q & 1 ? fx : 1 - fx);
                const int64_t at = y[q >> 1] * p->w + x[q & 1];
                const bool reads = inside && w != 0; /* else not even the sign of its zero counts */
                const double v = reads ? w * omma_number(in->dtype, in->mem, from + at) : 0;
                if (!any || v > best.v || v != v) best = (corner){v, w, inside ? at : -1};
                any = true;
            }
        }
    return best;
}

static void max_plane(const omma_node *n, const span *s, int64_t from, int64_t to) {
    const roi_param *p = n->param;
    for (int64_t by = 0; by < p->out_h; by++)
        for (int64_t bx = 0; bx < p->out_w; bx++, to++)
            omma_set_number(n->out[0]->dtype, n->out[0]->mem, to, max_one(n, s, by, bx, from).v);
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

/* Region r along both axes; how many samples there are in a bin, for an average. */
static double spans_of(const omma_node *n, int64_t r, span *s) {
    const omma_value *rois = n->in[1];
    for (int axis = 0; axis < 2; axis++)
        s[axis] = span_of(n->param, rois->dtype, rois->mem, r, axis);
    return s[0].grid > 0 && s[1].grid > 0 ? (double)s[0].grid * (double)s[1].grid : 1;
}

/* Items are regions. */
static void regions(void *arg, int64_t begin, int64_t end, int worker) {
    const omma_node *n = arg;
    const roi_param *p = n->param;
    const int64_t plane = p->h * p->w, bins = p->out_h * p->out_w;
    weights *y = NULL, *x = NULL;
    for (int64_t r = begin; r < end; r++) {
        span s[2];
        const double count = spans_of(n, r, s);
        const int64_t image = ((const int64_t *)n->in[2]->mem)[r];
        if (!p->max) weigh(p, s, (char *)n->work + (size_t)worker * p->each, &y, &x);
        for (int64_t c = 0; c < p->c; c++) {
            const int64_t from = (image * p->c + c) * plane, to = (r * p->c + c) * bins;
            if (p->max) max_plane(n, s, from, to);
            else mean_plane(n, y, x, count, from, to);
        }
    }
}

static omma_status check_regions(const omma_exec *x, const omma_node *n) {
    const roi_param *p = n->param;
    const int64_t *batch = n->in[2]->mem;
    for (int64_t r = 0; r < p->rois; r++) {
        span s[2];
        if (batch[r] < 0 || batch[r] >= p->n)
            return omma_run_bad(x, n, "region %lld is in image %lld of %lld", (long long)r,
                                (long long)batch[r], (long long)p->n);
        (void)spans_of(n, r, s);
        for (int axis = 0; axis < 2; axis++)
            if (!sound(p, &s[axis]))
                return omma_run_bad(x, n, "region %lld begins at %g with bins of %g pixels",
                                    (long long)r, s[axis].start, s[axis].bin);
    }
    return OMMA_OK;
}

static omma_status run(const omma_exec *x, const omma_node *n) {
    const roi_param *p = n->param;
    OMMA_TRY(check_regions(x, n));
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

/* --- the gradient by x ----------------------------------------------------------------------- */

static omma_status back_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0], *dy = n->in[3];
    roi_param *p = omma_param(b, n, sizeof *p);
    if (!p) return omma_nomem(b, n);
    OMMA_TRY(read_inputs(b, n, p));
    if (dy->dtype != OMMA_F32 && dy->dtype != OMMA_F64)
        return omma_unsupported(b, n, "type %s", omma_dtype_name(dy->dtype));
    if (dy->rank != 4 || dy->dims[0] != p->rois || dy->dims[1] != p->c || dy->dims[2] != p->out_h ||
        dy->dims[3] != p->out_w)
        return omma_bad(b, n, "the cotangent is not of the output's shape");
    return omma_out(b, n, 0, dy->dtype, 4, x->dims);
}

/* dx += g (weights of rows) x (weights of columns), dx a plane. */
#define SPREAD(T)                                                                                 \
    static void spread_##T(const roi_param *p, const weights *y, const weights *x, double g,      \
                           T *dx) {                                                               \
        for (int64_t i = y->first; i <= y->last; i++) {                                           \
            const double row = g * y->w[i];                                                       \
            for (int64_t k = x->first; k <= x->last; k++) dx[i * p->w + k] += (T)(row * x->w[k]); \
        }                                                                                         \
    }
SPREAD(float)
SPREAD(double)

/* All bins of one region in one plane; from, to: its first number in dx and dy. */
static void mean_back(const omma_node *n, const weights *y, const weights *x, double count,
                      int64_t from, int64_t to) {
    const roi_param *p = n->param;
    const omma_value *dy = n->in[3], *dx = n->out[0];
    for (int64_t by = 0; by < p->out_h; by++)
        for (int64_t bx = 0; bx < p->out_w; bx++, to++) {
            const double g = omma_number(dy->dtype, dy->mem, to) / count;
            if (dx->dtype == OMMA_F32) spread_float(p, &y[by], &x[bx], g, (float *)dx->mem + from);
            else spread_double(p, &y[by], &x[bx], g, (double *)dx->mem + from);
        }
}

static void max_back(const omma_node *n, const span *s, int64_t from, int64_t to) {
    const roi_param *p = n->param;
    const omma_value *dy = n->in[3], *dx = n->out[0];
    for (int64_t by = 0; by < p->out_h; by++)
        for (int64_t bx = 0; bx < p->out_w; bx++, to++) {
            const corner best = max_one(n, s, by, bx, from);
            const double v = best.w * omma_number(dy->dtype, dy->mem, to);
            if (best.at < 0) continue;
            if (dx->dtype == OMMA_F32) ((float *)dx->mem)[from + best.at] += (float)v;
            else ((double *)dx->mem)[from + best.at] += v;
        }
}

/* Items are channels, of all images: regions may overlap, so a plane takes them in their order. */
static void channels_back(void *arg, int64_t begin, int64_t end, int worker) {
    const omma_node *n = arg;
    const roi_param *p = n->param;
    const int64_t plane = p->h * p->w, bins = p->out_h * p->out_w;
    const size_t bytes = (size_t)plane * omma_dtype_size(n->out[0]->dtype);
    weights *y = NULL, *x = NULL;
    for (int64_t i = 0; i < p->n; i++)
        memset((char *)n->out[0]->mem + (size_t)(i * p->c + begin) * bytes, 0,
               (size_t)(end - begin) * bytes);
    for (int64_t r = 0; r < p->rois; r++) {
        span s[2];
        const double count = spans_of(n, r, s);
        const int64_t image = ((const int64_t *)n->in[2]->mem)[r];
        if (!p->max) weigh(p, s, (char *)n->work + (size_t)worker * p->each, &y, &x);
        for (int64_t c = begin; c < end; c++) {
            const int64_t from = (image * p->c + c) * plane, to = (r * p->c + c) * bins;
            if (p->max) max_back(n, s, from, to);
            else mean_back(n, y, x, count, from, to);
        }
    }
}

static omma_status back_run(const omma_exec *x, const omma_node *n) {
    const roi_param *p = n->param;
    const int threads = x->threads < p->workers ? x->threads : p->workers;
    const int64_t each = p->c / (4 * (int64_t)threads); /* regions are weighed once a chunk */
    OMMA_TRY(check_regions(x, n));
    if (n->out[0] && omma_value_count(n->out[0]))
        omma_parallel(threads, p->c, each > 1 ? each : 1, channels_back, (void *)(uintptr_t)n);
    return OMMA_OK;
}

static const omma_op op_RoiAlignGrad = {.name = "omma.RoiAlignGrad",
                                        .min_in = 4,
                                        .max_in = 4,
                                        .min_out = 1,
                                        .max_out = 1,
                                        .infer = back_infer,
                                        .prepare = prepare,
                                        .run = back_run,
                                        .flops = flops,
                                        .no_grad = "the gradient of a gradient is not built",
                                        .no_field = "it is made after this reading"};

static omma_status grad(omma_grad *g, const omma_node *n) {
    omma_value *dy = omma_grad_out(g, n, 0);
    if (!omma_grad_wants(g, n, 0)) return OMMA_OK;
    if (dy->dtype != OMMA_F64) dy = omma_make_cast(&g->m, dy, OMMA_F32);
    const omma_node *d = omma_make_node(&g->m, &op_RoiAlignGrad, n->opset,
                                        (omma_value *[]){n->in[0], n->in[1], n->in[2], dy}, 4,
                                        n->attrs, n->n_attrs, 1);
    return d ? omma_grad_add(g, n, 0, d->out[0]) : g->m.status;
}

/* --- the field ------------------------------------------------------------------------------- */

/* The pixels that a region's bins read along an axis: the same for averages and maxima. */
static bool bins_map(omma_field *f, const roi_param *p, const span *s, int axis, omma_map *map) {
    const int64_t bins = axis ? p->out_h : p->out_w, len = axis ? p->h : p->w;
    const int64_t most = len < 2 * s->grid ? len : 2 * s->grid; /* of a bin */
    int32_t *start, *item;
    weights w = {.w = omma_arena_array(f->b->arena, (size_t)len, sizeof *w.w)};
    if (!w.w) f->status = omma_nomem(f->b, f->n);
    if (!w.w || !omma_map_list(f, map, axis ? 2 : 3, bins, bins * most, &start, &item))
        return false;
    for (int64_t i = 0; i < bins; i++) {
        int32_t n = start[i];
        sum_axis(s, i, len, &w);
        for (int64_t k = w.first; k <= w.last; k++)
            if (w.w[k] != 0) item[n++] = (int32_t)k;
        start[i + 1] = n;
    }
    return true;
}

/* What region r reads of image i; nothing where a run would fail. */
static bool region_field(omma_field *f, const roi_param *p, const void *rois, int64_t r,
                         int64_t image) {
    span s[2];
    for (int axis = 0; axis < 2; axis++) {
        s[axis] = span_of(p, f->n->in[1]->dtype, rois, r, axis);
        if (!sound(p, &s[axis])) return true;
    }
    if (image < 0 || image >= p->n) return true;
    omma_relation *q = omma_field_relate(f, 0, 0);
    if (!q) return false;
    q->data = !f->n->in[1]->data || !f->n->in[2]->data;
    q->axis[0] = omma_map_moved(0, image - r * p->n, p->n); /* other regions: not in the batch */
    omma_relation_same(q, 1, 1);
    return bins_map(f, p, &s[1], 1, &q->axis[2]) && bins_map(f, p, &s[0], 0, &q->axis[3]);
}

/* Somewhere in the channel, of the region's image where that is known. */
static omma_status anywhere(omma_field *f, const roi_param *p, const int64_t *batch) {
    omma_relation *r = omma_field_relate(f, 0, 0);
    int32_t *start, *item;
    if (!r) return f->status;
    r->bound = true;
    omma_relation_same(r, 1, 1);
    if (!batch) return OMMA_OK;
    r->data = !f->n->in[2]->data;
    if (!omma_map_list(f, &r->axis[0], 0, p->rois, p->rois, &start, &item)) return f->status;
    for (int64_t i = 0; i < p->rois; i++) {
        start[i + 1] = start[i];
        if (batch[i] >= 0 && batch[i] < p->n) item[start[i + 1]++] = (int32_t)batch[i];
    }
    return OMMA_OK;
}

static omma_status field(omma_field *f, const omma_node *n) {
    const roi_param *p = n->param;
    const void *rois = omma_field_numbers(f, n->in[1]);
    const int64_t *batch = omma_field_numbers(f, n->in[2]);
    if (!rois || !batch) OMMA_TRY(anywhere(f, p, batch));
    for (int64_t r = 0; rois && batch && r < p->rois; r++)
        if (!region_field(f, p, rois, r, batch[r])) break;
    for (int i = 1; i < 3; i++) {
        omma_relation *r = omma_field_relate(f, 0, i);
        if (!r) continue;
        r->path = OMMA_PATH_CONTROL;
        omma_relation_same(r, 0, 0);
    }
    return f->status;
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
                                  .grad = grad,
                                  .field = field};
