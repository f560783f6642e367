/* dropout.c - Dropout: numbers left out at random while training, a copy otherwise.
 *
 *   x: any shape of floats   y like x   mask: the numbers kept, in x's type up to opset 9, of
 *   bool since 10
 *
 * Since opset 12 the inputs say whether to train (training_mode, default no) and how much to
 * leave out (ratio, default 0.5): then y = x / (1 - ratio) where u >= ratio, else 0, with u the
 * numbers numpy.random.uniform gives after numpy.random.seed(seed), as in ONNX's reference. Where
 * the attribute `seed` is left out, omma takes 0: a run can always be repeated.
 * Before opset 12 nothing is left out. (Opsets 1 and 6 train unless is_test is set, which many
 * an exporter forgot, and name no generator: there is no right answer to be had.)
 * Source: ONNX Dropout 1, 6, 7, 10, 12, 13, 22. Trap: y may lie on x. */
#include <string.h>

#include "op/element.h"
#include "op/field.h"
#include "op/grad.h"
#include "op/mersenne.h"

enum { RATIO = 1, TRAINING = 2 };

static omma_status infer(omma_build *b, omma_node *n) {
    const omma_value *x = n->in[0];
    OMMA_TRY(omma_want(b, n, 0, OMMA_IN_FLOAT));
    if (n->n_in > 1 && n->opset < 12)
        return omma_bad(b, n, "opset %d gives the ratio as an attribute", n->opset);
    if (omma_in(n, RATIO)) {
        OMMA_TRY(omma_want(b, n, RATIO, OMMA_IN_FLOAT));
        if (omma_value_count(n->in[RATIO]) != 1)
            return omma_bad(b, n, "the ratio must be one number");
    }
    if (omma_in(n, TRAINING)) {
        OMMA_TRY(omma_want(b, n, TRAINING, OMMA_IN_BOOL));
        if (omma_value_count(n->in[TRAINING]) != 1)
            return omma_bad(b, n, "training_mode must be one number");
    }
    OMMA_TRY(omma_out(b, n, 1, n->opset < 10 ? x->dtype : OMMA_BOOL, x->rank, x->dims));
    return omma_out_like(b, n, 0, x);
}

/* Numbers are drawn one after the other, so this is one thread's work. */
static void drop(const omma_node *n, double ratio) {
    const omma_value *x = n->in[0], *y = omma_wanted(n, 0), *mask = omma_wanted(n, 1);
    const double scale = 1 / (1 - ratio);
    omma_mersenne m;
    omma_mersenne_seed(&m, (uint32_t)omma_node_int(n, "seed", 0));
    for (int64_t i = 0, k = omma_value_count(x); i < k; i++) {
        const bool keep = omma_mersenne_uniform(&m) >= ratio;
        const double v = omma_get_number(x->dtype, x->mem, i);
        if (y) omma_set_number(y->dtype, y->mem, i, keep ? v * scale : 0 * v);
        if (mask) ((uint8_t *)mask->mem)[i] = keep;
    }
}

static omma_status run(const omma_exec *x, const omma_node *n) {
    const omma_value *v = n->in[0], *given = omma_in(n, RATIO), *training = omma_in(n, TRAINING);
    const double ratio = given ? omma_get_number(given->dtype, given->mem, 0) : 0.5;
    if (training && *(const uint8_t *)training->mem && ratio != 0) {
        if (!(ratio > 0 && ratio < 1))
            return omma_run_bad(x, n, "a ratio of %g, outside [0, 1)", ratio);
        drop(n, ratio);
        return OMMA_OK;
    }
    const omma_value *y = omma_wanted(n, 0), *mask = omma_wanted(n, 1);
    const int64_t k = omma_value_count(v);
    if (y && k && y->mem != v->mem) memcpy(y->mem, v->mem, omma_value_bytes(v));
    for (int64_t i = 0; mask && i < k; i++) omma_set_number(mask->dtype, mask->mem, i, 1);
    return OMMA_OK;
}

/* The same numbers of the cotangent are left out, by the same seed. */
static omma_status grad(omma_grad *g, const omma_node *n) {
    omma_value *in[] = {omma_grad_out(g, n, 0), omma_in(n, RATIO), omma_in(n, TRAINING)};
    const omma_node *d =
        omma_make_node(&g->m, n->op, n->opset, in, n->opset < 12 ? 1 : 3, n->attrs, n->n_attrs, 1);
    return omma_grad_add(g, n, 0, d ? d->out[0] : NULL);
}

static omma_status field(omma_field *f, const omma_node *n) {
    OMMA_TRY(omma_field_broadcast(f, 0, 0, OMMA_PATH_VALUE));
    for (int k = 0; k < n->n_out; k++) {
        OMMA_TRY(omma_field_control(f, k, RATIO));
        OMMA_TRY(omma_field_control(f, k, TRAINING));
    }
    return f->status;
}

const omma_op omma_op_Dropout = {.name = "Dropout",
                                 .min_in = 1,
                                 .max_in = 3,
                                 .min_out = 1,
                                 .max_out = 2,
                                 .flags = OMMA_OP_ELEMENTWISE,
                                 .infer = infer,
                                 .run = run,
                                 .grad = grad,
                                 .field = field};
