/* causal_conv.c - CausalConvWithState: every channel slid over by a kernel of its own that sees
 * the present and the past only.
 *
 *   x: [B, C, L]   w: [C, 1, K]   bias: [C], optional   past: [B, C, K-1], zeros when left out
 *   y: [B, C, L]   present: [B, C, K-1], the last numbers of past and x, joined
 *
 *     y[t] = act(bias + sum_k w[k] (past, x)[t + k])       act: none, or silu (called swish too)
 *
 * Floats, computed in double. Source: ONNX CausalConvWithState 27. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/pool.h"
#include "op/element.h"
#include "op/make.h"

enum { X, W, BIAS, PAST }; /* inputs */

typedef struct causal {
    int64_t rows, c, len, k; /* rows: B * C */
    bool silu;
} causal;

static omma_status infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[X], *w = n->in[W], *bias = omma_in(n, BIAS),
                     *past = omma_in(n, PAST);
    const char *act = omma_node_string(n, "activation", "none");
    OMMA_TRY(omma_want(b, n, X, OMMA_IN_FLOAT));
    for (int i = W; i <= PAST; i++)
        if (omma_in(n, i)) OMMA_TRY(omma_want_same(b, n, i));
    if (x->rank != 3 || w->rank != 3 || w->dims[0] != x->dims[1] || w->dims[1] != 1 ||
        w->dims[2] < 1)
        return omma_bad(b, n, "an input [B, C, L] and weights [C, 1, K] are needed");
    if (bias && (bias->rank != 1 || bias->dims[0] != x->dims[1]))
        return omma_bad(b, n, "'%s' must hold a number for each channel", bias->name);
    if (past && (past->rank != 3 || past->dims[0] != x->dims[0] || past->dims[1] != x->dims[1] ||
                 past->dims[2] != w->dims[2] - 1))
        return omma_bad(b, n, "'%s' must be [B, C, K-1]", past->name);
    if (strcmp(act, "none") && strcmp(act, "silu") && strcmp(act, "swish"))
        return omma_bad(b, n, "activation '%s' is none of none, silu, swish", act);
    causal *p = omma_param(b, n, sizeof *p);
    if (!p) return omma_nomem(b, n);
    *p = (causal){.c = x->dims[1], .len = x->dims[2], .k = w->dims[2], .silu = *act == 's'};
    if (!omma_dims_count(x->dims, 2, &p->rows)) return omma_bad(b, n, "the size overflows");
    OMMA_TRY(omma_out(b, n, 1, x->dtype, 3, (int64_t[]){x->dims[0], x->dims[1], p->k - 1}));
    return omma_out_like(b, n, 0, x);
}

static double at(const omma_value *v, int64_t i) { return omma_get_number(v->dtype, v->mem, i); }

/* Number t of row r of past and x, joined. */
static double joined(const omma_node *n, const causal *p, int64_t r, int64_t t) {
    const omma_value *past = omma_in(n, PAST);
    if (t >= p->k - 1) return at(n->in[X], r * p->len + t - (p->k - 1));
    return past ? at(past, r * (p->k - 1) + t) : 0;
}

/* Items are channels of all batches. */
static void rows(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const omma_node *n = arg;
    const causal *p = n->param;
    const omma_value *y = omma_wanted(n, 0), *present = omma_wanted(n, 1);
    for (int64_t r = begin; r < end; r++) {
        for (int64_t t = 0; y && t < p->len; t++) {
            double sum = omma_in(n, BIAS) ? at(n->in[BIAS], r % p->c) : 0;
            for (int64_t k = 0; k < p->k; k++)
                sum += at(n->in[W], r % p->c * p->k + k) * joined(n, p, r, t + k);
            omma_set_number(y->dtype, y->mem, r * p->len + t,
                            p->silu ? sum / (1 + exp(-sum)) : sum);
        }
        for (int64_t t = 0; present && t < p->k - 1; t++)
            omma_set_number(present->dtype, present->mem, r * (p->k - 1) + t,
                            joined(n, p, r, p->len + t));
    }
}

static omma_status run(const omma_exec *x, const omma_node *n) {
    const causal *p = n->param;
    omma_parallel(x->threads, p->rows, 1 + OMMA_GRAIN / 8 / (p->len + p->k), rows,
                  (void *)(uintptr_t)n);
    return OMMA_OK;
}

static double flops(const omma_node *n) {
    const causal *p = n->param;
    return 2 * (double)p->rows * (double)p->len * (double)p->k;
}

/* The past and the present joined, and a Conv of every channel on its own. */
static omma_status parts(omma_maker *m, const omma_node *n) {
    const causal *p = n->param;
    omma_value *x = n->in[X], *past = omma_in(n, PAST), *y = x;
    if (!past) {
        const int64_t dims[] = {x->dims[0], x->dims[1], p->k - 1};
        past = omma_make_2(m, "Expand", omma_make_number(m, x, 0), omma_make_ints(m, dims, 3));
    }
    omma_value *all = omma_make_concat(m, (omma_value *[]){past, x}, 2, 2);
    if (omma_value_count(x)) {
        const omma_attr group = OMMA_A_INT("group", p->c);
        y = omma_make(m, "Conv", (omma_value *[]){all, n->in[W], omma_in(n, BIAS)}, 3, &group, 1);
        if (p->silu) y = omma_make_2(m, "Mul", y, omma_make_1(m, "Sigmoid", y));
    }
    omma_make_output(m, 0, y);
    omma_make_output(m, 1, omma_make_slice(m, all, 2, p->len, p->len + p->k - 1, 1));
    return m->status;
}

const omma_op omma_op_CausalConvWithState = {.name = "CausalConvWithState",
                                             .min_in = 2,
                                             .max_in = 4,
                                             .min_out = 1,
                                             .max_out = 2,
                                             .infer = infer,
                                             .run = run,
                                             .flops = flops,
                                             .parts = parts};
