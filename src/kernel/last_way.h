/* last_way.h - inside the kernels' room: the ways a channels-last convolution is computed. Each is
 * a file of its own; last.c asks them in order and takes the first that fits. */
#ifndef OMMA_KERNEL_LAST_WAY_H
#define OMMA_KERNEL_LAST_WAY_H

#include "kernel/last.h"

/* One product of the matrix of pixels. */
static inline bool omma_conv_is_product(const omma_conv *p) {
    return p->groups == 1 && !p->planes && p->kh == 1 && p->kw == 1 && p->stride_h == 1 &&
           p->stride_w == 1 && !p->pad_top && !p->pad_left && p->oh == p->h && p->ow == p->w;
}

static inline bool omma_conv_is_depthwise(const omma_conv *p) {
    return p->c == 1 && p->m == p->groups && !p->planes;
}

/* As the functions of last.h; p is not empty and its sizes were checked. The answer of fits, and
 * form, may depend on everything in p and on the table, never on the number of threads: else the
 * bits would. */
typedef struct omma_last_way {
    bool (*fits)(const omma_kernels *kern, const omma_conv *p);
    const char *(*form)(const omma_kernels *kern, const omma_conv *p);
    bool (*packed_bytes)(const omma_kernels *kern, const omma_conv *p, size_t *bytes);
    void (*pack)(const omma_kernels *kern, const omma_conv *p, void *dst, const void *weights,
                 int threads);
    bool (*scratch)(const omma_kernels *kern, const omma_conv *p, int threads, size_t *bytes);
    void (*run)(const omma_kernels *kern, int threads, const omma_conv *p, const float *x,
                int64_t x_ld, const void *packed, float *y, int64_t y_ld, const omma_epilogue *e,
                void *scratch);
} omma_last_way;

struct omma_bf16_out; /* bf16.h */

/* last_direct.c on a dense map of pairs of bfloat16, p->c of them in each group, and weights packed
 * as omma_bf16_conv_pack does; the sizes are those of omma_last_direct for p. */
void omma_last_direct_pairs(const omma_kernels *kern, int threads, const omma_conv *p,
                            const void *x, const void *packed, void *y,
                            const struct omma_bf16_out *o, void *scratch);

extern const omma_last_way omma_last_direct;    /* any geometry, as products */
extern const omma_last_way omma_last_plain;     /* any geometry, plain loops */
extern const omma_last_way omma_last_depthwise; /* one input channel per output channel */
extern const omma_last_way omma_last_winograd;  /* 3x3 without strides, where it pays */

#endif
