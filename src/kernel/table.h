/* table.h - inside the kernels' room only: who fills the table, and what the files share.
 * Each function fills the slots of its file; a table starts as a copy of the next lower
 * one, so a slot that an instruction set does not improve keeps what was there. */
#ifndef OMMA_KERNEL_TABLE_H
#define OMMA_KERNEL_TABLE_H

#include <string.h>

#include "kernel/kernel.h"
#include "kernel/limit.h"

/* A float at any address, of memory declared as anything. */
typedef float omma_f32u __attribute__((aligned(1), may_alias));

/* The files every instruction set has: X(file, isa) for each. */
#define OMMA_KERNEL_FILES(X, isa) \
    X(gemm, isa)                  \
    X(math, isa)                  \
    X(reduce, isa)                \
    X(conv, isa)                  \
    X(depthwise, isa)             \
    X(winograd, isa)              \
    X(pool_last, isa)             \
    X(transpose, isa)             \
    X(attention, isa)

#define OMMA_DECLARE_FILL(file, isa) void omma_fill_##file##_##isa(omma_kernels *k);

OMMA_KERNEL_FILES(OMMA_DECLARE_FILL, c)
OMMA_DECLARE_FILL(int8, c)
OMMA_DECLARE_FILL(bf16, c)
#ifdef __x86_64__
OMMA_KERNEL_FILES(OMMA_DECLARE_FILL, avx2)
OMMA_KERNEL_FILES(OMMA_DECLARE_FILL, avx512)
OMMA_DECLARE_FILL(int8, avx2)
OMMA_DECLARE_FILL(int8, vnni)
OMMA_DECLARE_FILL(bf16, avx2)
OMMA_DECLARE_FILL(bf16, avx512)
OMMA_DECLARE_FILL(bf16, avx512bf16)

/* Of limit.h; cpu: omma_cpu_features(). */
void omma_fill_limits_avx2(omma_limits *l, unsigned cpu);
void omma_fill_limits_avx512(omma_limits *l, unsigned cpu);
#endif
#ifdef __aarch64__
OMMA_KERNEL_FILES(OMMA_DECLARE_FILL, neon)
void omma_fill_limits_neon(omma_limits *l, unsigned cpu);
#endif

/* The plain way to pack patches for panels of nr columns: any stride, any kernel. */
void omma_patches_plain(const omma_conv *p, const float *x, int64_t c0, int64_t c1, int64_t first,
                        int n, float *panel, int nr);

/* Memory that the next n tiles shall fetch, a share each: rows of so many lines of 64 bytes, pitch
 * bytes apart. */
typedef struct omma_fetch {
    const char *p;
    int64_t rows, row, pitch, n;
} omma_fetch;

/* The share of the next tile, which looks so often; lines is 0 when nothing is left. */
static inline omma_ahead omma_fetch_share(omma_fetch *f, int64_t looks) {
    omma_ahead ahead = {f->p, 0, f->row, f->pitch - f->row * 64};
    if (f->rows > 0) {
        const int64_t share = (f->rows * f->row + f->n - 1) / f->n;
        ahead.lines = (share + looks - 1) / looks;
        const int64_t rows = ahead.lines * looks / f->row;
        f->rows -= rows ? rows : 1;
        f->p += (rows ? rows : 1) * f->pitch;
    }
    f->n--;
    return ahead;
}

/* Flags of the tiles of a product or convolution that gives so many rows of n numbers: when they
 * are more than the caches near the processor can hold for whoever reads them, lines are not read
 * before they are overwritten, which halves what goes through memory. Not where the addend is read
 * from the same lines. */
static inline unsigned omma_tile_stream(int64_t rows, int64_t n, const float *c,
                                        const omma_epilogue *e) {
    const double large = 12 << 20; /* bytes */
    return 4 * (double)rows * (double)n >= large && !(e && e->add == c) ? OMMA_TILE_STREAM : 0;
}

/* Rows of words of four bytes, ld words apart: of floats, or of pairs of bfloat16. */
typedef struct omma_rows {
    const omma_f32u *p;
    int64_t ld;
} omma_rows;

/* Do rows so far apart share one set of the L1 cache, which holds fewer lines than a tile has rows?
 * They do when a multiple of 4 KiB lies between them. */
static inline bool omma_rows_crowded(int64_t ld) { return ld % 1024 == 0; }

/* How far rows of k words are apart as copied: whole lines, one more where k is whole lines. */
static inline int64_t omma_rows_copied_ld(int64_t k) { return k / 16 * 16 + 16; }

/* m rows of k words, copied to where they are not crowded. */
static inline omma_rows omma_rows_copied(omma_rows rows, int64_t m, int64_t k, float *copy) {
    const int64_t ld = omma_rows_copied_ld(k);
    for (int64_t i = 0; i < m; i++)
        memcpy(copy + i * ld, rows.p + i * rows.ld, (size_t)k * sizeof *copy);
    return (omma_rows){(const omma_f32u *)copy, ld};
}

/* C[m,n] (=|+=) A[m,k] x B for a block small enough for the caches: panel p of B at
 * b + p*panel [floats]. One thread. For the rest as gemm_tile, of any m and n; e: what
 * belongs to this part of k. */
void omma_gemm_block(const omma_kernels *kern, int64_t m, int64_t n, int64_t k, const float *a,
                     int64_t lda, const float *b, int64_t panel, float *c, int64_t ldc, bool acc,
                     const omma_epilogue *e);

#endif
