/* int_rows.c - products of rows of small integers; see int_rows.h.
 *
 * The inner loop adds up products of two int16 in int32 over a length known to be a multiple of
 * 16: compilers make one instruction of eight products of it. 32768 products of 255 * 255
 * fit an int32, so longer rows are cut there; the parts are added as uint32, which wraps. */
#include "op/int_rows.h"

#include <string.h>

#include "base/checked.h"

enum { PART = 32768 };

bool omma_int_row_bytes(int64_t k, int64_t rows, int64_t *row, size_t *bytes) {
    size_t len, all;
    if (!omma_align_up((size_t)k, OMMA_ROW_STEP, &len) || len > (size_t)PTRDIFF_MAX) return false;
    *row = (int64_t)len;
    return omma_dims_bytes((const int64_t[]){rows, *row}, 2, sizeof(int16_t), &all) &&
           omma_align_up(all, 64, bytes);
}

/* An int8 with its top bit turned is a uint8 that is 128 too large. */
void omma_int_widen(int16_t *restrict dst, omma_dtype t, const void *src, int64_t step, int64_t n,
                    int zero, int64_t row) {
    const uint8_t *restrict x = src;
    const int flip = t == OMMA_I8 ? 128 : 0, less = flip + zero;
    int64_t i = 0;
    if (step == 1) {
        const int64_t whole = n & ~(int64_t)(OMMA_ROW_STEP - 1);
        for (i = 0; i < whole; i++) dst[i] = (int16_t)((x[i] ^ flip) - less);
    }
    for (; i < n; i++) dst[i] = (int16_t)((x[i * step] ^ flip) - less);
    for (; i < row; i++) dst[i] = 0;
}

/* y[2*i + j] += a[i] . b[j] for four rows and two. */
static void part(const int16_t *const *a, const int16_t *const *b, int64_t len, uint32_t *y) {
    const int16_t *a0 = a[0], *a1 = a[1], *a2 = a[2], *a3 = a[3], *b0 = b[0], *b1 = b[1];
    const int64_t whole = len & ~(int64_t)(OMMA_ROW_STEP - 1);
    int32_t s00 = 0, s01 = 0, s10 = 0, s11 = 0, s20 = 0, s21 = 0, s30 = 0, s31 = 0;
    for (int64_t k = 0; k < whole; k++) {
        s00 += a0[k] * b0[k], s01 += a0[k] * b1[k];
        s10 += a1[k] * b0[k], s11 += a1[k] * b1[k];
        s20 += a2[k] * b0[k], s21 += a2[k] * b1[k];
        s30 += a3[k] * b0[k], s31 += a3[k] * b1[k];
    }
    y[0] += (uint32_t)s00, y[1] += (uint32_t)s01;
    y[2] += (uint32_t)s10, y[3] += (uint32_t)s11;
    y[4] += (uint32_t)s20, y[5] += (uint32_t)s21;
    y[6] += (uint32_t)s30, y[7] += (uint32_t)s31;
}

/* Rows beyond the last are the last again; their sums are not stored. */
void omma_int_rows(int64_t m, const int16_t *a, int64_t n, const int16_t *b, int64_t row,
                   uint32_t *y, int64_t ld) {
    for (int64_t i = 0; i < m; i += 4)
        for (int64_t j = 0; j < n; j += 2) {
            uint32_t sum[8] = {0};
            for (int64_t k = 0; k < row; k += PART) {
                const int16_t *pa[4], *pb[2];
                for (int64_t r = 0; r < 4; r++) pa[r] = a + (i + r < m ? i + r : m - 1) * row + k;
                for (int64_t c = 0; c < 2; c++) pb[c] = b + (j + c < n ? j + c : n - 1) * row + k;
                part(pa, pb, row - k < PART ? row - k : PART, sum);
            }
            for (int64_t r = 0; r < 4 && i + r < m; r++)
                for (int64_t c = 0; c < 2 && j + c < n; c++)
                    y[(i + r) * ld + j + c] = sum[2 * r + c];
        }
}

/* Adding and taking away 1.5 * 2^52 rounds a smaller number to a whole one, ties to even; a
 * comparison with NaN is false. */
void omma_int_requantize(omma_dtype t, void *y, int64_t at, const uint32_t *sum, const float *scale,
                         int64_t n, int zero) {
    enum { STEP = 16 };
    const double magic = 6755399441055744, lo = (t == OMMA_I8 ? -128 : 0) - zero, hi = lo + 255;
    for (int64_t i = 0; i < n; i += STEP) {
        int32_t s[STEP] = {0};
        float by[STEP] = {0};
        uint8_t out[STEP];
        const size_t len = (size_t)(n - i < STEP ? n - i : STEP);
        memcpy(s, sum + i, len * sizeof *s);
        memcpy(by, scale + i, len * sizeof *by);
        for (int k = 0; k < STEP; k++) {
            double v = (double)s[k] * (double)by[k];
            v = v > lo ? v : lo;
            v = v < hi ? v : hi;
            out[k] = (uint8_t)((int32_t)((v + magic) - magic) + zero);
        }
        memcpy((uint8_t *)y + at + i, out, len);
    }
}

omma_status omma_int_zero_type(omma_build *b, const omma_node *n, int z, int v) {
    const omma_value *zero = omma_in(n, z), *x = omma_in(n, v);
    if (!zero || zero->dtype == x->dtype) return OMMA_OK;
    return omma_bad(b, n, "zero point '%s' is of type %s, '%s' of %s", zero->name,
                    omma_dtype_name(zero->dtype), x->name, omma_dtype_name(x->dtype));
}

int16_t *omma_int_pack(omma_build *b, const omma_node *n, int i, int z, const char *form,
                       size_t bytes, const void **from) {
    const omma_value *zero = omma_in(n, z);
    const int64_t count = zero ? omma_value_count(zero) : 0;
    *from = n->in[i]->data;
    for (int64_t k = 1; k < count; k++)
        if (memcmp((const char *)zero->data + k, zero->data, 1))
            return omma_arena_alloc(b->arena, bytes);
    const int least = count ? (int)omma_get_int(zero->dtype, zero->data, 0) : 0;
    const char *name = omma_arena_printf(b->arena, "%s zero %d", form, least);
    return name ? omma_pack(b, n->in[i], name, bytes, from) : NULL;
}
