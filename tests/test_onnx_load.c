/* test_onnx_load.c - the ONNX door: sound files in every layout the format allows, files
 * with operators omma lacks, and large ones. Broken files are in test_onnx_faults.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>
#include <cmocka.h>

#include "model/inspect.h"
#include "onnxmake.h"

/* --- sound files -------------------------------------------------------------------- */

/* A model whose outputs are its constants, run without inputs. */
typedef struct constants {
    mk g;
    omma_model *m;
    omma_session *s;
} constants;

static void constants_open(constants *c) {
    omma_error err;
    mk m = mk_model(&c->g, 17);
    if (mk_open(&c->m, &m, NULL, &err)) fail_msg("%s", err.message);
    mk_free(&m);
    if (omma_session_new(&c->s, c->m, NULL, &err)) fail_msg("%s", err.message);
    if (omma_session_run(c->s, NULL, 0, &err)) fail_msg("%s", err.message);
}

static void constants_free(constants *c) {
    omma_session_free(c->s);
    omma_model_free(c->m);
}

/* Add a tensor message as an initializer and as an output. */
static void add(constants *c, mk *t, const char *name) {
    mk_sub(&c->g, MK_INIT, t);
    mk_port(&c->g, MK_OUTPUT, name, OMMA_NONE, -1, NULL);
}

static void check(const constants *c, int i, omma_dtype type, const void *data, size_t bytes,
                  int rank) {
    const omma_tensor *t = omma_session_output(c->s, i);
    assert_non_null(t);
    assert_int_equal(t->dtype, type);
    assert_int_equal(t->rank, rank);
    assert_int_equal((size_t)omma_tensor_count(t) * omma_dtype_size(type), bytes);
    assert_int_equal((uintptr_t)t->data % omma_dtype_size(type), 0);
    if (bytes) assert_memory_equal(t->data, data, bytes);
}

static bool in_file(const omma_model *m, const char *name) {
    const omma_value *v = omma_graph_find(m->graph, name);
    assert_non_null(v);
    const unsigned char *p = v->data;
    return p >= m->file.data && p + omma_value_bytes(v) <= m->file.data + m->file.size;
}

static const float three[3] = {1.5f, -2, 3e20f};
static const double reals[2] = {1e300, -0.25};
static const int64_t longs[4] = {1, -1, INT64_MIN, INT64_MAX};

static void raw_layouts(void **state) {
    (void)state;
    static const unsigned char any[16] = {1, 0, 1, 1, 0, 0, 60, 0, 188, 7, 8, 9, 10, 11, 12, 13};
    static const omma_dtype types[] = {OMMA_F32, OMMA_U8,  OMMA_I8,   OMMA_U16, OMMA_I16,
                                       OMMA_I32, OMMA_I64, OMMA_BOOL, OMMA_F16, OMMA_F64,
                                       OMMA_U32, OMMA_U64, OMMA_BF16};
    enum { N = sizeof types / sizeof *types };
    constants c = {0};
    for (int i = 0; i < N; i++) { /* names of growing length: every alignment */
        const char *name = &"xxxxxxxxxxxxxxxx"[16 - i - 1];
        mk t = mk_tensor(
            name, (int)types[i],
            MK_DIMS((int64_t)(types[i] == OMMA_BOOL ? 4 : 16 / omma_dtype_size(types[i]))));
        mk_bytes(&t, 9, any, types[i] == OMMA_BOOL ? 4 : 16);
        add(&c, &t, name);
    }
    constants_open(&c);
    for (int i = 0; i < N; i++) {
        check(&c, i, types[i], any, types[i] == OMMA_BOOL ? 4 : 16, 1);
        assert_true(in_file(c.m, omma_model_output(c.m, i)->name));
    }
    assert_int_equal(c.m->parameters, omma_model_output_count(c.m) > 0
                                          ? 4 + 16 + 16 + 8 + 8 + 4 + 2 + 4 + 8 + 2 + 4 + 2 + 8
                                          : 0);
    constants_free(&c);
}

static void typed_layouts(void **state) {
    (void)state;
    constants c = {0};
    mk t, p;
    t = mk_tensor("packed", OMMA_F32, MK_DIMS(3)), mk_bytes(&t, 4, three, 12),
    add(&c, &t, "packed");
    t = mk_tensor("single", OMMA_F32, MK_DIMS(3, 1));
    for (int i = 0; i < 3; i++) mk_float(&t, 4, three[i]);
    add(&c, &t, "single");
    t = mk_tensor("mixed", OMMA_F32, MK_DIMS(1, 3)), mk_bytes(&t, 4, three, 4),
    mk_float(&t, 4, three[1]), mk_bytes(&t, 4, three + 2, 4);
    add(&c, &t, "mixed");
    t = mk_tensor("double", OMMA_F64, MK_DIMS(2)), mk_bytes(&t, 10, reals, 16),
    add(&c, &t, "double");
    p = (mk){0};
    for (int i = 0; i < 4; i++) mk_varint(&p, (uint64_t)longs[i]);
    t = mk_tensor("longs", OMMA_I64, MK_DIMS(2, 2)), mk_sub(&t, 7, &p), add(&c, &t, "longs");
    t = mk_tensor("long1", OMMA_I64, MK_DIMS(4));
    for (int i = 0; i < 4; i++) mk_int(&t, 7, longs[i]);
    add(&c, &t, "long1");
    t = mk_tensor("ulongs", OMMA_U64, MK_DIMS(1)), mk_int(&t, 11, -1), add(&c, &t, "ulongs");
    constants_open(&c);
    check(&c, 0, OMMA_F32, three, 12, 1);
    check(&c, 1, OMMA_F32, three, 12, 2);
    check(&c, 2, OMMA_F32, three, 12, 2);
    check(&c, 3, OMMA_F64, reals, 16, 1);
    check(&c, 4, OMMA_I64, longs, 32, 2);
    check(&c, 5, OMMA_I64, longs, 32, 1);
    check(&c, 6, OMMA_U64, (uint64_t[]){UINT64_MAX}, 8, 1);
    assert_true(in_file(c.m, "packed") && in_file(c.m, "double"));
    assert_false(in_file(c.m, "single") || in_file(c.m, "longs"));
    constants_free(&c);
}

/* int32_data carries every type of up to 32 bits, one number each. */
static void narrow_layouts(void **state) {
    (void)state;
    static const struct {
        const char *name;
        omma_dtype t;
        int64_t in[2];
        uint32_t want[2];
    } rows[] = {{"f16", OMMA_F16, {0x3c00, 0xbc00}, {0x3c00, 0xbc00}},
                {"bf16", OMMA_BF16, {0x3f80, 0xbf80}, {0x3f80, 0xbf80}},
                {"bool", OMMA_BOOL, {1, 0}, {1, 0}},
                {"u8", OMMA_U8, {255, 3}, {255, 3}},
                {"i8", OMMA_I8, {-1, 5}, {0xff, 5}},
                {"u16", OMMA_U16, {65535, 3}, {65535, 3}},
                {"i16", OMMA_I16, {-2, 3}, {0xfffe, 3}},
                {"i32", OMMA_I32, {-2, 3}, {0xfffffffe, 3}}};
    enum { N = sizeof rows / sizeof *rows };
    constants c = {0};
    for (int i = 0; i < 2 * N; i++) {
        char name[16];
        snprintf(name, sizeof name, "%s%d", rows[i / 2].name, i % 2);
        mk t = mk_tensor(name, (int)rows[i / 2].t, MK_DIMS(2)), p = {0};
        for (int k = 0; k < 2; k++) /* packed, then not */
            if (i % 2) mk_int(&t, 5, rows[i / 2].in[k]);
            else mk_varint(&p, (uint64_t)rows[i / 2].in[k]);
        if (i % 2 == 0) mk_sub(&t, 5, &p);
        add(&c, &t, name);
    }
    mk t = mk_tensor("u32", OMMA_U32, MK_DIMS(1));
    mk_int(&t, 11, 0xfffffff0), add(&c, &t, "u32");
    constants_open(&c);
    for (int i = 0; i < 2 * N; i++) {
        unsigned char want[8] = {0};
        size_t size = omma_dtype_size(rows[i / 2].t);
        for (size_t k = 0; k < 2; k++) memcpy(want + k * size, &rows[i / 2].want[k], size);
        check(&c, i, rows[i / 2].t, want, 2 * size, 1);
    }
    check(&c, 2 * N, OMMA_U32, (uint32_t[]){0xfffffff0}, 4, 1);
    constants_free(&c);
}

static void scalars_and_empty(void **state) {
    (void)state;
    constants c = {0};
    mk t, p = {0};
    t = mk_tensor("scalar", OMMA_F32, MK_SCALAR), mk_bytes(&t, 9, three, 4), add(&c, &t, "scalar");
    t = mk_tensor("scalar64", OMMA_I64, MK_SCALAR), mk_int(&t, 7, -7), add(&c, &t, "scalar64");
    t = mk_tensor("none", OMMA_F32, MK_DIMS(0)), add(&c, &t, "none");
    t = mk_tensor("noneraw", OMMA_I64, MK_DIMS(2, 0, 3)), mk_bytes(&t, 9, "", 0),
    add(&c, &t, "noneraw");
    t = mk_tensor("nonelist", OMMA_I64, MK_DIMS(0)), mk_bytes(&t, 7, "", 0),
    add(&c, &t, "nonelist");
    mk_varint(&p, 1), mk_varint(&p, 2); /* packed dims */
    t = (mk){0}, mk_sub(&t, 1, &p), mk_int(&t, 2, OMMA_F32), mk_str(&t, 8, "packeddims"),
    mk_bytes(&t, 4, three, 8);
    add(&c, &t, "packeddims");
    t = mk_tensor(NULL, OMMA_F32, MK_DIMS(3)), mk_bytes(&t, 9, three, 12);
    mk_constant(&c.g, "node", &t);
    mk_port(&c.g, MK_OUTPUT, "node", OMMA_F32, MK_DIMS(3));
    mk attrs = {0};
    mk_attr_float(&attrs, "value_float", 2.5f);
    mk_op(&c.g, "Constant", "", "float", &attrs);
    mk_port(&c.g, MK_OUTPUT, "float", OMMA_F32, MK_SCALAR);
    mk_attr_ints(&attrs, "value_ints", longs, 4);
    mk_op(&c.g, "Constant", "", "ints", &attrs);
    mk_port(&c.g, MK_OUTPUT, "ints", OMMA_I64, MK_DIMS(4));
    constants_open(&c);
    check(&c, 0, OMMA_F32, three, 4, 0);
    check(&c, 1, OMMA_I64, (int64_t[]){-7}, 8, 0);
    check(&c, 2, OMMA_F32, NULL, 0, 1);
    check(&c, 3, OMMA_I64, NULL, 0, 3);
    check(&c, 4, OMMA_I64, NULL, 0, 1);
    check(&c, 5, OMMA_F32, three, 8, 2);
    check(&c, 6, OMMA_F32, three, 12, 1);
    check(&c, 7, OMMA_F32, (float[]){2.5f}, 4, 0);
    check(&c, 8, OMMA_I64, longs, 32, 1);
    assert_true(in_file(c.m, "node"));
    constants_free(&c);
}

/* Weights listed as inputs are no inputs; fields nobody knows, and fields in an unusual
 * order, do not matter. */
static void extras(void **state) {
    (void)state;
    mk g = {0}, m = {0}, unknown = {0};
    omma_model *model;
    omma_session *s;
    omma_error err;
    mk_port(&g, MK_OUTPUT, "y", OMMA_F32, MK_DIMS(2, -1));
    mk_int(&g, 1000, 5), mk_float(&g, 1001, 5), mk_str(&g, 1002, "?"), mk_key(&g, 536870911, 1),
        mk_put(&g, "12345678", 8);
    mk_port(&g, MK_INPUT, "w", OMMA_F32, MK_DIMS(2, 1));
    mk_small(&g);
    mk_str(&g, 10, "a doc string"), mk_port(&g, 13, "y", OMMA_F32, MK_DIMS(2, -1)); /* value_info */
    mk_str(&unknown, 1, "key"), mk_str(&unknown, 2, "value");
    m = (mk){0};
    mk_sub(&m, 7, &g); /* the graph before the operator sets */
    mk head = mk_head(17), other = {0};
    mk_put(&m, head.data, head.size), mk_free(&head);
    mk_str(&other, 1, "com.example"), mk_int(&other, 2, 99), mk_sub(&m, 8, &other);
    mk_sub(&m, 14, &unknown), mk_int(&m, 5, 7);
    if (mk_open(&model, &m, NULL, &err)) fail_msg("%s", err.message);
    mk_free(&m);
    assert_int_equal(omma_model_input_count(model), 1);
    assert_int_equal(omma_model_output_count(model), 1);
    const omma_port *in = omma_model_input(model, 0);
    assert_string_equal(in->name, "x");
    assert_int_equal(in->dtype, OMMA_F32);
    assert_int_equal(in->rank, 2);
    assert_int_equal(in->dims[0], 2);
    assert_int_equal(in->dims[1], -1);
    assert_null(in->symbol[0]);
    assert_string_equal(in->symbol[1], "s1");
    assert_string_equal(model->producer, "onnxmake");
    assert_int_equal(model->opset, 17);
    assert_int_equal(model->parameters, 2);
    assert_true(in_file(model, "w"));
    assert_int_equal(omma_session_new(&s, model, NULL, &err), OMMA_OK);
    float x[4] = {1, 2, 3, 4};
    const omma_tensor t = {OMMA_F32, 2, {2, 2}, x};
    assert_int_equal(omma_session_run(s, &t, 1, &err), OMMA_OK);
    assert_memory_equal(omma_session_output(s, 0)->data, ((float[]){11, 12, 23, 24}), 16);
    omma_session_free(s);
    omma_model_free(model);
}

/* --- operators omma lacks ----------------------------------------------------------- */

static void missing(void **state) {
    (void)state;
    mk g = {0}, n = {0};
    omma_model *model;
    omma_error err;
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(2, -1));
    mk_op(&g, "Relu", "x", "ok", NULL);
    mk_op(&g, "Frobnicate", "ok", "a1", NULL);
    mk_op(&g, "Loop2", "ok", "b1", NULL);
    for (int i = 2; i < 9; i++) {
        char out[16];
        snprintf(out, sizeof out, "a%d", i);
        mk_op(&g, "Frobnicate", "b1", out, NULL);
    }
    mk_str(&n, 1, "x"), mk_str(&n, 2, "y"), mk_str(&n, 3, "mine"), mk_str(&n, 4, "Relu"),
        mk_str(&n, 7, "com.example");
    mk_sub(&g, MK_NODE, &n);
    mk m = mk_small_end(&g);
    assert_int_equal(mk_open(&model, &m, NULL, &err), OMMA_E_UNSUPPORTED);
    assert_non_null(
        strstr(err.message,
               "uses 3 operators omma does not have: Frobnicate ('Frobnicate:a1', 'Frobnicate:a2', "
               "'Frobnicate:a3', 'Frobnicate:a4' and 4 more); Loop2 ('Loop2:b1'); com.example.Relu "
               "('mine')"));
    mk_free(&m);
    g = (mk){0}; /* so many that the message cannot hold them */
    for (int i = 0; i < 500; i++) {
        char op[200], out[200];
        snprintf(op, sizeof op, "Op%0150d\n", i), snprintf(out, sizeof out, "o%0150d", i);
        mk_op(&g, op, "x", out, NULL);
    }
    m = mk_small_end(&g);
    assert_int_equal(mk_open(&model, &m, NULL, &err), OMMA_E_UNSUPPORTED);
    assert_non_null(strstr(err.message, "uses 500 operators"));
    assert_non_null(strstr(err.message, "; ..."));
    assert_null(strchr(err.message, '\n'));
    mk_free(&m);
}

/* --- dead parts --------------------------------------------------------------------- */

/* What no output needs is neither inferred nor run, so it cannot fail; nor can a node whose
 * outputs are all left out. */
static void dead(void **state) {
    (void)state;
    mk g = {0};
    omma_model *model;
    omma_session *s;
    omma_error err;
    mk_small(&g);
    mk_ints(&g, "shape", (int64_t[]){7, 7, 7}, 3);
    mk_op(&g, "Reshape", "w,shape", "impossible", NULL);
    mk_op(&g, "Identity", "y", ",", NULL);
    mk m = mk_small_end(&g);
    if (mk_open(&model, &m, NULL, &err) == OMMA_OK)
        fail_msg("%s", "two outputs of Identity were accepted");
    mk_free(&m);
    g = (mk){0};
    mk_small(&g);
    mk_ints(&g, "shape", (int64_t[]){7, 7, 7}, 3);
    mk_op(&g, "Reshape", "w,shape", "impossible", NULL);
    mk n = {0}; /* outputs [""] */
    mk_str(&n, 1, "w"), mk_str(&n, 2, ""), mk_str(&n, 3, "silent"), mk_str(&n, 4, "Identity");
    mk_sub(&g, MK_NODE, &n);
    n = (mk){0};
    mk_str(&n, 1, "y"), mk_str(&n, 2, ""), mk_str(&n, 3, "silent2"), mk_str(&n, 4, "Relu");
    mk_sub(&g, MK_NODE, &n);
    m = mk_small_end(&g);
    if (mk_open(&model, &m, NULL, &err)) fail_msg("%s", err.message);
    mk_free(&m);
    if (omma_session_new(&s, model, NULL, &err)) fail_msg("%s", err.message);
    const omma_tensor t = {OMMA_F32, 2, {2, 1}, (float[]){1, 2}};
    if (omma_session_run(s, &t, 1, &err)) fail_msg("%s", err.message);
    assert_memory_equal(omma_session_output(s, 0)->data, ((float[]){11, 22}), 8);
    omma_session_free(s);
    omma_model_free(model);
}

/* --- what a model comes to ----------------------------------------------------------- */

/* An input of 100 small numbers that decide a shape; once read from a null pointer. */
static void inspect_by_value(void **state) {
    (void)state;
    mk g = {0}, a = {0};
    omma_model *m;
    omma_inspection x;
    omma_error err;
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(4)),
        mk_port(&g, MK_INPUT, "u", OMMA_U8, MK_DIMS(100));
    mk_ints(&g, "i0", (int64_t[]){0}, 1), mk_ints(&g, "i1", (int64_t[]){1}, 1);
    mk_op(&g, "Slice", "u,i0,i1", "u1", NULL), mk_attr_int(&a, "to", OMMA_I64),
        mk_op(&g, "Cast", "u1", "u2", &a);
    mk_op(&g, "Add", "u2,i1", "u3", NULL), mk_op(&g, "Expand", "x,u3", "y", NULL);
    mk_port(&g, MK_OUTPUT, "y", OMMA_F32, MK_DIMS(4));
    mk bytes = mk_model(&g, 17);
    if (mk_open(&m, &bytes, NULL, &err)) fail_msg("%s", err.message);
    mk_free(&bytes);
    if (omma_inspect(&x, m, NULL, &err)) fail_msg("%s", err.message);
    assert_int_equal(x.outputs[0].dims[0], 4);
    omma_inspection_free(&x);
    omma_model_free(m);
}

/* A declared size that overflows once the open one is settled. */
static void inspect_overflow(void **state) {
    (void)state;
    mk g = {0};
    omma_model *m;
    omma_inspection x;
    omma_error err;
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(-1, 3, 1ll << 60, -2));
    mk_op(&g, "GlobalAveragePool", "x", "y", NULL);
    mk_port(&g, MK_OUTPUT, "y", OMMA_F32, -1, NULL);
    mk bytes = mk_model(&g, 17);
    if (mk_open(&m, &bytes, NULL, &err)) fail_msg("%s", err.message);
    mk_free(&bytes);
    assert_int_equal(omma_inspect(&x, m, NULL, &err), OMMA_E_SHAPE);
    assert_non_null(strstr(err.message, "'x': the size of this input overflows"));
    omma_inspection_free(&x);
    omma_model_free(m);
}

/* --- size --------------------------------------------------------------------------- */

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* A file of 100,000 nodes of some kind is opened, specialised and run in seconds. */
static void large(void (*node)(mk *g, int i), const char *what) {
    enum { N = 100000 };
    mk g = {0};
    omma_model *model;
    omma_session *s;
    omma_error err;
    mk_port(&g, MK_INPUT, "v0", OMMA_F32, MK_DIMS(2, -1));
    for (int i = 0; i < N; i++) node(&g, i);
    char last[16];
    snprintf(last, sizeof last, "v%d", N);
    mk_port(&g, MK_OUTPUT, last, OMMA_F32, MK_DIMS(2, -1));
    mk m = mk_model(&g, 13);
    double t0 = seconds();
    if (mk_open(&model, &m, NULL, &err)) fail_msg("%s: %s", what, err.message);
    double t1 = seconds();
    if (omma_session_new(&s, model, NULL, &err)) fail_msg("%s: %s", what, err.message);
    double t2 = seconds();
    const omma_tensor t = {OMMA_F32, 2, {2, 2}, (float[]){1, 2, 3, 4}};
    if (omma_session_run(s, &t, 1, &err)) fail_msg("%s: %s", what, err.message);
    double t3 = seconds();
    print_message("100,000 nodes %s: open %.2f s, session %.2f s, plan and run %.2f s\n", what,
                  t1 - t0, t2 - t1, t3 - t2);
    assert_true(t3 - t0 < 20);
    omma_session_free(s);
    omma_model_free(model);
    mk_free(&m);
}

static void chain(mk *g, int i) {
    char a[16], b[16];
    snprintf(a, sizeof a, "v%d", i), snprintf(b, sizeof b, "v%d", i + 1);
    mk_op(g, "Relu", a, b, NULL);
}

static void swaps(mk *g, int i) { /* each of its own storage */
    char a[16], b[16];
    snprintf(a, sizeof a, "v%d", i), snprintf(b, sizeof b, "v%d", i + 1);
    mk_op(g, "Transpose", a, b, NULL);
}

static void weights(mk *g, int i) { /* each with a weight of its own, unaligned and not */
    char w[16], in[48], b[16];
    snprintf(w, sizeof w, "w%d", i), snprintf(in, sizeof in, "v%d,w%d", i, i),
        snprintf(b, sizeof b, "v%d", i + 1);
    mk_floats(g, w, (float[]){1}, MK_DIMS(1));
    mk_op(g, "Add", in, b, NULL);
}

static void products(mk *g, int i) { /* packed weights, activations to fuse */
    char w[16], in[48], b[16];
    if (i % 2) {
        chain(g, i);
        return;
    }
    snprintf(w, sizeof w, "w%d", i), snprintf(in, sizeof in, "v%d,w%d", i, i),
        snprintf(b, sizeof b, "v%d", i + 1);
    mk_floats(g, w, (float[]){1, 0, 0, 1}, MK_DIMS(2, 2));
    mk_op(g, "MatMul", in, b, NULL);
}

static void folded(mk *g, int i) { /* arithmetic on constants, and all of it read at the end */
    char in[48], b[16];
    if (i == 0) mk_floats(g, "c0", (float[]){1}, MK_DIMS(1));
    if (i < 99998) {
        snprintf(in, sizeof in, "c%d", i), snprintf(b, sizeof b, "c%d", i + 1);
        mk_op(g, "Neg", in, b, NULL);
    } else if (i == 99998) mk_op(g, "Add", "v0,c99998", "v99999", NULL);
    else chain(g, i);
}

static void fan(mk *g, int i) { /* 50,000 values alive at the same time */
    char in[48], out[16];
    if (i < 50000) {
        snprintf(out, sizeof out, "f%d", i);
        mk_op(g, "Transpose", "v0", out, NULL);
    } else if (i == 50000) mk_op(g, "Relu", "f0", "v50001", NULL);
    else {
        snprintf(in, sizeof in, "v%d,f%d", i, i - 50000), snprintf(out, sizeof out, "v%d", i + 1);
        mk_op(g, "Max", in, out, NULL);
    }
}

static void many_nodes(void **state) {
    (void)state;
    large(chain, "in a chain");
    large(swaps, "that do not work in place");
    large(weights, "with weights");
    large(products, "with packed weights");
    large(folded, "on constants");
    large(fan, "with long lives");
}

/* Many names take time and memory by their number only. */
static void many_names(void **state) {
    (void)state;
    mk g = {0};
    omma_model *model;
    omma_error err;
    mk_small(&g);
    for (int i = 0; i < 200000; i++) {
        char name[24];
        snprintf(name, sizeof name, "c%d", i);
        mk t = mk_tensor(name, OMMA_F32, MK_DIMS(0));
        mk_sub(&g, MK_INIT, &t);
    }
    mk m = mk_small_end(&g);
    double t0 = seconds();
    if (mk_open(&model, &m, NULL, &err)) fail_msg("%s", err.message);
    assert_true(seconds() - t0 < 10);
    omma_model_free(model);
    /* the same against a budget it does not fit in */
    assert_int_equal(mk_open(&model, &m, &(omma_options){.max_memory = 1 << 20}, &err),
                     OMMA_E_NOMEM);
    mk_free(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(raw_layouts),
                                       cmocka_unit_test(typed_layouts),
                                       cmocka_unit_test(narrow_layouts),
                                       cmocka_unit_test(scalars_and_empty),
                                       cmocka_unit_test(extras),
                                       cmocka_unit_test(missing),
                                       cmocka_unit_test(dead),
                                       cmocka_unit_test(inspect_by_value),
                                       cmocka_unit_test(inspect_overflow),
                                       cmocka_unit_test(many_nodes),
                                       cmocka_unit_test(many_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
