/* test_op_hostile.c - operators over windows, products and samples with random shapes and
 * attributes, extremes among them: each must be refused or run, never crash, overflow or
 * write where it should not (run it under the sanitizers). Arguments: rounds, seed. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "optest.h"

static uint32_t seed = 11;

static uint32_t rnd(uint32_t n) {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

static int64_t extreme(void) {
    static const int64_t v[] = {0,         -1,        INT32_MAX, (int64_t)INT32_MAX + 1,
                                INT64_MAX, INT64_MIN, 65536,     (int64_t)1 << 40,
                                INT32_MIN};
    return v[rnd(sizeof v / sizeof *v)];
}

/* Mostly small and useful. */
static int64_t number(int64_t least) { return rnd(25) ? least + rnd(4) : extreme(); }

static float real(void) {
    static const float v[] = {0, -1, NAN, INFINITY, 1e30f, 1e-30f, -0.0f};
    return rnd(12) ? 0.25f + (float)rnd(12) / 4 : v[rnd(7)];
}

/* Lists live as long as the test's arena. */
static void ints(optest *t, const char *name, int n, int64_t least) {
    int64_t *v = omma_arena_array(&t->arena, (size_t)n + 1, sizeof *v);
    if (!v || rnd(3) == 0) return;
    if (rnd(40) == 0) n = (int)rnd((uint32_t)n + 1);
    for (int i = 0; i < n; i++) v[i] = number(least);
    optest_ints(t, name, v, n);
}

static void text(optest *t, const char *name, const char *const *values, uint32_t n) {
    if (rnd(2)) optest_string(t, name, rnd(30) ? values[rnd(n)] : "?");
}

/* A tensor, false when its shape is beyond the budget. */
static bool tensor(optest *t, omma_dtype type, int rank, const int64_t *dims, bool constant) {
    omma_value v = {.dtype = type, .rank = rank};
    int64_t count = 1;
    for (int i = 0; i < rank; i++) {
        v.dims[i] = dims[i];
        if (dims[i] < 0 || (dims[i] && __builtin_mul_overflow(count, dims[i], &count)))
            return false;
    }
    if (count > (int64_t)1 << 50 || omma_value_count(&v) > 1 << 16) return false;
    void *data = test_calloc(omma_value_bytes(&v) + 8, 1);
    for (int64_t i = 0; i < omma_value_count(&v); i++)
        omma_set_number(type, data, i, (double)real());
    optest_put(t, constant, type, data, rank, dims);
    test_free(data);
    return true;
}

static bool random_tensor(optest *t, int rank, bool constant) {
    int64_t dims[8];
    for (int i = 0; i < rank; i++) dims[i] = rnd(30) ? 1 + rnd(6) : rnd(3) ? 0 : extreme();
    return tensor(t, rnd(30) ? OMMA_F32 : (omma_dtype)(1 + rnd(16)), rank, dims, constant);
}

static bool window(optest *t, bool transposed) {
    static const char *const pads[] = {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"};
    int k = 1 + (int)rnd(3);
    int64_t g = 1 + rnd(2), c = 1 + rnd(3), x[8] = {rnd(20) ? 1 : 0, g * c},
            w[8] = {transposed ? g * c : g * 2, transposed ? 2 : c};
    for (int i = 0; i < k; i++)
        x[i + 2] = rnd(30) ? 1 + rnd(9) : number(0), w[i + 2] = rnd(30) ? 1 + rnd(3) : number(0);
    omma_dtype type = rnd(8) ? OMMA_F32 : OMMA_F16;
    if (!tensor(t, type, k + 2, x, false) || !tensor(t, type, k + 2, w, rnd(2))) return false;
    if (rnd(2) && !tensor(t, type, 1, (const int64_t[]){rnd(20) ? g * 2 : number(0)}, false))
        return false;
    optest_int(t, "group", rnd(20) ? g : number(0));
    ints(t, "strides", k, 1), ints(t, "dilations", k, 1), ints(t, "pads", 2 * k, 0);
    if (rnd(4) == 0) text(t, "auto_pad", pads, 4);
    if (transposed) ints(t, "output_padding", k, 0);
    if (transposed && rnd(4) == 0) ints(t, "output_shape", k, 4);
    return true;
}

static bool pooling(optest *t) {
    static const char *const pads[] = {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"};
    int rank = 1 + (int)rnd(5), k = rank > 2 ? rank - 2 : 1;
    if (!random_tensor(t, rank, false)) return false;
    ints(t, "kernel_shape", k, 1), ints(t, "strides", k, 1), ints(t, "dilations", k, 1),
        ints(t, "pads", 2 * k, 0);
    text(t, "auto_pad", pads, 4);
    optest_int(t, "ceil_mode", number(0)), optest_int(t, "count_include_pad", number(0)),
        optest_int(t, "storage_order", number(0));
    return true;
}

static bool products(optest *t) {
    static const char *const equations[] = {"ij,jk",         "...i,i...", "ii,ij->j", "abc,cba->b",
                                            "i...,...j->ij", ",->",       "a,b->ba",  "...,..."};
    if (!random_tensor(t, (int)rnd(4), rnd(2)) || !random_tensor(t, (int)rnd(4), rnd(2)))
        return false;
    if (!strcmp(t->op, "Gemm")) {
        if (rnd(2) && !random_tensor(t, (int)rnd(3), rnd(2))) return false;
        optest_int(t, "transA", rnd(2)), optest_int(t, "transB", rnd(2)),
            optest_float(t, "alpha", real()), optest_float(t, "beta", real());
    }
    if (!strcmp(t->op, "Einsum")) text(t, "equation", equations, 8);
    return true;
}

static bool resizing(optest *t) {
    static const char *const modes[] = {"nearest", "linear", "cubic"}, *const policies[] = {
                                                                           "stretch", "not_larger",
                                                                           "not_smaller"};
    static const char *const coordinates[] = {"half_pixel",         "half_pixel_symmetric",
                                              "pytorch_half_pixel", "align_corners",
                                              "asymmetric",         "tf_crop_and_resize"};
    int rank = (int)rnd(5), upsample = !strcmp(t->op, "Upsample");
    t->opset = upsample ? 9 : 11 + (int)rnd(9);
    if (!random_tensor(t, rank, false)) return false;
    if (!upsample && !tensor(t, OMMA_F32, 1, (const int64_t[]){2 * rank}, true)) return false;
    if (upsample || rnd(2)) {
        if (!tensor(t, OMMA_F32, 1, (const int64_t[]){rank}, true)) return false;
    } else {
        int64_t sizes[8];
        for (int i = 0; i < rank; i++) sizes[i] = number(1);
        optest_skip(t), optest_list(t, sizes, rank);
    }
    text(t, "mode", modes, 3), text(t, "coordinate_transformation_mode", coordinates, 6),
        text(t, "keep_aspect_ratio_policy", policies, 3);
    optest_int(t, "antialias", rnd(2)), optest_int(t, "exclude_outside", rnd(2)),
        optest_float(t, "cubic_coeff_a", real());
    if (rnd(8) == 0) ints(t, "axes", rank, 0);
    return true;
}

static bool sampling(optest *t) {
    static const char *const modes[] = {"nearest", "linear", "cubic"}, *const paddings[] = {
                                                                           "zeros", "border",
                                                                           "reflection"};
    int rank = 4 + (int)rnd(2);
    int64_t x[5], g[5];
    for (int i = 0; i < rank; i++) x[i] = rnd(30) ? 1 + rnd(4) : 0, g[i] = rnd(30) ? 1 + rnd(4) : 0;
    if (rnd(20)) g[0] = x[0], g[rank - 1] = rank - 2;
    if (!tensor(t, OMMA_F32, rank, x, false) || !tensor(t, OMMA_F32, rank, g, false)) return false;
    text(t, "mode", modes, 3), text(t, "padding_mode", paddings, 3);
    optest_int(t, "align_corners", rnd(2));
    return true;
}

/* Infer, prepare and run as far as the budget lets it. */
static omma_status attempt(optest *t, int n_out) {
    const omma_op *op = omma_op_find(t->op);
    omma_node *n = omma_graph_node(t->g, op, "node", t->n_in, n_out);
    if (!n) return OMMA_E_NOMEM;
    n->opset = t->opset, n->attrs = t->attrs, n->n_attrs = t->n_attrs;
    for (int i = 0; i < t->n_in; i++) n->in[i] = t->in[i];
    for (int i = 0; i < n_out; i++) omma_node_set_output(n, i, omma_graph_value(t->g, "out"));
    omma_build b = {.arena = &t->arena, .err = &t->err, .kern = omma_kernels_best()};
    OMMA_TRY(op->infer(&b, n));
    if (op->flops) assert_true(op->flops(n) >= 0);
    for (int i = 0; i < n_out; i++)
        if (omma_value_count(n->out[i]) > 1 << 18) return OMMA_E_NOMEM;
    if (op->prepare) OMMA_TRY(op->prepare(&b, n));
    n->work = omma_arena_alloc(&t->arena, n->scratch);
    if (!n->work) return OMMA_E_NOMEM;
    for (int i = 0; i < n_out; i++)
        if (!(n->out[i]->mem = omma_arena_alloc(&t->arena, omma_value_bytes(n->out[i]))))
            return OMMA_E_NOMEM;
    omma_exec x = {.threads = 1 + (int)rnd(3), .kern = b.kern, .err = &t->err};
    return op->run(&x, n);
}

static long rounds = 4000;

static void hostile(void **state) {
    static const char *const ops[] = {
        "Conv",   "ConvTranspose", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool",
        "MatMul", "Gemm",          "Einsum",  "Resize",      "Upsample",          "GridSample"};
    long ran = 0;
    (void)state;
    for (long i = 0; i < rounds; i++) {
        uint32_t which = rnd(12);
        optest *t = optest_new(ops[which], 19);
        omma_budget budget = {.limit = (size_t)1 << 28};
        omma_arena_free(&t->arena);
        omma_arena_init(&t->arena, &budget);
        t->g = omma_graph_new(&t->arena, "test");
        bool ok = which < 2    ? window(t, which == 1)
                  : which < 6  ? pooling(t)
                  : which < 9  ? products(t)
                  : which < 11 ? resizing(t)
                               : sampling(t);
        if (ok && !attempt(t, which == 2 ? 1 + (int)rnd(2) : 1)) ran++;
        optest_free(t);
    }
    print_message("%ld of %ld ran\n", ran, rounds);
    assert_true(ran > rounds / 10);
}

int main(int argc, char **argv) {
    if (argc > 1) rounds = strtol(argv[1], NULL, 10);
    if (argc > 2) seed = (uint32_t)strtoul(argv[2], NULL, 10);
    const struct CMUnitTest tests[] = {cmocka_unit_test(hostile)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
