/* gemm_neon.c - the tile 8x12 of products and convolutions: 24 of 32 registers hold C,
 * three a row of B. See gemm_body.h. */
#include "kernel/arm/vec_neon.h"
#include "kernel/body/vec_math.h"

#define TILE_MR 8
#define TILE_NV 3
#include "kernel/body/gemm_body.h"

#define ROWS(NV) \
    TILE(1, NV)  \
    TILE(2, NV)  \
    TILE(3, NV)  \
    TILE(4, NV)  \
    TILE(5, NV)  \
    TILE(6, NV)  \
    TILE(7, NV)  \
    TILE(8, NV)
ROWS(1)
ROWS(2)
ROWS(3)

#define ROW(MR) \
    { tile_f32_##MR##x1v__neon, tile_f32_##MR##x2v__neon, tile_f32_##MR##x3v__neon }
static tile_fn *const tiles[TILE_MR][TILE_NV] = {ROW(1), ROW(2), ROW(3), ROW(4),
                                                 ROW(5), ROW(6), ROW(7), ROW(8)};
#undef ROW

static void gemm_f32_8x12__neon(int m, int n, int64_t k, const float *a, int64_t lda,
                                const float *b, float *c, int64_t ldc, bool acc,
                                const omma_epilogue *e) {
    static const int64_t none = 0;
    tiles[m - 1][(n - 1) / VL](n, 1, &none, k, a, lda, b, c, ldc, acc ? OMMA_TILE_ACC : 0, e, NULL);
}

static void conv_f32_8x12__neon(int m, int n, int64_t taps, const int64_t *off, int64_t k,
                                const float *a, int64_t lda, const float *b, float *c, int64_t ldc,
                                unsigned flags, const omma_epilogue *e, const omma_ahead *next) {
    tiles[m - 1][(n - 1) / VL](n, taps, off, k, a, lda, b, c, ldc, flags, e, next);
}

void omma_fill_gemm_neon(omma_kernels *k) {
    k->mr = TILE_MR;
    k->nr = TILE_NV * VL;
    k->gemm_tile = gemm_f32_8x12__neon;
    k->conv_tile = conv_f32_8x12__neon;
    k->finish = finish_f32__neon;
    k->gemm_row = gemm_row_f32__neon;
    k->gemv = gemv_f32__neon;
    k->pack_cols = pack_cols_f32__neon;
}
