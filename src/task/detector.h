/* detector.h - from a picture to boxes: detectors with the interface of DEIMv2's exports.
 *
 * Inputs: images f32 [N, 3, H, W], the picture stretched to H x W and divided by 255, and
 * orig_target_sizes i64 [N, 2], the picture's width and height. Outputs: labels i64 [N, Q]
 * (class 0..79), boxes f32 [N, Q, 4] (x0, y0, x1, y1 in the picture's pixels) and scores
 * f32 [N, Q], best first. They are found by their types and shapes, not by their names.
 * Source: DEIMv2, tools/deployment/export_onnx.py. */
#ifndef OMMA_TASK_DETECTOR_H
#define OMMA_TASK_DETECTOR_H

#include "base/error.h"
#include "file/image.h"

typedef struct omma_detection {
    int label;    /* class index */
    float score;  /* 0..1 */
    float box[4]; /* x0, y0, x1, y1 [px] of the picture */
} omma_detection;

typedef struct omma_detector omma_detector;

/* Load a detector.
 *   out   free with omma_detector_free.
 *   path  an ONNX file.
 *   opt   may be NULL.
 * Returns what omma_model_open and omma_session_new return, and OMMA_E_UNSUPPORTED for a
 * model with another interface. */
omma_status omma_detector_new(omma_detector **out, const char *path, const omma_options *opt,
                              omma_error *err);
void omma_detector_free(omma_detector *d);

/* Find things in one picture.
 *   found  receives the model's rows, best first; owned by the detector until its next
 *          run.
 *   count  receives their number.
 * Returns what omma_session_run and omma_resize_u8 return. One thread at a time. */
omma_status omma_detector_run(omma_detector *d, const omma_detection **found, int *count,
                              const omma_image *img, omma_error *err);

/* What the model is given for a picture: two tensors in its inputs' order. They lie in the
 * detector until its next run or feed, the sizes in `size`. Returns what omma_resize_u8 returns. */
omma_status omma_detector_feed(omma_detector *d, omma_tensor in[2], int64_t size[2],
                               const omma_image *img, omma_error *err);

#endif
