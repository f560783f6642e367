/* readnet.c - open and run one network of a text reader; see readnet.h. */
#include "task/readnet.h"

#include <stdbool.h>

#include "base/arena.h"
#include "base/checked.h"

omma_status omma_read_net_open(omma_read_net *net, const char *path, const omma_options *opt,
                               omma_error *err) {
    net->path = path;
    OMMA_TRY(omma_model_open(&net->model, path, opt, err));
    int inputs = omma_model_input_count(net->model), outputs = omma_model_output_count(net->model);
    if (inputs != 1 || outputs < 1)
        return omma_fail_at(err, OMMA_E_SHAPE, path, -1,
                            "has %d inputs and %d outputs; a network of a reader has one of each",
                            inputs, outputs);
    omma_status status = omma_session_new(&net->session, net->model, opt, err);
    if (status) omma_error_in_file(err, path);
    return status;
}

void omma_read_net_free(omma_read_net *net) {
    omma_session_free(net->session);
    omma_model_free(net->model);
    *net = (omma_read_net){0};
}

/* Is y as wanted? Put its dimensions where any would do. */
static bool fits(const omma_tensor *y, int64_t *dims, int rank) {
    if (!y || y->dtype != OMMA_F32 || y->rank != rank) return false;
    for (int i = 0; i < rank; i++) {
        if (dims[i] >= 0 && y->dims[i] != dims[i]) return false;
        dims[i] = y->dims[i];
    }
    return true;
}

omma_status omma_read_net_run(omma_read_net *net, const float **out, int64_t *dims, int rank,
                              float *x, int h, int w, omma_error *err) {
    omma_tensor in = {.dtype = OMMA_F32, .rank = 4, .dims = {1, 3, h, w}, .data = x};
    omma_status status = omma_session_run(net->session, &in, 1, err);
    if (status) {
        omma_error_in_file(err, net->path);
        return status;
    }
    const omma_tensor *y = omma_session_output(net->session, 0);
    if (!fits(y, dims, rank))
        return omma_fail_at(err, OMMA_E_SHAPE, net->path, -1,
                            "its output has not the shape its place in a reader asks for");
    *out = y->data;
    return OMMA_OK;
}

omma_status omma_read_net_input(float **x, int h, int w, omma_error *err) {
    size_t n;
    *x = NULL;
    if (omma_mul((size_t)h, (size_t)w, &n) && omma_mul(n, 3 * sizeof(float), &n))
        *x = omma_mem_alloc(n);
    if (*x) return OMMA_OK;
    return omma_fail(err, OMMA_E_NOMEM, "no memory for an input of %d x %d pixels", w, h);
}
