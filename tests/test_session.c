/* test_session.c - sessions: plans by shape, watched values, odd graphs, wrong inputs, the
 * memory budget, no allocation while a plan runs, the same bits whatever the threads, and
 * every allocation failing once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <pthread.h>
#include <stdatomic.h>
#include <cmocka.h>

#include "model/model.h"
#include "naive.h"
#include "onnxmake.h"
#include "shared.h"

/* --- counting the heap --------------------------------------------------------------- */

static _Atomic long heap_calls;
static _Atomic size_t heap_largest;

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define COUNTS_HEAP 1
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t),
    *__libc_memalign(size_t, size_t);

static void count(size_t n) {
    atomic_fetch_add(&heap_calls, 1);
    size_t most = atomic_load(&heap_largest);
    while (n > most && !atomic_compare_exchange_weak(&heap_largest, &most, n)) {
    }
}

void *malloc(size_t n) { return count(n), __libc_malloc(n); }
void *calloc(size_t k, size_t n) { return count(k * n), __libc_calloc(k, n); }
void *realloc(void *p, size_t n) { return count(n), __libc_realloc(p, n); }
void *aligned_alloc(size_t a, size_t n) { return count(n), __libc_memalign(a, n); }
#else
#define COUNTS_HEAP 0
#endif

/* --- a model with something of everything --------------------------------------------- */

static float noise(uint32_t *seed) {
    *seed = *seed * 1664525u + 1013904223u;
    return (float)(*seed >> 8) / (float)(1 << 23) - 1;
}

static void random_weight(mk *g, const char *name, float scale, float shift, int rank,
                          const int64_t *dims) {
    static uint32_t seed = 3;
    float v[1024];
    int64_t n = 1;
    for (int i = 0; i < rank; i++) n *= dims[i];
    assert_true(n <= 1024);
    for (int64_t i = 0; i < n; i++) v[i] = noise(&seed) * scale + shift;
    mk_floats(g, name, v, rank, dims);
}

static void weights(mk *g) {
    random_weight(g, "w1", 0.3f, 0, MK_DIMS(8, 3, 3, 3)),
        random_weight(g, "w2", 0.5f, 0, MK_DIMS(8, 1, 3, 3));
    random_weight(g, "w3", 0.5f, 0, MK_DIMS(8, 8, 1, 1)),
        random_weight(g, "b3", 0.5f, 0, MK_DIMS(8));
    random_weight(g, "scale", 0.5f, 1, MK_DIMS(8)), random_weight(g, "shift", 0.5f, 0, MK_DIMS(8));
    random_weight(g, "mean", 0.5f, 0, MK_DIMS(8)), random_weight(g, "var", 0.5f, 1, MK_DIMS(8));
    random_weight(g, "k", 0.5f, 1, MK_DIMS(8, 1, 1)),
        random_weight(g, "wm", 0.5f, 0, MK_DIMS(8, 8));
    mk_floats(g, "zero", (float[]){0}, MK_SCALAR), mk_floats(g, "three", (float[]){3}, MK_SCALAR);
    mk_floats(g, "six", (float[]){6}, MK_SCALAR), mk_floats(g, "half", (float[]){0.5f}, MK_SCALAR);
    mk_floats(g, "nhalf", (float[]){-0.5f}, MK_SCALAR);
    mk_ints(g, "rows", (int64_t[]){1, 8, -1}, 3), mk_ints(g, "axes", (int64_t[]){0}, 1),
        mk_ints(g, "two", (int64_t[]){2}, 1);
}

static mk attr_ints(const char *name, const int64_t *v, int n) {
    mk a = {0};
    mk_attr_ints(&a, name, v, n);
    return a;
}

static mk attr_int(const char *name, int64_t v) {
    mk a = {0};
    mk_attr_int(&a, name, v);
    return a;
}

static mk made(void) {
    mk g = {0}, a;
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(1, 3, -1, -2));
    weights(&g);
    a = attr_ints("pads", (int64_t[]){1, 1, 1, 1}, 4), mk_op(&g, "Conv", "x,w1", "c1", &a);
    mk_op(&g, "BatchNormalization", "c1,scale,shift,mean,var", "b1", NULL),
        mk_op(&g, "Relu", "b1", "r1", NULL);
    a = attr_ints("pads", (int64_t[]){1, 1, 1, 1}, 4), mk_attr_int(&a, "group", 8),
    mk_op(&g, "Conv", "r1,w2", "c2", &a);
    mk_op(&g, "Add", "c2,three", "h1", NULL),
        mk_op(&g, "Clip", "h1,zero,six", "h2", NULL); /* HardSwish */
    mk_op(&g, "Mul", "c2,h2", "h3", NULL), mk_op(&g, "Div", "h3,six", "h4", NULL);
    mk_op(&g, "Conv", "h4,w3,b3", "c3", NULL), mk_op(&g, "Sigmoid", "c3", "s1", NULL),
        mk_op(&g, "Mul", "c3,s1", "s2", NULL);
    mk_op(&g, "Add", "s2,r1", "a1", NULL), mk_op(&g, "Relu", "a1", "a2", NULL),
        mk_op(&g, "Sigmoid", "a2", "a3", NULL);
    mk_op(&g, "Mul", "a3,k", "a4", NULL), mk_op(&g, "Tanh", "a4", "a5", NULL);
    mk_op(&g, "Reshape", "a5,rows", "t1", NULL);
    a = attr_ints("perm", (int64_t[]){0, 2, 1}, 3), mk_op(&g, "Transpose", "t1", "t2", &a);
    mk_op(&g, "Identity", "t2", "t3", NULL), mk_op(&g, "Unsqueeze", "t3,axes", "t4", NULL),
        mk_op(&g, "Squeeze", "t4,axes", "t5", NULL);
    mk_op(&g, "MatMul", "t5,wm", "m1", NULL), mk_op(&g, "Clip", "m1,nhalf,half", "m2", NULL);
    a = attr_int("axis", -1), mk_op(&g, "Softmax", "m2", "p", &a);
    mk_op(&g, "Shape", "x", "sh1", NULL), a = attr_int("axis", 0),
                                          mk_op(&g, "Gather", "sh1,two", "sh2", &a);
    a = attr_int("to", OMMA_F32), mk_op(&g, "Cast", "sh2", "sh3", &a),
    mk_op(&g, "Add", "p,sh3", "q", NULL);
    mk_port(&g, MK_OUTPUT, "q", OMMA_F32, MK_DIMS(1, -1, 8));
    mk_port(&g, MK_OUTPUT, "a5", OMMA_F32, MK_DIMS(1, 8, -1, -2));
    mk_port(&g, MK_OUTPUT, "t1", OMMA_F32, MK_DIMS(1, 8, -1));
    mk_port(&g, MK_OUTPUT, "r1", OMMA_F32, MK_DIMS(1, 8, -1, -2));
    return mk_model(&g, 17);
}

static omma_model *open_bytes(mk m) {
    omma_model *model;
    omma_error err;
    if (mk_open(&model, &m, NULL, &err)) fail_msg("%s", err.message);
    mk_free(&m);
    return model;
}

static omma_session *new_session(const omma_model *m, int threads) {
    omma_session *s;
    omma_error err;
    if (omma_session_new(&s, m, &(omma_options){.threads = threads}, &err))
        fail_msg("%s", err.message);
    return s;
}

enum { SIDE = 40 };
static float pixels[3 * SIDE * SIDE];

static omma_tensor picture(int64_t h, int64_t w) {
    uint32_t seed = 7;
    for (int i = 0; i < 3 * SIDE * SIDE; i++) pixels[i] = noise(&seed);
    return (omma_tensor){OMMA_F32, 4, {1, 3, h, w}, pixels};
}

static void run(omma_session *s, const omma_tensor *in, int n) {
    omma_error err;
    if (omma_session_run(s, in, n, &err)) fail_msg("%s", err.message);
}

/* A copy of all outputs, to compare later ones with. */
typedef struct outputs {
    int n;
    omma_tensor t[8];
} outputs;

static size_t bytes_of(const omma_tensor *t) {
    return (size_t)omma_tensor_count(t) * omma_dtype_size(t->dtype);
}

static outputs save(const omma_session *s) {
    outputs o = {0};
    const omma_tensor *t;
    for (; o.n < 8 && (t = omma_session_output(s, o.n)); o.n++) {
        o.t[o.n] = *t;
        o.t[o.n].data = test_malloc(bytes_of(t) + 1);
        memcpy(o.t[o.n].data, t->data, bytes_of(t));
    }
    assert_true(o.n > 0);
    return o;
}

static void same(const omma_session *s, const outputs *o, const char *what) {
    for (int i = 0; i < o->n; i++) {
        const omma_tensor *t = omma_session_output(s, i), *u = &o->t[i];
        if (!t || t->dtype != u->dtype || t->rank != u->rank ||
            memcmp(t->dims, u->dims, (size_t)u->rank * 8) || memcmp(t->data, u->data, bytes_of(u)))
            fail_msg("%s: output %d is another", what, i);
    }
}

static void drop(outputs *o) {
    for (int i = 0; i < o->n; i++) test_free(o->t[i].data);
}

/* --- plans ----------------------------------------------------------------------------- */

static void plan_cache(void **state) {
    (void)state;
    omma_model *m = open_bytes(made());
    omma_session *s = new_session(m, 2);
    outputs o[20];
    for (int i = 0; i < 20; i++) {
        omma_tensor in = picture(3 + i, 22 - i);
        run(s, &in, 1);
        o[i] = save(s);
        omma_session *other = new_session(m, 2);
        run(other, &in, 1);
        same(other, &o[i], "a fresh session");
        omma_session_free(other);
        naive x;
        naive_run(&x, m->graph, &in);
        for (int k = 0; k < o[i].n; k++) {
            omma_tensor want = omma_value_tensor(x.g->outputs[k]);
            naive_compare(&o[i].t[k], &want, 1e-5, "an output");
        }
        naive_free(&x);
    }
    for (int i = 0; i < 20; i++) { /* the plan of the first is gone by now: it is made again */
        omma_tensor in = picture(3 + i, 22 - i);
        run(s, &in, 1);
        same(s, &o[i], "the second round");
    }
    uint64_t calls = omma_mem_calls();
    for (int round = 0; round < 3; round++)
        for (int i = 4; i < 20; i++) { /* sixteen are kept, in whatever order they are used */
            int k = round == 1 ? 23 - i : i;
            omma_tensor in = picture(3 + k, 22 - k);
            run(s, &in, 1);
            same(s, &o[k], "a kept plan");
        }
    assert_int_equal(omma_mem_calls() - calls, 0);
    for (int i = 0; i < 20; i++) drop(&o[i]);
    omma_session_free(s);
    omma_model_free(m);
}

/* Thousands of sizes do not fill the memory. */
static void many_sizes(void **state) {
    (void)state;
    mk g = {0};
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(-1, 8));
    random_weight(&g, "w", 1, 0, MK_DIMS(8, 8));
    for (int i = 0; i < 20; i++) {
        char in[16], out[16];
        snprintf(in, sizeof in, i ? "v%d,w" : "x,w", i),
            snprintf(out, sizeof out, i == 19 ? "y" : "v%d", i + 1);
        mk_op(&g, "MatMul", in, out, NULL);
    }
    mk_port(&g, MK_OUTPUT, "y", OMMA_F32, MK_DIMS(-1, 8));
    omma_model *m = open_bytes(mk_model(&g, 17));
    omma_session *s;
    omma_error err;
    assert_int_equal(omma_session_new(&s, m, &(omma_options){.max_memory = 3 << 20}, &err),
                     OMMA_OK);
    float *x = test_calloc(8 * 3000, sizeof *x);
    for (int i = 1; i < 3000; i++) {
        const omma_tensor in = {OMMA_F32, 2, {i, 8}, x};
        if (omma_session_run(s, &in, 1, &err)) fail_msg("size %d: %s", i, err.message);
    }
    test_free(x);
    omma_session_free(s);
    omma_model_free(m);
}

/* --- watching -------------------------------------------------------------------------- */

static void watch_each(void **state) {
    (void)state;
    omma_model *m = open_bytes(made());
    omma_tensor in = picture(9, 13);
    omma_session *s = new_session(m, 2);
    omma_error err;
    naive x;
    run(s, &in, 1);
    outputs o = save(s);
    omma_session_free(s);
    naive_run(&x, m->graph, &in);
    for (int i = 0; i < m->graph->n_values; i++) {
        const char *name = m->graph->values[i]->name;
        s = new_session(m, 2);
        assert_int_equal(omma_session_watch(s, name, &err), OMMA_OK);
        assert_null(omma_session_watched(s, name));
        for (int k = 0; k < 2; k++) {
            run(s, &in, 1);
            same(s, &o, name);
            omma_tensor want = omma_value_tensor(omma_graph_find(x.g, name));
            naive_compare(omma_session_watched(s, name), &want, 1e-5, name);
        }
        omma_session_free(s);
    }
    s = new_session(m, 2); /* more and more of them, then all */
    for (int i = 0; i < m->graph->n_values; i++) {
        assert_int_equal(omma_session_watch(s, m->graph->values[i]->name, &err), OMMA_OK);
        if (i % 7) continue;
        run(s, &in, 1);
        same(s, &o, "watching many");
    }
    run(s, &in, 1);
    same(s, &o, "watching all");
    for (int i = 0; i < m->graph->n_values; i++) {
        const char *name = m->graph->values[i]->name;
        omma_tensor want = omma_value_tensor(omma_graph_find(x.g, name));
        naive_compare(omma_session_watched(s, name), &want, 1e-5, name);
    }
    print_message("%d values watched\n", m->graph->n_values);
    naive_free(&x);
    drop(&o);
    omma_session_free(s);
    omma_model_free(m);
}

/* Watching takes effect at the next run: what the last one gave stays. */
static void watch_later(void **state) {
    (void)state;
    omma_model *m = open_bytes(made());
    omma_session *s = new_session(m, 1);
    omma_tensor in = picture(5, 6);
    omma_error err = {0};
    assert_null(omma_session_output(s, 0));
    assert_null(omma_session_watched(s, "c2"));
    assert_int_equal(omma_session_watch(s, "no such value", &err), OMMA_E_NOTFOUND);
    assert_non_null(strstr(err.message, "'no such value'"));
    assert_int_equal(omma_session_watch(s, "c2", &err), OMMA_OK);
    run(s, &in, 1);
    outputs o = save(s);
    assert_int_equal(omma_session_watch(s, "h2", &err), OMMA_OK);
    assert_int_equal(omma_session_watch(s, "h2", &err), OMMA_OK);
    same(s, &o, "after a watch");
    assert_non_null(omma_session_watched(s, "c2"));
    assert_null(omma_session_watched(s, "h2"));
    run(s, &in, 1);
    same(s, &o, "after the next run");
    assert_non_null(omma_session_watched(s, "h2"));
    assert_null(omma_session_watched(s, "h3"));
    assert_null(omma_session_output(s, -1));
    assert_null(omma_session_output(s, 4));
    drop(&o);
    omma_session_free(s);
    omma_model_free(m);
}

static omma_model *atto(void) {
    char path[1024];
    omma_model *m;
    omma_error err;
    if (!shared_path(path, sizeof path, "models/deimv2_atto/deimv2_hgnetv2_atto_coco.onnx")) {
        print_message("SKIPPED: no shared/models/deimv2_atto\n");
        skip();
    }
    if (omma_model_open(&m, path, NULL, &err)) fail_msg("%s", err.message);
    return m;
}

static void watch_detector(void **state) {
    (void)state;
    omma_model *m = atto();
#if defined(__SANITIZE_ADDRESS__)
    enum { WATCHED = 8 };
#else
    enum { WATCHED = 48 };
#endif
    static float planes[3 * 320 * 320];
    uint32_t seed = 5;
    omma_error err;
    for (int i = 0; i < 3 * 320 * 320; i++)
        planes[i] = 0.5f + 0.3f * sinf((float)(i % 320) * 0.1f) + 0.1f * noise(&seed);
    int64_t size[2] = {640, 480};
    const omma_tensor in[2] = {{OMMA_F32, 4, {1, 3, 320, 320}, planes},
                               {OMMA_I64, 2, {1, 2}, size}};
    omma_session *s = new_session(m, 2);
    run(s, in, 2);
    outputs o = save(s);
    omma_session_free(s);
    int computed = 0, seen = 0, done = 0;
    for (int i = 0; i < m->graph->n_values; i++) computed += m->graph->values[i]->producer != NULL;
    for (int i = 0; i < m->graph->n_values; i++) {
        const omma_value *v = m->graph->values[i];
        if (!v->producer || seen++ * WATCHED / computed < done) continue;
        done++;
        s = new_session(m, 1 + done % 3);
        assert_int_equal(omma_session_watch(s, v->name, &err), OMMA_OK);
        run(s, in, 2);
        same(s, &o, v->name);
        const omma_tensor *t = omma_session_watched(s, v->name);
        assert_true(t && t->data && t->rank >= 0);
        omma_session_free(s);
    }
    print_message("%d of %d values watched\n", done, computed);
    assert_true(done >= WATCHED - 1);
    drop(&o);
    omma_model_free(m);
}

/* --- odd graphs ------------------------------------------------------------------------ */

/* Inputs, constants and views of them as outputs. */
static void odd_outputs(void **state) {
    (void)state;
    mk g = {0};
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(2, -1)),
        mk_port(&g, MK_INPUT, "z", OMMA_F32, MK_DIMS(-1));
    mk_floats(&g, "c", (float[]){5, 6}, MK_DIMS(2)), mk_ints(&g, "flat", (int64_t[]){-1}, 1);
    mk_op(&g, "Reshape", "x,flat", "view", NULL), mk_op(&g, "Identity", "view", "view2", NULL);
    mk_op(&g, "Relu", "view", "relu", NULL), mk_op(&g, "Identity", "c", "cc", NULL),
        mk_op(&g, "Neg", "c", "nc", NULL);
    const char *const out[] = {"x", "view", "view2", "relu", "c", "cc", "nc"};
    for (int i = 0; i < 7; i++) mk_port(&g, MK_OUTPUT, out[i], OMMA_F32, -1, NULL);
    omma_model *m = open_bytes(mk_model(&g, 17));
    omma_session *s = new_session(m, 1);
    for (int round = 0; round < 2; round++) {
        float x[4] = {1, -2, 3, (float)round}, z[1] = {9};
        const omma_tensor in[2] = {{OMMA_F32, 2, {2, 2}, x}, {OMMA_F32, 1, {1}, z}};
        run(s, in, 2);
        const float relu[4] = {1, 0, 3, (float)round};
        for (int i = 0; i < 3; i++) {
            assert_memory_equal(omma_session_output(s, i)->data, x, sizeof x);
            assert_int_equal(omma_session_output(s, i)->rank, i ? 1 : 2);
            assert_ptr_not_equal(omma_session_output(s, i)->data,
                                 x); /* stays when the caller's is gone */
        }
        assert_memory_equal(omma_session_output(s, 3)->data, relu, sizeof relu);
        assert_memory_equal(omma_session_output(s, 4)->data, ((float[]){5, 6}), 8);
        assert_memory_equal(omma_session_output(s, 5)->data, ((float[]){5, 6}), 8);
        assert_memory_equal(omma_session_output(s, 6)->data, ((float[]){-5, -6}), 8);
        assert_int_equal(x[1], -2);
    }
    omma_error err; /* watched, an input is a copy too */
    assert_int_equal(omma_session_watch(s, "z", &err), OMMA_OK);
    const omma_tensor in[2] = {{OMMA_F32, 2, {2, 0}, NULL}, {OMMA_F32, 1, {3}, (float[]){7, 8, 9}}};
    run(s, in, 2);
    assert_memory_equal(omma_session_watched(s, "z")->data, ((float[]){7, 8, 9}), 12);
    assert_int_equal(omma_tensor_count(omma_session_output(s, 0)), 0);
    omma_session_free(s);
    omma_model_free(m);
}

/* An input whose contents decide a shape, and which is an output too. */
static void shape_by_value(void **state) {
    (void)state;
    mk g = {0};
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(-1)),
        mk_port(&g, MK_INPUT, "shape", OMMA_I64, MK_DIMS(2));
    mk_op(&g, "Reshape", "x,shape", "y", NULL), mk_op(&g, "Neg", "y", "n", NULL);
    mk_port(&g, MK_OUTPUT, "n", OMMA_F32, -1, NULL),
        mk_port(&g, MK_OUTPUT, "shape", OMMA_I64, MK_DIMS(2));
    omma_model *m = open_bytes(mk_model(&g, 17));
    omma_session *s = new_session(m, 1);
    omma_error err;
    float x[6] = {1, 2, 3, 4, 5, 6};
    for (int64_t i = 0; i < 40; i++) {
        int64_t shape[2] = {i % 4 == 0 ? 1 : i % 4 == 1 ? 2 : i % 4 == 2 ? 3 : 6, -1};
        const omma_tensor in[2] = {{OMMA_F32, 1, {6}, x}, {OMMA_I64, 1, {2}, shape}};
        run(s, in, 2);
        assert_int_equal(omma_session_output(s, 0)->dims[0], shape[0]);
        assert_int_equal(omma_session_output(s, 0)->dims[1], 6 / shape[0]);
        assert_memory_equal(omma_session_output(s, 1)->data, shape, sizeof shape);
        assert_memory_equal(omma_session_output(s, 0)->data, ((float[]){-1, -2, -3, -4, -5, -6}),
                            sizeof x);
    }
    int64_t shape[2] = {4, 4};
    const omma_tensor in[2] = {{OMMA_F32, 1, {6}, x}, {OMMA_I64, 1, {2}, shape}};
    assert_int_not_equal(omma_session_run(s, in, 2, &err), OMMA_OK);
    assert_true(*err.message);
    assert_null(omma_session_output(s, 0));
    omma_session_free(s);
    omma_model_free(m);
}

/* An input without a declared type takes any; plans are kept apart by it. */
static void any_type(void **state) {
    (void)state;
    mk g = {0};
    mk_port(&g, MK_INPUT, "x", OMMA_NONE, -1, NULL);
    mk_op(&g, "Add", "x,x", "y", NULL);
    mk_port(&g, MK_OUTPUT, "y", OMMA_NONE, -1, NULL);
    omma_model *m = open_bytes(mk_model(&g, 17));
    omma_session *s = new_session(m, 1);
    double d[3] = {1, 2, 1e200};
    float f[3] = {1, 2, 1e20f};
    int64_t k[3] = {1, 2, 1ll << 60};
    const omma_tensor in[3] = {
        {OMMA_F32, 1, {3}, f}, {OMMA_F64, 1, {3}, d}, {OMMA_I64, 3, {1, 3, 1}, k}};
    for (int i = 0; i < 6; i++) {
        run(s, &in[i % 3], 1);
        assert_int_equal(omma_session_output(s, 0)->dtype, in[i % 3].dtype);
        double want = omma_get_number(in[i % 3].dtype, in[i % 3].data, 2) * 2;
        assert_true(omma_get_number(in[i % 3].dtype, omma_session_output(s, 0)->data, 2) == want);
    }
    omma_session_free(s);
    omma_model_free(m);
}

/* --- wrong inputs ----------------------------------------------------------------------- */

static void wrong_inputs(void **state) {
    (void)state;
    omma_model *m = open_bytes(made());
    omma_session *s = new_session(m, 1);
    omma_tensor good = picture(4, 4);
    const struct {
        omma_tensor t;
        int n;
        omma_status status;
        const char *says;
    } rows[] = {
        {good, 0, OMMA_E_USAGE, "has 1 inputs, not 0"},
        {good, 2, OMMA_E_USAGE, "has 1 inputs, not 2"},
        {{OMMA_F64, 4, {1, 3, 4, 4}, pixels},
         1,
         OMMA_E_SHAPE,
         "'x': this input must be of float32, not float64"},
        {{OMMA_F32, 3, {3, 4, 4}, pixels},
         1,
         OMMA_E_SHAPE,
         "'x': this input has 4 dimensions, not 3"},
        {{OMMA_F32, 4, {1, 4, 4, 4}, pixels},
         1,
         OMMA_E_SHAPE,
         "'x': dimension 1 of this input is 3, not 4"},
        {{OMMA_F32, 4, {1, 3, -1, 4}, pixels}, 1, OMMA_E_SHAPE, "no sound shape"},
        {{OMMA_F32, -1, {1, 3, 4, 4}, pixels}, 1, OMMA_E_SHAPE, "no sound shape"},
        {{OMMA_F32, 9, {1, 3, 4, 4}, pixels}, 1, OMMA_E_SHAPE, "no sound shape"},
        {{OMMA_F32, 4, {1, 3, INT64_MAX, INT64_MAX}, pixels}, 1, OMMA_E_SHAPE, "no sound shape"},
        {{OMMA_F32, 4, {0, INT64_MAX, INT64_MAX, 3}, pixels}, 1, OMMA_E_SHAPE, "no sound shape"},
        {{OMMA_F32, 4, {1, 3, 4, 4}, NULL},
         1,
         OMMA_E_USAGE,
         "'x': the tensor given for this input has no data"},
        {{OMMA_NONE, 4, {1, 3, 4, 4}, pixels}, 1, OMMA_E_SHAPE, "must be of float32"},
    };
    run(s, &good, 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        omma_error err = {0};
        omma_tensor in[2] = {rows[i].t, rows[i].t};
        assert_int_equal(omma_session_run(s, in, rows[i].n, &err), rows[i].status);
        if (!strstr(err.message, rows[i].says)) fail_msg("%s", err.message);
        assert_null(omma_session_output(s, 0));
        assert_int_equal(omma_session_run(s, in, rows[i].n, NULL), rows[i].status);
    }
    run(s, &good, 1);
    omma_session_free(s);
    omma_model_free(m);
}

/* --- memory ------------------------------------------------------------------------------ */

static void budget(void **state) {
    (void)state;
    enum { MIB = 1 << 20 };
    mk bytes = made();
    omma_model *m;
    omma_session *s;
    omma_error err;
    assert_int_equal(mk_open(&m, &bytes, &(omma_options){.max_memory = 1 << 12}, &err),
                     OMMA_E_NOMEM);
    assert_true(*err.message);
    assert_int_equal(mk_open(&m, &bytes, &(omma_options){.max_memory = MIB}, &err), OMMA_OK);
    mk_free(&bytes);
    assert_int_equal(omma_session_new(&s, m, &(omma_options){.max_memory = 1 << 12}, &err),
                     OMMA_E_NOMEM);
    assert_true(*err.message);
    assert_int_equal(
        omma_session_new(&s, m, &(omma_options){.max_memory = MIB, .threads = 1}, &err), OMMA_OK);
    float *x = test_calloc(3 * 512 * 512, sizeof *x);
    omma_tensor big = {OMMA_F32, 4, {1, 3, 512, 512}, x}, small = picture(4, 4);
    run(s, &small, 1);
    atomic_store(&heap_largest, 0);
    assert_int_equal(omma_session_run(s, &big, 1, &err), OMMA_E_NOMEM);
    assert_non_null(strstr(err.message, "memory budget is 1.0 MiB"));
    assert_true(atomic_load(&heap_largest) <= MIB);
    for (int64_t i = 1; i < 100; i++) { /* not all plans fit together: older ones make room */
        omma_tensor in = {OMMA_F32, 4, {1, 3, 40, i}, x};
        if (omma_session_run(s, &in, 1, &err)) fail_msg("%s", err.message);
    }
    run(s, &small, 1);
    test_free(x);
    omma_session_free(s);
    omma_model_free(m);
}

static void no_allocation(void **state) {
    (void)state;
    omma_model *m = open_bytes(made());
    omma_error err;
    for (int watched = 0; watched < 2; watched++) {
        omma_session *s = new_session(m, 3);
        omma_tensor in = picture(SIDE, SIDE);
        if (watched) assert_int_equal(omma_session_watch(s, "h2", &err), OMMA_OK);
        for (int i = 0; i < 3; i++) run(s, &in, 1); /* the threads start */
        uint64_t calls = omma_mem_calls();
        long heap = atomic_load(&heap_calls);
        omma_status status = OMMA_OK;
        for (int i = 0; i < 20 && !status; i++) status = omma_session_run(s, &in, 1, &err);
        heap = atomic_load(&heap_calls) - heap;
        assert_int_equal(status, OMMA_OK);
        assert_int_equal(omma_mem_calls() - calls, 0);
        assert_int_equal(heap, 0);
        omma_session_free(s);
    }
    if (COUNTS_HEAP) assert_true(atomic_load(&heap_calls) > 0);
    else print_message("SKIPPED: malloc is not counted in this build\n");
    omma_model_free(m);
}

/* The k-th allocation fails, for every k: a clean error or, where memory can be made free,
 * success; and nothing is lost. */
static void failing_allocations(void **state) {
    (void)state;
    mk bytes = made();
    char path[64];
    mk_write(path, &bytes);
    mk_free(&bytes);
    uint64_t k = 0, calls, refused = 0;
    do {
        omma_model *m = NULL;
        omma_session *s = NULL;
        omma_error err = {0};
        omma_tensor in = picture(6, 7), more = picture(7, 6);
        calls = omma_mem_calls();
        omma_mem_fail_at(++k);
        omma_status status = omma_model_open(&m, path, NULL, &err);
        if (!status) status = omma_session_new(&s, m, &(omma_options){.threads = 2}, &err);
        if (!status) status = omma_session_run(s, &in, 1, &err);
        if (!status) status = omma_session_watch(s, "a3", &err);
        if (!status) status = omma_session_run(s, &in, 1, &err);
        if (!status) status = omma_session_run(s, &more, 1, &err);
        omma_mem_fail_at(0);
        if (status && (status != OMMA_E_NOMEM || err.status != status || !*err.message))
            fail_msg("allocation %d: %d: %s", (int)k, (int)status, err.message);
        if (status && s) { /* the session is none the worse for it */
            if (omma_session_watch(s, "a3", &err) || omma_session_run(s, &in, 1, &err))
                fail_msg("%s", err.message);
            assert_non_null(omma_session_watched(s, "a3"));
        }
        refused += status != OMMA_OK;
        calls = omma_mem_calls() - calls;
        omma_session_free(s);
        omma_model_free(m);
    } while (k <= calls);
    unlink(path);
    print_message("%d of %d allocations refused\n", (int)refused, (int)k - 1);
    assert_true(refused > 10);
}

/* The budget runs out at every point. */
static void failing_budgets(void **state) {
    (void)state;
    mk bytes = made();
    int refused = 0, ran = 0;
    for (size_t limit = 1 << 12; ran < 3; limit += 1 << 12) {
        omma_model *m = NULL;
        omma_session *s = NULL;
        omma_error err = {0};
        omma_tensor in = picture(6, 7);
        omma_options opt = {.max_memory = limit, .threads = 2};
        omma_status status = mk_open(&m, &bytes, &opt, &err);
        if (!status) status = omma_session_new(&s, m, &opt, &err);
        if (!status) status = omma_session_run(s, &in, 1, &err);
        if (status && (status != OMMA_E_NOMEM || !*err.message))
            fail_msg("%zu: %s", limit, err.message);
        refused += status != OMMA_OK, ran += status == OMMA_OK;
        omma_session_free(s);
        omma_model_free(m);
    }
    mk_free(&bytes);
    assert_true(refused > 3);
}

/* --- threads ----------------------------------------------------------------------------- */

static void same_bits(void **state) {
    (void)state;
    static const int threads[] = {1, 2, 3, 8};
    omma_model *m = open_bytes(made());
    outputs o = {0};
    for (int i = 0; i < 4; i++) {
        omma_session *s = new_session(m, threads[i]);
        omma_tensor in = picture(SIDE, SIDE - 1);
        run(s, &in, 1);
        if (i == 0) o = save(s);
        else same(s, &o, "another number of threads");
        omma_session_free(s);
    }
    drop(&o);
    omma_model_free(m);
}

typedef struct worker {
    const omma_model *m;
    const outputs *want;
    const char *watch;
    _Atomic int *go;
    int bad;
} worker;

static void *work(void *arg) {
    worker *w = arg;
    omma_session *s;
    omma_error err;
    omma_tensor in = {OMMA_F32, 4, {1, 3, SIDE, SIDE - 1}, pixels};
    atomic_fetch_add(w->go, 1);
    while (atomic_load(w->go) < 2) {
    }
    for (int k = 0; k < 8 && !w->bad; k++) {
        if (omma_session_new(&s, w->m, &(omma_options){.threads = 2}, &err))
            return w->bad = 1, NULL;
        if (w->watch) w->bad |= omma_session_watch(s, w->watch, &err) != OMMA_OK;
        for (int i = 0; i < 5 && !w->bad; i++) {
            in.dims[2] = i % 2 ? SIDE : 7; /* plans are made while the other runs */
            if (omma_session_run(s, &in, 1, &err)) w->bad = 1;
            for (int t = 0; i % 2 && t < w->want->n && !w->bad; t++)
                w->bad |= memcmp(omma_session_output(s, t)->data, w->want->t[t].data,
                                 bytes_of(&w->want->t[t])) != 0;
        }
        omma_session_free(s);
    }
    return NULL;
}

static void two_at_once(void **state) {
    (void)state;
    omma_model *m = open_bytes(made());
    omma_session *s = new_session(m, 1);
    omma_tensor in = picture(SIDE, SIDE - 1);
    run(s, &in, 1);
    outputs o = save(s);
    omma_session_free(s);
    _Atomic int go = 0;
    worker w[2] = {{m, &o, NULL, &go, 0}, {m, &o, "h3", &go, 0}};
    pthread_t t[2];
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&t[i], NULL, work, &w[i]), 0);
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_join(t[i], NULL), 0);
    assert_false(w[0].bad || w[1].bad);
    drop(&o);
    omma_model_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plan_cache),      cmocka_unit_test(many_sizes),
        cmocka_unit_test(watch_each),      cmocka_unit_test(watch_later),
        cmocka_unit_test(watch_detector),  cmocka_unit_test(odd_outputs),
        cmocka_unit_test(shape_by_value),  cmocka_unit_test(any_type),
        cmocka_unit_test(wrong_inputs),    cmocka_unit_test(budget),
        cmocka_unit_test(no_allocation),   cmocka_unit_test(failing_allocations),
        cmocka_unit_test(failing_budgets), cmocka_unit_test(same_bits),
        cmocka_unit_test(two_at_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
