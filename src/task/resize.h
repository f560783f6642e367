/* resize.h - resize of 8-bit pictures as Pillow does it, to the bit, so that a model sees
 * the pixels it was trained on. Antialiased: when shrinking, the filter widens with the
 * scale. */
#ifndef OMMA_TASK_RESIZE_H
#define OMMA_TASK_RESIZE_H

#include "base/error.h"

typedef enum omma_filter {
    OMMA_FILTER_BILINEAR = 2, /* triangle, support 1; the values are Pillow's */
    OMMA_FILTER_BICUBIC = 3   /* Keys' cubic with a = -0.5, support 2 */
} omma_filter;

/* Resize a picture with one of Pillow's antialiased filters.
 *   dst        u8 [dst_h, dst_w, channels], dense, caller's memory; must not overlap src.
 *   dst sizes  1..OMMA_IMAGE_MAX_SIDE [px].
 *   src        u8 [src_h, src_w, channels], row pitch src_pitch >= channels*src_w [bytes].
 *   src sizes  1..OMMA_IMAGE_MAX_SIDE [px].
 *   channels   1 or 3.
 * Returns OMMA_OK, OMMA_E_RANGE (a size, a pitch or channels), OMMA_E_USAGE (filter) or
 * OMMA_E_NOMEM; on error dst is untouched. Thread-safe; bit-exact on every CPU.
 * Source: Pillow 9.4, Resample.c. Test: tests/golden/resize. */
omma_status omma_resize_u8(unsigned char *dst, int dst_w, int dst_h, const unsigned char *src,
                           int src_w, int src_h, size_t src_pitch, int channels, omma_filter filter,
                           omma_error *err);

#endif
