/* winograd_avx2.c - Winograd's transforms and products; see winograd_body.h. */
#include "kernel/x86/vec_avx2.h"
#include "kernel/body/vec_math.h"
#include "kernel/body/winograd_body.h"

WINO_TILE(1)
WINO_TILE(2)
WINO_TILE(3)
WINO_TILE(4)
WINO_TILE(5)
WINO_TILE(6)

static void wino_tile_f32__avx2(int m, int64_t k, const float *a, int64_t lda, const float *b,
                                float *c, int64_t ldc, bool acc, const void *next, int64_t step) {
#define TILE(MR) wino_f32_##MR##x2v__avx2
    static wino_tile_fn *const tiles[] = { TILE(1), TILE(2), TILE(3), TILE(4), TILE(5), TILE(6) };
#undef TILE
    tiles[m - 1](k, a, lda, b, c, ldc, acc, next, step);
}

void omma_fill_winograd_avx2(omma_kernels *k) {
    k->wino_in = wino_in_f32__avx2;
    k->wino_weights = wino_weights_f32__avx2;
    k->wino_out = wino_out_f32__avx2;
    k->wino_tile = wino_tile_f32__avx2;
}
