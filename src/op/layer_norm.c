/* layer_norm.c - LayerNormalization: x without its mean and with variance 1, over the axes from
 * `axis` on.
 *
 *     y = (x - mean) * inv * scale + bias          inv = 1 / sqrt(var + epsilon)
 *
 *   x: any shape            scale, bias: any shape that broadcasts to x; bias may be left out
 *   mean, inv: outputs 1 and 2, x's shape with 1 for the axes, in the type stash_type
 *
 * The variance is of the mean (biased), taken in a second pass about the mean. Sums are taken by
 * blocks and added up in double, so a row's numbers depend on its length only. float32 and rows
 * of bfloat16 run on kernels, other floats in double.
 * Source: ONNX LayerNormalization 17; Ba, Kiros, Hinton, Layer Normalization. */
#include "base/checked.h"
#include "base/pool.h"
#include "op/field.h"
#include "op/norm_grad.h"
#include "op/norm_row.h"

enum { HALF_ROW = 4096 };

static double at(const omma_value *v, int64_t i) { return omma_get_number(v->dtype, v->mem, i); }

typedef struct layer {
    int64_t rows, len;
    double eps;
    bool plain; /* float32 and scale (and bias) hold one number for each of a row */
    bool half;  /* bfloat16, scale and bias such rows of float32 */
    int64_t stride[2][OMMA_MAX_RANK]; /* of scale and bias in x's dims, 0 where broadcast */
} layer;

/* Scale or bias as seen from x; *plain is cleared unless it is laid out as a row. */
static omma_status want_spread(omma_build *b, const omma_node *n, int i, int64_t len,
                               int64_t *stride, bool *plain) {
    const omma_value *x = n->in[0], *v = n->in[i];
    const int shift = x->rank - v->rank;
    int64_t own[OMMA_MAX_RANK], row[OMMA_MAX_RANK], inner = 1;
    if (shift < 0) return omma_bad(b, n, "input '%s' does not broadcast to '%s'", v->name, x->name);
    omma_strides(v->dims, v->rank, own);
    omma_strides(x->dims, x->rank, row);
    for (int d = x->rank - 1; d >= 0; d--) {
        const int64_t dim = d < shift ? 1 : v->dims[d - shift];
        if (dim != 1 && dim != x->dims[d])
            return omma_bad(b, n, "input '%s' does not broadcast to '%s' along axis %d", v->name,
                            x->name, d);
        stride[d] = dim == 1 ? 0 : own[d - shift];
        if (inner < len ? dim != x->dims[d] : dim != 1) *plain = false;
        inner *= x->dims[d];
    }
    return OMMA_OK;
}

static omma_status infer(omma_build *b, omma_node *n) {
    OMMA_TRY(omma_want(b, n, 0, OMMA_IN_FLOAT));
    OMMA_TRY(omma_want(b, n, 1, OMMA_IN_FLOAT));
    if (omma_in(n, 2)) OMMA_TRY(omma_want(b, n, 2, OMMA_IN_FLOAT));
    const omma_value *x = n->in[0];
    int axis = 0;
    OMMA_TRY(omma_axis(b, n, omma_node_int(n, "axis", -1), x->rank, &axis));
    const int64_t stash = omma_node_int(n, "stash_type", OMMA_F32);
    if (stash <= 0 || stash >= 32 || !omma_type_in((omma_dtype)stash, OMMA_IN_FLOAT))
        return omma_unsupported(b, n, "stash_type %lld", (long long)stash);
    layer *l = omma_param(b, n, sizeof *l);
    if (!l) return omma_nomem(b, n);
    *l = (layer){.rows = 1,
                 .len = 1,
                 .eps = (double)omma_node_float(n, "epsilon", 1e-5f),
                 .plain = x->dtype == OMMA_F32};
    int64_t dims[OMMA_MAX_RANK];
    bool rows = true;
    for (int d = 0; d < x->rank; d++) {
        dims[d] = d < axis ? x->dims[d] : 1;
        *(d < axis ? &l->rows : &l->len) *= x->dims[d];
    }
    for (int i = 1; i <= 2; i++)
        if (omma_in(n, i)) {
            OMMA_TRY(want_spread(b, n, i, l->len, l->stride[i - 1], &rows));
            if (!rows) l->plain = false;
            if (n->in[i]->dtype != OMMA_F32) l->plain = rows = false;
        }
    l->half = rows && x->dtype == OMMA_BF16 && l->len <= HALF_ROW;
    OMMA_TRY(omma_out(b, n, 1, (omma_dtype)stash, x->rank, dims));
    OMMA_TRY(omma_out(b, n, 2, (omma_dtype)stash, x->rank, dims));
    return omma_out_like(b, n, 0, x);
}

/* y = x * scale + bias, row by row of len numbers from number i, in place; any shape of scale. */
static void spread_row(const omma_node *n, const layer *l, int64_t i, omma_stats s) {
    const omma_value *x = n->in[0], *scale = n->in[1], *bias = omma_in(n, 2);
    omma_value *y = n->out[0];
    for (int64_t k = i; k < i + l->len; k++) {
        int64_t rest = k, p = 0, q = 0;
        for (int d = x->rank - 1; d >= 0; d--) {
            p += rest % x->dims[d] * l->stride[0][d];
            q += rest % x->dims[d] * l->stride[1][d];
            rest /= x->dims[d];
        }
        omma_set_number(y->dtype, y->mem, k,
                        (at(x, k) - s.mean) * s.inv * at(scale, p) + (bias ? at(bias, q) : 0));
    }
}

typedef struct job {
    const omma_kernels *kern;
    const omma_node *n;
} job;

/* Rows of bfloat16, some at a time made float32. */
static void half_rows(const job *j, const layer *l, int64_t begin, int64_t end) {
    const omma_node *n = j->n;
    const int64_t most = HALF_ROW / l->len;
    const uint16_t *x = n->in[0]->mem;
    uint16_t *y = n->out[0]->mem;
    float t[HALF_ROW];
    for (int64_t i = begin, rows; i < end; i += rows) {
        rows = end - i < most ? end - i : most;
        j->kern->bf16_widen(rows * l->len, x + i * l->len, t);
        j->kern->layer_norm(rows, l->len, t, n->in[1]->mem, omma_in(n, 2) ? n->in[2]->mem : NULL,
                            l->eps, t);
        j->kern->bf16_narrow(rows * l->len, t, y + i * l->len);
    }
}

static void rows_of(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const omma_node *n = j->n;
    const layer *l = n->param;
    omma_value *y = omma_wanted(n, 0), *mean = omma_wanted(n, 1), *inv = omma_wanted(n, 2);
    if (y && l->plain && l->len && !mean && !inv) {
        j->kern->layer_norm(end - begin, l->len, (const float *)n->in[0]->mem + begin * l->len,
                            n->in[1]->mem, omma_in(n, 2) ? n->in[2]->mem : NULL, l->eps,
                            (float *)y->mem + begin * l->len);
        return;
    }
    if (y && l->half && l->len && !mean && !inv) {
        half_rows(j, l, begin, end);
        return;
    }
    for (int64_t i = begin; i < end; i++) {
        const omma_stats s = omma_norm_stats(j->kern, n->in[0], i * l->len, l->len, l->eps);
        if (mean) omma_set_number(mean->dtype, mean->mem, i, s.mean);
        if (inv) omma_set_number(inv->dtype, inv->mem, i, s.inv);
        if (!y) continue;
        if (!l->plain) {
            spread_row(n, l, i * l->len, s);
            continue;
        }
        float *row = (float *)y->mem + i * l->len;
        omma_norm_row(j->kern, n->in[0], y, i * l->len, l->len, s, 1, 0);
        if (omma_in(n, 2)) j->kern->affine(l->len, row, n->in[1]->mem, n->in[2]->mem, 1, row);
        else j->kern->binary[OMMA_BIN_MUL](l->len, row, 1, n->in[1]->mem, 1, row);
    }
}

static omma_status run(const omma_exec *x, const omma_node *n) {
    const layer *l = n->param;
    job j = {x->kern, n};
    omma_parallel(x->threads, l->rows, l->len >= OMMA_GRAIN ? 1 : OMMA_GRAIN / (l->len + 1),
                  rows_of, &j);
    return OMMA_OK;
}

static int axis_of(const omma_node *n) {
    const int64_t axis = omma_node_int(n, "axis", -1);
    return (int)(axis < 0 ? axis + n->in[0]->rank : axis);
}

/* The operator itself without scale and bias: outputs hat = (x - mean) inv, mean and inv. */
static omma_node *bare(omma_maker *m, const omma_node *n) {
    omma_value *x = omma_norm_cast(m, n->in[0], n->in[0]);
    const int axis = axis_of(n);
    if (!x) return NULL;
    omma_value *dims = omma_make_ints(m, x->dims + axis, x->rank - axis);
    omma_value *in[] = {x, omma_make_2(m, "Expand", omma_make_number(m, x, 1), dims)};
    const omma_attr attrs[] = {OMMA_A_INT("axis", axis), OMMA_A_INT("stash_type", x->dtype),
                               OMMA_A_FLOAT("epsilon", omma_node_float(n, "epsilon", 1e-5f))};
    return omma_make_node(m, n->op, 17, in, 2, attrs, 3, 3);
}

/* dx, where d is the cotangent of hat; dinv = -inv^3 / 2 times that of the variance. */
static omma_value *back(omma_grad *g, const omma_node *n, omma_value *d, omma_value *hat,
                        omma_value *inv) {
    omma_maker *m = &g->m;
    const omma_value *x = n->in[0];
    const unsigned axes = ((1u << x->rank) - 1) & ~((1u << axis_of(n)) - 1);
    const double each = 1 / omma_norm_count(x, axes);
    omma_value *dmean = omma_grad_out(g, n, 1), *dinv = omma_grad_out(g, n, 2);
    omma_value *level = omma_make_2(m, "Mul", omma_norm_mean(m, d, axes), inv);
    omma_value *along = omma_norm_mean(m, omma_make_2(m, "Mul", d, hat), axes);
    along = omma_make_2(m, "Mul", along, inv);
    if (dmean) {
        dmean = omma_make_scaled(m, omma_norm_cast(m, dmean, x), each);
        level = omma_make_2(m, "Sub", level, dmean);
    }
    if (dinv) {
        dinv = omma_make_scaled(m, omma_norm_cast(m, dinv, x), each);
        dinv = omma_make_2(m, "Mul", dinv, omma_make_2(m, "Mul", inv, inv));
        along = omma_make_2(m, "Add", along, dinv);
    }
    omma_value *rest = omma_make_2(m, "Add", omma_make_2(m, "Mul", hat, along), level);
    return omma_make_2(m, "Sub", omma_make_2(m, "Mul", d, inv), rest);
}

static omma_status grad(omma_grad *g, const omma_node *n) {
    omma_maker *m = &g->m;
    omma_value *x = n->in[0], *c = omma_grad_out(g, n, 0);
    omma_value *dy = omma_norm_cast(m, c ? c : omma_make_full(m, x, 0), x);
    if (omma_grad_wants(g, n, 2))
        OMMA_TRY(omma_grad_add(g, n, 2, omma_make_fitted(m, dy, n->in[2])));
    if (!omma_grad_wants(g, n, 0) && !omma_grad_wants(g, n, 1)) return m->status;
    const omma_node *h = bare(m, n);
    if (!h) return m->status;
    if (omma_grad_wants(g, n, 1)) {
        omma_value *part = omma_make_2(m, "Mul", dy, h->out[0]);
        OMMA_TRY(omma_grad_add(g, n, 1, omma_make_fitted(m, part, n->in[1])));
    }
    if (!omma_grad_wants(g, n, 0)) return m->status;
    omma_value *d = omma_make_2(m, "Mul", dy, omma_norm_cast(m, n->in[1], x));
    return omma_grad_add(g, n, 0, back(g, n, d, h->out[0], h->out[2]));
}

static omma_status field(omma_field *f, const omma_node *n) {
    (void)omma_field_broadcast(f, 0, 0, OMMA_PATH_VALUE);
    for (int k = 0; k < n->n_out; k++) {
        omma_relation *r = omma_field_relate(f, k, 0);
        if (!r) continue;
        r->path = OMMA_PATH_STATISTIC;
        for (int d = 0; d < axis_of(n); d++) omma_relation_same(r, d, d);
    }
    for (int i = 1; i < n->n_in; i++) (void)omma_field_broadcast(f, 0, i, OMMA_PATH_VALUE);
    return f->status;
}

static double flops(const omma_node *n) { return 8 * (double)omma_value_count(n->in[0]); }

const omma_op omma_op_LayerNormalization = {.name = "LayerNormalization",
                                            .min_in = 2,
                                            .max_in = 3,
                                            .min_out = 1,
                                            .max_out = 3,
                                            .infer = infer,
                                            .run = run,
                                            .flops = flops,
                                            .grad = grad,
                                            .field = field};
