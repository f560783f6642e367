/* test_onnx_write.c - a model read, written and read again is the same model: every kind of
 * attribute, bodies of branches with what they take from outside, weights at odd addresses, a whole
 * detector; and what cannot be written is told, and leaves no file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <sys/stat.h>

#include "file/protobuf_write.h"
#include "model/onnx_write.h"
#include "onnxmake.h"
#include "op/fused.h"
#include "shared.h"

/* Write m to a new file and open that. */
static omma_model *again(const omma_model *m) {
    char path[] = "/tmp/omma-write-XXXXXX";
    omma_error err;
    omma_model *copy;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    if (omma_onnx_write(path, m->graph, m, &err)) fail_msg("%s", err.message);
    if (omma_model_open(&copy, path, NULL, &err)) fail_msg("%s", err.message);
    unlink(path);
    return copy;
}

static void run(omma_session **s, const omma_model *m, const omma_tensor *in) {
    omma_error err;
    if (omma_session_new(s, m, NULL, &err)) fail_msg("%s", err.message);
    if (omma_session_run(*s, in, omma_model_input_count(m), &err)) fail_msg("%s", err.message);
}

/* Both models give the same bits. */
static void same(const omma_model *a, const omma_model *b, const omma_tensor *in) {
    omma_session *s, *t;
    run(&s, a, in), run(&t, b, in);
    assert_int_equal(omma_model_output_count(a), omma_model_output_count(b));
    for (int i = 0; i < omma_model_output_count(a); i++) {
        const omma_tensor *x = omma_session_output(s, i), *y = omma_session_output(t, i);
        assert_int_equal(x->dtype, y->dtype);
        assert_int_equal(x->rank, y->rank);
        assert_memory_equal(x->dims, y->dims, (size_t)x->rank * sizeof *x->dims);
        assert_memory_equal(x->data, y->data,
                            (size_t)omma_tensor_count(x) * omma_dtype_size(x->dtype));
    }
    omma_session_free(s), omma_session_free(t);
}

static omma_model *opened(mk *g) {
    omma_model *m;
    omma_error err;
    mk file = mk_model(g, 17);
    if (mk_open(&m, &file, NULL, &err)) fail_msg("%s", err.message);
    mk_free(&file);
    return m;
}

static void attributes(void **state) {
    (void)state;
    mk g = {0}, conv = {0}, slice = {0}, tensor;
    const float w[] = {1, 2, 3, 4}, x[] = {1, -2, 3, -4, 5, -6, 7, -8, 9};
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(1, 1, 3, -1));
    mk_floats(&g, "w", w, MK_DIMS(1, 1, 2, 2));
    mk_attr_ints(&conv, "pads", (int64_t[]){1, 0, 0, 1}, 4);
    mk_attr_str(&conv, "auto_pad", "NOTSET");
    mk_op(&g, "Conv", "x,w", "c", &conv);
    mk_attr_float(&slice, "alpha", 0.25f);
    mk_op(&g, "LeakyRelu", "c", "l", &slice);
    tensor = mk_tensor(NULL, OMMA_F32, MK_DIMS(1));
    mk_bytes(&tensor, 9, &(float){0.5f}, 4);
    mk_constant(&g, "half", &tensor);
    mk_op(&g, "Clip", "l,,half", "y", NULL);
    mk_port(&g, MK_OUTPUT, "y", OMMA_F32, MK_DIMS(1, 1, 3, -1));
    omma_model *m = opened(&g), *copy = again(m);
    assert_int_equal(copy->opset, 17);
    assert_int_equal(omma_model_input(copy, 0)->dims[3], -1);
    assert_string_equal(omma_model_input(copy, 0)->symbol[3], omma_model_input(m, 0)->symbol[3]);
    same(m, copy, &(omma_tensor){OMMA_F32, 4, {1, 1, 3, 3}, (void *)(uintptr_t)x});
    omma_model_free(copy);
    omma_model_free(m);
}

/* y = c ? x + w : x - w, both branches taking x and w from outside. */
static void bodies(void **state) {
    (void)state;
    mk g = {0}, yes = {0}, no = {0}, attrs = {0};
    mk_port(&g, MK_INPUT, "c", OMMA_BOOL, MK_DIMS(1));
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(2));
    mk_floats(&g, "w", (float[]){3, 4}, MK_DIMS(2));
    mk_op(&yes, "Add", "x,w", "a", NULL);
    mk_str(&yes, 2, "yes");
    mk_port(&yes, MK_OUTPUT, "a", OMMA_F32, MK_DIMS(2));
    mk_op(&no, "Sub", "x,w", "b", NULL);
    mk_str(&no, 2, "no");
    mk_port(&no, MK_OUTPUT, "b", OMMA_F32, MK_DIMS(2));
    mk_attr_graph(&attrs, "then_branch", &yes);
    mk_attr_graph(&attrs, "else_branch", &no);
    mk_op(&g, "If", "c", "y", &attrs);
    mk_port(&g, MK_OUTPUT, "y", OMMA_F32, MK_DIMS(2));
    omma_model *m = opened(&g), *copy = again(m);
    for (unsigned char c = 0; c < 2; c++) {
        float x[2] = {1, 2};
        same(m, copy, (omma_tensor[]){{OMMA_BOOL, 1, {1}, &c}, {OMMA_F32, 1, {2}, x}});
    }
    omma_model_free(copy);
    omma_model_free(m);
}

static void detector(void **state) {
    (void)state;
    char path[1024];
    if (!shared_path(path, sizeof path, "models/deimv2_atto/deimv2_hgnetv2_atto_coco.onnx")) skip();
    omma_model *m, *copy;
    omma_error err;
    if (omma_model_open(&m, path, NULL, &err)) fail_msg("%s", err.message);
    copy = again(m);
    assert_int_equal(copy->graph->n_nodes, m->graph->n_nodes);
    assert_int_equal(copy->parameters, m->parameters);
    float *x = calloc(3 * 320 * 320, sizeof *x);
    assert_non_null(x);
    for (int i = 0; i < 3 * 320 * 320; i++) x[i] = (float)(i * 7 % 256) / 255;
    int64_t size[2] = {320, 320};
    same(m, copy, (omma_tensor[]){{OMMA_F32, 4, {1, 3, 320, 320}, x}, {OMMA_I64, 2, {1, 2}, size}});
    free(x);
    omma_model_free(copy);
    omma_model_free(m);
}

static void refused(omma_model *m, const char *path, omma_status want, const char *word) {
    omma_error err;
    struct stat st;
    assert_int_equal(omma_onnx_write(path, m->graph, m, &err), want);
    if (!strstr(err.message, word)) fail_msg("'%s' says nothing of '%s'", err.message, word);
    assert_true(stat(path, &st));
}

static void what_cannot_be_written(void **state) {
    (void)state;
    mk g = {0};
    mk_small(&g);
    mk m = mk_small_end(&g);
    omma_model *model;
    omma_error err;
    if (mk_open(&model, &m, NULL, &err)) fail_msg("%s", err.message);
    mk_free(&m);
    refused(model, "/nowhere/at/all.onnx", OMMA_E_IO, "cannot write");
    omma_node *n = model->graph->nodes[0];
    const omma_op *op = n->op;
    n->op = &omma_op_Linear;
    refused(model, "/tmp/omma-write-never", OMMA_E_UNSUPPORTED, "omma's own");
    n->op = op;
    n->opset = 11;
    refused(model, "/tmp/omma-write-never", OMMA_E_UNSUPPORTED, "operator set 11");
    omma_model_free(model);
}

/* Pieces of every size come out in order. */
static void pieces(void **state) {
    (void)state;
    omma_arena a;
    omma_arena_init(&a, NULL);
    omma_pb_out o = {.arena = &a};
    unsigned char big[10000];
    size_t at = 0, count;
    omma_bytes *parts;
    mk want = {0};
    for (size_t i = 0; i < sizeof big; i++) big[i] = (unsigned char)(i * 31);
    for (uint32_t i = 1; i < 60; i++) {
        const size_t n = i * i * 2;
        omma_pb_out inner = {.arena = &a};
        mk same_inner = {0};
        omma_pb_put_int(&inner, i, -(int64_t)i), mk_int(&same_inner, i, -(int64_t)i);
        if (i % 3) omma_pb_put_bytes(&inner, i, big, n), mk_bytes(&same_inner, i, big, n);
        else omma_pb_put_lent(&inner, i, big, n), mk_bytes(&same_inner, i, big, n);
        omma_pb_put_float(&inner, 2, 1.5f), mk_float(&same_inner, 2, 1.5f);
        omma_pb_put_message(&o, i, &inner), mk_sub(&want, i, &same_inner);
        if (i % 5 == 0) omma_pb_put_message(&o, i, &inner), mk_sub(&want, i, &same_inner);
        omma_pb_put_text(&o, 3000, "text"), mk_str(&want, 3000, "text");
    }
    assert_int_equal(omma_pb_parts(&o, &parts, &count, NULL), OMMA_OK);
    assert_int_equal(o.size, want.size);
    for (size_t i = 0; i < count; i++) {
        assert_true(parts[i].size <= want.size - at);
        assert_memory_equal(parts[i].data, want.data + at, parts[i].size);
        at += parts[i].size;
    }
    assert_int_equal(at, want.size);
    mk_free(&want);
    omma_arena_free(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(pieces), cmocka_unit_test(attributes),
                                       cmocka_unit_test(bodies), cmocka_unit_test(detector),
                                       cmocka_unit_test(what_cannot_be_written)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
