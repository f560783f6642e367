/* transpose_c.c - the reference of transposing and copying matrices of four-byte numbers; see
 * kernel.h. */
#include <string.h>

#include "kernel/table.h"

static void transpose_32(int64_t m, int64_t n, const void *x, int64_t x_ld, void *y, int64_t y_ld) {
    const char *from = x;
    char *to = y;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++)
            memcpy(to + (j * y_ld + i) * 4, from + (i * x_ld + j) * 4, 4);
}

static void copy_rows_32(int64_t m, int64_t n, const void *x, int64_t x_ld, void *y, int64_t y_ld) {
    for (int64_t i = 0; i < m && n > 0; i++)
        memcpy((char *)y + i * y_ld * 4, (const char *)x + i * x_ld * 4, (size_t)n * 4);
}

void omma_fill_transpose_c(omma_kernels *k) {
    k->transpose = transpose_32;
    k->copy_rows = copy_rows_32;
}
