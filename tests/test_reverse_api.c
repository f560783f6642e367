/* test_reverse_api.c - gradients, fields and effective fields through the public header alone. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "fieldnets.h"

static omma_error err;

static omma_model *open_net(const char *name, int size, omma_tensor *in) {
    omma_model *m;
    mk bytes = fieldnet(name, (net_options){.h = size, .w = size});
    if (mk_open(&m, &bytes, NULL, &err)) fail_msg("%s", err.message);
    mk_free(&bytes);
    *in = (omma_tensor){.dtype = OMMA_F32, .rank = 4};
    memcpy(in->dims, omma_model_input(m, 0)->dims, sizeof in->dims);
    return m;
}

static int64_t bits_of(const uint64_t *b, int64_t n) {
    int64_t sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (int64_t)(b[i / 64] >> (i % 64) & 1);
    return sum;
}

static void fields(void **state) {
    (void)state;
    omma_tensor in;
    omma_model *m = open_net("resnet50", 224, &in);
    omma_fov *f;
    omma_fov_status status;
    int rank;
    int64_t dims[OMMA_MAX_RANK];
    assert_int_equal(omma_fov_new(&f, m, &in, 1, NULL, &err), OMMA_OK);
    assert_int_equal(omma_fov_shape(f, "layer2", &rank, dims, &err), OMMA_OK);
    assert_int_equal(rank, 4);
    assert_int_equal(dims[2], 28);
    const int64_t pixels = 3 * 224 * 224;
    uint64_t *bits = test_calloc((size_t)pixels / 64 + 1, sizeof *bits);
    const int64_t cell[] = {0, -1, 10, 20};
    assert_int_equal(
        omma_fov_back(f, "layer2", cell, OMMA_FOV_STRUCTURAL, "x", bits, &status, &err), OMMA_OK);
    assert_int_equal(status, OMMA_FOV_EXACT);
    assert_int_equal(bits_of(bits, pixels), 3 * 91 * 91);
    assert_true(bits[(80 * 224 + 160) / 64] >> (80 * 224 + 160) % 64 & 1);
    /* forth: the cells of layer2 that this pixel reaches hold the cell it was seen from */
    const int64_t pixel[] = {0, 0, 80, 160};
    assert_int_equal(omma_fov_forth(f, "x", pixel, OMMA_FOV_STRUCTURAL, "layer2", bits, NULL, &err),
                     OMMA_OK);
    assert_true(bits[(10 * 28 + 20) / 64] >> (10 * 28 + 20) % 64 & 1);
    assert_int_equal(omma_fov_back(f, "nothing", cell, 7, "x", bits, NULL, &err), OMMA_E_NOTFOUND);
    assert_non_null(strstr(err.message, "nothing"));
    const int64_t beyond[] = {0, 0, 28, 0};
    assert_int_equal(omma_fov_back(f, "layer2", beyond, 7, "x", bits, NULL, &err), OMMA_E_RANGE);
    test_free(bits);
    omma_fov_free(f);
    omma_model_free(m);
}

/* y = argmax(x) as numbers: no gradient, and the node that blocks is named with the reason. */
static omma_model *blocked(bool beside) {
    omma_model *m;
    mk g = {0}, a = {0}, b = {0};
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(2, 3));
    mk_attr_int(&a, "axis", 1), mk_attr_int(&a, "keepdims", 1);
    mk_op(&g, "ArgMax", "x", "where", &a);
    mk_attr_int(&b, "to", OMMA_F32);
    mk_op(&g, "Cast", "where", "number", &b);
    mk_op(&g, beside ? "Add" : "Identity", beside ? "number,x" : "number", "y", NULL);
    mk_port(&g, MK_OUTPUT, "y", OMMA_F32, -1, NULL);
    mk model = mk_model(&g, 13);
    assert_int_equal(mk_open(&m, &model, NULL, &err), OMMA_OK);
    mk_free(&model);
    return m;
}

static void blocks_are_named(void **state) {
    (void)state;
    float x[] = {1, 2, 3, 6, 5, 4};
    const omma_tensor in = {.dtype = OMMA_F32, .rank = 2, .dims = {2, 3}, .data = x};
    omma_gradient *g;
    omma_model *m = blocked(false);
    assert_int_equal(omma_gradient_new(&g, m, NULL, NULL, &err), OMMA_OK);
    assert_int_equal(omma_gradient_run(g, &in, 1, NULL, &err), OMMA_E_UNSUPPORTED);
    assert_non_null(strstr(err.message, "ArgMax"));
    assert_non_null(strstr(err.message, "the gradient ends here"));
    omma_gradient_free(g);
    omma_model_free(m);
    m = blocked(true); /* another way leads on: the derivative of a step is zero */
    assert_int_equal(omma_gradient_new(&g, m, NULL, NULL, &err), OMMA_OK);
    assert_int_equal(omma_gradient_run(g, &in, 1, NULL, &err), OMMA_OK);
    for (int i = 0; i < 6; i++)
        assert_true(((const float *)omma_gradient_result(g, 0)->data)[i] == 1);
    assert_null(omma_gradient_result(g, 1));
    omma_gradient_free(g);
    omma_model_free(m);
}

static void what_is_asked_for(void **state) {
    (void)state;
    omma_tensor in;
    omma_model *m = open_net("stack_3", 16, &in);
    omma_gradient *g;
    float *x = test_calloc(256, sizeof *x);
    in.data = x;
    const char *const none[] = {"no such value"};
    const omma_gradient_how how = {.of = none, .n_of = 1};
    assert_int_equal(omma_gradient_new(&g, m, &how, NULL, &err), OMMA_OK);
    assert_int_equal(omma_gradient_run(g, &in, 1, NULL, &err), OMMA_E_NOTFOUND);
    assert_non_null(strstr(err.message, "no such value"));
    omma_gradient_free(g);
    assert_int_equal(omma_gradient_new(&g, m, NULL, NULL, &err), OMMA_OK);
    assert_int_equal(omma_gradient_count(g), 1);
    assert_string_equal(omma_gradient_name(g, 0), "x");
    assert_int_equal(omma_gradient_run(g, &in, 0, NULL, &err), OMMA_E_USAGE);
    assert_int_equal(omma_gradient_run(g, &in, 1, &in, &err), OMMA_E_USAGE); /* not seeded */
    assert_int_equal(omma_gradient_run(g, &in, 1, NULL, &err), OMMA_OK);
    omma_gradient_free(g);
    test_free(x);
    omma_model_free(m);
}

static void effective(void **state) {
    (void)state;
    omma_tensor in;
    omma_model *m = open_net("stack_2", 32, &in);
    omma_effective *e;
    int64_t h, w;
    float *x = test_calloc(32 * 32, sizeof *x);
    in.data = x;
    assert_int_equal(omma_effective_of(&e, m, "y", 10, 11, "none", NULL, &err), OMMA_E_USAGE);
    assert_int_equal(omma_effective_of(&e, m, "y", 10, 11, NULL, NULL, &err), OMMA_OK);
    assert_int_equal(omma_effective_get(e, &h, &w, NULL, NULL, &err), OMMA_E_USAGE);
    assert_int_equal(omma_effective_add(e, &in, 1, &err), OMMA_OK);
    assert_int_equal(omma_effective_get(e, &h, &w, NULL, NULL, &err), OMMA_OK);
    assert_int_equal(h * w, 32 * 32);
    double *map = test_calloc((size_t)(h * w), sizeof *map);
    assert_int_equal(omma_effective_get(e, &h, &w, map, NULL, &err), OMMA_OK);
    for (int64_t i = 0; i < h * w; i++) {
        const bool seen = llabs(i / w - 10) <= 2 && llabs(i % w - 11) <= 2;
        assert_int_equal(map[i] > 0, seen);
    }
    test_free(map);
    omma_effective_free(e);
    test_free(x);
    omma_model_free(m);
}

/* Swin: 12 attentions, windows of 7 x 7 tokens. */
static void parts(void **state) {
    (void)state;
    omma_tensor in;
    omma_model *m = open_net("swin_t", 224, &in);
    omma_sight *s;
    omma_sight_part p;
    omma_account a;
    float *x = test_calloc((size_t)3 * 224 * 224, sizeof *x), line[784];
    double from[784], y, x0;
    for (int i = 0; i < 3 * 224 * 224; i++) x[i] = (float)(i % 977) / 977.0f;
    assert_int_equal(omma_sight_new(&s, m, &in, 1, NULL, &err), OMMA_E_USAGE);
    in.data = x;
    assert_int_equal(omma_sight_new(&s, m, &in, 1, NULL, &err), OMMA_OK);
    assert_int_equal(omma_sight_attentions(s), 12);
    assert_int_equal(omma_sight_attention(s, 2, &p, &err), OMMA_OK);
    assert_int_equal(p.query_tokens, 784);
    assert_int_equal(p.windows, 16);
    assert_int_equal(p.keys, 49);
    const int64_t token = 14 * 28 + 14; /* the first of its window */
    assert_true(omma_sight_place(s, 2, 0, token, &y, &x0));
    assert_true(y == 14 * 8 + 3.5 && x0 == 14 * 8 + 3.5);
    assert_false(omma_sight_place(s, 2, 0, 784, &y, &x0));
    double mean = 0;
    for (int h = 0; h < p.heads; h++) {
        assert_int_equal(omma_sight_look(s, 2, h, token, 0, line, &err), OMMA_OK);
        double sum = 0;
        int seen = 0;
        for (int i = 0; i < 784; i++) {
            const bool same = i / 28 / 7 == 2 && i % 28 / 7 == 2;
            assert_true(same == (line[i] > 0));
            sum += (double)line[i], seen += line[i] > 0;
        }
        assert_int_equal(seen, 49);
        assert_true(fabs(sum - 1) < 1e-6);
        mean += (double)line[token + 1] / (double)p.heads;
    }
    assert_int_equal(omma_sight_look(s, 2, -1, token, 0, line, &err), OMMA_OK);
    assert_true(fabs((double)line[token + 1] - mean) < 1e-7);
    /* the same weight from its other end */
    assert_int_equal(omma_sight_look(s, 2, -1, token + 1, 1, line, &err), OMMA_OK);
    assert_true(fabs((double)line[token] - mean) < 1e-7);
    assert_int_equal(omma_sight_account(s, 2, token, &a, from, &err), OMMA_OK);
    assert_true(fabs(a.own + a.context + a.rest - 1) < 1e-5);
    assert_true(a.mismatch < 1e-5);
    double sum = 0;
    for (int i = 0; i < 784; i++) sum += i == token ? 0 : from[i];
    assert_true(fabs(sum - a.context) < 1e-9);
    assert_int_equal(omma_sight_look(s, 12, 0, 0, 0, line, &err), OMMA_E_RANGE);
    assert_int_equal(omma_sight_look(s, 2, (int)p.heads, 0, 0, line, &err), OMMA_E_RANGE);
    assert_int_equal(omma_sight_look(s, 2, 0, 784, 0, line, &err), OMMA_E_RANGE);
    assert_int_equal(omma_sight_account(s, 2, -1, &a, NULL, &err), OMMA_E_RANGE);
    assert_null(omma_sight_weights(s, 12));
    omma_sight_free(s);
    test_free(x);
    omma_model_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(fields), cmocka_unit_test(blocks_are_named),
                                       cmocka_unit_test(what_is_asked_for),
                                       cmocka_unit_test(effective), cmocka_unit_test(parts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
