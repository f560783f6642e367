/* resample.c - Resize and Upsample.
 *
 * Along each axis output o reads a few inputs ("taps") about a coordinate x(o) of the
 * input; what lies outside is read at the edge. prepare makes one table per axis that
 * changes, [out] rows of taps and weights, and the axes are independent. f32 that changes
 * in its last two axes works plane by plane, columns first, rows by the row kernels; f32 that
 * changes in two axes before the last, as maps with channels last do, pixel by pixel
 * (resample_pixels.c); all else takes the plain loop over products of taps.
 *
 * The rules are those of ONNX Resize 10, 11, 13, 18, 19 and Upsample 1, 7, 9. Traps: version
 * 10 and Upsample always use x = o/scale and round down; a length from scales is
 * floor(in*scale) in float, but align_corners divides by in*scale - 1, not by that floor
 * less one; with keep_aspect_ratio_policy lengths round half up and the common scale, not
 * the ratio of lengths, gives x(o). Integers are rounded to nearest, where ONNX says
 * nothing. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/pool.h"
#include "op/resample.h"
#include "op/window.h"

typedef enum mode { NEAREST, LINEAR, CUBIC } mode;
typedef enum coordinate {
    HALF_PIXEL,
    HALF_PIXEL_SYMMETRIC,
    PYTORCH_HALF_PIXEL,
    ALIGN_CORNERS,
    ASYMMETRIC,
    TF_CROP,
    TF_HALF_PIXEL_FOR_NN
} coordinate;
typedef enum nearest { PREFER_FLOOR, PREFER_CEIL, FLOOR, CEIL } nearest;

typedef omma_resample_axis axis;

typedef struct resize_param {
    mode mode;
    coordinate coordinate;
    nearest nearest;
    bool antialias, exclude_outside;
    double cubic_a, extrapolation;
    int rank;
    axis axes[OMMA_MAX_RANK];
    bool fast;
    int64_t planes;              /* of the fast way */
    omma_resample_pixels pixels; /* planes 0: not this way */
    int workers;                 /* threads the working memory is for */
    size_t pitch;                /* bytes of it for each */
} resize_param;

/* --- attributes ------------------------------------------------------------------------ */

static omma_status choose(omma_build *b, const omma_node *n, const char *attr,
                          const char *const *names, int count, int fallback, int *out) {
    const char *s = omma_node_string(n, attr, names[fallback]);
    for (int i = 0; i < count; i++)
        if (!strcmp(s, names[i])) {
            *out = i;
            return OMMA_OK;
        }
    return omma_bad(b, n, "%s '%s' is unknown", attr, s);
}

static omma_status read_modes(omma_build *b, const omma_node *n, resize_param *p, bool old) {
    static const char *const modes[] = {"nearest", "linear", "cubic", "bilinear"};
    static const char *const coordinates[] = {
        "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel",  "align_corners",
        "asymmetric", "tf_crop_and_resize",   "tf_half_pixel_for_nn"};
    static const char *const nearests[] = {"round_prefer_floor", "round_prefer_ceil", "floor",
                                           "ceil"};
    int m = NEAREST, c = ASYMMETRIC, r = FLOOR;
    OMMA_TRY(choose(b, n, "mode", modes, 4, NEAREST, &m));
    if (!old)
        OMMA_TRY(choose(b, n, "coordinate_transformation_mode", coordinates, 7, HALF_PIXEL, &c));
    if (!old) OMMA_TRY(choose(b, n, "nearest_mode", nearests, 4, PREFER_FLOOR, &r));
    p->mode = m == 3 ? LINEAR : (mode)m;
    p->coordinate = (coordinate)c;
    p->nearest = (nearest)r;
    p->antialias = !old && p->mode != NEAREST && omma_node_int(n, "antialias", 0) != 0;
    p->exclude_outside = !old && p->mode != NEAREST && omma_node_int(n, "exclude_outside", 0) != 0;
    p->cubic_a = (double)omma_node_float(n, "cubic_coeff_a", -0.75f);
    p->extrapolation = (double)omma_node_float(n, "extrapolation_value", 0);
    if (!isfinite(p->cubic_a)) return omma_bad(b, n, "cubic_coeff_a is not finite");
    return OMMA_OK;
}

/* The numbers of constant float input i; *count = 0 when it is left out or empty. */
static omma_status floats_in(omma_build *b, const omma_node *n, int i, double *out, int max,
                             int *count) {
    const omma_value *v = omma_in(n, i);
    *count = 0;
    if (!v || !omma_value_count(v)) return OMMA_OK;
    if (!omma_is_float(v->dtype) || v->rank != 1 || v->dims[0] > max)
        return omma_bad(b, n, "input '%s' must be a list of at most %d floating numbers", v->name,
                        max);
    if (!v->data) {
        b->wanted = v;
        return omma_unsupported(b, n, "input '%s' decides a shape but is computed from the data",
                                v->name);
    }
    size_t size = omma_dtype_size(v->dtype);
    for (int64_t k = 0; k < v->dims[0]; k++) {
        uint64_t bits = 0;
        memcpy(&bits, (const char *)v->data + (size_t)k * size, size);
        out[k] = omma_get_number(v->dtype, &bits, 0);
        if (!isfinite(out[k]))
            return omma_bad(b, n, "input '%s' holds a number that is not finite", v->name);
    }
    *count = (int)v->dims[0];
    return OMMA_OK;
}

/* Upsample 7 has its scales in an attribute, Upsample 1 in one for each axis of an image. */
static omma_status scales_attr(omma_build *b, const omma_node *n, double *out, int max,
                               int *count) {
    const omma_attr *a = omma_node_attr(n, "scales");
    *count = 0;
    if (n->opset < 7 && n->in[0]->rank == 4) {
        *count = 4;
        out[0] = out[1] = 1;
        out[2] = (double)omma_node_float(n, "height_scale", 0);
        out[3] = (double)omma_node_float(n, "width_scale", 0);
        return OMMA_OK;
    }
    if (!a) return OMMA_OK;
    if (a->kind != OMMA_ATTR_FLOATS || a->count > max)
        return omma_bad(b, n, "attribute 'scales' must be a list of at most %d floating numbers",
                        max);
    for (int i = 0; i < a->count; i++) out[i] = (double)a->floats[i];
    *count = a->count;
    return OMMA_OK;
}

/* --- lengths ------------------------------------------------------------------------------ */

static omma_status from_scale(omma_build *b, const omma_node *n, const resize_param *p, axis *a,
                              double scale) {
    if (!(scale > 0) || !isfinite(scale)) return omma_bad(b, n, "a scale of %g", scale);
    float f = (float)scale,
          part = p->coordinate == TF_CROP ? (float)(a->roi_end - a->roi_start) : 1;
    float out = floorf((float)a->in * part * f);
    if (!(out >= 0 && out < 0x1p31f))
        return omma_bad(b, n, "a scale of %g makes %g of %lld", scale, (double)out,
                        (long long)a->in);
    a->scale = scale;
    a->out = (int64_t)out;
    a->length = p->coordinate == TF_CROP ? (double)a->out : scale * (double)a->in;
    return OMMA_OK;
}

static omma_status from_size(omma_build *b, const omma_node *n, axis *a, int64_t size) {
    if (size < 0 || size > INT32_MAX) return omma_bad(b, n, "a size of %lld", (long long)size);
    a->out = size;
    a->length = (double)size;
    a->scale = a->in ? (double)size / (double)a->in : 1;
    return OMMA_OK;
}

/* One scale for all listed axes, the smallest or largest the sizes allow. */
static omma_status keep_aspect(omma_build *b, const omma_node *n, resize_param *p, const int *list,
                               int count, bool larger) {
    double scale = p->axes[list[0]].scale;
    for (int i = 1; i < count; i++) {
        double s = p->axes[list[i]].scale;
        if (larger ? s > scale : s < scale) scale = s;
    }
    for (int i = 0; i < count; i++) {
        axis *a = &p->axes[list[i]];
        double out = floor(scale * (double)a->in + 0.5);
        if (!(out < 0x1p31))
            return omma_bad(b, n, "the common scale %g makes %g of %lld", scale, out,
                            (long long)a->in);
        a->scale = scale;
        a->out = (int64_t)out;
        a->length = scale * (double)a->in;
    }
    return OMMA_OK;
}

static omma_status list_axes(omma_build *b, const omma_node *n, int rank, int *list, int *count) {
    int64_t axes[OMMA_MAX_RANK];
    bool seen[OMMA_MAX_RANK] = {false};
    OMMA_TRY(omma_ints_attr(b, n, "axes", axes, OMMA_MAX_RANK, count));
    if (*count < 0) {
        *count = rank;
        for (int i = 0; i < rank; i++) list[i] = i;
        return OMMA_OK;
    }
    for (int i = 0; i < *count; i++) {
        OMMA_TRY(omma_axis(b, n, axes[i], rank, &list[i]));
        if (seen[list[i]]) return omma_bad(b, n, "axis %d is listed twice", list[i]);
        seen[list[i]] = true;
    }
    return OMMA_OK;
}

static omma_status read_roi(omma_build *b, const omma_node *n, resize_param *p, const int *list,
                            int count) {
    double roi[2 * OMMA_MAX_RANK];
    int n_roi;
    if (p->coordinate != TF_CROP) return OMMA_OK;
    OMMA_TRY(floats_in(b, n, 1, roi, 2 * OMMA_MAX_RANK, &n_roi));
    if (n_roi != 2 * count)
        return omma_bad(b, n, "roi holds %d numbers; %d are needed", n_roi, 2 * count);
    for (int i = 0; i < count; i++)
        p->axes[list[i]].roi_start = roi[i], p->axes[list[i]].roi_end = roi[i + count];
    return OMMA_OK;
}

static omma_status read_lengths(omma_build *b, const omma_node *n, resize_param *p, bool old,
                                const int *list, int count) {
    static const char *const policies[] = {"stretch", "not_larger", "not_smaller"};
    double scales[OMMA_MAX_RANK];
    int64_t sizes[OMMA_MAX_RANK];
    int n_scales, n_sizes = -1, policy = 0;
    OMMA_TRY(floats_in(b, n, old ? 1 : 2, scales, OMMA_MAX_RANK, &n_scales));
    if (old && !n_scales) OMMA_TRY(scales_attr(b, n, scales, OMMA_MAX_RANK, &n_scales));
    if (!old) {
        OMMA_TRY(omma_ints_in(b, n, 3, sizes, OMMA_MAX_RANK, &n_sizes));
        OMMA_TRY(choose(b, n, "keep_aspect_ratio_policy", policies, 3, 0, &policy));
    }
    if ((n_scales > 0) == (n_sizes > 0))
        return omma_bad(b, n, "either scales or sizes must be given");
    if ((n_scales > 0 ? n_scales : n_sizes) != count)
        return omma_bad(b, n, "%d scales or sizes for %d axes", n_scales > 0 ? n_scales : n_sizes,
                        count);
    for (int i = 0; i < count; i++)
        if (n_scales > 0) OMMA_TRY(from_scale(b, n, p, &p->axes[list[i]], scales[i]));
        else OMMA_TRY(from_size(b, n, &p->axes[list[i]], sizes[i]));
    if (n_sizes > 0 && policy) OMMA_TRY(keep_aspect(b, n, p, list, count, policy == 2));
    return OMMA_OK;
}

static omma_status resize_common(omma_build *b, omma_node *n, bool old) {
    const omma_value *x = n->in[0];
    resize_param *p = omma_param(b, n, sizeof *p);
    int list[OMMA_MAX_RANK], count;
    int64_t dims[OMMA_MAX_RANK];
    if (!p) return omma_nomem(b, n);
    if (!omma_dtype_size(x->dtype))
        return omma_unsupported(b, n, "type %s", omma_dtype_name(x->dtype));
    OMMA_TRY(read_modes(b, n, p, old));
    OMMA_TRY(list_axes(b, n, x->rank, list, &count));
    p->rank = x->rank;
    for (int d = 0; d < p->rank; d++) {
        if (x->dims[d] > INT32_MAX)
            return omma_unsupported(b, n, "axis %d is longer than %d", d, INT32_MAX);
        p->axes[d] = (axis){.in = x->dims[d],
                            .out = x->dims[d],
                            .scale = 1,
                            .length = (double)x->dims[d],
                            .roi_end = 1};
    }
    if (count) {
        OMMA_TRY(read_roi(b, n, p, list, count));
        OMMA_TRY(read_lengths(b, n, p, old, list, count));
    }
    for (int d = 0; d < p->rank; d++) {
        if (!p->axes[d].in && p->axes[d].out)
            return omma_bad(b, n, "axis %d is empty and cannot become %lld", d,
                            (long long)p->axes[d].out);
        dims[d] = p->axes[d].out;
    }
    return omma_out(b, n, 0, x->dtype, x->rank, dims);
}

static omma_status resize_infer(omma_build *b, omma_node *n) {
    return resize_common(b, n, n->opset < 11);
}
static omma_status upsample_infer(omma_build *b, omma_node *n) { return resize_common(b, n, true); }

/* --- tables -------------------------------------------------------------------------------- */

/* x(o), in inputs. */
static double source(const resize_param *p, const axis *a, int64_t o) {
    const double x = (double)o, last = (double)(a->in - 1);
    switch (p->coordinate) {
    case ASYMMETRIC: return x / a->scale;
    case ALIGN_CORNERS: return a->length == 1 ? 0 : x * last / (a->length - 1);
    case PYTORCH_HALF_PIXEL: return a->out <= 1 ? 0 : (x + 0.5) / a->scale - 0.5;
    case HALF_PIXEL_SYMMETRIC: {
        double offset = (double)a->in / 2 * (1 - (double)a->out / a->length);
        return offset + (x + 0.5) / a->scale - 0.5;
    }
    case TF_CROP: {
        double span = (a->roi_end - a->roi_start) * last;
        if (a->out <= 1) return 0.5 * (a->roi_start + a->roi_end) * last;
        return a->roi_start * last + x * span / (a->length - 1);
    }
    case TF_HALF_PIXEL_FOR_NN: return (x + 0.5) / a->scale;
    case HALF_PIXEL: break;
    }
    return (x + 0.5) / a->scale - 0.5;
}

static double filter(const resize_param *p, double t) {
    const double a = p->cubic_a;
    t = fabs(t);
    if (p->mode == LINEAR) return t < 1 ? 1 - t : 0;
    if (t <= 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
    return t < 2 ? ((t - 5) * t + 8) * t * a - 4 * a : 0;
}

static int64_t nearest_of(nearest how, double x) {
    switch (how) {
    case PREFER_FLOOR: return (int64_t)ceil(x - 0.5);
    case PREFER_CEIL: return (int64_t)floor(x + 0.5);
    case CEIL: return (int64_t)ceil(x);
    case FLOOR: break;
    }
    return (int64_t)floor(x);
}

static int64_t clamped(int64_t i, int64_t n) { return i < 0 ? 0 : i >= n ? n - 1 : i; }

/* The taps of one output at x: positions floor(x) - taps/2 + 1 and on. */
static void weigh(const resize_param *p, const axis *a, double x, int64_t *at, double *w) {
    const double shrink = p->antialias && a->scale < 1 ? a->scale : 1;
    const int64_t first = (int64_t)floor(x) - a->taps / 2 + 1;
    double sum = 0;
    for (int64_t i = 0; i < a->taps; i++) {
        bool out = first + i < 0 || first + i >= a->in;
        at[i] = clamped(first + i, a->in);
        w[i] = p->exclude_outside && out ? 0 : filter(p, ((double)(first + i) - x) * shrink);
        sum += w[i];
    }
    if (!p->antialias && !p->exclude_outside) return;
    for (int64_t i = 0; i < a->taps; i++) w[i] = sum == 0 ? (i == 0) : w[i] / sum;
}

static void fill(const resize_param *p, axis *a) {
    a->active = a->in != a->out || a->outside;
    for (int64_t o = 0; o < a->out; o++) {
        double x = source(p, a, o), room = (double)(a->in + a->taps);
        int64_t *at = a->at + o * a->taps;
        double *w = a->w + o * a->taps;
        if (a->outside) a->outside[o] = x < 0 || x > (double)(a->in - 1);
        if (!(x > -room)) x = -room;
        if (x > 2 * room) x = 2 * room;
        if (p->mode == NEAREST) *at = clamped(nearest_of(p->nearest, x), a->in), *w = 1;
        else weigh(p, a, x, at, w);
        double own = 0;
        for (int64_t i = 0; i < a->taps; i++) {
            a->w32[o * a->taps + i] = (float)w[i];
            if (at[i] == o) own += w[i];
            else if (w[i] != 0) a->active = true;
        }
        if (own != 1) a->active = true;
    }
}

static omma_status make_table(omma_build *b, const omma_node *n, const resize_param *p, axis *a) {
    double radius = p->mode == CUBIC ? 2 : 1;
    if (p->antialias && a->scale < 1) radius = ceil(radius / a->scale);
    if (radius > 4 * (double)a->in + 8)
        return omma_unsupported(b, n, "an antialiasing scale of %g", a->scale);
    a->taps = p->mode == NEAREST ? 1 : 2 * (int64_t)radius;
    size_t count;
    if (!omma_mul((size_t)a->out, (size_t)a->taps, &count)) return omma_nomem(b, n);
    a->at = omma_arena_array(b->arena, count, sizeof *a->at);
    a->w = omma_arena_array(b->arena, count, sizeof *a->w);
    a->w32 = omma_arena_array(b->arena, count, sizeof *a->w32);
    if (p->coordinate == TF_CROP)
        a->outside = omma_arena_array(b->arena, (size_t)a->out, sizeof *a->outside);
    if (!a->at || !a->w || !a->w32 || (p->coordinate == TF_CROP && !a->outside))
        return omma_nomem(b, n);
    fill(p, a);
    return OMMA_OK;
}

/* Set p->pixels when what changes are at most two axes, neighbours, before the last. Pixels that
 * are only copied may be of pairs of bfloat16, too. */
static void find_pixels(const omma_node *n, resize_param *p) {
    static const axis one = {.in = 1, .out = 1};
    int last = p->rank - 1;
    omma_resample_pixels q = {.rows = &one, .nearest = p->mode == NEAREST, .planes = 1, .unit = 1};
    const bool pairs = n->in[0]->dtype == OMMA_BF16 && q.nearest;
    if ((n->in[0]->dtype != OMMA_F32 && !pairs) || p->coordinate == TF_CROP) return;
    for (; last >= 0 && !p->axes[last].active; last--) q.unit *= p->axes[last].in;
    if (last < 0 || last == p->rank - 1 || (pairs && q.unit % 2)) return;
    if (pairs) q.unit /= 2;
    q.cols = &p->axes[last];
    if (last) q.rows = &p->axes[last - 1];
    for (int d = 0; d < last - 1; d++) {
        if (p->axes[d].active) return;
        q.planes *= p->axes[d].in;
    }
    if (omma_resample_pixels_fit(&q)) p->pixels = q;
}

static omma_status resize_prepare(omma_build *b, omma_node *n) {
    resize_param *p = (resize_param *)n->param;
    const int r = p->rank;
    if (!n->out[0] || !omma_value_count(n->out[0])) return OMMA_OK;
    p->fast = n->in[0]->dtype == OMMA_F32 && p->coordinate != TF_CROP && r >= 2;
    p->planes = 1;
    for (int d = 0; d < r; d++) {
        OMMA_TRY(make_table(b, n, p, &p->axes[d]));
        if (d < r - 2 && p->axes[d].active) p->fast = false;
        if (d < r - 2) p->planes *= p->axes[d].in;
    }
    if (!p->fast) {
        find_pixels(n, p);
        return OMMA_OK;
    }
    axis *rows = &p->axes[r - 2], *cols = &p->axes[r - 1];
    for (int64_t i = 0; i < rows->out * rows->taps; i++) rows->at[i] *= cols->out;
    p->workers = omma_workers(b);
    if (p->mode == NEAREST || !rows->active || !cols->active) return OMMA_OK;
    if (!omma_dims_bytes((int64_t[]){rows->in, cols->out}, 2, sizeof(float), &p->pitch) ||
        !omma_align_up(p->pitch, 64, &p->pitch) ||
        !omma_mul(p->pitch, (size_t)p->workers, &n->scratch))
        return omma_bad(b, n, "its working memory overflows");
    return OMMA_OK;
}

/* --- f32 planes ------------------------------------------------------------------------------- */

typedef struct plane_job {
    const omma_exec *x;
    const resize_param *p;
    const float *src;
    float *dst;
    char *work;
} plane_job;

static void row_of(const axis *a, const float *src, float *dst) {
    if (a->taps == 1) {
        for (int64_t o = 0; o < a->out; o++) dst[o] = src[a->at[o]];
    } else if (a->taps == 2) {
        for (int64_t o = 0; o < a->out; o++)
            dst[o] = a->w32[2 * o] * src[a->at[2 * o]] + a->w32[2 * o + 1] * src[a->at[2 * o + 1]];
    } else {
        for (int64_t o = 0; o < a->out; o++) {
            float sum = 0;
            for (int64_t i = o * a->taps; i < (o + 1) * a->taps; i++)
                sum += a->w32[i] * src[a->at[i]];
            dst[o] = sum;
        }
    }
}

/* Rows repeat: an output row like the one before is copied. */
static void nearest_plane(const resize_param *p, const float *src, float *dst) {
    const axis *rows = &p->axes[p->rank - 2], *cols = &p->axes[p->rank - 1];
    for (int64_t o = 0; o < rows->out; o++) {
        float *y = dst + o * cols->out;
        const float *x = src + rows->at[o] / cols->out * cols->in;
        if (o && rows->at[o] == rows->at[o - 1])
            memcpy(y, y - cols->out, (size_t)cols->out * sizeof *y);
        else if (!cols->active) memcpy(y, x, (size_t)cols->out * sizeof *y);
        else row_of(cols, x, y);
    }
}

static void smooth_plane(const plane_job *j, const float *src, float *dst, float *work) {
    const axis *rows = &j->p->axes[j->p->rank - 2], *cols = &j->p->axes[j->p->rank - 1];
    if (cols->active) {
        float *wide = rows->active ? work : dst;
        for (int64_t i = 0; i < rows->in; i++)
            row_of(cols, src + i * cols->in, wide + i * cols->out);
        src = wide;
    } else if (!rows->active) {
        memcpy(dst, src, (size_t)(rows->in * cols->in) * sizeof *dst);
    }
    if (!rows->active) return;
    for (int64_t o = 0; o < rows->out; o++)
        j->x->kern->taps(cols->out, (int)rows->taps, rows->w32 + o * rows->taps, src,
                         rows->at + o * rows->taps, 1, dst + o * cols->out);
}

static void planes(void *arg, int64_t begin, int64_t end, int worker) {
    const plane_job *j = arg;
    const axis *rows = &j->p->axes[j->p->rank - 2], *cols = &j->p->axes[j->p->rank - 1];
    for (int64_t i = begin; i < end; i++) {
        const float *src = j->src + i * rows->in * cols->in;
        float *dst = j->dst + i * rows->out * cols->out;
        if (j->p->mode == NEAREST) nearest_plane(j->p, src, dst);
        else smooth_plane(j, src, dst, (float *)(void *)(j->work + (size_t)worker * j->p->pitch));
    }
}

/* --- the plain loop ------------------------------------------------------------------------------
 */

typedef struct plain_job {
    const resize_param *p;
    omma_dtype t;
    const void *src;
    void *dst;
    int64_t out_dims[OMMA_MAX_RANK], in_strides[OMMA_MAX_RANK];
} plain_job;

/* Sum over the taps of axes d and on. */
static double plain_sum(const plain_job *j, int d, int64_t offset, const int64_t *at) {
    if (d == j->p->rank) return omma_number(j->t, j->src, offset);
    const axis *a = &j->p->axes[d];
    if (!a->active) return plain_sum(j, d + 1, offset + at[d] * j->in_strides[d], at);
    double sum = 0;
    for (int64_t i = at[d] * a->taps; i < (at[d] + 1) * a->taps; i++)
        if (a->w[i] != 0)
            sum += a->w[i] * plain_sum(j, d + 1, offset + a->at[i] * j->in_strides[d], at);
    return sum;
}

static void plain_items(void *arg, int64_t begin, int64_t end, int worker) {
    const plain_job *j = arg;
    const resize_param *p = j->p;
    const size_t size = omma_dtype_size(j->t);
    (void)worker;
    for (int64_t o = begin; o < end; o++) {
        int64_t at[OMMA_MAX_RANK], offset = 0;
        bool outside = false;
        omma_unravel(o, j->out_dims, p->rank, at);
        for (int d = 0; d < p->rank; d++) {
            if (p->axes[d].outside && p->axes[d].outside[at[d]]) outside = true;
            if (p->mode == NEAREST) offset += p->axes[d].at[at[d]] * j->in_strides[d];
        }
        if (outside) {
            omma_set_number(j->t, j->dst, o, p->extrapolation);
        } else if (p->mode == NEAREST) {
            memcpy((char *)j->dst + (size_t)o * size, (const char *)j->src + (size_t)offset * size,
                   size);
        } else {
            double v = plain_sum(j, 0, 0, at);
            omma_set_number(j->t, j->dst, o, omma_is_float(j->t) ? v : nearbyint(v));
        }
    }
}

static omma_status resize_run(const omma_exec *x, const omma_node *n) {
    const resize_param *p = n->param;
    omma_value *y = n->out[0];
    if (!y || !omma_value_count(y)) return OMMA_OK;
    if (p->fast) {
        plane_job j = {x, p, n->in[0]->mem, y->mem, n->work};
        omma_parallel(x->threads < p->workers ? x->threads : p->workers, p->planes, 1, planes, &j);
        return OMMA_OK;
    }
    if (p->pixels.planes) {
        omma_resample_pixels_run(x, &p->pixels, n->in[0]->mem, y->mem);
        return OMMA_OK;
    }
    plain_job j = {.p = p, .t = y->dtype, .src = n->in[0]->mem, .dst = y->mem};
    memcpy(j.out_dims, y->dims, sizeof j.out_dims);
    omma_strides(n->in[0]->dims, p->rank, j.in_strides);
    omma_parallel(x->threads, omma_value_count(y), 1024, plain_items, &j);
    return OMMA_OK;
}

static double resize_flops(const omma_node *n) {
    const resize_param *p = n->param;
    double f = n->out[0] ? (double)omma_value_count(n->out[0]) : 0;
    return p->mode == NEAREST ? 0 : f * (p->mode == CUBIC ? 16 : 8);
}

const omma_op omma_op_Resize = {.name = "Resize",
                                .min_in = 1,
                                .max_in = 4,
                                .min_out = 1,
                                .max_out = 1,
                                .infer = resize_infer,
                                .prepare = resize_prepare,
                                .run = resize_run,
                                .flops = resize_flops,
                                .no_grad = OMMA_NOT_YET,
                                .no_field = OMMA_NOT_YET};

const omma_op omma_op_Upsample = {.name = "Upsample",
                                  .min_in = 1,
                                  .max_in = 2,
                                  .min_out = 1,
                                  .max_out = 1,
                                  .infer = upsample_infer,
                                  .prepare = resize_prepare,
                                  .run = resize_run,
                                  .flops = resize_flops,
                                  .no_grad = OMMA_NOT_YET,
                                  .no_field = OMMA_NOT_YET};
