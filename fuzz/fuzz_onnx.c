/* fuzz_onnx.c - ONNX files: opened, verified, made ready and run on small made-up inputs in a
 * few megabytes; then run again with values watched, which must change nothing. */
#include "frombytes.h"
#include "onnxmutate.h"
#include "smallrun.h"

/* A copy of the outputs, tensors first. */
static omma_tensor *keep_outputs(const omma_session *s, int n) {
    omma_tensor *keep = calloc((size_t)n + 1, sizeof *keep);
    FUZZ_CHECK(keep, "no memory");
    for (int i = 0; i < n; i++) {
        const omma_tensor *t = omma_session_output(s, i);
        FUZZ_CHECK(t, "output %d is missing", i);
        keep[i] = *t;
        size_t bytes = smallrun_bytes(t);
        keep[i].data = malloc(bytes + 1);
        FUZZ_CHECK(keep[i].data, "no memory");
        if (bytes) memcpy(keep[i].data, t->data, bytes);
    }
    return keep;
}

static void watch_and_compare(omma_session *s, const omma_model *m, const omma_tensor *in,
                              const omma_tensor *keep) {
    omma_error err = {0};
    const omma_graph *g = m->graph;
    int step = g->n_values / 8 + 1;
    for (int i = 0; i < g->n_values; i += step) omma_session_watch(s, g->values[i]->name, &err);
    omma_status status = omma_session_run(s, in, g->n_inputs, &err);
    if (fuzz_status(status, &err) || smallrun_random) return; /* more memory, more arithmetic */
    for (int i = 0; i < g->n_outputs; i++) {
        const omma_tensor *t = omma_session_output(s, i);
        size_t bytes = smallrun_bytes(t);
        FUZZ_CHECK(t->dtype == keep[i].dtype && bytes == smallrun_bytes(&keep[i]),
                   "watching changes the shape of output %d", i);
        FUZZ_CHECK(!bytes || !memcmp(t->data, keep[i].data, bytes), "watching changes output %d",
                   i);
    }
    for (int i = 0; i < g->n_values; i += step) {
        const omma_tensor *t = omma_session_watched(s, g->values[i]->name);
        if (t) fuzz_read(t->data, smallrun_bytes(t));
    }
}

/* The readings in reverse on what ran: the gradient of the outputs by the inputs, and the field of
 * the last number of each, with and without the numbers at hand. */
static void read_backward(const omma_model *m, const omma_tensor *in, const omma_options *opt) {
    omma_error err = {0};
    omma_gradient *g = NULL;
    const omma_graph *graph = m->graph;
    if (!fuzz_status(omma_gradient_new(&g, m, NULL, opt, &err), &err) &&
        !fuzz_status(omma_gradient_run(g, in, graph->n_inputs, NULL, &err), &err))
        for (int i = 0; i < omma_gradient_count(g); i++) {
            const omma_tensor *t = omma_gradient_result(g, i);
            FUZZ_CHECK(t, "no gradient %d", i);
            fuzz_read(t->data, smallrun_bytes(t));
        }
    omma_gradient_free(g);
    omma_fov *f = NULL;
    if (!fuzz_status(omma_fov_new(&f, m, in, graph->n_inputs, opt, &err), &err))
        for (int i = 0; i < graph->n_outputs; i++) {
            int64_t at[OMMA_MAX_RANK], dims[OMMA_MAX_RANK];
            int rank;
            const char *name = graph->outputs[i]->name;
            if (omma_fov_shape(f, name, &rank, dims, &err)) continue;
            for (int d = 0; d < rank; d++) at[d] = dims[d] - 1;
            for (int k = 0; k < graph->n_inputs; k++) {
                int r;
                if (omma_fov_shape(f, graph->inputs[k]->name, &r, dims, &err)) continue;
                uint64_t *bits = calloc((size_t)omma_tensor_count(&in[k]) / 64 + 1, 8);
                FUZZ_CHECK(bits, "no memory");
                fuzz_status(omma_fov_back(f, name, at, OMMA_FOV_STRUCTURAL, graph->inputs[k]->name,
                                          bits, NULL, &err),
                            &err);
                free(bits);
            }
        }
    omma_fov_free(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const omma_options opt = {.max_memory = 16 << 20, .threads = 1};
    omma_error err = {0};
    omma_model *m;
    omma_session *s = NULL;
    frombytes_data = data, frombytes_size = size, smallrun_begin();
    if (fuzz_status(omma_model_open(&m, FUZZ_PATH, &opt, &err), &err)) return 0;
    FUZZ_CHECK(!omma_graph_verify(m->graph, &err), "%s", err.message);
    int n = omma_model_input_count(m), outs = omma_model_output_count(m);
    omma_tensor *in = smallrun_inputs(m, 4096);
    if (!fuzz_status(omma_session_new(&s, m, &opt, &err), &err) &&
        !fuzz_status(omma_session_run(s, in, n, &err), &err)) {
        omma_tensor *keep = keep_outputs(s, outs);
        if (smallrun_flops < smallrun_most / 4) watch_and_compare(s, m, in, keep);
        if (smallrun_flops < smallrun_most / 4) read_backward(m, in, &opt);
        smallrun_free(keep, outs);
    }
    omma_session_free(s);
    smallrun_free(in, n);
    omma_model_free(m);
    return 0;
}
