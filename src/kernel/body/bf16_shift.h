/* bf16_shift.h - a step of the bfloat16 tile (bf16_body.h) for processors without instructions for
 * it: both halves of a pair become floats by a shift or a mask. The file that includes it defines
 * b_high(v) and b_low(v), the upper and the lower half of each word of v as floats. All rows take
 * the upper half first, then all the lower one: so the tile's registers are enough. */
#ifndef OMMA_KERNEL_BODY_BF16_SHIFT_H
#define OMMA_KERNEL_BODY_BF16_SHIFT_H

#define STEP(MR, NV)                                                                            \
    {                                                                                           \
        vf row[NV];                                                                             \
        UNROLL for (int j = 0; j < NV; j++) row[j] = b_high(v_load((const float *)b + j * VL)); \
        UNROLL for (int r = 0; r < MR; r++) {                                                   \
            const vf x = b_high(v_spread((const float *)PAIR_ROW(r)));                          \
            UNROLL for (int j = 0; j < NV; j++) s[r][j] = v_fma(x, row[j], s[r][j]);            \
        }                                                                                       \
        __asm__("" : "+r"(p0), "+r"(p3), "+r"(p6), "+r"(p9), "+r"(p12), "+r"(b));               \
        UNROLL for (int j = 0; j < NV; j++) row[j] = b_low(v_load((const float *)b + j * VL));  \
        UNROLL for (int r = 0; r < MR; r++) {                                                   \
            const vf x = b_low(v_spread((const float *)PAIR_ROW(r)));                           \
            UNROLL for (int j = 0; j < NV; j++) s[r][j] = v_fma(x, row[j], s[r][j]);            \
        }                                                                                       \
    }

#endif
