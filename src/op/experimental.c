/* experimental.c - operators that were there up to opset 9 as experiments and that files of that
 * time hold: Affine, ParametricSoftplus, ScaledTanh, ImageScaler, Crop.
 *
 *     Affine        alpha x + beta            ParametricSoftplus   alpha log(1 + exp(beta x))
 *     ScaledTanh    alpha tanh(beta x)        ImageScaler          scale x + bias[c]
 *     Crop          x: [N, C, H, W] without border = (left, top, right, bottom), or, with scale =
 *                   (height, width), so much of it from (left, top) on
 *
 * x: floats, ImageScaler's [N, C, ...]; Crop's any. Source: ONNX 1.3, experimental operators. */
#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "op/element.h"
#include "op/field.h"
#include "op/grad.h"
#include "op/move.h"

typedef struct job {
    const omma_node *n;
    double a, b;       /* alpha and beta, or scale */
    const float *bias; /* ImageScaler's */
    int64_t plane, c;  /* numbers of a channel, channels */
    double (*fn)(const struct job *j, double x, int64_t i);
} job;

static double Affine_number(const job *j, double x, int64_t i) {
    (void)i;
    return j->a * x + j->b;
}

static double ParametricSoftplus_number(const job *j, double x, int64_t i) {
    (void)i;
    x *= j->b;
    return x != x ? x : j->a * (fmax(x, 0) + log1p(exp(-fabs(x))));
}

static double ScaledTanh_number(const job *j, double x, int64_t i) {
    (void)i;
    return j->a * tanh(j->b * x);
}

static double ImageScaler_number(const job *j, double x, int64_t i) {
    return j->a * x + (j->bias ? (double)j->bias[i / j->plane % j->c] : 0);
}

static omma_status number_infer(omma_build *b, omma_node *n) {
    OMMA_TRY(omma_want(b, n, 0, OMMA_IN_FLOAT));
    return omma_out_like(b, n, 0, n->in[0]);
}

static omma_status ImageScaler_infer(omma_build *b, omma_node *n) {
    const omma_attr *bias = omma_node_attr(n, "bias");
    OMMA_TRY(number_infer(b, n));
    if (n->in[0]->rank < 2) return omma_bad(b, n, "an input [N, C, ...] is needed");
    if (bias && (bias->kind != OMMA_ATTR_FLOATS || bias->count != n->in[0]->dims[1]))
        return omma_bad(b, n, "bias must hold a number for each channel");
    return OMMA_OK;
}

static void part(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const omma_value *x = j->n->in[0], *y = j->n->out[0];
    for (int64_t i = begin; i < end; i++)
        omma_set_number(y->dtype, y->mem, i, j->fn(j, omma_get_number(x->dtype, x->mem, i), i));
}

static omma_status number_run(const omma_exec *x, job j) {
    const omma_value *v = j.n->in[0];
    if (!omma_wanted(j.n, 0) || !omma_value_count(v)) return OMMA_OK;
    if (j.bias) j.c = v->dims[1], j.plane = omma_value_count(v) / v->dims[0] / j.c;
    omma_parallel(x->threads, omma_value_count(v), OMMA_GRAIN / 4, part, &j);
    return OMMA_OK;
}

static double setting(const omma_node *n, const char *name, float fallback) {
    return (double)omma_node_float(n, name, fallback);
}

static omma_status Affine_run(const omma_exec *x, const omma_node *n) {
    return number_run(x, (job){.n = n,
                               .a = setting(n, "alpha", 1),
                               .b = setting(n, "beta", 0),
                               .fn = Affine_number});
}
static omma_status ParametricSoftplus_run(const omma_exec *x, const omma_node *n) {
    return number_run(x, (job){.n = n,
                               .a = setting(n, "alpha", 1),
                               .b = setting(n, "beta", 1),
                               .fn = ParametricSoftplus_number});
}
static omma_status ScaledTanh_run(const omma_exec *x, const omma_node *n) {
    return number_run(x, (job){.n = n,
                               .a = setting(n, "alpha", 1),
                               .b = setting(n, "beta", 1),
                               .fn = ScaledTanh_number});
}
static omma_status ImageScaler_run(const omma_exec *x, const omma_node *n) {
    const omma_attr *bias = omma_node_attr(n, "bias");
    return number_run(x, (job){.n = n,
                               .a = setting(n, "scale", 1),
                               .bias = bias ? bias->floats : NULL,
                               .fn = ImageScaler_number});
}

/* --- gradients ------------------------------------------------------------------ */

static omma_status scaled_grad(omma_grad *g, const omma_node *n, const char *scale) {
    return omma_grad_add(g, n, 0,
                         omma_make_scaled(&g->m, omma_grad_out(g, n, 0), setting(n, scale, 1)));
}

static omma_status Affine_grad(omma_grad *g, const omma_node *n) {
    return scaled_grad(g, n, "alpha");
}
static omma_status ImageScaler_grad(omma_grad *g, const omma_node *n) {
    return scaled_grad(g, n, "scale");
}

static omma_status ParametricSoftplus_grad(omma_grad *g, const omma_node *n) {
    omma_maker *m = &g->m;
    const double a = setting(n, "alpha", 1), b = setting(n, "beta", 1);
    omma_value *s = omma_make_1(m, "Sigmoid", omma_make_scaled(m, n->in[0], b));
    omma_value *dy = omma_make_scaled(m, omma_grad_out(g, n, 0), a * b);
    return omma_grad_add(g, n, 0, omma_make_2(m, "Mul", dy, s));
}

/* a b (1 - t^2) with t = tanh(b x). */
static omma_status ScaledTanh_grad(omma_grad *g, const omma_node *n) {
    omma_maker *m = &g->m;
    const double a = setting(n, "alpha", 1), b = setting(n, "beta", 1);
    omma_value *t = omma_make_1(m, "Tanh", omma_make_scaled(m, n->in[0], b));
    omma_value *slope =
        omma_make_shifted(m, omma_make_scaled(m, omma_make_squared(m, t), -a * b), a * b);
    return omma_grad_add(g, n, 0, omma_make_2(m, "Mul", omma_grad_out(g, n, 0), slope));
}

/* --- Crop --------------------------------------------------------------------- */

static omma_status Crop_infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0];
    int64_t border[4] = {0}, scale[2], dims[4], strides[4];
    int borders, scales;
    OMMA_TRY(omma_ints_attr(b, n, "border", border, 4, &borders));
    OMMA_TRY(omma_ints_attr(b, n, "scale", scale, 2, &scales));
    if (x->rank != 4 || borders != 4 || (scales >= 0 && scales != 2))
        return omma_bad(b, n, "an image [N, C, H, W], four borders and no or two sizes are needed");
    dims[0] = x->dims[0], dims[1] = x->dims[1];
    for (int d = 2; d < 4; d++) {
        const int64_t before = border[3 - d], behind = border[5 - d], len = x->dims[d];
        const bool fits = before >= 0 && before <= len && behind >= 0 && behind <= len - before;
        dims[d] = scales < 0 && fits ? len - before - behind : scales == 2 ? scale[d - 2] : -1;
        if (before < 0 || before > len || dims[d] < 0 || dims[d] > len - before)
            return omma_bad(b, n, "axis %d is only %lld long", d, (long long)len);
    }
    OMMA_TRY(omma_out(b, n, 0, x->dtype, 4, dims));
    if (!omma_wanted(n, 0)) return OMMA_OK; /* its size was not checked */
    omma_move *m = omma_param(b, n, sizeof *m);
    if (!m) return omma_nomem(b, n);
    m->size = omma_dtype_size(x->dtype);
    m->rank = 4;
    omma_strides(x->dims, 4, strides);
    omma_strides(dims, 4, m->dst);
    memcpy(m->dims, dims, sizeof dims);
    memcpy(m->src, strides, sizeof strides);
    if (omma_value_count(n->out[0])) m->src_at = border[1] * strides[2] + border[0];
    omma_move_ready(m);
    return OMMA_OK;
}

static omma_status Crop_run(const omma_exec *x, const omma_node *n) {
    if (omma_wanted(n, 0)) omma_move_run(x, n->param, n->in[0]->mem, n->out[0]->mem);
    return OMMA_OK;
}

/* What was cut off gets zeros. */
static omma_status Crop_grad(omma_grad *g, const omma_node *n) {
    const omma_value *x = n->in[0], *y = n->out[0];
    int64_t border[4], pads[8] = {0};
    int count;
    OMMA_TRY(omma_ints_attr(g->m.b, n, "border", border, 4, &count));
    for (int d = 2; d < 4; d++) {
        pads[d] = border[3 - d];
        pads[4 + d] = x->dims[d] - y->dims[d] - pads[d];
    }
    return omma_grad_add(
        g, n, 0, omma_make_2(&g->m, "Pad", omma_grad_out(g, n, 0), omma_make_ints(&g->m, pads, 8)));
}

static omma_status Crop_field(omma_field *f, const omma_node *n) {
    int64_t border[4];
    int count;
    OMMA_TRY(omma_ints_attr(f->b, n, "border", border, 4, &count));
    omma_relation *r = omma_field_relate(f, 0, 0);
    for (int d = 0; r && d < 4; d++) r->axis[d] = omma_map_moved(d, d < 2 ? 0 : border[3 - d], 1);
    return f->status;
}

#define ROW(Name, infer_, field_, flags_)                \
    const omma_op omma_op_##Name = {.name = #Name,       \
                                    .min_in = 1,         \
                                    .max_in = 1,         \
                                    .min_out = 1,        \
                                    .max_out = 1,        \
                                    .flags = flags_,     \
                                    .infer = infer_,     \
                                    .run = Name##_run,   \
                                    .grad = Name##_grad, \
                                    .field = field_};
ROW(Affine, number_infer, omma_field_elementwise, OMMA_OP_ELEMENTWISE)
ROW(ParametricSoftplus, number_infer, omma_field_elementwise, OMMA_OP_ELEMENTWISE)
ROW(ScaledTanh, number_infer, omma_field_elementwise, OMMA_OP_ELEMENTWISE)
ROW(ImageScaler, ImageScaler_infer, omma_field_elementwise, OMMA_OP_ELEMENTWISE)
ROW(Crop, Crop_infer, Crop_field, 0)
