/* winograd_avx512.c - Winograd's transforms and products; see winograd_body.h. */
#include "kernel/x86/vec_avx512.h"
#include "kernel/body/vec_math.h"
#include "kernel/body/winograd_body.h"

WINO_TILE(1)
WINO_TILE(2)
WINO_TILE(3)
WINO_TILE(4)
WINO_TILE(5)
WINO_TILE(6)
WINO_TILE(7)
WINO_TILE(8)
WINO_TILE(9)
WINO_TILE(10)
WINO_TILE(11)
WINO_TILE(12)
WINO_TILE(13)
WINO_TILE(14)

static void wino_tile_f32__avx512(int m, int64_t k, const float *a, int64_t lda, const float *b,
                                  float *c, int64_t ldc, bool acc, const void *next, int64_t step) {
#define TILE(MR) wino_f32_##MR##x2v__avx512
    static wino_tile_fn *const tiles[] = {
        TILE(1),
        TILE(2),
        TILE(3),
        TILE(4),
        TILE(5),
        TILE(6),
        TILE(7),
        TILE(8),
        TILE(9),
        TILE(10),
        TILE(11),
        TILE(12),
        TILE(13),
        TILE(14)
    };
#undef TILE
    tiles[m - 1](k, a, lda, b, c, ldc, acc, next, step);
}

void omma_fill_winograd_avx512(omma_kernels *k) {
    k->wino_in = wino_in_f32__avx512;
    k->wino_weights = wino_weights_f32__avx512;
    k->wino_out = wino_out_f32__avx512;
    k->wino_tile = wino_tile_f32__avx512;
}
