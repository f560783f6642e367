/* attend.h - softmax(scale * Q KT + masks) V for many heads at once, where they lie. A driver on
 * top of the table of kernel.h, as those of gemm.c; what is said there of bits, threads and memory
 * holds here.
 *
 *   for each head (an index of up to three outer axes):
 *     s: [m, n] = scale * q kT, then softcap * tanh(s / softcap) if softcap > 0, then the masks
 *     o: [m, dv] = softmax(s) v          q: [m, d]   k: [n, d]   v: [n, dv]
 *
 * Every operand has strides of its own, so heads are read from a projection of [tokens, 3, heads,
 * d] or windows of it, a stride of 0 repeats (heads that share keys, a mask for all of them), and
 * k may lie transposed. Scores exist for a few queries and keys at a time (online softmax: Milakov
 * and Gimelshein, arXiv 1805.02867), so working memory grows with keys and not with their square.
 * Weights below 2^-100 of a row's largest count as 0: with denormals the products would crawl. */
#ifndef OMMA_KERNEL_ATTEND_H
#define OMMA_KERNEL_ATTEND_H

#include "kernel/kernel.h"

enum { OMMA_ATTENTION_OUTER = 3, OMMA_ATTENTION_MASKS = 2 };

/* Where element (outer index, row, column) lies [elements]. */
typedef struct omma_attention_at {
    int64_t outer[OMMA_ATTENTION_OUTER], row, col;
} omma_attention_at;

typedef struct omma_attention {
    int64_t outer[OMMA_ATTENTION_OUTER];          /* how many heads: their product */
    int64_t m, n, d, dv;                          /* n, d > 0 */
    omma_attention_at q, k, v, o;                 /* rows are queries or keys; o.col is 1 */
    omma_attention_at mask[OMMA_ATTENTION_MASKS]; /* over [m, n] */
    bool mask_is_bool[OMMA_ATTENTION_MASKS];      /* bytes, 0 hides; else f32 that is added */
    float scale, softcap;
    bool causal; /* query i sees keys up to i + causal_offset */
    int64_t causal_offset;
    int64_t valid_step[OMMA_ATTENTION_OUTER]; /* of the numbers of valid keys */
    bool hidden_is_zero;                      /* a row that sees no key gives 0, not NaN */
} omma_attention;

typedef struct omma_attention_data {
    const float *q, *k, *v;
    const void *mask[OMMA_ATTENTION_MASKS]; /* or NULL */
    const int64_t *valid; /* or NULL: keys that are there at all, each in [0, n]; causal order then
                             ends at the last of them: causal_offset becomes valid - m */
    float *o;
} omma_attention_data;

/* Bytes of working memory omma_attention_run needs with that many threads or fewer; false on
 * overflow. */
bool omma_attention_scratch(const omma_kernels *kern, const omma_attention *p, int threads,
                            size_t *bytes);

/* scratch: as omma_attention_scratch says, aligned to 64 bytes. o overlaps nothing else. */
void omma_attention_run(const omma_kernels *kern, int threads, const omma_attention *p,
                        const omma_attention_data *x, void *scratch);

#endif
