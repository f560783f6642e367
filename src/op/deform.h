/* deform.h - where the taps of a deformable convolution read, for the rooms that follow them:
 * deform_conv.c forward, deform_columns.c back.
 *
 *   offset: [N, G * taps * 2, oh, ow], (y, x) pairs   mask: [N, G * taps, oh, ow] or NULL
 *
 * Tap t of output pixel o reads at o*stride - pad + t*dilation + offset, between four pixels, and
 * counts times the mask. Channels are cut into G runs with offsets of their own. */
#ifndef OMMA_OP_DEFORM_H
#define OMMA_OP_DEFORM_H

#include "op/grad.h"
#include "op/window.h"

typedef struct omma_deform {
    omma_window win;             /* of two spatial axes */
    int64_t n, channels, groups; /* images, channels of x, runs of them: G */
    int64_t taps, pixels, plane; /* pixels: of an output plane */
    omma_dtype type;             /* of offset and mask */
} omma_deform;

/* Set everything from the attributes of a node over an image [N, C, H, W] with a kernel of these
 * two sizes, and check offset and mask. */
omma_status omma_deform_read(omma_build *b, const omma_node *n, const omma_value *image,
                             const int64_t *kernel, const omma_value *offset,
                             const omma_value *mask, omma_deform *p);

/* Where tap t of offset group g reads for output pixel o of image n. */
typedef struct omma_place {
    double y, x, scale;
} omma_place;

/* The numbers of offset and mask (or NULL) are at these addresses. */
omma_place omma_deform_place(const omma_deform *p, const void *offset, const void *mask, int64_t n,
                             int64_t g, int64_t t, int64_t o);

/* The four pixels around a place, row by row, the bilinear weights, which are 0 for those outside,
 * and how far the place is behind the first. A place that is a pixel or more outside has none. */
typedef struct omma_corners {
    int64_t at[4];
    double w[4];
    bool in[4];
    double fy, fx;
} omma_corners;

omma_corners omma_deform_corners(const omma_window *win, double y, double x);

/* --- the way back (deform_columns.c) ------------------------------------------------------------
 */

/* By the attributes of the convolution, which kernel_shape must be among, with columns: [N, C,
 * taps, oh*ow], what each tap sees in each channel. DeformColumns  x, offset, mask -> columns
 *   DeformSpread   columns, offset, mask -> x, whose spatial dims OMMA_DEFORM_IMAGE gives: each
 *                  number is added to the four pixels it is made from
 *   DeformMoves    x, d, offset, mask -> the cotangents of offset and of mask for d, that of the
 *                  columns */
extern const omma_op omma_op_DeformColumns, omma_op_DeformSpread, omma_op_DeformMoves;
#define OMMA_DEFORM_IMAGE "omma.image"

#endif
