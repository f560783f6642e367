/* table.h - inside the kernels' room only: who fills the table, and what the files share.
 * Each function fills the slots of its file; a table starts as a copy of the next lower
 * one, so a slot that an instruction set does not improve keeps what was there. */
#ifndef OMMA_KERNEL_TABLE_H
#define OMMA_KERNEL_TABLE_H

#include "kernel/kernel.h"
#include "kernel/limit.h"

/* A float at any address, of memory declared as anything. */
typedef float omma_f32u __attribute__((aligned(1), may_alias));

void omma_fill_gemm_c(omma_kernels *k);
void omma_fill_math_c(omma_kernels *k);
void omma_fill_reduce_c(omma_kernels *k);
void omma_fill_conv_c(omma_kernels *k);
void omma_fill_depthwise_c(omma_kernels *k);
void omma_fill_winograd_c(omma_kernels *k);
void omma_fill_pool_last_c(omma_kernels *k);
void omma_fill_transpose_c(omma_kernels *k);
void omma_fill_attention_c(omma_kernels *k);
void omma_fill_int8_c(omma_kernels *k);
void omma_fill_bf16_c(omma_kernels *k);

#ifdef __x86_64__
void omma_fill_gemm_avx2(omma_kernels *k);
void omma_fill_math_avx2(omma_kernels *k);
void omma_fill_reduce_avx2(omma_kernels *k);
void omma_fill_conv_avx2(omma_kernels *k);
void omma_fill_depthwise_avx2(omma_kernels *k);
void omma_fill_winograd_avx2(omma_kernels *k);
void omma_fill_pool_last_avx2(omma_kernels *k);
void omma_fill_transpose_avx2(omma_kernels *k);
void omma_fill_attention_avx2(omma_kernels *k);
void omma_fill_gemm_avx512(omma_kernels *k);
void omma_fill_math_avx512(omma_kernels *k);
void omma_fill_reduce_avx512(omma_kernels *k);
void omma_fill_conv_avx512(omma_kernels *k);
void omma_fill_depthwise_avx512(omma_kernels *k);
void omma_fill_winograd_avx512(omma_kernels *k);
void omma_fill_pool_last_avx512(omma_kernels *k);
void omma_fill_transpose_avx512(omma_kernels *k);
void omma_fill_attention_avx512(omma_kernels *k);
void omma_fill_int8_avx2(omma_kernels *k);
void omma_fill_int8_vnni(omma_kernels *k);
void omma_fill_bf16_avx2(omma_kernels *k);
void omma_fill_bf16_avx512(omma_kernels *k);
void omma_fill_bf16_avx512bf16(omma_kernels *k);

/* Of limit.h; cpu: omma_cpu_features(). */
void omma_fill_limits_avx2(omma_limits *l, unsigned cpu);
void omma_fill_limits_avx512(omma_limits *l, unsigned cpu);
#endif

#ifdef __aarch64__
void omma_fill_gemm_neon(omma_kernels *k);
void omma_fill_math_neon(omma_kernels *k);
void omma_fill_reduce_neon(omma_kernels *k);
void omma_fill_conv_neon(omma_kernels *k);
void omma_fill_limits_neon(omma_limits *l, unsigned cpu);
#endif

/* The plain way to pack patches for panels of nr columns: any stride, any kernel. */
void omma_patches_plain(const omma_conv *p, const float *x, int64_t c0, int64_t c1, int64_t first,
                        int n, float *panel, int nr);

/* C[m,n] (=|+=) A[m,k] x B for a block small enough for the caches: panel p of B at
 * b + p*panel [floats]. One thread. For the rest as gemm_tile, of any m and n; e: what
 * belongs to this part of k. */
void omma_gemm_block(const omma_kernels *kern, int64_t m, int64_t n, int64_t k, const float *a,
                     int64_t lda, const float *b, int64_t panel, float *c, int64_t ldc, bool acc,
                     const omma_epilogue *e);

#endif
