/* smallrun.h - runs of hostile models that stay small: made-up inputs of a few thousand numbers,
 * and a limit on arithmetic.
 *
 * How long a run takes is the model's business, so one that comes to too much arithmetic is refused
 * here, also behind a cut: the linker's --wrap puts us before omma_plan_run. */
#ifndef OMMA_FUZZ_SMALLRUN_H
#define OMMA_FUZZ_SMALLRUN_H

#include "fuzz.h"
#include "model/model.h"
#include "run/plan.h"
#include "run/session.h"

omma_status __real_omma_plan_run(omma_plan *p, const omma_tensor *in, int threads, omma_error *err);
omma_status __wrap_omma_plan_run(omma_plan *p, const omma_tensor *in, int threads, omma_error *err);

static const double smallrun_most = 3e7;
static double smallrun_flops; /* of this input so far */
static bool smallrun_random;  /* a node whose numbers differ from run to run has run */

static void smallrun_begin(void) { smallrun_flops = 0, smallrun_random = false; }

omma_status __wrap_omma_plan_run(omma_plan *p, const omma_tensor *in, int threads,
                                 omma_error *err) {
    for (int i = 0; i < p->graph->n_nodes; i++) {
        const omma_node *n = p->graph->nodes[i];
        double f = n->op->flops ? n->op->flops(n) : 0;
        for (int k = 0; k < n->n_out; k++)
            if (n->out[k]) f += (double)omma_value_count(n->out[k]);
        FUZZ_CHECK(f >= 0, "%s: %g operations", n->op->name, f);
        smallrun_flops += f + 100;
        smallrun_random |= n->op->flags & OMMA_OP_RANDOM;
    }
    if (smallrun_flops > smallrun_most)
        return omma_fail(err, OMMA_E_RANGE, "too much arithmetic for a fuzzer");
    return __real_omma_plan_run(p, in, threads, err);
}

static void smallrun_number(omma_tensor *t, int64_t i) {
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

/* Inputs for the model in memory of just their size, at most `most` numbers each; where it declares
 * more it is made to declare less. */
static omma_tensor *smallrun_inputs(omma_model *m, int64_t most) {
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
            if (t->dims[d] > most / (count ? count : 1))
                t->dims[d] = v->dims[d] = count > 512 ? 1 : 8;
            count *= t->dims[d];
        }
        count = omma_tensor_count(t);
        FUZZ_CHECK(count >= 0 && count < 1 << 24, "input of %lld numbers", (long long)count);
        size_t bytes = (size_t)count * omma_dtype_size(t->dtype);
        t->data = malloc(bytes ? bytes : 1);
        FUZZ_CHECK(t->data, "no memory");
        for (int64_t k = 0; k < count && bytes; k++) smallrun_number(t, k);
    }
    return in;
}

static size_t smallrun_bytes(const omma_tensor *t) {
    int64_t n = omma_tensor_count(t);
    FUZZ_CHECK(t->rank >= 0 && t->rank <= OMMA_MAX_RANK && n >= 0, "an output of no shape");
    FUZZ_CHECK(!n || !omma_dtype_size(t->dtype) || t->data, "an output without numbers");
    return (size_t)n * omma_dtype_size(t->dtype);
}

static void smallrun_free(omma_tensor *t, int n) {
    for (int i = 0; i < n; i++) free(t[i].data);
    free(t);
}

#endif
