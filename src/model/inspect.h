/* inspect.h - what a model comes to at given input shapes, without running it. */
#ifndef OMMA_MODEL_INSPECT_H
#define OMMA_MODEL_INSPECT_H

#include "model/model.h"

typedef struct omma_inspection {
    omma_arena arena;
    omma_tensor *inputs;  /* the shapes used */
    omma_tensor *outputs; /* shapes; data NULL; rank -1: only a run can tell */
    bool cut;             /* a part waits for a run; flops and bytes are of the part before */
    double flops;         /* of one run; a multiply-add counts as two */
    int nodes;            /* left after folding and fusing */
    size_t plan_bytes;    /* values and working memory */
    size_t packed_bytes;  /* weights in the form kernels read, beside the file */
} omma_inspection;

/* Picture sizes to try for a model that leaves them open, in this order [px]. */
enum { OMMA_INSPECT_SIZES = 5 };
extern const int64_t omma_inspect_sizes[OMMA_INSPECT_SIZES];

/* Shapes for the model's inputs: declared sizes, and where the file leaves one open the
 * batch is 1, the channels of a picture 3, anything else open. The arrays come from arena;
 * data is NULL. *open is set when a dimension other than these is open. */
omma_status omma_inspect_shapes(omma_tensor **out, const omma_model *m, int64_t open_size,
                                bool *open, omma_arena *arena, omma_error *err);

/* Specialise the model to these shapes and tell what it comes to. With shapes NULL, those of
 * omma_inspect_shapes for the first of a few common picture sizes that fits. Free with
 * omma_inspection_free, also after an error.
 * Returns what omma_session_run returns before it runs. */
omma_status omma_inspect(omma_inspection *out, const omma_model *m, const omma_tensor *shapes,
                         omma_error *err);
void omma_inspection_free(omma_inspection *x);

#endif
