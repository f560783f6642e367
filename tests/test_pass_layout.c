/* test_pass_layout.c - the layout pass, operator by operator: x -> Conv -> the operator at hand ->
 * Conv or the output. The answer is the naive one, with the pass and without it; the plan holds as
 * many transposes as must be, and nothing of what the rules behind the pass take in. */
#include "naive.h"
#include "onnxmake.h"
#include "planned.h"

enum { C = 8, H = 6, W = 10 };

/* Numbers of the order of 1, the same every time. */
static float noise(int64_t i) {
    return (float)((uint32_t)i * 2654435761u >> 9 & 0xffff) / 32768 - 1;
}

static void numbers(mk *g, const char *name, int rank, const int64_t *dims) {
    float w[4096];
    int64_t n = 1;
    for (int i = 0; i < rank; i++) n *= dims[i];
    assert_true(n <= 4096);
    for (int64_t i = 0; i < n; i++) w[i] = noise(i + name[0]) * 0.5f;
    mk_floats(g, name, w, rank, dims);
}

/* y = Conv 3x3 of x, c to m channels, its weights named after y. */
static void conv(mk *g, const char *x, const char *y, int64_t c, int64_t m) {
    mk a = {0};
    char in[64], w[32];
    snprintf(w, sizeof w, "%s.w", y);
    snprintf(in, sizeof in, "%s,%s", x, w);
    numbers(g, w, 4, (int64_t[]){m, c, 3, 3});
    mk_attr_ints(&a, "pads", (int64_t[]){1, 1, 1, 1}, 4);
    mk_op(g, "Conv", in, y, &a);
}

static void with_ints(mk *g, const char *op, const char *in, const char *attr, const int64_t *v,
                      int n) {
    mk a = {0};
    if (n < 0) mk_attr_int(&a, attr, v[0]);
    else mk_attr_ints(&a, attr, v, n);
    mk_op(g, op, in, "b", &a);
}
#define INTS(...) (const int64_t[]){__VA_ARGS__}, (int)(sizeof((const int64_t[]){__VA_ARGS__}) / 8)
#define INT(v) (const int64_t[]){v}, -1

/* --- the operators: a: [1, C, H, W] to b ---------------------------------------------- */

static void relu(mk *g) { mk_op(g, "Sigmoid", "a", "b", NULL); }
static void by_channel(mk *g) {
    numbers(g, "k", 3, (int64_t[]){C, 1, 1});
    mk_op(g, "Mul", "a,k", "b", NULL);
}
static void by_place(mk *g) {
    numbers(g, "k", 4, (int64_t[]){1, C, H, W});
    mk_op(g, "Add", "k,a", "b", NULL);
}
static void by_column(mk *g) {
    numbers(g, "k", 1, (int64_t[]){W});
    mk_op(g, "Add", "a,k", "b", NULL);
}
static void by_number(mk *g) {
    numbers(g, "k", 0, NULL);
    mk_op(g, "Max", "a,k", "b", NULL);
}
static void with_input(mk *g) { mk_op(g, "Sub", "x8,a", "b", NULL); }
static void concat_channels(mk *g) { with_ints(g, "Concat", "a,a", "axis", INT(1)); }
static void concat_rows(mk *g) { with_ints(g, "Concat", "a,x8", "axis", INT(-2)); }
static void split(mk *g) {
    mk a = {0};
    mk_attr_int(&a, "axis", 1);
    mk_op(g, "Split", "a", "s,t", &a);
    with_ints(g, "Concat", "t,s", "axis", INT(1));
}
static void slice(mk *g) {
    mk_ints(g, "from", (int64_t[]){1, -1}, 2), mk_ints(g, "to", (int64_t[]){7, 0}, 2);
    mk_ints(g, "axes", (int64_t[]){1, 3}, 2), mk_ints(g, "step", (int64_t[]){1, -2}, 2);
    mk_op(g, "Slice", "a,from,to,axes,step", "b", NULL);
}
static void slice_first(mk *g) {
    mk_ints(g, "from", (int64_t[]){0, 2, 1}, 3), mk_ints(g, "to", (int64_t[]){1, 6, 5}, 3);
    mk_op(g, "Slice", "a,from,to", "b", NULL);
}
static void pad(mk *g) {
    mk_ints(g, "pads", (int64_t[]){0, 1, 2, 0, 0, 0, 1, 3}, 8);
    mk_op(g, "Pad", "a,pads", "b", NULL);
}
static void nearest(mk *g) {
    mk_floats(g, "scales", (float[]){1, 1, 2, 3}, MK_DIMS(4));
    mk_op(g, "Resize", "a,,scales", "b", NULL);
}
static void linear(mk *g) {
    mk a = {0};
    mk_ints(g, "sizes", (int64_t[]){1, C, 9, 5}, 4);
    mk_attr_str(&a, "mode", "linear");
    mk_op(g, "Resize", "a,,,sizes", "b", &a);
}
static void norm(mk *g) {
    const char *const names[] = {"p", "q", "r"};
    float var[C];
    for (int i = 0; i < C; i++) var[i] = 0.5f + (float)i / C;
    for (int i = 0; i < 3; i++) numbers(g, names[i], 1, (int64_t[]){C});
    mk_floats(g, "v", var, MK_DIMS(C));
    mk_op(g, "Sin", "a", "sin", NULL); /* else the convolution takes it in */
    mk_op(g, "BatchNormalization", "sin,p,q,r,v", "b", NULL);
}
static void own_name(mk *g) {
    mk a = {0};
    numbers(g, "k", 4, (int64_t[]){C, C, 1, 3});
    mk_attr_ints(&a, "pads", (int64_t[]){0, 1, 0, 1}, 4);
    mk_attr_int(&a, "omma.planes", 1);
    mk_op(g, "Conv", "a,k", "b", &a);
}
static void max_pool(mk *g) {
    mk a = {0};
    mk_attr_ints(&a, "kernel_shape", (int64_t[]){3, 2}, 2);
    mk_attr_ints(&a, "strides", (int64_t[]){2, 1}, 2);
    mk_attr_ints(&a, "pads", (int64_t[]){1, 0, 1, 1}, 4);
    mk_op(g, "MaxPool", "a", "b,", &a); /* the indices are unwanted */
}
static void mean_pool(mk *g) {
    mk a = {0};
    mk_attr_ints(&a, "kernel_shape", (int64_t[]){2, 3}, 2);
    mk_attr_ints(&a, "pads", (int64_t[]){0, 1, 1, 1}, 4);
    mk_attr_int(&a, "count_include_pad", 1);
    mk_attr_int(&a, "ceil_mode", 1);
    mk_attr_ints(&a, "strides", (int64_t[]){2, 2}, 2);
    mk_op(g, "AveragePool", "a", "b", &a);
}
static void gate(mk *g) {
    mk_op(g, "GlobalAveragePool", "a", "m", NULL);
    mk_op(g, "Sigmoid", "m", "s", NULL);
    mk_op(g, "Mul", "a,s", "b", NULL);
}
static void global_flat(mk *g) {
    mk_op(g, "GlobalMaxPool", "a", "m", NULL);
    mk_op(g, "Flatten", "m", "b", NULL);
}
static void mean_keep(mk *g) { with_ints(g, "ReduceMean", "a", "axes", INTS(2, 3)); }
static void sum_channels(mk *g) {
    mk a = {0};
    mk_ints(g, "axes", (int64_t[]){1}, 1);
    mk_attr_int(&a, "keepdims", 0);
    mk_op(g, "ReduceSum", "a,axes", "b", &a);
}
static void max_rows(mk *g) { /* what is left is in another order: stays channels first */
    mk a = {0};
    mk_attr_int(&a, "keepdims", 0);
    mk_attr_ints(&a, "axes", (int64_t[]){2}, 1);
    mk_op(g, "ReduceMax", "a", "b", &a);
}
static void softmax(mk *g) { with_ints(g, "Softmax", "a", "axis", INT(1)); }
static void arg_max(mk *g) {
    mk a = {0};
    mk_attr_int(&a, "axis", 1), mk_attr_int(&a, "keepdims", 0);
    mk_op(g, "ArgMax", "a", "b", &a);
}
static void to_last(mk *g) { with_ints(g, "Transpose", "a", "perm", INTS(0, 2, 3, 1)); }
static void there_and_back(mk *g) {
    mk a = {0};
    mk_attr_ints(&a, "perm", (int64_t[]){0, 2, 3, 1}, 4);
    mk_op(g, "Transpose", "a", "t", &a);
    numbers(g, "gamma", 1, (int64_t[]){C}), numbers(g, "beta", 1, (int64_t[]){C});
    mk_op(g, "LayerNormalization", "t,gamma,beta", "n", NULL);
    with_ints(g, "Transpose", "n", "perm", INTS(0, 3, 1, 2));
}
static void tokens(mk *g) {
    mk_ints(g, "shape", (int64_t[]){0, C, -1}, 3);
    mk_op(g, "Reshape", "a,shape", "r", NULL);
    with_ints(g, "Transpose", "r", "perm", INTS(0, 2, 1));
}
static void residual(mk *g) {
    mk_op(g, "Add", "a,x8", "s", NULL), mk_op(g, "Relu", "s", "b", NULL);
}
static void residual_of_input(mk *g) { /* what is added is what the convolution reads */
    conv(g, "x8", "c", C, C);
    mk_op(g, "Add", "c,x8", "s", NULL);
    mk_op(g, "Mul", "s,a", "b", NULL);
}
static void depth_to_space(mk *g) { with_ints(g, "DepthToSpace", "a", "blocksize", INT(2)); }

/* A map that doubles, by taps that meet and with a bias. */
static void grow(mk *g) {
    mk a = {0};
    numbers(g, "k", 4, (int64_t[]){C, 3, 3, 3}), numbers(g, "q", 1, (int64_t[]){6});
    mk_attr_ints(&a, "strides", (int64_t[]){2, 2}, 2);
    mk_attr_ints(&a, "pads", (int64_t[]){1, 1, 1, 1}, 4);
    mk_attr_ints(&a, "output_padding", (int64_t[]){1, 1}, 2);
    mk_attr_int(&a, "group", 2);
    mk_op(g, "ConvTranspose", "a,k,q", "b", &a);
}
static void grow_apart(mk *g) {
    numbers(g, "k", 4, (int64_t[]){C, 5, 2, 2});
    with_ints(g, "ConvTranspose", "a,k", "strides", INTS(2, 3));
}
static void grow_same(mk *g) {
    mk a = {0};
    numbers(g, "k", 4, (int64_t[]){C, 1, 3, 2});
    mk_attr_ints(&a, "strides", (int64_t[]){2, 1}, 2);
    mk_attr_str(&a, "auto_pad", "SAME_UPPER");
    mk_attr_int(&a, "group", C);
    mk_op(g, "ConvTranspose", "a,k", "b", &a);
}

static const struct {
    const char *name;
    void (*make)(mk *g);
    int transposes;   /* in the plan; x is read as it is */
    int64_t channels; /* of b for another convolution; 0: b is the output */
    const char *gone; /* an operator that must not be in the plan, or NULL */
} cases[] = {
    {"Sigmoid", relu, 1, C, NULL},
    {"by channel", by_channel, 1, C, NULL},
    {"by place", by_place, 1, C, NULL},
    {"by column", by_column, 1, C, NULL},
    {"by number", by_number, 1, C, NULL},
    {"with an input", with_input, 1, C, NULL},
    {"Concat of channels", concat_channels, 1, 2 * C, NULL},
    {"Concat of rows", concat_rows, 1, C, NULL},
    {"Split", split, 1, C, NULL},
    {"Slice", slice, 1, 6, NULL},
    {"Slice without axes", slice_first, 1, 4, NULL},
    {"Pad", pad, 1, C + 1, NULL},
    {"Resize nearest", nearest, 1, C, NULL},
    {"Resize linear", linear, 1, C, NULL},
    {"BatchNormalization", norm, 1, C, "BatchNormalization"},
    {"MaxPool", max_pool, 1, C, "MaxPool"},
    {"AveragePool", mean_pool, 1, C, "AveragePool"},
    {"a gate", gate, 1, C, "GlobalAveragePool"},
    {"GlobalMaxPool, Flatten", global_flat, 0, 0, "GlobalMaxPool"},
    {"ReduceMean", mean_keep, 0, 0, NULL},
    {"ReduceSum", sum_channels, 0, 0, NULL},
    {"ReduceMax of rows", max_rows, 1, 0, NULL},
    {"Softmax", softmax, 1, C, NULL},
    {"ArgMax", arg_max, 0, 0, NULL},
    {"Transpose", to_last, 0, 0, NULL},
    {"Transpose and back", there_and_back, 1, C, NULL},
    {"tokens", tokens, 0, 0, NULL},
    {"a residual", residual, 1, C, "Add"},
    {"a residual of its input", residual_of_input, 1, C, "Add"},
    {"ConvTranspose", grow, 1, 6, "ConvTranspose"},
    {"ConvTranspose, taps apart", grow_apart, 1, 5, "ConvTranspose"},
    {"ConvTranspose, depthwise", grow_same, 1, C, "ConvTranspose"},
    {"DepthToSpace", depth_to_space, 2, C / 4, NULL}, /* two channels: read as they are, too */
    {"a name of the plan's own", own_name, 1, C, NULL},
};

/* x: [1, 3, H, W] -> x8 and a, both of C channels -> b -> y */
static mk make(int i) {
    mk g = {0};
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(1, 3, H, W));
    conv(&g, "x", "x8", 3, C);
    conv(&g, "x8", "a", C, C);
    cases[i].make(&g);
    if (cases[i].channels) conv(&g, "b", "y", cases[i].channels, 5);
    mk_port(&g, MK_OUTPUT, cases[i].channels ? "y" : "b", OMMA_NONE, -1, NULL);
    return mk_model(&g, 17);
}

static void check_plan(const omma_model *m, const omma_tensor *in, int i) {
    planned p;
    plan_open(&p, m, in, NULL, 0, NULL, 0);
    const int transposes = plan_count(&p, "Transpose", OMMA_NONE);
    if (transposes != cases[i].transposes)
        fail_msg("%s: %d transposes, not %d", cases[i].name, transposes, cases[i].transposes);
    assert_int_equal(plan_count(&p, "Conv", OMMA_NONE), 0);
    if (cases[i].gone && plan_count(&p, cases[i].gone, OMMA_NONE))
        fail_msg("%s: a %s is left", cases[i].name, cases[i].gone);
    plan_close(&p);
}

static void check_numbers(const omma_model *m, const omma_tensor *in, int i, const char *passes) {
    omma_session *s;
    omma_error err;
    naive x;
    if (passes) setenv("OMMA_PASSES", passes, 1);
    else unsetenv("OMMA_PASSES");
    naive_run(&x, m->graph, in);
    if (omma_session_new(&s, m, NULL, &err) || omma_session_watch(s, "a", &err) ||
        omma_session_watch(s, "b", &err) || omma_session_run(s, in, 1, &err))
        fail_msg("%s: %s", cases[i].name, err.message);
    const omma_tensor y = omma_value_tensor(x.g->outputs[0]),
                      a = omma_value_tensor(omma_graph_find(x.g, "a")),
                      b = omma_value_tensor(omma_graph_find(x.g, "b"));
    naive_compare(omma_session_output(s, 0), &y, 1e-5, cases[i].name);
    naive_compare(omma_session_watched(s, "a"), &a, 1e-5, "a, watched");
    naive_compare(omma_session_watched(s, "b"), &b, 1e-5, "b, watched");
    omma_session_free(s);
    naive_free(&x);
    unsetenv("OMMA_PASSES");
}

static void operators(void **state) {
    (void)state;
    static float pixels[3 * H * W];
    for (int i = 0; i < 3 * H * W; i++) pixels[i] = noise(i);
    const omma_tensor in = {OMMA_F32, 4, {1, 3, H, W}, pixels};
    for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++) {
        omma_model *m;
        omma_error err;
        mk bytes = make(i);
        if (mk_open(&m, &bytes, NULL, &err)) fail_msg("%s: %s", cases[i].name, err.message);
        mk_free(&bytes);
        check_plan(m, &in, i);
        check_numbers(m, &in, i, NULL);
        check_numbers(m, &in, i, "-layout");
        check_numbers(m, &in, i, "-fuse-last");
        omma_model_free(m);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(operators)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
