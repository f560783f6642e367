/* mean_variance.c - MeanVarianceNormalization: over the axes of `axes`, together,
 *
 *     y = (x - mean) / (sqrt(var) + 1e-9)
 *
 *   x: any shape of floats; axes: default 0, 2, 3
 *
 * The variance is of the mean (biased), in a second pass about it, in double.
 * Source: ONNX MeanVarianceNormalization 1, 9, 13. */
#include <math.h>

#include "base/checked.h"
#include "base/pool.h"
#include "op/element.h"
#include "op/field.h"
#include "op/norm_grad.h"

/* Two walks over x: along the axes that stay apart, and along those taken together. */
typedef struct moments {
    int n_apart, n_along;
    int64_t apart[OMMA_MAX_RANK], apart_stride[OMMA_MAX_RANK];
    int64_t along[OMMA_MAX_RANK], along_stride[OMMA_MAX_RANK];
    int64_t groups, each;
    unsigned axes; /* taken together, a bit each */
    bool divides;
} moments;

/* Opset 1, where it was an experiment: each image apart, its channels together or not. */
static int old_axes(const omma_node *n, int64_t *axes) {
    const bool across = omma_node_int(n, "across_channels", 0) != 0;
    int count = 0;
    for (int d = across ? 1 : 2; d < n->in[0]->rank; d++) axes[count++] = d;
    return count;
}

static omma_status infer(omma_build *b, omma_node *n) {
    OMMA_TRY(omma_want(b, n, 0, OMMA_IN_FLOAT));
    const omma_value *x = n->in[0];
    int64_t axes[OMMA_MAX_RANK] = {0, 2, 3}, strides[OMMA_MAX_RANK];
    int count, axis;
    unsigned mask = 0;
    OMMA_TRY(omma_ints_attr(b, n, "axes", axes, OMMA_MAX_RANK, &count));
    if (count < 0) count = n->opset < 9 ? old_axes(n, axes) : 3;
    for (int i = 0; i < count; i++) {
        OMMA_TRY(omma_axis(b, n, axes[i], x->rank, &axis));
        mask |= 1u << axis;
    }
    moments *m = omma_param(b, n, sizeof *m);
    if (!m) return omma_nomem(b, n);
    omma_strides(x->dims, x->rank, strides);
    m->axes = mask;
    m->divides = n->opset >= 9 || omma_node_int(n, "normalize_variance", 1);
    for (int d = 0; d < x->rank; d++) {
        if (mask >> d & 1)
            m->along[m->n_along] = x->dims[d], m->along_stride[m->n_along++] = strides[d];
        else m->apart[m->n_apart] = x->dims[d], m->apart_stride[m->n_apart++] = strides[d];
    }
    if (!omma_dims_count(m->apart, m->n_apart, &m->groups) ||
        !omma_dims_count(m->along, m->n_along, &m->each))
        return omma_bad(b, n, "the size overflows");
    return omma_out_like(b, n, 0, x);
}

/* Where number i of a walk is. */
static int64_t locate(int n, const int64_t *dims, const int64_t *stride, int64_t i) {
    int64_t at = 0;
    for (int d = n - 1; d >= 0; d--) {
        at += i % dims[d] * stride[d];
        i /= dims[d];
    }
    return at;
}

/* Items are groups. */
static void groups(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const omma_node *n = arg;
    const moments *m = n->param;
    const omma_value *x = n->in[0], *y = n->out[0];
    for (int64_t g = begin; g < end; g++) {
        const int64_t from = locate(m->n_apart, m->apart, m->apart_stride, g);
        double sum = 0, square = 0;
        for (int64_t i = 0; i < m->each; i++)
            sum += omma_get_number(x->dtype, x->mem,
                                   from + locate(m->n_along, m->along, m->along_stride, i));
        const double mean = sum / (double)m->each;
        for (int64_t i = 0; i < m->each; i++) {
            const double d =
                omma_get_number(x->dtype, x->mem,
                                from + locate(m->n_along, m->along, m->along_stride, i)) -
                mean;
            square += d * d;
        }
        const double by = m->divides ? 1 / (sqrt(square / (double)m->each) + 1e-9) : 1;
        for (int64_t i = 0; i < m->each; i++) {
            const int64_t at = from + locate(m->n_along, m->along, m->along_stride, i);
            omma_set_number(y->dtype, y->mem, at,
                            (omma_get_number(x->dtype, x->mem, at) - mean) * by);
        }
    }
}

static omma_status run(const omma_exec *x, const omma_node *n) {
    const moments *m = n->param;
    if (omma_wanted(n, 0) && m->each)
        omma_parallel(x->threads, m->groups, 1 + OMMA_GRAIN / 4 / m->each, groups,
                      (void *)(uintptr_t)n);
    return OMMA_OK;
}

/* With s = sqrt(var) and y = off / (s + 1e-9):
 *     dx = (dy - mean(dy) - off / s mean(dy y)) / (s + 1e-9)          off / s = 0 where s is */
static omma_status grad(omma_grad *g, const omma_node *n) {
    const moments *p = n->param;
    omma_maker *m = &g->m;
    omma_value *x = omma_norm_cast(m, n->in[0], n->in[0]),
               *dy = omma_norm_cast(m, omma_grad_out(g, n, 0), n->in[0]);
    omma_value *rest = omma_make_2(m, "Sub", dy, omma_norm_mean(m, dy, p->axes));
    if (!p->divides) return omma_grad_add(g, n, 0, rest);
    omma_value *off = omma_make_2(m, "Sub", x, omma_norm_mean(m, x, p->axes));
    omma_value *s = omma_make_1(m, "Sqrt", omma_norm_mean_square(m, off, p->axes));
    omma_value *by = omma_make_2(m, "Add", s, omma_make_number(m, x, 1e-9));
    omma_value *along = omma_norm_mean(m, omma_make_2(m, "Mul", dy, off), p->axes);
    omma_value *none = omma_make_number(m, x, 0), *flat = omma_make_2(m, "Equal", s, none);
    along = omma_make_2(m, "Div", along, omma_make_2(m, "Mul", by, s));
    along = omma_make_3(m, "Where", flat, none, along);
    rest = omma_make_2(m, "Sub", rest, omma_make_2(m, "Mul", off, along));
    return omma_grad_add(g, n, 0, omma_make_2(m, "Div", rest, by));
}

static omma_status field(omma_field *f, const omma_node *n) {
    const moments *p = n->param;
    (void)omma_field_broadcast(f, 0, 0, OMMA_PATH_VALUE);
    omma_relation *r = omma_field_relate(f, 0, 0);
    if (!r) return f->status;
    r->path = OMMA_PATH_STATISTIC;
    for (int d = 0; d < r->in_rank; d++)
        if (!(p->axes >> d & 1)) omma_relation_same(r, d, d);
    return f->status;
}

static double flops(const omma_node *n) { return 6 * (double)omma_value_count(n->in[0]); }

const omma_op omma_op_MeanVarianceNormalization = {.name = "MeanVarianceNormalization",
                                                   .min_in = 1,
                                                   .max_in = 1,
                                                   .min_out = 1,
                                                   .max_out = 1,
                                                   .infer = infer,
                                                   .run = run,
                                                   .flops = flops,
                                                   .grad = grad,
                                                   .field = field};
