/* int_rows.h - what the products of 8-bit integers share: numbers less their zero point as rows
 * of int16, products of such rows, and the way back to 8 bits.
 *
 * A row holds k numbers in [-255, 255], filled up with zeros to a multiple of
 * OMMA_ROW_STEP. Sums are exact modulo 2^32, two's complement. */
#ifndef OMMA_OP_INT_ROWS_H
#define OMMA_OP_INT_ROWS_H

#include "op/element.h"

enum { OMMA_ROW_STEP = 16 };

enum {
    OMMA_IN_8BIT = OMMA_BIT(OMMA_U8) | OMMA_BIT(OMMA_I8),
    OMMA_IN_SCALE = OMMA_BIT(OMMA_F32) | OMMA_BIT(OMMA_F16) | OMMA_BIT(OMMA_BF16)
};

/* The numbers in a row for k of them, and bytes = rows * that * sizeof(int16_t), a multiple of
 * 64; false on overflow. */
bool omma_int_row_bytes(int64_t k, int64_t rows, int64_t *row, size_t *bytes);

/* One row: dst[i] = src[i * step] - zero for i < n, and 0 up to row. src: 8-bit integers of
 * type t. */
void omma_int_widen(int16_t *dst, omma_dtype t, const void *src, int64_t step, int64_t n, int zero,
                    int64_t row);

/* y[i*ld + j] = sum over k of a[i*row + k] * b[j*row + k], i < m, j < n. */
void omma_int_rows(int64_t m, const int16_t *a, int64_t n, const int16_t *b, int64_t row,
                   uint32_t *y, int64_t ld);

/* y[at + i] = saturate(round(sum[i] * scale[i]) + zero), ties to even; NaN gives the lowest
 * number. y: of 8-bit type t. sum: int32 as its bits. */
void omma_int_requantize(omma_dtype t, void *y, int64_t at, const uint32_t *sum, const float *scale,
                         int64_t n, int zero);

/* Input z, the zero points of input v, when it is there: its type is v's. */
omma_status omma_int_zero_type(omma_build *b, const omma_node *n, int z, int v);

/* Memory for constant input i's rows, made ready with the constant zero points of input z;
 * *from: as omma_pack gives it. NULL when out of memory. The rows are shared by plans when they
 * have one zero point. */
int16_t *omma_int_pack(omma_build *b, const omma_node *n, int i, int z, const char *form,
                       size_t bytes, const void **from);

#endif
