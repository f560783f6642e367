/* loss.c - NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss: how badly scores fit labels.
 *
 *   scores: [N, C, D1, ...] of floats   labels: int32 or int64 [N, D1, ...]   weights: [C], or 1
 *
 *     loss = -w[label] * p[label]      p: the scores, or their logarithms of softmax over C
 *
 *   y: like the labels with reduction none, else one number: the sum, or (mean) the sum over the
 *   sum of the weights used.   SoftmaxCrossEntropyLoss's output 1: p, like the scores
 *
 * A label equal to ignore_index counts nothing. Computed in double. The gradient is by scores and
 * by weights.
 * Source: ONNX NegativeLogLikelihoodLoss 12, 13, 22; SoftmaxCrossEntropyLoss 12, 13. Trap: where
 * all labels are ignored the mean is 0 / 0. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "op/element.h"
#include "op/field.h"
#include "op/grad.h"

enum { SCORES, LABELS, WEIGHTS };
typedef enum sum_kind { EACH, SUM, MEAN } sum_kind;

typedef struct loss {
    bool softmax;
    sum_kind sum;
    bool ignores;
    int64_t ignored;
    int64_t n, c, inner; /* scores as [n, c, inner] */
} loss;

static omma_status infer(omma_build *b, omma_node *n, bool softmax) {
    static const char *const names[] = {"none", "sum", "mean"};
    const omma_value *x = n->in[SCORES], *label = n->in[LABELS], *w = omma_in(n, WEIGHTS);
    const char *reduction = omma_node_string(n, "reduction", "mean");
    OMMA_TRY(omma_want(b, n, SCORES, OMMA_IN_FLOAT));
    OMMA_TRY(omma_want(b, n, LABELS, OMMA_BIT(OMMA_I32) | OMMA_BIT(OMMA_I64)));
    if (w) OMMA_TRY(omma_want_same(b, n, WEIGHTS));
    loss *l = omma_param(b, n, sizeof *l);
    if (!l) return omma_nomem(b, n);
    int kind = 0;
    while (kind < 3 && strcmp(names[kind], reduction)) kind++;
    if (kind == 3) return omma_bad(b, n, "reduction '%s' is none of none, sum, mean", reduction);
    bool fits = x->rank >= 2 && label->rank == x->rank - 1;
    for (int d = 0; fits && d < label->rank; d++) fits = label->dims[d] == x->dims[d ? d + 1 : 0];
    if (!fits) return omma_bad(b, n, "scores [N, C, ...] and labels [N, ...] are needed");
    if (w && (w->rank != 1 || w->dims[0] != x->dims[1]))
        return omma_bad(b, n, "'%s' must hold a weight for each class", w->name);
    *l = (loss){.softmax = softmax,
                .sum = (sum_kind)kind,
                .ignores = omma_node_attr(n, "ignore_index") != NULL,
                .ignored = omma_node_int(n, "ignore_index", 0),
                .n = x->dims[0],
                .c = x->dims[1]};
    if (!omma_dims_count(x->dims + 2, x->rank - 2, &l->inner))
        return omma_bad(b, n, "the size overflows");
    OMMA_TRY(omma_out_like(b, n, 1, x));
    return omma_out(b, n, 0, x->dtype, kind == EACH ? label->rank : 0, label->dims);
}

static double at(const omma_value *v, int64_t i) { return omma_get_number(v->dtype, v->mem, i); }

/* What is taken from the scores of a place to make them logarithms of softmax. */
static double shift_of(const loss *l, const omma_value *x, int64_t from) {
    double max = -INFINITY, sum = 0;
    if (!l->softmax) return 0;
    for (int64_t c = 0; c < l->c; c++) {
        const double v = at(x, from + c * l->inner);
        if (v > max || v != v) max = v;
    }
    for (int64_t c = 0; c < l->c; c++) sum += exp(at(x, from + c * l->inner) - max);
    return max + log(sum);
}

static omma_status run(const omma_exec *x, const omma_node *n) {
    const loss *l = n->param;
    const omma_value *v = n->in[SCORES], *label = n->in[LABELS], *w = omma_in(n, WEIGHTS),
                     *y = omma_wanted(n, 0), *p = omma_wanted(n, 1);
    double total = 0, weights = 0;
    for (int64_t i = 0; i < l->n * l->inner; i++) {
        const int64_t from = i / l->inner * l->c * l->inner + i % l->inner,
                      k = omma_get_int(label->dtype, label->mem, i);
        const bool counts = !l->ignores || k != l->ignored;
        const double shift = shift_of(l, v, from);
        if (counts && (k < 0 || k >= l->c))
            return omma_run_bad(x, n, "label %lld of %lld classes", (long long)k, (long long)l->c);
        const double by = !counts ? 0 : w ? at(w, k) : 1;
        const double one = counts ? -by * (at(v, from + k * l->inner) - shift) : 0;
        total += one, weights += by;
        if (y && l->sum == EACH) omma_set_number(y->dtype, y->mem, i, one);
        for (int64_t c = 0; p && c < l->c; c++)
            omma_set_number(p->dtype, p->mem, from + c * l->inner,
                            at(v, from + c * l->inner) - shift);
    }
    if (y && l->sum != EACH)
        omma_set_number(y->dtype, y->mem, 0, l->sum == MEAN ? total / weights : total);
    return OMMA_OK;
}

static double flops(const omma_node *n) { return 4 * (double)omma_value_count(n->in[0]); }

/* --- the gradient ---------------------------------------------------------------------------
 *
 *     d / dp[c] = -h[c] k          d / dx[c] = (softmax(x)[c] sum h - h[c]) k
 *     d / dw[c] = -sum over places with label c of (p[c] + the mean) k
 *
 * h: the weight of the label at the label, 0 elsewhere; k: the cotangent, over sum h for a mean. */

/* v: [C] or like the labels, with the axes of the scores. */
static omma_value *spread_out(omma_maker *m, const omma_node *n, omma_value *v, bool classes) {
    const omma_value *x = n->in[SCORES];
    int64_t dims[OMMA_MAX_RANK];
    for (int d = 0; d < x->rank; d++) dims[d] = (d == 1) == classes ? x->dims[d] : 1;
    return omma_make_reshape(m, v, x->rank, dims);
}

/* Where in the scores the labels are, but for ignored ones: bool. */
static omma_value *places_of(omma_maker *m, const omma_node *n, const loss *l) {
    omma_value *label = n->in[LABELS], *iota;
    int64_t *classes = omma_arena_array(m->b->arena, (size_t)l->c, sizeof *classes);
    if (!classes) return m->status = omma_nomem(m->b, n), NULL;
    for (int64_t c = 0; c < l->c; c++) classes[c] = c;
    iota = omma_make_cast(m, omma_make_ints(m, classes, (int)l->c), label->dtype);
    if (l->ignores) {
        omma_value *ignored = omma_make_number(m, label, (double)l->ignored);
        label = omma_make_3(m, "Where", omma_make_2(m, "Equal", label, ignored),
                            omma_make_number(m, label, -1), label);
    }
    return omma_make_2(m, "Equal", spread_out(m, n, label, false), spread_out(m, n, iota, true));
}

static omma_value *log_softmax(omma_maker *m, const omma_node *n, const loss *l) {
    const omma_attr axis = OMMA_A_INT("axis", 1);
    if (!l->softmax) return n->in[SCORES];
    if (omma_wanted(n, 1)) return n->out[1];
    return omma_make(m, "LogSoftmax", &n->in[SCORES], 1, &axis, 1);
}

static unsigned all_axes(const omma_value *x) { return (1u << x->rank) - 1; }

static omma_status by_weights(omma_grad *g, const omma_node *n, omma_value *is, omma_value *k) {
    omma_maker *m = &g->m;
    const loss *l = n->param;
    omma_value *p = log_softmax(m, n, l);
    if (l->sum == MEAN) p = omma_make_2(m, "Add", p, n->out[0]);
    p = omma_make_3(m, "Where", is, p, omma_make_number(m, n->in[SCORES], 0));
    p = omma_make_2(m, "Mul", p, omma_make_1(m, "Neg", k));
    p = omma_make_sum(m, p, all_axes(n->in[SCORES]) & ~2u, false);
    return omma_grad_add(g, n, WEIGHTS, p);
}

/* Through the loss, output 0. */
static omma_status by_loss(omma_grad *g, const omma_node *n, omma_value *dy) {
    omma_maker *m = &g->m;
    const loss *l = n->param;
    omma_value *x = n->in[SCORES], *w = omma_in(n, WEIGHTS), *is = places_of(m, n, l), *h, *d;
    if (w) h = omma_make_3(m, "Where", is, spread_out(m, n, w, true), omma_make_number(m, x, 0));
    else h = omma_make_cast(m, is, x->dtype);
    omma_value *k = l->sum == EACH ? spread_out(m, n, dy, false) : dy;
    if (l->sum == MEAN) k = omma_make_2(m, "Div", k, omma_make_sum(m, h, all_axes(x), false));
    if (omma_grad_wants(g, n, WEIGHTS)) OMMA_TRY(by_weights(g, n, is, k));
    if (!omma_grad_wants(g, n, SCORES)) return m->status;
    d = omma_make_1(m, "Neg", h);
    if (l->softmax) {
        omma_value *p = omma_make_1(m, "Exp", log_softmax(m, n, l));
        if (w || l->ignores) p = omma_make_2(m, "Mul", p, omma_make_sum(m, h, 2u, true));
        d = omma_make_2(m, "Sub", p, h);
    }
    return omma_grad_add(g, n, SCORES, omma_make_2(m, "Mul", d, k));
}

static omma_status grad(omma_grad *g, const omma_node *n) {
    omma_maker *m = &g->m;
    omma_value *dy = omma_grad_out(g, n, 0), *dp = omma_grad_out(g, n, 1);
    if (dy) OMMA_TRY(by_loss(g, n, dy));
    if (!dp) return m->status;
    omma_value *p = omma_make_1(m, "Exp", n->out[1]); /* output 1 is a LogSoftmax */
    p = omma_make_2(m, "Mul", p, omma_make_sum(m, dp, 2u, true));
    return omma_grad_add(g, n, SCORES, omma_make_2(m, "Sub", dp, p));
}

/* --- the field ------------------------------------------------------------------------------ */

/* The scores that labels let count, as bits: all of a place, or the label's alone. */
static const uint64_t *counted(omma_field *f, const loss *l, const omma_value *label,
                               const void *labels) {
    const int64_t count = l->n * l->c * l->inner;
    uint64_t *bits = omma_arena_array(f->b->arena, (size_t)count / 64 + 1, sizeof *bits);
    if (!bits) {
        f->status = omma_nomem(f->b, f->n);
        return NULL;
    }
    for (int64_t i = 0; i < count; i++) {
        const int64_t place = i / (l->c * l->inner) * l->inner + i % l->inner;
        const int64_t k = omma_get_int(label->dtype, labels, place);
        const bool counts = !l->ignores || k != l->ignored;
        if (counts && (l->softmax || k == i / l->inner % l->c))
            bits[i / 64] |= (uint64_t)1 << i % 64;
    }
    return bits;
}

/* r, from output 0: for losses of each label the places are the labels' own. */
static void same_places(omma_relation *r, const loss *l, int behind) {
    for (int d = 0; l->sum == EACH && d < r->out_rank; d++)
        omma_relation_same(r, d ? d + behind : 0, d);
}

static omma_status field(omma_field *f, const omma_node *n) {
    const loss *l = n->param;
    const omma_value *label = n->in[LABELS];
    const void *labels = omma_field_numbers(f, label);
    omma_relation *r = omma_field_relate(f, 0, SCORES);
    if (r) {
        same_places(r, l, 1);
        if (labels) r->in_only = counted(f, l, label, labels);
        r->data = labels && !label->data;
        r->bound = !labels && (l->ignores || !l->softmax);
    }
    r = omma_field_relate(f, 0, LABELS);
    if (r) r->path = OMMA_PATH_CONTROL, same_places(r, l, 0);
    r = omma_field_relate(f, 0, WEIGHTS);
    if (r) r->bound = true; /* of each label its own */
    r = omma_field_relate(f, 1, SCORES);
    for (int d = 0; r && d < r->in_rank; d++)
        if (d != 1) omma_relation_same(r, d, d);
    return f->status;
}

#define ROW(Name, softmax, outs)                                                                  \
    static omma_status Name##_infer(omma_build *b, omma_node *n) { return infer(b, n, softmax); } \
    const omma_op omma_op_##Name = {.name = #Name,                                                \
                                    .min_in = 2,                                                  \
                                    .max_in = 3,                                                  \
                                    .min_out = 1,                                                 \
                                    .max_out = outs,                                              \
                                    .infer = Name##_infer,                                        \
                                    .run = run,                                                   \
                                    .flops = flops,                                               \
                                    .grad = grad,                                                 \
                                    .field = field};
ROW(NegativeLogLikelihoodLoss, false, 1)
ROW(SoftmaxCrossEntropyLoss, true, 2)
