/* taper.c - BlackmanWindow, HammingWindow, HannWindow: weights that fall off to both ends.
 *
 *   size: one int32 or int64, known before the run   y: [size] of output_datatype (default f32)
 *
 *     a - b cos(2 pi i / N) + c cos(4 pi i / N)     N = size, or size - 1 with periodic = 0
 *
 * Source: ONNX BlackmanWindow, HammingWindow, HannWindow 17. Trap: a symmetric window of one
 * number is 1. */
#include <math.h>

#include "op/element.h"
#include "op/field.h"
#include "op/move.h"

static omma_status infer(omma_build *b, omma_node *n) {
    const int64_t t = omma_node_int(n, "output_datatype", OMMA_F32);
    int64_t size;
    int count;
    OMMA_TRY(omma_ints_in(b, n, 0, &size, 1, &count));
    if (count != 1 || size < 0) return omma_bad(b, n, "the size must be one number of 0 or more");
    if (t <= 0 || t >= 32 || !omma_type_in((omma_dtype)t, OMMA_IN_NUMBER))
        return omma_unsupported(b, n, "output_datatype %lld", (long long)t);
    return omma_out(b, n, 0, (omma_dtype)t, 1, &size);
}

static omma_status weights(const omma_node *n, double a, double c, double e) {
    const omma_value *y = omma_wanted(n, 0);
    const int64_t size = y ? y->dims[0] : 0, period = size - !omma_node_int(n, "periodic", 1);
    for (int64_t i = 0; i < size; i++) {
        const double turn = period ? 2 * 3.14159265358979323846 * (double)i / (double)period : 0;
        omma_set_number(y->dtype, y->mem, i, period ? a - c * cos(turn) + e * cos(2 * turn) : 1);
    }
    return OMMA_OK;
}

static omma_status BlackmanWindow_run(const omma_exec *x, const omma_node *n) {
    (void)x;
    return weights(n, 0.42, 0.5, 0.08);
}
static omma_status HammingWindow_run(const omma_exec *x, const omma_node *n) {
    (void)x;
    return weights(n, 25.0 / 46, 21.0 / 46, 0);
}
static omma_status HannWindow_run(const omma_exec *x, const omma_node *n) {
    (void)x;
    return weights(n, 0.5, 0.5, 0);
}

#define ROW(Name)                                                 \
    const omma_op omma_op_##Name = {.name = #Name,                \
                                    .min_in = 1,                  \
                                    .max_in = 1,                  \
                                    .min_out = 1,                 \
                                    .max_out = 1,                 \
                                    .infer = infer,               \
                                    .run = Name##_run,            \
                                    .flops = omma_move_flops,     \
                                    .no_grad = OMMA_MOVE_NO_DATA, \
                                    .field = omma_field_none};
ROW(BlackmanWindow)
ROW(HammingWindow)
ROW(HannWindow)
