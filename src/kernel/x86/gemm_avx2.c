/* gemm_avx2.c - the tile 6x16 of products and convolutions: 12 of 16 registers hold C. See
 * gemm_body.h. */
#include "kernel/x86/vec_avx2.h"
#include "kernel/body/vec_math.h"

#define TILE_MR 6
#define TILE_NV 2
#include "kernel/body/gemm_body.h"

TILE(1, 1)
TILE(2, 1)
TILE(3, 1)
TILE(4, 1)
TILE(5, 1)
TILE(6, 1)
TILE(1, 2)
TILE(2, 2)
TILE(3, 2)
TILE(4, 2)
TILE(5, 2)
TILE(6, 2)

#define ROW(MR) \
    { tile_f32_##MR##x1v__avx2, tile_f32_##MR##x2v__avx2 }
static tile_fn *const tiles[TILE_MR][TILE_NV] = {ROW(1), ROW(2), ROW(3), ROW(4), ROW(5), ROW(6)};
#undef ROW

static void gemm_f32_6x16__avx2(int m, int n, int64_t k, const float *a, int64_t lda,
                                const float *b, float *c, int64_t ldc, bool acc,
                                const omma_epilogue *e) {
    static const int64_t none = 0;
    tiles[m - 1][n > VL](n, 1, &none, k, a, lda, b, c, ldc, acc ? OMMA_TILE_ACC : 0, e, NULL);
}

static void conv_f32_6x16__avx2(int m, int n, int64_t taps, const int64_t *off, int64_t k,
                                const float *a, int64_t lda, const float *b, float *c, int64_t ldc,
                                unsigned flags, const omma_epilogue *e, const omma_ahead *next) {
    tiles[m - 1][n > VL](n, taps, off, k, a, lda, b, c, ldc, flags, e, next);
}

void omma_fill_gemm_avx2(omma_kernels *k) {
    k->mr = TILE_MR;
    k->nr = TILE_NV * VL;
    k->gemm_tile = gemm_f32_6x16__avx2;
    k->conv_tile = conv_f32_6x16__avx2;
    k->finish = finish_f32__avx2;
    k->gemm_row = gemm_row_f32__avx2;
    k->gemv = gemv_f32__avx2;
    k->pack_cols = pack_cols_f32__avx2;
}
