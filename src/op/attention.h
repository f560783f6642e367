/* attention.h - the node Attention as its rooms see it: what its run (attention.c) and the plainer
 * operators it stands for (attention_parts.c) share. */
#ifndef OMMA_OP_ATTENTION_H
#define OMMA_OP_ATTENTION_H

#include "kernel/attend.h"
#include "op/make.h"

enum {
    OMMA_ATT_Q,
    OMMA_ATT_K,
    OMMA_ATT_V,
    OMMA_ATT_MASK,
    OMMA_ATT_PAST_K,
    OMMA_ATT_PAST_V,
    OMMA_ATT_NONPAD
};                                                                            /* inputs */
enum { OMMA_ATT_Y, OMMA_ATT_PRESENT_K, OMMA_ATT_PRESENT_V, OMMA_ATT_SCORES }; /* outputs */
enum {
    OMMA_ATT_PRODUCT,
    OMMA_ATT_SOFTCAP,
    OMMA_ATT_MASKED,
    OMMA_ATT_SOFTMAX
}; /* qk_matmul_output_mode */

/* Where heads' rows lie [elements]. */
typedef struct omma_rows_at {
    int64_t batch, head, row;
} omma_rows_at;

/* n->param. */
typedef struct omma_attending {
    int64_t batch, heads, groups; /* groups: heads of keys and values */
    int64_t q_len, kv_len, past, total;
    int64_t d, e; /* numbers of a key; of a value */
    omma_rows_at q, k, v, y;
    bool causal;
    float scale, softcap; /* softcap 0: none */
    int64_t mode;
    int64_t mask_step[4], mask_len; /* strides over [B, H, Q, T]; keys beyond mask_len are masked */
    bool fast;                      /* y by the kernel */
    omma_attention kernel;
    int workers;                           /* threads the working memory is for */
    size_t join_at[2], rows_at, kernel_at; /* parts of the working memory */
    size_t row_bytes;                      /* of one worker's row of scores */
} omma_attending;

/* The row's parts. */
omma_status omma_attention_parts(omma_maker *m, const omma_node *n);

#endif
