/* samples.h - what a model is given for the files of a folder: pictures made into tensors, or
 * tensors as they are. */
#ifndef OMMA_CLI_SAMPLES_H
#define OMMA_CLI_SAMPLES_H

#include "base/arena.h"
#include "model/model.h"

/* How pictures become tensors for a model that is no detector: y = (x / 255 - mean) / std. */
typedef struct omma_samples_how {
    const char *model; /* the file */
    int most;          /* samples to take, spread over the folder */
    int h, w;          /* [px]; 0: as the model declares */
    double mean[3], std[3];
    omma_options opt;
    void (*progress)(void *user, const char *what, int done, int total);
    void *user;
} omma_samples_how;

/* Take samples from a folder, or from one file of its kind. The folder holds pictures, or .npy
 * files for a model with one input, or for one with more a folder for each sample with NAME.npy for
 * each input ('/' as '_'). out    receives *count arrays of tensors by input, on arena. Pictures
 * for a detector (task/detector.h) are prepared as `omma detect` does. Returns OMMA_OK, OMMA_E_IO,
 * OMMA_E_UNSUPPORTED (pictures do not fit the model's inputs) or what reading returns.
 */
omma_status omma_samples_read(const omma_tensor *const **out, int *count, omma_arena *arena,
                              const omma_model *m, const char *folder, const omma_samples_how *how,
                              omma_error *err);

#endif
