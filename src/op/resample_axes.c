/* resample_axes.c - what a Resize or Upsample says: lengths of the output, and for every axis the
 * table of the inputs each output reads.
 *
 * The rules are those of ONNX Resize 10, 11, 13, 18, 19 and Upsample 1, 7, 9. Traps: version
 * 10 and Upsample always use x = o/scale and round down; a length from scales is
 * floor(in*scale) in float, but align_corners divides by in*scale - 1, not by that floor
 * less one; with keep_aspect_ratio_policy lengths round half up and the common scale, not
 * the ratio of lengths, gives x(o). */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "op/resample.h"
#include "op/window.h"

typedef omma_resample_axis axis;

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

static omma_status read_modes(omma_build *b, const omma_node *n, omma_resample *p, bool old) {
    static const char *const modes[] = {"nearest", "linear", "cubic", "bilinear"};
    static const char *const coordinates[] = {
        "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel",  "align_corners",
        "asymmetric", "tf_crop_and_resize",   "tf_half_pixel_for_nn"};
    static const char *const nearests[] = {"round_prefer_floor", "round_prefer_ceil", "floor",
                                           "ceil"};
    int m = OMMA_RESIZE_NEAREST, c = OMMA_RESIZE_ASYMMETRIC, r = OMMA_RESIZE_FLOOR;
    OMMA_TRY(choose(b, n, "mode", modes, 4, OMMA_RESIZE_NEAREST, &m));
    if (!old)
        OMMA_TRY(choose(b, n, "coordinate_transformation_mode", coordinates, 7,
                        OMMA_RESIZE_HALF_PIXEL, &c));
    if (!old) OMMA_TRY(choose(b, n, "nearest_mode", nearests, 4, OMMA_RESIZE_PREFER_FLOOR, &r));
    p->mode = m == 3 ? OMMA_RESIZE_LINEAR : (omma_resample_mode)m;
    p->coordinate = (omma_resample_coordinate)c;
    p->nearest = (omma_resample_nearest)r;
    p->antialias = !old && p->mode != OMMA_RESIZE_NEAREST && omma_node_int(n, "antialias", 0) != 0;
    p->exclude_outside =
        !old && p->mode != OMMA_RESIZE_NEAREST && omma_node_int(n, "exclude_outside", 0) != 0;
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

static omma_status from_scale(omma_build *b, const omma_node *n, const omma_resample *p, axis *a,
                              double scale) {
    if (!(scale > 0) || !isfinite(scale)) return omma_bad(b, n, "a scale of %g", scale);
    float f = (float)scale,
          part = p->coordinate == OMMA_RESIZE_TF_CROP ? (float)(a->roi_end - a->roi_start) : 1;
    float out = floorf((float)a->in * part * f);
    if (!(out >= 0 && out < 0x1p31f))
        return omma_bad(b, n, "a scale of %g makes %g of %lld", scale, (double)out,
                        (long long)a->in);
    a->scale = scale;
    a->out = (int64_t)out;
    a->length = p->coordinate == OMMA_RESIZE_TF_CROP ? (double)a->out : scale * (double)a->in;
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
static omma_status keep_aspect(omma_build *b, const omma_node *n, omma_resample *p, const int *list,
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

static omma_status read_roi(omma_build *b, const omma_node *n, omma_resample *p, const int *list,
                            int count) {
    double roi[2 * OMMA_MAX_RANK];
    int n_roi;
    if (p->coordinate != OMMA_RESIZE_TF_CROP) return OMMA_OK;
    OMMA_TRY(floats_in(b, n, 1, roi, 2 * OMMA_MAX_RANK, &n_roi));
    if (n_roi != 2 * count)
        return omma_bad(b, n, "roi holds %d numbers; %d are needed", n_roi, 2 * count);
    for (int i = 0; i < count; i++)
        p->axes[list[i]].roi_start = roi[i], p->axes[list[i]].roi_end = roi[i + count];
    return OMMA_OK;
}

static omma_status read_lengths(omma_build *b, const omma_node *n, omma_resample *p, bool old,
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

omma_status omma_resample_read(omma_build *b, const omma_node *n, int rank, const int64_t *dims,
                               bool old, omma_resample *p) {
    int list[OMMA_MAX_RANK], count;
    OMMA_TRY(read_modes(b, n, p, old));
    OMMA_TRY(list_axes(b, n, rank, list, &count));
    p->rank = rank;
    for (int d = 0; d < rank; d++) {
        if (dims[d] > INT32_MAX)
            return omma_unsupported(b, n, "axis %d is longer than %d", d, INT32_MAX);
        p->axes[d] = (axis){
            .in = dims[d], .out = dims[d], .scale = 1, .length = (double)dims[d], .roi_end = 1};
    }
    if (count) {
        OMMA_TRY(read_roi(b, n, p, list, count));
        OMMA_TRY(read_lengths(b, n, p, old, list, count));
    }
    for (int d = 0; d < rank; d++)
        if (!p->axes[d].in && p->axes[d].out)
            return omma_bad(b, n, "axis %d is empty and cannot become %lld", d,
                            (long long)p->axes[d].out);
    return OMMA_OK;
}

/* --- tables -------------------------------------------------------------------------------- */

/* x(o), in inputs. */
static double source(const omma_resample *p, const axis *a, int64_t o) {
    const double x = (double)o, last = (double)(a->in - 1);
    switch (p->coordinate) {
    case OMMA_RESIZE_ASYMMETRIC: return x / a->scale;
    case OMMA_RESIZE_ALIGN_CORNERS: return a->length == 1 ? 0 : x * last / (a->length - 1);
    case OMMA_RESIZE_PYTORCH_HALF_PIXEL: return a->out <= 1 ? 0 : (x + 0.5) / a->scale - 0.5;
    case OMMA_RESIZE_HALF_PIXEL_SYMMETRIC: {
        double offset = (double)a->in / 2 * (1 - (double)a->out / a->length);
        return offset + (x + 0.5) / a->scale - 0.5;
    }
    case OMMA_RESIZE_TF_CROP: {
        double span = (a->roi_end - a->roi_start) * last;
        if (a->out <= 1) return 0.5 * (a->roi_start + a->roi_end) * last;
        return a->roi_start * last + x * span / (a->length - 1);
    }
    case OMMA_RESIZE_TF_HALF_PIXEL_FOR_NN: return (x + 0.5) / a->scale;
    case OMMA_RESIZE_HALF_PIXEL: break;
    }
    return (x + 0.5) / a->scale - 0.5;
}

static double filter(const omma_resample *p, double t) {
    const double a = p->cubic_a;
    double w = 0;
    t = fabs(t);
    if (p->mode == OMMA_RESIZE_LINEAR) w = t < 1 ? 1 - t : 0;
    else if (t <= 1) w = ((a + 2) * t - (a + 3)) * t * t + 1;
    else if (t < 2) w = ((t - 5) * t + 8) * t * a - 4 * a;
    return fabs(w) < 1e-10 ? 0 : w; /* x(o) is rounded: what is read shall not hang on that */
}

static int64_t nearest_of(omma_resample_nearest how, double x) {
    switch (how) {
    case OMMA_RESIZE_PREFER_FLOOR: return (int64_t)ceil(x - 0.5);
    case OMMA_RESIZE_PREFER_CEIL: return (int64_t)floor(x + 0.5);
    case OMMA_RESIZE_CEIL: return (int64_t)ceil(x);
    case OMMA_RESIZE_FLOOR: break;
    }
    return (int64_t)floor(x);
}

static int64_t clamped(int64_t i, int64_t n) { return i < 0 ? 0 : i >= n ? n - 1 : i; }

static double shrink_of(const omma_resample *p, const axis *a) {
    return p->antialias && a->scale < 1 ? a->scale : 1;
}

/* The first of the taps of an output at x. */
static int64_t first_of(const axis *a, double x) { return (int64_t)floor(x) - a->taps / 2 + 1; }

static void weigh(const omma_resample *p, const axis *a, double x, int64_t *at, double *w) {
    const double shrink = shrink_of(p, a);
    const int64_t first = first_of(a, x);
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

static void fill(const omma_resample *p, axis *a) {
    a->active = a->in != a->out || a->outside;
    for (int64_t o = 0; o < a->out; o++) {
        double x = source(p, a, o), room = (double)(a->in + a->taps);
        int64_t *at = a->at + o * a->taps;
        double *w = a->w + o * a->taps;
        if (a->outside) a->outside[o] = x < 0 || x > (double)(a->in - 1);
        if (!(x > -room)) x = -room;
        if (x > 2 * room) x = 2 * room;
        if (p->mode == OMMA_RESIZE_NEAREST) *at = clamped(nearest_of(p->nearest, x), a->in), *w = 1;
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

omma_status omma_resample_table(omma_build *b, const omma_node *n, const omma_resample *p,
                                axis *a) {
    double radius = p->mode == OMMA_RESIZE_CUBIC ? 2 : 1;
    if (p->antialias && a->scale < 1) radius = ceil(radius / a->scale);
    if (radius > 4 * (double)a->in + 8)
        return omma_unsupported(b, n, "an antialiasing scale of %g", a->scale);
    a->taps = p->mode == OMMA_RESIZE_NEAREST ? 1 : 2 * (int64_t)radius;
    size_t count;
    if (!omma_mul((size_t)a->out, (size_t)a->taps, &count)) return omma_nomem(b, n);
    a->at = omma_arena_array(b->arena, count, sizeof *a->at);
    a->w = omma_arena_array(b->arena, count, sizeof *a->w);
    a->w32 = omma_arena_array(b->arena, count, sizeof *a->w32);
    if (p->coordinate == OMMA_RESIZE_TF_CROP)
        a->outside = omma_arena_array(b->arena, (size_t)a->out, sizeof *a->outside);
    if (!a->at || !a->w || !a->w32 || (p->coordinate == OMMA_RESIZE_TF_CROP && !a->outside))
        return omma_nomem(b, n);
    fill(p, a);
    return OMMA_OK;
}

/* --- the window ---------------------------------------------------------------------------- */

/* d x(o) / d o */
static double slope_of(const omma_resample *p, const axis *a) {
    const double last = (double)(a->in - 1);
    if (a->length > 1 && p->coordinate == OMMA_RESIZE_ALIGN_CORNERS) return last / (a->length - 1);
    if (a->out > 1 && p->coordinate == OMMA_RESIZE_TF_CROP)
        return (a->roi_end - a->roi_start) * last / (a->length - 1);
    return 1 / a->scale;
}

/* The first and the last tap of an output at x, wherever they lie; false where it has none. */
static bool ends_of(const omma_resample *p, const axis *a, double x, int64_t *lo, int64_t *hi) {
    const double shrink = shrink_of(p, a);
    if (!(fabs(x) < 0x1p50)) return false;
    if (p->mode == OMMA_RESIZE_NEAREST) {
        *lo = *hi = nearest_of(p->nearest, x);
        return true;
    }
    *lo = first_of(a, x), *hi = *lo + a->taps - 1;
    while (*lo <= *hi && filter(p, ((double)*lo - x) * shrink) == 0) ++*lo;
    while (*lo <= *hi && filter(p, ((double)*hi - x) * shrink) == 0) --*hi;
    return *lo <= *hi;
}

void omma_resample_reach(const omma_resample *p, const axis *a, double *slope, double *low,
                         double *high) {
    bool any = false;
    *slope = slope_of(p, a);
    for (int64_t o = 0; o < a->out; o++) {
        int64_t lo, hi;
        const double middle = *slope * (double)o;
        if ((a->outside && a->outside[o]) || !ends_of(p, a, source(p, a, o), &lo, &hi)) continue;
        if (!any || (double)lo - middle < *low) *low = (double)lo - middle;
        if (!any || (double)hi - middle > *high) *high = (double)hi - middle;
        any = true;
    }
    if (!any) *slope = *low = *high = 0;
}
