/* eval_order.h - boxes in the order an evaluation walks them: what eval_coco.c and
 * eval_voc.c share. */
#ifndef OMMA_LEARN_EVAL_ORDER_H
#define OMMA_LEARN_EVAL_ORDER_H

#include "learn/eval_boxes.h"

/* A box to find, or one found: where it belongs and where it is. */
typedef struct omma_eval_item {
    double score;  /* 0 for a box to find */
    int64_t index; /* into the data set's boxes or the results' items */
    int32_t category, image;
} omma_eval_item;

/* Items from..to of a list, to excluded. */
typedef struct omma_eval_range {
    int64_t from, to;
} omma_eval_range;

/* Both sides of an evaluation, sorted.
 *   truths  by category, image, then as in the file.
 *   found   by category, image when by_image, falling score, then as in the file; items of
 *           categories the data set lacks are left out. */
typedef struct omma_eval_order {
    omma_eval_item *truths, *found;
    int64_t n_truths, n_found;
} omma_eval_order;

/* Make out->classes with their counts and sort both sides into work. */
omma_status omma_eval_begin(omma_eval *out, omma_eval_order *order, const omma_coco *truth,
                            const omma_coco_results *found, double iou, bool by_image,
                            omma_arena *work, omma_error *err);

/* The items from `from` on that belong to a category: their range. */
omma_eval_range omma_eval_of_category(const omma_eval_item *items, int64_t n, int64_t from,
                                      int32_t category);

/* The items from `from` on, before `to`, that belong to an image: their range. */
omma_eval_range omma_eval_of_image(const omma_eval_item *items, int64_t from, int64_t to,
                                   int32_t image);

#endif
