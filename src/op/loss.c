/* loss.c - NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss: how badly scores fit labels.
 *
 *   scores: [N, C, D1, ...] of floats   labels: int32 or int64 [N, D1, ...]   weights: [C], or 1
 *
 *     loss = -w[label] * p[label]      p: the scores, or their logarithms of softmax over C
 *
 *   y: like the labels with reduction none, else one number: the sum, or (mean) the sum over the
 *   sum of the weights used.   SoftmaxCrossEntropyLoss's output 1: p, like the scores
 *
 * A label equal to ignore_index counts nothing. Computed in double.
 * Source: ONNX NegativeLogLikelihoodLoss 12, 13, 22; SoftmaxCrossEntropyLoss 12, 13. Trap: where
 * all labels are ignored the mean is 0 / 0. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "op/element.h"

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
                                    .no_grad = OMMA_NOT_YET,                                      \
                                    .no_field = OMMA_NOT_YET};
ROW(NegativeLogLikelihoodLoss, false, 1)
ROW(SoftmaxCrossEntropyLoss, true, 2)
