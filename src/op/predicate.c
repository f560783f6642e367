/* predicate.c - what is true or not of each number alone: Not, IsNaN, IsInf.
 *
 *   x: any shape of bool (Not) or floats   y: bool, of x's shape
 *
 * Source: ONNX Not 1; IsNaN 9, 13, 20; IsInf 10, 20. */
#include <math.h>

#include "op/element.h"
#include "op/field.h"

static omma_status infer_bool(omma_build *b, omma_node *n, unsigned types) {
    OMMA_TRY(omma_want(b, n, 0, types));
    return omma_out(b, n, 0, OMMA_BOOL, n->in[0]->rank, n->in[0]->dims);
}

static omma_status Not_infer(omma_build *b, omma_node *n) { return infer_bool(b, n, OMMA_IN_BOOL); }
static omma_status Is_infer(omma_build *b, omma_node *n) { return infer_bool(b, n, OMMA_IN_FLOAT); }

static omma_status Not_run(const omma_exec *x, const omma_node *n) {
    (void)x;
    if (!omma_wanted(n, 0)) return OMMA_OK;
    const uint8_t *a = n->in[0]->mem;
    uint8_t *y = n->out[0]->mem;
    for (int64_t i = 0, k = omma_value_count(n->in[0]); i < k; i++) y[i] = !a[i];
    return OMMA_OK;
}

/* The kinds of numbers looked for: NaN, +inf, -inf. */
enum { WANT_NAN = 1, WANT_PLUS = 2, WANT_MINUS = 4 };

static void classify(const omma_node *n, unsigned want) {
    if (!omma_wanted(n, 0)) return;
    const omma_dtype t = n->in[0]->dtype;
    uint8_t *y = n->out[0]->mem;
    for (int64_t i = 0, k = omma_value_count(n->in[0]); i < k; i++) {
        const double v = omma_get_number(t, n->in[0]->mem, i);
        const unsigned is = isnan(v) ? WANT_NAN : !isinf(v) ? 0 : v > 0 ? WANT_PLUS : WANT_MINUS;
        y[i] = (is & want) != 0;
    }
}

static omma_status IsNaN_run(const omma_exec *x, const omma_node *n) {
    (void)x;
    classify(n, WANT_NAN);
    return OMMA_OK;
}

static omma_status IsInf_run(const omma_exec *x, const omma_node *n) {
    (void)x;
    classify(n, (omma_node_int(n, "detect_positive", 1) ? WANT_PLUS : 0u) |
                    (omma_node_int(n, "detect_negative", 1) ? WANT_MINUS : 0u));
    return OMMA_OK;
}

#define ROW(Name, infer_, flags_)                                                          \
    const omma_op omma_op_##Name = {.name = #Name,                                         \
                                    .min_in = 1,                                           \
                                    .max_in = 1,                                           \
                                    .min_out = 1,                                          \
                                    .max_out = 1,                                          \
                                    .flags = flags_,                                       \
                                    .infer = infer_,                                       \
                                    .run = Name##_run,                                     \
                                    .no_grad = "boolean output: nothing to differentiate", \
                                    .field = omma_field_elementwise};
ROW(Not, Not_infer, OMMA_OP_ELEMENTWISE)
ROW(IsNaN, Is_infer, 0)
ROW(IsInf, Is_infer, 0)
