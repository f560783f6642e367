/* test_alloc_fail.c - memory that runs out at any moment: the k-th request for memory fails, for
 * every k that opening, making ready and running a model gets to. Each failure must be
 * OMMA_E_NOMEM with a message, leak nothing (the sanitizer build sees to that), and leave
 * what was made before in working order: the same step works when it is tried again, and the
 * numbers are right. */
#define _DEFAULT_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/arena.h"
#include "model/inspect.h"
#include "onnxmake.h"

/* A model on disk and what it is run on. */
typedef struct subject {
    char path[64];
    omma_tensor in[2];
    int n_in;
    char weights[64];  /* a file beside it, or "" */
    const char *watch; /* NULL: nothing */
    bool external;
    float *want; /* output 0 of an undisturbed run */
    int64_t count;
} subject;

static float numbers[4096];

static void write_subject(subject *x, mk *graph) {
    mk m = mk_model(graph, 17);
    mk_write(x->path, &m);
    mk_free(&m);
}

/* --- the models ------------------------------------------------------------------------- */

/* Conv, BatchNormalization and Relu (to be fused), ConvTranspose, pooling, flattening, Gemm. */
static void convolutions(subject *x) {
    mk g = {0}, a = {0};
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(1, 3, -1, -1));
    mk_floats(&g, "w", numbers, MK_DIMS(4, 3, 3, 3));
    for (int i = 0; i < 4; i++)
        mk_floats(&g, (const char *[]){"s", "b", "m", "v"}[i], numbers + 512, MK_DIMS(4));
    mk_floats(&g, "t", numbers, MK_DIMS(4, 2, 2, 2));
    mk_floats(&g, "f", numbers, MK_DIMS(5, 2));
    mk_attr_ints(&a, "pads", (int64_t[]){1, 1, 1, 1}, 4);
    mk_op(&g, "Conv", "x,w", "c", &a);
    mk_op(&g, "BatchNormalization", "c,s,b,m,v", "n", NULL);
    mk_op(&g, "Relu", "n", "r", NULL);
    mk_op(&g, "ConvTranspose", "r,t", "u", NULL);
    mk_op(&g, "GlobalAveragePool", "u", "p", NULL);
    mk_op(&g, "Flatten", "p", "q", NULL);
    mk_attr_int(&a, "transB", 1);
    mk_op(&g, "Gemm", "q,f", "y", &a);
    mk_port(&g, MK_OUTPUT, "y", OMMA_F32, MK_DIMS(1, 5));
    write_subject(x, &g);
    x->in[0] = (omma_tensor){OMMA_F32, 4, {1, 3, 8, 8}, numbers};
    x->n_in = 1;
    x->watch = "r";
}

/* softmax(x wq (x wk)^T) (x wv): the shapes reshaped and transposed on the way, with shape
 * arithmetic that is folded away. */
static void attention(subject *x) {
    mk g = {0}, a = {0};
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(-1, 8));
    for (int i = 0; i < 3; i++)
        mk_floats(&g, (const char *[]){"wq", "wk", "wv"}[i], numbers + 64 * i, MK_DIMS(8, 8));
    mk_ints(&g, "first", (int64_t[]){0}, 1);
    mk_ints(&g, "rest", (int64_t[]){2, 4}, 2);
    mk_op(&g, "Shape", "x", "sx", NULL);
    mk_op(&g, "Gather", "sx,first", "rows", NULL);
    mk_attr_int(&a, "axis", 0);
    mk_op(&g, "Concat", "rows,rest", "to", &a);
    for (int i = 0; i < 3; i++) {
        char in[16], mid[8], out[8], flat[16];
        snprintf(in, sizeof in, "x,w%c", "qkv"[i]);
        snprintf(mid, sizeof mid, "m%d", i), snprintf(out, sizeof out, "h%d", i);
        snprintf(flat, sizeof flat, "m%d,to", i);
        mk_op(&g, "MatMul", in, mid, NULL);
        snprintf(mid, sizeof mid, "r%d", i);
        mk_op(&g, "Reshape", flat, mid, NULL);
        mk_attr_ints(&a, "perm", i == 1 ? (int64_t[]){1, 2, 0} : (int64_t[]){1, 0, 2}, 3);
        mk_op(&g, "Transpose", mid, out, &a);
    }
    mk_op(&g, "MatMul", "h0,h1", "scores", NULL);
    mk_op(&g, "Softmax", "scores", "weights", NULL);
    mk_op(&g, "MatMul", "weights,h2", "y", NULL);
    mk_port(&g, MK_OUTPUT, "y", OMMA_F32, MK_DIMS(2, -1, 4));
    write_subject(x, &g);
    x->in[0] = (omma_tensor){OMMA_F32, 2, {6, 8}, numbers};
    x->n_in = 1;
    x->watch = "weights";
}

/* Which elements are positive is known only when the first part has run: the plan is cut. */
static void cut_plan(subject *x) {
    mk g = {0};
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(-1));
    mk_floats(&g, "zero", (float[]){0}, MK_DIMS(1));
    mk_floats(&g, "w", (float[]){2}, MK_DIMS(1));
    mk_op(&g, "Greater", "x,zero", "p", NULL);
    mk_op(&g, "Compress", "x,p", "kept", NULL);
    mk_op(&g, "Mul", "kept,w", "d", NULL);
    mk_op(&g, "Softmax", "d", "y", NULL);
    mk_port(&g, MK_OUTPUT, "y", OMMA_F32, MK_DIMS(-1));
    write_subject(x, &g);
    x->in[0] = (omma_tensor){OMMA_F32, 1, {32}, numbers};
    x->n_in = 1;
    x->watch = "d";
}

/* Weights in a file of their own. */
static void external(subject *x) {
    mk bytes = {0}, g = {0}, t;
    mk_put(&bytes, numbers, 64 * sizeof *numbers);
    mk_write(x->weights, &bytes);
    mk_free(&bytes);
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(-1, 8));
    for (int i = 0; i < 2; i++) {
        t = mk_tensor(i ? "b" : "w", OMMA_F32, 2, i ? (int64_t[]){4, 4} : (int64_t[]){8, 4});
        for (int k = 0; k < 2; k++) {
            mk e = {0};
            mk_str(&e, 1, k ? "offset" : "location");
            mk_str(&e, 2, k ? (i ? "128" : "0") : strrchr(x->weights, '/') + 1);
            mk_sub(&t, 13, &e);
        }
        mk_int(&t, 14, 1);
        if (i) mk_constant(&g, "b", &t);
        else mk_sub(&g, MK_INIT, &t);
    }
    mk_op(&g, "MatMul", "x,w", "m", NULL);
    mk_op(&g, "MatMul", "m,b", "y", NULL);
    mk_port(&g, MK_OUTPUT, "y", OMMA_F32, MK_DIMS(-1, 4));
    write_subject(x, &g);
    x->in[0] = (omma_tensor){OMMA_F32, 2, {3, 8}, numbers};
    x->n_in = 1;
    x->external = true;
}

/* --- one attempt ------------------------------------------------------------------------ */

static void told(const char *step, omma_status s, const omma_error *err) {
    if (s != OMMA_E_NOMEM || err->status != s || !*err->message)
        fail_msg("%s: status %d, '%s'", step, (int)s, err->message);
}

static void check_numbers(const subject *x, const omma_session *s) {
    const omma_tensor *y = omma_session_output(s, 0);
    assert_non_null(y);
    assert_int_equal(omma_tensor_count(y), x->count);
    assert_memory_equal(y->data, x->want, (size_t)x->count * sizeof(float));
    if (x->watch) assert_non_null(omma_session_watched(s, x->watch));
}

/* Every step, and again when its first try ran out of memory. */
static void attempt(const subject *x) {
    const omma_options opt = {.threads = 1, .allow_external = x->external};
    omma_model *m = NULL;
    omma_session *s = NULL;
    omma_error err = {0};
    omma_status status;
#define STEP(name, call)           \
    status = call;                 \
    if (status) {                  \
        told(name, status, &err);  \
        omma_mem_fail_at(0);       \
        assert_int_equal(call, 0); \
    }
    STEP("open", omma_model_open(&m, x->path, &opt, &err))
    STEP("session", omma_session_new(&s, m, &opt, &err))
    if (x->watch) {
        STEP("watch", omma_session_watch(s, x->watch, &err))
    }
    STEP("run", omma_session_run(s, x->in, x->n_in, &err))
    STEP("run again", omma_session_run(s, x->in, x->n_in, &err))
#undef STEP
    check_numbers(x, s);
    omma_session_free(s);
    omma_model_free(m);
}

static void inspect(const subject *x) {
    const omma_options opt = {.allow_external = x->external};
    omma_model *m;
    omma_inspection i;
    omma_error err = {0};
    omma_status s = omma_model_open(&m, x->path, &opt, &err);
    if (s) {
        told("open", s, &err);
        return;
    }
    s = omma_inspect(&i, m, x->in, &err);
    if (s) told("inspect", s, &err);
    omma_inspection_free(&i);
    omma_model_free(m);
}

/* Fail the 1st, 2nd, ... request until one is never made. */
static uint64_t fail_each(void (*what)(const subject *), const subject *x) {
    for (uint64_t k = 1;; k++) {
        const uint64_t before = omma_mem_calls();
        omma_mem_fail_at(k);
        what(x);
        omma_mem_fail_at(0);
        if (omma_mem_calls() - before < k) return k - 1;
    }
}

static void reference(subject *x) {
    const omma_options opt = {.threads = 1, .allow_external = x->external};
    omma_model *m;
    omma_session *s;
    omma_error err;
    if (omma_model_open(&m, x->path, &opt, &err) || omma_session_new(&s, m, &opt, &err) ||
        omma_session_run(s, x->in, x->n_in, &err))
        fail_msg("%s", err.message);
    const omma_tensor *y = omma_session_output(s, 0);
    x->count = omma_tensor_count(y);
    assert_true(x->count > 0);
    x->want = malloc((size_t)x->count * sizeof *x->want);
    memcpy(x->want, y->data, (size_t)x->count * sizeof *x->want);
    omma_session_free(s);
    omma_model_free(m);
}

static void survives(void (*make)(subject *)) {
    subject x = {0};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        numbers[i] = (float)((i * 37) % 101) / 64 - .5f;
    make(&x);
    reference(&x);
    const uint64_t run = fail_each(attempt, &x), looked = fail_each(inspect, &x);
    print_message("%d requests of a run and %d of an inspection failed in turn\n", (int)run,
                  (int)looked);
    assert_true(run > 20 && looked > 20);
    unlink(x.path);
    if (*x.weights) unlink(x.weights);
    free(x.want);
}

static void with_convolutions(void **state) { (void)state, survives(convolutions); }
static void with_attention(void **state) { (void)state, survives(attention); }
static void with_a_cut(void **state) { (void)state, survives(cut_plan); }
static void with_external_data(void **state) { (void)state, survives(external); }

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_convolutions), cmocka_unit_test(with_attention),
        cmocka_unit_test(with_a_cut), cmocka_unit_test(with_external_data)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
