/* eval_boxes.h - how good are the boxes of a detector: COCO's average precision and recall,
 * and Pascal VOC's average precision.
 *
 * COCO's numbers are those of pycocotools' COCOeval with iouType 'bbox', rule by rule.
 * One trap is not reproduced: there, an annotation whose id is 0 can never be found,
 * since 0 doubles as "no match"; here ids are only names.
 *
 * Sources: T.-Y. Lin et al., "Microsoft COCO", 2014, and https://cocodataset.org/#detection-eval;
 * M. Everingham et al., "The Pascal Visual Object Classes Challenge: A Retrospective", 2015.
 * Test: tests/test_eval.c. */
#ifndef OMMA_LEARN_EVAL_BOXES_H
#define OMMA_LEARN_EVAL_BOXES_H

#include "learn/coco.h"

enum { OMMA_EVAL_LINES = 12 };

/* COCO's twelve numbers: what each averages over. */
typedef struct omma_eval_line {
    const char *name; /* "AP", "AP50", ..., "ARlarge" */
    bool recall;      /* average recall, not precision */
    double iou;       /* one threshold, 0 for the mean over all */
    const char *area; /* "all", "small", "medium", "large": < 32^2, < 96^2, above [px^2] */
    int max_dets;     /* the surest boxes of an image and class that count */
} omma_eval_line;
extern const omma_eval_line omma_eval_lines[OMMA_EVAL_LINES];

/* One class. Numbers are -1 where there is nothing to find. */
typedef struct omma_eval_class {
    int32_t category;       /* index into the data set's categories */
    int64_t truths, crowds; /* boxes to find; crowds, which may be found or not */
    int64_t found;          /* boxes found */
    int64_t hits, misfires; /* true and false positives at the lowest threshold */
    double ap, ap50, ap75;  /* all areas, 100 boxes an image */
    double ar;              /* average recall, likewise */
} omma_eval_class;

typedef struct omma_eval {
    double lines[OMMA_EVAL_LINES]; /* as omma_eval_lines; -1: nothing to find */
    omma_eval_class *classes;      /* one for each category, in the data set's order */
    int64_t n_classes;
    omma_arena arena;
} omma_eval;

/* Evaluate as COCO does.
 *   out     filled; free it with omma_eval_free. Empty on error.
 *   truth, found   of one data set; found may be empty.
 *   iou     0 for the ten thresholds .50, .55, ... .95; else the only one, 0 < iou <= 1.
 *           Lines and fields about another threshold are -1 then.
 *   budget  for results and working memory; may be NULL.
 * Returns OMMA_OK, OMMA_E_USAGE (iou) or OMMA_E_NOMEM. Thread-safe; the same numbers on
 * every machine. Source: pycocotools 2.0, COCOeval. */
omma_status omma_eval_coco(omma_eval *out, const omma_coco *truth, const omma_coco_results *found,
                           double iou, omma_budget *budget, omma_error *err);

/* Evaluate as Pascal VOC does: boxes are whole pixels with both ends included, so a width
 * of w covers w + 1 pixels; a crowd counts as "difficult": finding it is neither right
 * nor wrong; any number of boxes per image counts.
 *   iou     0 < iou <= 1; VOC's own is 0.5.
 *   eleven  false: the area under the interpolated curve (VOC 2010 and later); true: the
 *           mean at the eleven recalls 0, .1, ... 1 (VOC 2007).
 * out->lines[0] is the mean average precision over classes with boxes to find, the other
 * lines are -1; classes have ap and ar, the recall reached. Otherwise as omma_eval_coco.
 * Source: VOCdevkit, VOCevaldet; checked against github.com/rafaelpadilla. */
omma_status omma_eval_voc(omma_eval *out, const omma_coco *truth, const omma_coco_results *found,
                          double iou, bool eleven, omma_budget *budget, omma_error *err);

void omma_eval_free(omma_eval *e);

#endif
