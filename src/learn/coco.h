/* coco.h - COCO's detection files: the annotations of a data set and the results of a
 * detector, as compact arrays. The annotations of train2017 (448 MB, 860,001 boxes) become
 * 64 bytes a box; outlines are left in the file, at the offset each box remembers.
 *
 * Boxes only: results that carry masks and no box are refused. Ids are integers. Where
 * pycocotools quietly goes wrong (an id given twice, a box of no known image), this is an
 * error with its place in the file.
 *
 * Source: https://cocodataset.org/#format-data and #format-results.
 * Test: tests/test_eval.c. */
#ifndef OMMA_LEARN_COCO_H
#define OMMA_LEARN_COCO_H

#include <stdbool.h>

#include "base/arena.h"
#include "file/json.h"

/* An image. Its boxes are boxes[first .. first + count). */
typedef struct omma_coco_image {
    int64_t id;
    const char *file_name; /* "" when the file gives none */
    int32_t width, height; /* [px], 0 when the file gives none */
    int64_t first, count;
    int64_t offset; /* of its record in the file [bytes] */
} omma_coco_image;

typedef struct omma_coco_category {
    int64_t id;
    const char *name; /* "" when the file gives none */
    int64_t offset;
} omma_coco_category;

/* A box of the ground truth. */
typedef struct omma_coco_box {
    int64_t id;
    int64_t offset;    /* of its record in the file [bytes] */
    double bbox[4];    /* x, y of the top left corner, width, height [px] */
    double area;       /* of the object's outline as the file gives it [px^2] */
    int32_t image;     /* index into images */
    uint16_t category; /* index into categories */
    bool crowd;        /* a group of objects under one box */
} omma_coco_box;

/* A data set: images and categories by rising id; boxes by image, then as in the file. */
typedef struct omma_coco {
    omma_coco_image *images;
    omma_coco_category *categories;
    omma_coco_box *boxes;
    int64_t n_images, n_categories, n_boxes;
    omma_arena arena;
} omma_coco;

/* Read a data set's annotation file.
 *   out     filled; free it with omma_coco_free. Empty on error.
 *   path    a file of any size; it is mapped during the call.
 *   budget  what the arrays may take, up to 400 bytes a box while reading; may be NULL.
 * Returns OMMA_OK, OMMA_E_IO, OMMA_E_FORMAT (with byte and element: a missing field, a
 * wrong type, an id given twice, an id nothing has), OMMA_E_RANGE (more than 65,535
 * categories or 2^31 - 1 images) or OMMA_E_NOMEM. Thread-safe. */
omma_status omma_coco_read(omma_coco *out, const char *path, omma_budget *budget, omma_error *err);

/* As omma_coco_read, from size bytes at data; file names them and may be NULL. */
omma_status omma_coco_parse(omma_coco *out, const void *data, size_t size, const char *file,
                            omma_budget *budget, omma_error *err);

void omma_coco_free(omma_coco *c);

/* The index of an image or category by its id, -1 when there is none. */
int64_t omma_coco_find_image(const omma_coco *c, int64_t id);
int64_t omma_coco_find_category(const omma_coco *c, int64_t id);

/* A box a detector found. */
typedef struct omma_coco_found {
    double bbox[4]; /* as in omma_coco_box */
    double score;   /* any finite number; higher is surer */
    int32_t image;
    int32_t category; /* -1: an id the data set lacks */
} omma_coco_found;

/* A detector's results, as in the file. */
typedef struct omma_coco_results {
    omma_coco_found *items;
    int64_t count;
    int64_t unknown; /* items whose category is -1: they count for nothing */
    omma_arena arena;
} omma_coco_results;

/* Read a results file, [{"image_id", "category_id", "bbox", "score"}, ...].
 *   out    filled; free it with omma_coco_results_free. Empty on error.
 *   truth  the data set the ids belong to; read during the call only.
 * Returns as omma_coco_read; an image the data set lacks is OMMA_E_FORMAT. */
omma_status omma_coco_results_read(omma_coco_results *out, const omma_coco *truth, const char *path,
                                   omma_budget *budget, omma_error *err);
omma_status omma_coco_results_parse(omma_coco_results *out, const omma_coco *truth,
                                    const void *data, size_t size, const char *file,
                                    omma_budget *budget, omma_error *err);

void omma_coco_results_free(omma_coco_results *r);

/* Write one element of a results file into the array that is open in w.
 *   bbox  f32 [4], x, y, width, height [px]. */
void omma_coco_result_write(omma_json_writer *w, int64_t image_id, int64_t category_id,
                            const float *bbox, float score);

#endif
