/* readnet.h - one network of a text reader: a model and its session, with one picture in
 * and one array of numbers out. */
#ifndef OMMA_TASK_READNET_H
#define OMMA_TASK_READNET_H

#include "base/error.h"

typedef struct omma_read_net {
    omma_model *model;
    omma_session *session;
    const char *path; /* the caller's; names the network in messages */
} omma_read_net;

/* Open a network.
 *   net   must be zero; free it with omma_read_net_free, after an error too.
 *   path  an ONNX file; stays the caller's and must outlive net.
 *   opt   may be NULL.
 * Returns OMMA_OK, OMMA_E_SHAPE (not one input) or what omma_model_open and
 * omma_session_new return. */
omma_status omma_read_net_open(omma_read_net *net, const char *path, const omma_options *opt,
                               omma_error *err);

void omma_read_net_free(omma_read_net *net);

/* Run a network.
 *   out   receives its first output, f32, valid until the next run.
 *   dims  the output's dimensions, rank of them: those wanted, -1 for any; receives those
 *         there are.
 *   rank  1..OMMA_MAX_RANK.
 *   x     f32 [1, 3, h, w].
 * Returns OMMA_OK, OMMA_E_SHAPE (another type, rank or size) or what omma_session_run
 * returns; messages name the file. */
omma_status omma_read_net_run(omma_read_net *net, const float **out, int64_t *dims, int rank,
                              float *x, int h, int w, omma_error *err);

/* Memory for f32 [3, h, w]; free with omma_mem_free. Returns OMMA_OK or OMMA_E_NOMEM. */
omma_status omma_read_net_input(float **x, int h, int w, omma_error *err);

#endif
