/* winograd_avx2.c - Winograd's transforms; see winograd_body.h. */
#include "kernel/x86/vec_avx2.h"
#include "kernel/x86/vec_math.h"
#define WINO_TILES \
    WINO_TILE(1)   \
    WINO_TILE(2)   \
    WINO_TILE(3)   \
    WINO_TILE(4)   \
    WINO_TILE(5)   \
    WINO_TILE(6)
#define WINO_NAMES                                                                            \
    ISA(wino_tile_1), ISA(wino_tile_2), ISA(wino_tile_3), ISA(wino_tile_4), ISA(wino_tile_5), \
        ISA(wino_tile_6)
#include "kernel/x86/winograd_body.h"

void omma_fill_winograd_avx2(omma_kernels *k) { fill_winograd(k); }
