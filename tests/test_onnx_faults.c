/* test_onnx_faults.c - broken ONNX files, each of which must be refused with its fault named
 * and, where the fault has a place, with the byte it is at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "onnxmake.h"

static const float three[3] = {1.5f, -2, 3e20f};

static mk two_weights(void) {
    mk g = {0};
    mk_small(&g);
    mk_floats(&g, "w", (float[]){1, 2}, MK_DIMS(2));
    return mk_small_end(&g);
}

static mk two_inputs(void) {
    mk g = {0};
    mk_small(&g);
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(2, -1));
    return mk_small_end(&g);
}

static mk two_outputs(void) {
    mk g = {0};
    mk_small(&g);
    mk_port(&g, MK_OUTPUT, "y", OMMA_F32, MK_DIMS(2, -1));
    return mk_small_end(&g);
}

static mk two_attrs(void) {
    mk g = {0}, a = {0};
    mk_small(&g);
    mk_attr_int(&a, "axis", 1), mk_attr_int(&a, "axis", 0);
    mk_op(&g, "Softmax", "y", "twice", &a);
    return mk_small_end(&g);
}

static mk two_graphs(void) {
    mk g = {0}, h = {0};
    mk_small(&g);
    mk m = mk_small_end(&g);
    mk_str(&h, 2, "second"), mk_sub(&m, 7, &h);
    return m;
}

static mk dangling(void) {
    mk g = {0};
    mk_small(&g);
    mk_op(&g, "Add", "y,nowhere", "z", NULL);
    return mk_small_end(&g);
}

static mk dangling_output(void) {
    mk g = {0};
    mk_small(&g);
    mk_port(&g, MK_OUTPUT, "z", OMMA_F32, MK_DIMS(2, -1));
    return mk_small_end(&g);
}

static mk cycle(void) {
    mk g = {0};
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(2, -1));
    mk_op(&g, "Add", "x,b", "a", NULL);
    mk_op(&g, "Relu", "a", "b", NULL);
    mk_op(&g, "Relu", "b", "y", NULL);
    return mk_small_end(&g);
}

static mk reads_itself(void) {
    mk g = {0};
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(2, -1));
    mk_op(&g, "Add", "x,y", "y", NULL);
    return mk_small_end(&g);
}

static mk out_of_order(void) {
    mk g = {0};
    mk_port(&g, MK_INPUT, "x", OMMA_F32, MK_DIMS(2, -1));
    mk_op(&g, "Relu", "a", "y", NULL);
    mk_op(&g, "Relu", "x", "a", NULL);
    return mk_small_end(&g);
}

static mk two_producers(void) {
    mk g = {0};
    mk_small(&g);
    mk_op(&g, "Relu", "x", "y", NULL);
    return mk_small_end(&g);
}

static mk writes_twice(void) {
    mk g = {0};
    mk_small(&g);
    mk_op(&g, "Split", "y", "part,part", NULL);
    return mk_small_end(&g);
}

static mk writes_weight(void) {
    mk g = {0};
    mk_small(&g);
    mk_op(&g, "Relu", "x", "w", NULL);
    return mk_small_end(&g);
}

static mk writes_input(void) {
    mk g = {0};
    mk_small(&g);
    mk_op(&g, "Relu", "y", "x", NULL);
    return mk_small_end(&g);
}

static mk constant_writes_weight(void) {
    mk g = {0};
    mk_small(&g);
    mk t = mk_tensor(NULL, OMMA_F32, MK_DIMS(1));
    mk_bytes(&t, 9, three, 4);
    mk_constant(&g, "w", &t);
    return mk_small_end(&g);
}

/* One broken tensor named "bad" beside a sound graph. */
static mk with_tensor(mk *t) {
    mk g = {0};
    mk_small(&g);
    mk_sub(&g, MK_INIT, t);
    return mk_small_end(&g);
}

#define TENSOR_CASE(fn, dtype, dims, ...)     \
    static mk fn(void) {                      \
        mk t = mk_tensor("bad", dtype, dims); \
        __VA_ARGS__;                          \
        return with_tensor(&t);               \
    }
TENSOR_CASE(raw_short, OMMA_F32, MK_DIMS(3), mk_bytes(&t, 9, three, 11))
TENSOR_CASE(raw_long, OMMA_F32, MK_DIMS(2), mk_bytes(&t, 9, three, 12))
TENSOR_CASE(no_numbers, OMMA_F32, MK_DIMS(2), (void)0)
TENSOR_CASE(list_short, OMMA_I64, MK_DIMS(3), mk_int(&t, 7, 1); mk_int(&t, 7, 2))
TENSOR_CASE(list_ragged, OMMA_F32, MK_DIMS(3), mk_bytes(&t, 4, three, 11))
TENSOR_CASE(list_wrong, OMMA_F32, MK_DIMS(1), mk_int(&t, 7, 1))
TENSOR_CASE(list_wire, OMMA_F32, MK_DIMS(1), mk_int(&t, 4, 1))
TENSOR_CASE(list_two, OMMA_F32, MK_DIMS(2), mk_float(&t, 4, 1); mk_int(&t, 7, 1))
TENSOR_CASE(list_and_raw, OMMA_F32, MK_DIMS(1), mk_float(&t, 4, 1); mk_bytes(&t, 9, three, 4))
TENSOR_CASE(list_for_empty, OMMA_F32, MK_DIMS(0), mk_float(&t, 4, 1))
TENSOR_CASE(list_cut, OMMA_I64, MK_DIMS(1), mk_bytes(&t, 7, "\x01\x80", 2))
TENSOR_CASE(dims_negative, OMMA_F32, MK_DIMS(2, -3), mk_bytes(&t, 9, three, 12))
TENSOR_CASE(dims_overflow, OMMA_F32, MK_DIMS(1ll << 32, 1ll << 31), mk_bytes(&t, 9, three, 12))
TENSOR_CASE(dims_overflow_bytes, OMMA_F64, MK_DIMS(1ll << 31, 1ll << 30),
            mk_bytes(&t, 9, three, 12))
TENSOR_CASE(dims_overflow_zero, OMMA_F32, MK_DIMS(0, 1ll << 62, 1ll << 62), (void)0)
TENSOR_CASE(dims_many, OMMA_F32, MK_DIMS(1, 1, 1, 1, 1, 1, 1, 1, 1), mk_bytes(&t, 9, three, 4))
TENSOR_CASE(type_string, OMMA_STRING, MK_DIMS(1), mk_str(&t, 6, "text"))
TENSOR_CASE(type_unknown, 99, MK_DIMS(1), mk_bytes(&t, 9, three, 4))
TENSOR_CASE(type_none, 0, MK_DIMS(1), mk_bytes(&t, 9, three, 4))
TENSOR_CASE(type_wire, OMMA_F32, MK_DIMS(1), mk_float(&t, 2, 1); mk_bytes(&t, 9, three, 4))
TENSOR_CASE(raw_wire, OMMA_F32, MK_DIMS(1), mk_int(&t, 9, 4))
TENSOR_CASE(external, OMMA_F32, MK_DIMS(1), mk e = {0}; mk_str(&e, 1, "location");
            mk_str(&e, 2, "/etc/passwd"); mk_sub(&t, 13, &e); mk_int(&t, 14, 1))
TENSOR_CASE(external_location, OMMA_F32, MK_DIMS(1), mk_int(&t, 14, 1))

static mk unnamed_weight(void) {
    mk t = mk_tensor(NULL, OMMA_F32, MK_DIMS(1));
    mk_bytes(&t, 9, "mark", 4);
    return with_tensor(&t);
}

static mk long_name(void) {
    char name[1026];
    memset(name, 'n', sizeof name);
    name[1025] = 0;
    mk t = mk_tensor(name, OMMA_F32, MK_DIMS(1));
    mk_bytes(&t, 9, three, 4);
    return with_tensor(&t);
}

static mk nul_name(void) {
    mk t = mk_tensor(NULL, OMMA_F32, MK_DIMS(1));
    mk_bytes(&t, 8, "ba\0d", 4), mk_bytes(&t, 9, three, 4);
    return with_tensor(&t);
}

static mk reserved_name(void) {
    mk t = mk_tensor("omma:fused:7:bias", OMMA_F32, MK_DIMS(1));
    mk_bytes(&t, 9, three, 4);
    return with_tensor(&t);
}

static mk no_graph(void) { return mk_head(17); }

static mk no_opset(void) {
    mk g = {0}, m = {0};
    mk_small(&g);
    mk_port(&g, MK_OUTPUT, "y", OMMA_F32, MK_DIMS(2, -1));
    mk_int(&m, 1, 8), mk_sub(&m, 7, &g);
    return m;
}

static mk opset(int64_t v) {
    mk g = {0};
    mk_small(&g);
    mk_port(&g, MK_OUTPUT, "y", OMMA_F32, MK_DIMS(2, -1));
    return mk_model(&g, v);
}

static mk opset_low(void) { return opset(0); }
static mk opset_high(void) { return opset(29); }
static mk opset_huge(void) { return opset(INT64_MIN); }

static mk opset_wire(void) {
    mk m = opset(17), set = {0};
    mk_float(&set, 2, 1.0f), mk_sub(&m, 8, &set);
    return m;
}

static mk no_outputs(void) {
    mk g = {0};
    mk_small(&g);
    return mk_model(&g, 17);
}

static mk unnamed_input(void) {
    mk g = {0};
    mk_small(&g);
    mk_port(&g, MK_INPUT, "", OMMA_F32, MK_DIMS(77777));
    return mk_small_end(&g);
}

/* An input named "bad" of any TypeProto. */
static mk input_of(uint32_t kind, mk *inner) {
    mk g = {0}, info = {0}, type = {0};
    mk_small(&g);
    mk_str(&info, 1, "bad");
    mk_sub(&type, kind, inner);
    mk_sub(&info, 2, &type);
    mk_sub(&g, MK_INPUT, &info);
    return mk_small_end(&g);
}

static mk sequence_input(void) {
    mk seq = {0}, elem = {0};
    mk_int(&elem, 1, 1), mk_sub(&seq, 1, &elem);
    return input_of(4, &seq);
}

static mk string_input(void) {
    mk t = {0};
    mk_int(&t, 1, OMMA_STRING);
    return input_of(1, &t);
}

static mk input_dims(const int64_t *dims, int n) {
    mk t = {0}, shape = {0};
    mk_int(&t, 1, OMMA_F32);
    for (int i = 0; i < n; i++) {
        mk d = {0};
        mk_int(&d, 1, dims[i]), mk_sub(&shape, 1, &d);
    }
    mk_sub(&t, 2, &shape);
    return input_of(1, &t);
}

static mk input_rank(void) { return input_dims((const int64_t[9]){1, 1, 1, 1, 1, 1, 1, 1, 1}, 9); }
static mk input_overflow(void) { return input_dims((const int64_t[]){1ll << 40, 1ll << 40}, 2); }

static mk sparse(void) {
    mk g = {0};
    mk_small(&g);
    mk_str(&g, 15, "sparse"); /* sparse_initializer */
    return mk_small_end(&g);
}

/* A FunctionProto f of domain "own": x -> y by one node of that operator and domain. */
static mk one_function(const char *op, const char *domain) {
    mk f = {0}, n = {0};
    mk_str(&f, 1, "f"), mk_str(&f, 10, "own"), mk_str(&f, 4, "x"), mk_str(&f, 5, "y");
    mk_str(&n, 1, "x"), mk_str(&n, 2, "y"), mk_str(&n, 4, op), mk_str(&n, 7, domain);
    mk_sub(&f, 7, &n);
    return f;
}

/* A model that calls f. */
static mk calls(const char *in, const char *out) {
    mk g = {0}, n = {0};
    mk_small(&g);
    mk_names(&n, 1, in), mk_names(&n, 2, out), mk_str(&n, 4, "f"), mk_str(&n, 7, "own");
    mk_sub(&g, MK_NODE, &n);
    return mk_small_end(&g);
}

static mk function_twice(void) {
    mk m = calls("x", "z"), f = one_function("Relu", ""), again = one_function("Relu", "");
    mk_sub(&m, 25, &f), mk_sub(&m, 25, &again);
    return m;
}

static mk function_of_itself(void) {
    mk m = calls("x", "z"), f = one_function("f", "own");
    mk_sub(&m, 25, &f);
    return m;
}

static mk function_inputs(void) {
    mk m = calls("x,x", "z"), f = one_function("Relu", "");
    mk_sub(&m, 25, &f);
    return m;
}

static mk function_unwritten(void) {
    mk m = calls("x", "z"), f = {0};
    mk_str(&f, 1, "f"), mk_str(&f, 10, "own"), mk_str(&f, 4, "x"), mk_str(&f, 5, "y");
    mk_sub(&m, 25, &f);
    return m;
}

static mk function_unnamed(void) {
    mk m = calls("x", "z"), f = {0};
    mk_str(&f, 10, "own");
    mk_sub(&m, 25, &f);
    return m;
}

/* --- bodies --- */

/* An If whose then branch is `body`. */
static mk branch(mk *body) {
    mk g = {0}, attrs = {0};
    mk_small(&g);
    mk_raw(&g, "c", OMMA_BOOL, "\1", MK_SCALAR);
    mk_attr_graph(&attrs, "then_branch", body);
    mk_op(&g, "If", "c", "z", &attrs);
    return mk_small_end(&g);
}

static mk body_reads_nothing(void) {
    mk g = {0};
    mk_op(&g, "Relu", "nowhere", "t", NULL);
    mk_port(&g, MK_OUTPUT, "t", OMMA_F32, MK_DIMS(2));
    return branch(&g);
}

static mk body_order(void) {
    mk g = {0};
    mk_op(&g, "Relu", "later", "t", NULL);
    mk_op(&g, "Relu", "x", "later", NULL);
    mk_port(&g, MK_OUTPUT, "t", OMMA_F32, MK_DIMS(2));
    return branch(&g);
}

static mk body_depth(void) {
    mk g = {0};
    mk_op(&g, "Relu", "x", "t", NULL);
    mk_port(&g, MK_OUTPUT, "t", OMMA_F32, MK_DIMS(2));
    for (int i = 0; i < 80; i++) {
        mk outer = {0}, attrs = {0};
        mk_attr_graph(&attrs, "then_branch", &g);
        mk_op(&outer, "If", "c", "t", &attrs);
        mk_port(&outer, MK_OUTPUT, "t", OMMA_F32, MK_DIMS(2));
        g = outer;
    }
    return branch(&g);
}

static mk body_missing(void) {
    mk g = {0}, attrs = {0}, a = {0};
    mk_small(&g);
    mk_attr(&attrs, "then_branch", 5, &a);
    mk_op(&g, "If", "x", "z", &attrs);
    return mk_small_end(&g);
}

/* --- broken wire format --- */

static mk wire(const char *bytes, size_t n) {
    mk g = {0};
    mk_small(&g);
    mk m = mk_small_end(&g);
    mk_put(&m, bytes, n);
    return m;
}

static mk overlong_varint(void) {
    return wire("\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12);
}
static mk varint_65_bits(void) { return wire("\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11); }
static mk varint_cut(void) { return wire("\x28\xff", 2); }
static mk length_beyond(void) { return wire("\x72\x05mar", 5); }
static mk length_huge(void) { return wire("\x72\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01mark", 15); }
static mk fixed_cut(void) { return wire("\x2d\x01\x02", 3); }
static mk group(void) { return wire("\x2b", 1); }
static mk field_zero(void) { return wire("\0\0", 2); }
static mk graph_wire(void) { return wire("\x38\x01", 2); }
static mk zeros(void) {
    mk m = {0};
    mk_put(&m, (char[100]){0}, 100);
    return m;
}

static mk text(void) {
    mk m = {0};
    mk_put(&m, "This is not a model, but a letter to you.\n", 42);
    return m;
}

/* The length of a message inside reaches beyond the message around it. */
static mk inner_length(void) {
    mk g = {0};
    mk_small(&g);
    mk_put(&g, "\x0a\x7fmark", 6);
    return mk_small_end(&g);
}

/* --- broken attributes --- */

static mk with_attr(mk *a) {
    mk g = {0}, list = {0};
    mk_small(&g);
    mk_sub(&list, 5, a);
    mk_op(&g, "Softmax", "y", "z", &list);
    return mk_small_end(&g);
}

static mk attr_mixed_lists(void) { /* once wrote beyond the shorter list */
    mk a = {0};
    mk_str(&a, 1, "both");
    for (int i = 0; i < 100; i++) mk_int(&a, 8, i);
    for (int i = 0; i < 100; i++) mk_float(&a, 7, 1);
    mk_str(&a, 9, "text");
    return with_attr(&a);
}

static mk attr_no_tensor(void) { /* once followed a null pointer */
    mk g = {0}, list = {0}, a = {0};
    mk_small(&g);
    mk_str(&a, 1, "value"), mk_int(&a, 20, 4), mk_sub(&list, 5, &a);
    mk_op(&g, "Constant", "", "z", &list);
    return mk_small_end(&g);
}

static mk attr_many(void) { /* once took time by the square of the number */
    mk g = {0}, list = {0};
    mk_small(&g);
    for (int i = 0; i < 200000; i++) {
        char name[16];
        snprintf(name, sizeof name, "a%d", i);
        mk_attr_int(&list, name, 1);
    }
    mk_op(&g, "Softmax", "y", "z", &list);
    return mk_small_end(&g);
}

static mk attr_ref(void) {
    mk a = {0};
    mk_str(&a, 1, "axis"), mk_str(&a, 21, "outer");
    return with_attr(&a);
}

static mk attr_wire(void) {
    mk a = {0};
    mk_str(&a, 1, "axis"), mk_float(&a, 3, 1);
    return with_attr(&a);
}

static mk attr_floats_wire(void) {
    mk a = {0};
    mk_str(&a, 1, "list"), mk_int(&a, 7, 1);
    return with_attr(&a);
}

static mk attr_floats_ragged(void) {
    mk a = {0};
    mk_str(&a, 1, "list"), mk_bytes(&a, 7, three, 7);
    return with_attr(&a);
}

static mk attr_ints_wire(void) {
    mk a = {0};
    mk_str(&a, 1, "list"), mk_float(&a, 8, 1);
    return with_attr(&a);
}

static mk attr_ints_cut(void) {
    mk a = {0};
    mk_str(&a, 1, "list"), mk_bytes(&a, 8, "\x01\x02\xff", 3);
    return with_attr(&a);
}

static mk attr_bad_tensor(void) {
    mk a = {0}, t = mk_tensor("inner", OMMA_F32, MK_DIMS(5));
    mk_str(&a, 1, "value"), mk_bytes(&t, 9, three, 4), mk_sub(&a, 5, &t);
    return with_attr(&a);
}

/* --- broken nodes --- */

static mk few_inputs(void) {
    mk g = {0};
    mk_small(&g);
    mk_op(&g, "Add", "y", "z", NULL);
    return mk_small_end(&g);
}

static mk many_inputs(void) {
    mk g = {0};
    mk_small(&g);
    mk_op(&g, "Relu", "y,x", "z", NULL);
    return mk_small_end(&g);
}

static mk many_outputs(void) {
    mk g = {0};
    mk_small(&g);
    mk_op(&g, "Relu", "y", "z,z2", NULL);
    return mk_small_end(&g);
}

static mk no_output(void) {
    mk g = {0};
    mk_small(&g);
    mk_op(&g, "Relu", "y", "", NULL);
    return mk_small_end(&g);
}

static mk left_out(void) {
    mk g = {0};
    mk_small(&g);
    mk_op(&g, "Add", ",y", "z", NULL);
    return mk_small_end(&g);
}

static mk constant_with_input(void) {
    mk g = {0}, list = {0}, t = mk_tensor(NULL, OMMA_F32, MK_DIMS(1));
    mk_small(&g);
    mk_bytes(&t, 9, three, 4), mk_attr_tensor(&list, "value", &t);
    mk_op(&g, "Constant", "nowhere", "z", &list);
    return mk_small_end(&g);
}

static mk node_wire(void) {
    mk g = {0};
    mk_small(&g);
    mk_int(&g, MK_NODE, 1);
    return mk_small_end(&g);
}

static mk input_wire(void) {
    mk g = {0}, n = {0};
    mk_small(&g);
    mk_str(&n, 3, "mark"), mk_str(&n, 4, "Relu"), mk_int(&n, 1, 3), mk_str(&n, 2, "z");
    mk_sub(&g, MK_NODE, &n);
    return mk_small_end(&g);
}

static mk subgraph(void) {
    mk g = {0}, list = {0}, a = {0};
    mk_small(&g);
    for (int i = 0; i < 3000; i++) {
        mk inner = {0}, attr = {0}, n = {0};
        mk_str(&attr, 1, "then_branch"), mk_sub(&attr, 6, &a), mk_str(&n, 4, "If"),
            mk_sub(&n, 5, &attr);
        mk_sub(&inner, 1, &n);
        a = inner;
    }
    mk attr = {0};
    mk_str(&attr, 1, "then_branch"), mk_sub(&attr, 6, &a), mk_sub(&list, 5, &attr);
    mk_op(&g, "If", "x", "z", &list);
    return mk_small_end(&g);
}

/* near: the fault's offset is at most 200 bytes before this text; "" somewhere; NULL: it
 * has no place. */
static const struct fault {
    const char *name;
    mk (*make)(void);
    omma_status status;
    const char *says, *near;
} faults[] = {
    {"two weights of one name", two_weights, OMMA_E_FORMAT, "'w' is given a value twice", ""},
    {"two inputs of one name", two_inputs, OMMA_E_FORMAT, "the input 'x' is declared twice", ""},
    {"two outputs of one name", two_outputs, OMMA_E_FORMAT, "the output 'y' is declared twice", ""},
    {"an attribute twice", two_attrs, OMMA_E_FORMAT,
     "node 'Softmax:twice' has the attribute 'axis' twice", "axis"},
    {"two graphs", two_graphs, OMMA_E_FORMAT, "holds two graphs", "second"},
    {"dangling input", dangling, OMMA_E_FORMAT,
     "node 'Add:z' (Add): reads 'nowhere', which nothing writes", NULL},
    {"dangling output", dangling_output, OMMA_E_FORMAT,
     "'z': is a graph output that nothing writes", NULL},
    {"cycle", cycle, OMMA_E_FORMAT, "reads 'b' before it is written", NULL},
    {"a node that reads itself", reads_itself, OMMA_E_FORMAT, "reads 'y' before it is written",
     NULL},
    {"out of order", out_of_order, OMMA_E_FORMAT, "reads 'a' before it is written", NULL},
    {"two producers", two_producers, OMMA_E_FORMAT,
     "node 'Relu:y' writes 'y', which already has a value", "Relu"},
    {"one node writes twice", writes_twice, OMMA_E_FORMAT,
     "writes 'part', which already has a value", "part"},
    {"a node writes a weight", writes_weight, OMMA_E_FORMAT,
     "writes 'w', which already has a value", "Relu"},
    {"a node writes an input", writes_input, OMMA_E_FORMAT, "writes 'x', which already has a value",
     "Relu"},
    {"a Constant writes a weight", constant_writes_weight, OMMA_E_FORMAT,
     "writes 'w', which already has a value", "Constant"},
    {"raw data too short", raw_short, OMMA_E_FORMAT,
     "'bad' should be 12 bytes by its shape but is 11", "bad"},
    {"raw data too long", raw_long, OMMA_E_FORMAT, "'bad' should be 8 bytes by its shape but is 12",
     "bad"},
    {"no numbers", no_numbers, OMMA_E_FORMAT,
     "'bad' should hold 2 numbers of type float32 by its shape but holds 0", "bad"},
    {"a list too short", list_short, OMMA_E_FORMAT, "should hold 3 numbers", "bad"},
    {"a list of 11 bytes", list_ragged, OMMA_E_FORMAT,
     "a list of numbers of 4 bytes that is 11 bytes long", "bad"},
    {"a list of another type", list_wrong, OMMA_E_FORMAT, "should hold 1 numbers of type float32",
     "bad"},
    {"a list of another wire type", list_wire, OMMA_E_FORMAT, "field 4 has wire type 0, not 5",
     "bad"},
    {"two lists", list_two, OMMA_E_FORMAT, "two different fields", "bad"},
    {"a list and raw data", list_and_raw, OMMA_E_FORMAT, "two different fields", "bad"},
    {"a list for an empty tensor", list_for_empty, OMMA_E_FORMAT, "should hold 0 numbers", "bad"},
    {"a list cut short", list_cut, OMMA_E_FORMAT, "the file ends inside a number", "bad"},
    {"a negative dimension", dims_negative, OMMA_E_FORMAT, "a negative dimension", "bad"},
    {"dimensions overflow", dims_overflow, OMMA_E_FORMAT, "the size of tensor 'bad' overflows",
     "bad"},
    {"bytes overflow", dims_overflow_bytes, OMMA_E_FORMAT, "the size of tensor 'bad' overflows",
     "bad"},
    {"dimensions overflow beside a 0", dims_overflow_zero, OMMA_E_FORMAT,
     "the size of tensor 'bad' overflows", "bad"},
    {"nine dimensions", dims_many, OMMA_E_UNSUPPORTED, "more than 8 dimensions", "bad"},
    {"a tensor of strings", type_string, OMMA_E_UNSUPPORTED, "'bad' is of string type 8", "bad"},
    {"a tensor of an unknown type", type_unknown, OMMA_E_UNSUPPORTED, "'bad' is of unknown type",
     "bad"},
    {"a tensor of no type", type_none, OMMA_E_UNSUPPORTED, "'bad' is of unknown type 0", "bad"},
    {"a type that is no number", type_wire, OMMA_E_FORMAT, "field 2 has wire type 5, not 0", "bad"},
    {"raw data that is a number", raw_wire, OMMA_E_FORMAT, "field 9 has wire type 0, not 2", "bad"},
    {"external data", external, OMMA_E_UNSUPPORTED, "'bad' keeps its numbers in another file",
     "bad"},
    {"external data without a place", external_location, OMMA_E_FORMAT,
     "'bad' keeps its numbers in another file but does not name it", "bad"},
    {"a weight without a name", unnamed_weight, OMMA_E_FORMAT, "a weight without a name", "mark"},
    {"a name of 1025 bytes", long_name, OMMA_E_FORMAT, "a name of 1025 bytes; 1024 are allowed",
     "nnn"},
    {"a name with a zero byte", nul_name, OMMA_E_FORMAT, "a name with a zero byte", "ba"},
    {"a name omma keeps for itself", reserved_name, OMMA_E_UNSUPPORTED, "begin with 'omma:'",
     "omma:"},
    {"no graph", no_graph, OMMA_E_FORMAT, "holds no graph", NULL},
    {"no operator set", no_opset, OMMA_E_FORMAT, "which operator set", NULL},
    {"operator set 0", opset_low, OMMA_E_UNSUPPORTED, "operator set 0; omma reads 1 to 28", ""},
    {"operator set 29", opset_high, OMMA_E_UNSUPPORTED, "operator set 29; omma reads 1 to 28", ""},
    {"operator set 2^63", opset_huge, OMMA_E_UNSUPPORTED, "operator set 9223372036854775808", ""},
    {"an operator set of another wire type", opset_wire, OMMA_E_FORMAT,
     "field 2 has wire type 5, not 0", ""},
    {"no outputs", no_outputs, OMMA_E_FORMAT, "the graph has no outputs", NULL},
    {"an input without a name", unnamed_input, OMMA_E_FORMAT, "input or output without a name", ""},
    {"a sequence", sequence_input, OMMA_E_UNSUPPORTED, "'bad' is not a tensor", "bad"},
    {"an input of strings", string_input, OMMA_E_UNSUPPORTED, "'bad' is of element type 8", ""},
    {"an input of nine dimensions", input_rank, OMMA_E_UNSUPPORTED,
     "'bad' has more than 8 dimensions", ""},
    {"an input whose size overflows", input_overflow, OMMA_E_FORMAT,
     "the size of the input 'bad' overflows", "bad"},
    {"sparse weights", sparse, OMMA_E_UNSUPPORTED, "sparse weights", "sparse"},
    {"a function defined twice", function_twice, OMMA_E_FORMAT, "is defined twice", ""},
    {"a function that calls itself", function_of_itself, OMMA_E_FORMAT, "calls others, or itself",
     ""},
    {"too many arguments", function_inputs, OMMA_E_FORMAT, "2 inputs; it has 1", ""},
    {"a function that gives nothing", function_unwritten, OMMA_E_FORMAT, "does not write 'y'", ""},
    {"a function without a name", function_unnamed, OMMA_E_FORMAT, "a function without a name", ""},
    {"a body that reads what is nowhere", body_reads_nothing, OMMA_E_FORMAT, "which nothing writes",
     NULL},
    {"a body out of order", body_order, OMMA_E_FORMAT, "before it is written", NULL},
    {"80 graphs in each other", body_depth, OMMA_E_FORMAT, "graphs in graphs", ""},
    {"a graph that is not there", body_missing, OMMA_E_FORMAT, "is said to be a graph", ""},
    {"a number of 11 bytes", overlong_varint, OMMA_E_FORMAT, "longer than 64 bits", ""},
    {"a number of 65 bits", varint_65_bits, OMMA_E_FORMAT, "longer than 64 bits", ""},
    {"a number cut short", varint_cut, OMMA_E_FORMAT, "the file ends inside a number", ""},
    {"a length beyond the end", length_beyond, OMMA_E_FORMAT,
     "field 14 claims 5 bytes, but only 3 are left", "mar"},
    {"a length of 2^64", length_huge, OMMA_E_FORMAT, "claims 18446744073709551615 bytes", "mark"},
    {"a length beyond its message", inner_length, OMMA_E_FORMAT, "field 1 claims 127 bytes",
     "mark"},
    {"a fixed number cut short", fixed_cut, OMMA_E_FORMAT, "ends inside a fixed-size number", ""},
    {"a group", group, OMMA_E_FORMAT, "unknown wire type", ""},
    {"field 0", field_zero, OMMA_E_FORMAT, "field number out of range", ""},
    {"a graph of another wire type", graph_wire, OMMA_E_FORMAT, "field 7 has wire type 0, not 2",
     ""},
    {"zeros", zeros, OMMA_E_FORMAT, "field number out of range", ""},
    {"text", text, OMMA_E_FORMAT, "", ""},
    {"lists of two kinds", attr_mixed_lists, OMMA_E_FORMAT, "an attribute with lists of two kinds",
     "both"},
    {"a tensor that is not there", attr_no_tensor, OMMA_E_FORMAT,
     "attribute 'value' is said to be a tensor but holds none", "value"},
    {"200,000 attributes", attr_many, OMMA_E_FORMAT, "more than 64 attributes", "a0"},
    {"a function's attribute", attr_ref, OMMA_E_FORMAT, "refers to a function's", "outer"},
    {"an integer of another wire type", attr_wire, OMMA_E_FORMAT, "field 3 has wire type 5, not 0",
     ""},
    {"floats of another wire type", attr_floats_wire, OMMA_E_FORMAT,
     "field 7 has wire type 0, not 5", ""},
    {"floats of 7 bytes", attr_floats_ragged, OMMA_E_FORMAT, "a list of floats of 7 bytes", ""},
    {"integers of another wire type", attr_ints_wire, OMMA_E_FORMAT,
     "field 8 has wire type 5, not 2", ""},
    {"integers cut short", attr_ints_cut, OMMA_E_FORMAT, "the file ends inside a number", ""},
    {"a broken tensor in an attribute", attr_bad_tensor, OMMA_E_FORMAT,
     "'inner' should be 20 bytes", ""},
    {"too few inputs", few_inputs, OMMA_E_FORMAT, "node 'Add:z' (Add): has 1 inputs; 2 to 2", NULL},
    {"too many inputs", many_inputs, OMMA_E_FORMAT, "node 'Relu:z' (Relu): has 2 inputs; 1 to 1",
     NULL},
    {"too many outputs", many_outputs, OMMA_E_FORMAT, "node 'Relu:z' (Relu): has 2 outputs; 1 to 1",
     NULL},
    {"no output", no_output, OMMA_E_FORMAT, "has 0 outputs; 1 to 1", NULL},
    {"an input left out", left_out, OMMA_E_FORMAT, "input 0 is required but left out", NULL},
    {"a Constant with an input", constant_with_input, OMMA_E_FORMAT, "has 1 inputs; 0 to 0", NULL},
    {"a node of another wire type", node_wire, OMMA_E_FORMAT, "field 1 has wire type 0, not 2", ""},
    {"a name of another wire type", input_wire, OMMA_E_FORMAT, "field 1 has wire type 0, not 2",
     "Relu"},
    {"3,000 graphs in each other", subgraph, OMMA_E_FORMAT, "graphs in graphs, more than 64 deep",
     ""},
};

static const unsigned char *find(const mk *m, const char *text_, size_t from) {
    size_t n = strlen(text_);
    for (size_t i = from; i + n <= m->size; i++)
        if (!memcmp(m->data + i, text_, n)) return m->data + i;
    return NULL;
}

static void check_fault(const struct fault *f) {
    omma_model *model = NULL;
    omma_error err = {0};
    mk m = f->make();
    omma_status s = mk_open(&model, &m, NULL, &err);
    if (!s) fail_msg("%s: was accepted", f->name);
    if (s != f->status || err.status != f->status || !strstr(err.message, f->says))
        fail_msg("%s: status %d: %s", f->name, (int)s, err.message);
    if (!strstr(err.message, "omma-test-") || !strstr(err.file, "omma-test-"))
        fail_msg("%s: no file: %s", f->name, err.message);
    if ((err.offset >= 0) != (f->near != NULL))
        fail_msg("%s: offset %lld: %s", f->name, (long long)err.offset, err.message);
    if (f->near) {
        char place[40];
        snprintf(place, sizeof place, "byte %lld: ", (long long)err.offset);
        if (err.offset > (int64_t)m.size || !strstr(err.message, place))
            fail_msg("%s: %s", f->name, err.message);
        size_t from = err.offset > 32 ? (size_t)err.offset - 32 : 0;
        const unsigned char *at = find(&m, f->near, from);
        if (!at || at > m.data + err.offset + 200)
            fail_msg("%s: is not near '%s': %s", f->name, f->near, err.message);
    }
    assert_null(model);
    mk_free(&m);
}

static void broken(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) check_fault(&faults[i]);
    print_message("%zu broken files\n", sizeof faults / sizeof *faults);
}

/* A sound file cut anywhere is refused, never read past its end. */
static void cut(void **state) {
    (void)state;
    mk g = {0};
    mk_small(&g);
    mk m = mk_small_end(&g);
    const size_t whole = m.size;
    for (m.size = 0; m.size < whole; m.size++) {
        omma_model *model;
        omma_error err = {0};
        omma_status s = mk_open(&model, &m, NULL, &err);
        if (!s) fail_msg("cut after %zu of %zu bytes: was accepted", m.size, whole);
        assert_true(*err.message && !strchr(err.message, '\n'));
    }
    mk_free(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(broken), cmocka_unit_test(cut)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
