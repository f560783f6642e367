/* winograd_avx512.c - Winograd's transforms; see winograd_body.h. */
#include "kernel/x86/vec_avx512.h"
#include "kernel/x86/vec_math.h"
#define WINO_TILES \
    WINO_TILE(1)   \
    WINO_TILE(2)   \
    WINO_TILE(3)   \
    WINO_TILE(4)   \
    WINO_TILE(5)   \
    WINO_TILE(6)   \
    WINO_TILE(7)   \
    WINO_TILE(8)   \
    WINO_TILE(9)   \
    WINO_TILE(10)  \
    WINO_TILE(11)  \
    WINO_TILE(12)  \
    WINO_TILE(13)  \
    WINO_TILE(14)
#define WINO_NAMES                                                                                 \
    ISA(wino_tile_1), ISA(wino_tile_2), ISA(wino_tile_3), ISA(wino_tile_4), ISA(wino_tile_5),      \
        ISA(wino_tile_6), ISA(wino_tile_7), ISA(wino_tile_8), ISA(wino_tile_9), ISA(wino_tile_10), \
        ISA(wino_tile_11), ISA(wino_tile_12), ISA(wino_tile_13), ISA(wino_tile_14)
#include "kernel/x86/winograd_body.h"

void omma_fill_winograd_avx512(omma_kernels *k) { fill_winograd(k); }
