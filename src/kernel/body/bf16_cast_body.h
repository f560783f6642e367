/* bf16_cast_body.h - runs of numbers to bfloat16 and back, exactly, for any vector of vec_*.h; the
 * file that includes it defines b_load_n and b_store_n. */
#include "kernel/table.h"

static void ISA(bf16_widen)(int64_t n, const uint16_t *x, float *y) {
    int64_t i = 0;
    for (; i + VL <= n; i += VL) v_store(y + i, b_load_n(x + i, VL));
    if (i < n) v_store_n(y + i, b_load_n(x + i, (int)(n - i)), (int)(n - i));
}

static void ISA(bf16_narrow)(int64_t n, const float *x, uint16_t *y) {
    int64_t i = 0;
    for (; i + VL <= n; i += VL) b_store_n(y + i, v_load(x + i), VL);
    if (i < n) b_store_n(y + i, v_load_n(x + i, (int)(n - i)), (int)(n - i));
}
