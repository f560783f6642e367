/* pooling.h - what the rooms of pooling share: windows cut to what lies in the input, Lp's powers,
 * and the operators that carry cotangents back.
 *
 * A window's taps beyond the input count as nothing; only those inside are walked, since a kernel
 * may be far larger than the input. */
#ifndef OMMA_OP_POOLING_H
#define OMMA_OP_POOLING_H

#include <math.h>

#include "op/grad.h"
#include "op/window.h"

/* The taps of one window along one axis that lie in the input: the first of them reads input
 * `first`; count is the axis' share of an average's divisor: the taps, or with include_pad those in
 * the input and its declared padding. */
typedef struct omma_span {
    int64_t first, taps, count;
} omma_span;

omma_span omma_span_at(const omma_window *w, bool include_pad, int d, int64_t o);

/* The same along all axes. */
typedef struct omma_box {
    omma_span axis[OMMA_MAX_SPATIAL];
    int64_t len[OMMA_MAX_SPATIAL], taps;
    double count;
} omma_box;

omma_box omma_box_at(const omma_window *w, bool include_pad, const int64_t *at);

/* Where tap `tap` of the box (of box->taps) is in the plane. */
int64_t omma_box_offset(const omma_window *w, const omma_box *box, int64_t tap);

/* Read kernel_shape and the rest of the attributes of a pooling of x: [N, C, spatial...]. */
omma_status omma_pool_window(omma_build *b, const omma_node *n, const omma_value *x,
                             omma_window *w);

/* --- Lp ------------------------------------------------------------------------------------ */

/* p: a float in opset 1, an integer since. */
static inline double omma_pool_power(const omma_node *n) {
    const omma_attr *a = omma_node_attr(n, "p");
    return !a ? 2 : a->kind == OMMA_ATTR_INT ? (double)a->i : (double)a->f;
}

static inline omma_status omma_pool_check_power(omma_build *b, const omma_node *n) {
    const double p = omma_pool_power(n);
    return p > 0 && isfinite(p) ? OMMA_OK : omma_bad(b, n, "p is %g", p);
}

/* |v|^p and s^(1/p), the usual p without pow. */
static inline double omma_raised(double v, double p) {
    return p == 2 ? v * v : p == 1 ? fabs(v) : pow(fabs(v), p);
}
static inline double omma_root(double s, double p) {
    return p == 2 ? sqrt(s) : p == 1 ? s : pow(s, 1 / p);
}

/* y = (sum |x|^p)^(1/p) has the derivatives y^(1-p) |x|^(p-1) sign(x), 0 where y is: the cotangent
 * dy times the first factor, and s, which is that spread to x's shape, times the rest. */
omma_value *omma_lp_grad_of_root(omma_maker *m, omma_value *dy, omma_value *y, double p);
omma_value *omma_lp_grad_of_powers(omma_maker *m, omma_value *s, omma_value *x, double p);

/* --- the way back (pooling_back.c) ----------------------------------------------------------- */

/* Inputs x, y = MaxPool(x), dy; with the attributes of the MaxPool. Its output, like x: each dy is
 * added to the first of its window's numbers, in row-major order, that equals y. */
extern const omma_op omma_op_MaxPoolGrad;

/* Input dy: [N, C, out...], with the attributes of an AveragePool, and OMMA_SPREAD_IMAGE: the
 * spatial dims of the output, [N, C, image...]. Each dy is added to all of its window's places, and
 * with OMMA_SPREAD_MEAN 1 divided by what the average was. */
extern const omma_op omma_op_PoolSpread;
#define OMMA_SPREAD_IMAGE "omma.image"
#define OMMA_SPREAD_MEAN "omma.mean"

/* MaxPoolGrad, or PoolSpread to the dims of x, with these attributes; the result is like x. */
omma_value *omma_make_max_back(omma_maker *m, omma_value *x, omma_value *y, omma_value *dy,
                               const omma_attr *attrs, int n_attrs);
omma_value *omma_make_spread_back(omma_maker *m, omma_value *dy, const omma_value *x, bool mean,
                                  const omma_attr *attrs, int n_attrs);

#endif
