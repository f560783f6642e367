/* window.h - sliding windows: what convolutions and poolings share.
 *
 * Along a spatial axis, output o sees the inputs o*stride - pad + i*dilation for i in
 * [0, kernel). The attributes strides, dilations, pads and auto_pad are read and checked
 * here once; every number of an omma_window is at most INT32_MAX, so products of two of
 * them fit an int64_t. */
#ifndef OMMA_OP_WINDOW_H
#define OMMA_OP_WINDOW_H

#include "op/field.h"

enum { OMMA_MAX_SPATIAL = OMMA_MAX_RANK - 2 };

typedef enum omma_auto_pad {
    OMMA_PAD_GIVEN,
    OMMA_PAD_UPPER,
    OMMA_PAD_LOWER,
    OMMA_PAD_VALID
} omma_auto_pad;

typedef struct omma_window {
    int k;                            /* spatial axes, 1..OMMA_MAX_SPATIAL */
    int64_t kernel[OMMA_MAX_SPATIAL]; /* >= 1, as the strides and dilations */
    int64_t in[OMMA_MAX_SPATIAL], out[OMMA_MAX_SPATIAL];
    int64_t stride[OMMA_MAX_SPATIAL], dilation[OMMA_MAX_SPATIAL];
    int64_t pad[OMMA_MAX_SPATIAL]; /* before; >= 0 */
    int64_t pad_end[OMMA_MAX_SPATIAL];
    omma_auto_pad auto_pad;
    int64_t kernel_count, in_count; /* products of kernel and of in */
} omma_window;

/* Read the attributes of a node over x: [N, C, spatial...] with these kernel sizes;
 * everything but out, and the pads of auto_pad, is set. */
omma_status omma_window_read(omma_build *b, const omma_node *n, const omma_value *x,
                             const int64_t *kernel, omma_window *w);

/* The kernel_shape attribute for k axes. *found is false when it is left out. */
omma_status omma_window_kernel(omma_build *b, const omma_node *n, int k, int64_t *kernel,
                               bool *found);

/* Set out (and the pads of auto_pad) of a convolution or pooling: rounded down, or up with
 * ceil, windows that would start in the padding behind the input left out. */
omma_status omma_window_slide(omma_build *b, const omma_node *n, bool ceil, omma_window *w);

/* Which inputs along spatial axis d the outputs of axis `from` see. */
static inline omma_map omma_window_map(const omma_window *w, int d, int from) {
    return omma_map_window(from, w->stride[d], -w->pad[d], w->dilation[d], w->kernel[d]);
}

/* Which taps along spatial axis d the outputs of axis `from` use: those not in the padding. Failure
 * is in f->status. */
omma_map omma_window_taps(omma_field *f, const omma_window *w, int d, int from);

/* Is t one of the floating types convolutions take? */
static inline bool omma_is_float(omma_dtype t) {
    return t == OMMA_F32 || t == OMMA_F64 || t == OMMA_F16 || t == OMMA_BF16;
}

/* omma_get_number with the usual types first. */
static inline double omma_number(omma_dtype t, const void *p, int64_t i) {
    if (t == OMMA_F32) return ((const float *)p)[i];
    if (t == OMMA_F64) return ((const double *)p)[i];
    return omma_get_number(t, p, i);
}

/* at[k] = coordinates of row-major index i in dims. */
static inline void omma_unravel(int64_t i, const int64_t *dims, int k, int64_t *at) {
    for (int d = k - 1; d >= 0; d--) {
        at[d] = i % dims[d];
        i /= dims[d];
    }
}

/* Offset in the input plane of kernel tap `tap` for the output at `at`, or -1 in the padding. */
static inline int64_t omma_window_at(const omma_window *w, const int64_t *at, int64_t tap) {
    int64_t t[OMMA_MAX_SPATIAL], offset = 0;
    omma_unravel(tap, w->kernel, w->k, t);
    for (int d = 0; d < w->k; d++) {
        int64_t i = at[d] * w->stride[d] - w->pad[d] + t[d] * w->dilation[d];
        if (i < 0 || i >= w->in[d]) return -1;
        offset = offset * w->in[d] + i;
    }
    return offset;
}

#endif
