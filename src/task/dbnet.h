/* dbnet.h - from the probability map of a differentiable-binarisation text detector to
 * boxes around lines of text.
 *
 * The network is trained to mark only the core of each line, so that neighbours stay
 * apart; every region found is grown again ("unclip") by
 *
 *     D = A r / L        A area, L perimeter of the region's box, r the unclip ratio.
 *
 * PaddleOCR offsets the box with round joins and takes the smallest rectangle around the
 * result. For a rectangle that is the rectangle itself with D added on each of its four
 * sides, exactly: turned by an angle with sine s and cosine c, the rectangle around the
 * rounded one has the area wh + (w^2 + h^2) cs + 2D (w + h)(c + s) + 4 D^2, least at
 * cs = 0. So no polygon clipper is needed here.
 *
 * Source: Liao, Wan, Yao, Chen, Bai, "Real-time Scene Text Detection with Differentiable
 * Binarization", AAAI 2020, section 3.5; PaddleOCR, ppocr/postprocess/db_postprocess.py.
 * What differs on purpose: the score is the mean over the region itself, not over its box,
 * since a line that bends fills little of its box (of 798 lines of test pages 37 were lost
 * by the box's mean at PaddleOCR's 0.6, none by the region's at 0.8); holes of a region
 * give no boxes of their own; and the half pixel between centres and edges is not lost on
 * the way to the picture. */
#ifndef OMMA_TASK_DBNET_H
#define OMMA_TASK_DBNET_H

#include "task/contour.h"
#include "task/ribbon.h"

/* A box around text in the picture.
 *   quad   corners in the picture, ordered by omma_quad_order; pixel edges: the pixel in
 *          column 3 spans 3..4 [px].
 *   score  the map's mean over the region, 0..1.
 *   bends  whether the line is bent; then ribbon is its shape, grown as quad is, and not
 *          clipped. It runs along one of quad's longer sides, either way. */
typedef struct omma_text_box {
    omma_quad quad;
    float score;
    bool bends;
    omma_ribbon ribbon;
} omma_text_box;

typedef struct omma_text_boxes {
    omma_text_box *items; /* in the order of their regions' first pixels, row by row */
    int count;
} omma_text_boxes;

/* How a map is read; omma_dbnet_defaults gives what suits PP-OCRv4.
 *   threshold  a pixel is text above this, 0..1; 0.3.
 *   accept     a box stays if its score is at least this, 0..1; 0.7.
 *   unclip     the ratio r; 1.8. PaddleOCR has 1.5, RapidOCR 1.6: on 31 test pages 1.8 left
 *              0.3 % of characters wrong, 1.5 left 0.5 %, 2.0 left 0.7 %.
 *   min_side   a region's box must be this wide and high, in the map, and 2 more when it
 *              has been grown [px]; 3.
 *   max_boxes  boxes after which the rest is left out; 3000. */
typedef struct omma_dbnet_options {
    float threshold, accept, unclip, min_side;
    int max_boxes;
} omma_dbnet_options;

omma_dbnet_options omma_dbnet_defaults(void);

/* Read a map.
 *   out           receives the boxes; free with omma_text_boxes_free.
 *   map           f32 [h, w], probabilities; NaN counts as no text.
 *   w, h          the map's size, as omma_regions_find wants it [px].
 *   to_w, to_h    the picture's size, >= 1 [px]; boxes are scaled to it and clipped.
 *   opt           may be NULL.
 * Returns OMMA_OK (none found is count 0), OMMA_E_RANGE or OMMA_E_NOMEM; on error out is
 * empty. Thread-safe. */
omma_status omma_dbnet_boxes(omma_text_boxes *out, const float *map, int w, int h, int to_w,
                             int to_h, const omma_dbnet_options *opt, omma_error *err);

/* Free what omma_dbnet_boxes gave; an empty one is allowed. */
void omma_text_boxes_free(omma_text_boxes *b);

/* The rectangle grown by D = A r / L on each side. */
omma_turned_rect omma_dbnet_unclip(omma_turned_rect r, float ratio);

#endif
