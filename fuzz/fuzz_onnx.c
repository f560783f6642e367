/* fuzz_onnx.c - ONNX files: opened, verified, made ready and run on small made-up inputs in a
 * few megabytes; then run again with values watched, which must change nothing.
 *
 * How long a run takes is the model's business, so a run that comes to too much arithmetic is
 * refused here, also behind a cut: the linker's --wrap puts us before omma_plan_run. */
#include <math.h>

#include "frombytes.h"
#include "model/model.h"
#include "onnxmutate.h"
#include "run/plan.h"
#include "run/session.h"

omma_status __real_omma_plan_run(omma_plan *p, const omma_tensor *in, int threads, omma_error *err);
omma_status __wrap_omma_plan_run(omma_plan *p, const omma_tensor *in, int threads, omma_error *err);

static const double flops_max = 3e7;
static double flops; /* of this input so far */
static bool random;  /* a node whose numbers differ from run to run has run */

omma_status __wrap_omma_plan_run(omma_plan *p, const omma_tensor *in, int threads,
                                 omma_error *err) {
    for (int i = 0; i < p->graph->n_nodes; i++) {
        const omma_node *n = p->graph->nodes[i];
        double f = n->op->flops ? n->op->flops(n) : 0;
        for (int k = 0; k < n->n_out; k++)
            if (n->out[k]) f += (double)omma_value_count(n->out[k]);
        FUZZ_CHECK(f >= 0, "%s: %g operations", n->op->name, f);
        flops += f + 100;
        random |= n->op->flags & OMMA_OP_RANDOM;
    }
    if (flops > flops_max) return omma_fail(err, OMMA_E_RANGE, "too much arithmetic for a fuzzer");
    return __real_omma_plan_run(p, in, threads, err);
}

static void number(omma_tensor *t, int64_t i) {
    static const int whole[] = {1, 0, 2, 1, 3, -1, 0, 4};
    switch (t->dtype) {
    case OMMA_F32: ((float *)t->data)[i] = (float)((i * 37 + 11) % 64 - 31) / 16; break;
    case OMMA_F64: ((double *)t->data)[i] = (double)((i * 37 + 11) % 64 - 31) / 16; break;
    case OMMA_I32: ((int32_t *)t->data)[i] = whole[i % 8]; break;
    case OMMA_I64: ((int64_t *)t->data)[i] = whole[i % 8]; break;
    case OMMA_BOOL: ((uint8_t *)t->data)[i] = i % 3 == 0; break;
    default: memset((char *)t->data + (size_t)i * omma_dtype_size(t->dtype), (int)(i % 61), 1);
    }
}

/* Inputs for the model in memory of just their size, at most a few thousand numbers each;
 * where it declares more it is made to declare less. */
static omma_tensor *make_inputs(omma_model *m) {
    int n = omma_model_input_count(m);
    omma_tensor *in = calloc((size_t)n + 1, sizeof *in);
    FUZZ_CHECK(in, "no memory");
    for (int i = 0; i < n; i++) {
        omma_value *v = m->graph->inputs[i];
        omma_tensor *t = &in[i];
        int64_t count = 1;
        *t = (omma_tensor){.dtype = v->dtype ? v->dtype : OMMA_F32, .rank = v->rank};
        if (t->rank < 0) t->rank = 2, t->dims[0] = 2, t->dims[1] = 3;
        for (int d = 0; d < v->rank; d++) {
            t->dims[d] = v->dims[d] >= 0 ? v->dims[d] : d ? 5 : 1;
            if (t->dims[d] > 4096 / (count ? count : 1))
                t->dims[d] = v->dims[d] = count > 512 ? 1 : 8;
            count *= t->dims[d];
        }
        count = omma_tensor_count(t);
        FUZZ_CHECK(count >= 0 && count < 1 << 24, "input of %lld numbers", (long long)count);
        size_t bytes = (size_t)count * omma_dtype_size(t->dtype);
        t->data = malloc(bytes ? bytes : 1);
        FUZZ_CHECK(t->data, "no memory");
        for (int64_t k = 0; k < count && bytes; k++) number(t, k);
    }
    return in;
}

static size_t tensor_bytes(const omma_tensor *t) {
    int64_t n = omma_tensor_count(t);
    FUZZ_CHECK(t->rank >= 0 && t->rank <= OMMA_MAX_RANK && n >= 0, "an output of no shape");
    FUZZ_CHECK(!n || !omma_dtype_size(t->dtype) || t->data, "an output without numbers");
    return (size_t)n * omma_dtype_size(t->dtype);
}

/* A copy of the outputs, tensors first. */
static omma_tensor *keep_outputs(const omma_session *s, int n) {
    omma_tensor *keep = calloc((size_t)n + 1, sizeof *keep);
    FUZZ_CHECK(keep, "no memory");
    for (int i = 0; i < n; i++) {
        const omma_tensor *t = omma_session_output(s, i);
        FUZZ_CHECK(t, "output %d is missing", i);
        keep[i] = *t;
        size_t bytes = tensor_bytes(t);
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
    if (fuzz_status(status, &err) || random) return; /* more memory, more arithmetic */
    for (int i = 0; i < g->n_outputs; i++) {
        const omma_tensor *t = omma_session_output(s, i);
        size_t bytes = tensor_bytes(t);
        FUZZ_CHECK(t->dtype == keep[i].dtype && bytes == tensor_bytes(&keep[i]),
                   "watching changes the shape of output %d", i);
        FUZZ_CHECK(!bytes || !memcmp(t->data, keep[i].data, bytes), "watching changes output %d",
                   i);
    }
    for (int i = 0; i < g->n_values; i += step) {
        const omma_tensor *t = omma_session_watched(s, g->values[i]->name);
        if (t) fuzz_read(t->data, tensor_bytes(t));
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
            fuzz_read(t->data, tensor_bytes(t));
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

static void free_tensors(omma_tensor *t, int n) {
    for (int i = 0; i < n; i++) free(t[i].data);
    free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const omma_options opt = {.max_memory = 16 << 20, .threads = 1};
    omma_error err = {0};
    omma_model *m;
    omma_session *s = NULL;
    frombytes_data = data, frombytes_size = size, flops = 0, random = false;
    if (fuzz_status(omma_model_open(&m, FUZZ_PATH, &opt, &err), &err)) return 0;
    FUZZ_CHECK(!omma_graph_verify(m->graph, &err), "%s", err.message);
    int n = omma_model_input_count(m), outs = omma_model_output_count(m);
    omma_tensor *in = make_inputs(m);
    if (!fuzz_status(omma_session_new(&s, m, &opt, &err), &err) &&
        !fuzz_status(omma_session_run(s, in, n, &err), &err)) {
        omma_tensor *keep = keep_outputs(s, outs);
        if (flops < flops_max / 4) watch_and_compare(s, m, in, keep);
        if (flops < flops_max / 4) read_backward(m, in, &opt);
        free_tensors(keep, outs);
    }
    omma_session_free(s);
    free_tensors(in, n);
    omma_model_free(m);
    return 0;
}
