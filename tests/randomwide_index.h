/* randomwide_index.h - steps of random graphs (randomwide.h): operators that read and write at
 * places which are constants, or which the data decide; sampling; losses. */
#ifndef OMMA_TESTS_RANDOMWIDE_INDEX_H
#define OMMA_TESTS_RANDOMWIDE_INDEX_H

#include "randomwide_make.h"

/* Indices of this shape into an axis of n, constant or computed. */
static inline omma_value *places(wide *w, int64_t n, int rank, const int64_t *dims) {
    if (w->positive || coin()) return indices(w, n, rank, dims);
    return index_of(w, shaped(w, rank, dims), n, coin() ? OMMA_I64 : OMMA_I32);
}

/* The same for a list that must be of int64. */
static inline omma_value *places64(wide *w, int64_t n, int rank, const int64_t *dims) {
    if (w->positive || coin()) return indices(w, n, rank, dims);
    return index_of(w, shaped(w, rank, dims), n, OMMA_I64);
}

/* --- reading ------------------------------------------------------------------------------------
 */

static void gather_step(wide *w) {
    omma_value *x = any(w);
    if (!x->rank) return;
    const int axis = roll(x->rank), rank = roll(3);
    const int64_t d[] = {between(1, 5), between(1, 3)};
    omma_value *at = places(w, x->dims[axis], rank, d);
    if (!w->positive && rare() && rank == 1) { /* the largest ones' */
        omma_value *in[] = {under(w, any(w), 1, (int64_t[]){-1}), list(w, 1, (int64_t[]){1})};
        omma_node *top = put_node(w, "TopK", 11, 2, in, 2);
        at = top ? put(w, "Mod", 13, top->out[1], whole(w, x->dims[axis])) : NULL;
    }
    wide_int(w, "axis", coin() ? axis : axis - x->rank);
    push(w, put(w, "Gather", 13, x, at));
}

static void gather_elements_step(wide *w) {
    omma_value *x = any(w);
    int64_t d[OMMA_MAX_RANK];
    if (!x->rank) return;
    const int axis = roll(x->rank);
    for (int i = 0; i < x->rank; i++) d[i] = i == axis ? between(1, 5) : between(1, x->dims[i]);
    omma_value *at = places(w, x->dims[axis], x->rank, d);
    wide_int(w, "axis", coin() ? axis : axis - x->rank);
    push(w, put(w, "GatherElements", 13, x, at));
}

static void gather_nd_step(wide *w) {
    omma_value *x = any(w);
    int64_t d[OMMA_MAX_RANK + 2], least = INT64_MAX;
    if (x->rank < 2) return;
    const int batch = rare() ? 1 : 0, depth = (int)between(1, x->rank - batch < 2 ? 1 : 2);
    for (int i = 0; i < batch; i++) d[i] = x->dims[i];
    d[batch] = between(1, 6), d[batch + 1] = depth;
    for (int i = 0; i < depth; i++)
        if (x->dims[batch + i] < least) least = x->dims[batch + i];
    omma_value *at = places64(w, least, batch + 2, d);
    if (batch) wide_int(w, "batch_dims", batch);
    push(w, put(w, "GatherND", 13, x, at));
}

static void topk_step(wide *w) {
    omma_value *in[] = {any(w), NULL};
    const omma_value *x = in[0];
    if (!x->rank) return;
    const int axis = roll(x->rank);
    in[1] = list(w, 1, (int64_t[]){between(1, x->dims[axis] < 4 ? x->dims[axis] : 4)});
    if (axis != x->rank - 1 || coin()) wide_int(w, "axis", coin() ? axis : axis - x->rank);
    if (coin()) wide_int(w, "largest", roll(2));
    omma_node *n = put_node(w, "TopK", 11, 2, in, 2);
    if (!n) return;
    push(w, n->out[0]);
    if (coin()) push(w, put(w, "Mul", 13, cast(w, n->out[1], OMMA_F32), number(w, 0.1)));
}

static void onehot_step(wide *w) {
    const int64_t depth = between(2, 6), d[] = {between(1, 4), between(1, 3)};
    const int rank = (int)between(1, 2);
    omma_value *at = places(w, depth, rank, d);
    omma_value *values = coin() ? floats(w, -1, 1, DIMS(2)) : shaped(w, DIMS(2));
    wide_int(w, "axis", between(-rank - 1, rank));
    push(w, put(w, "OneHot", 11, at, list(w, 1, &depth), values));
}

static void reverse_step(wide *w) {
    omma_value *x = any(w);
    if (x->rank < 2) return;
    const int time = roll(2);
    const int64_t batch = x->dims[1 - time];
    if (w->positive && batch > 64) return;
    omma_value *lens = index_of(w, shaped(w, 1, &batch), x->dims[time] + 1, OMMA_I64);
    if ((w->positive || coin()) && batch <= 64) {
        int64_t fixed[64];
        for (int64_t i = 0; i < batch; i++) fixed[i] = between(0, x->dims[time]);
        lens = list(w, (int)batch, fixed);
    }
    wide_int(w, "time_axis", time), wide_int(w, "batch_axis", 1 - time);
    push(w, put(w, "ReverseSequence", 10, x, lens));
}

/* --- writing ------------------------------------------------------------------------------------
 */

static void scatter_step(wide *w) {
    static const char *const reductions[] = {"none", "add", "mul", "min", "max"};
    omma_value *x = any(w);
    int64_t d[OMMA_MAX_RANK];
    if (!x->rank) return;
    const int axis = roll(x->rank);
    const bool old = rare();
    for (int i = 0; i < x->rank; i++) d[i] = between(1, x->dims[i]);
    omma_value *at = places(w, x->dims[axis], x->rank, d), *v = shaped(w, x->rank, d);
    wide_int(w, "axis", coin() ? axis : axis - x->rank);
    if (!old && coin()) wide_text(w, "reduction", reductions[variant(w, w->positive ? 2 : 5)]);
    push(w, put(w, old ? "Scatter" : "ScatterElements", old ? 9 : 18, x, at, v));
}

static void scatter_nd_step(wide *w) {
    static const char *const reductions[] = {"none", "add", "mul", "min", "max"};
    omma_value *x = any(w);
    int64_t d[OMMA_MAX_RANK + 1], least = INT64_MAX;
    if (!x->rank) return;
    const int depth = (int)between(1, x->rank < 2 ? 1 : 2);
    for (int i = 0; i < depth; i++)
        if (x->dims[i] < least) least = x->dims[i];
    d[0] = between(1, 4);
    for (int i = depth; i < x->rank; i++) d[1 + i - depth] = x->dims[i];
    omma_value *at = places64(w, least, DIMS(d[0], depth));
    omma_value *v = shaped(w, 1 + x->rank - depth, d);
    if (coin()) wide_text(w, "reduction", reductions[variant(w, w->positive ? 2 : 5)]);
    push(w, put(w, "ScatterND", 18, x, at, v));
}

static void tensor_scatter_step(wide *w) {
    const int64_t b = between(1, 3), s = between(2, 6), l = between(1, s);
    omma_value *past = shaped(w, DIMS(b, 2, s, 2)), *v = shaped(w, DIMS(b, 2, l, 2));
    omma_value *at = coin()                  ? NULL
                     : w->positive || coin() ? list(w, (int)b, (int64_t[]){0, s - l, 0})
                                             : index_of(w, shaped(w, 1, &b), s - l + 1, OMMA_I64);
    if (coin()) wide_text(w, "mode", "circular");
    push(w, put(w, "TensorScatter", 24, past, v, at));
}

/* --- sampling
 * ------------------------------------------------------------------------------------- */

static void resize_attrs(wide *w, const char *mode) {
    wide_text(w, "mode", mode);
    if (roll(4))
        wide_text(w, "coordinate_transformation_mode",
                  ONE_OF("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel",
                         "align_corners", "asymmetric"));
    if (*mode == 'n' && coin())
        wide_text(w, "nearest_mode",
                  ONE_OF("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"));
    if (*mode == 'c' && coin()) wide_int(w, "exclude_outside", 1);
    if (*mode == 'c' && coin()) wide_real(w, "cubic_coeff_a", -0.5);
    if (*mode != 'n' && rare()) wide_int(w, "antialias", 1);
}

/* Of other ranks, along some axes. */
static void resize_along(wide *w, const char *mode) {
    omma_value *x = any(w);
    int64_t axes[OMMA_MAX_RANK], sizes[OMMA_MAX_RANK];
    const int n = some_axes(x->rank, axes, 2);
    for (int i = 0; i < n; i++) sizes[i] = between(1, 9);
    wide_ints(w, "axes", n, axes);
    if (coin())
        wide_text(w, "keep_aspect_ratio_policy", ONE_OF("stretch", "not_larger", "not_smaller"));
    resize_attrs(w, mode);
    push(w, put(w, "Resize", 18, x, NULL, NULL, list(w, n, sizes)));
}

static void resize_step(wide *w) {
    omma_value *x = map_of(w, 2);
    const char *mode =
        w->positive ? VARIANT("nearest", "linear") : VARIANT("nearest", "linear", "cubic");
    omma_value *scales = NULL, *sizes = NULL, *roi = NULL;
    const bool crop = rare();
    if (rare()) {
        resize_along(w, mode);
        return;
    }
    if (coin()) {
        const float s[] = {1, 1, (float)real(0.4, 2.3), (float)real(0.4, 2.3)};
        scales = constant(w, OMMA_F32, DIMS(4), s);
    } else sizes = list(w, 4, (int64_t[]){x->dims[0], x->dims[1], between(2, 14), between(2, 14)});
    if (crop) {
        roi = constant(w, OMMA_F32, DIMS(8), (float[]){0, 0, 0.1f, 0.2f, 1, 1, 0.9f, 0.7f});
        wide_text(w, "mode", mode);
        wide_text(w, "coordinate_transformation_mode", "tf_crop_and_resize");
    } else resize_attrs(w, mode);
    push(w, put(w, "Resize", coin() ? 13 : 18, x, roi, scales, sizes));
}

static void upsample_step(wide *w) {
    omma_value *x = map_of(w, 2);
    const float s[] = {1, 1, (float)real(1, 2), (float)real(1, 2)};
    wide_text(w, "mode", ONE_OF("nearest", "linear"));
    if (coin()) {
        wide_reals(w, "scales", 4, s);
        push(w, put(w, "Upsample", 7, x));
    } else push(w, put(w, "Upsample", 9, x, constant(w, OMMA_F32, DIMS(4), s)));
}

/* A grid: constant, computed, or an affine map's. */
static inline omma_value *grid_of(wide *w, int64_t n, int64_t h, int64_t v) {
    if (w->positive || rare()) return floats(w, -1.2, 1.2, DIMS(n, h, v, 2));
    if (coin()) return tame(w, shaped(w, DIMS(n, h, v, 2)));
    omma_value *theta = tame(w, shaped(w, DIMS(n, 2, 3)));
    wide_int(w, "align_corners", roll(2));
    return put(w, "AffineGrid", 20, theta, list(w, 4, (int64_t[]){n, 1, h, v}));
}

/* The same in three dimensions. */
static inline omma_value *grid_of_3d(wide *w, int64_t n, int64_t d) {
    if (w->positive || rare()) return floats(w, -1.2, 1.2, DIMS(n, d, 2, 3, 3));
    if (coin()) return tame(w, shaped(w, DIMS(n, d, 2, 3, 3)));
    omma_value *theta = tame(w, shaped(w, DIMS(n, 3, 4)));
    wide_int(w, "align_corners", roll(2));
    return put(w, "AffineGrid", 20, theta, list(w, 5, (int64_t[]){n, 1, d, 2, 3}));
}

static void grid_step(wide *w) {
    omma_value *x = rare() ? ranked(w, 5) : map_of(w, 2);
    if (!x) return;
    omma_value *grid = x->rank == 5 ? grid_of_3d(w, x->dims[0], between(1, 3))
                                    : grid_of(w, x->dims[0], between(1, 5), between(1, 5));
    if (coin())
        wide_text(w, "mode", w->positive ? "nearest" : ONE_OF("linear", "nearest", "cubic"));
    wide_text(w, "padding_mode", VARIANT("zeros", "border", "reflection"));
    wide_int(w, "align_corners", roll(2));
    push(w, put(w, "GridSample", 20, x, grid));
}

static void roi_step(wide *w) {
    omma_value *x = map_of(w, 2);
    const int64_t n = between(1, 3);
    omma_value *rois = floats(w, 0, 6, DIMS(n, 4));
    if (!w->positive && coin())
        rois = put(w, "Mul", 13, un(w, "Abs", tame(w, shaped(w, DIMS(n, 4)))), number(w, 8));
    omma_value *batch = !w->positive && coin() ? index_of(w, shaped(w, 1, &n), x->dims[0], OMMA_I64)
                                               : list(w, (int)n, (int64_t[]){0, 0, 0});
    wide_int(w, "output_height", between(1, 3)), wide_int(w, "output_width", between(1, 3));
    wide_int(w, "sampling_ratio", roll(3));
    if (!w->positive && coin()) wide_text(w, "mode", "max");
    if (coin()) wide_real(w, "spatial_scale", 0.7);
    push(w, put(w, "RoiAlign", coin() ? 10 : 16, x, rois, batch));
}

static void deform_step(wide *w) {
    omma_value *x = map_of(w, 3);
    const int64_t c = x->dims[1], k = between(1, 3), g = c % 2 == 0 && rare() ? 2 : 1;
    const int64_t stride = rare() ? 2 : 1, pad = coin() ? 0 : roll(3), m = between(1, 3);
    const int64_t h = (x->dims[2] + pad - k) / stride + 1, v = (x->dims[3] + pad - k) / stride + 1;
    if (x->dims[2] + pad < k || x->dims[3] + pad < k || c > 16) return;
    const int64_t dims[] = {x->dims[0], g * 2 * k * k, h, v},
                  masks[] = {x->dims[0], g * k * k, h, v};
    omma_value *offset = rare() ? floats(w, -1.5, 1.5, 4, dims) : shaped(w, 4, dims);
    omma_value *mask = coin() ? NULL : shaped(w, 4, masks);
    omma_value *weight = weights(w, c * k * k, DIMS(m, c, k, k));
    if (g > 1) wide_int(w, "offset_group", g);
    wide_ints(w, "strides", 2, (int64_t[]){stride, stride});
    wide_ints(w, "pads", 4, (int64_t[]){pad, 0, 0, pad});
    push(w, put(w, "DeformConv", 19, x, weight, offset, coin() ? NULL : floats(w, -1, 1, 1, &m),
                mask));
}

/* --- losses
 * ------------------------------------------------------------------------------------------ */

static void loss_step(wide *w) {
    const bool soft = variant(w, 2), flat = coin();
    const int64_t c = between(2, 5), d[] = {between(1, 3), c, between(1, 4)}, t[] = {d[0], d[2]};
    omma_value *x = flat ? shaped(w, 2, d) : shaped(w, 3, d);
    omma_value *labels = places64(w, c, flat ? 1 : 2, t);
    if (labels && labels->data)
        labels = index_of(w, floats(w, -1, 1, flat ? 1 : 2, t), c, OMMA_I64);
    omma_value *in[] = {x, labels, coin() ? NULL : floats(w, 0.5, 1.5, 1, &c)};
    wide_text(w, "reduction", ONE_OF("none", "sum", "mean"));
    if (rare()) wide_int(w, "ignore_index", 1);
    omma_node *n = put_node(w, soft ? "SoftmaxCrossEntropyLoss" : "NegativeLogLikelihoodLoss", 13,
                            3, in, soft ? 1 + coin() : 1);
    push_all(w, n);
}

#endif
