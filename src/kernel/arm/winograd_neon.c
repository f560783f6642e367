/* winograd_neon.c - Winograd's transforms; see winograd_body.h. The products are gemm_tile's. */
#include "kernel/arm/vec_neon.h"
#include "kernel/body/vec_math.h"
#include "kernel/body/winograd_body.h"

void omma_fill_winograd_neon(omma_kernels *k) {
    k->wino_in = wino_in_f32__neon;
    k->wino_weights = wino_weights_f32__neon;
    k->wino_out = wino_out_f32__neon;
}
