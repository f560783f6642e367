/* run.c - load a model, run it on zeros, print what comes out.
 *     cc run.c $(pkg-config --cflags --libs omma) -o run && ./run model.onnx */
#include <stdio.h>
#include <stdlib.h>

#include <omma/omma.h>

/* Zeros for an input. Sizes the file leaves open: a batch of 1, 3 channels, else 320. */
static omma_tensor zeros(const omma_port *p) {
    omma_tensor t = {.dtype = p->dtype, .rank = p->rank < 0 ? 0 : p->rank};
    for (int i = 0; i < t.rank; i++)
        t.dims[i] = p->dims[i] >= 0 ? p->dims[i] : i == 0 ? 1 : i == 1 && t.rank == 4 ? 3 : 320;
    int64_t count = omma_tensor_count(&t);
    if (count >= 0) t.data = calloc((size_t)count + 1, omma_dtype_size(t.dtype));
    return t;
}

static void print(const char *name, const omma_tensor *t) {
    printf("%s: %s [", name, omma_dtype_name(t->dtype));
    for (int i = 0; i < t->rank; i++) printf("%s%lld", i ? ", " : "", (long long)t->dims[i]);
    printf("]");
    int64_t n = omma_tensor_count(t);
    for (int64_t i = 0; i < n && i < 4; i++) {
        if (t->dtype == OMMA_F32) printf(" %g", (double)((const float *)t->data)[i]);
        if (t->dtype == OMMA_I64) printf(" %lld", (long long)((const int64_t *)t->data)[i]);
    }
    printf("%s\n", n > 4 ? " ..." : "");
}

int main(int argc, char **argv) {
    omma_error err = {.message = "usage: run MODEL.onnx"};
    omma_model *m = NULL;
    omma_session *s = NULL;
    omma_tensor in[16] = {0};
    int n = 0, bad = argc != 2 || omma_model_open(&m, argv[1], NULL, &err);
    for (; !bad && n < omma_model_input_count(m) && n < 16; n++)
        in[n] = zeros(omma_model_input(m, n));
    bad = bad || omma_session_new(&s, m, NULL, &err) || omma_session_run(s, in, n, &err);
    if (bad) fprintf(stderr, "%s\n", err.message);
    for (int i = 0; !bad && i < omma_model_output_count(m); i++)
        print(omma_model_output(m, i)->name, omma_session_output(s, i));
    omma_session_free(s);
    omma_model_free(m);
    while (n--) free(in[n].data);
    return bad != 0;
}
