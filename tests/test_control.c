/* test_control.c - branches, loops, sequences and functions of the file: what they become,
 * through the public interface. The numbers of If, Loop and Scan at large are checked against
 * PyTorch in tests/golden/torch; here is what only omma's way of doing it can get wrong:
 * names taken from outside, conditions computed from data, lists across a cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "onnxmake.h"

static omma_model *model;
static omma_session *session;
static omma_error err;

static void start_bytes(mk bytes) {
    if (mk_open(&model, &bytes, NULL, &err)) fail_msg("%s", err.message);
    mk_free(&bytes);
    if (omma_session_new(&session, model, NULL, &err)) fail_msg("%s", err.message);
}

static void start(mk *graph) { start_bytes(mk_model(graph, 17)); }

static void stop(void) {
    omma_session_free(session);
    omma_model_free(model);
}

static omma_tensor floats(const float *x, int n) {
    return (omma_tensor){.dtype = OMMA_F32, .rank = 1, .dims = {n}, .data = (void *)(uintptr_t)x};
}

static omma_tensor number(const int64_t *i) {
    return (omma_tensor){.dtype = OMMA_I64, .data = (void *)(uintptr_t)i};
}

static void run(const omma_tensor *in, int n) {
    if (omma_session_run(session, in, n, &err)) fail_msg("%s", err.message);
}

static void expect(int i, int n, const float *want) {
    const omma_tensor *t = omma_session_output(session, i);
    assert_int_equal(omma_tensor_count(t), n);
    for (int k = 0; k < n; k++)
        if (((const float *)t->data)[k] != want[k])
            fail_msg("output %d: element %d is %g, not %g", i, k, (double)((float *)t->data)[k],
                     (double)want[k]);
}
#define EXPECT(i, n, ...) expect(i, n, (const float[]){__VA_ARGS__})

/* t = a OP b, as a whole body. */
static mk body_of(const char *op, const char *in) {
    mk g = {0};
    mk_op(&g, op, in, "t", NULL);
    mk_port(&g, MK_OUTPUT, "t", OMMA_F32, MK_DIMS(-1));
    return g;
}

/* out = If(c) { op(in) } else { op2(in2) } */
static void mk_if(mk *g, const char *c, const char *out, mk *yes, mk *no) {
    mk attrs = {0};
    mk_attr_graph(&attrs, "then_branch", yes);
    mk_attr_graph(&attrs, "else_branch", no);
    mk_op(g, "If", c, out, &attrs);
}

/* --- If ------------------------------------------------------------------------ */

/* The condition is computed from the data: sum(x) > 0; both branches read from outside, one
 * through another If. */
static void if_computed(void **state) {
    (void)state;
    mk g = {0}, yes = body_of("Mul", "x,w"), no = {0}, inner = body_of("Sub", "x,v"),
       other = body_of("Neg", "x");
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(-1));
    mk_floats(&g, "w", (float[]){10}, MK_DIMS(1));
    mk_floats(&g, "zero", (float[]){0}, MK_SCALAR);
    mk_floats(&g, "deep", (float[]){-100}, MK_SCALAR);
    mk_op(&g, "Mul", "w,w", "v", NULL);
    mk attrs = {0};
    mk_attr_int(&attrs, "keepdims", 0);
    mk_op(&g, "ReduceSum", "x", "sum", &attrs);
    mk_op(&g, "Greater", "sum,zero", "c", NULL);
    mk_op(&no, "Greater", "sum,deep", "c2", NULL);
    mk_if(&no, "c2", "r", &inner, &other);
    mk_port(&no, MK_OUTPUT, "r", OMMA_F32, MK_DIMS(-1));
    mk_if(&g, "c", "y", &yes, &no);
    mk_op(&g, "Add", "y,w", "z", NULL);
    mk_port(&g, MK_OUTPUT, "z", OMMA_F32, MK_DIMS(-1));
    mk_port(&g, MK_OUTPUT, "y", OMMA_F32, MK_DIMS(-1));
    start(&g);
    for (int round = 0; round < 3; round++) { /* one session, one way and the other */
        omma_tensor t = floats((float[]){1, 2}, 2);
        run(&t, 1);
        EXPECT(0, 2, 20, 30);
        EXPECT(1, 2, 10, 20);
        t = floats((float[]){-1, -2}, 2);
        run(&t, 1);
        EXPECT(0, 2, -91, -92);
        t = floats((float[]){-1000, -2, 3}, 3);
        run(&t, 1);
        EXPECT(1, 3, 1000, 2, -3);
    }
    stop();
}

/* A branch that hands out what it was given, and a constant; nothing of it is computed. */
static void if_given(void **state) {
    (void)state;
    mk g = {0}, yes = {0}, no = {0};
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(-1));
    mk_raw(&g, "c", OMMA_BOOL, "\1", MK_DIMS(1));
    mk_floats(&yes, "k", (float[]){7, 8, 9}, MK_DIMS(3));
    mk_port(&yes, MK_OUTPUT, "x", OMMA_F32, MK_DIMS(-1));
    mk_port(&yes, MK_OUTPUT, "k", OMMA_F32, MK_DIMS(3));
    mk_port(&yes, MK_OUTPUT, "k", OMMA_F32, MK_DIMS(3));
    mk_if(&g, "c", "a,b,b2", &yes, &no);
    mk_port(&g, MK_OUTPUT, "a", OMMA_F32, MK_DIMS(-1));
    mk_port(&g, MK_OUTPUT, "b", OMMA_F32, MK_DIMS(-1));
    mk_port(&g, MK_OUTPUT, "b2", OMMA_F32, MK_DIMS(-1));
    start(&g);
    omma_tensor t = floats((float[]){1, 2}, 2);
    run(&t, 1);
    EXPECT(0, 2, 1, 2);
    EXPECT(1, 3, 7, 8, 9);
    EXPECT(2, 3, 7, 8, 9);
    stop();
}

/* --- Loop ---------------------------------------------------------------------- */

/* Doubles x until its sum passes 100, collecting every x and the iteration's number: the
 * condition is known only when the body has run. */
static mk doubling(void) {
    mk b = {0}, attrs = {0};
    mk_port(&b, MK_INPUT, "i", OMMA_I64, MK_SCALAR);
    mk_port(&b, MK_INPUT, "go", OMMA_BOOL, MK_SCALAR);
    mk_port(&b, MK_INPUT, "v", OMMA_F32, MK_DIMS(-1));
    mk_op(&b, "Mul", "v,two", "v2", NULL);
    mk_attr_int(&attrs, "keepdims", 0);
    mk_op(&b, "ReduceSum", "v2", "sum", &attrs);
    mk_op(&b, "Less", "sum,limit", "more", NULL);
    mk_attr_int(&attrs, "to", OMMA_F32);
    mk_op(&b, "Cast", "i", "fi", &attrs);
    mk_port(&b, MK_OUTPUT, "more", OMMA_BOOL, MK_SCALAR);
    mk_port(&b, MK_OUTPUT, "v2", OMMA_F32, MK_DIMS(-1));
    mk_port(&b, MK_OUTPUT, "v2", OMMA_F32, MK_DIMS(-1));
    mk_port(&b, MK_OUTPUT, "fi", OMMA_F32, MK_SCALAR);
    return b;
}

static void loop_computed(void **state) {
    (void)state;
    mk g = {0}, body = doubling(), attrs = {0};
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(-1));
    mk_floats(&g, "two", (float[]){2}, MK_SCALAR);
    mk_floats(&g, "limit", (float[]){100}, MK_SCALAR);
    mk_attr_graph(&attrs, "body", &body);
    mk_op(&g, "Loop", ",,x", "last,all,is", &attrs);
    mk_port(&g, MK_OUTPUT, "last", OMMA_F32, MK_DIMS(-1));
    mk_port(&g, MK_OUTPUT, "all", OMMA_F32, MK_DIMS(-1, -2));
    mk_port(&g, MK_OUTPUT, "is", OMMA_F32, MK_DIMS(-1));
    start(&g);
    for (int round = 0; round < 2; round++) {
        omma_tensor t = floats((float[]){10, 20}, 2);
        run(&t, 1); /* 60, 120 */
        EXPECT(0, 2, 40, 80);
        EXPECT(1, 4, 20, 40, 40, 80);
        EXPECT(2, 2, 0, 1);
        t = floats((float[]){1}, 1);
        run(&t, 1); /* 2 4 8 16 32 64 128 */
        EXPECT(0, 1, 128);
        EXPECT(1, 7, 2, 4, 8, 16, 32, 64, 128);
        EXPECT(2, 7, 0, 1, 2, 3, 4, 5, 6);
    }
    stop();
}

/* Collects items in a sequence through a loop whose trip count is an input, and joins them. */
static void loop_of_sequences(void **state) {
    (void)state;
    mk g = {0}, b = {0}, attrs = {0};
    mk_port(&g, MK_INPUT, "n", OMMA_I64, MK_SCALAR);
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(-1));
    mk_op(&g, "SequenceEmpty", "", "s0", NULL);
    mk_op(&g, "SequenceInsert", "s0,x", "s1", NULL);
    mk_port(&b, MK_INPUT, "i", OMMA_I64, MK_SCALAR);
    mk_port(&b, MK_INPUT, "go", OMMA_BOOL, MK_SCALAR);
    mk_port(&b, MK_INPUT, "s", OMMA_NONE, -1, NULL);
    mk_op(&b, "SequenceAt", "s,i", "item", NULL);
    mk_op(&b, "Add", "item,item", "next", NULL);
    mk_op(&b, "SequenceInsert", "s,next", "longer", NULL);
    mk_op(&b, "Identity", "go", "on", NULL);
    mk_port(&b, MK_OUTPUT, "on", OMMA_BOOL, MK_SCALAR);
    mk_port(&b, MK_OUTPUT, "longer", OMMA_NONE, -1, NULL);
    mk_attr_graph(&attrs, "body", &b);
    mk_op(&g, "Loop", "n,,s1", "s2", &attrs);
    mk_op(&g, "Identity", "s2", "s3", NULL);
    mk_op(&g, "SequenceLength", "s3", "len", NULL);
    mk_attr_int(&attrs, "to", OMMA_F32);
    mk_op(&g, "Cast", "len", "flen", &attrs);
    mk_attr_int(&attrs, "axis", 0);
    mk_op(&g, "ConcatFromSequence", "s3", "y", &attrs);
    mk_ints(&g, "minus", (int64_t[]){-2}, 1);
    mk_op(&g, "SequenceErase", "s3,minus", "s4", NULL);
    mk_attr_int(&attrs, "axis", -1), mk_attr_int(&attrs, "new_axis", 1);
    mk_op(&g, "ConcatFromSequence", "s4", "z", &attrs);
    mk_port(&g, MK_OUTPUT, "y", OMMA_F32, MK_DIMS(-1));
    mk_port(&g, MK_OUTPUT, "flen", OMMA_F32, MK_SCALAR);
    mk_port(&g, MK_OUTPUT, "z", OMMA_F32, MK_DIMS(-1, -2));
    start(&g);
    omma_tensor in[2] = {number((int64_t[]){2}), floats((float[]){1, 3}, 2)};
    run(in, 2);
    EXPECT(0, 6, 1, 3, 2, 6, 4, 12);
    EXPECT(1, 1, 3);
    EXPECT(2, 4, 1, 4, 3, 12);
    in[0] = number((int64_t[]){1});
    run(in, 2);
    EXPECT(0, 4, 1, 3, 2, 6);
    EXPECT(2, 2, 2, 6);
    stop();
}

/* A sequence made before a cut and read after it: its items cross. */
static void sequence_across(void **state) {
    (void)state;
    mk g = {0}, attrs = {0};
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(-1));
    mk_op(&g, "Add", "x,x", "x2", NULL);
    mk_op(&g, "SequenceConstruct", "x,x2", "s", NULL);
    mk_attr_int(&attrs, "keepdims", 0);
    mk_op(&g, "ArgMax", "x", "at", &attrs); /* 0 or 1 for two numbers */
    mk_op(&g, "SequenceAt", "s,at", "y", NULL);
    mk_op(&g, "Optional", "y", "o", NULL);
    mk_op(&g, "OptionalHasElement", "o", "has", NULL);
    mk_op(&g, "OptionalGetElement", "o", "y2", NULL);
    mk_op(&g, "Where", "has,y2,x", "z", NULL);
    mk_port(&g, MK_OUTPUT, "z", OMMA_F32, MK_DIMS(-1));
    start(&g);
    for (int round = 0; round < 2; round++) {
        omma_tensor t = floats((float[]){5, 3}, 2);
        run(&t, 1);
        EXPECT(0, 2, 5, 3);
        t = floats((float[]){5, 6}, 2);
        run(&t, 1);
        EXPECT(0, 2, 10, 12);
    }
    stop();
}

static void split_sequence(void **state) {
    (void)state;
    mk g = {0}, attrs = {0};
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(-1));
    mk_raw(&g, "two", OMMA_I64, (int64_t[]){2}, MK_SCALAR);
    mk_ints(&g, "first", (int64_t[]){0}, 1), mk_ints(&g, "last", (int64_t[]){-1}, 1);
    mk_op(&g, "SplitToSequence", "x,two", "pieces", NULL);
    mk_op(&g, "SequenceAt", "pieces,last", "a", NULL);
    mk_attr_int(&attrs, "keepdims", 0);
    mk_op(&g, "SplitToSequence", "x", "ones", &attrs);
    mk_op(&g, "SequenceAt", "ones,first", "b", NULL);
    mk_port(&g, MK_OUTPUT, "a", OMMA_F32, MK_DIMS(-1));
    mk_port(&g, MK_OUTPUT, "b", OMMA_F32, MK_SCALAR);
    start(&g);
    omma_tensor t = floats((float[]){1, 2, 3}, 3);
    run(&t, 1);
    EXPECT(0, 1, 3);
    EXPECT(1, 1, 1);
    assert_int_equal(omma_session_output(session, 1)->rank, 0);
    t = floats((float[]){1, 2, 3, 4}, 4);
    run(&t, 1);
    EXPECT(0, 2, 3, 4);
    stop();
}

/* --- functions ----------------------------------------------------------------- */

static void fn_node(mk *f, const char *op, const char *domain, const char *in, const char *out,
                    mk *attrs) {
    mk n = {0};
    mk_names(&n, 1, in), mk_names(&n, 2, out), mk_str(&n, 4, op), mk_str(&n, 7, domain);
    if (attrs) mk_put(&n, attrs->data, attrs->size), mk_free(attrs);
    mk_sub(f, 7, &n);
}

/* An attribute that refers to the call's. */
static void attr_ref(mk *list, const char *name, const char *ref) {
    mk a = {0};
    mk_str(&a, 21, ref);
    mk_attr(list, name, 1, &a);
}

/* leaky(x, b?) = LeakyRelu(x; alpha = slope, 0.5 if not given) + Where-less b; twice(x) calls it
 * two times, once with the slope of the call; names inside are the same as outside. */
static mk functions_model(void) {
    mk f = {0}, h = {0}, g = {0}, attrs = {0}, set = {0}, own = {0};
    mk_str(&f, 1, "leaky"), mk_str(&f, 10, "own"), mk_names(&f, 4, "x,b"), mk_names(&f, 5, "y,x2");
    mk fallback = {0}, value = {0};
    mk_float(&value, 2, 0.5f), mk_attr(&fallback, "slope", 1, &value);
    mk_bytes(&f, 11, fallback.data + 2, fallback.size - 2), mk_free(&fallback); /* not as field 5 */
    mk_int(&set, 2, 6), mk_sub(&f, 9, &set);
    attr_ref(&attrs, "alpha", "slope");
    fn_node(&f, "LeakyRelu", "", "x", "t", &attrs);
    mk_attr_float(&attrs, "min", -4), attr_ref(&attrs, "max", "nobody gives it");
    fn_node(&f, "Clip", "", "t", "x2", &attrs); /* with attributes: operator set 6 */
    fn_node(&f, "Max", "", "x2,b", "y", NULL);

    mk_str(&h, 1, "twice"), mk_str(&h, 10, "own"), mk_names(&h, 4, "v,w"), mk_names(&h, 5, "t,v");
    attr_ref(&attrs, "slope", "s");
    fn_node(&h, "leaky", "own", "v,w", "x", &attrs);
    fn_node(&h, "leaky", "own", "x,x", ",t", NULL);

    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(-1));
    mk_floats(&g, "floor", (float[]){-3}, MK_DIMS(1));
    mk n = {0};
    mk_names(&n, 1, "x,floor"), mk_names(&n, 2, "t,same"), mk_str(&n, 3, "call"),
        mk_str(&n, 4, "twice"), mk_str(&n, 7, "own");
    mk_attr_float(&attrs, "s", 0.25f), mk_put(&n, attrs.data, attrs.size), mk_free(&attrs);
    mk_sub(&g, MK_NODE, &n);
    mk_port(&g, MK_OUTPUT, "t", OMMA_F32, MK_DIMS(-1));
    mk_port(&g, MK_OUTPUT, "same", OMMA_F32, MK_DIMS(-1));
    mk m = mk_model(&g, 17);
    mk_str(&own, 1, "own"), mk_int(&own, 2, 1), mk_sub(&m, 8, &own);
    mk_sub(&m, 25, &f), mk_sub(&m, 25, &h);
    return m;
}

static void functions(void **state) {
    (void)state;
    start_bytes(functions_model());
    omma_tensor t = floats((float[]){4, -4, -8, -100}, 4);
    run(&t, 1);
    /* inner: max(clip(leaky(x, 0.25)), -3) = 4, -1, -2, -3; then leaky with 0.5 */
    EXPECT(0, 4, 4, -0.5f, -1, -1.5f);
    EXPECT(1, 4, 4, -4, -8, -100);
    stop();
}

/* f calls g twice, g calls h twice, ...: 2^40 nodes are refused, not written out. */
static void functions_exploding(void **state) {
    (void)state;
    mk g = {0}, n = {0}, own = {0};
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(-1));
    mk_str(&n, 1, "x"), mk_str(&n, 2, "y"), mk_str(&n, 4, "f0"), mk_str(&n, 7, "own");
    mk_sub(&g, MK_NODE, &n);
    mk_port(&g, MK_OUTPUT, "y", OMMA_F32, MK_DIMS(-1));
    mk m = mk_model(&g, 17);
    mk_str(&own, 1, "own"), mk_int(&own, 2, 1), mk_sub(&m, 8, &own);
    for (int i = 0; i < 40; i++) {
        mk f = {0};
        char name[16], next[16];
        snprintf(name, sizeof name, "f%d", i), snprintf(next, sizeof next, "f%d", i + 1);
        mk_str(&f, 1, name), mk_str(&f, 10, "own"), mk_str(&f, 4, "x"), mk_str(&f, 5, "y");
        fn_node(&f, i < 39 ? next : "Relu", i < 39 ? "own" : "", "x", "t", NULL);
        fn_node(&f, i < 39 ? next : "Relu", i < 39 ? "own" : "", "t", "y", NULL);
        mk_sub(&m, 25, &f);
    }
    assert_int_equal(mk_open(&model, &m, NULL, &err), OMMA_E_UNSUPPORTED);
    assert_non_null(strstr(err.message, "have more than"));
    mk_free(&m);
}

/* --- what cannot be ------------------------------------------------------------ */

static void refuse(mk *g, omma_status want, const char *says) {
    mk bytes = mk_model(g, 17);
    float x[2] = {1, 2};
    omma_tensor t = floats(x, 2);
    if (mk_open(&model, &bytes, NULL, &err)) fail_msg("%s", err.message);
    mk_free(&bytes);
    omma_status s = omma_session_new(&session, model, NULL, &err);
    if (!s) s = omma_session_run(session, &t, 1, &err);
    if (s != want || !strstr(err.message, says)) fail_msg("status %d: %s", (int)s, err.message);
    omma_session_free(session);
    omma_model_free(model);
    session = NULL;
}

static mk with_x(void) {
    mk g = {0};
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(-1));
    return g;
}

static void y_out(mk *g) { mk_port(g, MK_OUTPUT, "y", OMMA_F32, MK_DIMS(-1)); }

/* A loop of so many trips on a body with these ports. */
static void looping(mk *g, const char *in, const char *out, mk *body) {
    mk attrs = {0};
    mk_attr_graph(&attrs, "body", body);
    mk_op(g, "Loop", in, out, &attrs);
}

static mk endless(void) {
    mk b = {0};
    mk_port(&b, MK_INPUT, "i", OMMA_I64, MK_SCALAR);
    mk_port(&b, MK_INPUT, "go", OMMA_BOOL, MK_SCALAR);
    mk_port(&b, MK_INPUT, "v", OMMA_F32, MK_DIMS(-1));
    mk_port(&b, MK_OUTPUT, "go", OMMA_BOOL, MK_SCALAR);
    mk_port(&b, MK_OUTPUT, "v", OMMA_F32, MK_DIMS(-1));
    return b;
}

/* A loop of 60,000 trips around another of 60,000, with nothing in them: refused before
 * it takes long, or much memory. */
static void loops_in_loops(void **state) {
    (void)state;
    mk g = with_x(), inner = endless(), outer = {0};
    mk_raw(&g, "many", OMMA_I64, (int64_t[]){60000}, MK_SCALAR);
    mk_port(&outer, MK_INPUT, "i", OMMA_I64, MK_SCALAR);
    mk_port(&outer, MK_INPUT, "go", OMMA_BOOL, MK_SCALAR);
    mk_port(&outer, MK_INPUT, "w", OMMA_F32, MK_DIMS(-1));
    looping(&outer, "many,,w", "w2", &inner);
    mk_port(&outer, MK_OUTPUT, "go", OMMA_BOOL, MK_SCALAR);
    mk_port(&outer, MK_OUTPUT, "w2", OMMA_F32, MK_DIMS(-1));
    looping(&g, "many,,x", "y", &outer);
    y_out(&g);
    refuse(&g, OMMA_E_UNSUPPORTED, "written out, the graph has more than");
}

static void refused(void **state) {
    (void)state;
    mk g = with_x(), b = endless(), attrs = {0};
    looping(&g, ",,x", "y", &b);
    y_out(&g);
    refuse(&g, OMMA_E_UNSUPPORTED, "runs more than");

    g = with_x(), b = endless();
    looping(&g, ",", "y", &b); /* nothing to carry */
    y_out(&g);
    refuse(&g, OMMA_E_SHAPE, "a body that carries 1");

    g = with_x(), b = endless();
    looping(&g, ",,x", "y,z", &b);
    y_out(&g);
    mk_port(&g, MK_OUTPUT, "z", OMMA_F32, MK_DIMS(-1));
    refuse(&g, OMMA_E_SHAPE, "2 outputs of a body that gives 1");

    g = with_x();
    mk_op(&g, "SequenceConstruct", "x", "s", NULL);
    mk_op(&g, "Relu", "s", "y", NULL);
    y_out(&g);
    refuse(&g, OMMA_E_SHAPE, "is a sequence, not a tensor");

    g = with_x();
    mk_op(&g, "SequenceConstruct", "x", "y", NULL);
    y_out(&g);
    refuse(&g, OMMA_E_UNSUPPORTED, "is a sequence; omma hands out tensors");

    g = with_x();
    mk_ints(&g, "at", (int64_t[]){1}, 1);
    mk_op(&g, "SequenceConstruct", "x", "s", NULL);
    mk_op(&g, "SequenceAt", "s,at", "y", NULL);
    y_out(&g);
    refuse(&g, OMMA_E_SHAPE, "position 1 of a sequence of 1");

    g = with_x();
    mk_ints(&g, "at", (int64_t[]){0}, 1);
    mk_op(&g, "SequenceAt", "x,at", "y", NULL);
    y_out(&g);
    refuse(&g, OMMA_E_SHAPE, "is not a sequence");

    g = with_x();
    mk_op(&g, "Optional", "", "o", NULL);
    mk_op(&g, "OptionalGetElement", "o", "y", NULL);
    y_out(&g);
    refuse(&g, OMMA_E_SHAPE, "the optional is empty");

    g = with_x();
    mk_attr_int(&attrs, "num_scan_inputs", 2);
    b = endless();
    mk_attr_graph(&attrs, "body", &b);
    mk_op(&g, "Scan", "x,x", "y", &attrs);
    y_out(&g);
    refuse(&g, OMMA_E_SHAPE, "num_scan_inputs = 2");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(if_computed),     cmocka_unit_test(if_given),
        cmocka_unit_test(loop_computed),   cmocka_unit_test(loop_of_sequences),
        cmocka_unit_test(sequence_across), cmocka_unit_test(split_sequence),
        cmocka_unit_test(functions),       cmocka_unit_test(functions_exploding),
        cmocka_unit_test(loops_in_loops),  cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
