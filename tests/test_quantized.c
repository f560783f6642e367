/* test_quantized.c - graphs between QuantizeLinear and DequantizeLinear compute in integers, and
 * give what they give in float but for single steps of 8 bits: what is taken in (biases, residuals,
 * activations, single factors, int8 activations, products), what must not be, and that watching
 * changes nothing. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "guard.h"
#include "model/model.h"
#include "onnxmake.h"
#include "pass/pass.h"
#include "run/plan.h"

/* --- graphs being made --------------------------------------------------------------- */

static void number(mk *g, const char *name, float v) { mk_floats(g, name, &v, MK_SCALAR); }

static void zero(mk *g, const char *name, omma_dtype t, int v) {
    const unsigned char byte = (unsigned char)v;
    mk_raw(g, name, t, &byte, MK_SCALAR);
}

/* x -> Quantize -> Dequantize -> x_d, by a scale and a zero point of type t. */
static void q8(mk *g, const char *x, float scale, omma_dtype t, int z) {
    char s[64], k[64], q[64], d[64], in[256];
    snprintf(s, sizeof s, "%s_s", x), snprintf(k, sizeof k, "%s_z", x);
    snprintf(q, sizeof q, "%s_q", x), snprintf(d, sizeof d, "%s_d", x);
    number(g, s, scale), zero(g, k, t, z);
    snprintf(in, sizeof in, "%s,%s,%s", x, s, k);
    mk_op(g, "QuantizeLinear", in, q, NULL);
    snprintf(in, sizeof in, "%s,%s,%s", q, s, k);
    mk_op(g, "DequantizeLinear", in, d, NULL);
}

/* Weights s8 [m, ...] named w with a scale a channel along axis, dequantised as w_d. */
static void weights(mk *g, const char *w, int axis, int rank, const int64_t *dims) {
    int64_t n = 1;
    int8_t data[4096];
    float scale[64];
    char s[64], in[256], d[64];
    mk attrs = {0};
    for (int i = 0; i < rank; i++) n *= dims[i];
    assert_true(n <= 4096 && dims[axis] <= 64);
    for (int64_t i = 0; i < n; i++) data[i] = (int8_t)rng_int(-127, 127);
    for (int64_t i = 0; i < dims[axis]; i++) scale[i] = 0.004f + 0.002f * rng_float();
    snprintf(s, sizeof s, "%s_s", w), snprintf(d, sizeof d, "%s_d", w);
    mk_raw(g, w, OMMA_I8, data, rank, dims);
    mk_floats(g, s, scale, 1, &dims[axis]);
    snprintf(in, sizeof in, "%s,%s", w, s);
    mk_attr_int(&attrs, "axis", axis);
    mk_op(g, "DequantizeLinear", in, d, &attrs);
}

/* --- running ------------------------------------------------------------------------- */

typedef struct result {
    int conv, linear, quantize; /* nodes in the base graph */
    float worst;                /* difference to the float run */
} result;

static int count(const omma_graph *g, const char *op) {
    int n = 0;
    for (int i = 0; i < g->n_nodes; i++) n += !strcmp(g->nodes[i]->op->name, op);
    return n;
}

/* Every node's output of the model is watched: nothing is fused away, so all that does the work
 * of a step is the step itself; what the fused run gives must not change by it. */
static void watched(const omma_model *m, const omma_tensor *in, const float *want, int64_t n) {
    omma_session *s;
    omma_error err;
    if (omma_session_new(&s, m, NULL, &err)) fail_msg("%s", err.message);
    for (int i = 0; i < m->graph->n_nodes; i++)
        assert_int_equal(omma_session_watch(s, m->graph->nodes[i]->out[0]->name, &err), OMMA_OK);
    if (omma_session_run(s, in, omma_model_input_count(m), &err)) fail_msg("%s", err.message);
    assert_memory_equal(omma_session_output(s, 0)->data, want, (size_t)n * 4);
    omma_session_free(s);
}

/* The plain graph: no pass but the folding of shapes. */
static const float *plainly(const omma_model *m, const omma_tensor *in, omma_arena *a) {
    omma_graph *g = omma_graph_clone(m->graph, a);
    omma_error err;
    omma_build b = {.arena = a, .err = &err, .kern = omma_kernels_best()};
    for (int i = 0; i < g->n_inputs; i++) {
        g->inputs[i]->rank = in[i].rank;
        memcpy(g->inputs[i]->dims, in[i].dims, sizeof in[i].dims);
        g->inputs[i]->mem = in[i].data;
    }
    for (int i = 0; i < g->n_values; i++) {
        omma_value *v = g->values[i];
        if (!v->data) continue;
        v->mem = omma_arena_alloc(a, omma_value_bytes(v) + 1);
        memcpy(v->mem, v->data, omma_value_bytes(v));
        v->data = v->mem;
    }
    const omma_exec x = {.threads = 1, .kern = b.kern, .err = &err};
    for (int i = 0; i < g->n_nodes; i++) {
        omma_node *n = g->nodes[i];
        if (n->op->infer(&b, n)) fail_msg("%s", err.message);
        if (n->op->prepare && n->op->prepare(&b, n)) fail_msg("%s", err.message);
        n->work = omma_arena_alloc(a, n->scratch);
        for (int k = 0; k < n->n_out; k++)
            n->out[k]->mem = n->op->flags & OMMA_OP_VIEW
                                 ? n->in[0]->mem
                                 : omma_arena_alloc(a, omma_value_bytes(n->out[k]) + 64);
        if (n->op->run(&x, n)) fail_msg("%s", err.message);
    }
    return g->outputs[0]->mem;
}

static result run(mk *graph, omma_tensor *in, int n_in) {
    result r = {0};
    omma_model *m;
    omma_session *s;
    omma_error err;
    omma_arena a;
    omma_graph *base;
    mk file = mk_model(graph, 17);
    if (mk_open(&m, &file, NULL, &err)) fail_msg("%s", err.message);
    mk_free(&file);
    omma_arena_init(&a, NULL);
    for (int i = 0; i < n_in; i++) {
        const size_t n = (size_t)omma_tensor_count(&in[i]);
        in[i].data = omma_arena_alloc(&a, n * 4);
        rng_fill(in[i].data, n);
    }
    if (omma_session_new(&s, m, NULL, &err)) fail_msg("%s", err.message);
    if (omma_session_run(s, in, n_in, &err)) fail_msg("%s", err.message);
    if (omma_base_graph(&base, m->graph, NULL, 0, &a, &err)) fail_msg("%s", err.message);
    assert_int_equal(omma_graph_verify(base, &err), OMMA_OK);
    r.conv = count(base, "omma.ConvInt8"), r.linear = count(base, "omma.LinearInt8");
    r.quantize = count(base, "QuantizeLinear");
    const omma_tensor *y = omma_session_output(s, 0);
    const float *want = plainly(m, in, &a), *have = y->data;
    for (int64_t i = 0; i < omma_tensor_count(y); i++) {
        if (!(fabsf(have[i] - want[i]) >= r.worst)) continue;
        r.worst = fabsf(have[i] - want[i]);
    }
    watched(m, in, have, omma_tensor_count(y));
    omma_session_free(s);
    omma_model_free(m);
    omma_arena_free(&a);
    return r;
}

static void want(result r, int conv, int linear, int quantize, float step) {
    assert_int_equal(r.conv, conv);
    assert_int_equal(r.linear, linear);
    assert_int_equal(r.quantize, quantize);
    if (!(r.worst <= step * 1.001f))
        fail_msg("off by %g, a step is %g", (double)r.worst, (double)step);
}

static mk begin(int64_t c, int64_t h, int64_t w) {
    mk g = {0};
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(1, c, h, w));
    return g;
}

static omma_tensor picture(int64_t c, int64_t h, int64_t w) {
    return (omma_tensor){OMMA_F32, 4, {1, c, h, w}, NULL};
}

static mk pads(int64_t n) {
    mk a = {0};
    mk_attr_ints(&a, "pads", (int64_t[]){n, n, n, n}, 4);
    return a;
}

/* --- what is taken in -------------------------------------------------------------------- */

/* Two convolutions with all that may stand between them; t: the type of the activations. */
static void chain(omma_dtype t) {
    mk g = begin(5, 9, 7), a = pads(1);
    const int low = t == OMMA_I8 ? -128 : 0;
    const int32_t bias[6] = {500, -900, 20, 0, 3000, -7};
    q8(&g, "x", 1 / 127.0f, t, low + 128);
    weights(&g, "w", 0, MK_DIMS(6, 5, 3, 3));
    mk_raw(&g, "b", OMMA_I32, bias, MK_DIMS(6));
    number(&g, "b_s", 5e-5f);
    mk_op(&g, "DequantizeLinear", "b,b_s", "b_d", NULL);
    mk_op(&g, "Conv", "x_d,w_d,b_d", "c", &a);
    mk_op(&g, "Relu", "c", "r", NULL);
    number(&g, "two", 1.25f), number(&g, "up", 0.125f);
    mk_op(&g, "Mul", "two,r", "m", NULL);
    mk_op(&g, "Add", "m,up", "s", NULL);
    q8(&g, "s", 0.01f, t, low + 3);
    weights(&g, "v", 0, MK_DIMS(4, 6, 1, 1));
    mk_op(&g, "Conv", "s_d,v_d", "y", NULL);
    mk_port(&g, MK_OUTPUT, "y", OMMA_F32, MK_DIMS(1, 4, 9, 7));
    omma_tensor in = picture(5, 9, 7);
    /* a step of s is 0.01, through six weights of at most 0.006 * 127 */
    want(run(&g, &in, 1), 2, 0, 1, 0.01f * 6 * 0.77f);
}

static void chains(void **state) {
    (void)state;
    for (int i = 0; i < 5; i++) chain(OMMA_U8), chain(OMMA_I8);
}

static void activations(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        mk g = begin(8, 6, 5);
        q8(&g, "x", 1 / 127.0f, OMMA_U8, 128);
        weights(&g, "w", 0, MK_DIMS(8, 8, 1, 1));
        mk_op(&g, "Conv", "x_d,w_d", "c", NULL);
        if (i == 0) {
            mk_op(&g, "Sigmoid", "c", "g", NULL);
            mk_op(&g, "Mul", "g,c", "r", NULL);
        } else if (i == 1) {
            number(&g, "lo", -0.5f), number(&g, "hi", 0.25f);
            mk_op(&g, "Clip", "c,lo,hi", "r", NULL);
        } else mk_op(&g, i == 2 ? "HardSwish" : "Relu", "c", "r", NULL);
        q8(&g, "r", 0.02f, OMMA_U8, 60);
        mk_op(&g, "Identity", "r_d", "y", NULL);
        mk_port(&g, MK_OUTPUT, "y", OMMA_F32, MK_DIMS(1, 8, 6, 5));
        omma_tensor in = picture(8, 6, 5);
        want(run(&g, &in, 1), 1, 0, 1, 0.02f);
    }
}

/* Residuals: of 8 bits, of float, and one that broadcasts, which shapes tell only later. */
static void residuals(void **state) {
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        mk g = begin(8, 6, 5);
        q8(&g, "x", 1 / 127.0f, OMMA_U8, 128);
        weights(&g, "w", 0, MK_DIMS(8, 8, 1, 1)), weights(&g, "v", 0, MK_DIMS(8, 8, 1, 1));
        mk_op(&g, "Conv", "x_d,w_d", "c", NULL);
        if (kind == 1) mk_op(&g, "Conv", "x_d,v_d", "o", NULL);
        if (kind == 2) mk_op(&g, "GlobalAveragePool", "x_d", "o", NULL);
        mk_op(&g, "Add", kind ? "c,o" : "x_d,c", "s", NULL);
        mk_op(&g, "Relu", "s", "r", NULL);
        q8(&g, "r", 0.02f, OMMA_U8, 0);
        mk_op(&g, "Identity", "r_d", "y", NULL);
        mk_port(&g, MK_OUTPUT, "y", OMMA_F32, MK_DIMS(1, 8, 6, 5));
        omma_tensor in = picture(8, 6, 5);
        want(run(&g, &in, 1), 1 + (kind == 1), 0, 1, 0.02f);
    }
}

static void products(void **state) {
    (void)state;
    for (int gemm = 0; gemm < 2; gemm++) {
        mk g = {0}, a = {0};
        float bias[10];
        rng_fill(bias, 10);
        if (gemm) mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(3, 7));
        else mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(2, 3, 7));
        q8(&g, "x", 1 / 127.0f, OMMA_U8, 128);
        mk_floats(&g, "b", bias, MK_DIMS(10));
        if (gemm) {
            weights(&g, "w", 0, MK_DIMS(10, 7));
            mk_attr_int(&a, "transB", 1);
            mk_op(&g, "Gemm", "x_d,w_d,b", "m", &a);
        } else {
            weights(&g, "w", 1, MK_DIMS(7, 10));
            mk_op(&g, "MatMul", "x_d,w_d", "n", NULL);
            mk_op(&g, "Add", "b,n", "m", NULL);
        }
        mk_op(&g, "Relu", "m", "y", NULL);
        if (gemm) mk_port(&g, MK_OUTPUT, "y", OMMA_F32, MK_DIMS(3, 10));
        else mk_port(&g, MK_OUTPUT, "y", OMMA_F32, MK_DIMS(2, 3, 10));
        omma_tensor in = gemm ? (omma_tensor){OMMA_F32, 2, {3, 7}, NULL}
                              : (omma_tensor){OMMA_F32, 3, {2, 3, 7}, NULL};
        want(run(&g, &in, 1), 0, 1, 1, 1e-5f);
    }
}

/* What reads the quantised or the float value beside the product still gets it. */
static void neighbours(void **state) {
    (void)state;
    mk g = begin(4, 5, 5);
    q8(&g, "x", 1 / 127.0f, OMMA_U8, 128);
    weights(&g, "w", 0, MK_DIMS(4, 4, 1, 1)), weights(&g, "v", 0, MK_DIMS(4, 4, 1, 1));
    mk_op(&g, "Conv", "x_d,w_d", "c", NULL);
    q8(&g, "c", 0.02f, OMMA_U8, 128);
    mk_op(&g, "Conv", "c_d,v_d", "e", NULL);
    mk_op(&g, "Tanh", "c_d", "t", NULL);
    mk_op(&g, "Tanh", "e", "u", NULL);
    mk_op(&g, "Mul", "e,u", "p", NULL);
    mk_op(&g, "Add", "p,t", "y", NULL);
    mk_port(&g, MK_OUTPUT, "y", OMMA_F32, MK_DIMS(1, 4, 5, 5));
    omma_tensor in = picture(4, 5, 5);
    want(run(&g, &in, 1), 2, 0, 1, 0.02f * 8);
}

/* --- what is not ------------------------------------------------------------------------- */

static void left_alone(void **state) {
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        mk g = begin(4, 5, 5), a = {0}, axis = {0};
        const int8_t odd[4] = {0, 0, 1, 0};
        mk_attr_int(&axis, "axis", 0);
        if (kind == 0) { /* one scale in, another out: the value is no whole step */
            number(&g, "s1", 0.01f), number(&g, "s2", 0.02f), zero(&g, "z", OMMA_U8, 128);
            mk_op(&g, "QuantizeLinear", "x,s1,z", "q", NULL);
            mk_op(&g, "DequantizeLinear", "q,s2,z", "x_d", NULL);
        } else q8(&g, "x", 1 / 127.0f, OMMA_U8, 128);
        weights(&g, "w", 0, MK_DIMS(4, kind == 1 ? 1 : 4, 1, 1));
        if (kind == 1) mk_attr_int(&a, "group", 4); /* depthwise */
        if (kind == 2) {                            /* weights with a zero point */
            mk_raw(&g, "wz", OMMA_I8, odd, MK_DIMS(4));
            mk_op(&g, "DequantizeLinear", "w,w_s,wz", "w_e", &axis);
        } else mk_free(&axis);
        if (kind == 3) mk_op(&g, "Conv", "x,w_d", "y", &a); /* x is float */
        else mk_op(&g, "Conv", kind == 2 ? "x_d,w_e" : "x_d,w_d", "y", &a);
        mk_port(&g, MK_OUTPUT, "y", OMMA_F32, MK_DIMS(1, 4, 5, 5));
        omma_tensor in = picture(4, 5, 5);
        const result r = run(&g, &in, 1);
        assert_int_equal(r.conv, 0);
        assert_true(r.worst < 1e-4f);
    }
}

/* A quantised value that is an output, or is read as 8 bits by something else, exists. */
static void seen_outside(void **state) {
    (void)state;
    mk g = begin(4, 5, 5);
    q8(&g, "x", 1 / 127.0f, OMMA_U8, 128);
    weights(&g, "w", 0, MK_DIMS(4, 4, 1, 1));
    mk_op(&g, "Conv", "x_d,w_d", "c", NULL);
    q8(&g, "c", 0.02f, OMMA_U8, 128);
    mk attrs = {0};
    mk_attr_int(&attrs, "to", OMMA_F32);
    mk_op(&g, "Cast", "c_q", "y", &attrs);
    mk_port(&g, MK_OUTPUT, "y", OMMA_F32, MK_DIMS(1, 4, 5, 5));
    omma_tensor in = picture(4, 5, 5);
    want(run(&g, &in, 1), 1, 0, 2, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(chains),      cmocka_unit_test(activations),
                                       cmocka_unit_test(residuals),   cmocka_unit_test(products),
                                       cmocka_unit_test(neighbours),  cmocka_unit_test(left_alone),
                                       cmocka_unit_test(seen_outside)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
