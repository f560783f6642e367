/* transpose_body.h - transposing a matrix of four-byte numbers for any vector of vec_*.h: squares
 * of VL by VL in registers. They are only loaded, shuffled and stored, so any bits pass through. */
#include "kernel/table.h"

enum { TRANSPOSE_STRIP = 2 * VL }; /* columns of x taken down all rows: whole pairs of its lines */

/* One square: rows [0, m) of x, m <= VL, and columns [0, n), n <= VL. */
static inline void square(int m, int n, const float *x, int64_t x_ld, float *y, int64_t y_ld) {
    const bool whole = m == VL && n == VL;
    vf r[VL];
    if (whole) {
        UNROLL for (int i = 0; i < VL; i++) r[i] = v_load(x + i * x_ld);
    } else {
        UNROLL for (int i = 0; i < VL; i++) r[i] = i < m ? v_load_n(x + i * x_ld, n) : v_set(0);
    }
    v_transpose(
        r); /* called from one place, so that it becomes part of it and r stays in registers */
    if (whole) {
        UNROLL for (int j = 0; j < VL; j++) v_store(y + j * y_ld, r[j]);
    } else {
        UNROLL for (int j = 0; j < VL; j++) if (j < n) v_store_n(y + j * y_ld, r[j], m);
    }
}

static void ISA(transpose_32)(int64_t m, int64_t n, const void *x, int64_t x_ld, void *y,
                              int64_t y_ld) {
    const float *from = x;
    float *to = y;
    for (int64_t j0 = 0; j0 < n; j0 += TRANSPOSE_STRIP)
        for (int64_t i = 0; i < m; i += VL)
            for (int64_t j = j0; j < n && j < j0 + TRANSPOSE_STRIP; j += VL)
                square(m - i < VL ? (int)(m - i) : VL, n - j < VL ? (int)(n - j) : VL,
                       from + i * x_ld + j, x_ld, to + j * y_ld + i, y_ld);
}

static void ISA(copy_rows_32)(int64_t m, int64_t n, const void *x, int64_t x_ld, void *y,
                              int64_t y_ld) {
    const float *from = x;
    float *to = y;
    for (int64_t i = 0; i < m; i++, from += x_ld, to += y_ld) {
        int64_t j = 0;
        for (; j + VL <= n; j += VL) v_store(to + j, v_load(from + j));
        if (j < n) v_store_n(to + j, v_load_n(from + j, (int)(n - j)), (int)(n - j));
    }
}

static void fill_transpose(omma_kernels *k) {
    k->transpose = ISA(transpose_32);
    k->copy_rows = ISA(copy_rows_32);
}
